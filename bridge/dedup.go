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
	idsTotal = 32 << 20
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
	result  *Result    // nil while the command waits or runs; guarded by in.mu
	waiting []*command // repetitions that wait for that result; guarded by in.mu
	earlier *Result    // of the command that took the id at the phone's address of before; nil: none; guarded by in.mu
	also    *taken     // the same id where the phone takes its turns since; nil: nowhere else; guarded by in.mu
}

// before returns the result of the command that took the id at the phone's address of before, or nil.
func (t *taken) before() *Result {
	if t == nil {
		return nil
	}
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	return t.earlier
}

// size is about as much memory as t takes.
func (t *taken) size() int64 {
	const entry, result = 120, 256
	n := entry + 2*len(t.id)
	if t.result != nil {
		n += result + len(t.result.Argument) + len(t.result.Message)
		if d := t.result.Details; d != nil {
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
	switch {
	case t.result != nil:
		return duplicate(c, t.result)
	case len(t.waiting) >= idsWaiting:
		return c.answer(Busy, "too many repetitions of this id wait for its result", c.received)
	}
	t.waiting = append(t.waiting, c)
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
	t.result = result
	d.count(t.size())
	waited, t.waiting = t.waiting, nil
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
		return e.result != nil && (len(d.order) > idsKept || d.bytes > most || now.Sub(e.at) > idsKeptFor)
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
		if e.result != nil && (left > idsKept*7/8 || d.bytes > most*7/8) {
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
		if e.result != nil {
			done = append(done, &taken{in: d, id: e.id, at: e.at, result: e.result})
		}
	}
	from.mu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range done {
		if has := d.get(t.id); has != nil && has.result == nil {
			has.earlier = t.result
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
		if t.result != nil {
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
		case has.result != nil:
			t.earlier = has.result
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
