package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestFaultRetainedDocuments: every retained document of a bridge that another client overwrites or clears is published
// again, whatever it says.
func TestFaultRetainedDocuments(t *testing.T) {
	t.Parallel()
	m := startMosquitto(t)
	p := startPhones(t, 1)
	b := m.startBridge(t, append(phoneEnv(0, "kitchen", p.urls[0]), "SNOM2MQTT_HOMEASSISTANT=true")...)
	w := m.watch("#")
	truth := func() map[string]string {
		is := map[string]string{}
		for _, msg := range w.messages() {
			is[msg.Topic] = msg.Payload
			if msg.Payload == "" {
				delete(is, msg.Topic)
			}
		}
		return is
	}
	all := []string{"snom/bridge/state", "snom/bridge/info", "snom/bridge/phones", "snom/bridge/health", "snom/kitchen/availability", "snom/kitchen/status", "homeassistant/device/snom2mqtt_snom/config"}
	within(t, 60*time.Second, "all documents", func() bool {
		is := truth()
		documents := 0
		for topic := range is {
			if strings.HasPrefix(topic, "homeassistant/device/") {
				documents++
			}
		}
		return documents == 2 && !slices.ContainsFunc(all, func(topic string) bool { return is[topic] == "" })
	})
	for topic := range truth() {
		if strings.HasPrefix(topic, "homeassistant/") && !slices.Contains(all, topic) {
			all = append(all, topic) // of the phone
		}
	}
	for _, forged := range []string{"", `{"forged":true}`, "offline"} {
		for _, topic := range all {
			m.publish(topic, forged, "-r")
		}
		within(t, 60*time.Second, fmt.Sprintf("all documents instead of %q", forged), func() bool {
			is := truth()
			return !slices.ContainsFunc(all, func(topic string) bool { return is[topic] == "" || is[topic] == forged })
		})
	}
	if code := b.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestFaultTwoBridgesSayOneState: a bridge on standby leaves the state to the one that serves; if it did not, each would
// correct the other once a second.
func TestFaultTwoBridgesSayOneState(t *testing.T) {
	t.Parallel()
	m := startMosquitto(t)
	p := startPhones(t, 1)
	env := phoneEnv(0, "kitchen", p.urls[0])
	first := m.startBridge(t, env...)
	w := m.watch("snom/bridge/state")
	second := m.startBridge(t, env...)
	second.until("it is on standby", func(_, log []string) bool { return len(linesWith(slices.Clone(log), "this one is on standby")) > 0 })
	corrected := func(before int) {
		t.Helper()
		within(t, 30*time.Second, "the state offline, and online again", func() bool {
			said := w.messages()[before:]
			return slices.ContainsFunc(said, func(m message) bool { return m.Payload == "offline" }) && said[len(said)-1].Payload == "online"
		})
	}
	corrected(0) // what the one on standby says when it gets there
	before := len(w.messages())
	m.publish("snom/bridge/state", "offline", "-r") // another client's will is corrected by the one that serves
	corrected(before)
	before = len(w.messages())
	health := m.watch("snom/bridge/info")
	health.on("snom/bridge/info", 1+2*3) // three questions of the second, five seconds apart, and their answers
	if said := w.messages(); len(said) > before+1 || said[len(said)-1].Payload != "online" {
		t.Errorf("the state in 15 s: %v", said[before:])
	}
	first.kill()
	within(t, 60*time.Second, "the second takes over", func() bool {
		said := w.messages()
		return slices.ContainsFunc(said[before:], func(m message) bool { return m.Payload == "offline" }) && said[len(said)-1].Payload == "online"
	})
	if code := second.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
