package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestReadmeAutomations gives the automations of README.md to a real Home Assistant, as they are.
func TestReadmeAutomations(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	configuration := "input_button:\n  open_door:\n"
	for i, m := range regexp.MustCompile("(?ms)^```yaml\nautomation:\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		configuration += fmt.Sprintf("automation readme%d:\n%s", i, m[1])
	}
	m := startMosquitto(t)
	born := m.watch("homeassistant/status")
	h := startHomeAssistant(t, oldestHomeAssistant, m, configuration)
	born.on("homeassistant/status", 1)
	for _, turn := range []string{"automation.turn_off", "automation.turn_on"} { // it was loaded before there was MQTT
		h.call(turn, "automation.the_door_did_not_open")
	}
	w := m.watch("snom/#")

	for _, state := range []string{"off", "on"} {
		h.post("/api/states/binary_sensor.smoke", map[string]any{"state": state}, nil)
	}
	eventually(t, "one phone calls, others ring", func() bool {
		got := w.messages()
		return len(got) == 2 && got[0].Topic == "snom/hall/dial" && got[0].Payload == "+4930123" &&
			got[1].Topic == "snom/upstairs/ring" && got[1].Payload == `{"ringer": 3, "count": 10, "expires_in": 10}`
	})

	h.call("input_button.press", "input_button.open_door")
	door := regexp.MustCompile(`^{"id": "(door-[0-9.]+)", "digits": "12#", "expires_in": 5}$`)
	var id string
	eventually(t, "the code of the door is sent", func() bool {
		got := w.messages()
		found := door.FindStringSubmatch(got[len(got)-1].Payload)
		if len(got) == 3 && got[2].Topic == "snom/kitchen/dtmf" && found != nil {
			id = found[1]
		}
		return id != ""
	})

	fired := func() bool { return h.states()["automation.the_door_did_not_open"].Attributes["last_triggered"] != nil }
	eventually(t, "a notification reports that the door did not open", func() bool { // again, as it is unknown when the trigger listens
		m.publish("snom/kitchen/result", `{"id":"`+id+`","ok":false,"code":"unreachable","message":"no route to host"}`)
		return fired()
	})
	for _, line := range h.complaints("Cannot subscribe to topic") { // before that
		if strings.Contains(line, "automation") {
			t.Error(line)
		}
	}
}
