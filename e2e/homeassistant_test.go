package e2e

import (
	"fmt"
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/homeassistant"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// TestHomeAssistant looks at the bridge from inside a real Home Assistant, of the oldest and of the newest release.
// [TestHomeAssistantInGerman] does so with one between.
func TestHomeAssistant(t *testing.T) {
	t.Parallel()
	for _, release := range []string{oldestHomeAssistant, newestHomeAssistant} {
		t.Run(release, func(t *testing.T) {
			t.Parallel()
			x := newHome(t, release)
			x.everyEntityIsThere()
			x.speaks(homeAssistantProtocols[release])
			x.everyServiceReachesThePhone()
			x.theLogLevelIsTrue()
			x.aCallMovesTheStates()
			x.theWallPanel()
			x.blueprintsFire()
			x.announcementsAreHeard()
			x.aDoorRings()
			x.phonesComeAndGo()
			x.nothingToComplainOf()
			x.everythingRestarts()
			x.phonesAreRenamedRemovedAndAdded()
			if release == newestHomeAssistant {
				x.theEmbeddedBrokerServesIt()
			}
			x.nothingToComplainOf(
				"Disconnected from MQTT server", "Failed to connect to MQTT server", "The connection was lost", "The client is not currently connected", "Task exception was never retrieved", // the broker was killed
				"failed to receive on socket",                                // likewise, with bytes that it had not read
				"No ACK from MQTT server", "Error returned from MQTT server", // likewise, before it had acknowledged a subscription
				"No device components to cleanup", // it clears the topic of a device that goes once for each disabled entity
				"Although entity button.attic_phone_ok was removed")
		})
	}
}

// A home is a Home Assistant with a broker, a bridge and simulated phones, each in a process of its own.
type home struct {
	*homeAssistant
	t      *testing.T
	m      *mosquitto
	env    []string // of the bridge
	file   string   // of the phones
	bridge *process
	phones map[string]*phones // by name
	paging int                // the first port of the multicast addresses
	syslog string             // where phones send syslog
	camera string             // of the door, its URL
}

// newHome builds a home with three phones that call the bridge.
func newHome(t *testing.T, release string) *home {
	t.Helper()
	m := startMosquitto
	if release == newestHomeAssistant { // with one of them
		m = func(t *testing.T, _ ...string) *mosquitto { return startExampleMosquitto(t) }
	}
	x := &home{t: t, m: m(t), file: filepath.Join(t.TempDir(), "phones.yml"), phones: map[string]*phones{}, camera: startCamera(t)}
	// One has to log in, so that its MAC is not known at first.
	x.phones["kitchen"] = startPhones(t, 1, "--name", "kitchen", "--multicast", "lo")
	x.phones["hall"] = startPhones(t, 1, "--name", "hall", "--multicast", "lo", "--model", "870", "--firmware", "8.7.5.44", "--auth", "digest", "--username", "admin", "--password", "secret")
	x.phones["attic"] = startPhones(t, 1, "--name", "attic", "--model", "D785", "--https") // or it would take no firmware
	listen := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	x.homeAssistant = newHomeAssistant(t, release)
	x.paging = freePorts(t, 4)
	x.syslog = fmt.Sprintf("127.0.0.1:%d", freePort(t))
	x.env = []string{
		fmt.Sprintf("SNOM2MQTT_HOMEASSISTANT_URL=http://127.0.0.1:%d", x.port), "SNOM2MQTT_HOMEASSISTANT_TOKEN=" + x.token, "SNOM2MQTT_PAGING_INTERFACE=lo",
		"SNOM2MQTT_PHONES_FILE=" + x.file, "SNOM2MQTT_COMMAND_GAP=1ms", "SNOM2MQTT_AVAILABILITY_INTERVAL=1s",
		"SNOM2MQTT_PHONE_LISTEN=" + listen, "SNOM2MQTT_SYSLOG_LISTEN=" + x.syslog, "SNOM2MQTT_PHONE_TOKEN_SECRET=0123456789abcdef",
		"SNOM2MQTT_FIRMWARE_HOSTS=firmware.example", "SNOM2MQTT_FIRMWARE_LATEST=https://firmware.example/snom{model}-10.1.198.19-SIP-r.bin",
		"SNOM2MQTT_LOG_LEVEL=warn", "SNOM2MQTT_STATE_DIRECTORY=" + t.TempDir(),
	}
	if x.m.login {
		x.env = append(x.env, "SNOM2MQTT_MQTT_USERNAME=snom2mqtt", "SNOM2MQTT_MQTT_PASSWORD=snom2mqtt-secret")
	}
	x.configure("kitchen", "hall", "attic")
	for name := range x.phones {
		c := start(t, "action-urls", x.env, program(t), "action-urls", name, "--install")
		if c.wait() != 0 {
			t.Fatalf("action-urls: %q", c.stderr())
		}
	}
	x.bridge = x.m.startBridge(t, x.env...)
	x.run(x.m, automations(t, release), "../examples/homeassistant")
	return x
}

// configure writes the phones file: phones as they are called now, each with the name it began with after a
// colon where that is another. The attic's is open to a reset and to firmware unless it is disabled.
func (x *home) configure(names ...string) {
	x.t.Helper()
	text, paging := "phones:\n", fmt.Sprintf("paging:\n  all: {address: \"239.255.10.1:%d\"}\n", x.paging)
	doors := ""
	for _, name := range names {
		name, shut := strings.CutSuffix(name, ":shut")
		now, was, renamed := strings.Cut(name, ":")
		if !renamed {
			was = now
		}
		text += fmt.Sprintf("  %s: {url: %q", now, x.phones[was].urls[0])
		switch was {
		case "kitchen":
			text += panelKeys
		case "hall":
			text += ", username: admin, password: secret, model: \"870\""
		case "attic":
			text += ", insecure: true, mask: [dtmf]"
			if !shut {
				text += ", allow: [reset, firmware]"
			}
		case "cellar":
			text += ", area: Below" // a part of the entity ids in newer releases
		}
		text += "}\n"
		if was == "kitchen" {
			paging += fmt.Sprintf("  %s: {address: \"239.255.10.3:%d\"}\n", now, x.paging+2)
			doors = gardenDoor(now, x.camera)
		}
	}
	text += paging + doors
	if err := os.WriteFile(x.file, []byte(text), 0o600); err != nil {
		x.t.Fatal(err)
	}
}

// documents returns what the bridge has told Home Assistant, by the name of the device.
func (x *home) documents() map[string]homeassistant.Document {
	x.t.Helper()
	w := x.m.watch("homeassistant/device/+/config", "-W", "1")
	w.wait()
	all := map[string]homeassistant.Document{}
	for _, m := range w.messages() {
		if m.Payload != "" {
			d := decode[homeassistant.Document](x.t, m.Payload)
			all[d.Device.Name] = d
		}
	}
	return all
}

// everyEntityIsThere looks at the entities and devices of Home Assistant.
func (x *home) everyEntityIsThere() {
	x.t.Helper()
	x.entitiesAreThoseOfTheDocuments("Attic phone", "Hall phone", "Kitchen phone", "snom2mqtt")
	for entity, want := range map[string]string{
		"sensor.kitchen_phone_call_state": "unknown|idle", "binary_sensor.kitchen_phone_reachable": "on", "siren.kitchen_phone_ringer": "off",
		"button.hall_phone_answer": "unknown", "binary_sensor.snom2mqtt_connected": "on", "binary_sensor.kitchen_phone_problem": "off",
	} {
		x.shows(entity, want)
	}
	if u := x.shows("update.kitchen_phone_firmware_update", "on").Attributes; u["installed_version"] != "10.1.184.14" || u["latest_version"] != "10.1.198.19" {
		x.t.Errorf("the firmware is %v", u)
	}
	var devices []struct {
		ID, Name, Model string
		SW              string      `json:"sw_version"`
		URL             string      `json:"configuration_url"`
		Via             string      `json:"via_device_id"`
		ModelID         string      `json:"model_id"`
		Serial          string      `json:"serial_number"`
		Connections     [][2]string `json:"connections"`
	}
	x.ask(&devices, map[string]any{"type": "config/device_registry/list"})
	bridge := ""
	for _, d := range devices {
		if d.Name == "snom2mqtt" {
			bridge = d.ID
		}
	}
	for _, d := range devices {
		if d.Name == "Kitchen phone" && (d.Model != "D735" || d.SW != "10.1.184.14" || d.URL != x.phones["kitchen"].urls[0] || d.Via != bridge || len(d.Connections) != 1 ||
			d.ModelID != "snomD735" || len(d.Serial) != 12) {
			x.t.Errorf("the device is %+v", d)
		}
	}
}

// entitiesAreThoseOfTheDocuments compares the entities of Home Assistant with the documents of devices, whose names are sorted, and
// enables what is disabled.
func (x *home) entitiesAreThoseOfTheDocuments(names ...string) {
	x.t.Helper()
	var documents map[string]homeassistant.Document
	var has map[string]registered
	begin := time.Now()
	eventually(x.t, "the devices and their entities are there", func() bool {
		documents, has = x.documents(), x.registry()
		n := 0
		for _, d := range documents {
			n += len(d.Components)
		}
		// What is missing for long is reported below.
		return slices.Equal(slices.Sorted(maps.Keys(documents)), names) && (len(has) == n || time.Since(begin) > timeLimit/2)
	})
	var enable []map[string]any
	for _, d := range documents {
		for key, c := range d.Components {
			r, there := has[c.UniqueID+" "+c.Platform]
			delete(has, c.UniqueID+" "+c.Platform)
			if !there || (r.Disabled != "") != (c.Enabled != nil) {
				x.t.Errorf("%s %s: there %v, disabled by %q, want it there, disabled %v", d.Device.Name, key, there, r.Disabled, c.Enabled != nil)
			}
			if there && r.Disabled != "" {
				enable = append(enable, map[string]any{"type": "config/entity_registry/update", "entity_id": r.Entity, "disabled_by": nil})
			}
		}
	}
	for id := range has {
		x.t.Errorf("no document has %s", id)
	}
	x.ask(nil, enable...)
	<-time.After(32 * time.Second) // Home Assistant loads the integration of enabled entities again after 30 s; nothing reports it
	eventually(x.t, "all entities are available", func() bool {
		states := x.states()
		for _, r := range x.registry() {
			if s, there := states[r.Entity]; !there || s.State == "unavailable" {
				return false
			}
		}
		return true
	})
}

// everyServiceReachesThePhone uses every entity that sends, and looks at what the phone did.
func (x *home) everyServiceReachesThePhone() {
	x.t.Helper()
	type use struct {
		service string
		data    []string
		want    string // the request; empty: none
	}
	// What is no button with a payload of its own: what those do follows from the payload.
	uses := map[string][]use{
		"dial":            {{"text.set_value", []string{"value", "+4930123"}, "/command.htm?number=%2B4930123"}},
		"dial_message":    {{"notify.send_message", []string{"message", "27@pbx.example"}, "/command.htm?number=27@pbx.example"}},
		"dtmf":            {{"text.set_value", []string{"value", "12#"}, "/command.htm?key_dtmf=12%23"}},
		"dtmf_message":    {{"notify.send_message", []string{"message", "*9"}, "/command.htm?key_dtmf=%2A9"}},
		"key":             {{"text.set_value", []string{"value", "P1;*"}, "/command.htm?key=P1;%2A"}},
		"key_message":     {{"notify.send_message", []string{"message", "OFFHOOK"}, "/command.htm?key=OFFHOOK"}},
		"touch":           {{"text.set_value", []string{"value", "10 20 pr"}, "/command.htm?touch=10%2020%20pr"}},
		"touch_message":   {{"notify.send_message", []string{"message", "1 2"}, "/command.htm?touch=1%202"}},
		"transfer_cancel": {{"button.press", nil, "/command.htm?key=CANCEL"}},
		"ringer": {
			{"siren.turn_on", nil, "/line_login.htm?PLAY_RINGER:1=+Ringer"},
			{"siren.turn_on", []string{"tone", "Ringer 7"}, "/line_login.htm?PLAY_RINGER:7=+Ringer"},
			{"siren.turn_off", nil, ""},
		},
	}
	readBack := []string{"forward", "forward_to", "keyboard_lock"}                               // see settingsAreReadBack
	last := map[string]bool{"reboot": true, "reset": true, "firmware_url": true, "update": true} // nothing works for a while then
	for _, name := range []string{"kitchen", "hall", "attic"} {
		d := x.documents()[strings.ToUpper(name[:1])+name[1:]+" phone"]
		has := x.registry()
		entity := func(key string) string {
			c := d.Components[key]
			return has[c.UniqueID+" "+c.Platform].Entity
		}
		phone := x.phones[name]
		for _, key := range slices.Sorted(maps.Keys(d.Components)) {
			c := d.Components[key]
			switch {
			case c.CommandTopic == "" || last[key] || strings.HasPrefix(key, "transfer") && key != "transfer_cancel" || key == "dnd" || key == "ask" || slices.Contains(readBack, key), usesOfThePanel(key), key == "announce": // see announcementsAreHeard
			case len(uses[key]) > 0:
				if key == "transfer_cancel" {
					x.call("text.set_value", entity("transfer"), "value", "28")
					x.did(name, "/command.htm?key=F_HOLD", "/command.htm?key=2", "/command.htm?key=8", "/command.htm?key=ENTER")
				}
				for _, u := range uses[key] {
					before := len(phone.targets(name))
					x.call(u.service, entity(key), u.data...)
					if u.want != "" {
						x.did(name, u.want)
						if c.Platform == "text" {
							x.shows(entity(key), "") // it does not remember
						}
					} else if n := len(phone.targets(name)); n != before {
						x.t.Errorf("%s %s: the phone did %q, want nothing", name, key, phone.targets(name)[before:])
					}
				}
			case c.Platform == "button":
				before := len(phone.targets(name))
				command, err := snom.ParsePayload(snom.Verb(path.Base(c.CommandTopic)), []byte(c.PayloadPress))
				if err != nil {
					x.t.Fatal(err)
				}
				x.call("button.press", entity(key))
				var requests []string
				for _, step := range command.Steps("") {
					requests = append(requests, step.Request)
				}
				x.did(name, requests...)
				if n := len(phone.targets(name)); len(requests) == 0 && n != before {
					x.t.Errorf("%s %s: the phone did %q, expected nothing", name, key, phone.targets(name)[before:])
				}
			default:
				x.t.Errorf("%s: no use of %s is tested", name, key)
			}
		}
		if name == "kitchen" {
			x.post("/api/services/siren/turn_on", map[string]any{"entity_id": entity("ringer"), "tone": "Ringer 3", "duration": 5}, nil)
			ring := "/line_login.htm?PLAY_RINGER:3=+Ringer"
			x.did(name, ring, ring, ring)
			x.call("notify.send_message", entity("transfer_message"), "message", "9")
			x.did(name, "/command.htm?key=9", "/command.htm?key=ENTER")
			x.call("button.press", entity("transfer_complete"))
			x.did(name, "/command.htm?key=TRANSFER")
		}
		if name == "kitchen" {
			x.settingsAreReadBack(name, entity)
		}
		// goes waits for what makes a phone go, and brings it back sooner.
		goes := func(want string) {
			x.t.Helper()
			x.did(name, want)
			x.shows(entity("reachable"), "off")
			x.control(name, "reboot?down=100ms")
			x.shows(entity("reachable"), "on")
		}
		if name == "hall" {
			x.call("button.press", entity("reboot"))
			goes("/advanced_update.htm?reboot=Reboot")
		}
		if name == "attic" {
			x.call("update.install", entity("update"))
			goes("/dummy.htm?swload=load&firmware=https://firmware.example/snomD785-10.1.198.19-SIP-r.bin")
			x.call("text.set_value", entity("firmware_url"), "value", "https://firmware.example/snomD735.bin")
			goes("/dummy.htm?swload=load&firmware=https://firmware.example/snomD735.bin")
			x.call("button.press", entity("reset"))
			x.did(name, "/advanced_update.htm?reset=Reset")
		}
	}
	x.call("button.press", "button.snom2mqtt_reload_phones")
}

// settingsAreReadBack switches what is a setting of a phone, and looks at what Home Assistant shows then.
func (x *home) settingsAreReadBack(name string, entity func(key string) string) {
	x.t.Helper()
	const save = "/dummy.htm?settings=save&store_settings=save"
	x.call("text.set_value", entity("forward_to"), "value", "+4930123")
	x.did(name, save+"&fwd_all_enabled=on&fwd_all_target=%2B4930123")
	x.shows(entity("forward_to"), "+4930123")
	x.shows(entity("forward"), "on")
	x.call("switch.turn_off", entity("forward"))
	x.did(name, save+"&fwd_all_enabled=off")
	x.shows(entity("forward"), "off")
	x.call("switch.turn_on", entity("keyboard_lock"))
	x.did(name, save+"&keyboard_lock=on")
	x.shows(entity("keyboard_lock"), "on")
	x.call("switch.turn_off", entity("keyboard_lock"))
	x.did(name, save+"&keyboard_lock=off")
	x.shows(entity("keyboard_lock"), "off")
}

// did waits until the last that a phone did is this.
func (x *home) did(name string, want ...string) {
	x.t.Helper()
	for late := time.Now().Add(timeLimit); ; <-time.After(10 * time.Millisecond) {
		all := x.phones[name].targets(name)
		if slices.Equal(tail(all, len(want)), want) {
			return
		}
		if time.Now().After(late) {
			x.t.Fatalf("the last that %s did was %q, want %q", name, tail(all, len(want)+3), want)
		}
	}
}

// control does something at a phone.
func (x *home) control(name, action string) {
	x.t.Helper()
	x.phones[name].play(name + "/" + action)
}

// aCallMovesTheStates plays calls at a phone.
func (x *home) aCallMovesTheStates() {
	x.t.Helper()
	x.control("kitchen", "dnd?on=false") // so many keys were pressed
	x.control("kitchen", "reboot?down=100ms")
	x.shows("sensor.kitchen_phone_call_state", "idle")
	x.shows("binary_sensor.kitchen_phone_reachable", "on")
	x.control("kitchen", "ring?number=%2B4930123&name=Front+door")
	s := x.shows("sensor.kitchen_phone_call_state", "ringing")
	if s.Attributes["direction"] != "in" {
		x.t.Errorf("the call is %v", s.Attributes)
	}
	x.shows("binary_sensor.kitchen_phone_ringing", "on")
	x.shows("sensor.kitchen_phone_last_caller", "Front door")
	x.shows("sensor.kitchen_phone_other_party", "Front door")
	eventually(x.t, "the event", func() bool {
		a := x.states()["event.kitchen_phone_event"].Attributes
		remote, _ := a["remote"].(map[string]any)
		return a["event_type"] == "incoming" && remote["number"] == "+4930123"
	})
	x.call("button.press", "button.kitchen_phone_answer")
	x.shows("sensor.kitchen_phone_call_state", "connected")
	x.shows("binary_sensor.kitchen_phone_in_call", "on")
	x.shows("binary_sensor.kitchen_phone_ringing", "off")
	x.call("button.press", "button.kitchen_phone_hang_up")
	x.shows("sensor.kitchen_phone_call_state", "ended|idle")
	x.shows("binary_sensor.kitchen_phone_in_call", "off")
	x.shows("sensor.kitchen_phone_call_state", "idle")

	x.m.publish("snom/kitchen/dial", "no number")
	result := x.shows("sensor.kitchen_phone_last_result", "invalid")
	if message, _ := result.Attributes["message"].(string); !strings.Contains(message, "expected") || result.Attributes["command"] != "dial" {
		x.t.Errorf("the last result is %v, expected the reason", result.Attributes)
	}

	x.control("kitchen", "dnd?on=false")
	x.shows("switch.kitchen_phone_do_not_disturb", "off")
	x.call("button.press", "button.kitchen_phone_ask_for_state")
	result = x.shows("sensor.kitchen_phone_last_result", "ok")
	if result.Attributes["command"] != "ask" {
		x.t.Errorf("the last result is %v, expected that of ask", result.Attributes)
	}
	for range 2 { // the second time the phone is as wanted
		x.call("switch.turn_on", "switch.kitchen_phone_do_not_disturb")
		x.shows("switch.kitchen_phone_do_not_disturb", "on")
	}
	x.call("switch.turn_off", "switch.kitchen_phone_do_not_disturb")
	x.shows("switch.kitchen_phone_do_not_disturb", "off")
	// The state of the switch is late; what counts is the last call.
	for _, service := range []string{"switch.turn_on", "switch.turn_on", "switch.turn_off", "switch.turn_on"} {
		x.call(service, "switch.kitchen_phone_do_not_disturb")
	}
	x.shows("switch.kitchen_phone_do_not_disturb", "on")
	x.call("switch.turn_off", "switch.kitchen_phone_do_not_disturb")
	x.shows("switch.kitchen_phone_do_not_disturb", "off")
}

// trickyNumbers are numbers and codes that are not what they are as numbers, and some that are.
func trickyNumbers() []string {
	return []string{"+4930123", "0123", "0000", "007", "00491701234567", "110", "1"}
}
func trickyCodes() []string {
	return []string{"0815#", "0000", "007", "12", "*0#", "1234567890123456789"}
}

// automations is a configuration with every blueprint in use, the automations of docs/home-assistant.md as they are, and
// something that plays music. They wait until there is everything that they refer to.
func automations(t *testing.T, release string) string {
	t.Helper()
	text := `input_boolean:
  music:
  washer:
input_text:
  door_code:
  answer:
  played:
    max: 255
media_player:
  - platform: universal
    name: Loudspeaker
    state_template: idle
    commands:
      play_media: {action: input_text.set_value, target: {entity_id: input_text.played}, data: {value: "{{ media_content_id[:200] }}"}}
  - platform: universal
    name: Music
    state_template: "{{ 'playing' if is_state('input_boolean.music', 'on') else 'paused' }}"
    commands:
      media_play: {action: input_boolean.turn_on, target: {entity_id: input_boolean.music}}
      media_pause: {action: input_boolean.turn_off, target: {entity_id: input_boolean.music}}
`
	for i, block := range documentedAutomations(t, release) {
		text += fmt.Sprintf("automation docs%d:\n  - initial_state: false\n    id: docs%d\n    %s\n", i, i, strings.ReplaceAll(strings.TrimSpace(block), "\n", "\n    "))
	}
	text += `script:
` + mobilePhone + `  speak:
    use_blueprint:
      path: snom2mqtt/speak_at_phones.yaml
      input:
        phones: [notify.snom2mqtt_announce_to_all]
        engine: tts.piper
automation:
  - alias: music
    initial_state: false
    use_blueprint:
      path: snom2mqtt/call_pauses_music.yaml
      input:
        phones: [binary_sensor.kitchen_phone_in_call, binary_sensor.kitchen_phone_ringing]
        players: [media_player.music]
  - alias: announce
    initial_state: false
    use_blueprint:
      path: snom2mqtt/announce_at_phones.yaml
      input:
        triggers: [{trigger: event, event_type: announce_it}]
        message: "{{ trigger.event.data.what }}"
        phones: [notify.snom2mqtt_announce_to_all]
        chime: true
        gain: -3
  - alias: busy
    initial_state: false
    use_blueprint:
      path: snom2mqtt/busy_light.yaml
      input:
        phones: [binary_sensor.kitchen_phone_in_call]
        light: light.front_door_light
` + panelAutomations + intercomAutomation
	for i, number := range append(trickyNumbers(), "**61") {
		text += fmt.Sprintf(`  - alias: doorbell %d
    initial_state: false
    use_blueprint:
      path: snom2mqtt/doorbell_rings_phones.yaml
      input:
        doorbell: event.front_door_bell
        ringers: [siren.kitchen_phone_ringer, siren.hall_phone_ringer]
        tone: Ringer 4
        duration: 1
        dialers: [notify.hall_phone_dial]
        number: %q
`, i, number)
	}
	for i, code := range trickyCodes() {
		text += fmt.Sprintf(`  - alias: door %d
    initial_state: false
    use_blueprint:
      path: snom2mqtt/door_opens_by_dtmf.yaml
      input:
        button: button.front_door_open
        dtmf: %s
        call_state: sensor.kitchen_phone_call_state
        code: %q
`, i, []string{"text.kitchen_phone_dtmf_to_send", "notify.kitchen_phone_dtmf"}[i%2], code)
	}
	return text
}

// newerOnly begins the automations in docs/home-assistant.md that older releases do not read.
const newerOnly = "# Home Assistant 2026.11\n"

// documentedAutomations returns the automations in docs/home-assistant.md that a release reads.
func documentedAutomations(t *testing.T, release string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile("../docs/home-assistant.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		block, newer := strings.CutPrefix(m[1], newerOnly)
		if newer && release != newestHomeAssistant {
			continue
		}
		if !strings.HasPrefix(block, "alias: ") {
			t.Errorf("docs/home-assistant.md: expected whole automations, which tests can run:\n%s", m[1])
		}
		blocks = append(blocks, block)
	}
	return blocks
}

// frontDoor is a doorbell, a button and a light, as Home Assistant learns of them.
const frontDoor = `{"device":{"identifiers":["front_door"],"name":"Front door"},"origin":{"name":"test"},"components":{
"bell":{"platform":"event","unique_id":"front_door_bell","name":"Bell","device_class":"doorbell","event_types":["ring"],"state_topic":"front_door/bell"},
"open":{"platform":"button","unique_id":"front_door_open","name":"Open","command_topic":"front_door/open"},
"light":{"platform":"light","unique_id":"front_door_light","name":"Light","schema":"json","supported_color_modes":["rgb"],"command_topic":"front_door/light"}}}`

// blueprintsFire plays a visitor, who rings at the door, calls, is let in, and goes.
func (x *home) blueprintsFire() {
	x.t.Helper()
	var check struct{ Result, Errors string }
	x.post("/api/config/core/check_config", nil, &check)
	if check.Result != "valid" || check.Errors != "" {
		x.t.Errorf("the configuration is %+v", check)
	}
	files, err := filepath.Glob("../examples/homeassistant/*.yaml")
	if err != nil || len(files) == 0 {
		x.t.Fatalf("%d blueprints, %v", len(files), err)
	}
	for _, file := range files {
		if !strings.Contains(automations(x.t, x.release), "path: snom2mqtt/"+filepath.Base(file)) {
			x.t.Errorf("%s is not in use", file)
		}
	}
	x.m.publish("homeassistant/device/front_door/config", frontDoor, "-r")
	x.shows("event.front_door_bell", "unknown")
	x.m.until("Home Assistant subscribes to the bell", func(_, log []string) bool {
		return slices.ContainsFunc(log, func(l string) bool { return strings.HasSuffix(l, " 0 front_door/bell") })
	})
	for _, alias := range []string{"music", "busy"} {
		x.call("automation.turn_on", "automation."+alias)
	}
	x.call("input_boolean.turn_on", "input_boolean.music")
	x.shows("media_player.music", "playing")

	x.theQuestionIsAnswered()
	x.doorbells()
	x.doors()
	x.control("kitchen", "ring?number=**61&name=Front+door")
	x.shows("media_player.music", "paused")
	x.control("kitchen", "answer")
	x.shows("light.front_door_light", "on")
	x.control("kitchen", "hangup")
	x.shows("light.front_door_light", "off")
	x.shows("media_player.music", "playing")
	x.musicStaysPaused()
	x.documentedAutomationsWork()
}

// with runs f while an automation is on.
func (x *home) with(automation string, f func()) {
	x.t.Helper()
	x.call("automation.turn_on", automation)
	f()
	x.call("automation.turn_off", automation)
}

// doorbells has the bell ring once for each number.
func (x *home) doorbells() {
	x.t.Helper()
	const ring = "/line_login.htm?PLAY_RINGER:4=+Ringer"
	for i, number := range append(trickyNumbers(), "**61") {
		x.with(fmt.Sprintf("automation.doorbell_%d", i), func() {
			before := len(x.phones["kitchen"].targets("kitchen"))
			x.m.publish("front_door/bell", `{"event_type":"ring"}`)
			x.did("hall", ring, "/command.htm?number="+url.QueryEscape(number))
			eventually(x.t, "the kitchen rings", func() bool {
				return slices.Equal(x.phones["kitchen"].targets("kitchen")[before:], []string{ring})
			})
		})
		x.hangUp("hall")
	}
}

// doors has the button pressed once for each code: without a call, which does nothing, and in one.
func (x *home) doors() {
	x.t.Helper()
	for i, code := range trickyCodes() {
		x.with(fmt.Sprintf("automation.door_%d", i), func() {
			before := len(x.phones["kitchen"].targets("kitchen"))
			x.call("button.press", "button.front_door_open")
			x.control("kitchen", "ring?number=**61&name=Front+door")
			x.control("kitchen", "answer")
			x.shows("sensor.kitchen_phone_call_state", "connected")
			x.call("button.press", "button.front_door_open")
			want := []string{"/command.htm?key_dtmf=" + url.QueryEscape(code)}
			eventually(x.t, "the code "+code+" is sent", func() bool {
				return slices.Equal(x.phones["kitchen"].targets("kitchen")[before:], want)
			})
			x.control("kitchen", "hangup")
			x.shows("sensor.kitchen_phone_call_state", "ended|idle")
		})
	}
}

// musicStaysPaused has a call that rings be answered, where for a moment neither entity is on.
func (x *home) musicStaysPaused() {
	x.t.Helper()
	set := func(entity, state string) {
		x.post("/api/states/binary_sensor.kitchen_phone_"+entity, map[string]any{"state": state}, nil)
	}
	x.shows("sensor.kitchen_phone_call_state", "idle") // or it changes to it meanwhile, and all with it
	for range 5 {                                      // on a busy machine the moment may be too long
		set("ringing", "on")
		x.shows("media_player.music", "paused")
		set("ringing", "off")
		begin := time.Now()
		set("in_call", "on")
		moment := time.Since(begin)
		<-time.After(3 * time.Second) // longer than the blueprint waits
		state := x.states()["media_player.music"].State
		set("in_call", "off")
		x.shows("media_player.music", "playing")
		if moment < time.Second {
			if state != "paused" {
				x.t.Errorf("the music is %s in a call, expected paused", state)
			}
			return
		}
	}
}

// hangUp ends the calls of a phone.
func (x *home) hangUp(name string) {
	x.t.Helper()
	x.call("button.press", "button."+name+"_phone_hang_up")
	eventually(x.t, name+" has no call", func() bool {
		return len(decode[struct{ Calls []any }](x.t, x.phones[name].ask(name)).Calls) == 0
	})
	x.shows("sensor."+name+"_phone_call_state", "ended|idle")
}

// talk answers the call that rings in the kitchen, and ends it.
func (x *home) talk() {
	x.t.Helper()
	x.control("kitchen", "answer")
	x.shows("sensor.kitchen_phone_call_state", "connected")
	x.control("kitchen", "hangup")
	x.shows("sensor.kitchen_phone_call_state", "ended|idle")
}

// documentedAutomationsWork runs the automations of docs/home-assistant.md.
func (x *home) documentedAutomationsWork() {
	x.t.Helper()
	fire := func(event string) {
		x.t.Helper()
		x.post("/api/events/"+event, map[string]any{}, nil)
	}
	for i := range documentedAutomations(x.t, x.release) {
		var found string
		for id, s := range x.states() {
			if strings.HasPrefix(id, "automation.") && s.Attributes["id"] == fmt.Sprintf("docs%d", i) {
				found = id
			}
		}
		if found == "" {
			x.t.Fatalf("automation %d of docs/home-assistant.md is not loaded", i)
		}
		x.call("automation.turn_on", found)
		defer x.call("automation.turn_off", found)
	}
	fire("call_the_office")
	x.did("kitchen", "/command.htm?number=%2B4930123")
	x.hangUp("kitchen")
	for _, number := range trickyNumbers() {
		x.control("kitchen", "ring?number="+url.QueryEscape(number))
		eventually(x.t, number+" is the last caller", func() bool {
			return x.states()["sensor.kitchen_phone_last_caller"].Attributes["number"] == number
		})
		x.talk()
		fire("call_back")
		x.did("kitchen", "/command.htm?number="+url.QueryEscape(number))
		x.hangUp("kitchen")
	}
	for _, code := range trickyCodes() {
		x.call("input_text.set_value", "input_text.door_code", "value", code)
		fire("send_the_code")
		x.did("kitchen", "/command.htm?key_dtmf="+url.QueryEscape(code))
	}
	x.control("kitchen", "ring?number=**61&name=Front+door")
	x.did("hall", "/line_login.htm?PLAY_RINGER:2=+Ringer")
	x.talk()
	if x.release == newestHomeAssistant {
		x.control("kitchen", "ring?number=28")
		x.shows("sensor.kitchen_phone_call_state", "ringing")
		x.control("kitchen", "remote-hangup")
		x.did("hall", "/line_login.htm?PLAY_RINGER:6=+Ringer")
	}
	fire("all_phones_ring")
	for _, name := range []string{"kitchen", "hall"} { // the attic's was reset not long ago
		x.did(name, "/line_login.htm?PLAY_RINGER:3=+Ringer", "/line_login.htm?PLAY_RINGER:3=+Ringer")
	}
}

// phonesComeAndGo has a phone go and come back.
func (x *home) phonesComeAndGo() {
	x.t.Helper()
	x.control("hall", "fault?value=refuse-connections")
	x.shows("binary_sensor.hall_phone_reachable", "off")
	for _, entity := range []string{"button.hall_phone_answer", "siren.hall_phone_ringer", "sensor.hall_phone_call_state"} {
		x.shows(entity, "unavailable")
	}
	x.shows("siren.kitchen_phone_ringer", "off")
	x.control("hall", "fault?value=none")
	x.shows("binary_sensor.hall_phone_reachable", "on")
	x.shows("siren.hall_phone_ringer", "off")
}

// nothingToComplainOf looks at Home Assistant's log.
func (x *home) nothingToComplainOf(but ...string) {
	x.t.Helper()
	for _, line := range x.complaints(but...) {
		x.t.Errorf("Home Assistant says: %s", line)
	}
}

// allIsBack waits until the home works.
func (x *home) allIsBack(what string) {
	x.t.Helper()
	begin := time.Now()
	x.shows("siren.kitchen_phone_ringer", "off")
	x.shows("siren.hall_phone_ringer", "off")
	x.shows("binary_sensor.kitchen_phone_reachable", "on")
	x.shows("binary_sensor.snom2mqtt_connected", "on")
	if !x.m.login { // a broker that was killed restores what it last saved, which may be older
		x.shows("sensor.kitchen_phone_last_caller", "Front door|unknown")
	}
	before := len(x.phones["kitchen"].targets("kitchen"))
	x.call("siren.turn_on", "siren.kitchen_phone_ringer", "tone", "Ringer 2")
	eventually(x.t, "the phone rings", func() bool {
		all := x.phones["kitchen"].targets("kitchen")
		return len(all) == before+1 && all[before] == "/line_login.htm?PLAY_RINGER:2=+Ringer"
	})
	x.t.Logf("%s: everything is back after %s", what, time.Since(begin).Round(time.Millisecond))
}

// everythingRestarts has each part end and start again, and then all of them.
func (x *home) everythingRestarts() {
	x.t.Helper()
	entities, devices := len(x.registry()), x.devices()
	again := func(what string, parts ...func()) {
		x.t.Helper()
		for _, f := range parts {
			f()
		}
		x.allIsBack(what)
		if n := len(x.registry()); n != entities {
			x.t.Errorf("%s: %d entities, expected %d", what, n, entities)
		}
		if now := x.devices(); !slices.Equal(now, devices) {
			x.t.Errorf("%s: the devices are %q, expected %q", what, now, devices)
		}
	}
	bridgeEnds, bridgeStarts := func() { x.bridge.stop() }, func() { x.bridge = x.m.startBridge(x.t, x.env...) }
	homeEnds, homeStarts := func() { x.homeAssistant.stop() }, func() { x.homeAssistant.start() }
	again("Home Assistant restarted", homeEnds, homeStarts)
	again("the bridge restarted", bridgeEnds, func() { x.shows("siren.hall_phone_ringer", "unavailable") }, bridgeStarts)
	// Home Assistant may be there before the bridge: its first command would reach nothing.
	bridgeSubscribes := func() {
		x.m.until("the bridge subscribes", func(_, log []string) bool {
			return slices.ContainsFunc(log, func(l string) bool { return strings.Contains(l, "Sending SUBACK to snom2mqtt-") })
		})
	}
	again("the broker killed, which keeps nothing", x.m.kill, x.m.start, bridgeSubscribes)
	again("all restarted", homeEnds, bridgeEnds, x.m.kill, x.m.start, bridgeStarts, homeStarts)
}

// devices returns the name of each device with what Home Assistant identifies it by.
func (x *home) devices() (all []string) {
	x.t.Helper()
	var devices []struct {
		ID, Name    string
		Identifiers [][]string
		Connections [][]string
	}
	x.ask(&devices, map[string]any{"type": "config/device_registry/list"})
	for _, d := range devices {
		all = append(all, fmt.Sprint(d))
	}
	slices.Sort(all)
	return all
}

// phonesAreRenamedRemovedAndAdded changes the phones file.
func (x *home) phonesAreRenamedRemovedAndAdded() {
	x.t.Helper()
	before := x.registry()
	reload := func(names ...string) {
		x.t.Helper()
		x.configure(names...)
		if err := x.bridge.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			x.t.Fatal(err)
		}
	}
	gone := func(entity string) {
		x.t.Helper()
		eventually(x.t, entity+" is gone", func() bool { return !x.has(entity) })
	}
	// The phone was reset not long ago, and the broker has lost what it kept of it meanwhile. Only what Home Assistant
	// was published can be taken back.
	x.shows("siren.attic_phone_ringer", "off")
	reload("kitchen", "hall", "attic:shut")
	gone("button.attic_phone_factory_reset")
	gone("text.attic_phone_install_firmware")
	x.shows("siren.attic_phone_ringer", "off|unavailable") // the phone was reset not long ago
	reload("office:kitchen", "hall")
	gone("siren.attic_phone_ringer")
	// What it was called at first stays in the ids of its entities.
	eventually(x.t, "the phone is renamed", func() bool {
		return x.states()["siren.kitchen_phone_ringer"].Attributes["friendly_name"] == "Office phone Ringer"
	})
	eventually(x.t, "the renamed phone rings", func() bool {
		if x.states()["siren.kitchen_phone_ringer"].State == "off" { // newer releases complain of a call while it is unavailable
			x.call("siren.turn_on", "siren.kitchen_phone_ringer", "tone", "Ringer 9")
		}
		return slices.Contains(x.phones["kitchen"].targets("kitchen"), "/line_login.htm?PLAY_RINGER:9=+Ringer")
	})
	x.entitiesRemain(before, "attic")
	reload("office:kitchen", "hall", "attic")
	x.shows("siren.attic_phone_ringer", "off")

	// When a disabled entity is deleted, older releases lose the whole device. It comes back.
	x.ask(nil, map[string]any{"type": "config/entity_registry/remove", "entity_id": "button.attic_phone_ok"})
	if x.release == newestHomeAssistant {
		x.says("Although entity button.attic_phone_ok was removed")
	} else {
		gone("siren.attic_phone_ringer")
	}
	x.shows("siren.attic_phone_ringer", "off")

	x.bridge.stop() // and what goes between two runs
	x.configure("office:kitchen", "hall")
	x.bridge = x.m.startBridge(x.t, x.env...)
	gone("siren.attic_phone_ringer")
	x.shows("siren.kitchen_phone_ringer", "off")
}

