package broker_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/snom2mqtt/snom2mqtt/broker"
	"github.com/snom2mqtt/snom2mqtt/internal/pipenet"
)

const password = "canary-51c9"

func TestListen(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		cfg      broker.Config
		expected string // part of the error; empty: none
	}{
		{name: "loopback", cfg: broker.Config{Addr: "127.0.0.1:0"}},
		{name: "loopback by name", cfg: broker.Config{Addr: "localhost:0"}},
		{name: "network with password", cfg: broker.Config{Addr: "0.0.0.0:0", Username: "u", Password: password}},
		{name: "nowhere"},
		{name: "network", cfg: broker.Config{Addr: "0.0.0.0:0"}, expected: "open to the network"},
		{name: "all interfaces", cfg: broker.Config{Addr: ":0"}, expected: "open to the network"},
		{name: "all interfaces, IPv6", cfg: broker.Config{Addr: "[::]:0"}, expected: "open to the network"},
		{name: "no password", cfg: broker.Config{Addr: "0.0.0.0:0", Username: "u"}, expected: "or neither"},
		{name: "no user name", cfg: broker.Config{Addr: "127.0.0.1:0", Password: password}, expected: "or neither"},
		{name: "no port", cfg: broker.Config{Addr: "127.0.0.1"}, expected: "missing port"},
		{name: "an address of another machine", cfg: broker.Config{Addr: "192.0.2.1:0", Username: "u", Password: password}, expected: "192.0.2.1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.cfg.Log = slog.New(slog.DiscardHandler)
			b, err := broker.Listen(tt.cfg)
			if err != nil {
				if tt.expected == "" || !strings.Contains(err.Error(), tt.expected) || strings.Contains(err.Error(), password) {
					t.Errorf("Listen() = %v, expected an error with %q", err, tt.expected)
				}
				return
			}
			if tt.expected != "" {
				t.Errorf("Listen() succeeded, expected an error with %q", tt.expected)
			}
			if got := b.Addr(); (got == nil) != (tt.cfg.Addr == "") {
				t.Errorf("Addr() = %v", got)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := b.Run(ctx); err != nil {
				t.Errorf("Run() = %v, expected nil", err)
			}
		})
	}
}

// A fixture is a running broker.
type fixture struct {
	*broker.Broker
	network *pipenet.Listener // where it listens; nil: at an address
	log     *syncBuffer       // what it logs
}

// newBroker returns a running broker, which without an address listens on a network inside the process.
func newBroker(t *testing.T, cfg broker.Config) *fixture {
	t.Helper()
	f := &fixture{log: &syncBuffer{}}
	cfg.Log = slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if cfg.Addr == "" {
		f.network = pipenet.ListenBuffered(64 << 10)
		cfg.Listener = f.network
	}
	b, err := broker.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	f.Broker = b
	ctx, cancel := context.WithCancel(context.Background()) // must outlast the cleanups registered later
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run() = %v, expected nil", err)
		}
		if strings.Contains(f.log.String(), password) || strings.Contains(fmt.Sprintf("%v %+v %#v", cfg, cfg, cfg), password) {
			t.Errorf("the password is in the log or the settings:\n%s", f.log)
		}
	})
	return f
}

// dial connects to the broker over its network.
func (f *fixture) dial() (net.Conn, error) {
	if f.network != nil {
		return f.network.DialContext(context.Background(), "", "")
	}
	return net.Dial("tcp", f.Addr().String())
}

// mustDial is dial.
func (f *fixture) mustDial(t *testing.T) net.Conn {
	t.Helper()
	c, err := f.dial()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// options are those of a client of f.
func options(f *fixture, id string) *paho.ClientOptions {
	o := paho.NewClientOptions().AddBroker("tcp://broker.example").SetClientID(id).SetAutoReconnect(false).
		SetProtocolVersion(4)
	o.SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) { return f.dial() })
	return o
}

// ownOptions are those of a client inside the process.
func ownOptions(f *fixture, id string) *paho.ClientOptions {
	o := options(f, id)
	o.SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) { return f.Dial(context.Background()) })
	return o
}

func connect(t *testing.T, o *paho.ClientOptions) (paho.Client, error) {
	t.Helper()
	c := paho.NewClient(o)
	token := c.Connect()
	<-token.Done()
	if token.Error() == nil {
		t.Cleanup(func() { c.Disconnect(100) })
	}
	return c, token.Error()
}

