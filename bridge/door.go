package bridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/snom2mqtt/snom2mqtt/callstate"
	"github.com/snom2mqtt/snom2mqtt/internal/strictjson"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// DoorConfig is one door intercom of a [Roster]: it calls phones, and opens when it receives its code as DTMF tones in the call.
type DoorConfig struct {
	Name    string       // [a-z0-9][a-z0-9_-]{0,63}; no phone and no group has it
	Phones  []string     // whose call opens it; the first one calls it where Call is set
	Number  string       // that calls when it rings, and that is called
	Country string       // country code by which numbers are compared; empty: none
	Code    snom.Command // sends the code; shown nowhere
	Hold    time.Duration
	Call    bool         // without a connected call, the phone answers the door's or calls it, sends the code and hangs up
	Chime   snom.Command // for ChimeAt; zero: none
	ChimeAt []string
	Camera  Camera // nil: none
}

// A Camera takes pictures.
type Camera interface {
	// Picture returns a picture as JPEG. It takes as long as the camera does.
	Picture(ctx context.Context) ([]byte, error)
	// Scaled returns a picture as JPEG that is no larger than a display.
	Scaled(ctx context.Context, width, height int) ([]byte, error)
	// Stream writes pictures that are no larger than a display, as StreamType says, until ctx ends or w fails.
	Stream(ctx context.Context, w io.Writer, width, height int) error
	StreamType() string
}

// A DoorState is what a door is doing.
type DoorState string

// The states of a door. One that has opened, or that has failed to, is locked again after its hold time.
const (
	DoorLocked  DoorState = "locked"
	DoorOpening DoorState = "opening"
	DoorOpen    DoorState = "open"
	DoorFailed  DoorState = "failed"
)

// DoorStatus is what is known of a door.
type DoorStatus struct {
	Door       string    `json:"door"`
	State      DoorState `json:"state"`
	Call       *DoorCall `json:"call"` // with the door; null: there is none
	LastRing   Time      `json:"last_ring"`
	LastOpened Time      `json:"last_opened"`
	Time       Time      `json:"time"`
	Camera     bool      `json:"-"` // it has one
	Phones     []string  `json:"-"`
}

// A DoorCall is a call of a phone with a door.
type DoorCall struct {
	Phone     string              `json:"phone"`
	State     callstate.Phase     `json:"state"`
	Direction actionurl.Direction `json:"direction"`
	Since     Time                `json:"since"`
}

// A DoorRing says that a door rings.
type DoorRing struct {
	EventType string          `json:"event_type"` // ring
	Door      string          `json:"door"`
	Phone     string          `json:"phone"` // that it rings at, the first one
	Remote    actionurl.Party `json:"remote"`
	Time      Time            `json:"time"`
}

// A DoorImage is a picture of a door's camera.
type DoorImage struct {
	Door string
	JPEG []byte
	Time Time
}

// doorRing is the event type of a ring.
const doorRing = "ring"

// A door is one door of the roster.
type door struct {
	b     *Bridge
	name  string
	cfg   atomic.Pointer[DoorConfig] // replaced, never changed
	dedup *dedup                     // of ids: the phone may be another one the next time

	mu           sync.Mutex
	state        DoorState           // guarded by mu
	calls        map[string]DoorCall // with the door, by phone; guarded by mu
	rings        ringing             // guarded by mu
	lastOpened   time.Time           // guarded by mu
	relock       *time.Timer         // nil: it is locked; guarded by mu
	reachable    map[string]Switch   // its phones; guarded by mu
	availability string              // the availability that was published last; guarded by mu
	picturing    bool                // a picture is being taken; guarded by mu
	image        *DoorImage          // the last one; nil: none; guarded by mu
	removed      bool                // guarded by mu

	pages map[string]*doorPage      // that are shown, by phone; guarded by mu
	views map[snom.Screen]*doorView // of the camera, while pages are shown; guarded by mu
}

// doors returns the doors of a roster. Those that existed before stay what they are.
func (b *Bridge) doors(old map[string]*door, all []DoorConfig, phones map[string]*phone) map[string]*door {
	if len(all) == 0 {
		return nil
	}
	doors := make(map[string]*door, len(all))
	for i := range all {
		cfg := &all[i]
		d := old[cfg.Name]
		if d == nil {
			d = &door{b: b, name: cfg.Name, dedup: &dedup{budget: &b.ids}, state: DoorLocked}
		}
		d.cfg.Store(cfg)
		d.forget(phones)
		doors[cfg.Name] = d
	}
	return doors
}

