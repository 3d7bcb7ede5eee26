package homeassistant

import (
	"fmt"
	"slices"
	"strings"

	"github.com/snom2mqtt/snom2mqtt/callstate"
	"github.com/snom2mqtt/snom2mqtt/internal/loglevel"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
	"github.com/snom2mqtt/snom2mqtt/snom/notify"
)

// An entity is one row of the tables below. One more entity is one more row: the documents, their check, the tables in
// docs/home-assistant.md (`make docs`) and the tests with a real Home Assistant follow.
type entity struct {
	// key must never change: it is a part of the identifier by which Home Assistant remembers the entity.
	key string
	// note is the description in docs/home-assistant.md. Successive rows with the same note are one line there.
	note string
	// Component is what does not depend on the phone.
	Component
	// state is the topic of the state, and attributes says that the same topic has attributes.
	state      topicKind
	attributes bool
	// verb is the command whose topic the entity publishes to. An entity whose PayloadPress the model cannot carry out,
	// or whose verb is gated and not enabled, does not exist.
	verb snom.Verb
	// when, if set, reports whether the phone has the entity.
	when func(d *describer) bool
	// fit, if set, completes the component with what depends on the phone.
	fit func(d *describer, c *Component)
}

// A topicKind is a retained or repeated topic of a device.
type topicKind int

const (
	noTopic topicKind = iota
	statusTopic
	availabilityTopic
	eventTopic
	bridgeStateTopic
	bridgeInfoTopic
)

// A describer makes the components of one device.
type describer struct {
	b     Bridge
	id    string // of the device
	p     Phone  // zero for the bridge
	model snom.Model
}

// entities are the tables of those of a phone.
var entities = [][]entity{stateEntities, commandEntities, panelEntities, keyEntities(), programmableKeyEntities(), settingEntities}

