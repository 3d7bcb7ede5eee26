package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// install writes a phone's action URLs into it.
func (b *Bridge) install(ctx context.Context, ask deskRequest) Response {
	w, refusal := b.phoneOf(ask)
	if w == nil {
		return refusal
	}
	if b.cfg.ActionURLs == nil {
		return ask.response(Forbidden, "PHONE_LISTEN is off: nobody would answer")
	}
	urls, err := b.cfg.ActionURLs(ctx, w.name)
	if err != nil {
		return ask.response(Forbidden, err.Error())
	}
	done, err := actionurl.Install(ctx, turns{w}, urls, ask.force)
	if err == nil {
		err = done.Err()
	}
	r := ask.response(OK, "")
	switch {
	case err == nil:
		r.Message = fmt.Sprintf("%d written, %d were there already; the phone calls %s now", len(done.Written), len(done.Unchanged), hostOf(urls))
		if !done.Checked {
			r.Message += "; it does not show its settings, so nobody looked whether it has kept them"
		}
	case ctx.Err() != nil:
		r = ask.response(Cancelled, fmt.Sprintf("the bridge is stopping; %d were written", len(done.Written)))
	case errors.Is(err, actionurl.ErrForeign):
		r = ask.response(Forbidden, words(err))
	default:
		r = ask.response(codeOf(err), words(err))
	}
	r.Data = done
	b.cfg.Log.Info("action URLs installed", slog.String("phone", w.name), slog.Any("code", r.Code), slog.Int("written", len(done.Written)))
	return r
}

// hostOf is where urls point.
func hostOf(urls []actionurl.URL) string {
	for _, a := range urls {
		if u, err := url.Parse(a.URL); err == nil {
			return u.Host
		}
	}
	return "nobody"
}

// turns is a phone whose requests each wait for their turn between commands.
type turns struct{ w *worker }

func (t turns) Send(ctx context.Context, s snom.Step) (reply snom.Reply, err error) {
	err = t.w.turn(ctx, func(p Phone) error { reply, err = p.Send(ctx, s); return err })
	return reply, err
}

func (t turns) ReadSettings(ctx context.Context) (settings map[string]snom.Setting, err error) {
	err = t.w.turn(ctx, func(p Phone) error { settings, err = p.ReadSettings(ctx); return err })
	return settings, err
}

// turn gives the phone to f when no command is under way and none waits, and when it has had its rest.
// Commands that come meanwhile wait for f, which makes one request.
func (w *worker) turn(ctx context.Context, f func(Phone) error) error {
	phone, err := w.begin(ctx, true)
	if err != nil {
		return err
	}
	err = f(phone)
	now := time.Now()
	if until, opened := w.noteBreaker(now, codeOf(err)); opened {
		w.b.cfg.Log.Error(leftAlone, slog.String("phone", w.name), slog.Any("code", codeOf(err)), slog.Any("err", err), slog.Time("until", until))
	}
	w.end(now, func(n *news) {
		switch {
		case err == nil:
			n.heard(now)
			n.letIn()
		case errors.Is(err, snom.ErrUnreachable):
			n.missed()
		case !errors.Is(err, snom.ErrOutcomeUnknown):
			n.heard(now)
		}
	})
	return err
}

// end gives back the turn that begin took, and notes what was learnt in it.
func (w *worker) end(now time.Time, learn func(*news)) {
	w.rested = now.Add(w.b.cfg.Gap)
	w.played = w.rested
	w.mu.Lock()
	w.change(learn)
	w.running = false
	ask := w.news.asks()
	if len(w.queue) > 0 {
		w.start()
	}
	w.tellIdle()
	w.mu.Unlock()
	if ask {
		w.lookIn(settleDown)
	}
	w.b.workers.Done()
}

// begin waits for a turn, which it takes: the caller ends it. With a login it takes none at a phone that
// refused ours.
func (w *worker) begin(ctx context.Context, login bool) (Phone, error) {
	for {
		w.mu.Lock()
		if w.closed {
			defer w.mu.Unlock()
			return nil, fmt.Errorf("%w: %s", snom.ErrUnreachable, w.farewell)
		}
		var wait time.Duration // for the phone's rest; w.played belongs to whoever has the turn, which is nobody
		if !w.running {
			if wait = time.Until(w.played); wait <= 0 {
				break
			}
		}
		if w.idle == nil {
			w.idle = make(chan struct{})
		}
		idle, rested := w.idle, (<-chan time.Time)(nil)
		if wait > 0 {
			rested = time.After(wait)
		}
		w.mu.Unlock()
		select {
		case <-idle:
		case <-rested:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", snom.ErrUnreachable, context.Cause(ctx))
		}
	}
	defer w.mu.Unlock()
	if w.fresh {
		w.fresh, w.breaker = false, breaker{}
	}
	if login && w.breaker.open(time.Now()) {
		return nil, fmt.Errorf("%w: it refused our login and is left alone until %s", snom.ErrLockedOut, w.breaker.until.UTC().Format(time.RFC3339))
	}
	w.running = true
	w.expect(0)
	w.b.workers.Add(1)
	return w.cfg.Phone, nil
}

// tellIdle tells those who wait for a turn that the phone may be free. The caller holds the lock.
func (w *worker) tellIdle() {
	if w.idle != nil {
		close(w.idle)
		w.idle = nil
	}
}
