package bridge_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

func TestLaw1EveryCommandIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	inHarness(t, bridge.Config{QueueLength: 2}, one(), func(h *harness) {
		release := h.phones["desk"].Hold()
		h.say("snom/desk/key", `{"id":"runs","keys":"P1"}`)
		synctest.Wait()
		h.say("snom/desk/key", `{"id":"waits too long","keys":"P2","expires_in":1}`)
		h.say("snom/desk/key", `{"id":"waits","keys":"P3"}`)
		h.say("snom/desk/key", `{"id":"too many","keys":"P4"}`)
		h.say("snom/desk/key", `{"id":"no key","keys":"NOKEY"}`)
		h.say("snom/desk/reset", `{"id":"gated","confirm":"desk"}`)
		h.say("snom/desk/touch", `{"id":"no touch","touches":[{"x":1,"y":2}]}`)
		h.say("snom/nobody/key", `{"id":"nobody","keys":"P1"}`)
		handle(h.bridge, h.tree, mqtt.Message{Topic: "snom/desk/key", Payload: []byte(`{"id":"kept","keys":"P1"}`), Retained: true})
		h.say("snom/desk/key", `{"id":"runs","keys":"P1"}`)
		time.Sleep(2 * time.Second)
		release()
		synctest.Wait()
		h.say("snom/desk/key", `{"id":"last","keys":"P5,9000"}`)
		h.say("snom/desk/key", `{"id":"too late","keys":"P6"}`)
		synctest.Wait()
		h.stop()
		h.say("snom/desk/key", `{"id":"after the end","keys":"P6"}`)
		want := []string{
			"after the end cancelled", "gated forbidden", "kept retained", "last ok", "no key invalid", "no touch unsupported",
			"nobody unknown_phone", "runs duplicate", "runs ok", "too late cancelled", "too many busy", "waits ok", "waits too long expired",
		}
		slices.Sort(want)
		var have []string
		for _, r := range h.results() {
			have = append(have, r.ID+" "+string(r.Code))
		}
		slices.Sort(have)
		if !slices.Equal(have, want) {
			h.t.Errorf("answers:\n%s\nwant:\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
		}
	})
}

func TestLaw2ACommandRunsAtMostOnce(t *testing.T) {
	t.Parallel()
	faults := map[snomtest.Fault]bridge.Code{ // of a phone that may have carried the command out
		"hang": bridge.Timeout, "cut": bridge.Timeout, "reset-after": bridge.Timeout, "empty-reply": bridge.Timeout,
	}
	for fault, code := range faults {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			inHarness(t, bridge.Config{}, one(), func(h *harness) {
				phone := h.phones["desk"]
				if r := h.result("snom/desk/key", "P1", time.Second); r.Code != bridge.OK {
					h.t.Fatalf("warm-up: %+v", r)
				}
				before := len(phone.Requests())
				phone.SetFault(fault)
				r := h.result("snom/desk/key", `{"id":"once","keys":"P2"}`, 20*time.Second)
				if r.Code != code || r.OK {
					h.t.Errorf("result %+v, expected %s", r, code)
				}
				phone.SetFault("")
				again := h.result("snom/desk/key", `{"id":"once","keys":"P2"}`, 20*time.Second)
				if again.Code != bridge.Duplicate || again.OK || again.First == nil || again.First.Code != code {
					h.t.Errorf("the same id again: %+v, expected duplicate with the first result", again)
				}
				time.Sleep(time.Hour)
				sent := 0
				for _, q := range phone.Requests()[before:] {
					if strings.Contains(q.Target, "P2") {
						sent++
					}
				}
				if sent > 1 {
					h.t.Errorf("the phone saw the command %d times, expected at most once", sent)
				}
			})
		})
	}
}

