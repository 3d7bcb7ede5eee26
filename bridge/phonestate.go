package bridge

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/snom2mqtt/snom2mqtt/callstate"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// phoneState is what is known of a phone. Its promise: the last state published is the newest, since a state is
// published under the mutex that guards it. That is possible because a publisher never blocks.
type phoneState struct {
	mu sync.Mutex

	reachable     Switch           // guarded by mu
	lastSeen      time.Time        // when the phone last answered, or sent an event; guarded by mu
	backoff       time.Duration    // until the next poll while the phone is unreachable; guarded by mu
	info          snom.Info        // what it is; guarded by mu
	probed        bool             // info is as good as can be had for now; guarded by mu
	authenticated bool             // the phone has accepted a request, so a probe may log in; guarded by mu
	calls         *callstate.State // what its events say; nil: there was none; guarded by mu
	lastResult    *LastResult      // guarded by mu
	expiry        *time.Timer      // of calls; nil: never needed; guarded by mu

	statusPublishedAt time.Time // guarded by mu
	statusPending     bool      // a newer status is held back for a moment; guarded by mu
	removed           bool      // the phone is no longer configured: nothing is published of it any more; guarded by mu
	closed            bool      // the phone is removed, or the bridge stops: nothing changes any more; guarded by mu
}

// LastResult is how the last command for a phone ended.
type LastResult struct {
	Code    Code   `json:"code"`
	Command string `json:"command"`
	Message string `json:"message"` // as the result has it, shortened
	Time    Time   `json:"time"`
}

// lastResult is what the status shows of a result.
func lastResult(r *Result) *LastResult {
	return &LastResult{Code: r.Code, Command: r.Command, Message: shown(r.Message), Time: r.Time}
}

// How often a status is published that differs from the one before in its last result only: once a second for a
// phone, and so often in a second for all of them.
const (
	statusAtMost   = time.Second
	statusesAtMost = 200
)

// statusEvery is the time between two such statuses of a phone.
func (b *Bridge) statusEvery() time.Duration {
	return max(statusAtMost, time.Duration(len(b.roster.Load().names))*time.Second/statusesAtMost)
}

// A Status is what is known of a phone. What is not known is null.
type Status struct {
	Phone     string `json:"phone"`
	Reachable Switch `json:"reachable"`
	Model     Text   `json:"model"`
	Firmware  Text   `json:"firmware"`
	MAC       Text   `json:"mac"`
	callstate.Status
	LastResult *LastResult `json:"last_result"`
	Time       Time        `json:"time"`
	// Silent is set where phones cannot send events to the bridge: all of callstate.Status is unknown then.
	Silent bool `json:"-"`
}

// MarshalJSON writes null for what is not known.
func (s Status) MarshalJSON() ([]byte, error) {
	type plain Status
	if !s.Silent {
		return json.Marshal(plain(s))
	}
	// Fields of the outer struct stand before those of the same name inside.
	return json.Marshal(struct {
		plain
		Call   *callstate.Call `json:"call"`
		Calls  *int            `json:"calls"`
		Missed *int            `json:"missed"`
	}{plain: plain(s)})
}

// The payloads of availability.
const (
	online  = "online"
	offline = "offline"
)

// callState is what the events of the phone say. The caller holds the lock.
func (s *phoneState) callState() callstate.State {
	if s.calls == nil {
		return callstate.State{}
	}
	return *s.calls
}

// seen notes that the phone answered, or sent an event. The caller holds the lock.
func (s *phoneState) seen(now time.Time) {
	s.reachable, s.lastSeen, s.backoff = SwitchOn, now, 0
}

// unreachable notes that the phone did not answer. The caller holds the lock.
func (s *phoneState) unreachable() {
	s.reachable, s.lastSeen = SwitchOff, time.Time{}
	s.probed = false // it may come back as another one
}

// needsProbe reports whether the phone is to be asked what it is. The caller holds the lock.
func (s *phoneState) needsProbe() bool { return s.reachable == SwitchOn && !s.probed }

// learn notes what a probe found. A probe that found nothing is not repeated at every poll. The caller holds the lock.
func (s *phoneState) learn(info snom.Info, err error) {
	if codeOf(err) == Unreachable {
		s.unreachable()
		return
	}
	s.probed = true
	if err == nil {
		s.info = info
	}
}

// accepted notes that the phone has accepted a request, and so the login: it may tell more now. The caller holds the
// lock.
func (s *phoneState) accepted() {
	if !s.authenticated {
		s.authenticated, s.probed = true, s.probed && s.info.Model != "" && s.info.MAC != ""
	}
}

// forget forgets what depends on the phone's settings. The caller holds the lock.
func (s *phoneState) forget() {
	s.reachable, s.lastSeen, s.backoff = SwitchUnknown, time.Time{}, 0
	s.info, s.probed, s.authenticated = snom.Info{}, false, false
}

// nextPoll is when to poll again: soon where the phone just became unreachable, for it may be restarting. The caller
// holds the lock.
func (s *phoneState) nextPoll(every time.Duration) time.Duration {
	if s.reachable != SwitchOff {
		return jitter(every)
	}
	s.backoff = min(max(2*s.backoff, firstBackoff), every)
	return jitter(s.backoff)
}

