package bridge

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// A command is one command for one phone, checked and dated: a job of the phone's lane.
//
// Nothing is sent twice. A request that may have reached the phone may have pressed the key, and one that certainly
// did not is answered unreachable at once, so that the sender can decide.
type command struct {
	// What follows is settled before the command enters a queue, and does not change then.
	to       *phone
	id       string
	command  snom.Command
	effects  snom.Effects  // of command
	name     string        // the command's name, as the result says it
	argument string        // as the result says it: masked when secret
	secret   bool          // neither the result nor its message may show the argument
	dry      bool          // everything is checked, and nothing sent
	script   *script       // its steps, of a macro; nil: it is none
	door     *door         // that it opens; nil: none
	onResult func(*Result) // gets the result, too; nil: nothing does
	part     bool          // it is a step of a macro, and its result is not published
	revoked  *atomic.Bool  // set when it must not be sent any more; nil: it may
	received time.Time
	whole    *groupResult // of what is announced to a group as a whole, and answered once; nil: it is for a phone
	group    *groupResult // nil when it did not come through a group
	again    *relighting  // lights that are set again; nil: it is a command that was received

	// What follows belongs to the goroutine that has the command: the one that received it until it is in the queue, then
	// that of the lane, or the one that takes it out of the queue to answer it.
	expires time.Time // of its next request; a moment of the monotonic clock: the wall clock does not matter
	large   int64     // bytes that it counts with while it waits; 0: it is no large one
	taken   *taken    // its id in the phone's memory; nil: it has none, or was not taken
	planning
	progress
}

// planning is how a command is carried out. It belongs to the goroutine that has the command.
type planning struct {
	planned *profile    // what steps and warning are planned for
	steps   []snom.Step // the requests to make
	warning string      // what is doubtful about it on this model
}

// progress is how far a command has come. It belongs to the goroutine of the lane.
type progress struct {
	err      error // of the last request
	started  time.Time
	asked    time.Time     // when the last request was made
	lifetime time.Duration // from receipt to expiry
	result   *Result       // nil: it has not begun
	sent     int           // how many requests were made
	transfer *transfer     // after it, if it is carried out; nil: it stays as it is
	read     []readSetting // settings that were read, the newest value of each
	changed  *snom.Change  // the setting that has the value that was asked for, though it was not read; nil: none
}

func (c *command) phone() *phone       { return c.to }
func (c *command) deadline() time.Time { return c.expires }

func (c *command) priority() priority {
	if !c.dry && (c.effects.Urgent || c.effects.StopsRings) {
		return urgent
	}
	return normal
}

func (c *command) ends(other job) string {
	o, ok := other.(*command)
	switch {
	case !ok || c.dry:
	case c.effects.Urgent && !o.effects.Urgent:
		return "a hangup overtook it"
	case c.effects.StopsRings && o.effects.Yields:
		return "the ringing was stopped"
	}
	return ""
}

// answer is the start of every result of c.
func (c *command) answer(code Code, message string, now time.Time) *Result {
	var details *Details
	if c.door != nil {
		details = &Details{Door: c.door.name}
	}
	return &Result{
		Details: details,

		ID: c.id, Phone: c.to.name, Command: c.name, Argument: c.argument,
		OK: code == OK, Code: code, Message: message, Time: Time{Time: now},
	}
}

// largeMost bounds the bytes of commands with a picture that wait, of all phones together.
const largeMost = 16 << 20

// reserve counts the bytes of a large command until its result is delivered, and reports whether there is room for them.
func (c *command) reserve() bool {
	n := int64(c.command.Size())
	if n <= snom.MaxPayload {
		return true
	}
	if c.to.b.large.Add(n) > largeMost {
		c.to.b.large.Add(-n)
		return false
	}
	c.large = n
	return true
}

// enqueue hands the command to its phone's lane. It never blocks: it is called from the MQTT client's own goroutine.
// Every command that is taken gets its one answer later.
func (c *command) enqueue() {
	if !c.reserve() {
		c.cancel(Busy, "too many pictures wait for their phones")
		return
	}
	if c.id != "" {
		if first := c.ids().take(c); first != nil {
			if r := first.repeat(c); r != nil {
				c.deliver(r)
			}
			return
		}
	}
	if c.effects.Urgent && !c.dry {
		c.to.b.endAnnouncements(c.to.name, hungUp)
	}
	c.to.add(c)
}

// ids is what remembers the ids of commands to the same phone, or door.
func (c *command) ids() *dedup {
	if c.door != nil {
		return c.door.dedup
	}
	return c.to.profile.Load().lane.dedup
}

