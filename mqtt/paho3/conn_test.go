package paho3

import (
	"bytes"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// Two messages that arrive together are acknowledged together; where the second one is not acknowledged, the first one
// does not wait for long.
func TestAcknowledgementsGoTogether(t *testing.T) {
	t.Parallel()
	for _, second := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			c := newConn(near, time.Minute)
			defer c.fail(io.EOF)
			message := func(id byte) []byte { return []byte{0x32, 6, 0, 1, 't', 0, id, 'x'} }
			puback := func(id byte) []byte { return []byte{0x40, 2, 0, id} }
			go func() { _, _ = far.Write(append(message(1), message(2)...)) }() // ends when both were read
			read := func(want []byte) {
				t.Helper()
				got := make([]byte, len(want))
				if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
					t.Fatalf("% x, %v, expected % x", got, err, want)
				}
			}
			write := func(p []byte) {
				t.Helper()
				if n, err := c.Write(p); n != len(p) || err != nil {
					t.Errorf("%d bytes of %d were written, %v", n, len(p), err)
				}
			}
			began := time.Now()
			read(message(1))
			write(puback(1)) // not read by the broker yet: if it were written, this would block
			read(message(2))
			want := puback(1)
			if second {
				want = append(want, puback(2)...)
				go write(puback(2)) // waits for the reader below
			}
			got := make([]byte, 16)
			n, err := far.Read(got)
			if err != nil || !bytes.Equal(got[:n], want) {
				t.Errorf("the broker gets % x, %v, expected % x", got[:n], err, want)
			}
			if took := time.Since(began); second != (took == 0) || took > holdFor {
				t.Errorf("it took %v; with the second one: %v", took, second)
			}
			synctest.Wait()
		})
	}
}

// Acknowledgements wait only up to a number that brokers can do without.
func TestAcknowledgementsDoNotPileUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		c := newConn(near, time.Minute)
		defer c.fail(io.EOF)
		c.more.Store(true)
		go func() {
			for range maxAcks + 1 {
				if _, err := c.Write([]byte{0x40, 2, 0, 1}); err != nil {
					t.Error(err)
				}
			}
		}()
		got := make([]byte, 1024)
		if n, err := far.Read(got); n != (maxAcks+1)*pubackLength || err != nil {
			t.Errorf("%d bytes at once, %v, expected %d", n, err, (maxAcks+1)*pubackLength)
		}
		synctest.Wait()
	})
}
