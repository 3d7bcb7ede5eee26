// Package pbx keeps one connection to a PBX, over which many phones are driven. What is said over it, packages asterisk and freeswitch
// know.
package pbx

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/notify"
)

// Limits of a [Link].
const (
	leastBackoff = time.Second
	mostBackoff  = time.Minute
)

// LinkConfig configures a [Link].
type LinkConfig struct {
	Address string                                                               // host:port
	TLS     *tls.Config                                                          // nil: plain TCP
	Timeout time.Duration                                                        // for the connection with its login, and for one request
	Dial    func(ctx context.Context, network, address string) (net.Conn, error) // nil: a net.Dialer
	// Login logs in at a new connection. An error that wraps [snom.ErrUnauthorized] keeps the link from trying again for mostBackoff.
	Login func(*Wire) error
	// Read reads the next message. It is called by one goroutine.
	Read func(*bufio.Reader) (Message, error)
}

// OneLine reports whether a text has no control characters, so that it stays one line of a PBX's protocol.
func OneLine(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7F })
}

// A Message is a message of a PBX: headers by their name in lower case, and a body.
type Message struct {
	Headers map[string]string
	Body    string
}

// A Wire is a connection to a PBX. Messages are what the PBX sent; the channel is closed when the connection ends.
type Wire struct {
	conn     net.Conn
	messages chan Message
	deadline time.Time     // of what is under way; belongs to whose turn it is
	closing  chan struct{} // closed when the connection is to end
	close    func()        // closes closing, once
	ended    chan struct{} // closed when the reader has ended
}

// Send writes to the PBX.
func (w *Wire) Send(text string) error {
	if err := w.conn.SetWriteDeadline(w.deadline); err != nil {
		return err
	}
	_, err := w.conn.Write([]byte(text))
	return err
}

var errLost = errors.New("the connection was lost")

// Receive returns the next message.
func (w *Wire) Receive(ctx context.Context) (Message, error) {
	timer := time.NewTimer(time.Until(w.deadline))
	defer timer.Stop()
	select {
	case m, ok := <-w.messages:
		if !ok {
			return Message{}, errLost
		}
		return m, nil
	case <-timer.C:
		return Message{}, errors.New("no answer in time")
	case <-ctx.Done():
		return Message{}, context.Cause(ctx)
	}
}

// A Link is one connection to a PBX that all phones share. It is made when it is needed first, and again after it was lost, with a
// growing pause after each failure. One request is under way at a time. It is safe for concurrent use.
type Link struct {
	config LinkConfig
	turn   chan struct{} // full while a request is under way

	mu     sync.Mutex
	closed bool  // guarded by mu
	wire   *Wire // guarded by mu; nil: not connected

	failures int       // how many connections in a row have failed; guarded by turn
	notUntil time.Time // when the next connection may be tried; guarded by turn
	failure  error     // why the last one failed; guarded by turn
}

// NewLink returns a Link that is not connected.
func NewLink(c LinkConfig) *Link {
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	return &Link{config: c, turn: make(chan struct{}, 1)}
}

// Close ends the connection. A request under way fails.
func (l *Link) Close() error {
	l.mu.Lock()
	l.closed = true
	w := l.wire
	l.wire = nil
	l.mu.Unlock()
	l.end(w)
	return nil
}

// end ends a connection and waits for its reader.
func (l *Link) end(w *Wire) {
	if w != nil {
		_ = w.conn.Close() // nothing more is said over it
		w.close()
		<-w.ended
	}
}

// Do has f make a request, on a connection that is logged in. f begins by writing, at once: what fails before that was not sent. An
// error of f means that the connection is of no use any more; the outcome is not known then. f does not begin when step is over.
func (l *Link) Do(ctx context.Context, step snom.Step, f func(context.Context, *Wire) error) error {
	if err := notify.Acquire(ctx, step, l.turn, "requests of other phones"); err != nil {
		return err
	}
	defer func() { <-l.turn }()
	w, err := l.connected(ctx)
	if err != nil {
		return err
	}
	if err := step.Over(); err != nil {
		return err
	}
	w.deadline = time.Now().Add(l.config.Timeout)
	w.drain()
	if err := f(ctx, w); err != nil {
		l.drop(w)
		return fmt.Errorf("%w: %s", snom.ErrOutcomeUnknown, snom.Foreign(err.Error()))
	}
	return nil
}

