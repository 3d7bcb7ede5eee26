// Package paho3 is the MQTT 3.1.1 driver of package session, with the packets of the Eclipse Paho client
// paho.mqtt.golang.
//
// Paho's own client is not used: it connects again by itself, sends what it kept in any order, allocates what a packet
// claims to have, and hands each packet on between six goroutines, which took a fifth of the processor time of a command
// (make bench, throughput).
package paho3

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/mqtt/session"
)

// A Driver makes connections. The zero Driver is ready.
type Driver struct{}

var _ session.Driver = Driver{}

// Connect is [session.Driver].
func (Driver) Connect(ctx context.Context, nc net.Conn, o session.ConnectOptions) (session.Conn, error) {
	c := newConn(nc, o)
	stop := context.AfterFunc(ctx, func() { c.Fail(session.TimeoutError("no answer in time")) })
	defer stop()
	c.write(connectPacket(o))
	f, err := c.in.next()
	if err == nil {
		err = accepted(f)
	}
	if err != nil {
		c.Fail(err)
		return nil, c.err // another reason may have been first
	}
	go c.receive()   // both end with the connection
	go c.keepAlive() //
	return c, nil
}

// connectPacket makes CONNECT.
func connectPacket(o session.ConnectOptions) *packets.ConnectPacket {
	p := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	p.ProtocolName, p.ProtocolVersion = "MQTT", 4 // MQTT 3.1.1, sections 3.1.2.1 and 3.1.2.2
	p.CleanSession = true
	p.ClientIdentifier = o.ClientID
	p.Keepalive = uint16(o.KeepAlive / time.Second)
	p.WillFlag, p.WillTopic, p.WillMessage, p.WillQos, p.WillRetain = true, o.Will.Topic, o.Will.Payload, 1, o.Will.Retained
	p.UsernameFlag, p.Username = o.Username != "", o.Username
	p.PasswordFlag, p.Password = o.Username != "" && o.Password != "", []byte(o.Password)
	return p
}

// accepted returns why the first packet of the broker does not accept the connection, or nil.
func accepted(first frame) error {
	p, err := first.packet()
	if err != nil {
		return err
	}
	ack, ok := p.(*packets.ConnackPacket)
	switch {
	case !ok:
		return fmt.Errorf("mqtt: the broker answers CONNECT with a packet of type %d", first.header.MessageType)
	case ack.ReturnCode != packets.Accepted:
		return session.ConnackError(ack.ReturnCode)
	}
	return nil
}

// Subscribe is [session.Conn].
func (c *conn) Subscribe(filters []string) session.Subscribing {
	p := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	p.Topics, p.Qoss = filters, make([]byte, len(filters))
	for i := range p.Qoss {
		p.Qoss[i] = 1
	}
	o := c.begin(&operation{filters: filters})
	p.MessageID = o.id
	c.write(p)
	return o
}

// Unsubscribe is [session.Conn].
func (c *conn) Unsubscribe(filters []string) session.Pending {
	p := packets.NewControlPacket(packets.Unsubscribe).(*packets.UnsubscribePacket)
	p.Topics = filters
	o := c.begin(&operation{})
	p.MessageID = o.id
	c.write(p)
	return o
}

// Publish is [session.Conn].
func (c *conn) Publish(m mqtt.Message, acknowledged func()) {
	if id, ok := c.await(awaited{acknowledged: acknowledged}); ok {
		c.publish(m, id)
	}
}

// Flush is [session.Conn].
func (c *conn) Flush() {
	c.writing <- struct{}{}
	defer func() { <-c.writing }()
	c.flush()
}

// closeTimeout is how long the broker may take to close the connection after DISCONNECT.
const closeTimeout = time.Second

// Disconnect is [session.Conn].
//
// After DISCONNECT it waits for the broker to close the connection: where one is closed with unread bytes, or with more
// on the way, the kernel resets it, and the broker may lose DISCONNECT and publish the will.
func (c *conn) Disconnect(timeout time.Duration) {
	c.write(packets.NewControlPacket(packets.Disconnect))
	c.writing <- struct{}{}
	c.left = true
	<-c.writing
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // only to be the first to close
	}
	limit := time.NewTimer(min(timeout, closeTimeout))
	defer limit.Stop()
	select {
	case <-c.lost:
	case <-limit.C:
		c.Fail(session.TimeoutError("no end of the connection after DISCONNECT"))
	}
}

// Fail is [session.Conn].
func (c *conn) Fail(err error) {
	c.once.Do(func() {
		c.err = err
		close(c.lost)
		_ = c.nc.Close() // of no use any more, also where that fails
		c.abandon(err)
	})
}

// Lost is [session.Conn].
func (c *conn) Lost() <-chan struct{} { return c.lost }

// Err is [session.Conn].
func (c *conn) Err() error { return c.err }

// String names the connection in test failures.
func (c *conn) String() string { return fmt.Sprintf("paho3 connection to %v", c.nc.RemoteAddr()) }
