package bridge

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// change carries out a command that is to give settings of the phone a value. It never toggles on a guess: where the
// phone's events say that it is so, nothing is sent; else the settings are read, and those that have another value are
// written and read back.
func (c *command) change(ctx context.Context, p pacedPhone, changes []snom.Change) {
	if first := changes[0]; len(changes) == 1 && first.Key != "" {
		c.switchOver(ctx, p, first)
		return
	}
	found, err := c.readFirst(ctx, p, changes)
	if err != nil {
		c.failRead(err)
		if keepsSettings(err) {
			c.result.Message += "; nothing was written: " + adviceUserMode
		}
		return
	}
	var differ []snom.Change
	var fixed []string
	for _, ch := range changes {
		is, shown := found[ch.Name()]
		switch {
		case ch.Present:
			if is.Value == "" {
				c.fail(Refused, fmt.Sprintf("the phone has nothing in its setting %s, which must come first: nothing was written", ch.Name()))
				return
			}
		case shown && is.Value == strings.TrimSpace(ch.Value), !shown && ch.Absent:
		case is.ReadOnly:
			fixed = append(fixed, ch.Name())
		default:
			differ = append(differ, ch)
		}
	}
	switch {
	case len(fixed) > 0:
		c.fail(Refused, fmt.Sprintf("read-only at the phone: %s; nothing was written: change it where the phone is provisioned, or its permission there",
			strings.Join(fixed, ", ")))
	case len(differ) == 0:
		c.result.Message = strings.TrimPrefix(c.result.Message+"; it was so already: nothing was written", "; ")
	default:
		c.writeSettings(ctx, p, differ)
	}
}

// adviceUserMode says what makes a phone show its settings and take others.
const adviceUserMode = "set admin_mode to on at the phone, or give the bridge the phone's maintenance account (service_mode_login)"

// writeSettings writes settings in one request and reads them back.
func (c *command) writeSettings(ctx context.Context, p pacedPhone, changes []snom.Change) {
	step, err := settingsStep(p, changes)
	if err != nil {
		c.fail(Internal, words(err))
		return
	}
	if !c.request(ctx, p, step, func(error) bool { return false }) {
		if c.result.Code == Refused {
			c.result.Message += "; it does not let its settings be written: " + adviceUserMode
		}
		return
	}
	kept, missing, ok := c.readAllBack(ctx, p, changes)
	if !ok {
		return
	}
	var why []string
	if len(kept) > 0 {
		why = append(why, "the phone took the request and has another value in "+strings.Join(kept, ", ")+
			": it does not take this value, or the setting is read-only (perm=\"R\" where the phone is provisioned)")
	}
	if len(missing) > 0 {
		why = append(why, "the phone took the request and does not show "+strings.Join(missing, ", ")+": it may have no setting of this name")
	}
	if len(why) == 0 {
		return
	}
	message := strings.Join(why, "; ")
	if written := len(changes) - len(kept) - len(missing); written > 0 {
		message += fmt.Sprintf("; %d of %d settings were written", written, len(changes))
	}
	c.fail(Refused, message)
}

// settingsStep is the step that gives settings the values asked for.
func settingsStep(p pacedPhone, changes []snom.Change) (snom.Step, error) {
	settings := make(map[string]string, len(changes))
	for _, ch := range changes {
		settings[ch.Name()] = ch.Value
	}
	phone, ok := p.Phone.(Configurer)
	if !ok {
		return snom.Step{}, fmt.Errorf("%w: its settings cannot be written", snom.ErrUnsupported)
	}
	return phone.SettingsStep(settings)
}

// readAllBack reads settings that were written, and returns the names of those that have another value and of those that the
// phone does not show. It reports false where the command has failed.
func (c *command) readAllBack(ctx context.Context, p pacedPhone, changes []snom.Change) (other, missing []string, ok bool) {
	ok = c.readUntil(ctx, p, changes, "the settings were", "the settings were written", func(found map[string]snom.Setting) bool {
		other, missing = nil, nil
		for _, ch := range changes {
			is, shown := found[ch.Name()]
			switch {
			case is.Value == strings.TrimSpace(ch.Value) && (shown || ch.Value == ""):
			case shown:
				other = append(other, ch.Name())
			default:
				missing = append(missing, ch.Name())
			}
		}
		return len(other) == 0
	})
	return other, missing, ok
}

