package homeassistant

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// FuzzShelf: whatever the broker keeps under our prefix, what we publish because of it is ours to publish, and what a
// broker takes.
func FuzzShelf(f *testing.F) {
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
		s := shelf{b, map[string]kept{}}
		now := time.Unix(1e9, 0)
		s.read(id, payload)
		for range 3 {
			out, _ := s.plan(phones, false, false, func(Phone) bool { return true }, now)
			for _, p := range out {
				if err := p.message.Check(); err != nil {
					t.Fatalf("published because of %q %q: %v", id, payload, err)
				}
				if at, ok := b.id(p.message.Topic); !ok || at != p.id || !p.message.Retained {
					t.Fatalf("published because of %q %q: %s", id, payload, p.message.Topic)
				}
				s.sent(p)
			}
			s.hear(id, payload)
			s.forget()
			now = now.Add(time.Minute)
		}
		for id, k := range s.docs {
			if k.phone.Name != "" && mqtt.ValidName(k.phone.Name) != nil {
				t.Fatalf("%q is about a phone called %q", id, k.phone.Name)
			}
		}
	})
}
