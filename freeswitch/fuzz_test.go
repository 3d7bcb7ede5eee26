package freeswitch

import (
	"bufio"
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/internal/pbx"
	"github.com/snom2mqtt/snom2mqtt/snom/notify"
)

// FuzzRead reads what a FreeSWITCH may send: no message is longer than it says, and nothing of a list of registrations becomes a line of
// its own of what is sent.
func FuzzRead(f *testing.F) {
	f.Add("Content-Type: api/response\nContent-Length: 3\n\n+OK")
	f.Add("Content-Type: x\nContent-Length: 99999999999\n\n")
	f.Add("Content-Type: api/response\nContent-Length: 70\n\n" + `{"rows":[{"reg_user":"27","realm":"p","token":"a\nb","url":"sofia/i/x"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		in := bufio.NewReader(strings.NewReader(text))
		for range 4 {
			m, err := read(in)
			if err != nil {
				break
			}
			if len(m.Body) > len(text) {
				t.Fatalf("a body of %d bytes of %d", len(m.Body), len(text))
			}
			all, err := readRegistrations(m.Body)
			if err != nil {
				continue
			}
			for _, r := range all {
				sent := event("27", "pbx.example", r, notify.Notification{Event: "xml", ContentType: notify.ContentType, Body: "x"})
				if !pbx.OneLine(r.profile+r.callID) || strings.Count(sent, "\n") != 9 {
					t.Fatalf("%q", sent)
				}
			}
		}
	})
}
