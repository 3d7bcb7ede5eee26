package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// simulation holds the flags of simulate.
type simulation struct {
	listen, control string
	count           int
	phone           snomtest.Config
	auth, fault     string
	encoding        string
	https           bool
	sip, registrar  string
	sipPassword     string
	trust           string
	multicast       string
	modules         []string
}

func (p *program) simulateCommand() *cobra.Command {
	s := simulation{}
	c := &cobra.Command{
		Use:   "simulate",
		Short: "Run simulated phones to try the bridge with",
		Long: `Run simulated phones until SIGINT or SIGTERM: they answer as Snom phones do, check
the login, have the keys of their model, lock themselves after failed logins, and have
the fault of --fault. Each listens on a port of its own, ascending from the port of
--listen; their addresses are printed on standard error. Every request that a phone
receives is printed on standard output as one line of JSON:

  time, phone, remote   when, which phone, from where
  method, target        as received, byte for byte
  status                of the answer; 0: none, or a broken one
  auth, authorized      the request's credentials, and whether they were accepted
  executed, keys        whether it did something, and which keys it pressed
  connection, note      the Connection header, and anything unusual

With --sip, each phone takes part in SIP too, over UDP and TCP, at a port of its own from
that of --sip, as a D862 does: it carries out a NOTIFY of a host in --trust or of the
--registrar, where it registers as 27 (with --count as 27, 28 and so on). The target of
such a request is its body.

--control is an address that plays calls: POST /phones/<name>/ring?number=+4930123
and so on; GET / of that address lists the requests.

A --fault applies to all phones:

` + faultHelp() + `
Exit codes: 0 stopped by a signal, 1 it could not listen, 2 wrong flags.`,
		Example: `  snom2mqtt simulate --count 2 --username admin --password secret
  snom2mqtt simulate --model 870 --latency 50ms --fault reset-after
  snom2mqtt simulate --control 127.0.0.1:8100 --encoding latin1
  snom2mqtt simulate --model D862 --sip 127.0.0.1:5070 --trust 127.0.0.1`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if s.sip != "" && !c.Flags().Changed("model") {
				s.phone.Model, s.phone.Firmware = "D862", cmp.Or(s.phone.Firmware, "10.1.226.13")
			}
			return p.simulate(c.Context(), s)
		},
	}
	s.flags(c)
	return c
}

// flags adds the flags of simulate.
func (s *simulation) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&s.listen, "listen", "127.0.0.1:8101", "`address` of the first phone; port 0 takes any")
	f.IntVar(&s.count, "count", 1, "`number` of phones, 1 to 20000")
	f.StringVar(&s.phone.Model, "model", "D735", "`model` of the phones; a D865 has no remote control over HTTP")
	f.StringSliceVar(&s.modules, "module", nil, "expansion `module`s of the phones, such as D7C, one behind the other")
	f.StringVar(&s.phone.Firmware, "firmware", "", "firmware `version` that they report (default 10.1.184.14)")
	f.StringVar(&s.phone.Name, "name", "phone", "`name` of the phone; with --count, <name>-1, <name>-2 and so on")
	f.StringVar(&s.auth, "auth", "", "the `login` that they require: none, basic, digest, digest-noqop (without qop) or any (basic and\ndigest); default none, or digest with --username")
	f.StringVar(&s.phone.Username, "username", "", "`user` name that they require")
	f.StringVar(&s.phone.Password, "password", "", "`password` that they require")
	f.IntVar(&s.phone.NonceUses, "nonce-uses", 0, "`requests` for which a digest nonce is valid (default any number)")
	f.DurationVar(&s.phone.Latency, "latency", 0, "`time` a phone takes for each request, such as 50ms")
	f.StringVar(&s.fault, "fault", "", "one of the `faults` above")
	f.BoolVar(&s.phone.HiddenTags, "hidden-tags", false, "use_hidden_tags is on, which blocks remote control")
	f.BoolVar(&s.phone.UserMode, "user-mode", false, "the phones are in user mode: settings cannot be written")
	f.BoolVar(&s.phone.NeedKeepAlive, "need-keep-alive", false, "as D3xx and D7xx do, answer nothing without Connection: keep-alive")
	f.BoolVar(&s.phone.OneConnection, "one-connection", false, "serve one connection at a time")
	f.BoolVar(&s.https, "https", false, "serve https with a self-signed certificate")
	f.StringVar(&s.sip, "sip", "", "`address` of the first phone for SIP; port 0 takes any")
	f.StringVar(&s.registrar, "registrar", "", "`address` of the SIP registrar that the phones register at, host:port")
	f.StringVar(&s.sipPassword, "sip-password", "", "`password` of the phones at the registrar, and for check-sync")
	f.StringVar(&s.trust, "trust", "", "`hosts` that may send NOTIFYs, separated by blanks (mb_trusted_hosts)")
	f.StringVar(&s.multicast, "multicast", "", "network `interface`, such as lo, by which the phones play announcements, once their settings say where\nthey listen")
	f.StringVar(&s.control, "control", "", "loopback `address` where calls can be played")
	f.StringVar(&s.encoding, "encoding", "", "`how` action URLs are encoded: "+strings.Join(encodings(), ", ")+" (default percent)")
	offer(c, "auth", auths())
	offer(c, "fault", snomtest.FaultNames())
	offer(c, "encoding", encodings())
	offer(c, "model", models())
}

