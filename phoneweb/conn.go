package phoneweb

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"
)

// Bounds of the head of a request as it comes, in bytes, chosen by this project: an action URL with everything in it has about one
// thousand, and the part in front of its query less than two hundred.
const (
	maxHead = 32 << 10
	maxPath = 2 << 10 // all that is read before the token is checked
)

// A gate returns the status of the answer to a request that is not served, and 0 for one that is. Of a request that
// could not be read it gets no method. It does not look at the query, which may not be there yet.
type gate func(r request, from netip.Addr) (status int)

// guardedConn is a connection with one request. Its head is read as a whole, and net/http reads its first line only,
// normalized: no header is used, so a fault in one is no reason to refuse an event. A request that is not served is
// answered here, as soon as its path is there, which makes a flood of wrong tokens cheap; net/http then finds the
// connection at its end.
type guardedConn struct {
	net.Conn
	from netip.Addr
	gate gate

	begun bool
	head  []byte // for net/http, not yet read by it
	err   error  // instead
}

// Read reads the normalized request line, then what follows the head.
func (c *guardedConn) Read(p []byte) (int, error) {
	if !c.begun {
		c.begun = true
		c.head, c.err = c.begin()
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

// begin returns what net/http reads first.
func (c *guardedConn) begin() ([]byte, error) {
	status, asked := 0, false
	line, err := readHead(c.Conn, func(path request) bool {
		status, asked = c.pass(path), true
		return status == 0
	})
	if err != nil && len(line) == 0 {
		return nil, err // nothing was sent
	}
	r, ok := normalizeLine(line)
	if err != nil || !ok {
		r = request{}
	}
	if !asked || status == 0 && r.method == "" {
		status = c.pass(r)
	}
	if status != 0 {
		c.answer(status)
		return nil, io.EOF
	}
	if r.version != "HTTP/1.0" {
		r.version = "HTTP/1.1"
	}
	return []byte(r.method + " " + r.target + " " + r.version + "\r\nHost: phone\r\n\r\n"), nil
}

// pass asks the gate, and for the connection's place among those that are admitted.
func (c *guardedConn) pass(r request) (status int) {
	if status = c.gate(r, c.from); status != 0 {
		return status
	}
	if limited, ok := c.Conn.(interface{ Admit() bool }); ok && !limited.Admit() {
		return http.StatusServiceUnavailable
	}
	return 0
}

// answer sends an empty answer. A client that does not read it loses nothing.
func (c *guardedConn) answer(status int) {
	_ = c.SetWriteDeadline(time.Now().Add(requestTime))
	_, _ = io.WriteString(c.Conn, "HTTP/1.1 "+strconv.Itoa(status)+" "+http.StatusText(status)+"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

var (
	errHead    = errors.New("phoneweb: the head of a request is too long")
	errRefused = errors.New("phoneweb: the request is not served")
)

// readHead reads the head of a request, up to an empty line, and returns its first line without the line end. Empty
// lines before it do not count. serves is asked once, when the path of the request is there; it ends reading with
// false. With an error, what there was of the head is returned.
func readHead(r io.Reader, serves func(path request) bool) ([]byte, error) {
	buf := make([]byte, 0, maxPath)
	asked := false
	for {
		n, err := r.Read(buf[len(buf):cap(buf)])
		from := max(0, len(buf)-len("\n\r"))
		buf = buf[:len(buf)+n]
		if from == 0 {
			buf = bytes.TrimLeft(buf, "\r\n")
		}
		if !asked {
			var path request
			if path, asked = readRequestPath(buf); asked && !serves(path) {
				return buf, errRefused
			}
		}
		if len(buf) > maxHead || !asked && len(buf) == maxPath {
			return buf, errHead
		}
		if hasEmptyLine(buf[from:]) {
			line, _, _ := bytes.Cut(buf, []byte("\n"))
			return bytes.TrimSuffix(line, []byte("\r")), nil
		}
		if err != nil {
			return buf, err
		}
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
	}
}

// readRequestPath reads the first line of a head up to its query; false: that is not there yet, or it is no request.
func readRequestPath(head []byte) (request, bool) {
	end := bytes.IndexAny(head, "?\n")
	switch {
	case end < 0:
		return request{}, false
	case head[end] == '\n':
		return normalizeLine(head[:end])
	}
	return normalizeLine([]byte(string(head[:end]) + " HTTP/1.1"))
}

// hasEmptyLine reports whether there is an empty line in s, behind the end of another.
func hasEmptyLine(s []byte) bool {
	return bytes.Contains(s, []byte("\n\r\n")) || bytes.Contains(s, []byte("\n\n"))
}
