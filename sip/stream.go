package sip

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// stream sends a request over a TCP or TLS connection of its own and waits for its final answer until deadline. sent says whether
// it may have arrived. It does not begin to write when the step is over.
func (e *Endpoint) stream(ctx context.Context, address string, secure *tls.Config, r *request, step snom.Step, deadline time.Time) (answer response, sent bool, err error) {
	conn, err := e.connect(ctx, address, secure, step.NotAfter, deadline)
	if err != nil {
		if errors.Is(step.Over(), snom.ErrExpired) {
			err = fmt.Errorf("%w: the phone did not accept the connection in time", snom.ErrExpired)
		}
		return response{}, false, snom.NotSent(err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	r.via = streamProtocol(secure) + " " + conn.LocalAddr().String()
	if err := step.Over(); err != nil {
		return response{}, false, err
	}
	if err := conn.SetDeadline(deadline); err != nil {
		return response{}, false, snom.NotSent(err)
	}
	if _, err := conn.Write(r.text()); err != nil {
		return response{}, true, lost(ctx, err)
	}
	in := bufio.NewReaderSize(conn, maxLine)
	for {
		answer, err := readAnswer(in)
		switch {
		case err != nil:
			return response{}, true, lost(ctx, err)
		case answer.status >= 200 && answer.branch == r.branch && answer.callID == r.callID && answer.cseq == r.cseq && answer.method == r.method:
			return answer, true, nil
		}
	}
}

func streamProtocol(secure *tls.Config) string {
	if secure != nil {
		return "TLS"
	}
	return "TCP"
}

// connect connects to a phone, and shakes hands where secure is set.
func (e *Endpoint) connect(ctx context.Context, address string, secure *tls.Config, notAfter, deadline time.Time) (net.Conn, error) {
	if !notAfter.IsZero() && notAfter.Before(deadline) {
		deadline = notAfter
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	conn, err := e.config.Dial(ctx, "tcp", address)
	if err != nil || secure == nil {
		return conn, err
	}
	over := tls.Client(conn, secure)
	if err := over.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // nothing was said over it
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return over, nil
}

// lost is the error of a request that was written, at least in part, and not answered, because of err.
func lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	} else if errors.Is(err, io.EOF) {
		err = errors.New("it closed the connection")
	}
	return fmt.Errorf("%w: %s", snom.ErrOutcomeUnknown, snom.Foreign(err.Error()))
}

// maxLine is the size of the buffer that a line of a message fits into.
const maxLine = 8 << 10

// readAnswer reads messages until one is a response, which it returns without its body. On a connection a message ends where its
// Content-Length says (RFC 3261 section 18.3); without one it has no body.
func readAnswer(in *bufio.Reader) (response, error) {
	for {
		head, err := readHead(in)
		if err != nil {
			return response{}, err
		}
		r, err := parse(head)
		if err != nil {
			return response{}, err // what follows may be a body
		}
		if _, err := in.Discard(max(r.length, 0)); err != nil {
			return response{}, err
		}
		return r, nil
	}
}

// readHead reads the lines up to an empty one. Empty lines before them keep a connection alive (RFC 5626).
func readHead(in *bufio.Reader) ([]byte, error) {
	var head []byte
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if empty := len(line) == 1 || len(line) == 2 && line[0] == '\r'; empty && len(head) > 0 {
			return head, nil
		} else if empty {
			continue
		}
		if head = append(head, line...); len(head) > maxHead {
			return nil, errMalformed
		}
	}
}
