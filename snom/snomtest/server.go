package snomtest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/snom2mqtt/snom2mqtt/internal/pipenet"
)

// TB is what the functions below need of a test; every testing.TB is one. Package testing itself is not
// imported, so that a program that plays phones does not carry it.
type TB interface {
	Helper()
	Cleanup(func())
	Errorf(format string, args ...any)
	Fatal(args ...any)
}

// NewServer returns a phone that listens on a port of 127.0.0.1 until the test ends, and its URL.
func NewServer(tb TB, c Config) (p *Phone, url string) {
	tb.Helper()
	p = New(c)
	l, err := p.Listen("127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	serve(tb, p, func(srv *http.Server) error { return srv.Serve(l) })
	return p, "http://" + l.Addr().String()
}

// NewTLSServer is NewServer by https. The certificate is self-signed, for 127.0.0.1; it is
// returned as PEM.
func NewTLSServer(tb TB, c Config) (p *Phone, url string, certificate []byte) {
	tb.Helper()
	config, certificate, err := SelfSigned(c.LegacyTLS)
	if err != nil {
		tb.Fatal(err)
	}
	p = New(c)
	l, err := p.Listen("127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	serve(tb, p, func(srv *http.Server) error { return srv.Serve(tls.NewListener(l, config)) })
	return p, "https://" + l.Addr().String(), certificate
}

// NewPipe returns a phone without a socket and the function that connects to it, whatever the address.
// It works inside a testing/synctest bubble; call it there.
func NewPipe(tb TB, c Config) (p *Phone, dial func(ctx context.Context, network, addr string) (net.Conn, error)) {
	tb.Helper()
	p = New(c)
	l, err := p.listen(func(net.Addr) (net.Listener, error) { return pipenet.Listen(), nil })
	if err != nil {
		tb.Fatal(err)
	}
	serve(tb, p, func(srv *http.Server) error { return srv.Serve(l) })
	return p, func(ctx context.Context, network, addr string) (net.Conn, error) {
		inner, _ := l.state()
		if inner == nil {
			return nil, &net.OpError{Op: "dial", Net: "pipe", Err: syscall.ECONNREFUSED}
		}
		return inner.(*pipenet.Listener).DialContext(ctx, network, addr)
	}
}

// serve runs the phone's server until the test ends.
func serve(tb TB, p *Phone, run func(*http.Server) error) {
	srv := p.Server()
	served := make(chan error, 1)
	go func() { served <- run(srv) }()
	tb.Cleanup(func() {
		if err := srv.Close(); err != nil {
			tb.Errorf("closing the phone: %v", err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			tb.Errorf("the phone's server: %v", err)
		}
		if err := p.Close(); err != nil {
			tb.Errorf("closing the phone: %v", err)
		}
	})
}

// Server returns a server for the phone. Serve on a listener from [Phone.Listen]; on another one the
// phone cannot refuse connections, and hangs up on them instead.
func (p *Phone) Server() *http.Server {
	return &http.Server{
		Handler:           p,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0), // faults are meant
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, new(connUse))
		},
	}
}

// connKey finds the connUse of a request's connection.
type connKey struct{}

// A connUse counts the requests of one connection.
type connUse struct {
	mu sync.Mutex
	n  int // guarded by mu
}

// reused says whether this is not the first request of its connection. Behind a server without
// Server's ConnContext it never is.
func reused(r *http.Request) bool {
	use, ok := r.Context().Value(connKey{}).(*connUse)
	if !ok {
		return false
	}
	use.mu.Lock()
	defer use.mu.Unlock()
	use.n++
	return use.n > 1
}

// Listen listens on a TCP address, refuses connections while the phone is down or its fault says so,
// and lets in one at a time with OneConnection.
func (p *Phone) Listen(address string) (net.Listener, error) {
	return p.listen(func(again net.Addr) (net.Listener, error) {
		if again != nil {
			address = again.String()
		}
		return net.Listen("tcp", address)
	})
}