// entitiesRemain waits until the entities of a phone are gone, one after the other, and those of all others are there.
func (x *home) entitiesRemain(before map[string]registered, phone string) {
	x.t.Helper()
	var wrong []string
	defer func() {
		if x.t.Failed() {
			x.t.Logf("there and expected to be gone, or the other way round: %q", wrong)
		}
	}()
	eventually(x.t, "only the entities of "+phone+" are gone", func() bool {
		wrong = nil
		now := x.registry()
		for id, r := range before {
			if _, there := now[id]; there == strings.HasPrefix(r.Entity[strings.Index(r.Entity, ".")+1:], phone) {
				wrong = append(wrong, r.Entity)
			}
		}
		return len(wrong) == 0
	})
}

// theirKeys prints, as JSON, what keys and classes a release of Home Assistant knows.
const theirKeys = `
import importlib, json
from homeassistant.components.mqtt import schemas

def keys(schema):
    for inner in getattr(schema, "validators", ()):
        if hasattr(inner, "schema"):
            schema = inner
    return {str(k): type(k).__name__ == "Required" for k in schema.schema}

found = {
    "document": keys(schemas.DEVICE_DISCOVERY_SCHEMA),
    "device": keys(schemas.MQTT_ENTITY_DEVICE_INFO_SCHEMA),
    "origin": keys(schemas.MQTT_ORIGIN_INFO_SCHEMA),
}
classes = {}
for platform in "binary_sensor button event notify sensor siren switch text update".split():
    module = importlib.import_module("homeassistant.components.mqtt." + platform)
    found[platform] = keys(module.DISCOVERY_SCHEMA)
    name = "".join(part.capitalize() for part in platform.split("_")) + "DeviceClass"
    domain = importlib.import_module("homeassistant.components." + platform)
    if hasattr(domain, name):
        classes[platform] = [c.value for c in getattr(domain, name)]
print(json.dumps({"keys": found, "classes": classes}))
`

