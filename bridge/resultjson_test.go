package bridge

import (
	"testing"
	"time"
)

// FuzzResultJSON: a result is written as encoding/json writes it.
func FuzzResultJSON(f *testing.F) {
	for _, text := range []string{"", "plain", `a"b\c`, "<&>", "\x00\x1f\x7f", "ü\u2028\u2029", "\xff\xfe", "😀"} {
		f.Add(text, text, int64(302), true)
	}
	f.Fuzz(func(t *testing.T, a, b string, n int64, ok bool) {
		r := &Result{ID: a, Phone: b, Command: a, Argument: b, OK: ok, Code: Code(a), Message: b, HTTPStatus: int(n), Requests: int(-n), QueuedMS: n, DurationMS: -n}
		if ok {
			r.Time = Time{Time: time.Unix(n%1e11, n%1e9).In(time.FixedZone("", 3600))}
			r.First = &Result{ID: b, Message: a}
			r.Details = &Details{Would: []string{a, b}[:n&1+n>>1&1], Door: a, Steps: []StepResult{{Command: a, Message: b, Otherwise: n&1 == 1}}[:n&1]}
		}
		if got, expected := string(r.appendJSON(nil)), string(encode(r)); got != expected {
			t.Errorf("got      %s\nexpected %s", got, expected)
		}
	})
}
