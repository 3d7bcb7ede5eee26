package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestFaultAskedToEnd asks the bridge to end at random moments, also before it is online, while
// commands come in: it ends soon and well, publishes offline, and every command has its answer.
func TestFaultAskedToEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t, plan{phones: 4, bare: true, flags: []string{"--latency", "5ms"}})
	stop := r.load(time.Millisecond)
	slowest := time.Duration(0)
	for i := range rounds(10, 200) {
		r.toBroker.pause(rand.N(400 * time.Millisecond))
		began := time.Now()
		if code := r.bridge.stop(); code != 0 && !unborn(r.bridge) {
			t.Fatalf("end %d: exit code %d, want 0", i+1, code)
		}
		slowest = max(slowest, time.Since(began))
		eventually(t, fmt.Sprintf("the state is offline after end %d", i+1), func() bool { return r.state() == "offline" })
		r.past = append(r.past, r.bridge)
		r.bridge = start(t, "snom2mqtt", r.env, program(t))
	}
	t.Logf("the slowest end took %v", slowest.Round(time.Millisecond))
	if slowest > 10*time.Second { // which is what a container is given
		t.Errorf("an end took %v, want at most 10 s with phones that answer in 5 ms", slowest)
	}
	r.online()
	stop()
	r.files = 0 // this bridge never had a quiet moment
	r.check()
}

// unborn reports whether p was ended by the system's own hand before it had said a word: on a busy machine a
// signal can come before the program has begun to listen for any. Nothing was taken then, and nothing is owed.
func unborn(p *process) bool {
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGTERM && len(p.stderr()) == 0
}

// TestFaultKilled kills the bridge at random moments. What it had taken is lost, and is never
// carried out later; the broker says that it is gone.
func TestFaultKilled(t *testing.T) {
	t.Parallel()
	r := newRig(t, plan{phones: 4, bare: true, flags: []string{"--latency", "5ms"}})
	stop := r.load(time.Millisecond)
	ends := map[int]time.Time{}
	for i := range rounds(10, 200) {
		r.toBroker.pause(rand.N(400 * time.Millisecond))
		r.kill()
		ends[i] = time.Now()
		eventually(t, "the broker says offline", func() bool { return r.state() == "offline" })
		r.past = append(r.past, r.bridge)
		r.bridge = start(t, "snom2mqtt", r.env, program(t))
		r.online()
	}
	stop()
	r.files = 0
	r.check()
	// Whatever was given to a bridge was given to one only.
	r.tap.mu.Lock()
	defer r.tap.mu.Unlock()
	did := r.executed()
	for id, e := range r.tap.book {
		if len(e.at) > 1 {
			t.Errorf("command %s was given to a bridge %d times", id, len(e.at))
		}
		for _, end := range ends {
			// What was on its way to the phone may take a moment on a busy machine.
			if e.at[0].Before(end) && did[id].at.After(end.Add(5*time.Second)) {
				t.Errorf("command %s came before a bridge was killed, and was carried out %v after that", id, did[id].at.Sub(end))
			}
		}
	}
}

// TestFaultFrozen stops the bridge as a whole for a while, as a machine does that is short of memory, or
// a container that is paused. What came meanwhile waits in the connection, and it is unknown for how
// long: it is not carried out.
func TestFaultFrozen(t *testing.T) {
	t.Parallel()
	r := newRig(t, plan{phones: 2})
	signal := func(s syscall.Signal) {
		t.Helper()
		if err := r.bridge.cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		if s == syscall.SIGSTOP {
			eventually(t, "all of the bridge stands still", func() bool { return stopped(t, r.bridge) })
		}
	}
	for range rounds(1, 5) {
		n := r.logged("msg=online")
		signal(syscall.SIGSTOP)
		late := append(r.send(0, 5), r.send(1, 5)...)
		r.toBroker.pause(10 * time.Second)
		signal(syscall.SIGCONT)
		eventually(t, "the bridge is online anew", func() bool { return r.logged("msg=online") > n })
		if got := r.results(r.send(0, 1)...)[0]; got != "ok" {
			t.Errorf("awake again: %s, want ok", got)
		}
		did := r.executed()
		for _, id := range late {
			if did[id].count > 0 {
				t.Errorf("command %s was carried out ten seconds late", id)
			}
		}
		// A moment of it is nothing.
		signal(syscall.SIGSTOP)
		soon := r.send(0, 5)
		r.toBroker.pause(time.Second)
		signal(syscall.SIGCONT)
		for _, code := range r.results(soon...) {
			if code != "ok" {
				t.Errorf("after a second: %s, want ok", code)
			}
		}
	}
	r.check()
}

