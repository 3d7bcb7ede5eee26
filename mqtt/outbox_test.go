package mqtt_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

func at(seconds int) time.Time { return time.Unix(int64(seconds), 0) }

// A box is an outbox with a connection.
type box struct {
	*mqtt.Outbox
	connection int
}

// newBox returns an empty outbox for this many messages, waiting and in flight.
func newBox(messages, window int) *box {
	return newBoxWith(mqtt.Limits{Messages: messages, Bytes: 64 << 20, RetainedBytes: 64 << 20, Window: window}, nil)
}

func newBoxWith(l mqtt.Limits, minimal func(mqtt.Message) []byte) *box {
	b := &box{Outbox: mqtt.NewOutbox(l, minimal, nil)}
	b.connection = b.Connected()
	return b
}

func (b *box) take(now time.Time, stable bool) (int64, mqtt.Message, bool) {
	e, ok := b.Take(b.connection, now, stable)
	return e.Seq, e.Message, ok
}

// lose loses the connection and makes another one.
func (b *box) lose(now time.Time, blame bool) mqtt.Verdict {
	v := b.Lost(b.connection, now, blame)
	b.connection = b.Connected()
	return v
}

// add puts messages into o, written as topic=payload, with a ! in front when retained.
func add(tb testing.TB, o *box, messages ...string) {
	tb.Helper()
	for _, m := range messages {
		if !o.Add(at(0), message(m)) {
			tb.Fatalf("Add(%q) = false, expected true", m)
		}
	}
}

func message(text string) mqtt.Message {
	rest, retained := strings.CutPrefix(text, "!")
	topic, payload, _ := strings.Cut(rest, "=")
	return mqtt.Message{Topic: topic, Payload: []byte(payload), Retained: retained}
}

func text(m mqtt.Message) string {
	t := m.Topic + "=" + string(m.Payload)
	if m.Retained {
		t = "!" + t
	}
	return t
}

// take takes all that can be taken, without acknowledging any of it.
func take(o *box) (places []int64, messages string) {
	var all []string
	for {
		place, m, ok := o.take(at(0), true)
		if !ok {
			return places, strings.Join(all, " ")
		}
		places = append(places, place)
		all = append(all, text(m))
	}
}

func done(o *box, places []int64) {
	for _, p := range places {
		o.Done(p)
	}
}

func wantTaken(tb testing.TB, o *box, want string) (places []int64) {
	tb.Helper()
	places, got := take(o)
	if got != want {
		tb.Fatalf("taken %q, expected %q", got, want)
	}
	return places
}

func TestOutboxKeepsOrder(t *testing.T) {
	t.Parallel()
	o := newBox(10, 10)
	add(t, o, "a=1", "!s=1", "b=1", "!r=1", "a=2")
	wantTaken(t, o, "a=1 !s=1 b=1 !r=1 a=2")
}

func TestOutboxNewestStateWins(t *testing.T) {
	t.Parallel()
	o := newBox(10, 10)
	add(t, o, "!s=1", "a=1", "!s=2", "!s=3", "a=1")
	places := wantTaken(t, o, "!s=3 a=1 a=1")
	add(t, o, "!s=4") // after the one in flight
	places = append(places, wantTaken(t, o, "!s=4")...)
	done(o, places)
	if got := o.Waiting(); got != 0 {
		t.Errorf("Waiting() = %d, expected 0", got)
	}
}

func TestOutboxBounds(t *testing.T) {
	t.Parallel()
	o := newBox(3, 10)
	add(t, o, "!s=1", "a=1", "a=2", "!r=1", "a=3", "a=4", "a=5")
	if got, want := o.Drops().Total(), 2; got != want {
		t.Errorf("Dropped() = %d, expected %d", got, want)
	}
	wantTaken(t, o, "!s=1 !r=1 a=3 a=4 a=5")
}

func TestOutboxBoundsRetained(t *testing.T) {
	t.Parallel()
	o := newBox(1, 1)
	for i := range mqtt.MaxRetained {
		add(t, o, fmt.Sprintf("!%d=1", i))
	}
	if o.Add(at(0), message("!one-more=1")) {
		t.Error("one retained message more than there is room for was taken")
	}
	add(t, o, "!7=2", "a=1")
	if got, want := o.Drops().Total(), 1; got != want {
		t.Errorf("Dropped() = %d, expected %d", got, want)
	}
}

