package mqtt

import (
	"container/list"
	"slices"
	"sync"
	"time"
)

// An Outbox keeps the messages that wait to be published, and those that were sent and are not acknowledged yet.
// It promises:
//
//   - Order: messages leave in the order they came.
//   - The newest state wins: a retained message takes the place of a waiting one of the same topic.
//   - Bounds: when more than a limit of messages wait that are not retained, the oldest of them is dropped and
//     counted. Retained ones are one per topic, at most [MaxRetained].
//   - Nothing is lost with a connection: what was sent and not acknowledged is sent again, in order, on the next.
//   - Nothing wedges: a message that cost three connections is dropped, and its topic is left alone for a while.
//     What was in flight when a connection was lost is sent again one at a time, so that the guilty one is found.
//
// It sends nothing itself and looks at no clock. It is safe for concurrent use. Make one with [NewOutbox].
type Outbox struct {
	limit  int
	window int

	mu      sync.Mutex
	last    int64               // place of the newest waiting message
	first   int64               // place of the oldest one
	passing list.List           // of *letter: waiting, not retained, in order of place
	kept    list.List           // of *letter: waiting, retained, in order of place
	byTopic map[string]*letter  // those in kept
	flight  []*letter           // sent and not acknowledged, in order of place
	held    map[string]sentence // topics that are left alone
	dropped int
}

// MaxRetained is the number of topics with a waiting retained message. It has room for 10,000 phones with six topics
// each, and is a bound, not a budget.
const MaxRetained = 1 << 16

// A letter is a message in the outbox. Its place gives its turn, and is never that of another.
type letter struct {
	place   int64
	message Message
	lost    int // connections that were lost while it was in flight
}

// A sentence says until when a topic is left alone.
type sentence struct {
	until time.Time
	times int // how often it was passed
}

// poisonous is the number of lost connections after which a message is held to be the cause.
const poisonous = 3

// NewOutbox returns an empty outbox for at most limit waiting messages that are not retained, and for at most window
// messages in flight.
func NewOutbox(limit, window int) *Outbox {
	return &Outbox{
		limit:   limit,
		window:  window,
		byTopic: map[string]*letter{},
		held:    map[string]sentence{},
	}
}

// Add puts m at the end. False means that it was not taken: its topic is left alone for now, or too many retained
// messages wait.
func (o *Outbox) Add(now time.Time, m Message) bool { return o.add(now, m, false) }

// AddFirst puts m before all that waits.
func (o *Outbox) AddFirst(now time.Time, m Message) bool { return o.add(now, m, true) }

func (o *Outbox) add(now time.Time, m Message, first bool) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now.Before(o.held[m.Topic].until) {
		o.dropped++
		return false
	}
	if l := o.byTopic[m.Topic]; m.Retained && l != nil {
		l.message = m
		return true
	}
	if m.Retained && o.kept.Len() >= MaxRetained {
		o.dropped++
		return false
	}
	if !m.Retained && o.passing.Len() >= o.limit {
		o.passing.Remove(o.passing.Front())
		o.dropped++
	}
	l := &letter{message: m}
	if first {
		o.first--
		l.place = o.first
	} else {
		o.last++
		l.place = o.last
	}
	o.wait(l, first)
	return true
}

// wait puts l into the queue it belongs to, in order of place. early says that its place is near the front.
func (o *Outbox) wait(l *letter, early bool) {
	q := &o.passing
	if l.message.Retained {
		q = &o.kept
		o.byTopic[l.message.Topic] = l
	}
	if early {
		for e := q.Front(); e != nil; e = e.Next() {
			if e.Value.(*letter).place > l.place {
				q.InsertBefore(l, e)
				return
			}
		}
	}
	q.PushBack(l)
}

// Take returns the next message to be sent, and counts it as in flight until [Outbox.Done] is told its place or
// [Outbox.Lost] is called. There is none when nothing waits or enough is in flight.
func (o *Outbox) Take() (place int64, m Message, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	q, e := o.head()
	if e == nil || len(o.flight) >= o.window {
		return 0, Message{}, false
	}
	l := e.Value.(*letter)
	if len(o.flight) > 0 && (l.lost > 0 || o.flight[0].lost > 0) {
		return 0, Message{}, false // under suspicion: travels alone
	}
	q.Remove(e)
	if l.message.Retained {
		delete(o.byTopic, l.message.Topic)
	}
	o.flight = append(o.flight, l)
	return l.place, l.message, true
}

// head returns the first waiting letter and its queue.
func (o *Outbox) head() (*list.List, *list.Element) {
	p, k := o.passing.Front(), o.kept.Front()
	if k == nil || p != nil && p.Value.(*letter).place < k.Value.(*letter).place {
		return &o.passing, p
	}
	return &o.kept, k
}

// Done is told that the broker acknowledged the message with this place.
func (o *Outbox) Done(place int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	i := slices.IndexFunc(o.flight, func(l *letter) bool { return l.place == place })
	if i < 0 {
		return
	}
	delete(o.held, o.flight[i].message.Topic)
	o.flight = slices.Delete(o.flight, i, i+1)
}

// Lost is told that the connection is gone. What was in flight waits again, in its old place, unless a newer state
// for the same topic waits already. blame says that the broker closed the connection, which it may have done because
// of a message. One that is given up for that is returned, and messages for its topic are refused for a minute, and
// twice as long each further time, up to an hour.
func (o *Outbox) Lost(now time.Time, blame bool) (givenUp Message, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	flight := o.flight
	o.flight = nil
	for _, l := range flight {
		if blame {
			l.lost++
		}
		newer := o.byTopic[l.message.Topic]
		switch {
		case l.lost >= poisonous:
			givenUp, ok = l.message, true // the only one: it travelled alone
			o.hold(now, l.message.Topic)
		case l.message.Retained && newer != nil:
			newer.lost = max(newer.lost, l.lost)
		default:
			o.wait(l, true)
		}
	}
	return givenUp, ok
}

// hold drops what waits for topic, and lets nothing in for it for a while.
func (o *Outbox) hold(now time.Time, topic string) {
	o.dropped++
	for _, q := range []*list.List{&o.passing, &o.kept} {
		for e := q.Front(); e != nil; {
			next := e.Next()
			if e.Value.(*letter).message.Topic == topic {
				q.Remove(e)
				o.dropped++
			}
			e = next
		}
	}
	delete(o.byTopic, topic)
	s := o.held[topic]
	s.until = now.Add(min(time.Minute<<min(s.times, 6), time.Hour))
	s.times++
	o.held[topic] = s
}

// Alone reports whether the only message in flight was in flight before when a connection was lost.
func (o *Outbox) Alone() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.flight) == 1 && o.flight[0].lost > 0
}

// Empty reports whether nothing waits and nothing is in flight.
func (o *Outbox) Empty() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.passing.Len()+o.kept.Len()+len(o.flight) == 0
}

// Waiting is the number of messages that wait or are in flight.
func (o *Outbox) Waiting() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.passing.Len() + o.kept.Len() + len(o.flight)
}

// Dropped is the number of messages that were taken or offered and will never be sent.
func (o *Outbox) Dropped() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.dropped
}
