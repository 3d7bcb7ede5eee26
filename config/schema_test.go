package config_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v4"

	"github.com/snom2mqtt/snom2mqtt/config"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// A rule is a part of a JSON schema.
type rule map[string]any

// namePattern is what mqtt.ValidName accepts.
const namePattern = `^[a-z0-9][a-z0-9_-]{0,63}$`

// names returns the rule for the keys of a section.
func names() rule {
	return rule{"type": "string", "pattern": namePattern, "not": rule{"enum": []string{"all", "bridge"}}}
}

// anyCase returns a pattern for one of words, in any case.
func anyCase(words []string) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteByte('|')
		}
		for _, r := range w {
			if low, high := strings.ToLower(string(r)), strings.ToUpper(string(r)); low != high {
				b.WriteString("[" + low + high + "]")
			} else {
				b.WriteString(regexp.QuoteMeta(string(r)))
			}
		}
	}
	return b.String()
}

// text is a scalar: the loader takes each as it is written.
func text() rule {
	return rule{"type": []string{"string", "number", "boolean"}, "pattern": `^[^\x00-\x1f\x7f]*$`}
}

// commands returns the rule for a list of commands, or a text of them with commas.
func commands(verbs []snom.Verb) rule {
	list := make([]string, 0, len(verbs))
	for _, v := range verbs {
		list = append(list, string(v))
	}
	one := "(" + strings.Join(list, "|") + ")"
	return rule{"anyOf": []rule{
		{"type": "array", "items": rule{"enum": list}},
		{"type": "string", "pattern": `^ *` + one + ` *(, *` + one + ` *)*$`},
	}}
}

// keyRules are the rules of those keys of a phone that accept more than a text, or less. What a row lists as the words that
// it accepts needs none.
func keyRules() map[string]rule {
	boolean := rule{"anyOf": []rule{{"type": "boolean"}, {"enum": []any{0, 1, "0", "1", "t", "T", "true", "True", "TRUE", "f", "F", "false", "False", "FALSE"}}}}
	models := make([]string, 0, len(snom.Models()))
	for _, m := range snom.Models() {
		models = append(models, m.Name())
	}
	return map[string]rule{
		"url":         {"type": "string", "pattern": `^(([hH][tT][tT][pP][sS]?)://[^/?#@\s]+/?|(` + anyCase([]string{"sip", "freeswitch"}) + `):[^@\s]+@[^@\s]+|` + anyCase([]string{"asterisk"}) + `:[^@\s]+)$`},
		"username":    {"type": []string{"string", "number", "boolean"}, "pattern": `^[^:\x00-\x1f\x7f]*$`, "maxLength": 128},
		"model":       {"anyOf": []rule{{"enum": models}, {"type": "integer"}, {"type": "string", "pattern": `^([sS][nN][oO][mM][ -]?)?(` + anyCase(models) + `)$`}}},
		"allow":       commands(snom.GatedVerbs()),
		"mask":        commands(snom.Verbs()),
		"insecure":    boolean,
		"legacy_tls":  boolean,
		"cert_sha256": {"type": "string", "pattern": `^:*([0-9a-fA-F]:*){64}$`},
		"token":       {"type": "string", "pattern": `^[A-Za-z0-9_-]{16,128}$`},
	}
}

// phoneRules say which keys of a phone go together.
func phoneRules() rule {
	login := rule{"anyOf": []rule{{"required": []string{"password"}}, {"required": []string{"password_file"}}}}
	return rule{
		"dependentSchemas": rule{
			"username":      login,
			"password":      rule{"required": []string{"username"}, "properties": rule{"password_file": false}},
			"password_file": rule{"required": []string{"username"}},
			"token":         rule{"properties": rule{"token_file": false}},
			"ca_file":       rule{"properties": rule{"cert_sha256": false, "url": rule{"pattern": "^[hH][tT][tT][pP][sS]:"}}},
			"cert_sha256":   rule{"properties": rule{"url": rule{"pattern": "^[hH][tT][tT][pP][sS]:"}}},
		},
		"required":             []string{"url"},
		"additionalProperties": false,
	}
}

