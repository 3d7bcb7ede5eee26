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
//   - Nothing wedges: a topic that costs three connections in a row is left alone for a while. To find it, topics that
//     were in flight when a connection was lost are suspects: messages for them travel alone, until one arrives.
//
// It sends nothing itself and looks at no clock. It is safe for concurrent use. Make one with [NewOutbox].
type Outbox struct {
	limit  int
	window int

	mu       sync.Mutex
	last     int64                 // place of the newest letter
	first    list.List             // of *letter: waiting, for this connection only
	passing  list.List             // of *letter: waiting, not retained, in order of place
	kept     list.List             // of *letter: waiting, retained, in order of place
	byTopic  map[string]*letter    // those in kept
	flight   []*letter             // sent and not acknowledged, in order
	suspects map[string]*suspicion // by topic
	dropped  int
}

// MaxRetained is the number of topics with a waiting retained message. It has room for 10,000 phones with six topics
// each, and is a bound, not a budget.
const MaxRetained = 1 << 16

// A letter is a message in the outbox. Its place gives its turn, and is never that of another.
type letter struct {
	place   int64
	message Message
	once    bool // not to be sent on another connection
}

// A suspicion is what speaks against a topic: that connections were lost while a message for it was in flight.
type suspicion struct {
	lost  int       // such connections in a row
	until time.Time // nothing is taken for the topic before then
	times int       // how often it was left alone
}

// poisonous is the number of connections in a row after which a topic is held to be the cause of their loss.
const poisonous = 3

// NewOutbox returns an empty outbox for at most limit waiting messages that are not retained, and for at most window
// messages in flight.
func NewOutbox(limit, window int) *Outbox {
	return &Outbox{
		limit:    limit,
		window:   window,
		byTopic:  map[string]*letter{},
		suspects: map[string]*suspicion{},
	}
}

// Add puts m at the end. False means that it was not taken: its topic is left alone for now, or too many retained
// messages wait.
func (o *Outbox) Add(now time.Time, m Message) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.allowed(now, m.Topic) {
		o.dropped++
		return false
	}
	if !m.Retained {
		if o.passing.Len() >= o.limit {
			o.passing.Remove(o.passing.Front())
			o.dropped++
		}
		o.passing.PushBack(o.letter(m))
		return true
	}
	if l := o.byTopic[m.Topic]; l != nil {
		l.message = m
		return true
	}
	if o.kept.Len() >= MaxRetained {
		o.dropped++
		return false
	}
	l := o.letter(m)
	o.byTopic[m.Topic] = l
	o.kept.PushBack(l)
	return true
}

// AddOnce puts m before what [Outbox.Add] was given, for this connection only: it is forgotten when that is lost. It
// takes the place of one for the same topic that waits so.
func (o *Outbox) AddOnce(now time.Time, m Message) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.allowed(now, m.Topic) {
		return false
	}
	for e := o.first.Front(); e != nil; e = e.Next() {
		if l := e.Value.(*letter); l.message.Topic == m.Topic {
			l.message = m
			return true
		}
	}
	l := o.letter(m)
	l.once = true
	o.first.PushBack(l)
	return true
}

func (o *Outbox) allowed(now time.Time, topic string) bool {
	s := o.suspects[topic]
	return s == nil || !now.Before(s.until)
}

func (o *Outbox) letter(m Message) *letter {
	o.last++
	return &letter{place: o.last, message: m}
}

// Take returns the next message to be sent, and counts it as in flight until [Outbox.Done] is told its place or
// [Outbox.Lost] is called. There is none when nothing waits or enough is in flight, nor when the next one is a suspect
// and the connection is not calm: a new connection that is soon lost for another reason must not speak against it.
func (o *Outbox) Take(calm bool) (place int64, m Message, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	q, e := o.head()
	if e == nil || len(o.flight) >= o.window {
		return 0, Message{}, false
	}
	l := e.Value.(*letter)
	if o.suspected(l) && (!calm || len(o.flight) > 0) || len(o.flight) > 0 && o.suspected(o.flight[0]) {
		return 0, Message{}, false
	}
	q.Remove(e)
	if q == &o.kept {
		delete(o.byTopic, l.message.Topic)
	}
	o.flight = append(o.flight, l)
	return l.place, l.message, true
}

