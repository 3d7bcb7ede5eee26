package snom

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Errors of [Transfer.Next].
var (
	ErrNoTransfer       = errors.New("snom: no transfer is under way")
	ErrTransferUnderWay = errors.New("snom: a transfer is under way")
)

// settle is the pause after the key that begins a transfer, so that digits are not sent into the call before it is on
// hold. It is a value of this package: Snom's recipe gives no times.
const settle = 500 * time.Millisecond

// A TransferKind is the kind of a transfer command.
type TransferKind string

// The kinds of transfer commands.
//
// The attended ones follow Snom's recipe (Snom KB entry 40): F_HOLD, the digits one by one, ENTER; then
// TRANSFER. The phone's setting "Call Join on Xfer (2 calls)" must be off for it.
//
// The blind one, TRANSFER, the digits, ENTER, is inferred from how the keys work by hand; it has not been
// confirmed on a phone. The setting transfer_dialing_on_transfer must be blind for it, which is the default
// (nethesis/tancredi snom.tmpl).
const (
	TransferStart    TransferKind = "start"    // hold the call and call the number, to announce it
	TransferBlind    TransferKind = "blind"    // transfer the call to the number unannounced
	TransferComplete TransferKind = "complete" // connect the two calls
	TransferCancel   TransferKind = "cancel"   // press CANCEL: end the call to the number
)

// transferRow is the row of the command transfer.
func transferRow() *verbRow {
	return &verbRow{
		verb: VerbTransfer,
		help: VerbHelp{
			Summary: "transfers the call to a number",
			Plain:   "a number of 1 to 64 digits, * and # to announce the call to; then complete or cancel",
			JSON: "number; mode: attended (default), or blind for a transfer without announcement, which has not been " +
				"confirmed on a phone; or, instead of both, step: complete or cancel",
			Request: "/command.htm?key=F_HOLD, a request for each digit, /command.htm?key=ENTER; " +
				"complete /command.htm?key=TRANSFER; cancel /command.htm?key=CANCEL; blind TRANSFER, digits, ENTER",
			Source:      sourceBoth,
			Example:     "transfer 28",
			ExampleJSON: `{"number":"28","mode":"attended"}`,
		},
		parse:   parsed(parseTransfer),
		read:    readTransfer,
		members: []string{"number", "mode", "step"},
	}
}

// A TransferStep is the argument of a transfer command, one step of a [Transfer].
type TransferStep struct {
	Kind   TransferKind
	Number string // the number called by a start or a blind transfer: digits, * and #
}

// TransferTo returns the command that holds the call and calls the number, to announce the call to it.
func TransferTo(number string) (Command, error) { return transferTo(TransferStart, number) }

// BlindTransferTo returns the command that transfers the call to the number unannounced.
func BlindTransferTo(number string) (Command, error) { return transferTo(TransferBlind, number) }

func transferTo(kind TransferKind, number string) (Command, error) {
	typed, err := parseTyped(number, expectedTyped)
	if err != nil {
		err.in(number)
	}
	return VerbTransfer.row().command(TransferStep{kind, typed}, err)
}

// CompleteTransfer returns the command that connects the two calls of a transfer.
func CompleteTransfer() Command { return made(VerbTransfer, TransferStep{Kind: TransferComplete}) }

// CancelTransfer returns the command that ends the call to the number of a transfer.
func CancelTransfer() Command { return made(VerbTransfer, TransferStep{Kind: TransferCancel}) }

const expectedTyped = "a number of digits, * and #"

const expectedTransfer = "a number of digits, * and #, or complete, or cancel"

func parseTransfer(text string) (TransferStep, *SyntaxError) {
	switch kind := TransferKind(text); kind {
	case TransferComplete, TransferCancel:
		return TransferStep{Kind: kind}, nil
	}
	number, err := parseTyped(text, expectedTransfer)
	return TransferStep{TransferStart, number}, err
}

// parseTyped reads a number that is typed on the keypad.
func parseTyped(text, expected string) (string, *SyntaxError) {
	return parseNumber(text, func(number string) *SyntaxError { return checkTyped(number, expected) })
}

// checkTyped checks a number that is typed on the keypad.
func checkTyped(number, expected string) *SyntaxError {
	err := checkDigits(number, "*#", expected)
	switch {
	case err == nil:
	case err.Offset < len(number) && number[err.Offset] == '+':
		err.Hint = "there is no key for +: write 00, or what the line takes instead"
	default:
		err.Hint = numberHint(number)
	}
	return err
}

func readTransfer(m *members) argument {
	if m.has("step") {
		if m.has("number") || m.has("mode") {
			m.refuse("step", "either step, or number and mode")
		}
		text, _ := m.text("step")
		step := TransferStep{Kind: TransferKind(text)}
		if step.Kind != TransferComplete && step.Kind != TransferCancel {
			m.check("step", text, fault(0, "complete or cancel"))
		}
		return step
	}
	m.need("number", expectedTyped+", or step")
	text, _ := m.text("number")
	number, err := parseTyped(text, expectedTyped)
	m.check("number", text, err)
	step := TransferStep{TransferStart, number}
	switch mode, given := m.text("mode"); {
	case mode == "blind":
		step.Kind = TransferBlind
	case given && mode != "attended":
		m.check("mode", mode, fault(0, "attended or blind"))
	}
	return step
}

func (s TransferStep) text() string {
	switch s.Kind {
	case TransferStart:
		return s.Number
	case TransferBlind:
		return `{"number":"` + s.Number + `","mode":"blind"}`
	}
	return string(s.Kind)
}

// keys returns the keys that take the step.
func (s TransferStep) keys() keySequence {
	digits := strings.Join(strings.Split(s.Number, ""), ";")
	switch s.Kind {
	case TransferStart:
		return keySequence("F_HOLD;" + digits + ";ENTER")
	case TransferBlind:
		return keySequence("TRANSFER;" + digits + ";ENTER")
	case TransferComplete:
		return "TRANSFER"
	}
	return "CANCEL"
}

// steps presses each key by a request of its own, as the recipe does.
func (s TransferStep) steps(d Dialect) []Step {
	var steps []Step
	for event := range s.keys().events() {
		steps = append(steps, keySequence(event.Key).steps(d)...)
	}
	if s.Number != "" {
		steps[0].Pause = settle
	}
	return steps
}

// A Transfer is the state of the attended transfer on one phone. The zero Transfer has none under way.
// It is a value: its methods change nothing.
type Transfer struct {
	started time.Time // zero: none under way
}

// UnderWay reports whether a transfer was started less than timeout ago and not yet ended. Without a
// timeout (zero or less) it is under way until it is ended.
func (t Transfer) UnderWay(now time.Time, timeout time.Duration) bool {
	return !t.started.IsZero() && (timeout <= 0 || now.Sub(t.started) < timeout)
}

// Next returns the state after s at the time now. The error wraps [ErrTransferUnderWay] when s starts a
// transfer, attended or blind, while one is under way, and [ErrNoTransfer] when s ends one while none is;
// the state is then t unchanged.
func (t Transfer) Next(s TransferStep, now time.Time, timeout time.Duration) (Transfer, error) {
	switch starts, underWay := s.Number != "", t.UnderWay(now, timeout); {
	case starts && underWay:
		return t, fmt.Errorf("%w: complete or cancel it first", ErrTransferUnderWay)
	case !starts && !underWay:
		return t, fmt.Errorf("%w: transfer to a number first, then %s", ErrNoTransfer, s.Kind)
	case s.Kind == TransferStart:
		return Transfer{started: now}, nil
	}
	return Transfer{}, nil
}
