// Package sip sends NOTIFY and OPTIONS requests to phones by SIP (RFC 3261), over UDP, TCP and TLS: what a phone without remote
// control over HTTP is driven by. What a NOTIFY says is made by package notify.
//
// An [Endpoint] owns the one UDP socket that all phones share. A [Phone] is one phone. Only requests are sent and only their
// answers are read: requests from others are counted, and get no answer that could be used to amplify an attack.
//
// It implements the client half of SIP's transactions itself. github.com/emiago/sipgo was tried (1.7.3): linking it makes the
// program 2 MiB larger and costs 60 KB of tables for WebSocket at every start; and its transactions send copies of a request
// until they end, while a command must not be sent after it has expired.
package sip

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// Timers of RFC 3261, section 17.1.2.2: a request over UDP is sent again after T1, then after twice as long each time, up to T2;
// every T2 once there was a provisional answer.
const (
	t1 = 500 * time.Millisecond
	t2 = 4 * time.Second
)

// EndpointConfig configures an [Endpoint].
type EndpointConfig struct {
	// Listen is the address of the UDP socket, host:port; empty: one of the system's choice.
	Listen string
	// ListenPacket opens the socket; nil: that of the system.
	ListenPacket func(address string) (net.PacketConn, error)
	// Dial makes connections over TCP; nil: a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// An Endpoint is where requests to phones come from. Its socket is opened when it is first used.
type Endpoint struct {
	config  EndpointConfig
	reading sync.WaitGroup
	counts  counts

	mu      sync.Mutex
	conn    net.PacketConn          // guarded by mu; nil: not opened, or closed
	closed  bool                    // guarded by mu
	waiting map[string]*transaction // by branch; guarded by mu
	route   route                   // the last that was found out; guarded by mu
}

// A route is the address here that requests to an address come from, and when that was found out.
type route struct {
	to    netip.Addr
	local netip.AddrPort
	at    time.Time
}

type counts struct{ answers, unmatched, requests, malformed atomic.Uint64 }

// Stats are the datagrams that came in, by what they were.
type Stats struct {
	Answers   uint64 // to a request that is under way
	Unmatched uint64 // answers to nothing that is under way: late, repeated, or forged
	Requests  uint64 // of others; they are dropped
	Malformed uint64 // what is no SIP message; it is dropped
}

// A transaction is one request over UDP that waits for its answer.
type transaction struct {
	branch, callID, method string
	cseq                   int
	answers                chan response
	refusals               chan error // by ICMP, one for each copy
}

// NewEndpoint returns an Endpoint. It opens nothing.
func NewEndpoint(c EndpointConfig) *Endpoint {
	if c.ListenPacket == nil {
		c.ListenPacket = listenUDP
	}
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	return &Endpoint{config: c}
}

// Open opens the socket, unless that was done before.
func (e *Endpoint) Open() error {
	_, err := e.socket()
	return err
}

// socket returns the open socket.
func (e *Endpoint) socket() (net.PacketConn, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, fmt.Errorf("%w: the SIP socket is closed", snom.ErrLocal)
	}
	if e.conn == nil {
		conn, err := e.config.ListenPacket(e.config.Listen)
		if err != nil {
			return nil, fmt.Errorf("%w: SIP socket: %w", snom.ErrLocal, err)
		}
		e.conn = conn
		if e.waiting == nil {
			e.waiting = map[string]*transaction{}
		}
		e.reading.Go(func() { e.read(conn) })
	}
	return e.conn, nil
}

// Close closes the socket. Requests under way end without an answer.
func (e *Endpoint) Close() error {
	e.mu.Lock()
	conn := e.conn
	e.conn, e.closed = nil, true
	e.mu.Unlock()
	var err error
	if conn != nil {
		err = conn.Close()
	}
	e.reading.Wait()
	return err
}

// Stats returns what came in until now, and whether the socket is open.
func (e *Endpoint) Stats() (s Stats, open bool) {
	e.mu.Lock()
	open = e.conn != nil
	e.mu.Unlock()
	return Stats{Answers: e.counts.answers.Load(), Unmatched: e.counts.unmatched.Load(), Requests: e.counts.requests.Load(), Malformed: e.counts.malformed.Load()}, open
}

// read hands what comes in to the transactions, until the socket is closed.
func (e *Endpoint) read(conn net.PacketConn) {
	buffer := make([]byte, maxHead)
	for failed := 0; failed < 16; {
		n, _, err := conn.ReadFrom(buffer)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case isRefusal(err): // of an earlier datagram, whose copy the kernel keeps
			e.refused(conn, buffer)
		case err != nil:
			failed++
		default:
			failed = 0
			e.take(buffer[:n])
		}
	}
	e.mu.Lock()
	if e.conn == conn {
		e.conn = nil // another one is opened when it is needed
	}
	e.mu.Unlock()
	_ = conn.Close() // it does not work
}

