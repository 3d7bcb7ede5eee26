// Package snom2mqtt_test checks the rules of the project that a compiler does not: who may import
// whom, and what no file may do.
package snom2mqtt_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/snom2mqtt/snom2mqtt"

// mayImport says which packages of the project a package may import. A package that is not here
// has no place in the floor plan yet.
func mayImport() map[string][]string {
	return map[string][]string{
		"snom":                {"internal/csvtable", "internal/cleantext", "internal/oddchar", "internal/strictjson"},
		"snom/minibrowser":    {},
		"snom/notify":         {"snom", "snom/minibrowser"},
		"sip":                 {"snom", "snom/notify"},
		"asterisk":            {"snom", "snom/notify", "internal/pbx"},
		"freeswitch":          {"snom", "snom/notify", "internal/pbx"},
		"internal/pbx":        {"snom", "snom/notify"},
		"pages":               {},
		"fetch":               {},
		"picture":             {},
		"bitmap":              {},
		"camera":              {"picture"},
		"snom/actionurl":      {"snom", "internal/csvtable", "internal/cleantext", "internal/jsonval"},
		"callstate":           {"snom/actionurl", "internal/jsonval", "internal/cleantext"},
		"mqtt":                {},
		"config":              {"snom", "snom/notify", "snom/multicast", "mqtt", "internal/textfile", "fetch", "internal/loglevel"},
		"statefile":           {"internal/textfile"},
		"internal/textfile":   {},
		"broker":              {"internal/netlimit", "internal/lograte", "internal/pipenet"},
		"internal/netlimit":   {},
		"internal/lograte":    {},
		"internal/pipenet":    {},
		"internal/csvtable":   {},
		"internal/cleantext":  {},
		"internal/jsonval":    {},
		"internal/strictjson": {"internal/cleantext", "internal/oddchar"},
		"internal/oddchar":    {},
		"internal/loglevel":   {},
		"internal/bench":      {}, // measures the built program, from outside
		"snom/snomtest":       {"snom", "internal/csvtable", "internal/pipenet"},
		"mqtt/mqtttest":       {"mqtt"},
		"internal/pbxtest":    {},
		"snom/multicast":      {"snom", "snom/actionurl"},
		"paging":              {},
		"paging/speech":       {"paging", "internal/cleantext"},
		"e2e":                 {}, // tests only
		"e2e/browser":         {}, // likewise, in chromium
		"e2e/program":         {}, // what both share
		"internal/settingdoc": {}, // tests only
		"mqtt/session":        {"mqtt"},
		"mqtt/paho3":          {"mqtt", "mqtt/session"},
		"bridge":              {"internal/cleantext", "internal/oddchar", "internal/strictjson", "snom", "snom/actionurl", "snom/multicast", "callstate", "mqtt", "internal/jsonval", "internal/lograte", "pages", "snom/minibrowser", "bitmap", "fetch", "picture", "internal/loglevel"},
		"phoneweb":            {"snom/actionurl", "internal/netlimit", "internal/lograte", "pages"},
		"homeassistant":       {"snom", "snom/notify", "snom/actionurl", "callstate", "mqtt", "internal/lograte", "internal/loglevel"},
		"console":             {"bridge", "callstate", "mqtt", "snom", "snom/actionurl", "internal/netlimit", "internal/lograte", "internal/loglevel"},
		"metrics":             {"bridge", "snom", "snom/actionurl"},
		"report":              {},
		"syslog":              {},
		"discover":            {"snom", "snom/notify"},
		"cmd/snom2mqtt":       {"*"}, // it alone wires
	}
}

