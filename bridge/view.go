package bridge

import (
	"iter"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// A View is what the bridge knows of a phone and how it stands with it, for people.
type View struct {
	Status
	Load      Load
	LastEvent EventNote   // the zero EventNote: none
	Config    PhoneConfig // as set; nothing of it must be changed
	Is        snom.Model  // that commands are checked against: what the phone says that it is, or else that of the settings
	Why       string      // the phone is unreachable; empty: it is not
	LastSeen  Time        // when the phone last answered, or sent an event
}

// An EventNote is what is kept of the last event of a phone.
type EventNote struct {
	Type actionurl.EventType `json:"event_type"`
	Time Time                `json:"time"`
}

// note keeps what is shown of an event. The caller holds the lock.
func (s *phoneState) note(e actionurl.Event) {
	s.urls = urlsPresent
	if s.lastEvent == nil {
		s.lastEvent = &EventNote{}
	}
	*s.lastEvent = EventNote{Type: e.Type, Time: Time{Time: e.Time}}
}

// View returns what is known of the phone called name; false where this bridge does not serve it.
func (b *Bridge) View(name string) (View, bool) {
	p := b.roster.Load().phones[name]
	if p == nil || b.claims.taken(name) {
		return View{}, false
	}
	return p.view(time.Now()), true
}

// Len returns the number of phones, also of those that another instance serves.
func (b *Bridge) Len() int { return len(b.roster.Load().names) }

// Views yields what is known of every phone that is served, by name.
func (b *Bridge) Views() iter.Seq[View] {
	return func(yield func(View) bool) {
		r, now := b.roster.Load(), time.Now()
		for _, name := range b.served(r.names) {
			if !yield(r.phones[name].view(now)) {
				return
			}
		}
	}
}

// view is what is known of the phone.
func (p *phone) view(now time.Time) View {
	v := View{Load: p.load(now)}
	p.state.mu.Lock()
	defer p.state.mu.Unlock()
	at := p.profile.Load()
	v.Status, v.Config, v.Is, v.Why, v.LastSeen = p.status(now), at.PhoneConfig, at.model, p.state.why(), Time{Time: p.state.lastSeen}
	if p.state.lastEvent != nil {
		v.LastEvent = *p.state.lastEvent
	}
	return v
}

// Groups returns the groups, each with the names of its members. It must not be changed.
func (b *Bridge) Groups() map[string][]string { return b.roster.Load().groups }
