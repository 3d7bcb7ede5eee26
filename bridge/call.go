package bridge

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// A CallPhase is what a phone, or one of its calls, is doing.
type CallPhase string

// The phases. A call that ended shows as such for two seconds.
const (
	CallIdle      CallPhase = "idle"
	CallRinging   CallPhase = "ringing"
	CallDialing   CallPhase = "dialing"
	CallConnected CallPhase = "connected"
	CallHeld      CallPhase = "held"
	CallEnded     CallPhase = "ended"
)

// CallPhases returns every phase.
func CallPhases() []CallPhase {
	return []CallPhase{CallIdle, CallRinging, CallDialing, CallConnected, CallHeld, CallEnded}
}

// Why a call ended.
const (
	EndHungUp      Text = "hung_up"            // after it was connected, by either side
	EndUnanswered  Text = "unanswered"         // it never was connected
	EndMissed      Text = "missed"             // the same, and the phone says that it missed it
	EndElsewhere   Text = "answered_elsewhere" // another phone took it
	EndTransferred Text = "transferred"
	EndRestarted   Text = "restarted" // the phone did
	EndTimeout     Text = "timeout"   // nothing more was heard of it; a rejected call says nothing
)

// The positions of the handset.
const (
	HookOn  Text = "on"
	HookOff Text = "off"
)

// Text is text that may not be known: empty, and null in JSON.
type Text string

// MarshalJSON writes the text, or null.
func (t Text) MarshalJSON() ([]byte, error) {
	if t == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(t))
}

// A Switch is on, off, or not known: true, false, null in JSON. The zero Switch is not known.
type Switch uint8

// The positions of a Switch.
const (
	SwitchUnknown Switch = iota
	SwitchOff
	SwitchOn
)

// MarshalJSON writes true, false or null.
func (s Switch) MarshalJSON() ([]byte, error) {
	return []byte([]string{"null", "false", "true"}[min(s, SwitchOn)]), nil
}

// A Call is what a phone is doing, as its status shows it.
type Call struct {
	State      CallPhase      `json:"state"`
	Direction  snom.Direction `json:"direction"`
	CallID     Text           `json:"call_id"`
	Remote     snom.Party     `json:"remote"`
	Since      Time           `json:"since"`       // it is in this state; null: always was
	Reason     Text           `json:"reason"`      // of the end, while the state is ended
	DurationMS int64          `json:"duration_ms"` // it was connected, while the state is ended
}

// A Caller is who called last. The zero Caller, nobody yet, is null in JSON.
type Caller struct {
	Number Text `json:"number"`
	Name   Text `json:"name"`
	Time   Time `json:"time"`
}

// MarshalJSON writes the caller, or null.
func (c Caller) MarshalJSON() ([]byte, error) {
	if c == (Caller{}) {
		return []byte("null"), nil
	}
	type plain Caller // without this method
	return json.Marshal(plain(c))
}

// CallStatus is what the events of a phone tell of it, as its status shows it. Values are
// comparable with ==.
type CallStatus struct {
	Call       Call   `json:"call"`  // the one that matters most: connected, dialing, ringing, held, in this order
	Calls      int    `json:"calls"` // how many there are
	Hook       Text   `json:"hook"`
	DND        Switch `json:"dnd"`
	Forwarding Switch `json:"forwarding"`
	Registered Switch `json:"registered"` // at least one identity is; false: all that are known are not
	LastCaller Caller `json:"last_caller"`
	Missed     int    `json:"missed"` // calls since the bridge started, or since [PhoneState.ClearMissed]
}

// PhoneState follows the calls of one phone by its events. It is a value: no method changes the one
// it is called on. The zero PhoneState is a phone of which nothing was heard.
//
// Events come over connections of their own, so they may come twice, late or never, and some
// firmware does not say which call it means. No order of events leaves the state stuck: a call of
// which nothing more is heard ends by time-out, see Expire.
type PhoneState struct {
	status CallStatus
	calls  []trackedCall // in the order in which they began
	gone   []goneCall    // that ended lately, the oldest first
	lines  []trackedLine // identities of which something was heard
	over   time.Time     // until then the last call shows as ended
	counts bool          // nr_ongoing_calls of this phone counts a call that rings
}

// trackedCall is a call that is under way.
type trackedCall struct {
	id          string // empty: the phone did not say
	phase       CallPhase
	direction   snom.Direction
	remote      snom.Party
	began       time.Time
	since       time.Time // of phase
	seen        time.Time // last heard of
	answered    time.Time // zero: not yet
	transferred bool
}

