package config

import (
	"errors"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxDepth is how deep values may stand in one another. A phones file needs four levels; more only
// costs the YAML parser memory, in the square of the depth.
const maxDepth = 16

// A yamlFault is what is wrong with a text as YAML, before anybody asks what it says.
type yamlFault struct {
	line, column int
	what         string
}

// readYAML reads one YAML document. It refuses what a phones file has no use for: several documents,
// tags, anchors and aliases.
func readYAML(data []byte) (node, *yamlFault) {
	tokens := lexer.Tokenize(string(data))
	if t := tooDeep(tokens); t != nil {
		return node{}, &yamlFault{t.Position.Line, t.Position.Column, "values stand in one another too deep"}
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return node{}, faultOf(err)
	}
	var found node
	for i, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		n, fault := convert(doc.Body)
		if fault != nil {
			return node{}, fault
		}
		if i > 0 && found.kind != nothing {
			return node{}, &yamlFault{n.line, n.column, "want one document, here begins a second one"}
		}
		found = n
	}
	return found, nil
}

// tooDeep returns the token that opens one level too many, or nil.
func tooDeep(tokens token.Tokens) *token.Token {
	flow, line, inLine := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			line, inLine = t.Position.Line, 0
		}
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType:
			inLine++
		}
		if flow > maxDepth || inLine > maxDepth {
			return t
		}
	}
	return nil
}

// faultOf takes the place and the reason from an error of the YAML library. Its own text would quote
// the lines around, and a password may stand there.
func faultOf(err error) *yamlFault {
	fault := &yamlFault{1, 1, "this is not YAML"}
	if e := yaml.Error(nil); errors.As(err, &e) {
		if t := e.GetToken(); t != nil {
			at := position(t)
			fault.line, fault.column = at.line, at.column
		}
		if !strings.Contains(e.GetMessage(), `"`) { // else it quotes the file
			fault.what += ": " + e.GetMessage()
		}
	}
	return fault
}

func position(t *token.Token) node {
	if t == nil || t.Position == nil {
		return node{line: 1, column: 1}
	}
	return node{line: t.Position.Line, column: t.Position.Column}
}

func convert(from ast.Node) (node, *yamlFault) {
	n := position(from.GetToken())
	switch v := from.(type) {
	case *ast.NullNode:
	case *ast.StringNode:
		n.kind, n.text = scalar, v.Value
	case *ast.LiteralNode:
		n.kind, n.text = scalar, v.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		n.kind, n.text = scalar, v.GetToken().Value
	case *ast.SequenceNode:
		n.kind = list
		for _, item := range v.Values {
			part, fault := convert(item)
			if fault != nil {
				return node{}, fault
			}
			n.parts = append(n.parts, part)
		}
	case *ast.MappingNode:
		return convertPairs(n, v.IsFlowStyle, v.Values)
	case *ast.MappingValueNode:
		return convertPairs(n, v.IsFlowStyle, []*ast.MappingValueNode{v})
	default: // tags, anchors, aliases, merge keys, directives
		return node{}, &yamlFault{n.line, n.column, "want plain values here: no tags, anchors, aliases or compound keys"}
	}
	return n, nil
}

func convertPairs(n node, inBraces bool, pairs []*ast.MappingValueNode) (node, *yamlFault) {
	n.kind = mapping
	if len(pairs) > 0 && !inBraces {
		first := position(pairs[0].Key.GetToken())
		n.line, n.column = first.line, first.column
	}
	for _, pair := range pairs {
		key, fault := convert(pair.Key)
		if fault != nil {
			return node{}, fault
		}
		value, fault := convert(pair.Value)
		if fault != nil {
			return node{}, fault
		}
		n.parts = append(n.parts, key, value)
	}
	return n, nil
}
