package snom

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxHead and maxBody bound, in bytes, what is read of a reply. What a longer page has after them
	// is not evaluated. maxPage has the exceptions.
	maxHead = 64 << 10
	maxBody = 64 << 10
	// maxHeaderLine bounds what is kept of one line of a head, maxHeads the heads of one reply: interim ones, and
	// one that is sent twice.
	maxHeaderLine = 8 << 10
	maxHeads      = 1 << 12
)

// A replyHead is what is used of the head of a reply. It is read tolerantly, because the web servers of small devices
// are known for heads that net/http refuses: the status line twice, lines without a colon, two lengths, no empty line
// before the page. What is certain counts, and the rest is ignored.
type replyHead struct {
	status       int
	other        int   // another status that a second status line has; 0: none
	length       int64 // of the body in bytes; -1: not known
	vague        bool  // there are several lengths, or one that is none
	chunked      bool
	location     string
	server       string
	authenticate []string // the WWW-Authenticate headers
	started      bool     // the body began without an empty line before it
}

var (
	errNotHTTP  = errors.New("its reply is not HTTP, or was cut off")
	errCutHead  = errors.New("it closed the connection before the head of its reply was complete")
	errLongHead = fmt.Errorf("the head of its reply is longer than %d bytes", maxHead)
)

// A headReader reads the head of a reply. It is part of a scratch, so that an exchange allocates little.
type headReader struct {
	limited io.LimitedReader // what is below in; its limit is that of a head
	in      *bufio.Reader
	line    []byte // the line that was read last
}

// from makes r read from a connection, its head first.
func (r *headReader) from(conn io.Reader) {
	r.limited = io.LimitedReader{R: conn, N: maxHead}
	r.in.Reset(&r.limited)
}

// read reads the head, after any interim ones. When the error is not nil, the status is that of the status line, if
// there was one.
func (r *headReader) read() (replyHead, error) {
	const alert = 0x15 // the first byte of a TLS server's reply to a request in plain text
	if first, err := r.in.Peek(1); err == nil && first[0] == alert {
		return replyHead{}, fmt.Errorf("%w: it speaks TLS on this port: expected https:// in its URL, or another port", ErrPhone)
	}
	for range maxHeads {
		h, err := r.one()
		if err != nil || h.status >= 200 {
			return h, err
		}
	}
	return replyHead{}, errLongHead
}

// one reads one head.
func (r *headReader) one() (replyHead, error) {
	h := replyHead{length: -1}
	const blank = 4 // empty lines that are skipped before the status line
	for i := 0; h.status == 0; i++ {
		whole, err := r.next()
		if err != nil {
			return h, err
		}
		status, ok := statusOf(r.line)
		switch h.status = status; {
		case ok && !whole:
			return h, errCutHead
		case !ok && (len(r.line) > 0 || i == blank || !whole):
			return h, errNotHTTP
		}
	}
	err := r.fields(&h)
	return h, err
}

// fields reads the lines after the status line into h.
func (r *headReader) fields(h *replyHead) error {
	var last *string // the value that a folded line continues
	var lengths int
	for {
		whole, err := r.next()
		switch {
		case err != nil && errors.Is(err, io.EOF) && (h.length <= 0 || h.vague) && !h.chunked:
			h.length = 0 // the connection was closed instead of an empty line
			return nil
		case err != nil:
			return err
		case len(r.line) == 0:
			return nil
		case r.line[0] == '<':
			h.started = true
			return nil
		case !whole:
			return errCutHead
		case r.line[0] == ' ' || r.line[0] == '\t':
			if last != nil && len(*last) < maxHeaderLine {
				*last = strings.TrimSpace(*last + " " + string(bytes.TrimSpace(r.line)))
			}
			continue
		}
		if status, ok := statusOf(r.line); ok {
			switch {
			case h.status < 200:
				h.status = status
			case status != h.status:
				h.other = status
			}
			continue
		}
		name, value, found := bytes.Cut(r.line, []byte(":"))
		if last = nil; found {
			last = h.set(bytes.TrimSpace(name), bytes.TrimSpace(value), &lengths)
		}
	}
}

// set notes a header field, and returns where its value is kept.
func (h *replyHead) set(name, value []byte, lengths *int) *string {
	switch {
	case is(name, "Content-Length"):
		n, ok := contentLength(string(value))
		switch *lengths++; {
		case *lengths == 1 && ok:
			h.length = n
		case !ok || n != h.length:
			h.vague = true
			if ok && (h.length < 0 || n < h.length) { // the one that certainly is there
				h.length = n
			}
		}
	case is(name, "Transfer-Encoding"):
		h.chunked = bytes.HasSuffix(bytes.ToLower(value), []byte("chunked"))
	case is(name, "Location"):
		h.location = string(value)
		return &h.location
	case is(name, "Server"):
		h.server = string(value)
		return &h.server
	case is(name, "WWW-Authenticate"):
		h.authenticate = append(h.authenticate, string(value))
		return &h.authenticate[len(h.authenticate)-1]
	}
	return nil
}

// is reports whether name is the name of a header field, in any case.
func is(name []byte, field string) bool {
	return len(name) == len(field) && strings.EqualFold(string(name), field)
}

