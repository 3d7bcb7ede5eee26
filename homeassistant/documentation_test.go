package homeassistant

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// update writes the tables of the document instead of comparing them: `make docs`.
var update = flag.Bool("update", false, "write the tables in docs/home-assistant.md")

// TestDocumentListsEveryEntity compares the tables in docs/home-assistant.md with the entities there are.
func TestDocumentListsEveryEntity(t *testing.T) {
	t.Parallel()
	const file = "../docs/home-assistant.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := string(text)
	for name, table := range map[string]string{
		"enabled":  entityTable(true, slices.Concat(entities...)),
		"disabled": entityTable(false, slices.Concat(entities...)),
		"bridge":   entityTable(true, bridgeEntities) + strings.ReplaceAll(entityRows(false, bridgeEntities), " |\n", "; disabled |\n"),
	} {
		begin, end := fmt.Sprintf("<!-- %s entities: made from the code by `make docs` -->\n", name), "<!-- end of entities -->\n"
		before, rest, ok := strings.Cut(got, begin)
		if !ok {
			t.Fatalf("%s: no line %s", file, begin)
		}
		_, after, ok := strings.Cut(rest, end)
		if !ok {
			t.Fatalf("%s: no line %s", file, end)
		}
		got = before + begin + table + end + after
	}
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if got != string(text) {
		t.Errorf("%s differs from the code: run `make docs`", file)
	}
}

func entityTable(enabled bool, rows []entity) string {
	return "| entity | platform | description |\n| --- | --- | --- |\n" + entityRows(enabled, rows)
}

// entityRows are the rows of a table, successive entities of one description in one row.
func entityRows(enabled bool, rows []entity) (text string) {
	var names []string
	for i, e := range rows {
		if (e.Enabled == nil) != enabled {
			continue
		}
		names = append(names, e.Name)
		more := i+1 < len(rows) && rows[i+1].note == e.note && rows[i+1].Platform == e.Platform && (rows[i+1].Enabled == nil) == enabled
		if !more {
			text += fmt.Sprintf("| %s | %s | %s |\n", strings.Join(names, ", "), strings.ReplaceAll(e.Platform, "_", " "), e.note)
			names = nil
		}
	}
	return text
}

// TestEveryEntityIsDescribed checks that each row has a key of its own and a description.
func TestEveryEntityIsDescribed(t *testing.T) {
	t.Parallel()
	for _, rows := range [][]entity{slices.Concat(entities...), bridgeEntities} {
		seen := map[string]bool{}
		names := map[string]bool{}
		for _, e := range rows {
			if e.note == "" || e.key == "" || seen[e.key] {
				t.Errorf("%q: expected a description, and a key that no other entity has", e.key)
			}
			if names[e.Name] {
				t.Errorf("%q: another entity has the name %q", e.key, e.Name)
			}
			seen[e.key], names[e.Name] = true, true
		}
	}
}
