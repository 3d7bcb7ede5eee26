package main

import (
	"log/slog"
	"path/filepath"

	"github.com/snom2mqtt/snom2mqtt/bridge"
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

// A digestMemory knows which phones have asked for a digest login before.
type digestMemory struct {
	store *statefile.Store // nil: nothing is kept
	names map[string]bool  // of those that have
	at    map[string]bool  // their URLs
}

// newDigestMemory returns what the store and the phones that are driven now know.
func newDigestMemory(store *statefile.Store, phones []bridge.PhoneConfig) digestMemory {
	m := digestMemory{store, map[string]bool{}, map[string]bool{}}
	for name, r := range store.All() {
		if r.Auth == string(snom.SchemeDigest) {
			m.names[name], m.at[r.URL] = true, true
		}
	}
	for _, p := range phones {
		if c, ok := p.Phone.(interface{ AskedForDigest() bool }); ok && c.AskedForDigest() {
			m.names[p.Name], m.at[p.URL] = true, true
		}
	}
	return m
}

// of returns whether the phone called name at that URL has asked for a digest login before, and what notes that it does. A
// phone that was renamed, or has another address, is the same one: its password must not be sent as Basic because of that.
func (m digestMemory) of(name, phoneURL string) (seen bool, note func()) {
	if m.store == nil {
		return false, nil
	}
	at := phoneURL
	if base, err := snom.BaseURL(phoneURL); err == nil {
		at = base
	}
	note = func() {
		m.store.Update(name, func(r *statefile.Record) {
			if r.URL != at { // what was known is of another phone, perhaps; the identifier belongs to the name
				*r = statefile.Record{ID: r.ID, URL: at}
			}
			r.Auth = string(snom.SchemeDigest)
		})
	}
	if m.at[at] && m.store.Get(name).Auth != string(snom.SchemeDigest) {
		note() // of the other name, nothing may be kept for long
	}
	return m.names[name] || m.at[at], note
}

// remembered returns what the state directory has of a phone, if it was at the same address.
func (s *service) remembered(name, url string) (model, firmware, mac string) {
	r := s.state.Get(name)
	if r.URL != url {
		return "", "", ""
	}
	return r.Model, r.Firmware, r.MAC
}
