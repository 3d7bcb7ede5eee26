package bridge

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// All is the name of the built-in group of every phone.
const All = "all"

// Config is what a bridge is made of. Durations that are zero take the default named beside them.
type Config struct {
	Tree    mqtt.Tree
	Publish mqtt.Publisher
	Log     *slog.Logger
	Level   *slog.LevelVar // what the log_level request sets; nil: refused
	Version string
	// Process names this process and no other; random when empty. By it a bridge knows another one
	// that uses the same topics.
	Process string
	// Features are named in bridge/info.
	Features []string
	Rules    Rules
	// QueueLength is how many commands may wait for one phone; 32.
	QueueLength int
	// Gap is left between two requests to one phone; none when zero.
	Gap time.Duration
	// LookEvery is the time between two looks at a phone that says nothing; 60 s.
	LookEvery time.Duration
	// RingTimeout and CallTimeout are how long a call is believed to ring, and to last, when the
	// phone says nothing of it any more; 120 s and 4 h.
	RingTimeout, CallTimeout time.Duration
	// Events says that phones can tell what happens at them; see [Bridge.Event].
	Events bool
	// ActionURLs returns what a phone is to call when something happens at it; nil: nothing.
	ActionURLs func(ctx context.Context, phone string) ([]actionurl.URL, error)
	// AnyTransfer carries out the completion of a transfer that this bridge did not start.
	AnyTransfer bool
	// Reload reads the phones again; nil: there is nothing to reload.
	Reload func() (Roster, error)
	// Enlisted is called after a reload took effect, and may wait; nil: nobody wants to know.
	Enlisted func(context.Context)
	// Learned is called when a phone came within reach, went, told what it is, or became another bridge's
	// or ours again. It must not block nor ask the bridge anything; nil: nobody wants to know.
	Learned func()
	// Observe is told what happens, to count it; nil: nobody is.
	Observe Observer
}

// A Roster is the phones and groups of a bridge.
type Roster struct {
	Phones []PhoneConfig
	Groups map[string][]string // name to members; All is built in
}

// PhoneConfig is one phone of a [Roster].
type PhoneConfig struct {
	Name    string // [a-z0-9][a-z0-9_-]{0,63}
	Phone   Phone
	Model   snom.Model         // the zero Model: not set, learned from the phone
	Dialect snom.Dialect       // zero: that of the model
	HTTPS   bool               // the phone is spoken to by https
	Allow   map[snom.Verb]bool // gated commands that are open
	Mask    map[snom.Verb]bool // commands whose argument is not shown
	// Same and Login tell on a reload whether this is the phone it was: equal texts are equal
	// settings, of everything and of what decides whether a login succeeds. A phone that refused
	// our login is tried again when Login has changed.
	Same, Login string
}

// A Bridge takes commands to phones and answers each of them once.
type Bridge struct {
	cfg     Config
	started time.Time
	roster  atomic.Pointer[roster]
	lookout lookout
	lookers chan struct{} // one element for each look under way
	workers sync.WaitGroup
	desk    chan deskRequest
	slow    chan struct{} // one element for each slow request to the bridge

	deskMu     sync.RWMutex
	deskClosed bool

	ctx    func() context.Context // of requests that are under way; ends only when the stop takes too long
	giveUp context.CancelFunc

	reloading sync.Mutex
	stopped   bool     // guarded by reloading
	logged    sync.Map // topics whose retained command was logged; bounded by retainedLogged
	retained  atomic.Int64

	handling spell // of Handle
	asked    spell // of the desk

	claims claims
	mixed  sync.Once // the base topic is shared with bridges that have an instance
	twin   twin
}

// retainedLogged bounds how many topics are remembered as logged.
const retainedLogged = 1000

// roster is what [Bridge.Handle] looks names up in. It is replaced, never changed.
type roster struct {
	phones map[string]*worker
	groups map[string][]string
	names  []string // of phones, sorted
}

// answered is a request with its result, on the way to the topics.
type answered struct {
	request *request
	result  *Result
}

