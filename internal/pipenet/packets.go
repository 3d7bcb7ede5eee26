package pipenet

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// Packets is a network of datagrams inside one process, for tests in virtual time. The zero Packets loses nothing. It is safe for
// concurrent use.
type Packets struct {
	// Fate, if set, returns after what times a datagram arrives: none where it is lost, several where it is duplicated. It is called
	// for one datagram at a time.
	Fate func(from, to netip.AddrPort, datagram []byte) []time.Duration

	mu    sync.Mutex
	conns map[netip.AddrPort]*packetConn // guarded by mu
}

// Listen opens a socket at an address.
func (n *Packets) Listen(address string) (net.PacketConn, error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.conns[at] != nil {
		return nil, &net.OpError{Op: "listen", Net: "udp", Addr: net.UDPAddrFromAddrPort(at), Err: syscall.EADDRINUSE}
	}
	if n.conns == nil {
		n.conns = map[netip.AddrPort]*packetConn{}
	}
	c := &packetConn{network: n, at: at, inbox: make(chan packet, 1024), closed: make(chan struct{})}
	n.conns[at] = c
	return c, nil
}

// send has a datagram arrive as the network's Fate says.
func (n *Packets) send(from, to netip.AddrPort, datagram []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delays := []time.Duration{0}
	if n.Fate != nil {
		delays = n.Fate(from, to, datagram)
	}
	for _, d := range delays {
		p := packet{append([]byte(nil), datagram...), net.UDPAddrFromAddrPort(from)}
		if d == 0 {
			n.arrive(to, p)
			continue
		}
		time.AfterFunc(d, func() {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.arrive(to, p)
		})
	}
}

// arrive puts a datagram into the inbox of a socket; it is lost where there is none, or no room. The caller holds the lock.
func (n *Packets) arrive(to netip.AddrPort, p packet) {
	if c := n.conns[to]; c != nil {
		select {
		case c.inbox <- p:
		default:
		}
	}
}

type packet struct {
	data []byte
	from net.Addr
}

// A packetConn is one socket.
type packetConn struct {
	network *Packets
	at      netip.AddrPort
	inbox   chan packet
	closed  chan struct{}
	once    sync.Once
}

func (c *packetConn) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case <-c.closed:
		return 0, nil, net.ErrClosed
	case p := <-c.inbox:
		return copy(b, p.data), p.from, nil
	}
}

func (c *packetConn) WriteTo(b []byte, to net.Addr) (int, error) {
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	default:
	}
	at, err := netip.ParseAddrPort(to.String())
	if err != nil {
		return 0, fmt.Errorf("write: %w", err)
	}
	c.network.send(c.at, at, b)
	return len(b), nil
}

func (c *packetConn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.network.mu.Lock()
		defer c.network.mu.Unlock()
		delete(c.network.conns, c.at)
	})
	return nil
}

func (c *packetConn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(c.at) }

// SetDeadline and the others do nothing: the tests have time limits of their own.
func (c *packetConn) SetDeadline(time.Time) error      { return nil }
func (c *packetConn) SetReadDeadline(time.Time) error  { return nil }
func (c *packetConn) SetWriteDeadline(time.Time) error { return nil }
