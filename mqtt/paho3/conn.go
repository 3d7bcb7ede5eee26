package paho3

import (
	"bytes"
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/mqtt/session"
)

// A conn is a connection to a broker. It ends once, and knows why.
type conn struct {
	nc       net.Conn
	options  session.ConnectOptions
	in       packetReader
	began    time.Time
	first    bool      // the first bytes were read; only read looks at it
	spare    *delivery // for the next message; nil: there is none; only deliver looks at it
	quickAck func()    // acknowledges what was read, now

	heard  atomic.Int64 // when bytes were read last: nanoseconds after began
	sent   atomic.Int64 // when bytes were written last, likewise
	ponged atomic.Int64 // PINGRESP packets read

	writing chan struct{} // full while a goroutine writes; a mutex would stop virtual time
	held    bytes.Buffer  // packets that wait to be written together; guarded by writing
	acks    int           // PUBACK packets among them; guarded by writing
	reading bool          // the network is being read: what was read before is dealt with; guarded by writing
	wrote   bool          // something was written since the network was read; guarded by writing
	left    bool          // DISCONNECT was written: no packet may follow; guarded by writing

	operations sync.Mutex
	pending    map[uint16]awaited // by packet identifier; nil: the connection has ended; guarded by operations
	lastID     uint16             // guarded by operations

	once sync.Once
	lost chan struct{} // closed when the connection is of no use any more
	err  error         // why; guarded by once: not to be read before lost is closed
}

var _ session.Conn = (*conn)(nil)

func newConn(nc net.Conn, o session.ConnectOptions) *conn {
	c := &conn{nc: nc, options: o, quickAck: quickAck(nc), began: time.Now(), writing: make(chan struct{}, 1), pending: map[uint16]awaited{}, lost: make(chan struct{})}
	c.in = newPacketReader(readerFunc(c.read), maxPacket)
	return c
}

// A readerFunc is a function that reads.
type readerFunc func([]byte) (int, error)

func (r readerFunc) Read(p []byte) (int, error) { return r(p) }

