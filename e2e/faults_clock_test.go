package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestFaultClockJumps runs the bridge with a clock that jumps by hours, forth and back, every
// second. What waits must neither expire nor stay for ever: only a moment that a command names itself
// is about that clock. It needs a program of its own, which takes a while to build, so it is a part of
// the suite at full length alone; TestExpiryIsNotOfTheClock of the bridge says the essence.
func TestFaultClockJumps(t *testing.T) {
	t.Parallel()
	for range rounds(0, 1) {
		r := newRig(t, plan{phones: 4, path: jumping(t), flags: []string{"--latency", "20ms"}})
		stop := r.load(5 * time.Millisecond)
		r.toBroker.pause(10 * time.Second)
		r.killBroker()
		r.online()
		r.toBroker.pause(5 * time.Second)
		stop()
		r.check()
		for _, e := range r.tap.book {
			if !slices.Contains([]string{"ok", "busy", ""}, e.code) {
				t.Errorf("a command was answered %s, want ok or busy", e.code)
			}
		}
	}
}

// jumping builds the program with a wall clock that jumps; the monotonic one is as it should be.
func jumping(t *testing.T) string {
	t.Helper()
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	const now = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	const jump = "\tsec += [...]int64{0, 7200, -86400, 3600, -7200}[mono/1e9%5]\n"
	changed := strings.Replace(string(text), now, now+jump, 1)
	if changed == string(text) {
		t.Fatalf("%s is not as expected: no %q", source, now)
	}
	dir := t.TempDir()
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {source: filepath.Join(dir, "time.go")}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"time.go": []byte(changed), "overlay.json": overlay} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "snom2mqtt")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", path,
		"github.com/snom2mqtt/snom2mqtt/cmd/snom2mqtt").CombinedOutput()
	if err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}
