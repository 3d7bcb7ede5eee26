// Package callstate follows what a phone is doing - its calls, handset, do not disturb, forwarding, registration -
// by the events that it reports. It is pure: it has no clock, does no I/O, and its values are comparable.
package callstate

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/snom2mqtt/snom2mqtt/internal/jsonval"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// A Phase is the state of a phone, or of one of its calls.
type Phase string

// The phases. A call that ended shows as such for two seconds.
const (
	Idle      Phase = "idle"
	Ringing   Phase = "ringing"
	Dialing   Phase = "dialing"
	Connected Phase = "connected"
	Held      Phase = "held"
	Ended     Phase = "ended"
)

// Phases returns every phase.
func Phases() []Phase {
	return []Phase{Idle, Ringing, Dialing, Connected, Held, Ended}
}

// The reasons for which a call ended.
const (
	EndHungUp      jsonval.Text = "hung_up"            // by either side after it was connected, or by the bridge
	EndUnanswered  jsonval.Text = "unanswered"         // it never was connected
	EndMissed      jsonval.Text = "missed"             // the same, and the phone reports it as missed
	EndElsewhere   jsonval.Text = "answered_elsewhere" // another phone took it
	EndTransferred jsonval.Text = "transferred"
	EndRestarted   jsonval.Text = "restarted" // the phone restarted
	EndTimeout     jsonval.Text = "timeout"   // no further event came; a call that is rejected at the phone fires none
)

// The positions of the handset.
const (
	HookOn  jsonval.Text = "on"
	HookOff jsonval.Text = "off"
)

// A Call is the call that a phone's status shows.
type Call struct {
	State      Phase               `json:"state"`
	Direction  actionurl.Direction `json:"direction"`
	CallID     jsonval.Text        `json:"call_id"`
	Remote     actionurl.Party     `json:"remote"`
	Since      jsonval.Time        `json:"since"`       // it is in this state; null: always was
	Reason     jsonval.Text        `json:"reason"`      // of the end, while the state is ended
	DurationMS int64               `json:"duration_ms"` // it was connected, while the state is ended
}

// A Caller is the last caller. The zero Caller, none yet, is null in JSON.
type Caller struct {
	Number jsonval.Text `json:"number"`
	Name   jsonval.Text `json:"name"`
	Time   jsonval.Time `json:"time"`
}

// MarshalJSON writes the caller, or null.
func (c Caller) MarshalJSON() ([]byte, error) {
	if c == (Caller{}) {
		return []byte("null"), nil
	}
	type plain Caller // without this method
	return json.Marshal(plain(c))
}

// A Status is what is known of a phone from its events, as its status document shows it. Values are comparable with ==.
type Status struct {
	Call       Call           `json:"call"`  // the one that matters most: connected, dialing, ringing, held, in this order
	Calls      int            `json:"calls"` // how many there are
	Hook       jsonval.Text   `json:"hook"`
	DND        jsonval.Switch `json:"dnd"`
	Forwarding jsonval.Switch `json:"forwarding"`
	Registered jsonval.Switch `json:"registered"` // at least one identity is; false: all that are known are not
	LastCaller Caller         `json:"last_caller"`
	Missed     int            `json:"missed"` // calls since the first event, or since [State.ClearMissed]
	// AsOf is set while Call, Hook, DND, Forwarding or Registered come from [State.Restore] and no event has
	// confirmed them since: the time to which they go back.
	AsOf jsonval.Time `json:"as_of,omitzero"`
}

// A State follows the calls of one phone by its events. It is a value: no method changes the one that it is called
// on. The zero State is that of a phone which reported nothing yet.
//
// Every event comes over a connection of its own, so it may come twice, late or never, and some firmware does not
// name the call. No order of events leaves the state stuck: a call without further events ends by time-out, see
// [State.Expire].
type State struct {
	status Status
	calls  []trackedCall // in the order in which they began
	gone   []goneCall    // that ended lately, the oldest first
	lines  []trackedLine // identities of which an event came
	over   time.Time     // until then the last call shows as ended
	counts bool          // nr_ongoing_calls of this phone counts a call that rings
	idle   bool          // the phone is certainly idle while no call is tracked
	// rejected is how many of several calls that ring were ended by the bridge, which does not know which ones.
	rejected uint8
	old      restored  // what Restore set and no event has confirmed
	asOf     time.Time // of what Restore set; zero: it was not called
}

