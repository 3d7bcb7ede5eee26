package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	build "github.com/snom2mqtt/snom2mqtt/e2e/program"
)

// timeLimit is how long anything may take that is only waited for. It is never a measure.
const timeLimit = 2 * time.Minute

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
	t    *testing.T
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how, once done is closed

	mu      sync.Mutex
	out     []string // lines of standard output
	log     []string // lines of standard error
	changed chan struct{}
}

// start runs a program until the test ends. env is added to an environment without settings of
// the bridge.
func start(t *testing.T, name string, env []string, path string, args ...string) *process {
	t.Helper()
	return startWith(t, name, env, nil, path, args...)
}

// startWith is start for a program whose standard error goes to a file instead; nil: it is collected.
func startWith(t *testing.T, name string, env []string, stderrFile *os.File, path string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, cmd: exec.Command(path, args...), done: make(chan struct{}), changed: make(chan struct{})}
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "SNOM2MQTT_") {
			p.cmd.Env = append(p.cmd.Env, e)
		}
	}
	p.cmd.Env = append(p.cmd.Env, env...)
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr := io.NopCloser(io.Reader(strings.NewReader("")))
	if stderrFile != nil {
		p.cmd.Stderr = stderrFile
	} else if stderr, err = p.cmd.StderrPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() { p.read(stdout, &p.out) })
	reading.Go(func() { p.read(stderr, &p.log) })
	go func() {
		reading.Wait()
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			said := p.stderr()
			if i := slices.Index(said, "SIGQUIT: quit"); i >= 0 { // what follows is long: see goroutines
				said = said[:i]
			}
			t.Logf("%s said:\n%s", p.name, strings.Join(tail(said, 60), "\n"))
		}
	})
	return p
}

func tail(lines []string, n int) []string { return lines[max(0, len(lines)-n):] }

// read collects lines until the pipe ends.
func (p *process) read(from io.Reader, to *[]string) {
	s := bufio.NewScanner(from)
	s.Buffer(nil, 4<<20)
	for s.Scan() {
		p.mu.Lock()
		*to = append(*to, s.Text())
		close(p.changed)
		p.changed = make(chan struct{})
		p.mu.Unlock()
	}
}

func (p *process) stdout() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.out...)
}

func (p *process) stderr() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.log...)
}

// until waits until enough is true of what the process has said so far.
func (p *process) until(what string, enough func(out, log []string) bool) {
	p.t.Helper()
	late := time.After(timeLimit)
	for {
		p.mu.Lock()
		ok, changed := enough(p.out, p.log), p.changed
		p.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-p.done:
			p.mu.Lock()
			ok := enough(p.out, p.log)
			p.mu.Unlock()
			if !ok {
				p.t.Fatalf("%s ended (%v) before: %s", p.name, p.err, what)
			}
			return
		case <-late:
			p.t.Fatalf("%s: waited in vain for: %s\n%s", p.name, what, strings.Join(tail(p.stdout(), 20), "\n"))
		}
	}
}

// stop asks the process to end, and returns its exit code.
func (p *process) stop() int {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Error(err)
	}
	return p.wait()
}

// wait waits for the end of the process and returns its exit code.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(timeLimit):
		p.t.Fatalf("%s does not end", p.name)
	}
	return p.cmd.ProcessState.ExitCode()
}

// kill ends the process at once.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
}

// running reports whether the process has not ended.
func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

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