// contentLength reads the value of a Content-Length header. A list of equal numbers is that number (RFC 9110, section
// 8.6).
func contentLength(value string) (int64, bool) {
	first, rest, _ := strings.Cut(value, ",")
	n, err := strconv.ParseInt(strings.TrimSpace(first), 10, 64)
	for other := range strings.SplitSeq(rest, ",") {
		if other = strings.TrimSpace(other); other != "" && other != strings.TrimSpace(first) {
			return 0, false
		}
	}
	return n, err == nil && n >= 0
}

// next reads the next line, of which it keeps maxHeaderLine bytes, into r.line, without its end. It is not whole when
// the connection was closed within it. The error is io.EOF when the connection was closed before it.
func (r *headReader) next() (whole bool, err error) {
	r.line = r.line[:0]
	for {
		part, err := r.in.ReadSlice('\n')
		r.line = append(r.line, part[:min(len(part), maxHeaderLine-len(r.line))]...)
		switch {
		case err == nil:
			r.line = bytes.TrimRight(r.line, "\r\n")
			return true, nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && r.limited.N == 0:
			return false, errLongHead
		case errors.Is(err, io.EOF) && len(r.line) > 0:
			return false, nil
		default:
			return false, err
		}
	}
}

// statusOf reads a status line: "HTTP/1.1 200 OK". The version and the reason may be missing.
func statusOf(line []byte) (status int, ok bool) {
	const protocol = "HTTP"
	if len(line) < len(protocol) || !strings.EqualFold(string(line[:len(protocol)]), protocol) {
		return 0, false
	}
	rest := line[len(protocol):]
	blank := bytes.IndexAny(rest, " \t")
	if blank < 0 || blank > 0 && rest[0] != '/' {
		return 0, false
	}
	rest = bytes.TrimLeft(rest[blank:], " \t")
	if len(rest) < 3 || len(rest) > 3 && isDigit(rest[3]) {
		return 0, false
	}
	n, err := strconv.ParseUint(string(rest[:3]), 10, 16)
	return int(n), err == nil && n >= 100
}

// body reads the body of the reply whose head is h, at most most bytes of it, and appends it to b. Where a second head
// follows, as from a program that writes one below a server that has written one, it is skipped. The error reports
// a body that is not complete.
func (r *headReader) body(h *replyHead, b []byte, most int64) ([]byte, error) {
	if !h.started {
		if err := r.secondHead(h); err != nil {
			return b, err
		}
	}
	if h.started {
		b = append(append(b, r.line...), '\n')
		if h.length >= 0 {
			h.length = max(0, h.length-int64(len(b))-1)
		}
	}
	r.limited.N = math.MaxInt64 // most is the bound
	switch {
	case h.chunked && r.chunkFollows():
		b, err := appendAll(b, httputil.NewChunkedReader(r.in), most)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !isNetwork(err) {
			err = nil // its chunks are broken: what came before them can be read
		}
		return b, err
	case h.length >= 0 && !h.chunked:
		size := min(most, h.length)
		before := len(b)
		b, err := appendAll(b, r.in, size)
		if err == nil && int64(len(b)-before) < size && !h.started && !h.vague {
			err = io.ErrUnexpectedEOF
		}
		return b, err
	}
	return appendAll(b, r.in, most)
}

// secondHead reads a second head, if one follows. It looks for one only where so much of a body is announced.
func (r *headReader) secondHead(h *replyHead) error {
	const protocol = "HTTP/"
	if h.chunked || h.length >= 0 && h.length < int64(len("HTTP/1.1 200")) {
		return nil
	}
	if begin, err := r.in.Peek(len(protocol)); err != nil || string(begin) != protocol {
		return nil // it is the body, which is read next
	}
	first := *h
	r.limited.N = maxHead
	before := r.limited.N + int64(r.in.Buffered())
	second, err := r.one()
	if err != nil {
		return err
	}
	if taken := before - r.limited.N - int64(r.in.Buffered()); second.length < 0 && first.length >= 0 {
		second.length = max(0, first.length-taken)
	}
	h.length, h.chunked, h.started = second.length, second.chunked, second.started
	if second.status != h.status {
		h.other = second.status
	}
	h.location, h.server = cmp.Or(second.location, h.location), cmp.Or(second.server, h.server)
	h.authenticate = append(h.authenticate, second.authenticate...)
	return nil
}

// chunkFollows reports whether the body begins with the size of a chunk. Where it does not, it is not chunked, whatever
// the head claims.
func (r *headReader) chunkFollows() bool {
	begin, err := r.in.Peek(1)
	return err != nil || isDigit(begin[0]) || 'a' <= begin[0]|0x20 && begin[0]|0x20 <= 'f'
}

// appendAll appends what in has, at most most bytes, to b.
func appendAll(b []byte, in io.Reader, most int64) ([]byte, error) {
	for most > 0 {
		if len(b) == cap(b) {
			b = slices.Grow(b, max(512, len(b))) // most pages are short
		}
		free := b[len(b):cap(b)]
		n, err := in.Read(free[:min(int64(len(free)), most)])
		b, most = b[:len(b)+n], most-int64(n)
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
	return b, nil
}

func isNetwork(err error) bool {
	var network net.Error
	return errors.As(err, &network)
}

// bodyFollows reports whether a body is expected after h. A redirect is its head; where it does not announce a
// body, a phone that keeps the connection open would be waited for in vain.
func (h *replyHead) bodyFollows() bool {
	if h.status == http.StatusNoContent || h.status == http.StatusNotModified {
		return false
	}
	return h.started || h.chunked || h.length > 0 || h.length < 0 && h.status/100 != 3
}
