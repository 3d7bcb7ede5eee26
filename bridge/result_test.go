package bridge

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// TestNoResultIsTooLong: whatever a text from outside contains, the answer is published: it is at most 8 kB of valid JSON
// with its code and id.
func TestNoResultIsTooLong(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"short":      "fine",
		"long":       strings.Repeat("x", 100_000),
		"control":    strings.Repeat("\x01", 50_000),
		"not UTF-8":  strings.Repeat("\x80", 30_000),
		"wide":       strings.Repeat("𝄞", 20_000),
		"quotes":     strings.Repeat(`"\`, 30_000),
		"just above": strings.Repeat("y", maxResult-100),
	} {
		now := Time{Time: time.Now()}
		r := &Result{ID: strings.Repeat("ü", 64), Phone: "desk", Command: text, Argument: text, Code: Timeout, Message: text, Time: now}
		r.First = &Result{ID: r.ID, Phone: "desk", Argument: text, Code: OK, OK: true, Message: text, Time: now}
		var got Result
		switch payload := encodeResult(r); {
		case len(payload) > maxResult:
			t.Errorf("%s: a result of %d bytes", name, len(payload))
		case !utf8.Valid(payload):
			t.Errorf("%s: a result that is not UTF-8", name)
		case json.Unmarshal(payload, &got) != nil || got.Code != Timeout || got.ID != r.ID || got.First == nil || got.First.Code != OK:
			t.Errorf("%s: %.200s", name, payload)
		}
		q := request{action: action{name: "probe"}, id: "7"}
		for _, data := range []any{nil, map[string]string{"realm": text}} {
			response := q.response(Unauthorized, text)
			response.Data = data
			var back Response
			switch payload := encodeResponse(response); {
			case len(payload) > maxResult:
				t.Errorf("%s: a response of %d bytes", name, len(payload))
			case json.Unmarshal(payload, &back) != nil || back.Code != Unauthorized || back.ID != "7":
				t.Errorf("%s: %.200s", name, payload)
			}
		}
		if got := shown(words(errors.New(text))); len(got) > maxShown+len("…") || !utf8.ValidString(got) {
			t.Errorf("%s: shown %d bytes", name, len(got))
		}
	}
}
