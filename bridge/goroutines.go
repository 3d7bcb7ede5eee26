package bridge

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// goroutines are what [Bridge.Run] waits for. init sets the functions, and nothing changes them.
type goroutines struct {
	workers sync.WaitGroup // functions that run
	all     sync.WaitGroup // goroutines of spawn

	// spawn runs f in a goroutine. The context ends only when stopping takes too long: requests that are under way
	// outlive the signal to stop.
	spawn  func(f func(context.Context))
	giveUp context.CancelFunc // ends that context
}

// A goroutine that has nothing to do waits for the next function: its stack has grown to what a request to a phone
// needs, which took 5 % of the processor time of a command.
const (
	maxSpare = 100         // goroutines that wait; a stack has 8 to 16 KiB, and 256 took 3 MiB more than 64 with 1,000 phones
	spareFor = time.Second // how long they do
)

func (g *goroutines) init() {
	ctx, cancel := context.WithCancel(context.Background())
	g.giveUp = cancel
	next := make(chan func(context.Context))
	var spare atomic.Int32 // goroutines that wait, or did so before
	g.spawn = func(f func(context.Context)) {
		g.workers.Add(1)
		select {
		case next <- f:
			return
		default:
		}
		g.all.Go(func() {
			g.work(ctx, f)
			defer spare.Add(-1)
			if spare.Add(1) <= maxSpare {
				g.workAgain(ctx, next)
			}
		})
	}
}

func (g *goroutines) work(ctx context.Context, f func(context.Context)) {
	defer g.workers.Done()
	f(ctx)
}

// workAgain runs what comes next until nothing comes for a while.
func (g *goroutines) workAgain(ctx context.Context, next <-chan func(context.Context)) {
	t := time.NewTimer(spareFor)
	defer t.Stop()
	for {
		select {
		case f := <-next:
			g.work(ctx, f)
			t.Reset(spareFor)
		case <-t.C:
			return
		case <-ctx.Done():
			return
		}
	}
}