// TestTheTableIsHomeAssistants compares the table of keys with the schemas of every release that is here.
func TestTheTableIsHomeAssistants(t *testing.T) {
	t.Parallel()
	tried := 0
	for _, release := range []string{oldestHomeAssistant, middleHomeAssistant, newestHomeAssistant} {
		python := homeAssistantPython(t, release)
		if python == "" {
			continue
		}
		tried++
		printed := start(t, "python", nil, python, "-c", theirKeys)
		if printed.wait() != 0 {
			t.Fatalf("%s: %q", release, printed.stderr())
		}
		theirs := decode[struct {
			Keys    map[string]map[string]bool // true: required
			Classes map[string][]string
		}](t, strings.Join(printed.stdout(), "\n"))
		ours := map[string]map[string]homeassistant.KeyRow{}
		for _, r := range homeassistant.KeyRows() {
			where := []string{r.Where}
			switch r.Where {
			case "availability":
				continue // which is no schema of its own
			case "entity":
				where = slices.Collect(maps.Keys(theirs.Classes))
				where = append(where, "notify", "siren", "text")
			}
			for _, w := range where {
				if ours[w] == nil {
					ours[w] = map[string]homeassistant.KeyRow{}
				}
				ours[w][r.Key] = r
			}
		}
		for where, keys := range theirs.Keys {
			for key, required := range keys {
				if r, known := ours[where][key]; required && (!known || !r.Need) {
					t.Errorf("%s: %s wants %s", release, where, key)
				}
			}
			for key, r := range ours[where] {
				_, known := keys[key]
				if !known && key != "platform" { // which is taken out before
					t.Errorf("%s: %s does not know %s", release, where, key)
				}
				if key != "device_class" {
					continue
				}
				for class := range strings.FieldsSeq(r.Detail) {
					if !slices.Contains(theirs.Classes[where], class) {
						t.Errorf("%s: %s has no device class %s", release, where, class)
					}
				}
			}
		}
	}
	if tried == 0 {
		missing(t, "Home Assistant")
	}
}
