//go:build !linux

package paho3

import "net"

// quickAck returns a function that does nothing: only Linux can acknowledge at once.
func quickAck(net.Conn) func() { return func() {} }
