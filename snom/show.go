package snom

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/snom2mqtt/snom2mqtt/internal/strictjson"
)

// Bounds of the show command, chosen by this project. Snom says that a menu goes to 100 lines (Snom wiki, Xmlobjects).
const (
	maxTitle        = 200  // bytes
	maxShownText    = 4096 // bytes
	maxLabel        = 200  // bytes
	maxChoice       = 64   // bytes
	maxItems        = 100  // of a menu
	maxShowSeconds  = 3600
	maxImageURL     = 2048
	defaultShowTime = 10 * time.Second
)

// MaxShowPayload is the longest text of a show command, which may hold a picture.
const MaxShowPayload = 256 << 10

// showRow is the row of the command show.
func showRow() *verbRow {
	return &verbRow{
		verb: VerbShow,
		help: VerbHelp{
			Summary: "shows a text, a picture, a menu or an input on the display",
			Plain:   "the text; nothing closes what is shown",
			JSON: "title; text; image: a URL, or base64 of a PNG, JPEG or BMP file; duration: 1 to 3600 seconds, default 10, or hold: true; " +
				"menu: a list of label and choice; input: prompt, kind (text, number, phone or pin), choice, and pin_file for a pin; " +
				"buttons: label and choice by key, F1 to F4",
			Request:     "/minibrowser.htm?url=…",
			Source:      "Snom wiki Category:HowTo:Minibrowser; docs.snom.io",
			Example:     "show The washing machine is done",
			ExampleJSON: `{"text":"The washing machine is done"}`,
		},
		parse:      parsed(parseShow),
		read:       readShow,
		members:    []string{"title", "text", "image", "duration", "hold", "menu", "input", "buttons"},
		maxPayload: MaxShowPayload,
		displays:   true,
	}
}

// A Show is what a show command shows. The zero Show closes what is shown.
type Show struct {
	Title, Text string
	ImageURL    string        // where the picture is; empty: none, or Image has it
	Image       []byte        // a PNG, JPEG or BMP file
	Duration    time.Duration // how long; zero where Hold is set
	Hold        bool          // until it is closed
	Menu        []Choice
	Input       Input
	Buttons     []Button
}

// Closes reports whether s shows nothing, and closes what is shown.
func (s Show) Closes() bool {
	return s.Title == "" && s.Text == "" && s.ImageURL == "" && s.Image == nil && len(s.Menu) == 0 && s.Input == Input{} && len(s.Buttons) == 0
}

// Choices returns what can be chosen, but for what is typed.
func (s Show) Choices() bool { return len(s.Menu)+len(s.Buttons) > 0 }

// A Choice is an item of a menu: what it is called, and what an event says when it was chosen.
type Choice struct{ Label, Choice string }

// A Button is a key with a label while a page is shown.
type Button struct {
	Key string
	Choice
}

// An InputKind says what can be typed.
type InputKind string

// The kinds of input. What is typed into one of [InputPIN] is compared and never reported.
const (
	InputText   InputKind = "text"
	InputNumber InputKind = "number"
	InputPhone  InputKind = "phone"
	InputPIN    InputKind = "pin"
)

// Takes reports whether a text is what an input of this kind asks for: a number has digits, perhaps a sign before them and a point or a
// comma between them, and a phone number what can be dialed. What phones let people type into these inputs, and how, depends on
// the phone: none keeps letters out in every mode (docs.snom.io, SnomIPPhoneInput).
func (k InputKind) Takes(text string) bool {
	const digits = "0123456789"
	switch k {
	case InputNumber:
		text = strings.TrimLeft(text[:min(1, len(text))], "+-") + text[min(1, len(text)):]
		whole, part, divided := strings.Cut(strings.Replace(text, ",", ".", 1), ".")
		return whole != "" && strings.Trim(whole, digits) == "" && strings.Trim(part, digits) == "" && divided == (part != "")
	case InputPhone:
		return strings.ContainsAny(text, digits+"*#") && strings.Trim(text, digits+"*#+-./() ") == ""
	}
	return true
}

// An Input asks for a text. The zero Input: none.
type Input struct {
	Prompt  string
	Kind    InputKind
	Choice  string
	PINFile string // of InputPIN: the name of the file with the right one
}

// Show returns what c shows, if it is a show command.
func (c Command) Show() (Show, bool) {
	a, ok := c.arg.(show)
	if !ok {
		return Show{}, false
	}
	return a.decoded(), true
}

// ShowText returns the command that shows a text for ten seconds.
func ShowText(text string) (Command, error) {
	return VerbShow.Command(strictjson.Object{"text": quoted(text)})
}

// CloseDisplay returns the command that closes what is shown.
func CloseDisplay() Command { return made(VerbShow, show("")) }

