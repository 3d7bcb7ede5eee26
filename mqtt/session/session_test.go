package session_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/mqtt/session"
)

func TestSessionFromStartToEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFixture(t, nil)
		w.publish("snom/kitchen/result=early")
		stop := w.run()
		w.wait(time.Second)
		w.expectOnline(true)
		w.send("snom/kitchen/dial", "110", false)
		w.send("snom/bridge/request/ping", "", false)
		w.send("snom/kitchen/deep/down", "too long", false)
		w.publish("snom/kitchen/result=done")
		w.publish("!snom/kitchen/status={}")
		w.wait(time.Second)
		if got, want := w.allHandled(), []string{"snom/kitchen/dial=110", "snom/bridge/request/ping=", "snom/kitchen/deep/down=too long", "snom/kitchen/status={}"}; !slices.Equal(got, want) {
			t.Errorf("handled %q, expected %q", got, want)
		}
		w.publish("snom/kitchen/result=last")
		stop()
		w.wait(time.Second)
		got := slices.DeleteFunc(w.allPublished(), func(m string) bool {
			return !strings.HasPrefix(strings.TrimPrefix(m, "!"), "snom/") || strings.Contains(m, "loopback") ||
				strings.Contains(m, "dial") || strings.Contains(m, "request") || strings.Contains(m, "deep")
		})
		if len(got) > 1 && got[1] == "snom/kitchen/result=early" {
			got[0], got[1] = got[1], got[0] // the state does not wait for what waits longer
		}
		want := []string{
			"snom/kitchen/result=early",
			"!snom/bridge/state=online",
			"snom/kitchen/result=done",
			"!snom/kitchen/status={}",
			"snom/kitchen/result=last",
			"!snom/bridge/state=offline",
		}
		if !slices.Equal(got, want) {
			t.Errorf("published %q, expected %q", got, want)
		}
		if _, online, offline := w.counts(); online != 1 || offline != 1 {
			t.Errorf("online %d times and offline %d times, expected 1 and 1", online, offline)
		}
		if w.session.Publish(mqtt.Message{Topic: "snom/kitchen/result"}) {
			t.Error("Publish() after the end = true, expected false")
		}
		if st := w.session.Status(); st.Connected || st.Proven {
			t.Errorf("status after the end is %+v, expected not connected", st)
		}
	})
}

func TestRetainedIsHandedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFixture(t, nil)
		w.send("snom/kitchen/dial", "110", true)
		stop := w.run()
		w.wait(time.Second)
		if got, want := w.allHandled(), []string{"!snom/kitchen/dial=110"}; !slices.Equal(got, want) {
			t.Errorf("handled %q, expected %q", got, want)
		}
		stop()
	})
}

func TestRefusedMessages(t *testing.T) {
	withFixture(t, nil, func(w *fixture) {
		w.wait(time.Second)
		for _, m := range []mqtt.Message{
			{Topic: "snom/+/result"},
			{Topic: ""},
			{Topic: "snom/a\x00b/result"},
			{Topic: "snom/kitchen/result", Payload: make([]byte, mqtt.MaxPublish+1)},
		} {
			if w.session.Publish(m) {
				t.Errorf("Publish(%q, %d bytes) = true, expected false", m.Topic, len(m.Payload))
			}
		}
		w.wait(time.Hour)
		w.expectOnline(true)
		if st := w.session.Status(); st.Reconnects != 0 {
			t.Errorf("%d reconnects, expected 0", st.Reconnects)
		}
	})
}

func TestOrderOfManyMessages(t *testing.T) {
	withFixture(t, nil, func(w *fixture) {
		w.wait(time.Second)
		const n = 3000
		for i := range n {
			w.publish(fmt.Sprintf("snom/kitchen/result=%d", i))
			w.send("snom/kitchen/dial", fmt.Sprint(i), false)
		}
		w.wait(time.Minute)
		results := slices.DeleteFunc(w.allPublished(), func(m string) bool { return !strings.HasPrefix(m, "snom/kitchen/result=") })
		handled := w.allHandled()
		if len(results) != n || len(handled) != n {
			t.Fatalf("%d results and %d commands, expected %d of each", len(results), len(handled), n)
		}
		for i := range n {
			if want := fmt.Sprintf("snom/kitchen/result=%d", i); results[i] != want {
				t.Fatalf("result %d is %q, expected %q", i, results[i], want)
			}
			if want := fmt.Sprintf("snom/kitchen/dial=%d", i); handled[i] != want {
				t.Fatalf("command %d is %q, expected %q", i, handled[i], want)
			}
		}
	})
}

