package bridge

import (
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// eventTTL is how long an event may wait for the broker. Later it would contradict the status, which is retained and
// up to date: a call that "rings" is over.
const eventTTL = 10 * time.Second

// Event takes an event that a phone sent: it is published, and moves the phone's state one step. It never
// blocks. An event of a phone that this bridge does not serve is dropped.
func (b *Bridge) Event(name string, e actionurl.Event) {
	p := b.roster.Load().phones[name]
	if p == nil || !p.event(e) || e.Type != actionurl.EventKeyPress {
		return
	}
	p.pressed(e.Key)
}

// event publishes an event and moves the phone's state, and reports whether it does.
func (p *phone) event(e actionurl.Event) bool {
	b, name, s := p.b, p.name, &p.state
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || b.claims.taken(name) {
		return false
	}
	e.Phone = name
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	if e.Type == actionurl.EventKeyPress {
		key, _ := p.profile.Load().Keys.Find(e.Key)
		e.Name = key.Name
	}
	e = s.callState().Complete(e)
	s.note(e)
	b.publish(mqtt.Message{Topic: b.cfg.Tree.Event(name), Payload: encode(e), Expires: e.Time.Add(eventTTL)})
	b.cfg.Observe.Event(e)
	if b.feed.read() {
		e := e // a copy of its own
		b.feed.send(Update{Event: &e})
	}
	p.change(func(s *phoneState) {
		if s.untrusted() == "" { // else it is there, and no command can reach it
			s.seen(time.Now())
		}
		switch e.Type {
		case actionurl.EventDNDOn, actionurl.EventDNDOff:
			s.reportsDND = true
			s.settings = s.settings.unless(settingDND, e.Type == actionurl.EventDNDOn)
		case actionurl.EventForwardingOn, actionurl.EventForwardingOff:
			s.settings = s.settings.unless(forwardBegin, e.Type == actionurl.EventForwardingOn)
		}
		next := s.callState().Step(e)
		s.calls = &next
		switch e.Type {
		case actionurl.EventOnhook, actionurl.EventDisconnected, actionurl.EventStarted, actionurl.EventTransferred,
			actionurl.EventBlindTransferred, actionurl.EventAttendedTransferred:
			if next.Status().Calls == 0 { // whether a call was known before or not
				s.callsEnded = time.Now()
			}
		}
		if e.Type == actionurl.EventStarted {
			s.identity.probed = false // it may have come back as another one
			b.poller.in(p, settleTime)
			if len(s.lights()) > 0 {
				p.relight(relightAfter, relightTries)
			}
		}
	})
	p.planExpiry()
	if e.Type == actionurl.EventIncoming {
		for _, d := range b.roster.Load().doors {
			d.rang(name, e)
		}
	}
	return true
}

// planExpiry makes sure that a call of which no event comes any more ends in time. The caller holds the lock.
func (p *phone) planExpiry() {
	s := &p.state
	at, ok := s.callState().NextExpiry(p.b.cfg.RingTimeout, p.b.cfg.CallTimeout)
	if !ok {
		return
	}
	if s.expiry == nil {
		s.expiry = time.AfterFunc(time.Until(at), p.expireCalls)
		return
	}
	s.expiry.Reset(time.Until(at))
}

// expireCalls ends calls that have lasted too long.
func (p *phone) expireCalls() {
	s := &p.state
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	p.change(func(s *phoneState) {
		left := s.callState().Expire(time.Now(), p.b.cfg.RingTimeout, p.b.cfg.CallTimeout)
		s.calls = &left
	})
	p.planExpiry()
}
