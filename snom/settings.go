package snom

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/snom2mqtt/snom2mqtt/internal/cleantext"
)

// A Setting is one setting of a phone, as the phone shows it.
type Setting struct {
	Value    string
	ReadOnly bool // it was provisioned so that neither a user at the phone nor a Client can change it
}

// The pages that show settings: as XML for programs (symcon/Snom, git history), as text for people
// (p4irin/remote_phone_control).
const (
	settingsXML  = "/settings.xml"
	settingsPage = "/settings.htm"
)

const (
	// maxSettings bounds those two pages, in bytes. A phone has some hundreds of settings, and a directory.
	maxSettings = 1 << 20
	// maxSettingCount bounds the settings that are kept of a page, and maxShown the value of one, in bytes.
	maxSettingCount = 4096
	maxShown        = 4 << 10
)

// maxPage is how much of a page is read, in bytes.
func maxPage(target string) int64 {
	switch {
	case isSettings(target):
		return maxSettings
	case isPicture(target):
		return maxPicture
	}
	return maxBody
}

// ReadSettings asks the phone for the settings of these names, or for all of them where no name is given. Those of an
// identity have its number behind, "user_name[1]" or "user_name1", and passwords are empty. It asks for
// settings.xml and, where that page does not show the settings, for settings.htm. It logs in if the phone
// requires that.
//
// A name that is not in the result is certainly not among the settings that the phone has: the page is understood,
// which is to say that settings of the same family were read from it (those with the same text before the first
// underscore), and it does not contain the name in any other form. Where that is not so, nothing is known of the
// setting and the error wraps [ErrPhone]. The other errors are those of [Client.Send]. A phone in user mode shows no
// settings.
func (c *Client) ReadSettings(ctx context.Context, names ...string) (map[string]Setting, error) {
	for _, name := range names {
		if err := checkSettingName(name); err != nil {
			return nil, err
		}
	}
	if err := c.begin(ctx, time.Time{}); err != nil {
		return nil, err
	}
	defer c.end()
	var missing error
	for _, page := range []struct {
		target string
		scan   func([]byte, *settingsReader) bool
	}{{settingsXML, scanSettingsXML}, {settingsPage, scanSettingsText}} {
		p, _, err := c.fetch(ctx, pageRequest{target: page.target, login: true, keep: true})
		for _, over := range []error{ErrUnauthorized, ErrLockedOut, ErrUnreachable, ErrOutcomeUnknown, ErrLocal} {
			if errors.Is(err, over) {
				return nil, err
			}
		}
		if err == nil {
			var found map[string]Setting
			if found, err = readSettings(p.body, names, page.scan); err == nil {
				return found, nil
			}
		}
		if missing == nil || errors.Is(missing, errNoSettings) || !errors.Is(err, ErrUnsupported) {
			missing = err
		}
	}
	return nil, missing
}

// readSettings reads the named settings, or all of them, from a page, of which scan knows the format.
func readSettings(page []byte, names []string, scan func([]byte, *settingsReader) bool) (map[string]Setting, error) {
	r := newSettingsReader(names)
	switch {
	case len(page) >= maxSettings: // half of the settings would pass for all of them
		return nil, fmt.Errorf("%w: its page of settings is longer than %d bytes", ErrPhone, maxSettings-1)
	case !scan(page, r) || r.count == 0:
		return nil, fmt.Errorf("%w: %w", ErrPhone, errNoSettings)
	case len(r.found) > maxSettingCount:
		return nil, fmt.Errorf("%w: it has more than %d settings", ErrPhone, maxSettingCount)
	}
	if name := r.doubtful(page, names); name != "" {
		return nil, fmt.Errorf("%w: it does not show the setting %s in a form that is understood", ErrPhone, cleantext.Clean(name, maxSettingName))
	}
	return r.found, nil
}

var errNoSettings = errors.New("its pages settings.xml and settings.htm do not hold settings in a form that is understood")

