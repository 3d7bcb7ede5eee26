// Package mqtttest has a publisher that records messages, for tests of packages that publish.
package mqtttest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// A Recorder is an [mqtt.Publisher] that records messages. It refuses invalid ones ([mqtt.Message.Check]) as a session
// does. The zero Recorder is ready to use, and safe for concurrent use.
//
// It does not model a broker that is away, a full queue (see Refuse), or retained messages that replace each other.
type Recorder struct {
	// Refuse, if set, reports whether a message is refused. It must be set before the first message.
	Refuse func(mqtt.Message) bool

	mu       sync.Mutex // guards what follows
	messages []mqtt.Message
	changed  chan struct{} // closed at the next change; nil when no caller waits
}

var _ mqtt.Publisher = (*Recorder)(nil)

// Publish records m, with a copy of its payload.
func (r *Recorder) Publish(m mqtt.Message) bool {
	if m.Check() != nil || r.Refuse != nil && r.Refuse(m) {
		return false
	}
	m.Payload = slices.Clone(m.Payload)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, m)
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
	return true
}

// Messages returns all recorded messages, in order.
func (r *Recorder) Messages() []mqtt.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.messages)
}

// On returns the recorded messages on topic, in order.
func (r *Recorder) On(topic string) []mqtt.Message {
	return slices.DeleteFunc(r.Messages(), func(m mqtt.Message) bool { return m.Topic != topic })
}

// Take returns all recorded messages and removes them.
func (r *Recorder) Take() []mqtt.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.messages
	r.messages = nil
	return taken
}

// Wait waits until there are at least n messages, and returns all of them.
func (r *Recorder) Wait(ctx context.Context, n int) ([]mqtt.Message, error) {
	return r.WaitFor(ctx, func(all []mqtt.Message) bool { return len(all) >= n })
}

// WaitFor waits until enough returns true for the recorded messages, and returns all of them. It calls enough after
// each message.
func (r *Recorder) WaitFor(ctx context.Context, enough func([]mqtt.Message) bool) ([]mqtt.Message, error) {
	for {
		r.mu.Lock()
		all := slices.Clone(r.messages)
		if r.changed == nil {
			r.changed = make(chan struct{})
		}
		changed := r.changed
		r.mu.Unlock()
		if enough(all) {
			return all, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return all, fmt.Errorf("mqtttest: %w with %d messages", context.Cause(ctx), len(all))
		}
	}
}