// forget forgets phones that are not configured any more.
func (d *door) forget(phones map[string]*phone) {
	var gone []*doorPage
	d.mu.Lock()
	maps.DeleteFunc(d.calls, func(name string, _ DoorCall) bool { return phones[name] == nil })
	for name, v := range d.pages {
		if phones[name] != v.p {
			gone = append(gone, v)
		}
	}
	d.mu.Unlock()
	for _, v := range gone {
		v.end()
	}
}

// lookAtPhones takes what all phones are doing now.
func (d *door) lookAtPhones() {
	now := time.Now()
	for _, p := range d.b.roster.Load().phones {
		p.state.mu.Lock()
		is := p.status(now)
		d.follow(p.name, &is)
		p.state.mu.Unlock()
	}
}

// Doors returns what is known of every door, by name.
func (b *Bridge) Doors() (all []DoorStatus) {
	doors := b.roster.Load().doors
	for _, name := range slices.Sorted(maps.Keys(doors)) {
		d := doors[name]
		d.mu.Lock()
		all = append(all, d.status(time.Now()))
		d.mu.Unlock()
	}
	return all
}

// DoorPicture returns the last picture of the camera of a door; nil: there is none.
func (b *Bridge) DoorPicture(name string) *DoorImage {
	d := b.roster.Load().doors[name]
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.image
}

// status is what is known of the door. The caller holds the lock.
func (d *door) status(now time.Time) DoorStatus {
	cfg := d.cfg.Load()
	s := DoorStatus{
		Door: d.name, State: d.state, LastRing: Time{Time: d.rings.at}, LastOpened: Time{Time: d.lastOpened}, Time: Time{Time: now},
		Camera: cfg.Camera != nil, Phones: cfg.Phones,
	}
	for _, name := range slices.Sorted(maps.Keys(d.calls)) {
		if c := d.calls[name]; s.Call == nil || c.State == callstate.Connected && s.Call.State != callstate.Connected {
			s.Call = &c
		}
	}
	return s
}

// publish publishes the door's state. The caller holds the lock.
func (d *door) publish() {
	if d.removed || d.b.standby.active() {
		return
	}
	s := d.status(time.Now())
	d.b.Keep(mqtt.Message{Topic: d.b.cfg.Tree.DoorState(d.name), Payload: encode(s), Retained: true}, d.republish)
	if d.b.feed.read() {
		d.b.feed.send(Update{Door: &s})
	}
}

// publishAvailability publishes whether one of its phones is reachable, once that is known and when it changes. The caller
// holds the lock.
func (d *door) publishAvailability(again bool) {
	payload := ""
	for _, name := range d.cfg.Load().Phones {
		switch d.reachable[name] {
		case SwitchOn:
			payload = online
		case SwitchOff:
			if payload == "" {
				payload = offline
			}
		case SwitchUnknown:
		}
	}
	if payload == "" || payload == d.availability && !again || d.removed || d.b.standby.active() {
		return
	}
	d.availability = payload
	d.b.Keep(mqtt.Message{Topic: d.b.cfg.Tree.Availability(d.name), Payload: []byte(payload), Retained: true}, d.republish)
}

// republish publishes all that is known of the door.
func (d *door) republish() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.publish()
	d.publishAvailability(true)
	if d.cfg.Load().Camera == nil && !d.removed && !d.b.standby.active() { // the picture of a camera that was removed
		d.publishImage(nil)
	}
}

// publishImage publishes a picture of the camera; none clears what is retained. The caller holds the lock.
func (d *door) publishImage(jpeg []byte) {
	d.b.Keep(mqtt.Message{Topic: d.b.cfg.Tree.Image(d.name), Payload: jpeg, Retained: true}, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if !d.removed {
			d.publishImage(jpeg)
		}
	})
}