// stateEntities show what the bridge and the phone report.
var stateEntities = []entity{
	{
		key: "reachable", note: "whether the phone answers; available as long as the bridge is, all else only while the phone answers",
		Component: Component{
			Platform: "binary_sensor", Name: "Reachable", DeviceClass: "connectivity", EntityCategory: "diagnostic",
			PayloadOn: "online", PayloadOff: "offline",
		},
		state: availabilityTopic,
		fit: func(d *describer, c *Component) {
			c.Availability, c.AvailabilityMode = []Availability{{d.b.Tree.State()}}, "all"
		},
	},
	{
		key: "last_result", note: "the code of the last command, with command, message and time as attributes",
		Component: Component{
			Platform: "sensor", Name: "Last result", Icon: "mdi:check-network-outline", EntityCategory: "diagnostic",
			ValueTemplate:      "{{ value_json.last_result.code if value_json.last_result else None }}",
			AttributesTemplate: "{{ (value_json.last_result or {}) | tojson }}",
		},
		state: statusTopic, attributes: true,
	},
	{
		key: "problem", note: "the login is refused or the phone locked, remote control is blocked, action URLs are missing, or the settings do not fit; what, and the remedy, as attributes",
		Component: Component{
			Platform: "binary_sensor", Name: "Problem", DeviceClass: "problem", EntityCategory: "diagnostic",
			ValueTemplate:      "{{ 'ON' if value_json.problem is defined else 'OFF' }}",
			AttributesTemplate: "{{ {'problem': value_json.problem | default(None), 'remedy': value_json.remedy | default(None)} | tojson }}",
		},
		state: statusTopic, attributes: true,
		fit: func(d *describer, c *Component) {
			c.Availability, c.AvailabilityMode = []Availability{{d.b.Tree.State()}}, "all"
		},
	},
	{
		key: "firmware", note: "the phone's firmware",
		Component: Component{
			Platform: "sensor", Name: "Firmware", Icon: "mdi:chip", EntityCategory: "diagnostic", Enabled: no(),
			ValueTemplate: "{{ value_json.firmware }}",
		},
		state: statusTopic,
	},
	{
		key: "update", note: "the installed firmware, and the newest one that [the settings](settings.md) name: see below",
		Component: Component{Platform: "update", Name: "Firmware update", DeviceClass: "firmware", EntityCategory: "config"},
		state:     statusTopic, fit: firmwareUpdate,
	},
	{
		key: "call_state", note: "with direction, other party and since when as attributes", when: hasEvents,
		Component: Component{
			Platform: "sensor", Name: "Call state", Icon: "mdi:phone", DeviceClass: "enum", Options: callStates(),
			ValueTemplate:      "{{ value_json.call.state if value_json.call else None }}",
			AttributesTemplate: "{{ (value_json.call or {}) | tojson }}",
		},
		state: statusTopic, attributes: true,
	},
	{
		key: "event", note: "every event of the phone, as in [topics](topics.md#events), its details as attributes", when: hasEvents,
		Component: Component{Platform: "event", Name: "Event", Icon: "mdi:phone-log", EventTypes: eventTypes(), QoS: 1},
		state:     eventTopic,
	},
	{
		key: "last_caller", note: "name or number; both, and when, as attributes", when: hasEvents,
		Component: Component{
			Platform: "sensor", Name: "Last caller", Icon: "mdi:phone-incoming",
			ValueTemplate:      "{% set c = value_json.last_caller %}{{ (c.name or c.number or 'Anonymous')[:255] if c else None }}",
			AttributesTemplate: "{{ (value_json.last_caller or {}) | tojson }}",
		},
		state: statusTopic, attributes: true,
	},
	{
		key: "ringing", note: "a call rings", when: hasEvents,
		Component: Component{
			Platform: "binary_sensor", Name: "Ringing", Icon: "mdi:phone-ring", ValueTemplate: callIn(callstate.Ringing),
		},
		state: statusTopic,
	},
	{
		key: "in_call", note: "a call is connected or held", when: hasEvents,
		Component: Component{
			Platform: "binary_sensor", Name: "In call", Icon: "mdi:phone-in-talk", ValueTemplate: callIn(callstate.Connected, callstate.Held),
		},
		state: statusTopic,
	},
	{
		key: "other_party", note: "name or number of the other end of the call", when: hasEvents,
		Component: Component{
			Platform: "sensor", Name: "Other party", Icon: "mdi:account-voice", Enabled: no(),
			ValueTemplate: "{% set c = value_json.call %}{{ (c.remote.name or c.remote.number or 'None')[:255] if c else None }}",
		},
		state: statusTopic,
	},
	{
		key: "calls", note: "how many calls the phone has", when: hasEvents,
		Component: Component{
			Platform: "sensor", Name: "Calls", Icon: "mdi:phone", StateClass: "measurement", Enabled: no(),
			ValueTemplate: "{{ value_json.calls }}",
		},
		state: statusTopic,
	},
	{
		key: "missed", note: "calls missed since the list was cleared by the bridge", when: hasEvents,
		Component: Component{
			Platform: "sensor", Name: "Missed calls", Icon: "mdi:phone-missed", StateClass: "measurement", Enabled: no(),
			ValueTemplate: "{{ value_json.missed }}",
		},
		state: statusTopic,
	},
	{
		key: "offhook", note: "the handset is lifted", when: hasEvents,
		Component: Component{
			Platform: "binary_sensor", Name: "Handset lifted", Icon: "mdi:phone-outline", Enabled: no(),
			ValueTemplate: "{% set h = value_json.hook %}{{ None if h is none else 'ON' if h == 'off' else 'OFF' }}",
		},
		state: statusTopic,
	},
	{
		key: "forwarding", note: "calls are forwarded", when: hasEvents,
		Component: Component{
			Platform: "binary_sensor", Name: "Forwarding", Icon: "mdi:phone-forward", Enabled: no(), ValueTemplate: boolean("forwarding"),
		},
		state: statusTopic,
	},
	{
		key: "registered", note: "at least one SIP identity is registered", when: hasEvents,
		Component: Component{
			Platform: "binary_sensor", Name: "Registered", DeviceClass: "connectivity", EntityCategory: "diagnostic", Enabled: no(),
			ValueTemplate: boolean("registered"),
		},
		state: statusTopic,
	},
}

