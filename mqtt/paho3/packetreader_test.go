package paho3

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// message is a PUBLISH packet with QoS 1 as a broker sends it.
func message(tb testing.TB, topic string, id uint16, payload string) string {
	tb.Helper()
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.MessageID, p.Qos, p.Payload = topic, id, 1, []byte(payload)
	return packet(tb, p)
}

// packet is the bytes of p.
func packet(tb testing.TB, p packets.ControlPacket) string {
	tb.Helper()
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

func TestPacketReaderReadsWhatBrokersSend(t *testing.T) {
	t.Parallel()
	in := []string{
		"\x20\x02\x00\x00", // CONNACK
		message(t, "snom/kitchen/dial", 1, "110"),
		"\xd0\x00", // PINGRESP
		message(t, "snom/kitchen/dial", 2, ""),
		"\x3b\x08\x00\x01t\x00\x07abc", // PUBLISH with DUP, QoS 1, RETAIN
		message(t, "snom/kitchen/dial", 3, strings.Repeat("x", 100<<10)),
		message(t, "t", 4, strings.Repeat("x", maxPacket-5)), // the longest
		"\x40\x02\x00\x01",         // PUBACK
		"\x90\x04\x00\x02\x01\x80", // SUBACK
		"\xb0\x02\x00\x03",         // UNSUBACK
		"\x62\x02\x00\x04",         // PUBREL
	}
	all := strings.Join(in, "")
	for name, r := range map[string]io.Reader{
		"whole": strings.NewReader(all),
		"bytes": iotest.OneByteReader(strings.NewReader(all)),
		"halfs": iotest.HalfReader(strings.NewReader(all)),
	} {
		pr := newPacketReader(r, maxPacket)
		for i, want := range in {
			f, err := pr.next()
			if err != nil {
				t.Fatalf("%s, packet %d: %v", name, i, err)
			}
			p, err := f.packet()
			if err != nil {
				t.Fatalf("%s, packet %d: %v", name, i, err)
			}
			if got := packet(t, p); got != want {
				t.Errorf("%s, packet %d: % x, expected % x", name, i, shown(got), shown(want))
			}
			readAsTheLibraryDoes(t, f, p)
		}
		if _, err := pr.next(); err != io.EOF {
			t.Errorf("%s: after the last packet: %v, expected EOF", name, err)
		}
		if cap(pr.body) > maxHeld {
			t.Errorf("%s: a buffer of %d bytes is kept", name, cap(pr.body))
		}
	}
}

// readAsTheLibraryDoes fails where the packet that is read here has another meaning than for the library.
func readAsTheLibraryDoes(t *testing.T, f frame, p packets.ControlPacket) {
	t.Helper()
	switch p := p.(type) {
	case *packets.PublishPacket:
		got, err := f.publication()
		if err != nil || string(got.topic) != p.TopicName || !bytes.Equal(got.payload, p.Payload) || got.id != p.MessageID || got.header != p.FixedHeader {
			t.Errorf("message %d on %s, %v, expected %v", got.id, got.topic, err, p.FixedHeader)
		}
	case *packets.PubackPacket:
		if got, err := f.id(); err != nil || got != p.MessageID {
			t.Errorf("PUBACK of message %d, %v, expected %d", got, err, p.MessageID)
		}
	}
}

// A message is written to the byte as the library writes it.
func TestPublishIsWrittenAsTheLibraryDoes(t *testing.T) {
	t.Parallel()
	for _, m := range []mqtt.Message{
		{Topic: "t"},
		{Topic: "snom/kitchen/status", Payload: []byte(`{"phone":"kitchen"}`), Retained: true},
		{Topic: strings.Repeat("t", 300), Payload: bytes.Repeat([]byte("x"), 127)},
		{Topic: "t", Payload: bytes.Repeat([]byte("x"), 20<<10)},
		{Topic: "t", Payload: bytes.Repeat([]byte("x"), 3<<20), Retained: true},
	} {
		for _, id := range []uint16{1, 255, 256, 65535} {
			p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
			p.TopicName, p.Payload, p.Retain, p.Qos, p.MessageID = m.Topic, m.Payload, m.Retained, 1, id
			var b bytes.Buffer
			if writePublish(&b, m, id); b.String() != packet(t, p) {
				t.Errorf("message %d of %d bytes begins with % x, expected % x", id, len(m.Payload), shown(b.String()), shown(packet(t, p)))
			}
		}
	}
}

// shown is the beginning of a packet.
func shown(p string) string { return p[:min(20, len(p))] }

func TestPacketReaderCutsHugeMessages(t *testing.T) {
	t.Parallel()
	topic := strings.Repeat("t", 60000)
	in := message(t, topic, 7, strings.Repeat("x", 5<<20)) + message(t, "t", 8, strings.Repeat("y", maxPacket)) + message(t, "t", 9, "z")
	pr := newPacketReader(iotest.HalfReader(strings.NewReader(in)), maxPacket)
	for _, want := range []struct {
		id    uint16
		bytes int
	}{{7, maxPacket - 60000 - 4}, {8, maxPacket - 1 - 4}, {9, 1}} {
		f, err := pr.next()
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.publication()
		if err != nil || got.id != want.id || len(got.payload) != want.bytes {
			t.Errorf("message %d with %d bytes, %v, expected %d with %d", got.id, len(got.payload), err, want.id, want.bytes)
		}
	}
}

func TestPacketReaderErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in, want string
	}{
		{"length of five bytes", "\x30\xff\xff\xff\xff\x01", "more than four bytes"},
		{"huge SUBACK", "\x90\xff\xff\xff\x7f", "type 9 with 268435455 bytes"},
		{"packet of no type", "\x00\x00", "unsupported packet type"},
		{"cut off in the length", "\x30\x80", "EOF"},
		{"cut off in the body", "\x30\x05ab", "EOF"},
		{"cut off in what is skipped", "\x30\xff\xff\xff\x7f" + strings.Repeat("x", maxPacket+10), "EOF"},
		{"topic longer than the packet", "\x30\x03\x00\x09t", "type 3: it is too short"},
		{"no topic", "\x30\x00", "type 3: it is too short"},
		{"no identifier", "\x32\x04\x00\x01tx", "type 3: it is too short"},
		{"PUBACK without identifier", "\x40\x01\x00", "type 4: it is too short"},
		{"SUBACK without identifier", "\x90\x00", "type 9: EOF"},
	}
	for _, tt := range tests {
		pr := newPacketReader(strings.NewReader(tt.in), maxPacket)
		var err error
		for err == nil {
			var f frame
			if f, err = pr.next(); err == nil {
				err = read(f)
			}
		}
		if !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, expected an error with %q", tt.name, err, tt.want)
		}
	}
}

