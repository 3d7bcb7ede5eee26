package snomtest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/icholy/digest"
)

// SIPConfig says how a simulated phone takes part in SIP.
type SIPConfig struct {
	// Registrar is the address, host:port, of the registrar that the phone registers at. What comes from there is trusted. Empty: none.
	Registrar string
	// User is the SIP name of the first identity; empty: the part of the first of Config.Lines before the @. Password is its password.
	User, Password string
	// Domain is the domain that it registers in; empty: the registrar's host.
	Domain string
	// Expires is how long a registration lasts; 0: an hour.
	Expires time.Duration
}

// A SIP is the SIP side of a simulated phone at one socket: [Phone.SIP] makes it. It follows what is known of a D862 (phone control
// in nemerald-voip/fspbx; Snom wiki Via+SIP+NOTIFY and challenge_checksync):
//
//   - A NOTIFY with a document is answered 200 and carried out if it comes from the registrar or from a host in the setting
//     mb_trusted_hosts; from elsewhere it is answered 200 and nothing happens. With filter_registrar on, what comes from elsewhere
//     than the registrar gets no answer.
//   - A key acts only in a document whose state is relevant, and two seconds after the last one; one that comes earlier is lost.
//   - DND can be toggled by its key and not set. OFFHOOK does not answer a call, ENTER does.
//   - check-sync;reboot=true reboots it, after a login with the password of the identity where challenge_checksync is on.
//   - uaCSTA is answered 481, another event 489.
//
// A request that comes again, with the branch and CSeq of one before, gets the same answer and is not carried out again.
type SIP struct {
	phone  *Phone
	config SIPConfig
	conn   net.PacketConn // nil: streams only
	tag    string

	mu       sync.Mutex
	answered map[string][]byte // by branch, method and CSeq; nil: the answer is to come; guarded by mu
	order    []string          // of answered, the oldest first; guarded by mu
	answers  chan sipMessage   // to a REGISTER under way; guarded by mu
}

// maxAnswered is how many requests a phone recognizes when they come again.
const maxAnswered = 4096

// keyGap is how long a D862 needs after a key before it takes another.
const keyGap = 2 * time.Second

// SIP returns the SIP side of the phone at a socket, which may be nil if only [SIP.ServeStream] is used.
func (p *Phone) SIP(conn net.PacketConn, c SIPConfig) *SIP {
	if c.User == "" {
		c.User, _, _ = strings.Cut(p.config.Lines[0], "@")
	}
	if c.Domain == "" {
		c.Domain, _, _ = net.SplitHostPort(c.Registrar)
	}
	if c.Expires == 0 {
		c.Expires = time.Hour
	}
	return &SIP{phone: p, config: c, conn: conn, tag: rand.Text()[:8], answered: map[string][]byte{}}
}

// ServeSIP opens a UDP socket for tb at which the phone takes part in SIP, until the test ends.
func ServeSIP(tb TB, p *Phone, c SIPConfig) (s *SIP, address string) {
	tb.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s = p.SIP(conn, c)
	done := make(chan error, 1)
	go func() { done <- s.Serve() }()
	tb.Cleanup(func() {
		_ = conn.Close() // Serve reports it
		if err := <-done; err != nil {
			tb.Errorf("SIP: %v", err)
		}
		_ = p.Close() // never fails
	})
	return s, conn.LocalAddr().String()
}

// Serve answers what comes in, until the socket is closed.
func (s *SIP) Serve() error {
	buffer := make([]byte, 64<<10)
	for {
		n, from, err := s.conn.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			continue // what ICMP says about an answer
		}
		s.take(bytes.Clone(buffer[:n]), from, func(answer []byte) { _, _ = s.conn.WriteTo(answer, from) })
	}
}

// ServeStream answers what comes in over TCP or TLS, until the listener is closed.
func (s *SIP) ServeStream(l net.Listener) error {
	var serving sync.WaitGroup
	defer serving.Wait()
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		serving.Go(func() {
			defer conn.Close()
			defer s.phone.onClose(func() { conn.Close() })()
			var writing sync.Mutex
			in := bufio.NewReader(conn)
			for {
				message, err := readMessage(in)
				if err != nil {
					return
				}
				s.take(message, conn.RemoteAddr(), func(answer []byte) {
					writing.Lock()
					defer writing.Unlock()
					_, _ = conn.Write(answer)
				})
			}
		})
	}
}

