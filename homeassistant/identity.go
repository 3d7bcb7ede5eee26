package homeassistant

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
)

// An Identity is what a [Memory] keeps of one phone.
type Identity struct {
	Name     string // in topics
	ID       string // Home Assistant's identifier of the phone
	MAC      string // as the phone reported it; empty: not known
	Model    string // likewise
	Firmware string // likewise
	URL      string // the address of the phone that reported the rest
}

// A Memory keeps the identities of phones across restarts of the bridge and of the broker. Its methods must not block.
type Memory interface {
	Identities() []Identity
	Remember(Identity)
	Forget(name string)
}

// An identification gives each phone its identifier.
//
// A document belongs to the name of its phone for as long as the settings have that name, whatever phones report: a phone
// could otherwise report the MAC of another one, and receive what is meant for it. The exception is a name that has
// another address in the settings than before, if its phone reports another MAC, or the phone at the address of before
// reports the MAC of before: then another phone has the name now. The document of a name that is gone, or that another
// phone has, belongs to the phone at its address, or to the one that reports its MAC: so a phone keeps its device when it
// is renamed.
//
// A MAC that two phones report is used for neither.
type identification struct {
	b       Bridge
	phones  []Phone           // is not changed
	docs    map[string]*Phone // what each document is about, by id
	settled func(Phone) bool  // whether a phone whose MAC is not known had the time to report it

	at       map[string]int    // index of each phone, by name
	atURL    map[string]int    // index of the first phone of each address
	of       map[string]string // id of the document that has a name
	reported []string          // MAC of each phone, as it reports it, in small letters
	found    []string          // id of each phone; empty: none yet
	shared   []bool            // the phone reports a MAC that another one reports, too: it is not used
	taken    map[string]bool   // ids
	looked   int               // how many documents and phones were looked at: a measure for tests
	waiting  int               // phones of which too little is known
}

// An identified phone has its ID, and of what is not known now what its document says.
type identified struct {
	Phone
	mac string // to remember: also a MAC that is not used because two phones report it
}

// identify finds the identifiers of phones: [identification.ready] yields those that have one. conflicts are MACs that
// several phones report, with their names.
func identify(b Bridge, phones []Phone, docs map[string]*Phone, settled func(Phone) bool) (x *identification, conflicts map[string][]string) {
	x = &identification{
		b: b, phones: phones, docs: docs, settled: settled,
		at: make(map[string]int, len(phones)), atURL: make(map[string]int, len(phones)), of: make(map[string]string, len(docs)),
		found: make([]string, len(phones)), reported: make([]string, len(phones)), shared: make([]bool, len(phones)), taken: map[string]bool{b.ID(): true},
	}
	for i, p := range x.phones {
		x.at[p.Name] = i
		x.reported[i] = strings.ToLower(p.MAC)
		if _, twice := x.atURL[p.URL]; !twice && p.URL != "" {
			x.atURL[p.URL] = i
		}
	}
	ids := slices.Sorted(maps.Keys(docs)) // so that the outcome never depends on the order of a map
	x.indexNames(ids)
	x.conflicts(func(i int) *Phone { // before documents are matched by what phones report
		if d := x.docs[x.of[x.phones[i].Name]]; d != nil && !x.givenUp(d) {
			return d
		}
		return nil
	})
	x.byName()
	x.released(ids)
	return x, x.conflicts(func(i int) *Phone { return x.docs[x.found[i]] }) // also with phones that were renamed
}

// mac is the MAC that a phone reports; empty: none that can be used.
func (x *identification) mac(i int) string {
	if x.shared[i] {
		return ""
	}
	return x.reported[i]
}

// macOf is the MAC that a document names.
func (x *identification) macOf(id string) string {
	if d := x.docs[id]; d != nil {
		return d.MAC
	}
	return ""
}

// indexNames finds the document of each name. Of several, the one that has the MAC of the phone counts.
func (x *identification) indexNames(ids []string) {
	for _, id := range ids {
		x.looked++
		d := x.docs[id]
		other, twice := x.of[d.Name]
		if i, there := x.at[d.Name]; twice && there {
			if mac := x.mac(i); mac == "" || x.macOf(other) == mac || d.MAC != mac {
				continue
			}
		}
		x.of[d.Name] = id
	}
}

