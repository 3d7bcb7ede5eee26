package bridge

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Ids are remembered for a while and up to a bound, for each phone: long enough for what a broker delivers twice or a
// program repeats.
const (
	idsKept    = 1024
	idsKeptFor = 10 * time.Minute
	// idsBytes bounds what is remembered for one phone, idsTotal for all: beyond it each phone has its share of that,
	// and never less than idsLeast.
	idsBytes = 1 << 20
	idsTotal = 16 << 20
	idsLeast = 4 << 10
	// idsWaiting is how many repetitions may wait for one command's result.
	idsWaiting = 16
	// idsFew are found fast enough by looking at each: a map costs more than they do.
	idsFew = 16
)

// A dedup remembers which command ids a phone has taken, and how each ended.
type dedup struct {
	budget *idBudget // of all phones

	mu    sync.Mutex
	order []*taken          // oldest first; guarded by mu
	byID  map[string]*taken // nil while there are few; guarded by mu
	bytes int64             // about as much as order takes; guarded by mu
}

// An idBudget is what all phones remember ids in.
type idBudget struct {
	bytes  atomic.Int64
	phones atomic.Int64 // how many there are
}

// taken is one remembered id.
type taken struct {
	in      *dedup
	id      string
	at      time.Time
	record  record       // of the result; empty while the command waits or runs, and where further has the result; guarded by in.mu
	also    *taken       // the same id where the phone takes its turns since; nil: nowhere else; guarded by in.mu
	further *furtherOfID // nil: there is none of it; guarded by in.mu
}

// furtherOfID is what few remembered ids have. It is guarded as its taken is.
type furtherOfID struct {
	waiting []*command // repetitions that wait for the result
	earlier *Result    // of the command that took the id at the phone's address of before; nil: none
	result  *Result    // one that no record can hold; nil: there is none
}

// isDone reports whether the command has ended. The caller holds the lock.
func (t *taken) isDone() bool {
	return t.record != "" || t.further != nil && t.further.result != nil
}

// result is that of the command; nil: it waits or runs. The caller holds the lock.
func (t *taken) result() *Result {
	switch {
	case t.record != "":
		return t.record.result(t.id)
	case t.further != nil:
		return t.further.result
	}
	return nil
}

// more is what few ids have. The caller holds the lock.
func (t *taken) more() *furtherOfID {
	if t.further == nil {
		t.further = &furtherOfID{}
	}
	return t.further
}

// keep remembers a result. The caller holds the lock.
func (t *taken) keep(r *Result) {
	if r.First == nil && r.Details == nil {
		t.record = newRecord(r)
	} else {
		t.more().result = r
	}
}

// copyFor returns a taken of d with the same result.
func (t *taken) copyFor(d *dedup) *taken {
	is := &taken{in: d, id: t.id, at: t.at, record: t.record}
	if t.record == "" {
		is.more().result = t.further.result
	}
	return is
}

// before returns the result of the command that took the id at the phone's address of before, or nil.
func (t *taken) before() *Result {
	if t == nil {
		return nil
	}
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	if t.further == nil {
		return nil
	}
	return t.further.earlier
}

// size is about as much memory as t takes.
func (t *taken) size() int64 {
	const entry, result = 136, 256
	n := entry + 2*len(t.id) + len(t.record)
	if t.further != nil && t.further.result != nil {
		r := t.further.result
		n += result + len(r.Argument) + len(r.Message)
		if d := r.Details; d != nil {
			n += d.size()
		}
	}
	return int64(n)
}

// take remembers the id of c, and returns nil; or what took it before.
func (d *dedup) take(c *command) (first *taken) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forget(c.received)
	if first = d.get(c.id); first != nil || c.dry {
		return first // what is only tried takes no id
	}
	t := &taken{in: d, id: c.id, at: c.received}
	c.taken = t
	d.order = append(d.order, t)
	d.count(t.size())
	if d.byID != nil {
		d.byID[t.id] = t
	}
	d.index()
	d.forget(c.received)
	return nil
}

// repeat answers a command whose id is taken: now, or when the first one's result is there.
func (t *taken) repeat(c *command) *Result {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	if first := t.result(); first != nil {
		return duplicate(c, first)
	}
	more := t.more()
	if len(more.waiting) >= idsWaiting {
		return c.answer(Busy, "too many repetitions of this id wait for its result", c.received)
	}
	more.waiting = append(more.waiting, c)
	return nil
}

// settle notes the result under the id, and returns the repetitions that waited for it. forget says that the command
// did not enter the queue: it may be sent again.
func (t *taken) settle(result *Result, forget bool) (waited []*command) {
	waited, also := t.settleHere(result, forget)
	if also != nil {
		waited = append(waited, also.settle(result, forget)...)
	}
	return waited
}

