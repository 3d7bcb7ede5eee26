package bridge

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/snom2mqtt/snom2mqtt/callstate"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// phoneState is what is known of a phone. Its promise: the last state published is the newest, since a state is
// published under the mutex that guards it. That is possible because a publisher never blocks.
type phoneState struct {
	mu sync.Mutex // guards everything that follows

	reachable  Switch
	reportsDND bool // its events say when do not disturb is switched
	removed    bool // the phone is no longer configured: nothing is published of it any more
	closed     bool // the phone is removed, or the bridge stops: nothing changes any more

	urls     urlCheck
	fault    *phoneFault // why it does not do what it is asked; nil: nothing
	identity phoneIdentity
	contact
	callKnowledge
	settings   *Settings   // what was read of them; nil: nothing
	lastResult *LastResult // nil: no command has ended yet
	lastEvent  *EventNote  // nil: there was none
	published  publication
	panel      *panel // lights and sensors; nil: there are none
}

// contact is how a phone was reached last. It is guarded by the mutex of its phoneState.
type contact struct {
	lastSeen time.Time // when the phone last answered, or sent an event
	outage   *outage   // that it is unreachable; nil: it is not, or nothing is known
}

// An outage is what is known of a phone while it is unreachable.
type outage struct {
	why         string        // an error's words
	certificate string        // SHA-256 of its certificate, which is not trusted; empty: that is not why
	backoff     time.Duration // until the next poll
}

// why says why the phone is unreachable; empty: it is not.
func (c contact) why() string {
	if c.outage == nil {
		return ""
	}
	return c.outage.why
}

// untrusted is the SHA-256 of the phone's certificate, which is not trusted; empty: it is, or there is none.
func (c contact) untrusted() string {
	if c.outage == nil {
		return ""
	}
	return c.outage.certificate
}

// callKnowledge is what is known of the calls of a phone. It is guarded by the mutex of its phoneState.
type callKnowledge struct {
	calls      *callstate.State // what its events say; nil: there was none
	callsEnded time.Time        // when it last had too few calls for a transfer, after it had enough, or none
	expiry     *time.Timer      // of calls; nil: never needed
	watch      *callWatch       // of the job that waits for a call state; nil: none does
}

// A phoneIdentity is what is known of what a phone is.
type phoneIdentity struct {
	// model, firmware and mac are what the phone says, control is whether it can be controlled; empty: it does not say.
	model, firmware, mac string
	control              snom.Support
	known                snom.Model // that model names; zero: none that is known
	probed               bool       // that is as good as can be had for now
	reported             bool       // model and mac were reported to this process
	authenticated        bool       // the phone has accepted a request, so a probe may log in
	unidentified         bool       // it was probed or accepted a command, and nothing showed that it is a Snom phone
	foreign              bool       // and what it answered was the page of another device
}

// unidentified is said of a device that has never said that it is a Snom phone.
const unidentified = "nothing has shown yet that this device is a Snom phone"

// identityProblem says what is wrong with what a phone says that it is, or nothing. configured is its model by the settings.
// The caller holds the lock.
func (s *phoneState) identityProblem(configured snom.Model) string {
	switch i := &s.identity; {
	case s.untrusted() != "":
		return "the phone's certificate is not trusted: set cert_sha256 (CERT_SHA256) to its SHA-256 if it is the phone's: " + s.untrusted()
	case i.known != (snom.Model{}) && configured != (snom.Model{}) && i.known != configured:
		return fmt.Sprintf("the settings say model %s, the phone says %s: what the phone says counts", configured.Name(), i.known.Name())
	case i.control == snom.No && configured.RemoteControl() == snom.Yes:
		return fmt.Sprintf("the settings say model %s, the phone says that it has no remote control: what the phone says counts", configured.Name())
	case i.unidentified:
		return unidentified
	case i.control == snom.No:
		return "phones of this model have no remote control"
	}
	return ""
}