// TestTheSameErrorIsLoggedOnce: a broker that closes TLS connections or websockets gave an error with another local port
// each time, and so a warning for every attempt.
func TestTheSameErrorIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		port := 40000
		w := newFixture(t, func(w *fixture) {
			w.cfg.Open = func(context.Context) (net.Conn, error) {
				port++
				return nil, &net.OpError{Op: "read", Net: "tcp", Source: &net.TCPAddr{Port: port}, Err: syscall.ECONNRESET}
			}
		})
		stop := w.run()
		w.wait(time.Hour)
		stop()
		if n := strings.Count(w.log.String(), "level=WARN"); n != 1 || port < 40300 {
			t.Errorf("%d warnings for %d attempts in an hour, expected 1 for many:\n%.400s", n, port-40000, w.log.String())
		}
	})
}

func TestBrokerAwayAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFixture(t, func(w *fixture) { w.cfg.Queue = 10 })
		w.setDown(true)
		stop := w.run()
		for i := range 15 {
			w.publish(fmt.Sprintf("snom/kitchen/result=%d", i))
			w.publish(fmt.Sprintf("!snom/kitchen/status=%d", i))
		}
		w.wait(time.Hour)
		if dials, _, _ := w.counts(); dials < 360 || dials > 1400 {
			t.Errorf("%d attempts in an hour, expected 360 to 1400", dials)
		}
		st := w.session.Status()
		if st.Connected || st.Dropped != 5 || st.Waiting != 11 || !strings.Contains(st.LastError, "connection refused") {
			t.Errorf("status is %+v, expected 11 waiting, 5 dropped, connection refused", st)
		}
		if n := strings.Count(w.log.String(), "level=WARN msg=\"no session"); n != 1 {
			t.Errorf("%d warnings in an hour, expected 1", n)
		}
		w.setDown(false)
		w.wait(31 * time.Second)
		w.expectOnline(true)
		if got := w.retained("snom/kitchen/status"); got != "14" {
			t.Errorf("status at the broker is %q, expected 14", got)
		}
		results := slices.DeleteFunc(w.allPublished(), func(m string) bool { return !strings.HasPrefix(m, "snom/kitchen/result=") })
		if want := "snom/kitchen/result=5"; len(results) != 10 || results[0] != want {
			t.Errorf("results %q, expected 10 from %q", results, want)
		}
		if !strings.Contains(w.log.String(), "messages dropped") {
			t.Error("the log does not say that messages were dropped")
		}
		stop()
	})
}

func TestBrokerCutAndBack(t *testing.T) {
	withFixture(t, nil, func(w *fixture) {
		w.wait(time.Minute)
		w.setDown(true)
		w.wait(100 * time.Millisecond)
		w.expectState("offline") // the will
		w.expectOnline(false)
		w.publish("snom/kitchen/result=while away")
		w.wait(20 * time.Second)
		w.setDown(false)
		w.wait(31 * time.Second)
		w.expectOnline(true)
		if _, online, offline := w.counts(); online != 2 || offline != 1 {
			t.Errorf("online %d times and offline %d times, expected 2 and 1", online, offline)
		}
		if !slices.Contains(w.allPublished(), "snom/kitchen/result=while away") {
			t.Error("what was published while the broker was away did not arrive")
		}
		w.send("snom/kitchen/dial", "110", false)
		w.wait(time.Second)
		if got, want := w.allHandled(), []string{"snom/kitchen/dial=110"}; !slices.Equal(got, want) {
			t.Errorf("handled %q, expected %q", got, want)
		}
		if st := w.session.Status(); st.Reconnects != 1 || st.TakenOver {
			t.Errorf("status is %+v, expected 1 reconnect and not taken over", st)
		}
	})
}

