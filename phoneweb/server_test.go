package phoneweb

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/internal/netlimit"
	"github.com/snom2mqtt/snom2mqtt/internal/pipenet"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// events remembers what a Server handed on.
type events struct {
	mu   sync.Mutex
	all  []actionurl.Event
	more chan struct{} // one element for each event
}

func newEvents() *events { return &events{more: make(chan struct{}, 1<<16)} }

func (e *events) take(_ string, event actionurl.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, event)
	e.more <- struct{}{}
}

func (e *events) list() []actionurl.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]actionurl.Event(nil), e.all...)
}

// wait waits until there were n events.
func (e *events) wait(t *testing.T, n int) []actionurl.Event {
	t.Helper()
	for len(e.list()) < n {
		select {
		case <-e.more:
		case <-t.Context().Done():
			t.Fatalf("%d events, expected %d", len(e.list()), n)
		}
	}
	return e.list()
}

// kitchen is the one phone that may call.
func kitchen(name string) (Phone, bool) {
	return Phone{Token: "t0ken", Host: "127.0.0.1"}, name == "kitchen"
}

// serve runs a Server on l until the test ends.
func serve(t *testing.T, s *Server, l net.Listener) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// call sends a request as it stands and returns the whole answer.
func call(t *testing.T, address, request string) *http.Response {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if len(body) != 0 {
		t.Errorf("%d with body %q, expected none: a phone would show it", resp.StatusCode, body)
	}
	return resp
}

func TestRequests(t *testing.T) {
	t.Parallel()
	const host = " HTTP/1.1\r\nHost: x\r\n\r\n"
	tests := []struct {
		name, request string
		wantStatus    int
		want          Stats
		wantName      string // display name of the event
	}{
		{"incoming", "GET /a/kitchen/t0ken/incoming?display_remote=Tom" + host, 200, Stats{Accepted: 1}, "Tom"},
		{"old protocol, no host", "GET /a/kitchen/t0ken/incoming?display_remote=Tom HTTP/1.0\r\n\r\n", 200, Stats{Accepted: 1}, "Tom"},
		{"nothing escaped", "GET /a/kitchen/t0ken/incoming?remote=<sip:5@x>&display_remote=Tom & \"J\xe4rry\" #1 100%" + host,
			200, Stats{Accepted: 1}, `Tom & "Järry" #1 100%`},
		{"keep-alive", "GET /a/kitchen/t0ken/incoming?display_remote=Tom HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",
			200, Stats{Accepted: 1}, "Tom"},
		{"in full", "GET http://x:1/a/kitchen/t0ken/incoming?display_remote=Tom" + host, 200, Stats{Accepted: 1}, "Tom"},
		{"whose behalf", "GET /a/kitchen/t0ken/incoming?display_remote=Tom HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.99\r\n\r\n",
			200, Stats{Accepted: 1}, "Tom"},
		{"wrong token", "GET /a/kitchen/t0kem/incoming" + host, 404, Stats{WrongToken: 1}, ""},
		{"half a token", "GET /a/kitchen/t0k/incoming" + host, 404, Stats{WrongToken: 1}, ""},
		{"no token", "GET /a/kitchen//incoming" + host, 404, Stats{WrongToken: 1}, ""},
		{"no such phone", "GET /a/cellar/t0ken/incoming" + host, 404, Stats{WrongToken: 1}, ""},
		{"no phone", "GET /a//t0ken/incoming" + host, 404, Stats{WrongToken: 1}, ""},
		{"no event of the bridge", "GET /a/kitchen/t0ken/exploded" + host, 404, Stats{Malformed: 1}, ""},
		{"blacklist check", "GET /a/kitchen/t0ken/blacklist_check" + host, 404, Stats{Malformed: 1}, ""},
		{"no event", "GET /a/kitchen/t0ken" + host, 404, Stats{Malformed: 1}, ""},
		{"more than an event", "GET /a/kitchen/t0ken/incoming/x" + host, 404, Stats{Malformed: 1}, ""},
		{"elsewhere", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 404, Stats{Malformed: 1}, ""},
		{"another prefix", "GET /b/kitchen/t0ken/incoming" + host, 404, Stats{Malformed: 1}, ""},
		{"another method", "POST /a/kitchen/t0ken/incoming HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 404, Stats{Malformed: 1}, ""},
		{"small letters", "get /a/kitchen/t0ken/incoming" + host, 404, Stats{Malformed: 1}, ""},
		{"of the server itself", "OPTIONS *" + host, 404, Stats{Malformed: 1}, ""},
		{"no HTTP", "hello\r\n\r\n", 400, Stats{Malformed: 1}, ""},
		{"query too long", "GET /a/kitchen/t0ken/incoming?x=" + strings.Repeat("ä", 3000) + host, 404, Stats{Malformed: 1}, ""},
		{"head too long", "GET /a/kitchen/t0ken/incoming?x=" + strings.Repeat(" ", maxHead) + host, 400, Stats{Malformed: 1}, ""},
		{"long header", "GET /a/kitchen/t0ken/incoming?display_remote=Tom HTTP/1.1\r\nX: " + strings.Repeat("y", 20<<10) + "\r\n\r\n",
			200, Stats{Accepted: 1}, "Tom"},
		{"no host", "GET /a/kitchen/t0ken/incoming?display_remote=Tom HTTP/1.1\r\n\r\n", 200, Stats{Accepted: 1}, "Tom"},
		{"odd headers", "\r\nGET /a/kitchen/t0ken/incoming?display_remote=Tom http/1.1 \r\nHost: a b\r\nHost: <x>\r\nUser Agent: \x01\xe4\r\n?\r\n\r\n",
			200, Stats{Accepted: 1}, "Tom"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := newEvents()
			l := listen(t)
			s := New(Config{Phone: kitchen, CheckSource: true, Event: got.take, Log: slog.New(slog.DiscardHandler)})
			serve(t, s, l)
			resp := call(t, l.Addr().String(), tt.request)
			if resp.StatusCode != tt.wantStatus {
				t.Errorf("status %d, expected %d", resp.StatusCode, tt.wantStatus)
			}
			if resp.ContentLength > 0 && resp.StatusCode < 400 || !resp.Close || resp.Header.Get("Content-Type") != "" && resp.StatusCode == 200 {
				t.Errorf("answer %+v, expected nothing and the connection closed", resp)
			}
			if s.Stats() != tt.want {
				t.Errorf("stats %+v, expected %+v", s.Stats(), tt.want)
			}
			if tt.wantName == "" {
				if all := got.list(); len(all) != 0 {
					t.Errorf("events %+v, expected none", all)
				}
				return
			}
			e := got.wait(t, 1)[0]
			if e.Type != actionurl.EventIncoming || e.Phone != "kitchen" || e.Remote.Name != tt.wantName || time.Since(e.Time) > time.Minute {
				t.Errorf("event %+v, expected %s by %q", e, actionurl.EventIncoming, tt.wantName)
			}
		})
	}
}