// keysRule is the rule of the programmable keys of a phone.
func keysRule() rule {
	text := func(what string) rule {
		return rule{"type": []string{"string", "number", "boolean"}, "minLength": 1, "maxLength": 64, "pattern": `^[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$`, "description": what}
	}
	return rule{
		"type": "object", "description": "What programmable keys of the phone are for, by key: docs/keys.md.", "propertyNames": rule{"pattern": "^[pP]([1-9][0-9]?|[12][0-9][0-9]|300)$"},
		"additionalProperties": rule{
			"type": []string{"object", "null"}, "additionalProperties": false, "properties": rule{
				"name":        text("The name of the key in events."),
				"label":       text("What the phone shows beside the key. Unless set, the name."),
				"short_label": text("The short label, for phones that have one. Unless set, the label, on models that are known to have it."),
				"open":        rule{"type": "string", "pattern": namePattern, "description": "The door that a press opens."},
				"run":         rule{"type": "string", "pattern": namePattern, "description": "The macro that a press runs."},
			}, "not": rule{"required": []string{"open", "run"}},
		},
	}
}

// doorRule is the rule of a door.
func doorRule() rule {
	text := func(what string) rule { return rule{"type": []string{"string", "integer"}, "description": what} }
	name := rule{"type": "string", "pattern": namePattern}
	phones := rule{"type": []string{"string", "array"}, "items": name, "description": "A phone, or a list of phones."}
	return rule{"type": "object", "additionalProperties": false, "required": []string{"phone", "number"}, "properties": rule{
		"phone": phones, "number": text("The number that calls when the door rings, and that is called."),
		"country_code": text("Country code by which numbers are compared, such as 49."),
		"code":         text("The tones that open the door."), "code_file": text("A file with the tones that open the door."),
		"method": rule{"enum": []string{"dtmf", "keys"}}, "hold": text("How long the door shows as open, such as 5s."),
		"call": rule{"type": "boolean", "description": "Without a call, the phone calls the door, sends the code and hangs up."},
		"chime": rule{"type": "object", "additionalProperties": false, "required": []string{"phones"}, "properties": rule{
			"phones": phones, "ringer": rule{"type": "integer", "minimum": 1, "maximum": 9}, "count": rule{"type": "integer", "minimum": 1, "maximum": 20},
		}},
		"camera": rule{"type": "object", "additionalProperties": false, "required": []string{"url"}, "properties": rule{
			"url": text("The URL of a JPEG or of an MJPEG stream."), "username": text("The login, digest or Basic."),
			"password": text("Its password."), "password_file": text("A file with its password."),
		}},
	}}
}

// schemaSections are the sections of the file. A section may be there without a value.
func schemaSections(phone rule) rule {
	section := func(what string, each rule) rule {
		return rule{"type": []string{"object", "null"}, "description": what, "propertyNames": names(), "additionalProperties": each}
	}
	steps := rule{"type": "array", "minItems": 1, "maxItems": 64, "items": rule{"type": []string{"object", "string"}}}
	return rule{
		"macros": section("Several commands of a phone as one, by name: docs/macros.md.", rule{
			"type": "object", "required": []string{"steps"}, "additionalProperties": false,
			"properties": rule{"phone": rule{"type": "string", "pattern": namePattern}, "steps": steps, "otherwise": steps},
		}),
		"phones": section("The phones, by name.", phone),
		"groups": section("Groups of phones, by name: a command for a group is sent to each of its phones.",
			rule{"type": "array", "minItems": 1, "uniqueItems": true, "items": rule{"type": "string", "pattern": namePattern}}),
		"paging": rule{"type": []string{"object", "null"}, "description": "The multicast addresses of phones and groups, also of all, by name: announcements are played there.", "propertyNames": rule{"pattern": namePattern}, "additionalProperties": rule{
			"type": "object", "required": []string{"address"}, "additionalProperties": false, "properties": rule{
				"address":   rule{"type": "string", "pattern": `^2(2[4-9]|3[0-9])\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}:[0-9]{1,5}$`, "description": "An IPv4 multicast address and a port."},
				"interrupt": rule{"type": "integer", "minimum": 0, "maximum": 3, "description": "In a call: 0 not played, 1 interrupts it, 2 is mixed into it, 3 holds it."},
				"priority":  rule{"type": "integer", "minimum": 0, "maximum": 10, "description": "10 is the highest."},
				"speaker":   rule{"type": "boolean", "description": "Always by the loudspeaker."},
				"volmax":    rule{"type": "boolean", "description": "Always at full volume."},
			},
		}},
		"doors": section("Door intercoms, by name. See docs/doors.md.", doorRule()),
	}
}

