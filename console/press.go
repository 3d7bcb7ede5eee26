package console

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// Bounds of what is sent through the console.
const (
	maxLogin = 4 << 10
	maxPress = 512 << 10 // above what any command may have
	// maxPressHeader bounds X-Press before it is escaped. A longer one is no picture's.
	maxPressHeader = 2 << 10
	maxWait        = time.Hour // of Prefer: wait
)

// A Press is what was sent to the bridge, as any program may send it over MQTT.
type Press struct {
	ID            string `json:"id"` // of the results
	Topic         string `json:"topic"`
	Payload       string `json:"payload"`
	MosquittoPub  string `json:"mosquitto_pub"`  // a line for the shell
	HomeAssistant string `json:"home_assistant"` // an action in YAML
	// Results are the answers that came while the request waited for them, one for each phone.
	Results []*bridge.Result `json:"results"`
	// Responses are the answers to a request to the bridge, likewise.
	Responses []*bridge.Response `json:"responses"`
}

// press answers POST /api/send/{name}/{command}: the body is the payload of a message on that topic, and goes the way
// of one.
func (h *handler) press(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	members := h.Bridge.Groups()[name]
	if _, served := h.Bridge.View(name); !served && members == nil && !h.isDoor(name) {
		answer(w, http.StatusNotFound, "not found", "no phone, no group and no door of this bridge is called so")
		return
	}
	h.submit(w, r, h.Tree.Command(name, r.PathValue("command")), mqtt.KindCommand, max(1, len(members)))
}

// request answers POST /api/bridge/{action}: the body is the payload of a request to the bridge.
func (h *handler) request(w http.ResponseWriter, r *http.Request) {
	action := r.PathValue("action")
	if !slices.ContainsFunc(bridge.Actions(), func(a bridge.ActionDoc) bool { return a.Name == action }) {
		answer(w, http.StatusNotFound, "not found", "expected one of "+actionNames())
		return
	}
	if dry, _ := dryRun(r); dry {
		answer(w, http.StatusBadRequest, "bad request", "a request to the bridge has no dry run")
		return
	}
	h.submit(w, r, h.Tree.Request(action), mqtt.KindRequest, 1)
}

// refusesAddress answers a request whose address has parameters that are not these: a misspelt one is no permission to press.
func refusesAddress(w http.ResponseWriter, r *http.Request, known ...string) bool {
	for name := range r.URL.Query() {
		if !slices.Contains(known, name) {
			answer(w, http.StatusBadRequest, "bad request", "unknown parameter "+strconv.Quote(name)+": expected "+cmp.Or(strings.Join(known, ", "), "none"))
			return true
		}
	}
	return false
}

// refusesStandby answers a request while another bridge carries out what is sent.
func (h *handler) refusesStandby(w http.ResponseWriter) bool {
	if h.Bridge.Standby() == "" {
		return false
	}
	answer(w, http.StatusServiceUnavailable, "standby", "another bridge uses the same topics and was first")
	return true
}

// dryRun reads what an address says of a dry run. A value that is not understood is no permission to press.
func dryRun(r *http.Request) (dry, ok bool) {
	values, given := r.URL.Query()["dry_run"]
	if !given {
		return false, true
	}
	switch strings.ToLower(values[len(values)-1]) {
	case "", "true", "1", "yes", "on":
		return true, len(values) == 1
	case "false", "0", "no", "off":
		return false, len(values) == 1
	}
	return true, false
}

