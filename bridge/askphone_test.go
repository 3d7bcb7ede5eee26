package bridge_test

import (
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// asked is what the status says that the phone answered; nil: it was not asked.
func (h *harness) asked() *bridge.Asked {
	synctest.Wait()
	if p := h.bridge.Snapshot()[0].Panel; p != nil {
		return p.Asked
	}
	return nil
}

// reports sends the bridge an event of the call c1.
func (h *harness) reports(kind actionurl.EventType) {
	h.bridge.Event("desk", actionurl.Event{Type: kind, CallID: "c1", Time: time.Now()})
}

// questions counts how often the phone was asked to show a page.
func questions(device *snomtest.Phone) (n int) {
	synctest.Wait()
	for _, r := range device.Requests() {
		if strings.HasPrefix(r.Target, "/minibrowser.htm?") {
			n++
		}
	}
	return n
}

func TestAsk(t *testing.T) {
	t.Parallel()
	phone := snomtest.Config{Settings: map[string]string{"fwd_busy_enabled1": "on", "fwd_busy_target1": "+4930&dnd=on&n=7 x"}, UserMode: true}
	inPanel(t, phone, nil, func(h *harness, device *snomtest.Phone) {
		device.SetDND(true)
		device.Dial("28")
		time.Sleep(time.Second)
		r := h.result("snom/desk/ask", `{"id":"q"}`, time.Second)
		if r.Code != bridge.OK || r.Requests != 1 || r.Details == nil || r.Asked == nil || r.Asked.DND != bridge.SwitchOn {
			t.Fatalf("%+v", r)
		}
		is := h.asked()
		expected := map[string]int{"all": 1, "connected": 0, "holding": 0, "on_hold": 0, "ringing": 0, "calling": 1, "ringback": 0}
		if is == nil || !maps.Equal(is.Calls, expected) {
			t.Fatalf("%+v, expected calls %v", is, expected)
		}
		s := h.bridge.Snapshot()[0]
		if s.DND != bridge.SwitchOn || s.Forwarding != bridge.SwitchOn || s.Forward.Busy.To != "+4930&dnd=on&n=7 x" || s.Forward.Always.On != bridge.SwitchOff || s.Calls != 1 {
			t.Errorf("%+v, %+v", s, s.Forward)
		}
		device.HangUp()
		device.SetDND(false)
		device.Set("fwd_busy_enabled1", "off")
		time.Sleep(time.Second)
		h.result("snom/desk/ask", "", time.Second)
		time.Sleep(3 * time.Second)
		if s := h.bridge.Snapshot()[0]; s.DND != bridge.SwitchOff || s.Forwarding != bridge.SwitchOff || s.Calls != 0 || s.Call.State != "idle" {
			t.Errorf("%+v", s)
		}
		sees(t, device, "(idle)")
		if r := h.result("snom/desk/ask", `{"dry_run":true}`, time.Second); len(r.Would) != 1 || strings.Contains(r.Would[0], pageToken) || questions(device) != 2 {
			t.Errorf("%+v, %d questions", r, questions(device))
		}
	})
}

// TestAskLeavesWhatIsShown asks while a page is on the display.
func TestAskLeavesWhatIsShown(t *testing.T) {
	t.Parallel()
	inPanel(t, snomtest.Config{}, nil, func(h *harness, device *snomtest.Phone) {
		h.result("snom/desk/show", `{"id":"m","menu":[{"label":"A"}],"hold":true}`, time.Second)
		h.result("snom/desk/ask", "", time.Second)
		sees(t, device, "[menu]", "1 A")
		device.Choose("A")
		time.Sleep(time.Second)
		if all := h.events(); len(all) != 1 || all[0]["show"] != "m" {
			t.Errorf("%v, expected the choice", all)
		}
	})
}

// TestAskIsNotAnswered: a phone that does not call back, or that leaves the callbacks as they are.
func TestAskIsNotAnswered(t *testing.T) {
	t.Parallel()
	for habit, expected := range map[snomtest.Callbacks]bridge.Result{
		snomtest.CallbacksIgnored: {Code: bridge.Timeout, Message: "timeout: the phone accepted it and did not call back within 3 s: its firmware may not fill in such a page"},
		snomtest.CallbacksLeft:    {Code: bridge.Unsupported, Message: "the phone called back and said nothing of its state: its firmware does not fill in such a page"},
	} {
		inPanel(t, snomtest.Config{Callbacks: habit}, nil, func(h *harness, device *snomtest.Phone) {
			before := h.bridge.Snapshot()[0]
			began := time.Now()
			r := h.result("snom/desk/ask", "", 10*time.Second)
			if r.Code != expected.Code || r.Message != expected.Message {
				t.Errorf("%s: %+v", habit, r)
			}
			if took := r.Time.Sub(began); habit == snomtest.CallbacksIgnored && (took < 3*time.Second || took > 3500*time.Millisecond) {
				t.Errorf("answered after %v", took)
			}
			if after := h.bridge.Snapshot()[0]; h.asked() != nil || after.DND != before.DND || after.Settings != nil {
				t.Errorf("%s: %+v", habit, after)
			}
		})
	}
}

// TestAskEndsAStaleCall: the event of the end of a call was lost.
func TestAskEndsAStaleCall(t *testing.T) {
	t.Parallel()
	inPanel(t, snomtest.Config{}, nil, func(h *harness, device *snomtest.Phone) {
		h.reports(actionurl.EventIncoming)
		h.reports(actionurl.EventConnected)
		time.Sleep(time.Minute)
		if s := h.bridge.Snapshot()[0]; s.Calls != 1 {
			t.Fatalf("%+v", s)
		}
		h.result("snom/desk/ask", "", time.Second)
		if s := h.bridge.Snapshot()[0]; s.Calls != 0 {
			t.Errorf("%+v, expected no call", s)
		}
	})
}

// TestAHangupEndsAQuestion does not wait for the answer.
func TestAHangupEndsAQuestion(t *testing.T) {
	t.Parallel()
	inPanel(t, snomtest.Config{Callbacks: snomtest.CallbacksIgnored}, nil, func(h *harness, device *snomtest.Phone) {
		h.say("snom/desk/ask", `{"id":"q"}`)
		time.Sleep(time.Second)
		h.say("snom/desk/hangup", `{"id":"h"}`)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := codes(h.results()); got["q"] != bridge.Cancelled || got["h"] != bridge.OK {
			t.Errorf("%v", got)
		}
	})
}

// TestAskEvery asks regularly, never during a call, and without a result.
func TestAskEvery(t *testing.T) {
	t.Parallel()
	inPanelWith(t, bridge.Config{AskEvery: 10 * time.Minute}, testPhone{}, func(h *harness, device *snomtest.Phone) {
		time.Sleep(time.Minute)
		if n := questions(device); n != 1 || h.asked() == nil || h.asked().DND != bridge.SwitchOff {
			t.Fatalf("%d questions in the first minute, %+v", n, h.asked())
		}
		device.SetDND(true)
		time.Sleep(12 * time.Minute)
		if n := questions(device); n != 2 || h.asked().DND != bridge.SwitchOn {
			t.Errorf("%d questions, %+v", n, h.asked())
		}
		h.reports(actionurl.EventIncoming)
		h.reports(actionurl.EventConnected)
		time.Sleep(time.Hour)
		if n := questions(device); n != 2 {
			t.Errorf("%d questions, expected none during a call", n-2)
		}
		h.reports(actionurl.EventDisconnected)
		time.Sleep(time.Minute)
		if n := questions(device); n != 3 {
			t.Errorf("%d questions, expected one soon after the call", n-2)
		}
		device.SetFault(snomtest.FaultRefuseConnects)
		time.Sleep(30 * time.Minute)
		was := questions(device)
		time.Sleep(30 * time.Minute)
		if n := questions(device); n != was {
			t.Errorf("%d questions to a phone that is unreachable", n-was)
		}
		if all := h.results(); len(all) > 0 {
			t.Errorf("%+v, expected no result", all)
		}
	})
}

// TestAskWithoutPages: there is no address to call back.
func TestAskWithoutPages(t *testing.T) {
	t.Parallel()
	inHarness(t, bridge.Config{AskEvery: time.Minute}, one(), func(h *harness) {
		if r := h.result("snom/desk/ask", "", time.Second); r.Code != bridge.Unsupported || !strings.Contains(r.Message, "PHONE_LISTEN") {
			t.Errorf("%+v", r)
		}
		time.Sleep(time.Hour)
		if n := questions(h.phones["desk"]); n > 0 {
			t.Errorf("%d questions", n)
		}
	})
}

// TestAskOnModels: DECT bases and phones without remote control have no minibrowser.
func TestAskOnModels(t *testing.T) {
	t.Parallel()
	m, _ := snom.FindModel("M700")
	if _, err := m.Check(snom.Ask()); err == nil {
		t.Error("a DECT base can be asked")
	}
}
