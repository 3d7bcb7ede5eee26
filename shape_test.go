package snom2mqtt_test

import (
	"go/ast"
	"go/token"
	"go/types"
	"regexp"
	"strings"
	"testing"
)

// The bounds of what a reader has to keep in mind at once.
const (
	maxFunctionLines  = 60
	maxChangingFields = 15
)

// TestFunctionsAreShort: a function outside tests has at most maxFunctionLines lines, its first and last one included. The
// lines of composite literals do not count, since the rows of a table are data. A function literal counts as a part of the
// function that it stands in, unless it stands in a row: there it counts by itself.
func TestFunctionsAreShort(t *testing.T) {
	t.Parallel()
	sources(t, func(name string, file *ast.File, set *token.FileSet) {
		if strings.HasSuffix(name, "_test.go") {
			return
		}
		for _, d := range file.Decls {
			longFunctions(set, d, func(at token.Position, lines int) {
				t.Errorf("%s: a function of %d lines, expected at most %d: name a part of it", at, lines, maxFunctionLines)
			})
		}
	})
}

// longFunctions reports the functions in n that are too long.
func longFunctions(set *token.FileSet, n ast.Node, report func(at token.Position, lines int)) {
	ast.Inspect(n, func(n ast.Node) bool {
		switch n.(type) {
		case *ast.FuncDecl, *ast.FuncLit:
			if lines := logicLines(set, n); lines > maxFunctionLines {
				report(set.Position(n.Pos()), lines)
			}
		}
		return true
	})
}

// logicLines is how many lines n has, those within composite literals left out.
func logicLines(set *token.FileSet, n ast.Node) int {
	span := func(n ast.Node) int { return set.Position(n.End()).Line - set.Position(n.Pos()).Line }
	lines := span(n) + 1
	ast.Inspect(n, func(n ast.Node) bool {
		literal, ok := n.(*ast.CompositeLit)
		if ok {
			lines -= span(literal)
		}
		return !ok
	})
	return lines
}

// TestStructsOfTheBridgeAreSmall: a struct in package bridge has at most maxChangingFields fields that change: that code
// assigns to, changes a part of, takes the address of, or calls a method of that may change it. An embedded struct counts
// as one field, and is held to the same bound. What a composite literal sets is not a change.
func TestStructsOfTheBridgeAreSmall(t *testing.T) {
	t.Parallel()
	all, exports := exportData(t)
	for _, p := range all {
		if at, _ := place(p.ImportPath); at != "bridge" {
			continue
		}
		pkg, changes := changingFields(t, p, exports)
		for _, name := range pkg.Scope().Names() {
			s, ok := pkg.Scope().Lookup(name).Type().Underlying().(*types.Struct)
			if !ok {
				continue
			}
			var changing []string
			for f := range s.Fields() {
				if changes[f] || f.Embedded() {
					changing = append(changing, f.Name())
				}
			}
			if len(changing) > maxChangingFields {
				t.Errorf("bridge.%s has %d fields that change, expected at most %d: %s", name, len(changing), maxChangingFields, strings.Join(changing, ", "))
			}
		}
		return
	}
	t.Error("there is no package bridge")
}

// changingFields checks a package and returns which fields of its structs change.
func changingFields(t *testing.T, p pkg, exports map[string]string) (*types.Package, map[*types.Var]bool) {
	t.Helper()
	info := types.Info{Selections: map[*ast.SelectorExpr]*types.Selection{}, Types: map[ast.Expr]types.TypeAndValue{}}
	checked, files := newTypeChecker(exports).check(t, p, &info)
	changes := map[*types.Var]bool{}
	isPointer := func(x types.Type) bool { _, ok := x.Underlying().(*types.Pointer); return ok }
	var note func(ast.Expr)
	note = func(e ast.Expr) {
		switch x := e.(type) {
		case *ast.ParenExpr:
			note(x.X)
		case *ast.IndexExpr:
			note(x.X)
		case *ast.SliceExpr:
			note(x.X)
		case *ast.SelectorExpr:
			s := info.Selections[x]
			if s == nil || s.Kind() != types.FieldVal {
				return
			}
			changes[s.Obj().(*types.Var)] = true
			if !isPointer(info.Types[x.X].Type) {
				note(x.X) // the struct that it is a part of
			}
		}
	}
	for _, f := range files {
		writes(f, note)
		ast.Inspect(f, func(n ast.Node) bool {
			x, ok := n.(*ast.SelectorExpr)
			if s := info.Selections[x]; ok && s != nil && s.Kind() == types.MethodVal {
				if receiver := s.Obj().(*types.Func).Signature().Recv(); isPointer(receiver.Type()) && !isPointer(info.Types[x.X].Type) {
					note(x.X)
				}
			}
			return true
		})
	}
	return checked, changes
}