// submit hands the body of a request to the bridge as a message on a topic, and answers with what was sent. With
// Prefer: wait it waits for as many answers as are expected.
func (h *handler) submit(w http.ResponseWriter, r *http.Request, topic string, kind mqtt.Kind, expected int) {
	to := h.Tree.Read(topic)
	if to.Kind != kind {
		answer(w, http.StatusBadRequest, "bad request", "expected the name of a command")
		return
	}
	if refusesAddress(w, r, "dry_run") || h.refusesStandby(w) {
		return
	}
	dry, ok := dryRun(r)
	if !ok {
		answer(w, http.StatusBadRequest, "bad request", "dry_run: expected true or false")
		return
	}
	payload, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPress))
	if err != nil {
		answer(w, http.StatusRequestEntityTooLarge, "too large", "expected the payload of a command")
		return
	}
	sub, p, ok := h.send(w, to, topic, payload, dry)
	if !ok {
		return
	}
	defer sub.Close()
	status := http.StatusAccepted
	if wait := preferred(r); wait > 0 {
		ctx, cancel := context.WithTimeout(r.Context(), wait)
		defer cancel()
		if h.await(ctx, w, sub, &p, expected) {
			status = http.StatusOK
		}
	}
	writeJSON(w, status, p)
}

// send hands a message to the bridge, and returns the subscription in which its answers come, what was sent, and how other
// programs send it. Where there is no room for a subscription, it sends nothing, answers that, and reports false.
func (h *handler) send(w http.ResponseWriter, to mqtt.Address, topic string, payload []byte, dry bool) (*bridge.Subscription, Press, bool) {
	sub, err := h.Bridge.Subscribe(readerRoom)
	if err != nil {
		answer(w, http.StatusServiceUnavailable, "busy", err.Error())
		return nil, Press{}, false
	}
	p := Press{
		Topic: topic, Payload: string(payload), MosquittoPub: h.mosquittoPub(topic, string(payload)), HomeAssistant: homeAssistant(topic, string(payload)),
		Results: []*bridge.Result{}, Responses: []*bridge.Response{},
	}
	p.ID = h.Bridge.Submit(to, mqtt.Message{Topic: topic, Payload: payload}, bridge.Origin{ID: "console-" + rand.Text()[:10], DryRun: dry})
	return sub, p, true
}

// screen answers POST /api/phones/{name}/screen with the picture that the command screen takes. What was sent for it is a
// [Press] in the header X-Press, as JSON that is escaped as a segment of a path.
func (h *handler) screen(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if _, served := h.Bridge.View(name); !served {
		answer(w, http.StatusNotFound, "not found", "no phone of this bridge is called so")
		return
	}
	if refusesAddress(w, r, "which") || h.refusesStandby(w) {
		return
	}
	topic := h.Tree.Command(name, string(snom.VerbScreen))
	sub, p, ok := h.send(w, h.Tree.Read(topic), topic, []byte(r.URL.Query().Get("which")), false)
	if !ok {
		return
	}
	defer sub.Close()
	if sent, err := json.Marshal(p); err == nil && len(sent) <= maxPressHeader {
		w.Header().Set("X-Press", url.PathEscape(string(sent)))
	}
	control := http.NewResponseController(w)
	ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
	defer cancel()
	var picture []byte
	for {
		select {
		case u, more := <-sub.C:
			switch {
			case !more:
				answer(w, http.StatusServiceUnavailable, "busy", "too much happens")
				return
			case u.Image != nil && u.Image.Phone == name:
				picture = u.Image.PNG
			case u.Result != nil && u.Result.ID == p.ID:
				_ = control.SetWriteDeadline(time.Now().Add(readerWrite)) // of a test's recorder there is none
				sendPicture(w, u.Result, picture)
				return
			}
		case <-h.stopped:
			return
		case <-ctx.Done():
			return
		}
	}
}

// sendPicture answers with a picture, or says why there is none.
func sendPicture(w http.ResponseWriter, result *bridge.Result, picture []byte) {
	if !result.OK || picture == nil {
		answer(w, http.StatusConflict, string(result.Code), string(result.Code)+": "+result.Message)
		return
	}
	w.Header().Set("Content-Type", "image/png")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(picture) // a client that has gone is no fault of the console
}

