package mqttpaho

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// maxPacket is the longest packet, in bytes after its fixed header, that is read from the broker. It has room for the
// longest topic of MQTT and a payload that is too long for everybody.
const maxPacket = 128 << 10

// A trimmer reads MQTT packets from a broker and cuts the payloads of overlong messages. A packet may claim 256 MB,
// and Paho makes room for that at once. The message itself is kept, so that whoever reads it can say that it is too
// long, and it is acknowledged, so that it does not come again.
type trimmer struct {
	r       *bufio.Reader // Paho reads the first bytes of each packet one by one
	longest int           // bytes of a packet after its fixed header

	buf  [5]byte // fixed header of the current packet
	head []byte  // the end of it that was not read yet
	body int     // bytes of it to be read after that
	skip int     // bytes to be skipped after that
}

func newTrimmer(r io.Reader, longest int) trimmer {
	return trimmer{r: bufio.NewReaderSize(r, 8<<10), longest: longest}
}

var errLength = errors.New("mqttpaho: packet length of more than four bytes")

func (t *trimmer) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(t.head)+t.body == 0 {
		if err := t.next(); err != nil {
			return 0, err
		}
	}
	if len(t.head) > 0 {
		n := copy(p, t.head)
		t.head = t.head[n:]
		return n, nil
	}
	n, err := t.r.Read(p[:min(len(p), t.body)])
	t.body -= n
	return n, err
}

// next skips the rest of this packet and reads the fixed header of the next one.
func (t *trimmer) next() error {
	for t.skip > 0 {
		n, err := t.r.Discard(t.skip)
		t.skip -= n
		if err != nil {
			return err
		}
	}
	first, err := t.r.ReadByte()
	if err != nil {
		return err
	}
	length := 0
	for shift := 0; ; shift += 7 {
		if shift > 21 {
			return errLength
		}
		b, err := t.r.ReadByte()
		if err != nil {
			return err
		}
		length |= int(b&0x7f) << shift
		if b < 0x80 {
			break
		}
	}
	const publish = 3
	if length > t.longest {
		if first>>4 != publish {
			return fmt.Errorf("mqttpaho: packet of type %d with %d bytes", first>>4, length)
		}
		t.skip = length - t.longest
		length = t.longest
	}
	t.head = append(t.buf[:0], first)
	for t.body = length; ; {
		b := byte(length & 0x7f)
		length >>= 7
		if length == 0 {
			t.head = append(t.head, b)
			return nil
		}
		t.head = append(t.head, b|0x80)
	}
}
