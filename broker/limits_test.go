package broker_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/snom2mqtt/snom2mqtt/broker"
)

// heap returns how much memory is in use, in bytes.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// most fails the test where more memory than that is in use than before.
func most(t *testing.T, what string, before, bytes int64) {
	t.Helper()
	if more := heap() - before; more > bytes {
		t.Errorf("%s: %d KiB more memory, expected at most %d", what, more>>10, bytes>>10)
	}
}

// field is a text as MQTT has it, behind its length.
func field(text string) string { return string([]byte{byte(len(text) >> 8), byte(len(text))}) + text }

// packet is an MQTT packet.
func packet(first byte, body string) []byte {
	out, n := []byte{first}, len(body)
	for {
		digit := byte(n & 0x7f)
		if n >>= 7; n > 0 {
			digit |= 0x80
		}
		if out = append(out, digit); n == 0 {
			return append(out, body...)
		}
	}
}

// connect5 is a CONNECT packet of MQTT 5 with properties and what follows the client id.
func connect5(id string, flags byte, properties, rest string) []byte {
	return packet(0x10, field("MQTT")+"\x05"+string(flags)+"\x00\x00"+string(rune(len(properties)))+properties+field(id)+rest)
}

// raw is a client that has logged in by a CONNECT packet of its own.
func (f *fixture) raw(t *testing.T, connect []byte) (net.Conn, *bufio.Reader) {
	t.Helper()
	c := f.mustDial(t)
	if _, err := c.Write(connect); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	ack := make([]byte, 4)
	if _, err := io.ReadFull(r, ack); err != nil || ack[0] != 0x20 || ack[3] != 0 {
		t.Fatalf("CONNACK = %x, %v", ack, err)
	}
	if _, err := r.Discard(int(ack[1]) - 2); err != nil {
		t.Fatal(err)
	}
	return c, r
}

const v3 = "\x00\x04MQTT\x04"

// connect3 is a CONNECT packet of MQTT 3.1.1, with a clean session or not.
func connect3(id string, clean bool) []byte {
	flags := "\x00"
	if clean {
		flags = "\x02"
	}
	return packet(0x10, v3+flags+"\x00\x00"+field(id))
}

// Silent connections, and those that begin a packet and do not end it, keep no client out and take no memory.
func TestConnectionsBeforeTheLogin(t *testing.T) {
	for name, word := range map[string][]byte{
		"silent":                       nil,
		"CONNECT that claims 262,000":  {0x10, 0xf0, 0xfe, 0x0f},
		"CONNECT that claims 16,000":   {0x10, 0x80, 0x7d},
		"CONNECT that claims 256 MiB":  {0x10, 0xff, 0xff, 0xff, 0x7f},
		"a length that does not end":   {0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"another packet":               {0x30, 0xf0, 0xfe, 0x0f},
		"half of a CONNECT":            connect3("half", true)[:10],
		"CONNECT that is no CONNECT":   packet(0x10, strings.Repeat("\xff", 1000)),
		"a request of another service": []byte("GET / HTTP/1.1\r\nHost: broker\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			b := newBroker(t, broker.Config{Addr: "127.0.0.1:0", Username: "u", Password: password})
			before := heap()
			var silent []net.Conn
			for range 1024 {
				c, err := net.Dial("tcp", b.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				_, _ = c.Write(word) // the broker may have closed it
				silent = append(silent, c)
			}
			most(t, name, before, 4<<20)
			for i := range 20 {
				for _, o := range []*paho.ClientOptions{options(b, fmt.Sprint("c", i)), ownOptions(b, "bridge")} {
					c, err := connect(t, o.SetUsername("u").SetPassword(password))
					if err != nil {
						t.Fatalf("client %d: %v", i, err)
					}
					c.Disconnect(10)
				}
			}
			for _, c := range silent {
				c.Close()
			}
		})
	}
}

// Wrong passwords are slowed down, and a right one gets in all the same.
func TestGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, broker.Config{Username: "u", Password: password})
		start := time.Now()
		for range 100 {
			if _, err := connect(t, options(b, "c").SetUsername("u").SetPassword("guess")); err == nil {
				t.Fatal("let in with a wrong password")
			}
		}
		if took := time.Since(start); took < 90*time.Second {
			t.Errorf("100 guesses took %v, expected more than a second for each after the first ones", took)
		}
		mustConnect(t, options(b, "c").SetUsername("u").SetPassword(password))
		if n := strings.Count(b.log.String(), "level=WARN"); n == 0 || n > 10 {
			t.Errorf("%d warnings, expected one or two a minute", n)
		}
	})
}

