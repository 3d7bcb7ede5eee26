package bridge_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// TestDoorFaults: whatever happens while a door is being opened, the command is answered once, the code is sent at most once
// and is shown nowhere, and the door is not left opening.
func TestDoorFaults(t *testing.T) {
	t.Parallel()
	slow := func(p *testPhone) { p.phone.Latency = 400 * time.Millisecond }
	calling := func(p *testPhone) { p.doors[0].Call = true }
	connected := func(h *harness) { h.event(actionurl.EventConnected, "1") }
	open := func(h *harness) { h.say("snom/front/open", `{"id":"o"}`) }
	wait := func(d time.Duration) func(*harness) { return func(*harness) { time.Sleep(d) } }
	hangup := func(h *harness) { h.say("snom/desk/hangup", `{"id":"h"}`) }
	stop := func(h *harness) { h.stop() }
	reload := func(change func(*bridge.Roster)) func(*harness) {
		return func(h *harness) {
			h.roster = bridge.Roster{Phones: h.bridge.Phones(), Doors: []bridge.DoorConfig{front(h.t, "desk")}}
			change(&h.roster)
			if err := h.reload(h.t.Context()); err != nil {
				h.t.Error(err)
			}
		}
	}
	same := reload(func(*bridge.Roster) {})
	noDoor := reload(func(r *bridge.Roster) { r.Doors = nil })
	noPhone := reload(func(r *bridge.Roster) { r.Phones = nil })
	moved := reload(func(r *bridge.Roster) { r.Doors[0].Number = "62" })
	const moment = 200 * time.Millisecond
	type does = []func(*harness)
	for _, tt := range []struct {
		name  string
		phone func(*testPhone)
		do    does
		code  []bridge.Code // one of them
		codes int           // times that the code was sent
	}{
		{"all well", nil, does{connected, open}, []bridge.Code{bridge.OK}, 1},
		{"the phone is off", func(p *testPhone) { p.fault = snomtest.FaultRefuseConnects }, does{connected, open}, []bridge.Code{bridge.Unreachable}, 0},
		{"a wrong password", func(p *testPhone) { p.user, p.pass = "admin", "wrong" }, does{connected, open}, []bridge.Code{bridge.Unauthorized, bridge.LockedOut}, 0},
		{"the phone does not answer", func(p *testPhone) { p.fault = snomtest.FaultHang }, does{connected, open}, []bridge.Code{bridge.Timeout}, 0},
		{"hangup while the code is on its way", slow, does{connected, open, wait(moment), hangup}, []bridge.Code{bridge.OK}, 1},
		{"a hangup before it", nil, does{connected, hangup, open}, []bridge.Code{bridge.Forbidden}, 0},
		{"the bridge stops", slow, does{connected, open, wait(moment), stop}, []bridge.Code{bridge.OK}, 1},
		{"the bridge stops while it calls", calling, does{open, wait(time.Second), stop}, []bridge.Code{bridge.Cancelled}, 0},
		{"hangup while it calls", calling, does{open, wait(time.Second), hangup}, []bridge.Code{bridge.Cancelled}, 0},
		{"a reload", slow, does{connected, open, wait(moment), same}, []bridge.Code{bridge.OK}, 1},
		{"the door is removed", slow, does{connected, open, wait(moment), noDoor}, []bridge.Code{bridge.OK}, 1},
		{"the phone is removed", slow, does{connected, open, wait(moment), noPhone}, []bridge.Code{bridge.OK}, 1},
		{"the phone is removed while it calls", calling, does{open, wait(time.Second), noPhone}, []bridge.Code{bridge.Cancelled}, 0},
		{"the door has another number now", slow, does{connected, same, moved, open}, []bridge.Code{bridge.Forbidden}, 0},
		{"the phone restarts", nil, does{connected, func(h *harness) { h.event(actionurl.EventStarted, "") }, open}, []bridge.Code{bridge.Forbidden}, 0},
		{"a second call, connected", nil, does{connected, func(h *harness) {
			h.bridge.Event("desk", actionurl.Event{Type: actionurl.EventConnected, CallID: "2", Remote: actionurl.Party{Number: "27"}, Time: time.Now()})
		}, open}, []bridge.Code{bridge.Forbidden}, 0},
		{"on hold", nil, does{connected, func(h *harness) { h.event(actionurl.EventHold, "1") }, open}, []bridge.Code{bridge.Forbidden}, 0},
		{"another call rings", nil, does{connected, func(h *harness) {
			h.bridge.Event("desk", actionurl.Event{Type: actionurl.EventIncoming, CallID: "2", Remote: actionurl.Party{Number: "27"}, Time: time.Now()})
		}, open}, []bridge.Code{bridge.OK}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				phones := phoneWithDoor(t, nil)
				if tt.phone != nil {
					tt.phone(&phones[0])
				}
				h := newHarness(t, bridge.Config{Events: true, Gap: 50 * time.Millisecond}, phones, nil)
				time.Sleep(5 * time.Second)
				h.out.Take()
				for _, do := range tt.do {
					do(h)
					synctest.Wait()
				}
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				messages := h.out.Take()
				var results []bridge.Result
				for _, r := range h.resultsOf(messages) {
					if r.ID == "o" {
						results = append(results, r)
					}
				}
				if len(results) != 1 || !slices.Contains(tt.code, results[0].Code) {
					t.Errorf("%+v, expected one with %s", results, tt.code)
				}
				if n := h.sentCodes("desk"); n != tt.codes {
					t.Errorf("the code was sent %d times, expected %d", n, tt.codes)
				}
				last := ""
				for _, m := range messages {
					if m.Topic == "snom/front/state" {
						last = string(m.Payload)
					}
				}
				if strings.Contains(last, "opening") {
					t.Errorf("the door is left so: %s", last)
				}
				h.checkNoCode(messages)
				h.stop()
				synctest.Wait()
			})
		})
	}
}