// remove takes back what was published of a door that is not configured any more.
func (d *door) remove() {
	d.mu.Lock()
	shown := slices.Collect(maps.Values(d.pages))
	defer func() {
		for _, v := range shown {
			v.end()
		}
	}()
	defer d.mu.Unlock()
	d.removed = true
	if d.relock != nil {
		d.relock.Stop()
	}
	t := d.b.cfg.Tree
	for _, topic := range []string{t.DoorState(d.name), t.Availability(d.name), t.Image(d.name)} {
		d.b.dropDoc(topic)
	}
}

// notifyDoors passes the call state of a phone to its doors. The caller holds the lock of the phone's state.
func (p *phone) notifyDoors(doors map[string]*door, is *Status) {
	for _, d := range doors {
		d.follow(p.name, is)
	}
}

// follow takes what a phone is doing.
func (d *door) follow(phone string, is *Status) {
	cfg := d.cfg.Load()
	d.mu.Lock()
	defer d.mu.Unlock()
	if slices.Contains(cfg.Phones, phone) && d.reachable[phone] != is.Reachable {
		if d.reachable == nil {
			d.reachable = map[string]Switch{}
		}
		d.reachable[phone] = is.Reachable
		d.publishAvailability(false)
	}
	was, had := d.calls[phone]
	call := is.Call
	if call.State == callstate.Idle || call.State == callstate.Ended || !cfg.is(call.Remote) {
		if had {
			delete(d.calls, phone)
			d.publish()
		}
		return
	}
	if c := (DoorCall{phone, call.State, call.Direction, call.Since}); !had || c != was {
		if d.calls == nil {
			d.calls = map[string]DoorCall{}
		}
		d.calls[phone] = c
		d.publish()
	}
}

// Times within which calls from a door are one ring.
const (
	oneRing  = 3 * time.Second  // whatever they are
	lateRing = 10 * time.Second // of another phone
)

// ringing is the last ring of a door.
type ringing struct {
	at    time.Time
	calls map[string]string // the id of the call at each phone
}

// add notes a call from the door, and reports whether it is a new ring: a door calls several phones at once, and an event
// may come late or twice.
func (r *ringing) add(phone, id string, at time.Time) bool {
	last, rings := r.calls[phone]
	since := at.Sub(r.at)
	switch {
	case rings && id != "" && id == last, r.calls != nil && since < oneRing, r.calls != nil && !rings && since < lateRing:
		if !rings {
			r.calls[phone] = id
		}
		return false
	}
	*r = ringing{at: at, calls: map[string]string{phone: id}}
	return true
}

// rang takes a call that comes in at a phone. The caller holds the lock of the phone's state.
func (d *door) rang(phone string, e actionurl.Event) {
	cfg := d.cfg.Load()
	if !cfg.is(e.Remote) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.removed || !d.rings.add(phone, e.CallID, e.Time) {
		return
	}
	ring := DoorRing{EventType: doorRing, Door: d.name, Phone: phone, Remote: e.Remote, Time: Time{Time: e.Time}}
	d.b.publish(mqtt.Message{Topic: d.b.cfg.Tree.Event(d.name), Payload: encode(ring), Expires: e.Time.Add(eventTTL)})
	d.publish()
	if d.b.feed.read() {
		d.b.feed.send(Update{Ring: &ring})
	}
	d.b.cfg.Log.Info("door rings", slog.String("door", d.name), slog.String("phone", phone))
	if cfg.Camera != nil || len(cfg.ChimeAt) > 0 {
		picture := cfg.Camera != nil && !d.picturing
		d.picturing = d.picturing || picture
		d.b.spawn(func(ctx context.Context) { d.afterRing(ctx, cfg, picture) })
	}
}

// afterRing rings the chime and takes the picture.
func (d *door) afterRing(ctx context.Context, cfg *DoorConfig, picture bool) {
	now, phones := time.Now(), d.b.roster.Load().phones
	for _, name := range cfg.ChimeAt {
		if p := phones[name]; p != nil && !d.b.claims.taken(name) {
			p.take(message{name: string(cfg.Chime.Verb()), command: cfg.Chime}, nil, false, false, now)
		}
	}
	if picture {
		d.takePicture(ctx, cfg)
	}
}

// cameraTime is how long a camera may take.
const cameraTime = 10 * time.Second

