package homeassistant

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// KeeperConfig is what a [Keeper] is made of.
type KeeperConfig struct {
	Bridge  Bridge
	Publish mqtt.Publisher
	// Phones returns what is known of every phone now, without IDs. It must not block.
	Phones func() []Phone
	// Renew publishes everything else that is retained, once more: Home Assistant has started. It must
	// not block.
	Renew func()
	Log   *slog.Logger
}

// A Keeper keeps our documents at the broker what they should be. Its methods are safe for concurrent use;
// those of a nil Keeper do nothing.
//
// It reads the documents that the broker keeps, so it knows after a restart what Home Assistant was told
// before, and publishes only what differs. After Home Assistant's birth message it publishes all of them
// again. Documents go out one after the other with a pause between two, never in a burst.
type Keeper struct {
	cfg  KeeperConfig
	wake chan struct{}

	mu     sync.Mutex
	shelf  shelf
	online bool
	first  time.Time            // when it was online first
	settle time.Time            // until then, what the broker keeps is still coming in
	due    time.Time            // when to compare; zero: when something changes
	renew  time.Time            // when to publish everything again; zero: not now
	seen   map[string]time.Time // since when a phone is known to be there, by name
}

// Times of a Keeper.
const (
	settleTime  = time.Second            // after a connection, for what the broker keeps to come in
	changeTime  = 500 * time.Millisecond // after a change: seldom does one come alone
	pace        = 50 * time.Millisecond  // between two documents
	nameTime    = 5 * time.Second        // for a phone that is there to tell its MAC; then its name must do
	healTime    = 3 * time.Second        // after somebody cleared a document of ours; Home Assistant does it many times in a row
	orphanTime  = 2 * time.Minute        // after the start, for a phone to prove what an old document is about
	renewLeast  = time.Second            // after Home Assistant's birth message
	renewSpread = 2 * time.Second        // at random on top, for other bridges do the same
)

// NewKeeper returns a Keeper that does nothing until [Keeper.Run].
func NewKeeper(cfg KeeperConfig) *Keeper {
	return &Keeper{
		cfg: cfg, wake: make(chan struct{}, 1), shelf: shelf{cfg.Bridge, map[string]kept{}}, seen: map[string]time.Time{},
	}
}

// Filters returns the topic filters whose messages [Keeper.Handle] wants.
func (k *Keeper) Filters() []string {
	if k == nil {
		return nil
	}
	return []string{k.cfg.Bridge.Status(), k.cfg.Bridge.Filter()}
}

// Handle takes one message, and reports whether it was for the Keeper. It never blocks.
func (k *Keeper) Handle(m mqtt.Message) bool {
	if k == nil {
		return false
	}
	b := k.cfg.Bridge
	if id, ok := b.id(m.Topic); ok {
		k.mu.Lock()
		defer k.mu.Unlock()
		if m.Retained {
			k.shelf.read(id, m.Payload)
		} else if k.shelf.hear(id, m.Payload) {
			k.dueIn(healTime)
			k.rouse()
		}
		return true
	}
	if m.Topic != b.Status() {
		return false
	}
	if string(m.Payload) == "online" && !m.Retained {
		k.mu.Lock()
		if k.renew.IsZero() {
			k.renew = time.Now().Add(renewLeast + rand.N(renewSpread))
		}
		k.mu.Unlock()
		k.rouse()
	}
	return true
}

// Online says that there is a connection that delivers.
func (k *Keeper) Online() {
	if k == nil {
		return
	}
	k.mu.Lock()
	k.online = true
	now := time.Now()
	if k.first.IsZero() {
		k.first = now
	}
	k.settle = now.Add(settleTime)
	k.due = k.settle
	k.mu.Unlock()
	k.rouse()
}

// Offline says that the connection is gone, and with it perhaps all that the broker kept.
func (k *Keeper) Offline() {
	if k == nil {
		return
	}
	k.mu.Lock()
	k.online = false
	k.shelf.forget()
	k.mu.Unlock()
}

// Changed says that something of what [KeeperConfig.Phones] returns may be another now. It never blocks.
func (k *Keeper) Changed() {
	if k == nil {
		return
	}
	k.mu.Lock()
	k.dueIn(changeTime)
	k.mu.Unlock()
	k.rouse()
}

// dueIn makes sure that there is a comparison after d at the latest. The caller holds the lock.
func (k *Keeper) dueIn(d time.Duration) {
	if at := time.Now().Add(d); k.due.IsZero() || at.Before(k.due) {
		k.due = at
	}
	if k.due.Before(k.settle) {
		k.due = k.settle
	}
}

func (k *Keeper) rouse() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Run works until ctx ends. The documents stay: what Home Assistant shows of a bridge that is away is that
// it is away.
func (k *Keeper) Run(ctx context.Context) error {
	if k == nil {
		return nil
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-k.wake:
		case <-timer.C:
		}
		next, all, ok := k.next()
		switch {
		case !ok:
			timer.Stop()
		case next > 0:
			timer.Reset(next)
		default:
			k.compare(ctx, all)
			timer.Reset(0)
		}
	}
}

// next says when there is something to do; all: everything is to be published.
func (k *Keeper) next() (in time.Duration, all, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := k.due
	if !k.renew.IsZero() && (at.IsZero() || !k.renew.After(at)) {
		at, all = k.renew, true
	}
	if at.Before(k.settle) {
		at = k.settle
	}
	return time.Until(at), all, k.online && (all || !k.due.IsZero())
}

// compare publishes what differs, or everything.
func (k *Keeper) compare(ctx context.Context, all bool) {
	phones := k.cfg.Phones()
	k.mu.Lock()
	k.due = time.Time{}
	if all {
		k.renew = time.Time{}
	}
	k.notice(phones)
	patience := orphanTime - time.Since(k.first)
	if patience > 0 {
		k.dueIn(patience)
	}
	todo, again := k.shelf.plan(phones, all, patience > 0, k.settled, time.Now())
	if again > 0 {
		k.dueIn(again)
	}
	k.mu.Unlock()
	for _, p := range todo {
		if !k.publish(p) {
			break
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pace):
		}
	}
	if all {
		k.cfg.Renew()
	}
}

// publish publishes one document, unless the connection is gone: then everything is compared again when it
// is back.
func (k *Keeper) publish(p publication) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.online {
		return false
	}
	if !k.cfg.Publish.Publish(p.message) {
		k.cfg.Log.Warn("discovery not published: the broker is away for too long", slog.String("topic", p.message.Topic))
		return true
	}
	k.shelf.sent(p)
	return true
}

// notice notes since when phones are there. One that is there and does not tell its MAC is due when it has
// had the time to. The caller holds the lock.
func (k *Keeper) notice(phones []Phone) {
	now := time.Now()
	before := k.seen
	k.seen = make(map[string]time.Time, len(phones))
	for _, p := range phones {
		since, known := before[p.Name]
		switch {
		case !known && !p.Seen:
			continue
		case !known:
			since = now
		}
		k.seen[p.Name] = since
		if left := nameTime - now.Sub(since); left > 0 && p.MAC == "" {
			k.dueIn(left)
		}
	}
}

// settled reports whether a phone has had the time to tell its MAC. The caller holds the lock.
func (k *Keeper) settled(p Phone) bool {
	since, ok := k.seen[p.Name]
	return ok && time.Since(since) >= nameTime
}
