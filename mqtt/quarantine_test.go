package mqtt_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// A cutBroker is a broker in virtual time: a connection lives until it is cut, or until a message that kills it is sent.
type cutBroker struct {
	t      *testing.T
	o      *box
	now    time.Time
	kills  func(mqtt.Message) bool // the broker closes the connection on it
	got    map[string][]string     // payloads by topic
	losses int
	judged []mqtt.Verdict
}

// live runs one connection for d: messages are sent as they may be, and acknowledged after rtt.
func (b *cutBroker) live(d, rtt time.Duration, load func()) {
	type flying struct {
		seq int64
		m   mqtt.Message
		at  time.Time
	}
	var flight []flying
	began := b.now
	for b.now.Sub(began) < d {
		load()
		for {
			seq, m, ok := b.o.take(b.now, b.now.Sub(began) >= time.Second)
			if !ok {
				break
			}
			if b.kills != nil && b.kills(m) {
				b.lose()
				return
			}
			flight = append(flight, flying{seq, m, b.now})
		}
		for len(flight) > 0 && b.now.Sub(flight[0].at) >= rtt {
			f := flight[0]
			flight = flight[1:]
			b.got[f.m.Topic] = append(b.got[f.m.Topic], string(f.m.Payload))
			b.o.Done(f.seq)
		}
		b.now = b.now.Add(5 * time.Millisecond)
	}
	b.lose()
}

func (b *cutBroker) lose() {
	b.losses++
	if v := b.o.lose(b.now, true); v.Convicted || v.Deferred {
		b.judged = append(b.judged, v)
	}
}

// Connections that are cut again and again under load convict no topic: neither those that were accepted before nor
// those that never were, and whatever the time between two cuts.
func TestCutsConvictNoTopic(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 7))
		b := &cutBroker{t: t, o: newBox(1<<16, 32), now: at(0), got: map[string][]string{}}
		sent := 0
		load := func() {
			for range r.IntN(3) {
				topic := fmt.Sprintf("snom/p%d/result", sent%20)
				if seed%4 == 3 {
					topic = fmt.Sprintf("snom/p%d/result", sent) // each for the first time
				}
				b.o.Add(b.now, mqtt.Message{Topic: topic, Payload: fmt.Append(nil, sent)})
				sent++
			}
		}
		for range 120 {
			b.live(time.Duration(r.IntN(2500))*time.Millisecond, time.Duration(r.IntN(60))*time.Millisecond, load)
		}
		b.live(2*time.Minute, 5*time.Millisecond, func() {})
		if len(b.judged) > 0 || b.o.Drops().Total() > 0 {
			t.Errorf("seed %d: verdicts %+v, drops %+v, expected none", seed, b.judged, b.o.Drops())
		}
		arrived := map[string]bool{}
		for topic, all := range b.got {
			last := -1
			for _, p := range all {
				var n int
				if _, err := fmt.Sscan(p, &n); err != nil {
					t.Fatal(err)
				}
				if n > last+1<<20 || n < last && !arrived[p] {
					t.Fatalf("seed %d: %s: %d arrived after %d", seed, topic, n, last)
				}
				last = max(last, n)
				arrived[p] = true
			}
		}
		if len(arrived) != sent {
			t.Errorf("seed %d: %d of %d messages arrived", seed, len(arrived), sent)
		}
	}
}

// A message of ordinary size on a topic that was accepted before is never given up, however often the connection is
// lost just when it is sent; everything else goes on, and it arrives when that ends.
func TestAcceptedTopicIsNeverConvicted(t *testing.T) {
	t.Parallel()
	b := &cutBroker{t: t, o: newBox(1000, 32), now: at(0), got: map[string][]string{}}
	add(t, b.o, "snom/p6/result=0", "snom/p7/result=0")
	b.live(2*time.Second, 0, func() {})
	b.kills = func(m mqtt.Message) bool { return m.Topic == "snom/p6/result" }
	n := 0
	for range 20 {
		b.live(time.Minute, 0, func() {
			n++
			b.o.Add(b.now, message(fmt.Sprintf("snom/p7/result=%d", n)))
			if n%1000 == 1 {
				b.o.Add(b.now, message(fmt.Sprintf("snom/p6/result=%d", n)))
			}
		})
	}
	if got := len(b.got["snom/p7/result"]); got < n-100 {
		t.Errorf("%d of %d messages of the other topic arrived, expected all but the last few", got, n)
	}
	if d := b.o.Drops(); d.Total() != 0 {
		t.Errorf("drops %+v, expected none", d)
	}
	deferred := false
	for _, v := range b.judged {
		if v.Convicted {
			t.Errorf("verdict %+v, expected no conviction", v)
		}
		deferred = deferred || v.Deferred
	}
	if !deferred {
		t.Error("no verdict reports that the messages are deferred")
	}
	b.kills = nil
	b.live(20*time.Minute, 0, func() {})
	if got, want := len(b.got["snom/p6/result"]), (n+999)/1000+1; got != want {
		t.Errorf("%d messages of the topic arrived in the end, expected %d", got, want)
	}
}

