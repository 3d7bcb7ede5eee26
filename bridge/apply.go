package bridge

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"
)

// A Change is what [Bridge.Apply] changed.
type Change struct {
	b              *Bridge
	added, changed []*phone
	removed        int
}

// Apply makes r the bridge's phones and groups. What waits for a phone that is not in it any more is answered
// cancelled. What belongs to a phone and not to its name stays with its address: a request under way, the pause after
// it, a refused login, ids.
//
// The caller then subscribes to the topics of the new phones, and calls [Change.Complete].
func (b *Bridge) Apply(r Roster) (Change, error) {
	b.applying.Lock()
	defer b.applying.Unlock()
	if b.stopped {
		return Change{}, errors.New("bridge: " + stopping)
	}
	c, removed := b.apply(r)
	for _, p := range removed {
		p.remove()
	}
	return c, nil
}

// Complete claims the phones that are new, publishes what is known of those that are new or changed, and polls them.
func (c Change) Complete(ctx context.Context) {
	b := c.b
	b.claimNew(ctx, c.added)
	for _, p := range slices.Concat(c.added, c.changed) {
		p.republish()
		p.pollIn(0)
	}
	for _, d := range b.roster.Load().doors {
		d.lookAtPhones()
		d.republish()
	}
	b.publishInfo(heartbeat{})
	b.cfg.Log.Info("phones reloaded", slog.Int("added", len(c.added)), slog.Int("changed", len(c.changed)), slog.Int("removed", c.removed))
}

// apply makes r the bridge's roster. The caller holds b.applying, or is New.
func (b *Bridge) apply(r Roster) (c Change, removed []*phone) {
	old := b.roster.Load()
	next := &roster{phones: make(map[string]*phone, len(r.Phones)), groups: make(map[string][]string, len(r.Groups)+1)}
	kept := make(map[string]bool, len(r.Phones)) // addresses
	for _, cfg := range r.Phones {
		kept[cfg.address()] = true
		next.masks = next.masks || len(cfg.Mask) > 0
	}
	macs := old.leaving(kept)
	c.b = b
	var left []*phone // that changed, and whose jobs may wait in a lane that is another's now
	var from []*lane
	for _, cfg := range r.Phones {
		p := old.phones[cfg.Name]
		l := b.laneFor(cfg, p, kept)
		switch {
		case p == nil:
			p = newPhone(b, cfg, l)
			c.added = append(c.added, p)
		default:
			was := p.profile.Load().lane
			if p.configure(cfg, l) {
				c.changed = append(c.changed, p)
			}
			if was != l {
				left, from = append(left, p), append(from, was)
			}
		}
		next.phones[cfg.Name] = p
		next.names = append(next.names, cfg.Name)
	}
	slices.Sort(next.names)
	next.setGroups(r.Groups)
	next.macros = scripts(r.Macros)
	next.left = b.lanesLeft(macs)
	next.paging = r.Paging
	next.doors = b.doors(old.doors, r.Doors, next.phones)
	b.roster.Store(next)
	b.announcers.keep(r.Paging, next.phones)
	b.ids.phones.Store(int64(len(next.names)))
	for i, p := range left { // what waits goes to the phone as it is now
		for _, e := range from[i].takeOf(p, "") {
			p.add(e.job)
		}
	}
	removed = old.removeMissing(next)
	c.removed = len(removed)
	b.retireLanes(kept, macs)
	b.keepPlaces(next, r.Phones)
	if len(next.left) > 0 { // most of them have nothing to remember
		is := *next
		is.left = b.lanesLeft(nil)
		b.roster.Store(&is)
	}
	return c, removed
}

// removeMissing removes the doors that are not in next, and returns the phones that are not.
func (r *roster) removeMissing(next *roster) (phones []*phone) {
	for name, d := range r.doors {
		if next.doors[name] == nil {
			d.remove()
		}
	}
	for name, p := range r.phones {
		if next.phones[name] == nil {
			phones = append(phones, p)
		}
	}
	return phones
}

// setGroups sets the groups of r, whose names of phones are set already. A name that no phone has is left out.
func (r *roster) setGroups(groups map[string][]string) {
	for group, members := range groups {
		for _, m := range members {
			if r.phones[m] != nil && !slices.Contains(r.groups[group], m) {
				r.groups[group] = append(r.groups[group], m)
			}
		}
	}
	r.groups[All] = r.names
}

// lanesLeft returns the lanes of phones that are not configured any more, and of those that leave now, as far as the MAC
// address of the phone is known. The caller holds b.applying, or is New.
func (b *Bridge) lanesLeft(leaving map[string]string) (left []*lane) {
	for _, r := range b.retired {
		if r.mac != "" {
			left = append(left, b.lanes[r.address])
		}
	}
	for address, mac := range leaving {
		if mac != "" {
			left = append(left, b.lanes[address])
		}
	}
	return left
}

// retiredKept is how many lanes of phones that are not configured any more are kept.
const retiredKept = 1000

