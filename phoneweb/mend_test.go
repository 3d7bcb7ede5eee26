package phoneweb

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
)

func TestMendLine(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"as it should be", "GET /a/k/t/hold?call-id=a%20b&remote=sip:5@x HTTP/1.1", "GET /a/k/t/hold?call-id=a%20b&remote=sip:5@x HTTP/1.1"},
		{"spaces", "GET /a?n=Front  door  HTTP/1.0", "GET /a?n=Front%20%20door%20 HTTP/1.0"},
		{"spaces before", "GET   /a HTTP/1.1", "GET /a HTTP/1.1"},
		{"a version in a name", "GET /a?n=x HTTP/1.1 HTTP/1.1", "GET /a?n=x%20HTTP/1.1 HTTP/1.1"},
		{"UTF-8", "GET /a?n=Käthe HTTP/1.1", "GET /a?n=K%C3%A4the HTTP/1.1"},
		{"Latin-1", "GET /a?n=K\xe4the HTTP/1.1", "GET /a?n=K%E4the HTTP/1.1"},
		{"quotes, hash, brackets", `GET /a?n="#1" <sip:5@x>;tag=1 HTTP/1.1`, "GET /a?n=%22%231%22%20%3Csip:5@x%3E;tag=1 HTTP/1.1"},
		{"ampersand", "GET /a?n=Tom & Jerry HTTP/1.1", "GET /a?n=Tom%20&%20Jerry HTTP/1.1"},
		{"percent", "GET /a%?n=100%&m=5%2&o=%zz&p=%2B%2b HTTP/1.1", "GET /a%25?n=100%25&m=5%252&o=%25zz&p=%2B%2b HTTP/1.1"},
		{"control characters", "GET /a?n=a\tb\x00c\r\x7f HTTP/1.1", "GET /a?n=a%09b%00c%0D%7F HTTP/1.1"},
		{"the rest", "GET /a?n=\\^`{|}[]!$'()*+,;=:@/?-._~ HTTP/1.1", "GET /a?n=%5C%5E%60%7B%7C%7D[]!$'()*+,;=:@/?-._~ HTTP/1.1"},
		{"no version", "GET /a b", "GET /a b"},
		{"no target", "GET HTTP/1.1", "GET HTTP/1.1"},
		{"empty target", "GET  HTTP/1.1", "GET  HTTP/1.1"},
		{"no line", "hello", "hello"},
		{"nothing", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := string(mendLine([]byte(tt.in))); got != tt.want {
				t.Errorf("mendLine(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

// readConn is a connection that is only read from.
type readConn struct {
	net.Conn
	r io.Reader
}

func (c readConn) Read(p []byte) (int, error) { return c.r.Read(p) }

func TestMendedConn(t *testing.T) {
	t.Parallel()
	long := "GET /a?n=" + strings.Repeat("ä", 3000) + " HTTP/1.1\r\n\r\nrest"
	tooLong := "GET /a?n=" + strings.Repeat(" ", 20<<10) + " HTTP/1.1\r\n\r\nrest"
	gone := errors.New("gone")
	tests := []struct {
		name string
		in   io.Reader
		want string
		err  error
	}{
		{"all at once", strings.NewReader("GET /a b HTTP/1.1\r\nHost: x y\r\n\r\n"), "GET /a%20b HTTP/1.1\r\nHost: x y\r\n\r\n", nil},
		{"byte by byte", iotest.OneByteReader(strings.NewReader("GET /a b HTTP/1.1\r\nX: y z\r\n\r\n")),
			"GET /a%20b HTTP/1.1\r\nX: y z\r\n\r\n", nil},
		{"the end with the last bytes", iotest.DataErrReader(strings.NewReader("GET /a b HTTP/1.1\n\n")), "GET /a%20b HTTP/1.1\n\n", nil},
		{"long", strings.NewReader(long), strings.ReplaceAll(long, "ä", "%C3%A4"), nil},
		{"too long", strings.NewReader(tooLong), tooLong, nil},
		{"half a line", strings.NewReader("GET /a b HTT"), "GET /a b HTT", nil},
		{"nothing", strings.NewReader(""), "", nil},
		{"broken", io.MultiReader(strings.NewReader("GET"), iotest.ErrReader(gone)), "GET", gone},
		{"broken later", io.MultiReader(strings.NewReader("GET /a b HTTP/1.1\n"), iotest.ErrReader(gone)), "GET /a%20b HTTP/1.1\n", gone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := io.ReadAll(iotest.HalfReader(&mendedConn{Conn: readConn{r: tt.in}}))
			if string(got) != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("read %q, %v, want %q, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

// FuzzRequestLine: whatever a phone puts into a value, net/http reads the request, the path stays
// what it was, and the query says the same; a line net/http would have read it still does.
func FuzzRequestLine(f *testing.F) {
	f.Add("GET", "Tom & \"Jerry\" <sip:5@x>;tag=#1 100% K\xe4the Käthe %41 HTTP/1.1")
	f.Add("get /a HTTP/1.1", "\x00\r ")
	f.Fuzz(func(t *testing.T, line, value string) {
		read := func(line []byte) (*http.Request, error) {
			head := append(line, "\r\nHost: x\r\n\r\n"...)
			return http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
		}
		if !strings.Contains(value, "\n") {
			whole := []byte("GET /a/kitchen/t0ken/incoming?call-id=1&display_remote=" + value + " HTTP/1.1")
			mended := mendLine(whole)
			r, err := read(mended)
			if err != nil {
				t.Fatalf("%q mended to %q: %v", whole, mended, err)
			}
			if got, want := r.URL.EscapedPath(), "/a/kitchen/t0ken/incoming"; got != want {
				t.Errorf("%q: path %q, want %q", whole, got, want)
			}
			_, sent, _ := strings.Cut(r.URL.RawQuery, "&display_remote=")
			if got, err := url.PathUnescape(sent); err != nil || got != lenient(value) {
				t.Errorf("value %q arrived as %q, %v, want %q", value, got, err, lenient(value))
			}
			if again := mendLine(mended); !bytes.Equal(again, mended) {
				t.Errorf("mended twice %q, once %q", again, mended)
			}
		}
		if !strings.Contains(line, "\n") {
			_, before := read([]byte(line))
			if _, after := read(mendLine([]byte(line))); before == nil && after != nil {
				t.Errorf("%q was read, mended to %q it is not: %v", line, mendLine([]byte(line)), after)
			}
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
