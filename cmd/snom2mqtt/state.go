package main

import (
	"log/slog"
	"maps"
	"net/netip"
	"path/filepath"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/config"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/statefile"
)

// openState opens the store of what phones reported. A directory that cannot be used is logged, and the bridge works
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
	// addresses are hashes of where phones have asked for one since this process started, also those that are not
	// configured any more.
	addresses map[uint32]bool
}

// digestAddressesMost bounds the addresses of a digestMemory.
const digestAddressesMost = 32 << 10

// newDigestMemory returns what the store, the phones that are driven now and the memory before know.
func newDigestMemory(store *statefile.Store, phones []bridge.PhoneConfig, before digestMemory) digestMemory {
	m := digestMemory{store, map[string]bool{}, map[string]bool{}, maps.Clone(before.addresses)}
	if m.addresses == nil || len(m.addresses) > digestAddressesMost {
		m.addresses = map[uint32]bool{}
	}
	for name, r := range store.All() {
		if r.Auth == string(snom.SchemeDigest) {
			m.names[name], m.at[r.URL] = true, true
		}
	}
	for _, p := range phones {
		if c, ok := p.Phone.(*snom.Client); ok && c.AskedForDigest() {
			m.names[p.Name], m.at[p.URL] = true, true
			if from := c.DigestAddress(); from != 0 {
				m.addresses[from] = true
			}
		}
	}
	return m
}

// of sets what c is to know of digest logins: whether the phone called name has asked for one before, by its name or by its
// URL, and what notes that it does. A phone that was renamed, or has another address, is the same one: its password must
// not be sent as Basic because of that. Where both are new, the IP address at which it answers decides.
func (m digestMemory) of(c *snom.ClientConfig, name, phoneURL string) {
	if m.store == nil {
		return
	}
	at := phoneURL
	if base, err := snom.BaseURL(phoneURL); err == nil {
		at = base
	}
	note := func(address netip.AddrPort) {
		m.store.Update(name, func(r *statefile.Record) {
			if r.URL != at { // what was known is of another phone, perhaps; the identifier belongs to the name
				*r = statefile.Record{ID: r.ID, URL: at}
			}
			r.Auth = string(snom.SchemeDigest)
			if address.IsValid() {
				r.Address = address.String()
			}
		})
	}
	if m.at[at] && m.store.Get(name).Auth != string(snom.SchemeDigest) {
		note(netip.AddrPort{}) // of the other name, nothing may be kept for long
	}
	c.DigestSeen, c.OnDigest = m.names[name] || m.at[at], note
	c.DigestAt = func(address netip.AddrPort) bool {
		text := address.String()
		seen := m.addresses[snom.AddressHash(address)] || m.store.Any(func(r statefile.Record) bool { return r.Auth == string(snom.SchemeDigest) && r.Address == text })
		if seen {
			note(address)
		}
		return seen
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
