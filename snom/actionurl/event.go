// Package actionurl makes the action URLs of Snom desk phones, writes them into phones, and reads what phones
// report by calling them.
//
// A phone requests one of its action URLs when something happens at it: a call comes in, the handset is
// lifted, do not disturb is switched on. [URLs] returns the settings that make it report everything it can,
// [Install] writes them into it, and [ParseEvent] reads a request as an [Event].
package actionurl

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/snom2mqtt/snom2mqtt/internal/cleantext"
	"github.com/snom2mqtt/snom2mqtt/internal/jsonval"
)

// An EventType names what happened at a phone. Each belongs to one action URL; the table, with the setting's name and
// the source of each, is events.csv.
type EventType string

// Everything that a phone can report. [EventTypes] lists them.
const (
	EventIncoming             EventType = "incoming"
	EventOutgoing             EventType = "outgoing"
	EventConnected            EventType = "connected"
	EventDisconnected         EventType = "disconnected"
	EventMissed               EventType = "missed"
	EventOffhook              EventType = "offhook"
	EventOnhook               EventType = "onhook"
	EventHold                 EventType = "hold"
	EventUnhold               EventType = "unhold"
	EventTransferred          EventType = "transferred"
	EventBlindTransferred     EventType = "blind_transferred"
	EventAttendedTransferred  EventType = "attended_transferred"
	EventTransferReceived     EventType = "transfer_received"
	EventDNDOn                EventType = "dnd_on"
	EventDNDOff               EventType = "dnd_off"
	EventForwardingOn         EventType = "forwarding_on"
	EventForwardingOff        EventType = "forwarding_off"
	EventRegistered           EventType = "registered"
	EventUnregistered         EventType = "unregistered"
	EventRegistrationFailed   EventType = "registration_failed"
	EventStarted              EventType = "started"
	EventKeyLongPress         EventType = "key_long_press"
	EventSubscriptionNotified EventType = "subscription_notified"
	EventFirewallTest         EventType = "firewall_test"
)

// What people do at a phone that the program has set up. [PanelTypes] lists them.
const (
	EventKeyPress EventType = "key_press" // a key was pressed that requests an URL of [KeyURL]
	EventChoice   EventType = "choice"    // something was chosen, or typed, on a page
)

// PanelTypes returns the types of events that belong to no action URL.
func PanelTypes() []EventType { return []EventType{EventKeyPress, EventChoice} }

// A Choice is what was chosen or typed on a page.
type Choice struct {
	Choice string  `json:"choice"`           // as the page named it
	Text   *string `json:"text"`             // what was typed; nil: nothing, or a PIN
	Show   string  `json:"show"`             // the id of the command that showed the page
	PINOK  *bool   `json:"pin_ok,omitempty"` // whether the PIN was right; nil: none was asked for
}

// A Direction is that of a call.
type Direction string

// The directions of a call, seen from the phone. The zero Direction: not known.
const (
	DirectionIn  Direction = "in"
	DirectionOut Direction = "out"
)

// MarshalJSON writes null for a direction that is not known.
func (d Direction) MarshalJSON() ([]byte, error) { return jsonval.Marshal(known(string(d))) }

// A Party is one side of a call. Every field may be empty: not known, null in JSON.
type Party struct {
	Number string // user part of the URI, or the bare number: "+4930123", "27", "frontdoor"
	Name   string // display name
	URI    string // with its scheme, without display name, angle brackets and tag
}

// MarshalJSON writes number, name and uri, null for what is not known.
func (p Party) MarshalJSON() ([]byte, error) {
	return jsonval.Marshal(struct {
		Number *string `json:"number"`
		Name   *string `json:"name"`
		URI    *string `json:"uri"`
	}{known(p.Number), known(p.Name), known(p.URI)})
}

// An Event is one thing that happened at a phone, as the phone reported it. Text fields are valid
// UTF-8 without control characters and at most 512 bytes long; empty means not known.
type Event struct {
	Type       EventType
	Phone      string    // name of the phone; ParseEvent leaves it to the receiver
	Direction  Direction // known from incoming, missed and outgoing only
	CallID     string
	Line       string // the phone's identity that this is about, "27@pbx.example"
	Remote     Party
	Local      Party
	Key        string // "P5": the key of the call, or the one that was held
	Calls      int    // calls the phone has, when CallsKnown
	CallsKnown bool
	Reason     string // Reason header of the CANCEL that ended the call
	Extra      []Variable
	Time       time.Time // of arrival
	Name       string    // of EventKeyPress: what the settings call the key
	Choice     *Choice   // of EventChoice
}

// A Variable is a value that a phone sent and that has no field of its own in [Event].
type Variable struct{ Name, Value string }

// Get returns the value of one of the Extra variables, "" when the phone sent none.
func (e Event) Get(name string) string {
	for _, v := range e.Extra {
		if v.Name == name {
			return v.Value
		}
	}
	return ""
}