// makeSchema returns the schema of the phones file.
func makeSchema(t *testing.T) []byte {
	t.Helper()
	keys, texts := rule{}, settingTexts(t)
	special := keyRules()
	for _, s := range config.Settings() {
		name, ours := strings.CutPrefix(s.Name, "SNOM2MQTT_PHONE_<n>_")
		if !ours || name == "NAME" {
			continue
		}
		add := func(key, what string, r rule) {
			if is, ok := special[key]; ok {
				r = is
				delete(special, key)
			}
			r["description"] = what
			keys[key] = r
		}
		key, r := strings.ToLower(name), text()
		if s.Accepts != "" {
			words := strings.Split(strings.ReplaceAll(s.Accepts, " or ", ", "), ", ")
			r = rule{"anyOf": []rule{{"enum": words}, {"type": "string", "pattern": "^(" + anyCase(words) + ")$"}}}
		}
		what := strings.ReplaceAll(texts[s.Name], "`", "")
		add(key, what, r)
		if s.Secret {
			add(key+"_file", "The file that the text for "+key+" is in, relative to this file.", rule{"type": "string", "minLength": 1})
		}
	}
	for key := range special {
		t.Errorf("a rule for %s, which is no key of a phone", key)
	}
	phone := phoneRules()
	keys["keys"] = keysRule()
	phone["type"], phone["properties"] = "object", keys
	root := rule{
		"$schema":     "https://json-schema.org/draft/2020-12/schema",
		"$id":         "https://raw.githubusercontent.com/snom2mqtt/snom2mqtt/main/config/phones.schema.json",
		"title":       "Phones file of snom2mqtt",
		"description": "Made from the code by `make docs`. docs/settings.md describes the file.",
		"type":        "object", "properties": schemaSections(phone), "additionalProperties": false,
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(root); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestDocumentSchema: the schema that the program prints is made from the code.
func TestDocumentSchema(t *testing.T) {
	t.Parallel()
	made := makeSchema(t)
	if f := flag.Lookup("update"); f != nil && f.Value.String() == "true" {
		if err := os.WriteFile("phones.schema.json", made, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if config.Schema() != string(made) {
		t.Error("config/phones.schema.json differs from the code: run `make docs`")
	}
}

// compiled returns the schema for use.
func compiled(t *testing.T) *jsonschema.Resolved {
	t.Helper()
	var document jsonschema.Schema
	if err := json.Unmarshal(makeSchema(t), &document); err != nil {
		t.Fatal(err)
	}
	s, err := document.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// refuses says why the schema refuses the text of a phones file, read as an editor reads it; nil: it does not.
func refuses(s *jsonschema.Resolved, text string) error {
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		return err
	}
	return s.Validate(plainValue(value))
}

// plainValue returns a value of YAML as JSON can have it: all keys are texts.
func plainValue(v any) any {
	switch v := v.(type) {
	case map[any]any:
		m := map[string]any{}
		for k, e := range v {
			m[fmt.Sprint(k)] = plainValue(e)
		}
		return m
	case map[string]any:
		m := map[string]any{}
		for k, e := range v {
			m[k] = plainValue(e)
		}
		return m
	case []any:
		for i := range v {
			v[i] = plainValue(v[i])
		}
	}
	return v
}

// TestSchemaAcceptsExamples: every phones file in examples, packages and documents is valid by the schema, and those that are
// files begin with a line by which editors find it.
func TestSchemaAcceptsExamples(t *testing.T) {
	t.Parallel()
	s := compiled(t)
	first := "# yaml-language-server: $schema=https://raw.githubusercontent.com/snom2mqtt/snom2mqtt/main/config/phones.schema.json\n"
	for _, name := range []string{"../packaging/phones.yml", "../examples/demo/phones.yml", "../examples/phones/door.yml"} {
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(file), first) {
			t.Errorf("%s: expected the first line %q", name, first)
		}
		if err := refuses(s, string(file)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	documents, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?ms)^ *(?:```yaml|cat > .*phones.yml <<'END'|sudo install .*/phones.yml <<'END')\n((?:phones|groups|macros|doors):.*?)^ *(?:```|END)$")
	found := 0
	for _, name := range append(documents, "../README.md") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range block.FindAllStringSubmatch(string(text), -1) {
			found++
			if err := refuses(s, m[1]); err != nil {
				t.Errorf("%s: %v\n%s", name, err, m[1])
			}
		}
	}
	if found < 2 {
		t.Errorf("%d examples in the documents, expected at least 2", found)
	}
	for _, text := range []string{
		"phones:\n  a: {url: HTTP://a/, username: 1, password: 2, model: 320, insecure: 'TRUE', auth: DIGEST}\n",
		"phones: {a: {url: 'https://[fe80::1%25eth0]:8443', model: Snom 320, allow: 'reset , firmware', mask: [dtmf], dialect: old, legacy_tls: 1}}\n",
		"phones:\ngroups:\n",
	} {
		if err := refuses(s, text); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
}

// TestSchemaRefusesFaults: what Load refuses, the schema refuses too, but for faults that no schema can see.
func TestSchemaRefusesFaults(t *testing.T) {
	t.Parallel()
	s := compiled(t)
	blind := []string{
		"sections without anything",  // phones may be in the environment
		"clash with the environment", // which a schema does not know
		"files",                      // what they contain
		"anchors", "tags", "merge",   // YAML without them says the same
		"UTF-16 without a mark", "two documents", // how a text is written, and not what it says
		"half of UTF-16", "a version",
	}
	for _, tt := range phonesFileFaults() {
		if err := refuses(s, tt.file); err == nil && !slices.Contains(blind, tt.name) {
			t.Errorf("%s: the schema accepts\n%s", tt.name, tt.file)
		}
	}
	for _, text := range []string{
		"phones: {a: {url: ftp://a}}", "phones: {a: {url: http://a, username: b}}", "phones: {a: {url: http://a, password: b}}",
		"phones: {a: {url: http://a, dialect: modern}}", "phones: {a: {url: http://a, allow: [dial]}}", "phones: {a: {url: http://a, mask: [dance]}}",
		"phones: {a: {url: http://a, model: D999}}", "phones: {a: {url: http://a, cert_sha256: 00}}", "phones: {a: {url: http://a, token: short}}",
		"phones: {a: {url: http://a, insecure: perhaps}}", "phones: {bridge: {url: http://a}}", "groups: {a: [b, b]}",
		"phones: {a: {url: http://a, username: b, password: c, password_file: d}}", "phones: {a: {url: http://a, cert_sha256: " + strings.Repeat("00", 32) + "}}",
	} {
		if refuses(s, text) == nil {
			t.Errorf("the schema accepts %s", text)
		}
		file := filepath.Join(t.TempDir(), "p.yml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := config.Load(t.Context(), []string{"SNOM2MQTT_PHONES_FILE=" + file}); err == nil {
			t.Errorf("Load accepts %s", text)
		}
	}
}
