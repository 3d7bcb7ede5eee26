package netlimit_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/internal/netlimit"
	"github.com/snom2mqtt/snom2mqtt/internal/pipenet"
)

// from is a listener whose next connection comes from an address.
type from struct {
	*pipenet.Listener
	addrs chan string
}

func (l from) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return remote{c, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(<-l.addrs))}, nil
}

type remote struct {
	net.Conn
	addr net.Addr
}

func (c remote) RemoteAddr() net.Addr { return c.addr }

// A stage is a limited listener in virtual time.
type stage struct {
	t       *testing.T
	network from
	limited *netlimit.Listener
}

func newStage(t *testing.T, limits netlimit.Limits) *stage {
	network := from{pipenet.Listen(), make(chan string, 1)}
	return &stage{t, network, netlimit.New(network, limits)}
}

// dial connects from an address and returns both ends.
func (s *stage) dial(addr string) (near net.Conn, far *netlimit.Conn) {
	s.t.Helper()
	s.network.addrs <- addr
	dialed := make(chan net.Conn, 1)
	go func() {
		c, err := s.network.DialContext(context.Background(), "tcp", "")
		if err != nil {
			s.t.Error(err)
		}
		dialed <- c
	}()
	accepted, err := s.limited.Accept()
	if err != nil {
		s.t.Fatal(err)
	}
	return <-dialed, accepted.(*netlimit.Conn)
}

// open reports whether the server has closed a connection.
func open(c net.Conn) bool {
	_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := c.Read(make([]byte, 1))
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// Silent connections never keep a new one out, from one address, from many, or from one IPv6 network.
func TestSilentConnectionsMakeRoom(t *testing.T) {
	t.Parallel()
	for name, addr := range map[string]func(i int) string{
		"one address":      func(int) string { return "192.0.2.1:1" },
		"many addresses":   func(i int) string { return fmt.Sprintf("192.0.2.%d:1", i%250) },
		"one IPv6 network": func(i int) string { return fmt.Sprintf("[2001:db8::%x]:1", i) },
		"mapped IPv4":      func(i int) string { return [2]string{"192.0.2.1:1", "[::ffff:192.0.2.1]:1"}[i%2] },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, netlimit.Limits{})
				var all []net.Conn
				for i := range 1024 {
					c, _ := s.dial(addr(i))
					all = append(all, c)
				}
				for range 20 {
					c, far := s.dial(addr(7))
					if !open(c) || !far.Admit() || !open(c) {
						t.Fatal("a client that logs in at once is not let in")
					}
				}
				still := 0
				for _, c := range all {
					if open(c) {
						still++
					}
				}
				most := 16
				if name == "many addresses" {
					most = 64
				}
				if still == 0 || still > most {
					t.Errorf("%d silent connections are open, expected at most %d", still, most)
				}
				if n := s.limited.Refused(); n < uint64(1024-most) {
					t.Errorf("Refused() = %d, expected at least %d", n, 1024-most)
				}
				time.Sleep(6 * time.Second)
				for _, c := range all {
					if open(c) {
						t.Fatal("a silent connection is open after the time for its first request")
					}
				}
			})
		})
	}
}

// A connection that has sent something outlives those that have not, and one address does not displace another.
func TestWhoMakesRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, netlimit.Limits{})
		other, _ := s.dial("198.51.100.1:1")
		spoke, far := s.dial("192.0.2.1:1")
		go func() { _, _ = spoke.Write([]byte("G")) }()
		if _, err := far.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			s.dial("192.0.2.1:1")
		}
		if !open(spoke) {
			t.Error("a connection that sent something made room for one that did not")
		}
		if !open(other) {
			t.Error("a connection from another address made room")
		}
	})
}

// Connections that are admitted are bounded too, stay for any time, and give their place back.
func TestAdmitted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, netlimit.Limits{Admitted: 3})
		var in []*netlimit.Conn
		for range 3 {
			_, c := s.dial("192.0.2.1:1")
			if !c.Admit() || !c.Admit() {
				t.Fatal("not admitted, with room left")
			}
			if in = append(in, c); c.Crowded() != (len(in) > 1) {
				t.Errorf("%d of 3: crowded %v", len(in), c.Crowded())
			}
		}
		near, c := s.dial("192.0.2.1:1")
		if c.Admit() {
			t.Error("one too many was admitted")
		}
		if !c.Crowded() {
			t.Error("not crowded, without room")
		}
		time.Sleep(time.Hour)
		if open(near) {
			t.Error("a connection that was not admitted is open after an hour")
		}
		for range 2 {
			_ = in[0].Close()
		}
		_, c = s.dial("192.0.2.1:1")
		if !c.Admit() {
			t.Error("not admitted after another one was closed")
		}
		if in[0].Admit() {
			t.Error("a closed connection was admitted")
		}
		if _, c = s.dial("192.0.2.1:1"); c.Admit() {
			t.Error("a connection that was closed twice gave two places back")
		}
	})
}

