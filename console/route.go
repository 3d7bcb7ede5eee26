package console

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// static is what pages load: styles, scripts and pictures, and the texts in German.
//
//go:embed static
var static embed.FS

// A route is something that the console answers. Those of the API are documented by their row.
type route struct {
	method, path string
	access       access
	serve        func(*handler, http.ResponseWriter, *http.Request)

	// Of the API only; an empty summary: the route is no part of it.
	summary    string
	parameters []parameter
	body       string // what the body of the request is; empty: there is none
	kind       string // media type of the answer; empty: JSON
	answers    any    // a value of the type that is answered; nil: it is no JSON
}

// A parameter is one of the address.
type parameter struct{ name, in, what string }

// nameParameter and the others are parameters that several routes have.
func nameParameter() parameter {
	return parameter{"name", "path", "the name of a phone, a group or a door"}
}

func waitParameter() parameter {
	return parameter{"Prefer", "header", "wait=N: wait up to N seconds for the answers"}
}

// routes lists everything that a console with a bridge answers, but for health checks and metrics.
func routes() []route {
	search := []parameter{
		{"level", "query", "the least level: debug, info, warn or error"}, {"q", "query", "only lines with this text"}, {"after", "query", "only lines with a higher number"},
	}
	return []route{
		{method: "GET", path: "/{$}", access: reads, serve: (*handler).phonesPage},
		{method: "GET", path: "/phones", access: open, serve: func(_ *handler, w http.ResponseWriter, _ *http.Request) { redirect(w, "./") }},
		{method: "GET", path: "/phones/{$}", access: open, serve: func(_ *handler, w http.ResponseWriter, _ *http.Request) { redirect(w, "../") }},
		{method: "GET", path: "/phones/{name}", access: reads, serve: (*handler).phonePage},
		{method: "GET", path: "/doors", access: reads, serve: (*handler).doorsPage},
		{method: "GET", path: "/messages", access: reads, serve: (*handler).messagesPage},
		{method: "GET", path: "/setup", access: reads, serve: (*handler).setupPage},
		{method: "GET", path: "/log", access: reads, serve: (*handler).logPage},
		{method: "GET", path: "/log.txt", access: reads, serve: (*handler).downloadLog},
		{method: "GET", path: "/about", access: reads, serve: (*handler).aboutPage},
		{method: "GET", path: "/login", access: open, serve: (*handler).loginPage},
		{method: "POST", path: "/login", access: open, serve: (*handler).login},
		{method: "POST", path: "/logout", access: open, serve: (*handler).logout},
		{method: "GET", path: "/static/{file}", access: open, serve: (*handler).file},

		{
			method: "GET", path: "/api/bridge", access: reads, serve: (*handler).bridgeDocument, answers: BridgeDocument{},
			summary: "What the bridge is, and how it stands with the broker",
		},
		{
			method: "GET", path: "/api/phones", access: reads, serve: (*handler).phones, answers: PhonesDocument{},
			summary:    "What is known of every phone",
			parameters: []parameter{{"q", "query", "only phones whose name, model or other party contains this text"}, {"state", "query", "only phones in this state: " + strings.Join(states(), ", ")}},
		},
		{
			method: "GET", path: "/api/phones/{name}", access: reads, serve: (*handler).phone, answers: OnePhoneDocument{},
			summary: "What is known of a phone, with its commands and keys", parameters: []parameter{{"name", "path", "the name of a phone"}},
		},
		{
			method: "POST", path: "/api/send/{name}/{command}", access: presses, serve: (*handler).press, answers: Press{},
			summary:    "Sends a command as a message on <base>/<name>/<command> would: same rules, same queue, same results",
			parameters: []parameter{nameParameter(), {"command", "path", "a command, or command if the body names it"}, {"dry_run", "query", "true: everything is checked, and nothing is sent to the phone"}, waitParameter()},
			body:       "The payload of the command: plain text, or a JSON object",
		},
		{
			method: "POST", path: "/api/phones/{name}/screen", access: presses, serve: (*handler).screen, kind: "image/png",
			summary:    "Takes a picture of a phone's screen, where ALLOW has screen",
			parameters: []parameter{{"name", "path", "the name of a phone"}, {"which", "query", "main, labels or expansion; unless given, main"}},
		},
		{
			method: "GET", path: "/api/doors", access: reads, serve: (*handler).doors, answers: DoorsDocument{},
			summary: "What is known of every door; POST /api/send/{name}/open opens one",
		},
		{
			method: "GET", path: "/api/doors/{name}/image", access: reads, serve: (*handler).doorImage, kind: "image/jpeg",
			summary: "The picture of a door's camera when it rang last", parameters: []parameter{{"name", "path", "the name of a door"}},
		},
		{
			method: "POST", path: "/api/bridge/{action}", access: presses, serve: (*handler).request, answers: Press{},
			summary:    "Sends a request to the bridge, as a message on <base>/bridge/request/<action> would",
			parameters: []parameter{{"action", "path", actionNames()}, waitParameter()},
			body:       "The payload of the request: plain text, or a JSON object",
		},
		{
			method: "GET", path: "/api/live", access: reads, serve: (*handler).follow, kind: "text/event-stream",
			summary: "Commands, results, events, states and responses as they come: server-sent events called command, result, event, status, " +
				"response, door, ring and door_image, bridge (how the bridge stands with the broker), and log. A reader that is too slow is disconnected",
			parameters: []parameter{{"phone", "query", "only those of this phone"}, {"types", "query", "only these, separated by commas; unless given, all but log"}},
		},
		{
			method: "GET", path: "/api/codes", access: reads, serve: (*handler).codes, answers: CodesDocument{},
			summary: "The codes of results, explained",
		},
		{
			method: "GET", path: "/api/log", access: reads, serve: (*handler).logLines, answers: LogDocument{},
			summary: "The last lines of the log", parameters: search,
		},
		{
			method: "GET", path: "/api/report", access: reads, serve: (*handler).report, kind: "application/zip",
			summary: "A report for a bug report, without secrets",
		},
		{
			method: "GET", path: "/api/openapi.json", access: reads, serve: (*handler).openAPI, kind: "application/json",
			summary: "This description",
		},
	}
}

