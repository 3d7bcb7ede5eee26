package minibrowser

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// A Target is where a link leads, or what the phone does instead. The zero Target leads nowhere.
type Target struct{ address string }

// String returns the address, as it stands in the document before it is escaped.
func (t Target) String() string { return t.address }

// IsZero reports whether t leads nowhere.
func (t Target) IsZero() bool { return t.address == "" }

// Web returns the target of an http or https URL. One with a fragment, which would be a command for the phone, or with a
// callback is an error. Nothing of a text from outside belongs into it but its query, escaped.
func Web(address string) (Target, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return Target{}, errors.New("minibrowser: expected a URL")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return Target{}, errors.New("minibrowser: expected an http or https URL with a host")
	case strings.Contains(address, "#"):
		return Target{}, errors.New("minibrowser: expected a URL without a fragment: it is a command for the phone")
	case strings.Contains(address, "$") || strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r >= 0x7F }):
		return Target{}, errors.New("minibrowser: expected a URL of visible ASCII characters without $, which begins a callback")
	}
	return Target{address}, nil
}

// Close returns the target that closes the minibrowser.
func Close() Target { return Target{"snom://mb_exit"} }

// Inside returns the target of the page of a [Batch] with that ID, which consists of letters, digits, _ and -.
func Inside(id string) (Target, error) {
	if !isWord(id) {
		return Target{}, fmt.Errorf("minibrowser: id %q: expected letters, digits, _ and -", id)
	}
	return Target{`#sub=*[@id="` + id + `"]`}, nil
}

// PressKey returns the target that presses a key: "ENTER", "P5", "F_HOLD", "1", "*". In a [Silent] of [StateRelevant] the
// key reaches the phone beneath the minibrowser (nemerald-voip/fspbx, tried on a D862).
func PressKey(key string) (Target, error) {
	if !isKey(key) {
		return Target{}, fmt.Errorf("minibrowser: key %q: expected the name of a key", key)
	}
	return Target{"snom://mb_nop#key=" + strings.ReplaceAll(key, "#", "%23")}, nil
}

// Dial returns the target that calls a number, and closes the minibrowser (Snom wiki, Via+SIP+NOTIFY).
func Dial(number string) (Target, error) {
	if !consists(number, digits+capital+small+"*_#+.@:-", 255) {
		return Target{}, fmt.Errorf("minibrowser: number: expected at most 255 of letters, digits and * _ # + . @ : -")
	}
	return Target{"phone://mb_exit#numberdial=" + strings.ReplaceAll(number, "#", "%23")}, nil
}

// Reregister returns the target that registers a SIP identity again, counted from 1 (Snom wiki, Fragments).
func Reregister(identity int) Target {
	return Target{"snom://mb_nop#reregister=" + strconv.Itoa(identity-1)}
}

// Unregister returns the target that logs off a SIP identity, counted from 1, or all: 0 (Snom wiki, Fragments).
func Unregister(identity int) Target {
	return Target{"snom://mb_nop#unregister=" + strconv.Itoa(identity-1)}
}

// ClearList returns the target that empties a call list: "Dialed", "Missed" or "Received" (Snom wiki, Fragments).
func ClearList(list string) (Target, error) {
	if list != "Dialed" && list != "Missed" && list != "Received" {
		return Target{}, errors.New("minibrowser: call list: expected Dialed, Missed or Received")
	}
	return Target{"snom://mb_nop#calllistclear=" + list}, nil
}

// A Callback is a query parameter whose value the phone fills in: Name=$(Of). Of is a setting, "set:dnd_mode[1]", or a
// fact such as "lines" and "lines:connected" (docs.snom.io, callbacks). Reading needs no trusted host; passwords come out
// empty.
type Callback struct{ Name, Of string }

// WithCallbacks returns t, the target of a URL, with callbacks in its query.
func (t Target) WithCallbacks(callbacks ...Callback) (Target, error) {
	separator := "?"
	if strings.Contains(t.address, "?") {
		separator = "&"
	}
	if !strings.HasPrefix(t.address, "http") {
		return Target{}, errors.New("minibrowser: callbacks: expected the target of a URL")
	}
	for _, c := range callbacks {
		if !isWord(c.Name) || !isCallback(c.Of) {
			return Target{}, fmt.Errorf("minibrowser: callback %q: expected a name and a fact such as set:dnd_mode[1]", c.Name)
		}
		t.address += separator + c.Name + "=$(" + c.Of + ")"
		separator = "&"
	}
	return t, nil
}

const (
	digits  = "0123456789"
	capital = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	small   = "abcdefghijklmnopqrstuvwxyz"
)

// consists reports whether text has 1 to most bytes, all among allowed.
func consists(text, allowed string, most int) bool {
	return text != "" && len(text) <= most && strings.Trim(text, allowed) == ""
}

func isWord(text string) bool { return consists(text, digits+capital+small+"_-", 64) }

// isKey reports whether text has the form of a key's name.
func isKey(text string) bool {
	return len(text) == 1 && consists(text, digits+"*#", 1) || consists(text, digits+capital+"_", 32) && strings.Contains(capital, text[:1])
}

// isCallback reports whether text is what may stand in a callback: words with a colon between them, and an index.
func isCallback(text string) bool {
	what, index, indexed := strings.Cut(text, "[")
	if indexed && (!strings.HasSuffix(index, "]") || !consists(strings.TrimSuffix(index, "]"), digits, 3)) {
		return false
	}
	kind, name, named := strings.Cut(what, ":")
	return isWord(kind) && (!named || isWord(name))
}
