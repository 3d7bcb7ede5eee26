package session_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/mqtt/paho3"
	"github.com/snom2mqtt/snom2mqtt/mqtt/session"
)

const password = "canary-7f3a"

// funcs is a handler made of functions; those that are nil do nothing.
type funcs struct {
	tree            mqtt.Tree
	subscriptions   func() []mqtt.Subscription // nil: those of tree
	message         func(mqtt.Message)
	online, offline func()
}

func (f funcs) Subscriptions() []mqtt.Subscription {
	if f.subscriptions == nil {
		return f.tree.Subscriptions(nil)
	}
	return f.subscriptions()
}

func (f funcs) Message(_ mqtt.Address, m mqtt.Message) {
	if f.message != nil {
		f.message(m)
	}
}

func (f funcs) Online() {
	if f.online != nil {
		f.online()
	}
}

func (f funcs) Offline() {
	if f.offline != nil {
		f.offline()
	}
}

// A fixture is a real broker, a session with it, and the wires between them, all in one bubble of virtual time.
type fixture struct {
	t       *testing.T
	server  *mochi.Server
	gate    *gate
	session *session.Session
	cfg     session.Config
	handler funcs
	log     *syncBuffer

	mu        sync.Mutex
	down      bool // the broker cannot be reached
	dials     int
	wires     []*wire
	published []string // what the broker was given, as topic=payload with a ! in front when retained
	handled   []string // what the session handed over
	online    int
	offline   int
}

// newFixture makes a fixture whose session does not run yet. change may change its settings.
func newFixture(t *testing.T, change func(*fixture)) *fixture {
	t.Helper()
	w := &fixture{t: t, gate: &gate{latest: map[string]*brokerConn{}}, log: &syncBuffer{}}
	limits := mochi.NewDefaultServerCapabilities()
	limits.MaximumPacketSize = 4 << 20
	w.server = mochi.New(&mochi.Options{Logger: slog.New(slog.DiscardHandler), InlineClient: true, Capabilities: limits})
	if err := w.server.AddHook(w.gate, nil); err != nil {
		t.Fatal(err)
	}
	err := w.server.Subscribe("#", 1, func(_ *mochi.Client, _ packets.Subscription, p packets.Packet) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.published = append(w.published, text(p.TopicName, p.Payload, p.FixedHeader.Retain))
	})
	if err != nil {
		t.Fatal(err)
	}
	tree, err := mqtt.NewTree("snom", "")
	if err != nil {
		t.Fatal(err)
	}
	w.handler = funcs{
		tree: tree,
		message: func(m mqtt.Message) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.handled = append(w.handled, text(m.Topic, m.Payload, m.Retained))
		},
		online:  func() { w.mu.Lock(); defer w.mu.Unlock(); w.online++ },
		offline: func() { w.mu.Lock(); defer w.mu.Unlock(); w.offline++ },
	}
	w.cfg = session.Config{
		URL:      "tcp://broker.example",
		Username: "bridge",
		Password: password,
		ClientID: "snom2mqtt-test",
		Tree:     tree,
		Driver:   paho3.Driver{},
		Log:      slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Open:     w.open,
	}
	if change != nil {
		change(w)
	}
	w.session, err = session.New(w.cfg)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func text(topic string, payload []byte, retained bool) string {
	t := topic + "=" + string(payload)
	if retained {
		t = "!" + t
	}
	return t
}

// withFixture runs test in a bubble with a fixture whose session runs, and ends both.
func withFixture(t *testing.T, change func(*fixture), test func(*fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newFixture(t, change)
		stop := w.run()
		test(w)
		stop()
		w.cutAll()
		if log := w.log.String(); strings.Contains(log, password) {
			t.Errorf("the password is in the log:\n%s", log)
		}
		if s := fmt.Sprintf("%v %+v", w.session.Status(), w.cfg); strings.Contains(s, password) {
			t.Errorf("the password is in %q", s)
		}
	})
}

