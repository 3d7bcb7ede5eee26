package callstate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/internal/jsonval"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

const (
	ringTimeout = 2 * time.Minute
	callTimeout = 4 * time.Hour
)

func TestStep(t *testing.T) {
	t.Parallel()
	// Each line is a second after the start, an event (or "time": the time-outs are looked at), what the
	// event says (call id, number, and calls when it starts with n), and what the status is then: state,
	// number, calls and, when ended, the reason and the seconds it was connected.
	tests := []struct {
		name   string
		script string
	}{
		{"incoming, by handset", `
			0 incoming a 5 | ringing 5 1
			1 offhook      | ringing 5 1
			2 connected a 5 | connected 5 1
			60 onhook      | connected 5 1
			61 disconnected a 5 | ended 5 0 hung_up 59
			62 time        | ended 5 0 hung_up 59
			63 time        | idle - 0`},
		{"outgoing", `
			0 outgoing a 5 | dialing 5 1
			3 connected a  | connected 5 1
			4 disconnected a | ended 5 0 hung_up 1`},
		{"outgoing, no answer", `
			0 outgoing a 5 | dialing 5 1
			3 disconnected a | ended 5 0 unanswered 0`},
		{"missed", `
			0 incoming a 5 | ringing 5 1
			9 disconnected a | ended 5 0 unanswered 0
			9 missed a 5     | ended 5 0 missed 0
			9 missed a 5     | ended 5 0 missed 0
			11 time | idle - 0`},
		{"missed says it all", `
			0 incoming a 5 | ringing 5 1
			9 missed a 5     | ended 5 0 missed 0
			9 disconnected a | ended 5 0 missed 0`},
		{"missed before its beginning", `
			0 missed a 5   | idle - 0
			0 incoming a 5 | idle - 0`},
		{"answered elsewhere", `
			0 incoming a 5 | ringing 5 1
			9 disconnected a 5 reason=SIP;cause=200;text="Call_completed_elsewhere" | ended 5 0 answered_elsewhere 0`},
		{"rejected, says nothing", `
			0 incoming a 5 | ringing 5 1
			119 time       | ringing 5 1
			120 time       | ended 5 0 timeout 0
			122 time       | idle - 0`},
		{"rejected, ends twice", `
			0 incoming a 5 | ringing 5 1
			5 disconnected a 5 | ended 5 0 unanswered 0
			7 disconnected a 5 | idle - 0`},
		{"not looked at for long", `
			0 incoming a 5 | ringing 5 1
			500 time       | idle - 0`},
		{"nothing more is heard", `
			0 outgoing a 5    | dialing 5 1
			100 connected a 5 | connected 5 1
			14499 time        | connected 5 1
			14500 time        | ended 5 0 timeout 14400`},
		{"answered after the time-out", `
			0 incoming a 5  | ringing 5 1
			200 time        | idle - 0
			201 connected a 5 | connected 5 1`},
		{"held and back", `
			0 incoming a 5 | ringing 5 1
			1 connected a  | connected 5 1
			2 hold a       | held 5 1
			3 hold a       | held 5 1
			4 unhold a     | connected 5 1
			5 disconnected a | ended 5 0 hung_up 4`},
		{"second call while one is held", `
			0 incoming a 5 | ringing 5 1
			1 connected a  | connected 5 1
			2 hold a       | held 5 1
			3 outgoing b 6 | dialing 6 2
			4 connected b  | connected 6 2
			5 disconnected b | held 5 1
			6 unhold a     | connected 5 1
			7 disconnected a | ended 5 0 hung_up 6`},
		{"call waiting", `
			0 incoming a 5 | ringing 5 1
			1 connected a  | connected 5 1
			2 incoming b 6 | connected 5 2
			3 disconnected a | ringing 6 1
			4 connected b  | connected 6 1`},
		{"two ring", `
			0 incoming a 5 | ringing 5 1
			1 incoming b 6 | ringing 6 2
			2 missed b 6   | ringing 5 1`},
		{"transferred", `
			0 incoming a 5 | ringing 5 1
			1 connected a  | connected 5 1
			2 blind_transferred a | connected 5 1
			3 transfer_received a | connected 5 1
			4 disconnected a | ended 5 0 transferred 3`},
		{"transfer of no call", `
			0 transferred a | idle - 0
			0 transfer_received a | idle - 0`},
		{"the call is not named, incoming", `
			0 incoming - 5 | ringing 5 1
			0 incoming - 5 | ringing 5 1
			1 connected    | connected 5 1
			1 incoming - 5 | connected 5 1
			2 hold         | held 5 1
			3 unhold       | connected 5 1
			4 disconnected | ended 5 0 hung_up 3
			4 connected - 5 | ended 5 0 hung_up 3`},
		{"the call is not named, second call", `
			0 incoming - 5 | ringing 5 1
			1 connected - 5 | connected 5 1
			2 incoming - 6 | connected 5 2
			3 disconnected - 6 | connected 5 1
			3 disconnected - 6 | connected 5 1
			4 missed - 6   | connected 5 1`},
		{"the call is not named, and the caller rings again at once", `
			0 incoming - 5 | ringing 5 1
			1 disconnected - 5 | ended 5 0 unanswered 0
			2 incoming - 5 | ringing 5 1`},
		{"the call is not named, and the end was not received", `
			0 incoming - 5 | ringing 5 1
			100 incoming - 5 | ringing 5 1
			140 time | ringing 5 1
			220 time | ended 5 0 timeout 0`},
		{"the beginning does not say which call", `
			0 incoming - 5 | ringing 5 1
			1 connected a 5 | connected 5 1
			2 disconnected a | ended 5 0 hung_up 1`},
		{"not heard at first", `
			0 connected a 5 | connected 5 1
			1 disconnected a | ended 5 0 hung_up 1`},
		{"hold not heard at first", `
			0 hold a 5   | held 5 1
			1 unhold a   | connected 5 1`},
		{"hold of nothing", `
			0 hold   | idle - 0
			0 disconnected | idle - 0`},
		{"the end comes first", `
			0 disconnected a | idle - 0
			0 connected a 5  | idle - 0
			0 incoming a 5   | idle - 0`},
		{"the beginning comes second", `
			0 connected a 5 | connected 5 1
			0 incoming a 5  | connected 5 1
			1 disconnected a | ended 5 0 hung_up 1`},
		{"restart", `
			0 incoming a 5 | ringing 5 1
			1 connected a  | connected 5 1
			2 incoming b 6 | connected 5 2
			3 started      | ended 5 0 restarted 2
			5 time         | idle - 0`},
		{"the phone has no call any more", `
			0 incoming a 5  | ringing 5 1
			1 connected a   | connected 5 1
			9 onhook n0     | ended 5 0 timeout 8`},
		{"the phone has fewer calls", `
			0 incoming a 5 n1 | ringing 5 1
			1 connected a n1  | connected 5 1
			5 hold a n1       | held 5 1
			6 outgoing b 6 n2 | dialing 6 2
			7 connected b n2  | connected 6 2
			8 onhook n1       | connected 6 1`},
		{"a phone that counts calls that ring", `
			0 incoming a 5 n1 | ringing 5 1
			1 incoming b 6 n1 | ringing 6 2
			2 connected b n1  | connected 6 2
			3 disconnected b n0 | ended 5 0 timeout 0`},
		{"a phone that does not", `
			0 incoming a 5 n0 | ringing 5 1
			1 offhook n0      | ringing 5 1
			2 connected a n1  | connected 5 1
			3 incoming b 6 n1 | connected 5 2
			4 disconnected a n0 | ringing 6 1`},
		{"the one spoken of stays", `
			0 incoming a 5 | ringing 5 1
			1 connected a n0 | connected 5 1
			2 connected b n0 | connected - 1
			3 hold b n0 | held - 1`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			start := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
			var s State
			for line := range strings.Lines(strings.TrimSpace(tt.script)) {
				does, want, _ := strings.Cut(strings.TrimSpace(line), "|")
				fields := strings.Fields(does)
				var seconds int
				if _, err := fmt.Sscan(fields[0], &seconds); err != nil {
					t.Fatal(err)
				}
				now := start.Add(time.Duration(seconds) * time.Second)
				if fields[1] == "time" {
					s = s.Expire(now, ringTimeout, callTimeout)
				} else {
					s = s.Step(event(fields[1], now, fields[2:]))
				}
				got, want := brief(s.Status()), strings.TrimSpace(want)
				if got != want {
					t.Errorf("after %q: %s, expected %s", strings.TrimSpace(does), got, want)
				}
			}
		})
	}
}

