package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestHomeAssistantInGerman looks at every entity from inside a release between the oldest and the newest, with German names, and at
// a phone without action URLs.
func TestHomeAssistantInGerman(t *testing.T) {
	t.Parallel()
	x := &home{t: t, m: startMosquitto(t), file: t.TempDir() + "/phones.yml", phones: map[string]*phones{}}
	x.phones["kitchen"] = startPhones(t, 1, "--name", "kitchen", "--https") // or it would take no firmware
	x.env = []string{
		"SNOM2MQTT_PHONES_FILE=" + x.file, "SNOM2MQTT_HOMEASSISTANT_LANGUAGE=de", "SNOM2MQTT_AVAILABILITY_INTERVAL=1s",
		"SNOM2MQTT_ALLOW=screen,reset,firmware", "SNOM2MQTT_FIRMWARE_HOSTS=firmware.example", "SNOM2MQTT_FIRMWARE_LATEST=10.1.184.14",
		fmt.Sprintf("SNOM2MQTT_PHONE_LISTEN=127.0.0.1:%d", freePort(t)), "SNOM2MQTT_STATE_DIRECTORY=" + t.TempDir(),
	}
	text := fmt.Sprintf("phones:\n  kitchen: {url: %q, insecure: true, area: Küche}\n", x.phones["kitchen"].urls[0])
	if err := os.WriteFile(x.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	x.bridge = x.m.startBridge(t, x.env...)
	x.homeAssistant = startHomeAssistant(t, middleHomeAssistant, x.m, "")
	x.entitiesAreThoseOfTheDocuments("Kitchen phone", "snom2mqtt")
	x.speaks(homeAssistantProtocols[middleHomeAssistant])
	for entity, name := range map[string]string{
		"button.kitchen_phone_auflegen": "Auflegen", "switch.kitchen_phone_nicht_storen": "Nicht stören", "sensor.kitchen_phone_anrufzustand": "Anrufzustand",
		"image.kitchen_phone_bildschirm": "Bildschirm", "update.kitchen_phone_firmware_aktualisierung": "Firmware-Aktualisierung",
	} {
		eventually(t, fmt.Sprintf("%s has the name %s", entity, name), func() bool {
			s, there := x.states()[entity]
			return there && s.Attributes["friendly_name"] == "Kitchen phone "+name
		})
	}
	x.shows("update.kitchen_phone_firmware_aktualisierung", "off")
	x.isIn("Kitchen phone", "kuche")
	problem := x.shows("binary_sensor.kitchen_phone_problem", "on")
	if what := fmt.Sprint(problem.Attributes["problem"], problem.Attributes["remedy"]); !strings.Contains(what, "action URL") || !strings.Contains(what, "snom/bridge/request/install") {
		t.Errorf("the problem is %v", problem.Attributes)
	}
	x.m.publish("snom/bridge/request/install", `{"phone":"kitchen"}`)
	x.shows("binary_sensor.kitchen_phone_problem", "off")
	x.call("button.press", "button.kitchen_phone_auflegen")
	x.did("kitchen", "/command.htm?RELEASE_ALL_CALLS")
	x.call("button.press", "button.kitchen_phone_bildschirm_aufnehmen")
	eventually(t, "the screen was taken", func() bool {
		state := x.states()["image.kitchen_phone_bildschirm"].State
		return state != "" && state != "unknown" && state != "unavailable"
	})
	x.nothingToComplainOf()
}

// isIn waits until a device is in an area.
func (x *home) isIn(device, area string) {
	x.t.Helper()
	type entry struct {
		Name string
		Area string `json:"area_id"`
	}
	eventually(x.t, device+" is in the area "+area, func() bool {
		var all []entry
		x.ask(&all, map[string]any{"type": "config/device_registry/list"})
		return slices.Contains(all, entry{device, area})
	})
}

// speaks fails unless Home Assistant has connected to Mosquitto with a version of MQTT, as the log of Mosquitto has it, and waits for that.
func (x *home) speaks(version string) {
	x.t.Helper()
	x.m.until("Home Assistant connects with "+version, func(_, log []string) bool {
		return slices.ContainsFunc(log, func(l string) bool {
			_, client, connected := strings.Cut(l, "New client connected from ")
			_, id, _ := strings.Cut(client, " as ")
			return connected && !strings.HasPrefix(id, "snom2mqtt") && !strings.HasPrefix(id, "watcher-") && !strings.HasPrefix(id, "mosq") &&
				!strings.HasPrefix(id, "auto-") && strings.Contains(id, version)
		})
	})
}

// theLogLevelIsTrue sets the log level by Home Assistant, and by another client.
func (x *home) theLogLevelIsTrue() {
	x.t.Helper()
	const level = "select.snom2mqtt_log_level"
	x.shows(level, "warn")
	x.call("select.select_option", level, "option", "info")
	x.shows(level, "info")
	x.m.publish("snom/bridge/request/log_level", "error")
	x.shows(level, "error")
	x.call("select.select_option", level, "option", "info")
	x.shows(level, "info")
}

// theEmbeddedBrokerServesIt puts the embedded broker in the place of Mosquitto, with the login of Home Assistant, which connects to it.
func (x *home) theEmbeddedBrokerServesIt() {
	x.t.Helper()
	entities, devices := len(x.registry()), x.devices()
	x.bridge.stop()
	x.m.kill()
	env := []string{
		fmt.Sprintf("SNOM2MQTT_BROKER_LISTEN=127.0.0.1:%d", x.m.port), "SNOM2MQTT_CONSOLE_LISTEN=127.0.0.1:0", "SNOM2MQTT_LOG_LEVEL=debug",
		"SNOM2MQTT_MQTT_USERNAME=homeassistant", "SNOM2MQTT_MQTT_PASSWORD=homeassistant-secret",
	}
	for _, e := range x.env {
		if !strings.HasPrefix(e, "SNOM2MQTT_MQTT_") && !strings.HasPrefix(e, "SNOM2MQTT_LOG_LEVEL=") {
			env = append(env, e)
		}
	}
	x.bridge = start(x.t, "snom2mqtt", env, program(x.t))
	x.bridge.until("Home Assistant connects with MQTT 5", func(_, log []string) bool {
		return slices.ContainsFunc(log, func(l string) bool {
			return strings.Contains(l, "client connected") && strings.HasSuffix(l, " mqtt=5")
		})
	})
	x.allIsBack("the embedded broker")
	x.phones["cellar"] = startPhones(x.t, 1, "--name", "cellar")
	x.configure("office:kitchen", "hall", "cellar")
	if err := x.bridge.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		x.t.Fatal(err)
	}
	x.isIn("Cellar phone", "below")
	x.configure("office:kitchen", "hall")
	if err := x.bridge.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		x.t.Fatal(err)
	}
	eventually(x.t, fmt.Sprintf("the cellar's phone is gone, and there are %d entities of the devices %q", entities, devices), func() bool {
		return slices.Equal(x.devices(), devices) && len(x.registry()) == entities
	})
}
