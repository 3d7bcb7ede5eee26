package bridge_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/mqtt/mqtttest"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// The list of phones says what each can do, and where thousands do not fit a message, less of each.
func TestDirectory(t *testing.T) {
	t.Parallel()
	r := append(one(), testPhone{phone: snomtest.Config{Name: "old", Model: "870"}, set: func(p *bridge.PhoneConfig) {
		p.Allow = map[snom.Verb]bool{snom.VerbScreen: true}
	}}, testPhone{phone: snomtest.Config{Name: "qt", Model: "D865"}})
	for _, allowed := range []*regexp.Regexp{nil, regexp.MustCompile("vol_.*")} {
		inHarness(t, bridge.Config{Rules: bridge.Rules{SettingsAllow: allowed}}, r, func(h *harness) {
			time.Sleep(10 * time.Second)
			synctest.Wait()
			m := h.bridge.Directory()
			var all []bridge.Listing
			if err := json.Unmarshal(m.Payload, &all); err != nil || len(all) != 3 || !m.Retained || m.Topic != "snom/bridge/phones" {
				t.Fatalf("%v, %+v", err, m)
			}
			first, old, qt := all[0], all[1], all[2]
			if first.Name != "desk" || first.Model != "D735" || first.Driven != "http" || !slices.Contains(first.Keys, "ENTER") ||
				!slices.Contains(first.Commands, "dial") || slices.Contains(first.Commands, "screen") || slices.Contains(first.Commands, "touch") ||
				slices.Contains(first.Commands, "set") != (allowed != nil) {
				t.Errorf("%+v", first)
			}
			if !slices.Contains(old.Commands, "screen") || !slices.Contains(old.Commands, "touch") || slices.Contains(old.Commands, "reset") {
				t.Errorf("%+v", old)
			}
			if len(qt.Commands) > 0 || len(qt.Keys) > 0 || qt.Problem == "" {
				t.Errorf("%+v, expected no commands and no keys", qt)
			}
		})
	}
	for _, n := range []int{0, 300, 2000, 2001} {
		var roster bridge.Roster
		client, err := snom.NewClient(snom.ClientConfig{URL: "http://192.0.2.1"})
		if err != nil {
			t.Fatal(err)
		}
		model, _ := snom.FindModel("D735")
		for i := range n {
			roster.Phones = append(roster.Phones, bridge.PhoneConfig{Name: fmt.Sprintf("phone%04d", i), URL: fmt.Sprint("http://192.0.2.1:", i+1), Phone: client, Model: model})
		}
		tree, err := mqtt.NewTree("snom", "")
		if err != nil {
			t.Fatal(err)
		}
		m := bridge.New(bridge.Config{Tree: tree, Publish: &mqtttest.Recorder{}}, roster).Directory()
		var all []bridge.Listing
		if err := json.Unmarshal(m.Payload, &all); err != nil || m.Check() != nil {
			t.Fatalf("%d phones: %v, %v", n, err, m.Check())
		}
		if n <= 300 && (len(all) != n || all == nil) || n > 2000 && all != nil {
			t.Errorf("%d phones: %d are listed", n, len(all))
		}
	}
}
