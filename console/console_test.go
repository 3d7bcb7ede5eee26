package console_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/console"
	"github.com/snom2mqtt/snom2mqtt/internal/netlimit"
)

func TestPages(t *testing.T) {
	t.Parallel()
	ready := func() (bool, string, string) { return true, "", "" }
	away := func() (bool, string, string) {
		return false, "waiting for the broker", "dial tcp 192.0.2.1:1883: connection refused"
	}
	moves := func() error { return nil }
	stuck := func() error { return errors.New("no progress for 31s") }
	counted := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "counted") })
	well := console.Config{Ready: ready, Alive: moves, Metrics: counted}
	locked := console.Config{Ready: ready, Alive: moves, Metrics: counted, Password: "secret"}
	tests := []struct {
		name, method, path string
		config             console.Config
		password           string
		status             int
		body               string
	}{
		{"alive", "GET", "/healthz", console.Config{Ready: away, Alive: moves}, "", 200, `"ok"`},
		{"stuck", "GET", "/healthz", console.Config{Ready: ready, Alive: stuck}, "", 503, "no progress for 31s"},
		{"ready", "GET", "/readyz", well, "", 200, `"ok"`},
		{"not ready", "GET", "/readyz", console.Config{Ready: away, Alive: moves}, "", 503, "waiting for the broker"},
		{"metrics", "GET", "/metrics", well, "", 200, "counted"},
		{"metrics with a password", "GET", "/metrics", locked, "secret", 200, "counted"},
		{"metrics without a password", "GET", "/metrics", locked, "", 401, "expected the console's password"},
		{"metrics with a wrong password", "GET", "/metrics", locked, "Secret", 401, "expected the console's password"},
		{"alive without a password", "GET", "/healthz", locked, "", 200, `"ok"`},
		{"ready without a password", "GET", "/readyz", locked, "", 200, `"ok"`},
		{"no metrics", "GET", "/metrics", console.Config{Ready: ready, Alive: moves}, "", 404, ""},
		{"only read", "POST", "/healthz", well, "", 405, ""},
		{"nothing else", "GET", "/etc/passwd", well, "", 404, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.config.Log = slog.New(slog.DiscardHandler)
			w, r := httptest.NewRecorder(), httptest.NewRequest(tt.method, tt.path, nil)
			r.Host = "localhost:8080"
			if tt.password != "" {
				r.SetBasicAuth("prometheus", tt.password)
			}
			console.Handler(tt.config).ServeHTTP(w, r)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.body) {
				t.Errorf("%s %s = %d %q, expected %d with %q", tt.method, tt.path, w.Code, w.Body, tt.status, tt.body)
			}
			if challenged := w.Header().Get("WWW-Authenticate") != ""; challenged != (tt.status == 401) {
				t.Errorf("%s %s = %d, challenged: %v", tt.method, tt.path, w.Code, challenged)
			}
		})
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- console.Serve(ctx, l, console.Config{
			Ready: func() (bool, string, string) { return true, "", "" }, Log: slog.New(slog.DiscardHandler),
		})
	}()
	resp, err := http.Get("http://" + l.Addr().String() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("GET /readyz = %d %q, %v; expected 200", resp.StatusCode, body, err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Serve = %v, expected nil", err)
	}
}

func TestServeTellsAFault(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := console.Serve(t.Context(), l, console.Config{Log: slog.New(slog.DiscardHandler)}); err == nil {
		t.Error("Serve on a closed listener = nil, expected an error")
	}
}

// What a client without the password may read names no address; with it the reason is complete.
func TestReasonsWithoutAddresses(t *testing.T) {
	t.Parallel()
	for _, password := range []string{"", "secret"} {
		for _, given := range []string{"", "wrong", "secret"} {
			c := console.Config{
				Ready: func() (bool, string, string) { return false, "waiting for the broker", "dial tcp 192.0.2.1:1883" },
				Alive: func() error { return nil }, Password: password, Log: slog.New(slog.DiscardHandler),
			}
			w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/readyz", nil)
			r.Host = "127.0.0.1"
			if given != "" {
				r.SetBasicAuth("u", given)
			}
			console.Handler(c).ServeHTTP(w, r)
			shown := strings.Contains(w.Body.String(), "192.0.2.1")
			if expected := password != "" && given == password; shown != expected || w.Code == 200 {
				t.Errorf("password %q, given %q: %d %s", password, given, w.Code, w.Body)
			}
		}
	}
}

