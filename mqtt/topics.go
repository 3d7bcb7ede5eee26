package mqtt

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// A Tree is the topic tree below one base topic. It makes and reads every topic that the program uses.
//
// Several bridges may share a base topic when each has its own instance name: their bridge topics are then
// <base>/bridge/<instance>/…, and each subscribes to its own phones only.
//
// A Tree is a comparable value. The zero Tree is not valid; make one with [NewTree].
type Tree struct {
	Base     string
	Instance string // empty when the base topic is not shared
}

// MaxBase is the longest base topic, in bytes: with it, the longest topic below it still fits into [MaxTopic].
const MaxBase = 100

// NewTree returns the tree below base. A base topic is one level or several, separated by slashes, such as "snom" or
// "house/phones": 1 to [MaxBase] bytes, no level empty, and no space, $, wildcard or control character in it. An
// instance is a name ([ValidName]) or empty.
func NewTree(base, instance string) (Tree, error) {
	switch {
	case base == "":
		return Tree{}, fmt.Errorf("mqtt: base topic is empty, expected one such as %q", "snom")
	case len(base) > MaxBase:
		return Tree{}, fmt.Errorf("mqtt: base topic has %d bytes, expected at most %d", len(base), MaxBase)
	case !utf8.ValidString(base):
		return Tree{}, fmt.Errorf("mqtt: base topic %q is not UTF-8", base)
	case strings.HasPrefix(base, "/"), strings.HasSuffix(base, "/"), strings.Contains(base, "//"):
		return Tree{}, fmt.Errorf("mqtt: base topic %q: expected no slash at its ends and no empty level", base)
	}
	bad := func(r rune) bool { return forbidden(r) || r == ' ' || r == '$' }
	if i := strings.IndexFunc(base, bad); i >= 0 {
		return Tree{}, fmt.Errorf("mqtt: base topic %q: offset %d: expected no space, $, + or # and no control character", base, i)
	}
	if instance != "" {
		if err := ValidName(instance); err != nil {
			return Tree{}, fmt.Errorf("instance: %w", err)
		}
		switch instance {
		case levelState, levelInfo, levelPhones, levelHealth, levelResult, levelLoopback, levelRequest, levelResponse:
			return Tree{}, fmt.Errorf("mqtt: instance %q is the name of a topic of the bridge, expected another one", instance)
		}
	}
	return Tree{Base: base, Instance: instance}, nil
}

// The levels that topics are made of.
const (
	levelBridge       = "bridge"
	levelState        = "state"
	levelInfo         = "info"
	levelResult       = "result"
	levelLoopback     = "loopback"
	levelRequest      = "request"
	levelResponse     = "response"
	levelAvailability = "availability"
	levelStatus       = "status"
	levelEvent        = "event"
	levelOwner        = "owner"
	levelImage        = "image"
	levelPhones       = "phones"
	levelHealth       = "health"
	levelAll          = "all" // the built-in group of every phone
)

// bridge returns the topic above all topics of the bridge itself.
func (t Tree) bridge() string {
	if t.Instance == "" {
		return t.Base + "/" + levelBridge
	}
	return t.Base + "/" + levelBridge + "/" + t.Instance
}

// State returns the topic of the bridge's state, online or offline, retained; it is also that of the last will.
func (t Tree) State() string { return t.bridge() + "/" + levelState }

// Info returns the topic of the document that describes the bridge, retained.
func (t Tree) Info() string { return t.bridge() + "/" + levelInfo }

// Phones returns the topic of the list of the bridge's phones, retained.
func (t Tree) Phones() string { return t.bridge() + "/" + levelPhones }

// Health returns the topic of how the bridge is doing, retained.
func (t Tree) Health() string { return t.bridge() + "/" + levelHealth }

// BridgeResult returns the topic of refusals that name no phone or group of the bridge.
func (t Tree) BridgeResult() string { return t.bridge() + "/" + levelResult }

// Loopback returns the topic of messages that the session sends to itself, to prove that the broker delivers.
func (t Tree) Loopback() string { return t.bridge() + "/" + levelLoopback }

