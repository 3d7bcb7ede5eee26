// Package session keeps a session with an MQTT broker.
//
// A [Session] connects, subscribes, proves that the broker delivers, and publishes what it is given; when the
// connection is lost it does so again, for as long as it runs. Its users see no token, no packet and no reconnect. It
// knows no client library: a [Driver] speaks MQTT.
package session

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// Config is the broker, and how to connect to it.
type Config struct {
	// URL is scheme://host[:port] with the scheme tcp or mqtt (port 1883 unless given), ssl or mqtts (8883), ws (80) or
	// wss (443). Websocket URLs may have a path and a query; others have neither. Credentials do not belong in it.
	URL string

	Username string // empty: neither user name nor password is sent
	Password string

	// ClientID must not be used by any other client of the broker. Empty: a random one is made, and another one after
	// each connection that the broker closed, so that no client that learned it can take the session over.
	ClientID string

	// TLS returns the configuration for ssl and wss. It is called for each connection, so renewed certificate files
	// are used without a restart. Without a ServerName, the host of the URL is expected. Nil: system defaults.
	TLS func() (*tls.Config, error)

	Tree   mqtt.Tree
	Driver Driver
	Log    *slog.Logger

	// Minimal returns a short payload that is sent in place of one that the broker does not accept, or nil where there
	// is none. Nil: there is none.
	Minimal func(mqtt.Message) []byte

	// Open makes the network connection instead of what URL says: to a broker in this process, or in tests.
	Open func(context.Context) (net.Conn, error)

	KeepAlive  time.Duration // between two packets on a quiet connection, in whole seconds; 0: 20 s
	Queue      int           // messages that may wait, not counting retained ones; 0: 65536
	QueueBytes int           // memory they may take; 0: 24 MiB
}

// String hides the password from all verbs of package fmt.
func (c Config) String() string { return "session.Config of client " + c.ClientID }

// GoString is String.
func (c Config) GoString() string { return c.String() }

// A Handler is what a [Session] works for. Its methods are not called concurrently, except Message.
type Handler interface {
	// Subscriptions returns what to subscribe to. It is called for each connection and by [Session.Resubscribe].
	Subscriptions() []mqtt.Subscription

	// Message is called for each message, with the meaning of its topic, one after the other. It must not block, nor call Resubscribe: while it runs,
	// nothing is acknowledged. Messages of the session to itself and the bridge's own results, events and responses
	// ([mqtt.KindLoopback], [mqtt.KindOwn]) are left out.
	Message(mqtt.Address, mqtt.Message)

	// Online is called when the session was proven: the moment to publish all that is retained. What the broker had
	// retained for the subscriptions has been delivered by then, where it delivers in order.
	Online()

	// Offline is called when a proven session has ended, or is not proven any more.
	Offline()
}

// Times and numbers of a session.
const (
	keepAlive      = 20 * time.Second
	pingTimeout    = 5 * time.Second
	connectTimeout = 10 * time.Second  // network connection and MQTT handshake together
	writeTimeout   = 5 * time.Second   // each write to the broker
	replyTimeout   = 10 * time.Second  // the answer to SUBSCRIBE
	ackTimeout     = 30 * time.Second  // the acknowledgement of a published message
	dialTimeout    = time.Second       // the check whether the broker is still there
	proofTimeout   = 5 * time.Second   // the first loopback message
	proofRepeat    = proofTimeout / 20 // between two of them
	proofEvery     = 30 * time.Second  // the next loopback message
	proofAgain     = 15 * time.Second  // the timeout of that one; a busy broker may take longer than a new one
	correctEvery   = time.Second       // a wrong state that another client published
	shutdownFlush  = 2 * time.Second   // all that waits, at the end
	shutdownState  = time.Second / 2   // the state offline, after that

	proofPause    = 10 * time.Second // after a proof that failed; doubled each time
	proofPauseMax = 15 * time.Minute // a fresh connection is made instead of a longer one

	queue         = 64 << 10 // some brokers send on without acknowledgements: the answers to 50,000 commands have room
	queueBytes    = 24 << 20
	retainedBytes = 32 << 20
	window        = 32  // unacknowledged messages
	atOnce        = 100 // filters in one packet, which stays below 26 kB
)

