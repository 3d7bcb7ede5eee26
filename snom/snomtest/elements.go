package snomtest

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"encoding/binary"
	"image"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"github.com/snom2mqtt/snom2mqtt/internal/csvtable"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// An elementRule is what the documents of Snom and of its employees say of one element: a row of elements.csv. Names are in small
// letters. A main element is called by its kind with a star before it: *text for SnomIPPhoneText and IPPhoneText.
type elementRule struct {
	in      []string // what it stands in: names, "main" for every main element, "any" for all but text
	needs   []string // elements that it must hold: names, alternatives separated by |
	at      []string // attributes
	needsAt []string
	most    int    // of it in one element; 0: any number
	content string // the kind of its text: see checkContent
	place   int    // in the examples, elements of a lower place stand before it; 0: anywhere
}

//go:embed elements.csv
var elementsCSV string

// A grammar is elements.csv.
type grammar struct {
	elements map[string]elementRule
	values   map[string][]string // of attributes, "@" and its name, and of texts, "=" and the kind of content
}

var documentGrammar = sync.OnceValue(func() grammar {
	g := grammar{map[string]elementRule{}, map[string][]string{}}
	for _, r := range csvtable.Rows(elementsCSV) {
		if strings.HasPrefix(r[0], "@") || strings.HasPrefix(r[0], "=") {
			g.values[r[0]] = strings.Fields(r[6])
			continue
		}
		most, _ := strconv.Atoi(r[5])  // empty: any number
		place, _ := strconv.Atoi(r[7]) // empty: anywhere
		g.elements[r[0]] = elementRule{
			strings.Fields(r[1]), strings.Fields(r[2]), strings.Fields(r[3]), strings.Fields(r[4]), most, r[6], place,
		}
	}
	return g
})

// Bounds of documents.
const (
	// maxDocument bounds what is read of a document or a picture, in bytes.
	maxDocument = 1 << 20
	// largeDocument is what a document may have, in bytes. What the bound of phones is was not found: this one is chosen by this project.
	largeDocument = 256 << 10
	// maxMenu is how many items of a menu can be reached (Snom wiki, Xmlobjects: speedselect does not go past 100 lines).
	maxMenu = 100
)

// mainElements are the kinds of pages.
func mainElements() []string {
	return strings.Fields("text menu input image imagefile directory batch silent")
}

// ruleName is what an element is called in elements.csv.
func ruleName(name string) string {
	for _, prefix := range []string{"snomipphone", "ipphone"} {
		if kind, ok := strings.CutPrefix(name, prefix); ok && slices.Contains(mainElements(), kind) {
			return "*" + kind
		}
	}
	return name
}

// isCondition reports whether what stands in an element stands in the element around it in truth.
func isCondition(name string) bool {
	return slices.Contains(strings.Fields("if elif else repeat"), name)
}

// checkDocument objects to what the documents of Snom do not have. The caller holds the lock.
func (p *Phone) checkDocument(main element) {
	p.check(main, "", nil)
	if n := len(main.all("menuitem")); n > maxMenu {
		p.complain("a menu of %d items, of which %d can be reached", n, maxMenu)
	}
	if token := main.value("inputtoken"); token != "" && !strings.Contains(main.value("url"), token) {
		p.complain("an input whose URL does not hold its token")
	}
	if ruleName(main.name) != "*batch" {
		return
	}
	for i, one := range main.children {
		if i > 0 && one.at["id"] == "" {
			p.complain("%s in a batch without an id: only the first can be opened", one.name)
		}
	}
}

// check objects to what an element may not be or have. parent is what it stands in, and before its siblings that stand before it.
func (p *Phone) check(e element, parent string, before []element) {
	g, name := documentGrammar(), ruleName(e.name)
	rule, ok := g.elements[name]
	if !ok {
		p.complain("unknown element %s", e.name)
		return
	}
	p.checkPlace(e, rule, parent, before)
	p.checkAttributes(e, rule)
	p.checkContent(e, rule)
	if name == "image" && parent == "*text" {
		p.checkFrame(e)
	}
	for _, need := range rule.needs {
		if !slices.ContainsFunc(strings.Split(need, "|"), e.holds) {
			p.complain("%s without %s", e.name, strings.ReplaceAll(need, "|", " or "))
		}
	}
	inside := name
	if isCondition(name) {
		inside = parent
	}
	for i, c := range e.children {
		p.check(c, inside, e.children[:i])
	}
}

// holds reports whether an element of that name stands in e, or in conditions in it. "main" is every main element.
func (e element) holds(name string) bool {
	return slices.ContainsFunc(e.children, func(c element) bool {
		return c.name == name || name == "main" && strings.HasPrefix(ruleName(c.name), "*") || isCondition(c.name) && c.holds(name)
	})
}

// checkPlace objects to an element where it may not stand.
func (p *Phone) checkPlace(e element, rule elementRule, parent string, before []element) {
	name, main := ruleName(e.name), strings.HasPrefix(parent, "*")
	switch {
	case parent == "": // it is the document
	case parent == "*batch" && slices.Contains(rule.in, "batch"), slices.Contains(rule.in, parent),
		slices.Contains(rule.in, "main") && main && parent != "*batch", slices.Contains(rule.in, "any") && parent != "text":
	default:
		p.complain("%s in %s, where it has no meaning", e.name, strings.TrimPrefix(parent, "*"))
		return
	}
	same := 0
	for _, other := range before {
		if other.name == e.name {
			same++
		}
		if of := documentGrammar().elements[ruleName(other.name)]; rule.place > 0 && of.place > rule.place && main {
			p.complain("%s behind %s: in the examples it stands before it", e.name, other.name)
			break
		}
	}
	if rule.most > 0 && same == rule.most {
		p.complain("more than %d %s in %s", rule.most, e.name, strings.TrimPrefix(parent, "*"))
	}
	if name == "elif" || name == "else" {
		if len(before) == 0 || !slices.Contains([]string{"if", "elif"}, before[len(before)-1].name) {
			p.complain("%s without an if before it", e.name)
		}
	}
	if name == "softkeyitem" && slices.ContainsFunc(before, func(o element) bool { return o.name == e.name && o.value("name") == e.value("name") }) {
		p.complain("two soft keys %s", e.value("name"))
	}
}

// checkAttributes objects to attributes that an element does not have, or that it lacks, and to their values.
func (p *Phone) checkAttributes(e element, rule elementRule) {
	for name, value := range e.at {
		allowed := documentGrammar().values["@"+name]
		switch {
		case !slices.Contains(rule.at, name):
			p.complain("unknown attribute %s of %s", name, e.name)
		case strings.ContainsAny(value, "\n\r\t"):
			p.complain("a line break in the attribute %s of %s", name, e.name)
		case allowed != nil && !slices.Contains(allowed, strings.ToLower(value)):
			p.complain("the attribute %s of %s is %q, expected %s", name, e.name, value, strings.Join(allowed, ", "))
		}
	}
	for _, name := range rule.needsAt {
		old := name == "name" && e.holds("name") // the older form has a child
		if _, ok := e.at[name]; !ok && !old {
			p.complain("%s without the attribute %s", e.name, name)
		}
	}
}

// checkFrame objects to a picture in a text that ends beyond the display, where the rest of it is not seen.
func (p *Phone) checkFrame(e element) {
	number := func(name string) int {
		n, _ := strconv.Atoi(e.value(name)) // others are objected to by checkContent
		return n
	}
	right, end, screen := number("locationx")+number("width"), number("locationy")+number("height"), displayOf(p.config.Model)
	if right > screen.Width || end > screen.Height {
		p.complain("a picture that ends at %d, %d, beyond the display of %s", right, end, screen)
	}
}

// checkContent objects to the text of an element.
func (p *Phone) checkContent(e element, rule elementRule) {
	text, screen := strings.TrimSpace(e.text), displayOf(p.config.Model)
	number, err := strconv.Atoi(text)
	callback := strings.Contains(text, "$(") || strings.Contains(text, "__") // it becomes something else
	if strings.ContainsFunc(e.text, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\n\r\t", r) }) {
		p.complain("a control character in %s", e.name)
	}
	switch rule.content {
	case "":
	case "line":
		if strings.ContainsAny(text, "\n\r") {
			p.complain("a line break in a %s", e.name)
		}
	case "number":
		if !callback && (err != nil || number < 0) {
			p.complain("%s of %q, expected a number", e.name, text)
		}
	case "across", "down":
		if most := map[string]int{"across": screen.Width, "down": screen.Height}[rule.content]; !callback && (err != nil || number < 0 || number >= most) {
			p.complain("%s of %q, expected a number below %d, the size of the display", e.name, text, most)
		}
	case "target":
		scheme, _, ok := strings.Cut(text, ":")
		if ok && !callback && !strings.HasPrefix(text, "#") && !slices.Contains([]string{"http", "https", "snom", "phone", "file"}, strings.ToLower(scheme)) {
			p.complain("target %q", text)
		}
	case "token":
		if text == "" {
			p.complain("an input without a token")
		}
	case "picture":
		file, err := base64.StdEncoding.DecodeString(strings.NewReplacer("\n", "", "\r", "", "\t", "", " ", "").Replace(text))
		if err != nil {
			p.complain("the data of a picture are no base64")
			return
		}
		p.checkPicture(file, "")
	case "softkey":
		if allowed := documentGrammar().values["=softkey"]; e.value("name") != "" && !strings.Contains(e.value("name"), "__") && !slices.Contains(allowed, e.value("name")) {
			p.complain("soft key %q, which phones do not have", e.value("name"))
		}
	default:
		if allowed := documentGrammar().values["="+rule.content]; allowed != nil && text != "" && !callback && !slices.Contains(allowed, text) {
			p.complain("%s of %q, expected %s", e.name, text, strings.Join(allowed, ", "))
		}
	}
}

// checkPicture objects to a picture that the display cannot show, and reports whether it is one. The caller holds the lock.
func (p *Phone) checkPicture(file []byte, contentType string) bool {
	size, format, err := image.DecodeConfig(bytes.NewReader(file))
	if err != nil {
		if size, format = bitmapSize(file), "bmp"; size.Width == 0 {
			p.complain("a picture of type %q cannot be read", contentType)
			return false
		}
	}
	screen := displayOf(p.config.Model)
	if size.Width > 2*screen.Width || size.Height > 2*screen.Height {
		p.complain("a %s of %d x %d is more than twice the display", format, size.Width, size.Height)
	}
	if screen.Mono && format != "bmp" {
		p.complain("a %s for a display in black and white, which shows BMP", format)
	}
	return true
}

// bitmapSize is the size of a BMP file; zero: it is none.
func bitmapSize(file []byte) (size image.Config) {
	if len(file) < 26 || !bytes.HasPrefix(file, []byte("BM")) {
		return size
	}
	if header := binary.LittleEndian.Uint32(file[14:]); header == 12 {
		size.Width, size.Height = int(binary.LittleEndian.Uint16(file[18:])), int(binary.LittleEndian.Uint16(file[20:]))
		return size
	}
	size.Width, size.Height = int(int32(binary.LittleEndian.Uint32(file[18:]))), int(int32(binary.LittleEndian.Uint32(file[22:])))
	if size.Height = max(size.Height, -size.Height); size.Width < 0 || size.Height == 0 {
		return image.Config{}
	}
	return size
}

// lastLight is the number of the light of the last key, those of expansion modules included; 0: not known.
func (p *Phone) lastLight() int {
	model, _ := snom.FindModel(p.config.Model)
	_, last := model.KeyCount()
	if _, of := p.moduleKeys(); of > last {
		last = of
	}
	if model.LED() == 0 || last == 0 {
		return 0
	}
	return model.LED() + last - 1
}
