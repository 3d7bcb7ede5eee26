// Package minibrowser makes the XML documents that the minibrowser of Snom desk phones shows: texts, menus, inputs,
// pictures, lights, and what a phone does by itself after a time.
//
// A document is made from values by an XML encoder, never by joining texts. What a phone does with a link stands in a
// [Target], and only this package makes those: no text becomes a link, a command of the phone or a callback. The
// elements are those of docs.snom.io and wiki.snom.com/Xmlobjects; what is not confirmed on a phone says so.
package minibrowser

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// ContentType is that of every document.
const ContentType = "text/xml; charset=utf-8"

// Names is how a firmware calls the main elements: what stands before Text, Menu and the others.
type Names string

// The names of main elements.
const (
	NamesSnom  Names = "SnomIPPhone" // every firmware (docs.snom.io)
	NamesPlain Names = "IPPhone"     // since 10.1.82.0 (Snom wiki, XML+Minibrowser)
)

// NamesFor returns the names for a firmware such as "10.1.184.14". One that is not known gets the older names, which every
// firmware takes.
func NamesFor(firmware string) Names {
	since := [3]int{10, 1, 82}
	parts := strings.Split(firmware, ".")
	for i, least := range since {
		if i >= len(parts) {
			return NamesSnom
		}
		n, err := strconv.Atoi(parts[i])
		if err != nil || n < least {
			return NamesSnom
		}
		if n > least {
			return NamesPlain
		}
	}
	return NamesPlain
}

// A Main is a main element, the only one of its document: [Text], [Menu], [Input], [Image], [ImageFile], [Directory],
// [Silent], and [Batch], which holds several others.
type Main interface {
	encode(e *encoder)
}

// Encode returns page as a document with the names of one generation of firmware. Equal pages make equal documents. The
// error says which value is missing.
func Encode(names Names, page Main) ([]byte, error) {
	var buf bytes.Buffer
	buf.WriteString(xml.Header)
	e := &encoder{names: names, xml: xml.NewEncoder(&buf)}
	page.encode(e)
	if e.err == nil {
		e.err = e.xml.Flush()
	}
	if e.err != nil {
		return nil, fmt.Errorf("minibrowser: %w", e.err)
	}
	return buf.Bytes(), nil
}

// encoder writes elements. The first error is kept.
type encoder struct {
	names Names
	xml   *xml.Encoder
	err   error
}

// An attribute of an element; one without a value is left out.
type attribute struct{ name, value string }

// element writes an element with what inside writes.
func (e *encoder) element(name string, inside func(), attributes ...attribute) {
	start := xml.StartElement{Name: xml.Name{Local: name}}
	for _, a := range attributes {
		if a.value != "" {
			start.Attr = append(start.Attr, xml.Attr{Name: xml.Name{Local: a.name}, Value: line(a.value)})
		}
	}
	e.token(start)
	if inside != nil {
		inside()
	}
	e.token(start.End())
}

// main writes a main element.
func (e *encoder) main(kind string, c *Common, inside func(), attributes ...attribute) {
	attributes = append(c.attributes(), attributes...)
	e.element(string(e.names)+kind, func() {
		inside()
		c.encode(e)
	}, attributes...)
}

// text writes an element with a text of one line.
func (e *encoder) text(name, text string, attributes ...attribute) {
	e.element(name, func() { e.token(xml.CharData(line(text))) }, attributes...)
}

// number writes an element with a number.
func (e *encoder) number(name string, n int) {
	e.element(name, func() { e.token(xml.CharData(strconv.Itoa(n))) })
}

// target writes an element with a target.
func (e *encoder) target(name string, t Target, attributes ...attribute) {
	if t.address == "" {
		e.fail(name + ": expected a target")
	}
	e.element(name, func() { e.token(xml.CharData(t.address)) }, attributes...)
}

func (e *encoder) token(t xml.Token) {
	if e.err == nil {
		e.err = e.xml.EncodeToken(t)
	}
}

func (e *encoder) fail(why string) {
	if e.err == nil {
		e.err = errors.New(why)
	}
}

// line returns text as one line without anything that a phone evaluates: control characters become spaces, and $( and $[,
// which begin a callback (docs.snom.io, callbacks), are separated by one.
func line(text string) string {
	clean := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	return apart.Replace(clean)
}

// apart and lineEnds are what line and lines replace.
var (
	apart    = strings.NewReplacer("$(", "$ (", "$[", "$ [")
	lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")
)

// lines writes text with an element br for each line end.
func (e *encoder) lines(text string) {
	text = lineEnds.Replace(text)
	for i, one := range strings.Split(text, "\n") {
		if i > 0 {
			e.element("br", nil)
		}
		e.token(xml.CharData(line(one)))
	}
}

// State says which keys reach the phone beneath while a page is open (docs.snom.io, MainAttributes).
type State string

