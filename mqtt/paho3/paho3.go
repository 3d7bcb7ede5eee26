// Package paho3 is the MQTT 3.1.1 driver of package session, by the Eclipse Paho client paho.mqtt.golang.
//
// A client of Paho is used for one connection only. Its own reconnecting would send what it kept in any order, and for
// ever what the broker does not accept.
package paho3

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/mqtt/session"
)

// A Driver makes connections with the Paho client. The zero Driver is ready.
type Driver struct{}

var _ session.Driver = Driver{}

// Connect is [session.Driver].
func (Driver) Connect(ctx context.Context, nc net.Conn, o session.ConnectOptions) (session.Conn, error) {
	c := &client{conn: newConn(nc, o.WriteTimeout)}
	c.paho = paho.NewClient(options(c.conn, o))
	stop := context.AfterFunc(ctx, func() { _ = c.conn.Close() })
	defer stop()
	token := c.paho.Connect().(*paho.ConnectToken)
	<-token.Done() // ends: the connection is closed with ctx
	if err := token.Error(); err != nil {
		_ = c.conn.Close() // never fails
		if code := token.ReturnCode(); code >= 1 && code <= 5 {
			return nil, session.ConnackError(code)
		}
		switch {
		case c.conn.err != error(errClosed):
			return nil, c.conn.err // better than what Paho makes of it
		case ctx.Err() != nil:
			return nil, timeoutError("no answer in time")
		}
		return nil, err
	}
	return c, nil
}

// options configures Paho for one connection.
func options(c *conn, o session.ConnectOptions) *paho.ClientOptions {
	p := paho.NewClientOptions()
	p.Servers = []*url.URL{{Scheme: "tcp", Host: "broker"}} // never dialled
	p.SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) { return c, nil })
	p.SetClientID(o.ClientID)
	p.SetUsername(o.Username)
	p.SetPassword(o.Password)
	p.SetBinaryWill(o.Will.Topic, o.Will.Payload, 1, o.Will.Retained)
	p.SetProtocolVersion(4) // otherwise each wrong password is sent twice, the second time in MQTT 3.1
	p.SetCleanSession(true)
	p.SetStore(nullStore{})
	p.SetAutoReconnect(false)
	p.SetConnectRetry(false)
	p.SetOrderMatters(true)
	p.SetAutoAckDisabled(true) // the session acknowledges
	p.SetKeepAlive(o.KeepAlive)
	p.SetPingTimeout(o.PingTimeout)
	p.SetWriteTimeout(o.WriteTimeout)
	p.SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) { o.Receive(m) })
	return p
}

// A client is one connection.
type client struct {
	paho paho.Client
	conn *conn
}

var _ session.Conn = (*client)(nil)

// A subscribing is a SUBSCRIBE that is waited for.
type subscribing struct{ *paho.SubscribeToken }

// Granted reports whether SUBACK granted filter.
func (s subscribing) Granted(filter string) bool {
	qos, ok := s.Result()[filter]
	return ok && qos <= 2
}

// Subscribe is [session.Conn].
func (c *client) Subscribe(filters []string) session.Subscribing {
	all := make(map[string]byte, len(filters))
	for _, f := range filters {
		all[f] = 1
	}
	return subscribing{c.paho.SubscribeMultiple(all, nil).(*paho.SubscribeToken)}
}

// Unsubscribe is [session.Conn].
func (c *client) Unsubscribe(filters []string) session.Pending { return c.paho.Unsubscribe(filters...) }

// Publish is [session.Conn].
func (c *client) Publish(m mqtt.Message) session.Pending {
	c.conn.publishing.Add(1)
	return c.paho.Publish(m.Topic, 1, m.Retained, m.Payload)
}

// Received is [session.Conn].
func (c *client) Received() int64 { return c.conn.in.messages.Load() }

// Disconnect is [session.Conn].
func (c *client) Disconnect(timeout time.Duration) {
	c.paho.Disconnect(uint(timeout.Milliseconds())) // until the broker has closed the connection
	c.conn.fail(errClosed)
}

// Fail is [session.Conn].
func (c *client) Fail(err error) { c.conn.fail(err) }

// Lost is [session.Conn].
func (c *client) Lost() <-chan struct{} { return c.conn.lost }

// Err is [session.Conn].
func (c *client) Err() error { return c.conn.err }

// String names the connection in test failures.
func (c *client) String() string { return fmt.Sprintf("paho3 connection to %v", c.conn.RemoteAddr()) }
