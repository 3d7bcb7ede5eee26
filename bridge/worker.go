package bridge

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// Phone is what the bridge needs of a phone. *snom.Client is one.
type Phone interface {
	// Send makes one request. It never repeats what may have reached the phone.
	Send(ctx context.Context, step snom.Step) (snom.Reply, error)
	// Probe learns what the phone is, at the cost of no failed login.
	Probe(ctx context.Context) (snom.Info, error)
	// Reach says whether anybody is there, at the cost of no login at all.
	Reach(ctx context.Context) error
	// ReadSettings asks for its settings, by name.
	ReadSettings(ctx context.Context) (map[string]snom.Setting, error)
}

// A worker owns one phone: what waits for it, and the only goroutine that talks to it. That
// goroutine lives while there is something to do, so that thousands of quiet phones cost nothing.
//
// The retry law, once: nothing is sent twice. A request that may have reached the phone may have
// pressed the key, and one that has not is answered unreachable at once, so that whoever sent it
// can decide.
type worker struct {
	b    *Bridge
	name string

	mu       sync.Mutex
	cfg      PhoneConfig
	queue    []*request
	ids      ids
	running  bool               // the goroutine exists
	due      time.Time          // while it does: it has moved by then, or it is stuck
	closed   bool               // the phone is gone, or the bridge stops
	farewell string             // why
	gone     bool               // the phone is no longer ours: nothing is said of it any more
	hangups  int                // hangup commands so far: a longer command sees one come
	wake     chan struct{}      // ends a wait of the goroutine: a hangup came, or the end; nil: it does not run
	unlook   context.CancelFunc // ends a look that a command has to wait for; nil: none
	news     news               // what is known of the phone
	fresh    bool               // the login is another: what the breaker remembers is void
	visit    visit              // of the next look
	expiry   *time.Timer        // of the call state; nil: never needed
	changed  chan struct{}      // closed when the status changes; nil: nobody waits
	idle     chan struct{}      // closed when the goroutine ends, or the worker closes; nil: nobody waits
	stated   time.Time          // when the status was published
	owed     bool               // a newer status is held back for a moment

	// What follows belongs to the goroutine.
	breaker  breaker // written under the lock, so that others may look
	transfer snom.Transfer
	rested   time.Time // when COMMAND_GAP since the last request is over
	played   time.Time // when the last key sequence has been played, too
}

// enqueue takes r, or says why not. It never blocks: it is called from the MQTT client's own
// goroutine. Every request that is taken gets its one answer later.
func (w *worker) enqueue(r *request) {
	w.mu.Lock()
	var done []answered
	switch first := w.known(r); {
	case first != nil:
		done = w.repeat(first, r)
	case w.closed:
		done = append(done, answered{r, r.answer(w.name, Cancelled, w.farewell, r.received)})
	default:
		done = w.push(r)
	}
	w.mu.Unlock()
	w.b.deliver(done)
}

// known returns what took r's id before, or nil.
func (w *worker) known(r *request) *taken {
	if r.id == "" {
		return nil
	}
	return w.ids.find(r.id, r.received)
}

// repeat answers a command whose id is taken: now, or when the first one's result is there.
func (w *worker) repeat(first *taken, r *request) []answered {
	switch {
	case first.result != nil:
		return []answered{{r, duplicate(w.name, r, first.result)}}
	case len(first.waiting) >= idsWaiting:
		return []answered{{r, r.answer(w.name, Busy, "too many repetitions of this id wait for its result", r.received)}}
	}
	first.waiting = append(first.waiting, r)
	return nil
}

// push puts r into the queue. A hangup overtakes what waits, and cancels it.
func (w *worker) push(r *request) (done []answered) {
	urgent := r.command.Verb() == snom.VerbHangup
	place := len(w.queue)
	if urgent {
		place = 0
		for _, q := range w.queue {
			if q.command.Verb() == snom.VerbHangup {
				w.queue[place] = q
				place++
				continue
			}
			done = append(done, w.settle(q, q.answer(w.name, Cancelled, "a hangup overtook it", r.received))...)
		}
		clear(w.queue[place:])
		w.queue = w.queue[:place]
	}
	if place >= w.b.cfg.QueueLength {
		return append(done, answered{r, r.answer(w.name, Busy,
			fmt.Sprintf("the queue of this phone is full: QUEUE_LENGTH is %d", w.b.cfg.QueueLength), r.received)})
	}
	w.queue = append(w.queue, r)
	if r.id != "" {
		r.taken = w.ids.take(r.id, r.received)
	}
	if urgent {
		w.hangups++
		w.rouse()
	}
	if w.unlook != nil {
		w.unlook()
	}
	w.start()
	return done
}

// rouse ends a wait of the goroutine, if it runs. The caller holds the lock.
func (w *worker) rouse() { leaveNote(w.wake) }