// Status is the condition of a session.
type Status struct {
	Connected  bool      // the broker accepted the connection
	Proven     bool      // and all subscriptions, and delivers the session's messages to itself
	Since      time.Time // of the last change of Connected
	Reconnects int       // connections after the first one
	Dropped    int       // messages that will never be sent
	Waiting    int       // messages that wait for the broker or its acknowledgement
	TakenOver  bool      // another client seems to use the client id
	LastError  string    // why there is no connection or no proof; empty when there are both
	Refused    []string  // optional subscriptions that the broker refuses, in order
}

// A Session is a lasting connection to a broker. Make one with [New]; its methods are safe for concurrent use.
type Session struct {
	cfg    Config
	url    *url.URL
	log    *slog.Logger
	outbox *mqtt.Outbox
	resub  chan chan struct{} // requests to subscribe anew; each is closed when that is done
	drops  chan struct{}      // notified when messages were dropped

	current atomic.Pointer[connection] // the connection that sends; nil: none
	over    atomic.Bool                // Run has ended: nothing will be sent any more

	standby  atomic.Bool   // the state is offline although the session is proven
	announce chan struct{} // notified when that has changed

	mu     sync.Mutex
	status Status // guarded by mu

	// What follows belongs to the goroutine of Run.
	handler      Handler
	clientID     string
	connections  int
	refusals     refusals
	loopCommands bool // a message to Tree.CommandLoopback has come back once
	tlsChecked   bool // whether the server expects TLS, since the last connection
	tlsExpected  bool // the result
	loopRefused  bool // the broker closes the connection on such messages
}

var _ mqtt.Publisher = (*Session)(nil)

// New checks cfg and returns a session that is not connected yet. What is published before [Session.Run] waits.
func New(cfg Config) (*Session, error) {
	u, err := parseURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.KeepAlive == 0 {
		cfg.KeepAlive = keepAlive
	}
	if cfg.Queue == 0 {
		cfg.Queue = queue
	}
	if cfg.QueueBytes == 0 {
		cfg.QueueBytes = queueBytes
	}
	limits := mqtt.Limits{Messages: cfg.Queue, Bytes: cfg.QueueBytes, RetainedBytes: retainedBytes, Window: window}
	s := &Session{
		cfg:      cfg,
		url:      u,
		log:      cfg.Log.With("broker", u.Scheme+"://"+u.Host),
		resub:    make(chan chan struct{}),
		drops:    make(chan struct{}, 1),
		announce: make(chan struct{}, 1),
		clientID: cfg.ClientID,
	}
	s.outbox = mqtt.NewOutbox(limits, cfg.Minimal, func() { notify(s.drops) })
	s.renewClientID()
	return s, nil
}

func (c Config) check() error {
	const longest = 1<<16 - 1 // of any text in MQTT
	switch {
	case len(c.ClientID) > 256 || !utf8.ValidString(c.ClientID) || strings.ContainsFunc(c.ClientID, unicode.IsControl):
		return errors.New("mqtt: client id: expected at most 256 bytes of text")
	case c.Username == "" && c.Password != "":
		return errors.New("mqtt: password without a user name")
	case len(c.Username) > longest || len(c.Password) > longest:
		return fmt.Errorf("mqtt: user name or password longer than %d bytes", longest)
	case c.Tree == mqtt.Tree{} || c.Driver == nil || c.Log == nil:
		return errors.New("mqtt: Tree, Driver and Log must be set")
	case c.KeepAlive < 0 || c.KeepAlive%time.Second != 0 || c.KeepAlive > longest*time.Second:
		return fmt.Errorf("mqtt: keep-alive %v, expected whole seconds, at most %d", c.KeepAlive, longest)
	case c.Queue < 0 || c.QueueBytes < 0:
		return fmt.Errorf("mqtt: queue of %d messages, %d bytes", c.Queue, c.QueueBytes)
	}
	return nil
}

// renewClientID makes a client id, unless one is configured. It is random, and published nowhere: a client that may
// only read could otherwise disconnect the bridge by connecting with it.
func (s *Session) renewClientID() {
	if s.cfg.ClientID != "" {
		return
	}
	host, err := os.Hostname()
	if err != nil || len(host) > 64 || !utf8.ValidString(host) || strings.ContainsFunc(host, unicode.IsControl) {
		host = "unknown"
	}
	s.clientID = "snom2mqtt-" + host + "-" + strings.ToLower(rand.Text()[:16])
}

