package console

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// A KeyDocument is a key of a model.
type KeyDocument struct {
	Key     string `json:"key"`
	Group   string `json:"group"` // digits, navigation, soft, call, line or other
	Does    string `json:"does"`
	Warning string `json:"warning"` // what is doubtful about it on this model
}

// keyFace is how a key is drawn: where it stands, and what is written on it.
type keyFace struct{ key, group, label string }

// faces are the keys that a keypad shows in a place of their own. All other keys of keys.csv are listed as others.
func faces() []keyFace {
	return []keyFace{
		{"F1", "soft", ""}, {"F2", "soft", ""}, {"F3", "soft", ""}, {"F4", "soft", ""},
		{"UP", "navigation", "▲"}, {"LEFT", "navigation", "◀"}, {"ENTER", "navigation", "OK"}, {"RIGHT", "navigation", "▶"}, {"DOWN", "navigation", "▼"}, {"CANCEL", "navigation", "✕"},
		{"1", "digits", ""}, {"2", "digits", ""}, {"3", "digits", ""}, {"4", "digits", ""}, {"5", "digits", ""}, {"6", "digits", ""},
		{"7", "digits", ""}, {"8", "digits", ""}, {"9", "digits", ""}, {"*", "digits", ""}, {"0", "digits", ""}, {"#", "digits", ""},
		{"OFFHOOK", "call", ""}, {"ONHOOK", "call", ""}, {"SPEAKER", "call", ""}, {"HEADSET", "call", ""}, {"F_HOLD", "call", ""},
		{"TRANSFER", "call", ""}, {"MUTE", "call", ""}, {"DND", "call", ""}, {"REDIAL", "call", ""}, {"REC", "call", ""},
		{"VOLUME_DOWN", "call", ""}, {"VOLUME_UP", "call", ""}, {"MENU", "call", ""},
	}
}

// linesUnknown is how many programmable keys are drawn where the number of a model's is not known.
const linesUnknown = 4

// keysOf returns the keys of a phone's model, in the order in which they are drawn; those that it certainly lacks, or that
// certainly do not work the way the phone is driven, are not among them.
func keysOf(v *bridge.View) []KeyDocument {
	m := v.Is
	all := []KeyDocument{}
	seen := map[string]bool{}
	add := func(key, group, does string) {
		seen[key] = true
		c, err := snom.Keys(key)
		if err != nil {
			return
		}
		_, warning, err := v.Config.Phone.Plan(c, m)
		if err != nil && !uncontrolled(v) {
			return // there is no such key
		}
		all = append(all, KeyDocument{key, group, does, warning})
	}
	does := map[string]string{}
	for _, k := range snom.KeyTable() {
		does[k.Name] = k.Does
	}
	for _, f := range faces() {
		text := does[f.key]
		switch f.group {
		case "soft":
			text = does["F1"]
		case "digits":
			if text == "" {
				text = does["0"]
			}
		}
		add(f.key, f.group, text)
	}
	_, lines := m.KeyCount() // by the most generous source: a doubtful key has a warning
	if lines == 0 && m.IsZero() {
		lines = linesUnknown
	}
	for n := 1; n <= lines; n++ {
		add("P"+strconv.Itoa(n), "line", does["P1"])
	}
	for _, k := range snom.KeyTable() {
		if k.Last == "" && !seen[k.Name] {
			add(k.Name, "other", k.Does)
		}
	}
	return withoutCommon(all)
}

// withoutCommon removes from the warnings what all of them end with: it is no doubt about one key, but about how the phone is driven.
func withoutCommon(all []KeyDocument) []KeyDocument {
	if len(all) < 2 {
		return all
	}
	common := slices.MinFunc(all, func(a, b KeyDocument) int { return cmp.Compare(len(a.Warning), len(b.Warning)) }).Warning
	for _, k := range all {
		if !strings.HasSuffix(k.Warning, common) {
			return all
		}
	}
	for i := range all {
		all[i].Warning = strings.TrimSuffix(strings.TrimSuffix(all[i].Warning, common), "; ")
	}
	return all
}

// spoken is what a screen reader says of a key: what is written on it, and its name.
func spoken(key string) string {
	if face := label(key); face != key {
		return face + ", " + key
	}
	return key
}

// label is what is written on a key.
func label(key string) string {
	for _, f := range faces() {
		if f.key == key && f.label != "" {
			return f.label
		}
	}
	if len(key) > 2 {
		return strings.ReplaceAll(strings.TrimPrefix(key, "F_"), "_", " ")
	}
	return key
}