// switchOver gives a setting that a key toggles its value. Where the phone keeps its settings to itself, the key is
// pressed if the state is known; where it is not, the command is refused.
func (c *command) switchOver(ctx context.Context, p pacedPhone, ch snom.Change) {
	state := c.to.reported(ch)
	if state == ch.Value {
		c.result.Message = ch.Name() + " was " + ch.Value + " already: nothing was sent"
		return
	}
	found, err := c.readFirst(ctx, p, []snom.Change{ch})
	is, shown := found[ch.Name()]
	if err == nil && !shown {
		err = fmt.Errorf("%w: it has no setting %s", snom.ErrUnsupported, ch.Name())
	}
	if err != nil && !keepsSettings(err) {
		c.failRead(err)
		return
	}
	if err == nil {
		if state = switchValue(is.Value); state == ch.Value {
			return
		}
		if !is.ReadOnly && c.writeSwitch(ctx, p, ch) {
			return
		}
	}
	readable := err == nil
	if control, problem := c.to.controllable(); !control {
		c.fail(Unsupported, problem)
		return
	}
	if _, shows := p.Phone.(Configurer); state == "" && !shows {
		c.fail(Refused, fmt.Sprintf("its events have not said whether %s is on, and a phone that is driven by SIP does not show its settings: "+
			"enter the action URLs (docs/phone-setup.md) and switch it once at the phone, or send toggle", ch.Name()))
		return
	}
	if state == "" {
		c.fail(Refused, fmt.Sprintf("the phone does not show its setting %s, and its events have not said what it is: "+
			"set admin_mode to on at the phone, or install the action URLs and switch it once at the phone", ch.Name()))
		return
	}
	if c.pressKey(ctx, p, ch) && readable {
		c.readBack(ctx, p, ch, "the key "+ch.Key+" was pressed")
	}
}

// switchValue is the value of a setting that is on or off, however the phone writes it.
func switchValue(text string) string {
	switch strings.ToLower(text) {
	case "on", "1", "true":
		return "on"
	case "off", "0", "false":
		return "off"
	}
	return text
}

// readBackAgain is how long after a setting was changed it is read once more where it still has the old value.
const readBackAgain = time.Second

// readUntil reads settings that were changed, and once more after a while unless done accepts what was found. It reports false
// where the command has failed: what and did say of which settings, and after what.
func (c *command) readUntil(ctx context.Context, p pacedPhone, changes []snom.Change, what, did string, done func(found map[string]snom.Setting) bool) bool {
	for again := false; ; again = true {
		if cut := p.pause(); cut.code != "" {
			c.fail(cut.code, cut.why+" before "+what+" read back")
			return false
		}
		found, err := c.readSettings(ctx, p, changes)
		if err != nil {
			c.failReadBack(did, err)
			return false
		}
		if done(found) || again {
			return true
		}
		p.lane.pace.sent(time.Now(), 0, readBackAgain)
	}
}

// failReadBack makes the command fail with the error of reading what was changed by what it did.
func (c *command) failReadBack(did string, err error) {
	c.err = err
	c.fail(Timeout, did+", and could not be read back: "+words(err))
}

// readBack reads a setting that was changed, and makes the command fail where it has another value than it was given. did is
// what was done.
func (c *command) readBack(ctx context.Context, p pacedPhone, ch snom.Change, did string) {
	var is snom.Setting
	var shown bool
	ok := c.readUntil(ctx, p, []snom.Change{ch}, "the setting was", did, func(found map[string]snom.Setting) bool {
		is, shown = found[ch.Name()]
		return !shown || switchValue(is.Value) == ch.Value
	})
	switch {
	case !ok:
	case !shown:
		c.failReadBack(did, fmt.Errorf("%w: it has no setting %s", snom.ErrUnsupported, ch.Name()))
	case switchValue(is.Value) != ch.Value:
		c.fail(Refused, fmt.Sprintf("%s, and the phone shows %s as %s still: it does not keep the value", did, ch.Name(), is.Value))
	}
}