// New returns a bridge for the phones of r. It is quiet until [Bridge.Run].
func New(cfg Config, r Roster) *Bridge {
	if cfg.QueueLength == 0 {
		cfg.QueueLength = 32
	}
	if cfg.LookEvery == 0 {
		cfg.LookEvery = time.Minute
	}
	if cfg.RingTimeout == 0 {
		cfg.RingTimeout = 120 * time.Second
	}
	if cfg.CallTimeout == 0 {
		cfg.CallTimeout = 4 * time.Hour
	}
	if cfg.Process == "" {
		cfg.Process = rand.Text()
	}
	if cfg.Observe == nil {
		cfg.Observe = nobody{}
	}
	b := &Bridge{
		cfg:     cfg,
		started: time.Now(),
		lookout: lookout{wake: make(chan struct{}, 1)},
		lookers: make(chan struct{}, lookers),
		desk:    make(chan deskRequest, deskWaiting),
		slow:    make(chan struct{}, deskSlow),
		claims:  claims{us: cfg.Tree.Instance},
	}
	b.twin.b = b
	// Requests under way outlive the signal to stop; see Run.
	ctx, cancel := context.WithCancel(context.Background())
	b.ctx, b.giveUp = func() context.Context { return ctx }, cancel
	b.roster.Store(&roster{})
	b.enlist(r)
	return b
}

// enlist makes r the bridge's roster, and returns the workers that are new and those that went.
func (b *Bridge) enlist(r Roster) (came, changed, went []*worker) {
	old := b.roster.Load()
	next := &roster{phones: make(map[string]*worker, len(r.Phones)), groups: make(map[string][]string, len(r.Groups)+1)}
	for _, p := range r.Phones {
		w := old.phones[p.Name]
		switch {
		case w == nil:
			w = newWorker(b, p)
			came = append(came, w)
		case w.replace(p):
			changed = append(changed, w)
		}
		next.phones[p.Name] = w
		next.names = append(next.names, p.Name)
	}
	slices.Sort(next.names)
	for group, members := range r.Groups {
		for _, m := range members {
			if next.phones[m] != nil && !slices.Contains(next.groups[group], m) {
				next.groups[group] = append(next.groups[group], m)
			}
		}
	}
	next.groups[All] = next.names
	b.roster.Store(next)
	for name, w := range old.phones {
		if next.phones[name] == nil {
			went = append(went, w)
		}
	}
	return came, changed, went
}

// Handle takes one message. It never blocks, and every command is answered once: later, by the
// phone's worker, or at once, when it is refused.
func (b *Bridge) Handle(m mqtt.Message) {
	b.handling.begin(b.started)
	defer b.handling.end()
	now := time.Now()
	a := b.cfg.Tree.Read(m.Topic)
	switch a.Kind {
	case mqtt.KindOwner:
		b.claimed(a.Name, m)
		return
	case mqtt.KindInfo:
		b.twin.heard(m, now)
		return
	}
	if b.twin.aside() {
		return // the other one answers
	}
	switch a.Kind {
	case mqtt.KindCommand:
		b.command(a, m, now)
	case mqtt.KindRequest:
		b.ask(a.Action, m, now)
	case mqtt.KindUnreadable:
		b.refuse("", "", m, fmt.Sprintf("the topic %q cannot be read: want %s", shown(m.Topic), b.cfg.Tree.Command("<phone>", "<command>")), now)
	}
}

