package phoneweb

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// maxHead bounds the head of a request as it comes, in bytes. Ours; an action URL with everything in
// it has about one thousand.
const maxHead = 32 << 10

// A gate says what to answer to whoever is not to be let in, 0 to all others. A request that is none
// has no method.
type gate func(r request, from netip.Addr) (status int)

// guardedConn is a connection with one request. Its head is read as a whole, and net/http gets to see
// the first line only, mended: no header means anything here, so what is wrong in one is no reason to
// refuse an event. Whoever is not let in is answered right here, which is what makes a flood of wrong
// tokens cheap; net/http then finds the connection at its end.
type guardedConn struct {
	net.Conn
	from netip.Addr
	gate gate
	done func() // gives its place back
	once sync.Once

	begun bool
	head  []byte // for net/http, not yet handed on
	err   error  // instead
}

func (c *guardedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.done)
	return err
}

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

// begin returns what net/http is to read first.
func (c *guardedConn) begin() ([]byte, error) {
	line, err := readHead(c.Conn)
	if err != nil && len(line) == 0 {
		return nil, err // it said nothing
	}
	r, ok := mendLine(line)
	if err != nil || !ok {
		r = request{}
	}
	if status := c.gate(r, c.from); status != 0 {
		c.answer(status)
		return nil, io.EOF
	}
	if r.version != "HTTP/1.0" {
		r.version = "HTTP/1.1"
	}
	return []byte(r.method + " " + r.target + " " + r.version + "\r\nHost: phone\r\n\r\n"), nil
}

// answer sends an empty answer, to one who need not have it.
func (c *guardedConn) answer(status int) {
	_ = c.SetWriteDeadline(time.Now().Add(requestTime))
	_, _ = io.WriteString(c.Conn, "HTTP/1.1 "+strconv.Itoa(status)+" "+http.StatusText(status)+"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

var errHead = errors.New("phoneweb: the head of a request is too long")

// readHead reads the head of a request, up to an empty line, and returns its first line without the
// line end. Empty lines before it do not count. With an error it returns what there was of the head.
func readHead(r io.Reader) ([]byte, error) {
	buf := make([]byte, 0, 2<<10)
	for {
		n, err := r.Read(buf[len(buf):cap(buf)])
		from := max(0, len(buf)-len("\n\r"))
		buf = buf[:len(buf)+n]
		if from == 0 {
			buf = bytes.TrimLeft(buf, "\r\n")
		}
		if len(buf) > maxHead {
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

// hasEmptyLine says whether there is an empty line in s, behind the end of another.
func hasEmptyLine(s []byte) bool {
	return bytes.Contains(s, []byte("\n\r\n")) || bytes.Contains(s, []byte("\n\n"))
}
