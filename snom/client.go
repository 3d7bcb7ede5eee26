package snom

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// maxHead and maxBody bound, in bytes, what is read of a reply. What a longer page says after them
	// is not looked at. maxPage has the exceptions.
	maxHead = 64 << 10
	maxBody = 64 << 10
	// maxTarget bounds the target of a request, in bytes. It is ours: an outgoing SIP URI, the longest
	// argument, is at most 255 bytes before it is escaped.
	maxTarget = 8 << 10
)

// ClientConfig says how to talk to one phone. Only URL is required.
type ClientConfig struct {
	URL                string        // http://host[:port] or https://host[:port]
	Username, Password string        // of the phone's web page; without a user name the Client never logs in
	Timeout            time.Duration // for one HTTP exchange, connecting included; 0: 5 s
	Gap                time.Duration // between two requests, the two of a login too: phones choke on fast ones (BitStackers Phonio)
	TLS                TLSConfig     // for https
	UserAgent          string        // empty: "snom2mqtt"

	// Dial makes the connections; nil: a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// A Client carries commands to one phone over HTTP. Make it with [NewClient]. It may be used by several
// goroutines, but makes one request at a time: phones get confused by more (BitStackers Phonio).
//
// Each request has a connection of its own, follows no redirect, and is never repeated once a byte of it
// was sent, because asking a phone twice to press a key presses it twice. The only request that is made
// again is one that was refused for want of a login, which a phone does not carry out.
//
// A Client speaks HTTP/1.1 itself rather than through net/http's Transport: that one repeats a GET when
// a connection dies, tells less about how far a request came, and starts goroutines for connections that
// are meant to be used again.
type Client struct {
	url                string
	host               string // of the Host header
	addr               string // to dial
	username, password string
	userAgent          string
	timeout, gap       time.Duration
	tls                *tls.Config // nil: plain HTTP
	dial               func(ctx context.Context, deadline time.Time, addr string) (net.Conn, error)

	turn  chan struct{} // full while a request is under way
	login *login        // what the phone took last; nil: none. It and ready belong to whose turn it is
	ready time.Time     // when the phone may be asked again
}

// NewClient returns a Client for the phone that cfg names. It does not connect. The error says which part
// of cfg is not valid, without the password.
func NewClient(cfg ClientConfig) (*Client, error) {
	c := &Client{
		username:  cfg.Username,
		password:  cfg.Password,
		userAgent: cfg.UserAgent,
		timeout:   cfg.Timeout,
		gap:       cfg.Gap,
		dial:      dialTCP,
		turn:      make(chan struct{}, 1),
	}
	if cfg.Dial != nil {
		c.dial = func(ctx context.Context, deadline time.Time, addr string) (net.Conn, error) {
			ctx, cancel := context.WithDeadline(ctx, deadline)
			defer cancel()
			return cfg.Dial(ctx, "tcp", addr)
		}
	}
	if c.timeout == 0 {
		c.timeout = 5 * time.Second
	}
	if c.userAgent == "" {
		c.userAgent = "snom2mqtt"
	}
	switch {
	case c.timeout < 0, c.gap < 0:
		return nil, errors.New("snom: timeout, gap: want 0 or more")
	case strings.ContainsFunc(c.username+c.password+c.userAgent, isControl):
		return nil, errors.New("snom: user name, password, user agent: want no control characters")
	case strings.Contains(c.username, ":"):
		return nil, errors.New("snom: user name: want no colon: it ends the name (RFC 7617)")
	}
	u, err := parsePhoneURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	name, zone, _ := strings.Cut(u.Hostname(), "%")
	c.url = u.String()
	c.host = strings.Replace(u.Host, "%"+zone, "", 1) // a zone means something on this machine only
	if u.Scheme == "http" {
		c.addr = net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "80"))
		return c, nil
	}
	c.addr = net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "443"))
	c.tls, err = cfg.TLS.config(name)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// parsePhoneURL reads a phone's base URL, which a single slash may end. The error repeats nothing of it,