// What clients have retained is bounded, for each and for all; the bridge is not concerned.
func TestRetainedBudget(t *testing.T) {
	b := newBroker(t, broker.Config{Addr: "127.0.0.1:0"})
	before := heap()
	for i := range 8 {
		c := mustConnect(t, options(b, fmt.Sprint("c", i)))
		for j := range 60 {
			must(t, c.Publish(fmt.Sprintf("c%d/%d", i, j), 1, true, strings.Repeat("x", 100<<10)))
		}
		if got := b.Stats().Retained; got > int64(i+1)*4<<20 || got > 16<<20 || i < 3 && got < int64(i+1)*3<<20 {
			t.Errorf("%d bytes are retained after client %d", got, i)
		}
		c.Disconnect(10)
	}
	most(t, "retained", before, 24<<20)
	own := mustConnect(t, ownOptions(b, "bridge"))
	must(t, own.Publish("snom/bridge/state", 1, true, "online"))
	one := mustConnect(t, options(b, "one"))
	expect(t, subscribe(t, one, "snom/bridge/state"), "online")
	must(t, one.Publish("one", 1, true, strings.Repeat("x", 100<<10)))
	for j := range 60 { // deleting makes room
		must(t, one.Publish(fmt.Sprintf("c1/%d", j), 1, true, ""))
	}
	must(t, one.Publish("one", 1, true, "kept"))
	expect(t, subscribe(t, mustConnect(t, options(b, "two")), "one"), "kept")
	if strings.Count(b.log.String(), "message is not retained") != 1 {
		t.Error("expected one warning")
	}
}

// What takes memory beside payloads counts too: many topics, deep ones, and last wills.
func TestRetainedBudgetOfTopics(t *testing.T) {
	for name, topic := range map[string]func(i int) string{
		"many": func(i int) string { return fmt.Sprint("t/", i) },
		"deep": func(i int) string { return fmt.Sprint(i, strings.Repeat("/a", 30)) },
		"long": func(i int) string { return fmt.Sprint(i, strings.Repeat("a", 900)) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBroker(t, broker.Config{Addr: "127.0.0.1:0"})
			before := heap()
			c := mustConnect(t, options(b, "c"))
			for i := range 8000 {
				must(t, c.Publish(topic(i), 0, true, "x"))
			}
			must(t, c.Publish("end", 1, false, "x"))
			most(t, name, before, 8<<20)
			if got := b.Stats().Retained; got > 4<<20 || got < 3<<20 {
				t.Errorf("%d bytes are retained, expected almost 4 MiB", got)
			}
		})
	}
	t.Run("wills", func(t *testing.T) {
		b := newBroker(t, broker.Config{Addr: "127.0.0.1:0"})
		before := heap()
		for i := range 2500 {
			will := fmt.Sprint("will/", i)
			c, _ := b.raw(t, packet(0x10, v3+"\x26\x00\x00"+field(fmt.Sprint("w", i))+field(will)+field(strings.Repeat("x", 10<<10))))
			c.Close()
		}
		most(t, "wills", before, 32<<20)
	})
}

// Sessions are bounded and end: those of clients that went away make room for new ones.
func TestSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, broker.Config{})
		own := mustConnect(t, ownOptions(b, "bridge"))
		for i := range 200 {
			c, r := b.raw(t, connect3(fmt.Sprint("away", i), false))
			_, _ = c.Write(packet(0x82, "\x00\x01"+field(fmt.Sprint("x/", i))+"\x01"))
			if _, err := r.Discard(5); err != nil {
				t.Fatal(err)
			}
			c.Close()
			synctest.Wait()
		}
		if n := b.Stats().Sessions; n != 64 {
			t.Errorf("%d sessions, expected 64", n)
		}
		var clients []net.Conn
		for i := range 64 {
			c, _ := b.raw(t, connect3(fmt.Sprint("here", i), true))
			clients = append(clients, c)
		}
		if _, err := connect(t, options(b, "one too many")); err == nil {
			t.Error("65 clients were let in")
		}
		own.Disconnect(10)
		mustConnect(t, ownOptions(b, "bridge"))
		for _, c := range clients {
			c.Close()
		}
		synctest.Wait()
		c, _ := b.raw(t, connect3("away", false))
		_, _ = c.Write(packet(0x82, "\x00\x01"+field("x")+"\x01"))
		synctest.Wait()
		c.Close()
		time.Sleep(11 * time.Minute)
		if n := b.Stats().Sessions; n != 0 {
			t.Errorf("%d sessions after ten minutes, expected none", n)
		}
	})
}