// commandEntities are for the use of a phone. Of the notify entities those that dial, show and announce are enabled:
// `notify.send_message` to a device sends the message to every notify entity that the device has.
var commandEntities = []entity{
	{
		key: "answer", note: "takes the call that rings", verb: snom.VerbAnswer,
		Component: Component{Platform: "button", Name: "Answer", Icon: "mdi:phone", PayloadPress: "{}"},
	},
	{
		key: "hangup", note: "ends all calls", verb: snom.VerbHangup,
		Component: Component{Platform: "button", Name: "Hang up", Icon: "mdi:phone-hangup", PayloadPress: "all"},
	},
	{
		key: "dial", note: "field for dashboards: a number or SIP URI, dialed when it is entered", verb: snom.VerbDial, fit: input,
		Component: Component{
			Platform: "text", Name: "Number to dial", Icon: "mdi:phone-dial", Max: 255,
			Pattern: `^(\+?[0-9*#]{1,64}|(sips?:)?[A-Za-z0-9._~!*'()+-]{1,64}@[A-Za-z0-9.:\[\]-]+)?$`,
		},
	},
	{
		key: "dial_message", note: "for automations: `notify.send_message` dials the message", verb: snom.VerbDial,
		Component: Component{Platform: "notify", Name: "Dial", Icon: "mdi:phone-dial"},
	},
	{
		key: "announce", note: "only with a multicast address: `notify.send_message` speaks the message, or plays the sound file of a URL; see below",
		when:      func(d *describer) bool { return d.p.Announce },
		Component: Component{Platform: "notify", Name: "Announce", Icon: "mdi:bullhorn"},
		fit: func(d *describer, c *Component) { // no verb: also phones that have no remote control play announcements
			c.CommandTopic = d.b.announceTopic(d.p.Name)
			c.Availability, c.AvailabilityMode = []Availability{{d.b.Tree.State()}}, "all"
		},
	},
	{
		key: "dtmf", note: "field for dashboards and, with `text.set_value`, automations: digits sent as tones into the call", verb: snom.VerbDTMF, fit: input,
		Component: Component{Platform: "text", Name: "DTMF to send", Icon: "mdi:dialpad", Max: 64, Pattern: `^([0-9A-D*#]+)?$`},
	},
	{
		key: "dtmf_message", note: "as *Dial*, but each sends its message as another command: see below", verb: snom.VerbDTMF,
		Component: Component{Platform: "notify", Name: "DTMF", Icon: "mdi:dialpad", Enabled: no()},
	},
	{
		key: "transfer_message", note: "as *Dial*, but each sends its message as another command: see below", verb: snom.VerbTransfer,
		Component: Component{Platform: "notify", Name: "Transfer", Icon: "mdi:phone-forward", Enabled: no()},
	},
	{
		key: "key_message", note: "as *Dial*, but each sends its message as another command: see below", verb: snom.VerbKey,
		Component: Component{Platform: "notify", Name: "Press keys", Icon: "mdi:keyboard", Enabled: no()},
	},
	{
		key: "touch_message", note: "as *Dial*, but each sends its message as another command: see below", verb: snom.VerbTouch, when: hasTouch,
		Component: Component{Platform: "notify", Name: "Touch", Icon: "mdi:gesture-tap", Enabled: no()},
	},
	{
		key: "ringer", note: "plays `Ringer 1` to `Ringer 9`, as tones; see below", verb: snom.VerbRing,
		Component: Component{
			Platform: "siren", Name: "Ringer", Icon: "mdi:bell-ring", Tones: tones(), VolumeSet: no(),
			CommandTemplate: "{% set n = (tone | default('Ringer 1') | string)[-1:] %}" +
				"{% if duration is defined and duration %}{% set c = (duration / " + fmt.Sprint(ringerPause) + ") | round(0, 'ceil') | int %}" +
				`{"ringer":{{ n }},"count":{{ [[c, 1] | max, 20] | min }}}{% else %}{{ n }}{% endif %}`,
			CommandOffTemplate: "{{ 'stop' }}",
			StateValueTemplate: "{{ 'OFF' }}", // the phone ends by itself, and does not report when
		},
		fit: func(d *describer, c *Component) { c.StateTopic = d.b.Tree.Status(d.p.Name) },
	},
	{
		key: "ring_stop", note: "drops the rings that are left of *Ringer*", verb: snom.VerbRing,
		Component: Component{Platform: "button", Name: "Stop ringing", Icon: "mdi:bell-off", PayloadPress: "stop"},
	},
	{
		key: "identify", note: "plays a ringer: which phone is it?", verb: snom.VerbRing,
		Component: Component{
			Platform: "button", Name: "Identify", DeviceClass: "identify", EntityCategory: "diagnostic", Enabled: no(), PayloadPress: "1",
		},
	},
	{
		key: "dnd", note: "see below", verb: snom.VerbDND,
		Component: Component{
			Platform: "switch", Name: "Do not disturb", Icon: "mdi:minus-circle", PayloadOn: "on", PayloadOff: "off",
			ValueTemplate: "{% set v = value_json.dnd %}{{ None if v is none else 'on' if v else 'off' }}",
		},
		state: statusTopic,
	},
	{
		key: "keyboard_lock", note: "as it was read last: see below", verb: snom.VerbKeyLock,
		Component: Component{
			Platform: "switch", Name: "Keyboard lock", Icon: "mdi:keyboard-off", PayloadOn: "on", PayloadOff: "off",
			ValueTemplate: "{% set v = value_json.keyboard_lock | default(None) %}{{ None if v is none else 'on' if v else 'off' }}",
		},
		state: statusTopic,
	},
	{
		key: "forward", note: "forwards all calls to the number that the phone has, or none: see below", verb: snom.VerbForward,
		Component: Component{
			Platform: "switch", Name: "Forward calls", Icon: "mdi:phone-forward", PayloadOn: "on", PayloadOff: "off",
			ValueTemplate: "{% set v = value_json.forwarding %}{{ None if v is none else 'on' if v else 'off' }}",
		},
		state: statusTopic,
	},
	{
		key: "forward_to", note: "field: the number to which all calls are forwarded, as it was read last", verb: snom.VerbForward,
		Component: Component{
			Platform: "text", Name: "Forward calls to", Icon: "mdi:phone-forward", Max: 255,
			ValueTemplate: "{{ ((((value_json.forward | default({})).always | default({})).to | default('')) or '')[:255] }}",
		},
		state: statusTopic, fit: hidden,
	},
	{
		key: "screen", note: "only if [the settings](settings.md) enable `screen`: the picture that was taken last", verb: snom.VerbScreen,
		Component: Component{Platform: "image", Name: "Screen", Icon: "mdi:monitor-screenshot", ContentType: "image/png"},
		fit: func(d *describer, c *Component) {
			c.CommandTopic, c.ImageTopic = "", d.b.Tree.Image(d.p.Name)
		},
	},
	{
		key: "screen_take", note: "only if [the settings](settings.md) enable `screen`: takes another picture", verb: snom.VerbScreen,
		Component: Component{Platform: "button", Name: "Take picture of screen", Icon: "mdi:camera", PayloadPress: "main"},
	},
	{
		key: "ask", note: "asks the phone for do not disturb, forwarding and its calls: see below", verb: snom.VerbAsk, when: hasEvents,
		Component: Component{Platform: "button", Name: "Ask for state", Icon: "mdi:refresh", EntityCategory: "diagnostic", Enabled: no(), PayloadPress: "{}"},
	},
	{
		key: "key_dnd", note: "the key, which turns do not disturb over", verb: snom.VerbKey,
		Component: Component{Platform: "button", Name: "Toggle do not disturb", Icon: "mdi:minus-circle", Enabled: no(), PayloadPress: "DND"},
	},
	{
		key: "transfer", note: "field: a number announces the call to it; then *Complete transfer* or *Cancel transfer*", verb: snom.VerbTransfer, fit: input,
		Component: Component{
			Platform: "text", Name: "Transfer to", Icon: "mdi:phone-forward", Enabled: no(), Max: 64, Pattern: `^([0-9*#]+|complete|cancel)?$`,
		},
	},
	{
		key: "transfer_complete", note: "for a transfer that was announced", verb: snom.VerbTransfer,
		Component: Component{Platform: "button", Name: "Complete transfer", Icon: "mdi:phone-check", Enabled: no(), PayloadPress: "complete"},
	},
	{
		key: "transfer_cancel", note: "for a transfer that was announced", verb: snom.VerbTransfer,
		Component: Component{Platform: "button", Name: "Cancel transfer", Icon: "mdi:phone-cancel", Enabled: no(), PayloadPress: "cancel"},
	},
	{
		key: "key", note: "field: any keys, such as `P13` or `OFFHOOK;1;2;ENTER`", verb: snom.VerbKey, fit: input,
		Component: Component{
			Platform: "text", Name: "Keys to press", Icon: "mdi:keyboard", Enabled: no(), Max: 255, Pattern: `^([A-Z0-9_*#,;]+)?$`,
		},
	},
	{
		key: "touch", note: "field, snom 870 only: a point of the screen, such as `240 136`", verb: snom.VerbTouch, fit: input, when: hasTouch,
		Component: Component{
			Platform: "text", Name: "Touch at", Icon: "mdi:gesture-tap", Enabled: no(), Max: 255, Pattern: `^([0-9a-z ]+)?$`,
		},
	},
}