// drain forgets messages that came without being asked for.
func (w *Wire) drain() {
	for {
		select {
		case _, ok := <-w.messages:
			if !ok {
				return
			}
		default:
			return
		}
	}
}

// drop ends a connection that is of no use any more.
func (l *Link) drop(w *Wire) {
	l.mu.Lock()
	if l.wire == w {
		l.wire = nil
	}
	l.mu.Unlock()
	l.end(w)
}

// connected returns a connection that is logged in.
func (l *Link) connected(ctx context.Context) (*Wire, error) {
	l.mu.Lock()
	w, closed := l.wire, l.closed
	l.mu.Unlock()
	if closed {
		return nil, fmt.Errorf("%w: the bridge is stopping", snom.ErrLocal)
	}
	if w != nil {
		select {
		case <-w.ended: // the PBX has closed it
			l.drop(w)
		default:
			return w, nil
		}
	}
	if now := time.Now(); now.Before(l.notUntil) {
		return nil, l.failure
	}
	w, err := l.connect(ctx)
	if err != nil {
		l.failures++
		l.notUntil = time.Now().Add(min(leastBackoff<<min(l.failures-1, 10), mostBackoff))
		if errors.Is(err, snom.ErrUnauthorized) {
			l.notUntil = time.Now().Add(mostBackoff)
		}
		l.failure = err
		return nil, err
	}
	l.failures = 0
	l.mu.Lock()
	closed = l.closed
	if !closed {
		l.wire = w
	}
	l.mu.Unlock()
	if closed {
		l.end(w)
		return nil, fmt.Errorf("%w: the bridge is stopping", snom.ErrLocal)
	}
	return w, nil
}

// connect makes a connection and logs in.
func (l *Link) connect(ctx context.Context) (*Wire, error) {
	deadline := time.Now().Add(l.config.Timeout)
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	conn, err := l.config.Dial(ctx, "tcp", l.config.Address)
	if err != nil {
		return nil, snom.NotSent(err)
	}
	if l.config.TLS != nil {
		over := tls.Client(conn, l.config.TLS)
		if err := over.HandshakeContext(ctx); err != nil {
			_ = conn.Close() // nothing was said over it
			return nil, snom.NotSent(fmt.Errorf("TLS: %w", err))
		}
		conn = over
	}
	w := &Wire{conn: conn, messages: make(chan Message, 64), deadline: deadline, closing: make(chan struct{}), ended: make(chan struct{})}
	w.close = sync.OnceFunc(func() { close(w.closing) })
	go w.read(l.config.Read)
	if err := l.config.Login(w); err != nil {
		l.end(w)
		if errors.Is(err, snom.ErrUnauthorized) {
			return nil, err
		}
		return nil, fmt.Errorf("%w: login at the PBX: %s", snom.ErrUnreachable, snom.Foreign(err.Error()))
	}
	return w, nil
}

// read hands on messages until the connection ends. While nothing takes them, the PBX waits.
func (w *Wire) read(next func(*bufio.Reader) (Message, error)) {
	defer close(w.ended)
	defer close(w.messages)
	in := bufio.NewReaderSize(w.conn, 16<<10)
	for {
		m, err := next(in)
		if err != nil {
			_ = w.conn.Close() // what follows has no meaning
			return
		}
		if m.Headers == nil {
			continue
		}
		select {
		case w.messages <- m:
		case <-w.closing:
			return
		}
	}
}

// ReadHeaders reads lines of the form "Name: value" up to an empty one. Bounds keep a faulty PBX from filling memory.
func ReadHeaders(in *bufio.Reader) (map[string]string, error) {
	headers := map[string]string{}
	for size := 0; ; {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if size += len(line); size > 256<<10 || len(headers) > 256 {
			return nil, errors.New("message too long")
		}
		text := strings.TrimRight(string(line), "\r\n")
		if text == "" {
			return headers, nil
		}
		name, value, ok := strings.Cut(text, ":")
		if !ok {
			continue // a greeting
		}
		if name = strings.ToLower(name); headers[name] == "" {
			headers[name] = strings.TrimSpace(value)
		}
	}
}
