package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestStateWithoutHomeAssistant: what phones have reported survives a restart of broker and bridge also where no documents are
// published for Home Assistant.
func TestStateWithoutHomeAssistant(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := startPhones(t, 1)
	env := append(phoneEnv(0, "kitchen", p.urls[0]), "SNOM2MQTT_HOMEASSISTANT=false", "SNOM2MQTT_STATE_DIRECTORY="+dir)
	m := startMosquitto(t)
	b := m.startBridge(t, env...)
	kept := ""
	within(t, 60*time.Second, "the phone in the state directory", func() bool {
		data, err := os.ReadFile(filepath.Join(dir, "phones.jsonl"))
		kept = string(data)
		return err == nil && strings.Contains(kept, `"mac":"`)
	})
	if code := b.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	p.kill()
	mac := decode[struct{ MAC string }](t, strings.TrimSpace(kept)).MAC
	again := startMosquitto(t)
	w := again.watch("snom/kitchen/status")
	again.startBridge(t, env...)
	within(t, 60*time.Second, fmt.Sprintf("a status with the MAC address %s", mac), func() bool {
		for _, msg := range w.messages() {
			if s := decode[struct{ MAC, Model string }](t, msg.Payload); s.MAC == mac && s.Model == "D735" {
				return true
			}
		}
		return false
	})
}