// keyEntities are the keys that are useful on a dashboard: not the digits, which are better typed, and no key whose name
// was never proven.
func keyEntities() (rows []entity) {
	for _, k := range []struct{ key, name, icon string }{
		{"ENTER", "OK", "mdi:check"},
		{"CANCEL", "Cancel", "mdi:close"},
		{"OFFHOOK", "Lift handset", "mdi:phone-outline"},
		{"ONHOOK", "Put down handset", "mdi:phone-hangup-outline"},
		{"UP", "Up", "mdi:chevron-up"},
		{"DOWN", "Down", "mdi:chevron-down"},
		{"LEFT", "Left", "mdi:chevron-left"},
		{"RIGHT", "Right", "mdi:chevron-right"},
		{"VOLUME_UP", "Volume up", "mdi:volume-plus"},
		{"VOLUME_DOWN", "Volume down", "mdi:volume-minus"},
		{"MUTE", "Mute", "mdi:microphone-off"},
		{"SPEAKER", "Speaker", "mdi:volume-high"},
		{"HEADSET", "Headset", "mdi:headset"},
		{"REDIAL", "Redial", "mdi:redo"},
		{"F_HOLD", "Hold", "mdi:pause"},
		{"TRANSFER", "Transfer key", "mdi:phone-forward"},
		{"REC", "Record", "mdi:record"},
		{"MENU", "Menu", "mdi:menu"},
		{"F1", "F1", "mdi:gesture-tap-button"},
		{"F2", "F2", "mdi:gesture-tap-button"},
		{"F3", "F3", "mdi:gesture-tap-button"},
		{"F4", "F4", "mdi:gesture-tap-button"},
	} {
		rows = append(rows, keyEntity(k.key, k.name, k.icon))
	}
	return rows
}

