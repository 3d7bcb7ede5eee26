package e2e

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// panelKeys are the keys of the kitchen's phone in the phones file.
const panelKeys = ", keys: {P1: {name: garage, label: Garage}}"

// panelAutomations use the blueprint that asks at the phone.
const panelAutomations = `  - alias: ask
    initial_state: false
    use_blueprint:
      path: snom2mqtt/ask_at_the_phone.yaml
      input:
        asks: [input_boolean.washer]
        display: notify.kitchen_phone_display
        event: event.kitchen_phone_event
        question: "007: hang it up?"
        first: "Yes"
        second: "1"
        seconds: 60
        on_first: [{action: input_text.set_value, target: {entity_id: input_text.answer}, data: {value: first}}]
        on_second: [{action: input_text.set_value, target: {entity_id: input_text.answer}, data: {value: second}}]
`

// usesOfThePanel reports whether an entity is tested by theWallPanel.
func usesOfThePanel(key string) bool {
	return strings.HasPrefix(key, "display_") || strings.HasPrefix(key, "light_")
}

// theWallPanel uses the kitchen's phone as a wall panel: its display, a key, lights and sensors.
func (x *home) theWallPanel() {
	x.t.Helper()
	x.call("notify.send_message", "notify.kitchen_phone_display", "message", "The washer is done")
	x.sees("The washer is done")
	x.call("button.press", "button.kitchen_phone_close_display")
	x.sees("(idle)")

	for action, kind := range map[string]string{"press?keys=P1": "press_end", "long-press?key=P1": "long_press_end"} {
		x.control("kitchen", action)
		eventually(x.t, "the event of the key", func() bool {
			a := x.states()["event.kitchen_phone_garage"].Attributes
			return a["event_type"] == kind && a["key"] == "P1"
		})
	}

	const light = "light.kitchen_phone_garage_light"
	x.shows(light, "off")
	x.call("light.turn_on", light, "effect", "red blink")
	x.sees("LED 5: red blink")
	if s := x.shows(light, "on"); s.Attributes["effect"] != "red blink" {
		x.t.Errorf("the light is %v", s.Attributes)
	}
	x.call("light.turn_on", "light.kitchen_phone_message_light")
	x.sees("LED 0: red")
	for _, entity := range []string{light, "light.kitchen_phone_message_light"} {
		x.call("light.turn_off", entity)
		x.shows(entity, "off")
	}

	x.control("kitchen", "set?name=syslog_server&value="+x.syslog)
	x.control("kitchen", "measure?light=13&temperature=23.5")
	x.shows("sensor.kitchen_phone_illuminance", "13.0|13")
	x.shows("sensor.kitchen_phone_temperature", "23.5")
}

// theQuestionIsAnswered runs the blueprint that asks at the phone, once for each answer.
func (x *home) theQuestionIsAnswered() {
	x.t.Helper()
	x.with("automation.ask", func() {
		for item, answer := range map[string]string{"Yes": "first", "1": "second"} {
			x.call("input_boolean.turn_off", "input_boolean.washer")
			x.call("input_boolean.turn_on", "input_boolean.washer")
			x.sees("[menu] 007: hang it up?", ">1 Yes", " 2 1")
			x.control("kitchen", "choose?item="+map[string]string{"Yes": "1", "1": "2"}[item])
			x.shows("input_text.answer", answer)
			x.sees("(idle)")
		}
	})
}

// objects reports whether a simulated phone objects to a page on its screen. That a page took long is said of a busy machine, too.
func objects(screen string) bool {
	return slices.ContainsFunc(strings.Split(screen, "\n"), func(line string) bool {
		return strings.HasPrefix(line, "! ") && !strings.HasPrefix(line, "! a page took ")
	})
}

// sees waits until the display of the kitchen's phone has all texts.
func (x *home) sees(texts ...string) {
	x.t.Helper()
	var screen string
	eventually(x.t, fmt.Sprintf("%q on the display", texts), func() bool {
		reply, err := http.Get(x.phones["kitchen"].control + "/phones/kitchen/screen")
		if err != nil {
			return false
		}
		defer reply.Body.Close()
		body, err := io.ReadAll(reply.Body)
		screen = string(body)
		if objects(screen) {
			x.t.Fatalf("the phone objects:\n%s", screen)
		}
		for _, text := range texts {
			if err != nil || !strings.Contains(screen, text) {
				return false
			}
		}
		return true
	})
}
