package homeassistant

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// A shelf knows which documents the broker keeps for us, and what has to be published so that they become
// what they should be. It is pure but for what it remembers; a [Keeper] owns it.
type shelf struct {
	b    Bridge
	docs map[string]kept // by id
}

// mostKept bounds the shelf. There are no more phones than that.
const mostKept = 20_000

// kept is a document that the broker has, or had when the connection was lost.
type kept struct {
	sum   [sha256.Size]byte // of its payload; zero: it may be gone
	phone Phone             // what it says of the phone; without name: the bridge itself
	parts map[string]part   // its entities, by key
}

// part is one entity of a document.
type part struct {
	platform string
	removed  time.Time // since when the document removes it; zero: it does not
}

// A publication is one message to the broker, and what the shelf is to remember when it was sent.
type publication struct {
	message mqtt.Message
	id      string
	kept    *kept // nil: the document is gone
}

// put notes that the broker has k.
func (s *shelf) put(id string, k kept) {
	if _, known := s.docs[id]; known || len(s.docs) < mostKept {
		s.docs[id] = k
	}
}

// forget notes that the broker may have lost everything. Who is who stays known.
func (s *shelf) forget() {
	for id, k := range s.docs {
		k.sum = [sha256.Size]byte{}
		s.docs[id] = k
	}
}

// read takes a document that the broker has kept.
func (s *shelf) read(id string, payload []byte) {
	if k, ours := s.ours(id, payload); ours {
		s.put(id, k)
	} else {
		delete(s.docs, id)
	}
}

// hear takes a document that was just published, most likely by ourselves. When it is not ours, and one of
// ours had its topic, that is another bridge's now. Whoever clears one of ours has not asked us: Home Assistant
// does it when somebody deletes an entity that is disabled, and loses the whole device thereby. cleared says
// that this has happened.
func (s *shelf) hear(id string, payload []byte) (cleared bool) {
	k, known := s.docs[id]
	if !known {
		return false
	}
	if len(payload) == 0 {
		k.sum = [sha256.Size]byte{}
		s.docs[id] = k
		return true
	}
	if _, ours := s.ours(id, payload); !ours {
		delete(s.docs, id)
	}
	return false
}

// ours says what a document of ours says. Others' documents are none of our business; ours are those with
// our name as origin whose availability is the state of this bridge.
func (s *shelf) ours(id string, payload []byte) (kept, bool) {
	if !bytes.Contains(payload, []byte(`"`+originName+`"`)) || strings.ContainsFunc(id, func(r rune) bool { return !isPlain(r) }) {
		return kept{}, false
	}
	var d Document
	if err := json.Unmarshal(payload, &d); err != nil || d.Origin.Name != originName {
		return kept{}, false
	}
	k := kept{sum: sha256.Sum256(payload), parts: map[string]part{}}
	for key, c := range d.Components {
		k.parts[key] = part{platform: c.Platform}
		if c.stub() {
			k.parts[key] = part{c.Platform, time.Unix(0, 0)} // long enough
		}
	}
	if id == s.b.ID() {
		return k, true
	}
	if len(d.Availability) != 2 || d.Availability[0].Topic != s.b.Tree.State() {
		return kept{}, false
	}
	name, ok := s.b.phoneOf(d.Availability[1].Topic)
	if !ok {
		return kept{}, false
	}
	k.phone = Phone{ID: id, Name: name, URL: d.Device.ConfigurationURL, Model: d.Device.Model, Firmware: d.Device.SWVersion}
	for _, c := range d.Device.Connections {
		if c[0] == "mac" {
			k.phone.MAC = strings.ReplaceAll(c[1], ":", "")
		}
	}
	return k, true
}

// stubTime is how long a document names the entities that it removes, before it leaves them out.
const stubTime = 5 * time.Second