// MQTT 5 has ways to ask for more: a session for ever, a will that waits for ever, aliases for topics.
func TestMQTT5(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, broker.Config{})
		watcher := subscribe(t, mustConnect(t, options(b, "watcher")), "will")
		const forever, aliases = "\x11\xff\xff\xff\xfe", "\x22\xff\xff"
		c, _ := b.raw(t, connect5("c", 0x06, forever+aliases, "\x05\x18\xff\xff\xff\xff"+field("will")+field("gone")))
		c.Close()
		expect(t, watcher, "gone") // and not in 136 years
		c, _ = b.raw(t, connect5("d", 0x02, "\x11\x00\x00\x00\x01", ""))
		_, _ = c.Write(packet(0xe0, "\x00\x05"+forever)) // DISCONNECT
		synctest.Wait()
		c.Close()
		c, r := b.raw(t, connect5("e", 0x02, "", ""))
		_, _ = c.Write(packet(0x30, field("a")+"\x03\x23\x00\x01x")) // a topic alias, which was not offered
		if first, err := r.ReadByte(); err == nil && first>>4 != packets.Disconnect {
			t.Errorf("answer to an alias: %x", first)
		}
		c.Close()
		time.Sleep(11 * time.Minute)
		if n := b.Stats().Sessions; n != 1 {
			t.Errorf("%d sessions, expected one", n)
		}
	})
}

// A client that does not read is disconnected and takes a bounded amount of memory; others get everything.
func TestSlowReaders(t *testing.T) {
	b := newBroker(t, broker.Config{Addr: "127.0.0.1:0"})
	good := mustConnect(t, options(b, "good"))
	got := make(chan string, 1000)
	must(t, good.Subscribe("flood", 1, func(_ paho.Client, m paho.Message) { got <- string(m.Payload()[:4]) }))
	before := heap()
	for i := range 30 {
		c, r := b.raw(t, connect3(fmt.Sprint("slow", i), true))
		_, _ = c.Write(packet(0x82, "\x00\x01"+field("#")+string(rune(i%3))))
		if _, err := r.Discard(5); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
	}
	loud := mustConnect(t, options(b, "loud"))
	for i := range 400 {
		must(t, loud.Publish("flood", 1, false, fmt.Sprintf("%04d", i)+strings.Repeat("x", 200<<10)))
		expect(t, got, fmt.Sprintf("%04d", i))
	}
	most(t, "clients that do not read", before, 48<<20)
	if n := b.Stats().Slow; n != 30 {
		t.Errorf("%d clients were disconnected as slow, expected 30", n)
	}
}

// A client that reads and does not acknowledge, and one that is away, keep a bounded amount.
func TestUnacknowledged(t *testing.T) {
	b := newBroker(t, broker.Config{Addr: "127.0.0.1:0"})
	before := heap()
	for i := range 20 {
		c, r := b.raw(t, connect3(fmt.Sprint("c", i), false))
		_, _ = c.Write(packet(0x82, "\x00\x01"+field("#")+"\x01"))
		if _, err := r.Discard(5); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			c.Close()
			continue
		}
		go func() { _, _ = io.Copy(io.Discard, r) }()
		t.Cleanup(func() { c.Close() })
	}
	loud := mustConnect(t, options(b, "loud"))
	for _, size := range []int{10 << 10, 200 << 10} {
		for range 300 {
			must(t, loud.Publish("flood", 1, false, strings.Repeat("x", size)))
		}
	}
	for range 3000 {
		must(t, loud.Publish("flood", 1, false, "x"))
	}
	most(t, "messages that are not acknowledged", before, 32<<20)
	if !strings.Contains(b.log.String(), "does not acknowledge") || !strings.Contains(b.log.String(), "client that is away") {
		t.Errorf("expected two warnings in the log:\n%s", b.log)
	}
}

