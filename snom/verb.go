package snom

import "strings"

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
	switch v {
	case VerbKey, VerbDial, VerbDTMF, VerbAnswer, VerbHangup, VerbTransfer, VerbRing, VerbTouch,
		VerbLogoff, VerbReregister, VerbClear, VerbFixLIL, VerbReboot, VerbReset, VerbFirmware:
		return true
	}
	return false
}

// parse reads the plain form of the argument. v is valid.
func (v Verb) parse(text string) (argument, *SyntaxError) {
	switch v {
	case VerbKey:
		return parseKeys(text)
	case VerbDial:
		return parseCall(text)
	case VerbDTMF:
		return parseTones(text)
	case VerbHangup:
		return parseHangup(text)
	case VerbTransfer:
		return parseTransfer(text)
	case VerbRing:
		return parseRing(text)
	case VerbTouch:
		return parseTouches(text)
	case VerbLogoff:
		return parseLogoff(text)
	case VerbReregister:
		return parseReregister(text)
	case VerbClear:
		return parseClear(text)
	case VerbReset:
		return parseConfirmation(text)
	case VerbFirmware:
		return parseFirmware(text)
	}
	if text != "" {
		return nil, fault(0, "nothing: "+string(v)+" has no argument")
	}
	return v.fixed(), nil
}

// read makes the argument from the members of a JSON object; it is of no use when m.err is set. v is
// valid.
func (v Verb) read(m *members) argument {
	switch v {
	case VerbKey:
		return readKeys(m)
	case VerbDial:
		return readCall(m)
	case VerbDTMF:
		return readTones(m)
	case VerbHangup:
		return readOne(m, "calls", (*members).text, parseHangup)
	case VerbTransfer:
		return readTransfer(m)
	case VerbRing:
		return readRing(m)
	case VerbTouch:
		return readTouches(m)
	case VerbLogoff:
		return readOne(m, "identity", (*members).word, parseLogoff)
	case VerbReregister:
		return readOne(m, "identity", (*members).word, parseReregister)
	case VerbClear:
		return readOne(m, "list", (*members).text, parseClear)
	case VerbReset:
		return readOne(m, "confirm", (*members).text, parseConfirmation)
	case VerbFirmware:
		return readOne(m, "url", (*members).text, parseFirmware)
	}
	m.only()
	return v.fixed()
}

// readOne reads the argument from its only member, called name, which says what the plain form says.
func readOne[A argument](m *members, name string, value func(*members, string) (string, bool),
	parse func(string) (A, *SyntaxError)) A {
	m.only(name)
	text, _ := value(m, name)
	a, err := parse(text)
	if err != nil {
		m.need(name, err.Want)
		m.check(name, text, err)
	}
	return a
}

// fixed returns the argument of a verb that takes none.
func (v Verb) fixed() request {
	switch v {
	case VerbAnswer:
		return request{key: "ENTER", target: "/command.htm?key=ENTER"}
	case VerbFixLIL:
		return request{target: "/command.htm?FIX_LIL=true"}
	}
	return request{target: "/advanced_update.htm?reboot=Reboot"}
}

func parseHangup(text string) (request, *SyntaxError) {
	switch text {
	case "", "all":
		return request{word: "all", target: "/command.htm?RELEASE_ALL_CALLS"}, nil
	case "current":
		return request{word: "current", key: "CANCEL", target: "/command.htm?key=CANCEL"}, nil
	}
	return request{}, fault(0, "all, current, or nothing")
}

func parseLogoff(text string) (request, *SyntaxError) {
	if text == "all" {
		return request{word: text, target: "/command.htm?LOGOFFALL"}, nil
	}
	if _, bad := decimal(text, 1, maxIdentity); bad >= 0 {
		return request{}, fault(bad, "all, or an identity from 1 to 12")
	}
	return request{word: text, target: "/command.htm?LOGOFFLINE=" + text}, nil
}

func parseReregister(text string) (request, *SyntaxError) {
	if _, bad := decimal(text, 1, maxIdentity); bad >= 0 {
		return request{}, fault(bad, "an identity from 1 to 12")
	}
	return request{word: text, target: "/command.htm?REREGISTER=" + text}, nil
}

// maxIdentity is the highest identity that LOGOFFLINE and REREGISTER take. Source: Snom wiki
// FAQ/Can_I_control_my_snom_phone_remotely.
const maxIdentity = 12