func TestOutboxWindow(t *testing.T) {
	t.Parallel()
	o := newBox(10, 2)
	add(t, o, "a=1", "a=2", "a=3", "a=4")
	places := wantTaken(t, o, "a=1 a=2")
	if got, want := o.Done(places[0]), (mqtt.Left{Waiting: 2, InFlight: 1}); got != want {
		t.Errorf("Done() = %+v, expected %+v", got, want)
	}
	o.Done(places[0]) // a second time changes nothing
	wantTaken(t, o, "a=3")
}

func TestOutboxSendsAgain(t *testing.T) {
	t.Parallel()
	o := newBox(10, 4)
	add(t, o, "a=1", "!s=1", "b=2", "!r=1", "c=3")
	places := wantTaken(t, o, "a=1 !s=1 b=2 !r=1")
	o.Done(places[0])
	add(t, o, "!s=2", "d=4")
	if v := o.lose(at(1), false); v.Convicted {
		t.Errorf("gave up %q, expected nothing", text(v.Message))
	}
	wantTaken(t, o, "b=2 !r=1 c=3 !s=2") // the old state of s is of no use any more
}

func TestOutboxForgetsWhatIsForOneConnection(t *testing.T) {
	t.Parallel()
	o := newBox(10, 3)
	add(t, o, "a=1", "a=2")
	for _, m := range []string{"ping=0", "!state=online", "ping=1", "pong=2"} {
		if !o.AddEphemeral(at(0), message(m)) {
			t.Errorf("AddEphemeral(%q) = false, expected true", m)
		}
	}
	places := wantTaken(t, o, "ping=1 !state=online pong=2")
	o.AddEphemeral(at(0), message("ping=3"))
	o.Done(places[0])
	o.lose(at(1), false)
	wantTaken(t, o, "a=1 a=2")
}

// The broker closes the connection on one message whenever it is sent. All others arrive, in order, and its topic is put
// in quarantine.
func TestOutboxFindsPoison(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, poison string }{
		{"result", "bad=1"},
		{"state", "!bad=1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := newBox(100, 8)
			for i := range 10 {
				add(t, o, fmt.Sprintf("a=%d", i), fmt.Sprintf("!b%d=1", i))
				if i == 4 {
					add(t, o, tt.poison, strings.Replace(tt.poison, "1", "2", 1))
				}
			}
			arrived, lost := send(t, o, at(0), "bad")
			if want := "a=0 !b0=1 a=1 !b1=1 a=2 !b2=1 a=3 !b3=1 a=4 !b4=1 a=5 !b5=1 a=6 !b6=1 a=7 !b7=1 a=8 !b8=1 a=9 !b9=1"; arrived != want {
				t.Errorf("arrived %q, expected %q", arrived, want)
			}
			if lost != 3 {
				t.Errorf("cost %d connections, expected 3", lost)
			}
			if o.Add(at(59), message(tt.poison)) {
				t.Error("taken within a minute")
			}
			if !o.Add(at(90), message(tt.poison)) {
				t.Error("not taken after a minute")
			}
			if _, lost := send(t, o, at(90), "bad"); lost != 1 {
				t.Errorf("the second time it cost %d connections, expected 1", lost)
			}
			if o.AddEphemeral(at(90+119), message(tt.poison)) {
				t.Error("taken within two minutes of the second time")
			}
			now := 90 + 130
			for range 10 { // four minutes, eight, … an hour
				if !o.Add(at(now), message(tt.poison)) {
					t.Fatal("not taken after an hour")
				}
				send(t, o, at(now), "bad")
				now += 3660 // a message is sent some seconds later
			}
			add(t, o, "c=1")
			if arrived, lost := send(t, o, at(now), "bad"); arrived != "c=1" || lost != 0 {
				t.Errorf("arrived %q after %d lost connections, expected c=1 after none", arrived, lost)
			}
		})
	}
}

// nextTry is the time after which a message in quarantine is sent again, at most.
const nextTry = 4 * time.Second

