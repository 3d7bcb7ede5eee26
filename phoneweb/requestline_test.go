package phoneweb

import (
	"bufio"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestNormalizeLine(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{ // want: method, target and version, empty for what is no request line
		{"as it should be", "GET /a/k/t/hold?call-id=a%20b&remote=sip:5@x HTTP/1.1", "GET /a/k/t/hold?call-id=a%20b&remote=sip:5@x HTTP/1.1"},
		{"spaces", "GET /a?n=Front  door  HTTP/1.0", "GET /a?n=Front%20%20door%20 HTTP/1.0"},
		{"spaces before", "GET   /a HTTP/1.1", "GET /a HTTP/1.1"},
		{"spaces behind", "GET /a HTTP/1.1 \t\r", "GET /a HTTP/1.1"},
		{"a version in a name", "GET /a?n=x HTTP/1.1 HTTP/1.1", "GET /a?n=x%20HTTP/1.1 HTTP/1.1"},
		{"a version in small letters", "GET /a?n=b c http/1.1", "GET /a?n=b%20c http/1.1"},
		{"UTF-8", "GET /a?n=Käthe HTTP/1.1", "GET /a?n=K%C3%A4the HTTP/1.1"},
		{"Latin-1", "GET /a?n=K\xe4the HTTP/1.1", "GET /a?n=K%E4the HTTP/1.1"},
		{"quotes, hash, brackets", `GET /a?n="#1" <sip:5@x>;tag=1 HTTP/1.1`, "GET /a?n=%22%231%22%20%3Csip:5@x%3E;tag=1 HTTP/1.1"},
		{"ampersand", "GET /a?n=Tom & Jerry HTTP/1.1", "GET /a?n=Tom%20&%20Jerry HTTP/1.1"},
		{"percent", "GET /a%?n=100%&m=5%2&o=%zz&p=%2B%2b HTTP/1.1", "GET /a%25?n=100%25&m=5%252&o=%25zz&p=%2B%2b HTTP/1.1"},
		{"control characters", "GET /a?n=a\tb\x00c\r\x7f HTTP/1.1", "GET /a?n=a%09b%00c%0D%7F HTTP/1.1"},
		{"the rest", "GET /a?n=\\^`{|}[]!$'()*+,;=:@/?-._~ HTTP/1.1", "GET /a?n=%5C%5E%60%7B%7C%7D[]!$'()*+,;=:@/?-._~ HTTP/1.1"},
		{"in full", "GET http://[::1]:80/a?n=http://x HTTP/1.1", "GET /a?n=http://x HTTP/1.1"},
		{"in full, no path", "GET http://x HTTP/1.1", "GET x HTTP/1.1"},
		{"empty target", "GET  HTTP/1.1", "GET  HTTP/1.1"},
		{"no version", "GET /a b", ""},
		{"no target", "GET HTTP/1.1", ""},
		{"no line", "hello", ""},
		{"nothing", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, ok := normalizeLine([]byte(tt.in))
			if got := r.method + " " + r.target + " " + r.version; ok != (tt.want != "") || ok && got != tt.want {
				t.Errorf("normalizeLine(%q) = %q, %v, expected %q", tt.in, got, ok, tt.want)
			}
		})
	}
}

// FuzzRequestLine: whatever a phone puts into a value, net/http reads the request, the path stays
// what it was, and the query says the same.
func FuzzRequestLine(f *testing.F) {
	f.Add("Tom & \"Jerry\" <sip:5@x>;tag=#1 100% K\xe4the Käthe %41 HTTP/1.1")
	f.Add("\x00\r ")
	f.Fuzz(func(t *testing.T, value string) {
		if strings.Contains(value, "\n") {
			return
		}
		whole := "GET /a/kitchen/t0ken/incoming?call-id=1&display_remote=" + value + " HTTP/1.1"
		normalized, ok := normalizeLine([]byte(whole))
		if !ok {
			t.Fatalf("%q is no request line", whole)
		}
		line := normalized.method + " " + normalized.target + " " + normalized.version
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(line + "\r\nHost: x\r\n\r\n")))
		if err != nil {
			t.Fatalf("%q normalized to %q: %v", whole, line, err)
		}
		if got, want := r.URL.EscapedPath(), "/a/kitchen/t0ken/incoming"; got != want {
			t.Errorf("%q: path %q, expected %q", whole, got, want)
		}
		_, sent, _ := strings.Cut(r.URL.RawQuery, "&display_remote=")
		if got, err := url.PathUnescape(sent); err != nil || got != lenient(value) {
			t.Errorf("value %q arrived as %q, %v, expected %q", value, got, err, lenient(value))
		}
		if again, _ := normalizeLine([]byte(line)); again != normalized {
			t.Errorf("twice normalized %q, once %q", again, normalized)
		}
	})
}

// lenient unescapes what is escaped, and leaves the other percent signs.
func lenient(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if i+2 < len(s) && s[i] == '%' {
			if c, err := url.PathUnescape(s[i : i+3]); err == nil {
				b.WriteString(c)
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