// goneCall is a call that ended, so that what comes late or twice is known as such.
type goneCall struct {
	id        string
	direction snom.Direction
	remote    snom.Party
	at        time.Time
	missed    bool // counted as such
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
	mostCalls = 16 // followed at once; ours, far above what a phone has
	mostGone  = 16
	mostLines = 16 // a phone has up to 12 identities
)

// Status is what the phone is doing.
func (s PhoneState) Status() CallStatus {
	if s.status.Call.State == "" {
		s.status.Call.State = CallIdle
	}
	return s.status
}

// ClearMissed returns s with no missed calls.
func (s PhoneState) ClearMissed() PhoneState {
	s.status.Missed = 0
	return s
}

// Complete returns e with what it does not say of its call but earlier events did. It is to be
// called on the state before Step. An event that need not be about a call is completed only when it
// names one.
func (s PhoneState) Complete(e snom.Event) snom.Event {
	if e.CallID == "" && len(likely(e.Type)) == 0 {
		return e
	}
	direction, remote := snom.Direction(""), snom.Party{}
	if i := s.find(e); i >= 0 {
		direction, remote = s.calls[i].direction, s.calls[i].remote
	} else if g := s.late(e); g >= 0 && !begins(e) {
		direction, remote = s.gone[g].direction, s.gone[g].remote
	}
	e.Direction = cmp.Or(e.Direction, direction)
	if e.Remote == (snom.Party{}) {
		e.Remote = remote
	}
	return e
}

// Step returns the state after e.
func (s PhoneState) Step(e snom.Event) PhoneState {
	now := e.Time
	s.calls = slices.Clone(s.calls)
	s.gone = slices.DeleteFunc(slices.Clone(s.gone), func(g goneCall) bool { return now.Sub(g.at) > goneRemember })
	s.lines = slices.Clone(s.lines)

	named := -1 // the call that e is about, when it goes on
	switch e.Type {
	case snom.EventIncoming:
		s.heardCaller(e)
		named = s.begin(e, CallRinging)
	case snom.EventOutgoing:
		named = s.begin(e, CallDialing)
	case snom.EventConnected, snom.EventUnhold:
		named = s.move(e, CallConnected)
	case snom.EventHold:
		named = s.move(e, CallHeld)
	case snom.EventTransferred, snom.EventBlindTransferred, snom.EventAttendedTransferred:
		if named = s.find(e); named >= 0 {
			s.calls[named].hear(e)
			s.calls[named].transferred = true
		}
	case snom.EventTransferReceived:
		if named = s.find(e); named >= 0 {
			s.calls[named].hear(e)
		}
	case snom.EventDisconnected:
		if i := s.find(e); i >= 0 {
			s.calls[i].hear(e)
			s.end(i, endReason(s.calls[i], e), now)
			s.remember(s.calls[i], now)
			s.calls = slices.Delete(s.calls, i, i+1)
		} else if e.CallID != "" && s.late(e) < 0 {
			s.remember(trackedCall{id: e.CallID, remote: e.Remote}, now)
		}
	case snom.EventMissed:
		s.miss(e)
	case snom.EventOffhook:
		s.status.Hook = HookOff
	case snom.EventOnhook:
		s.status.Hook = HookOn
	case snom.EventDNDOn:
		s.status.DND = SwitchOn
	case snom.EventDNDOff:
		s.status.DND = SwitchOff
	case snom.EventForwardingOn:
		s.status.Forwarding = SwitchOn
	case snom.EventForwardingOff:
		s.status.Forwarding = SwitchOff
	case snom.EventRegistered:
		s.register(e.Line, true)
	case snom.EventUnregistered, snom.EventRegistrationFailed:
		s.register(e.Line, false)
	case snom.EventStarted:
		if i := s.foremost(); i >= 0 {
			s.end(i, EndRestarted, now)
		}
		s.calls, s.gone, s.counts, s.status.Hook = nil, nil, false, ""
	}
	if e.CallsKnown {
		s.recount(e, named)
	}
	s.show(now)
	return s
}

// Expire returns the state at now, when a call is over of which nothing was heard for the time
// ring, while it is ringing or dialing, or call, while it is connected or held.
func (s PhoneState) Expire(now time.Time, ring, call time.Duration) PhoneState {
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
		// Not remembered as gone: should it still be there, its next event says so.
		s.end(next, EndTimeout, s.calls[next].due(ring, call))
		s.calls = slices.Delete(s.calls, next, next+1)
	}
	s.show(now)
	return s
}

