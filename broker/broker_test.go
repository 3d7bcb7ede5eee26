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
)

const password = "canary-51c9"

func TestListen(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		cfg  broker.Config
		want string // part of the error; empty: none
	}{
		{name: "loopback", cfg: broker.Config{Addr: "127.0.0.1:0"}},
		{name: "loopback by name", cfg: broker.Config{Addr: "localhost:0"}},
		{name: "network with password", cfg: broker.Config{Addr: "0.0.0.0:0", Username: "u", Password: password}},
		{name: "nowhere"},
		{name: "network", cfg: broker.Config{Addr: "0.0.0.0:0"}, want: "open to the network"},
		{name: "all interfaces", cfg: broker.Config{Addr: ":0"}, want: "open to the network"},
		{name: "all interfaces, IPv6", cfg: broker.Config{Addr: "[::]:0"}, want: "open to the network"},
		{name: "no password", cfg: broker.Config{Addr: "0.0.0.0:0", Username: "u"}, want: "or neither"},
		{name: "no user name", cfg: broker.Config{Addr: "127.0.0.1:0", Password: password}, want: "or neither"},
		{name: "no port", cfg: broker.Config{Addr: "127.0.0.1"}, want: "missing port"},
		{name: "not our address", cfg: broker.Config{Addr: "192.0.2.1:0", Username: "u", Password: password}, want: "192.0.2.1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.cfg.Log = slog.New(slog.DiscardHandler)
			b, err := broker.Listen(tt.cfg)
			if err != nil {
				if tt.want == "" || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), password) {
					t.Errorf("Listen() = %v, want an error with %q", err, tt.want)
				}
				return
			}
			if tt.want != "" {
				t.Errorf("Listen() succeeded, want an error with %q", tt.want)
			}
			if got := b.Addr(); (got == nil) != (tt.cfg.Addr == "") {
				t.Errorf("Addr() = %v", got)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := b.Run(ctx); err != nil {
				t.Errorf("Run() = %v, want nil", err)
			}
		})
	}
}

// newBroker returns a running broker, and what it logs.
func newBroker(t *testing.T, cfg broker.Config) (*broker.Broker, *syncBuffer) {
	t.Helper()
	log := &syncBuffer{}
	cfg.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	b, err := broker.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background()) // must outlast the cleanups registered later
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run() = %v, want nil", err)
		}
		if strings.Contains(log.String(), password) || strings.Contains(fmt.Sprintf("%v %+v %#v", cfg, cfg, cfg), password) {
			t.Errorf("the password is in the log or the settings:\n%s", log)
		}
	})
	return b, log
}

// options are those of a client of b.
func options(b *broker.Broker, id string) *paho.ClientOptions {
	o := paho.NewClientOptions().AddBroker("tcp://broker.example").SetClientID(id).SetAutoReconnect(false).
		SetProtocolVersion(4)
	o.SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) {
		if addr := b.Addr(); addr != nil {
			return net.Dial("tcp", addr.String())
		}
		near, far := net.Pipe()
		b.Attach(far)
		return near, nil
	})
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

func want(t *testing.T, got <-chan string, want string) {
	t.Helper()
	select {
	case got := <-got:
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	case <-time.After(2 * time.Minute): // which is no measure
		t.Errorf("got nothing, want %q", want)
	}
}

func TestMessagesAndRetained(t *testing.T) {
	t.Parallel()
	b, _ := newBroker(t, broker.Config{Addr: "127.0.0.1:0"})
	one, two := mustConnect(t, options(b, "one")), mustConnect(t, options(b, "two"))
	got := subscribe(t, two, "snom/#")
	must(t, one.Publish("snom/a", 1, false, "now"))
	want(t, got, "now")
	must(t, one.Publish("snom/b", 1, true, "kept"))
	want(t, got, "kept")
	want(t, subscribe(t, one, "snom/+"), "kept")
	must(t, one.Publish("$SYS/broker/version", 0, true, "fake"))
	if version := <-subscribe(t, two, "$SYS/broker/version"); version == "fake" {
		t.Error("a client wrote to a topic of the broker")
	}
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	b, log := newBroker(t, broker.Config{Addr: "127.0.0.1:0", Username: "bridge", Password: password})
	tests := []struct {
		user, password string
		want           bool
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
		if (err == nil) != tt.want {
			t.Errorf("login as %q with %q: %v, want it to work: %t", tt.user, tt.password, err, tt.want)
		}
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings, want 1 a minute", n)
	}
}

