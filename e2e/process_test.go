package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"sync"
	"testing"

	build "github.com/snom2mqtt/snom2mqtt/e2e/program"
)

// timeLimit is how long anything may take that is only waited for. It is never a measure.
const timeLimit = build.TimeLimit

// missing skips the test because what is not there, or fails it where nothing may be missing.
func missing(t *testing.T, what string) {
	t.Helper()
	build.Missing(t, what)
}

// tool returns where a program of the system is, or skips the test. Debian keeps servers in
// /usr/sbin, which is not in every PATH.
func tool(t *testing.T, name string) string {
	t.Helper()
	for _, place := range []string{name, "/usr/sbin/" + name, "/usr/local/sbin/" + name} {
		if path, err := exec.LookPath(place); err == nil {
			return path
		}
	}
	missing(t, name)
	return ""
}

// built is the program, built once for all tests.
var built = sync.OnceValue(func() *build.Build { return &build.Build{} })

func TestMain(m *testing.M) {
	code := m.Run()
	built().Remove()
	os.Exit(code)
}

// program returns the built program.
func program(t *testing.T) string {
	t.Helper()
	var args []string
	if *faultsAtLength {
		args = append(args, "-race")
	}
	path, err := built().Path(args...)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// freePort returns a port of loopback that is free, and that no other test has had: see freePorts.
func freePort(t *testing.T) int {
	t.Helper()
	return freePorts(t, 1)
}

// freePorts returns the first of n ports of loopback that follow one another. They are not of those that the system
// gives away: no program takes one from another that needs seconds to start, and a request to the port of a program
// that has ended fails, and does not reach the phone of another test.
func freePorts(t *testing.T, n int) int {
	t.Helper()
	const least, most = 12_000, 32_000 // Linux gives away 32768 and more
	ports().Lock()
	defer ports().Unlock()
	for tries := range most - least {
		if tries == (most-least)/2 {
			clear(ports().had) // after many repetitions all have been had
		}
		first, free := least+rand.N(most-least-n), 0
		for free < n && !ports().had[first+free] && vacant(first+free) {
			free++
		}
		if free < n {
			continue
		}
		for port := first; port < first+n; port++ {
			ports().had[port] = true
		}
		return first
	}
	t.Fatalf("this machine has no %d free ports", n)
	return 0
}

// vacant reports whether one can listen on a port.
func vacant(port int) bool {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err == nil {
		l.Close()
	}
	return err == nil
}

// ports are those that tests have had.
var ports = sync.OnceValue(func() *portBook { return &portBook{had: map[int]bool{}} })

type portBook struct {
	sync.Mutex
	had map[int]bool
}

// A process is a program that runs beside the test and ends with it.
type process struct {
	*build.Process
	t    *testing.T
	name string
	cmd  *exec.Cmd
	done <-chan struct{} // closed when it has ended
}

// start runs a program until the test ends. env is added to an environment without settings of the bridge.
func start(t *testing.T, name string, env []string, path string, args ...string) *process {
	t.Helper()
	return startWith(t, name, env, nil, path, args...)
}

// startWith is start for a program whose standard error goes to a file instead; nil: it is collected.
func startWith(t *testing.T, name string, env []string, stderrFile *os.File, path string, args ...string) *process {
	t.Helper()
	p := build.Start(t, build.Command{Name: name, Path: path, Args: args, Env: env, Stderr: stderrFile})
	return &process{Process: p, t: t, name: name, cmd: p.Cmd, done: p.Done}
}

func tail(lines []string, n int) []string { return build.Tail(lines, n) }

func (p *process) stdout() []string { return p.Stdout() }
func (p *process) stderr() []string { return p.Stderr() }
func (p *process) stop() int        { return p.Stop() }
func (p *process) wait() int        { return p.Wait() }
func (p *process) kill()            { p.Kill() }
func (p *process) running() bool    { return p.Running() }

// until waits until enough is true of what the process has said so far.
func (p *process) until(what string, enough func(out, log []string) bool) { p.Until(what, enough) }

// runTool runs a program to its end and returns what it printed.
func runTool(t *testing.T, path string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeLimit)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", path, args, err, out)
	}
	return string(out)
}

// decode reads one JSON document into a new T.
func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}
