package bridge

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"hash/maphash"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/snom2mqtt/snom2mqtt/fetch"
	"github.com/snom2mqtt/snom2mqtt/internal/loglevel"
	"github.com/snom2mqtt/snom2mqtt/internal/lograte"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/pages"
	"github.com/snom2mqtt/snom2mqtt/picture"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
	"github.com/snom2mqtt/snom2mqtt/snom/multicast"
)

// All is the name of the built-in group of every phone.
const All = "all"

// Config is what a bridge is made of. QueueLength, PollEvery, RingTimeout and CallTimeout must be positive; their defaults
// are those of package config.
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
	// QueueLength is how many commands may wait for one phone.
	QueueLength int
	// Gap is left between two requests to one phone; none when zero.
	Gap time.Duration
	// PollEvery is the time between two polls of a phone from which nothing else comes.
	PollEvery time.Duration
	// AskEvery is the time between two questions to a phone for its state; zero: it is asked by commands only.
	AskEvery time.Duration
	// RingTimeout and CallTimeout are how long a call is assumed to ring, and to last, when no event of it comes any
	// more.
	RingTimeout, CallTimeout time.Duration
	// Events says that phones can send events; see [Bridge.Event].
	Events bool
	// HoldStatus says that no status of a phone is published before [Bridge.Republish]: until then the broker may deliver
	// the retained one of an earlier process, which is taken over.
	HoldStatus bool
	// ActionURLs returns the URLs that a phone requests when something happens at it; nil: none.
	ActionURLs func(ctx context.Context, phone string) ([]actionurl.URL, error)
	// CheckURLs has each phone asked once whether it has any of them, where that costs no failed login.
	CheckURLs bool
	// Pages are what phones fetch from the bridge, and PageURL returns the URL of a phone's pages, to which their id is
	// appended; nil: phones cannot fetch anything.
	Pages   *pages.Store
	NoPages string // why Pages is nil, for results; empty: PHONE_LISTEN is not set
	PageURL func(ctx context.Context, phone string) (string, error)
	// Pictures fetches pictures, from where its rules allow that, and Scaler makes them fit a display.
	Pictures *fetch.Shared
	Scaler   *picture.Scaler
	// PIN reads the file with a PIN that a command names, a file name without a folder.
	PIN func(name string) (string, error)
	// Speaker plays announcements; nil: none are played.
	Speaker Speaker
	// AnyTransfer carries out the completion of a transfer that this bridge did not start.
	AnyTransfer bool
	// Reload, if set, reads the phones again and puts them into effect: see [Bridge.Apply].
	Reload func(context.Context) error
	// Remembered, if set, returns what the phone of that name at that address had reported to an earlier process; empty: it
	// is not known. The status shows it until the phone reports something else.
	Remembered func(name, url string) (model, firmware, mac string)
	// OnSuspend, if set, is called when the machine was suspended: the connection to the broker must be dropped, since what
	// it delivers is of unknown age. Commands expire until [Bridge.Republish] is called. It must not block.
	OnSuspend func()
	// OnChange, if set, is called when a phone's reachability, identity or owner changes. It must not block nor call
	// the bridge.
	OnChange func()
	// OnStandby, if set, is called when the bridge goes into standby, and when it leaves it: see [Bridge.Standby]. It
	// must not block.
	OnStandby func(standby bool)
	// Room returns how many more messages the publisher takes; nil: as many as come. A command for a group whose answers
	// would not fit is refused as a whole.
	Room func() int
	// Observe, if set, is called with what happens, to count it.
	Observe Observer
}

// A Roster is the phones and groups of a bridge.
type Roster struct {
	Phones []PhoneConfig
	Groups map[string][]string // name to members; All is built in
	Macros []Macro
	Paging map[string]multicast.Address // names of phones and groups to what they listen to
	Doors  []DoorConfig
}