// stopped reports whether no thread of p runs; where the system does not tell, it believes so.
func stopped(t *testing.T, p *process) bool {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range threads {
		stat, err := os.ReadFile(file)
		if err != nil {
			return false // a thread that ended just now
		}
		if _, state, _ := strings.Cut(string(stat), ") "); !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return true
}

// TestFaultPhonesFile: a phones file that is faulty, half written or not there changes nothing, or
// makes of the bridge what it says; either way every command is answered.
func TestFaultPhonesFile(t *testing.T) {
	t.Parallel()
	r := newRig(t, plan{phones: 4, later: true})
	var whole strings.Builder
	whole.WriteString("phones:\n")
	for i := range r.phones.urls {
		fmt.Fprintf(&whole, "  %s:\n    url: http://%s\n    username: admin\n    password: %q\n", r.name(i), r.toPhone[i].addr(), phonePassword)
	}
	whole.WriteString("groups:\n  both: [desk0, desk1]\n")
	file := filepath.Join(t.TempDir(), "phones.yml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(whole.String())
	env := r.env[:0:0]
	for _, e := range r.env {
		if !strings.HasPrefix(e, "SNOM2MQTT_PHONE_") {
			env = append(env, e)
		}
	}
	r.env = append(env, "SNOM2MQTT_PHONES_FILE="+file)
	r.start()
	r.files = handles(t, r.bridge)
	reload := func() {
		t.Helper()
		n := r.logged("reload")
		if err := r.bridge.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the file is read again", func() bool { return r.logged("reload") > n })
	}
	stop := r.load(2 * time.Millisecond)
	for range rounds(1, 10) {
		for name, text := range map[string]string{
			"empty":            "",
			"not YAML":         "phones: [",
			"binary":           "\x00\x01\xff",
			"a key too many":   strings.Replace(whole.String(), "username", "user", 1),
			"a bad URL":        strings.Replace(whole.String(), "http://", "ftp://", 1),
			"no such member":   strings.Replace(whole.String(), "desk1]", "desk9]", 1),
			"a phone twice":    whole.String() + "phones:\n  desk0:\n    url: http://192.0.2.1\n",
			"an anchor's bomb": "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n",
		} {
			n := r.logged("phones not reloaded")
			write(text)
			reload()
			if r.logged("phones not reloaded") == n {
				t.Errorf("%s: taken, want a fault", name)
			}
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		n := r.logged("phones not reloaded")
		reload()
		if r.logged("phones not reloaded") == n {
			t.Error("not there: taken, want a fault")
		}
		if err := syscall.Mkfifo(file, 0o600); err != nil { // opening it would wait for a writer
			t.Fatal(err)
		}
		n = r.logged("a named pipe")
		reload()
		if r.logged("a named pipe") == n {
			t.Error("a named pipe is not reported as one")
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if codes := r.results(r.send(3, 1)...); codes[0] != "ok" && codes[0] != "busy" {
			t.Errorf("after all that: %s, want ok", codes[0])
		}
		// Half written, up to every line and in the middle of some: a few of those are files that
		// say something, but none of them may cost a failed login.
		text := whole.String()
		for length := len(text) - 1; length > 0; length-- {
			if text[length-1] == '\n' || length%rounds(29, 3) == 0 {
				write(text[:length])
				reload()
			}
		}
		write(text)
		reload()
	}
	stop()
	r.check()
	for _, q := range r.phones.requests() {
		if q.Auth != "none" && !q.Authorized {
			t.Errorf("a failed login: %s %s", q.Phone, q.Target)
		}
	}
}
