package broker

import (
	"fmt"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// watcher is the number that the server knows the one subscriber of this package by.
const watcher = 1

// Watch calls seen for every message whose topic matches filter, as a client would get it, until the broker ends. seen
// must not block: the message waits for it. It may be called once.
func (b *Broker) Watch(filter string, seen func(topic string, payload []byte)) error {
	b.retaining.RLock()
	defer b.retaining.RUnlock()
	err := b.server.Subscribe(filter, watcher, func(_ *mochi.Client, _ packets.Subscription, pk packets.Packet) {
		seen(pk.TopicName, pk.Payload)
	})
	if err != nil {
		return fmt.Errorf("broker: watching %q: %w", filter, err)
	}
	return nil
}

// Publish publishes a message with QoS 1 that is not retained, as a client would.
func (b *Broker) Publish(topic string, payload []byte) error {
	if err := b.server.Publish(topic, payload, false, 1); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	return nil
}
