package snom

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// promptReply is how long a reply is waited for before the context of the request is watched. Phones reply within some tens
// of milliseconds, and watching a context took 3 % of the processor time of a command.
const promptReply = 50 * time.Millisecond

// A replyConn is the connection that a reply is read from. Reading fails at a deadline, and when the context ends, which is
// noticed after promptReply at the earliest.
type replyConn struct {
	ctx      context.Context
	conn     net.Conn
	deadline time.Time
	stop     func() bool // ends watching the context; nil: it is not watched yet
}

// begin makes r read from conn, until end is called.
func (r *replyConn) begin(ctx context.Context, conn net.Conn, deadline time.Time) io.Reader {
	*r = replyConn{ctx: ctx, conn: conn, deadline: deadline}
	prompt := time.Now().Add(promptReply)
	if prompt.After(deadline) {
		prompt = deadline
	}
	_ = conn.SetReadDeadline(prompt) // fails on a closed connection only, as below
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
	r.stop = context.AfterFunc(r.ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	return r.conn.Read(p)
}

func (r *replyConn) end() {
	if r.stop != nil {
		r.stop()
	}
	*r = replyConn{}
}
