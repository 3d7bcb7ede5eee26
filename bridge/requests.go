package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// An action is something the bridge itself can be asked for.
type action struct {
	name string
	does string
	want string // of its payload
	run  func(b *Bridge, ctx context.Context, r request) Response
	slow bool // it waits for a phone or for a file, and must not keep others waiting

	member string // of the payload's object that holds the argument; empty: there is no argument
}

// actions lists them, in the order of the documents.
func actions() []action {
	return []action{
		{name: "ping", does: "answers at once: the bridge is alive and reads its requests", want: "nothing", run: (*Bridge).ping},
		{name: "reload", does: "reads the phones file again; a faulty one changes nothing", want: "nothing", run: (*Bridge).reload, slow: true},
		{name: "probe", does: "asks a phone what it is, at the cost of no failed login", want: "the name of a phone", run: (*Bridge).probe, slow: true, member: "phone"},
		{name: "install", does: "writes the action URLs by which a phone tells its events into it; those that are not this bridge's stay, unless `force` is true",
			want: "the name of a phone, or `{\"phone\":\"kitchen\",\"force\":true}`", run: (*Bridge).install, slow: true, member: "phone"},
		{name: "log_level", does: "sets how much is logged", want: "debug, info, warn or error", run: (*Bridge).logLevel, member: "level"},
	}
}

// ActionDoc says what an action does, for docs/topics.md.
type ActionDoc struct{ Name, Does, Payload string }

// Actions lists what the bridge can be asked for on bridge/request/<action>.
func Actions() []ActionDoc {
	var docs []ActionDoc
	for _, a := range actions() {
		docs = append(docs, ActionDoc{a.name, a.does, a.want})
	}
	return docs
}

// How many requests to the bridge may wait, and how many slow ones be under way.
const (
	requestsWaiting = 64
	requestsSlow    = 16
)

// requests are the requests to the bridge that wait.
type requests struct {
	queue chan request
	slow  chan struct{} // one element for each slow one under way
	busy  liveness      // of the goroutine that answers them

	mu     sync.RWMutex
	closed bool // none is taken any more; guarded by mu
}

// A request is one request to the bridge, read.
type request struct {
	action   action
	id       string
	argument string
	force    bool // of install
}

// A Response answers a request to the bridge.
type Response struct {
	ID      string `json:"id"`
	Action  string `json:"action"`
	OK      bool   `json:"ok"`
	Code    Code   `json:"code"`
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
	Time    Time   `json:"time"`
}

// response is the start of every answer to r.
func (r request) response(code Code, message string) Response {
	return Response{ID: r.id, Action: r.action.name, OK: code == OK, Code: code, Message: message, Time: Time{Time: time.Now()}}
}

// ask reads a request to the bridge and puts it into the queue. It never blocks.
func (b *Bridge) ask(name string, m mqtt.Message, now time.Time) {
	known := actions()
	i := slices.IndexFunc(known, func(a action) bool { return a.name == name })
	if i < 0 {
		var names []string
		for _, a := range known {
			names = append(names, a.name)
		}
		// Not on a response topic: that would be made from the input.
		b.publish(mqtt.Message{Topic: b.cfg.Tree.BridgeResult(), Payload: encodeResult(&Result{Command: shown(name), Code: Invalid,
			Message: fmt.Sprintf("no such request %q: want one of %s", shown(name), strings.Join(names, ", ")), Time: Time{Time: now}})})
		return
	}
	r := request{action: known[i]}
	if m.Retained {
		b.logRetained(m.Topic)
		b.respond(r.response(Retained, "a request must not be retained: a broker replays it at every connection"))
		return
	}
	if err := r.read(m.Payload); err != nil {
		b.respond(r.response(Invalid, words(err)))
		return
	}
	b.requests.mu.RLock()
	defer b.requests.mu.RUnlock()
	if b.requests.closed {
		b.respond(r.response(Cancelled, "the bridge is stopping"))
		return
	}
	select {
	case b.requests.queue <- r:
	default:
		b.respond(r.response(Busy, "too many requests wait"))
	}
}

