package session

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// A connection is one [Conn], and what the session knows of it.
type connection struct {
	Conn
	number     int // in the outbox
	made       time.Time
	id         string                 // random; part of the payload of loopback messages
	nonce      atomic.Pointer[string] // the payload of loopback messages in this round
	wake       chan struct{}          // notified when a message waits to be sent
	empty      chan struct{}          // notified when none waits and none is in flight
	received   chan struct{}          // notified when a loopback message was received
	willSeen   chan struct{}          // notified when a message was received that says offline
	stable     atomic.Bool            // the connection is not young any more
	commands   atomic.Uint32          // commands received so far
	echo       atomic.Uint32          // loopback topics received: loopBridge, loopCommands
	pending    pendingAcks
	stall      *stallDetector
	duplicates *duplicates // used by the goroutine that receives

	receiving chan struct{} // full while a message is handed over, or it is decided that none is any more
	draining  bool          // no message is handed over any more; guarded by receiving

	// The rest belongs to the goroutine of serve.

	granted map[string]bool // filters that the broker granted
	asked   map[string]bool // filters that it was asked for
	asking  []string        // the filters of a SUBSCRIBE that it has not answered
	left    bool            // DISCONNECT was sent: the end of the connection means nothing
}

// What is published on the state topic.
const (
	online  = "online"
	offline = "offline"
)

// connect makes one attempt.
func (s *Session) connect(ctx context.Context) (*connection, error) {
	dialing, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	nc, err := s.open(dialing)
	if err != nil {
		return nil, fmt.Errorf("mqtt: %w", withoutAddress(err))
	}
	c := &connection{
		id:         rand.Text(),
		wake:       make(chan struct{}, 1),
		empty:      make(chan struct{}, 1),
		received:   make(chan struct{}, 1),
		willSeen:   make(chan struct{}, 1),
		pending:    pendingAcks{room: make(chan struct{}, 1)},
		stall:      newStallDetector(),
		receiving:  make(chan struct{}, 1),
		duplicates: newDuplicates(),
		granted:    map[string]bool{},
		asked:      map[string]bool{},
	}
	ready := make(chan struct{})
	c.Conn, err = s.cfg.Driver.Connect(dialing, nc, ConnectOptions{
		ClientID: s.clientID, Username: s.cfg.Username, Password: s.cfg.Password, KeepAlive: s.cfg.KeepAlive,
		Will:        mqtt.Message{Topic: s.cfg.Tree.State(), Payload: []byte(offline), Retained: true},
		PingTimeout: pingTimeout, WriteTimeout: writeTimeout,
		Receive: func(m Delivery) { <-ready; s.receive(c, m) },
	})
	if err != nil {
		if s.wrongPort(err) {
			err = ProtocolError("the server expects TLS on this port: use ssl:// (or wss://) in the broker URL")
		}
		return nil, connectError(err)
	}
	s.tlsChecked = false
	c.made = time.Now()
	c.stall.reset() // waiting for the broker was no stall
	c.number = s.outbox.Connected()
	close(ready)
	return c, nil
}

// wrongPort reports whether err, why CONNECT failed, means that the server expects TLS. It is checked for the first of
// several failures.
func (s *Session) wrongPort(err error) bool {
	var refused ConnackError
	var protocol ProtocolError
	if errors.As(err, &refused) || errors.As(err, &protocol) || isTimeout(err) {
		return false
	}
	if !s.tlsChecked {
		s.tlsChecked = true
		s.tlsExpected = s.expectsTLS(context.Background()) // bounded in time; the attempt's context may have ended
	}
	return s.tlsExpected
}

// connectError explains why CONNECT failed.
func connectError(err error) error {
	var refused ConnackError
	var protocol ProtocolError
	switch {
	case errors.As(err, &refused) && (refused == ErrCredentials || refused == ErrNotAuthorized):
		return fmt.Errorf("mqtt: the broker refuses the connection: %w; check user name and password", err)
	case errors.As(err, &refused) && refused == ErrServerUnavailable:
		return fmt.Errorf("mqtt: the broker is not available: %w", err)
	case refused != 0:
		return fmt.Errorf("mqtt: the broker refuses the connection: %w", err)
	case errors.As(err, &protocol):
		return fmt.Errorf("mqtt: %w", protocol)
	}
	return fmt.Errorf("mqtt: no answer to CONNECT (is this the right port, and does it expect TLS?): %w", withoutAddress(err))
}

// isRefusal reports whether the broker refused the connection, so that soon trying again is of no use.
func isRefusal(err error) bool {
	var refused ConnackError
	return errors.As(err, &refused) && refused != ErrServerUnavailable
}

// isTimeout reports whether err means that the broker did not answer, and did not close the connection.
func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// withoutAddress returns err without the addresses of this one connection, which are different each time.
func withoutAddress(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Op != "dial" {
		return op.Err
	}
	return err
}

// lossError explains why c ended.
func (s *Session) lossError(c *connection, asked bool, b *backoff) error {
	if asked {
		b.soon()
		if filter, required := s.refusals.culprit(); filter != "" {
			if required {
				b.failed(true)
				return fmt.Errorf("mqtt: the broker closes the connection on the subscription to %q; the user must be allowed to read it", filter)
			}
			s.log.Warn("the broker closes the connection on an optional subscription, which is left out now; the user "+
				"should be allowed to read it", "topic", filter)
			s.setRefused()
		}
		return fmt.Errorf("mqtt: the broker closed the connection before it answered SUBSCRIBE: %w", withoutAddress(c.Err()))
	}
	return fmt.Errorf("mqtt: connection lost: %w", withoutAddress(c.Err()))
}

// ended reports whether c or ctx is at its end.
func (c *connection) ended(ctx context.Context) bool {
	select {
	case <-c.Lost():
		return true
	default:
		return ctx.Err() != nil
	}
}
