package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// urlsOf are the action URLs of a phone in these tests.
func urlsOf(_ context.Context, phone string) ([]actionurl.URL, error) {
	if phone == "lost" {
		return nil, errors.New("no way to the phone")
	}
	return actionurl.URLs("http://192.0.2.5:8090", phone, "t0kent0kent0ken1"), nil
}

func TestInstall(t *testing.T) {
	t.Parallel()
	phone := func(name string, set func(*snomtest.Config)) testPhone {
		c := snomtest.Config{Name: name, Model: "D735", Auth: snomtest.AuthDigest, Username: "admin", Password: "right"}
		if set != nil {
			set(&c)
		}
		return testPhone{phone: c}
	}
	foreign := map[string]string{"action_hold": "http://pbx.example/x"}
	testPhones := []testPhone{
		phone("desk", nil),
		phone("foreign", func(c *snomtest.Config) { c.Settings = foreign }),
		phone("provisioned", func(c *snomtest.Config) { c.ReadOnly = []string{"action_hold"} }),
		phone("user", func(c *snomtest.Config) { c.UserMode = true }),
		phone("lost", nil),
		phone("off", nil),
	}
	inHarness(t, bridge.Config{ActionURLs: urlsOf, Gap: 100 * time.Millisecond}, testPhones, func(h *harness) {
		h.phones["off"].SetFault(snomtest.FaultRefuseConnects)
		for _, tt := range []struct {
			payload string
			code    bridge.Code
			says    string
			written int
		}{
			{"desk", bridge.OK, "24 written, 0 were there already; the phone calls 192.0.2.5:8090 now", 24},
			{`{"phone":"desk","id":"a"}`, bridge.OK, "0 written, 24 were there already", 0},
			{"foreign", bridge.Forbidden, "action_hold (pbx.example); force", 23},
			{`{"phone":"foreign","force":false}`, bridge.Forbidden, "action_hold (pbx.example); force", 0},
			{`{"phone":"foreign","force":true}`, bridge.OK, "1 written", 1},
			{"provisioned", bridge.Refused, "action_hold", 23},
			{"user", bridge.Refused, "admin_mode", 0},
			{"lost", bridge.Forbidden, "no way to the phone", 0},
			{"off", bridge.Unreachable, "refused", 0},
			{"attic", bridge.UnknownPhone, "attic", 0},
			{`{"phone":["desk"]}`, bridge.Invalid, "not a list: a group of the phones file, or all", 0},
			{`{"phone":"desk","force":"yes"}`, bridge.Invalid, "force: expected true or false", 0},
			{`{"phone":"desk","force":1}`, bridge.Invalid, "force: expected true or false", 0},
			{`{"phone":"desk","farce":true}`, bridge.Invalid, "expected phone, force, id", 0},
		} {
			h.say("snom/bridge/request/install", tt.payload)
			time.Sleep(10 * time.Second)
			got := answers[bridge.Response](h, "snom/bridge/response/install")
			if len(got) != 1 || got[0].Code != tt.code || got[0].OK != (tt.code == bridge.OK) || !strings.Contains(got[0].Message, tt.says) {
				t.Errorf("%s: %+v, expected %s with %q", tt.payload, got, tt.code, tt.says)
				continue
			}
			data, _ := got[0].Data.(map[string]any)
			if written, _ := data["written"].([]any); len(written) != tt.written {
				t.Errorf("%s: %d written, expected %d: %+v", tt.payload, len(written), tt.written, data)
			}
		}
		time.Sleep(2 * time.Minute)
		if s := h.bridge.Snapshot()[0]; s.Phone != "desk" || s.Firmware == "" {
			t.Errorf("after it accepted the login, %+v: expected it asked what it is", s)
		}
		urls, _ := urlsOf(h.t.Context(), "desk")
		for _, u := range urls {
			if got := h.phones["desk"].Settings()[u.Setting]; got != u.URL {
				t.Errorf("%s = %q, expected %q", u.Setting, got, u.URL)
			}
		}
		for name, p := range h.phones {
			if n := p.FailedLogins(); n != 0 {
				t.Errorf("%s: %d failed logins", name, n)
			}
		}
	})
	inHarness(t, bridge.Config{}, one(), func(h *harness) {
		h.say("snom/bridge/request/install", "desk")
		if got := answers[bridge.Response](h, "snom/bridge/response/install"); len(got) != 1 || got[0].Code != bridge.Forbidden {
			t.Errorf("install without a place to call: %+v", got)
		}
	})
}

