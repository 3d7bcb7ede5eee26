package session

import (
	"sync"
	"sync/atomic"
)

// pendingAcks are those of messages that were handled and are not acknowledged, in order, because too much waits to be
// published. A broker has few unacknowledged messages in flight to a client (Mosquitto: 20), so it stops sending until
// the answers to what it sent have left. Otherwise a flood of commands would push its own answers out of the outbox.
type pendingAcks struct {
	room chan struct{} // notified when it is time to check again

	any atomic.Bool // there are some

	mu    sync.Mutex
	list  []pendingAck // guarded by mu
	bytes int          // of the payloads in list; guarded by mu
}

// A pendingAck is the acknowledgement of a message with a payload of so many bytes.
type pendingAck struct {
	Delivery
	bytes int
}

// Bounds of what is pending, for brokers that send on without acknowledgements. What is beyond is acknowledged.
const (
	maxPending      = 4096
	maxPendingBytes = 4 << 20
)

// add acknowledges m: now, or when the outbox is not crowded any more.
func (p *pendingAcks) add(m Delivery, crowded func() bool) {
	if m.MessageID() == 0 {
		return // QoS 0
	}
	if !p.any.Load() && !crowded() {
		m.Ack()
		return
	}
	p.mu.Lock()
	p.list = append(p.list, pendingAck{m, len(m.Payload())})
	p.bytes += len(m.Payload())
	p.any.Store(true)
	p.mu.Unlock()
	notify(p.room) // there may be room by now
}

// check is called when a message that waited has left.
func (p *pendingAcks) check() {
	if p.any.Load() {
		notify(p.room)
	}
}

// run acknowledges what is pending whenever there is room, until lost is closed.
func (p *pendingAcks) run(lost <-chan struct{}, crowded func() bool) {
	for {
		select {
		case <-p.room:
		case <-lost:
			return
		}
		for p.any.Load() {
			first, full := p.first()
			if !full && crowded() {
				break
			}
			first.Ack()
			p.drop()
		}
	}
}

// first returns the first message, and whether there are too many.
func (p *pendingAcks) first() (m Delivery, full bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.list[0].Delivery, len(p.list) > maxPending || p.bytes > maxPendingBytes
}

// drop removes the first one, which is acknowledged. What comes meanwhile waits behind it, for a broker expects its
// acknowledgements in the order of the messages (MQTT 3.1.1, section 4.6).
func (p *pendingAcks) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes -= p.list[0].bytes
	p.list[0] = pendingAck{}
	p.list = p.list[1:]
	if len(p.list) == 0 {
		p.list = nil
		p.any.Store(false)
	}
}

// notify does a non-blocking send on a one-slot channel.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
