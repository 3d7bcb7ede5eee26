package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// passwords makes a file of these users and passwords for Mosquitto.
func passwords(t *testing.T, users ...login) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "passwords")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, u := range users {
		runTool(t, tool(t, "mosquitto_passwd"), "-b", file, u.user, u.password)
	}
	shareWithBroker(t, file)
	return file
}

// rules makes an access list for Mosquitto.
func rules(t *testing.T, lines ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "acl")
	writeRules(t, file, lines...)
	return file
}

func writeRules(t *testing.T, file string, lines ...string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	shareWithBroker(t, file)
}

// shareWithBroker lets Mosquitto read file: started by root it becomes another user.
func shareWithBroker(t *testing.T, file string) {
	t.Helper()
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(file); len(dir) > len(os.TempDir()); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// bridgeUser and the others are the users of a broker with passwords.
func bridgeUser() login { return login{user: "bridge", password: brokerPassword} }
func testUser() login   { return login{user: "test", password: "not a secret"} }

// TestFaultBrokerWithPassword: a wrong password is tried once in a long time and said in words; with
// the right one all is well.
func TestFaultBrokerWithPassword(t *testing.T) {
	t.Parallel()
	file := passwords(t, bridgeUser(), testUser())
	r := newRig(t, plan{
		login: testUser(), conf: []string{"allow_anonymous false", "password_file " + file},
		env: []string{"SNOM2MQTT_LOG_LEVEL=debug"}, // of all that there is to say, nothing is secret
	})
	stop := r.load(5 * time.Millisecond)
	r.killBroker()
	r.online()
	stop()

	wrong := start(t, "bridge with a wrong password", slices.Concat(r.env, []string{"SNOM2MQTT_MQTT_PASSWORD=wrong-" + brokerPassword, "SNOM2MQTT_BASE_TOPIC=wrong"}), program(t))
	refused := func() int { return len(linesWith(r.broker.stderr(), "not authorised")) }
	wrong.until("what is wrong", func(_, log []string) bool { return len(linesWith(log, "check user name and password")) > 0 })
	r.toBroker.pause(3 * time.Second)
	if got := refused(); got != 1 {
		t.Errorf("%d attempts with a wrong password in three seconds, want 1", got)
	}
	if code := wrong.stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	r.past = append(r.past, wrong)
	r.check()
}

func linesWith(lines []string, text string) []string {
	return slices.DeleteFunc(lines, func(l string) bool { return !strings.Contains(l, text) })
}

// console returns the address of the console of a bridge.
func console(p *process) string {
	p.t.Helper()
	at := ""
	p.until("the address of the console", func(_, log []string) bool {
		for _, l := range linesWith(slices.Clone(log), "msg=console") {
			_, at, _ = strings.Cut(l, "from=")
		}
		return at != ""
	})
	return "http://" + strings.Fields(at)[0]
}

// ready asks the console of a bridge whether it is ready, and why not.
func ready(t *testing.T, p *process) (ok bool, reason string) {
	t.Helper()
	status, body := get(t, console(p)+"/readyz", "")
	return status == http.StatusOK, decode[struct{ Reason string }](t, body).Reason
}

// TestFaultBrokerGrantsAndDeliversNothing: with an access list Mosquitto grants every subscription
// and delivers what it likes. A bridge that nothing reaches must not be online.
func TestFaultBrokerGrantsAndDeliversNothing(t *testing.T) {
	t.Parallel()
	users := passwords(t, bridgeUser(), testUser())
	mute := []string{"user bridge", "topic write snom/#", "user test", "topic readwrite #"}
	file := rules(t, mute...)
	r := newRig(t, plan{login: testUser(), later: true, conf: []string{"allow_anonymous false", "password_file " + users, "acl_file " + file}})
	r.bridge = start(t, "snom2mqtt", r.env, program(t))
	r.bridge.until("what is wrong", func(_, log []string) bool { return len(linesWith(slices.Clone(log), "delivers nothing")) > 0 })
	r.send(0, 10)
	if got := r.state(); got == "online" {
		t.Error("a bridge that nothing reaches says online")
	}
	if ok, reason := ready(t, r.bridge); ok || !strings.Contains(reason, "access rules") {
		t.Errorf("ready %v: %q, want not, because of the access rules", ok, reason)
	}
	if got := len(r.executed()); got != 0 {
		t.Errorf("%d commands were carried out, want none", got)
	}
	// The list is put right, and the broker reads it: the bridge finds out by itself.
	writeRules(t, file, "user bridge", "topic readwrite snom/#", "topic readwrite elsewhere/#", "user test", "topic readwrite #")
	r.broker.hangup()
	within(t, 2*timeLimit, "the bridge finds out that it is online", func() bool { return r.state() == "online" })
	r.files = handles(t, r.bridge)
	// And wrong again, under its feet: what comes is carried out, what does not come is not.
	writeRules(t, file, mute...)
	r.broker.hangup()
	r.send(0, 10)
	writeRules(t, file, "user bridge", "topic readwrite snom/#", "topic readwrite elsewhere/#", "user test", "topic readwrite #")
	r.broker.hangup()
	r.check()
}

// TestFaultBrokerWithSmallLimits: a broker that takes little at a time, drops what is too much, and
// disconnects the bridge over a long message.
func TestFaultBrokerWithSmallLimits(t *testing.T) {
	t.Parallel()
	for name, conf := range map[string][]string{
		"few at a time": {"max_inflight_messages 1", "max_queued_messages 5"},
		"short packets": {"max_packet_size 500"}, // bridge/info is longer
		"dropped":       {"message_size_limit 270"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, plan{phones: 8, conf: conf, env: []string{"SNOM2MQTT_HOMEASSISTANT=false"}})
			stop := r.load(time.Millisecond)
			eventually(t, "a thousand commands are answered", func() bool { return r.tap.count() > 1000 })
			stop()
			r.send(0, 50)
			eventually(t, "the broker has room for commands again", func() bool { // it drops what is too much
				id := r.send(0, 1)[0]
				r.toBroker.pause(200 * time.Millisecond)
				if !r.tap.has(id) {
					return false
				}
				r.results(id)
				return true
			})
			r.check()
		})
	}
}

