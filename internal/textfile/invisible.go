package textfile

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// charNames are the names, by Unicode 15, of characters that are not seen and that come with pasted text, from editors
// or from terminals.
var charNames = map[rune]string{
	0x00: "NUL", 0x07: "BELL", 0x08: "BACKSPACE", 0x09: "TAB", 0x0A: "LINE FEED", 0x0B: "LINE TABULATION",
	0x0C: "FORM FEED", 0x0D: "CARRIAGE RETURN", 0x1A: "SUBSTITUTE", 0x1B: "ESCAPE", 0x20: "SPACE", 0x7F: "DELETE",
	0x85: "NEXT LINE", 0xA0: "NO-BREAK SPACE", 0xAD: "SOFT HYPHEN", 0x034F: "COMBINING GRAPHEME JOINER",
	0x061C: "ARABIC LETTER MARK", 0x115F: "HANGUL CHOSEONG FILLER", 0x1160: "HANGUL JUNGSEONG FILLER",
	0x1680: "OGHAM SPACE MARK", 0x180E: "MONGOLIAN VOWEL SEPARATOR",
	0x2000: "EN QUAD", 0x2001: "EM QUAD", 0x2002: "EN SPACE", 0x2003: "EM SPACE", 0x2004: "THREE-PER-EM SPACE",
	0x2005: "FOUR-PER-EM SPACE", 0x2006: "SIX-PER-EM SPACE", 0x2007: "FIGURE SPACE", 0x2008: "PUNCTUATION SPACE",
	0x2009: "THIN SPACE", 0x200A: "HAIR SPACE", 0x200B: "ZERO WIDTH SPACE", 0x200C: "ZERO WIDTH NON-JOINER",
	0x200D: "ZERO WIDTH JOINER", 0x200E: "LEFT-TO-RIGHT MARK", 0x200F: "RIGHT-TO-LEFT MARK", 0x2028: "LINE SEPARATOR",
	0x2029: "PARAGRAPH SEPARATOR", 0x202A: "LEFT-TO-RIGHT EMBEDDING", 0x202B: "RIGHT-TO-LEFT EMBEDDING",
	0x202C: "POP DIRECTIONAL FORMATTING", 0x202D: "LEFT-TO-RIGHT OVERRIDE", 0x202E: "RIGHT-TO-LEFT OVERRIDE",
	0x202F: "NARROW NO-BREAK SPACE", 0x205F: "MEDIUM MATHEMATICAL SPACE", 0x2060: "WORD JOINER",
	0x2066: "LEFT-TO-RIGHT ISOLATE", 0x2067: "RIGHT-TO-LEFT ISOLATE", 0x2068: "FIRST STRONG ISOLATE",
	0x2069: "POP DIRECTIONAL ISOLATE", 0x2800: "BRAILLE PATTERN BLANK", 0x3000: "IDEOGRAPHIC SPACE",
	0x3164: "HANGUL FILLER", 0xFEFF: "ZERO WIDTH NO-BREAK SPACE (byte order mark)", 0xFFA0: "HALFWIDTH HANGUL FILLER",
	0xFFFD: "REPLACEMENT CHARACTER",
}

// CharName returns the code point of a character, and its name where it is one of those that cannot be seen.
func CharName(r rune) string {
	if name := charNames[r]; name != "" {
		return fmt.Sprintf("U+%04X %s", r, name)
	}
	return fmt.Sprintf("U+%04X", r)
}

// firstInvisible returns the offset of the first character of text that is not seen, or that stands for one that was lost, and
// the character; -1: there is none. The space is none of them, and bytes that are not UTF-8 are left to other checks.
func firstInvisible(text string) (offset int, char rune) {
	for i, r := range text {
		if r < 0x7F && r >= ' ' {
			continue
		}
		if invisible(r) && (r != utf8.RuneError || len(text) >= i+3 && text[i:i+3] == "\uFFFD") {
			return i, r
		}
	}
	return -1, 0
}

func invisible(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Zs, unicode.Zl, unicode.Zp, unicode.Cf) && r != ' ' || charNames[r] != "" && r != ' '
}

// Secret returns an error that names the first character of a secret that is not seen.
func Secret(text string) error {
	at, r := firstInvisible(text)
	if at < 0 {
		return nil
	}
	where := "contains"
	switch at {
	case len(text) - utf8.RuneLen(r):
		where = "ends with"
	case 0:
		where = "begins with"
	}
	return fmt.Errorf("%s an invisible character, %s: remove it", where, CharName(r))
}
