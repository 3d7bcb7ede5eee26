package snom

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Bounds of a JSON object beside MaxPayload. They are ours: no command needs more.
const (
	maxDepth   = 4   // of nested objects and lists
	maxMembers = 200 // of one object
)

// An Object is the members of one JSON object, not yet read.
type Object map[string]json.RawMessage

// ParseObject reads data as one JSON object, more strictly than encoding/json: invalid UTF-8, a member
// name that comes twice (at any depth), anything after the object, nesting deeper than 4, more than 200
// members in one object and more than [MaxPayload] bytes are refused with a [*SyntaxError] that gives the
// byte offset. The values share the memory of data.
func ParseObject(data []byte) (Object, error) {
	o, err := parseObject(data)
	if err != nil {
		return nil, err
	}
	return o, nil
}

func parseObject(data []byte) (Object, *SyntaxError) {
	if len(data) > MaxPayload {
		return nil, tooLong(string(data[:maxQuoted+1]))
	}
	o := Object{}
	s := scanner{data: data}
	if err := s.document(o); err != nil {
		return nil, err.in(string(data[:min(len(data), maxQuoted+1)]))
	}
	return o, nil
}

// Take returns the member called name and removes it from o. It reports whether there was one.
func (o Object) Take(name string) (json.RawMessage, bool) {
	value, ok := o[name]
	delete(o, name)
	return value, ok
}

// IsObject reports whether payload is read as a JSON object and not as plain text: whether its first
// byte after JSON white space is an opening brace. No plain form of a command begins so.
func IsObject(payload []byte) bool {
	payload = bytes.TrimLeft(payload, jsonSpace)
	return len(payload) > 0 && payload[0] == '{'
}

const jsonSpace = " \t\r\n"

// A scanner checks JSON (RFC 8259) byte by byte. encoding/json would not do: it takes the last of two
// members of one name, and mends broken UTF-8 silently.
type scanner struct {
	data  []byte
	pos   int
	depth int
}

// document scans an object with nothing but white space around it, and puts its members into o.
func (s *scanner) document(o Object) *SyntaxError {
	s.space()
	if !s.at('{') {
		return s.want("a JSON object in { and }")
	}
	if err := s.object(o); err != nil {
		return err
	}
	return s.end()
}

// end checks that nothing but white space is left.
func (s *scanner) end() *SyntaxError {
	s.space()
	if s.pos < len(s.data) {
		return s.want("nothing more")
	}
	return nil
}

func (s *scanner) want(what string) *SyntaxError { return fault(s.pos, what) }

func (s *scanner) at(c byte) bool { return s.pos < len(s.data) && s.data[s.pos] == c }

// take skips c and reports whether it was there.
func (s *scanner) take(c byte) bool {
	if !s.at(c) {
		return false
	}
	s.pos++
	return true
}

func (s *scanner) space() {
	for s.at(' ') || s.at('\n') || s.at('\t') || s.at('\r') {
		s.pos++
	}
}

func (s *scanner) value() *SyntaxError {
	if s.pos == len(s.data) {
		return s.want("a value")
	}
	switch c := s.data[s.pos]; {
	case c == '{':
		return s.object(Object{})
	case c == '[':
		return s.list(func(json.RawMessage) {})
	case c == '"':
		_, err := s.text()
		return err
	case c == '-' || isDigit(c):
		return s.number()
	}
	for _, word := range []string{"true", "false", "null"} {
		if rest := s.data[s.pos:]; len(rest) >= len(word) && string(rest[:len(word)]) == word {
			s.pos += len(word)
			return nil
		}
	}
	return s.want("a value: text in double quotes, a number, true, false, a list or an object")
}

