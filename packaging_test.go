package snom2mqtt_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/config"
	"github.com/snom2mqtt/snom2mqtt/homeassistant"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// What is packed around the program must fit it. These tests read the files; `make test-image` builds
// and runs them.

func read(tb testing.TB, name string) string {
	tb.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

// TestSettingsNamed: whatever names a setting, names one that there is.
func TestSettingsNamed(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, s := range config.Settings() {
		known[s.Name] = true
		if s.Secret {
			known[s.Name+"_FILE"] = true
		}
	}
	name := regexp.MustCompile(`SNOM2MQTT_[A-Z0-9_]*[A-Z0-9]`)
	phone := regexp.MustCompile(`_PHONE_[0-9]+_`)
	files, err := filepath.Glob("examples/*/*")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, "packaging/environment", "packaging/phones.yml", "Dockerfile", "docker-compose.yml", "docs/phone-setup.md", "scripts/test-image.sh")
	for _, f := range files {
		if s, err := os.Stat(f); err == nil && s.IsDir() {
			continue
		}
		for _, got := range name.FindAllString(read(t, f), -1) {
			if !known[phone.ReplaceAllString(got, "_PHONE_<n>_")] {
				t.Errorf("%s names %s, which is no setting", f, got)
			}
		}
	}
}

type compose struct {
	Volumes  map[string]any
	Services map[string]struct {
		Image    string
		Stop     string `yaml:"stop_grace_period"`
		Build    struct{ Context string }
		Profiles []string
		Ports    []string
		Volumes  []string
		Command  []string
	}
}

func readCompose(tb testing.TB) compose {
	tb.Helper()
	var c compose
	if err := yaml.Unmarshal([]byte(read(tb, "docker-compose.yml")), &c); err != nil {
		tb.Fatal(err)
	}
	return c
}

// TestCompose: the files it mounts are there, images have a version, ports are this machine's alone,
// and the simulated phones stay out of the way of the real ones.
func TestCompose(t *testing.T) {
	t.Parallel()
	c := readCompose(t)
	for _, want := range []string{"mosquitto", "snom2mqtt", "phones"} {
		if _, ok := c.Services[want]; !ok {
			t.Errorf("no service %s", want)
		}
	}
	for name, s := range c.Services {
		if _, tag, ok := strings.Cut(s.Image, ":"); !ok || tag == "latest" {
			t.Errorf("%s: image %q has no version", name, s.Image)
		}
		if s.Build.Context != "" {
			read(t, filepath.Join(s.Build.Context, "Dockerfile"))
		}
		for _, v := range s.Volumes {
			source, rest, _ := strings.Cut(unsetDefault(v), ":")
			if strings.HasPrefix(rest, "/mosquitto/data") && strings.Contains(read(t, "examples/mosquitto/mosquitto.conf"), "\npersistence_location /mosquitto/data/\n") {
				continue // a volume of Mosquitto's image
			}
			if _, named := c.Volumes[source]; named {
				if !strings.Contains(read(t, "Dockerfile"), "--chown=65532:65532 /out/state "+rest+"\nENV SNOM2MQTT_STATE_DIRECTORY="+rest+"\n") {
					t.Errorf("%s: the image does not make %s for its user, or does not use it", name, rest)
				}
				continue
			}
			if _, err := os.Stat(source); err != nil {
				t.Errorf("%s mounts %s: %v", name, v, err)
			}
			if !strings.HasSuffix(rest, ":ro") {
				t.Errorf("%s may write into %s", name, source)
			}
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s: port %s is open to others", name, p)
			}
		}
		if demo := slices.Contains(s.Profiles, "demo"); demo != (name == "phones") {
			t.Errorf("%s: in the profile demo: %v", name, demo)
		}
	}
}

