package snom

import "sync"

// A turn is a mutex that can be waited for together with other things. It takes no memory of its own while nothing waits,
// which a channel does: a bridge may have ten thousand Clients. The zero turn is free.
type turn struct {
	mu    sync.Mutex
	freed chan struct{} // closed when the turn is given back; nil: nothing waits; guarded by mu
	taken bool          // guarded by mu
}

// take takes the turn and returns nil, or it returns a channel that is closed when the turn is given back, and may be
// tried again.
func (t *turn) take() (freed <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case !t.taken:
		t.taken = true
		return nil
	case t.freed == nil:
		t.freed = make(chan struct{})
	}
	return t.freed
}

// give gives the turn back.
func (t *turn) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taken = false
	if t.freed != nil {
		close(t.freed)
		t.freed = nil
	}
}
