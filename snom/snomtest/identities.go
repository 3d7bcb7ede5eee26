package snomtest

import (
	"strconv"
	"strings"
)

// identitySettings are the settings that each identity has of its own, with the value that they have when none was written
// (nethesis/tancredi snom.tmpl, service.snom.com fwd_all_enabled and fwd_time_enabled; the seconds are inferred). Written
// without a number they are those of the first identity here; whether they are on a phone is not documented.
var identitySettings = []struct{ name, without string }{
	{"fwd_all_enabled", "off"}, {"fwd_all_target", ""},
	{"fwd_busy_enabled", "off"}, {"fwd_busy_target", ""},
	{"fwd_time_enabled", "off"}, {"fwd_time_target", ""}, {"fwd_time_secs", "10"},
}

// identitySetting returns the name of a setting of an identity without its number, and the number; 0: it is none.
func identitySetting(name string) (base string, identity int) {
	for _, s := range identitySettings {
		number, ok := strings.CutPrefix(name, s.name)
		switch n, err := strconv.Atoi(number); {
		case !ok:
		case number == "":
			return s.name, 1
		case err == nil && n >= 1 && n <= 12 && strconv.Itoa(n) == number:
			return s.name, n
		}
	}
	return "", 0
}

// withoutWriting is what a setting of an identity is when none was written.
func withoutWriting(base string) string {
	for _, s := range identitySettings {
		if s.name == base {
			return s.without
		}
	}
	return ""
}

// storeSetting writes a setting, so that the first identity has one value in both spellings.
func storeSetting(settings map[string]string, name, value string) {
	if base, identity := identitySetting(name); identity == 1 {
		delete(settings, base)
		delete(settings, base+"1")
	}
	settings[name] = value
}

// ofIdentity returns a setting of an identity, or what it is when none was written.
func (p *Phone) ofIdentity(base, without string, identity int) string {
	if value, ok := p.settings[base+strconv.Itoa(identity)]; ok {
		return value
	}
	if value, ok := p.settings[base]; ok && identity == 1 {
		return value
	}
	return without
}

// obeyForwarding forwards calls as the settings say. Each identity of a phone forwards its own; this phone forwards all
// where the settings of one do.
func (p *Phone) obeyForwarding() {
	to := ""
	for line := range p.config.Lines {
		if p.ofIdentity("fwd_all_enabled", "off", line+1) == "on" && to == "" {
			to = p.ofIdentity("fwd_all_target", "", line+1)
		}
	}
	p.forward(to)
}

// forward forwards calls to a number, or no more when it is empty. It returns false when nothing changed.
func (p *Phone) forward(number string) bool {
	was := p.panel.forward
	p.panel.forward = number
	switch {
	case was == number:
		return false
	case number == "":
		p.fire("action_redirection_off_url", nil, nil)
	default:
		p.fire("action_redirection_on_url", nil, nil)
	}
	return true
}
