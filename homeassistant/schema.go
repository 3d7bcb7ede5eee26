package homeassistant

import (
	_ "embed"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// A KeyRow is one key that Home Assistant takes, from 2024.12 to 2026.9, as its own source says.
type KeyRow struct {
	Where  string // document, device, origin, availability, entity (all platforms), or a platform
	Key    string
	Need   bool
	Kind   string // of value
	Detail string // what the kind needs to know
	Source string // below homeassistant/components of home-assistant/core, unless it says otherwise
}

//go:embed keys.csv
var keysCSV string

var keyRows = sync.OnceValue(func() (rows []KeyRow) {
	r := csv.NewReader(strings.NewReader(keysCSV))
	all, err := r.ReadAll()
	if err != nil {
		panic("homeassistant: keys.csv: " + err.Error()) // the tests read it
	}
	for _, c := range all[1:] {
		rows = append(rows, KeyRow{Where: c[0], Key: c[1], Need: c[2] == "required", Kind: c[3], Detail: c[4], Source: c[5]})
	}
	return rows
})

// keysOf are the rows of one place.
type keysOf struct {
	rows   map[string]KeyRow
	needed []string // keys, sorted
}

// keyIndex has the table by place.
var keyIndex = sync.OnceValue(func() map[string]keysOf {
	index := map[string]keysOf{}
	for _, r := range keyRows() {
		at := index[r.Where]
		if at.rows == nil {
			at.rows = map[string]KeyRow{}
		}
		at.rows[r.Key] = r
		if r.Need {
			at.needed = append(at.needed, r.Key)
		}
		slices.Sort(at.needed)
		index[r.Where] = at
	}
	return index
})

// KeyRows returns the table of all keys that may be used.
func KeyRows() []KeyRow { return slices.Clone(keyRows()) }

// Check says all that is wrong with documents as they are published: what Home Assistant refuses, what it
// drops in silence, and what would not fit the topics of this bridge.
func (b Bridge) Check(all []mqtt.Message) error {
	c := &checker{b: b, unique: map[string]string{}}
	for _, m := range all {
		c.message(m)
	}
	return errors.Join(c.faults...)
}

// A checker collects faults.
type checker struct {
	b      Bridge
	topic  string // of the document
	id     string // in the topic
	device string // its name
	phone  string // what topics call it; empty: the document is about the bridge
	place  []string
	unique map[string]string // platform and unique id to the place that has it
	faults []error
}

func (c *checker) fault(format string, args ...any) {
	c.faults = append(c.faults, fmt.Errorf("homeassistant: %s: %s: %s", c.topic, strings.Join(c.place, "."), fmt.Sprintf(format, args...)))
}

// in runs f for what stands at a place deeper down.
func (c *checker) in(place string, f func()) {
	c.place = append(c.place, place)
	f()
	c.place = c.place[:len(c.place)-1]
}

func (c *checker) message(m mqtt.Message) {
	c.topic, c.id, c.device, c.phone, c.place = m.Topic, "", "", "", []string{"document"}
	if err := m.Check(); err != nil {
		c.fault("%v", err)
	}
	id, ok := c.b.id(m.Topic)
	if !ok || strings.ContainsFunc(id, func(r rune) bool { return !isPlain(r) && r != '-' }) {
		c.fault("expected the topic %s with an id of letters, digits, _ and -", c.b.Topic("<id>"))
	}
	if !m.Retained {
		c.fault("expected it retained")
	}
	var d map[string]any
	if err := json.Unmarshal(m.Payload, &d); err != nil {
		c.fault("%v", err)
		return
	}
	c.id = id
	if device, ok := d["device"].(map[string]any); ok {
		c.device, _ = device["name"].(string)
		if ids, ok := device["identifiers"].([]any); !ok || !slices.Contains(ids, any(id)) {
			c.fault("expected the id of the topic among device.identifiers")
		}
		if via, ok := device["via_device"]; ok && via != any(c.b.ID()) {
			c.fault("device.via_device is %v, expected that of the bridge, %s", via, c.b.ID())
		}
	}
	c.available(d["availability"])
	c.object(d, "document")
}

// available finds out which phone a document is about, by its availability, which for a phone is that of the bridge
// and that of the phone. A topic without messages would leave every entity unavailable for ever.
func (c *checker) available(list any) {
	topics := topicsOf(list)
	if list == nil {
		return
	}
	phone, ok := "", len(topics) == 2 && topics[0] == c.b.Tree.State()
	if ok {
		phone, ok = c.b.phoneOf(topics[1])
	}
	if !ok {
		c.fault("availability: expected the topics %s and %s", c.b.Tree.State(), c.b.Tree.Availability("<phone>"))
	}
	c.phone = phone
}

// topicsOf returns the topics of an availability; "" for what has none.
func topicsOf(list any) (topics []string) {
	all, _ := list.([]any)
	for _, v := range all {
		o, _ := v.(map[string]any)
		topic, _ := o["topic"].(string)
		topics = append(topics, topic)
	}
	return topics
}

func isPlain(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_'
}

// object checks one object by the rows of the places where.
func (c *checker) object(o map[string]any, where ...string) {
	for _, w := range where {
		for _, key := range keyIndex()[w].needed {
			if _, ok := o[key]; !ok {
				c.fault("expected a key %q", key)
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(o)) {
		c.in(key, func() {
			var r KeyRow
			ok := false
			for _, w := range where {
				if !ok {
					r, ok = keyIndex()[w].rows[key]
				}
			}
			if !ok {
				c.fault("unknown key; Home Assistant would refuse it, or drop it in silence")
				return
			}
			c.value(o[key], r)
		})
	}
}

// value checks one value by its kind.
func (c *checker) value(v any, r KeyRow) {
	switch r.Kind {
	case "object":
		if o, ok := v.(map[string]any); ok {
			c.object(o, r.Detail)
			return
		}
	case "objects":
		list, ok := v.([]any)
		for i, v := range list {
			var o map[string]any
			if o, ok = v.(map[string]any); !ok {
				break
			}
			c.in(strconv.Itoa(i), func() { c.object(o, r.Detail) })
		}
		if ok && len(list) > 0 {
			return
		}
	case "components":
		if o, ok := v.(map[string]any); ok {
			c.components(o)
			return
		}
	case "bool":
		if _, ok := v.(bool); ok {
			return
		}
	case "whole":
		var least, most float64
		_, _ = fmt.Sscan(r.Detail, &least, &most) // the tests read the table
		if n, ok := v.(float64); ok && n == float64(int64(n)) && least <= n && n <= most {
			return
		}
	case "words", "ids":
		if ok, why := words(v); ok {
			return
		} else if why != "" {
			c.fault("%s", why)
			return
		}
	case "connections":
		list, ok := v.([]any)
		for _, v := range list {
			ok = ok && isMAC(v)
		}
		if ok {
			return
		}
	default:
		if text, ok := v.(string); ok {
			if why := textFault(text, r); why != "" {
				c.fault("%q: %s", text, why)
			}
			return
		}
	}
	c.fault("%v is no %s", v, strings.TrimSpace(r.Kind+" "+r.Detail))
}

// words reports whether v is a list of different texts.
func words(v any) (ok bool, why string) {
	list, ok := v.([]any)
	seen := map[any]bool{}
	for _, w := range list {
		text, isText := w.(string)
		switch {
		case !isText || text == "":
			return false, ""
		case seen[w]:
			return false, fmt.Sprintf("%q is there twice", text)
		}
		seen[w] = true
	}
	return ok && len(list) > 0, ""
}

// isMAC reports whether v is the connection of a network address, written as Home Assistant compares it.
func isMAC(v any) bool {
	pair, ok := v.([]any)
	if !ok || len(pair) != 2 || pair[0] != "mac" {
		return false
	}
	mac, ok := pair[1].(string)
	return ok && macPattern.MatchString(mac)
}

var (
	macPattern  = regexp.MustCompile(`^[0-9a-f]{2}(:[0-9a-f]{2}){5}$`)
	iconPattern = regexp.MustCompile(`^[a-z]+:[a-z0-9-]+$`)
)

// textFault says what is wrong with a text of the kind of r, "" when nothing is.
func textFault(text string, r KeyRow) string {
	switch r.Kind {
	case "never":
		return "must not be there"
	case "choice":
		if !slices.Contains(strings.Fields(r.Detail), text) {
			return "expected one of " + r.Detail
		}
	case "topic":
		if err := mqtt.CheckTopic(text); err != nil {
			return err.Error()
		}
	case "url":
		if u, err := url.Parse(text); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return "expected a URL with http or https and a host"
		}
	case "id":
		if text == "" || strings.ContainsFunc(text, func(r rune) bool { return !isPlain(r) }) {
			return "expected letters, digits and _"
		}
	case "label":
		if text == "" || strings.TrimSpace(text) != text || len(text) > 100 {
			return "expected 1 to 100 bytes, without space at the ends"
		}
	case "icon":
		if !iconPattern.MatchString(text) {
			return "expected set:name, such as mdi:phone"
		}
	case "template":
		return templateFault(text)
	case "pattern":
		if _, err := regexp.Compile(text); err != nil || !strings.HasPrefix(text, "^") || !strings.HasSuffix(text, "$") {
			return "expected a regular expression from ^ to $"
		}
	}
	return ""
}

// templateFault looks at the brackets of a template and at what is quoted in it; whether it does what it
// should, only Home Assistant can say.
func templateFault(text string) string {
	open := ""
	for i := 0; i+1 < len(text); i++ {
		switch two := text[i : i+2]; {
		case open == "" && (two == "{{" || two == "{%"):
			open = two[1:]
			i++
		case open == "{" && two == "}}", open == "%" && two == "%}":
			open = ""
			i++
		case open != "" && (two == "{{" || two == "{%"):
			return "a bracket opens within another"
		}
	}
	switch {
	case open != "":
		return "a bracket is not closed"
	case !strings.Contains(text, "{{"):
		return "it says nothing of its own"
	case strings.Count(text, "'")%2 != 0:
		return "a quote is not closed"
	}
	return ""
}

// components checks the entities of a document.
func (c *checker) components(all map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(all)) {
		c.in(key, func() {
			o, ok := all[key].(map[string]any)
			if !ok {
				c.fault("expected an object")
				return
			}
			platform, _ := o["platform"].(string)
			if len(o) == 1 && platform != "" {
				c.in("platform", func() { c.value(platform, platformRow()) })
				return // it only removes the entity
			}
			c.object(o, "entity", platform)
			c.together(o, platform)
		})
	}
}

func platformRow() KeyRow {
	for _, r := range keyRows() {
		if r.Where == "entity" && r.Key == "platform" {
			return r
		}
	}
	return KeyRow{}
}

// together checks what keys of one entity mean together, and with the topics of the bridge.
func (c *checker) together(o map[string]any, platform string) {
	text := func(key string) string { s, _ := o[key].(string); return s }
	id := platform + " " + text("unique_id")
	if other, taken := c.unique[id]; taken {
		c.fault("%s has this unique_id already", other)
	}
	c.unique[id] = c.topic + " " + strings.Join(c.place, ".")
	if expected := c.id + "_" + c.place[len(c.place)-1]; text("unique_id") != expected {
		c.fault("unique_id %q: expected %q, unchanged for ever", text("unique_id"), expected)
	}

	switch name := []rune(text("name")); {
	case len(name) == 0:
	case unicode.IsLower(name[0]):
		c.fault("name %q: expected a capital letter first", text("name"))
	case c.device != "" && strings.HasPrefix(strings.ToLower(text("name")), strings.ToLower(c.device)):
		c.fault("name %q: the name of the device stands before it anyway", text("name"))
	}
	category, class := text("entity_category"), text("device_class")
	if strings.HasSuffix(platform, "sensor") && category == "config" {
		c.fault("a sensor cannot be of the category config") // helpers/entity.py
	}
	if class == "identify" && category != "diagnostic" {
		c.fault("a button identify must be of the category diagnostic") // since 2025.11
	}
	_, options := o["options"]
	if (class == "enum") != (options && platform != "select") || class == "enum" && (o["state_class"] != nil || o["unit_of_measurement"] != nil) {
		c.fault("options and the device class enum go together, and no unit and no state class") // mqtt/sensor.py
	}
	if least, ok := o["min"].(float64); ok {
		if most, ok := o["max"].(float64); ok && least > most {
			c.fault("min is more than max")
		}
	}
	if types, ok := o["event_types"].([]any); ok && class == "doorbell" && !slices.Contains(types, any("ring")) {
		c.fault("a doorbell needs the event type ring") // required from 2027.4
	}
	c.topics(o, platform)
}

// topics checks that the entity listens where the bridge speaks of this device, and sends what the bridge takes for it.
func (c *checker) topics(o map[string]any, platform string) {
	says := []string{c.b.Tree.State(), c.b.Tree.Info()} // what is retained of the bridge
	online := []string{c.b.Tree.State()}                // and what of that says online and offline
	if c.phone != "" {
		says = append(says, c.b.Tree.Availability(c.phone), c.b.Tree.Status(c.phone), c.b.Tree.Event(c.phone), c.b.Tree.Image(c.phone))
		online = append(online, c.b.Tree.Availability(c.phone))
	}
	taken := []string{}
	for _, door := range c.b.doors() {
		if c.phone == "" {
			says = append(says, c.b.Tree.DoorState(door.Name), c.b.Tree.Event(door.Name), c.b.Tree.Image(door.Name))
			online = append(online, c.b.Tree.Availability(door.Name))
			taken = append(taken, door.opener(c.b))
		}
	}
	for _, group := range c.b.groups() {
		if c.phone == "" {
			taken = append(taken, c.b.announceTopic(group))
		}
	}
	for _, key := range []string{"state_topic", "json_attributes_topic", "image_topic"} {
		if topic, ok := o[key].(string); ok && !slices.Contains(says, topic) {
			c.fault("%s: the bridge publishes nothing of this device on %q", key, topic)
		}
	}
	for _, topic := range topicsOf(o["availability"]) {
		if !slices.Contains(online, topic) {
			c.fault("availability: the bridge does not say online on %q", topic)
		}
	}
	state, _ := o["state_topic"].(string)
	if slices.Contains(online, state) && (o["payload_on"] != "online" || o["payload_off"] != "offline") {
		c.fault("payload_on, payload_off: expected what the bridge says on %s, online and offline", state)
	}
	if types, ok := o["event_types"].([]any); ok {
		c.events(types)
	}
	topic, ok := o["command_topic"].(string)
	if !ok {
		return
	}
	payload, fixed := o["payload_press"].(string)
	switch a := c.b.Tree.Read(topic); {
	case a.Kind == mqtt.KindRequest && c.phone == "", slices.Contains(taken, topic):
	case a.Kind != mqtt.KindCommand || a.Name != c.phone || !snom.Verb(a.Command).Valid():
		c.fault("command_topic: the bridge takes no commands for this device on %q", topic)
	case platform == "button" && fixed:
		if _, err := snom.ParsePayload(snom.Verb(a.Command), []byte(payload)); err != nil {
			c.fault("payload_press: %v", err)
		}
	}
}

// events checks that the types of an event are those that phones report. A doorbell has one more, a key has two of its own.
func (c *checker) events(types []any) {
	for _, v := range types {
		word, _ := v.(string)
		if word != "ring" && word != pressEnd && word != longPressEnd && !slices.Contains(append(actionurl.EventTypes(), actionurl.PanelTypes()...), actionurl.EventType(word)) {
			c.fault("event_types: no phone reports %q", word)
		}
	}
}