// onlyIn says which packages may import what comes from outside, each for one reason.
func onlyIn() map[string][]string {
	return map[string][]string{
		"github.com/eclipse/paho.mqtt.golang": {"mqtt/paho3", "internal/bench"}, // which measures what it costs

		"github.com/gorilla/websocket":       {"mqtt/session"},
		"github.com/icholy/digest":           {"snom", "snom/snomtest", "camera", "sip", "internal/bench"},
		"github.com/caarlos0/env/v11":        {"config"},
		"go.yaml.in/yaml/v4":                 {"config"},
		"github.com/google/jsonschema-go":    {"config"}, // its tests only: the schema of the phones file
		"github.com/mochi-mqtt/server/v2":    {"broker"},
		"github.com/spf13/cobra":             {"cmd/snom2mqtt"},
		"github.com/chromedp":                {},          // tests in e2e/browser
		"github.com/VictoriaMetrics/metrics": {"metrics"}, // a tenth of the size of Prometheus' own library, which tests read with
		"github.com/coreos/go-systemd/v22":   {"cmd/snom2mqtt"},
		"golang.org/x/image":                 {"picture"},                                 // pictures are scaled to the displays of phones, and bitmaps read
		"github.com/jsummers/gobmp":          {"bitmap"},                                  // which reads bitmaps of every kind
		"golang.org/x/term":                  {"cmd/snom2mqtt"},                           // a password is asked for without showing it
		"golang.org/x/time":                  {"internal/netlimit", "phoneweb", "broker"}, // rates of clients that are not trusted
		"golang.org/x/sys":                   {"internal/netlimit"},                       // how long a connection has waited in the kernel

		"github.com/pion/rtp":           {"paging", "snom/snomtest"}, // the simulated phone reads it
		"github.com/mewkiz/flac":        {"paging"},
		"github.com/hajimehoshi/go-mp3": {"paging"},
		"github.com/zaf/g711":           {"paging", "snom/snomtest"},
		"golang.org/x/net":              {"paging", "snom/snomtest", "discover"}, // interface and time to live of multicast
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
			listed := false
			for outside, in := range onlyIn() {
				if imp == outside || strings.HasPrefix(imp, outside+"/") {
					if listed = true; !slices.Contains(in, from) {
						t.Errorf("%s imports %s; only %q may", from, imp, in)
					}
				}
			}
			host, _, _ := strings.Cut(imp, "/")
			if _, ours := place(imp); !ours && !listed && strings.Contains(host, ".") {
				t.Errorf("%s imports %s, which onlyIn does not list", from, imp)
			}
		}
		for _, to := range may {
			if to != "*" && !slices.Contains(p.Imports, module+"/"+to) {
				t.Errorf("%s does not import %s: expected no permission for it", from, to)
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

// TestFloorPlanDocument: the table in docs/architecture.md names what each package imports.
func TestFloorPlanDocument(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "```\n")
	table, _, _ = strings.Cut(table, "```\n")
	shown := map[string]string{}
	column := regexp.MustCompile(`  +`)
	for line := range strings.Lines(table) {
		if parts := column.Split(strings.TrimSpace(line), -1); len(parts) == 3 {
			shown[parts[0]] = parts[2]
		}
	}
	for name, may := range mayImport() {
		top, _, below := strings.Cut(name, "/")
		if below && top != "mqtt" && name != "cmd/snom2mqtt" || name == "e2e" || name == "mqtt/mqtttest" {
			continue // of another line, or for tests
		}
		imports := map[string]bool{}
		for _, to := range may {
			if strings.HasPrefix(to, "snom/") {
				to = "snom"
			}
			if to != name && !strings.HasPrefix(to, "internal/") {
				imports[to] = true
			}
		}
		expected := slices.Sorted(maps.Keys(imports))
		if imports["*"] {
			expected = []string{"all"}
		} else if len(imports) == 0 {
			expected = []string{"-"}
		}
		got := strings.Split(shown[name], ", ")
		if slices.Sort(got); !slices.Equal(got, expected) {
			t.Errorf("docs/architecture.md: %s imports %q, expected %q", name, got, expected)
		}
	}
}

// A source is a Go file of the tree, parsed.
type source struct {
	name string
	file *ast.File
}

// A tree is every Go file of the project.
type tree struct {
	set *token.FileSet
	all []source
}

// parsed parses every Go file, once for all tests, which must not change what it returns.
var parsed = sync.OnceValues(func() (*tree, error) {
	is := &tree{set: token.NewFileSet()}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") {
			if d != nil && d.IsDir() && strings.HasPrefix(d.Name(), ".") && name != "." {
				return fs.SkipDir
			}
			return err
		}
		file, err := parser.ParseFile(is.set, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		is.all = append(is.all, source{filepath.ToSlash(name), file})
		return err
	})
	return is, err
})

// sources calls f with every Go file of the tree.
func sources(t *testing.T, f func(name string, file *ast.File, set *token.FileSet)) {
	t.Helper()
	is, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range is.all {
		f(s.name, s.file, is.set)
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

func TestNoInit(t *testing.T) {
	t.Parallel()
	sources(t, func(name string, file *ast.File, set *token.FileSet) {
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" && !strings.HasSuffix(name, "_test.go") {
				t.Errorf("%s: no init function: packages have no hidden state", set.Position(d.Pos()))
			}
		}
	})
}