// maxKeyButtons is how many programmable keys are buttons; *Keys to press* presses the others.
const maxKeyButtons = 12

// programmableKeyEntities are P1 to P12.
func programmableKeyEntities() (rows []entity) {
	for i := range maxKeyButtons {
		e := keyEntity(fmt.Sprintf("P%d", i+1), fmt.Sprintf("P%d", i+1), "mdi:gesture-tap-button")
		e.when = func(d *describer) bool {
			least, _ := d.model.KeyCount()
			if d.model.IsZero() {
				least = 4 // no phone that has them has fewer, the D717 and small D1xx apart
			}
			return i < least
		}
		rows = append(rows, e)
	}
	return rows
}

func keyEntity(key, name, icon string) entity {
	return entity{
		key: "key_" + strings.ToLower(key), note: "the keys that the model has", verb: snom.VerbKey,
		Component: Component{Platform: "button", Name: name, Icon: icon, Enabled: no(), PayloadPress: key},
	}
}

// settingEntities are for the care of a phone.
var settingEntities = []entity{
	{
		key: "reboot", note: "restarts the phone", verb: snom.VerbReboot,
		Component: Component{Platform: "button", Name: "Restart", DeviceClass: "restart", EntityCategory: "config", Enabled: no(), PayloadPress: "{}"},
	},
	{
		key: "clear_dialed", note: "clears a list of calls", verb: snom.VerbClear,
		Component: Component{Platform: "button", Name: "Clear dialed calls", Icon: "mdi:phone-remove", EntityCategory: "config", Enabled: no(), PayloadPress: "dialed"},
	},
	{
		key: "clear_missed", note: "clears a list of calls", verb: snom.VerbClear,
		Component: Component{Platform: "button", Name: "Clear missed calls", Icon: "mdi:phone-remove", EntityCategory: "config", Enabled: no(), PayloadPress: "missed"},
	},
	{
		key: "clear_received", note: "clears a list of calls", verb: snom.VerbClear,
		Component: Component{Platform: "button", Name: "Clear received calls", Icon: "mdi:phone-remove", EntityCategory: "config", Enabled: no(), PayloadPress: "received"},
	},
	{
		key: "reregister", note: "registers SIP identities", verb: snom.VerbReregister,
		Component: Component{Platform: "button", Name: "Register identity 1 again", Icon: "mdi:account-sync", EntityCategory: "config", Enabled: no(), PayloadPress: "1"},
	},
	{
		key: "logoff", note: "registers SIP identities", verb: snom.VerbLogoff,
		Component: Component{Platform: "button", Name: "Log off all identities", Icon: "mdi:account-off", EntityCategory: "config", Enabled: no(), PayloadPress: "all"},
	},
	{
		key: "fix_lil", note: "820 and 821 only", verb: snom.VerbFixLIL,
		when:      func(d *describer) bool { return d.model.Name() == "820" || d.model.Name() == "821" },
		Component: Component{Platform: "button", Name: "Fix line info layer", Icon: "mdi:monitor-screenshot", EntityCategory: "config", Enabled: no(), PayloadPress: "{}"},
	},
	{
		key: "reset", note: "only if [the settings](settings.md) enable `reset` or `firmware`", verb: snom.VerbReset,
		Component: Component{Platform: "button", Name: "Factory reset", Icon: "mdi:restore-alert", EntityCategory: "config", Enabled: no()},
		fit:       func(d *describer, c *Component) { c.PayloadPress = d.p.Name },
	},
	{
		key: "firmware_url", note: "only if [the settings](settings.md) enable `reset` or `firmware`", verb: snom.VerbFirmware, fit: input,
		Component: Component{
			Platform: "text", Name: "Install firmware", Icon: "mdi:update", EntityCategory: "config", Enabled: no(), Max: 255,
			Pattern: `^(https?://[A-Za-z0-9.:-]+/[A-Za-z0-9._~/-]*)?$`,
		},
	},
}

