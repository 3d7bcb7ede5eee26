package phoneweb

import (
	"net"
	"net/netip"
	"sync"
)

// Bounds of the connections that are open at a time; ours. A connection carries one request and is
// closed after five seconds at the latest, so that what waits is not lost.
const (
	maxConns        = 2048
	maxConnsAddress = 1024 // from one address
)

// listener hands out connections on which net/http reads no more than it needs, and bounds how many
// there are: when all are taken it waits, and one address cannot take all of them.
type listener struct {
	net.Listener
	gate    gate
	refused func()        // a connection of an address that has too many
	free    chan struct{} // one element for each open connection
	closed  chan struct{}
	once    sync.Once
	err     error // of closing

	mu   sync.Mutex
	open map[netip.Addr]int
}

func newListener(l net.Listener, g gate, refused func()) *listener {
	return &listener{
		Listener: l, gate: g, refused: refused, free: make(chan struct{}, maxConns), closed: make(chan struct{}),
		open: map[netip.Addr]int{},
	}
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		select {
		case l.free <- struct{}{}:
		case <-l.closed:
			return nil, net.ErrClosed
		}
		conn, err := l.Listener.Accept()
		if err != nil {
			<-l.free
			return nil, err
		}
		from := addrOf(conn.RemoteAddr().String())
		if l.take(from) {
			return &guardedConn{Conn: conn, from: from, gate: l.gate, done: func() { l.give(from) }}, nil
		}
		<-l.free
		_ = conn.Close() // nothing was said on it
		l.refused()
	}
}

// Close ends a waiting Accept too.
func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.err = l.Listener.Close()
	})
	return l.err
}

func (l *listener) take(from netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[from] == maxConnsAddress {
		return false
	}
	l.open[from]++
	return true
}

func (l *listener) give(from netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[from]--; l.open[from] == 0 {
		delete(l.open, from)
	}
	<-l.free
}

// addrOf is the address in "address:port", without zone, an IPv4 address as such. It is not valid
// when there is none.
func addrOf(hostport string) netip.Addr {
	a, err := netip.ParseAddrPort(hostport)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap().WithZone("")
}
