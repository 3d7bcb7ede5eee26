package bridge

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// A lane runs jobs on one phone: one at a time, in order, urgent ones first. It belongs to the phone's address and not
// to its name: a phone that is renamed, or removed and added again, keeps its lane, and so everything that must not
// begin anew while a request is under way.
//
// The goroutine of a lane exists only while there is something to do, so that thousands of idle phones cost nothing.
type lane struct {
	b *Bridge

	mu        sync.Mutex
	*laneWork                    // nil: there is nothing to do, and the goroutine does not exist; guarded by mu
	stop      string             // why no job is taken any more; guarded by mu
	login     string             // fingerprint of the login that breaker is about; guarded by mu
	breaker   breaker            // written by the goroutine alone, under mu, so that others may read it
	others    map[string]breaker // by login, of further names of the phone; nil: none; guarded by mu

	dedup    *dedup    // has a mutex of its own
	before   *lane     // of the same phone at another address: this one begins when that one is idle; nil: none; touched by the goroutine alone
	pace     pacing    // written by the goroutine alone; others may read it under mu while restsUntil is set
	transfer *transfer // the attended transfer under way; nil: there was none; touched by the goroutine alone
}

// laneWork is the part of a lane that exists while there is something to do.
type laneWork struct {
	queue      []entry            // by priority, then arrival
	current    job                // the job that runs; nil: none
	cut        *ended             // why the job that runs must not go on; nil: it may
	passed     int                // commands that went before an administrative job that waits
	wake       chan struct{}      // ends a wait of the goroutine
	idle       chan struct{}      // closed when the goroutine ends; nil: nothing waits for that
	restsUntil time.Time          // while the goroutine waits for a job's time
	yield      context.CancelFunc // ends the background job that runs; nil: none does
	expiry     *time.Timer        // fires when the first job in the queue expires; nil: nothing expires
	due        time.Time          // the goroutine has made progress by then, or it is stuck
	sighted    *sighting          // where the phone was found, which is looked at between two jobs; nil: nowhere new; touched by the goroutine alone
}

// laneWorks are those that no lane has.
type laneWorks struct{ pool sync.Pool }

func (p *laneWorks) get() *laneWork {
	if w, ok := p.pool.Get().(*laneWork); ok {
		return w
	}
	return &laneWork{wake: make(chan struct{}, 1)}
}

// put takes w, whose queue is empty, for the next lane.
func (p *laneWorks) put(w *laneWork) {
	select {
	case <-w.wake:
	default:
	}
	*w = laneWork{queue: w.queue[:0], wake: w.wake}
	const few = 8 // entries for which a queue keeps its memory
	if cap(w.queue) > few {
		w.queue = nil
	}
	p.pool.Put(w)
}

// pacing is when the phone may have its next request. It is kept here and nowhere else.
type pacing struct {
	readyAt   time.Time // the pause after the last request is over
	busyUntil time.Time // and the phone has finished what the request started, such as a key sequence
}

// sent notes a request that ended at now and keeps the phone busy for another while.
func (p *pacing) sent(now time.Time, gap, busy time.Duration) {
	p.readyAt = now.Add(gap)
	p.busyUntil = now.Add(max(gap, busy))
}

// polled notes a request of a poll: the next poll leaves a pause after it. A command does not, since what it has to wait
// for is only what a command started; the client keeps the pause between two connections by itself.
func (p *pacing) polled(now time.Time, gap time.Duration) { p.readyAt = now.Add(gap) }

// A priority orders the jobs of a lane.
type priority int

// The priorities. A background job is taken only by a lane that has nothing to do, and ends when anything else comes.
const (
	background     priority = iota // a poll
	administrative                 // probe, or one step of install: between two commands
	normal                         // a command
	urgent                         // a hangup: it waits for no key sequence
)

// maxPassed is how many commands in a row may go before an administrative job that waits.
const maxPassed = 4

