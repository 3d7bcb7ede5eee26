package mqttpaho

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// A link is one connection to the broker, and the Paho client made for it. Neither is used again: Paho's own
// reconnecting would send what it kept in any order, and for ever what the broker does not take.
type link struct {
	client  paho.Client
	conn    *conn
	made    time.Time
	nonce   string          // the message to ourselves
	looped  chan struct{}   // a note that it came back
	denied  chan struct{}   // a note that somebody said we are offline
	wake    chan struct{}   // a note that something waits to be sent
	empty   chan struct{}   // a note that nothing waits and nothing is in flight
	calm    atomic.Bool     // it has lived for a moment
	held    held            // messages that are not acknowledged yet
	pulse   pulse           // whether this process was running all the time
	turn    chan struct{}   // has room for who hands over a message, or decides that none comes any more
	deaf    bool            // none comes any more; only who has the turn looks
	granted map[string]bool // filters; only serve looks at them
	asked   map[string]bool // filters that the broker was asked for, and perhaps has not answered yet; likewise
}

var errRefused = errors.New("the broker refuses us")

// connect makes one attempt.
func (s *Session) connect(ctx context.Context) (*link, error) {
	dialing, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	nc, err := s.open(dialing)
	if err != nil {
		return nil, fmt.Errorf("mqttpaho: %w", plain(err))
	}
	l := &link{
		conn:    newConn(nc),
		nonce:   rand.Text(),
		looped:  make(chan struct{}, 1),
		denied:  make(chan struct{}, 1),
		wake:    make(chan struct{}, 1),
		empty:   make(chan struct{}, 1),
		held:    held{room: make(chan struct{}, 1)},
		pulse:   pulse{began: time.Now()},
		turn:    make(chan struct{}, 1),
		granted: map[string]bool{},
		asked:   map[string]bool{},
	}
	l.client = paho.NewClient(s.options(l))
	stop := context.AfterFunc(dialing, func() { _ = l.conn.Close() })
	defer stop()
	token := l.client.Connect().(*paho.ConnectToken)
	<-token.Done() // ends: the connection is closed when the time is up
	if err := token.Error(); err != nil {
		_ = l.conn.Close() // never fails
		if !errors.Is(l.conn.err, errNoPing) {
			err = l.conn.err // better than what Paho makes of it
		}
		return nil, connectError(token.ReturnCode(), err)
	}
	l.made = time.Now()
	l.pulse.beat() // waiting for the broker was no standstill
	return l, nil
}

// connectError says what became of CONNECT in words that help.
func connectError(code byte, err error) error {
	switch code {
	case packets.ErrRefusedBadUsernameOrPassword, packets.ErrRefusedNotAuthorised:
		return fmt.Errorf("mqttpaho: %w: %w; check user name and password", errRefused, err)
	case packets.ErrRefusedIDRejected, packets.ErrRefusedBadProtocolVersion:
		return fmt.Errorf("mqttpaho: %w: %w", errRefused, err)
	case packets.ErrRefusedServerUnavailable:
		return fmt.Errorf("mqttpaho: the broker is not available: %w", err)
	}
	return fmt.Errorf("mqttpaho: no answer to CONNECT (is this the right port, and is TLS wanted there?): %w", err)
}

// options tells Paho what to do with l, and above all what to leave to us.
func (s *Session) options(l *link) *paho.ClientOptions {
	o := paho.NewClientOptions()
	o.Servers = []*url.URL{s.url}
	o.SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) { return l.conn, nil })
	o.SetClientID(s.cfg.ClientID)
	o.SetUsername(s.cfg.Username)
	o.SetPassword(s.cfg.Password)
	o.SetBinaryWill(s.cfg.Tree.State(), []byte(offline), 1, true)
	o.SetProtocolVersion(4) // otherwise each wrong password is sent twice, the second time in MQTT 3.1
	o.SetCleanSession(true)
	o.SetStore(forgetful{})
	o.SetAutoReconnect(false)
	o.SetConnectRetry(false)
	o.SetOrderMatters(true)
	o.SetAutoAckDisabled(true) // see held
	o.SetKeepAlive(s.cfg.KeepAlive)
	o.SetPingTimeout(pingTimeout)
	o.SetConnectTimeout(connectTimeout)
	o.SetWriteTimeout(writeTimeout)
	o.SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) { s.receive(l, m) })
	return o
}

