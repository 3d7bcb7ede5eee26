// Package settingdoc reads what the source of package config says of each setting. The tests that make documents of it use it.
package settingdoc

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strconv"
	"strings"
)

// Read returns the comments of the rows in config/variables.go, by the name of the setting.
func Read(file string) (map[string]string, error) {
	source, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	texts := map[string]string{}
	for _, declaration := range source.Decls {
		group, ok := declaration.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range group.Specs {
			if row, ok := spec.(*ast.TypeSpec); ok {
				readRows(row, texts)
			}
		}
	}
	return texts, nil
}

// readRows reads the struct types whose fields are settings.
func readRows(spec *ast.TypeSpec, texts map[string]string) {
	prefix, known := map[string]string{"variables": "", "phoneVariables": "PHONE_<n>_"}[spec.Name.Name]
	rows, ok := spec.Type.(*ast.StructType)
	if !ok || !known {
		return
	}
	for _, f := range rows.Fields.List {
		if f.Tag == nil || f.Doc == nil {
			continue
		}
		tag, err := strconv.Unquote(f.Tag.Value)
		if err != nil {
			continue // the compiler has read it
		}
		if name := reflect.StructTag(tag).Get("env"); name != "" {
			texts["SNOM2MQTT_"+prefix+name] = strings.Join(strings.Fields(f.Doc.Text()), " ")
		}
	}
}
