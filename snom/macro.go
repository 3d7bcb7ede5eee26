package snom

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/snom2mqtt/snom2mqtt/internal/strictjson"
)

// Bounds of a macro.
const (
	MaxMacroSteps = 64        // those that are carried out when a step fails included
	MaxMacroTime  = time.Hour // of its waits and pauses, and of the whole
)

// defaultWithin is how long a step waits for a call state where it does not say.
const defaultWithin = 30 * time.Second

// A MacroStep is one step of a macro: a command, a wait for a call state, or a pause. MacroSteps are comparable.
type MacroStep struct {
	Command Command       // zero: a wait or a pause
	State   string        // the call state that is waited for: idle, ringing, dialing, connected or held; empty: none
	Wait    time.Duration // how long at most, or how long the pause is
}

// Name returns the name of the step as results have it: that of its command, or wait.
func (s MacroStep) Name() string { return cmp.Or(string(s.Command.Verb()), stepWait) }

// String returns the step as text: "dial **61", "wait connected within 30s", "wait 2s".
func (s MacroStep) String() string {
	switch {
	case !s.Command.IsZero():
		return s.Command.String()
	case s.State != "":
		return stepWait + " " + s.State + " " + stepWithin + " " + s.Wait.String()
	}
	return stepWait + " " + s.Wait.String()
}

// The members of a step that is no command.
const (
	stepWait   = "wait"
	stepWithin = "within"
)

// macroStates are the call states that a step can wait for.
var macroStates = []string{"idle", "ringing", "dialing", "connected", "held"}

const (
	expectedWait  = "idle, ringing, dialing, connected, held, or a time such as 2s"
	expectedTime  = "a time from 1ms to 1h such as 2s, or a number of seconds"
	expectedSteps = `a list of 1 to 64 steps, such as {"dial":"**61"} or {"wait":"connected","within":"30s"}`
	expectedStep  = `one command with its argument, such as {"dial":"**61"}, or {"wait":"connected","within":"30s"}`
	expectedMacro = "the name of a macro: 1 to 64 of a-z, 0-9, _ and -"
)

// runRow is the row of the command run.
func runRow() *verbRow {
	return &verbRow{
		verb: VerbRun,
		help: VerbHelp{
			Summary: "carries out a macro: several commands, one after the other",
			Plain:   "the name of a macro of the phones file",
			JSON: "macro; or, instead of it, steps: a list of 1 to 64 steps, each a command with its argument, {\"wait\":\"connected\",\"within\":\"30s\"} " +
				"or {\"wait\":\"2s\"}; otherwise: a list of steps that are carried out when one of steps fails",
			Request:     "those of its steps",
			Source:      "this program",
			Example:     "run open_by_call",
			ExampleJSON: `{"macro":"open_by_call"}`,
		},
		parse:   parsed(parseMacroName),
		read:    readMacro,
		members: []string{"macro", "steps", "otherwise"},
		nests:   true,
		check: func(Model, argument) (string, error) {
			return "", errNested
		},
	}
}

var errNested = fmt.Errorf("%w: a macro is carried out command by command", ErrUnsupported)

// A macro is the argument of a run command.
type macro struct {
	name             string
	inner, otherwise string // steps as a canonical JSON list; empty: none
}

func parseMacroName(text string) (macro, *SyntaxError) {
	for i := range len(text) {
		if c := text[i]; !isDigit(c) && (c < 'a' || c > 'z') && (i == 0 || c != '_' && c != '-') || i >= 64 {
			return macro{}, fault(i, expectedMacro)
		}
	}
	if text == "" {
		return macro{}, fault(0, expectedMacro)
	}
	return macro{name: text}, nil
}

