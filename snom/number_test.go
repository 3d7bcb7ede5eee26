package snom_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// TestOddCharacters: an error names the character that people do not see or take for another one, whatever command it
// is in. What must not be shown stays hidden.
func TestOddCharacters(t *testing.T) {
	t.Parallel()
	characters := map[string]string{
		"\n": "a line end (LF)", "\r": "a line end (CR)", "\r\n": "a line end (CR LF)", "\u2028": "a line end (U+2028)",
		"\u0085": "a line end (U+0085)", "\t": "a tab", "\x00": "a NUL", "\x1b": "a control character (U+001B)", "\x7f": "a control character (U+007F)",
		"\u00a0": "a no-break space (U+00A0)", "\u202f": "a no-break space (U+202F)", "\u3000": "a space that is not ASCII (U+3000)",
		"\u200b": "an invisible character (U+200B)", "\u00ad": "a soft hyphen (U+00AD)", "\u2060": "an invisible character (U+2060)",
		"\ufe0f": "an invisible character (U+FE0F)", "\u200e": "an invisible direction mark (U+200E)",
		"\u202a": "an invisible direction mark (U+202A)", "\u2069": "an invisible direction mark (U+2069)", "\ufeff": "a byte order mark (U+FEFF)",
		"\uff11": "a digit that is not ASCII (U+FF11)", "\u0661": "a digit that is not ASCII (U+0661)", "\u2011": "a dash that is not ASCII (U+2011)",
		"\u2013": "a dash that is not ASCII (U+2013)", "\u201c": "a quotation mark that is not ASCII (U+201C)", "\u0410": "a letter that is not ASCII (U+0410)",
		"\uff0b": "a character that is not ASCII (U+FF0B)", "\xff": "a byte that is not UTF-8", " ": "a blank",
	}
	for _, v := range snom.Verbs() {
		if v == snom.VerbSet || v == snom.VerbShow || v == snom.VerbAnnounce {
			continue // a setting may hold any text, and any text can be shown or spoken
		}
		_, valid, _ := strings.Cut(v.Help().Example, " ")
		for c, name := range characters {
			for _, tt := range []struct{ payload, found string }{
				{valid + c, name + " at its end"},
				{c + valid, name + " at its beginning"},
			} {
				if valid == "" {
					tt.found = name
				}
				_, err := snom.ParsePayload(v, []byte(tt.payload))
				s := syntaxError(t, err)
				if !strings.HasPrefix(s.Found, tt.found) || !strings.Contains(err.Error(), "; it has "+s.Found) {
					t.Errorf("%s %q: found %q, expected %q\n%v", v, tt.payload, s.Found, tt.found, err)
				}
				visible, _, _ := strings.Cut(name, " (U+")
				if got := s.Redacted(); !strings.Contains(got, visible) || strings.Contains(got, "U+") {
					t.Errorf("%s %q: Redacted() = %q", v, tt.payload, got)
				}
			}
			if len(valid) > 2 && c != " " {
				payload := valid[:2] + c + valid[2:]
				if _, err := snom.ParsePayload(v, []byte(payload)); !strings.HasPrefix(syntaxError(t, err).Found, name+" at offset 2") {
					t.Errorf("%s %q: %v, expected %q", v, payload, err, name)
				}
			}
		}
	}
}

