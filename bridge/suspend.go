package bridge

import (
	"log/slog"
	"sync/atomic"
	"time"
)

// maxClockJump is how far the wall clock may run ahead of the monotonic one before what waits counts as too old: the
// monotonic clock stands still while a machine sleeps.
const maxClockJump = 5 * time.Second

// A suspendDetector compares the progress of the wall clock with that of the monotonic clock.
type suspendDetector struct {
	start time.Time    // by both clocks
	set   atomic.Int64 // by how much a test has set the wall clock, in nanoseconds
	ahead atomic.Int64 // of the wall clock since start, in nanoseconds, when last compared
	stale atomic.Bool  // the connection to the broker is from before a suspension
}

// jumped returns by how much the wall clock has run ahead since the last comparison, if that is too far. A clock that was
// set back is no jump.
func (d *suspendDetector) jumped(now time.Time) time.Duration {
	ahead := time.Duration(now.UnixNano()-d.start.UnixNano()) - now.Sub(d.start) + time.Duration(d.set.Load())
	was := time.Duration(d.ahead.Load())
	if ahead-was < time.Millisecond && was-ahead < time.Millisecond {
		return 0
	}
	if jump := ahead - time.Duration(d.ahead.Swap(int64(ahead))); jump > maxClockJump {
		return jump
	}
	return 0
}

// suspended is said of what waited while the machine slept.
const suspended = "the machine was suspended, or its clock was set forward, while it waited"

// checkClock answers what waits expired when the machine was suspended: how old it is cannot be known. What the
// connection to the broker still delivers is as old, so it is dropped. It is called whenever something happens that
// would otherwise be done late.
func (b *Bridge) checkClock(now time.Time) {
	jump := b.clock.jumped(now)
	if jump == 0 {
		return
	}
	b.cfg.Log.Warn("the machine was suspended, or its clock was set forward: commands that waited expire", slog.Duration("took", jump.Round(time.Second)))
	if b.cfg.OnSuspend != nil {
		b.clock.stale.Store(true)
		b.cfg.OnSuspend()
	}
	for _, p := range b.roster.Load().phones {
		p.profile.Load().lane.expireAll(suspended)
	}
}
