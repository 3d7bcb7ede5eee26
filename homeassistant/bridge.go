package homeassistant

import (
	"fmt"
	"strings"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// What names this program in every document. Home Assistant shows it in its log.
const (
	originName = "snom2mqtt"
	supportURL = "https://github.com/snom2mqtt/snom2mqtt"
)

// German is the other language of the names of entities.
const German = "de"

// A Bridge is what all documents have in common.
type Bridge struct {
	Tree    mqtt.Tree
	Prefix  string // of all topics of discovery; "homeassistant" by default
	Version string // of this program; may be empty
	// Language is that of the names of entities: German, or else English. Identifiers and topics are the same.
	Language string
	// Doors returns the doors, in the order of their names; nil: there are none. It must not block.
	Doors func() []Door
	// Groups returns the groups that have a multicast address, in the order of their names; nil: there are none. It must not
	// block.
	Groups func() []string
}

// ID returns Home Assistant's identifier of the bridge: made of its base topic, and of its instance if it has one.
func (b Bridge) ID() string { return originName + "_" + b.scope() }

// scope returns the part of identifiers that tells bridges apart.
func (b Bridge) scope() string {
	scope := plain(b.Tree.Base)
	if b.Tree.Instance != "" {
		scope += "_" + plain(b.Tree.Instance)
	}
	return scope
}

// Topic returns the topic of the document of the device id.
func (b Bridge) Topic(id string) string { return b.Prefix + "/device/" + id + "/config" }

// Filter matches the documents of all devices, of other programs too.
func (b Bridge) Filter() string { return b.Topic("+") }

// Status returns the topic of Home Assistant's birth message, as it is unless changed there.
func (b Bridge) Status() string { return b.Prefix + "/status" }

// id returns the identifier in a topic that [Bridge.Filter] matches.
func (b Bridge) id(topic string) (string, bool) {
	rest, ok := strings.CutPrefix(topic, b.Prefix+"/device/")
	if !ok {
		return "", false
	}
	id, ok := strings.CutSuffix(rest, "/config")
	return id, ok && id != "" && !strings.Contains(id, "/")
}

// phoneOf returns the name of the phone whose availability topic this is.
func (b Bridge) phoneOf(topic string) (name string, ok bool) {
	name = strings.TrimSuffix(strings.TrimPrefix(topic, b.Tree.Base+"/"), "/availability")
	return name, mqtt.ValidName(name) == nil && b.Tree.Availability(name) == topic
}

// plain writes text with letters, digits and underscores only, and different texts differently: topics of discovery
// allow nothing else.
func plain(text string) string {
	var out strings.Builder
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
			out.WriteByte(c)
		default:
			fmt.Fprintf(&out, "_%02x", c)
		}
	}
	return out.String()
}
