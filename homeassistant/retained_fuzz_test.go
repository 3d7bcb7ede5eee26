package homeassistant

import (
	"encoding/json"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/mqtt/mqtttest"
)

// FuzzRetained checks that whatever the broker retains below the prefix, what is published because of it is on topics of
// this bridge's documents, and is something that a broker takes.
func FuzzRetained(f *testing.F) {
	b := Bridge{Tree: mqtt.Tree{Base: "snom"}, Prefix: "homeassistant", Version: "1.2.3"}
	phones := []Phone{
		{Name: "kitchen", MAC: "000413aabbcc", Model: "D735", URL: "http://192.0.2.10", Seen: true},
		{Name: "hall", Seen: true},
	}
	for _, p := range phones {
		p.ID = "snom_000413aabbcc"
		payload, err := json.Marshal(b.Phone(p))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(p.ID, payload)
	}
	payload, err := json.Marshal(b.Document())
	if err != nil {
		f.Fatal(err)
	}
	for _, id := range []string{b.ID(), "snom_hall", "a/b", "+", "", "x\x00y"} {
		f.Add(id, payload)
		f.Add(id, []byte(`{"origin":{"name":"snom2mqtt"},"availability":[{"topic":"snom/bridge/state"},{"topic":"snom/../availability"}]}`))
		f.Add(id, []byte("{"))
		f.Add(id, []byte(nil))
	}
	f.Fuzz(func(t *testing.T, id string, payload []byte) {
		sent := &mqtttest.Recorder{}
		p := NewPublisher(PublisherConfig{
			Bridge: b, Publish: sent, Log: slog.New(slog.DiscardHandler), Renew: func() {},
			Phones: func() []Phone { return slices.Clone(phones) },
		})
		s := &p.state
		for _, retained := range []bool{true, false, true} {
			p.Online()
			p.Handle(mqtt.Message{Topic: b.Topic(id), Payload: payload, Retained: retained})
			p.put(func(in *inbox) { in.birth = true })
			s.receive(p.take())
			s.settle, s.compare = time.Time{}, time.Unix(1, 0)
			for range 10 {
				s.pacing = time.Time{}
				s.work()
			}
			for _, m := range sent.Take() {
				if err := m.Check(); err != nil {
					t.Fatalf("published because of %q %q: %v", id, payload, err)
				}
				if at, ok := b.id(m.Topic); !ok || !m.Retained || !plainKey(at) {
					t.Fatalf("published because of %q %q: %s", id, payload, m.Topic)
				}
			}
			p.Offline()
			s.receive(p.take())
		}
		for id, doc := range s.retained.docs {
			if doc.phone != nil && mqtt.ValidName(doc.phone.Name) != nil {
				t.Fatalf("%q is about a phone called %q", id, doc.phone.Name)
			}
		}
	})
}