// laneFor returns the lane of a phone's address, a new one if need be. was is the phone of that name, or nil; kept are
// the addresses that are configured now. The caller holds b.applying, or is New.
func (b *Bridge) laneFor(cfg PhoneConfig, was *phone, kept map[string]bool) *lane {
	address := cfg.address()
	if l := b.lanes[address]; l != nil {
		return l
	}
	l := &lane{b: b, login: cfg.Login}
	b.lanes[address] = l
	if was == nil {
		l.dedup = &dedup{budget: &b.ids}
		return l
	}
	at := was.profile.Load()
	l.dedup = at.lane.dedup // the phone has moved: its ids with it
	l.before = at.lane
	if kept[at.address()] { // and another phone is where it was
		l.dedup, l.before = l.dedup.copyDone(), nil
	}
	return l
}

// A retiredLane is the lane of a phone that is not configured any more.
type retiredLane struct {
	address string
	mac     string // of the phone that was there; empty: not known
}

// leaving returns the MAC addresses, as far as they are known, of phones at addresses that are not configured any more.
func (r *roster) leaving(kept map[string]bool) map[string]string {
	macs := map[string]string{}
	for _, p := range r.phones {
		if address := p.profile.Load().address(); !kept[address] {
			p.state.mu.Lock()
			macs[address] = p.state.identity.mac
			p.state.mu.Unlock()
		}
	}
	return macs
}

// retireLanes keeps the lanes of addresses that are not configured any more for as long as they matter: a request is
// under way, the phone refused a login, or ids are remembered. kept are the addresses that are configured, macs those of
// the phones that leave. The caller holds b.applying, or is New.
func (b *Bridge) retireLanes(kept map[string]bool, macs map[string]string) {
	known := func(address string) bool {
		return kept[address] || slices.ContainsFunc(b.retired, func(r retiredLane) bool { return r.address == address })
	}
	b.retired = slices.DeleteFunc(b.retired, func(r retiredLane) bool { return kept[r.address] })
	for address := range macs {
		if !known(address) {
			b.retired = append(b.retired, retiredLane{address, macs[address]})
		}
	}
	now := time.Now()
	excess := len(b.retired) - retiredKept
	b.retired = slices.DeleteFunc(b.retired, func(r retiredLane) bool {
		running, matters := b.lanes[r.address].matters(now)
		if running || matters && excess <= 0 {
			return false
		}
		excess--
		delete(b.lanes, r.address)
		return true
	})
}

// identifyTimeout bounds how long a lane waits for requests at addresses of before. After a reload and another one, two
// lanes may wait for each other.
const identifyTimeout = time.Minute

// identify finds out, before the first job of the lane of a phone that is not known, whether the phone was configured at
// another address before: a request may be under way there, or its pause not over, or the id of the first command taken.
// It does so only while there is such a phone.
func (l *lane) identify(ctx context.Context) {
	l.mu.Lock()
	var p *phone
	if len(l.queue) > 0 {
		p = l.queue[0].phone()
	}
	l.mu.Unlock()
	left := l.b.roster.Load().left
	if p == nil || len(left) == 0 {
		return
	}
	p.state.mu.Lock()
	known := p.state.identity.probed || p.state.identity.mac != ""
	p.state.mu.Unlock()
	at := p.profile.Load()
	if known || at.lane != l || at.stop != "" {
		return
	}
	wanted, now := false, time.Now()
	l.mu.Lock()
	l.armExpiry() // what waits may expire meanwhile
	l.mu.Unlock()
	waiting, cancel := context.WithTimeout(ctx, identifyTimeout)
	defer cancel()
	for _, was := range left {
		running, matters := was.matters(now)
		if was == l || !running && !matters {
			continue
		}
		wanted = true
		was.wait(waiting)
	}
	if !wanted {
		return
	}
	info, err := pacedPhone{at, p}.probe(ctx)
	p.update(func(s *phoneState) { s.learn(info, err) })
}

// adopt hands over what belongs to the phone with this MAC address from a lane that it had at another address before:
// a request that is under way there is waited for.
func (p pacedPhone) adopt(ctx context.Context, mac string) {
	b, l := p.phone.b, p.lane
	var was *lane
	b.applying.Lock()
	for _, r := range b.retired {
		if mac != "" && r.mac == mac && b.lanes[r.address] != l {
			was = b.lanes[r.address]
		}
	}
	b.applying.Unlock()
	if was == nil {
		return
	}
	was.wait(context.WithoutCancel(ctx)) // a command that comes meanwhile ends the poll, and must not begin before that one ends
	was.mu.Lock()
	login, open, pace := was.login, was.breaker, was.pace
	was.mu.Unlock()
	l.mu.Lock()
	if login == l.login && open.until.After(l.breaker.until) {
		l.breaker = open
	}
	l.mu.Unlock()
	if pace.busyUntil.After(l.pace.busyUntil) {
		l.pace = pace
	}
	if was.dedup != l.dedup {
		l.dedup.merge(was.dedup)
	}
}

// matters reports whether the lane's goroutine runs, and whether there is anything to remember of the phone.
func (l *lane) matters(now time.Time) (running, matters bool) {
	l.dedup.sweep(now)
	l.dedup.mu.Lock()
	ids := len(l.dedup.order)
	l.dedup.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.laneWork != nil {
		return true, true // and the pauses are its goroutine's
	}
	return false, ids > 0 || l.breaker.open(now) || now.Before(l.pace.busyUntil)
}
