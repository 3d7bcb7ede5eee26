package pipenet

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Pipe returns the two ends of a connection inside the process. Unlike the ends of [net.Pipe], each holds up to size bytes
// that the other end has not read yet; the memory is taken when it is needed. So two programs that each write before they
// read do not wait for each other for ever.
func Pipe(size int) (a, b net.Conn) {
	there, back := newStream(size), newStream(size)
	return &end{in: back, out: there}, &end{in: there, out: back}
}

// An end is one side of a Pipe.
type end struct{ in, out *stream }

func (e *end) Read(p []byte) (int, error)  { return e.in.read(p) }
func (e *end) Write(p []byte) (int, error) { return e.out.write(p) }

// Close ends both directions. What was written before can still be read by the other end.
func (e *end) Close() error {
	e.out.end(false)
	e.in.end(true)
	return nil
}

func (*end) LocalAddr() net.Addr  { return address{} }
func (*end) RemoteAddr() net.Addr { return address{} }

func (e *end) SetDeadline(t time.Time) error {
	e.in.setReadDeadline(t)
	e.out.setWriteDeadline(t)
	return nil
}

func (e *end) SetReadDeadline(t time.Time) error {
	e.in.setReadDeadline(t)
	return nil
}

func (e *end) SetWriteDeadline(t time.Time) error {
	e.out.setWriteDeadline(t)
	return nil
}

// A stream is one direction of a Pipe.
type stream struct {
	size int

	mu                          sync.Mutex
	changed                     *sync.Cond // on mu
	data                        []byte     // written and not read; guarded by mu
	ended                       bool       // nothing more is written; guarded by mu
	abandoned                   bool       // nothing more is read; guarded by mu
	readDeadline, writeDeadline time.Time  // guarded by mu
}

func newStream(size int) *stream {
	s := &stream{size: size}
	s.changed = sync.NewCond(&s.mu)
	return s
}

func (s *stream) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.abandoned:
			return 0, net.ErrClosed
		case over(s.readDeadline):
			return 0, os.ErrDeadlineExceeded
		case len(s.data) > 0:
			n := copy(p, s.data)
			if s.data = s.data[n:]; len(s.data) == 0 {
				s.data = nil // a burst keeps no memory
			}
			s.changed.Broadcast()
			return n, nil
		case s.ended:
			return 0, io.EOF
		case len(p) == 0:
			return 0, nil
		}
		s.wait(s.readDeadline)
	}
}

func (s *stream) write(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.ended:
			return n, net.ErrClosed
		case s.abandoned:
			return n, io.ErrClosedPipe
		case over(s.writeDeadline):
			return n, os.ErrDeadlineExceeded
		}
		if room := min(s.size-len(s.data), len(p)); room > 0 {
			s.data = append(s.data, p[:room]...)
			n, p = n+room, p[room:]
			s.changed.Broadcast()
		}
		if len(p) == 0 {
			return n, nil
		}
		s.wait(s.writeDeadline)
	}
}

// wait waits for a change or for a deadline. The caller holds the lock.
func (s *stream) wait(deadline time.Time) {
	if !deadline.IsZero() {
		timer := time.AfterFunc(time.Until(deadline), func() {
			s.mu.Lock() // or the wait might begin after it
			defer s.mu.Unlock()
			s.changed.Broadcast()
		})
		defer timer.Stop()
	}
	s.changed.Wait()
}

func over(deadline time.Time) bool { return !deadline.IsZero() && time.Until(deadline) <= 0 }

// end says that nothing more is written or, if abandoned, that nothing more is read.
func (s *stream) end(abandoned bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if abandoned {
		s.abandoned, s.data = true, nil
	} else {
		s.ended = true
	}
	s.changed.Broadcast()
}

func (s *stream) setReadDeadline(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readDeadline = t
	s.changed.Broadcast()
}

func (s *stream) setWriteDeadline(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writeDeadline = t
	s.changed.Broadcast()
}
