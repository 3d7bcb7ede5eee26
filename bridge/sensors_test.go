package bridge_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// TestSensors: what a D735 measures is in its status, at most every five seconds; other models are ignored.
func TestSensors(t *testing.T) {
	t.Parallel()
	inHarness(t, bridge.Config{}, []testPhone{{phone: snomtest.Config{Name: "desk", Model: "D735"}}, {phone: snomtest.Config{Name: "hall", Model: "D785"}}}, func(h *harness) {
		shown := func() (all []string) {
			synctest.Wait()
			for _, m := range h.out.Take() {
				var s struct {
					Phone              string
					Light, Temperature *float64
				}
				if strings.HasSuffix(m.Topic, "/status") {
					if err := json.Unmarshal(m.Payload, &s); err != nil {
						t.Fatal(err)
					}
					text := s.Phone
					for _, v := range []*float64{s.Light, s.Temperature} {
						if v != nil {
							text += fmt.Sprint(" ", *v)
						} else {
							text += " -"
						}
					}
					all = append(all, text)
				}
			}
			return all
		}
		if h.bridge.HasSensors("hall") || !h.bridge.HasSensors("desk") || h.bridge.HasSensors("none") {
			t.Error("the wrong phones have sensors")
		}
		for _, name := range []string{"none", "hall", "desk"} {
			h.bridge.Sensors(name, bridge.Reading{Light: new(6.5)})
		}
		if got := shown(); fmt.Sprint(got) != "[desk 6.5 -]" {
			t.Errorf("%q", got)
		}
		for i := range 100 {
			h.bridge.Sensors("desk", bridge.Reading{Light: new(float64(i))})
			time.Sleep(10 * time.Millisecond)
		}
		h.bridge.Sensors("desk", bridge.Reading{Temperature: new(23.5)})
		if got := shown(); len(got) > 0 {
			t.Errorf("%q within five seconds", got)
		}
		time.Sleep(5 * time.Second)
		if got := shown(); fmt.Sprint(got) != "[desk 99 23.5]" {
			t.Errorf("%q", got)
		}
		h.bridge.Sensors("desk", bridge.Reading{Light: new(99.0)})
		time.Sleep(10 * time.Second)
		h.bridge.Sensors("desk", bridge.Reading{Light: new(99.0)})
		time.Sleep(10 * time.Second)
		if got := shown(); len(got) > 0 {
			t.Errorf("%q, expected no status: nothing is different", got)
		}
	})
}

// TestLightsOutliveTheBridge: the lights that an earlier process had set are set again, from its retained status.
func TestLightsOutliveTheBridge(t *testing.T) {
	t.Parallel()
	inPanel(t, snomtest.Config{Model: "D735"}, nil, func(h *harness, device *snomtest.Phone) {
		retained := func(payload string) {
			handle(h.bridge, h.tree, mqtt.Message{Topic: "snom/desk/status", Retained: true, Payload: []byte(payload)})
		}
		retained(`{"phone":"desk","lights":{"P1":"red blink","message":"green","P2":"off","P3":"nonsense","P900":"red","x;y":"red"}}`)
		retained(`{"phone":"desk","lights":{"P7":"red"}}`) // a second one is no news
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if got := device.Lights(); fmt.Sprint(got) != "map[0:green 5:red blink]" {
			t.Errorf("lights %v", got)
		}
		if got := h.bridge.Snapshot()[0].Panel; got == nil || fmt.Sprint(got.Lights) != "map[P1:red blink message:green]" {
			t.Errorf("status %+v", got)
		}
		if all := h.results(); len(all) > 0 {
			t.Errorf("results %+v, expected none: no command was sent", all)
		}
	})
	// A phone that says its model after a login only.
	inPanelWith(t, bridge.Config{}, testPhone{phone: snomtest.Config{Model: "D735", Auth: snomtest.AuthDigest, Username: "admin", Password: "x"},
		set: func(p *bridge.PhoneConfig) { p.Model = snom.Model{} }}, func(h *harness, device *snomtest.Phone) {
		handle(h.bridge, h.tree, mqtt.Message{Topic: "snom/desk/status", Retained: true, Payload: []byte(`{"phone":"desk","lights":{"P1":"red"}}`)})
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := device.Lights(); fmt.Sprint(got) != "map[5:red]" {
			t.Errorf("lights %v", got)
		}
		if r := h.result("snom/desk/led", "P2 green", time.Second); r.Code != bridge.OK {
			t.Errorf("%+v", r)
		}
	})
	// A wrong password costs one login, also where the model is not known.
	inPanelWith(t, bridge.Config{}, testPhone{phone: snomtest.Config{Model: "D735", Auth: snomtest.AuthDigest, Username: "admin", Password: "x"}, user: "admin", pass: "wrong",
		set: func(p *bridge.PhoneConfig) { p.Model = snom.Model{} }}, func(h *harness, device *snomtest.Phone) {
		for i, code := range []bridge.Code{bridge.Unauthorized, bridge.LockedOut} {
			if r := h.result("snom/desk/led", "P2 green", time.Second); r.Code != code {
				t.Errorf("%d: %+v", i, r)
			}
		}
		if n := device.State().FailedLogins; n != 1 {
			t.Errorf("%d failed logins, expected 1", n)
		}
	})
	// A light that the phone cannot be sent is a result.
	inPanelWith(t, bridge.Config{}, testPhone{phone: snomtest.Config{Model: "D735"}, fault: snomtest.FaultRefuseConnects}, func(h *harness, device *snomtest.Phone) {
		handle(h.bridge, h.tree, mqtt.Message{Topic: "snom/desk/status", Retained: true, Payload: []byte(`{"phone":"desk","lights":{"P1":"red"}}`)})
		time.Sleep(2 * time.Minute)
		all := h.results()
		if len(all) != 1 || all[0].Command != string(snom.VerbLED) || all[0].Code != bridge.Unreachable || all[0].Argument != "P1 red" {
			t.Errorf("%+v", all)
		}
		device.SetFault("")
	})
}
