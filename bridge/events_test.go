package bridge_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/callstate"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// Every event has a time after which it is not published any more, counted from its arrival; nothing else has one.
func TestEventsExpire(t *testing.T) {
	inHarness(t, bridge.Config{Events: true}, one(), func(h *harness) {
		arrived := map[string]time.Time{}
		for i, kind := range actionurl.EventTypes() {
			at := time.Now()
			if i%3 == 0 { // it waited behind others
				at = at.Add(-4 * time.Second)
			}
			arrived[string(kind)] = at
			h.bridge.Event("desk", actionurl.Event{Type: kind, CallID: string(kind), Time: at})
		}
		h.say("snom/desk/key", "ENTER")
		time.Sleep(time.Second)
		synctest.Wait()
		events := 0
		for _, m := range h.out.Take() {
			if m.Topic != "snom/desk/event" {
				if !m.Expires.IsZero() {
					t.Errorf("%s expires at %v, expected never", m.Topic, m.Expires)
				}
				continue
			}
			events++
			for kind, at := range arrived {
				if strings.Contains(string(m.Payload), `"event_type":"`+kind+`"`) && !m.Expires.Equal(at.Add(10*time.Second)) {
					t.Errorf("%s expires %v after it arrived, expected 10s", kind, m.Expires.Sub(at))
				}
			}
			if m.Retained {
				t.Errorf("%s is retained", m.Payload)
			}
		}
		if events != len(arrived) {
			t.Errorf("%d events, expected %d", events, len(arrived))
		}
	})
}

// After the broker was away, what is published is what is still true: the status, the results and the last events.
func TestLateEventsAreDropped(t *testing.T) {
	inHarness(t, bridge.Config{Events: true}, one(), func(h *harness) {
		box := mqtt.NewOutbox(mqtt.Limits{Messages: 100, Bytes: 1 << 20, RetainedBytes: 1 << 20, Window: 10}, nil, nil)
		wait := func() {
			for _, m := range h.out.Take() {
				box.Add(time.Now(), m)
			}
		}
		h.bridge.Event("desk", actionurl.Event{Type: actionurl.EventIncoming, CallID: "a", Time: time.Now()})
		wait()
		time.Sleep(40 * time.Second)
		h.bridge.Event("desk", actionurl.Event{Type: actionurl.EventConnected, CallID: "a", Time: time.Now()})
		wait()
		time.Sleep(8 * time.Second)
		var events []string
		for connection := box.Connected(); ; {
			e, ok := box.Take(connection, time.Now(), true)
			if !ok {
				break
			}
			box.Done(e.Seq)
			if e.Message.Topic == "snom/desk/event" {
				events = append(events, string(e.Message.Payload))
			}
		}
		if len(events) != 1 || !strings.Contains(events[0], `"event_type":"connected"`) || box.Drops().Expired != 1 {
			t.Errorf("events %q and %+v dropped, expected connected only and one expired", events, box.Drops())
		}
	})
}

// What a command did to the calls of a phone counts as if the phone had reported it, and later events fit in.
func TestCommandsChangeCalls(t *testing.T) {
	for _, tt := range []struct {
		name     string
		events   []actionurl.EventType // before the command, all of one call
		command  string
		expected callstate.Phase
		reason   string
		then     actionurl.EventType // after it
		last     callstate.Phase
	}{
		{"hang up a call that rings", []actionurl.EventType{actionurl.EventIncoming}, "hangup", callstate.Ended, "hung_up", actionurl.EventIncoming, callstate.Idle},
		{"reject a call that rings", []actionurl.EventType{actionurl.EventIncoming}, "hangup current", callstate.Ended, "hung_up", actionurl.EventDisconnected, callstate.Idle},
		{"reject a call that rings with the key", []actionurl.EventType{actionurl.EventIncoming}, "key CANCEL", callstate.Ended, "hung_up", actionurl.EventDisconnected, callstate.Idle},
		{"reject a call that rings with a key that is held", []actionurl.EventType{actionurl.EventIncoming}, "key CANCEL,200", callstate.Ended, "hung_up", actionurl.EventDisconnected, callstate.Idle},
		{"reject a call that rings with the key, twice", []actionurl.EventType{actionurl.EventIncoming}, "key CANCEL;CANCEL", callstate.Ended, "hung_up", actionurl.EventDisconnected, callstate.Idle},
		{"reject a call that rings with a list of keys", []actionurl.EventType{actionurl.EventIncoming}, `key {"keys":["CANCEL"]}`, callstate.Ended, "hung_up", actionurl.EventDisconnected, callstate.Idle},
		{"reject a call that rings with another key", []actionurl.EventType{actionurl.EventIncoming}, "key F_CANCEL", callstate.Ended, "hung_up", actionurl.EventDisconnected, callstate.Idle},
		{"hang up while dialing", []actionurl.EventType{actionurl.EventOutgoing}, "hangup", callstate.Ended, "hung_up", actionurl.EventConnected, callstate.Idle},
		{"hang up a call", []actionurl.EventType{actionurl.EventIncoming, actionurl.EventConnected}, "hangup", callstate.Ended, "hung_up", actionurl.EventDisconnected, callstate.Idle},
		{"answer", []actionurl.EventType{actionurl.EventIncoming}, "answer", callstate.Connected, "", actionurl.EventConnected, callstate.Connected},
		{"restart", []actionurl.EventType{actionurl.EventIncoming, actionurl.EventConnected}, "reboot", callstate.Ended, "restarted", actionurl.EventStarted, callstate.Idle},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inHarness(t, bridge.Config{Events: true}, one(), func(h *harness) {
				report := func(kind actionurl.EventType) {
					h.bridge.Event("desk", actionurl.Event{Type: kind, CallID: "a", Time: time.Now()})
				}
				for _, kind := range tt.events {
					report(kind)
					time.Sleep(time.Second)
				}
				verb, argument, _ := strings.Cut(tt.command, " ")
				h.say("snom/desk/"+verb, argument)
				time.Sleep(time.Second)
				synctest.Wait()
				if s := h.bridge.Snapshot()[0]; s.Call.State != tt.expected || string(s.Call.Reason) != tt.reason {
					t.Errorf("after %s: %+v, expected %s %s", tt.command, s.Call, tt.expected, tt.reason)
				}
				time.Sleep(3 * time.Second)
				report(tt.then)
				if s := h.bridge.Snapshot()[0]; s.Call.State != tt.last {
					t.Errorf("after %s: %+v, expected %s", tt.then, s.Call, tt.last)
				}
			})
		})
	}
}
