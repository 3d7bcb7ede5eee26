// Package actionurl makes the action URLs of Snom desk phones, writes them into phones, and reads what phones
// report by calling them.
//
// A phone requests one of its action URLs when something happens at it: a call comes in, the handset is
// lifted, do not disturb is switched on. [URLs] returns the settings that make it report everything it can,
// [Install] writes them into it, and [ParseEvent] reads a request as an [Event].
package actionurl

import (
	_ "embed"
	"encoding/xml"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/snom2mqtt/snom2mqtt/internal/cleantext"
	"github.com/snom2mqtt/snom2mqtt/internal/csvtable"
	"github.com/snom2mqtt/snom2mqtt/internal/jsonval"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// An EventType says in plain words what happened at a phone. Each stands for one action URL; the
// table, with the setting's name and the source of each, is events.csv.
type EventType string

// Everything a phone can tell. [EventTypes] lists them.
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

// Direction is who called whom.
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

// An Event is one thing that happened at a phone, as the phone told it. Text fields are valid
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
}

// A Variable is something a phone said that has no field of its own in [Event].
type Variable struct{ Name, Value string }

// Get returns what the phone said under the name of one of the Extra variables, "" when nothing.
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
	}{
		e.Type, known(e.Phone), e.Direction, known(e.CallID), known(e.Line), e.Remote, e.Local,
		known(e.Key), calls, known(e.Reason), extra, e.Time.UTC().Format("2006-01-02T15:04:05.000Z"),
	})
}

