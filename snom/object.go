package snom

import (
	"encoding/json"
	"strconv"

	"github.com/snom2mqtt/snom2mqtt/internal/strictjson"
)

// An Object is the members of one JSON object, not yet read.
type Object = strictjson.Object

// ParseObject reads data as one JSON object, more strictly than encoding/json: invalid UTF-8, a member
// name that comes twice (at any depth), anything after the object, nesting deeper than 4, more than 200
// members in one object and more than [MaxPayload] bytes are refused with a [*SyntaxError] that gives the
// byte offset. The values share the memory of data.
func ParseObject(data []byte) (Object, error) {
	o, err := parseObject(data)
	if err != nil {
		return nil, err
	}
	return o, nil
}

func parseObject(data []byte) (Object, *SyntaxError) {
	if len(data) > MaxPayload {
		return nil, tooLong(string(data[:maxQuoted+1]))
	}
	o, err := strictjson.Parse(data)
	if err != nil {
		fault := jsonFault(err)
		fault.Text = quotable(string(data[:min(len(data), maxQuoted+1)]))
		if at := fault.Offset; at < len(data) {
			if name, size := oddAt(string(data[at:]), 0); name != "" && data[at] != ' ' {
				fault.Found = name + place(string(data), at, size)
			}
		}
		return nil, fault
	}
	return o, nil
}

// jsonFault converts an error of the JSON reader.
func jsonFault(err *strictjson.Error) *SyntaxError {
	return &SyntaxError{Offset: err.Offset, Expected: err.Expected, Hint: quotable(err.Hint)}
}

// IsObject reports whether payload is read as a JSON object and not as plain text: whether its first
// byte after JSON white space is an opening brace. No plain form of a command begins so.
func IsObject(payload []byte) bool { return strictjson.IsObject(payload) }

// quoted returns text as a JSON value.
func quoted(text string) json.RawMessage {
	raw, err := json.Marshal(text)
	if err != nil {
		panic("snom: " + err.Error()) // a string always marshals
	}
	return raw
}

// whole returns n as a JSON value.
func whole(n int) json.RawMessage { return strconv.AppendInt(nil, int64(n), 10) }
