package phoneweb

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// wire is a connection that reads from one thing and writes to another.
type wire struct {
	net.Conn
	r io.Reader
	w *bytes.Buffer
}

func (c wire) Read(p []byte) (int, error)       { return c.r.Read(p) }
func (c wire) Write(p []byte) (int, error)      { return c.w.Write(p) }
func (c wire) SetWriteDeadline(time.Time) error { return nil }

func TestGuardedConn(t *testing.T) {
	t.Parallel()
	const behind = "\r\nHost: phone\r\n\r\n"
	gone := errors.New("gone")
	tests := []struct {
		name       string
		in         io.Reader
		want       string // what net/http reads
		wantAnswer int    // what is answered without it
		err        error
	}{
		{"all at once", strings.NewReader("GET /a b HTTP/1.1\r\nHost: x y\r\n\r\n"), "GET /a%20b HTTP/1.1" + behind, 0, nil},
		{"byte by byte", iotest.OneByteReader(strings.NewReader("GET /a b HTTP/1.1\r\nX: y z\r\n\r\n")), "GET /a%20b HTTP/1.1" + behind, 0, nil},
		{"byte by byte, LF", iotest.OneByteReader(strings.NewReader("GET /a b HTTP/1.0\nX: y z\n\n")), "GET /a%20b HTTP/1.0" + behind, 0, nil},
		{"empty lines before", iotest.OneByteReader(strings.NewReader("\r\n\n\r\nGET /a HTTP/1.1\r\n\r\n")), "GET /a HTTP/1.1" + behind, 0, nil},
		{"the end with the last bytes", iotest.DataErrReader(strings.NewReader("GET /a b HTTP/1.1\n\n")), "GET /a%20b HTTP/1.1" + behind, 0, nil},
		{"headers of no use", strings.NewReader("GET /a HTTP/1.1\r\nHost: a\r\nHost: <\xe4\r\n: \x01\r\nContent-Length: y\r\n\r\n"), "GET /a HTTP/1.1" + behind, 0, nil},
		{"no header", strings.NewReader("GET /a http/9\r\n\r\n"), "GET /a HTTP/1.1" + behind, 0, nil},
		{"long", strings.NewReader("GET /a?n=" + strings.Repeat("ä", 15000) + " HTTP/1.1\r\n\r\n"),
			"GET /a?n=" + strings.Repeat("%C3%A4", 15000) + " HTTP/1.1" + behind, 0, nil},
		{"too long", strings.NewReader("GET /a?n=" + strings.Repeat("n", maxHead) + " HTTP/1.1\r\n\r\n"), "", 400, nil},
		{"headers without end", strings.NewReader("GET /a HTTP/1.1\r\n" + strings.Repeat("X: y\r\n", maxHead)), "", 400, nil},
		{"half a line", strings.NewReader("GET /a b HTT"), "", 400, nil},
		{"half a head", strings.NewReader("GET /a HTTP/1.1\r\nHost: x\r\n"), "", 400, nil},
		{"broken", io.MultiReader(strings.NewReader("GET"), iotest.ErrReader(gone)), "", 400, nil},
		{"no HTTP", strings.NewReader("hello\r\n\r\n"), "", 400, nil},
		{"not let in", strings.NewReader("POST /a HTTP/1.1\r\n\r\n"), "", 404, nil},
		{"nothing", strings.NewReader(""), "", 0, nil},
		{"nothing but empty lines", strings.NewReader("\r\n\r\n"), "", 0, nil},
		{"broken before it began", iotest.ErrReader(gone), "", 0, gone},
	}
	from := netip.MustParseAddr("192.0.2.1")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var answer bytes.Buffer
			c := &guardedConn{Conn: wire{r: tt.in, w: &answer}, from: from, gate: func(r request, a netip.Addr) int {
				switch {
				case a != from:
					t.Errorf("from %v, expected %v", a, from)
				case r.method == "":
					return http.StatusBadRequest
				case r.method != "GET":
					return http.StatusNotFound
				}
				return 0
			}}
			got, err := io.ReadAll(iotest.HalfReader(c))
			if string(got) != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("read %.200q, %v, expected %.200q, %v", got, err, tt.want, tt.err)
			}
			want := map[int]string{
				400: "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
				404: "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
			}[tt.wantAnswer]
			if answer.String() != want {
				t.Errorf("answered %q, expected %q", answer.String(), want)
			}
		})
	}
}

// FuzzHead checks that net/http can read what it gets of a request that is served, and that it is what was asked for;
// other requests are answered once.
func FuzzHead(f *testing.F) {
	f.Add([]byte("GET /a/kitchen/t0ken/incoming?display_remote=Tom & \"J\xe4rry\" HTTP/1.1\r\nHost: x\r\n\r\n"))
	f.Add([]byte("\r\nGET http://x:y:z/a/kitchen/t0ken/%zz?# http/7 \nHost: \x01\nContent-Length: -1\n\n"))
	f.Add([]byte("GET /a/kitchen/t0ken/hold\r\n\r\n"))
	f.Fuzz(func(t *testing.T, said []byte) {
		s := New(Config{Phone: kitchen, Log: slog.New(slog.DiscardHandler)})
		var answer bytes.Buffer
		got, err := io.ReadAll(&guardedConn{Conn: wire{r: bytes.NewReader(said), w: &answer}, gate: s.gate})
		if err != nil {
			t.Fatalf("%q: %v", said, err)
		}
		refused := s.Stats().Malformed + s.Stats().WrongToken
		if len(got) == 0 {
			if spoke := len(bytes.Trim(said, "\r\n")) > 0; spoke != (refused == 1) || spoke != (answer.Len() > 0) {
				t.Fatalf("%q: %d counted, answered %q", said, refused, answer.String())
			}
			return
		}
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(got)))
		if err != nil || refused != 0 || answer.Len() != 0 {
			t.Fatalf("%q: net/http gets %q: %v; %d counted, answered %q", said, got, err, refused, answer.String())
		}
		if name, _, phone, ok := s.admit(r.Method, r.URL.EscapedPath(), netip.Addr{}); !ok || name != "kitchen" || phone.Token != "t0ken" {
			t.Fatalf("%q: net/http gets %q, which is not let in", said, got)
		}
	})
}
