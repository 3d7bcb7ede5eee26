package session

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// receive is called by the driver for each message, in order.
func (s *Session) receive(c *connection, d Delivery) {
	if c.stall.check() {
		c.Fail(errStalled)
		return
	}
	c.receiving <- struct{}{}
	defer func() { <-c.receiving }()
	if c.draining {
		return // the answer would not be sent any more
	}
	if !c.duplicates.seen(d) {
		s.handle(c, d)
	}
	c.pending.add(d, s.outbox.Crowded)
}

// handle hands a message over, or to the session itself.
func (s *Session) handle(c *connection, d Delivery) {
	if s.cfg.Tree.IsAnswer(d.Topic()) {
		return // one of the bridge's own: half of what it receives under load
	}
	topic, payload := string(d.Topic()), bytes.Clone(d.Payload())
	address := s.cfg.Tree.Read(topic)
	switch address.Kind {
	case mqtt.KindOwn:
		if topic == s.cfg.Tree.State() && !d.Retained() && !s.standby.Load() && string(payload) != online {
			notify(c.willSeen)
		}
		return
	case mqtt.KindLoopback:
		if nonce := c.nonce.Load(); nonce != nil && string(payload) == *nonce {
			c.echo.Or(s.loopback(topic))
			notify(c.received)
		}
		return
	case mqtt.KindCommand:
		c.commands.Add(1)
	}
	s.handler.Message(address, mqtt.Message{Topic: topic, Payload: payload, Retained: d.Retained()})
}

// Loopback topics, as bits.
const (
	loopBridge   = 1 << iota // Tree.Loopback
	loopCommands             // Tree.CommandLoopback
)

// loopback returns the bit of a loopback topic.
func (s *Session) loopback(topic string) uint32 {
	if topic == s.cfg.Tree.CommandLoopback() {
		return loopCommands
	}
	return loopBridge
}

// A proof is the state of proving a connection: a round of loopback messages is sent, the same one again and again,
// until all topics of the round have come back or it has taken too long.
//
// The first round proves the connection. Then the loopback topic where commands are received is tried: it needs an
// access right that the rest of the session does not. Where it has come back once, it is part of every round from then
// on, for it shows what the other one cannot: that commands are delivered.
type proof struct {
	proven   bool
	complete bool          // all subscriptions were made
	waiting  bool          // for the messages of a round
	began    time.Time     // the round
	round    int           //
	topics   uint32        // of the round
	commands uint32        // received before the round
	pause    time.Duration // before the next attempt after one that failed
	next     *time.Timer   // the next thing to do
}

// serve subscribes and proves, again and again, until the connection is lost or ctx ends.
func (s *Session) serve(ctx context.Context, c *connection, b *backoff) error {
	p := &proof{pause: proofPause, next: time.NewTimer(0)}
	defer func() {
		if p.proven {
			s.handler.Offline()
		}
	}()
	young := time.NewTimer(youngFor)
	good := time.NewTimer(stableAfter)
	defer p.next.Stop()
	defer young.Stop()
	defer good.Stop()
	correct := time.NewTimer(time.Hour)
	correct.Stop()
	defer correct.Stop()
	var corrected time.Time
	for {
		select {
		case <-c.Lost():
			return s.detach(c, b)
		case <-ctx.Done():
			s.shutdown(ctx, c)
			return s.detach(c, b)
		case <-young.C:
			c.stable.Store(true)
			notify(c.wake)
		case <-good.C:
			b.good()
			s.markStable()
		case <-c.received:
			s.loopbackReceived(c, p)
		case <-c.willSeen:
			// The will of the session's last connection, whose end the broker noticed only now, or another client's
			// message. It is corrected after a moment, so that two clients that contradict each other do so slowly.
			correct.Reset(time.Until(corrected.Add(correctEvery)))
		case <-correct.C:
			corrected = time.Now()
			s.publishAnnounced(c, p)
		case <-s.announce:
			s.publishAnnounced(c, p)
		case <-p.next.C:
			s.proceed(ctx, c, p)
		case done := <-s.resub:
			if err := s.subscribe(ctx, c); err != nil && !c.ended(ctx) {
				s.setUnhealthy(err)
				p.waiting, p.complete = false, false
				p.next.Reset(p.pause)
			}
			close(done)
		}
	}
}

// proceed begins a round of the proof, continues it, or ends it as failed.
func (s *Session) proceed(ctx context.Context, c *connection, p *proof) {
	timeout, repeat := proofTimeout, proofRepeat
	if p.proven {
		timeout, repeat = proofAgain, time.Second
	}
	var err error
	switch {
	case !p.waiting:
		err = s.begin(ctx, c, p)
	case time.Since(p.began) < timeout:
		s.probe(c, p) // again: where much is retained for the session, the broker's queue was full
	case p.proven && (c.commands.Load() != p.commands || c.pending.any.Load()):
		p.waiting = false // commands are delivered, or the session itself holds the broker back
	default:
		p.waiting, p.complete = false, false
		clear(c.granted) // of no use
		err = s.undelivered(p)
	}
	switch {
	case err == nil && p.waiting:
		p.next.Reset(repeat)
	case err == nil:
		p.next.Reset(proofEvery)
	case c.ended(ctx):
	case p.proven:
		s.unproven(c, p, err)
		p.next.Reset(0)
	case p.pause > proofPauseMax:
		c.Fail(errUnproven)
	default:
		s.setUnhealthy(err)
		p.next.Reset(p.pause)
		p.pause *= 2
	}
}

