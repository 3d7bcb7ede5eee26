package bridge

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/snom2mqtt/snom2mqtt/internal/oddchar"
	"github.com/snom2mqtt/snom2mqtt/internal/strictjson"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// The limits of the envelope.
const (
	maxID     = 64             // characters of an id
	maxExpiry = 24 * time.Hour // of expires_in
	minExpiry = time.Millisecond
)

// A message is the payload of a command, read: the envelope, and the command if it makes sense.
type message struct {
	id      string
	in      time.Duration // expires_in; 0: not given
	at      time.Time     // expires_at
	dated   bool          // expires_at was given
	dry     bool          // dry_run: everything is checked, and nothing sent
	name    string        // the command's name
	command snom.Command  // zero when fault is not nil
	raw     string        // the payload, bounded, for a result about a fault; empty without one
	fault   error         // what made no sense
	script  *script       // of a macro; nil: it is none
}

// decode reads a payload for the command called name, which is "command" where the payload itself
// says which. What can be read of a message is there even when another part of it is at fault, so
// that the answer carries the id.
func decode(name string, payload []byte) message {
	m := message{name: shown(name)}
	most := snom.Verb(name).MaxPayload()
	if name == "command" {
		most = snom.MaxShowPayload // it depends on what the payload names
	}
	if len(payload) > most {
		m.fault = tooLong(most)
		return m
	}
	if m.fault = m.decode(name, payload); m.fault != nil {
		m.raw = shownPayload(payload)
	}
	return m
}

// shownPayload is as much of a payload as a result about a fault repeats.
func shownPayload(payload []byte) string {
	return shown(string(payload[:min(len(payload), 4*maxShown)]))
}

// decode reads a payload that is not too long.
func (m *message) decode(name string, payload []byte) error {
	if !strictjson.IsObject(payload) {
		if name == "command" {
			return noObjectError{oddchar.Find(shownPayload(payload), 0)}
		}
		return m.read(name, func(v snom.Verb) (snom.Command, error) { return snom.ParsePayload(v, payload) })
	}
	object, err := strictjson.Parse(payload)
	if err != nil {
		return err
	}
	defer object.Release() // a command is made of its values
	fault := m.envelope(object)
	if name == "command" {
		if name, err = text(object, "command"); err != nil || name == "" {
			return errors.Join(fault, fmt.Errorf("command: expected one of %s", verbList()))
		}
		m.name = shown(name)
		if most := snom.Verb(name).MaxPayload(); len(payload) > most {
			return errors.Join(fault, tooLong(most))
		}
	}
	return errors.Join(fault, m.read(name, func(v snom.Verb) (snom.Command, error) { return v.Command(object) }))
}

// tooLong is the fault of a payload beyond most. Its length is not known here: the session cuts off what is far beyond.
func tooLong(most int) error {
	return fmt.Errorf("the payload is too long: expected at most %d bytes", most)
}

// A noObjectError is the fault of a payload that has to be a JSON object and is not.
type noObjectError struct{ found string }

func (e noObjectError) Error() string {
	message := `expected a JSON object that names its command: {"command":"key","keys":"P1"}`
	if e.found != "" {
		message += "; it has " + e.found
	}
	return message
}

// Redacted is Error without anything that was received.
func (e noObjectError) Redacted() string { return noObjectError{oddchar.Redact(e.found)}.Error() }

// An unknownCommand is the fault of a name that is no command.
type unknownCommand string

func (name unknownCommand) Error() string {
	text := fmt.Sprintf("no such command %q: expected one of %s", string(name), verbList())
	if lower := snom.Verb(strings.ToLower(string(name))); lower.Valid() {
		text += "; commands are written in lower case: " + string(lower)
	}
	return text + name.levels()
}

// levels returns what is wrong with the levels of the topic that the name was the rest of.
func (name unknownCommand) levels() string {
	switch {
	case strings.HasSuffix(string(name), "/"):
		return "; the topic ends in a slash"
	case strings.Contains(string(name), "/"):
		return "; the topic has too many levels: the command is the last one"
	}
	return ""
}

// Redacted is Error without the name, which may be a secret that was put into the wrong place.
func (name unknownCommand) Redacted() string {
	return "no such command: expected one of " + verbList() + name.levels()
}

// read makes the command called name with parse.
func (m *message) read(name string, parse func(snom.Verb) (snom.Command, error)) error {
	v := snom.Verb(name)
	if !v.Valid() {
		return unknownCommand(m.name)
	}
	c, err := parse(v)
	if err != nil {
		return err
	}
	m.command = c
	return nil
}

// hideName hides the name of a command that does not exist: where arguments are secret, it may be one.
func (m *message) hideName() {
	if m.name != "" && m.name != "command" && !snom.Verb(m.name).Valid() {
		m.name = mask
	}
}

// shownArgument is the argument as a result shows it, unless it is secret.
func (m message) shownArgument() string {
	if m.fault != nil {
		if m.hasLogin() {
			return hideLogins(strings.ReplaceAll(m.raw, `\/`, "/"))
		}
		return m.raw
	}
	return m.command.Shown()
}