// CommandLoopback returns the topic of such messages where commands are received: below the built-in group of every
// phone, which a subscription to commands covers in any case.
func (t Tree) CommandLoopback() string { return t.Command(levelAll, levelLoopback) }

// Request returns the topic of requests to the bridge for action.
func (t Tree) Request(action string) string { return t.bridge() + "/" + levelRequest + "/" + action }

// Response returns the topic of the answers to [Tree.Request].
func (t Tree) Response(action string) string { return t.bridge() + "/" + levelResponse + "/" + action }

// Command returns the topic of a command for the phone or group name.
func (t Tree) Command(name, command string) string { return t.Base + "/" + name + "/" + command }

// Result returns the topic of the answers to all commands for the phone or group name.
func (t Tree) Result(name string) string { return t.Command(name, levelResult) }

// Availability returns the topic of a phone's availability, online or offline, retained.
func (t Tree) Availability(name string) string { return t.Command(name, levelAvailability) }

// Status returns the topic of the document with all that is known of a phone, retained.
func (t Tree) Status(name string) string { return t.Command(name, levelStatus) }

// Event returns the topic of what happens at a phone.
func (t Tree) Event(name string) string { return t.Command(name, levelEvent) }

// DoorState returns the topic of what a door is doing, retained.
func (t Tree) DoorState(name string) string { return t.Command(name, levelState) }

// Image returns the topic of the last picture of a door's camera, retained, or of a phone's screen.
func (t Tree) Image(name string) string { return t.Command(name, levelImage) }

// Owner returns the topic on which the instance that serves a phone claims it, retained.
func (t Tree) Owner(name string) string { return t.Command(name, levelOwner) }

// A Subscription is a topic filter that a session subscribes to.
type Subscription struct {
	Filter   string
	Instead  []string // subscribed where the broker refuses Filter
	Optional bool     // the session works without it
}

// Subscriptions returns what to subscribe to. No filter overlaps with another, so no message comes twice, and all cover
// what the bridge publishes on its own topics too. names are the phones and groups of this bridge; they matter only when
// the base topic is shared with other instances.
//
// The filters end in #, so that a command on a topic that is too short or too long is answered as well. Where access
// rules do not permit that, narrower ones are subscribed instead, which cover all valid topics.
func (t Tree) Subscriptions(names []string) []Subscription {
	if t.Instance == "" {
		return []Subscription{{Filter: t.Base + "/#", Instead: []string{t.Base + "/+/+", t.Request("+")}}}
	}
	all := make([]Subscription, 0, len(names)+1)
	all = append(all, Subscription{Filter: t.bridge() + "/#", Instead: []string{t.bridge() + "/+", t.Request("+")}})
	for _, name := range names {
		all = append(all, Subscription{Filter: t.Command(name, "#"), Instead: []string{t.Command(name, "+")}})
	}
	return all
}

// Kind is the purpose of a topic.
type Kind string

// The kinds of topic.
const (
	KindCommand      Kind = "command"      // a command for Name: Command
	KindRequest      Kind = "request"      // a request to the bridge for Action
	KindLoopback     Kind = "loopback"     // a message of the session to itself
	KindStatus       Kind = "status"       // what is known of the phone Name, as published before
	KindAvailability Kind = "availability" // the availability of the phone Name, as published before
	KindOwner        Kind = "owner"        // the instance that serves the phone Name
	KindInfo         Kind = "info"         // the description of this bridge, or of another one on the same topics
	KindDocument     Kind = "document"     // another retained document of the bridge, or of Name, as published before
	KindOwn          Kind = "own"          // anything else that a bridge publishes
	KindUnreadable   Kind = "unreadable"   // below the base topic, and not a topic of the tree
	KindForeign      Kind = "foreign"      // not below the base topic, or another instance's
)

// An Address is a topic name, read. Kind determines which of Name, Command and Action are set. Name and Action obey
// [ValidName], so they may become part of a topic again. Command is as received and may not. Whether there is such a
// phone, command or action is not checked.
type Address struct {
	Kind    Kind
	Name    string
	Command string
	Action  string
}