// The first attempt after a loss comes within half a second.
func TestFirstRetryIsFast(t *testing.T) {
	withFixture(t, nil, func(w *fixture) {
		w.wait(time.Minute)
		w.wire().cut()
		w.wait(time.Second)
		w.expectOnline(true)
	})
}

// Connections that are lost while messages are in flight lose none, and keep their order but for repetitions.
func TestNothingIsLostWithConnections(t *testing.T) {
	withFixture(t, nil, func(w *fixture) {
		w.wait(time.Minute)
		const n = 500
		for i := range n {
			w.publish(fmt.Sprintf("snom/kitchen/result=%d", i))
			if i%50 == 25 {
				w.wire().cut()
				w.wait(time.Minute)
			}
		}
		w.wait(time.Minute)
		next := 0
		for _, m := range w.allPublished() {
			switch m {
			case fmt.Sprintf("snom/kitchen/result=%d", next):
				next++
			}
		}
		if next != n {
			t.Errorf("%d messages arrived in order, expected %d", next, n)
		}
		if st := w.session.Status(); st.Dropped != 0 {
			t.Errorf("%d dropped, expected 0", st.Dropped)
		}
	})
}

func TestBlackHole(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*wire)
		busy  bool
	}{
		{name: "idle, what is sent vanishes", spoil: (*wire).swallow},
		{name: "busy, what is sent vanishes", spoil: (*wire).swallow, busy: true},
		{name: "idle, writes hang", spoil: (*wire).clog},
		{name: "busy, writes hang", spoil: (*wire).clog, busy: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			withFixture(t, nil, func(w *fixture) {
				w.wait(time.Minute)
				tt.spoil(w.wire())
				if tt.busy {
					for i := range 100 {
						w.publish(fmt.Sprintf("snom/kitchen/result=%d", i))
					}
				}
				w.wait(45 * time.Second)
				w.expectOnline(true)
				if st := w.session.Status(); st.Reconnects != 1 || st.Waiting != 0 || st.Dropped != 0 {
					t.Errorf("status is %+v, expected 1 reconnect, nothing waiting or dropped", st)
				}
				if tt.busy && !slices.Contains(w.allPublished(), "snom/kitchen/result=99") {
					t.Error("the last message did not arrive")
				}
			})
		})
	}
}

// The session leaves a broker that answers pings and acknowledges nothing.
func TestNoAcknowledgements(t *testing.T) {
	withFixture(t, nil, func(w *fixture) {
		w.wait(time.Second)
		w.gate.set(func(g *gate) {
			g.accept = func(topic string) error {
				if strings.HasSuffix(topic, "/result") {
					return packets.ErrRejectPacket // mochi forgets the message then, and acknowledges nothing
				}
				return nil
			}
		})
		w.publish("snom/kitchen/result=1")
		w.wait(35 * time.Second)
		if st := w.session.Status(); st.Reconnects != 1 {
			t.Errorf("%d reconnects, expected 1", st.Reconnects)
		}
		w.gate.set(func(g *gate) { g.accept = nil })
		w.wait(40 * time.Second)
		if !slices.Contains(w.allPublished(), "snom/kitchen/result=1") {
			t.Error("the message did not arrive")
		}
		w.expectOnline(true)
	})
}

func TestSubscriptionRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFixture(t, nil)
		w.gate.set(func(g *gate) {
			g.acl = func(topic string, write bool) bool { return write || topic != "snom/#" && topic != "snom/+/+" }
		})
		stop := w.run()
		w.wait(5 * time.Minute)
		w.expectOnline(false)
		w.expectState("")
		st := w.session.Status()
		if want := `refuses 1 of 2 subscriptions, the first to "snom/+/+"`; !st.Connected || !strings.Contains(st.LastError, want) {
			t.Errorf("status is %+v, expected connected, and an error with %q", st, want)
		}
		w.gate.set(func(g *gate) { g.acl = nil })
		w.wait(5 * time.Minute)
		w.expectOnline(true)
		if st := w.session.Status(); st.Reconnects != 0 {
			t.Errorf("%d reconnects, expected 0", st.Reconnects)
		}
		stop()
	})
}

