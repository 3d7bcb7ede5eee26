package snom

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// promptly is how long a connection, and a reply, is waited for before the context of the request is watched. Phones reply
// within some tens of milliseconds, and watching a context took 3 % of the processor time of a command.
const promptly = 50 * time.Millisecond

// promptDeadline is when the context is to be watched, or the deadline, if that is earlier.
func promptDeadline(deadline time.Time) time.Time {
	if prompt := time.Now().Add(promptly); prompt.Before(deadline) {
		return prompt
	}
	return deadline
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// A replyConn is the connection that a reply is read from. Reading fails at a deadline, and when the context ends, which is
// noticed after promptly at the earliest.
type replyConn struct {
	ctx      context.Context
	conn     net.Conn
	deadline time.Time
	stop     func() bool // ends watching the context; nil: it is not watched yet
}

// begin makes r read from conn, until end is called.
func (r *replyConn) begin(ctx context.Context, conn net.Conn, deadline time.Time) io.Reader {
	*r = replyConn{ctx: ctx, conn: conn, deadline: deadline}
	_ = conn.SetReadDeadline(promptDeadline(deadline)) // fails on a closed connection only, as below
	return r
}

// Read is [io.Reader].
func (r *replyConn) Read(p []byte) (int, error) {
	n, err := r.conn.Read(p)
	if n > 0 || r.stop != nil || !errors.Is(err, os.ErrDeadlineExceeded) {
		return n, err
	}
	_ = r.conn.SetReadDeadline(r.deadline)
	conn := r.conn
	r.stop = context.AfterFunc(r.ctx, func() { _ = conn.SetReadDeadline(past) })
	return r.conn.Read(p)
}

func (r *replyConn) end() {
	if r.stop != nil {
		r.stop()
	}
	*r = replyConn{}
}