// read takes the payload: plain text, or a JSON object with id and, under the action's obvious
// name, the argument.
func (r *request) read(payload []byte) error {
	if len(payload) > snom.MaxPayload {
		return tooLong()
	}
	if !snom.IsObject(payload) {
		r.argument = string(payload)
		return nil
	}
	object, err := snom.ParseObject(payload)
	if err != nil {
		return err
	}
	if r.id, err = identity(object); err != nil {
		return err
	}
	wanted := "id"
	if field := r.action.member; field != "" {
		wanted = field + ", id"
		if r.argument, err = text(object, field); err != nil {
			return err
		}
	}
	if r.action.name == "install" {
		wanted = "phone, force, id"
		if raw, ok := object.Take("force"); ok {
			if r.force, err = strconv.ParseBool(string(raw)); err != nil || len(raw) < len("true") {
				return errors.New("force: want true or false")
			}
		}
	}
	for name := range object {
		return fmt.Errorf("no such member %q: want %s", shown(name), wanted)
	}
	return nil
}

func (b *Bridge) respond(r Response) {
	b.publish(mqtt.Message{Topic: b.cfg.Tree.Response(r.Action), Payload: encodeResponse(r)})
}

// serveRequests answers requests to the bridge, one after the other, until ctx ends; those that still
// wait then are answered too.
func (b *Bridge) serveRequests(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case r := <-b.requests.queue:
			b.requests.busy.begin(b.started)
			switch {
			case ctx.Err() != nil:
				b.respond(r.response(Cancelled, "the bridge is stopping"))
			case r.action.slow:
				b.serveSlowly(ctx, r)
			default:
				b.respond(r.action.run(b, ctx, r))
			}
			b.requests.busy.end()
		case <-ctx.Done():
		}
	}
	b.requests.mu.Lock()
	b.requests.closed = true // none is added any more
	b.requests.mu.Unlock()
	for {
		select {
		case r := <-b.requests.queue:
			b.respond(r.response(Cancelled, "the bridge is stopping"))
		default:
			return
		}
	}
}

// serveSlowly answers a request beside the others.
func (b *Bridge) serveSlowly(ctx context.Context, r request) {
	select {
	case b.requests.slow <- struct{}{}:
	default:
		b.respond(r.response(Busy, "too many requests of this kind are under way"))
		return
	}
	b.workers.Go(func() {
		defer func() { <-b.requests.slow }()
		b.respond(r.action.run(b, ctx, r))
	})
}

func (b *Bridge) ping(_ context.Context, r request) Response {
	return r.response(OK, "")
}

func (b *Bridge) logLevel(_ context.Context, r request) Response {
	var level slog.Level
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, r.argument) {
		return r.response(Invalid, fmt.Sprintf("level %q: want debug, info, warn or error", shown(r.argument)))
	}
	if b.cfg.Level == nil {
		return r.response(Forbidden, "the log level cannot be changed here")
	}
	if err := level.UnmarshalText([]byte(r.argument)); err != nil {
		return r.response(Internal, err.Error())
	}
	b.cfg.Level.Set(level)
	return r.response(OK, "")
}

func (b *Bridge) reload(ctx context.Context, r request) Response {
	if b.cfg.Reload == nil {
		return r.response(Invalid, "the phones come from settings that cannot be read again")
	}
	if err := b.cfg.Reload(ctx); err != nil {
		return r.response(Invalid, err.Error())
	}
	return r.response(OK, "")
}

// phoneOf returns the phone that r is about, or nil and why nothing is asked of it.
func (b *Bridge) phoneOf(r request) (*phone, Response) {
	p := b.roster.Load().phones[r.argument]
	switch {
	case p == nil:
		return nil, r.response(UnknownPhone, fmt.Sprintf("no phone is called %q: want the name of a phone", shown(r.argument)))
	case b.claims.taken(p.name):
		return nil, r.response(Forbidden, "another bridge has claimed this phone")
	}
	return p, Response{}
}
