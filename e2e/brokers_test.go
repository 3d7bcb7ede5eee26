package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// allBrokers has TestBrokers want those brokers too that nothing else needs: make test-brokers.
var allBrokers = flag.Bool("brokers", false, "run the bridge against RabbitMQ and NATS, too")

// A brand is a broker that the bridge must work with.
type brand struct {
	name     string
	rare     bool // only with -brokers
	embedded bool // a part of the bridge
	launch   func(t *testing.T, folder string) func(m *mosquitto) *process

	// What it lacks, as docs/brokers.md says it.
	noWildcardRetained bool // a subscription with + or # is not sent what is kept
}

func brands() []brand {
	return []brand{
		{name: "Mosquitto", launch: launchMosquitto},
		{name: "embedded", embedded: true},
		{name: "NATS", rare: true, launch: launchNATS},
		{name: "RabbitMQ", rare: true, launch: func(t *testing.T, folder string) func(*mosquitto) *process { return launchRabbitMQ(t, folder) }, noWildcardRetained: true},
	}
}

func launchMosquitto(t *testing.T, folder string) func(m *mosquitto) *process {
	t.Helper()
	return func(m *mosquitto) *process {
		conf := filepath.Join(folder, "mosquitto.conf")
		write(t, conf, fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nlog_dest stderr\n", m.port))
		return start(t, "mosquitto", nil, tool(t, "mosquitto"), "-c", conf)
	}
}

func launchNATS(t *testing.T, folder string) func(m *mosquitto) *process {
	t.Helper()
	other := freePort(t)
	return func(m *mosquitto) *process {
		conf := filepath.Join(folder, "nats.conf")
		write(t, conf, fmt.Sprintf(`server_name: test
listen: "127.0.0.1:%d"
jetstream { store_dir: %q }
mqtt { listen: "127.0.0.1:%d" }
`, other, filepath.Join(folder, "store"), m.port))
		return start(t, "nats-server", nil, tool(t, "nats-server"), "-c", conf)
	}
}

// launchRabbitMQ runs a node of its own, with its own Erlang port mapper, so that it meets no other.
func launchRabbitMQ(t *testing.T, folder string, conf ...string) func(m *mosquitto) *process {
	t.Helper()
	distribution, mapper := freePort(t), freePort(t)
	path := tool(t, "/usr/lib/rabbitmq/bin/rabbitmq-server") // the one in /usr/sbin changes the user
	env := []string{
		"HOME=" + folder, // for the cookie
		"RUNNING_UNDER_SYSTEMD=true",
		"RABBITMQ_NODENAME=snom2mqtt-test@localhost",
		"RABBITMQ_MNESIA_BASE=" + filepath.Join(folder, "db"),
		"RABBITMQ_LOG_BASE=" + filepath.Join(folder, "log"),
		"RABBITMQ_LOGS=-",
		"RABBITMQ_ENABLED_PLUGINS_FILE=" + filepath.Join(folder, "plugins"),
		"RABBITMQ_CONFIG_FILE=" + filepath.Join(folder, "rabbitmq.conf"),
		"RABBITMQ_CONF_ENV_FILE=/dev/null",
		"RABBITMQ_PID_FILE=" + filepath.Join(folder, "pid"),
		fmt.Sprintf("RABBITMQ_DIST_PORT=%d", distribution),
		fmt.Sprintf("ERL_EPMD_PORT=%d", mapper),
		"ERL_EPMD_ADDRESS=127.0.0.1",
	}
	t.Cleanup(func() { // after the node
		end := exec.Command(tool(t, "epmd"), "-kill")
		end.Env = append(os.Environ(), fmt.Sprintf("ERL_EPMD_PORT=%d", mapper))
		if out, err := end.CombinedOutput(); err != nil {
			t.Logf("epmd -kill: %v %s", err, out)
		}
	})
	return func(m *mosquitto) *process {
		write(t, filepath.Join(folder, "plugins"), "[rabbitmq_mqtt].\n")
		if len(conf) == 0 {
			conf = []string{"mqtt.allow_anonymous = true"}
		}
		write(t, filepath.Join(folder, "rabbitmq.conf"), fmt.Sprintf("listeners.tcp = none\nmqtt.listeners.tcp.1 = 127.0.0.1:%d\n%s\n", m.port, strings.Join(conf, "\n")))
		return start(t, "rabbitmq-server", env, path)
	}
}

// TestBrokersTopicPermissions: RabbitMQ closes the connection on a subscription and on a message that topic permissions do
// not allow. Discovery of Home Assistant is not worth the bridge: what is refused is named and left out, and commands
// are answered.
func TestBrokersTopicPermissions(t *testing.T) {
	t.Parallel()
	phones := startPhones(t, 1)
	folder := t.TempDir()
	definitions := filepath.Join(folder, "definitions.json")
	write(t, definitions, `{
 "users": [{"name": "bridge", "password": "`+brokerPassword+`", "tags": []}, {"name": "test", "password": "test", "tags": []}],
 "vhosts": [{"name": "/"}],
 "permissions": [{"user": "bridge", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}, {"user": "test", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}],
 "topic_permissions": [{"user": "bridge", "vhost": "/", "exchange": "amq.topic", "write": "^snom\\..*", "read": "^snom\\..*"}]
}`)
	launch := launchRabbitMQ(t, folder, "load_definitions = "+definitions, "mqtt.allow_anonymous = false")
	m := &mosquitto{t: t, port: freePort(t), launch: launch}
	m.start()
	test := login{id: "test", user: "test", password: "test"}
	p := start(t, "snom2mqtt", append(phoneEnv(0, "kitchen", phones.urls[0]),
		"SNOM2MQTT_MQTT_URL="+m.url(), "SNOM2MQTT_MQTT_USERNAME=bridge", "SNOM2MQTT_MQTT_PASSWORD="+brokerPassword, "SNOM2MQTT_CONSOLE_LISTEN=127.0.0.1:0", "SNOM2MQTT_QUEUE_LENGTH=1000"), program(t))
	within(t, timeLimit, "the bridge is online", func() bool { return retained(t, m.addr(), "snom/bridge/state", test) == "online" })
	for _, what := range []string{"optional subscription", "homeassistant/"} {
		if len(linesWith(p.stderr(), what)) == 0 {
			t.Errorf("the log does not name %q", what)
		}
	}
	results := func() *client {
		t.Helper()
		c, err := dialMQTT(t.Context(), m.addr(), test)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.conn.Close() })
		if err := c.subscribe("snom/kitchen/result"); err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, code := range exchange(t, results(), 20, "snom/kitchen/dial") {
		if !strings.HasSuffix(code, " ok") {
			t.Errorf("answered %s, expected ok", code)
		}
	}
	// Messages to forbidden topics cost a few connections, and then it is quiet.
	connections := func() int { return len(linesWith(p.stderr(), "msg=online")) }
	within(t, 2*timeLimit, "the topics of discovery are given up, and the bridge is online", func() bool {
		log := p.stderr()
		i := slices.IndexFunc(log, func(l string) bool { return strings.Contains(l, "and those like it") })
		return i >= 0 && len(linesWith(slices.Clone(log[i:]), "msg=online")) > 0
	})
	before := connections()
	for _, code := range exchange(t, results(), 200, "snom/kitchen/dial") { // a client of its own: the other one sends no PINGREQ
		if !strings.HasSuffix(code, " ok") && !strings.HasSuffix(code, " duplicate") { // of the ids above
			t.Errorf("answered %s, expected ok or duplicate", code)
		}
	}
	if more := connections() - before; more > 0 {
		t.Errorf("%d more connections while it answered commands, expected none", more)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestBrokers runs the bridge with every broker there is, through what a broker must do for it.
func TestBrokers(t *testing.T) {
	t.Parallel()
	for _, b := range brands() {
		if b.rare && !*allBrokers {
			continue // see make test-brokers
		}
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			b.test(t)
		})
	}
}