// TestNoPackageVariableIsWrittenTo keeps packages free of hidden state: a package-level variable is a table, an error, a
// compiled pattern, or a pool of memory, and no code assigns to it, to a part of it, or takes its address.
func TestNoPackageVariableIsWrittenTo(t *testing.T) {
	t.Parallel()
	all, exports := exportData(t)
	c := newTypeChecker(exports)
	for _, p := range all {
		info := types.Info{Uses: map[*ast.Ident]types.Object{}}
		_, files := c.check(t, p, &info)
		for _, f := range files {
			writes(f, func(e ast.Expr) {
				id := root(e)
				if id == nil {
					return
				}
				if v, ok := info.Uses[id].(*types.Var); ok && v.Pkg() != nil && v.Parent() == v.Pkg().Scope() {
					t.Errorf("%s: the package-level variable %s is written to", c.set.Position(id.Pos()), id.Name)
				}
			})
		}
	}
}

// A typeChecker checks the types of packages of the project.
type typeChecker struct {
	set     *token.FileSet
	imports types.Importer
}

// newTypeChecker returns a typeChecker. exports is what [exportData] returns.
func newTypeChecker(exports map[string]string) typeChecker {
	set := token.NewFileSet()
	return typeChecker{set, importer.ForCompiler(set, "gc", func(importPath string) (io.ReadCloser, error) { return os.Open(exports[importPath]) })}
}

// check parses and checks a package without its tests, and fills in info.
func (c typeChecker) check(t *testing.T, p pkg, info *types.Info) (checked *types.Package, files []*ast.File) {
	t.Helper()
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(c.set, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	checked, err := (&types.Config{Importer: c.imports}).Check(p.ImportPath, c.set, files, info)
	if err != nil {
		t.Fatal(err)
	}
	return checked, files
}

// exportData lists the packages of the project, and where the compiled declarations of each package are that they import.
func exportData(t *testing.T) (ours []pkg, exports map[string]string) {
	t.Helper()
	c, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	return c.ours, c.exports
}

// A compilation is what exportData returns.
type compilation struct {
	ours    []pkg
	exports map[string]string
}

// compiled has the packages compiled, once for all tests, which must not change what it returns.
var compiled = sync.OnceValues(func() (c compilation, err error) {
	out, err := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Dir,GoFiles,Export", "./...").Output()
	if err != nil {
		return c, err
	}
	c.exports = map[string]string{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			pkg
			Export string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return c, nil
		} else if err != nil {
			return c, err
		}
		c.exports[p.ImportPath] = p.Export
		if _, isOurs := place(p.ImportPath); isOurs && len(p.GoFiles) > 0 {
			c.ours = append(c.ours, p.pkg)
		}
	}
})

// writes calls report with each operand that file assigns to, changes in place, or takes the address of.
func writes(file *ast.File, report func(ast.Expr)) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, e := range n.Lhs {
				report(e)
			}
		case *ast.IncDecStmt:
			report(n.X)
		case *ast.RangeStmt:
			report(n.Key)
			report(n.Value)
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				report(n.X)
			}
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.Ident); ok && len(n.Args) > 0 && slices.Contains([]string{"delete", "clear", "copy"}, f.Name) {
				report(n.Args[0])
			}
		}
		return true
	})
}

// root is the variable that an operand is a part of: x for x.f[i]; nil if there is none.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
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

// TestOnlySnomComparesVerbs: what a command does is said by its row in package snom, so that a new command is complete
// when its row is. Other packages may name a verb, to send it, and never ask which one they have.
func TestOnlySnomComparesVerbs(t *testing.T) {
	t.Parallel()
	isVerb := func(e ast.Expr) bool {
		sel, ok := e.(*ast.SelectorExpr)
		x, named := selX(sel, ok)
		return named && x == "snom" && strings.HasPrefix(sel.Sel.Name, "Verb") && sel.Sel.Name != "Verb" && sel.Sel.Name != "Verbs" && sel.Sel.Name != "VerbHelp"
	}
	sources(t, func(name string, file *ast.File, set *token.FileSet) {
		if strings.HasSuffix(name, "_test.go") {
			return
		}
		ast.Inspect(file, func(n ast.Node) bool {
			var compared []ast.Expr
			switch n := n.(type) {
			case *ast.CaseClause:
				compared = n.List
			case *ast.BinaryExpr:
				if n.Op == token.EQL || n.Op == token.NEQ {
					compared = []ast.Expr{n.X, n.Y}
				}
			}
			for _, e := range compared {
				if isVerb(e) {
					t.Errorf("%s: compares verbs; a field of the row in package snom says what is special about a command", set.Position(e.Pos()))
				}
			}
			return true
		})
	})
}