// get calls the Server without a network.
func get(s *Server, from, target string) int {
	r := httptest.NewRequest(http.MethodGet, "http://x"+target, nil)
	r.RemoteAddr = from
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code
}

func TestToken(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, token, path string
		want              int
	}{
		{"its own", "t0ken", "t0ken", 200},
		{"escaped", "t0/ken?", "t0%2Fken%3F", 200},
		{"another", "t0ken", "t0keN", 404},
		{"a phone without a token", "", "", 404},
		{"a phone without a token, and one", "", "x", 404},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := New(Config{
				Phone: func(string) (Phone, bool) { return Phone{Token: tt.token}, true },
				Log:   slog.New(slog.DiscardHandler),
			})
			if got := get(s, "192.0.2.1:1", "/a/kitchen/"+tt.path+"/hold"); got != tt.want {
				t.Errorf("status %d, expected %d", got, tt.want)
			}
		})
	}
	if _, _, _, ok := readPath("/a/kitchen/%zz/hold"); ok {
		t.Error("a path with a percent sign that escapes nothing is read, expected it refused")
	}
}

func TestSource(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, host, from string
		want             int
	}{
		{"its address", "192.0.2.10", "192.0.2.10:5000", 200},
		{"another address", "192.0.2.10", "192.0.2.11:5000", 404},
		{"as an IPv6 address", "192.0.2.10", "[::ffff:192.0.2.10]:5000", 200},
		{"configured as an IPv6 address", "::ffff:192.0.2.10", "192.0.2.10:5000", 200},
		{"IPv6", "fe80::1%eth0", "[fe80::1%eth1]:5000", 200},
		{"by name", "phone.example", "192.0.2.10:5000", 200},
		{"by name, its other address", "phone.example", "[2001:db8::1]:5000", 200},
		{"by name, another address", "phone.example", "192.0.2.11:5000", 404},
		{"unknown name", "gone.example", "192.0.2.10:5000", 404},
		{"from nowhere", "192.0.2.10", "pipe", 404},
		{"of a PBX, host not known", "", "192.0.2.10:5000", 200},
		{"of a PBX, from nowhere", "", "pipe", 200},
	}
	for _, tt := range tests {
		for _, check := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, checked: %v", tt.name, check), func(t *testing.T) {
				t.Parallel()
				s := New(Config{
					Phone:       func(string) (Phone, bool) { return Phone{Token: "t0ken", Host: tt.host}, true },
					CheckSource: check, Lookup: lookup, Log: slog.New(slog.DiscardHandler),
				})
				want, stats := tt.want, Stats{Accepted: 1}
				if !check {
					want = 200
				} else if want == 404 {
					stats = Stats{WrongSource: 1}
				}
				if got := get(s, tt.from, "/a/kitchen/t0ken/hold"); got != want || s.Stats() != stats {
					t.Errorf("status %d, %+v, expected %d, %+v", got, s.Stats(), want, stats)
				}
			})
		}
	}
}