func (b brand) test(t *testing.T) {
	t.Helper()
	phones := startPhones(t, 2, "--auth", "digest", "--username", "admin", "--password", phonePassword)
	m := &mosquitto{t: t, port: freePort(t)}
	env := append(slices.Concat(
		phoneEnv(0, "kitchen", phones.urls[0], "USERNAME=admin", "PASSWORD="+phonePassword),
		phoneEnv(1, "hall", phones.urls[1], "USERNAME=admin", "PASSWORD="+phonePassword),
	), "SNOM2MQTT_CONSOLE_LISTEN=127.0.0.1:0", "SNOM2MQTT_COMMAND_GAP=0s", "SNOM2MQTT_QUEUE_LENGTH=1000", "SNOM2MQTT_MQTT_URL="+m.url())
	if b.embedded {
		env = append(env, "SNOM2MQTT_BROKER_LISTEN="+m.addr())
	} else {
		m.launch = b.launch(t, t.TempDir())
		m.start()
	}
	keeps := func(topic, want string) {
		t.Helper()
		got := ""
		within(t, 2*timeLimit, fmt.Sprintf("the broker keeps %q on %s", want, topic), func() bool {
			got = retained(t, m.addr(), topic, login{})
			return got == want
		})
	}
	dialled := func() (all []string) {
		for _, p := range []string{"phone-1", "phone-2"} {
			for _, target := range phones.targets(p) {
				all = append(all, strings.TrimPrefix(target, "/command.htm?number="))
			}
		}
		return all
	}

	// A retained command waits for the bridge.
	if !b.embedded {
		m.publish("snom/kitchen/dial", "666", "-r")
	}
	bridge := start(t, "snom2mqtt", env, program(t))
	keeps("snom/bridge/state", "online")
	keeps("snom/kitchen/availability", "online")
	keeps("snom/hall/availability", "online")
	for _, topic := range []string{"snom/bridge/info", "snom/kitchen/status"} {
		if got := retained(t, m.addr(), topic, login{}); !strings.HasPrefix(got, "{") {
			t.Errorf("%s is %q, want it kept", topic, got)
		}
	}

	// Commands are carried out and answered, in order.
	const many = 300
	l := login{id: "tester"}
	c, err := dialMQTT(t.Context(), m.addr(), l)
	if err != nil {
		t.Fatal(err)
	}
	defer c.conn.Close()
	if err := c.subscribe("snom/+/result"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	codes := exchange(t, c, many, "snom/kitchen/dial")
	t.Logf("%d commands, one after the other in one go: %v", many, time.Since(began).Round(time.Millisecond))
	for i := range many {
		if i >= len(codes) || codes[i] != fmt.Sprintf("%d ok", i) {
			t.Fatalf("answers %q, want %d of them ok, in order", codes, many)
		}
	}
	eventually(t, "the phone tells of all commands", func() bool { return len(dialled()) >= many })
	for i, number := range dialled() {
		if number != fmt.Sprint(i) {
			t.Fatalf("dialled %q, want all in order", dialled())
		}
	}

	// A bridge that dies is offline; what comes meanwhile is never carried out.
	if !b.embedded {
		bridge.kill()
		keeps("snom/bridge/state", "offline")
		m.publish("snom/kitchen/dial", "777")
		bridge = start(t, "snom2mqtt", env, program(t))
		keeps("snom/bridge/state", "online")
	}

	// A broker that dies comes back, and knows everything again.
	if !b.embedded {
		m.kill()
		m.start()
		began := time.Now()
		keeps("snom/bridge/state", "online")
		t.Logf("online %v after the broker listened again", time.Since(began).Round(10*time.Millisecond))
		keeps("snom/hall/availability", "online")
		if c, err = dialMQTT(t.Context(), m.addr(), l); err != nil {
			t.Fatal(err)
		}
		if err := c.subscribe("snom/+/result"); err != nil {
			t.Fatal(err)
		}
		within(t, 2*timeLimit, "commands are carried out again", func() bool {
			codes := exchange(t, c, 1, "snom/hall/dial")
			return len(codes) == 1 && codes[0] == "0 ok"
		})
	}
	for _, number := range []string{"666", "777"} {
		if slices.Contains(dialled(), number) {
			t.Errorf("%s was dialled: retained, or while there was no bridge", number)
		}
	}

	// What is kept is sent to clients that subscribe by wildcard; bridges need that to see each other's claims in time.
	if got := wildcardRetained(t, m.addr()); got == b.noWildcardRetained {
		t.Errorf("what is kept is sent to a wildcard: %v; docs/brokers.md says otherwise", got)
	}
	if !b.embedded {
		b.testClaims(t, m, env, dialled)
	}

	// A bridge that is asked to end says offline.
	if code := bridge.stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if !b.embedded {
		keeps("snom/bridge/state", "offline")
	}
}

// testClaims has two instances with the same phones: one of them serves each.
func (b brand) testClaims(t *testing.T, m *mosquitto, env []string, dialled func() []string) {
	t.Helper()
	for _, name := range []string{"west", "east"} {
		start(t, name, append(slices.Clone(env), "SNOM2MQTT_BASE_TOPIC=town", "SNOM2MQTT_INSTANCE="+name), program(t))
	}
	eventually(t, "both instances are online", func() bool {
		return retained(t, m.addr(), "town/bridge/west/state", login{}) == "online" && retained(t, m.addr(), "town/bridge/east/state", login{}) == "online"
	})
	eventually(t, "one instance has the kitchen, and the other knows", func() bool {
		foreign := 0
		for _, name := range []string{"west", "east"} {
			if strings.Contains(retained(t, m.addr(), "town/bridge/"+name+"/info", login{}), `"foreign":{"hall"`) {
				foreign++
			}
		}
		return foreign == 1
	})
	before := len(dialled())
	m.publish("town/all/dial", "888")
	eventually(t, "both phones dial", func() bool { return len(dialled()) >= before+2 })
	if got := len(dialled()) - before; got != 2 {
		t.Errorf("%d calls of two phones", got)
	}
}

// exchange publishes n commands on topic, and returns the ids and codes of the answers in order.
func exchange(t *testing.T, c *client, n int, topic string) (codes []string) {
	t.Helper()
	for i := range n {
		if err := c.write(publishPacket(uint16(i+1), topic, fmt.Appendf(nil, `{"id":"%d","number":"%d"}`, i, i), false)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.conn.SetReadDeadline(time.Now().Add(timeLimit)); err != nil {
		t.Fatal(err)
	}
	for len(codes) < n {
		p, err := c.read()
		if err != nil {
			t.Errorf("after %d answers: %v", len(codes), err)
			return codes
		}
		if p.kind != publish {
			continue
		}
		s, err := readPublish(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.write(packet{kind: puback, body: []byte{byte(s.id >> 8), byte(s.id)}}); err != nil {
			t.Fatal(err)
		}
		r := decode[result](t, string(s.payload))
		codes = append(codes, r.ID+" "+r.Code)
	}
	return codes
}

// wildcardRetained reports whether a subscription by wildcard is sent what the broker keeps.
func wildcardRetained(t *testing.T, addr string) bool {
	t.Helper()
	c, err := dialMQTT(t.Context(), addr, login{id: "wildcard"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.conn.Close()
	if err := c.write(publishPacket(1, "wild/card", []byte("kept"), true)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.read(); err != nil { // PUBACK
		t.Fatal(err)
	}
	body := append([]byte{0, 2}, text("wild/+")...)
	if err := c.write(packet{kind: subscribe, flags: 2, body: append(body, 0)}); err != nil {
		t.Fatal(err)
	}
	if err := c.conn.SetReadDeadline(time.Now().Add(3 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for {
		p, err := c.read()
		if err != nil {
			return false
		}
		if p.kind == publish {
			return true
		}
	}
}
