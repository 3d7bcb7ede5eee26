package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// nodeREDReleases are what scripts/node-red.sh installs: one for the Node.js of most systems, and the newest.
func nodeREDReleases() []string { return []string{"4.1.15", "5.0.7"} }

// A flowNode is a node of a Node-RED flow.
type flowNode map[string]any

func (n flowNode) text(key string) string {
	s, _ := n[key].(string) // what is no text is none
	return s
}

// flowFiles are the examples.
func flowFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../examples/node-red/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no flows: %v", err)
	}
	return files
}

// readFlows reads example flows as they are. The broker, which all of them share, is there once.
func readFlows(t *testing.T, files ...string) (nodes []flowNode) {
	t.Helper()
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range decode[[]flowNode](t, string(text)) {
			i := slices.IndexFunc(nodes, func(o flowNode) bool { return o.text("id") == n.text("id") })
			switch {
			case i < 0:
				nodes = append(nodes, n)
			case n.text("type") != "mqtt-broker" || fmt.Sprint(n) != fmt.Sprint(nodes[i]):
				t.Errorf("%s: %s has the id of another node", file, n.text("name"))
			}
		}
	}
	return nodes
}

// A nodeRED is a real Node-RED in a process of its own.
type nodeRED struct {
	*process
	url   string
	nodes []flowNode
}

// startNodeRED runs a release of Node-RED with these flows, imported through its admin API, on the broker m.
func startNodeRED(t *testing.T, release string, m *mosquitto, files ...string) *nodeRED {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	installed := filepath.Join(cache, "snom2mqtt-test", "node-red-"+release)
	node := filepath.Join(installed, "node")
	if _, err := os.Stat(node); err != nil {
		missing(t, "Node-RED "+release)
	}
	dir, port := t.TempDir(), freePort(t)
	settings := fmt.Sprintf(`module.exports = {
	uiPort: %d, uiHost: "127.0.0.1", flowFile: "flows.json", credentialSecret: false,
	telemetry: { enabled: false, updateNotification: false }, editorTheme: { tours: false },
	externalModules: { palette: { allowInstall: false } }, diagnostics: { enabled: false },
}`, port)
	if err := os.WriteFile(filepath.Join(dir, "settings.js"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	installFlows(t, dir)
	n := &nodeRED{
		process: start(t, "node-red", nil, node, filepath.Join(installed, "node_modules", "node-red", "red.js"), "-u", dir),
		url:     fmt.Sprintf("http://127.0.0.1:%d", port),
		nodes:   readFlows(t, files...),
	}
	n.says("Server now running")
	n.says("Started flows") // none so far
	for _, node := range n.nodes {
		if node.text("type") == "mqtt-broker" {
			node["port"] = fmt.Sprint(m.port)
		}
	}
	n.ask(http.MethodPost, "/flows", map[string]any{"flows": n.nodes})
	n.says("Connected to broker")
	for _, node := range n.nodes {
		if node.text("type") == "mqtt in" {
			m.until("Node-RED subscribes to "+node.text("topic"), func(_, log []string) bool {
				return slices.ContainsFunc(log, func(l string) bool {
					return strings.Contains(l, ": nodered") && strings.HasSuffix(l, " 1 "+node.text("topic"))
				})
			})
		}
	}
	return n
}

// says waits until Node-RED has logged text.
func (n *nodeRED) says(text string) {
	n.t.Helper()
	n.until(text, func(out, _ []string) bool {
		return slices.ContainsFunc(out, func(l string) bool { return strings.Contains(l, text) })
	})
}

// ask is one request to the admin API.
func (n *nodeRED) ask(method, path string, body any) []byte {
	n.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		n.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(n.t.Context(), method, n.url+path, bytes.NewReader(b))
	if err != nil {
		n.t.Fatal(err)
	}
	r.Header = http.Header{
		"Content-Type": {"application/json"}, "Accept": {"application/json"}, "Node-Red-Api-Version": {"v2"},
		"Node-Red-Deployment-Type": {"flows"}, // those that changed
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		n.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		n.t.Fatalf("%s %s: %s %s %v", method, path, resp.Status, answer, err)
	}
	return answer
}

// press presses the button of the inject node called name, giving its message these properties.
func (n *nodeRED) press(name string, properties ...map[string]string) {
	n.t.Helper()
	i := slices.IndexFunc(n.nodes, func(o flowNode) bool { return o.text("type") == "inject" && o.text("name") == name })
	if i < 0 {
		n.t.Fatalf("no button %q", name)
	}
	body := map[string]any{}
	if properties != nil {
		body["__user_inject_props__"] = properties
	}
	n.ask(http.MethodPost, "/inject/"+n.nodes[i].text("id"), body)
}

// did waits until a phone has carried out exactly this, in order.
func (p *phones) did(phone string, want ...string) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("%s does %q", phone, want), func() bool { return len(p.targets(phone)) >= len(want) })
	if got := p.targets(phone); !slices.Equal(got, want) {
		p.t.Errorf("%s did %q, want %q", phone, got, want)
	}
}

