package callstate

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/snom2mqtt/snom2mqtt/internal/jsonval"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// whole is a status with everything in it, as a bridge publishes it.
const whole = `{"phone":"kitchen","reachable":true,"model":"D735","firmware":"10.1","mac":"000413aabbcc",` +
	`"call":{"state":"connected","direction":"in","call_id":"3c26-ab","remote":{"number":"+4930123","name":"Front <door> & co","uri":"sip:+4930123@pbx"},` +
	`"since":"2026-11-22T10:00:00.123Z","reason":null,"duration_ms":0},"calls":1,"hook":"off","dnd":true,"forwarding":false,"registered":true,` +
	`"last_caller":{"number":"+4930123","name":null,"time":"2026-11-22T09:59:50.000Z"},"missed":3,"last_result":null,"time":"2026-11-22T10:00:01.000Z"}`

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

func TestParseStatus(t *testing.T) {
	t.Parallel()
	s, asOf, err := ParseStatus([]byte(whole))
	expected := Status{
		Call: Call{State: Connected, Direction: actionurl.DirectionIn, CallID: "3c26-ab", Since: jsonval.Moment(at("2026-11-22T10:00:00.123Z")),
			Remote: actionurl.Party{Number: "+4930123", Name: "Front <door> & co", URI: "sip:+4930123@pbx"}},
		Calls: 1, Hook: HookOff, DND: jsonval.On, Forwarding: jsonval.Off, Registered: jsonval.On, Missed: 3,
		LastCaller: Caller{Number: "+4930123", Time: jsonval.Moment(at("2026-11-22T09:59:50Z"))},
	}
	if err != nil || s != expected || !asOf.Equal(at("2026-11-22T10:00:01Z")) {
		t.Errorf("ParseStatus = %+v, %v, %v, expected %+v", s, asOf, err, expected)
	}
	idle := Call{State: Idle}
	tests := []struct {
		name, document string
		expected       Status
		asOf           string
		fails          bool
	}{
		{name: "nothing known", document: `{}`, expected: Status{Call: idle}},
		{name: "a phone that reports nothing", document: `{"call":null,"calls":null,"hook":null,"dnd":null,"forwarding":null,"registered":null,"last_caller":null,"missed":null}`, expected: Status{Call: idle}},
		{name: "marked with its age", document: `{"dnd":false,"as_of":"2026-11-22T09:00:00Z","time":"2026-11-22T10:00:00Z"}`,
			expected: Status{Call: idle, DND: jsonval.Off, AsOf: jsonval.Moment(at("2026-11-22T09:00:00Z"))}, asOf: "2026-11-22T09:00:00Z"},
		{name: "marked with an age after its time", document: `{"as_of":"2026-11-22T11:00:00Z","time":"2026-11-22T10:00:00Z"}`,
			expected: Status{Call: idle, AsOf: jsonval.Moment(at("2026-11-22T11:00:00Z"))}, asOf: "2026-11-22T10:00:00Z"},
		{name: "members of other kinds", document: `{"call":[1],"calls":"two","hook":1,"dnd":"on","forwarding":0,"registered":{},"last_caller":"Tom","missed":1.5,"time":5,"as_of":true}`, expected: Status{Call: idle}},
		{name: "one member of another kind", document: `{"dnd":"yes","forwarding":true,"missed":2}`, expected: Status{Call: idle, Forwarding: jsonval.On, Missed: 2}},
		{name: "unknown words", document: `{"call":{"state":"parked","direction":"up","call_id":"a"},"hook":"flying"}`, expected: Status{Call: idle}},
		{name: "numbers out of range", document: `{"call":{"state":"held"},"calls":1e400,"missed":-1}`, expected: Status{Call: Call{State: Held}, Calls: 1}},
		{name: "large numbers", document: `{"call":{"state":"held"},"calls":5000,"missed":5000000}`, expected: Status{Call: Call{State: Held}, Calls: mostCalls, Missed: mostMissed}},
		{name: "a call that is not counted", document: `{"call":{"state":"ringing"},"calls":0}`, expected: Status{Call: Call{State: Ringing}, Calls: 1}},
		{name: "times out of range", document: `{"call":{"state":"held","since":"0000-01-01T00:00:00Z"},"calls":1,"time":"9999-12-31T23:59:59Z","last_caller":{"number":"5","time":"yesterday"}}`,
			expected: Status{Call: Call{State: Held}, Calls: 1, LastCaller: Caller{Number: "5"}}},
		{name: "an ended call", document: `{"call":{"state":"ended","call_id":"a","reason":"missed","duration_ms":5,"since":"2026-11-22T10:00:00+01:00"}}`,
			expected: Status{Call: Call{State: Ended, CallID: "a", Reason: EndMissed, DurationMS: 5, Since: jsonval.Moment(at("2026-11-22T09:00:00Z"))}}},
		{name: "control characters", document: `{"last_caller":{"number":"5\u0000\n"}}`, expected: Status{Call: idle, LastCaller: Caller{Number: "5\uFFFD\uFFFD"}}},
		{name: "a long text", document: `{"last_caller":{"name":"` + strings.Repeat("ä", 1000) + `"}}`, expected: Status{Call: idle, LastCaller: Caller{Name: jsonval.Text(strings.Repeat("ä", 256))}}},
		{name: "later versions", document: `{"dnd":true,"new":{"a":[1,2,{}]},"call":{"state":"idle","more":1}}`, expected: Status{Call: idle, DND: jsonval.On}},
		{name: "calls of an idle phone", document: `{"call":{"state":"idle"},"calls":2}`, expected: Status{Call: idle}},
		{name: "empty", document: ``, fails: true},
		{name: "no object", document: `[]`, fails: true},
		{name: "null", document: `null`, fails: true},
		{name: "availability", document: `online`, fails: true},
		{name: "half", document: whole[:100], fails: true},
		{name: "two", document: `{}{}`, fails: true},
		{name: "deep", document: strings.Repeat(`{"a":`, 2000) + `1` + strings.Repeat(`}`, 2000), expected: Status{Call: idle}},
		{name: "too long", document: `{"a":"` + strings.Repeat("x", maxStatus) + `"}`, fails: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, asOf, err := ParseStatus([]byte(tt.document))
			if (err != nil) != tt.fails || s != tt.expected {
				t.Errorf("ParseStatus = %+v, %v, expected %+v, error: %v", s, err, tt.expected, tt.fails)
			}
			if tt.asOf != "" && !asOf.Equal(at(tt.asOf)) || tt.asOf == "" && !asOf.IsZero() {
				t.Errorf("as of %v, expected %q", asOf, tt.asOf)
			}
		})
	}
}

