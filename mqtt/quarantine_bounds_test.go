package mqtt

import (
	"fmt"
	"testing"
	"time"
)

// However many topics are accepted, isolated and convicted: a bounded number is remembered.
func TestQuarantineIsBounded(t *testing.T) {
	t.Parallel()
	q := newQuarantine()
	now := time.Unix(0, 0)
	topic := func(i int) *entry {
		return &entry{Entry: Entry{Message: Message{Topic: fmt.Sprintf("%d/%d/%d", i%1000, i, i%1000)}}}
	}
	for i := range maxAccepted + 1000 {
		q.accepted(topic(i))
	}
	var flight []*entry
	for i := range 3 * maxIsolated {
		flight = append(flight, topic(-i))
	}
	q.blame(now, nil, flight)
	for i := range 300 {
		e := topic(-maxAccepted - 10*i)
		q.blame(now, e, []*entry{e})
		now = now.Add(time.Minute)
	}
	if len(q.accepts) > maxAccepted || len(q.topics) > maxIsolated || len(q.classes) > maxClasses || len(q.acceptsOfClass) > maxClasses {
		t.Errorf("%d topics accepted, %d isolated, %d and %d classes", len(q.accepts), len(q.topics), len(q.classes), len(q.acceptsOfClass))
	}
	for _, c := range q.classes {
		if len(c.convicted) > convictClassAfter {
			t.Errorf("%d convicted topics of one class", len(c.convicted))
		}
	}
}