// Mosquitto with an acl_file grants every subscription and delivers only what the file allows.
func TestGrantedAndNotDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFixture(t, nil)
		w.gate.set(func(g *gate) {
			g.acl = func(topic string, write bool) bool { return write || topic != "snom/bridge/loopback" }
		})
		stop := w.run()
		w.wait(time.Minute)
		w.expectOnline(false)
		w.expectState("")
		if st := w.session.Status(); !st.Connected || !strings.Contains(st.LastError, "delivers nothing") {
			t.Errorf("status is %+v, expected connected and an error that says what is the matter", st)
		}
		if n := strings.Count(w.log.String(), "level=ERROR"); n != 1 {
			t.Errorf("%d errors in the log, expected 1:\n%s", n, w.log)
		}
		w.send("snom/kitchen/dial", "110", false) // allowed, as it happens
		w.publish("snom/kitchen/result=done")
		w.wait(time.Second)
		if got, want := w.allHandled(), []string{"snom/kitchen/dial=110"}; !slices.Equal(got, want) {
			t.Errorf("handled %q, expected %q", got, want)
		}
		if !slices.Contains(w.allPublished(), "snom/kitchen/result=done") {
			t.Error("the result did not arrive")
		}
		w.wait(time.Hour)
		if st := w.session.Status(); st.Proven || st.TakenOver || st.Reconnects < 2 || st.Reconnects > 3 {
			t.Errorf("status is %+v, expected a fresh connection now and then", st)
		}
		w.gate.set(func(g *gate) { g.acl = nil })
		w.wait(11 * time.Minute)
		w.expectOnline(true)
		stop()
	})
}

// A flood of commands must not push its own answers out of the queue. What is not acknowledged holds the broker
// back; this one, without a queue, drops what is too much, as it may before the test has seen it.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w *fixture
		var answers []string
		w = newFixture(t, func(w *fixture) {
			w.cfg.Queue = 100
			w.handler.message = func(m mqtt.Message) {
				answer := "snom/kitchen/result=" + string(m.Payload)
				answers = append(answers, answer)
				w.publish(answer)
			}
		})
		w.server.Options.Capabilities.MaximumInflight = 40
		stop := w.run()
		w.wait(time.Second)
		for range 10 {
			for i := range 1000 {
				w.send("snom/kitchen/dial", fmt.Sprint(i), false)
			}
			w.wait(time.Second)
		}
		if st := w.session.Status(); st.Dropped != 0 || st.Waiting != 0 {
			t.Errorf("status is %+v, expected nothing dropped and nothing waiting", st)
		}
		got := slices.DeleteFunc(w.allPublished(), func(m string) bool { return !strings.HasPrefix(m, "snom/kitchen/result=") })
		if len(got) < 100 || !slices.Equal(got, answers) {
			t.Errorf("%d answers at the broker, expected all %d, and more than a few, in order", len(got), len(answers))
		}
		stop()
	})
}

// Mosquitto keeps a thousand messages for a client and drops what comes then. A bridge with many phones is sent all
// their retained messages when it subscribes, and its message to itself may come too late for the queue.
func TestFirstMessageToOurselvesIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFixture(t, nil)
		asked := 0 // about delivering it
		w.gate.set(func(g *gate) {
			g.acl = func(topic string, write bool) bool {
				if write || topic != "snom/bridge/loopback" {
					return true
				}
				asked++
				return asked > 2
			}
		})
		stop := w.run()
		w.wait(time.Second)
		w.expectOnline(true)
		if n := strings.Count(w.log.String(), "level=ERROR"); n != 0 {
			t.Errorf("%d errors in the log, expected none:\n%s", n, w.log)
		}
		stop()
	})
}