func (p *Phone) listen(bind func(again net.Addr) (net.Listener, error)) (*listener, error) {
	inner, err := bind(nil)
	if err != nil {
		return nil, fmt.Errorf("snomtest: %w", err)
	}
	l := &listener{bind: bind, addr: inner.Addr(), inner: inner, changed: make(chan struct{}), closed: make(chan struct{})}
	if p.config.OneConnection {
		l.single = make(chan struct{}, 1)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listeners = append(p.listeners, l)
	if p.down || p.fault == FaultRefuseConnects {
		l.shut()
	}
	return l, nil
}

// shut makes all listeners refuse connections and drops those there are.
func (p *Phone) shut() {
	for _, l := range p.listeners {
		l.shut()
	}
}

// open ends shut, unless a fault keeps it up.
func (p *Phone) open() {
	if p.fault == FaultRefuseConnects {
		return
	}
	for _, l := range p.listeners {
		l.open()
	}
}

// host is the address of the phone without the port.
func (p *Phone) host() string {
	for _, l := range p.listeners {
		if host, _, err := net.SplitHostPort(l.addr.String()); err == nil {
			return host
		}
	}
	return "127.0.0.1"
}

// A listener is the address of a phone. Shut, it has no listener below it, so that connections are
// really refused; opened again, it listens on the same address.
type listener struct {
	bind   func(again net.Addr) (net.Listener, error)
	addr   net.Addr
	single chan struct{} // filled by the one connection there may be; nil: any number

	mu      sync.Mutex   // guards what follows
	inner   net.Listener // nil while closed
	changed chan struct{}
	conns   map[*conn]struct{}
	closed  chan struct{}
	once    sync.Once
}

func (l *listener) Addr() net.Addr { return l.addr }

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	l.shut()
	return nil
}

func (l *listener) state() (inner net.Listener, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.inner, l.changed
}

func (l *listener) shut() {
	l.mu.Lock()
	inner, conns := l.inner, l.conns
	l.inner, l.conns = nil, nil
	l.mu.Unlock()
	if inner != nil {
		inner.Close()
	}
	for c := range conns {
		if tcp := tcpOf(c); tcp != nil {
			_ = tcp.SetLinger(0) // then it is an orderly close
		}
		_ = c.Close() // it is meant to end
	}
}

// open listens again. While another program uses the address, it is tried again.
func (l *listener) open() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.closed:
		return
	default:
	}
	if l.inner != nil {
		return
	}
	inner, err := l.bind(l.addr)
	if err != nil {
		time.AfterFunc(50*time.Millisecond, l.open)
		return
	}
	l.inner = inner
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *listener) Accept() (net.Conn, error) {
	if l.single != nil {
		select {
		case l.single <- struct{}{}:
		case <-l.closed:
			return nil, net.ErrClosed
		}
	}
	for {
		inner, changed := l.state()
		if inner == nil {
			select {
			case <-changed:
				continue
			case <-l.closed:
				l.leave(nil)
				return nil, net.ErrClosed
			}
		}
		accepted, err := inner.Accept()
		if err != nil {
			if now, _ := l.state(); now != inner {
				continue // it was shut
			}
			l.leave(nil)
			return nil, err
		}
		c := &conn{Conn: accepted, listener: l}
		if !l.enter(inner, c) {
			accepted.Close() // shut since
			continue
		}
		return c, nil
	}
}

// enter notes an open connection.
func (l *listener) enter(inner net.Listener, c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inner != inner {
		return false
	}
	if l.conns == nil {
		l.conns = map[*conn]struct{}{}
	}
	l.conns[c] = struct{}{}
	return true
}

// leave notes that a connection is closed.
func (l *listener) leave(c *conn) {
	l.mu.Lock()
	delete(l.conns, c)
	l.mu.Unlock()
	if l.single != nil {
		<-l.single
	}
}

// A conn is a connection that its listener knows of.
type conn struct {
	net.Conn
	listener *listener
	once     sync.Once
}

func (c *conn) NetConn() net.Conn { return c.Conn }

func (c *conn) Close() error {
	c.once.Do(func() { c.listener.leave(c) })
	return c.Conn.Close()
}

// SelfSigned returns the server side of a TLS connection with a fresh certificate for 127.0.0.1 and ::1,
// and the certificate as PEM. With legacy it speaks only TLS 1.0, and a cipher suite of that age.
func SelfSigned(legacy bool) (*tls.Config, []byte, error) {
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: "snom"},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(24 * time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	var certificate tls.Certificate
	var der []byte
	var err error
	if legacy {
		key, e := rsa.GenerateKey(rand.Reader, 2048)
		if e != nil {
			return nil, nil, fmt.Errorf("snomtest: %w", e)
		}
		certificate.PrivateKey = key
		der, err = x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	} else {
		key, e := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if e != nil {
			return nil, nil, fmt.Errorf("snomtest: %w", e)
		}
		certificate.PrivateKey = key
		der, err = x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("snomtest: %w", err)
	}
	certificate.Certificate = [][]byte{der}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"http/1.1"}}
	if legacy {
		config.MinVersion, config.MaxVersion = tls.VersionTLS10, tls.VersionTLS10
		config.CipherSuites = []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}
	}
	return config, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}
