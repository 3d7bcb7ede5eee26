// Package oddchar finds characters that are invisible, or easily mistaken for others, in text that should be ASCII, so
// that error messages can name them.
package oddchar

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Find names a character of received that is invisible or easily mistaken for another one, with its place: the one at
// offset, otherwise the first. It is empty where there is none. See [Redact].
func Find(received string, offset int) string {
	if offset >= 0 && offset < len(received) {
		if name := At(received, offset); name != "" && received[offset] != ' ' {
			return name
		}
	}
	first, last := len(received)-len(strings.TrimLeft(received, " ")), len(strings.TrimRight(received, " "))
	for i, r := range received {
		if r == ' ' && i >= first && i < last {
			continue // a blank between words is visible
		}
		if name := At(received, i); name != "" {
			return name
		}
	}
	if n := len(received); n > 1 && received[0] == received[n-1] && (received[0] == '"' || received[0] == '\'') {
		return "quotes around it"
	}
	return ""
}

// At names the character of received at offset, with its place, if it is an odd one.
func At(received string, offset int) string {
	if offset < 0 || offset >= len(received) {
		return ""
	}
	name, size := oddAt(received, offset)
	if name == "" {
		return ""
	}
	return name + place(received, offset, size)
}

// Redact returns of what [Find] and [At] say only what reveals no visible character.
func Redact(found string) string {
	kind, _, _ := strings.Cut(found, " (U+")
	return kind
}

// place says where the character of a size stands.
func place(received string, offset, size int) string {
	switch {
	case offset == 0:
		return " at its beginning"
	case offset+size >= len(received):
		return " at its end"
	}
	return fmt.Sprintf(" at offset %d", offset)
}

// oddAt names the character at offset, if it is an odd one, and returns its size.
func oddAt(s string, offset int) (name string, size int) {
	r, size := utf8.DecodeRuneInString(s[offset:])
	if strings.HasPrefix(s[offset:], "\r\n") {
		return "a line end (CR LF)", 2
	}
	switch {
	case r == utf8.RuneError && size <= 1:
		return "a byte that is not UTF-8", size
	case r == '\n':
		return "a line end (LF)", size
	case r == '\r':
		return "a line end (CR)", size
	case r == '\t':
		return "a tab", size
	case r == ' ':
		return "a blank", size
	case r == 0:
		return "a NUL", size
	case r > ' ' && r < 0x7f:
		return "", size
	}
	return fmt.Sprintf("%s (%U)", class(r), r), size
}

// class returns the kind of r, which is not a visible ASCII character.
func class(r rune) string {
	switch {
	case r == '\uFEFF':
		return "a byte order mark"
	case r == '\u2028', r == '\u2029', r == '\u0085':
		return "a line end"
	case r == '\u00A0', r == '\u202F', r == '\u2007':
		return "a no-break space"
	case r == '\u00AD':
		return "a soft hyphen"
	case unicode.Is(unicode.Bidi_Control, r):
		return "an invisible direction mark"
	case unicode.IsSpace(r), unicode.Is(unicode.Zs, r):
		return "a space that is not ASCII"
	case unicode.Is(unicode.Cf, r), unicode.Is(unicode.Variation_Selector, r), unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r):
		return "an invisible character"
	case unicode.IsControl(r):
		return "a control character"
	case unicode.IsDigit(r):
		return "a digit that is not ASCII"
	case unicode.Is(unicode.Pd, r), r == '\u2212':
		return "a dash that is not ASCII"
	case unicode.Is(unicode.Quotation_Mark, r):
		return "a quotation mark that is not ASCII"
	case unicode.IsLetter(r):
		return "a letter that is not ASCII"
	}
	return "a character that is not ASCII"
}