func TestWithin(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ descriptors, pending, perAddress, admitted int }{
		{0, 64, 16, 512}, {1 << 20, 64, 16, 512}, {576, 64, 16, 512}, {288, 32, 8, 256}, {16, 1, 1, 15}, {1, 1, 1, 1},
	} {
		l := netlimit.Limits{}.Within(tt.descriptors)
		if l.Pending != tt.pending || l.PerAddress != tt.perAddress || l.Admitted != tt.admitted {
			t.Errorf("Within(%d) = %+v, expected %+v", tt.descriptors, l, tt)
		}
	}
}

// Wrong passwords are slowed down, a right one of another address is not, and the memory of it is bounded.
func TestGuesses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g netlimit.Guesses
		at := func(text string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(text)) }
		checked := 0
		end := time.Now().Add(time.Minute)
		for time.Now().Before(end) {
			switch err := g.Wait(t.Context(), at("192.0.2.1:1")); err {
			case nil:
				checked++
				g.Wrong(at("192.0.2.1:1"))
			case netlimit.ErrGuesses:
				time.Sleep(100 * time.Microsecond)
			default:
				t.Fatal(err)
			}
		}
		if checked < 5 || checked > 70 {
			t.Errorf("%d wrong passwords were checked within a minute, expected 5 at once and one a second", checked)
		}
		start := time.Now()
		for _, addr := range []string{"192.0.2.2:1", "[2001:db8::1]:1"} {
			if err := g.Wait(t.Context(), at(addr)); err != nil || time.Since(start) > 0 {
				t.Errorf("%s waited %v: %v", addr, time.Since(start), err)
			}
		}
		if err := g.Wait(t.Context(), at("192.0.2.1:1")); err != nil {
			t.Errorf("the right password after a minute of wrong ones: %v", err)
		}
		time.Sleep(time.Minute)
		start = time.Now()
		if err := g.Wait(t.Context(), at("192.0.2.1:1")); err != nil || time.Since(start) > 0 {
			t.Errorf("a minute later it waited %v: %v", time.Since(start), err)
		}
	})
}

// Many at once from one address: most are refused at once, and one whose context ends stops to wait.
func TestGuessesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g netlimit.Guesses
		at := net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.1:1"))
		for range 5 {
			g.Wrong(at)
		}
		ctx, cancel := context.WithCancel(t.Context())
		errs := make(chan error, 100)
		for range 100 {
			go func() { errs <- g.Wait(ctx, at) }()
		}
		synctest.Wait()
		if n := len(errs); n < 95 {
			t.Errorf("%d of 100 were decided at once, expected all but a few", n)
		}
		cancel()
		refused := 0
		for range 100 {
			if errors.Is(<-errs, netlimit.ErrGuesses) {
				refused++
			}
		}
		if refused < 95 {
			t.Errorf("%d of 100 were refused", refused)
		}
	})
}

func TestDescriptors(t *testing.T) {
	t.Parallel()
	if n := netlimit.Descriptors(); n < 0 {
		t.Errorf("Descriptors() = %d", n)
	}
}

// Clients that connect all at once and send their first bytes get in one after the other, however many they are.
func TestBurst(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	limited := netlimit.New(l, netlimit.Limits{})
	const clients = 200
	for range clients { // they wait in the backlog
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	admitted := make(chan bool, clients)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := limited.Accept()
			if err != nil {
				return
			}
			go func() {
				_, err := c.Read(make([]byte, 1))
				admitted <- err == nil && c.(*netlimit.Conn).Admit()
			}()
		}
	}()
	for i := range clients {
		if !<-admitted {
			t.Errorf("client %d was not admitted", i)
		}
	}
	if err := limited.Close(); err != nil {
		t.Error(err)
	}
	<-done
}