// Some brokers close the connection on a message that is not allowed, or too large for them. That costs three
// connections; then everything else works, hour after hour, however often the state is published again.
func TestPoison(t *testing.T) {
	tests := []struct {
		name   string
		topic  string
		online bool
	}{
		{name: "a result", topic: "snom/hall/result", online: true},
		{name: "a status", topic: "snom/hall/status", online: true},
		{name: "the state of the bridge", topic: "snom/bridge/state", online: true},
		{name: "the loopback message", topic: "snom/bridge/loopback"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newFixture(t, nil)
				w.gate.set(func(g *gate) {
					g.acl = func(topic string, write bool) bool { return !write || topic != tt.topic }
				})
				publish := func() {
					for i := range 20 {
						w.publish(fmt.Sprintf("!snom/phone%d/status=1", i))
						if i == 10 { // refused while it is in quarantine
							w.session.Publish(mqtt.Message{Topic: "snom/hall/status", Retained: true})
						}
					}
				}
				w.handler.online = publish
				w.session, _ = session.New(w.cfg)
				stop := w.run()
				w.wait(time.Second)
				for i := range 10 {
					w.publish(fmt.Sprintf("snom/kitchen/result=%d", i))
					w.publish(fmt.Sprintf("snom/hall/result=%d", i))
				}
				publish()
				w.wait(time.Minute)
				for i := range 20 {
					if got := w.retained(fmt.Sprintf("snom/phone%d/status", i)); got != "1" {
						t.Errorf("status of phone %d at the broker is %q, expected 1", i, got)
					}
				}
				for i := range 10 {
					if want := fmt.Sprintf("snom/kitchen/result=%d", i); !slices.Contains(w.allPublished(), want) {
						t.Errorf("%q did not arrive", want)
					}
				}
				if st := w.session.Status(); st.TakenOver {
					t.Error("taken for another client")
				}
				w.wait(24 * time.Hour)
				if st := w.session.Status(); st.Proven != tt.online || !st.Connected || st.TakenOver || st.Reconnects > 100 {
					t.Errorf("status after a day is %+v, expected proven %t, at most 100 reconnects", st, tt.online)
				}
				if !strings.Contains(w.log.String(), "topic="+tt.topic) {
					t.Errorf("the log does not name %s", tt.topic)
				}
				stop()
			})
		})
	}
}

// Another client with the same client id that always reconnects is not contested.
func TestTakenOver(t *testing.T) {
	withFixture(t, nil, func(w *fixture) {
		w.wait(time.Minute)
		o := paho.NewClientOptions().AddBroker("tcp://broker.example").SetClientID(w.cfg.ClientID).SetAutoReconnect(true).
			SetMaxReconnectInterval(time.Second)
		o.SetCustomOpenConnectionFn(func(_ *url.URL, _ paho.ClientOptions) (net.Conn, error) {
			return w.dial()
		})
		other := paho.NewClient(o)
		<-other.Connect().Done()
		w.wait(time.Minute)
		if st := w.session.Status(); !st.TakenOver {
			t.Errorf("status is %+v, expected taken over", st)
		}
		if n := strings.Count(w.log.String(), "another client seems to use the same client id"); n != 1 {
			t.Errorf("said %d times, expected once", n)
		}
		before := w.session.Status().Reconnects
		w.wait(time.Hour)
		// Two to four minutes apart, and now and then one more at once: where the other client was away for longer than
		// stableAfter, its return is the first that the session sees.
		if n := w.session.Status().Reconnects - before; n < 14 || n > 60 {
			t.Errorf("%d connections in the next hour, expected 15 to 30, and a few more at most", n)
		}
		other.Disconnect(100)
		w.wait(5 * time.Minute)
		w.expectOnline(true)
		if st := w.session.Status(); st.TakenOver {
			t.Error("still taken over, with the other client gone")
		}
	})
}

func TestWrongPassword(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFixture(t, nil)
		w.gate.set(func(g *gate) { g.login = func(_, given string) bool { return given == "right" } })
		stop := w.run()
		w.wait(time.Hour)
		w.gate.set(func(g *gate) {
			if g.logins < 60 || g.logins > 121 {
				t.Errorf("%d attempts in an hour, expected 60 to 120", g.logins)
			}
			g.login = func(_, given string) bool { return given == password }
		})
		st := w.session.Status()
		if !strings.Contains(st.LastError, "check user name and password") || strings.Contains(st.LastError, password) {
			t.Errorf("LastError is %q", st.LastError)
		}
		w.wait(time.Minute)
		w.expectOnline(true)
		stop()
		if strings.Contains(w.log.String(), password) {
			t.Errorf("the password is in the log:\n%s", w.log)
		}
	})
}

func TestFlushOnTheWayOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFixture(t, nil)
		stop := w.run()
		w.wait(time.Second)
		for i := range 200 {
			w.publish(fmt.Sprintf("snom/kitchen/result=%d", i))
		}
		stop()
		w.wait(time.Second)
		got := w.allPublished()
		if want := "!snom/bridge/state=offline"; got[len(got)-1] != want {
			t.Errorf("last published %q, expected %q", got[len(got)-1], want)
		}
		if want := "snom/kitchen/result=199"; got[len(got)-2] != want {
			t.Errorf("last but one published %q, expected %q", got[len(got)-2], want)
		}
	})
}

// Messages that are being handled when the session ends are answered, although the subscriptions have ended already.
func TestAnswerToTheLastMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFixture(t, func(w *fixture) {
			w.handler.message = func(m mqtt.Message) {
				time.Sleep(100 * time.Millisecond) // as on a busy machine
				w.publish("snom/kitchen/result=" + string(m.Payload))
			}
		})
		stop := w.run()
		w.wait(time.Second)
		w.expectOnline(true)
		for i := range 3 {
			w.send("snom/kitchen/key", fmt.Sprint(i), false)
		}
		synctest.Wait() // the first is being handed over
		stop()
		results := slices.DeleteFunc(w.allPublished(), func(m string) bool { return !strings.HasPrefix(m, "snom/kitchen/result=") })
		if want := []string{"snom/kitchen/result=0", "snom/kitchen/result=1", "snom/kitchen/result=2"}; !slices.Equal(results, want) {
			t.Errorf("answered: %q, expected %q", results, want)
		}
		w.expectState("offline")
		w.cutAll()
	})
}

// A late connection delivers what follows SUBSCRIBE a second late, and records whether UNSUBSCRIBE was sent.
type late struct {
	net.Conn
	subscribed, unsubscribed atomic.Bool
}

func (l *late) Write(b []byte) (int, error) {
	switch b[0] {
	case packets.Subscribe<<4 | 2:
		l.subscribed.Store(true)
	case packets.Unsubscribe<<4 | 2:
		l.unsubscribed.Store(true)
	}
	return l.Conn.Write(b)
}

func (l *late) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	if l.subscribed.Load() && !l.unsubscribed.Load() {
		time.Sleep(time.Second)
	}
	return n, err
}

// A session that ends before the broker has answered SUBSCRIBE unsubscribes all the same: else commands
// would come while it goes.
func TestEndBeforeTheSubscriptionIsGranted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFixture(t, nil)
		var conn *late
		w.cfg.Open = func(ctx context.Context) (net.Conn, error) {
			c, err := w.open(ctx)
			conn = &late{Conn: c}
			return conn, err
		}
		w.session, _ = session.New(w.cfg)
		stop := w.run()
		w.wait(500 * time.Millisecond)
		if !conn.subscribed.Load() || w.session.Status().Proven {
			t.Fatal("the session is not where the test wants it")
		}
		stop()
		if !conn.unsubscribed.Load() {
			t.Error("the subscriptions were not ended")
		}
		w.cutAll()
	})
}

// A broker that does not answer any more does not delay the end for long.
func TestEndWithSilentBroker(t *testing.T) {
	for _, spoil := range []func(*wire){(*wire).swallow, (*wire).clog} {
		synctest.Test(t, func(t *testing.T) {
			w := newFixture(t, nil)
			stop := w.run()
			w.wait(time.Second)
			spoil(w.wire())
			w.publish("snom/kitchen/result=1")
			start := time.Now()
			stop()
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("the end took %v, expected at most 10 s", took)
			}
			w.cutAll()
			w.wait(time.Second)
			w.expectState("offline")
		})
	}
}

func TestEndWithoutBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFixture(t, nil)
		w.setDown(true)
		stop := w.run()
		w.wait(time.Minute)
		start := time.Now()
		stop()
		if took := time.Since(start); took > 0 {
			t.Errorf("the end took %v, expected no time", took)
		}
	})
}