// minimal is what the tests send in place of a result.
func minimal(m mqtt.Message) []byte {
	if !strings.HasSuffix(m.Topic, "/result") {
		return nil
	}
	return []byte("minimal")
}

// A message that the broker does not accept for its size is replaced by a minimal one; its topic goes on.
func TestConvictedResultIsReplaced(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 5000)
	tests := []struct {
		name    string
		before  bool // the topic was accepted before
		minimal bool // there is a minimal message
		allowed bool // the topic is
	}{
		{"too long, accepted before", true, true, true},
		{"too long, the first one", false, true, true},
		{"too long, no minimal one", true, false, true},
		{"forbidden topic", false, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			topic := "snom/kitchen/result"
			if !tt.minimal {
				topic = "snom/kitchen/event"
			}
			o := newBoxWith(mqtt.Limits{Messages: 100, Bytes: 1 << 20, RetainedBytes: 1 << 20, Window: 8}, minimal)
			b := &cutBroker{t: t, o: o, now: at(0), got: map[string][]string{}}
			if tt.before {
				add(t, o, topic+"=short")
				b.live(2*time.Second, 0, func() {})
			}
			losses := b.losses
			b.kills = func(m mqtt.Message) bool { return m.Topic == topic && (!tt.allowed || len(m.Payload) > 4096) }
			add(t, o, topic+"="+long, topic+"=after", topic+"="+long, "snom/hall/result=other")
			for range 8 {
				b.live(10*time.Second, 0, func() {})
			}
			var want []string
			switch {
			case !tt.allowed:
			case tt.minimal:
				want = []string{"minimal", "after", "minimal"}
			default:
				want = []string{"after"}
			}
			if tt.before {
				want = append([]string{"short"}, want...)
			}
			if got := fmt.Sprint(b.got[topic]); got != fmt.Sprint(want) {
				t.Errorf("arrived %s, expected %v", got, want)
			}
			if got := b.got["snom/hall/result"]; len(got) != 1 {
				t.Errorf("of the other topic arrived %v, expected one message", got)
			}
			if killed := b.losses - losses - 8; killed > 4 {
				t.Errorf("%d connections were lost in addition to those of the test", killed)
			}
			if !tt.allowed && o.Add(b.now, message(topic+"=1")) {
				t.Error("a message for a forbidden topic was taken")
			}
			if tt.allowed && !o.Add(b.now, message(topic+"=1")) {
				t.Error("a short message was not taken, expected only long ones to be refused")
			}
		})
	}
}

// One missing right concerns the topics of all phones alike, and must not cost three connections for each.
func TestTopicsThatAreAlikeAreConvictedTogether(t *testing.T) {
	t.Parallel()
	const phones = 500
	b := &cutBroker{t: t, o: newBox(1<<16, 32), now: at(0), got: map[string][]string{}}
	b.kills = func(m mqtt.Message) bool { return strings.HasPrefix(m.Topic, "homeassistant/") }
	for i := range phones {
		add(t, b.o, fmt.Sprintf("!homeassistant/device/phone%d/config={}", i), fmt.Sprintf("!snom/phone%d/status={}", i))
	}
	for range 60 {
		b.live(10*time.Second, 0, func() {})
	}
	if len(b.got) != phones {
		t.Errorf("%d topics arrived, expected the %d that are allowed", len(b.got), phones)
	}
	if got := b.o.Waiting(); got != 0 {
		t.Errorf("%d messages still wait, expected none", got)
	}
	last := b.judged[len(b.judged)-1]
	if !last.Class || len(b.judged) > 3 {
		t.Errorf("%d verdicts, the last one %+v, expected the second or third to concern all", len(b.judged), last)
	}
	if b.o.Add(b.now, message("!homeassistant/device/another/config={}")) && b.now.Before(last.Until) {
		t.Error("a message for another topic like them was taken")
	}
	if !b.o.Add(b.now, message("!homeassistant/status=online")) {
		t.Error("a message for a topic of another kind was not taken")
	}
}

