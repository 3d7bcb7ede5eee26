package e2e

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The secrets of the door that TestDoorSecretsAreNowhere looks for.
const (
	canaryCode   = "48151*623*42#"
	canaryCamera = "canary-of-the-camera-77aa"
)

// TestDoorSecretsAreNowhere opens a door in every way, and fails to, and looks for its code and the login of its camera in all
// topics, the log, the metrics, the console, the report, and on the phone's display.
func TestDoorSecretsAreNowhere(t *testing.T) {
	t.Parallel()
	m := startMosquitto(t)
	p := startPhones(t, 1, "--name", "kitchen")
	dir, events := t.TempDir(), freePort(t)
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const token = "t0ken-of-the-kitchen"
	write("door.code", canaryCode+"\n")
	write("camera.password", canaryCamera+"\n")
	write("phones.yml", fmt.Sprintf(`phones:
  kitchen: {url: %q, token: %s}
doors:
  front: {phone: kitchen, number: "**61", code_file: door.code, hold: 1s, camera: {url: %q, username: view, password_file: camera.password}}
  back: {phone: kitchen, number: "**62", code_file: door.code, method: dtmf, call: true}
macros:
  open_by_call:
    phone: kitchen
    steps: [{dial: "**61"}, {wait: connected, within: 1s}, {dtmf: {digits_file: door.code}}]
`, p.urls[0], token, startCamera(t))) // whose password is another one
	env := []string{
		"SNOM2MQTT_PHONES_FILE=" + filepath.Join(dir, "phones.yml"), fmt.Sprintf("SNOM2MQTT_PHONE_LISTEN=127.0.0.1:%d", events),
		"SNOM2MQTT_LOG_LEVEL=debug", "SNOM2MQTT_COMMAND_GAP=1ms",
	}
	p.reportTo("kitchen", fmt.Sprintf("http://127.0.0.1:%d", events), "kitchen", token)
	all := m.watch("#")
	b := m.startBridge(t, env...)
	answers := 0
	answer := func(topic, payload, expected string) {
		t.Helper()
		answers++
		id := fmt.Sprint("canary-", answers)
		m.publish(topic, strings.Replace(payload, "{", `{"id":"`+id+`"`, 1))
		got := ""
		eventually(t, topic+" "+payload+" is answered", func() bool {
			for _, r := range all.messages() {
				if strings.HasSuffix(r.Topic, "/result") && strings.Contains(r.Payload, id) {
					got = r.Payload
				}
			}
			return got != ""
		})
		if !strings.Contains(got, `"code":"`+expected+`"`) {
			t.Errorf("%s %s: %s, expected %s", topic, payload, got, expected)
		}
	}
	screens := ""
	look := func() { screens += p.ask("kitchen/screen") }
	answer("snom/front/open", `{}`, "forbidden")
	p.play("kitchen/ring?number=**61&name=" + url.QueryEscape("<b>$(set:http_pass)"))
	eventually(t, "the page of the door", func() bool { return strings.Contains(p.ask("kitchen/screen"), "F1: Open") })
	look()
	answer("snom/front/open", `{}`, "forbidden")
	answer("snom/front/open", `{,"dry_run":true}`, "forbidden")
	p.play("kitchen/answer")
	eventually(t, "the call", func() bool {
		return strings.Contains(retained(t, m.addr(), "snom/front/state", login{}), `"state":"connected"`)
	})
	answer("snom/front/open", `{,"dry_run":true}`, "ok")
	answer("snom/kitchen/run", `{,"macro":"open_by_call","dry_run":true}`, "ok")
	answer("snom/front/open", `{}`, "ok")
	look()
	answer("snom/front/open", `{,"code":"1"}`, "invalid")
	p.play("kitchen/fault?value=500")
	answer("snom/front/open", `{}`, "phone_error")
	look()
	p.play("kitchen/fault?value=refuse-connections")
	answer("snom/front/open", `{}`, "unreachable")
	p.play("kitchen/fault?value=none")
	p.play("kitchen/hangup")
	answer("snom/kitchen/run", `{,"macro":"open_by_call"}`, "unmet")
	answer("snom/kitchen/hangup", `{}`, "ok")
	m.publish("snom/bridge/request/reload", "")

	found := map[string]string{"the display": screens, "the log": strings.Join(append(b.stderr(), b.stdout()...), "\n")}
	for i, message := range all.messages() {
		found[fmt.Sprint(message.Topic, " ", i)] = message.Payload
	}
	for _, page := range []string{
		"/", "/doors", "/phones/kitchen", "/messages", "/setup", "/log", "/log.txt", "/about", "/metrics",
		"/api/bridge", "/api/phones", "/api/phones/kitchen", "/api/doors", "/api/log",
	} {
		status, body := get(t, console(b)+page, "")
		if status != 200 {
			t.Errorf("%s: HTTP %d", page, status)
		}
		found[page] = body
	}
	for name, text := range reportOf(t, append(env, "SNOM2MQTT_CONSOLE_LISTEN="+strings.TrimPrefix(console(b), "http://"), "SNOM2MQTT_MQTT_URL="+m.url())) {
		found["report "+name] = text
	}
	if n := strings.Count(strings.Join(p.targets("kitchen"), " "), url.QueryEscape(canaryCode)); n != 1 {
		t.Errorf("the phone got the code %d times, expected once", n)
	}
	for where, text := range found {
		for _, secret := range []string{canaryCode, url.QueryEscape(canaryCode), strings.ReplaceAll(canaryCode, "#", "%23"), canaryCamera, gardenPassword} {
			if strings.Contains(text, secret) {
				t.Errorf("%s has %q", where, secret)
			}
		}
	}
}
