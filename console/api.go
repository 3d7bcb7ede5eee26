package console

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/internal/loglevel"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// writeJSON writes a document as the answer.
func writeJSON(w http.ResponseWriter, status int, document any) {
	text, err := json.Marshal(document)
	if err != nil {
		answer(w, http.StatusInternalServerError, "internal error", "")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text) // a client that has gone is no fault of the console
}

// BridgeDocument is the answer of GET /api/bridge.
type BridgeDocument struct {
	Version       string              `json:"version"`
	Revision      string              `json:"revision"`
	Go            string              `json:"go"`
	Started       bridge.Time         `json:"started"`
	BaseTopic     string              `json:"base_topic"`
	Instance      string              `json:"instance"`
	Features      []string            `json:"features"`
	ReadOnly      bool                `json:"read_only"`
	TakesCommands bool                `json:"takes_commands"`
	Connection    string              `json:"connection"` // in words
	Faults        []string            `json:"faults"`     // of the settings
	Phones        int                 `json:"phones"`
	Groups        map[string][]string `json:"groups"`
	BrokerFlags   string              `json:"broker_flags"` // of mosquitto_pub and mosquitto_sub; no password
}

func (h *handler) bridgeDocument(w http.ResponseWriter, _ *http.Request) {
	is := h.connection()
	n := 0
	for range h.Bridge.Views() {
		n++
	}
	writeJSON(w, http.StatusOK, BridgeDocument{
		Version: h.About.Version, Revision: h.About.Revision, Go: h.About.Go, Started: bridge.Time{Time: h.About.Started},
		BaseTopic: h.Tree.Base, Instance: h.Tree.Instance, Features: append([]string{}, h.About.Features...), ReadOnly: h.ReadOnly,
		TakesCommands: is.takes, Connection: is.words(), Faults: h.faults(), Phones: n, Groups: h.Bridge.Groups(), BrokerFlags: h.BrokerFlags,
	})
}

// faults are those of the settings; never nil.
func (h *handler) faults() []string {
	if h.Faults == nil {
		return []string{}
	}
	return append([]string{}, h.Faults()...)
}

// PhoneDocument is what is known of a phone.
type PhoneDocument struct {
	Name      string            `json:"name"`
	Status    bridge.Status     `json:"status"`     // as published on <base>/<phone>/status
	LastEvent *bridge.EventNote `json:"last_event"` // null: none since the bridge started
	Waiting   int               `json:"waiting"`    // commands in its queue
	LockedOut bool              `json:"locked_out"` // it refused the login and is not contacted for a while
	Why       bridge.Text       `json:"why"`        // it is unreachable
	LastSeen  bridge.Time       `json:"last_seen"`  // when it last answered, or sent an event
}

func documentOf(v *bridge.View) PhoneDocument {
	d := PhoneDocument{
		Name: v.Phone, Status: v.Status, Waiting: v.Load.Waiting, LockedOut: v.Load.LockedOut, Why: bridge.Text(v.Why), LastSeen: v.LastSeen,
	}
	if v.LastEvent.Type != "" {
		last := v.LastEvent
		d.LastEvent = &last
	}
	return d
}

// PhonesDocument is the answer of GET /api/phones.
type PhonesDocument struct {
	Phones []PhoneDocument `json:"phones"`
}

// refuses answers a request in which a parameter has, or lists, another value than these. Without the parameter it is none.
func refuses(w http.ResponseWriter, parameter string, given []string, values []string) bool {
	for _, one := range given {
		if one != "" && !slices.Contains(values, one) {
			answer(w, http.StatusBadRequest, "bad request", parameter+": expected "+strings.Join(values, ", "))
			return true
		}
	}
	return false
}

func (h *handler) phones(w http.ResponseWriter, r *http.Request) {
	if refuses(w, "state", r.URL.Query()["state"], states()) {
		return
	}
	want := selectionOf(r)
	all := PhonesDocument{Phones: []PhoneDocument{}}
	for v := range h.Bridge.Views() {
		if want.takes(&v) {
			all.Phones = append(all.Phones, documentOf(&v))
		}
	}
	writeJSON(w, http.StatusOK, all)
}

// OnePhoneDocument is the answer of GET /api/phones/{name}.
type OnePhoneDocument struct {
	PhoneDocument
	URL    string   `json:"url"`   // of its web interface, without a login
	Model  string   `json:"model"` // that commands are checked against; empty: not known
	Series string   `json:"series"`
	Groups []string `json:"groups"`
	// Announcements are the multicast addresses whose announcements are for the phone.
	Announcements []bridge.Listening `json:"announcements,omitempty"`
	Commands      []CommandDocument  `json:"commands"`
	Keys          []KeyDocument      `json:"keys"` // that its model has
	// SetUp are the keys that have a meaning by the settings; the lights that are on are in status.
	SetUp []bridge.KeyListing `json:"keys_set_up"`
}

