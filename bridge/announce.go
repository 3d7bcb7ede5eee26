package bridge

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
	"github.com/snom2mqtt/snom2mqtt/snom/multicast"
)

// A Speaker plays announcements at multicast addresses. Its errors are those of [SpeakerError]; others are of the bridge.
type Speaker interface {
	// Play plays a at an address. Before it sends anything it calls begin, and returns begin's error, if there is one. It
	// returns soon after ctx has ended. length is how much was sent.
	Play(ctx context.Context, address string, a snom.Announcement, begin func() error) (length time.Duration, err error)
	// Measure does what Play does, sends nothing, and returns how long a is.
	Measure(ctx context.Context, a snom.Announcement) (length time.Duration, err error)
}

// A SpeakerError is why an announcement was not played, or not to its end.
type SpeakerError struct {
	Code    Code
	Message string // for a person
}

func (e SpeakerError) Error() string { return e.Message }

// An announcers is the queues of all multicast addresses. An announcement does not use the phone's lane: it makes no request
// to the phone, and commands go on while it is played.
type announcers struct {
	b *Bridge

	mu     sync.Mutex
	queues map[string]*announceQueue // by address; nil: nothing was announced yet; guarded by mu
	stop   string                    // why none is taken any more; guarded by mu
	found  map[string][]string       // by phone: the addresses that it listened to when its settings were read last; guarded by mu
}

// An announceQueue plays the announcements of one multicast address, one after the other. Its goroutine exists only while
// there is one.
type announceQueue struct {
	b       *Bridge
	address string
	dedup   *dedup // of what is announced to a group; a phone's ids are those of its lane

	mu        sync.Mutex
	waiting   []*command              // guarded by mu
	measuring int                     // dry runs under way; guarded by mu
	running   bool                    // the goroutine exists; guarded by mu
	playing   *command                // nil: none; guarded by mu
	end       context.CancelCauseFunc // of the one that is played; guarded by mu
	expiry    *time.Timer             // fires when the first that waits expires; nil: there was none; guarded by mu
	stop      string                  // why none is taken any more; guarded by mu
}

// announceTo plays an announcement at the address of a phone or group, or ends what is played there. It never blocks.
func (b *Bridge) announceTo(name string, c *command) {
	address := b.roster.Load().paging[name].Address
	switch a, _ := c.command.Announcement(); {
	case c.taken == nil && c.id != "" && c.repeats(b.announcers.dedupOf(address)):
	case b.cfg.Speaker == nil || address == "":
		c.cancel(Unsupported, fmt.Sprintf("no multicast address is known for %s: expected one under paging in the phones file", name))
	case a.Ends():
		ended := 0
		if !c.dry {
			ended = b.endAnnouncements(name, "it was ended by an empty announce")
		}
		c.begun(time.Now())
		c.result.Message = fmt.Sprintf("%d ended", ended)
		if c.dry {
			c.result.Details = &Details{Would: []string{}}
		}
		c.endAnnouncement(time.Now())
	default:
		b.announcers.queue(address, true).add(c)
	}
}

// repeats answers a command whose id is taken. The ids of a group are in d.
func (c *command) repeats(d *dedup) bool {
	if c.whole == nil {
		d = c.to.profile.Load().lane.dedup
	}
	if d == nil {
		return false
	}
	first := d.take(c)
	if first == nil {
		return false
	}
	if r := first.repeat(c); r != nil {
		c.deliver(r)
	}
	return true
}

// endAnnouncements ends what is played, and what waits, at the address of a phone or group, and returns how many those are.
func (b *Bridge) endAnnouncements(name, why string) int {
	address := b.roster.Load().paging[name].Address
	if address == "" {
		return 0
	}
	q := b.announcers.queue(address, false)
	if q == nil {
		return 0
	}
	return q.endAll(why)
}

// AnnounceAddress returns the multicast address of a phone or group; empty: it has none.
func (b *Bridge) AnnounceAddress(name string) string { return b.roster.Load().paging[name].Address }

// AnnounceGroups returns the groups that have a multicast address, in the order of their names.
func (b *Bridge) AnnounceGroups() []string {
	r := b.roster.Load()
	return PagedGroups(r.paging, r.groups)
}

