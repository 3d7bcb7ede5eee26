package mqtt

import (
	"sync"
	"time"
)

// An Outbox keeps the messages that wait to be published, and those that were sent and are not acknowledged yet.
// It promises:
//
//   - Order: messages leave in the order they were added. A topic in quarantine is overtaken by others; messages of one
//     topic never overtake each other.
//   - The newest state wins: a retained message replaces a waiting one of the same topic.
//   - Bounds: what waits is limited in number and in bytes. When there is no room, messages that expire are dropped
//     first, the oldest first, and then the oldest of the others. Those that expire have a quarter of the room in bytes.
//     Retained messages are one per topic, at most [MaxRetained], and have a limit in bytes of their own.
//   - Expiry: a message is never handed out after its time; see [Message.Expires].
//   - Nothing is lost with a connection: what was sent and not acknowledged is sent again, in order, on the next.
//   - Nothing blocks the rest: a topic on which the broker closes the connection is found and put in quarantine; see
//     the type quarantine.
//
// An Outbox sends nothing itself and reads no clock. It is safe for concurrent use. Make one with [NewOutbox].
type Outbox struct {
	limits Limits
	// minimal returns a short payload in place of one that the broker does not accept; nil: there is none.
	minimal func(Message) []byte
	dropped func() // called for each dropped message, with mu held

	mu         sync.Mutex        // guards what follows
	last       int64             // sequence number of the newest entry
	connection int               // number of the current connection
	first      queue             // waiting, ephemeral: for this connection only
	events     queue             // waiting, with a time after which they are of no use
	results    queue             // waiting, all other messages that are not retained
	states     queue             // waiting, retained
	byTopic    map[string]*entry // the retained entries that wait, also those in quarantine
	flight     []*entry          // sent and not acknowledged, in order
	bytes      int               // of what is not retained: waiting, in quarantine or in flight
	retained   int               // bytes of what is retained, likewise
	quarantine quarantine
	drops      Drops
	free       *entry // entries to be used again, at most maxFree of them
	freeLen    int
}

// Limits are the bounds of an [Outbox].
type Limits struct {
	Messages      int // that wait and are not retained
	Bytes         int // of messages that are not retained; a quarter of it for those that expire
	RetainedBytes int // of retained messages
	Window        int // messages in flight
}

// MaxRetained is the number of topics with a waiting retained message. It has room for 10,000 phones with six topics
// each.
const MaxRetained = 1 << 16

// overhead is what a message takes in memory beside its topic and payload, in bytes.
const overhead = 160

// eventShare is the part of the bytes that messages which expire may take: one in so many.
const eventShare = 4

// maxFree is the number of entries that are kept for reuse.
const maxFree = 64

// Drops counts messages that were taken or offered and will never be sent, by reason.
type Drops struct {
	Full        int // no room
	Expired     int // too old
	Quarantined int // the broker closes the connection on their topic, or on their size
}

// Total returns the sum of all reasons.
func (d Drops) Total() int { return d.Full + d.Expired + d.Quarantined }

// An Entry is a message handed out by [Outbox.Take], with the sequence number by which it is acknowledged.
type Entry struct {
	Seq     int64
	Message Message
}

// An entry is a message in the outbox. Its sequence number gives its turn.
type entry struct {
	Entry
	ephemeral bool   // not to be sent on another connection
	minimal   bool   // the payload replaces one that the broker did not accept
	next      *entry // in its queue
}

func (e *entry) size() int { return len(e.Message.Topic) + cap(e.Message.Payload) + overhead }

// NewOutbox returns an empty outbox. minimal, if set, returns a short payload, of at most 1 KiB, that is sent in place of
// one that the broker does not accept, or nil where there is none. dropped, if set, is called when a message is dropped;
// it must not block, nor use the outbox.
func NewOutbox(l Limits, minimal func(Message) []byte, dropped func()) *Outbox {
	if minimal == nil {
		minimal = func(Message) []byte { return nil }
	}
	if dropped == nil {
		dropped = func() {}
	}
	return &Outbox{limits: l, minimal: minimal, dropped: dropped, byTopic: map[string]*entry{}, quarantine: newQuarantine()}
}