// A CommandDocument is one command of a phone.
type CommandDocument struct {
	Command  string `json:"command"`
	Summary  string `json:"summary"`
	Plain    string `json:"plain"`   // its payload as plain text
	JSON     string `json:"json"`    // its payload as a JSON object; empty: it has no argument
	Example  string `json:"example"` // a payload
	Disabled bool   `json:"disabled"`
	Masked   bool   `json:"masked"` // its argument is shown as ***
}

func (h *handler) phone(w http.ResponseWriter, r *http.Request) {
	v, ok := h.Bridge.View(r.PathValue("name"))
	if !ok {
		answer(w, http.StatusNotFound, "not found", "no phone of this bridge is called so")
		return
	}
	setUp := []bridge.KeyListing{}
	for _, k := range v.Config.Keys.All() {
		setUp = append(setUp, bridge.KeyListing{Key: k.Key, Name: k.Name, Label: k.Label, Open: k.Open, Run: k.Run})
	}
	writeJSON(w, http.StatusOK, OnePhoneDocument{
		PhoneDocument: documentOf(&v), URL: v.Config.URL, Model: v.Is.Name(), Series: v.Is.Series(),
		Groups: h.groupsOf(v.Phone), Announcements: h.Bridge.Listening(v.Phone), Commands: commandsOf(&v), Keys: keysOf(&v), SetUp: setUp,
	})
}

// groupsOf returns the groups that a phone is in.
func (h *handler) groupsOf(phone string) []string {
	names := []string{}
	for group, members := range h.Bridge.Groups() {
		if slices.Contains(members, phone) {
			names = append(names, group)
		}
	}
	slices.Sort(names)
	return names
}

// commandsOf lists the commands of a phone.
func commandsOf(v *bridge.View) []CommandDocument {
	all := []CommandDocument{}
	for _, verb := range snom.Verbs() {
		help := verb.Help()
		_, example, _ := strings.Cut(help.Example, " ")
		all = append(all, CommandDocument{
			Command: string(verb), Summary: help.Summary, Plain: help.Plain, JSON: help.JSON, Example: example,
			Disabled: verb.Gated() && !v.Config.Allow[verb], Masked: v.Config.Mask[verb],
		})
	}
	return all
}

// CodesDocument is the answer of GET /api/codes.
type CodesDocument struct {
	Codes []CodeDocument `json:"codes"`
}

// A CodeDocument explains a code of a result.
type CodeDocument struct {
	Code    string `json:"code"`
	Sent    string `json:"sent"` // yes, no or perhaps: whether the phone received a request
	Meaning string `json:"meaning"`
	Advice  string `json:"advice"`
}

// codesIn lists the codes in a language.
func codesIn(lang string) []CodeDocument {
	all := []CodeDocument{}
	for _, c := range bridge.Codes() {
		all = append(all, CodeDocument{
			string(c.Code), c.Sent, about(lang, "code ", string(c.Code), c.Meaning), about(lang, "advice ", string(c.Code), c.Advice),
		})
	}
	return all
}

func (h *handler) codes(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusOK, CodesDocument{codesIn(language(r))})
}

// LogDocument is the answer of GET /api/log.
type LogDocument struct {
	Lines []Line `json:"lines"`
	Last  uint64 `json:"last"` // the number of the last line there is
}

// searchOf reads what lines of the log a request asks for.
func searchOf(r *http.Request) search {
	q := r.URL.Query()
	s := search{text: q.Get("q")}
	if slices.Contains(loglevel.Names(), q.Get("level")) {
		s.level = q.Get("level")
	}
	s.after, _ = strconv.ParseUint(q.Get("after"), 10, 64) // what is no number is no bound
	return s
}

func (h *handler) logLines(w http.ResponseWriter, r *http.Request) {
	if refuses(w, "level", r.URL.Query()["level"], loglevel.Names()) {
		return
	}
	d := LogDocument{Lines: []Line{}}
	var found []Line
	found, d.Last = h.Journal.find(searchOf(r))
	d.Lines = append(d.Lines, found...)
	writeJSON(w, http.StatusOK, d)
}

// downloadLog answers with the lines as a text file.
func (h *handler) downloadLog(w http.ResponseWriter, r *http.Request) {
	if refuses(w, "level", r.URL.Query()["level"], loglevel.Names()) {
		return
	}
	found, _ := h.Journal.find(searchOf(r))
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Disposition", `attachment; filename="snom2mqtt-`+time.Now().Format("2006-01-02-150405")+`.log"`)
	for _, l := range found {
		if _, err := w.Write([]byte(l.Text + "\n")); err != nil {
			return // the client has gone
		}
	}
}

// report answers with what belongs to a report of a fault, as a zip file.
func (h *handler) report(w http.ResponseWriter, r *http.Request) {
	if h.Report == nil {
		answer(w, http.StatusNotFound, "not found", "this program makes no reports")
		return
	}
	w.Header().Set("Content-Type", "application/zip")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Disposition", `attachment; filename="snom2mqtt-report.zip"`)
	if err := h.Report(r.Context(), w); err != nil {
		panic(http.ErrAbortHandler) // a file that is cut off must not look complete
	}
}
