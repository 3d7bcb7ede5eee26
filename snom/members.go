package snom

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/snom2mqtt/snom2mqtt/internal/strictjson"
)

// members reads the members of a JSON object one by one. The first fault is kept in err; after it every
// read returns nothing, so readers check err only at their end.
type members struct {
	object strictjson.Object
	within string // what stands before a name in SyntaxError.Field, such as "keys[2]."
	err    *SyntaxError
	inner  reader // of commands that are members
}

// only makes members of other names a fault.
func (m *members) only(names ...string) {
	unknown, found := "", false
	for name := range m.object {
		if !slices.Contains(names, name) && (!found || name < unknown) { // the same one every time
			unknown, found = name, true
		}
	}
	if !found || m.err != nil {
		return
	}
	m.err = fault(-1, "no members but "+strings.Join(names, ", "))
	if len(names) == 0 {
		m.err.Expected = "no members"
	}
	m.err.Field = strings.TrimSuffix(m.within, ".")
	m.err.Hint = strconv.Quote(quotable(unknown)) + " is not known"
	for _, name := range names {
		if len(name) >= minMisspelt && misspelt(strings.ToLower(unknown), name) || strings.EqualFold(unknown, name) {
			m.err.Hint += ", perhaps " + name
			break
		}
	}
}

// has reports whether there is a member called name.
func (m *members) has(name string) bool {
	_, ok := m.object[name]
	return ok
}

// refuse makes the member called name a fault as a whole.
func (m *members) refuse(name, expected string) { m.check(name, "", fault(-1, expected)) }

// need makes it a fault when there is no member called name.
func (m *members) need(name, expected string) {
	if !m.has(name) {
		err := fault(-1, expected)
		err.Hint = "it is missing"
		m.check(name, "", err)
	}
}

// check keeps the fault of the member called name, which reads text. A nil fault is none.
func (m *members) check(name, text string, err *SyntaxError) {
	if m.err != nil || err == nil {
		return
	}
	m.err = err.in(text)
	m.err.Field = m.within + name
}

// text reads a member that is text, or a whole number for its digits. It reports whether there was one.
func (m *members) text(name string) (string, bool) {
	raw, ok := m.object[name]
	if !ok {
		return "", false
	}
	return m.textAt(name, raw)
}

// textAt is text for the value at a place such as "keys[2]".
func (m *members) textAt(place string, raw json.RawMessage) (string, bool) {
	if m.err != nil {
		return "", false
	}
	read := strictjson.Text
	if len(raw) > 0 && (raw[0] == '-' || isDigit(raw[0])) {
		read = strictjson.Whole
	}
	text, err := read(raw)
	if err == nil {
		return text, true
	}
	fault := jsonFault(err)
	if len(raw) == 0 || raw[0] != '"' {
		expected := "a whole number"
		if fault.Offset > 0 || fault.Expected == strictjson.TooLarge {
			expected = fault.Expected
		}
		fault.Expected = "text in double quotes, or " + expected
	}
	m.check(place, string(raw), fault)
	return "", false
}

// boolean reads a member that is true or false. It reports whether it is one of them.
func (m *members) boolean(name string) (value, ok bool) {
	switch string(m.object[name]) {
	case "true":
		return true, m.err == nil
	case "false":
		return false, m.err == nil
	}
	return false, false
}

// whole reads a member that is a whole number from least to most. It reports whether there was one.
func (m *members) whole(name string, least, most int) (int, bool) {
	raw, ok := m.object[name]
	if !ok || m.err != nil {
		return 0, false
	}
	digits, err := strictjson.Whole(raw)
	if err != nil {
		m.check(name, string(raw), fault(jsonFault(err).Offset, wholeFrom(least, most)+", without quotes"))
		return 0, false
	}
	n, bad := decimal(digits, least, most)
	if bad >= 0 {
		m.check(name, string(raw), fault(bad, wholeFrom(least, most)+", without quotes"))
	}
	return n, bad < 0
}

// each reads a member that is a list, and calls read for each of its values and the value's place, such as
// "keys[2]".
func (m *members) each(name string, read func(place string, item json.RawMessage)) {
	raw, ok := m.object[name]
	if !ok || m.err != nil {
		return
	}
	items, err := strictjson.List(raw)
	if err != nil {
		m.check(name, string(raw), jsonFault(err))
	}
	for i, item := range items {
		if m.err != nil {
			return
		}
		read(name+"["+strconv.Itoa(i)+"]", item)
	}
}

// nested reads the value at a place as an object with the members called names.
func (m *members) nested(place string, raw json.RawMessage, names []string, read func(item *members)) {
	object, err := parseObject(raw)
	if m.check(place, string(raw), err); m.err != nil {
		return
	}
	item := members{object: object, within: m.within + place + "."}
	item.only(names...)
	read(&item)
	m.err = item.err
}

// wholeFrom describes what decimal accepts.
func wholeFrom(least, most int) string {
	return "a whole number from " + strconv.Itoa(least) + " to " + strconv.Itoa(most)
}