func lookup(_ context.Context, network, host string) ([]netip.Addr, error) {
	if network != "ip" || host != "phone.example" {
		return nil, errors.New("no such host")
	}
	return []netip.Addr{netip.MustParseAddr("::ffff:192.0.2.10"), netip.MustParseAddr("2001:db8::1")}, nil
}

func TestSourceIsLookedUpAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		addr, fails, lookups := "192.0.2.10", false, 0
		s := New(Config{
			Phone: func(string) (Phone, bool) { return Phone{Token: "t0ken", Host: "phone.example"}, true }, CheckSource: true,
			Lookup: func(ctx context.Context, _, _ string) ([]netip.Addr, error) {
				lookups++
				if fails {
					<-ctx.Done()
					return nil, ctx.Err()
				}
				return []netip.Addr{netip.MustParseAddr(addr)}, nil
			},
			Log: slog.New(slog.DiscardHandler),
		})
		steps := []struct {
			name        string
			wait        time.Duration
			addr, from  string
			fails       bool
			want        int
			wantLookups int
		}{
			{"first", 0, "192.0.2.10", "192.0.2.10", false, 200, 1},
			{"known", time.Minute, "192.0.2.10", "192.0.2.10", false, 200, 1},
			{"moved", 0, "192.0.2.20", "192.0.2.20", false, 200, 2},
			{"stranger", time.Second, "192.0.2.20", "192.0.2.30", false, 404, 2},
			{"stranger who is not looked up at once", time.Second, "192.0.2.30", "192.0.2.30", false, 404, 2},
			{"who moved in", 10 * time.Second, "192.0.2.30", "192.0.2.30", false, 200, 3},
			{"old, and no answer", 5 * time.Minute, "192.0.2.30", "192.0.2.30", true, 200, 4},
		}
		for _, step := range steps {
			time.Sleep(step.wait)
			addr, fails = step.addr, step.fails
			if got := get(s, step.from+":1", "/a/kitchen/t0ken/hold"); got != step.want || lookups != step.wantLookups {
				t.Errorf("%s: status %d after %d lookups, expected %d after %d", step.name, got, lookups, step.want, step.wantLookups)
			}
		}
	})
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := newEvents()
		s := New(Config{
			Phone: func(name string) (Phone, bool) { return Phone{Token: "t0ken"}, true },
			Event: got.take, Rate: 10, Log: slog.New(slog.DiscardHandler),
		})
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		go func() { _ = s.Serve(ctx, pipenet.Listen()) }() // only hands on here
		start := time.Now()
		for range 100 {
			if code := get(s, "192.0.2.1:1", "/a/kitchen/t0ken/hold"); code != 200 {
				t.Fatalf("status %d, expected 200", code)
			}
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("a hundred at once took %v, expected no time", took)
		}
		for range 20 { // one after the other: slower, none lost
			if code := get(s, "192.0.2.1:1", "/a/kitchen/t0ken/hold"); code != 200 {
				t.Fatalf("status %d, expected 200", code)
			}
		}
		if took, want := time.Since(start), 2*time.Second; took != want {
			t.Errorf("twenty more took %v, expected %v", took, want)
		}
		if code := get(s, "192.0.2.1:1", "/a/hall/t0ken/hold"); code != 200 {
			t.Errorf("another phone: status %d, expected 200", code)
		}

		var all sync.WaitGroup
		codes := make(chan int, 30)
		for range 30 {
			all.Go(func() { codes <- get(s, "192.0.2.1:1", "/a/kitchen/t0ken/hold") })
		}
		all.Wait()
		close(codes)
		refused := 0
		for code := range codes {
			if code == http.StatusTooManyRequests {
				refused++
			}
		}
		if want := (Stats{Accepted: 131, Limited: 20}); refused != 20 || s.Stats() != want {
			t.Errorf("%d refused, %+v, expected 20, %+v", refused, s.Stats(), want)
		}
		synctest.Wait()
		if got, want := len(got.list()), 131; got != want {
			t.Errorf("%d events, expected %d", got, want)
		}

		gone, leave := context.WithCancel(context.Background())
		leave()
		r := httptest.NewRequestWithContext(gone, http.MethodGet, "http://x/a/kitchen/t0ken/hold", nil)
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, r); w.Code != http.StatusTooManyRequests {
			t.Errorf("a phone that does not wait: status %d, expected %d", w.Code, http.StatusTooManyRequests)
		}
		cancel()
		synctest.Wait()
	})
}

func TestEventsAreNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		n := 0
		s := New(Config{Phone: kitchen, QueueLength: 3, Log: slog.New(slog.DiscardHandler), Event: func(string, actionurl.Event) {
			<-release
			n++
		}})
		ctx, cancel := context.WithCancel(context.Background())
		served := make(chan error, 1)
		go func() { served <- s.Serve(ctx, pipenet.Listen()) }()
		for i, want := range []int{200, 200, 200, 200, 503, 503} {
			if got := get(s, "127.0.0.1:1", "/a/kitchen/t0ken/hold"); got != want {
				t.Errorf("event %d: status %d, expected %d", i, got, want)
			}
			synctest.Wait() // the first is being taken
		}
		if got, want := s.Stats(), (Stats{Accepted: 4, Dropped: 2}); got != want {
			t.Errorf("stats %+v, expected %+v", got, want)
		}
		cancel()
		close(release)
		if err := <-served; err != nil || n != 4 {
			t.Errorf("Serve: %v after %d events, expected all 4 handed on at the end", err, n)
		}
	})
}

func TestServeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := newEvents()
		s := New(Config{Phone: kitchen, Event: got.take, Log: slog.New(slog.DiscardHandler)})
		l := pipenet.Listen()
		ctx, cancel := context.WithCancel(context.Background())
		served := make(chan error, 1)
		go func() { served <- s.Serve(ctx, l) }()

		slow, err := l.DialContext(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := io.WriteString(slow, "GET /a/kitch"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(slow); err != nil || time.Since(start) != requestTime {
			t.Errorf("who says nothing is left after %v, %v, expected %v", time.Since(start), err, requestTime)
		}

		slow, err = l.DialContext(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer slow.Close()
		if _, err := io.WriteString(slow, "GET /a/kitchen/t0ken/hold HTTP/1.0\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the answer is not read
		start = time.Now()
		cancel()
		if err := <-served; err != nil || time.Since(start) > stopTime {
			t.Errorf("Serve: %v after %v, expected nil after at most %v", err, time.Since(start), stopTime)
		}
		if got, want := len(got.list()), 1; got != want {
			t.Errorf("%d events, expected %d", got, want)
		}
	})
}

func TestServeFails(t *testing.T) {
	t.Parallel()
	l := listen(t)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	err := New(Config{Log: slog.New(slog.DiscardHandler)}).Serve(t.Context(), l)
	if !errors.Is(err, net.ErrClosed) || !strings.HasPrefix(err.Error(), "phoneweb: ") {
		t.Errorf("Serve: %v, expected phoneweb: … %v", err, net.ErrClosed)
	}
}

func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := New(Config{Phone: kitchen, CheckSource: true, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{
			ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey {
					return slog.Attr{}
				}
				return a
			},
		}))})
		for range 2 {
			for range 3 {
				get(s, "192.0.2.1:1", "/a/kitchen/s3cret/x%0Ay")
				get(s, "192.0.2.1:1", "/a/kitchen/t0ken/x%0Ay")
				get(s, "127.0.0.1:1", "/a/kitchen/t0ken/x%0Ay")
			}
			time.Sleep(time.Minute)
		}
		want := strings.Repeat(`level=WARN msg="requests with a wrong token" from=192.0.2.1
level=WARN msg="event from an address that is not the phone's" phone=kitchen from=192.0.2.1
level=WARN msg="event not understood" phone=kitchen err="snom: event \"x\\ny\": expected one of incoming,`, 1)
		text := log.String()
		if got := strings.Count(text, "\n"); got != 6 || !strings.HasPrefix(text, want) {
			t.Errorf("logged %d lines:\n%s\nexpected three a minute, as\n%s…", got, text, want)
		}
		if strings.Contains(text, "s3cret") || strings.Contains(text, "t0ken") {
			t.Errorf("a token is in the log:\n%s", text)
		}
	})
}

