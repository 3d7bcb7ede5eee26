package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A mosquitto is a real broker in a process of its own: Mosquitto unless launch runs another one.
type mosquitto struct {
	*process
	launch func(m *mosquitto) *process

	t    *testing.T
	port int
	conf string

	login    bool // clients need a name and a password, which is name-secret; the tests are the user test
	watchers int
}

// startMosquitto runs a broker with these lines of configuration beside its listener's.
func startMosquitto(t *testing.T, lines ...string) *mosquitto {
	t.Helper()
	m := &mosquitto{t: t, port: freePort(t), conf: filepath.Join(t.TempDir(), "mosquitto.conf")}
	if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "allow_anonymous") }) {
		lines = append(lines, "allow_anonymous true")
	}
	if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "log_type") }) {
		lines = append(lines, "log_type all")
	}
	conf := fmt.Sprintf("listener %d 127.0.0.1\nlog_dest stderr\n%s\n", m.port, strings.Join(lines, "\n"))
	if err := os.WriteFile(m.conf, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	m.start()
	return m
}

// startExampleMosquitto runs a broker with the files of examples/mosquitto, with passwords and access list, as their
// comments say. Home Assistant may use topics below front_door too.
func startExampleMosquitto(t *testing.T) *mosquitto {
	t.Helper()
	dir := t.TempDir()
	m := &mosquitto{t: t, port: freePort(t), conf: filepath.Join(dir, "mosquitto.conf"), login: true}
	file := func(name string) string {
		text, err := os.ReadFile(filepath.Join("..", "examples", "mosquitto", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	conf := file("mosquitto.conf")
	for _, change := range [][2]string{
		{"listener 1883\n", fmt.Sprintf("listener %d 127.0.0.1\n", m.port)},
		{"/mosquitto/data/", dir + "/"},
		{"allow_anonymous true\n", "allow_anonymous false\n"},
		{"#password_file /mosquitto/config/", "password_file " + dir + "/"},
		{"#acl_file /mosquitto/config/", "acl_file " + dir + "/"},
	} {
		if strings.Count(conf, change[0]) != 1 {
			t.Fatalf("examples/mosquitto/mosquitto.conf: expected %q once", change[0])
		}
		conf = strings.Replace(conf, change[0], change[1], 1)
	}
	acl := file("acl") + "\nuser homeassistant\ntopic readwrite front_door/#\nuser test\ntopic readwrite #\n"
	for name, text := range map[string]string{"mosquitto.conf": conf + "log_type all\nuser root\n", "acl": acl, "passwords": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, user := range []string{"snom2mqtt", "homeassistant", "test"} {
		runTool(t, tool(t, "mosquitto_passwd"), "-b", filepath.Join(dir, "passwords"), user, user+"-secret")
	}
	m.start()
	return m
}

// clientFlags are those of a client of the tests.
func (m *mosquitto) clientFlags() []string {
	flags := []string{"-p", fmt.Sprint(m.port), "-q", "1"}
	if m.login {
		flags = append(flags, "-u", "test", "-P", "test-secret")
	}
	return flags
}

// start runs the broker, again after it was killed, on the port it had.
func (m *mosquitto) start() {
	m.t.Helper()
	if m.launch != nil {
		m.process = m.launch(m)
	} else {
		m.process = start(m.t, "mosquitto", nil, tool(m.t, "mosquitto"), "-c", m.conf)
	}
	// RabbitMQ begins with a lot of work.
	within(m.t, 4*timeLimit, "the broker listens on "+m.addr(), func() bool {
		if !m.running() {
			m.t.Fatal("the broker ended")
		}
		return listens(m.addr())
	})
}

// hangup has the broker read its files again.
func (m *mosquitto) hangup() {
	m.t.Helper()
	if err := m.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		m.t.Fatal(err)
	}
}

func (m *mosquitto) addr() string { return fmt.Sprintf("127.0.0.1:%d", m.port) }
func (m *mosquitto) url() string  { return "tcp://" + m.addr() }

// listens reports whether a program listens on addr.
func listens(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// eventually asks until ok, for what no process announces.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	within(t, timeLimit, what, ok)
}

// within is eventually for what takes its time.
func within(t *testing.T, most time.Duration, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(most)
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// publish publishes one message by mosquitto_pub. No payload is an empty one.
func (m *mosquitto) publish(topic, payload string, flags ...string) {
	m.t.Helper()
	args := slices.Concat(m.clientFlags(), []string{"-t", topic}, flags)
	if payload == "" {
		args = append(args, "-n")
	} else {
		args = append(args, "-m", payload)
	}
	runTool(m.t, tool(m.t, "mosquitto_pub"), args...)
}

// A message is what mosquitto_sub saw.
type message struct {
	Topic   string `json:"topic"`
	Retain  int    `json:"retain"`
	QoS     int    `json:"qos"`
	Payload string `json:"payload"`
}

// A watcher is a mosquitto_sub.
type watcher struct{ *process }

// watch subscribes by mosquitto_sub, and returns when that is granted.
func (m *mosquitto) watch(filter string, flags ...string) *watcher {
	m.t.Helper()
	m.watchers++
	id := fmt.Sprintf("watcher-%d", m.watchers)
	args := slices.Concat(m.clientFlags(), []string{"-t", filter, "-F", "%j", "-i", id}, flags) // %j: a line of JSON each
	w := &watcher{start(m.t, "mosquitto_sub", nil, tool(m.t, "mosquitto_sub"), args...)}
	m.until("the subscription of "+id, func(_, log []string) bool { // as the broker logs it: who, QoS, what
		return slices.ContainsFunc(log, func(l string) bool { return strings.HasSuffix(l, ": "+id+" 1 "+filter) })
	})
	return w
}

// messages returns what was seen so far.
func (w *watcher) messages() []message { return read(w.t, w.stdout()) }

// read takes the messages out of what mosquitto_sub printed.
func read(t *testing.T, lines []string) (all []message) {
	t.Helper()
	for _, line := range lines {
		if strings.HasPrefix(line, "{") {
			all = append(all, decode[message](t, line))
		}
	}
	return all
}

// on waits until there are n messages on topic, and returns all of them.
func (w *watcher) on(topic string, n int) (all []message) {
	w.t.Helper()
	w.until(fmt.Sprintf("%d messages on %s", n, topic), func(out, _ []string) bool {
		all = slices.DeleteFunc(read(w.t, out), func(m message) bool { return m.Topic != topic })
		return len(all) >= n
	})
	return all
}

// A result is the answer to a command.
type result struct {
	ID         string            `json:"id"`
	Phone      string            `json:"phone"`
	Command    string            `json:"command"`
	Argument   string            `json:"argument"`
	OK         bool              `json:"ok"`
	Code       string            `json:"code"`
	Message    string            `json:"message"`
	HTTPStatus int               `json:"http_status"`
	Requests   int               `json:"requests"`
	Members    map[string]string `json:"members"`
}

// results waits for n results on topic.
func (w *watcher) results(topic string, n int) (all []result) {
	w.t.Helper()
	for _, m := range w.on(topic, n) {
		all = append(all, decode[result](w.t, m.Payload))
	}
	return all
}

// A request is one line of `snom2mqtt simulate`.
type request struct {
	Phone      string   `json:"phone"`
	Method     string   `json:"method"`
	Target     string   `json:"target"`
	Status     int      `json:"status"`
	Auth       string   `json:"auth"`
	Authorized bool     `json:"authorized"`
	Executed   bool     `json:"executed"`
	Keys       []string `json:"keys"`
	Note       string   `json:"note"`
}

// phones are simulated phones in a process of their own.
type phones struct {
	*process
	urls    []string // by phone, in order
	control string
}

// startPhones runs `snom2mqtt simulate` with these flags; the phones are called phone, or phone-1
// and so on.
func startPhones(t *testing.T, count int, flags ...string) *phones {
	t.Helper()
	listen := fmt.Sprintf("127.0.0.1:%d", freePorts(t, count))
	args := append([]string{"simulate", "--listen", listen, "--control", "127.0.0.1:0", "--count", fmt.Sprint(count)}, flags...)
	p := &phones{process: start(t, "simulate", nil, program(t), args...)}
	p.until("the addresses of the phones", func(_, log []string) bool {
		p.urls, p.control = nil, ""
		for _, line := range log {
			name, url, _ := strings.Cut(line, " ")
			if name == "control" {
				p.control = url
			} else {
				p.urls = append(p.urls, url)
			}
		}
		return p.control != "" && len(p.urls) == count
	})
	return p
}

// requests returns what the phones received so far.
func (p *phones) requests() (all []request) {
	for _, line := range p.stdout() {
		all = append(all, decode[request](p.t, line))
	}
	return all
}

// targets returns what a phone carried out so far.
func (p *phones) targets(phone string) (all []string) {
	for _, r := range p.requests() {
		if r.Phone == phone && r.Executed {
			all = append(all, r.Target)
		}
	}
	return all
}

// phoneEnv are the settings of phone n.
func phoneEnv(n int, name, url string, more ...string) []string {
	at := fmt.Sprintf("SNOM2MQTT_PHONE_%d_", n)
	env := []string{at + "NAME=" + name, at + "URL=" + url}
	for _, m := range more {
		env = append(env, at+m)
	}
	return env
}

// startBridge runs the program as a bridge to the broker, and waits until it says that it is
// online.
func (m *mosquitto) startBridge(t *testing.T, env ...string) *process {
	t.Helper()
	w := m.watch("snom/bridge/state")
	env = append([]string{"SNOM2MQTT_MQTT_URL=" + m.url(), "SNOM2MQTT_CONSOLE_LISTEN=127.0.0.1:0"}, env...)
	p := start(t, "snom2mqtt", env, program(t))
	w.until("online", func(out, _ []string) bool {
		if !p.running() {
			return true
		}
		all := read(t, out)
		return slices.ContainsFunc(all, func(m message) bool { return m.Payload == "online" && m.Retain == 0 })
	})
	if !p.running() {
		t.Fatalf("the bridge ended: %s", strings.Join(p.stderr(), "\n"))
	}
	w.kill()
	return p
}
