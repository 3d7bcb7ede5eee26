package bridge

import (
	"iter"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// An Observer is told what the bridge does, to count it. It is called by many goroutines, and must
// not block.
type Observer interface {
	// Answered is told every result, but no summary of a group. A result that names no phone of
	// ours has no phone and no command: both would be what somebody wrote.
	Answered(r Result)
	// Served is told how long a command that was sent to its phone waited for that, and how long
	// it then took.
	Served(v snom.Verb, waited, took time.Duration)
	// Told is told every event of a phone.
	Told(e actionurl.Event)
}

// nobody is the Observer of a bridge that nobody observes.
type nobody struct{}

func (nobody) Answered(Result)                                {}
func (nobody) Served(snom.Verb, time.Duration, time.Duration) {}
func (nobody) Told(actionurl.Event)                           {}

// A Load is how the bridge stands with one phone.
type Load struct {
	Phone     string
	Reachable Switch
	Waiting   int  // commands in its queue
	LeftAlone bool // because it refused our login
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

// load is how the bridge stands with the phone.
func (w *worker) load(now time.Time) Load {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Load{
		Phone: w.name, Reachable: w.news.reachable, Waiting: len(w.queue),
		LeftAlone: !w.fresh && w.breaker.open(now),
	}
}
