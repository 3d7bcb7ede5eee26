package snomtest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Fault is a way in which a phone fails. The empty Fault is none.
type Fault string

// The faults. Of those that carry the request out first, a request that the phone did not let in, for
// example the one that fetches a challenge, sees nothing: it gets its 401.
const (
	FaultSlow           Fault = "slow"               // carries out, replies after 3 s
	FaultDrip           Fault = "drip"               // carries out, one byte of the reply per second
	FaultHang           Fault = "hang"               // carries nothing out, never replies
	FaultHangAfter      Fault = "hang-after"         // carries out, never replies
	FaultEmptyReply     Fault = "empty-reply"        // carries nothing out, hangs up
	FaultHangUpAfter    Fault = "hang-up-after"      // carries out, hangs up without a reply
	FaultResetBefore    Fault = "reset-before"       // carries nothing out, resets the connection
	FaultResetAfter     Fault = "reset-after"        // carries out, resets the connection without a reply
	FaultCut            Fault = "cut"                // carries out, hangs up in the middle of the reply's body
	FaultCutHeader      Fault = "cut-header"         // carries out, hangs up in the middle of the reply's header
	FaultEndlessBody    Fault = "endless-body"       // carries out, a reply that never ends
	FaultEndlessHeader  Fault = "endless-header"     // carries out, a reply header that never ends
	FaultBrokenHead     Fault = "broken-head"        // carries out, a reply whose head breaks the rules of HTTP
	FaultGarbage        Fault = "garbage"            // carries nothing out, replies something that is not HTTP
	FaultHTML           Fault = "html"               // carries nothing out, replies 200 with the login form of another device
	FaultLoginPage      Fault = "login-page"         // carries nothing out, replies 200 with the failed login page
	FaultForbidden      Fault = "403"                // carries nothing out
	FaultNotFound       Fault = "404"                // carries nothing out
	FaultServerError    Fault = "500"                // carries nothing out
	FaultUnavailable    Fault = "503"                // carries nothing out
	FaultRedirect       Fault = "redirect"           // carries nothing out, redirects to a login page
	FaultHTTPS          Fault = "https-only"         // carries nothing out, redirects to https by a 307
	FaultChoke          Fault = "choke"              // carries nothing out that comes while, or within 20 ms after, another is served
	FaultRefuseConnects Fault = "refuse-connections" // refuses connections; needs NewServer, NewPipe or Listen
)

// chokeGap is how soon after another a request chokes a phone that chokes.
const chokeGap = 20 * time.Millisecond

// FaultNames returns every fault there is, sorted, without the empty one.
func FaultNames() []string {
	var names []string
	for f := range faults() {
		names = append(names, string(f))
	}
	names = append(names, string(FaultRefuseConnects))
	slices.Sort(names)
	return names
}

// ParseFault returns the fault of that name; the empty name and "none" mean no fault.
func ParseFault(name string) (Fault, error) {
	switch {
	case name == "" || name == "none":
		return "", nil
	case slices.Contains(FaultNames(), name):
		return Fault(name), nil
	}
	return "", fmt.Errorf("snomtest: fault %q: expected none, %s", name, joined(FaultNames()))
}

// SetFault makes the phone fail in this way until the next call. A fault that is not one of the
// constants is none.
func (p *Phone) SetFault(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.fault
	p.fault = f
	if p.down {
		return
	}
	switch {
	case f == FaultRefuseConnects:
		p.shut()
	case before == FaultRefuseConnects:
		p.open()
	}
}

// A failure is what a fault does: it replies instead of carrying the request out, or carries it out
// and sends the reply in its own manner.
type failure struct {
	instead    *reply
	manner     manner
	whole      bool // the manner sends the whole reply, to a client that waits for it
	onlyChoked bool
}

