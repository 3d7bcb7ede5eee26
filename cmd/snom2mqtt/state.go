package main

import (
	"log/slog"
	"path/filepath"

	"github.com/snom2mqtt/snom2mqtt/config"
	"github.com/snom2mqtt/snom2mqtt/statefile"
)

// openState opens the store of what phones told. A directory that cannot be used is logged, and the bridge works
// without one: phones are driven all the same.
func openState(c config.Config, log *slog.Logger) *statefile.Store {
	dir := c.StateDirectory
	if dir != "" {
		dir = filepath.Join(dir, c.Instance) // several bridges may share the directory, each with phones of its own
	}
	store, err := statefile.Open(dir, log)
	if err != nil {
		log.Warn("state directory not usable", slog.Any("err", err))
		store, _ = statefile.Open("", log) // in memory: cannot fail
	}
	return store
}
