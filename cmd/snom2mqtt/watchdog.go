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

// lookEvery is how often it is looked whether the bridge moves, where systemd does not say.
const lookEvery = 10 * time.Second

// A watchdog looks whether the bridge moves. It tells those who ask, and systemd where that started the
// program: ready when everything is bound, a sign of life for as long as the bridge moves, and the end.
// Whether broker and phones are there is no matter of life; it is what the status says.
type watchdog struct {
	alive  func() error
	status func() string
	notify func(state string)
	every  time.Duration
	log    *slog.Logger

	moved atomic.Pointer[time.Time] // when the bridge was last seen to move
}

// newWatchdog returns a watchdog that has just seen the bridge move.
func newWatchdog(alive func() error, status func() string, log *slog.Logger) *watchdog {
	w := &watchdog{alive: alive, status: status, every: lookEvery, log: log}
	var once sync.Once
	w.notify = func(state string) {
		if _, err := daemon.SdNotify(false, state); err != nil {
			once.Do(func() { log.Warn("systemd is not told", slog.Any("err", err)) })
		}
	}
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("what systemd wants of its watchdog cannot be read", slog.Any("err", err))
	}
	if limit > 0 {
		w.every = min(lookEvery, limit/2) // as sd_watchdog_enabled(3) recommends
	}
	now := time.Now()
	w.moved.Store(&now)
	return w
}

// run watches until ctx ends.
func (w *watchdog) run(ctx context.Context) {
	w.notify(daemon.SdNotifyReady)
	tick := time.NewTicker(w.every)
	defer tick.Stop()
	status, trouble := "", ""
	for {
		if err := w.alive(); err == nil {
			now := time.Now()
			w.moved.Store(&now)
			w.notify(daemon.SdNotifyWatchdog)
			trouble = ""
		} else if err.Error() != trouble {
			trouble = err.Error()
			w.log.Error("the bridge does not move", slog.Any("err", err))
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

// check says what is wrong when the bridge has not been seen to move for too long.
func (w *watchdog) check() error {
	if still := time.Since(*w.moved.Load()); still > 3*w.every {
		return fmt.Errorf("the bridge has not moved for %v", still.Round(time.Second))
	}
	return nil
}
