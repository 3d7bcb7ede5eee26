package bridge

import (
	"hash/maphash"
	"log/slog"
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// An echo compares what was published last on a retained topic with what the broker delivered last on it. They differ for
// good when another client published there, such as the last will of a process that used the same topics, or an empty
// message.
type echo struct {
	sent, received uint64 // hashes of payloads; 0: none yet
}

// A hasher makes hashes that are never 0.
type hasher struct{ seed maphash.Seed }

func (h hasher) of(payload []byte) uint64 { return maphash.Bytes(h.seed, payload) | 1 }

// echoed takes a status or availability that the broker delivered. One that differs from what was published last may be an
// older one still under way; so it is looked at again after a while.
func (b *Bridge) echoed(a mqtt.Address, m mqtt.Message) {
	r := b.roster.Load()
	p := r.phones[a.Name]
	if r.doors[a.Name] != nil {
		b.documents.received(m)
	}
	if p == nil || m.Retained {
		return
	}
	s := &p.state
	s.mu.Lock()
	defer s.mu.Unlock()
	e := &s.published.status
	if a.Kind == mqtt.KindAvailability {
		e = &s.published.availability
	}
	e.received = b.hasher.of(m.Payload)
	if e.sent != 0 && e.sent != e.received && !s.published.comparing && !s.closed {
		s.published.comparing = true
		time.AfterFunc(b.statusEvery(), p.compareEcho)
	}
}

// compareEcho publishes again what another client has replaced.
func (p *phone) compareEcho() {
	s := &p.state
	s.mu.Lock()
	defer s.mu.Unlock()
	s.published.comparing = false
	if s.closed || !p.b.publishesFor(p.name) {
		return
	}
	if now := time.Now(); now.Sub(s.published.at) < p.b.statusEvery()/2 { // the newest may be under way
		s.published.comparing = true
		time.AfterFunc(p.b.statusEvery(), p.compareEcho)
		return
	}
	status, availability := s.published.status.differs(), s.published.availability.differs()
	if availability {
		p.publishAvailability()
	}
	if status {
		p.publishStatus(time.Now())
	}
	if status || availability {
		p.b.limit.Log(slog.LevelWarn, "echo "+p.name, "another client published on this phone's topics: the status is published again", slog.String("phone", p.name))
	}
}

func (e echo) differs() bool { return e.sent != 0 && e.received != 0 && e.sent != e.received }
