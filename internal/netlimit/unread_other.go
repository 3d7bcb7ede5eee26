//go:build !unix

package netlimit

import "net"

// hasUnread reports whether something arrived on the connection that the server did not read yet: not known here.
func hasUnread(net.Conn) bool { return false }
