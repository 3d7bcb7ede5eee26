// Package mqttpaho keeps a session with an MQTT broker, by the Eclipse Paho client.
//
// A [Session] connects, subscribes, proves that the broker delivers, and publishes what it is given; when the
// connection is lost it does so again, for as long as it runs. Nobody above it sees a token, a packet or a reconnect.
package mqttpaho

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// Config says which broker to use and what to do there.
type Config struct {
	// URL is scheme://host[:port] with the scheme tcp or mqtt (port 1883 unless said), ssl or mqtts (8883), ws (80) or
	// wss (443). Websocket URLs may have a path and a query; nothing else may. Credentials do not belong in it.
	URL string

	Username string // empty: none is sent, and no password either
	Password string
	ClientID string // must not be used by any other client of the broker

	// TLS returns the configuration for ssl and wss. It is called for each connection, so renewed certificate files
	// are used without a restart. Without a ServerName, the host of the URL is expected. Nil: system defaults.
	TLS func() (*tls.Config, error)

	Tree    mqtt.Tree
	Filters func() []string // what to subscribe to, asked on each connection and by Resubscribe

	// Optional is what to subscribe to beside that where the broker lets us; nil: nothing. What it refuses is logged.
	Optional func() []string

	// Handle is called for each message that arrives, one after the other. It must not block, nor call Resubscribe:
	// while it runs, nothing is acknowledged. What a bridge published itself ([mqtt.KindOwn]) is left out.
	Handle func(mqtt.Message)

	Online  func() // optional: the session was proven; the moment to publish all that is retained
	Offline func() // optional: a proven connection is gone

	Log *slog.Logger

	// Open makes the network connection instead of what URL says, to test without a network.
	Open func(context.Context) (net.Conn, error)

	KeepAlive time.Duration // between two signs of life on a quiet connection, in whole seconds; 0: 20 s
	Queue     int           // messages that may wait, those retained not counted; 0: 65536
}

// String hides the password, whatever verb prints the Config.
func (c Config) String() string { return "mqttpaho.Config of client " + c.ClientID }

// GoString is String.
func (c Config) GoString() string { return c.String() }

// Times and numbers of a session.
const (
	keepAlive      = 20 * time.Second
	pingTimeout    = 5 * time.Second
	connectTimeout = 10 * time.Second  // network connection and MQTT handshake together
	writeTimeout   = 5 * time.Second   // every write to the broker
	replyTimeout   = 10 * time.Second  // the answer to SUBSCRIBE
	ackTimeout     = 30 * time.Second  // the acknowledgement of a published message
	thereTimeout   = time.Second       // a look whether the broker is still there
	proofTimeout   = 5 * time.Second   // a message to ourselves
	proofAgain     = proofTimeout / 20 // between two of them
	flushTimeout   = 5 * time.Second   // all that waits, on the way out
	leaveTimeout   = time.Second       // the last word, after that

	proofPause    = 10 * time.Second // after a proof that failed; doubled each time
	proofPauseMax = 15 * time.Minute // a fresh connection is tried instead of a longer one

	queue  = 64 << 10 // some brokers send on without acknowledgements: answers to a flood of 50,000 have room
	window = 32       // unacknowledged messages
	atOnce = 100      // filters in one packet, which stays below 26 kB
)

// Status is how a session is doing.
type Status struct {
	Connected  bool      // the broker accepted us
	Proven     bool      // and all subscriptions, and delivered a message to ourselves
	Since      time.Time // of the last change of Connected
	Reconnects int       // connections after the first one
	Dropped    int       // messages that will never be sent
	Waiting    int       // messages that wait for the broker or its acknowledgement
	TakenOver  bool      // another client seems to use our client id
	LastError  string    // why there is no connection or no proof; empty when all is well
}

// A Session is a lasting connection to a broker. Make one with [New]; its methods are safe for concurrent use.
type Session struct {
	cfg    Config
	url    *url.URL
	log    *slog.Logger
	outbox *mqtt.Outbox
	resub  chan chan struct{} // requests to subscribe anew; each is closed when that is done

	mu          sync.Mutex
	link        *link // the connection that may send; nil when there is none
	over        bool  // Run has ended: nothing will be sent any more
	connections int
	status      Status

	reported int // dropped messages that were logged; only Run looks at it
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
	if cfg.Online == nil {
		cfg.Online = func() {}
	}
	if cfg.Offline == nil {
		cfg.Offline = func() {}
	}
	return &Session{
		cfg:    cfg,
		url:    u,
		log:    cfg.Log.With("broker", u.Scheme+"://"+u.Host),
		outbox: mqtt.NewOutbox(cfg.Queue, window),
		resub:  make(chan chan struct{}),
	}, nil
}

