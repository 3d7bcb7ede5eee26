package textfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// An Error is a place in a text and what is wrong there.
type Error struct {
	Line, Column int // from 1; the column counts characters
	What         string
}

func (e *Error) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.What)
}

// Text returns the text of a file in UTF-8 with line ends of one line feed. It accepts UTF-8 with or without a byte
// order mark, UTF-16 with one, and the line ends of every system. Anything else is an [*Error] with its place: bytes of
// another encoding, and NUL.
func Text(data []byte) (string, error) {
	text, err := decode(data)
	if err != nil {
		return "", err
	}
	if strings.IndexByte(text, '\r') >= 0 {
		text = strings.ReplaceAll(text, "\r\n", "\n")
		text = strings.ReplaceAll(text, "\r", "\n")
	}
	if at := strings.IndexByte(text, 0); at >= 0 {
		what := "contains " + CharName(0)
		if bytes.Count(data, []byte{0})*3 > len(data) {
			what = "not a text in UTF-8; if it is UTF-16, it has no byte order mark: save the file as UTF-8"
		}
		return "", placed(text, at, what)
	}
	return text, nil
}

// decode returns data as UTF-8 without a byte order mark.
func decode(data []byte) (string, error) {
	switch {
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE, 0, 0}), bytes.HasPrefix(data, []byte{0, 0, 0xFE, 0xFF}):
		return "", &Error{1, 1, "the file is in UTF-32: save it as UTF-8"}
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE}):
		return utf16Text(data[2:], binary.LittleEndian)
	case bytes.HasPrefix(data, []byte{0xFE, 0xFF}):
		return utf16Text(data[2:], binary.BigEndian)
	}
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	text := string(data)
	if good := validPrefix(text); good < len(text) {
		return "", placed(text[:good], good, fmt.Sprintf("byte 0x%02X is not UTF-8: save the file as UTF-8", text[good]))
	}
	return text, nil
}

// utf16Text decodes UTF-16. Half a character is an error, since the replacement for it would become a part of a secret.
func utf16Text(data []byte, order binary.ByteOrder) (string, error) {
	var b strings.Builder
	b.Grow(len(data))
	for len(data) >= 2 {
		r := rune(order.Uint16(data))
		data = data[2:]
		if utf16.IsSurrogate(r) {
			low := rune(0)
			if len(data) >= 2 {
				low = rune(order.Uint16(data))
			}
			if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
				return "", placed(b.String(), b.Len(), "half a character of UTF-16: save the file as UTF-8")
			}
			data = data[2:]
		}
		b.WriteRune(r)
	}
	if len(data) > 0 {
		return "", placed(b.String(), b.Len(), "half a character of UTF-16: save the file as UTF-8")
	}
	return b.String(), nil
}

// validPrefix counts the bytes before the first that is not UTF-8.
func validPrefix(text string) int {
	if utf8.ValidString(text) {
		return len(text)
	}
	for i, r := range text {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(text[i:]); size == 1 {
				return i
			}
		}
	}
	return len(text)
}

// placed returns an error about the byte at offset of text.
func placed(text string, offset int, what string) *Error {
	before := text[:offset]
	line := strings.Count(before, "\n") + 1
	column := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
	return &Error{line, column, what}
}

// Line returns the one line of data, as a secret stands in its file. One line end is not a part of it. Empty lines,
// blanks at the ends, control characters and invisible ones are errors: they come from editors and shells, and a secret
// with one more character is a wrong one.
func Line(data []byte) (string, error) {
	text, err := Text(data)
	if err != nil {
		return "", err
	}
	line := strings.TrimSuffix(text, "\n")
	switch first, rest, more := strings.Cut(line, "\n"); {
	case line == "":
		return "", errors.New("the file holds an empty line only")
	case more && strings.Trim(rest, "\n \t") == "":
		return "", errors.New("the file ends with an empty line: expected one line with at most one line end")
	case more && first == "":
		return "", errors.New("the file begins with an empty line: expected one line")
	case more:
		return "", errors.New("the file has more than one line: expected one")
	}
	if err := Secret(line); err != nil {
		return "", err
	}
	if end := blankEnd(line); end != "" {
		return "", fmt.Errorf("the line %s a blank, %s, which would be a part of the secret: remove it", end, CharName(' '))
	}
	return line, nil
}

// blankEnd returns how a text has a space at an end: "begins with" or "ends with"; empty: not at all.
func blankEnd(text string) string {
	switch {
	case strings.HasPrefix(text, " "):
		return "begins with"
	case strings.HasSuffix(text, " "):
		return "ends with"
	}
	return ""
}