// leaveNote leaves a note in a channel of capacity one, where none is; in nil nowhere.
func leaveNote(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// start makes sure that the goroutine runs. The caller holds the lock.
func (w *worker) start() {
	if !w.running {
		w.running, w.wake = true, make(chan struct{}, 1)
		w.expect(0)
		w.b.workers.Go(w.run)
	}
}

// settle notes the result under the request's id and adds the answers of those that waited for
// it. The caller holds the lock.
func (w *worker) settle(r *request, result *Result) []answered {
	done := []answered{{r, result}}
	t := r.taken
	if t == nil {
		return done
	}
	t.result = result
	for _, again := range t.waiting {
		done = append(done, answered{again, duplicate(w.name, again, result)})
	}
	t.waiting = nil
	return done
}

// duplicate is the answer to a repeated id.
func duplicate(phone string, r *request, first *Result) *Result {
	d := r.answer(phone, Duplicate, fmt.Sprintf("the id %q was taken; its command ended with %s", r.id, first.Code), r.received)
	d.OK = first.OK
	d.First = first
	return d
}

// run works until nothing waits any more.
func (w *worker) run() {
	for {
		r, ok := w.next()
		if !ok {
			return
		}
		result := w.serve(r)
		w.mu.Lock()
		done := w.settle(r, result)
		w.mu.Unlock()
		w.b.deliver(done)
		w.learn(r.command, result)
	}
}

// next waits until the phone may have a request, and takes the first one that is still worth
// something. Those that are not are answered at their time, not at their turn.
func (w *worker) next() (*request, bool) {
	for {
		w.mu.Lock()
		now := time.Now()
		done := w.overdue(now)
		if len(w.queue) == 0 {
			w.queue, w.running, w.wake = nil, false, nil
			w.tellIdle()
			w.mu.Unlock()
			w.b.deliver(done)
			return nil, false
		}
		ready := w.played
		if w.queue[0].command.Verb() == snom.VerbHangup {
			ready = w.rested // a hangup does not wait for keys to be played
		}
		if !now.Before(ready) {
			r := w.queue[0]
			w.queue[0] = nil
			w.queue = w.queue[1:]
			w.expect(0)
			w.mu.Unlock()
			w.b.deliver(done)
			return r, true
		}
		until := ready
		for _, q := range w.queue {
			if q.expires.Before(until) {
				until = q.expires
			}
		}
		w.expect(until.Sub(now))
		w.mu.Unlock()
		w.b.deliver(done)
		w.rest(until.Sub(now))
	}
}

// overdue takes what has expired out of the queue. The caller holds the lock.
func (w *worker) overdue(now time.Time) (done []answered) {
	w.queue = slices.DeleteFunc(w.queue, func(q *request) bool {
		if now.Before(q.expires) {
			return false
		}
		result := q.answer(w.name, Expired, "it waited longer than it was worth", now)
		result.QueuedMS = now.Sub(q.received).Milliseconds()
		done = append(done, w.settle(q, result)...)
		return true
	})
	return done
}

// rest waits for d, or until a hangup or the end wants the goroutine.
func (w *worker) rest(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-w.wake:
	}
}

// serve carries out one command and makes its result.
func (w *worker) serve(r *request) (result *Result) {
	start := time.Now()
	w.mu.Lock()
	phone, dialect, hangups := w.cfg.Phone, cmp.Or(w.cfg.Dialect, w.model().Dialect()), w.hangups
	if w.fresh {
		w.fresh, w.breaker = false, breaker{}
	}
	w.mu.Unlock()
	log := func() *slog.Logger { // most commands have nothing to log
		return w.b.cfg.Log.With(slog.String("phone", w.name), slog.String("id", r.id), slog.String("command", r.name))
	}
	result = r.answer(w.name, OK, r.warning, start)
	sent := false
	defer func() {
		if p := recover(); p != nil {
			log().Error("a command failed inside the bridge", slog.Any("err", p))
			result.OK, result.Code, result.Message = false, Internal, "a fault of the bridge: see its log"
		}
		end := time.Now()
		result.QueuedMS = start.Sub(r.received).Milliseconds()
		result.DurationMS = end.Sub(start).Milliseconds()
		result.Time = Time{Time: end}
		if sent {
			w.b.cfg.Observe.Served(r.command.Verb(), start.Sub(r.received), end.Sub(start))
		}
		if w.b.cfg.Log.Enabled(w.b.ctx(), slog.LevelDebug) {
			log().Debug("command done", slog.Any("code", result.Code), slog.Duration("took", end.Sub(start)))
		}
	}()
	fail := func(code Code, message string) *Result {
		result.OK, result.Code, result.Message = false, code, message
		return result
	}
	if w.breaker.open(start) {
		return fail(LockedOut, fmt.Sprintf("the phone refused our login and is left alone until %s, because failed logins lock it; correct the password and reload",
			w.breaker.until.UTC().Format(time.RFC3339)))
	}
	transfer, err := w.transferNext(r.command, start)
	if w.b.cfg.AnyTransfer {
		err = nil
	}
	if err != nil {
		return fail(Invalid, words(err))
	}
	steps := r.command.Steps(dialect)
	for i, step := range steps {
		if i > 0 {
			if cut := w.pause(hangups); cut != "" {
				return fail(Cancelled, fmt.Sprintf("%s after %d of %d requests", cut, i, len(steps)))
			}
		}
		sent = true
		reply, err := phone.Send(w.b.ctx(), step)
		now := time.Now()
		result.HTTPStatus = reply.Status
		result.Requests += reply.Requests
		w.rested = now.Add(w.b.cfg.Gap)
		w.played = now.Add(max(w.b.cfg.Gap, step.Pause))
		code := codeOf(err)
		if until, opened := w.noteBreaker(now, code); opened {
			log().Error(leftAlone, slog.Any("code", code), slog.Any("err", err), slog.Time("until", until))
		}
		if err != nil {
			message := words(err)
			if i > 0 {
				message = fmt.Sprintf("request %d of %d: %s", i+1, len(steps), message)
				if code == Unreachable {
					code = Timeout // what came before was delivered
				}
			}
			return fail(code, message)
		}
	}
	w.transfer = transfer
	return result
}

