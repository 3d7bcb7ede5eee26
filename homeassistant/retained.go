package homeassistant

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
	"unique"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// retained is what is known of the documents that the broker retains for this bridge. One goroutine owns it.
type retained struct {
	b    Bridge
	docs map[string]retainedDoc // by id
}

// maxRetained bounds the documents in retained. There are no more phones than that.
const maxRetained = 20_000

// A retainedDoc is a document that the broker retains, or retained when the connection was lost.
type retainedDoc struct {
	sum      digest          // of its payload; zero: not known, or perhaps lost
	phone    *Phone          // the phone it describes, which is not changed; nil: the bridge itself
	entities entitySet       // those it has
	removed  map[string]stub // those it removes, by key
}

type digest [sha256.Size]byte

// A stub is an entity that a document removes.
type stub struct {
	platform string
	since    time.Time
}

// stubTime is how long a document names the entities that it removes, before it omits them.
const stubTime = 5 * time.Second

// An entitySet is a set of entities with their platforms. Most phones of a model have the same, which is kept once.
type entitySet = unique.Handle[string]

// newEntitySet returns the set of these entities, without stubs.
func newEntitySet(all map[string]Component) entitySet {
	var text strings.Builder
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if c := all[key]; !c.stub() {
			text.WriteString(key + "\t" + c.Platform + "\n")
		}
	}
	return unique.Make(text.String())
}

// eachEntity yields the entities of a set with their platforms.
func eachEntity(set entitySet) func(yield func(key, platform string) bool) {
	return func(yield func(key, platform string) bool) {
		if set == (entitySet{}) {
			return
		}
		for line := range strings.Lines(set.Value()) {
			key, platform, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			if !yield(key, platform) {
				return
			}
		}
	}
}

// read parses a payload on the topic of the document of id. ok is false if it is not a document of this bridge: those
// have this program as origin, and the state of this bridge in their availability.
func (b Bridge) read(id string, payload []byte) (doc retainedDoc, ok bool) {
	if !bytes.Contains(payload, []byte(`"`+originName+`"`)) || strings.ContainsFunc(id, func(r rune) bool { return !isPlain(r) }) {
		return retainedDoc{}, false
	}
	var d Document
	if err := json.Unmarshal(payload, &d); err != nil || d.Origin.Name != originName {
		return retainedDoc{}, false
	}
	doc = retainedDoc{sum: sha256.Sum256(payload), entities: newEntitySet(d.Components)}
	for key, c := range d.Components {
		if !plainKey(key) || !plainKey(c.Platform) {
			return retainedDoc{}, false // this program wrote none
		}
		if c.stub() {
			if doc.removed == nil {
				doc.removed = map[string]stub{}
			}
			doc.removed[key] = stub{c.Platform, time.Unix(0, 0)} // long enough
		}
	}
	if id == b.ID() {
		return doc, true
	}
	if len(d.Availability) != 2 || d.Availability[0].Topic != b.Tree.State() {
		return retainedDoc{}, false
	}
	name, ok := b.phoneOf(d.Availability[1].Topic)
	if !ok {
		return retainedDoc{}, false
	}
	control := false
	for _, c := range d.Components {
		control = control || c.CommandTopic != ""
	}
	doc.phone = &Phone{ID: id, Name: name, NoControl: !control, URL: d.Device.ConfigurationURL, Model: d.Device.Model, Firmware: d.Device.SWVersion, MAC: macIn(id, d.Device)}
	return doc, true
}

// macIn returns the MAC of a device: as the document names it, or as its identifier is made of it.
func macIn(id string, d Device) string {
	named := []string{d.SerialNumber}
	for _, c := range d.Connections {
		if c[0] == "mac" {
			named = append(named, strings.ReplaceAll(c[1], ":", ""))
		}
	}
	for _, mac := range named {
		if isHexMAC(mac) {
			return strings.ToLower(mac)
		}
	}
	mac, _ := macOf(id)
	return mac
}

func plainKey(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return !isPlain(r) })
}

// foreign reports whether a payload is the document of another bridge of this program.
func foreign(payload []byte) bool {
	var d struct{ Origin Origin }
	return json.Unmarshal(payload, &d) == nil && d.Origin.Name == originName
}

// put notes that the broker retains doc.
func (r *retained) put(id string, doc retainedDoc) {
	if _, known := r.docs[id]; known || len(r.docs) < maxRetained {
		r.docs[id] = doc
	}
}

// correctMAC notes which MAC the phone of a document has.
func (r *retained) correctMAC(id, mac string) {
	doc, known := r.docs[id]
	if !known || doc.phone == nil || doc.phone.MAC == mac {
		return
	}
	phone := *doc.phone
	phone.MAC = mac
	doc.phone = &phone
	r.docs[id] = doc
}

// lost notes that the broker may have lost everything. Which phone has which id stays known.
func (r *retained) lost() {
	for id, doc := range r.docs {
		doc.sum = digest{}
		r.docs[id] = doc
	}
}

// received takes a document, or what stands in its place, that the broker sent because it is retained.
func (r *retained) received(id string, doc retainedDoc, ours bool) {
	if ours {
		r.put(id, doc)
	} else {
		delete(r.docs, id)
	}
}

// altered takes the digest of a document that was published while the bridge was connected, most often by itself. It
// reports whether the broker retains something else now than this bridge published last: another client altered or
// cleared the document. Home Assistant clears it when an entity that is disabled is deleted, and older releases lose the
// whole device thereby.
func (r *retained) altered(id string, sum digest) bool {
	doc, known := r.docs[id]
	if !known || doc.sum == sum {
		return false
	}
	doc.sum = sum
	r.docs[id] = doc
	return true
}

// takenOver notes that another bridge published a document with this id. It reports whether it was this bridge's: it is
// the other one's then, until something about the phone changes here.
func (r *retained) takenOver(id string) bool {
	_, known := r.docs[id]
	delete(r.docs, id)
	return known
}

// next returns the message that makes the document of id what it should be, and what to remember when it was sent. send
// is false if the broker has it already. After again the document changes by itself: it omits what it removed.
func (r *retained) next(id string, phone *Phone, d Document, now time.Time) (m mqtt.Message, doc retainedDoc, send bool, again time.Duration) {
	old, known := r.docs[id]
	doc = retainedDoc{phone: phone, entities: newEntitySet(d.Components)}
	remove := func(key, platform string, since time.Time) {
		if c, there := d.Components[key]; there && c.Platform == platform {
			return
		}
		left := stubTime - now.Sub(since)
		if left <= 0 {
			return
		}
		// Home Assistant removes an entity of which only the platform is left; one that is omitted it keeps. Hence two
		// documents, one after the other.
		d.Components[key] = Component{Platform: platform}
		if doc.removed == nil {
			doc.removed = map[string]stub{}
		}
		doc.removed[key] = stub{platform, since}
		again = max(again, left)
	}
	for key, s := range old.removed {
		remove(key, s.platform, s.since)
	}
	for key, platform := range eachEntity(old.entities) {
		if _, going := old.removed[key]; !going {
			remove(key, platform, now)
		}
	}
	m = r.b.Message(id, d)
	doc.sum = sha256.Sum256(m.Payload)
	return m, doc, !known || doc.sum != old.sum, again
}
