package snom

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/snom2mqtt/snom2mqtt/internal/oddchar"
)

// MaxPayload is the longest text of most commands, in bytes; see [Verb.MaxPayload]. Longer ones are a [SyntaxError],
// whatever they hold.
const MaxPayload = 16 << 10

// maxQuoted bounds how much of a received text a SyntaxError repeats, in bytes.
const maxQuoted = 64

// A SyntaxError says where a command is not valid, and what was expected there.
type SyntaxError struct {
	// Verb is the command. It is empty when the verb itself is not known.
	Verb Verb
	// Field is the JSON member at fault, such as "number" or "keys[2].hold_ms"; empty in plain text.
	Field string
	// Text is what was received: the argument, or the value of Field. It is valid UTF-8 and at most 64
	// bytes, followed by "…" when something was cut off.
	Text string
	// Offset counts the bytes before the fault in what was received (in the decoded value when Field is
	// set). It is -1 when the fault has no place: something is missing, or does not go together.
	Offset int
	// Expected says what would have been accepted. It never repeats what was received.
	Expected string
	// Found names a character that is easily overlooked or mistaken, such as "a line end (LF) at its end", where
	// there is one; otherwise it is empty.
	Found string
	// Hint is a suggestion, or empty. It may repeat what was received.
	Hint string
}

// Error returns one line: the command, what was received, the offset of the fault, what was expected.
func (e *SyntaxError) Error() string { return e.message(e.Text, e.Found, e.Hint) }

// Redacted is Error without anything that was received, for arguments that must not be shown, such as
// the code that opens a door.
func (e *SyntaxError) Redacted() string {
	return e.message("", oddchar.Redact(e.Found), "")
}

func (e *SyntaxError) message(text, found, hint string) string {
	var b strings.Builder
	b.WriteString("snom:")
	if e.Verb != "" {
		b.WriteString(" " + string(e.Verb))
		if e.Field != "" {
			b.WriteString(": field " + strconv.Quote(e.Field))
		}
	}
	if text != "" || e.Offset == 0 && e.Text == "" {
		b.WriteString(" " + strconv.Quote(text))
	}
	if b.Len() > len("snom:") {
		b.WriteString(":")
	}
	if e.Offset >= 0 {
		b.WriteString(" offset " + strconv.Itoa(e.Offset) + ":")
	}
	b.WriteString(" expected " + e.Expected)
	if found != "" {
		b.WriteString("; it has " + found)
	}
	if hint != "" {
		b.WriteString("; " + hint)
	}
	return b.String()
}

// fault returns the SyntaxError of one byte. Callers that know the received text add it with in.
func fault(offset int, expected string) *SyntaxError {
	return &SyntaxError{Offset: offset, Expected: expected}
}

// tooLong is the fault of text longer than most.
func tooLong(text string, most int) *SyntaxError {
	err := fault(most, "at most "+strconv.Itoa(most)+" bytes")
	err.Text = quotable(text)
	return err
}

// in adds what was received, unless the error already has it.
func (e *SyntaxError) in(received string) *SyntaxError {
	if e.Text == "" && e.Offset >= 0 {
		e.Text = quotable(received)
		if e.Found == "" {
			e.Found = oddchar.Find(received, e.Offset)
		}
	}
	return e
}

// quotable bounds s to maxQuoted bytes of valid UTF-8.
func quotable(s string) string {
	valid := strings.ToValidUTF8(s[:min(len(s), maxQuoted+1)], "\uFFFD")
	if len(s) <= maxQuoted && len(valid) <= maxQuoted {
		return valid
	}
	end := min(len(valid), maxQuoted)
	for end < len(valid) && !utf8.RuneStart(valid[end]) {
		end--
	}
	return valid[:end] + "…"
}

// decimal reads s as a whole number from least to most, written in ASCII digits without a sign and
// without leading zeros. The offset of the first byte that does not fit is in bad; -1 says that all fit.
func decimal(s string, least, most int) (n, bad int) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' || i == 1 && s[0] == '0' {
			return 0, i
		}
		if n = n*10 + int(s[i]-'0'); n > most {
			return 0, i
		}
	}
	if s == "" || n < least {
		return 0, 0
	}
	return n, -1
}

// withoutFraction returns a whole number that is written with a fraction of zeros, such as 3.0 or 3., without it. Templates of
// Home Assistant make such texts.
func withoutFraction(s string) string {
	if whole, zeros, ok := strings.Cut(s, "."); ok && whole != "" && strings.Trim(zeros, "0") == "" {
		return whole
	}
	return s
}

// appendEscaped appends value to a query. Unreserved characters (RFC 3986) and those in also stay as they
// are, every other byte becomes %XX with upper-case digits.
func appendEscaped(query []byte, value, also string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(value) {
		c := value[i]
		if isAlnum(c) || strings.IndexByte("-._~", c) >= 0 || strings.IndexByte(also, c) >= 0 {
			query = append(query, c)
		} else {
			query = append(query, '%', hex[c>>4], hex[c&15])
		}
	}
	return query
}

// targetOf returns the target of a request that begins with path and ends with a value, as appendEscaped escapes it.
func targetOf(path, value, also string) string {
	var memory [128]byte // most targets fit
	return string(appendEscaped(append(memory[:0], path...), value, also))
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isAlnum(c byte) bool { return isDigit(c) || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' }
