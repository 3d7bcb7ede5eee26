package snom

import (
	"encoding/json"
	"iter"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/snom2mqtt/snom2mqtt/internal/strictjson"
)

// A Command is one command for a phone: a [Verb] and its argument, parsed. Commands are made by
// constructors such as [Dial] and [Hangup], by [ParseCommand], [ParsePayload] and [Verb.Command], so every
// Command except the zero one is valid. They are comparable with ==: the plain and the JSON form of a command
// are equal. What a phone takes in two spellings, such as the touches "1 2" and "1 2 pr", stays two commands.
type Command struct {
	row *verbRow // nil: the zero Command
	arg argument
}

// ParseCommand reads the text form of a command: the verb and, after one space, its argument, as in
// "dial +4930123", "answer" or `ring {"ringer":3,"count":2}`. It is the inverse of [Command.String]. Every
// error is a [*SyntaxError].
func ParseCommand(text string) (Command, error) {
	name, arg, spaced := strings.Cut(text, " ")
	verb := Verb(name)
	if most := verb.MaxPayload(); len(text) > most {
		return Command{}, tooLong(text, most)
	}
	if spaced && arg == "" && verb.Valid() {
		err := fault(0, "an argument after the space, or no space")
		err.Verb = verb
		return Command{}, err
	}
	return newCommand(verb, arg)
}

// ParsePayload reads the argument of verb from payload: plain text, or a JSON object (its first byte after JSON white space is an opening brace)
// with the members that [VerbHelp] names. Every error is a [*SyntaxError].
func ParsePayload(verb Verb, payload []byte) (Command, error) {
	if most := verb.MaxPayload(); len(payload) > most {
		err := tooLong(string(payload[:maxQuoted+1]), most)
		if verb.Valid() {
			err.Verb = verb
		}
		return Command{}, err
	}
	return newCommand(verb, string(payload))
}

// Command returns the command of v with the members of a JSON object as argument. It does not change args. A
// member that v does not know is an error. Every error is a [*SyntaxError].
func (v Verb) Command(args map[string]json.RawMessage) (Command, error) {
	row := v.row()
	if row == nil {
		return Command{}, unknownVerb(v)
	}
	return row.command(row.fromObject(args, newCommand))
}

// newCommand reads the argument of v in either form.
func newCommand(v Verb, text string) (Command, error) {
	row := v.row()
	if row == nil {
		return Command{}, unknownVerb(v)
	}
	return row.command(row.fromText(text, newCommand))
}

// A reader reads a command. What an argument contains is read by it, and not by the rows, which cannot refer to
// themselves.
type reader func(v Verb, text string) (Command, error)

// fromText reads the argument in either form. Commands in it are read by inner.
func (r *verbRow) fromText(text string, inner reader) (argument, *SyntaxError) {
	if strings.HasPrefix(strings.TrimLeft(text, strictjson.White), "{") {
		object, err := parseObject([]byte(text))
		if err != nil {
			return nil, err
		}
		return r.fromObject(object, inner)
	}
	if r.parse == nil {
		if text != "" {
			return nil, fault(0, "nothing: "+string(r.verb)+" has no argument").in(text)
		}
		return r.only, nil
	}
	a, err := r.parse(text)
	if err != nil {
		return nil, inLowerCase(err, text, r.parse).in(text)
	}
	return a, nil
}

// inLowerCase adds to an error the hint that the word would be right in lower case.
func inLowerCase[A any](err *SyntaxError, text string, parse func(string) (A, *SyntaxError)) *SyntaxError {
	lower := strings.ToLower(text)
	if err.Hint != "" || lower == text || strings.Trim(lower, "abcdefghijklmnopqrstuvwxyz") != "" {
		return err
	}
	if _, wrong := parse(lower); wrong == nil {
		err.Hint = "in lower case: " + lower
	}
	return err
}

// fromObject reads the argument from the members of a JSON object.
func (r *verbRow) fromObject(object strictjson.Object, inner reader) (argument, *SyntaxError) {
	m := members{object: object, inner: inner}
	m.only(r.members...)
	if r.read == nil {
		return r.only, m.err
	}
	return r.read(&m), m.err
}

