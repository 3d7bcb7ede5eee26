// Package broker is a small MQTT broker inside the program, for households and demonstrations that have none.
//
// It speaks MQTT 3.1, 3.1.1 and 5, keeps sessions and retained messages in memory only, and knows one user at most.
// By default it listens on a loopback address only; on a network it requires a password. What a client can make it
// remember, before and after the login, is bounded in bytes: see limits.go.
package broker

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"

	"github.com/snom2mqtt/snom2mqtt/internal/lograte"
	"github.com/snom2mqtt/snom2mqtt/internal/netlimit"
	"github.com/snom2mqtt/snom2mqtt/internal/pipenet"
)

// Config says where a broker listens and who may use it.
type Config struct {
	// Addr is host:port, the port 0 for any that is free. Without a Username the host must be a loopback address.
	// Empty: the broker listens on Listener, or serves only connections made by [Broker.Dial].
	Addr string

	// Listener, if set, is used instead of Addr, to test without a network.
	Listener net.Listener

	Username string // empty: no login is required
	Password string

	Descriptors int // connections of clients that may be open, 0: as many as the limits of the package allow

	Log *slog.Logger
}

// String hides the password, whatever verb prints the Config.
func (c Config) String() string { return "broker.Config of " + c.Addr }

// GoString is String.
func (c Config) GoString() string { return c.String() }

// A Broker is an MQTT broker. Make one with [Listen]; its methods are safe for concurrent use.
type Broker struct {
	server   *mochi.Server
	listener *netlimit.Listener // nil: does not listen
	budgets  *budgets
	guesses  netlimit.Guesses
	log      *slog.Logger
	limited  *lograte.Limiter

	open           bool // no login is required
	user, password [sha256.Size]byte
	slow           atomic.Uint64 // clients that were dropped because they did not read
	writes         atomic.Uint64 // to clients

	// retaining is held while the server retains a message, and for reading while it looks for retained messages that match a
	// subscription: it does both at once, without a lock, to the same memory.
	retaining sync.RWMutex

	mu      sync.Mutex
	conns   map[*conn]bool   // guarded by mu
	latest  map[string]*conn // the last of conns with each client id; guarded by mu
	closed  bool             // guarded by mu
	own     string           // client id of the last client that came by Dial; guarded by mu
	serving sync.WaitGroup   // one for each of conns
}

// Listen opens the address of cfg. The broker serves it when [Broker.Run] runs.
func Listen(cfg Config) (*Broker, error) {
	if (cfg.Username == "") != (cfg.Password == "") {
		return nil, errors.New("broker: expected a user name and a password, or neither")
	}
	listener, err := listen(cfg)
	if err != nil {
		return nil, err
	}
	b := &Broker{
		server: mochi.New(&mochi.Options{
			InlineClient:           true,
			Capabilities:           capabilities(),
			Logger:                 slog.New(slog.DiscardHandler), // it logs whole packets, with passwords
			SysTopicResendInterval: 60,                            // seconds
		}),
		log:      cfg.Log,
		limited:  lograte.New(cfg.Log),
		open:     cfg.Username == "",
		user:     sha256.Sum256([]byte(cfg.Username)),
		password: sha256.Sum256([]byte(cfg.Password)),
		conns:    map[*conn]bool{},
		latest:   map[string]*conn{},
	}
	b.budgets = newBudgets(b)
	if listener != nil {
		b.listener = netlimit.New(listener, netlimit.Limits{
			Admitted: maxSessions, FirstRequest: connectTimeout,
		}.Within(cfg.Descriptors))
	}
	if err := b.server.AddHook(&hook{broker: b}, nil); err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	return b, nil
}

