package actionurl

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// A Key is one programmable key of a phone that the settings give a meaning.
type Key struct {
	Key   string // "P5"
	Name  string // in events; empty: none
	Label string // on the display beside the key; empty: the name
	Short string // the short label of phones that have one; empty: the label
	Open  string // the door that a press opens; empty: none
	Run   string // the macro that a press runs; empty: none
}

// Number is that of the key, from 1.
func (k Key) Number() int {
	n, _ := strconv.Atoi(strings.TrimPrefix(k.Key, "P")) // the settings check it
	return n
}

// Caption is what the key is called where people read it.
func (k Key) Caption() string {
	switch {
	case k.Label != "":
		return k.Label
	case k.Name != "":
		return k.Name
	}
	return k.Key
}

// Keys are the keys of one phone. A nil Keys has none; it is not changed.
type Keys struct {
	list []Key
}

// NewKeys returns keys, which are in the order of their numbers; nil where there are none.
func NewKeys(list []Key) *Keys {
	if len(list) == 0 {
		return nil
	}
	return &Keys{list}
}

// All returns the keys by number. The slice must not be changed.
func (k *Keys) All() []Key {
	if k == nil {
		return nil
	}
	return k.list
}

// Find returns the key of that name, such as "P5".
func (k *Keys) Find(key string) (Key, bool) {
	for _, one := range k.All() {
		if strings.EqualFold(one.Key, key) {
			return one, true
		}
	}
	return Key{}, false
}

// KeyURL returns the URL that a key requests: one beside urls, which [URLs] made. A phone adds no variables to it, so that the
// key stands there.
func KeyURL(urls []URL, key string) string {
	if len(urls) == 0 {
		return ""
	}
	path, _, _ := strings.Cut(urls[0].URL, "?")
	return path[:strings.LastIndexByte(path, '/')+1] + string(EventKeyPress) + "?active_key=" + key
}

// A KeySetting is what a phone is given for one key: its setting, and those of its labels.
type KeySetting struct {
	Key    Key
	Type   URL   // fkey0, and "url http://…"
	Labels []URL // fkey_label0, and on phones that have it fkey_short_label0
	start  string
}

// keyType is what the value of a key begins with that requests a URL (service.snom.com, Function Key Types).
const keyType = "url "

// KeySettings returns the settings of keys for a phone of a model, whose other action URLs are urls. The short label is set on
// models that are known to have it, and elsewhere where the settings name one.
func KeySettings(urls []URL, keys *Keys, m snom.Model) (all []KeySetting) {
	if len(urls) == 0 {
		return nil
	}
	for _, k := range keys.All() {
		index := strconv.Itoa(k.Number() - 1)
		s := KeySetting{Key: k, Type: URL{"fkey" + index, keyType + KeyURL(urls, k.Key)}, start: keyType + urls[0].start()}
		if k.Label != "" || k.Name != "" {
			s.Labels = append(s.Labels, URL{"fkey_label" + index, k.Caption()})
		}
		short := k.Short
		if short == "" && m.ShortLabels() == snom.Yes && len(s.Labels) > 0 {
			short = k.Caption()
		}
		if short != "" {
			s.Labels = append(s.Labels, URL{"fkey_short_label" + index, short})
		}
		all = append(all, s)
	}
	return all
}

// free reports whether nothing has been set up on a key: it has no type, or the type that keys have by default, without an
// argument (service.snom.com, Function Key Types).
func free(value string) bool {
	switch strings.TrimSpace(value) {
	case "", "line", "none":
		return true
	}
	return false
}

// settings returns the settings of the key that are to be written to a phone that has others, in their order.
func (s KeySetting) settings() []URL { return append([]URL{s.Type}, s.Labels...) }

// holds says what else a key is for: the host of its URL, or its type.
func holds(value string) string {
	kind, rest, _ := strings.Cut(strings.TrimSpace(value), " ")
	if kind+" " == keyType {
		if host := hostOf(strings.TrimSpace(rest)); host != "" {
			return host
		}
	}
	if len(kind) > 32 || strings.Trim(strings.ToLower(kind), "abcdefghijklmnopqrstuvwxyz_0123456789") != "" {
		return ""
	}
	return kind
}

// InstallKeys writes settings, which [KeySettings] made, into the phone, by the rules of [Install]: a key that has another use is
// kept with its labels, unless force is set. What a phone has by default is no use.
func InstallKeys(ctx context.Context, phone Configurable, settings []KeySetting, force bool) (Installation, error) {
	done := Installation{Written: []string{}, Unchanged: []string{}, Foreign: []Foreign{}, Kept: []string{}}
	var types, all []string
	for _, s := range settings {
		types = append(types, s.Type.Setting)
		for _, one := range s.settings() {
			all = append(all, one.Setting)
		}
	}
	have, shown, err := readKeys(ctx, phone, types, all)
	seen := err == nil
	if !seen && (!force || !hidesSettings(err)) {
		return done, whyUnread(err)
	}
	var written []URL
	for _, s := range settings {
		now := have[s.Type.Setting].Value
		if !force && !free(now) && !strings.HasPrefix(unescape(now), unescape(s.start)) {
			done.Foreign = append(done.Foreign, Foreign{s.Type.Setting, holds(now)})
			continue
		}
		for _, one := range s.settings() {
			if seen && shown[one.Setting] && sameURL(have[one.Setting].Value, one.URL) {
				done.Unchanged = append(done.Unchanged, one.Setting)
				continue
			}
			if err := phone.SaveSettings(ctx, map[string]string{one.Setting: one.URL}); err != nil {
				return done, whyUnwritten(err)
			}
			written = append(written, one)
			done.Written = append(done.Written, one.Setting)
		}
	}
	if !seen || len(written) == 0 {
		done.Checked = seen
		return done, nil
	}
	return done.checkKeys(ctx, phone, written, types, all)
}

// readKeys reads keys with their labels, or where the phone does not show labels, keys alone. shown has what was read.
func readKeys(ctx context.Context, phone Configurable, types, all []string) (have map[string]snom.Setting, shown map[string]bool, err error) {
	shown = map[string]bool{}
	names := all
	if have, err = phone.ReadSettings(ctx, all...); err != nil && hidesSettings(err) && len(all) > len(types) {
		names = types
		have, err = phone.ReadSettings(ctx, types...)
	}
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		shown[name] = true
	}
	return have, shown, nil
}

// checkKeys reads the settings again, and separates those that were written from those that the phone kept.
func (i Installation) checkKeys(ctx context.Context, phone Configurable, written []URL, types, all []string) (Installation, error) {
	have, shown, err := readKeys(ctx, phone, types, all)
	if err != nil {
		return i, fmt.Errorf("%w; the settings were written and could not be read back", err)
	}
	i.Written, i.Checked = []string{}, true
	for _, one := range written {
		switch {
		case !shown[one.Setting]:
			i.Checked = false
			i.Written = append(i.Written, one.Setting)
		case sameURL(have[one.Setting].Value, one.URL):
			i.Written = append(i.Written, one.Setting)
		default:
			i.Kept = append(i.Kept, one.Setting)
		}
	}
	return i, nil
}

// Join returns the outcome of two installations in one phone.
func (i Installation) Join(more Installation) Installation {
	i.Written = append(i.Written, more.Written...)
	i.Unchanged = append(i.Unchanged, more.Unchanged...)
	i.Kept = append(i.Kept, more.Kept...)
	i.Foreign = append(i.Foreign, more.Foreign...)
	i.Checked = i.Checked && more.Checked
	return i
}
