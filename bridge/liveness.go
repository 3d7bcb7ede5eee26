package bridge

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// The time after which work that has not ended is stuck.
const (
	handleMost = 10 * time.Second // a message that is taken: nothing in it waits for anything but memory
	turnMost   = 10 * time.Minute // one request to a phone, or to the bridge: a few times REQUEST_TIMEOUT, which is a minute at most
)

// Alive returns nil while the bridge makes progress: messages are taken, requests to the bridge are answered, and no
// phone's lane takes longer for a job than the job can take. It does not depend on whether the broker and phones are
// reachable. It also notices that the machine was suspended. It takes every lock of a phone, so where one is never
// released it does not return, which a watchdog notices, too.
func (b *Bridge) Alive() error {
	now := time.Now()
	b.checkClock(now)
	if d := b.handling.lasts(b.started); d > handleMost {
		return fmt.Errorf("bridge: a message is being taken for %v", d.Round(time.Second))
	}
	if d := b.requests.busy.lasts(b.started); d > turnMost {
		return fmt.Errorf("bridge: a request to the bridge is being answered for %v", d.Round(time.Second))
	}
	b.standby.active()
	var errs []error
	for name, p := range b.roster.Load().phones {
		l := p.profile.Load().lane
		l.mu.Lock()
		if l.laneWork != nil && now.After(l.due) {
			errs = append(errs, fmt.Errorf("bridge: no progress at the phone %s for %v", name, now.Sub(l.due.Add(-turnMost)).Round(time.Second)))
		}
		l.mu.Unlock()
		p.state.mu.Lock()
		p.state.mu.Unlock() //nolint:staticcheck // what is checked is that the lock is released
	}
	return errors.Join(errs...)
}

// A liveness watches one piece of work that must not last long. It is measured from the bridge's start, so that
// a clock that is set does not matter.
type liveness struct{ since atomic.Int64 } // 0: none is under way

func (s *liveness) begin(start time.Time) { s.since.Store(max(int64(time.Since(start)), 1)) }
func (s *liveness) end()                  { s.since.Store(0) }

// lasts is how long the work lasts already.
func (s *liveness) lasts(start time.Time) time.Duration {
	since := s.since.Load()
	if since == 0 {
		return 0
	}
	return time.Since(start) - time.Duration(since)
}
