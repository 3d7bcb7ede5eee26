package snom

import (
	"strconv"
	"strings"
	"time"
)

// defaultTone is the default of the hold time and of the pause when tones are sent by keys: 100 ms each. Source: p4irin/remote_phone_control, which sends "d,100,100".
const defaultTone = 100 * time.Millisecond

// dtmfRow is the row of the command dtmf.
func dtmfRow() *verbRow {
	return &verbRow{
		verb: VerbDTMF,
		help: VerbHelp{
			Summary: "sends DTMF tones in the call",
			Plain:   "1 to 64 digits 0-9, A-D, * and #",
			JSON: "digits; method: dtmf (default), or keys to press them on the keypad, which has no A to D; " +
				"hold_ms, pause_ms: with method keys, 0 to 60000, default 100",
			Request:     "/command.htm?key_dtmf=…; by keys /command.htm?key=…",
			Source:      sourceNew + "; p4irin/remote_phone_control",
			Example:     "dtmf 12#",
			ExampleJSON: `{"digits":"12#"}`,
		},
		parse:   parsed(parseTones),
		read:    readTones,
		members: []string{"digits", "method", "hold_ms", "pause_ms"},
		effects: func(argument) Effects { return Effects{IntoCall: true} },
	}
}

// DTMF returns the command that sends tones into the call.
func DTMF(digits string) (Command, error) { return fromPlain(VerbDTMF, digits) }

// A tones is the argument of a dtmf command.
type tones struct {
	digits      string
	byKeys      bool // by the keys of the keypad, and not by key_dtmf
	hold, pause time.Duration
}

const expectedTones = "digits 0 to 9, A to D, * and #"

func parseTones(text string) (tones, *SyntaxError) {
	err := checkDigits(text, "ABCD*#", expectedTones)
	switch {
	case err == nil:
	case err.Offset < len(text) && strings.IndexByte("abcd", text[err.Offset]) >= 0:
		err.Hint = "the letters are written in capitals"
	default:
		err.Hint = numberHint(text)
	}
	return tones{digits: text}, err
}

func readTones(m *members) argument {
	m.need("digits", expectedTones)
	digits, _ := m.text("digits")
	t, err := parseTones(digits)
	m.check("digits", digits, err)

	method, given := m.text("method")
	if t.byKeys = method == "keys"; given && !t.byKeys && method != "dtmf" {
		m.check("method", method, fault(0, "dtmf or keys"))
	}
	if !t.byKeys {
		for _, name := range []string{"hold_ms", "pause_ms"} {
			if m.has(name) {
				m.refuse(name, `no times without "method":"keys"`)
			}
		}
		return t
	}
	if i := strings.IndexAny(digits, "ABCD"); i >= 0 {
		m.check("digits", digits, fault(i, "digits 0 to 9, * and #: there are no keys for A to D"))
	}
	t.hold, t.pause = defaultTone, defaultTone
	if hold, given := m.milliseconds("hold_ms"); given {
		t.hold = hold
	}
	if pause, given := m.milliseconds("pause_ms"); given {
		t.pause = pause
	}
	if m.err == nil {
		if _, err := parseKeys(string(t.keys())); err != nil {
			m.refuse("digits", err.Expected)
		}
	}
	return t
}

func (t tones) text() string {
	if !t.byKeys {
		return t.digits
	}
	text := `{"digits":"` + t.digits + `","method":"keys"`
	if t.hold != defaultTone {
		text += `,"hold_ms":` + strconv.FormatInt(t.hold.Milliseconds(), 10)
	}
	if t.pause != defaultTone {
		text += `,"pause_ms":` + strconv.FormatInt(t.pause.Milliseconds(), 10)
	}
	return text + "}"
}

// keys returns the keys of the tones, none where they are not sent by keys.
func (t tones) keys() keySequence {
	if !t.byKeys {
		return ""
	}
	events := make([]string, len(t.digits))
	for i := range t.digits {
		events[i] = KeyEvent{t.digits[i : i+1], t.hold, t.pause, true, true}.String()
	}
	return keySequence(strings.Join(events, ";"))
}

func (t tones) steps(d Dialect) []Step {
	if t.byKeys {
		return t.keys().steps(d)
	}
	return []Step{{Request: targetOf("/command.htm?key_dtmf=", t.digits, "")}}
}
