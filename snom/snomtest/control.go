package snomtest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A State is what a user in front of the phone sees, and what its log shows.
type State struct {
	Name         string   `json:"name"`
	Model        string   `json:"model"`
	Firmware     string   `json:"firmware"`
	MAC          string   `json:"mac"`
	Down         bool     `json:"down"`
	Locked       bool     `json:"locked"`
	Fault        Fault    `json:"fault"`
	Encoding     Encoding `json:"encoding"`
	Calls        []Call   `json:"calls"`  // the newest last
	Lifted       bool     `json:"lifted"` // the handset
	DND          bool     `json:"dnd"`
	Forward      string   `json:"forward"`    // where calls go; empty: nowhere
	Registered   []bool   `json:"registered"` // per line
	Missed       int      `json:"missed"`
	PlayingMS    int64    `json:"playing_ms"`
	Requests     int      `json:"requests"`
	FailedLogins int      `json:"failed_logins"`

	ListensTo    []string     `json:"listens_to"`   // multicast addresses
	Announcement Announcement `json:"announcement"` // that is played, or was last
}

// State returns what is to be seen of the phone now.
func (p *Phone) State() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	s := State{
		Name: p.config.Name, Model: p.config.Model, Firmware: p.config.Firmware, MAC: p.config.MAC,
		Down: p.down, Locked: p.login.locked(now), Fault: p.fault, Encoding: p.config.Encoding,
		Calls: make([]Call, 0, len(p.panel.calls)), Lifted: p.panel.lifted, DND: p.panel.dnd, Forward: p.panel.forward,
		Registered: append([]bool(nil), p.panel.registered...), Missed: p.panel.missed,
		PlayingMS: p.playing(now).Milliseconds(), Requests: len(p.requests), FailedLogins: p.login.failed,
		ListensTo: p.listensTo(), Announcement: p.announced(now),
	}
	for _, c := range p.panel.calls {
		s.Calls = append(s.Calls, *c)
	}
	return s
}

// ControlHandler serves an HTTP interface that plays calls at phones. It requires no password: serve it on a
// loopback address. Web pages of other origins are refused.
//
//	GET  /                        what can be asked for
//	GET  /phones                  the State of each phone, as JSON
//	GET  /phones/<name>           of one
//	GET  /phones/<name>/requests  its Requests
//	GET  /phones/<name>/actions   its Actions
//	GET  /phones/<name>/screen    what its minibrowser shows, as text
//	GET  /phones/<name>/picture   the picture on it
//	GET  /phones/<name>/heard.wav what it played last of what came to its multicast addresses
//	POST /phones/<name>/<operation>    see there; answers the State after it
//
// What an operation needs stands in the query or a form, where a semicolon and the plus in front of a number
// may stand as they are. The answer is 404 where there is no such phone or operation, 400 for a value that
// cannot be, 409 when there is nothing to do it to, for example no call to answer; the reason is in the
// member "error".
func ControlHandler(phones ...*Phone) http.Handler {
	c := control(phones)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte(controlHelp(phones))) // a reader that left needs no help
	})
	mux.HandleFunc("GET /phones", func(w http.ResponseWriter, _ *http.Request) {
		states := make([]State, 0, len(phones))
		for _, p := range phones {
			states = append(states, p.State())
		}
		writeJSON(w, http.StatusOK, states)
	})
	mux.HandleFunc("GET /phones/{name}", c.document(func(p *Phone, _ *http.Request) (any, error) { return p.State(), nil }))
	mux.HandleFunc("GET /phones/{name}/requests", c.document(func(p *Phone, _ *http.Request) (any, error) { return p.Requests(), nil }))
	mux.HandleFunc("GET /phones/{name}/actions", c.document(func(p *Phone, _ *http.Request) (any, error) { return p.Actions(), nil }))
	mux.HandleFunc("GET /phones/{name}/screen", c.file("", func(p *Phone) (string, []byte) {
		return "text/plain; charset=utf-8", []byte(p.Screen())
	}))
	mux.HandleFunc("GET /phones/{name}/picture", c.file("it shows no picture", func(p *Phone) (string, []byte) {
		file, _ := p.Picture()
		return http.DetectContentType(file), file
	}))
	mux.HandleFunc("GET /phones/{name}/heard.wav", c.file("it has played nothing", func(p *Phone) (string, []byte) {
		return "audio/wav", p.HeardWAV()
	}))
	all := operations()
	mux.HandleFunc("POST /phones/{name}/{operation}", c.document(func(p *Phone, r *http.Request) (any, error) {
		d, ok := all[r.PathValue("operation")]
		if !ok {
			return nil, errUnknown
		}
		in := readRequest(r)
		if err := d.do(p, func(name string) string { v, _ := in.get(name); return v }); err != nil {
			return nil, err
		}
		return p.State(), nil
	}))
	return http.NewCrossOriginProtection().Handler(mux)
}

