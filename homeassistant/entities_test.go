package homeassistant

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// testBridge is a bridge with the base topic snom.
func testBridge() Bridge {
	return Bridge{Tree: mqtt.Tree{Base: "snom"}, Prefix: "homeassistant", Version: "1.2.3"}
}

// kitchen is a phone of which everything is known.
func kitchen() Phone {
	return Phone{
		Name: "kitchen", MAC: "000413AABBCC", Model: "D735", Firmware: "10.1.184.14", URL: "http://192.0.2.10", Events: true, Seen: true,
	}
}

// TestEveryDocumentIsTakenByHomeAssistant builds every document there can be.
func TestEveryDocumentIsTakenByHomeAssistant(t *testing.T) {
	t.Parallel()
	models := []string{"", "no such model"}
	for _, m := range snom.Models() {
		models = append(models, m.Name())
	}
	for _, b := range []Bridge{
		testBridge(),
		{Tree: mqtt.Tree{Base: "house/phones-1"}, Prefix: "ha/discovery"},
		{Tree: mqtt.Tree{Base: "höhe", Instance: "west"}, Prefix: "homeassistant", Version: "0.1.0-dirty"},
	} {
		for _, model := range models {
			var all []mqtt.Message
			all = append(all, b.Message(b.ID(), b.Document()))
			for _, allow := range []string{"", "firmware reset"} {
				for _, mask := range []string{"", "dial dtmf key transfer touch"} {
					for _, events := range []bool{false, true} {
						p := Phone{Name: fmt.Sprintf("p-%d_x", len(all)), Model: model, Allow: allow, Mask: mask, Events: events}
						if events {
							p.MAC, p.URL, p.Firmware = fmt.Sprintf("0004130000%02d", len(all)), "https://[2001:db8::1]:8443", "8.7.5.44"
						}
						all = append(all, b.Message(b.NewID(p), b.Phone(p)))
					}
				}
			}
			if err := b.Check(all); err != nil {
				t.Errorf("base %s, model %q: %v", b.Tree.Base, model, err)
			}
		}
	}
}

// on returns the keys of the entities that are not disabled.
func on(d Document) []string {
	return slices.Sorted(func(yield func(string) bool) {
		for key, c := range d.Components {
			if c.Enabled == nil && !yield(key) {
				return
			}
		}
	})
}

