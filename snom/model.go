package snom

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/snom2mqtt/snom2mqtt/internal/csvtable"
)

// ErrUnsupported says that a phone certainly cannot do what was requested: its model has no such key or
// command, or cannot be controlled over HTTP at all.
var ErrUnsupported = errors.New("snom: not supported")

// A Support says whether a phone can do something. What is not documented is [Unknown].
type Support string

// The values of a Support.
const (
	Yes     Support = "yes"
	No      Support = "no"
	Unknown Support = "unknown"
)

// Evidence says how well a fact is known.
type Evidence string

// The values of Evidence, from the surest to the least sure.
const (
	EvidenceDocumented Evidence = "S"  // stated in a document of Snom's
	EvidenceSeen       Evidence = "S*" // seen in code that a Snom employee wrote and tried on phones
	EvidenceReported   Evidence = "3"  // seen in code or documents of others
	EvidenceInferred   Evidence = "I"  // concluded from the others; never seen on a phone
)

// A Model is one kind of phone. The zero Model is a phone of which nothing is known; it takes everything
// that is documented. Models are values and comparable.
type Model struct {
	row *modelRow // nil: nothing is known. There is one for each kind of phone, so equal Models are equal pointers.
}

// modelRow is a row of models.csv.
type modelRow struct {
	name, series string

	remote   Support
	evidence Evidence
	source   string

	keysLeast, keysMost, identities int

	countsEvidence Evidence
	countsSource   string

	remark string

	screen         Screen
	screenEvidence Evidence
	screenSource   string

	led         int // the number of the light of P1
	ledEvidence Evidence
	ledSource   string

	shortLabel         Support
	shortLabelEvidence Evidence
	shortLabelSource   string
}

//go:embed models.csv
var modelsCSV string

// modelTable is models.csv: the models in its order, and by upper-case name and alias.
var modelTable = sync.OnceValue(func() (table struct {
	rows   []Model
	byName map[string]Model
}) {
	table.byName = map[string]Model{}
	for _, r := range csvtable.Rows(modelsCSV) {
		m := Model{&modelRow{
			name: r[0], series: r[2], remote: Support(r[3]), evidence: Evidence(r[4]), source: r[5],
			keysLeast: number(r[6]), keysMost: number(r[7]), identities: number(r[8]),
			countsEvidence: Evidence(r[9]), countsSource: r[10], remark: r[11],
			screen: screenOf(r[12]), screenEvidence: Evidence(r[13]), screenSource: r[14],
			led: number(r[15]), ledEvidence: Evidence(r[16]), ledSource: r[17],
			shortLabel: Support(r[18]), shortLabelEvidence: Evidence(r[19]), shortLabelSource: r[20],
		}}
		table.rows = append(table.rows, m)
		for _, name := range strings.Fields(m.row.name + " " + r[1]) {
			table.byName[strings.ToUpper(name)] = m
		}
	}
	return table
})

// number reads a number of an embedded table; an empty one is 0.
func number(cell string) int {
	n, err := strconv.Atoi(cell)
	if err != nil && cell != "" {
		panic("snom: embedded table: " + err.Error()) // the tests read every table
	}
	return n
}

// FindModel returns the model called name in any of the usual spellings and any case: "D735",
// "snomD735", "snom 320", "snom-320", "320".
func FindModel(name string) (Model, bool) {
	m, ok := modelTable().byName[strings.TrimPrefix(squeeze(strings.ToUpper(name)), "SNOM")]
	return m, ok
}

// Models returns all known models, in the order of models.csv.
func Models() []Model { return slices.Clone(modelTable().rows) }

// facts returns what is known of the model: nothing, for the zero Model.
func (m Model) facts() modelRow {
	if m.row == nil {
		return modelRow{}
	}
	return *m.row
}

// Name returns the name of the model without "snom": "D735", "320"; empty for the zero Model.
func (m Model) Name() string { return m.facts().name }

// String returns the name for messages: "D735", "snom 320"; "unknown model" for the zero Model.
func (m Model) String() string {
	switch {
	case m.IsZero():
		return "unknown model"
	case isDigit(m.facts().name[0]):
		return "snom " + m.facts().name
	}
	return m.facts().name
}

// IsZero reports whether nothing is known of the phone.
func (m Model) IsZero() bool { return m.row == nil }

// Series returns the family: "1xx", "2xx", "3xx", "7xx", "8xx", "D1xx", "D3xx", "D7xx", "D8xx", "M" for
// DECT, "other"; empty for the zero Model. Beware: 8xx are the old 820, 821 and 870, not the D8xx.
func (m Model) Series() string { return m.facts().series }

// RemoteControl says whether the model has the pages that commands are sent to. [Model.Evidence] and
// [Model.Source] say how that is known.
func (m Model) RemoteControl() Support {
	if m.IsZero() {
		return Unknown
	}
	return m.facts().remote
}

// Evidence says how well [Model.RemoteControl] is known; empty when it is [Unknown].
func (m Model) Evidence() Evidence { return m.facts().evidence }

// Source returns the source of [Model.RemoteControl].
func (m Model) Source() string { return m.facts().source }

// KeyCount returns how many programmable keys P1, P2, … the model has without expansion modules, by the
// least and by the most generous source; they are equal where sources agree, and 0 where it is not known or
// there are none. [Model.CountsEvidence] and [Model.CountsSource] say how that is known.
func (m Model) KeyCount() (least, most int) { return m.facts().keysLeast, m.facts().keysMost }

// Identities returns how many SIP identities the model has, 0 if that is not known.
func (m Model) Identities() int { return m.facts().identities }

