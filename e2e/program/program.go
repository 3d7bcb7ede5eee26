// Package program has what the tests with real programs share: it builds the program once for all tests of a package, and skips what
// is not installed.
package program

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// A Build is the program, built once.
type Build struct {
	once sync.Once
	path string
	err  error
}

// Path builds the program, with further arguments of go build, unless that was done, and returns its path.
func (b *Build) Path(args ...string) (string, error) {
	b.once.Do(func() {
		var dir string
		if dir, b.err = os.MkdirTemp("", "snom2mqtt-e2e-"); b.err != nil {
			return
		}
		b.path = filepath.Join(dir, "snom2mqtt")
		all := append([]string{"build", "-o", b.path}, args...)
		if out, err := exec.Command("go", append(all, "github.com/snom2mqtt/snom2mqtt/cmd/snom2mqtt")...).CombinedOutput(); err != nil {
			b.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	return b.path, b.err
}

// Remove deletes the program after the tests, if it was built.
func (b *Build) Remove() {
	b.once.Do(func() {})
	if b.path != "" {
		_ = os.RemoveAll(filepath.Dir(b.path)) // it is in the folder for temporary files
	}
}

// Missing skips a test for which something is not installed, and fails it where nothing may be missing.
func Missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing, and CI=true", what)
	}
	t.Skipf("skipped: %s is missing; `make test` installs it where it can", what)
}