// read reads from the network. All that was read before has been dealt with then, so what waits to be written is written,
// after the goroutines that the messages have started: a request to a phone does not wait for an acknowledgement.
//
// Where nothing has been written since, which would have taken the acknowledgement of TCP along, that is sent on its own.
// It is for brokers that leave Nagle's algorithm on, as Mosquitto does unless set_tcp_nodelay is true: they hold back a
// small packet until the one before is acknowledged, which the kernel here would put off for 40 ms.
func (c *conn) read(p []byte) (int, error) {
	runtime.Gosched()
	c.writing <- struct{}{}
	c.flush()
	wrote := c.wrote
	c.reading = true
	<-c.writing
	if !wrote {
		c.quickAck()
	}
	n, err := c.nc.Read(p)
	c.writing <- struct{}{}
	c.reading, c.wrote = false, false
	<-c.writing
	if err != nil {
		return n, err
	}
	c.heard.Store(int64(time.Since(c.began)))
	if !c.first {
		c.first = true
		if err := session.NotMQTT(p[:n]); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// receive deals with the packets of the broker until the connection ends.
func (c *conn) receive() {
	for {
		f, err := c.in.next()
		if err == nil {
			err = c.handle(f)
		}
		if err != nil {
			c.Fail(err)
			return
		}
	}
}

// handle deals with one packet.
func (c *conn) handle(f frame) error {
	switch f.header.MessageType {
	case packets.Publish:
		p, err := f.publication()
		if err == nil {
			c.deliver(p)
		}
		return err
	case packets.Puback:
		id, err := f.id()
		if err == nil {
			c.end(id, nil)
		}
		return err
	}
	p, err := f.packet()
	if err != nil {
		return err
	}
	switch p := p.(type) {
	case *packets.SubackPacket:
		c.end(p.MessageID, p.ReturnCodes)
	case *packets.UnsubackPacket:
		c.end(p.MessageID, nil)
	case *packets.PingrespPacket:
		c.ponged.Add(1)
	case *packets.PubrelPacket:
		c.acknowledge(packets.Pubcomp, p.MessageID)
	default:
		return errors.New("mqtt: the broker sends a packet that only clients may send: " + p.String())
	}
	return nil
}

// deliver hands a message over.
func (c *conn) deliver(p publication) {
	d := c.spare
	if d == nil {
		d = &delivery{conn: c}
	}
	d.publication, c.spare = p, nil
	d.settled.Store(p.header.Qos == 0)
	c.options.Receive(d)
	d.topic, d.payload = nil, nil // it may be kept until it is acknowledged
	if d.settled.Load() {
		c.spare = d
	}
}

// keepAlive sends PINGREQ when nothing was written or read for the time that was agreed (MQTT 3.1.1, section 3.1.2.10),
// until the connection ends or the broker does not answer it.
func (c *conn) keepAlive() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	wait := func(d time.Duration) bool {
		timer.Reset(d)
		select {
		case <-timer.C:
			return true
		case <-c.lost:
			return false
		}
	}
	for wait(c.options.KeepAlive - c.quiet()) {
		if c.quiet() < c.options.KeepAlive {
			continue
		}
		ponged := c.ponged.Load()
		c.write(packets.NewControlPacket(packets.Pingreq))
		if !wait(c.options.PingTimeout) {
			return
		}
		if c.ponged.Load() == ponged {
			c.Fail(session.TimeoutError("no answer to a ping in time"))
		}
	}
}

// quiet returns how long nothing was written, or nothing was read: the longer time of both.
func (c *conn) quiet() time.Duration {
	return time.Since(c.began) - time.Duration(min(c.sent.Load(), c.heard.Load()))
}

// How packets wait to be written with others.
const (
	maxAcks = 8        // as many are written at once: less than half of what Mosquitto sends without one
	maxHeld = 16 << 10 // bytes
)

// write writes a packet now, within the write timeout. A connection that cannot be written fails.
func (c *conn) write(p packets.ControlPacket) {
	c.writing <- struct{}{}
	defer func() { <-c.writing }()
	if !c.left {
		_ = p.Write(&c.held) // never fails: it is memory
		c.flush()
	}
}

// acknowledge writes an acknowledgement: PUBACK or its kind. Of a hundred commands that come at once, each would cost two
// system calls here and two at the broker.
func (c *conn) acknowledge(kind byte, id uint16) {
	c.writing <- struct{}{}
	defer func() { <-c.writing }()
	if c.left {
		return
	}
	c.held.Write([]byte{kind << 4, 2, byte(id >> 8), byte(id)}) // MQTT 3.1.1, section 3.4.1
	if c.acks++; c.reading || c.acks > maxAcks || c.held.Len() > maxHeld {
		c.flush()
	}
}

// publish writes PUBLISH when Flush is called.
func (c *conn) publish(m mqtt.Message, id uint16) {
	c.writing <- struct{}{}
	defer func() { <-c.writing }()
	if c.left {
		return
	}
	writePublish(&c.held, m, id)
	if c.held.Len() > maxHeld {
		c.flush()
	}
}

// flush writes what waits. The caller holds the lock.
func (c *conn) flush() {
	if c.held.Len() == 0 {
		return
	}
	err := c.nc.SetWriteDeadline(time.Now().Add(c.options.WriteTimeout))
	if err == nil {
		_, err = c.nc.Write(c.held.Bytes())
	}
	c.acks, c.wrote = 0, true
	if c.held.Reset(); c.held.Cap() > 2*maxHeld {
		c.held = bytes.Buffer{}
	}
	if err != nil {
		c.Fail(err)
		return
	}
	c.sent.Store(int64(time.Since(c.began)))
}

// A delivery is a message from the broker.
type delivery struct {
	publication
	conn    *conn
	settled atomic.Bool // it is acknowledged, or needs no acknowledgement: nothing keeps it any more
}

func (d *delivery) Topic() []byte     { return d.topic }
func (d *delivery) Payload() []byte   { return d.payload }
func (d *delivery) Retained() bool    { return d.header.Retain }
func (d *delivery) Duplicate() bool   { return d.header.Dup }
func (d *delivery) MessageID() uint16 { return d.id }

// Ack is [session.Delivery].
func (d *delivery) Ack() {
	switch d.header.Qos {
	case 1:
		d.conn.acknowledge(packets.Puback, d.id)
	case 2: // not subscribed to
		d.conn.acknowledge(packets.Pubrec, d.id)
	}
	d.settled.Store(true)
}
