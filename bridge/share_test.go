package bridge_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// A sharedBroker is a broker between several bridges on one base topic: it keeps
// retained messages, and delivers to all, in one order, what each has subscribed to.
type sharedBroker struct {
	t *testing.T

	mu        sync.Mutex
	retained  map[string]mqtt.Message
	said      []mqtt.Message // all that was published
	harnesses []*harness
	post      chan mqtt.Message
}

func newSharedBroker(t *testing.T) *sharedBroker {
	t.Helper()
	s := &sharedBroker{t: t, retained: map[string]mqtt.Message{}, post: make(chan mqtt.Message, 10_000)}
	var delivering sync.WaitGroup
	delivering.Go(func() {
		for m := range s.post {
			s.deliver(m)
		}
	})
	t.Cleanup(func() { // after the harnesses
		close(s.post)
		delivering.Wait()
	})
	return s
}

// Publish takes a message of a bridge or of the test.
func (s *sharedBroker) Publish(m mqtt.Message) bool {
	s.post <- m
	return true
}

func (s *sharedBroker) deliver(m mqtt.Message) {
	s.mu.Lock()
	s.said = append(s.said, m)
	if m.Retained && len(m.Payload) > 0 {
		s.retained[m.Topic] = m
	} else if m.Retained {
		delete(s.retained, m.Topic)
	}
	m.Retained = false
	harnesses := slices.Clone(s.harnesses)
	s.mu.Unlock()
	for _, h := range harnesses {
		if subscribed(h, m.Topic) {
			handle(h.bridge, h.tree, m)
		}
	}
}

// subscribed reports whether a filter of the bridge matches topic.
func subscribed(h *harness, topic string) bool {
	return slices.ContainsFunc(h.tree.Subscriptions(h.bridge.Names()), func(s mqtt.Subscription) bool {
		parent := strings.TrimSuffix(s.Filter, "/#")
		return topic == parent || strings.HasPrefix(topic, parent+"/")
	})
}

// connect is what a session does: what was kept is delivered, then it is proven.
func (s *sharedBroker) connect(h *harness) {
	s.t.Helper()
	s.mu.Lock()
	for _, topic := range slices.Sorted(maps.Keys(s.retained)) {
		if subscribed(h, topic) {
			handle(h.bridge, h.tree, s.retained[topic])
		}
	}
	s.harnesses = append(s.harnesses, h)
	s.mu.Unlock()
	h.bridge.Republish()
	s.settle()
}

// leave is the end of a connection.
func (s *sharedBroker) leave(h *harness) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.harnesses = slices.DeleteFunc(s.harnesses, func(other *harness) bool { return other == h })
}

// settle lets what was published arrive, and what that causes.
func (s *sharedBroker) settle() {
	time.Sleep(500 * time.Millisecond)
	synctest.Wait()
}

// build adds a bridge with these phones, and does not connect it.
func (s *sharedBroker) build(instance, process string, groups map[string][]string, phones ...string) *harness {
	s.t.Helper()
	var all []testPhone
	for _, name := range phones {
		all = append(all, testPhone{phone: snomtest.Config{Name: name, Model: "D735"}})
	}
	return newHarness(s.t, bridge.Config{Tree: mqtt.Tree{Instance: instance}, Publish: s, Process: process}, all, groups)
}

// results are the results of commands with this id, by the name that answered.
func (s *sharedBroker) results(id string) map[string][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string][]string{}
	for _, m := range s.said {
		var r struct {
			ID, Phone, Group, Instance string
			Code                       bridge.Code
		}
		if strings.HasSuffix(m.Topic, "/result") && json.Unmarshal(m.Payload, &r) == nil && r.ID == id {
			name := r.Phone
			if r.Group != "" {
				name = r.Group + " of " + r.Instance
			}
			all[name] = append(all[name], string(r.Code))
		}
	}
	return all
}

// last is what was said last on topic.
func (s *sharedBroker) last(topic string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range slices.Backward(s.said) {
		if m.Topic == topic {
			return string(m.Payload)
		}
	}
	return ""
}

func (s *sharedBroker) kept(topic string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.retained[topic].Payload)
}

func (s *sharedBroker) say(topic, payload string) {
	s.t.Helper()
	s.Publish(mqtt.Message{Topic: topic, Payload: []byte(payload)})
	s.settle()
}

func TestAPhoneIsServedByOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSharedBroker(t)
		west := s.build("west", "w", nil, "kitchen", "hall")
		s.connect(west)
		east := s.build("east", "e", map[string][]string{"up": {"attic", "hall"}, "wrong": {"hall"}, "kitchen": {"attic"}}, "attic", "hall")
		s.connect(east)
		for name, owner := range map[string]string{"kitchen": "west", "hall": "west", "attic": "east"} {
			if got := s.kept("snom/" + name + "/owner"); got != owner {
				t.Errorf("%s is owned by %q, expected %q", name, got, owner)
			}
		}
		want := map[string]string{"hall": "west", "kitchen": "west"}
		if got := s.foreign(east); !maps.Equal(got, want) {
			t.Errorf("foreign %v, expected %v", got, want)
		}
		var info bridge.Info
		if err := json.Unmarshal([]byte(s.kept("snom/bridge/east/info")), &info); err != nil || !maps.Equal(info.Foreign, want) {
			t.Errorf("info %+v, %v", info, err)
		}
		for _, says := range []string{"another bridge has claimed this phone", "a group has the name of another bridge"} {
			if n := strings.Count(east.log.String(), says); n != 1 {
				t.Errorf("%q was logged %d times, expected once", says, n)
			}
		}
		if got := len(east.bridge.Snapshot()); got != 1 {
			t.Errorf("a snapshot of %d phones, expected 1", got)
		}
		for _, tt := range []struct {
			topic string
			want  map[string][]string
		}{
			{"snom/kitchen/key", map[string][]string{"kitchen": {"ok"}}},
			{"snom/hall/key", map[string][]string{"hall": {"ok"}}},
			{"snom/attic/key", map[string][]string{"attic": {"ok"}}},
			{"snom/up/key", map[string][]string{"attic": {"ok"}, "up of east": {"ok"}}},
			{"snom/wrong/key", map[string][]string{"wrong of east": {"forbidden"}}},
			{"snom/all/key", map[string][]string{
				"kitchen": {"ok"}, "hall": {"ok"}, "attic": {"ok"}, "all of west": {"ok"}, "all of east": {"ok"}}},
		} {
			s.say(tt.topic, `{"id":"`+tt.topic+`","keys":"P1"}`)
			if got := s.results(tt.topic); !maps.EqualFunc(got, tt.want, slices.Equal) {
				t.Errorf("%s: %v, expected %v", tt.topic, got, tt.want)
			}
		}
		for _, action := range []string{"probe", "install"} {
			before := len(east.phones["hall"].Requests())
			s.say("snom/bridge/east/request/"+action, "hall")
			var r bridge.Response
			if err := json.Unmarshal([]byte(s.last("snom/bridge/east/response/"+action)), &r); err != nil || r.Code != bridge.Forbidden {
				t.Errorf("%s of another's phone: %+v, %v, expected forbidden", action, r, err)
			}
			if n := len(east.phones["hall"].Requests()); n != before {
				t.Errorf("%s of another's phone: %d requests, expected none", action, n-before)
			}
		}
		if got := len(west.pressed("hall")) + len(east.pressed("hall")); got != 2 { // its own, and that for all
			t.Errorf("the hall was pressed %d times, expected 2", got)
		}

		// West is gone for good, and its claims are cleared: by the operator.
		s.leave(west)
		west.stop()
		s.Publish(mqtt.Message{Topic: "snom/hall/owner", Retained: true})
		s.Publish(mqtt.Message{Topic: "snom/kitchen/owner", Retained: true})
		s.settle()
		if got := s.kept("snom/hall/owner"); got != "east" {
			t.Errorf("the hall is owned by %q, expected east", got)
		}
		if got := s.foreign(east); len(got) != 0 {
			t.Errorf("foreign %v, expected none", got)
		}
		time.Sleep(time.Minute)
		if s.kept("snom/hall/availability") != "online" {
			t.Error("nothing is told of the hall")
		}
		s.say("snom/hall/key", `{"id":"now","keys":"P1"}`)
		if got := s.results("now")["hall"]; !slices.Equal(got, []string{"ok"}) {
			t.Errorf("the hall answered %v, expected ok", got)
		}
		east.stop()
	})
}

