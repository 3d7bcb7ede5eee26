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

// TestWatchdog: no sign of life while the bridge does not move, and signs of life whatever the broker does.
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
				t.Errorf("%s: said %q, want %q", what, said, want)
			}
		}
		synctest.Wait()
		if want := []string{"READY=1", "WATCHDOG=1", "STATUS=waiting for the broker"}; !slices.Equal(said, want) {
			t.Errorf("at the start: said %q, want %q", said, want)
		}
		step("no broker", "WATCHDOG=1")
		set(nil, "taking commands")
		step("a broker", "WATCHDOG=1", "STATUS=taking commands")
		set(errors.New("nothing moves at the phone hall"), "taking commands")
		step("stuck")
		step("stuck")
		if err := w.check(); err != nil {
			t.Errorf("check after %v = %v, want nil", 2*w.every, err)
		}
		step("stuck")
		step("stuck")
		if err := w.check(); err == nil {
			t.Errorf("check after %v = nil, want an error", 4*w.every)
		}
		set(nil, "taking commands")
		step("it moves", "WATCHDOG=1")
		if err := w.check(); err != nil {
			t.Errorf("check at the end = %v, want nil", err)
		}
		if got := strings.Count(log.String(), "nothing moves"); got != 1 {
			t.Errorf("logged %d times, want once", got)
		}
		said = nil
		cancel()
		<-done
		if want := []string{"STOPPING=1"}; !slices.Equal(said, want) {
			t.Errorf("at the end: said %q, want %q", said, want)
		}
	})
}