// event reads the rest of a line of a script: call id, number, n and the count of calls.
func event(name string, now time.Time, said []string) actionurl.Event {
	e := actionurl.Event{Type: actionurl.EventType(name), Time: now}
	switch e.Type {
	case actionurl.EventIncoming, actionurl.EventMissed:
		e.Direction = actionurl.DirectionIn
	case actionurl.EventOutgoing:
		e.Direction = actionurl.DirectionOut
	}
	for i, f := range said {
		switch {
		case strings.HasPrefix(f, "n"):
			e.Calls, e.CallsKnown = int(f[1]-'0'), true
		case strings.HasPrefix(f, "reason="):
			e.Reason = f[len("reason="):]
		case f == "-":
		case i == 0:
			e.CallID = f
		case i == 1:
			e.Remote = actionurl.Party{Number: f}
		}
	}
	return e
}

// brief is a status as the scripts write it.
func brief(s Status) string {
	number := s.Call.Remote.Number
	if number == "" {
		number = "-"
	}
	text := fmt.Sprintf("%s %s %d", s.Call.State, number, s.Calls)
	if s.Call.State == Ended {
		text += fmt.Sprintf(" %s %d", s.Call.Reason, s.Call.DurationMS/1000)
	}
	return text
}

func TestRest(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	var s State
	if got, want := s.Status(), (Status{Call: Call{State: Idle}}); got != want {
		t.Errorf("at first %+v, expected %+v", got, want)
	}
	steps := []struct {
		event, line string
		want        Status
	}{
		{"offhook", "", Status{Hook: HookOff}},
		{"onhook", "", Status{Hook: HookOn}},
		{"dnd_on", "", Status{Hook: HookOn, DND: jsonval.On}},
		{"dnd_off", "", Status{Hook: HookOn, DND: jsonval.Off}},
		{"forwarding_on", "", Status{Hook: HookOn, DND: jsonval.Off, Forwarding: jsonval.On}},
		{"forwarding_off", "", Status{Hook: HookOn, DND: jsonval.Off, Forwarding: jsonval.Off}},
		{"registration_failed", "", Status{Hook: HookOn, DND: jsonval.Off, Forwarding: jsonval.Off, Registered: jsonval.Off}},
		{"registered", "27@pbx", Status{Hook: HookOn, DND: jsonval.Off, Forwarding: jsonval.Off, Registered: jsonval.On}},
		{"registered", "28@pbx", Status{Hook: HookOn, DND: jsonval.Off, Forwarding: jsonval.Off, Registered: jsonval.On}},
		{"unregistered", "27@pbx", Status{Hook: HookOn, DND: jsonval.Off, Forwarding: jsonval.Off, Registered: jsonval.On}},
		{"registration_failed", "28@pbx", Status{Hook: HookOn, DND: jsonval.Off, Forwarding: jsonval.Off, Registered: jsonval.Off}},
		{"registered", "", Status{Hook: HookOn, DND: jsonval.Off, Forwarding: jsonval.Off, Registered: jsonval.On}},
		{"registration_failed", "", Status{Hook: HookOn, DND: jsonval.Off, Forwarding: jsonval.Off, Registered: jsonval.Off}},
		{"key_long_press", "", Status{Hook: HookOn, DND: jsonval.Off, Forwarding: jsonval.Off, Registered: jsonval.Off}},
		{"started", "", Status{DND: jsonval.Off, Forwarding: jsonval.Off, Registered: jsonval.Off}},
	}
	for _, step := range steps {
		s = s.Step(actionurl.Event{Type: actionurl.EventType(step.event), Line: step.line, Time: now})
		step.want.Call.State = Idle
		if got := s.Status(); got != step.want {
			t.Errorf("after %s %s: %+v, expected %+v", step.event, step.line, got, step.want)
		}
	}
}

