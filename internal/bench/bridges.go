package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// What is measured. The first eight are floors, the next two are close to one.
const (
	systemFloor   = "floor"         // what a command costs with the libraries: the sums of the next three
	systemPOneWay = "one way, Paho" // through the broker to Paho
	systemPEcho   = "echo, Paho"    // through the broker to another process with Paho and back
	systemGoHTTP  = "request, Go"   // a request on a fresh connection with net/http, the challenge known
	systemBare    = "bare floor"    // what it costs with nothing but sockets: the sums of the next three
	systemEcho    = "echo"          // through the broker to another process and back
	systemOneWay  = "one way"       // through the broker
	systemHTTP    = "request"       // a request on a fresh connection, the challenge known
	systemLeast   = "least"         // the least bridge there can be
	systemPLeast  = "least, Paho"   // the same with the libraries
	systemNotify  = "bare NOTIFY"   // to a phone that is driven by SIP
	systemTwoHTTP = "message and two HTTP exchanges"
	systemOurs    = "snom2mqtt"
	systemOther   = "other" // another build of snom2mqtt, to compare
	systemPython  = "Python"
	systemNodeRED = "Node-RED"
)

// nodeREDVersion is the newest that Node.js 20 runs.
const nodeREDVersion = "4.1.15"

// rivals are the bridges of others: a Python program and a Node-RED flow.
//
//go:embed rivals
var rivals embed.FS

// installed says where the rivals were installed.
type installed struct{ dir string }

func (i installed) python() string { return filepath.Join(i.dir, "python", "bin", "python") }
func (i installed) nodeRED() string {
	return filepath.Join(i.dir, "node_modules", "node-red", "red.js")
}

// has reports whether a system can be run.
func (i installed) has(system string) bool {
	var path string
	switch system {
	case systemPython:
		path = i.python()
	case systemNodeRED:
		path = i.nodeRED()
	default:
		return true
	}
	_, err := os.Stat(path)
	return err == nil
}

// install fetches the rivals that are not there, by the ordinary tools of their worlds.
func (i installed) install(ctx context.Context) error {
	if err := os.MkdirAll(i.dir, 0o755); err != nil {
		return err
	}
	run := func(name string, args ...string) error {
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
		}
		return nil
	}
	python := func() error {
		if i.has(systemPython) {
			return nil
		}
		venv := filepath.Join(i.dir, "python")
		if err := run("python3", "-m", "venv", venv); err != nil {
			return err
		}
		if err := run(filepath.Join(venv, "bin", "pip"), "install", "--quiet", "paho-mqtt", "aiohttp"); err != nil {
			return errors.Join(err, os.RemoveAll(venv)) // half of it is not it
		}
		return nil
	}
	nodeRED := func() error {
		if i.has(systemNodeRED) {
			return nil
		}
		return run("npm", "install", "--prefix", i.dir, "--no-audit", "--no-fund", "--omit=dev", "node-red@"+nodeREDVersion)
	}
	return errors.Join(python(), nodeRED())
}

// base is the beginning of a system's topics.
func base(system string) string {
	switch system {
	case systemOurs:
		return "ours"
	case systemNodeRED:
		return "nodered"
	case systemPEcho:
		return "pecho"
	case systemPLeast:
		return "pleast"
	}
	return strings.ToLower(system)
}

// A bridgeSetup is what a bridge is started with.
type bridgeSetup struct {
	dir       string // for its files
	self      string // the path of this program
	program   string // snom2mqtt
	other     string // another build of it
	rivals    installed
	broker    string // its address
	embeds    bool   // snom2mqtt is the broker, at that address
	port      int    // of the phones
	phones    int
	receivers map[string]string // the address at which a system hears phones, if it does
	env       []string          // further settings of snom2mqtt
}

// token is what phones show when they report events.
const token = "bench-bench-bench-bench"

// start runs a system.
func (s bridgeSetup) start(system string) (*process, error) {
	switch system {
	case systemOurs:
		return s.startOurs("ours", s.program, s.receivers[system])
	case systemOther:
		return s.startOurs("other", s.other, s.receivers[system])
	case systemEcho:
		return startProcess(s.dir, "echo", nil, s.self, "-be", "echo", "-broker", s.broker)
	case systemPEcho:
		return startProcess(s.dir, "pecho", nil, s.self, "-be", "pecho", "-broker", s.broker)
	case systemLeast:
		return startProcess(s.dir, "least", nil, s.self, "-be", "least", "-broker", s.broker, "-port", fmt.Sprint(s.port), "-hears", s.receivers[system])
	case systemPLeast:
		return startProcess(s.dir, "pleast", nil, s.self, "-be", "pleast", "-broker", s.broker, "-port", fmt.Sprint(s.port))
	}
	if err := s.unpack(); err != nil {
		return nil, err
	}
	if system == systemPython {
		return startProcess(s.dir, "python", nil, s.rivals.python(), filepath.Join(s.dir, "bridge.py"), s.broker, filepath.Join(s.dir, "phones.json"))
	}
	host, port, err := net.SplitHostPort(s.broker)
	if err != nil {
		return nil, err
	}
	_, ui, err := net.SplitHostPort(freeAddr())
	if err != nil {
		return nil, err
	}
	return startProcess(s.dir, "nodered", []string{
		"BROKER_HOST=" + host, "BROKER_PORT=" + port, "UI_PORT=" + ui, "PHONES=" + filepath.Join(s.dir, "phones.json"),
	}, "node", s.rivals.nodeRED(), "--userDir", s.dir, "--settings", filepath.Join(s.dir, "settings.js"))
}

// unpack writes the files of the rivals, and the phones as they read them.
func (s bridgeSetup) unpack() error {
	files, err := rivals.ReadDir("rivals")
	if err != nil {
		return err
	}
	for _, f := range files {
		data, err := rivals.ReadFile("rivals/" + f.Name())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(s.dir, f.Name()), data, 0o600); err != nil {
			return err
		}
	}
	phones := map[string]string{}
	for i := range s.phones {
		phones[phoneName(i)] = "http://" + phoneAddr(i, s.port)
	}
	data, err := json.Marshal(phones)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.dir, "phones.json"), data, 0o600)
}

// startOurs runs snom2mqtt with the settings of its users, but for the pause between two commands and what has nothing
// to do with commands.
func (s bridgeSetup) startOurs(base, program, hears string) (*process, error) {
	var file strings.Builder
	file.WriteString("phones:\n")
	for i := range s.phones {
		fmt.Fprintf(&file, "  %s: {url: http://%s, username: %s, password: %s, token: %s}\n", phoneName(i), phoneAddr(i, s.port), username, password, token)
	}
	path := filepath.Join(s.dir, "phones.yaml")
	if err := os.WriteFile(path, []byte(file.String()), 0o600); err != nil {
		return nil, err
	}
	env := []string{
		"SNOM2MQTT_PHONES_FILE=" + path,
		"SNOM2MQTT_BASE_TOPIC=" + base,
		"SNOM2MQTT_COMMAND_GAP=0s",
		"SNOM2MQTT_HOMEASSISTANT=false",
		"SNOM2MQTT_CONSOLE_LISTEN=off",
	}
	if hears != "" {
		env = append(env, "SNOM2MQTT_PHONE_LISTEN="+hears)
	}
	if s.embeds {
		env = append(env, "SNOM2MQTT_BROKER_LISTEN="+s.broker)
	} else {
		env = append(env, "SNOM2MQTT_MQTT_URL=tcp://"+s.broker)
	}
	return startProcess(s.dir, base, append(env, s.env...), program, "run")
}