// command plans an order for every phone it names, and hands it to their workers.
func (b *Bridge) command(a mqtt.Address, m mqtt.Message, now time.Time) {
	if m.Retained {
		b.logRetained(m.Topic)
	}
	r := b.roster.Load()
	w, members := r.phones[a.Name], r.groups[a.Name]
	if w == nil && members == nil {
		b.refuse(a.Name, a.Command, m, fmt.Sprintf("no phone and no group is called %q", a.Name), now)
		return
	}
	if b.claims.taken(a.Name) {
		return // the bridge that claimed the name answers
	}
	o := decode(a.Command, m.Payload)
	if w != nil {
		w.take(o, nil, m.Retained, now)
		return
	}
	members = b.served(members)
	g := &gathering{group: a.Name, members: members, order: o, received: now, codes: make(map[string]Code, len(members))}
	g.argument = b.groupArgument(r, members, o)
	if len(members) == 0 {
		s := g.summary(Time{Time: now})
		s.OK, s.Code, s.Message = false, Forbidden, "every phone of this group is claimed by another bridge"
		b.publishSummary(s)
		return
	}
	for _, name := range members {
		r.phones[name].take(o, g, m.Retained, now)
	}
}

// groupArgument is the argument as a group's summary shows it: secret if it is so for any member.
func (b *Bridge) groupArgument(r *roster, members []string, o order) string {
	argument := o.raw
	if o.fault == nil {
		argument = o.command.Argument()
	}
	for _, name := range members {
		if cfg := r.phones[name].config(); argument != "" && cfg.secret(o) {
			return mask
		}
	}
	return argument
}

// refuse answers a command that names no phone of ours, on a topic of the bridge: never on one
// made from the input.
func (b *Bridge) refuse(name, command string, m mqtt.Message, message string, now time.Time) {
	o := decode(command, m.Payload)
	code := UnknownPhone
	if m.Retained {
		code, message = Retained, retainedCommand
	}
	b.publish(mqtt.Message{Topic: b.cfg.Tree.BridgeResult(), Payload: encode(Result{
		ID: o.id, Phone: shown(name), Command: o.name, Code: code, Message: message, Time: Time{Time: now},
	})})
	b.cfg.Observe.Answered(Result{Code: code})
}

// logRetained tells once per topic that somebody publishes retained commands.
func (b *Bridge) logRetained(topic string) {
	if b.retained.Load() >= retainedLogged {
		return
	}
	if _, again := b.logged.LoadOrStore(topic, true); !again {
		b.retained.Add(1)
		b.cfg.Log.Warn("retained command refused: publish commands without retain, and clear the topic", slog.String("topic", topic))
	}
}

// deliver publishes results, and summaries of groups that are complete.
func (b *Bridge) deliver(done []answered) {
	for _, d := range done {
		b.publish(mqtt.Message{Topic: b.cfg.Tree.Result(d.result.Phone), Payload: encode(d.result)})
		b.cfg.Observe.Answered(*d.result)
		if g := d.request.group; g != nil {
			if s, complete := g.add(d.result); complete {
				b.publishSummary(s)
			}
		}
	}
}

func (b *Bridge) publishSummary(s Summary) {
	s.Instance = b.cfg.Tree.Instance
	payload := encode(s)
	if len(payload) > mqtt.MaxPublish { // thousands of members: those that were ok go without saying
		s.Members = maps.Clone(s.Members)
		maps.DeleteFunc(s.Members, func(_ string, c Code) bool { return c == OK })
		payload = encode(s)
	}
	if len(payload) > mqtt.MaxPublish { // each has its own result, too
		s.Members = nil
		payload = encode(s)
	}
	b.publish(mqtt.Message{Topic: b.cfg.Tree.Result(s.Group), Payload: payload})
}

func (b *Bridge) publish(m mqtt.Message) {
	if !b.cfg.Publish.Publish(m) {
		b.cfg.Log.Debug("message not taken", slog.String("topic", m.Topic)) // the session counts them and tells
	}
}