// run runs the session. stop ends it and waits, and may be called again.
func (w *fixture) run() (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error)
	go func() {
		ended <- w.session.Run(ctx, w.handler)
		close(ended)
	}()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("Run() = %v, expected nil", err)
		}
	}
}

// open is how the session reaches the broker. It waits for the ends of connections that are ending: mochi reads its list of
// retained messages for a SUBSCRIBE without the lock under which a last will changes it.
func (w *fixture) open(ctx context.Context) (net.Conn, error) {
	w.mu.Lock()
	earlier := slices.Clone(w.wires)
	w.mu.Unlock()
	for _, wire := range earlier {
		if wire.ending() {
			<-wire.gone
		}
	}
	return w.dial()
}

// dial makes a connection with the broker.
func (w *fixture) dial() (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dials++
	if w.down {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	near, wire := newWire(func(far net.Conn, gone chan struct{}) {
		defer close(gone)
		_ = w.server.EstablishConnection("test", &brokerConn{Conn: far, gone: gone}) // ends with the connection
	})
	w.wires = append(w.wires, wire)
	return near, nil
}

// wire is the wire of the newest connection.
func (w *fixture) wire() *wire {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.wires) == 0 {
		w.t.Fatal("no connection was made")
	}
	return w.wires[len(w.wires)-1]
}

func (w *fixture) cutAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, wire := range w.wires {
		wire.cut()
	}
}

func (w *fixture) setDown(down bool) {
	w.mu.Lock()
	w.down = down
	w.mu.Unlock()
	if down {
		w.cutAll()
	}
}

// wait lets virtual time pass, and then waits until all goroutines are blocked.
func (w *fixture) wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (w *fixture) counts() (dials, online, offline int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dials, w.online, w.offline
}

func (w *fixture) allPublished() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.published)
}

func (w *fixture) allHandled() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.handled)
}

// publish hands a message, written as by text, to the session.
func (w *fixture) publish(message string) {
	w.t.Helper()
	rest, retained := strings.CutPrefix(message, "!")
	topic, payload, _ := strings.Cut(rest, "=")
	if !w.session.Publish(mqtt.Message{Topic: topic, Payload: []byte(payload), Retained: retained}) {
		w.t.Errorf("Publish(%q) = false, expected true", message)
	}
}

// send publishes at the broker, as another client.
func (w *fixture) send(topic, payload string, retained bool) {
	w.t.Helper()
	if err := w.server.Publish(topic, []byte(payload), retained, 1); err != nil {
		w.t.Errorf("publishing %q at the broker: %v", topic, err)
	}
}

// retained is what the broker keeps for topic.
func (w *fixture) retained(topic string) string {
	p, ok := w.server.Topics.Retained.Get(topic)
	if !ok {
		return ""
	}
	return string(p.Payload)
}

func (w *fixture) expectState(want string) {
	w.t.Helper()
	if got := w.retained("snom/bridge/state"); got != want {
		w.t.Errorf("state at the broker is %q, expected %q", got, want)
	}
}

func (w *fixture) expectOnline(want bool) {
	w.t.Helper()
	st := w.session.Status()
	if st.Proven != want || want && (!st.Connected || st.LastError != "") {
		w.t.Errorf("status is %+v, expected proven %t", st, want)
	}
	if want {
		w.expectState("online")
	}
}

// A gate is a hook of the broker that decides what is allowed. Its functions may be nil.
type gate struct {
	mochi.HookBase

	mu     sync.Mutex
	acl    func(topic string, write bool) bool
	login  func(user, password string) bool
	accept func(topic string) error
	closes func(filter string) bool // on SUBSCRIBE
	logins int
	latest map[string]*brokerConn // by client id
}

// A brokerConn is a connection at the broker, until gone is closed.
type brokerConn struct {
	net.Conn
	gone chan struct{}
}

