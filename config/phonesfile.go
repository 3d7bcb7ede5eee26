package config

import (
	"bytes"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// A filePlace is a mapping in the phones file, such as that of one phone.
type filePlace struct {
	path string
	key  node // of the mapping
	is   node // the mapping
}

// where names a value of the mapping, or the mapping itself where the value is missing.
func (p filePlace) where(key string) string {
	key = strings.ToLower(key)
	at := p.key
	for k, value := range p.is.pairs() {
		if k.text == key {
			at = value
		}
	}
	return fmt.Sprintf("%s:%d:%d: %s: %s", p.path, at.line, at.column, shown(p.key.text), key)
}

// shown returns a key of the file as a fault may show it: a text that is no name may be a secret that
// slipped out of its line.
func shown(key string) string {
	if key == "" || len(key) > 64 || strings.ContainsFunc(key, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-'
	}) {
		return "a key"
	}
	return key
}

// A phonesFile is the phones file while it is read.
type phonesFile struct {
	*checker
	path string
}

// wrong adds a fault at a node.
func (f phonesFile) wrong(at node, format string, args ...any) {
	f.add(fmt.Sprintf("%s:%d:%d", f.path, at.line, at.column), format, args...)
}

// members hands the values of a mapping to take, with the index of their key in known, and adds a fault
// for each key that is written twice or is not known.
func (f phonesFile) members(m node, known []string, take func(i int, value node)) {
	written := make([]bool, len(known))
	for key, value := range m.pairs() {
		i := slices.Index(known, key.text)
		switch {
		case i >= 0 && written[i]:
			f.wrong(key, "%s: written twice", key.text)
		case i >= 0:
			written[i] = true
			take(i, value)
		default:
			what := "known are " + strings.Join(known, ", ")
			if near := nearest(strings.ToLower(key.text), known); near != "" {
				what = "did you mean " + near + "?"
			}
			f.wrong(key, "%s: no such key; %s", shown(key.text), what)
		}
	}
}

// readPhonesFile checks the phones file and returns its phones by name, and the groups.
func (c *checker) readPhonesFile(path string, taken registry, allow, mask []string) ([]Phone, map[string][]string) {
	data, fault := readFile(path, maxPhonesFile)
	if fault != "" {
		c.add(prefix+"PHONES_FILE", "%s", fault)
		return nil, nil
	}
	f := phonesFile{c, path}
	if c.again && len(data) > 0 && data[len(data)-1] != '\n' {
		f.wrong(node{line: bytes.Count(data, []byte("\n")) + 1, column: 1}, "this line has no end: is the file being written just now?")
		return nil, nil
	}
	return f.read(data, taken, allow, mask)
}

// read checks what stands in the phones file.
func (f phonesFile) read(data []byte, taken registry, allow, mask []string) ([]Phone, map[string][]string) {
	data = bytes.TrimPrefix(data, []byte("\uFEFF")) // some editors begin a file with a byte order mark
	if good := validBytes(data); good < len(data) {
		// The YAML library would mend it silently, and log in with another password.
		before := data[:good]
		line := bytes.Count(before, []byte("\n"))
		column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
		f.wrong(node{line: line + 1, column: column + 1}, "want the file in UTF-8")
		return nil, nil
	}
	root, ok := readPlain(data)
	if !ok {
		var wrong *yamlFault
		if root, wrong = readYAML(data); wrong != nil {
			f.wrong(node{line: wrong.line, column: wrong.column}, "%s", wrong.what)
			return nil, nil
		}
	}
	if root.kind != mapping {
		f.wrong(node{line: max(root.line, 1), column: max(root.column, 1)}, "want phones: and below it a name for each phone")
		return nil, nil
	}
	var sections [2]node
	f.members(root, []string{"phones", "groups"}, func(i int, section node) { sections[i] = section })
	phones := f.phones(sections[0], taken, allow, mask)
	return phones, f.groups(sections[1], taken)
}

