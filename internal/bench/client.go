package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
)

// A client is a connection to a broker: as much of MQTT 3.1.1 as it takes to publish and to receive with QoS 1. What
// is read at once is answered in one write, so that the side that measures costs little, and the same, whatever is
// measured.
type client struct {
	conn net.Conn
	in   *bufio.Reader

	mu   sync.Mutex // guards what follows
	out  []byte     // not written yet
	last uint16     // packet identifier
}

// The first bytes of MQTT packets.
const (
	connect    = 0x10
	connack    = 0x20
	publish    = 0x30
	puback     = 0x40
	subscribe  = 0x82
	suback     = 0x90
	disconnect = 0xE0

	retain = 0x01
	qos1   = 0x02
)

// newClient connects to the broker at addr and subscribes.
func newClient(addr, id string, filters ...string) (*client, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &client{conn: conn, in: bufio.NewReaderSize(promptly{conn}, 64<<10)}
	if err := c.open(id, filters); err != nil {
		conn.Close()
		return nil, fmt.Errorf("broker at %s: %w", addr, err)
	}
	return c, nil
}

// A promptly acknowledges what it reads from a connection, at once. A broker with Nagle's algorithm waits for that
// before it sends its next small packet, and would otherwise wait 40 ms for this process instead of for what is measured.
type promptly struct{ net.Conn }

func (p promptly) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	if raw, rerr := p.Conn.(*net.TCPConn).SyscallConn(); rerr == nil {
		// An error would cost time, not correctness.
		_ = raw.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
		})
	}
	return n, err
}

// open makes the session.
func (c *client) open(id string, filters []string) error {
	const clean = 0x02
	body := appendText(nil, "MQTT")
	body = append(body, 4, clean, 0, 0) // version, flags, no keep-alive
	body = appendText(body, id)
	c.append(connect, body)
	if err := c.flush(); err != nil {
		return err
	}
	kind, answer, err := c.read()
	if err != nil {
		return err
	}
	if kind != connack || len(answer) != 2 || answer[1] != 0 {
		return fmt.Errorf("it refuses the client: % x", answer)
	}
	if len(filters) == 0 {
		return nil
	}
	body = []byte{0, 1}
	c.last = 1
	for _, f := range filters {
		body = append(appendText(body, f), 1)
	}
	c.append(subscribe, body)
	if err := c.flush(); err != nil {
		return err
	}
	for {
		// What is retained may come before the answer, and is nothing that was waited for.
		kind, answer, err := c.read()
		if err != nil {
			return err
		}
		if kind != suback {
			continue
		}
		for _, granted := range answer[2:] {
			if granted != 1 {
				return errors.New("it refuses a subscription")
			}
		}
		return nil
	}
}

// serve hands messages to handle until the connection ends. What handle is given is valid until it returns; it may
// publish, and need not flush.
func (c *client) serve(handle func(topic, payload []byte)) error {
	for {
		if c.in.Buffered() == 0 {
			if err := c.flush(); err != nil {
				return err
			}
		}
		kind, body, err := c.read()
		if err != nil {
			return err
		}
		if kind&0xF0 != publish {
			continue
		}
		n := 2 + int(binary.BigEndian.Uint16(body))
		topic, rest := body[2:n], body[n:]
		if kind&qos1 != 0 {
			c.mu.Lock()
			c.append(puback, rest[:2])
			c.mu.Unlock()
			rest = rest[2:]
		}
		handle(topic, rest)
	}
}

// publish makes a message for the next flush.
func (c *client) publish(topic, payload []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last++; c.last == 0 {
		c.last = 1
	}
	c.out = appendLength(append(c.out, publish|qos1), 2+len(topic)+2+len(payload))
	c.out = binary.BigEndian.AppendUint16(c.out, uint16(len(topic)))
	c.out = append(c.out, topic...)
	c.out = binary.BigEndian.AppendUint16(c.out, c.last)
	c.out = append(c.out, payload...)
}

// flush writes what was published and acknowledged.
func (c *client) flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.conn.Write(c.out)
	c.out = c.out[:0]
	return err
}

// close takes leave of the broker.
func (c *client) close() {
	c.mu.Lock()
	c.append(disconnect, nil)
	c.mu.Unlock()
	_ = c.flush() // the process ends
	_ = c.conn.Close()
}

// append adds a packet to what is to be written.
func (c *client) append(kind byte, body []byte) {
	c.out = append(appendLength(append(c.out, kind), len(body)), body...)
}

// read reads one packet. Its body is valid until the next one is read.
func (c *client) read() (kind byte, body []byte, err error) {
	if kind, err = c.in.ReadByte(); err != nil {
		return 0, nil, err
	}
	length, err := binary.ReadUvarint(c.in) // MQTT's remaining length is one
	if err != nil {
		return 0, nil, err
	}
	if length > uint64(c.in.Size()) {
		return 0, nil, fmt.Errorf("a packet of %d bytes", length)
	}
	if body, err = c.in.Peek(int(length)); err != nil {
		return 0, nil, err
	}
	_, err = c.in.Discard(int(length)) // leaves the bytes where they are
	return kind, body, err
}

func appendLength(b []byte, n int) []byte { return binary.AppendUvarint(b, uint64(n)) }

func appendText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}
