package snom_test

import (
	"strings"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/internal/strictjson"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

func TestKeyEventString(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	tests := []struct {
		in   snom.KeyEvent
		want string
	}{
		{snom.KeyEvent{Key: "P1"}, "P1"},
		{snom.KeyEvent{Key: "P1", HasHold: true}, "P1,0"},
		{snom.KeyEvent{Key: "P1", Hold: 2000 * ms, HasHold: true}, "P1,2000"},
		{snom.KeyEvent{Key: "P1", Hold: 2000 * ms, Pause: 100 * ms, HasHold: true, HasPause: true}, "P1,2000,100"},
		{snom.KeyEvent{Key: "P1", Pause: 100 * ms, HasPause: true}, "P1"},
	}
	for _, tt := range tests {
		if got := tt.in.String(); got != tt.want {
			t.Errorf("%#v.String() = %q, want %q", tt.in, got, tt.want)
		}
	}
}

// FuzzKeyEvents: the events of a sequence, joined again, are the sequence, and their times are the pause
// of the one request.
func FuzzKeyEvents(f *testing.F) {
	for _, seed := range []string{
		"P1", "OFFHOOK;1;2;3;ENTER", "P1,2000", "P1,2000,100;*;#,0,0", "EK0,60000,60000", "F_HOLD;F_R", "f1", "P1,", "P0", "1;;2",
		"P1,1,1,1", "VOLUME_UP,007", "P300;P301", "\u0661", "P1;\x00", "P1&x=1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := snom.ParsePayload(snom.VerbKey, []byte(text))
		if err != nil {
			checkError(t, err)
			return
		}
		if strictjson.IsObject([]byte(text)) {
			return // FuzzPayload looks at these
		}
		var events []string
		var total time.Duration
		for e := range c.KeyEvents() {
			events = append(events, e.String())
			total += e.Hold + e.Pause
			if e.Hold > time.Minute || e.Pause > time.Minute || e.HasPause && !e.HasHold {
				t.Errorf("%q has the event %+v", text, e)
			}
		}
		if got := strings.Join(events, ";"); got != text || c.Argument() != text || len(events) > 128 {
			t.Errorf("%q is %d events, %q", text, len(events), got)
		}
		if got := c.Steps("")[0].Pause; got != total || total > 5*time.Minute {
			t.Errorf("%q: pause %v, want %v", text, got, total)
		}
	})
}
