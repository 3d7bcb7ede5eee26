// Package snom2mqtt_test keeps the laws of the house that a compiler does not: who may import
// whom, and what no file may do.
package snom2mqtt_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/snom2mqtt/snom2mqtt"

// mayImport says which packages of the project a package may import. A package that is not here
// has no place in the house yet.
func mayImport() map[string][]string {
	return map[string][]string{
		"snom":             {},
		"mqtt":             {},
		"config":           {},
		"broker":           {},
		"internal/pipenet": {},
		"internal/bench":   {}, // measures the built program, from outside
		"snom/snomtest":    {"snom", "internal/pipenet"},
		"mqtt/mqtttest":    {"mqtt"},
		"e2e":              {}, // tests only
		"mqtt/mqttpaho":    {"mqtt"},
		"bridge":           {"snom", "mqtt"},
		"phoneweb":         {"snom", "mqtt"},
		"homeassistant":    {"snom", "mqtt"},
		"console":          {"bridge", "snom"},
		"metrics":          {"bridge", "snom"},
		"cmd/snom2mqtt":    {"*"}, // it alone wires
	}
}

// onlyIn says which packages may import what comes from outside, each for one reason.
func onlyIn() map[string][]string {
	return map[string][]string{
		"github.com/eclipse/paho.mqtt.golang": {"mqtt/mqttpaho", "internal/bench"}, // which measures what it costs

		"github.com/icholy/digest":         {"snom", "snom/snomtest", "internal/bench"},
		"github.com/caarlos0/env/v11":      {"config"},
		"github.com/goccy/go-yaml":         {"config"},
		"github.com/mochi-mqtt/server/v2":  {"broker"},
		"github.com/spf13/cobra":           {"cmd/snom2mqtt"},
		"github.com/prometheus":            {"metrics"},
		"github.com/coreos/go-systemd/v22": {"cmd/snom2mqtt"},
	}
}

// A pkg is what `go list -json` says of one package.
type pkg struct {
	ImportPath, Dir, Doc  string
	Imports, TestImports  []string
	GoFiles, XTestGoFiles []string
}

func packages(t *testing.T) (all []pkg) {
	t.Helper()
	out, err := exec.Command("go", "list", "-json", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// place is the path of a package below the module, "" for the module itself.
func place(importPath string) (string, bool) {
	rest, ours := strings.CutPrefix(importPath, module)
	return strings.TrimPrefix(rest, "/"), ours
}

func TestImportsRunOneWay(t *testing.T) {
	t.Parallel()
	allowed := mayImport()
	for _, p := range packages(t) {
		from, _ := place(p.ImportPath)
		if from == "" {
			continue // this test
		}
		may, known := allowed[from]
		if !known {
			t.Errorf("%s has no place in the floor plan", from)
		}
		for _, imp := range p.Imports {
			if to, ours := place(imp); ours && !slices.Contains(may, to) && !slices.Contains(may, "*") {
				t.Errorf("%s imports %s; it may import %q only", from, to, may)
			}
			for outside, in := range onlyIn() {
				if (imp == outside || strings.HasPrefix(imp, outside+"/")) && !slices.Contains(in, from) {
					t.Errorf("%s imports %s; only %q may", from, imp, in)
				}
			}
		}
		if from == "bridge" && slices.Contains(p.Imports, "net/http") {
			t.Error("bridge imports net/http; it asks for phones by an interface")
		}
		if p.Doc == "" {
			t.Errorf("%s has no package comment", from)
		}
	}
}

// sources parses every Go file of the tree.
func sources(t *testing.T, f func(name string, file *ast.File, set *token.FileSet)) {
	t.Helper()
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") {
			if d != nil && d.IsDir() && strings.HasPrefix(d.Name(), ".") && name != "." {
				return fs.SkipDir
			}
			return err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		f(filepath.ToSlash(name), file, set)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNoRoomForOddments(t *testing.T) {
	t.Parallel()
	sources(t, func(name string, _ *ast.File, _ *token.FileSet) {
		for _, part := range strings.Split(strings.TrimSuffix(name, ".go"), "/") {
			switch strings.TrimSuffix(part, "_test") {
			case "util", "utils", "helper", "helpers", "common", "misc", "types":
				t.Errorf("%s: name it for what it does", name)
			}
		}
	})
}

func TestNoHiddenState(t *testing.T) {
	t.Parallel()
	sources(t, func(name string, file *ast.File, set *token.FileSet) {
		if strings.HasSuffix(name, "_test.go") {
			return
		}
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil && d.Name.Name == "init" {
					t.Errorf("%s: no init: state that nobody asked for", set.Position(d.Pos()))
				}
			case *ast.GenDecl:
				if d.Tok == token.VAR {
					checkVars(t, name, d, set)
				}
			}
		}
	})
}

// checkVars allows package-level variables that are constants in all but name: errors, checks of
// interfaces, embedded files, compiled patterns, tables made once, and what the linker sets; and pools of memory, which
// hold nothing that anybody could tell from fresh memory.
func checkVars(t *testing.T, name string, d *ast.GenDecl, set *token.FileSet) {
	t.Helper()
	for _, s := range d.Specs {
		v, ok := s.(*ast.ValueSpec)
		if !ok {
			continue
		}
		for _, n := range v.Names {
			embedded := d.Doc != nil && strings.Contains(d.Doc.Text()+commentText(d.Doc), "go:embed")
			linked := path.Base(name) == "version.go"
			if n.Name == "_" || strings.HasPrefix(n.Name, "Err") || strings.HasPrefix(n.Name, "err") || embedded || linked || onceOrPool(v) {
				continue
			}
			t.Errorf("%s: package-level variable %s", set.Position(n.Pos()), n.Name)
		}
	}
}

func commentText(g *ast.CommentGroup) (all string) {
	for _, c := range g.List {
		all += c.Text
	}
	return all
}

// onceOrPool reports whether v is made by sync.OnceValue or regexp.MustCompile, or is a sync.Pool.
func onceOrPool(v *ast.ValueSpec) bool {
	if len(v.Values) != 1 {
		return false
	}
	var made ast.Expr
	var names []string
	switch value := v.Values[0].(type) {
	case *ast.CallExpr:
		made, names = value.Fun, []string{"OnceValue", "OnceValues", "OnceFunc", "MustCompile"}
	case *ast.CompositeLit:
		made, names = value.Type, []string{"Pool"}
	}
	sel, ok := made.(*ast.SelectorExpr)
	return ok && slices.Contains(names, sel.Sel.Name)
}

// TestNoSleepOutsideABubble keeps tests from waiting for real time: where a file sleeps, it runs
// its tests in virtual time.
func TestNoSleepOutsideABubble(t *testing.T) {
	t.Parallel()
	sources(t, func(name string, file *ast.File, set *token.FileSet) {
		if !strings.HasSuffix(name, "_test.go") {
			return
		}
		bubble := false
		for _, imp := range file.Imports {
			bubble = bubble || imp.Path.Value == `"testing/synctest"`
		}
		ast.Inspect(file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if x, isName := selX(sel, ok); isName && x == "time" && sel.Sel.Name == "Sleep" && !bubble {
				t.Errorf("%s: time.Sleep in a test that is not in virtual time", set.Position(n.Pos()))
			}
			return true
		})
	})
}

func selX(sel *ast.SelectorExpr, ok bool) (string, bool) {
	if !ok {
		return "", false
	}
	x, isName := sel.X.(*ast.Ident)
	if !isName {
		return "", false
	}
	return x.Name, true
}
