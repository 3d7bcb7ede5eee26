package snom

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxTarget bounds the target of a request, in bytes. The longest argument, an outgoing SIP URI, has at most 255 bytes
// before it is escaped.
const maxTarget = 8 << 10

// DefaultTimeout is the time limit of one HTTP exchange with a phone, connecting included, unless [ClientConfig] has another.
const DefaultTimeout = 5 * time.Second

// ClientConfig configures the [Client] of one phone. Only URL is required.
type ClientConfig struct {
	URL                string        // http://host[:port] or https://host[:port]; see [BaseURL]
	Username, Password string        // of the phone's web page; without a user name the Client never logs in
	Timeout            time.Duration // for one HTTP exchange, connecting included; 0: DefaultTimeout
	Gap                time.Duration // between two requests, the two of a login too: phones choke on fast ones (BitStackers Phonio)
	TLS                TLSConfig     // for https
	UserAgent          string        // empty: "snom2mqtt"
	Dialect            Dialect       // zero: that of the model, see [Client.Plan]

	Auth AuthPolicy // which login is allowed
	// DigestSeen states that the phone has asked for a digest login before. OnDigest, if set, is called when it
	// does so for the first time at an address ([Info.Address]), so that the caller can store that. DigestAt, if set, reports whether
	// any phone has done so at that address, under whatever name or URL: it is called before a basic login over plain
	// HTTP. They must not call methods of the Client.
	DigestSeen bool
	OnDigest   func(netip.AddrPort)
	DigestAt   func(netip.AddrPort) bool

	// Dial makes the connections; nil: a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// A Client sends commands to one phone over HTTP. Make it with [NewClient]. It may be used by several
// goroutines, but makes one request at a time: phones get confused by more (BitStackers Phonio).
//
// Each request has a connection of its own, follows no redirect, and is never repeated once a byte of it
// was sent, because asking a phone twice to press a key presses it twice. The only request that is made
// again is one that was refused for want of a login, which a phone does not carry out.
//
// A Client implements HTTP/1.1 itself rather than through net/http's Transport: that one repeats a GET when
// a connection dies, reports less about how far a request came, refuses replies of small web servers, and
// starts goroutines for connections that are meant to be used again.
type Client struct {
	url                string
	host               string // of the Host header
	addr               string // to dial
	username, password string
	userAgent          string
	timeout, gap       time.Duration
	tls                *tls.Config // nil: plain HTTP
	dial               func(ctx context.Context, deadline time.Time, addr string) (net.Conn, error)
	dialect            Dialect
	auth               AuthPolicy
	onDigest           func(netip.AddrPort)
	digestAt           func(netip.AddrPort) bool

	turn turn // taken while a request is under way
	// The fields below belong to the goroutine that has the turn.
	login      *login    // what the phone accepted last; nil: none
	ready      time.Time // when the phone may be asked again
	trusted    bool      // the last TLS handshake succeeded
	identified proof     // that the device is a Snom phone
	noControl  bool      // the phone says that it is of a model without remote control

	proven     atomic.Bool   // identified is not unproven; written in turn
	digestSeen atomic.Bool   // the phone has asked for a digest login; written in turn
	digestFrom atomic.Uint32 // hash of the address at which it did so last; 0: none; written in turn
}

// NewClient returns a Client for the phone that cfg names. It does not connect. The error says which part
// of cfg is not valid, without the password.
func NewClient(cfg ClientConfig) (*Client, error) {
	c := &Client{
		username:  cfg.Username,
		password:  cfg.Password,
		userAgent: cmp.Or(cfg.UserAgent, ownUserAgent),
		timeout:   cmp.Or(cfg.Timeout, DefaultTimeout),
		gap:       cfg.Gap,
		dialect:   cfg.Dialect,
		auth:      cfg.Auth,
		onDigest:  cfg.OnDigest,
		digestAt:  cfg.DigestAt,
	}
	c.digestSeen.Store(cfg.DigestSeen)
	if cfg.Dial != nil {
		c.dial = func(ctx context.Context, deadline time.Time, addr string) (net.Conn, error) {
			ctx, cancel := context.WithDeadline(ctx, deadline)
			defer cancel()
			return cfg.Dial(ctx, "tcp", addr)
		}
	}
	switch {
	case c.timeout < 0, c.gap < 0:
		return nil, errors.New("snom: timeout, gap: expected 0 or more")
	case strings.ContainsFunc(c.username+c.password+c.userAgent, isControl):
		return nil, errors.New("snom: user name, password, user agent: expected no control characters")
	case strings.Contains(c.username, ":"):
		return nil, errors.New("snom: user name: expected no colon: it ends the name (RFC 7617)")
	case !c.auth.valid():
		return nil, errors.New("snom: auth: expected digest, basic, any, or nothing")
	}
	u, err := parsePhoneURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	c.url, c.host = u.String(), hostHeader(u)
	if host := c.url[len(u.Scheme)+len("://"):]; host == c.host {
		c.host = host // there may be ten thousand clients: the text is there once
	}
	port := "80"
	if u.Scheme == "https" {
		port = "443"
	}
	if c.addr = net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port)); c.addr == c.host {
		c.addr = c.host
	}
	if c.dial == nil {
		c.dial = dialName
		if _, err := netip.ParseAddrPort(c.addr); err == nil && u.Scheme == "http" {
			c.dial = dialAddress
		}
	}
	if u.Scheme == "http" {
		return c, nil
	}
	name, _, _ := strings.Cut(u.Hostname(), "%")
	c.tls, err = cfg.TLS.config(strings.TrimSuffix(name, "."))
	if err != nil {
		return nil, err
	}
	return c, nil
}