// Subscriptions are bounded too, by what they take.
func TestSubscriptionBudget(t *testing.T) {
	b := newBroker(t, broker.Config{Addr: "127.0.0.1:0"})
	before := heap()
	c := mustConnect(t, options(b, "c"))
	granted, refused := 0, 0
	for i := range 2000 {
		token := c.Subscribe(fmt.Sprint(i, strings.Repeat("/a", 20)), 1, func(paho.Client, paho.Message) {}).(*paho.SubscribeToken)
		<-token.Done()
		for _, code := range token.Result() {
			if code < 0x80 {
				granted++
			} else {
				refused++
			}
		}
	}
	if granted < 100 || refused == 0 {
		t.Errorf("%d subscriptions were granted, %d refused", granted, refused)
	}
	most(t, "subscriptions", before, 12<<20)
	for i := range 2000 {
		must(t, c.Unsubscribe(fmt.Sprint(i, strings.Repeat("/a", 20))))
	}
	expectToken := c.Subscribe("a", 1, func(paho.Client, paho.Message) {}).(*paho.SubscribeToken)
	must(t, expectToken)
	if code := expectToken.Result()["a"]; code >= 0x80 {
		t.Error("a subscription was refused after all others were taken back")
	}
	for _, filter := range []string{strings.Repeat("a", 2000), strings.Repeat("a/", 40) + "#"} {
		token := c.Subscribe(filter, 1, func(paho.Client, paho.Message) {}).(*paho.SubscribeToken)
		<-token.Done()
		if code := token.Result()[filter]; code < 0x80 {
			t.Errorf("a filter of %d bytes and %d levels was granted", len(filter), 1+strings.Count(filter, "/"))
		}
	}
}

// No other client ends the session of the bridge, or becomes the client of the demonstration.
func TestClientIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, broker.Config{})
		own := mustConnect(t, ownOptions(b, "bridge"))
		for _, id := range []string{"bridge", "inline"} {
			if _, err := connect(t, options(b, id)); err == nil {
				t.Errorf("let in with the client id %s", id)
			}
		}
		if !own.IsConnectionOpen() {
			t.Error("the bridge was disconnected")
		}
		mustConnect(t, ownOptions(b, "bridge")) // it may itself
		for _, topic := range []string{"$SYS/broker/version", "a/#", strings.Repeat("a", 2000)} {
			c := b.mustDial(t)
			_, _ = c.Write(packet(0x10, v3+"\x26\x00\x00"+field("w")+field(topic)+field("x")))
			ack := make([]byte, 4)
			if _, err := io.ReadFull(c, ack); err == nil && ack[3] == 0 {
				t.Errorf("let in with a last will for %.30s", topic)
			}
		}
	})
}

// documents has the bridge retain more than the queue of a client holds.
func documents(t *testing.T, b *fixture) (n int) {
	own := mustConnect(t, ownOptions(b, "bridge"))
	for i := range 1000 {
		must(t, own.Publish(fmt.Sprint("doc/", i), 1, true, strings.Repeat("x", 20<<10)))
	}
	return 1000
}

// readDocuments reads until it has seen n of them, and acknowledges those that want it.
func readDocuments(t *testing.T, c net.Conn, r io.Reader, n int, pause func()) {
	t.Helper()
	seen := map[string]bool{}
	for len(seen) < n {
		pk, err := packets.ReadPacket(r)
		if err != nil {
			t.Fatalf("after %d documents: %v", len(seen), err)
		}
		m, ok := pk.(*packets.PublishPacket)
		if !ok {
			continue
		}
		seen[m.TopicName] = true
		if m.Qos > 0 {
			if _, err := c.Write([]byte{packets.Puback << 4, 2, byte(m.MessageID >> 8), byte(m.MessageID)}); err != nil {
				t.Fatal(err)
			}
		}
		pause()
	}
}

// A client that reads slowly gets all that is retained.
func TestRetainedForASlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, broker.Config{})
		n := documents(t, b)
		c, r := b.raw(t, connect3("slow", true))
		if _, err := c.Write(packet(0x82, "\x00\x01"+field("doc/#")+"\x00")); err != nil {
			t.Fatal(err)
		}
		readDocuments(t, c, r, n, func() { time.Sleep(10 * time.Millisecond) })
		if n := b.Stats().Slow; n > 0 {
			t.Error("a client that reads was disconnected as slow")
		}
	})
}

// A client gets all that is retained with QoS 1 too, of which it can acknowledge nothing before it was sent all.
func TestRetainedWithQoS1(t *testing.T) {
	b := newBroker(t, broker.Config{Addr: "127.0.0.1:0"})
	n := documents(t, b)
	for range 3 {
		c, r := b.raw(t, connect3("c", true))
		if _, err := c.Write(packet(0x82, "\x00\x01"+field("doc/#")+"\x01")); err != nil {
			t.Fatal(err)
		}
		readDocuments(t, c, r, n, func() {})
		c.Close()
	}
	if n := b.Stats().Slow; n > 0 {
		t.Error("a client that reads was disconnected as slow")
	}
}
