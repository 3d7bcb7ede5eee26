package e2e

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// faultsAtLength has the fault suite run at full length, with the race detector in the program:
// make faults.
var faultsAtLength = flag.Bool("faults", false, "run the fault suite at full length")

// rounds is how often something is done: a few times, or often in a run at full length.
func rounds(short, long int) int {
	if *faultsAtLength {
		return long
	}
	return short
}

// The passwords of every rig. They must appear nowhere.
const (
	phonePassword  = "canary-of-the-phone-5e1f"
	brokerPassword = "canary-of-the-broker-91c0"
)

// A rig is a broker, a bridge and phones, each in a process of its own, with networks between them
// that fail on demand, and a book of all that passes.
type rig struct {
	t        *testing.T
	broker   *mosquitto
	toBroker *proxy
	phones   *phones
	toPhone  []*proxy
	tap      *tap
	env      []string
	bridge   *process
	path     string // of the bridge's program
	login    login  // of the test's own clients

	next  atomic.Int64 // ids of commands
	files int          // open before anything happened
	past  []*process   // bridges that ended
	owing bool         // one of them was killed, and owes answers
}

// A plan is what a rig is made of. The zero plan has one phone.
type plan struct {
	phones int
	flags  []string // of the phones
	conf   []string // of Mosquitto
	env    []string // of the bridge
	login  login    // of the test's own clients, where the broker wants one
	bare   bool     // there are no networks between the bridge and its phones
	later  bool     // the bridge is not started yet
	path   string   // of the bridge's program, where it is not the usual one
}

// newRig builds a rig, and waits until its bridge is online.
func newRig(t *testing.T, p plan) *rig {
	t.Helper()
	r := &rig{t: t, login: p.login, path: p.path, tap: newTap(t, phonePassword, brokerPassword)}
	if r.path == "" {
		r.path = program(t)
	}
	r.broker = startMosquitto(t, append([]string{"log_type warning", "log_type error", "log_type notice"}, p.conf...)...)
	r.toBroker = startProxy(t, r.broker.addr(), r.tap)
	r.phones = startPhones(t, max(p.phones, 1), append([]string{"--auth", "digest", "--username", "admin", "--password", phonePassword, "--name", "desk"}, p.flags...)...)
	r.env = append([]string{
		"SNOM2MQTT_MQTT_URL=tcp://" + r.toBroker.addr(),
		"SNOM2MQTT_MQTT_USERNAME=bridge", "SNOM2MQTT_MQTT_PASSWORD=" + brokerPassword,
		"SNOM2MQTT_CONSOLE_LISTEN=127.0.0.1:0", "SNOM2MQTT_COMMAND_GAP=0s",
	}, p.env...)
	for i, url := range r.phones.urls {
		if !p.bare {
			r.toPhone = append(r.toPhone, startProxy(t, strings.TrimPrefix(url, "http://"), nil))
			url = "http://" + r.toPhone[i].addr()
		}
		r.env = append(r.env, phoneEnv(i, r.name(i), url, "USERNAME=admin", "PASSWORD="+phonePassword)...)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("failed logins, the first three: %s", r.failedLogins(3))
		}
	})
	if !p.later {
		r.start()
		r.files = handles(t, r.bridge)
	}
	return r
}

// name is what phone i is called by the bridge.
func (r *rig) name(i int) string { return fmt.Sprintf("desk%d", i) }

// start starts the bridge and waits until it is online.
func (r *rig) start() {
	r.t.Helper()
	if r.bridge != nil {
		r.past = append(r.past, r.bridge)
	}
	r.bridge = start(r.t, "snom2mqtt", r.env, r.path)
	// What a broker keeps may be what an earlier bridge said.
	r.bridge.until("it is online", func(_, log []string) bool { return len(linesWith(slices.Clone(log), "msg=online ")) > 0 })
	r.online()
}

// killBroker kills the broker, and returns when it is there again.
func (r *rig) killBroker() {
	r.t.Helper()
	r.toBroker.unresponsive()
	r.broker.kill()
	r.broker.start()
	r.toBroker.hear()
}

