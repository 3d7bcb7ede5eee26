package bridge_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// A subscription delivers commands, events, results, states and responses in their order; a slow reader loses its subscription, and delays
// nothing.
func TestSubscribe(t *testing.T) {
	t.Parallel()
	inHarness(t, bridge.Config{Events: true}, one(), func(h *harness) {
		time.Sleep(5 * time.Second)
		live, err := h.bridge.Subscribe(100)
		if err != nil {
			t.Fatal(err)
		}
		slow, err := h.bridge.Subscribe(2)
		if err != nil {
			t.Fatal(err)
		}
		closed, err := h.bridge.Subscribe(0)
		if err != nil {
			t.Fatal(err)
		}
		closed.Close()
		closed.Close()
		h.bridge.Event("desk", actionurl.Event{Type: actionurl.EventIncoming, CallID: "a", Time: time.Now()})
		h.result("snom/desk/key", "P1", time.Second)
		h.result("snom/desk/key", "NOKEY", time.Second)
		h.say("snom/bridge/request/ping", `{"id":"7"}`)
		synctest.Wait()
		var got []string
		for len(live.C) > 0 {
			switch u := <-live.C; {
			case u.Event != nil:
				got = append(got, "event "+string(u.Event.Type))
			case u.Result != nil:
				got = append(got, fmt.Sprintf("result %s", u.Result.Code))
			case u.Status != nil:
				got = append(got, fmt.Sprintf("status %s", u.Status.Call.State))
			case u.Command != nil:
				got = append(got, fmt.Sprintf("command %s %s", u.Command.Command, u.Command.Argument))
			case u.Response != nil:
				got = append(got, fmt.Sprintf("response %s %s", u.Response.Action, u.Response.ID))
			}
		}
		for _, want := range []string{"event incoming", "status ringing", "command key P1", "result ok", "command key NOKEY", "result invalid", "response ping 7"} {
			i := slices.Index(got, want)
			if i < 0 {
				t.Fatalf("updates %q, expected %q next", got, want)
			}
			got = got[i+1:]
		}
		n := 0
		for range slow.C { // it is closed
			n++
		}
		if n != 2 {
			t.Errorf("the slow reader got %d updates, expected 2 and the end", n)
		}
		if _, ok := <-closed.C; ok {
			t.Error("an update came after Close")
		}
		for range 64 {
			if _, err = h.bridge.Subscribe(1); err != nil {
				break
			}
		}
		if err == nil || !strings.Contains(err.Error(), "too many") {
			t.Errorf("65 subscriptions: %v, expected an error", err)
		}
		h.stop()
		for range live.C { // it ends with the bridge
		}
		if _, err := h.bridge.Subscribe(1); err == nil {
			t.Error("Subscribe after the end = nil, expected an error")
		}
	})
}