func TestCallers(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.FixedZone("", 3600))
	at := func(s int) jsonval.Time { return jsonval.Time{Time: now.Add(time.Duration(s) * time.Second).UTC()} }
	steps := []struct {
		second     int
		event      string
		said       string
		wantCaller Caller
		wantMissed int
	}{
		{0, "outgoing", "a 5", Caller{}, 0},
		{1, "incoming", "b 6", Caller{Number: "6", Time: at(1)}, 0},
		{2, "incoming", "b 6", Caller{Number: "6", Time: at(1)}, 0},
		{3, "missed", "b 6", Caller{Number: "6", Time: at(1)}, 1},
		{4, "missed", "b 6", Caller{Number: "6", Time: at(1)}, 1},
		{5, "disconnected", "b 6", Caller{Number: "6", Time: at(1)}, 1},
		{6, "missed", "c 7", Caller{Number: "7", Time: at(6)}, 2},
		{6, "missed", "- 7", Caller{Number: "7", Time: at(6)}, 2},
		{10, "missed", "- 7", Caller{Number: "7", Time: at(6)}, 3},
		{11, "disconnected", "a", Caller{Number: "7", Time: at(6)}, 3},
		{20, "missed", "d", Caller{Number: "7", Time: at(6)}, 4},
	}
	var s State
	for _, step := range steps {
		s = s.Step(event(step.event, now.Add(time.Duration(step.second)*time.Second), strings.Fields(step.said)))
		if got := s.Status(); got.LastCaller != step.wantCaller || got.Missed != step.wantMissed {
			t.Errorf("after %s %s: %+v, %d missed, expected %+v, %d",
				step.event, step.said, got.LastCaller, got.Missed, step.wantCaller, step.wantMissed)
		}
	}
	if got, want := s.ClearMissed().Status().Missed, 0; got != want {
		t.Errorf("%d missed, expected %d", got, want)
	}
	if got, want := (State{}).Step(event("missed", now, nil)).Status().LastCaller, (Caller{Time: at(0)}); got != want {
		t.Errorf("last caller %+v, expected %+v", got, want)
	}
}