// A job needs a phone to itself.
type job interface {
	phone() *phone
	priority() priority
	deadline() time.Time // after which it is not to begin, or go on; zero: none
	// run does the job. A job that leaves the phone to others for a while returns when it goes on; it is run again
	// then, unless it is cancelled. The zero time says that it is done.
	run(ctx context.Context, p pacedPhone) (resume time.Time)
	// ends says why other is cancelled when this job comes; empty: it is not.
	ends(other job) string
	// cancel ends a job that does not run, and answers it. It is called without the lane's lock.
	cancel(code Code, why string)
}

// An entry is a job in the queue.
type entry struct {
	job
	notBefore time.Time // when a job that has begun goes on; zero: it has not begun
}

// A pacedPhone is a phone as a job has it: nothing else uses it, and the pauses between requests are kept.
type pacedPhone struct {
	*profile
	phone *phone
}

// An ended job is one that another job, or its deadline, took out of the queue.
type ended struct {
	job
	code Code
	why  string
}

func cancelAll(all []ended) {
	for _, e := range all {
		e.cancel(e.code, e.why)
	}
}

// moved is the verdict on a job whose phone does not belong to the lane any more.
const moved Code = ""

// add puts a job of to into the queue, or says why it does not. full bounds the commands that wait. The jobs that it
// ends are answered first.
func (l *lane) add(j job, to *phone, full int) Code {
	l.mu.Lock()
	defer l.mu.Unlock()
	if out := l.endOthers(j); len(out) > 0 {
		l.cancelUnlocked(out)
	}
	if j.priority() >= normal && l.waiting() >= full {
		l.cancelUnlocked(l.takeExpired(time.Now()))
		if l.waiting() >= full {
			return Busy
		}
	}
	switch is := to.profile.Load(); {
	case l.stop != "":
		return Cancelled
	case is.lane != l || is.stop != "":
		return moved
	}
	l.insert(entry{job: j})
	return OK
}

// cancelUnlocked gives the lock back for as long as it takes to answer jobs. The caller holds the lock.
func (l *lane) cancelUnlocked(all []ended) {
	l.mu.Unlock()
	defer l.mu.Lock()
	cancelAll(all)
}

// endOthers takes the jobs out of the queue that j ends, and has the one that runs ended. The caller holds the lock.
func (l *lane) endOthers(j job) (out []ended) {
	if l.laneWork == nil {
		return nil
	}
	if l.yield != nil {
		l.yield()
	}
	if l.current != nil {
		if why := j.ends(l.current); why != "" {
			l.cut = &ended{code: Cancelled, why: why}
			notify(l.wake)
		}
	}
	l.queue = slices.DeleteFunc(l.queue, func(e entry) bool {
		why := j.ends(e.job)
		if e.priority() == background { // it waits for the pause after a request
			why = "another job came"
		}
		if why != "" {
			out = append(out, ended{e.job, Cancelled, why})
		}
		return why != ""
	})
	return out
}

// insert puts e behind the jobs of its priority and sees to it that it is run. The caller holds the lock.
func (l *lane) insert(e entry) {
	idle := l.laneWork == nil
	if idle {
		l.laneWork = l.b.laneWorks.get()
	}
	p := e.priority()
	i := len(l.queue)
	for i > 0 && l.queue[i-1].priority() < p {
		i--
	}
	l.queue = slices.Insert(l.queue, i, e)
	if idle {
		l.expect(time.Now(), 0)
		l.b.spawn(l.run)
		return
	}
	l.expireAt(e.deadline())
	if !l.restsUntil.IsZero() && l.readyAt(e).Before(l.restsUntil) {
		notify(l.wake)
	}
}

// addIdle puts a background job into the queue of a lane that has nothing to do, and reports whether it did.
func (l *lane) addIdle(j job) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stop != "" || l.laneWork != nil {
		return false
	}
	l.insert(entry{job: j})
	return true
}

// waiting is how many commands wait that have not begun. The caller holds the lock.
func (l *lane) waiting() (n int) {
	if l.laneWork == nil {
		return 0
	}
	for _, e := range l.queue {
		if e.priority() >= normal && e.notBefore.IsZero() {
			n++
		}
	}
	return n
}