// since it may hold a password.
func parsePhoneURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err == nil && u.User != nil {
		return nil, errors.New("snom: phone URL: want no user name and no password in it")
	}
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || !validHost(u) ||
		u.Path != "" && u.Path != "/" || strings.ContainsAny(text, "?#") {
		return nil, errors.New("snom: phone URL: want http://host[:port] or https://host[:port], and nothing after it")
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

// validHost says whether u has the name or address of a host and, if any, a port that can be dialled.
func validHost(u *url.URL) bool {
	port, err := strconv.ParseUint(cmp.Or(u.Port(), "80"), 10, 16)
	if err != nil || port == 0 || strings.HasSuffix(u.Host, ":") {
		return false
	}
	name := u.Hostname()
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	odd := func(r rune) bool { return r >= 0x80 || !isAlnum(byte(r)) && !strings.ContainsRune(".-_", r) }
	return name != "" && len(name) <= 253 && !strings.ContainsFunc(name, odd)
}

// URL returns the phone's base URL, without a slash at its end.
func (c *Client) URL() string { return c.url }

// A Reply is what is left to know of a phone's answer when the error has been looked at.
type Reply struct {
	Status   int // of the answer to the last request; 0: it got none
	Requests int // HTTP requests that were sent, with the ones that only fetched a challenge
}

// Send makes the request of one step, and logs in if the phone wants that: see [Client] for what is not
// repeated. With a login that the phone has taken before, it is one request. It may take the configured
// timeout twice, since a login is an exchange of its own. It does not wait for the step's pause.
//
// No error says that the phone accepted the request. Otherwise the error wraps [ErrUnreachable],
// [ErrOutcomeUnknown], [ErrUnauthorized], [ErrLockedOut], [ErrRefused], [ErrUnsupported] or [ErrPhone];
// the first two also wrap the cause of ctx's end, if it was that.
func (c *Client) Send(ctx context.Context, s Step) (Reply, error) {
	if err := checkTarget(s.Request); err != nil {
		return Reply{}, err
	}
	if err := c.begin(ctx); err != nil {
		return Reply{}, err
	}
	defer c.end()
	p, requests, err := c.fetch(ctx, s.Request, true)
	return Reply{Status: p.status, Requests: requests}, err
}

// checkTarget keeps a request line one line of three words, and its target one quoted string.
func checkTarget(target string) error {
	bad := strings.IndexFunc(target, func(r rune) bool { return r <= ' ' || r >= 0x7F || strings.ContainsRune(`"#\`, r) })
	switch {
	case !strings.HasPrefix(target, "/"):
		return errors.New(`snom: target of a step: want a path that begins with "/"`)
	case bad >= 0:
		return fmt.Errorf(`snom: target of a step: offset %d: want visible ASCII without ", # and \`, bad)
	case len(target) > maxTarget:
		return fmt.Errorf("snom: target of a step: want at most %d bytes", maxTarget)
	}
	return nil
}

// Do carries out all steps of cmd, in the spelling of newer firmware, with their pauses between them; the
// pause of the last step is left to the caller. The Reply holds the last status and all requests.
//
// The errors are those of [Client.Send]. When the first steps of several were carried out and then one
// could not be sent, or ctx ended, the error wraps [ErrOutcomeUnknown].
func (c *Client) Do(ctx context.Context, cmd Command) (Reply, error) {
	var all Reply
	if cmd.IsZero() {
		return all, errors.New("snom: want a command, not the zero Command")
	}
	steps := cmd.Steps("")
	for i, s := range steps {
		if i > 0 {
			if err := pause(ctx, steps[i-1].Pause); err != nil {
				return all, unfinished(ctx, i, len(steps), err)
			}
		}
		r, err := c.Send(ctx, s)
		all = Reply{Status: cmp.Or(r.Status, all.Status), Requests: all.Requests + r.Requests}
		if i > 0 && errors.Is(err, ErrUnreachable) {
			err = unfinished(ctx, i, len(steps), err)
		}
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// unfinished is the error of a command whose first steps were carried out and whose next one was not sent
// because of err. It does not wrap err: the command as a whole did reach the phone.
func unfinished(ctx context.Context, done, steps int, err error) error {
	if err = errors.New(strings.TrimPrefix(err.Error(), "snom: ")); ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return fmt.Errorf("%w: %d of %d steps done, then: %w", ErrOutcomeUnknown, done, steps, err)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Reach connects to the phone and hangs up: is anybody there? It speaks neither TLS nor HTTP, so it costs
// the phone nothing. The error wraps [ErrUnreachable].
func (c *Client) Reach(ctx context.Context) error {
	if err := c.begin(ctx); err != nil {
		return err
	}
	defer c.end()
	conn, err := c.reach(ctx, time.Now().Add(c.timeout))
	if err != nil {
		return err
	}
	return conn.Close()
}

// begin waits for the turn of its caller, who must end it.
func (c *Client) begin(ctx context.Context) error {
	select {
	case c.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: another request is under way: %w", ErrUnreachable, context.Cause(ctx))
	}
}

func (c *Client) end() { <-c.turn }

// A page is a phone's reply, and what it means.
type page struct {
	status  int // 0: there was no reply
	header  http.Header
	body    []byte
	tls     *tls.ConnectionState // over https
	verdict *verdict             // nil: there was no reply
}

// meaning is the verdict; where there was no reply, one that says nothing.
func (p page) meaning() verdict {
	if p.verdict == nil {
		return verdict{}
	}
	return *p.verdict
}

// fetch asks for target and judges the reply, which it returns whatever it means, with the number of
// requests. Asked for a login, it logs in if that is allowed or if it is only the renewal of a login that
// the phone has taken before.
//
// This is where a wrong password costs one login and no more: credentials are sent in answer to a fresh
// challenge, once; they are kept only when the phone took them; and kept ones that are refused are tried
// again only where login.next sees that the password was not the reason.
func (c *Client) fetch(ctx context.Context, target string, allowed bool) (page, int, error) {
	kept := c.login
	p, sent, err := c.ask(ctx, target, kept)
	if refused(err) {
		c.login = nil
	}
	if p.status != http.StatusUnauthorized || !errors.Is(err, ErrUnauthorized) || kept == nil && !allowed {
		return p, sent, err
	}
	p, more, err := c.logIn(ctx, target, kept, p)
	return p, sent + more, err
}

// refused says whether err says that the phone does not take the login that it was sent.
func refused(err error) bool { return errors.Is(err, ErrUnauthorized) || errors.Is(err, ErrLockedOut) }

// logIn asks for target again, with the answer to the challenge of p, the reply to a request with the login kept.
func (c *Client) logIn(ctx context.Context, target string, kept *login, p page) (page, int, error) {
	if kept == nil {
		if kept = new(login); c.username == "" {
			return p, 0, fmt.Errorf("%w: HTTP 401: it wants a login, and no user name is set", ErrUnauthorized)
		}
	}
	fresh, err := kept.next(p.header)
	if err != nil {
		return p, 0, err
	}
	p, sent, err := c.ask(ctx, target, &fresh)
	switch {
	case p.status == http.StatusUnauthorized && errors.Is(err, ErrUnauthorized):
		instead, _ := choose(challenges(p.header)) // one that asks for nothing has refused all the same
		err = fresh.refusal(instead)
	case p.status != 0 && !refused(err):
		c.login = &fresh
	}
	return p, sent, err
}

// ask makes one request with the credentials of l, which may be nil, and judges the reply. It counts the requests that
// may have reached the phone.
func (c *Client) ask(ctx context.Context, target string, l *login) (page, int, error) {
	p, err := c.exchange(ctx, target, l)
	if errors.Is(err, ErrUnreachable) {
		return page{}, 0, err
	}
	if p.status != 0 {
		p.verdict = verdictOn(p.status, p.header, p.body, c.tls != nil)
		if verr := p.verdict.on(p.status); verr != nil {
			err = verr // it stands, even when the rest of the page is missing
		}
	}
	return p, 1, err
}

// A scratch is memory that an exchange works in.
type scratch struct {
	request []byte
	limited io.LimitedReader
	reply   *bufio.Reader // of limited
}

// scratches are those that nobody works in.
var scratches = sync.Pool{New: func() any {
	m := &scratch{request: make([]byte, 0, 1<<10)}
	m.reply = bufio.NewReaderSize(&m.limited, 1<<10)
	return m
}}

func (m *scratch) leave() {
	m.limited.R = nil // the connection is not to outlive its exchange
	scratches.Put(m)
}

// exchange makes one request on a connection of its own and reads the reply. The page has a status as
// soon as the head of the reply has been read; the error then says that the body is not complete.
func (c *Client) exchange(ctx context.Context, target string, l *login) (page, error) {
	if wait := time.Until(c.ready); wait > 0 {
		if err := pause(ctx, wait); err != nil {
			return page{}, fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
	}
	defer func() { c.ready = time.Now().Add(c.gap) }()
	deadline := time.Now().Add(c.timeout)
	conn, err := c.connect(ctx, deadline)
	if err != nil {
		return page{}, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() {
		_ = conn.SetDeadline(time.Unix(1, 0)) // fails on a closed connection only, which nobody reads
	})()

	m := scratches.Get().(*scratch)
	defer m.leave()
	m.request = c.appendRequest(m.request[:0], target, l)
	if n, err := conn.Write(m.request); err != nil {
		if n == 0 && c.tls == nil {
			return page{}, fmt.Errorf("%w: %w", ErrUnreachable, c.cause(ctx, deadline, err))
		}
		return page{}, fmt.Errorf("%w: %w", ErrOutcomeUnknown, c.cause(ctx, deadline, err))
	}
	in := &m.limited
	*in = io.LimitedReader{R: conn, N: maxHead}
	m.reply.Reset(in)
	resp, err := readHead(m.reply) //nolint:bodyclose // its body is the connection, which is closed
	if err != nil {
		return page{}, c.noReply(ctx, deadline, err, in.N == 0)
	}
	p := page{status: resp.StatusCode, header: resp.Header}
	if c.tls != nil {
		state := conn.(*tls.Conn).ConnectionState()
		p.tls = &state
	}
	if p.status/100 == 3 && resp.ContentLength < 0 && len(resp.TransferEncoding) == 0 {
		return p, nil // a redirect is its head; where it does not say that nothing follows, waiting for it may take for ever
	}
	in.N = math.MaxInt64 // the next line has the bound
	// The body is not closed: that would read the rest of it, and the connection is used only once.
	if resp.ContentLength == 0 {
		return p, nil
	}
	p.body, err = io.ReadAll(io.LimitReader(resp.Body, maxPage(target)))
	if err != nil {
		err = fmt.Errorf("%w: HTTP %d, then the page was cut off: %w", ErrOutcomeUnknown, p.status, c.cause(ctx, deadline, err))
	}
	return p, err
}

// readHead reads the head of the reply, after any interim ones.
func readHead(r *bufio.Reader) (*http.Response, error) {
	const alert = 0x15 // the first byte of what a TLS server says to a request in plain text
	if first, err := r.Peek(1); err == nil && first[0] == alert {
		return nil, fmt.Errorf("%w: it speaks TLS at this port: want https:// in its URL, or another port", ErrPhone)
	}
	for {
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode >= 200 {
			return resp, err
		}
	}
}

// noReply is the error when readHead failed with err. It does not repeat what came instead of a reply.
func (c *Client) noReply(ctx context.Context, deadline time.Time, err error, tooLong bool) error {
	var network net.Error
	ended := c.cause(ctx, deadline, nil)
	switch {
	case errors.Is(err, ErrPhone):
		return err
	case ended != nil:
		err = ended
	case errors.As(err, &network):
	case tooLong:
		err = fmt.Errorf("the head of its reply is longer than %d bytes", maxHead)
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("it hung up before the head of its reply was complete")
	default:
		err = errors.New("its reply is not HTTP, or was cut off")
	}
	return fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
}

// appendRequest appends the bytes of a request with the credentials of l, which may be nil. Its headers are those of the
// clients that are known to work.
func (c *Client) appendRequest(b []byte, target string, l *login) []byte {
	b = append(append(b, "GET "...), target...)
	b = append(append(b, " HTTP/1.1\r\nHost: "...), c.host...)
	b = append(append(b, "\r\nUser-Agent: "...), c.userAgent...)
	b = append(b, "\r\nAccept: */*"...)
	if l != nil {
		b = append(b, "\r\nAuthorization: "...)
		b = l.appendCredentials(b, c.username, c.password, target)
	}
	if wantsKeepAlive(target) {
		b = append(b, "\r\nConnection: keep-alive"...)
	}
	return append(b, "\r\n\r\n"...)
}

// wantsKeepAlive says whether a request for target must carry "Connection: keep-alive". D3xx and D7xx phones
// close the connection without an answer when it is missing, but take 8 s for minibrowser.htm when it is
// there (symcon/Snom, SnomDeskphone/module.php; Phonio sends it as well).
func wantsKeepAlive(target string) bool {
	page, _, _ := strings.Cut(target, "?")
	return page != "/minibrowser.htm"
}

// connect connects to the phone, with TLS if the URL says so. What is done with the connection fails at the deadline. The
// error wraps ErrUnreachable.
func (c *Client) connect(ctx context.Context, deadline time.Time) (net.Conn, error) {
	conn, err := c.reach(ctx, deadline)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(deadline) // fails on a closed connection only
	if c.tls == nil {
		return conn, nil
	}
	secure := tls.Client(conn, c.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // the handshake's error says more
		return nil, fmt.Errorf("%w: TLS: %w", ErrUnreachable, c.cause(ctx, deadline, c.handshakeError(err)))
	}
	return secure, nil
}

func (c *Client) reach(ctx context.Context, deadline time.Time) (net.Conn, error) {
	conn, err := c.dial(ctx, deadline, c.addr)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, c.cause(ctx, deadline, err))
	}
	return conn, nil
}

// dialTCP connects to addr.
func dialTCP(ctx context.Context, deadline time.Time, addr string) (net.Conn, error) {
	d := net.Dialer{Deadline: deadline, KeepAlive: -1} // nothing is idle for long
	return d.DialContext(ctx, "tcp", addr)
}

// A lateError is the cause when a timeout has passed.
type lateError time.Duration

func (e lateError) Error() string {
	return fmt.Sprintf("no complete answer within %s", time.Duration(e))
}

// cause is why ctx ended, or that the time was up, if so: that explains err.
func (c *Client) cause(ctx context.Context, deadline time.Time, err error) error {
	now := time.Now()
	if end, ok := ctx.Deadline(); ok && !now.Before(end) {
		<-ctx.Done() // at once: a connection may notice before ctx does
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !now.Before(deadline):
		return lateError(c.timeout)
	}
	return err
}
