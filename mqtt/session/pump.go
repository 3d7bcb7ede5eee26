package session

import (
	"sync"
	"time"
)

// An ack is an acknowledgement that is waited for.
type ack struct {
	seq     int64
	pending Pending
}

// send publishes what is in the outbox until c is lost. Only it publishes there, so messages stay in order.
func (s *Session) send(c *connection) {
	acks := make(chan ack, window)
	var helpers sync.WaitGroup
	helpers.Go(func() { s.collect(c, acks) })
	helpers.Go(func() { c.pending.run(c.Lost(), s.outbox.Crowded) })
	helpers.Go(func() { c.stall.run(c.Lost(), func() { c.Fail(errStalled) }) })
	defer helpers.Wait()
	defer close(acks)
	for {
		e, ok := s.outbox.Take(c.number, time.Now(), c.stable.Load())
		if ok {
			acks <- ack{e.Seq, c.Publish(e.Message)} // has room for all in flight
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

// collect waits for the acknowledgements. A broker sends them in the order of the messages (MQTT 3.1.1, section 4.6).
func (s *Session) collect(c *connection, acks <-chan ack) {
	limit := time.NewTimer(ackTimeout)
	defer limit.Stop()
	for a := range acks {
		limit.Reset(ackTimeout)
		select {
		case <-a.pending.Done():
			if err := a.pending.Error(); err != nil {
				c.Fail(timeoutError(err.Error())) // the driver's own: the broker has not answered
				return
			}
		case <-limit.C:
			c.Fail(errNoAck)
			return
		case <-c.Lost():
			return
		}
		left := s.outbox.Done(a.seq)
		c.pending.check()
		switch {
		case left.Waiting > 0:
			notify(c.wake)
		case left.InFlight == 0:
			notify(c.empty)
		}
	}
}
