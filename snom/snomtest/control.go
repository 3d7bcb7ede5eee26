package snomtest

import "time"

// A State is what somebody in front of the phone would see, and what its log would show.
type State struct {
	Name         string   `json:"name"`
	Model        string   `json:"model"`
	Firmware     string   `json:"firmware"`
	MAC          string   `json:"mac"`
	Down         bool     `json:"down"`
	Locked       bool     `json:"locked"`
	Fault        Fault    `json:"fault"`
	Encoding     Encoding `json:"encoding"`
	Calls        []Call   `json:"calls"`  // the newest last
	Lifted       bool     `json:"lifted"` // the handset
	DND          bool     `json:"dnd"`
	Forward      string   `json:"forward"`    // where calls go; empty: nowhere
	Registered   []bool   `json:"registered"` // per line
	Missed       int      `json:"missed"`
	PlayingMS    int64    `json:"playing_ms"`
	Requests     int      `json:"requests"`
	FailedLogins int      `json:"failed_logins"`
}

// State returns what is to be seen of the phone now.
func (p *Phone) State() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	s := State{
		Name: p.config.Name, Model: p.config.Model, Firmware: p.config.Firmware, MAC: p.config.MAC,
		Down: p.down, Locked: p.login.locked(now), Fault: p.fault, Encoding: p.config.Encoding,
		Calls: make([]Call, 0, len(p.desk.calls)), Lifted: p.desk.lifted, DND: p.desk.dnd, Forward: p.desk.forward,
		Registered: append([]bool(nil), p.desk.registered...), Missed: p.desk.missed,
		PlayingMS: p.playing(now).Milliseconds(), Requests: len(p.requests), FailedLogins: p.login.failed,
	}
	for _, c := range p.desk.calls {
		s.Calls = append(s.Calls, *c)
	}
	return s
}
