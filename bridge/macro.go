package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/snom2mqtt/snom2mqtt/callstate"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// A Macro is one macro of a [Roster].
type Macro struct {
	Name  string // [a-z0-9][a-z0-9_-]{0,63}
	Phone string // that runs it where nothing else is said; empty: none
	Steps []MacroStep
	// Otherwise is carried out when a step fails.
	Otherwise []MacroStep
}

// A MacroStep is one step of a [Macro].
type MacroStep struct {
	snom.MacroStep
	Secret bool // its argument is shown nowhere
}

// A script is the steps of a macro. It is not changed.
type script struct {
	phone            string
	steps, otherwise []MacroStep
}

// scripts returns macros by name.
func scripts(macros []Macro) map[string]*script {
	if len(macros) == 0 {
		return nil
	}
	all := make(map[string]*script, len(macros))
	for _, m := range macros {
		all[m.Name] = &script{phone: m.Phone, steps: m.Steps, otherwise: m.Otherwise}
	}
	return all
}

// A MacroInfo describes a macro to other parts of the program.
type MacroInfo struct {
	Name  string `json:"name"`
	Phone string `json:"phone"` // that runs it where nothing else is said; empty: none
}

// Macros returns the macros, by name.
func (b *Bridge) Macros() []MacroInfo {
	var all []MacroInfo
	for name, s := range b.roster.Load().macros {
		all = append(all, MacroInfo{name, s.phone})
	}
	slices.SortFunc(all, func(a, b MacroInfo) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return all
}

// An unknownMacro is the fault of a name that no macro has.
type unknownMacro string

func (name unknownMacro) Error() string {
	return fmt.Sprintf("no macro is called %q: expected one of the phones file, under macros", string(name))
}

// Redacted is Error without the name, which may be a secret that was put into the wrong place.
func (unknownMacro) Redacted() string {
	return "no macro has that name: expected one of the phones file, under macros"
}

// findMacro finds the steps of a message that runs a macro.
func (m *message) findMacro(r *roster) {
	if m.fault != nil {
		return
	}
	name, steps, otherwise, ok := m.command.Macro()
	switch {
	case !ok:
	case name != "":
		if m.script = r.macros[name]; m.script == nil {
			m.fault = unknownMacro(name)
			m.raw = shown(name)
		}
	default:
		m.script = &script{steps: openSteps(steps), otherwise: openSteps(otherwise)}
	}
}

// openSteps returns steps without secrets.
func openSteps(steps []snom.MacroStep) (all []MacroStep) {
	for _, s := range steps {
		all = append(all, MacroStep{MacroStep: s})
	}
	return all
}

// masks reports whether the argument of m, which may contain whole commands, contains one of those whose argument is
// secret. Where it could not be read, it may.
func (m message) masks(mask map[snom.Verb]bool) bool {
	if name, _, _, _ := m.command.Macro(); name != "" {
		return false
	}
	return m.fault != nil || m.script != nil && slices.ContainsFunc(m.script.all(), func(s MacroStep) bool { return mask[s.Command.Verb()] })
}

// all returns all steps, in order.
func (s *script) all() []MacroStep { return slices.Concat(s.steps, s.otherwise) }

// place says which step i of all is, in words.
func (s *script) place(i int) string {
	if n := len(s.steps); i >= n {
		return fmt.Sprintf("step %d of otherwise: ", i-n+1)
	}
	return fmt.Sprintf("step %d of %d: ", i+1, len(s.steps))
}

// admitScript checks all steps of a macro.
func (p *profile) admitScript(s *script, rules Rules, secret bool) refusal {
	for i, step := range s.all() {
		if step.State != "" && !p.lane.b.cfg.Events {
			return refusal{Unsupported, s.place(i) + waitNeedsEvents}
		}
		if step.Command.IsZero() {
			continue
		}
		if r := p.allows(step.Command, rules, secret || p.hides(step)); r.code != "" {
			r.message = s.place(i) + r.message
			return r
		}
	}
	if why := p.planScript(s, secret); why != "" {
		return refusal{Unsupported, why}
	}
	return refusal{}
}

// CheckMacro says why a macro cannot be carried out by its phone of a roster, or nothing. Of one that has no phone of its
// own only that is checked which does not depend on the phone. events says that phones can send events.
func CheckMacro(m Macro, r Roster, rules Rules, events bool) string {
	s := &script{phone: m.Phone, steps: m.Steps, otherwise: m.Otherwise}
	for _, cfg := range r.Phones {
		if cfg.Name == m.Phone {
			p := &profile{PhoneConfig: cfg, model: cfg.Model, lane: &lane{b: &Bridge{cfg: Config{Events: events}}}}
			return p.admitScript(s, rules, false).message
		}
	}
	for i, step := range s.all() {
		if step.State != "" && !events {
			return s.place(i) + waitNeedsEvents
		}
	}
	return ""
}

// waitNeedsEvents says why a step cannot wait.
const waitNeedsEvents = "a wait for a call state needs the phone's events: set PHONE_LISTEN and install the action URLs"

// hides reports whether the argument of a step is not to be shown.
func (p *profile) hides(s MacroStep) bool { return s.Secret || p.Mask[s.Command.Verb()] }

// planScript says why a step of a macro cannot be carried out on a phone as it is, or nothing.
func (p *profile) planScript(s *script, secret bool) (refusal string) {
	for i, step := range s.all() {
		if step.Command.IsZero() {
			continue
		}
		c := command{command: step.Command, secret: secret || p.hides(step)}
		if why := c.plan(p); why != "" {
			return s.place(i) + why
		}
	}
	return ""
}

// would adds to a list what the phone would be asked by the steps of the macro c.
func (s *script) would(c *command, would []string) []string {
	for _, step := range s.steps {
		if step.Command.IsZero() {
			would = append(would, step.String())
			continue
		}
		part := c.step(step)
		if part.plan(c.planned) == "" {
			would = append(would, part.would()...)
		}
	}
	return would
}

// step returns the command of one step of the macro c.
func (c *command) step(s MacroStep) *command {
	part := &command{
		to: c.to, id: c.id, command: s.Command, effects: s.Command.Effects(), name: s.Name(), part: true,
		secret: c.secret || c.planned.hides(s), received: time.Now(),
	}
	part.effects.Yields = false // the macro keeps the phone
	part.expires = part.received.Add(max(c.to.b.cfg.Rules.TTL, c.lifetime))
	if c.door != nil && s.Secret {
		part.expires = c.expires // a code is not sent after that
	}
	return part
}

// A scriptRun is a macro that is carried out.
type scriptRun struct {
	c       *command
	until   time.Time                  // when it has lasted too long
	dialled time.Time                  // when its last call was begun; zero: it began none
	begun   bool                       // its first step is over, and was not too late
	talking bool                       // it has waited for a connected call
	holds   func(callstate.State) bool // what such a call is; nil: any
}

// talks reports whether the call is there that the macro waits for.
func (run *scriptRun) talks(calls callstate.State) bool {
	if run.holds != nil {
		return run.holds(calls)
	}
	return talking(calls)
}

// runScript carries out a macro, one step after the other. A step that fails ends it; what stands under otherwise is
// carried out then, unless the macro was cancelled.
func (c *command) runScript(ctx context.Context, p pacedPhone) {
	c.result.Details = &Details{Steps: []StepResult{}}
	run := &scriptRun{c: c, until: c.started.Add(snom.MaxMacroTime)}
	for i, step := range c.script.steps {
		cut, r := run.carryOut(ctx, p, step)
		c.result.Steps = append(c.result.Steps, r)
		if r.Code == OK {
			continue
		}
		c.fail(r.Code, c.script.place(i)+r.Message)
		if !cut {
			run.otherwise(ctx, p)
		}
		return
	}
}

// otherwise carries out what is to be done when a step has failed.
func (run *scriptRun) otherwise(ctx context.Context, p pacedPhone) {
	run.talking = false
	for _, step := range run.c.script.otherwise {
		cut, r := run.carryOut(ctx, p, step)
		r.Otherwise = true
		run.c.result.Steps = append(run.c.result.Steps, r)
		if cut || r.Code != OK {
			return
		}
	}
}

// carryOut carries out one step. It reports whether the macro was cancelled.
func (run *scriptRun) carryOut(ctx context.Context, p pacedPhone, s MacroStep) (cut bool, r StepResult) {
	r = StepResult{Command: s.Name(), Code: OK}
	why := p.pause() // after the request before it
	switch {
	case why.code != "":
		cut, r.Code, r.Message = true, why.code, why.why
	case !time.Now().Before(run.until):
		r.Code, r.Message = Expired, "it took too long"
	case s.Command.IsZero():
		why, met := run.wait(p, s)
		if cut = why.code != ""; cut {
			r.Code, r.Message = why.code, why.why
		} else if !met {
			r.Code, r.Message = Unmet, fmt.Sprintf("the phone was not %s within %v", s.State, s.Wait)
		}
	default:
		cut, r = run.send(ctx, p, s)
	}
	run.begun = run.begun || r.Code != Expired
	r.Time = Time{Time: time.Now()}
	return cut, r
}

// send carries out the command of a step.
func (run *scriptRun) send(ctx context.Context, p pacedPhone, s MacroStep) (cut bool, r StepResult) {
	r = StepResult{Command: s.Name()}
	part := run.c.step(s)
	if !run.begun {
		part.expires = run.c.expires // the phone may take until then to accept a login
	}
	if run.talking && part.effects.IntoCall {
		watch := p.phone.guard(run.talks)
		defer p.phone.unguard(watch)
		part.revoked = &watch.revoked
	}
	if _, ok := s.Command.Number(); ok {
		run.dialled = time.Now()
	}
	part.carryOut(ctx, p)
	is := part.result
	run.c.result.HTTPStatus = is.HTTPStatus
	run.c.result.Requests += is.Requests
	r.Code, r.Message = is.Code, is.Message
	if part.revoked != nil && errors.Is(part.err, snom.ErrRevoked) {
		r.Code, r.Message = Unmet, "the call was over"
	}
	p.lane.mu.Lock()
	cut = p.lane.interrupted(p).code != "" && r.Code != OK
	p.lane.mu.Unlock()
	return cut, r
}

// carryOut carries out a command that is a step of a macro: it has a result, which is not published.
func (c *command) carryOut(ctx context.Context, p pacedPhone) {
	if c.begin(p, time.Now()) {
		c.perform(ctx, p)
	}
	c.result.Time = Time{Time: time.Now()}
	if c.to.b.cfg.Log.Enabled(context.Background(), slog.LevelDebug) {
		c.to.b.cfg.Log.Debug("step of a macro done", slog.String("phone", c.to.name), slog.String("id", c.id),
			slog.String("command", c.name), slog.Any("code", c.result.Code))
	}
	c.learn()
}

// wait waits for a call state, or until a pause is over. It says why it must not go on waiting, or whether the state came.
func (run *scriptRun) wait(p pacedPhone, s MacroStep) (why ended, met bool) {
	until := time.Now().Add(s.Wait)
	if run.until.Before(until) {
		until = run.until
	}
	if s.State != "" {
		defer p.phone.unguard(p.phone.wakeFor(p.lane))
	}
	l := p.lane
	for {
		now := time.Now()
		l.b.checkClock(now)
		wait := until.Sub(now)
		met = s.State != "" && run.reached(p.phone.calls(), callstate.Phase(s.State))
		l.mu.Lock()
		why = l.interrupted(p)
		l.expect(now, wait)
		wake := l.wake
		l.mu.Unlock()
		switch {
		case why.code != "":
			return why, false
		case met:
			run.talking = callstate.Phase(s.State) == callstate.Connected
			return why, true
		case wait <= 0:
			return why, s.State == ""
		}
		rest(wait, wake)
	}
}

// reached reports whether a phone is in a call state. After a step that begins a call, states from before it do not count,
// nor the connection of a call that came in.
func (run *scriptRun) reached(calls callstate.State, phase callstate.Phase) bool {
	is := calls.Status()
	if !run.dialled.IsZero() {
		if is.Call.Since.Before(run.dialled) {
			return false
		}
		if (phase == callstate.Connected || phase == callstate.Dialing) && is.Call.Direction == actionurl.DirectionIn {
			return false
		}
	}
	switch phase {
	case callstate.Idle:
		return is.Calls == 0
	case callstate.Connected:
		return run.talks(calls)
	}
	return is.Call.State == phase
}

// talking reports whether a call is connected, as the phone has reported in this process.
func talking(calls callstate.State) bool {
	_, ok := calls.Talking()
	return ok
}

// A callWatch follows the calls of a phone for the job that runs on it.
type callWatch struct {
	wake    chan<- struct{}            // notified at every change; nil: nothing is
	holds   func(callstate.State) bool // nil: nothing is checked
	revoked atomic.Bool                // holds was false once
}

// changed takes the calls as they are now. The caller holds the lock of the phone's state.
func (w *callWatch) changed(calls callstate.State) {
	notify(w.wake)
	if w.holds != nil && !w.holds(calls) {
		w.revoked.Store(true)
	}
}

// wakeFor has the lane woken when the calls of the phone change.
func (p *phone) wakeFor(l *lane) *callWatch {
	l.mu.Lock()
	w := &callWatch{wake: l.wake}
	l.mu.Unlock()
	p.state.mu.Lock()
	defer p.state.mu.Unlock()
	p.state.watch = w
	return w
}

// guard returns a watch that is revoked when holds is false of the calls of the phone, now or later.
func (p *phone) guard(holds func(callstate.State) bool) *callWatch {
	w := &callWatch{holds: holds}
	p.state.mu.Lock()
	defer p.state.mu.Unlock()
	p.state.watch = w
	w.changed(p.state.callState())
	return w
}

// unguard ends a watch.
func (p *phone) unguard(w *callWatch) {
	p.state.mu.Lock()
	defer p.state.mu.Unlock()
	if p.state.watch == w {
		p.state.watch = nil
	}
}

// calls is what the phone has reported of its calls.
func (p *phone) calls() callstate.State {
	p.state.mu.Lock()
	defer p.state.mu.Unlock()
	return p.state.callState()
}
