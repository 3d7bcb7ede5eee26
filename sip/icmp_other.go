//go:build !linux

package sip

import (
	"net"
)

// listenUDP opens a socket. This system does not say which datagram was refused by ICMP.
func listenUDP(address string) (net.PacketConn, error) {
	if address == "" {
		address = ":0"
	}
	return net.ListenPacket("udp", address)
}

func isRefusal(error) bool { return false }

func eachRefusal(net.PacketConn, []byte, func([]byte, error)) {}
