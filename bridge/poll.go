package bridge

import (
	"container/heap"
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// How phones are polled.
const (
	pollsAtOnce  = 32              // phones polled side by side
	firstBackoff = 5 * time.Second // after a phone became unreachable; then doubling up to the interval
	settleTime   = time.Second     // before a phone that answered is asked what it is
	// startSettle is left to the start, for each hundred phones, before they are polled: thousands of polls took a fifth of
	// the time until the bridge was online.
	startSettle = 2 * time.Millisecond
	// pollEarly is how early a phone may be polled when another one is due: each time a quiet process wakes up costs
	// more than a poll.
	pollEarly = 250 * time.Millisecond
)

// A poller knows when each phone is polled next. One goroutine waits for the first of these times, where a
// timer for each of ten thousand phones would have them all begin at once.
type poller struct {
	mu    sync.Mutex
	times pollTimes     // guarded by mu
	wake  chan struct{} // the first time is another one now
	slots chan struct{} // one element for each poll under way
}

// A pollTime is when a phone is polled next.
type pollTime struct {
	at    time.Time
	place int // in the poller's times, from 1; 0: none is planned
}

// pollTimes are the phones with a poll to come, as container/heap expects them: the first one is due first.
type pollTimes []*phone

func (p pollTimes) Len() int           { return len(p) }
func (p pollTimes) Less(i, j int) bool { return p[i].poll.at.Before(p[j].poll.at) }
func (p pollTimes) Swap(i, j int) {
	p[i], p[j] = p[j], p[i]
	p[i].poll.place, p[j].poll.place = i+1, j+1
}

func (p *pollTimes) Push(x any) {
	*p = append(*p, x.(*phone))
	(*p)[len(*p)-1].poll.place = len(*p)
}

func (p *pollTimes) Pop() any {
	n := len(*p) - 1
	last := (*p)[n]
	(*p)[n] = nil
	*p = (*p)[:n]
	last.poll.place = 0
	return last
}

// in plans a poll of p after d, in place of any planned before.
func (l *poller) in(p *phone, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.poll.at = time.Now().Add(d)
	if p.poll.place > 0 {
		heap.Fix(&l.times, p.poll.place-1)
	} else {
		heap.Push(&l.times, p)
	}
	if l.times[0] == p {
		notify(l.wake)
	}
}

// drop takes back what was planned for p.
func (l *poller) drop(p *phone) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.poll.place > 0 {
		heap.Remove(&l.times, p.poll.place-1)
	}
}

// next takes the first phone if it is due, or says for how long there is none.
func (l *poller) next(now time.Time) (due *phone, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.times) == 0 {
		return nil, time.Hour
	}
	if wait := l.times[0].poll.at.Sub(now); wait > 0 {
		return nil, wait
	}
	return heap.Pop(&l.times).(*phone), 0
}

// runPoller has every phone polled when that is due, up to pollsAtOnce of them side by side, until ctx ends.
func (b *Bridge) runPoller(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var early time.Duration // for those that follow one that was due
	for ctx.Err() == nil {
		p, wait := b.poller.next(time.Now().Add(early))
		if p == nil {
			timer.Reset(wait + early)
			early = 0
			select {
			case <-timer.C:
			case <-b.poller.wake:
			case <-ctx.Done():
				return
			}
			continue
		}
		early = pollEarly
		select {
		case b.poller.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		if !p.startPoll() {
			<-b.poller.slots
		}
	}
}

// pollIn plans the next poll of the phone, in place of any planned before. With what commands and events say
// meanwhile, most polls find that there is nothing to learn.
func (p *phone) pollIn(d time.Duration) {
	p.state.mu.Lock()
	defer p.state.mu.Unlock()
	if !p.state.closed {
		p.b.poller.in(p, d)
	}
}

// startPoll is called when a poll is due, and reports whether one was started. Where the lane has something to do, its
// jobs find out what a poll would.
func (p *phone) startPoll() bool {
	at := p.profile.Load()
	at.lane.dedup.sweep(time.Now())
	if p.b.claims.taken(p.name) { // when the phone is this bridge's again, polling begins again
		return false
	}
	p.state.mu.Lock()
	closed, needed := p.state.closed, time.Since(p.state.lastSeen) >= p.b.cfg.PollEvery/2 || p.state.needsProbe() || p.checksURLs()
	p.state.mu.Unlock()
	switch {
	case closed:
	case needed && at.lane.addIdle(pollJob{p}):
		return true
	default:
		p.pollIn(jitter(p.b.cfg.PollEvery))
	}
	return false
}

// A pollJob finds out whether the phone answers, and what it is where that is not known yet.
type pollJob struct{ to *phone }

func (j pollJob) phone() *phone       { return j.to }
func (j pollJob) priority() priority  { return background }
func (j pollJob) deadline() time.Time { return time.Time{} }
func (j pollJob) ends(job) string     { return "" }

// cancel plans another poll.
func (j pollJob) cancel(Code, string) { j.end(jitter(j.to.b.cfg.PollEvery)) }

func (j pollJob) end(next time.Duration) {
	j.to.pollIn(next)
	<-j.to.b.poller.slots
}

func (j pollJob) run(ctx context.Context, p pacedPhone) time.Time {
	j.poll(ctx, p)
	j.checkURLs(ctx, p)
	next := jitter(j.to.b.cfg.PollEvery)
	switch {
	case p.outdated():
		next = 0
	case ctx.Err() == nil:
		s := &j.to.state
		s.mu.Lock()
		next = s.nextPoll(j.to.b.cfg.PollEvery)
		s.mu.Unlock()
	}
	j.end(next)
	return time.Time{}
}

func (j pollJob) poll(ctx context.Context, p pacedPhone) {
	b, s := j.to.b, &j.to.state
	s.mu.Lock()
	seen, probe := time.Since(s.lastSeen) < b.cfg.PollEvery/2, s.needsProbe()
	s.mu.Unlock()
	if !seen {
		err := p.ping(ctx)
		if ctx.Err() != nil || p.outdated() {
			return
		}
		now := time.Now()
		j.to.update(func(s *phoneState) {
			switch {
			case err == nil:
				s.seen(now)
				probe = s.needsProbe()
			case codeOf(err) == Unreachable:
				s.unreachable(err)
			}
		})
		if err != nil {
			b.cfg.Log.Debug("poll failed", slog.String("phone", j.to.name), slog.Any("err", err))
			return
		}
		if probe {
			rest(time.Until(p.lane.pace.readyAt), ctx.Done())
		}
	}
	if !probe || ctx.Err() != nil || p.lane.lockedOut(time.Now()) != nil {
		return
	}
	info, err := p.probe(ctx)
	if ctx.Err() != nil || p.outdated() {
		return
	}
	if err != nil {
		b.cfg.Log.Debug("probe failed", slog.String("phone", j.to.name), slog.Any("err", err))
	}
	j.to.update(func(s *phoneState) {
		if seen && codeOf(err) == Unreachable {
			return // it sends events, and its web server is not up yet, or not at all
		}
		s.learn(info, err)
	})
}

// outdated reports whether a reload has given the phone other settings since the job began: what the phone at the address
// of before says is of no interest any more.
func (p pacedPhone) outdated() bool {
	is := p.phone.profile.Load()
	return is.lane != p.lane || is.Fingerprint != p.Fingerprint
}

// jitter is about d: between 90 and 110 percent of it, so that phones are not polled in step.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64()))
}
