package homeassistant

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"unique"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// A Document describes one device to Home Assistant. Its fields have the long names of Home Assistant's schema; keys.csv
// has every key that may be used.
type Document struct {
	Device           Device               `json:"device"`
	Origin           Origin               `json:"origin"`
	Availability     []Availability       `json:"availability,omitempty"`
	AvailabilityMode string               `json:"availability_mode,omitempty"`
	Components       map[string]Component `json:"components"`
}

// A Device is what the page of the device shows.
type Device struct {
	Identifiers      []string    `json:"identifiers"`
	Connections      [][2]string `json:"connections,omitempty"` // type and value: "mac", "00:04:13:aa:bb:cc"
	Name             string      `json:"name"`
	Manufacturer     string      `json:"manufacturer,omitempty"`
	Model            string      `json:"model,omitempty"`
	ModelID          string      `json:"model_id,omitempty"` // as Snom's files name the model: "snomD735"
	SWVersion        string      `json:"sw_version,omitempty"`
	SerialNumber     string      `json:"serial_number,omitempty"` // of a phone: its MAC, as it is printed on it
	SuggestedArea    string      `json:"suggested_area,omitempty"`
	ConfigurationURL string      `json:"configuration_url,omitempty"`
	ViaDevice        string      `json:"via_device,omitempty"`
}

// Origin names the program that made the document.
type Origin struct {
	Name       string `json:"name"`
	SWVersion  string `json:"sw_version,omitempty"`
	SupportURL string `json:"support_url,omitempty"`
}

// Availability is a topic whose payload is online or offline.
type Availability struct {
	Topic string `json:"topic"`
}

// A Component is one entity. Empty fields are omitted: the defaults of Home Assistant apply. A Component that has only
// its Platform removes the entity of its key.
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
	Unit               string   `json:"unit_of_measurement,omitempty"`
	Options            []string `json:"options,omitempty"`
	EventTypes         []string `json:"event_types,omitempty"`

	CommandTopic       string   `json:"command_topic,omitempty"`
	CommandTemplate    string   `json:"command_template,omitempty"`
	CommandOnTemplate  string   `json:"command_on_template,omitempty"`
	CommandOffTemplate string   `json:"command_off_template,omitempty"`
	Schema             string   `json:"schema,omitempty"`
	StateTemplate      string   `json:"state_template,omitempty"`
	Effects            []string `json:"effect_list,omitempty"`
	EffectTemplate     string   `json:"effect_template,omitempty"`
	PayloadPress       string   `json:"payload_press,omitempty"`
	PayloadInstall     string   `json:"payload_install,omitempty"`
	PayloadLock        string   `json:"payload_lock,omitempty"`
	PayloadUnlock      string   `json:"payload_unlock,omitempty"`
	StateUnlocked      string   `json:"state_unlocked,omitempty"`
	StateUnlocking     string   `json:"state_unlocking,omitempty"`
	StateJammed        string   `json:"state_jammed,omitempty"`
	StateLocked        string   `json:"state_locked,omitempty"`
	ImageTopic         string   `json:"image_topic,omitempty"`
	ContentType        string   `json:"content_type,omitempty"`
	Tones              []string `json:"available_tones,omitempty"`
	VolumeSet          *bool    `json:"support_volume_set,omitempty"`
	Mode               string   `json:"mode,omitempty"`
	Max                int      `json:"max,omitempty"`
	Pattern            string   `json:"pattern,omitempty"`
}

// stub reports whether c only removes an entity.
func (c Component) stub() bool { return c.UniqueID == "" }

// guarded returns c with templates that tolerate an empty payload: the bridge clears the status of a phone that is
// removed, value_json is undefined then, and Home Assistant would log warnings.
func (c Component) guarded() Component {
	const begin, otherwise, end = "{% if value_json is defined %}", "{% else %}", "{% endif %}"
	if c.ValueTemplate != "" {
		c.ValueTemplate = begin + c.ValueTemplate + otherwise + "None" + end // the text for: unknown
	}
	if c.AttributesTopic != "" {
		c.AttributesTemplate = begin + cmp.Or(c.AttributesTemplate, "{{ value_json | tojson }}") + otherwise + "{}" + end
	}
	return c
}

// payload returns the document as it is published: equal documents are equal bytes.
func (d Document) payload() []byte {
	b, err := json.Marshal(d)
	if err != nil {
		panic(err) // texts, numbers and maps of them: there is nothing to fail
	}
	return b
}

// Message returns the document of the device id as it is published.
func (b Bridge) Message(id string, d Document) mqtt.Message {
	return mqtt.Message{Topic: b.Topic(id), Payload: d.payload(), Retained: true}
}

