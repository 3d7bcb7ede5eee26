package paho3

import (
	"net"
	"syscall"
)

// quickAck returns a function that acknowledges what was read from c. The kernel forgets the wish with the next
// packet it sends, so it is repeated after each read.
func quickAck(c net.Conn) func() {
	raw, err := tcp(c)
	if err != nil {
		return func() {}
	}
	set := func(fd uintptr) {
		// An error would cost time, not correctness.
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
	}
	return func() { _ = raw.Control(set) } // fails when c is closed; then nothing is left to acknowledge
}

// tcp finds the TCP connection below TLS and websockets.
func tcp(c net.Conn) (syscall.RawConn, error) {
	for {
		switch inner := c.(type) {
		case *net.TCPConn:
			return inner.SyscallConn()
		case interface{ NetConn() net.Conn }:
			c = inner.NetConn()
		default:
			return nil, net.UnknownNetworkError("not TCP")
		}
	}
}
