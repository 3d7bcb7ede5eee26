package snom

import (
	"testing"
	"time"
)

// TestLate: a moment is over when the monotonic clock says so, or when the machine was suspended meanwhile; a wall clock
// that was set back does not matter.
func TestLate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		monotonic, wall time.Duration
		late            bool
	}{
		{-time.Second, -time.Second, false},
		{0, 0, true},
		{time.Second, time.Second, true},
		{-time.Second, 3 * time.Second, false},
		{-time.Second, 5 * time.Second, true},
		{-20 * time.Second, 8 * time.Hour, true},
		{-20 * time.Second, -14 * time.Second, true},
		{-time.Second, -90 * time.Second, false},
		{time.Second, -90 * time.Second, true},
	} {
		if got := late(tt.monotonic, tt.wall); got != tt.late {
			t.Errorf("late(%v, %v) = %v, expected %v", tt.monotonic, tt.wall, got, tt.late)
		}
	}
}