// reportTo makes a simulated phone report to the bridge, which calls it phone, all that happens at it.
func (p *phones) reportTo(simulated, base, phone, token string) {
	p.t.Helper()
	for _, u := range actionurl.URLs(base, phone, token) {
		p.play(simulated + "/set?" + url.Values{"name": {u.Setting}, "value": {u.URL}}.Encode())
	}
}

// TestNodeRED imports every example flow into a real Node-RED and plays it: buttons, the broker and
// the phones on one side, what reaches phones and the broker on the other.
func TestNodeRED(t *testing.T) {
	t.Parallel()
	for _, release := range nodeREDReleases() {
		t.Run(release, func(t *testing.T) { playFlows(t, release) })
	}
}

func playFlows(t *testing.T, release string) {
	t.Helper()
	t.Parallel()
	const token = "no-secret-in-a-test"
	m := startMosquitto(t)
	p := startPhones(t, 2, "--multicast", "lo", "--auth", "digest", "--username", "admin", "--password", "secret")
	listen := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	file := filepath.Join(t.TempDir(), "phones.yml")
	phone := "  %s: {url: %q, username: admin, password: secret, token: " + token + "}\n"
	text := fmt.Sprintf("phones:\n"+phone+phone+"paging:\n  all: {address: \"239.255.10.4:%d\"}\n"+intercomDoor(t), "kitchen", p.urls[0], "hall", p.urls[1], freePorts(t, 2))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b := m.startBridge(t, append([]string{"SNOM2MQTT_PHONES_FILE=" + file, "SNOM2MQTT_PAGING_INTERFACE=lo", "SNOM2MQTT_IMAGE_HOSTS=127.0.0.1"},
		"SNOM2MQTT_PHONE_LISTEN="+listen, "SNOM2MQTT_AVAILABILITY_INTERVAL=1s", "SNOM2MQTT_COMMAND_GAP=1ms")...)
	p.reportTo("phone-1", "http://"+listen, "kitchen", token)
	n := startNodeRED(t, release, m, flowFiles(t)...)

	n.hasOnlyStockNodes()
	n.offersFlows()
	playDoorbell(t, m, p, n)
	playOnAir(t, m, p)
	playAnnouncements(t, m, p, n) // before: a phone in a call plays none
	playMenu(t, m, p, n)
	playNumbers(t, p, n)
	playIntercom(t, m, p, n)
	playDoorCode(t, m, p, n, b)
	playCommand(t, m, n)
	for _, line := range n.stdout() {
		if strings.Contains(line, "[error]") && !strings.Contains(line, "must have the type string") {
			t.Errorf("Node-RED says: %s", line)
		}
	}
}

// hasOnlyStockNodes looks whether a Node-RED without any addition knows every node, and whether
// every flow explains itself.
func (n *nodeRED) hasOnlyStockNodes() {
	n.t.Helper()
	var stock []string
	for _, set := range decode[[]struct {
		Module  string   `json:"module"`
		Types   []string `json:"types"`
		Enabled bool     `json:"enabled"`
	}](n.t, string(n.ask(http.MethodGet, "/nodes", struct{}{}))) {
		if set.Module == "node-red" && set.Enabled {
			stock = append(stock, set.Types...)
		}
	}
	for _, node := range n.nodes {
		if typ := node.text("type"); typ != "tab" && typ != "subflow" && !strings.HasPrefix(typ, "subflow:") && !slices.Contains(stock, typ) {
			n.t.Errorf("%s: %q is no stock node", node.text("name"), typ)
		}
	}
	for _, tab := range n.nodes {
		if tab.text("type") != "tab" {
			continue
		}
		if !slices.ContainsFunc(n.nodes, func(c flowNode) bool {
			return c.text("type") == "comment" && c.text("z") == tab.text("id") && len(c.text("info")) > 200
		}) {
			n.t.Errorf("the flow %q does not explain itself", tab.text("label"))
		}
	}
}