// settleHere is settle without the same id elsewhere, which it returns.
func (t *taken) settleHere(result *Result, forget bool) (waited []*command, also *taken) {
	d := t.in
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count(-t.size())
	t.keep(result)
	d.count(t.size())
	if t.further != nil {
		waited, t.further.waiting = t.further.waiting, nil
	}
	if i := len(d.order) - 1; forget && i >= 0 { // it is the last one, or one of the last
		for i > 0 && d.order[i] != t {
			i--
		}
		if d.order[i] == t {
			d.drop(i)
			d.order = slices.Delete(d.order, i, i+1)
		}
	}
	return waited, t.also
}

// duplicate is the answer to a repeated id.
func duplicate(c *command, first *Result) *Result {
	r := c.answer(Duplicate, fmt.Sprintf("the id %q was taken; its command ended with %s", c.id, first.Code), c.received)
	r.OK = first.OK
	r.First = first
	return r
}

// get returns what is remembered of id, or nil. The caller holds the lock.
func (d *dedup) get(id string) *taken {
	if d.byID != nil {
		return d.byID[id]
	}
	for _, e := range d.order {
		if e.id == id {
			return e
		}
	}
	return nil
}

// count changes how much is remembered. The caller holds the lock.
func (d *dedup) count(n int64) {
	d.bytes += n
	d.budget.bytes.Add(n)
}

// drop forgets the entry at i, which the caller takes out of order. The caller holds the lock.
func (d *dedup) drop(i int) {
	d.count(-d.order[i].size())
	delete(d.byID, d.order[i].id)
	d.order[i] = nil
}

// forget drops what is too old or too many. A command that still waits keeps its id: there are no more of them than
// fit into a queue. The caller holds the lock.
func (d *dedup) forget(now time.Time) {
	most := int64(idsBytes)
	if d.budget.bytes.Load() > idsTotal {
		most = max(min(most, idsTotal/max(d.budget.phones.Load(), 1)), idsLeast)
	}
	old := func(e *taken) bool {
		return e.isDone() && (len(d.order) > idsKept || d.bytes > most || now.Sub(e.at) > idsKeptFor)
	}
	for len(d.order) > 0 && old(d.order[0]) {
		d.drop(0)
		d.order = d.order[1:]
	}
	if len(d.order) > idsKept || d.bytes > most { // the oldest waits: those behind it that do not are dropped, some at once
		d.forgetBehind(most)
	}
	if len(d.order) == 0 {
		d.order, d.byID = nil, nil
	}
}

// forgetBehind drops ids of commands that are done, from behind one that is not, until an eighth of the room is free.
// The caller holds the lock.
func (d *dedup) forgetBehind(most int64) {
	kept := make([]*taken, 0, len(d.order))
	for i, e := range d.order {
		left := len(kept) + len(d.order) - i
		if e.isDone() && (left > idsKept*7/8 || d.bytes > most*7/8) {
			d.drop(i)
			continue
		}
		kept = append(kept, e)
	}
	d.order = kept
}

// sweep forgets what is too old. It is called now and then, so that an idle phone forgets, too.
func (d *dedup) sweep(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.order) > 0 {
		d.forget(now)
	}
}

// copyDone returns a dedup that remembers the commands that are done.
func (d *dedup) copyDone() *dedup {
	is := &dedup{budget: d.budget}
	is.merge(d)
	return is
}

// merge remembers what from remembers of commands that are done, too.
func (d *dedup) merge(from *dedup) {
	var done []*taken
	from.mu.Lock()
	for _, e := range from.order {
		if e.isDone() {
			done = append(done, e.copyFor(d))
		}
	}
	from.mu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range done {
		if has := d.get(t.id); has != nil && !has.isDone() {
			has.more().earlier = t.result()
		} else if has == nil {
			d.order = append(d.order, t)
			d.count(t.size())
			if d.byID != nil {
				d.byID[t.id] = t
			}
		}
	}
	slices.SortStableFunc(d.order, func(a, b *taken) int { return a.at.Compare(b.at) })
	d.index()
	d.forget(time.Now())
}

// join is merge, and remembers commands that are not done yet, too: they settle in both.
func (d *dedup) join(from *dedup) {
	if d == from {
		return
	}
	d.merge(from)
	from.mu.Lock()
	defer from.mu.Unlock()
	for _, t := range from.order {
		if t.isDone() {
			continue
		}
		d.mu.Lock()
		has := d.get(t.id)
		switch {
		case has == nil:
			t.also = &taken{in: d, id: t.id, at: t.at}
			d.order = append(d.order, t.also)
			d.count(t.also.size())
			if d.byID != nil {
				d.byID[t.id] = t.also
			}
			d.index()
		case has.isDone():
			t.more().earlier = has.result()
		}
		d.mu.Unlock()
	}
}

// index makes it possible to find many entries fast. The caller holds the lock.
func (d *dedup) index() {
	if d.byID != nil || len(d.order) <= idsFew {
		return
	}
	d.byID = make(map[string]*taken, len(d.order))
	for _, e := range d.order {
		d.byID[e.id] = e
	}
}
