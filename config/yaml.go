package config

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"

	"github.com/snom2mqtt/snom2mqtt/internal/textfile"
)

const (
	// maxDepth is how deep values may be nested. A phones file needs four levels.
	maxDepth = 16
	// maxValues bounds the values of a file, of which each costs some 200 bytes while it is read. It is chosen by this project: a hundred thousand
	// phones with ten settings have a million.
	maxValues = 2_000_000
)

// A yamlFault is what is wrong with a text as YAML, whatever it says.
type yamlFault struct {
	line, column int
	what         string
}

// readNodes reads one YAML document; a node that is nothing: there is none.
func readNodes(text string) (node, *yamlFault) {
	if fault := unreadable(text); fault != nil {
		return node{}, fault
	}
	if root, ok := readPlain(text); ok {
		return root, nil
	}
	return readYAML(text)
}

// readYAML reads one YAML document by the library. Of those for Go, go.yaml.in/yaml/v4 takes time and memory in proportion to
// the file: 30,000 phones with quoted keys 0.15 s and 28 MiB, 300,000 phones 1.4 s and 260 MiB, where goccy/go-yaml takes 17 s and 230
// MiB for the 30,000 and grows with their square (measured on one core of 2.5 GHz).
func readYAML(text string) (node, *yamlFault) {
	loader, err := yaml.NewLoader(strings.NewReader(text), yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(maxDepth))))
	if err != nil {
		return node{}, faultOf(err, text)
	}
	root, err := next(loader)
	if err != nil {
		return node{}, faultOf(err, text)
	}
	second, err := next(loader)
	switch {
	case err != nil:
		return node{}, faultOf(err, text)
	case second != nil && root != nil:
		return node{}, &yamlFault{second.Line, second.Column, "expected one document, here begins a second one"}
	case root == nil:
		root = second
	}
	if root == nil {
		return node{}, nil
	}
	return convert(root)
}

// next returns the root of the next document that is not empty; nil: there is none.
func next(loader *yaml.Loader) (*yaml.Node, error) {
	for {
		var document yaml.Node
		switch err := loader.Load(&document); {
		case errors.Is(err, io.EOF):
			return nil, nil
		case err != nil:
			return nil, err
		case len(document.Content) == 1 && document.Content[0].Tag != "!!null":
			return document.Content[0], nil
		}
	}
}

// unreadable returns a fault where a text has what YAML silently reads as something else: control characters, and
// the line ends of Unicode; or where it has too many values.
func unreadable(text string) *yamlFault {
	values, ascii := 0, true
	for i := range len(text) {
		switch b := text[i]; {
		case b == '\n' || b == ',' || b == ':' || b == '-':
			values++
		case b >= 0x80:
			ascii = false
		case b < ' ' && b != '\t' || b == 0x7F:
			return invisibleAt(text, i, rune(b))
		}
	}
	if values > maxValues {
		return &yamlFault{1, 1, fmt.Sprintf("the file has too many values: expected at most %d", maxValues)}
	}
	if ascii {
		return nil
	}
	for i, r := range text {
		if unicode.IsControl(r) && r >= 0x80 || r == '\u2028' || r == '\u2029' {
			return invisibleAt(text, i, r)
		}
	}
	return nil
}

func invisibleAt(text string, offset int, r rune) *yamlFault {
	line, column := position(text, offset)
	return &yamlFault{line, column, "contains an invisible character, " + textfile.CharName(r) + ": remove it"}
}

// position returns line and column, from 1, of a byte of text.
func position(text string, offset int) (line, column int) {
	before := text[:offset]
	return strings.Count(before, "\n") + 1, len([]rune(before[strings.LastIndexByte(before, '\n')+1:])) + 1
}

// convert returns a node of the library as a node of this package. It refuses what a phones file has no use for: tags, anchors,
// aliases, merge keys and keys that are not words.
func convert(from *yaml.Node) (node, *yamlFault) {
	if from.Kind == yaml.AliasNode || from.Anchor != "" || from.Style&yaml.TaggedStyle != 0 || from.Tag == "!!merge" {
		return node{}, &yamlFault{from.Line, from.Column, "expected plain values: no tags, anchors, aliases or compound keys; put a text " +
			"that begins with !, & or * in quotes"}
	}
	n := node{kind: scalar, line: from.Line, column: from.Column, text: from.Value}
	n.cut = from.Kind == yaml.ScalarNode && len(from.LineComment) > 1 && from.LineComment[1] != ' '
	switch {
	case from.Kind == yaml.MappingNode:
		n.kind = mapping
	case from.Kind == yaml.SequenceNode:
		n.kind = list
	case from.Tag == "!!null":
		n.kind = nothing
	}
	if len(from.Content) > 0 {
		n.parts = make([]node, 0, len(from.Content))
	}
	for i, part := range from.Content {
		if n.kind == mapping && i%2 == 0 && part.Kind != yaml.ScalarNode {
			return node{}, &yamlFault{part.Line, part.Column, "expected a word as a key"}
		}
		to, fault := convert(part)
		if fault != nil {
			return node{}, fault
		}
		n.parts = append(n.parts, to)
	}
	return n, nil
}

// faultOf takes the place and the reason from an error of the YAML library about text. Where its message quotes the file,
// which may be a password, it is left out.
func faultOf(err error, text string) *yamlFault {
	fault := &yamlFault{1, 1, "this is not YAML"}
	var e *yaml.LoadError
	if !errors.As(err, &e) {
		return fault
	}
	at := e.Mark
	if began := e.ContextMark; began.Line > 0 && (strings.Contains(e.Message, "end of stream") || strings.Contains(e.Message, "',' or")) {
		at = began // a quote or a bracket that is not closed: where it opens says more
	}
	if at.Line > 0 {
		fault.line, fault.column = at.Line, at.Column
	}
	switch first := charAt(text, at.Line, at.Column); {
	case strings.Contains(e.Message, "max depth"):
		fault.what = "values are nested too deeply"
	case strings.HasPrefix(e.Message, "unknown anchor"), strings.Contains(e.ContextMsg, "tag"), strings.Contains(e.ContextMsg, "anchor"):
		fault.what += ": put a text that begins with !, & or * in quotes"
	case strings.Contains(e.Message, "cannot start any token") && first == '\t':
		fault.what += ": " + textfile.CharName('\t') + ", expected spaces"
	case strings.Contains(e.Message, "cannot start any token"):
		fault.what += ": put a text that begins with @, % or ` in quotes"
	case e.Message != "":
		fault.what += ": " + strings.TrimPrefix(e.ContextMsg+", "+e.Message, ", ")
	}
	return fault
}

// charAt returns the character at a place of text; 0: there is none.
func charAt(text string, line, column int) rune {
	for range line - 1 {
		_, text, _ = strings.Cut(text, "\n")
	}
	text, _, _ = strings.Cut(text, "\n")
	for i, r := range []rune(text) {
		if i == column-1 {
			return r
		}
	}
	return 0
}