func TestLaw3ACommandRunsNowOrNotAtAll(t *testing.T) {
	t.Parallel()
	inHarness(t, bridge.Config{}, one(), func(h *harness) {
		handle(h.bridge, h.tree, mqtt.Message{Topic: "snom/desk/dial", Payload: []byte("123"), Retained: true})
		if got := h.results(); len(got) != 1 || got[0].Code != bridge.Retained {
			h.t.Errorf("retained: %+v", got)
		}
		past := time.Now().Add(-time.Second).Format(time.RFC3339)
		if r := h.result("snom/desk/dial", `{"number":"123","expires_at":"`+past+`"}`, 0); r.Code != bridge.Expired {
			h.t.Errorf("expires_at in the past: %+v", r)
		}
		h.say("snom/desk/key", "P1,40000") // plays for 40 s
		h.say("snom/desk/key", `{"id":"default","keys":"P2"}`)
		h.say("snom/desk/key", `{"id":"short","keys":"P3","expires_in":0.5}`)
		h.say("snom/desk/key", `{"id":"long","keys":"P4","expires_in":60}`)
		time.Sleep(time.Second)
		if got := codes(h.results()); got["short"] != bridge.Expired || len(got) != 2 {
			h.t.Errorf("after 1 s: %v, expected short expired, and P1 done", got)
		}
		time.Sleep(30 * time.Second)
		if got := codes(h.results()); got["default"] != bridge.Expired || len(got) != 1 {
			h.t.Errorf("after 31 s: %v, expected default expired", got)
		}
		time.Sleep(10 * time.Second)
		if got := codes(h.results()); got["long"] != bridge.OK || len(got) != 1 {
			h.t.Errorf("after 41 s: %v, expected long ok", got)
		}
		want := []string{"/command.htm?key=P1,40000", "/command.htm?key=P4"}
		if got := h.pressed("desk"); !slices.Equal(got, want) {
			h.t.Errorf("the phone did %q, expected %q", got, want)
		}
	})
}

func TestLaw4OnePhoneOneCommandAtATimeInOrder(t *testing.T) {
	t.Parallel()
	cfg := snomtest.Config{Model: "D735", Latency: 300 * time.Millisecond, OneConnection: true}
	a, b := cfg, cfg
	a.Name, b.Name, b.Latency = "slow", "fast", 0
	inHarness(t, bridge.Config{Gap: 100 * time.Millisecond}, []testPhone{{phone: a}, {phone: b}}, func(h *harness) {
		time.Sleep(5 * time.Second)
		h.out.Take()
		for i := range 10 {
			h.say("snom/slow/key", fmt.Sprintf("P%d", i+1))
		}
		start := time.Now()
		if r := h.result("snom/fast/key", "P1", 0); r.Code != bridge.OK || r.DurationMS != 0 {
			h.t.Errorf("the fast phone: %+v, expected ok at once", r)
		}
		time.Sleep(10*300*time.Millisecond + 9*100*time.Millisecond - time.Since(start))
		for i, r := range h.results() {
			if want := fmt.Sprintf("P%d", i+1); r.Argument != want || r.Code != bridge.OK {
				h.t.Errorf("result %d: %+v, expected %s ok", i, r, want)
			}
		}
		if got := len(h.pressed("slow")); got != 10 {
			h.t.Errorf("the slow phone did %d commands in its time, expected 10", got)
		}
	})
}

func TestLaw4AKeySequenceIsPlayedOutFirst(t *testing.T) {
	t.Parallel()
	inHarness(t, bridge.Config{Gap: 100 * time.Millisecond}, one(), func(h *harness) {
		h.say("snom/desk/key", "OFFHOOK,100,400;1,200,300")
		h.say("snom/desk/key", "P1")
		time.Sleep(999 * time.Millisecond)
		if got := h.results(); len(got) != 1 {
			h.t.Fatalf("while the keys are played: %+v, expected one result", got)
		}
		time.Sleep(time.Second)
		got := h.results()
		if len(got) != 1 || got[0].QueuedMS != 1000 {
			h.t.Errorf("after the keys were played: %+v, expected one result that waited for a second", got)
		}
	})
}

func TestLaw4AHangupOvertakes(t *testing.T) {
	t.Parallel()
	inHarness(t, bridge.Config{Gap: 100 * time.Millisecond}, one(), func(h *harness) {
		h.say("snom/desk/key", "1,10000")
		for _, k := range []string{"2", "3"} {
			h.say("snom/desk/key", k)
		}
		time.Sleep(200 * time.Millisecond)
		h.say("snom/desk/hangup", "")
		h.say("snom/desk/key", "4")
		time.Sleep(300 * time.Millisecond)
		var got []string
		for _, r := range h.results() {
			got = append(got, r.Command+" "+r.Argument+" "+string(r.Code))
		}
		want := []string{"key 1,10000 ok", "key 2 cancelled", "key 3 cancelled", "hangup all ok", "key 4 ok"}
		if !slices.Equal(got, want) {
			h.t.Errorf("got %q, expected %q", got, want)
		}
		if got := h.pressed("desk"); !slices.Equal(got, []string{"/command.htm?key=1,10000", "/command.htm?RELEASE_ALL_CALLS", "/command.htm?key=4"}) {
			h.t.Errorf("the phone did %q", got)
		}
	})
}