// trackedCall is a call that is under way.
type trackedCall struct {
	id          string // empty: the phone did not name it
	phase       Phase
	direction   actionurl.Direction
	remote      actionurl.Party
	began       time.Time
	since       time.Time // of phase
	seen        time.Time // of its last event
	answered    time.Time // zero: not yet
	transferred bool
	assumed     bool // answered by the bridge, and the phone has not confirmed it
	old         bool // from Restore, and no event has confirmed it
}

// goneCall is a call that ended. It is remembered so that events that come late or twice are recognized.
type goneCall struct {
	id        string
	direction actionurl.Direction
	remote    actionurl.Party
	at        time.Time
	missed    bool // counted as such
	awaited   bool // ended by the bridge, and the phone has not confirmed it
}

// trackedLine is one identity of the phone; an empty name is all of them.
type trackedLine struct {
	name       string
	registered bool
}

const (
	endedShown   = 2 * time.Second
	goneRemember = 30 * time.Second
	// sameCall is how far apart two events may be that name no call and still speak of one. A
	// declined call was seen to end twice, two seconds apart, on a D765.
	sameCall  = 3 * time.Second
	mostCalls = 16 // followed at once; chosen by this project, far above what a phone has
	mostGone  = 16
	mostLines = 16 // a phone has up to 12 identities
)

// Status returns what is known of the phone.
func (s State) Status() Status {
	if s.status.Call.State == "" {
		s.status.Call.State = Idle
	}
	if s.old != (restored{}) || slices.ContainsFunc(s.calls, func(c trackedCall) bool { return c.old }) {
		s.status.AsOf = jsonval.Moment(s.asOf)
	}
	return s.status
}

// ClearMissed returns s with no missed calls.
func (s State) ClearMissed() State {
	s.status.Missed = 0
	return s
}

// Complete returns e with what earlier events reported of its call and e does not. It is called on the state before
// Step. An event that need not be about a call is completed only when it names one.
func (s State) Complete(e actionurl.Event) actionurl.Event {
	if e.CallID == "" && len(likely(e.Type)) == 0 {
		return e
	}
	direction, remote := actionurl.Direction(""), actionurl.Party{}
	if i := s.find(e); i >= 0 {
		direction, remote = s.calls[i].direction, s.calls[i].remote
	} else if g := s.late(e); g >= 0 && !begins(e) {
		direction, remote = s.gone[g].direction, s.gone[g].remote
	}
	e.Direction = cmp.Or(e.Direction, direction)
	if e.Remote == (actionurl.Party{}) {
		e.Remote = remote
	}
	return e
}

// Step returns the state after e.
func (s State) Step(e actionurl.Event) State {
	now := e.Time
	s.calls = slices.Clone(s.calls)
	s.gone = slices.DeleteFunc(slices.Clone(s.gone), func(g goneCall) bool { return now.Sub(g.at) > goneRemember })
	s.lines = slices.Clone(s.lines)
	named := -1 // the call that e is about, when it goes on
	if isOfPhone(e.Type) {
		s.stepPhone(e)
	} else {
		named = s.stepCall(e)
	}
	if e.CallsKnown {
		s.recount(e, named)
	}
	s.show(now)
	return s
}

// stepCall changes the state by an event of a call. It returns the index of the call, -1 when it is over or
// unknown.
func (s *State) stepCall(e actionurl.Event) int {
	switch e.Type {
	case actionurl.EventIncoming:
		s.heardCaller(e)
		return s.begin(e, Ringing)
	case actionurl.EventOutgoing:
		return s.begin(e, Dialing)
	case actionurl.EventConnected, actionurl.EventUnhold:
		return s.move(e, Connected)
	case actionurl.EventHold:
		return s.move(e, Held)
	case actionurl.EventTransferred, actionurl.EventBlindTransferred, actionurl.EventAttendedTransferred,
		actionurl.EventTransferReceived:
		i := s.find(e)
		if i >= 0 {
			s.calls[i].hear(e)
			s.calls[i].transferred = s.calls[i].transferred || e.Type != actionurl.EventTransferReceived
		}
		return i
	case actionurl.EventDisconnected:
		s.disconnect(e)
	case actionurl.EventMissed:
		s.miss(e)
	}
	return -1
}

