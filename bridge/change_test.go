package bridge_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// Do not disturb has the state that was asked for, or the command is refused: it is never toggled on a guess.
func TestDoNotDisturbIsNeverGuessed(t *testing.T) {
	t.Parallel()
	told := func(kind actionurl.EventType) func(*harness) {
		return func(h *harness) { h.bridge.Event("desk", actionurl.Event{Type: kind, Time: time.Now()}) }
	}
	type phones = func(*snomtest.Config)
	hidden := func(c *snomtest.Config) { c.UserMode = true }
	unkept := func(c *snomtest.Config) { c.Unkept = []string{"dnd_mode"} }
	dead := func(c *snomtest.Config) { c.ReadOnly, c.DeadDND = []string{"dnd_mode"}, true }
	readOnly := func(c *snomtest.Config) { c.ReadOnly = []string{"dnd_mode"} }
	for _, tt := range []struct {
		name     string
		phone    phones
		on       bool // at the phone, to begin with
		before   func(*harness)
		commands []string
		codes    string // of their results
		after    bool   // on at the phone
		pressed  int    // the key
	}{
		{"on after a restart, and it is", nil, true, nil, []string{"on"}, "ok", true, 0},
		{"on after a restart, and it is not", nil, false, nil, []string{"on"}, "ok", true, 0},
		{"off after a restart, and it is not", nil, true, nil, []string{"off"}, "ok", false, 0},
		{"on twice", nil, false, nil, []string{"on", "on"}, "ok ok", true, 0},
		{"on, off, off, on", nil, false, nil, []string{"on", "off", "off", "on"}, "ok ok ok ok", true, 0},
		{"on twice, and its events say off", nil, false, told(actionurl.EventDNDOff), []string{"on", "on"}, "ok ok", true, 0},
		{"its events say that it is on", nil, true, told(actionurl.EventDNDOn), []string{"on"}, "ok", true, 0},
		{"it hides its settings, and nothing is known", hidden, true, nil, []string{"on", "off"}, "refused refused", true, 0},
		{"it hides its settings, and its events say on", hidden, true, told(actionurl.EventDNDOn), []string{"on", "off", "off"}, "ok ok ok", false, 1},
		{"it hides its settings, and its events say off", hidden, false, told(actionurl.EventDNDOff), []string{"on", "on"}, "ok ok", true, 1},
		{"it hides its settings, and another event came", hidden, true, told(actionurl.EventOffhook), []string{"on"}, "refused", true, 0},
		{"it keeps its setting", readOnly, true, nil, []string{"off", "off"}, "ok ok", false, 1},
		{"it takes its setting, and does not keep it", unkept, true, nil, []string{"off"}, "refused", true, 0},
		{"it keeps its setting, and its key is dead", dead, true, nil, []string{"off"}, "refused", true, 1},
		{"toggle is the key", nil, true, nil, []string{"toggle"}, "ok", false, 1},
		{"toggle, then on", nil, true, told(actionurl.EventDNDOn), []string{"toggle", "on"}, "ok ok", true, 1},
		{"the key, then on", nil, true, told(actionurl.EventDNDOn), []string{"key DND", "on"}, "ok ok", true, 1},
		{"the key among others, then on", nil, true, told(actionurl.EventDNDOn), []string{"key P1;DND,100", "on"}, "ok ok", true, 1},
		{"the key in a macro, then on", nil, true, told(actionurl.EventDNDOn), []string{"run DND", "on"}, "ok ok", true, 1},
		{"it hides its settings; the key, then on", hidden, true, told(actionurl.EventDNDOn), []string{"key DND", "on"}, "ok refused", false, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := one()
			r[0].phone.Latency = 300 * time.Millisecond
			if tt.phone != nil {
				tt.phone(&r[0].phone)
			}
			inHarness(t, bridge.Config{Events: true, Gap: 100 * time.Millisecond}, r, func(h *harness) {
				time.Sleep(10 * time.Second)
				phone := h.phones["desk"]
				if tt.on {
					phone.SetDND(true)
				}
				if tt.before != nil {
					tt.before(h)
				}
				h.out.Take()
				for i, c := range tt.commands {
					switch verb, keys, other := strings.Cut(c, " "); {
					case !other:
						h.say("snom/desk/dnd", fmt.Sprintf(`{"id":"%d","dnd":%q}`, i, c))
					case verb == "run":
						h.say("snom/desk/run", fmt.Sprintf(`{"id":"%d","steps":[{"key":%q}]}`, i, keys))
					default:
						h.say("snom/desk/key", fmt.Sprintf(`{"id":"%d","keys":%q}`, i, keys))
					}
					time.Sleep(150 * time.Millisecond)
				}
				time.Sleep(20 * time.Second)
				var got []string
				for _, r := range h.results() {
					got = append(got, string(r.Code))
					if r.Code == bridge.Refused && !strings.Contains(r.Message, "admin_mode") && !strings.Contains(r.Message, "does not keep the value") {
						t.Errorf("%+v, expected it to say what to change", r)
					}
				}
				if s := strings.Join(got, " "); s != tt.codes {
					t.Errorf("results %q, expected %q", s, tt.codes)
				}
				if on := phone.Settings()["dnd_mode"] == "on"; on != tt.after {
					t.Errorf("do not disturb is on: %v, expected %v", on, tt.after)
				}
				pressed := 0
				for _, target := range h.pressed("desk") {
					if strings.Contains(target, "DND") {
						pressed++
					}
				}
				if pressed != tt.pressed {
					t.Errorf("the key was pressed %d times, expected %d", pressed, tt.pressed)
				}
			})
		})
	}
}

