package session

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// A Driver speaks MQTT 3.1.1 over network connections, by a client library.
type Driver interface {
	// Connect sends CONNECT over nc and returns when the broker has accepted it. It owns nc from then on, and closes
	// it when it fails or ctx ends before the broker has answered. When the broker refuses, the error is a
	// [ConnackError].
	Connect(ctx context.Context, nc net.Conn, o ConnectOptions) (Conn, error)
}

// ConnectOptions is what CONNECT contains, and how the connection is kept.
type ConnectOptions struct {
	ClientID  string
	Username  string // empty: neither user name nor password is sent
	Password  string
	KeepAlive time.Duration
	Will      mqtt.Message

	PingTimeout  time.Duration // for the answer to a ping
	WriteTimeout time.Duration // for each write

	// Receive is called for each message, one after the other, before any later packet of the broker is processed, by the
	// goroutine that calls what [Conn.Publish] is given. It must not block.
	Receive func(Delivery)
}

// A Delivery is a message from the broker.
type Delivery interface {
	Topic() []byte   // valid until Receive returns
	Payload() []byte // likewise
	Retained() bool
	Duplicate() bool   // the DUP flag: the broker may have sent it before
	MessageID() uint16 // 0: QoS 0
	Ack()              // sends the acknowledgement; must be called once, in order of arrival
}

// A Pending is an operation that the broker has not answered yet.
type Pending interface {
	Done() <-chan struct{} // closed when the broker has answered, or the operation has failed
	Error() error          // after Done
}

// A Subscribing is a [Pending] SUBSCRIBE.
type Subscribing interface {
	Pending
	Granted(filter string) bool // after Done
}

// A Conn is a connection that the broker has accepted. It ends once, for one reason, and is not reopened: a lost
// connection is followed by another Conn. Its methods are safe for concurrent use.
type Conn interface {
	Subscribe(filters []string) Subscribing
	Unsubscribe(filters []string) Pending
	// Publish sends m with QoS 1; it may wait until Flush. When the broker has acknowledged m, acknowledged is called, which
	// must not block. On a connection that ends before, it is not.
	Publish(m mqtt.Message, acknowledged func())
	Flush() // sends what waits

	// Disconnect sends DISCONNECT, so that the broker does not publish the will, and closes the connection, after
	// timeout at the latest.
	Disconnect(timeout time.Duration)
	// Fail ends the connection because of err, without DISCONNECT.
	Fail(err error)
	// Lost is closed when the connection has ended.
	Lost() <-chan struct{}
	// Err is why the connection ended. It has a method Timeout() bool that returns true where the broker did not close
	// it, but failed to answer. It must not be called before Lost is closed.
	Err() error
}

// A ConnackError is a CONNACK that refuses the connection.
type ConnackError byte

// The return codes of CONNACK (MQTT 3.1.1, section 3.2.2.3).
const (
	ErrProtocolVersion   ConnackError = 1
	ErrClientID          ConnackError = 2
	ErrServerUnavailable ConnackError = 3
	ErrCredentials       ConnackError = 4
	ErrNotAuthorized     ConnackError = 5
)

func (e ConnackError) Error() string {
	switch e {
	case ErrProtocolVersion:
		return "unacceptable protocol version"
	case ErrClientID:
		return "client id rejected"
	case ErrServerUnavailable:
		return "server unavailable"
	case ErrCredentials:
		return "bad user name or password"
	case ErrNotAuthorized:
		return "not authorized"
	}
	return fmt.Sprintf("return code %d", byte(e))
}

// A ProtocolError is what a server answers that does not speak MQTT as the URL says.
type ProtocolError string

func (e ProtocolError) Error() string { return string(e) }

// NotMQTT returns why first, the first bytes from a server, are no MQTT packet, or nil.
func NotMQTT(first []byte) error {
	switch {
	case len(first) >= 2 && (first[0] == 0x15 || first[0] == 0x16) && first[1] == 3: // a TLS alert or handshake record
		return ProtocolError("the server speaks TLS on this port: use ssl:// (or wss://) in the broker URL")
	case len(first) >= 4 && string(first[:4]) == "HTTP":
		return ProtocolError("the server speaks HTTP on this port: use the port for MQTT, or ws:// for MQTT over websockets")
	}
	return nil
}

// A TimeoutError says what was awaited for too long, so that a connection ended which the broker did not close.
type TimeoutError string

// Error returns the text.
func (e TimeoutError) Error() string { return string(e) }

// Timeout returns true, as net.Error has it.
func (TimeoutError) Timeout() bool { return true }

const (
	errNoReply  TimeoutError = "no answer in time"
	errNoAck    TimeoutError = "no acknowledgement of a message in time"
	errUnproven TimeoutError = "the broker delivers no message of the bridge to itself"
	errStalled  TimeoutError = "this process or machine was suspended for a while; what was received meanwhile is too old"
)
