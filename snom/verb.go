package snom

import "strings"

// A Verb is the name of a command.
type Verb string

// The verbs, in the order in which they are documented.
const (
	VerbKey        Verb = "key"
	VerbDial       Verb = "dial"
	VerbDTMF       Verb = "dtmf"
	VerbAnswer     Verb = "answer"
	VerbHangup     Verb = "hangup"
	VerbTransfer   Verb = "transfer"
	VerbRing       Verb = "ring"
	VerbTouch      Verb = "touch"
	VerbMute       Verb = "mute"
	VerbShow       Verb = "show"
	VerbLED        Verb = "led"
	VerbDND        Verb = "dnd"
	VerbForward    Verb = "forward"
	VerbKeyLock    Verb = "keyboard_lock"
	VerbSet        Verb = "set"
	VerbScreen     Verb = "screen"
	VerbAsk        Verb = "ask"
	VerbLogoff     Verb = "logoff"
	VerbReregister Verb = "reregister"
	VerbClear      Verb = "clear"
	VerbFixLIL     Verb = "fix_lil"
	VerbReboot     Verb = "reboot"
	VerbReset      Verb = "reset"
	VerbFirmware   Verb = "firmware"
	VerbRun        Verb = "run"
	VerbAnnounce   Verb = "announce"
)

// verbRows lists the commands, in the order in which they are documented. Every [Command] points
// to its row. The row of a command stands in the file of its grammar.
var verbRows = []*verbRow{
	keyRow(), dialRow(), dtmfRow(), answerRow(), hangupRow(), transferRow(), ringRow(), touchRow(),
	muteRow(), showRow(), ledRow(), dndRow(), forwardRow(), keyLockRow(), setRow(), screenRow(), askRow(), logoffRow(), reregisterRow(), clearRow(), fixLILRow(), rebootRow(), resetRow(), firmwareRow(), runRow(),
	announceRow(),
}

// A verbRow describes one command completely. A command without an argument needs verb, help and only.
type verbRow struct {
	verb Verb
	help VerbHelp

	// only is the argument of a command that takes none. Other commands have parse and read instead.
	only argument
	// parse reads the argument as plain text. The argument counts only where the error is nil.
	parse func(text string) (argument, *SyntaxError)
	// read reads the argument from the members of a JSON object, which are among those named in members. The
	// argument counts only where m.err is nil.
	read    func(m *members) argument
	members []string

	// gated says that the command is disabled until the settings enable it.
	gated bool
	// nests says that the argument may contain whole commands.
	nests bool
	// paged says that the command makes no request to the phone, but is carried out at its multicast address.
	paged bool
	// effects returns what the command does to the phone and its queue; nil: none of the Effects.
	effects func(argument) Effects
	// check returns an error that wraps ErrUnsupported where a model cannot carry out the command, and a warning
	// where it is not sure; nil: [Model.Check] checks remote control and keys only.
	check func(Model, argument) (warning string, err error)
	// maxPayload is how long the text of the command may be, in bytes; zero: MaxPayload.
	maxPayload int
	// displays says that the phone fetches a page for the command from the program: [Command.Steps] has no requests of it.
	displays bool
	// idleWarning and idleRefusal say why the command is doubtful, or has no effect, on a phone that is known
	// to have no call; at most one of them is set.
	idleWarning, idleRefusal string
}

// row returns the row of v, nil if v is not valid.
func (v Verb) row() *verbRow {
	for _, row := range verbRows {
		if row.verb == v {
			return row
		}
	}
	return nil
}

// parsed turns a parser of one kind of argument into the parser of a row.
func parsed[A argument](parse func(string) (A, *SyntaxError)) func(string) (argument, *SyntaxError) {
	return func(text string) (argument, *SyntaxError) {
		a, err := parse(text)
		if err != nil {
			return nil, err
		}
		return a, nil
	}
}