// OnSessionEstablish makes an old session end, also one that just begins, before a new one with the same client id begins,
// as it should. Otherwise mochi may take the new one for the old one when it cleans up.
func (g *gate) OnSessionEstablish(cl *mochi.Client, _ packets.Packet) {
	c := cl.Net.Conn.(*brokerConn)
	g.mu.Lock()
	before := g.latest[cl.ID]
	g.latest[cl.ID] = c
	g.mu.Unlock()
	if before != nil {
		before.Close()
		<-before.gone
	}
}

func (*gate) ID() string { return "gate" }
func (*gate) Provides(b byte) bool {
	return slices.Contains([]byte{mochi.OnConnectAuthenticate, mochi.OnSessionEstablish, mochi.OnACLCheck, mochi.OnPublish, mochi.OnSubscribe}, b)
}

func (g *gate) set(change func(*gate)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change(g)
}

func (g *gate) OnConnectAuthenticate(_ *mochi.Client, p packets.Packet) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.logins++
	return g.login == nil || g.login(string(p.Connect.Username), string(p.Connect.Password))
}

func (g *gate) OnACLCheck(_ *mochi.Client, topic string, write bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.acl == nil || g.acl(topic, write)
}

func (g *gate) OnPublish(cl *mochi.Client, p packets.Packet) (packets.Packet, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.accept == nil || cl.Net.Inline {
		return p, nil
	}
	return p, g.accept(p.TopicName)
}

// A wire is a network connection that can fail in the ways networks do.
type wire struct {
	ends []net.Conn
	gone chan struct{} // closed when the broker is done with it

	closed atomic.Bool // by one of the two sides
	mu     sync.Mutex
	hole   bool          // what is sent vanishes
	stuck  chan struct{} // when not nil: nothing is taken any more
}

// newWire returns one end of a wire and gives the other one to serve.
func newWire(serve func(far net.Conn, gone chan struct{})) (near net.Conn, w *wire) {
	near, a := net.Pipe()
	b, far := net.Pipe()
	w = &wire{gone: make(chan struct{})}
	near, far = &wireEnd{near, w}, &wireEnd{far, w}
	w.ends = []net.Conn{near, a, b, far}
	go w.carry(b, a)
	go w.carry(a, b)
	go serve(far, w.gone)
	return near, w
}

// A wireEnd is what one of the two sides has of a wire.
type wireEnd struct {
	net.Conn
	wire *wire
}

func (e *wireEnd) Close() error {
	e.wire.closed.Store(true)
	return e.Conn.Close()
}

// ending reports whether the wire is closed, and both sides see it.
func (w *wire) ending() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closed.Load() && w.stuck == nil
}

// carry carries bytes one way, with a buffer between, as networks have.
func (w *wire) carry(to, from net.Conn) {
	buffer := make(chan []byte, 1<<12)
	go func() {
		defer to.Close()
		for p := range buffer {
			if _, err := to.Write(p); err != nil {
				from.Close()
			}
		}
	}()
	defer close(buffer)
	for {
		p := make([]byte, 4096)
		n, err := from.Read(p)
		if err != nil {
			return
		}
		w.mu.Lock()
		hole, stuck := w.hole, w.stuck
		w.mu.Unlock()
		if stuck != nil {
			<-stuck
			return
		}
		if !hole {
			buffer <- p[:n]
		}
	}
}

// cut breaks the connection, which both sides see.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stuck != nil {
		close(w.stuck)
		w.stuck = nil
	}
	for _, c := range w.ends {
		c.Close()
	}
}

// swallow makes all that is sent vanish: the connection looks open from both sides.
func (w *wire) swallow() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hole = true
}

// clog makes all writes wait, as with a full buffer on a dead connection.
func (w *wire) clog() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stuck = make(chan struct{})
}

// A syncBuffer collects a log, and calls warned, if set, after the first warning.
type syncBuffer struct {
	warned func()

	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.warned != nil && bytes.Contains(p, []byte("level=WARN")) {
		b.warned()
	}
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
