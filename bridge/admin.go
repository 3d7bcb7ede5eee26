package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
	"github.com/snom2mqtt/snom2mqtt/snom/multicast"
)

// An adminJob is a probe, or one step of an installation: it makes one request between two commands.
type adminJob struct {
	to    *phone
	login bool // the request may log in
	do    func(pacedPhone) error
	done  chan error // of capacity one
}

func (j *adminJob) phone() *phone       { return j.to }
func (j *adminJob) priority() priority  { return administrative }
func (j *adminJob) deadline() time.Time { return time.Time{} }
func (j *adminJob) ends(job) string     { return "" }

func (j *adminJob) run(_ context.Context, p pacedPhone) time.Time {
	var err error
	if j.login {
		err = p.lane.lockedOut(time.Now())
	}
	if err == nil {
		err = j.do(p)
	}
	j.done <- err
	return time.Time{}
}

func (j *adminJob) cancel(_ Code, why string) {
	j.done <- fmt.Errorf("%w: %s", snom.ErrUnreachable, why)
}

// between has do make its request when the phone has nothing else to do, and commands that come meanwhile wait for it.
// It returns when that is done, or ctx ends.
func (p *phone) between(ctx context.Context, login bool, do func(pacedPhone) error) error {
	j := &adminJob{to: p, login: login, do: do, done: make(chan error, 1)}
	p.add(j)
	select {
	case err := <-j.done:
		return err
	case <-ctx.Done():
	}
	if p.profile.Load().lane.remove(j) {
		return fmt.Errorf("%w: %w", snom.ErrUnreachable, context.Cause(ctx))
	}
	return <-j.done // it runs, and ctx ends it; or it is cancelled
}

// probe asks the phone what it is, in its turn: a command waits in the queue meanwhile, where it can expire,
// and not behind it at the phone.
func (p *phone) probe(ctx context.Context) (info snom.Info, err error) {
	err = p.between(ctx, false, func(paced pacedPhone) error {
		info, err = paced.probe(ctx)
		paced.lane.pace.sent(time.Now(), p.b.cfg.Gap, 0)
		return err
	})
	if err == nil {
		p.update(func(s *phoneState) {
			s.seen(time.Now())
			s.learn(info, nil)
		})
	}
	return info, err
}

// request has one request with a login made between commands, and notes what it says about the phone.
func (p *phone) request(ctx context.Context, do func(pacedPhone) error) error {
	made := false
	err := p.between(ctx, true, func(paced pacedPhone) error {
		made = true
		return do(paced)
	})
	if !made {
		return err
	}
	var probe bool
	p.update(func(s *phoneState) {
		switch {
		case err == nil:
			s.seen(time.Now())
			s.accepted()
		case errors.Is(err, snom.ErrUnreachable):
			s.unreachable(err)
		case errors.Is(err, snom.ErrOutcomeUnknown), errors.Is(err, snom.ErrLocal), errors.Is(err, snom.ErrExpired):
		default:
			s.seen(time.Now())
		}
		probe = s.needsProbe()
	})
	if probe {
		p.pollIn(settleTime)
	}
	return err
}

// A betweenCommands is a phone whose requests are each made between two commands.
type betweenCommands struct{ *phone }

// SaveSettings writes settings, one a request.
func (p betweenCommands) SaveSettings(ctx context.Context, settings map[string]string) error {
	for name, value := range settings {
		err := p.request(ctx, func(paced pacedPhone) error {
			phone, ok := paced.Phone.(Configurer)
			if !ok {
				return fmt.Errorf("%w: its settings cannot be written", snom.ErrUnsupported)
			}
			step, err := phone.SettingsStep(map[string]string{name: value})
			if err == nil {
				_, err = paced.send(ctx, step, step.Pause)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ReadSettings asks the phone for its settings.
func (p betweenCommands) ReadSettings(ctx context.Context, names ...string) (settings map[string]snom.Setting, err error) {
	err = p.request(ctx, func(paced pacedPhone) error {
		settings, err = paced.readSettings(ctx, names...)
		return err
	})
	return settings, err
}

// install answers a request to write a phone's action URLs into it.
func (b *Bridge) install(ctx context.Context, r request) Response {
	p := r.phone
	addresses := b.roster.Load().listensTo(p.name)
	if b.cfg.ActionURLs == nil && len(addresses) == 0 {
		return r.response(Forbidden, "PHONE_LISTEN is off: nothing would receive the events")
	}
	var urls []actionurl.URL
	var done actionurl.Installation
	var err error
	if b.cfg.ActionURLs != nil {
		if urls, err = b.cfg.ActionURLs(ctx, p.name); err != nil {
			return r.response(Forbidden, err.Error())
		}
		done, err = actionurl.Install(ctx, betweenCommands{p}, urls, r.force)
	}
	var keys []actionurl.KeySetting
	if err == nil {
		keys = p.keySettings(ctx, urls)
		done, err = p.installKeys(ctx, done, keys, r.force)
	}
	if err == nil {
		done, err = p.installMulticast(ctx, done, addresses, r.force)
	}
	if err == nil {
		err = done.Err()
	}
	response := r.response(OK, "")
	if err == nil && len(urls) > 0 && done.Checked {
		p.update(func(s *phoneState) { s.urls = urlsPresent })
	}
	switch {
	case err == nil:
		response.Message = fmt.Sprintf("%d written, %d were there already", len(done.Written), len(done.Unchanged))
		if len(urls) > 0 {
			response.Message += fmt.Sprintf("; the phone calls %s now", hostOf(urls))
		}
		if len(keys) > 0 {
			response.Message += fmt.Sprintf("; %d of its keys are set up", len(keys))
		}
		if len(addresses) > 0 {
			response.Message += fmt.Sprintf("; it listens to %d multicast addresses", len(addresses))
		}
		if !done.Checked {
			response.Message += "; it does not show its settings, so whether it kept them is unknown"
		}
	case ctx.Err() != nil:
		response = r.response(Cancelled, fmt.Sprintf("the bridge is stopping; %d were written", len(done.Written)))
	case errors.Is(err, actionurl.ErrForeign), errors.Is(err, multicast.ErrFull):
		response = r.response(Forbidden, words(err))
	default:
		response = r.response(codeOf(err), words(err))
	}
	response.Data = done
	b.cfg.Log.Info("action URLs installed", slog.String("phone", p.name), slog.Any("code", response.Code), slog.Int("written", len(done.Written)))
	return response
}

// hostOf is where urls point.
func hostOf(urls []actionurl.URL) string {
	for _, a := range urls {
		if u, err := url.Parse(a.URL); err == nil {
			return u.Host
		}
	}
	return "no host"
}

// probe answers a request to ask a phone what it is.
func (b *Bridge) probe(ctx context.Context, r request) Response {
	p := r.phone
	info, err := p.probe(ctx)
	switch {
	case ctx.Err() != nil:
		return r.response(Cancelled, "the bridge is stopping")
	case err != nil:
		return r.response(codeOf(err), words(err))
	}
	response := r.response(OK, strings.Join(info.Advice, " "))
	response.Data = probed{info, p.listening(ctx)}
	return response
}
