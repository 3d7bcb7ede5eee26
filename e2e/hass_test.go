package e2e

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// What scripts/homeassistant.sh installs: the oldest release, one that another Python runs, and the newest.
const (
	oldestHomeAssistant = "2025.1.4"
	middleHomeAssistant = "2025.4.4"
	newestHomeAssistant = "2026.11.0"
)

// homeAssistantProtocols are the versions of MQTT that releases speak by default, as Mosquitto's log has them.
var homeAssistantProtocols = map[string]string{oldestHomeAssistant: "(p2,", middleHomeAssistant: "(p2,", newestHomeAssistant: "(p5,"}

// homeAssistantPython returns the Python that has a release of Home Assistant, "" when there is none.
func homeAssistantPython(t *testing.T, release string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "snom2mqtt-test", "homeassistant-"+release)
	if _, err := os.Stat(filepath.Join(dir, "complete")); err != nil {
		return ""
	}
	return filepath.Join(dir, "bin", "python")
}

// A homeAssistant is a real one in a process of its own. It was never seen by a person: its user and its
// token are in its files from the start, and its MQTT integration is set up over its API.
type homeAssistant struct {
	*process
	t       *testing.T
	release string
	python  string
	dir     string // of its configuration
	port    int
	token   string
	past    []*process // that ended
}

// startHomeAssistant runs a release with these lines of configuration beside what it needs, connected to m.
func startHomeAssistant(t *testing.T, release string, m *mosquitto, configuration string) *homeAssistant {
	t.Helper()
	h := newHomeAssistant(t, release)
	h.run(m, configuration, "")
	return h
}

// newHomeAssistant returns a release that has an address and a token, and does not run yet.
func newHomeAssistant(t *testing.T, release string) *homeAssistant {
	t.Helper()
	h := &homeAssistant{t: t, release: release, python: homeAssistantPython(t, release), dir: t.TempDir(), port: freePort(t)}
	if h.python == "" {
		missing(t, "Home Assistant "+release)
	}
	h.makeUser()
	return h
}

// run starts it, with these lines of configuration beside what it needs, connected to m. blueprints is a folder of
// automations and scripts that it gets.
func (h *homeAssistant) run(m *mosquitto, configuration, blueprints string) {
	h.t.Helper()
	h.write("configuration.yaml", fmt.Sprintf(`homeassistant:
  name: Test
  latitude: 52.5
  longitude: 13.4
  elevation: 34
  unit_system: metric
  time_zone: Europe/Berlin
  currency: EUR
  country: DE
http:
  server_host: 127.0.0.1
  server_port: %d
logger:
  default: warning
%s`, h.port, configuration))
	// From 2026.8 on this file has the settings of http.
	h.write(".storage/http", fmt.Sprintf(`{"version":2,"minor_version":2,"key":"http","data":{"stable":{"server_host":["127.0.0.1"],
"server_port":%d,"cors_allowed_origins":[],"use_x_forwarded_for":false,"trusted_proxies":[],"login_attempts_threshold":-1,
"ip_ban_enabled":true,"ssl_profile":"modern","use_x_frame_options":true,"created_at":"2026-01-01T00:00:00+00:00","error":null,
"error_message":null},"pending":null,"yaml_migration_done":true}}`, h.port))
	for _, domain := range []string{"automation", "script"} { // only those that are in use are read
		if blueprints == "" {
			break
		}
		if err := os.CopyFS(filepath.Join(h.dir, "blueprints", domain, "snom2mqtt"), os.DirFS(blueprints)); err != nil {
			h.t.Fatal(err)
		}
	}
	h.start()
	h.connect(m)
}