// transferNext is the attended transfer's state after c, if c is carried out.
func (w *worker) transferNext(c snom.Command, now time.Time) (snom.Transfer, error) {
	step, ok := c.Transfer()
	if !ok {
		switch c.Verb() {
		case snom.VerbHangup, snom.VerbReboot, snom.VerbReset, snom.VerbFirmware:
			return snom.Transfer{}, nil // whatever was under way is over
		}
		return w.transfer, nil
	}
	return w.transfer.Next(step, now, w.b.cfg.CallTimeout)
}

// pause waits between two requests of one command, and says why it must not go on, or nothing.
func (w *worker) pause(hangups int) string {
	for {
		cut := w.interrupted(hangups)
		wait := time.Until(w.played)
		if cut != "" || wait <= 0 {
			return cut
		}
		w.rest(wait)
	}
}

// interrupted says why a command of several requests must not go on, or nothing.
func (w *worker) interrupted(hangups int) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.expect(time.Until(w.played))
	switch {
	case w.hangups != hangups:
		return "a hangup overtook it"
	case w.closed:
		return w.farewell
	}
	return ""
}

// leftAlone is logged when the breaker opens.
const leftAlone = "the phone refuses our login and is left alone"

// noteBreaker opens the breaker when the phone refused our login, and says until when. A person must act then, and
// the phone's own lock counts every try.
func (w *worker) noteBreaker(now time.Time, code Code) (until time.Time, opened bool) {
	was := w.breaker
	w.mu.Lock()
	w.breaker = was.after(now, code)
	w.mu.Unlock()
	return w.breaker.until, w.breaker.failures > was.failures
}

// close answers everything that waits, and takes nothing any more.
func (w *worker) close(message string) {
	w.mu.Lock()
	if w.owed {
		w.publishStatus(time.Now())
	}
	w.closed, w.farewell = true, message
	w.b.lookout.drop(w)
	if w.expiry != nil {
		w.expiry.Stop()
	}
	var done []answered
	now := time.Now()
	for _, q := range w.queue {
		done = append(done, w.settle(q, q.answer(w.name, Cancelled, message, now))...)
	}
	w.queue = nil
	w.rouse()
	w.tellIdle()
	if w.unlook != nil {
		w.unlook()
	}
	w.mu.Unlock()
	w.b.deliver(done)
}

// remove closes the worker of a phone that is no longer configured, and takes back what was
// published of it.
func (w *worker) remove() {
	w.close("the phone is no longer configured")
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gone = true
	if !w.b.claims.forget(w.name) {
		return // another bridge's: so is what is published of it
	}
	if w.b.claims.us != "" {
		w.b.publishOwner(w.name, "")
	}
	for _, topic := range []string{w.b.cfg.Tree.Availability(w.name), w.b.cfg.Tree.Status(w.name)} {
		w.b.publish(mqtt.Message{Topic: topic, Retained: true})
	}
}

// newWorker returns the worker of a phone, with nothing to do.
func newWorker(b *Bridge, p PhoneConfig) *worker {
	return &worker{b: b, name: p.Name, cfg: p}
}

// replace gives the worker its phone's settings of now, and reports whether they are others.
// What waits goes to the phone as it is now.
func (w *worker) replace(p PhoneConfig) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cfg.Same == p.Same {
		return false
	}
	w.fresh = w.fresh || w.cfg.Login != p.Login
	w.cfg = p
	w.news = news{calls: w.news.calls, lastResult: w.news.lastResult}
	return true
}

// config returns the phone's settings of now.
func (w *worker) config() PhoneConfig {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cfg
}

// take plans an order for this phone: it goes into the queue, or is refused at once.
func (w *worker) take(o order, g *gathering, retained bool, now time.Time) {
	w.mu.Lock()
	cfg, model := w.cfg, w.model()
	w.mu.Unlock()
	r, refusal := cfg.plan(o, model, w.b.cfg.Rules, retained, now)
	r.group = g
	if refusal != nil {
		w.b.deliver([]answered{{r, refusal}})
		return
	}
	w.enqueue(r)
}

// model is the phone's model as set, or else as learned. The caller holds the lock.
func (w *worker) model() snom.Model {
	if w.cfg.Model != (snom.Model{}) {
		return w.cfg.Model
	}
	m, _ := snom.FindModel(w.news.info.Model)
	return m
}
