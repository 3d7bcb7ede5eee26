package config

import (
	"strings"
	"testing"
)

// keysFile is a phones file that goes on with further settings of the phone.
const keysFile = "phones:\n  kitchen:\n    url: http://192.0.2.10\n"

func TestKeysOfThePhonesFile(t *testing.T) {
	t.Parallel()
	c, err := loadFile(t, keysFile+`    keys:
      P12: {label: Good night, run: night}
      P1: {name: garage, label: Garage, short_label: Gar}
      p2: {name: door, open: front}
      P300:
  hall: {url: "http://192.0.2.11"}
macros: {night: {steps: [{hangup: all}]}, itself: {steps: [{wait: 1s}, {key: "F1;P1"}]}, atlast: {steps: [{hangup: all}], otherwise: [{key: P2}]}}
doors: {front: {phone: kitchen, number: "61", code: "1"}}
`)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range c.Roster.Phones {
		if p.Name == "hall" && p.Keys != nil {
			t.Errorf("%+v", p.Keys)
		}
		if p.Name != "kitchen" {
			continue
		}
		all := p.Keys.All()
		if len(all) != 4 {
			t.Fatalf("%+v", all)
		}
		for i := range all {
			if all[i].Where == "" {
				t.Errorf("%+v stands nowhere", all[i])
			}
			all[i].Where = ""
		}
		expected := [...]Key{
			{Number: 1, Name: "garage", Label: "Garage", Short: "Gar"}, {Number: 2, Name: "door", Open: "front"},
			{Number: 12, Label: "Good night", Run: "night"}, {Number: 300},
		}
		if [4]Key(all) != expected {
			t.Errorf("%+v, expected %+v", all, expected)
		}
	}
}

func TestFaultsOfKeys(t *testing.T) {
	t.Parallel()
	for text, expected := range map[string]string{
		"7":                               "kitchen: keys: expected a key for each",
		"[P1]":                            "kitchen: keys: expected a key for each",
		"{P0: {}}":                        "expected a key from P1 to P300",
		"{P01: {}}":                       "expected a key from P1 to P300",
		"{P301: {}}":                      "expected a key from P1 to P300",
		"{F1: {}}":                        "expected a key from P1 to P300",
		"{P1: {}, p1: {}}":                "P1: written twice",
		"{P1: garage}":                    "P1: expected what it is for",
		"{P1: {nam: x}}":                  "did you mean name?",
		"{P1: {name: [x]}}":               "P1: name: expected one value",
		`{P1: {label: " x"}}`:             "P1: label: expected 1 to 64 bytes",
		`{P1: {label: "a\nb"}}`:           "P1: label",
		"{P1: {open: front, run: night}}": "expected open or run, not both",
		"{P1: {open: back}}":              "open: no door has the name back",
		"{P1: {run: day}}":                "run: no macro has the name day",
		"{P1: {run: itself}}":             "P1: run: the macro itself presses this key, and would run again and again",
		"{P2: {run: atlast}}":             "P2: run: the macro atlast presses this key",
		"{P1: {label: " + strings.Repeat("x", 65) + "}}": "P1: label: expected 1 to 64 bytes",
	} {
		_, err := loadFile(t, keysFile+"    keys: "+text+"\n"+`macros: {night: {steps: [{hangup: all}]}, itself: {steps: [{wait: 1s}, {key: "F1;P1"}]}, atlast: {steps: [{hangup: all}], otherwise: [{key: P2}]}}
doors: {front: {phone: kitchen, number: "61", code: "1"}}
`)
		if err == nil || !strings.Contains(err.Error(), expected) {
			t.Errorf("%s: %v, expected %q", text, err, expected)
		}
	}
}