// takePicture takes a picture and publishes it.
func (d *door) takePicture(ctx context.Context, cfg *DoorConfig) {
	within, cancel := context.WithTimeout(ctx, cameraTime)
	defer cancel()
	jpeg, err := cfg.Camera.Picture(within)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.picturing = false
	if err != nil {
		d.b.limit.Log(slog.LevelWarn, "camera "+d.name, "no picture of the camera", slog.String("door", d.name), slog.Any("err", err))
		return
	}
	if d.removed {
		return
	}
	d.image = &DoorImage{Door: d.name, JPEG: jpeg, Time: Time{Time: time.Now()}}
	d.publishImage(jpeg)
	if d.b.feed.read() {
		d.b.feed.send(Update{DoorImage: d.image})
	}
}

// set puts the door into a state. One that is open, or has failed, is locked after its hold time.
func (d *door) set(state DoorState, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.removed {
		return
	}
	if d.relock != nil {
		d.relock.Stop()
		d.relock = nil
	}
	d.state = state
	switch state {
	case DoorOpen:
		d.lastOpened = now
		fallthrough
	case DoorFailed:
		var timer *time.Timer
		timer = time.AfterFunc(d.cfg.Load().Hold, func() { d.lock(&timer) })
		d.relock = timer
	}
	d.publish()
}

// lock ends the hold time that timer measures. It is read under the lock, under which it was set.
func (d *door) lock(timer **time.Timer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.relock != *timer || d.removed {
		return
	}
	d.relock, d.state = nil, DoorLocked
	d.publish()
}

// openCommand is the name of the only command of a door.
const openCommand = "open"

// decodeOpen reads the payload of a command for a door.
func decodeOpen(name string, payload []byte) message {
	m := message{name: shown(name)}
	expected := errors.New("expected nothing, or a JSON object with id, expires_in, expires_at and dry_run")
	switch {
	case len(payload) > snom.MaxPayload:
		m.fault = tooLong(snom.MaxPayload)
		return m
	case len(payload) > 0 && !strictjson.IsObject(payload):
		m.fault = expected
	case len(payload) > 0:
		object, err := strictjson.Parse(payload)
		if m.fault = err; err == nil {
			if m.fault = m.envelope(object); m.fault == nil && len(object) > 0 {
				m.fault = expected
			}
		}
	}
	if name != openCommand {
		m.fault = errors.New("a door has one command: open")
	}
	return m
}

// take checks a command for the door: it goes into the queue of the phone that has a call with the door, or is refused at
// once.
func (d *door) take(name string, m mqtt.Message, o Origin, now time.Time) (id string) {
	cfg, rules := d.cfg.Load(), d.b.cfg.Rules
	msg := decodeOpen(name, m.Payload)
	msg.id, msg.dry = cmp.Or(msg.id, o.ID), msg.dry || o.DryRun
	p, talks := d.phone(cfg)
	if p == nil {
		d.b.refuse(d.name, name, m, "no phone of this door is served by this bridge", now)
		return msg.id
	}
	c := &command{
		id: msg.id, command: cfg.Code, to: p, door: d, onResult: o.onResult, secret: true, dry: msg.dry, name: msg.name, received: now, expires: msg.expiry(now, rules.TTL),
	}
	d.b.received(c)
	var no refusal
	switch {
	case m.Retained:
		no = refusal{Retained, retainedCommand}
	case msg.fault != nil:
		no = refusal{Invalid, words(msg.fault)}
	case !now.Before(c.expires):
		no = refusal{Expired, "expires_at is in the past"}
	case d.b.clock.stale.Load():
		no = refusal{Expired, "it was received over a connection from before the machine was suspended"}
	case !d.b.cfg.Events:
		no = refusal{Unsupported, "a door opens in a call only: set PHONE_LISTEN and install the action URLs"}
	case !talks && !cfg.Call:
		no = refusal{Forbidden, d.noCall()}
	}
	if no.code != "" {
		c.deliver(c.answer(no.code, no.message, now))
		return msg.id
	}
	c.enqueue()
	return msg.id
}

// noCall says that there is no call with the door.
func (d *door) noCall() string { return "no call with the " + d.name + " door" }

