package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestWatchdog: no WATCHDOG notification while the bridge makes no progress, and one at each check otherwise, whatever the broker does.
func TestWatchdog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var said []string
		var log strings.Builder
		var mu sync.Mutex // the clock orders what follows, but the race detector does not know
		stuck, waits := error(nil), "waiting for the broker"
		set := func(err error, wait string) {
			mu.Lock()
			defer mu.Unlock()
			stuck, waits = err, wait
		}
		get := func() (string, error) {
			mu.Lock()
			defer mu.Unlock()
			return waits, stuck
		}
		w := newWatchdog(func() error { _, err := get(); return err }, func() string { wait, _ := get(); return wait },
			slog.New(slog.NewTextHandler(&log, nil)))
		w.notify = func(state string) {
			mu.Lock()
			defer mu.Unlock()
			said = append(said, state)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.run(ctx)
		}()
		step := func(what string, want ...string) {
			t.Helper()
			mu.Lock()
			said = nil
			mu.Unlock()
			time.Sleep(w.every)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(said, want) {
				t.Errorf("%s: notified %q, expected %q", what, said, want)
			}
		}
		synctest.Wait()
		if want := []string{"READY=1", "WATCHDOG=1", "STATUS=waiting for the broker"}; !slices.Equal(said, want) {
			t.Errorf("at the start: notified %q, expected %q", said, want)
		}
		step("no broker", "WATCHDOG=1")
		set(nil, "taking commands")
		step("a broker", "WATCHDOG=1", "STATUS=taking commands")
		set(errors.New("no progress at the phone hall"), "taking commands")
		step("stuck")
		step("stuck")
		if err := w.check(); err != nil {
			t.Errorf("check after %v = %v, expected nil", 2*w.every, err)
		}
		step("stuck")
		step("stuck")
		if err := w.check(); err == nil {
			t.Errorf("check after %v = nil, expected an error", 4*w.every)
		}
		set(nil, "taking commands")
		step("progress again", "WATCHDOG=1")
		if err := w.check(); err != nil {
			t.Errorf("check at the end = %v, expected nil", err)
		}
		if got := strings.Count(log.String(), "no progress at"); got != 1 {
			t.Errorf("logged %d times, expected once", got)
		}
		said = nil
		cancel()
		<-done
		if want := []string{"STOPPING=1"}; !slices.Equal(said, want) {
			t.Errorf("at the end: notified %q, expected %q", said, want)
		}
	})
}
