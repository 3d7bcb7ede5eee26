package bridge

import "time"

// SetClock sets the wall clock that the bridge compares with the monotonic one forward by d in all.
func (b *Bridge) SetClock(d time.Duration) { b.clock.set.Store(int64(d)) }
