//go:build !linux

package snom

import (
	"context"
	"net"
	"time"
)

// dialAddress connects to an IP address and a port.
func dialAddress(ctx context.Context, deadline time.Time, addr string) (net.Conn, error) {
	return dialName(ctx, deadline, addr)
}