// bridgeEntities are those of the bridge itself.
var bridgeEntities = []entity{
	{
		key: "connected", note: "the bridge is connected to the broker",
		Component: Component{
			Platform: "binary_sensor", Name: "Connected", DeviceClass: "connectivity", EntityCategory: "diagnostic",
			PayloadOn: "online", PayloadOff: "offline",
		},
		state: bridgeStateTopic,
	},
	{
		key: "phones", note: "how many phones the bridge has",
		Component: Component{
			Platform: "sensor", Name: "Phones", Icon: "mdi:deskphone", EntityCategory: "diagnostic", StateClass: "measurement",
			ValueTemplate: "{{ (value_json.phones or []) | count }}", Enabled: no(),
		},
		state: bridgeInfoTopic, attributes: true, fit: withBridge,
	},
	{
		key: "log_level", note: "how much is logged",
		Component: Component{
			Platform: "select", Name: "Log level", Icon: "mdi:text-box-search", EntityCategory: "config", Enabled: no(),
			Options: loglevel.Names(), ValueTemplate: "{{ value_json.log_level | default(None) }}",
		},
		state: bridgeInfoTopic,
		fit: func(d *describer, c *Component) {
			withBridge(d, c)
			c.CommandTopic = d.b.Tree.Request("log_level")
		},
	},
	{
		key: "reload", note: "reads the phones file",
		Component: Component{Platform: "button", Name: "Reload phones", Icon: "mdi:reload", EntityCategory: "config", PayloadPress: "{}", Enabled: no()},
		fit: func(d *describer, c *Component) {
			withBridge(d, c)
			c.CommandTopic = d.b.Tree.Request("reload")
		},
	},
}