// object scans an object and puts its members into o, which must be empty.
func (s *scanner) object(o Object) *SyntaxError {
	if s.depth++; s.depth > maxDepth {
		return s.want("at most " + strconv.Itoa(maxDepth) + " lists and objects in one another")
	}
	s.pos++
	s.space()
	if s.take('}') {
		s.depth--
		return nil
	}
	for {
		start := s.pos
		if !s.at('"') {
			return s.want("the name of a member in double quotes")
		}
		name, err := s.text()
		if err != nil {
			return err
		}
		if _, twice := o[name]; twice {
			err := fault(start, "every member once")
			err.Hint = strconv.Quote(quotable(name)) + " is already there"
			return err
		}
		if len(o) == maxMembers {
			return fault(start, "at most "+strconv.Itoa(maxMembers)+" members")
		}
		s.space()
		if !s.take(':') {
			return s.want("a colon")
		}
		s.space()
		start = s.pos
		if err := s.value(); err != nil {
			return err
		}
		o[name] = s.data[start:s.pos:s.pos]
		s.space()
		if s.take('}') {
			s.depth--
			return nil
		}
		if !s.take(',') {
			return s.want("a comma or }")
		}
		s.space()
	}
}

// list scans a list and gives each of its values to add.
func (s *scanner) list(add func(json.RawMessage)) *SyntaxError {
	if s.depth++; s.depth > maxDepth {
		return s.want("at most " + strconv.Itoa(maxDepth) + " lists and objects in one another")
	}
	s.pos++
	s.space()
	if s.take(']') {
		s.depth--
		return nil
	}
	for {
		start := s.pos
		if err := s.value(); err != nil {
			return err
		}
		add(s.data[start:s.pos:s.pos])
		s.space()
		if s.take(']') {
			s.depth--
			return nil
		}
		if !s.take(',') {
			return s.want("a comma or ]")
		}
		s.space()
	}
}

// text scans a string and returns what it says.
func (s *scanner) text() (string, *SyntaxError) {
	s.pos++
	var unescaped []byte // what was read before the last escape, nil when there was none
	for {
		start := s.pos
		if err := s.run(); err != nil {
			return "", err
		}
		if s.take('"') {
			last := s.data[start : s.pos-1]
			if unescaped == nil {
				return string(last), nil
			}
			return string(append(unescaped, last...)), nil
		}
		unescaped = append(unescaped, s.data[start:s.pos]...)
		r, err := s.escape()
		if err != nil {
			return "", err
		}
		unescaped = utf8.AppendRune(unescaped, r)
	}
}

// run scans text up to the next backslash or double quote.
func (s *scanner) run() *SyntaxError {
	for !s.at('"') && !s.at('\\') {
		if s.pos == len(s.data) {
			return s.want("a closing double quote")
		}
		r, size := utf8.DecodeRune(s.data[s.pos:])
		if r == utf8.RuneError && size == 1 {
			return s.want("valid UTF-8")
		}
		if r < ' ' {
			return s.want(`text without raw control characters; a line end is written \n`)
		}
		s.pos += size
	}
	return nil
}

// escape scans an escape sequence. Half a surrogate pair stands for nothing and is refused.
func (s *scanner) escape() (rune, *SyntaxError) {
	start := s.pos
	s.pos++ // the backslash
	if s.take('u') {
		r, ok := s.hex4()
		if ok && utf16.IsSurrogate(r) {
			low := utf8.RuneError
			if s.take('\\') && s.take('u') {
				low, ok = s.hex4()
			}
			r = utf16.DecodeRune(r, low)
			ok = ok && r != utf8.RuneError
		}
		if !ok {
			return 0, fault(start, `\u and four hexadecimal digits, in pairs beyond U+FFFF`)
		}
		return r, nil
	}
	const letters, meaning = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	if s.pos < len(s.data) {
		if i := strings.IndexByte(letters, s.data[s.pos]); i >= 0 {
			s.pos++
			return rune(meaning[i]), nil
		}
	}
	return 0, fault(start, `one of the escapes \" \\ \/ \b \f \n \r \t \u`)
}

// hex4 scans four hexadecimal digits.
func (s *scanner) hex4() (rune, bool) {
	if len(s.data)-s.pos < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(s.data[s.pos:s.pos+4]), 16, 16)
	if err != nil {
		return 0, false
	}
	s.pos += 4
	return rune(n), true
}

func (s *scanner) number() *SyntaxError {
	s.take('-')
	if !s.take('0') && !s.digits() {
		return s.want("a digit")
	}
	if s.take('.') && !s.digits() {
		return s.want("a digit")
	}
	if s.take('e') || s.take('E') {
		_ = s.take('+') || s.take('-')
		if !s.digits() {
			return s.want("a digit")
		}
	}
	return nil
}

