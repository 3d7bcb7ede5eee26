package snom

import "errors"

// ErrUnsupported says that a phone certainly cannot do what it was asked: its kind has no such key or
// command, or cannot be controlled over HTTP at all.
var ErrUnsupported = errors.New("snom: phone does not know this")

// An Answer is yes, no or unknown: what nobody documents is not guessed.
type Answer string

// The answers.
const (
	Yes     Answer = "yes"
	No      Answer = "no"
	Unknown Answer = "unknown"
)

// A Mark says how well a fact is known.
type Mark string

// The marks, from the surest to the least sure.
const (
	MarkDocumented Mark = "S"  // stated in a document of Snom's
	MarkSeen       Mark = "S*" // seen in code that a Snom employee wrote and tried on phones
	MarkReported   Mark = "3"  // seen in code or documents of others
	MarkInferred   Mark = "I"  // concluded from the others; never seen on a phone
)

// A Model is one kind of phone. The zero Model is a phone of which nothing is known; it takes everything
// that is documented. Models are values and comparable.
type Model struct {
	name, aliases, series string
	remote                Answer
	keysLeast, keysMost   int
	identities            int
	touch                 bool
	mark                  Mark
	source, note          string
}

// FindModel returns the model called name in any of the usual spellings and any case: "D735",
// "snomD735", "snom 320", "snom-320", "320".
func FindModel(name string) (Model, bool) { return Model{}, false }

// Models returns all known models, in the order of models.csv.
func Models() []Model { return nil }

// Name returns the model's name without "snom": "D735", "320"; empty for the zero Model.
func (m Model) Name() string { return m.name }

// IsZero reports whether nothing is known of the phone.
func (m Model) IsZero() bool { return m == Model{} }

// Series returns the family: "1xx", "2xx", "3xx", "7xx", "8xx", "D1xx", "D3xx", "D7xx", "D8xx", "M" for
// DECT, "other"; empty for the zero Model. Beware: 8xx are the old 820, 821 and 870, not the D8xx.
func (m Model) Series() string { return m.series }

// RemoteControl says whether the model has the pages that commands are sent to.
func (m Model) RemoteControl() Answer {
	if m.remote == "" {
		return Unknown
	}
	return m.remote
}

// KeyCount returns how many programmable keys P1, P2, … the model has without expansion modules, by the
// least and by the most generous source; they are equal where sources agree, and 0 where nobody says or
// there are none.
func (m Model) KeyCount() (least, most int) { return m.keysLeast, m.keysMost }

// Identities returns how many SIP identities the model has, 0 if that is not known.
func (m Model) Identities() int { return m.identities }

// Touch reports whether the model has the touch screen that the touch command needs.
func (m Model) Touch() bool { return m.touch }

// Mark says how well the model's facts are known.
func (m Model) Mark() Mark { return m.mark }

// Source says who documents the model's facts.
func (m Model) Source() string { return m.source }

// Note says what else is worth knowing of the model; it may be empty.
func (m Model) Note() string { return m.note }

// Check says whether the model can carry out c. The error wraps [ErrUnsupported] for what it certainly
// cannot. Where sources are silent or disagree there is no error but a warning, one short sentence.
func (m Model) Check(c Command) (warning string, err error) { return "", nil }

// A Key is one row of the table of key names.
type Key struct {
	Name   string // as a phone wants it: "CANCEL"; of a numbered row the first, "P1"
	Last   string // of a numbered row the last, "P300"; otherwise empty
	Does   string // what pressing it does
	Only   string // the models and series, separated by spaces, that may have it; empty: all
	Except string // the models and series that certainly do not have it
	Usual  string // the models and series that it is documented for, where others may have it as well
	Old    string // what older firmware calls it, if something else
	Mark   Mark
	Source string
	Note   string
}

// Keys returns all key names a key sequence may hold, in the order of keys.csv.
func Keys() []Key { return nil }