// URL returns the phone's base URL, without a slash at its end.
func (c *Client) URL() string { return c.url }

// Plan returns the steps that carry out cmd on a phone of model m, in order, or the error of [Model.Check]. The warning
// says what is doubtful about cmd on m.
func (c *Client) Plan(cmd Command, m Model) (steps []Step, warning string, err error) {
	if cmd.IsZero() {
		return nil, "", errZeroCommand
	}
	if cmd.row.paged {
		return nil, "", errPaged
	}
	warning, err = m.Check(cmd)
	if err != nil {
		return nil, "", err
	}
	return cmd.Steps(cmp.Or(c.dialect, m.Dialect())), warning, nil
}

var errZeroCommand = errors.New("snom: expected a command, not the zero Command")

// A Reply is what is known of a phone's reply besides the error.
type Reply struct {
	Status   int // of the reply to the last request; 0: there was none
	Requests int // HTTP requests that were sent, including those that only fetched a challenge
}

// Send makes the request of one step, and logs in if the phone requires that: see [Client] for what is not
// repeated. With a login that the phone has accepted before, it is one request. It may take the configured
// timeout twice, since a login is an exchange of its own. It does not wait for the step's pause.
//
// A nil error says that the phone accepted the request. Otherwise the error wraps [ErrUnreachable], [ErrExpired],
// [ErrLocal], [ErrOutcomeUnknown], [ErrUnauthorized], [ErrLockedOut], [ErrRefused], [ErrUnsupported] or [ErrPhone];
// it also wraps the cause of ctx's end, if that ended it, which is noticed within 50 ms while the phone is waited for.
//
// Each request is checked against the step's NotAfter immediately before its first byte is written, and connecting
// and writing end then. A reply is waited for longer.
func (c *Client) Send(ctx context.Context, s Step) (Reply, error) {
	if err := checkTarget(s.Request); err != nil {
		return Reply{}, err
	}
	if err := c.begin(ctx, s.NotAfter); err != nil {
		return Reply{}, err
	}
	defer c.end()
	p, requests, err := c.fetch(ctx, pageRequest{target: s.Request, notAfter: s.NotAfter, revoked: s.Revoked, login: true})
	return Reply{Status: p.status, Requests: requests}, err
}

