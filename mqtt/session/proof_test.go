package session_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// TestProofIsRepeated: a broker that stops delivering while connected, because access rights were taken away, is noticed
// within a minute, whichever topics it still delivers.
func TestProofIsRepeated(t *testing.T) {
	tests := []struct {
		name string
		read func(topic string) bool // what may still be read
	}{
		{"nothing is delivered", func(string) bool { return false }},
		{"the topics of the bridge are delivered", func(topic string) bool { return strings.HasPrefix(topic, "snom/bridge/") }},
		{"what the bridge publishes is delivered", func(topic string) bool {
			return strings.HasPrefix(topic, "snom/bridge/") || strings.HasSuffix(topic, "/status") || strings.HasSuffix(topic, "/result")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			withFixture(t, nil, func(w *fixture) {
				w.wait(10 * time.Minute)
				w.expectOnline(true)
				w.gate.set(func(g *gate) { g.acl = func(topic string, write bool) bool { return write || tt.read(topic) } })
				for range 60 {
					w.wait(time.Second)
					w.publish("snom/kitchen/result=busy")
				}
				w.expectState("offline")
				st := w.session.Status()
				if _, _, offline := w.counts(); offline != 1 || st.Proven || !st.Connected || !strings.Contains(st.LastError, "must be allowed to") {
					t.Errorf("status is %+v, expected connected, not proven, and why; offline %d times, expected once", st, offline)
				}
				w.wait(time.Hour)
				w.expectState("offline")
				w.gate.set(func(g *gate) { g.acl = nil })
				w.wait(16 * time.Minute)
				w.expectOnline(true)
				w.send("snom/kitchen/dial", "110", false)
				w.wait(time.Second)
				if got := w.allHandled(); !slices.Contains(got, "snom/kitchen/dial=110") {
					t.Errorf("handled %q, expected the command", got)
				}
			})
		})
	}
}

// The right to the loopback topic among commands is optional: without it the other one is used.
func TestProofWithoutTheOptionalRight(t *testing.T) {
	tests := []struct {
		name string
		acl  func(topic string, write bool) bool
	}{
		{"must not be read", func(topic string, write bool) bool { return write || topic != "snom/all/loopback" }},
		{"must not be written: the broker closes the connection", func(topic string, write bool) bool { return !write || topic != "snom/all/loopback" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			withFixture(t, nil, func(w *fixture) {
				w.gate.set(func(g *gate) { g.acl = tt.acl })
				w.cutAll()
				w.wait(5 * time.Minute)
				before := w.session.Status().Reconnects
				w.wait(24 * time.Hour)
				w.expectOnline(true)
				if st := w.session.Status(); st.Reconnects != before || before > 6 {
					t.Errorf("%d reconnects in five minutes and %d in the day after, expected a few and none", before, st.Reconnects-before)
				}
				w.gate.set(func(g *gate) { g.acl = func(_ string, write bool) bool { return write } })
				w.wait(time.Minute)
				w.expectState("offline")
			})
		})
	}
}

// The repeated proof costs next to nothing.
func TestProofIsCheap(t *testing.T) {
	withFixture(t, nil, func(w *fixture) {
		w.wait(time.Minute)
		before := len(w.allPublished())
		w.wait(time.Hour)
		if n := len(w.allPublished()) - before; n < 60 || n > 125 {
			t.Errorf("%d messages in an hour of silence, expected one or two a minute", n)
		}
		if dials, online, offline := w.counts(); dials != 1 || online != 1 || offline != 0 {
			t.Errorf("%d connections, %d times online, %d times offline, expected 1, 1 and 0", dials, online, offline)
		}
	})
}

// Commands that are delivered prove that commands are delivered: a broker whose queue is full of them for the session
// may drop the loopback message.
func TestDeliveredCommandsAreProof(t *testing.T) {
	withFixture(t, nil, func(w *fixture) {
		w.wait(time.Minute)
		w.gate.set(func(g *gate) {
			g.acl = func(topic string, write bool) bool { return write || !strings.HasSuffix(topic, "/loopback") }
		})
		for i := range 600 {
			w.send("snom/kitchen/dial", fmt.Sprint(i), false)
			w.wait(time.Second)
		}
		w.expectOnline(true)
	})
}

