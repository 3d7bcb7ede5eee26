package snom2mqtt_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the generated documents")

const notices = "THIRD_PARTY_LICENSES.txt"

// A linked is a module that the program is linked with.
type linked struct {
	path, version string
	dirs          map[string]bool // of its packages that are linked, and above
}

// linkedModules are the modules of the program for Linux, which is what the image and the archives contain.
func linkedModules(t *testing.T) (modules []*linked, goroot string) {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=Dir,Standard,Module", "./cmd/snom2mqtt")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*linked{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			Dir      string
			Standard bool
			Module   *struct {
				Path, Version, Dir string
				Main               bool
			}
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if p.Standard || p.Module == nil || p.Module.Main {
			continue
		}
		m := all[p.Module.Path]
		if m == nil {
			m = &linked{path: p.Module.Path, version: p.Module.Version, dirs: map[string]bool{}}
			all[p.Module.Path] = m
		}
		for dir := p.Dir; strings.HasPrefix(dir, p.Module.Dir); dir = filepath.Dir(dir) {
			m.dirs[dir] = true
		}
	}
	for _, path := range slices.Sorted(maps.Keys(all)) {
		modules = append(modules, all[path])
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	return modules, strings.TrimSpace(string(root))
}

// licenceFiles returns the texts of licences and notices in some directories.
func licenceFiles(t *testing.T, dirs ...string) (texts []string) {
	t.Helper()
	name := regexp.MustCompile(`(?i)^((un)?licen[sc]e|copying|notice|patents|epl-|edl-)`)
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Type().IsRegular() && name.MatchString(e.Name()) && filepath.Ext(e.Name()) != ".go" {
				texts = append(texts, strings.TrimSpace(strings.ReplaceAll(read(t, filepath.Join(dir, e.Name())), "\r\n", "\n")))
			}
		}
	}
	return texts
}

// TestLicencesDocument: the file with the licences of all that the program is linked with is current.
func TestLicencesDocument(t *testing.T) {
	t.Parallel()
	modules, goroot := linkedModules(t)
	var text strings.Builder
	text.WriteString("The program snom2mqtt (see LICENSE) is linked with the Go modules below and with Go's standard library. Their source\n" +
		"code, unchanged, is what `go mod download <module>@<version>` fetches; for github.com, the name of a module is also the\n" +
		"address of its repository. The container image also contains the certificate authorities that Mozilla publishes under the\n" +
		"Mozilla Public License 2.0.\n\n")
	for _, m := range modules {
		fmt.Fprintf(&text, "  %s %s\n", m.path, m.version)
	}
	used := map[string][]string{} // text, the modules that it is of
	var order []string
	add := func(module string, texts []string) {
		if len(texts) == 0 {
			t.Errorf("%s has no licence", module)
		}
		for _, l := range texts {
			if used[l] == nil {
				order = append(order, l)
			}
			if !slices.Contains(used[l], module) {
				used[l] = append(used[l], module)
			}
		}
	}
	add("the standard library of Go", licenceFiles(t, goroot))
	for _, m := range modules {
		add(m.path, licenceFiles(t, slices.Sorted(maps.Keys(m.dirs))...))
	}
	for _, l := range order {
		fmt.Fprintf(&text, "\n%s\n%s\n%s\n\n%s\n", strings.Repeat("=", 100), strings.Join(used[l], "\n"), strings.Repeat("=", 100), l)
	}
	if *update {
		if err := os.WriteFile(notices, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if read(t, notices) != text.String() {
		t.Errorf("%s differs from the modules that are linked: run `make docs`", notices)
	}
}

// TestLicencesShipped: whatever contains the program contains the licences, and the ones that demand more are named.
func TestLicencesShipped(t *testing.T) {
	t.Parallel()
	text := read(t, notices)
	for _, expected := range []string{"Eclipse Public License - v 2.0", "Eclipse Distribution License", "github.com/eclipse/paho.mqtt.golang", "the standard library of Go"} {
		if !strings.Contains(text, expected) {
			t.Errorf("%s does not contain %q", notices, expected)
		}
	}
	_, last, _ := strings.Cut(read(t, "Dockerfile"), "\nFROM scratch\n")
	if !regexp.MustCompile(`(?m)^COPY (--from=build )?(/src/)?LICENSE (/src/)?` + regexp.QuoteMeta(notices) + ` /licenses/$`).MatchString(last) {
		t.Errorf("the image does not contain %s", notices)
	}
	if ignore, err := os.ReadFile(".dockerignore"); err == nil && strings.Contains(string(ignore), "LICENSE") {
		t.Error(".dockerignore keeps the licences out of the image")
	}
}
