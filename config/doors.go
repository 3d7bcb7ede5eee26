package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A Door is a door intercom: it calls phones, and opens when it receives its code as DTMF tones in the call.
type Door struct {
	Name    string   // as mqtt.ValidName accepts it
	Phones  []string // whose call opens it, the first one calls it where Call is set
	Number  string   // that calls when its button is pressed, and that is called
	Country string   // country code by which numbers are compared; empty: none
	Code    Secret   // digits 0-9, A-D, * and #
	ByKeys  bool     // the code is sent by the keys of the keypad
	Hold    time.Duration
	Call    bool // without a call, the phone calls the door, sends the code and hangs up
	Chime   Chime
	Camera  Camera
	Where   string // it stands in the phones file
}

// A Chime rings at phones when the door does.
type Chime struct {
	Phones        []string // none: there is no chime
	Ringer, Count int
}

// A Camera is the camera of a door.
type Camera struct {
	URL      string // http or https; empty: there is none
	Username string
	Password Secret
}

// The keys of a door, of its chime and of its camera.
var (
	doorKeys   = []string{"phone", "number", "country_code", "code", "code_file", "method", "hold", "call", "chime", "camera"}
	chimeKeys  = []string{"phones", "ringer", "count"}
	cameraKeys = []string{"url", "username", "password", "password_file"}
)

// Limits of a door, chosen by this project.
const (
	defaultHold  = 5 * time.Second
	maxHold      = time.Hour
	maxDoors     = 64
	maxDoorPhone = 32
)

