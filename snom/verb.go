package snom

// A Verb names what a [Command] does.
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
	VerbLogoff     Verb = "logoff"
	VerbReregister Verb = "reregister"
	VerbClear      Verb = "clear"
	VerbFixLIL     Verb = "fix_lil"
	VerbReboot     Verb = "reboot"
	VerbReset      Verb = "reset"
	VerbFirmware   Verb = "firmware"
)

// Verbs returns all verbs, in the order in which they are documented.
func Verbs() []Verb {
	return []Verb{
		VerbKey, VerbDial, VerbDTMF, VerbAnswer, VerbHangup, VerbTransfer, VerbRing, VerbTouch,
		VerbLogoff, VerbReregister, VerbClear, VerbFixLIL, VerbReboot, VerbReset, VerbFirmware,
	}
}

// Valid reports whether v is one of [Verbs].
func (v Verb) Valid() bool {
	_, ok := v.help()
	return ok
}

// VerbHelp describes one verb to people.
type VerbHelp struct {
	Summary     string // what the phone does, in a short sentence
	Plain       string // the argument as plain text
	JSON        string // the members of the argument as a JSON object; empty when there are none
	Request     string // what the phone is asked
	Source      string // who documents the request
	Example     string // a whole command; [ParseCommand] reads it
	ExampleJSON string // the argument of Example as a JSON object; [ParsePayload] reads it to the same Command
}

// Help describes v for documents, the command line and error texts. It is the zero VerbHelp when v is
// not valid.
func (v Verb) Help() VerbHelp {
	h, _ := v.help()
	return h
}

func (v Verb) help() (VerbHelp, bool) {
	return VerbHelp{}, false
}
