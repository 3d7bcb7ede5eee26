package bridge_test

import (
	"cmp"
	"context"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// A placedConn is a connection to a phone at an address.
type placedConn struct {
	net.Conn
	at net.TCPAddr
}

func (c placedConn) RemoteAddr() net.Addr { return &c.at }

// placed returns a dialer whose connections are to the address that at says.
func placed(dial func(context.Context, string, string) (net.Conn, error), at *atomic.Pointer[net.TCPAddr]) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return placedConn{conn, *at.Load()}, nil
	}
}

// spelled is a roster's entry of the phone that dial reaches.
func spelled(t *testing.T, name, url, password string, dial func(context.Context, string, string) (net.Conn, error)) bridge.PhoneConfig {
	t.Helper()
	c := snom.ClientConfig{URL: url, Dial: dial}
	if password != "" {
		c.Username, c.Password = "admin", password
	}
	client, err := snom.NewClient(c)
	if err != nil {
		t.Fatal(err)
	}
	return bridge.PhoneConfig{Name: name, URL: url, Phone: client, Fingerprint: url + password, Login: password}
}

func tcpAddr(t *testing.T, at string) *net.TCPAddr {
	t.Helper()
	a, err := net.ResolveTCPAddr("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestOnePhoneUnderTwoNames: two names whose addresses are spelled differently and are one device share its turn: one
// request at a time, the pause after a key, ids. Two devices that report one MAC address do not.
func TestOnePhoneUnderTwoNames(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, first, second string
		firstAt, secondAt   string // where they answer
		firstMAC, secondMAC string
		one, later          bool // they are one device; the second is added by a reload
	}{
		{name: "an address and a name", first: "http://127.0.0.1:8080", second: "http://localhost:8080", one: true},
		{name: "a name and an address", first: "http://localhost:8080", second: "http://127.0.0.1:8080", one: true},
		{name: "two names", first: "http://desk.lan", second: "http://desk.lan.", firstAt: "192.0.2.9:80", secondAt: "192.0.2.9:80", one: true},
		{name: "added later", first: "http://127.0.0.1:8080", second: "http://localhost:8080", one: true, later: true},
		{name: "http and https", first: "http://192.0.2.9", second: "http://desk.lan", firstAt: "192.0.2.9:80", secondAt: "192.0.2.9:443", one: true},
		{name: "an IPv4 address in IPv6", first: "http://192.0.2.9", second: "http://desk.lan", firstAt: "192.0.2.9:80", secondAt: "[::ffff:192.0.2.9]:80", one: true},
		{name: "one MAC address at two ports", first: "http://127.0.0.1:8080", second: "http://localhost:8081", secondAt: "127.0.0.1:8081"},
		{name: "one MAC address at two hosts", first: "http://127.0.0.1:8080", second: "http://localhost:8080", secondAt: "127.0.0.2:8080"},
		{name: "two MAC addresses behind a proxy", first: "http://a.lan:8080", second: "http://b.lan:8080", secondMAC: "000413000002"},
	}
	for _, tt := range tests {
		phone := testPhone{phone: snomtest.Config{Name: "desk", Model: "D735", Latency: time.Second, MAC: "000413000001"}}
		other := testPhone{phone: snomtest.Config{Name: "other", Model: "D735", Latency: time.Second, MAC: "000413000001"}}
		if tt.secondMAC != "" {
			other.phone.MAC = tt.secondMAC
		}
		inHarness(t, bridge.Config{}, []testPhone{phone, other}, func(h *harness) {
			var count connections
			var at [2]atomic.Pointer[net.TCPAddr]
			at[0].Store(tcpAddr(t, cmp.Or(tt.firstAt, "127.0.0.1:8080")))
			at[1].Store(at[0].Load())
			if tt.secondAt != "" {
				at[1].Store(tcpAddr(t, tt.secondAt))
			}
			device := "desk"
			if !tt.one {
				device = "other"
			}
			first := spelled(h.t, "desk", tt.first, "", placed(count.dialer(h.dials["desk"]), &at[0]))
			second := spelled(h.t, "hall", tt.second, "", placed(count.dialer(h.dials[device]), &at[1]))
			apply := func(phones ...bridge.PhoneConfig) {
				h.roster.Phones = phones
				if err := h.reload(h.t.Context()); err != nil {
					h.t.Fatal(err)
				}
				time.Sleep(30 * time.Second)
			}
			if tt.later {
				apply(first)
			}
			apply(first, second)
			h.results()
			count.most.Store(0)
			h.say("snom/desk/key", `{"keys":"P1,3000","id":"C"}`)
			h.say("snom/hall/key", `{"keys":"P2","id":"C"}`)
			h.say("snom/hall/key", `{"keys":"P3","id":"D"}`)
			time.Sleep(time.Minute)
			results := h.results()
			synctest.Wait()
			most := count.most.Load()
			duplicates := 0
			for _, r := range results {
				if r.Code == bridge.Duplicate {
					duplicates++
				}
			}
			if tt.one && (most != 1 || duplicates != 1) || !tt.one && (most != 2 || duplicates != 0) {
				h.t.Errorf("%s: %d requests at once, results %+v", tt.name, most, results)
			}
			pressed := map[string]time.Time{}
			for _, r := range h.phones[device].Requests() {
				if r.Executed {
					key, _, _ := strings.Cut(r.Keys[0], ",")
					pressed[key] = r.Time
				}
			}
			if tt.one && (pressed["P3"].Sub(pressed["P1"]) < 3*time.Second || !pressed["P2"].IsZero()) {
				h.t.Errorf("%s: pressed %v", tt.name, pressed)
			}
		})
	}
}

// TestAWrongPasswordUnderTwoNames: two names of one phone with different passwords: the wrong one costs one login.
func TestAWrongPasswordUnderTwoNames(t *testing.T) {
	t.Parallel()
	for _, second := range []string{"http://127.0.0.1:8080", "http://localhost:8080"} {
		phone := testPhone{phone: snomtest.Config{Name: "desk", Model: "D735", Auth: snomtest.AuthDigest, Username: "admin", Password: "right"}}
		inHarness(t, bridge.Config{}, []testPhone{phone}, func(h *harness) {
			var at atomic.Pointer[net.TCPAddr]
			at.Store(tcpAddr(t, "127.0.0.1:8080"))
			dial := placed(h.dials["desk"], &at)
			h.roster.Phones = []bridge.PhoneConfig{spelled(h.t, "desk", "http://127.0.0.1:8080", "right", dial), spelled(h.t, "hall", second, "wrong", dial)}
			if err := h.reload(h.t.Context()); err != nil {
				h.t.Fatal(err)
			}
			time.Sleep(time.Minute)
			h.results()
			for i := range 10 {
				h.say("snom/desk/key", "P1")
				h.say("snom/hall/key", "P2")
				time.Sleep(time.Minute)
				got := map[string]bridge.Code{}
				for _, r := range h.results() {
					got[r.Phone] = r.Code
				}
				if got["desk"] != bridge.OK || i == 0 && got["hall"] != bridge.Unauthorized || i > 0 && got["hall"] != bridge.LockedOut {
					h.t.Fatalf("%s, round %d: %v", second, i, got)
				}
			}
			if n := h.phones["desk"].FailedLogins(); n != 1 {
				h.t.Errorf("%s: %d failed logins, expected 1", second, n)
			}
		})
	}
}

// TestANameThatLeadsToAnotherPhone: a name that leads to another device than before has a turn of its own again.
func TestANameThatLeadsToAnotherPhone(t *testing.T) {
	t.Parallel()
	phone := testPhone{phone: snomtest.Config{Name: "desk", Model: "D735", Latency: time.Second, MAC: "000413000001"}}
	other := testPhone{phone: snomtest.Config{Name: "other", Model: "D735", Latency: time.Second, MAC: "000413000002"}}
	inHarness(t, bridge.Config{}, []testPhone{phone, other}, func(h *harness) {
		var count connections
		var at [2]atomic.Pointer[net.TCPAddr]
		at[0].Store(tcpAddr(t, "127.0.0.1:8080"))
		at[1].Store(at[0].Load())
		var moved, away atomic.Bool
		dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
			if away.Load() {
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
			}
			if moved.Load() {
				return h.dials["other"](ctx, network, addr)
			}
			return h.dials["desk"](ctx, network, addr)
		}
		h.roster.Phones = []bridge.PhoneConfig{
			spelled(h.t, "desk", "http://127.0.0.1:8080", "", placed(count.dialer(h.dials["desk"]), &at[0])),
			spelled(h.t, "hall", "http://phone.lan:8080", "", placed(count.dialer(dial), &at[1])),
		}
		if err := h.reload(h.t.Context()); err != nil {
			h.t.Fatal(err)
		}
		together := func() int32 {
			time.Sleep(5 * time.Minute)
			h.results()
			count.most.Store(0)
			h.say("snom/desk/key", "P1")
			h.say("snom/hall/key", "P1")
			time.Sleep(time.Minute)
			for _, r := range h.results() {
				if r.Code != bridge.OK {
					h.t.Errorf("%+v", r)
				}
			}
			return count.most.Load()
		}
		if n := together(); n != 1 {
			h.t.Errorf("one device: %d requests at once, expected 1", n)
		}
		away.Store(true)
		time.Sleep(5 * time.Minute)
		moved.Store(true)
		at[1].Store(tcpAddr(t, "127.0.0.2:8080"))
		away.Store(false)
		if n := together(); n != 2 {
			h.t.Errorf("two devices: %d requests at once, expected 2", n)
		}
	})
}