// Reload reads the phones again and works with those from now on. When they cannot be read, or
// are at fault, nothing changes. What waits for a phone that is gone is answered cancelled.
func (b *Bridge) Reload(ctx context.Context) error {
	b.reloading.Lock()
	defer b.reloading.Unlock()
	if b.stopped {
		return errors.New("the bridge is stopping")
	}
	if b.cfg.Reload == nil {
		return errors.New("the phones come from settings that cannot be read again")
	}
	r, err := b.cfg.Reload()
	if err != nil {
		b.cfg.Log.Error("reload changes nothing", slog.Any("err", err))
		return err
	}
	came, changed, went := b.enlist(r)
	for _, w := range went {
		w.remove()
	}
	if b.cfg.Enlisted != nil {
		b.cfg.Enlisted(ctx)
	}
	b.claimNew(ctx, came)
	for _, w := range append(came, changed...) {
		w.tell()
		w.lookIn(0)
	}
	b.publishInfo()
	b.cfg.Log.Info("phones reloaded", slog.Int("came", len(came)), slog.Int("changed", len(changed)), slog.Int("went", len(went)))
	return nil
}

// Phones returns the settings of every phone that is served, by name.
func (b *Bridge) Phones() []PhoneConfig {
	r := b.roster.Load()
	var all []PhoneConfig
	for _, name := range b.served(r.names) {
		all = append(all, r.phones[name].config())
	}
	return all
}

// Names returns the names that commands may be sent to: those of phones and of groups, sorted.
func (b *Bridge) Names() []string {
	r := b.roster.Load()
	names := slices.AppendSeq(slices.Clone(r.names), maps.Keys(r.groups))
	slices.Sort(names)
	return names
}

// Republish publishes the truth again: what the bridge is, and what is known of every phone.
// Never results, never events: those were said once. It is called when the broker has delivered
// what it had kept, and so the phones of this instance are claimed here.
func (b *Bridge) Republish() {
	b.publishInfo()
	r := b.roster.Load()
	b.claim(r.names...)
	for _, name := range r.names {
		r.phones[name].tell()
	}
}

// Info is the retained document that says what this bridge is.
type Info struct {
	Version   string              `json:"version"`
	Process   string              `json:"process"` // this process and no other
	Started   Time                `json:"started"`
	BaseTopic string              `json:"base_topic"`
	Instance  string              `json:"instance,omitempty"`
	Phones    []string            `json:"phones"`
	Groups    map[string][]string `json:"groups"`
	Features  []string            `json:"features"`
	// Foreign are phones of ours that another bridge has claimed, each with its instance: they
	// are not served.
	Foreign map[string]string `json:"foreign,omitempty"`
}

func (b *Bridge) publishInfo() {
	r := b.roster.Load()
	info := Info{
		Version: b.cfg.Version, Process: b.cfg.Process, Started: Time{Time: b.started}, BaseTopic: b.cfg.Tree.Base, Instance: b.cfg.Tree.Instance,
		Phones: append([]string{}, r.names...), Groups: r.groups, Features: append([]string{}, b.cfg.Features...),
		Foreign: b.claims.foreign(),
	}
	payload := encode(info)
	if len(payload) > mqtt.MaxPublish { // thousands of phones: their own topics name them
		info.Phones, info.Groups, info.Foreign = nil, nil, nil
		payload = encode(info)
	}
	b.publish(mqtt.Message{Topic: b.cfg.Tree.Info(), Payload: payload, Retained: true})
}

// Run looks at the phones and serves requests to the bridge until ctx ends. Then nothing new is
// taken, what waits is answered cancelled, and what is under way may end; Run returns when every
// command has its answer. Where ctx has ended before, that is all it does.
func (b *Bridge) Run(ctx context.Context) error {
	if ctx.Err() == nil {
		for _, w := range b.roster.Load().phones {
			w.lookIn(0)
		}
	}
	var watching sync.WaitGroup
	watching.Go(func() { b.watch(ctx) })
	b.serveDesk(ctx)
	watching.Wait()
	b.reloading.Lock()
	b.stopped = true // no phone joins any more
	b.reloading.Unlock()
	b.twin.stop()
	for _, w := range b.roster.Load().phones {
		w.close("the bridge is stopping")
	}
	patience := time.AfterFunc(stopPatience, b.giveUp)
	defer patience.Stop()
	b.workers.Wait()
	b.giveUp()
	return nil
}

// stopPatience is how long a request to a phone may still take when the bridge stops.
const stopPatience = 10 * time.Second
