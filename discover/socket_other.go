//go:build !unix

package discover

import "net"

// listen returns a socket for each interface: other systems do not bind to the address of a group.
func listen(group *net.UDPAddr, interfaces []net.Interface) (sockets []*net.UDPConn, err error) {
	for i := range interfaces {
		socket, lerr := net.ListenMulticastUDP("udp4", &interfaces[i], group)
		if lerr != nil {
			err = lerr
			continue
		}
		sockets = append(sockets, socket)
	}
	if len(sockets) > 0 {
		return sockets, nil
	}
	return nil, err
}