// checkTarget keeps a request line one line of three words, and its target one quoted string.
func checkTarget(target string) error {
	bad := strings.IndexFunc(target, func(r rune) bool { return r <= ' ' || r >= 0x7F || strings.ContainsRune(`"#\`, r) })
	switch {
	case !strings.HasPrefix(target, "/"):
		return errors.New(`snom: request of a step: expected a path that begins with "/"`)
	case bad >= 0:
		return fmt.Errorf(`snom: request of a step: offset %d: expected visible ASCII without ", # and \`, bad)
	case len(target) > maxTarget:
		return fmt.Errorf("snom: request of a step: expected at most %d bytes", maxTarget)
	}
	return nil
}

// Do carries out all steps of cmd, in the client's dialect, with their pauses between them; the
// pause of the last step is left to the caller. The Reply holds the last status and all requests.
//
// The errors are those of [Client.Send]. When the first steps of several were carried out and then one
// could not be sent, or ctx ended, the error wraps [ErrOutcomeUnknown].
func (c *Client) Do(ctx context.Context, cmd Command) (Reply, error) {
	var all Reply
	switch {
	case cmd.IsZero():
		return all, errZeroCommand
	case cmd.Displays():
		return all, fmt.Errorf("%w: %s needs a program that serves a page to the phone", ErrUnsupported, cmd.Verb())
	}
	if cmd.row.nests {
		return all, errNested
	}
	if cmd.row.paged {
		return all, errPaged
	}
	steps := cmd.Steps(c.dialect)
	for i, s := range steps {
		if i > 0 {
			if err := pause(ctx, steps[i-1].Pause); err != nil {
				return all, unfinished(ctx, i, len(steps), err)
			}
		}
		r, err := c.Send(ctx, s)
		all = Reply{Status: cmp.Or(r.Status, all.Status), Requests: all.Requests + r.Requests}
		if i > 0 && (errors.Is(err, ErrUnreachable) || errors.Is(err, ErrLocal)) {
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

// Ping reports whether the phone is reachable: it connects, and closes the connection. It sends no HTTP request, so it
// costs no login. Over https, it includes a TLS handshake where the last one did not succeed: a phone whose
// certificate is not trusted is not reachable for commands, and the error is a [*CertificateError]. Other errors
// wrap [ErrUnreachable], or [ErrLocal], which says nothing about the phone.
func (c *Client) Ping(ctx context.Context) error {
	if err := c.begin(ctx, time.Time{}); err != nil {
		return err
	}
	defer c.end()
	l := limit{deadline: time.Now().Add(c.timeout)}
	connect := c.connect
	if c.tls == nil || c.trusted {
		connect = c.open
	}
	conn, err := connect(ctx, l)
	if err != nil {
		return err
	}
	_ = conn.Close() // nothing was written that could get lost
	return nil
}

// Identified reports whether anything has shown since the Client was made that the device is a Snom phone. That a device
// accepted a command says little until then.
func (c *Client) Identified() bool { return c.proven.Load() }

// begin waits for the turn of its caller, who must end it.
func (c *Client) begin(ctx context.Context, notAfter time.Time) error {
	freed := c.turn.take()
	if freed == nil {
		return nil
	}
	var expired <-chan time.Time
	if !notAfter.IsZero() {
		t := time.NewTimer(time.Until(notAfter))
		defer t.Stop()
		expired = t.C
	}
	for freed != nil {
		select {
		case <-freed:
			freed = c.turn.take()
		case <-expired:
			return fmt.Errorf("%w: another request was under way", ErrExpired)
		case <-ctx.Done():
			return fmt.Errorf("%w: another request is under way: %w", ErrUnreachable, bounded(context.Cause(ctx)))
		}
	}
	return nil
}

func (c *Client) end() { c.turn.give() }

// A pageRequest is a request that fetch makes.
type pageRequest struct {
	target   string
	notAfter time.Time // no request begins later; zero: no limit
	revoked  *atomic.Bool
	login    bool // a login may be made
	keep     bool // the body is wanted
}

// A page is a phone's reply, and what it means.
type page struct {
	status       int                  // 0: there was no reply
	authenticate []string             // the WWW-Authenticate headers
	body         []byte               // if it is kept
	tls          *tls.ConnectionState // over https
	verdict      *verdict             // nil: there was no reply
	address      netip.AddrPort       // of the phone, if the body is kept or a login is asked for
}

// meaning is the verdict; where there was no reply, one that says nothing.
func (p page) meaning() verdict {
	if p.verdict == nil {
		return verdict{}
	}
	return *p.verdict
}

// fetch makes request r and judges the reply, which it returns whatever it means, with the number of
// requests. Asked for a login, it logs in if that is allowed or if it is only the renewal of a login that
// the phone has accepted before.
//
// This is where a wrong password costs one login and no more: credentials are sent in answer to a fresh
// challenge, once; they are kept only when the phone accepted them; and kept ones that are refused are tried
// again only where login.next sees that the password was not the reason.
func (c *Client) fetch(ctx context.Context, r pageRequest) (page, int, error) {
	kept := c.login
	p, sent, err := c.ask(ctx, r, kept)
	if refused(err) {
		c.login = nil
	}
	if p.status != http.StatusUnauthorized || !errors.Is(err, ErrUnauthorized) || kept == nil && !r.login {
		return p, sent, err
	}
	p, more, err := c.logIn(ctx, r, kept, p)
	if kept == nil && more == 0 && errors.Is(err, ErrUnauthorized) {
		err = &noLoginError{err}
	}
	return p, sent + more, err
}

// refused reports whether err says that the phone does not accept the login that was sent.
func refused(err error) bool { return errors.Is(err, ErrUnauthorized) || errors.Is(err, ErrLockedOut) }

// logIn makes r again, with the answer to the challenge of p, the reply to a request with the login kept.
func (c *Client) logIn(ctx context.Context, r pageRequest, kept *login, p page) (page, int, error) {
	if kept == nil {
		if kept = new(login); c.username == "" {
			return p, 0, fmt.Errorf("%w: HTTP 401: it requires a login, and no user name is configured", ErrUnauthorized)
		}
	}
	offered := challenges(p.authenticate)
	permitted, err := c.permitted(offered, p.address)
	if err != nil {
		return p, 0, err
	}
	fresh, err := kept.next(offered, permitted)
	if err != nil {
		return p, 0, err
	}
	again, sent, err := c.ask(ctx, r, &fresh)
	switch {
	case sent == 0:
		return p, 0, err // the phone has said no more than the challenge
	case again.status == http.StatusUnauthorized && errors.Is(err, ErrUnauthorized):
		instead, _ := choose(challenges(again.authenticate)) // one that asks for nothing has refused all the same
		err = fresh.refusal(instead)
	case again.status != 0 && !refused(err) && !again.meaning().login:
		c.login = &fresh
	}
	return again, sent, err
}

// Unsent reports whether err says that nothing of a request was sent.
func Unsent(err error) bool {
	return errors.Is(err, ErrUnreachable) || errors.Is(err, ErrExpired) || errors.Is(err, ErrLocal) || errors.Is(err, ErrRevoked)
}

// ask makes one request with the credentials of l, which may be nil, and judges the reply. It counts the requests that
// may have reached the phone.
func (c *Client) ask(ctx context.Context, r pageRequest, l *login) (page, int, error) {
	p, err := c.exchange(ctx, r, l)
	if Unsent(err) {
		return page{}, 0, err
	}
	if p.verdict != nil {
		if verr := p.verdict.on(p.status); verr != nil {
			err = verr // it stands, even when the rest of the page is missing
		}
	}
	return p, 1, err
}

// A scratch is memory that an exchange works in.
type scratch struct {
	request  []byte
	replying replyConn
	reply    headReader
	head     replyHead
	body     []byte
	answer   answer
}

// scratches are those that are not in use.
var scratches = sync.Pool{New: func() any {
	m := &scratch{request: make([]byte, 0, 1<<9)}
	m.reply.in = bufio.NewReaderSize(nil, 1<<10)
	m.reply.line = make([]byte, 0, 256)
	return m
}}

// maxScratch is the longest page, in bytes, whose memory the next exchange works in.
const maxScratch = 64 << 10

// leave gives m back. It holds neither the connection nor much memory then.
func (m *scratch) leave() {
	m.reply.limited.R = nil
	m.head, m.answer = replyHead{}, answer{}
	if cap(m.body) > maxScratch {
		m.body = nil
	}
	scratches.Put(m)
}

// A limit says how long an exchange may take.
type limit struct {
	deadline time.Time // for all of it
	notAfter time.Time // for the first byte of the request; zero: none of its own
	revoked  *atomic.Bool
}

// begun is when the request must have been written.
func (l limit) begun() time.Time {
	if !l.notAfter.IsZero() && l.notAfter.Before(l.deadline) {
		return l.notAfter
	}
	return l.deadline
}

// expired reports whether it is too late for the first byte.
func (l limit) expired() bool {
	if l.notAfter.IsZero() {
		return false
	}
	now := time.Now()
	return late(now.Sub(l.notAfter), now.Round(0).Sub(l.notAfter.Round(0)))
}

// maxSuspended is how far the wall clock may run ahead of the monotonic one, which stands still while the machine is
// suspended.
const maxSuspended = 5 * time.Second

// late reports whether a moment is over, given the time since then by the monotonic and by the wall clock.
func late(monotonic, wall time.Duration) bool {
	return monotonic >= 0 || wall-monotonic > maxSuspended
}

// rest waits until the phone may be asked again.
func (c *Client) rest(ctx context.Context, notAfter time.Time) error {
	if c.gap == 0 {
		return nil
	}
	wait := time.Until(c.ready)
	if wait <= 0 {
		return nil
	}
	if !notAfter.IsZero() && !c.ready.Before(notAfter) {
		return fmt.Errorf("%w: in the pause after the request before it", ErrExpired)
	}
	if err := pause(ctx, wait); err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, bounded(err))
	}
	return nil
}

// exchange makes one request on a connection of its own, reads the reply and judges it. The page has a status as
// soon as the status line has been read; the error then says that the reply is not complete.
func (c *Client) exchange(ctx context.Context, r pageRequest, l *login) (page, error) {
	if err := c.rest(ctx, r.notAfter); err != nil {
		return page{}, err
	}
	if c.gap > 0 {
		defer func() { c.ready = time.Now().Add(c.gap) }()
	}
	limits := limit{deadline: time.Now().Add(c.timeout), notAfter: r.notAfter, revoked: r.revoked}
	conn, err := c.connect(ctx, limits)
	if err != nil {
		return page{}, err
	}
	complete := false
	defer func() { hangUp(conn, complete) }()
	m := scratches.Get().(*scratch)
	defer m.leave()
	m.request = c.appendRequest(m.request[:0], r.target, l)
	if err := c.write(ctx, conn, m.request, limits); err != nil {
		return page{}, err
	}
	limits.notAfter = time.Time{} // the reply may come later
	defer m.replying.end()
	m.reply.from(m.replying.begin(ctx, conn, limits.deadline))
	head := &m.head
	*head, err = m.reply.read()
	p := page{status: head.status, authenticate: head.authenticate}
	if err != nil {
		return p, c.noReply(ctx, limits, head.status, err)
	}
	if c.tls != nil {
		state := conn.(*tls.Conn).ConnectionState()
		p.tls = &state
	}
	m.body = m.body[:0]
	if head.bodyFollows() {
		if m.body, err = m.reply.body(head, m.body, maxPage(r.target)); err != nil {
			err = fmt.Errorf("%w: HTTP %d, then the page was cut off: %w", ErrOutcomeUnknown, p.status, c.cause(ctx, limits, err))
		}
	}
	complete = err == nil
	p.authenticate = head.authenticate
	p.verdict = c.judge(m, r.target, l, conn)
	if r.keep || p.status == http.StatusUnauthorized {
		p.address = addressOf(conn)
	}
	switch {
	case !r.keep:
	case cap(m.body) > maxScratch:
		p.body, m.body = m.body, nil
	default:
		p.body = bytes.Clone(m.body)
	}
	return p, err
}

// addressOf returns the IP address and port at the other end of a connection, as [Info.Address] has it.
func addressOf(conn net.Conn) netip.AddrPort {
	at, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.AddrPort{} // a network of its own
	}
	port := at.Port()
	if port == 443 {
		port = 80
	}
	return netip.AddrPortFrom(at.Addr().Unmap(), port)
}

// write writes a request, unless it is too late for that.
func (c *Client) write(ctx context.Context, conn net.Conn, request []byte, limits limit) error {
	if limits.expired() {
		return fmt.Errorf("%w: it had just connected", ErrExpired)
	}
	if limits.revoked != nil && limits.revoked.Load() {
		return ErrRevoked
	}
	if ctx.Err() != nil {
		return c.notSent(ctx, limits, context.Cause(ctx))
	}
	n, err := conn.Write(request)
	switch {
	case err == nil:
		return nil
	case n > 0 || c.tls != nil:
		return fmt.Errorf("%w: %w", ErrOutcomeUnknown, c.cause(ctx, limits, err))
	}
	return c.notSent(ctx, limits, err)
}

// hangUp closes a connection. Where the reply is not complete, it takes back what this machine has not delivered yet:
// otherwise the kernel goes on delivering the request for minutes after it was given up, to a phone that carries it
// out then.
func hangUp(conn net.Conn, complete bool) {
	if !complete {
		if secure, ok := conn.(*tls.Conn); ok {
			conn = secure.NetConn() // without the alert that ends TLS, which would have to be delivered
		}
		if tcp, ok := conn.(interface{ SetLinger(seconds int) error }); ok {
			_ = tcp.SetLinger(0) // fails on a closed connection only
		}
	}
	_ = conn.Close() // whatever it reports, the connection is of no further use
}

// noReply is the error when the head of a reply could not be read because of err. It does not repeat what was received
// instead.
func (c *Client) noReply(ctx context.Context, limits limit, status int, err error) error {
	ended := c.ended(ctx, limits)
	switch {
	case errors.Is(err, ErrPhone):
		return err
	case ended != nil:
		err = ended
	case isNetwork(err):
		err = bounded(err)
	case errors.Is(err, io.EOF):
		err = errCutHead
	}
	if status != 0 {
		return fmt.Errorf("%w: HTTP %d, then: %w", ErrOutcomeUnknown, status, err)
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
	if needsKeepAlive(target) {
		b = append(b, "\r\nConnection: keep-alive"...)
	}
	return append(b, "\r\n\r\n"...)
}

// needsKeepAlive reports whether a request for target must carry "Connection: keep-alive". D3xx and D7xx phones
// close the connection without a reply when it is missing, but take 8 s for minibrowser.htm when it is
// there (symcon/Snom, SnomDeskphone/module.php; Phonio sends it as well).
func needsKeepAlive(target string) bool {
	page, _, _ := strings.Cut(target, "?")
	return page != "/minibrowser.htm"
}

// connect connects to the phone, with TLS if the URL says so. What is written to the connection and read from it fails
// at the limits. The error wraps ErrUnreachable, ErrExpired or ErrLocal.
func (c *Client) connect(ctx context.Context, limits limit) (net.Conn, error) {
	conn, err := c.open(ctx, limits)
	if err != nil {
		return nil, err
	}
	if c.tls != nil {
		_ = conn.SetDeadline(limits.begun()) // fails on a closed connection only, as below
		secure := tls.Client(conn, c.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close() // the handshake's error says more
			c.trusted = false
			return nil, c.notSent(ctx, limits, c.handshakeError(err))
		}
		c.trusted, conn = true, secure
	}
	_ = conn.SetWriteDeadline(limits.begun())
	return conn, nil
}

// open opens a connection to the phone.
func (c *Client) open(ctx context.Context, limits limit) (net.Conn, error) {
	if limits.expired() {
		return nil, fmt.Errorf("%w: it was about to connect", ErrExpired)
	}
	conn, err := c.dial(ctx, limits.begun(), c.addr)
	if err != nil {
		return nil, c.notSent(ctx, limits, err)
	}
	return conn, nil
}

// dialName connects to a name and a port. The Dialer's deadline ends the search for the name's address, too, which watches
// nothing but a context.
func dialName(ctx context.Context, deadline time.Time, addr string) (net.Conn, error) {
	d := net.Dialer{KeepAlive: -1, Deadline: deadline} // no connection is idle for long
	return d.DialContext(ctx, "tcp", addr)
}

// notSent is the error of a request of which nothing was sent, because of err.
func (c *Client) notSent(ctx context.Context, limits limit, err error) error {
	var untrusted *CertificateError
	switch ended := c.ended(ctx, limits); {
	case errors.As(err, &untrusted):
		return err
	case ended != nil && ctx.Err() == nil && limits.expired():
		return fmt.Errorf("%w: the phone did not accept the connection in time", ErrExpired)
	case ended != nil:
		return fmt.Errorf("%w: %w", ErrUnreachable, ended)
	case isLocal(err):
		return fmt.Errorf("%w: %w", ErrLocal, bounded(err))
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, bounded(err))
}

// A lateError is the cause when a timeout has passed.
type lateError time.Duration

func (e lateError) Error() string {
	return fmt.Sprintf("no complete reply within %s", time.Duration(e))
}

// cause is why ctx ended, or that the time was up, if so: that explains err.
func (c *Client) cause(ctx context.Context, limits limit, err error) error {
	if ended := c.ended(ctx, limits); ended != nil {
		return ended
	}
	return bounded(err)
}

// ended is why ctx ended, or that the time is up; nil where neither is so.
func (c *Client) ended(ctx context.Context, limits limit) error {
	now := time.Now()
	if end, ok := ctx.Deadline(); ok && !now.Before(end) {
		<-ctx.Done() // at once: a connection may notice before ctx does
	}
	switch {
	case ctx.Err() != nil:
		return bounded(context.Cause(ctx))
	case !now.Before(limits.deadline):
		return lateError(c.timeout)
	case limits.expired():
		return errDeadline
	}
	return nil
}

// errDeadline is the cause when a step's NotAfter has passed.
var errDeadline = errors.New("its deadline passed")
