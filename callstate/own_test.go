package callstate

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/internal/jsonval"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// own applies what the bridge did itself, as the scripts name it. A request is sent a tenth of a second before
// the phone accepts it, or as much earlier as the script gives.
func own(s State, what string, now time.Time, said []string) (State, bool) {
	asked := now.Add(-100 * time.Millisecond)
	if len(said) > 0 {
		var seconds int
		if _, err := fmt.Sscan(said[0], &seconds); err == nil {
			asked = now.Add(-time.Duration(seconds) * time.Second)
		}
	}
	switch what {
	case "HUNGUP":
		return s.HungUp(asked, now), true
	case "HUNGUP_CURRENT":
		return s.HungUpCurrent(asked, now), true
	case "ANSWERED":
		return s.Answered(asked, now), true
	case "RESTARTED":
		return s.Restarted(now), true
	case "time":
		return s.Expire(now, ringTimeout, callTimeout), true
	}
	return s, false
}

// What the bridge does itself counts as if the phone had reported it, whether or not the phone reports it too.
func TestOwnActions(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, script string }{
		{"reject, and the phone reports nothing", `
			0 incoming a 5 | ringing 5 1
			4 HUNGUP       | ended 5 0 hung_up 0
			6 time         | idle - 0`},
		{"reject two calls, one after the other", `
			0 incoming a 5 | ringing 5 1
			1 incoming b 6 | ringing 6 2
			4 HUNGUP_CURRENT | ringing 6 2
			5 HUNGUP_CURRENT | ended 6 0 hung_up 0`},
		{"reject one of two calls, and the other is answered", `
			0 incoming a 5 | ringing 5 1
			1 incoming b 6 | ringing 6 2
			4 HUNGUP_CURRENT | ringing 6 2
			5 connected b 6  | connected 6 2
			6 HUNGUP_CURRENT | connected 6 2`},
		{"reject without a call id", `
			0 incoming - 5 | ringing 5 1
			4 HUNGUP       | ended 5 0 hung_up 0
			6 time         | idle - 0`},
		{"reject, late events", `
			0 incoming a 5 | ringing 5 1
			4 HUNGUP       | ended 5 0 hung_up 0
			4 disconnected a 5 | ended 5 0 hung_up 0
			4 missed a 5   | ended 5 0 hung_up 0
			5 connected a 5 | ended 5 0 hung_up 0
			6 incoming a 5 | idle - 0
			20 unhold a    | idle - 0`},
		{"hang up, and the phone reports it twice", `
			0 incoming a 5 | ringing 5 1
			1 connected a  | connected 5 1
			9 HUNGUP       | ended 5 0 hung_up 8
			9 disconnected a | ended 5 0 hung_up 8
			11 disconnected a | idle - 0
			12 onhook      | idle - 0`},
		{"cancel while dialing", `
			0 outgoing a 5 | dialing 5 1
			4 HUNGUP       | ended 5 0 hung_up 0`},
		{"a held call", `
			0 incoming a 5 | ringing 5 1
			1 connected a  | connected 5 1
			2 hold a       | held 5 1
			4 HUNGUP       | ended 5 0 hung_up 3`},
		{"all calls, the one that matters is shown", `
			0 incoming a 5 | ringing 5 1
			1 connected a  | connected 5 1
			2 hold a       | held 5 1
			3 outgoing b 6 | dialing 6 2
			4 connected b  | connected 6 2
			5 incoming c 7 | connected 6 3
			6 HUNGUP       | ended 6 0 hung_up 2`},
		{"nothing to end", `
			0 HUNGUP       | idle - 0
			1 HUNGUP_CURRENT | idle - 0
			2 RESTARTED    | idle - 0
			3 ANSWERED     | idle - 0`},
		{"the phone had reported it before", `
			0 incoming a 5 | ringing 5 1
			1 disconnected a | ended 5 0 unanswered 0
			1 HUNGUP       | ended 5 0 unanswered 0`},
		{"a call that began after the request goes on", `
			0 incoming a 5 | ringing 5 1
			3 incoming b 6 | ringing 6 2
			4 HUNGUP 2     | ringing 6 1
			5 connected b  | connected 6 1`},
		{"the end of the old call is not that of a new one", `
			0 incoming - 5 | ringing 5 1
			4 HUNGUP       | ended 5 0 hung_up 0
			5 incoming - 6 | ringing 6 1
			5 disconnected | ringing 6 1
			6 disconnected | ended 6 0 unanswered 0`},
		{"the end of the old call, by its id", `
			0 incoming a 5 | ringing 5 1
			4 HUNGUP       | ended 5 0 hung_up 0
			5 incoming - 5 | ringing 5 1
			5 disconnected a 5 | ringing 5 1`},
		{"the same caller tries again", `
			0 incoming a 5 | ringing 5 1
			1 HUNGUP       | ended 5 0 hung_up 0
			2 incoming b 5 | ringing 5 1
			3 HUNGUP       | ended 5 0 hung_up 0`},
		{"transferred, then hung up", `
			0 incoming a 5 | ringing 5 1
			1 connected a  | connected 5 1
			2 blind_transferred a | connected 5 1
			3 HUNGUP       | ended 5 0 transferred 2`},
		{"the current call", `
			0 incoming a 5 | ringing 5 1
			4 HUNGUP_CURRENT | ended 5 0 hung_up 0`},
		{"the current call of two is not certain", `
			0 incoming a 5 | ringing 5 1
			1 connected a  | connected 5 1
			2 incoming b 6 | connected 5 2
			4 HUNGUP_CURRENT | connected 5 2`},
		{"a held call may not be the current one", `
			0 incoming a 5 | ringing 5 1
			1 hold a       | held 5 1
			4 HUNGUP_CURRENT | held 5 1`},
		{"restart", `
			0 incoming a 5 | ringing 5 1
			1 connected a  | connected 5 1
			2 incoming b 6 | connected 5 2
			4 RESTARTED    | ended 5 0 restarted 3
			40 started     | idle - 0`},
		{"answer", `
			0 incoming a 5 | ringing 5 1
			3 ANSWERED     | connected 5 1
			3 offhook      | connected 5 1
			4 connected a 5 | connected 5 1
			9 disconnected a | ended 5 0 hung_up 6`},
		{"answer, and the beginning comes late", `
			0 incoming a 5 | ringing 5 1
			3 ANSWERED     | connected 5 1
			3 incoming a 5 | connected 5 1`},
		{"answer, but the caller was gone", `
			0 incoming a 5 | ringing 5 1
			3 ANSWERED     | connected 5 1
			3 missed a 5   | ended 5 0 missed 0`},
		{"answer, but the caller was gone, without an id", `
			0 incoming - 5 | ringing 5 1
			3 ANSWERED     | connected 5 1
			3 missed - 5   | ended 5 0 missed 0`},
		{"answer, and no more is reported", `
			0 incoming a 5 | ringing 5 1
			3 ANSWERED     | connected 5 1
			122 time       | connected 5 1
			123 time       | ended 5 0 timeout 120`},
		{"answer, confirmed, and no more is reported", `
			0 incoming a 5 | ringing 5 1
			3 ANSWERED     | connected 5 1
			4 connected a  | connected 5 1
			14403 time     | connected 5 1
			14404 time     | ended 5 0 timeout 14401`},
		{"answer with two calls is not certain", `
			0 incoming a 5 | ringing 5 1
			1 incoming b 6 | ringing 6 2
			3 ANSWERED     | ringing 6 2`},
		{"answer of a call that began after the request", `
			0 incoming a 5 | ringing 5 1
			1 ANSWERED 3   | ringing 5 1`},
		{"answer of a call that is dialed", `
			0 outgoing a 5 | dialing 5 1
			3 ANSWERED     | dialing 5 1`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			start := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
			var s State
			for line := range strings.Lines(strings.TrimSpace(tt.script)) {
				does, expected, _ := strings.Cut(strings.TrimSpace(line), "|")
				fields := strings.Fields(does)
				var seconds int
				if _, err := fmt.Sscan(fields[0], &seconds); err != nil {
					t.Fatal(err)
				}
				now := start.Add(time.Duration(seconds) * time.Second)
				next, isOwn := own(s, fields[1], now, fields[2:])
				if !isOwn {
					next = s.Step(event(fields[1], now, fields[2:]))
				}
				s = next
				if got, expected := brief(s.Status()), strings.TrimSpace(expected); got != expected {
					t.Errorf("after %q: %s, expected %s", strings.TrimSpace(does), got, expected)
				}
			}
		})
	}
}