// Whatever a broker sends, no packet is longer than the bound, and all of them together are no longer than the input.
func FuzzPacketReader(f *testing.F) {
	f.Add([]byte("\x20\x02\x00\x00\xd0\x00"), uint8(1))
	f.Add([]byte("\x30\xff\xff\xff\x7fabc"), uint8(3))
	f.Add([]byte("\x32\x80\x80\x0a"), uint8(200))
	f.Add([]byte("\x32\x50"+strings.Repeat("x", 0x50)+"\xd0\x00"), uint8(0))
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		const longest = 32
		pr := newPacketReader(stepReader{bytes.NewReader(in), int(step) + 1}, longest)
		payloads := 0
		for {
			f, err := pr.next()
			if err != nil || read(f) != nil {
				break
			}
			if f.header.MessageType == packets.Publish {
				p, err := f.publication()
				if err != nil || len(p.topic)+len(p.payload) > longest {
					t.Fatalf("a message with %d bytes, %v", len(p.topic)+len(p.payload), err)
				}
				payloads += len(p.payload)
			}
		}
		if payloads > len(in) {
			t.Fatalf("%d bytes became %d", len(in), payloads)
		}
	})
}

// read reads a packet as the connection does.
func read(f frame) (err error) {
	switch f.header.MessageType {
	case packets.Publish:
		_, err = f.publication()
	case packets.Puback:
		_, err = f.id()
	default:
		_, err = f.packet()
	}
	return err
}

// A stepReader reads at most step bytes at once.
type stepReader struct {
	r    io.Reader
	step int
}

func (r stepReader) Read(p []byte) (int, error) { return r.r.Read(p[:min(r.step, len(p))]) }
