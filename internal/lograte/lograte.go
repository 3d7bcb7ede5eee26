// Package lograte logs what others can cause as often as they like: once a minute for each kind, and shortened.
package lograte

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Bounds of what is logged and remembered.
const (
	every    = time.Minute // between two lines of one kind
	maxKinds = 512         // kinds that are remembered, about 150 bytes each; all others count as one
	maxText  = 128         // bytes of a value
)

// A Limiter logs at most one line a minute for each kind. Make one with [New]. Its methods are safe for concurrent use.
type Limiter struct {
	log *slog.Logger

	mu    sync.Mutex
	kinds map[string]*kind // guarded by mu
}

// A kind is what is remembered of a kind of line.
type kind struct {
	next       time.Time // when the next line may be logged
	suppressed int       // lines that were not logged since the last one
}

// New returns a limiter that logs to log.
func New(log *slog.Logger) *Limiter { return &Limiter{log: log, kinds: map[string]*kind{}} }

// Log logs a line of a kind, unless one was logged within the last minute. Where lines were left out, the next one has
// their number as suppressed. Values that are texts or errors are shortened by [Short]. A kind may contain a name that
// the settings choose, such as a phone's, and none that others choose.
func (l *Limiter) Log(level slog.Level, kind, msg string, args ...any) {
	ctx := context.Background() // the caller need not have one: nothing here waits
	if !l.log.Enabled(ctx, level) {
		return
	}
	suppressed, ok := l.allow(kind, time.Now())
	if !ok {
		return
	}
	short := make([]any, len(args), len(args)+2)
	for i, a := range args {
		short[i] = shorten(a)
	}
	if suppressed > 0 {
		short = append(short, slog.Int("suppressed", suppressed))
	}
	l.log.Log(ctx, level, msg, short...)
}

// allow reports whether a line of a kind may be logged, and how many were not since the last one.
func (l *Limiter) allow(name string, now time.Time) (suppressed int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.kinds[name]
	if k == nil {
		l.expire(now)
		if len(l.kinds) >= maxKinds {
			name = "" // all others
			k = l.kinds[name]
		}
	}
	if k == nil {
		k = &kind{}
		l.kinds[name] = k
	}
	if now.Before(k.next) {
		k.suppressed++
		return 0, false
	}
	suppressed = k.suppressed
	k.next, k.suppressed = now.Add(every), 0
	return suppressed, true
}

// expire forgets kinds that may be logged again, when there are many. The caller holds the lock.
func (l *Limiter) expire(now time.Time) {
	if len(l.kinds) < maxKinds {
		return
	}
	for name, k := range l.kinds {
		if !now.Before(k.next) {
			delete(l.kinds, name)
		}
	}
}

// shorten returns the value of a line in bounded length.
func shorten(v any) any {
	switch v := v.(type) {
	case string:
		return Short(v)
	case error:
		return Short(v.Error())
	case slog.Attr: // a Stringer too
		if k := v.Value.Kind(); k == slog.KindString || k == slog.KindAny {
			return slog.String(v.Key, Short(v.Value.String()))
		}
	case fmt.Stringer:
		return Short(v.String())
	}
	return v
}

// Short returns a text of others in at most 160 bytes of valid UTF-8, with its length where it was cut.
func Short(s string) string {
	if len(s) <= maxText {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	cut := maxText
	for cut > maxText-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strings.ToValidUTF8(s[:cut], "?") + "… (" + strconv.Itoa(len(s)) + " bytes)"
}
