package bridge_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// connections counts the connections to a phone that are open, and the most that were at once.
type connections struct{ open, most atomic.Int32 }

func (c *connections) dialer(dial func(context.Context, string, string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		n := c.open.Add(1)
		for most := c.most.Load(); n > most && !c.most.CompareAndSwap(most, n); most = c.most.Load() {
		}
		return &countedConn{Conn: conn, closed: sync.OnceFunc(func() { c.open.Add(-1) })}, nil
	}
}

type countedConn struct {
	net.Conn
	closed func()
}

func (c *countedConn) Close() error {
	c.closed()
	return c.Conn.Close()
}

// A phone that is configured at another spelling of its address, with another name or with the same, at once or after it
// was removed, is the same phone from its first command on: one request at a time, the pause after a key, ids.
func TestAPhoneAtAnotherSpellingOfItsAddress(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"desk", "hall"} {
		for _, between := range []bool{false, true} { // a reload without the phone
			r := testPhone{phone: snomtest.Config{Name: "desk", Model: "D735", Latency: time.Second}}
			inHarness(t, bridge.Config{}, []testPhone{r}, func(h *harness) {
				var count connections
				entry := func(name, url string) bridge.PhoneConfig {
					client, err := snom.NewClient(snom.ClientConfig{URL: url, Dial: count.dialer(h.dials["desk"])})
					if err != nil {
						h.t.Fatal(err)
					}
					return bridge.PhoneConfig{Name: name, URL: url, Phone: client, Fingerprint: url}
				}
				apply := func(phones ...bridge.PhoneConfig) {
					h.roster.Phones = phones
					if err := h.reload(h.t.Context()); err != nil {
						h.t.Fatal(err)
					}
				}
				apply(entry("desk", "http://127.0.0.1:8080"))
				time.Sleep(3 * time.Minute) // it is asked what it is
				h.results()
				h.say("snom/desk/key", `{"keys":"P1,3000","id":"C"}`)
				time.Sleep(300 * time.Millisecond)
				if between {
					apply()
				}
				apply(entry(name, "http://localhost:8080"))
				h.say("snom/"+name+"/key", `{"keys":"P1,3000","id":"C"}`)
				h.say("snom/"+name+"/key", `{"keys":"P2","id":"D"}`)
				time.Sleep(time.Minute)
				got := codes(h.results())
				if got["C"] != bridge.Duplicate || got["D"] != bridge.OK {
					h.t.Errorf("name %s, removed %v: results %v, expected C duplicate and D ok", name, between, got)
				}
				if n := count.most.Load(); n != 1 {
					h.t.Errorf("name %s, removed %v: %d requests at once, expected 1", name, between, n)
				}
				pressed := map[string][]time.Time{}
				for _, r := range h.phones["desk"].Requests() {
					if r.Executed {
						key, _, _ := strings.Cut(r.Keys[0], ",")
						pressed[key] = append(pressed[key], r.Time)
					}
				}
				if len(pressed["P1"]) != 1 || len(pressed["P2"]) != 1 {
					h.t.Fatalf("name %s, removed %v: pressed %v, expected each key once", name, between, pressed)
				}
				if pause := pressed["P2"][0].Sub(pressed["P1"][0]); pause < 3*time.Second {
					h.t.Errorf("name %s, removed %v: %v after a key that is held for 3 s", name, between, pause)
				}
			})
		}
	}
}

// A phone that is new while another one that was removed has a request under way is not kept waiting for long, and what
// is known of the other one says nothing of it.
func TestANewPhoneBesideOneThatLeft(t *testing.T) {
	t.Parallel()
	slow := testPhone{phone: snomtest.Config{Name: "desk", Model: "D735", Latency: 2 * time.Second, MAC: "000413000001"}}
	other := testPhone{phone: snomtest.Config{Name: "hall", Model: "D735", MAC: "000413000002"}}
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, bridge.Config{}, []testPhone{slow}, nil)
		time.Sleep(time.Minute)
		h.results()
		h.say("snom/desk/key", `{"keys":"P1,20000","id":"C"}`)
		time.Sleep(100 * time.Millisecond)
		h.roster.Phones = []bridge.PhoneConfig{h.addPhone(other)}
		if err := h.reload(h.t.Context()); err != nil {
			h.t.Fatal(err)
		}
		h.say("snom/hall/key", `{"keys":"P2","expires_in":1,"id":"soon"}`)
		h.say("snom/hall/key", `{"keys":"P2","id":"C"}`)
		time.Sleep(5 * time.Second)
		for _, r := range h.results() {
			expected := bridge.OK
			if r.ID == "soon" {
				expected = bridge.Expired
			}
			if r.Code != expected {
				h.t.Errorf("%+v, expected %s", r, expected)
			}
		}
	})
}
