package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// A Macro is several commands that a phone carries out one after the other. Whether its phone can, and may, is checked
// where that is known: see Where.
type Macro struct {
	Name      string // as mqtt.ValidName accepts it
	Phone     string // that runs it where nothing else is said; empty: none
	Steps     []MacroStep
	Otherwise []MacroStep // carried out when a step fails
	Where     string      // it stands in the phones file
}

// A MacroStep is one step of a [Macro].
type MacroStep struct {
	snom.MacroStep
	Secret bool // its argument comes from a file and is shown nowhere
}

// secretMember is the member of a step's argument that names a file with the digits.
const secretMember = "digits_file"

// macros checks the section of the macros.
func (f phonesFile) macros(section *node, taken registry) (all []Macro) {
	if section.kind == nothing {
		return nil
	}
	if section.kind != mapping {
		f.wrong(section, "macros: expected a name for each macro, and its steps below the name")
		return nil
	}
	written := map[string]bool{}
	for name, is := range section.pairs() {
		called := nameField(f.path, name)
		f.look(called)
		switch {
		case !f.name(called):
			continue
		case written[name.text]:
			f.fault(called, "written twice")
			continue
		case is.kind != mapping:
			f.wrong(is, "%s: expected steps: and below it a list of steps", name.text)
			continue
		}
		written[name.text] = true
		all = append(all, f.macro(name, is, taken))
	}
	slices.SortFunc(all, func(a, b Macro) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// macro checks one macro.
func (f phonesFile) macro(name, is *node, taken registry) Macro {
	m := Macro{Name: name.text, Where: fmt.Sprintf("%s:%d:%d: %s", f.path, name.line, name.column, name.text)}
	at := is
	f.members(is, []string{"phone", "steps", "otherwise"}, func(i int, value *node) {
		switch i {
		case 0:
			m.Phone = f.phoneName(name.text, value, taken)
		case 1:
			m.Steps, at = f.steps(name.text, "steps", value), value
		case 2:
			m.Otherwise = f.steps(name.text, "otherwise", value)
		}
	})
	if _, err := snom.NewMacro(commands(m.Steps), commands(m.Otherwise)); err != nil && len(f.faults.list) == 0 {
		f.wrong(at, "%s: %s", name.text, faultText(err))
	}
	return m
}

// commands returns the steps as a command has them.
func commands(steps []MacroStep) (all []snom.MacroStep) {
	for _, s := range steps {
		all = append(all, s.MacroStep)
	}
	return all
}

// phoneName checks the name of a phone.
func (f phonesFile) phoneName(what string, value *node, taken registry) string {
	if _, isPhone := taken.names[value.text]; value.kind == scalar && isPhone {
		return value.text
	}
	text := fmt.Sprintf("%s: no phone has the name %s", what, shown(value.text))
	if len(taken.names) <= 1000 { // with more it takes too long to look for what was meant
		if near := nearest(value.text, slices.Sorted(maps.Keys(taken.names))); near != "" {
			text += "; did you mean " + near + "?"
		}
	}
	f.wrong(value, "%s", text)
	return ""
}

// steps checks a list of steps.
func (f phonesFile) steps(name, which string, value *node) (all []MacroStep) {
	if value.kind != list || len(value.parts) == 0 {
		f.wrong(value, "%s: %s: expected a list of steps, such as - dial: \"**61\"", name, which)
		return nil
	}
	for i := range value.parts {
		item := &value.parts[i]
		raw, secret, ok := f.step(name, item)
		if !ok {
			continue
		}
		step, err := snom.ParseMacroStep(raw)
		if err != nil {
			// What is written here may be a secret in the wrong place.
			f.wrong(item, "%s: step %d of %s: %s", name, i+1, which, faultText(err))
			continue
		}
		all = append(all, MacroStep{step, secret})
	}
	return all
}

// faultText is what an error of a step says without anything that was written.
func faultText(err error) string {
	var fault *snom.SyntaxError
	if !errors.As(err, &fault) {
		return "expected a step"
	}
	text := "expected " + fault.Expected
	if fault.Field != "" {
		text = fault.Field + ": " + text
	}
	return text
}

// step returns a step as JSON, with the digits of a file that it names.
func (f phonesFile) step(name string, item *node) (raw []byte, secret, ok bool) {
	if item.kind == mapping && len(item.parts) == 2 && item.parts[1].kind == mapping {
		argument := &item.parts[1]
		parts := make([]node, 0, len(argument.parts))
		for key, value := range argument.pairs() {
			if key.text != secretMember {
				parts = append(parts, *key, *value)
				continue
			}
			digits, read := f.secretFile(name, secretMember, value)
			if !read {
				return nil, true, false
			}
			secret = true
			parts = append(parts, node{kind: scalar, text: "digits"}, node{kind: scalar, text: digits, line: -1})
		}
		changed := *argument
		changed.parts = parts
		item = &node{kind: mapping, parts: []node{item.parts[0], changed}}
	}
	return valueJSON(item), secret, true
}

// secretFile reads the one line of a file that a value names.
func (f phonesFile) secretFile(name, key string, value *node) (text string, ok bool) {
	if value.kind != scalar || value.text == "" {
		f.wrong(value, "%s: %s: expected the path of a file", name, key)
		return "", false
	}
	path := value.text
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(f.path), path)
	}
	before := len(f.faults.list)
	at := textPlace(fmt.Sprintf("%s:%d:%d: %s: %s", f.path, value.line, value.column, name, key))
	is := f.secret(field{in: at}, field{in: at, text: path})
	return is.Reveal(), len(f.faults.list) == before
}

// A textPlace is a place that is written out.
type textPlace string

func (p textPlace) where(string) string { return string(p) }

// valueJSON returns a value as JSON. A whole number is a number, wherever text is expected, too; a text from a file is text.
func valueJSON(n *node) []byte {
	switch n.kind {
	case mapping:
		b := []byte{'{'}
		for key, value := range n.pairs() {
			if len(b) > 1 {
				b = append(b, ',')
			}
			b = append(append(append(b, textJSON(key.text)...), ':'), valueJSON(value)...)
		}
		return append(b, '}')
	case list:
		b := []byte{'['}
		for i := range n.parts {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, valueJSON(&n.parts[i])...)
		}
		return append(b, ']')
	case nothing:
		return []byte("null")
	}
	if n.line >= 0 && (isWhole(n.text) || n.text == "true" || n.text == "false") {
		return []byte(n.text)
	}
	return textJSON(n.text)
}

// isWhole reports whether a text is a whole number as JSON writes it, short enough that no program rounds it.
func isWhole(text string) bool {
	const most = 15
	if text == "" || len(text) > most || text[0] == '0' && len(text) > 1 {
		return false
	}
	return strings.Trim(text, "0123456789") == ""
}

func textJSON(text string) []byte {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err) // a text: there is nothing to fail
	}
	return b
}
