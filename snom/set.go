package snom

import (
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// setRow is the row of the command set.
func setRow() *verbRow {
	return &verbRow{
		verb: VerbSet,
		help: VerbHelp{
			Summary:     "writes settings that SETTINGS_ALLOW matches",
			Plain:       "NAME=VALUE",
			JSON:        "settings: an object of names and values, up to 20",
			Request:     "none where the settings are so; else /dummy.htm?settings=save&store_settings=save&…, and they are read back",
			Source:      "service.snom.com, Can I set or change phone settings via HTTP requests",
			Example:     "set vol_ringer=8",
			ExampleJSON: `{"settings":{"vol_ringer":"8"}}`,
			Maintenance: true,
		},
		parse:   parsed(parseSet),
		read:    readSet,
		members: []string{"settings"},
	}
}

const (
	maxSet          = 20 // settings of one command
	expectedSet     = "NAME=VALUE: the name of a setting, such as vol_ringer, and its value"
	expectedSetName = "the name of a setting: small letters, digits and _, such as vol_ringer or user_ringer1"
	expectedValue   = "a value of at most 1024 bytes without control characters"
)

// pageWords are words that dummy.htm takes for something else than the name of a setting (service.snom.com, Can I set
// or change phone settings via HTTP requests; Snom KB entry 40).
var pageWords = [...]string{"settings", "store_settings", "swload", "firmware", "reboot", "reset"}

// SettingBarred reports whether a program must not let others write the setting with a set command, whatever its settings
// say: logins, what events are sent where, and identities. name is as [Change.Name] has it.
func SettingBarred(name string) bool {
	for _, prefix := range [...]string{"http_", "admin_", "action_", "user_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return strings.Contains(name, "pass")
}

// A set is the argument of a set command: NAME=VALUE, one a line, sorted by name. No value has a line end in it.
type set string

func parseSet(text string) (set, *SyntaxError) {
	name, value, ok := strings.Cut(text, "=")
	if !ok {
		return "", fault(len(text), expectedSet)
	}
	plain, err := settingName(name)
	if err == nil {
		err = checkValue(value, len(name)+1)
	}
	return set(plain + "=" + value), err
}

// settingName returns the name of a setting as a request has it. The number of an identity may stand in brackets.
func settingName(name string) (string, *SyntaxError) {
	plain := name
	if base, index, ok := strings.Cut(name, "["); ok {
		number, closed := strings.CutSuffix(index, "]")
		if _, bad := decimal(number, 0, 999); !closed || bad >= 0 {
			return "", fault(len(base), expectedSetName)
		}
		plain = base + number
	}
	for i := range len(plain) {
		if !isSettingByte(plain[i]) || i == 0 && plain[0] < 'a' {
			return "", fault(i, expectedSetName)
		}
	}
	switch {
	case plain == "":
		return "", fault(0, expectedSetName)
	case len(plain) > maxSettingName:
		return "", fault(maxSettingName, "a name of at most 64 bytes")
	case slices.Contains(pageWords[:], plain):
		return "", fault(0, "the name of a setting, not a word that the page takes for a command")
	}
	return plain, nil
}

// checkValue checks a value that begins at offset in what was received.
func checkValue(value string, offset int) *SyntaxError {
	if !badValue(value) {
		return nil
	}
	bad := strings.IndexFunc(value, func(r rune) bool { return isControl(r) || r == utf8.RuneError })
	if bad < 0 || bad > maxSetting {
		bad = maxSetting
	}
	return fault(offset+bad, expectedValue)
}

func readSet(m *members) argument {
	m.need("settings", "an object of names and values")
	raw, ok := m.object["settings"]
	if !ok || m.err != nil {
		return set("")
	}
	object, err := parseObject(raw)
	if m.check("settings", string(raw), err); m.err != nil {
		return set("")
	}
	if len(object) == 0 || len(object) > maxSet {
		m.refuse("settings", "1 to "+strconv.Itoa(maxSet)+" settings")
		return set("")
	}
	in := members{object: object, within: "settings."}
	values := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if in.err != nil {
			break
		}
		plain, err := settingName(name)
		if err != nil {
			m.check("settings", name, err)
			return set("")
		}
		if _, twice := values[plain]; twice {
			in.refuse(plain, "a setting once, not in two spellings")
		}
		values[plain] = in.settingValue(name, plain)
	}
	m.err = in.err
	return m.joined(values)
}

// settingValue reads the value of a setting: text, a whole number, or true and false for on and off.
func (m *members) settingValue(name, plain string) string {
	if on, given := m.boolean(name); given {
		return onOff(on)
	}
	raw := m.object[name]
	m.object[plain] = raw // its place in an error is that of the name that is valid
	value, _ := m.text(plain)
	m.check(plain, value, checkValue(value, 0))
	return value
}

// joined makes the argument, or finds that it fits no request.
func (m *members) joined(values map[string]string) set {
	lines := make([]string, 0, len(values))
	length := len(saveSettings)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		lines = append(lines, name+"="+values[name])
		length += len(appendSetting(nil, name, values[name]))
	}
	if m.err == nil && length > maxTarget {
		m.refuse("settings", "settings that fit one request of "+strconv.Itoa(maxTarget)+" bytes, in which most characters but letters and digits take three")
	}
	return set(strings.Join(lines, "\n"))
}

// each yields the settings by name.
func (s set) each() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for line := range strings.SplitSeq(string(s), "\n") {
			name, value, _ := strings.Cut(line, "=")
			if !yield(name, value) {
				return
			}
		}
	}
}

// shown returns the settings with *** for values that may be secret.
func (s set) shown() set {
	var lines []string
	for name, value := range s.each() {
		if SettingBarred(name) {
			value = "***"
		}
		lines = append(lines, name+"="+value)
	}
	return set(strings.Join(lines, "\n"))
}

func (s set) text() string {
	if !strings.Contains(string(s), "\n") {
		return string(s)
	}
	text := []byte(`{"settings":{`)
	for name, value := range s.each() {
		if text[len(text)-1] != '{' {
			text = append(text, ',')
		}
		text = append(append(append(append(text, '"'), name...), `":`...), quoted(value)...)
	}
	return string(append(text, "}}"...))
}

func (s set) changes() (all []Change) {
	for name, value := range s.each() {
		all = append(all, Change{Setting: name, Value: value})
	}
	return all
}

func (s set) steps(Dialect) []Step { return written(s.changes()) }

// FreeSettings yields the names of the settings that c writes because its sender named them: those of set. A program must
// check each of them: see [SettingBarred].
func (c Command) FreeSettings() iter.Seq[string] {
	return func(yield func(string) bool) {
		s, ok := c.arg.(set)
		if !ok {
			return
		}
		for name := range s.each() {
			if !yield(name) {
				return
			}
		}
	}
}
