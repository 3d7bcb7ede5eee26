package paho3

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// maxPacket is the longest packet, in bytes after its fixed header, that is read from the broker. It has room for the
// longest topic of MQTT and a payload that is longer than any valid one.
const maxPacket = 384 << 10

// A packetReader reads MQTT packets from a broker and cuts the payloads of overlong messages: a packet may claim 256 MB.
// The message itself is kept, so that its receiver can answer that it is too long, and it is acknowledged, so that it
// does not come again.
type packetReader struct {
	r       *bufio.Reader
	longest int          // bytes of a packet after its fixed header
	body    bytes.Buffer // of a packet, used again for the next one
}

func newPacketReader(r io.Reader, longest int) packetReader {
	return packetReader{r: bufio.NewReaderSize(r, 8<<10), longest: longest}
}

var errLength = errors.New("mqtt: packet length of more than four bytes")

// next reads a packet.
func (r *packetReader) next() (packets.ControlPacket, error) {
	h, err := r.header()
	if err != nil {
		return nil, err
	}
	excess := max(0, h.RemainingLength-r.longest)
	if excess > 0 && h.MessageType != packets.Publish {
		return nil, fmt.Errorf("mqtt: packet of type %d with %d bytes", h.MessageType, h.RemainingLength)
	}
	h.RemainingLength -= excess
	p, err := packets.NewControlPacketWithHeader(h)
	if err != nil {
		return nil, fmt.Errorf("mqtt: %w", err)
	}
	r.body.Reset()
	r.body.Grow(h.RemainingLength)
	body := r.body.AvailableBuffer()[:h.RemainingLength]
	if _, err := io.ReadFull(r.r, body); err != nil {
		return nil, err
	}
	_, _ = r.body.Write(body) // in its place
	if err := p.Unpack(&r.body); err != nil {
		return nil, fmt.Errorf("mqtt: packet of type %d: %w", h.MessageType, err)
	}
	if r.body.Cap() > maxHeld {
		r.body = bytes.Buffer{}
	}
	for excess > 0 {
		n, err := r.r.Discard(excess)
		if excess -= n; err != nil {
			return nil, err
		}
	}
	return p, nil
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