// TestLogOfLookups checks that the log has the error when a phone is refused because its name could not be looked up.
func TestLogOfLookups(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := New(Config{
		Phone:       func(string) (Phone, bool) { return Phone{Token: "t0ken", Host: "gone.example"}, true },
		CheckSource: true, Lookup: lookup, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if got := get(s, "192.0.2.10:1", "/a/kitchen/t0ken/hold"); got != 404 {
		t.Errorf("status %d, expected 404", got)
	}
	if got, want := log.String(), `from=192.0.2.10 err="no such host"`; !strings.Contains(got, want) {
		t.Errorf("logged %s, expected %s", got, want)
	}
}

// A flood of wrong tokens changes a counter; a phone is heard all the same.
func TestFlood(t *testing.T) {
	t.Parallel()
	got := newEvents()
	var log bytes.Buffer
	l := listen(t)
	s := New(Config{Phone: kitchen, CheckSource: true, Event: got.take, Log: slog.New(slog.NewTextHandler(&log, nil))})
	serve(t, s, l)
	flood, events := 10_000, 20
	if testing.Short() {
		flood = 1000
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range flood / 4 {
				if got := call(t, l.Addr().String(), "GET /a/kitchen/wrong/incoming HTTP/1.1\r\nHost: x\r\n\r\n").StatusCode; got != 404 {
					t.Errorf("wrong token: status %d, expected 404", got)
				}
			}
		})
	}
	start := time.Now()
	for i := range events {
		line := fmt.Sprintf("GET /a/kitchen/t0ken/incoming?call-id=%d HTTP/1.1\r\nHost: x\r\n\r\n", i)
		if got := call(t, l.Addr().String(), line).StatusCode; got != 200 {
			t.Errorf("event %d: status %d, expected 200", i, got)
		}
	}
	t.Logf("%d events in %v", events, time.Since(start))
	all.Wait()
	t.Logf("%d wrong tokens in %v", flood, time.Since(start))
	for i, e := range got.wait(t, events) {
		if want := fmt.Sprint(i); e.CallID != want {
			t.Errorf("event %d is of call %s, expected %s", i, e.CallID, want)
		}
	}
	if got, want := s.Stats(), (Stats{Accepted: uint64(events), WrongToken: uint64(flood)}); got != want {
		t.Errorf("stats %+v, expected %+v", got, want)
	}
	if lines := strings.Count(log.String(), "\n"); lines != 1 {
		t.Errorf("logged %d lines, expected 1:\n%s", lines, log.String())
	}
}