// CountsEvidence says how well the numbers of [Model.KeyCount] and [Model.Identities] are known.
func (m Model) CountsEvidence() Evidence { return m.facts().countsEvidence }

// CountsSource returns the source of [Model.KeyCount] and [Model.Identities].
func (m Model) CountsSource() string { return m.facts().countsSource }

// Dialect returns how the model spells what changed between generations of firmware, as far as the model
// alone determines it: the D series came after the older one. It is zero for all other models.
func (m Model) Dialect() Dialect {
	if strings.HasPrefix(m.facts().series, "D") {
		return DialectNew
	}
	return ""
}

// Screen returns the size of the model's display; zero: not known. [Model.ScreenEvidence] and [Model.ScreenSource] say how
// that is known.
func (m Model) Screen() Screen { return m.facts().screen }

// ScreenEvidence says how well [Model.Screen] is known.
func (m Model) ScreenEvidence() Evidence { return m.facts().screenEvidence }

// ScreenSource returns the source of [Model.Screen].
func (m Model) ScreenSource() string { return m.facts().screenSource }

// LED returns the number that the light of the key P1 has in documents of the minibrowser; those of the other keys follow,
// through expansion modules, too. Zero: not known.
func (m Model) LED() int { return m.facts().led }

// LEDEvidence says how well [Model.LED] is known.
func (m Model) LEDEvidence() Evidence { return m.facts().ledEvidence }

// LEDSource returns the source of [Model.LED].
func (m Model) LEDSource() string { return m.facts().ledSource }

// ShortLabels says whether the model has the settings fkey_short_label, the short labels of its keys. [Model.ShortLabelEvidence]
// and [Model.ShortLabelSource] say how that is known.
func (m Model) ShortLabels() Support {
	if s := m.facts().shortLabel; s != "" {
		return s
	}
	return Unknown
}

// ShortLabelEvidence says how well [Model.ShortLabels] is known; empty: no source says anything.
func (m Model) ShortLabelEvidence() Evidence { return m.facts().shortLabelEvidence }

// ShortLabelSource returns the source of [Model.ShortLabels].
func (m Model) ShortLabelSource() string { return m.facts().shortLabelSource }

// Remark returns further facts about the model; it may be empty.
func (m Model) Remark() string { return m.facts().remark }

// is reports whether m is one of the models and series in list, which are separated by spaces.
func (m Model) is(list string) bool {
	f := m.facts()
	for name := range strings.FieldsSeq(list) {
		if name == f.name || name == f.series {
			return true
		}
	}
	return false
}

// Check says whether the model can carry out c. The error wraps [ErrUnsupported] for what it certainly
// cannot. Where sources are silent or disagree there is no error but a warning, one short sentence.
func (m Model) Check(c Command) (warning string, err error) { return m.checkCommand(c, false) }

// CheckRedacted is Check without anything of c's argument, for arguments that must not be shown.
func (m Model) CheckRedacted(c Command) (warning string, err error) { return m.checkCommand(c, true) }

func (m Model) checkCommand(c Command, redacted bool) (warning string, err error) {
	if m.RemoteControl() == No {
		return "", fmt.Errorf("%w: %s cannot be controlled over HTTP: %s", ErrUnsupported, m, m.facts().remark)
	}
	var doubt string
	if c.row != nil && c.row.check != nil {
		if doubt, err = c.row.check(m, c.arg); err != nil {
			return "", err
		}
	}
	if !m.IsZero() && m.facts().remote == Unknown {
		warning = "no source says whether " + m.String() + " can be controlled over HTTP"
		if m.Series() == "D8xx" {
			warning += ": if it refuses, a sip: URL drives it (docs/sip.md)"
		}
	}
	if a, ok := c.arg.(presser); ok {
		doubted, err := m.checkKeys(a.keys(), redacted)
		if err != nil {
			return "", err
		}
		warning = cmp.Or(warning, doubted)
	}
	return cmp.Or(warning, doubt), nil
}

// checkKeys is Check for keys, in order. The warning is about the first key of which something is doubtful.
func (m Model) checkKeys(keys keySequence, redacted bool) (warning string, err error) {
	for event := range keys.events() {
		w, err := m.checkKey(event.Key)
		switch {
		case err != nil && redacted:
			return "", fmt.Errorf("%w: %s lacks one of the keys", ErrUnsupported, m)
		case err != nil:
			return "", err
		case w != "" && redacted:
			w = "it is doubtful whether " + m.String() + " has all of the keys"
		}
		warning = cmp.Or(warning, w)
	}
	return warning, nil
}

// checkKey is Check for one key.
func (m Model) checkKey(name string) (warning string, err error) {
	key, n := findKey(name)
	f := m.facts()
	switch {
	case m.IsZero():
	case key.Only != "" && !m.is(key.Only), m.is(key.Except):
		return "", fmt.Errorf("%w: %s has no key %s (which is on %s)", ErrUnsupported, m, name, key.Where())
	case key.Name == "P1" && f.keysMost > 0 && n > f.keysMost:
		return m.checkModule(n, f.keysMost), nil
	case key.Name == "P1" && f.keysMost > 0 && n > f.keysLeast:
		return fmt.Sprintf("sources disagree whether %s has %d or %d keys, so %s may not exist", m, f.keysLeast, f.keysMost, name), nil
	case key.Usual != "" && !m.is(key.Usual):
		return fmt.Sprintf("%s is documented for %s only, not for %s", name, join(key.Usual), m), nil
	}
	if key.Evidence == EvidenceInferred {
		return name + " is a key of the phone, but no source says that it can be pressed remotely", nil
	}
	return "", nil
}

// join lists the words of a table's cell for people.
func join(list string) string { return strings.Join(strings.Fields(list), ", ") }