func (c Config) check() error {
	const longest = 1<<16 - 1 // of any text in MQTT
	switch {
	case c.ClientID == "" || len(c.ClientID) > 256 || !utf8.ValidString(c.ClientID) || strings.ContainsFunc(c.ClientID, unicode.IsControl):
		return errors.New("mqttpaho: client id, want 1 to 256 bytes of text")
	case c.Username == "" && c.Password != "":
		return errors.New("mqttpaho: a password without a user name")
	case len(c.Username) > longest || len(c.Password) > longest:
		return fmt.Errorf("mqttpaho: user name or password longer than %d bytes", longest)
	case c.Tree == mqtt.Tree{} || c.Filters == nil || c.Handle == nil || c.Log == nil:
		return errors.New("mqttpaho: Tree, Filters, Handle and Log must be set")
	case c.KeepAlive < 0 || c.KeepAlive%time.Second != 0 || c.KeepAlive > longest*time.Second:
		return fmt.Errorf("mqttpaho: keep-alive %v, want whole seconds, at most %d", c.KeepAlive, longest)
	case c.Queue < 0:
		return fmt.Errorf("mqttpaho: queue of %d messages", c.Queue)
	}
	return nil
}

// Publish hands m over to be sent, in order, on this connection or a later one. See [mqtt.Publisher].
func (s *Session) Publish(m mqtt.Message) bool {
	if err := m.Check(); err != nil {
		s.log.Error("message refused", "err", err)
		return false
	}
	s.mu.Lock()
	l, over := s.link, s.over
	s.mu.Unlock()
	if over || !s.outbox.Add(time.Now(), m) {
		return false
	}
	if l != nil {
		signal(l.wake) // a link made meanwhile looks into the outbox first
	}
	return true
}

// Status returns how the session is doing.
func (s *Session) Status() Status {
	s.mu.Lock()
	st := s.status
	s.mu.Unlock()
	st.Dropped = s.outbox.Dropped()
	st.Waiting = s.outbox.Waiting()
	return st
}

// Resubscribe makes the subscriptions what Filters says now, and waits until that is done or ctx ends. Without a
// connection there is nothing to do: the next one asks Filters anyway.
func (s *Session) Resubscribe(ctx context.Context) {
	s.mu.Lock()
	l := s.link
	s.mu.Unlock()
	if l == nil {
		return
	}
	done := make(chan struct{})
	select {
	case s.resub <- done:
	case <-l.conn.lost:
		return
	case <-ctx.Done():
		return
	}
	select {
	case <-done:
	case <-l.conn.lost:
	case <-ctx.Done():
	}
}

// Run keeps the session until ctx ends. Then it sends what waits, for at most five seconds, says offline, and
// disconnects. It returns nil: a broker that is away or refuses us is waited for. Run may be called once.
func (s *Session) Run(ctx context.Context) error {
	var senders sync.WaitGroup // those of lost connections may still be held up inside Paho
	defer senders.Wait()
	defer s.end()

	var p patience
	for {
		l, err := s.connect(ctx)
		if err == nil {
			s.attach(l)
			senders.Go(func() { s.send(l) })
			err = s.serve(ctx, l, &p)
		} else {
			p.failed(errors.Is(err, errRefused))
		}
		if ctx.Err() != nil {
			return nil
		}
		s.trouble(err)
		select {
		case <-time.After(p.wait(rand.Float64())):
		case <-ctx.Done():
			return nil
		}
	}
}

// attach makes l the connection that may send.
func (s *Session) attach(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.link = l
	s.status.Reconnects = s.connections
	s.connections++
	s.status.Connected, s.status.Since = true, time.Now()
	signal(l.wake)
}

// detach takes back what l has not sent for certain, counts its loss, and says what was the matter with it.
func (s *Session) detach(l *link, p *patience) error {
	s.mu.Lock()
	s.link = nil
	s.status.Connected, s.status.Proven, s.status.Since = false, false, time.Now()
	s.mu.Unlock()

	closed := !isSilence(l.conn.err) // by the broker: for a reason, unless it died
	died := closed && !s.there()
	suspect := s.outbox.Suspect()
	m, guilty := s.outbox.Lost(time.Now(), closed && !died && !p.takenOver())
	if guilty {
		s.log.Error("broker closes the connection on a message for this topic; left alone for a while: check what the "+
			"user may write there and how large a message may be", "topic", m.Topic, "bytes", len(m.Payload))
	}
	if died {
		p.died()
	} else if p.lost(time.Since(l.made), closed && !suspect && len(l.granted) > 0, guilty) {
		s.log.Error("another client seems to use our client id; waiting minutes between attempts now: give each client "+
			"its own", "id", s.cfg.ClientID)
	}
	s.mu.Lock()
	s.status.TakenOver = p.takenOver()
	s.mu.Unlock()
	return fmt.Errorf("mqttpaho: connection lost: %w", l.conn.err)
}

// there says whether somebody still listens where the broker was. A broker that threw us out does; one that was killed
// closed its ears before our connection, so that the answer is right even when asked at once.
func (s *Session) there() bool {
	ctx, cancel := context.WithTimeout(context.Background(), thereTimeout) // the session's own may have ended
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

// trouble remembers why there is no session. It is logged when it is news.
func (s *Session) trouble(err error) {
	level := slog.LevelDebug
	s.mu.Lock()
	if s.status.LastError != err.Error() {
		s.status.LastError = err.Error()
		level = slog.LevelWarn
	}
	s.mu.Unlock()
	s.log.Log(context.Background(), level, "no session with the broker", "err", err) // no context: it may have ended
}

// end refuses all further messages.
func (s *Session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
}

// signal leaves a note in a channel of capacity one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