// phone returns the phone whose call with the door is connected, and true; or else the one at which the door rings, or the
// first one of the door that is served; nil: none is.
func (d *door) phone(cfg *DoorConfig) (best *phone, talks bool) {
	phones, rings := d.b.roster.Load().phones, false
	for _, name := range cfg.Phones {
		p := phones[name]
		if p == nil || d.b.claims.taken(name) {
			continue
		}
		calls := p.calls()
		if cfg.talks(calls) {
			return p, true
		}
		if now := cfg.rings(calls); best == nil || now && !rings {
			best, rings = p, now
		}
	}
	return best, false
}

// talks reports whether what a phone with these calls sends reaches the door.
func (cfg *DoorConfig) talks(calls callstate.State) bool {
	call, ok := calls.Talking()
	return ok && cfg.is(call.Remote)
}

// rings reports whether the only call of a phone is one of the door that waits to be answered.
func (cfg *DoorConfig) rings(calls callstate.State) bool {
	is := calls.Status()
	return is.Calls == 1 && is.Call.State == callstate.Ringing && is.Call.Direction == actionurl.DirectionIn && cfg.is(is.Call.Remote)
}

// open carries out a command that opens the door.
func (d *door) open(ctx context.Context, c *command, p pacedPhone) {
	cfg := d.cfg.Load()
	watch := p.phone.guard(cfg.talks)
	defer p.phone.unguard(watch)
	talks, rings := !watch.revoked.Load(), cfg.rings(p.phone.calls())
	code := MacroStep{MacroStep: snom.MacroStep{Command: c.command}, Secret: true}
	switch {
	case !talks && !cfg.Call:
		c.fail(Forbidden, d.noCall())
		return
	case !talks && !rings && p.phone.calls().Status().Calls > 0:
		c.fail(Forbidden, d.noCall()+", and the phone has another one")
		return
	case c.dry:
		c.result.Details.Would = c.would()
		return
	}
	d.set(DoorOpening, time.Now())
	run := &scriptRun{c: c, until: c.expires, holds: cfg.talks, talking: talks}
	state := DoorFailed
	defer func() { d.set(state, time.Now()) }() // whatever happens, it is not opening any more
	switch {
	case talks:
	case rings:
		if !run.pickUp(ctx, p) {
			return
		}
	case !run.call(ctx, p, cfg.Number):
		return
	}
	_, r := run.carryOut(ctx, p, code)
	if r.Code == OK {
		state = DoorOpen
	} else {
		c.fail(r.Code, r.Message)
		if r.Code == Unmet {
			c.fail(Forbidden, "the call with the "+d.name+" door ended before the code was sent")
		}
	}
	if !talks {
		d.set(state, time.Now())
		run.hangUp(ctx, p)
	}
}

// Times of a call that is answered to open the door, chosen by this project.
const (
	pickUpTime = 10 * time.Second       // until it is connected
	speechTime = 500 * time.Millisecond // until the door hears what is sent: the phone answers a moment after it took the command
)

// pickUp answers the call of the door that rings, and waits until it is connected. Where that fails, the command has failed.
func (run *scriptRun) pickUp(ctx context.Context, p pacedPhone) bool {
	for _, s := range []snom.MacroStep{{Command: snom.Answer()}, {State: string(callstate.Connected), Wait: pickUpTime}, {Wait: speechTime}} {
		if _, r := run.carryOut(ctx, p, MacroStep{MacroStep: s}); r.Code != OK {
			return run.c.fail(r.Code, "the call of the door was not answered: "+r.Message)
		}
	}
	return true
}

// call calls a number and waits until it has answered. Where it does not, it hangs up, and the command has failed.
func (run *scriptRun) call(ctx context.Context, p pacedPhone, number string) bool {
	dial, err := snom.Dial(number)
	if err != nil {
		return run.c.fail(Invalid, words(err))
	}
	for _, s := range []snom.MacroStep{{Command: dial}, {State: string(callstate.Connected), Wait: time.Minute}} {
		cut, r := run.carryOut(ctx, p, MacroStep{MacroStep: s})
		if r.Code == OK {
			continue
		}
		message := r.Message
		if r.Code == Unmet {
			message = "the door did not answer the call"
			if !time.Now().Before(run.until) {
				r.Code, message = Expired, message+" before the command expired"
			}
		}
		run.c.fail(r.Code, message)
		if !cut {
			run.hangUp(ctx, p)
		}
		return false
	}
	return true
}