// TestApps: the app of the edge channel is that of the releases with another image.
func TestApps(t *testing.T) {
	t.Parallel()
	app := func(name string) (m map[string]any) {
		if err := yaml.Unmarshal([]byte(read(t, "examples/"+name+"/config.yaml")), &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	release, edge := app("homeassistant-app"), app("homeassistant-app-edge")
	if got := [...]any{release["image"], edge["image"], edge["version"], edge["stage"]}; got[0] != got[1] || got[2] != "edge" || got[3] != "experimental" {
		t.Errorf("images and version: %q", got)
	}
	for _, key := range []string{"name", "version", "slug", "stage", "description", "url"} {
		delete(release, key)
		delete(edge, key)
	}
	if !reflect.DeepEqual(release, edge) {
		t.Errorf("the two apps differ:\n%v\n%v", release, edge)
	}
	for _, file := range []string{"translations/en.yaml", "icon.png", "apparmor.txt"} {
		if a, b := read(t, "examples/homeassistant-app/"+file), read(t, "examples/homeassistant-app-edge/"+file); a != b {
			t.Errorf("%s of the two apps differ", file)
		}
	}
	if workflow := read(t, ".github/workflows/image.yml"); !strings.Contains(workflow, "context: examples/homeassistant-app\n") {
		t.Error("no workflow builds the image of the app")
	}
}

// TestPackagedPhones: the phones file of the packages is right but for the password, which systemd passes.
func TestPackagedPhones(t *testing.T) {
	t.Parallel()
	text := strings.Replace(read(t, "packaging/phones.yml"), "password_file: /run/credentials/snom2mqtt.service/kitchen", "password: secret", 1)
	file := filepath.Join(t.TempDir(), "phones.yml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := config.Load(t.Context(), []string{"SNOM2MQTT_PHONES_FILE=" + file}); err != nil || len(c.Roster.Phones) != 2 || len(c.Warnings) > 0 {
		t.Errorf("%v, %v", err, c.Warnings)
	}
}

// TestTimeToStop: whatever runs the program gives it more time to end than it takes.
func TestTimeToStop(t *testing.T) {
	t.Parallel()
	const most = 8 * time.Second // see stopTimeout in cmd/snom2mqtt
	for name, s := range readCompose(t).Services {
		if s.Build.Context == "" {
			continue
		}
		if d, err := time.ParseDuration(s.Stop); err != nil || d <= most {
			t.Errorf("docker-compose.yml: stop_grace_period of %s is %q, expected more than %v", name, s.Stop, most)
		}
	}
	for file, setting := range map[string]string{
		"examples/systemd/snom2mqtt.service":     `(?m)^TimeoutStopSec=([0-9]+)$`,
		"examples/kubernetes/snom2mqtt.yml":      `(?m)^ *terminationGracePeriodSeconds: ([0-9]+)`,
		"examples/homeassistant-app/config.yaml": `(?m)^timeout: ([0-9]+)`,
	} {
		m := regexp.MustCompile(setting).FindStringSubmatch(read(t, file))
		if m == nil {
			t.Errorf("%s has no %s", file, setting)
			continue
		}
		if s, err := strconv.Atoi(m[1]); err != nil || time.Duration(s)*time.Second <= most {
			t.Errorf("%s: %s s to stop, expected more than %v", file, m[1], most)
		}
	}
}

// unsetDefault returns text with ${NAME:-default} as compose puts it where NAME is not set.
func unsetDefault(text string) string {
	return regexp.MustCompile(`\$\{[A-Z0-9_]+:-([^}]*)\}`).ReplaceAllString(text, "$1")
}

// TestComposePhones: the phones file of the demo is right, and names the phones that the demo simulates.
func TestComposePhones(t *testing.T) {
	t.Parallel()
	c, err := config.Load(t.Context(), []string{"SNOM2MQTT_PHONES_FILE=examples/demo/phones.yml"})
	if err != nil {
		t.Fatal(err)
	}
	command := readCompose(t).Services["phones"].Command
	for _, p := range c.Roster.Phones {
		if got, want := p.URL[:len(p.URL)-1], "http://phones:810"; got != want {
			t.Errorf("%s is at %s, expected %s and a digit", p.Name, p.URL, want)
		}
		for _, want := range []string{"--listen=:8100", "--username=" + p.Username, "--password=" + p.Password.Reveal(), "--model=" + p.Model.Name()} {
			if !slices.Contains(command, want) {
				t.Errorf("%s needs %s of %q", p.Name, want, command)
			}
		}
	}
	if got, want := len(c.Roster.Phones), 2; got != want || !slices.Contains(command, "--count=2") {
		t.Errorf("%d phones, expected %d, as many as %q", got, want, command)
	}
}

// TestDockerfile: an empty base, a user without rights, and the program checks its own health.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	text := read(t, "Dockerfile")
	_, last, ok := strings.Cut(text, "\nFROM scratch\n")
	if !ok || strings.Contains(last, "\nFROM ") || strings.Contains(last, "\nRUN ") {
		t.Error("the last stage is not FROM scratch")
	}
	for _, want := range []string{
		`(?m)^USER [1-9][0-9]*:[1-9][0-9]*$`,
		`(?m)^ENTRYPOINT \["/snom2mqtt"\]$`,
		`(?m)^HEALTHCHECK .* CMD \["/snom2mqtt", "healthcheck"\]$`,
	} {
		if !regexp.MustCompile(want).MatchString(last) {
			t.Errorf("no line %s in the last stage", want)
		}
	}
	image := regexp.MustCompile(`ARG GO_IMAGE=(.+)`).FindStringSubmatch(text)
	if image == nil || !strings.Contains(read(t, "docker-compose.yml"), "${GO_IMAGE:-"+image[1]+"}") {
		t.Errorf("docker-compose.yml builds with another image than %q", image)
	}
	module := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "go.mod"))
	if image != nil && !strings.HasSuffix(image[1], ":"+module[1]) {
		t.Errorf("the image is built with %s, go.mod says %s", image[1], module[1])
	}
}