// playDoorbell: one phone chimes and another one calls the door; once, however often the bell is
// pressed.
func playDoorbell(t *testing.T, m *mosquitto, p *phones, n *nodeRED) {
	t.Helper()
	const call, chime = "/command.htm?number=10", "/line_login.htm?PLAY_RINGER:3=+Ringer"
	n.press("Press the bell")
	m.publish("home/doorbell", "pressed")
	n.press("Press the bell")
	p.did("phone-1", call)
	p.did("phone-2", chime, chime)

	// The door station calls a phone: what it needs is the chime, and no call.
	p.play("phone-1/ring?number=11") // another caller
	p.play("phone-1/remote-hangup")
	p.play("phone-1/ring?number=10")
	p.did("phone-2", chime, chime, chime, chime)
	p.play("phone-1/remote-hangup")

	p.play("phone-1/fault?value=500")
	n.press("Press the bell", map[string]string{"p": "reset", "v": "true", "vt": "bool"}) // as if ten seconds had gone
	m.publish("home/doorbell", "pressed")
	n.says("phone_error: ")
	p.did("phone-2", chime, chime, chime, chime, chime, chime)
	p.play("phone-1/fault?value=none")
	p.did("phone-1", call)
	p.play("phone-1/hangup")
}

// playOnAir: the lamp is on during a call, and is switched once.
func playOnAir(t *testing.T, m *mosquitto, p *phones) {
	t.Helper()
	const lamp = "home/kitchen/on-air"
	w := m.watch(lamp)
	w.until("the lamp is off, from before", func(out, _ []string) bool {
		all := read(t, out)
		return len(all) > 0 && all[len(all)-1].Payload == "OFF"
	})
	before := len(w.messages())
	var want []string
	for _, step := range []struct{ action, lamp string }{
		{"ring?number=11", ""},
		{"answer", "ON"},
		{"hold", ""},
		{"ring?number=13", ""}, // what rings counts more than what is held
		{"reject", ""},
		{"unhold", ""},
		{"hangup", "OFF"},
		{"ring?number=12", ""},
		{"answer", "ON"},
		{"fault?value=refuse-connections", "OFF"},
		{"fault?value=none", "ON"},
		{"remote-hangup", "OFF"},
	} {
		p.play("phone-1/" + step.action)
		if step.lamp == "" {
			continue
		}
		want = append(want, step.lamp)
		var got []string
		for _, msg := range w.on(lamp, before+len(want))[before:] {
			got = append(got, msg.Payload)
		}
		if !slices.Equal(got, want) {
			t.Errorf("after %q the lamp was %q, want %q", step.action, got, want)
		}
	}
}

