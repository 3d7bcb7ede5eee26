package minibrowser

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// specimens are every element of the package, by the name of their golden file.
func specimens() map[string]Main {
	link := must(Web("http://192.0.2.5:8088/page/kitchen/token/ID/1"))
	return map[string]Main{
		"text": Text{
			Common: Common{Title: "Washer", Fetch: CloseAfter(8 * time.Second)},
			Text:   "Done\n12:40 & <all> \"right\"", Y: 23, Picture: &Picture{Target: link, X: 10, Y: 30, Width: 64, Height: 48},
		},
		"text-keys": Text{
			Common: Common{Title: "Door", DocumentID: "door", State: StateRelevant, Untraced: true, Scroll: true, Keys: []SoftKey{
				{Name: "F1", Label: "Open", Target: link}, {Name: "F4", Label: "Back", As: "F_MINIBROWSER_BACK"},
			}},
			Text: "Front door",
		},
		"menu": Menu{
			Common: Common{Title: "House"}, Select: true,
			Items: []Item{{Name: "Open gate", Target: link, Selected: true}, {Name: "More", Items: []Item{{Name: "Lights", Target: link}}}},
		},
		"input": Input{
			Common: Common{Untraced: true}, Prompt: "PIN", Kind: KindPIN, Target: must(Web("http://192.0.2.5/page/a/b/c/in?v=" + Typed)),
		},
		"imagefile": ImageFile{Common: Common{Title: "Camera", Fetch: Fetch{500 * time.Millisecond, link}}, Target: link},
		"image":     Image{X: 1, Y: 2, Data: []byte("\x89PNG\r\n\x1a\n")},
		"directory": Directory{Common: Common{Title: "Team"}, Entries: []Entry{{Name: "Anna", Number: "27"}}},
		"silent": Silent{Common{
			LEDs:  []LED{{Number: 6, Color: Red, Light: LightBlinkFast}, {Number: 0, Light: LightOff}},
			Fetch: CloseAfter(time.Millisecond),
		}},
		"silent-key":  Silent{Common{DocumentID: "k", State: StateRelevant, Fetch: Fetch{10 * time.Millisecond, must(PressKey("F_HOLD"))}}},
		"silent-dial": Silent{Common{DocumentID: "d", Fetch: Fetch{10 * time.Millisecond, must(Dial("**61"))}}},
		"silent-ask": Silent{Common{Fetch: Fetch{time.Millisecond, must(must(Web("http://192.0.2.5/page/a/b/c/ask?x=1")).WithCallbacks(
			Callback{"dnd", "set:dnd_mode[1]"}, Callback{"n", "lines"}, Callback{"conn", "lines:connected"}))}}},
		"batch": Batch{Pages: []Main{
			Menu{Items: []Item{{Name: "Next", Target: must(Inside("second"))}}},
			Text{Common: Common{ID: "second"}, Text: "Two"},
		}},
		"cases": Text{Text: "Model", Common: Common{When: []Case{
			{Condition: Condition{"phone_type", "snomD785"}, LEDs: []LED{{5, Green, LightOn}}},
			{Condition: Condition{"phone_type", "snomD735"}, Keys: []SoftKey{{Name: "F1", Label: "Yes", Target: link}}},
			{LEDs: []LED{{1, Green, LightOn}}},
		}}},
		"repeat": Text{Text: "Keys", Common: Common{Repeat: &Repeat{Token: "__N__", Values: []string{"1", "2"}, Key: SoftKey{Name: "__N__", Label: "Key __N__", Target: link}}}},
	}
}

// read returns the elements of a document in order, and fails where a strict parser does.
func read(document []byte) (elements []string, texts map[string][]string, err error) {
	texts = map[string][]string{}
	d := xml.NewDecoder(strings.NewReader(string(document)))
	var open []string
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return elements, texts, nil
		}
		if err != nil {
			return nil, nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			open = append(open, t.Name.Local)
			for _, a := range t.Attr {
				elements = append(elements, t.Name.Local+"@"+a.Name.Local)
				texts[t.Name.Local+"@"+a.Name.Local] = append(texts[t.Name.Local+"@"+a.Name.Local], a.Value)
			}
			elements = append(elements, t.Name.Local)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				name := open[len(open)-1]
				texts[name] = append(texts[name], string(t))
			}
		}
	}
}