// A Bridge takes commands to phones and answers each of them once.
type Bridge struct {
	// New sets these, and nothing changes them.
	cfg     Config
	started time.Time
	limit   *lograte.Limiter // for lines that others can cause; has a mutex of its own
	hasher  hasher           // of what was published

	roster atomic.Pointer[roster] // replaced as a whole, by the holder of applying
	knownLanes
	goroutines

	// Each of these has its own guard, which its type names.
	poller     poller
	requests   requests
	handling   liveness // of Handle
	feed       feed
	clock      suspendDetector
	ids        idBudget // that all phones remember ids in
	claims     claims
	standby    standby
	announcers announcers
	retainedMessages
	counters
	oneAtATime
}

// knownLanes are the lanes of a bridge, by their addresses.
type knownLanes struct {
	applying sync.Mutex       // held while a roster is put into effect
	lanes    map[string]*lane // those of phones that are not configured any more too; guarded by applying
	retired  []retiredLane    // those, the oldest first; guarded by applying
	stopped  bool             // no roster is applied any more; guarded by applying
	laneWorks
	sharedLanes
}

// retainedMessages are those of others that were logged, and those of the bridge itself.
type retainedMessages struct {
	logged    sync.Map     // topics whose retained command was logged; bounded by retainedLogged
	retained  atomic.Int64 // how many they are
	documents documents
}

// counters are what a bridge counts.
type counters struct {
	late       atomic.Uint64 // commands that expired
	large      atomic.Int64  // bytes of large commands that wait
	unanswered atomic.Int64  // answers of group members that are still to come
}

// oneAtATime is held for work that takes memory or time, of which one is done at once.
type oneAtATime struct {
	pictures sync.Mutex // while one is taken of a screen
	checking sync.Mutex // while the action URLs of a phone are read
}

// retainedLogged bounds how many topics are remembered as logged.
const retainedLogged = 1000

// roster is what [Bridge.Handle] looks names up in. It is replaced, never changed.
type roster struct {
	phones map[string]*phone
	groups map[string][]string
	names  []string // of phones, sorted
	macros map[string]*script
	doors  map[string]*door
	masks  bool    // the argument of a command is secret for at least one phone
	left   []*lane // of phones that are not configured any more and of which something matters
	paging map[string]multicast.Address
}

// New returns a bridge for the phones of r. It does nothing by itself until [Bridge.Run].
func New(cfg Config, r Roster) *Bridge {
	if cfg.Process == "" {
		cfg.Process = rand.Text()
	}
	if cfg.Observe == nil {
		cfg.Observe = noObserver{}
	}
	if cfg.OnStandby == nil {
		cfg.OnStandby = func(bool) {}
	}
	b := &Bridge{
		cfg:      cfg,
		started:  time.Now(),
		poller:   poller{wake: make(chan struct{}, 1), slots: make(chan struct{}, pollsAtOnce)},
		requests: newRequests(),
		claims:   claims{instance: cfg.Tree.Instance},
		limit:    lograte.New(cfg.Log),
		hasher:   hasher{maphash.MakeSeed()},
	}
	b.standby.b, b.announcers.b, b.documents.b = b, b, b
	b.clock.start = b.started
	b.goroutines.init()
	b.roster.Store(&roster{})
	b.lanes = make(map[string]*lane, len(r.Phones))
	b.apply(r)
	return b
}

// Revision returns a value that is equal to an earlier one as long as phones, groups, doors and macros are the same.
func (b *Bridge) Revision() any { return b.roster.Load() }

// Handle takes one message, with the meaning of its topic in [Config].Tree. It never blocks, and every command is answered
// once: later, by the phone's lane, or at once, when it is refused.
func (b *Bridge) Handle(a mqtt.Address, m mqtt.Message) {
	b.handling.begin(b.started)
	defer b.handling.end()
	b.handle(a, m, Origin{})
}

// An Origin says what a message that did not come from the broker has beside its payload.
type Origin struct {
	ID     string // for a payload without an id
	DryRun bool   // of a command: the same as dry_run in the payload

	onResult func(*Result) // of a command for a door, gets its result; it must not block
}

// Submit is Handle for a command, or a request to the bridge, that did not come from the broker. It returns the id of the
// answers.
func (b *Bridge) Submit(a mqtt.Address, m mqtt.Message, o Origin) string { return b.handle(a, m, o) }

