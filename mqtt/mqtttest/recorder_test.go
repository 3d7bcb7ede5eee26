package mqtttest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/mqtt/mqtttest"
)

func TestRecorderRemembers(t *testing.T) {
	t.Parallel()
	r := mqtttest.Recorder{Refuse: func(m mqtt.Message) bool { return m.Topic == "full" }}
	payload := []byte("one")
	if !r.Publish(mqtt.Message{Topic: "a", Payload: payload}) {
		t.Error("Publish(a) = false, expected true")
	}
	copy(payload, "two")
	r.Publish(mqtt.Message{Topic: "b", Retained: true})
	for _, topic := range []string{"full", "a/+", ""} {
		if r.Publish(mqtt.Message{Topic: topic}) {
			t.Errorf("Publish(%q) = true, expected false", topic)
		}
	}
	if got := r.On("a"); len(got) != 1 || string(got[0].Payload) != "one" {
		t.Errorf(`On("a") = %v, expected one message with payload one`, got)
	}
	if got := len(r.Take()); got != 2 {
		t.Errorf("Take() has %d messages, expected 2", got)
	}
	if got := len(r.Messages()); got != 0 {
		t.Errorf("Messages() after Take has %d, expected 0", got)
	}
}

func TestRecorderWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r mqtttest.Recorder
		go func() {
			for range 3 {
				time.Sleep(time.Second)
				r.Publish(mqtt.Message{Topic: "a"})
			}
		}()
		if got, err := r.Wait(t.Context(), 3); len(got) != 3 || err != nil {
			t.Errorf("Wait(3) = %d messages, %v, expected 3, no error", len(got), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if got, err := r.Wait(ctx, 4); len(got) != 3 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait(4) = %d messages, %v, expected 3, deadline exceeded", len(got), err)
		}
	})
}
