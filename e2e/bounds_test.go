package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// moreMemory is how much more memory an attack may take than a bridge that is left in peace.
const moreMemory = 64 << 20

// crowd opens n connections to an address, sends something on each, and holds them until the test ends.
func crowd(t *testing.T, addr string, n int, word string) {
	t.Helper()
	for i := range n {
		c, err := (&net.Dialer{Timeout: timeLimit}).Dial("tcp", addr)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		t.Cleanup(func() { c.Close() })
		_, _ = io.WriteString(c, word) // it may have been closed
	}
}

// limited starts the bridge of a rig with at most so many descriptors.
func limited(t *testing.T, r *rig, descriptors int) {
	t.Helper()
	r.bridge = start(t, "snom2mqtt", r.env, tool(t, "prlimit"), fmt.Sprintf("--nofile=%d:%d", descriptors, descriptors), r.path)
	r.online()
}

// TestFaultConnectionsToTheListeners has strangers hold more connections to the console and to the action server than the
// bridge has descriptors. Commands are carried out, the phone stays online, and the broker is reached again after a loss.
func TestFaultConnectionsToTheListeners(t *testing.T) {
	t.Parallel()
	const token = "canary-of-the-token-77aa"
	for name, word := range map[string]string{
		"one request": "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", "silent": "", "half a request": "GET /a/desk0/", "wrong token": "GET /a/desk0/x/incoming HTTP/1.1\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := freePort(t)
			r := newRig(t, plan{later: true, env: []string{
				fmt.Sprintf("SNOM2MQTT_PHONE_LISTEN=127.0.0.1:%d", at), "SNOM2MQTT_PHONE_0_TOKEN=" + token, "SNOM2MQTT_AVAILABILITY_INTERVAL=5s",
			}})
			limited(t, r, 1024)
			before := memory(t, r.bridge)
			for _, addr := range []string{strings.TrimPrefix(console(r.bridge), "http://"), fmt.Sprintf("127.0.0.1:%d", at)} {
				crowd(t, addr, 1100, word)
				for range 20 {
					if code := r.results(r.send(0, 1)...)[0]; code != "ok" {
						t.Fatalf("a command with 1,100 connections at %s: %s", addr, code)
					}
				}
				if status, body := get(t, console(r.bridge)+"/healthz", ""); status != 200 {
					t.Errorf("GET /healthz = %d %s", status, body)
				}
				if open := handles(t, r.bridge); open > 600 {
					t.Errorf("%d descriptors are in use, expected at most half of 1,024 and some", open)
				}
			}
			r.outage()
			if code := r.results(r.send(0, 1)...)[0]; code != "ok" {
				t.Errorf("a command after the broker was away: %s", code)
			}
			if said := retained(t, r.broker.addr(), "snom/desk0/availability", r.login); said != "online" {
				t.Errorf("the phone is said to be %s", said)
			}
			if more := memory(t, r.bridge) - before; more > moreMemory {
				t.Errorf("%d MiB more memory", more>>20)
			}
		})
	}
}

// TestFaultManyConnections: fifteen thousand connections take a bounded amount of memory.
func TestFaultManyConnections(t *testing.T) {
	t.Parallel()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < 20_000 {
		t.Skipf("skipped: this test needs 15,000 descriptors and has %d", limit.Cur)
	}
	r := newRig(t, plan{})
	before := memory(t, r.bridge)
	crowd(t, strings.TrimPrefix(console(r.bridge), "http://"), rounds(3000, 15_000), "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ")
	if more := memory(t, r.bridge) - before; more > moreMemory {
		t.Errorf("%d MiB more memory", more>>20)
	}
	r.files = 0
	if code := r.results(r.send(0, 1)...)[0]; code != "ok" {
		t.Errorf("a command: %s", code)
	}
}

