package broker

import (
	"log/slog"
	"slices"
	"strings"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// A hook is what the server calls. The server's inline client is [Broker.Publish] and [Broker.Watch].
type hook struct {
	mochi.HookBase
	broker *Broker
}

func (*hook) ID() string { return "budgets" }

func (*hook) Provides(b byte) bool {
	return slices.Contains([]byte{
		mochi.OnConnectAuthenticate, mochi.OnACLCheck, mochi.OnSessionEstablish, mochi.OnSessionEstablished, mochi.OnDisconnect,
		mochi.OnClientExpired, mochi.OnSubscribe, mochi.OnUnsubscribe, mochi.OnPublish, mochi.OnWill, mochi.OnRetainMessage,
		mochi.OnRetainPublished, mochi.OnRetainedExpired, mochi.OnQosPublish, mochi.OnPublishDropped, mochi.OnPacketEncode,
		mochi.OnPacketSent, mochi.OnPacketProcessed,
	}, b)
}

// OnConnectAuthenticate lets all clients in: those that come so far have passed login.
func (*hook) OnConnectAuthenticate(cl *mochi.Client, _ packets.Packet) bool { return connOf(cl) != nil }

// OnACLCheck reports whether a client may write to or read from a topic: to all of bounded length but the broker's own.
func (h *hook) OnACLCheck(_ *mochi.Client, topic string, write bool) bool {
	return fits(topic) && (!write || !strings.HasPrefix(topic, "$"))
}

// OnSessionEstablish ends the connection that a client has already, or is just making, and waits for that, before a new one
// begins. The server would do both at once: the old one's last will may then come after the new one's first messages, its
// end may take the new one's subscriptions with it, and of two that begin at once both may live. It also switches off what
// would keep memory for a client without a bound.
func (h *hook) OnSessionEstablish(cl *mochi.Client, _ packets.Packet) {
	cl.Properties.Will.WillDelayInterval = 0 // a will that waits outlives its session
	cl.Properties.Props.TopicAliasMaximum = 0
	cl.State.TopicAliases.Outbound = mochi.NewOutboundTopicAliases(0)
	c := connOf(cl)
	if c == nil {
		return // the inline client
	}
	if before := h.broker.succeed(c, cl.ID); before != nil {
		_ = before.Close() // as if it had broken, so that the last will is sent
		<-before.gone
	}
}

// OnSessionEstablished begins to count for a client, which may have inherited a session.
func (h *hook) OnSessionEstablished(cl *mochi.Client, _ packets.Packet) {
	h.broker.budgets.begin(cl)
	if c := connOf(cl); c != nil {
		h.broker.log.Debug("client connected", "from", c.RemoteAddr().String(), "id", cl.ID, "mqtt", mqttVersion(cl.Properties.ProtocolVersion))
	}
}

// mqttVersion is what people call a version of the protocol.
func mqttVersion(level byte) string {
	switch level {
	case 3:
		return "3.1"
	case 4:
		return "3.1.1"
	}
	return "5"
}

// OnDisconnect bounds how long the session of a client is kept: with DISCONNECT, MQTT 5 lets it change that.
func (h *hook) OnDisconnect(cl *mochi.Client, _ error, expire bool) {
	if expire {
		h.broker.budgets.forget(cl.ID)
		return
	}
	cl.Properties.Props.SessionExpiryInterval = min(cl.Properties.Props.SessionExpiryInterval, uint32(maxSession/time.Second))
}

// OnClientExpired forgets the subscriptions of a session that is over, which the server keeps.
func (h *hook) OnClientExpired(cl *mochi.Client) { h.broker.expire(cl) }

// OnSubscribe refuses filters for which there is no room, by making them invalid.
func (h *hook) OnSubscribe(cl *mochi.Client, pk packets.Packet) packets.Packet {
	if cl.Net.Inline {
		return pk
	}
	for i, sub := range pk.Filters {
		sub.Filter = strings.Clone(sub.Filter) // it is a part of the packet as it came
		pk.Filters[i].Filter = sub.Filter
		if !mochi.IsValidFilter(sub.Filter, false) || !fits(sub.Filter) {
			continue // the server refuses it
		}
		if _, known := cl.State.Subscriptions.Get(sub.Filter); known || h.broker.budgets.subscribe(cl, cost(sub.Filter, len(sub.Filter))) {
			continue
		}
		h.broker.limited.Log(slog.LevelWarn, "subscriptions", "subscription refused: there are too many", "from", cl.Net.Remote)
		pk.Filters[i].Filter = ""
	}
	return pk
}

// OnUnsubscribe gives the room of filters back.
func (h *hook) OnUnsubscribe(cl *mochi.Client, pk packets.Packet) packets.Packet {
	for _, sub := range pk.Filters {
		if _, known := cl.State.Subscriptions.Get(sub.Filter); known {
			h.broker.budgets.unsubscribe(cl, cost(sub.Filter, len(sub.Filter)))
		}
	}
	return pk
}

// OnPublish slows a client down that publishes faster than subscribers can be served, and takes the retain flag off a
// message for which there is no room. In MQTT 5, such a message with QoS 1 or 2 is refused instead.
func (h *hook) OnPublish(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	c := connOf(cl)
	if c == nil {
		return pk, nil // the inline client
	}
	if pk.FixedHeader.Retain || pk.FixedHeader.Qos > 0 {
		pk.TopicName = strings.Clone(pk.TopicName) // it is a part of the packet as it came, which would be kept with it
	}
	if c.own {
		if pk.FixedHeader.Retain {
			h.broker.budgets.retainOwn(pk.TopicName, retainedCost(pk), h.broker.keptCost(pk.TopicName))
			c.beginRetaining()
		}
		return pk, nil
	}
	h.broker.pace(c, &pk)
	if !pk.FixedHeader.Retain {
		return pk, nil
	}
	if h.broker.retain(cl, pk) {
		c.beginRetaining()
		return pk, nil
	}
	if cl.Properties.ProtocolVersion == 5 && pk.FixedHeader.Qos > 0 {
		return pk, packets.ErrQuotaExceeded
	}
	pk.FixedHeader.Retain = false
	return pk, nil
}

// OnWill takes the retain flag off a last will for which there is no room.
func (h *hook) OnWill(cl *mochi.Client, will mochi.Will) (mochi.Will, error) {
	if c := connOf(cl); c != nil && !c.own && will.Retain && !h.broker.retain(cl, packets.Packet{TopicName: will.TopicName, Payload: will.Payload}) {
		will.Retain = false
	}
	if c := connOf(cl); c != nil && will.Retain {
		c.beginRetaining()
	}
	return will, nil
}

// retain reports whether there is room for a retained message of a client; one without payload deletes.
func (b *Broker) retain(cl *mochi.Client, pk packets.Packet) bool {
	if b.budgets.retain(cl.ID, pk.TopicName, retainedCost(pk), b.keptCost(pk.TopicName)) {
		return true
	}
	b.limited.Log(slog.LevelWarn, "retained", "message is not retained: too much is", "from", cl.Net.Remote, "topic", pk.TopicName)
	return false
}

// keptCost is what the retained message of a topic takes, 0 where there is none.
func (b *Broker) keptCost(topic string) int64 {
	pk, ok := b.server.Topics.Retained.Get(topic)
	if !ok {
		return 0
	}
	return retainedCost(pk)
}

// retainedCost is what a message takes when it is retained: nothing without a payload, which deletes.
func retainedCost(pk packets.Packet) int64 {
	if len(pk.Payload) == 0 {
		return 0
	}
	size := max(pk.FixedHeader.Remaining, len(pk.Payload))
	if pk.ProtocolVersion == 5 {
		size *= 2 // properties are parts of the packet as it came
	}
	return cost(pk.TopicName, size)
}

// OnRetainMessage counts what was retained in the end: of two messages at once for one topic, one.
func (h *hook) OnRetainMessage(cl *mochi.Client, pk packets.Packet, _ int64) {
	if c := connOf(cl); c != nil && c.retains {
		c.retains = false
		h.broker.retaining.Unlock()
	}
	if size := h.broker.keptCost(pk.TopicName); size > 0 {
		h.broker.budgets.retained(pk.TopicName, size)
	} else {
		h.broker.budgets.expired(pk.TopicName)
	}
}

// OnRetainedExpired gives the room of a retained message back.
func (h *hook) OnRetainedExpired(topic string) { h.broker.budgets.expired(topic) }

// OnQosPublish counts what a client has to acknowledge. One that does not is disconnected, or its session ends.
func (h *hook) OnQosPublish(cl *mochi.Client, pk packets.Packet, _ int64, _ int) {
	for _, late := range h.broker.budgets.inflight(cl, cost(pk.TopicName, len(pk.Payload))) {
		c := connOf(late)
		if late.Closed() {
			h.broker.limited.Log(slog.LevelWarn, "abandoned", "session ended: too much waits for a client that is away", "from", late.Net.Remote)
			h.broker.expire(late)
		} else if c != nil {
			h.broker.dropSlow(c, "client disconnected: it does not acknowledge what it subscribed to")
			late.ClearInflights()
			_ = c.Close()
		}
	}
}

// OnPublishDropped disconnects a client for which messages were dropped: MQTT 3 has no other way to report it.
func (h *hook) OnPublishDropped(cl *mochi.Client, _ packets.Packet) {
	if c := connOf(cl); c != nil && !c.own {
		h.broker.dropSlow(c, "client disconnected: it does not read what it subscribed to")
		_ = c.Close()
	}
}

// beginRetaining waits for the turn to have a message retained, which ends in OnRetainMessage.
func (c *conn) beginRetaining() {
	c.broker.retaining.Lock()
	c.retains = true
}

// OnPacketSent holds up messages that are to be retained while the server looks for those that match a subscription, which
// it does after it has confirmed that.
func (h *hook) OnPacketSent(cl *mochi.Client, pk packets.Packet, _ []byte) {
	if c := connOf(cl); c != nil && pk.FixedHeader.Type == packets.Suback {
		c.scan(true)
	}
}

// OnPacketProcessed ends that.
func (h *hook) OnPacketProcessed(cl *mochi.Client, pk packets.Packet, _ error) {
	if c := connOf(cl); c != nil && pk.FixedHeader.Type == packets.Subscribe {
		c.scan(false)
	}
}

// scan takes the Broker's retaining for reading, or gives it back.
func (c *conn) scan(begins bool) {
	switch {
	case begins == c.scans:
	case begins:
		c.broker.retaining.RLock()
	default:
		c.broker.retaining.RUnlock()
	}
	c.scans = begins
}

// OnRetainPublished holds up a client that has just subscribed while it has not read what it was sent so far. A client
// that reads slowly gets all that is retained, and the server's queue stays short.
func (h *hook) OnRetainPublished(cl *mochi.Client, pk packets.Packet) {
	// One that limits how many messages it may owe is sent more only as it acknowledges, which it could not do here.
	if c := connOf(cl); c != nil && cl.Properties.Props.ReceiveMaximum == 0 {
		c.scan(false) // the messages of one filter have been found, and this may last
		defer c.scan(true)
		c.burst(cost(pk.TopicName, len(pk.Payload)))
	}
}

// OnPacketEncode counts what the server takes from its queue.
func (h *hook) OnPacketEncode(cl *mochi.Client, pk packets.Packet) packets.Packet {
	if c := connOf(cl); c != nil && pk.FixedHeader.Type == packets.Publish {
		c.encoded(cost(pk.TopicName, len(pk.Payload)))
	}
	return pk
}

// pace waits until a client may publish a message.
func (b *Broker) pace(c *conn, pk *packets.Packet) {
	const large = 4 << 10
	n := len(pk.Payload) + packetCost
	if len(pk.Payload) >= large { // of which each subscriber gets a copy
		n += len(pk.Payload) * len(b.server.Topics.Subscribers(pk.TopicName).Subscriptions)
	}
	wait := b.budgets.publish.ReserveN(time.Now(), min(n, publishBurst)).Delay()
	if wait <= 0 {
		return
	}
	select {
	case <-time.After(wait):
	case <-c.ended:
	}
}
