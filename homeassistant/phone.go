package homeassistant

import (
	"fmt"
	"slices"
	"strings"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// A Phone is what discovery has to know of one phone. It is comparable.
type Phone struct {
	ID       string // how Home Assistant knows it, for ever; empty: see [Phone.NewID]
	Name     string // in topics
	MAC      string // twelve hexadecimal digits; empty: not known
	Model    string // as the settings or the phone say; empty: not known
	Firmware string
	URL      string // of its web interface
	Allow    string // gated commands that are open, separated by spaces: "reset firmware"
	Mask     string // commands whose argument is secret, separated by spaces
	Events   bool   // phones can tell what happens at them
	Seen     bool   // it was reached since the bridge started
}

// NewID is the id of a phone that Home Assistant has never heard of: by its MAC, or, where that is not
// known, by its name at this bridge.
func (b Bridge) NewID(p Phone) string {
	if p.MAC != "" {
		return "snom_" + strings.ToLower(p.MAC)
	}
	return "snom_" + strings.TrimPrefix(b.ID(), originName+"_") + "_" + plain(p.Name)
}

// Phone describes one phone. What its model cannot do, what the settings forbid and what nobody would
// ever hear of it has no entity; most entities are there but disabled.
func (b Bridge) Phone(p Phone) Document {
	if p.ID == "" {
		p.ID = b.NewID(p)
	}
	model, known := snom.FindModel(p.Model)
	e := phoneEntities{entities: b.entities(p.ID), b: b, p: p, model: model}
	e.reachable()
	if p.Events {
		e.calls()
	}
	if model.RemoteControl() != snom.No {
		e.commands()
		e.keys()
		e.settings()
	}
	name := p.Model
	if known {
		name = model.Name()
	}
	d := Document{
		Device: Device{
			Identifiers: []string{p.ID}, Name: deviceName(p.Name), Manufacturer: "Snom", Model: name,
			SWVersion: p.Firmware, ConfigurationURL: p.URL, ViaDevice: b.ID(),
		},
		Origin:           b.origin(),
		Availability:     []Availability{{b.Tree.State()}, {b.Tree.Availability(p.Name)}},
		AvailabilityMode: "all",
		Components:       e.all,
	}
	if len(p.MAC) == 12 {
		d.Device.Connections = [][2]string{{"mac", colons(p.MAC)}}
	}
	return d
}

// deviceName makes "Kitchen phone" of "kitchen". Home Assistant makes entity ids of it: siren.kitchen_phone_ringer.
func deviceName(name string) string {
	words := strings.Join(strings.FieldsFunc(name, func(r rune) bool { return r == '_' || r == '-' }), " ")
	if !strings.Contains(words, "phone") {
		words += " phone"
	}
	return strings.ToUpper(words[:1]) + words[1:]
}

// colons writes a MAC as Home Assistant compares it.
func colons(mac string) string {
	var parts []string
	for pair := range slices.Chunk([]byte(strings.ToLower(mac)), 2) {
		parts = append(parts, string(pair))
	}
	return strings.Join(parts, ":")
}

// phoneEntities collects the entities of a phone.
type phoneEntities struct {
	entities
	b     Bridge
	p     Phone
	model snom.Model
}

// can reports whether the phone can carry out what is a command in the notation of snom.ParseCommand.
func (e phoneEntities) can(text string) bool {
	c, err := snom.ParseCommand(text)
	if err != nil {
		panic(err) // the tests build every document
	}
	_, err = e.model.Check(c)
	return err == nil
}

func has(list, word string) bool { return slices.Contains(strings.Fields(list), word) }

// topic is where commands of one kind go.
func (e phoneEntities) topic(v snom.Verb) string { return e.b.Tree.Command(e.p.Name, string(v)) }

// known is a component that shows something of the status. Its QoS is 1, so that the last word is not
// lost; components that send have 0, because a command that comes late or twice is worse than none.
func (e phoneEntities) known(c Component) Component {
	c.StateTopic, c.QoS = e.b.Tree.Status(e.p.Name), 1
	return c.guarded()
}

func (e phoneEntities) reachable() {
	e.add("reachable", Component{
		Platform: "binary_sensor", Name: "Reachable", DeviceClass: "connectivity", EntityCategory: "diagnostic", QoS: 1,
		StateTopic: e.b.Tree.Availability(e.p.Name), PayloadOn: "online", PayloadOff: "offline",
		Availability: []Availability{{e.b.Tree.State()}}, AvailabilityMode: "all", // it is there to say that the phone is not
	})
	e.add("firmware", e.known(Component{
		Platform: "sensor", Name: "Firmware", Icon: "mdi:chip", EntityCategory: "diagnostic", Enabled: no(),
		ValueTemplate: "{{ value_json.firmware }}",
	}))
	e.add("last_result", e.known(Component{
		Platform: "sensor", Name: "Last result", Icon: "mdi:check-network-outline", EntityCategory: "diagnostic", Enabled: no(),
		ValueTemplate:      "{{ value_json.last_result.code if value_json.last_result else None }}",
		AttributesTopic:    e.b.Tree.Status(e.p.Name),
		AttributesTemplate: "{{ (value_json.last_result or {}) | tojson }}",
	}))
}

// CallStates are the states of a call, as the status names them.
func CallStates() []string {
	return []string{"idle", "ringing", "dialing", "connected", "held", "ended"}
}

// calls is what phones tell. Until one has told anything its status is null, which shows as unknown.
func (e phoneEntities) calls() {
	status := e.b.Tree.Status(e.p.Name)
	e.add("call_state", e.known(Component{
		Platform: "sensor", Name: "Call state", Icon: "mdi:phone", DeviceClass: "enum", Options: CallStates(),
		ValueTemplate:   "{{ value_json.call.state if value_json.call else None }}",
		AttributesTopic: status, AttributesTemplate: "{{ (value_json.call or {}) | tojson }}",
	}))
	var types []string
	for _, t := range actionurl.EventTypes() {
		types = append(types, string(t))
	}
	e.add("event", Component{
		Platform: "event", Name: "Event", Icon: "mdi:phone-log", EventTypes: types, QoS: 1, StateTopic: e.b.Tree.Event(e.p.Name),
	})
	e.add("last_caller", e.known(Component{
		Platform: "sensor", Name: "Last caller", Icon: "mdi:phone-incoming",
		ValueTemplate:   "{% set c = value_json.last_caller %}{{ (c.name or c.number or 'Anonymous')[:255] if c else None }}",
		AttributesTopic: status, AttributesTemplate: "{{ (value_json.last_caller or {}) | tojson }}",
	}))
	inState := func(states string) string {
		return "{% set c = value_json.call %}{{ None if not c else 'ON' if c.state in (" + states + ") else 'OFF' }}"
	}
	e.add("ringing", e.known(Component{
		Platform: "binary_sensor", Name: "Ringing", Icon: "mdi:phone-ring", ValueTemplate: inState("'ringing',"),
	}))
	e.add("in_call", e.known(Component{
		Platform: "binary_sensor", Name: "In call", Icon: "mdi:phone-in-talk", ValueTemplate: inState("'connected', 'held'"),
	}))
	e.add("other_party", e.known(Component{
		Platform: "sensor", Name: "Other party", Icon: "mdi:account-voice", Enabled: no(),
		ValueTemplate: "{% set c = value_json.call %}{{ (c.remote.name or c.remote.number or 'None')[:255] if c else None }}",
	}))
	e.add("calls", e.known(Component{
		Platform: "sensor", Name: "Calls", Icon: "mdi:phone", StateClass: "measurement", Enabled: no(),
		ValueTemplate: "{{ value_json.calls }}",
	}))
	e.add("missed", e.known(Component{
		Platform: "sensor", Name: "Missed calls", Icon: "mdi:phone-missed", StateClass: "measurement", Enabled: no(),
		ValueTemplate: "{{ value_json.missed }}",
	}))
	e.add("offhook", e.known(Component{
		Platform: "binary_sensor", Name: "Handset lifted", Icon: "mdi:phone-outline", Enabled: no(),
		ValueTemplate: "{% set h = value_json.hook %}{{ None if h is none else 'ON' if h == 'off' else 'OFF' }}",
	}))
	e.add("forwarding", e.known(Component{
		Platform: "binary_sensor", Name: "Forwarding", Icon: "mdi:phone-forward", Enabled: no(), ValueTemplate: flag("forwarding"),
	}))
	e.add("registered", e.known(Component{
		Platform: "binary_sensor", Name: "Registered", DeviceClass: "connectivity", EntityCategory: "diagnostic", Enabled: no(),
		ValueTemplate: flag("registered"),
	}))
}

// flag is the template of a field of the status that is true, false or null.
func flag(field string) string {
	return "{% set v = value_json." + field + " %}{{ None if v is none else 'ON' if v else 'OFF' }}"
}

// commands is what one does with a phone.
func (e phoneEntities) commands() {
	e.add("answer", Component{
		Platform: "button", Name: "Answer", Icon: "mdi:phone", CommandTopic: e.topic(snom.VerbAnswer), PayloadPress: "{}",
	})
	e.add("hangup", Component{
		Platform: "button", Name: "Hang up", Icon: "mdi:phone-hangup", CommandTopic: e.topic(snom.VerbHangup), PayloadPress: "all",
	})
	e.input(snom.VerbDial, "Dial", "mdi:phone-dial", 255,
		`\+?[0-9*#]{1,64}|(sips?:)?[A-Za-z0-9._~!*'()+-]{1,64}@[A-Za-z0-9.:\[\]-]+`, true)
	e.input(snom.VerbDTMF, "DTMF", "mdi:dialpad", 64, `[0-9A-D*#]+`, true)
	e.ringer()
	e.doNotDisturb()
	e.input(snom.VerbTransfer, "Transfer", "mdi:phone-forward", 64, `[0-9*#]+|complete|cancel`, false)
	e.press(snom.VerbTransfer, "complete", "Complete transfer", "mdi:phone-check")
	e.press(snom.VerbTransfer, "cancel", "Cancel transfer", "mdi:phone-cancel")
	e.input(snom.VerbKey, "Press keys", "mdi:keyboard", 255, `[A-Z0-9_*#,;]+`, false)
	if !e.model.IsZero() && e.can("touch 1 1") {
		e.input(snom.VerbTouch, "Touch", "mdi:gesture-tap", 255, `[0-9a-z ]+`, false)
	}
}

// input is a command with an argument: a text for dashboards and a notify for automations. Neither remembers
// what was sent: the text shows nothing again with the next status, so no number and no code stands in Home
// Assistant's history. on says that it is not disabled.
func (e phoneEntities) input(v snom.Verb, name, icon string, most int, pattern string, on bool) {
	text := Component{
		Platform: "text", Name: name, Icon: icon, CommandTopic: e.topic(v), Max: most, Pattern: "^(" + pattern + ")?$",
		StateTopic: e.b.Tree.Status(e.p.Name), ValueTemplate: "{{ '' }}",
	}
	notify := Component{Platform: "notify", Name: name, Icon: icon, CommandTopic: e.topic(v)}
	if !on {
		text.Enabled, notify.Enabled = no(), no()
	}
	if has(e.p.Mask, string(v)) {
		text.Mode = "password"
	}
	e.add(string(v), text)
	e.add(string(v)+"_message", notify)
}

// ringerPause is the time in seconds from one ring to the next, for a siren that sounds for a duration:
// the pause between two that the command ring has unless told otherwise.
const ringerPause = 2

// ringer is a siren that is never on: the phone plays a ringer and stops by itself, and nothing can stop
// it. A duration becomes a count of rings. Turning it off sends nothing.
func (e phoneEntities) ringer() {
	var tones []string
	for i := range 9 {
		tones = append(tones, fmt.Sprintf("Ringer %d", i+1))
	}
	e.add("ringer", Component{
		Platform: "siren", Name: "Ringer", Icon: "mdi:bell-ring", CommandTopic: e.topic(snom.VerbRing), Tones: tones, VolumeSet: no(),
		CommandTemplate: "{% set n = (tone | default('Ringer 1') | string)[-1:] %}" +
			"{% if duration is defined and duration %}{% set c = (duration / " + fmt.Sprint(ringerPause) + ") | round(0, 'ceil') | int %}" +
			`{"ringer":{{ n }},"count":{{ [[c, 1] | max, 20] | min }}}{% else %}{{ n }}{% endif %}`,
		CommandOffTemplate: "{{ '' }}", // Home Assistant sends nothing then
		StateTopic:         e.b.Tree.Status(e.p.Name), StateValueTemplate: "{{ 'OFF' }}",
	})
	e.add("identify", Component{
		Platform: "button", Name: "Identify", DeviceClass: "identify", EntityCategory: "diagnostic", Enabled: no(),
		CommandTopic: e.topic(snom.VerbRing), PayloadPress: "1",
	})
}

// doNotDisturb is a switch where the phone tells what it did. There is only a key that turns it over, so
// the switch presses that key when the phone is not as wanted. What it sends otherwise is empty, and
// refused by the bridge before it reaches the phone. Where no phone tells, it is a plain key.
func (e phoneEntities) doNotDisturb() {
	if !e.p.Events {
		e.add("key_dnd", Component{
			Platform: "button", Name: "Toggle do not disturb", Icon: "mdi:minus-circle", CommandTopic: e.topic(snom.VerbKey), PayloadPress: "DND",
		})
		return
	}
	e.add("dnd", Component{
		Platform: "switch", Name: "Do not disturb", Icon: "mdi:minus-circle",
		StateTopic: e.b.Tree.Status(e.p.Name), ValueTemplate: flag("dnd"),
		CommandTopic: e.topic(snom.VerbKey), PayloadOn: "ON", PayloadOff: "OFF",
		CommandTemplate: "{{ 'DND' if value | lower != this.state else '' }}",
	}.guarded())
	e.button("DND", "Toggle do not disturb", "mdi:minus-circle")
}

// press is a disabled button that sends one argument.
func (e phoneEntities) press(v snom.Verb, argument, name, icon string) {
	e.add(string(v)+"_"+argument, Component{
		Platform: "button", Name: name, Icon: icon, Enabled: no(), CommandTopic: e.topic(v), PayloadPress: argument,
	})
}

// button is a key of the phone.
func (e phoneEntities) button(key, name, icon string) {
	if !e.can("key " + key) {
		return
	}
	e.add("key_"+strings.ToLower(key), Component{
		Platform: "button", Name: name, Icon: icon, Enabled: no(), CommandTopic: e.topic(snom.VerbKey), PayloadPress: key,
	})
}

// mostButtons is how many programmable keys become buttons; "Press keys" presses the others.
const mostButtons = 12

// keys are the keys that a person would want on a dashboard: not the digits, which are better typed, and
// no key whose name was never proven.
func (e phoneEntities) keys() {
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
		e.button(k.key, k.name, k.icon)
	}
	least, _ := e.model.KeyCount()
	if e.model.IsZero() {
		least = 4 // no phone that has them has fewer, the D717 and small D1xx apart
	}
	for i := range min(least, mostButtons) {
		e.button(fmt.Sprintf("P%d", i+1), fmt.Sprintf("P%d", i+1), "mdi:gesture-tap-button")
	}
}