// TestFaultHealthChecksWhileConnectionsAreHeld: with five thousand connections at the console, from one address, a health check of
// the same address and one of another are answered soon. On a quiet machine that is a fifth of a second. The kernel keeps four
// thousand of them; if each had a turn of its own as long as a new connection has to say something, that would be 13 s.
func TestFaultHealthChecksWhileConnectionsAreHeld(t *testing.T) {
	t.Parallel()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < 12_000 {
		t.Skipf("skipped: this test needs 10,000 descriptors and has %d", limit.Cur)
	}
	for name, word := range map[string]string{"silent": "", "half a request": "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: "} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, plan{})
			addr := strings.TrimPrefix(console(r.bridge), "http://")
			crowd(t, addr, 5000, word)
			for _, from := range []string{"127.0.0.1", "127.0.0.77"} {
				began := time.Now()
				c, err := (&net.Dialer{Timeout: timeLimit, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).Dial("tcp", addr)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(timeLimit))
				if _, err := io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
				answer, err := io.ReadAll(c)
				if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200 ") {
					t.Errorf("GET /healthz from %s: %.200s, %v", from, answer, err)
				}
				took := time.Since(began)
				t.Logf("a health check from %s took %v", from, took)
				if took > 8*time.Second {
					t.Errorf("a health check from %s took %v", from, took)
				}
			}
			if code := r.results(r.send(0, 1)...)[0]; code != "ok" {
				t.Errorf("a command: %s", code)
			}
		})
	}
}

// TestFaultConnectionsToTheBroker: connections to the embedded broker that do not log in, whatever they send or claim,
// keep neither the bridge nor clients with the right password out, and take a bounded amount of memory.
func TestFaultConnectionsToTheBroker(t *testing.T) {
	t.Parallel()
	phones := startPhones(t, 1, "--auth", "digest", "--username", "admin", "--password", phonePassword)
	for name, word := range map[string]string{
		"silent": "", "262,000 bytes": "\x10\xf0\xfe\x0f" + strings.Repeat("x", 60_000), "claims": "\x10\xf0\xfe\x0f",
		"wrong passwords": string(packet{kind: connect, body: append(append(text("MQTT"), 4, 0xc2, 0, 60), slices.Concat(text("c"), text("u"), text("guess"))...)}.encode()),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := fmt.Sprintf("127.0.0.1:%d", freePort(t))
			env := append(phoneEnv(0, "kitchen", phones.urls[0], "USERNAME=admin", "PASSWORD="+phonePassword),
				"SNOM2MQTT_CONSOLE_LISTEN=off", "SNOM2MQTT_BROKER_LISTEN="+at, "SNOM2MQTT_MQTT_USERNAME=bridge", "SNOM2MQTT_MQTT_PASSWORD="+brokerPassword)
			b := start(t, "snom2mqtt", env, program(t))
			right := login{user: "bridge", password: brokerPassword}
			eventually(t, "the bridge is online", func() bool { return retained(t, at, "snom/bridge/state", right) == "online" })
			before := memory(t, b)
			crowd(t, at, 1024, word)
			for i := range 20 {
				if name == "wrong passwords" {
					eventually(t, "the right password gets in", func() bool { return retained(t, at, "snom/bridge/state", right) == "online" })
					break
				}
				right.id = fmt.Sprint("c", i)
				c, err := dialMQTT(t.Context(), at, right)
				if err != nil { // on a busy machine it may be silent for as long as the others
					c, err = dialMQTT(t.Context(), at, right)
				}
				if err != nil {
					t.Fatalf("client %d: %v", i, err)
				}
				c.conn.Close()
			}
			if more := memory(t, b) - before; more > moreMemory {
				t.Errorf("%d MiB more memory", more>>20)
			}
		})
	}
}

