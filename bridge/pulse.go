package bridge

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// How long what must move may stand still.
const (
	handleMost = 10 * time.Second // a message that is taken: nothing in it waits for anything but memory
	turnMost   = 10 * time.Minute // one request to a phone, or to the bridge: a few times REQUEST_TIMEOUT, which is a minute at most
)

// Alive returns nil while the bridge moves: messages are taken, requests to the bridge are answered,
// and no phone's worker stands still for longer than its work can take. It has nothing to do with
// the broker or with phones being there. It asks for every lock there is, so where one is never given
// back it does not return: for a watchdog, that is an answer too.
func (b *Bridge) Alive() error {
	now := time.Now()
	if d := b.handling.lasts(b.started); d > handleMost {
		return fmt.Errorf("bridge: a message is being taken for %v", d.Round(time.Second))
	}
	if d := b.asked.lasts(b.started); d > turnMost {
		return fmt.Errorf("bridge: a request to the bridge is being answered for %v", d.Round(time.Second))
	}
	b.twin.aside()
	var errs []error
	for name, w := range b.roster.Load().phones {
		w.mu.Lock()
		if w.running && now.After(w.due) {
			errs = append(errs, fmt.Errorf("bridge: nothing moves at the phone %s since %v", name, now.Sub(w.due.Add(-turnMost)).Round(time.Second)))
		}
		w.mu.Unlock()
	}
	return errors.Join(errs...)
}

// expect says that the worker's goroutine waits for d now and then does one piece of work. The caller
// holds the lock.
func (w *worker) expect(d time.Duration) { w.due = time.Now().Add(max(d, 0) + turnMost) }

// A spell is a piece of work that must not last long. It is measured from the bridge's start, so that
// a clock that is set does not matter.
type spell struct{ since atomic.Int64 } // 0: none is under way

func (s *spell) begin(start time.Time) { s.since.Store(max(int64(time.Since(start)), 1)) }
func (s *spell) end()                  { s.since.Store(0) }

// lasts is how long the spell lasts already.
func (s *spell) lasts(start time.Time) time.Duration {
	since := s.since.Load()
	if since == 0 {
		return 0
	}
	return time.Since(start) - time.Duration(since)
}
