package mqtt

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// A Tree is the topic tree below one base topic. Every topic the program uses is made or read here.
//
// Several bridges may share a base topic when each has an instance name of its own: their bridge topics are then
// <base>/bridge/<instance>/…, and each subscribes to its own phones only.
//
// A Tree is a comparable value. The zero Tree is of no use; make one with [NewTree].
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
		return Tree{}, fmt.Errorf("mqtt: base topic is empty, want one such as %q", "snom")
	case len(base) > MaxBase:
		return Tree{}, fmt.Errorf("mqtt: base topic has %d bytes, want at most %d", len(base), MaxBase)
	case !utf8.ValidString(base):
		return Tree{}, fmt.Errorf("mqtt: base topic %q is not UTF-8", base)
	case strings.HasPrefix(base, "/"), strings.HasSuffix(base, "/"), strings.Contains(base, "//"):
		return Tree{}, fmt.Errorf("mqtt: base topic %q: want no slash at its ends and no empty level", base)
	}
	bad := func(r rune) bool { return forbidden(r) || r == ' ' || r == '$' }
	if i := strings.IndexFunc(base, bad); i >= 0 {
		return Tree{}, fmt.Errorf("mqtt: base topic %q: offset %d: want no space, $, + or # and no control character", base, i)
	}
	if instance != "" {
		if err := ValidName(instance); err != nil {
			return Tree{}, fmt.Errorf("instance: %w", err)
		}
		switch instance {
		case levelState, levelInfo, levelResult, levelLoopback, levelRequest, levelResponse:
			return Tree{}, fmt.Errorf("mqtt: instance %q is the name of a topic of the bridge, want another one", instance)
		}
	}
	return Tree{Base: base, Instance: instance}, nil
}

// The words that topics are made of.
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
)

// bridge is the topic that all topics about the bridge itself stand below.
func (t Tree) bridge() string {
	if t.Instance == "" {
		return t.Base + "/" + levelBridge
	}
	return t.Base + "/" + levelBridge + "/" + t.Instance
}

// State is where the bridge says online and offline, retained; the last will goes there too.
func (t Tree) State() string { return t.bridge() + "/" + levelState }

// Info is where the bridge describes itself, retained.
func (t Tree) Info() string { return t.bridge() + "/" + levelInfo }

// BridgeResult is where refusals go that name no phone or group of ours.
func (t Tree) BridgeResult() string { return t.bridge() + "/" + levelResult }

// Loopback is where the session sends itself a message to see that the broker delivers.
func (t Tree) Loopback() string { return t.bridge() + "/" + levelLoopback }

// Request is where the bridge is asked for action.
func (t Tree) Request(action string) string { return t.bridge() + "/" + levelRequest + "/" + action }

// Response is where the bridge answers what [Tree.Request] asked.
func (t Tree) Response(action string) string { return t.bridge() + "/" + levelResponse + "/" + action }

// Command is where a command for the phone or group name is sent to.
func (t Tree) Command(name, command string) string { return t.Base + "/" + name + "/" + command }

// Result is where the answers to every command for the phone or group name go.
func (t Tree) Result(name string) string { return t.Command(name, levelResult) }

// Availability is where the phone is said to be online or offline, retained.
func (t Tree) Availability(name string) string { return t.Command(name, levelAvailability) }

// Status is where all that is known of the phone is told, retained.
func (t Tree) Status(name string) string { return t.Command(name, levelStatus) }

// Event is where it is told that something happened at the phone.
func (t Tree) Event(name string) string { return t.Command(name, levelEvent) }

// Owner is where the instance that serves the phone says so, retained: its claim.
func (t Tree) Owner(name string) string { return t.Command(name, levelOwner) }

// Filters returns the topic filters to subscribe to. None overlaps with another, so no message comes twice; all cover
// what the bridge says on its own topics too. names are the phones and groups of this bridge; they matter only when the
// base topic is shared with other instances.
func (t Tree) Filters(names []string) []string {
	if t.Instance == "" {
		return []string{t.Base + "/+/+", t.Request("+")}
	}
	filters := []string{t.bridge() + "/+", t.Request("+")}
	for _, name := range names {
		filters = append(filters, t.Command(name, "+"))
	}
	return filters
}

// Kind says what a topic is for.
type Kind string

