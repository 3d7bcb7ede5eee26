package paho3

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/snom2mqtt/snom2mqtt/mqtt/session"
)

// A conn is a connection to the broker that cannot hang or surprise Paho, and knows when and why it ended.
type conn struct {
	net.Conn
	in           packetLimiter
	began        bool   // the first bytes were read; only Read looks at it
	quickAck     func() // acknowledges what was read, now
	writeTimeout time.Duration

	more       atomic.Bool  // packets of the broker were read that Paho has not had yet
	publishing atomic.Int32 // PUBLISH packets that were given to Paho, and that it has not written yet

	writing sync.Mutex
	held    []byte      // packets that wait for the next one; guarded by writing
	acks    int         // PUBACK packets among them; guarded by writing
	timer   *time.Timer // ends the wait; nil: no packet ever waited; guarded by writing

	leaving atomic.Bool // DISCONNECT was written

	once sync.Once
	lost chan struct{} // closed when the connection is of no use any more
	err  error         // why; guarded by once: not to be read before lost is closed
}

// errClosed is the end of a connection that Paho closed: the broker did not answer a ping in time, or Paho had another
// reason of its own.
const errClosed timeoutError = "no answer to a ping in time"

// A timeoutError ends a connection to a broker that did not close it.
type timeoutError string

func (e timeoutError) Error() string { return string(e) }
func (timeoutError) Timeout() bool   { return true }

func newConn(nc net.Conn, writeTimeout time.Duration) *conn {
	c := &conn{Conn: nc, writeTimeout: writeTimeout, quickAck: quickAck(nc), lost: make(chan struct{})}
	c.in = newPacketLimiter(reader(c.read), maxPacket)
	return c
}

// A reader is a function that reads.
type reader func([]byte) (int, error)

func (r reader) Read(p []byte) (int, error) { return r(p) }

// read reads from the network. Acknowledging at once is for brokers that leave Nagle's algorithm on, as Mosquitto does
// unless set_tcp_nodelay is true: they hold back a small packet until the one before is acknowledged, which the kernel
// here would put off for 40 ms.
func (c *conn) read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.fail(err)
		return n, err
	}
	if !c.began {
		c.began = true
		if err := session.NotMQTT(p[:n]); err != nil {
			c.fail(err)
			return 0, err
		}
	}
	c.quickAck()
	return n, nil
}

// Read reads what the broker sends, without the rest of overlong messages. Its error is why the connection ended, and
// never that of a closed connection: after that error Paho assumes that it has closed it itself, and its goroutines stay
// until the next ping.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.more.Store(c.in.r.Buffered() > 0)
	if err != nil {
		c.fail(err)
		err = c.err
	}
	return n, err
}

// How packets wait to be written with others.
const (
	pubackLength = 4                // bytes of a PUBACK
	maxAcks      = 8                // as many are written at once: less than half of what Mosquitto sends without one
	maxHeld      = 16 << 10         // bytes
	holdFor      = time.Millisecond // how long the first of them waits at most
)

// Write writes p within the write timeout, or fails. Paho limits the time of PUBLISH only, and a ping that cannot be
// written would wait for ever. Paho also writes pings concurrently with other packets, which a websocket does not allow.
//
// A PUBLISH waits for the next one where Paho has been given that already, and a PUBACK also while more messages have
// been read already: of a hundred commands that come at once, each would cost two system calls here and two at the
// broker.
func (c *conn) Write(p []byte) (int, error) {
	hold := false
	c.writing.Lock()
	defer c.writing.Unlock()
	switch p[0] >> 4 {
	case packets.Publish:
		hold = c.publishing.Add(-1) > 0
	case packets.Puback:
		c.acks++
		hold = c.acks <= maxAcks && c.more.Load()
	case packets.Disconnect:
		c.leaving.Store(true)
	}
	if !hold || len(c.held)+len(p) > maxHeld {
		return c.flushWith(p)
	}
	first := len(c.held) == 0
	c.held = append(c.held, p...)
	switch {
	case !first:
	case c.timer == nil:
		c.timer = time.AfterFunc(holdFor, c.flush)
	default:
		c.timer.Reset(holdFor)
	}
	return len(p), nil
}

// flush writes what has waited long enough: the packets that were to follow have not been written.
func (c *conn) flush() {
	c.writing.Lock()
	defer c.writing.Unlock()
	if len(c.held) > 0 {
		_, _ = c.flushWith(nil) // a connection that cannot be written is lost, and reports that
	}
}

// flushWith writes p after what waits. The caller holds the lock.
func (c *conn) flushWith(p []byte) (int, error) {
	if err := c.Conn.SetWriteDeadline(time.Now().Add(c.writeTimeout)); err != nil {
		c.fail(err)
		return 0, err
	}
	c.acks = 0
	out := p
	if len(c.held) > 0 {
		c.timer.Stop() // there is nothing left to do for it
		c.held = append(c.held, p...)
		out = c.held
	}
	_, err := c.Conn.Write(out)
	if c.held = c.held[:0]; cap(c.held) > 2*maxHeld {
		c.held = nil
	}
	if err != nil {
		c.fail(err)
		return 0, err
	}
	return len(p), nil
}

// SetWriteDeadline does nothing: Write has a deadline of its own, which must not be removed.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline sets the deadline for reading only.
func (c *conn) SetDeadline(t time.Time) error { return c.Conn.SetReadDeadline(t) }

// closeTimeout is how long the broker may take to close the connection after DISCONNECT.
const closeTimeout = time.Second

// Close is called by Paho to give up the connection.
//
// After DISCONNECT it waits for the broker to do so: where a connection is closed with unread bytes, or with more on
// the way, the kernel resets it, and the broker may lose DISCONNECT and publish the will.
func (c *conn) Close() error {
	if !c.leaving.Load() {
		c.fail(errClosed)
		return nil
	}
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // only to be the first to close
	}
	if err := c.Conn.SetReadDeadline(time.Now().Add(closeTimeout)); err != nil {
		c.fail(err)
	}
	return nil
}

// fail ends the connection because of err, if it has not ended before.
func (c *conn) fail(err error) {
	c.once.Do(func() {
		c.err = withoutAddress(err)
		close(c.lost)
		_ = c.Conn.Close() // of no use any more, also where that fails
	})
}

// withoutAddress returns err without the addresses of this one connection, which are different each time.
func withoutAddress(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Op != "dial" {
		return op.Err
	}
	return err
}
