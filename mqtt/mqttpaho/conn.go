package mqttpaho

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// A conn is a connection to the broker that cannot hang or surprise Paho, and knows when and why it ended.
type conn struct {
	net.Conn
	in       trimmer
	quickAck func() // acknowledges what was read, now

	more    atomic.Bool // packets of the broker were read that Paho has not had yet
	writing sync.Mutex
	acks    []byte      // PUBACK packets that wait for the next one; guarded by writing
	ackTime *time.Timer // that ends the wait; nil: no packet ever waited

	once sync.Once
	lost chan struct{} // closed when the connection is of no use any more
	err  error         // why; not to be read before
}

// A silence is the end of a connection to a broker that said nothing more.
type silence string

func (s silence) Error() string { return string(s) }
func (silence) Timeout() bool   { return true }

const (
	errNoPing   silence = "no answer to a ping in time" // or Paho closed the connection for another reason of its own
	errNoReply  silence = "no answer in time"
	errNoAck    silence = "no acknowledgement of a message in time"
	errUnproven silence = "no message to ourselves arrived"
	errFrozen   silence = "this process was not running for a while; what came meanwhile is too old"
)

// isSilence reports whether err means that the other side was silent, and did not close the connection.
func isSilence(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

func newConn(nc net.Conn) *conn {
	c := &conn{Conn: nc, quickAck: quickAck(nc), lost: make(chan struct{})}
	c.in = newTrimmer(reader(c.read), maxPacket)
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
	} else {
		c.quickAck()
	}
	return n, err
}

// Read reads what the broker sends, without the rest of overlong messages. Its error is why the connection ended, and
// never that of a closed connection: on that Paho believes that it has closed it itself, and its goroutines stay until
// the next ping.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.more.Store(c.in.r.Buffered() > 0)
	if err != nil {
		c.fail(err)
		err = c.err
	}
	return n, err
}

// How PUBACK packets wait.
const (
	pubackLength = 4                // bytes of one
	acksMost     = 8                // as many are written at once: less than half of what Mosquitto sends without one
	ackPatience  = time.Millisecond // how long the first of them waits at most
)

// Write writes p in writeTimeout, or fails. Paho limits the time of PUBLISH only, and a ping that cannot be written
// would wait for ever. Paho also writes pings beside other packets, which a websocket does not allow.
//
// While more messages have been read already, a PUBACK waits for theirs: of a hundred commands that come at once, each
// would cost a system call here and one at the broker.
func (c *conn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if len(p) != pubackLength || p[0]>>4 != packets.Puback || !c.more.Load() || len(c.acks) >= acksMost*pubackLength {
		return c.writeWith(p)
	}
	c.acks = append(c.acks, p...)
	switch {
	case len(c.acks) > pubackLength:
	case c.ackTime == nil:
		c.ackTime = time.AfterFunc(ackPatience, c.writeAcks)
	default:
		c.ackTime.Reset(ackPatience)
	}
	return len(p), nil
}

// writeAcks writes what has waited long enough: the messages that were to follow have not been acknowledged.
func (c *conn) writeAcks() {
	c.writing.Lock()
	defer c.writing.Unlock()
	if len(c.acks) > 0 {
		_, _ = c.writeWith(nil) // a connection that cannot be written is lost, and says so
	}
}

// writeWith writes p behind what waits. The caller holds the lock.
func (c *conn) writeWith(p []byte) (int, error) {
	if err := c.Conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		c.fail(err)
		return 0, err
	}
	out := p
	if len(c.acks) > 0 {
		out = append(c.acks, p...)
		c.acks = c.acks[:0]
	}
	if _, err := c.Conn.Write(out); err != nil {
		c.fail(err)
		return 0, err
	}
	return len(p), nil
}

// SetWriteDeadline does nothing: Write has a deadline of its own, which is not to be taken off.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline sets the deadline for reading only.
func (c *conn) SetDeadline(t time.Time) error { return c.Conn.SetReadDeadline(t) }

// Close is how Paho gives the connection up.
func (c *conn) Close() error {
	c.fail(errNoPing)
	return nil
}

// fail ends the connection because of err, if it has not ended before.
func (c *conn) fail(err error) {
	c.once.Do(func() {
		c.err = plain(err)
		close(c.lost)
		_ = c.Conn.Close() // of no use any more in either case
	})
}

// plain returns err without the addresses of this one connection, which are different each time.
func plain(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Op != "dial" {
		return op.Err
	}
	return err
}