// A missed call that the bridge rejected is still counted when the phone counts it.
func TestHungUpCallMayBeMissed(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	s := State{}.Step(event("incoming", now, []string{"a", "5"})).HungUp(now, now)
	for range 2 {
		s = s.Step(event("missed", now, []string{"a", "5"}))
	}
	if got := s.Status(); got.Missed != 1 || got.LastCaller.Number != "5" {
		t.Errorf("%d missed, last caller %+v, expected one and 5", got.Missed, got.LastCaller)
	}
}

func TestSwitches(t *testing.T) {
	t.Parallel()
	s := State{}.WithDND(true).WithForwarding(false)
	if got := s.Status(); got.DND != jsonval.On || got.Forwarding != jsonval.Off {
		t.Errorf("%+v, expected do not disturb on and no forwarding", got)
	}
	if got := s.WithDND(false).Status().DND; got != jsonval.Off {
		t.Errorf("do not disturb %v, expected off", got)
	}
}

func TestKnownIdle(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	tests := []struct {
		name, script string
		expected     bool
	}{
		{"nothing reported", "", false},
		{"do not disturb only", "dnd_on", false},
		{"it counts no call", "dnd_on - - n0", true},
		{"it counts one", "dnd_on - - n1", false},
		{"it started", "started", true},
		{"a call", "incoming a 5", false},
		{"a call ended", "incoming a 5; disconnected a", true},
		{"a call ended, and it still counts it", "incoming a 5 n1; disconnected a 5 n1", true},
		{"one of two ended", "incoming a 5; incoming b 6; disconnected a", false},
		{"one ended, and it counts another", "incoming a 5 n1; disconnected a 5 n1; onhook - - n1", false},
		{"the end of an unknown call", "disconnected a", false},
		{"missed", "incoming a 5; missed a 5", true},
		{"hung up by the bridge", "incoming a 5; HUNGUP", true},
		{"and the next one", "incoming a 5; disconnected a; incoming b 6", false},
		{"timed out", "incoming a 5; TIMEOUT", false},
	}
	for _, tt := range tests {
		var s State
		for line := range strings.SplitSeq(tt.script, "; ") {
			fields := strings.Fields(line)
			switch {
			case len(fields) == 0:
			case fields[0] == "HUNGUP":
				s = s.HungUp(now, now)
			case fields[0] == "TIMEOUT":
				s = s.Expire(now.Add(ringTimeout), ringTimeout, callTimeout)
			default:
				s = s.Step(event(fields[0], now, fields[1:]))
			}
		}
		if got := s.KnownIdle(); got != tt.expected {
			t.Errorf("%s: known to be idle: %v, expected %v", tt.name, got, tt.expected)
		}
	}
}