// outage has the broker gone, as far as the bridge can see, until that has noticed.
func (r *rig) outage() {
	r.t.Helper()
	noticed := func() int { return r.logged("no session with the broker") }
	n := noticed()
	r.toBroker.unresponsive()
	r.toBroker.cut()
	eventually(r.t, "the bridge notices that its broker is gone", func() bool { return noticed() > n })
	r.toBroker.hear()
	r.online()
}

// logged counts the lines of the bridge's log that contain text.
func (r *rig) logged(text string) (n int) {
	for _, line := range r.bridge.stderr() {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// kill kills the bridge.
func (r *rig) kill() {
	r.bridge.kill()
	r.owing = true
}

// state is what the broker keeps of the bridge's state.
func (r *rig) state() string {
	return retained(r.t, r.broker.addr(), "snom/bridge/state", r.login)
}

// online waits until the bridge says online.
func (r *rig) online() {
	r.t.Helper()
	eventually(r.t, "the bridge is online", func() bool {
		if !r.bridge.running() {
			r.t.Fatalf("the bridge ended: %s", strings.Join(tail(r.bridge.stderr(), 20), "\n"))
		}
		return r.state() == "online"
	})
}

// failedLogins are requests that phones counted as failed logins, as they reported them, up to so many.
func (r *rig) failedLogins(most int) (lines []string) {
	for _, line := range r.phones.stdout() {
		if strings.Contains(line, "failed login") && len(lines) < most {
			lines = append(lines, line)
		}
	}
	return lines
}

// command is a command for phone i with an id of its own, which is the number it dials.
func (r *rig) command(i int) (id, topic string, payload []byte) {
	id = fmt.Sprint(r.next.Add(1))
	return id, "snom/" + r.name(i) + "/dial", []byte(`{"id":"` + id + `","number":"` + id + `"}`)
}

// load publishes commands for the phones in turn, with a pause after each, until it is stopped. It
// finds its way back to a broker that was gone. Once it is stopped, no command of it is on its way to a bridge any more.
func (r *rig) load(pause time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(r.t.Context())
	var publishing sync.WaitGroup
	publishing.Go(func() {
		for ctx.Err() == nil {
			r.publishUntil(ctx, pause)
			select {
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	})
	stop = sync.OnceFunc(func() {
		cancel()
		publishing.Wait()
	})
	r.t.Cleanup(stop)
	return stop
}

// publishUntil publishes commands on one connection, until that or ctx ends.
func (r *rig) publishUntil(ctx context.Context, pause time.Duration) {
	l := r.login
	l.id = "load-" + fmt.Sprint(time.Now().UnixNano())
	c, err := dialMQTT(ctx, r.broker.addr(), l)
	if err != nil {
		return
	}
	window := make(chan struct{}, 64)
	gone := make(chan struct{})
	go func() { // ends with the connection, which this function closes and waits for
		defer close(gone)
		for {
			if _, err := c.read(); err != nil {
				return
			}
			<-window
		}
	}()
	var last string // id of a command
	defer func() {
		r.arrived(last, window, gone)
		c.conn.Close()
		<-gone
	}()
	tick := time.NewTicker(max(pause, time.Microsecond))
	defer tick.Stop()
	for i := 0; ; i++ {
		id, topic, payload := r.command(i % len(r.phones.urls))
		select {
		case window <- struct{}{}:
		case <-gone:
			return
		case <-ctx.Done():
			return
		}
		if c.write(publishPacket(uint16(i%65535+1), topic, payload, false)) != nil {
			return
		}
		last = id
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// arrived waits until the broker has acknowledged all commands of a connection, and the last one has reached a bridge, but
// not for long: either may be gone.
func (r *rig) arrived(last string, window <-chan struct{}, gone <-chan struct{}) {
	late := time.After(acceptIn)
	for len(window) > 0 || last != "" && !r.tap.has(last) {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-gone:
			return
		case <-late:
			return
		}
	}
}

// send publishes n commands for phone i at once, and returns their ids.
func (r *rig) send(i, n int) (ids []string) {
	r.t.Helper()
	l := r.login
	l.id = "send-" + fmt.Sprint(time.Now().UnixNano())
	c, err := dialMQTT(r.t.Context(), r.broker.addr(), l)
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.conn.Close()
	for k := range n {
		id, topic, payload := r.command(i)
		ids = append(ids, id)
		if err := c.write(publishPacket(uint16(k%65535+1), topic, payload, false)); err != nil {
			r.t.Fatal(err)
		}
	}
	for range n {
		if p, err := c.read(); err != nil || p.kind != puback {
			r.t.Fatalf("packet %d, %v: want PUBACK", p.kind, err)
		}
	}
	return ids
}

// results waits for the answers to ids, and returns their codes.
func (r *rig) results(ids ...string) (codes []string) {
	r.t.Helper()
	r.tap.until("answers to "+strings.Join(ids, ", "), func(book map[string]*entry) bool {
		return !slices.ContainsFunc(ids, func(id string) bool { return book[id] == nil || !book[id].answered })
	})
	r.tap.mu.Lock()
	defer r.tap.mu.Unlock()
	for _, id := range ids {
		codes = append(codes, r.tap.book[id].code)
	}
	return codes
}

// An execution is a phone that dialled.
type execution struct {
	at    time.Time
	count int
}

// executed is what the phones did, by the number that they dialled.
func (r *rig) executed() map[string]execution {
	all := map[string]execution{}
	for _, line := range r.phones.stdout() {
		var q struct {
			request
			Time time.Time
		}
		if err := json.Unmarshal([]byte(line), &q); err != nil {
			r.t.Fatalf("%s: %v", line, err)
		}
		if number, ok := strings.CutPrefix(q.Target, "/command.htm?number="); ok && q.Executed {
			all[number] = execution{at: q.Time, count: all[number].count + 1}
		}
	}
	return all
}

// reported is executed once it has every command that is ok: what phones did is read from another process, which may be a
// moment later than the result.
func (r *rig) reported() (did map[string]execution) {
	r.t.Helper()
	var missing string
	defer func() {
		if missing != "" {
			r.t.Errorf("command %s is ok, and was not carried out", missing)
		}
	}()
	eventually(r.t, "every command that is ok was carried out", func() bool {
		did = r.executed()
		missing = r.tap.first(func(id string, e *entry) bool { return e.code == "ok" && did[id].count == 0 })
		return missing == ""
	})
	return did
}

// check checks that everything is in order afterwards: the one invariant. The bridge
// runs, and all is well around it again.
func (r *rig) check() {
	r.t.Helper()
	r.online()
	// Nothing is wedged: phones carry out commands.
	sample := min(len(r.phones.urls), 8)
	for i := range sample {
		eventually(r.t, "a command for "+r.name(i)+" is ok", func() bool { return r.results(r.send(i, 1)...)[0] == "ok" })
	}
	for i := range sample {
		eventually(r.t, r.name(i)+" is said to be online", func() bool {
			return retained(r.t, r.broker.addr(), "snom/"+r.name(i)+"/availability", r.login) == "online"
		})
	}
	if !r.owing {
		r.tap.settled()
	}
	r.checkBook()
	if r.files > 0 {
		eventually(r.t, fmt.Sprintf("no more than %d file handles are open, as before", r.files), func() bool { return handles(r.t, r.bridge) <= r.files+2 })
	}
	r.checkConsole()
	r.checkGoroutines()
}

// checkConsole looks at what the bridge shows of itself.
func (r *rig) checkConsole() {
	r.t.Helper()
	for _, page := range []string{"/healthz", "/readyz", "/metrics"} {
		eventually(r.t, page+" is 200", func() bool { // a broker may end one more session for a message that it does not take
			status, body := get(r.t, console(r.bridge)+page, "")
			if strings.Contains(body, phonePassword) || strings.Contains(body, brokerPassword) {
				r.t.Errorf("%s has a secret: %s", page, body)
			}
			return status == http.StatusOK
		})
	}
}

// checkBook holds what the bridge was given against what it said and what the phones did.
func (r *rig) checkBook() {
	r.t.Helper()
	did := r.reported()
	r.tap.mu.Lock()
	defer r.tap.mu.Unlock()
	wrong := 0
	fault := func(format string, args ...any) {
		r.t.Helper()
		if wrong++; wrong <= 10 {
			r.t.Errorf(format, args...)
		}
	}
	for _, odd := range r.tap.odd {
		fault("%s", odd)
	}
	accepted, executed, codes := 0, 0, map[string]int{}
	for _, id := range r.tap.order {
		e := r.tap.book[id]
		accepted += min(e.accepted, 1)
		executed += did[id].count
		if e.code != "" {
			codes[e.code]++
		}
		switch {
		case len(e.results) > 1:
			fault("command %s has %d different results: %q", id, len(e.results), slices.Collect(maps.Keys(e.results)))
		case e.accepted > 0 && len(e.results) == 0 && !r.owing:
			fault("command %s was accepted, and never answered", id)
		}
		switch n := did[id].count; {
		case n > 1:
			fault("command %s was carried out %d times", id, n)
		case n == 1 && untouched(e):
			fault("command %s was carried out, and answered %s", id, e.code)
		case n == 0 && e.code == "ok":
			fault("command %s is ok, and was not carried out", id)
		case n == 1 && did[id].at.Sub(e.at[0]) > commandTTL+timeLimit/3:
			fault("command %s was carried out %v late", id, did[id].at.Sub(e.at[0]))
		}
		delete(did, id)
	}
	for number := range did {
		fault("%s was dialled without a command", number)
	}
	for _, p := range append(slices.Clone(r.past), r.bridge) {
		for _, line := range append(p.stderr(), p.stdout()...) {
			for _, bad := range []string{phonePassword, brokerPassword, "DATA RACE", "panic:", "code=internal"} {
				if strings.Contains(line, bad) {
					fault("the log has %q: %s", bad, line)
				}
			}
		}
	}
	if wrong > 10 {
		r.t.Errorf("and %d more", wrong-10)
	}
	r.t.Logf("%d commands, %d accepted, %d carried out: %v", len(r.tap.order), accepted, executed, codes)
}

// commandTTL is how long a command may wait unless the settings say otherwise.
const commandTTL = 30 * time.Second

// untouched reports whether a result says that the phone was not asked.
func untouched(e *entry) bool {
	switch e.code {
	case "invalid", "forbidden", "retained", "expired", "duplicate", "busy", "unreachable", "locked_out":
		return true
	case "cancelled":
		return e.requests == 0
	}
	return false
}

// checkGoroutines compares the number of the bridge's goroutines with that of a bridge to which nothing has happened, as
// soon as it is as small: what is under way when the load ends may take a while on a busy machine. Where it stays higher,
// the bridge ends in such a way that it lists them.
func (r *rig) checkGoroutines() {
	r.t.Helper()
	env := append(slices.Clone(r.env), "SNOM2MQTT_BASE_TOPIC=elsewhere")
	if slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, "SNOM2MQTT_PHONE_LISTEN=") }) { // the other one has that port
		env = append(env, fmt.Sprintf("SNOM2MQTT_PHONE_LISTEN=127.0.0.1:%d", freePort(r.t)))
	}
	if slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, "SNOM2MQTT_MQTT_CLIENT_ID=") }) { // likewise
		env = append(env, "SNOM2MQTT_MQTT_CLIENT_ID=fresh")
	}
	fresh := start(r.t, "fresh bridge", env, r.path)
	eventually(r.t, "a fresh bridge is online", func() bool {
		return retained(r.t, r.broker.addr(), "elsewhere/bridge/state", r.login) == "online"
	})
	want, got := goroutines(r.t, fresh), 0
	for late := time.Now().Add(timeLimit); time.Now().Before(late); <-time.After(100 * time.Millisecond) {
		if got = goroutines(r.t, r.bridge); got <= want+2 {
			break
		}
	}
	fresh.kill()
	if got > want+2 {
		if err := r.bridge.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
			r.t.Fatal(err)
		}
		r.bridge.wait()
		r.t.Errorf("%d goroutines, a fresh bridge has %d", got, want)
	}
}

// goroutines is how many goroutines a bridge has, as its console says.
func goroutines(t *testing.T, p *process) (n int) {
	t.Helper()
	_, text := get(t, console(p)+"/metrics", "")
	for line := range strings.Lines(text) {
		if _, err := fmt.Sscanf(line, "go_goroutines %d", &n); err == nil {
			return n
		}
	}
	t.Fatal("the metrics have no go_goroutines")
	return 0
}

// memory is the most memory a process ever had, in bytes; where the system does not tell, 0.
func memory(t *testing.T, p *process) (most int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.SplitSeq(string(status), "\n") {
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &most); err == nil {
			return most << 10
		}
	}
	return 0
}
