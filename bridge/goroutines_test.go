package bridge

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestSpareGoroutinesEnd: a goroutine that has nothing to do waits for the next function, and ends when it was not needed for a
// while, or when the bridge ends.
func TestSpareGoroutinesEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // which fails if a goroutine remains
		var g goroutines
		g.init()
		waiting := func() int {
			synctest.Wait()
			g.spare.mu.Lock()
			defer g.spare.mu.Unlock()
			return len(g.spare.waiting)
		}
		some := func() {
			for range 3 {
				g.spawn(func(context.Context) { time.Sleep(time.Millisecond) })
			}
			g.workers.Wait()
		}
		some()
		if n := waiting(); n != 3 {
			t.Errorf("%d goroutines wait, expected 3", n)
		}
		time.Sleep(3 * spareFor)
		if n := waiting(); n != 0 {
			t.Errorf("%d goroutines wait long after the last function, expected none", n)
		}
		some()
		time.Sleep(spareFor) // those that wait are counted as not needed from now on
		if n := waiting(); n != 3 {
			t.Errorf("%d goroutines wait again, expected 3", n)
		}
		g.spare.close()
		g.spare.shrink() // as the timer does that expired while close had the lock
		if n := waiting(); n != 0 {
			t.Errorf("%d goroutines wait after the end, expected none", n)
		}
		g.all.Wait()
		g.giveUp()
	})
}