// An installation goes between commands: it keeps the pause between two requests, waits for a key
// sequence that plays, and no command waits for more than one request of it.
func TestInstallTakesTurns(t *testing.T) {
	t.Parallel()
	const gap, latency = 100 * time.Millisecond, 50 * time.Millisecond
	slow := one()
	slow[0].phone.Latency = latency
	inHarness(t, bridge.Config{ActionURLs: urlsOf, Gap: gap}, slow, func(h *harness) {
		h.result("snom/desk/key", "P1,5000,5000", time.Second)
		h.say("snom/bridge/request/install", "desk")
		h.say("snom/bridge/request/ping", "")
		time.Sleep(time.Second)
		if got := answers[bridge.Response](h, "snom/bridge/response/ping"); len(got) != 1 {
			t.Error("a ping waits for the phone")
		}
		before := len(h.phones["desk"].Requests())
		time.Sleep(7 * time.Second)
		if n := len(h.phones["desk"].Requests()) - before; n != 0 {
			t.Errorf("%d requests while the keys are played", n)
		}
		time.Sleep(2 * time.Second) // now it is under way
		for i := range 5 {
			r := h.result("snom/desk/key", fmt.Sprintf("P%d", i+1), 500*time.Millisecond)
			if r.Code != bridge.OK || r.QueuedMS > (gap+2*latency).Milliseconds() {
				t.Errorf("a key meanwhile: %+v, expected ok within a request and a pause", r)
			}
		}
		h.say("snom/desk/hangup", "")
		time.Sleep(10 * time.Second)
		if got := answers[bridge.Response](h, "snom/bridge/response/install"); len(got) != 1 || got[0].Code != bridge.OK {
			t.Errorf("the installation: %+v, expected ok", got)
		}
		all := h.phones["desk"].Requests()
		for i := 1; i < len(all); i++ {
			apart, login := all[i].Time.Sub(all[i-1].Time), all[i-1].Status == 401
			if apart < gap+latency && !login {
				t.Errorf("%s %v after %s, expected a pause", all[i].Target, apart, all[i-1].Target)
			}
		}
	})
}

// TestInstallTellsWhatItIs: a phone that wants a login reports what it is as soon as it has accepted
// the login, and installing is what a new user does first.
func TestInstallTellsWhatItIs(t *testing.T) {
	t.Parallel()
	r := one()
	r[0].phone.Auth, r[0].phone.Username, r[0].phone.Password = snomtest.AuthDigest, "admin", "right"
	r[0].set = func(p *bridge.PhoneConfig) { p.Model = snom.Model{} }
	inHarness(t, bridge.Config{ActionURLs: urlsOf, PollEvery: time.Hour}, r, func(h *harness) {
		if s := h.bridge.Snapshot()[0]; s.MAC != "" {
			t.Fatalf("before a login: %+v, expected nothing known", s)
		}
		h.say("snom/bridge/request/install", "desk")
		time.Sleep(10 * time.Second)
		if s := h.bridge.Snapshot()[0]; s.MAC == "" || s.Model == "" || s.Firmware == "" {
			t.Errorf("after it: %+v, expected model, firmware and MAC", s)
		}
	})
}

// A wrong password costs one login, also here, and the phone is then not contacted; and the end of the
// bridge ends an installation.
func TestInstallEnds(t *testing.T) {
	t.Parallel()
	wrong := one()
	wrong[0].user, wrong[0].pass = "admin", "wrong"
	inHarness(t, bridge.Config{ActionURLs: urlsOf}, wrong, func(h *harness) {
		for _, want := range []bridge.Code{bridge.Unauthorized, bridge.LockedOut} {
			h.say("snom/bridge/request/install", "desk")
			time.Sleep(time.Second)
			if got := answers[bridge.Response](h, "snom/bridge/response/install"); len(got) != 1 || got[0].Code != want {
				t.Errorf("install with a wrong password: %+v, expected %s", got, want)
			}
		}
		if r := h.result("snom/desk/key", "P1", time.Second); r.Code != bridge.LockedOut {
			t.Errorf("a command after it: %+v, expected locked_out", r)
		}
		if n := h.phones["desk"].FailedLogins(); n != 1 {
			t.Errorf("%d failed logins, expected 1", n)
		}
	})
	var next bridge.Roster
	read := func() (bridge.Roster, error) { return next, nil }
	inHarness(t, bridge.Config{ActionURLs: urlsOf}, wrong, func(h *harness) {
		ask := func(want bridge.Code) {
			h.t.Helper()
			h.say("snom/bridge/request/install", "desk")
			time.Sleep(time.Second)
			if got := answers[bridge.Response](h, "snom/bridge/response/install"); len(got) != 1 || got[0].Code != want {
				h.t.Errorf("install: %+v, expected %s", got, want)
			}
		}
		ask(bridge.Unauthorized)
		right := wrong[0]
		right.pass = "right"
		next.Phones = []bridge.PhoneConfig{h.entry(right, h.dials["desk"])}
		if err := h.reload(h.t.Context()); err != nil {
			h.t.Fatal(err)
		}
		ask(bridge.OK)
		h.say("snom/desk/key", "P1,60000")
		time.Sleep(time.Second)
		h.out.Take()
		h.say("snom/bridge/request/install", "desk")
		synctest.Wait()
		next.Phones = nil
		if err := h.reload(h.t.Context()); err != nil {
			h.t.Fatal(err)
		}
		if got := answers[bridge.Response](h, "snom/bridge/response/install"); len(got) != 1 || got[0].Code != bridge.Unreachable || !strings.Contains(got[0].Message, "no longer configured") {
			h.t.Errorf("install into a phone that went: %+v, expected unreachable", got)
		}
	}, read)
	hidden := one()
	hidden[0].phone.FaultOf = func(r snomtest.Request) snomtest.Fault { // it shows nothing, and accepts what is written
		if strings.HasPrefix(r.Target, "/settings.") {
			return snomtest.FaultServerError
		}
		return ""
	}
	inHarness(t, bridge.Config{ActionURLs: urlsOf}, hidden, func(h *harness) {
		h.say("snom/bridge/request/install", `{"phone":"desk","force":true}`)
		time.Sleep(10 * time.Second)
		if got := answers[bridge.Response](h, "snom/bridge/response/install"); len(got) != 1 || !got[0].OK || !strings.Contains(got[0].Message, "whether it kept them is unknown") {
			h.t.Errorf("a phone that shows nothing, by force: %+v", got)
		}
	})
	slow := one()
	slow[0].phone.Latency = time.Second
	inHarness(t, bridge.Config{ActionURLs: urlsOf}, slow, func(h *harness) {
		h.say("snom/bridge/request/install", "desk")
		time.Sleep(5 * time.Second)
		h.stop()
		if got := answers[bridge.Response](h, "snom/bridge/response/install"); len(got) != 1 || got[0].Code != bridge.Cancelled {
			t.Errorf("the bridge stops: %+v, expected cancelled", got)
		}
	})
	busy := one()
	busy[0].phone.Latency = time.Second
	inHarness(t, bridge.Config{ActionURLs: urlsOf}, busy, func(h *harness) {
		h.say("snom/desk/key", "P1,60000")
		time.Sleep(time.Second)
		for range 40 {
			h.say("snom/bridge/request/install", "desk")
		}
		synctest.Wait()
		if got := answers[bridge.Response](h, "snom/bridge/response/install"); len(got) != 0 {
			t.Errorf("forty at once: %+v, expected all to wait", got)
		}
		h.say("snom/bridge/request/reload", "")
		synctest.Wait()
		if got := answers[bridge.Response](h, "snom/bridge/response/reload"); len(got) != 1 {
			t.Errorf("a reload waits behind installations")
		}
		h.stop()
		if got := answers[bridge.Response](h, "snom/bridge/response/install"); len(got) != 40 || got[0].Code != bridge.Cancelled || got[39].Code != bridge.Cancelled {
			t.Errorf("the bridge stops: %d answers, expected the 40 that waited", len(got))
		}
	})
}