// command makes the command of an argument, or adds the verb to the error.
func (r *verbRow) command(a argument, err *SyntaxError) (Command, error) {
	if err != nil {
		err.Verb = r.verb
		return Command{}, err
	}
	return Command{r, a}, nil
}

// made returns the command of v with an argument that is known to be valid.
func made(v Verb, a argument) Command { return Command{v.row(), a} }

// fromPlain returns the command of v with the argument that text is, which is never read as JSON.
func fromPlain(v Verb, text string) (Command, error) {
	row := v.row()
	a, err := row.parse(text)
	if err != nil {
		err.in(text)
	}
	return row.command(a, err)
}

// Verb returns the name of the command; empty for the zero Command.
func (c Command) Verb() Verb {
	if c.row == nil {
		return ""
	}
	return c.row.verb
}

// Argument returns the argument in canonical form: plain text where there is one, otherwise a compact
// JSON object with its members in documented order and without those at their default.
func (c Command) Argument() string {
	if c.row == nil {
		return ""
	}
	return c.arg.text()
}

// Shown returns the argument as it may be shown: that of [Command.Argument], with the size of a picture in the place of its
// bytes, and *** in the place of the value of a setting for which [SettingBarred] holds: it may be a password.
func (c Command) Shown() string {
	switch a := c.arg.(type) {
	case show:
		return a.shown()
	case set:
		return a.shown().text()
	}
	return c.Argument()
}

// Size returns about how many bytes the argument of c takes, where that may be many; otherwise 0.
func (c Command) Size() int {
	if a, ok := c.arg.(show); ok {
		return len(a)
	}
	return 0
}

// Displays reports whether the phone fetches a page for c from the program that sends it: [Command.Steps] has no requests of c.
func (c Command) Displays() bool { return c.row != nil && c.row.displays }

// String returns the verb and, after a space, the argument when there is one. [ParseCommand] reads it
// back to the same Command.
func (c Command) String() string {
	if arg := c.Argument(); arg != "" {
		return string(c.row.verb) + " " + arg
	}
	return string(c.Verb())
}

// IsZero reports whether c is the zero Command, the only invalid one.
func (c Command) IsZero() bool { return c.row == nil }

// Effects returns what c does beside its requests; zero for the zero Command.
func (c Command) Effects() Effects {
	if c.row == nil || c.row.effects == nil {
		return Effects{}
	}
	return c.row.effects(c.arg)
}

// WhenIdle returns the objection to c on a phone that is known to have no call, in words, and whether c should be
// refused for it. The objection is empty where there is none.
func (c Command) WhenIdle() (objection string, refused bool) {
	switch {
	case c.row == nil:
		return "", false
	case c.row.idleRefusal != "":
		return c.row.idleRefusal, true
	}
	return c.row.idleWarning, false
}

// Number returns the number or SIP URI that c calls, or has others call: of a dial, of a transfer to a number, and of a
// forward to one.
func (c Command) Number() (string, bool) {
	switch a := c.arg.(type) {
	case call:
		return a.number, true
	case TransferStep:
		return a.Number, a.Number != ""
	case forward:
		return a.to, a.to != ""
	}
	return "", false
}

// FirmwareURL returns where a firmware command sends the phone.
func (c Command) FirmwareURL() (*url.URL, bool) {
	a, ok := c.arg.(firmware)
	if !ok {
		return nil, false
	}
	u, err := url.Parse(string(a))
	return u, err == nil
}

// Confirmation returns the phone's name with which a reset is confirmed. Whether it is the name of the
// phone that the command goes to is for the caller to check.
func (c Command) Confirmation() (string, bool) {
	a, ok := c.arg.(confirmation)
	return string(a), ok
}

// Transfer returns the step of a transfer that c takes.
func (c Command) Transfer() (TransferStep, bool) {
	step, ok := c.arg.(TransferStep)
	return step, ok
}