// validBytes counts the bytes before the first that is not UTF-8.
func validBytes(data []byte) int {
	good := 0
	for good < len(data) {
		r, size := utf8.DecodeRune(data[good:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		good += size
	}
	return good
}

// phones checks the section of the phones.
func (f phonesFile) phones(section node, taken registry, allow, mask []string) []Phone {
	if section.kind == nothing {
		return nil
	}
	if section.kind != mapping {
		f.wrong(section, "phones: want a name for each phone, and its settings below the name")
		return nil
	}
	known := phoneKeys()
	phones := make([]Phone, 0, len(section.parts)/2)
	for name, settings := range section.pairs() {
		in := filePlace{f.path, name, settings}
		if settings.kind == scalar || settings.kind == list {
			f.wrong(settings, "%s: want the settings of a phone, such as url: http://192.0.2.10", shown(name.text))
			continue
		}
		called := nameField(f.path, name)
		named := f.name(called)
		p := f.phone(name.text, f.phoneText(in, known), in, allow, mask)
		if named {
			taken.take(f.checker, called, field{in, "URL", p.URL}, p)
		}
		phones = append(phones, p)
	}
	slices.SortFunc(phones, func(a, b Phone) int { return strings.Compare(a.Name, b.Name) })
	return phones
}

// phoneKeys lists the keys of a phone: the fields of phoneText behind the first, which is the name.
func phoneKeys() []string {
	keys := names(&phoneText{})[1:]
	for i := range keys {
		keys[i] = strings.ToLower(keys[i])
	}
	return keys
}

// phoneText returns the settings of a phone as text; known are the keys it may have. Paths are relative
// to the phones file.
func (f phonesFile) phoneText(in filePlace, known []string) phoneText {
	var t phoneText
	fields := reflect.ValueOf(&t).Elem()
	f.members(in.is, known, func(i int, value node) {
		text := value.text
		switch key := known[i]; {
		case value.kind == nothing:
			f.wrong(value, "%s: %s: no value; leave the key out, or put the text in quotes", shown(in.key.text), key)
		case value.kind == mapping, value.kind == list && key != "allow" && key != "mask":
			f.wrong(value, "%s: %s: want one value", shown(in.key.text), key)
		case value.kind == list:
			text = f.joined(value)
		case strings.HasSuffix(key, "_file") && text != "" && !filepath.IsAbs(text):
			text = filepath.Join(filepath.Dir(f.path), text)
		}
		fields.Field(i + 1).SetString(text)
	})
	return t
}

// joined returns the texts of a list with commas between them, as a variable would say them.
func (f phonesFile) joined(l node) string {
	texts := make([]string, 0, len(l.parts))
	for _, item := range l.parts {
		if item.kind != scalar {
			f.wrong(item, "want a word")
			continue
		}
		texts = append(texts, item.text)
	}
	return strings.Join(texts, ",")
}

// nameField returns a key of the file as a field whose place is the key itself.
func nameField(path string, key node) field {
	return field{namePlace{path, key}, "", key.text}
}

// A namePlace is a key in the phones file.
type namePlace struct {
	path string
	key  node
}

func (p namePlace) where(string) string {
	return fmt.Sprintf("%s:%d:%d: %s", p.path, p.key.line, p.key.column, shown(p.key.text))
}

// groups checks the section of the groups. Their members are phones of the file or of the environment.
func (f phonesFile) groups(section node, taken registry) map[string][]string {
	if section.kind == nothing {
		return nil
	}
	if section.kind != mapping {
		f.wrong(section, "groups: want a name for each group, and its list of phones")
		return nil
	}
	groups, written := map[string][]string{}, map[string]bool{}
	var known []string
	if len(taken.names) <= 1000 { // with more it takes too long to look for what was meant
		known = slices.Sorted(maps.Keys(taken.names))
	}
	for name, members := range section.pairs() {
		called := nameField(f.path, name)
		if !f.name(called) {
			continue
		}
		if written[name.text] {
			f.fault(called, "written twice")
			continue
		}
		written[name.text] = true
		if _, isPhone := taken.names[name.text]; isPhone {
			f.fault(called, "a phone has this name: want another one for the group")
		}
		if members.kind != list || len(members.parts) == 0 {
			f.wrong(members, "%s: want a list of phones, such as [kitchen, hall]", name.text)
			continue
		}
		seen := map[string]bool{}
		for _, member := range members.parts {
			_, isPhone := taken.names[member.text]
			switch {
			case member.kind != scalar:
				f.wrong(member, "%s: want the name of a phone", name.text)
			case seen[member.text]:
				f.wrong(member, "%s: %s is in the group twice", name.text, shown(member.text))
			case isPhone:
				seen[member.text] = true
				groups[name.text] = append(groups[name.text], member.text)
			default:
				what := fmt.Sprintf("%s: no phone has the name %s", name.text, shown(member.text))
				if near := nearest(member.text, known); near != "" {
					what += "; did you mean " + near + "?"
				}
				f.wrong(member, "%s", what)
			}
		}
	}
	return groups
}