// A broker that accepts the connection and does not answer is not waited for longer than ten seconds, nor at the end.
func TestNoAnswerToConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFixture(t, nil)
		dials := 0
		w.cfg.Open = func(context.Context) (net.Conn, error) {
			dials++
			near, far := net.Pipe()
			go func() {
				for p := make([]byte, 100); ; {
					if _, err := far.Read(p); err != nil {
						return
					}
				}
			}()
			return near, nil
		}
		w.session, _ = session.New(w.cfg)
		stop := w.run()
		w.wait(time.Minute)
		if dials < 3 {
			t.Errorf("%d attempts in a minute, expected at least 3", dials)
		}
		if st := w.session.Status(); !strings.Contains(st.LastError, "no answer to CONNECT") {
			t.Errorf("LastError is %q", st.LastError)
		}
		start := time.Now()
		stop()
		if took := time.Since(start); took > 0 {
			t.Errorf("the end took %v, expected no time", took)
		}
	})
}

// A hesitant connection delivers its first bytes late.
type hesitant struct {
	net.Conn
	first sync.Once
}

func (h *hesitant) Read(b []byte) (int, error) {
	h.first.Do(func() { time.Sleep(8 * time.Second) })
	return h.Conn.Read(b)
}

// A slow answer to CONNECT is no stall of this process.
func TestSlowAnswerToConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFixture(t, nil)
		w.cfg.Open = func(ctx context.Context) (net.Conn, error) {
			c, err := w.open(ctx)
			return &hesitant{Conn: c}, err
		}
		w.session, _ = session.New(w.cfg)
		stop := w.run()
		w.wait(8*time.Second + 500*time.Millisecond) // before the first beat of its pulse
		w.expectOnline(true)
		w.send("snom/kitchen/key", "P1", false)
		w.wait(time.Minute)
		w.expectOnline(true)
		if got := w.allHandled(); !slices.Equal(got, []string{"snom/kitchen/key=P1"}) {
			t.Errorf("handed over: %q, expected the command", got)
		}
		if dials, _, _ := w.counts(); dials != 1 {
			t.Errorf("%d connections, expected 1", dials)
		}
		stop()
		w.cutAll()
	})
}

func TestNotABroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFixture(t, nil)
		answers := []string{"HTTP/1.1 400 Bad Request\r\n\r\n", "\x20\x02\x00\x63", "\x20", "\x30\xff\xff\xff\xff\xff", ""}
		w.cfg.Open = func(context.Context) (net.Conn, error) {
			near, far := net.Pipe()
			answer := answers[0]
			answers = append(answers[1:], answer)
			go func() {
				_, _ = far.Read(make([]byte, 1000)) // CONNECT
				_, _ = far.Write([]byte(answer))    // the client may have enough
				far.Close()
			}()
			return near, nil
		}
		w.session, _ = session.New(w.cfg)
		stop := w.run()
		w.wait(time.Hour)
		if st := w.session.Status(); st.Connected || st.LastError == "" {
			t.Errorf("status is %+v, expected not connected and why", st)
		}
		stop()
	})
}

// A message that says offline is corrected, such as the will of a connection whose end the broker notices late.
func TestWrongStateIsCorrected(t *testing.T) {
	withFixture(t, nil, func(w *fixture) {
		w.wait(time.Second)
		for range 3 {
			w.send("snom/bridge/state", "offline", true)
			w.wait(time.Second)
			w.expectState("online")
		}
		if n := len(w.allPublished()); n > 20 {
			t.Errorf("%d messages, expected a few", n)
		}
	})
}

// A crash leaves the last will.
func TestCrashLeavesTheWill(t *testing.T) {
	withFixture(t, nil, func(w *fixture) {
		w.wait(time.Second)
		w.expectState("online")
		w.mu.Lock()
		w.down = true
		w.mu.Unlock()
		w.wire().cut()
		w.wait(100 * time.Millisecond)
		w.expectState("offline")
	})
}

