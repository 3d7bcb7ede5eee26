package broker

import (
	"sync"
	"sync/atomic"

	mochi "github.com/mochi-mqtt/server/v2"
	"golang.org/x/time/rate"
)

// The budgets count what clients make the broker keep, in bytes of memory. The client of [Broker.Dial] is not counted.
type budgets struct {
	broker  *Broker
	publish *rate.Limiter // bytes that clients publish, once for each subscriber
	unread  atomic.Int64  // bytes that wait in connections
	ownKept atomic.Int64  // retained messages of the client of Dial, about

	mu         sync.Mutex
	kept       map[string]keptMessage // retained messages of clients, by topic; guarded by mu
	keptBytes  int64                  // of all of them; guarded by mu
	owned      map[string]int64       // bytes of them, by the client id of their publishers; guarded by mu
	peers      map[string]*peer       // by client id; guarded by mu
	subscribed int64                  // of all of them; guarded by mu
	waiting    int64                  // likewise; guarded by mu
}

// A keptMessage is a retained message of a client.
type keptMessage struct {
	owner string // client id
	bytes int64
}

// A peer is a client with a session. Its fields are guarded by budgets.mu.
type peer struct {
	client     *mochi.Client
	subscribed int64 // bytes of its subscriptions
	waiting    int64 // bytes that it has not acknowledged; too high where it has since
}

func newBudgets(b *Broker) *budgets {
	return &budgets{
		broker:  b,
		publish: rate.NewLimiter(publishRate, publishBurst),
		kept:    map[string]keptMessage{},
		owned:   map[string]int64{},
		peers:   map[string]*peer{},
	}
}

// begin counts for a client from now on, which may have inherited the session of one with the same id.
func (g *budgets) begin(cl *mochi.Client) {
	if c := connOf(cl); c == nil || c.own {
		return
	}
	var subscribed int64
	for filter := range cl.State.Subscriptions.GetAll() {
		subscribed += cost(filter, len(filter))
	}
	waiting := inflightOf(cl)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.remove(cl.ID)
	g.peers[cl.ID] = &peer{client: cl, subscribed: subscribed, waiting: waiting}
	g.subscribed += subscribed
	g.waiting += waiting
}

// forget counts for a client no more. What it had retained stays.
func (g *budgets) forget(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.remove(id)
}

// remove is forget. The caller holds the lock.
func (g *budgets) remove(id string) {
	if p := g.peers[id]; p != nil {
		g.subscribed -= p.subscribed
		g.waiting -= p.waiting
		delete(g.peers, id)
	}
}

// subscribe takes room for a subscription, and reports whether there was enough.
func (g *budgets) subscribe(cl *mochi.Client, bytes int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.peers[cl.ID]
	if p == nil {
		return true // the client of Dial
	}
	if p.subscribed+bytes > maxSubscribedOne || g.subscribed+bytes > maxSubscribed {
		return false
	}
	p.subscribed += bytes
	g.subscribed += bytes
	return true
}

// unsubscribe gives the room of a subscription back.
func (g *budgets) unsubscribe(cl *mochi.Client, bytes int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p := g.peers[cl.ID]; p != nil {
		p.subscribed -= bytes
		g.subscribed -= bytes
	}
}

// inflight counts a message that a client has to acknowledge, and returns the clients that owe too much. Acknowledged
// messages are taken off only when a budget seems to be exceeded.
func (g *budgets) inflight(cl *mochi.Client, bytes int64) (late []*mochi.Client) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.peers[cl.ID]
	if p == nil {
		return nil // the client of Dial
	}
	p.waiting += bytes
	g.waiting += bytes
	more := g.ownKept.Load() // one that subscribes with QoS 1 gets all of it at once
	if p.waiting > maxInflightOne+more {
		if g.audit(p); p.waiting > maxInflightOne+more {
			return []*mochi.Client{p.client}
		}
	}
	if g.waiting <= maxInflight+more {
		return nil
	}
	most := p
	for _, other := range g.peers {
		if g.audit(other); other.waiting > most.waiting {
			most = other
		}
	}
	if g.waiting <= maxInflight+more {
		return nil
	}
	return []*mochi.Client{most.client}
}

// audit counts anew what a client owes. The caller holds the lock.
func (g *budgets) audit(p *peer) {
	now := inflightOf(p.client)
	g.waiting += now - p.waiting
	p.waiting = now
}

// inflightOf returns the bytes that a client has not acknowledged.
func inflightOf(cl *mochi.Client) (bytes int64) {
	for _, pk := range cl.State.Inflight.GetAll(false) {
		bytes += cost(pk.TopicName, len(pk.Payload))
	}
	return bytes
}

// retain takes room for a retained message of a client, in place of one of had bytes that the topic has, and reports
// whether there was enough. A message of 0 bytes deletes.
func (g *budgets) retain(id, topic string, bytes, had int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	old, known := g.kept[topic]
	mine := g.owned[id] + bytes
	if old.owner == id {
		mine -= old.bytes
	}
	if bytes > 0 && (mine > maxRetainedClient || g.keptBytes-old.bytes+bytes > maxRetained) {
		return false
	}
	if !known {
		g.ownKept.Add(-had)
	}
	g.drop(topic)
	if bytes > 0 {
		g.kept[topic] = keptMessage{owner: id, bytes: bytes}
		g.owned[id] += bytes
		g.keptBytes += bytes
	}
	return true
}

// retainOwn notes a retained message of the client of Dial, in place of one of had bytes that the topic has.
func (g *budgets) retainOwn(topic string, bytes, had int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, known := g.kept[topic]; !known {
		g.ownKept.Add(-had)
	}
	g.drop(topic)
	g.ownKept.Add(bytes)
}

// drop counts a retained message of a client no more. The caller holds the lock.
func (g *budgets) drop(topic string) {
	old, known := g.kept[topic]
	if !known {
		return
	}
	delete(g.kept, topic)
	g.keptBytes -= old.bytes
	if g.owned[old.owner] -= old.bytes; g.owned[old.owner] == 0 {
		delete(g.owned, old.owner)
	}
}

// expired notes that the server has dropped a retained message.
func (g *budgets) expired(topic string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.drop(topic)
}

// retained corrects the size of a retained message, if it is one of a client.
func (g *budgets) retained(topic string, bytes int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if old, ok := g.kept[topic]; ok {
		g.keptBytes += bytes - old.bytes
		g.owned[old.owner] += bytes - old.bytes
		g.kept[topic] = keptMessage{owner: old.owner, bytes: bytes}
	}
}

func (g *budgets) retainedBytes() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.keptBytes
}

// addUnread takes room for bytes that wait in a connection, and reports whether there was enough.
func (g *budgets) addUnread(n int) bool {
	if g.unread.Add(int64(n)) > maxUnread {
		g.unread.Add(-int64(n))
		return false
	}
	return true
}

func (g *budgets) subUnread(n int) { g.unread.Add(-int64(n)) }
