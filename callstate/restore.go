package callstate

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/snom2mqtt/snom2mqtt/internal/cleantext"
	"github.com/snom2mqtt/snom2mqtt/internal/jsonval"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// restored is which parts of a status come from Restore and no event has confirmed.
type restored struct{ hook, dnd, forwarding, registered bool }

// Restore returns the state with what it does not know yet taken from old, the status of the same phone that an
// earlier process published, and which goes back to asOf. now is the time of the call. What the phone reported
// to this process wins; only the first call has an effect.
//
// A call that was under way goes on, for as long as it would have without a restart: its time-outs count from
// when it came into its phase, and [State.Expire] is to be called next. An event with the number of calls ends
// it sooner. The handset's position is taken over together with a call only.
func (s State) Restore(old Status, asOf, now time.Time) State {
	if !s.asOf.IsZero() {
		return s
	}
	s.calls, s.gone = slices.Clone(s.calls), slices.Clone(s.gone)
	s.asOf = atMost(asOf, now)
	if s.asOf.IsZero() {
		s.asOf = now
	}
	if s.status.DND == jsonval.Unknown && old.DND != jsonval.Unknown {
		s.status.DND, s.old.dnd = old.DND, true
	}
	if s.status.Forwarding == jsonval.Unknown && old.Forwarding != jsonval.Unknown {
		s.status.Forwarding, s.old.forwarding = old.Forwarding, true
	}
	if s.status.Registered == jsonval.Unknown && old.Registered != jsonval.Unknown {
		s.register("", old.Registered == jsonval.On)
		s.old.registered = true
	}
	if s.status.LastCaller == (Caller{}) {
		s.status.LastCaller = old.LastCaller
	}
	s.status.Missed = min(s.status.Missed+max(0, old.Missed), mostMissed)
	s.restoreCall(old, now)
	s.show(now)
	return s
}

// restoreCall tracks the call of old, unless the phone already reported a call.
func (s *State) restoreCall(old Status, now time.Time) {
	id, since := string(old.Call.CallID), rebase(old.Call.Since.Time, now)
	if len(s.calls) > 0 || s.status.Call.State != "" || slices.ContainsFunc(s.gone, func(g goneCall) bool { return g.id == id && id != "" }) {
		return
	}
	c := trackedCall{
		id: id, phase: old.Call.State, direction: old.Call.Direction, remote: old.Call.Remote,
		began: since, since: since, seen: since, old: true,
	}
	switch c.phase {
	case Connected, Held:
		c.answered = since
	case Ringing, Dialing:
	case Ended: // what comes late is recognized
		if g := s.remember(c, since); old.Call.Reason == EndMissed {
			s.gone[g].missed = true
		}
		return
	default:
		return
	}
	s.calls = append(s.calls, c)
	if s.status.Hook == "" && old.Hook != "" {
		s.status.Hook, s.old.hook = old.Hook, true
	}
}

// rebase returns the wall time t on the monotonic clock of now, and not after now. The zero time becomes now.
func rebase(t, now time.Time) time.Time {
	if t.IsZero() {
		return now
	}
	return now.Add(-max(0, now.Round(0).Sub(t.Round(0))))
}

func atMost(t, most time.Time) time.Time {
	if t.After(most) {
		return most
	}
	return t
}

// Bounds of a status that ParseStatus reads, chosen by this project.
const (
	maxStatus  = 16 << 10 // bytes
	maxText    = 512      // bytes, as actionurl.ParseEvent has it
	mostMissed = 1_000_000
)

// ParseStatus reads the document of a phone's status, as [Status] writes it and a bridge publishes it with
// further members. asOf is the time to which the document goes back; zero: it does not say.
//
// The document may come from another version, or from another client: a member that is not understood is
// unknown, texts are made valid and bounded. Only what is no JSON object, or longer than 16 KiB, is an error.
func ParseStatus(document []byte) (s Status, asOf time.Time, err error) {
	if len(document) > maxStatus {
		return Status{}, time.Time{}, fmt.Errorf("callstate: status of %d bytes, expected at most %d", len(document), maxStatus)
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(document, &m); err != nil {
		return Status{}, time.Time{}, fmt.Errorf("callstate: status: %w", err)
	}
	if m == nil {
		return Status{}, time.Time{}, fmt.Errorf("callstate: status: null, expected an object")
	}
	s = Status{
		Call: parseCall(m["call"]), Hook: oneOf(m["hook"], HookOn, HookOff),
		DND: parseSwitch(m["dnd"]), Forwarding: parseSwitch(m["forwarding"]), Registered: parseSwitch(m["registered"]),
		LastCaller: parseCaller(m["last_caller"]), Missed: parseCount(m["missed"], mostMissed), AsOf: parseTime(m["as_of"]),
	}
	if s.Call.State != Idle && s.Call.State != Ended {
		s.Calls = max(1, parseCount(m["calls"], mostCalls))
	}
	asOf = parseTime(m["time"]).Time
	if !s.AsOf.IsZero() && (asOf.IsZero() || s.AsOf.Before(asOf)) {
		asOf = s.AsOf.Time
	}
	return s, asOf, nil
}

// members returns the members of the object raw, nil when it is none.
func members(raw json.RawMessage) (m map[string]json.RawMessage) {
	if json.Unmarshal(raw, &m) != nil {
		return nil
	}
	return m
}

func parseCall(raw json.RawMessage) Call {
	m := members(raw)
	c := Call{
		State:     oneOf(m["state"], Phases()...),
		Direction: oneOf(m["direction"], actionurl.DirectionIn, actionurl.DirectionOut),
		CallID:    jsonval.Text(parseText(m["call_id"])),
		Since:     parseTime(m["since"]),
	}
	remote := members(m["remote"])
	c.Remote = actionurl.Party{Number: parseText(remote["number"]), Name: parseText(remote["name"]), URI: parseText(remote["uri"])}
	switch c.State {
	case "", Idle:
		return Call{State: Idle, Since: c.Since}
	case Ended:
		c.Reason = jsonval.Text(parseText(m["reason"]))
		c.DurationMS = int64(parseCount(m["duration_ms"], 1<<31-1))
	}
	return c
}

func parseCaller(raw json.RawMessage) Caller {
	m := members(raw)
	return Caller{Number: jsonval.Text(parseText(m["number"])), Name: jsonval.Text(parseText(m["name"])), Time: parseTime(m["time"])}
}

// oneOf returns the text raw when it is one of those known, otherwise the empty one.
func oneOf[T ~string](raw json.RawMessage, known ...T) T {
	if t := T(parseText(raw)); slices.Contains(known, t) {
		return t
	}
	return ""
}

func parseText(raw json.RawMessage) string {
	var t string
	if json.Unmarshal(raw, &t) != nil {
		return ""
	}
	return cleantext.Clean(t, maxText)
}

func parseSwitch(raw json.RawMessage) (s jsonval.Switch) {
	if json.Unmarshal(raw, &s) != nil {
		return jsonval.Unknown
	}
	return s
}

// parseCount returns the whole number raw, from 0 to most; 0 for anything else.
func parseCount(raw json.RawMessage, most int) int {
	var n int
	if json.Unmarshal(raw, &n) != nil {
		return 0
	}
	return min(max(n, 0), most)
}

func parseTime(raw json.RawMessage) jsonval.Time {
	t, err := time.Parse(time.RFC3339, parseText(raw))
	if err != nil || t.Year() < 2000 || t.Year() > 9000 { // no status is as old; and it must be written again
		return jsonval.Time{}
	}
	return jsonval.Moment(t)
}