// A settingsReader takes the settings that a page has, and keeps those that were asked for.
type settingsReader struct {
	all      bool              // everything was asked for
	names    map[string]string // what was asked for, by its plain name
	others   map[string]string // by the plain name that it has on a phone that counts its identities otherwise
	families map[string]bool   // of what was asked for: whether the page has settings of it
	found    map[string]Setting
	seen     map[string]int // how often its name stood there, by what was asked for
	twice    string         // what was asked for and has two values, or one where none is read; empty: nothing
	count    int            // settings of the page
	value    []byte         // of the setting that is being read
}

func newSettingsReader(names []string) *settingsReader {
	r := &settingsReader{
		all:      len(names) == 0,
		names:    make(map[string]string, len(names)),
		others:   map[string]string{},
		families: map[string]bool{},
		found:    map[string]Setting{},
		seen:     map[string]int{},
	}
	for _, name := range names {
		plain := plainName(name)
		r.names[plain] = name
		r.families[family(plain)] = false
		// That a setting without a number is that of the first identity is inferred.
		if bare, ok := strings.CutSuffix(name, "[1]"); ok {
			r.others[bare] = name
		} else if bare == plain && !isDigit(bare[len(bare)-1]) { // fkey11 is another key than fkey1
			r.others[bare+"1"] = name
		}
	}
	return r
}

// plainName is the name of a setting with the number of an identity behind, not in brackets.
func plainName(name string) string {
	base, index, ok := strings.Cut(name, "[")
	if !ok {
		return name
	}
	return base + strings.TrimSuffix(index, "]")
}

// family is what the names of settings of a kind begin with: "action_", "fkey".
func family(plain string) string {
	if i := strings.IndexByte(plain, '_'); i >= 0 {
		return plain[:i+1]
	}
	return strings.TrimRight(plain, "0123456789")
}

// needs reports whether the value of the setting is used.
func (r *settingsReader) needs(plain string) bool {
	return r.all || r.names[plain] != "" || r.others[plain] != ""
}

// add takes a setting, whose value is r.value. Its name stood in the page so many times.
func (r *settingsReader) add(shown, plain string, readOnly bool, times int) {
	r.count++
	if group := family(plain); !r.all {
		if _, ok := r.families[group]; ok {
			r.families[group] = true
		}
	}
	if !r.needs(plain) {
		return
	}
	value := string(bytes.TrimSpace(r.value))
	if !utf8.ValidString(value) {
		value = cleantext.FromLatin1(value)
	}
	s := Setting{Value: value, ReadOnly: readOnly}
	if r.all {
		if len(r.found) <= maxSettingCount {
			r.found[shown] = s
		}
		return
	}
	if name := r.names[plain]; name != "" {
		if r.seen[name] > 0 && r.found[name] != s {
			r.twice = name
		}
		r.found[name] = s
		r.seen[name] += times
		return
	}
	if name := r.others[plain]; r.seen[name] == 0 {
		r.found[name] = s
	}
}

// doubtful returns one of names that the page may have in a form that was not read: there is no other setting of its
// family, or the name stands elsewhere in the page, too, or has two values. It is empty where there is none.
func (r *settingsReader) doubtful(page []byte, names []string) string {
	if r.twice != "" {
		return r.twice
	}
	var lower []byte
	for _, name := range names {
		s, ok := r.found[name]
		if ok && s.Value != "" {
			continue
		}
		if !ok && !r.families[family(plainName(name))] {
			return name
		}
		if lower == nil {
			lower = bytes.ToLower(page)
			if bytes.Contains(lower, []byte("&#")) {
				lower = bytes.ToLower([]byte(html.UnescapeString(string(page)))) // names in which characters are escaped
			}
		}
		if mentions(lower, plainName(name)) > r.seen[name] {
			return name
		}
	}
	return ""
}

