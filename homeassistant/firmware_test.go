package homeassistant

import (
	"strings"
	"testing"
)

func TestFirmwareUpdate(t *testing.T) {
	t.Parallel()
	const file = "https://fw.example/snomD735-10.1.198.19-SIP-r.bin"
	for name, tt := range map[string]struct {
		allow    string
		settings Settings
		enabled  bool
		install  string
	}{
		"nothing is named":            {"", Settings{}, false, ""},
		"the newest is named":         {"", Settings{Latest: "10.1.198.19"}, true, ""},
		"not enabled by the settings": {"reset", Settings{Latest: "10.1.198.19", Install: file}, true, ""},
		"it may be installed":         {"firmware", Settings{Latest: "10.1.198.19", Install: file}, true, file},
	} {
		p := kitchen()
		p.Allow, p.Settings = tt.allow, tt.settings.Handle()
		d := testBridge().Phone(p)
		c, ok := d.Components["update"]
		if !ok || (c.Enabled == nil) != tt.enabled || c.PayloadInstall != tt.install || (c.CommandTopic == "snom/kitchen/firmware") != (tt.install != "") ||
			strings.Contains(c.ValueTemplate, "latest_version") != (tt.settings.Latest != "") {
			t.Errorf("%s: %+v", name, c)
		}
	}
	p := kitchen()
	p.Settings = Settings{Area: "Küche"}.Handle()
	if area := testBridge().Phone(p).Device.SuggestedArea; area != "Küche" {
		t.Errorf("area %q", area)
	}
	if p.Settings != (Settings{Area: "Küche"}).Handle() {
		t.Error("equal settings have different handles")
	}
}
