package session

import (
	"sync/atomic"
	"time"
)

const (
	stallCheck = time.Second     // between two checks
	stallAfter = 5 * time.Second // without one, this process was not running
)

// A stallDetector notices that this process was not running: stopped, paused with its container, starved, or suspended
// with its machine. What arrived meanwhile has waited in the network or at the broker for an unknown time. A door must
// not open because a machine wakes up.
//
// Two clocks are compared with the last check: the monotonic one, which goes on while a process is stopped, and the wall
// clock, which goes on while a machine sleeps. A wall clock that is set back is no stall; one that is set forward
// looks like a machine that slept, and costs one connection.
type stallDetector struct {
	began   time.Time
	last    atomic.Pointer[reading] // of the last check
	stalled atomic.Bool
}

// A reading is the time since a stallDetector began by two clocks.
type reading struct{ monotonic, wall time.Duration }

func newStallDetector() *stallDetector {
	d := &stallDetector{began: time.Now()}
	d.last.Store(&reading{})
	return d
}

func (d *stallDetector) read() reading {
	now := time.Now()
	return reading{monotonic: now.Sub(d.began), wall: now.Round(0).Sub(d.began.Round(0))}
}

// check reports whether this process has stalled, now or before.
func (d *stallDetector) check() bool {
	d.observe(d.read())
	return d.stalled.Load()
}

func (d *stallDetector) observe(now reading) {
	last := d.last.Load()
	if now.monotonic-last.monotonic > stallAfter || now.wall-last.wall > stallAfter {
		d.stalled.Store(true)
	}
}

// reset records that this process runs.
func (d *stallDetector) reset() {
	now := d.read()
	d.last.Store(&now)
}

// run checks until lost is closed, and calls check each time. When this process has stalled, or check returns an error,
// it calls fail and ends.
func (d *stallDetector) run(lost <-chan struct{}, check func() error, fail func(error)) {
	t := time.NewTicker(stallCheck)
	defer t.Stop()
	for {
		select {
		case <-lost:
			return
		case <-t.C:
		}
		err := check()
		if d.check() {
			err = errStalled
		}
		if err != nil {
			fail(err)
			return
		}
		d.reset()
	}
}
