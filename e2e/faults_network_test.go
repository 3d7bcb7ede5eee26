package e2e

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestFaultNetworkToBroker has the network between the bridge and its broker fail in every way,
// while commands come in.
func TestFaultNetworkToBroker(t *testing.T) {
	t.Parallel()
	r := newRig(t, plan{phones: 4})
	stop := r.load(2 * time.Millisecond)
	fair := func() { r.toBroker.set(weather{}, weather{}) }
	brief := func(up, down weather, d time.Duration) func() {
		return func() {
			r.toBroker.set(up, down)
			r.toBroker.pause(d)
			fair()
		}
	}
	faults := []struct {
		name string
		do   func()
	}{
		{"cut", r.toBroker.cut},
		{"the broker's side ends", func() { r.toBroker.each(func(p *pair) { _ = p.client.CloseWrite() }) }},
		{"the bridge's side ends", func() { r.toBroker.each(func(p *pair) { _ = p.server.CloseWrite() }) }},
		{"delay", brief(weather{delay: 50 * time.Millisecond}, weather{delay: 50 * time.Millisecond}, 2*time.Second)},
		{"slow bytes", brief(weather{slow: 500 * time.Microsecond}, weather{slow: 500 * time.Microsecond}, 2*time.Second)},
		{"a short silence", brief(weather{stall: true}, weather{stall: true}, 2*time.Second)},
		{"half of it is swallowed", func() { // which leaves a stream of nonsense
			r.toBroker.set(weather{}, weather{hole: true})
			r.toBroker.pause(20 * time.Millisecond)
			fair()
			r.toBroker.pause(200 * time.Millisecond)
			r.toBroker.cut()
		}},
	}
	for range rounds(1, 10) {
		for _, f := range faults {
			f.do()
			r.online()
			n := r.tap.count()
			eventually(t, "commands are answered after: "+f.name, func() bool { return r.tap.count() > n+50 })
			// Three connections that are lost soon look like another client with the same id, unless
			// the broker was gone in between.
			r.outage()
		}
	}
	stop()
	r.check()
}

// TestFaultNoAnswer: a connection over which nothing comes any more is noticed by both sides, when
// it is quiet and when much is on its way.
func TestFaultNoAnswer(t *testing.T) {
	t.Parallel()
	quiet, busy := newRig(t, plan{phones: 2}), newRig(t, plan{phones: 2})
	stop := busy.load(time.Millisecond)
	began := time.Now()
	took := func() time.Duration { return time.Since(began).Round(time.Second) }
	quiet.toBroker.set(weather{hole: true}, weather{hole: true})
	busy.toBroker.set(weather{stall: true}, weather{stall: true})
	for name, r := range map[string]*rig{"quiet": quiet, "busy": busy} {
		within(t, 2*timeLimit, "the bridge notices", func() bool { return r.logged("no session with the broker") > 0 })
		t.Logf("%s: the bridge noticed after %v", name, took())
		within(t, 2*timeLimit, "the broker says offline", func() bool { return r.state() == "offline" })
		t.Logf("%s: the broker noticed after %v", name, took())
		r.toBroker.set(weather{}, weather{})
		within(t, 2*timeLimit, "the bridge is back", func() bool { return r.state() == "online" })
		t.Logf("%s: the bridge was back after %v", name, took())
	}
	stop()
	quiet.check()
	busy.check()
}