func parseClear(text string) (request, *SyntaxError) {
	switch text {
	case "dialed", "missed", "received":
		list := "/index.htm?" + text + "del="
		return request{word: text, target: list + "clear", old: list + "0"}, nil
	}
	return request{}, fault(0, "dialed, missed or received")
}

func parseConfirmation(text string) (request, *SyntaxError) {
	const want = "the phone's own name: up to 64 lower-case letters, digits, _ and -, a letter or digit first"
	for i := range len(text) {
		c := text[i]
		if isDigit(c) || 'a' <= c && c <= 'z' || i > 0 && (c == '_' || c == '-') {
			continue
		}
		return request{}, fault(i, want)
	}
	if text == "" || len(text) > 64 {
		return request{}, fault(len(text), want)
	}
	return request{word: text, target: "/advanced_update.htm?reset=Reset"}, nil
}

func unknownVerb(v Verb) *SyntaxError {
	names := make([]string, 0, 16)
	for _, known := range Verbs() {
		names = append(names, string(known))
	}
	err := fault(0, "a command: "+strings.Join(names, ", ")).in(string(v))
	if lower := Verb(strings.ToLower(string(v))); lower != v && lower.Valid() {
		err.Hint = "commands are written in lower case: " + string(lower)
	}
	return err
}

