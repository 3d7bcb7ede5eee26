package mqtt

import (
	"hash/maphash"
	"strings"
	"time"
)

// A quarantine finds the messages on which a broker closes the connection: on a topic that the user may not write, or
// of a size that the broker does not accept. MQTT 3.1.1 gives no reason, so all there is to go by is which connections
// are lost.
//
// The rules, so that a connection that is lost for another reason convicts no topic:
//
//   - What was in flight when the broker closed a connection is isolated: the other messages go first, and then it is
//     sent alone, on a connection that has lived without it for a moment. A message of ordinary size on a topic that
//     was accepted before is isolated only after the second such connection in a row.
//   - A topic is convicted when [convictAfter] connections in a row were lost with it, all but the first one with its
//     message alone in flight. A connection that is lost with no message of an isolated topic on its way shows that
//     connections do not live without it either, and begins the count anew.
//   - Topics that differ only in their middle levels, such as those of the status of many phones, are a class. Where
//     two topics of a class were in flight, and none of it was ever accepted, all of it is isolated; once one is
//     accepted, each is judged alone. Where two are convicted, all are: one missing right concerns all phones alike.
//   - A message of ordinary size on a topic that was accepted before is never convicted. It is sent again at growing
//     intervals, until it arrives, and everything else is sent meanwhile.
//
// A convicted topic is not accepted by the outbox for a minute, a convicted class for ten, and twice as long each
// further time, up to an hour.
// Where the topic was accepted before, its size is what convicts it: messages that are as long are not accepted then,
// shorter ones are.
type quarantine struct {
	topics map[string]*isolation
	held   queue  // messages of isolated topics, in order
	alone  *entry // the isolated message in flight; nil: none

	// What was accepted before, as hashes of topics: at most maxAccepted. It matters that it takes little memory, and
	// not that two of many millions of topics may have the same hash.
	accepts map[uint64]struct{}
	seed    maphash.Seed
	longest int // payload that was accepted

	classes        map[string]*class // of isolated topics of which none was ever accepted, by className
	acceptsOfClass map[string]bool   // classes of which a topic was accepted, by className; at most maxClasses
}

// An isolation is what is known against one topic.
type isolation struct {
	lost     int       // connections in a row
	isolated bool      // messages of the topic are held until one is accepted, so that none overtakes another
	retry    time.Time // not sent before
	until    time.Time // convicted: not accepted before
	shortest int       // convicted: shortest payload that is not accepted
	replaced int       // bytes of the last message that was replaced by a minimal one
	times    int       // how often it was convicted
}

// A class consists of the topics that differ only in the levels between the first and the last one, such as those of the
// discovery documents of many phones, which one missing permission concerns all at once.
type class struct {
	isolated  int             // topics of it, at least
	convicted map[string]bool // topics, at most convictClassAfter
	until     time.Time       // convicted: no topic of it is accepted before
	times     int
}

const (
	convictAfter      = 3 // connections in a row
	isolateClassAfter = 2 // isolated topics of a class of which none was ever accepted
	convictClassAfter = 2 // convicted ones
	nextTopicFirst    = 3 * time.Second
	deferAfter        = 6       // connections in a row, of a topic that was accepted before: it is reported
	maxAccepted       = 1 << 17 // topics that are remembered as accepted
	maxIsolated       = 1 << 12 // topics that are remembered as isolated or convicted
	maxClasses        = 1 << 8
	ordinary          = 1 << 10 // bytes of a payload that every broker accepts
	retryAtMost       = 10 * time.Minute
)

// A Verdict is what follows from the loss of a connection.
type Verdict struct {
	Alone     bool // one isolated message was in flight: that it was lost is no sign of another client
	Convicted bool // the message is given up
	Replaced  bool // a minimal message is sent in its place
	Deferred  bool // the message was lost with several connections in a row and is sent again later
	Topic     bool // no message is accepted for its topic for a while; false: none as long as this one
	Class     bool // nor for the topics that are like it
	Message   Message
	Until     time.Time // the end of that, or the next attempt
}

func newQuarantine() quarantine {
	return quarantine{
		topics: map[string]*isolation{}, classes: map[string]*class{},
		accepts: map[uint64]struct{}{}, acceptsOfClass: map[string]bool{}, seed: maphash.MakeSeed(),
	}
}

// active reports whether any topic is isolated.
func (q *quarantine) active() bool { return len(q.topics) > 0 }

