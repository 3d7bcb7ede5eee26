package e2e

import (
	"archive/zip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestReport writes the report of a running bridge: it has versions, settings, probe, last result, event and log, and none of the
// passwords, numbers, names and addresses.
func TestReport(t *testing.T) {
	t.Parallel()
	m := startMosquitto(t)
	phones := startPhones(t, 1, "--name", "frontdesk", "--auth", "digest", "--username", "phoneadmin", "--password", "phone-hunter2")
	console, events := freePort(t), freePort(t)
	env := append(phoneEnv(0, "frontdesk", phones.urls[0]), "SNOM2MQTT_PHONE_0_USERNAME=phoneadmin", "SNOM2MQTT_PHONE_0_PASSWORD=phone-hunter2",
		"SNOM2MQTT_PHONE_0_TOKEN=token-hunter2-hunter2", fmt.Sprintf("SNOM2MQTT_PHONE_LISTEN=127.0.0.1:%d", events), "SNOM2MQTT_MQTT_URL="+m.url(),
		fmt.Sprintf("SNOM2MQTT_CONSOLE_LISTEN=127.0.0.1:%d", console), "SNOM2MQTT_CONSOLE_PASSWORD=console-hunter2", "SNOM2MQTT_LOG_LEVEL=debug")
	w := m.watch("snom/#")
	b := start(t, "snom2mqtt", env, program(t), "run")
	w.on("snom/bridge/state", 1)
	m.publish("snom/bridge/request/install", "frontdesk")
	w.on("snom/bridge/response/install", 1)
	m.publish("snom/frontdesk/dial", "+4930987654")
	m.publish("snom/frontdesk/dtmf", "7788#")
	w.results("snom/frontdesk/result", 2)
	w.on("snom/frontdesk/event", 1)

	files := reportOf(t, env)
	for name, text := range files {
		for _, canary := range []string{"hunter2", "987654", "7788", "frontdesk", "phoneadmin"} {
			if strings.Contains(text, canary) {
				t.Errorf("%s has %q:\n%s", name, canary, text)
			}
		}
	}
	for name, want := range map[string]string{
		"version.json": `"go": "go`, "settings.json": `"SNOM2MQTT_PHONE_0_PASSWORD": "***"`, "probes.json": `"auth": "digest"`, "check.txt": "\n",
		"bridge/phones.json": `"command": "dtmf"`, "bridge/health.json": `"ready": true`, "bridge/log.txt": "phone=phone-1",
	} {
		if !strings.Contains(files[name], want) {
			t.Errorf("%s lacks %s:\n%s", name, want, files[name])
		}
	}
	if !strings.Contains(files["bridge/phones.json"], `"event_type": "outgoing"`) {
		t.Errorf("no event:\n%s", files["bridge/phones.json"])
	}
	if code := b.stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// reportOf writes the report of a bridge, and returns its files.
func reportOf(t *testing.T, env []string) map[string]string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.zip")
	c := exec.CommandContext(t.Context(), program(t), "report", "--output", file)
	c.Env = append(os.Environ(), env...)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	z, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	files := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name] = string(text)
	}
	return files
}