// hasLogin reports whether what was received has a URL with a login: no part of it may be repeated then.
func (m message) hasLogin() bool {
	text := strings.ReplaceAll(m.raw, `\/`, "/") // as JSON may have it
	return hideLogins(text) != text
}

// hideLogins masks user names and passwords in the URLs of a text: what is refused may hold one.
func hideLogins(text string) string {
	shown, rest := "", text
	for {
		before, after, found := strings.Cut(rest, "://")
		end := strings.IndexAny(after, "/?#\"\\ \t\n")
		if end < 0 {
			end = len(after)
		}
		if !found {
			return shown + rest
		}
		shown += before + "://"
		if at := strings.LastIndexByte(after[:end], '@'); at >= 0 {
			shown, after = shown+mask, after[at:]
		}
		rest = after
	}
}

// identity takes the id out of object. One that is not there is empty. A number is taken as the text that it is written
// as.
func identity(object strictjson.Object) (string, error) {
	raw, ok := object.Take("id")
	if !ok {
		return "", nil
	}
	id, err := identityText(raw)
	switch {
	case err != nil:
		return "", err
	case utf8.RuneCountInString(id) > maxID:
		return "", fmt.Errorf("id: expected at most %d characters", maxID)
	case strings.ContainsFunc(id, unicode.IsControl):
		return "", errors.New("id: expected no control characters")
	}
	return id, nil
}

// maxDigits is how many digits of a number with a fraction every program keeps (IEEE 754 double precision).
const maxDigits = 15

// identityText reads an id. Of a number nothing may have been lost on its way, or two ids could become one.
func identityText(raw json.RawMessage) (string, error) {
	if len(raw) > 0 && (raw[0] == '-' || '0' <= raw[0] && raw[0] <= '9') {
		if whole, err := strictjson.Whole(raw); err == nil {
			return whole, nil
		}
		if digits := strings.Trim(strings.Replace(string(raw), ".", "", 1), "-"); len(digits) > maxDigits || strings.ContainsAny(digits, "eE") {
			return "", fmt.Errorf("id: expected text in double quotes, or a number of at most %d digits without an exponent: programs round longer ones", maxDigits)
		}
		return string(raw), nil
	}
	id, err := strictjson.Text(raw)
	if err != nil || id == "" {
		return "", errors.New("id: expected text in double quotes, or a number")
	}
	return id, nil
}

// envelope takes id, expiry and dry_run out of object.
func (m *message) envelope(object strictjson.Object) error {
	var errs []error
	var err error
	if m.id, err = identity(object); err != nil {
		errs = append(errs, err)
	}
	if raw, ok := object.Take("expires_in"); ok {
		var seconds float64
		err := json.Unmarshal(raw, &seconds)
		// Compared before it becomes a Duration, which would overflow.
		if err != nil || string(raw) == "null" || seconds < minExpiry.Seconds() || seconds > maxExpiry.Seconds() {
			errs = append(errs, fmt.Errorf("expires_in: expected a number of seconds, %g to %g, without quotes", minExpiry.Seconds(), maxExpiry.Seconds()))
		} else {
			m.in = time.Duration(seconds * float64(time.Second))
		}
	}
	if raw, ok := object.Take("dry_run"); ok {
		if m.dry = string(raw) == "true"; !m.dry && string(raw) != "false" {
			errs = append(errs, errors.New("dry_run: expected true or false, without quotes"))
			m.dry = true // of a command that was to be tried nothing is carried out
		}
	}
	if at, err := text(object, "expires_at"); err != nil {
		errs = append(errs, err)
	} else if at != "" {
		m.dated = true
		m.at, err = time.Parse(time.RFC3339, strings.ToUpper(at)) // RFC 3339 allows t and z, Go does not
		if err != nil {
			errs = append(errs, errors.New("expires_at: expected a time such as 2026-11-22T10:00:00Z (RFC 3339)"))
		} else if m.in != 0 {
			errs = append(errs, errors.New("expected expires_in or expires_at, not both"))
		}
	}
	return errors.Join(errs...)
}

// text takes a member out of object that must be text, or a whole number for its digits. One that is not there is
// empty; one that is there must not be.
func text(object strictjson.Object, name string) (string, error) {
	raw, ok := object.Take(name)
	if !ok {
		return "", nil
	}
	if whole, err := strictjson.Whole(raw); err == nil {
		return whole, nil
	}
	s, err := strictjson.Text(raw)
	if err != nil || s == "" {
		return "", fmt.Errorf("%s: expected text in double quotes", name)
	}
	return s, nil
}

// expiry is when m expires.
func (m message) expiry(now time.Time, ttl time.Duration) time.Time {
	switch {
	case m.dated:
		return now.Add(m.at.Sub(now.Round(0))) // a duration from here on: a clock that is set does not matter
	case m.in != 0:
		return now.Add(m.in)
	}
	return now.Add(ttl)
}

func verbList() string {
	var b strings.Builder
	for i, v := range snom.Verbs() {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(v))
	}
	return b.String()
}
