package bridge

import (
	"context"
	"fmt"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// change carries out a command that is to give a setting of the phone a value. It never toggles on a guess: where the
// phone's events say that it is so, nothing is sent; else the setting is read, and written and read back if it has
// another value; where the phone keeps its settings to itself, the key that toggles is pressed only if the state is
// known; and where it is not, the command is refused.
func (c *command) change(ctx context.Context, p pacedPhone, ch snom.Change) {
	state := c.to.reported(ch)
	if state == ch.Value {
		c.result.Message = ch.Name() + " was " + ch.Value + " already: nothing was sent"
		return
	}
	first, cancel := context.WithDeadline(ctx, c.expires)
	is, err := c.readSetting(first, p, ch.Name())
	cancel()
	if err != nil && !keepsSettings(err) {
		c.failRead(err)
		return
	}
	if err == nil {
		if state = is.Value; is.Value == ch.Value {
			c.changed = &ch
			return
		}
		if !is.ReadOnly && c.writeSetting(ctx, p, ch) {
			return
		}
	}
	if control, problem := c.to.controllable(); !control {
		c.fail(Unsupported, problem)
		return
	}
	if state == "" || ch.Key == "" {
		c.fail(Refused, fmt.Sprintf("the phone does not show its setting %s, and its events have not said what it is: "+
			"set admin_mode to on at the phone, or install the action URLs and switch it once at the phone", ch.Name()))
		return
	}
	c.pressKey(ctx, p, ch)
}

// controllable reports whether the phone can be controlled as far as is known, and otherwise why not.
func (p *phone) controllable() (ok bool, problem string) {
	s := &p.state
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.identity.control != snom.No && !s.identity.unidentified, s.identity.problem(p.profile.Load().Model)
}

// reported is the value of a setting as the phone's events say it in this process; empty: they do not.
func (p *phone) reported(ch snom.Change) string {
	s := &p.state
	s.mu.Lock()
	defer s.mu.Unlock()
	if ch.Setting != "dnd_mode" || ch.Identity != 0 || !s.reportsDND {
		return ""
	}
	switch s.callState().Status().DND {
	case SwitchOn:
		return "on"
	case SwitchOff:
		return "off"
	}
	return ""
}

// readSetting reads one setting.
func (c *command) readSetting(ctx context.Context, p pacedPhone, name string) (snom.Setting, error) {
	c.asked = time.Now()
	found, err := p.readSettings(ctx, name)
	c.result.Requests++
	if err != nil {
		return snom.Setting{}, err
	}
	is, ok := found[name]
	if !ok {
		return is, fmt.Errorf("%w: it has no setting %s", snom.ErrUnsupported, name)
	}
	return is, nil
}

// failRead makes err the result, the error of reading a setting: whatever it is, nothing was changed.
func (c *command) failRead(err error) {
	code := codeOf(err)
	switch {
	case !time.Now().Before(c.expires):
		code = Expired
	case code == Timeout:
		code = Unreachable
	}
	c.err = err
	c.fail(code, "while its settings were read: "+words(err))
}

// keepsSettings reports whether err says that the phone answers and does not show its settings, or cannot.
func keepsSettings(err error) bool {
	switch codeOf(err) {
	case Refused, Unsupported, PhoneError:
		return true
	}
	return false
}

// writeSetting writes the setting and reads it back. It reports false, and nothing has changed, where the phone does not
// let it be written.
func (c *command) writeSetting(ctx context.Context, p pacedPhone, ch snom.Change) bool {
	step, err := p.Phone.(Configurer).SettingsStep(map[string]string{ch.Name(): ch.Value})
	if err != nil {
		c.fail(Internal, words(err))
		return true
	}
	if !c.request(ctx, p, step, func(err error) bool { return keepsSettings(err) }) {
		return c.result.Code != OK
	}
	if cut := p.pause(); cut.code != "" {
		c.fail(cut.code, cut.why+" before the setting was read back")
		return true
	}
	is, err := c.readSetting(ctx, p, ch.Name())
	switch {
	case err != nil:
		c.err = err
		c.fail(Timeout, "the setting was written, and could not be read back: "+words(err))
	case is.Value != ch.Value:
		return false // it took the request, and kept its value
	default:
		c.changed = &ch
	}
	return true
}

// pressKey presses the key that toggles a setting of which the value is known.
func (c *command) pressKey(ctx context.Context, p pacedPhone, ch snom.Change) {
	key, err := snom.Keys(ch.Key)
	var steps []snom.Step
	if err == nil {
		steps, _, err = p.Phone.Plan(key, p.model)
	}
	if err != nil {
		c.fail(codeOf(err), words(err))
		return
	}
	for _, step := range steps {
		if !c.request(ctx, p, step, func(error) bool { return false }) {
			return
		}
	}
	c.changed = &ch
}

// request makes one more request of the command, and reports whether the phone accepted it. An error that is tolerated
// is no result.
func (c *command) request(ctx context.Context, p pacedPhone, step snom.Step, tolerated func(error) bool) bool {
	if cut := p.pause(); cut.code != "" {
		c.fail(cut.code, cut.why)
		return false
	}
	step.NotAfter, c.asked = c.expires, time.Now()
	reply, err := p.send(ctx, step, step.Pause)
	c.result.HTTPStatus = reply.Status
	c.result.Requests += reply.Requests
	switch {
	case err == nil:
		return true
	case !tolerated(err):
		c.err = err
		c.fail(codeOf(err), words(err))
	}
	return false
}
