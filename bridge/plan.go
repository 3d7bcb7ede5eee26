package bridge

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// The limits of the envelope.
const (
	maxID     = 64             // characters of an id
	maxExpiry = 24 * time.Hour // of expires_in
	minExpiry = time.Millisecond
)

// Rules are the limits that hold for every phone.
type Rules struct {
	TTL           time.Duration  // how long a command without an expiry of its own may wait
	DialAllow     *regexp.Regexp // numbers that may be called; nil: all
	DialDeny      *regexp.Regexp // numbers that may not; nil: none
	FirmwareHosts []string       // hosts a firmware URL may name, host or host:port, in small letters
}

// retainedCommand is what is said of a retained command, to whomever it was sent.
const retainedCommand = "a command must not be retained: a broker replays it at every connection"

// An order is a message's payload read: the envelope, and the command if it makes sense.
type order struct {
	id      string
	in      time.Duration // expires_in; 0: not given
	at      time.Time     // expires_at
	dated   bool          // expires_at was given
	name    string        // the command's name
	command snom.Command  // zero when fault is not nil
	raw     string        // the payload, bounded, for a result about a fault
	fault   error         // what made no sense
}

// decode reads a payload for the command called name, which is "command" where the payload itself
// says which. What can be read of an order is there even when another part of it is at fault, so
// that the answer carries the id.
func decode(name string, payload []byte) order {
	o := order{name: shown(name)}
	if len(payload) > snom.MaxPayload {
		o.fault = tooLong()
		return o
	}
	o.raw = shown(string(payload))
	if !snom.IsObject(payload) {
		if name == "command" {
			o.fault = errors.New(`want a JSON object that names its command: {"command":"key","keys":"P1"}`)
			return o
		}
		o.fault = o.read(name, func(v snom.Verb) (snom.Command, error) { return snom.ParsePayload(v, payload) })
		return o
	}
	object, err := snom.ParseObject(payload)
	if err != nil {
		o.fault = err
		return o
	}
	o.fault = o.envelope(object)
	if name == "command" {
		var err error
		if name, err = text(object, "command"); err != nil || name == "" {
			o.fault = errors.Join(o.fault, fmt.Errorf("command: want one of %s", verbList()))
			return o
		}
		o.name = shown(name)
	}
	o.fault = errors.Join(o.fault, o.read(name, func(v snom.Verb) (snom.Command, error) { return v.Command(object) }))
	return o
}

// tooLong is the fault of a payload beyond [snom.MaxPayload]. How long it was nobody knows: the session
// cuts off what is far beyond.
func tooLong() error {
	return fmt.Errorf("the payload is too long: want at most %d bytes", snom.MaxPayload)
}

// read makes the command called name with parse.
func (o *order) read(name string, parse func(snom.Verb) (snom.Command, error)) error {
	v := snom.Verb(name)
	if !v.Valid() {
		return fmt.Errorf("no such command %q: want one of %s", o.name, verbList())
	}
	c, err := parse(v)
	if err != nil {
		return err
	}
	o.command = c
	return nil
}

// identity takes the id out of object. One that is not there is empty.
func identity(object snom.Object) (string, error) {
	id, err := text(object, "id")
	switch {
	case err != nil:
		return "", err
	case utf8.RuneCountInString(id) > maxID:
		return "", fmt.Errorf("id: want at most %d characters", maxID)
	case strings.ContainsFunc(id, unicode.IsControl):
		return "", errors.New("id: want no control characters")
	}
	return id, nil
}

// envelope takes id and expiry out of object.
func (o *order) envelope(object snom.Object) error {
	var errs []error
	var err error
	if o.id, err = identity(object); err != nil {
		errs = append(errs, err)
	}
	if raw, ok := object.Take("expires_in"); ok {
		var seconds float64
		err := json.Unmarshal(raw, &seconds)
		// Compared before it becomes a Duration, which would overflow.
		if err != nil || string(raw) == "null" || seconds < minExpiry.Seconds() || seconds > maxExpiry.Seconds() {
			errs = append(errs, fmt.Errorf("expires_in: want a number of seconds, %g to %g", minExpiry.Seconds(), maxExpiry.Seconds()))
		} else {
			o.in = time.Duration(seconds * float64(time.Second))
		}
	}
	if at, err := text(object, "expires_at"); err != nil {
		errs = append(errs, err)
	} else if at != "" {
		o.dated = true
		o.at, err = time.Parse(time.RFC3339, strings.ToUpper(at)) // RFC 3339 allows t and z, Go does not
		if err != nil {
			errs = append(errs, errors.New("expires_at: want a moment like 2026-11-22T10:00:00Z (RFC 3339)"))
		} else if o.in != 0 {
			errs = append(errs, errors.New("want expires_in or expires_at, not both"))
		}
	}
	return errors.Join(errs...)
}

