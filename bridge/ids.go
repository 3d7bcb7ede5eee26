package bridge

import "time"

// Ids are remembered for a while and up to a number, per phone: long enough for what a broker
// delivers twice, short enough to cost nothing.
const (
	idsKept    = 1024
	idsKeptFor = 10 * time.Minute
	// idsWaiting is how many repetitions may wait for one command's result.
	idsWaiting = 16
)

// ids remembers which command ids a phone has taken, and how each ended.
type ids struct {
	byID  map[string]*taken
	order []*taken // oldest first
}

// taken is one remembered id.
type taken struct {
	id      string
	at      time.Time
	result  *Result   // nil while the command waits or runs
	waiting []request // repetitions that wait for that result
}

// find returns what is remembered of id, or nil.
func (t *ids) find(id string, now time.Time) *taken {
	t.forget(now)
	return t.byID[id]
}

// take remembers id as taken now.
func (t *ids) take(id string, now time.Time) *taken {
	if t.byID == nil {
		t.byID = map[string]*taken{}
	}
	e := &taken{id: id, at: now}
	t.byID[id] = e
	t.order = append(t.order, e)
	t.forget(now)
	return e
}

// forget drops what is too old or too many. A command that still waits keeps its id: a queue is
// far shorter than the memory.
func (t *ids) forget(now time.Time) {
	n := 0
	for n < len(t.order) && t.order[n].result != nil &&
		(len(t.order)-n > idsKept || now.Sub(t.order[n].at) > idsKeptFor) {
		delete(t.byID, t.order[n].id)
		t.order[n] = nil
		n++
	}
	t.order = t.order[n:]
}
