package bridge

import (
	"iter"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// An Observer is called with what the bridge does, to count it. It is called by many goroutines, and must
// not block. Counts must be complete, so it is called for each: a reader that may miss some uses [Bridge.Subscribe].
type Observer interface {
	// Result is called with every result, but with no summary of a group. A result that names no phone of the bridge has
	// no phone and no command: both would be foreign text.
	Result(r Result)
	// Sent is called with how long a command that was sent to its phone waited for that, and how long it then took.
	Sent(v snom.Verb, waited, took time.Duration)
	// Event is called with every event of a phone.
	Event(e actionurl.Event)
}

// noObserver is the Observer of a bridge that has none.
type noObserver struct{}

func (noObserver) Result(Result)                                {}
func (noObserver) Sent(snom.Verb, time.Duration, time.Duration) {}
func (noObserver) Event(actionurl.Event)                        {}

// A Load is how the bridge stands with one phone.
type Load struct {
	Phone     string
	Reachable Switch
	Waiting   int  // commands in its queue
	LockedOut bool // it refused the login and is not contacted for a while
}

// Loads yields how the bridge stands with each of its phones, by name.
func (b *Bridge) Loads() iter.Seq[Load] {
	return func(yield func(Load) bool) {
		r, now := b.roster.Load(), time.Now()
		for _, name := range r.names {
			if !yield(r.phones[name].load(now)) {
				return
			}
		}
	}
}

// Late returns how many commands have expired before they were carried out.
func (b *Bridge) Late() uint64 { return b.late.Load() }

// load is how the bridge stands with the phone.
func (p *phone) load(now time.Time) Load {
	p.state.mu.Lock()
	load := Load{Phone: p.name, Reachable: p.state.reachable}
	p.state.mu.Unlock()
	at := p.profile.Load()
	l := at.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	load.Waiting = l.waiting()
	load.LockedOut = at.Login == l.login && l.breaker.open(now)
	return load
}