// Where topics that are alike were accepted, one that is not is convicted alone.
func TestOneForbiddenTopicConvictsNoOthers(t *testing.T) {
	t.Parallel()
	b := &cutBroker{t: t, o: newBox(1000, 32), now: at(0), got: map[string][]string{}}
	b.kills = func(m mqtt.Message) bool { return m.Topic == "snom/a/status" || m.Topic == "snom/b/status" }
	for range 10 {
		b.live(10*time.Second, 0, func() {
			for _, phone := range []string{"a", "b", "c", "d"} {
				b.o.Add(b.now, message("!snom/"+phone+"/status="+fmt.Sprint(b.now.Unix())))
			}
		})
	}
	if len(b.got["snom/c/status"]) < 50 || len(b.got["snom/d/status"]) < 50 {
		t.Errorf("arrived: %d and %d, expected one a second or more", len(b.got["snom/c/status"]), len(b.got["snom/d/status"]))
	}
	for _, v := range b.judged {
		if v.Class {
			t.Errorf("verdict %+v, expected none for topics that are accepted", v)
		}
	}
}

// A full outbox drops messages that expire first, then the oldest of the others, and never takes more memory than it may.
func TestOutboxBoundsBytes(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	o := newBoxWith(mqtt.Limits{Messages: 1 << 16, Bytes: limit, RetainedBytes: limit, Window: 8}, nil)
	results := 0
	for i := range 20000 {
		now := at(0).Add(time.Duration(i) * time.Millisecond / 10)
		payload := bytes.Repeat([]byte{'x'}, i%1500)
		event := mqtt.Message{Topic: fmt.Sprintf("snom/p%d/event", i%10), Payload: payload, Expires: now.Add(10 * time.Second)}
		o.Add(now, event)
		if i%100 == 0 {
			if !o.Add(now, mqtt.Message{Topic: "snom/p0/result", Payload: fmt.Append(nil, results)}) {
				t.Error("a result was not taken")
			}
			results++
		}
		o.Add(now, mqtt.Message{Topic: fmt.Sprintf("snom/p%d/status", i), Payload: payload, Retained: true})
		if got := o.Bytes(); got > 2*limit {
			t.Fatalf("%d bytes wait, expected at most %d", got, 2*limit)
		}
	}
	if got := o.Waiting(); got < 1000 {
		t.Errorf("%d messages wait, expected the room to be used", got)
	}
	next := 0
	for {
		place, m, ok := o.take(at(2), true)
		if !ok {
			break
		}
		o.Done(place)
		if m.Topic == "snom/p0/result" {
			if string(m.Payload) != fmt.Sprint(next) {
				t.Fatalf("result %s, expected %d: events are dropped first", m.Payload, next)
			}
			next++
		}
	}
	if next != results {
		t.Errorf("%d of %d results are left, expected all: events are dropped first", next, results)
	}
	if got := o.Bytes(); got != 0 {
		t.Errorf("%d bytes in an empty outbox", got)
	}
	for i := range 20000 { // results alone
		o.Add(at(3), mqtt.Message{Topic: "snom/p0/result", Payload: make([]byte, i%1500)})
	}
	if got := o.Bytes(); got > limit || got < limit/2 {
		t.Errorf("%d bytes wait, expected about %d", got, limit)
	}
	if !o.Crowded() {
		t.Error("a full outbox is not crowded")
	}
}