// cancel answers a command that does not run: one that has not begun, or one that left the phone to others for a while.
func (c *command) cancel(code Code, why string) {
	now := time.Now()
	if c.result != nil {
		c.fail(code, c.after(why))
		c.end(now)
		return
	}
	r := c.answer(code, why, now)
	if c.again != nil && c.again.quiet(c, code) {
		return
	}
	if code == Expired {
		r.QueuedMS = now.Sub(c.received).Milliseconds()
	}
	c.finish(r)
	c.noteResult(r)
}

// noteResult notes the result of a command that did not run as the phone's last one. One that was only tried is none.
func (c *command) noteResult(r *Result) {
	if !c.dry && c.whole == nil {
		c.to.update(func(s *phoneState) { s.lastResult = lastResult(r) })
	}
}

// finish publishes the command's result, and those of repetitions that waited for it.
func (c *command) finish(r *Result) {
	var repeated []*command
	if c.taken != nil {
		repeated = c.taken.settle(r, r.Code == Busy)
	}
	c.deliver(r)
	for _, again := range repeated {
		again.deliver(duplicate(again, r))
	}
}

// deliver publishes a result, and the summary of its group when that is complete.
func (c *command) deliver(r *Result) {
	if c.whole != nil {
		c.deliverWhole(r)
		return
	}
	b := c.to.b
	if c.large > 0 {
		b.large.Add(-c.large)
		c.large = 0
	}
	topic := r.Phone
	if c.door != nil {
		topic = c.door.name
	}
	b.publish(mqtt.Message{Topic: b.cfg.Tree.Result(topic), Payload: encodeResult(r)})
	if c.onResult != nil {
		c.onResult(r)
	}
	b.cfg.Observe.Result(*r)
	if r.Code == Expired {
		b.late.Add(1)
	}
	if b.feed.read() {
		b.feed.send(Update{Result: r})
	}
	if !r.OK {
		kind := r.Command
		if !snom.Verb(kind).Valid() {
			kind = "" // a name that others choose
		}
		b.limit.Log(slog.LevelInfo, r.Phone+" "+kind+" "+string(r.Code), "command not carried out", slog.String("phone", r.Phone),
			slog.String("command", r.Command), slog.Any("code", r.Code), slog.String("err", r.Message))
	}
	if c.group != nil {
		b.unanswered.Add(-1)
		if s, complete := c.group.add(r); complete {
			b.publishSummary(s)
		}
	}
}

// run carries out the command, or its next part, and publishes its result when that was the last.
func (c *command) run(ctx context.Context, p pacedPhone) (resume time.Time) {
	defer func() {
		if v := recover(); v != nil {
			c.to.b.cfg.Log.Error("internal error", slog.String("phone", c.to.name), slog.String("id", c.id),
				slog.String("command", c.name), slog.Any("err", v))
			c.fail(Internal, "internal error of the bridge: see its log")
			resume = time.Time{}
		}
		if resume.IsZero() {
			c.end(time.Now())
		}
	}()
	if c.result == nil && !c.begin(p, time.Now()) {
		return time.Time{}
	}
	switch {
	case c.door != nil:
		c.door.open(ctx, c, p)
		return time.Time{}
	case c.dry:
		c.dryRun(ctx, p, c.command.Changes())
		return time.Time{}
	case c.script != nil:
		c.runScript(ctx, p)
		return time.Time{}
	}
	return c.perform(ctx, p)
}

// perform makes the requests of a command, or the next of them.
func (c *command) perform(ctx context.Context, p pacedPhone) (resume time.Time) {
	changes := c.command.Changes()
	switch {
	case c.command.Displays():
		c.runDisplay(ctx, p)
	case c.effects.Picture:
		c.takePicture(ctx, p)
	case len(changes) > 0:
		c.change(ctx, p, changes)
	default:
		return c.send(ctx, p)
	}
	return time.Time{}
}

// begin decides what is sent, and reports whether anything is.
func (c *command) begin(p pacedPhone, now time.Time) bool {
	c.started, c.lifetime = now, c.expires.Sub(c.received)
	c.result = c.answer(OK, c.warning, now)
	c.result.QueuedMS = now.Sub(c.received).Milliseconds()
	if first := c.taken.before(); first != nil {
		queued := c.result.QueuedMS
		c.result = duplicate(c, first)
		c.result.QueuedMS = queued
		return false
	}
	if err := p.lane.lockedOut(now); err != nil {
		return c.fail(LockedOut, words(err))
	}
	if c.planned != p.profile { // it is another phone, or known to be another model, since the command was admitted
		if why := c.plan(p.profile); why != "" {
			return c.fail(Unsupported, why)
		}
		c.result.Message = c.warning
	}
	if objection, refused := c.objection(); refused {
		return c.fail(Invalid, objection)
	} else if objection != "" {
		c.result.Message = strings.TrimPrefix(c.warning+"; "+objection, "; ")
	}
	if err := c.planTransfer(p, now); err != nil && !c.to.b.cfg.AnyTransfer {
		return c.fail(Invalid, words(err))
	}
	return true
}

