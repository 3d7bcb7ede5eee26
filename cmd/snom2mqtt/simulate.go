package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// simulation is what the flags of simulate say.
type simulation struct {
	listen, control string
	count           int
	phone           snomtest.Config
	auth, fault     string
	encoding        string
	https           bool
}

func (p *program) simulateCommand() *cobra.Command {
	s := simulation{}
	c := &cobra.Command{
		Use:   "simulate",
		Short: "Be simulated phones, to try the bridge against",
		Long: `Be simulated phones until SIGINT or SIGTERM. Each listens on a port of its own,
one after the other from the port of --listen; their addresses are printed on
standard error. Every request a phone receives is printed on standard output as
one line of JSON:

  time, phone, remote   when, which phone, from where
  method, target        as received, byte for byte
  status                of the answer; 0: none, or a broken one
  auth, authorized      what the request carried, and whether it was let in
  executed, keys        whether it did something, and which keys it pressed
  connection, note      the Connection header, and what was odd

With --control one can play calls: POST /phones/<name>/ring?number=+4930123 and
so on; GET / of that address lists what there is.

Faults: ` + strings.Join(faultNames(), ", ") + `.`,
		Example: `  snom2mqtt simulate --listen 127.0.0.1:8101 --count 2 --auth digest --username admin --password secret
  snom2mqtt simulate --model 870 --latency 50ms --fault reset-after`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return p.simulate(c.Context(), s) },
	}
	f := c.Flags()
	f.StringVar(&s.listen, "listen", "127.0.0.1:8101", "address of the first phone; port 0 takes any")
	f.IntVar(&s.count, "count", 1, "number of phones, 1 to 20000")
	f.StringVar(&s.phone.Model, "model", "D735", "model of the phones")
	f.StringVar(&s.phone.Firmware, "firmware", "", "firmware version they tell (default 10.1.184.14)")
	f.StringVar(&s.phone.Name, "name", "phone", "name of the phone; with --count, the names are <name>-1, <name>-2 and so on")
	f.StringVar(&s.auth, "auth", "", "none, basic, digest, digest-noqop or any (default none, or digest with --username)")
	f.StringVar(&s.phone.Username, "username", "", "user name the phones want")
	f.StringVar(&s.phone.Password, "password", "", "password the phones want")
	f.DurationVar(&s.phone.Latency, "latency", 0, "time a phone takes for each request")
	f.StringVar(&s.fault, "fault", "", "what is wrong with the phones: see above")
	f.BoolVar(&s.phone.HiddenTags, "hidden-tags", false, "use_hidden_tags is on, which blocks remote control")
	f.BoolVar(&s.phone.UserMode, "user-mode", false, "the phones are in user mode: settings cannot be written")
	f.BoolVar(&s.phone.NeedKeepAlive, "need-keep-alive", false, "as D3xx and D7xx do, answer nothing without Connection: keep-alive")
	f.BoolVar(&s.phone.OneConnection, "one-connection", false, "serve one connection at a time")
	f.IntVar(&s.phone.NonceUses, "nonce-uses", 0, "requests a digest nonce is good for (default any number)")
	f.BoolVar(&s.https, "https", false, "serve https with a self-signed certificate")
	f.StringVar(&s.control, "control", "", "loopback address where calls can be played")
	f.StringVar(&s.encoding, "encoding", "", "how action URLs encode what they say")
	return c
}

func faultNames() []string {
	var names []string
	for _, f := range snomtest.FaultNames() {
		names = append(names, string(f))
	}
	return names
}

// simulate runs the phones until ctx ends.
func (p *program) simulate(ctx context.Context, s simulation) error {
	if err := s.check(); err != nil {
		return usageError{err}
	}
	out := &lines{w: p.stdout}
	phones, err := s.phones(out.print)
	if err != nil {
		return usageError{err}
	}
	set := newPhoneSet(ctx)
	defer set.close()
	host, first, _ := net.SplitHostPort(s.listen) // checked before
	port, _ := strconv.Atoi(first)
	var secure *tls.Config
	if s.https {
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
	}
	if s.control != "" {
		at, err := set.control(s.control, phones)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stderr, "control %s\n", at)
	}
	return set.wait()
}