// PagedGroups returns those of groups that have a multicast address, and the group of all phones if that has one, in the order
// of their names.
func PagedGroups(paging map[string]multicast.Address, groups map[string][]string) (all []string) {
	for name := range paging {
		if _, is := groups[name]; is || name == All {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

// queue returns the queue of an address; where there is none, a new one if make is set, or else nil.
func (as *announcers) queue(address string, make bool) *announceQueue {
	as.mu.Lock()
	defer as.mu.Unlock()
	q := as.queues[address]
	if q == nil && make {
		if as.queues == nil {
			as.queues = map[string]*announceQueue{}
		}
		q = &announceQueue{b: as.b, address: address, dedup: &dedup{budget: &as.b.ids}, stop: as.stop}
		as.queues[address] = q
	}
	return q
}

// dedupOf returns the ids of groups with an address; nil: it has none.
func (as *announcers) dedupOf(address string) *dedup {
	if address == "" {
		return nil
	}
	return as.queue(address, true).dedup
}

// keep ends the queues of addresses that are not configured any more, and forgets what phones listened to that are not.
func (as *announcers) keep(paging map[string]multicast.Address, phones map[string]*phone) {
	kept := map[string]bool{}
	for _, a := range paging {
		kept[a.Address] = true
	}
	as.mu.Lock()
	maps.DeleteFunc(as.found, func(name string, _ []string) bool { return phones[name] == nil })
	var gone []*announceQueue
	maps.DeleteFunc(as.queues, func(address string, q *announceQueue) bool {
		if !kept[address] {
			gone = append(gone, q)
		}
		return !kept[address]
	})
	as.mu.Unlock()
	for _, q := range gone {
		q.close("its multicast address is not configured any more")
	}
}

// close ends all announcements, and lets none be taken any more.
func (as *announcers) close(why string) {
	as.mu.Lock()
	as.stop = why
	all := slices.Collect(maps.Values(as.queues))
	as.mu.Unlock()
	for _, q := range all {
		q.close(why)
	}
}

func (q *announceQueue) close(why string) {
	q.mu.Lock()
	q.stop = why
	q.mu.Unlock()
	q.endAll(why)
}

// endAll ends what is played and what waits, and returns how many those are.
func (q *announceQueue) endAll(why string) int {
	q.mu.Lock()
	out := q.waiting
	q.waiting = nil
	n := len(out)
	if q.playing != nil {
		q.end(SpeakerError{Cancelled, why})
		n++
	}
	q.mu.Unlock()
	for _, c := range out {
		c.cancel(Cancelled, why)
	}
	return n
}

// add puts an announcement into the queue. It is answered at once where it is not taken. A dry run waits for none.
func (q *announceQueue) add(c *command) {
	q.mu.Lock()
	full := len(q.waiting) >= q.b.cfg.QueueLength
	if c.dry {
		full = q.measuring >= q.b.cfg.QueueLength
	}
	stop := q.stop
	switch {
	case stop != "" || full:
	case c.dry:
		q.measuring++
		q.b.spawn(func(ctx context.Context) {
			a, _ := c.command.Announcement()
			c.measure(ctx, q.address, a)
			q.mu.Lock()
			q.measuring--
			q.mu.Unlock()
		})
	default:
		q.waiting = append(q.waiting, c)
		if !q.running {
			q.running = true
			q.b.spawn(q.run)
		}
		q.arm()
	}
	q.mu.Unlock()
	switch {
	case stop != "":
		c.cancel(Cancelled, stop)
	case full:
		c.cancel(Busy, fmt.Sprintf("the queue of this multicast address is full: QUEUE_LENGTH is %d", q.b.cfg.QueueLength))
	}
}

// arm sets the timer to the first expiry of those that wait. The caller holds the lock.
func (q *announceQueue) arm() {
	var first time.Time
	for _, c := range q.waiting {
		if first.IsZero() || c.expires.Before(first) {
			first = c.expires
		}
	}
	switch {
	case first.IsZero():
		if q.expiry != nil {
			q.expiry.Stop()
		}
	case q.expiry == nil:
		q.expiry = time.AfterFunc(time.Until(first), q.expire)
	default:
		q.expiry.Reset(time.Until(first))
	}
}

// expire answers what has expired in the queue.
func (q *announceQueue) expire() {
	now := time.Now()
	var out []*command
	q.mu.Lock()
	q.waiting = slices.DeleteFunc(q.waiting, func(c *command) bool {
		if now.Before(c.expires) {
			return false
		}
		out = append(out, c)
		return true
	})
	q.arm()
	q.mu.Unlock()
	for _, c := range out {
		c.cancel(Expired, expiredWaiting)
	}
}

// run plays what is in the queue until nothing is left.
func (q *announceQueue) run(ctx context.Context) {
	for {
		c, own, cancel := q.next(ctx)
		if c == nil {
			return
		}
		q.play(own, c)
		cancel(nil)
	}
}

// next takes the next announcement; nil: there is none, and the goroutine ends.
func (q *announceQueue) next(ctx context.Context) (*command, context.Context, context.CancelCauseFunc) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.playing, q.end = nil, nil
	if len(q.waiting) == 0 {
		q.waiting, q.running = nil, false
		q.arm()
		return nil, nil, nil
	}
	c := q.waiting[0]
	q.waiting = slices.Delete(q.waiting, 0, 1)
	q.arm()
	own, cancel := context.WithCancelCause(ctx)
	q.playing, q.end = c, cancel
	return c, own, cancel
}

// errLate says that an announcement expired before its first packet.
var errLate = SpeakerError{Expired, "it expired before it could be played"}

// play plays one announcement and answers it. Until the first packet is sent, it may expire.
func (q *announceQueue) play(ctx context.Context, c *command) {
	a, _ := c.command.Announcement()
	waiting, ready := context.WithDeadlineCause(ctx, c.expires, errLate)
	defer ready()
	playing, end := context.WithCancelCause(ctx)
	defer end(nil)
	stop := context.AfterFunc(waiting, func() { end(context.Cause(waiting)) })
	length, err := q.b.cfg.Speaker.Play(playing, q.address, a, func() error {
		if !stop() {
			return context.Cause(waiting)
		}
		if now := time.Now(); q.b.clock.stale.Load() || !now.Before(c.expires) {
			return errLate
		}
		c.begun(time.Now())
		return nil
	})
	if cause := context.Cause(playing); err != nil && cause != nil {
		err = cause
	}
	now := time.Now()
	if c.result == nil { // nothing was sent
		c.begun(now)
	}
	switch {
	case err == nil:
		c.result.Message = fmt.Sprintf("%s sent to %s", seconds(length), q.address)
	default:
		c.failAnnouncement(err)
		if length > 0 {
			c.result.Message += fmt.Sprintf(" after %s were sent to %s", seconds(length), q.address)
		}
	}
	c.endAnnouncement(now)
}

// measure answers a dry run.
func (c *command) measure(ctx context.Context, address string, a snom.Announcement) {
	waiting, ready := context.WithDeadlineCause(ctx, c.expires, errLate)
	defer ready()
	length, err := c.to.b.cfg.Speaker.Measure(waiting, a)
	if cause := context.Cause(waiting); err != nil && cause != nil {
		err = cause
	}
	c.begun(time.Now())
	if err != nil {
		c.failAnnouncement(err)
	} else {
		c.result.Details = &Details{Would: []string{fmt.Sprintf("RTP PCMU to %s for %s", address, seconds(length))}}
	}
	c.endAnnouncement(time.Now())
}

// failAnnouncement makes err the result.
func (c *command) failAnnouncement(err error) {
	var known SpeakerError
	switch {
	case errors.As(err, &known) && c.secret && known.Code != Cancelled && known.Code != Expired:
		c.fail(known.Code, "it was not played; MASK hides why")
	case errors.As(err, &known):
		c.fail(known.Code, words(known))
	case c.secret:
		c.fail(Internal, "it was not played; MASK hides why")
	default:
		c.fail(Internal, words(err))
	}
}

// seconds is a duration as people read it.
func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// begun makes the result of an announcement that begins now, or is not played at all.
func (c *command) begun(now time.Time) {
	c.started = now
	c.result = c.answer(OK, "", now)
	c.result.QueuedMS = now.Sub(c.received).Milliseconds()
}

// endAnnouncement publishes the result. It says nothing about the phone.
func (c *command) endAnnouncement(now time.Time) {
	c.result.DurationMS = now.Sub(c.started).Milliseconds()
	c.result.Time = Time{Time: now}
	c.finish(c.result)
	c.noteResult(c.result)
}

// announceGroup plays an announcement at the address of a group, once for all members, and answers it by one summary.
func (b *Bridge) announceGroup(name string, members []string, m message, secret, retained bool, now time.Time) {
	p := &profile{}
	c, refusal := p.admit(m, b.cfg.Rules, secret, retained, now)
	c.to, c.whole = &phone{b: b, name: name}, newGroupResult(name, members, m, secret, now)
	b.received(c)
	if refusal.code == "" && b.clock.stale.Load() {
		refusal.code, refusal.message = Expired, "it was received over a connection from before the machine was suspended"
	}
	if refusal.code != "" {
		c.deliver(c.answer(refusal.code, refusal.message, now))
		return
	}
	b.announceTo(name, c)
}

// deliverWhole publishes the one answer to what was announced to a group.
func (c *command) deliverWhole(r *Result) {
	g, b := c.whole, c.to.b
	s := Summary{
		ID: r.ID, Group: g.group, Command: r.Command, Argument: r.Argument, OK: r.OK, Code: r.Code, Message: r.Message,
		Members: make(map[string]Code, len(g.members)), DurationMS: r.Time.Sub(g.received).Milliseconds(), Time: r.Time, Details: r.Details,
	}
	for _, m := range g.members {
		s.Members[m] = r.Code
	}
	b.publishSummary(s)
	b.cfg.Observe.Result(Result{Code: r.Code})
}

// listensTo returns the multicast addresses that a phone is to listen to, in the order of their names.
func (r *roster) listensTo(phone string) (all []multicast.Address) {
	for _, name := range slices.Sorted(maps.Keys(r.paging)) {
		if name == phone || slices.Contains(r.groups[name], phone) {
			all = append(all, r.paging[name])
		}
	}
	return all
}

// installMulticast has the phone listen to addresses, and adds the outcome to done. Where there is none, nothing is asked.
func (p *phone) installMulticast(ctx context.Context, done actionurl.Installation, addresses []multicast.Address, force bool) (actionurl.Installation, error) {
	if len(addresses) == 0 {
		return done, nil
	}
	more, err := multicast.Install(ctx, betweenCommands{p}, addresses, force)
	if err == nil && more.Checked && more.Err() == nil {
		p.listens(ctx)
	}
	if done.Written == nil { // there were no action URLs
		return more, err
	}
	return done.Join(more), err
}

// A probed is what a phone is, and the multicast addresses that it listens to; nil: not known.
type probed struct {
	snom.Info
	ListensTo []string `json:"listens_to,omitzero"`
}

// listening returns the multicast addresses that the phone listens to. It is asked where announcements are to reach it and it
// has accepted the login before: that costs no failed one.
func (p *phone) listening(ctx context.Context) []string {
	p.state.mu.Lock()
	known := p.state.identity.authenticated
	p.state.mu.Unlock()
	if !known || len(p.b.roster.Load().listensTo(p.name)) == 0 {
		return nil
	}
	return p.listens(ctx)
}

// listens reads which multicast addresses the phone listens to, and keeps them; nil: not known.
func (p *phone) listens(ctx context.Context) []string {
	have, err := betweenCommands{p}.ReadSettings(ctx, multicast.Settings()...)
	if err != nil {
		return nil
	}
	found := multicast.ListensTo(have)
	as := &p.b.announcers
	as.mu.Lock()
	defer as.mu.Unlock()
	if as.found == nil {
		as.found = map[string][]string{}
	}
	as.found[p.name] = found
	return found
}

// A Listening is a multicast address whose announcements are for a phone.
type Listening struct {
	Name    string `json:"name"` // of the phone or group that has the address
	Address string `json:"address"`
	Listens Switch `json:"listens"` // the phone listens there, as its settings said when they were read last
}

// Listening returns the multicast addresses whose announcements are for a phone, in the order of the names that have them.
func (b *Bridge) Listening(phone string) (all []Listening) {
	r := b.roster.Load()
	if len(r.paging) == 0 {
		return nil
	}
	b.announcers.mu.Lock()
	found, known := b.announcers.found[phone]
	b.announcers.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(r.paging)) {
		if name != phone && !slices.Contains(r.groups[name], phone) {
			continue
		}
		l := Listening{Name: name, Address: r.paging[name].Address}
		switch {
		case known && slices.Contains(found, l.Address):
			l.Listens = SwitchOn
		case known:
			l.Listens = SwitchOff
		}
		all = append(all, l)
	}
	return all
}
