package snom

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of the announce command. They are those of this package.
const (
	maxRepeat = 10
	minGain   = -40
	maxGain   = 20
	maxVoice  = 128 // characters
	maxURL    = 2048
)

// announceRow is the row of the command announce. It makes no request to the phone, which plays what comes to its multicast
// address: Snom KB page 17367756, "Multicast announcements".
func announceRow() *verbRow {
	return &verbRow{
		verb: VerbAnnounce,
		help: VerbHelp{
			Summary: "plays a sound file, or speaks a text, at a multicast address",
			Plain:   "an http or https URL of a WAV, MP3 or FLAC file, or text to speak; nothing ends what is played",
			JSON: "url, or text; voice: with text, one of the speech program's; chime: true for a tone first; repeat: 1 (default) to 10; " +
				"gain_db: -40 to 20, default 0",
			Request:     "none; RTP (PCMU, a packet every 20 ms) to the address that `paging` names",
			Source:      "Snom KB, multicast announcements",
			Example:     "announce Dinner is ready",
			ExampleJSON: `{"text":"Dinner is ready"}`,
		},
		parse:   parsed(parseAnnouncement),
		read:    readAnnouncement,
		members: []string{"url", "text", "voice", "chime", "repeat", "gain_db"},
		paged:   true,
	}
}

// An Announcement is the argument of an announce command: a sound file, or text to speak. The zero Announcement ends what
// is played. Announcements are comparable.
type Announcement struct {
	URL    string // http or https; empty: Text is spoken
	Text   string
	Voice  string  // of the speech program; empty: its default
	Chime  bool    // a tone first
	Repeat int     // how often it is played, from 1; 0 in the zero Announcement only
	GainDB float64 // louder, or softer when negative
}

// Announce returns the command that plays the file of an http or https URL, or speaks a text.
func Announce(urlOrText string) (Command, error) { return fromPlain(VerbAnnounce, urlOrText) }

// EndAnnouncement returns the command that ends what is announced.
func EndAnnouncement() Command { return made(VerbAnnounce, Announcement{}) }

// Announcement returns the argument of an announce command.
func (c Command) Announcement() (Announcement, bool) {
	a, ok := c.arg.(Announcement)
	return a, ok
}

// Paged reports whether v makes no request to the phone, but is carried out at the phone's multicast address.
func (v Verb) Paged() bool {
	row := v.row()
	return row != nil && row.paged
}

// Ends reports whether a ends what is played, and plays nothing.
func (a Announcement) Ends() bool { return a == Announcement{} }

const (
	expectedAnnouncement = "an http or https URL, or text to speak"
	expectedSpeech       = "text to speak, with at least one letter or digit"
	expectedSound        = "an http or https URL without a user, of at most 2048 bytes"
)

func parseAnnouncement(text string) (Announcement, *SyntaxError) {
	switch {
	case text == "":
		return Announcement{}, nil
	case hasScheme(strings.TrimSpace(text)):
		u, err := parseSound(text)
		return Announcement{URL: u, Repeat: 1}, err
	}
	spoken, err := parseSpeech(text)
	if err != nil {
		err.Expected = expectedAnnouncement
	}
	return Announcement{Text: spoken, Repeat: 1}, err
}

// hasScheme reports whether text begins like a URL with an authority. No text to speak does.
func hasScheme(text string) bool {
	scheme, _, ok := strings.Cut(text, "://")
	return ok && scheme != "" && strings.Trim(strings.ToLower(scheme), "abcdefghijklmnopqrstuvwxyz0123456789+-.") == ""
}

// parseSound reads the URL of a sound file. A user name in it would be shown wherever the argument is.
func parseSound(text string) (string, *SyntaxError) {
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "", u.User != nil, len(text) > maxURL,
		strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f || r == utf8.RuneError }):
		return "", fault(0, expectedSound)
	}
	return text, nil
}