// Help describes v for documents, the command line and error texts. It is the zero VerbHelp when v is
// not valid.
func (v Verb) Help() VerbHelp {
	const (
		newer = "Snom wiki FAQ/Can_I_control_my_snom_phone_remotely"
		both  = newer + "; Snom KB entry 40"
	)
	switch v {
	case VerbKey:
		return VerbHelp{
			Summary:     "presses keys, one after the other",
			Plain:       "KEY[,TIME[,PAUSE]], joined by semicolons: 1 to 128 keys, times of 0 to 60000 ms, at most 300000 ms in all",
			JSON:        `keys: that text, or a list of {"key", "hold_ms", "pause_ms"}`,
			Request:     "/command.htm?key=…",
			Source:      both,
			Example:     "key OFFHOOK;1;2;3;ENTER",
			ExampleJSON: `{"keys":[{"key":"OFFHOOK"},{"key":"1"},{"key":"2"},{"key":"3"},{"key":"ENTER"}]}`,
		}
	case VerbDial:
		return VerbHelp{
			Summary:     "calls a number",
			Plain:       "a number of up to 64 digits, * and #, with + only in front; or a SIP URI, user@host",
			JSON:        "number; outgoing_uri: the identity to call from, user@host",
			Request:     "/command.htm?number=…[&outgoing_uri=…]",
			Source:      both,
			Example:     "dial +4930123",
			ExampleJSON: `{"number":"+4930123"}`,
		}
	case VerbDTMF:
		return VerbHelp{
			Summary: "sends tones into the call",
			Plain:   "1 to 64 digits 0-9, A-D, * and #",
			JSON: "digits; method: dtmf (default), or keys to press them on the keypad, which has no A to D; " +
				"hold_ms, pause_ms: with method keys, 0 to 60000, default 100",
			Request:     "/command.htm?key_dtmf=…; by keys /command.htm?key=…",
			Source:      newer + "; p4irin/remote_phone_control",
			Example:     "dtmf 12#",
			ExampleJSON: `{"digits":"12#"}`,
		}
	case VerbAnswer:
		return VerbHelp{
			Summary:     "answers the call that rings",
			Plain:       "nothing",
			Request:     "/command.htm?key=ENTER",
			Source:      both + "; ENTER answers: p4irin/remote_phone_control",
			Example:     "answer",
			ExampleJSON: "{}",
		}
	case VerbHangup:
		return VerbHelp{
			Summary:     "ends all calls, or the current one",
			Plain:       "nothing or all; or current",
			JSON:        "calls: all (default) or current",
			Request:     "/command.htm?RELEASE_ALL_CALLS; current /command.htm?key=CANCEL",
			Source:      newer,
			Example:     "hangup current",
			ExampleJSON: `{"calls":"current"}`,
		}
	case VerbTransfer:
		return VerbHelp{
			Summary: "hands the call to a number",
			Plain:   "a number of 1 to 64 digits, * and # to announce the call to; then complete or cancel",
			JSON: "number; mode: attended (default), or blind to hand over unannounced, which was never seen " +
				"on a phone; or instead of both step: complete or cancel",
			Request: "/command.htm?key=F_HOLD, a request for each digit, /command.htm?key=ENTER; " +
				"complete /command.htm?key=TRANSFER; cancel /command.htm?key=CANCEL; blind TRANSFER, digits, ENTER",
			Source:      both,
			Example:     "transfer 28",
			ExampleJSON: `{"number":"28","mode":"attended"}`,
		}
	case VerbRing:
		return VerbHelp{
			Summary:     "plays a ringer",
			Plain:       "a ringer from 1 to 9",
			JSON:        "ringer; count: 1 (default) to 20; pause_ms: with a count, between two rings, 0 to 60000, default 2000",
			Request:     "/line_login.htm?PLAY_RINGER:…=+Ringer; older firmware =Play+Ringer",
			Source:      both,
			Example:     "ring 3",
			ExampleJSON: `{"ringer":3}`,
		}
	case VerbTouch:
		return VerbHelp{
			Summary: "touches the screen of a snom 870",
			Plain: "X Y [press|p|release|r|pr], chained by spaces: 1 to 64 touches, X from 0 to 479, " +
				"Y from 0 to 271; without a word press and release",
			JSON:        `touches: a list of {"x", "y", "action"}`,
			Request:     "/command.htm?touch=…",
			Source:      newer,
			Example:     "touch 240 136 pr",
			ExampleJSON: `{"touches":[{"x":240,"y":136,"action":"pr"}]}`,
		}
	case VerbLogoff:
		return VerbHelp{
			Summary:     "logs off one SIP identity, or all",
			Plain:       "all, or an identity from 1 to 12",
			JSON:        "identity: all, or 1 to 12",
			Request:     "/command.htm?LOGOFFALL; one /command.htm?LOGOFFLINE=…",
			Source:      newer,
			Example:     "logoff 3",
			ExampleJSON: `{"identity":3}`,
		}
	case VerbReregister:
		return VerbHelp{
			Summary:     "registers one SIP identity anew",
			Plain:       "an identity from 1 to 12",
			JSON:        "identity: 1 to 12",
			Request:     "/command.htm?REREGISTER=…",
			Source:      newer,
			Example:     "reregister 1",
			ExampleJSON: `{"identity":1}`,
		}
	case VerbClear:
		return VerbHelp{
			Summary:     "empties a call list",
			Plain:       "dialed, missed or received",
			JSON:        "list: dialed, missed or received",
			Request:     "/index.htm?dialeddel=clear, misseddel, receiveddel; older firmware =0",
			Source:      newer + "; the value 0: snom.codeplex.com/workitem/390",
			Example:     "clear missed",
			ExampleJSON: `{"list":"missed"}`,
		}
	case VerbFixLIL:
		return VerbHelp{
			Summary:     "fixes the line info layer for pictures of the screen (820, 821)",
			Plain:       "nothing",
			Request:     "/command.htm?FIX_LIL=true",
			Source:      newer,
			Example:     "fix_lil",
			ExampleJSON: "{}",
		}
	case VerbReboot:
		return VerbHelp{
			Summary:     "restarts the phone",
			Plain:       "nothing",
			Request:     "/advanced_update.htm?reboot=Reboot",
			Source:      both,
			Example:     "reboot",
			ExampleJSON: "{}",
		}
	case VerbReset:
		return VerbHelp{
			Summary:     "sets the phone back to how it left the factory; all its settings are lost",
			Plain:       "the phone's own name, as a confirmation",
			JSON:        "confirm: the phone's own name",
			Request:     "/advanced_update.htm?reset=Reset",
			Source:      both,
			Example:     "reset kitchen",
			ExampleJSON: `{"confirm":"kitchen"}`,
		}
	case VerbFirmware:
		return VerbHelp{
			Summary:     "loads and installs firmware",
			Plain:       "an http or https URL without user, query and fragment, at most 255 bytes",
			JSON:        "url",
			Request:     "/dummy.htm?swload=load&firmware=…",
			Source:      newer,
			Example:     "firmware https://firmware.example/snomD735.bin",
			ExampleJSON: `{"url":"https://firmware.example/snomD735.bin"}`,
		}
	}
	return VerbHelp{}
}

// VerbHelp describes one verb to people.
type VerbHelp struct {
	Summary     string // what the phone does
	Plain       string // the argument as plain text
	JSON        string // the members of the argument as a JSON object; empty when there are none
	Request     string // what the phone is asked
	Source      string // who documents the request
	Example     string // a whole command; [ParseCommand] reads it
	ExampleJSON string // the argument of Example as a JSON object; [ParsePayload] reads it to the same Command
}