// TestEveryElement compares each element with its golden file, which a strict parser reads.
func TestEveryElement(t *testing.T) {
	t.Parallel()
	for name, page := range specimens() {
		for _, names := range []Names{NamesSnom, NamesPlain} {
			document, err := Encode(names, page)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			elements, _, err := read(document)
			if err != nil {
				t.Errorf("%s: a parser refuses it: %v\n%s", name, err, document)
			}
			if first := elements[slices.IndexFunc(elements, func(e string) bool { return !strings.Contains(e, "@") })]; !strings.HasPrefix(first, string(names)) {
				t.Errorf("%s: main element %s, expected %s…", name, first, names)
			}
			if names == NamesPlain {
				continue
			}
			golden := filepath.Join("testdata", name+".xml")
			if os.Getenv("UPDATE_GOLDEN") != "" {
				if err := os.WriteFile(golden, append(document, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			expected, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(document) + "\n"; got != string(expected) {
				t.Errorf("%s:\n%s\nexpected\n%s", name, got, expected)
			}
		}
	}
}

func TestNamesByFirmware(t *testing.T) {
	t.Parallel()
	for firmware, expected := range map[string]Names{
		"": NamesSnom, "8.7.5.35": NamesSnom, "10.1.39.11": NamesSnom, "10.1.81.9": NamesSnom, "10.1.82.0": NamesPlain,
		"10.1.184.14": NamesPlain, "10.2.0.1": NamesPlain, "11.0": NamesPlain, "10.1": NamesSnom, "beta": NamesSnom,
	} {
		if got := NamesFor(firmware); got != expected {
			t.Errorf("firmware %q: %s, expected %s", firmware, got, expected)
		}
	}
}

// TestTargetsAreNarrow makes sure that no other address becomes a target.
func TestTargetsAreNarrow(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"", "x", "snom://mb_exit", "phone://mb_nop#key=1", "javascript:1", "file:///etc/passwd", "http://", "//host/x", "http://h/#key=1",
		"http://h/?a=$(set:http_pass)", "http://h/?a=$[lines]", "http://h/a b", "http://h/ü", "http://h/\n", "snom%3A//x", "http:/h",
	} {
		if target, err := Web(address); err == nil {
			t.Errorf("Web(%q) = %v, expected an error", address, target)
		}
	}
	for _, key := range []string{"", "p1", "P1&numberdial=1", "P1#key=2", "12", "KEY NAME", strings.Repeat("A", 33)} {
		if target, err := PressKey(key); err == nil {
			t.Errorf("PressKey(%q) = %v, expected an error", key, target)
		}
	}
	for _, number := range []string{"", "1&key=2", "1 2", "a/b", "$(lines)", "1%32"} {
		if target, err := Dial(number); err == nil {
			t.Errorf("Dial(%q) = %v, expected an error", number, target)
		}
	}
	web := must(Web("http://h/"))
	for _, c := range []Callback{{"", "lines"}, {"a&b", "lines"}, {"a", "lines)&x=$(y"}, {"a", "set:x[1"}, {"a", "set:x[a]"}, {"a", ""}} {
		if target, err := web.WithCallbacks(c); err == nil {
			t.Errorf("WithCallbacks(%q) = %v, expected an error", c, target)
		}
	}
	if _, err := Close().WithCallbacks(Callback{"a", "lines"}); err == nil {
		t.Error("callbacks in a command of the phone")
	}
	if _, err := Inside(`x"]`); err == nil {
		t.Error("an id that ends the expression")
	}
}

// TestMissingTargets makes sure that a document without what it needs is none.
func TestMissingTargets(t *testing.T) {
	t.Parallel()
	for name, page := range map[string]Main{
		"item": Menu{Items: []Item{{Name: "x"}}}, "key": Text{Common: Common{Keys: []SoftKey{{Name: "F1"}}}},
		"input": Input{Target: must(Web("http://h/"))}, "picture": ImageFile{},
		"condition": Text{Common: Common{When: []Case{{Condition: Condition{"a)", "b"}}}}},
	} {
		if document, err := Encode(NamesSnom, page); err == nil {
			t.Errorf("%s: expected an error, got\n%s", name, document)
		}
	}
}

var callback = regexp.MustCompile(`\$[(\[]`)

// FuzzTexts makes sure that no text makes a document that a strict parser refuses, or adds an element, an attribute, a
// target or a callback to it.
func FuzzTexts(f *testing.F) {
	for _, text := range []string{
		"", "a\nb", "</Text><fetch>snom://mb_exit</fetch>", `"><SoftKeyItem>`, "]]>", "<![CDATA[x]]>", "$(set:http_pass)", "$[lines]", "$\x00(x)", "$$((x",
		"&#36;(x)", "\xff\xfe", "\ufffe", "\u0000", "snom://mb_nop#key=1", "<br/>", "\r\n", "&amp;", "<?xml?>", "<!--", "\u2028", "${x}", "$\u200b(",
	} {
		f.Add(text)
	}
	link := must(Web("http://192.0.2.5/1"))
	pages := func(text string) []Main {
		return []Main{
			Text{Common: Common{Title: text, Keys: []SoftKey{{Name: "F1", Label: text, Target: link}}, Fetch: CloseAfter(time.Second)}, Text: text},
			Menu{Common: Common{Title: text}, Items: []Item{{Name: text, Target: link}, {Name: "sub", Items: []Item{{Name: text, Target: link}}}}},
			Input{Prompt: text, Default: text, Kind: KindText, Target: must(Web("http://h/?v=" + Typed))},
			Image{Common: Common{Title: text}, Data: []byte(text)},
			ImageFile{Common: Common{Title: text}, Target: link},
			Directory{Entries: []Entry{{Name: text, Number: text}}},
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		plain := pages("x")
		if text == "" {
			plain = pages("") // without a title there is no element of it
		}
		for i, page := range pages(text) {
			document, err := Encode(NamesSnom, page)
			if err != nil {
				t.Fatal(err)
			}
			elements, texts, err := read(document)
			if err != nil {
				t.Fatalf("%q: %v\n%s", text, err, document)
			}
			expected, _, _ := read(must(Encode(NamesSnom, plain[i])))
			withoutBreaks := slices.DeleteFunc(slices.Clone(elements), func(e string) bool { return e == "br" || strings.HasSuffix(e, "@name") })
			expected = slices.DeleteFunc(expected, func(e string) bool { return strings.HasSuffix(e, "@name") })
			if !slices.Equal(withoutBreaks, expected) {
				t.Fatalf("%q: elements %q, expected %q", text, withoutBreaks, expected)
			}
			for name, values := range texts {
				for _, v := range values {
					if callback.MatchString(v) {
						t.Fatalf("%q: a callback in %s: %q", text, name, v)
					}
					if (name == "URL" || name == "Url" || name == "fetch") && v != "http://192.0.2.5/1" && v != "snom://mb_exit" && v != "http://h/?v="+Typed {
						t.Fatalf("%q: a target of its own: %q", text, v)
					}
				}
			}
		}
	})
}
