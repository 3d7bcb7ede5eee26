package bridge

import "time"

// A Reading is what the sensors of a phone measure; nil: not measured.
type Reading struct {
	Light       *float64 // lux
	Temperature *float64 // degrees Celsius
}

// sensorsEvery is the time between two statuses of a phone that differ in what its sensors measure only. Light changes all the
// time.
const sensorsEvery = 5 * time.Second

// sensorModel is the only model that reports what it measures (Golpe82/snom-baos777).
const sensorModel = "D735"

// HasSensors reports whether a phone may be one that measures: its model does, or is not known.
func (b *Bridge) HasSensors(name string) bool {
	p := b.roster.Load().phones[name]
	if p == nil {
		return false
	}
	model := p.profile.Load().model
	return model.IsZero() || model.Name() == sensorModel
}

// Sensors takes what the sensors of a phone measure. It never blocks. What a model without sensors says is ignored.
func (b *Bridge) Sensors(name string, r Reading) {
	p := b.roster.Load().phones[name]
	if p == nil || !b.HasSensors(name) || b.claims.taken(name) {
		return
	}
	s := &p.state
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.removed {
		return
	}
	if s.panel == nil {
		s.panel = &panel{}
	}
	if r.Light != nil {
		s.panel.measured.Light = r.Light
	}
	if r.Temperature != nil {
		s.panel.measured.Temperature = r.Temperature
	}
	now := time.Now()
	switch wait := s.panel.shownAt.Add(sensorsEvery).Sub(now); {
	case s.panel.waiting:
	case wait <= 0:
		p.change(func(s *phoneState) { s.showSensors(now) })
	default:
		s.panel.waiting = true
		time.AfterFunc(wait, p.showSensors)
	}
}

// showSensors publishes what was measured and held back.
func (p *phone) showSensors() {
	p.state.mu.Lock()
	defer p.state.mu.Unlock()
	if p.state.closed {
		return
	}
	p.state.panel.waiting = false
	p.change(func(s *phoneState) { s.showSensors(time.Now()) })
}

// showSensors puts into the status what was measured. The caller holds the lock.
func (s *phoneState) showSensors(now time.Time) {
	is := s.panel.copied()
	m := s.panel.measured
	if same(is.Light, m.Light) && same(is.Temperature, m.Temperature) {
		return
	}
	is.Light, is.Temperature = m.Light, m.Temperature
	s.panel.status, s.panel.shownAt = &is, now
}

// same reports whether two measurements are the same.
func same(a, b *float64) bool { return a == b || a != nil && b != nil && *a == *b }