// dryRun makes what the phone would be asked the result.
func (c *command) dryRun(ctx context.Context, p pacedPhone, changes []snom.Change) {
	would := c.would()
	if s, ok := c.command.Show(); ok {
		if code, why := p.checkShow(&display{of: s}); code != "" {
			c.fail(code, why)
			return
		}
	}
	if l, ok := c.command.LED(); ok && !p.model.IsZero() { // an unknown model would be asked for first
		if _, why := p.led(l); why != "" {
			c.fail(Unsupported, why)
			return
		}
	}
	if c.command.Displays() {
		shown, err := c.wouldDisplay(ctx, p)
		if err != nil {
			c.fail(codeOf(err), words(err))
			return
		}
		would = append(would, shown)
	}
	if len(changes) > 0 {
		doubt := "the setting is read first, and written only if it has another value"
		if first := changes[0]; len(changes) == 1 && first.Key != "" && c.to.reported(first) == first.Value {
			would, doubt = []string{}, "it is so already: nothing would be sent"
		}
		c.result.Message = strings.TrimPrefix(c.result.Message+"; "+doubt, "; ")
	}
	c.result.Details = &Details{Would: would}
}

// would lists what the phone would be asked.
func (c *command) would() []string {
	would := []string{} // and not null
	for _, step := range c.steps {
		if shown := step.Shown(c.secret); !c.secret || !slices.Contains(would, shown) { // how many there are may say how long a secret is
			would = append(would, shown)
		}
	}
	if c.script != nil {
		would = c.script.would(c, would)
	}
	return would
}

// plan finds out what carries out the command on a phone as it is, or says why nothing does. Of a secret command neither
// the refusal nor the warning repeats anything.
func (c *command) plan(p *profile) (refusal string) {
	var err error
	c.planned = p
	if c.script != nil {
		return p.planScript(c.script, c.secret)
	}
	c.steps, c.warning, err = p.Phone.Plan(c.command, p.model)
	if c.secret && (err != nil || c.warning != "") {
		hidden, redacted := p.model.CheckRedacted(c.command)
		if c.warning = hidden; err != nil && redacted == nil {
			return "this phone cannot do it; MASK hides why"
		}
		err = redacted
	}
	if err != nil {
		return words(err)
	}
	return ""
}

// objection says what speaks against the command on a phone that certainly has no call, and whether it is refused then.
func (c *command) objection() (objection string, refused bool) {
	if objection, refused = c.command.WhenIdle(); objection == "" || !c.to.b.cfg.Events {
		return "", false
	}
	s := &c.to.state
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.callState().KnownIdle() {
		return "", false
	}
	return objection, refused
}

// send makes the requests that are left. A command that yields makes one, and says when the next is due.
func (c *command) send(ctx context.Context, p pacedPhone) (resume time.Time) {
	yields := c.effects.Yields
	for c.sent < len(c.steps) {
		if c.sent > 0 {
			if cut := p.pause(); cut.code != "" {
				c.fail(cut.code, c.after(cut.why))
				c.failTransfer(p)
				return time.Time{}
			}
			if !yields {
				c.dueBy(time.Now())
			}
		}
		step := c.steps[c.sent]
		step.NotAfter, step.Revoked, c.asked = c.expires, c.revoked, time.Now()
		busy := step.Pause
		if yields {
			busy = 0
		}
		if c.effects.TogglesDND && c.sent == 0 {
			c.to.forgetDND()
		}
		reply, err := p.send(ctx, step, busy)
		c.result.HTTPStatus = reply.Status
		c.result.Requests += reply.Requests
		if err != nil {
			c.failStep(err)
			c.failTransfer(p)
			return time.Time{}
		}
		c.sent++
		if yields && c.sent < len(c.steps) {
			resume = time.Now().Add(step.Pause)
			c.dueBy(resume)
			return resume
		}
	}
	if c.transfer != nil {
		p.lane.transfer = c.transfer
	}
	return time.Time{}
}

// dueBy sets the expiry of the next request of a command that has begun, which is due at a moment: it may be as late
// as the first one might have been.
func (c *command) dueBy(at time.Time) {
	c.expires = at.Add(c.lifetime)
}

