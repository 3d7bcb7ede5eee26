package session

import (
	"sync"
	"time"
)

// send publishes what is in the outbox until c is lost. Only it publishes there, so messages stay in order.
func (s *Session) send(c *connection) {
	var helpers sync.WaitGroup
	helpers.Go(func() { c.pending.run(c.Lost(), s.outbox.Crowded) })
	var limit ackLimit
	helpers.Go(func() {
		c.stall.run(c.Lost(), func() error { return limit.check(s.outbox.First(), time.Now()) }, c.Fail)
	})
	defer helpers.Wait()
	for {
		e, ok := s.outbox.Take(c.number, time.Now(), c.stable.Load())
		if ok {
			seq := e.Seq
			c.Publish(e.Message, func() { s.acknowledged(c, seq) })
			continue
		}
		c.Flush()
		if !s.idle(c) {
			return
		}
	}
}

// idle waits until there may be a message to send. False means that c is lost.
func (s *Session) idle(c *connection) bool {
	var retry <-chan time.Time
	if at := s.outbox.Retry(time.Now()); !at.IsZero() && c.stable.Load() {
		if wait := time.Until(at); wait > 0 {
			t := time.NewTimer(wait)
			defer t.Stop()
			retry = t.C
		}
	}
	select {
	case <-c.wake:
	case <-retry:
	case <-c.Lost():
		return false
	}
	return true
}

// acknowledged is called by the driver when the broker has acknowledged a message of the outbox.
func (s *Session) acknowledged(c *connection, seq int64) {
	left := s.outbox.Done(seq)
	c.pending.check()
	switch {
	case left.Waiting > 0:
		notify(c.wake)
	case left.InFlight == 0:
		notify(c.empty)
	}
}

// An ackLimit notices that the broker has not acknowledged a message for ackTimeout, although its turn has come: a broker
// sends acknowledgements in the order of the messages (MQTT 3.1.1, section 4.6).
type ackLimit struct {
	first int64 // the first message that is not acknowledged; 0: all are
	since time.Time
}

// check is called now and then, with the first message in flight.
func (l *ackLimit) check(first int64, now time.Time) error {
	switch {
	case first != l.first:
		l.first, l.since = first, now
	case first != 0 && now.Sub(l.since) >= ackTimeout:
		return errNoAck
	}
	return nil
}