// oneMember returns the reader of an argument whose only JSON member, called name, says what the plain text
// says.
func oneMember[A argument](name string, parse func(string) (A, *SyntaxError)) func(*members) argument {
	return func(m *members) argument {
		text, _ := m.text(name)
		a, err := parse(text)
		if err != nil {
			m.need(name, err.Expected)
			m.check(name, text, inLowerCase(err, text, parse))
		}
		return a
	}
}

// Effects are what a command does beside its requests, for a program that has a queue of commands for a phone
// and tracks the state of the phone. Effects are comparable.
type Effects struct {
	Urgent       bool // it goes before all commands that wait, and cancels them
	EndsCalls    bool // all calls of the phone end
	EndsCall     bool // the current call ends
	Answers      bool // the ringing call is answered
	Restarts     bool // the phone restarts, and may come back with other firmware
	ClearsMissed bool // the phone forgets its missed calls
	Yields       bool // between two of its requests other commands of the phone go first
	IntoCall     bool // it is meant for the other side of the call under way
	TogglesDND   bool // do not disturb is on afterwards where it was off, and off where it was on
	StopsRings   bool // requests that are left of a command that yields are dropped
	Transfers    bool // the attended transfer that is under way is completed, or is none any more
	Picture      bool // the reply to its request is a picture: see [Client.Picture]
}

// Verbs returns all verbs, in the order in which they are documented.
func Verbs() []Verb {
	verbs := make([]Verb, len(verbRows))
	for i, row := range verbRows {
		verbs[i] = row.verb
	}
	return verbs
}

// MaxPayload returns how long the text of v may be, in bytes; [MaxPayload] where v is not valid.
func (v Verb) MaxPayload() int {
	if row := v.row(); row != nil && row.maxPayload > 0 {
		return row.maxPayload
	}
	return MaxPayload
}

// GatedVerbs returns the verbs that are [Verb.Gated], in the order in which they are documented.
func GatedVerbs() []Verb {
	var verbs []Verb
	for _, row := range verbRows {
		if row.gated {
			verbs = append(verbs, row.verb)
		}
	}
	return verbs
}

// Valid reports whether v is one of [Verbs].
func (v Verb) Valid() bool { return v.row() != nil }

// Gated reports whether v is destructive, or shows what is private: a program must not carry it out unless its settings
// enable it.
func (v Verb) Gated() bool {
	row := v.row()
	return row != nil && row.gated
}

// Displays reports whether phones fetch a page for v, so that it requires a program which serves pages and is reached by phones.
func (v Verb) Displays() bool {
	row := v.row()
	return row != nil && row.displays
}

func unknownVerb(v Verb) *SyntaxError {
	names := make([]string, 0, len(verbRows))
	for _, known := range Verbs() {
		names = append(names, string(known))
	}
	err := fault(0, "a command: "+strings.Join(names, ", ")).in(string(v))
	lower := strings.ToLower(string(v))
	if known := Verb(lower); known != v && known.Valid() {
		err.Hint = "commands are written in lower case: " + lower
		return err
	}
	for _, known := range names {
		if len(known) >= minMisspelt && misspelt(lower, known) {
			err.Hint = "perhaps " + known
			break
		}
	}
	return err
}

// Help describes v for documents, the command line and error texts. It is the zero VerbHelp when v is
// not valid.
func (v Verb) Help() VerbHelp {
	row := v.row()
	if row == nil {
		return VerbHelp{}
	}
	return row.help
}

// VerbHelp documents one verb.
type VerbHelp struct {
	Summary     string // what the phone does
	Plain       string // the argument as plain text
	JSON        string // the members of the argument as a JSON object; empty when there are none
	Request     string // the request to the phone
	Source      string // the document or code that the request is known from
	Example     string // a whole command; [ParseCommand] reads it
	Maintenance bool   // for administrators: automations do not need it
	ExampleJSON string // the argument of Example as a JSON object; [ParsePayload] reads it to the same Command
}

// The sources of most requests.
const (
	sourceNew  = "Snom wiki FAQ/Can_I_control_my_snom_phone_remotely"
	sourceBoth = sourceNew + "; Snom KB entry 40"
)