// handle takes one message, and returns the id of a command or a request.
func (b *Bridge) handle(a mqtt.Address, m mqtt.Message, o Origin) string {
	now := time.Now()
	b.checkClock(now)
	switch a.Kind {
	case mqtt.KindOwner:
		b.claimed(a.Name, m)
		return ""
	case mqtt.KindInfo:
		b.standby.received(m, now)
		b.documents.received(m)
		return ""
	case mqtt.KindDocument:
		b.documents.received(m)
		return ""
	}
	if a.Kind == mqtt.KindStatus && m.Retained {
		b.restore(a.Name, m)
		return ""
	}
	if b.standby.active() {
		return "" // the older process answers
	}
	switch a.Kind {
	case mqtt.KindCommand:
		return b.command(a, m, o, now)
	case mqtt.KindStatus, mqtt.KindAvailability:
		b.echoed(a, m)
	case mqtt.KindRequest:
		return b.ask(a.Action, m, o.ID, now)
	case mqtt.KindUnreadable:
		b.refuse("", "", m, b.unreadable(m.Topic), now)
	}
	return ""
}

// unreadable says what is wrong with a topic that names no phone and no command. Where arguments are secret, it may
// contain one.
func (b *Bridge) unreadable(topic string) string {
	expected := b.cfg.Tree.Command("<phone>", "<command>")
	if strings.HasPrefix(topic, b.cfg.Tree.Request("")) {
		expected = b.cfg.Tree.Request("<action>")
	}
	if hint := b.cfg.Tree.Hint(topic); hint != "" {
		expected += "; " + hint
	}
	if b.roster.Load().masks {
		return "the topic cannot be read: expected " + expected
	}
	return fmt.Sprintf("the topic %q cannot be read: expected %s", shown(topic), expected)
}

// command checks a message for every phone it names, and hands it to their lanes.
func (b *Bridge) command(a mqtt.Address, m mqtt.Message, o Origin, now time.Time) string {
	r := b.roster.Load()
	if d := r.doors[a.Name]; d != nil {
		if m.Topic == b.cfg.Tree.DoorState(d.name) {
			b.documents.received(m) // what the bridge itself has published
			return ""
		}
		if m.Retained {
			b.logRetained(m.Topic)
		}
		return d.take(a.Command, m, o, now)
	}
	if m.Retained {
		b.logRetained(m.Topic)
	}
	p, members := r.phones[a.Name], r.groups[a.Name]
	if p == nil && members == nil {
		if len(m.Payload) == 0 && m.Topic == b.cfg.Tree.DoorState(a.Name) {
			return "" // the bridge itself clears the state of a door that was removed
		}
		b.refuse(a.Name, a.Command, m, fmt.Sprintf("no phone and no group is called %q", a.Name), now)
		return ""
	}
	if b.claims.taken(a.Name) {
		return "" // the bridge that claimed the name answers
	}
	msg := decode(a.Command, m.Payload)
	msg.findMacro(r)
	msg.id, msg.dry = cmp.Or(msg.id, o.ID), msg.dry || o.DryRun
	if p != nil {
		p.take(msg, nil, p.profile.Load().secret(msg), m.Retained, now)
		return msg.id
	}
	if msg.command.Verb().Paged() && r.paging[a.Name].Address != "" {
		b.announceGroup(a.Name, b.served(members), msg, slices.ContainsFunc(members, func(m string) bool { return r.phones[m].profile.Load().secret(msg) }), m.Retained, now)
		return msg.id
	}
	b.commandGroup(a.Name, r, b.served(members), msg, m.Retained, now)
	return msg.id
}

