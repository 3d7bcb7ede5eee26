package session

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// shutdown ends the subscriptions, sends what waits, publishes offline, and disconnects.
func (s *Session) shutdown(ctx context.Context, c *connection) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownFlush)
	defer cancel()
	// Nothing must come in any more: closing a connection with unread bytes resets it, and the broker would miss
	// DISCONNECT. What came before is handed over when UNSUBACK is processed. An error shows again below.
	_ = c.unsubscribe(ctx, slices.Collect(maps.Keys(c.asked)))
	for !s.drained(c, c.ended(ctx)) {
		select {
		case <-c.empty:
		case <-c.Lost():
		case <-ctx.Done():
		}
	}
	if n := s.outbox.Waiting(); n > 0 {
		s.log.Warn("not all messages were sent in time", "count", n)
	}
	published := make(chan struct{})
	c.Publish(mqtt.Message{Topic: s.cfg.Tree.State(), Payload: []byte(offline), Retained: true}, func() { close(published) })
	c.Flush()
	limit := time.NewTimer(shutdownState)
	defer limit.Stop()
	select {
	case <-published:
	case <-c.Lost():
	case <-limit.C:
	}
	c.left = true
	c.Disconnect(shutdownState)
}

// drained reports whether nothing waits to be sent, or whether it is late; then no message is handed over any more,
// either.
func (s *Session) drained(c *connection, late bool) bool {
	c.receiving <- struct{}{}
	defer func() { <-c.receiving }()
	c.draining = late || s.outbox.Waiting() == 0
	return c.draining
}