// send sends all there is, over connections that are lost, with what is in flight, when a message for bad is sent.
// A message that is sent before it on the same connection has arrived.
func send(tb testing.TB, o *box, now time.Time, bad string) (arrived string, lost int) {
	tb.Helper()
	var all []string
	for range 100 {
		place, m, ok := o.take(now, true)
		var flight []int64
		poisoned := false
		for ; ok; place, m, ok = o.take(now, true) {
			flight = append(flight, place)
			poisoned = poisoned || m.Topic == bad
			if !poisoned {
				all = append(all, text(m))
				o.Done(place)
			}
		}
		if len(flight) == 0 && o.Waiting() == 0 {
			return strings.Join(all, " "), lost
		}
		now = now.Add(nextTry)
		if poisoned {
			lost++
			o.lose(now, true)
		}
	}
	tb.Fatal("blocked")
	return "", 0
}

// A broker that did not answer in time is no reason to isolate a topic.
func TestOutboxBlamesNoTopicForTimeouts(t *testing.T) {
	t.Parallel()
	o := newBox(10, 10)
	add(t, o, "a=1", "b=1")
	for range 10 {
		wantTaken(t, o, "a=1 b=1")
		if v := o.lose(at(0), false); v.Convicted || v.Deferred || v.Alone {
			t.Fatalf("verdict %+v, expected none", v)
		}
	}
}

func TestOutboxIsolatedTopicsTravelAlone(t *testing.T) {
	t.Parallel()
	o := newBox(10, 10)
	add(t, o, "a=1", "a=2", "b=1", "c=1")
	wantTaken(t, o, "a=1 a=2 b=1 c=1")
	o.lose(at(0), true)
	add(t, o, "d=1")
	if place, m, ok := o.take(at(0), false); !ok || text(m) != "d=1" {
		t.Errorf("taken %q, expected d=1, which is not isolated", text(m))
	} else {
		o.Done(place)
	}
	if _, m, ok := o.take(at(0), false); ok {
		t.Errorf("taken on a young connection: %q", text(m))
	}
	done(o, wantTaken(t, o, "a=1"))
	done(o, wantTaken(t, o, "b=1"))
	done(o, wantTaken(t, o, "c=1"))
	add(t, o, "a=3", "b=2")
	wantTaken(t, o, "a=2 a=3 b=2") // none is isolated any more
}

// Whatever happens, what is not retained arrives in order, and of what is retained the last state arrives.
func TestOutboxOrderUnderLoss(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		o := newBox(1000, 1+r.IntN(8))
		next, last := 0, -1
		state, seen := 0, 0
		var flight []int64
		var carried []mqtt.Message
		step := func(x int) {
			switch {
			case x < 40:
				o.Add(at(0), message(fmt.Sprintf("a=%d", next)))
				next++
			case x < 55:
				state++
				o.Add(at(0), message(fmt.Sprintf("!s=%d", state)))
			case x < 80:
				if place, m, ok := o.take(at(0), true); ok {
					flight, carried = append(flight, place), append(carried, m)
				}
			case x < 95 && len(flight) > 0:
				var n int
				if _, err := fmt.Sscan(string(carried[0].Payload), &n); err != nil {
					t.Fatal(err)
				}
				if carried[0].Retained {
					seen = n
				} else if n != last+1 {
					t.Fatalf("seed %d: a=%d arrived after a=%d", seed, n, last)
				} else {
					last = n
				}
				o.Done(flight[0])
				flight, carried = flight[1:], carried[1:]
			case x >= 95:
				o.lose(at(0), x == 95 && len(flight) > 1)
				flight, carried = nil, nil
			}
		}
		for range 2000 {
			step(r.IntN(100))
		}
		for o.Waiting() > 0 {
			step(60)
			step(90)
		}
		if last != next-1 || seen != state {
			t.Errorf("seed %d: last a=%d s=%d, expected a=%d s=%d", seed, last, seen, next-1, state)
		}
	}
}

func TestOutboxIsCrowdedFromHalfItsLimit(t *testing.T) {
	t.Parallel()
	o := newBox(10, 4)
	now := time.Now()
	for i := range 8 {
		o.Add(now, mqtt.Message{Topic: "snom/kitchen/result"})
		o.Add(now, mqtt.Message{Topic: fmt.Sprintf("snom/%d/status", i), Retained: true})
		if got, want := o.Crowded(), i+1 > 5; got != want {
			t.Errorf("crowded with %d that are not retained: %t, expected %t", i+1, got, want)
		}
	}
}