// pipes is a listener of connections that are made at once, from an address that is given.
type pipes struct {
	dialed chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes {
	return &pipes{dialed: make(chan net.Conn), closed: make(chan struct{})}
}

func (p *pipes) dial(from string) net.Conn {
	near, far := net.Pipe()
	p.dialed <- fromConn{far, stringAddr(from)}
	return near
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.dialed:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return stringAddr("pipes") }

type fromConn struct {
	net.Conn
	from net.Addr
}

func (c fromConn) RemoteAddr() net.Addr { return c.from }

// Connections that have not shown a token are few, in all and from one address, and end soon; whatever they do, a
// phone is served.
func TestConnectionsBeforeAToken(t *testing.T) {
	firsts := map[string]string{
		"silent":         "",
		"half a method":  "GE",
		"half a path":    "GET /a/kitchen/t0k",
		"a token, no ?":  "GET /a/kitchen/t0ken/hold",
		"no request":     "hello",
		"empty lines":    "\r\n\r\n\r\n",
		"a long method":  strings.Repeat("G", 1000),
		"a wrong token":  "GET /a/kitchen/wrong/hold?x=",
		"no phone":       "GET /?",
		"a long path":    "GET /" + strings.Repeat("a", maxPath),
		"another method": "POST /a/kitchen/t0ken/hold?",
	}
	for name, first := range firsts {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := newEvents()
				s := New(Config{Phone: kitchen, Event: got.take, Log: slog.New(slog.DiscardHandler)})
				p := newPipes()
				ctx, cancel := context.WithCancel(context.Background())
				served := make(chan error, 1)
				go func() { served <- s.Serve(ctx, p) }()

				var mu sync.Mutex
				open := map[string]int{} // connections that the server has not closed
				var clients sync.WaitGroup
				flood := func(from string, n int) {
					for range n {
						conn := p.dial(from)
						mu.Lock()
						open[from]++
						mu.Unlock()
						clients.Go(func() {
							defer conn.Close()
							go func() { _, _ = io.WriteString(conn, first) }() // the server may have closed it
							_, _ = io.Copy(io.Discard, conn)
							mu.Lock()
							defer mu.Unlock()
							open[from]--
						})
					}
					time.Sleep(100 * time.Millisecond) // a new one keeps its place for a while
					synctest.Wait()
				}
				limits := netlimit.Default()
				flood("192.0.2.1:1", 3*limits.PerAddress)
				if open["192.0.2.1:1"] > limits.PerAddress {
					t.Errorf("%d connections from one address, expected at most %d", open["192.0.2.1:1"], limits.PerAddress)
				}
				for i := range 20 {
					flood(fmt.Sprintf("192.0.2.%d:1", 2+i), limits.PerAddress)
				}
				all := 0
				for _, n := range open {
					all += n
				}
				if all > limits.Pending {
					t.Errorf("%d connections in all, expected at most %d", all, limits.Pending)
				}
				for i := range 20 { // from another address, and from the one that floods
					phone := p.dial([]string{"192.0.2.1:1", "192.0.2.200:1"}[i%2])
					if _, err := io.WriteString(phone, "GET /a/kitchen/t0ken/hold?call-id=a HTTP/1.1\r\n\r\n"); err != nil {
						t.Fatal(err)
					}
					resp, err := http.ReadResponse(bufio.NewReader(phone), nil)
					if err != nil || resp.StatusCode != http.StatusOK {
						t.Errorf("event %d: %+v, %v, expected 200", i, resp, err)
					}
					_ = phone.Close()
				}
				time.Sleep(limits.FirstRequest)
				synctest.Wait()
				for from, n := range open {
					if n != 0 {
						t.Errorf("%d connections from %s are open after %v, expected none", n, from, limits.FirstRequest)
					}
				}
				if st := s.Stats(); st.Accepted != 20 || len(got.list()) != 20 || st.WrongSource+st.Dropped != 0 {
					t.Errorf("%+v and %d events, expected 20", st, len(got.list()))
				}
				cancel()
				if err := <-served; err != nil {
					t.Error(err)
				}
				clients.Wait()
			})
		})
	}
}

// A request with a wrong token is answered when its path is there; nothing of the rest is read.
func TestWrongTokenIsAnsweredAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{Phone: kitchen, Log: slog.New(slog.DiscardHandler)})
		l := pipenet.Listen()
		serve(t, s, l)
		conn, err := l.DialContext(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "GET /a/kitchen/wrong/incoming?"); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != http.StatusNotFound || time.Since(start) != 0 {
			t.Errorf("%+v, %v after %v, expected 404 at once", resp, err, time.Since(start))
		}
		if got, expected := s.Stats(), (Stats{WrongToken: 1}); got != expected {
			t.Errorf("stats %+v, expected %+v", got, expected)
		}
	})
}

// Phones that report all at once, from one address, are all served. Time is virtual, so that it does not matter how late a
// busy machine handles them.
func TestBurst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got := newEvents()
		l := pipenet.ListenBuffered(4 << 10)
		s := New(Config{Phone: kitchen, Event: got.take, Log: slog.New(slog.DiscardHandler)})
		serve(t, s, l)
		const phones = 300
		var conns []net.Conn
		for i := range phones {
			conn, err := l.DialContext(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := fmt.Fprintf(conn, "GET /a/kitchen/t0ken/incoming?call-id=%d HTTP/1.1\r\nHost: x\r\n\r\n", i); err != nil {
				t.Fatal(err)
			}
			conns = append(conns, conn)
		}
		for i, conn := range conns {
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Errorf("event %d: %+v, %v, expected 200", i, resp, err)
			}
		}
		if st := s.Stats(); st.Accepted != phones {
			t.Errorf("%+v, expected %d accepted", st, phones)
		}
	})
}
