package bridge_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// A command for a group reaches subscriptions once for each member, with the group; of a secret argument nothing is shown.
func TestReceivedCommandsAreMasked(t *testing.T) {
	t.Parallel()
	phones := one()
	phones[0].set = func(c *bridge.PhoneConfig) { c.Mask = map[snom.Verb]bool{snom.VerbDTMF: true} }
	inHarness(t, bridge.Config{}, phones, func(h *harness) {
		live, err := h.bridge.Subscribe(100)
		if err != nil {
			t.Fatal(err)
		}
		defer live.Close()
		h.say("snom/all/dtmf", `{"id":"g","digits":"4711"}`)
		synctest.Wait()
		got := *(<-live.C).Command
		if expected := (bridge.Received{ID: "g", Phone: "desk", Group: "all", Command: "dtmf", Argument: "***", Time: got.Time}); got != expected {
			t.Errorf("received %+v, expected %+v", got, expected)
		}
	})
}

// A view has what is known of a phone, its last event, and what commands are checked against.
func TestView(t *testing.T) {
	t.Parallel()
	inHarness(t, bridge.Config{Events: true}, one(), func(h *harness) {
		time.Sleep(5 * time.Second)
		at := time.Now()
		for _, e := range []actionurl.EventType{actionurl.EventIncoming, actionurl.EventConnected} {
			h.bridge.Event("desk", actionurl.Event{Type: e, CallID: "a", Time: at})
		}
		v, ok := h.bridge.View("desk")
		if !ok || v.LastEvent != (bridge.EventNote{Type: actionurl.EventConnected, Time: bridge.Time{Time: at}}) || v.Status.Call.State != "connected" ||
			v.Is.IsZero() || v.Config.Name != "desk" || v.Reachable != bridge.SwitchOn || v.Why != "" || !v.LastSeen.Equal(at) {
			t.Errorf("View(desk) = %+v, %v", v, ok)
		}
		if _, ok := h.bridge.View("none"); ok {
			t.Error("View(none) = true")
		}
		n := 0
		for v := range h.bridge.Views() {
			if n++; v.Phone != "desk" {
				t.Errorf("Views has %q", v.Phone)
			}
			break
		}
		if n != 1 || len(h.bridge.Groups()["all"]) != 1 {
			t.Errorf("%d views, groups %v", n, h.bridge.Groups())
		}
	})
}