// control serves what is asked of phones by their names.
type control []*Phone

// phone returns the phone that a request names; nil: there is none.
func (c control) phone(r *http.Request) *Phone {
	for _, p := range c {
		if p.Name() == r.PathValue("name") {
			return p
		}
	}
	return nil
}

// document serves what answer returns for the phone that the request names, as JSON.
func (c control) document(answer func(*Phone, *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := errUnknown
		var v any
		if p := c.phone(r); p != nil {
			v, err = answer(p, r)
		}
		if err != nil {
			writeJSON(w, statusOf(err), map[string]string{"error": err.Error()})
			return
		}
		writeJSON(w, http.StatusOK, v)
	}
}

// file serves a file of the phone that the request names. Where it has none and missing says so, the answer is 404.
func (c control) file(missing string, of func(*Phone) (kind string, file []byte)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p := c.phone(r)
		if p == nil {
			writeJSON(w, http.StatusNotFound, map[string]string{"error": errUnknown.Error()})
			return
		}
		kind, file := of(p)
		if file == nil && missing != "" {
			writeJSON(w, http.StatusNotFound, map[string]string{"error": missing})
			return
		}
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(file) // a reader that left needs no answer
	}
}

// number is the value of that name; one that begins with a space was a plus before it was unescaped.
func number(value func(string) string) string {
	n := value("number")
	if rest, ok := strings.CutPrefix(n, " "); ok {
		return "+" + rest
	}
	return n
}

// errUnknown and errNothing become 404 and 409.
var (
	errUnknown = errors.New("no such phone or operation; GET / lists them")
	errNothing = errors.New("the phone is not in a state to do that")
)

func statusOf(err error) int {
	switch {
	case errors.Is(err, errUnknown):
		return http.StatusNotFound
	case errors.Is(err, errNothing):
		return http.StatusConflict
	}
	return http.StatusBadRequest
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a reader that left needs no answer
}

// An operation is something that can be done at a phone, or to it.
type operation struct {
	needs string // its values, for the help
	what  string
	do    func(p *Phone, value func(string) string) error
}

