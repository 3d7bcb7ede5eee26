package paging

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
)

// A Sender sends to multicast addresses.
type Sender struct {
	Interface string // the name of a network interface, or an address that it has; empty: the system's route decides
	TTL       int    // routers that a packet may pass, plus one; 0: 1
}

// expedited is the DSCP of voice, EF (RFC 3246), as a type of service.
const expedited = 46 << 2

// ErrNetwork means that the network does not take packets.
var ErrNetwork = errors.New("paging: the network does not take it")

// A multicastConn sends to one address.
type multicastConn struct {
	*net.UDPConn
	to netip.AddrPort
}

func (c multicastConn) Write(p []byte) (int, error) { return c.WriteToUDPAddrPort(p, c.to) }

// dial returns a connection that sends to a multicast address.
func (s Sender) dial(address string) (_ net.Conn, err error) {
	to, err := ParseAddress(address)
	if err != nil {
		return nil, err
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4zero})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNetwork, err)
	}
	defer func() {
		if err != nil {
			_ = conn.Close() // nothing was sent
		}
	}()
	p := ipv4.NewPacketConn(conn)
	if s.Interface != "" {
		i, err := networkInterface(s.Interface)
		if err != nil {
			return nil, err
		}
		if err := p.SetMulticastInterface(i); err != nil {
			return nil, fmt.Errorf("%w: interface %s: %w", ErrNetwork, s.Interface, err)
		}
	}
	if err := p.SetMulticastTTL(max(s.TTL, 1)); err != nil {
		return nil, fmt.Errorf("%w: time to live: %w", ErrNetwork, err)
	}
	_ = p.SetMulticastLoopback(true) // so that programs of this machine receive it; it is the default where it cannot be set
	_ = p.SetTOS(expedited)          // a wish
	return multicastConn{conn, to}, nil
}

// networkInterface returns the interface of a name, or the one that has an address.
func networkInterface(name string) (*net.Interface, error) {
	ip, err := netip.ParseAddr(name)
	if err != nil {
		i, err := net.InterfaceByName(name)
		if err != nil {
			return nil, fmt.Errorf("%w: this machine has no network interface %q", ErrNetwork, name)
		}
		return i, nil
	}
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNetwork, err)
	}
	for _, i := range all {
		addrs, _ := i.Addrs() // of one that is gone: none
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && n.IP.Equal(ip.AsSlice()) {
				return &i, nil
			}
		}
	}
	return nil, fmt.Errorf("%w: no network interface of this machine has the address %s", ErrNetwork, ip)
}

// ParseAddress reads the address of a group of listeners: an IPv4 multicast address and a port.
func ParseAddress(text string) (netip.AddrPort, error) {
	a, err := netip.ParseAddrPort(text)
	if err != nil || !a.Addr().Is4() || !a.Addr().IsMulticast() || a.Port() == 0 || a.String() != text {
		return netip.AddrPort{}, fmt.Errorf("paging: expected an IPv4 multicast address and a port, such as 239.255.10.1:5004, got %q", text)
	}
	return a, nil
}