// disconnect ends the call that e is about. The end of a call that the bridge ended, and of which e does not
// say which call it is, ends no other call.
func (s *State) disconnect(e actionurl.Event) {
	tracked := e.CallID != "" && slices.ContainsFunc(s.calls, func(c trackedCall) bool { return c.id == e.CallID })
	if g := s.awaitedEnd(e); g >= 0 && !tracked {
		s.gone[g].awaited = false
		return
	}
	if i := s.find(e); i >= 0 {
		s.calls[i].hear(e)
		s.finish(i, endReason(s.calls[i], e), e.Time)
	} else if e.CallID != "" && s.late(e) < 0 {
		s.remember(trackedCall{id: e.CallID, remote: e.Remote}, e.Time)
	}
}

// finish ends call i: it is shown as ended, remembered as gone and no longer tracked. It returns its index
// among those gone.
func (s *State) finish(i int, reason jsonval.Text, at time.Time) int {
	s.end(i, reason, at)
	g := s.remember(s.calls[i], at)
	s.calls = slices.Delete(s.calls, i, i+1)
	s.idle = len(s.calls) == 0
	s.rejected = max(s.rejected, 1) - 1 // this one, perhaps: fewer are certain
	return g
}

// isOfPhone reports whether events of type t are about the phone and not about one of its calls.
func isOfPhone(t actionurl.EventType) bool {
	switch t {
	case actionurl.EventOffhook, actionurl.EventOnhook, actionurl.EventDNDOn, actionurl.EventDNDOff,
		actionurl.EventForwardingOn, actionurl.EventForwardingOff, actionurl.EventRegistered, actionurl.EventUnregistered,
		actionurl.EventRegistrationFailed, actionurl.EventStarted:
		return true
	}
	return false
}

// stepPhone changes the state by an event of the phone.
func (s *State) stepPhone(e actionurl.Event) {
	switch e.Type {
	case actionurl.EventOffhook:
		s.status.Hook, s.old.hook = HookOff, false
	case actionurl.EventOnhook:
		s.status.Hook, s.old.hook = HookOn, false
	case actionurl.EventDNDOn:
		s.status.DND, s.old.dnd = jsonval.On, false
	case actionurl.EventDNDOff:
		s.status.DND, s.old.dnd = jsonval.Off, false
	case actionurl.EventForwardingOn:
		s.status.Forwarding, s.old.forwarding = jsonval.On, false
	case actionurl.EventForwardingOff:
		s.status.Forwarding, s.old.forwarding = jsonval.Off, false
	case actionurl.EventRegistered:
		s.register(e.Line, true)
	case actionurl.EventUnregistered, actionurl.EventRegistrationFailed:
		s.register(e.Line, false)
	case actionurl.EventStarted:
		s.restart(e.Time)
	}
}

// restart ends everything that a phone loses when it restarts.
func (s *State) restart(now time.Time) {
	if i := s.foremost(); i >= 0 {
		s.end(i, EndRestarted, now)
	}
	s.calls, s.gone, s.counts, s.status.Hook = nil, nil, false, ""
	s.old.hook, s.idle = false, true
}

// Expire returns the state at now. A call ends when no event of it came for the time ring, while it is ringing or
// dialing, or for the time call, while it is connected or held.
func (s State) Expire(now time.Time, ring, call time.Duration) State {
	s.calls = slices.Clone(s.calls)
	for {
		next := -1
		for i, c := range s.calls {
			if due := c.due(ring, call); !now.Before(due) && (next < 0 || due.Before(s.calls[next].due(ring, call))) {
				next = i
			}
		}
		if next < 0 {
			break
		}
		// Not remembered as gone: if it still exists, its next event shows it again.
		s.end(next, EndTimeout, s.calls[next].due(ring, call))
		s.calls = slices.Delete(s.calls, next, next+1)
		s.idle = false
	}
	s.show(now)
	return s
}

