package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// script runs a script of the project, logs what it says, and returns its standard output.
func script(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), filepath.Join("..", "scripts", name), args...)
	c.Env = append(os.Environ(), env...)
	var said strings.Builder
	c.Stderr = &said
	out, err := c.Output()
	t.Logf("%s:\n%s", name, said.String())
	var ended *exec.ExitError
	if errors.As(err, &ended) && ended.ExitCode() == 3 {
		missing(t, "what "+name+" needs")
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return strings.TrimSpace(string(out))
}

// TestPackage builds the Debian package for this machine as a release does, and follows its manual page in an empty Debian
// with systemd: installation, first command, update, removal.
func TestPackage(t *testing.T) {
	t.Parallel()
	tool(t, "mosquitto_sub")
	if script(t, nil, "clean-root.sh") == "" {
		missing(t, "an empty Debian")
	}
	if tools := script(t, nil, "release-tools.sh"); !listed(tools, "goreleaser") {
		missing(t, "GoReleaser")
	}
	dist := filepath.Join(t.TempDir(), "dist")
	script(t, []string{"PACKAGES=deb", "DIST=" + dist}, "release-snapshot.sh")
	packages, err := filepath.Glob(filepath.Join(dist, "*.deb"))
	if err != nil || len(packages) != 1 {
		t.Fatalf("packages %q, %v; expected one", packages, err)
	}
	script(t, nil, "first-five-minutes.sh", packages[0])
}

// listed reports whether a program is in a folder.
func listed(folder, name string) bool {
	_, err := os.Stat(filepath.Join(folder, name))
	return err == nil
}

// TestWorkflows: actionlint accepts the workflows.
func TestWorkflows(t *testing.T) {
	t.Parallel()
	tools := script(t, nil, "release-tools.sh")
	if !listed(tools, "actionlint") {
		missing(t, "actionlint")
	}
	files, err := filepath.Glob("../.github/workflows/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no workflows: %v", err)
	}
	runTool(t, filepath.Join(tools, "actionlint"), files...)
}
