package snom_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

const canary = "pa55word-canary"

// A wire is a listener that shows requests byte for byte, and answers each on a connection of its own
// with canned bytes. After them it hangs up.
type wire struct {
	url string

	mu       sync.Mutex
	requests []string
}

// listen starts a wire. The answer to the nth request, from 0, is answer's.
func listen(t testing.TB, answer func(n int, request string) string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{url: "http://" + l.Addr().String()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 0; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			request := readRequest(conn)
			w.mu.Lock()
			w.requests = append(w.requests, request)
			w.mu.Unlock()
			_, _ = io.WriteString(conn, answer(n, request)) // who hangs up early is part of some tests
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return w
}

func (w *wire) seen() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.requests...)
}

// readRequest reads the head of one request and what has come with it.
func readRequest(conn net.Conn) string {
	var b strings.Builder
	r := bufio.NewReader(conn)
	for {
		line, err := r.ReadString('\n')
		b.WriteString(line)
		if err != nil || line == "\r\n" {
			rest, _ := r.Peek(r.Buffered())
			return b.String() + string(rest)
		}
	}
}

// canned answers the nth request with the nth reply, and all after that with the last.
func canned(replies ...string) func(int, string) string {
	return func(n int, _ string) string { return replies[min(n, len(replies)-1)] }
}

// reply makes the bytes of a reply.
func reply(status int, headers, body string) string {
	return fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Length: %d\r\n%s\r\n%s", status, http.StatusText(status), len(body), headers, body)
}

func wants(challenge string) string {
	return reply(401, "WWW-Authenticate: "+challenge+"\r\n", "who are you?")
}

func newClient(t testing.TB, cfg snom.ClientConfig) *snom.Client {
	t.Helper()
	c, err := snom.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func authOf(request string) string {
	_, rest, _ := strings.Cut(request, "\r\nAuthorization: ")
	scheme, _, _ := strings.Cut(rest, " ")
	return strings.ToLower(scheme)
}

func TestRequestBytes(t *testing.T) {
	t.Parallel()
	for _, target := range []string{
		"/command.htm?RELEASE_ALL_CALLS",
		"/command.htm?key=OFFHOOK;1,100,100;%2A;%23;ENTER",
		"/command.htm?number=%2B4930123&outgoing_uri=27@pbx.example",
		"/command.htm?touch=100%20100%20pr",
		"/line_login.htm?PLAY_RINGER:3=+Ringer",
		"/line_login.htm?PLAY_RINGER:3=Play+Ringer",
		"/dummy.htm?swload=load&firmware=http://192.0.2.1/a/b.bin",
		"/index.htm?dialeddel=clear",
		"/",
		"//%zz?%&=;",
		"/minibrowser.htm?url=http%3A%2F%2F127.0.0.1%3A1%2F",
	} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			w := listen(t, canned(reply(200, "", "ok")))
			c := newClient(t, snom.ClientConfig{URL: w.url})
			got, err := c.Send(t.Context(), snom.Step{Request: target})
			if want := (snom.Reply{Status: 200, Requests: 1}); err != nil || got != want {
				t.Fatalf("Send = %+v, %v, expected %+v", got, err, want)
			}
			host := strings.TrimPrefix(w.url, "http://")
			keepAlive := "Connection: keep-alive\r\n"
			if strings.HasPrefix(target, "/minibrowser.htm") {
				keepAlive = ""
			}
			want := "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: snom2mqtt\r\nAccept: */*\r\n" + keepAlive + "\r\n"
			if seen := w.seen(); len(seen) != 1 || seen[0] != want {
				t.Errorf("on the wire %q, expected %q once", seen, want)
			}
		})
	}
}

func TestHostAndAddress(t *testing.T) {
	t.Parallel()
	tests := []struct{ url, base, addr, host string }{
		{"http://192.0.2.10", "http://192.0.2.10", "192.0.2.10:80", "192.0.2.10"},
		{"http://192.0.2.10/", "http://192.0.2.10", "192.0.2.10:80", "192.0.2.10"},
		{"HTTP://phone_1.example:8080", "http://phone_1.example:8080", "phone_1.example:8080", "phone_1.example:8080"},
		{"http://[2001:db8::1]", "http://[2001:db8::1]", "[2001:db8::1]:80", "[2001:db8::1]"},
		{"http://[fe80::1%eth0]:81", "http://[fe80::1%25eth0]:81", "[fe80::1%eth0]:81", "[fe80::1]:81"},
		{"http://[fe80::1%2]", "http://[fe80::1%252]", "[fe80::1%2]:80", "[fe80::1]"},
		{"http://phone.local", "http://phone.local", "phone.local:80", "phone.local"},
		{"http://phone.local.", "http://phone.local.", "phone.local.:80", "phone.local"},
		{"http://phone.example.:8080/", "http://phone.example.:8080", "phone.example.:8080", "phone.example:8080"},
		{"http://[fe80::1%25eth0]:81", "http://[fe80::1%25eth0]:81", "[fe80::1%eth0]:81", "[fe80::1]:81"},
	}
	for _, tt := range tests {
		t.Run(tt.url, func(t *testing.T) {
			t.Parallel()
			w := listen(t, canned(reply(200, "", "")))
			var dialed string
			c := newClient(t, snom.ClientConfig{URL: tt.url, UserAgent: "test/1", Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				dialed = network + " " + addr
				return new(net.Dialer).DialContext(ctx, network, strings.TrimPrefix(w.url, "http://"))
			}})
			if got := c.URL(); got != tt.base {
				t.Errorf("URL = %q, expected %q", got, tt.base)
			}
			if _, err := c.Send(t.Context(), snom.Step{Request: "/"}); err != nil {
				t.Fatal(err)
			}
			if want := "tcp " + tt.addr; dialed != want {
				t.Errorf("dialed %q, expected %q", dialed, want)
			}
			if got := w.seen()[0]; !strings.Contains(got, "\r\nHost: "+tt.host+"\r\nUser-Agent: test/1\r\n") {
				t.Errorf("request %q, expected host %q", got, tt.host)
			}
		})
	}
}