// NextExpiry returns when Expire, given the same times, changes something; false: never.
func (s State) NextExpiry(ring, call time.Duration) (time.Time, bool) {
	if len(s.calls) == 0 {
		return s.over, s.status.Call.State == Ended
	}
	next := s.calls[0].due(ring, call)
	for _, c := range s.calls[1:] {
		if due := c.due(ring, call); due.Before(next) {
			next = due
		}
	}
	return next, true
}

func (c trackedCall) due(ring, call time.Duration) time.Time {
	if c.phase == Ringing || c.phase == Dialing || c.assumed {
		return c.seen.Add(ring)
	}
	return c.seen.Add(call)
}

// hear takes over what e reports of the call and was not known.
func (c *trackedCall) hear(e actionurl.Event) {
	c.id = cmp.Or(c.id, e.CallID)
	c.direction = cmp.Or(c.direction, e.Direction)
	c.remote.Number = cmp.Or(c.remote.Number, e.Remote.Number)
	c.remote.Name = cmp.Or(c.remote.Name, e.Remote.Name)
	c.remote.URI = cmp.Or(c.remote.URI, e.Remote.URI)
	if e.Time.After(c.seen) {
		c.seen = e.Time
	}
	c.old = false
}

func begins(e actionurl.Event) bool {
	return e.Type == actionurl.EventIncoming || e.Type == actionurl.EventOutgoing
}

// sameParty reports whether a and b may be the same. An unknown party may be any.
func sameParty(a, b actionurl.Party) bool {
	switch {
	case a.Number != "" && b.Number != "":
		return a.Number == b.Number
	case a.URI != "" && b.URI != "":
		return a.URI == b.URI
	case a.Name != "" && b.Name != "":
		return a.Name == b.Name
	}
	return true
}

// likely returns the phases of the calls that an event without a call id may be about, the most likely one first.
// None: the event is about the phone.
func likely(t actionurl.EventType) []Phase {
	switch t {
	case actionurl.EventIncoming, actionurl.EventMissed:
		return []Phase{Ringing}
	case actionurl.EventOutgoing:
		return []Phase{Dialing}
	case actionurl.EventConnected:
		return []Phase{Ringing, Dialing, Held, Connected}
	case actionurl.EventUnhold:
		return []Phase{Held, Connected}
	case actionurl.EventHold, actionurl.EventDisconnected, actionurl.EventTransferred, actionurl.EventBlindTransferred,
		actionurl.EventAttendedTransferred, actionurl.EventTransferReceived:
		return []Phase{Connected, Dialing, Ringing, Held}
	}
	return nil
}

// find returns the index of the call that e is about, -1 when it is none of those under way.
func (s State) find(e actionurl.Event) int {
	if e.CallID != "" {
		if i := slices.IndexFunc(s.calls, func(c trackedCall) bool { return c.id == e.CallID }); i >= 0 {
			return i
		}
	}
	for _, phase := range likely(e.Type) {
		for i, c := range slices.Backward(s.calls) {
			if (c.phase == phase || c.assumed && phase == Ringing) && (c.id == "" || e.CallID == "") && sameParty(c.remote, e.Remote) {
				return i
			}
		}
	}
	if begins(e) { // late: the call that it begins went on already
		for i, c := range slices.Backward(s.calls) {
			if (c.id == "" || e.CallID == "") && sameParty(c.remote, e.Remote) && e.Time.Sub(c.began) < sameCall {
				return i
			}
		}
	}
	return -1
}

// late returns the index of the call among those gone that e is about, -1 when it is none of them.
func (s State) late(e actionurl.Event) int {
	for i, g := range slices.Backward(s.gone) {
		if e.CallID != "" && g.id != "" {
			if g.id == e.CallID {
				return i
			}
		} else if sameParty(g.remote, e.Remote) && e.Time.Sub(g.at) < sameCall {
			return i
		}
	}
	return -1
}

