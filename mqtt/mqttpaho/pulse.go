package mqttpaho

import (
	"sync/atomic"
	"time"
)

const (
	beat        = time.Second // between two beats of a pulse
	frozenAfter = 5 * beat    // without one, this process was not running
)

// A pulse beats while this process runs, and so tells when it did not: when it was stopped, paused with its
// container, or starved. What arrived meanwhile has waited in the network for nobody knows how long. A door
// must not open because a machine wakes up.
type pulse struct {
	began  time.Time
	last   atomic.Int64 // Duration since began
	frozen atomic.Bool
}

// missed reports whether the pulse has missed beats, now or before.
func (p *pulse) missed() bool {
	if time.Since(p.began)-time.Duration(p.last.Load()) > frozenAfter {
		p.frozen.Store(true)
	}
	return p.frozen.Load()
}

// beat notes that this process runs.
func (p *pulse) beat() { p.last.Store(int64(time.Since(p.began))) }

// run beats until lost is closed, or calls fail when it has missed beats.
func (p *pulse) run(lost <-chan struct{}, fail func()) {
	t := time.NewTicker(beat)
	defer t.Stop()
	for {
		select {
		case <-lost:
			return
		case <-t.C:
		}
		if p.missed() {
			fail()
			return
		}
		p.beat()
	}
}
