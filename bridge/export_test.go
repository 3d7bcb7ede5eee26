package bridge

import "time"

// SetWall has the bridge read the wall clock from wall, which a test may set. It must be called before anything happens.
func (b *Bridge) SetWall(wall func() time.Time) { b.clock.wall = wall }