// failStep makes err the result: the error of the request after those that were made.
func (c *command) failStep(err error) {
	c.err = err
	code, message := codeOf(err), words(err)
	if c.warning != "" && code == Unsupported { // what was doubtful is so
		message += "; " + c.warning
	}
	if c.sent > 0 {
		message = fmt.Sprintf("request %d of %d: %s", c.sent+1, len(c.steps), message)
		if code == Unreachable {
			code = Timeout // what came before was delivered
		}
	}
	c.fail(code, message)
}

// fail makes code the result. It returns false.
func (c *command) fail(code Code, message string) bool {
	c.result.OK, c.result.Code, c.result.Message = false, code, message
	return false
}

// after says of a command that does not go on how far it came.
func (c *command) after(why string) string {
	return fmt.Sprintf("%s after %d of %d requests", why, c.sent, len(c.steps))
}

// end publishes the result, and draws from it what it says about the phone.
func (c *command) end(now time.Time) {
	b := c.to.b
	c.result.DurationMS = now.Sub(c.started).Milliseconds()
	c.result.Time = Time{Time: now}
	if c.result.Requests > 0 || c.sent > 0 || c.result.HTTPStatus != 0 || c.result.Code == Unreachable {
		b.cfg.Observe.Sent(c.command.Verb(), c.started.Sub(c.received), now.Sub(c.started))
	}
	if b.cfg.Log.Enabled(context.Background(), slog.LevelDebug) {
		b.cfg.Log.Debug("command done", slog.String("phone", c.to.name), slog.String("id", c.id), slog.String("command", c.name),
			slog.Any("code", c.result.Code), slog.Duration("took", now.Sub(c.started)))
	}
	if c.result.OK && c.result.Requests > 0 && !c.identified() {
		c.result.Message = strings.TrimPrefix(c.result.Message+"; the device accepted it, but "+unidentified, "; ")
	}
	if c.again == nil || !c.again.quiet(c, c.result.Code) {
		c.finish(c.result)
	}
	if !c.dry {
		c.learn()
	}
}

// identified reports whether anything has shown that the device is a phone, as far as its transport looks for that.
func (c *command) identified() bool {
	device, ok := c.planned.Phone.(Identifier)
	return !ok || device.Identified()
}

// learn notes what the result says about the phone.
func (c *command) learn() {
	var probe bool
	r := c.result
	c.to.update(func(s *phoneState) {
		if !c.part {
			s.lastResult = lastResult(r)
		}
		if c.script != nil || c.door != nil {
			return // its steps have said it
		}
		switch {
		case r.HTTPStatus != 0 || r.OK && r.Requests > 0:
			s.seen(r.Time.Time)
		case r.Code == Unreachable && c.err != nil:
			s.unreachable(c.err)
		}
		if r.OK && r.Requests > 0 {
			s.accepted()
			s.identity.unidentified = !c.identified()
			c.learnEffects(s, r.Time.Time)
		}
		if len(c.read) > 0 {
			c.learnSettings(s, r.Time.Time)
		}
		if s.fault != nil || r.Code == Refused {
			c.learnFault(s)
		}
		probe = s.needsProbe() || r.OK && c.to.checksURLs()
	})
	if probe || r.Code == Timeout && c.script == nil && c.door == nil {
		c.to.pollIn(settleTime)
	}
}

// learnEffects notes what the command did to the phone: that counts as if the phone had reported it.
func (c *command) learnEffects(s *phoneState, now time.Time) {
	if c.effects.Restarts {
		s.identity.probed, s.urls, s.lastSeen = false, urlsUnknown, time.Time{} // what comes back may be another firmware
	}
	if c.changed != nil || c.effects != (snom.Effects{}) && !c.effects.Picture {
		c.learnCalls(s, now)
	}
}

// learnCalls is the part of learnEffects that concerns calls.
func (c *command) learnCalls(s *phoneState, now time.Time) {
	calls := s.callState()
	switch {
	case c.changed != nil && c.changed.Setting == settingDND && c.changed.Identity == 0:
		calls = calls.WithDND(c.changed.Value == "on")
	case c.effects.TogglesDND && s.reportsDND: // since it was pressed
		return
	case c.effects.TogglesDND:
		calls = calls.WithoutDND()
	case s.calls == nil:
		return
	case c.effects.Restarts:
		calls = calls.Restarted(now)
	case c.effects.EndsCalls:
		calls = calls.HungUp(c.asked, now)
	case c.effects.EndsCall:
		calls = calls.HungUpCurrent(c.asked, now)
	case c.effects.Answers:
		calls = calls.Answered(c.asked, now)
	case c.effects.ClearsMissed:
		calls = calls.ClearMissed()
	default:
		return
	}
	s.calls = &calls
	c.to.planExpiry() // a call that ended shows as such for a moment
}
