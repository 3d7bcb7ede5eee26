package bridge

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/snom2mqtt/snom2mqtt/internal/cleantext"
	"github.com/snom2mqtt/snom2mqtt/internal/jsonval"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// The settings that mean something to a bridge. Without a number they are those of the phone, or of its first identity.
const (
	settingDND     = "dnd_mode"
	settingKeyLock = "keyboard_lock"
	forwardBegin   = "fwd_"
)

// A readSetting is the value that a setting had when it was read last.
type readSetting struct{ name, value string }

// noteRead returns all with one more, in the place of an older one of that name.
func noteRead(all []readSetting, one readSetting) []readSetting {
	all = slices.DeleteFunc(all, func(r readSetting) bool { return r.name == one.name })
	return append(all, one)
}

// Settings are what was read of a phone's settings, as its status shows it. They do not change once they are made: two
// are equal where they are the same.
type Settings struct {
	values []readSetting // the newest last
	asOf   Time          // when the newest was read
	lock   Switch
	// forward holds what is known of forwarding, by when calls are forwarded; nil: nothing.
	forward *Forwarding
}

// Forwarding is what was read of where calls are forwarded. What was not read is nil.
type Forwarding struct {
	Always   *Forward `json:"always,omitempty"`
	Busy     *Forward `json:"busy,omitempty"`
	NoAnswer *Forward `json:"no_answer,omitempty"`
}

// A Forward says where calls are forwarded in one case.
type Forward struct {
	On    Switch `json:"on"`
	To    Text   `json:"to"`              // null: it has no number, or none was read
	After Text   `json:"after,omitempty"` // the seconds without an answer
}

// MarshalJSON writes the values by the names of their settings.
func (s *Settings) MarshalJSON() ([]byte, error) {
	values := make(map[string]string, len(s.values))
	for _, r := range s.values {
		values[r.name] = r.value
	}
	return jsonval.Marshal(values)
}

const (
	maxReadSettings = 32       // settings that are remembered of a phone
	maxReadValue    = 255      // bytes of a value
	maxReadBytes    = 2 << 10  // names and values of a phone together
	maxOldSettings  = 16 << 10 // bytes of a retained status
)

// newSettings makes settings of values, the newest last: nil where there are none.
func newSettings(values []readSetting, asOf time.Time) *Settings {
	size := 0
	first := len(values)
	for first > 0 && len(values)-first < maxReadSettings {
		r := values[first-1]
		if size += len(r.name) + len(r.value); size > maxReadBytes {
			break
		}
		first--
	}
	if first == len(values) {
		return nil
	}
	s := &Settings{values: values[first:], asOf: jsonval.Moment(asOf)}
	s.lock = s.position(settingKeyLock)
	forward := Forwarding{Always: s.forwarded("fwd_all"), Busy: s.forwarded("fwd_busy"), NoAnswer: s.forwarded("fwd_time")}
	if forward != (Forwarding{}) {
		s.forward = &forward
	}
	return s
}

// value returns what was read of a setting.
func (s *Settings) value(name string) (string, bool) {
	if s == nil {
		return "", false
	}
	for _, r := range s.values {
		if r.name == name {
			return r.value, true
		}
	}
	return "", false
}

// position is what was read of a setting that is on or off.
func (s *Settings) position(name string) Switch {
	switch value, _ := s.value(name); value {
	case "on":
		return SwitchOn
	case "off":
		return SwitchOff
	}
	return SwitchUnknown
}

// forwarded is what was read of one case of forwarding; nil: nothing.
func (s *Settings) forwarded(prefix string) *Forward {
	_, known := s.value(prefix + "_enabled")
	to, named := s.value(prefix + "_target")
	if !known && !named {
		return nil
	}
	after, _ := s.value(prefix + "_secs")
	return &Forward{On: s.position(prefix + "_enabled"), To: Text(to), After: Text(after)}
}

// with returns the settings with more of them.
func (s *Settings) with(more []readSetting, now time.Time) *Settings {
	var values []readSetting
	if s != nil {
		values = slices.Clone(s.values)
	}
	for _, r := range more {
		values = noteRead(values, readSetting{r.name, cleantext.Clean(r.value, maxReadValue)})
	}
	return newSettings(values, now)
}

// unless returns the settings without those whose names begin with prefix, where they contradict what the phone reports:
// that one of them is on, or none.
func (s *Settings) unless(prefix string, on bool) *Settings {
	if s == nil {
		return nil
	}
	begins := func(r readSetting) bool { return strings.HasPrefix(r.name, prefix) }
	shown := slices.ContainsFunc(s.values, func(r readSetting) bool { return begins(r) && r.value == "on" })
	if shown == on || !slices.ContainsFunc(s.values, begins) {
		return s
	}
	return newSettings(slices.DeleteFunc(slices.Clone(s.values), begins), s.asOf.Time)
}

// learnSettings notes what a command read of the phone's settings. The caller holds the state's lock.
func (c *command) learnSettings(s *phoneState, now time.Time) {
	for _, r := range c.read {
		if r.name == settingDND && (r.value == "on" || r.value == "off") {
			calls := s.callState().WithDND(r.value == "on")
			s.calls = &calls
		}
	}
	if c.secret {
		return
	}
	s.settings = s.settings.with(c.read, now)
	if on := s.settings.forwards(c.command); on != SwitchUnknown {
		calls := s.callState().WithForwarding(on == SwitchOn)
		s.calls = &calls
	}
}

// forwards says whether calls are forwarded in any case, after a command. That they are not is known only after a
// command for every case.
func (s *Settings) forwards(c snom.Command) Switch {
	const cases = 3
	off := 0
	for _, ch := range c.Changes() {
		if ch.Identity == 0 && ch.Absent && strings.HasPrefix(ch.Setting, forwardBegin) {
			off++
		}
	}
	for _, name := range [cases]string{"fwd_all_enabled", "fwd_busy_enabled", "fwd_time_enabled"} {
		if s.position(name) == SwitchOn {
			return SwitchOn
		}
	}
	if off == cases {
		return SwitchOff
	}
	return SwitchUnknown
}

// readRetained returns the settings of a status that an earlier process published; nil: there are none.
func readRetained(document []byte) *Settings {
	var old struct {
		Settings map[string]string `json:"settings"`
		AsOf     time.Time         `json:"settings_as_of"`
	}
	if len(document) > maxOldSettings || json.Unmarshal(document, &old) != nil || old.AsOf.IsZero() {
		return nil
	}
	var values []readSetting
	for name, value := range old.Settings {
		if _, err := snom.ParsePayload(snom.VerbSet, []byte(name+"="+value)); err == nil {
			values = append(values, readSetting{name, cleantext.Clean(value, maxReadValue)})
		}
	}
	slices.SortFunc(values, func(a, b readSetting) int { return strings.Compare(a.name, b.name) })
	return newSettings(values, old.AsOf)
}