// TestFieldsSayWhatGuardsThem: behind a mutex in a struct, each field says what guards it, unless it is a channel or a part
// of package sync: in a comment of its own, of the mutex, of the struct, or above a group of fields.
func TestFieldsSayWhatGuardsThem(t *testing.T) {
	t.Parallel()
	sources(t, func(name string, file *ast.File, set *token.FileSet) {
		if strings.HasSuffix(name, "_test.go") {
			return
		}
		for _, d := range file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range g.Specs {
				typed, ok := spec.(*ast.TypeSpec)
				if !ok || saysGuard(g.Doc) || saysGuard(typed.Doc) {
					continue
				}
				if s, ok := typed.Type.(*ast.StructType); ok {
					for _, f := range unguarded(s) {
						t.Errorf("%s: %s.%s stands behind a mutex, and no comment says what guards it", set.Position(f.Pos()), typed.Name.Name, f.Names[0].Name)
					}
				}
			}
		}
	})
}

// unguarded returns the fields behind the first mutex of a struct that do not say what guards them.
func unguarded(s *ast.StructType) (fields []*ast.Field) {
	mutex, group := false, false
	for _, f := range s.Fields.List {
		says := saysGuard(f.Doc) || saysGuard(f.Comment)
		group = saysGuard(f.Doc) || group && f.Doc == nil // the comment above the first field of a group
		kind := f.Type
		if pointer, ok := kind.(*ast.StarExpr); ok {
			kind = pointer.X
		}
		sel, ok := kind.(*ast.SelectorExpr)
		x, _ := selX(sel, ok)
		_, channel := f.Type.(*ast.ChanType)
		switch {
		case x == "sync" && strings.HasSuffix(sel.Sel.Name, "Mutex"):
			if mutex = true; says {
				return nil
			}
		case mutex && !says && !group && !channel && x != "sync" && x != "atomic" && len(f.Names) > 0:
			fields = append(fields, f)
		}
	}
	return fields
}

func saysGuard(c *ast.CommentGroup) bool {
	text := c.Text()
	for _, word := range []string{"guard", "goroutine", "a mutex of its own"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// TestCommentsNameTheThing: the first line of a doc comment names what is declared, so that a name that has changed leaves no
// comment about another one. A comment above a group of constants or variables is about all of them.
func TestCommentsNameTheThing(t *testing.T) {
	t.Parallel()
	sources(t, func(name string, file *ast.File, set *token.FileSet) {
		for _, d := range file.Decls {
			doc, declared := declaredName(d)
			first, _, _ := strings.Cut(doc.Text(), "\n")
			word := regexp.MustCompile(`\b` + regexp.QuoteMeta(declared) + `\b`)
			if first != "" && !word.MatchString(first) {
				t.Errorf("%s: the comment begins %q, expected the name %s in its first line", set.Position(d.Pos()), first, declared)
			}
		}
	})
}

// declaredName returns the doc comment of a declaration, and the name that it is about; nil: it is about several, or about a test,
// whose comment says what it tests.
func declaredName(d ast.Decl) (doc *ast.CommentGroup, name string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		for _, kind := range []string{"Test", "Fuzz", "Benchmark", "Example"} {
			if strings.HasPrefix(d.Name.Name, kind) {
				return nil, ""
			}
		}
		return d.Doc, d.Name.Name
	case *ast.GenDecl:
		if d.Lparen.IsValid() || len(d.Specs) != 1 {
			return nil, ""
		}
		switch s := d.Specs[0].(type) {
		case *ast.TypeSpec:
			return d.Doc, s.Name.Name
		case *ast.ValueSpec:
			return d.Doc, s.Names[0].Name
		}
	}
	return nil, ""
}