// begin subscribes to what is not granted yet, and begins a round.
func (s *Session) begin(ctx context.Context, c *connection, p *proof) error {
	if !p.complete {
		if err := s.subscribe(ctx, c); err != nil {
			return err
		}
		p.complete = true
	}
	p.topics = loopBridge
	switch {
	case s.loopCommands && p.proven:
		p.topics = loopCommands // it proves more than the other one
	case s.loopCommands:
		p.topics = loopBridge | loopCommands
	}
	p.waiting, p.began, p.commands = true, time.Now(), c.commands.Load()
	p.round++
	nonce := c.id + "-" + strconv.Itoa(p.round)
	c.echo.Store(0)
	c.nonce.Store(&nonce)
	if !s.probe(c, p) {
		p.waiting = false
		return fmt.Errorf("mqtt: the broker closes the connection on a message of the bridge to itself; "+
			"the user must be allowed to write and read %q", s.cfg.Tree.Loopback())
	}
	return nil
}

// probe sends the loopback messages of the round, and reports whether that is possible.
func (s *Session) probe(c *connection, p *proof) bool {
	ok := true
	if p.topics&loopBridge != 0 {
		ok = s.sendLoopback(c, s.cfg.Tree.Loopback())
	}
	if p.topics&loopCommands != 0 {
		ok = s.sendLoopback(c, s.cfg.Tree.CommandLoopback()) && ok
	}
	return ok
}

func (s *Session) sendLoopback(c *connection, topic string) bool {
	ok := s.outbox.AddEphemeral(time.Now(), mqtt.Message{Topic: topic, Payload: []byte(*c.nonce.Load())})
	notify(c.wake)
	return ok
}

// undelivered returns the error of a round that failed.
func (s *Session) undelivered(p *proof) error {
	topic := s.cfg.Tree.Loopback()
	if p.topics == loopCommands {
		topic = s.cfg.Tree.CommandLoopback()
	}
	verb := "grants the subscriptions and delivers nothing"
	if p.proven {
		verb = "does not deliver messages any more"
	}
	return fmt.Errorf("mqtt: the broker %s; the user must be allowed to write and read %q and to read the topics of commands", verb, topic)
}

// loopbackReceived ends a round of the proof when all its topics have come back.
func (s *Session) loopbackReceived(c *connection, p *proof) {
	echo := c.echo.Load()
	if echo&loopCommands != 0 && !s.loopCommands {
		s.loopCommands = true
	}
	if !p.waiting || echo&p.topics != p.topics {
		return
	}
	p.waiting = false
	p.pause = proofPause
	p.next.Reset(proofEvery)
	s.setHealthy()
	if p.proven {
		return
	}
	p.proven = true
	s.onProven(c)
	if !s.loopCommands && !s.loopRefused {
		s.sendLoopback(c, s.cfg.Tree.CommandLoopback())
	}
}

// publishAnnounced publishes the state, if the session is proven.
func (s *Session) publishAnnounced(c *connection, p *proof) {
	if p.proven {
		s.publishState(c, s.announced())
	}
}

// onProven is called when a connection has proven itself.
func (s *Session) onProven(c *connection) {
	s.publishState(c, s.announced())
	s.log.Info("online", "took", time.Since(c.made).Round(time.Microsecond))
	s.handler.Online()
}

// unproven is called when a connection that was proven fails to prove itself again.
func (s *Session) unproven(c *connection, p *proof, err error) {
	p.proven = false
	s.mu.Lock()
	s.status.Proven = false
	s.mu.Unlock()
	s.setUnhealthy(err)
	s.publishState(c, offline)
	s.handler.Offline()
}

// publishState publishes online or offline before anything else that waits.
func (s *Session) publishState(c *connection, state string) {
	s.outbox.AddEphemeral(time.Now(), mqtt.Message{Topic: s.cfg.Tree.State(), Payload: []byte(state), Retained: true})
	notify(c.wake)
}

// setHealthy records that the session is proven.
func (s *Session) setHealthy() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Proven, s.status.LastError = true, ""
}

// setUnhealthy records why there is no proof. It is logged when it is a new reason.
func (s *Session) setUnhealthy(err error) {
	s.mu.Lock()
	first := s.status.LastError != err.Error()
	s.status.LastError = err.Error()
	s.mu.Unlock()
	if first {
		s.log.Error("not online", "err", err)
	}
}

// markStable records that the connection is a good one.
func (s *Session) markStable() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.TakenOver = false
}