func faults() map[Fault]failure {
	instead := func(rep reply) failure { return failure{instead: &rep} }
	choke := instead(reply{manner: cutHeader})
	choke.onlyChoked = true
	return map[Fault]failure{
		FaultSlow:          {manner: slowly, whole: true},
		FaultDrip:          {manner: drip, whole: true},
		FaultHang:          instead(reply{manner: hang}),
		FaultHangAfter:     {manner: hang},
		FaultEmptyReply:    instead(reply{manner: hangUp}),
		FaultHangUpAfter:   {manner: hangUp},
		FaultResetBefore:   instead(reply{manner: reset}),
		FaultResetAfter:    {manner: reset},
		FaultCut:           {manner: cutBody},
		FaultCutHeader:     {manner: cutHeader},
		FaultEndlessBody:   {manner: endlessBody},
		FaultEndlessHeader: {manner: endlessHeader},
		FaultBrokenHead:    {manner: brokenHead, whole: true},
		FaultGarbage:       instead(reply{manner: garbage}),
		FaultHTML:          instead(otherDevice()),
		FaultLoginPage:     instead(loginFailed()),
		FaultForbidden:     instead(errorPage(http.StatusForbidden, "Forbidden")),
		FaultNotFound:      instead(errorPage(http.StatusNotFound, "Not found")),
		FaultServerError:   instead(errorPage(http.StatusInternalServerError, "Internal error")),
		FaultUnavailable:   instead(errorPage(http.StatusServiceUnavailable, "Busy")),
		FaultRedirect:      instead(reply{status: http.StatusFound, location: "/login.htm"}),
		FaultHTTPS:         instead(reply{status: http.StatusTemporaryRedirect, location: "https://localhost/"}),
		FaultChoke:         choke,
	}
}

// A manner is how a reply is sent. The nil manner sends it as it is, at once.
type manner func(ctx context.Context, w http.ResponseWriter, rep reply)

// otherDevice is the first page of a device that is no phone.
func otherDevice() reply {
	rep := pageOf(http.StatusOK, "Router", "<form action=/login>User <input name=u> Password <input type=password name=p></form>")
	rep.server = "lighttpd"
	return rep
}

// slowly sends the whole reply, late.
func slowly(ctx context.Context, w http.ResponseWriter, rep reply) {
	if pause(ctx, 3*time.Second) != nil {
		panic(http.ErrAbortHandler)
	}
	rep.write(w)
}

// drip sends the whole reply, its body at one byte per second.
func drip(ctx context.Context, w http.ResponseWriter, rep reply) {
	rep.writeHeader(w)
	for i := range len(rep.body) {
		if flush(w) != nil || pause(ctx, time.Second) != nil {
			panic(http.ErrAbortHandler)
		}
		if _, err := io.WriteString(w, rep.body[i:i+1]); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}

// hang never replies.
func hang(ctx context.Context, w http.ResponseWriter, rep reply) {
	<-ctx.Done()
	hangUp(ctx, w, rep)
}

// hangFor replies with nothing, after d.
func hangFor(d time.Duration) manner {
	return func(ctx context.Context, w http.ResponseWriter, rep reply) {
		_ = pause(ctx, d) // it hangs up either way
		hangUp(ctx, w, rep)
	}
}

// hangUp closes the connection.
func hangUp(context.Context, http.ResponseWriter, reply) { panic(http.ErrAbortHandler) }

// reset breaks the connection off, by a TCP reset where there is TCP.
func reset(ctx context.Context, w http.ResponseWriter, _ reply) {
	raw(ctx, w, func(conn net.Conn, _ *bufio.ReadWriter) {
		if tcp := tcpOf(conn); tcp != nil {
			_ = tcp.SetLinger(0) // then it is an orderly close
			_ = tcp.Close()      // without the alert that ends TLS; it cannot be closed yet
		}
	})
}

// cutBody promises more of a body than it sends.
func cutBody(ctx context.Context, w http.ResponseWriter, rep reply) {
	raw(ctx, w, func(_ net.Conn, b *bufio.ReadWriter) {
		rep.writeRawHeader(b, len(rep.body)+100)
		b.WriteString(rep.body)
		_ = b.Flush() // the client may be gone already, which is much the same
	})
}

// cutHeader stops in the middle of a header line.
func cutHeader(ctx context.Context, w http.ResponseWriter, _ reply) {
	raw(ctx, w, func(_ net.Conn, b *bufio.ReadWriter) {
		b.WriteString("HTTP/1.1 200 OK\r\nServer: snom emb")
		_ = b.Flush() // as above
	})
}

// brokenHead sends the whole reply, with the status line twice, a line without a colon and two lengths.
func brokenHead(ctx context.Context, w http.ResponseWriter, rep reply) {
	raw(ctx, w, func(_ net.Conn, b *bufio.ReadWriter) {
		line := fmt.Sprintf("HTTP/1.0 %d %s\r\n", rep.status, http.StatusText(rep.status))
		fmt.Fprintf(b, "%s%sServer: %s\r\nsnom embedded\r\n", line, line, serverName)
		if rep.location != "" {
			fmt.Fprintf(b, "Location: %s\r\n", rep.location)
		}
		fmt.Fprintf(b, "Content-Length: %d\r\nContent-Length: %d\r\n\r\n%s", len(rep.body), len(rep.body)+1, rep.body)
		_ = b.Flush() // the client may be gone already
	})
}

// garbage is not HTTP.
func garbage(ctx context.Context, w http.ResponseWriter, _ reply) {
	raw(ctx, w, func(_ net.Conn, b *bufio.ReadWriter) {
		b.WriteString("\x00\x01snom\xff\r\n\r\n")
		_ = b.Flush() // as above
	})
}

// endlessBody sends a body until the client closes the connection.
func endlessBody(ctx context.Context, w http.ResponseWriter, rep reply) {
	rep.header(w)
	w.WriteHeader(http.StatusOK)
	for ctx.Err() == nil {
		if _, err := io.WriteString(w, strings.Repeat("<p>snom</p>\n", 1000)); err != nil {
			break
		}
	}
	panic(http.ErrAbortHandler)
}

// endlessHeader sends header lines until the client closes the connection.
func endlessHeader(ctx context.Context, w http.ResponseWriter, _ reply) {
	raw(ctx, w, func(_ net.Conn, b *bufio.ReadWriter) {
		b.WriteString("HTTP/1.1 200 OK\r\n")
		for n := 0; b.Flush() == nil; n++ {
			fmt.Fprintf(b, "X-Snom-%d: %s\r\n", n, strings.Repeat("x", 1000))
		}
	})
}

// raw hands the connection itself to f, and closes it.
func raw(ctx context.Context, w http.ResponseWriter, f func(net.Conn, *bufio.ReadWriter)) {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		panic(http.ErrAbortHandler) // no connection behind this: break off
	}
	conn, b, err := hijacker.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	f(conn, b)
}

