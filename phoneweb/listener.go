package phoneweb

import (
	"net"

	"github.com/snom2mqtt/snom2mqtt/internal/netlimit"
)

// listener returns connections on which net/http reads one request line and no more, within the limits of
// netlimit: a connection is admitted when it has shown the token of a phone.
type listener struct {
	*netlimit.Listener
	gate gate
}

// Accept waits for the next connection and returns it as a *guardedConn.
func (l *listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &guardedConn{Conn: conn, from: netlimit.AddrOf(conn.RemoteAddr()), gate: l.gate}, nil
}