func readMacro(m *members) argument {
	if m.has("macro") {
		for _, other := range []string{"steps", "otherwise"} {
			if m.has(other) {
				m.refuse(other, "macro or steps, not both")
			}
		}
		text, _ := m.text("macro")
		a, err := parseMacroName(text)
		m.check("macro", text, err)
		return a
	}
	m.need("steps", expectedSteps)
	steps, otherwise := readSteps(m, "steps"), readSteps(m, "otherwise")
	if m.err == nil && len(steps) == 0 {
		m.refuse("steps", expectedSteps)
	}
	if m.err == nil {
		if expected := limitSteps(steps, otherwise); expected != "" {
			m.refuse("steps", expected)
		}
	}
	return macro{inner: stepsText(steps), otherwise: stepsText(otherwise)}
}

// readSteps reads a list of steps.
func readSteps(m *members, name string) (steps []MacroStep) {
	m.each(name, func(place string, item json.RawMessage) {
		step, err := readStep(item, m.inner)
		if err != nil {
			if err.Field = strings.TrimSuffix(m.within+place+"."+err.Field, "."); m.err == nil {
				m.err = err
			}
			return
		}
		steps = append(steps, step)
	})
	return steps
}

// ParseMacroStep reads one step of a macro from JSON: an object with the name of a command and its argument, or with
// wait and within; or text such as "answer", which [ParseCommand] reads. Every error is a [*SyntaxError].
func ParseMacroStep(data []byte) (MacroStep, error) {
	step, err := readStep(data, newCommand)
	if err != nil {
		return MacroStep{}, err
	}
	return step, nil
}

// readStep reads one step.
func readStep(raw json.RawMessage, inner reader) (MacroStep, *SyntaxError) {
	if text, err := strictjson.Text(raw); err == nil {
		name, argument, _ := strings.Cut(text, " ")
		return commandStep(Verb(name), func(v Verb) (Command, error) { return inner(v, argument) })
	}
	object, err := parseObject(raw)
	if err != nil {
		return MacroStep{}, fault(-1, expectedStep)
	}
	m := members{object: object}
	if m.has(stepWait) {
		m.only(stepWait, stepWithin)
		return readWait(&m), m.err
	}
	if len(object) != 1 {
		return MacroStep{}, fault(-1, expectedStep)
	}
	for name, value := range object {
		return commandStep(Verb(name), func(v Verb) (Command, error) { return readArgument(v, value, inner) })
	}
	return MacroStep{}, nil
}

// readArgument reads the argument of a step: text or a whole number as the plain text, an object as the members.
func readArgument(v Verb, value json.RawMessage, inner reader) (Command, error) {
	if string(value) == "null" {
		return inner(v, "")
	}
	if len(value) > 0 && value[0] == '{' {
		return inner(v, string(value))
	}
	m := members{object: strictjson.Object{string(v): value}}
	text, _ := m.text(string(v))
	if m.err != nil {
		m.err.Verb, m.err.Field = v, ""
		return Command{}, m.err
	}
	return inner(v, text)
}

// commandStep makes a step of a command.
func commandStep(v Verb, read func(Verb) (Command, error)) (MacroStep, *SyntaxError) {
	if v == VerbRun {
		err := fault(-1, "no macro in a macro: write its steps here")
		err.Field = string(v)
		return MacroStep{}, err
	}
	c, err := read(v)
	if err != nil {
		wrong, ok := err.(*SyntaxError) //nolint:errorlint // every error of a command is one
		if !ok {
			wrong = fault(-1, expectedStep)
		}
		if wrong.Verb == v { // otherwise it is no command
			wrong.Field = strings.TrimSuffix(string(v)+"."+wrong.Field, ".")
		}
		wrong.Verb = ""
		return MacroStep{}, wrong
	}
	return MacroStep{Command: c}, nil
}

// readWait reads a wait for a call state, or a pause.
func readWait(m *members) (step MacroStep) {
	raw := m.object[stepWait]
	if text, err := strictjson.Text(raw); err == nil && slices.Contains(macroStates, text) {
		step = MacroStep{State: text, Wait: defaultWithin}
		if m.has(stepWithin) {
			step.Wait = readTime(m, stepWithin, expectedTime)
		}
		return step
	}
	if m.has(stepWithin) {
		m.refuse(stepWithin, "within goes with a call state: "+strings.Join(macroStates, ", "))
	}
	step.Wait = readTime(m, stepWait, expectedWait)
	return step
}

