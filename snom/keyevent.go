package snom

import (
	"encoding/json"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of a key sequence. They are those of this package: Snom documents none.
const (
	maxKeyEvents   = 128
	maxKeyTime     = 60_000  // milliseconds of one hold or pause
	maxKeySequence = 300_000 // milliseconds of all holds and pauses
)

// keyRow is the row of the command key.
func keyRow() *verbRow {
	return &verbRow{
		verb: VerbKey,
		help: VerbHelp{
			Summary:     "presses keys, one after the other",
			Plain:       "KEY[,TIME[,PAUSE]], joined by semicolons: 1 to 128 keys, times of 0 to 60000 ms, at most 300000 ms in all",
			JSON:        `keys: that text, or a list of {"key", "hold_ms", "pause_ms"}`,
			Request:     "/command.htm?key=…",
			Source:      sourceBoth,
			Example:     "key OFFHOOK;1;2;3;ENTER",
			ExampleJSON: `{"keys":[{"key":"OFFHOOK"},{"key":"1"},{"key":"2"},{"key":"3"},{"key":"ENTER"}]}`,
		},
		parse:   parsed(parseKeys),
		read:    readKeys,
		members: []string{"keys"},
		effects: keyEffects,
	}
}

// keyEffects: a sequence that begins with a key that ends or rejects a call does what hangup current does, and a phone
// that rejects a call reports nothing (p4irin/remote_phone_control). Keys that were pressed before may have begun a call,
// which the phone reports.
func keyEffects(a argument) Effects {
	keys, _ := a.(keySequence)
	first, _, _ := strings.Cut(string(keys), ";")
	key, _, _ := strings.Cut(first, ",")
	effects := Effects{EndsCall: slices.Contains(endingKeys, key)}
	if strings.Contains(string(keys), dndKey) {
		for e := range keys.events() {
			effects.TogglesDND = effects.TogglesDND || e.Key == dndKey || e.Key == "F_"+dndKey
		}
	}
	if strings.Contains(string(keys), transferKey) {
		for e := range keys.events() {
			effects.Transfers = effects.Transfers || e.Key == transferKey || e.Key == "F_"+transferKey
		}
	}
	return effects
}

// transferKey transfers the call on hold to the other party.
const transferKey = "TRANSFER"

// endingKeys end or reject the current call: see keys.csv.
var endingKeys = []string{string(hangupCurrent.keys()), "F_CANCEL", "DISCONNECT"}

// Keys returns the command that presses keys, one after the other. Each event has the form of
// [KeyEvent.String]: "P1" or "P1,2000,100".
func Keys(events ...string) (Command, error) { return fromPlain(VerbKey, strings.Join(events, ";")) }

// A KeyEvent is one press of one key. Its text form is Snom's KEYEVENT, Key[,Time[,Pause]], with times in
// milliseconds. Source: Snom wiki FAQ/Can_I_control_my_snom_phone_remotely.
type KeyEvent struct {
	Key      string        // one of [KeyTable], such as "CANCEL" or "P1"
	Hold     time.Duration // how long the key is held: whole milliseconds, up to a minute
	Pause    time.Duration // how long the phone waits before the next key: whole milliseconds, up to a minute
	HasHold  bool          // the hold time is given; otherwise the phone decides
	HasPause bool          // the pause is given, which needs a hold time; otherwise the phone decides
}

// String returns the text form, such as "P1", "P1,2000" or "P1,2000,100".
func (e KeyEvent) String() string {
	if !e.HasHold {
		return e.Key
	}
	s := e.Key + "," + strconv.FormatInt(e.Hold.Milliseconds(), 10)
	if e.HasPause {
		s += "," + strconv.FormatInt(e.Pause.Milliseconds(), 10)
	}
	return s
}

// A keySequence is the argument of a key command: events joined by semicolons, checked.
type keySequence string

func (k keySequence) text() string { return string(k) }

func (k keySequence) keys() keySequence { return k }

func parseKeys(text string) (keySequence, *SyntaxError) {
	total := 0
	for n, pos := 1, 0; ; n++ {
		if n > maxKeyEvents {
			return "", fault(pos, "at most "+strconv.Itoa(maxKeyEvents)+" keys")
		}
		event, _, more := strings.Cut(text[pos:], ";")
		ms, err := checkKeyEvent(event)
		if err != nil {
			err.Offset += pos
			return "", err
		}
		if total += ms; total > maxKeySequence {
			return "", fault(pos, "hold times and pauses of at most 300000 ms together")
		}
		if !more {
			return keySequence(text), nil
		}
		pos += len(event) + 1
	}
}

// checkKeyEvent checks one KEYEVENT and returns the milliseconds it takes.
func checkKeyEvent(event string) (ms int, _ *SyntaxError) {
	key, times, more := strings.Cut(event, ",")
	if err := checkKeyName(key); err != nil {
		return 0, err
	}
	for _, name := range []string{"hold time", "pause"} {
		if !more {
			return ms, nil
		}
		pos := len(event) - len(times)
		var digits string
		digits, times, more = strings.Cut(times, ",")
		n, bad := decimal(digits, 0, maxKeyTime)
		if bad >= 0 {
			return 0, fault(pos+bad, "a "+name+" of 0 to 60000 ms, in digits only")
		}
		ms += n
	}
	if more {
		return 0, fault(len(event)-len(times)-1, "a semicolon and the next key after the pause")
	}
	return ms, nil
}

const expectedKey = "a key name such as CANCEL, F1 or P1"

func checkKeyName(name string) *SyntaxError {
	if key, _ := findKey(name); key != nil {
		return nil
	}
	err := fault(0, expectedKey)
	err.Hint = suggestKey(name)
	return err
}

// readKeys reads the JSON form: the text, or a list of events, each as text or as an object.
func readKeys(m *members) argument {
	if raw := m.object["keys"]; len(raw) == 0 || raw[0] != '[' {
		keys := oneMember("keys", parseKeys)(m)
		if m.err != nil && len(raw) > 0 && raw[0] != '"' && !isDigit(raw[0]) {
			m.err.Expected = "text in double quotes, or a list in [ and ]"
		}
		return keys
	}
	var events []string
	m.each("keys", func(place string, item json.RawMessage) {
		if len(item) > 0 && item[0] == '{' {
			events = append(events, m.keyEvent(place, item).String())
			return
		}
		text, ok := m.textAt(place, item)
		if !ok {
			m.err.Expected = `a key as text in double quotes, or an object such as {"key":"P1","hold_ms":2000}`
			return
		}
		_, err := checkKeyEvent(text)
		m.check(place, text, err)
		events = append(events, text)
	})
	if len(events) == 0 {
		m.refuse("keys", "at least one key")
	}
	if m.err != nil {
		return keySequence("")
	}
	keys, err := parseKeys(strings.Join(events, ";"))
	if err != nil {
		m.refuse("keys", err.Expected)
	}
	return keys
}

// keyEvent reads the object at a place as an event.
func (m *members) keyEvent(place string, raw json.RawMessage) (event KeyEvent) {
	m.nested(place, raw, []string{"key", "hold_ms", "pause_ms"}, func(item *members) {
		item.need("key", expectedKey)
		name, _ := item.text("key")
		item.check("key", name, checkKeyName(name))
		event = KeyEvent{Key: name}
		event.Hold, event.HasHold = item.milliseconds("hold_ms")
		event.Pause, event.HasPause = item.milliseconds("pause_ms")
		if event.HasPause && !event.HasHold {
			item.refuse("hold_ms", "a hold time as well, because a pause follows one")
		}
	})
	return event
}

// milliseconds reads a member that is a hold time or a pause.
func (m *members) milliseconds(name string) (time.Duration, bool) {
	n, ok := m.whole(name, 0, maxKeyTime)
	return time.Duration(n) * time.Millisecond, ok
}

// events returns the events of the sequence; none of the empty one.
func (k keySequence) events() iter.Seq[KeyEvent] {
	return func(yield func(KeyEvent) bool) {
		if k == "" {
			return
		}
		for text := range strings.SplitSeq(string(k), ";") {
			var e KeyEvent
			var hold, pause string
			e.Key, hold, e.HasHold = strings.Cut(text, ",")
			hold, pause, e.HasPause = strings.Cut(hold, ",")
			e.Hold, e.Pause = duration(hold), duration(pause)
			if !yield(e) {
				return
			}
		}
	}
}

// duration reads checked milliseconds; none are 0.
func duration(ms string) time.Duration {
	n, _ := decimal(ms, 0, maxKeyTime)
	return time.Duration(n) * time.Millisecond
}

// steps makes one request of the whole sequence. The separators go as Snom documents them, unescaped.
func (k keySequence) steps(d Dialect) []Step {
	var pause time.Duration
	spelled := make([]byte, 0, len("/command.htm?key=")+len(k)+16)
	spelled = append(spelled, "/command.htm?key="...)
	for e := range k.events() {
		pause += e.Hold + e.Pause
		e.Key = d.key(e.Key)
		if spelled[len(spelled)-1] != '=' {
			spelled = append(spelled, ';')
		}
		spelled = appendEscaped(spelled, e.String(), ",")
	}
	return []Step{{Request: string(spelled), Pause: pause}}
}

// key spells the name of a key as the dialect does.
func (d Dialect) key(name string) string {
	switch {
	case d == DialectNew && name == "F_R":
		return "F_HOLD"
	case d == DialectOld && name == "F_HOLD":
		return "F_R"
	}
	return name
}
