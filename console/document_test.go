package console

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the generated part of docs/console.md")

// TestDocument: the table of docs/console.md is the table of the code.
func TestDocument(t *testing.T) {
	t.Parallel()
	const file, begin, end = "../docs/console.md", "<!-- api: made from the code by `make docs` -->\n", "<!-- end of api -->\n"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	have, after, ended := strings.Cut(rest, end)
	if !ok || !ended {
		t.Fatalf("%s has no place for the table", file)
	}
	var b strings.Builder
	b.WriteString("\n| request | what | parameters |\n|---|---|---|\n")
	for _, one := range routes() {
		if one.summary == "" {
			continue
		}
		var parameters []string
		for _, p := range one.parameters {
			if p.in != "path" {
				parameters = append(parameters, fmt.Sprintf("`%s`: %s", p.name, p.what))
			}
		}
		fmt.Fprintf(&b, "| `%s %s` | %s | %s |\n", one.method, one.path, plain(one.summary), plain(strings.Join(parameters, "; ")))
	}
	b.WriteString("\n")
	switch {
	case have == b.String():
	case *update:
		if err := os.WriteFile(file, []byte(before+begin+b.String()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s differs from the code: run `make docs`", file)
	}
}

// plain returns a text as a cell of a table shows it.
func plain(text string) string { return strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(text) }
