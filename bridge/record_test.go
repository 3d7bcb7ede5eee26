package bridge

import (
	"strings"
	"testing"
	"time"
)

// TestRecordHoldsResult: what is remembered of a result is published as the result was.
func TestRecordHoldsResult(t *testing.T) {
	t.Parallel()
	at := Time{Time: time.Date(2026, 11, 22, 10, 0, 0, 123_456_789, time.UTC)}
	for name, r := range map[string]Result{
		"zero": {},
		"ok":   {ID: "7", Phone: "desk", Command: "dial", Argument: "+4930123", OK: true, Code: OK, HTTPStatus: 302, Requests: 1, QueuedMS: 3, DurationMS: 21, Time: at},
		"failed": {
			Phone: "büro \"2\"", Command: "key", Argument: strings.Repeat("P1;", 100), Code: Timeout, Message: "no complete reply within 5s\n\x00",
			HTTPStatus: 0, Requests: 2, QueuedMS: 1 << 40, DurationMS: -1, Time: Time{Time: at.In(time.FixedZone("", 3600))},
		},
		"before 1970": {Time: Time{Time: time.Unix(-1, 0)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			is := newRecord(&r).result(r.ID)
			if got, expected := string(encodeResult(is)), string(encodeResult(&r)); got != expected {
				t.Errorf("got\n%s, expected\n%s", got, expected)
			}
			if !is.Time.Equal(r.Time.Time) {
				t.Errorf("got %v, expected %v", is.Time, r.Time)
			}
		})
	}
}