func TestResubscribe(t *testing.T) {
	phones := []string{"kitchen"}
	withFixture(t, func(w *fixture) {
		tree, err := mqtt.NewTree("snom", "attic")
		if err != nil {
			t.Fatal(err)
		}
		w.cfg.Tree, w.handler.tree = tree, tree
		w.handler.subscriptions = func() []mqtt.Subscription { return tree.Subscriptions(phones) }
	}, func(w *fixture) {
		w.session.Resubscribe(w.t.Context()) // without a connection: nothing to do
		w.wait(time.Second)
		ask := func() {
			for _, phone := range []string{"kitchen", "hall"} {
				w.send("snom/"+phone+"/dial", "110", false)
			}
			w.wait(time.Second)
		}
		ask()
		phones = []string{"hall"}
		w.session.Resubscribe(w.t.Context())
		ask()
		if got, want := w.allHandled(), []string{"snom/kitchen/dial=110", "snom/hall/dial=110"}; !slices.Equal(got, want) {
			t.Errorf("handled %q, expected %q", got, want)
		}
		w.gate.set(func(g *gate) {
			g.acl = func(topic string, write bool) bool {
				return write || topic != "snom/cellar/#" && topic != "snom/cellar/+"
			}
		})
		phones = []string{"hall", "cellar"}
		w.session.Resubscribe(w.t.Context())
		if st := w.session.Status(); !strings.Contains(st.LastError, `"snom/cellar/+"`) {
			t.Errorf("LastError is %q, expected one about snom/cellar/+", st.LastError)
		}
		w.gate.set(func(g *gate) { g.acl = nil })
		w.wait(time.Minute)
		w.send("snom/cellar/dial", "112", false)
		w.wait(time.Second)
		if got, want := w.allHandled()[2:], []string{"snom/cellar/dial=112"}; !slices.Equal(got, want) {
			t.Errorf("handled %q, expected %q", got, want)
		}
		w.wait(10 * time.Second)
		if st := w.session.Status(); st.LastError != "" {
			t.Errorf("LastError is %q, expected none any more", st.LastError)
		}
		w.wire().swallow()
		phones = []string{"attic"}
		start := time.Now()
		w.session.Resubscribe(w.t.Context()) // gives up with the connection
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Millisecond)
		defer cancel()
		w.session.Resubscribe(ctx)
		if took := time.Since(start); took > 11*time.Second {
			t.Errorf("took %v, expected at most 11 s", took)
		}
	})
}

// Many phones on a shared base topic mean many filters; each packet with them stays small.
func TestManyFilters(t *testing.T) {
	withFixture(t, func(w *fixture) {
		tree, err := mqtt.NewTree("snom", "attic")
		if err != nil {
			t.Fatal(err)
		}
		var phones []string
		for i := range 1000 {
			phones = append(phones, fmt.Sprintf("phone%d", i))
		}
		w.cfg.Tree, w.handler.tree = tree, tree
		w.handler.subscriptions = func() []mqtt.Subscription { return tree.Subscriptions(phones) }
	}, func(w *fixture) {
		w.wait(time.Second)
		w.send("snom/phone999/dial", "110", false)
		w.wait(time.Second)
		if got, want := w.allHandled(), []string{"snom/phone999/dial=110"}; !slices.Equal(got, want) {
			t.Errorf("handled %q, expected %q", got, want)
		}
	})
}

// A huge message is cut before it is allocated, handed over so that it can be answered, and acknowledged.
func TestHugeMessage(t *testing.T) {
	withFixture(t, nil, func(w *fixture) {
		w.wait(time.Second)
		huge := strings.Repeat("x", 1<<20)
		for range 3 {
			w.send("snom/kitchen/dial", huge, true)
			w.send("snom/kitchen/dial", "110", false)
		}
		w.wait(time.Minute)
		got := w.allHandled()
		if len(got) != 6 {
			t.Fatalf("handled %d messages, expected 6", len(got))
		}
		for i, m := range got {
			if i%2 == 0 && (len(m) < 256<<10 || len(m) > 384<<10) || i%2 == 1 && m != "snom/kitchen/dial=110" {
				t.Errorf("message %d has %d bytes", i, len(m))
			}
		}
		w.wire().cut() // it is retained: it comes again
		w.wait(time.Minute)
		w.expectOnline(true)
	})
}