// TestFaultClientsOfTheBroker: what clients of the embedded broker make it keep is bounded.
func TestFaultClientsOfTheBroker(t *testing.T) {
	t.Parallel()
	phones := startPhones(t, 1)
	at := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	b := start(t, "snom2mqtt", append(phoneEnv(0, "kitchen", phones.urls[0]), "SNOM2MQTT_CONSOLE_LISTEN=off", "SNOM2MQTT_BROKER_LISTEN="+at), program(t))
	eventually(t, "the bridge is online", func() bool { return retained(t, at, "snom/bridge/state", login{}) == "online" })
	before := memory(t, b)
	dial := func(id string) *client {
		c, err := dialMQTT(t.Context(), at, login{id: id})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.conn.Close() })
		return c
	}
	for i := range 20 { // subscribe, and read no more
		if err := dial(fmt.Sprint("deaf", i)).subscribe("flood/#"); err != nil {
			t.Fatal(err)
		}
	}
	loud := dial("loud")
	payload := []byte(strings.Repeat("x", 200<<10))
	for i := range rounds(500, 2000) {
		if err := loud.write(publishPacket(uint16(i%65535+1), fmt.Sprint("flood/", i), payload, true)); err != nil {
			t.Fatal(err)
		}
		if p, err := loud.read(); err != nil || p.kind != puback {
			t.Fatalf("packet %d, %v: expected PUBACK", p.kind, err)
		}
	}
	if more := memory(t, b) - before; more > moreMemory {
		t.Errorf("%d MiB more memory", more>>20)
	}
	if state := retained(t, at, "snom/bridge/state", login{}); state != "online" {
		t.Errorf("the bridge is %s", state)
	}
}

// TestFaultLogIsNotRead: a standard error that nothing reads holds nothing up: commands are carried out, and the bridge
// ends well.
func TestFaultLogIsNotRead(t *testing.T) {
	t.Parallel()
	r := newRig(t, plan{later: true, env: []string{"SNOM2MQTT_LOG_LEVEL=debug"}})
	unread, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer unread.Close()
	r.bridge = startWith(t, "snom2mqtt", r.env, w, r.path)
	w.Close()
	r.online()
	for range rounds(60, 600) {
		for _, code := range r.results(r.send(0, 20)...) {
			if code != "ok" {
				t.Fatalf("a command: %s", code)
			}
		}
	}
	began := time.Now()
	if code := r.bridge.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("the end took %v", took)
	}
}

// TestFaultSlowEnd: within eight seconds the bridge ends, with every command answered that was taken, whatever does not
// answer: phones, the broker, clients of its own listeners.
func TestFaultSlowEnd(t *testing.T) { // not beside others: its time limit is half a second above the sum of those of the program
	for _, tt := range []struct {
		name  string
		phone bool // does not answer
		net   bool // the broker does not answer any more
		crowd bool // the listeners are busy
	}{{"phone", true, false, false}, {"broker", false, true, false}, {"all", true, true, true}, {"phone and listeners", true, false, true}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			at := freePort(t)
			r := newRig(t, plan{phones: 2, env: []string{
				fmt.Sprintf("SNOM2MQTT_PHONE_LISTEN=127.0.0.1:%d", at), "SNOM2MQTT_PHONE_0_TOKEN=canary-of-the-token-77aa", "SNOM2MQTT_REQUEST_TIMEOUT=30s",
			}})
			if tt.phone {
				r.toPhone[0].set(weather{hole: true}, weather{hole: true})
			}
			if tt.crowd {
				crowd(t, fmt.Sprintf("127.0.0.1:%d", at), 100, "GET /a/desk0/")
				crowd(t, strings.TrimPrefix(console(r.bridge), "http://"), 100, "GET /metrics HTTP/1.1\r\n")
			}
			ids := slices.Concat(r.send(0, 10), r.send(1, 1))
			r.results(ids[10])
			if tt.net {
				r.toBroker.set(weather{hole: true}, weather{hole: true})
			}
			began := time.Now()
			if code := r.bridge.stop(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			if took := time.Since(began); took > 8*time.Second+time.Duration(rounds(0, 2))*time.Second {
				t.Errorf("the end took %v, expected at most 8 s", took)
			} else {
				t.Logf("the end took %v", took)
			}
			if !tt.net {
				r.results(ids...)
				if state := r.state(); state != "offline" {
					t.Errorf("the state is %q, expected offline", state)
				}
			}
		})
	}
}
