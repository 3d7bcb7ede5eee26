package bridge

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// remember has all take an id, and ends its command unless it waits.
func remember(all *dedup, id string, now time.Time, waits bool) *command {
	c := &command{id: id, received: now}
	if all.take(c) == nil && !waits {
		c.taken.settle(&Result{}, false)
	}
	return c
}

func TestIDsForget(t *testing.T) {
	t.Parallel()
	all := &dedup{total: &atomic.Int64{}, share: func() int64 { return 0 }}
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	waiting := remember(all, "waits", now, true)
	for i := range idsKept + 10 {
		remember(all, strings.Repeat("x", i%64+1)+strings.Repeat("y", i/64), now, false)
	}
	if all.get("waits") == nil || len(all.order) > idsKept {
		t.Errorf("%d ids are remembered, with the oldest still waiting: expected that one, and %d in all", len(all.order), idsKept)
	}
	waiting.taken.settle(&Result{}, false)
	for i := range idsKept {
		remember(all, strings.Repeat("z", i%64+1)+strings.Repeat("y", i/64), now, false)
	}
	if all.get("waits") != nil || len(all.order) != idsKept || len(all.byID) != idsKept {
		t.Errorf("%d and %d ids are remembered, expected %d", len(all.order), len(all.byID), idsKept)
	}
	all.sweep(now.Add(idsKeptFor))
	if len(all.order) != idsKept {
		t.Error("ids are forgotten before their time")
	}
	all.sweep(now.Add(idsKeptFor + 1))
	if len(all.order) != 0 || len(all.byID) != 0 || all.bytes != 0 || all.total.Load() != 0 {
		t.Errorf("%d ids are remembered after their time, in %d bytes", len(all.order), all.bytes)
	}
}
