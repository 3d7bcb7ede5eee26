package snom

import (
	_ "embed"
	"fmt"
	"slices"
	"sync"

	"github.com/snom2mqtt/snom2mqtt/internal/csvtable"
)

// A Module is what is known of an expansion module at phones of one model. Its keys are programmable keys of the phone with
// numbers of their own, and their lights go on with these numbers. Modules are values.
type Module struct {
	Name  string // "D7C"
	First int    // the number of its first key where it is the first module: 33 for P33
	Keys  int    // how many it has
	Most  int    // how many modules a phone may have, one behind the other

	// Evidence says how well First, Keys and Most are known, by Source.
	Evidence Evidence
	Source   string

	LED         int // the number of the light of its first key; zero: no source says it
	LEDEvidence Evidence
	LEDSource   string

	Remark string // further facts; it may be empty
}

// Last returns the number of the last key of as many modules as a phone may have.
func (e Module) Last() int { return e.First + e.Keys*e.Most - 1 }

// has reports whether the key Pn is on one of the modules.
func (e Module) has(n int) bool { return e.First <= n && n <= e.Last() }

//go:embed modules.csv
var modulesCSV string

// moduleTable is modules.csv: the modules of each model, by its name.
var moduleTable = sync.OnceValue(func() map[string][]Module {
	table := map[string][]Module{}
	for _, r := range csvtable.Rows(modulesCSV) {
		table[r[0]] = append(table[r[0]], Module{
			Name: r[1], First: number(r[2]), Keys: number(r[3]), Most: number(r[4]), Evidence: Evidence(r[5]), Source: r[6],
			LED: number(r[7]), LEDEvidence: Evidence(r[8]), LEDSource: r[9], Remark: r[10],
		})
	}
	return table
})

// Modules returns the expansion modules that are known at phones of the model, in the order of modules.csv.
func (m Model) Modules() []Module { return slices.Clone(moduleTable()[m.Name()]) }

// LEDNumber returns the number that a light has in documents of the minibrowser. first is that of P1 where the settings name
// it, which counts for expansion modules, too; otherwise it is zero, and the tables of models and of modules say it. ok is
// false where no source says it.
func (m Model) LEDNumber(l LED, first int) (number int, ok bool) {
	switch {
	case l.Key == MessageLED:
		return 0, true
	case first != 0:
		return l.Number(first), true
	case m.LED() == 0:
		return 0, false
	}
	_, own := m.KeyCount()
	for _, e := range moduleTable()[m.Name()] {
		if n := l.Number(1); n > own && e.LED != 0 && e.has(n) {
			return e.LED + n - e.First, true
		}
	}
	return l.Number(m.LED()), true
}

// checkModule is checkKey for a key Pn beyond those of the phone itself, of which there are own.
func (m Model) checkModule(n, own int) (warning string) {
	first, last := 0, 0
	for _, e := range moduleTable()[m.Name()] {
		if first == 0 || e.First < first {
			first = e.First
		}
		last = max(last, e.Last())
	}
	switch {
	case n < first:
		return fmt.Sprintf("P%d is beyond the %d keys of %s, and those of its expansion modules begin with P%d", n, own, m, first)
	case last > 0 && n > last:
		return fmt.Sprintf("P%d is beyond the %d keys of %s, and those of as many expansion modules as are known end with P%d", n, own, m, last)
	}
	return fmt.Sprintf("P%d is beyond the %d keys of %s, so it can only be on an expansion module", n, own, m)
}

// checkLED is what is doubtful about the light of a key.
func (m Model) checkLED(key string) (warning string, err error) {
	if warning, err = m.checkKey(key); warning == "" || err != nil {
		return warning, err
	}
	n := LED{Key: key}.Number(1)
	for _, e := range moduleTable()[m.Name()] {
		if _, own := m.KeyCount(); n > own && e.has(n) && e.LED == 0 {
			return warning + ", and no source says which numbers the lights there have: it is counted on from P1", nil
		}
	}
	return warning, nil
}
