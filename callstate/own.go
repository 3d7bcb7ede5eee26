package callstate

import (
	"slices"
	"time"

	"github.com/snom2mqtt/snom2mqtt/internal/jsonval"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// What the bridge did to a phone itself counts as if the phone had reported it: some of it fires no event
// (rejecting a call that rings), and an event may be lost.

// HungUp returns the state at now, after the phone accepted a request that was sent at asked and that ends all
// calls. A call that began after asked goes on. Late events of the calls that ended change nothing.
func (s State) HungUp(asked, now time.Time) State {
	return s.endCalls(EndHungUp, now, func(c trackedCall) bool { return !c.began.After(asked) })
}

// HungUpCurrent is HungUp for a request that ends the current call. Of several calls it is not certain which
// one that is, and a held call may not be the current one: the phone's events show it. Calls that ring end without an event:
// they have ended when the phone was asked as often as there are calls.
func (s State) HungUpCurrent(asked, now time.Time) State {
	if len(s.calls) > 1 && !slices.ContainsFunc(s.calls, func(c trackedCall) bool { return c.phase != Ringing || c.began.After(asked) }) {
		if s.rejected++; int(s.rejected) >= len(s.calls) {
			return s.HungUp(asked, now)
		}
		return s
	}
	if len(s.calls) != 1 || s.calls[0].phase == Held {
		return s
	}
	return s.HungUp(asked, now)
}

// Restarted returns the state at now, after the phone accepted a request to restart.
func (s State) Restarted(now time.Time) State {
	return s.endCalls(EndRestarted, now, func(trackedCall) bool { return true })
}

// Answered returns the state at now, after the phone accepted a request that was sent at asked and that answers
// a call. With more than one call it is not certain which one: the phone's events show it. Without an event that
// confirms it, the call lasts no longer than one that rings.
func (s State) Answered(asked, now time.Time) State {
	if len(s.calls) != 1 || s.calls[0].phase != Ringing || s.calls[0].began.After(asked) {
		return s
	}
	s.calls = slices.Clone(s.calls)
	c := &s.calls[0]
	c.phase, c.since, c.answered, c.assumed, c.old = Connected, now, now, true, false
	if now.After(c.seen) {
		c.seen = now
	}
	s.show(now)
	return s
}

// WithDND returns the state with do not disturb switched on or off: the phone's setting was written and read back.
func (s State) WithDND(on bool) State {
	s.status.DND, s.old.dnd = switchOf(on), false
	return s
}

// WithoutDND returns the state with nothing known of do not disturb: the key that toggles it was pressed, and the phone has
// not reported what it is now.
func (s State) WithoutDND() State {
	s.status.DND, s.old.dnd = jsonval.Unknown, false
	return s
}

// WithForwarding returns the state with call forwarding switched on or off: the phone's settings were written and
// read back.
func (s State) WithForwarding(on bool) State {
	s.status.Forwarding, s.old.forwarding = switchOf(on), false
	return s
}

// Counts are how many calls a phone says that it has, in all and by their phase.
type Counts struct{ All, Connected, Dialing, Ringing, Held int }

// Counted returns the state at now, after the phone was asked at asked how many calls it has. Where it has none, those that
// began before it was asked have ended. A call of which it did not report anything is tracked without its party. Which of
// several calls has ended is not known from their number.
func (s State) Counted(n Counts, asked, now time.Time) State {
	switch {
	case n.All == 0:
		s = s.endCalls(EndTimeout, now, func(c trackedCall) bool { return !c.began.After(asked) })
		s.idle = len(s.calls) == 0
	case len(s.calls) == 0:
		phase := Connected
		switch {
		case n.Connected > 0:
		case n.Dialing > 0:
			phase = Dialing
		case n.Ringing > 0:
			phase = Ringing
		case n.Held > 0:
			phase = Held
		}
		s.calls, s.idle = []trackedCall{{phase: phase, began: now, since: now, seen: now}}, false
		s.show(now)
	}
	return s
}

// KnownIdle reports whether the phone certainly has no call: every call that it reported was ended by an event or by
// the bridge, or the phone counted none. A phone that reported nothing yet, and one of which a call ended by time-out
// only, may have a call.
func (s State) KnownIdle() bool { return s.idle && len(s.calls) == 0 }

func switchOf(on bool) jsonval.Switch {
	if on {
		return jsonval.On
	}
	return jsonval.Off
}

// endCalls ends the calls for which ends is true. The one that mattered most is shown as ended.
func (s State) endCalls(reason jsonval.Text, now time.Time, ends func(trackedCall) bool) State {
	s.calls, s.gone = slices.Clone(s.calls), slices.Clone(s.gone)
	for i := s.leastOf(ends); i >= 0; i = s.leastOf(ends) {
		ended := reason
		if s.calls[i].transferred && reason == EndHungUp {
			ended = EndTransferred
		}
		g := s.finish(i, ended, now)
		s.gone[g].awaited = true
	}
	s.show(now)
	return s
}

// leastOf returns the index of the call that matters least among those for which ends is true, -1: there is none.
func (s State) leastOf(ends func(trackedCall) bool) int {
	least := -1
	for i, c := range s.calls {
		if ends(c) && (least < 0 || compareCalls(c, s.calls[least]) < 0) {
			least = i
		}
	}
	return least
}

// awaitedEnd returns the index of the call among those gone whose end e reports: by its id, or, when e gives no
// id, one that the bridge just ended. -1: there is none.
func (s State) awaitedEnd(e actionurl.Event) int {
	for i, g := range slices.Backward(s.gone) {
		if e.CallID != "" && g.id == e.CallID ||
			e.CallID == "" && g.awaited && sameParty(g.remote, e.Remote) && e.Time.Sub(g.at) < sameCall {
			return i
		}
	}
	return -1
}

// Talking returns the call that what the phone sends reaches: the only one that is connected, as the phone or the bridge
// has reported in this process. False: there is none, or it is not certain which one of several it is. One that only Restore
// knows does not count: it may be over, and where it is not, the phone has put it on hold for the other.
func (s State) Talking() (Call, bool) {
	is := -1
	for i, c := range s.calls {
		if c.phase != Connected || c.old {
			continue
		}
		if is >= 0 {
			return Call{}, false
		}
		is = i
	}
	if is < 0 {
		return Call{}, false
	}
	c := s.calls[is]
	return Call{State: c.phase, Direction: c.direction, CallID: jsonval.Text(c.id), Remote: c.remote, Since: jsonval.Moment(c.since)}, true
}

// Any reports whether a call with a party is under way of which is is true, in whatever state.
func (s State) Any(is func(actionurl.Party) bool) bool {
	return slices.ContainsFunc(s.calls, func(c trackedCall) bool { return is(c.remote) })
}