// parseSpeech reads text to speak. White space of all kinds is one blank.
func parseSpeech(text string) (string, *SyntaxError) {
	for i, r := range text {
		if r == utf8.RuneError || unicode.IsControl(r) && !unicode.IsSpace(r) {
			return "", fault(i, "text to speak, in UTF-8 and without control characters")
		}
	}
	if !strings.ContainsFunc(text, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }) {
		return "", fault(0, expectedSpeech)
	}
	return strings.Join(strings.Fields(text), " "), nil
}

func readAnnouncement(m *members) argument {
	if len(m.object) == 0 {
		return Announcement{}
	}
	a := Announcement{Repeat: 1}
	switch {
	case m.has("url") && m.has("text"):
		m.refuse("text", "url or text, not both")
	case m.has("url"):
		text, _ := m.text("url")
		u, err := parseSound(text)
		m.check("url", text, err)
		a.URL = u
	default:
		m.need("text", "url or text")
		text, _ := m.text("text")
		spoken, err := parseSpeech(text)
		m.check("text", text, err)
		a.Text = spoken
	}
	if voice, given := m.text("voice"); given {
		a.Voice = voice
		if a.URL != "" {
			m.refuse("voice", "no voice with url")
		}
		if voice == "" || utf8.RuneCountInString(voice) > maxVoice || strings.ContainsFunc(voice, unicode.IsControl) || !utf8.ValidString(voice) {
			m.check("voice", voice, fault(0, "the name of a voice, of at most 128 characters"))
		}
	}
	if m.has("chime") {
		var ok bool
		if a.Chime, ok = m.boolean("chime"); !ok {
			m.refuse("chime", "true or false, without quotes")
		}
	}
	if n, given := m.whole("repeat", 1, maxRepeat); given {
		a.Repeat = n
	}
	if raw, given := m.object["gain_db"]; given && m.err == nil {
		var ok bool
		if a.GainDB, ok = decibels(raw); !ok {
			m.check("gain_db", string(raw), fault(0, "a number from -40 to 20, without quotes"))
		}
	}
	return a
}

// decibels reads a number of decibels, in tenths.
func decibels(raw json.RawMessage) (float64, bool) {
	var v float64
	if json.Unmarshal(raw, &v) != nil || string(raw) == "null" || v < minGain || v > maxGain {
		return 0, false
	}
	v, err := strconv.ParseFloat(strconv.FormatFloat(v, 'f', 1, 64), 64)
	return v + 0, err == nil // and no negative zero
}

func (a Announcement) text() string {
	plain := a
	plain.URL, plain.Text = "", ""
	if (plain == Announcement{} || plain == Announcement{Repeat: 1}) && !strings.HasPrefix(a.Text, "{") && !hasScheme(a.Text) {
		return a.URL + a.Text
	}
	var b strings.Builder
	add := func(name, value string) {
		b.WriteString(`,"` + name + `":` + value)
	}
	for _, t := range []struct{ name, value string }{{"url", a.URL}, {"text", a.Text}, {"voice", a.Voice}} {
		if t.value != "" {
			add(t.name, jsonText(t.value))
		}
	}
	if a.Chime {
		add("chime", "true")
	}
	if a.Repeat != 1 {
		add("repeat", strconv.Itoa(a.Repeat))
	}
	if a.GainDB != 0 {
		add("gain_db", strconv.FormatFloat(a.GainDB, 'f', -1, 64))
	}
	return "{" + b.String()[1:] + "}"
}

// jsonText writes text as JSON does, with &, < and > as they are.
func jsonText(text string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // text never fails
	return strings.TrimSuffix(b.String(), "\n")
}

// errPaged says why a client does not carry out an announcement.
var errPaged = fmt.Errorf("%w: an announcement is no request to the phone: it goes to a multicast address", ErrUnsupported)

// steps is none: the phone is not asked for anything.
func (a Announcement) steps(Dialect) []Step { return nil }
