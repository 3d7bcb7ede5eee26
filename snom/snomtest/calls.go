package snomtest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// CallState is what a call is doing.
type CallState string

// The states of a call. One that is over is gone.
const (
	CallRinging   CallState = "ringing"
	CallDialing   CallState = "dialing"
	CallConnected CallState = "connected"
	CallHeld      CallState = "held"
)

// A Call is one call at the phone. The zero Call, given to [Phone.Incoming], is anonymous.
type Call struct {
	ID       string            `json:"id"` // the SIP Call-ID; made when empty
	State    CallState         `json:"state"`
	Incoming bool              `json:"incoming"`
	Number   string            `json:"number"`            // of the other party; a SIP URI is taken as it is
	Name     string            `json:"name"`              // its display name
	Line     int               `json:"line"`              // the phone's identity, from 1; 0: the first
	Headers  map[string]string `json:"headers,omitempty"` // of the INVITE, for $sip_header(NAME)
	Reason   string            `json:"reason,omitempty"`  // the Reason header of the CANCEL, for $cancel_reason
}

// A panel is the state that a user of the phone sees and changes: its calls, its handset, what was typed.
type panel struct {
	calls        []*Call // the newest last
	made         int     // calls so far
	typed        string
	transferring bool // TRANSFER was pressed: what is typed is where the call goes
	lifted       bool
	dnd          bool
	forward      string // where calls go; empty: nowhere
	registered   []bool // per line
	missed       int
	received     []string  // names and numbers of callers, the newest last
	dialled      string    // for REDIAL
	key          string    // the last key pressed
	nextKey      time.Time // until then keys by NOTIFY are lost
}

// maxReceived bounds the list of received calls.
const maxReceived = 20

func newPanel(lines int) panel {
	return panel{registered: slices.Repeat([]bool{true}, lines)}
}

func (d *panel) reboot() {
	d.calls, d.typed, d.transferring, d.lifted = nil, "", false, false
	clear(d.registered)
}

// newest returns the newest call in one of the states, nil when there is none.
func (d *panel) newest(states ...CallState) *Call {
	for _, c := range slices.Backward(d.calls) {
		if slices.Contains(states, c.State) {
			return c
		}
	}
	return nil
}

// find returns the call of that id; the empty id is the newest call that is not held, or else held.
func (d *panel) find(id string) *Call {
	if id == "" {
		if c := d.newest(CallRinging, CallDialing, CallConnected); c != nil {
			return c
		}
		return d.newest(CallHeld)
	}
	if i := slices.IndexFunc(d.calls, func(c *Call) bool { return c.ID == id }); i >= 0 {
		return d.calls[i]
	}
	return nil
}

func (d *panel) add(c Call) *Call {
	d.made++
	c.ID = or(c.ID, fmt.Sprintf("%x-%06x@phone", time.Now().Unix(), d.made))
	c.Line = max(c.Line, 1)
	d.calls = append(d.calls, &c)
	return &c
}

func (d *panel) remove(c *Call) {
	d.calls = slices.DeleteFunc(d.calls, func(other *Call) bool { return other == c })
}

// Incoming makes the phone ring. It returns the call's id, and false when the phone does not ring: with
// do-not-disturb or forwarding on, and while it is down.
func (p *Phone) Incoming(c Call) (id string, rings bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down || p.panel.dnd || p.panel.forward != "" {
		return "", false
	}
	c.Incoming, c.State = true, CallRinging
	call := p.panel.add(c)
	p.panel.received = append(p.panel.received, strings.TrimSpace(c.Name+" "+c.Number))
	if len(p.panel.received) > maxReceived {
		p.panel.received = slices.Delete(p.panel.received, 0, 1)
	}
	p.fire("action_incoming_url", call, nil)
	return call.ID, true
}

// Answer answers the newest ringing call at the phone. It returns false when none rings.
func (p *Phone) Answer() bool { return p.act(p.answerCall) }

// Reject rejects the newest ringing call. No action URL is called (p4irin/remote_phone_control), but see
// LikeD765. It returns false when none rings.
func (p *Phone) Reject() bool { return p.act(p.reject) }

// HangUp ends the newest connected call or dialling attempt at the phone, or else a held call. It
// returns false when there is none.
func (p *Phone) HangUp() bool { return p.act(p.hangUp) }

// Dial dials a number at the phone, on its first line. It returns false while the phone is down.
func (p *Phone) Dial(number string) bool {
	return p.act(func() bool { p.dial(number, 0); return true })
}

// HoldCall holds the connected call. It returns false when there is none.
func (p *Phone) HoldCall() bool { return p.act(p.hold) }

// Unhold takes the newest held call back. It returns false when there is none.
func (p *Phone) Unhold() bool { return p.act(p.unhold) }

