package snom

import "encoding/json"

// An Object is the members of one JSON object, not yet read.
type Object map[string]json.RawMessage

// ParseObject reads data as one JSON object, more strictly than encoding/json: invalid UTF-8, a member
// name that comes twice (at any depth), anything after the object, nesting deeper than 4, more than 200
// members in one object and more than [MaxPayload] bytes are refused with a [*SyntaxError] that gives the
// byte offset. The values share the memory of data.
func ParseObject(data []byte) (Object, error) {
	return nil, fault(0, "a JSON object")
}

// Take returns the member called name and removes it from o. It reports whether there was one.
func (o Object) Take(name string) (json.RawMessage, bool) {
	value, ok := o[name]
	delete(o, name)
	return value, ok
}

// IsObject reports whether payload is read as a JSON object and not as plain text: whether its first
// byte after JSON white space is an opening brace. No plain form of a command begins so.
func IsObject(payload []byte) bool {
	for _, c := range payload {
		switch c {
		case ' ', '\t', '\r', '\n':
		default:
			return c == '{'
		}
	}
	return false
}