func (h *homeAssistant) write(name, text string) {
	h.t.Helper()
	name = filepath.Join(h.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// makeUser writes an owner with a token that lasts, as Home Assistant stores them, and makes the token.
func (h *homeAssistant) makeUser() {
	h.t.Helper()
	random := func(n int) string {
		b := make([]byte, n)
		_, _ = rand.Read(b) // never fails
		return hex.EncodeToString(b)
	}
	user, refresh, key := random(16), random(16), random(64)
	h.write(".storage/onboarding", `{"version":4,"minor_version":1,"key":"onboarding","data":{"done":["user","core_config","analytics","integration"]}}`)
	h.write(".storage/auth", fmt.Sprintf(`{"version":1,"minor_version":1,"key":"auth","data":{
"users":[{"id":%[1]q,"group_ids":["system-admin"],"is_owner":true,"is_active":true,"name":"Test","system_generated":false,"local_only":false}],
"groups":[{"id":"system-admin","name":"Administrators"},{"id":"system-users","name":"Users"},{"id":"system-read-only","name":"Read Only"}],
"credentials":[],
"refresh_tokens":[{"id":%[2]q,"user_id":%[1]q,"client_id":null,"client_name":"test","client_icon":null,
"token_type":"long_lived_access_token","created_at":"2026-01-01T00:00:00+00:00","access_token_expiration":315360000.0,
"token":%[4]q,"jwt_key":%[3]q,"last_used_at":null,"last_used_ip":null,"expire_at":null,"credential_id":null,"version":"2025.1.4"}]}}`,
		user, refresh, key, random(64)))
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	now := time.Now().Unix()
	h.token = part(`{"alg":"HS256","typ":"JWT"}`) + "." + part(fmt.Sprintf(`{"iss":%q,"iat":%d,"exp":%d}`, refresh, now, now+315360000))
	sum := hmac.New(sha256.New, []byte(key))
	sum.Write([]byte(h.token))
	h.token += "." + base64.RawURLEncoding.EncodeToString(sum.Sum(nil))
}

// start runs Home Assistant, again after it was stopped, until it has started altogether.
func (h *homeAssistant) start() {
	h.t.Helper()
	if h.process != nil {
		h.past = append(h.past, h.process)
	}
	h.process = start(h.t, "home assistant", nil, h.python, "-m", "homeassistant", "-c", h.dir, "--skip-pip", "--log-no-color")
	var config struct{ State string }
	within(h.t, 4*timeLimit, "Home Assistant runs", func() bool { // the first time it compiles all that it is made of
		if !h.running() {
			h.t.Fatal("Home Assistant ended")
		}
		return h.send(http.MethodGet, "/api/config", nil, &config) == nil && config.State == "RUNNING"
	})
}

// says waits until Home Assistant has logged text.
func (h *homeAssistant) says(text string) {
	h.t.Helper()
	h.until("it logs "+text, func(out, log []string) bool {
		return slices.ContainsFunc(append(out, log...), func(l string) bool { return strings.Contains(l, text) })
	})
}

// send makes one request to its API.
func (h *homeAssistant) send(method, path string, body, into any) error {
	var payload io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		payload = bytes.NewReader(b)
	}
	request, err := http.NewRequestWithContext(h.t.Context(), method, fmt.Sprintf("http://127.0.0.1:%d%s", h.port, path), payload)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+h.token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, text)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}

// post is send that must succeed.
func (h *homeAssistant) post(path string, body, into any) {
	h.t.Helper()
	if err := h.send(http.MethodPost, path, body, into); err != nil {
		h.t.Fatal(err)
	}
}

// connect sets up the MQTT integration, as a person would in the dialogue.
func (h *homeAssistant) connect(m *mosquitto) {
	h.t.Helper()
	type field struct{ Name string }
	var flow struct {
		ID     string  `json:"flow_id"`
		Schema []field `json:"data_schema"`
		Type   string
		Errors map[string]string
	}
	h.post("/api/config/config_entries/flow", map[string]any{"handler": "mqtt"}, &flow)
	answers := map[string]any{"broker": "127.0.0.1", "port": m.port}
	if slices.ContainsFunc(flow.Schema, func(f field) bool { return f.Name == "other_settings" }) { // newer releases
		answers["other_settings"] = map[string]any{"set_client_cert": false, "set_ca_cert": "off", "transport": "tcp"}
	}
	if m.login {
		answers["username"], answers["password"] = "homeassistant", "homeassistant-secret"
	}
	h.post("/api/config/config_entries/flow/"+flow.ID, answers, &flow)
	if flow.Type != "create_entry" {
		h.t.Fatalf("the MQTT integration was not set up: %+v", flow)
	}
}

// An entityState is what an entity shows.
type entityState struct {
	ID         string `json:"entity_id"`
	State      string
	Attributes map[string]any
}

// states returns what all entities show, by their id.
func (h *homeAssistant) states() map[string]entityState {
	h.t.Helper()
	var all []entityState
	if err := h.send(http.MethodGet, "/api/states", nil, &all); err != nil {
		h.t.Fatal(err)
	}
	byID := map[string]entityState{}
	for _, s := range all {
		byID[s.ID] = s
	}
	return byID
}

// shows waits until an entity shows a state. It may be one of several, separated by bars.
func (h *homeAssistant) shows(entity, state string) (now entityState) {
	h.t.Helper()
	defer func() {
		if h.t.Failed() && !slices.Contains(strings.Split(state, "|"), now.State) {
			h.t.Logf("%s is %+v", entity, now)
		}
	}()
	eventually(h.t, entity+" shows "+state, func() bool {
		now = entityState{}
		err := h.send(http.MethodGet, "/api/states/"+entity, nil, &now)
		return err == nil && slices.Contains(strings.Split(state, "|"), now.State)
	})
	return now
}

// has reports whether there is an entity.
func (h *homeAssistant) has(entity string) bool {
	h.t.Helper()
	return h.send(http.MethodGet, "/api/states/"+entity, nil, nil) == nil
}

