package session

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"github.com/gorilla/websocket"
)

// schemes are the schemes of broker URLs, each with the one it means and its port.
var schemes = map[string]struct{ means, port string }{
	"tcp":   {"tcp", "1883"},
	"mqtt":  {"tcp", "1883"},
	"ssl":   {"ssl", "8883"},
	"mqtts": {"ssl", "8883"},
	"ws":    {"ws", "80"},
	"wss":   {"wss", "443"},
}

// parseURL parses the URL of a broker. Its errors do not repeat it: there may be a password in it.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("mqtt: broker URL cannot be parsed, expected scheme://host:port")
	}
	scheme, ok := schemes[u.Scheme]
	switch {
	case !ok:
		return nil, errors.New("mqtt: broker URL: expected the scheme tcp, ssl, ws or wss, as in tcp://host:1883")
	case u.User != nil:
		return nil, errors.New("mqtt: broker URL with credentials in it, expected them as user name and password")
	case u.Opaque != "" || u.Hostname() == "":
		return nil, errors.New("mqtt: broker URL without a host, expected scheme://host:port")
	case u.Fragment != "":
		return nil, errors.New("mqtt: broker URL with a fragment (#)")
	}
	port := u.Port()
	if port == "" {
		port = scheme.port
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return nil, fmt.Errorf("mqtt: broker URL: port %q, expected 1 to 65535", port)
	}
	u.Scheme = scheme.means
	u.Host = net.JoinHostPort(u.Hostname(), port)
	switch u.Scheme {
	case "tcp", "ssl":
		if u.Path != "" && u.Path != "/" || u.RawQuery != "" {
			return nil, errors.New("mqtt: broker URL with a path or query, which only websockets have")
		}
		u.Path = ""
	}
	return u, nil
}

// open makes a network connection to the broker. The proxies of the environment are not used.
func (s *Session) open(ctx context.Context) (net.Conn, error) {
	if s.cfg.Open != nil {
		return s.cfg.Open(ctx)
	}
	var secure *tls.Config
	if s.url.Scheme == "ssl" || s.url.Scheme == "wss" {
		c, err := s.tls()
		if err != nil {
			return nil, err
		}
		secure = c
	}
	dialer := &net.Dialer{}
	switch s.url.Scheme {
	case "tcp":
		return dialer.DialContext(ctx, "tcp", s.url.Host)
	case "ssl":
		c, err := dialer.DialContext(ctx, "tcp", s.url.Host)
		if err != nil {
			return nil, err
		}
		return handshake(ctx, c, secure)
	}
	return s.openWebSocket(ctx, dialer, secure)
}

// openWebSocket makes a WebSocket connection to the broker.
func (s *Session) openWebSocket(ctx context.Context, dialer *net.Dialer, secure *tls.Config) (net.Conn, error) {
	var first firstBytes
	connected := false
	ws := &websocket.Dialer{
		NetDialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			first.Conn, connected = c, true
			return &first, nil
		},
		NetDialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			c, err = handshake(ctx, c, secure)
			connected = err == nil
			return c, err
		},
		Subprotocols: []string{"mqtt"},
	}
	c, reply, err := ws.DialContext(ctx, s.url.String(), nil) //nolint:bodyclose // a copy in memory
	switch {
	case err == nil:
		return &wsConn{Conn: c}, nil
	case reply != nil && s.url.Scheme == "ws" && reply.StatusCode == http.StatusBadRequest && speaksOfTLS(reply):
		return nil, ProtocolError("the server speaks TLS on this port: use wss:// in the broker URL")
	case reply != nil:
		return nil, fmt.Errorf("%w: %s", err, reply.Status)
	case first.n > 1 && first.b[0] == 0x15: // a TLS alert
		return nil, ProtocolError("the server speaks TLS on this port: use wss:// in the broker URL")
	case connected && hungUp(err):
		return nil, fmt.Errorf("the server closed the connection during the WebSocket handshake (does it speak WebSocket on this port? "+
			"A port for MQTT alone, often 1883 or 8883, takes tcp:// or ssl:// in the broker URL): %w", withoutAddress(err))
	}
	return nil, err
}

// hungUp reports whether err says that the server closed the connection.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// handshake makes a TLS connection of c.
func handshake(ctx context.Context, c net.Conn, config *tls.Config) (net.Conn, error) {
	secure := tls.Client(c, config)
	err := secure.HandshakeContext(ctx)
	if err == nil {
		return secure, nil
	}
	_ = c.Close() // of no use any more
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &record):
		return nil, ProtocolError("the server does not speak TLS on this port: use the port for TLS (often 8883), or tcp:// (or ws://) in the broker URL")
	case hungUp(err):
		return nil, fmt.Errorf("the server closed the connection during the TLS handshake (does it speak TLS on this port? "+
			"The port for TLS is often 8883): %w", withoutAddress(err))
	}
	return nil, err
}

// expectsTLS reports whether the server behind a URL without TLS speaks TLS on that port. Most such servers close the
// connection on a plain CONNECT, and give no reason. Nothing but a handshake is sent.
func (s *Session) expectsTLS(ctx context.Context) bool {
	if s.cfg.Open != nil || s.url.Scheme == "ssl" || s.url.Scheme == "wss" {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.url.Host)
	if err != nil {
		return false
	}
	secure := tls.Client(c, &tls.Config{InsecureSkipVerify: true, ServerName: s.url.Hostname()}) //nolint:gosec // no secret is sent
	defer secure.Close()
	err = secure.HandshakeContext(ctx)
	var alert tls.AlertError
	return err == nil || errors.As(err, &alert)
}

// speaksOfTLS reports whether an HTTP answer is one of those that servers give to plain HTTP on a port for TLS.
func speaksOfTLS(reply *http.Response) bool {
	body, err := io.ReadAll(io.LimitReader(reply.Body, 1<<10))
	return err == nil && bytes.Contains(bytes.ToUpper(body), []byte("HTTPS"))
}

// firstBytes is a connection that remembers the first bytes it has read.
type firstBytes struct {
	net.Conn
	b [2]byte
	n int
}

func (f *firstBytes) Read(p []byte) (int, error) {
	n, err := f.Conn.Read(p)
	f.n += copy(f.b[min(f.n, len(f.b)):], p[:n])
	return n, err
}

// NetConn returns the connection below, as that of package tls does.
func (f *firstBytes) NetConn() net.Conn { return f.Conn }

// tls returns the TLS configuration for one connection.
func (s *Session) tls() (*tls.Config, error) {
	c := &tls.Config{}
	if s.cfg.TLS != nil {
		given, err := s.cfg.TLS()
		if err != nil {
			return nil, fmt.Errorf("TLS: %w", err)
		}
		c = given.Clone()
	}
	if c.ServerName == "" {
		c.ServerName = s.url.Hostname()
	}
	return c, nil
}

// A wsConn is a websocket as a stream of bytes, which is what MQTT makes of it (MQTT 3.1.1, section 6). One may read
// and one may write at the same time.
type wsConn struct {
	*websocket.Conn
	frame io.Reader // the current one; nil between two
}

var _ net.Conn = (*wsConn)(nil)

func (c *wsConn) Read(p []byte) (int, error) {
	for {
		if c.frame == nil {
			kind, r, err := c.NextReader()
			if err != nil {
				return 0, err
			}
			if kind != websocket.BinaryMessage {
				return 0, errors.New("websocket frame of text, expected binary")
			}
			c.frame = r
		}
		n, err := c.frame.Read(p)
		if err == io.EOF {
			c.frame, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (c *wsConn) Write(p []byte) (int, error) {
	if err := c.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (c *wsConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}
