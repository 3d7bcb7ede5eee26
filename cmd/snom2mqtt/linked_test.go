package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The linker drops exported methods that nothing calls, unless something may call methods by names that it does not know:
// text/template does, and the reflection of protobuf. Then the program is 2 MB larger, of which a third is in memory.
func TestUnusedMethodsAreNotLinked(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "snom2mqtt")
	if out, err := exec.Command("go", "build", "-tags", "nethttpomithttp2", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	symbols, err := exec.Command("go", "tool", "nm", program).Output()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(symbols, []byte(" main.main\n")) {
		t.Fatal("the program has no main.main")
	}
	for line := range strings.Lines(string(symbols)) {
		if strings.HasSuffix(line, " reflect.Value.MethodByName\n") {
			t.Errorf("%s is linked: `go build -ldflags=-dumpdep` says what calls it", strings.TrimSpace(line))
		}
	}
}
