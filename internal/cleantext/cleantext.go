// Package cleantext makes text that came from outside fit to be shown: valid UTF-8, printable, bounded.
package cleantext

import (
	"strings"
	"unicode/utf8"
)

// Clean returns s as valid UTF-8 without control characters, at most n bytes long. Text without any
// multi-byte UTF-8 sequence that is not ASCII is read as Latin-1. What cannot be read becomes U+FFFD.
func Clean(s string, n int) string {
	if !utf8.ValidString(s) && !hasUTF8(s) {
		s = FromLatin1(s)
	}
	s = strings.Map(func(r rune) rune {
		if r < ' ' || 0x7f <= r && r < 0xa0 {
			return utf8.RuneError
		}
		return r
	}, s)
	return Cut(s, n)
}

// FromLatin1 returns s, which is Latin-1, in UTF-8.
func FromLatin1(s string) string {
	runes := make([]rune, 0, len(s))
	for i := range len(s) {
		runes = append(runes, rune(s[i]))
	}
	return string(runes)
}

// hasUTF8 reports whether s holds at least one valid multi-byte UTF-8 sequence.
func hasUTF8(s string) bool {
	for i, r := range s {
		if r >= utf8.RuneSelf && (r != utf8.RuneError || strings.HasPrefix(s[i:], "\uFFFD")) {
			return true
		}
	}
	return false
}

// Cut returns the first n bytes of s at most. It does not cut within a UTF-8 sequence.
func Cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
