package paho3

import (
	"bytes"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/mqtt/session"
)

// writes returns what is written to the other end of far, write by write.
func writes(far net.Conn) <-chan []byte {
	c := make(chan []byte, 100)
	go func() { // ends with the connection
		defer close(c)
		for buf := make([]byte, 64<<10); ; {
			n, err := far.Read(buf)
			if err != nil {
				return
			}
			c <- bytes.Clone(buf[:n])
		}
	}()
	return c
}

// Messages that arrive together are acknowledged together; where the last one is not acknowledged, the others do not
// wait for it. More than a number that brokers can do without are not held back.
func TestAcknowledgementsGoTogether(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name            string
		messages        int
		unacknowledged  int // the message with this identifier; 0: none
		expectedAtOnce  []int
		expectedIDsLast uint16
	}{
		{"one", 1, 0, []int{1}, 1},
		{"two", 2, 0, []int{2}, 2},
		{"two, of which one is not acknowledged", 2, 2, []int{1}, 1},
		{"many", maxAcks + 3, 0, []int{maxAcks + 1, 2}, maxAcks + 3},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			received := 0
			c, far := connectTo(t, func(d session.Delivery) {
				received++
				if int(d.MessageID()) != tt.unacknowledged {
					d.Ack()
				}
			})
			defer c.Fail(io.EOF)
			written := writes(far)
			began := time.Now()
			var all strings.Builder
			for id := range tt.messages {
				all.WriteString(message(t, "t", uint16(id+1), "x"))
			}
			if _, err := io.WriteString(far, all.String()); err != nil {
				t.Fatal(err)
			}
			for i, n := range tt.expectedAtOnce {
				got := <-written
				if len(got) != n*len("\x40\x02\x00\x01") {
					t.Errorf("%s: write %d has %d bytes, expected %d acknowledgements", tt.name, i, len(got), n)
				}
				if id := uint16(got[len(got)-2])<<8 | uint16(got[len(got)-1]); i == len(tt.expectedAtOnce)-1 && id != tt.expectedIDsLast {
					t.Errorf("%s: the last acknowledgement is for message %d, expected %d", tt.name, id, tt.expectedIDsLast)
				}
			}
			if took := time.Since(began); took != 0 {
				t.Errorf("%s: it took %v, expected no wait", tt.name, took)
			}
			if received != tt.messages {
				t.Errorf("%s: %d messages were received, expected %d", tt.name, received, tt.messages)
			}
		})
	}
}

// An acknowledgement that comes later than its message, from another goroutine, is written at once.
func TestLateAcknowledgement(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got := make(chan session.Delivery, 1)
		c, far := connectTo(t, func(d session.Delivery) { got <- d })
		defer c.Fail(io.EOF)
		written := writes(far)
		if _, err := io.WriteString(far, message(t, "t", 300, "x")); err != nil {
			t.Fatal(err)
		}
		d := <-got
		time.Sleep(time.Second)
		began := time.Now()
		d.Ack()
		if p := <-written; string(p) != "\x40\x02\x01\x2c" || time.Since(began) != 0 {
			t.Errorf("the broker gets % x after %v, expected PUBACK at once", p, time.Since(began))
		}
	})
}

// PUBLISH packets are written together, before anything that follows, and also without Flush when there are many.
func TestPublishesGoTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, far := connect(t)
		defer c.Fail(io.EOF)
		written := writes(far)
		acknowledged := make(chan string, 3)
		publish := func(payload string) {
			c.Publish(mqtt.Message{Topic: "t", Payload: []byte(payload), Retained: true}, func() { acknowledged <- payload })
		}
		synctest.Wait() // until the connection is read
		publish("a")
		publish("b")
		synctest.Wait()
		if len(written) != 0 {
			t.Error("it was written without Flush")
		}
		c.Flush()
		want := "\x33\x06\x00\x01t\x00\x01a" + "\x33\x06\x00\x01t\x00\x02b"
		if got := <-written; string(got) != want {
			t.Errorf("% x was written, expected % x", got, want)
		}
		if _, err := io.WriteString(far, "\x40\x02\x00\x02"); err != nil {
			t.Fatal(err)
		}
		if got := <-acknowledged; got != "b" {
			t.Errorf("%s was acknowledged, expected b", got)
		}
		publish(strings.Repeat("x", maxHeld))
		if got := <-written; len(got) <= maxHeld {
			t.Errorf("%d bytes were written, expected more than %d", len(got), maxHeld)
		}
		c.Flush()
		synctest.Wait()
		if len(written) != 0 {
			t.Error("an empty Flush writes")
		}
		c.Fail(io.EOF)
		publish("c")
		synctest.Wait()
		if len(acknowledged) != 0 {
			t.Errorf("%s was acknowledged, expected nothing after the end of the connection", <-acknowledged)
		}
		late := c.Subscribe([]string{"t"})
		if <-late.Done(); late.Error() != io.EOF {
			t.Errorf("SUBSCRIBE after the end: %v, expected EOF", late.Error())
		}
	})
}