// The kinds of topic.
const (
	KindCommand    Kind = "command"    // a command for Name: Command
	KindRequest    Kind = "request"    // the bridge is asked for Action
	KindLoopback   Kind = "loopback"   // a message of the session to itself
	KindOwner      Kind = "owner"      // who serves the phone Name
	KindInfo       Kind = "info"       // a bridge describes itself where we do: we come back to us, or another one like us
	KindOwn        Kind = "own"        // anything else a bridge publishes, come back to us
	KindUnreadable Kind = "unreadable" // below the base topic, and nothing we know
	KindForeign    Kind = "foreign"    // not below the base topic, or another instance's
)

// An Address is what the name of a topic says. Name, Command and Action are filled in as Kind tells. Name and Action obey
// [ValidName]: they may become part of a topic again. Command is as received and may not. Whether there is such a phone,
// command or action is not said.
type Address struct {
	Kind    Kind
	Name    string
	Command string
	Action  string
}

// Read says what topic is for. It accepts any text.
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
	switch word {
	case levelResult, levelAvailability, levelStatus, levelEvent:
		return Address{Kind: KindOwn}
	}
	if ValidName(name) != nil {
		return Address{Kind: KindUnreadable}
	}
	if word == levelOwner {
		return Address{Kind: KindOwner, Name: name}
	}
	return Address{Kind: KindCommand, Name: name, Command: word}
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

// ValidName says what is wrong with the name of a phone, a group or an instance, or returns nil. Names are
// [a-z0-9][a-z0-9_-]{0,63}, and not "bridge".
func ValidName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("mqtt: name is empty, want 1 to 64 of a-z, 0-9, _ and -")
	case name == levelBridge:
		return fmt.Errorf("mqtt: name %q is reserved for the bridge itself", name)
	case len(name) > 64:
		return fmt.Errorf("mqtt: name %q… has %d bytes, want at most 64", strings.ToValidUTF8(name[:32], "�"), len(name))
	case name[0] == '_' || name[0] == '-':
		return fmt.Errorf("mqtt: name %q begins with %q, want a-z or 0-9 there", name, name[0])
	}
	bad := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '-'
	}
	if i := strings.IndexFunc(name, bad); i >= 0 {
		return fmt.Errorf("mqtt: name %q: offset %d: want only a-z, 0-9, _ and -", name, i)
	}
	return nil
}

// A TopicDoc describes one topic for people.
type TopicDoc struct {
	Pattern  string // with <base>, <phone>, <group>, <command> and <action> to be filled in
	Retained string // "yes", "no", or "must not be"
	What     string
}

// Topics describes every topic of the tree, in the order of the documentation.
func Topics() []TopicDoc {
	t := Tree{Base: "<base>"}
	const (
		yes   = "yes"
		no    = "no"
		never = "must not be"
	)
	return []TopicDoc{
		{t.State(), yes, "`online` or `offline`; also the last will (QoS 1, retained), and said by hand on a clean exit"},
		{t.Info(), yes, "JSON: version, process, started, base topic, phones and groups, features that are on; no secrets"},
		{t.Request("<action>"), never, "`ping`, `reload`, `probe`, `install`, `log_level`"},
		{t.Response("<action>"), no, "the answer to a request"},
		{t.BridgeResult(), no, "refusals that name no phone or group of ours: unknown phone, unreadable topic"},
		{t.Loopback(), no, "what the bridge sends itself to see that the broker delivers; of no use to others"},
		{t.Command("<phone>", "<command>"), never, "a command, its argument as plain text or as JSON"},
		{t.Command("<phone>", "command"), never, "any command as JSON, its name under `command`"},
		{t.Command("<group>", "<command>"), never, "the same command for every member, in parallel across phones; `all` is every phone"},
		{t.Result("<phone>"), no, "one JSON object for every command that named this phone"},
		{t.Result("<group>"), no, "one summary when all members have answered"},
		{t.Availability("<phone>"), yes, "`online` or `offline`"},
		{t.Status("<phone>"), yes, "JSON: what is known of the phone"},
		{t.Event("<phone>"), no, "JSON: something happened at the phone"},
		{t.Owner("<phone>"), yes, "the instance that serves the phone, where several bridges share the base topic; see below"},
	}
}