// admits reports whether m may be added to the outbox.
func (q *quarantine) admits(now time.Time, m Message) bool {
	if len(q.topics) == 0 {
		return true
	}
	if i := q.topics[m.Topic]; i != nil && now.Before(i.until) && len(m.Payload) >= i.shortest {
		return false
	}
	c := q.class(m.Topic)
	return c == nil || !now.Before(c.until)
}

// class returns what is known against the class of topic; nil: nothing.
func (q *quarantine) class(topic string) *class {
	if len(q.classes) == 0 {
		return nil
	}
	return q.classes[className(topic)]
}

// trusts reports whether m is a message of ordinary size on a topic that was accepted before.
func (q *quarantine) trusts(m Message) bool {
	_, before := q.accepts[maphash.String(q.seed, m.Topic)]
	return before && len(m.Payload) <= max(ordinary, q.longest)
}

// isolates reports whether e must wait in quarantine.
func (q *quarantine) isolates(e *entry) bool {
	if len(q.topics) == 0 {
		return false
	}
	if i := q.topics[e.Message.Topic]; i != nil && i.lost > 0 {
		i.isolated = i.isolated || i.lost > 1 || !q.trusts(e.Message)
		if i.isolated {
			return true
		}
	}
	c := q.class(e.Message.Topic)
	return c != nil && c.isolated >= isolateClassAfter
}

// nextTry returns when the next held message may be sent; zero: there is none.
func (q *quarantine) nextTry(now time.Time) (first time.Time) {
	for e := q.held.head; e != nil; e = e.next {
		at := now
		if i := q.topics[e.Message.Topic]; i != nil && i.retry.After(now) {
			at = i.retry
		}
		if first.IsZero() || at.Before(first) {
			first = at
		}
		if first == now {
			break
		}
	}
	return first
}

// due reports whether e may be sent now.
func (q *quarantine) due(now time.Time, e *entry) bool {
	i := q.topics[e.Message.Topic]
	return i == nil || !now.Before(i.retry)
}

// anyDue reports whether a held message may be sent now.
func (q *quarantine) anyDue(now time.Time) bool {
	for e := q.held.head; e != nil; e = e.next {
		if q.due(now, e) {
			return true
		}
	}
	return false
}

// take removes and returns the first held message that may be sent now.
func (q *quarantine) take(now time.Time) *entry {
	return q.removeFirst(func(e *entry) bool { return q.due(now, e) })
}

// popUnretained removes the first held message that is not retained, to make room; nil: there is none.
func (q *quarantine) popUnretained() *entry {
	return q.removeFirst(func(e *entry) bool { return !e.Message.Retained || e.ephemeral })
}

// removeFirst removes and returns the first held entry that matches; nil: there is none.
func (q *quarantine) removeFirst(match func(*entry) bool) *entry {
	found := false
	all := q.held.remove(func(e *entry) bool {
		first := !found && match(e)
		found = found || first
		return first
	})
	if len(all) == 0 {
		return nil
	}
	return all[0]
}

// takeEphemeral removes and returns what is held for a connection that is gone.
func (q *quarantine) takeEphemeral() []*entry {
	if q.held.len == 0 {
		return nil
	}
	return q.held.remove(func(e *entry) bool { return e.ephemeral })
}

// accepted records that the broker acknowledged e. It returns the entries that were held back for their topic.
func (q *quarantine) accepted(e *entry) []*entry {
	topic, length := e.Message.Topic, len(e.Message.Payload)
	released := q.firstOfClass(topic)
	q.longest = max(q.longest, length)
	if e == q.alone {
		q.alone = nil
	}
	i := q.topics[topic]
	if i == nil {
		return released
	}
	if i.replaced > length {
		i.shortest = i.replaced // the topic is not what the broker objects to
	}
	if i.times > 0 && length < i.shortest {
		i.lost, i.isolated, i.retry = 0, false, time.Time{} // what is longer stays convicted
	} else {
		delete(q.topics, topic)
	}
	return append(released, q.held.remove(func(e *entry) bool { return e.Message.Topic == topic })...)
}