// call calls a service, such as button.press, for an entity.
func (h *homeAssistant) call(service, entity string, data ...string) {
	h.t.Helper()
	body := map[string]any{"entity_id": entity}
	for i := 0; i < len(data); i += 2 {
		body[data[i]] = data[i+1]
	}
	h.post("/api/services/"+strings.Replace(service, ".", "/", 1), body, nil)
}

// complaints are the warnings and errors that Home Assistant has logged so far, in all its runs. Those that
// contain one of these words are no matter, nor is what it says of how it was installed.
func (h *homeAssistant) complaints(but ...string) (all []string) {
	if h.release != newestHomeAssistant {
		// At times the releases of that year fail at one entity of a device when it starts, and takes it from the next document.
		but = append(but, "Exception in _async_setup_entity_entry_from_discovery")
	}
	but = append(but, "[homeassistant.bootstrap]", "[aiohttp_fast_zlib]", "Error loading libturbojpeg", "[haffmpeg.",
		"is taking over 10 seconds", "Shutdown stage", "the shutdown will") // of a busy machine
	for _, p := range append(slices.Clone(h.past), h.process) {
		for _, line := range append(p.stdout(), p.stderr()...) {
			if (strings.Contains(line, " WARNING ") || strings.Contains(line, " ERROR ")) &&
				!slices.ContainsFunc(but, func(word string) bool { return strings.Contains(line, word) }) {
				all = append(all, line)
			}
		}
	}
	return all
}

// A registered is what Home Assistant remembers of an entity, also of one that is disabled.
type registered struct {
	Entity   string `json:"entity_id"`
	Unique   string `json:"unique_id"`
	Platform string
	Device   string `json:"device_id"`
	Disabled string `json:"disabled_by"`
}

// registry returns all entities of MQTT, by unique id and domain: "snom_x_dial text".
func (h *homeAssistant) registry() map[string]registered {
	h.t.Helper()
	var all []registered
	h.ask(&all, map[string]any{"type": "config/entity_registry/list"})
	byID := map[string]registered{}
	for _, r := range all {
		if domain, _, _ := strings.Cut(r.Entity, "."); r.Platform == "mqtt" {
			byID[r.Unique+" "+domain] = r
		}
	}
	return byID
}

// ask sends commands over one websocket, and reads the result of the last one. They must succeed.
func (h *homeAssistant) ask(into any, commands ...map[string]any) {
	h.t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", h.port))
	if err != nil {
		h.t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(timeLimit)); err != nil {
		h.t.Fatal(err)
	}
	fmt.Fprint(conn, "GET /api/websocket HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n")
	in := bufio.NewReader(conn)
	if response, err := http.ReadResponse(in, nil); err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		h.t.Fatalf("websocket: %v, %v", response, err)
	}
	type answer struct {
		ID      int
		Type    string
		Success bool
		Result  json.RawMessage
		Error   any
	}
	receive := func() answer {
		text, err := readFrame(in)
		if err != nil {
			h.t.Fatalf("websocket: %v", err)
		}
		return decode[answer](h.t, text)
	}
	send := func(v any) {
		b, err := json.Marshal(v)
		if err != nil {
			h.t.Fatal(err)
		}
		if _, err := conn.Write(frame(b)); err != nil {
			h.t.Fatal(err)
		}
	}
	receive() // it asks for the login
	send(map[string]any{"type": "auth", "access_token": h.token})
	if a := receive(); a.Type != "auth_ok" {
		h.t.Fatalf("websocket: %+v", a)
	}
	for i, c := range commands {
		c["id"] = i + 1
		send(c)
		a := receive()
		if !a.Success || a.ID != i+1 {
			h.t.Fatalf("%v: %+v", c, a)
		}
		if into != nil && i == len(commands)-1 {
			if err := json.Unmarshal(a.Result, into); err != nil {
				h.t.Fatal(err)
			}
		}
	}
}

// frame is a text as a client sends it over a websocket (RFC 6455, section 5.2). The mask is zero.
func frame(text []byte) []byte {
	b := []byte{0x81, 0x80 | 127}
	b = binary.BigEndian.AppendUint64(b, uint64(len(text)))
	return append(append(b, 0, 0, 0, 0), text...)
}

// readFrame reads a text that a server sends over a websocket in one piece.
func readFrame(r *bufio.Reader) (string, error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(r, head); err != nil {
		return "", err
	}
	size := uint64(head[1])
	wide := map[uint64]int{126: 2, 127: 8}[size]
	if wide > 0 {
		long := make([]byte, 8)
		if _, err := io.ReadFull(r, long[8-wide:]); err != nil {
			return "", err
		}
		size = binary.BigEndian.Uint64(long)
	}
	if head[0] != 0x81 || size > 64<<20 {
		return "", fmt.Errorf("frame %x of %d bytes", head[0], size)
	}
	text := make([]byte, size)
	_, err := io.ReadFull(r, text)
	return string(text), err
}
