package bridge

import (
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// A place is what tells one device from another: the MAC address that it reports, and the IP address and port at which it
// answered. Neither is enough alone: two devices may report one MAC address, by mistake or on purpose, and hosts behind a
// proxy share an IP address.
type place struct {
	mac string
	at  netip.AddrPort
}

// A sighting is where a phone was found by a probe.
type sighting struct {
	phone *phone
	place place
}

// sharedLanes are the lanes of phones whose addresses may be different texts for one device.
type sharedLanes struct {
	placed  map[place]*lane  // nil: all addresses are different devices; guarded by applying
	aliases map[string]place // addresses whose phones take their turns in the lane of another address; guarded by applying
}

// probeTime is how far apart, on average, phones are asked again where they are.
const probeTime = 10 * time.Millisecond

// placesMost bounds placed, for each phone: one that reports another MAC address each time has many.
const placesMost = 4

// maySpell reports whether two addresses among those of phones may be one device: hosts by name, or http and https.
func maySpell(phones []PhoneConfig) bool {
	plain, secure := false, false
	for _, cfg := range phones {
		scheme, host, _ := strings.Cut(cfg.URL, "://")
		plain, secure = plain || scheme == "http", secure || scheme == "https"
		_, err := netip.ParseAddrPort(host)
		if _, bare := netip.ParseAddr(strings.Trim(host, "[]")); err != nil && bare != nil {
			return true
		}
	}
	return plain && secure
}

// keepPlaces drops what is known of lanes that are not used any more. The caller holds b.applying, or is New.
func (b *Bridge) keepPlaces(r *roster, phones []PhoneConfig) {
	if len(phones) < 2 || !maySpell(phones) {
		b.placed = nil
		return
	}
	if b.placed == nil {
		b.placed = map[place]*lane{}
		for _, p := range r.phones { // they are asked again where they are
			p.state.mu.Lock()
			again := p.state.identity.probed
			p.state.identity.probed = false
			p.state.mu.Unlock()
			if again {
				p.pollIn(rand.N(time.Duration(len(r.phones)) * probeTime))
			}
		}
	}
	used := make(map[*lane]bool, len(r.phones))
	for _, p := range r.phones {
		used[p.profile.Load().lane] = true
	}
	maps.DeleteFunc(b.placed, func(_ place, l *lane) bool { return !used[l] })
	maps.DeleteFunc(b.aliases, func(address string, _ place) bool { return b.lanes[address] == nil })
}

// share has a phone take its turns with others that are the same device at another spelling of its address, from now on.
// Where it turns out to be another device than they are, it gets a turn of its own again. It is called between two jobs of
// lane l.
func (b *Bridge) share(l *lane, s sighting) {
	b.applying.Lock()
	defer b.applying.Unlock()
	r := b.roster.Load()
	if b.placed == nil || b.stopped || r.phones[s.phone.name] != s.phone || s.phone.profile.Load().lane != l {
		return
	}
	if len(b.placed) > placesMost*len(r.names) {
		clear(b.placed)
	}
	address := s.phone.profile.Load().address()
	target := b.placed[s.place]
	switch {
	case target == l:
		return
	case target == nil && b.alone(l, address, s.place):
		b.placed[s.place] = l
		return
	case target == nil:
		target = &lane{b: b, login: l.login, dedup: l.dedup.copyDone()}
		b.placed[s.place] = target
		delete(b.aliases, address)
	default:
		if b.aliases == nil {
			b.aliases = map[string]place{}
		}
		b.aliases[address] = s.place
		target.dedup.join(l.dedup)
	}
	b.lanes[address] = target
	var moving []*phone // also under other names at the same address
	for _, name := range r.names {
		if p := r.phones[name]; p.profile.Load().address() == address && p.moveTo(l, target) {
			moving = append(moving, p)
		}
	}
	for _, p := range moving {
		for _, e := range l.takeOf(p, "") {
			p.add(e.job)
		}
	}
}

// alone reports whether lane l serves no other device than the one at place. The caller holds b.applying.
func (b *Bridge) alone(l *lane, address string, at place) bool {
	if was, aliased := b.aliases[address]; aliased {
		return was == at
	}
	for other, is := range b.aliases {
		if b.lanes[other] == l && is != at {
			return false
		}
	}
	return true
}

// moveTo gives the phone another lane, and reports whether it had the lane from.
func (p *phone) moveTo(from, to *lane) bool {
	p.state.mu.Lock()
	defer p.state.mu.Unlock()
	is := *p.profile.Load()
	if is.lane != from {
		return false
	}
	is.lane = to
	p.profile.Store(&is)
	return true
}

// useLogin makes l's breaker that of another login. What is known of the one before is kept where another phone of the
// settings has that login: the phone counts its failed logins under whatever name they are made. The caller holds l.mu.
func (l *lane) useLogin(login string) {
	if l.breaker != (breaker{}) && l.b.anyLogin(l, l.login) {
		if l.others == nil {
			l.others = map[string]breaker{}
		}
		l.others[l.login] = l.breaker
	}
	l.login, l.breaker = login, l.others[login]
	delete(l.others, login)
	for other := range l.others {
		if !l.b.anyLogin(l, other) {
			delete(l.others, other)
		}
	}
}

// anyLogin reports whether a phone of the settings takes its turns in lane l and has that login.
func (b *Bridge) anyLogin(l *lane, login string) bool {
	r := b.roster.Load()
	return slices.ContainsFunc(r.names, func(name string) bool {
		at := r.phones[name].profile.Load()
		return at.lane == l && at.Login == login
	})
}