// mentions counts how often a name stands in a page, as a word.
func mentions(lower []byte, name string) (n int) {
	for rest := lower; ; {
		i := bytes.Index(rest, []byte(name))
		if i < 0 {
			return n
		}
		after := rest[i+len(name):]
		if (i == 0 || !isSettingByte(rest[i-1])) && (len(after) == 0 || !isSettingByte(after[0])) {
			n++
		}
		rest = after
	}
}

func isSettingByte(c byte) bool { return 'a' <= c && c <= 'z' || isDigit(c) || c == '_' }

// append appends a piece of text to the value that is being read.
func (r *settingsReader) append(piece []byte, escaped bool) {
	if escaped && bytes.IndexByte(piece, '&') >= 0 {
		piece = []byte(html.UnescapeString(string(piece[:min(len(piece), 2*maxShown)])))
	}
	r.value = append(r.value, piece[:min(len(piece), maxShown-len(r.value))]...)
}

// scanSettingsXML reads a document in the format that phones are provisioned with (Snom wiki, Configuration
// Files): elements of <phone-settings> with the attributes perm and idx. It reports whether the page is such a
// document, and complete.
func scanSettingsXML(page []byte, r *settingsReader) bool {
	s := settingsScan{settingsReader: r}
	for rest := page; ; {
		text, after, found := bytes.Cut(rest, []byte("<"))
		if s.open != "" && s.wanted {
			r.append(text, true)
		}
		if !found {
			return s.inside && s.depth == 0
		}
		tag, after, ok := cutMarkup(after)
		if !ok {
			return false
		}
		rest = after
		switch {
		case tag == nil: // a comment, a declaration
		case bytes.HasPrefix(tag, []byte(cdata)):
			if s.open != "" && s.wanted {
				r.append(tag[len(cdata):], false)
			}
		case tag[0] == '/':
			if s.depth--; s.depth < 0 {
				return false
			}
			s.end(tag[1:])
		default:
			s.begin(tag)
		}
	}
}

// A settingsScan is how far a document of settings was read.
type settingsScan struct {
	*settingsReader
	open, index      string // the element that is open, if it may be a setting
	readOnly, wanted bool   // of it
	inside           bool   // <phone-settings> was read
	depth            int    // of elements
}

// begin takes the tag that begins an element, without its angle brackets.
func (s *settingsScan) begin(tag []byte) {
	body, closed := bytes.CutSuffix(tag, []byte("/"))
	name, attributes := cutName(body)
	if !closed {
		s.depth++
	}
	s.open = ""
	if string(name) == "phone-settings" {
		s.inside = true
		return
	}
	if !s.inside {
		return
	}
	perm, _ := xmlAttribute(attributes, "perm", maxSettingName)
	s.index, _ = xmlAttribute(attributes, "idx", maxSettingName)
	s.readOnly = perm == "R" || perm == "&" // Snom wiki, PERMISSIONFLAG
	if string(name) == "fkey" {
		s.labels(attributes, s.index, s.readOnly)
	}
	s.value = s.value[:0]
	s.wanted = s.needs(string(name) + s.index)
	if elsewhere, _ := xmlAttribute(attributes, "value", 1); s.wanted && elsewhere != "" {
		s.twice = shownName(string(name), s.index) // the value is not where it is read
	}
	if closed {
		s.add(shownName(string(name), s.index), string(name)+s.index, s.readOnly, 1)
		return
	}
	s.open = string(name)
}

// end takes the name in the tag that ends an element.
func (s *settingsScan) end(name []byte) {
	if s.open != "" && string(bytes.TrimSpace(name)) == s.open {
		s.add(shownName(s.open, s.index), s.open+s.index, s.readOnly, 2)
	}
	s.open = ""
}

// labels takes the labels of a function key, which are attributes of its element (service.snom.com, <functionKeys> tag;
// short_label: nemerald-voip/fspbx).
func (r *settingsReader) labels(attributes []byte, index string, readOnly bool) {
	for _, one := range []struct{ attribute, setting string }{{"label", "fkey_label"}, {"short_label", "fkey_short_label"}} {
		value, ok := xmlAttribute(attributes, one.attribute, maxShown)
		if !ok {
			continue
		}
		r.value = append(r.value[:0], value...)
		r.add(shownName(one.setting, index), one.setting+index, readOnly, 1)
	}
}

