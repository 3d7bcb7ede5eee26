package homeassistant

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/mqtt/mqtttest"
)

// A fixture is a Publisher with a broker that retains its documents, in virtual time.
type fixture struct {
	t         *testing.T
	b         Bridge
	publisher *Publisher
	sent      *mqtttest.Recorder
	broker    map[string][]byte // retained
	memory    memory
	phones    []Phone
	renewed   int
	end       context.CancelFunc
	ended     chan struct{}
	mu        sync.Mutex // held while the Publisher's goroutine uses what the test reads and changes
}

// memory is a state directory. One goroutine uses it at a time.
type memory map[string]Identity

func (m memory) Identities() []Identity { return slices.Collect(maps.Values(m)) }
func (m memory) Remember(i Identity)    { m[i.Name] = i }
func (m memory) Forget(name string)     { delete(m, name) }

// newFixture starts a Publisher in a bubble.
func newFixture(t *testing.T, phones ...Phone) *fixture {
	t.Helper()
	f := &fixture{t: t, b: testBridge(), broker: map[string][]byte{}, memory: memory{}, phones: phones}
	f.start()
	t.Cleanup(f.stop)
	return f
}

func (f *fixture) start() {
	ctx, cancel := context.WithCancel(f.t.Context())
	f.sent, f.end, f.ended = &mqtttest.Recorder{}, cancel, make(chan struct{})
	f.publisher = NewPublisher(PublisherConfig{
		Bridge: f.b, Publish: f, Log: testLog(f.t),
		Phones: func() []Phone {
			f.mu.Lock()
			defer f.mu.Unlock()
			return slices.Clone(f.phones)
		},
		Renew: func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.renewed++
		},
		Memory: f.memory,
	})
	k, ended := f.publisher, f.ended
	go func() {
		defer close(ended)
		if err := k.Run(ctx); err != nil {
			f.t.Error(err)
		}
	}()
}

func (f *fixture) stop() {
	f.end()
	<-f.ended
}

// restart is another run of the program.
func (f *fixture) restart() {
	f.stop()
	f.start()
	f.connect()
}

// Publish is the broker's side.
func (f *fixture) Publish(m mqtt.Message) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(m.Payload) == 0 {
		delete(f.broker, m.Topic)
	} else {
		f.broker[m.Topic] = m.Payload
	}
	return f.sent.Publish(m)
}

// connect delivers what the broker keeps, and says that the session is proven.
func (f *fixture) connect() {
	for topic, payload := range f.broker {
		f.publisher.Handle(mqtt.Message{Topic: topic, Payload: payload, Retained: true})
	}
	f.publisher.Online()
}

// change makes the phones others.
func (f *fixture) change(phones ...Phone) {
	f.phones = phones
	f.publisher.Changed()
}

// after lets time pass and returns what was published meanwhile: topics by id, with a minus if cleared.
func (f *fixture) after(d time.Duration) string {
	f.t.Helper()
	f.mu.Lock() // what the test has read until here, it has read before the Publisher goes on
	f.mu.Unlock()
	time.Sleep(d)
	synctest.Wait()
	var ids []string
	var docs []mqtt.Message
	for _, m := range f.sent.Take() {
		id, ok := f.b.id(m.Topic)
		if !ok || !m.Retained {
			f.t.Errorf("published on %s, retained %v", m.Topic, m.Retained)
		}
		if len(m.Payload) == 0 {
			id = "-" + id
		} else {
			docs = append(docs, m)
		}
		ids = append(ids, id)
	}
	for _, m := range docs {
		if err := f.b.Check([]mqtt.Message{m}); err != nil {
			f.t.Error(err)
		}
	}
	return strings.Join(ids, " ")
}

// retained reads a document at the broker.
func (f *fixture) retained(id string) (d Document) {
	f.t.Helper()
	if err := json.Unmarshal(f.broker[f.b.Topic(id)], &d); err != nil {
		f.t.Fatalf("%s: %v", id, err)
	}
	return d
}

func (f *fixture) expect(what, got, want string) {
	f.t.Helper()
	if got != want {
		f.t.Errorf("%s: published %q, expected %q", what, got, want)
	}
}

func named(name string) Phone { return Phone{Name: name, URL: "http://" + name + ".example"} }

func TestPublisherPublishesWhatDiffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, kitchen())
		f.expect("offline", f.after(time.Hour), "")
		f.connect()
		f.expect("just connected", f.after(settleTime-time.Millisecond), "")
		f.expect("connected", f.after(time.Second), "snom2mqtt_snom snom_000413aabbcc")
		f.expect("nothing happens", f.after(time.Hour), "")
		f.publisher.Changed()
		f.expect("nothing changed", f.after(time.Hour), "")
		p := kitchen()
		p.Firmware = "10.1.198.19"
		f.change(p)
		f.publisher.Changed()
		f.expect("firmware", f.after(time.Hour), "snom_000413aabbcc")
		if got := f.retained("snom_000413aabbcc").Device.SWVersion; got != p.Firmware {
			t.Errorf("the firmware is %s, expected %s", got, p.Firmware)
		}
		f.restart()
		f.expect("restarted", f.after(time.Hour), "")
		f.publisher.Offline()
		f.change(kitchen())
		f.expect("offline", f.after(time.Hour), "")
		f.connect()
		f.expect("back", f.after(time.Hour), "snom_000413aabbcc")
		f.publisher.Offline()
		clear(f.broker) // one that keeps nothing over its restart
		f.connect()
		f.expect("back without memory", f.after(time.Hour), "snom2mqtt_snom snom_000413aabbcc")
	})
}

func TestPublisherRenewsAfterTheBirthMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, kitchen())
		f.connect()
		f.after(time.Minute)
		birth := mqtt.Message{Topic: "homeassistant/status", Payload: []byte("online")}
		for range 100 {
			if !f.publisher.Handle(birth) {
				t.Error("the birth message is not taken")
			}
		}
		f.expect("at once", f.after(renewLeast-time.Millisecond), "")
		f.expect("soon", f.after(renewSpread+time.Second), "snom2mqtt_snom snom_000413aabbcc")
		if f.renewed != 1 {
			t.Errorf("all else was renewed %d times, expected once", f.renewed)
		}
		f.expect("later", f.after(time.Hour), "")
		f.publisher.Handle(mqtt.Message{Topic: "homeassistant/status", Payload: []byte("offline")})
		f.publisher.Handle(mqtt.Message{Topic: "homeassistant/status", Payload: []byte("online"), Retained: true})
		f.expect("what is not a birth", f.after(time.Hour), "")
		f.publisher.Offline()
		f.publisher.Handle(birth)
		f.expect("without a connection", f.after(time.Hour), "")
		f.connect()
		f.expect("with it", f.after(time.Hour), "snom2mqtt_snom snom_000413aabbcc")
		if f.publisher.Handle(mqtt.Message{Topic: "snom/kitchen/key"}) {
			t.Error("a command is taken")
		}
	})
}

func TestPublisherNeverBursts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var phones []Phone
		for _, c := range "abcdefghij" {
			p := named(string(c))
			p.MAC = "00041300000" + string(c)
			phones = append(phones, p)
		}
		f := newFixture(t, phones...)
		f.connect()
		time.Sleep(settleTime)
		for range 11 {
			synctest.Wait()
			if n := len(f.sent.Take()); n != 1 {
				t.Errorf("%d documents at once, expected one", n)
			}
			time.Sleep(pace)
		}
	})
}

func TestPublisherRemovesEntities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := kitchen()
		p.Allow = "reset"
		f := newFixture(t, p)
		f.connect()
		f.after(time.Minute)
		for _, restart := range []bool{false, true} {
			f.change(p)
			f.after(time.Minute)
			less := p
			less.Allow = ""
			less.Events = false
			f.change(less)
			if restart {
				f.restart()
			}
			f.expect("first", f.after(2*time.Second), "snom_000413aabbcc")
			d := f.retained("snom_000413aabbcc")
			for key, platform := range map[string]string{"reset": "button", "call_state": "sensor", "ringing": "binary_sensor"} {
				if c, there := d.Components[key]; !there || !c.stub() || c.Platform != platform {
					t.Errorf("%s is %+v, expected a stub of %s", key, c, platform)
				}
			}
			if restart {
				f.restart() // in the midst of it
			}
			f.expect("then", f.after(time.Hour), "snom_000413aabbcc")
			d = f.retained("snom_000413aabbcc")
			for _, c := range d.Components {
				if c.stub() {
					t.Errorf("a stub is left: %+v", c)
				}
			}
		}
	})
}

func TestPublisherClearsPhonesThatGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hall := named("hall")
		hall.MAC = "0004130000ff"
		f := newFixture(t, kitchen(), hall)
		foreign := []mqtt.Message{
			{Topic: "homeassistant/device/snom_x/config", Payload: []byte(`{"origin":{"name":"snom2mqtt"},"availability":[{"topic":"other/bridge/state"},{"topic":"other/x/availability"}]}`)},
			{Topic: "homeassistant/device/odd.id/config", Payload: []byte(`{"origin":{"name":"snom2mqtt"},"availability":[{"topic":"snom/bridge/state"},{"topic":"snom/x/availability"}]}`)},
			{Topic: "homeassistant/device/lamp/config", Payload: []byte(`{"origin":{"name":"lamps, not \"snom2mqtt\""}}`)},
			{Topic: "homeassistant/device/broken/config", Payload: []byte(`"snom2mqtt"`)},
			{Topic: "homeassistant/device/named/config", Payload: []byte(`{"origin":{"name":"snom2mqtt"},"availability":[{"topic":"snom/bridge/state"},{"topic":"snom/Ä/availability"}]}`)},
		}
		for _, m := range foreign {
			f.broker[m.Topic] = m.Payload
		}
		f.connect()
		f.expect("both", f.after(time.Minute), "snom2mqtt_snom snom_000413aabbcc snom_0004130000ff")
		f.change(kitchen())
		f.expect("one goes", f.after(time.Minute), "-snom_0004130000ff")
		f.change(kitchen(), hall)
		f.expect("and comes back", f.after(time.Minute), "snom_0004130000ff")
		f.stop()
		f.phones = []Phone{kitchen()}
		f.start()
		f.connect()
		f.expect("it goes between two runs", f.after(time.Minute), "-snom_0004130000ff")
		if got, want := len(f.broker), 2+len(foreign); got != want {
			t.Errorf("the broker keeps %d documents, expected %d", got, want)
		}
	})
}

func TestPublisherKnowsPhonesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, kitchen())
		f.connect()
		f.after(time.Minute)

		renamed := kitchen()
		renamed.Name = "hall"
		f.change(renamed)
		f.expect("renamed", f.after(time.Minute), "snom_000413aabbcc")
		if got := f.retained("snom_000413aabbcc").Device.Name; got != "Hall phone" {
			t.Errorf("it is called %q", got)
		}

		f.stop()
		away := Phone{Name: "hall", URL: renamed.URL, Events: true} // nothing is known of it yet
		f.phones = []Phone{away}
		f.start()
		f.connect()
		f.expect("away after a restart", f.after(time.Hour), "")

		f.stop()
		away.Name = "attic"
		f.phones = []Phone{away}
		f.start()
		f.connect()
		f.expect("away and renamed, at the same address", f.after(time.Second*30), "snom_000413aabbcc")

		f.stop()
		away.Name, away.URL = "cellar", "http://192.0.2.99"
		f.phones = []Phone{away}
		f.start()
		f.connect()
		f.expect("renamed and moved", f.after(time.Minute), "")
		f.phones[0].MAC = "000413aabbcc"
		f.publisher.Changed()
		f.expect("it reports what it is", f.after(time.Minute), "snom_000413aabbcc")

		f.phones[0].MAC = "000413000001"
		f.publisher.Changed()
		f.expect("another phone at its address", f.after(time.Minute), "snom_000413aabbcc")
		if d := f.retained("snom_000413aabbcc").Device; len(d.Connections) != 0 || d.SerialNumber != "000413000001" {
			t.Errorf("its device is %+v, expected the new MAC as serial number and no connection", d)
		}
		f.change(Phone{Name: "cellar", URL: "http://192.0.2.100", MAC: "000413000002"})
		f.expect("another phone at another address", f.after(time.Minute), "snom_000413000002 -snom_000413aabbcc")
	})
}

func TestPublisherDoesNotWaitForEverForWhoNeverComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, kitchen())
		f.connect()
		f.after(time.Minute)
		f.stop()
		f.phones = []Phone{named("never-there")}
		f.start()
		f.connect()
		f.expect("it may be the one", f.after(orphanTime-time.Second), "")
		f.expect("too late", f.after(2*time.Second), "-snom_000413aabbcc")
	})
}