// readMessage reads one message of a stream.
func readMessage(in *bufio.Reader) ([]byte, error) {
	var text []byte
	for !bytes.HasSuffix(text, []byte("\r\n\r\n")) {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if text = append(text, line...); len(text) > 64<<10 {
			return nil, errors.New("head too long")
		}
	}
	m, _ := readSIP(text)
	length, err := strconv.ParseUint(m.get("content-length"), 10, 16)
	if err != nil {
		return nil, err
	}
	body := make([]byte, length)
	_, err = io.ReadFull(in, body)
	return append(text, body...), err
}

// A sipMessage is a message as it came in.
type sipMessage struct {
	first   string
	names   []string // in lower case and long
	values  []string
	body    string
	problem string // why it is no proper message
}

// readSIP reads a message.
func readSIP(text []byte) (m sipMessage, ok bool) {
	head, body, found := strings.Cut(string(text), "\r\n\r\n")
	if !found {
		return m, false
	}
	long := map[string]string{"v": "via", "f": "from", "t": "to", "i": "call-id", "l": "content-length", "c": "content-type", "o": "event", "m": "contact"}
	lines := strings.Split(head, "\r\n")
	m.first, m.body = lines[0], body
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return m, false
		}
		name = strings.ToLower(strings.TrimSpace(name))
		m.names, m.values = append(m.names, or(long[name], name)), append(m.values, strings.TrimSpace(value))
	}
	switch length, err := strconv.Atoi(m.get("content-length")); {
	case err != nil && m.get("content-length") != "", err == nil && length != len(body):
		m.problem = "Content-Length is not that of the body"
	}
	return m, true
}

// get returns the first header called name.
func (m sipMessage) get(name string) string {
	if i := slices.Index(m.names, name); i >= 0 {
		return m.values[i]
	}
	return ""
}

// key is what a repeated request has in common with the first one.
func (m sipMessage) key() string {
	_, branch, _ := strings.Cut(m.get("via"), "branch=")
	branch, _, _ = strings.Cut(branch, ";")
	return branch + " " + m.get("cseq")
}

// take answers a message.
func (s *SIP) take(text []byte, from net.Addr, send func([]byte)) {
	m, ok := readSIP(text)
	if !ok {
		return
	}
	method, _, _ := strings.Cut(m.first, " ")
	if method == "SIP/2.0" {
		s.mu.Lock()
		defer s.mu.Unlock()
		select {
		case s.answers <- m:
		default: // nothing waits for it
		}
		return
	}
	s.mu.Lock()
	answer, again := s.answered[m.key()]
	if !again {
		if s.order = append(s.order, m.key()); len(s.order) > maxAnswered {
			delete(s.answered, s.order[0])
			s.order = s.order[1:]
		}
		s.answered[m.key()] = nil
	}
	s.mu.Unlock()
	if again {
		if answer != nil {
			send(answer)
		}
		return
	}
	line := Request{Time: time.Now(), Phone: s.phone.Name(), Remote: from.String(), Method: method, Target: m.body, Auth: "none"}
	if m.get("authorization") != "" {
		line.Auth = "digest"
	}
	status, extra, fault := s.carryOut(method, m, from, &line)
	line.Status = status
	s.phone.record(line)
	if status == 0 || fault == FaultHang || fault == FaultHangAfter {
		return
	}
	answer = s.answer(m, status, extra, from)
	s.mu.Lock()
	s.answered[m.key()] = answer
	s.mu.Unlock()
	latency := s.phone.config.Latency
	if fault == FaultSlow {
		latency += 3 * time.Second
	}
	if latency == 0 {
		send(answer)
		return
	}
	s.phone.spawn(func(ctx context.Context) {
		if pause(ctx, latency) == nil {
			send(answer)
		}
	})
}

