package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// A phoneFault is why a phone does not do what it is asked, and how to fix that. It does not change once it is made.
type phoneFault struct {
	login           bool // it is about the login
	problem, remedy string
}

// adviceLogin says how to fix a login that is refused.
const adviceLogin = "correct username and password of this phone and reload: they are those of the phone's web interface; until then it is contacted rarely, because failed logins lock it"

// The faults of a phone. What the phone's settings are called: [snom.Client.Probe].
var (
	faultNoLogin = &phoneFault{true, "the phone requires a login, and the one that it requires is not configured", "set username and password of this phone: they are those of the phone's web interface"}
	faultLogin   = &phoneFault{true, "the phone refuses the login", adviceLogin}
	faultLocked  = &phoneFault{true, "the phone is locked after failed logins", adviceLogin}
	faultHidden  = &phoneFault{false, "the phone blocks remote control", "on the phone, set use_hidden_tags and restrict_uri_queries to off (Advanced, QoS/Security)"}
)

// A urlCheck is whether a phone has action URLs of this bridge.
type urlCheck uint8

const (
	urlsUnknown urlCheck = iota
	urlsHidden           // the phone does not show them
	urlsPresent
	urlsMissing
)

// faultOf returns the fault that an error of a request shows; nil: none.
func faultOf(err error) *phoneFault {
	switch {
	case errors.Is(err, snom.ErrNoLogin):
		return faultNoLogin
	case errors.Is(err, snom.ErrUnauthorized):
		return faultLogin
	case errors.Is(err, snom.ErrLockedOut):
		return faultLocked
	}
	return nil
}

// noteFault notes that an error of a request shows a fault with the login, if it does.
func (p *phone) noteFault(err error) {
	if t := faultOf(err); t != nil {
		p.update(func(s *phoneState) { s.fault = t })
	}
}

// learnFault notes whether the phone blocks what commands ask for. The caller holds the state's lock.
func (c *command) learnFault(s *phoneState) {
	_, configurable := c.to.profile.Load().Phone.(Configurer) // what blocks them is a setting
	switch {
	case len(c.command.Changes()) > 0 || c.effects.Picture: // they need more than other commands do
	case c.result.OK && c.result.Requests > 0:
		s.fault = nil
	case c.result.Code == Refused && errors.Is(c.err, snom.ErrRefused) && configurable:
		s.fault = faultHidden
	case c.result.Code == Refused && errors.Is(c.err, snom.ErrRefused):
		if t := s.fault; t == nil || t.remedy != shown(c.result.Message) {
			s.fault = &phoneFault{problem: faultHidden.problem, remedy: shown(c.result.Message)}
		}
	}
}

// problem says what is wrong with the phone, or nothing, and how to fix it. The caller holds the state's lock.
func (p *phone) problem() (problem, remedy string) {
	s, configured := &p.state, p.profile.Load().Model
	is := s.identityProblem(configured)
	switch i := &s.identity; {
	case s.untrusted() != "":
		return is, "set cert_sha256 of this phone to " + s.untrusted() + " if that is its certificate"
	case s.fault != nil:
		return s.fault.problem, s.fault.remedy
	case i.unidentified && is == unidentified:
		return is, "check the phone's url: it may be another device"
	case i.known != (snom.Model{}) && is != "" && i.control != snom.No:
		return is, fmt.Sprintf("set model of this phone to %s, or remove it", i.known.Name())
	case is != "":
		return is, "give it a sip: URL if it is a D86x or D89x (docs/sip.md); others cannot be controlled"
	case s.urls == urlsMissing:
		return "the phone does not report its events: it has no action URL of this bridge", fmt.Sprintf("send %s on %s, or enter them (docs/phone-setup.md)",
			`{"phone":"`+p.name+`"}`, p.b.cfg.Tree.Request("install"))
	}
	return "", ""
}

// checksURLs reports whether the phone is to be asked for its action URLs: once, where that costs no failed login and nothing shows
// yet that it has them. The caller holds the state's lock.
func (p *phone) checksURLs() bool {
	s, at := &p.state, p.profile.Load()
	if !p.b.cfg.CheckURLs || s.urls != urlsUnknown || s.lastEvent != nil || s.closed {
		return false
	}
	_, shows := at.Phone.(Configurer)
	return shows && s.reachable == SwitchOn && !s.identity.unidentified && s.identity.control != snom.No && (at.NoLogin || s.identity.authenticated)
}

// checkURLs asks the phone for its action URLs, if that is to be done, one phone at a time: settings may be long.
func (j pollJob) checkURLs(ctx context.Context, p pacedPhone) {
	b, s := j.to.b, &j.to.state
	s.mu.Lock()
	due := j.to.checksURLs()
	s.mu.Unlock()
	if !due || ctx.Err() != nil || p.lane.lockedOut(time.Now()) != nil || !b.checking.TryLock() {
		return
	}
	defer b.checking.Unlock()
	rest(time.Until(p.lane.pace.readyAt), ctx.Done())
	is := urlsHidden
	urls, err := b.cfg.ActionURLs(ctx, j.to.name)
	if err == nil && ctx.Err() == nil {
		is, err = p.hasURLs(ctx, urls)
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		b.cfg.Log.Debug("action URLs not checked", slog.String("phone", j.to.name), slog.Any("err", err))
	}
	j.to.update(func(s *phoneState) {
		switch {
		case codeOf(err) == Unreachable:
			s.unreachable(err)
			return
		case err == nil:
			s.seen(time.Now())
			s.accepted()
		}
		if s.lastEvent == nil {
			s.urls = is
		}
	})
}

// hasURLs asks the phone which action URLs of this bridge it has.
func (p pacedPhone) hasURLs(ctx context.Context, urls []actionurl.URL) (urlCheck, error) {
	have, err := p.readSettings(ctx, actionurl.SettingsOf(urls)...)
	switch {
	case err != nil:
		return urlsHidden, err
	case len(urls) > 0 && actionurl.Installed(urls, have) == 0:
		return urlsMissing, nil
	}
	return urlsPresent, nil
}
