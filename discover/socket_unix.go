//go:build unix

package discover

import (
	"net"
	"os"
	"syscall"

	"golang.org/x/net/ipv4"
)

// listen returns a socket that receives what is sent to the group, and nothing else: it is bound to the address of the group and not,
// as by net.ListenMulticastUDP, to every address, where it could take messages from a SIP server on this machine.
func listen(group *net.UDPAddr, interfaces []net.Interface) ([]*net.UDPConn, error) {
	syscall.ForkLock.RLock()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	file := os.NewFile(uintptr(fd), "announcements")
	defer file.Close() // FilePacketConn has a copy
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return nil, os.NewSyscallError("setsockopt", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Port: group.Port, Addr: [4]byte(group.IP.To4())}); err != nil {
		return nil, os.NewSyscallError("bind", err)
	}
	packets, err := net.FilePacketConn(file)
	if err != nil {
		return nil, err
	}
	socket, _ := packets.(*net.UDPConn) // a datagram socket of AF_INET is one
	joined := false
	for i := range interfaces {
		if jerr := ipv4.NewPacketConn(socket).JoinGroup(&interfaces[i], group); jerr == nil {
			joined = true
		} else {
			err = jerr
		}
	}
	if !joined {
		socket.Close()
		return nil, err
	}
	return []*net.UDPConn{socket}, nil
}