// answer is the answer to a request.
func (s *SIP) answer(m sipMessage, status int, extra []string, from net.Addr) []byte {
	reasons := map[int]string{200: "Ok", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 405: "Method Not Allowed", 415: "Unsupported Media Type", 481: "Call/Transaction Does Not Exist", 489: "Bad Event"}
	lines := []string{fmt.Sprintf("SIP/2.0 %d %s", status, reasons[status])}
	first := true
	for i, name := range m.names {
		value := m.values[i]
		switch name {
		case "via":
			if first {
				host, port, _ := net.SplitHostPort(from.String())
				value = strings.Replace(value, ";rport", ";rport="+port, 1) + ";received=" + host
			}
			first = false
			lines = append(lines, "Via: "+value)
		case "from", "call-id", "cseq":
			lines = append(lines, strings.ToUpper(name[:1])+name[1:]+": "+value)
		case "to":
			if !strings.Contains(value, ";tag=") {
				value += ";tag=" + s.tag
			}
			lines = append(lines, "To: "+value)
		}
	}
	lines = append(lines, "User-Agent: "+s.userAgent())
	lines = append(lines, extra...)
	return []byte(strings.Join(append(lines, "Content-Length: 0", "", ""), "\r\n"))
}

// userAgent is what the phone calls itself, with its MAC address as mac_info_in_sip_register has it.
func (s *SIP) userAgent() string {
	p := s.phone
	name := "snom" + p.config.Model + "/" + p.config.Firmware
	if p.Settings()["mac_info_in_sip_register"] == "on" {
		name += " " + strings.ToUpper(p.config.MAC)
	}
	return name
}

// carryOut does what a request says, and returns the status of its answer, 0 for none, and further headers.
func (s *SIP) carryOut(method string, m sipMessage, from net.Addr, line *Request) (status int, extra []string, fault Fault) {
	p := s.phone
	p.mu.Lock()
	defer p.mu.Unlock()
	if fault = p.fault; p.config.FaultOf != nil {
		fault = or(p.config.FaultOf(*line), fault)
	}
	trusted := s.trusts(from)
	line.Authorized = trusted
	switch event := m.get("event"); {
	case p.down, p.settings["filter_registrar"] == "on" && !s.fromRegistrar(from):
		return 0, nil, fault
	case fault == FaultHang:
		return 0, nil, fault
	case m.problem != "":
		line.Note = m.problem
		return 400, nil, fault
	case method == "OPTIONS":
		return 200, []string{"Allow: INVITE, ACK, CANCEL, BYE, REFER, OPTIONS, NOTIFY, SUBSCRIBE, PRACK, MESSAGE, INFO, UPDATE"}, fault
	case method == "ACK":
		return 0, nil, fault
	case method != "NOTIFY":
		return 405, nil, fault
	case strings.HasPrefix(event, "check-sync"):
		status, extra = s.checkSync(event, m, line)
		return status, extra, fault
	case m.get("content-type") == "application/csta+xml":
		return 481, nil, fault
	case event != "xml" && event != "":
		return 489, nil, fault
	case m.get("content-type") != "application/snomxml":
		return 415, nil, fault
	case !trusted:
		line.Note = "the sender is not trusted"
		return 200, nil, fault
	}
	host, _, _ := net.SplitHostPort(from.String())
	p.showDocument(m.body, host, line)
	return 200, nil, fault
}

// fromRegistrar reports whether a request comes from the registrar.
func (s *SIP) fromRegistrar(from net.Addr) bool {
	host, _, _ := net.SplitHostPort(from.String())
	registrar, _, _ := net.SplitHostPort(s.config.Registrar)
	return registrar != "" && host == registrar
}

// trusts reports whether documents of a sender are carried out. The phone is locked.
func (s *SIP) trusts(from net.Addr) bool {
	host, _, _ := net.SplitHostPort(from.String())
	return s.fromRegistrar(from) || slices.Contains(strings.Fields(s.phone.settings["mb_trusted_hosts"]), host)
}

// checkSync has the phone fetch its settings, and reboot if the event says so. The phone is locked.
func (s *SIP) checkSync(event string, m sipMessage, line *Request) (status int, extra []string) {
	p := s.phone
	if p.settings["challenge_checksync"] == "on" && !s.knows(m) {
		if line.Auth != "none" {
			p.login.fail(time.Now())
		}
		return 401, []string{`WWW-Authenticate: Digest realm="` + p.config.Realm + `",nonce="` + p.login.issue(time.Now()) + `",qop="auth",algorithm=MD5`}
	}
	line.Authorized = true
	if strings.Contains(event, "reboot=true") {
		line.Executed = true
		p.rebootSoon()
	}
	return 200, nil
}