// controllable reports whether the phone can be controlled as far as is known, and otherwise why not.
func (p *phone) controllable() (ok bool, problem string) {
	s := &p.state
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.identity.control != snom.No && !s.identity.unidentified, s.identityProblem(p.profile.Load().Model)
}

// forgetDND notes that the key that toggles do not disturb is about to be pressed: what events said of it is over, until the
// next one.
func (p *phone) forgetDND() {
	s := &p.state
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reportsDND = false
}

// reported is the value of a setting as the phone's events say it in this process; empty: they do not.
func (p *phone) reported(ch snom.Change) string {
	s := &p.state
	s.mu.Lock()
	defer s.mu.Unlock()
	if ch.Setting != settingDND || ch.Identity != 0 || !s.reportsDND {
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

// readFirst reads the settings of changes before anything is written, which the command's expiry limits.
func (c *command) readFirst(ctx context.Context, p pacedPhone, changes []snom.Change) (map[string]snom.Setting, error) {
	ctx, cancel := context.WithDeadline(ctx, c.expires)
	defer cancel()
	return c.readSettings(ctx, p, changes)
}

// readSettings reads the settings of changes, and notes them. What the phone does not have is not in the result.
func (c *command) readSettings(ctx context.Context, p pacedPhone, changes []snom.Change) (map[string]snom.Setting, error) {
	names := make([]string, 0, len(changes))
	for _, ch := range changes {
		names = append(names, ch.Name())
	}
	c.asked = time.Now()
	found, err := p.readSettings(ctx, names...)
	if !snom.Unsent(err) {
		c.result.Requests++
	}
	if err == nil {
		for _, name := range names {
			if is, shown := found[name]; shown {
				c.read = noteRead(c.read, readSetting{name, is.Value})
			}
		}
	}
	return found, err
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
	if code == Expired {
		c.fail(code, "it expired while the phone's settings were read: nothing was changed")
		return
	}
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

// writeSwitch writes a setting that a key toggles, and reads it back. It reports false, and nothing has changed, where
// the phone does not let it be written.
func (c *command) writeSwitch(ctx context.Context, p pacedPhone, ch snom.Change) bool {
	step, err := settingsStep(p, []snom.Change{ch})
	if err != nil {
		c.fail(Internal, words(err))
		return true
	}
	if !c.request(ctx, p, step, keepsSettings) {
		return c.result.Code != OK || c.isNow(ctx, p, ch)
	}
	c.readBack(ctx, p, ch, "the setting was written")
	return true
}

// isNow reads a setting after a write that the phone did not accept, which it may have carried out, and reports whether it has
// its value, or the command has failed.
func (c *command) isNow(ctx context.Context, p pacedPhone, ch snom.Change) bool {
	is := false
	ok := c.readUntil(ctx, p, []snom.Change{ch}, "the setting was", "the setting was written", func(found map[string]snom.Setting) bool {
		is = switchValue(found[ch.Name()].Value) == ch.Value
		return true
	})
	return is || !ok
}

// pressKey presses the key that toggles a setting of which the value is known, and reports whether the phone took it.
func (c *command) pressKey(ctx context.Context, p pacedPhone, ch snom.Change) bool {
	key, err := snom.Keys(ch.Key)
	var steps []snom.Step
	if err == nil {
		steps, _, err = p.Phone.Plan(key, p.model)
	}
	if err != nil {
		c.fail(codeOf(err), words(err))
		return false
	}
	for _, step := range steps {
		if !c.request(ctx, p, step, func(error) bool { return false }) {
			return false
		}
	}
	c.changed = &ch
	return true
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
