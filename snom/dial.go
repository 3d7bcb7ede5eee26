package snom

import (
	"net/netip"
	"strings"

	"github.com/snom2mqtt/snom2mqtt/internal/strictjson"
)

// Bounds of what can be dialled. They are those of this package.
const (
	maxNumber = 64  // digits of a number
	maxURI    = 255 // bytes of a SIP URI
)

const expectedNumber = "a number of digits, * and #, with + only in front, or a SIP URI such as 27@pbx.example"

// dialRow is the row of the command dial.
func dialRow() *verbRow {
	return &verbRow{
		verb: VerbDial,
		help: VerbHelp{
			Summary:     "calls a number or a SIP URI",
			Plain:       "a number of up to 64 digits, * and #, with + only in front, also as tel:+49-30-123; or a SIP URI, user@host",
			JSON:        "number; outgoing_uri: the identity that calls, user@host",
			Request:     "/command.htm?number=…[&outgoing_uri=…]",
			Source:      sourceBoth,
			Example:     "dial +4930123",
			ExampleJSON: `{"number":"+4930123"}`,
		},
		parse:   parsed(parseCall),
		read:    readCall,
		members: []string{"number", "outgoing_uri"},
	}
}

// Dial returns the command that calls a number or a SIP URI.
func Dial(number string) (Command, error) { return fromPlain(VerbDial, number) }

// DialFrom returns the command that calls a number or a SIP URI from one identity of the phone, user@host.
func DialFrom(number, identity string) (Command, error) {
	row := VerbDial.row()
	m := members{object: strictjson.Object{"number": quoted(number), "outgoing_uri": quoted(identity)}}
	return row.command(readCall(&m), m.err)
}

// A call is the argument of a dial command.
type call struct {
	number      string
	outgoingURI string // the identity to call from; empty: the phone's choice
}

func parseCall(text string) (call, *SyntaxError) {
	number, err := parseNumber(text, checkCalled)
	return call{number: number}, err
}

func readCall(m *members) argument {
	m.need("number", expectedNumber)
	text, _ := m.text("number")
	number, err := parseNumber(text, checkCalled)
	m.check("number", text, err)
	uri, given := m.text("outgoing_uri")
	if given {
		m.check("outgoing_uri", uri, checkURI(uri))
	}
	return call{number, uri}
}

func (c call) text() string {
	if c.outgoingURI == "" {
		return c.number
	}
	return `{"number":"` + c.number + `","outgoing_uri":"` + c.outgoingURI + `"}`
}

func (c call) steps(Dialect) []Step {
	target := targetOf("/command.htm?number=", c.number, ":@/")
	if c.outgoingURI != "" {
		target += targetOf("&outgoing_uri=", c.outgoingURI, ":@/")
	}
	return []Step{{Request: target}}
}

// checkCalled checks what a dial command may call: a number or a SIP URI.
func checkCalled(text string) *SyntaxError {
	if strings.Contains(text, "@") || strings.HasPrefix(text, "sip:") || strings.HasPrefix(text, "sips:") {
		return checkURI(text)
	}
	digits := strings.TrimPrefix(text, "+")
	err := checkDigits(digits, "*#", expectedNumber)
	if err != nil {
		err.Offset += len(text) - len(digits)
		err.Hint = numberHint(text)
		if err.Offset > 0 && err.Offset < len(text) && strings.IndexByte(",;pwPW", text[err.Offset]) >= 0 {
			err.Hint = "a number has no pauses: send what follows into the call with dtmf"
		}
	}
	return err
}

// checkDigits checks 1 to maxNumber digits and characters of also.
func checkDigits(text, also, expected string) *SyntaxError {
	for i := range len(text) {
		if !isDigit(text[i]) && strings.IndexByte(also, text[i]) < 0 {
			return fault(i, expected)
		}
		if i == maxNumber {
			return fault(i, "at most 64 digits")
		}
	}
	if text == "" {
		return fault(0, expected)
	}
	return nil
}

// checkURI checks a SIP URI, [sip:|sips:]user@host[:port][;name[=value]], in a narrow subset of RFC 3261:
// no password, no escapes, no headers.
func checkURI(uri string) *SyntaxError {
	if len(uri) > maxURI {
		return fault(maxURI, "at most 255 bytes")
	}
	pos := 0
	for _, scheme := range []string{"sip:", "sips:"} {
		if strings.HasPrefix(uri, scheme) {
			pos = len(scheme)
		}
	}
	user := span(uri[pos:], "._~!*'()+-")
	if user == 0 || user > 64 || pos+user == len(uri) || uri[pos+user] != '@' {
		return fault(pos+min(user, 64), "a user of 1 to 64 letters, digits and ._~!*'()+- followed by @ and a host")
	}
	pos += user + 1
	host, params, more := strings.Cut(uri[pos:], ";")
	if err := checkHost(host); err != nil {
		err.Offset += pos
		return err
	}
	for more {
		pos = len(uri) - len(params)
		var param string
		param, params, more = strings.Cut(params, ";")
		name, value, valued := strings.Cut(param, "=")
		if n := span(name, "._-"); n == 0 || n < len(name) {
			return fault(pos+n, "a parameter name of letters, digits and ._-")
		}
		if n := span(value, "._-"); valued && n == 0 || n < len(value) {
			return fault(pos+len(name)+1+n, "a parameter value of letters, digits and ._-")
		}
	}
	return nil
}

// span counts the letters, digits and characters of also that s begins with.
func span(s, also string) int {
	for i := range len(s) {
		if !isAlnum(s[i]) && strings.IndexByte(also, s[i]) < 0 {
			return i
		}
	}
	return len(s)
}

// checkHost checks host[:port]: a DNS name, an IPv4 address, or an IPv6 address in brackets.
func checkHost(text string) *SyntaxError {
	const expected = "a host: a name, an IPv4 address, or an IPv6 address in brackets"
	host, port, ported := strings.Cut(text, ":")
	if strings.HasPrefix(text, "[") {
		end := strings.IndexByte(text, ']')
		if addr, err := netip.ParseAddr(text[1:max(end, 1)]); err != nil || !addr.Is6() || addr.Zone() != "" {
			return fault(0, expected)
		}
		host, port, ported = text[:end+1], text[end+1:], end+1 < len(text)
		if ported && port[0] != ':' {
			return fault(end+1, "a colon and a port, or nothing, after ]")
		}
		port = strings.TrimPrefix(port, ":")
	} else if bad := badName(host); bad >= 0 {
		return fault(bad, expected)
	}
	if _, bad := decimal(port, 1, 65535); ported && bad >= 0 {
		return fault(len(host)+1+bad, "a port from 1 to 65535")
	}
	return nil
}

// badName returns where name stops being a DNS name or an IPv4 address, -1 if it is one.
func badName(name string) int {
	pos := 0
	for label := range strings.SplitSeq(name, ".") {
		n := span(label, "-")
		switch {
		case n == 0 || n < len(label):
			return pos + n
		case n > 63 || label[0] == '-':
			return pos
		case label[n-1] == '-':
			return pos + n - 1
		}
		pos += n + 1
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	if strings.Trim(last, "0123456789") == "" {
		if _, err := netip.ParseAddr(name); err != nil {
			return 0
		}
	}
	return -1
}
