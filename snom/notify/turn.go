package notify

import (
	"context"
	"fmt"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// A Turn lets one request at a time through to a phone, and keeps the time between two that a phone needs for what it does on its
// screen: a hangup waits for that, too, because the phone would ignore it. Make it with [NewTurn].
type Turn struct {
	taken chan struct{} // full while a request is under way
	ready time.Time     // when the phone takes the next one; belongs to whose turn it is
}

// NewTurn returns a Turn that is free.
func NewTurn() *Turn { return &Turn{taken: make(chan struct{}, 1)} }

// Send sends the notification of a step when its turn has come. send makes the requests and returns how many it made.
func (t *Turn) Send(ctx context.Context, step snom.Step, send func(Notification) (requests int, err error)) error {
	n, err := Parse(step.Request)
	if err != nil {
		return err
	}
	if err := t.Begin(ctx, step); err != nil {
		return err
	}
	requests, err := send(n)
	t.End(step, requests > 0)
	return err
}

// Begin waits until step may be sent. Its caller must call End after an error-free return.
func (t *Turn) Begin(ctx context.Context, step snom.Step) error {
	select {
	case t.taken <- struct{}{}:
		if now := time.Now(); !now.Before(t.ready) && (step.NotAfter.IsZero() || now.Before(step.NotAfter)) {
			return nil // as most, without a timer
		}
		<-t.taken
	default:
	}
	if err := Acquire(ctx, step, t.taken, "another request"); err != nil {
		return err
	}
	until := t.ready
	expires := !step.NotAfter.IsZero() && step.NotAfter.Before(until)
	if expires {
		until = step.NotAfter
	}
	rest := time.NewTimer(time.Until(until))
	defer rest.Stop()
	select {
	case <-rest.C:
		if expires {
			<-t.taken
			return fmt.Errorf("%w: the phone was not ready for it", snom.ErrExpired)
		}
		return nil
	case <-ctx.Done():
		<-t.taken
		return fmt.Errorf("%w: the phone is not ready for it: %w", snom.ErrUnreachable, context.Cause(ctx))
	}
}

// Acquire fills slot, a channel of capacity one that is full while a request is under way. It waits until ctx ends or step may
// not be sent any more; others names what it waits for in the error, which wraps [snom.ErrExpired] or [snom.ErrUnreachable].
// Its caller must empty slot after an error-free return.
func Acquire(ctx context.Context, step snom.Step, slot chan<- struct{}, others string) error {
	var expired <-chan time.Time
	if !step.NotAfter.IsZero() {
		timer := time.NewTimer(time.Until(step.NotAfter))
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case slot <- struct{}{}:
		return nil
	case <-expired:
		return fmt.Errorf("%w: %s under way", snom.ErrExpired, others)
	case <-ctx.Done():
		return fmt.Errorf("%w: %s under way: %w", snom.ErrUnreachable, others, context.Cause(ctx))
	}
}

// End ends the turn. The next one begins after the step's pause where the phone may have got the step, and at once otherwise.
func (t *Turn) End(step snom.Step, sent bool) {
	if sent {
		t.ready = time.Now().Add(min(step.Pause, keyPause))
	}
	<-t.taken
}