// digits skips digits and reports whether there was one.
func (s *scanner) digits() bool {
	start := s.pos
	for s.pos < len(s.data) && isDigit(s.data[s.pos]) {
		s.pos++
	}
	return s.pos > start
}

// members reads the members of an Object one by one. The first fault is kept in err; after it every read
// gives nothing, so that readers look at err only at their end.
type members struct {
	object Object
	within string // what stands before a name in SyntaxError.Field, such as "keys[2]."
	err    *SyntaxError
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
		m.err.Want = "no members"
	}
	m.err.Field = strings.TrimSuffix(m.within, ".")
	m.err.Hint = strconv.Quote(quotable(unknown)) + " is not known"
}

// has reports whether there is a member called name.
func (m *members) has(name string) bool {
	_, ok := m.object[name]
	return ok
}

// refuse makes the member called name a fault as a whole.
func (m *members) refuse(name, want string) { m.check(name, "", fault(-1, want)) }

// need makes it a fault when there is no member called name.
func (m *members) need(name, want string) {
	if !m.has(name) {
		err := fault(-1, want)
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

// text reads a member that is text. It reports whether there was one.
func (m *members) text(name string) (string, bool) {
	raw, ok := m.object[name]
	if !ok || m.err != nil {
		return "", false
	}
	s := scanner{data: raw}
	if !s.at('"') {
		m.check(name, string(raw), s.want("text in double quotes"))
		return "", false
	}
	text, err := s.text()
	if err == nil {
		err = s.end()
	}
	if err != nil {
		m.check(name, string(raw), err)
		return "", false
	}
	return text, true
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

// word reads a member that is text, or a whole number for its digits. It reports whether there was one.
func (m *members) word(name string) (string, bool) {
	raw, ok := m.object[name]
	if !ok || m.err != nil {
		return "", false
	}
	s := scanner{data: raw}
	switch {
	case s.at('"'):
		return m.text(name)
	case s.digits():
		return string(raw), true
	}
	m.check(name, string(raw), fault(0, "text in double quotes, or a whole number"))
	return "", false
}

// whole reads a member that is a whole number from least to most. It reports whether there was one.
func (m *members) whole(name string, least, most int) (int, bool) {
	raw, ok := m.object[name]
	if !ok || m.err != nil {
		return 0, false
	}
	n, bad := decimal(string(raw), least, most)
	if bad >= 0 {
		m.check(name, string(raw), fault(bad, wholeFrom(least, most)+", without quotes"))
	}
	return n, bad < 0
}

// each reads a member that is a list of objects, and calls read for each of them.
func (m *members) each(name string, read func(item *members)) {
	raw, ok := m.object[name]
	if !ok || m.err != nil {
		return
	}
	var items []json.RawMessage
	s := scanner{data: raw}
	if !s.at('[') {
		m.check(name, string(raw), s.want("a list in [ and ]"))
		return
	}
	err := s.list(func(item json.RawMessage) { items = append(items, item) })
	if err == nil {
		err = s.end()
	}
	m.check(name, string(raw), err)
	for i, raw := range items {
		if m.err != nil {
			return
		}
		at := name + "[" + strconv.Itoa(i) + "]"
		object, err := parseObject(raw)
		if m.check(at, string(raw), err); m.err != nil {
			return
		}
		item := members{object: object, within: m.within + at + "."}
		read(&item)
		m.err = item.err
	}
}

// wholeFrom says what decimal takes.
func wholeFrom(least, most int) string {
	return "a whole number from " + strconv.Itoa(least) + " to " + strconv.Itoa(most)
}

// quoted returns text as a JSON value.
func quoted(text string) json.RawMessage {
	raw, err := json.Marshal(text)
	if err != nil {
		panic("snom: " + err.Error()) // a string always marshals
	}
	return raw
}

// whole returns n as a JSON value.
func whole(n int) json.RawMessage { return strconv.AppendInt(nil, int64(n), 10) }