// Add appends m. False means that it was not taken: it has expired, its topic is in quarantine, or there is no room.
func (o *Outbox) Add(now time.Time, m Message) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case m.expired(now):
		o.count(&o.drops.Expired)
		return false
	case !o.quarantine.admits(now, m):
		o.count(&o.drops.Quarantined)
		return false
	case m.Retained:
		return o.addState(m)
	}
	e := o.newEntry(m)
	o.bytes += e.size()
	if m.Expires.IsZero() {
		o.results.push(e)
	} else {
		o.events.push(e)
		o.expire(now)
	}
	return o.makeRoom(e)
}

// addState adds a retained message, in place of a waiting one of the same topic.
func (o *Outbox) addState(m Message) bool {
	old := o.byTopic[m.Topic]
	size := (&entry{Entry: Entry{Message: m}}).size()
	if old != nil {
		size -= old.size()
	}
	if size > 0 && o.retained+size > o.limits.RetainedBytes || old == nil && len(o.byTopic) >= MaxRetained {
		o.count(&o.drops.Full)
		return false
	}
	o.retained += size
	if old != nil {
		old.Message = m
		return true
	}
	e := o.newEntry(m)
	o.byTopic[m.Topic] = e
	o.states.push(e)
	return true
}

// makeRoom drops messages until the limits are kept. It reports whether added is still there.
func (o *Outbox) makeRoom(added *entry) bool {
	for o.events.bytes > o.limits.Bytes/eventShare {
		o.count(&o.drops.Full)
		o.discard(o.events.pop())
	}
	for o.events.len+o.results.len > o.limits.Messages || o.bytes > o.limits.Bytes {
		e := o.events.pop()
		if e == nil {
			e = o.quarantine.popUnretained()
		}
		if e == nil {
			e = o.results.pop()
		}
		if e == nil {
			return true // only what is in flight is left
		}
		o.count(&o.drops.Full)
		o.discard(e)
		if e == added {
			return false
		}
	}
	return true
}

// expire drops the events at the front of their queue that are too old. All events live equally long, so the oldest
// expires first; one that lives longer is dropped when it is at the front, or is found expired by Take.
func (o *Outbox) expire(now time.Time) {
	for e := o.events.head; e != nil && e.Message.expired(now); e = o.events.head {
		o.count(&o.drops.Expired)
		o.discard(o.events.pop())
	}
}

// AddEphemeral adds m before what [Outbox.Add] was given, for this connection only: it is forgotten when that is lost.
// It replaces a waiting one for the same topic. False means that the topic is in quarantine.
func (o *Outbox) AddEphemeral(now time.Time, m Message) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.quarantine.admits(now, m) {
		return false
	}
	for e := o.first.head; e != nil; e = e.next {
		if e.Message.Topic == m.Topic {
			o.bytes -= e.size()
			e.Message = m
			o.bytes += e.size()
			return true
		}
	}
	e := o.newEntry(m)
	e.ephemeral = true
	o.bytes += e.size()
	o.first.push(e)
	return true
}

// newEntry returns an entry with the next sequence number.
func (o *Outbox) newEntry(m Message) *entry {
	e := o.free
	if e == nil {
		e = new(entry)
	} else {
		o.free, e.next = e.next, nil
		o.freeLen--
	}
	o.last++
	e.Entry = Entry{Seq: o.last, Message: m}
	return e
}

// discard forgets e, which is in no queue and not in flight any more.
func (o *Outbox) discard(e *entry) {
	if e.Message.Retained && !e.ephemeral {
		o.retained -= e.size()
		if o.byTopic[e.Message.Topic] == e {
			delete(o.byTopic, e.Message.Topic)
		}
	} else {
		o.bytes -= e.size()
	}
	*e = entry{}
	if o.freeLen < maxFree {
		e.next, o.free = o.free, e
		o.freeLen++
	}
}

// Connected begins a new connection and returns its number, which [Outbox.Take] and [Outbox.Lost] expect.
func (o *Outbox) Connected() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.connection++
	return o.connection
}

// Take returns the next message to be sent on a connection, and counts it as in flight until it is acknowledged
// ([Outbox.Done]) or the connection is lost ([Outbox.Lost]). There is none when nothing waits, when enough is in
// flight, or when the connection is not the current one.
//
// Messages of topics in quarantine travel alone, and only when stable says that the connection has lived for a while:
// a new connection that is soon lost for another reason must not count against them.
func (o *Outbox) Take(connection int, now time.Time, stable bool) (Entry, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if connection != o.connection || len(o.flight) >= o.limits.Window {
		return Entry{}, false
	}
	e := o.next(now, stable)
	if e == nil {
		return Entry{}, false
	}
	if e.Message.Retained && o.byTopic[e.Message.Topic] == e {
		delete(o.byTopic, e.Message.Topic)
	}
	o.flight = append(o.flight, e)
	return e.Entry, true
}