// text takes a member out of object that must be text. One that is not there is empty; one that
// is there must not be.
func text(object snom.Object, name string) (string, error) {
	raw, ok := object.Take(name)
	if !ok {
		return "", nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil || s == "" {
		return "", fmt.Errorf("%s: want text in quotes", name)
	}
	return s, nil
}

// expiry is when o is worth nothing any more.
func (o order) expiry(now time.Time, ttl time.Duration) time.Time {
	switch {
	case o.dated:
		return o.at
	case o.in != 0:
		return now.Add(o.in)
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

// plan is what becomes of an order for one phone: the request for its worker, and why it is refused, or nil. It
// does no I/O and looks at no clock.
func (p PhoneConfig) plan(o order, model snom.Model, rules Rules, retained bool, now time.Time) (*request, *Result) {
	r := &request{id: o.id, command: o.command, name: o.name, received: now, expires: o.expiry(now, rules.TTL)}
	r.argument = o.raw
	if o.fault == nil {
		r.argument = o.command.Argument()
	}
	secret := p.secret(o)
	if secret && r.argument != "" {
		r.argument = mask
	}
	refuse := func(code Code, message string) (*request, *Result) {
		return r, r.answer(p.Name, code, message, now)
	}
	switch {
	case retained:
		return refuse(Retained, retainedCommand)
	case o.fault != nil:
		return refuse(Invalid, explain(o.fault, secret))
	case !now.Before(r.expires):
		return refuse(Expired, "expires_at is in the past")
	}
	if reason := p.forbids(o.command, rules); reason != "" {
		return refuse(Forbidden, reason)
	}
	if name, ok := o.command.Confirmation(); ok && name != p.Name {
		return refuse(Invalid, fmt.Sprintf("want the phone's own name, %q, as confirmation", p.Name))
	}
	warning, err := model.Check(o.command)
	if err != nil {
		return refuse(Unsupported, words(err))
	}
	r.warning = warning
	return r, nil
}

// secret reports whether the argument of o is not to be shown. Where nobody can tell which command
// was meant, it may have been a secret one.
func (p PhoneConfig) secret(o order) bool {
	v := snom.Verb(o.name)
	return p.Mask[v] || len(p.Mask) > 0 && !v.Valid()
}

// explain is a fault in words. Of a secret payload it tells the places and what was wanted, and
// repeats nothing.
func explain(fault error, secret bool) string {
	var several interface{ Unwrap() []error }
	if errors.As(fault, &several) {
		var all []string
		for _, one := range several.Unwrap() {
			all = append(all, explain(one, secret))
		}
		return strings.Join(all, "; ")
	}
	var syntax *snom.SyntaxError
	if secret && errors.As(fault, &syntax) {
		return strings.TrimPrefix(syntax.Redacted(), "snom: ")
	}
	return words(fault) // what else decode finds at fault repeats no argument
}

// forbids says why the settings do not allow c on this phone, or nothing.
func (p PhoneConfig) forbids(c snom.Command, rules Rules) string {
	switch v := c.Verb(); v {
	case snom.VerbReset, snom.VerbFirmware:
		if !p.Allow[v] {
			return fmt.Sprintf("%s is closed: open it with ALLOW=%s, for all phones or for this one", v, v)
		}
	}
	if u, ok := c.FirmwareURL(); ok {
		if !p.HTTPS {
			return "firmware wants an https:// connection to the phone"
		}
		listed := func(host string) bool { return slices.Contains(rules.FirmwareHosts, strings.ToLower(host)) }
		if !listed(u.Hostname()) && !listed(u.Host) {
			return fmt.Sprintf("FIRMWARE_HOSTS does not list %q", u.Host)
		}
	}
	if number, ok := c.Number(); ok {
		if rules.DialAllow != nil && !rules.DialAllow.MatchString(number) {
			return "DIAL_ALLOW does not allow this number"
		}
		// A number that is denied does not become another one by a host behind it.
		user, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(number, "sip:"), "sips:"), "@")
		if rules.DialDeny != nil && (rules.DialDeny.MatchString(number) || rules.DialDeny.MatchString(user)) {
			return "DIAL_DENY denies this number"
		}
	}
	return ""
}
