package main

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestLogFormat: the format of lines that programs read. A change of it changes docs/operations.md and CHANGELOG.md too.
func TestLogFormat(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ format, expected string }{
		{"json", `{"time":"2000-01-01T00:00:00.000Z","level":"WARN","msg":"no session with the broker","phone":"kitchen",` +
			`"took":0.041,"until":"2026-11-22T10:00:00.123Z","count":3,"err":"a \"b\" < c"}` + "\n"},
		{"text", `time=2000-01-01T00:00:00.000Z level=WARN msg="no session with the broker" phone=kitchen ` +
			`took=41ms until=2026-11-22T11:00:00.123+01:00 count=3 err="a \"b\" < c"` + "\n"},
	} {
		synctest.Test(t, func(t *testing.T) { // there it is 2000-01-01T00:00:00Z
			var out strings.Builder
			log := logger(&out, tt.format, slog.LevelInfo)
			log.Debug("not shown")
			log.Warn("no session with the broker", slog.String("phone", "kitchen"), slog.Duration("took", 41*time.Millisecond),
				slog.Time("until", time.Date(2026, 11, 22, 11, 0, 0, 123_456_789, time.FixedZone("", 3600))),
				slog.Int("count", 3), slog.Any("err", errors.New(`a "b" < c`)))
			if got := out.String(); got != tt.expected {
				t.Errorf("%s: logged\n%sexpected\n%s", tt.format, got, tt.expected)
			}
		})
	}
}