// TestRequestsForManyPhones: a request for a group, or many in a loop, is answered once for each phone, by name; none is
// refused because others wait, and a ping is not delayed.
func TestRequestsForManyPhones(t *testing.T) {
	t.Parallel()
	const phones = 40
	var testPhones []testPhone
	var up []string
	for i := range phones {
		name := fmt.Sprintf("p%02d", i)
		c := snomtest.Config{Name: name, Model: "D735", Auth: snomtest.AuthDigest, Username: "admin", Password: "right", Latency: 50 * time.Millisecond}
		testPhones = append(testPhones, testPhone{phone: c})
		if i%2 == 0 {
			up = append(up, name)
		}
	}
	loop := func(h *harness, action string) {
		for _, r := range testPhones {
			h.say("snom/bridge/request/"+action, `{"id":"x","phone":"`+r.phone.Name+`"}`)
		}
	}
	for name, tt := range map[string]struct {
		action string
		say    func(h *harness)
		want   int
	}{
		"install for all":        {"install", func(h *harness) { h.say("snom/bridge/request/install", `{"id":"x","phone":"all"}`) }, phones},
		"install for all, plain": {"install", func(h *harness) { h.say("snom/bridge/request/install", "all") }, phones},
		"install for a group":    {"install", func(h *harness) { h.say("snom/bridge/request/install", `{"id":"x","phone":"up","force":true}`) }, phones / 2},
		"install in a loop":      {"install", func(h *harness) { loop(h, "install") }, phones},
		"probe for all":          {"probe", func(h *harness) { h.say("snom/bridge/request/probe", "all") }, phones},
		"probe in a loop":        {"probe", func(h *harness) { loop(h, "probe") }, phones},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHarness(t, bridge.Config{ActionURLs: urlsOf}, testPhones, map[string][]string{"up": up, "none": {}})
				tt.say(h)
				h.say("snom/bridge/request/ping", "")
				synctest.Wait()
				if got := answers[bridge.Response](h, "snom/bridge/response/ping"); len(got) != 1 {
					t.Error("a ping waits")
				}
				time.Sleep(5 * time.Minute)
				answered := map[string]int{}
				for _, r := range answers[bridge.Response](h, "snom/bridge/response/"+tt.action) {
					answered[r.Phone]++
					if r.Code != bridge.OK {
						t.Errorf("%+v, expected ok", r)
					}
				}
				if len(answered) != tt.want {
					t.Errorf("%d phones answered, expected %d: %v", len(answered), tt.want, answered)
				}
				for phone, n := range answered {
					if n != 1 {
						t.Errorf("%q answered %d times", phone, n)
					}
				}
				h.stop()
			})
		})
	}
}
