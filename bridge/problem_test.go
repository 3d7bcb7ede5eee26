package bridge_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// problem is what the status of the only phone says.
func (h *harness) problem() (problem, remedy string) {
	synctest.Wait()
	s := h.bridge.Snapshot()[0]
	return string(s.Problem), string(s.Remedy)
}

// hasProblem fails unless the status has a problem and a remedy with these words; empty: none.
func (h *harness) hasProblem(when, problem, remedy string) {
	h.t.Helper()
	p, r := h.problem()
	if problem == "" && p+r != "" || !strings.Contains(p, problem) || !strings.Contains(r, remedy) || (p == "") != (r == "") {
		h.t.Errorf("%s: problem %q, remedy %q, expected %q, %q", when, p, r, problem, remedy)
	}
}

func TestProblemOfALogin(t *testing.T) {
	t.Parallel()
	phone := snomtest.Config{Name: "desk", Auth: snomtest.AuthDigest, Username: "admin", Password: "right"}
	login := func(user, password string) []testPhone {
		return []testPhone{{phone: phone, user: user, pass: password}}
	}
	inHarness(t, bridge.Config{}, login("admin", "wrong"), func(h *harness) {
		time.Sleep(2 * time.Minute)
		h.hasProblem("before a login", "", "")
		h.result("snom/desk/answer", "", time.Second)
		h.hasProblem("after a wrong password", "refuses the login", "correct username and password")
		time.Sleep(time.Hour)
		h.result("snom/desk/answer", "", time.Second)
		h.hasProblem("an hour later", "refuses the login", "correct username and password")
	})
	unknown := []testPhone{{phone: snomtest.Config{Name: "desk", Auth: snomtest.AuthDigest}}}
	inHarness(t, bridge.Config{}, unknown, func(h *harness) {
		h.result("snom/desk/answer", "", time.Second)
		h.hasProblem("without a login", "requires a login", "set username and password")
	})
	inHarness(t, bridge.Config{}, login("admin", "right"), func(h *harness) {
		h.result("snom/desk/mute", "", time.Second)
		h.hasProblem("with the right password", "", "")
		h.phones["desk"].SetPassword("other")
		h.result("snom/desk/mute", "", time.Second)
		h.hasProblem("after the password was changed", "refuses the login", "")
		h.phones["desk"].SetPassword("right")
		time.Sleep(3 * time.Hour) // the breaker is closed again
		h.result("snom/desk/mute", "", time.Second)
		h.hasProblem("with the password as before", "", "")
	})
}

func TestProblemOfHiddenTags(t *testing.T) {
	t.Parallel()
	inHarness(t, bridge.Config{}, []testPhone{{phone: snomtest.Config{Name: "desk", HiddenTags: true}}}, func(h *harness) {
		h.result("snom/desk/mute", "", time.Second)
		h.hasProblem("hidden tags", "blocks remote control", "use_hidden_tags")
	})
	inHarness(t, bridge.Config{}, []testPhone{{phone: snomtest.Config{Name: "desk", UserMode: true}}}, func(h *harness) {
		h.result("snom/desk/keyboard_lock", "on", time.Second)
		h.hasProblem("a phone in user mode", "", "")
	})
}

func TestProblemOfActionURLs(t *testing.T) {
	t.Parallel()
	urls := actionurl.URLs("http://192.0.2.5:8088", "desk", pageToken)
	cfg := bridge.Config{Events: true, CheckURLs: true, ActionURLs: func(context.Context, string) ([]actionurl.URL, error) { return urls, nil }}
	reads := func(h *harness) (n int) {
		for _, r := range h.phones["desk"].Requests() {
			if strings.HasPrefix(r.Target, "/settings") {
				n++
			}
		}
		return n
	}
	has := map[string]string{urls[0].Setting: urls[0].URL}
	for name, tt := range map[string]struct {
		phone   snomtest.Config
		problem string
	}{
		"none":                       {snomtest.Config{}, "does not report its events"},
		"one":                        {snomtest.Config{Settings: has}, ""},
		"those of another program":   {snomtest.Config{Settings: map[string]string{urls[0].Setting: "http://192.0.2.9/x"}}, "does not report its events"},
		"user mode":                  {snomtest.Config{UserMode: true, Settings: has}, ""},
		"a login that is not known":  {snomtest.Config{Auth: snomtest.AuthDigest, Username: "admin", Password: "right"}, ""},
		"a model without its events": {snomtest.Config{Model: "D865"}, ""},
	} {
		tt.phone.Name = "desk"
		inHarness(t, cfg, []testPhone{{phone: tt.phone, set: func(c *bridge.PhoneConfig) { c.NoLogin = tt.phone.Username == "" }}}, func(h *harness) {
			time.Sleep(10 * time.Minute)
			if p, _ := h.problem(); tt.problem == "" && strings.Contains(p, "events") || !strings.Contains(p, tt.problem) {
				t.Errorf("%s: problem %q, expected %q", name, p, tt.problem)
			}
			if n := reads(h); n > 3 {
				t.Errorf("%s: the settings were asked for %d times", name, n)
			}
			if h.phones["desk"].FailedLogins() > 0 {
				t.Errorf("%s: a login failed", name)
			}
			if tt.problem == "" {
				return
			}
			h.hasProblem(name, tt.problem, `send {"phone":"desk"} on snom/bridge/request/install`)
			h.bridge.Event("desk", actionurl.Event{Type: actionurl.EventIncoming, CallID: "a", Time: time.Now()})
			h.hasProblem("after an event", "", "")
		})
	}
}