// takeOut takes the jobs out of the queue that which says. The caller holds the lock.
func (l *lane) takeOut(code Code, why string, which func(entry) bool) (out []ended) {
	if l.laneWork == nil {
		return nil
	}
	l.queue = slices.DeleteFunc(l.queue, func(e entry) bool {
		if !which(e) {
			return false
		}
		out = append(out, ended{e.job, code, why})
		return true
	})
	return out
}

// expired reports whether e may not begin any more.
func (e entry) expired(now time.Time) bool {
	d := e.deadline()
	return !d.IsZero() && !now.Before(d)
}

// takeExpired takes what has expired out of the queue. The caller holds the lock.
func (l *lane) takeExpired(now time.Time) []ended {
	return l.takeOut(Expired, expiredWaiting, func(e entry) bool { return e.expired(now) })
}

// expireAt has what has expired by d answered then, and not at its turn. The caller holds the lock.
func (l *lane) expireAt(d time.Time) {
	switch {
	case d.IsZero():
	case l.expiry == nil:
		l.armExpiry()
	default:
		for _, e := range l.queue { // is it the first one to expire?
			if other := e.deadline(); !other.IsZero() && other.Before(d) {
				return
			}
		}
		l.expiry.Reset(time.Until(d))
	}
}

// armExpiry sets the timer to the first deadline in the queue. The caller holds the lock.
func (l *lane) armExpiry() {
	var first time.Time
	for _, e := range l.queue {
		if d := e.deadline(); !d.IsZero() && (first.IsZero() || d.Before(first)) {
			first = d
		}
	}
	switch {
	case first.IsZero():
		l.stopExpiry()
	case l.expiry == nil:
		l.expiry = time.AfterFunc(time.Until(first), l.expire)
	default:
		l.expiry.Reset(time.Until(first))
	}
}

func (l *lane) stopExpiry() {
	if l.laneWork != nil && l.expiry != nil {
		l.expiry.Stop()
		l.expiry = nil
	}
}

// expire answers what has expired in the queue.
func (l *lane) expire() {
	l.mu.Lock()
	if l.laneWork == nil || l.expiry == nil {
		l.mu.Unlock()
		return
	}
	expired := l.takeExpired(time.Now())
	l.armExpiry()
	l.mu.Unlock()
	cancelAll(expired)
	l.b.checkClock(time.Now())
}

// expiredWaiting is said of what expired in the queue.
const expiredWaiting = "it expired while it waited for its turn"

// run runs what is in the queue until nothing is left.
func (l *lane) run(ctx context.Context) {
	l.takeOver(ctx)
	l.identify(ctx)
	for {
		ctx, e, p := l.next(ctx)
		if e.job == nil {
			return
		}
		if resume := e.run(ctx, p); !resume.IsZero() {
			l.again(e.job, p, resume)
		}
	}
}

// next waits for the time of the next job and takes it. A background job has a context that ends when anything else
// comes. No job: the queue is empty, and the goroutine ends.
func (l *lane) next(ctx context.Context) (context.Context, entry, pacedPhone) {
	for {
		now := time.Now()
		l.b.checkClock(now)
		l.mu.Lock()
		if l.yield != nil {
			l.yield() // of the job before
		}
		l.current, l.yield, l.cut, l.restsUntil = nil, nil, nil, time.Time{}
		if s := l.sighted; s != nil && !now.Before(l.pace.busyUntil) {
			l.sighted = nil
			l.mu.Unlock()
			l.b.share(l, *s)
			l.mu.Lock()
		}
		i, at := l.first(now)
		if i < 0 && l.sighted != nil {
			at = l.pace.busyUntil
		} else if i < 0 {
			l.leaveWork()
			l.mu.Unlock()
			return nil, entry{}, pacedPhone{}
		}
		if now.Before(at) {
			l.restsUntil = at
			l.expect(now, at.Sub(now))
			l.armExpiry()
			wake := l.wake
			l.mu.Unlock()
			rest(at.Sub(now), wake)
			continue
		}
		e := l.queue[i]
		l.queue = slices.Delete(l.queue, i, i+1)
		l.count(e.priority())
		l.current = e.job
		l.expect(now, 0)
		p := pacedPhone{e.phone().profile.Load(), e.phone()}
		if p.Login != l.login {
			l.useLogin(p.Login)
		}
		jobCtx := ctx
		if e.priority() == background {
			jobCtx, l.yield = context.WithCancel(ctx)
		}
		l.mu.Unlock()
		switch {
		case e.expired(now):
			e.cancel(Expired, expiredWaiting)
		case p.lane != l: // the phone has another address since
			e.phone().add(e.job)
		default:
			return jobCtx, e, p
		}
	}
}

