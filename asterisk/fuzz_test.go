package asterisk

import (
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/snom/notify"
)

// asAsterisk reads a value as Asterisk 22 does: quotes are dropped, a comma ends it, a backslash escapes what follows.
func asAsterisk(value string) string {
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		switch c := value[i]; c {
		case '"':
		case ',':
			return b.String()
		case '\\':
			if i++; i < len(value) {
				b.WriteByte(value[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// FuzzNotification: whatever a document says, the action has the lines of one action, and Asterisk hands the document on but for its
// line ends.
func FuzzNotification(f *testing.F) {
	f.Add(`<?xml version="1.0"?><A><T>a, "b" \ &amp; ${EXTEN} $[1+1]</T></A>`)
	f.Add("<A>\r\nAction: Originate\r\n\r\n</A>")
	f.Add(strings.Repeat("<T>, \\\"</T>", 80))
	f.Fuzz(func(t *testing.T, body string) {
		text, err := notification("27", "id", notify.Notification{Event: "xml", ContentType: notify.ContentType, Body: body})
		if err != nil {
			return
		}
		head, rest, found := strings.Cut(text, "\r\n\r\n")
		if !found || rest != "" {
			t.Fatalf("more than one action: %q", text)
		}
		got := ""
		for line := range strings.SplitSeq(head, "\r\n") {
			if len(line) > maxLine || strings.ContainsAny(line, "\r\n") {
				t.Fatalf("line %q", line)
			}
			if value, is := strings.CutPrefix(line, "Variable: Content="); is {
				got += asAsterisk(value)
			}
		}
		if expected := strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ").Replace(body); got != expected {
			t.Fatalf("%q arrives as %q", expected, got)
		}
	})
}