// RemoteAnswer makes the other party of a dialling attempt answer: of the call with that id, or of the
// current one when id is empty. It returns false when there is no such attempt.
func (p *Phone) RemoteAnswer(id string) bool {
	return p.act(func() bool {
		c := p.panel.find(id)
		if c == nil || c.State != CallDialing {
			return false
		}
		c.State = CallConnected
		p.fire("action_connected_url", c, nil)
		return true
	})
}

// RemoteHangUp makes the other party end a call: the one with that id, or the current one when id is
// empty. One that rings is missed then. It returns false when there is no such call.
func (p *Phone) RemoteHangUp(id string) bool {
	return p.act(func() bool {
		c := p.panel.find(id)
		if c == nil {
			return false
		}
		if c.State != CallRinging {
			p.end(c)
			return true
		}
		p.panel.remove(c)
		p.panel.missed++
		if p.config.LikeD765 {
			p.fire("action_disconnected_url", c, nil)
		}
		p.fire("action_missed_url", c, nil)
		return true
	})
}

// OffHook lifts the handset, which answers a ringing call. It returns false when it is lifted already.
func (p *Phone) OffHook() bool { return p.act(p.offHook) }

// OnHook puts the handset down, which ends the connected call. It returns false when it lies already.
func (p *Phone) OnHook() bool { return p.act(p.onHook) }

// SetDND switches do-not-disturb. It returns false when it was so already.
func (p *Phone) SetDND(on bool) bool { return p.act(func() bool { return p.setDND(on) }) }

// ToggleDND presses the DND key.
func (p *Phone) ToggleDND() bool { return p.act(func() bool { return p.setDND(!p.panel.dnd) }) }

// Forward forwards calls to a number, or no more when it is empty. It returns false when nothing changed.
func (p *Phone) Forward(number string) bool {
	return p.act(func() bool {
		enabled := "on"
		if number == "" {
			enabled = "off"
		} else {
			storeSetting(p.settings, "fwd_all_target", number)
		}
		storeSetting(p.settings, "fwd_all_enabled", enabled)
		return p.forward(number)
	})
}

// Register makes the registration of a line, from 1, succeed or fail. It returns false when there is no
// such line.
func (p *Phone) Register(line int, ok bool) bool {
	return p.act(func() bool {
		i := line - 1
		if i < 0 || i >= len(p.panel.registered) {
			return false
		}
		if ok {
			p.register(i)
			return true
		}
		p.panel.registered[i] = false
		p.fire("action_reg_failed", nil, map[string]string{"context_url": p.lineURI(i + 1)})
		return true
	})
}

// LongPress holds a key for more than two seconds. It returns false when the model has no such key.
func (p *Phone) LongPress(key string) bool {
	return p.act(func() bool {
		if !p.hasKey(key) {
			return false
		}
		p.panel.key = key
		p.longPressed(key)
		return true
	})
}

// Fire calls one action URL by its setting's name, as if its event had happened to the current call.
// It is for the events that nothing else here causes, such as action_received_attended_transfer.
func (p *Phone) Fire(setting string) bool {
	return p.act(func() bool { p.fire(setting, p.panel.find(""), nil); return true })
}

// act does something at the phone, unless it is down.
func (p *Phone) act(f func() bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.down && f()
}

func (p *Phone) answerCall() bool {
	c := p.panel.newest(CallRinging)
	if c == nil {
		return false
	}
	p.hold()
	c.State = CallConnected
	p.fire("action_connected_url", c, nil)
	return true
}

func (p *Phone) reject() bool {
	c := p.panel.newest(CallRinging)
	if c == nil {
		return false
	}
	p.panel.remove(c)
	if p.config.LikeD765 {
		again := func() { p.fire("action_disconnected_url", c, nil) }
		again()
		p.later(2*time.Second, again)
	}
	return true
}

func (p *Phone) hangUp() bool {
	c := p.panel.newest(CallDialing, CallConnected)
	if c == nil {
		c = p.panel.newest(CallHeld)
	}
	if c == nil {
		return false
	}
	p.end(c)
	return true
}

// hangUpAll is RELEASE_ALL_CALLS: what rings is rejected, the others end.
func (p *Phone) hangUpAll() {
	for p.reject() {
	}
	for p.hangUp() {
	}
	p.panel.typed, p.panel.transferring = "", false
}

// end ends a call that is not ringing.
func (p *Phone) end(c *Call) {
	p.panel.remove(c)
	p.fire("action_disconnected_url", c, nil)
}

// dial calls a number on a line, from 0; a call that is connected is held.
func (p *Phone) dial(number string, line int) {
	p.hold()
	p.panel.dialled = number
	c := p.panel.add(Call{State: CallDialing, Number: number, Line: line + 1})
	p.fire("action_outgoing_url", c, nil)
}

func (p *Phone) hold() bool {
	c := p.panel.newest(CallConnected)
	if c == nil {
		return false
	}
	c.State = CallHeld
	p.fire("action_hold", c, nil)
	return true
}

func (p *Phone) unhold() bool {
	c := p.panel.newest(CallHeld)
	if c == nil {
		return false
	}
	c.State = CallConnected
	p.fire("action_unhold", c, nil)
	return true
}

