package paho3

import (
	"crypto/tls"
	"net"
	"testing"
)

// quickAck finds the TCP connection below TLS and websockets.
func TestQuickAckFindsTheSocket(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time on a closed connection
		for _, c := range []net.Conn{c, tls.Client(c, &tls.Config{ServerName: "x"})} {
			quickAck(c)()
		}
		c.Close()
	}
	near, _ := net.Pipe()
	quickAck(near)()
}