// next removes the next entry to be sent from its queue.
func (o *Outbox) next(now time.Time, stable bool) *entry {
	if o.quarantine.active() {
		if o.quarantine.alone != nil {
			return nil // until it is known how this one ends
		}
		if stable && o.quarantine.anyDue(now) {
			if len(o.flight) > 0 {
				return nil // it travels alone
			}
			if e := o.quarantine.take(now); e != nil && !o.dropExpired(now, e) {
				o.quarantine.alone = e
				return e
			}
		}
	}
	for {
		q := o.headQueue()
		if q == nil {
			return nil
		}
		e := q.pop()
		switch {
		case o.dropExpired(now, e):
		case o.quarantine.isolates(e):
			o.quarantine.held.insert(e)
		default:
			return e
		}
		if stable && len(o.flight) == 0 && o.quarantine.held.len > 0 && o.quarantine.anyDue(now) {
			return o.next(now, stable)
		}
	}
}

// count counts a dropped message.
func (o *Outbox) count(reason *int) {
	*reason++
	o.dropped()
}

func (o *Outbox) dropExpired(now time.Time, e *entry) bool {
	if !e.Message.expired(now) {
		return false
	}
	o.count(&o.drops.Expired)
	o.discard(e)
	return true
}

// headQueue returns the queue with the first waiting entry, or nil.
func (o *Outbox) headQueue() *queue {
	if o.first.head != nil {
		return &o.first
	}
	var first *queue
	for _, q := range []*queue{&o.events, &o.results, &o.states} {
		if q.head != nil && (first == nil || q.head.Seq < first.head.Seq) {
			first = q
		}
	}
	return first
}

// Left is what an outbox still has to do.
type Left struct{ Waiting, InFlight int }

// Done records that the broker acknowledged the message with this sequence number. It returns what is left.
func (o *Outbox) Done(seq int64) Left {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, e := range o.flight {
		if e.Seq != seq {
			continue
		}
		copy(o.flight[i:], o.flight[i+1:])
		o.flight[len(o.flight)-1] = nil
		o.flight = o.flight[:len(o.flight)-1]
		if released := o.quarantine.accepted(e); released != nil {
			o.requeue(released)
		}
		o.discard(e)
		break
	}
	return Left{Waiting: o.waiting(), InFlight: len(o.flight)}
}

// First returns the sequence number of the first message in flight; 0: there is none.
func (o *Outbox) First() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.flight) == 0 {
		return 0
	}
	return o.flight[0].Seq
}

// requeue puts entries that were held in quarantine back into their queues.
func (o *Outbox) requeue(all []*entry) {
	for _, e := range all {
		o.queueOf(e).insert(e)
	}
}

func (o *Outbox) queueOf(e *entry) *queue {
	switch {
	case e.ephemeral:
		return &o.first
	case e.Message.Retained:
		return &o.states
	case e.Message.Expires.IsZero():
		return &o.results
	}
	return &o.events
}

// Lost records that a connection is gone. What was in flight waits again, in its old place, unless a newer state for
// the same topic waits already. blame says that the broker closed the connection, which it may have done because of a
// message. The [Verdict] says what follows from that.
func (o *Outbox) Lost(connection int, now time.Time, blame bool) Verdict {
	o.mu.Lock()
	defer o.mu.Unlock()
	if connection != o.connection {
		return Verdict{}
	}
	o.connection++
	flight := o.flight
	o.flight = nil
	o.drop(o.first.take())
	var v Verdict
	alone := o.quarantine.alone
	o.quarantine.alone = nil
	v.Alone = alone != nil
	if blame {
		v = o.quarantine.blame(now, alone, flight)
	}
	for _, e := range flight {
		topic := e.Message.Topic
		switch {
		case v.Convicted && e == alone:
			o.convict(now, e, &v)
		case e.ephemeral, e.Message.Retained && o.byTopic[topic] != nil:
			o.discard(e)
		default:
			if e.Message.Retained {
				o.byTopic[topic] = e
			}
			o.queueOf(e).insert(e)
		}
	}
	o.drop(o.quarantine.takeEphemeral())
	return v
}

func (o *Outbox) drop(all []*entry) {
	for _, e := range all {
		o.discard(e)
	}
}

