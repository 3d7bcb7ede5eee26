package mqttpaho

import "time"

const (
	calm          = time.Second            // a connection that lives this long is not lost for having been made
	stable        = 10 * time.Second       // a connection that lives this long was a good one
	firstWait     = 500 * time.Millisecond // doubled with each attempt
	longestWait   = 10 * time.Second       // a house waits for its broker, and a try costs next to nothing
	refusedWait   = 30 * time.Second       // at least, when the broker refuses us: attempts may be counted against us
	takenOverWait = 2 * time.Minute        // at least, when another client uses our client id
	takenOverBy   = 3                      // connections in a row that were taken away soon
)

// A patience decides how long to wait before the next connection, from what became of those before. The zero patience
// is fresh.
type patience struct {
	tries   int  // since the last good connection
	taken   int  // connections in a row that the broker closed soon, for no reason of ours
	refused bool // the last attempt was refused by the broker itself
	prompt  bool // look at once whether the broker is still there
}

// failed counts an attempt that made no connection. refused says that the broker did not want us.
func (p *patience) failed(refused bool) {
	p.tries++
	p.refused, p.prompt = refused, false
	if !p.takenOver() {
		p.taken = 0 // a broker in trouble, not another client
	}
}

// lost counts a connection that lived this long. taken says that the broker closed it although nothing of ours was
// under suspicion; explained, that the reason was found. It reports whether now, and not before, another client seems
// to use our client id.
func (p *patience) lost(lived time.Duration, taken, explained bool) (news bool) {
	p.refused, p.prompt = false, false
	if lived >= stable {
		p.good()
	}
	p.tries++
	was := p.takenOver()
	switch {
	case explained:
		p.taken = 0
	case taken && lived < stable:
		p.taken++
		p.prompt = true // a broker that has died does not answer now; one that was told to throw us out does
	}
	return p.takenOver() && !was
}

// died says that the connection was lost because the broker is gone: nobody is there to be asked. It may be back at
// once, and none of its connections says anything about another client.
func (p *patience) died() {
	p.refused = false
	p.tries = 1
	if !p.takenOver() {
		p.taken = 0
	}
}

// good says that the connection is a good one.
func (p *patience) good() { *p = patience{} }

// takenOver says whether another client seems to use our client id. Two clients of one id throw each other out for
// ever, and MQTT 3.1.1 tells neither of them why.
func (p *patience) takenOver() bool { return p.taken >= takenOverBy }

// wait returns how long to wait now, with jitter from random, in [0, 1).
func (p *patience) wait(random float64) time.Duration {
	jitter := func(d time.Duration) time.Duration { return time.Duration(random * float64(d)) }
	switch {
	case p.takenOver():
		return takenOverWait + jitter(takenOverWait)
	case p.refused:
		return refusedWait + jitter(refusedWait)
	case p.prompt:
		return 0
	}
	return jitter(min(firstWait<<min(max(p.tries-1, 0), 10), longestWait))
}
