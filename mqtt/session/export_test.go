package session

import (
	"net"

	"github.com/gorilla/websocket"
)

// Websocket returns c as a stream of bytes.
func Websocket(c *websocket.Conn) net.Conn { return &wsConn{Conn: c} }
