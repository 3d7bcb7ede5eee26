package paho3

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

// maxPacket is the longest packet, in bytes after its fixed header, that is read from the broker. It has room for the
// longest topic of MQTT and a payload that is longer than any valid one.
const maxPacket = 384 << 10

// A packetLimiter reads MQTT packets from a broker and cuts the payloads of overlong messages. A packet may claim 256 MB,
// and Paho allocates that at once. The message itself is kept, so that its receiver can answer that it is too long, and
// it is acknowledged, so that it does not come again.
type packetLimiter struct {
	r       *bufio.Reader // Paho reads the first bytes of each packet one by one
	longest int           // bytes of a packet after its fixed header

	buf  [5]byte // fixed header of the current packet
	head []byte  // the rest of it that was not read yet
	body int     // bytes of it to be read after that
	skip int     // bytes to be skipped after that

	messages atomic.Int64 // that were read, or whose first byte was
}

func newPacketLimiter(r io.Reader, longest int) packetLimiter {
	return packetLimiter{r: bufio.NewReaderSize(r, 8<<10), longest: longest}
}

var errLength = errors.New("mqtt: packet length of more than four bytes")

func (l *packetLimiter) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(l.head)+l.body == 0 {
		if err := l.next(); err != nil {
			return 0, err
		}
	}
	if len(l.head) > 0 {
		n := copy(p, l.head)
		l.head = l.head[n:]
		return n, nil
	}
	n, err := l.r.Read(p[:min(len(p), l.body)])
	l.body -= n
	return n, err
}

// next skips the rest of this packet and reads the fixed header of the next one.
func (l *packetLimiter) next() error {
	for l.skip > 0 {
		n, err := l.r.Discard(l.skip)
		l.skip -= n
		if err != nil {
			return err
		}
	}
	first, err := l.r.ReadByte()
	if err != nil {
		return err
	}
	length := 0
	for shift := 0; ; shift += 7 {
		if shift > 21 {
			return errLength
		}
		b, err := l.r.ReadByte()
		if err != nil {
			return err
		}
		length |= int(b&0x7f) << shift
		if b < 0x80 {
			break
		}
	}
	const publish = 3
	if first>>4 == publish {
		l.messages.Add(1)
	}
	if length > l.longest {
		if first>>4 != publish {
			return fmt.Errorf("mqtt: packet of type %d with %d bytes", first>>4, length)
		}
		l.skip = length - l.longest
		length = l.longest
	}
	l.head = append(l.buf[:0], first)
	for l.body = length; ; {
		b := byte(length & 0x7f)
		length >>= 7
		if length == 0 {
			l.head = append(l.head, b)
			return nil
		}
		l.head = append(l.head, b|0x80)
	}
}