// Tree returns the topics of the session.
func (s *Session) Tree() mqtt.Tree { return s.cfg.Tree }

// Publish hands m over to be sent, in order, on this connection or a later one. See [mqtt.Publisher].
func (s *Session) Publish(m mqtt.Message) bool {
	if err := m.Check(); err != nil {
		s.log.Error("message refused", "err", err)
		return false
	}
	if s.over.Load() {
		return false
	}
	if !s.outbox.Add(time.Now(), m) {
		return false
	}
	if c := s.current.Load(); c != nil {
		notify(c.wake) // a connection made meanwhile looks into the outbox first
	}
	return true
}

// ordinaryResult is about the size of a result that is not short, in bytes.
const ordinaryResult = 1 << 10

// Room returns how many more messages of ordinary size may wait before others are dropped.
func (s *Session) Room() int { return s.outbox.Room(ordinaryResult) }

// Announce sets what the state topic says while the session is proven: online, which is the default, or offline. A
// change is published at once.
func (s *Session) Announce(online bool) {
	if s.standby.Swap(!online) == online {
		notify(s.announce)
	}
}

// announced returns what the state topic says while the session is proven.
func (s *Session) announced() string {
	if s.standby.Load() {
		return offline
	}
	return online
}

// Status returns the condition of the session.
func (s *Session) Status() Status {
	s.mu.Lock()
	st := s.status
	s.mu.Unlock()
	st.Dropped = s.outbox.Drops().Total()
	st.Waiting = s.outbox.Waiting()
	return st
}

// Suspended ends the current connection since this process or its machine was suspended: what was received or queued
// by the broker meanwhile is too old to be carried out. The session notices long suspensions itself; a caller that
// knows of one earlier need not wait for that.
func (s *Session) Suspended() {
	if c := s.current.Load(); c != nil {
		c.stall.stalled.Store(true)
		c.Fail(errStalled)
	}
}

// Resubscribe makes the subscriptions what the handler returns now, and waits until that is done or ctx ends. Without a
// connection there is nothing to do: the next one asks the handler anyway.
func (s *Session) Resubscribe(ctx context.Context) {
	c := s.current.Load()
	if c == nil {
		return
	}
	done := make(chan struct{})
	select {
	case s.resub <- done:
	case <-c.Lost():
		return
	case <-ctx.Done():
		return
	}
	select {
	case <-done:
	case <-c.Lost():
	case <-ctx.Done():
	}
}

// Run keeps the session for h until ctx ends. Then it sends what waits, for at most three seconds, publishes offline,
// and disconnects. It returns nil: a broker that is away or refuses the connection is waited for. Run may be called
// once.
func (s *Session) Run(ctx context.Context, h Handler) error {
	s.handler = h
	var helpers sync.WaitGroup // senders of lost connections may still be blocked in the driver
	defer helpers.Wait()
	defer s.over.Store(true)
	helpers.Go(func() { s.reportDrops(ctx) })

	var b backoff
	for {
		c, err := s.connect(ctx)
		if err == nil {
			s.attach(c)
			helpers.Go(func() { s.send(c) })
			err = s.serve(ctx, c, &b)
		} else {
			b.failed(isRefusal(err))
		}
		if ctx.Err() != nil {
			return nil
		}
		s.setError(err)
		select {
		case <-time.After(b.wait(mathrand.Float64())):
		case <-ctx.Done():
			return nil
		}
	}
}

// attach makes c the connection that sends.
func (s *Session) attach(c *connection) {
	s.mu.Lock()
	s.status.Reconnects = s.connections
	s.status.Connected, s.status.Since = true, time.Now()
	s.mu.Unlock()
	s.connections++
	s.current.Store(c)
	notify(c.wake)
}

