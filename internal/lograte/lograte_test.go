package lograte

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestOneLineAMinuteForEachKind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := New(slog.New(slog.NewTextHandler(&out, nil)))
		for i := range 5000 {
			l.Log(slog.LevelWarn, "forged", "forged info", "from", i)
			l.Log(slog.LevelWarn, fmt.Sprint("phone", i%3), "phone", "phone", i%3)
			l.Log(slog.LevelDebug, "debug", "hidden")
		}
		if n := strings.Count(out.String(), "\n"); n != 4 {
			t.Errorf("%d lines, expected one of each of 4 kinds:\n%s", n, out.String())
		}
		out.Reset()
		time.Sleep(time.Minute)
		l.Log(slog.LevelWarn, "forged", "forged info")
		if !strings.Contains(out.String(), "suppressed=4999") {
			t.Errorf("%s: expected the number of lines that were left out", out.String())
		}
		out.Reset()
		time.Sleep(time.Minute)
		l.Log(slog.LevelWarn, "forged", "forged info")
		if out.Len() == 0 || strings.Contains(out.String(), "suppressed") {
			t.Errorf("%s: expected a line, and that none was left out", out.String())
		}
	})
}

// Any number of kinds takes a bounded number of lines and of memory.
func TestKindsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := New(slog.New(slog.NewTextHandler(&out, nil)))
		for i := range 10 * maxKinds {
			l.Log(slog.LevelWarn, fmt.Sprint("kind", i), "line")
		}
		if n := strings.Count(out.String(), "\n"); n > maxKinds+1 {
			t.Errorf("%d lines, expected at most %d", n, maxKinds+1)
		}
		if n := len(l.kinds); n > maxKinds+1 {
			t.Errorf("%d kinds are remembered, expected at most %d", n, maxKinds+1)
		}
		time.Sleep(time.Minute)
		out.Reset()
		l.Log(slog.LevelWarn, "new", "line")
		if out.Len() == 0 || len(l.kinds) > 2 {
			t.Errorf("a minute later: %q, and %d kinds", out.String(), len(l.kinds))
		}
	})
}

type name string

func (n name) String() string { return string(n) }

func TestValuesAreShortened(t *testing.T) {
	t.Parallel()
	for _, long := range []string{strings.Repeat("x", 60_000), strings.Repeat("ö", 30_000), strings.Repeat("\xff", 60_000), strings.Repeat("\n", 60_000)} {
		var out bytes.Buffer
		l := New(slog.New(slog.NewTextHandler(&out, nil)))
		l.Log(slog.LevelWarn, "k", "line", "a", long, "b", errors.New(long), slog.String("c", long), slog.Any("d", errors.New(long)), "e", name(long))
		if n := out.Len(); n > 5000 || strings.Count(out.String(), "60000 bytes") != 5 {
			t.Errorf("%d bytes: %s", n, out.String()[:min(n, 1000)])
		}
	}
	for _, short := range []string{"", "kitchen", strings.Repeat("x", maxText)} {
		if got := Short(short); got != short {
			t.Errorf("Short(%q) = %q", short, got)
		}
	}
}