func TestConfigErrors(t *testing.T) {
	t.Parallel()
	const good = "http://192.0.2.10"
	tests := map[string]snom.ClientConfig{
		"empty":             {},
		"no scheme":         {URL: "192.0.2.10"},
		"other scheme":      {URL: "ftp://192.0.2.10"},
		"no host":           {URL: "http://:80"},
		"opaque":            {URL: "http:192.0.2.10"},
		"path":              {URL: good + "/command.htm"},
		"query":             {URL: good + "?a"},
		"empty query":       {URL: good + "?"},
		"fragment":          {URL: good + "#"},
		"user":              {URL: "http://admin:" + canary + "@192.0.2.10"},
		"user and nonsense": {URL: "http://admin:" + canary + "@192.0.2.10:port"},
		"empty port":        {URL: good + ":"},
		"empty port, IPv6":  {URL: "http://[::1]:"},
		"port 0":            {URL: good + ":0"},
		"port too large":    {URL: good + ":65536"},
		"space in host":     {URL: "http://pho ne"},
		"umlaut in host":    {URL: "http://küche.example"},
		"odd host":          {URL: "http://a,b"},
		"only a dot":        {URL: "http://."},
		"two dots":          {URL: "http://a..b"},
		"two dots at end":   {URL: "http://phone.local.."},
		"dot at start":      {URL: "http://.local"},
		"open bracket":      {URL: "http://[fe80::1%eth0"},
		"zone of a name":    {URL: "http://phone%eth0"},
		"long host":         {URL: "http://" + strings.Repeat("a", 254)},
		"timeout":           {URL: good, Timeout: -1},
		"gap":               {URL: good, Gap: -1},
		"colon in user":     {URL: good, Username: "a:b", Password: canary},
		"newline in secret": {URL: good, Username: "a", Password: canary + "\n"},
		"newline in agent":  {URL: good, UserAgent: "a\r\nX: y"},
		"TLS: no PEM":       {URL: "https://192.0.2.10", TLS: snom.TLSConfig{CA: []byte("x")}},
		"TLS: short pin":    {URL: "https://192.0.2.10", TLS: snom.TLSConfig{PinSHA256: "abcd"}},
		"TLS: odd pin":      {URL: "https://192.0.2.10", TLS: snom.TLSConfig{PinSHA256: strings.Repeat("xy", 32)}},
		"TLS: pin and CA":   {URL: "https://192.0.2.10", TLS: snom.TLSConfig{PinSHA256: "ab", CA: []byte("x")}},
		"TLS: not at all":   {URL: "https://192.0.2.10", TLS: snom.TLSConfig{PinSHA256: "ab", Insecure: true}},
	}
	for name, cfg := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := snom.NewClient(cfg)
			if err == nil || c != nil {
				t.Fatalf("NewClient = %v, %v, expected an error", c, err)
			}
			if _, checked := snom.BaseURL(cfg.URL); (checked != nil) != strings.Contains(err.Error(), "phone URL") {
				t.Errorf("BaseURL: %v, and NewClient: %v", checked, err)
			}
			if !strings.HasPrefix(err.Error(), "snom: ") || !strings.Contains(err.Error(), "expected ") || strings.Contains(err.Error(), canary) {
				t.Errorf("NewClient: %q, expected what would be right, and no password", err)
			}
		})
	}
}