// A client that comes back before its old connection is seen to be dead gets its last will first, and keeps its new
// subscriptions.
func TestTakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := newBroker(t, broker.Config{})
		state := subscribe(t, mustConnect(t, options(b, "watcher")), "state")
		for i := range 50 {
			c := mustConnect(t, options(b, "bridge").SetWill("state", "offline", 1, true))
			if i > 0 {
				want(t, state, "offline")
			}
			got := subscribe(t, c, "command")
			must(t, c.Publish("state", 1, true, "online"))
			must(t, c.Publish("command", 1, false, fmt.Sprint(i)))
			want(t, got, fmt.Sprint(i))
			want(t, state, "online")
		}
	})
}

// Clients that connect and say nothing, or stop reading, are shown out.
func TestSilentClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := newBroker(t, broker.Config{})
		near, far := net.Pipe()
		b.Attach(far)
		start := time.Now()
		if _, err := near.Read(make([]byte, 1)); err == nil {
			t.Error("read from the broker without a word to it")
		}
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("shown out after %v, want 10 s", took)
		}

		deaf := func() { // connects without keep-alive, subscribes, and reads no more
			near, far := net.Pipe()
			b.Attach(far)
			_, _ = near.Write([]byte("\x10\x10\x00\x04MQTT\x04\x02\x00\x00\x00\x04deaf"))
			_, _ = near.Read(make([]byte, 4))
			_, _ = near.Write([]byte("\x82\x06\x00\x01\x00\x01#\x00"))
			_, _ = near.Read(make([]byte, 5))
		}
		deaf()
		c := mustConnect(t, options(b, "loud"))
		for range 100 {
			must(t, c.Publish("a", 1, false, strings.Repeat("x", 100<<10)))
		}
		start = time.Now()
		deaf() // the same client id again
		if took := time.Since(start); took > 0 {
			t.Errorf("took over a deaf client after %v, want no time", took)
		}
	})
}

// Everything ends with Run, whatever the clients do.
func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := broker.Listen(broker.Config{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- b.Run(ctx) }()
		c := mustConnect(t, options(b, "one"))
		silent, far := net.Pipe()
		b.Attach(far)
		cancel()
		start := time.Now()
		if err := <-ended; err != nil {
			t.Errorf("Run() = %v, want nil", err)
		}
		if took := time.Since(start); took > 0 {
			t.Errorf("the end took %v, want no time", took)
		}
		synctest.Wait()
		if c.IsConnectionOpen() {
			t.Error("a client is still connected")
		}
		if _, err := silent.Read(make([]byte, 1)); err == nil {
			t.Error("a connection is still open")
		}
		late, far := net.Pipe()
		b.Attach(far)
		if _, err := late.Read(make([]byte, 1)); err == nil {
			t.Error("a connection was served after the end")
		}
	})
}

func TestTooLargePackets(t *testing.T) {
	t.Parallel()
	b, _ := newBroker(t, broker.Config{Addr: "127.0.0.1:0"})
	lost := make(chan string, 1)
	o := options(b, "one").SetConnectionLostHandler(func(paho.Client, error) { lost <- "lost" })
	c := mustConnect(t, o)
	c.Publish("a", 1, false, make([]byte, 1<<20))
	want(t, lost, "lost")
}

// Many clients that come and go leave nothing behind.
func TestNothingIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := newBroker(t, broker.Config{})
		synctest.Wait()
		before := runtime.NumGoroutine()
		var clients sync.WaitGroup
		for i := range 100 {
			clients.Go(func() {
				c := paho.NewClient(options(b, fmt.Sprint("client", i)))
				<-c.Connect().Done()
				<-c.Subscribe("#", 1, func(paho.Client, paho.Message) {}).Done()
				<-c.Publish("a", 1, false, "x").Done()
				c.Disconnect(1000)
			})
		}
		clients.Wait()
		time.Sleep(time.Minute)
		synctest.Wait()
		if after := runtime.NumGoroutine(); after > before {
			t.Errorf("%d goroutines, want %d", after, before)
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