// doors checks the section of the doors. Their names are those of no phone and no group.
func (f phonesFile) doors(section *node, taken registry, groups map[string][]string) (all []Door) {
	if section.kind == nothing {
		return nil
	}
	if section.kind != mapping {
		f.wrong(section, "doors: expected a name for each door, and its settings below the name")
		return nil
	}
	written := map[string]bool{}
	for name, is := range section.pairs() {
		called := nameField(f.path, name)
		f.look(called)
		if !f.name(called) {
			continue
		}
		_, isPhone := taken.names[name.text]
		_, isGroup := groups[name.text]
		switch {
		case written[name.text]:
			f.fault(called, "written twice")
			continue
		case isPhone || isGroup:
			f.fault(called, "a phone or group has this name: expected another one for the door")
		case len(all) == maxDoors:
			f.fault(called, "expected at most %d doors", maxDoors)
		}
		written[name.text] = true
		if is.kind != mapping {
			f.wrong(is, "%s: expected the settings of a door, such as phone: kitchen", name.text)
			continue
		}
		all = append(all, f.door(name, is, taken))
	}
	slices.SortFunc(all, func(a, b Door) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// door checks one door.
func (f phonesFile) door(name, is *node, taken registry) Door {
	d := Door{Name: name.text, Hold: defaultHold, Where: fmt.Sprintf("%s:%d:%d: %s", f.path, name.line, name.column, name.text)}
	what := name.text + ": "
	coded := 0
	f.members(is, doorKeys, func(i int, value *node) {
		switch key := doorKeys[i]; key {
		case "phone":
			d.Phones = f.phoneNames(name.text, value, taken)
		case "number":
			if d.Number = f.oneText(what+key, value); value.kind == scalar && !anyOf(d.Number, "0123456789*#") && !strings.Contains(d.Number, "@") {
				f.wrong(value, "%snumber: expected a number, such as \"**61\", or a SIP URI, user@host", what)
			}
		case "country_code":
			if d.Country = f.oneText(what+key, value); len(d.Country) > 3 || strings.Trim(d.Country, "0123456789") != "" || strings.HasPrefix(d.Country, "0") {
				f.wrong(value, "%scountry_code: expected 1 to 3 digits, such as 49", what)
			}
		case "code":
			coded++
			d.Code = NewSecret(f.oneText(what+key, value))
		case "code_file":
			coded++
			text, _ := f.secretFile(name.text, key, value)
			d.Code = NewSecret(text)
		case "method":
			text := f.oneText(what+key, value)
			if d.ByKeys = text == "keys"; text != "keys" && text != "dtmf" {
				f.wrong(value, "%smethod: expected dtmf or keys", what)
			}
		case "hold":
			d.Hold = f.timeOf(what+key, value, 100*time.Millisecond, maxHold)
		case "call":
			d.Call = f.truth(what+key, value)
		case "chime":
			d.Chime = f.chime(name.text, value, taken)
		case "camera":
			d.Camera = f.camera(name.text, value)
		}
	})
	before := len(f.faults.list)
	switch code := d.Code.Reveal(); {
	case coded == 2:
		f.wrong(name, "%sexpected code or code_file, not both", what)
	case before > 0: // what follows may follow from it
	case len(d.Phones) == 0:
		f.wrong(name, "%sphone: not set", what)
	case d.Number == "":
		f.wrong(name, "%snumber: not set: expected the number that calls when the door rings", what)
	case code == "":
		f.wrong(name, "%scode_file: not set: expected a file with the tones that open the door", what)
	case len(code) > 64 || strings.Trim(code, "0123456789ABCD*#") != "":
		f.wrong(name, "%scode: expected 1 to 64 of 0-9, A-D, * and #", what)
	case d.ByKeys && strings.ContainsAny(code, "ABCD"):
		f.wrong(name, "%scode: expected 0-9, * and #: with method keys there are no keys for A to D", what)
	}
	return d
}

// anyOf reports whether s has one of the bytes of set.
func anyOf(s, set string) bool { return strings.ContainsAny(s, set) }

// oneText returns a value that is one text.
func (f phonesFile) oneText(what string, value *node) string {
	if value.kind != scalar || value.text == "" {
		f.wrong(value, "%s: expected one value", what)
		return ""
	}
	f.look(field{in: namePlace{f.path, value}, text: value.text})
	return value.text
}

// truth returns a value that is true or false.
func (f phonesFile) truth(what string, value *node) bool {
	if value.text != "true" && value.text != "false" || value.kind != scalar {
		f.wrong(value, "%s: expected true or false", what)
	}
	return value.text == "true"
}

// timeOf returns a value that is a time.
func (f phonesFile) timeOf(what string, value *node, least, most time.Duration) time.Duration {
	d, err := time.ParseDuration(value.text)
	if err != nil || value.kind != scalar || d < least || d > most {
		f.wrong(value, "%s: expected a time with its unit from %v to %v, such as 5s", what, least, most)
	}
	return d
}

// number returns a value that is a whole number.
func (f phonesFile) number(what string, value *node, least, most int) int {
	n := 0
	for _, c := range value.text {
		if n = 10*n + int(c-'0'); c < '0' || c > '9' || n > most {
			n = -1
			break
		}
	}
	if value.kind != scalar || value.text == "" || n < least {
		f.wrong(value, "%s: expected a number from %d to %d", what, least, most)
	}
	return n
}

// phoneNames checks the name of a phone, or a list of them.
func (f phonesFile) phoneNames(what string, value *node, taken registry) (names []string) {
	if value.kind != list {
		value = &node{kind: list, parts: []node{*value}, line: value.line, column: value.column}
	}
	for i := range value.parts {
		name := f.phoneName(what, &value.parts[i], taken)
		if slices.Contains(names, name) {
			f.wrong(&value.parts[i], "%s: %s is there twice", what, shown(name))
			continue
		}
		names = append(names, name)
	}
	if len(names) == 0 || len(names) > maxDoorPhone {
		f.wrong(value, "%s: expected 1 to %d phones", what, maxDoorPhone)
	}
	return names
}

// chime checks the chime of a door.
func (f phonesFile) chime(name string, is *node, taken registry) Chime {
	c := Chime{Ringer: 1, Count: 1}
	what := name + ": chime"
	if is.kind != mapping {
		f.wrong(is, "%s: expected phones, ringer and count, such as {phones: [hall], ringer: 3}", what)
		return c
	}
	f.members(is, chimeKeys, func(i int, value *node) {
		switch i {
		case 0:
			c.Phones = f.phoneNames(what, value, taken)
		case 1:
			c.Ringer = f.number(what+": ringer", value, 1, 9)
		case 2:
			c.Count = f.number(what+": count", value, 1, 20)
		}
	})
	if len(c.Phones) == 0 {
		f.wrong(is, "%s: phones: not set", what)
	}
	return c
}

// camera checks the camera of a door.
func (f phonesFile) camera(name string, is *node) (c Camera) {
	what := name + ": camera"
	if is.kind != mapping {
		f.wrong(is, "%s: expected url, username and password_file", what)
		return c
	}
	f.members(is, cameraKeys, func(i int, value *node) {
		switch i {
		case 0:
			c.URL = f.oneText(what+": url", value)
		case 1:
			c.Username = f.oneText(what+": username", value)
		case 2:
			c.Password = NewSecret(f.oneText(what+": password", value))
		case 3:
			text, _ := f.secretFile(name, "password_file", value)
			c.Password = NewSecret(text)
		}
	})
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Fragment != "" || len(c.URL) > 512:
		f.wrong(is, "%s: url: expected an address such as http://192.0.2.60/snapshot.jpg", what)
	case u.User != nil:
		f.wrong(is, "%s: url: expected no user name and password in it: expected username and password_file", what)
	case strings.Contains(c.Username, ":"):
		f.wrong(is, "%s: username: expected a name without a colon: HTTP ends the name there", what)
	case c.Username == "" && !c.Password.IsZero():
		f.wrong(is, "%s: username: not set, but a password is", what)
	}
	return c
}
