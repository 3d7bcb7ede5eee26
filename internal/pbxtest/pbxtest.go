// Package pbxtest serves connections for tests of what talks to a PBX.
package pbxtest

import (
	"net"
	"sync"
	"testing"
)

// Serve has serve answer each connection to an address on this machine, until the test ends. It returns the listener, whose end a
// test may also bring about itself.
func Serve(tb testing.TB, serve func(net.Conn)) net.Listener {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { serve(conn) })
		}
	})
	tb.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	return l
}