// TestOddCharactersInObjects: the same in JSON, within values and between them.
func TestOddCharactersInObjects(t *testing.T) {
	t.Parallel()
	for payload, found := range map[string]string{
		`{"number":"123\n"}`:                    "a line end (LF) at its end",
		`{"number":"\u00a0123"}`:                "a no-break space (U+00A0) at its beginning",
		"{\"number\":\"1\uff123\"}":             "a digit that is not ASCII (U+FF12) at offset 1",
		"{\"number\":\u00a0\"123\"}":            "a no-break space (U+00A0) at offset 10",
		"\ufeff{\"number\":\"123\"}":            "a byte order mark (U+FEFF) at its beginning",
		"{\u201cnumber\u201d:\u201c123\u201d}":  "a quotation mark that is not ASCII (U+201C) at offset 1",
		"{\"number\":\"123\"}\u200b":            "an invisible character (U+200B) at its end",
		"{\"number\":\"123\"}\x00":              "a NUL at its end",
		"{\"number\":\"1\n23\"}":                "a line end (LF) at offset 12",
		`{"number":"1","outgoing_uri":"27@h "}`: "a blank at its end",
		"{\n\"number\":\t\"12a\"\r\n}\n":        "",
		`{"number":"\"123\""}`:                  "quotes around it",
	} {
		_, err := snom.ParsePayload(snom.VerbDial, []byte(payload))
		if s := syntaxError(t, err); s.Found != found {
			t.Errorf("%q: found %q, expected %q\n%v", payload, s.Found, found, err)
		}
	}
	for _, payload := range []string{`"+4930123"`, `'+4930123'`} {
		_, err := snom.ParsePayload(snom.VerbDial, []byte(payload))
		if s := syntaxError(t, err); s.Found != "quotes around it" {
			t.Errorf("%q: %v", payload, err)
		}
	}
}

// TestNumbersForPeople: what people write for people is not dialled, and the error says what to write instead.
func TestNumbersForPeople(t *testing.T) {
	t.Parallel()
	const trunk, leave = `leave out "(0)" as a whole`, "leave out spaces, dashes, slashes, dots and brackets"
	for _, tt := range []struct{ verb, in, hint string }{
		{"dial", "+49 (0)30 123", trunk + ", because it is not dialled after the country code: +4930123"},
		{"dial", "+49(0)30123", trunk + ", because it is not dialled after the country code: +4930123"},
		{"dial", "+49 (0) 30-1 23", trunk + ", because it is not dialled after the country code: +4930123"},
		{"dial", "+49-[0]-30/123", trunk + ", because it is not dialled after the country code: +4930123"},
		{"dial", "+44 ( 0 )20 123", trunk + ", because it is not dialled after the country code: +4420123"},
		{"dial", "0049 (0)30 123", trunk + ", because it is not dialled after the country code: 004930123"},
		{"dial", "+49\u00a0(0)30\u202f123", trunk + ", because it is not dialled after the country code: +4930123"},
		{"dial", "+49 (0)30 FLOWERS", trunk},
		{"dial", "(0)30 123", leave + "; the 0 in brackets only if it is not dialled at this phone: 030123"},
		{"dial", "030 123", leave + ": 030123"},
		{"dial", "(030) 123-45", leave + ": 03012345"},
		{"dial", "030/123.45", leave + ": 03012345"},
		{"dial", "+49 30 123", leave + ": +4930123"},
		{"dial", "+49 (30) 123", leave + ": +4930123"},
		{"dial", "030\u2013123\u2011\u206645", leave + ": 03012345"},
		{"dial", "030\u00a0123", leave + ": 030123"},
		{"dial", "\u202a+4930123\u202c", leave + ": +4930123"},
		{"dial", "0301234,,12#", "a number has no pauses: send what follows into the call with dtmf"},
		{"dial", "0301234p12", "a number has no pauses: send what follows into the call with dtmf"},
		{"dial", "alice", ""},
		{"dial", "12a", ""},
		{"dial", "tel:+49(0)30123", trunk + ", because it is not dialled after the country code: +4930123"},
		{"dial", "tel:+49 30 123", leave + ": +4930123"},
		{"dial", "tel:+4930123;ext=12", "send an extension into the call with dtmf"},
		{"dial", "tel:123;phone-context=+4930", "write the whole number, with + and its country code or as it is dialled at the phone"},
		{"transfer", "030 123", leave + ": 030123"},
		{"transfer", "0049 (0)30 123", trunk + ", because it is not dialled after the country code: 004930123"},
		{"transfer", "tel:+4930123", "there is no key for +: write 00, or what the line takes instead"},
		{"dtmf", "12-34", leave + ": 1234"},
	} {
		for _, payload := range []string{tt.in, `{"number":"` + tt.in + `"}`} {
			if tt.verb == "dtmf" && payload != tt.in {
				continue
			}
			_, err := snom.ParsePayload(snom.Verb(tt.verb), []byte(payload))
			if s := syntaxError(t, err); s.Hint != tt.hint {
				t.Errorf("%s %s: hint %q, expected %q", tt.verb, payload, s.Hint, tt.hint)
			}
			// What the hint says to write is taken.
			if i := strings.LastIndex(tt.hint, ": "); i >= 0 && strings.Trim(tt.hint[i+2:], "+0123456789") == "" {
				if _, err := snom.ParsePayload(snom.Verb(tt.verb), []byte(tt.hint[i+2:])); err != nil {
					if !strings.Contains(err.Error(), "no key for +") {
						t.Errorf("the hint of %s %s: %v", tt.verb, tt.in, err)
					}
				}
			}
		}
	}
}

