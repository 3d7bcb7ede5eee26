package homeassistant

import (
	"cmp"
	"encoding/json"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// A Document is all that Home Assistant is told of one device. Its fields have the long names of Home
// Assistant's own schema; keys.csv has every key that may be used.
type Document struct {
	Device           Device               `json:"device"`
	Origin           Origin               `json:"origin"`
	Availability     []Availability       `json:"availability,omitempty"`
	AvailabilityMode string               `json:"availability_mode,omitempty"`
	Components       map[string]Component `json:"components"`
}

// A Device is what the device's page shows of it.
type Device struct {
	Identifiers      []string    `json:"identifiers"`
	Connections      [][2]string `json:"connections,omitempty"` // type and value: "mac", "00:04:13:aa:bb:cc"
	Name             string      `json:"name"`
	Manufacturer     string      `json:"manufacturer,omitempty"`
	Model            string      `json:"model,omitempty"`
	SWVersion        string      `json:"sw_version,omitempty"`
	ConfigurationURL string      `json:"configuration_url,omitempty"`
	ViaDevice        string      `json:"via_device,omitempty"`
}

// Origin is who made the document.
type Origin struct {
	Name       string `json:"name"`
	SWVersion  string `json:"sw_version,omitempty"`
	SupportURL string `json:"support_url,omitempty"`
}

// Availability is a topic that says online or offline.
type Availability struct {
	Topic string `json:"topic"`
}

// A Component is one entity. Fields that are empty are left out: the defaults of Home Assistant apply.
// A Component of nothing but its Platform removes the entity that had its key.
type Component struct {
	Platform       string `json:"platform"`
	UniqueID       string `json:"unique_id,omitempty"`
	Name           string `json:"name,omitempty"`
	Icon           string `json:"icon,omitempty"`
	DeviceClass    string `json:"device_class,omitempty"`
	EntityCategory string `json:"entity_category,omitempty"`
	Enabled        *bool  `json:"enabled_by_default,omitempty"`
	QoS            int    `json:"qos,omitempty"`

	Availability     []Availability `json:"availability,omitempty"`
	AvailabilityMode string         `json:"availability_mode,omitempty"`

	StateTopic         string   `json:"state_topic,omitempty"`
	ValueTemplate      string   `json:"value_template,omitempty"`
	StateValueTemplate string   `json:"state_value_template,omitempty"` // the siren's name for it
	AttributesTopic    string   `json:"json_attributes_topic,omitempty"`
	AttributesTemplate string   `json:"json_attributes_template,omitempty"`
	PayloadOn          string   `json:"payload_on,omitempty"`
	PayloadOff         string   `json:"payload_off,omitempty"`
	StateClass         string   `json:"state_class,omitempty"`
	Options            []string `json:"options,omitempty"`
	EventTypes         []string `json:"event_types,omitempty"`

	CommandTopic       string   `json:"command_topic,omitempty"`
	CommandTemplate    string   `json:"command_template,omitempty"`
	CommandOffTemplate string   `json:"command_off_template,omitempty"`
	PayloadPress       string   `json:"payload_press,omitempty"`
	Tones              []string `json:"available_tones,omitempty"`
	VolumeSet          *bool    `json:"support_volume_set,omitempty"`
	Mode               string   `json:"mode,omitempty"`
	Max                int      `json:"max,omitempty"`
	Pattern            string   `json:"pattern,omitempty"`
}

// stub reports whether c only removes an entity.
func (c Component) stub() bool { return c.UniqueID == "" }

// guarded returns c with templates that bear a topic being cleared: the bridge does that with the status of a
// phone that goes, and Home Assistant then knows no value_json, which it complains of.
func (c Component) guarded() Component {
	const begin, otherwise, end = "{% if value_json is defined %}", "{% else %}", "{% endif %}"
	if c.ValueTemplate != "" {
		c.ValueTemplate = begin + c.ValueTemplate + otherwise + "None" + end // the text for: not known
	}
	if c.AttributesTopic != "" {
		c.AttributesTemplate = begin + cmp.Or(c.AttributesTemplate, "{{ value_json | tojson }}") + otherwise + "{}" + end
	}
	return c
}

// payload is the document as it is published: equal documents are equal bytes.
func (d Document) payload() []byte {
	b, err := json.Marshal(d)
	if err != nil {
		panic(err) // texts, numbers and maps of them: there is nothing to fail
	}
	return b
}

// Message is the document of the device id, as it is published.
func (b Bridge) Message(id string, d Document) mqtt.Message {
	return mqtt.Message{Topic: b.Topic(id), Payload: d.payload(), Retained: true}
}

// no is a false that is written, where leaving it out would mean true.
func no() *bool { return new(bool) }
