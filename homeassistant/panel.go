package homeassistant

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// panelEntities are those of a phone as a wall panel. Those of its keys are made by keyComponents.
var panelEntities = []entity{
	{
		key: "display_message", note: "`notify.send_message` shows the message on the phone's display for ten seconds", verb: snom.VerbShow, when: hasEvents,
		Component: Component{Platform: "notify", Name: "Display", Icon: "mdi:message-text"},
	},
	{
		key: "display_close", note: "closes what *Display*, or `show`, shows", verb: snom.VerbShow, when: hasEvents,
		Component: Component{Platform: "button", Name: "Close display", Icon: "mdi:message-off", Enabled: no(), PayloadPress: "{}"},
	},
	{
		key: "illuminance", note: "D735, with [SYSLOG_LISTEN](panel.md#sensors): what its sensors measure", when: hasSensors,
		Component: Component{
			Platform: "sensor", Name: "Illuminance", DeviceClass: "illuminance", StateClass: "measurement", Unit: "lx",
			ValueTemplate: "{{ value_json.light | default(None) }}",
		},
		state: statusTopic,
	},
	{
		key: "temperature", note: "D735, with [SYSLOG_LISTEN](panel.md#sensors): what its sensors measure", when: hasSensors,
		Component: Component{
			Platform: "sensor", Name: "Temperature", DeviceClass: "temperature", StateClass: "measurement", Unit: "°C",
			ValueTemplate: "{{ value_json.temperature | default(None) }}",
		},
		state: statusTopic,
	},
	{
		key: "light_message", note: "the message light, with colors and blinking as effects", verb: snom.VerbLED, when: hasEvents, fit: lightOf(snom.MessageLED),
		Component: Component{Platform: "light", Name: "Message light", Icon: "mdi:email-alert", Enabled: no()},
	},
}

// hasSensors reports whether the phone has sensors whose measurements reach the bridge.
func hasSensors(d *describer) bool { return d.p.Sensors && d.model.Name() == "D735" }

// lightOf completes the light of a key. It is on or off; its color and its blinking are its effect. Home Assistant's word for
// no effect is off.
func lightOf(key string) func(*describer, *Component) {
	return func(d *describer, c *Component) {
		state := "((value_json.lights | default({}))['" + key + "'] | default('off'))"
		c.Schema, c.StateTopic, c.QoS = "template", d.b.Tree.Status(d.p.Name), 1
		c.StateTemplate = "{% if value_json is defined %}{{ 'off' if " + state + " == 'off' else 'on' }}{% else %}None{% endif %}"
		c.EffectTemplate = "{% if value_json is defined %}{{ " + state + " }}{% else %}off{% endif %}"
		c.Effects = snom.LEDs()
		c.CommandOnTemplate = key + " {{ effect if effect is defined and effect != 'off' else 'on' }}"
		c.CommandOffTemplate = key + " {{ 'off' }}"
	}
}

// The types of a key's events, in Home Assistant's words for buttons: the phone reports one event for each press.
const (
	pressEnd     = "press_end"
	longPressEnd = "long_press_end"
)

// keyComponents adds the entities of the keys that the settings set up to those of the phone, by key: an event, and a light
// where the phone can be sent one.
func (d *describer) keyComponents(all map[string]Component) {
	for _, k := range d.p.Keys.All() {
		if !d.p.Events {
			return
		}
		name := d.nameOf(k)
		press := entity{key: "press_" + strings.ToLower(k.Key), state: eventTopic, Component: Component{
			Platform: "event", Name: name, Icon: "mdi:gesture-tap-button", DeviceClass: "button", EventTypes: []string{pressEnd, longPressEnd}, QoS: 1,
			ValueTemplate: "{% set t = {'" + string(actionurl.EventKeyPress) + "': '" + pressEnd + "', '" + string(actionurl.EventKeyLongPress) + "': '" + longPressEnd + "'}[value_json.event_type] | default('') %}" +
				"{% if t and value_json.key == '" + k.Key + "' %}{{ {'event_type': t, 'key': value_json.key, 'name': value_json.name | default(None)} | tojson }}{% endif %}",
		}}
		light := entity{key: "light_" + strings.ToLower(k.Key), verb: snom.VerbLED, fit: lightOf(k.Key), Component: Component{
			Platform: "light", Name: name + " " + d.b.word("light"), Icon: "mdi:led-on",
		}}
		for _, e := range []*entity{&press, &light} {
			if d.has(e) {
				all[e.key] = d.component(e)
			}
		}
	}
}

// nameOf is the name of a key's entities: what people call it, or the key where Home Assistant would not accept that. Home
// Assistant puts the name of the device in front of it.
func (d *describer) nameOf(k actionurl.Key) string {
	name := strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.NewReplacer("<br/>", " ", "<br>", " ").Replace(k.Caption())))
	first, size := utf8.DecodeRuneInString(name)
	if name == "" || strings.HasPrefix(strings.ToLower(name), strings.ToLower(deviceName(d.p.Name))) {
		return k.Key
	}
	return string(unicode.ToUpper(first)) + name[size:]
}
