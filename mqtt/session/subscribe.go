package session

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// refusals are the subscriptions that the broker does not grant.
//
// Some brokers close the connection on a SUBSCRIBE that is not allowed (RabbitMQ with topic permissions does), and take
// everything down with it. When that happens, the next connections subscribe one filter at a time, and the filter that
// is unanswered when the connection is closed, twice, is the one. It is left out, and tried again after an hour on
// the next connection that is made anyway.
type refusals struct {
	careful  bool                 // one filter at a time
	closes   map[string]int       // connections that were closed on a filter, at most maxRefusals filters
	leftOut  map[string]time.Time // filters on which the broker closed the connection, since when
	denied   map[string]bool      // optional filters that SUBACK refused
	required map[string]bool      // filters that cannot be left out
	found    string               // the filter that was found by the last closed
}

const (
	convictFilter = 2         // connections
	leaveOutFor   = time.Hour // a filter
	maxRefusals   = 1 << 10
)

// closed records that the broker closed the connection while these filters were unanswered. It reports whether the
// filter to blame was found.
func (r *refusals) closed(asking []string) bool {
	r.found = ""
	if !r.careful || len(asking) > 1 {
		r.careful = true
		return false
	}
	filter := asking[0]
	if r.closes == nil {
		r.closes, r.leftOut = map[string]int{}, map[string]time.Time{}
	}
	if len(r.closes) < maxRefusals {
		r.closes[filter]++
	}
	if r.closes[filter] < convictFilter {
		return false
	}
	r.found = filter
	if !r.required[filter] {
		r.leftOut[filter] = time.Now()
	}
	return true
}

// culprit returns the filter that the last closed found, and whether it cannot be left out.
func (r *refusals) culprit() (filter string, required bool) { return r.found, r.required[r.found] }

// without reports whether filter is left out on a connection made then.
func (r *refusals) without(filter string, made time.Time) bool {
	since, ok := r.leftOut[filter]
	return ok && made.Sub(since) < leaveOutFor
}

// granted records that the broker granted filter.
func (r *refusals) granted(filter string) {
	delete(r.closes, filter)
	delete(r.leftOut, filter)
	delete(r.denied, filter)
}

// deny records that SUBACK refused filter, and reports whether that is new.
func (r *refusals) deny(filter string) bool {
	if r.denied == nil {
		r.denied = map[string]bool{}
	}
	known := r.denied[filter]
	if len(r.denied) < maxRefusals {
		r.denied[filter] = true
	}
	return !known
}

// setRefused updates the status.
func (s *Session) setRefused() {
	all := slices.Sorted(maps.Keys(s.refusals.leftOut))
	for filter := range s.refusals.denied {
		if !slices.Contains(all, filter) {
			all = append(all, filter)
		}
	}
	slices.Sort(all)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Refused = all
}

// subscribe makes the subscriptions of c what the handler returns now.
func (s *Session) subscribe(ctx context.Context, c *connection) error {
	all := s.handler.Subscriptions()
	expected := map[string]*mqtt.Subscription{} // by filter
	instead := []string{}                       // filters in place of refused ones
	s.refusals.required = map[string]bool{}
	for i := range all {
		sub := &all[i]
		if len(sub.Instead) > 0 && (s.refusals.without(sub.Filter, c.made) || c.granted[sub.Instead[0]]) {
			instead = append(instead, sub.Instead...)
			continue
		}
		if sub.Optional && s.refusals.without(sub.Filter, c.made) {
			continue
		}
		expected[sub.Filter] = sub
		s.refusals.required[sub.Filter] = !sub.Optional && len(sub.Instead) == 0
	}
	for _, f := range instead {
		expected[f] = nil
		s.refusals.required[f] = true
	}
	var old []string
	for f := range c.granted {
		if _, ok := expected[f]; !ok {
			old = append(old, f)
		}
	}
	if err := c.unsubscribe(ctx, old); err != nil {
		return err
	}
	order := slices.Clone(instead)
	for i := range all {
		if expected[all[i].Filter] == &all[i] {
			order = append(order, all[i].Filter)
		}
	}
	refused, err := s.ask(ctx, c, slices.DeleteFunc(order, func(f string) bool { return c.granted[f] }))
	if err != nil {
		return err
	}
	refused, err = s.settle(ctx, c, expected, refused)
	if err != nil {
		return err
	}
	s.setRefused()
	if len(refused) > 0 {
		return fmt.Errorf("mqtt: the broker refuses %d of %d subscriptions, the first to %q; the user must be "+
			"allowed to read it", len(refused), len(refused)+len(c.granted), refused[0])
	}
	s.refusals.careful = false
	return nil
}

// settle does without the refused filters that are optional, and subscribes to others instead of those that have them.
// It returns those that cannot be left out.
func (s *Session) settle(ctx context.Context, c *connection, expected map[string]*mqtt.Subscription, refused []string) ([]string, error) {
	var instead, left []string
	for _, f := range refused {
		switch sub := expected[f]; {
		case sub != nil && len(sub.Instead) > 0:
			instead = append(instead, sub.Instead...)
			s.log.Debug("subscription refused, narrower ones are made instead", "topic", f)
		case sub != nil && sub.Optional:
			if s.refusals.deny(f) {
				s.log.Warn("optional subscription refused and left out; the user should be allowed to read it", "topic", f)
			}
		default:
			left = append(left, f)
		}
	}
	for _, f := range instead {
		s.refusals.required[f] = true
	}
	again, err := s.ask(ctx, c, slices.DeleteFunc(instead, func(f string) bool { return c.granted[f] }))
	return append(left, again...), err
}

// ask subscribes to filters and returns those that SUBACK refuses.
func (s *Session) ask(ctx context.Context, c *connection, filters []string) (refused []string, err error) {
	size := atOnce
	if s.refusals.careful {
		size = 1
	}
	for some := range slices.Chunk(filters, size) {
		for _, f := range some {
			c.asked[f] = true
		}
		c.asking = some
		token := c.Subscribe(some)
		if err := c.reply(ctx, token); err != nil {
			return refused, err
		}
		c.asking = nil
		for _, f := range some {
			if token.Granted(f) {
				c.granted[f] = true
				s.refusals.granted(f)
			} else {
				refused = append(refused, f)
			}
		}
	}
	return refused, nil
}

// unsubscribe ends these subscriptions of c.
func (c *connection) unsubscribe(ctx context.Context, filters []string) error {
	for some := range slices.Chunk(filters, atOnce) {
		if err := c.reply(ctx, c.Unsubscribe(some)); err != nil {
			return err
		}
		for _, f := range some {
			delete(c.granted, f)
			delete(c.asked, f)
		}
	}
	return nil
}

// reply waits for the broker's answer. A broker that gives none is left.
func (c *connection) reply(ctx context.Context, p Pending) error {
	limit := time.NewTimer(replyTimeout)
	defer limit.Stop()
	select {
	case <-p.Done():
		if p.Error() != nil {
			return fmt.Errorf("mqtt: subscribing: %w", p.Error())
		}
		return nil
	case <-c.Lost():
		return fmt.Errorf("mqtt: subscribing: %w", c.Err())
	case <-ctx.Done():
		return fmt.Errorf("mqtt: subscribing: %w", context.Cause(ctx))
	case <-limit.C:
		c.Fail(errNoReply)
		return fmt.Errorf("mqtt: subscribing: %w", errNoReply)
	}
}