// withBridge makes an entity of the bridge available while the bridge is.
func withBridge(d *describer, c *Component) { c.Availability = []Availability{{d.b.Tree.State()}} }

func hasEvents(d *describer) bool { return d.p.Events }

func hasTouch(d *describer) bool { return !d.model.IsZero() && d.can(snom.VerbTouch, "1 1") }

// input completes a text that sends what is entered. It does not remember it: the state is empty again with the next
// status, so that no number and no code remains in Home Assistant's history.
func input(d *describer, c *Component) {
	c.StateTopic, c.ValueTemplate = d.b.Tree.Status(d.p.Name), "{{ '' }}"
	hidden(d, c)
}

// hidden hides what is entered into a text whose command is secret.
func hidden(d *describer, c *Component) {
	verb := strings.TrimPrefix(c.CommandTopic, d.b.Tree.Command(d.p.Name, ""))
	if slices.Contains(strings.Fields(d.p.Mask), verb) {
		c.Mode = "password"
	}
}

// firmwareUpdate completes the entity of the firmware. While the phone has not said what it has, the state stays as it is: a
// state with a null is no state for Home Assistant.
func firmwareUpdate(d *describer, c *Component) {
	s := d.p.settings()
	latest := ""
	if s.Latest == "" {
		c.Enabled = no()
	} else {
		latest = ", 'latest_version': '" + s.Latest + "'"
	}
	c.ValueTemplate = "{% if value_json is defined and value_json.firmware %}{{ {'installed_version': value_json.firmware" + latest + "} | tojson }}{% endif %}"
	if s.Install != "" && d.allowed(snom.VerbFirmware) {
		c.CommandTopic, c.PayloadInstall = d.b.Tree.Command(d.p.Name, string(snom.VerbFirmware)), s.Install
	}
}

// callStates are the states of a call, as the status names them.
func callStates() (all []string) {
	for _, p := range callstate.Phases() {
		all = append(all, string(p))
	}
	return all
}

func eventTypes() (all []string) {
	for _, t := range append(actionurl.EventTypes(), actionurl.PanelTypes()...) {
		all = append(all, string(t))
	}
	return all
}

// callIn is the template of a binary sensor that is on while the call is in one of these states.
func callIn(states ...callstate.Phase) string {
	quoted := ""
	for _, s := range states {
		quoted += "'" + string(s) + "',"
	}
	return "{% set c = value_json.call %}{{ None if not c else 'ON' if c.state in (" + quoted + ") else 'OFF' }}"
}