// What a phone reported survives a restart of the bridge and is marked with its age until an event confirms it.
func TestRestore(t *testing.T) {
	t.Parallel()
	now := at("2026-11-22T10:00:30Z")
	old, asOf, err := ParseStatus([]byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	s := State{}.Restore(old, asOf, now)
	expected := old
	expected.AsOf = jsonval.Moment(asOf)
	if got := s.Status(); got != expected {
		t.Errorf("restored\n%+v, expected\n%+v", got, expected)
	}
	if s.KnownIdle() {
		t.Error("a phone with a restored call is known to be idle")
	}
	if again := s.Restore(Status{Missed: 7, DND: jsonval.Off}, asOf, now); again.Status() != s.Status() {
		t.Errorf("restored twice: %+v", again.Status())
	}
	document, err := jsonval.Marshal(s.Status())
	if err != nil || !strings.Contains(string(document), `"as_of":"2026-11-22T10:00:01.000Z"`) {
		t.Errorf("%s, %v, expected as_of in it", document, err)
	}
	steps := []struct {
		event, said string
		marked      bool
	}{
		{"connected", "a 6", true}, // another call
		{"disconnected", "a 6", true},
		{"unhold", "3c26-ab", true},
		{"dnd_off", "", true},
		{"forwarding_off", "", true},
		{"registered", "", true},
		{"onhook", "", false},
		{"offhook", "", false},
	}
	for _, step := range steps {
		s = s.Step(event(step.event, now, strings.Fields(step.said)))
		if got := s.Status(); !got.AsOf.IsZero() != step.marked {
			t.Errorf("after %s: as of %v, expected it to be set: %v", step.event, got.AsOf, step.marked)
		}
	}
	if document, err = jsonval.Marshal(s.Status()); err != nil || strings.Contains(string(document), "as_of") {
		t.Errorf("%s, %v, expected no as_of", document, err)
	}
	if got := s.Status(); got.Missed != 3 || got.LastCaller.Number != "+4930123" || got.DND != jsonval.Off {
		t.Errorf("%+v, expected missed calls and last caller of before", got)
	}
}

// What the phone reported to this process wins over what it reported to an earlier one.
func TestRestoreAfterEvents(t *testing.T) {
	t.Parallel()
	now := at("2026-11-22T10:00:30Z")
	old, asOf, err := ParseStatus([]byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	said := func(events ...string) State {
		var s State
		for _, e := range events {
			fields := strings.Fields(e)
			s = s.Step(event(fields[0], now, fields[1:]))
		}
		return s
	}
	tests := []struct {
		name     string
		state    State
		expected func(*Status)
	}{
		{"do not disturb", said("dnd_off"), func(s *Status) { s.DND = jsonval.Off }},
		{"forwarding", said("forwarding_on"), func(s *Status) { s.Forwarding = jsonval.On }},
		{"registration", said("unregistered"), func(s *Status) { s.Registered = jsonval.Off }},
		{"the handset", said("onhook"), func(s *Status) { s.Hook = HookOn }},
		{"the end of the call", said("disconnected 3c26-ab"), func(s *Status) { s.Call, s.Calls, s.Hook = Call{State: Idle}, 0, "" }},
		{"a missed call", said("missed b 6"), func(s *Status) {
			s.Missed, s.LastCaller = 4, Caller{Number: "6", Time: jsonval.Moment(now)}
		}},
		{"another call", said("incoming b 6"), func(s *Status) {
			s.Call = Call{State: Ringing, Direction: actionurl.DirectionIn, CallID: "b", Remote: actionurl.Party{Number: "6"}, Since: jsonval.Moment(now)}
			s.Hook, s.LastCaller = "", Caller{Number: "6", Time: jsonval.Moment(now)}
		}},
		{"a call that ended", said("incoming b 6", "disconnected b 6"), func(s *Status) {
			s.Call = Call{State: Ended, Direction: actionurl.DirectionIn, CallID: "b", Remote: actionurl.Party{Number: "6"}, Since: jsonval.Moment(now), Reason: EndUnanswered}
			s.Calls, s.Hook, s.LastCaller = 0, "", Caller{Number: "6", Time: jsonval.Moment(now)}
		}},
	}
	for _, tt := range tests {
		expected := old
		expected.AsOf = jsonval.Moment(asOf)
		tt.expected(&expected)
		if got := tt.state.Restore(old, asOf, now).Status(); got != expected {
			t.Errorf("%s:\n%+v, expected\n%+v", tt.name, got, expected)
		}
	}
}

// A call that was under way goes on, and ends when it would have ended without a restart.
func TestRestoredCallExpires(t *testing.T) {
	t.Parallel()
	since := at("2026-11-22T10:00:00Z")
	tests := []struct {
		phase    Phase
		restart  time.Duration // after since
		expected Phase         // right after the restart
		due      time.Duration // after since; 0: nothing to wait for
	}{
		{Ringing, time.Second, Ringing, ringTimeout},
		{Ringing, ringTimeout - time.Second, Ringing, ringTimeout},
		{Ringing, ringTimeout + time.Second, Ended, ringTimeout + endedShown},
		{Ringing, time.Hour, Idle, 0},
		{Dialing, time.Hour, Idle, 0},
		{Connected, time.Hour, Connected, callTimeout},
		{Connected, 100 * time.Hour, Idle, 0},
		{Held, time.Hour, Held, callTimeout},
		{Held, 5 * time.Hour, Idle, 0},
		{Ended, time.Second, Idle, 0},
		{Idle, time.Second, Idle, 0},
		{"", time.Second, Idle, 0},
		{Ringing, -time.Hour, Ringing, ringTimeout - time.Hour}, // the clock was set back: it rings from now on
	}
	for _, tt := range tests {
		now := since.Add(tt.restart)
		old := Status{Call: Call{State: tt.phase, CallID: "a", Since: jsonval.Moment(since)}, Calls: 1}
		s := State{}.Restore(old, now, now).Expire(now, ringTimeout, callTimeout)
		if got := s.Status().Call.State; got != tt.expected {
			t.Errorf("%s for %v: %s after the restart, expected %s", tt.phase, tt.restart, got, tt.expected)
		}
		next, ok := s.NextExpiry(ringTimeout, callTimeout)
		if ok != (tt.due != 0) || ok && !next.Equal(since.Add(tt.due)) {
			t.Errorf("%s for %v: next expiry %v, %v, expected %v after it began", tt.phase, tt.restart, next.Sub(since), ok, tt.due)
		}
		if !ok {
			continue
		}
		s = s.Expire(next.Add(endedShown), ringTimeout, callTimeout)
		if got := s.Status(); got.Call.State != Idle || got.Calls != 0 || !got.AsOf.IsZero() {
			t.Errorf("%s for %v: at the end %+v, expected idle", tt.phase, tt.restart, got)
		}
	}
}

// What a phone reports of a restored call is about that call, and its count of calls ends it.
func TestRestoredCallGoesOn(t *testing.T) {
	t.Parallel()
	since := at("2026-11-22T10:00:00Z")
	now := since.Add(time.Minute)
	tests := []struct {
		phase       Phase
		event, said string
		expected    string
	}{
		{Ringing, "connected", "a", "connected 5 1"},
		{Ringing, "connected", "", "connected 5 1"},
		{Ringing, "incoming", "a 5", "ringing 5 1"},
		{Ringing, "missed", "a 5", "ended 5 0 missed 0"},
		{Connected, "disconnected", "a", "ended 5 0 hung_up 60"},
		{Connected, "hold", "", "held 5 1"},
		{Connected, "onhook", "- - n0", "ended 5 0 timeout 60"},
		{Held, "unhold", "a", "connected 5 1"},
		{Ended, "missed", "a 5", "idle - 0"},
		{Connected, "started", "", "ended 5 0 restarted 60"},
	}
	for _, tt := range tests {
		old := Status{Call: Call{State: tt.phase, CallID: "a", Remote: actionurl.Party{Number: "5"}, Since: jsonval.Moment(since)}, Calls: 1}
		s := State{}.Restore(old, now, now).Step(event(tt.event, now, strings.Fields(tt.said)))
		if got := brief(s.Status()); got != tt.expected {
			t.Errorf("%s, %s %s: %s, expected %s", tt.phase, tt.event, tt.said, got, tt.expected)
		}
	}
	s := State{}.Restore(Status{Call: Call{State: Ended, CallID: "a", Reason: EndMissed, Since: jsonval.Moment(now)}, Missed: 1}, now, now)
	if got := s.Step(event("missed", now, []string{"a"})).Status().Missed; got != 1 {
		t.Errorf("%d missed calls, expected the one that was counted before", got)
	}
}

// FuzzParseStatus checks that whatever is read is bounded, is written and read again as the same, and that a
// state restored from it comes to rest.
func FuzzParseStatus(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte(`{"call":{"state":"ringing"},"as_of":"2026-11-22T10:00:00Z","missed":-5}`))
	f.Add([]byte(`{"call":{"state":"ended","since":"0001-01-01T00:00:00Z"},"dnd":1}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		s, asOf, err := ParseStatus(document)
		if err != nil {
			if len(err.Error()) > 500 || !utf8.ValidString(err.Error()) {
				t.Errorf("error %q", err)
			}
			return
		}
		for _, text := range []string{string(s.Call.CallID), s.Call.Remote.Number, s.Call.Remote.Name, s.Call.Remote.URI,
			string(s.Call.Reason), string(s.LastCaller.Number), string(s.LastCaller.Name), string(s.Hook)} {
			if len(text) > maxText || !utf8.ValidString(text) {
				t.Errorf("text %q", text)
			}
		}
		if !slices.Contains(Phases(), s.Call.State) || s.Calls < 0 || s.Calls > mostCalls || s.Missed < 0 || s.Missed > mostMissed {
			t.Errorf("%+v", s)
		}
		written, err := jsonval.Marshal(s)
		if err != nil || !json.Valid(written) {
			t.Fatalf("%+v: %s, %v", s, written, err)
		}
		if again, _, err := ParseStatus(written); err == nil && !reflect.DeepEqual(again, s) { // escapes may make it too long
			t.Errorf("%s is read as\n%+v, was\n%+v", written, again, s)
		}
		now := at("2026-11-22T10:00:00Z")
		state := State{}.Restore(s, asOf, now)
		if got := state.Status(); got.AsOf.After(now) || got.Calls != len(state.calls) {
			t.Errorf("restored %+v", got)
		}
		state = state.Expire(now.Add(callTimeout+endedShown), ringTimeout, callTimeout)
		if got := state.Status(); got.Call.State != Idle || got.Calls != 0 {
			t.Errorf("at the end %+v, expected idle", got)
		}
	})
}
