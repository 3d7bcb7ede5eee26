package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/snom2mqtt/snom2mqtt/callstate"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// How often a status is published that differs from the one before in its last result only: once a second for a
// phone, and so often in a second for all of them.
const (
	statusAtMost   = time.Second
	statusesAtMost = 200
)

// statusEvery is the time between two such statuses of a phone.
func (b *Bridge) statusEvery() time.Duration {
	return max(statusAtMost, time.Duration(len(b.roster.Load().names))*time.Second/statusesAtMost)
}

// A Status is what is known of a phone. What is not known is null.
type Status struct {
	Phone     string `json:"phone"`
	Reachable Switch `json:"reachable"`
	Model     Text   `json:"model"`
	Firmware  Text   `json:"firmware"`
	MAC       Text   `json:"mac"`
	callstate.Status
	LastResult *LastResult `json:"last_result"`
	Time       Time        `json:"time"`
	// Silent is set where phones have no way to tell us of their calls: all of callstate.Status is not
	// known then.
	Silent bool `json:"-"`
}

// MarshalJSON writes null for what is not known.
func (s Status) MarshalJSON() ([]byte, error) {
	type plain Status
	if !s.Silent {
		return json.Marshal(plain(s))
	}
	// Fields of the outer struct stand before those of the same name inside.
	return json.Marshal(struct {
		plain
		Call   *callstate.Call `json:"call"`
		Calls  *int            `json:"calls"`
		Missed *int            `json:"missed"`
	}{plain: plain(s)})
}

// The payloads of availability.
const (
	online  = "online"
	offline = "offline"
)

// status is what is known of the phone now. The caller holds the lock.
func (w *worker) status(now time.Time) Status {
	model := w.news.info.Model
	if model == "" {
		model = w.cfg.Model.Name()
	}
	return Status{
		Phone: w.name, Reachable: w.news.reachable, Model: Text(model),
		Firmware: Text(w.news.info.Firmware), MAC: Text(w.news.info.MAC),
		Status: w.news.state().Status(), LastResult: w.news.lastResult, Time: Time{Time: now},
		Silent: !w.b.cfg.Events,
	}
}

// update changes what is known of the phone, and publishes what that changes for others.
func (w *worker) update(change func(*news)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.change(change)
}

// change is update for callers that hold the lock. They may: a publisher never blocks, and under
// the lock the newest state is the last one published.
func (w *worker) change(change func(*news)) {
	now := time.Now()
	before := w.status(now)
	change(&w.news)
	after := w.status(now)
	if w.gone {
		return
	}
	if after.Reachable != before.Reachable {
		w.publishAvailability()
	}
	if w.b.cfg.Learned != nil && (after.Reachable != before.Reachable ||
		after.Model != before.Model || after.Firmware != before.Firmware || after.MAC != before.MAC) {
		w.b.cfg.Learned()
	}
	last := after.LastResult != before.LastResult
	after.LastResult = before.LastResult
	switch {
	case after != before:
		w.publishStatus(now)
		w.rouseWaiting()
	case last && (w.closed || now.Sub(w.stated) >= w.b.statusEvery()):
		w.publishStatus(now)
	case last && !w.owed:
		w.owed = true
		time.AfterFunc(w.b.statusEvery()-now.Sub(w.stated), w.payStatus)
	}
}

// payStatus publishes a status that was held back because it changed in its last result only.
func (w *worker) payStatus() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.owed && !w.closed {
		w.publishStatus(time.Now())
	}
}

func (w *worker) publishStatus(now time.Time) {
	w.stated, w.owed = now, false
	if !w.b.speaksFor(w.name) {
		return
	}
	w.b.publish(mqtt.Message{Topic: w.b.cfg.Tree.Status(w.name), Payload: encode(w.status(now)), Retained: true})
}

func (w *worker) publishAvailability() {
	payload := offline
	switch w.news.reachable {
	case SwitchUnknown:
		return // the first look tells
	case SwitchOn:
		payload = online
	}
	if !w.b.speaksFor(w.name) {
		return
	}
	w.b.publish(mqtt.Message{Topic: w.b.cfg.Tree.Availability(w.name), Payload: []byte(payload), Retained: true})
}

// tell publishes all that is known of the phone.
func (w *worker) tell() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.publishAvailability()
		w.publishStatus(time.Now())
	}
}

// Event takes what a phone told: it is published, and moves the phone's state one step. It never
// blocks. An event of a phone that is not ours is dropped.
func (b *Bridge) Event(phone string, e actionurl.Event) {
	w := b.roster.Load().phones[phone]
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || b.claims.taken(phone) {
		return
	}
	e.Phone = phone
	e = w.news.state().Complete(e)
	b.publish(mqtt.Message{Topic: b.cfg.Tree.Event(phone), Payload: encode(e)})
	b.cfg.Observe.Told(e)
	w.change(func(n *news) {
		n.heard(time.Now())
		told := n.state().Step(e)
		n.calls = &told
		if e.Type == actionurl.EventStarted {
			n.probed = false // it may have come back as another one
			w.b.lookout.in(w, settleDown)
		}
	})
	w.planExpiry()
}

// planExpiry makes sure that a state nobody speaks of any more ends in time. The caller holds the
// lock.
func (w *worker) planExpiry() {
	at, ok := w.news.state().NextExpiry(w.b.cfg.RingTimeout, w.b.cfg.CallTimeout)
	if !ok {
		return
	}
	if w.expiry == nil {
		w.expiry = time.AfterFunc(time.Until(at), w.expire)
		return
	}
	w.expiry.Reset(time.Until(at))
}

// expire ends what has lasted too long.
func (w *worker) expire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.change(func(n *news) {
		left := n.state().Expire(time.Now(), w.b.cfg.RingTimeout, w.b.cfg.CallTimeout)
		n.calls = &left
	})
	w.planExpiry()
}

// rouseWaiting tells those who wait for a state that it is another one. The caller holds the lock.
func (w *worker) rouseWaiting() {
	if w.changed != nil {
		close(w.changed)
		w.changed = nil
	}
}

// Await waits until what is known of the phone satisfies until, or ctx ends; the error is then
// the context's.
func (b *Bridge) Await(ctx context.Context, phone string, until func(Status) bool) (Status, error) {
	w := b.roster.Load().phones[phone]
	if w == nil {
		return Status{}, fmt.Errorf("bridge: no phone is called %q", phone)
	}
	for {
		w.mu.Lock()
		s := w.status(time.Now())
		if w.changed == nil {
			w.changed = make(chan struct{})
		}
		changed := w.changed
		w.mu.Unlock()
		if until(s) {
			return s, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return s, context.Cause(ctx)
		}
	}
}

// Snapshot returns what is known of every phone that is served, by name.
func (b *Bridge) Snapshot() []Status {
	r := b.roster.Load()
	all := make([]Status, 0, len(r.names))
	for _, name := range b.served(r.names) {
		w := r.phones[name]
		w.mu.Lock()
		all = append(all, w.status(time.Now()))
		w.mu.Unlock()
	}
	return all
}