// firstOfClass records that topic was accepted. Where it is the first one of its class, it returns the entries that
// were held back for their class alone.
func (q *quarantine) firstOfClass(topic string) []*entry {
	hash := maphash.String(q.seed, topic)
	if _, known := q.accepts[hash]; known || len(q.accepts) >= maxAccepted {
		return nil
	}
	q.accepts[hash] = struct{}{}
	name := className(topic)
	if len(q.acceptsOfClass) < maxClasses {
		q.acceptsOfClass[name] = true
	}
	if q.classes[name] == nil {
		return nil
	}
	delete(q.classes, name)
	return q.held.remove(func(e *entry) bool { return q.topics[e.Message.Topic] == nil && className(e.Message.Topic) == name })
}

// blame judges a connection that the broker closed with these entries in flight.
func (q *quarantine) blame(now time.Time, alone *entry, flight []*entry) Verdict {
	if alone != nil {
		return q.blameAlone(now, alone)
	}
	for _, i := range q.topics {
		i.lost = min(i.lost, 1) // connections do not live without it either
	}
	counted := make(map[string]bool, len(flight))
	for _, e := range flight {
		topic := e.Message.Topic
		if counted[topic] {
			continue
		}
		counted[topic] = true
		i := q.topics[topic]
		if i == nil {
			if len(q.topics) >= maxIsolated {
				continue
			}
			i = &isolation{}
			q.topics[topic] = i
			q.isolateClass(topic)
		}
		i.lost++
	}
	return Verdict{}
}

// isolateClass counts an isolated topic against its class.
func (q *quarantine) isolateClass(topic string) {
	name := className(topic)
	c := q.classes[name]
	switch {
	case q.acceptsOfClass[name], c == nil && len(q.classes) >= maxClasses:
		return
	case c == nil:
		c = &class{convicted: map[string]bool{}}
		q.classes[name] = c
	}
	c.isolated++
}

// blameAlone judges a connection that the broker closed when e was the only message in flight.
func (q *quarantine) blameAlone(now time.Time, e *entry) Verdict {
	m := e.Message
	i := q.topics[m.Topic]
	if i == nil { // it was held back for its class
		q.makeRoom(now)
		i = &isolation{lost: 1}
		q.topics[m.Topic] = i
		q.isolateClass(m.Topic)
	}
	i.lost++
	i.retry = now.Add(nextTopicFirst)
	v := Verdict{Alone: true, Message: m}
	if q.trusts(m) {
		i.retry = now.Add(min(time.Second<<min(i.lost-1, 20), retryAtMost))
		v.Deferred, v.Until = i.lost >= deferAfter, i.retry
		return v
	}
	if i.lost < convictAfter {
		return v
	}
	i.lost = convictAfter - 1 // next time, one is enough
	i.until = now.Add(min(time.Minute<<min(i.times, 6), time.Hour))
	i.times++
	i.shortest = 0
	if _, before := q.accepts[maphash.String(q.seed, m.Topic)]; before {
		i.shortest = len(m.Payload)
	}
	v.Convicted, v.Topic, v.Until = true, i.shortest == 0, i.until
	return v
}

// replaced records that the convicted message of v is replaced by a shorter one, which decides whether it is the topic
// or the size that the broker does not accept.
func (q *quarantine) replaced(v *Verdict) {
	v.Topic = false
	i := q.topics[v.Message.Topic]
	i.replaced = len(v.Message.Payload)
	if i.shortest == 0 {
		i.shortest = i.replaced
	}
}

// makeRoom forgets a topic that is not convicted now, where too many are remembered. It may be isolated again.
func (q *quarantine) makeRoom(now time.Time) {
	for topic, i := range q.topics {
		if len(q.topics) < maxIsolated {
			return
		}
		if !now.Before(i.until) {
			delete(q.topics, topic)
		}
	}
}

// convictClass counts the convicted topic of v against its class, which may convict that too.
func (q *quarantine) convictClass(now time.Time, v *Verdict) {
	c := q.class(v.Message.Topic)
	if c == nil {
		return
	}
	if len(c.convicted) < convictClassAfter {
		c.convicted[v.Message.Topic] = true
	}
	if len(c.convicted) < convictClassAfter {
		return
	}
	c.until = now.Add(min(10*time.Minute<<min(c.times, 3), time.Hour))
	c.times++
	v.Class, v.Until = true, c.until
}

// className returns the first and the last level of topic.
func className(topic string) string {
	first, rest, more := strings.Cut(topic, "/")
	if !more {
		return topic
	}
	return first + "/" + rest[strings.LastIndexByte(rest, '/')+1:]
}