// convict replaces e, on which the broker closes the connection, by a minimal message or drops it, and likewise what
// waits and would cost further connections.
func (o *Outbox) convict(now time.Time, e *entry, v *Verdict) {
	topic := e.Message.Topic
	if o.shorten(e) {
		o.quarantine.replaced(v)
		o.quarantine.held.insert(e)
		v.Replaced = true
	} else {
		o.count(&o.drops.Quarantined)
		o.discard(e)
		if v.Topic {
			o.quarantine.convictClass(now, v)
		}
	}
	like := func(e *entry) bool {
		return e.Message.Topic == topic || v.Class && className(e.Message.Topic) == className(topic)
	}
	for _, q := range []*queue{&o.first, &o.events, &o.results, &o.states, &o.quarantine.held} {
		for _, e := range q.remove(like) {
			switch {
			case o.quarantine.admits(now, e.Message):
				q.insert(e)
			case !v.Topic && o.shorten(e):
				q.insert(e)
			default:
				o.count(&o.drops.Quarantined)
				o.discard(e)
			}
		}
	}
}

// shorten makes the message of e, which is in no queue, minimal. False means that it is or cannot be.
func (o *Outbox) shorten(e *entry) bool {
	if e.minimal || e.ephemeral || e.Message.Retained {
		return false
	}
	payload := o.minimal(e.Message)
	if payload == nil || len(payload) >= len(e.Message.Payload) {
		return false
	}
	o.bytes -= e.size()
	e.Message.Payload, e.minimal = payload, true
	o.bytes += e.size()
	return true
}

// Retry returns when the next message in quarantine may be sent; the zero time: none waits there.
func (o *Outbox) Retry(now time.Time) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.quarantine.nextTry(now)
}

// Crowded reports whether so much waits that is not retained that it is time to take in less: half of what there is
// room for. Events do not count: there is room for others in their place.
func (o *Outbox) Crowded() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.results.len > o.limits.Messages/2 || o.results.bytes > o.limits.Bytes/2
}

// Room returns how many more messages with payloads of this many bytes fit without dropping others, but events.
func (o *Outbox) Room(payload int) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	count := o.limits.Messages - o.results.len
	fit := (o.limits.Bytes - o.bytes + o.events.bytes) / (payload + MaxTopic/2 + overhead)
	return max(0, min(count, fit))
}

// Waiting returns the number of messages that wait or are in flight.
func (o *Outbox) Waiting() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.waiting() + len(o.flight)
}

func (o *Outbox) waiting() int {
	return o.first.len + o.events.len + o.results.len + o.states.len + o.quarantine.held.len
}

// Bytes returns about how much memory the messages take.
func (o *Outbox) Bytes() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bytes + o.retained
}

// Drops returns how many messages were dropped so far.
func (o *Outbox) Drops() Drops {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.drops
}

// A queue is a list of entries. The zero queue is empty.
type queue struct {
	head, tail *entry
	len        int
	bytes      int // of the entries as they were added; a retained one may have been replaced
}

// push appends e.
func (q *queue) push(e *entry) {
	e.next = nil
	if q.tail == nil {
		q.head = e
	} else {
		q.tail.next = e
	}
	q.tail = e
	q.len++
	q.bytes += e.size()
}

// pop removes and returns the first entry; nil: there is none.
func (q *queue) pop() *entry {
	e := q.head
	if e == nil {
		return nil
	}
	q.head = e.next
	if q.head == nil {
		q.tail = nil
	}
	e.next = nil
	q.len--
	q.bytes -= e.size()
	return e
}

// insert puts e in its place by sequence number. Few entries are before that place: e was near the front before.
func (q *queue) insert(e *entry) {
	if q.tail == nil || q.tail.Seq < e.Seq {
		q.push(e)
		return
	}
	at := &q.head
	for (*at).Seq < e.Seq {
		at = &(*at).next
	}
	e.next, *at = *at, e
	q.len++
	q.bytes += e.size()
}

// take removes and returns all entries.
func (q *queue) take() (all []*entry) {
	return q.remove(func(*entry) bool { return true })
}

// remove removes and returns, in order, the entries that match.
func (q *queue) remove(match func(*entry) bool) (removed []*entry) {
	var rest queue
	for e := q.pop(); e != nil; e = q.pop() {
		if match(e) {
			removed = append(removed, e)
		} else {
			rest.push(e)
		}
	}
	*q = rest
	return removed
}