// TestABridgeWithoutInstanceGivesWay: a bridge without an instance claims nothing, and leaves alone what
// others have claimed.
func TestABridgeWithoutInstanceGivesWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSharedBroker(t)
		plain := s.build("", "p", nil, "kitchen", "hall")
		s.connect(plain)
		if got := s.kept("snom/hall/owner"); got != "" {
			t.Errorf("the hall is owned by %q, expected no owner", got)
		}
		west := s.build("west", "w", nil, "hall", "attic")
		s.connect(west)
		s.say("snom/hall/key", `{"id":"1","keys":"P1"}`)
		if got := s.results("1")["hall"]; !slices.Equal(got, []string{"ok"}) {
			t.Errorf("the hall answered %v, expected one ok", got)
		}
		if n := strings.Count(plain.log.String(), "give this one an INSTANCE too"); n != 1 {
			t.Errorf("told %d times that the base topic is shared, expected once", n)
		}
		s.say("snom/hall/owner", "Not An Instance")
		s.say("snom/kitchen/owner", "Not An Instance")
		s.say("snom/kitchen/key", `{"id":"2","keys":"P1"}`)
		if got := s.results("2")["kitchen"]; !slices.Equal(got, []string{"ok"}) {
			t.Errorf("the kitchen answered %v, expected ok", got)
		}
		plain.stop()
		west.stop()
	})
}

// TestAClaimEndsWithTheSettings: a reload that removes a phone withdraws its claim, and one that
// brings a phone asks first.
func TestAClaimEndsWithTheSettings(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSharedBroker(t)
		west := s.build("west", "w", nil, "hall", "kitchen")
		s.connect(west)
		east := s.build("east", "e", nil, "attic")
		s.connect(east)
		hall := testPhone{phone: snomtest.Config{Name: "hall", Model: "D735"}}
		attic := testPhone{phone: snomtest.Config{Name: "attic", Model: "D735"}}
		move := func(h *harness, all ...testPhone) {
			t.Helper()
			var r bridge.Roster
			for _, one := range all {
				r.Phones = append(r.Phones, h.addPhone(one))
			}
			h.roster = r
			if err := h.reload(t.Context()); err != nil {
				t.Error(err)
			}
			s.settle()
		}
		// Both have it: it stays where it was.
		before := len(s.messages("snom/hall/availability"))
		go func() { // what a broker delivers to a new subscription comes while the reload waits
			time.Sleep(100 * time.Millisecond)
			handle(east.bridge, east.tree, mqtt.Message{Topic: "snom/hall/owner", Payload: []byte("west"), Retained: true})
		}()
		move(east, attic, hall)
		if got := s.kept("snom/hall/owner"); got != "west" {
			t.Errorf("the hall is owned by %q, expected west", got)
		}
		if got := len(s.messages("snom/hall/availability")); got != before {
			t.Error("something was said of a phone that is another's")
		}
		// Taken out of one: the other has it.
		move(west, testPhone{phone: snomtest.Config{Name: "kitchen", Model: "D735"}})
		if got := s.kept("snom/hall/owner"); got != "east" {
			t.Errorf("the hall is owned by %q, expected east", got)
		}
		// Taken out of the other, too: no owner.
		move(east, attic)
		if got := s.kept("snom/hall/owner") + s.kept("snom/hall/status"); got != "" {
			t.Errorf("of the hall is kept %q, expected nothing", got)
		}
		// What is another's is not cleared when it goes.
		move(east, attic, testPhone{phone: snomtest.Config{Name: "kitchen", Model: "D735"}})
		s.say("snom/kitchen/owner", "west") // west insists
		move(east, attic)
		if got := s.kept("snom/kitchen/owner"); got != "west" {
			t.Errorf("the kitchen is owned by %q, expected west", got)
		}
		west.stop()
		east.stop()
	})
}

