package bridge_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// press has the phone press keys, and returns the events and results that follow.
func (h *harness) press(device *snomtest.Phone, keys string) (events []string, results []bridge.Result) {
	h.t.Helper()
	if err := device.Press(keys); err != nil {
		h.t.Fatal(err)
	}
	time.Sleep(5 * time.Second)
	synctest.Wait()
	all := h.out.Take()
	for _, m := range all {
		if strings.HasSuffix(m.Topic, "/event") {
			var e struct {
				Type string `json:"event_type"`
				Key  string `json:"key"`
				Name string `json:"name"`
			}
			if err := json.Unmarshal(m.Payload, &e); err != nil {
				h.t.Fatal(err)
			}
			events = append(events, strings.Join([]string{e.Type, e.Key, e.Name}, " "))
		}
	}
	return events, h.resultsOf(all)
}

// TestKeysOfAPhone installs keys in a phone and presses them.
func TestKeysOfAPhone(t *testing.T) {
	t.Parallel()
	keys := actionurl.NewKeys([]actionurl.Key{
		{Key: "P1", Name: "garage", Label: "Garage"}, {Key: "P3", Run: "greet"}, {Key: "P4", Name: "gone", Run: "none"}, {Key: "P5", Open: "none"},
	})
	macro := bridge.Macro{Name: "greet", Steps: []bridge.MacroStep{{MacroStep: mustStep(t, `{"show":"Good night"}`)}}}
	urls := actionurl.URLs("http://bridge.invalid:8088", "desk", pageToken)
	inPanelWith(t, bridge.Config{ActionURLs: func(context.Context, string) ([]actionurl.URL, error) { return urls, nil }},
		testPhone{phone: snomtest.Config{Model: "D735", Auth: snomtest.AuthDigest, Username: "admin", Password: "x"}, // it does not say its model before a login
			set: func(p *bridge.PhoneConfig) { p.Keys, p.Model = keys, snom.Model{} }, macros: []bridge.Macro{macro}},
		func(h *harness, device *snomtest.Phone) {
			handle(h.bridge, h.tree, mqtt.Message{Topic: "snom/bridge/request/install", Payload: []byte("desk")})
			time.Sleep(time.Minute)
			h.out.Take()
			if got := device.Settings()["fkey_short_label0"]; got != "Garage" {
				t.Errorf("the short label is %q", got)
			}
			before := len(device.Requests())
			events, results := h.press(device, "P1")
			if fmt.Sprint(events) != "[key_press P1 garage]" || len(results) > 0 || len(device.Requests()) != before {
				t.Errorf("%q, %+v", events, results)
			}
			if a := device.Actions(); a[len(a)-1].Status != 200 {
				t.Errorf("the press was answered with %+v", a[len(a)-1])
			}
			sees(t, device, "(idle)") // the answer was empty
			events, results = h.press(device, "P3")
			if fmt.Sprint(events) != "[key_press P3 ]" || len(results) != 1 || results[0].Command != "run" || results[0].Argument != "greet" || !strings.HasPrefix(results[0].ID, "key-") || results[0].Code != bridge.OK {
				t.Errorf("%q, %+v", events, results)
			}
			sees(t, device, "Good night")
			// A macro that a reload has taken away is a result; a door is not there.
			if events, results = h.press(device, "P4"); len(events) != 1 || len(results) != 1 || results[0].Code != bridge.Invalid {
				t.Errorf("%q, %+v", events, results)
			}
			if events, results = h.press(device, "P5"); len(events) != 1 || len(results) > 0 {
				t.Errorf("%q, %+v", events, results)
			}
			var listed []bridge.Listing
			if err := json.Unmarshal(h.bridge.Directory().Payload, &listed); err != nil || len(listed[0].SetUp) != 4 || listed[0].SetUp[0] != (bridge.KeyListing{Key: "P1", Name: "garage", Label: "Garage"}) {
				t.Errorf("%+v, %v", listed, err)
			}
		})
}

// mustStep returns a step of a macro.
func mustStep(t *testing.T, text string) snom.MacroStep {
	t.Helper()
	s, err := snom.ParseMacroStep([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestAKeyOpensADoor presses the key of a door in a call with it, and without one.
func TestAKeyOpensADoor(t *testing.T) {
	t.Parallel()
	code, err := snom.VerbDTMF.Command(map[string]json.RawMessage{"digits": json.RawMessage(`"12"`)})
	if err != nil {
		t.Fatal(err)
	}
	door := bridge.DoorConfig{Name: "front", Phones: []string{"desk"}, Number: "61", Code: code, Hold: time.Second}
	keys := actionurl.NewKeys([]actionurl.Key{{Key: "P2", Name: "door", Open: "front"}})
	inHarness(t, bridge.Config{Events: true}, []testPhone{{phone: snomtest.Config{Name: "desk"}, set: func(p *bridge.PhoneConfig) { p.Keys = keys }, doors: []bridge.DoorConfig{door}}}, func(h *harness) {
		press := func() []bridge.Result {
			h.bridge.Event("desk", actionurl.Event{Type: actionurl.EventKeyPress, Key: "P2"})
			time.Sleep(5 * time.Second)
			return h.results()
		}
		if all := press(); len(all) != 1 || all[0].Code != bridge.Forbidden || !strings.Contains(all[0].Message, "no call with the front door") {
			t.Errorf("%+v", all)
		}
		for _, kind := range []actionurl.EventType{actionurl.EventIncoming, actionurl.EventConnected} {
			h.bridge.Event("desk", actionurl.Event{Type: kind, CallID: "1", Direction: actionurl.DirectionIn, Remote: actionurl.Party{Number: "61"}})
		}
		if all := press(); len(all) != 1 || all[0].Code != bridge.OK || all[0].Requests != 1 {
			t.Errorf("%+v", all)
		}
	})
}

func TestKeysNeedEvents(t *testing.T) {
	t.Parallel()
	keys := actionurl.NewKeys([]actionurl.Key{{Key: "P1"}})
	if why := bridge.CheckKeys(keys, false); !strings.Contains(why, "PHONE_LISTEN") {
		t.Errorf("%q", why)
	}
	if why := bridge.CheckKeys(keys, true) + bridge.CheckKeys(nil, false); why != "" {
		t.Errorf("%q", why)
	}
}