// settings is what one does to a phone.
func (e phoneEntities) settings() {
	config := func(key string, v snom.Verb, payload, name, icon, class string) {
		e.add(key, Component{
			Platform: "button", Name: name, Icon: icon, DeviceClass: class, EntityCategory: "config", Enabled: no(),
			CommandTopic: e.topic(v), PayloadPress: payload,
		})
	}
	config("reboot", snom.VerbReboot, "{}", "Restart", "", "restart")
	config("clear_dialed", snom.VerbClear, "dialed", "Clear dialed calls", "mdi:phone-remove", "")
	config("clear_missed", snom.VerbClear, "missed", "Clear missed calls", "mdi:phone-remove", "")
	config("clear_received", snom.VerbClear, "received", "Clear received calls", "mdi:phone-remove", "")
	config("reregister", snom.VerbReregister, "1", "Register identity 1 again", "mdi:account-sync", "")
	config("logoff", snom.VerbLogoff, "all", "Log off all identities", "mdi:account-off", "")
	if e.model.Name() == "820" || e.model.Name() == "821" {
		config("fix_lil", snom.VerbFixLIL, "{}", "Fix line info layer", "mdi:monitor-screenshot", "")
	}
	if has(e.p.Allow, string(snom.VerbReset)) {
		config("reset", snom.VerbReset, e.p.Name, "Factory reset", "mdi:restore-alert", "")
	}
	if has(e.p.Allow, string(snom.VerbFirmware)) {
		e.add("firmware_url", Component{
			Platform: "text", Name: "Install firmware", Icon: "mdi:update", EntityCategory: "config", Enabled: no(),
			CommandTopic: e.topic(snom.VerbFirmware), Max: 255, Pattern: `^(https?://[A-Za-z0-9.:-]+/[A-Za-z0-9._~/-]*)?$`,
			StateTopic: e.b.Tree.Status(e.p.Name), ValueTemplate: "{{ '' }}",
		})
	}
}
