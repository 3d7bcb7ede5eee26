package snom2mqtt_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestContents: the tables of contents name every document; all links between documents lead to a file.
func TestContents(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("docs/*.md")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d documents: %v", len(files), err)
	}
	models, err := filepath.Glob("docs/models/*.md")
	if err != nil || len(models) < 5 {
		t.Fatalf("%d pages of models: %v", len(models), err)
	}
	contents := read(t, "docs/README.md") + read(t, "README.md") + read(t, "docs/models/README.md")
	files = append(files, models...)
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	for _, file := range append(files, "README.md", "CONTRIBUTING.md", "SECURITY.md") {
		if name := filepath.Base(file); name != "README.md" && !strings.Contains(contents, name) {
			t.Errorf("docs/README.md does not name %s", file)
		}
		for _, l := range link.FindAllStringSubmatch(read(t, file), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), filepath.FromSlash(l[1]))); err != nil {
				t.Errorf("%s: a link leads to %s, which is not there", file, l[1])
			}
		}
	}
}

// TestDocumentForModels: llms.txt, the table of contents in the form that language models look for, is made from docs/README.md.
func TestDocumentForModels(t *testing.T) {
	t.Parallel()
	const base = "https://raw.githubusercontent.com/snom2mqtt/snom2mqtt/main/"
	var b bytes.Buffer
	b.WriteString("# snom2mqtt\n\n> A bridge between Snom desk phones and MQTT. A message on snom/<phone>/<command> makes a phone dial, ring or press keys; the result\n" +
		"> is published on snom/<phone>/result, and what happens at the phone on snom/<phone>/event and snom/<phone>/status.\n")
	_, rest, _ := strings.Cut(read(t, "docs/README.md"), "\n")
	rest, _, _ = strings.Cut(rest, "\n`man snom2mqtt`")
	rest = strings.NewReplacer("](../", "]("+base, "](", "]("+base+"docs/").Replace(rest)
	b.WriteString(strings.ReplaceAll(rest, base+"docs/"+base, base))
	if *update {
		if err := os.WriteFile("llms.txt", b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if read(t, "llms.txt") != b.String() {
		t.Error("llms.txt differs from docs/README.md: run `make docs`")
	}
}