// What is said on the state topic.
const (
	online  = "online"
	offline = "offline"
)

// receive is called by Paho for each message, in order.
func (s *Session) receive(l *link, m paho.Message) {
	if l.pulse.missed() {
		l.conn.fail(errFrozen)
		return
	}
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	if l.deaf {
		return // nobody would send the answer
	}
	defer l.held.acknowledge(m, s.outbox.Crowded)
	switch s.cfg.Tree.Read(m.Topic()).Kind {
	case mqtt.KindOwn:
		if m.Topic() == s.cfg.Tree.State() && !m.Retained() && string(m.Payload()) != online {
			signal(l.denied)
		}
	case mqtt.KindLoopback:
		if string(m.Payload()) == l.nonce {
			signal(l.looped)
		}
	default:
		s.cfg.Handle(mqtt.Message{Topic: m.Topic(), Payload: m.Payload(), Retained: m.Retained()})
	}
}

// serve subscribes and proves, and again where that fails, until the connection is lost or ctx ends.
func (s *Session) serve(ctx context.Context, l *link, p *patience) error {
	proven, knocks := false, 0 // knocks: messages to ourselves, while one is waited for
	defer func() {
		if proven {
			s.cfg.Offline()
		}
	}()
	pause := proofPause
	next := time.NewTimer(0)
	calm := time.NewTimer(calm)
	good := time.NewTimer(stable)
	defer next.Stop()
	defer calm.Stop()
	defer good.Stop()
	for {
		select {
		case <-l.conn.lost:
			return s.detach(l, p)
		case <-ctx.Done():
			s.leave(ctx, l)
			_ = l.conn.Close() // never fails
			return s.detach(l, p)
		case <-calm.C:
			l.calm.Store(true)
			signal(l.wake)
		case <-good.C:
			p.good()
			s.settled()
		case <-l.looped:
			knocks = 0
			next.Stop()
			pause = proofPause
			s.works()
			if !proven {
				proven = true
				s.welcome(l)
			}
		case <-l.denied:
			// The will of our last connection, whose end the broker noticed only now.
			if proven {
				s.birth(l)
			}
		case <-next.C:
			if knocks > 0 && time.Duration(knocks)*proofAgain < proofTimeout {
				s.knock(l) // another one: where much is kept for us, the broker's queue was full
				knocks++
				next.Reset(proofAgain)
				continue
			}
			err := s.prove(ctx, l, knocks > 0)
			knocks = 0
			switch {
			case err == nil:
				knocks = 1
				next.Reset(proofAgain)
			case l.ended(ctx):
			case pause > proofPauseMax:
				l.conn.fail(errUnproven)
			default:
				s.unproven(err)
				next.Reset(pause)
				pause *= 2
			}
		case done := <-s.resub:
			if err := s.subscribe(ctx, l); err != nil && !l.ended(ctx) {
				s.unproven(err)
				next.Reset(pause)
			}
			close(done)
		}
	}
}

// ended reports whether l or ctx is at its end.
func (l *link) ended(ctx context.Context) bool {
	select {
	case <-l.conn.lost:
		return true
	default:
		return ctx.Err() != nil
	}
}

