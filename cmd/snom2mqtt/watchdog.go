package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// checkEvery is the time between two checks whether the bridge makes progress, where systemd does not set it.
const checkEvery = 10 * time.Second

// A watchdog checks whether the bridge makes progress. /healthz reports it, and systemd is notified where it started
// the program: READY when everything is bound, WATCHDOG as long as the bridge makes progress, STOPPING at the end.
// A broker or a phone that is away does not count as a lack of progress; the status text names it.
type watchdog struct {
	alive  func() error
	status func() string
	notify func(state string)
	every  time.Duration
	log    *slog.Logger

	progress atomic.Pointer[time.Time] // when the bridge was last found to make progress
}

// newWatchdog returns a watchdog; at first, the bridge counts as having made progress.
func newWatchdog(alive func() error, status func() string, log *slog.Logger) *watchdog {
	w := &watchdog{alive: alive, status: status, every: checkEvery, log: log}
	var once sync.Once
	w.notify = func(state string) {
		if _, err := daemon.SdNotify(false, state); err != nil {
			once.Do(func() { log.Warn("sd_notify failed", slog.Any("err", err)) })
		}
	}
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("watchdog of systemd disabled: its variables are not valid", slog.Any("err", err))
	}
	if limit > 0 {
		w.every = min(checkEvery, limit/2) // as sd_watchdog_enabled(3) recommends
	}
	now := time.Now()
	w.progress.Store(&now)
	return w
}

// run checks until ctx ends.
func (w *watchdog) run(ctx context.Context) {
	w.notify(daemon.SdNotifyReady)
	tick := time.NewTicker(w.every)
	defer tick.Stop()
	status, stall := "", ""
	for {
		if err := w.alive(); err == nil {
			now := time.Now()
			w.progress.Store(&now)
			w.notify(daemon.SdNotifyWatchdog)
			stall = ""
		} else if err.Error() != stall {
			stall = err.Error()
			w.log.Error("bridge stalled", slog.Any("err", err))
		}
		if s := w.status(); s != status {
			status = s
			w.notify("STATUS=" + status)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.notify(daemon.SdNotifyStopping)
			return
		}
	}
}

// check returns an error when the bridge has made no progress for 30 s, or for three checks where systemd wants them sooner.
func (w *watchdog) check() error {
	if still := time.Since(*w.progress.Load()); still > 3*w.every {
		return fmt.Errorf("no progress for %v", still.Round(time.Second))
	}
	return nil
}