func mustConnect(t *testing.T, o *paho.ClientOptions) paho.Client {
	t.Helper()
	c, err := connect(t, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func must(t *testing.T, token paho.Token) {
	t.Helper()
	<-token.Done()
	if token.Error() != nil {
		t.Fatal(token.Error())
	}
}

// subscribe returns the payloads that c gets for filter.
func subscribe(t *testing.T, c paho.Client, filter string) <-chan string {
	t.Helper()
	got := make(chan string, 100)
	must(t, c.Subscribe(filter, 1, func(_ paho.Client, m paho.Message) { got <- string(m.Payload()) }))
	return got
}

func expect(t *testing.T, got <-chan string, expected string) {
	t.Helper()
	select {
	case got := <-got:
		if got != expected {
			t.Errorf("got %q, expected %q", got, expected)
		}
	case <-time.After(2 * time.Minute): // which is no measure
		t.Errorf("got nothing, expected %q", expected)
	}
}

func TestMessagesAndRetained(t *testing.T) {
	t.Parallel()
	b := newBroker(t, broker.Config{Addr: "127.0.0.1:0"})
	one, two := mustConnect(t, options(b, "one")), mustConnect(t, options(b, "two"))
	got := subscribe(t, two, "snom/#")
	must(t, one.Publish("snom/a", 1, false, "now"))
	expect(t, got, "now")
	must(t, one.Publish("snom/b", 1, true, "kept"))
	expect(t, got, "kept")
	expect(t, subscribe(t, one, "snom/+"), "kept")
	must(t, one.Publish("$SYS/broker/version", 0, true, "fake"))
	if version := <-subscribe(t, two, "$SYS/broker/version"); version == "fake" {
		t.Error("a client wrote to a topic of the broker")
	}
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	b := newBroker(t, broker.Config{Addr: "127.0.0.1:0", Username: "bridge", Password: password})
	tests := []struct {
		user, password string
		expected       bool
	}{
		{"bridge", password, true},
		{"bridge", "wrong", false},
		{"bridge", "", false},
		{"", "", false},
		{"Bridge", password, false},
		{"bridge", password + "x", false},
	}
	for _, tt := range tests {
		_, err := connect(t, options(b, "c").SetUsername(tt.user).SetPassword(tt.password))
		if (err == nil) != tt.expected {
			t.Errorf("login as %q with %q: %v, expected it to work: %t", tt.user, tt.password, err, tt.expected)
		}
	}
	if n := strings.Count(b.log.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings, expected 1 a minute", n)
	}
}

// A client that comes back before its old connection is seen to be dead gets its last will first, and keeps its new
// subscriptions.
func TestTakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, broker.Config{})
		state := subscribe(t, mustConnect(t, options(b, "watcher")), "state")
		for i := range 50 {
			c := mustConnect(t, options(b, "bridge").SetWill("state", "offline", 1, true))
			if i > 0 {
				expect(t, state, "offline")
			}
			got := subscribe(t, c, "command")
			must(t, c.Publish("state", 1, true, "online"))
			must(t, c.Publish("command", 1, false, fmt.Sprint(i)))
			expect(t, got, fmt.Sprint(i))
			expect(t, state, "online")
		}
	})
}

// Clients that connect and say nothing, or stop reading, are shown out.
func TestSilentClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, broker.Config{})
		near := b.mustDial(t)
		start := time.Now()
		if _, err := near.Read(make([]byte, 1)); err == nil {
			t.Error("read from the broker without a word to it")
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("disconnected after %v, expected 5 s", took)
		}

		slowReader := func() { // connects without keep-alive, subscribes, and reads no more
			near := b.mustDial(t)
			_, _ = near.Write([]byte("\x10\x10\x00\x04MQTT\x04\x02\x00\x00\x00\x04deaf"))
			_, _ = near.Read(make([]byte, 4))
			_, _ = near.Write([]byte("\x82\x06\x00\x01\x00\x01#\x00"))
			_, _ = near.Read(make([]byte, 5))
		}
		slowReader()
		c := mustConnect(t, options(b, "loud"))
		for range 100 {
			must(t, c.Publish("a", 1, false, strings.Repeat("x", 100<<10)))
		}
		start = time.Now()
		slowReader() // the same client id again
		if took := time.Since(start); took > 0 {
			t.Errorf("took over a slow client after %v, expected no time", took)
		}
	})
}

// Everything ends with Run, whatever the clients do.
func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := pipenet.ListenBuffered(1000)
		b, err := broker.Listen(broker.Config{Listener: network, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- b.Run(ctx) }()
		f := &fixture{Broker: b, network: network}
		one, own := mustConnect(t, options(f, "one")), mustConnect(t, ownOptions(f, "own"))
		silent := f.mustDial(t)
		cancel()
		start := time.Now()
		if err := <-ended; err != nil {
			t.Errorf("Run() = %v, expected nil", err)
		}
		if took := time.Since(start); took > 100*time.Millisecond { // in which the last messages are written
			t.Errorf("the end took %v, expected at most 100ms", took)
		}
		synctest.Wait()
		if one.IsConnectionOpen() || own.IsConnectionOpen() {
			t.Error("a client is still connected")
		}
		if _, err := silent.Read(make([]byte, 1)); err == nil {
			t.Error("a connection is still open")
		}
		if _, err := f.dial(); err == nil {
			t.Error("the broker listens after the end")
		}
		if _, err := b.Dial(t.Context()); err == nil {
			t.Error("a connection was served after the end")
		}
	})
}

func TestTooLargePackets(t *testing.T) {
	t.Parallel()
	b := newBroker(t, broker.Config{Addr: "127.0.0.1:0"})
	lost := make(chan string, 1)
	o := options(b, "one").SetConnectionLostHandler(func(paho.Client, error) { lost <- "lost" })
	c := mustConnect(t, o)
	c.Publish("a", 1, false, make([]byte, 1<<20))
	expect(t, lost, "lost")
}

// Many clients that come and go leave nothing behind.
func TestNothingIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, broker.Config{})
		synctest.Wait()
		before := runtime.NumGoroutine()
		var clients sync.WaitGroup
		for i := range 16 { // as many as may log in at once
			clients.Go(func() {
				c := paho.NewClient(options(b, fmt.Sprint("client", i)))
				<-c.Connect().Done()
				<-c.Subscribe("#", 1, func(paho.Client, paho.Message) {}).Done()
				<-c.Publish("a", 1, false, "x").Done()
				c.Disconnect(1000)
			})
		}
		clients.Wait()
		for i := range 100 {
			c := paho.NewClient(options(b, fmt.Sprint("client", i)))
			<-c.Connect().Done()
			c.Disconnect(1000)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if after := runtime.NumGoroutine(); after > before {
			t.Errorf("%d goroutines, expected %d", after, before)
		}
	})
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
