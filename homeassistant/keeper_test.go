package homeassistant

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/mqtt/mqtttest"
)

// A world is a Keeper with a broker that remembers what it keeps, in virtual time.
type world struct {
	t       *testing.T
	b       Bridge
	keeper  *Keeper
	sent    *mqtttest.Recorder
	broker  map[string][]byte // retained
	phones  []Phone
	renewed int
	end     context.CancelFunc
	ended   chan struct{}
}

// newWorld starts a Keeper in a bubble.
func newWorld(t *testing.T, phones ...Phone) *world {
	t.Helper()
	w := &world{t: t, b: house(), broker: map[string][]byte{}, phones: phones}
	w.start()
	t.Cleanup(w.stop)
	return w
}

func (w *world) start() {
	ctx, cancel := context.WithCancel(w.t.Context())
	w.sent, w.end, w.ended = &mqtttest.Recorder{}, cancel, make(chan struct{})
	w.keeper = NewKeeper(KeeperConfig{
		Bridge: w.b, Publish: w, Log: testLog(w.t),
		Phones: func() []Phone { return slices.Clone(w.phones) },
		Renew:  func() { w.renewed++ },
	})
	k, ended := w.keeper, w.ended
	go func() {
		defer close(ended)
		if err := k.Run(ctx); err != nil {
			w.t.Error(err)
		}
	}()
}

func (w *world) stop() {
	w.end()
	<-w.ended
}

// restart is another run of the program.
func (w *world) restart() {
	w.stop()
	w.start()
	w.connect()
}

// Publish is the broker's side.
func (w *world) Publish(m mqtt.Message) bool {
	if len(m.Payload) == 0 {
		delete(w.broker, m.Topic)
	} else {
		w.broker[m.Topic] = m.Payload
	}
	return w.sent.Publish(m)
}

// connect delivers what the broker keeps, and says that the session is proven.
func (w *world) connect() {
	for topic, payload := range w.broker {
		w.keeper.Handle(mqtt.Message{Topic: topic, Payload: payload, Retained: true})
	}
	w.keeper.Online()
}

// change makes the phones others.
func (w *world) change(phones ...Phone) {
	w.phones = phones
	w.keeper.Changed()
}

// after lets time pass and returns what was published meanwhile: topics by id, with a minus if cleared.
func (w *world) after(d time.Duration) string {
	w.t.Helper()
	time.Sleep(d)
	synctest.Wait()
	var ids []string
	var docs []mqtt.Message
	for _, m := range w.sent.Take() {
		id, ok := w.b.id(m.Topic)
		if !ok || !m.Retained {
			w.t.Errorf("published on %s, retained %v", m.Topic, m.Retained)
		}
		if len(m.Payload) == 0 {
			id = "-" + id
		} else {
			docs = append(docs, m)
		}
		ids = append(ids, id)
	}
	for _, m := range docs {
		if err := w.b.Check([]mqtt.Message{m}); err != nil {
			w.t.Error(err)
		}
	}
	return strings.Join(ids, " ")
}

// kept reads a document at the broker.
func (w *world) kept(id string) (d Document) {
	w.t.Helper()
	if err := json.Unmarshal(w.broker[w.b.Topic(id)], &d); err != nil {
		w.t.Fatalf("%s: %v", id, err)
	}
	return d
}

func (w *world) want(what, got, want string) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("%s: published %q, want %q", what, got, want)
	}
}

func named(name string) Phone { return Phone{Name: name, URL: "http://" + name + ".example"} }

func TestKeeperPublishesWhatDiffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, kitchen())
		w.want("offline", w.after(time.Hour), "")
		w.connect()
		w.want("just connected", w.after(settleTime-time.Millisecond), "")
		w.want("connected", w.after(time.Second), "snom2mqtt_snom snom_000413aabbcc")
		w.want("nothing happens", w.after(time.Hour), "")
		w.keeper.Changed()
		w.want("nothing changed", w.after(time.Hour), "")
		p := kitchen()
		p.Firmware = "10.1.198.19"
		w.change(p)
		w.keeper.Changed()
		w.want("firmware", w.after(time.Hour), "snom_000413aabbcc")
		if got := w.kept("snom_000413aabbcc").Device.SWVersion; got != p.Firmware {
			t.Errorf("the firmware is %s, want %s", got, p.Firmware)
		}
		w.restart()
		w.want("restarted", w.after(time.Hour), "")
		w.keeper.Offline()
		w.change(kitchen())
		w.want("offline", w.after(time.Hour), "")
		w.connect()
		w.want("back", w.after(time.Hour), "snom_000413aabbcc")
		w.keeper.Offline()
		clear(w.broker) // one that keeps nothing over its restart
		w.connect()
		w.want("back without memory", w.after(time.Hour), "snom2mqtt_snom snom_000413aabbcc")
	})
}

func TestKeeperRenewsAfterTheBirthMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, kitchen())
		w.connect()
		w.after(time.Minute)
		birth := mqtt.Message{Topic: "homeassistant/status", Payload: []byte("online")}
		for range 100 {
			if !w.keeper.Handle(birth) {
				t.Error("the birth message is not taken")
			}
		}
		w.want("at once", w.after(renewLeast-time.Millisecond), "")
		w.want("soon", w.after(renewSpread+time.Second), "snom2mqtt_snom snom_000413aabbcc")
		if w.renewed != 1 {
			t.Errorf("all else was renewed %d times, want once", w.renewed)
		}
		w.want("later", w.after(time.Hour), "")
		w.keeper.Handle(mqtt.Message{Topic: "homeassistant/status", Payload: []byte("offline")})
		w.keeper.Handle(mqtt.Message{Topic: "homeassistant/status", Payload: []byte("online"), Retained: true})
		w.want("what is not a birth", w.after(time.Hour), "")
		w.keeper.Offline()
		w.keeper.Handle(birth)
		w.want("without a connection", w.after(time.Hour), "")
		w.connect()
		w.want("with it", w.after(time.Hour), "snom2mqtt_snom snom_000413aabbcc")
		if w.keeper.Handle(mqtt.Message{Topic: "snom/kitchen/key"}) {
			t.Error("a command is taken")
		}
	})
}

func TestKeeperNeverBursts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var phones []Phone
		for _, c := range "abcdefghij" {
			p := named(string(c))
			p.MAC = "00041300000" + string(c)
			phones = append(phones, p)
		}
		w := newWorld(t, phones...)
		w.connect()
		time.Sleep(settleTime)
		for range 11 {
			synctest.Wait()
			if n := len(w.sent.Take()); n != 1 {
				t.Errorf("%d documents at once, want one", n)
			}
			time.Sleep(pace)
		}
	})
}

func TestKeeperRemovesEntities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := kitchen()
		p.Allow = "reset"
		w := newWorld(t, p)
		w.connect()
		w.after(time.Minute)
		for _, restart := range []bool{false, true} {
			w.change(p)
			w.after(time.Minute)
			less := p
			less.Allow = ""
			less.Events = false
			w.change(less)
			if restart {
				w.restart()
			}
			w.want("first", w.after(2*time.Second), "snom_000413aabbcc")
			d := w.kept("snom_000413aabbcc")
			for key, platform := range map[string]string{"reset": "button", "call_state": "sensor", "dnd": "switch"} {
				if c, there := d.Components[key]; !there || !c.stub() || c.Platform != platform {
					t.Errorf("%s is %+v, want a stub of %s", key, c, platform)
				}
			}
			if restart {
				w.restart() // in the midst of it
			}
			w.want("then", w.after(time.Hour), "snom_000413aabbcc")
			d = w.kept("snom_000413aabbcc")
			for _, c := range d.Components {
				if c.stub() {
					t.Errorf("a stub is left: %+v", c)
				}
			}
		}
	})
}

func TestKeeperClearsPhonesThatGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hall := named("hall")
		hall.MAC = "0004130000ff"
		w := newWorld(t, kitchen(), hall)
		foreign := []mqtt.Message{
			{Topic: "homeassistant/device/snom_x/config", Payload: []byte(`{"origin":{"name":"snom2mqtt"},"availability":[{"topic":"other/bridge/state"},{"topic":"other/x/availability"}]}`)},
			{Topic: "homeassistant/device/odd.id/config", Payload: []byte(`{"origin":{"name":"snom2mqtt"},"availability":[{"topic":"snom/bridge/state"},{"topic":"snom/x/availability"}]}`)},
			{Topic: "homeassistant/device/lamp/config", Payload: []byte(`{"origin":{"name":"lamps, not \"snom2mqtt\""}}`)},
			{Topic: "homeassistant/device/broken/config", Payload: []byte(`"snom2mqtt"`)},
			{Topic: "homeassistant/device/named/config", Payload: []byte(`{"origin":{"name":"snom2mqtt"},"availability":[{"topic":"snom/bridge/state"},{"topic":"snom/Ä/availability"}]}`)},
		}
		for _, m := range foreign {
			w.broker[m.Topic] = m.Payload
		}
		w.connect()
		w.want("both", w.after(time.Minute), "snom2mqtt_snom snom_000413aabbcc snom_0004130000ff")
		w.change(kitchen())
		w.want("one goes", w.after(time.Minute), "-snom_0004130000ff")
		w.change(kitchen(), hall)
		w.want("and comes back", w.after(time.Minute), "snom_0004130000ff")
		w.stop()
		w.phones = []Phone{kitchen()}
		w.start()
		w.connect()
		w.want("it goes between two runs", w.after(time.Minute), "-snom_0004130000ff")
		if got, want := len(w.broker), 2+len(foreign); got != want {
			t.Errorf("the broker keeps %d documents, want %d", got, want)
		}
	})
}

func TestKeeperKnowsPhonesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, kitchen())
		w.connect()
		w.after(time.Minute)

		renamed := kitchen()
		renamed.Name = "hall"
		w.change(renamed)
		w.want("renamed", w.after(time.Minute), "snom_000413aabbcc")
		if got := w.kept("snom_000413aabbcc").Device.Name; got != "Hall phone" {
			t.Errorf("it is called %q", got)
		}

		w.stop()
		away := Phone{Name: "hall", URL: renamed.URL, Events: true} // nothing is known of it yet
		w.phones = []Phone{away}
		w.start()
		w.connect()
		w.want("away after a restart", w.after(time.Hour), "")

		w.stop()
		away.Name = "attic"
		w.phones = []Phone{away}
		w.start()
		w.connect()
		w.want("away and renamed, at the same address", w.after(time.Second*30), "snom_000413aabbcc")

		w.stop()
		away.Name, away.URL = "cellar", "http://192.0.2.99"
		w.phones = []Phone{away}
		w.start()
		w.connect()
		w.want("renamed and moved", w.after(time.Minute), "")
		w.phones[0].MAC = "000413aabbcc"
		w.keeper.Changed()
		w.want("it tells who it is", w.after(time.Minute), "snom_000413aabbcc")

		w.phones[0].MAC = "000413000001"
		w.keeper.Changed()
		w.want("another phone in its place", w.after(time.Minute), "snom_000413000001 -snom_000413aabbcc")
	})
}

func TestKeeperDoesNotWaitForEverForWhoNeverComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, kitchen())
		w.connect()
		w.after(time.Minute)
		w.stop()
		w.phones = []Phone{named("never-there")}
		w.start()
		w.connect()
		w.want("it may be the one", w.after(orphanTime-time.Second), "")
		w.want("too late", w.after(2*time.Second), "-snom_000413aabbcc")
	})
}

