// Package pipenet is a network inside one process: a [Listener] whose connections are pairs of
// [net.Pipe].
//
// It exists for tests in virtual time. A goroutine that waits for a real socket keeps the clock of
// a testing/synctest bubble from moving; one that waits for a pipe does not. Deadlines work, and
// what is refused is refused with the errors of a real network.
//
// A pipe of a [Listener] from [Listen] has no buffer: a write waits until the other side has read it. Those of
// [ListenBuffered] and [Pipe] have one; by such a pipe the bridge reaches the broker that it runs itself.
package pipenet

import (
	"context"
	"net"
	"sync"
	"syscall"
)

// A Listener accepts what its DialContext dials. Make it with [Listen].
// It is safe for concurrent use.
type Listener struct {
	buffer  int // of its pipes, in bytes
	waiting chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

var _ net.Listener = (*Listener)(nil)

// Listen returns an open Listener. Inside a testing/synctest bubble, make it inside the bubble.
func Listen() *Listener {
	return &Listener{waiting: make(chan net.Conn), closed: make(chan struct{})}
}

// ListenBuffered returns an open Listener whose pipes hold size bytes in each direction.
func ListenBuffered(size int) *Listener {
	l := Listen()
	l.buffer = size
	return l
}

// DialContext connects to l; network and address are not looked at, so that it fits wherever a
// net.Dialer's method fits. Like a dial to a full backlog, it waits until the connection is
// accepted. It fails with ctx's error, and with ECONNREFUSED once l is closed.
func (l *Listener) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, l.refusal("dial", err)
	}
	near, far := net.Pipe()
	if l.buffer > 0 {
		near, far = Pipe(l.buffer)
	}
	select {
	case <-l.closed: // a closed listener refuses even while an Accept is still returning
	default:
		select {
		case l.waiting <- far:
			return near, nil
		case <-l.closed:
		case <-ctx.Done():
			return nil, l.refusal("dial", ctx.Err())
		}
	}
	return nil, l.refusal("dial", syscall.ECONNREFUSED)
}

// Accept waits for the next connection. After Close it fails with net.ErrClosed.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case <-l.closed:
		return nil, l.refusal("accept", net.ErrClosed)
	case c := <-l.waiting:
		return c, nil
	}
}

// Close makes every waiting and every later Accept and DialContext fail. Connections that were
// accepted stay open. It never fails, and may be called again.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr returns an address that says no more than that this is a pipe.
func (l *Listener) Addr() net.Addr { return address{} }

func (l *Listener) refusal(op string, err error) error {
	return &net.OpError{Op: op, Net: address{}.Network(), Addr: address{}, Err: err}
}

type address struct{}

func (address) Network() string { return "pipe" }
func (address) String() string  { return "pipe" }
