package bridge

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/mqtt/mqtttest"
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
	all := &dedup{budget: &idBudget{}}
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
	if len(all.order) != 0 || len(all.byID) != 0 || all.bytes != 0 || all.budget.bytes.Load() != 0 {
		t.Errorf("%d ids are remembered after their time, in %d bytes", len(all.order), all.bytes)
	}
}

// What is remembered of ids is bounded in bytes, for each phone and for all of them.
func TestIDsAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	const phones = 100
	budget := &idBudget{}
	budget.phones.Store(phones)
	now := time.Now()
	long := &Result{Message: strings.Repeat("m", 4<<10), Argument: strings.Repeat("a", 3<<10)}
	for i := range phones {
		all := &dedup{budget: budget}
		for n := range 2 * idsKept {
			c := &command{id: fmt.Sprint(i, "-", n), received: now}
			if all.take(c) == nil {
				c.taken.settle(long, false)
			}
		}
		all.forget(now)
		if all.bytes > idsBytes {
			t.Fatalf("phone %d remembers %d bytes, expected at most %d", i, all.bytes, idsBytes)
		}
	}
	if n := budget.bytes.Load(); n > 2*idsTotal+phones*16<<10 {
		t.Errorf("all phones remember %d bytes, expected about %d at most", n, 2*idsTotal)
	}
}

// Phones that come and go leave a bounded number of lanes, also where each refused a login.
func TestRetiredPhonesAreBounded(t *testing.T) {
	t.Parallel()
	tree, err := mqtt.NewTree("snom", "")
	if err != nil {
		t.Fatal(err)
	}
	b := New(Config{Tree: tree, Publish: &mqtttest.Recorder{}, Log: slog.New(slog.DiscardHandler)}, Roster{})
	for i := range 2 * retiredKept {
		address := fmt.Sprint("http://", i)
		if _, err := b.Apply(Roster{Phones: []PhoneConfig{{Name: "desk", URL: address, Fingerprint: address}}}); err != nil {
			t.Fatal(err)
		}
		b.lanes[address].breaker = breaker{until: time.Now().Add(time.Hour), failures: 1}
	}
	if n := len(b.lanes); n > retiredKept+1 || len(b.retired) > retiredKept {
		t.Errorf("%d lanes, %d of them retired, expected at most %d", n, len(b.retired), retiredKept)
	}
}

// Retained commands on many long topics are remembered in a bounded number of bytes.
func TestRetainedTopicsAreBounded(t *testing.T) {
	t.Parallel()
	tree, err := mqtt.NewTree("snom", "")
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	b := New(Config{Tree: tree, Publish: &mqtttest.Recorder{}, Log: slog.New(slog.NewTextHandler(&log, nil))}, Roster{Phones: []PhoneConfig{{Name: "desk"}}})
	for i := range 2 * retainedLogged {
		m := mqtt.Message{Topic: fmt.Sprintf("snom/desk/%04d%s", i, strings.Repeat("x", 60_000)), Retained: true}
		b.Handle(tree.Read(m.Topic), m)
	}
	bytes := 0
	b.logged.Range(func(topic, _ any) bool { bytes += len(topic.(string)); return true })
	if bytes > retainedLogged*(maxShown+8) || log.Len() > 1<<20 {
		t.Errorf("%d bytes of topics are remembered, and %d were logged", bytes, log.Len())
	}
}