// knows reports whether a request carries the login of the identity. The phone is locked.
func (s *SIP) knows(m sipMessage) bool {
	given, err := digest.ParseCredentials(m.get("authorization"))
	if err != nil || s.phone.login.nonces[given.Nonce] == nil {
		return false
	}
	method, uri, _ := strings.Cut(m.first, " ")
	uri, _, _ = strings.Cut(uri, " ")
	challenge := digest.Challenge{Realm: s.phone.config.Realm, Nonce: given.Nonce, Algorithm: "MD5", QOP: []string{"auth"}}
	right, err := digest.Digest(&challenge, digest.Options{
		Method: method, URI: uri, Username: s.config.User, Password: s.config.Password, Cnonce: given.Cnonce, Count: given.Nc,
	})
	return err == nil && given.Username == s.config.User && given.URI == uri && given.Response == right.Response
}

// Register registers the phone once, over UDP, with a login if the registrar wants one. The bindings end with the time of the
// configuration.
func (s *SIP) Register(ctx context.Context) error {
	answers := make(chan sipMessage, 4)
	s.mu.Lock()
	s.answers = answers
	s.mu.Unlock()
	to, err := net.ResolveUDPAddr("udp", s.config.Registrar)
	if err != nil {
		return err
	}
	callID, login := rand.Text(), ""
	for cseq := 1; cseq <= 2; cseq++ {
		m, err := s.register(ctx, to, answers, callID, login, cseq)
		if err != nil {
			return err
		}
		_, status, _ := strings.Cut(m.first, " ")
		switch {
		case strings.HasPrefix(status, "2"):
			s.phone.Register(1, true)
			return nil
		case !strings.HasPrefix(status, "401") && !strings.HasPrefix(status, "407") || cseq == 2:
			return fmt.Errorf("the registrar answers %s", status)
		}
		challenge, err := digest.ParseChallenge(or(m.get("www-authenticate"), m.get("proxy-authenticate")))
		if err != nil {
			return err
		}
		credentials, err := digest.Digest(challenge, digest.Options{Method: "REGISTER", URI: "sip:" + s.config.Domain, Username: s.config.User, Password: s.config.Password, Count: 1})
		if err != nil {
			return err
		}
		if login = "Authorization: " + credentials.String(); strings.HasPrefix(status, "407") {
			login = "Proxy-" + login
		}
	}
	return nil
}

// register sends one REGISTER until it is answered.
func (s *SIP) register(ctx context.Context, to net.Addr, answers <-chan sipMessage, callID, login string, cseq int) (sipMessage, error) {
	here := s.conn.LocalAddr().String()
	lines := []string{
		"REGISTER sip:" + s.config.Domain + " SIP/2.0",
		"Via: SIP/2.0/UDP " + here + ";branch=z9hG4bK" + rand.Text() + ";rport",
		"Max-Forwards: 70",
		"From: <sip:" + s.config.User + "@" + s.config.Domain + ">;tag=" + s.tag,
		"To: <sip:" + s.config.User + "@" + s.config.Domain + ">",
		"Call-ID: " + callID,
		"CSeq: " + strconv.Itoa(cseq) + " REGISTER",
		"Contact: <sip:" + s.config.User + "@" + here + ";line=" + s.tag + ">",
		"Expires: " + strconv.Itoa(int(s.config.Expires.Seconds())),
		"User-Agent: " + s.userAgent(),
	}
	if login != "" {
		lines = append(lines, login)
	}
	text := []byte(strings.Join(append(lines, "Content-Length: 0", "", ""), "\r\n"))
	for wait := 500 * time.Millisecond; ; wait *= 2 {
		if _, err := s.conn.WriteTo(text, to); err != nil {
			return sipMessage{}, err
		}
		again := time.NewTimer(wait)
		select {
		case m := <-answers:
			again.Stop()
			if !strings.HasPrefix(m.first, "SIP/2.0 1") && m.get("cseq") == strconv.Itoa(cseq)+" REGISTER" {
				return m, nil
			}
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return sipMessage{}, context.Cause(ctx)
		}
	}
}
