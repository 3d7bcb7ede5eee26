// Package broker is a small MQTT broker inside the program, for households and demonstrations that have none.
//
// It speaks MQTT 3.1, 3.1.1 and 5, keeps sessions and retained messages in memory only, and knows one user at most.
// By itself it listens nowhere but on this machine: who opens it to a network has to give it a password.
package broker

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Config says where a broker listens and who may use it.
type Config struct {
	// Addr is host:port, the port 0 for any that is free. Without a Username the host must be a loopback address.
	// Empty: the broker does not listen, and serves only what [Broker.Attach] is given.
	Addr string

	Username string // empty: everybody may do everything
	Password string

	Log *slog.Logger
}

// String hides the password, whatever verb prints the Config.
func (c Config) String() string { return "broker.Config of " + c.Addr }

// GoString is String.
func (c Config) GoString() string { return c.String() }

// Limits of the broker, far above what a household needs.
const (
	maxConnections = 1024
	maxPacket      = 256 << 10 // bytes of one MQTT packet
	maxWaiting     = 16 << 10  // messages for one client: room for all retained messages of some thousand phones
	maxSession     = 24 * time.Hour

	connectTimeout = 10 * time.Second // from the connection to CONNECT
	writeTimeout   = 10 * time.Second // every write to a client
)

// A Broker is an MQTT broker. Make one with [Listen]; its methods are safe for concurrent use.
type Broker struct {
	server   *mochi.Server
	listener net.Listener // nil: does not listen
	log      *slog.Logger

	mu      sync.Mutex
	conns   map[net.Conn]bool
	closed  bool
	serving sync.WaitGroup // what is done for them
}

// Listen opens the address of cfg. The broker serves it when [Broker.Run] runs.
func Listen(cfg Config) (*Broker, error) {
	if (cfg.Username == "") != (cfg.Password == "") {
		return nil, errors.New("broker: want a user name and a password, or neither")
	}
	listener, err := listen(cfg)
	if err != nil {
		return nil, err
	}
	limits := mochi.NewDefaultServerCapabilities()
	limits.MaximumClients = maxConnections
	limits.MaximumPacketSize = maxPacket
	limits.MaximumInflight = maxWaiting
	limits.MaximumClientWritesPending = maxWaiting
	limits.MaximumSessionExpiryInterval = uint32(maxSession / time.Second)
	limits.MaximumMessageExpiryInterval = 0 // the default forgets retained messages after a day
	b := &Broker{
		server: mochi.New(&mochi.Options{
			InlineClient:           true,
			Capabilities:           limits,
			Logger:                 slog.New(slog.DiscardHandler), // it logs whole packets, with passwords
			SysTopicResendInterval: 60,                            // seconds
		}),
		listener: listener,
		log:      cfg.Log,
		conns:    map[net.Conn]bool{},
	}
	if err := b.server.AddHook(newDoor(cfg, b.server), nil); err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	return b, nil
}

func listen(cfg Config) (net.Listener, error) {
	if cfg.Addr == "" {
		return nil, nil
	}
	addr, err := net.ResolveTCPAddr("tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	if cfg.Username == "" && !addr.IP.IsLoopback() {
		return nil, fmt.Errorf("broker: %q is open to the network: want a user name and a password, or a loopback address "+
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
	b.close()
	accepting.Wait()
	b.serving.Wait()
	if err := b.server.Close(); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	return nil
}

// accept serves all who connect, until the listener is closed.
func (b *Broker) accept(ctx context.Context) {
	for {
		c, err := b.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of file handles, most likely
			b.log.Error("broker cannot accept a connection", "err", err)
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
			continue
		}
		b.serve(newConn(c), func() {})
	}
}

// Attach serves c as if it had come in over the network. It is for connections that do not, such as those of a test.
// It returns at once.
func (b *Broker) Attach(c net.Conn) {
	p := newPost(c)
	b.serve(newConn(p), p.carry)
}

// serve gives c to the MQTT server until one of them has enough. work is done meanwhile, and ends when c is closed.
func (b *Broker) serve(c *conn, work func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(b.conns) >= maxConnections {
		_ = c.Close() // nobody is there to care
		work()
		return
	}
	b.conns[c] = true
	b.serving.Go(work)
	b.serving.Go(func() {
		_ = c.SetReadDeadline(time.Now().Add(connectTimeout)) // the server sets another after CONNECT
		err := b.server.EstablishConnection("net", c)
		_ = c.Close() // the server did; to be sure
		close(c.gone)
		b.log.Debug("client gone", "from", c.RemoteAddr().String(), "err", err)
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.conns, c)
	})
}

// close closes the listener and all connections.
func (b *Broker) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.listener != nil {
		_ = b.listener.Close() // it was open
	}
	for c := range b.conns {
		_ = c.Close() // its client is told by that
	}
}

// A door lets clients in.
type door struct {
	mochi.HookBase
	server         *mochi.Server
	open           bool
	user, password [sha256.Size]byte
	log            *slog.Logger

	mu     sync.Mutex
	logged time.Time // when a refusal was last a warning
}

func newDoor(cfg Config, server *mochi.Server) *door {
	return &door{
		server:   server,
		open:     cfg.Username == "",
		user:     sha256.Sum256([]byte(cfg.Username)),
		password: sha256.Sum256([]byte(cfg.Password)),
		log:      cfg.Log,
	}
}

func (*door) ID() string { return "door" }

func (*door) Provides(b byte) bool {
	return b == mochi.OnConnectAuthenticate || b == mochi.OnSessionEstablish || b == mochi.OnACLCheck
}

// OnConnectAuthenticate says whether a client may come in.
func (d *door) OnConnectAuthenticate(cl *mochi.Client, pk packets.Packet) bool {
	if d.open {
		return true
	}
	user, password := sha256.Sum256(pk.Connect.Username), sha256.Sum256(pk.Connect.Password)
	right := subtle.ConstantTimeCompare(user[:], d.user[:]) & subtle.ConstantTimeCompare(password[:], d.password[:])
	if right == 1 {
		return true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	level := slog.LevelDebug
	if time.Since(d.logged) > time.Minute { // one that keeps trying must not fill the log
		d.logged = time.Now()
		level = slog.LevelWarn
	}
	d.log.Log(context.Background(), level, "client with wrong user name or password", // the caller has no context
		"from", cl.Net.Remote)
	return false
}

// OnSessionEstablish ends the connection that a client has already, and waits for that, before a new one begins. The
// server would do both at once: the old one's last will may then come after the new one's first words, and its end may
// take the new one's subscriptions with it.
func (d *door) OnSessionEstablish(cl *mochi.Client, _ packets.Packet) {
	old, ok := d.server.Clients.Get(cl.ID)
	if !ok {
		return
	}
	if c, ok := old.Net.Conn.(*conn); ok {
		_ = c.Close() // as if it had broken, so that the last will is sent
		<-c.gone
	}
}

// OnACLCheck says whether a client may write to or read from a topic: to all but the broker's own.
func (*door) OnACLCheck(_ *mochi.Client, topic string, write bool) bool {
	return !write || !strings.HasPrefix(topic, "$")
}

// A conn is a connection that cannot hang: every write has a deadline of its own, whatever the server says. A client
// that reads nothing would otherwise hold up the next one with the same client id, for ever if it has no keep-alive.
type conn struct {
	net.Conn
	gone chan struct{} // closed when the server is done with it
}

func newConn(c net.Conn) *conn { return &conn{Conn: c, gone: make(chan struct{})} }

func (c *conn) Write(p []byte) (int, error) {
	if err := c.Conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// SetDeadline sets the deadline for reading only.
func (c *conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }
