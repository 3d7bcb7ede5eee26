package homeassistant

import (
	"fmt"
	"strings"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// What names us in every document. Home Assistant shows it in its log.
const (
	originName = "snom2mqtt"
	supportURL = "https://github.com/snom2mqtt/snom2mqtt"
)

// A Bridge is what all documents have in common.
type Bridge struct {
	Tree    mqtt.Tree
	Prefix  string // of all topics of discovery; "homeassistant" unless set
	Version string // of this program; may be empty
}

// ID is how the bridge is called in Home Assistant: by its base topic, and its instance where it has one.
func (b Bridge) ID() string {
	id := originName + "_" + plain(b.Tree.Base)
	if b.Tree.Instance != "" {
		id += "_" + plain(b.Tree.Instance)
	}
	return id
}

// Topic is where the document of the device id goes.
func (b Bridge) Topic(id string) string { return b.Prefix + "/device/" + id + "/config" }

// Filter matches the documents of all devices, ours among them.
func (b Bridge) Filter() string { return b.Topic("+") }

// Status is where Home Assistant says that it has started, unless somebody changed that there.
func (b Bridge) Status() string { return b.Prefix + "/status" }

// id takes the id out of a topic that [Bridge.Filter] matches.
func (b Bridge) id(topic string) (string, bool) {
	rest, ok := strings.CutPrefix(topic, b.Prefix+"/device/")
	if !ok {
		return "", false
	}
	id, ok := strings.CutSuffix(rest, "/config")
	return id, ok && id != "" && !strings.Contains(id, "/")
}

// phoneOf takes the name of a phone out of the topic of its availability.
func (b Bridge) phoneOf(topic string) (name string, ok bool) {
	name = strings.TrimSuffix(strings.TrimPrefix(topic, b.Tree.Base+"/"), "/availability")
	return name, mqtt.ValidName(name) == nil && b.Tree.Availability(name) == topic
}

// Document describes the bridge itself.
func (b Bridge) Document() Document {
	e := b.entities(b.ID())
	e.add("connected", Component{
		Platform: "binary_sensor", Name: "Connected", DeviceClass: "connectivity", EntityCategory: "diagnostic", QoS: 1,
		StateTopic: b.Tree.State(), PayloadOn: "online", PayloadOff: "offline",
	})
	here := []Availability{{b.Tree.State()}}
	e.add("phones", Component{
		Platform: "sensor", Name: "Phones", Icon: "mdi:deskphone", EntityCategory: "diagnostic", StateClass: "measurement", QoS: 1,
		StateTopic: b.Tree.Info(), ValueTemplate: "{{ (value_json.phones or []) | count }}",
		AttributesTopic: b.Tree.Info(), Enabled: no(), Availability: here,
	}.guarded())
	e.add("reload", Component{
		Platform: "button", Name: "Reload phones", Icon: "mdi:reload", EntityCategory: "config",
		CommandTopic: b.Tree.Request("reload"), PayloadPress: "{}", Enabled: no(), Availability: here,
	})
	return Document{
		Device: Device{
			Identifiers: []string{b.ID()}, Name: "snom2mqtt", Manufacturer: "snom2mqtt", Model: "Bridge", SWVersion: b.Version,
		},
		Origin:     b.origin(),
		Components: e.all,
	}
}

func (b Bridge) origin() Origin {
	return Origin{Name: originName, SWVersion: b.Version, SupportURL: supportURL}
}

// entities collects the components of one device.
type entities struct {
	id  string
	all map[string]Component
}

func (b Bridge) entities(id string) entities { return entities{id, map[string]Component{}} }

// add adds an entity under a key that must never change: it is a part of how Home Assistant remembers it.
func (e entities) add(key string, c Component) {
	c.UniqueID = e.id + "_" + key
	e.all[key] = c
}

// plain writes text with letters, digits and underscores only, and different texts differently: topics of
// discovery take nothing else.
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
