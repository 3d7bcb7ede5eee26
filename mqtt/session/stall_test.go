package session

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestStallDetector(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lost, failed := make(chan struct{}), 0
		fail := func(err error) {
			if failed++; err != errStalled {
				t.Error(err)
			}
		}
		fine := func() error { return nil }
		running, stopped := newStallDetector(), newStallDetector()
		go running.run(lost, fine, fail)
		time.Sleep(time.Hour)
		if running.check() || failed != 0 {
			t.Error("a process that runs was reported as stalled")
		}
		if !stopped.check() {
			t.Error("a process that does not run was not reported as stalled")
		}
		stopped.reset() // it runs again
		if !stopped.check() {
			t.Error("a stall was forgotten")
		}
		close(lost)
		synctest.Wait()

		late := newStallDetector()
		time.Sleep(time.Minute) // as when the process is stopped before its first check
		go late.run(make(chan struct{}), fine, fail)
		time.Sleep(time.Minute)
		synctest.Wait()
		if failed != 1 {
			t.Errorf("a stall was reported %d times, expected once", failed)
		}
	})
}

// A machine that sleeps stops the monotonic clock, a process that is stopped does not, and a wall clock may be set.
func TestStallDetectorComparesClocks(t *testing.T) {
	t.Parallel()
	const check = stallCheck
	tests := []struct {
		name    string
		step    reading // since the last check
		stalled bool
	}{
		{"an ordinary check", reading{check, check}, false},
		{"a slow machine", reading{4 * check, 4 * check}, false},
		{"the process was stopped", reading{time.Minute, time.Minute}, true},
		{"the machine slept", reading{check, 8 * time.Hour}, true},
		{"the machine slept for a moment", reading{check, stallAfter + time.Millisecond}, true},
		{"the wall clock was set back", reading{check, -90 * time.Second}, false},
		{"the wall clock was adjusted", reading{check, 3 * time.Second}, false},
		{"stopped, and the wall clock set back", reading{time.Minute, -time.Hour}, true},
	}
	for _, tt := range tests {
		d := newStallDetector()
		start := reading{time.Hour, 30 * time.Hour}
		d.last.Store(&start)
		d.observe(reading{start.monotonic + tt.step.monotonic, start.wall + tt.step.wall})
		if got := d.stalled.Load(); got != tt.stalled {
			t.Errorf("%s: stalled %t, expected %t", tt.name, got, tt.stalled)
		}
	}
}