// A Phone is what discovery has to know of one phone. It is comparable.
type Phone struct {
	ID       string // Home Assistant's identifier of it, which never changes; empty: see [Bridge.NewID]
	Name     string // in topics
	MAC      string // twelve hexadecimal digits; empty: not known
	Model    string // from the settings or the phone; empty: not known
	Firmware string
	URL      string                  // of its web interface
	Allow    string                  // gated commands that are enabled, separated by spaces: "reset firmware"
	Mask     string                  // commands whose argument is secret, separated by spaces
	Keys     *actionurl.Keys         // that the settings set up; nil: none
	Settings unique.Handle[Settings] // what few settings say of it; zero: nothing. See [Settings.Handle]
	Events   bool                    // phones can send events to the bridge
	// NoControl says that the phone itself reports that it cannot be controlled, whatever model is configured, or that
	// nothing shows that the device is a phone.
	NoControl bool
	Announce  bool // it has a multicast address of its own
	ByNotify  bool // it is driven by SIP, whatever its model takes over HTTP
	Sensors   bool // what its sensors measure reaches the bridge, if it has any
	Asked     bool // it was asked whether it can be controlled; no part of its document
	Seen      bool // it is reachable; no part of its document
}

// Settings are what the settings of few phones say.
type Settings struct {
	Area    string // suggested
	Latest  string // the newest firmware; empty: not known
	Install string // the URL of its file, if it may be installed
}

// Handle returns a handle, which takes less memory than s.
func (s Settings) Handle() (h unique.Handle[Settings]) {
	if s != (Settings{}) {
		h = unique.Make(s)
	}
	return h
}

// settings are what few settings say of the phone.
func (p Phone) settings() Settings {
	if p.Settings == (unique.Handle[Settings]{}) {
		return Settings{}
	}
	return p.Settings.Value()
}

// NewID returns the identifier of a phone that has none yet: made of its MAC, or if that is not known of its name.
func (b Bridge) NewID(p Phone) string {
	if p.MAC != "" {
		return macID(p.MAC)
	}
	return b.nameID(p.Name)
}

func macID(mac string) string              { return "snom_" + strings.ToLower(mac) }
func (b Bridge) nameID(name string) string { return "snom_" + b.scope() + "_" + plain(name) }

// macOf returns the MAC that an identifier was made of.
func macOf(id string) (mac string, ok bool) {
	mac, ok = strings.CutPrefix(id, "snom_")
	if !ok || !isHexMAC(mac) || mac != strings.ToLower(mac) {
		return "", false
	}
	return mac, true
}

// isHexMAC reports whether text is twelve hexadecimal digits.
func isHexMAC(text string) bool {
	return len(text) == 12 && strings.Trim(text, "0123456789abcdefABCDEF") == ""
}

// Phone returns the document of a phone. What its model cannot do, what the settings disable, and what needs events that
// do not arrive has no entity; most entities exist but are disabled.
//
// The MAC is among the connections only if the identifier is made of it. Home Assistant takes two devices with a common
// connection for one, so a document whose identifier is made of the name would later collide with one made of the MAC.
func (b Bridge) Phone(p Phone) Document {
	if p.ID == "" {
		p.ID = b.NewID(p)
	}
	model, known := snom.FindModel(p.Model)
	name := p.Model
	modelID := ""
	if known {
		name = model.Name()
		modelID = "snom" + name
	}
	d := Document{
		Device: Device{
			Identifiers: []string{p.ID}, Name: deviceName(p.Name), Manufacturer: "Snom", Model: name, ModelID: modelID,
			SWVersion: p.Firmware, SerialNumber: strings.ToUpper(p.MAC), SuggestedArea: p.settings().Area, ConfigurationURL: p.URL, ViaDevice: b.ID(),
		},
		Origin:           b.origin(),
		Availability:     []Availability{{b.Tree.State()}, {b.Tree.Availability(p.Name)}},
		AvailabilityMode: "all",
		Components:       phoneComponents(b, p, model),
	}
	if mac, ok := macOf(p.ID); ok && strings.EqualFold(mac, p.MAC) {
		d.Device.Connections = [][2]string{{"mac", colons(mac)}}
	}
	return d
}

// Document returns the document of the bridge itself.
func (b Bridge) Document() Document {
	return Document{
		Device: Device{
			Identifiers: []string{b.ID()}, Name: "snom2mqtt", Manufacturer: "snom2mqtt", Model: "Bridge", SWVersion: b.Version,
		},
		Origin:     b.origin(),
		Components: bridgeComponents(b),
	}
}

func (b Bridge) origin() Origin {
	return Origin{Name: originName, SWVersion: b.Version, SupportURL: supportURL}
}

// deviceName makes "Kitchen phone" of "kitchen". Home Assistant makes entity ids of it: siren.kitchen_phone_ringer.
func deviceName(name string) string {
	words := strings.Join(strings.FieldsFunc(name, func(r rune) bool { return r == '_' || r == '-' }), " ")
	if !strings.Contains(words, "phone") {
		words += " phone"
	}
	return strings.ToUpper(words[:1]) + words[1:]
}

// colons writes a MAC as Home Assistant compares it.
func colons(mac string) string {
	var parts []string
	for pair := range slices.Chunk([]byte(strings.ToLower(mac)), 2) {
		parts = append(parts, string(pair))
	}
	return strings.Join(parts, ":")
}

// no returns a false that is written where omitting it would mean true.
func no() *bool { return new(bool) }
