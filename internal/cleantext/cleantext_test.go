package cleantext

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in string
		n        int
		expected string
	}{
		{"ASCII", "Tom & \"Jerry\"", 99, "Tom & \"Jerry\""},
		{"UTF-8", "Käthe", 99, "Käthe"},
		{"Latin-1", "K\xe4the", 99, "Käthe"},
		{"UTF-8 with a broken byte", "Kä\xffthe", 99, "Kä\uFFFDthe"},
		{"control characters", "a\x00b\nc\x7fd\u0085e", 99, "a\uFFFDb\uFFFDc\uFFFDd\uFFFDe"},
		{"cut", "abc", 2, "ab"},
		{"cut before a character of two bytes", "aä", 2, "a"},
		{"empty", "", 0, ""},
	}
	for _, tt := range tests {
		if got := Clean(tt.in, tt.n); got != tt.expected {
			t.Errorf("%s: Clean(%q, %d) = %q, expected %q", tt.name, tt.in, tt.n, got, tt.expected)
		}
	}
}

// FuzzClean checks that every result is valid, printable and bounded.
func FuzzClean(f *testing.F) {
	f.Add("K\xe4the\x00", 4)
	f.Add("\xef\xbf\xbd\xc3", 3)
	f.Fuzz(func(t *testing.T, s string, n int) {
		if n < 0 {
			return
		}
		got := Clean(s, n)
		if !utf8.ValidString(got) || len(got) > n || strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Errorf("Clean(%q, %d) = %q", s, n, got)
		}
	})
}