// detach takes back what c has not certainly sent, counts its loss, and returns the reason for it.
func (s *Session) detach(c *connection, b *backoff) error {
	s.current.Store(nil)
	s.mu.Lock()
	s.status.Connected, s.status.Proven, s.status.Since = false, false, time.Now()
	s.mu.Unlock()

	closed := !c.left && !isTimeout(c.Err()) // by the broker: for a reason, unless it died
	died := closed && !s.reachable()
	asked := closed && !died && len(c.asking) > 0
	v := s.outbox.Lost(c.number, time.Now(), closed && !died && !asked && !b.takenOver())
	s.reportVerdict(v)
	if v.Convicted && v.Message.Topic == s.cfg.Tree.CommandLoopback() && !s.loopCommands {
		s.loopRefused = true
	}
	explained := v.Convicted || asked && s.refusals.closed(c.asking)
	if died {
		b.died()
	} else if b.lost(time.Since(c.made), closed && !asked && !v.Alone && len(c.granted) > 0, explained) && s.cfg.ClientID != "" {
		s.log.Error("another client seems to use the same client id; next attempts are minutes apart: set a unique "+
			"MQTT_CLIENT_ID for each client", "id", s.cfg.ClientID)
	}
	if closed && !died && !explained && s.cfg.ClientID == "" {
		s.renewClientID()
		if b.takenOver() {
			s.log.Warn("the broker closes each connection soon, as when another client uses the same client id; a new one is used")
			*b = backoff{tries: takenOverBy}
		}
	}
	s.mu.Lock()
	s.status.TakenOver = b.takenOver()
	s.mu.Unlock()
	return s.lossError(c, asked, b)
}

// reportVerdict logs what the loss of a connection means for the messages of a topic.
func (s *Session) reportVerdict(v mqtt.Verdict) {
	if !v.Convicted && !v.Deferred {
		return
	}
	text := "broker closes the connection on messages of this size; they are dropped for a while"
	switch {
	case v.Deferred:
		text = "broker closes the connection on a message for this topic, which it accepted before; it is sent again later"
	case v.Replaced:
		text = "broker closes the connection on a message for this topic; a shorter one is sent instead"
	case v.Class:
		text = "broker closes the connection on messages for this topic and those like it; they are dropped for a while"
	case v.Topic:
		text = "broker closes the connection on messages for this topic; they are dropped for a while"
	}
	s.log.Error(text+": check the access rights of the user and the size limit of the broker", "topic", v.Message.Topic,
		"bytes", len(v.Message.Payload), "until", v.Until.Round(time.Second))
}

// reachable reports whether a server still listens where the broker was. A broker that closed the connection on purpose
// does; one that was killed closed its listener before the connection, so the answer is right even when asked at once.
func (s *Session) reachable() bool {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout) // the session's own may have ended
	defer cancel()
	dial := s.cfg.Open
	if dial == nil {
		dial = func(ctx context.Context) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", s.url.Host)
		}
	}
	c, err := dial(ctx)
	if err != nil {
		return false
	}
	_ = c.Close() // it was made to see that it can be made
	return true
}

// setError records why there is no session. It is logged when it is a new reason.
func (s *Session) setError(err error) {
	level := slog.LevelDebug
	s.mu.Lock()
	if s.status.LastError != err.Error() {
		s.status.LastError = err.Error()
		level = slog.LevelWarn
	}
	s.mu.Unlock()
	s.log.Log(context.Background(), level, "no session with the broker", "err", err) // no context: it may have ended
}

// dropReport is the time between two log lines about dropped messages.
const dropReport = time.Minute

// reportDrops logs dropped messages: the first at once, further ones once a minute.
func (s *Session) reportDrops(ctx context.Context) {
	var logged mqtt.Drops
	for {
		select {
		case <-s.drops:
		case <-ctx.Done():
			return
		}
		d := s.outbox.Drops()
		if d == logged {
			continue
		}
		if n := d.Full - logged.Full; n > 0 {
			s.log.Warn("messages dropped: too many wait for the broker", "count", n)
		}
		if n := d.Expired - logged.Expired; n > 0 {
			s.log.Warn("messages dropped: too old to be published", "count", n)
		}
		if n := d.Quarantined - logged.Quarantined; n > 0 {
			s.log.Warn("messages dropped: not accepted by the broker", "count", n)
		}
		logged = d
		select {
		case <-time.After(dropReport):
			notify(s.drops)
		case <-ctx.Done():
			return
		}
	}
}
