package config

import "strings"

// readPlain reads the simple YAML that nearly every phones file is written in, and reports whether the text is that: mappings
// and lists by indentation, braces and brackets that close on their line, words without a blank or in quotes without
// escapes, comments. It leaves any other text, and every text with a mistake, to the YAML library.
//
// It exists for the time to start: of 10,000 phones it reads the file in 27 ms and 6 MiB, the library in 140 ms and 37 MiB (one
// core of 2.5 GHz), and the whole start is promised in 150 ms. A fuzz test holds the two to the same result.
func readPlain(text string) (node, bool) {
	p := plain{make([]plainLine, 0, strings.Count(text, "\n")+1)}
	number := 0
	for line := range strings.SplitSeq(text, "\n") {
		number++
		for i := range len(line) {
			if line[i] < ' ' || line[i] > '~' {
				return node{}, false
			}
		}
		text := strings.TrimLeft(line, " ")
		if text != "" && text[0] != '#' {
			p.lines = append(p.lines, plainLine{number, len(line) - len(text), strings.TrimRight(text, " ")})
		}
	}
	if len(p.lines) == 0 || p.lines[0].indent != 0 {
		return node{}, false
	}
	n, ok := p.block(0)
	return n, ok && len(p.lines) == 0
}

// plain is the lines that are still to be read.
type plain struct{ lines []plainLine }

// plainLine is a line that says something.
type plainLine struct {
	number, indent int
	text           string // without the blanks around it
}

// at returns a node in a line.
func (l plainLine) at(k kind, offset int) node {
	return node{kind: k, line: l.number, column: l.indent + offset + 1}
}

// block reads the mapping or list whose lines are indented by indent.
func (p *plain) block(indent int) (node, bool) {
	if strings.HasPrefix(p.lines[0].text, "- ") {
		return p.list(indent)
	}
	n := p.lines[0].at(mapping, 0)
	for len(p.lines) > 0 && p.lines[0].indent == indent {
		l := p.lines[0]
		key, end, ok := l.key(0)
		if !ok {
			return node{}, false
		}
		value, ok := p.value(l, end)
		if !ok {
			return node{}, false
		}
		n.parts = append(n.parts, key, value)
	}
	return n, true
}

// value reads what follows the colon of a key that ends at end, and takes its lines.
func (p *plain) value(l plainLine, end int) (node, bool) {
	p.lines = p.lines[1:]
	if rest := strings.TrimLeft(l.text[end:], " "); rest != "" && rest[0] != '#' {
		value, end, ok := l.inline(len(l.text)-len(rest), false)
		return value, ok && l.over(end)
	}
	if len(p.lines) == 0 {
		return node{}, false // no value
	}
	switch next := p.lines[0]; {
	case next.indent > l.indent:
		return p.block(next.indent)
	case next.indent == l.indent && strings.HasPrefix(next.text, "- "):
		return p.list(next.indent)
	}
	return node{}, false
}

// list reads the items whose dashes are indented by indent.
func (p *plain) list(indent int) (node, bool) {
	n := p.lines[0].at(list, 0)
	for len(p.lines) > 0 && p.lines[0].indent == indent && strings.HasPrefix(p.lines[0].text, "- ") {
		l := p.lines[0]
		p.lines = p.lines[1:]
		item, end, ok := l.inline(len(l.text)-len(strings.TrimLeft(l.text[2:], " ")), false)
		if !ok || !l.over(end) {
			return node{}, false
		}
		n.parts = append(n.parts, item)
	}
	return n, true
}

// over reports whether nothing but a comment stands at and behind offset.
func (l plainLine) over(offset int) bool {
	rest := strings.TrimLeft(l.text[offset:], " ")
	return rest == "" || rest[0] == '#' && l.text[offset] == ' '
}

