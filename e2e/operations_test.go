package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// get asks the console of a bridge.
func get(t *testing.T, url, password string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if password != "" {
		r.SetBasicAuth("prometheus", password)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// TestOperations looks at a bridge as its operators do: by its metrics, its log and its health.
func TestOperations(t *testing.T) {
	t.Parallel()
	const password, token = "no-secret-in-a-test", "nor-this-one-here"
	m := startMosquitto(t)
	p := startPhones(t, 2, "--auth", "digest", "--username", "admin", "--password", "secret")
	console, listen := fmt.Sprintf("127.0.0.1:%d", freePort(t)), fmt.Sprintf("127.0.0.1:%d", freePort(t))
	b := m.startBridge(t, slices.Concat(
		phoneEnv(0, "kitchen", p.urls[0], "USERNAME=admin", "PASSWORD=secret", "TOKEN="+token),
		phoneEnv(1, "hall", p.urls[1], "USERNAME=admin", "PASSWORD=wrong-password", "TOKEN="+token),
		phoneEnv(2, "attic", fmt.Sprintf("http://127.0.0.1:%d", freePort(t)), "TOKEN="+token),
		[]string{"SNOM2MQTT_CONSOLE_LISTEN=" + console, "SNOM2MQTT_CONSOLE_PASSWORD=" + password, "SNOM2MQTT_PHONE_LISTEN=" + listen,
			"SNOM2MQTT_LOG_FORMAT=json", "SNOM2MQTT_LOG_LEVEL=debug", "SNOM2MQTT_COMMAND_GAP=1ms"})...)
	p.reportTo("phone-1", "http://"+listen, "kitchen", token)
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 401} {
		if got, body := get(t, "http://"+console+path, ""); got != want {
			t.Errorf("GET %s = %d %s, want %d", path, got, body, want)
		}
	}

	w := m.watch("snom/+/result")
	m.publish("snom/kitchen/dial", "12")
	m.publish("snom/kitchen/dial", "twelve")
	m.publish("snom/hall/key", "P1")
	w.results("snom/hall/result", 1)
	m.publish("snom/hall/key", "P1")
	m.publish("snom/attic/key", "P1")
	m.publish("snom/nobody/key", "P1")
	w.results("snom/kitchen/result", 2)
	w.results("snom/hall/result", 2)
	w.results("snom/attic/result", 1)
	p.play("phone-1/ring?number=10")
	get(t, "http://"+listen+"/a/kitchen/wrong/incoming", "")
	m.kill()
	m.start()
	m.watch("snom/bridge/state").until("online again", func(out, _ []string) bool {
		return slices.ContainsFunc(read(t, out), func(m message) bool { return m.Payload == "online" })
	})

	var text string
	lines := []string{
		`snom2mqtt_commands_total{code="ok",phone="kitchen"} 1`,
		`snom2mqtt_commands_total{code="invalid",phone="kitchen"} 1`,
		`snom2mqtt_commands_total{code="unauthorized",phone="hall"} 1`,
		`snom2mqtt_commands_total{code="locked_out",phone="hall"} 1`,
		`snom2mqtt_commands_total{code="unreachable",phone="attic"} 1`,
		`snom2mqtt_commands_total{code="unknown_phone",phone=""} 1`,
		`snom2mqtt_command_duration_seconds_count{command="dial"} 1`,
		`snom2mqtt_command_duration_seconds_count{command="key"} 2`,
		`snom2mqtt_command_queue_seconds_count 3`,
		`snom2mqtt_phones{state="up"} 2`,
		`snom2mqtt_phone_up{phone="attic"} 0`,
		`snom2mqtt_breaker_open{phone="hall"} 1`,
		`snom2mqtt_breaker_open{phone="kitchen"} 0`,
		`snom2mqtt_events_total{event_type="incoming"} 1`,
		`snom2mqtt_action_url_requests_total{outcome="wrong_token"} 1`,
		`snom2mqtt_mqtt_connected 1`,
		`snom2mqtt_mqtt_online 1`,
		`snom2mqtt_mqtt_reconnects_total 1`,
		`snom2mqtt_mqtt_publishes_dropped_total 0`,
	}
	for _, line := range lines {
		eventually(t, "the metrics say "+line, func() bool {
			_, text = get(t, "http://"+console+"/metrics", password)
			return strings.Contains(text, "\n"+line+"\n")
		})
	}
	if code := b.stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	checkLog(t, b.stderr(), password, token, "wrong-password")
}

// checkLog reads a log as a program does, and looks for what must not be there.
func checkLog(t *testing.T, lines []string, secrets ...string) {
	t.Helper()
	said := map[string]bool{}
	for _, line := range lines {
		var entry struct {
			Time, Level, Msg string
			Took, Until      any
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		said[entry.Msg] = true
		if at, err := time.Parse("2006-01-02T15:04:05.000Z", entry.Time); err != nil || time.Since(at).Abs() > time.Hour {
			t.Errorf("%s: time %q, want one of today, in UTC", line, entry.Time)
		}
		if !slices.Contains([]string{"DEBUG", "INFO", "WARN", "ERROR"}, entry.Level) || entry.Msg == "" {
			t.Errorf("%s: level %q, message %q", line, entry.Level, entry.Msg)
		}
		if _, number := entry.Took.(float64); entry.Took != nil && !number {
			t.Errorf("%s: took %v, want seconds", line, entry.Took)
		}
		for _, secret := range secrets {
			if strings.Contains(line, secret) {
				t.Errorf("the log tells a secret: %s", line)
			}
		}
	}
	for _, want := range []string{"online", "command done", "event", "phone refuses the login and is not contacted for a while", "requests with a wrong token"} {
		if !said[want] {
			t.Errorf("the log has no line %q", want)
		}
	}
}