func TestFewEntitiesAreOn(t *testing.T) {
	t.Parallel()
	mute := kitchen()
	mute.Events = false
	secret := kitchen()
	secret.Mask = "dtmf"
	tests := []struct {
		name string
		p    Phone
		want string
	}{
		{"all that a phone can tell", kitchen(), "answer call_state dial dial_message display_message dnd dtmf event forward forward_to hangup in_call keyboard_lock last_caller last_result problem reachable ring_stop ringer ringing"},
		{"a phone that tells nothing", mute, "answer dial dial_message dnd dtmf forward forward_to hangup keyboard_lock last_result problem reachable ring_stop ringer"},
		{"a secret argument is shown nowhere", secret, "answer call_state dial dial_message display_message dnd dtmf event forward forward_to hangup in_call keyboard_lock last_caller last_result problem reachable ring_stop ringer ringing"},
		{"no remote control", Phone{Name: "hall", Model: "D865", Events: true}, "call_state event in_call last_caller last_result problem reachable ringing"},
		{"a phone that can do nothing", Phone{Name: "hall", Model: "M300"}, "last_result problem reachable"},
	}
	for _, tt := range tests {
		if got := strings.Join(on(testBridge().Phone(tt.p)), " "); got != tt.want {
			t.Errorf("%s: on are %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestSecretArgumentsAreTypedUnseen(t *testing.T) {
	t.Parallel()
	p := kitchen()
	p.Mask = "dtmf"
	all := testBridge().Phone(p).Components
	for key, want := range map[string]string{"dtmf": "password", "dial": ""} {
		if got := all[key].Mode; got != want {
			t.Errorf("%s has the mode %q, want %q", key, got, want)
		}
	}
}

func TestEntitiesFitTheModel(t *testing.T) {
	t.Parallel()
	tests := []struct {
		model, key string
		want       bool
	}{
		{"870", "touch", true}, {"D735", "touch", false}, {"", "touch", false},
		{"D735", "key_f4", true}, {"190", "key_f4", false}, {"870", "key_f1", false}, {"", "key_f4", true},
		{"821", "fix_lil", true}, {"870", "fix_lil", false}, {"", "fix_lil", false},
		{"D345", "key_p12", true}, {"D345", "key_p13", false}, {"D717", "key_p3", true}, {"D717", "key_p4", false}, {"", "key_p4", true},
		{"D865", "answer", false}, {"D120", "answer", true},
	}
	for _, tt := range tests {
		_, got := testBridge().Phone(Phone{Name: "hall", Model: tt.model}).Components[tt.key]
		if got != tt.want {
			t.Errorf("model %q has %s: %v, want %v", tt.model, tt.key, got, tt.want)
		}
	}
}

func TestGatedCommandsAreThereOnlyWhenAllowed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		allow           string
		reset, firmware bool
	}{{"", false, false}, {"reset", true, false}, {"firmware", false, true}, {"firmware reset", true, true}} {
		p := kitchen()
		p.Allow = tt.allow
		all := testBridge().Phone(p).Components
		_, reset := all["reset"]
		_, firmware := all["firmware_url"]
		if reset != tt.reset || firmware != tt.firmware {
			t.Errorf("allowed %q: reset %v, firmware %v, want %v, %v", tt.allow, reset, firmware, tt.reset, tt.firmware)
		}
		if reset && all["reset"].PayloadPress != "kitchen" {
			t.Errorf("reset sends %q, want the name of the phone", all["reset"].PayloadPress)
		}
	}
}

// TestPatternsLetThroughWhatTheBridgeTakes types into every field.
func TestPatternsLetThroughWhatTheBridgeTakes(t *testing.T) {
	t.Parallel()
	p := kitchen()
	p.Model, p.Allow = "870", "firmware"
	all := testBridge().Phone(p).Components
	tests := []struct{ key, takes, refuses string }{
		{"dial", `+4930123 **9 27 sip:27@pbx.example 27@192.0.2.1:5060`, `{"number":"1"} 12+3 abc`},
		{"dtmf", `12# 0 ABCD*#`, `12, 1x`},
		{"transfer", `27 complete cancel`, `+49 Complete`},
		{"key", `P1 OFFHOOK;1;2;ENTER P1,2000 *;#`, `p1 {"keys":"P1"}`},
		{"firmware_url", `https://firmware.example/snomD735.bin`, `ftp://x/y https://x/?a=b`},
	}
	for _, tt := range tests {
		c := all[tt.key]
		pattern := regexp.MustCompile(c.Pattern)
		verb := snom.Verb(strings.TrimPrefix(c.CommandTopic, "snom/kitchen/"))
		for text := range strings.FieldsSeq(tt.takes) {
			_, err := snom.ParsePayload(verb, []byte(text))
			if !pattern.MatchString(text) || err != nil {
				t.Errorf("%s: %q matches %v, command %v, want it taken", tt.key, text, pattern.MatchString(text), err)
			}
		}
		for text := range strings.FieldsSeq(tt.refuses) {
			if pattern.MatchString(text) {
				t.Errorf("%s: %q matches, want it refused", tt.key, text)
			}
		}
	}
	if _, err := snom.ParsePayload(snom.VerbTouch, []byte("240 136 pr")); err != nil || !regexp.MustCompile(all["touch"].Pattern).MatchString("240 136 pr") {
		t.Errorf("touch: %v, want it taken", err)
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	b := Bridge{Tree: mqtt.Tree{Base: "house/phones", Instance: "west-1"}, Prefix: "homeassistant"}
	for _, tt := range []struct{ got, want string }{
		{testBridge().ID(), "snom2mqtt_snom"},
		{b.ID(), "snom2mqtt_house_2fphones_west_2d1"},
		{testBridge().NewID(kitchen()), "snom_000413aabbcc"},
		{testBridge().NewID(Phone{Name: "front-door"}), "snom_snom_front_2ddoor"},
		{b.NewID(Phone{Name: "hall"}), "snom_house_2fphones_west_2d1_hall"},
		{testBridge().Topic("x"), "homeassistant/device/x/config"},
		{deviceName("kitchen"), "Kitchen phone"},
		{deviceName("front-desk_phone"), "Front desk phone"},
		{deviceName("27"), "27 phone"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %s, want %s", tt.got, tt.want)
		}
	}
}

// TestRenamingKeepsWhatHomeAssistantRemembers compares two names of one phone.
func TestRenamingKeepsWhatHomeAssistantRemembers(t *testing.T) {
	t.Parallel()
	p := kitchen()
	before := testBridge().Phone(p)
	p.Name = "hall"
	after := testBridge().Phone(p)
	if got, want := after.Device.Identifiers[0], before.Device.Identifiers[0]; got != want {
		t.Errorf("the device is %s, want %s", got, want)
	}
	for key, c := range after.Components {
		if before.Components[key].UniqueID != c.UniqueID {
			t.Errorf("%s has the unique id %s, want %s", key, c.UniqueID, before.Components[key].UniqueID)
		}
	}
	if got, want := slices.Sorted(maps.Keys(after.Components)), slices.Sorted(maps.Keys(before.Components)); !slices.Equal(got, want) {
		t.Errorf("the entities are %q, want %q", got, want)
	}
}

func TestDocumentsAreSmall(t *testing.T) {
	t.Parallel()
	p := kitchen()
	p.Model, p.Allow = "D785", "firmware reset"
	if n := len(testBridge().Phone(p).payload()); n > mqtt.MaxPublish/2 {
		t.Errorf("a document has %d bytes, want at most half of what may be published", n)
	}
}

// changed is a document of the kitchen's phone with one thing changed.
func changed(t *testing.T, change func(d map[string]any)) mqtt.Message {
	t.Helper()
	p := kitchen()
	p.ID = testBridge().NewID(p)
	m := testBridge().Message(p.ID, testBridge().Phone(p))
	var d map[string]any
	if err := json.Unmarshal(m.Payload, &d); err != nil {
		t.Fatal(err)
	}
	change(d)
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	m.Payload = b
	return m
}

func TestCheckFindsEveryFault(t *testing.T) {
	t.Parallel()
	set := func(component, key string, v any) func(map[string]any) {
		return func(d map[string]any) { d["components"].(map[string]any)[component].(map[string]any)[key] = v }
	}
	drop := func(component, key string) func(map[string]any) {
		return func(d map[string]any) { delete(d["components"].(map[string]any)[component].(map[string]any), key) }
	}
	inside := func(where, key string, v any) func(map[string]any) {
		return func(d map[string]any) { d[where].(map[string]any)[key] = v }
	}
	top := func(key string, v any) func(map[string]any) { return func(d map[string]any) { d[key] = v } }
	tests := []struct {
		name   string
		change func(map[string]any)
		want   string // in the fault
	}{
		{"nothing", func(map[string]any) {}, ""},
		{"a stub", top("components", map[string]any{"x": map[string]any{"platform": "button"}}), ""},
		{"a stub of what is not used", top("components", map[string]any{"x": map[string]any{"platform": "camera"}}), "expected one of binary_sensor"},
		{"topic base at the top", top("~", "snom"), "document.~: unknown key"},
		{"no origin", func(d map[string]any) { delete(d, "origin") }, `expected a key "origin"`},
		{"no name of the origin", inside("origin", "name", ""), "expected 1 to 100 bytes"},
		{"odd key of the origin", inside("origin", "author", "me"), "unknown key"},
		{"odd key of the device", inside("device", "serial", "1"), "unknown key"},
		{"device is no object", top("device", "x"), "is no object"},
		{"another id", inside("device", "identifiers", []any{"x"}), "expected the id of the topic"},
		{"no ids", inside("device", "identifiers", []any{}), "is no ids"},
		{"odd connection", inside("device", "connections", []any{[]any{"mac", "000413aabbcc"}}), "is no connections"},
		{"short connection", inside("device", "connections", []any{[]any{"mac"}}), "is no connections"},
		{"address without scheme", inside("device", "configuration_url", "192.0.2.10"), "expected a URL"},
		{"odd id", inside("device", "via_device", "snom2mqtt-snom"), "expected letters"},
		{"availability of another form", top("availability", "snom/bridge/state"), "is no objects"},
		{"availability without topic", top("availability", []any{map[string]any{}}), `expected a key "topic"`},
		{"availability of texts", top("availability", []any{"x"}), "is no objects"},
		{"odd mode", top("availability_mode", "most"), "expected one of all"},
		{"component is no object", top("components", map[string]any{"x": 1}), "expected an object"},
		{"components are no object", top("components", []any{}), "is no components"},
		{"no platform", drop("answer", "platform"), `expected a key "platform"`},
		{"odd platform", set("answer", "platform", "media_player"), "expected one of"},
		{"no unique id", drop("answer", "unique_id"), `expected a key "unique_id"`},
		{"two unique ids", set("answer", "unique_id", "snom_000413aabbcc_hangup"), "has this unique_id already"},
		{"no command topic", drop("answer", "command_topic"), `expected a key "command_topic"`},
		{"wildcard", set("answer", "command_topic", "snom/+/answer"), "expected no +"},
		{"topic is a number", set("answer", "command_topic", 1), "is no topic"},
		{"unknown command", set("answer", "command_topic", "snom/kitchen/anwser"), "the bridge takes no commands"},
		{"payload", set("answer", "payload_press", "PRESS"), "no argument"},
		{"misspelt key", set("answer", "icno", "mdi:phone"), "unknown key"},
		{"icon", set("answer", "icon", "phone"), "expected set:name"},
		{"small letter", set("answer", "name", "answer"), "capital letter"},
		{"name of the device", set("answer", "name", "Kitchen phone answer"), "the name of the device"},
		{"space", set("answer", "name", "Answer "), "without space"},
		{"enabled", set("answer", "enabled_by_default", "no"), "is no bool"},
		{"retained command", set("answer", "retain", "true"), "must not be there"},
		{"device class", set("answer", "device_class", "phone"), "expected one of identify"},
		{"identify", set("identify", "entity_category", "config"), "must be of the category diagnostic"},
		{"category of a sensor", set("ringing", "entity_category", "config"), "cannot be of the category"},
		{"category", set("ringing", "entity_category", "main"), "expected one of config"},
		{"qos", set("ringing", "qos", 3), "is no whole 0 2"},
		{"broken qos", set("ringing", "qos", 0.5), "is no whole"},
		{"topic of another phone", set("ringing", "state_topic", "snom/kitchn/status"), "nothing of this device"},
		{"command for another phone", set("answer", "command_topic", "snom/kitchn/answer"), "no commands for this device"},
		{"request to the bridge", set("answer", "command_topic", "snom/bridge/request/reload"), "no commands for this device"},
		{"availability on a silent topic", set("reachable", "availability", []any{map[string]any{"topic": "snom/bridge/sate"}}), "does not say online"},
		{"availability of another topic", top("availability", []any{map[string]any{"topic": "snom/bridge/state"}, map[string]any{"topic": "snom/kitchen/available"}}), "availability: expected the topics"},
		{"availability of the bridge alone", top("availability", []any{map[string]any{"topic": "snom/bridge/state"}}), "availability: expected the topics"},
		{"payload of the availability", set("reachable", "payload_on", "on"), "expected what the bridge says"},
		{"no payload of the availability", drop("reachable", "payload_off"), "expected what the bridge says"},
		{"event type", set("event", "event_types", []any{"incomming"}), "no phone reports"},
		{"another bridge", inside("device", "via_device", "snom2mqtt_snm"), "expected that of the bridge"},
		{"another unique id", set("answer", "unique_id", "snom_000413aabbcc_anwser"), "for ever"},
		{"silent topic", set("ringing", "state_topic", "snom/kitchen/stauts"), "publishes nothing"},
		{"options without enum", drop("call_state", "device_class"), "go together"},
		{"unit of enum", set("call_state", "unit_of_measurement", "s"), "go together"},
		{"no options", set("call_state", "options", []any{}), "is no words"},
		{"options that are none", set("call_state", "options", []any{1}), "is no words"},
		{"twice", set("call_state", "options", []any{"idle", "idle"}), "there twice"},
		{"doorbell", set("event", "device_class", "doorbell"), "needs the event type ring"},
		{"no event types", drop("event", "event_types"), `expected a key "event_types"`},
		{"length", set("dial", "max", 256), "is no whole 0 255"},
		{"lengths", set("dial", "min", 255), ""},
		{"lengths the other way round", set("dtmf", "min", 65), "min is more than max"},
		{"mode", set("dtmf", "mode", "secret"), "expected one of password"},
		{"pattern", set("dial", "pattern", "^[$"), "expected a regular expression"},
		{"open pattern", set("dial", "pattern", "[0-9]"), "expected a regular expression"},
		{"open bracket", set("ringing", "value_template", "{{ value"), "is not closed"},
		{"brackets", set("ringing", "value_template", "{{ {% if x %} }}"), "opens within"},
		{"quote", set("ringing", "value_template", "{{ 'ON }}"), "a quote is not closed"},
		{"no template", set("ringing", "value_template", "ON"), "says nothing"},
	}
	for _, tt := range tests {
		err := testBridge().Check([]mqtt.Message{changed(t, tt.change)})
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, expected %q", tt.name, err, tt.want)
		}
	}
}

func TestCheckLooksAtTheMessage(t *testing.T) {
	t.Parallel()
	good := changed(t, func(map[string]any) {})
	tests := []struct {
		name string
		m    mqtt.Message
		want string
	}{
		{"not retained", mqtt.Message{Topic: good.Topic, Payload: good.Payload}, "expected it retained"},
		{"not JSON", mqtt.Message{Topic: good.Topic, Payload: []byte("{"), Retained: true}, "JSON"},
		{"illegal topic", mqtt.Message{Topic: "homeassistant/device/00:04/config", Payload: good.Payload, Retained: true}, "letters"},
		{"another topic", mqtt.Message{Topic: "homeassistant/button/x/config", Payload: good.Payload, Retained: true}, "expected the topic"},
		{"too long", mqtt.Message{Topic: good.Topic, Payload: make([]byte, mqtt.MaxPublish+1), Retained: true}, "at most"},
	}
	for _, tt := range tests {
		if err := testBridge().Check([]mqtt.Message{tt.m}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, expected %q", tt.name, err, tt.want)
		}
	}
	if err := testBridge().Check([]mqtt.Message{good, good}); err == nil {
		t.Error("two documents with the same unique ids are taken")
	}
}

// TestTheTableIsInOrder reads keys.csv as a person would.
func TestTheTableIsInOrder(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, r := range KeyRows() {
		if r.Source == "" || seen[r.Where+" "+r.Key] {
			t.Errorf("%s %s: want a source, and once", r.Where, r.Key)
		}
		seen[r.Where+" "+r.Key] = true
		switch r.Kind {
		case "choice":
			if len(strings.Fields(r.Detail)) == 0 {
				t.Errorf("%s %s: a choice of nothing", r.Where, r.Key)
			}
		case "whole":
			var a, b int
			if n, err := fmt.Sscan(r.Detail, &a, &b); n != 2 || err != nil || a > b {
				t.Errorf("%s %s: from what to what?", r.Where, r.Key)
			}
		case "object", "objects", "components", "bool", "words", "ids", "connections", "never", "topic", "url", "id", "label", "icon", "template", "pattern", "text":
		default:
			t.Errorf("%s %s: no such kind as %q", r.Where, r.Key, r.Kind)
		}
	}
	for _, platform := range strings.Fields(platformRow().Detail) {
		if !slices.ContainsFunc(KeyRows(), func(r KeyRow) bool { return r.Where == platform }) {
			t.Errorf("nothing is known of %s", platform)
		}
	}
}

// TestCheckFindsEveryMisspeltKey misspells every key of a document with everything in it, one after the other, and
// makes every value one of another kind.
func TestCheckFindsEveryMisspeltKey(t *testing.T) {
	t.Parallel()
	p := kitchen()
	p.Model, p.Allow, p.Mask = "870", "reset firmware", "dtmf"
	p.ID = testBridge().NewID(p)
	for _, m := range []mqtt.Message{testBridge().Message(p.ID, testBridge().Phone(p)), testBridge().Message(testBridge().ID(), testBridge().Document())} {
		var d map[string]any
		if err := json.Unmarshal(m.Payload, &d); err != nil {
			t.Fatal(err)
		}
		all := d["components"].(map[string]any)
		shapes := map[string]bool{} // one entity of each will do
		var keys []string
		for _, key := range slices.Sorted(maps.Keys(all)) {
			c := all[key].(map[string]any)
			shape := fmt.Sprint(c["platform"], slices.Sorted(maps.Keys(c)))
			if !shapes[shape] {
				keys = append(keys, key)
			}
			shapes[shape] = true
		}
		one := map[string]any{keys[0]: all[keys[0]]} // a document with one entity at a time is checked faster
		d["components"] = one
		tried := 0
		wantFault := func(what string) {
			tried++
			b, err := json.Marshal(d)
			if err != nil {
				t.Fatal(err)
			}
			if testBridge().Check([]mqtt.Message{{Topic: m.Topic, Payload: b, Retained: true}}) == nil {
				t.Errorf("%s: taken, want a fault", what)
			}
		}
		var spoil func(where string, v any)
		spoil = func(where string, v any) {
			switch v := v.(type) {
			case []any:
				for i, inner := range v {
					spoil(fmt.Sprintf("%s[%d]", where, i), inner)
				}
			case map[string]any:
				for _, key := range slices.Sorted(maps.Keys(v)) {
					at, value := where+"."+key, v[key]
					if where != ".components" { // whose keys this project chooses
						for _, typo := range []string{key + "s", key[1:], strings.ToUpper(key), strings.ReplaceAll(key, "_", "") + "_"} {
							delete(v, key)
							v[typo] = value
							wantFault(at + " written " + typo)
							delete(v, typo)
						}
					}
					for _, other := range []any{nil, 1.5, map[string]any{}, []any{nil}} {
						if where == "" && key == "components" && fmt.Sprint(other) == "map[]" {
							continue // a device of nothing is one
						}
						v[key] = other
						wantFault(fmt.Sprintf("%s: %v", at, other))
					}
					v[key] = value
					spoil(at, value)
				}
			}
		}
		spoil("", d)
		for _, key := range keys[1:] {
			clear(one)
			one[key] = all[key]
			spoil(".components", one)
		}
		if tried < 100 {
			t.Errorf("%s: %d faults tried, want them all", m.Topic, tried)
		}
	}
}

// TestPhonesWithoutRemoteControl checks that whatever says that a phone takes no commands, it has no entity that sends
// one; and what it had before is removed.
func TestPhonesWithoutRemoteControl(t *testing.T) {
	t.Parallel()
	commands := func(p Phone) (n int) {
		for _, c := range testBridge().Phone(p).Components {
			if c.CommandTopic != "" {
				n++
			}
		}
		return n
	}
	for _, tt := range []struct {
		name string
		p    Phone
		want bool
	}{
		{"unknown model", Phone{Name: "hall"}, true},
		{"unknown model, and the phone reports it", Phone{Name: "hall", NoControl: true}, false},
		{"model with it, and the phone reports otherwise", Phone{Name: "hall", Model: "D735", NoControl: true, Allow: "firmware reset"}, false},
		{"model without", Phone{Name: "hall", Model: "D865", Events: true, Allow: "firmware reset"}, false},
		{"model with it", Phone{Name: "hall", Model: "D735"}, true},
	} {
		if got := commands(tt.p); (got > 0) != tt.want {
			t.Errorf("%s: %d entities send commands, expected some: %v", tt.name, got, tt.want)
		}
	}
}

// TestAPhoneReportsLateThatItHasNoRemoteControl publishes first with commands, then without, and keeps that.
func TestAPhoneReportsLateThatItHasNoRemoteControl(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Phone{Name: "hall", MAC: "000413aabbcc", URL: "http://192.0.2.2", Seen: true}
		f := newFixture(t, p)
		f.connect()
		f.after(time.Minute)
		has := func(want bool, what string) {
			t.Helper()
			f.after(time.Hour)
			if _, there := f.retained("snom_000413aabbcc").Components["dial"]; there != want {
				t.Errorf("%s: the phone has Number to dial: %v, expected %v", what, there, want)
			}
		}
		has(true, "unknown")
		p.NoControl = true
		f.change(p)
		has(false, "reported")
		p.NoControl, p.Seen = false, false
		f.phones = []Phone{p}
		f.restart()
		has(false, "away after a restart")
		p.Asked = true
		f.change(p)
		has(true, "asked, and reports nothing against it")
		p.NoControl = true
		f.change(p)
		has(false, "asked, and reports none")
		p.NoControl, p.Asked = false, false
		f.change(p)
		has(false, "not asked again yet")
		p.Model, p.Seen = "D735", true
		f.change(p)
		has(true, "another model")
	})
}

