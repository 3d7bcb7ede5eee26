package loglevel_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/internal/loglevel"
)

func TestNames(t *testing.T) {
	if got := loglevel.Expected(); got != "debug, info, warn or error" {
		t.Errorf("the names are %q", got)
	}
	if got := strings.Join(loglevel.Names(), " "); got != "debug info warn error" {
		t.Errorf("the names are %q", got)
	}
	for name, expected := range map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError} {
		level, ok := loglevel.Parse(name)
		if !ok || level != expected || loglevel.Name(level) != name {
			t.Errorf("%s is %v, %v, and that is called %q", name, level, ok, loglevel.Name(level))
		}
	}
	for _, name := range []string{"", "INFO", "info ", "warning", "info+1", "0"} {
		if level, ok := loglevel.Parse(name); ok {
			t.Errorf("%q is %v, expected none", name, level)
		}
	}
}
