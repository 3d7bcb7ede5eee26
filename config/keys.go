package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Keys are the programmable keys of a phone that have a meaning. They have a pointer of their own, since few phones have any.
type Keys struct {
	List []Key // by number
}

// All returns the keys; a nil Keys has none.
func (k *Keys) All() []Key {
	if k == nil {
		return nil
	}
	return k.List
}

// A Key is one programmable key of a phone.
type Key struct {
	Number int    // from 1
	Name   string // in events; empty: none
	Label  string // on the phone's display; empty: the name
	Short  string // the short label; empty: the label, on phones that are known to have one
	Open   string // the door that a press opens; empty: none
	Run    string // the macro that a press runs; empty: none
	Where  string `json:"-"` // it stands in the phones file
}

// keyKeys are the keys of a key's settings.
var keyKeys = []string{"name", "label", "short_label", "open", "run"}

// Limits of keys. That there are at most 300 is a limit of the command led, too.
const (
	maxKeyNumber = 300
	maxKeyText   = 64
)

// keys checks the section of a phone's keys.
func (f phonesFile) keys(phone string, section *node) *Keys {
	if section.kind != mapping {
		f.wrong(section, "%s: keys: expected a key for each, and what it is for below it, such as P1: {name: garage}", shown(phone))
		return nil
	}
	var all Keys
	for key, is := range section.pairs() {
		number, ok := strings.CutPrefix(strings.ToUpper(key.text), "P")
		n, err := strconv.Atoi(number)
		switch {
		case !ok || err != nil || n < 1 || n > maxKeyNumber || strconv.Itoa(n) != number:
			f.wrong(key, "%s: keys: expected a key from P1 to P%d", shown(phone), maxKeyNumber)
			continue
		case slices.ContainsFunc(all.List, func(k Key) bool { return k.Number == n }):
			f.wrong(key, "%s: keys: P%d: written twice", shown(phone), n)
			continue
		case is.kind != mapping && is.kind != nothing:
			f.wrong(is, "%s: keys: P%d: expected what it is for, such as {name: garage, label: Garage}", shown(phone), n)
			continue
		}
		all.List = append(all.List, f.key(phone, n, key, is))
	}
	if len(all.List) == 0 {
		return nil
	}
	slices.SortFunc(all.List, func(a, b Key) int { return cmp.Compare(a.Number, b.Number) })
	return &all
}

// key checks one key.
func (f phonesFile) key(phone string, number int, at, is *node) Key {
	what := fmt.Sprintf("%s: keys: P%d: ", shown(phone), number)
	k := Key{Number: number, Where: fmt.Sprintf("%s:%d:%d", f.path, at.line, at.column)}
	f.members(is, keyKeys, func(i int, value *node) {
		text := f.oneText(what+keyKeys[i], value)
		if value.kind != scalar || text == "" {
			return
		}
		if len(text) > maxKeyText || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) || strings.TrimSpace(text) != text {
			f.wrong(value, "%s%s: expected 1 to %d bytes in one line, without blanks at the ends", what, keyKeys[i], maxKeyText)
		}
		switch i {
		case 0:
			k.Name = text
		case 1:
			k.Label = text
		case 2:
			k.Short = text
		case 3:
			k.Open = text
		case 4:
			k.Run = text
		}
	})
	if k.Open != "" && k.Run != "" {
		f.wrong(at, "%sexpected open or run, not both: a macro can open a door, too, by its tones", what)
	}
	return k
}

// keysMean checks that the doors and macros that keys name are there.
func (f phonesFile) keysMean(r Roster) {
	doors, macros := map[string]bool{}, map[string]Macro{}
	for _, d := range r.Doors {
		doors[d.Name] = true
	}
	for _, m := range r.Macros {
		macros[m.Name] = m
	}
	for _, p := range r.Phones {
		for _, k := range p.Keys.All() {
			if k.Open != "" && !doors[k.Open] {
				f.add(k.Where, "%s: keys: P%d: open: no door has the name %s", p.Name, k.Number, shown(k.Open))
			}
			m, ok := macros[k.Run]
			switch {
			case k.Run == "":
			case !ok:
				f.add(k.Where, "%s: keys: P%d: run: no macro has the name %s", p.Name, k.Number, shown(k.Run))
			case (m.Phone == "" || m.Phone == p.Name) && m.presses(k.Number):
				f.add(k.Where, "%s: keys: P%d: run: the macro %s presses this key, and would run again and again", p.Name, k.Number, shown(k.Run))
			}
		}
	}
}

// presses reports whether m presses the programmable key of that number.
func (m Macro) presses(number int) bool {
	key := "P" + strconv.Itoa(number)
	return slices.ContainsFunc(slices.Concat(m.Steps, m.Otherwise), func(s MacroStep) bool {
		for e := range s.Command.KeyEvents() {
			if e.Key == key {
				return true
			}
		}
		return false
	})
}
