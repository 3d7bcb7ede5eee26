package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// loadFile reads a phones file in a folder with the file door.code.
func loadFile(t *testing.T, text string) (Config, error) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"p.yaml": text, "door.code": "471108150\n", "empty": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Load(t.Context(), []string{prefix + "PHONES_FILE=" + filepath.Join(dir, "p.yaml"), prefix + "STATE_DIRECTORY=" + dir})
}

const kitchenFile = "phones:\n  kitchen: {url: \"http://192.0.2.10\"}\n"

func TestMacrosOfThePhonesFile(t *testing.T) {
	t.Parallel()
	c, err := loadFile(t, kitchenFile+`
macros:
  open_by_call:
    phone: kitchen
    steps:
      - dial: "**61"
      - wait: connected
        within: 30s
      - dtmf: {digits_file: door.code}
      - wait: 2s
      - ring: {ringer: 3, count: 2}
      - answer
      - answer:
      - dtmf: 12
      - hangup: all
    otherwise:
      - hangup: all
  a: {steps: [answer]}
`)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Roster.Macros) != 2 || c.Roster.Macros[0].Name != "a" {
		t.Fatalf("%+v", c.Roster.Macros)
	}
	m := c.Roster.Macros[1]
	expected := `{"steps":[{"dial":"**61"},{"wait":"connected","within":"30s"},{"dtmf":"471108150"},{"wait":"2s"},{"ring":{"ringer":3,"count":2}},` +
		`{"answer":""},{"answer":""},{"dtmf":"12"},{"hangup":"all"}],"otherwise":[{"hangup":"all"}]}`
	is, err := snom.NewMacro(commands(m.Steps), commands(m.Otherwise))
	if err != nil || is.Argument() != expected || m.Phone != "kitchen" {
		t.Errorf("%v\n%s, phone %s\nexpected\n%s", err, is.Argument(), m.Phone, expected)
	}
	for i, s := range m.Steps {
		if s.Secret != (i == 2) {
			t.Errorf("step %d: secret %v", i, s.Secret)
		}
	}
}

func TestFaultsOfMacros(t *testing.T) {
	t.Parallel()
	for text, expected := range map[string]string{
		"macros: 7":                                     "p.yaml:3:9: macros: expected a name",
		"macros: {A: {steps: [answer]}}":                "expected a name of 1 to 64",
		"macros: {a: 7}":                                "3:13: a: expected steps:",
		"macros: {a: {}}":                               "3:13: a: expected a list",
		"macros: {a: {steps: []}}":                      "a: steps: expected a list",
		"macros: {a: {steps: [answer], phone: hall}}":   "a: no phone has the name hall",
		"macros: {a: {steps: [answer], phone: kitchn}}": "did you mean kitchen?",
		"macros: {a: {steps: [answer], step: 1}}":       "step: no such key; did you mean steps?",
		"macros: {a: {steps: [{dial: 1 2}]}}":           "step 1 of steps: dial: expected",
		"macros: {a: {steps: [{dtmf: hunter2}]}}":       "step 1 of steps: dtmf: expected digits",
		"macros: {a: {steps: [{dtmf: {digits_file: door.code, method: fax}}]}}": "step 1 of steps: dtmf.method: expected dtmf or keys",
		"macros: {a: {steps: [{dtmf: {digits_file: no.such}}]}}":                "a: digits_file: the file cannot be read",
		"macros: {a: {steps: [{dtmf: {digits_file: empty}}]}}":                  "p.yaml:3:",
		"macros: {a: {steps: [{dtmf: {digits_file: [a]}}]}}":                    "digits_file: expected the path of a file",
		"macros: {a: {steps: [{wait: 2h}]}}":                                    "wait: expected idle",
		"macros: {a: {steps: [{wait: 40m}, {wait: 40m}]}}":                      "a: expected waits and pauses of an hour",
		"macros: {a: {steps: [answer], otherwise: [{run: b}]}}":                 "step 1 of otherwise: run: expected no macro in a macro",
		"macros:\n  a: {steps: [answer]}\n  a: {steps: [answer]}\n":             "twice",
	} {
		_, err := loadFile(t, kitchenFile+text+"\n")
		switch {
		case err == nil || !strings.Contains(err.Error(), expected):
			t.Errorf("%s:\n%v\nexpected %s", text, err, expected)
		case strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "4711"):
			t.Errorf("%s: a secret is shown: %v", text, err)
		}
	}
}
