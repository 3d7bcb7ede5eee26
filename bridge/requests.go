package bridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/snom2mqtt/snom2mqtt/internal/loglevel"
	"github.com/snom2mqtt/snom2mqtt/internal/strictjson"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// An action is something the bridge itself can be asked for.
type action struct {
	name    string
	does    string
	payload string // that it expects
	run     func(b *Bridge, ctx context.Context, r request) Response
	pool    poolKind // of the actions that wait for something; empty: it is answered at once

	member string // of the payload's object that holds the argument; empty: there is no argument
	forced bool   // the payload's object may have the member force, true or false
}

// actions lists them, in the order of the documents.
func actions() []action {
	return []action{
		{name: "ping", does: "answers at once: the bridge runs and reads its requests", payload: "nothing", run: (*Bridge).ping},
		{name: "reload", does: "reads the phones file again; one with errors changes nothing", payload: "nothing", run: (*Bridge).reload, pool: filePool},
		{name: "probe", does: "asks phones what they are, and to which multicast addresses they listen (`listens_to`), at the cost of no failed login; one answer for each phone",
			payload: "the name of a phone or group", run: (*Bridge).probe, pool: phonePool, member: "phone"},
		{name: "install", does: "installs the bridge's action URLs, the phones' `keys`, and the multicast addresses of `paging`, in phones; URLs of other hosts, keys with another use, and other addresses are kept, unless `force` is true; one answer for each phone",
			payload: "the name of a phone or group, or `{\"phone\":\"kitchen\",\"force\":true}`", run: (*Bridge).install, pool: phonePool, member: "phone", forced: true},
		{name: "log_level", does: "sets how much is logged", payload: loglevel.Expected(), run: (*Bridge).logLevel, member: "level"},
	}
}

// ActionDoc says what an action does, for docs/topics.md.
type ActionDoc struct{ Name, Does, Payload string }

// Actions lists what the bridge can be asked for on bridge/request/<action>.
func Actions() []ActionDoc {
	var docs []ActionDoc
	for _, a := range actions() {
		docs = append(docs, ActionDoc{a.name, a.does, a.payload})
	}
	return docs
}

// requestsWaiting is how many requests to the bridge may wait to be looked at.
const requestsWaiting = 64

// A poolKind names the actions that wait for the same kind of thing, so that they do not delay the others.
type poolKind string

// The pools.
const (
	phonePool poolKind = "phone" // one phone each
	filePool  poolKind = "file"
)

// A pool runs requests of one kind beside the others.
type pool struct {
	atOnce  int       // how many run at a time
	most    int       // how many may wait; a request for a group always may where no other waits
	waiting []request // guarded by requests.mu
	running int       // goroutines; guarded by requests.mu
}

// requests are the requests to the bridge that wait.
type requests struct {
	queue chan request
	busy  liveness // of the goroutine that takes them out of the queue

	mu     sync.Mutex
	closed bool               // none is taken any more; guarded by mu
	pools  map[poolKind]*pool // not changed; each pool is guarded by mu
}

// newRequests returns an empty queue. The phones of a request for a group wait one by one.
func newRequests() requests {
	return requests{
		queue: make(chan request, requestsWaiting),
		pools: map[poolKind]*pool{phonePool: {atOnce: 16, most: 4096}, filePool: {atOnce: 1, most: 16}},
	}
}

// A request is one request to the bridge, read.
type request struct {
	action   action
	id       string
	argument string
	phone    *phone // that it is about; nil: none, or the argument has not been looked up
	force    bool   // of actions that are forced
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
	Phone   string `json:"phone,omitempty"` // that the answer is about, if it is about one
}

// response is the start of every answer to r.
func (r request) response(code Code, message string) Response {
	response := Response{ID: r.id, Action: r.action.name, OK: code == OK, Code: code, Message: message, Time: Time{Time: time.Now()}}
	if r.phone != nil {
		response.Phone = r.phone.name
	}
	return response
}

// ask reads a request to the bridge and puts it into the queue. It returns its id; one without gets this one. It never
// blocks.
func (b *Bridge) ask(name string, m mqtt.Message, id string, now time.Time) string {
	known := actions()
	i := slices.IndexFunc(known, func(a action) bool { return a.name == name })
	if i < 0 {
		var names []string
		for _, a := range known {
			names = append(names, a.name)
		}
		// Not on a response topic: that would be made from the input.
		b.publishRefusal(&Result{Command: shown(name), Code: Invalid,
			Message: fmt.Sprintf("no such request %q: expected one of %s", shown(name), strings.Join(names, ", ")), Time: Time{Time: now}})
		return ""
	}
	r := request{action: known[i], id: id}
	if m.Retained {
		b.logRetained(m.Topic)
		b.respond(r.response(Retained, "a request must not be retained: a broker replays it at every connection"))
		return r.id
	}
	err := r.read(m.Payload)
	r.id = cmp.Or(r.id, id)
	if err != nil {
		b.respond(r.response(Invalid, words(err)))
		return r.id
	}
	b.requests.mu.Lock()
	defer b.requests.mu.Unlock()
	if b.requests.closed {
		b.respond(r.response(Cancelled, "the bridge is stopping"))
		return r.id
	}
	select {
	case b.requests.queue <- r:
	default:
		b.respond(r.response(Busy, "too many requests wait"))
	}
	return r.id
}

