package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/internal/textfile"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// plainFiles are texts that readPlain reads.
func plainFiles() []string {
	return []string{
		PhonesFileExample,
		manyPhones(20),
		quotedPhones(3),
		"a:\n- b\n- c # d\nd:\n  - \"e f\"\n  - 'g # h'\n",
		"a: {}\nb: []\nc: {d: [], e: {f: g}}\n",
		"# first\n\n  # second\na: b   # third\nd:   e\n",
		"0: 0042\n1a: 1e3\nb: true\nc: 2026-11-22\nd: 0x1F\ne: \"\"\nf: ''\ng: a:b/c@d+e-f\n",
		"a: {b: http://c:80/, d: \"e, f\",g: 'h'}\ni:\n    j: k\n",
		"a: b",
		"'a b': \"c\"\n\"null\": {'d': e, \"f\": [\"g\"]}\n\"\": h\n",
	}
}

// otherFiles are texts that are left to the library, with mistakes or without.
func otherFiles() []string {
	return []string{
		"", "\n", " a: b\n", "a:\n", "a: null\n", "a: ~\n", "null: a\n", "a: b c\n", "a: {b: c,\n d: e}\n", "a: |\n  b\n",
		"a: &b c\nd: *b\n", "<<: {a: b}\n", "a: !!str b\n", "? a\n: b\n", "? [a]\n: b\n", "--- \na: b\n", "a: b\n---\nc: d\n", "a: \"b\\n\"\n", "a: 'b''c'\n",
		"a:\tb\n", "a: b\tc\n", "ä: b\n", "a: {b}\n", "a: {b: }\n", "a: {b: c, }\n", "a: [b, ]\n", "a: [{b: c}]\n", "a: [[b]]\n", "a: [b c]\n",
		"a: {b: c} d\n", "a: [b\n", "a: {\n", "a: {b\n", "a: {b: \n", "a: {b: c\n", "a: [b: c]\n", "a: \"b\n", "a: b:\n", "a:b\n", "a\n", "- a\n- b: c\n", "- [a]\n  b\n",
		"a:\n  b: c\n d: e\n", "a: b\n  c: d\n", "a:\n    - b\n  - c\n", "a:\n  - b c\n", "a:\n  -  \n", "a: b\r\n", "a: %b\n", "a: {b: c}#d\n", "a: b#c\n", "a: -b\n", "a:\nb: c\n",
		"\"a\":b\n", "\"a\" : b\n", "\"a\nb\": c\n", "'a''b': c\n", "{\"a\":b}\n", "\"a\\tb\": c\n", "a: b\u00a0c\n", "a: b\u2028c\n", "a: [[[[[[[[[[[[[[[[[[[[b\n",
	}
}

func TestPlainFilesNeedNoLibrary(t *testing.T) {
	t.Parallel()
	for _, text := range plainFiles() {
		if _, ok := readPlain(text); !ok {
			t.Errorf("readPlain does not read\n%s", text)
		}
		got, other := samePlain(t, text)
		if !reflect.DeepEqual(got, other) {
			t.Errorf("readPlain reads %+v\nthe library  %+v\nof\n%s", got, other, text)
		}
	}
	for _, text := range otherFiles() {
		if n, ok := readPlain(text); ok {
			t.Errorf("readPlain reads as %+v\n%s", n, text)
		}
	}
}

// FuzzPlain: what readPlain reads, the library reads as the same, at the same places.
func FuzzPlain(f *testing.F) {
	for _, text := range phonesFiles() {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, other := samePlain(t, text); !reflect.DeepEqual(got, other) {
			t.Fatalf("readPlain reads %+v\nthe library  %+v\nof\n%s", got, other, text)
		}
	})
}

// samePlain returns what readPlain and the library read, or nothing where readPlain does not.
func samePlain(t *testing.T, text string) (got, other node) {
	t.Helper()
	got, ok := readPlain(text)
	if !ok {
		return node{}, node{}
	}
	other, fault := readYAML(text)
	if fault != nil {
		t.Fatalf("readPlain reads what the library refuses, %+v:\n%s", *fault, text)
	}
	return got, other
}

// phonesFiles are texts to begin with, with mistakes and without.
func phonesFiles() []string {
	return slices.Concat(plainFiles(), otherFiles(), []string{
		"phones:\n  a: {url: http://a, username: b, password: hunter2}\ngroups: {c: [a]}\n", "\uFEFFphones:\r\n  a: {url: http://a}\r\n",
	})
}

// FuzzPhonesFile: whatever stands in the file there is a roster that holds to its promises, or there are
// faults, which have a place and show no text that is not a name.
func FuzzPhonesFile(f *testing.F) {
	for _, text := range phonesFiles() {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text, err := textfile.Text([]byte(text))
		if err != nil {
			return
		}
		text = strings.ReplaceAll(text, "_file", "_flie") // the fuzzer must not have any file read
		c := &checker{}
		r := phonesFile{c, "p.yaml"}.parse(text, newRegistry(), defaults{})
		if len(c.faults.list) == 0 {
			checkRoster(t, r)
		}
		for _, fault := range c.faults.list {
			if !strings.HasPrefix(fault.Where, "p.yaml:") || len(fault.Where)+len(fault.What) > 500 {
				t.Fatalf("a fault without a place, or one that shows too much: %v", fault)
			}
		}
	})
}

