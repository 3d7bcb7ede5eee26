package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"
)

// TestStrangers runs the program with 1,024 descriptors and opens more connections to each of its listeners than that,
// without a token or a password: commands are carried out, events arrive and the phone stays online as without them,
// and the memory stays within 64 MiB.
func TestStrangers(t *testing.T) {
	t.Parallel()
	const token = "no-secret-in-a-test"
	const connections = 1100
	firsts := []string{"", "GET /", "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "GET /a/kitchen/wrong/incoming?", "\x10\xff\xff\x7f"}
	m := startMosquitto(t)
	p := startPhones(t, 1)
	listen, console := fmt.Sprintf("127.0.0.1:%d", freePort(t)), fmt.Sprintf("127.0.0.1:%d", freePort(t))
	w := m.watch("snom/bridge/state")
	b := start(t, "snom2mqtt", slices.Concat(phoneEnv(0, "kitchen", p.urls[0], "TOKEN="+token), []string{
		"SNOM2MQTT_MQTT_URL=" + m.url(), "SNOM2MQTT_CONSOLE_LISTEN=" + console, "SNOM2MQTT_CONSOLE_PASSWORD=secret",
		"SNOM2MQTT_PHONE_LISTEN=" + listen, "SNOM2MQTT_COMMAND_GAP=1ms", "SNOM2MQTT_AVAILABILITY_INTERVAL=1s",
	}), "/bin/sh", "-c", `ulimit -n 1024; exec "$0"`, program(t))
	w.until("online", func(out, _ []string) bool {
		return slices.ContainsFunc(read(t, out), func(m message) bool { return m.Payload == "online" })
	})
	availability := m.watch("snom/kitchen/availability")
	availability.until("online", func(out, _ []string) bool { return len(out) > 0 })

	for _, address := range []string{listen, console} {
		var open []net.Conn
		for i := range connections {
			c, err := net.DialTimeout("tcp", address, patience)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(c, firsts[i%len(firsts)]) // the server may have closed it
			open = append(open, c)
		}
		results, events := m.watch("snom/kitchen/result"), m.watch("snom/kitchen/event")
		for i := range 5 {
			m.publish("snom/kitchen/dial", fmt.Sprint(100+i))
		}
		for i, r := range results.results("snom/kitchen/result", 5) {
			if r.Code != "ok" {
				t.Errorf("%d connections to %s: command %d: %+v", connections, address, i, r)
			}
		}
		resp, err := http.Get("http://" + listen + "/a/kitchen/" + token + "/dnd_on?mac=1") //nolint:noctx // it is short
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%d connections to %s: an event is answered %+v, %v", connections, address, resp, err)
		}
		events.until("the event", func(out, _ []string) bool { return len(out) > 0 })
		<-time.After(3 * time.Second) // the phone is polled three times
		for _, c := range open {
			_ = c.Close()
		}
	}
	for _, said := range read(t, availability.stdout()) {
		if said.Payload != "online" {
			t.Errorf("the phone was said to be %s", said.Payload)
		}
	}
	if most := memory(t, b); most > 64<<20 {
		t.Errorf("%d MiB of memory, expected at most 64", most>>20)
	} else {
		t.Logf("%d MiB of memory at most", most>>20)
	}
	if code := b.stop(); code != 0 {
		t.Errorf("the bridge ended with %d", code)
	}
}
