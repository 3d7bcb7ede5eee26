package main

import (
	"encoding/binary"
	"net"
	"syscall"
	"time"
)

// stampArrivals has the system note when each packet arrives: how late the reader is does not count then.
func stampArrivals(conn *net.UDPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_TIMESTAMPNS, 1)
	}); err != nil {
		return err
	}
	return failed
}

// arrivalStamp returns when a packet arrived, in nanoseconds: two words of the machine's size, seconds and nanoseconds.
func arrivalStamp(control []byte) (ns int64, ok bool) {
	messages, err := syscall.ParseSocketControlMessage(control)
	if err != nil {
		return 0, false
	}
	for _, m := range messages {
		if m.Header.Level == syscall.SOL_SOCKET && m.Header.Type == syscall.SO_TIMESTAMPNS && len(m.Data) >= 16 {
			seconds, rest := binary.NativeEndian.Uint64(m.Data), binary.NativeEndian.Uint64(m.Data[8:])
			return int64(seconds)*int64(time.Second) + int64(rest), true //nolint:gosec // a time of this century
		}
	}
	return 0, false
}
