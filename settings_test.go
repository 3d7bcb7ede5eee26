package snom2mqtt_test

import (
	"go/ast"
	"go/token"
	"strings"
	"testing"
)

// TestEverySettingHasAnEffect: a row of the settings is read by package config, and what config returns is used by the
// program.
func TestEverySettingHasAnEffect(t *testing.T) {
	t.Parallel()
	var rows, broker, values []*ast.Ident // fields that are settings as they are written, and as they are read
	used := map[string]map[string]bool{}  // names behind a dot, by folder
	structs := map[string]*[]*ast.Ident{  // that hold them
		"variables": &rows, "phoneVariables": &rows, "Config": &values, "MQTT": &broker, "Console": &values, "Paging": &values, "Phone": &values,
	}
	sources(t, func(name string, file *ast.File, _ *token.FileSet) {
		folder := name[:strings.LastIndex(name, "/")+1]
		if strings.HasSuffix(name, "_test.go") || folder != "config/" && folder != "cmd/snom2mqtt/" {
			return
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if used[folder] == nil {
					used[folder] = map[string]bool{}
				}
				used[folder][n.Sel.Name] = true
			case *ast.TypeSpec:
				list, held := structs[n.Name.Name]
				s, ok := n.Type.(*ast.StructType)
				if !held || !ok || folder != "config/" {
					return true
				}
				for _, f := range s.Fields.List {
					*list = append(*list, f.Names...)
				}
			}
			return true
		})
	})
	if len(rows) < 50 || len(values) < 50 {
		t.Fatalf("found %d rows and %d values", len(rows), len(values))
	}
	for _, f := range rows {
		if !used["config/"][f.Name] {
			t.Errorf("config/variables.go: the row %s is read nowhere: config/config.go has to check it", f.Name)
		}
	}
	for _, f := range broker { // package config itself makes a configuration for TLS of some
		if !used["config/"][f.Name] && !used["cmd/snom2mqtt/"][f.Name] {
			t.Errorf("the setting %s is used nowhere", f.Name)
		}
	}
	for _, f := range values {
		if f.IsExported() && !used["cmd/snom2mqtt/"][f.Name] {
			t.Errorf("the setting %s is used nowhere in cmd/snom2mqtt", f.Name)
		}
	}
}
