// Package strictjson reads JSON objects that come from outside, more strictly than encoding/json: invalid UTF-8, a
// member name that comes twice (at any depth), anything after the object, deep nesting and too many members are
// errors, and every error has the byte offset of the fault.
package strictjson

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/snom2mqtt/snom2mqtt/internal/cleantext"
	"github.com/snom2mqtt/snom2mqtt/internal/oddchar"
)

// Bounds of an object. They are chosen by this project: no command needs more.
const (
	maxDepth   = 6   // of nested objects and lists
	maxMembers = 200 // of one object
)

// White is the white space of JSON.
const White = " \t\r\n"

// An Object is the members of one JSON object, not yet read.
type Object map[string]json.RawMessage

// Take returns the member called name and removes it from o. It reports whether there was one.
func (o Object) Take(name string) (json.RawMessage, bool) {
	value, ok := o[name]
	delete(o, name)
	return value, ok
}

// objects are those that are not used any more.
var objects = sync.Pool{New: func() any { return Object{} }}

// Release gives the memory of o to an object that is parsed later. Neither o nor a copy of it may be used any more; its
// values may.
func (o Object) Release() {
	const few = 16 // members for which memory is kept
	if len(o) <= few {
		clear(o)
		objects.Put(o)
	}
}

// An Error says where a text stopped being JSON, and what was expected there. All errors of this package are *Error.
type Error struct {
	Offset   int    // of the first byte that does not fit
	Expected string // never repeats what was received
	Found    string // names an odd character at Offset (see package oddchar); may be empty
	Hint     string // may repeat what was received; may be empty
}

// Error returns the whole message.
func (e *Error) Error() string { return e.message(e.Found, e.Hint) }

// Redacted is Error without anything that was received.
func (e *Error) Redacted() string { return e.message(oddchar.Redact(e.Found), "") }

func (e *Error) message(found, hint string) string {
	message := "offset " + strconv.Itoa(e.Offset) + ": expected " + e.Expected
	if found != "" {
		message += "; it has " + found
	}
	if hint != "" {
		message += "; " + hint
	}
	return message
}

func fault(offset int, expected string) *Error { return &Error{Offset: offset, Expected: expected} }

// IsObject reports whether data is to be read as a JSON object: whether its first byte after white space is an
// opening brace.
func IsObject(data []byte) bool {
	data = bytes.TrimLeft(data, White)
	return len(data) > 0 && data[0] == '{'
}

// Parse reads data as one JSON object. Objects and lists may be nested to a depth of 6, and an object may have 200
// members. The values share the memory of data.
func Parse(data []byte) (Object, error) {
	o := objects.Get().(Object)
	s := scanner{data: data}
	if err := s.document(o); err != nil {
		if err.Offset < len(data) && data[err.Offset] != ' ' {
			err.Found = oddchar.At(string(data), err.Offset)
		}
		return nil, err
	}
	return o, nil
}

// Text reads a value that is text.
func Text(value json.RawMessage) (string, error) {
	s := scanner{data: value}
	if !s.at('"') {
		return "", s.expected("text in double quotes")
	}
	text, err := s.text()
	if err == nil {
		err = s.end()
	}
	if err != nil {
		return "", err
	}
	return string(text), nil
}

// List reads a value that is a list. Its values share the memory of value.
func List(value json.RawMessage) (items []json.RawMessage, _ error) {
	s := scanner{data: value}
	if !s.at('[') {
		return nil, s.expected("a list in [ and ]")
	}
	err := s.list(func(item json.RawMessage) { items = append(items, item) })
	if err == nil {
		err = s.end()
	}
	if err != nil {
		return nil, err
	}
	return items, nil
}

// maxSafe is the largest whole number that every program takes exactly: 2^53 (RFC 8259, section 6).
const maxSafe = 1 << 53

// TooLarge is what [Whole] expects instead of a number beyond 2^53.
const TooLarge = "a number up to 9007199254740992, because programs round larger ones"