func TestLaw4AHangupEndsARing(t *testing.T) {
	t.Parallel()
	inHarness(t, bridge.Config{}, one(), func(h *harness) {
		h.say("snom/desk/ring", `{"ringer":2,"count":20,"pause_ms":3000}`)
		time.Sleep(7 * time.Second)
		h.say("snom/desk/hangup", "current")
		time.Sleep(time.Second)
		got := h.results()
		if len(got) != 2 || got[0].Code != bridge.Cancelled || got[0].Requests < 3 || got[1].Code != bridge.OK {
			h.t.Errorf("got %+v, expected the ring cancelled after three requests, and the hangup done", got)
		}
	})
}

func TestLaw5AWrongPasswordCostsOneLogin(t *testing.T) {
	t.Parallel()
	for _, auth := range []snomtest.Auth{snomtest.AuthBasic, snomtest.AuthDigest, "digest-noqop"} {
		t.Run(string(auth), func(t *testing.T) {
			t.Parallel()
			r := testPhone{phone: snomtest.Config{Name: "desk", Auth: auth, Username: "admin", Password: "right"}, user: "admin", pass: "wrong"}
			inHarness(t, bridge.Config{}, []testPhone{r}, func(h *harness) {
				end := time.Now().Add(time.Hour)
				first := h.result("snom/desk/key", "P1", time.Second)
				if first.Code != bridge.Unauthorized {
					h.t.Errorf("the first command: %+v, expected unauthorized", first)
				}
				for i := 0; time.Now().Before(end); i++ {
					h.say("snom/desk/key", "P1")
					h.say("snom/desk/hangup", "")
					h.say("snom/bridge/request/probe", "desk")
					h.say("snom/bridge/request/reload", "")
					h.say("snom/desk/dial", fmt.Sprint(i))
					time.Sleep(10 * time.Second)
				}
				for _, r := range h.results() {
					if r.Code != bridge.LockedOut && r.Code != bridge.Cancelled {
						h.t.Fatalf("while the breaker is open: %+v, expected locked_out", r)
					}
				}
				if n := h.phones["desk"].FailedLogins(); n != 1 {
					h.t.Errorf("%d failed logins in an hour, expected 1", n)
				}
			})
		})
	}
}

func TestLaw5ANewPasswordIsTried(t *testing.T) {
	t.Parallel()
	r := testPhone{phone: snomtest.Config{Name: "desk", Auth: snomtest.AuthBasic, Username: "admin", Password: "right"}, user: "admin", pass: "wrong"}
	var next bridge.Roster
	read := func() (bridge.Roster, error) { return next, nil }
	inHarness(t, bridge.Config{}, []testPhone{r}, func(h *harness) {
		if got := h.result("snom/desk/key", "P1", time.Second); got.Code != bridge.Unauthorized {
			h.t.Fatalf("with the wrong password: %+v", got)
		}
		r.pass = "right"
		phone, dial := snomtest.NewPipe(h.t, r.phone)
		h.phones["desk"] = phone
		next.Phones = []bridge.PhoneConfig{h.entry(r, dial)}
		if err := h.reload(h.t.Context()); err != nil {
			h.t.Fatal(err)
		}
		if got := h.result("snom/desk/key", "P1", time.Second); got.Code != bridge.OK {
			h.t.Errorf("with the right password: %+v, expected ok", got)
		}
	}, read)
}

func TestLaw5APhoneThatIsLockedIsLeftAloneForAWhile(t *testing.T) {
	t.Parallel()
	inHarness(t, bridge.Config{}, one(), func(h *harness) {
		stranger, err := snom.NewClient(snom.ClientConfig{URL: "http://desk.invalid", Username: "admin", Password: "guess", Dial: h.dials["desk"]})
		if err != nil {
			h.t.Fatal(err)
		}
		for range 4 {
			if _, err := stranger.Send(h.t.Context(), snom.Step{Request: "/command.htm?key=1"}); err == nil {
				h.t.Fatal("a guessed password was right")
			}
		}
		if got := h.result("snom/desk/key", "P1", time.Second); got.Code != bridge.LockedOut {
			h.t.Errorf("a locked phone: %+v, expected locked_out", got)
		}
		before := len(h.phones["desk"].Requests())
		if got := h.result("snom/desk/key", "P1", time.Second); got.Code != bridge.LockedOut || got.Requests != 0 {
			h.t.Errorf("at once again: %+v, expected locked_out without a request", got)
		}
		if n := len(h.phones["desk"].Requests()); n != before {
			h.t.Errorf("the phone saw %d requests, expected none", n-before)
		}
		time.Sleep(3 * time.Minute)
		h.out.Take()
		if got := h.result("snom/desk/key", "P1", time.Second); got.Code != bridge.OK {
			h.t.Errorf("after three minutes: %+v, expected ok", got)
		}
	})
}

