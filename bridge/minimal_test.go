package bridge_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// A result that a broker does not accept is still an answer when it is short: who, what, and the code.
func TestMinimal(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("<", 200)
	now := bridge.Time{Time: time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)}
	first := bridge.Result{ID: "x", Phone: "kitchen", Message: long}
	result := bridge.Result{
		ID: strings.Repeat("\u00e4", 64), Phone: strings.Repeat("p", 64), Command: long, Argument: strings.Repeat("1", 5000), Code: bridge.Duplicate,
		Message: strings.Repeat("m", 5000), HTTPStatus: 302, Requests: 1, QueuedMS: 2, DurationMS: 3, Time: now, First: &first,
	}
	members := map[string]bridge.Code{}
	for range 1000 {
		members[strings.Repeat("m", len(members)%60+1)+strings.Repeat("x", len(members)/60)] = bridge.Unreachable
	}
	summary := bridge.Summary{ID: "7", Group: "all", Command: "dial", Argument: long, Code: bridge.Unreachable, Members: members, Time: now}
	marshal := func(v any) []byte {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	got := bridge.Minimal(mqtt.Message{Topic: "snom/kitchen/result", Payload: marshal(result)})
	var short bridge.Result
	if err := json.Unmarshal(got, &short); err != nil || len(got) > 1<<10 {
		t.Fatalf("%d bytes, %v: %s", len(got), err, got)
	}
	want := result
	want.Argument, want.Message, want.First = "", short.Message, nil
	if short != want || short.Message == "" {
		t.Errorf("got %+v, expected %+v", short, want)
	}
	got = bridge.Minimal(mqtt.Message{Topic: "snom/all/result", Payload: marshal(summary)})
	var s bridge.Summary
	if err := json.Unmarshal(got, &s); err != nil || len(got) > 1<<10 || s.ID != "7" || s.Group != "all" || s.Code != bridge.Unreachable || s.Members != nil {
		t.Errorf("%d bytes, %v: %s", len(got), err, got)
	}
	for _, m := range []mqtt.Message{
		{Topic: "snom/kitchen/status", Payload: marshal(result), Retained: true},
		{Topic: "snom/kitchen/event", Payload: marshal(result)},
		{Topic: "snom/kitchen/result", Payload: []byte("{")},
		{Topic: "snom/kitchen/result", Payload: []byte("{}")},
		{Topic: "snom/kitchen/result"},
	} {
		if got := bridge.Minimal(m); got != nil {
			t.Errorf("Minimal(%+v) = %s, expected none", m, got)
		}
	}
}
