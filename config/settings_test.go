package config_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/config"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "rewrite docs/settings.md")
	os.Exit(m.Run())
}

func TestSettingsDocumentIsMadeFromTheCode(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "docs", "settings.md")
	var want bytes.Buffer
	writeSettings(t, &want)
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(path, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is not what the code says: run make docs", path)
	}
}

// Every variable of the table is read, and every variable that is read is in the table: Load knows the
// one and refuses the other.
func TestSettingsAreThoseThatLoadKnows(t *testing.T) {
	t.Parallel()
	for _, s := range config.Settings() {
		name := strings.Replace(s.Name, "<n>", "0", 1)
		if known(t, name) != true {
			t.Errorf("%s is in the table, but Load does not know it", name)
		}
		if got := known(t, name+"_FILE"); got != s.Secret {
			t.Errorf("Load knows %s_FILE: %t, want %t", name, got, s.Secret)
		}
	}
	names := make([]string, 0, 64)
	for _, s := range config.Settings() {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	if got, want := len(slices.Compact(names)), len(config.Settings()); got != want {
		t.Errorf("%d different names in the table, want %d", got, want)
	}
	if got, want := len(names), config.NumberOfVariables(); got != want {
		t.Errorf("%d variables in the table, want the %d that Load reads", got, want)
	}
}

// known says whether Load takes a variable of this name for a setting.
func known(t *testing.T, name string) bool {
	t.Helper()
	_, err := config.Load(t.Context(), []string{name + "=x"})
	for _, f := range faultsOf(t, err) {
		if f.Where == name && strings.HasPrefix(f.What, "no such setting") {
			return false
		}
	}
	return true
}

func faultsOf(t *testing.T, err error) []config.Fault {
	t.Helper()
	if err == nil {
		return nil
	}
	var e *config.Error
	if !errors.As(err, &e) {
		t.Fatalf("error is a %T, want *config.Error: %v", err, err)
	}
	return e.Faults
}