// conflicts finds the MACs that several phones report, and notes for these phones that theirs is not used. A phone that
// reports none has that of its document.
func (x *identification) conflicts(document func(i int) *Phone) map[string][]string {
	first := map[string]int{} // the first phone of each MAC; not presized: few phones may have reported one
	found := map[string][]string{}
	for i := range x.phones {
		x.looked++
		mac := x.reported[i]
		if mac == "" {
			if d := document(i); d != nil {
				mac = strings.ToLower(d.MAC)
			}
		}
		if mac == "" {
			continue
		}
		j, twice := first[mac]
		if !twice {
			first[mac] = i
			continue
		}
		if found[mac] == nil {
			found[mac] = []string{x.phones[j].Name}
			x.shared[j] = true
		}
		found[mac] = append(found[mac], x.phones[i].Name)
		x.shared[i] = true
	}
	return found
}

// givenUp reports whether the name of a document is gone, or is that of another phone now.
func (x *identification) givenUp(d *Phone) bool {
	i, there := x.at[d.Name]
	if !there {
		return true
	}
	if url := x.phones[i].URL; url == d.URL || d.URL == "" || d.MAC == "" {
		return false
	}
	if mac := x.mac(i); mac != "" {
		return !strings.EqualFold(mac, d.MAC)
	}
	j, there := x.atURL[d.URL]
	return there && strings.EqualFold(x.mac(j), d.MAC)
}

func (x *identification) take(i int, id string) {
	x.found[i] = id
	x.taken[id] = true
}

// byName gives each phone the document of its name.
func (x *identification) byName() {
	for i, p := range x.phones {
		x.looked++
		if id, there := x.of[p.Name]; there && !x.taken[id] && !x.givenUp(x.docs[id]) {
			x.take(i, id)
		}
	}
}

// released gives documents whose name was given up to the phone at the address, or to the one that reports the MAC. The
// address counts first, for it is in the settings, unless the phone there reports another MAC.
func (x *identification) released(ids []string) {
	byURL, byMAC := map[string]string{}, map[string]string{}
	for _, id := range ids {
		x.looked++
		d := x.docs[id]
		if x.taken[id] || !x.givenUp(d) {
			continue
		}
		if _, twice := byURL[d.URL]; !twice && d.URL != "" {
			byURL[d.URL] = id
		}
		if mac := strings.ToLower(d.MAC); mac != "" {
			if _, twice := byMAC[mac]; !twice {
				byMAC[mac] = id
			}
		}
	}
	match := func(index map[string]string, key func(i int) string, fits func(i int, d *Phone) bool) {
		for i := range x.phones {
			x.looked++
			id, there := index[key(i)]
			if there && x.found[i] == "" && !x.taken[id] && fits(i, x.docs[id]) {
				x.take(i, id)
			}
		}
	}
	url := func(i int) string { return x.phones[i].URL }
	match(byURL, url, func(i int, d *Phone) bool { return x.mac(i) == "" || strings.EqualFold(x.mac(i), d.MAC) })
	match(byMAC, x.mac, func(int, *Phone) bool { return true })
	match(byURL, url, func(_ int, d *Phone) bool { return d.MAC == "" })
}

// ready gives the phones without a document a new identifier, and yields all that have one, completed. It may be called
// once.
func (x *identification) ready() iter.Seq[identified] {
	return func(yield func(identified) bool) {
		for i, p := range x.phones {
			p.MAC = x.mac(i)
			if p.ID = x.found[i]; p.ID == "" {
				if p.MAC == "" && !x.shared[i] && !x.settled(p) {
					x.waiting++
					continue
				}
				p.ID = x.newID(p)
				x.taken[p.ID] = true
			}
			if !yield(x.complete(p, x.shared[i])) {
				return
			}
		}
	}
}

// complete adds to a phone what it does not report now and its document says. The MAC that two phones report is to be
// remembered, and not used.
func (x *identification) complete(p Phone, shared bool) identified {
	old, asked := x.docs[p.ID], p.Asked
	p.Asked = false
	if old == nil {
		return identified{p, p.MAC}
	}
	mac := cmp.Or(p.MAC, strings.ToLower(old.MAC))
	if !shared {
		p.MAC = mac
	}
	p.NoControl = p.NoControl || !asked && p.Model == "" && old.NoControl
	p.Model, p.Firmware = cmp.Or(p.Model, old.Model), cmp.Or(p.Firmware, old.Firmware)
	return identified{p, mac}
}

// newID returns an identifier that no document has: made of the MAC, or else of the name.
func (x *identification) newID(p Phone) string {
	id := x.b.NewID(p)
	for n := 1; x.taken[id] || x.docs[id] != nil; n++ {
		if id = x.b.nameID(p.Name); n > 1 {
			id = fmt.Sprintf("%s_%d", id, n)
		}
	}
	return id
}
