package bridge_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// A notebook is an Observer that records its calls.
type notebook struct {
	mu    sync.Mutex
	lines []string
}

func (n *notebook) note(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, fmt.Sprintf(format, args...))
}

func (n *notebook) Result(r bridge.Result)  { n.note("%s %s %s", r.Phone, r.Command, r.Code) }
func (n *notebook) Event(e actionurl.Event) { n.note("%s %s", e.Phone, e.Type) }
func (n *notebook) Sent(v snom.Verb, waited, took time.Duration) {
	n.note("%s waited %v, took %v", v, waited, took)
}

// TestObserved: every result is observed once, with no foreign text in it; and for what a phone
// was asked for, how long it took.
func TestObserved(t *testing.T) {
	t.Parallel()
	var n notebook
	testPhones := one()
	testPhones[0].phone.Latency = 20 * time.Millisecond
	inHarness(t, bridge.Config{Observe: &n, Gap: time.Second}, testPhones, func(h *harness) {
		h.result("snom/desk/key", "P1", time.Second)
		h.result("snom/desk/key", `{"id":"1","keys":"P1"}`, time.Second)
		h.result("snom/desk/key", `{"id":"1","keys":"P1"}`, time.Second)
		h.result("snom/desk/fly", "to the moon", time.Second)
		h.result("snom/nobody/key", "P1", time.Second)
		h.result("snom/Küche/key", "P1", time.Second)
		h.say("snom/all/key", "P2")
		h.say("snom/all/key", "P3")
		time.Sleep(3 * time.Second)
		h.results()
		h.bridge.Event("desk", actionurl.Event{Type: actionurl.EventIncoming})
		h.bridge.Event("nobody", actionurl.Event{Type: actionurl.EventIncoming})
		h.phones["desk"].SetPassword("another")
		h.result("snom/desk/key", "P1", time.Second)
		h.result("snom/desk/key", "P1", time.Second)
	})
	want := []string{
		"key waited 0s, took 40ms", "desk key ok", // the first one fetches a challenge
		"key waited 40ms, took 20ms", "desk key ok",
		"desk key duplicate",
		"desk fly invalid",
		"  unknown_phone",
		"  unknown_phone",
		"key waited 0s, took 20ms", "desk key ok",
		"key waited 1.02s, took 20ms", "desk key ok",
		"desk incoming",
		"key waited 0s, took 40ms", "desk key unauthorized",
		"desk key locked_out", // without the phone
	}
	if !slices.Equal(n.lines, want) {
		t.Errorf("observed\n%s\nwant\n%s", strings.Join(n.lines, "\n"), strings.Join(want, "\n"))
	}
}

// TestLoads: what waits for a phone, whether it is there, and whether it is locked out.
func TestLoads(t *testing.T) {
	t.Parallel()
	testPhones := append(one(), testPhone{phone: snomtest.Config{Name: "hall", Model: "D735"}})
	inHarness(t, bridge.Config{Gap: time.Second}, testPhones, func(h *harness) {
		check := func(want ...bridge.Load) {
			t.Helper()
			synctest.Wait()
			if got := slices.Collect(h.bridge.Loads()); !slices.Equal(got, want) {
				t.Errorf("loads %+v, expected %+v", got, want)
			}
		}
		there := bridge.Load{Phone: "hall", Reachable: bridge.SwitchOn}
		check(bridge.Load{Phone: "desk", Reachable: bridge.SwitchOn}, there)
		time.Sleep(time.Second)
		for range 4 {
			h.say("snom/desk/key", "P1")
		}
		check(bridge.Load{Phone: "desk", Reachable: bridge.SwitchOn, Waiting: 3}, there)
		h.phones["desk"].SetPassword("another")
		time.Sleep(time.Minute)
		check(bridge.Load{Phone: "desk", Reachable: bridge.SwitchOn, LockedOut: true}, there)
		for l := range h.bridge.Loads() {
			if l.Phone != "desk" {
				t.Errorf("first is %s, expected desk", l.Phone)
			}
			break
		}
	})
}

// A stuckPhone takes a request and does not come back from it, whatever the context says.
type stuckPhone struct{ release chan struct{} }

func (stuckPhone) Plan(c snom.Command, m snom.Model) ([]snom.Step, string, error) {
	warning, err := m.Check(c)
	return c.Steps(m.Dialect()), warning, err
}

func (p stuckPhone) Send(context.Context, snom.Step) (snom.Reply, error) {
	<-p.release
	return snom.Reply{}, nil
}
func (p stuckPhone) Ping(context.Context) error { return nil }
func (p stuckPhone) Probe(context.Context) (snom.Info, error) {
	return snom.Info{Model: "D735", MAC: "000413000000"}, nil
}

// TestAlive: work that takes its time is no reason to doubt; a worker that never comes back is.
func TestAlive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stuck := stuckPhone{make(chan struct{})}
		testPhones := append(one(), testPhone{phone: snomtest.Config{Name: "hall"}, set: func(p *bridge.PhoneConfig) { p.Phone = stuck }})
		h := newHarness(t, bridge.Config{}, testPhones, nil)
		alive := func(d time.Duration) {
			t.Helper()
			for range int(d / time.Minute) {
				time.Sleep(time.Minute)
				if err := h.bridge.Alive(); err != nil {
					t.Fatalf("Alive = %v, expected nil", err)
				}
			}
		}
		alive(time.Hour)
		for range 10 { // each is played for four minutes
			h.say("snom/desk/key", `{"keys":"P1,60000,60000;P1,60000,60000","expires_in":86400}`)
		}
		h.say("snom/desk/ring", `{"ringer":1,"count":20,"pause_ms":60000,"expires_in":86400}`)
		alive(70 * time.Minute)

		h.say("snom/hall/key", "P1")
		alive(10 * time.Minute)
		time.Sleep(time.Minute)
		if err := h.bridge.Alive(); err == nil || !strings.Contains(err.Error(), "hall") || strings.Contains(err.Error(), "desk") {
			t.Errorf("Alive = %v, expected that hall stands still", err)
		}
		close(stuck.release)
		alive(time.Minute)
		h.stop()
	})
}

// A stuckPublisher does not come back from messages on one topic.
type stuckPublisher struct {
	topic   string
	release chan struct{}
}

func (p stuckPublisher) Publish(m mqtt.Message) bool {
	if m.Topic == p.topic {
		<-p.release
	}
	return true
}

// TestAliveWatchesMessages: a message that is taken for ever, and a request to the bridge that is
// answered for ever.
func TestAliveWatchesMessages(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		topic, stuckAt, says string
		after                time.Duration
	}{
		{"snom/nobody/key", "snom/bridge/result", "a message", 10 * time.Second},
		{"snom/bridge/request/ping", "snom/bridge/response/ping", "a request", 10 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := stuckPublisher{tt.stuckAt, make(chan struct{})}
			h := newHarness(t, bridge.Config{Publish: p}, one(), nil)
			said := make(chan struct{})
			go func() {
				defer close(said)
				h.say(tt.topic, "")
			}()
			time.Sleep(tt.after - time.Second)
			if err := h.bridge.Alive(); err != nil {
				t.Errorf("%s: Alive = %v, expected nil", tt.topic, err)
			}
			time.Sleep(2 * time.Second)
			if err := h.bridge.Alive(); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: Alive = %v, expected a fault of %s", tt.topic, err, tt.says)
			}
			close(p.release)
			<-said
			synctest.Wait()
			if err := h.bridge.Alive(); err != nil {
				t.Errorf("%s: Alive at the end = %v, expected nil", tt.topic, err)
			}
			h.stop()
		})
	}
}
