package snom

import (
	"slices"
	"strings"
	"time"
	"unicode"
)

// parseNumber reads a number that can be dialled: with tel: in front (RFC 3966) or without. check takes the number
// without tel:; number is what it takes.
func parseNumber(text string, check func(string) *SyntaxError) (number string, _ *SyntaxError) {
	const scheme = "tel:"
	if len(text) < len(scheme) || !strings.EqualFold(text[:len(scheme)], scheme) {
		return text, check(text)
	}
	rest := text[len(scheme):]
	number, offsets, err := telNumber(rest)
	if err == nil {
		if err = check(number); err != nil && err.Offset >= 0 {
			err.Offset = offsets[err.Offset]
		}
	}
	if err != nil && err.Offset >= 0 {
		err.Offset += len(scheme)
	}
	return number, err
}

// telNumber removes the visual separators from a number after tel:, and returns the offset that each byte of the
// number, and its end, has in text. Parameters would change who is called, so they are refused.
func telNumber(text string) (number string, offsets []int, _ *SyntaxError) {
	if strings.HasPrefix(text, "//") {
		return "", nil, fault(0, "a number after tel:, without slashes")
	}
	if start, _ := trunkPrefix(text); start >= 0 {
		err := fault(start, `a number without "(0)"`)
		err.Hint = numberHint(text)
		return "", nil, err
	}
	var b strings.Builder
	for i := range len(text) {
		switch c := text[i]; c {
		case '-', '.', '(', ')': // the visual separators of RFC 3966
			continue
		case ';', '?':
			err := fault(i, "no parameters after the number")
			switch param := strings.ToLower(text[i+1:]); {
			case strings.HasPrefix(param, "ext"):
				err.Hint = "send an extension into the call with dtmf"
			case strings.HasPrefix(param, "phone-context"):
				err.Hint = "write the whole number, with + and its country code or as it is dialled at the phone"
			}
			return "", nil, err
		case '%':
			return "", nil, fault(i, "a number without escapes such as %20")
		case '@', ':':
			return "", nil, fault(i, "a number after tel:, not a SIP URI")
		default:
			offsets = append(offsets, i)
			b.WriteByte(c)
		}
	}
	return b.String(), append(offsets, len(text)), nil
}

// isSeparator reports whether r is a visual separator between the digits of a number.
func isSeparator(r rune) bool {
	return unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) || strings.ContainsRune("/().[]\u2212\u00ad\u2044", r) ||
		unicode.Is(unicode.Cf, r)
}

// trunkPrefix returns where the (0) of "+49 (0)30" begins and ends, start -1 where there is none. It stands for the
// trunk prefix, which is dialled only without the country code.
func trunkPrefix(text string) (start, end int) {
	if len(text) > maxURI || !strings.HasPrefix(text, "+") && !strings.HasPrefix(text, "00") {
		return -1, -1
	}
	for start, c := range []byte(text) {
		if c != '(' && c != '[' {
			continue
		}
		if end := strings.IndexAny(text[start:], ")]"); end > 0 && strings.TrimFunc(text[start+1:start+end], unicode.IsSpace) == "0" {
			return start, start + end + 1
		}
	}
	return -1, -1
}

// italy is the country code after which the leading 0 of a number is dialled, too (ITU-T E.164 national numbering plans).
const italy = "39"

// numberHint returns what to write instead of a number with visual separators; empty if it has none.
func numberHint(text string) string {
	const leave = "leave out spaces, dashes, slashes, dots and brackets"
	if whole := withoutFraction(text); whole != text && checkDigits(strings.TrimPrefix(whole, "+"), "*#", "") == nil {
		return "leave out the fraction: " + whole + "; a template that makes a number of it also drops a leading + and zeros"
	}
	if whole, fraction, ok := strings.Cut(text, "."); ok && len(fraction) < 3 && strings.Trim(whole+fraction, "0123456789") == "" {
		return "a number with a fraction is not one that can be dialled"
	}
	start, end := trunkPrefix(text)
	clean, keeps := text, false
	if start >= 0 {
		clean = text[:start] + text[end:]
		country := strings.TrimPrefix(strings.TrimPrefix(text, "+"), "00")
		if keeps = strings.HasPrefix(country, italy); keeps {
			clean = text[:start] + "0" + text[end:]
		}
	}
	clean = strings.Map(func(r rune) rune {
		if isSeparator(r) {
			return -1
		}
		return r
	}, clean)
	if checkDigits(strings.TrimPrefix(clean, "+"), "*#", "") != nil || clean == text {
		switch {
		case start >= 0:
			return `leave out "(0)" as a whole`
		case strings.ContainsAny(text, " -/().[]"):
			return leave
		}
		return ""
	}
	switch {
	case keeps:
		return leave + ": " + clean
	case start >= 0:
		return `leave out "(0)" as a whole, because it is not dialled after the country code: ` + clean
	case strings.Contains(strings.ReplaceAll(text, " ", ""), "(0)"):
		return leave + "; the 0 in brackets only if it is not dialled at this phone: " + clean
	}
	return leave + ": " + clean
}

// timestampTolerance is the accepted difference between the clocks of sender and receiver.
const timestampTolerance = 24 * time.Hour

// IsTimestamp reports whether the number that c or a step of it dials, or the digits that it sends, are the time now in
// milliseconds since 1970. An inject node of Node-RED sends that unless it is given something else.
func (c Command) IsTimestamp(now time.Time) bool {
	if _, steps, otherwise, ok := c.Macro(); ok {
		return slices.ContainsFunc(append(steps, otherwise...), func(s MacroStep) bool { return s.Command.IsTimestamp(now) })
	}
	digits, _ := c.Number()
	if t, ok := c.arg.(tones); ok {
		digits = t.digits
	}
	const length = 13 // from 2001 to 2286
	if len(digits) != length || strings.Trim(digits, "0123456789") != "" {
		return false
	}
	ms := int64(0)
	for _, d := range []byte(digits) {
		ms = ms*10 + int64(d-'0')
	}
	return time.UnixMilli(ms).Sub(now).Abs() <= timestampTolerance
}