// A console without a password answers to names that no name server has a say in; one with a password answers to any.
func TestHost(t *testing.T) {
	t.Parallel()
	for host, local := range map[string]bool{
		"localhost": true, "localhost:8080": true, "LOCALHOST.:8080": true, "127.0.0.1": true, "127.0.0.1:8080": true, "[::1]:8080": true,
		"[::1]": true, "192.0.2.1:8080": true, "": true,
		"attacker.example": false, "attacker.example:8080": false, "localhost.attacker.example": false, "127.0.0.1.attacker.example:8080": false,
		"2130706433": false, "0x7f000001": false, "127.1": false, "localhost:8080:x": false, "console": false,
	} {
		for _, path := range []string{"/metrics", "/readyz", "/healthz", "/none"} {
			for _, password := range []string{"", "secret"} {
				c := console.Config{
					Ready: func() (bool, string, string) { return true, "", "" }, Alive: func() error { return nil }, Password: password,
					Metrics: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), Log: slog.New(slog.DiscardHandler),
				}
				w, r := httptest.NewRecorder(), httptest.NewRequest("GET", path, nil)
				r.Host = host
				r.SetBasicAuth("u", password)
				console.Handler(c).ServeHTTP(w, r)
				if refused := w.Code == http.StatusMisdirectedRequest; refused != (password == "" && !local) {
					t.Errorf("GET %s of %q, password %q = %d", path, host, password, w.Code)
				}
			}
		}
	}
}

// Guesses at the password are checked five at once and then once a second, are logged once a minute, and do not concern
// another address. The right password gets in as soon as its turn comes.
func TestGuesses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		h := console.Handler(console.Config{
			Ready: func() (bool, string, string) { return false, "no", "detail" }, Password: "secret",
			Metrics: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), Log: slog.New(slog.NewTextHandler(&log, nil)),
		})
		ask := func(path, from, password string) int {
			w, r := httptest.NewRecorder(), httptest.NewRequest("GET", path, nil)
			r.RemoteAddr = from
			r.SetBasicAuth("u", password)
			h.ServeHTTP(w, r)
			if w.Code == http.StatusTooManyRequests && w.Header().Get("Retry-After") == "" {
				t.Error("429 without Retry-After")
			}
			return w.Code
		}
		codes := map[int]int{}
		for i, start := 0, time.Now(); time.Since(start) < time.Minute; i++ {
			codes[ask([]string{"/metrics", "/readyz"}[i%2], fmt.Sprintf("192.0.2.1:%d", 1000+i), "guess")]++
		}
		if n := codes[401]; n < 5 || n > 70 {
			t.Errorf("%d passwords were checked within a minute: %v", n, codes)
		}
		if n := strings.Count(log.String(), "\n"); n == 0 || n > 4 {
			t.Errorf("%d lines in the log:\n%s", n, log.String())
		}
		start := time.Now()
		if code := ask("/metrics", "192.0.2.2:1", "secret"); code != 200 || time.Since(start) > 0 {
			t.Errorf("another address waited %v for %d", time.Since(start), code)
		}
		if code := ask("/metrics", "192.0.2.1:1", "secret"); code != 200 {
			t.Errorf("the right password from the same address = %d", code)
		}
	})
}