// KeyEvents returns the keys that c presses, in order: those of key, answer, hangup current, transfer,
// dnd toggle, and dtmf by keys. It is empty for all others.
func (c Command) KeyEvents() iter.Seq[KeyEvent] {
	var keys keySequence
	if a, ok := c.arg.(presser); ok {
		keys = a.keys()
	}
	return keys.events()
}

// Steps returns the requests that carry out c, in order. There is exactly one, except for a ring with a
// count and for a transfer. It is nil for "ring stop", which needs no request, and for the zero Command.
func (c Command) Steps(d Dialect) []Step {
	if c.row == nil {
		return nil
	}
	return c.arg.steps(d)
}

// A Step is one request to a phone, and the time the phone needs for it. Only the transport that planned the step reads
// Request.
type Step struct {
	// Request is what the transport sends. Of a [Client] it is the path and query of a GET exactly as it goes on the wire:
	// "/command.htm?key=P1". It needs no further encoding, and must get none.
	Request string
	// Pause is how long to wait after the phone has accepted the request, before the next request to it: the
	// hold times and pauses of a key sequence, the pause between two rings, the time that a call needs before
	// it can be transferred.
	Pause time.Duration
	// NotAfter is the time after which the first byte of no request of the step is written; zero: no limit.
	NotAfter time.Time
	// Revoked, if not nil, is set when the request must not be made any more: the first byte of no request of the step is
	// written after that.
	Revoked *atomic.Bool
}

// Over returns why no request of the step may be sent any more: an error that wraps [ErrExpired] or [ErrRevoked]; nil: it may.
func (s Step) Over() error {
	if !s.NotAfter.IsZero() {
		if now := time.Now(); late(now.Sub(s.NotAfter), now.Round(0).Sub(s.NotAfter.Round(0))) {
			return ErrExpired
		}
	}
	if s.Revoked != nil && s.Revoked.Load() {
		return ErrRevoked
	}
	return nil
}

// Shown returns the request as it may be shown to people: whole, or, of a secret argument, with *** in place of all that
// was made from it.
func (s Step) Shown(secret bool) string {
	if !secret {
		return s.Request
	}
	path, _, query := strings.Cut(s.Request, "?")
	name, _, value := strings.Cut(strings.TrimPrefix(s.Request, path+"?"), "=")
	switch {
	case !strings.HasPrefix(s.Request, "/"): // it is no HTTP request: nothing is known of its form
		return "***"
	case query && value:
		return path + "?" + name + "=***"
	}
	return s.Request
}

// A Dialect is the spelling of the requests that changed between generations of firmware. The zero Dialect is for
// a phone whose generation is not known: keys are sent as they are written, everything else in the newer spelling.
type Dialect string

// The dialects. Sources: Snom wiki FAQ/Can_I_control_my_snom_phone_remotely (new) and Snom KB entry 40
// (old); the value 0 stands in the copy of that page at snom.codeplex.com/workitem/390.
const (
	DialectNew Dialect = "new" // the hold key is F_HOLD, ringers "+Ringer", call lists are cleared by "clear"
	DialectOld Dialect = "old" // the hold key is F_R, ringers "Play+Ringer", call lists are cleared by "0"
)

// An argument is the argument of a command, parsed. Each kind is a type of its own, and comparable.
type argument interface {
	text() string         // in canonical form
	steps(Dialect) []Step // the requests that carry out the command
}

// A presser is an argument whose requests may press keys.
type presser interface {
	keys() keySequence // the keys; empty: none
}

// A fixed is the argument of a command that has none and makes one request.
type fixed struct {
	key    string // pressed by the request, if it presses one
	target string
}

// press returns the argument of a command that presses one key.
func press(key string) fixed { return fixed{key: key, target: "/command.htm?key=" + key} }

func (fixed) text() string { return "" }

func (f fixed) keys() keySequence { return keySequence(f.key) }

func (f fixed) steps(Dialect) []Step { return []Step{{Request: f.target}} }