// boolean is the template of a field of the status that is true, false or null.
func boolean(field string) string {
	return "{% set v = value_json." + field + " %}{{ None if v is none else 'ON' if v else 'OFF' }}"
}

// ringerPause is the time in seconds from one ring to the next, for a siren that sounds for a duration: the default
// pause of the command ring.
const ringerPause = 2

func tones() (all []string) {
	for i := range 9 {
		all = append(all, fmt.Sprintf("Ringer %d", i+1))
	}
	return all
}

// phoneComponents returns the entities that a phone has, by key.
func phoneComponents(b Bridge, p Phone, model snom.Model) map[string]Component {
	d := &describer{b: b, id: p.ID, p: p, model: model}
	all := b.translate(d.components(entities...))
	d.keyComponents(all) // their names are the settings' own
	return all
}

// bridgeComponents returns the entities of the bridge, by key.
func bridgeComponents(b Bridge) map[string]Component {
	d := &describer{b: b, id: b.ID()}
	all := b.translate(d.components(bridgeEntities))
	for _, door := range b.doors() {
		door.components(b, all)
	}
	b.groupComponents(all)
	return all
}

func (d *describer) components(tables ...[]entity) map[string]Component {
	most := 0
	for _, rows := range tables {
		most += len(rows)
	}
	all := make(map[string]Component, most)
	for _, rows := range tables {
		for i := range rows {
			if e := &rows[i]; d.has(e) {
				all[e.key] = d.component(e)
			}
		}
	}
	return all
}

// has reports whether the device has an entity.
func (d *describer) has(e *entity) bool {
	if e.when != nil && !e.when(d) {
		return false
	}
	if e.verb == "" {
		return true
	}
	return d.allowed(e.verb) && (e.PayloadPress == "" || d.can(e.verb, e.PayloadPress))
}

// allowed reports whether the phone has a command, and the settings enable it.
func (d *describer) allowed(v snom.Verb) bool {
	drivable := d.model.RemoteControl() != snom.No
	if d.p.ByNotify {
		drivable = notify.Supports(v)
	}
	return !d.p.NoControl && drivable && (!v.Gated() || slices.Contains(strings.Fields(d.p.Allow), string(v)))
}

// can reports whether the model can carry out a command.
func (d *describer) can(v snom.Verb, payload string) bool {
	c, err := snom.ParsePayload(v, []byte(payload))
	if err != nil {
		panic(err) // the tests build every document
	}
	if d.p.ByNotify {
		_, _, err = notify.Plan(c, d.model)
	} else {
		_, err = d.model.Check(c)
	}
	return err == nil
}

// component completes the component of an entity. The QoS of those that show something is 1, so that the last state is
// not lost; those that send have 0, because a command that arrives late or twice is worse than none.
func (d *describer) component(e *entity) Component {
	c := e.Component
	c.UniqueID = d.id + "_" + e.key
	if topic := d.topic(e.state); topic != "" {
		c.StateTopic, c.QoS = topic, 1
		if e.attributes {
			c.AttributesTopic = topic
		}
		if e.state == statusTopic || e.state == bridgeInfoTopic {
			c = c.guarded()
		}
	}
	if e.verb != "" {
		c.CommandTopic = d.b.Tree.Command(d.p.Name, string(e.verb))
	}
	if e.fit != nil {
		e.fit(d, &c)
	}
	return c
}

func (d *describer) topic(k topicKind) string {
	t := d.b.Tree
	switch k {
	case statusTopic:
		return t.Status(d.p.Name)
	case availabilityTopic:
		return t.Availability(d.p.Name)
	case eventTopic:
		return t.Event(d.p.Name)
	case bridgeStateTopic:
		return t.State()
	case bridgeInfoTopic:
		return t.Info()
	default:
		return ""
	}
}