func TestTargetErrors(t *testing.T) {
	t.Parallel()
	c := newClient(t, snom.ClientConfig{URL: "http://192.0.2.10", Dial: func(context.Context, string, string) (net.Conn, error) {
		t.Error("the phone was dialled")
		return nil, errors.New("not here")
	}})
	for _, target := range []string{
		"", "command.htm", "http://192.0.2.10/", "/a b", "/a\r\nX: y", "/\x00", "/ü", "/#", `/"`, `/\`, "/" + strings.Repeat("a", 8<<10), "*",
	} {
		got, err := c.Send(t.Context(), snom.Step{Request: target})
		if err == nil || got != (snom.Reply{}) {
			t.Errorf("Send(%.20q) = %+v, %v, expected an error", target, got, err)
		}
	}
}

// Each row is a phone that gives these replies, the last one again and again, to a client that sends once
// for each wanted outcome.
func TestLogin(t *testing.T) {
	t.Parallel()
	type outcome struct {
		requests int
		err      error
	}
	ok := reply(200, "", "ok")
	const digest = `Digest realm="snom", nonce="1", qop="auth"`
	accepted := outcome{requests: 1}
	refused := func(requests int) outcome { return outcome{requests, snom.ErrUnauthorized} }
	tests := []struct {
		name      string
		anonymous bool
		replies   []string
		want      []outcome
		auth      string // of all requests, in order
		policy    snom.AuthPolicy
	}{
		{name: "open phone", replies: []string{ok}, want: []outcome{accepted, accepted}, auth: " "},
		{name: "basic", replies: []string{wants("Basic"), ok}, want: []outcome{{requests: 2}, accepted}, auth: " basic basic"},
		{name: "digest", replies: []string{wants(digest), ok}, want: []outcome{{requests: 2}, accepted, accepted}, auth: " digest digest digest"},
		{name: "both", replies: []string{wants("Basic, " + digest), ok}, want: []outcome{{requests: 2}}, auth: " digest"},
		{
			name: "302 with a login", replies: []string{wants(digest), reply(302, "Location: index.htm\r\n", ""), ok},
			want: []outcome{{requests: 2}, accepted}, auth: " digest digest",
		},
		{name: "no user name", anonymous: true, replies: []string{wants(digest)}, want: []outcome{refused(1), refused(1)}, auth: " "},
		{name: "wrong password, digest", replies: []string{wants(digest)}, want: []outcome{refused(2)}, auth: " digest"},
		{name: "wrong password, basic", replies: []string{wants("Basic")}, want: []outcome{refused(2)}, auth: " basic"},
		{
			name: "wrong password, always a new nonce", auth: " digest",
			replies: []string{wants(digest), wants(`Digest realm="snom", nonce="2"`), wants(`Digest realm="snom", nonce="3"`)},
			want:    []outcome{refused(2)},
		},
		{
			name: "wrong password, stale", auth: " digest",
			replies: []string{wants(digest), wants(`Digest realm="snom", nonce="2", stale=true`)},
			want:    []outcome{refused(2)},
		},
		{
			name: "after a refusal it starts anew", auth: " digest  digest digest",
			replies: []string{wants(digest), wants(digest), wants(digest), ok},
			want:    []outcome{refused(2), {requests: 2}, accepted},
		},
		{
			name: "nonce stale", auth: " digest digest digest digest",
			replies: []string{wants(digest), ok, wants(`Digest realm="snom", nonce="2", stale=true`), ok},
			want:    []outcome{{requests: 2}, {requests: 2}, accepted},
		},
		{
			name: "new nonce", auth: " digest digest digest digest",
			replies: []string{wants(digest), ok, wants(`Digest realm="snom", nonce="2"`), ok},
			want:    []outcome{{requests: 2}, {requests: 2}, accepted},
		},
		{
			name: "nonces for one request", auth: " digest digest digest digest digest",
			replies: []string{wants(digest), ok, wants(`Digest realm="snom", nonce="2"`), ok, wants(`Digest realm="snom", nonce="3"`), ok},
			want:    []outcome{{requests: 2}, {requests: 2}, {requests: 2}},
		},
		{
			name: "password changed, same nonce", auth: " digest digest  digest",
			replies: []string{wants(digest), ok, wants(digest)},
			want:    []outcome{{requests: 2}, refused(1), refused(2)},
		},
		{
			name: "password changed, not stale", auth: " digest digest",
			replies: []string{wants(digest), ok, wants(`Digest realm="snom", nonce="2", stale=false`)},
			want:    []outcome{{requests: 2}, refused(1)},
		},
		{
			name: "password changed, new nonces", auth: " digest digest digest",
			replies: []string{wants(digest), ok, wants(`Digest realm="snom", nonce="2"`), wants(`Digest realm="snom", nonce="3"`)},
			want:    []outcome{{requests: 2}, refused(2)},
		},
		{
			name: "password changed, basic", auth: " basic basic",
			replies: []string{wants("Basic"), ok, wants("Basic")},
			want:    []outcome{{requests: 2}, refused(1)},
		},
		{
			name: "digest switched to basic", auth: " digest digest ",
			replies: []string{wants(digest), ok, wants("Basic")},
			want:    []outcome{{requests: 2}, refused(1), refused(1)},
		},
		{
			name: "digest switched to basic, any login allowed", auth: " digest digest  basic", policy: snom.AuthAny,
			replies: []string{wants(digest), ok, wants("Basic"), wants("Basic"), ok},
			want:    []outcome{{requests: 2}, refused(1), {requests: 2}},
		},
		{
			name: "basic switched to digest", auth: " basic basic digest digest",
			replies: []string{wants("Basic"), ok, wants(digest), ok, ok},
			want:    []outcome{{requests: 2}, {requests: 2}, accepted},
		},
		{
			name: "basic switched to digest, and another password", auth: " basic basic digest",
			replies: []string{wants("Basic"), ok, wants(digest), wants(digest)},
			want:    []outcome{{requests: 2}, refused(2)},
		},
		{
			name: "password changed, basic and digest", auth: " basic basic",
			replies: []string{wants("Basic"), ok, wants(digest + ", Basic")},
			want:    []outcome{{requests: 2}, refused(1)},
		},
		{name: "no challenge", replies: []string{reply(401, "", "")}, want: []outcome{refused(1), refused(1)}, auth: " "},
		{name: "challenge of no use", replies: []string{wants("NTLM")}, want: []outcome{refused(1)}, auth: ""},
		{
			name: "challenge cut off", auth: " basic",
			replies: []string{"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 100\r\n\r\nwho", ok},
			want:    []outcome{{requests: 2}},
		},
		{
			name: "login page", auth: " ",
			replies: []string{reply(200, "", "<p>Login failed!</p>")}, // to a request without one
			want:    []outcome{{1, snom.ErrPhone}, {1, snom.ErrPhone}},
		},
		{
			name: "login page after a login", auth: " basic  basic",
			replies: []string{wants("Basic"), reply(200, "", "<p>Login failed!</p>"), wants("Basic"), ok},
			want:    []outcome{refused(2), {requests: 2}},
		},
		{
			name: "locked out", auth: " basic ",
			replies: []string{wants("Basic"), reply(200, "", "<title>Login</title>3 unsuccessful login attempts")},
			want:    []outcome{{2, snom.ErrLockedOut}, {1, snom.ErrLockedOut}},
		},
		{
			name: "locked out with a challenge", auth: "",
			replies: []string{reply(401, "WWW-Authenticate: Basic\r\n", "3 unsuccessful login attempts")},
			want:    []outcome{{1, snom.ErrLockedOut}},
		},
		{
			name: "locked out with a login that was good", auth: " basic basic ",
			replies: []string{wants("Basic"), ok, reply(401, "WWW-Authenticate: Basic\r\n", "3 unsuccessful login attempts")},
			want:    []outcome{{requests: 2}, {1, snom.ErrLockedOut}, {1, snom.ErrLockedOut}},
		},
		{
			name: "login good, control not allowed", auth: " digest digest",
			replies: []string{wants(digest), reply(403, "", "")},
			want:    []outcome{{2, snom.ErrRefused}, {1, snom.ErrRefused}},
		},
		{
			name: "no answer to a first login", auth: " digest ",
			replies: []string{wants(digest), "", ok},
			want:    []outcome{{2, snom.ErrOutcomeUnknown}, accepted},
		},
		{
			name: "no answer to a login that was good", auth: " digest digest digest",
			replies: []string{wants(digest), ok, "", ok},
			want:    []outcome{{requests: 2}, {1, snom.ErrOutcomeUnknown}, accepted},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := listen(t, canned(tt.replies...))
			cfg := snom.ClientConfig{URL: w.url, Username: "admin", Password: canary, Auth: tt.policy}
			if tt.anonymous {
				cfg.Username = ""
			}
			c := newClient(t, cfg)
			for i, want := range tt.want {
				got, err := c.Send(t.Context(), snom.Step{Request: "/command.htm?key=" + strconv.Itoa(i)})
				if got.Requests != want.requests || !errors.Is(err, want.err) || want.err == nil && err != nil {
					t.Errorf("Send %d = %+v, %v, expected %d requests, %v", i, got, err, want.requests, want.err)
				}
				if err != nil && strings.Contains(err.Error(), canary) {
					t.Errorf("Send %d: %q holds the password", i, err)
				}
			}
			var auth []string
			for _, r := range w.seen() {
				auth = append(auth, authOf(r))
			}
			if got := strings.Join(auth, " "); got != tt.auth {
				t.Errorf("logins %q, expected %q", got, tt.auth)
			}
		})
	}
}

func TestReplies(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		reply  string
		status int
		want   error
		says   string
	}{
		{name: "chunked", reply: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", status: 200},
		{name: "until it hangs up", reply: "HTTP/1.0 200 OK\r\n\r\nok", status: 200},
		{name: "no body", reply: "HTTP/1.1 302 Found\r\nLocation: index.htm\r\n\r\n", status: 302},
		{name: "no reason", reply: "HTTP/1.1 200\r\n\r\n", status: 200},
		{name: "interim", reply: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + reply(200, "", ""), status: 200},
		{name: "redirect is not followed", reply: reply(302, "Location: http://127.0.0.1/index.htm\r\n", ""), status: 302},
		{name: "redirect to another port", reply: reply(302, "Location: http://127.0.0.1:1/index.htm\r\n", ""), status: 302, want: snom.ErrPhone, says: "another device"},
		{name: "redirect to the usual port, which is another one", reply: reply(302, "Location: http://127.0.0.1:80/index.htm\r\n", ""), status: 302, want: snom.ErrPhone},
		{name: "endless", reply: "HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("x", 1<<20), status: 200},
		{name: "gigabyte promised", reply: "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n" + strings.Repeat("x", 1<<20), status: 200},
		{name: "gzip stays as it is", reply: reply(200, "Content-Encoding: gzip\r\n", "\x1f\x8b\x08\x00junk"), status: 200},
		{name: "beyond the bound", reply: reply(200, "", strings.Repeat("x", 64<<10)+"Login failed!"), status: 200},
		{name: "within the bound, not a login page", reply: reply(200, "", strings.Repeat("x", 64<<10-13)+"Login failed!"), status: 200},

		{name: "nothing", want: snom.ErrOutcomeUnknown, says: "closed the connection"},
		{name: "half a line", reply: "HTTP/1.1 2", want: snom.ErrOutcomeUnknown},
		{name: "half a head", reply: "HTTP/1.1 200 OK\r\nContent-Le", status: 200, want: snom.ErrOutcomeUnknown, says: "HTTP 200"},
		{name: "half a body", reply: "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok", status: 200, want: snom.ErrOutcomeUnknown, says: "HTTP 200"},
		{name: "half a chunk", reply: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\nok", status: 200, want: snom.ErrOutcomeUnknown},
		{name: "half a page that refuses", reply: "HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nno", status: 403, want: snom.ErrRefused},
		{name: "half a login page", reply: "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nLogin failed!", status: 200, want: snom.ErrPhone},
		{name: "not HTTP", reply: "220 phone.example ESMTP " + canary + "\r\n\r\n", want: snom.ErrOutcomeUnknown, says: "not HTTP"},
		{name: "not a status", reply: "HTTP/1.1 " + canary + "\r\n\r\n", want: snom.ErrOutcomeUnknown, says: "not HTTP"},
		{name: "endless head", reply: "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 1<<18), status: 200, want: snom.ErrOutcomeUnknown, says: "longer than"},
		{name: "endless interim", reply: strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 1<<16), want: snom.ErrOutcomeUnknown, says: "longer than"},
		{name: "TLS", reply: "\x15\x03\x01\x00\x02\x02\x28", want: snom.ErrPhone, says: "https://"},
		{name: "wants https", reply: reply(307, "Location: https://phone.example/\r\n", ""), status: 307, want: snom.ErrPhone, says: "https"},
		{name: "broken", reply: reply(500, "", ""), status: 500, want: snom.ErrPhone, says: "500"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := listen(t, canned(tt.reply))
			c := newClient(t, snom.ClientConfig{URL: w.url, Username: "admin", Password: canary})
			got, err := c.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1"})
			if want := (snom.Reply{Status: tt.status, Requests: 1}); got != want || !errors.Is(err, tt.want) || tt.want == nil && err != nil {
				t.Errorf("Send = %+v, %v, expected %+v, %v", got, err, want, tt.want)
			}
			if err != nil && (!strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), "P1")) {
				t.Errorf("Send: %q, expected it to say %q and no secret", err, tt.says)
			}
			if n := len(w.seen()); n != 1 {
				t.Errorf("%d requests, expected 1: none may be repeated", n)
			}
		})
	}
}

// Replies that net/http refuses: what is certain counts, and what can be read is read.
func TestRepliesThatAreBroken(t *testing.T) {
	t.Parallel()
	const (
		page  = "<html><title>snom D735</title></html>"
		login = "<title>Login</title>Login failed!"
	)
	tests := []struct {
		name     string
		reply    string
		status   int
		expected error
		says     string
	}{
		{name: "status line twice", reply: "HTTP/1.0 200 OK\r\nHTTP/1.0 200 OK\r\n\r\n" + page, status: 200},
		{name: "status line twice, other versions", reply: "HTTP/1.1 200 OK\r\nHTTP/1.0 200 Document follows\r\nServer: snom\r\n\r\n" + page, status: 200},
		{name: "head twice", reply: "HTTP/1.0 200 OK\r\n\r\nHTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n" + page, status: 200},
		{name: "head twice, with the length of both", reply: "HTTP/1.0 200 OK\r\nContent-Length: 42\r\n\r\nHTTP/1.0 200 OK\r\nA: b\r\n\r\n<html>snom</html>!", status: 200},
		{name: "two statuses", reply: "HTTP/1.0 200 OK\r\nHTTP/1.0 404 Not Found\r\n\r\n" + page, status: 200, expected: snom.ErrPhone, says: "two different"},
		{name: "two statuses in two heads", reply: "HTTP/1.0 200 OK\r\n\r\nHTTP/1.0 403 Forbidden\r\n\r\n" + page, status: 200, expected: snom.ErrPhone, says: "two different"},
		{name: "interim and final status in one head", reply: "HTTP/1.1 100 Continue\r\nHTTP/1.1 200 OK\r\n\r\n" + page, status: 200},
		{name: "header without a colon", reply: "HTTP/1.1 200 OK\r\n" + canary + "\r\nServer: snom\r\n\r\n" + page, status: 200},
		{name: "header with a space before the colon", reply: "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok and more", status: 200},
		{name: "header with no name", reply: "HTTP/1.1 200 OK\r\n: x\r\n\r\nok", status: 200},
		{name: "header with odd bytes", reply: "HTTP/1.1 200 OK\r\nX-\x00\xff: \x01\r\n\r\nok", status: 200},
		{name: "folded header at the start", reply: "HTTP/1.1 200 OK\r\n continued\r\nServer: snom\r\n\r\nok", status: 200},
		{name: "two equal lengths", reply: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", status: 200},
		{name: "two equal lengths in one", reply: "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", status: 200},
		{name: "two lengths", reply: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok", status: 200},
		{name: "two lengths, the longer first", reply: "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\nContent-Length: 2\r\n\r\nok", status: 200},
		{name: "two lengths, both wrong", reply: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nok", status: 200},
		{name: "a length and none", reply: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: x\r\n\r\nok", status: 200},
		{name: "status line twice, and a page that says nothing", reply: "HTTP/1.0 200 OK\r\nHTTP/1.0 200 OK\r\n\r\n<html><body>done</body></html>", status: 200},
		{name: "no number for a length", reply: "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nok", status: 200},
		{name: "negative length", reply: "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok", status: 200},
		{name: "length beyond all numbers", reply: "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok", status: 200},
		{name: "length with a plus sign", reply: "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", status: 200},
		{name: "chunked and a length", reply: "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", status: 200},
		{name: "unknown transfer encoding", reply: "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok", status: 200},
		{name: "chunked, and it is not", reply: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + page, status: 200},
		{name: "chunked, and broken off between", reply: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n", status: 200},
		{name: "no empty line before the page", reply: "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n" + page, status: 200},
		{name: "no header at all", reply: "HTTP/1.0 200 OK\r\n" + page, status: 200},
		{name: "nothing after the status line", reply: "HTTP/1.0 200 OK\r\n", status: 200},
		{name: "line feeds", reply: "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", status: 200},
		{name: "empty lines first", reply: "\r\n\r\nHTTP/1.1 200 OK\r\n\r\nok", status: 200},
		{name: "small letters", reply: "http/1.1 200 ok\r\ncontent-length: 2\r\n\r\nok", status: 200},
		{name: "spaces in the status line", reply: "HTTP/1.1   200   OK\r\n\r\nok", status: 200},
		{name: "a tab in the status line", reply: "HTTP/1.1\t200\tOK\r\n\r\nok", status: 200},
		{name: "no version", reply: "HTTP 200 OK\r\n\r\nok", status: 200},
		{name: "odd version", reply: "HTTP/2.0 200 OK\r\n\r\nok", status: 200},
		{name: "reason without a space", reply: "HTTP/1.1 200OK\r\n\r\nok", status: 200},
		{name: "long reason", reply: "HTTP/1.1 200 " + strings.Repeat("x", 20_000) + "\r\n\r\nok", status: 200},
		{name: "long header", reply: "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 20_000) + "\r\nContent-Length: 2\r\n\r\nok", status: 200},
		{name: "redirect with a folded target", reply: "HTTP/1.1 302 Found\r\nLocation:\r\n index.htm\r\n\r\n", status: 302},
		{name: "refusal in a broken reply", reply: "HTTP/1.1 403 Forbidden\r\n" + canary + "\r\n\r\n", status: 403, expected: snom.ErrRefused},
		{name: "status that is none", reply: "HTTP/1.1 999 Request denied\r\n\r\n", status: 999, expected: snom.ErrPhone},
		{name: "four digits", reply: "HTTP/1.1 2000 OK\r\n\r\n", expected: snom.ErrOutcomeUnknown, says: "not HTTP"},
		{name: "two digits", reply: "HTTP/1.1 20 OK\r\n\r\n", expected: snom.ErrOutcomeUnknown, says: "not HTTP"},
		{name: "only empty lines", reply: strings.Repeat("\r\n", 100), expected: snom.ErrOutcomeUnknown, says: "not HTTP"},
		{name: "a page and no head", reply: page, expected: snom.ErrOutcomeUnknown, says: "not HTTP"},
		{name: "interim only", reply: "HTTP/1.1 100 Continue\r\n\r\n", expected: snom.ErrOutcomeUnknown},
		{name: "status line cut off", reply: "HTTP/1.1 200", status: 200, expected: snom.ErrOutcomeUnknown, says: "HTTP 200"},
		{name: "refusal cut off", reply: "HTTP/1.1 403 Forbidden\r\nServer: sn", status: 403, expected: snom.ErrOutcomeUnknown, says: "HTTP 403"},
		{name: "no body where one was announced", reply: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n", status: 200, expected: snom.ErrOutcomeUnknown, says: "HTTP 200"},
		{name: "login page in a broken reply", reply: "HTTP/1.1 200 OK\r\n" + canary + "\r\n" + login, status: 200, expected: snom.ErrPhone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := listen(t, canned(tt.reply))
			c := newClient(t, snom.ClientConfig{URL: w.url})
			start := time.Now()
			got, err := c.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1"})
			if expected := (snom.Reply{Status: tt.status, Requests: 1}); got != expected || !errors.Is(err, tt.expected) || tt.expected == nil && err != nil {
				t.Errorf("Send = %+v, %v, expected %+v, %v", got, err, expected, tt.expected)
			}
			if err != nil && (!strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), canary)) {
				t.Errorf("Send: %q, expected it to say %q and nothing of the reply", err, tt.says)
			}
			if took := time.Since(start); took > 4*time.Second {
				t.Errorf("Send took %v, expected it not to wait for more than there is", took)
			}
		})
	}
}

// A broken login challenge can be answered, too.
func TestLoginInBrokenReplies(t *testing.T) {
	t.Parallel()
	for _, challenge := range []string{
		"HTTP/1.0 401 Unauthorized\r\nHTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"snom\"\r\n\r\n<html>",
		"HTTP/1.0 401 Unauthorized\r\n\r\nHTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"snom\"\r\n\r\n<html>",
		"HTTP/1.0 401 Unauthorized\r\nnonsense\r\nwww-authenticate :Basic\r\n realm=\"snom\"\r\n<html>no empty line</html>",
		"HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n",
		"HTTP/1.1 401 Unauthorized\r\nContent-Length: 1\r\nContent-Length: 9\r\nWWW-Authenticate: Digest realm=\"snom\",\r\n\tnonce=\"1\"\r\n\r\nx",
	} {
		w := listen(t, canned(challenge, reply(200, "", "ok")))
		c := newClient(t, snom.ClientConfig{URL: w.url, Username: "admin", Password: canary})
		if got, err := c.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1"}); err != nil || got.Requests != 2 {
			t.Errorf("%q: Send = %+v, %v, expected a login", challenge, got, err)
		}
	}
}

// A phone that resets the connection has seen the request.
func TestReset(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan int)
	go func() {
		n := 0
		defer func() { accepted <- n }()
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			n++
			readRequest(conn)
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		}
	}()
	c := newClient(t, snom.ClientConfig{URL: "http://" + l.Addr().String()})
	if got, err := c.Send(t.Context(), snom.Step{Request: "/"}); !errors.Is(err, snom.ErrOutcomeUnknown) || got.Requests != 1 {
		t.Errorf("Send = %+v, %v, expected ErrOutcomeUnknown", got, err)
	}
	_ = l.Close()
	if n := <-accepted; n != 1 {
		t.Errorf("%d connections, expected 1", n)
	}
}

// pipes gives a dialer whose connections end in phone, which hangs up when it returns.
func pipes(phone func(conn net.Conn)) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			phone(far)
		}()
		return near, nil
	}
}

// hang is a phone that reads a request and never answers.
func hang(conn net.Conn) {
	readRequest(conn)
	_, _ = conn.Read(make([]byte, 1))
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		dial  func(context.Context, string, string) (net.Conn, error)
		want  error
		after time.Duration
	}{
		{
			name: "connecting", want: snom.ErrUnreachable, after: 5 * time.Second,
			dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			},
		},
		{name: "no answer", want: snom.ErrOutcomeUnknown, after: 5 * time.Second, dial: pipes(hang)},
		{
			name: "the request is not read", want: snom.ErrUnreachable, after: 5 * time.Second,
			dial: pipes(func(conn net.Conn) { time.Sleep(time.Minute) }),
		},
		{
			name: "reads a part", want: snom.ErrOutcomeUnknown, after: 5 * time.Second,
			dial: pipes(func(conn net.Conn) { _, _ = conn.Read(make([]byte, 10)); time.Sleep(time.Minute) }),
		},
		{
			name: "slow bytes in the head", want: snom.ErrOutcomeUnknown, after: 5 * time.Second,
			dial: pipes(func(conn net.Conn) {
				readRequest(conn)
				for _, b := range []byte(reply(200, "", "")) {
					time.Sleep(time.Second)
					_, _ = conn.Write([]byte{b})
				}
			}),
		},
		{
			name: "slow bytes in the body", want: snom.ErrOutcomeUnknown, after: 5 * time.Second,
			dial: pipes(func(conn net.Conn) {
				readRequest(conn)
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
				for {
					time.Sleep(time.Second)
					if _, err := conn.Write([]byte{'x'}); err != nil {
						return
					}
				}
			}),
		},
		{
			name: "slow, but in time", after: 4 * time.Second,
			dial: pipes(func(conn net.Conn) {
				readRequest(conn)
				time.Sleep(4 * time.Second)
				_, _ = io.WriteString(conn, reply(200, "", "ok"))
			}),
		},
		{
			name: "keeps the connection open after a redirect without a length", after: 0,
			dial: pipes(func(conn net.Conn) {
				readRequest(conn)
				_, _ = io.WriteString(conn, "HTTP/1.1 302 Found\r\nLocation: index.htm\r\n\r\n")
				_, _ = conn.Read(make([]byte, 1))
			}),
		},
		{
			name: "redirect with a length, and no body", want: snom.ErrOutcomeUnknown, after: 5 * time.Second,
			dial: pipes(func(conn net.Conn) {
				readRequest(conn)
				_, _ = io.WriteString(conn, "HTTP/1.1 302 Found\r\nLocation: index.htm\r\nContent-Length: 2\r\n\r\n")
				_, _ = conn.Read(make([]byte, 1))
			}),
		},
		{
			name: "keeps the connection open", after: 0,
			dial: pipes(func(conn net.Conn) {
				readRequest(conn)
				_, _ = io.WriteString(conn, reply(200, "", "ok"))
				_, _ = conn.Read(make([]byte, 1))
			}),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, snom.ClientConfig{URL: "http://phone.example", Dial: tt.dial})
				start := time.Now()
				_, err := c.Send(t.Context(), snom.Step{Request: "/"})
				if !errors.Is(err, tt.want) || tt.want == nil && err != nil {
					t.Errorf("Send: %v, expected %v", err, tt.want)
				}
				if tt.want != nil && !strings.Contains(err.Error(), "within 5s") {
					t.Errorf("Send: %q, expected it to say how long it waited", err)
				}
				if took := time.Since(start); took != tt.after {
					t.Errorf("Send took %s, expected %s", took, tt.after)
				}
				time.Sleep(time.Minute) // until the phone is done
			})
		})
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	stop := errors.New("stop")
	t.Run("before", func(t *testing.T) {
		t.Parallel()
		w := listen(t, canned(""))
		c := newClient(t, snom.ClientConfig{URL: w.url})
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(stop)
		got, err := c.Send(ctx, snom.Step{Request: "/"})
		if !errors.Is(err, snom.ErrUnreachable) || !errors.Is(err, stop) || got != (snom.Reply{}) || len(w.seen()) != 0 {
			t.Errorf("Send = %+v, %v, expected ErrUnreachable and the cause, and no request", got, err)
		}
		if err := c.Ping(ctx); !errors.Is(err, snom.ErrUnreachable) || !errors.Is(err, stop) {
			t.Errorf("Ping: %v, expected ErrUnreachable and the cause", err)
		}
	})
	for name, tt := range map[string]struct{ ends, noticed time.Duration }{
		"while waiting for the answer": {time.Second, time.Second},
		"soon after the request":       {time.Millisecond, snom.Promptly},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, snom.ClientConfig{URL: "http://phone.example", Dial: pipes(hang)})
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(tt.ends, func() { cancel(stop) })
				began := time.Now()
				got, err := c.Send(ctx, snom.Step{Request: "/"})
				if !errors.Is(err, snom.ErrOutcomeUnknown) || !errors.Is(err, stop) || got.Requests != 1 {
					t.Errorf("Send = %+v, %v, expected ErrOutcomeUnknown and the cause", got, err)
				}
				if took := time.Since(began); took != tt.noticed {
					t.Errorf("Send took %v, expected %v", took, tt.noticed)
				}
			})
		})
	}
	t.Run("before the request is written", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		c := newClient(t, snom.ClientConfig{URL: "http://phone.example", Dial: func(context.Context, string, string) (net.Conn, error) {
			cancel(stop)
			ours, _ := net.Pipe()
			return ours, nil
		}})
		if got, err := c.Send(ctx, snom.Step{Request: "/"}); !errors.Is(err, snom.ErrUnreachable) || !errors.Is(err, stop) || got.Requests != 0 {
			t.Errorf("Send = %+v, %v, expected ErrUnreachable and the cause", got, err)
		}
	})
	t.Run("while another request is under way", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			requests := 0
			c := newClient(t, snom.ClientConfig{URL: "http://phone.example", Dial: pipes(func(conn net.Conn) {
				requests++
				readRequest(conn)
				time.Sleep(4 * time.Second)
				_, _ = io.WriteString(conn, reply(200, "", "ok"))
			})})
			first := make(chan error)
			go func() {
				_, err := c.Send(t.Context(), snom.Step{Request: "/"})
				first <- err
			}()
			synctest.Wait()
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Second, func() { cancel(stop) })
			_, err := c.Send(ctx, snom.Step{Request: "/"})
			_, perr := c.Probe(ctx)
			for _, err := range []error{err, perr, c.Ping(ctx)} {
				if !errors.Is(err, snom.ErrUnreachable) || !errors.Is(err, stop) {
					t.Errorf("%v, expected ErrUnreachable and the cause", err)
				}
			}
			if err := <-first; err != nil || requests != 1 {
				t.Errorf("first Send: %v after %d requests, expected no error after 1", err, requests)
			}
		})
	})
}

func TestPing(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, snom.ClientConfig{URL: "http://" + l.Addr().String()})
	if err := c.Ping(t.Context()); err != nil {
		t.Errorf("Ping: %v, expected no error", err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if said, err := io.ReadAll(conn); err != nil || len(said) > 0 {
		t.Errorf("Ping sent %q, %v, expected nothing", said, err)
	}
	_ = conn.Close()
	_ = l.Close()
	if err := c.Ping(t.Context()); !errors.Is(err, snom.ErrUnreachable) || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("Ping: %v, expected ErrUnreachable and connection refused", err)
	}
	if got, err := c.Send(t.Context(), snom.Step{Request: "/"}); !errors.Is(err, snom.ErrUnreachable) || got != (snom.Reply{}) {
		t.Errorf("Send = %+v, %v, expected ErrUnreachable and no request", got, err)
	}
}

func ExampleClient() {
	phone := httptest.NewServer(snomtest.New(snomtest.Config{Auth: snomtest.AuthDigest, Username: "admin", Password: "secret"}))
	defer phone.Close()

	client, err := snom.NewClient(snom.ClientConfig{URL: phone.URL, Username: "admin", Password: "secret"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, text := range []string{"dial +4930123", "hangup"} {
		cmd, err := snom.ParseCommand(text)
		if err != nil {
			fmt.Println(err)
			return
		}
		reply, err := client.Do(context.Background(), cmd)
		fmt.Println(cmd, reply.Status, reply.Requests, err)
	}
	// Output:
	// dial +4930123 302 2 <nil>
	// hangup all 200 1 <nil>
}

func ExampleClient_Probe() {
	phone := httptest.NewServer(snomtest.New(snomtest.Config{Model: "D785", MAC: "000413AABBCC"}))
	defer phone.Close()

	client, err := snom.NewClient(snom.ClientConfig{URL: phone.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	info, err := client.Probe(context.Background())
	fmt.Println(info.Model, info.MAC, info.Auth, info.RemoteControl, err)
	// Output:
	// D785 000413aabbcc none yes <nil>
}
