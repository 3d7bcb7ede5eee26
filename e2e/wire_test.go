package e2e

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// The kinds of MQTT packet that these tests speak of (MQTT 3.1.1, section 2.2.1).
const (
	connect    = 1
	connack    = 2
	publish    = 3
	puback     = 4
	subscribe  = 8
	suback     = 9
	pingreq    = 12
	disconnect = 14
)

// A packet is one MQTT packet.
type packet struct {
	kind, flags byte
	body        []byte
}

// encode is the packet as it is sent.
func (p packet) encode() []byte {
	b := []byte{p.kind<<4 | p.flags}
	for n := len(p.body); ; n >>= 7 {
		if n < 0x80 {
			return append(append(b, byte(n)), p.body...)
		}
		b = append(b, byte(n)|0x80)
	}
}

// cutPacket takes the first packet off b. Without a whole one the rest is b.
func cutPacket(b []byte) (p packet, rest []byte, ok bool) {
	if len(b) < 2 {
		return packet{}, b, false
	}
	length, n := binary.Uvarint(b[1:]) // the same encoding as MQTT's, in four bytes at most
	if n <= 0 || uint64(len(b)-1-n) < length {
		return packet{}, b, false
	}
	end := 1 + n + int(length)
	return packet{kind: b[0] >> 4, flags: b[0] & 0xF, body: b[1+n : end]}, b[end:], true
}

// text is a string as MQTT writes it.
func text(s string) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...) }

// A sent is a PUBLISH, read.
type sent struct {
	id       uint16 // 0 with QoS 0
	topic    string
	payload  []byte
	retained bool
}

// readPublish reads the body of a PUBLISH.
func readPublish(p packet) (sent, error) {
	if len(p.body) < 2 {
		return sent{}, errors.New("PUBLISH without a topic")
	}
	n := int(binary.BigEndian.Uint16(p.body))
	rest := p.body[2:]
	if len(rest) < n {
		return sent{}, errors.New("PUBLISH with half a topic")
	}
	s := sent{topic: string(rest[:n]), retained: p.flags&1 != 0}
	rest = rest[n:]
	if p.flags>>1&3 > 0 {
		if len(rest) < 2 {
			return sent{}, errors.New("PUBLISH without an id")
		}
		s.id, rest = binary.BigEndian.Uint16(rest), rest[2:]
	}
	s.payload = rest
	return s, nil
}

// publishPacket is a PUBLISH with QoS 1.
func publishPacket(id uint16, topic string, payload []byte, retained bool) packet {
	p := packet{kind: publish, flags: 1 << 1}
	if retained {
		p.flags |= 1
	}
	p.body = append(binary.BigEndian.AppendUint16(text(topic), id), payload...)
	return p
}

// A client is an MQTT client of a hundred lines, which a test can trust to do nothing by itself: it
// neither reconnects nor sends anything twice.
type client struct {
	conn net.Conn
	in   *bufio.Reader
	last uint16

	writing sync.Mutex
}

// login is what a client says of itself.
type login struct{ id, user, password string }

// dialMQTT connects to the broker at addr.
func dialMQTT(ctx context.Context, addr string, l login) (*client, error) {
	dialer := net.Dialer{Timeout: timeLimit}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &client{conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}
	flags, credentials := byte(1<<1), []byte(nil) // clean session
	if l.user != "" {
		flags |= 1<<7 | 1<<6
		credentials = append(text(l.user), text(l.password)...)
	}
	body := append(text("MQTT"), 4, flags, 0, 60) // MQTT 3.1.1, keep-alive in seconds
	body = append(append(body, text(l.id)...), credentials...)
	if err := c.write(packet{kind: connect, body: body}); err != nil {
		conn.Close()
		return nil, err
	}
	p, err := c.read()
	if err == nil && (p.kind != connack || len(p.body) != 2 || p.body[1] != 0) {
		err = fmt.Errorf("the broker answers CONNECT by packet %d: %v", p.kind, p.body)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

func (c *client) write(p packet) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.conn.SetWriteDeadline(time.Now().Add(timeLimit)); err != nil {
		return err
	}
	_, err := c.conn.Write(p.encode())
	return err
}

// read reads one packet.
func (c *client) read() (packet, error) {
	first, err := c.in.ReadByte()
	if err != nil {
		return packet{}, err
	}
	length, err := binary.ReadUvarint(c.in)
	if err != nil {
		return packet{}, err
	}
	p := packet{kind: first >> 4, flags: first & 0xF, body: make([]byte, length)}
	_, err = io.ReadFull(c.in, p.body)
	return p, err
}

// subscribe subscribes, and fails unless everything is granted. Nothing else may read meanwhile.
func (c *client) subscribe(filters ...string) error {
	c.last++
	body := binary.BigEndian.AppendUint16(nil, c.last)
	for _, f := range filters {
		body = append(append(body, text(f)...), 1)
	}
	if err := c.write(packet{kind: subscribe, flags: 2, body: body}); err != nil {
		return err
	}
	p, err := c.read()
	if err != nil {
		return err
	}
	if p.kind != suback || len(p.body) != 2+len(filters) {
		return fmt.Errorf("the broker answers SUBSCRIBE by packet %d: %v", p.kind, p.body)
	}
	for i, code := range p.body[2:] {
		if code > 2 {
			return fmt.Errorf("the broker refuses %q", filters[i])
		}
	}
	return nil
}

// retained returns what the broker keeps on topic; empty: nothing.
func retained(t *testing.T, addr, topic string, l login) string {
	t.Helper()
	l.id = "asks-" + fmt.Sprint(time.Now().UnixNano())
	c, err := dialMQTT(t.Context(), addr, l)
	if err != nil {
		return err.Error() // there may be no broker just now
	}
	defer c.conn.Close()
	// What is kept may come before the answer to SUBSCRIBE, so both are read here. The message of
	// this client to itself comes after both. QoS 0: nothing is to be acknowledged.
	end := "ask/" + l.id
	body := append([]byte{0, 1}, text(topic)...)
	body = append(append(append(body, 0), text(end)...), 0)
	_ = c.write(packet{kind: subscribe, flags: 2, body: body}) // an error shows below
	_ = c.write(publishPacket(2, end, nil, false))
	if err := c.conn.SetReadDeadline(time.Now().Add(timeLimit)); err != nil {
		t.Fatal(err)
	}
	got := ""
	for {
		p, err := c.read()
		if err != nil {
			return err.Error()
		}
		if p.kind != publish {
			continue
		}
		m, err := readPublish(p)
		switch {
		case err != nil:
			t.Fatal(err)
		case m.topic == end:
			return got
		case m.topic == topic:
			got = string(m.payload)
		}
	}
}