// TestTelFaults: what a tel URI may say beside a number is refused with words, at its place in what was received.
func TestTelFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in, expected string
		offset       int
	}{
		{"tel:", "a number of digits", 4},
		{"tel:+", "a number of digits", 5},
		{"tel:-", "a number of digits", 5},
		{"tel://+4930123", "without slashes", 4},
		{"tel:+4930123;ext=1", "no parameters", 12},
		{"tel:+4930123;isub=1", "no parameters", 12},
		{"tel:123;phone-context=pbx.example", "no parameters", 7},
		{"tel:123?x=1", "no parameters", 7},
		{"tel:%2B4930123", "without escapes", 4},
		{"tel:+49-30-12a", "a number of digits", 13},
		{"tel:49-+30", "a number of digits", 7},
		{"tel:27@pbx.example", "not a SIP URI", 6},
		{"tel:sip:27@pbx.example", "not a SIP URI", 7},
		{"tel:tel:1", "not a SIP URI", 7},
		{"tel:" + strings.Repeat("1-", 64) + "1", "at most 64 digits", 4 + 128},
		{"tel 123", "a number of digits", 0},
		{"telephone", "a number of digits", 0},
	} {
		_, err := snom.ParsePayload(snom.VerbDial, []byte(tt.in))
		checkError(t, err)
		if s := syntaxError(t, err); s.Offset != tt.offset || !strings.Contains(s.Expected, tt.expected) {
			t.Errorf("%s: %v, expected offset %d and %q", tt.in, err, tt.offset, tt.expected)
		}
	}
	if c, err := snom.Dial("tel:+49-30-123"); err != nil || c != commandOf(t, "dial +4930123") {
		t.Errorf("Dial: %q, %v", c, err)
	}
	if c, err := snom.TransferTo("tel:28"); err != nil || c != commandOf(t, "transfer 28") {
		t.Errorf("TransferTo: %q, %v", c, err)
	}
}

// TestIsTimestamp: what Node-RED sends when it is given nothing else is recognised, and no number that a person may
// mean.
func TestIsTimestamp(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 27, 10, 0, 0, 123e6, time.UTC)
	at := func(d time.Duration) string { return fmt.Sprint(now.Add(d).UnixMilli()) }
	for text, expected := range map[string]bool{
		"dial " + at(0):                                   true,
		"dial " + at(-23*time.Hour):                       true,
		"dial " + at(23*time.Hour):                        true,
		"dial tel:" + at(0):                               true,
		`dial {"number":` + at(0) + `}`:                   true,
		"transfer " + at(time.Second):                     true,
		"dtmf " + at(-time.Second):                        true,
		`dtmf {"digits":"` + at(0) + `","method":"keys"}`: true,
		"dial " + at(25*time.Hour):                        false,
		"dial " + at(-25*time.Hour):                       false,
		"dial +" + at(0):                                  false,
		"dial " + at(0) + "0":                             false,
		"dial " + at(0)[:10]:                              false, // seconds: as long as many a number
		"dial *" + at(0)[1:]:                              false,
		"dial 0049301234567":                              false,
		"dial " + at(0) + "@pbx.example":                  false,
		"dial 9999999999999":                              false,
		"transfer complete":                               false,
		"ring 3":                                          false,
		"answer":                                          false,
	} {
		if got := commandOf(t, text).IsTimestamp(now); got != expected {
			t.Errorf("%s: IsTimestamp = %v, expected %v", text, got, expected)
		}
	}
	if (snom.Command{}).IsTimestamp(now) {
		t.Error("the zero Command is a time")
	}
}
