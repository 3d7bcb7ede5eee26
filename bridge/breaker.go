package bridge

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// How long a phone is not contacted after it refused a login. A Snom phone counts failed logins and locks its web page
// after more than three of them, for a minute that doubles (Snom blog, 2009-08-14). So the first refused login has to be
// the last one for longer than a program keeps trying: hours, not minutes. A page that says "locked" cost no login, so
// another request after two minutes is fair.
const (
	breakUnauthorized = 2 * time.Hour
	breakLocked       = 2 * time.Minute
	breakMost         = 24 * time.Hour
)

// A breaker remembers that a phone refused the login, and for how long no request with a login is made. It is a
// value: the zero breaker is closed, and every change makes a new one.
type breaker struct {
	until    time.Time
	failures int
}

// open reports whether no request with a login is to be made at now.
func (b breaker) open(now time.Time) bool { return now.Before(b.until) }

// trip returns the breaker after one more refusal: open, and for twice as long as the time before.
func (b breaker) trip(now time.Time, code Code) breaker {
	wait := breakUnauthorized
	if code == LockedOut {
		wait = breakLocked
	}
	wait = min(wait<<min(b.failures, 10), breakMost)
	return breaker{until: now.Add(wait), failures: b.failures + 1}
}

// after returns the breaker after a command ended with code: a refusal opens it, a proof that the
// login is right closes it, and what says nothing about the login changes nothing.
func (b breaker) after(now time.Time, code Code) breaker {
	switch code {
	case Unauthorized, LockedOut:
		return b.trip(now, code)
	case OK:
		return breaker{}
	}
	return b
}

// lockedOut is the error of a request with a login that is not made, because the breaker is open; nil: it may be made.
// Only the job that runs calls it.
func (l *lane) lockedOut(now time.Time) error {
	if !l.breaker.open(now) {
		return nil
	}
	return fmt.Errorf("%w: it refused the login and is not contacted until %s, because failed logins lock it; correct the password and reload",
		snom.ErrLockedOut, l.breaker.until.UTC().Format(time.RFC3339))
}

// noteLogin opens the breaker when the phone refused the login: a person must act then, and the phone's own lock counts
// every try. A request without a login counts for nothing. Only the job that runs calls it.
func (p pacedPhone) noteLogin(now time.Time, err error) {
	if err != nil {
		p.phone.noteFault(err)
	}
	if errors.Is(err, snom.ErrNoLogin) {
		return
	}
	l, code := p.lane, codeOf(err)
	was := l.breaker
	is := was.after(now, code)
	if is == was {
		return
	}
	l.mu.Lock()
	l.breaker = is
	l.mu.Unlock()
	if is.failures > was.failures {
		p.phone.b.cfg.Log.Error("phone refuses the login and is not contacted for a while", slog.String("phone", p.phone.name),
			slog.Any("code", code), slog.Any("err", err), slog.Time("until", is.until))
	}
}
