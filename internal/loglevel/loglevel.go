// Package loglevel names the levels of the log, as a setting, a request, Home Assistant and the console have them.
package loglevel

import (
	"log/slog"
	"slices"
	"strings"
)

// All returns the levels, the least first.
func All() []slog.Level {
	return []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
}

// Name returns the name of a level of [All], such as "debug".
func Name(l slog.Level) string { return strings.ToLower(l.String()) }

// Names returns the names of [All], in the same order.
func Names() []string { return []string{"debug", "info", "warn", "error"} }

// Expected returns the names for a sentence: "debug, info, warn or error".
func Expected() string {
	names := Names()
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// Parse returns the level of a name, which is written as [Names] has it.
func Parse(name string) (slog.Level, bool) {
	i := slices.Index(Names(), name)
	if i < 0 {
		return 0, false
	}
	return All()[i], true
}
