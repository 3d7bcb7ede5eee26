package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// waitLimit is how long anything may take that is only waited for. It is never a measure.
const waitLimit = 30 * time.Second

// TestMain makes this test binary the program itself where a script calls snom2mqtt.
func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the generated documents")
	testscript.Main(m, map[string]func(){"snom2mqtt": main})
}

// TestScripts looks at the program from outside: what it prints, how it ends, and what phones see of
// it. Besides the commands of package testscript, scripts have these:
//
//	exits CODE PROGRAM [ARG...]   runs a program that must end with that exit code
//	phone NAME [FLAG...]          a simulated phone until the script ends, with flags of
//	                              `snom2mqtt simulate`; $NAME is its URL, $NAME_at its host:port
//	received NAME [REQUEST...]    the phone has got exactly these requests, "STATUS TARGET" each
//	reached NAME REQUEST          waits until the phone has got this request
//	json KEY=VALUE...             standard output is one line of JSON with these members
//	freeport NAME                 sets $NAME to a port of loopback that is free
//	eventually PROGRAM [ARG...]   runs a program until it succeeds
//	answers URL STATUS TEXT       asks a URL until it answers that
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Values[phonesKey{}] = map[string]*simulated{}
			e.Setenv("GORACE", "atexit_sleep_ms=0") // else the race detector lets every program wait a second at its end
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "phone": newPhone, "received": received, "reached": reached, "json": oneJSON,
			"freeport": freePort, "eventually": eventually, "answers": answers, "fill": fill,
		},
	})
}

// fill replaces a variable of the script, written as $name, in a file.
func fill(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: fill file name")
	}
	text := strings.ReplaceAll(ts.ReadFile(args[0]), "$"+args[1], ts.Getenv(args[1]))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// exits runs a program and looks at its exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code program [arg...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var ended *exec.ExitError
	switch err := ts.Exec(args[1], args[2:]...); {
	case errors.As(err, &ended):
		got = ended.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("%q: exit code %d, want %d", args[1:], got, want)
	}
}

// A simulated is a phone that a script has started, by way of the program's own command.
type simulated struct {
	mu      sync.Mutex
	said    bytes.Buffer  // standard output: one line of JSON for each request
	addr    bytes.Buffer  // standard error: where the phone is
	changed chan struct{} // closed at the next word
	ended   chan struct{} // closed at the end
	code    int           // then
}

// A side writes to one of the buffers.
type side struct {
	s  *simulated
	to *bytes.Buffer
}

func (w side) Write(b []byte) (int, error) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	close(w.s.changed)
	w.s.changed = make(chan struct{})
	return w.to.Write(b)
}

// newPhone starts a phone.
func newPhone(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: phone name [flag...]")
	}
	name := args[0]
	s := &simulated{changed: make(chan struct{}), ended: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	flags := slices.Concat([]string{"simulate", "--name", name, "--listen", "127.0.0.1:0"}, args[1:])
	go func() {
		defer close(s.ended)
		s.code = run(ctx, flags, nil, side{s, &s.said}, side{s, &s.addr})
	}()
	ts.Defer(func() {
		cancel()
		if <-s.ended; s.code != exitDone {
			ts.Fatalf("phone %s: exit code %d: %s", name, s.code, s.addr.String())
		}
	})
	address := regexp.MustCompile(`(?m)^` + name + ` (https?://(\S+))$`)
	var found []string
	s.until(ts, "the phone's address", func() bool {
		found = address.FindStringSubmatch(s.addr.String())
		return found != nil
	})
	ts.Setenv(name, found[1])
	ts.Setenv(name+"_at", found[2])
	ts.Setenv(name+"_port", found[2][strings.LastIndexByte(found[2], ':')+1:])
	phones(ts)[name] = s
}

// phones are those of this script.
func phones(ts *testscript.TestScript) map[string]*simulated {
	return ts.Value(phonesKey{}).(map[string]*simulated)
}

type phonesKey struct{}

// until waits until enough, which is called with the lock held, is true.
func (s *simulated) until(ts *testscript.TestScript, what string, enough func() bool) {
	late := time.After(waitLimit)
	for {
		s.mu.Lock()
		ok, changed := enough(), s.changed
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-s.ended:
			ts.Fatalf("the phone ended before: %s", what)
		case <-late:
			ts.Fatalf("waited in vain for: %s", what)
		}
	}
}

// requests are those that the phone has printed. The lock is held.
func (s *simulated) requests(ts *testscript.TestScript) (all []string) {
	for line := range strings.Lines(s.said.String()) {
		var r snomtest.Request
		ts.Check(json.Unmarshal([]byte(line), &r))
		all = append(all, fmt.Sprintf("%d %s", r.Status, r.Target))
	}
	return all
}

func received(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: received phone [request...]")
	}
	s := phones(ts)[args[0]]
	s.mu.Lock()
	defer s.mu.Unlock()
	if got, want := s.requests(ts), args[1:]; !slices.Equal(got, want) {
		ts.Fatalf("%s got %q, want %q", args[0], got, want)
	}
}

func reached(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: reached phone request")
	}
	s := phones(ts)[args[0]]
	s.until(ts, args[1], func() bool { return slices.Contains(s.requests(ts), args[1]) })
}

// oneJSON looks at standard output.
func oneJSON(ts *testscript.TestScript, neg bool, args []string) {
	out := ts.ReadFile("stdout")
	if neg || strings.Count(out, "\n") != 1 {
		ts.Fatalf("%q: want one line of JSON", out)
	}
	var got map[string]any
	ts.Check(json.Unmarshal([]byte(out), &got))
	for _, a := range args {
		key, want, _ := strings.Cut(a, "=")
		value, there := got[key]
		if !there || fmt.Sprint(value) != want {
			ts.Fatalf("%s: %v, want %s\n%s", key, value, want, out)
		}
	}
}

// freePort sets a variable to a port on which no program listened a moment ago.
func freePort(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	ts.Check(err)
	ts.Setenv(args[0], port)
}

// eventually runs a program until it succeeds.
func eventually(ts *testscript.TestScript, _ bool, args []string) {
	for late := time.Now().Add(waitLimit); ; {
		err := ts.Exec(args[0], args[1:]...)
		if err == nil {
			return
		}
		if time.Now().After(late) {
			ts.Fatalf("%q: %v", args, err)
		}
	}
}

// answers asks a URL until it answers as wanted.
func answers(ts *testscript.TestScript, _ bool, args []string) {
	var got string
	for late := time.Now().Add(waitLimit); time.Now().Before(late); {
		resp, err := http.Get(args[0])
		if err != nil {
			got = err.Error()
			continue
		}
		body, err := io.ReadAll(resp.Body)
		ts.Check(err)
		ts.Check(resp.Body.Close())
		if got = fmt.Sprintf("%d %s", resp.StatusCode, body); strings.HasPrefix(got, args[1]) && strings.Contains(got, args[2]) {
			return
		}
	}
	ts.Fatalf("%s answers %s, want %s %s", args[0], got, args[1], args[2])
}