// faultRows describes each of [snomtest.FaultNames].
func faultRows() [][2]string {
	return [][2]string{
		{"refuse-connections", "refuses connections"},
		{"hang", "does nothing, never answers"},
		{"hang-after", "does it, never answers"},
		{"slow", "does it, answers after 3 s"},
		{"drip", "does it, answers one byte per second"},
		{"empty-reply", "does nothing, hangs up"},
		{"hang-up-after", "does it, hangs up without an answer"},
		{"reset-before", "does nothing, resets the connection"},
		{"reset-after", "does it, resets the connection without an answer"},
		{"cut", "does it, hangs up in the middle of the page"},
		{"cut-header", "does it, hangs up in the middle of the head"},
		{"endless-body", "does it, a page that never ends"},
		{"endless-header", "does it, a head that never ends"},
		{"broken-head", "does it, answers with a head that breaks the rules of HTTP"},
		{"garbage", "does nothing, answers what is not HTTP"},
		{"html", "does nothing, 200 with a page of another device"},
		{"login-page", "does nothing, 200 with the page of a failed login"},
		{"redirect", "does nothing, redirects to a login page"},
		{"https-only", "does nothing, redirects to https by a 307"},
		{"403", "does nothing, answers this status"},
		{"404", "does nothing, answers this status"},
		{"500", "does nothing, answers this status"},
		{"503", "does nothing, answers this status"},
		{"choke", "ignores a request during, or within 20 ms after, another one"},
	}
}

func faultHelp() string {
	var b strings.Builder
	for _, r := range faultRows() {
		fmt.Fprintf(&b, "  %-19s %s\n", r[0], r[1])
	}
	return b.String()
}

func auths() []string {
	return []string{string(snomtest.AuthNone), string(snomtest.AuthBasic), string(snomtest.AuthDigest),
		string(snomtest.AuthDigestNoQOP), string(snomtest.AuthAny)}
}

func encodings() (names []string) {
	for _, e := range snomtest.Encodings() {
		names = append(names, string(e))
	}
	return names
}

func models() (names []string) {
	for _, m := range snom.Models() {
		names = append(names, m.Name())
	}
	return names
}

// simulate runs the phones until ctx ends.
func (p *program) simulate(ctx context.Context, s simulation) error {
	if err := s.check(); err != nil {
		return usageError{err}
	}
	out := &lines{w: p.stdout}
	phones := s.phones(out.print)
	set := newPhoneSet()
	defer set.close()
	host, first, _ := net.SplitHostPort(s.listen) // checked before
	port, _ := strconv.Atoi(first)
	for _, phone := range phones {
		for _, module := range s.modules {
			if err := phone.Plug(module); err != nil {
				return usageError{fmt.Errorf("--%w", err)}
			}
		}
	}
	var secure *tls.Config
	if s.https {
		var err error
		if secure, _, err = snomtest.SelfSigned(false); err != nil {
			return err
		}
	}
	for i, phone := range phones {
		at := port
		if port != 0 {
			at += i
		}
		url, err := set.serve(phone, net.JoinHostPort(host, strconv.Itoa(at)), secure)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stderr, "%s %s\n", phone.Name(), url)
		if err := s.serveSIP(ctx, p, set, phone, i); err != nil {
			return err
		}
		if s.multicast == "" {
			continue
		}
		if err := phone.ListenMulticast(s.multicast); err != nil {
			return usageError{fmt.Errorf("--multicast %q: %w", s.multicast, err)}
		}
	}
	if s.control != "" {
		at, err := set.control(s.control, phones)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stderr, "control %s\n", at)
	}
	return set.wait(ctx)
}

// serveSIP has the phone take part in SIP, if --sip says so. i is its number, from 0.
func (s *simulation) serveSIP(ctx context.Context, p *program, set *phoneSet, phone *snomtest.Phone, i int) error {
	if s.sip == "" {
		return nil
	}
	host, first, _ := net.SplitHostPort(s.sip) // checked before
	port, _ := strconv.Atoi(first)
	if port != 0 {
		port += i
	}
	user := strconv.Itoa(27 + i)
	side, address, err := set.serveSIP(phone, net.JoinHostPort(host, strconv.Itoa(port)), snomtest.SIPConfig{Registrar: s.registrar, User: user, Password: s.sipPassword})
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stderr, "%s sip:%s@%s\n", phone.Name(), user, address)
	if s.registrar == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 32*time.Second) // RFC 3261, timer F
	defer cancel()
	if err := side.Register(ctx); err != nil {
		return fmt.Errorf("%s: %w", phone.Name(), err)
	}
	return nil
}