func shownName(name, index string) string {
	if index == "" {
		return name
	}
	return name + "[" + index + "]"
}

const cdata = "![CDATA["

// cutMarkup returns the markup that begins with a bracket, which is gone already, and what follows it. It is nil for
// a comment and a declaration. Of a CDATA section it is the section without its end.
func cutMarkup(s []byte) (tag, after []byte, ok bool) {
	for _, m := range []struct {
		begin, end string
		keep       bool
	}{{"!--", "-->", false}, {cdata, "]]>", true}, {"?", "?>", false}, {"!", ">", false}} {
		if bytes.HasPrefix(s, []byte(m.begin)) {
			tag, after, ok = bytes.Cut(s, []byte(m.end))
			if !m.keep {
				tag = nil
			}
			return tag, after, ok
		}
	}
	quote := byte(0)
	for i, c := range s {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '<':
			return nil, nil, false
		case c == '>':
			return s[:i], s[i+1:], i > 0
		}
	}
	return nil, nil, false
}

// cutName returns the name that a tag begins with, and its attributes.
func cutName(tag []byte) (name, attributes []byte) {
	if i := bytes.IndexAny(tag, " \t\r\n"); i >= 0 {
		return tag[:i], tag[i:]
	}
	return tag, nil
}

// xmlAttribute returns the value of an attribute, of which most bytes are read; false: there is none.
func xmlAttribute(attributes []byte, name string, most int) (text string, ok bool) {
	for rest := attributes; ; {
		begin, after, found := bytes.Cut(rest, []byte("="))
		after = bytes.TrimLeft(after, " \t\r\n")
		if !found || len(after) == 0 || after[0] != '"' && after[0] != '\'' {
			return "", false
		}
		value, more, _ := bytes.Cut(after[1:], after[:1])
		if string(bytes.TrimSpace(begin)) == name {
			return html.UnescapeString(string(value[:min(len(value), most)])), true
		}
		rest = more
	}
}

// scanSettingsText reads lines of name, flag, colon and value, the format of settings files before XML (Snom
// wiki, Features/Mass Deployment/Setting Files): "language!: English". & says that a setting is read-only. A line
// without a flag counts only where it was asked for, or another setting of its family. It reports whether there
// are such lines. That settings.htm looks so is inferred.
func scanSettingsText(page []byte, r *settingsReader) bool {
	for rest := page; len(rest) > 0; {
		var line []byte
		line, rest = cutLine(rest)
		line = bytes.TrimLeft(line, " \t")
		end := 0
		for end < len(line) && end < maxSettingName && (isSettingByte(line[end]) || end > 0 && (line[end] == '-' || line[end] == '[' || line[end] == ']')) {
			end++
		}
		if end == 0 || isDigit(line[0]) || line[0] == '_' {
			continue
		}
		name, after := string(line[:end]), line[end:]
		flag := byte(0)
		switch {
		case bytes.HasPrefix(after, []byte("&amp;")):
			flag, after = '&', after[len("&amp;"):]
		case len(after) > 0 && (after[0] == '!' || after[0] == '&' || after[0] == '$'):
			flag, after = after[0], after[1:]
		}
		value, ok := bytes.CutPrefix(bytes.TrimLeft(after, " \t"), []byte(":"))
		if _, asked := r.families[family(plainName(name))]; !ok || flag == 0 && !asked {
			continue
		}
		r.value = r.value[:0]
		r.append(value, true)
		r.add(name, plainName(name), flag == '&', 1)
		if plain := plainName(name); !r.all && len(bytes.TrimSpace(value)) == 0 && r.needs(plain) && continues(rest) {
			r.twice = name // empty, and what follows
		}
	}
	return r.count > 0
}