// leaveWork gives the lane's work back, when nothing is left to do. The caller holds the lock.
func (l *lane) leaveWork() {
	l.stopExpiry()
	if l.idle != nil {
		close(l.idle)
	}
	l.b.laneWorks.put(l.laneWork)
	l.laneWork = nil
}

// first is the job whose turn is next, and when that is; -1: there is none. The caller holds the lock.
func (l *lane) first(now time.Time) (int, time.Time) {
	best, at := -1, time.Time{}
	for i, e := range l.queue {
		ready := l.readyAt(e)
		if e.priority() == administrative && l.passed >= maxPassed && !now.Before(ready) {
			return i, ready
		}
		if best < 0 || ready.Before(at) && now.Before(at) {
			best, at = i, ready
		}
	}
	return best, at
}

// count notes a job that is taken, for the sake of administrative jobs that wait. The caller holds the lock.
func (l *lane) count(p priority) {
	n := len(l.queue)
	switch {
	case p == administrative || n == 0 || l.queue[n-1].priority() != administrative:
		l.passed = 0
	case p == normal:
		l.passed++
	}
}

// readyAt is when the phone may have e.
func (l *lane) readyAt(e entry) time.Time {
	ready := l.pace.busyUntil
	if p := e.priority(); p == urgent || p == background {
		ready = l.pace.readyAt
	}
	if e.notBefore.After(ready) {
		ready = e.notBefore
	}
	return ready
}

// again puts a job back that goes on at resume.
func (l *lane) again(j job, p pacedPhone, resume time.Time) {
	l.mu.Lock()
	why := l.interrupted(p)
	if why.code == "" {
		l.insert(entry{job: j, notBefore: resume})
	}
	l.mu.Unlock()
	if why.code != "" {
		j.cancel(why.code, why.why)
	}
}

// interrupted says why the job that runs must not go on; no code: it may. The caller holds the lock.
func (l *lane) interrupted(p pacedPhone) ended {
	why := l.stop
	switch {
	case l.cut != nil:
		return *l.cut
	case why == "":
		if why = p.phone.profile.Load().stop; why == "" {
			return ended{}
		}
	}
	return ended{code: Cancelled, why: why}
}

// rest waits for d, or until something is noted in wake.
func rest(d time.Duration, wake <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-wake:
	}
}

// notify does a non-blocking send on a one-slot channel; on nil it does nothing.
func notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// pause waits until the phone may have the next request of the job that has it, and says why that request must not be
// made; no code: it may.
func (p pacedPhone) pause() ended {
	l := p.lane
	for {
		now := time.Now()
		l.b.checkClock(now)
		wait := l.pace.busyUntil.Sub(now)
		l.mu.Lock()
		why := l.interrupted(p)
		l.expect(now, wait)
		wake := l.wake
		l.mu.Unlock()
		if why.code != "" || wait <= 0 {
			return why
		}
		rest(wait, wake)
	}
}

// send makes a request that keeps the phone busy for another while.
func (p pacedPhone) send(ctx context.Context, step snom.Step, busy time.Duration) (snom.Reply, error) {
	reply, err := p.Phone.Send(ctx, step)
	now := time.Now()
	p.lane.pace.sent(now, p.phone.b.cfg.Gap, busy)
	p.noteLogin(now, err)
	return reply, err
}

