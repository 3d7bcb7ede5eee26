package program

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TimeLimit is how long anything may take that is only waited for. It is never a measure.
const TimeLimit = 2 * time.Minute

// A Process is a program that runs beside the test and ends with it.
type Process struct {
	Cmd  *exec.Cmd
	Done <-chan struct{} // closed when it has ended

	t    *testing.T
	name string
	err  error // how it ended, once Done is closed

	mu      sync.Mutex
	out     []string      // lines of standard output; guarded by mu
	log     []string      // lines of standard error; guarded by mu
	changed chan struct{} // closed at the next line; guarded by mu
}

// A Command is what is to be run.
type Command struct {
	Name   string // for messages
	Path   string
	Args   []string
	Env    []string // added to an environment without settings of snom2mqtt
	Stderr *os.File // where standard error goes; nil: it is collected
}

// Start runs a program until the test ends.
func Start(t *testing.T, c Command) *Process {
	t.Helper()
	done := make(chan struct{})
	p := &Process{Cmd: exec.Command(c.Path, c.Args...), Done: done, t: t, name: c.Name, changed: make(chan struct{})}
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "SNOM2MQTT_") {
			p.Cmd.Env = append(p.Cmd.Env, e)
		}
	}
	p.Cmd.Env = append(p.Cmd.Env, c.Env...)
	stdout, err := p.Cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr := io.NopCloser(io.Reader(strings.NewReader("")))
	if c.Stderr != nil {
		p.Cmd.Stderr = c.Stderr
	} else if stderr, err = p.Cmd.StderrPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() { p.read(stdout, &p.out) })
	reading.Go(func() { p.read(stderr, &p.log) })
	go func() {
		reading.Wait()
		p.err = p.Cmd.Wait()
		close(done)
	}()
	t.Cleanup(p.clean)
	return p
}

// clean ends the program with its test, and logs what it said where that failed.
func (p *Process) clean() {
	p.Kill()
	if p.t.Failed() {
		said := p.Stderr()
		if i := slices.Index(said, "SIGQUIT: quit"); i >= 0 { // what follows is long: see goroutines
			said = said[:i]
		}
		p.t.Logf("%s said:\n%s", p.name, strings.Join(Tail(said, 60), "\n"))
	}
}

// Tail returns the last n lines.
func Tail(lines []string, n int) []string { return lines[max(0, len(lines)-n):] }

// read collects lines until the pipe ends.
func (p *Process) read(from io.Reader, to *[]string) {
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

// Stdout returns the lines of standard output so far.
func (p *Process) Stdout() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.out...)
}

// Stderr returns the lines of standard error so far.
func (p *Process) Stderr() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.log...)
}

// Until waits until enough is true of what the process has said so far.
func (p *Process) Until(what string, enough func(out, log []string) bool) {
	p.t.Helper()
	late := time.After(TimeLimit)
	for {
		p.mu.Lock()
		ok, changed := enough(p.out, p.log), p.changed
		p.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-p.Done:
			p.mu.Lock()
			ok := enough(p.out, p.log)
			p.mu.Unlock()
			if !ok {
				p.t.Fatalf("%s ended (%v) before: %s", p.name, p.err, what)
			}
			return
		case <-late:
			p.t.Fatalf("%s: waited in vain for: %s\n%s", p.name, what, strings.Join(Tail(p.Stdout(), 20), "\n"))
		}
	}
}

// Stop asks the process to end, and returns its exit code.
func (p *Process) Stop() int {
	p.t.Helper()
	if err := p.Cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Error(err)
	}
	return p.Wait()
}

// Wait waits for the end of the process and returns its exit code.
func (p *Process) Wait() int {
	p.t.Helper()
	select {
	case <-p.Done:
	case <-time.After(TimeLimit):
		p.t.Fatalf("%s does not end", p.name)
	}
	return p.Cmd.ProcessState.ExitCode()
}

// Kill ends the process at once.
func (p *Process) Kill() {
	_ = p.Cmd.Process.Kill() // it may have ended
	<-p.Done
}

// Running reports whether the process has not ended.
func (p *Process) Running() bool {
	select {
	case <-p.Done:
		return false
	default:
		return true
	}
}

// More returns the lines of standard output after the first n, and what is closed when there are more.
func (p *Process) More(n int) (lines []string, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out[n:], p.changed
}
