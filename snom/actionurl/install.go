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
	// ReadSettings returns the settings with these names. One that is not in the result is certainly not set.
	ReadSettings(ctx context.Context, names ...string) (map[string]snom.Setting, error)
	// SaveSettings writes settings that survive a restart of the phone, in one request.
	SaveSettings(ctx context.Context, settings map[string]string) error
}

// An Installation is the outcome of [Install]: each action URL by the name of its setting.
type Installation struct {
	Written   []string  `json:"written"`   // were written
	Unchanged []string  `json:"unchanged"` // were there already
	Foreign   []Foreign `json:"foreign"`   // hold a URL of another program, which was kept
	Kept      []string  `json:"kept"`      // the phone accepted them, and kept what it had
	// Checked is set when the settings were read back. Without that, some of Written may be kept as well.
	Checked bool `json:"checked"`
}

// A Foreign is a setting that holds something that is not the bridge's.
type Foreign struct {
	Setting string `json:"setting"`
	Host    string `json:"host"` // of its URL, or the type of a key; empty when it cannot be read
}

// Err returns what is left to do, nil when every URL is where it should be. The error wraps [ErrForeign] or
// [snom.ErrRefused].
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

// ErrForeign means that settings of a phone hold action URLs of another program, or that its keys have another use, and that they
// were kept.
var ErrForeign = errors.New("snom: action URLs or keys with another use were kept")

// Install writes urls, which [URLs] made, into the phone: it reads what is there, writes what differs, one setting a
// request, and reads again, because a phone silently keeps a read-only setting. A setting that holds a URL which does
// not begin with the same base and phone as the bridge's is kept unless force is set.
//
// Nothing is written to a phone whose settings cannot be read, or are not understood, unless force is set. The first
// error ends the installation; what it returns shows how far it came. The errors are those of [snom.Client.Send]. An
// Installation without an error may still have left something to do: see [Installation.Err].
func Install(ctx context.Context, phone Configurable, urls []URL, force bool) (Installation, error) {
	done := Installation{Written: []string{}, Unchanged: []string{}, Foreign: []Foreign{}, Kept: []string{}}
	have, err := phone.ReadSettings(ctx, SettingsOf(urls)...)
	seen := err == nil
	if !seen && (!force || !hidesSettings(err)) {
		return done, whyUnread(err)
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
		if err := phone.SaveSettings(ctx, map[string]string{u.Setting: u.URL}); err != nil {
			return done, whyUnwritten(err)
		}
		done.Written = append(done.Written, u.Setting)
	}
	if !seen || len(done.Written) == 0 {
		done.Checked = seen
		return done, nil
	}
	return done.check(ctx, phone, urls)
}

// whyUnread returns err, which ReadSettings returned, with what follows from it for the installation.
func whyUnread(err error) error {
	switch {
	case errors.Is(err, snom.ErrPhone):
		return fmt.Errorf("%w; what its settings hold is unknown, so nothing was written; let provisioning write them; force overwrites what is there", err)
	case hidesSettings(err):
		return fmt.Errorf("%w; it does not show its settings, so nothing was written: in user mode it shows none "+
			"(set admin_mode to on), or let provisioning write them; force writes without reading", err)
	}
	return err
}

// whyUnwritten returns err, which SaveSettings returned, with what helps.
func whyUnwritten(err error) error {
	if errors.Is(err, snom.ErrRefused) {
		return fmt.Errorf("%w; to change settings it must not be in user mode (set admin_mode to on), or let provisioning write them", err)
	}
	return err
}

// SettingsOf returns the names of the settings that hold urls.
func SettingsOf(urls []URL) []string {
	names := make([]string, 0, len(urls))
	for _, u := range urls {
		names = append(names, u.Setting)
	}
	return names
}

// check reads the settings again, and separates those that were written from those that the phone kept.
func (i Installation) check(ctx context.Context, phone Configurable, urls []URL) (Installation, error) {
	have, err := phone.ReadSettings(ctx, SettingsOf(urls)...)
	if err != nil {
		return i, fmt.Errorf("%w; the settings were written and could not be read back", err)
	}
	expected := map[string]string{}
	for _, u := range urls {
		expected[u.Setting] = u.URL
	}
	written := i.Written
	i.Written, i.Checked = []string{}, true
	for _, name := range written {
		if sameURL(have[name].Value, expected[name]) {
			i.Written = append(i.Written, name)
		} else {
			i.Kept = append(i.Kept, name)
		}
	}
	return i, nil
}

// hidesSettings reports whether err is that of a phone that answers, accepts the login, and does not show its settings.
func hidesSettings(err error) bool {
	return errors.Is(err, snom.ErrRefused) || errors.Is(err, snom.ErrUnsupported) || errors.Is(err, snom.ErrPhone)
}

// sameURL reports whether a and b are the same URL. The phone may show it escaped or not.
func sameURL(a, b string) bool {
	return a == b || unescape(a) == unescape(b)
}

// Installed returns how many of urls a phone has, whose settings are have.
func Installed(urls []URL, have map[string]snom.Setting) (n int) {
	for _, u := range urls {
		if sameURL(have[u.Setting].Value, u.URL) {
			n++
		}
	}
	return n
}

// start returns what all action URLs of this base and phone begin with.
func (u URL) start() string {
	path, _, _ := strings.Cut(u.URL, "?")
	for range 2 { // the event and the token
		path = path[:strings.LastIndexByte(path, '/')]
	}
	return path + "/"
}

// hostOf returns the host of a URL, printable and bounded, "" when there is none.
func hostOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return cleantext.Clean(u.Host, 255)
}
