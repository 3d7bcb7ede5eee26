package bridge

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// Bounds of live subscriptions.
const (
	subscriptionsMost = 64
	updatesMost       = 4096 // that wait for one reader
)

// An Update is one thing that happened. Exactly one of its fields is set, and what it points to must not be changed.
type Update struct {
	Event  *actionurl.Event // of a phone
	Result *Result          // of a command for a phone
	Status *Status          // of a phone, as published
	// Command is a command for a phone as it was received; its Result follows, at once where it is refused.
	Command   *Received
	Response  *Response // to a request to the bridge
	Image     *Image    // of the screen of a phone
	Door      *DoorStatus
	Ring      *DoorRing
	DoorImage *DoorImage // of a door's camera
}

// Received is a command for a phone, as it was received.
type Received struct {
	ID       string `json:"id"` // as the command gave it, or empty
	Phone    string `json:"phone"`
	Group    string `json:"group"` // that the command was for; empty: for the phone itself
	Command  string `json:"command"`
	Argument string `json:"argument"` // *** where it is secret
	Time     Time   `json:"time"`
}

// received sends a command to the subscriptions.
func (b *Bridge) received(c *command) {
	if !b.feed.read() {
		return
	}
	r := &Received{ID: c.id, Phone: c.to.name, Command: c.name, Argument: c.argument, Time: Time{Time: c.received}}
	if c.group != nil {
		r.Group = c.group.group
	}
	b.feed.send(Update{Command: r})
}

// A Subscription delivers what happens from now on.
type Subscription struct {
	// C delivers the updates. It is closed when the reader was too slow, so that an update found no room, when the bridge
	// has stopped, and by [Subscription.Close].
	C <-chan Update

	feed *feed
	c    chan Update
}

// A feed sends updates to subscriptions.
type feed struct {
	readers atomic.Int64 // how many there are; most of the time none

	mu     sync.Mutex
	all    map[*Subscription]bool // guarded by mu
	closed bool                   // guarded by mu
}

// Subscribe returns a subscription of commands, events, results, states and responses, with room for as many updates as may wait for their
// reader. A reader that is too slow loses its subscription: nothing waits for it.
func (b *Bridge) Subscribe(room int) (*Subscription, error) {
	f := &b.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return nil, errors.New("bridge: " + stopping)
	case len(f.all) >= subscriptionsMost:
		return nil, errors.New("bridge: too many live subscriptions")
	}
	c := make(chan Update, max(1, min(room, updatesMost)))
	s := &Subscription{C: c, c: c, feed: f}
	if f.all == nil {
		f.all = map[*Subscription]bool{}
	}
	f.all[s] = true
	f.readers.Store(int64(len(f.all)))
	return s, nil
}

// Close ends the subscription. It may be called more than once.
func (s *Subscription) Close() {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	s.feed.drop(s)
}

// drop ends a subscription. The caller holds the lock.
func (f *feed) drop(s *Subscription) {
	if f.all[s] {
		delete(f.all, s)
		close(s.c)
		f.readers.Store(int64(len(f.all)))
	}
}

// send sends u to every subscription. It never blocks.
func (f *feed) send(u Update) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.all {
		select {
		case s.c <- u:
		default:
			f.drop(s)
		}
	}
}

// read reports whether anything reads the feed: where nothing does, no update is made.
func (f *feed) read() bool { return f.readers.Load() > 0 }

// close ends all subscriptions.
func (f *feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for s := range f.all {
		f.drop(s)
	}
}
