// Package netlimit bounds what clients can take of a server before they have proved who they are: connections, time and
// guesses at a password.
//
// A connection counts as pending until [Conn.Admit] is called, which a server does when it has seen a valid password or
// token. Pending connections are few, in all and from one address. When a new one needs a place, an old one loses it,
// and first one that has sent nothing: a client that logs in at once gets in, however many connections are silent. A
// connection that is new, or that sent something which the server did not read yet, keeps its place, and the new one
// waits: clients that connect all at once get in one after the other.
package netlimit

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Limits bound the connections of one listener. A field that is zero has the value of [Default].
type Limits struct {
	Pending      int           // connections that are not admitted
	PerAddress   int           // of these, from one address; for IPv6, from one /64 network
	Admitted     int           // connections that are
	FirstRequest time.Duration // how long a connection stays pending before it is closed
}

// Default returns the limits that hold where a field of Limits is zero.
func Default() Limits {
	return Limits{Pending: 64, PerAddress: 16, Admitted: 512, FirstRequest: 5 * time.Second}
}

// Within returns the limits, reduced where more than the given number of descriptors would be in use.
func (l Limits) Within(descriptors int) Limits {
	l = l.filled()
	if all := l.Pending + l.Admitted; descriptors > 0 && all > descriptors {
		l.Pending = max(1, l.Pending*descriptors/all)
		l.Admitted = max(1, descriptors-l.Pending)
		l.PerAddress = min(l.PerAddress, max(1, l.Pending/4))
	}
	return l
}

func (l Limits) filled() Limits {
	d := Default()
	if l.Pending == 0 {
		l.Pending = d.Pending
	}
	if l.PerAddress == 0 {
		l.PerAddress = d.PerAddress
	}
	if l.Admitted == 0 {
		l.Admitted = d.Admitted
	}
	if l.FirstRequest == 0 {
		l.FirstRequest = d.FirstRequest
	}
	return l
}

// A Listener is a net.Listener that bounds its connections. Make one with [New].
type Listener struct {
	net.Listener
	limits  Limits
	refused atomic.Uint64

	changed chan struct{} // capacity 1: a place is free, or a connection was read from
	closed  chan struct{}
	once    sync.Once

	mu       sync.Mutex
	pending  []*Conn // in the order in which they came; guarded by mu
	admitted int     // guarded by mu
}

// How long a pending connection keeps its place when a new one needs it.
const (
	whileNew    = 50 * time.Millisecond // its first bytes may be on their way
	whileUnread = 2 * time.Second       // they are here, and the server did not come to read any of them: it is the server that is late
)

// New returns a listener that hands out the connections of l within the limits.
func New(l net.Listener, limits Limits) *Listener {
	return &Listener{Listener: l, limits: limits.filled(), changed: make(chan struct{}, 1), closed: make(chan struct{})}
}

// Refused returns how many connections were closed because there were too many or because they took too long.
func (l *Listener) Refused() uint64 { return l.refused.Load() }

// Accept waits for the next connection, and returns it as a *[Conn].
func (l *Listener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &Conn{Conn: nc, listener: l, from: Source(nc.RemoteAddr())}
	for {
		wait := l.place(c)
		if wait <= 0 {
			return c, nil
		}
		select {
		case <-l.changed:
		case <-time.After(wait):
		case <-l.closed:
			_ = nc.Close() // its client has no use for the error
			return nil, net.ErrClosed
		}
	}
}

// Close closes the listener. A waiting Accept ends.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// place makes a new connection pending, where necessary in the place of another one, or returns how long to wait for a
// place.
func (l *Listener) place(c *Conn) (wait time.Duration) {
	now := time.Now()
	l.mu.Lock()
	victim, wait := l.victim(c.from, now)
	if wait > 0 {
		l.mu.Unlock()
		return wait
	}
	if victim != nil {
		l.drop(victim)
	}
	c.since = now
	l.pending = append(l.pending, c)
	c.timer = time.AfterFunc(l.limits.FirstRequest, c.expire)
	l.mu.Unlock()
	if victim != nil {
		l.refused.Add(1)
		_ = victim.Close() // its client has no use for the error
	}
	return 0
}