func TestComplete(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	s := State{}.Step(event("incoming", now, []string{"a", "5"}))
	ended := s.Step(event("disconnected", now, []string{"a"}))
	tests := []struct {
		name          string
		state         State
		event, said   string
		wantDirection actionurl.Direction
		wantNumber    string
	}{
		{"the end of a call", s, "disconnected", "a", actionurl.DirectionIn, "5"},
		{"it says so itself", s, "disconnected", "a 6", actionurl.DirectionIn, "6"},
		{"another call", s, "disconnected", "b", "", ""},
		{"late", ended, "connected", "a", actionurl.DirectionIn, "5"},
		{"no call", s, "dnd_on", "", "", ""},
		{"no call, after one", ended, "started", "", "", ""},
		{"the handset, after a call", ended, "onhook", "", "", ""},
		{"the handset, and which call", s, "onhook", "a", actionurl.DirectionIn, "5"},
		{"late, and which call is not said", ended, "disconnected", "", actionurl.DirectionIn, "5"},
		{"a new call", ended, "outgoing", "", actionurl.DirectionOut, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := tt.state.Complete(event(tt.event, now, strings.Fields(tt.said)))
			if got.Direction != tt.wantDirection || got.Remote.Number != tt.wantNumber {
				t.Errorf("direction %q, number %q, expected %q, %q", got.Direction, got.Remote.Number, tt.wantDirection, tt.wantNumber)
			}
		})
	}
}

