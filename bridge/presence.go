package bridge

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// How phones are looked at.
const (
	lookers     = 32              // phones looked at side by side
	firstRelook = 5 * time.Second // after a phone went; then doubling up to the interval
	settleDown  = time.Second     // before a phone that answered is asked what it is
)

// lookIn plans the next look at the phone, in place of any planned before. With what commands and
// events tell meanwhile, most looks find that there is nothing to learn.
func (w *worker) lookIn(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.b.lookout.in(w, d)
	}
}

// beginLook is called when a look is due, and returns what carries it out; nil where there is none to be made now. A
// look has the phone to itself: where a command is under way it is left to tell, and a command that comes meanwhile
// ends the look.
func (w *worker) beginLook() func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.b.claims.taken(w.name) { // when it is ours again, looking begins again
		return nil
	}
	if w.running {
		w.b.lookout.in(w, jitter(w.b.cfg.LookEvery))
		return nil
	}
	ctx, cancel := context.WithCancel(w.b.ctx())
	w.running, w.unlook = true, cancel
	w.expect(time.Until(w.rested))
	phone := w.cfg.Phone
	heard, ask := time.Since(w.news.heardAt) < w.b.cfg.LookEvery/2, w.news.asks()
	return func() {
		w.look(ctx, phone, heard, ask)
		cancel()
		w.endLook()
	}
}

// endLook plans the next look, and gives the phone to the commands that came meanwhile.
func (w *worker) endLook() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running, w.unlook = false, nil
	switch {
	case w.closed:
	case len(w.queue) > 0:
		w.b.lookout.in(w, jitter(w.b.cfg.LookEvery))
		w.start()
	default:
		w.b.lookout.in(w, w.news.nextLook(w.b.cfg.LookEvery))
	}
	w.tellIdle()
}

// look finds out whether the phone is there, and what it is where that is not known yet.
func (w *worker) look(ctx context.Context, phone Phone, heard, ask bool) {
	if heard && !ask {
		return
	}
	if wait := time.Until(w.rested); wait > 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
	if !heard {
		err := phone.Reach(ctx)
		if ctx.Err() != nil {
			return
		}
		now := time.Now()
		w.rested = now.Add(w.b.cfg.Gap)
		w.update(func(n *news) {
			if err != nil {
				n.missed()
				return
			}
			n.heard(now)
			ask = n.asks()
		})
		if err != nil {
			w.b.cfg.Log.Debug("phone away", slog.String("phone", w.name), slog.Any("err", err))
			return
		}
	}
	if ask && !w.breaker.open(time.Now()) {
		info, err := phone.Probe(ctx)
		now := time.Now()
		w.rested = now.Add(w.b.cfg.Gap)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			w.b.cfg.Log.Debug("phone not probed", slog.String("phone", w.name), slog.Any("err", err))
		}
		w.update(func(n *news) {
			if heard && codeOf(err) == Unreachable {
				return // it speaks, and its web server is not up yet, or not at all
			}
			n.learn(info, err)
		})
	}
}

// learn draws from a command's result what it tells about the phone.
func (w *worker) learn(c snom.Command, result *Result) {
	var ask bool
	w.update(func(n *news) {
		n.lastResult = &LastResult{Code: result.Code, Command: result.Command, Time: result.Time}
		switch {
		case result.HTTPStatus != 0:
			n.heard(result.Time.Time)
		case result.Code == Unreachable:
			n.missed()
		}
		if result.OK {
			n.letIn()
		}
		if result.OK && clearsMissed(c) && n.calls != nil {
			cleared := n.calls.ClearMissed()
			n.calls = &cleared
		}
		if result.OK && restarts(c) {
			n.probed, n.heardAt = false, time.Time{} // what comes back may be another firmware
		}
		ask = n.asks()
	})
	if ask || result.Code == Timeout {
		w.lookIn(settleDown)
	}
}

// clearsMissed reports whether the phone has forgotten its missed calls after c.
func clearsMissed(c snom.Command) bool { return c.Verb() == snom.VerbClear && c.Argument() == "missed" }

// restarts reports whether the phone restarts after c.
func restarts(c snom.Command) bool {
	switch c.Verb() {
	case snom.VerbReboot, snom.VerbReset, snom.VerbFirmware:
		return true
	}
	return false
}

// jitter is about d: between 90 and 110 percent of it, so that phones are not looked at in step.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64()))
}
