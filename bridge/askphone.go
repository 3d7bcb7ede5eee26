package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync/atomic"
	"time"

	"github.com/snom2mqtt/snom2mqtt/callstate"
	"github.com/snom2mqtt/snom2mqtt/pages"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/minibrowser"
)

// answerTime is how long a phone that was asked for its state may take to call back.
const answerTime = 3 * time.Second

// askedPart is the part of the page that a phone follows with its answer.
const askedPart = "state"

// Asked is what a phone said when it was asked for its state. It does not change once it is made.
type Asked struct {
	DND     Switch      `json:"dnd"`
	Forward *Forwarding `json:"forward"` // nil: it did not say
	// Calls says how many calls there are, in all and in each state, in the words of the phone; nil: it did not say.
	Calls map[string]int `json:"calls"`
	Time  Time           `json:"time"`
}

// size is about as much memory as a takes.
func (a *Asked) size() int {
	n := 512
	if f := a.Forward; f != nil {
		for _, one := range []*Forward{f.Always, f.Busy, f.NoAnswer} {
			if one != nil {
				n += len(one.To) + len(one.After)
			}
		}
	}
	return n
}

// allCalls is what the number of calls in any state is called.
const allCalls = "all"

// question carries out an ask command: the phone fetches a page that shows nothing, and calls back with its state.
func (c *command) question(ctx context.Context, p pacedPhone) {
	calledBack := make(chan struct{})
	var answered atomic.Bool
	var said *Asked // what follows is written before calledBack is closed
	var bad error
	to, asked := c.to, time.Now()
	shown := c.display(ctx, p, sheet{
		life: pageSlack, answered: calledBack,
		main: func(base string) (minibrowser.Main, error) { return minibrowser.Ask(base + "/" + askedPart) },
		part: func(r pages.Request) pages.Reply {
			if r.Part != askedPart || !answered.CompareAndSwap(false, true) {
				return pages.Reply{}
			}
			var answer minibrowser.Answer
			if answer, bad = minibrowser.ReadAnswer(r.Query); bad == nil {
				said = to.noteAnswer(answer, asked)
			}
			close(calledBack)
			return to.nothing()
		},
	})
	switch {
	case !shown:
	case errors.Is(bad, minibrowser.ErrNoAnswer):
		c.fail(Unsupported, "the phone called back and said nothing of its state: its firmware does not fill in such a page")
	case said != nil:
		c.result.Details = &Details{Asked: said}
	}
}

// awaitAnswer waits until the phone has called back, and reports whether it has.
func (c *command) awaitAnswer(ctx context.Context, p pacedPhone, answered, fetched <-chan struct{}, origin string) bool {
	if p.await(ctx, answered, answerTime) {
		return true
	}
	p.lane.mu.Lock()
	why := p.lane.interrupted(p)
	p.lane.mu.Unlock()
	if why.code != "" {
		return c.fail(why.code, why.why)
	}
	const late = "timeout: the phone accepted it and did not call back within 3 s: "
	select {
	case <-fetched:
		return c.fail(Timeout, late+"its firmware may not fill in such a page")
	default:
		return c.fail(Timeout, late+fmt.Sprintf("it has not fetched the page, for which it must reach %s", origin))
	}
}

// nothing is the answer to a phone that has called back: a page that shows nothing, and leaves what is shown.
func (p *phone) nothing() pages.Reply {
	body, err := minibrowser.Encode(minibrowser.NamesFor(p.firmware()), minibrowser.Silent{})
	if err != nil {
		return pages.Reply{}
	}
	return pages.Reply{Type: minibrowser.ContentType, Body: body}
}

// noteAnswer notes what the phone said of its state. A call that began after it was asked is none that it has not.
func (p *phone) noteAnswer(a minibrowser.Answer, asked time.Time) *Asked {
	now := time.Now()
	read := make([]readSetting, 0, len(a.Settings))
	for _, s := range a.Settings {
		read = append(read, readSetting{s.Name, s.Value})
	}
	is := &Asked{Time: Time{Time: now}}
	if settings := (*Settings)(nil).with(read, now); settings != nil {
		is.DND, is.Forward = settings.position(settingDND), settings.forward
	}
	if len(a.Calls) > 0 {
		is.Calls = make(map[string]int, len(a.Calls))
		for _, c := range a.Calls {
			if c.State == "" {
				c.State = allCalls
			}
			is.Calls[c.State] = c.N
		}
	}
	p.update(func(s *phoneState) {
		if s.panel == nil {
			s.panel = &panel{}
		}
		panel := s.panel.copied()
		panel.Asked = is
		s.panel.status = &panel
		s.learnAnswer(is, read, asked, now)
		p.planExpiry()
	})
	return is
}

