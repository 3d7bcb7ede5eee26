package mqttpaho

import (
	"sync"
	"sync/atomic"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// Held are messages that were handled and not acknowledged, in order, because too much waits to be published. A
// broker has few unacknowledged messages under way to a client (Mosquitto: 20), so it stops sending until what came
// has been answered. Otherwise a flood of commands would push its own answers out of the outbox.
//
// Nothing is delivered twice by this: the session is clean, so a broker forgets what was not acknowledged.
type held struct {
	room chan struct{} // a note that it is time to look again

	any atomic.Bool // there are some

	mu   sync.Mutex
	list []paho.Message
}

// acknowledge acknowledges m: now, or when it is not crowded any more.
func (h *held) acknowledge(m paho.Message, crowded func() bool) {
	if !h.any.Load() && !crowded() {
		m.Ack()
		return
	}
	h.mu.Lock()
	h.list = append(h.list, m)
	h.any.Store(true)
	h.mu.Unlock()
	signal(h.room) // there may be room by now
}

// look is called when something that waited has gone.
func (h *held) look() {
	if h.any.Load() {
		signal(h.room)
	}
}

// release acknowledges what is held whenever there is room, until lost is closed.
func (h *held) release(lost <-chan struct{}, crowded func() bool) {
	for {
		select {
		case <-h.room:
		case <-lost:
			return
		}
		for h.any.Load() && !crowded() {
			h.first().Ack()
			h.drop()
		}
	}
}

func (h *held) first() paho.Message {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.list[0]
}

// drop forgets the first one, which is acknowledged. What comes meanwhile waits behind it, for a broker wants its
// acknowledgements in the order of the messages (MQTT 3.1.1, section 4.6).
func (h *held) drop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list[0] = nil
	h.list = h.list[1:]
	if len(h.list) == 0 {
		h.list = nil
		h.any.Store(false)
	}
}
