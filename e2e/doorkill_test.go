package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDoorKilled: a bridge that is killed at any moment while it opens a door has sent the code at most once, and the next
// one does not send it again. Each life has a code of its own, so that it is known whose it was.
func TestDoorKilled(t *testing.T) {
	t.Parallel()
	m := startMosquitto(t)
	p := startPhones(t, 1, "--name", "kitchen", "--latency", "20ms")
	file, port := filepath.Join(t.TempDir(), "phones.yml"), freePort(t)
	const token = "t0ken-of-the-kitchen"
	env := []string{"SNOM2MQTT_PHONES_FILE=" + file, fmt.Sprintf("SNOM2MQTT_PHONE_LISTEN=127.0.0.1:%d", port), "SNOM2MQTT_COMMAND_GAP=5ms"}
	p.reportTo("kitchen", fmt.Sprintf("http://127.0.0.1:%d", port), "kitchen", token)
	try := func(action string) { // which may have nothing to do
		t.Helper()
		r, err := http.Post(p.control+"/phones/kitchen/"+action, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close() // only what happens counts
	}
	codeOf := func(life int) string { return fmt.Sprintf("4711#%03d", life) }
	lives := rounds(12, 200)
	var b *process
	results := m.watch("snom/front/result")
	for life := range lives {
		calls := life%2 == 1 // in every other one the phone calls the door
		text := fmt.Sprintf("phones:\n  kitchen: {url: %q, token: %s}\ndoors:\n  front: {phone: kitchen, number: \"**61\", code: %q, call: %v}\n", p.urls[0], token, codeOf(life), calls)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		b = m.startBridge(t, env...)
		try("hangup") // the call of the life before; the bridge knows of it from what is retained
		eventually(t, "the phone is idle", func() bool {
			return strings.Contains(retained(t, m.addr(), "snom/kitchen/status", login{}), `"calls":0`)
		})
		if !calls {
			p.play("kitchen/ring?number=**61")
			p.play("kitchen/answer")
			eventually(t, "the door has a call", func() bool {
				return strings.Contains(retained(t, m.addr(), "snom/front/state", login{}), `"state":"connected"`)
			})
		}
		answers := len(results.messages())
		m.publish("snom/front/open", fmt.Sprintf(`{"id":"%d"}`, life))
		if calls {
			eventually(t, "the phone calls the door", func() bool {
				return strings.Contains(p.ask("kitchen"), "dialing") || len(results.messages()) > answers
			})
			try("remote-answer")
		}
		<-time.After(rand.N(150 * time.Millisecond)) // the moment is what the test is about
		b.kill()
	}
	b = m.startBridge(t, env...)
	try("unhold") // nothing of it has an effect on what was asked before
	m.publish("snom/kitchen/key", `{"id":"last","keys":"P1"}`)
	eventually(t, "the last bridge works", func() bool {
		all := p.targets("kitchen")
		return len(all) > 0 && all[len(all)-1] == "/command.htm?key=P1"
	})
	sent := 0
	for life := range lives {
		n := 0
		for _, target := range p.targets("kitchen") {
			if strings.Contains(target, url.QueryEscape(codeOf(life))) {
				n++
			}
		}
		if sent += n; n > 1 {
			t.Errorf("life %d: the code was sent %d times", life, n)
		}
	}
	t.Logf("%d of %d codes were sent", sent, lives)

	for _, r := range results.messages() {
		if strings.Contains(r.Payload, "4711") {
			t.Errorf("the code is in a result: %s", r.Payload)
		}
	}
	for _, line := range b.stderr() {
		if strings.Contains(line, "4711") {
			t.Errorf("the code is in the log: %s", line)
		}
	}
}
