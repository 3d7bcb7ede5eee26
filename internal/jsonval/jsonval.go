// Package jsonval has the values of the project's JSON documents that may be unknown: null in JSON.
package jsonval

import (
	"bytes"
	"encoding/json"
	"time"
)

// Text is text that may be unknown: empty, and null in JSON.
type Text string

// MarshalJSON writes the text, or null.
func (t Text) MarshalJSON() ([]byte, error) {
	if t == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(t))
}

// Switch is on, off or unknown: true, false, null in JSON. The zero Switch is unknown.
type Switch uint8

// The positions of a Switch.
const (
	Unknown Switch = iota
	Off
	On
)

// MarshalJSON writes true, false or null.
func (s Switch) MarshalJSON() ([]byte, error) {
	switch s {
	case On:
		return []byte("true"), nil
	case Off:
		return []byte("false"), nil
	default:
		return []byte("null"), nil
	}
}

// UnmarshalJSON reads true, false or null.
func (s *Switch) UnmarshalJSON(b []byte) error {
	var v *bool
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	switch {
	case v == nil:
		*s = Unknown
	case *v:
		*s = On
	default:
		*s = Off
	}
	return nil
}

// Time is a moment: in JSON as RFC 3339 with milliseconds, in UTC. The zero Time is unknown: null.
type Time struct{ time.Time }

// Moment returns t as documents keep it: comparable with ==, and different only where its JSON is.
func Moment(t time.Time) Time { return Time{t.Round(0).UTC().Truncate(time.Millisecond)} }

// AppendText appends the moment: the layout 2006-01-02T15:04:05.000Z07:00 in UTC. Package time is several times as fast with
// the layout of RFC 3339, which has no milliseconds, and each result of a command has a moment.
func (t Time) AppendText(b []byte) ([]byte, error) {
	utc := t.UTC()
	b = utc.AppendFormat(b, time.RFC3339)
	ms := utc.Nanosecond() / int(time.Millisecond)
	return append(b[:len(b)-len("Z")], '.', '0'+byte(ms/100), '0'+byte(ms/10%10), '0'+byte(ms%10), 'Z'), nil
}

// AppendJSON appends the moment in quotes, or null.
func (t Time) AppendJSON(b []byte) []byte {
	if t.IsZero() {
		return append(b, "null"...)
	}
	b, _ = t.AppendText(append(b, '"')) // it has no error
	return append(b, '"')
}

// MarshalText writes the moment.
func (t Time) MarshalText() ([]byte, error) { return t.AppendText(nil) }

// MarshalJSON writes the moment, or null.
func (t Time) MarshalJSON() ([]byte, error) { return t.AppendJSON(nil), nil }

// Marshal is json.Marshal that leaves &, < and > as they are: display names hold them.
func Marshal(v any) ([]byte, error) {
	const usual = 512 // bytes that most documents take
	b := bytes.NewBuffer(make([]byte, 0, usual))
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