// A show is the argument of a show command: its canonical form. A Show cannot be compared.
type show string

func (s show) text() string { return string(s) }

// steps returns none: what the phone is asked names a page that only the program which serves it knows.
func (show) steps(Dialect) []Step { return nil }

// shown is the argument without the bytes of a picture.
func (s show) shown() string {
	if len(s) < maxShownText {
		return string(s)
	}
	d := s.decoded()
	if d.Image == nil {
		return string(s)
	}
	size := "(a picture of " + strconv.Itoa(len(d.Image)) + " bytes)"
	d.Image = nil
	return string(d.canonical(size))
}

// decoded reads the canonical form.
func (s show) decoded() Show {
	if !strings.HasPrefix(string(s), "{") {
		if s == "" {
			return Show{}
		}
		return Show{Text: string(s), Duration: defaultShowTime}
	}
	object, err := strictjson.Parse([]byte(s))
	if err != nil {
		return Show{} // canonical made it
	}
	m := members{object: object}
	return m.show()
}

func parseShow(text string) (show, *SyntaxError) {
	switch {
	case !utf8.ValidString(text):
		return "", fault(validUpTo(text), "text in UTF-8")
	case len(text) > maxShownText:
		return "", fault(maxShownText, "a text of at most "+strconv.Itoa(maxShownText)+" bytes")
	}
	return show(text), nil
}

// validUpTo returns the offset of the first byte that is not UTF-8.
func validUpTo(text string) int {
	for i, r := range text {
		if r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD") {
			return i
		}
	}
	return len(text)
}

func readShow(m *members) argument {
	s := m.show()
	if m.err != nil || s.Closes() {
		return show("")
	}
	return s.canonical("")
}

// show reads the members of a show command.
func (m *members) show() Show {
	var s Show
	s.Title = m.short("title", maxTitle)
	s.Text = m.short("text", maxShownText)
	m.image(&s)
	m.each("menu", func(place string, item json.RawMessage) {
		m.nested(place, item, []string{"label", "choice"}, func(item *members) { s.Menu = append(s.Menu, item.choice()) })
	})
	if len(s.Menu) > maxItems {
		m.refuse("menu", "at most "+strconv.Itoa(maxItems)+" items")
	}
	if raw, ok := m.object["input"]; ok {
		m.nested("input", raw, []string{"prompt", "kind", "choice", "pin_file"}, func(in *members) { s.Input = in.input() })
	}
	m.buttons(&s)
	m.time(&s)
	switch {
	case len(s.Menu) > 0 && s.Input != Input{}:
		m.refuse("input", "a menu or an input, not both")
	case (s.ImageURL != "" || s.Image != nil) && len(s.Menu) > 0:
		m.refuse("image", "a picture or a menu, not both")
	case (s.ImageURL != "" || s.Image != nil) && s.Input != Input{}:
		m.refuse("image", "a picture or an input, not both")
	}
	return s
}

// short reads a text of at most most bytes.
func (m *members) short(name string, most int) string {
	text, _ := m.text(name)
	if len(text) > most {
		m.refuse(name, "at most "+strconv.Itoa(most)+" bytes")
	}
	return text
}

// must reads a text that must be there and not be empty.
func (m *members) must(name, expected string, most int) string {
	m.need(name, expected)
	text := m.short(name, most)
	if strings.TrimSpace(text) == "" {
		m.refuse(name, expected)
	}
	return text
}

// choice reads label and choice, which is the label unless it is given.
func (m *members) choice() Choice {
	c := Choice{Label: m.must("label", "a label", maxLabel)}
	if !m.has("choice") {
		c.Choice = c.Label[:min(len(c.Label), maxChoice)]
		c.Choice = strings.ToValidUTF8(c.Choice, "")
		return c
	}
	c.Choice = m.must("choice", "what the event says", maxChoice)
	return c
}

// input reads an input.
func (m *members) input() Input {
	in := Input{Prompt: m.short("prompt", maxLabel), Kind: InputText, Choice: m.must("choice", "what the event says", maxChoice)}
	if kind, given := m.text("kind"); given {
		in.Kind = InputKind(kind)
		if !slices.Contains([]InputKind{InputText, InputNumber, InputPhone, InputPIN}, in.Kind) {
			m.refuse("kind", "text, number, phone or pin")
		}
	}
	switch {
	case in.Kind == InputPIN:
		in.PINFile = m.must("pin_file", "the name of a file with the PIN, beside the phones file", maxLabel)
		if m.err == nil && (in.PINFile[0] == '.' || strings.Trim(strings.ToLower(in.PINFile), "abcdefghijklmnopqrstuvwxyz0123456789._-") != "") {
			m.refuse("pin_file", "the name of a file, without a folder: letters, digits, dots, _ and -")
		}
	case m.has("pin_file"):
		m.refuse("pin_file", "pin_file with the kind pin only")
	}
	return in
}