// TestACL: the bridge may do what it must, no other user may write its topics, and each command has a user.
func TestACL(t *testing.T) {
	t.Parallel()
	const bridge = "snom2mqtt"
	rules := readACL(t)
	fill := strings.NewReplacer("<base>", "snom", "<phone>", "hall", "<door>", "front", "<group>", "all", "<action>", "ping", "<command>", "dial")
	for _, doc := range mqtt.Topics() {
		topic := fill.Replace(doc.Pattern)
		published := doc.Retained != "must not be" // what must not be retained is what others send
		if !published || strings.HasSuffix(topic, "/loopback") {
			if !rules.allow(bridge, "read", topic) {
				t.Errorf("%s may not read %s", bridge, topic)
			}
		}
		if !published {
			continue
		}
		for _, user := range rules.users() {
			if got, want := rules.allow(user, "write", topic), user == bridge; got != want {
				t.Errorf("%s may write %s: %v, expected %v", user, topic, got, want)
			}
		}
	}
	for _, verb := range append(snom.Verbs(), "command") {
		topic := "snom/hall/" + string(verb)
		automation, admin := rules.allow("automation", "write", topic), rules.allow("admin", "write", topic)
		if !automation && !admin {
			t.Errorf("no user may write %s", topic)
		}
		if rules.allow("homeassistant", "write", topic) != (verb != "command") {
			t.Errorf("homeassistant may write %s: %v", topic, verb == "command")
		}
	}
	homeAssistantMay(t, rules)
	for _, topic := range []string{"snom/hall/reset", "snom/hall/firmware", "snom/hall/reboot", "snom/hall/command", "snom/bridge/request/reload"} {
		if rules.allow("automation", "write", topic) {
			t.Errorf("automation may write %s", topic)
		}
	}
}

// homeAssistantMay checks that Home Assistant may use every topic in every document that it gets.
func homeAssistantMay(t *testing.T, rules acl) {
	t.Helper()
	b := homeassistant.Bridge{Tree: mqtt.Tree{Base: "snom"}, Prefix: "homeassistant"}
	documents := map[string]homeassistant.Document{b.ID(): b.Document()}
	for _, m := range append(snom.Models(), snom.Model{}) {
		p := homeassistant.Phone{Name: "hall", Model: m.Name(), Allow: "firmware reset", Events: true}
		documents[m.Name()] = b.Phone(p)
	}
	may := func(access, topic, what string) {
		if topic != "" && !rules.allow("homeassistant", access, topic) {
			t.Errorf("homeassistant may not %s %s (%s)", access, topic, what)
		}
	}
	for id, d := range documents {
		may("read", b.Topic(id), "its document")
		may("write", b.Topic(id), "its document, when the device is deleted")
		for _, a := range d.Availability {
			may("read", a.Topic, "availability")
		}
		for key, c := range d.Components {
			may("read", c.StateTopic, key)
			may("read", c.AttributesTopic, key)
			may("write", c.CommandTopic, key)
		}
	}
}

type aclRule struct{ user, access, filter string }

type acl []aclRule

func readACL(tb testing.TB) acl {
	tb.Helper()
	var list acl
	user := ""
	lines := bufio.NewScanner(strings.NewReader(read(tb, "examples/mosquitto/acl")))
	for lines.Scan() {
		switch f := strings.Fields(lines.Text()); {
		case len(f) == 0 || f[0][0] == '#':
		case f[0] == "user" && len(f) == 2:
			user = f[1]
		case f[0] == "topic" && len(f) == 3 && user != "":
			list = append(list, aclRule{user, f[1], f[2]})
		default:
			tb.Errorf("examples/mosquitto/acl: a line is not understood: %q", lines.Text())
		}
	}
	return list
}

