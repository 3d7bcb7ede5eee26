package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const unit = "../examples/systemd/snom2mqtt.service"

// unitLines returns the values that the unit sets key to.
func unitLines(t *testing.T, key string) (values []string) {
	t.Helper()
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if value, ok := strings.CutPrefix(line, key+"="); ok {
			values = append(values, value)
		}
	}
	return values
}

// TestSystemdUnit lets systemd read the unit, and judge how much it leaves open.
func TestSystemdUnit(t *testing.T) {
	t.Parallel()
	analyze := tool(t, "systemd-analyze")
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	here := filepath.Join(t.TempDir(), "snom2mqtt.service") // verify wants the program to be there
	text = []byte(strings.ReplaceAll(string(text), "ExecStart=snom2mqtt ", "ExecStart="+program(t)+" "))
	if err := os.WriteFile(here, text, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", here).CombinedOutput()
	if err != nil || strings.Contains(string(out), filepath.Base(here)) {
		t.Errorf("verify: %v\n%s", err, out)
	}
	// 1.1 of 10 with systemd 252, and more with versions that know more to close. What is left: it uses the network,
	// the socket of systemd, and the root directory.
	out, err = exec.CommandContext(t.Context(), analyze, "security", "--offline=true", "--no-pager", "--threshold=15", here).CombinedOutput()
	if err != nil {
		t.Errorf("security: %v\n%s", err, out)
	}
}

// A manager is the end of systemd that a service speaks to.
type manager struct {
	socket *net.UnixConn

	mu   sync.Mutex
	said []string
}

func newManager(t *testing.T) (m *manager, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	m = &manager{socket: l}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for b := make([]byte, 4096); ; {
			n, err := l.Read(b)
			if err != nil {
				return // closed
			}
			m.mu.Lock()
			m.said = append(m.said, string(b[:n]))
			m.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return m, path
}

// heard returns what the service said so far.
func (m *manager) heard() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.said)
}

// TestSystemdIsTold: ready, what it is doing, keep-alives although there is no broker, and the end.
func TestSystemdIsTold(t *testing.T) {
	t.Parallel()
	m, path := newManager(t)
	overflowUser := fmt.Sprintf("tcp://127.0.0.1:%d", freePort(t))
	p := start(t, "snom2mqtt", append(phoneEnv(0, "kitchen", "http://127.0.0.1:9"), "SNOM2MQTT_MQTT_URL="+overflowUser,
		"SNOM2MQTT_CONSOLE_LISTEN=off", "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=200000"), program(t), "run")
	count := func(text string) (n int) {
		for _, s := range m.heard() {
			if strings.HasPrefix(s, text) {
				n++
			}
		}
		return n
	}
	eventually(t, "signs of life", func() bool { return count("WATCHDOG=1") >= 5 })
	if got := m.heard()[0]; got != "READY=1" {
		t.Errorf("first it said %q, want READY=1", got)
	}
	eventually(t, "it says what it waits for", func() bool { return count("STATUS=waiting for the broker: ") > 0 })
	if code := p.stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	eventually(t, "it says that it ends", func() bool { return count("STOPPING=1") == 1 })
	if got := m.heard(); got[len(got)-1] != "STOPPING=1" || count("READY=1") != 1 {
		t.Errorf("it said %q, want READY=1 once, and STOPPING=1 at the end", got)
	}
}

// TestSystemdStartsAgain: what the watchdog ends does not look like wrong settings, after which nothing is started again.
func TestSystemdStartsAgain(t *testing.T) {
	t.Parallel()
	if got, want := unitLines(t, "RestartPreventExitStatus"), []string{"2"}; !slices.Equal(got, want) {
		t.Fatalf("RestartPreventExitStatus %q, want %q", got, want)
	}
	env := append(phoneEnv(0, "kitchen", "http://127.0.0.1:9"), "SNOM2MQTT_CONSOLE_LISTEN=127.0.0.1:0")
	p := start(t, "snom2mqtt", append(env, unitLines(t, "Environment")...), program(t), "run")
	p.until("it runs", func(_, log []string) bool { return len(log) > 0 })
	if err := p.cmd.Process.Signal(syscall.SIGABRT); err != nil { // as WatchdogSec does
		t.Fatal(err)
	}
	p.wait()
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		t.Errorf("it ended with %v, want by a signal", p.cmd.ProcessState)
	}
	if !slices.ContainsFunc(p.stderr(), regexp.MustCompile(`^goroutine \d+`).MatchString) {
		t.Error("the log does not say what the goroutines were at")
	}

	wrong := start(t, "snom2mqtt", append(unitLines(t, "Environment"), "SNOM2MQTT_PHONE_0_NAME="), program(t), "run")
	if code := wrong.wait(); code != 2 {
		t.Errorf("with wrong settings it ended with %d, want 2", code)
	}
}

// TestSystemdAsAnotherUser: where the socket is not there, it works all the same, and logs it once.
func TestSystemdAsAnotherUser(t *testing.T) {
	t.Parallel()
	m := startMosquitto(t)
	b := m.startBridge(t, append(phoneEnv(0, "kitchen", "http://127.0.0.1:9"), "NOTIFY_SOCKET="+filepath.Join(t.TempDir(), "gone"), "WATCHDOG_USEC=100000")...)
	b.until("it complains", func(_, log []string) bool { return strings.Contains(strings.Join(log, "\n"), "sd_notify failed") })
	time.AfterFunc(500*time.Millisecond, func() { _ = b.cmd.Process.Signal(syscall.SIGTERM) })
	if code := b.wait(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	n := 0
	for _, line := range b.stderr() {
		if strings.Contains(line, "sd_notify failed") {
			n++
		}
	}
	if n != 1 {
		t.Errorf("it complained %d times, want once", n)
	}
}