// check says what is wrong with the flags.
func (s *simulation) check() error {
	host, port, err := net.SplitHostPort(s.listen)
	if err != nil {
		return fmt.Errorf("--listen %q: want host:port", s.listen)
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 0 || n > 65535 || host == "" && n == 0 {
		return fmt.Errorf("--listen %q: want host:port, the port 0 to 65535", s.listen)
	}
	if s.count < 1 || s.count > 20000 || n > 0 && n+s.count-1 > 65535 {
		return fmt.Errorf("--count %d: want 1 to 20000, and no port above 65535", s.count)
	}
	if _, ok := snom.FindModel(s.phone.Model); !ok {
		return fmt.Errorf("--model %q: no such model", s.phone.Model)
	}
	if s.auth == "" {
		s.auth = string(snomtest.AuthNone)
		if s.phone.Username != "" {
			s.auth = string(snomtest.AuthDigest)
		}
	}
	auths := []snomtest.Auth{snomtest.AuthNone, snomtest.AuthBasic, snomtest.AuthDigest, snomtest.AuthDigestNoQOP, snomtest.AuthAny}
	if !slices.Contains(auths, snomtest.Auth(s.auth)) {
		return fmt.Errorf("--auth %q: want one of %v", s.auth, auths)
	}
	if s.auth != string(snomtest.AuthNone) && s.phone.Username == "" {
		return fmt.Errorf("--auth %s wants --username and --password", s.auth)
	}
	if s.fault != "" && !slices.Contains(faultNames(), s.fault) {
		return fmt.Errorf("--fault %q: want one of %s", s.fault, strings.Join(faultNames(), ", "))
	}
	return nil
}

// phones makes the phones; each tells seen of its requests.
func (s *simulation) phones(seen func(snomtest.Request)) ([]*snomtest.Phone, error) {
	encoding, err := snomtest.ParseEncoding(s.encoding)
	if err != nil {
		return nil, err
	}
	var phones []*snomtest.Phone
	for i := range s.count {
		c := s.phone
		if s.count > 1 {
			c.Name = fmt.Sprintf("%s-%d", s.phone.Name, i+1)
		}
		c.Auth, c.OnRequest, c.Encoding = snomtest.Auth(s.auth), seen, encoding
		phone := snomtest.New(c)
		phone.SetFault(snomtest.Fault(s.fault))
		phones = append(phones, phone)
	}
	return phones, nil
}

// lines prints requests, one line of JSON each.
type lines struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lines) print(r snomtest.Request) {
	b, err := json.Marshal(r)
	if err != nil {
		return // texts and numbers: there is nothing to fail
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.w.Write(append(b, '\n')) // a reader that went away is no fault of the phone's
}

// A phoneSet is simulated phones that are being served.
type phoneSet struct {
	ctx     context.Context
	fail    context.CancelCauseFunc
	serving sync.WaitGroup
	servers []*http.Server
	phones  []*snomtest.Phone
}

func newPhoneSet(ctx context.Context) *phoneSet {
	s := &phoneSet{}
	s.ctx, s.fail = context.WithCancelCause(ctx)
	return s
}

// serve serves phone at addr and returns its URL.
func (s *phoneSet) serve(phone *snomtest.Phone, addr string, secure *tls.Config) (url string, err error) {
	l, err := phone.Listen(addr)
	if err != nil {
		return "", err
	}
	url = "http://" + l.Addr().String()
	server := phone.Server()
	if secure != nil {
		url = "https://" + l.Addr().String()
		l = tls.NewListener(l, secure)
	}
	s.phones = append(s.phones, phone)
	s.start(server, l)
	return url, nil
}

// control serves the handler that plays calls. It listens on loopback only.
func (s *phoneSet) control(addr string, phones []*snomtest.Phone) (url string, err error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", err
	}
	if a, ok := l.Addr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
		_ = l.Close() // it never served
		return "", usageError{fmt.Errorf("--control %q: want a loopback address: whoever reaches it plays calls", addr)}
	}
	s.start(&http.Server{Handler: snomtest.ControlHandler(phones...), ReadHeaderTimeout: 5 * time.Second}, l)
	return "http://" + l.Addr().String(), nil
}

func (s *phoneSet) start(server *http.Server, l net.Listener) {
	s.servers = append(s.servers, server)
	s.serving.Go(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.fail(err)
		}
	})
}

// wait waits until the context ends or a server fails.
func (s *phoneSet) wait() error {
	<-s.ctx.Done()
	if err := context.Cause(s.ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// close ends the servers and the phones.
func (s *phoneSet) close() {
	s.fail(nil)
	for _, server := range s.servers {
		_ = server.Close() // what it was doing is meant to end
	}
	for _, phone := range s.phones {
		_ = phone.Close() // likewise
	}
	s.serving.Wait()
}
