package main

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/config"
)

// What people read first must be true. These tests read what is written by hand.

func readDoc(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// blocks returns the fenced blocks of a language.
func blocks(text, language string) (all []string) {
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

// anchors returns what headings may be linked by, as GitHub makes it.
func anchors(text string) (all []string) {
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		plain := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, strings.ReplaceAll(plain, " ", "-"))
	}
	return all
}

func TestLinksLead(t *testing.T) {
	t.Parallel()
	docs, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	files := []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"}
	for _, f := range docs {
		files = append(files, "docs/"+filepath.Base(f))
	}
	for _, f := range files {
		if strings.Contains(readDoc(t, f), "<!-- Made from the code") {
			continue // not written by hand
		}
		for _, m := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(readDoc(t, f), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			path := f
			if target != "" {
				path = filepath.ToSlash(filepath.Join(filepath.Dir(f), target))
			}
			if _, err := os.Stat(filepath.Join("..", "..", path)); err != nil {
				t.Errorf("%s: %v", f, err)
			} else if anchor != "" && !slices.Contains(anchors(readDoc(t, path)), anchor) {
				t.Errorf("%s: %s: no such heading", f, m[1])
			}
		}
	}
}

func TestReadmeNamesWhatThereIs(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, s := range config.Settings() {
		known[s.Name], known[s.Name+"_FILE"] = true, s.Secret
	}
	phone := regexp.MustCompile(`_PHONE_[0-9]+_`)
	var names []string
	for _, c := range (&program{}).root().Commands() {
		names = append(names, c.Name())
	}
	for _, f := range []string{"README.md", "docs/architecture.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "docs/phone-setup.md", "docs/node-red.md"} {
		text := readDoc(t, f)
		for _, name := range regexp.MustCompile(`SNOM2MQTT_[A-Z0-9_]*[A-Z0-9]`).FindAllString(text, -1) {
			if !known[phone.ReplaceAllString(name, "_PHONE_<n>_")] {
				t.Errorf("%s names %s, which is no setting", f, name)
			}
		}
		for _, m := range regexp.MustCompile("(?:`|(?m:^)| {2,}|snom2mqtt=\\S* )snom2mqtt ([a-z][a-z-]*)").FindAllStringSubmatch(text, -1) {
			if !slices.Contains(names, m[1]) {
				t.Errorf("%s names snom2mqtt %s, which is no command", f, m[1])
			}
		}
	}
}

// TestReadmeResult: the README's result has no member that a result does not have. Its table of commands is made
// from the code.
func TestReadmeResult(t *testing.T) {
	t.Parallel()
	text := readDoc(t, "README.md")
	result := blocks(text, "json")[0]
	d := json.NewDecoder(strings.NewReader(result))
	d.DisallowUnknownFields()
	var r bridge.Result
	if err := d.Decode(&r); err != nil || !r.OK || r.Code != bridge.OK {
		t.Errorf("%s: %+v, %v", result, r, err)
	}
}

// TestReadmeFirstScreen: the first screen shows how to try the program and how to test it.
func TestReadmeFirstScreen(t *testing.T) {
	t.Parallel()
	text := readDoc(t, "README.md")
	if got, want := blocks(text, "sh")[0], "go run ./cmd/snom2mqtt demo\nmake test\n"; got != want {
		t.Errorf("the first commands are %q, want %q", got, want)
	}
	if at := strings.Index(text, "make test"); strings.Count(text[:at], "\n") > 15 {
		t.Error("make test is not on the first screen")
	}
}

// TestArchitectureNamesTestsThereAre: every law names the test that keeps it, and the test is there.
func TestArchitectureNamesTestsThereAre(t *testing.T) {
	t.Parallel()
	there := map[string]bool{}
	err := filepath.WalkDir("../..", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				there[f.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	text := readDoc(t, "docs/architecture.md")
	for _, name := range regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w+)`").FindAllStringSubmatch(text, -1) {
		if !there[name[1]] {
			t.Errorf("there is no %s", name[1])
		}
	}
	_, laws, _ := strings.Cut(text, "| | law | kept by |\n")
	if got := len(regexp.MustCompile("(?m)^\\| [0-9]+ \\| .* \\| `(Test|Fuzz)").FindAllString(laws, -1)); got != 10 {
		t.Errorf("%d laws with a test, want 10", got)
	}
}