// add follows a new call.
func (s *State) add(e actionurl.Event, phase Phase) int {
	if len(s.calls) == mostCalls {
		s.calls = slices.Delete(s.calls, 0, 1)
	}
	c := trackedCall{phase: phase, began: e.Time, since: e.Time}
	c.hear(e)
	s.calls = append(s.calls, c)
	return len(s.calls) - 1
}

// begin notes the beginning of a call, unless it came twice or late.
func (s *State) begin(e actionurl.Event, phase Phase) int {
	if i := s.find(e); i >= 0 {
		c := &s.calls[i]
		if c.id == "" && e.CallID == "" && c.phase == phase && e.Time.Sub(c.began) >= sameCall {
			c.began, c.since = e.Time, e.Time // a second attempt; the event of the end of the first was lost
		}
		c.hear(e)
		return i
	}
	// A second call from the same party right after the first is no late event; only an id shows that it is the same call.
	if g := s.late(e); g >= 0 && e.CallID != "" && s.gone[g].id == e.CallID {
		return -1
	}
	return s.add(e, phase)
}

// move notes that a call was connected or held. A call that is not tracked yet is added: its beginning was lost.
func (s *State) move(e actionurl.Event, phase Phase) int {
	i := s.find(e)
	if i < 0 {
		if s.late(e) >= 0 || phase == Held && e.CallID == "" && e.Remote == (actionurl.Party{}) {
			return -1
		}
		i = s.add(e, phase)
	}
	c := &s.calls[i]
	c.hear(e)
	c.assumed = false
	if c.phase != phase {
		c.phase, c.since = phase, e.Time
	}
	if c.answered.IsZero() {
		c.answered = e.Time
	}
	return i
}

// miss notes a missed call, once.
func (s *State) miss(e actionurl.Event) {
	var g int // its place among those that are gone
	if i := s.find(e); i >= 0 && (s.calls[i].phase == Ringing || s.calls[i].assumed) {
		if s.calls[i].hear(e); s.calls[i].assumed {
			s.calls[i].answered = time.Time{} // it was not answered after all
		}
		g = s.finish(i, EndMissed, e.Time)
	} else if g = s.late(e); g < 0 {
		g = s.remember(trackedCall{id: e.CallID, direction: e.Direction, remote: e.Remote}, e.Time)
	} else if last := s.status.Call; last.State == Ended && string(last.CallID) == s.gone[g].id &&
		sameParty(last.Remote, s.gone[g].remote) && last.Reason == EndUnanswered {
		s.status.Call.Reason = EndMissed // it comes after disconnected
	}
	if s.gone[g].missed {
		return
	}
	s.gone[g].missed = true
	s.status.Missed++
	if !sameParty(e.Remote, actionurl.Party{Number: string(s.status.LastCaller.Number), Name: string(s.status.LastCaller.Name)}) ||
		s.status.LastCaller == (Caller{}) {
		s.heardCaller(e)
	}
}

func (s *State) heardCaller(e actionurl.Event) {
	if e.CallID != "" && slices.ContainsFunc(s.calls, func(c trackedCall) bool { return c.id == e.CallID }) {
		return // twice
	}
	s.status.LastCaller = Caller{jsonval.Text(e.Remote.Number), jsonval.Text(e.Remote.Name), jsonval.Moment(e.Time)}
}

func endReason(c trackedCall, e actionurl.Event) jsonval.Text {
	reason := strings.ToLower(e.Reason)
	switch {
	case c.transferred:
		return EndTransferred
	case !c.answered.IsZero():
		return EndHungUp
	case strings.Contains(reason, "cause=200") || strings.Contains(reason, "elsewhere"):
		return EndElsewhere // RFC 3326: SIP;cause=200;text="Call completed elsewhere"
	}
	return EndUnanswered
}

