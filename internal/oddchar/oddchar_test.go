package oddchar_test

import (
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/internal/oddchar"
)

func TestFind(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text     string
		offset   int
		expected string
	}{
		{"", 0, ""}, {"abc", 1, ""}, {"a b", 1, ""}, {"a b", 9, ""}, {"a b", -1, ""},
		{"a ", 0, "a blank at its end"}, {" a", 1, "a blank at its beginning"}, {"   ", 0, "a blank at its beginning"},
		{"a\r\n", 0, "a line end (CR LF) at its end"}, {"a\nb", 0, "a line end (LF) at offset 1"},
		{"\ufeffa\n", 4, "a line end (LF) at its end"}, {"\ufeffa\n", 0, "a byte order mark (U+FEFF) at its beginning"},
		{"a\u00a0b", 0, "a no-break space (U+00A0) at offset 1"}, {"\xe4", 0, "a byte that is not UTF-8 at its beginning"},
		{`"a"`, 0, "quotes around it"}, {`'a'`, 0, "quotes around it"}, {`"`, 0, ""}, {`"a'`, 0, ""},
	} {
		if got := oddchar.Find(tt.text, tt.offset); got != tt.expected {
			t.Errorf("Find(%q, %d) = %q, expected %q", tt.text, tt.offset, got, tt.expected)
		}
	}
}

func TestAt(t *testing.T) {
	t.Parallel()
	if got := oddchar.At("\ufeffa", 0); got != "a byte order mark (U+FEFF) at its beginning" {
		t.Errorf("got %q", got)
	}
	for _, offset := range []int{-1, 3, 4, 5} {
		if got := oddchar.At("\ufeffa", offset); got != "" {
			t.Errorf("offset %d: got %q", offset, got)
		}
	}
}

// FuzzRedact: what is left after redaction holds no character of the text that people can see.
func FuzzRedact(f *testing.F) {
	for _, seed := range []string{"", "\uff11", "a\u0410", "\u00a0", "\n", "\U0001d7d9", "4711\u0661", "\x00", "\xff"} {
		f.Add(seed, 0)
	}
	f.Fuzz(func(t *testing.T, text string, offset int) {
		found := oddchar.Find(text, offset)
		redacted := oddchar.Redact(found)
		if !strings.HasPrefix(found, redacted) || strings.Contains(redacted, "U+") || len(found) > 100 {
			t.Fatalf("%q: found %q, redacted %q", text, found, redacted)
		}
		for _, r := range redacted {
			if r >= 0x7f {
				t.Errorf("%q: redacted %q", text, redacted)
			}
		}
	})
}