// FuzzLoad: whatever stands in the environment there is a configuration that holds to its promises, or
// there are faults, and no fault shows a value.
func FuzzLoad(f *testing.F) {
	known := append(names(variables{}), "PHONE_0_NAME", "PHONE_0_URL", "PHONE_0_PASSWORD", "PHONE_1_URL", "PHONE_01_URL")
	for _, name := range known {
		f.Add(name+"=hunter2", "PHONE_0_NAME=a", "PHONE_0_URL=http://a")
		f.Add("MQTT_URL=tcp://user:hunter2@a", name+"=5s", "PHONE_0_URL=http://a")
	}
	f.Fuzz(func(t *testing.T, a, b, c string) {
		var environ []string
		for _, setting := range []string{a, b, c} {
			if name, _, _ := strings.Cut(setting, "="); !strings.HasSuffix(name, "_FILE") && name != "STATE_DIRECTORY" { // read and write no files
				environ = append(environ, prefix+setting)
			}
		}
		got, err := Load(t.Context(), environ)
		checkRoster(t, got.Roster)
		if (len(got.Roster.Phones) == 0) != (err != nil) {
			t.Fatalf("%d phones and the error %v", len(got.Roster.Phones), err)
		}
		if err == nil {
			return
		}
		for _, setting := range environ {
			if _, value, _ := strings.Cut(setting, "="); strings.Contains(value, "hunter2") && strings.Contains(withoutNames(err, environ), "hunter2") {
				t.Fatalf("%q shows in %v", value, err)
			}
		}
	})
}

// withoutNames returns the text of an error without the names of the variables, which it may show.
func withoutNames(err error, environ []string) string {
	text := err.Error()
	for _, setting := range environ {
		name, _, _ := strings.Cut(setting, "=")
		text = strings.ReplaceAll(text, name, "")
	}
	return text
}

// checkRoster checks that a roster holds to its promises.
func checkRoster(t *testing.T, r Roster) {
	t.Helper()
	phones, urls := map[string]bool{}, map[string]bool{}
	for _, p := range r.Phones {
		if mqtt.ValidName(p.Name) != nil || phones[p.Name] || urls[p.URL] || !strings.HasPrefix(p.URL, "http") {
			t.Fatalf("phone %+v", p)
		}
		if p.Password.IsZero() != (p.Username == "") {
			t.Fatalf("half a login: %+v", p)
		}
		phones[p.Name], urls[p.URL] = true, true
	}
	for name, members := range r.Groups {
		if mqtt.ValidName(name) != nil || phones[name] || len(members) == 0 {
			t.Fatalf("group %q of %q", name, members)
		}
		for _, m := range members {
			if !phones[m] {
				t.Fatalf("group %q has a member %q, which is no phone", name, m)
			}
		}
	}
}

// manyPhones returns a phones file with n phones, half of them in braces.
func manyPhones(n int) string {
	var b strings.Builder
	b.WriteString("phones:\n")
	for i := range n {
		if i%2 == 0 {
			fmt.Fprintf(&b, "  phone%d: {url: http://10.1.%d.%d, username: admin, password: secret, model: D735}\n", i, i/250, i%250)
		} else {
			fmt.Fprintf(&b, "  phone%d:\n    url: http://10.2.%d.%d\n    username: admin\n    password: 'secret'\n    model: \"320\"\n", i, i/250, i%250)
		}
	}
	b.WriteString("groups:\n  ground-floor: [phone0")
	for i := 1; i < n; i += 3 {
		fmt.Fprintf(&b, ", phone%d", i)
	}
	b.WriteString("]\n")
	return b.String()
}

// quotedPhones returns a phones file with n phones whose keys are in quotes, as programs write them.
func quotedPhones(n int) string {
	var b strings.Builder
	b.WriteString("\"phones\":\n")
	for i := range n {
		fmt.Fprintf(&b, "  \"phone%d\": {\"url\": \"http://10.%d.%d.%d\"}\n", i, i>>16, i>>8&255, i&255)
	}
	return b.String()
}

// BenchmarkLoadPhonesFile shows time and memory by phone: both are to stay the same as the files grow.
func BenchmarkLoadPhonesFile(b *testing.B) {
	for _, file := range []struct {
		name string
		text func(int) string
		n    int
	}{
		{"plain", manyPhones, 100}, {"plain", manyPhones, 10_000}, {"plain", manyPhones, 30_000},
		{"quoted", quotedPhones, 30_000}, {"quoted", quotedPhones, 300_000},
	} {
		b.Run(fmt.Sprint(file.name, "/", file.n), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "p.yaml")
			if err := os.WriteFile(path, []byte(file.text(file.n)), 0o600); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				c, err := Load(b.Context(), []string{prefix + "PHONES_FILE=" + path})
				if err != nil || len(c.Roster.Phones) != file.n {
					b.Fatalf("%d phones, %v", len(c.Roster.Phones), err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*file.n), "ns/phone")
		})
	}
}

func BenchmarkLoadNumberedPhones(b *testing.B) {
	var environ []string
	for i := range 1000 {
		environ = append(environ, fmt.Sprintf("%sPHONE_%d_NAME=phone%d", prefix, i, i), fmt.Sprintf("%sPHONE_%d_URL=http://phone%d", prefix, i, i))
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Load(b.Context(), environ); err != nil {
			b.Fatal(err)
		}
	}
}