// tcpOf digs out the TCP connection below TLS and wrappers; nil when there is none.
func tcpOf(conn net.Conn) *net.TCPConn {
	for {
		switch c := conn.(type) {
		case *net.TCPConn:
			return c
		case interface{ NetConn() net.Conn }:
			conn = c.NetConn()
		default:
			return nil
		}
	}
}

func flush(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() }

// A reply is what the phone answers.
type reply struct {
	status       int
	location     string
	authenticate []string
	contentType  string
	server       string // instead of the phone's
	body         string
	manner       manner
	whole        bool // in spite of its manner
}

func (rep reply) send(ctx context.Context, w http.ResponseWriter) {
	if rep.manner == nil {
		rep.write(w)
		return
	}
	rep.manner(ctx, w, rep)
}

// statusSeen is the status a client can make out: 0 when the reply is broken.
func (rep reply) statusSeen() int {
	if rep.manner == nil || rep.whole {
		return rep.status
	}
	return 0
}

// write sends the whole reply. That the client has gone is not an error.
func (rep reply) write(w http.ResponseWriter) {
	rep.writeHeader(w)
	_, _ = io.WriteString(w, rep.body)
}

func (rep reply) writeHeader(w http.ResponseWriter) {
	rep.header(w)
	w.Header().Set("Content-Length", strconv.Itoa(len(rep.body)))
	w.WriteHeader(rep.status)
}

func (rep reply) header(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Server", or(rep.server, serverName))
	h.Set("Content-Type", or(rep.contentType, "text/html"))
	if rep.location != "" {
		h.Set("Location", rep.location)
	}
	for _, challenge := range rep.authenticate {
		h.Add("WWW-Authenticate", challenge)
	}
}

func (rep reply) writeRawHeader(w io.Writer, length int) {
	fmt.Fprintf(w, "HTTP/1.1 %d %s\r\nServer: %s\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n",
		rep.status, http.StatusText(rep.status), serverName, length)
}

// serverName is the Server header of desk phones (Greenbone, gb_snom_http_detect.nasl).
const serverName = "snom embedded"