// A change that cannot be carried out says so with the code of its cause, and changes nothing late.
func TestAChangeThatFails(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		fault snomtest.Fault
		code  bridge.Code
	}{
		{snomtest.FaultRefuseConnects, bridge.Unreachable},
		{snomtest.FaultHang, bridge.Expired},
		{snomtest.FaultLoginPage, bridge.Unauthorized},
	} {
		t.Run(string(tt.fault), func(t *testing.T) {
			t.Parallel()
			inHarness(t, bridge.Config{}, one(), func(h *harness) {
				h.result("snom/desk/key", "P1", 10*time.Second)
				h.phones["desk"].SetFault(tt.fault)
				h.say("snom/desk/dnd", `{"dnd":"on","expires_in":2}`)
				time.Sleep(time.Minute)
				got := h.results()
				if len(got) != 1 || got[0].Code != tt.code {
					t.Errorf("%+v, expected %s", got, tt.code)
				}
				h.phones["desk"].SetFault("")
				time.Sleep(time.Minute)
				if h.phones["desk"].Settings()["dnd_mode"] == "on" {
					t.Error("it was switched on after the command had failed")
				}
			})
		})
	}
}

// What the bridge did to a phone counts as if the phone had reported it, and a command that makes no sense on an idle
// phone is refused where that is known.
func TestWhatTheBridgeDidCounts(t *testing.T) {
	t.Parallel()
	ringing := func(h *harness, id string) {
		h.bridge.Event("desk", actionurl.Event{Type: actionurl.EventIncoming, CallID: id, Direction: actionurl.DirectionIn,
			Remote: actionurl.Party{Number: "+4930123"}, Time: time.Now()})
	}
	state := func(h *harness) string {
		synctest.Wait()
		return string(h.bridge.Snapshot()[0].Call.State)
	}
	for _, command := range []struct{ name, payload string }{{"hangup", ""}, {"hangup", "current"}, {"reboot", ""}} {
		inHarness(t, bridge.Config{Events: true}, one(), func(h *harness) {
			ringing(h, "a")
			if got := state(h); got != "ringing" {
				t.Fatalf("state %s, expected ringing", got)
			}
			h.result("snom/desk/"+command.name, command.payload, time.Second)
			if got := state(h); got != "ended" {
				t.Errorf("after %s %s: %s, expected ended", command.name, command.payload, got)
			}
			time.Sleep(3 * time.Second)
			if got := state(h); got != "idle" {
				t.Errorf("3 s after %s %s: %s, expected idle", command.name, command.payload, got)
			}
		})
	}
	inHarness(t, bridge.Config{Events: true}, one(), func(h *harness) { // a hangup that failed ends nothing
		ringing(h, "a")
		h.phones["desk"].SetFault(snomtest.FaultRefuseConnects)
		h.say("snom/desk/hangup", "")
		time.Sleep(time.Second)
		if got := state(h); got != "ringing" {
			t.Errorf("after a hangup that did not reach the phone: %s, expected ringing", got)
		}
	})
	inHarness(t, bridge.Config{Events: true}, one(), func(h *harness) {
		if r := h.result("snom/desk/answer", "", time.Second); r.Code != bridge.OK {
			t.Errorf("answer at a phone of which nothing is known: %+v, expected ok", r)
		}
		ringing(h, "a")
		h.result("snom/desk/hangup", "", time.Second)
		if r := h.result("snom/desk/answer", "", time.Second); r.Code != bridge.Invalid || r.Requests != 0 || r.Message == "" {
			t.Errorf("answer at an idle phone: %+v, expected invalid, and why", r)
		}
		ringing(h, "b")
		if r := h.result("snom/desk/answer", "", time.Second); r.Code != bridge.OK {
			t.Errorf("answer at a phone that rings: %+v, expected ok", r)
		}
	})
	inHarness(t, bridge.Config{}, one(), func(h *harness) { // phones cannot send events here
		h.result("snom/desk/hangup", "", time.Second)
		if r := h.result("snom/desk/answer", "", time.Second); r.Code != bridge.OK {
			t.Errorf("answer where no events come: %+v, expected ok", r)
		}
	})
}

