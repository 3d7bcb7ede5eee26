package netlimit

import (
	"net"
	"runtime"
	"sync"
	"testing"
	"time"
)

// hold opens n connections to a listener and sends something on each.
func hold(t *testing.T, l net.Listener, n int, word string) {
	t.Helper()
	for range n {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if _, err := c.Write([]byte(word)); err != nil {
			t.Fatal(err)
		}
	}
}

// Connections that said nothing while they waited in the kernel are closed without a turn of their own: a client that speaks is
// behind a few of them only, however many came first.
func TestHeldConnectionsHaveNoTurn(t *testing.T) {
	t.Parallel()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := New(inner, Limits{})
	const held = 1000
	hold(t, l, held, "")
	<-time.After(2 * whileNew) // they have had their time, however slow this machine is
	hold(t, l, 1, "x")
	seen := make(chan int, 1)
	var serving sync.WaitGroup
	serving.Go(func() {
		for n := 1; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				if _, err := c.Read(make([]byte, 8)); err == nil {
					seen <- n
				}
			})
		}
	})
	if n := <-seen; n > 100 {
		t.Errorf("the client that spoke was the connection %d that had a turn", n)
	}
	if n := l.Refused(); n < held-100 {
		t.Errorf("%d connections were refused, expected nearly all of %d", n, held)
	}
	_ = l.Close() // it was open
	for _, c := range l.held() {
		_ = c.Close()
	}
	serving.Wait()
}

// held returns the pending connections.
func (l *Listener) held() []*Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]*Conn(nil), l.pending...)
}

// Where all connections have sent something, one of which the server waits for the rest makes room at once, and one that it
// has read and works for does not, though it is older.
func TestHalfRequestsMakeRoomFirst(t *testing.T) {
	t.Parallel()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := New(inner, Limits{PerAddress: 3})
	defer l.Close()
	hold(t, l, 3, "half of it")
	all := make([]*Conn, 0, 3)
	var reading sync.WaitGroup
	for i := range 3 {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c.(*Conn))
		if _, err := c.Read(make([]byte, 64)); err != nil {
			t.Fatal(err)
		}
		switch i {
		case 1: // net/http, while a request is answered
			reading.Go(func() { _, _ = c.Read(make([]byte, 1)) })
		case 2:
			reading.Go(func() { _, _ = c.Read(make([]byte, 64)) })
			for !all[2].waits.Load() {
				runtime.Gosched()
			}
		}
	}
	<-time.After(2 * whileNew)
	now := time.Now()
	l.mu.Lock()
	victim, wait := l.victim(all[0].from, now)
	l.mu.Unlock()
	if victim != all[2] || wait > 0 {
		t.Errorf("the connection that makes room is another one, or in %v", wait)
	}
	if !all[2].Admit() {
		t.Fatal("not admitted")
	}
	l.mu.Lock()
	if victim, wait := l.victim(all[0].from, now); victim != nil || wait <= 0 {
		t.Errorf("one that the server works for makes room: %v", wait)
	}
	if victim, wait := l.victim(all[0].from, now.Add(whileServed)); victim != all[0] || wait > 0 {
		t.Error("of two that the server has worked for too long, the older one does not make room")
	}
	l.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
	}
	reading.Wait()
}

// Who connects again and again is closed at a pace; the first thousands at once.
func TestClosingHasAPace(t *testing.T) {
	t.Parallel()
	l := New(nil, Limits{})
	n := 0
	for l.pace.Allow() {
		n++
	}
	if n < closedAtOnce || n > 2*closedAtOnce {
		t.Errorf("%d connections may be closed at once", n)
	}
	_ = l.pace.Reserve() // the next one waits
	done := make(chan bool)
	go func() { done <- l.rest() }()
	close(l.closed)
	<-done // a listener that is closed waits for no pace
}