// Read returns the meaning of a topic name. It accepts any text.
func (t Tree) Read(topic string) Address {
	rest, ok := strings.CutPrefix(topic, t.Base+"/")
	if !ok {
		return Address{Kind: KindForeign}
	}
	name, word, ok := strings.Cut(rest, "/")
	if !ok {
		return Address{Kind: KindUnreadable}
	}
	if name == levelBridge {
		return t.readBridge(topic)
	}
	valid := ValidName(name) == nil
	switch word {
	case levelResult, levelEvent:
		return Address{Kind: KindOwn}
	case levelImage:
		if !valid {
			return Address{Kind: KindOwn}
		}
		return Address{Kind: KindDocument, Name: name}
	case levelStatus, levelAvailability:
		if !valid {
			return Address{Kind: KindOwn}
		}
		return Address{Kind: Kind(word), Name: name}
	case levelLoopback:
		if name == levelAll {
			return Address{Kind: KindLoopback}
		}
	}
	switch {
	case !valid:
		return Address{Kind: KindUnreadable}
	case word == levelOwner:
		return Address{Kind: KindOwner, Name: name}
	}
	return Address{Kind: KindCommand, Name: name, Command: word}
}

// IsAnswer reports whether a topic name is that of results or events of a phone, a group or a door. [Tree.Read] says
// [KindOwn] of it.
func (t Tree) IsAnswer(topic []byte) bool {
	n := len(t.Base)
	if len(topic) <= n || string(topic[:n]) != t.Base || topic[n] != '/' {
		return false
	}
	name, word, _ := bytes.Cut(topic[n+1:], []byte{'/'})
	return string(name) != levelBridge && (string(word) == levelResult || string(word) == levelEvent)
}

// readBridge is Read for topics below <base>/bridge/.
func (t Tree) readBridge(topic string) Address {
	rest, ok := strings.CutPrefix(topic, t.bridge()+"/")
	if !ok {
		return Address{Kind: KindForeign}
	}
	switch rest {
	case levelState, levelResult:
		return Address{Kind: KindOwn}
	case levelPhones, levelHealth:
		return Address{Kind: KindDocument}
	case levelInfo:
		return Address{Kind: KindInfo}
	case levelLoopback:
		return Address{Kind: KindLoopback}
	}
	word, action, ok := strings.Cut(rest, "/")
	switch {
	case !ok:
		return Address{Kind: KindUnreadable}
	case word == levelResponse:
		return Address{Kind: KindOwn}
	case word == levelRequest && ValidName(action) == nil:
		return Address{Kind: KindRequest, Action: action}
	case word == levelRequest:
		return Address{Kind: KindUnreadable}
	}
	return Address{Kind: KindForeign} // <base>/bridge/<another instance>/…
}

// Hint returns what is probably wrong with a topic below the base topic that is unreadable, or "". It repeats nothing of
// the topic, which may contain a secret that was put into the wrong place.
func (t Tree) Hint(topic string) string {
	rest, ok := strings.CutPrefix(topic, t.Base+"/")
	if !ok {
		return ""
	}
	name, command, more := strings.Cut(rest, "/")
	var hints []string
	switch lower := strings.ToLower(name); {
	case name == "":
		hints = append(hints, "the name is empty")
	case ValidName(name) == nil || name == levelBridge:
	case ValidName(lower) == nil:
		hints = append(hints, "names are written in lower case")
	default:
		hints = append(hints, "names are made of a-z, 0-9, _ and -")
	}
	switch {
	case !more, command == "":
		hints = append(hints, "the command is missing")
	case name == levelBridge && !strings.HasPrefix(topic, t.Request("")):
	case name == levelBridge:
		hints = append(hints, requestHint(strings.TrimPrefix(topic, t.Request("")))...)
	case strings.HasSuffix(command, "/"):
		hints = append(hints, "the topic ends in a slash")
	case strings.Contains(command, "/"):
		hints = append(hints, "the topic has too many levels")
	}
	return strings.Join(hints, ", ")
}

