package metrics_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/metrics"
)

var update = flag.Bool("update", false, "write the generated part of docs/operations.md")

// TestDocument: the table of docs/operations.md is the table of the code.
func TestDocument(t *testing.T) {
	t.Parallel()
	const file, begin, end = "../docs/operations.md", "<!-- metrics: made from the code by `make docs` -->\n", "<!-- end of metrics -->\n"
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
	b.WriteString("\n| metric | type | labels | what |\n| --- | --- | --- | --- |\n")
	for _, d := range metrics.Docs() {
		labels := ""
		if len(d.Labels) > 0 {
			labels = "`" + strings.Join(d.Labels, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", d.Name, d.Type, labels, d.Help)
	}
	b.WriteString("\nIn addition there are the metrics of the process and of the Go runtime, `process_*` and `go_*`.\n\n")
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
