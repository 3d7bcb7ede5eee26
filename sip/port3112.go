package sip

import (
	"bufio"
	"context"
	"net"
	"strings"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// Port3112 asks whether a host serves HTTP on port 3112, without a login, and returns a sentence about it; empty: nothing is there.
// One source uses that port for the minibrowser of D862 and D865 (Golpe82/snom-baos777, iot/knx/models.py); no second one was found.
func Port3112(ctx context.Context, host string) string {
	if host == "" {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(host, "3112"))
	if err != nil {
		return ""
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err := conn.Write([]byte("GET / HTTP/1.0\r\nHost: " + uriHost(host) + ":3112\r\n\r\n")); err != nil {
		return ""
	}
	line, err := bufio.NewReaderSize(conn, 256).ReadSlice('\n')
	if err != nil || !strings.HasPrefix(string(line), "HTTP/") {
		return "Port 3112 is open and does not serve HTTP."
	}
	_, status, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
	return "Port 3112 serves HTTP (" + snom.Foreign(status) + "): one program of Snom's pushes pages there; it is not confirmed, and the bridge does not use it. A report is welcome."
}