// learnAnswer brings what is known up to date with what the phone said. The caller holds the lock.
func (s *phoneState) learnAnswer(is *Asked, read []readSetting, asked, now time.Time) {
	if len(read) > 0 {
		s.settings = s.settings.with(read, now)
	}
	calls := s.callState()
	if is.DND != SwitchUnknown {
		calls = calls.WithDND(is.DND == SwitchOn)
	}
	switch f := is.Forward; {
	case f == nil:
	case f.anyIs(SwitchOn):
		calls = calls.WithForwarding(true)
	case f.Always != nil && f.Busy != nil && f.NoAnswer != nil && !f.anyIs(SwitchUnknown):
		calls = calls.WithForwarding(false)
	}
	if all, said := is.Calls[allCalls]; said {
		calls = calls.Counted(callstate.Counts{
			All: all, Connected: is.Calls["connected"], Dialing: is.Calls["calling"] + is.Calls["ringback"],
			Ringing: is.Calls["ringing"], Held: is.Calls["holding"] + is.Calls["on_hold"],
		}, asked, now)
	}
	s.calls = &calls
}

// anyIs reports whether a case of forwarding is on, off, or not known.
func (f *Forwarding) anyIs(position Switch) bool {
	for _, one := range []*Forward{f.Always, f.Busy, f.NoAnswer} {
		if one != nil && one.On == position {
			return true
		}
	}
	return false
}

// How phones are asked regularly.
const (
	askFirst    = 5 * time.Second        // after the start, the first of them is asked
	askSpread   = 100 * time.Millisecond // between two phones
	askAgain    = 30 * time.Second       // until the next try of a phone that cannot be asked now, at most
	askOnceEach = 250 * time.Millisecond // phones that are due within that time are asked together
)

// runAsking asks each phone for its state every AskEvery, until ctx ends. It is not run unless that is set.
func (b *Bridge) runAsking(ctx context.Context) {
	due := map[*phone]time.Time{}
	for ctx.Err() == nil {
		now := time.Now()
		next := now.Add(min(b.cfg.AskEvery, askAgain))
		r := b.roster.Load()
		maps.DeleteFunc(due, func(p *phone, _ time.Time) bool { return r.phones[p.name] != p })
		fresh := 0
		for _, name := range r.names {
			p := r.phones[name]
			at, known := due[p]
			switch {
			case !known:
				fresh++
				at = now.Add(min(b.cfg.AskEvery, askFirst) + time.Duration(fresh)*min(askSpread, b.cfg.AskEvery/time.Duration(len(r.names))))
			case at.Sub(now) > askOnceEach:
			case p.startAsking():
				at = now.Add(jitter(b.cfg.AskEvery))
			default:
				at = now.Add(jitter(min(b.cfg.AskEvery, askAgain)))
			}
			due[p] = at
			if at.Before(next) {
				next = at
			}
		}
		rest(max(time.Until(next), askOnceEach), ctx.Done())
	}
}

// startAsking asks the phone for its state where it has nothing else to do, and reports whether it does.
func (p *phone) startAsking() bool {
	at := p.profile.Load()
	return !p.b.claims.taken(p.name) && p.mayAsk() && at.canDisplay(p.b) == "" && at.lane.addIdle(askJob{p})
}

// mayAsk reports whether the phone is there, and has no call as far as is known: what a page does to a call is not known.
func (p *phone) mayAsk() bool {
	p.state.mu.Lock()
	defer p.state.mu.Unlock()
	status := p.state.callState().Status()
	return !p.state.closed && p.state.reachable == SwitchOn && status.Calls == 0 && status.Hook != callstate.HookOff
}

// An askJob asks a phone for its state. It has no result, and ends when anything else comes.
type askJob struct{ to *phone }

func (j askJob) phone() *phone       { return j.to }
func (j askJob) priority() priority  { return background }
func (j askJob) deadline() time.Time { return time.Time{} }
func (j askJob) ends(job) string     { return "" }
func (j askJob) cancel(Code, string) {}

func (j askJob) run(ctx context.Context, p pacedPhone) time.Time {
	now := time.Now()
	if !j.to.mayAsk() {
		return time.Time{}
	}
	c := &command{to: j.to, command: snom.Ask(), name: string(snom.VerbAsk), part: true, received: now, expires: now.Add(j.to.b.cfg.Rules.TTL)}
	if c.begin(p, now) {
		c.question(ctx, p)
	}
	if ctx.Err() != nil {
		return time.Time{}
	}
	c.result.Time = Time{Time: time.Now()}
	if !c.result.OK {
		b := j.to.b
		b.limit.Log(slog.LevelInfo, "ask "+j.to.name, "phone not asked for its state", slog.String("phone", j.to.name), slog.Any("code", c.result.Code), slog.String("err", c.result.Message))
	}
	c.learn()
	return time.Time{}
}
