package bridge

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// A claim is what is known of who serves one phone, where several bridges share a base topic. It
// is a value, moved by what is read on the phone's owner topic. It guards against a phone that
// stands in the settings of two bridges; it is no lock.
type claim struct {
	state     claimState
	holder    string // whose the phone is, when it is lost
	contested int    // claims of others since the last connection that this bridge answered with its own
}

type claimState int

const (
	claimOpen claimState = iota // no claim is known
	claimMade                   // this bridge's claim is published and not read back yet
	claimHeld                   // it is this bridge's
	claimLost                   // it is another bridge's
)

// maxContested is how often this bridge repeats its claim to a phone that another bridge claims too. After that the
// name that comes first keeps it: both sides count and compare alike, so one of them gives up.
const maxContested = 3

// online is the claim after c when a connection has been proven, and whether to publish this bridge's claim.
// What was lost stays lost until its claim is cleared: after a broker has lost its retained
// messages, the phone's owner may just not be back yet.
func (c claim) online(instance string) (claim, bool) {
	if instance == "" || c.state == claimLost {
		return c, false
	}
	return claim{state: claimMade}, true
}

// read is the claim after c when the owner topic says owner, and whether to publish this bridge's claim.
func (c claim) read(instance, owner string, retained bool) (claim, bool) {
	switch {
	case owner == "" && instance == "":
		return claim{}, false
	case owner == "":
		return claim{state: claimMade}, true
	case owner == instance && c.state == claimLost && !retained:
		return c, false // this bridge's own claim come back, which came second
	case owner == instance:
		return claim{state: claimHeld, contested: c.contested}, false
	case c.state == claimHeld && !retained && (c.contested < maxContested || instance < owner):
		c.contested++
		return c, true
	}
	return claim{state: claimLost, holder: owner}, false
}

// claims are all that is known of who serves which name.
type claims struct {
	instance string // this bridge's instance; empty: it claims nothing, and does not serve what others have claimed

	mu     sync.Mutex
	byName map[string]claim // guarded by mu
	lost   int              // how many of them are lost; guarded by mu

	mixed sync.Once // logs that the base topic is shared with bridges that have an instance
}

// move changes what is known of name. say publishes this bridge's claim; it is called in
// the order of the changes, so the last one published is the present one.
func (c *claims) move(name string, step func(claim) (claim, bool), say func()) (before, after claim) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byName == nil {
		c.byName = map[string]claim{}
	}
	before = c.byName[name]
	after, speak := step(before)
	c.put(name, after)
	if speak {
		say()
	}
	return before, after
}

func (c *claims) put(name string, now claim) {
	if c.byName[name].state == claimLost {
		c.lost--
	}
	if now.state == claimLost {
		c.lost++
	}
	if now == (claim{}) {
		delete(c.byName, name)
		return
	}
	c.byName[name] = now
}

// forget forgets name, and reports whether it was not another's.
func (c *claims) forget(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := c.byName[name].state != claimLost
	if c.byName != nil {
		c.put(name, claim{})
	}
	return kept
}

// taken reports whether name is another bridge's.
func (c *claims) taken(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lost > 0 && c.byName[name].state == claimLost
}

// own reports whether the phone called name is this bridge's as far as is known. While an instance's claim
// is open it is not: commands for the phone are taken, but another bridge may
// know more of it.
func (c *claims) own(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.byName[name].state
	return s == claimMade || s == claimHeld || s == claimOpen && c.instance == ""
}

// foreign are the names that other bridges hold, with the instance of each.
func (c *claims) foreign() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := map[string]string{}
	for name, one := range c.byName {
		if one.state == claimLost {
			m[name] = one.holder
		}
	}
	return m
}

// claim claims the phones called names, unless they are another's.
func (b *Bridge) claim(names ...string) {
	for _, name := range names {
		b.claims.move(name,
			func(c claim) (claim, bool) { return c.online(b.claims.instance) },
			func() { b.publishOwner(name, b.claims.instance) })
	}
}

// claimPause is how long after a subscription the broker may take to deliver what it had kept.
const claimPause = time.Second

// claimNew claims phones that a reload brought, once the broker has had time to say whose they are.
func (b *Bridge) claimNew(ctx context.Context, added []*phone) {
	if b.claims.instance == "" || len(added) == 0 {
		return
	}
	select {
	case <-time.After(claimPause):
	case <-ctx.Done():
		return
	}
	for _, p := range added {
		b.claim(p.name)
	}
}

// publishOwner publishes who serves a phone; empty: no bridge any more.
func (b *Bridge) publishOwner(name, owner string) {
	b.publish(mqtt.Message{Topic: b.cfg.Tree.Owner(name), Payload: []byte(owner), Retained: true})
}

// claimed takes what was said about who serves name.
func (b *Bridge) claimed(name string, m mqtt.Message) {
	owner := string(m.Payload)
	if owner != "" && mqtt.ValidName(owner) != nil {
		b.limit.Log(slog.LevelDebug, "owner", "owner ignored: it is not the name of an instance", slog.String("topic", m.Topic), slog.String("from", owner))
		return
	}
	r := b.roster.Load()
	p, group := r.phones[name], r.groups[name] != nil
	if p == nil && !group {
		if b.claims.instance == "" && owner != "" {
			b.claims.mixed.Do(func() {
				b.cfg.Log.Warn("other bridges on this base topic have an INSTANCE: give this one an INSTANCE too", slog.String("topic", m.Topic), slog.String("from", owner))
			})
		}
		return
	}
	before, after := b.claims.move(name,
		func(c claim) (claim, bool) {
			if p == nil && (owner == b.claims.instance || owner == "") { // groups are not claimed
				return claim{}, false
			}
			return c.read(b.claims.instance, owner, m.Retained)
		},
		func() { b.publishOwner(name, b.claims.instance) })
	switch {
	case after.state == claimLost && before.holder != after.holder && group:
		b.logClaim(slog.LevelError, name, owner, "a group has the name of another bridge's phone: it is not served; rename one of the two")
	case after.state == claimLost && before.holder != after.holder:
		b.logClaim(slog.LevelError, name, owner, "another bridge has claimed this phone: it is not served; remove it from the settings of one of the two, "+
			"or clear the claim by an empty retained message on this topic, if that bridge is gone for good")
	case after.contested > before.contested && after.contested <= maxContested:
		b.logClaim(slog.LevelError, name, owner, "another bridge claims a phone of this one: remove it from the settings of one of the two")
	case before.state == claimLost && after.state != claimLost && p != nil:
		b.logClaim(slog.LevelInfo, name, owner, "this bridge serves the phone again")
		p.republish()
		p.pollIn(0)
	}
	if (before.state == claimLost) != (after.state == claimLost) {
		b.publishInfo(heartbeat{})
		if b.cfg.OnChange != nil {
			b.cfg.OnChange()
		}
	}
}

// logClaim logs a change of who serves the phone called name, at most once a minute for each phone and kind.
func (b *Bridge) logClaim(level slog.Level, name, owner, text string) {
	b.limit.Log(level, text+name, text, slog.String("phone", name), slog.String("topic", b.cfg.Tree.Owner(name)), slog.String("from", owner))
}

// publishesFor reports whether this bridge publishes the state of the phone called name.
func (b *Bridge) publishesFor(name string) bool { return b.claims.own(name) && !b.standby.active() }

// served returns those of names that no other bridge has claimed.
func (b *Bridge) served(names []string) []string {
	b.claims.mu.Lock()
	defer b.claims.mu.Unlock()
	if b.claims.lost == 0 {
		return names
	}
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return b.claims.byName[n].state == claimLost })
}
