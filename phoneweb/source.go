package phoneweb

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// How long the addresses of a host name are used, and how soon they are asked for again when
// an event comes from another one; chosen by this project.
const (
	addrsLast    = 5 * time.Minute
	addrsDoubted = 10 * time.Second
	lookupTime   = 2 * time.Second
)

// sources knows the addresses of phones. Only the hosts of configured phones are looked up, and
// only for a request that had the right token.
type sources struct {
	lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)

	mu    sync.Mutex
	hosts map[string]*source // guarded by mu
}

// source is one host name.
type source struct {
	mu    sync.Mutex // guards what follows; held during a lookup: one at a time
	addrs []netip.Addr
	asked time.Time
	err   error // of the last lookup
}

// has reports whether from is an address of host, an address or a name. When it is none, the error is
// why that is not certain: the name could not be looked up.
func (s *sources) has(ctx context.Context, host string, from netip.Addr) (bool, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().WithZone("") == from, nil
	}
	s.mu.Lock()
	h := s.hosts[host]
	if h == nil {
		s.forget()
		h = &source{}
		s.hosts[host] = h
	}
	s.mu.Unlock()

	h.mu.Lock()
	defer h.mu.Unlock()
	age := time.Since(h.asked)
	if slices.Contains(h.addrs, from) && age < addrsLast || age < addrsDoubted {
		return slices.Contains(h.addrs, from), h.err
	}
	h.asked = time.Now()
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	var addrs []netip.Addr
	if addrs, h.err = s.lookup(ctx, "ip", host); h.err == nil { // otherwise those from before will do
		h.addrs = h.addrs[:0]
		for _, a := range addrs {
			h.addrs = append(h.addrs, a.Unmap().WithZone(""))
		}
	}
	return slices.Contains(h.addrs, from), h.err
}

// forget forgets hosts that were not looked up for long, when many are remembered: phones that the configuration has
// no more are among them. The caller holds the lock.
func (s *sources) forget() {
	const few = 64
	if len(s.hosts) < few || len(s.hosts)&(len(s.hosts)-1) != 0 { // at powers of two, so that it costs nothing on average
		return
	}
	for host, h := range s.hosts {
		if !h.mu.TryLock() {
			continue // it is being looked up
		}
		if time.Since(h.asked) > addrsLast {
			delete(s.hosts, host)
		}
		h.mu.Unlock()
	}
}