// The number of calls is that of the calls that began before the request, in any mix.
func TestHungUpEndsAll(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for n := range 2 * mostCalls {
		var s State
		for i := range n {
			name := []string{"incoming", "outgoing", "connected", "hold"}[i%4]
			s = s.Step(actionurl.Event{Type: actionurl.EventType(name), CallID: fmt.Sprint("id", i), Time: now})
		}
		before := s.Status()
		ended := s.HungUp(now, now.Add(time.Second))
		if got := ended.Status(); got.Calls != 0 || n > 0 && (got.Call.State != Ended || got.Call.CallID != before.Call.CallID) {
			t.Errorf("%d calls: %s, expected that of %s to be shown as ended", n, brief(got), before.Call.CallID)
		}
		if s.Status() != before {
			t.Errorf("%d calls: HungUp changed the state that it was called on", n)
		}
	}
}

// TestCounted: what a phone says that was asked for the number of its calls.
func TestCounted(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	at := func(seconds int) time.Time { return now.Add(time.Duration(seconds) * time.Second) }
	ringing := State{}.Step(actionurl.Event{Type: actionurl.EventIncoming, CallID: "a", Remote: actionurl.Party{Number: "28"}, Time: at(0)})
	if s := ringing.Counted(Counts{}, at(5), at(6)); s.Status().Calls != 0 || s.Status().Call.State != Ended || !s.KnownIdle() {
		t.Errorf("no call: %+v", s.Status())
	}
	if s := ringing.Counted(Counts{}, at(-1), at(1)); s.Status().Calls != 1 || s.KnownIdle() {
		t.Errorf("a call that began after the question: %+v", s.Status())
	}
	if s := ringing.Counted(Counts{All: 2, Ringing: 2}, at(5), at(6)); s.Status() != ringing.Status() {
		t.Errorf("two calls, one of them reported: %+v", s.Status())
	}
	for phase, n := range map[Phase]Counts{
		Connected: {All: 2, Connected: 1, Held: 1}, Dialing: {All: 1, Dialing: 1}, Ringing: {All: 1, Ringing: 1}, Held: {All: 1, Held: 1},
	} {
		s := State{}.Counted(n, at(0), at(1))
		if got := s.Status(); got.Calls != 1 || got.Call.State != phase || s.KnownIdle() {
			t.Errorf("%+v: %+v", n, got)
		}
		if _, talks := s.Talking(); talks != (phase == Connected) {
			t.Errorf("%+v: talking %t", n, talks)
		}
		// The event of its end is one of this call.
		s = s.Step(actionurl.Event{Type: actionurl.EventDisconnected, CallID: "b", Remote: actionurl.Party{Number: "28"}, Time: at(9)})
		if s.Status().Calls != 0 {
			t.Errorf("%+v: after its end %+v", n, s.Status())
		}
	}
	if s := (State{}).Counted(Counts{All: 1}, at(0), at(1)); s.Status().Call.State != Connected {
		t.Errorf("a call of which the state is not known: %+v", s.Status())
	}
	if s := (State{}).Counted(Counts{}, at(0), at(1)); !s.KnownIdle() || s.Status().Call.State != Idle {
		t.Errorf("%+v", s.Status())
	}
}
