package bridge

import (
	"slices"
	"strings"

	"github.com/snom2mqtt/snom2mqtt/internal/cleantext"
	"github.com/snom2mqtt/snom2mqtt/internal/jsonval"
)

// mask is what a secret argument shows as.
const mask = "***"

// maxShown bounds what a result repeats of a payload that made no sense, in bytes.
const maxShown = 200

// A Result is the answer to one command for one phone. There is exactly one for every command.
type Result struct {
	ID         string `json:"id"`      // as the command gave it, or empty
	Phone      string `json:"phone"`   // the phone's name
	Command    string `json:"command"` // the command's name
	Argument   string `json:"argument"`
	OK         bool   `json:"ok"` // the phone accepted it
	Code       Code   `json:"code"`
	Message    string `json:"message"`     // for a person; never needed by a program
	HTTPStatus int    `json:"http_status"` // of the phone's last answer; 0: none
	Requests   int    `json:"requests"`    // HTTP requests that were made
	QueuedMS   int64  `json:"queued_ms"`   // from receipt to the first request
	DurationMS int64  `json:"duration_ms"` // from the first request to the end
	Time       Time   `json:"time"`
	// First is, for a duplicate, the result of the command that took the id.
	First *Result `json:"first,omitempty"`
	// Details is what few results have; nil: this one has none of it.
	*Details
}

// Details are the members of a [Result] that few results have.
type Details struct {
	Would []string     `json:"would,omitzero"`  // of a dry run: what the phone would be asked
	Door  string       `json:"door,omitempty"`  // that the command was for
	Steps []StepResult `json:"steps,omitzero"`  // of a macro: those that were begun
	Asked *Asked       `json:"asked,omitempty"` // of ask: what the phone said; it does not change
}

// size is about as much memory as d takes.
func (d *Details) size() int {
	const step = 96
	n := step * len(d.Steps)
	if d.Asked != nil {
		n += d.Asked.size()
	}
	for _, would := range d.Would {
		n += 16 + len(would)
	}
	for _, s := range d.Steps {
		n += len(s.Message)
	}
	return n
}

// A StepResult is how one step of a macro ended.
type StepResult struct {
	Command   string `json:"command"` // the command's name, or wait
	Code      Code   `json:"code"`
	Message   string `json:"message,omitempty"`
	Time      Time   `json:"time"`
	Otherwise bool   `json:"otherwise,omitempty"` // it is of those that are carried out when one fails
}

// A Summary is the answer to a command for a group: when every member has answered.
type Summary struct {
	ID         string          `json:"id"`
	Group      string          `json:"group"`
	Instance   string          `json:"instance,omitempty"` // whose members answered, where several bridges share the base topic
	Command    string          `json:"command"`
	Argument   string          `json:"argument"`
	OK         bool            `json:"ok"`   // every member's result was
	Code       Code            `json:"code"` // ok, or that of the first member that was not
	Message    string          `json:"message"`
	Members    map[string]Code `json:"members"`     // of too many, those that were not ok; of those too many, null
	DurationMS int64           `json:"duration_ms"` // from receipt to the last member's answer
	Time       Time            `json:"time"`
	// Details is what few summaries have; nil: this one has none of it.
	*Details
}

// Values of the documents that may be unknown.
type (
	// Text is text that may be unknown.
	Text = jsonval.Text
	// Switch is on, off or unknown.
	Switch = jsonval.Switch
	// Time is a moment that may be unknown.
	Time = jsonval.Time
)

// The positions of a Switch.
const (
	SwitchUnknown = jsonval.Unknown
	SwitchOff     = jsonval.Off
	SwitchOn      = jsonval.On
)

// maxResult bounds a result, and an answer to a request to the bridge, in bytes. Everything that enters one is bounded by
// itself; this is the last bound, so that no text from outside can prevent an answer from being published.
const maxResult = 8 << 10

// encodeResult writes a result of at most maxResult bytes: of one that would be longer the message is cut, and then the
// argument.
func encodeResult(r *Result) []byte {
	const usual = 320 // bytes that most results take
	payload := r.appendJSON(make([]byte, 0, usual))
	for most := 1 << 10; len(payload) > maxResult && most > 0; most /= 4 {
		r = r.cut(most)
		payload = r.appendJSON(payload[:0])
	}
	return payload
}

// cut returns r with texts of at most most bytes.
func (r *Result) cut(most int) *Result {
	c := *r
	c.Message, c.Argument, c.Command = shorten(c.Message, most), shorten(c.Argument, most), shorten(c.Command, most)
	if c.First != nil {
		c.First = c.First.cut(most)
	}
	if c.Details != nil {
		c.Details = c.Details.cut(most)
	}
	return &c
}

// cut returns d with lists that take at most most bytes.
func (d *Details) cut(most int) *Details {
	c := *d
	for i, room := 0, most; i < len(c.Would); i++ {
		if room -= len(c.Would[i]); room < 0 {
			c.Would = append(slices.Clone(c.Would[:i]), "…")
			break
		}
	}
	c.Steps = slices.Clone(c.Steps)
	for i := range c.Steps {
		c.Steps[i].Message = shorten(c.Steps[i].Message, most/16)
	}
	return &c
}

// encodeResponse writes an answer of at most maxResult bytes: one that would be longer goes out without its data, and with
// its message cut.
func encodeResponse(r Response) []byte {
	payload := encode(r)
	if len(payload) <= maxResult {
		return payload
	}
	if r.Data != nil {
		r.Data, r.Message = nil, strings.TrimLeft(r.Message+" (details left out: too long)", " ")
	}
	for most := 1 << 10; len(payload) > maxResult && most > 0; most /= 4 {
		r.Message = shorten(r.Message, most)
		payload = encode(r)
	}
	return payload
}

// shown is as much of a text from outside as a result or a log line repeats: valid UTF-8, bounded.
func shown(s string) string { return shorten(s, maxShown) }

// shorten returns s as valid UTF-8 of at most most bytes, and an ellipsis where something was cut.
func shorten(s string, most int) string {
	s = strings.ToValidUTF8(s, "\uFFFD") // first, for it may make s longer
	if len(s) <= most {
		return s
	}
	return cleantext.Cut(s, most) + "…"
}

// encode writes a document for MQTT: JSON with &, < and > left readable.
func encode(v any) []byte {
	b, err := jsonval.Marshal(v)
	if err != nil {
		panic(err) // types of this package, made of text, numbers and times: they can always be encoded
	}
	return b
}