// A publication is what is published of a phone.
type publication struct {
	at time.Time // the last status
	// status and availability compare what was published with what the broker delivers.
	status, availability echo
	pending              bool // a newer status is held back for a moment
	comparing            bool // they are compared in a moment
	confirmed            bool // a connection was proven since: what the broker had kept of an earlier process is no news any more
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
	Problem   Text   `json:"problem,omitempty"` // what is wrong with the phone or its settings
	Remedy    Text   `json:"remedy,omitempty"`  // what remedies that
	callstate.Status
	// What commands read of the phone's settings; it is omitted where nothing was read.
	KeyboardLock Switch      `json:"keyboard_lock,omitzero"`
	Forward      *Forwarding `json:"forward,omitempty"`
	Settings     *Settings   `json:"settings,omitempty"`
	SettingsAsOf Time        `json:"settings_as_of,omitzero"` // when they were read last
	LastResult   *LastResult `json:"last_result"`
	*Panel                   // nil: the phone is no wall panel
	Time         Time        `json:"time"`
	// RemoteControl says whether the phone can be controlled at all, as far as it says so itself: no where nothing has shown
	// that it is a phone, and its model is not configured. It is empty where the phone was not asked yet.
	RemoteControl snom.Support `json:"-"`
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

// seen notes that the phone answered. The caller holds the lock.
func (s *phoneState) seen(now time.Time) {
	s.reachable, s.contact = SwitchOn, contact{lastSeen: now}
}

// unreachable notes that the phone cannot be reached, and why. The caller holds the lock.
func (s *phoneState) unreachable(why error) {
	is := &outage{why: words(why)}
	if s.outage != nil {
		is.backoff = s.outage.backoff
	}
	var untrusted *snom.CertificateError
	if errors.As(why, &untrusted) {
		is.certificate = untrusted.SHA256
	}
	s.reachable, s.contact = SwitchOff, contact{outage: is}
	s.identity.probed, s.urls = false, urlsUnknown // it may come back as another one
}

// needsProbe reports whether the phone is to be asked what it is. The caller holds the lock.
func (s *phoneState) needsProbe() bool { return s.reachable == SwitchOn && !s.identity.probed }

// learn notes what a probe found. A probe that found nothing is not repeated at every poll. The caller holds the lock.
func (s *phoneState) learn(info snom.Info, err error) {
	switch codeOf(err) {
	case Unreachable:
		s.unreachable(err)
		return
	case Internal:
		return // it says nothing of the phone
	case Timeout:
		s.identity.probed = true // nor does this, and it takes long
		return
	}
	s.identity.unidentified = info.IdentifiedBy == ""
	s.identity.foreign = info.Foreign
	s.identity.probed = !s.identity.unidentified // a device that is starting may show more at the next poll
	if err == nil {
		i := &s.identity
		i.control = info.RemoteControl
		if info.Model != "" || info.Firmware != "" || info.MAC != "" { // else what it reported before stands
			i.model, i.firmware, i.mac = info.Model, info.Firmware, info.MAC
			i.reported = info.Model != "" && info.MAC != ""
		}
		i.known, _ = snom.FindModel(info.Model)
	}
}

// accepted notes that the phone has accepted a request, and so the login: it may report more now. The caller holds the
// lock.
func (s *phoneState) accepted() {
	if s.fault != nil && s.fault.login {
		s.fault = nil
	}
	if i := &s.identity; !i.authenticated {
		i.authenticated, i.probed = true, i.probed && i.reported
	}
}

// forget forgets what depends on the phone's settings. The caller holds the lock.
func (s *phoneState) forget() {
	s.reachable, s.contact = SwitchUnknown, contact{}
	s.identity, s.settings, s.fault, s.urls = phoneIdentity{}, nil, nil, urlsUnknown
}

// nextPoll is when to poll again: soon where the phone just became unreachable, for it may be restarting. The caller
// holds the lock.
func (s *phoneState) nextPoll(every time.Duration) time.Duration {
	if s.outage == nil {
		return jitter(every)
	}
	s.outage.backoff = min(max(2*s.outage.backoff, firstBackoff), every)
	return jitter(s.outage.backoff)
}

// status is what is known of the phone now. The caller holds the lock.
func (p *phone) status(now time.Time) Status {
	s := &p.state
	is, configured := &s.identity, p.profile.Load().Model
	model, control := is.model, is.control
	if model == "" {
		model = configured.Name()
	}
	if is.unidentified && model == "" || is.foreign {
		control = snom.No // as far as is known
	}
	problem, remedy := p.problem()
	status := Status{
		Phone: p.name, Reachable: s.reachable, Model: Text(model),
		Firmware: Text(is.firmware), MAC: Text(is.mac), Problem: Text(problem), Remedy: Text(remedy), RemoteControl: control,
		Status: s.callState().Status(), LastResult: s.lastResult, Panel: s.panelStatus(), Time: Time{Time: now},
		Silent: !p.b.cfg.Events,
	}
	if read := s.settings; read != nil {
		status.Settings, status.SettingsAsOf, status.KeyboardLock, status.Forward = read, read.asOf, read.lock, read.forward
	}
	return status
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
	if s.watch != nil {
		s.watch.changed(s.callState())
	}
	after := p.status(now)
	if s.removed {
		return
	}
	p.setModel()
	if before.Calls > 1 && after.Calls < 2 || before.Calls > 0 && after.Calls == 0 {
		s.callsEnded = now
	}
	if after.Reachable != before.Reachable {
		p.publishAvailability()
	}
	if after.Reachable != before.Reachable || after.Problem != before.Problem {
		p.logState(&before, &after)
	}
	if p.b.cfg.OnChange != nil && (after.Reachable != before.Reachable || after.Problem != before.Problem ||
		after.Model != before.Model || after.RemoteControl != before.RemoteControl || after.Firmware != before.Firmware || after.MAC != before.MAC) {
		p.b.cfg.OnChange()
	}
	if doors := p.b.roster.Load().doors; len(doors) > 0 && (after.Call != before.Call || after.Reachable != before.Reachable) {
		p.notifyDoors(doors, &after)
	}
	last := after.LastResult != before.LastResult
	after.LastResult = before.LastResult
	switch {
	case after != before:
		p.publishStatus(now)
	case last && (s.closed || now.Sub(s.published.at) >= p.b.statusEvery()):
		p.publishStatus(now)
	case last && !s.published.pending:
		s.published.pending = true
		time.AfterFunc(p.b.statusEvery()-now.Sub(s.published.at), p.publishPending)
	}
}

// logState logs that the phone became reachable or unreachable, and why, or that something is wrong with it. The caller
// holds the lock.
func (p *phone) logState(before, after *Status) {
	log := p.b.cfg.Log.With(slog.String("phone", p.name))
	switch {
	case after.Reachable == before.Reachable:
	case after.Reachable == SwitchOn:
		var is []any // what is known of it
		if after.Model != "" {
			is = append(is, slog.String("model", string(after.Model)))
		}
		if after.Firmware != "" {
			is = append(is, slog.String("firmware", string(after.Firmware)))
		}
		log.Info("phone reachable", is...)
	case after.Reachable == SwitchOff:
		log.Info("phone unreachable", slog.String("err", p.state.why()))
	}
	if after.Problem != before.Problem && after.Problem != "" {
		log.Warn("problem with a phone", slog.String("err", string(after.Problem)))
	}
}

// setModel puts the model into effect that commands are checked against: what the phone says of itself counts. The
// caller holds the state's lock.
func (p *phone) setModel() {
	was := p.profile.Load()
	model := p.state.identity.known
	if model == (snom.Model{}) {
		model = was.Model
	}
	if model != was.model {
		is := *was
		is.model = model
		p.profile.Store(&is)
	}
}

// publishPending publishes a status that was held back because it changed in its last result only.
func (p *phone) publishPending() {
	s := &p.state
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.published.pending && !s.closed {
		p.publishStatus(time.Now())
	}
}

// publishStatus publishes what is known of the phone. The caller holds the lock.
func (p *phone) publishStatus(now time.Time) {
	p.state.published.at, p.state.published.pending = now, false
	if !p.b.publishesFor(p.name) {
		return
	}
	status := p.status(now)
	if p.b.feed.read() {
		s := status // a copy of its own
		p.b.feed.send(Update{Status: &s})
	}
	if p.b.cfg.HoldStatus && !p.state.published.confirmed {
		return
	}
	payload := encode(status)
	p.state.published.status.sent = p.b.hasher.of(payload)
	p.b.publish(mqtt.Message{Topic: p.b.cfg.Tree.Status(p.name), Payload: payload, Retained: true})
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
	if !p.b.publishesFor(p.name) {
		return
	}
	p.state.published.availability.sent = p.b.hasher.of([]byte(payload))
	p.b.publish(mqtt.Message{Topic: p.b.cfg.Tree.Availability(p.name), Payload: []byte(payload), Retained: true})
}

// republish publishes all that is known of the phone.
func (p *phone) republish() {
	s := &p.state
	s.mu.Lock()
	defer s.mu.Unlock()
	s.published.confirmed = true
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
	if s.published.pending {
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
	if p.b.claims.instance != "" {
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