func TestNextExpiry(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	steps := []struct {
		event, said string
		want        time.Duration // after now; 0: never
	}{
		{"onhook", "", 0},
		{"incoming", "a 5", ringTimeout},
		{"connected", "a", callTimeout},
		{"outgoing", "b 6", ringTimeout},
		{"hold", "b", callTimeout},
		{"disconnected", "a", callTimeout},
		{"disconnected", "b", endedShown},
	}
	var s State
	for _, step := range steps {
		s = s.Step(event(step.event, now, strings.Fields(step.said)))
		got, ok := s.NextExpiry(ringTimeout, callTimeout)
		if ok != (step.want != 0) || ok && !got.Equal(now.Add(step.want)) {
			t.Errorf("after %s %s: next expiry %v, %v, expected in %v", step.event, step.said, got, ok, step.want)
		}
	}
}

func TestSameParty(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		a, b actionurl.Party
		want bool
	}{
		{"no party known", actionurl.Party{}, actionurl.Party{}, true},
		{"one not known", actionurl.Party{Number: "5"}, actionurl.Party{}, true},
		{"numbers", actionurl.Party{Number: "5", URI: "sip:5@a"}, actionurl.Party{Number: "5", URI: "sip:5@b"}, true},
		{"other number", actionurl.Party{Number: "5", Name: "Tom"}, actionurl.Party{Number: "6", Name: "Tom"}, false},
		{"other address", actionurl.Party{URI: "sip:a", Name: "Tom"}, actionurl.Party{URI: "sip:b", Name: "Tom"}, false},
		{"other name", actionurl.Party{Name: "Tom", Number: "5"}, actionurl.Party{Name: "Jerry", URI: "sip:a"}, false},
		{"nothing to compare", actionurl.Party{Name: "Tom"}, actionurl.Party{Number: "5"}, true},
	}
	for _, tt := range tests {
		if got := sameParty(tt.a, tt.b); got != tt.want {
			t.Errorf("%s: sameParty(%v, %v) = %v, expected %v", tt.name, tt.a, tt.b, got, tt.want)
		}
	}
}

