package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// An action is something the bridge itself can be asked for.
type action struct {
	name string
	does string
	want string // of its payload
	run  func(b *Bridge, ctx context.Context, ask deskRequest) Response
	slow bool // it waits for a phone, and must not keep others waiting
}

// actions lists them, in the order of the documents.
func actions() []action {
	return []action{
		{name: "ping", does: "answers at once: the bridge is alive and reads its requests", want: "nothing", run: (*Bridge).ping},
		{name: "reload", does: "reads the phones file again; a faulty one changes nothing", want: "nothing", run: (*Bridge).reload},
		{name: "probe", does: "asks a phone what it is, at the cost of no failed login", want: "the name of a phone", run: (*Bridge).probe, slow: true},
		{name: "install", does: "writes the action URLs by which a phone tells its events into it; those that are not this bridge's stay, unless `force` is true",
			want: "the name of a phone, or `{\"phone\":\"kitchen\",\"force\":true}`", run: (*Bridge).install, slow: true},
		{name: "log_level", does: "sets how much is logged", want: "debug, info, warn or error", run: (*Bridge).logLevel},
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
	deskWaiting = 64
	deskSlow    = 16
)

// A deskRequest is one request to the bridge, read.
type deskRequest struct {
	action   action
	id       string
	argument string
	force    bool // of install
	received time.Time
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

// response is the start of every answer to ask.
func (ask deskRequest) response(code Code, message string) Response {
	return Response{ID: ask.id, Action: ask.action.name, OK: code == OK, Code: code, Message: message, Time: Time{Time: time.Now()}}
}

// ask reads a request to the bridge and hands it to the desk. It never blocks.
func (b *Bridge) ask(name string, m mqtt.Message, now time.Time) {
	known := actions()
	i := slices.IndexFunc(known, func(a action) bool { return a.name == name })
	if i < 0 {
		var names []string
		for _, a := range known {
			names = append(names, a.name)
		}
		// Not on a response topic: that would be made from the input.
		b.publish(mqtt.Message{Topic: b.cfg.Tree.BridgeResult(), Payload: encode(Result{Command: shown(name), Code: Invalid,
			Message: fmt.Sprintf("no such request %q: want one of %s", shown(name), strings.Join(names, ", ")), Time: Time{Time: now}})})
		return
	}
	ask := deskRequest{action: known[i], received: now}
	if m.Retained {
		b.logRetained(m.Topic)
		b.respond(ask.response(Retained, "a request must not be retained: a broker replays it at every connection"))
		return
	}
	if err := ask.read(m.Payload); err != nil {
		b.respond(ask.response(Invalid, words(err)))
		return
	}
	b.deskMu.RLock()
	defer b.deskMu.RUnlock()
	if b.deskClosed {
		b.respond(ask.response(Cancelled, "the bridge is stopping"))
		return
	}
	select {
	case b.desk <- ask:
	default:
		b.respond(ask.response(Busy, "too many requests wait"))
	}
}

// read takes the payload: plain text, or a JSON object with id and, under the action's obvious
// name, the argument.
func (ask *deskRequest) read(payload []byte) error {
	if len(payload) > snom.MaxPayload {
		return tooLong()
	}
	if !snom.IsObject(payload) {
		ask.argument = string(payload)
		return nil
	}
	object, err := snom.ParseObject(payload)
	if err != nil {
		return err
	}
	if ask.id, err = identity(object); err != nil {
		return err
	}
	wanted := "id"
	if field := map[string]string{"probe": "phone", "install": "phone", "log_level": "level"}[ask.action.name]; field != "" {
		wanted = field + ", id"
		if ask.argument, err = text(object, field); err != nil {
			return err
		}
	}
	if ask.action.name == "install" {
		wanted = "phone, force, id"
		if raw, ok := object.Take("force"); ok {
			if ask.force, err = strconv.ParseBool(string(raw)); err != nil || len(raw) < len("true") {
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
	b.publish(mqtt.Message{Topic: b.cfg.Tree.Response(r.Action), Payload: encode(r)})
}

// serveDesk answers requests to the bridge, one after the other, until ctx ends; those that still
// wait then are answered too.
func (b *Bridge) serveDesk(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case ask := <-b.desk:
			b.asked.begin(b.started)
			switch {
			case ctx.Err() != nil:
				b.respond(ask.response(Cancelled, "the bridge is stopping"))
			case ask.action.slow:
				b.serveSlowly(ctx, ask)
			default:
				b.respond(ask.action.run(b, ctx, ask))
			}
			b.asked.end()
		case <-ctx.Done():
		}
	}
	b.deskMu.Lock()
	b.deskClosed = true // nobody adds any more
	b.deskMu.Unlock()
	for {
		select {
		case ask := <-b.desk:
			b.respond(ask.response(Cancelled, "the bridge is stopping"))
		default:
			return
		}
	}
}

// serveSlowly answers a request beside the others.
func (b *Bridge) serveSlowly(ctx context.Context, ask deskRequest) {
	select {
	case b.slow <- struct{}{}:
	default:
		b.respond(ask.response(Busy, "too many requests of this kind are under way"))
		return
	}
	b.workers.Go(func() {
		defer func() { <-b.slow }()
		b.respond(ask.action.run(b, ctx, ask))
	})
}

func (b *Bridge) ping(_ context.Context, ask deskRequest) Response {
	return ask.response(OK, "")
}

func (b *Bridge) logLevel(_ context.Context, ask deskRequest) Response {
	var level slog.Level
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, ask.argument) {
		return ask.response(Invalid, fmt.Sprintf("level %q: want debug, info, warn or error", shown(ask.argument)))
	}
	if b.cfg.Level == nil {
		return ask.response(Forbidden, "the log level cannot be changed here")
	}
	if err := level.UnmarshalText([]byte(ask.argument)); err != nil {
		return ask.response(Internal, err.Error())
	}
	b.cfg.Level.Set(level)
	return ask.response(OK, "")
}

func (b *Bridge) reload(ctx context.Context, ask deskRequest) Response {
	if err := b.Reload(ctx); err != nil {
		return ask.response(Invalid, err.Error())
	}
	return ask.response(OK, "")
}

// phoneOf returns the phone that ask is about, or nil and why nothing is asked of it.
func (b *Bridge) phoneOf(ask deskRequest) (*worker, Response) {
	w := b.roster.Load().phones[ask.argument]
	switch {
	case w == nil:
		return nil, ask.response(UnknownPhone, fmt.Sprintf("no phone is called %q: want the name of a phone", shown(ask.argument)))
	case b.claims.taken(w.name):
		return nil, ask.response(Forbidden, "another bridge has claimed this phone")
	}
	return w, Response{}
}

// probe asks one phone what it is.
func (b *Bridge) probe(ctx context.Context, ask deskRequest) Response {
	w, refusal := b.phoneOf(ask)
	if w == nil {
		return refusal
	}
	info, err := w.probe(ctx)
	switch {
	case ctx.Err() != nil:
		return ask.response(Cancelled, "the bridge is stopping")
	case err != nil:
		return ask.response(codeOf(err), words(err))
	}
	r := ask.response(OK, strings.Join(info.Advice, " "))
	r.Data = info
	return r
}

// probe asks the phone what it is, in its turn: a command waits in the queue meanwhile, where it can expire,
// and not behind it at the phone.
func (w *worker) probe(ctx context.Context) (snom.Info, error) {
	phone, err := w.begin(ctx, false)
	if err != nil {
		return snom.Info{}, err
	}
	info, err := phone.Probe(ctx)
	now := time.Now()
	w.end(now, func(n *news) {
		if err == nil {
			n.heard(now)
			n.learn(info, nil)
		}
	})
	return info, err
}