// take hands a datagram to the transaction that it answers.
func (e *Endpoint) take(datagram []byte) {
	r, err := parse(datagram)
	switch {
	case errors.Is(err, errRequest):
		e.counts.requests.Add(1)
		return
	case err != nil:
		e.counts.malformed.Add(1)
		return
	}
	t := e.transaction(r.branch)
	if t == nil || t.method != r.method || t.cseq != r.cseq || t.callID != r.callID {
		e.counts.unmatched.Add(1)
		return
	}
	select {
	case t.answers <- r:
		e.counts.answers.Add(1)
	default: // more answers than there can be
		e.counts.unmatched.Add(1)
	}
}

// transaction returns the transaction of a branch; nil: there is none.
func (e *Endpoint) transaction(branch string) *transaction {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.waiting[branch]
}

// refused hands the refusals by ICMP to the transactions of the datagrams that they are about.
func (e *Endpoint) refused(conn net.PacketConn, buffer []byte) {
	eachRefusal(conn, buffer, func(datagram []byte, err error) {
		_, rest := nextLine(datagram)
		via, _ := nextLine(rest)
		if t := e.transaction(branchOf(via)); t != nil {
			select {
			case t.refusals <- err:
			default:
			}
		}
	})
}

// begin notes a transaction.
func (e *Endpoint) begin(r *request) *transaction {
	t := &transaction{branch: r.branch, callID: r.callID, method: r.method, cseq: r.cseq, answers: make(chan response, 4), refusals: make(chan error, 16)}
	e.mu.Lock()
	e.waiting[t.branch] = t
	e.mu.Unlock()
	return t
}

// end forgets a transaction: what answers it from now on is not matched.
func (e *Endpoint) end(t *transaction) {
	e.mu.Lock()
	delete(e.waiting, t.branch)
	e.mu.Unlock()
}

// exchange sends a request over UDP and waits for its final answer until deadline. It repeats the datagram as RFC 3261 has it, as the
// same request, which the other side carries out once; and not after the step is over. sent says whether it may have
// arrived.
func (e *Endpoint) exchange(ctx context.Context, to netip.AddrPort, r *request, step snom.Step, deadline time.Time) (answer response, sent bool, err error) {
	conn, err := e.socket()
	if err != nil {
		return response{}, false, err
	}
	text := r.text()
	t := e.begin(r)
	defer e.end(t)
	if err := step.Over(); err != nil {
		return response{}, false, err
	}
	if err := e.write(conn, text, to); err != nil {
		return response{}, false, snom.NotSent(err)
	}
	late, again := time.NewTimer(time.Until(deadline)), time.NewTimer(t1)
	defer late.Stop()
	defer again.Stop()
	copies, refusals, interval := 1, 0, t1
	for {
		select {
		case answer := <-t.answers:
			if answer.status >= 200 {
				return answer, true, nil
			}
			interval = t2
		case err := <-t.refusals:
			if refusals++; refusals >= copies { // none of them arrived
				return response{}, false, fmt.Errorf("%w: %w", snom.ErrUnreachable, err)
			}
		case <-again.C:
			if step.Over() != nil {
				continue // the timer rests: it is not sent any more
			}
			interval = min(2*interval, t2)
			again.Reset(interval)
			if e.write(conn, text, to) == nil {
				copies++
			}
		case <-late.C:
			return response{}, true, fmt.Errorf("%w: no answer, sent %s", snom.ErrOutcomeUnknown, times(copies))
		case <-ctx.Done():
			return response{}, true, fmt.Errorf("%w: %w", snom.ErrOutcomeUnknown, context.Cause(ctx))
		}
	}
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// write sends a datagram. An error that is about an earlier one, to anywhere, is not its own: it is tried again.
func (e *Endpoint) write(conn net.PacketConn, datagram []byte, to netip.AddrPort) (err error) {
	for range 4 {
		if _, err = conn.WriteTo(datagram, net.UDPAddrFromAddrPort(to)); !isRefusal(err) {
			return err
		}
		e.refused(conn, make([]byte, maxDatagram))
	}
	return err
}

// maxDatagram bounds what is read back of a datagram that was refused.
const maxDatagram = 4 << 10

// local returns the address that a request to another one comes from.
func (e *Endpoint) local(to netip.AddrPort) (netip.AddrPort, error) {
	conn, err := e.socket()
	if err != nil {
		return netip.AddrPort{}, err
	}
	var bound netip.AddrPort
	if a, ok := conn.LocalAddr().(*net.UDPAddr); ok {
		bound = a.AddrPort()
	}
	if a := bound.Addr(); a.IsValid() && !a.IsUnspecified() {
		return bound, nil
	}
	e.mu.Lock()
	last := e.route // that of all phones behind a proxy
	e.mu.Unlock()
	if last.to == to.Addr() && last.local.Port() == bound.Port() && time.Since(last.at) < routeLasts {
		return last.local, nil
	}
	probe, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to)) // sends nothing
	if err != nil {
		return netip.AddrPort{}, snom.NotSent(err)
	}
	defer probe.Close()
	a := probe.LocalAddr().(*net.UDPAddr).AddrPort() //nolint:forcetypeassert // of a UDP socket
	local := netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), bound.Port())
	e.mu.Lock()
	e.route = route{to.Addr(), local, time.Now()}
	e.mu.Unlock()
	return local, nil
}

// newBranch returns a branch that no other request has, and that a stranger cannot guess.
func newBranch() string { return "z9hG4bK" + rand.Text() }
