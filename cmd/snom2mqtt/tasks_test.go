package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestTasksStopInReverse: a task has ended before the one that stands before it is stopped; those that stop together do.
func TestTasksStopInReverse(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, tt := range map[string]struct {
		fails string // this task fails after a second
		want  error
	}{
		"stopped": {}, "the first fails": {"broker", broken}, "the last fails": {"action server", broken}, "one beside another fails": {"console", broken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var order []string
				note := func(what string) {
					mu.Lock()
					defer mu.Unlock()
					order = append(order, what)
				}
				add := func(name string, with bool) task {
					return task{name: name, with: with, run: func(ctx context.Context) error {
						if name == tt.fails {
							time.Sleep(time.Second)
							return broken
						}
						<-ctx.Done()
						note(name + " stopped")
						time.Sleep(100 * time.Millisecond)
						note(name + " ended")
						return nil
					}}
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				began := time.Now()
				err := runTasks(ctx, []task{add("broker", false), add("session", false), add("bridge", false), add("console", true), add("action server", false)}, 5*time.Second)
				if tt.want == nil && !errors.Is(err, context.DeadlineExceeded) || tt.want != nil && (!errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.fails)) {
					t.Errorf("the error is %v", err)
				}
				if took := time.Since(began); tt.want != nil && took > 2*time.Second {
					t.Errorf("it ended after %v", took)
				}
				var last int
				for _, name := range []string{"action server", "bridge", "session", "broker"} {
					if name == tt.fails {
						continue
					}
					stopped, ended := slices.Index(order, name+" stopped"), slices.Index(order, name+" ended")
					if stopped < last || ended < stopped {
						t.Errorf("%s stopped too early, or did not end: %q", name, order)
					}
					last = ended
				}
			})
		})
	}
}

// TestTasksEndInTime: a task that does not end is left behind.
func TestTasksEndInTime(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := runTasks(ctx, []task{{name: "stuck", run: func(context.Context) error { <-release; return nil }}}, time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "did not end in time") {
		t.Errorf("the error is %v", err)
	}
}
