package session_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/mqtt/paho3"
	"github.com/snom2mqtt/snom2mqtt/mqtt/session"
)

// An authority issues certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool()}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	pair := a.issue(t, template)
	a.cert, a.key = pair.Leaf, pair.PrivateKey.(*ecdsa.PrivateKey)
	a.pool.AddCert(a.cert)
	return a
}

// issue completes template and signs it; the first one is signed by itself.
func (a *authority) issue(t *testing.T, template *x509.Certificate) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func (a *authority) server(t *testing.T, name string) tls.Certificate {
	t.Helper()
	return a.issue(t, &x509.Certificate{DNSNames: []string{name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
}

func (a *authority) client(t *testing.T) tls.Certificate {
	t.Helper()
	return a.issue(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "bridge"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

// newServer returns a broker that lets user bridge in with the password canary, and serves what it is given.
func newServer(t *testing.T) (serve func(net.Conn)) {
	t.Helper()
	server := mochi.New(&mochi.Options{Logger: slog.New(slog.DiscardHandler)})
	ledger := &auth.Ledger{
		Auth: auth.AuthRules{{Username: "bridge", Password: canary, Allow: true}},
		ACL:  auth.ACLRules{{}},
	}
	if err := server.AddHook(new(auth.Hook), &auth.Options{Ledger: ledger}); err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(serving.Wait)
	return func(c net.Conn) {
		t.Cleanup(func() { c.Close() })
		serving.Go(func() { _ = server.EstablishConnection("test", c) }) // ends with the connection
	}
}

// listen serves connections on 127.0.0.1, with TLS unless config is nil, and returns the address.
func listen(t *testing.T, serve func(net.Conn), config *tls.Config) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if config != nil {
		l = tls.NewListener(l, config)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			serve(c)
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
	return l.Addr().String()
}

// listenWebsocket is listen for websockets.
func listenWebsocket(t *testing.T, serve func(net.Conn), config *tls.Config) string {
	t.Helper()
	up := websocket.Upgrader{Subprotocols: []string{"mqtt"}}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/mqtt" {
			http.NotFound(w, r)
			return
		}
		c, err := up.Upgrade(w, r, nil)
		if err != nil || c.Subprotocol() != "mqtt" {
			t.Errorf("no websocket for mqtt: %v", err)
			return
		}
		serve(&lockedConn{Conn: session.Websocket(c)})
	}))
	if config != nil {
		s.TLS = config
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// try runs a session until it is online or has failed, and returns why it failed.
func try(t *testing.T, url string, change func(*session.Config)) (failure string) {
	t.Helper()
	tree, err := mqtt.NewTree("snom", "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), atMost)
	defer cancel()
	log := &syncBuffer{warned: cancel}
	online := make(chan struct{})
	cfg := session.Config{
		URL:      url,
		Username: "bridge",
		Password: canary,
		ClientID: "snom2mqtt-test",
		Tree:     tree,
		Driver:   paho3.Driver{},
		Log:      slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&cfg)
	}
	s, err := session.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(ctx, funcs{tree: tree, online: func() { close(online); cancel() }}); err != nil {
		t.Errorf("Run() = %v, expected nil", err)
	}
	if text := log.String() + s.Status().LastError; strings.Contains(text, canary) {
		t.Errorf("the password is in %q", text)
	}
	select {
	case <-online:
		return ""
	default:
		return s.Status().LastError
	}
}

// A lockedConn keeps mochi from setting deadlines while it writes, which a websocket does not allow.
type lockedConn struct {
	net.Conn
	mu sync.Mutex
}

func (c *lockedConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Conn.Write(p)
}

func (c *lockedConn) SetDeadline(t time.Time) error    { return c.SetReadDeadline(t) }
func (c *lockedConn) SetWriteDeadline(time.Time) error { return nil }

func TestWaysToTheBroker(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t), newAuthority(t)
	serve := newServer(t)
	plain := listen(t, serve, nil)
	secure := listen(t, serve, &tls.Config{Certificates: []tls.Certificate{ours.server(t, "broker.example")}})
	mutual := listen(t, serve, &tls.Config{
		Certificates: []tls.Certificate{ours.server(t, "localhost")},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: ours.pool,
	})
	ws := listenWebsocket(t, serve, nil)
	wss := listenWebsocket(t, serve, &tls.Config{Certificates: []tls.Certificate{ours.server(t, "localhost")}})
	byName := func(addr string) string { return strings.Replace(addr, "127.0.0.1", "localhost", 1) }
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()

	trust := func(c *tls.Config) func(*session.Config) {
		return func(cfg *session.Config) { cfg.TLS = func() (*tls.Config, error) { return c, nil } }
	}
	client, stranger := ours.client(t), theirs.client(t)
	tests := []struct {
		name   string
		url    string
		change func(*session.Config)
		want   string // part of the failure; empty: none
	}{
		{name: "plain", url: "tcp://" + plain},
		{name: "plain, wrong password", url: "tcp://" + plain, change: func(c *session.Config) { c.Password = "wrong" }, want: "check user name and password"},
		{name: "plain, no user", url: "tcp://" + plain, change: func(c *session.Config) { c.Username, c.Password = "", "" }, want: "check user name and password"},
		{name: "plain, but TLS is expected", url: "tcp://" + secure, want: "use ssl://"},
		{name: "closed port", url: "tcp://" + closed.Addr().String(), want: "connection refused"},
		{name: "no such host", url: "tcp://broker.invalid", want: "broker.invalid"},

		{name: "TLS to a plain port", url: "ssl://" + plain, change: trust(&tls.Config{RootCAs: ours.pool}), want: "does it speak TLS on this port?"},
		{name: "WebSocket to a plain port", url: "ws://" + plain, want: "does it speak WebSocket on this port?"},
		{name: "WebSocket over TLS to a port for MQTT", url: "wss://" + secure, change: trust(&tls.Config{InsecureSkipVerify: true}), want: "does it speak WebSocket on this port?"},
		{name: "TLS to an HTTP server", url: "ssl://" + ws, change: trust(&tls.Config{RootCAs: ours.pool}), want: "does not speak TLS on this port"},
		{name: "plain, but TLS with a client certificate is expected", url: "tcp://" + mutual, want: "use ssl://"},
		{name: "websocket, but TLS is expected", url: "ws://" + wss + "/mqtt", want: "use wss://"},
		{name: "websocket with TLS to a plain port", url: "wss://" + byName(ws) + "/mqtt", change: trust(&tls.Config{RootCAs: ours.pool}), want: "does not speak TLS on this port"},
		{name: "websocket to a plain MQTT port", url: "ws://" + plain + "/mqtt", want: "EOF"},
		{name: "websocket to an MQTT port with TLS", url: "ws://" + secure + "/mqtt", want: "EOF"},

		{name: "TLS with server name", url: "ssl://" + secure, change: trust(&tls.Config{RootCAs: ours.pool, ServerName: "broker.example"})},
		{name: "TLS with another name", url: "ssl://" + secure, change: trust(&tls.Config{RootCAs: ours.pool, ServerName: "other.example"}), want: "not other.example"},
		{name: "TLS with the name of the URL", url: "ssl://" + secure, change: trust(&tls.Config{RootCAs: ours.pool}), want: "127.0.0.1"},
		{name: "TLS insecure", url: "ssl://" + secure, change: trust(&tls.Config{InsecureSkipVerify: true})},
		{name: "TLS, unknown authority", url: "ssl://" + secure, change: trust(&tls.Config{RootCAs: theirs.pool, ServerName: "broker.example"}), want: "unknown authority"},
		{name: "TLS, authorities of the system", url: "ssl://" + secure, want: "certificate"},
		{name: "TLS, files gone", url: "ssl://" + secure, change: func(c *session.Config) {
			c.TLS = func() (*tls.Config, error) { return nil, errors.New("ca.pem: no such file") }
		}, want: "TLS: ca.pem: no such file"},

		{name: "client certificate", url: "mqtts://" + byName(mutual), change: trust(&tls.Config{RootCAs: ours.pool, Certificates: []tls.Certificate{client}})},
		{name: "no client certificate", url: "mqtts://" + byName(mutual), change: trust(&tls.Config{RootCAs: ours.pool}), want: "certificate required"},
		{name: "client certificate of a stranger", url: "mqtts://" + byName(mutual), change: trust(&tls.Config{RootCAs: ours.pool, Certificates: []tls.Certificate{stranger}}), want: "certificate"},

		{name: "websocket", url: "ws://" + ws + "/mqtt"},
		{name: "websocket, wrong path", url: "ws://" + ws + "/", want: "404 Not Found"},
		{name: "websocket, wrong password", url: "ws://" + ws + "/mqtt", change: func(c *session.Config) { c.Password = "wrong" }, want: "check user name and password"},
		{name: "websocket with TLS", url: "wss://" + byName(wss) + "/mqtt", change: trust(&tls.Config{RootCAs: ours.pool})},
		{name: "websocket with TLS, unknown authority", url: "wss://" + byName(wss) + "/mqtt", change: trust(&tls.Config{RootCAs: theirs.pool}), want: "unknown authority"},
		{name: "websocket, closed port", url: "ws://" + closed.Addr().String(), want: "connection refused"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := try(t, tt.url, func(c *session.Config) {
				c.ClientID = strings.ReplaceAll(tt.name, " ", "-")
				if tt.change != nil {
					tt.change(c)
				}
			})
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("failed with %q, expected %q", got, tt.want)
			}
		})
	}
}
