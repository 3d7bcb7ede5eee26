package bridge_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// TestDocumentsThatAnotherClientReplaced: what another client publishes on a retained topic of the bridge or of a door, or
// clears there, does not stay. A client that insists is answered once a second and logged once a minute, and two processes
// with the same topics do not contradict each other.
func TestDocumentsThatAnotherClientReplaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSharedBroker(t)
		phones := phoneWithDoor(t, func(d *bridge.DoorConfig) { d.Camera = testCamera{} })
		h := newHarness(t, bridge.Config{Publish: s, Process: "m", Events: true}, phones, nil)
		s.connect(h)
		var list func()
		list = func() {
			h.bridge.Keep(mqtt.Message{Topic: "snom/bridge/phones", Payload: []byte("[]"), Retained: true}, list)
		}
		list()
		h.event(actionurl.EventIncoming, "1")
		time.Sleep(time.Minute)
		topics := []string{"snom/bridge/info", "snom/bridge/phones", "snom/front/state", "snom/front/availability", "snom/front/image"}
		for _, topic := range topics {
			for _, payload := range []string{"", "offline", "{}", `{"process":"x","started":"2030-01-01T00:00:00Z"}`, strings.Repeat("x", 60_000)} {
				truth := s.kept(topic)
				if truth == "" || truth == payload {
					t.Fatalf("%.40q is retained on %s", truth, topic)
				}
				before := len(s.messages(topic))
				s.Publish(mqtt.Message{Topic: topic, Payload: []byte(payload), Retained: true})
				time.Sleep(3 * time.Second)
				if got := s.kept(topic); got == payload || got == "" || got[0] != truth[0] {
					t.Errorf("%s: %.40q stays, expected %.40q", topic, got, truth)
				}
				if n := len(s.messages(topic)) - before; n < 2 || n > 3 { // an info that looks like a process' is answered, too
					t.Errorf("%s %.10q: %d messages, expected the foreign one and the right one", topic, payload, n)
				}
			}
		}
		for _, topic := range topics {
			before := len(s.messages(topic))
			for range 1000 {
				s.Publish(mqtt.Message{Topic: topic, Payload: []byte("forged"), Retained: true})
				time.Sleep(10 * time.Millisecond)
			}
			time.Sleep(3 * time.Second)
			if n := len(s.messages(topic)) - before - 1000; n < 3 || n > 13 {
				t.Errorf("%s: %d answers in ten seconds", topic, n)
			}
			if got := s.kept(topic); got == "forged" || got == "" {
				t.Errorf("%s: in the end %q is retained", topic, got)
			}
		}
		if n := strings.Count(h.log.String(), "another client published"); n > 2*len(topics) {
			t.Errorf("%d lines of log for %d topics in two minutes", n, len(topics))
		}
		h.stop()
		s.Publish(mqtt.Message{Topic: "snom/bridge/info", Payload: []byte("forged"), Retained: true})
		time.Sleep(time.Minute)
		if got := s.kept("snom/bridge/info"); got != "forged" {
			t.Errorf("%.40q was published by a bridge that has stopped", got)
		}
	})
}

// TestProcessesDoNotContradictEachOther: the documents of a process that has the same topics are not another client's.
func TestProcessesDoNotContradictEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSharedBroker(t)
		first := s.build("", "a", nil, "hall")
		s.connect(first)
		time.Sleep(time.Second)
		second := s.build("", "b", nil, "hall")
		s.connect(second)
		time.Sleep(10 * time.Second)
		before := len(s.messages("snom/bridge/info"))
		time.Sleep(time.Minute)
		if n := len(s.messages("snom/bridge/info")) - before; n > 2*13 { // a question every five seconds, and its answer
			t.Errorf("%d messages in a minute", n)
		}
		if got := s.kept("snom/bridge/info"); !strings.Contains(got, `"process":"a"`) {
			t.Errorf("%s is retained, expected the document of the first process", got)
		}
		for _, h := range []*harness{first, second} {
			if strings.Contains(h.log.String(), "another client published on a topic of this bridge") {
				t.Errorf("logged: %s", h.log)
			}
			h.stop()
		}
	})
}
