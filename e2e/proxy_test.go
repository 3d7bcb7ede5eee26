package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// A weather is how a direction of a network is doing. The zero weather is fair.
type weather struct {
	delay time.Duration // of everything
	slow  time.Duration // between two bytes
	hole  bool          // everything is swallowed
	stall bool          // nothing is taken any more, so that buffers fill up
}

// A proxy is a network between its clients and one address, and fails on demand.
type proxy struct {
	t        *testing.T
	listener net.Listener
	at       string
	target   string
	tap      *tap // nil: none

	serving sync.WaitGroup
	over    chan struct{}

	mu       sync.Mutex
	up, down weather
	changed  chan struct{} // closed when the weather changes
	pairs    map[*pair]bool
	greet    func(client *net.TCPConn, dial func() (*net.TCPConn, error)) // instead of all else; nil: not
}

// A pair is a connection through a proxy: the two ends of it.
type pair struct{ client, server *net.TCPConn }

// startProxy starts a proxy to target.
func startProxy(t *testing.T, target string, look *tap) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", freePort(t))) // hear must get it back
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, listener: l, at: l.Addr().String(), target: target, tap: look, over: make(chan struct{}), changed: make(chan struct{}), pairs: map[*pair]bool{}}
	p.serving.Go(func() { p.accept(l) })
	t.Cleanup(func() {
		close(p.over)
		p.listener.Close()
		p.cut()
		p.serving.Wait()
	})
	return p
}

func (p *proxy) addr() string { return p.at }

// unresponsive refuses new connections from now on, as a machine does on which no program listens.
func (p *proxy) unresponsive() { p.listener.Close() }

// hear takes connections again.
func (p *proxy) hear() {
	p.t.Helper()
	l, err := net.Listen("tcp", p.at)
	if err != nil {
		p.t.Fatal(err)
	}
	p.listener = l
	p.serving.Go(func() { p.accept(l) })
}

func (p *proxy) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		p.serving.Go(func() { p.serve(c.(*net.TCPConn)) })
	}
}

func (p *proxy) dial() (*net.TCPConn, error) {
	c, err := net.DialTimeout("tcp", p.target, timeLimit)
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), nil
}

func (p *proxy) serve(client *net.TCPConn) {
	p.mu.Lock()
	greet := p.greet
	p.mu.Unlock()
	if greet != nil {
		greet(client, p.dial)
		client.Close()
		return
	}
	server, err := p.dial()
	if err != nil {
		reset(client)
		return
	}
	both := &pair{client, server}
	p.mu.Lock()
	p.pairs[both] = true
	p.mu.Unlock()
	up, down := func([]byte) {}, func([]byte) {}
	if p.tap != nil {
		up, down = p.tap.connection()
	}
	var pumps sync.WaitGroup
	pumps.Go(func() { p.pump(server, client, &p.up, up, true) })
	pumps.Go(func() { p.pump(client, server, &p.down, down, false) })
	pumps.Wait()
	client.Close()
	server.Close()
	p.mu.Lock()
	delete(p.pairs, both)
	p.mu.Unlock()
}

// pump carries bytes one way until its end. see is shown what the bridge sends, and what it is
// given: of the latter, not what the weather swallows.
func (p *proxy) pump(to, from *net.TCPConn, w *weather, see func([]byte), swallowed bool) {
	buf := make([]byte, 32<<10)
	for {
		now, changed := p.now(w)
		if now.stall {
			select {
			case <-changed:
			case <-p.over:
				return
			}
			continue
		}
		n, err := from.Read(buf)
		now, _ = p.now(w)
		if !now.hole || swallowed {
			see(buf[:n]) // before it arrives, and causes more to be seen
		}
		if !now.hole && n > 0 && !p.carry(to, buf[:n], now) {
			// The other side is gone: what still comes is read, so that nothing hangs on it.
			_, _ = io.Copy(io.Discard, from)
			return
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				_ = to.CloseWrite() // it may be closed
			} else {
				reset(to)
			}
			return
		}
	}
}

// carry writes b as the weather lets it, and reports whether that worked.
func (p *proxy) carry(to *net.TCPConn, b []byte, w weather) bool {
	if !p.pause(w.delay) {
		return false
	}
	if w.slow == 0 {
		_, err := to.Write(b)
		return err == nil
	}
	for i := range b {
		if _, err := to.Write(b[i : i+1]); err != nil || !p.pause(w.slow) {
			return false
		}
	}
	return true
}

// pause waits, and reports whether the proxy goes on.
func (p *proxy) pause(d time.Duration) bool {
	if d == 0 {
		return true
	}
	select {
	case <-time.After(d):
		return true
	case <-p.over:
		return false
	}
}

func (p *proxy) now(w *weather) (weather, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return *w, p.changed
}

// set changes how it treats what its clients send, and what they receive.
func (p *proxy) set(up, down weather) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.up, p.down = up, down
	close(p.changed)
	p.changed = make(chan struct{})
}

// answer has f serve all new connections; nil: as before.
func (p *proxy) answer(f func(client *net.TCPConn, dial func() (*net.TCPConn, error))) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.greet = f
}

// each calls f for every connection there is, and returns how many.
func (p *proxy) each(f func(*pair)) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for both := range p.pairs {
		f(both)
	}
	return len(p.pairs)
}

// cut resets all connections.
func (p *proxy) cut() {
	p.each(func(both *pair) {
		reset(both.client)
		reset(both.server)
	})
}

// reset closes c so that the other side sees a reset.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0) // it may be closed
	_ = c.Close()
}
