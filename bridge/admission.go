package bridge

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// Rules are the limits that hold for every phone.
type Rules struct {
	TTL           time.Duration  // how long a command without an expiry of its own may wait
	DialAllow     *regexp.Regexp // numbers that may be called; nil: all
	DialDeny      *regexp.Regexp // numbers that may not; nil: none
	SettingsAllow *regexp.Regexp // names of settings that set may write, matched as a whole; nil: none
	FirmwareHosts []string       // hosts a firmware URL may name, host or host:port, in small letters
}

// retainedCommand is the message about a retained command, whatever it names.
const retainedCommand = "a command must not be retained: a broker replays it at every connection"

// A refusal is why a command is not taken; no code: it is taken.
type refusal struct {
	code    Code
	message string
}

// admit checks a message for one phone: the command for its lane, and why it is refused. secret says that neither the
// result nor its message may show the argument. It does no I/O and looks at no clock.
func (p *profile) admit(m message, rules Rules, secret, retained bool, now time.Time) (*command, refusal) {
	if secret {
		m.hideName()
	}
	c := &command{id: m.id, command: m.command, effects: m.command.Effects(), secret: secret, dry: m.dry, name: m.name, received: now, expires: m.expiry(now, rules.TTL)}
	if c.argument = m.shownArgument(); secret && c.argument != "" {
		c.argument = mask
	}
	switch {
	case retained:
		return c, refusal{Retained, retainedCommand}
	case m.fault != nil:
		return c, refusal{Invalid, explain(m.fault, secret || m.hasLogin())}
	case !now.Before(c.expires):
		return c, refusal{Expired, "expires_at is in the past"}
	case m.command.IsTimestamp(now):
		return c, refusal{Invalid, "the digits are the present time in milliseconds, which an inject node of Node-RED sends unless msg.payload is set: " +
			"expected a number"}
	}
	if m.script != nil {
		c.script = m.script
		return c, p.admitScript(m.script, rules, secret)
	}
	if r := p.allows(m.command, rules, secret); r.code != "" {
		return c, r
	}
	if m.command.Verb().Paged() {
		return c, refusal{} // it is no request to the phone
	}
	if why := c.plan(p); why != "" {
		return c, refusal{Unsupported, why}
	}
	return c, refusal{}
}

// allows says why the settings do not allow c on this phone, or why it is not confirmed.
func (p *profile) allows(c snom.Command, rules Rules, secret bool) refusal {
	if reason := p.forbids(c, rules, secret); reason != "" {
		return refusal{Forbidden, reason}
	}
	if name, ok := c.Confirmation(); ok && name != p.Name {
		return refusal{Invalid, fmt.Sprintf("expected the phone's own name, %q, as confirmation", p.Name)}
	}
	return refusal{}
}

// secret reports whether the argument of m is not to be shown. Where it cannot be known which command was meant, it may
// have been a secret one.
func (p *profile) secret(m message) bool {
	v := snom.Verb(m.name)
	return p.Mask[v] || len(p.Mask) > 0 && (!v.Valid() || v.Nests() && (m.fault != nil || m.masks(p.Mask)))
}

// explain is a fault in words. Of a secret payload it names the places and what was expected, and
// repeats nothing.
func explain(fault error, secret bool) string {
	var several interface{ Unwrap() []error }
	if errors.As(fault, &several) {
		var all []string
		for _, one := range several.Unwrap() {
			all = append(all, explain(one, secret))
		}
		return strings.Join(all, "; ")
	}
	var redacted interface{ Redacted() string }
	if secret && errors.As(fault, &redacted) {
		return strings.TrimPrefix(redacted.Redacted(), "snom: ")
	}
	return words(fault) // no other fault repeats an argument
}

// forbids says why the settings do not allow c on this phone, or nothing. Of a secret argument it repeats nothing.
func (p *profile) forbids(c snom.Command, rules Rules, secret bool) string {
	if v := c.Verb(); v.Gated() && !p.Allow[v] {
		return fmt.Sprintf("%s is disabled: enable it with ALLOW=%s, for all phones or for this one", v, v)
	}
	if u, ok := c.FirmwareURL(); ok {
		if !p.HTTPS {
			return "firmware is only accepted for a phone with an https:// URL"
		}
		listed := func(host string) bool { return slices.Contains(rules.FirmwareHosts, strings.ToLower(host)) }
		if allowed := listed(u.Hostname()) || listed(u.Host); !allowed && secret {
			return "FIRMWARE_HOSTS does not list the host"
		} else if !allowed {
			return fmt.Sprintf("FIRMWARE_HOSTS does not list %q", u.Host)
		}
	}
	for name := range c.FreeSettings() {
		if why := rules.forbidsSetting(name); why != "" && secret {
			return "one of the settings is not among those that SETTINGS_ALLOW allows"
		} else if why != "" {
			return why
		}
	}
	if number, ok := c.Number(); ok {
		if rules.DialAllow != nil && !rules.DialAllow.MatchString(number) {
			return "DIAL_ALLOW does not allow this number"
		}
		// A number that is denied does not become another one by a host behind it.
		user, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(number, "sip:"), "sips:"), "@")
		if rules.DialDeny != nil && (rules.DialDeny.MatchString(number) || rules.DialDeny.MatchString(user)) {
			return "DIAL_DENY denies this number"
		}
	}
	return ""
}

// forbidsSetting says why set may not write a setting, or nothing.
func (r Rules) forbidsSetting(name string) string {
	switch {
	case snom.SettingBarred(name):
		return fmt.Sprintf("set never writes %s, whatever SETTINGS_ALLOW says: no login, no action URL and no identity", name)
	case r.SettingsAllow == nil:
		return "set is disabled: SETTINGS_ALLOW names the settings that it may write"
	case !matchesWhole(r.SettingsAllow, name):
		return fmt.Sprintf("SETTINGS_ALLOW does not match %s", name)
	}
	return ""
}

// matchesWhole reports whether the expression matches all of the text.
func matchesWhole(r *regexp.Regexp, text string) bool {
	at := r.FindStringIndex(text)
	return at != nil && at[0] == 0 && at[1] == len(text)
}