// TestFaultTwoBridgesWithOneClientID: they throw each other out, notice it, and end up with one that
// works and one that waits.
func TestFaultTwoBridgesWithOneClientID(t *testing.T) {
	t.Parallel()
	r := newRig(t, plan{phones: 2, env: []string{"SNOM2MQTT_MQTT_CLIENT_ID=one-for-all"}})
	other := start(t, "other bridge", r.env, program(t))
	r.past = append(r.past, other)
	stop := r.load(5 * time.Millisecond)
	noticed := func(p *process) bool {
		return len(linesWith(p.stderr(), "another client seems to use the same client id")) > 0
	}
	eventually(t, "one of them notices", func() bool { return noticed(r.bridge) || noticed(other) })
	connections := func() int { return len(linesWith(r.broker.stderr(), " as one-for-all ")) }
	before := connections()
	r.toBroker.pause(5 * time.Second)
	if more := connections() - before; more > 2 {
		t.Errorf("%d connections in five seconds after they noticed, want peace", more)
	}
	n := r.tap.count()
	eventually(t, "commands are answered", func() bool { return r.tap.count() > n+50 })
	stop()
	other.kill()
	r.owing = true
	if *faultsAtLength {
		within(t, 6*time.Minute, "the one that waited is back", func() bool { return r.state() == "online" })
	} else {
		r.kill()
		r.start()
	}
	r.files = handles(t, r.bridge)
	r.check()
}