// A transfer is over when its calls are, whichever side ended them; one whose start failed half way can be cancelled, and
// not completed.
func TestATransferEndsWithItsCalls(t *testing.T) {
	t.Parallel()
	event := func(h *harness, kind actionurl.EventType, id string) {
		h.bridge.Event("desk", actionurl.Event{Type: kind, CallID: id, Remote: actionurl.Party{Number: id}, Time: time.Now()})
	}
	for name, ended := range map[string][]string{"both": {"a", "b"}, "the first": {"a"}, "the second": {"b"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inHarness(t, bridge.Config{Events: true}, one(), func(h *harness) {
				event(h, actionurl.EventConnected, "a")
				if r := h.result("snom/desk/transfer", "12", 2*time.Second); r.Code != bridge.OK {
					t.Fatalf("start: %+v", r)
				}
				event(h, actionurl.EventHold, "a")
				event(h, actionurl.EventOutgoing, "b")
				event(h, actionurl.EventConnected, "b")
				time.Sleep(time.Second)
				for _, id := range ended {
					event(h, actionurl.EventDisconnected, id)
				}
				time.Sleep(time.Minute)
				event(h, actionurl.EventConnected, "c") // another call
				h.out.Take()
				if r := h.result("snom/desk/transfer", "complete", time.Second); r.Code != bridge.Invalid || r.Requests != 0 {
					t.Errorf("complete: %+v, expected invalid without a request", r)
				}
				if r := h.result("snom/desk/transfer", "13", 2*time.Second); r.Code != bridge.OK {
					t.Errorf("another transfer: %+v, expected ok", r)
				}
			})
		})
	}
	// Where the phone reports nothing of the second call, or of the first, one that ends for good ends the transfer too.
	for _, before := range []bool{false, true} {
		for _, kind := range []actionurl.EventType{actionurl.EventOnhook, actionurl.EventDisconnected, actionurl.EventStarted} {
			inHarness(t, bridge.Config{Events: true}, one(), func(h *harness) {
				if before {
					event(h, actionurl.EventIncoming, "c1")
					event(h, actionurl.EventConnected, "c1")
				}
				if r := h.result("snom/desk/transfer", "14", 2*time.Second); r.Code != bridge.OK {
					t.Fatalf("start: %+v", r)
				}
				h.bridge.Event("desk", actionurl.Event{Type: kind, CallID: "c1", CallsKnown: kind == actionurl.EventOnhook, Time: time.Now()})
				time.Sleep(time.Second)
				event(h, actionurl.EventIncoming, "c9")
				event(h, actionurl.EventConnected, "c9")
				h.out.Take()
				if r := h.result("snom/desk/transfer", "complete", time.Second); r.Code != bridge.Invalid || r.Requests != 0 {
					t.Errorf("calls known before: %v, complete after %s and another call: %+v, expected invalid without a request", before, kind, r)
				}
			})
		}
	}
	for _, n := range []int{1, 2, 4} { // the request that fails
		for fault, sent := range map[snomtest.Fault]bool{snomtest.FaultHangUpAfter: true, snomtest.FaultForbidden: n > 1} {
			made := 0
			c := snomtest.Config{Name: "desk", Model: "D735", FaultOf: func(r snomtest.Request) snomtest.Fault {
				if strings.Contains(r.Target, "command.htm") {
					if made++; made == n {
						return fault
					}
				}
				return ""
			}}
			inHarness(t, bridge.Config{}, []testPhone{{phone: c}}, func(h *harness) {
				if r := h.result("snom/desk/transfer", "12", 10*time.Second); r.OK {
					t.Fatalf("start: %+v, expected it to fail", r)
				}
				if r := h.result("snom/desk/transfer", "complete", time.Second); r.Code != bridge.Invalid || r.Requests != 0 {
					t.Errorf("%s at request %d, complete: %+v, expected invalid", fault, n, r)
				}
				want := bridge.Invalid
				if sent {
					want = bridge.OK
				}
				if r := h.result("snom/desk/transfer", "cancel", time.Second); r.Code != want {
					t.Errorf("%s at request %d, cancel: %+v, expected %s", fault, n, r, want)
				}
				if r := h.result("snom/desk/transfer", "12", 2*time.Second); r.Code != bridge.OK {
					t.Errorf("%s at request %d, another start: %+v, expected ok", fault, n, r)
				}
			})
		}
	}
}
