package main

import (
	"log/slog"
	"path/filepath"

	"github.com/snom2mqtt/snom2mqtt/config"
	"github.com/snom2mqtt/snom2mqtt/snom"
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

// digestMemory returns whether the phone called name has asked for a digest login at that URL before, and what notes that
// it does.
func digestMemory(store *statefile.Store, name, phoneURL string) (seen bool, note func()) {
	at := phoneURL
	if base, err := snom.BaseURL(phoneURL); err == nil {
		at = base
	}
	r := store.Get(name)
	return r.URL == at && r.Auth == string(snom.SchemeDigest), func() {
		store.Update(name, func(r *statefile.Record) {
			if r.URL != at { // what was known is of another phone, perhaps; the identifier belongs to the name
				*r = statefile.Record{ID: r.ID, URL: at}
			}
			r.Auth = string(snom.SchemeDigest)
		})
	}
}

// remembered returns what the state directory has of a phone, if it was at the same address.
func (s *service) remembered(name, url string) (model, firmware, mac string) {
	r := s.state.Get(name)
	if r.URL != url {
		return "", "", ""
	}
	return r.Model, r.Firmware, r.MAC
}