func operations() map[string]operation {
	plain := func(what string, do func(*Phone) bool) operation {
		return operation{what: what, do: func(p *Phone, _ func(string) string) error { return happened(do(p)) }}
	}
	return map[string]operation{
		"ring":    {"number, name, line, id, all optional", "a call comes in", ring},
		"answer":  plain("the ringing call is answered", (*Phone).Answer),
		"reject":  plain("the ringing call is rejected", (*Phone).Reject),
		"hangup":  plain("the call is ended here", (*Phone).HangUp),
		"hold":    plain("the call is held", (*Phone).HoldCall),
		"unhold":  plain("the held call is taken back", (*Phone).Unhold),
		"offhook": plain("the handset is lifted", (*Phone).OffHook),
		"onhook":  plain("the handset is put down", (*Phone).OnHook),
		"dial": {"number", "a number is dialled", func(p *Phone, value func(string) string) error {
			to := number(value)
			if to == "" {
				return errors.New("number: expected one")
			}
			return happened(p.Dial(to))
		}},
		"remote-answer": {"id, optional", "the called party answers", func(p *Phone, value func(string) string) error {
			return happened(p.RemoteAnswer(value("id")))
		}},
		"remote-hangup": {"id, optional", "the other party hangs up; a ringing call is missed", func(p *Phone, value func(string) string) error {
			return happened(p.RemoteHangUp(value("id")))
		}},
		"dnd": {"on: true or false, optional", "do-not-disturb is switched, or toggled", func(p *Phone, value func(string) string) error {
			if value("on") == "" {
				return happened(p.ToggleDND())
			}
			on, err := strconv.ParseBool(value("on"))
			if err != nil {
				return errors.New("on: expected true or false")
			}
			p.SetDND(on)
			return nil
		}},
		"forward": {"number, empty for nowhere", "calls are forwarded", func(p *Phone, value func(string) string) error {
			p.Forward(number(value))
			return nil
		}},
		"register": {"line: from 1; ok: true or false; both optional", "a line registers, or fails to", func(p *Phone, value func(string) string) error {
			line, err := strconv.Atoi(cmp.Or(value("line"), "1"))
			if err != nil {
				return errors.New("line: expected a whole number")
			}
			ok, err := strconv.ParseBool(cmp.Or(value("ok"), "true"))
			if err != nil {
				return errors.New("ok: expected true or false")
			}
			return happened(p.Register(line, ok))
		}},
		"press": {"keys: as for command.htm?key=", "keys are pressed", func(p *Phone, value func(string) string) error {
			return p.Press(value("keys"))
		}},
		"choose": {"item: its name, or its number from 1", "an item of the menu is chosen", func(p *Phone, value func(string) string) error {
			return happened(p.Choose(value("item")))
		}},
		"type": {"text", "a text is typed into the input that is shown, and confirmed", func(p *Phone, value func(string) string) error {
			return happened(p.TypeText(value("text")))
		}},
		"measure": {"light in lux, temperature in degrees Celsius, both optional", "a D735 reports them to the setting syslog_server", measure},
		"plug": {"module: such as D7C", "an expansion module is connected, behind those that are there", func(p *Phone, value func(string) string) error {
			return p.Plug(value("module"))
		}},
		"long-press": {"key", "a key is held for more than two seconds", func(p *Phone, value func(string) string) error {
			return happened(p.LongPress(value("key")))
		}},
		"fire": {"setting", "an action URL is called by its setting's name", func(p *Phone, value func(string) string) error {
			if !slices.Contains(ActionSettings(), value("setting")) {
				return fmt.Errorf("setting: expected one of %s", strings.Join(ActionSettings(), ", "))
			}
			return happened(p.Fire(value("setting")))
		}},
		"set": {"name, value", "a setting is provisioned", func(p *Phone, value func(string) string) error {
			if value("name") == "" {
				return errors.New("name: expected one")
			}
			p.Set(value("name"), value("value"))
			return nil
		}},
		"reboot": {"down: such as 5s, optional", "the phone reboots", func(p *Phone, value func(string) string) error {
			down, err := time.ParseDuration(cmp.Or(value("down"), p.config.RebootTime.String()))
			if err != nil || down < 0 {
				return errors.New("down: expected a duration such as 5s")
			}
			p.Reboot(down)
			return nil
		}},
		"encoding": {"value: " + joined(Encodings()), "how action URLs say what they say", func(p *Phone, value func(string) string) error {
			e, err := ParseEncoding(value("value"))
			if err == nil {
				p.SetEncoding(e)
			}
			return err
		}},
		"fault": {"value: none, " + joined(FaultNames()), "how the phone fails from now on", func(p *Phone, value func(string) string) error {
			f, err := ParseFault(value("value"))
			if err == nil {
				p.SetFault(f)
			}
			return err
		}},
	}
}

func ring(p *Phone, value func(string) string) error {
	line, err := strconv.Atoi(cmp.Or(value("line"), "1"))
	if err != nil || line < 1 || line > len(p.config.Lines) {
		return fmt.Errorf("line: expected a number from 1 to %d", len(p.config.Lines))
	}
	_, rings := p.Incoming(Call{ID: value("id"), Number: number(value), Name: value("name"), Line: line, Reason: value("reason")})
	return happened(rings)
}

func happened(done bool) error {
	if !done {
		return errNothing
	}
	return nil
}

func joined[T ~string](names []T) string {
	var b strings.Builder
	for i, name := range names {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(name))
	}
	return b.String()
}

// controlHelp says what can be asked for.
func controlHelp(phones []*Phone) string {
	var b strings.Builder
	b.WriteString("Simulated Snom phones.\n\nGET /phones\nGET /phones/<name>\nGET /phones/<name>/requests\nGET /phones/<name>/actions\nGET /phones/<name>/screen\nGET /phones/<name>/picture\nGET /phones/<name>/heard.wav\n\nPhones:")
	for _, p := range phones {
		b.WriteString(" " + p.Name())
	}
	b.WriteString("\n\n")
	all := operations()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "POST /phones/<name>/%s: %s", name, all[name].what)
		if needs := all[name].needs; needs != "" {
			fmt.Fprintf(&b, " (%s)", needs)
		}
		b.WriteString("\n")
	}
	return b.String()
}