// What others say on the state topic is corrected, at most once a second. A session that announces offline leaves the topic to
// the process that says online: two of them would contradict each other for ever.
func TestAnnounce(t *testing.T) {
	withFixture(t, nil, func(w *fixture) {
		w.wait(time.Second)
		w.session.Announce(true) // no change
		w.session.Announce(false)
		w.wait(time.Second)
		w.expectState("offline")
		w.send("snom/bridge/state", "online", true) // another process
		w.wait(2 * time.Second)
		w.expectState("online")
		if st := w.session.Status(); !st.Proven {
			t.Errorf("status is %+v, expected proven", st)
		}
		w.wire().cut()
		w.wait(time.Minute)
		w.expectState("offline")
		w.session.Announce(true)
		w.wait(time.Second)
		w.expectOnline(true)
		before := len(w.allPublished())
		for range 1000 {
			w.send("snom/bridge/state", "offline", true)
			w.wait(10 * time.Millisecond)
		}
		w.wait(2 * time.Second)
		w.expectState("online")
		if n := len(w.allPublished()) - before - 1000; n > 20 {
			t.Errorf("%d corrections in 10 s, expected one a second", n)
		}
	})
}

// A client id that is not configured is random, and never used again once a broker has closed its connection.
func TestMadeClientIDIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFixture(t, func(w *fixture) { w.cfg.ClientID = "" })
		stop := w.run()
		w.wait(time.Second)
		seen := map[string]bool{}
		id := func() string {
			for id := range w.server.Clients.GetAll() {
				if id != "inline" {
					return id
				}
			}
			return ""
		}
		for range 10 {
			now := id()
			if !strings.HasPrefix(now, "snom2mqtt-") || len(now) < len("snom2mqtt-")+16 || seen[now] {
				t.Fatalf("client id %q, expected a new one; before: %v", now, seen)
			}
			seen[now] = true
			for _, m := range w.allPublished() {
				if strings.Contains(m, now) || strings.Contains(m, strings.TrimPrefix(now, "snom2mqtt-")) {
					t.Errorf("the client id was published: %q", m)
				}
			}
			if strings.Contains(w.log.String(), now) {
				t.Error("the client id is in the log")
			}
			if cl, ok := w.server.Clients.Get(now); ok {
				cl.Net.Conn.Close() // as when another client connects with the same id
			}
			w.wait(2 * time.Second)
			w.expectOnline(true)
		}
		if st := w.session.Status(); st.TakenOver {
			t.Error("the session is taken for one that another client contests")
		}
		stop()
		w.cutAll()
	})
}

// A session that is suspended drops the connection at once: what the broker has queued is too old.
func TestSuspended(t *testing.T) {
	withFixture(t, func(w *fixture) { w.down = true }, func(w *fixture) {
		w.wait(time.Second)
		w.session.Suspended() // without a connection: nothing to do
		w.setDown(false)
		w.wait(time.Minute)
		w.session.Suspended()
		w.send("snom/kitchen/dial", "110", false)
		w.wait(time.Minute)
		if got := w.allHandled(); len(got) != 0 {
			t.Errorf("handled %q, expected nothing: it was queued before", got)
		}
		w.expectOnline(true)
		if st := w.session.Status(); st.Reconnects != 1 {
			t.Errorf("%d reconnects, expected 1", st.Reconnects)
		}
	})
}

// Events that waited for the broker for too long are not published, and that is logged at once; results are published.
func TestEventsExpireWhileTheBrokerIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFixture(t, nil)
		w.setDown(true)
		stop := w.run()
		event := func(n int) {
			w.session.Publish(mqtt.Message{
				Topic: "snom/kitchen/event", Payload: fmt.Append(nil, n), Expires: time.Now().Add(10 * time.Second),
			})
		}
		event(1)
		w.publish("snom/kitchen/result=1")
		w.wait(30 * time.Second)
		event(2) // the first one has expired: logged now
		synctest.Wait()
		if !strings.Contains(w.log.String(), `msg="messages dropped: too old to be published"`) {
			t.Errorf("the log does not say that an event was dropped:\n%s", w.log)
		}
		w.setDown(false)
		w.wait(9 * time.Second)
		event(3)
		w.wait(10 * time.Second)
		got := slices.DeleteFunc(w.allPublished(), func(m string) bool { return !strings.HasPrefix(m, "snom/kitchen/") })
		if !slices.Contains(got, "snom/kitchen/result=1") || slices.Contains(got, "snom/kitchen/event=1") || !slices.Contains(got, "snom/kitchen/event=3") {
			t.Errorf("published %q, expected the result and the last event, and not the first one", got)
		}
		stop()
		w.cutAll()
	})
}
