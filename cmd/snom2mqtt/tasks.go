package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A task is a part of the service that runs until its context ends.
type task struct {
	name string
	run  func(context.Context) error
	// with says that the task stops together with the one before it in the list, and not before that one.
	with bool
}

// infallible is the run of a task that cannot fail.
func infallible(run func(context.Context)) func(context.Context) error {
	return func(ctx context.Context) error {
		run(ctx)
		return nil
	}
}

// runTasks starts tasks in their order, and stops them in reverse when ctx ends or one of them fails: a task has returned
// before the one that stands before it in the list is stopped. The error is that of the first task that failed, or says
// that the end took longer than limit.
func runTasks(ctx context.Context, tasks []task, limit time.Duration) error {
	stop, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var ends []func() // of groups of tasks that stop together
	for i := 0; i < len(tasks); {
		group, cancel := context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		var running sync.WaitGroup
		for first := i; i < len(tasks) && (i == first || tasks[i].with); i++ {
			t := tasks[i]
			running.Go(func() {
				if err := t.run(group); err != nil {
					fail(fmt.Errorf("%s: %w", t.name, err))
				}
			})
		}
		ends = append(ends, func() {
			cancel()
			running.Wait()
		})
	}
	<-stop.Done()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for i := len(ends) - 1; i >= 0; i-- {
			ends[i]()
		}
	}()
	select {
	case <-ended:
	case <-time.After(limit): // each task has a limit of its own, which this one only secures
		return errors.Join(context.Cause(stop), errors.New("the program did not end in time"))
	}
	if err := context.Cause(stop); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