// Five thousand connections without the password, of which a part has sent something, press nothing and delay no client
// that has it: one whose connection lasts, and one that comes after them.
func TestFiveThousandConnections(t *testing.T) {
	t.Parallel()
	if all := netlimit.Descriptors(); all != 0 && all < 12_000 {
		t.Skipf("skipped: this process may open %d files only", all)
	}
	d := newFixture(t, func(c *console.Config) { c.Password = "right" })
	lasting := &http.Client{Transport: &http.Transport{}}
	press := func(client *http.Client) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.url+"/api/send/kitchen/key", strings.NewReader("P1"))
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("u", "right")
		r.Header.Set("Prefer", "wait=20")
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("a press = %d %s, %v", resp.StatusCode, body, err)
		}
	}
	press(lasting)
	words := []string{"", "GET / HTTP/1.1\r\nHo", "GET /api/live HTTP/1.1\r\nHost: x\r\n\r\n", "POST /api/send/kitchen/key HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nP"}
	var held []net.Conn
	for i := range 5000 {
		c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext(t.Context(), "tcp", strings.TrimPrefix(d.url, "http://"))
		if err != nil {
			t.Skipf("skipped: this machine has no second loopback address: %v", err)
		}
		_, _ = io.WriteString(c, words[i%len(words)]) // it may have been closed
		held = append(held, c)
		if i%500 == 0 {
			press(lasting)
		}
	}
	for _, c := range held[:4900] {
		c.Close()
	}
	press(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}})
	for _, c := range held[4900:] {
		c.Close()
	}
	if n := d.pressed(); n != 12 {
		t.Errorf("%d keys were pressed, expected 12", n)
	}
}

// Connections that were answered and wait for a next request take no place away from new ones.
func TestIdleConnections(t *testing.T) {
	t.Parallel()
	d := newFixture(t, nil)
	for i := range 100 {
		c, err := net.Dial("tcp", strings.TrimPrefix(d.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "GET /api/bridge HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 200 {
			t.Fatalf("connection %d: %d, %v", i, resp.StatusCode, err)
		}
		if resp.Close {
			_, _ = io.Copy(io.Discard, c) // until the server has closed it, and its place is free
		}
	}
}

// Connections with one request each, with none, and with half of one take no place away from metrics and health checks.
func TestManyConnections(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- console.Serve(ctx, netlimit.New(l, console.Limits()), console.Config{
			Ready: func() (bool, string, string) { return true, "", "" }, Alive: func() error { return nil }, Password: "secret",
			Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "counted") }), Log: slog.New(slog.DiscardHandler),
		})
	}()
	var idle []net.Conn
	for _, word := range []string{"", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "GET /readyz HTTP/1.1\r\nHo"} {
		for range 400 {
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(c, word) // it may have been closed
			idle = append(idle, c)
		}
		for range 20 {
			for _, path := range []string{"/healthz", "/metrics"} {
				r, err := http.NewRequest("GET", "http://"+l.Addr().String()+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				r.SetBasicAuth("u", "secret")
				resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
				if err != nil {
					t.Fatalf("after %q: %v", word, err)
				}
				resp.Body.Close()
				if resp.StatusCode != 200 {
					t.Errorf("after %q: GET %s = %d", word, path, resp.StatusCode)
				}
			}
		}
	}
	for _, c := range idle {
		c.Close()
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Without a reader the console takes less than 1 MiB, also when its pages, its texts in German and its stream have been used. It runs
// alone: what other tests keep would count.
func TestMemoryWithoutAReader(t *testing.T) { //nolint:paralleltest // it measures memory
	d := newFixture(t, nil)
	used := func() int {
		var m runtime.MemStats
		for range 3 { // what a finalizer keeps is freed by the next one
			runtime.GC()
		}
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc + m.StackInuse) //nolint:gosec // far less
	}
	d.ask("GET", "/healthz", "") // what net/http keeps of the client is there
	before := used()
	for _, path := range []string{"/", "/phones/kitchen", "/doors", "/messages", "/setup", "/log", "/about", "/api/openapi.json", "/static/console.js", "/static/german.json"} {
		if resp, _ := d.ask("GET", path, "", "Accept-Language", "de"); resp.StatusCode != 200 {
			t.Errorf("GET %s = %d", path, resp.StatusCode)
		}
	}
	tries := 0
	one := d.follow("")
	d.press("/api/send/kitchen/key", "P1")
	one.until("result", "")
	_ = one.body.Close() // it was open
	for {
		if more := used() - before; more < 1<<20 {
			t.Logf("%d KiB more than before", more>>10)
			return
		}
		<-time.After(50 * time.Millisecond) // the reader is still leaving
		if resp, _ := d.ask("GET", "/healthz", ""); resp.StatusCode != 200 {
			t.Fatal(resp.Status)
		}
		if tries++; tries > 200 {
			t.Fatalf("%d KiB more than before", (used()-before)>>10)
		}
	}
}