// playMenu: the menu is on the phone's display, and what is chosen there is done, once; the choices of other menus are not.
func playMenu(t *testing.T, m *mosquitto, p *phones, n *nodeRED) {
	t.Helper()
	w := m.watch("home/gate", "-t", "home/lights")
	shown := func(text string) {
		t.Helper()
		eventually(t, text+" on the display", func() bool {
			resp, err := http.Get(p.control + "/phones/phone-1/screen")
			if err != nil {
				return false
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			return err == nil && strings.Contains(string(body), text)
		})
	}
	m.publish("snom/kitchen/show", `{"id":"other","menu":[{"label":"Another gate","choice":"gate"}]}`)
	shown("Another gate")
	p.play("phone-1/choose?item=1")
	shown("(idle)")
	n.press("Show the menu")
	shown("Lights off")
	p.play("phone-1/choose?item=2")
	if got := w.on("home/lights", 1)[0].Payload; got != "OFF" {
		t.Errorf("the lights are %q", got)
	}
	shown("(idle)")
	m.publish("home/menu", "")
	shown("Lights off")
	p.play("phone-1/choose?item=1")
	if got := w.on("home/gate", 1)[0].Payload; got != "OPEN" {
		t.Errorf("the gate is %q", got)
	}
	if all := w.messages(); len(all) != 2 {
		t.Errorf("%+v, expected two messages", all)
	}
}

// set gives an environment variable of a flow a value, of the type str or num, and deploys the flow.
func (n *nodeRED) set(name, value, kind string) {
	n.t.Helper()
	found := false
	for _, node := range n.nodes {
		env, _ := node["env"].([]any)
		for _, v := range env {
			if v, ok := v.(map[string]any); ok && v["name"] == name {
				v["value"], v["type"] = value, kind
				found = true
			}
		}
	}
	if !found {
		n.t.Fatalf("no environment variable %q", name)
	}
	started := func(out []string) (times int) {
		for _, l := range out {
			if strings.Contains(l, "Started") {
				times++
			}
		}
		return times
	}
	before := started(n.stdout())
	n.ask(http.MethodPost, "/flows", map[string]any{"flows": n.nodes})
	n.until("the flow is started", func(out, _ []string) bool { return started(out) > before })
}

// playNumbers gives the flows numbers and codes that would lose something as numbers.
func playNumbers(t *testing.T, p *phones, n *nodeRED) {
	t.Helper()
	did := func(request string) {
		t.Helper()
		eventually(t, "phone-1 does "+request, func() bool { return slices.Equal(tail(p.targets("phone-1"), 1), []string{request}) })
	}
	ring := func() {
		n.press("Press the bell", map[string]string{"p": "reset", "v": "true", "vt": "bool"}) // as if ten seconds had gone
		n.press("Press the bell")
	}
	for _, code := range trickyCodes() {
		n.set("CODE", code, "str")
		n.press("Open the door")
		did("/command.htm?key_dtmf=" + url.QueryEscape(code))
	}
	for _, number := range trickyNumbers() {
		n.set("DOOR", number, "str")
		ring()
		did("/command.htm?number=" + url.QueryEscape(number))
	}
	before := len(p.targets("phone-1"))
	n.set("CODE", "0000", "num")
	n.press("Open the door")
	n.says("CODE must have the type string")
	n.set("DOOR", "+4930123", "num")
	ring()
	n.says("DOOR must have the type string")
	if now := p.targets("phone-1"); len(now) != before {
		t.Errorf("phone-1 did %q for numbers that lost something, expected nothing", now[before:])
	}
	n.set("CODE", "12#", "str")
	n.set("DOOR", "10", "str")
}

// playDoorCode: only the answer to this very command says whether the code was sent.
func playDoorCode(t *testing.T, m *mosquitto, p *phones, n *nodeRED, b *process) {
	t.Helper()
	type opened struct {
		Opened        bool
		Code, Message string
	}
	w := m.watch("home/door/opened")
	results := m.watch("snom/kitchen/result")
	answers := 0
	answer := func() opened {
		t.Helper()
		answers++
		return decode[opened](t, w.on("home/door/opened", answers)[answers-1].Payload)
	}
	before := p.targets("phone-1")
	m.publish("snom/kitchen/fly", "") // other answers on the same topic
	m.publish("snom/kitchen/key", `{"id":"door-1","keys":"P1"}`)
	results.on("snom/kitchen/result", 2)

	n.press("Open the door")
	if got, want := answer(), (opened{true, "ok", ""}); got != want {
		t.Errorf("the door: %+v, want %+v", got, want)
	}
	p.did("phone-1", append(before, "/command.htm?key=P1", "/command.htm?key_dtmf=12%23")...)
	picture(t, n.url+"/#flow/c0de000000000001", "node-red.png", image.Rect(180, 48, 1330, 450))

	p.play("phone-1/fault?value=cut")
	m.publish("home/door/button", "ON")
	if got := answer(); got.Opened || got.Code != "timeout" || got.Message == "" {
		t.Errorf("the door: %+v, want not opened and timeout, with a reason", got)
	}
	p.play("phone-1/fault?value=none")

	b.stop()
	n.press("Open the door")
	if got := answer(); got.Opened || got.Code != "none" || !strings.Contains(got.Message, "no answer") {
		t.Errorf("the door without a bridge: %+v, want no answer", got)
	}
	if got := len(w.messages()); got != answers {
		t.Errorf("%d answers, want %d", got, answers)
	}
}

// playCommand: the subflow sends a command and passes its result on with the message that asked; where the bridge is gone, it says so
// after the time that is set. The bridge has ended before.
func playCommand(t *testing.T, m *mosquitto, n *nodeRED) {
	t.Helper()
	w, asked := m.watch("home/command/answer"), m.watch("snom/kitchen/dial")
	answer := func(nth int, payload string) {
		n.press("Dial and wait")
		command := decode[struct {
			ID     string `json:"id"`
			Number string `json:"number"`
		}](t, asked.on("snom/kitchen/dial", nth)[nth-1].Payload)
		if command.ID == "" || command.Number != "+4930777" {
			t.Errorf("the subflow sends %+v", command)
		}
		m.publish("snom/kitchen/result", `{"id":"another","ok":true,"code":"ok"}`)
		m.publish("snom/kitchen/result", fmt.Sprintf(payload, command.ID))
	}
	for i, tt := range []struct{ result, want string }{
		{`{"id":%q,"ok":true,"code":"ok"}`, `{"purpose":"test","ok":true,"code":"ok"}`},
		{`{"id":%q,"ok":false,"code":"unreachable"}`, `{"purpose":"test","ok":false,"code":"unreachable"}`},
		{`{"late":%q}`, `{"purpose":"test","ok":false,"code":"no_answer"}`},
	} {
		answer(i+1, tt.result)
		if got := w.on("home/command/answer", i+1)[i].Payload; got != tt.want {
			t.Errorf("answer %s, want %s", got, tt.want)
		}
	}
}