// prove subscribes and sends a message to ourselves. late says that the one before did not come back.
func (s *Session) prove(ctx context.Context, l *link, late bool) error {
	if late {
		clear(l.granted) // worth nothing
		return fmt.Errorf("mqttpaho: the broker grants the subscriptions and delivers nothing; "+
			"the user must be allowed to write and read %q and to read what commands are sent to", s.cfg.Tree.Loopback())
	}
	if err := s.subscribe(ctx, l); err != nil {
		return err
	}
	if !s.knock(l) {
		return fmt.Errorf("mqttpaho: the broker closes the connection on a message to ourselves; "+
			"the user must be allowed to write and read %q", s.cfg.Tree.Loopback())
	}
	return nil
}

// knock sends a message to ourselves, and reports whether that may be tried.
func (s *Session) knock(l *link) bool {
	ok := s.outbox.AddOnce(time.Now(), mqtt.Message{Topic: s.cfg.Tree.Loopback(), Payload: []byte(l.nonce)})
	signal(l.wake)
	return ok
}

// subscribe makes the subscriptions of l what the settings say now.
func (s *Session) subscribe(ctx context.Context, l *link) error {
	want := s.cfg.Filters()
	var optional []string
	if s.cfg.Optional != nil {
		optional = s.cfg.Optional()
		want = slices.Concat(want, optional)
	}
	var old, missing []string
	for f := range l.granted {
		if !slices.Contains(want, f) {
			old = append(old, f)
		}
	}
	for _, f := range want {
		if !l.granted[f] {
			missing = append(missing, f)
		}
	}
	if err := l.unsubscribe(ctx, old); err != nil {
		return err
	}
	var refused []string
	for some := range slices.Chunk(missing, atOnce) {
		filters := map[string]byte{}
		for _, f := range some {
			filters[f], l.asked[f] = 1, true
		}
		token := l.client.SubscribeMultiple(filters, nil)
		if err := l.reply(ctx, token); err != nil {
			return err
		}
		result := token.(*paho.SubscribeToken).Result()
		for _, f := range some {
			switch qos, ok := result[f]; {
			case ok && qos <= 2:
				l.granted[f] = true
			case slices.Contains(optional, f):
				s.log.Warn("a subscription was refused, and is done without; the user should be allowed to read it", "topic", f)
			default:
				refused = append(refused, f)
			}
		}
	}
	if len(refused) > 0 {
		return fmt.Errorf("mqttpaho: the broker refuses %d of %d subscriptions, the first to %q; the user must be "+
			"allowed to read it", len(refused), len(want), refused[0])
	}
	return nil
}

// unsubscribe ends these subscriptions of l.
func (l *link) unsubscribe(ctx context.Context, filters []string) error {
	for some := range slices.Chunk(filters, atOnce) {
		if err := l.reply(ctx, l.client.Unsubscribe(some...)); err != nil {
			return err
		}
		for _, f := range some {
			delete(l.granted, f)
			delete(l.asked, f)
		}
	}
	return nil
}

// reply waits for the broker's answer to what gave token. A broker that gives none is left.
func (l *link) reply(ctx context.Context, token paho.Token) error {
	select {
	case <-token.Done():
		if token.Error() != nil {
			return fmt.Errorf("mqttpaho: subscribing: %w", token.Error())
		}
		return nil
	case <-l.conn.lost:
		return fmt.Errorf("mqttpaho: subscribing: %w", l.conn.err)
	case <-ctx.Done():
		return fmt.Errorf("mqttpaho: subscribing: %w", context.Cause(ctx))
	case <-time.After(replyTimeout):
		l.conn.fail(errNoReply)
		return fmt.Errorf("mqttpaho: subscribing: %w", errNoReply)
	}
}

// birth says that we are online, before anything else that waits.
func (s *Session) birth(l *link) {
	s.outbox.AddOnce(time.Now(), mqtt.Message{Topic: s.cfg.Tree.State(), Payload: []byte(online), Retained: true})
	signal(l.wake)
}

// works remembers that all is well.
func (s *Session) works() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Proven, s.status.LastError = true, ""
}