func TestPublisherNamesPhonesThatDoNotTellTheirMAC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := named("desk")
		f := newFixture(t, p)
		f.connect()
		f.expect("never reached", f.after(time.Hour), "snom2mqtt_snom")
		p.Seen = true
		f.change(p)
		f.expect("reached", f.after(nameTime-time.Second), "")
		f.expect("some time ago", f.after(2*time.Second), "snom_snom_desk")

		p.MAC = "000413000001"
		f.change(p)
		f.expect("it tells later", f.after(time.Minute), "snom_snom_desk")
		if d := f.retained("snom_snom_desk").Device; len(d.Connections) != 0 || d.SerialNumber != p.MAC {
			t.Errorf("its device is %+v, expected its MAC as serial number and no connection", d)
		}

		q := named("desk")
		q.URL, q.Seen = "http://192.0.2.77", true
		p.Name = "attic"
		f.change(p, q)
		f.expect("another takes its name", f.after(time.Minute), "snom_snom_desk snom_snom_desk_2")
		f.restart()
		f.expect("which lasts", f.after(time.Hour), "")
	})
}

func TestPublisherGoesOnWhenAMessageIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, kitchen())
		f.sent.Refuse = func(m mqtt.Message) bool { return strings.Contains(m.Topic, "snom2mqtt") }
		f.connect()
		f.expect("one refused", f.after(time.Minute), "snom_000413aabbcc")
		f.sent.Refuse = nil
		f.publisher.Changed()
		f.expect("tried again", f.after(time.Minute), "snom2mqtt_snom")
	})
}

func TestPublisherStopsWhenTheConnectionGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, kitchen())
		f.connect()
		time.Sleep(settleTime)
		synctest.Wait()
		f.publisher.Offline()
		f.expect("the first was out", f.after(time.Hour), "snom2mqtt_snom")
		f.connect()
		f.expect("and the other follows", f.after(time.Hour), "snom_000413aabbcc")
	})
}

func TestPublisherLeavesAnotherBridgesDocumentAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, kitchen())
		f.connect()
		f.after(time.Minute)
		other := testBridge()
		other.Tree.Base = "other"
		m := other.Message("snom_000413aabbcc", other.Phone(kitchen()))
		f.publisher.Handle(mqtt.Message{Topic: m.Topic, Payload: m.Payload}) // it has taken the phone over
		f.publisher.Handle(f.b.Message(f.b.ID(), f.b.Document()))
		f.change()
		f.expect("the phone goes here", f.after(time.Hour), "")
	})
}

func TestPublisherPublishesAgainWhatOthersClear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hall := named("hall")
		hall.MAC = "0004130000ff"
		f := newFixture(t, kitchen(), hall)
		f.connect()
		f.after(time.Minute)
		clear := func(id string) {
			for range 50 {
				f.publisher.Handle(mqtt.Message{Topic: f.b.Topic(id)})
			}
		}
		clear("snom_000413aabbcc")
		f.expect("at once", f.after(healTime-time.Second), "")
		f.expect("soon", f.after(time.Hour), "snom_000413aabbcc")
		f.change(kitchen())
		f.expect("one goes", f.after(time.Minute), "-snom_0004130000ff")
		clear("snom_0004130000ff")
		clear("somebody_elses")
		f.expect("what is not expecteded", f.after(time.Hour), "")
	})
}

func TestNoPublisher(t *testing.T) {
	t.Parallel()
	var k *Publisher
	k.Online()
	k.Offline()
	k.Changed()
	if err := k.Run(t.Context()); err != nil || k.Filters() != nil || k.Handle(mqtt.Message{Topic: "homeassistant/status"}) {
		t.Error("a publisher that is not there does something")
	}
}

func TestRetainedDocumentsAreBounded(t *testing.T) {
	t.Parallel()
	r := retained{testBridge(), map[string]retainedDoc{}}
	for i := range maxRetained + 10 {
		r.put(fmt.Sprint("snom_", i), retainedDoc{phone: &Phone{Name: fmt.Sprint(i)}})
	}
	if len(r.docs) > maxRetained {
		t.Errorf("%d documents are remembered", len(r.docs))
	}
}

func TestFiltersOfThePublisher(t *testing.T) {
	t.Parallel()
	k := NewPublisher(PublisherConfig{Bridge: testBridge()})
	if got, want := k.Filters(), []string{"homeassistant/status", "homeassistant/device/+/config"}; !slices.Equal(got, want) {
		t.Errorf("filters %q, expected %q", got, want)
	}
}

// testLog logs to the test's output.
func testLog(t *testing.T) *slog.Logger {
	t.Helper()
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}