// commandGroup hands a message for a group to each member, or answers it as a whole.
func (b *Bridge) commandGroup(name string, r *roster, members []string, msg message, retained bool, now time.Time) {
	secret := slices.ContainsFunc(members, func(m string) bool { return r.phones[m].profile.Load().secret(msg) })
	g := newGroupResult(name, members, msg, secret, now)
	switch {
	case len(members) == 0:
		b.refuseGroup(g, Forbidden, "every phone of this group is claimed by another bridge")
	case b.crowded(len(members)):
		b.limit.Log(slog.LevelWarn, "crowded", "commands for groups refused: too many answers wait for the broker", slog.String("group", name))
		b.refuseGroup(g, Busy, "too many answers wait for the broker: the command was sent to no member of the group")
	default:
		if c := msg.command; c.Effects().Urgent && !msg.dry && !retained && msg.fault == nil && now.Before(msg.expiry(now, b.cfg.Rules.TTL)) {
			b.endAnnouncements(name, hungUp)
		}
		b.unanswered.Add(int64(len(members)))
		for _, m := range members {
			r.phones[m].take(msg, g, secret, retained, now)
		}
	}
}

// crowded reports whether the answers of so many more members would not fit into what waits for the broker. Half of it is
// left to the answers of commands that name one phone.
func (b *Bridge) crowded(members int) bool {
	return b.cfg.Room != nil && 2*(b.unanswered.Load()+int64(members)) > int64(b.cfg.Room())
}

// take checks a message for this phone: its command goes into the queue, or is refused at once. secret says that the
// argument is not to be shown.
func (p *phone) take(m message, g *groupResult, secret, retained bool, now time.Time) {
	at := p.profile.Load()
	c, refusal := at.admit(m, p.b.cfg.Rules, secret, retained, now)
	c.to, c.group = p, g
	p.b.received(c)
	if refusal.code == "" && p.b.clock.stale.Load() {
		refusal.code, refusal.message = Expired, "it was received over a connection from before the machine was suspended"
	}
	if c.effects.Urgent && !c.dry && refusal.code == Unsupported { // a phone that cannot be driven plays announcements all the same
		p.b.endAnnouncements(p.name, hungUp)
	}
	if refusal.code != "" {
		r := c.answer(refusal.code, refusal.message, now)
		c.deliver(r)
		c.noteResult(r)
		return
	}
	if c.command.Verb().Paged() {
		p.b.announceTo(p.name, c)
		return
	}
	c.enqueue()
}

// hungUp is said of what a hangup ended.
const hungUp = "a hangup ended it"

// refuse answers a command that names no phone of this bridge, on a topic of the bridge: never on one
// made from the input.
func (b *Bridge) refuse(name, command string, m mqtt.Message, message string, now time.Time) {
	msg := decode(command, m.Payload)
	if b.roster.Load().masks {
		msg.hideName()
	}
	code := UnknownPhone
	if m.Retained {
		code, message = Retained, retainedCommand
	}
	b.publishRefusal(&Result{ID: msg.id, Phone: shown(name), Command: msg.name, Code: code, Message: message, Time: Time{Time: now}})
	b.cfg.Observe.Result(Result{Code: code})
	b.limit.Log(slog.LevelInfo, "refused "+string(code), "command refused", slog.Any("code", code), slog.String("err", message))
}

// publishRefusal publishes the result of what names no phone.
func (b *Bridge) publishRefusal(r *Result) {
	b.publish(mqtt.Message{Topic: b.cfg.Tree.BridgeResult(), Payload: encodeResult(r)})
	if b.feed.read() {
		b.feed.send(Update{Result: r})
	}
}

// logRetained logs once per topic that retained commands are published.
func (b *Bridge) logRetained(topic string) {
	if b.retained.Load() >= retainedLogged {
		return
	}
	topic = shown(topic) // a command's name may be long
	if _, again := b.logged.LoadOrStore(topic, true); !again {
		b.retained.Add(1)
		b.cfg.Log.Warn("retained command refused: publish commands without retain, and clear the topic", slog.String("topic", topic))
	}
}

func (b *Bridge) publishSummary(s Summary) {
	s.Instance = b.cfg.Tree.Instance
	payload := encode(s)
	if len(payload) > mqtt.MaxPublish { // thousands of members: those that were ok are omitted
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
		b.cfg.Log.Debug("message dropped", slog.String("topic", m.Topic)) // the session counts them and logs how many
	}
}

// Phones returns the settings of every phone that is served, by name.
func (b *Bridge) Phones() []PhoneConfig {
	r := b.roster.Load()
	var all []PhoneConfig
	for _, name := range b.served(r.names) {
		all = append(all, r.phones[name].profile.Load().PhoneConfig)
	}
	return all
}