func TestCallStatusJSON(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 11, 0, 0, 123456789, time.FixedZone("", 3600))
	tests := []struct {
		name string
		in   Status
		want string
	}{
		{"at first", State{}.Status(), `{"call":{"state":"idle","direction":null,"call_id":null,"remote":{"number":null,` +
			`"name":null,"uri":null},"since":null,"reason":null,"duration_ms":0},"calls":0,"hook":null,"dnd":null,` +
			`"forwarding":null,"registered":null,"last_caller":null,"missed":0}`},
		{"after a call", State{}.Step(actionurl.Event{Type: actionurl.EventIncoming, Direction: actionurl.DirectionIn, CallID: "a", Time: now,
			Remote: actionurl.Party{Number: "5", Name: "Tom", URI: "sip:5@pbx"}}).Step(actionurl.Event{Type: actionurl.EventConnected, CallID: "a", Time: now}).
			Step(actionurl.Event{Type: actionurl.EventDisconnected, CallID: "a", Time: now.Add(time.Second)}).
			Step(actionurl.Event{Type: actionurl.EventOnhook, Time: now}).Step(actionurl.Event{Type: actionurl.EventDNDOn, Time: now}).
			Step(actionurl.Event{Type: actionurl.EventForwardingOff, Time: now}).Step(actionurl.Event{Type: actionurl.EventRegistered, Time: now}).Status(),
			`{"call":{"state":"ended","direction":"in","call_id":"a","remote":{"number":"5","name":"Tom","uri":"sip:5@pbx"},` +
				`"since":"2026-11-22T10:00:01.123Z","reason":"hung_up","duration_ms":1000},"calls":0,"hook":"on","dnd":true,` +
				`"forwarding":false,"registered":true,"last_caller":{"number":"5","name":"Tom","time":"2026-11-22T10:00:00.123Z"},` +
				`"missed":0}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := json.Marshal(tt.in)
			if err != nil || string(got) != tt.want {
				t.Errorf("got  %s, %v\nexpected %s", got, err, tt.want)
			}
		})
	}
}

func TestIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	var s State
	for i := range 100 {
		id := fmt.Sprint(i)
		s = s.Step(event("incoming", now, []string{id, id}))
		s = s.Step(event("disconnected", now, []string{"x" + id}))
		s = s.Step(actionurl.Event{Type: actionurl.EventRegistered, Line: id, Time: now})
	}
	if len(s.calls) != mostCalls || len(s.gone) != mostGone || len(s.lines) != mostLines {
		t.Errorf("%d calls, %d gone, %d lines, expected %d, %d, %d",
			len(s.calls), len(s.gone), len(s.lines), mostCalls, mostGone, mostLines)
	}
	if got, want := s.Status().Call.Remote.Number, "99"; got != want {
		t.Errorf("foremost call %s, expected %s", got, want)
	}
	if s = s.Step(event("dnd_on", now.Add(time.Minute), nil)); len(s.gone) != 0 {
		t.Errorf("%d calls gone are remembered after a minute, expected none", len(s.gone))
	}
}

// Calls that say which they are end when their end was heard, whatever else came twice, late or
// never: nothing has to time out.
func TestAnyOrder(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	start := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for round := range 2000 {
		var events []actionurl.Event
		for c := range 1 + rng.IntN(4) {
			id, number := fmt.Sprint("call", c), fmt.Sprint(c)
			say := func(name string, chance float64) {
				for rng.Float64() < chance { // sometimes twice
					events = append(events, event(name, start, []string{id, number}))
					chance /= 4
				}
			}
			say([]string{"incoming", "outgoing"}[rng.IntN(2)], 0.9)
			say("connected", 0.7)
			say("hold", 0.3)
			say("unhold", 0.3)
			say("blind_transferred", 0.1)
			say("missed", 0.3)
			events = append(events, event("disconnected", start, []string{id, number}))
		}
		rng.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		var s State
		for i := range events {
			events[i].Time = start.Add(time.Duration(i) * 100 * time.Millisecond)
			s = s.Step(events[i])
		}
		if got := s.Status(); got.Calls != 0 || got.Call.State != Idle && got.Call.State != Ended {
			t.Fatalf("round %d: %s after %+v", round, brief(got), events)
		}
	}
}

// A hundred thousand calls as phones were seen to make them, one after the other.
func TestManyCalls(t *testing.T) {
	t.Parallel()
	scripts := [][]string{
		{"incoming", "disconnected", "missed"},
		{"incoming", "connected", "disconnected"},
		{"incoming", "connected", "offhook", "onhook", "disconnected"},
		{"incoming", "connected", "offhook", "disconnected", "onhook"},
		{"incoming", "offhook", "connected", "onhook", "disconnected"},
		{"outgoing", "disconnected"},
		{"outgoing", "connected", "disconnected"},
		{"offhook", "outgoing", "connected", "onhook", "disconnected"},
		{"incoming", "disconnected", "disconnected"},
		{"incoming"}, // rejected
	}
	rng := rand.New(rand.NewPCG(3, 4))
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	var s State
	missed := 0
	for i := range 100_000 {
		script := scripts[rng.IntN(len(scripts))]
		said := []string{fmt.Sprint(i), "5"}
		if rng.IntN(10) == 0 {
			said[0] = "-"
		}
		for _, name := range script {
			now = now.Add(time.Second)
			s = s.Step(event(name, now, said))
			if name == "missed" {
				missed++
			}
		}
		now = now.Add(10 * time.Second)
		if len(script) == 1 {
			now = now.Add(ringTimeout)
		}
		s = s.Expire(now, ringTimeout, callTimeout)
		if got := s.Status(); got.Call.State != Idle || got.Calls != 0 || got.Missed != missed {
			t.Fatalf("call %d %q: %s, %d missed, expected idle, %d", i, script, brief(got), got.Missed, missed)
		}
	}
}

// FuzzState: after any events in any order, from any state, the phone is idle when the
// time-outs are over, looked at one by one or all at once; no step changes the state it began from, and
// a status is another one exactly when it reads so.
func FuzzState(f *testing.F) {
	f.Add([]byte{0, 1, 5, 2, 1, 5, 3, 1, 5})
	f.Add([]byte{0, 0, 0, 0, 16, 1, 4, 0, 250, 20, 3, 9})
	f.Add([]byte{0, 0x44, 0, 24, 0x44, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		types := actionurl.EventTypes()
		now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
		var s State
		for len(script) >= 3 {
			kind, who, wait := script[0], script[1], script[2]
			script = script[3:]
			now = now.Add(time.Duration(wait)*time.Duration(wait)*20*time.Millisecond + time.Duration(kind)*time.Microsecond)
			e := actionurl.Event{Type: types[int(kind)%len(types)], Time: now}
			if who&3 != 0 {
				e.CallID = string('a' + rune(who&3))
			}
			if who>>2&3 != 0 {
				e.Remote.Number = string('0' + rune(who>>2&3))
			}
			if n := int(who >> 4 & 7); n < 4 {
				e.Calls, e.CallsKnown = n, true
			}
			if who>>7 != 0 { // arrived before what came before it
				e.Time = now.Add(-time.Duration(wait) * 10 * time.Millisecond)
			}
			before := s
			before.calls, before.gone, before.lines = slices.Clone(s.calls), slices.Clone(s.gone), slices.Clone(s.lines)
			next := s.Step(e)
			if expired := next.Expire(now, ringTimeout, callTimeout); kind > 200 {
				next = expired
			}
			if !reflect.DeepEqual(s, before) {
				t.Fatalf("Step(%+v) changed what it began from: %+v, expected %+v", e, s, before)
			}
			status := next.Status()
			if !slices.Contains(Phases(), status.Call.State) || status.Calls != len(next.calls) ||
				(status.Calls > 0) == (status.Call.State == Idle || status.Call.State == Ended) {
				t.Fatalf("after %+v: %+v", e, status)
			}
			document, err := json.Marshal(status)
			if err != nil {
				t.Fatalf("%s, %v", document, err)
			}
			if old, _ := json.Marshal(s.Status()); (status != s.Status()) != !bytes.Equal(document, old) {
				t.Fatalf("after %+v a status that is the same and not: %s", e, document)
			}
			s = next
		}
		atOnce := s.Expire(now.Add(callTimeout+endedShown), ringTimeout, callTimeout).Status()
		for range mostCalls + 2 {
			next, ok := s.NextExpiry(ringTimeout, callTimeout)
			if !ok {
				break
			}
			if next.After(now.Add(callTimeout + endedShown)) {
				t.Fatalf("next expiry %v, expected within the time-outs from %v", next, now)
			}
			if again := s.Expire(next.Add(-1), ringTimeout, callTimeout).Status(); again != s.Status() {
				t.Fatalf("changes before its time: %+v, was %+v", again, s.Status())
			}
			s = s.Expire(next, ringTimeout, callTimeout)
		}
		if got := s.Status(); got.Call.State != Idle || got.Calls != 0 || got != atOnce {
			t.Fatalf("at the end %+v, all at once %+v, expected idle", got, atOnce)
		}
	})
}

func BenchmarkStep(b *testing.B) {
	b.ReportAllocs()
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	script := []actionurl.Event{
		event("incoming", now, []string{"a", "5"}), event("connected", now, []string{"a", "5"}),
		event("disconnected", now, []string{"a", "5"}),
	}
	var s State
	for i := 0; b.Loop(); i++ {
		e := script[i%len(script)]
		e.CallID = fmt.Sprint(i / len(script))
		s = s.Step(e)
	}
}