// MarshalJSON writes one object with every member always there, null for what is not known,
// and the time in UTC with milliseconds.
func (e Event) MarshalJSON() ([]byte, error) {
	extra := make(map[string]string, len(e.Extra))
	for _, v := range e.Extra {
		extra[v.Name] = v.Value
	}
	var calls *int
	if e.CallsKnown {
		calls = &e.Calls
	}
	return jsonval.Marshal(struct {
		Type      EventType         `json:"event_type"`
		Phone     *string           `json:"phone"`
		Direction Direction         `json:"direction"`
		CallID    *string           `json:"call_id"`
		Line      *string           `json:"line"`
		Remote    Party             `json:"remote"`
		Local     Party             `json:"local"`
		Key       *string           `json:"key"`
		Calls     *int              `json:"calls"`
		Reason    *string           `json:"reason"`
		Extra     map[string]string `json:"extra"`
		Time      string            `json:"time"`
		Name      string            `json:"name,omitempty"`
		*Choice
	}{
		e.Type, known(e.Phone), e.Direction, known(e.CallID), known(e.Line), e.Remote, e.Local,
		known(e.Key), calls, known(e.Reason), extra, e.Time.UTC().Format("2006-01-02T15:04:05.000Z"), e.Name, e.Choice,
	})
}

func known(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// Bounds of what ParseEvent reads, in bytes, chosen by this project. The query that URLs makes has about 400.
const (
	maxEventQuery = 16 << 10
	maxEventValue = 512
	maxEventExtra = 32 // variables
)

// ParseEvent reads an event that a phone reports by requesting an action URL: event is the last segment of the
// path, in plain words ("incoming") or as the setting is called, with or without its "action_" and "_url"; query
// is the query as it came, still escaped; at is the moment of arrival.
//
// The query is read by the grammar in grammar.go, which accepts every way of escaping that can be recognized: none,
// all, UTF-8 or Latin-1, a space as a plus, an & within a display name. What cannot be read becomes U+FFFD. A
// variable that the phone left in place, such as $remote, is unknown. Only an unknown event and a query of more
// than 16 KiB are errors.
func ParseEvent(event, query string, at time.Time) (Event, error) {
	row, ok := findEvent(event)
	if !ok {
		return Event{}, fmt.Errorf("snom: event %q: expected one of %s", cleantext.Cut(event, 64), joinTypes())
	}
	if row.Never {
		return Event{}, fmt.Errorf("snom: event %q: %s must not be set: %s", row.Type, row.Setting, row.Remark)
	}
	if len(query) > maxEventQuery {
		return Event{}, fmt.Errorf("snom: event %q: query of %d bytes, expected at most %d", row.Type, len(query), maxEventQuery)
	}
	sent := readVariables(query)
	take := func(name string) string {
		v := sent.values[name]
		delete(sent.values, name)
		return v
	}
	e := Event{Type: row.Type, Time: at}
	switch e.Type {
	case EventIncoming, EventMissed:
		e.Direction = DirectionIn
	case EventOutgoing:
		e.Direction = DirectionOut
	}
	e.CallID = take("call-id")
	e.Reason = take("cancel_reason")
	e.Remote = readParty(take("remote"), take("display_remote"))
	e.Local = readParty(take("local"), take("display_local"))
	// context_url is the identity that logs on or off; otherwise it only fills in.
	identity := []Party{e.Local, readParty(sent.values["context_url"], ""), readParty(sent.values["active_url"], "")}
	switch e.Type {
	case EventRegistered, EventUnregistered, EventRegistrationFailed:
		identity[0], identity[1] = identity[1], identity[0]
	}
	for _, p := range identity {
		if p.URI != "" || p.Number != "" {
			e.Local.URI, e.Local.Number = p.URI, p.Number
			break
		}
	}
	e.Line = lineOf(e.Local)
	key := "active_key"
	if sent.values["longpress_key"] != "" {
		key = "longpress_key"
	}
	e.Key = take(key)
	if n, err := strconv.ParseUint(sent.values["nr_ongoing_calls"], 10, 16); err == nil {
		e.Calls, e.CallsKnown = int(n), true
		delete(sent.values, "nr_ongoing_calls")
	}
	for _, name := range sent.order {
		if v := sent.values[name]; v != "" && len(e.Extra) < maxEventExtra {
			e.Extra = append(e.Extra, Variable{name, v})
		}
	}
	return e, nil
}

func findEvent(name string) (Row, bool) {
	for _, r := range rows() {
		short := strings.TrimSuffix(strings.TrimPrefix(r.Setting, "action_"), "_url")
		if name == string(r.Type) || name == r.Setting || name == short {
			return r, true
		}
	}
	if name == string(EventKeyPress) {
		return Row{Type: EventKeyPress}, true
	}
	return Row{}, false
}

func joinTypes() string {
	var names []string
	for _, t := range EventTypes() {
		names = append(names, string(t))
	}
	return strings.Join(names, ", ")
}
