package bridge

import (
	"log/slog"
	"time"

	"github.com/snom2mqtt/snom2mqtt/callstate"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// restore takes over what the phone called name had reported to an earlier process: the retained status that came back
// from the broker before this process published one.
func (b *Bridge) restore(name string, m mqtt.Message) {
	p := b.roster.Load().phones[name]
	if p == nil || !m.Retained {
		return
	}
	s := &p.state
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.published.confirmed || s.closed || len(m.Payload) == 0 {
		return
	}
	if s.settings == nil {
		if read := readRetained(m.Payload); read != nil {
			p.change(func(s *phoneState) { s.settings = read })
		}
	}
	p.restoreLights(m.Payload)
	if !b.cfg.Events {
		return
	}
	old, asOf, err := callstate.ParseStatus(m.Payload)
	if err != nil {
		b.limit.Log(slog.LevelInfo, "restore", "retained status not understood", slog.String("phone", name), slog.Any("err", err))
		return
	}
	p.change(func(s *phoneState) {
		now := time.Now()
		calls := s.callState().Restore(old, asOf, now).Expire(now, b.cfg.RingTimeout, b.cfg.CallTimeout)
		s.calls = &calls
	})
	p.planExpiry()
}