// Names returns the names that commands may be sent to: those of phones and of groups, sorted.
func (b *Bridge) Names() []string {
	r := b.roster.Load()
	names := slices.AppendSeq(slices.Clone(r.names), maps.Keys(r.groups))
	names = slices.AppendSeq(names, maps.Keys(r.doors))
	slices.Sort(names)
	return names
}

// Republish publishes the truth again: what the bridge is, and what is known of every phone.
// Never results, never events: those were said once. It is called when the broker has delivered
// what it had kept, and so the phones of this instance are claimed here.
func (b *Bridge) Republish() {
	b.clock.stale.Store(false)
	b.publishInfo(heartbeat{Challenge: b.standby.newChallenge(false)})
	r := b.roster.Load()
	b.claim(r.names...)
	for _, name := range r.names {
		r.phones[name].republish()
	}
	for _, d := range r.doors {
		d.republish()
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
	LogLevel  string              `json:"log_level,omitempty"` // debug, info, warn or error; empty: it cannot be changed
	// Foreign are phones of this bridge that another one has claimed, each with its instance: they
	// are not served.
	Foreign map[string]string `json:"foreign,omitempty"`
	heartbeat
}

func (b *Bridge) publishInfo(beat heartbeat) {
	r := b.roster.Load()
	info := Info{
		Version: b.cfg.Version, Process: b.cfg.Process, Started: Time{Time: b.started}, BaseTopic: b.cfg.Tree.Base, Instance: b.cfg.Tree.Instance,
		Phones: append([]string{}, r.names...), Groups: r.groups, Features: append([]string{}, b.cfg.Features...),
		Foreign: b.claims.foreign(), heartbeat: beat,
	}
	if b.cfg.Level != nil {
		info.LogLevel = loglevel.Name(b.cfg.Level.Level())
	}
	payload := encode(info)
	if len(payload) > mqtt.MaxPublish { // thousands of phones: their own topics name them
		info.Phones, info.Groups, info.Foreign = nil, nil, nil
		payload = encode(info)
	}
	b.Keep(mqtt.Message{Topic: b.cfg.Tree.Info(), Payload: payload, Retained: true}, func() { b.publishInfo(heartbeat{}) })
}

// Run polls the phones and serves requests to the bridge until ctx ends. Then nothing new is
// taken, what waits is answered cancelled, and what is under way may end; Run returns when every
// command has its answer. Where ctx has ended before, that is all it does.
func (b *Bridge) Run(ctx context.Context) error {
	if ctx.Err() == nil {
		phones := b.roster.Load().phones
		for _, p := range phones {
			p.pollIn(time.Duration(len(phones)/100) * startSettle)
		}
	}
	var polling sync.WaitGroup
	polling.Go(func() { b.runPoller(ctx) })
	if b.cfg.AskEvery > 0 && b.cfg.Pages != nil {
		polling.Go(func() { b.runAsking(ctx) })
	}
	b.serveRequests(ctx)
	polling.Wait()
	b.stop()
	timer := time.AfterFunc(stopTimeout, b.giveUp)
	defer timer.Stop()
	b.workers.Wait()
	b.giveUp()
	b.spare.close()
	b.all.Wait()
	b.feed.close()
	return nil
}

// stopTimeout is how long a request to a phone may still take when the bridge stops.
const stopTimeout = 3500 * time.Millisecond

// stop answers everything that waits, and lets nothing new be taken.
func (b *Bridge) stop() {
	b.applying.Lock()
	defer b.applying.Unlock()
	b.stopped = true
	b.standby.stop()
	b.documents.close()
	b.announcers.close(stopping)
	for _, p := range b.roster.Load().phones {
		p.close(stopping)
	}
	for _, l := range b.lanes {
		l.close(stopping)
	}
}

// stopping is said of what is not done because the bridge stops.
const stopping = "the bridge is stopping"

// queueFull is said of a command for which there is no place.
func (b *Bridge) queueFull() string {
	return fmt.Sprintf("the queue of this phone is full: QUEUE_LENGTH is %d", b.cfg.QueueLength)
}