// hangUp ends the call that the command began, a moment after the code, so that the door has heard it all.
func (run *scriptRun) hangUp(ctx context.Context, p pacedPhone) {
	run.until = time.Now().Add(time.Minute)
	if run.c.result.Code == OK {
		run.carryOut(ctx, p, MacroStep{MacroStep: snom.MacroStep{Wait: 2 * time.Second}})
	}
	run.carryOut(ctx, p, MacroStep{MacroStep: snom.MacroStep{Command: snom.Hangup()}})
}

// is reports whether a party is the door. A display name never counts, since every caller chooses it.
func (cfg *DoorConfig) is(party actionurl.Party) bool {
	user, host, whole := strings.Cut(address(cfg.Number), "@")
	expected := canonicalNumber(user, cfg.Country)
	if expected == "" {
		return false
	}
	if whole { // the settings name a host, too
		u, h, ok := strings.Cut(address(party.URI), "@")
		return ok && canonicalNumber(u, cfg.Country) == expected && strings.EqualFold(h, host)
	}
	if party.Number != "" {
		return canonicalNumber(party.Number, cfg.Country) == expected
	}
	u, _, _ := strings.Cut(address(party.URI), "@")
	return canonicalNumber(u, cfg.Country) == expected
}

// address is a SIP or tel URI without scheme and parameters; other texts stay as they are.
func address(uri string) string {
	for _, scheme := range []string{"sip:", "sips:", "tel:"} {
		if len(uri) > len(scheme) && strings.EqualFold(uri[:len(scheme)], scheme) {
			uri = uri[len(scheme):]
			break
		}
	}
	uri, _, _ = strings.Cut(uri, "?")
	user, host, ok := strings.Cut(uri, "@")
	user, _, _ = strings.Cut(user, ";")
	if !ok {
		return user
	}
	host, _, _ = strings.Cut(host, ";")
	return user + "@" + host
}

// canonicalNumber is a number in one way of writing it: without separators, in capital letters as they are, and, where the
// country code is known, with it, whether it was written with +, with 00 or without.
func canonicalNumber(number, country string) string {
	number = strings.Map(func(r rune) rune {
		if strings.ContainsRune(" -./()\u00a0\u2010\u2011\u2012\u2013", r) {
			return -1
		}
		return r
	}, number)
	if country == "" || strings.Trim(strings.TrimPrefix(number, "+"), "0123456789") != "" {
		return number
	}
	switch {
	case strings.HasPrefix(number, "+"):
	case strings.HasPrefix(number, "00"):
		number = "+" + number[2:]
	case country == northAmerica && strings.HasPrefix(number, "011"):
		number = "+" + number[3:]
	case country != northAmerica && len(number) > 1 && number[0] == '0':
		number = "+" + country + number[1:]
	}
	return number
}

// northAmerica is the country code of North America, where numbers have no 0 in front.
const northAmerica = "1"

// CheckDoor says why a door cannot be opened by its phones of a roster, or nothing.
func CheckDoor(d DoorConfig, r Roster, rules Rules, events bool) string {
	if !events {
		return "a door opens in a call only, and phones report calls to PHONE_LISTEN: set it, and install the action URLs"
	}
	commands := map[string]snom.Command{"its code": d.Code}
	if d.Call {
		dial, err := snom.Dial(d.Number)
		if err != nil {
			return "number: " + words(err)
		}
		commands["a call"], commands["the answer to a call"] = dial, snom.Answer()
	}
	for _, cfg := range r.Phones {
		p := &profile{PhoneConfig: cfg, model: cfg.Model}
		if slices.Contains(d.ChimeAt, cfg.Name) {
			if why := (&command{command: d.Chime}).plan(p); why != "" {
				return fmt.Sprintf("chime at %s: %s", cfg.Name, why)
			}
		}
		if !slices.Contains(d.Phones, cfg.Name) {
			continue
		}
		for what, c := range commands {
			if why := (&command{command: c, secret: true}).plan(p); why != "" {
				return fmt.Sprintf("%s at %s: %s", what, cfg.Name, why)
			}
			if no := p.allows(c, rules, true); no.code != "" {
				return fmt.Sprintf("%s at %s: %s", what, cfg.Name, no.message)
			}
		}
	}
	return ""
}
