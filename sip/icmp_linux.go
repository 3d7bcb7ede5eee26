package sip

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"syscall"
)

// Options of Linux, ip(7) and ipv6(7): refusals by ICMP are kept, with the datagram that they are about.
const (
	ipRecvErr   = 11
	ipv6RecvErr = 25
	msgErrQueue = 0x2000
)

// listenUDP opens a socket that reports refusals by ICMP.
func listenUDP(address string) (net.PacketConn, error) {
	if address == "" {
		address = ":0"
	}
	c := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			// Without them a phone that is not there is noticed by its silence only.
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, ipRecvErr, 1)
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IPV6, ipv6RecvErr, 1)
		})
	}}
	return c.ListenPacket(context.Background(), "udp", address)
}

// isRefusal reports whether err of a socket is what ICMP said about an earlier datagram.
func isRefusal(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH)
}

// eachRefusal calls f with each datagram that was refused since the last call, and why.
func eachRefusal(conn net.PacketConn, buffer []byte, f func(datagram []byte, err error)) {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return
	}
	control := make([]byte, 512)
	for more := true; more; {
		var n, size int
		err := raw.Control(func(fd uintptr) {
			var err error
			n, size, _, _, err = syscall.Recvmsg(int(fd), buffer, control, msgErrQueue|syscall.MSG_DONTWAIT)
			more = err == nil
		})
		if err != nil || !more {
			return
		}
		f(buffer[:n], errnoOf(control[:size]))
	}
}

// errnoOf returns the error number in a control message of the error queue: the first field of struct sock_extended_err.
func errnoOf(control []byte) error {
	messages, err := syscall.ParseSocketControlMessage(control)
	if err == nil {
		for _, m := range messages {
			if len(m.Data) >= 4 && (m.Header.Type == ipRecvErr || m.Header.Type == ipv6RecvErr) {
				return syscall.Errno(binary.NativeEndian.Uint32(m.Data))
			}
		}
	}
	return errors.New("refused")
}