// victim returns the pending connection that has to make room for a new one from an address, or nil where there is room;
// or how long to wait until there is one. The caller holds the lock.
func (l *Listener) victim(from netip.Prefix, now time.Time) (victim *Conn, wait time.Duration) {
	count := map[netip.Prefix]int{}
	most := from
	for _, c := range l.pending {
		if count[c.from]++; count[c.from] > count[most] {
			most = c.from
		}
	}
	switch {
	case count[from] >= l.limits.PerAddress:
		return l.oldest(from, now)
	case len(l.pending) >= l.limits.Pending:
		return l.oldest(most, now)
	}
	return nil, 0
}

// oldest returns the oldest silent connection of those pending from an address, where none is silent the oldest one; or,
// where that keeps its place, how long to wait. The caller holds the lock.
func (l *Listener) oldest(from netip.Prefix, now time.Time) (oldest *Conn, wait time.Duration) {
	var unread time.Duration
	for _, c := range l.pending {
		if c.from != from {
			continue
		}
		age := now.Sub(c.since)
		switch {
		case age < whileUnread && !c.heard.Load() && hasUnread(c.Conn):
			unread = max(unread, whileUnread-age)
		case !c.heard.Load():
			return c, max(0, whileNew-age) // those behind it are younger
		case oldest == nil:
			oldest, wait = c, max(0, whileNew-age)
		}
	}
	if oldest == nil {
		wait = unread
	}
	return oldest, wait
}

// drop makes a connection count no more. The caller holds the lock.
func (l *Listener) drop(c *Conn) {
	c.timer.Stop()
	if c.admitted {
		l.admitted--
	} else if i := slices.Index(l.pending, c); i >= 0 {
		l.pending = slices.Delete(l.pending, i, i+1)
	}
	c.dropped = true
	l.look()
}

// look has a waiting Accept look for a place once more.
func (l *Listener) look() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// A Conn is a connection of a [Listener].
type Conn struct {
	net.Conn
	listener *Listener
	from     netip.Prefix
	timer    *time.Timer
	since    time.Time   // when it became pending
	heard    atomic.Bool // something was read from it

	admitted bool // guarded by listener.mu
	dropped  bool // it counts no more; guarded by listener.mu
}

// Admit makes the connection one of a client that has proved who it is. It reports whether there is room for it; where
// there is none, or the connection was closed, the server answers that it is busy and closes it. Further calls report
// the same.
func (c *Conn) Admit() bool {
	l := c.listener
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case c.dropped:
		return false
	case c.admitted:
		return true
	case l.admitted >= l.limits.Admitted:
		return false
	}
	l.drop(c)
	l.admitted++
	c.admitted, c.dropped = true, false
	return true
}

// expire closes the connection if it is still pending.
func (c *Conn) expire() {
	l := c.listener
	l.mu.Lock()
	late := !c.admitted && !c.dropped
	if late {
		l.drop(c)
	}
	l.mu.Unlock()
	if late {
		l.refused.Add(1)
		_ = c.Conn.Close() // its client has no use for the error
	}
}

// Read reads from the connection.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && !c.heard.Load() {
		c.heard.Store(true)
		c.listener.look()
	}
	return n, err
}

// CloseWrite shuts down the writing side, where the connection can do that.
func (c *Conn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// Close closes the connection and gives its place to another one.
func (c *Conn) Close() error {
	l := c.listener
	l.mu.Lock()
	if !c.dropped {
		l.drop(c)
	}
	l.mu.Unlock()
	return c.Conn.Close()
}

// From returns the address that the connection counts for.
func (c *Conn) From() netip.Prefix { return c.from }

// AddrOf returns the IP address of a network address, without port and zone, an IPv4 address as such. It is not valid
// where there is none.
func AddrOf(a net.Addr) netip.Addr {
	if a == nil {
		return netip.Addr{}
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// Source returns what counts as one address: an IPv4 address, or the /64 network of an IPv6 address, of which one
// machine has any number.
func Source(a net.Addr) netip.Prefix {
	addr := AddrOf(a)
	bits := addr.BitLen()
	if addr.Is6() && !addr.IsLoopback() {
		bits = 64
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