// A packet identifier is used again only when it is free.
func TestPacketIdentifiers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sc, far := connect(t)
		defer sc.Fail(io.EOF)
		go func() { _, _ = io.Copy(io.Discard, far) }() // ends with the connection
		c := sc.(*conn)
		kept := c.begin(&operation{})
		for range 1 << 16 {
			o := c.begin(&operation{})
			if o.id == 0 || o.id == kept.id {
				t.Fatalf("identifier %d, expected none that is in use, and not 0", o.id)
			}
			c.end(o.id, nil)
		}
	})
}

// SUBACK says filter by filter what was granted.
func TestSubscribe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, far := connect(t)
		defer c.Fail(io.EOF)
		written := writes(far)
		s := c.Subscribe([]string{"a", "b", "c"})
		if got, want := string(<-written), "\x82\x0e\x00\x01\x00\x01a\x01\x00\x01b\x01\x00\x01c\x01"; got != want {
			t.Errorf("% x was written, expected % x", got, want)
		}
		if _, err := io.WriteString(far, "\x90\x04\x00\x01\x01\x80"); err != nil { // shorter than it should be
			t.Fatal(err)
		}
		<-s.Done()
		granted := []bool{s.Granted("a"), s.Granted("b"), s.Granted("c"), s.Granted("d")}
		if s.Error() != nil || !slices.Equal(granted, []bool{true, false, false, false}) {
			t.Errorf("granted %v, %v, expected the first one only", granted, s.Error())
		}
		u := c.Unsubscribe([]string{"a"})
		if got, want := string(<-written), "\xa2\x05\x00\x02\x00\x01a"; got != want {
			t.Errorf("% x was written, expected % x", got, want)
		}
		if _, err := io.WriteString(far, "\xb0\x02\x00\x02"); err != nil {
			t.Fatal(err)
		}
		if <-u.Done(); u.Error() != nil {
			t.Error(u.Error())
		}
	})
}

// A ping is sent when nothing was written or nothing was read for the keep-alive time, and must be answered.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, far := connect(t)
		written := writes(far)
		began := time.Now()
		ping := func(after time.Duration) {
			t.Helper()
			if got := <-written; string(got) != "\xc0\x00" || time.Since(began) != after {
				t.Fatalf("% x after %v, expected PINGREQ after %v", got, time.Since(began), after)
			}
		}
		send := func(p string) {
			t.Helper()
			if _, err := io.WriteString(far, p); err != nil {
				t.Fatal(err)
			}
		}
		ping(keepAlive)
		send("\xd0\x00")
		time.Sleep(keepAlive / 2)
		send(message(t, "t", 1, "read, nothing written"))
		ping(2 * keepAlive)
		send("\xd0\x00")
		time.Sleep(keepAlive / 2)
		c.Publish(mqtt.Message{Topic: "t"}, func() {})
		c.Flush()
		<-written
		ping(3 * keepAlive)
		send(message(t, "t", 1, "no answer to the ping"))
		<-c.Lost()
		if took := time.Since(began); took != 3*keepAlive+pingTimeout || c.Err().Error() != "no answer to a ping in time" {
			t.Errorf("the end after %v: %v", took, c.Err())
		}
		if timeout, ok := c.Err().(interface{ Timeout() bool }); !ok || !timeout.Timeout() {
			t.Error("the error is no timeout")
		}
	})
}

// A broker that does not read ends the connection, and holds up no goroutine for longer than the write timeout.
func TestWriteTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := connect(t)
		began := time.Now()
		c.Publish(mqtt.Message{Topic: "t"}, func() {})
		c.Flush()
		<-c.Lost()
		if took := time.Since(began); took != writeTimeout {
			t.Errorf("it took %v, expected %v", took, writeTimeout)
		}
		if timeout, ok := c.Err().(interface{ Timeout() bool }); !ok || !timeout.Timeout() {
			t.Errorf("%v is no timeout", c.Err())
		}
	})
}

// A message with QoS 2, to which no session subscribes, is acknowledged as MQTT 3.1.1, section 4.3.3, says.
func TestQoS2(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, far := connectTo(t, func(d session.Delivery) { d.Ack() })
		defer c.Fail(io.EOF)
		written := writes(far)
		for _, step := range []struct{ sent, want string }{
			{"\x34\x06\x00\x01t\x00\x09x", "\x50\x02\x00\x09"},
			{"\x62\x02\x00\x09", "\x70\x02\x00\x09"},
		} {
			if _, err := io.WriteString(far, step.sent); err != nil {
				t.Fatal(err)
			}
			if got := <-written; string(got) != step.want {
				t.Errorf("% x is answered by % x, expected % x", step.sent, got, step.want)
			}
		}
		if _, err := io.WriteString(far, packet(t, packets.NewControlPacket(packets.Pingreq))); err != nil {
			t.Fatal(err)
		}
		if <-c.Lost(); !strings.Contains(c.Err().Error(), "only clients may send") {
			t.Errorf("PINGREQ from a broker: %v", c.Err())
		}
	})
}
