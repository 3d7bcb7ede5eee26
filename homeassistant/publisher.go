package homeassistant

import (
	"cmp"
	"container/heap"
	"context"
	"crypto/sha256"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/snom2mqtt/snom2mqtt/internal/lograte"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// PublisherConfig configures a [Publisher].
type PublisherConfig struct {
	Bridge  Bridge
	Publish mqtt.Publisher
	// Phones returns what is known of every phone now, without IDs. It must not block, and leaves the slice to the caller.
	Phones func() []Phone
	// Renew publishes everything else that is retained, once more: Home Assistant has started. It must not block.
	Renew func()
	// Memory, if set, keeps identities across restarts.
	Memory Memory
	Log    *slog.Logger
}

// A Publisher keeps the retained documents of this bridge as they should be. Its methods are safe for concurrent use and
// never wait for its work; those of a nil Publisher do nothing.
//
// It reads the documents that the broker retains, so that after a restart it knows what Home Assistant received before,
// and publishes the difference alone. After Home Assistant's birth message it publishes all of them again. Documents are
// made and published one at a time, with a pause between two, never in a burst. A phone that changes costs one document,
// however many phones there are.
type Publisher struct {
	cfg     PublisherConfig
	limited *lograte.Limiter
	wake    chan struct{} // capacity 1: there is something in the inbox

	mu    sync.Mutex
	inbox inbox // guarded by mu

	state publisherState // of Run's goroutine
}

// An inbox is what arrived since Run looked last.
type inbox struct {
	online  bool
	lost    bool               // the connection was lost meanwhile
	proven  time.Time          // when the connection was proven; zero: not since Run looked
	changed bool               // what Phones returns
	birth   bool               // Home Assistant has started
	docs    map[string]arrival // by id; the last of each
	full    bool               // documents were left out: there are more than any bridge has
}

// An arrival is a document, or what stands in its place, that the broker sent.
type arrival struct {
	doc      retainedDoc
	ours     bool
	retained bool // retained before this connection
	foreign  bool // it is the document of another bridge
	sum      digest
}

// Times of a Publisher.
const (
	settleTime  = time.Second            // after a connection, for the retained documents to arrive
	changeTime  = 500 * time.Millisecond // after a change: changes seldom come alone; as long again for each phonesPerChange
	pace        = 50 * time.Millisecond  // between two documents
	nameTime    = 5 * time.Second        // for a phone that is reachable to report its MAC; then its name must do
	healTime    = 3 * time.Second        // after a document was altered; Home Assistant clears one many times in a row
	maxHealTime = 10 * time.Minute       // at most, where two programs alter it in turn
	orphanTime  = 2 * time.Minute        // after the start, for a phone to show what an old document is about
	renewLeast  = time.Second            // after Home Assistant's birth message
	renewSpread = 2 * time.Second        // at random on top, for other bridges do the same
)

// phonesPerChange is how many phones delay a comparison by changeTime.
const phonesPerChange = 2000

// maxTries is how many documents are made between two looks at the inbox, and whether to stop.
const maxTries = 100

// NewPublisher returns a Publisher, which works in [Publisher.Run].
func NewPublisher(cfg PublisherConfig) *Publisher {
	p := &Publisher{cfg: cfg, limited: lograte.New(cfg.Log), wake: make(chan struct{}, 1)}
	p.inbox.docs = map[string]arrival{}
	p.state.init(p)
	return p
}

// Filters returns the topic filters whose messages [Publisher.Handle] takes.
func (p *Publisher) Filters() []string {
	if p == nil {
		return nil
	}
	return []string{p.cfg.Bridge.Status(), p.cfg.Bridge.Filter()}
}

// Handle takes one message, and reports whether it was for the Publisher.
func (p *Publisher) Handle(m mqtt.Message) bool {
	if p == nil {
		return false
	}
	b := p.cfg.Bridge
	if id, ok := b.id(m.Topic); ok {
		a := arrival{retained: m.Retained}
		if a.doc, a.ours = b.read(id, m.Payload); !a.ours {
			a.foreign = foreign(m.Payload)
		}
		if len(m.Payload) > 0 {
			a.sum = sha256.Sum256(m.Payload)
		}
		p.put(func(in *inbox) {
			if _, known := in.docs[id]; !known && len(in.docs) >= maxRetained {
				in.full = true
				return
			}
			in.docs[id] = a
		})
		return true
	}
	if m.Topic != b.Status() {
		return false
	}
	if string(m.Payload) == "online" && !m.Retained {
		p.put(func(in *inbox) { in.birth = true })
	}
	return true
}

// Online notes that there is a connection that delivers.
func (p *Publisher) Online() {
	if p != nil {
		p.put(func(in *inbox) { in.online, in.proven = true, time.Now() })
	}
}

// Offline notes that the connection is gone, and with it perhaps all that the broker retained.
func (p *Publisher) Offline() {
	if p == nil {
		return
	}
	p.put(func(in *inbox) {
		in.online, in.lost, in.proven = false, true, time.Time{}
		clear(in.docs)
	})
}

// Changed notes that what [PublisherConfig.Phones] returns may be different now.
func (p *Publisher) Changed() {
	if p != nil {
		p.put(func(in *inbox) { in.changed = true })
	}
}

// put changes the inbox and wakes Run.
func (p *Publisher) put(change func(in *inbox)) {
	p.mu.Lock()
	change(&p.inbox)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// take empties the inbox.
func (p *Publisher) take() inbox {
	p.mu.Lock()
	defer p.mu.Unlock()
	in := p.inbox
	p.inbox = inbox{online: in.online, docs: map[string]arrival{}}
	return in
}

// Run works until ctx ends. The documents stay at the broker: Home Assistant shows the bridge as unavailable.
func (p *Publisher) Run(ctx context.Context) error {
	if p == nil {
		return nil
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.wake:
		case <-timer.C:
		}
		p.state.receive(p.take())
		if in, ok := p.state.work(); ok {
			timer.Reset(in)
		} else {
			timer.Stop()
		}
	}
}

// publisherState is what Run knows. Its goroutine alone uses it.
type publisherState struct {
	doors    []Door // that the bridge's document has
	p        *Publisher
	retained retained
	document func(Phone) Document // makes the document of a phone

	online bool
	first  time.Time // when the bridge was online first
	settle time.Time // until then, retained documents arrive
	pacing time.Time // until then, no document is published

	compare    time.Time              // when to ask for the phones again; zero: after a change
	stale      bool                   // every document is compared then
	patient    bool                   // no document is cleared: too little is known of some phones
	phones     map[string]*Phone      // as they were then, by name
	seen       map[string]time.Time   // since when a phone is known to be reachable, by name
	doubt      bool                   // the identities have to be found again
	ready      map[string]*identified // the phones that have an identifier, by it; they are not changed
	names      map[string]string      // their identifiers, by name
	remembered map[string]Identity    // what Memory keeps, by name; nil without one
	warned     map[string]bool        // conflicts that are logged, by MAC and names

	renew    time.Time            // when to publish everything again; zero: not now
	renewing bool                 // everything is queued; Renew follows
	queue    []string             // ids whose documents are to be compared or published, in order
	queued   map[string]bool      // those in queue; true: publish it also if it is right
	later    deadlines            // ids that are queued later
	heals    map[string]healState // documents that other clients altered, by id
}

// A healState bounds how often a document that another client alters is published again.
type healState struct {
	last time.Time
	wait time.Duration
}

func (s *publisherState) init(p *Publisher) {
	s.p, s.document = p, p.cfg.Bridge.Phone
	s.retained = retained{p.cfg.Bridge, map[string]retainedDoc{}}
	s.seen = map[string]time.Time{}
	s.queued, s.heals = map[string]bool{}, map[string]healState{}
	if p.cfg.Memory == nil {
		return
	}
	s.remembered = map[string]Identity{}
	for _, i := range p.cfg.Memory.Identities() {
		if i.ID == "" || strings.ContainsFunc(i.ID, func(r rune) bool { return !isPlain(r) }) || mqtt.ValidName(i.Name) != nil {
			continue // of a phone that Home Assistant does not know
		}
		s.remembered[i.Name] = i
		s.retained.put(i.ID, retainedDoc{phone: &Phone{ID: i.ID, Name: i.Name, MAC: i.MAC, Model: i.Model, Firmware: i.Firmware, URL: i.URL}})
	}
}

// receive takes what was in the inbox.
func (s *publisherState) receive(in inbox) {
	now := time.Now()
	if in.lost {
		s.retained.lost()
		s.queue, s.queued, s.later = nil, map[string]bool{}, nil
		s.renewing = false
	}
	s.online = in.online
	if !in.proven.IsZero() {
		if s.first.IsZero() {
			s.first = in.proven
		}
		s.settle = in.proven.Add(settleTime)
		s.compareAt(s.settle)
		s.doubt, s.stale = true, true
	}
	for id, a := range in.docs {
		switch {
		case a.retained:
			s.retained.received(id, a.doc, a.ours)
			s.doubt = true
			s.compareAt(now.Add(s.changeTime())) // of many documents some are late
			if _, wanted := s.ready[id]; wanted && !s.stale {
				s.enqueue(id, false)
			}
		case a.foreign:
			if s.retained.takenOver(id) {
				s.p.limited.Log(slog.LevelWarn, "taken over", "another bridge publishes the discovery document of a phone of this bridge", slog.String("id", id))
			}
		case s.retained.altered(id, a.sum):
			s.heal(id, now)
		}
	}
	if in.full {
		s.p.cfg.Log.Warn("discovery documents ignored: there are too many", slog.Int("count", maxRetained))
	}
	if in.changed {
		s.compareAt(now.Add(s.changeTime()))
	}
	if in.birth && s.renew.IsZero() {
		s.renew = now.Add(renewLeast + rand.N(renewSpread))
	}
}

// changeTime is how long after a change the phones are compared. It grows with their number, as does the work.
func (s *publisherState) changeTime() time.Duration {
	return changeTime + changeTime*time.Duration(len(s.phones))/phonesPerChange
}

// compareAt makes sure that the phones are compared at a time at the latest.
func (s *publisherState) compareAt(at time.Time) {
	if at.Before(s.settle) {
		at = s.settle
	}
	if s.compare.IsZero() || at.Before(s.compare) {
		s.compare = at
	}
}

// heal queues the document of id, which another client altered: soon, and ever later where that goes on.
func (s *publisherState) heal(id string, now time.Time) {
	h := s.heals[id]
	if now.Sub(h.last) > 2*maxHealTime {
		h.wait = 0
	}
	if now.Before(h.last.Add(h.wait)) {
		return // queued already
	}
	h.wait = min(max(2*h.wait, healTime), maxHealTime)
	h.last = now
	if len(s.heals) < maxRetained {
		s.heals[id] = h
	}
	heap.Push(&s.later, deadline{id, now.Add(h.wait)})
}

// work does what is due, one document at most. It returns when there is more to do, and false if only something new
// makes work.
func (s *publisherState) work() (time.Duration, bool) {
	if !s.online {
		return 0, false
	}
	now := time.Now()
	if left := s.settle.Sub(now); left > 0 {
		return left, true
	}
	for len(s.later) > 0 && !s.later[0].at.After(now) {
		s.enqueue(heap.Pop(&s.later).(deadline).id, false)
	}
	if !s.compare.IsZero() && !s.compare.After(now) {
		s.compare = time.Time{}
		s.comparePhones(now)
	}
	if !s.renew.IsZero() && !s.renew.After(now) {
		s.renew, s.renewing = time.Time{}, true
		s.enqueue(s.p.cfg.Bridge.ID(), true)
		for _, id := range s.order() {
			s.enqueue(id, true)
		}
	}
	for tries := 0; len(s.queue) > 0 && !s.pacing.After(now) && tries < maxTries; tries++ {
		id := s.queue[0]
		s.queue = s.queue[1:]
		all := s.queued[id]
		delete(s.queued, id)
		if s.publish(id, all, now) {
			s.pacing = now.Add(pace)
		}
	}
	if s.renewing && len(s.queue) == 0 {
		s.renewing = false
		s.p.cfg.Renew()
	}
	return s.until(now)
}

// until returns when work has more to do.
func (s *publisherState) until(now time.Time) (time.Duration, bool) {
	var next time.Time
	if len(s.queue) > 0 {
		next = now
		if s.pacing.After(now) {
			next = s.pacing
		}
	}
	earlier := func(at time.Time) {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	earlier(s.compare)
	earlier(s.renew)
	if len(s.later) > 0 {
		earlier(s.later[0].at)
	}
	return max(next.Sub(now), 0), !next.IsZero()
}

func (s *publisherState) enqueue(id string, all bool) {
	was, there := s.queued[id]
	s.queued[id] = was || all
	switch {
	case there:
	case id == s.p.cfg.Bridge.ID(): // first: the phones refer to it
		s.queue = slices.Insert(s.queue, 0, id)
	default:
		s.queue = append(s.queue, id)
	}
}

// order returns the identifiers of all phones, in the order of their names.
func (s *publisherState) order() (ids []string) {
	for _, name := range slices.Sorted(maps.Keys(s.names)) {
		ids = append(ids, s.names[name])
	}
	return ids
}

// comparePhones asks for the phones, and queues the documents of those that changed.
func (s *publisherState) comparePhones(now time.Time) {
	phones := s.p.cfg.Phones()
	s.notice(phones, now)
	all := s.stale
	identities := s.doubt || all || len(phones) != len(s.phones)
	s.stale = false
	for i := range phones {
		phones[i].Seen = false // no part of the documents
		old := s.phones[phones[i].Name]
		if old == nil || old.MAC != phones[i].MAC || old.URL != phones[i].URL {
			identities = true
		}
	}
	before := s.phones
	s.phones = make(map[string]*Phone, len(phones))
	for i := range phones {
		s.phones[phones[i].Name] = &phones[i]
	}
	maps.DeleteFunc(s.seen, func(name string, _ time.Time) bool { return s.phones[name] == nil })
	doors := s.p.cfg.Bridge.doors()
	if all || !slices.Equal(doors, s.doors) {
		s.enqueue(s.p.cfg.Bridge.ID(), false)
	}
	s.doors = doors
	if identities {
		s.identify(phones, all, now)
		return
	}
	for _, p := range phones {
		if id, there := s.names[p.Name]; there && *before[p.Name] != p {
			s.update(id, p)
		}
	}
}

// update takes a phone whose identifier stays.
func (s *publisherState) update(id string, p Phone) {
	old := s.ready[id]
	p.ID, p.MAC = id, old.MAC
	p.NoControl, p.Asked = p.NoControl || !p.Asked && p.Model == "" && old.NoControl, false
	p.Model, p.Firmware = cmp.Or(p.Model, old.Model), cmp.Or(p.Firmware, old.Firmware)
	if p != old.Phone {
		s.ready[id] = &identified{p, old.mac}
		s.remember(p, old.mac)
		s.enqueue(id, false)
	}
}

// identify finds the identifiers of all phones, and queues the documents that differ from what they were.
func (s *publisherState) identify(phones []Phone, all bool, now time.Time) {
	about := make(map[string]*Phone, len(s.retained.docs))
	for id, doc := range s.retained.docs {
		if doc.phone != nil {
			about[id] = doc.phone
		}
	}
	settled := func(p Phone) bool {
		since, ok := s.seen[p.Name]
		return ok && now.Sub(since) >= nameTime
	}
	found, conflicts := identify(s.p.cfg.Bridge, phones, about, settled)
	s.warn(conflicts)
	before := s.ready
	s.doubt = false
	s.ready, s.names = make(map[string]*identified, len(before)), make(map[string]string, len(before))
	for r := range found.ready() {
		p := before[r.ID]
		changed := p == nil || p.Phone != r.Phone
		if p == nil || *p != r {
			p = &r
		}
		s.ready[p.ID], s.names[p.Name] = p, p.ID
		s.remember(p.Phone, p.mac)
		s.retained.correctMAC(p.ID, p.mac)
		if all || changed {
			s.enqueue(p.ID, false)
		}
	}
	left := orphanTime - now.Sub(s.first)
	if s.patient = found.waiting > 0 && left > 0; s.patient {
		s.doubt = true
		s.compareAt(now.Add(left))
		return
	}
	for _, id := range slices.Sorted(maps.Keys(s.retained.docs)) {
		if _, wanted := s.ready[id]; !wanted && id != s.p.cfg.Bridge.ID() {
			s.enqueue(id, false)
		}
	}
}

// warn logs the MACs that several phones report, once each.
func (s *publisherState) warn(conflicts map[string][]string) {
	before := s.warned
	s.warned = map[string]bool{}
	for mac, names := range conflicts {
		key := mac + " " + strings.Join(names, " ")
		s.warned[key] = true
		if !before[key] {
			s.p.limited.Log(slog.LevelWarn, "mac conflict", "several phones report one MAC address: Home Assistant identifies them by name",
				slog.String("mac", mac), slog.String("phone", strings.Join(names, " ")))
		}
	}
}

// remember has Memory keep the identity of a phone.
func (s *publisherState) remember(p Phone, mac string) {
	if s.remembered == nil {
		return
	}
	i := Identity{Name: p.Name, ID: p.ID, MAC: mac, Model: p.Model, Firmware: p.Firmware, URL: p.URL}
	if s.remembered[p.Name] == i {
		return
	}
	s.remembered[p.Name] = i
	s.p.cfg.Memory.Remember(i)
}

// forget drops the identities of phones that are gone and had this identifier.
func (s *publisherState) forget(id string) {
	var name string
	if p := s.retained.docs[id].phone; p != nil {
		name = p.Name
	}
	if _, there := s.phones[name]; there || s.remembered[name].ID != id {
		return
	}
	delete(s.remembered, name)
	s.p.cfg.Memory.Forget(name)
}

// publish publishes the document of id if the broker has another one, or in any case, and reports whether it did.
func (s *publisherState) publish(id string, all bool, now time.Time) bool {
	b := s.p.cfg.Bridge
	ready, wanted := s.ready[id]
	var p *Phone
	var d Document
	switch {
	case id == b.ID():
		d = b.Document()
	case wanted:
		d = s.document(ready.Phone)
		if p = &ready.Phone; p.MAC == "" && ready.mac != "" {
			with := ready.Phone
			with.MAC = ready.mac
			p = &with
		}
	default:
		if _, known := s.retained.docs[id]; !known || s.patient {
			return false
		}
		if s.send(mqtt.Message{Topic: b.Topic(id), Retained: true}) {
			s.forget(id)
			delete(s.retained.docs, id)
			delete(s.heals, id)
		}
		return true
	}
	m, doc, differs, again := s.retained.next(id, p, d, now)
	if again > 0 {
		heap.Push(&s.later, deadline{id, now.Add(again)})
	}
	if !differs && !all {
		return false
	}
	if s.send(m) {
		if p != nil {
			s.renamed(id, p.Name)
		}
		s.retained.put(id, doc)
	}
	return true
}

// renamed drops what Memory keeps for the name that a phone had before.
func (s *publisherState) renamed(id, name string) {
	if old := s.retained.docs[id].phone; old != nil && old.Name != name {
		s.forget(id)
	}
}

// send publishes a message. What the broker does not take is tried again with the next change.
func (s *publisherState) send(m mqtt.Message) bool {
	if s.p.cfg.Publish.Publish(m) {
		return true
	}
	s.p.cfg.Log.Warn("discovery document dropped: the outbox is full", slog.String("topic", m.Topic))
	s.stale = true
	return false
}

// notice notes since when phones are reachable. A phone that is and does not report its MAC is compared again when it has
// had the time to.
func (s *publisherState) notice(phones []Phone, now time.Time) {
	for _, p := range phones {
		since, known := s.seen[p.Name]
		switch {
		case !known && !p.Seen:
			continue
		case !known:
			since = now
			s.seen[p.Name] = since
		}
		if left := nameTime - now.Sub(since); p.MAC == "" && s.names[p.Name] == "" {
			s.doubt = true
			if left > 0 {
				s.compareAt(now.Add(left))
			}
		}
	}
}

// deadlines is a heap of identifiers by the time when they are queued.
type deadlines []deadline

type deadline struct {
	id string
	at time.Time
}

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, j int) bool { return d[i].at.Before(d[j].at) }
func (d deadlines) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *deadlines) Push(x any)        { *d = append(*d, x.(deadline)) }

func (d *deadlines) Pop() any {
	last := len(*d) - 1
	x := (*d)[last]
	*d = (*d)[:last]
	return x
}
