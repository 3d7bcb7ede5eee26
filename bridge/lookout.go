package bridge

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// A lookout knows when each phone is to be looked at next. One goroutine waits for the first of these times, where a
// timer for each of ten thousand phones would have them all begin at once.
type lookout struct {
	mu     sync.Mutex
	visits visits
	wake   chan struct{} // the first time is another one now
}

// A visit is when a worker's phone is looked at next. It belongs to the lookout's lock.
type visit struct {
	at    time.Time
	place int // in visits, from 1; 0: none is planned
}

// visits are the workers with a visit to come, as container/heap wants them: the first one is due first.
type visits []*worker

func (p visits) Len() int           { return len(p) }
func (p visits) Less(i, j int) bool { return p[i].visit.at.Before(p[j].visit.at) }
func (p visits) Swap(i, j int) {
	p[i], p[j] = p[j], p[i]
	p[i].visit.place, p[j].visit.place = i+1, j+1
}

func (p *visits) Push(w any) {
	*p = append(*p, w.(*worker))
	(*p)[len(*p)-1].visit.place = len(*p)
}

func (p *visits) Pop() any {
	n := len(*p) - 1
	w := (*p)[n]
	(*p)[n] = nil
	*p = (*p)[:n]
	w.visit.place = 0
	return w
}

// in plans a look at w's phone after d, in place of any planned before.
func (l *lookout) in(w *worker, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w.visit.at = time.Now().Add(d)
	if w.visit.place > 0 {
		heap.Fix(&l.visits, w.visit.place-1)
	} else {
		heap.Push(&l.visits, w)
	}
	if l.visits[0] == w {
		leaveNote(l.wake)
	}
}

// drop takes back what was planned for w.
func (l *lookout) drop(w *worker) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.visit.place > 0 {
		heap.Remove(&l.visits, w.visit.place-1)
	}
}

// next takes the first visit if it is due, or says for how long there is none.
func (l *lookout) next(now time.Time) (due *worker, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.visits) == 0 {
		return nil, time.Hour
	}
	if wait := l.visits[0].visit.at.Sub(now); wait > 0 {
		return nil, wait
	}
	return heap.Pop(&l.visits).(*worker), 0
}

// lookEarly is how early a phone may be looked at when another one is due: each time a quiet process wakes up costs more
// than a look.
const lookEarly = 250 * time.Millisecond

// watch has every phone looked at when that is due, up to lookers of them side by side, until ctx ends.
func (b *Bridge) watch(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var early time.Duration // for those that follow one that was due
	for ctx.Err() == nil {
		w, wait := b.lookout.next(time.Now().Add(early))
		if w == nil {
			timer.Reset(wait + early)
			early = 0
			select {
			case <-timer.C:
			case <-b.lookout.wake:
			case <-ctx.Done():
				return
			}
			continue
		}
		early = lookEarly
		select {
		case b.lookers <- struct{}{}:
		case <-ctx.Done():
			return
		}
		look := w.beginLook()
		if look == nil {
			<-b.lookers
			continue
		}
		b.workers.Go(func() {
			defer func() { <-b.lookers }()
			look()
		})
	}
}