func (p *Phone) offHook() bool {
	if p.panel.lifted {
		return false
	}
	p.panel.lifted = true
	p.fire("action_offhook_url", p.panel.newest(CallRinging), nil)
	p.answerCall()
	return true
}

func (p *Phone) onHook() bool {
	if !p.panel.lifted {
		return false
	}
	p.panel.lifted, p.panel.typed = false, ""
	c := p.panel.newest(CallDialing, CallConnected)
	if c != nil {
		p.end(c)
	}
	p.fire("action_onhook_url", c, nil)
	return true
}

func (p *Phone) setDND(on bool) bool {
	if p.panel.dnd == on {
		return false
	}
	p.panel.dnd = on
	p.showDND()
	if on {
		p.fire("action_dnd_on_url", nil, nil)
	} else {
		p.fire("action_dnd_off_url", nil, nil)
	}
	return true
}

// register logs a line on, from 0.
func (p *Phone) register(i int) {
	p.panel.registered[i] = true
	p.fire("action_log_on_url", nil, map[string]string{"context_url": p.lineURI(i + 1)})
}

func (p *Phone) logOff(i int) {
	if !p.panel.registered[i] {
		return
	}
	p.panel.registered[i] = false
	p.fire("action_log_off_url", nil, map[string]string{"context_url": p.lineURI(i + 1)})
}

// started is what a phone says when it is up.
func (p *Phone) started() {
	p.fire("action_setup_url", nil, nil)
	for i := range p.panel.registered {
		p.register(i)
	}
}

// longPress is how long a key must be held to count as pressed long (Snom wiki, Action URLs, Runtime
// Variables: "key held > 2 s").
const longPress = 2 * time.Second

// press is one key, held for a time. Keys that do nothing to a call change nothing here.
func (p *Phone) press(key string, hold time.Duration) {
	p.panel.key = key
	if boot := p.boots; hold > longPress {
		p.later(longPress, func() {
			if p.boots == boot {
				p.longPressed(key)
			}
		})
	}
	if p.browserKey(key) {
		return
	}
	if n, err := strconv.Atoi(strings.TrimPrefix(key, "P")); err == nil && strings.HasPrefix(key, "P") {
		p.functionKey(n)
		return
	}
	switch key {
	case "ENTER", "F_OK":
		p.enterKey()
	case "CANCEL", "F_CANCEL":
		p.cancelKey()
	case "DISCONNECT":
		p.hangUp()
	case "OFFHOOK":
		p.offHook()
	case "ONHOOK":
		p.onHook()
	case "DND", "F_DND":
		if !p.config.DeadDND {
			p.setDND(!p.panel.dnd)
		}
	case "MUTE", "F_MUTE": // in a call it mutes the microphone, which nothing here shows
		if len(p.panel.calls) == 0 && p.settings["mute_is_dnd_in_idle"] == "on" { // wazo-platform/wazo-provd-plugins
			p.setDND(!p.panel.dnd)
		}
	case "REDIAL", "F_REDIAL":
		if p.panel.dialled != "" {
			p.dial(p.panel.dialled, 0)
		}
	case "F_HOLD", "F_R", "RECALL":
		if !p.hold() {
			p.unhold()
		}
	case "TRANSFER", "F_TRANSFER":
		p.transferKey()
	case "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "#":
		if p.panel.newest(CallConnected) == nil { // in a call it is a tone
			p.panel.typed += key
		}
	}
}

func (p *Phone) longPressed(key string) {
	p.fire("action_longpress_url", p.panel.find(""), map[string]string{"longpress_key": key})
}

// enterKey answers, or calls what was typed.
func (p *Phone) enterKey() {
	if p.answerCall() || p.panel.typed == "" {
		return
	}
	number := p.panel.typed
	p.panel.typed = ""
	if held := p.panel.newest(CallHeld); p.panel.transferring && held != nil {
		p.panel.transferring = false
		p.fire("action_blind_transfer", held, nil)
		p.end(held)
		return
	}
	p.dial(number, 0)
}

// cancelKey rejects, or forgets what was typed, or hangs up.
func (p *Phone) cancelKey() {
	switch {
	case p.reject():
	case p.panel.transferring:
		p.panel.transferring, p.panel.typed = false, ""
		p.unhold()
	case p.panel.typed != "":
		p.panel.typed = ""
	case p.panel.newest(CallDialing, CallConnected) != nil:
		p.hangUp()
	}
}

// transferKey connects the held call with the other one, or holds the only one and waits for a number.
func (p *Phone) transferKey() {
	other, held := p.panel.newest(CallDialing, CallConnected), p.panel.newest(CallHeld)
	switch {
	case other != nil && held != nil:
		p.fire("action_attended_transfer", held, nil)
		p.end(held)
		p.end(other)
	case other != nil && other.State == CallConnected:
		p.hold()
		p.panel.transferring, p.panel.typed = true, ""
	}
}