// TestFaultRetainedCommandWaits: a broker that keeps a command, also over its own restart, gives it
// to every bridge at every connection. It is never carried out.
func TestFaultRetainedCommandWaits(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "broker")
	if err := os.Mkdir(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	shareWithBroker(t, folder)
	if err := os.Chmod(folder, 0o777); err != nil { // Mosquitto started by root is another user
		t.Fatal(err)
	}
	r := newRig(t, plan{later: true, conf: []string{"persistence true", "persistence_location " + folder + "/", "autosave_interval 1", "autosave_on_changes true"}})
	r.broker.publish("snom/desk0/dial", `{"id":"kept","number":"666"}`, "-r")
	r.broker.publish("snom/bridge/request/reload", "", "-r")
	r.start()
	eventually(t, "the broker has saved it", func() bool {
		data, err := os.ReadFile(filepath.Join(folder, "mosquitto.db"))
		return err == nil && bytes.Contains(data, []byte(`"kept"`))
	})
	for range rounds(2, 20) {
		r.killBroker()
		r.online()
		if got := retained(t, r.broker.addr(), "snom/desk0/dial", r.login); !strings.Contains(got, "kept") {
			t.Fatalf("the broker has lost what it kept: %q", got)
		}
		r.kill()
		r.start()
	}
	r.files = handles(t, r.bridge)
	r.results(r.send(0, 1)...)
	for _, q := range r.phones.requests() {
		if strings.Contains(q.Target, "666") {
			t.Errorf("the phone was asked: %s", q.Target)
		}
	}
	r.check()
}

// TestFaultFlood sends many more commands than can be carried out, as fast as the broker takes
// them. Each is answered.
func TestFaultFlood(t *testing.T) {
	t.Parallel()
	r := newRig(t, plan{phones: 4, conf: []string{"max_queued_messages 0"}})
	n := rounds(10_000, 50_000)
	began := time.Now()
	sent := make(chan struct{})
	for i := range 4 {
		go func() {
			defer func() { sent <- struct{}{} }()
			r.send(i, n/4)
		}()
	}
	for range 4 {
		<-sent
	}
	within(t, 4*timeLimit, "an answer to every command", func() bool { return r.tap.count() >= n })
	t.Logf("%d commands in %v", n, time.Since(began).Round(time.Millisecond))
	if got, most := memory(t, r.bridge), 64<<20; got > most && !*faultsAtLength {
		t.Errorf("the bridge took %d MiB, want at most %d", got>>20, most>>20)
	}
	r.check()
}

// TestFaultHostileMessages sends what no client should: the bridge answers or ignores, and goes on.
func TestFaultHostileMessages(t *testing.T) {
	t.Parallel()
	r := newRig(t, plan{})
	l := r.login
	l.id = "hostile"
	c, err := dialMQTT(t.Context(), r.broker.addr(), l)
	if err != nil {
		t.Fatal(err)
	}
	defer c.conn.Close()
	topics := []string{
		"snom/desk0/dial", "snom/desk0/command", "snom/desk0/result", "snom/desk0/owner", "snom/desk0/status", "snom/desk0/availability",
		"snom/all/key", "snom/bridge/state", "snom/bridge/info", "snom/bridge/loopback", "snom/bridge/request/reload", "snom/bridge/request/probe",
		"snom/bridge/request/fly", "snom/Küche/dial", "snom/desk0/" + strings.Repeat("x", 60_000), "snom//", "snom/x/y",
	}
	deep, err := json.Marshal(strings.Repeat("[", 10_000))
	if err != nil {
		t.Fatal(err)
	}
	payloads := [][]byte{
		nil, []byte("{"), []byte("\xff\xfe"), bytes.Repeat([]byte("{\"a\":"), 10_000), deep, []byte(`{"process":"x"}`),
		[]byte(`{"process":"x","started":"nonsense"}`), []byte("west"), []byte("off line"), bytes.Repeat([]byte("x"), 1<<20),
		[]byte(`{"id":"` + strings.Repeat("x", 100) + `","number":"1"}`), []byte("\x00"), []byte(`{"number":"1&key=2"}`),
	}
	id := uint16(0)
	for range rounds(1, 20) {
		for _, topic := range topics {
			for _, p := range payloads {
				if topic == "snom/desk0/owner" && len(p) == len("west") {
					continue // which is no nonsense: see TestThreeBridges
				}
				id = id%65535 + 1
				if err := c.write(publishPacket(id, topic, p, false)); err != nil {
					t.Fatal(err)
				}
				if _, err := c.read(); err != nil {
					t.Fatalf("%.40s %.40q: %v", topic, p, err)
				}
			}
		}
	}
	for _, q := range r.phones.requests() {
		if q.Executed {
			t.Errorf("the phone did %s", q.Target)
		}
	}
	fmt.Fprintln(t.Output(), id, "messages")
	r.check()
}
