package homeassistant_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/homeassistant"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// TestPanelEntities: a phone has an event and a light for each key that the settings set up, a display, and sensors where it
// has them.
func TestPanelEntities(t *testing.T) {
	t.Parallel()
	tree, err := mqtt.NewTree("snom", "")
	if err != nil {
		t.Fatal(err)
	}
	keys := actionurl.NewKeys([]actionurl.Key{
		{Key: "P1", Name: "garage", Label: "Garage"}, {Key: "P2", Name: "tür"}, {Key: "P12"}, {Key: "P13", Label: "Kitchen phone light"}, {Key: "P14", Label: "Good<br>night"},
	})
	full := homeassistant.Phone{Name: "kitchen", MAC: "000413000001", Model: "D735", Events: true, Sensors: true, Keys: keys}
	for language, names := range map[string]map[string]string{
		"": {
			"press_p1": "Garage", "light_p1": "Garage light", "press_p2": "Tür", "press_p12": "P12", "press_p13": "P13", "press_p14": "Good night",
			"display_message": "Display", "illuminance": "Illuminance", "temperature": "Temperature", "light_message": "Message light",
		},
		homeassistant.German: {"press_p1": "Garage", "light_p1": "Garage Lampe", "display_message": "Anzeige", "temperature": "Temperatur"},
	} {
		b := homeassistant.Bridge{Tree: tree, Prefix: "homeassistant", Language: language}
		d := b.Phone(full)
		if err := b.Check([]mqtt.Message{b.Message("snom_000413000001", d)}); err != nil {
			t.Error(err)
		}
		for key, name := range names {
			if c, ok := d.Components[key]; !ok || c.Name != name || c.UniqueID != "snom_000413000001_"+key {
				t.Errorf("%q: %+v, expected the name %q", key, c, name)
			}
		}
	}
	b := homeassistant.Bridge{Tree: tree, Prefix: "homeassistant"}
	light := b.Phone(full).Components["light_p12"]
	if light.CommandTopic != "snom/kitchen/led" || !strings.HasPrefix(light.CommandOnTemplate, "P12 {{ effect") || len(light.Effects) < 10 || light.Effects[0] != "off" || light.Schema != "template" {
		t.Errorf("%+v", light)
	}
	press := b.Phone(full).Components["press_p1"]
	if press.StateTopic != "snom/kitchen/event" || press.DeviceClass != "button" || !strings.Contains(press.ValueTemplate, "'P1'") {
		t.Errorf("%+v", press)
	}
	for name, change := range map[string]func(*homeassistant.Phone){
		"without events":  func(p *homeassistant.Phone) { p.Events = false },
		"without control": func(p *homeassistant.Phone) { p.NoControl = true },
		"another model":   func(p *homeassistant.Phone) { p.Model = "D785" },
		"without syslog":  func(p *homeassistant.Phone) { p.Sensors = false },
	} {
		p := full
		change(&p)
		all := b.Phone(p).Components
		has := func(key string) bool { _, ok := all[key]; return ok }
		if has("press_p1") != p.Events || has("light_p1") != (p.Events && !p.NoControl) || has("display_message") != (p.Events && !p.NoControl) ||
			has("illuminance") != (p.Model == "D735" && p.Sensors) {
			text, _ := json.Marshal(all)
			t.Errorf("%s: %s", name, text)
		}
	}
}
