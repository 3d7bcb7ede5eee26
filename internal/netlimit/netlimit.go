// Package netlimit bounds what clients can take of a server before they have proved who they are: connections, time and
// guesses at a password.
//
// A connection counts as pending until [Conn.Admit] is called, which a server does when it has seen a valid password or
// token. Pending connections are few, in all and from one address. When a new one needs a place, an old one loses it,
// and first one that has sent nothing: a client that logs in at once gets in, however many connections are silent. A
// connection that is new, or that sent something which the server did not read or decide on yet, keeps its place, and the new one
// waits: clients that connect all at once get in one after the other. Those that wait longer than that with nothing to say, or of
// which the server waits for the rest of a request, have to go at once, so that thousands of them delay a new client by a moment only.
package netlimit

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
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
	pace    *rate.Limiter // of connections that are closed for others

	changed chan struct{} // capacity 1: a place is free, or a connection was read from
	closed  chan struct{}
	once    sync.Once

	mu       sync.Mutex
	pending  []*Conn // in the order in which they came; guarded by mu
	admitted int     // guarded by mu
}

// How long a pending connection keeps its place when a new one needs it.
const (
	whileNew    = 50 * time.Millisecond // its first bytes, or the next ones, may be on their way
	whileServed = 2 * time.Second       // they are here, and the server did not come to read them, or to say who the client is: it is the server that is late
)

// How many connections may be closed for others. Who connects again and again, faster than that, waits in the kernel, and costs a few
// per cent of a processor.
const (
	closedAtOnce    = 16_384 // more than the kernel keeps for a listener
	closedPerSecond = 2_000
	closedTogether  = 64               // after so many, other work has its turn
	closedPause     = time.Millisecond // for that
)

// New returns a listener that hands out the connections of l within the limits.
func New(l net.Listener, limits Limits) *Listener {
	return &Listener{
		Listener: l, limits: limits.filled(), pace: rate.NewLimiter(closedPerSecond, closedAtOnce),
		changed: make(chan struct{}, 1), closed: make(chan struct{}),
	}
}

// Refused returns how many connections were closed because there were too many or because they took too long.
func (l *Listener) Refused() uint64 { return l.refused.Load() }

// Accept waits for the next connection, and returns it as a *[Conn].
func (l *Listener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &Conn{Conn: nc, listener: l, from: Source(nc.RemoteAddr())}
		entered, open := l.enter(c)
		if !open {
			_ = nc.Close() // its client has no use for the error
			return nil, net.ErrClosed
		}
		if entered {
			return c, nil
		}
	}
}

// enter waits for a place for a new connection, unless it closes the connection. It reports whether it has one, and whether the
// listener is still open.
func (l *Listener) enter(c *Conn) (entered, open bool) {
	for {
		wait, loser := l.place(c)
		if loser != nil {
			_ = loser.Close() // its client has no use for the error
			open = l.rest()
			return loser != c.Conn, open
		}
		if wait <= 0 {
			return true, true
		}
		select {
		case <-l.changed:
		case <-time.After(wait):
		case <-l.closed:
			return false, false
		}
	}
}

// rest counts a connection that was closed for others, and lets other work have its turn. It reports whether the listener is still
// open.
func (l *Listener) rest() bool {
	n := l.refused.Add(1)
	wait := l.pace.Reserve().Delay()
	if n%closedTogether == 0 {
		wait = max(wait, closedPause)
	}
	if wait <= 0 {
		return true
	}
	select {
	case <-time.After(wait):
		return true
	case <-l.closed:
		return false
	}
}

// Close closes the listener. A waiting Accept ends.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// place makes a new connection pending, where necessary in the place of a loser, which the caller closes; or returns how long to
// wait for a place. A new connection that had its time while others waited before it, and said nothing, is itself the loser.
func (l *Listener) place(c *Conn) (wait time.Duration, loser net.Conn) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if from, full := l.full(c.from); full {
		if spoke, quiet := c.spoke(); !spoke && quiet >= whileNew {
			return 0, c.Conn
		}
		victim, wait := l.victim(from, now)
		if wait > 0 {
			return wait, nil
		}
		l.drop(victim)
		loser = victim.Conn
	}
	c.since = now
	l.pending = append(l.pending, c)
	c.timer = time.AfterFunc(l.limits.FirstRequest, c.expire)
	return 0, loser
}

// full reports whether there is no place for a new connection from an address unless another one makes room, and from which
// address that is. The caller holds the lock.
func (l *Listener) full(from netip.Prefix) (of netip.Prefix, full bool) {
	count := map[netip.Prefix]int{}
	most := from
	for _, c := range l.pending {
		if count[c.from]++; count[c.from] > count[most] {
			most = c.from
		}
	}
	switch {
	case count[from] >= l.limits.PerAddress:
		return from, true
	case len(l.pending) >= l.limits.Pending:
		return most, true
	}
	return from, false
}

// victim returns the pending connection from an address that has to make room: the oldest silent one, where none is silent one of
// which the server waits for more, and else the oldest one; or, where that keeps its place, how long to wait. The caller holds the
// lock.
func (l *Listener) victim(from netip.Prefix, now time.Time) (oldest *Conn, wait time.Duration) {
	var late *Conn
	for _, c := range l.pending {
		if c.from != from {
			continue
		}
		age := now.Sub(c.since)
		spoke, quiet := c.spoke()
		switch {
		case !spoke:
			return c, max(0, whileNew-age) // those behind it are younger
		case late != nil:
		case c.waits.Load() && max(age, quiet) >= whileNew && !hasUnread(c.Conn):
			late = c
		case age < whileServed:
			wait = max(wait, whileServed-age)
		case oldest == nil:
			oldest = c
		}
	}
	if late != nil {
		return late, 0
	}
	if oldest != nil {
		return oldest, 0
	}
	return nil, wait
}

// spoke reports whether the client has sent anything, and how long ago it was last heard of, where that is known.
func (c *Conn) spoke() (spoke bool, quiet time.Duration) {
	spoke, quiet = kernelKnows(c.Conn)
	return spoke || c.heard.Load() || hasUnread(c.Conn), quiet
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
	waits    atomic.Bool // the server waits for more, as long as the connection is pending
	known    atomic.Bool // it was admitted

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
	c.known.Store(true)
	return true
}

// Crowded reports whether more than half of the places of admitted connections are taken: a server then ends each after its answer,
// so that those that wait for a next request do not take the places of new ones.
func (c *Conn) Crowded() bool {
	l := c.listener
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.admitted > l.limits.Admitted/2
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

// Read reads from the connection. While net/http has a request answered, it reads a single byte, to learn that the client has gone:
// then it does not wait for more of the request.
func (c *Conn) Read(p []byte) (int, error) {
	waits := len(p) > 1 && !c.known.Load() && c.heard.Load()
	if waits {
		c.waits.Store(true)
		c.listener.look()
	}
	n, err := c.Conn.Read(p)
	if waits {
		c.waits.Store(false)
	}
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