// TestLastResultShowsTheReason checks that the result of a refused command is shown from the start, with its message.
func TestLastResultShowsTheReason(t *testing.T) {
	t.Parallel()
	for _, model := range []string{"", "D735", "D865"} {
		c := testBridge().Phone(Phone{Name: "hall", Model: model}).Components["last_result"]
		if c.Enabled != nil || c.AttributesTopic != "snom/hall/status" || !strings.Contains(c.AttributesTemplate, "value_json.last_result") {
			t.Errorf("model %q: %+v, expected it enabled, with all of last_result as attributes", model, c)
		}
	}
}

// Names are German where that is the language, every one of them, and nothing else differs.
func TestGermanNames(t *testing.T) {
	t.Parallel()
	english, german := testBridge(), testBridge()
	german.Language = German
	names := germanNames()
	for _, rows := range [][]entity{slices.Concat(entities...), bridgeEntities} {
		for _, e := range rows {
			if names[e.Name] == "" && !strings.HasPrefix(e.key, "key_p") {
				t.Errorf("%s: %q has no German name", e.key, e.Name)
			}
		}
	}
	p := kitchen()
	p.Events, p.Allow = true, "firmware reset screen"
	for _, documents := range [][2]Document{{english.Phone(p), german.Phone(p)}, {english.Document(), german.Document()}} {
		seen := map[string]string{}
		for key, c := range documents[1].Components {
			was := documents[0].Components[key]
			if other := seen[c.Platform+c.Name]; other != "" {
				t.Errorf("%s and %s have one name, %q", key, other, c.Name)
			}
			seen[c.Platform+c.Name] = key
			if was.Name = c.Name; !reflect.DeepEqual(was, c) {
				t.Errorf("%s: %+v, expected %+v", key, c, was)
			}
		}
		if documents[1].Components["dnd"].Name != documents[0].Components["dnd"].Name && documents[1].Components["dnd"].Name != "Nicht stören" {
			t.Errorf("dnd is called %q", documents[1].Components["dnd"].Name)
		}
	}
	if err := german.Check([]mqtt.Message{german.Message("snom_000413aabbcc", german.Phone(p)), german.Message(german.ID(), german.Document())}); err != nil {
		t.Error(err)
	}
}