// continues reports whether the next line that is not empty looks like the value of the setting before it: it begins with a
// blank, or is a URL, and is no setting itself.
func continues(rest []byte) bool {
	for len(rest) > 0 {
		var line []byte
		line, rest = cutLine(rest)
		text := bytes.TrimSpace(line)
		if len(text) == 0 {
			continue
		}
		name, value, _ := bytes.Cut(text, []byte(":"))
		url := bytes.HasPrefix(value, []byte("//"))
		name = bytes.TrimRight(name, "!&$ \t")
		setting := !url && len(name) > 0 && len(name) < len(text) && !bytes.ContainsFunc(name, func(r rune) bool {
			return r > 'z' || !isSettingByte(byte(r)) && r != '-' && r != '[' && r != ']'
		})
		return url || !setting && (line[0] == ' ' || line[0] == '\t')
	}
	return false
}

// cutLine returns what stands before the next line end or tag, and what follows that.
func cutLine(s []byte) (line, after []byte) {
	for from := 0; ; {
		i := bytes.IndexAny(s[from:], "\r\n<")
		if i < 0 {
			return s, nil
		}
		i += from
		if s[i] != '<' {
			return s[:i], s[i+1:]
		}
		if end := bytes.IndexAny(s[i+1:], "<>\n"); end >= 0 && s[i+1+end] == '>' {
			return s[:i], s[i+end+2:]
		}
		from = i + 1
	}
}

const (
	// maxSetting bounds the value of a setting that is written, in bytes. An action URL has about five hundred.
	maxSetting = 1 << 10
	// maxSettingName bounds the name of a setting, in bytes.
	maxSettingName = 64
)

// SettingsStep returns the request that writes settings and keeps them over a restart. The number of an identity may stand in brackets: "dnd_mode[1]".
// A phone in user mode refuses it; one whose setting is read-only accepts it and keeps the value that it has, so
// the settings should be read back.
func (c *Client) SettingsStep(settings map[string]string) (Step, error) {
	if len(settings) == 0 {
		return Step{}, errors.New("snom: settings: expected at least one")
	}
	target := []byte(saveSettings)
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		plain, value := plainName(name), settings[name]
		err := checkSettingName(name)
		switch {
		case err != nil:
			return Step{}, err
		case badValue(value):
			return Step{}, fmt.Errorf("snom: setting %s: expected at most %d bytes of UTF-8 without control characters", name, maxSetting)
		case plain == "action_blacklist_url" && value != "":
			return Step{}, fmt.Errorf("snom: setting %s: it makes the phone reject calls silently, and is never set", name)
		}
		target = appendSetting(target, plain, value)
	}
	if len(target) > maxTarget {
		return Step{}, fmt.Errorf("snom: settings: expected at most %d bytes in one request, not %d", maxTarget, len(target))
	}
	return Step{Request: string(target)}, nil
}

// SaveSettings writes settings with one request: see [Client.SettingsStep]. The errors are those of [Client.Send].
func (c *Client) SaveSettings(ctx context.Context, settings map[string]string) error {
	step, err := c.SettingsStep(settings)
	if err != nil {
		return err
	}
	_, err = c.Send(ctx, step)
	return err
}

// checkSettingName reports what is wrong with the name of a setting.
func checkSettingName(name string) error {
	plain := plainName(name)
	odd := func(r rune) bool { return r >= utf8.RuneSelf || !isSettingByte(byte(r)) }
	if plain == "" || len(plain) > maxSettingName || plain[0] < 'a' || strings.ContainsFunc(plain, odd) {
		return fmt.Errorf("snom: setting %q: expected a name of at most %d small letters, digits and _", cleantext.Clean(name, maxSettingName), maxSettingName)
	}
	return nil
}

// badValue reports whether a setting cannot be given that value.
func badValue(value string) bool {
	return len(value) > maxSetting || !utf8.ValidString(value) || strings.ContainsFunc(value, isControl)
}