// read takes the payload: plain text, or a JSON object with id and, under the action's obvious
// name, the argument.
func (r *request) read(payload []byte) error {
	if len(payload) > snom.MaxPayload {
		return tooLong(snom.MaxPayload)
	}
	if !strictjson.IsObject(payload) {
		r.argument = string(payload)
		return nil
	}
	object, err := strictjson.Parse(payload)
	if err != nil {
		return err
	}
	if r.id, err = identity(object); err != nil {
		return err
	}
	expected := []string{"id"}
	if r.action.forced {
		expected = append([]string{"force"}, expected...)
	}
	if field := r.action.member; field != "" {
		expected = append([]string{field}, expected...)
		if raw, ok := object[field]; ok && field == "phone" && strings.HasPrefix(string(raw), "[") {
			return errors.New("phone: expected one name, not a list: a group of the phones file, or all, names several phones")
		}
		if r.argument, err = text(object, field); err != nil {
			return err
		}
	}
	if r.action.forced {
		if raw, ok := object.Take("force"); ok {
			if r.force, err = strconv.ParseBool(string(raw)); err != nil || len(raw) < len("true") {
				return errors.New("force: expected true or false")
			}
		}
	}
	for name := range object {
		return fmt.Errorf("no such member %q: expected %s", shown(name), strings.Join(expected, ", "))
	}
	return nil
}

func (b *Bridge) respond(r Response) {
	b.publish(mqtt.Message{Topic: b.cfg.Tree.Response(r.Action), Payload: encodeResponse(r)})
	if b.feed.read() {
		b.feed.send(Update{Response: &r})
	}
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
			case r.action.pool != "":
				b.serveBeside(ctx, r)
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

// serveBeside answers a request beside the others: one answer for each phone that it names.
func (b *Bridge) serveBeside(ctx context.Context, r request) {
	all := []request{r}
	if r.action.pool == phonePool {
		var refusal Response
		if all, refusal = b.requestsFor(r); len(all) == 0 {
			b.respond(refusal)
			return
		}
	}
	q := &b.requests
	q.mu.Lock()
	p := q.pools[r.action.pool]
	if len(p.waiting) > 0 && len(p.waiting)+len(all) > p.most {
		q.mu.Unlock()
		b.respond(r.response(Busy, "too many requests of this kind wait"))
		return
	}
	p.waiting = append(p.waiting, all...)
	for range min(len(p.waiting), p.atOnce-p.running) {
		p.running++
		b.workers.Go(func() { b.runPool(ctx, p) })
	}
	q.mu.Unlock()
}

// runPool answers requests until none waits. When ctx has ended, they are cancelled.
func (b *Bridge) runPool(ctx context.Context, p *pool) {
	q := &b.requests
	for {
		q.mu.Lock()
		if len(p.waiting) == 0 {
			p.waiting = nil
			p.running--
			q.mu.Unlock()
			return
		}
		r := p.waiting[0]
		p.waiting = p.waiting[1:]
		q.mu.Unlock()
		if ctx.Err() != nil {
			b.respond(r.response(Cancelled, "the bridge is stopping"))
			continue
		}
		b.respond(r.action.run(b, ctx, r))
	}
}

// requestsFor returns r for each phone that it names, in the group's order; none, and why.
func (b *Bridge) requestsFor(r request) (all []request, refusal Response) {
	roster := b.roster.Load()
	names, group := roster.groups[r.argument]
	switch p := roster.phones[r.argument]; {
	case p != nil && b.claims.taken(p.name):
		r.phone = p
		return nil, r.response(Forbidden, "another bridge has claimed this phone")
	case p != nil:
		names = []string{p.name}
	case !group:
		return nil, r.response(UnknownPhone, fmt.Sprintf("no phone and no group is called %q: expected the name of one", shown(r.argument)))
	default:
		if names = b.served(names); len(names) == 0 {
			return nil, r.response(Forbidden, "no phone of this group is served by this bridge")
		}
	}
	for _, name := range names {
		one := r
		one.argument, one.phone = name, roster.phones[name]
		all = append(all, one)
	}
	return all, Response{}
}

func (b *Bridge) ping(_ context.Context, r request) Response {
	return r.response(OK, "")
}

func (b *Bridge) logLevel(_ context.Context, r request) Response {
	level, ok := loglevel.Parse(r.argument)
	if !ok {
		return r.response(Invalid, fmt.Sprintf("level %q: expected %s", shown(r.argument), loglevel.Expected()))
	}
	if b.cfg.Level == nil {
		return r.response(Forbidden, "the log level cannot be changed here")
	}
	b.cfg.Level.Set(level)
	b.publishInfo(heartbeat{})
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
