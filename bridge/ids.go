package bridge

import "time"

// Ids are remembered for a while and up to a number, per phone: long enough for what a broker
// delivers twice, short enough to cost nothing.
const (
	idsKept    = 1024
	idsKeptFor = 10 * time.Minute
	// idsWaiting is how many repetitions may wait for one command's result.
	idsWaiting = 16
	// idsFew are found fast enough by looking at each: a map costs more than they do.
	idsFew = 16
)

// ids remembers which command ids a phone has taken, and how each ended.
type ids struct {
	order []*taken          // oldest first
	byID  map[string]*taken // nil while there are few
}

// taken is one remembered id.
type taken struct {
	id      string
	at      time.Time
	result  *Result    // nil while the command waits or runs
	waiting []*request // repetitions that wait for that result
}

// find returns what is remembered of id, or nil.
func (t *ids) find(id string, now time.Time) *taken {
	t.forget(now)
	return t.get(id)
}

// get returns what is remembered of id, however old, or nil.
func (t *ids) get(id string) *taken {
	if t.byID != nil {
		return t.byID[id]
	}
	for _, e := range t.order {
		if e.id == id {
			return e
		}
	}
	return nil
}

// take remembers id as taken now.
func (t *ids) take(id string, now time.Time) *taken {
	e := &taken{id: id, at: now}
	t.order = append(t.order, e)
	switch {
	case t.byID != nil:
		t.byID[id] = e
	case len(t.order) > idsFew:
		t.byID = make(map[string]*taken, len(t.order))
		for _, e := range t.order {
			t.byID[e.id] = e
		}
	}
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
	if len(t.order) == 0 {
		*t = ids{}
	}
}
