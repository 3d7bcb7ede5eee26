package snom

import (
	"iter"
	"net/url"
	"strings"
	"time"
)

// A Command is one thing a phone can be told to do: a [Verb] and its argument, checked. Commands are made
// by [ParseCommand], [ParsePayload] and [Verb.Command], so every Command but the zero one is valid. They
// are comparable with ==: the plain and the JSON form of a command are equal. What a phone takes in two
// spellings, such as the touches "1 2" and "1 2 pr", stays two commands.
type Command struct {
	verb Verb
	arg  string // in canonical form
}

// ParseCommand reads the text form of a command: the verb and, after one space, its argument, as in
// "dial +4930123", "answer" or `ring {"ringer":3,"count":2}`. It is the inverse of [Command.String]. Every
// error is a [*SyntaxError].
func ParseCommand(text string) (Command, error) {
	if len(text) > MaxPayload {
		return newCommand("", nil, tooLong(text))
	}
	name, arg, spaced := strings.Cut(text, " ")
	verb := Verb(name)
	if spaced && arg == "" && verb.Valid() {
		return newCommand(verb, nil, fault(0, "an argument after the space, or no space"))
	}
	a, err := parse(verb, arg)
	return newCommand(verb, a, err)
}

// ParsePayload reads the argument of verb from payload: plain text, or a JSON object (see [IsObject])
// with the members that [VerbHelp] names. Every error is a [*SyntaxError].
func ParsePayload(verb Verb, payload []byte) (Command, error) {
	if len(payload) > MaxPayload {
		return newCommand(verb, nil, tooLong(string(payload[:maxQuoted+1])))
	}
	a, err := parse(verb, string(payload))
	return newCommand(verb, a, err)
}

// Command makes the command of v from the members of a JSON object, which it leaves as they are. A
// member that v does not know is an error. Every error is a [*SyntaxError].
func (v Verb) Command(args Object) (Command, error) {
	a, err := parseMembers(v, args)
	return newCommand(v, a, err)
}

func newCommand(v Verb, a argument, err *SyntaxError) (Command, error) {
	if err == nil {
		return Command{v, a.text()}, nil
	}
	if v.Valid() {
		err.Verb = v
	}
	return Command{}, err
}

// Verb returns what the command does; empty for the zero Command.
func (c Command) Verb() Verb { return c.verb }

// Argument returns the argument in canonical form: plain text where that can say it, otherwise a compact
// JSON object with its members in documented order and without those at their default.
func (c Command) Argument() string { return c.arg }

// String returns the verb and, after a space, the argument when there is one. [ParseCommand] reads it
// back to the same Command.
func (c Command) String() string {
	if c.arg == "" {
		return string(c.verb)
	}
	return string(c.verb) + " " + c.arg
}

// IsZero reports whether c is the zero Command, the only invalid one.
func (c Command) IsZero() bool { return c == Command{} }

// Number returns the number or SIP URI that c would call: of a dial, and of a transfer to a number.
func (c Command) Number() (string, bool) {
	switch a := c.parsed().(type) {
	case call:
		return a.number, true
	case TransferStep:
		return a.Number, a.Number != ""
	}
	return "", false
}

// FirmwareURL returns where a firmware command sends the phone.
func (c Command) FirmwareURL() (*url.URL, bool) {
	if c.verb != VerbFirmware {
		return nil, false
	}
	u, err := url.Parse(c.arg)
	return u, err == nil
}

// Confirmation returns the phone's name with which a reset is confirmed. Whether it is the name of the
// phone that the command goes to is for the caller to check.
func (c Command) Confirmation() (string, bool) {
	if c.verb != VerbReset {
		return "", false
	}
	return c.arg, true
}

// Transfer returns the step of a transfer that c takes.
func (c Command) Transfer() (TransferStep, bool) {
	step, ok := c.parsed().(TransferStep)
	return step, ok
}

// KeyEvents returns the keys that c presses, in order: those of key, answer, hangup current, transfer,
// and dtmf by keys. It is empty for all others.
func (c Command) KeyEvents() iter.Seq[KeyEvent] {
	switch a := c.parsed().(type) {
	case keySequence:
		return a.events()
	case tones:
		if a.byKeys {
			return a.keys().events()
		}
	case TransferStep:
		return a.keys().events()
	case request:
		if a.key != "" {
			return keySequence(a.key).events()
		}
	}
	return func(func(KeyEvent) bool) {}
}

// Steps returns the requests that carry out c, in order. There is exactly one, but for a ring with a
// count and for a transfer. It is nil for the zero Command.
func (c Command) Steps(d Dialect) []Step {
	if c.IsZero() {
		return nil
	}
	return c.parsed().steps(d)
}

// parsed takes the argument apart again, which cannot fail: it was made from what was taken apart. It is
// nil for the zero Command.
func (c Command) parsed() argument {
	if c.IsZero() {
		return nil
	}
	a, _ := parse(c.verb, c.arg)
	return a
}

// A Step is one HTTP GET request to a phone, and the time the phone needs for it.
type Step struct {
	// Target is the path and query of the request exactly as it goes on the wire:
	// "/command.htm?key=P1". It needs no further encoding, and must get none.
	Target string
	// Pause is how long to wait after the phone has accepted the request before it is asked for anything
	// else: what a key sequence holds and pauses in all, what a ring pauses before it rings again, what a
	// call needs to settle before it can be transferred.
	Pause time.Duration
}

// A Dialect is how one generation of firmware spells what changed between them. The zero Dialect is for
// a phone that nobody said it of: keys go as they are written, everything else in the newer spelling.
type Dialect string

// The dialects. Sources: Snom wiki FAQ/Can_I_control_my_snom_phone_remotely (new) and Snom KB entry 40
// (old); the value 0 stands in the copy of that page at snom.codeplex.com/workitem/390.
const (
	DialectNew Dialect = "new" // the hold key is F_HOLD, ringers "+Ringer", call lists are cleared by "clear"
	DialectOld Dialect = "old" // the hold key is F_R, ringers "Play+Ringer", call lists are cleared by "0"
)

// Valid reports whether d is a dialect or zero.
func (d Dialect) Valid() bool { return d == "" || d == DialectNew || d == DialectOld }

// An argument is the argument of a command, taken apart. Each kind has its own type.
type argument interface {
	text() string         // in canonical form
	steps(Dialect) []Step // the requests
}

// parse reads the argument of v in either form.
func parse(v Verb, text string) (argument, *SyntaxError) {
	if !v.Valid() {
		return nil, unknownVerb(v)
	}
	if strings.HasPrefix(strings.TrimLeft(text, jsonSpace), "{") {
		object, err := parseObject([]byte(text))
		if err != nil {
			return nil, err
		}
		return parseMembers(v, object)
	}
	a, err := v.parse(text)
	if err != nil {
		return nil, err.in(text)
	}
	return a, nil
}

func parseMembers(v Verb, object Object) (argument, *SyntaxError) {
	if !v.Valid() {
		return nil, unknownVerb(v)
	}
	m := members{object: object}
	a := v.read(&m)
	return a, m.err
}

// A request is the argument of a command that needs no grammar: one of a few words, or none.
type request struct {
	word   string
	key    string // pressed by the request, if it presses one
	target string
	old    string // the target in DialectOld, if another
}

func (r request) text() string { return r.word }

func (r request) steps(d Dialect) []Step {
	if d == DialectOld && r.old != "" {
		return []Step{{Target: r.old}}
	}
	return []Step{{Target: r.target}}
}
