package snom

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/snom2mqtt/snom2mqtt/internal/cleantext"
)

// A Setting is one setting of a phone, as the phone shows it.
type Setting struct {
	Value    string
	ReadOnly bool // it was provisioned so that nobody at the phone, and no Client, can change it
}

// ReadSettings asks the phone for its settings, by name; those of an identity have its number behind,
// "user_name[1]", and passwords are empty. It asks for settings.xml and, where that does not have them, for
// settings.htm. It logs in if the phone wants that.
//
// The errors are those of [Client.Send], ErrPhone where neither page holds settings. A phone in user mode
// shows none.
func (c *Client) ReadSettings(ctx context.Context) (map[string]Setting, error) {
	if err := c.begin(ctx, time.Time{}); err != nil {
		return nil, err
	}
	defer c.end()
	p, _, err := c.fetch(ctx, pageRequest{target: settingsXML, login: true, keep: true})
	if found := readSettingsXML(p.body); err == nil && found != nil {
		return found, nil
	}
	for _, over := range []error{ErrUnauthorized, ErrLockedOut, ErrUnreachable, ErrOutcomeUnknown} {
		if errors.Is(err, over) {
			return nil, err
		}
	}
	p, _, err = c.fetch(ctx, pageRequest{target: settingsPage, login: true, keep: true})
	if err != nil {
		return nil, err
	}
	if found := readSettingsPage(p.body); found != nil && len(p.body) < maxSettings { // not half of them
		return found, nil
	}
	return nil, fmt.Errorf("%w: its pages settings.xml and settings.htm do not hold settings", ErrPhone)
}

// The pages that show settings: as XML for programs (symcon/Snom, git history), as text for people
// (p4irin/remote_phone_control).
const (
	settingsXML  = "/settings.xml"
	settingsPage = "/settings.htm"
)

// maxSettings bounds those two pages, in bytes. A phone has some hundreds of settings, and a directory.
const maxSettings = 1 << 20

// maxPage is how much of a page is read, in bytes.
func maxPage(target string) int64 {
	if target == settingsXML || target == settingsPage {
		return maxSettings
	}
	return maxBody
}

// readSettingsXML reads a document in the format that phones are provisioned with (Snom wiki, Configuration
// Files): elements of <phone-settings> with the attributes perm and idx. It returns nil for anything else.
func readSettingsXML(body []byte) map[string]Setting {
	text := string(body)
	if !utf8.Valid(body) {
		text = cleantext.FromLatin1(text)
	}
	d := xml.NewDecoder(strings.NewReader(text))
	d.Strict = false
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil } // it is UTF-8 by now
	var found map[string]Setting
	var name string // of the element that is open
	var open Setting
	for {
		token, err := d.Token()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				return nil // half of the settings would pass for all of them
			}
			return found
		}
		switch t := token.(type) {
		case xml.StartElement:
			if t.Name.Local == "phone-settings" && found == nil {
				found = map[string]Setting{}
			}
			name, open = t.Name.Local, Setting{ReadOnly: attribute(t, "perm") == "R"} // Snom wiki, PERMISSIONFLAG
			if i := attribute(t, "idx"); i != "" {
				name += "[" + i + "]"
			}
		case xml.CharData:
			open.Value += string(t)
		case xml.EndElement:
			if found != nil && name != "" {
				open.Value = strings.TrimSpace(open.Value)
				found[name] = open
			}
			name = "" // what follows closes an element that holds others
		}
	}
}

func attribute(t xml.StartElement, name string) string {
	for _, a := range t.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// readSettingsPage reads lines of name, flag, colon and value, the format of settings files before XML (Snom
// wiki, Features/Mass Deployment/Setting Files): "language!: English". & says that a setting is read-only.
// It returns nil when there are no such lines. That settings.htm looks so is inferred.
func readSettingsPage(body []byte) map[string]Setting {
	p := settingPatterns()
	var found map[string]Setting
	for _, line := range p.line.FindAllSubmatch(p.tag.ReplaceAll(body, []byte("\n")), -1) {
		if found == nil {
			found = map[string]Setting{}
		}
		value := strings.TrimSpace(html.UnescapeString(string(line[3])))
		found[string(line[1])] = Setting{Value: value, ReadOnly: string(line[2]) == "&"}
	}
	return found
}

var settingPatterns = sync.OnceValue(func() (p struct{ tag, line *regexp.Regexp }) {
	p.tag = regexp.MustCompile(`<[^<>\n]*>`)
	p.line = regexp.MustCompile(`(?m)^[ \t]*([a-z][a-z0-9_\-\[\]]{0,63})([!&$])[ \t]*:([^\r\n]*)`)
	return p
})

// maxSetting bounds the value of a setting, in bytes; ours. An action URL has about five hundred.
const maxSetting = 1 << 10

// SaveSetting returns the request that writes one setting and keeps it over a restart (service.snom.com, Can I
// set or change phone settings via HTTP requests). A phone in user mode refuses it; one whose setting is
// read-only accepts it and keeps what it has, so read it back.
func SaveSetting(name, value string) (Step, error) {
	switch {
	case !isSettingName(name):
		return Step{}, fmt.Errorf("snom: setting %q: want a name of at most 64 small letters, digits and _", cleantext.Cut(name, 64))
	case len(value) > maxSetting || !utf8.ValidString(value) || strings.ContainsFunc(value, isControl):
		return Step{}, fmt.Errorf("snom: setting %s: want at most %d bytes of UTF-8 without control characters", name, maxSetting)
	case name == "action_blacklist_url" && value != "":
		return Step{}, fmt.Errorf("snom: setting %s: it makes the phone reject calls in silence, and is never set", name)
	}
	target := []byte("/dummy.htm?settings=save&store_settings=save&" + name + "=")
	return Step{Request: string(appendEscaped(target, value, ""))}, nil
}

func isSettingName(s string) bool {
	for i := range len(s) {
		if c := s[i]; !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_') {
			return false
		}
	}
	return s != "" && len(s) <= 64
}
