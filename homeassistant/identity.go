package homeassistant

import (
	"fmt"
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

// identify gives each phone its identifier.
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
	phones  []Phone
	docs    map[string]Phone // what each document is about, by id
	settled func(Phone) bool // whether a phone whose MAC is not known had the time to report it

	at       map[string]int    // index of each phone, by name
	atURL    map[string]int    // index of the first phone of each address
	of       map[string]string // id of the document that has a name
	reported []string          // MAC of each phone, as it reports it
	found    []string          // id of each phone; empty: none yet
	shared   []bool            // the phone reports a MAC that another one reports, too
	taken    map[string]bool   // ids
	looked   int               // how many documents and phones were looked at: a measure for tests
	waiting  int               // phones of which too little is known
}

// An identified phone has its ID, and of what is not known now what its document says.
type identified struct {
	Phone
	mac string // to remember: also a MAC that is not used because two phones report it
}

// identify returns the phones that have an identifier. conflicts are MACs that several phones report, with their names.
func identify(b Bridge, phones []Phone, docs map[string]Phone, settled func(Phone) bool) (ready []identified, conflicts map[string][]string, x *identification) {
	x = &identification{
		b: b, phones: slices.Clone(phones), docs: docs, settled: settled,
		at: make(map[string]int, len(phones)), atURL: make(map[string]int, len(phones)), of: make(map[string]string, len(docs)),
		found: make([]string, len(phones)), reported: make([]string, len(phones)), shared: make([]bool, len(phones)), taken: map[string]bool{b.ID(): true},
	}
	for i, p := range x.phones {
		x.at[p.Name] = i
		x.reported[i] = strings.ToLower(p.MAC)
		x.phones[i].MAC = x.reported[i]
		if _, twice := x.atURL[p.URL]; !twice && p.URL != "" {
			x.atURL[p.URL] = i
		}
	}
	ids := slices.Sorted(maps.Keys(docs)) // so that the outcome never depends on the order of a map
	x.indexNames(ids)
	x.conflicts(func(i int) Phone { // before documents are matched by what phones report
		if d := x.docs[x.of[x.phones[i].Name]]; !x.givenUp(d) {
			return d
		}
		return Phone{}
	})
	x.byName()
	x.released(ids)
	conflicts = x.conflicts(func(i int) Phone { return x.docs[x.found[i]] }) // also with phones that were renamed
	return x.finish(), conflicts, x
}

// indexNames finds the document of each name. Of several, the one that has the MAC of the phone counts.
func (x *identification) indexNames(ids []string) {
	for _, id := range ids {
		x.looked++
		d := x.docs[id]
		other, twice := x.of[d.Name]
		if i, there := x.at[d.Name]; twice && there {
			mac := x.phones[i].MAC
			if mac == "" || x.docs[other].MAC == mac || d.MAC != mac {
				continue
			}
		}
		x.of[d.Name] = id
	}
}

// conflicts finds the MACs that several phones report, and notes for these phones that theirs is not used. A phone that
// reports none has that of its document.
func (x *identification) conflicts(document func(i int) Phone) map[string][]string {
	claims := make(map[string][]int, len(x.phones))
	for i := range x.phones {
		x.looked++
		mac := x.reported[i]
		if mac == "" {
			mac = strings.ToLower(document(i).MAC)
		}
		if mac != "" {
			claims[mac] = append(claims[mac], i)
		}
	}
	found := map[string][]string{}
	for mac, all := range claims {
		if len(all) == 1 {
			continue
		}
		for _, i := range all {
			x.phones[i].MAC, x.shared[i] = "", true
			found[mac] = append(found[mac], x.phones[i].Name)
		}
	}
	return found
}

// givenUp reports whether the name of a document is gone, or is that of another phone now.
func (x *identification) givenUp(d Phone) bool {
	i, there := x.at[d.Name]
	if !there {
		return true
	}
	p := x.phones[i]
	if p.URL == d.URL || d.URL == "" || d.MAC == "" {
		return false
	}
	if p.MAC != "" {
		return !strings.EqualFold(p.MAC, d.MAC)
	}
	j, there := x.atURL[d.URL]
	return there && strings.EqualFold(x.phones[j].MAC, d.MAC)
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
	match := func(index map[string]string, key func(p Phone) string, fits func(p, d Phone) bool) {
		for i, p := range x.phones {
			x.looked++
			id, there := index[key(p)]
			if there && x.found[i] == "" && !x.taken[id] && fits(p, x.docs[id]) {
				x.take(i, id)
			}
		}
	}
	url := func(p Phone) string { return p.URL }
	mac := func(p Phone) string { return p.MAC }
	match(byURL, url, func(p, d Phone) bool { return p.MAC == "" || strings.EqualFold(p.MAC, d.MAC) })
	match(byMAC, mac, func(Phone, Phone) bool { return true })
	match(byURL, url, func(p, d Phone) bool { return d.MAC == "" })
}

// finish gives the phones without a document a new identifier, and completes all.
func (x *identification) finish() (ready []identified) {
	for i, p := range x.phones {
		p.ID = x.found[i]
		if p.ID == "" {
			if p.MAC == "" && !x.shared[i] && !x.settled(p) {
				x.waiting++
				continue
			}
			p.ID = x.newID(p)
			x.taken[p.ID] = true
		}
		old := x.docs[p.ID]
		mac := p.MAC
		if mac == "" {
			mac = strings.ToLower(old.MAC)
		}
		if !x.shared[i] {
			p.MAC = mac
		}
		p.NoControl = p.NoControl || p.Model == "" && old.NoControl
		if p.Model == "" {
			p.Model = old.Model
		}
		if p.Firmware == "" {
			p.Firmware = old.Firmware
		}
		ready = append(ready, identified{p, mac})
	}
	return ready
}

// newID returns an identifier that no document has: made of the MAC, or else of the name.
func (x *identification) newID(p Phone) string {
	id := x.b.NewID(p)
	for n := 1; x.taken[id] || x.docs[id].Name != ""; n++ {
		if id = x.b.nameID(p.Name); n > 1 {
			id = fmt.Sprintf("%s_%d", id, n)
		}
	}
	return id
}