func TestKeeperNamesPhonesThatDoNotTellTheirMAC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := named("desk")
		w := newWorld(t, p)
		w.connect()
		w.want("never reached", w.after(time.Hour), "snom2mqtt_snom")
		p.Seen = true
		w.change(p)
		w.want("reached", w.after(nameTime-time.Second), "")
		w.want("some time ago", w.after(2*time.Second), "snom_snom_desk")

		p.MAC = "000413000001"
		w.change(p)
		w.want("it tells later", w.after(time.Minute), "snom_snom_desk")
		if c := w.kept("snom_snom_desk").Device.Connections; len(c) != 1 {
			t.Errorf("its connections are %v, want its MAC", c)
		}

		q := named("desk")
		q.URL, q.Seen = "http://192.0.2.77", true
		p.Name = "attic"
		w.change(p, q)
		w.want("another takes its name", w.after(time.Minute), "snom_snom_desk snom_snom_desk_2")
		w.restart()
		w.want("which lasts", w.after(time.Hour), "")
	})
}

func TestKeeperGoesOnWhenAMessageIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, kitchen())
		w.sent.Refuse = func(m mqtt.Message) bool { return strings.Contains(m.Topic, "snom2mqtt") }
		w.connect()
		w.want("one refused", w.after(time.Minute), "snom_000413aabbcc")
		w.sent.Refuse = nil
		w.keeper.Changed()
		w.want("tried again", w.after(time.Minute), "snom2mqtt_snom")
	})
}

func TestKeeperStopsWhenTheConnectionGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, kitchen())
		w.connect()
		time.Sleep(settleTime)
		synctest.Wait()
		w.keeper.Offline()
		w.want("the first was out", w.after(time.Hour), "snom2mqtt_snom")
		w.connect()
		w.want("and the other follows", w.after(time.Hour), "snom_000413aabbcc")
	})
}

func TestKeeperLeavesAnotherBridgesDocumentAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, kitchen())
		w.connect()
		w.after(time.Minute)
		other := house()
		other.Tree.Base = "other"
		m := other.Message("snom_000413aabbcc", other.Phone(kitchen()))
		w.keeper.Handle(mqtt.Message{Topic: m.Topic, Payload: m.Payload}) // it has taken the phone over
		w.keeper.Handle(w.b.Message(w.b.ID(), w.b.Document()))
		w.change()
		w.want("the phone goes here", w.after(time.Hour), "")
	})
}

func TestKeeperPublishesAgainWhatOthersClear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hall := named("hall")
		hall.MAC = "0004130000ff"
		w := newWorld(t, kitchen(), hall)
		w.connect()
		w.after(time.Minute)
		clear := func(id string) {
			for range 50 {
				w.keeper.Handle(mqtt.Message{Topic: w.b.Topic(id)})
			}
		}
		clear("snom_000413aabbcc")
		w.want("at once", w.after(healTime-time.Second), "")
		w.want("soon", w.after(time.Hour), "snom_000413aabbcc")
		w.change(kitchen())
		w.want("one goes", w.after(time.Minute), "-snom_0004130000ff")
		clear("snom_0004130000ff")
		clear("somebody_elses")
		w.want("what is not wanted", w.after(time.Hour), "")
	})
}

func TestNoKeeper(t *testing.T) {
	t.Parallel()
	var k *Keeper
	k.Online()
	k.Offline()
	k.Changed()
	if err := k.Run(t.Context()); err != nil || k.Filters() != nil || k.Handle(mqtt.Message{Topic: "homeassistant/status"}) {
		t.Error("a keeper that is not there does something")
	}
}

func TestShelfIsBounded(t *testing.T) {
	t.Parallel()
	s := shelf{house(), map[string]kept{}}
	for i := range mostKept + 10 {
		p := kitchen()
		p.ID = "x" + strings.Repeat("y", i%7) + string(rune('a'+i%26)) + time.Duration(i).String()
		s.put(plain(p.ID), kept{phone: p})
	}
	if len(s.docs) > mostKept {
		t.Errorf("%d documents are kept in mind", len(s.docs))
	}
}

func TestFiltersOfTheKeeper(t *testing.T) {
	t.Parallel()
	k := NewKeeper(KeeperConfig{Bridge: house()})
	if got, want := k.Filters(), []string{"homeassistant/status", "homeassistant/device/+/config"}; !slices.Equal(got, want) {
		t.Errorf("filters %q, want %q", got, want)
	}
}

// testLog logs to the test's output.
func testLog(t *testing.T) *slog.Logger {
	t.Helper()
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}
