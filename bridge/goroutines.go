package bridge

import (
	"context"
	"sync"
	"time"
)

// goroutines are what [Bridge.Run] waits for. init sets the functions, and nothing changes them.
type goroutines struct {
	workers sync.WaitGroup // functions that run
	all     sync.WaitGroup // goroutines of spawn
	spare   spareGoroutines

	// spawn runs f in a goroutine. The context ends only when stopping takes too long: requests that are under way
	// outlive the signal to stop.
	spawn  func(f func(context.Context))
	giveUp context.CancelFunc // ends that context
}

func (g *goroutines) init() {
	ctx, cancel := context.WithCancel(context.Background())
	g.giveUp = cancel
	g.spawn = func(f func(context.Context)) {
		g.workers.Add(1)
		if next := g.spare.take(); next != nil {
			next <- f
			return
		}
		g.all.Go(func() {
			ctx, end := context.WithCancel(ctx) // of its own: what watches it is not a list that all processors write to
			defer end()
			next := make(nextFunction, 1)
			for f := f; f != nil; f = g.spare.wait(next) {
				g.work(ctx, f)
			}
		})
	}
}

func (g *goroutines) work(ctx context.Context, f func(context.Context)) {
	defer g.workers.Done()
	f(ctx)
}

// A nextFunction has room for one function, so that the sender does not wait. A nil function ends the goroutine that waits
// for it.
type nextFunction chan func(context.Context)

// spareGoroutines are goroutines of spawn that have nothing to do. They wait for the next function, since their stacks have
// grown to what a request to a phone needs: growing a new one took 5 % of the processor time of a command. The one that
// came last goes first: its stack is most likely still in the processor's cache.
type spareGoroutines struct {
	mu      sync.Mutex
	waiting []nextFunction // guarded by mu
	unused  int            // the first of waiting, which were not needed since shrink was called last; guarded by mu
	timer   *time.Timer    // calls shrink; nil: none ever waited; guarded by mu
	runs    bool           // the timer does; guarded by mu
	closed  bool           // none waits any more; guarded by mu
}

const (
	maxSpare = 100         // goroutines that wait; a stack has 8 to 16 KiB, and 256 took 3 MiB more than 64 with 1,000 phones
	spareFor = time.Second // those that were not needed for so long end
)

// take returns where a goroutine waits, which waits no more, or nil.
func (s *spareGoroutines) take() nextFunction {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.waiting) - 1
	if last < 0 {
		return nil
	}
	next := s.waiting[last]
	s.waiting = s.waiting[:last]
	s.unused = min(s.unused, last)
	return next
}

// wait waits for a function. It returns nil when the goroutine is to end.
func (s *spareGoroutines) wait(next nextFunction) func(context.Context) {
	if !s.add(next) {
		return nil
	}
	return <-next
}

// add notes that a goroutine waits, and reports whether it may.
func (s *spareGoroutines) add(next nextFunction) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.waiting) == maxSpare {
		return false
	}
	s.waiting = append(s.waiting, next)
	switch {
	case s.runs:
	case s.timer == nil:
		s.timer = time.AfterFunc(spareFor, s.shrink)
	default:
		s.timer.Reset(spareFor)
	}
	s.runs = true
	return true
}

// shrink ends the goroutines that were not needed since it was called last.
func (s *spareGoroutines) shrink() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed { // while the timer's goroutine waited for the lock
		return
	}
	s.end(s.unused)
	s.unused = len(s.waiting)
	if s.runs = s.unused > 0; s.runs {
		s.timer.Reset(spareFor)
	}
}

// end ends the first n goroutines that wait. The caller holds the lock.
func (s *spareGoroutines) end(n int) {
	for _, next := range s.waiting[:n] {
		next <- nil
	}
	s.waiting = append(s.waiting[:0:0], s.waiting[n:]...)
}

// close ends all of them, and those that would wait.
func (s *spareGoroutines) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.end(len(s.waiting))
	if s.timer != nil {
		s.timer.Stop()
	}
}