func actionNames() string {
	var names []string
	for _, a := range bridge.Actions() {
		names = append(names, a.Name)
	}
	return strings.Join(names, ", ")
}

// mount adds a route to what the console answers.
func (h *handler) mount(mux *http.ServeMux, one route) {
	mux.HandleFunc(one.method+" "+one.path, func(w http.ResponseWriter, r *http.Request) {
		if one.access != open && !h.allowed(w, r) || one.access == presses && !h.mayPress(w, r) {
			return
		}
		one.serve(h, w, r)
	})
}

// file answers with one of the static files.
func (h *handler) file(w http.ResponseWriter, r *http.Request) {
	name := path.Base(r.PathValue("file"))
	if name == "german.json" {
		w.Header().Set("Cache-Control", "no-cache")
		writeJSON(w, http.StatusOK, german())
		return
	}
	text, err := static.ReadFile("static/" + name)
	kinds := map[string]string{".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
	kind := kinds[path.Ext(name)]
	if err != nil || kind == "" {
		http.NotFound(w, r)
		return
	}
	sum := sha256.Sum256(text)
	tag := `"` + hex.EncodeToString(sum[:12]) + `"`
	w.Header().Set("Cache-Control", "no-cache") // a browser asks whether it has changed
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", kind+"; charset=utf-8")
	_, _ = w.Write(text) // a client that has gone is no fault of the console
}

// eventNames are the kinds of events of phones, for the description of the API.
func eventNames() []string {
	var names []string
	for _, e := range slices.Concat(actionurl.EventTypes(), actionurl.PanelTypes()) {
		names = append(names, string(e))
	}
	return names
}