// NextExpiry is when Expire, given the same times, changes something; false: never.
func (s PhoneState) NextExpiry(ring, call time.Duration) (time.Time, bool) {
	if len(s.calls) == 0 {
		return s.over, s.status.Call.State == CallEnded
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
	if c.phase == CallRinging || c.phase == CallDialing {
		return c.seen.Add(ring)
	}
	return c.seen.Add(call)
}

// hear notes what e tells of the call and was not known.
func (c *trackedCall) hear(e snom.Event) {
	c.id = cmp.Or(c.id, e.CallID)
	c.direction = cmp.Or(c.direction, e.Direction)
	c.remote.Number = cmp.Or(c.remote.Number, e.Remote.Number)
	c.remote.Name = cmp.Or(c.remote.Name, e.Remote.Name)
	c.remote.URI = cmp.Or(c.remote.URI, e.Remote.URI)
	if e.Time.After(c.seen) {
		c.seen = e.Time
	}
}

func begins(e snom.Event) bool { return e.Type == snom.EventIncoming || e.Type == snom.EventOutgoing }

// sameParty says whether a and b may be the same; who is not known may be anybody.
func sameParty(a, b snom.Party) bool {
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

// likely are the phases of the calls that an event without the id of a call may be about: the one that
// will most likely do next what it says comes first. None: it is about the phone.
func likely(t snom.EventType) []CallPhase {
	switch t {
	case snom.EventIncoming, snom.EventMissed:
		return []CallPhase{CallRinging}
	case snom.EventOutgoing:
		return []CallPhase{CallDialing}
	case snom.EventConnected:
		return []CallPhase{CallRinging, CallDialing, CallHeld, CallConnected}
	case snom.EventUnhold:
		return []CallPhase{CallHeld, CallConnected}
	case snom.EventHold, snom.EventDisconnected, snom.EventTransferred, snom.EventBlindTransferred,
		snom.EventAttendedTransferred, snom.EventTransferReceived:
		return []CallPhase{CallConnected, CallDialing, CallRinging, CallHeld}
	}
	return nil
}

// find returns the index of the call that e is about, -1 when it is none of those under way.
func (s PhoneState) find(e snom.Event) int {
	if e.CallID != "" {
		if i := slices.IndexFunc(s.calls, func(c trackedCall) bool { return c.id == e.CallID }); i >= 0 {
			return i
		}
	}
	for _, phase := range likely(e.Type) {
		for i, c := range slices.Backward(s.calls) {
			if c.phase == phase && (c.id == "" || e.CallID == "") && sameParty(c.remote, e.Remote) {
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
func (s PhoneState) late(e snom.Event) int {
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
func (s *PhoneState) add(e snom.Event, phase CallPhase) int {
	if len(s.calls) == mostCalls {
		s.calls = slices.Delete(s.calls, 0, 1)
	}
	c := trackedCall{phase: phase, began: e.Time, since: e.Time}
	c.hear(e)
	s.calls = append(s.calls, c)
	return len(s.calls) - 1
}

// begin notes the beginning of a call, unless it came twice or late.
func (s *PhoneState) begin(e snom.Event, phase CallPhase) int {
	if i := s.find(e); i >= 0 {
		c := &s.calls[i]
		if c.id == "" && e.CallID == "" && c.phase == phase && e.Time.Sub(c.began) >= sameCall {
			c.began, c.since = e.Time, e.Time // they try again, and the end of the first was not heard
		}
		c.hear(e)
		return i
	}
	// Whoever rings again at once is not late; only an id tells that it is the same call.
	if g := s.late(e); g >= 0 && e.CallID != "" && s.gone[g].id == e.CallID {
		return -1
	}
	return s.add(e, phase)
}

// move notes that a call was connected or held. One that nobody spoke of before began unheard.
func (s *PhoneState) move(e snom.Event, phase CallPhase) int {
	i := s.find(e)
	if i < 0 {
		if s.late(e) >= 0 || phase == CallHeld && e.CallID == "" && e.Remote == (snom.Party{}) {
			return -1
		}
		i = s.add(e, phase)
	}
	c := &s.calls[i]
	c.hear(e)
	if c.phase != phase {
		c.phase, c.since = phase, e.Time
	}
	if c.answered.IsZero() {
		c.answered = e.Time
	}
	return i
}

// miss notes a missed call, once.
func (s *PhoneState) miss(e snom.Event) {
	var g int // its place among those that are gone
	if i := s.find(e); i >= 0 && s.calls[i].phase == CallRinging {
		s.calls[i].hear(e)
		s.end(i, EndMissed, e.Time)
		g = s.remember(s.calls[i], e.Time)
		s.calls = slices.Delete(s.calls, i, i+1)
	} else if g = s.late(e); g < 0 {
		g = s.remember(trackedCall{id: e.CallID, direction: e.Direction, remote: e.Remote}, e.Time)
	} else if last := s.status.Call; last.State == CallEnded && string(last.CallID) == s.gone[g].id &&
		sameParty(last.Remote, s.gone[g].remote) && last.Reason == EndUnanswered {
		s.status.Call.Reason = EndMissed // it comes after disconnected
	}
	if s.gone[g].missed {
		return
	}
	s.gone[g].missed = true
	s.status.Missed++
	if !sameParty(e.Remote, snom.Party{Number: string(s.status.LastCaller.Number), Name: string(s.status.LastCaller.Name)}) ||
		s.status.LastCaller == (Caller{}) {
		s.heardCaller(e)
	}
}

func (s *PhoneState) heardCaller(e snom.Event) {
	if e.CallID != "" && slices.ContainsFunc(s.calls, func(c trackedCall) bool { return c.id == e.CallID }) {
		return // twice
	}
	s.status.LastCaller = Caller{Text(e.Remote.Number), Text(e.Remote.Name), moment(e.Time)}
}

func endReason(c trackedCall, e snom.Event) Text {
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
func (s *PhoneState) end(i int, reason Text, at time.Time) {
	c := s.calls[i]
	s.status.Call = Call{
		State: CallEnded, Direction: c.direction, CallID: Text(c.id), Remote: c.remote, Since: moment(at), Reason: reason,
	}
	if !c.answered.IsZero() {
		s.status.Call.DurationMS = max(0, at.Sub(c.answered).Milliseconds())
	}
	s.over = at.Add(endedShown)
}

// remember notes that c is gone, and returns its index.
func (s *PhoneState) remember(c trackedCall, at time.Time) int {
	if len(s.gone) == mostGone {
		s.gone = slices.Delete(s.gone, 0, 1)
	}
	s.gone = append(s.gone, goneCall{id: c.id, direction: c.direction, remote: c.remote, at: at})
	return len(s.gone) - 1
}

// recount believes the phone when it has fewer calls than are followed here: those that were not
// heard of for longest are over. The call that e is about stays.
//
// What the phone counts is documented nowhere. Calls that are connected or held it must. That it
// counts those that ring is seen when the first one does, and whether it counts the one that is
// just beginning or connected does not matter.
func (s *PhoneState) recount(e snom.Event, named int) {
	most := e.Calls
	if begins(e) || e.Type == snom.EventConnected {
		most++
	}
	if begins(e) && len(s.calls) == 1 && e.Calls > 0 {
		s.counts = true
	}
	for {
		counted, oldest := 0, -1
		for i, c := range s.calls {
			if !s.counts && (c.phase == CallRinging || c.phase == CallDialing) {
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

// register notes whether an identity is registered. An event that names none speaks of all.
func (s *PhoneState) register(line string, registered bool) {
	s.lines = slices.DeleteFunc(s.lines, func(l trackedLine) bool { return line == "" || l.name == "" || l.name == line })
	if len(s.lines) == mostLines {
		s.lines = slices.Delete(s.lines, 0, 1)
	}
	s.lines = append(s.lines, trackedLine{line, registered})
	s.status.Registered = SwitchOff
	if slices.ContainsFunc(s.lines, func(l trackedLine) bool { return l.registered }) {
		s.status.Registered = SwitchOn
	}
}

// foremost returns the index of the call that matters most, -1 when there is none.
func (s PhoneState) foremost() int {
	rank := []CallPhase{CallHeld, CallRinging, CallDialing, CallConnected}
	best := -1
	for i, c := range s.calls {
		if best < 0 || cmp.Or(
			cmp.Compare(slices.Index(rank, c.phase), slices.Index(rank, s.calls[best].phase)),
			c.since.Compare(s.calls[best].since)) >= 0 {
			best = i
		}
	}
	return best
}

// show brings the status up to date with the calls.
func (s *PhoneState) show(now time.Time) {
	s.status.Calls = len(s.calls)
	if i := s.foremost(); i >= 0 {
		c := s.calls[i]
		s.status.Call = Call{State: c.phase, Direction: c.direction, CallID: Text(c.id), Remote: c.remote, Since: moment(c.since)}
		return
	}
	if s.status.Call.State == CallEnded && !now.Before(s.over) {
		s.status.Call = Call{State: CallIdle, Since: moment(s.over)}
	}
}

// moment is t as the status keeps it: comparable with ==, and different only where its JSON is.
func moment(t time.Time) Time { return Time{t.Round(0).UTC().Truncate(time.Millisecond)} }
