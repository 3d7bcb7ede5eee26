package bridge_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/callstate"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// TestReboots looks at a phone that restarts: told to or not, noticed by whatever comes first. It goes
// and comes back with one message each, and with no more statuses than there are news.
func TestReboots(t *testing.T) {
	t.Parallel()
	gone := []string{"offline", "online"}
	for _, tt := range []struct {
		name   string
		down   time.Duration
		do     func(h *harness, down time.Duration)
		silent bool          // it does not tell that it has started
		within time.Duration // of its return it is online
		want   []string      // availability
	}{
		{"told to", 40 * time.Second, func(h *harness, _ time.Duration) { h.say("snom/desk/reboot", "") }, false, time.Second, gone},
		{"told to, and it tells nothing", 40 * time.Second, func(h *harness, _ time.Duration) { h.say("snom/desk/reboot", "") }, true, 50 * time.Second, gone},
		{"a look finds out", 3 * time.Minute, func(h *harness, down time.Duration) { h.phones["desk"].Reboot(down) }, false, time.Second, gone},
		{"a command finds out", 40 * time.Second, func(h *harness, down time.Duration) {
			h.phones["desk"].Reboot(down)
			h.say("snom/desk/key", "P1")
		}, false, time.Second, gone},
		{"before anybody looks", 4 * time.Second, func(h *harness, down time.Duration) { h.phones["desk"].Reboot(down) }, false, time.Second, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testPhones := one()
			testPhones[0].phone.RebootTime = tt.down
			inHarness(t, bridge.Config{Events: true, PollEvery: time.Minute}, testPhones, func(h *harness) {
				event := func(e actionurl.Event) {
					e.Time = time.Now()
					h.bridge.Event("desk", e)
				}
				h.result("snom/desk/key", "P1", 5*time.Second) // the login has succeeded, and it is known what it is
				event(actionurl.Event{Type: actionurl.EventConnected, CallID: "a", Calls: 1, CallsKnown: true})
				h.out.Take()
				back := time.Now().Add(tt.down + 200*time.Millisecond)
				tt.do(h, tt.down)
				time.Sleep(time.Until(back))
				if !tt.silent {
					event(actionurl.Event{Type: actionurl.EventStarted})
					event(actionurl.Event{Type: actionurl.EventRegistered, Line: "27@pbx.example"})
				}
				time.Sleep(tt.within)
				synctest.Wait()
				if s := h.bridge.Snapshot()[0]; s.Reachable != bridge.SwitchOn {
					t.Errorf("%v after it came back it is %q, expected reachable", tt.within, s.Reachable)
				}
				time.Sleep(10 * time.Minute)
				var availability, statuses []string
				for _, m := range h.out.Take() {
					switch m.Topic {
					case "snom/desk/availability":
						availability = append(availability, string(m.Payload))
					case "snom/desk/status":
						text, _, _ := strings.Cut(string(m.Payload), `,"last_result"`)
						statuses = append(statuses, text)
					}
				}
				if !slices.Equal(availability, tt.want) {
					t.Errorf("availability %q, expected %q", availability, tt.want)
				}
				if all := len(statuses); all > 5 {
					t.Errorf("%d statuses, expected a few:\n%s", all, strings.Join(statuses, "\n"))
				}
				if s := h.bridge.Snapshot()[0]; !tt.silent && (s.Call.State != callstate.Idle || s.Registered != bridge.SwitchOn) {
					t.Errorf("after all that: %+v", s)
				}
				if n := h.phones["desk"].FailedLogins(); n != 0 {
					t.Errorf("%d failed logins", n)
				}
			})
		})
	}
}

// TestEventsAreSignsOfLife: a phone that sends an event is reachable, whatever was assumed; and one that
// tells all the time is not looked at.
func TestEventsAreSignsOfLife(t *testing.T) {
	t.Parallel()
	inHarness(t, bridge.Config{Events: true, PollEvery: time.Minute}, one(), func(h *harness) {
		h.phones["desk"].Reboot(time.Hour)
		h.say("snom/desk/key", "P1")
		time.Sleep(time.Second)
		if s := h.bridge.Snapshot()[0]; s.Reachable != bridge.SwitchOff {
			t.Errorf("a refused connection: %q, expected away", s.Reachable)
		}
		h.out.Take()
		h.bridge.Event("desk", actionurl.Event{Type: actionurl.EventOffhook, Time: time.Now()})
		synctest.Wait()
		if got := h.out.On("snom/desk/availability"); len(got) != 1 || string(got[0].Payload) != "online" {
			t.Errorf("an event: %v, expected online", got)
		}
		h.out.Take()
		for range 600 { // its web server is still not there
			h.bridge.Event("desk", actionurl.Event{Type: actionurl.EventOffhook, Time: time.Now()})
			time.Sleep(time.Second)
		}
		for _, m := range h.out.Take() {
			if m.Topic != "snom/desk/event" {
				t.Errorf("an event that changes nothing: %s %s", m.Topic, m.Payload)
			}
		}
	})
}