// head returns the first waiting letter and its queue.
func (o *Outbox) head() (*list.List, *list.Element) {
	if e := o.first.Front(); e != nil {
		return &o.first, e
	}
	p, k := o.passing.Front(), o.kept.Front()
	if k == nil || p != nil && p.Value.(*letter).place < k.Value.(*letter).place {
		return &o.passing, p
	}
	return &o.kept, k
}

func (o *Outbox) suspected(l *letter) bool {
	s := o.suspects[l.message.Topic]
	return s != nil && s.lost > 0
}

// Done is told that the broker acknowledged the message with this place. It returns what is left.
func (o *Outbox) Done(place int64) (waiting, flying int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if i := slices.IndexFunc(o.flight, func(l *letter) bool { return l.place == place }); i >= 0 {
		delete(o.suspects, o.flight[i].message.Topic)
		o.flight = slices.Delete(o.flight, i, i+1)
	}
	return o.waiting(), len(o.flight)
}

// Lost is told that the connection is gone. What was in flight waits again, in its old place, unless a newer state
// for the same topic waits already. blame says that the broker closed the connection, which it may have done because
// of a message. When a topic is found guilty, the message in flight is given up and returned, what waits for its topic
// is dropped, and nothing is taken for that topic for a minute, or twice as long as the last time, up to an hour.
func (o *Outbox) Lost(now time.Time, blame bool) (givenUp Message, guilty bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	flight := o.flight
	o.flight = nil
	o.first.Init()
	blamed := map[string]bool{}
	for _, l := range flight {
		topic := l.message.Topic
		if blame && !blamed[topic] {
			blamed[topic] = true
			if o.suspect(now, topic) {
				givenUp, guilty = l.message, true // the only one in flight: it travelled alone
				continue
			}
		}
		switch {
		case l.once:
		case !l.message.Retained:
			insert(&o.passing, l)
		case o.byTopic[topic] == nil:
			o.byTopic[topic] = l
			insert(&o.kept, l)
		}
	}
	return givenUp, guilty
}

// insert puts l into q in order of place.
func insert(q *list.List, l *letter) {
	for e := q.Front(); e != nil; e = e.Next() {
		if e.Value.(*letter).place > l.place {
			q.InsertBefore(l, e)
			return
		}
	}
	q.PushBack(l)
}

// suspect counts one more lost connection against topic, and reports whether that was one too many.
func (o *Outbox) suspect(now time.Time, topic string) bool {
	s := o.suspects[topic]
	if s == nil {
		s = &suspicion{}
		o.suspects[topic] = s
	}
	s.lost++
	if s.lost < poisonous {
		return false
	}
	s.lost = poisonous - 1 // next time, one is enough
	s.until = now.Add(min(time.Minute<<min(s.times, 6), time.Hour))
	s.times++
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
	return true
}

// Suspect reports whether what is in flight is one message for a topic that may have cost the last connection too.
func (o *Outbox) Suspect() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.flight) == 1 && o.suspected(o.flight[0])
}

// Crowded reports whether so many messages wait that are not retained that it is time to take in less: half of what
// there is room for.
func (o *Outbox) Crowded() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.passing.Len() > o.limit/2
}

// Waiting is the number of messages that wait or are in flight.
func (o *Outbox) Waiting() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.waiting() + len(o.flight)
}

func (o *Outbox) waiting() int { return o.first.Len() + o.passing.Len() + o.kept.Len() }

// Dropped is the number of messages that were taken or offered and will never be sent.
func (o *Outbox) Dropped() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.dropped
}