// Whatever is replaced, lost, expired, isolated and acknowledged: the count of bytes is that of the messages.
func TestOutboxCountsBytes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(15) {
		r := rand.New(rand.NewPCG(seed, 3))
		o := newBoxWith(mqtt.Limits{Messages: 50, Bytes: 20000, RetainedBytes: 20000, Window: 4}, minimal)
		now := at(0)
		var flight []int64
		for range 3000 {
			now = now.Add(time.Duration(r.IntN(500)) * time.Millisecond)
			m := mqtt.Message{Topic: fmt.Sprintf("snom/p%d/result", r.IntN(5)), Payload: make([]byte, r.IntN(1500))}
			switch x := r.IntN(100); {
			case x < 25:
				o.Add(now, m)
			case x < 45:
				m.Topic, m.Retained = fmt.Sprintf("snom/p%d/status", r.IntN(5)), true
				o.Add(now, m)
			case x < 60:
				m.Topic, m.Expires = "snom/p0/event", now.Add(time.Second)
				o.Add(now, m)
			case x < 65:
				m.Retained = r.IntN(2) == 0
				o.AddEphemeral(now, m)
			case x < 85:
				if place, _, ok := o.take(now, r.IntN(2) == 0); ok {
					flight = append(flight, place)
				}
			case x < 95 && len(flight) > 0:
				o.Done(flight[0])
				flight = flight[1:]
			case x >= 95:
				o.lose(now, r.IntN(3) > 0)
				flight = nil
			}
			if got := o.Bytes(); got < 0 || got > 45000 || (got == 0) != (o.Waiting() == 0) {
				t.Fatalf("seed %d: %d bytes for %d messages", seed, got, o.Waiting())
			}
		}
		for range 2000 {
			now = now.Add(time.Minute)
			if place, _, ok := o.take(now, true); ok {
				o.Done(place)
			}
			for _, p := range flight {
				o.Done(p)
			}
		}
		if o.Bytes() != 0 || o.Waiting() != 0 {
			t.Errorf("seed %d: %d bytes for %d messages in the end, expected none", seed, o.Bytes(), o.Waiting())
		}
	}
}

// Late messages: an event is not published after its time, by whichever clock; a result is.
func TestOutboxDropsExpiredMessages(t *testing.T) {
	t.Parallel()
	o := newBox(100, 100)
	event := func(payload string, expires time.Time) mqtt.Message {
		return mqtt.Message{Topic: "snom/p/event", Payload: []byte(payload), Expires: expires}
	}
	o.Add(at(0), event("1", at(10)))
	o.Add(at(0), message("snom/p/result=1"))
	o.Add(at(5), event("2", at(15)))
	if o.Add(at(11), event("0", at(10))) {
		t.Error("an expired message was taken")
	}
	places := []int64{}
	for range 3 {
		if place, m, ok := o.take(at(11), true); ok {
			places = append(places, place)
			if text(m) == "snom/p/event=1" {
				t.Error("an expired event was handed out")
			}
		}
	}
	if len(places) != 2 {
		t.Errorf("%d messages were handed out, expected the result and the second event", len(places))
	}
	o.lose(at(12), false) // the event is sent again within its time, and not after it
	o.Add(at(20), event("3", at(30)))
	_, messages := func() (n int, all []string) {
		for {
			_, m, ok := o.take(at(20), true)
			if !ok {
				return n, all
			}
			all = append(all, text(m))
		}
	}()
	if got, want := strings.Join(messages, " "), "snom/p/result=1 snom/p/event=3"; got != want {
		t.Errorf("after the loss: %q, expected %q", got, want)
	}
	if got := o.Drops(); got.Expired != 3 {
		t.Errorf("drops %+v, expected 3 expired", got)
	}
	// The monotonic clock stands still while the machine sleeps, the wall clock does not.
	now := time.Now()
	o.Add(now, event("4", now.Add(10*time.Second)))
	if _, m, ok := o.take(now.Round(0).Add(time.Hour), true); ok {
		t.Errorf("after a sleep of an hour: %q, expected nothing", text(m))
	}
}

func TestOutboxRoom(t *testing.T) {
	t.Parallel()
	o := newBoxWith(mqtt.Limits{Messages: 100, Bytes: 100_000, RetainedBytes: 1000, Window: 10}, nil)
	for range 3 {
		room := o.Room(1000)
		if room < 10 || room > 100 {
			t.Fatalf("room for %d messages", room)
		}
		for range room / 5 {
			o.Add(at(0), mqtt.Message{Topic: "snom/p/event", Payload: make([]byte, 900), Expires: at(100)})
		}
		if got := o.Room(1000); got < room*2/3 {
			t.Errorf("room for %d messages in place of events, expected about %d", got, room)
		}
		o.take(at(1000), true) // all have expired
	}
	for range o.Room(1000) {
		o.Add(at(0), mqtt.Message{Topic: "snom/p/result", Payload: make([]byte, 1000)})
	}
	if got := o.Room(1000); got > 20 || o.Drops().Full != 0 {
		t.Errorf("room for %d more messages, %d dropped, expected little room and none dropped", got, o.Drops().Full)
	}
}
