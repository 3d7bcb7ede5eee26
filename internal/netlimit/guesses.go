package netlimit

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// What guesses at a password cost.
const (
	wrongAtOnce = 5                // wrong passwords from one address before it is slowed down
	wrongAgain  = 12 * time.Second // after which another one is free: five a minute
	slowPace    = time.Second      // between two checks for an address that is slowed down
	slowWait    = 3 * time.Second  // the longest that a check waits
	maxGuessers = 1024             // addresses that are remembered, about 300 bytes each
)

// ErrGuesses means that a password is not checked, because too many wrong ones came from its address.
var ErrGuesses = errors.New("too many wrong passwords")

// Guesses slows down clients that send wrong passwords: after five within a minute, the passwords of an address are
// checked once a second. The zero value is ready to use. Its methods are safe for concurrent use.
type Guesses struct {
	mu       sync.Mutex
	guessers map[netip.Prefix]*guesser // guarded by mu
}

// A guesser is an address that sent a wrong password.
type guesser struct {
	wrong *rate.Limiter // empty: it is slowed down
	check *rate.Limiter // of one that is
	last  time.Time     // guarded by Guesses.mu
}

// Wait is called before a password from an address is checked. It returns [ErrGuesses] where the check would have to
// wait too long, and ctx's error when that ends first.
func (g *Guesses) Wait(ctx context.Context, from net.Addr) error {
	now := time.Now()
	g.mu.Lock()
	one := g.guessers[Source(from)]
	g.mu.Unlock()
	if one == nil || one.wrong.TokensAt(now) >= 1 {
		return nil
	}
	turn := one.check.ReserveN(now, 1)
	wait := turn.DelayFrom(now)
	if wait > slowWait {
		turn.CancelAt(now)
		return ErrGuesses
	}
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		turn.Cancel()
		return ctx.Err()
	}
}

// Wrong notes a wrong password from an address.
func (g *Guesses) Wrong(from net.Addr) {
	now, source := time.Now(), Source(from)
	g.mu.Lock()
	defer g.mu.Unlock()
	one := g.guessers[source]
	if one == nil {
		g.forget()
		one = &guesser{
			wrong: rate.NewLimiter(rate.Every(wrongAgain), wrongAtOnce),
			check: rate.NewLimiter(rate.Every(slowPace), 1),
		}
		if g.guessers == nil {
			g.guessers = map[netip.Prefix]*guesser{}
		}
		g.guessers[source] = one
	}
	one.last = now
	one.wrong.AllowN(now, 1)
}

// forget makes room for one more address. The caller holds the lock.
func (g *Guesses) forget() {
	if len(g.guessers) < maxGuessers {
		return
	}
	var oldest netip.Prefix
	found := false
	for source, one := range g.guessers {
		if !found || one.last.Before(g.guessers[oldest].last) {
			oldest, found = source, true
		}
	}
	delete(g.guessers, oldest)
}
