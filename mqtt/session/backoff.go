package session

import "time"

const (
	youngFor      = time.Second            // a connection that lives this long is not lost for having been made
	stableAfter   = 10 * time.Second       // a connection that lives this long was a good one
	firstWait     = 500 * time.Millisecond // doubled with each attempt
	longestWait   = 10 * time.Second       // an attempt costs next to nothing
	refusedWait   = 30 * time.Second       // at least, when the broker refuses: attempts may be counted against the user
	takenOverWait = 2 * time.Minute        // at least, when another client uses the client id
	takenOverBy   = 3                      // connections in a row that the broker closed soon
)

// A backoff decides how long to wait before the next connection, from how those before ended. The zero backoff is ready.
type backoff struct {
	tries   int  // since the last good connection
	taken   int  // connections in a row that the broker closed soon, for no known reason
	refused bool // the last attempt was refused by the broker itself
	prompt  bool // check at once whether the broker is still there
}

// failed counts an attempt that made no connection. refused reports that the broker refused it.
func (b *backoff) failed(refused bool) {
	b.tries++
	b.refused, b.prompt = refused, false
	if !b.takenOver() {
		b.taken = 0 // a broker in trouble, not another client
	}
}

// lost counts a connection that lived this long. taken reports that the broker closed it although no message was in
// quarantine; explained, that the reason was found. The result reports whether now, and not before, another client
// seems to use the client id.
func (b *backoff) lost(lived time.Duration, taken, explained bool) (first bool) {
	b.refused, b.prompt = false, false
	if lived >= stableAfter {
		b.good()
	}
	b.tries++
	was := b.takenOver()
	switch {
	case explained:
		b.taken = 0
	case taken && lived < stableAfter:
		b.taken++
		b.prompt = true // a broker that has died does not answer now; one that closed the connection on purpose does
	}
	return b.takenOver() && !was
}

// soon records that the connection was lost for a reason that is dealt with: the next one is made at once.
func (b *backoff) soon() { b.refused, b.tries = false, 1 }

// died records that the connection was lost because the broker is gone. It may be back at once, and none of its
// connections says anything about another client.
func (b *backoff) died() {
	b.refused = false
	b.tries = 1
	if !b.takenOver() {
		b.taken = 0
	}
}

// good records that the connection is a good one.
func (b *backoff) good() { *b = backoff{} }

// takenOver reports whether another client seems to use the client id. Two clients with one id disconnect each other
// for ever, and MQTT 3.1.1 gives neither of them the reason.
func (b *backoff) takenOver() bool { return b.taken >= takenOverBy }

// wait returns how long to wait now, with jitter from random, in [0, 1).
func (b *backoff) wait(random float64) time.Duration {
	jitter := func(d time.Duration) time.Duration { return time.Duration(random * float64(d)) }
	switch {
	case b.takenOver():
		return takenOverWait + jitter(takenOverWait)
	case b.refused:
		return refusedWait + jitter(refusedWait)
	case b.prompt:
		return 0
	}
	return jitter(min(firstWait<<min(max(b.tries-1, 0), 10), longestWait))
}
