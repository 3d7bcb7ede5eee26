package netlimit

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// kernelKnows returns what the kernel knows of the other side of a connection: whether anything came from it, read or not, and how
// long ago it was last heard of, which for one that has sent nothing is when the connection was made. Until it is accepted, the
// kernel keeps it, and that may be long where others wait before it.
func kernelKnows(c net.Conn) (spoke bool, quiet time.Duration) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return false, 0
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false, 0
	}
	_ = raw.Control(func(fd uintptr) { // of a connection that is closed it is of no use
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			spoke, quiet = info.Bytes_received > 0, time.Duration(info.Last_ack_recv)*time.Millisecond
		}
	})
	return spoke, quiet
}