// checkSIP reports what is wrong with the flags about SIP.
func (s *simulation) checkSIP() error {
	if s.sip == "" {
		if s.registrar+s.sipPassword+s.trust != "" {
			return errors.New("--registrar, --sip-password, --trust: expected --sip")
		}
		return nil
	}
	_, port, err := net.SplitHostPort(s.sip)
	if n, perr := strconv.Atoi(port); err != nil || perr != nil || n < 0 || n > 0 && n+s.count-1 > 65535 {
		return fmt.Errorf("--sip %q: expected host:port, the port 0 to 65535", s.sip)
	}
	if _, _, err := net.SplitHostPort(s.registrar); err != nil && s.registrar != "" {
		return fmt.Errorf("--registrar %q: expected host:port", s.registrar)
	}
	return nil
}

// check reports what is wrong with the flags.
func (s *simulation) check() error {
	if err := s.checkSIP(); err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(s.listen)
	if err != nil {
		return fmt.Errorf("--listen %q: expected host:port", s.listen)
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("--listen %q: expected host:port, the port 0 to 65535", s.listen)
	}
	if _, _, err := net.SplitHostPort(s.control); err != nil && s.control != "" {
		return fmt.Errorf("--control %q: expected host:port", s.control)
	}
	if s.count < 1 || s.count > 20000 || n > 0 && n+s.count-1 > 65535 {
		return fmt.Errorf("--count %d: expected 1 to 20000, and no port above 65535", s.count)
	}
	if err := mqtt.ValidName(s.phone.Name); err != nil {
		return fmt.Errorf("--name: %s", inWords(err))
	}
	if _, ok := snom.FindModel(s.phone.Model); !ok {
		return fmt.Errorf("--model %q: expected a model such as D735, 320 or D865", s.phone.Model)
	}
	if s.phone.Latency < 0 || s.phone.NonceUses < 0 {
		return errors.New("--latency, --nonce-uses: expected 0 or more")
	}
	if s.phone.Username == "" && s.phone.Password != "" {
		return errors.New("--password requires --username: without it these phones have no login")
	}
	if s.auth == "" {
		s.auth = string(snomtest.AuthNone)
		if s.phone.Username != "" {
			s.auth = string(snomtest.AuthDigest)
		}
	}
	if !slices.Contains(auths(), s.auth) {
		return fmt.Errorf("--auth %q: expected %s", s.auth, oneOf(auths()))
	}
	if s.auth != string(snomtest.AuthNone) && s.phone.Username == "" {
		return fmt.Errorf("--auth %s requires --username and --password", s.auth)
	}
	if s.fault != "" && !slices.Contains(snomtest.FaultNames(), s.fault) {
		return fmt.Errorf("--fault %q: expected %s", s.fault, oneOf(snomtest.FaultNames()))
	}
	if s.encoding != "" && !slices.Contains(encodings(), s.encoding) {
		return fmt.Errorf("--encoding %q: expected %s", s.encoding, oneOf(encodings()))
	}
	return nil
}

// phones makes the phones; each calls seen with its requests.
func (s *simulation) phones(seen func(snomtest.Request)) (phones []*snomtest.Phone) {
	host, _, _ := net.SplitHostPort(s.listen) // checked before
	for i := range s.count {
		c := s.phone
		c.Dial = dialFrom(host)
		if s.count > 1 {
			c.Name = fmt.Sprintf("%s-%d", s.phone.Name, i+1)
		}
		if s.trust != "" {
			c.Settings = map[string]string{"mb_trusted_hosts": s.trust}
		}
		c.Auth, c.OnRequest, c.Encoding = snomtest.Auth(s.auth), seen, snomtest.Encoding(s.encoding)
		phone := snomtest.New(c)
		phone.SetFault(snomtest.Fault(s.fault))
		phones = append(phones, phone)
	}
	return phones
}

// dialFrom returns what connects from the address that a phone listens on, as a phone does: a bridge may take events of that address
// only. Among loopback addresses the system would choose 127.0.0.1; nil: it chooses the right one.
func dialFrom(host string) func(ctx context.Context, network, address string) (net.Conn, error) {
	own, err := netip.ParseAddr(host)
	if err != nil || !own.IsLoopback() || host == "127.0.0.1" || own == netip.IPv6Loopback() {
		return nil
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		d := net.Dialer{}
		to, _, _ := net.SplitHostPort(address) // the dialer says what is wrong with it
		if other, err := netip.ParseAddr(to); err == nil && other.IsLoopback() && other.Is4() == own.Is4() {
			d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(own, 0))
			if network == "udp" {
				d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(own, 0))
			}
		}
		return d.DialContext(ctx, network, address)
	}
}

// lines prints requests, one line of JSON each.
type lines struct {
	mu sync.Mutex // guards what follows
	w  io.Writer
}

func (l *lines) print(r snomtest.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = encodeJSON(l.w, r) // an output that was closed is no fault of the phone
}

// encodeJSON writes v as one line of JSON in which & stays readable.
func encodeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
