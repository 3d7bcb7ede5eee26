package snom

import (
	"iter"
	"net/url"
	"time"
)

// A Command is one thing a phone can be told to do: a [Verb] and its argument, checked. Commands are made
// by [ParseCommand], [ParsePayload] and [Verb.Command], so every Command but the zero one is valid; they
// are comparable with ==, and equal when they mean the same.
type Command struct {
	verb Verb
	arg  string // in canonical form
}

// ParseCommand reads the text form of a command: the verb and, after one space, its argument, as in
// "dial +4930123", "answer" or `ring {"ringer":3,"count":2}`. It is the inverse of [Command.String]. Every
// error is a [*SyntaxError].
func ParseCommand(text string) (Command, error) {
	return Command{}, fault(0, "a command")
}

// ParsePayload reads the argument of verb from payload: plain text, or a JSON object (see [IsObject])
// whose members are the ones that [VerbHelp] names. Every error is a [*SyntaxError].
func ParsePayload(verb Verb, payload []byte) (Command, error) {
	return Command{}, fault(0, "a command")
}

// Command makes the command of v from the members of a JSON object, which it leaves as they are. A
// member that v does not know is an error. Every error is a [*SyntaxError].
func (v Verb) Command(args Object) (Command, error) {
	return Command{}, fault(0, "a command")
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

// Number returns the number or SIP URI that c would call: of a dial, and of a transfer that starts.
func (c Command) Number() (string, bool) { return "", false }

// FirmwareURL returns where a firmware command sends the phone.
func (c Command) FirmwareURL() (*url.URL, bool) { return nil, false }

// Confirmation returns the phone's name with which a reset is confirmed. Whether it is the name of the
// phone that the command goes to, the caller checks.
func (c Command) Confirmation() (string, bool) { return "", false }

// Transfer returns the step of a transfer that c takes.
func (c Command) Transfer() (TransferStep, bool) { return TransferStep{}, false }

// KeyEvents returns the keys that c presses, in order, as the newer firmware names them: those of key,
// answer, hangup current, transfer, and dtmf by keys. It is empty for all others.
func (c Command) KeyEvents() iter.Seq[KeyEvent] { return func(yield func(KeyEvent) bool) {} }

// Steps returns the requests that carry out c, in order. There is exactly one, but for a ring with a
// count and for a transfer. It is nil for the zero Command.
func (c Command) Steps(d Dialect) []Step { return nil }

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

// The dialects. Sources: Snom wiki, Can I control my snom phone remotely (newer firmware), and Snom
// knowledge base, the same page for older firmware; the value 0 is in the copy of that page at
// snom.codeplex.com.
const (
	DialectNew Dialect = "new" // the hold key is F_HOLD, ringers "+Ringer", call lists are cleared by "clear"
	DialectOld Dialect = "old" // the hold key is F_R, ringers "Play+Ringer", call lists are cleared by "0"
)

// Valid reports whether d is a dialect or zero.
func (d Dialect) Valid() bool { return d == "" || d == DialectNew || d == DialectOld }
