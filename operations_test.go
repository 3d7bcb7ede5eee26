package snom2mqtt_test

import (
	"encoding/json"
	"go/ast"
	"go/token"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/snom2mqtt/snom2mqtt/metrics"
)

// checkQuery looks whether a query of Prometheus asks for metrics and labels that there are.
func checkQuery(t *testing.T, where, query string) {
	t.Helper()
	labels := []string{"le", "job", "instance"} // of Prometheus, and of histograms
	for _, name := range regexp.MustCompile(`\b(?:snom2mqtt|process|go)_\w+`).FindAllString(query, -1) {
		if strings.HasPrefix(name, "process_") || strings.HasPrefix(name, "go_") {
			if !slices.Contains([]string{"process_resident_memory_bytes", "process_cpu_seconds_total", "go_goroutines"}, name) {
				t.Errorf("%s: %s is not among the library's metrics that are known here", where, name)
			}
			continue
		}
		i := slices.IndexFunc(metrics.Docs(), func(d metrics.Doc) bool {
			part, ok := strings.CutPrefix(name, d.Name)
			return ok && (part == "" || d.Type == "histogram" && slices.Contains([]string{"_bucket", "_sum", "_count"}, part))
		})
		if i < 0 {
			t.Errorf("%s: there is no metric %s", where, name)
			continue
		}
		labels = append(labels, metrics.Docs()[i].Labels...)
	}
	asked := regexp.MustCompile(`(\w+) *(?:=~|!~|!=|=)[ ]*"`).FindAllStringSubmatch(query, -1)
	for _, by := range regexp.MustCompile(`by \(([^)]*)\)`).FindAllStringSubmatch(query, -1) {
		for label := range strings.SplitSeq(by[1], ",") {
			asked = append(asked, []string{"", strings.TrimSpace(label)})
		}
	}
	for _, a := range asked {
		if !slices.Contains(labels, a[1]) {
			t.Errorf("%s: there is no label %s in %s", where, a[1], query)
		}
	}
}

// TestDashboard: Grafana's file asks for metrics that there are, and no two panels lie on one another.
func TestDashboard(t *testing.T) {
	t.Parallel()
	const file = "examples/grafana/snom2mqtt.json"
	var dashboard struct {
		Title      string
		Templating struct {
			List []struct{ Name, Definition string }
		}
		Panels []struct {
			ID          int
			Type, Title string
			GridPos     struct{ X, Y, W, H int }
			Targets     []struct{ Expr, RefID string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, file)), &dashboard); err != nil {
		t.Fatal(err)
	}
	ids, cells := map[int]string{}, map[[2]int]string{}
	for _, p := range dashboard.Panels {
		if other, taken := ids[p.ID]; taken {
			t.Errorf("%s and %s have one id", p.Title, other)
		}
		ids[p.ID] = p.Title
		if p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("%s is wider than the page", p.Title)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, taken := cells[[2]int{x, y}]; taken {
					t.Fatalf("%s lies on %s", p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
		if (len(p.Targets) == 0) != (p.Type == "row") {
			t.Errorf("%s has %d queries", p.Title, len(p.Targets))
		}
		for _, q := range p.Targets {
			checkQuery(t, file+": "+p.Title, q.Expr)
		}
	}
	for _, v := range dashboard.Templating.List {
		checkQuery(t, file+": "+v.Name, v.Definition)
	}
	if !strings.Contains(read(t, "docs/operations.md"), "../"+file) {
		t.Errorf("docs/operations.md does not name %s", file)
	}
}

// TestAlerts: Prometheus' rules ask for metrics that there are.
func TestAlerts(t *testing.T) {
	t.Parallel()
	const file = "examples/prometheus/alerts.yml"
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations struct{ Summary string }
			}
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, file)), &rules); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			n++
			if r.Alert == "" || r.Annotations.Summary == "" {
				t.Errorf("%q: an alert must have a name and a summary", r.Alert)
			}
			checkQuery(t, file+": "+r.Alert, r.Expr)
		}
	}
	if n == 0 {
		t.Errorf("%s has no rules", file)
	}
	if !strings.Contains(read(t, "docs/operations.md"), "../"+file) {
		t.Errorf("docs/operations.md does not name %s", file)
	}
}

// TestLogNames: whatever is logged has names that docs/operations.md lists, and all that it lists are
// used: programs read them.
func TestLogNames(t *testing.T) {
	t.Parallel()
	used := map[string]token.Position{}
	sources(t, func(name string, file *ast.File, set *token.FileSet) {
		if strings.HasSuffix(name, "_test.go") || strings.Contains(name, "test/") || strings.HasPrefix(name, "internal/") && !strings.HasPrefix(name, "internal/lograte/") {
			return
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if ok {
				for _, key := range logKeys(call) {
					used[key] = set.Position(call.Pos())
				}
			}
			return true
		})
	})
	_, table, _ := strings.Cut(read(t, "docs/operations.md"), "\n| name | type | what |\n|---|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	listed := map[string]bool{}
	for _, row := range strings.Split(table, "\n") {
		names, _, _ := strings.Cut(strings.TrimPrefix(row, "|"), "|")
		for _, name := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(names, -1) {
			listed[name[1]] = true
		}
	}
	if len(listed) == 0 {
		t.Error("docs/operations.md has no table of names")
	}
	for _, name := range slices.Sorted(maps.Keys(used)) {
		if !listed[name] {
			t.Errorf("%v: logs %s, which docs/operations.md does not list", used[name], name)
		}
		delete(listed, name)
	}
	for name := range listed {
		t.Errorf("docs/operations.md lists %s, which nothing logs", name)
	}
}

// TestBoundsAreTested: the table of what is remembered or queued names tests that there are.
func TestBoundsAreTested(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{}
	sources(t, func(name string, file *ast.File, _ *token.FileSet) {
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && strings.HasSuffix(name, "_test.go") {
				tests[f.Name.Name] = true
			}
		}
	})
	_, table, _ := strings.Cut(read(t, "docs/architecture.md"), "\n| what | bound | beyond it | test |\n|---|---|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	rows := strings.Split(table, "\n")
	if len(rows) < 10 {
		t.Fatalf("docs/architecture.md has a table of %d bounds", len(rows))
	}
	for _, row := range rows {
		cells := strings.Split(row, " | ")
		named := regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(cells[len(cells)-1], -1)
		if len(named) == 0 {
			t.Errorf("no test: %s", row)
		}
		for _, n := range named {
			if !tests[n[1]] {
				t.Errorf("there is no %s: %s", n[1], row)
			}
		}
	}
}

// logKeys returns the names of what a call logs: slog.String("name", ...), and the pairs after a message.
func logKeys(call *ast.CallExpr) (keys []string) {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return nil
	}
	text := func(i int) (string, bool) {
		if i >= len(call.Args) {
			return "", false
		}
		lit, ok := call.Args[i].(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return "", false
		}
		s, err := strconv.Unquote(lit.Value)
		return s, err == nil
	}
	if x, ok := f.X.(*ast.Ident); ok && x.Name == "slog" {
		if key, ok := text(0); ok && len(call.Args) == 2 {
			keys = append(keys, key)
		}
		return keys
	}
	first, logs := map[string]int{"Debug": 1, "Info": 1, "Warn": 1, "Error": 1, "Log": 3, "With": 0}[f.Sel.Name]
	for i := first; logs && i < len(call.Args); i++ {
		if key, ok := text(i); ok {
			keys = append(keys, key)
			i++ // its value
		}
	}
	return keys
}