// plan returns what has to be published for these phones: all of it, or only what differs from what the
// broker has. settled says of a phone whose MAC is not known that it will not become known just now. While
// patient, no document is cleared that may be about a phone of which too little is known. After again there
// is more to do; zero: only when something changes.
func (s *shelf) plan(phones []Phone, all, patient bool, settled func(Phone) bool, now time.Time) (out []publication, again time.Duration) {
	ready, waiting := s.identify(phones, settled)
	wanted := map[string]bool{}
	want := func(id string, phone Phone, d Document) {
		wanted[id] = true
		k, known := s.docs[id]
		next := kept{phone: phone, parts: map[string]part{}}
		for key, c := range d.Components {
			next.parts[key] = part{platform: c.Platform}
		}
		for key, p := range k.parts {
			if next.parts[key].platform == p.platform {
				continue
			}
			// Home Assistant removes an entity of which nothing but the platform is left; what is left out
			// it keeps. Hence two documents, one after the other.
			if p.removed.IsZero() {
				p.removed = now
			}
			if left := stubTime - now.Sub(p.removed); left > 0 {
				d.Components[key], next.parts[key] = Component{Platform: p.platform}, p
				again = left
			}
		}
		m := s.b.Message(id, d)
		next.sum = sha256.Sum256(m.Payload)
		if all || !known || next.sum != k.sum {
			out = append(out, publication{m, id, &next})
		}
	}
	want(s.b.ID(), Phone{}, s.b.Document())
	for _, p := range ready {
		want(p.ID, p, s.b.Phone(p))
	}
	if waiting > 0 && patient {
		return out, again
	}
	for _, id := range slices.Sorted(maps.Keys(s.docs)) {
		if !wanted[id] {
			out = append(out, publication{mqtt.Message{Topic: s.b.Topic(id), Retained: true}, id, nil})
		}
	}
	return out, again
}

// sent notes that p is on its way to the broker.
func (s *shelf) sent(p publication) {
	if p.kept == nil {
		delete(s.docs, p.id)
		return
	}
	s.put(p.id, *p.kept)
}

// identify gives each phone its id, and what is not known of it just now from its document. A phone is the
// one Home Assistant knows already if it has the MAC, the name, or the address (under a name that is gone)
// of one; its id never changes then, whatever it was made of. A phone of which too little is known has to
// wait.
func (s *shelf) identify(phones []Phone, settled func(Phone) bool) (ready []Phone, waiting int) {
	names := map[string]bool{}
	for _, p := range phones {
		names[p.Name] = true
	}
	ids := slices.Sorted(maps.Keys(s.docs))
	taken := map[string]bool{s.b.ID(): true}
	found := make([]string, len(phones))
	match := func(is func(p Phone, k Phone) bool) {
		for i, p := range phones {
			for _, id := range ids {
				k := s.docs[id].phone
				contradicts := p.MAC != "" && k.MAC != "" && !strings.EqualFold(p.MAC, k.MAC)
				if found[i] == "" && !taken[id] && !contradicts && is(p, k) {
					found[i] = id
					taken[id] = true
				}
			}
		}
	}
	sameMAC := func(p, k Phone) bool { return p.MAC != "" && strings.EqualFold(p.MAC, k.MAC) }
	match(func(p, k Phone) bool { return sameMAC(p, k) && p.Name == k.Name })
	match(sameMAC)
	match(func(p, k Phone) bool { return p.Name == k.Name })
	match(func(p, k Phone) bool { return p.URL != "" && p.URL == k.URL && !names[k.Name] })
	for i, p := range phones {
		if p.ID = found[i]; p.ID == "" {
			if p.MAC == "" && !settled(p) {
				waiting++
				continue
			}
			p.ID = s.b.NewID(p)
			for n := 2; taken[p.ID] || s.docs[p.ID].phone.Name != ""; n++ {
				p.ID = fmt.Sprintf("%s_%d", s.b.NewID(p), n)
			}
			taken[p.ID] = true
		}
		old := s.docs[p.ID].phone
		for to, from := range map[*string]string{&p.MAC: old.MAC, &p.Model: old.Model, &p.Firmware: old.Firmware} {
			if *to == "" {
				*to = from
			}
		}
		ready = append(ready, p)
	}
	return ready, waiting
}
