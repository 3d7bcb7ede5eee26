package broker

import (
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
)

// Bounds of what clients can make the broker keep, far above what a household needs. Sizes count the memory that a
// message or subscription takes, which is more than its own bytes. What the bridge does by [Broker.Dial] is not counted.
const (
	maxConnect  = 16 << 10  // bytes of the CONNECT packet, the only one before a login
	maxPacket   = 384 << 10 // bytes of one MQTT packet
	maxTopic    = 1 << 10   // bytes of a topic or filter
	maxLevels   = 32        // of it
	maxSessions = 64        // of clients, connected or not

	maxRetained       = 16 << 20 // retained messages
	maxRetainedClient = 4 << 20  // of them, published by one client
	maxSubscribed     = 8 << 20  // subscriptions
	maxSubscribedOne  = 4 << 20  // of one client
	maxInflight       = 8 << 20  // messages that were not acknowledged, or wait for a client that is away
	maxInflightOne    = 4 << 20  // of one client
	maxUnread         = 8 << 20  // bytes written that a connection has not taken
	maxUnreadOne      = 2 << 20  // of one client
	maxBurst          = 1 << 20  // retained messages on their way to a client that has just subscribed

	maxSession = 10 * time.Minute // how long the session of a client that is away is kept

	connectTimeout = 5 * time.Second // from the connection to the login
	slowWrite      = 5 * time.Millisecond
	writeTimeout   = 10 * time.Second // to take the next 64 KiB

	maxWaiting = 16 << 10 // messages for one client: room for all retained messages of some thousand phones
	pipeBuffer = 64 << 10 // of a connection by Dial, in each direction

	// How fast clients may publish, bytes a second for all subscribers together, and how much at once. It keeps the
	// server's own queues short, which are bounded by messages and not by bytes.
	publishRate  = 32 << 20
	publishBurst = 8 << 20
)

// What the server allocates beside the bytes of a message.
const (
	packetCost = 1 << 10 // packets.Packet has 800 bytes
	levelCost  = 512     // a node of the topic tree
)

// capabilities are the limits that the server itself knows.
func capabilities() *mochi.Capabilities {
	c := mochi.NewDefaultServerCapabilities()
	c.MaximumPacketSize = maxPacket
	c.MaximumInflight = maxWaiting
	c.MaximumClientWritesPending = maxWaiting
	c.MaximumSessionExpiryInterval = uint32(maxSession / time.Second)
	c.MaximumMessageExpiryInterval = 0 // the default forgets retained messages after a day
	c.TopicAliasMaximum = 0            // each alias would keep a topic
	return c
}

// cost is what a message or subscription takes in memory.
func cost(topic string, bytes int) int64 {
	n := int64(packetCost + levelCost + len(topic) + bytes)
	for i := range len(topic) {
		if topic[i] == '/' {
			n += levelCost
		}
	}
	return n
}

// fits reports whether a topic or filter is within the bounds.
func fits(topic string) bool {
	if len(topic) > maxTopic {
		return false
	}
	levels := 1
	for i := range len(topic) {
		if topic[i] == '/' {
			levels++
		}
	}
	return levels <= maxLevels
}