// key reads a key, which may be in quotes, and its colon, and returns the offset behind it.
func (l plainLine) key(start int) (node, int, bool) {
	if start < len(l.text) && (l.text[start] == '"' || l.text[start] == '\'') {
		n, end, ok := l.quoted(start)
		return n, end + 1, ok && strings.HasPrefix(l.text[end:], ":") && (end+1 == len(l.text) || l.text[end+1] == ' ')
	}
	end := start
	for end < len(l.text) && (isWord(l.text[end]) || l.text[end] == '_' || l.text[end] == '-') {
		end++
	}
	n := l.at(scalar, start)
	n.text = l.text[start:end]
	if n.text == "" || !isWord(n.text[0]) || isNull(n.text) || !strings.HasPrefix(l.text[end:], ":") {
		return node{}, 0, false
	}
	end++
	return n, end, end == len(l.text) || l.text[end] == ' '
}

// inline reads a value that ends in its line, and returns the offset behind it.
func (l plainLine) inline(start int, inFlow bool) (node, int, bool) {
	if start == len(l.text) {
		return node{}, 0, false
	}
	switch l.text[start] {
	case '{':
		return l.flow(start, mapping, '}')
	case '[':
		return l.flow(start, list, ']')
	case '"', '\'':
		return l.quoted(start)
	}
	end := start
	for end < len(l.text) && (isWord(l.text[end]) || strings.IndexByte("._/:@+-", l.text[end]) >= 0) {
		end++
	}
	n := l.at(scalar, start)
	n.text = l.text[start:end]
	if rest := strings.TrimLeft(l.text[end:], " "); len(rest) > 1 && rest[0] == '#' && rest[1] != ' ' {
		return node{}, 0, false // perhaps no comment was meant
	}
	ended := end == len(l.text) || l.text[end] == ' ' || inFlow && strings.IndexByte(",]}", l.text[end]) >= 0
	return n, end, ended && n.text != "" && isWord(n.text[0]) && !isNull(n.text) && !strings.HasSuffix(n.text, ":")
}

// quoted reads a text in quotes that needs no unescaping.
func (l plainLine) quoted(start int) (node, int, bool) {
	quote := l.text[start : start+1]
	text, _, closed := strings.Cut(l.text[start+1:], quote)
	n := l.at(scalar, start)
	n.text = text
	end := start + len(text) + 2
	return n, end, closed && !strings.Contains(text, `\`) && !strings.HasPrefix(l.text[end:], quote)
}

// flow reads a mapping in braces or a list in brackets. What it holds holds no more of them than a
// list: deeper nesting is not simple.
func (l plainLine) flow(start int, k kind, closing byte) (node, int, bool) {
	n := l.at(k, start)
	for at := l.skip(start + 1); ; {
		if at == len(l.text) {
			return node{}, 0, false
		}
		if l.text[at] == closing && len(n.parts) == 0 {
			return n, at + 1, true
		}
		if k == mapping {
			key, end, ok := l.key(at)
			if !ok {
				return node{}, 0, false
			}
			n.parts = append(n.parts, key)
			at = l.skip(end)
		}
		if k == list && (l.text[at] == '{' || l.text[at] == '[') {
			return node{}, 0, false
		}
		value, end, ok := l.inline(at, true)
		if !ok {
			return node{}, 0, false
		}
		n.parts = append(n.parts, value)
		if at = l.skip(end); at == len(l.text) {
			return node{}, 0, false
		}
		switch l.text[at] {
		case closing:
			return n, at + 1, true
		case ',':
			if at = l.skip(at + 1); at < len(l.text) && l.text[at] == closing {
				return node{}, 0, false
			}
		default:
			return node{}, 0, false
		}
	}
}

// skip returns the offset of the next byte that is not a blank.
func (l plainLine) skip(offset int) int {
	for offset < len(l.text) && l.text[offset] == ' ' {
		offset++
	}
	return offset
}

func isWord(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9'
}

// isNull reports whether YAML reads an unquoted text as no value.
func isNull(text string) bool { return strings.EqualFold(text, "null") }