// Whole returns the digits of a value that is a number without a fraction, with a minus in front where it is
// negative: 3 and 3.0 are "3". It refuses what may have lost digits on its way: a number in exponential form, and
// one beyond 2^53, from which on many programs round.
func Whole(value json.RawMessage) (string, error) {
	s := scanner{data: value}
	const expected = "a whole number"
	if !s.at('-') && (s.pos == len(value) || !isDigit(value[0])) {
		return "", s.expected(expected)
	}
	if err := s.number(); err != nil {
		return "", err
	}
	if err := s.end(); err != nil {
		return "", err
	}
	if i := bytes.IndexAny(value, "eE"); i >= 0 {
		return "", fault(i, expected+" without an exponent")
	}
	digits, fraction, _ := strings.Cut(string(value), ".")
	if strings.Trim(fraction, "0") != "" {
		return "", fault(len(digits), expected+" without a fraction")
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > maxSafe || n < -maxSafe {
		return "", fault(0, TooLarge)
	}
	return strconv.FormatInt(n, 10), nil
}

// A scanner checks JSON (RFC 8259) byte by byte. encoding/json would not do: it takes the last of two
// members of one name, and silently replaces invalid UTF-8.
type scanner struct {
	data  []byte
	pos   int
	depth int
}

// document scans an object with nothing but white space around it, and puts its members into o.
func (s *scanner) document(o Object) *Error {
	s.space()
	if !s.at('{') {
		return s.expected("a JSON object in { and }")
	}
	if err := s.object(o); err != nil {
		return err
	}
	return s.end()
}

// end checks that nothing but white space is left.
func (s *scanner) end() *Error {
	s.space()
	if s.pos < len(s.data) {
		return s.expected("nothing more")
	}
	return nil
}

func (s *scanner) expected(what string) *Error { return fault(s.pos, what) }

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

func (s *scanner) value() *Error {
	if s.pos == len(s.data) {
		return s.expected("a value")
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
	err := s.expected("a value: text in double quotes, a number, true, false, a list or an object")
	switch s.data[s.pos] {
	case '+', '*', '#':
		err.Hint = "write the number in double quotes, with the sign before it"
	}
	return err
}

// object scans an object and puts its members into o, which must be empty.
func (s *scanner) object(o Object) *Error {
	if s.depth++; s.depth > maxDepth {
		return s.expected("at most " + strconv.Itoa(maxDepth) + " lists and objects in one another")
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
			return s.expected("the name of a member in double quotes")
		}
		text, err := s.text()
		if err != nil {
			return err
		}
		name := string(text)
		if _, twice := o[name]; twice {
			err := fault(start, "every member once")
			err.Hint = strconv.Quote(cleantext.Cut(name, 64)) + " is already there"
			return err
		}
		if len(o) == maxMembers {
			return fault(start, "at most "+strconv.Itoa(maxMembers)+" members")
		}
		s.space()
		if !s.take(':') {
			return s.expected("a colon")
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
			return s.expected("a comma or }")
		}
		s.space()
	}
}

// list scans a list and gives each of its values to add.
func (s *scanner) list(add func(json.RawMessage)) *Error {
	if s.depth++; s.depth > maxDepth {
		return s.expected("at most " + strconv.Itoa(maxDepth) + " lists and objects in one another")
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
			return s.expected("a comma or ]")
		}
		s.space()
	}
}

// text scans a string and returns what it says, which may share the memory of data.
func (s *scanner) text() ([]byte, *Error) {
	s.pos++
	var unescaped []byte // what was read before the last escape, nil when there was none
	for {
		start := s.pos
		if err := s.run(); err != nil {
			return nil, err
		}
		if s.take('"') {
			last := s.data[start : s.pos-1]
			if unescaped == nil {
				return last, nil
			}
			return append(unescaped, last...), nil
		}
		unescaped = append(unescaped, s.data[start:s.pos]...)
		r, err := s.escape()
		if err != nil {
			return nil, err
		}
		unescaped = utf8.AppendRune(unescaped, r)
	}
}

// run scans text up to the next backslash or double quote.
func (s *scanner) run() *Error {
	for !s.at('"') && !s.at('\\') {
		if s.pos == len(s.data) {
			return s.expected("a closing double quote")
		}
		r, size := utf8.DecodeRune(s.data[s.pos:])
		if r == utf8.RuneError && size == 1 {
			return s.expected("valid UTF-8")
		}
		if r < ' ' {
			return s.expected(`text without raw control characters; a line end is written \n`)
		}
		s.pos += size
	}
	return nil
}

// escape scans an escape sequence. Half a surrogate pair stands for nothing and is refused.
func (s *scanner) escape() (rune, *Error) {
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

func (s *scanner) number() *Error {
	s.take('-')
	switch {
	case s.take('0'):
		if s.pos < len(s.data) && isDigit(s.data[s.pos]) {
			err := s.expected("no digit after a leading zero")
			err.Hint = "write the number in double quotes, so that its zero is kept"
			return err
		}
	case !s.digits():
		return s.expected("a digit")
	}
	if s.take('.') && !s.digits() {
		return s.expected("a digit")
	}
	if s.take('e') || s.take('E') {
		_ = s.take('+') || s.take('-')
		if !s.digits() {
			return s.expected("a digit")
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

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