func TestLaw6TheTruthIsRepublished(t *testing.T) {
	t.Parallel()
	inHarness(t, bridge.Config{Version: "1.2.3"}, one(), func(h *harness) {
		h.result("snom/desk/key", "P1", 10*time.Second)
		h.out.Take()
		h.bridge.Republish()
		synctest.Wait()
		var topics []string
		for _, m := range h.out.Take() {
			topics = append(topics, m.Topic)
			if !m.Retained {
				h.t.Errorf("%s is not retained", m.Topic)
			}
			switch m.Topic {
			case "snom/desk/availability":
				if string(m.Payload) != "online" {
					h.t.Errorf("availability %q, expected online", m.Payload)
				}
			case "snom/desk/status":
				var s map[string]any
				if err := json.Unmarshal(m.Payload, &s); err != nil {
					h.t.Fatal(err)
				}
				if s["model"] != "D735" || s["reachable"] != true || s["last_result"].(map[string]any)["code"] != "ok" {
					h.t.Errorf("status %s", m.Payload)
				}
			case "snom/bridge/info":
				if !strings.Contains(string(m.Payload), `"version":"1.2.3"`) || !strings.Contains(string(m.Payload), `"groups":{"all":["desk"]}`) {
					h.t.Errorf("info %s", m.Payload)
				}
			}
		}
		if want := []string{"snom/bridge/info", "snom/desk/availability", "snom/desk/status"}; !slices.Equal(topics, want) {
			h.t.Errorf("republished %q, expected %q", topics, want)
		}
	})
}

func TestLaw7NothingSecretLeaves(t *testing.T) {
	t.Parallel()
	const canary = "4711"
	r := one()
	r[0].user, r[0].pass = "admin", "pass"+canary
	r[0].set = func(p *bridge.PhoneConfig) { p.Mask = map[snom.Verb]bool{snom.VerbDTMF: true} }
	inHarness(t, bridge.Config{}, r, func(h *harness) {
		var all []mqtt.Message
		for _, say := range [][2]string{
			{"snom/desk/dtmf", canary + "#"},
			{"snom/desk/dtmf", `{"id":"x","digits":"` + canary + `"}`},
			{"snom/desk/dtmf", canary + "x"},
			{"snom/desk/dtmf", `{"digits":"` + canary + `","what":1}`},
			{"snom/desk/command", `{"command":"dtmf","digits":"` + canary + `"}`},
			{"snom/desk/command", `{"command":"dtfm","digits":"` + canary + `"}`},
			{"snom/desk/command", canary},
			{"snom/all/dtmf", canary},
			{"snom/nobody/dtmf", canary},
		} {
			h.say(say[0], say[1])
			time.Sleep(time.Second)
			synctest.Wait()
			all = append(all, h.out.Take()...)
		}
		if got := len(h.resultsOf(all)); got != 10 {
			h.t.Errorf("%d results, expected 10 (one of them a summary)", got)
		}
		for _, m := range all {
			if strings.Contains(string(m.Payload), canary) {
				h.t.Errorf("%s: %s", m.Topic, m.Payload)
			}
		}
		if strings.Contains(h.log.String(), canary) {
			h.t.Errorf("the log has it:\n%s", h.log)
		}
	})
}

func TestLaw9NothingSentCanWedge(t *testing.T) {
	t.Parallel()
	inHarness(t, bridge.Config{}, one(), func(h *harness) {
		for _, topic := range []string{"", "/", "snom", "snom/", "snom//", "snom/+/key", "snom/#", "snom/desk/\x00", "snom/Küche/key",
			"snom/desk/" + strings.Repeat("x", 70000), "snom/" + strings.Repeat("y", 70000) + "/key", "snom/desk/key/set", "$SYS/x",
			"snom/bridge/key", "snom/bridge/request/" + strings.Repeat("z", 5000), "snom/bridge/request/fly", "snom/desk/result"} {
			h.say(topic, strings.Repeat("{", 1<<20))
			h.say(topic, "\xff\xfe\x00")
		}
		synctest.Wait()
		for _, m := range h.out.Take() {
			if err := m.Check(); err != nil {
				h.t.Errorf("published what no broker takes: %v", err)
			}
			if m.Topic != "snom/bridge/result" && m.Topic != "snom/desk/result" {
				h.t.Errorf("published on %q, a topic made from input", m.Topic)
			}
			if len(m.Payload) > 2000 {
				h.t.Errorf("a refusal of %d bytes: %.100s", len(m.Payload), m.Payload)
			}
		}
		if r := h.result("snom/desk/key", "P1", time.Second); r.Code != bridge.OK {
			h.t.Errorf("afterwards: %+v, expected ok", r)
		}
	})
}
