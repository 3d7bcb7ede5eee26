package mqttpaho

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/gorilla/websocket"
)

// schemes are the schemes of broker URLs, each with the one it means and its port.
func schemes() map[string]struct{ means, port string } {
	return map[string]struct{ means, port string }{
		"tcp":   {"tcp", "1883"},
		"mqtt":  {"tcp", "1883"},
		"ssl":   {"ssl", "8883"},
		"mqtts": {"ssl", "8883"},
		"ws":    {"ws", "80"},
		"wss":   {"wss", "443"},
	}
}

// parseURL reads the URL of a broker. Its errors do not repeat it: there may be a password in it.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("mqttpaho: broker URL cannot be read, want scheme://host:port")
	}
	scheme, ok := schemes()[u.Scheme]
	switch {
	case !ok:
		return nil, errors.New("mqttpaho: broker URL: want the scheme tcp, ssl, ws or wss, as in tcp://host:1883")
	case u.User != nil:
		return nil, errors.New("mqttpaho: broker URL with credentials in it, want them as user name and password")
	case u.Opaque != "" || u.Hostname() == "":
		return nil, errors.New("mqttpaho: broker URL without a host, want scheme://host:port")
	case u.Fragment != "":
		return nil, errors.New("mqttpaho: broker URL with a fragment (#)")
	}
	port := u.Port()
	if port == "" {
		port = scheme.port
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return nil, fmt.Errorf("mqttpaho: broker URL: port %q, want 1 to 65535", port)
	}
	u.Scheme = scheme.means
	u.Host = net.JoinHostPort(u.Hostname(), port)
	switch u.Scheme {
	case "tcp", "ssl":
		if u.Path != "" && u.Path != "/" || u.RawQuery != "" {
			return nil, errors.New("mqttpaho: broker URL with a path or query, which only websockets have")
		}
		u.Path = ""
	}
	return u, nil
}

// open makes a network connection to the broker. Proxies of the environment are not used.
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
		return (&tls.Dialer{NetDialer: dialer, Config: secure}).DialContext(ctx, "tcp", s.url.Host)
	}
	ws := &websocket.Dialer{
		NetDialContext:  dialer.DialContext,
		TLSClientConfig: secure,
		Subprotocols:    []string{"mqtt"},
	}
	c, reply, err := ws.DialContext(ctx, s.url.String(), nil) //nolint:bodyclose // a copy in memory
	if err != nil && reply != nil {
		return nil, fmt.Errorf("%w: %s", err, reply.Status)
	}
	if err != nil {
		return nil, err
	}
	return &wsConn{Conn: c}, nil
}

// tls is the TLS configuration for one connection.
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
	frame io.Reader // what is read just now; nil between two
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
				return 0, errors.New("websocket frame of text, want binary")
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