func known(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// Row is one row of the table of action URLs.
type Row struct {
	Setting string    // name of the phone's setting: "action_incoming_url"
	Type    EventType // in plain words: "incoming"
	Caption string    // in the phone's web interface
	Never   bool      // must not point here; see Remark
	Mark    snom.Mark
	Source  string
	Remark  string
}

// VariableRow is one row of the table of variables that a phone puts into an action URL.
type VariableRow struct {
	Name   string // without the $
	Kind   string // "uri", "text", "number", "free" (text that somebody else chose), "setting"
	Sent   bool   // URLs asks for it
	Means  string
	Mark   snom.Mark
	Source string
	Remark string
}

//go:embed events.csv
var eventsCSV string

//go:embed variables.csv
var variablesCSV string

var rows = sync.OnceValue(func() []Row {
	var rows []Row
	for _, r := range csvtable.Rows(eventsCSV) {
		rows = append(rows, Row{
			Setting: r[0], Type: EventType(r[1]), Caption: r[2], Never: r[3] == "never",
			Mark: snom.Mark(r[4]), Source: r[5], Remark: r[6],
		})
	}
	return rows
})

var variableRows = sync.OnceValue(func() []VariableRow {
	var rows []VariableRow
	for _, r := range csvtable.Rows(variablesCSV) {
		rows = append(rows, VariableRow{
			Name: r[0], Kind: r[1], Sent: r[2] == "yes", Means: r[3],
			Mark: snom.Mark(r[4]), Source: r[5], Remark: r[6],
		})
	}
	return rows
})

// Rows returns the table of all action URLs, those included that are never set.
func Rows() []Row { return slices.Clone(rows()) }

// VariableRows returns the table of variables, in the order in which URLs asks for them.
func VariableRows() []VariableRow { return slices.Clone(variableRows()) }

// EventTypes returns every type of event that ParseEvent gives, in the order of the table.
func EventTypes() []EventType {
	var types []EventType
	for _, r := range rows() {
		if !r.Never {
			types = append(types, r.Type)
		}
	}
	return types
}

// An URL is one setting of a phone, with its value.
type URL struct{ Setting, URL string }

// URLs returns the settings that make a phone tell everything it can: for each event the
// URL <base>/a/<phone>/<token>/<event type>?<variables>. The phone replaces the $variables.
// base is where phones reach the receiver, "http://192.0.2.5:8090".
//
// What the far end of a call chooses comes last, so that a display name which the phone does not
// escape cannot pass for something else. action_blacklist_url is left out: see events.csv.
func URLs(base, phone, token string) []URL {
	var names []string
	for _, v := range variableRows() {
		if v.Sent {
			names = append(names, v.Name+"=$"+v.Name)
		}
	}
	start := strings.TrimRight(base, "/") + "/a/" + url.PathEscape(phone) + "/" + url.PathEscape(token) + "/"
	var urls []URL
	for _, r := range rows() {
		if !r.Never {
			urls = append(urls, URL{r.Setting, start + string(r.Type) + "?" + strings.Join(names, "&")})
		}
	}
	return urls
}

// ProvisioningXML returns the document that sets urls when a phone is provisioned with it. The
// settings stay writable (perm=""), but provisioning overwrites them (Snom wiki, PERMISSIONFLAG).
func ProvisioningXML(urls []URL) string {
	var b strings.Builder
	b.WriteString(xml.Header + "<settings>\n  <phone-settings>\n")
	for _, u := range urls {
		b.WriteString("    <" + u.Setting + ` perm="">`)
		_ = xml.EscapeText(&b, []byte(u.URL)) // a Builder does not fail
		b.WriteString("</" + u.Setting + ">\n")
	}
	b.WriteString("  </phone-settings>\n</settings>\n")
	return b.String()
}

// Bounds of what ParseEvent reads, in bytes; ours. The query that URLs makes has about 400.
const (
	maxEventQuery = 16 << 10
	maxEventValue = 512
	maxEventExtra = 32 // variables
)

// ParseEvent reads what a phone says when it calls an action URL: event is the last segment of the
// path, in plain words ("incoming") or as the setting is called, with or without its "action_" and
// "_url"; query is the query as it came, still escaped; at is the moment of arrival.
//
// How a phone escapes values is documented nowhere, so everything that can be understood is: none
// of it, all of it, umlauts in UTF-8 or Latin-1, a space as a plus. An & within a value is told
// from one between two by the name that follows. What cannot be read becomes U+FFFD. A variable
// that the phone did not replace is not known. Only an unknown event and a query of more than
// 16 KiB are errors.
func ParseEvent(event, query string, at time.Time) (Event, error) {
	row, ok := findEvent(event)
	if !ok {
		return Event{}, fmt.Errorf("snom: event %q: want one of %s", cleantext.Cut(event, 64), joinTypes())
	}
	if row.Never {
		return Event{}, fmt.Errorf("snom: event %q: %s must not be set: %s", row.Type, row.Setting, row.Remark)
	}
	if len(query) > maxEventQuery {
		return Event{}, fmt.Errorf("snom: event %q: query of %d bytes, want at most %d", row.Type, len(query), maxEventQuery)
	}
	said := readVariables(query)
	take := func(name string) string {
		v := said.values[name]
		delete(said.values, name)
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
	// Which identity logs on or off, context_url says; otherwise it only fills in.
	identity := []Party{e.Local, readParty(said.values["context_url"], ""), readParty(said.values["active_url"], "")}
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
	if said.values["longpress_key"] != "" {
		key = "longpress_key"
	}
	e.Key = take(key)
	if n, err := strconv.ParseUint(said.values["nr_ongoing_calls"], 10, 16); err == nil {
		e.Calls, e.CallsKnown = int(n), true
		delete(said.values, "nr_ongoing_calls")
	}
	for _, name := range said.order {
		if v := said.values[name]; v != "" && len(e.Extra) < maxEventExtra {
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
	return Row{}, false
}

func joinTypes() string {
	var names []string
	for _, t := range EventTypes() {
		names = append(names, string(t))
	}
	return strings.Join(names, ", ")
}

// variables are what a phone said: each name once, the order in which they came, and the text of each.
type variables struct {
	order  []string
	values map[string]string
}

// readVariables splits a query into names and readable values.
//
// A name opens a new value only once, so what a caller puts into a display name cannot replace what
// the phone said before it: there a name that comes again is text, elsewhere nothing. And within text
// that somebody else chose, only the names of Snom's own variables open a value.
func readVariables(query string) variables {
	s := variables{values: map[string]string{}}
	form := plusIsSpace(query)
	var name, kind string // of the value that is open
	var start int
	end := func(at int) {
		if name == "" || len(s.order) == 2*maxEventExtra {
			return
		}
		text := query[start:max(start, at)]
		if form {
			switch kind {
			case "free":
				text = strings.ReplaceAll(text, "+", " ")
			case "uri": // only in a display name in front of one
				if i := strings.Index(strings.ReplaceAll(text, "%3c", "%3C"), "%3C"); i > 0 {
					text = strings.ReplaceAll(text[:i], "+", " ") + text[i:]
				}
			}
		}
		value := readable(unescape(text))
		if kind == "uri" {
			value = withoutPassword(value)
		}
		if unreplaced(value) {
			value = ""
		}
		s.order = append(s.order, name)
		s.values[name] = value
	}
	seen := map[string]bool{}
	at := 0
	for part := range strings.SplitSeq(query, "&") {
		// A URL pasted with the escapes of the XML it stood in has &amp; between its values.
		n, v, ok := strings.Cut(strings.TrimPrefix(part, "amp;"), "=")
		if n == "call_id" { // a name for $call-id that many give it
			n = "call-id"
		}
		if k := variableKind(n); ok && (k != "" || isName(n)) && (k != "" && !seen[n] || kind != "free") {
			end(at - len("&"))
			name, kind, start = n, k, at+len(part)-len(v)
			if seen[n] {
				name = ""
			}
			seen[n] = true
		}
		at += len(part) + len("&")
	}
	end(len(query))
	return s
}

// variableKind is the kind of one of Snom's variables, "" for all other names.
func variableKind(name string) string {
	for _, v := range variableRows() {
		if v.Name == name {
			return v.Kind
		}
	}
	return ""
}

// isName says whether s may be the name of a setting, such as user_name1.
func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-') {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// unreplaced says whether a value is still the $variable that the phone was to put something for.
func unreplaced(value string) bool {
	name, ok := strings.CutPrefix(value, "$")
	name, _, _ = strings.Cut(name, "(") // $sip_header(NAME)
	return ok && isName(name)
}

// plusIsSpace says whether a plus in text is a space, as in a form. It is not when the request
// writes a space otherwise, or has a plus in front of a number: a form would have escaped that one.
// In URIs and numbers a plus is a plus in any case.
func plusIsSpace(query string) bool {
	if strings.Contains(query, "%20") || strings.Contains(query, " ") {
		return false
	}
	for i := 1; i+1 < len(query); i++ {
		if query[i] != '+' || query[i+1] < '0' || '9' < query[i+1] {
			continue
		}
		switch before := strings.ToUpper(query[max(0, i-3):i]); {
		case before == "%3A", before == "%3C", strings.ContainsRune("=:<", rune(query[i-1])):
			return false
		}
	}
	return true
}

// unescape replaces each %XX; a % that is not followed by two hexadecimal digits is a %.
func unescape(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b = append(b, byte(c))
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

// readable returns what a phone sent as valid UTF-8 without control characters, bounded.
func readable(s string) string { return cleantext.Clean(s, maxEventValue) }

// readParty reads one side of a call: a SIP URI in any of the forms in which phones write it, and a
// display name that came apart from it.
func readParty(address, name string) Party {
	p := Party{Name: name}
	uri := strings.TrimSpace(address)
	if i := strings.LastIndexByte(uri, '<'); i >= 0 { // "Front <door>" <sip:27@pbx.example>;tag=1
		if p.Name == "" {
			p.Name = unquote(strings.TrimSpace(uri[:i]))
		}
		uri = uri[i+1:]
	}
	uri, _, _ = strings.Cut(uri, ">")
	uri = strings.TrimSpace(uri)
	scheme, rest, ok := strings.Cut(uri, ":")
	switch scheme = strings.ToLower(scheme); {
	case ok && (scheme == "sip" || scheme == "sips" || scheme == "tel"):
	case strings.Contains(uri, "@"): // seen: $local as user@host
		scheme, rest = "sip", uri
	default:
		p.Number = uri
		return p
	}
	if rest == "" {
		return p
	}
	p.URI = cleantext.Cut(scheme+":"+rest, maxEventValue)
	user, host, ok := splitAddress(rest)
	if !ok && scheme != "tel" {
		return p // a host only
	}
	if strings.EqualFold(host, "anonymous.invalid") {
		return p // RFC 3323: the caller does not want to be known
	}
	p.Number = readable(unescape(user))
	return p
}

// unquote is a display name without the quotes around it (RFC 3261, 25.1).
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	return strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(s[1 : len(s)-1])
}

// splitAddress splits what follows the scheme of a URI into user and host, both without parameters;
// false: it has no user, or no host.
func splitAddress(rest string) (user, host string, ok bool) {
	rest, _, _ = strings.Cut(rest, "?")
	at := strings.LastIndexByte(rest, '@')
	user, _, _ = strings.Cut(rest[:max(at, 0)], ";")
	host, _, _ = strings.Cut(rest[at+1:], ";")
	if at < 0 {
		return host, "", false
	}
	return user, host, true
}

// withoutPassword is an address without the password that a SIP URI may hold, user:password@host: it
// is for nobody to read.
func withoutPassword(address string) string {
	start := strings.LastIndexByte(address, '<') + 1
	if scheme, _, ok := strings.Cut(strings.ToLower(address[start:]), ":"); ok {
		if scheme = strings.TrimSpace(scheme); scheme == "sip" || scheme == "sips" {
			start += strings.IndexByte(address[start:], ':') + 1
		}
	}
	end := len(address)
	if i := strings.IndexAny(address[start:], "?>"); i >= 0 {
		end = start + i
	}
	at := strings.LastIndexByte(address[start:end], '@')
	if at < 0 {
		return address
	}
	user, _, _ := strings.Cut(address[start:start+at], ":")
	return address[:start] + user + address[start+at:]
}

// lineOf is how an identity is written as a line: user@host.
func lineOf(p Party) string {
	_, rest, ok := strings.Cut(p.URI, ":")
	if !ok {
		return p.Number
	}
	user, host, ok := splitAddress(rest)
	if !ok {
		return user
	}
	return user + "@" + host
}
