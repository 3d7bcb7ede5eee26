package actionurl

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/snom2mqtt/snom2mqtt/internal/cleantext"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// A Configurable is what [Install] needs of a phone. *snom.Client is one.
type Configurable interface {
	Send(ctx context.Context, s snom.Step) (snom.Reply, error)
	ReadSettings(ctx context.Context, names ...string) (map[string]snom.Setting, error)
}

// An Installation says what became of action URLs, each by the name of its setting.
type Installation struct {
	Written   []string  `json:"written"`   // were written
	Unchanged []string  `json:"unchanged"` // were there already
	Foreign   []Foreign `json:"foreign"`   // hold somebody else's URL, and were left alone
	Kept      []string  `json:"kept"`      // the phone took them, and kept what it had
	// Checked says that the settings were read back. Without that, Written may be kept as well.
	Checked bool `json:"checked"`
}

// A Foreign is a setting that holds something that is not ours.
type Foreign struct {
	Setting string `json:"setting"`
	Host    string `json:"host"` // where it points; empty when that is not to be seen
}

// Err says in one sentence what is left to do, nil when every URL is where it should be. The error wraps
// [ErrForeign] or [snom.ErrRefused].
func (i Installation) Err() error {
	if len(i.Kept) > 0 {
		return fmt.Errorf("%w: it keeps what it has in %s: these settings are read-only there (perm=\"R\" in provisioning), "+
			"or it is in user mode; let provisioning write them, or set admin_mode to on", snom.ErrRefused, list(i.Kept))
	}
	if len(i.Foreign) > 0 {
		var names []string
		for _, f := range i.Foreign {
			names = append(names, strings.TrimSuffix(f.Setting+" ("+f.Host+")", " ()"))
		}
		return fmt.Errorf("%w: %s; force replaces them", ErrForeign, list(names))
	}
	return nil
}

// list names the first few.
func list(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// ErrForeign says that settings of a phone hold somebody else's action URLs, which were left alone.
var ErrForeign = errors.New("snom: somebody else's action URLs were left alone")

// Install writes urls, which [URLs] made, into the phone: it reads what is there, writes what differs,
// one setting a request, and reads again, because a phone keeps a read-only setting without a word. What
// holds a URL that does not begin with the same base and phone as ours is left alone unless force is set.
//
// A phone that does not show its settings is left alone too, unless force is set. The first error ends it;
// the Installation tells how far it came. The errors are those of [snom.Client.Send]. An Installation without an
// error may still have left something: see [Installation.Err].
func Install(ctx context.Context, phone Configurable, urls []URL, force bool) (Installation, error) {
	done := Installation{Written: []string{}, Unchanged: []string{}, Foreign: []Foreign{}, Kept: []string{}}
	have, err := phone.ReadSettings(ctx, settingsOf(urls)...)
	seen := err == nil
	if !seen && (!force || !hidesSettings(err)) {
		if hidesSettings(err) {
			err = fmt.Errorf("%w; it does not show its settings, so nothing was written: in user mode it shows none "+
				"(set admin_mode to on), or let provisioning write them; force writes without looking", err)
		}
		return done, err
	}
	for _, u := range urls {
		now := have[u.Setting].Value
		switch {
		case sameURL(now, u.URL):
			done.Unchanged = append(done.Unchanged, u.Setting)
			continue
		case now != "" && !force && !strings.HasPrefix(now, u.start()):
			done.Foreign = append(done.Foreign, Foreign{u.Setting, hostOf(now)})
			continue
		}
		step, err := snom.SaveSetting(u.Setting, u.URL)
		if err == nil {
			_, err = phone.Send(ctx, step)
		}
		if errors.Is(err, snom.ErrRefused) {
			err = fmt.Errorf("%w; to change settings it must not be in user mode (set admin_mode to on), or let provisioning write them", err)
		}
		if err != nil {
			return done, err
		}
		done.Written = append(done.Written, u.Setting)
	}
	if !seen || len(done.Written) == 0 {
		done.Checked = seen
		return done, nil
	}
	return done.check(ctx, phone, urls)
}

// settingsOf are the names of the settings that hold urls.
func settingsOf(urls []URL) []string {
	names := make([]string, 0, len(urls))
	for _, u := range urls {
		names = append(names, u.Setting)
	}
	return names
}

// check reads the settings again, and tells those that were written from those that were kept.
func (i Installation) check(ctx context.Context, phone Configurable, urls []URL) (Installation, error) {
	have, err := phone.ReadSettings(ctx, settingsOf(urls)...)
	if err != nil {
		return i, fmt.Errorf("%w; the settings were written and could not be read back", err)
	}
	want := map[string]string{}
	for _, u := range urls {
		want[u.Setting] = u.URL
	}
	written := i.Written
	i.Written, i.Checked = []string{}, true
	for _, name := range written {
		if sameURL(have[name].Value, want[name]) {
			i.Written = append(i.Written, name)
		} else {
			i.Kept = append(i.Kept, name)
		}
	}
	return i, nil
}

// hidesSettings says whether err is a phone that answers, lets us in, and does not show its settings.
func hidesSettings(err error) bool {
	return errors.Is(err, snom.ErrRefused) || errors.Is(err, snom.ErrUnsupported) || errors.Is(err, snom.ErrPhone)
}

// sameURL compares URLs as they may be shown: escaped or not.
func sameURL(a, b string) bool {
	return a == b || unescape(a) == unescape(b)
}

// start is what all action URLs of this base and phone begin with.
func (u URL) start() string {
	path, _, _ := strings.Cut(u.URL, "?")
	for range 2 { // the event and the token
		path = path[:strings.LastIndexByte(path, '/')]
	}
	return path + "/"
}

// hostOf is the host of a URL, in words that can be shown.
func hostOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return cleantext.Clean(u.Host, 255)
}
