package phoneweb

import (
	"bytes"
	"fmt"
	"net"
	"strings"
)

// maxLine bounds a request line as it comes, in bytes. Ours; an action URL with everything in it has
// about one thousand.
const maxLine = 8 << 10

// mendLine makes of the first line of a request, without its line end, one that net/http reads. How
// phones escape what they put into an action URL is documented nowhere, and some devices leave
// spaces as they are. Whatever may not stand in a request target is escaped: spaces, quotes, angle
// brackets, the hash that would begin a fragment, control characters, everything beyond ASCII, and
// a percent sign that escapes nothing. What is no request line at all is left as it is.
//
// An & within a value cannot be told from one between two values here; snom.ParseEvent does that.
func mendLine(line []byte) []byte {
	method, rest, ok := bytes.Cut(line, []byte(" "))
	end := bytes.LastIndexByte(rest, ' ')
	if !ok || end < 0 || !bytes.HasPrefix(rest[end+1:], []byte("HTTP/")) {
		return line
	}
	target, version := bytes.TrimLeft(rest[:end], " "), rest[end+1:]
	mended := make([]byte, 0, len(line)+16)
	mended = append(append(mended, method...), ' ')
	for i, c := range target {
		if mayStand(c) && (c != '%' || escapes(target[i:])) {
			mended = append(mended, c)
		} else {
			mended = fmt.Appendf(mended, "%%%02X", c)
		}
	}
	return append(append(mended, ' '), version...)
}

// mayStand says whether c may stand in the path and query of a URI (RFC 3986).
func mayStand(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		strings.IndexByte("-._~!$&'()*+,;=:@/?[]%", c) >= 0
}

// escapes says whether s begins with %XX.
func escapes(s []byte) bool {
	isHex := func(c byte) bool {
		return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
	}
	return len(s) > 2 && isHex(s[1]) && isHex(s[2])
}

// mendedConn mends the first line that is read from a connection. There is one request on each.
type mendedConn struct {
	net.Conn
	begun bool
	head  []byte // read from Conn, mended, not yet handed on
	err   error  // of the reading of head
}

func (c *mendedConn) Read(p []byte) (int, error) {
	if !c.begun {
		c.begun = true
		c.readLine()
	}
	if len(c.head) > 0 {
		n := copy(p, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	if c.err != nil {
		return 0, c.err
	}
	return c.Conn.Read(p)
}

// readLine reads up to the end of the first line, or as much as one may have.
func (c *mendedConn) readLine() {
	buf := make([]byte, 0, 2<<10)
	for len(buf) <= maxLine {
		n, err := c.Conn.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if end := bytes.IndexByte(buf, '\n'); end >= 0 {
			line, cr := bytes.CutSuffix(buf[:end], []byte("\r"))
			head := mendLine(line)
			if cr {
				head = append(head, '\r')
			}
			buf = append(head, buf[end:]...)
			c.head, c.err = buf, err
			return
		}
		if err != nil {
			c.err = err
			break
		}
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
	}
	c.head = buf
}