// readTime reads a time: text such as 2s, or a number of seconds.
func readTime(m *members, name, expected string) time.Duration {
	raw := m.object[name]
	var seconds float64
	if len(raw) > 0 && raw[0] != '"' {
		if err := json.Unmarshal(raw, &seconds); err == nil && seconds >= 0.001 && seconds <= MaxMacroTime.Seconds() {
			return time.Duration(seconds * float64(time.Second))
		}
		m.check(name, string(raw), fault(0, expected))
		return 0
	}
	text, _ := strictjson.Text(raw)
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Millisecond || d > MaxMacroTime {
		m.check(name, text, fault(0, expected))
	}
	return d
}

// limitSteps says what is expected of steps that are too many or take too long; empty: they are not.
func limitSteps(steps, otherwise []MacroStep) string {
	var total time.Duration
	for _, s := range slices.Concat(steps, otherwise) {
		total += s.Wait
		for _, request := range s.Command.Steps("") {
			total += request.Pause
		}
	}
	switch {
	case len(steps)+len(otherwise) > MaxMacroSteps:
		return "at most 64 steps, those of otherwise included"
	case total > MaxMacroTime:
		return "waits and pauses of an hour at most, all together"
	}
	return ""
}

// NewMacro returns the command that carries out steps, and otherwise when one of them fails. The error says which bound
// they exceed.
func NewMacro(steps, otherwise []MacroStep) (Command, error) {
	row := VerbRun.row()
	if expected := limitSteps(steps, otherwise); len(steps) == 0 {
		return row.command(nil, fault(-1, expectedSteps))
	} else if expected != "" {
		return row.command(nil, fault(-1, expected))
	}
	return Command{row, macro{inner: stepsText(steps), otherwise: stepsText(otherwise)}}, nil
}

// stepsText returns steps as a JSON list; empty: there are none.
func stepsText(steps []MacroStep) string {
	if len(steps) == 0 {
		return ""
	}
	var b strings.Builder
	for i, s := range steps {
		b.WriteByte("[,"[min(i, 1)])
		b.WriteString(s.json())
	}
	return b.String() + "]"
}

// json returns the step as JSON.
func (s MacroStep) json() string {
	switch argument := s.Command.Argument(); {
	case s.State != "":
		return `{"wait":"` + s.State + `","within":"` + s.Wait.String() + `"}`
	case s.Command.IsZero():
		return `{"wait":"` + s.Wait.String() + `"}`
	case strings.HasPrefix(argument, "{"):
		return `{"` + string(s.Command.Verb()) + `":` + argument + "}"
	default:
		return `{"` + string(s.Command.Verb()) + `":` + string(quoted(argument)) + "}"
	}
}

func (a macro) text() string {
	switch {
	case a.inner == "":
		return a.name
	case a.otherwise == "":
		return `{"steps":` + a.inner + "}"
	}
	return `{"steps":` + a.inner + `,"otherwise":` + a.otherwise + "}"
}

// steps returns nothing: a macro is carried out command by command.
func (macro) steps(Dialect) []Step { return nil }

// Macro returns what a run command carries out: the macro called name, or the steps, and what is carried out when one of
// them fails.
func (c Command) Macro() (name string, steps, otherwise []MacroStep, ok bool) {
	a, ok := c.arg.(macro)
	if !ok {
		return "", nil, nil, false
	}
	return a.name, stepsOf(a.inner), stepsOf(a.otherwise), true
}

// stepsOf is the inverse of stepsText.
func stepsOf(text string) (steps []MacroStep) {
	if text == "" {
		return nil
	}
	m := members{object: strictjson.Object{"steps": json.RawMessage(text)}, inner: newCommand}
	return readSteps(&m, "steps")
}

// Nests reports whether the argument of v may contain whole commands.
func (v Verb) Nests() bool {
	row := v.row()
	return row != nil && row.nests
}
