package bridge

import (
	"encoding/binary"
	"time"
)

// A record is a result in few bytes, without its id: a busy bridge remembers some hundred thousand of them, and what it
// remembers is neither in the processor's cache nor free for the garbage collector.
type record string

// newRecord returns the record of r, which has neither First nor Details.
func newRecord(r *Result) record {
	var memory [256]byte // most fit
	b := memory[:0]
	for _, text := range []string{r.Phone, r.Command, r.Argument, string(r.Code), r.Message} {
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	ok, at := int64(0), int64(0)
	if r.OK {
		ok = 1
	}
	if !r.Time.IsZero() {
		at = r.Time.UnixNano()
	}
	for _, n := range []int64{ok, int64(r.HTTPStatus), int64(r.Requests), r.QueuedMS, r.DurationMS, at} {
		b = binary.AppendVarint(b, n)
	}
	return record(b)
}

// result returns the result of the command with that id.
func (r record) result(id string) *Result {
	rest := []byte(r)
	text := func() string {
		n, size := binary.Uvarint(rest)
		value := string(rest[size : size+int(n)])
		rest = rest[size+int(n):]
		return value
	}
	number := func() int64 {
		n, size := binary.Varint(rest)
		rest = rest[size:]
		return n
	}
	is := &Result{ID: id, Phone: text(), Command: text(), Argument: text(), Code: Code(text()), Message: text()}
	is.OK, is.HTTPStatus, is.Requests = number() == 1, int(number()), int(number())
	is.QueuedMS, is.DurationMS = number(), number()
	if at := number(); at != 0 {
		is.Time = Time{Time: time.Unix(0, at)}
	}
	return is
}
