package broker

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/snom2mqtt/snom2mqtt/internal/netlimit"
)

// A conn is the connection of a client. Writing to it never takes long: what a client does not read at once waits, in a
// bounded number of bytes, and a client that falls behind further is disconnected. The server would keep messages for it
// in a queue that is bounded by their number, up to 4 GiB.
//
// The client of [Broker.Dial] is trusted: for it, a write waits.
type conn struct {
	net.Conn
	broker *Broker
	own    bool          // made by Dial
	id     string        // the client id, from Broker.succeed on; guarded by the Broker's mu
	gone   chan struct{} // closed when the server is done with it
	ended  chan struct{} // closed by Close
	replay []byte        // what login read; used up by Read, which one goroutine calls

	retains, scans bool // it holds the Broker's retaining, and for reading; of the goroutine that handles its packets

	mu       sync.Mutex
	changed  *sync.Cond // on mu: less waits, or the connection is closed
	queued   int64      // of what was retained and is on its way to the server's queue or in it; guarded by mu
	unread   []byte     // written and not sent; guarded by mu
	busy     int        // bytes that flush is sending; guarded by mu
	slow     bool       // flush runs; guarded by mu
	closed   bool       // guarded by mu
	flushing sync.WaitGroup
}

func newConn(b *Broker, c net.Conn, own bool) *conn {
	one := &conn{Conn: c, broker: b, own: own, gone: make(chan struct{}), ended: make(chan struct{})}
	one.changed = sync.NewCond(&one.mu)
	return one
}

// from is the address of the client.
func (c *conn) from() string { return c.RemoteAddr().String() }

// admit says that the client has logged in. It reports whether there is room for it.
func (c *conn) admit() bool {
	limited, ok := c.Conn.(*netlimit.Conn)
	return !ok || limited.Admit()
}

// refuse answers CONNECT with a reason, and returns it.
func (c *conn) refuse(pk packets.Packet, reason packets.Code) error {
	answer := []byte{packets.Connack << 4, 3, 0, reason.Code, 0}
	if pk.ProtocolVersion < 5 {
		code := byte(packets.Err3NotAuthorized.Code)
		if v3, ok := packets.V5CodesToV3[reason]; ok {
			code = v3.Code
		}
		answer = []byte{packets.Connack << 4, 2, 0, code}
	}
	_ = c.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = c.Conn.Write(answer) // a client that has gone need not have it
	return reason
}

// Read reads what login has read already, and then from the connection.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.replay) > 0 {
		n := copy(p, c.replay)
		if c.replay = c.replay[n:]; len(c.replay) == 0 {
			c.replay = nil
		}
		return n, nil
	}
	return c.Conn.Read(p)
}

// SetDeadline sets the deadline for reading only: every write has one of its own.
func (c *conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// Write writes p, or keeps what the client does not take at once.
func (c *conn) Write(p []byte) (int, error) {
	c.broker.writes.Add(1)
	if c.own {
		if err := c.Conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return 0, err
		}
		return c.Conn.Write(p)
	}
	c.mu.Lock()
	direct := !c.slow && !c.closed
	c.mu.Unlock()
	sent := 0
	if direct { // nothing waits, and nothing will meanwhile: the server writes for one client at a time
		if err := c.Conn.SetWriteDeadline(time.Now().Add(slowWrite)); err != nil {
			return 0, err
		}
		var err error
		if sent, err = c.Conn.Write(p); err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return sent, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, net.ErrClosed
	}
	rest := p[sent:]
	if len(c.unread)+c.busy+len(rest) > maxUnreadOne || !c.broker.budgets.addUnread(len(rest)) {
		c.broker.dropSlow(c, "client disconnected: it does not read what it subscribed to")
		_ = c.close() // the error would say no more
		return 0, net.ErrClosed
	}
	c.unread = append(c.unread, rest...)
	if !c.slow {
		c.slow = true
		c.flushing.Go(c.flush)
	}
	return len(p), nil
}

// burst notes bytes of retained messages that were queued for the client, and waits while there are too many of them.
func (c *conn) burst(n int64) {
	if c.own {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queued += n
	for !c.closed && c.queued+int64(len(c.unread)+c.busy) > maxBurst {
		c.changed.Wait()
	}
}

// encoded notes that a message of a size left the server's queue.
func (c *conn) encoded(n int64) {
	if c.own {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.queued > 0 {
		c.queued = max(0, c.queued-n) // other messages than those counted by burst count too: it waits less then
		c.changed.Broadcast()
	}
}

// flush sends what waits, until nothing does or the client takes nothing.
func (c *conn) flush() {
	const piece = 64 << 10
	for {
		c.mu.Lock()
		p := c.unread
		c.unread, c.busy = nil, len(p)
		if len(p) == 0 {
			c.slow = false
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		var err error
		for len(p) > 0 && err == nil {
			part := p[:min(piece, len(p))]
			if err = c.Conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err == nil {
				_, err = c.Conn.Write(part)
			}
			c.sent(len(part))
			p = p[len(part):]
		}
		if err != nil {
			c.sent(len(p))
			if errors.Is(err, os.ErrDeadlineExceeded) {
				c.broker.dropSlow(c, "client disconnected: it does not read what it subscribed to")
			}
			_ = c.Close()
			return
		}
	}
}

// sent notes that bytes do not wait any more.
func (c *conn) sent(n int) {
	c.mu.Lock()
	c.busy -= n
	c.changed.Broadcast()
	c.mu.Unlock()
	c.broker.budgets.subUnread(n)
}

// Close ends all reading and writing at once.
func (c *conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.close()
}

// close is Close. The caller holds the lock.
func (c *conn) close() error {
	if !c.closed {
		close(c.ended)
	}
	c.closed = true
	c.changed.Broadcast()
	c.broker.budgets.subUnread(len(c.unread))
	c.unread = nil
	return c.Conn.Close()
}

// dropSlow counts and logs a client that is disconnected because it is slow.
func (b *Broker) dropSlow(c *conn, why string) {
	b.slow.Add(1)
	b.limited.Log(slog.LevelWarn, "slow", why, "from", c.from())
}

// connOf returns the connection of a client of the server, nil for one that has none.
func connOf(cl *mochi.Client) *conn {
	c, _ := cl.Net.Conn.(*conn)
	return c
}