// TestTwoBridgesWithOneName: two that use the same topics would carry out everything twice.
func TestTwoBridgesWithOneName(t *testing.T) {
	t.Parallel()
	for _, instance := range []string{"", "west"} {
		synctest.Test(t, func(t *testing.T) {
			s := newSharedBroker(t)
			first := s.build(instance, "z", nil, "hall")
			s.connect(first)
			time.Sleep(time.Minute)
			second := s.build(instance, "a", nil, "hall")
			s.connect(second)
			if got := second.bridge.Standby(); got != "z" {
				t.Errorf("the second is on standby for %q, expected z", got)
			}
			if got := first.bridge.Standby(); got != "" {
				t.Errorf("the first is on standby for %q, expected none", got)
			}
			time.Sleep(5 * time.Second) // what the second published before it was on standby is replaced
			said := len(s.messages("snom/hall/status"))
			time.Sleep(time.Minute)
			for i, h := range []*harness{first, second} {
				if n := strings.Count(h.log.String(), "another bridge process uses the same topics"); n != 1 {
					t.Errorf("bridge %d told %d times of the other, expected once", i+1, n)
				}
			}
			s.say("snom/hall/key", `{"id":"1","keys":"P1"}`)
			if got := s.results("1")["hall"]; !slices.Equal(got, []string{"ok"}) {
				t.Errorf("the hall answered %v, expected one ok", got)
			}
			if got := len(s.messages("snom/hall/status")) - said; got != 1 {
				t.Errorf("%d statuses, expected 1", got)
			}
			if got := len(first.pressed("hall")); got != 1 {
				t.Errorf("the first pressed %d times, expected 1", got)
			}

			s.leave(first)
			first.stop()
			time.Sleep(20 * time.Second)
			if got := second.bridge.Standby(); got != "" {
				t.Errorf("the second is on standby for %q, which is gone", got)
			}
			s.say("snom/hall/key", `{"id":"2","keys":"P1"}`)
			if got := s.results("2")["hall"]; !slices.Equal(got, []string{"ok"}) {
				t.Errorf("the hall answered %v, expected one ok", got)
			}
			for _, nonsense := range []string{"", "{", "[]", "null", `{"process":1}`, `{"process":"x"}`, `{"process":"x","started":"yesterday"}`} {
				s.say(second.tree.Info(), nonsense)
			}
			if got := second.bridge.Standby(); got != "" {
				t.Errorf("on standby for %q after nonsense", got)
			}
			second.stop()
		})
	}
}

// TestStandbyStops: a bridge on standby can be stopped, and sends no heartbeat afterwards.
func TestStandbyStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSharedBroker(t)
		first := s.build("", "a", nil, "hall")
		second := s.build("", "b", nil, "hall")
		s.connect(first)
		s.connect(second)
		if got := second.bridge.Standby(); got != "a" {
			t.Errorf("the second is on standby for %q, expected a", got)
		}
		second.stop()
		said := len(s.messages("snom/bridge/info"))
		time.Sleep(time.Minute)
		if got := len(s.messages("snom/bridge/info")); got != said {
			t.Errorf("%d messages after the stop", got-said)
		}
		first.stop()
	})
}

// TestStandbyOnlyForAProcessThatAnswers: a message that looks like an older process, sent once or in a flood, with any
// name, challenge or answer, neither silences the bridge nor fills its log.
func TestStandbyOnlyForAProcessThatAnswers(t *testing.T) {
	t.Parallel()
	const old = `"started":"1999-12-31T00:00:00.000Z"`
	for name, forge := range map[string]func(i int, challenge string) string{
		"plain":       func(int, string) string { return `{"process":"0",` + old + `}` },
		"many names":  func(i int, _ string) string { return fmt.Sprintf(`{"process":"%d",%s}`, i, old) },
		"a long name": func(int, string) string { return `{"process":"` + strings.Repeat("x", 60_000) + `",` + old + `}` },
		"a guess":     func(i int, _ string) string { return fmt.Sprintf(`{"process":"0","answers":"%d",%s}`, i, old) },
		"no answer":   func(int, string) string { return `{"process":"0","answers":"",` + old + `}` },
		"an old one": func(_ int, challenge string) string {
			return `{"process":"0","answers":"` + challenge + `",` + old + `}`
		},
		"a challenge": func(int, string) string {
			return `{"process":"0","challenge":"` + strings.Repeat("y", 60_000) + `",` + old + `}`
		},
		"younger": func(i int, _ string) string {
			return fmt.Sprintf(`{"process":"%d","started":"2999-12-31T00:00:00.000Z","challenge":"x"}`, i)
		},
		"younger, large": func(int, string) string {
			return `{"process":"` + strings.Repeat("z", 60_000) + `","started":"2999-12-31T00:00:00.000Z","challenge":"` + strings.Repeat("y", 60_000) + `"}`
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSharedBroker(t)
				standby := 0
				h := newHarness(t, bridge.Config{Publish: s, Process: "m", OnStandby: func(bool) { standby++ }}, one(), nil)
				s.connect(h)
				var first struct{ Challenge string }
				if err := json.Unmarshal([]byte(s.last("snom/bridge/info")), &first); err != nil || first.Challenge == "" {
					t.Fatalf("no challenge at the start: %v", err)
				}
				time.Sleep(10 * time.Second)
				said, began := len(s.messages("snom/bridge/info")), time.Now()
				s.say("snom/bridge/info", forge(0, "")) // the first challenge counts no more
				for i := range 1000 {
					s.Publish(mqtt.Message{Topic: "snom/bridge/info", Payload: []byte(forge(i+1, first.Challenge))})
					time.Sleep(50 * time.Millisecond)
				}
				s.settle()
				if got := h.bridge.Standby(); got != "" || standby != 0 {
					t.Errorf("on standby for %.40q", got)
				}
				s.say("snom/desk/key", `{"id":"1","keys":"P1"}`)
				if got := s.results("1")["desk"]; !slices.Equal(got, []string{"ok"}) {
					t.Errorf("the desk answered %v, expected one ok", got)
				}
				seconds := int(time.Since(began) / time.Second)
				if got := len(s.messages("snom/bridge/info")) - said - 1001; got > seconds*3/2 { // a correction a second, and a question now and then
					t.Errorf("%d messages of this bridge in %d s", got, seconds)
				}
				if got := h.log.Len(); got > 16<<10 {
					t.Errorf("%d bytes of log", got)
				}
				h.stop()
			})
		})
	}
}

