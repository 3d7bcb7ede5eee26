package bridge

import "strconv"

// appendJSON appends the result as encode writes it. A result is written for every command, and encoding/json takes half
// of what a command costs the bridge (BenchmarkCommands).
func (r *Result) appendJSON(b []byte) []byte {
	b = appendText(append(b, `{"id":`...), r.ID)
	b = appendText(append(b, `,"phone":`...), r.Phone)
	b = appendText(append(b, `,"command":`...), r.Command)
	b = appendText(append(b, `,"argument":`...), r.Argument)
	b = strconv.AppendBool(append(b, `,"ok":`...), r.OK)
	b = appendText(append(b, `,"code":`...), string(r.Code))
	b = appendText(append(b, `,"message":`...), r.Message)
	b = strconv.AppendInt(append(b, `,"http_status":`...), int64(r.HTTPStatus), 10)
	b = strconv.AppendInt(append(b, `,"requests":`...), int64(r.Requests), 10)
	b = strconv.AppendInt(append(b, `,"queued_ms":`...), r.QueuedMS, 10)
	b = strconv.AppendInt(append(b, `,"duration_ms":`...), r.DurationMS, 10)
	b = r.Time.AppendJSON(append(b, `,"time":`...))
	if r.First != nil {
		b = r.First.appendJSON(append(b, `,"first":`...))
	}
	if d := r.Details; d != nil {
		b = d.appendJSON(b)
	}
	return append(b, '}')
}

// appendJSON appends the members that are set.
func (d *Details) appendJSON(b []byte) []byte {
	if d.Would != nil {
		b = append(b, `,"would":`...)
		b = append(b, encode(d.Would)...)
	}
	if d.Door != "" {
		b = appendText(append(b, `,"door":`...), d.Door)
	}
	if d.Steps != nil {
		b = append(b, `,"steps":`...)
		b = append(b, encode(d.Steps)...)
	}
	if d.Asked != nil {
		b = append(b, `,"asked":`...)
		b = append(b, encode(d.Asked)...)
	}
	return b
}

// appendText appends a text in quotes.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7F || c == '"' || c == '\\' {
			return append(b, encode(s)...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}
