package pipenet_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/internal/pipenet"
)

// A pipe holds what fits, a write of more waits for the reader, and nothing is lost or changed.
func TestPipeHoldsWhatFits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := pipenet.Pipe(1000)
		sent := bytes.Repeat([]byte("0123456789"), 1000)
		if n, err := a.Write(sent[:1000]); n != 1000 || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
		done := make(chan error, 1)
		go func() {
			_, err := a.Write(sent[1000:])
			done <- errors.Join(err, a.Close())
		}()
		synctest.Wait()
		if len(done) > 0 {
			t.Fatal("a write of more than fits did not wait")
		}
		got, err := io.ReadAll(b)
		if err != nil || !bytes.Equal(got, sent) {
			t.Errorf("read %d bytes, %v; expected the %d that were written", len(got), err, len(sent))
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, err := b.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("Write to a closed end = %v, expected %v", err, io.ErrClosedPipe)
		}
		if _, err := a.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Write after Close = %v, expected %v", err, net.ErrClosed)
		}
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read after Close = %v, expected %v", err, net.ErrClosed)
		}
	})
}

func TestPipeDeadlines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := pipenet.Pipe(10)
		for _, tt := range []struct { // in this order: the write fills the buffer
			name string
			wait func() error
		}{
			{"read", func() error {
				_ = a.SetReadDeadline(time.Now().Add(time.Minute))
				_, err := a.Read(make([]byte, 1))
				return err
			}},
			{"write", func() error {
				_ = b.SetWriteDeadline(time.Now().Add(time.Minute))
				_, err := b.Write(make([]byte, 11))
				return err
			}},
		} {
			start := time.Now()
			if err := tt.wait(); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Minute {
				t.Errorf("%s: %v after %v, expected %v after a minute", tt.name, err, time.Since(start), os.ErrDeadlineExceeded)
			}
		}
		// A deadline that is moved while something waits counts as moved.
		_ = a.SetDeadline(time.Time{})
		if _, err := io.ReadFull(a, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() {
			_, err := a.Read(make([]byte, 1))
			done <- err
		}()
		synctest.Wait()
		_ = a.SetReadDeadline(time.Now())
		if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read = %v, expected %v", err, os.ErrDeadlineExceeded)
		}
	})
}

// A listener with buffers does not make the two ends of a connection wait for each other.
func TestListenBuffered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := pipenet.ListenBuffered(100)
		accepted := make(chan net.Conn, 1)
		go func() {
			c, err := l.Accept()
			if err != nil {
				t.Error(err)
			}
			accepted <- c
		}()
		near, err := l.DialContext(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		far := <-accepted
		for _, c := range []net.Conn{near, far} {
			if _, err := c.Write([]byte("hello")); err != nil {
				t.Error(err)
			}
		}
		for _, c := range []net.Conn{near, far} {
			if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
				t.Error(err)
			}
		}
		if a := near.RemoteAddr(); a.String() != "pipe" || near.LocalAddr().Network() != "pipe" {
			t.Errorf("RemoteAddr() = %v", a)
		}
	})
}