// requestHint is Hint for what follows the topic of requests.
func requestHint(action string) []string {
	switch {
	case action == "":
		return []string{"the action is missing"}
	case strings.HasSuffix(action, "/"):
		return []string{"the topic ends in a slash"}
	case strings.Contains(action, "/"):
		return []string{"the topic has too many levels"}
	case ValidName(strings.ToLower(action)) == nil:
		return []string{"actions are written in lower case"}
	}
	return nil
}

// ValidName returns what is wrong with the name of a phone, a group or an instance, or nil. Names are
// [a-z0-9][a-z0-9_-]{0,63}, and not "bridge".
func ValidName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("mqtt: name is empty, expected 1 to 64 of a-z, 0-9, _ and -")
	case name == levelBridge:
		return fmt.Errorf("mqtt: name %q is reserved for the bridge itself", name)
	case len(name) > 64:
		return fmt.Errorf("mqtt: name %q… has %d bytes, expected at most 64", strings.ToValidUTF8(name[:32], "�"), len(name))
	case name[0] == '_' || name[0] == '-':
		return fmt.Errorf("mqtt: name %q begins with %q, expected a-z or 0-9 there", name, name[0])
	}
	bad := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '-'
	}
	if i := strings.IndexFunc(name, bad); i >= 0 {
		return fmt.Errorf("mqtt: name %q: offset %d: expected only a-z, 0-9, _ and -", name, i)
	}
	return nil
}

// A TopicDoc documents one topic.
type TopicDoc struct {
	Pattern  string // with the placeholders <base>, <phone>, <group>, <command> and <action>
	Retained string // "yes", "no", or "must not be"
	What     string
}

// Topics returns the documentation of every topic of the tree, in order.
func Topics() []TopicDoc {
	t := Tree{Base: "<base>"}
	const (
		yes   = "yes"
		no    = "no"
		never = "must not be"
	)
	return []TopicDoc{
		{t.State(), yes, "`online` or `offline`; also the last will (QoS 1, retained), and published on a clean exit"},
		{t.Info(), yes, "JSON: version, process, started, base topic, phones and groups, features that are on; no secrets"},
		{t.Phones(), yes, "JSON list of all phones: model, how they are driven, commands and keys, problem; see below"},
		{t.Health(), yes, "JSON, every minute and when phones or the connection come and go: how the bridge is doing; see below"},
		{t.Request("<action>"), never, "a request to the bridge: see below"},
		{t.Response("<action>"), no, "the answer to a request"},
		{t.BridgeResult(), no, "refusals that name no phone or group of the bridge: unknown phone, unreadable topic"},
		{t.Loopback(), no, "what the bridge sends itself to prove that the broker delivers; of no use to others"},
		{t.CommandLoopback(), no, "the same, where commands are received"},
		{t.Command("<phone>", "<command>"), never, "a command, its argument as plain text or as JSON"},
		{t.Command("<phone>", "command"), never, "any command as JSON, its name under `command`"},
		{t.Command("<group>", "<command>"), never, "the same command for every member, in parallel across phones; `all` is every phone"},
		{t.Result("<phone>"), no, "one JSON object for every command that named this phone"},
		{t.Result("<group>"), no, "one summary when all members have answered"},
		{t.Availability("<phone>"), yes, "`online` or `offline`"},
		{t.Status("<phone>"), yes, "JSON: what is known of the phone"},
		{t.Event("<phone>"), no, "JSON: something happened at the phone"},
		{t.Image("<phone>"), no, "the picture that `screen` took of the phone's screen, PNG, at most 64 KiB"},
		{t.Command("<door>", "open"), never, "opens the door: nothing, or JSON with `id`, `expires_in`, `expires_at`, `dry_run`"},
		{t.DoorState("<door>"), yes, "JSON: what the door is doing: `state` is `locked`, `opening`, `open` or `failed`"},
		{t.Availability("<door>"), yes, "`online` or `offline`: whether one of its phones is reachable"},
		{t.Event("<door>"), no, "JSON: the door rings; `event_type` is `ring`"},
		{t.Image("<door>"), yes, "JPEG: the picture of the door's camera when it rang last"},
		{t.Result("<door>"), no, "one JSON object for every `open`"},
		{t.Owner("<phone>"), yes, "the instance that serves the phone, where several bridges share the base topic; see below"},
	}
}
