package config

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/snom2mqtt/snom2mqtt/internal/textfile"
)

// A filePlace is a mapping in the phones file, such as that of one phone.
type filePlace struct {
	path string
	key  *node // of the mapping
	is   *node // the mapping
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
func (f phonesFile) wrong(at *node, format string, args ...any) {
	f.add(fmt.Sprintf("%s:%d:%d", f.path, at.line, at.column), format, args...)
}

// members hands the values of a mapping to take, with the index of their key in known, and adds a fault
// for each key that is written twice or is not known.
func (f phonesFile) members(m *node, known []string, take func(i int, value *node)) {
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

// readPhonesFile checks the phones file and returns what is in it, its phones by name.
func (c *checker) readPhonesFile(path field, taken registry, d defaults) Roster {
	data, err := c.read(path.text, maxPhonesFile)
	if err != nil {
		c.stuck = errors.Is(err, textfile.ErrTimeout)
		c.fault(path, "%v", err)
		return Roster{}
	}
	f := phonesFile{c, path.text}
	text, err := textfile.Text(data)
	if wrong := (*textfile.Error)(nil); errors.As(err, &wrong) {
		f.wrong(&node{line: wrong.Line, column: wrong.Column}, "%s", wrong.What)
		return Roster{}
	}
	if c.again && !strings.HasSuffix(text, "\n") {
		f.wrong(&node{line: strings.Count(text, "\n") + 1, column: 1}, "this line has no end: is the file being written?")
		return Roster{}
	}
	return f.parse(text, taken, d)
}

// parse checks the text of the phones file.
func (f phonesFile) parse(text string, taken registry, d defaults) Roster {
	root, wrong := readNodes(text)
	if wrong != nil {
		f.wrong(&node{line: wrong.line, column: wrong.column}, "%s", wrong.what)
		return Roster{}
	}
	if root.kind != mapping {
		f.wrong(&node{line: max(root.line, 1), column: max(root.column, 1)}, "expected phones: and below it a name for each phone")
		return Roster{}
	}
	sections := [5]*node{{}, {}, {}, {}, {}}
	f.members(&root, []string{"phones", "groups", "macros", "paging", "doors"}, func(i int, section *node) { sections[i] = section })
	r := Roster{Phones: f.phones(sections[0], taken, d)}
	r.Groups = f.groups(sections[1], taken)
	r.Macros = f.macros(sections[2], taken)
	r.Paging = f.paging(sections[3], taken, r.Groups)
	r.Doors = f.doors(sections[4], taken, r.Groups)
	f.keysMean(r)
	return r
}

// phones checks the section of the phones.
func (f phonesFile) phones(section *node, taken registry, d defaults) []Phone {
	if section.kind == nothing {
		return nil
	}
	if section.kind != mapping {
		f.wrong(section, "phones: expected a name for each phone, and its settings below the name")
		return nil
	}
	form := newPhoneForm()
	phones := make([]Phone, 0, len(section.parts)/2)
	for name, settings := range section.pairs() {
		if settings.kind != mapping && settings.kind != nothing {
			f.wrong(settings, "%s: expected the settings of a phone, such as url: http://192.0.2.10", shown(name.text))
			continue
		}
		odd := f.fill(form, name, settings)
		v := &form.v
		named := f.name(v.Name)
		p := f.checker.phone(v, d)
		if form.section.kind != nothing {
			p.Keys = f.keys(name.text, form.section)
		}
		for _, one := range odd {
			f.warn(one, one.text)
		}
		if named {
			taken.take(f.checker, v.Name, v.URL, p)
		}
		phones = append(phones, p)
	}
	slices.SortFunc(phones, func(a, b Phone) int { return strings.Compare(a.Name, b.Name) })
	return phones
}

// A phoneForm is filled in for one phone after the other.
type phoneForm struct {
	v       phoneVariables
	keys    []string // in small letters; without the name, which is the key of the phone; the last one is that of the section
	fields  []*field // of v, in the order of keys
	section *node    // of the phone's programmable keys
}

// keysSection is the key of a phone that is no setting of one text: what its programmable keys are for.
const keysSection = "keys"

func newPhoneForm() *phoneForm {
	form := &phoneForm{v: placed(phoneVariables{}, nil)}
	fields := reflect.ValueOf(&form.v).Elem()
	for _, r := range rows(phoneVariables{}) {
		if r.name == "NAME" {
			continue
		}
		form.keys = append(form.keys, strings.ToLower(r.name))
		form.fields = append(form.fields, fields.FieldByName(r.field).Addr().Interface().(*field)) //nolint:forcetypeassert // rows saw to it
	}
	form.keys = append(form.keys, keysSection)
	return form
}

// fill fills in the form for a phone, and returns those texts that are probably not what was meant. Paths are relative to
// the phones file.
func (f phonesFile) fill(form *phoneForm, name, settings *node) (odd []field) {
	var at place = filePlace{f.path, name, settings}
	form.section = &node{}
	for _, one := range form.fields {
		one.in, one.text = at, ""
	}
	f.members(settings, form.keys, func(i int, value *node) {
		key, text := form.keys[i], value.text
		switch {
		case value.kind == nothing:
			f.wrong(value, "%s: %s: no value; leave the key out, or put the text in quotes", shown(name.text), key)
			return
		case key == keysSection:
			form.section = value
			return
		case value.kind == mapping, value.kind == list && key != "allow" && key != "mask":
			f.wrong(value, "%s: %s: expected one value", shown(name.text), key)
			return
		case value.kind == list:
			text = f.joined(value)
		}
		one := form.fields[i]
		one.text = text
		f.look(*one)
		if oddity(text) != "" {
			odd = append(odd, *one)
		}
		if value.cut && (key == "password" || key == "token") {
			f.checker.warnings.add(one.where(), "the value ends before a # with a blank in front of it, which begins a comment: put it in quotes if that is a part of it")
		}
		if strings.HasSuffix(key, "_file") && text != "" && !filepath.IsAbs(text) {
			one.text = filepath.Join(filepath.Dir(f.path), text)
		}
	})
	form.v.Name = nameField(f.path, name)
	f.look(form.v.Name)
	return odd
}

// joined returns the texts of a list with commas between them, as a variable would say them.
func (f phonesFile) joined(l *node) string {
	texts := make([]string, 0, len(l.parts))
	for i := range l.parts {
		item := &l.parts[i]
		if item.kind != scalar {
			f.wrong(item, "expected a word")
			continue
		}
		texts = append(texts, item.text)
	}
	return strings.Join(texts, ",")
}

// nameField returns a key of the file as a field whose place is the key itself.
func nameField(path string, key *node) field {
	return field{in: namePlace{path, key}, text: key.text}
}

// A namePlace is a key in the phones file.
type namePlace struct {
	path string
	key  *node
}

func (p namePlace) where(string) string {
	return fmt.Sprintf("%s:%d:%d: %s", p.path, p.key.line, p.key.column, shown(p.key.text))
}

// groups checks the section of the groups. Their members are phones of the file or of the environment.
func (f phonesFile) groups(section *node, taken registry) map[string][]string {
	if section.kind == nothing {
		return nil
	}
	if section.kind != mapping {
		f.wrong(section, "groups: expected a name for each group, and its list of phones")
		return nil
	}
	groups, written := map[string][]string{}, map[string]bool{}
	var known []string
	if len(taken.names) <= 1000 { // with more it takes too long to look for what was meant
		known = slices.Sorted(maps.Keys(taken.names))
	}
	for name, members := range section.pairs() {
		called := nameField(f.path, name)
		f.look(called)
		if !f.name(called) {
			continue
		}
		if written[name.text] {
			f.fault(called, "written twice")
			continue
		}
		written[name.text] = true
		if _, isPhone := taken.names[name.text]; isPhone {
			f.fault(called, "a phone has this name: expected another one for the group")
		}
		if members.kind != list || len(members.parts) == 0 {
			f.wrong(members, "%s: expected a list of phones, such as [kitchen, hall]", name.text)
			continue
		}
		groups[name.text] = f.group(name.text, members, taken, known)
	}
	return groups
}

// group checks the members of a group, and looks among known for what was meant by others.
func (f phonesFile) group(name string, members *node, taken registry, known []string) (list []string) {
	seen := map[string]bool{}
	for i := range members.parts {
		member := &members.parts[i]
		_, isPhone := taken.names[member.text]
		switch {
		case member.kind != scalar:
			f.wrong(member, "%s: expected the name of a phone", name)
		case seen[member.text]:
			f.wrong(member, "%s: %s is in the group twice", name, shown(member.text))
		case isPhone:
			seen[member.text] = true
			list = append(list, member.text)
		default:
			what := fmt.Sprintf("%s: no phone has the name %s", name, shown(member.text))
			if near := nearest(member.text, known); near != "" {
				what += "; did you mean " + near + "?"
			}
			f.wrong(member, "%s", what)
		}
	}
	return list
}
