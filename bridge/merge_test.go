package bridge

import (
	"testing"
	"time"
)

// TestAnIDIsTakenAtTheOldAddressToo: a phone that has another address keeps its ids, and a command that came before that
// was known, with an id that the phone has taken, is a duplicate at its turn.
func TestAnIDIsTakenAtTheOldAddressToo(t *testing.T) {
	t.Parallel()
	now := time.Now()
	old, is := &dedup{budget: &idBudget{}}, &dedup{budget: &idBudget{}}
	p := newPhone(nil, PhoneConfig{Name: "desk"}, nil)
	first := map[string]*command{}
	for _, id := range []string{"done", "both"} {
		first[id] = &command{to: p, id: id, received: now}
		if old.take(first[id]) != nil {
			t.Fatal("taken")
		}
		first[id].taken.settle(&Result{ID: id, Code: OK, OK: true}, false)
	}
	again := &command{to: p, id: "both", received: now}
	fresh := &command{to: p, id: "fresh", received: now}
	if is.take(again) != nil || is.take(fresh) != nil {
		t.Fatal("taken")
	}
	is.merge(old)
	if r := again.taken.before(); r == nil || r.ID != "both" {
		t.Errorf("the id of before is %+v, expected the first result", r)
	}
	if fresh.taken.before() != nil || (&command{}).taken.before() != nil {
		t.Error("a command whose id is new, or that has none, is a duplicate")
	}
	if late := is.take(&command{to: p, id: "done", received: now}); late == nil {
		t.Error("an id that was taken at the old address can be taken again")
	}
}