// foreign are the phones that the bridge's info says are another's.
func (s *sharedBroker) foreign(h *harness) map[string]string {
	s.t.Helper()
	var info bridge.Info
	if err := json.Unmarshal([]byte(s.last(h.tree.Info())), &info); err != nil {
		s.t.Fatal(err)
	}
	return info.Foreign
}

// messages are the payloads that were published on topic.
func (s *sharedBroker) messages(topic string) (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.said {
		if m.Topic == topic {
			all = append(all, string(m.Payload))
		}
	}
	return all
}

// TestWhatAnotherClientReplacedIsPublishedAgain: a last will, an empty message or anything else on the status and the
// availability of a phone does not stay; and what comes back of the bridge's own messages, late or out of order, causes none.
func TestWhatAnotherClientReplacedIsPublishedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSharedBroker(t)
		h := s.build("", "m", nil, "hall", "attic")
		s.connect(h)
		time.Sleep(time.Minute)
		for _, topic := range []string{"snom/hall/availability", "snom/hall/status"} {
			for _, payload := range []string{"offline", "", "{}", strings.Repeat("x", 60_000)} {
				truth := s.kept(topic)
				if truth == "" {
					t.Fatalf("nothing is retained on %s", topic)
				}
				before := len(s.messages(topic))
				s.Publish(mqtt.Message{Topic: topic, Payload: []byte(payload), Retained: true})
				time.Sleep(3 * time.Second)
				got := s.kept(topic)
				if topic == "snom/hall/availability" && got != truth || !strings.HasPrefix(got, truth[:1]) || got == payload {
					t.Errorf("%s: %.40q stays, expected %.40q", topic, got, truth)
				}
				if n := len(s.messages(topic)) - before; n != 2 {
					t.Errorf("%s %.10q: %d messages, expected the foreign one and the right one", topic, payload, n)
				}
			}
		}
		// A client that insists is answered once a second, and logged once a minute.
		before := len(s.messages("snom/attic/availability"))
		for range 200 {
			s.Publish(mqtt.Message{Topic: "snom/attic/availability", Payload: []byte("offline"), Retained: true})
			time.Sleep(50 * time.Millisecond)
		}
		time.Sleep(3 * time.Second)
		if n := len(s.messages("snom/attic/availability")) - before - 200; n < 5 || n > 12 {
			t.Errorf("%d answers in ten seconds", n)
		}
		if got := s.kept("snom/attic/availability"); got != "online" {
			t.Errorf("in the end %q is retained", got)
		}
		if n := strings.Count(h.log.String(), "another client published"); n != 2 {
			t.Errorf("%d lines of log, expected one for each phone", n)
		}
		// The bridge's own statuses, many of them, come back and are no reason to publish.
		statuses := len(s.messages("snom/hall/status"))
		for range 20 {
			s.say("snom/hall/key", "P1")
		}
		time.Sleep(time.Minute)
		if n := len(s.messages("snom/hall/status")) - statuses; n > 20 {
			t.Errorf("%d statuses for 20 commands", n)
		}
		h.stop()
	})
}