// TestFaultNetworkToPhone has the network between the bridge and a phone fail in every way. What
// the phone has done is known here, and what the result says of it must be true.
func TestFaultNetworkToPhone(t *testing.T) {
	t.Parallel()
	const limit = 3 * time.Second // what is to be in time is so on a busy machine, too
	r := newRig(t, plan{phones: 1, env: []string{
		"SNOM2MQTT_REQUEST_TIMEOUT=" + limit.String(), "SNOM2MQTT_AVAILABILITY_INTERVAL=5s",
		"SNOM2MQTT_LOG_LEVEL=debug", // of all that there is to say of a phone, nothing is secret
	}})
	p := r.toPhone[0]
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	for range 256 { // 256 MiB of nothing
		_, _ = z.Write(make([]byte, 1<<20)) // into memory
	}
	_ = z.Close() // into memory
	type greeting = func(client *net.TCPConn, dial func() (*net.TCPConn, error))
	// reply has the phone carry the request out, and answers in its place.
	reply := func(write func(w io.Writer)) greeting {
		return func(client *net.TCPConn, dial func() (*net.TCPConn, error)) {
			if carryOut(client, dial) {
				write(client)
			}
		}
	}
	tests := []struct {
		name     string
		up, down weather
		greet    greeting
		code     string
		executed int
	}{
		{name: "nothing", code: "ok", executed: 1},
		{name: "delay", up: weather{delay: 100 * time.Millisecond}, code: "ok", executed: 1},
		{name: "slow bytes, in time", down: weather{slow: 500 * time.Microsecond}, code: "ok", executed: 1},
		{name: "slow bytes, too slow", down: weather{slow: 100 * time.Millisecond}, code: "timeout", executed: 1},
		{name: "the request is swallowed", up: weather{hole: true}, code: "timeout"},
		{name: "the reply is swallowed", down: weather{hole: true}, code: "timeout", executed: 1},
		{name: "nothing is read", up: weather{stall: true}, code: "timeout"},
		{name: "cut in the request", greet: func(c *net.TCPConn, _ func() (*net.TCPConn, error)) {
			_, _ = c.Read(make([]byte, 1)) // had nothing been sent yet, the bridge would know that nothing was delivered
			reset(c)
		}, code: "timeout"},
		{name: "reset after it was carried out", greet: func(c *net.TCPConn, dial func() (*net.TCPConn, error)) {
			carryOut(c, dial)
			reset(c)
		}, code: "timeout", executed: 1},
		{name: "hangs up after it was carried out", greet: reply(func(io.Writer) {}), code: "timeout", executed: 1},
		{name: "half closed", greet: func(c *net.TCPConn, _ func() (*net.TCPConn, error)) {
			_, _ = c.Read(make([]byte, 1)) // or the bridge would know that nothing was delivered
			_ = c.CloseWrite()             // it may be closed
			_, _ = io.Copy(io.Discard, c)
		}, code: "timeout"},
		{name: "half a reply", greet: reply(func(w io.Writer) { _, _ = io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Le") }), code: "timeout", executed: 1},
		{name: "half a body", greet: reply(func(w io.Writer) { _, _ = io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok") }), code: "timeout", executed: 1},
		{name: "an endless body", greet: reply(func(w io.Writer) {
			endless(w, "HTTP/1.1 200 OK\r\n\r\n", "<html>")
		}), code: "ok", executed: 1},
		{name: "an endless header", greet: reply(func(w io.Writer) {
			endless(w, "HTTP/1.1 200 OK\r\n", "X-More: and more\r\n")
		}), code: "timeout", executed: 1},
		{name: "a gzip bomb", greet: reply(func(w io.Writer) {
			fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n", bomb.Len())
			_, _ = w.Write(bomb.Bytes()) // the bridge may have had enough
		}), code: "ok", executed: 1},
		{name: "two replies", greet: reply(func(w io.Writer) {
			_, _ = io.WriteString(w, strings.Repeat("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 2))
		}), code: "ok", executed: 1},
		{name: "no HTTP", greet: reply(func(w io.Writer) { _, _ = io.WriteString(w, "220 mail.example ESMTP\r\n") }), code: "timeout", executed: 1},
	}
	for range rounds(1, 10) {
		for _, tt := range tests {
			p.set(tt.up, tt.down)
			p.answer(tt.greet)
			before := r.executed()
			id := r.send(0, 1)[0]
			if got := r.results(id)[0]; got != tt.code {
				t.Errorf("%s: %s, want %s", tt.name, got, tt.code)
			}
			if tt.executed == 1 {
				eventually(t, "the phone tells what it did: "+tt.name, func() bool { return r.executed()[id].count == 1 })
			}
			p.cut() // before the weather clears up: a request that waits in it would still arrive
			p.set(weather{}, weather{})
			p.answer(nil)
			after := r.send(0, 1)[0]
			if got := r.results(after)[0]; got != "ok" {
				t.Errorf("after %s: %s, want ok", tt.name, got)
			}
			eventually(t, "the phone tells what it did after "+tt.name, func() bool { return r.executed()[after].count == 1 })
			if got := len(r.executed()) - len(before); got != tt.executed+1 {
				t.Errorf("%s: the phone did %d things, want %d", tt.name, got, tt.executed+1)
			}
		}
		// And with nothing there at all.
		p.unresponsive()
		if got := r.results(r.send(0, 1)...)[0]; got != "unreachable" {
			t.Errorf("without a listener: %s, expected unreachable", got)
		}
		p.hear()
	}
	if got, most := memory(t, r.bridge), 64<<20; got > most && !*faultsAtLength { // the race detector takes its share
		t.Errorf("the bridge took %d MiB, want at most %d", got>>20, most>>20)
	}
	r.check()
}

// carryOut gives one request to the phone and waits for its reply, which goes nowhere. It reports
// whether the phone let the request in.
func carryOut(client *net.TCPConn, dial func() (*net.TCPConn, error)) bool {
	server, err := dial()
	if err != nil {
		return false
	}
	defer server.Close()
	request, err := http.ReadRequest(bufio.NewReader(client))
	if err != nil {
		return false
	}
	raw := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\nConnection: keep-alive\r\n\r\n",
		request.RequestURI, request.Host, request.Header.Get("Authorization"))
	if _, err := io.WriteString(server, raw); err != nil {
		return false
	}
	reply, err := http.ReadResponse(bufio.NewReader(server), request)
	return err == nil && reply.StatusCode < 400
}

// endless writes what comes first, and then more and more, until the peer stops reading.
func endless(w io.Writer, first, more string) {
	_, err := io.WriteString(w, first)
	for err == nil {
		_, err = io.WriteString(w, strings.Repeat(more, 100))
	}
}
