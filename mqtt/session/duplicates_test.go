package session_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	wire3 "github.com/eclipse/paho.mqtt.golang/packets"
)

// A repeater is a connection to a broker that sends some messages again.
type repeater struct {
	net.Conn
	again func(*wire3.PublishPacket) []*wire3.PublishPacket // what is read after a message

	unread bytes.Buffer // used by the goroutine that reads
}

func (r *repeater) Read(b []byte) (int, error) {
	for r.unread.Len() == 0 {
		p, err := wire3.ReadPacket(r.Conn)
		if err != nil {
			return 0, err
		}
		_ = p.Write(&r.unread) // never fails
		if message, ok := p.(*wire3.PublishPacket); ok {
			for _, again := range r.again(message) {
				_ = again.Write(&r.unread)
			}
		}
	}
	return r.unread.Read(b)
}

// TestDuplicatesAreCarriedOutOnce: a message with the DUP flag is one that this connection has received, unless another
// message had its packet id last: then the broker passes on the flag of the publisher, and it is carried out.
func TestDuplicatesAreCarriedOutOnce(t *testing.T) {
	copyOf := func(m *wire3.PublishPacket, change func(*wire3.PublishPacket)) []*wire3.PublishPacket {
		again := wire3.NewControlPacket(wire3.Publish).(*wire3.PublishPacket)
		again.TopicName, again.Payload, again.Qos, again.MessageID, again.Dup = m.TopicName, m.Payload, m.Qos, m.MessageID, true
		change(again)
		return []*wire3.PublishPacket{again}
	}
	tests := []struct {
		name   string
		change func(*wire3.PublishPacket)
		twice  bool // it is another message
	}{
		{"sent again", func(*wire3.PublishPacket) {}, false},
		{"sent again, retained now", func(m *wire3.PublishPacket) { m.Retain = true }, false},
		{"a new message with the same id and no flag", func(m *wire3.PublishPacket) { m.Dup = false }, true},
		{"the flag of the publisher, on another packet id", func(m *wire3.PublishPacket) { m.MessageID += 1000 }, true},
		{"the flag of the publisher, another payload", func(m *wire3.PublishPacket) { m.Payload = append(slices.Clone(m.Payload), '#') }, true},
		{"the flag of the publisher, another topic", func(m *wire3.PublishPacket) { m.TopicName = "snom/hall/dial" }, true},
		{"the flag on QoS 0", func(m *wire3.PublishPacket) { m.Qos, m.MessageID = 0, 0 }, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newFixture(t, func(w *fixture) {
					w.cfg.Open = func(ctx context.Context) (net.Conn, error) {
						c, err := w.open(ctx)
						return &repeater{Conn: c, again: func(m *wire3.PublishPacket) []*wire3.PublishPacket {
							if m.TopicName != "snom/kitchen/dial" || m.Qos != 1 {
								return nil
							}
							return copyOf(m, tt.change)
						}}, err
					}
				})
				stop := w.run()
				w.wait(time.Second)
				const n = 500 // ids of more than one page
				for i := range n {
					w.send("snom/kitchen/dial", fmt.Sprint(i), false)
					w.wait(10 * time.Millisecond)
				}
				want := n
				if tt.twice {
					want = 2 * n
				}
				if got := len(w.allHandled()); got != want {
					t.Errorf("%d messages were handled, expected %d", got, want)
				}
				w.expectOnline(true)
				stop()
				w.cutAll()
			})
		})
	}
}
