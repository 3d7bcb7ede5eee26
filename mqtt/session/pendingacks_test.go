package session

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// A numbered message notes when it is acknowledged.
type numbered struct {
	Delivery
	n    int
	size int
	acks *ackList
}

type ackList struct {
	mu  sync.Mutex
	all []int
}

func (l *ackList) get() []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.all)
}

func (numbered) MessageID() uint16 { return 1 }
func (m numbered) Payload() []byte { return make([]byte, m.size) }

func (m numbered) Ack() {
	m.acks.mu.Lock()
	defer m.acks.mu.Unlock()
	m.acks.all = append(m.acks.all, m.n)
}

func TestPendingAcksAreInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := pendingAcks{room: make(chan struct{}, 1)}
		var full atomic.Bool
		acks := &ackList{}
		lost := make(chan struct{})
		var releasing sync.WaitGroup
		releasing.Go(func() { h.run(lost, full.Load) })
		for n, step := range []struct {
			full bool
			want []int
		}{
			{false, []int{0}},
			{true, []int{0}},
			{true, []int{0}},
			{false, []int{0, 1, 2, 3}}, // what was held first
			{false, []int{0, 1, 2, 3, 4}},
			{true, []int{0, 1, 2, 3, 4}},
		} {
			full.Store(step.full)
			h.add(numbered{n: n, acks: acks}, full.Load)
			synctest.Wait()
			if got := acks.get(); !slices.Equal(got, step.want) {
				t.Errorf("step %d: acknowledged %v, expected %v", n, got, step.want)
			}
		}
		h.check() // still crowded
		synctest.Wait()
		if got := len(acks.get()); got != 5 {
			t.Errorf("%d acknowledged while it is crowded, expected 5", got)
		}
		full.Store(false)
		h.check()
		synctest.Wait()
		if got := len(acks.get()); got != 6 {
			t.Errorf("%d acknowledged in the end, expected 6", got)
		}
		close(lost)
		releasing.Wait()
	})
}

// A broker that sends on without acknowledgements does not fill the memory: what is too much is acknowledged.
func TestPendingAcksAreBounded(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 100 << 10} {
		synctest.Test(t, func(t *testing.T) {
			p := pendingAcks{room: make(chan struct{}, 1)}
			acks := &ackList{}
			lost := make(chan struct{})
			crowded := func() bool { return true }
			go p.run(lost, crowded)
			for n := range 2 * maxPending {
				p.add(numbered{n: n, size: size, acks: acks}, crowded)
			}
			synctest.Wait()
			if len(p.list) > maxPending || p.bytes > maxPendingBytes || len(p.list)+len(acks.get()) != 2*maxPending {
				t.Errorf("%d pending with %d bytes, %d acknowledged", len(p.list), p.bytes, len(acks.get()))
			}
			for i, n := range acks.get() {
				if i != n {
					t.Fatalf("acknowledgement %d is that of message %d", i, n)
				}
			}
			close(lost)
		})
	}
}