// readSettings asks the phone for the settings called names, or for all.
func (p pacedPhone) readSettings(ctx context.Context, names ...string) (map[string]snom.Setting, error) {
	phone, ok := p.Phone.(Configurer)
	if !ok {
		return nil, fmt.Errorf("%w: its settings cannot be read", snom.ErrUnsupported)
	}
	settings, err := phone.ReadSettings(ctx, names...)
	now := time.Now()
	p.lane.pace.sent(now, p.phone.b.cfg.Gap, 0)
	p.noteLogin(now, err)
	return settings, err
}

// probe asks the phone what it is. It costs no failed login.
func (p pacedPhone) probe(ctx context.Context) (snom.Info, error) {
	phone, ok := p.Phone.(Prober)
	if !ok {
		return snom.Info{}, fmt.Errorf("%w: it cannot be asked what it is", snom.ErrUnsupported)
	}
	info, err := phone.Probe(ctx)
	if err == nil {
		p.adopt(ctx, info.MAC)
		if info.MAC != "" && info.Address.IsValid() {
			p.lane.sighted = &sighting{p.phone, place{info.MAC, info.Address}}
		}
	}
	p.lane.pace.polled(time.Now(), p.phone.b.cfg.Gap)
	return info, err
}

// ping finds out whether the phone is reachable.
func (p pacedPhone) ping(ctx context.Context) error {
	phone, ok := p.Phone.(Pinger)
	if !ok {
		return nil
	}
	err := phone.Ping(ctx)
	p.lane.pace.polled(time.Now(), p.phone.b.cfg.Gap)
	return err
}

// remove takes j out of the queue, and reports whether it was there.
func (l *lane) remove(j job) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.takeOut("", "", func(e entry) bool { return e.job == j })) > 0
}

// takeOf takes the jobs of p that wait out of the queue, and ends a wait of one that runs.
func (l *lane) takeOf(p *phone, why string) []ended {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.takeOut(Cancelled, why, func(e entry) bool { return e.phone() == p })
	if l.laneWork != nil && l.current != nil && l.current.phone() == p {
		notify(l.wake)
		if l.yield != nil {
			l.yield()
		}
	}
	return out
}

// close answers everything that waits, and takes nothing any more.
func (l *lane) close(why string) {
	l.mu.Lock()
	l.stop = why
	left := l.takeOut(Cancelled, why, func(entry) bool { return true })
	if l.laneWork != nil {
		l.stopExpiry()
		notify(l.wake)
		if l.yield != nil {
			l.yield()
		}
	}
	l.mu.Unlock()
	cancelAll(left)
}

// expireAll answers all commands expired: those that wait, and the one that runs when its next request is due. Nothing
// that was asked for before why is done after it.
func (l *lane) expireAll(why string) {
	l.mu.Lock()
	out := l.takeOut(Expired, why, func(e entry) bool { return e.priority() >= normal })
	if l.laneWork != nil && l.current != nil && l.current.priority() >= normal {
		l.cut = &ended{code: Expired, why: why}
		notify(l.wake)
	}
	l.mu.Unlock()
	cancelAll(out)
}

// wait waits until the lane has nothing to do, or ctx ends.
func (l *lane) wait(ctx context.Context) {
	l.mu.Lock()
	if l.laneWork == nil {
		l.mu.Unlock()
		return
	}
	if l.idle == nil {
		l.idle = make(chan struct{})
	}
	idle := l.idle
	l.mu.Unlock()
	select {
	case <-idle:
	case <-ctx.Done():
	}
}

// takeOver waits until the lane that the phone had before is idle, and keeps the pause after its last request.
func (l *lane) takeOver(ctx context.Context) {
	if l.before == nil {
		return
	}
	l.mu.Lock()
	l.armExpiry() // what waits may expire meanwhile
	l.mu.Unlock()
	l.before.wait(ctx)
	l.before.mu.Lock()
	defer l.before.mu.Unlock()
	if was := l.before.pace; was.busyUntil.After(l.pace.busyUntil) {
		l.pace = was
	}
	l.before = nil
}

// stopped says why no job is taken any more.
func (l *lane) stopped() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stop
}

// expect says that the goroutine waits for d from now on and then does one piece of work. The caller holds the lock.
func (l *lane) expect(now time.Time, d time.Duration) { l.due = now.Add(max(d, 0) + turnMost) }