// await collects the answers to p, and reports whether all of them came.
func (h *handler) await(ctx context.Context, w http.ResponseWriter, sub *bridge.Subscription, p *Press, expected int) bool {
	control := http.NewResponseController(w)
	until, _ := ctx.Deadline()
	_ = control.SetWriteDeadline(until.Add(readerWrite)) // of a test's recorder there is none
	for len(p.Results)+len(p.Responses) < expected {
		select {
		case u, more := <-sub.C:
			switch {
			case !more:
				return false
			case u.Result != nil && u.Result.ID == p.ID:
				p.Results = append(p.Results, u.Result)
			case u.Response != nil && u.Response.ID == p.ID:
				p.Responses = append(p.Responses, u.Response)
			}
		case <-h.stopped:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// preferred returns how long a request is to wait for its answers (RFC 7240).
func preferred(r *http.Request) time.Duration {
	for one := range strings.FieldsFuncSeq(r.Header.Get("Prefer"), func(c rune) bool { return c == ',' || c == ';' || c == ' ' }) {
		if seconds, ok := strings.CutPrefix(one, "wait="); ok {
			n, err := strconv.Atoi(seconds)
			if err == nil && n > 0 {
				return min(time.Duration(n)*time.Second, maxWait)
			}
		}
	}
	return 0
}

// mosquittoPub returns the line for the shell that publishes a message. It holds no password.
func (h *handler) mosquittoPub(topic, payload string) string {
	parts := []string{"mosquitto_pub"}
	if h.BrokerFlags != "" {
		parts = append(parts, h.BrokerFlags)
	}
	parts = append(parts, "-q 1 -t "+shellQuoted(topic))
	if payload == "" {
		return strings.Join(append(parts, "-n"), " ")
	}
	return strings.Join(append(parts, "-m "+shellQuoted(payload)), " ")
}

// shellQuoted returns text as one word for a POSIX shell.
func shellQuoted(text string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/_-.,:@%+", r)
	}
	if text != "" && !strings.ContainsFunc(text, func(r rune) bool { return !plain(r) }) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// homeAssistant returns the action of Home Assistant that publishes a message.
func homeAssistant(topic, payload string) string {
	return "action: mqtt.publish\ndata:\n  qos: 1\n  topic: " + yamlQuoted(topic) + "\n  payload: " + yamlQuoted(payload) + "\n"
}

// yamlQuoted returns text as a scalar of YAML in quotes.
func yamlQuoted(text string) string {
	templates := strings.Contains(text, "{{") || strings.Contains(text, "{%") || strings.Contains(text, "{#") // Home Assistant reads them
	if templates && json.Valid([]byte(text)) {                                                                // Home Assistant would make a list of it, not a text
		text = strings.NewReplacer("{{", `\u007b\u007b`, "{%", `\u007b%`, "{#", `\u007b#`).Replace(text)
		templates = false
	}
	if templates {
		text = "{% raw %}" + text + "{% endraw %}"
	}
	if strings.ContainsFunc(text, func(r rune) bool {
		return r < ' ' || r == '\u0085' || r == '\u2028' || r == '\u2029' || r == '\uFEFF' || r == 0x7F
	}) {
		quoted, _ := json.Marshal(text) // a text: it cannot fail
		return string(quoted)
	}
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}

// mayPress reports whether a request may change anything, and answers one that may not.
func (h *handler) mayPress(w http.ResponseWriter, r *http.Request) bool {
	if h.ReadOnly {
		answer(w, http.StatusForbidden, "forbidden", "the console is read-only: SNOM2MQTT_CONSOLE_READ_ONLY is true")
		return false
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil && r.Header.Get("Content-Type") != "" || kind != "" && !slices.Contains([]string{"application/json", "text/plain", "application/octet-stream"}, kind) {
		answer(w, http.StatusUnsupportedMediaType, "unsupported", "expected the payload as application/json or text/plain")
		return false
	}
	return true
}
