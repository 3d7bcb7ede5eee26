package paho3

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// message is a PUBLISH packet with QoS 1 as a broker sends it.
func message(tb testing.TB, topic string, id uint16, payload string) string {
	tb.Helper()
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.MessageID, p.Qos, p.Payload = topic, id, 1, []byte(payload)
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

func TestPacketLimiterLeavesOrdinaryPacketsAlone(t *testing.T) {
	t.Parallel()
	in := "\x20\x02\x00\x00" + // CONNACK
		message(t, "snom/kitchen/dial", 1, "110") +
		"\xd0\x00" + // PINGRESP
		message(t, "snom/kitchen/dial", 2, "") +
		message(t, "snom/kitchen/dial", 3, strings.Repeat("x", 100<<10)) +
		message(t, "t", 4, strings.Repeat("x", maxPacket-5)) + // the longest
		"\x40\x02\x00\x01" // PUBACK
	for name, r := range map[string]io.Reader{
		"whole": strings.NewReader(in),
		"bytes": iotest.OneByteReader(strings.NewReader(in)),
		"halfs": iotest.HalfReader(strings.NewReader(in)),
	} {
		tr := newPacketLimiter(r, maxPacket)
		got, err := io.ReadAll(&tr)
		if err != nil || string(got) != in {
			t.Errorf("%s: read %d bytes, %v, expected the %d bytes that were written", name, len(got), err, len(in))
		}
	}
}

func TestPacketLimiterCutsHugeMessages(t *testing.T) {
	t.Parallel()
	topic := strings.Repeat("t", 60000)
	in := message(t, topic, 7, strings.Repeat("x", 5<<20)) + message(t, "t", 8, strings.Repeat("y", maxPacket)) + message(t, "t", 9, "z")
	tr := newPacketLimiter(iotest.HalfReader(strings.NewReader(in)), maxPacket)
	for _, want := range []struct {
		id    uint16
		bytes int
	}{{7, maxPacket - 60000 - 4}, {8, maxPacket - 1 - 4}, {9, 1}} {
		p, err := packets.ReadPacket(&tr)
		if err != nil {
			t.Fatal(err)
		}
		got := p.(*packets.PublishPacket)
		if got.MessageID != want.id || len(got.Payload) != want.bytes {
			t.Errorf("message %d with %d bytes, expected %d with %d", got.MessageID, len(got.Payload), want.id, want.bytes)
		}
	}
}

func TestPacketLimiterErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in, want string
	}{
		{"length of five bytes", "\x30\xff\xff\xff\xff\x01", "more than four bytes"},
		{"huge SUBACK", "\x90\xff\xff\xff\x7f", "type 9 with 268435455 bytes"},
		{"cut off in the length", "\x30\x80", "EOF"},
		{"cut off in the body", "\x30\x05ab", "EOF"},
		{"cut off in what is skipped", "\x30\xff\xff\xff\x7f" + strings.Repeat("x", maxPacket+10), "EOF"},
	}
	for _, tt := range tests {
		tr := newPacketLimiter(strings.NewReader(tt.in), maxPacket)
		var err error
		for buf := make([]byte, 1000); err == nil; {
			_, err = tr.Read(buf)
		}
		if !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, expected an error with %q", tt.name, err, tt.want)
		}
	}
	if n, err := new(packetLimiter).Read(nil); n != 0 || err != nil {
		t.Errorf("Read(nil) = %d, %v, expected nothing", n, err)
	}
}

// Whatever a broker sends, the output consists of packets that are not too long, and is no longer than the input.
func FuzzPacketLimiter(f *testing.F) {
	f.Add([]byte("\x20\x02\x00\x00\xd0\x00"), uint8(1))
	f.Add([]byte("\x30\xff\xff\xff\x7fabc"), uint8(3))
	f.Add([]byte("\x32\x80\x80\x0a"), uint8(200))
	f.Add([]byte("\x32\x50"+strings.Repeat("x", 0x50)+"\xd0\x00"), uint8(0))
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		const longest = 32
		tr := newPacketLimiter(bytes.NewReader(in), longest)
		var out []byte
		var err error
		for buf := make([]byte, int(step)+1); err == nil; {
			var n int
			n, err = tr.Read(buf)
			out = append(out, buf[:n]...)
		}
		if len(out) > len(in) {
			t.Fatalf("%d bytes became %d", len(in), len(out))
		}
		for rest := out; len(rest) > 0; {
			if len(rest) < 2 || rest[1] > longest {
				t.Fatalf("not a packet: % x", rest)
			}
			rest = rest[min(2+int(rest[1]), len(rest)):]
		}
	})
}