// end shows call i as ended. It does not remove it.
func (s *State) end(i int, reason jsonval.Text, at time.Time) {
	c := s.calls[i]
	s.status.Call = Call{
		State: Ended, Direction: c.direction, CallID: jsonval.Text(c.id), Remote: c.remote, Since: jsonval.Moment(at), Reason: reason,
	}
	if !c.answered.IsZero() {
		s.status.Call.DurationMS = max(0, at.Sub(c.answered).Milliseconds())
	}
	s.over = at.Add(endedShown)
}

// remember notes that c is gone, and returns its index.
func (s *State) remember(c trackedCall, at time.Time) int {
	if len(s.gone) == mostGone {
		s.gone = slices.Delete(s.gone, 0, 1)
	}
	s.gone = append(s.gone, goneCall{id: c.id, direction: c.direction, remote: c.remote, at: at})
	return len(s.gone) - 1
}

// recount ends calls when the phone counts fewer than are tracked: those whose last event is oldest. The call that e
// is about stays.
//
// What the phone counts is documented nowhere. Calls that are connected or held are counted. Whether calls that ring
// are, the first one shows; whether the one that is just beginning or connected is, does not matter.
func (s *State) recount(e actionurl.Event, named int) {
	// The event of an end may still count the call that ended.
	if s.idle && e.Calls > 1 || e.Calls == 1 && e.Type != actionurl.EventDisconnected && e.Type != actionurl.EventMissed {
		s.idle = false
	}
	s.idle = s.idle || e.Calls == 0
	most := e.Calls
	if begins(e) || e.Type == actionurl.EventConnected {
		most++
	}
	if begins(e) && len(s.calls) == 1 && e.Calls > 0 {
		s.counts = true
	}
	for {
		counted, oldest := 0, -1
		for i, c := range s.calls {
			if !s.counts && (c.phase == Ringing || c.phase == Dialing) {
				continue
			}
			counted++
			if i != named && (oldest < 0 || c.seen.Before(s.calls[oldest].seen)) {
				oldest = i
			}
		}
		if counted <= most || oldest < 0 {
			return
		}
		s.end(oldest, EndTimeout, e.Time)
		s.calls = slices.Delete(s.calls, oldest, oldest+1)
		if oldest < named {
			named--
		}
	}
}

// register notes whether an identity is registered. An event that names none is about all.
func (s *State) register(line string, registered bool) {
	s.lines = slices.DeleteFunc(s.lines, func(l trackedLine) bool { return line == "" || l.name == "" || l.name == line })
	if len(s.lines) == mostLines {
		s.lines = slices.Delete(s.lines, 0, 1)
	}
	s.lines = append(s.lines, trackedLine{line, registered})
	s.status.Registered = jsonval.Off
	if slices.ContainsFunc(s.lines, func(l trackedLine) bool { return l.registered }) {
		s.status.Registered = jsonval.On
	}
	s.old.registered = false
}

// foremost returns the index of the call that matters most, -1 when there is none.
func (s State) foremost() int {
	best := -1
	for i, c := range s.calls {
		if best < 0 || compareCalls(c, s.calls[best]) >= 0 {
			best = i
		}
	}
	return best
}

// compareCalls is less than 0 when a matters less than b, more than 0 when it matters more: by phase, then by
// which one came into its phase later.
func compareCalls(a, b trackedCall) int {
	return cmp.Or(cmp.Compare(a.phase.rank(), b.phase.rank()), a.since.Compare(b.since))
}

func (p Phase) rank() int {
	switch p {
	case Connected:
		return 3
	case Dialing:
		return 2
	case Ringing:
		return 1
	}
	return 0
}

// show brings the status up to date with the calls.
func (s *State) show(now time.Time) {
	s.status.Calls = len(s.calls)
	if i := s.foremost(); i >= 0 {
		c := s.calls[i]
		s.status.Call = Call{State: c.phase, Direction: c.direction, CallID: jsonval.Text(c.id), Remote: c.remote, Since: jsonval.Moment(c.since)}
		return
	}
	if s.status.Call.State == Ended && !now.Before(s.over) {
		s.status.Call = Call{State: Idle, Since: jsonval.Moment(s.over)}
	}
}
