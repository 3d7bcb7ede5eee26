package broker

import (
	"net"
	"sync"
	"time"
)

// A post is a connection whose writes do not wait for the reader, as if there were a network with its buffers between
// them. The server and its clients each acknowledge what they read before they read on, so over a bare [net.Pipe] each
// could wait for the other for ever.
type post struct {
	net.Conn

	mu      sync.Mutex
	changed *sync.Cond
	box     []byte // written and not sent yet
	closed  bool
	err     error // of sending
}

// postbox is how many bytes may wait before writes do.
const postbox = 1 << 20

func newPost(c net.Conn) *post {
	p := &post{Conn: c}
	p.changed = sync.NewCond(&p.mu)
	return p
}

func (p *post) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.box) >= postbox && p.err == nil && !p.closed {
		p.changed.Wait()
	}
	switch {
	case p.err != nil:
		return 0, p.err
	case p.closed:
		return 0, net.ErrClosed
	}
	p.box = append(p.box, b...)
	p.changed.Broadcast()
	return len(b), nil
}

// SetWriteDeadline does nothing: carry sets one whenever it sends.
func (p *post) SetWriteDeadline(time.Time) error { return nil }

// SetReadDeadline sets the deadline for reading, which is over for ever after Close.
func (p *post) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return net.ErrClosed
	}
	return p.Conn.SetReadDeadline(t)
}

// Close ends all reading and writing at once. What was written before is still sent.
func (p *post) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.changed.Broadcast()
	return p.Conn.SetReadDeadline(time.Unix(1, 0)) // long ago
}

// carry sends what is written. It ends soon after Close, or when sending fails.
func (p *post) carry() {
	defer p.Conn.Close()
	for {
		p.mu.Lock()
		for len(p.box) == 0 && !p.closed {
			p.changed.Wait()
		}
		b := p.box
		p.box = nil
		p.changed.Broadcast()
		p.mu.Unlock()
		if len(b) == 0 {
			return
		}
		err := p.Conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		if err == nil {
			_, err = p.Conn.Write(b)
		}
		if err != nil {
			p.mu.Lock()
			p.err = err
			p.changed.Broadcast()
			p.mu.Unlock()
			return
		}
	}
}