// The states of a main element.
const (
	StateDefault  State = ""                 // only_mb: keys stay in the minibrowser
	StateRelevant State = "relevant"         // keys reach the phone beneath, too; what lets a key of a silent page act
	StateOthers   State = "others_except_mb" // keys reach the phone beneath only
)

// Common is what every main element may have.
type Common struct {
	DocumentID string // document_id: names the document
	ID         string // id: in a [Batch], what a page behind the first is found by
	Title      string
	State      State
	Untraced   bool // the page is not in the history that the key Back goes through
	Scroll     bool // with a scroll bar
	Fetch      Fetch
	LEDs       []LED
	Keys       []SoftKey
	When       []Case // further elements, by conditions
	Repeat     *Repeat
}

func (c *Common) attributes() []attribute {
	list := []attribute{{"id", c.ID}, {"document_id", c.DocumentID}, {"state", string(c.State)}}
	if c.Untraced {
		list = append(list, attribute{"track", "no"})
	}
	if c.Scroll {
		list = append(list, attribute{"has_scrollbar", "true"})
	}
	return list
}

// title writes the title, where there is one.
func (c *Common) title(e *encoder) {
	if c.Title != "" {
		e.text("Title", c.Title)
	}
}

// encode writes what stands behind the content of the element.
func (c *Common) encode(e *encoder) {
	for _, l := range c.LEDs {
		l.encode(e)
	}
	for _, k := range c.Keys {
		k.encode(e)
	}
	encodeCases(e, c.When)
	if c.Repeat != nil {
		c.Repeat.encode(e)
	}
	c.Fetch.encode(e)
}

// Fetch is what the phone requests by itself after a time. The zero Fetch: nothing.
type Fetch struct {
	After  time.Duration // at least a millisecond: as soon as possible; no clock, and the least time depends on the model
	Target Target
}

// CloseAfter closes the page after a time.
func CloseAfter(d time.Duration) Fetch { return Fetch{d, Close()} }

func (f Fetch) encode(e *encoder) {
	if f.Target.address != "" {
		e.target("fetch", f.Target, attribute{"mil", strconv.FormatInt(max(1, f.After.Milliseconds()), 10)})
	}
}

// A SoftKey gives a key something to do while the page is open: it follows a target, or acts as another key.
type SoftKey struct {
	Name   string // "F1" to "F4", a digit, "*", or one of the other keys that docs.snom.io lists
	Label  string
	Target Target
	As     string // the name of a key event, such as F_MINIBROWSER_BACK, instead of Target
}

func (k SoftKey) encode(e *encoder) {
	e.element("SoftKeyItem", func() {
		e.text("Name", k.Name)
		e.text("Label", k.Label)
		if k.As != "" {
			e.text("SoftKey", k.As)
			return
		}
		e.target("URL", k.Target, attribute{"track", "no"})
	})
}

// Text shows a text, and perhaps a picture.
type Text struct {
	Common
	Text    string // line ends are kept
	X, Y    int    // where it begins, if not zero; the top bar has 23 pixels
	Picture *Picture
}

// A Picture is a picture in a [Text].
type Picture struct {
	Target        Target
	X, Y          int
	Width, Height int
}

func (t Text) encode(e *encoder) {
	e.main("Text", &t.Common, func() {
		t.title(e)
		if t.X != 0 || t.Y != 0 {
			e.number("LocationX", t.X)
			e.number("LocationY", t.Y)
		}
		e.element("Text", func() { e.lines(t.Text) })
		if p := t.Picture; p != nil {
			e.element("Image", func() {
				e.number("LocationX", p.X)
				e.number("LocationY", p.Y)
				e.target("Url", p.Target)
				e.number("width", p.Width)
				e.number("height", p.Height)
			})
		}
	})
}

// Menu shows a list to choose from.
type Menu struct {
	Common
	Select bool // a digit chooses an item at once
	Items  []Item
}

// An Item is an entry of a [Menu], with a target or a menu of its own.
type Item struct {
	Name     string
	Target   Target
	Selected bool
	Items    []Item // of its own menu, which needs no request
}

func (m Menu) encode(e *encoder) {
	var at []attribute
	if m.Select {
		at = append(at, attribute{"speedselect", "enter"})
	}
	e.main("Menu", &m.Common, func() {
		m.title(e)
		encodeItems(e, m.Items)
	}, at...)
}

func encodeItems(e *encoder, items []Item) {
	for _, item := range items {
		if len(item.Items) > 0 {
			e.element("Menu", func() { encodeItems(e, item.Items) }, attribute{"name", nameOf(item)})
			continue
		}
		at := []attribute{{"name", nameOf(item)}}
		if item.Selected {
			at = append(at, attribute{"sel", "true"})
		}
		e.element("MenuItem", func() { e.target("URL", item.Target, attribute{"track", "no"}) }, at...)
	}
}

// nameOf is the name of an item, which must be there.
func nameOf(item Item) string { return cmp.Or(item.Name, " ") }