// buttonKeys are the keys that may have a label while a page is shown (docs.snom.io, softkeys).
const buttonKeys = "F1 F2 F3 F4 0 1 2 3 4 5 6 7 8 9 * UP DOWN LEFT RIGHT ENTER"

// buttons reads the buttons in the order of buttonKeys.
func (m *members) buttons(s *Show) {
	raw, ok := m.object["buttons"]
	if !ok {
		return
	}
	m.nested("buttons", raw, strings.Fields(buttonKeys), func(keys *members) {
		for key := range strings.FieldsSeq(buttonKeys) {
			if raw, ok := keys.object[key]; ok {
				keys.nested(key, raw, []string{"label", "choice"}, func(b *members) { s.Buttons = append(s.Buttons, Button{key, b.choice()}) })
			}
		}
	})
}

// time reads how long it is shown.
func (m *members) time(s *Show) {
	if m.has("hold") {
		hold, ok := m.boolean("hold")
		if !ok {
			m.refuse("hold", "true or false, without quotes")
		}
		s.Hold = hold
	}
	seconds, given := m.whole("duration", 1, maxShowSeconds)
	switch {
	case given && s.Hold:
		m.refuse("duration", "duration or hold, not both")
	case given:
		s.Duration = time.Duration(seconds) * time.Second
	case !s.Hold:
		s.Duration = defaultShowTime
	}
}

// image reads the picture: a URL, or a file in base64.
func (m *members) image(s *Show) {
	text, given := m.text("image")
	if !given || text == "" {
		return
	}
	if u, err := url.Parse(text); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
		if u.Host == "" || u.User != nil || len(text) > maxImageURL || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7F }) {
			m.refuse("image", "an http or https URL of at most "+strconv.Itoa(maxImageURL)+" visible ASCII characters, without a user name and password")
			return
		}
		s.ImageURL = text
		return
	}
	if rest, ok := strings.CutPrefix(text, "data:image/"); ok {
		_, text, _ = strings.Cut(rest, ";base64,")
	}
	text = strings.NewReplacer("\r", "", "\n", "", " ", "").Replace(text)
	file, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		file, err = base64.RawStdEncoding.DecodeString(text)
	}
	if err != nil || !bytes.HasPrefix(file, []byte("\x89PNG")) && !bytes.HasPrefix(file, []byte("\xff\xd8")) && !bytes.HasPrefix(file, []byte("BM")) {
		m.refuse("image", "an http or https URL, or base64 of a PNG, JPEG or BMP file")
		return
	}
	s.Image = file
}

// canonical returns the canonical form: the text alone where there is nothing else, and JSON otherwise. picture stands for
// the image, unless it is empty.
func (s Show) canonical(picture string) show {
	if s.Text != "" && !strings.HasPrefix(strings.TrimLeft(s.Text, strictjson.White), "{") && s.Title == "" && s.Duration == defaultShowTime &&
		s.ImageURL == "" && s.Image == nil && picture == "" && !s.Choices() && s.Input == (Input{}) {
		return show(s.Text)
	}
	type label struct {
		Label  string `json:"label"`
		Choice string `json:"choice"`
	}
	type input struct {
		Prompt  string    `json:"prompt,omitempty"`
		Kind    InputKind `json:"kind"`
		Choice  string    `json:"choice"`
		PINFile string    `json:"pin_file,omitempty"`
	}
	form := struct {
		Title    string           `json:"title,omitempty"`
		Text     string           `json:"text,omitempty"`
		Image    string           `json:"image,omitempty"`
		Duration int              `json:"duration,omitempty"`
		Hold     bool             `json:"hold,omitempty"`
		Menu     []label          `json:"menu,omitempty"`
		Input    *input           `json:"input,omitempty"`
		Buttons  map[string]label `json:"buttons,omitempty"`
	}{Title: s.Title, Text: s.Text, Image: s.ImageURL + picture, Hold: s.Hold}
	if s.Image != nil {
		form.Image = base64.StdEncoding.EncodeToString(s.Image)
	}
	if s.Duration != defaultShowTime {
		form.Duration = int(s.Duration / time.Second)
	}
	for _, c := range s.Menu {
		form.Menu = append(form.Menu, label(c))
	}
	if s.Input != (Input{}) {
		in := input(s.Input)
		form.Input = &in
	}
	for _, b := range s.Buttons {
		if form.Buttons == nil {
			form.Buttons = map[string]label{}
		}
		form.Buttons[b.Key] = label(b.Choice)
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(form); err != nil {
		panic("snom: " + err.Error()) // texts and numbers: there is nothing to fail
	}
	return show(strings.TrimSuffix(out.String(), "\n"))
}