// welcome is for a connection that has proven itself.
func (s *Session) welcome(l *link) {
	s.birth(l)
	s.log.Info("online", "took", time.Since(l.made).Round(time.Microsecond))
	if dropped := s.outbox.Dropped(); dropped > s.reported {
		s.log.Warn("messages were dropped", "count", dropped-s.reported)
		s.reported = dropped
	}
	s.cfg.Online()
}

// unproven remembers why there is no proof. It is logged when it is news.
func (s *Session) unproven(err error) {
	s.mu.Lock()
	news := s.status.LastError != err.Error()
	s.status.LastError = err.Error()
	s.mu.Unlock()
	if news {
		s.log.Error("not online", "err", err)
	}
}

// settled says that the connection is a good one.
func (s *Session) settled() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.TakenOver = false
}

// An ack is an acknowledgement that is waited for.
type ack struct {
	place int64
	token paho.Token
}

// send publishes what is in the outbox until l is lost. Only it publishes there, so messages stay in order.
func (s *Session) send(l *link) {
	acks := make(chan ack, window)
	var helpers sync.WaitGroup
	helpers.Go(func() { s.collect(l, acks) })
	helpers.Go(func() { l.held.release(l.conn.lost, s.outbox.Crowded) })
	helpers.Go(func() { l.pulse.run(l.conn.lost, func() { l.conn.fail(errFrozen) }) })
	defer helpers.Wait()
	defer close(acks)
	for {
		place, m, ok := s.take(l)
		if ok {
			acks <- ack{place, l.client.Publish(m.Topic, 1, m.Retained, m.Payload)} // has room for all in flight
			continue
		}
		select {
		case <-l.wake:
		case <-l.conn.lost:
			return
		}
	}
}

// take takes the next message from the outbox, if l is still the one to send it.
func (s *Session) take(l *link) (place int64, m mqtt.Message, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link != l {
		return 0, mqtt.Message{}, false
	}
	return s.outbox.Take(l.calm.Load())
}

// collect waits for the acknowledgements. A broker gives them in the order of the messages (MQTT 3.1.1, section 4.6).
func (s *Session) collect(l *link, acks <-chan ack) {
	limit := time.NewTimer(ackTimeout)
	defer limit.Stop()
	for a := range acks {
		limit.Reset(ackTimeout)
		select {
		case <-a.token.Done():
			if err := a.token.Error(); err != nil {
				l.conn.fail(silence(err.Error())) // Paho's own: the broker has not said anything
				return
			}
		case <-limit.C:
			l.conn.fail(errNoAck)
			return
		case <-l.conn.lost:
			return
		}
		waiting, flying := s.outbox.Done(a.place)
		l.held.look()
		switch {
		case waiting > 0:
			signal(l.wake)
		case flying == 0:
			signal(l.empty)
		}
	}
}

// allSaid reports whether nothing waits to be sent, or whether it is late; then nothing is handed over any more, either.
// Paho may have a message or two still to give us when the broker has ended the subscriptions.
func (s *Session) allSaid(l *link, late bool) bool {
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	l.deaf = late || s.outbox.Waiting() == 0
	return l.deaf
}

// leave ends the subscriptions, sends what waits, says offline, and disconnects.
func (s *Session) leave(ctx context.Context, l *link) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	// Nothing must come in while we go: closing a connection with unread bytes resets it, and the broker would miss that
	// we took our leave. An error shows again below.
	_ = l.unsubscribe(ctx, slices.Collect(maps.Keys(l.asked)))
	for !s.allSaid(l, l.ended(ctx)) {
		select {
		case <-l.empty:
		case <-l.conn.lost:
		case <-ctx.Done():
		}
	}
	if n := s.outbox.Waiting(); n > 0 {
		s.log.Warn("not all messages were sent in time", "count", n)
	}
	token := l.client.Publish(s.cfg.Tree.State(), 1, true, []byte(offline))
	select {
	case <-token.Done():
	case <-l.conn.lost:
	case <-time.After(leaveTimeout):
	}
	l.client.Disconnect(uint(leaveTimeout.Milliseconds()))
}