func (a acl) users() []string {
	var names []string
	for _, r := range a {
		if !slices.Contains(names, r.user) {
			names = append(names, r.user)
		}
	}
	return names
}

func (a acl) allow(user, access, topic string) bool {
	return slices.ContainsFunc(a, func(r aclRule) bool {
		return r.user == user && r.access == access && matches(r.filter, topic)
	})
}

// matches says whether topic fits filter, which has levels + and #.
func matches(filter, topic string) bool {
	levels := strings.Split(topic, "/")
	for i, f := range strings.Split(filter, "/") {
		switch {
		case f == "#":
			return true
		case i >= len(levels) || f != "+" && f != levels[i]:
			return false
		}
	}
	return strings.Count(filter, "/") == len(levels)-1
}

// TestPhoneSetup: what owners read names codes that there are, and every model that will not do or may not.
func TestPhoneSetup(t *testing.T) {
	t.Parallel()
	text := read(t, "docs/phone-setup.md")
	_, table, _ := strings.Cut(text, "\n| code | what happened | what to do |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	codes := regexp.MustCompile("(?m)^\\| `(.+?)` \\|").FindAllStringSubmatch(table, -1)
	if len(codes) == 0 {
		t.Error("no table of codes")
	}
	for _, c := range codes {
		if !slices.ContainsFunc(bridge.Codes(), func(d bridge.CodeDoc) bool { return string(d.Code) == c[1] }) {
			t.Errorf("%s is no code", c[1])
		}
	}
	for _, m := range snom.Models() {
		dect := strings.HasPrefix(m.Name(), "M") && m.RemoteControl() == snom.No // named from M100 to M900
		if m.RemoteControl() != snom.Yes && !dect && !strings.Contains(text, m.Name()) {
			t.Errorf("%s is not named, and its remote control is %s", m.Name(), m.RemoteControl())
		}
	}
}

// TestReadmeOldCompose: the command that README.md gives for Docker Compose before 2.24, which does not know env_file with
// path and required, makes of docker-compose.yml one that it does, and changes nothing else.
func TestReadmeOldCompose(t *testing.T) {
	t.Parallel()
	command := regexp.MustCompile(`(?m)^ *touch \.env && (sed .*) docker-compose\.yml$`).FindStringSubmatch(read(t, "README.md"))
	if command == nil {
		t.Fatal("README.md has no command for old versions of Compose")
	}
	path := filepath.Join(t.TempDir(), "docker-compose.yml")
	before := read(t, "docker-compose.yml")
	if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("sh", "-c", command[1]+" "+path).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command[1], err, out)
	}
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const old = "    env_file:\n      - path: .env\n        required: false\n"
	if want := strings.Replace(before, old, "    env_file:\n      - .env\n", 1); string(after) != want || want == before {
		t.Errorf("docker-compose.yml becomes\n%s", after)
	}
}

// TestReadmeSystemd: the settings that README.md writes for systemd are valid, and what it enables is in the unit.
func TestReadmeSystemd(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	for _, m := range regexp.MustCompile(`(?ms)^sudo install -m \d+ /dev/stdin (\S+) <<'END'\n(.*?)^END$`).FindAllStringSubmatch(read(t, "README.md"), -1) {
		files[m[1]] = m[2]
	}
	dir := t.TempDir()
	credential := filepath.Join(dir, "kitchen")
	phones := strings.ReplaceAll(files["/etc/snom2mqtt/phones.yml"], "/run/credentials/snom2mqtt.service/kitchen", credential)
	for name, text := range map[string]string{credential: files["/etc/snom2mqtt/kitchen"], filepath.Join(dir, "phones.yml"): phones} {
		if text == "" {
			t.Fatalf("README.md does not write %s", name)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	environ := strings.Fields(strings.ReplaceAll(files["/etc/snom2mqtt/environment"], "/etc/snom2mqtt/phones.yml", filepath.Join(dir, "phones.yml")))
	c, err := config.Load(t.Context(), environ)
	if err != nil || len(c.Warnings) > 0 || c.Roster.Phones[0].Password.Reveal() != "secret" {
		t.Errorf("%v: %v, %v", environ, err, c.Warnings)
	}
	if unit := read(t, "examples/systemd/snom2mqtt.service"); !strings.Contains(unit, "\n#LoadCredential=kitchen:/etc/snom2mqtt/kitchen\n") {
		t.Error("the unit does not have the credential that README.md enables")
	}
}
