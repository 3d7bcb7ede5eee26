package snom

import (
	_ "embed"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/snom2mqtt/snom2mqtt/internal/csvtable"
)

// A Key is one row of the table of key names.
type Key struct {
	Name     string // as in a request: "CANCEL"; of a numbered row the first, "P1"
	Last     string // of a numbered row the last, "P300"; otherwise empty
	Does     string // what pressing it does
	Only     string // the models and series, separated by spaces, that may have it; empty: all
	Except   string // the models and series that certainly do not have it
	Usual    string // the models and series it is documented for, where others may have it as well
	Evidence Evidence
	Source   string
	Remark   string // further facts; may be empty

	prefix      string // of a numbered row: what stands before the number
	first, last int    // of a numbered row: its bounds
}

// Where describes the phones that have the key: "all", "all but 870", "1xx, 2xx",
// "3xx, 220, perhaps D3xx".
func (k Key) Where() string {
	switch {
	case k.Except != "":
		return "all but " + join(k.Except)
	case k.Usual == "" && k.Only == "":
		return "all"
	case k.Usual == "":
		return join(k.Only)
	case k.Only == "":
		return join(k.Usual) + ", perhaps others"
	}
	others := slices.DeleteFunc(strings.Fields(k.Only), func(name string) bool {
		return slices.Contains(strings.Fields(k.Usual), name)
	})
	return join(k.Usual) + ", perhaps " + strings.Join(others, ", ")
}

//go:embed keys.csv
var keysCSV string

// keyTable is keys.csv and where its rows are: by name, and of numbered rows by what stands before the
// number.
var keyTable = sync.OnceValue(func() (table struct {
	rows             []Key
	byName, byPrefix map[string]int
}) {
	table.byName, table.byPrefix = map[string]int{}, map[string]int{}
	for i, r := range csvtable.Rows(keysCSV) {
		k := Key{
			Name: r[0], Last: r[1], Does: r[2], Only: r[3], Except: r[4], Usual: r[5],
			Evidence: Evidence(r[6]), Source: r[7], Remark: r[8],
		}
		if k.Last == "" {
			table.byName[k.Name] = i
		} else {
			k.prefix = strings.TrimRight(k.Name, "0123456789")
			k.first, k.last = number(k.Name[len(k.prefix):]), number(k.Last[len(k.prefix):])
			table.byPrefix[k.prefix] = i
		}
		table.rows = append(table.rows, k)
	}
	return table
})

// KeyTable returns all key names that a key sequence may hold, in the order of keys.csv.
func KeyTable() []Key { return slices.Clone(keyTable().rows) }

// Keys returns the names of the keys that the model has, as far as is known, those of expansion modules left out: of the
// programmable keys as many as the most generous source says, or none.
func (m Model) Keys() []string {
	var names []string
	for i := range keyTable().rows {
		k := &keyTable().rows[i]
		first, last := k.first, k.last
		switch {
		case !m.IsZero() && (k.Only != "" && !m.is(k.Only) || m.is(k.Except) || k.Usual != "" && !m.is(k.Usual)):
			continue
		case k.Last == "":
			names = append(names, k.Name)
			continue
		case k.Name == "P1":
			_, last = m.KeyCount()
		case k.Only != "": // the keys of an expansion module
			continue
		}
		for n := first; n <= last; n++ {
			names = append(names, k.prefix+strconv.Itoa(n))
		}
	}
	return names
}

// findKey returns the row of a key name, and which of a numbered row it is. The row is nil when there is
// no such key.
func findKey(name string) (_ *Key, number int) {
	table := keyTable()
	if i, ok := table.byName[name]; ok {
		return &table.rows[i], 0
	}
	prefix := strings.TrimRight(name, "0123456789")
	if i, ok := table.byPrefix[prefix]; ok {
		key := &table.rows[i]
		if number, bad := decimal(name[len(prefix):], key.first, key.last); bad < 0 {
			return key, number
		}
	}
	return nil, 0
}

// suggestKey returns a suggestion for name, which is no key; empty where there is none.
func suggestKey(name string) string {
	if name == "" || len(name) > maxQuoted {
		return ""
	}
	upper := strings.ToUpper(name)
	if key, _ := findKey(upper); key != nil {
		return "key names are written in capitals: " + upper
	}
	if len(name) > 1 && strings.Trim(name, "0123456789*#") == "" {
		return "one key at a time: " + strings.Join(strings.Split(name, ""), ";")
	}
	if words := strings.Fields(name); len(words) > 1 && !slices.ContainsFunc(words, func(w string) bool { return checkKeyName(w) != nil }) {
		return "keys are joined by semicolons: " + strings.Join(words, ";")
	}
	table := keyTable()
	if i, ok := table.byPrefix[strings.TrimRight(upper, "0123456789")]; ok {
		row, last := table.rows[i], table.rows[i].Last
		for n := row.last + 1; ; n++ { // F4 is a row of its own
			next := row.prefix + strconv.Itoa(n)
			if _, ok := table.byName[next]; !ok {
				break
			}
			last = next
		}
		return "valid names are " + row.Name + " to " + last + ", without leading zeros"
	}
	for _, key := range table.rows {
		if squeezed := squeeze(key.Name); squeezed == squeeze(upper) || squeezed == "F"+squeeze(upper) {
			return "perhaps " + key.Name
		}
	}
	for _, key := range table.rows {
		if len(key.Name) >= minMisspelt && misspelt(upper, key.Name) {
			return "perhaps " + key.Name
		}
	}
	return ""
}

// minMisspelt is the length from which on a word with one mistake is more likely that word than another one.
const minMisspelt = 4

// misspelt reports whether text is word with one letter too many, too few or wrong, or with two letters exchanged.
func misspelt(text, word string) bool {
	i := 0
	for i < len(text) && i < len(word) && text[i] == word[i] {
		i++
	}
	t, w := text[i:], word[i:]
	switch {
	case text == word:
		return false
	case len(t) == len(w)+1:
		return t[1:] == w
	case len(t)+1 == len(w):
		return t == w[1:]
	case len(t) != len(w):
		return false
	}
	return t[1:] == w[1:] || len(t) > 1 && t[0] == w[1] && t[1] == w[0] && t[2:] == w[2:]
}

// squeeze removes the characters that are often left out or written in another way.
func squeeze(name string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("_- ", r) {
			return -1
		}
		return r
	}, name)
}