// Typed is what stands in the target of an [Input] for what was typed.
const Typed = "__V__"

// A Kind is what can be typed into an [Input] (docs.snom.io, InputFlags).
type Kind string

// The kinds of input.
const (
	KindText     Kind = "a"
	KindPhone    Kind = "t"
	KindNumber   Kind = "n"
	KindUpper    Kind = "u"
	KindLower    Kind = "l"
	KindPassword Kind = "p"
	KindPIN      Kind = "pn"
)

// Input asks for a text. Its title is the prompt: a Title has no effect there.
type Input struct {
	Common
	Prompt  string
	Kind    Kind
	Default string
	Target  Target // holds [Typed]
}

func (i Input) encode(e *encoder) {
	if !strings.Contains(i.Target.address, Typed) {
		e.fail("Input: expected a target that holds " + Typed)
	}
	e.main("Input", &i.Common, func() {
		e.target("Url", i.Target)
		e.element("InputItem", func() {
			e.text("DisplayName", i.Prompt)
			e.text("InputToken", Typed)
			e.text("InputFlags", string(i.Kind))
			e.text("DefaultValue", i.Default)
		})
	})
}

// ImageFile shows a picture that the phone fetches: PNG, JPEG or BMP, at most twice as wide and high as the display.
type ImageFile struct {
	Common
	X, Y   int
	Target Target
}

func (i ImageFile) encode(e *encoder) {
	e.main("ImageFile", &i.Common, func() {
		i.title(e)
		e.number("LocationX", i.X)
		e.number("LocationY", i.Y)
		e.target("URL", i.Target)
	})
}

// Image shows a picture that stands in the document.
type Image struct {
	Common
	X, Y int
	Data []byte // a PNG, JPEG or BMP file
}

func (i Image) encode(e *encoder) {
	e.main("Image", &i.Common, func() {
		i.title(e)
		e.number("LocationX", i.X)
		e.number("LocationY", i.Y)
		e.element("Data", func() {
			var b strings.Builder
			w := base64.NewEncoder(base64.StdEncoding, &b)
			_, _ = io.Copy(w, bytes.NewReader(i.Data)) // a Builder takes everything
			_ = w.Close()
			e.token(xml.CharData(b.String()))
		}, attribute{"encoding", "base64"})
	})
}

// Directory shows names and numbers; choosing one calls it. Snom advises a [Menu] of [Dial] targets instead.
type Directory struct {
	Common
	Entries []Entry
}

// An Entry is one line of a [Directory].
type Entry struct{ Name, Number string }

func (d Directory) encode(e *encoder) {
	e.main("Directory", &d.Common, func() {
		d.title(e)
		for _, one := range d.Entries {
			e.element("DirectoryEntry", func() {
				e.text("Name", one.Name)
				e.text("Telephone", one.Number)
			})
		}
	})
}

// Silent opens nothing: it carries lights and a fetch. That lights in it are set is concluded from their place in other
// main elements, and was not confirmed on a phone.
type Silent struct{ Common }

func (s Silent) encode(e *encoder) { e.main("Silent", &s.Common, func() {}) }

// Batch holds several pages: the first is shown, the others, which need an ID, are reached by [Inside].
type Batch struct {
	Common
	Pages []Main
}

func (b Batch) encode(e *encoder) {
	e.main("Batch", &b.Common, func() {
		for _, p := range b.Pages {
			p.encode(e)
		}
	})
}

// A Case is elements that count where a condition is met. The cases of a list are alternatives: the first one whose
// condition is met counts; one without a condition is met always.
type Case struct {
	Condition Condition
	Keys      []SoftKey
	LEDs      []LED
}

// A Condition compares a setting of the phone with a value, letter by letter.
type Condition struct{ Setting, Value string }

func encodeCases(e *encoder, cases []Case) {
	for i, c := range cases {
		name := "Elif"
		switch {
		case i == 0:
			name = "If"
		case c.Condition.Setting == "":
			name = "Else"
		}
		start := xml.StartElement{}
		if c.Condition.Setting != "" {
			if !isCallback("set:" + c.Condition.Setting) {
				e.fail("condition: expected the name of a setting")
			}
			start.Attr = []xml.Attr{{Name: xml.Name{Local: "condition"}, Value: "$(set:" + c.Condition.Setting + ")==" + line(c.Condition.Value)}}
		}
		start.Name.Local = name
		e.token(start)
		for _, l := range c.LEDs {
			l.encode(e)
		}
		for _, k := range c.Keys {
			k.encode(e)
		}
		e.token(start.End())
	}
}

// Repeat writes soft keys once for each value: the phone puts the value where the token stands.
type Repeat struct {
	Token  string
	Values []string
	Key    SoftKey
}

func (r Repeat) encode(e *encoder) {
	e.element("Repeat", func() { r.Key.encode(e) }, attribute{"token", r.Token}, attribute{"values", strings.Join(r.Values, " ")})
}