// status is what is known of the phone now. The caller holds the lock.
func (p *phone) status(now time.Time) Status {
	s := &p.state
	model := s.info.Model
	if model == "" {
		model = p.profile.Load().Model.Name()
	}
	return Status{
		Phone: p.name, Reachable: s.reachable, Model: Text(model),
		Firmware: Text(s.info.Firmware), MAC: Text(s.info.MAC),
		Status: s.callState().Status(), LastResult: s.lastResult, Time: Time{Time: now},
		Silent: !p.b.cfg.Events,
	}
}

// update changes what is known of the phone, and publishes what that changes for others.
func (p *phone) update(change func(*phoneState)) {
	p.state.mu.Lock()
	defer p.state.mu.Unlock()
	p.change(change)
}

// change is update for callers that hold the lock.
func (p *phone) change(change func(*phoneState)) {
	s := &p.state
	now := time.Now()
	before := p.status(now)
	change(s)
	after := p.status(now)
	if s.removed {
		return
	}
	if after.Model != before.Model {
		p.setModel()
	}
	if after.Reachable != before.Reachable {
		p.publishAvailability()
	}
	if p.b.cfg.OnChange != nil && (after.Reachable != before.Reachable ||
		after.Model != before.Model || after.Firmware != before.Firmware || after.MAC != before.MAC) {
		p.b.cfg.OnChange()
	}
	last := after.LastResult != before.LastResult
	after.LastResult = before.LastResult
	switch {
	case after != before:
		p.publishStatus(now)
	case last && (s.closed || now.Sub(s.statusPublishedAt) >= p.b.statusEvery()):
		p.publishStatus(now)
	case last && !s.statusPending:
		s.statusPending = true
		time.AfterFunc(p.b.statusEvery()-now.Sub(s.statusPublishedAt), p.publishPending)
	}
}

// setModel puts the model into effect that commands are checked against. The caller holds the state's lock.
func (p *phone) setModel() {
	was := p.profile.Load()
	is := *was
	if is.model = is.Model; is.model == (snom.Model{}) {
		is.model, _ = snom.FindModel(p.state.info.Model)
	}
	if is.model != was.model {
		p.profile.Store(&is)
	}
}

// publishPending publishes a status that was held back because it changed in its last result only.
func (p *phone) publishPending() {
	s := &p.state
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.statusPending && !s.closed {
		p.publishStatus(time.Now())
	}
}

// publishStatus publishes what is known of the phone. The caller holds the lock.
func (p *phone) publishStatus(now time.Time) {
	p.state.statusPublishedAt, p.state.statusPending = now, false
	if !p.b.speaksFor(p.name) {
		return
	}
	p.b.publish(mqtt.Message{Topic: p.b.cfg.Tree.Status(p.name), Payload: encode(p.status(now)), Retained: true})
}

// publishAvailability publishes whether the phone is reachable, once that is known. The caller holds the lock.
func (p *phone) publishAvailability() {
	payload := offline
	switch p.state.reachable {
	case SwitchUnknown:
		return // the first poll finds out
	case SwitchOn:
		payload = online
	}
	if !p.b.speaksFor(p.name) {
		return
	}
	p.b.publish(mqtt.Message{Topic: p.b.cfg.Tree.Availability(p.name), Payload: []byte(payload), Retained: true})
}

// republish publishes all that is known of the phone.
func (p *phone) republish() {
	s := &p.state
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		p.publishAvailability()
		p.publishStatus(time.Now())
	}
}

// close ends what is known of the phone: a status that was held back is published, and nothing changes any more but
// by a request that is still under way.
func (p *phone) close(why string) {
	s := &p.state
	s.mu.Lock()
	if s.statusPending {
		p.publishStatus(time.Now())
	}
	s.closed = true
	is := *p.profile.Load()
	is.stop = why
	p.profile.Store(&is)
	if s.expiry != nil {
		s.expiry.Stop()
	}
	s.mu.Unlock()
	p.b.poller.drop(p)
	cancelAll(is.lane.takeOf(p, why))
}

// remove closes a phone that is no longer configured, and takes back what was published of it.
func (p *phone) remove() {
	p.close("the phone is no longer configured")
	p.state.mu.Lock()
	defer p.state.mu.Unlock()
	p.state.removed = true
	if !p.b.claims.forget(p.name) {
		return // another bridge's: so is what is published of it
	}
	if p.b.claims.us != "" {
		p.b.publishOwner(p.name, "")
	}
	for _, topic := range []string{p.b.cfg.Tree.Availability(p.name), p.b.cfg.Tree.Status(p.name)} {
		p.b.publish(mqtt.Message{Topic: topic, Retained: true})
	}
}

// Snapshot returns what is known of every phone that is served, by name.
func (b *Bridge) Snapshot() []Status {
	r := b.roster.Load()
	all := make([]Status, 0, len(r.names))
	for _, name := range b.served(r.names) {
		p := r.phones[name]
		p.state.mu.Lock()
		all = append(all, p.status(time.Now()))
		p.state.mu.Unlock()
	}
	return all
}
