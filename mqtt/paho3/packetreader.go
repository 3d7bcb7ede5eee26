package paho3

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// maxPacket is the longest packet, in bytes after its fixed header, that is read from the broker. It has room for the
// longest topic of MQTT and a payload that is longer than any valid one.
const maxPacket = 384 << 10

// A packetReader reads MQTT packets from a broker and cuts the payloads of overlong messages: a packet may claim 256 MB.
// The message itself is kept, so that its receiver can answer that it is too long, and it is acknowledged, so that it
// does not come again.
type packetReader struct {
	r       *bufio.Reader
	longest int    // bytes of a packet after its fixed header
	body    []byte // of a packet, used again for the next one
}

func newPacketReader(r io.Reader, longest int) packetReader {
	return packetReader{r: bufio.NewReaderSize(r, 8<<10), longest: longest}
}

var errLength = errors.New("mqtt: packet length of more than four bytes")

// A frame is a packet as it was read.
type frame struct {
	header packets.FixedHeader
	rest   []byte // what follows the fixed header; valid until the next packet is read
}

// next reads a packet.
func (r *packetReader) next() (frame, error) {
	if cap(r.body) > maxHeld {
		r.body = nil
	}
	h, err := r.header()
	if err != nil {
		return frame{}, err
	}
	excess := max(0, h.RemainingLength-r.longest)
	if excess > 0 && h.MessageType != packets.Publish {
		return frame{}, fmt.Errorf("mqtt: packet of type %d with %d bytes", h.MessageType, h.RemainingLength)
	}
	h.RemainingLength -= excess
	r.body = slices.Grow(r.body[:0], h.RemainingLength)[:h.RemainingLength]
	if _, err := io.ReadFull(r.r, r.body); err != nil {
		return frame{}, err
	}
	for excess > 0 {
		n, err := r.r.Discard(excess)
		if excess -= n; err != nil {
			return frame{}, err
		}
	}
	return frame{h, r.body}, nil
}

// header reads a fixed header (MQTT 3.1.1, section 2.2).
func (r *packetReader) header() (packets.FixedHeader, error) {
	first, err := r.r.ReadByte()
	if err != nil {
		return packets.FixedHeader{}, err
	}
	h := packets.FixedHeader{MessageType: first >> 4, Dup: first&8 != 0, Qos: first >> 1 & 3, Retain: first&1 != 0}
	for shift := 0; ; shift += 7 {
		if shift > 21 {
			return h, errLength
		}
		b, err := r.r.ReadByte()
		if err != nil {
			return h, err
		}
		h.RemainingLength |= int(b&0x7f) << shift
		if b < 0x80 {
			return h, nil
		}
	}
}

// errShort is the error of a packet that ends too soon.
var errShort = errors.New("it is too short")

// fault is the error of a packet that cannot be read.
func (f frame) fault(err error) error {
	return fmt.Errorf("mqtt: packet of type %d: %w", f.header.MessageType, err)
}

// packet returns the packet as the library reads it.
func (f frame) packet() (packets.ControlPacket, error) {
	p, err := packets.NewControlPacketWithHeader(f.header)
	if err != nil {
		return nil, fmt.Errorf("mqtt: %w", err)
	}
	if err := p.Unpack(bytes.NewBuffer(f.rest)); err != nil {
		return nil, f.fault(err)
	}
	return p, nil
}

// id returns the packet identifier of a PUBACK (MQTT 3.1.1, section 3.4.2).
func (f frame) id() (uint16, error) {
	if len(f.rest) < 2 {
		return 0, f.fault(errShort)
	}
	return binary.BigEndian.Uint16(f.rest), nil
}

// A publication is a PUBLISH packet. The library's own takes eight allocations to be read, and as many to be written, and
// each command needs four of them (make bench, throughput).
type publication struct {
	header  packets.FixedHeader
	id      uint16 // 0: QoS 0
	topic   []byte // valid until the next packet is read
	payload []byte // likewise
}

// publication returns the PUBLISH packet (MQTT 3.1.1, section 3.3).
func (f frame) publication() (publication, error) {
	p := publication{header: f.header}
	if len(f.rest) < 2 {
		return p, f.fault(errShort)
	}
	n, rest := int(binary.BigEndian.Uint16(f.rest)), f.rest[2:]
	if len(rest) < n {
		return p, f.fault(errShort)
	}
	p.topic, rest = rest[:n], rest[n:]
	if p.header.Qos > 0 {
		if len(rest) < 2 {
			return p, f.fault(errShort)
		}
		p.id, rest = binary.BigEndian.Uint16(rest), rest[2:]
	}
	p.payload = rest
	return p, nil
}

// writePublish writes a PUBLISH packet with QoS 1 (MQTT 3.1.1, section 3.3).
func writePublish(b *bytes.Buffer, m mqtt.Message, id uint16) {
	first := byte(packets.Publish<<4 | 1<<1)
	if m.Retained {
		first |= 1
	}
	b.WriteByte(first)
	n := uint64(2 + len(m.Topic) + 2 + len(m.Payload))
	b.Write(binary.AppendUvarint(b.AvailableBuffer(), n)) // the same encoding as that of MQTT, section 2.2.3
	b.Write(binary.BigEndian.AppendUint16(b.AvailableBuffer(), uint16(len(m.Topic))))
	b.WriteString(m.Topic)
	b.Write(binary.BigEndian.AppendUint16(b.AvailableBuffer(), id))
	b.Write(m.Payload)
}
