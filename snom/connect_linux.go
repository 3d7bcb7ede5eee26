package snom

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// dialAddress connects to an IP address and a port, for one request over plain HTTP. It is [net.Dialer] in less than half
// of the processor time; the rest was 9 % of a command, on a machine with two processors and phones that reply at once.
// The end of ctx is noticed within promptly.
func dialAddress(ctx context.Context, deadline time.Time, addr string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil || to.Addr().Zone() != "" { // whose number net knows
		return dialName(ctx, deadline, addr)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	for range 3 { // as often as net.Dialer does
		var c *tcpConn
		if c, err = connect(ctx, deadline, to); err == nil {
			return c, nil
		}
		if !errors.Is(err, errItself) && !errors.Is(err, syscall.EADDRNOTAVAIL) { // the kernel may choose a port that is in use
			break
		}
	}
	return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(to), Err: err}
}

// errItself is the error of a connection for whose local port the kernel chose the one that it connects to, on this machine
// and with nothing that listens there (golang.org/issue/2690).
var errItself = fmt.Errorf("connected to itself: %w", syscall.ECONNREFUSED)

// A tcpConn is a TCP connection that is read and written as a file.
type tcpConn struct {
	file          *os.File
	local, remote netip.AddrPort
}

// connect connects to an address. The error is not an OpError yet.
func connect(ctx context.Context, deadline time.Time, to netip.AddrPort) (*tcpConn, error) {
	family, address := socketAddress(to)
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, syscall.IPPROTO_TCP)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	err = syscall.Connect(fd, address) // before the file exists: a socket that does not connect yet is ready at once
	c := &tcpConn{file: os.NewFile(uintptr(fd), "tcp"), remote: to}
	if isConnecting(err) {
		err = c.wait(ctx, deadline, address)
	} else {
		err = os.NewSyscallError("connect", err)
	}
	if err == nil {
		c.local, err = localAddress(fd)
	}
	if err == nil && c.local == to {
		err = errItself
	}
	if err != nil {
		_ = c.file.Close() // nothing was written
		return nil, err
	}
	return c, nil
}

func isConnecting(err error) bool {
	return err == syscall.EINPROGRESS || err == syscall.EALREADY || err == syscall.EINTR
}

// wait waits for the end of connecting, of which connecting again tells.
func (c *tcpConn) wait(ctx context.Context, deadline time.Time, address syscall.Sockaddr) error {
	raw, err := c.file.SyscallConn()
	if err != nil {
		return err
	}
	var connected error
	again := func(fd uintptr) bool {
		if connected = syscall.Connect(int(fd), address); connected == syscall.EISCONN {
			connected = nil // the connection is there (connect(2))
		}
		return !isConnecting(connected)
	}
	_ = c.SetWriteDeadline(promptDeadline(deadline)) // fails on a closed connection only, as below
	err = raw.Write(again)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		_ = c.SetWriteDeadline(deadline)
		defer context.AfterFunc(ctx, func() { _ = c.SetWriteDeadline(past) })()
		err = raw.Write(again)
	}
	if err != nil {
		return err
	}
	return os.NewSyscallError("connect", connected)
}

// socketAddress returns the family of an address without a zone, and the address as a system call takes it.
func socketAddress(a netip.AddrPort) (family int, address syscall.Sockaddr) {
	if a.Addr().Is4() {
		return syscall.AF_INET, &syscall.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return syscall.AF_INET6, &syscall.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// localAddress returns the address of this end of a connection.
func localAddress(fd int) (netip.AddrPort, error) {
	address, err := syscall.Getsockname(fd)
	switch at := address.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(at.Addr), uint16(at.Port)), nil
	case *syscall.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(at.Addr), uint16(at.Port)), nil
	}
	return netip.AddrPort{}, os.NewSyscallError("getsockname", err)
}

// Read is [net.Conn].
func (c *tcpConn) Read(p []byte) (int, error) {
	n, err := c.file.Read(p)
	return n, c.failed("read", err)
}

// Write is [net.Conn].
func (c *tcpConn) Write(p []byte) (int, error) {
	n, err := c.file.Write(p)
	return n, c.failed("write", err)
}

// failed returns the error of a file as that of a connection.
func (c *tcpConn) failed(op string, err error) error {
	var failed *fs.PathError
	if !errors.As(err, &failed) {
		return err // nil, or io.EOF
	}
	err = failed.Err
	if _, ok := err.(syscall.Errno); ok {
		err = os.NewSyscallError(op, err)
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// SetLinger is that of [net.TCPConn].
func (c *tcpConn) SetLinger(seconds int) error {
	raw, err := c.file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = syscall.SetsockoptLinger(int(fd), syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1, Linger: int32(seconds)})
	})
	return errors.Join(err, failed)
}

// Close is [net.Conn].
func (c *tcpConn) Close() error { return c.file.Close() }

// LocalAddr is [net.Conn].
func (c *tcpConn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.local) }

// RemoteAddr is [net.Conn].
func (c *tcpConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

// SetDeadline is [net.Conn].
func (c *tcpConn) SetDeadline(t time.Time) error { return c.file.SetDeadline(t) }

// SetReadDeadline is [net.Conn].
func (c *tcpConn) SetReadDeadline(t time.Time) error { return c.file.SetReadDeadline(t) }

// SetWriteDeadline is [net.Conn].
func (c *tcpConn) SetWriteDeadline(t time.Time) error { return c.file.SetWriteDeadline(t) }