func listen(cfg Config) (net.Listener, error) {
	if cfg.Addr == "" {
		return cfg.Listener, nil
	}
	addr, err := net.ResolveTCPAddr("tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	if cfg.Username == "" && !addr.IP.IsLoopback() {
		return nil, fmt.Errorf("broker: %q is open to the network: expected a user name and a password, or a loopback address "+
			"such as 127.0.0.1:1883", cfg.Addr)
	}
	l, err := net.ListenTCP("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	return l, nil
}

// Addr returns where the broker listens, or nil.
func (b *Broker) Addr() net.Addr {
	if b.listener == nil {
		return nil
	}
	return b.listener.Addr()
}

// Stats are counts and sizes of a broker.
type Stats struct {
	Refused  uint64 // connections closed before a login, because there were too many or because they took too long
	Slow     uint64 // clients that were disconnected because they did not read or acknowledge what they subscribed to
	Sessions int    // of clients, connected or not, that of [Broker.Dial] not counted
	Retained int64  // bytes of what clients had retained, likewise
}

// Stats returns them.
func (b *Broker) Stats() Stats {
	s := Stats{Slow: b.slow.Load(), Sessions: b.sessions(), Retained: b.budgets.retainedBytes()}
	if b.listener != nil {
		s.Refused = b.listener.Refused()
	}
	return s
}

// Run serves until ctx ends, and then closes everything. It may be called once. It returns nil.
func (b *Broker) Run(ctx context.Context) error {
	if err := b.server.Serve(); err != nil { // returns at once
		return fmt.Errorf("broker: %w", err)
	}
	var accepting sync.WaitGroup
	if b.listener != nil {
		accepting.Go(func() { b.accept(ctx) })
	}
	<-ctx.Done()
	b.drain()
	b.Close()
	accepting.Wait()
	b.serving.Wait()
	if err := b.server.Close(); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	return nil
}

// How long the end of the broker waits for clients to get what was published.
const (
	drainTimeout = 500 * time.Millisecond
	drainQuiet   = 50 * time.Millisecond // without a write to any client, after which nothing is under way
)

// drain waits until the last messages, such as the bridge's last results, have been written to the clients.
func (b *Broker) drain() {
	b.mu.Lock()
	clients := len(b.conns)
	b.mu.Unlock()
	if clients == 0 {
		return
	}
	last, since := b.writes.Load(), time.Now()
	for end := since.Add(drainTimeout); time.Now().Before(end); <-time.After(drainQuiet / 10) {
		if n := b.writes.Load(); n != last || b.budgets.unread.Load() > 0 {
			last, since = n, time.Now()
		} else if time.Since(since) >= drainQuiet {
			return
		}
	}
}

// accept serves all connections, until the listener is closed.
func (b *Broker) accept(ctx context.Context) {
	for {
		c, err := b.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of file handles, most likely
			b.limited.Log(slog.LevelError, "accept", "broker cannot accept a connection", "err", err)
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
			continue
		}
		b.serve(ctx, newConn(b, c, false))
	}
}

// Dial connects a client inside the process. Such a client needs no descriptor, no limit of other clients concerns it,
// and no other client can take its client id. Its name and password are checked all the same.
func (b *Broker) Dial(ctx context.Context) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	near, far := pipenet.Pipe(pipeBuffer)
	if !b.serve(context.WithoutCancel(ctx), newConn(b, far, true)) {
		return nil, fmt.Errorf("broker: %w", net.ErrClosed)
	}
	return near, nil
}

// serve gives c to the MQTT server when its client has logged in. It returns at once, false after Close.
func (b *Broker) serve(ctx context.Context, c *conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		_ = c.Close() // its client has no use for the error
		return false
	}
	b.conns[c] = true
	b.serving.Go(func() {
		err := b.login(ctx, c)
		if err == nil {
			err = b.server.EstablishConnection("net", c)
		}
		_ = c.Close() // the server did; to be sure
		close(c.gone)
		c.flushing.Wait()
		b.log.Debug("client disconnected", "from", c.RemoteAddr().String(), "err", err)
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.conns, c)
		if b.latest[c.id] == c {
			delete(b.latest, c.id)
		}
	})
	return true
}

// succeed notes that c is the connection of the client id from now on, and returns the one that was; nil: there was none.
func (b *Broker) succeed(c *conn, id string) (before *conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before = b.latest[id]
	b.latest[id], c.id = c, id
	return before
}

// Close closes the listener and all connections. [Broker.Run] does it at its end; it releases the address of a broker
// that will not run.
func (b *Broker) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.listener != nil {
		_ = b.listener.Close() // it was open, or was closed before
	}
	for c := range b.conns {
		_ = c.Close() // that ends its client's session
	}
}
