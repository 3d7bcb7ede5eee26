package bridge

import (
	"encoding/json"
	"strings"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// shortened is the message of a result that [Minimal] returns.
const shortened = "shortened: the broker does not accept the whole result"

// Minimal returns a short form of the payload of m, of at most 1 KiB, to be published where a broker does not accept
// the whole: a result without argument and message, a summary without its members. It returns nil for other messages.
func Minimal(m mqtt.Message) []byte {
	if m.Retained || !strings.HasSuffix(m.Topic, "/result") {
		return nil
	}
	var is struct{ Phone, Group *string }
	if json.Unmarshal(m.Payload, &is) != nil {
		return nil
	}
	var r Result
	var s Summary
	switch {
	case is.Phone != nil && json.Unmarshal(m.Payload, &r) == nil:
		r.Argument, r.Message, r.First = "", shortened, nil
		r.Details = nil
		return encode(&r)
	case is.Group != nil && json.Unmarshal(m.Payload, &s) == nil:
		s.Argument, s.Message, s.Members = "", shortened, nil
		return encode(&s)
	}
	return nil
}
