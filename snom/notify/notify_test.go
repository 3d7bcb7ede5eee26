package notify_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/notify"
)

// asks returns what the NOTIFYs of a command ask for: their fragments, or their event without a document.
func asks(t *testing.T, steps []snom.Step) (all []string) {
	t.Helper()
	for _, s := range steps {
		n, err := notify.Parse(s.Request)
		if err != nil {
			t.Fatal(err)
		}
		if n.Body == "" {
			all = append(all, n.Event)
			continue
		}
		if n.Event != "xml" || n.ContentType != notify.ContentType || len(n.Body) > notify.MaxDocument {
			t.Errorf("%+v", n)
		}
		d, text := xml.NewDecoder(strings.NewReader(n.Body)), ""
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", n.Body, err)
			}
			if c, ok := token.(xml.CharData); ok {
				text += string(c)
			}
		}
		all = append(all, strings.TrimSpace(text))
	}
	return all
}

func TestPlan(t *testing.T) {
	t.Parallel()
	const key = "snom://mb_nop#key="
	for command, expected := range map[string]string{
		"dial +4930123":                        "phone://mb_exit#numberdial=+4930123",
		"dial sip:27@pbx.example":              "phone://mb_exit#numberdial=sip:27@pbx.example",
		"answer":                               key + "ENTER",
		"hangup":                               key + "F_CANCEL",
		"hangup current":                       key + "F_CANCEL",
		"mute":                                 key + "F_MUTE",
		"dnd toggle":                           key + "F_DND",
		"key CANCEL;MUTE;5;#":                  key + "F_CANCEL " + key + "F_MUTE " + key + "5 " + key + "%23",
		"dtmf 1*#":                             key + "1 " + key + "* " + key + "%23",
		`dtmf {"digits":"12","method":"keys"}`: key + "1 " + key + "2",
		"transfer 28":                          key + "F_HOLD phone://mb_exit#numberdial=28",
		"transfer complete":                    key + "F_TRANSFER " + key + "F_OK",
		"transfer cancel":                      key + "F_CANCEL",
		`transfer {"number":"28","mode":"blind"}`: key + "F_TRANSFER phone://mb_exit#numberdial=28",
		"logoff all":    "snom://mb_nop#unregister=-1",
		"logoff 1":      "snom://mb_nop#unregister=0",
		"reregister 12": "snom://mb_nop#reregister=11",
		"clear missed":  "snom://mb_nop#calllistclear=Missed",
		"reboot":        "check-sync;reboot=true",
	} {
		c, err := snom.ParseCommand(command)
		if err != nil {
			t.Fatal(err)
		}
		steps, warning, err := notify.Plan(c, snom.Model{})
		if got := strings.Join(asks(t, steps), " "); err != nil || got != expected {
			t.Errorf("%s: %s, %v, expected %s", command, got, err, expected)
		}
		if !strings.HasSuffix(warning, "phones also take what they ignore") {
			t.Errorf("%s: warning %q", command, warning)
		}
		for _, s := range steps {
			if s.Pause < 2*time.Second {
				t.Errorf("%s: %s between two requests, expected 2 s or more", command, s.Pause)
			}
		}
	}
}

// TestPlanRefuses: what is not in the table is not supported, with the reason.
func TestPlanRefuses(t *testing.T) {
	t.Parallel()
	base, _ := snom.FindModel("M700")
	for command, says := range map[string]string{
		"ring 3": "ring", "touch 1 1": "touch", "fix_lil": "fix_lil", "firmware http://h/p": "firmware", "reset kitchen": "reset",
		"key P1,2000": "hold", "dial sip:27@pbx.example;user=phone": "number", "dtmf A": "A to D", `dial {"number":"1","outgoing_uri":"27@pbx.example"}`: "outgoing_uri",
	} {
		c, err := snom.ParseCommand(command)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := notify.Plan(c, snom.Model{}); !errors.Is(err, snom.ErrUnsupported) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, expected ErrUnsupported and %q", command, err, says)
		}
	}
	if _, _, err := notify.Plan(snom.Answer(), base); !errors.Is(err, snom.ErrUnsupported) {
		t.Errorf("a DECT base: %v", err)
	}
	if _, _, err := notify.Plan(snom.Command{}, snom.Model{}); err == nil {
		t.Error("the zero Command: expected an error")
	}
}

// TestEveryVerbIsDecided: each row is of a verb, once, with a source.
func TestEveryVerbIsDecided(t *testing.T) {
	t.Parallel()
	seen := map[snom.Verb]bool{}
	for _, r := range notify.Rows() {
		if !r.Verb.Valid() || seen[r.Verb] || r.Source == "" || r.Notify == "" || r.Evidence == "" || !notify.Supports(r.Verb) {
			t.Errorf("%+v", r)
		}
		seen[r.Verb] = true
	}
	if notify.Supports(snom.VerbRing) {
		t.Error("ring is supported")
	}
}

func TestParseAddress(t *testing.T) {
	t.Parallel()
	for text, expected := range map[string]string{
		"sip:27@192.0.2.20":                        "sip:27@192.0.2.20:5060",
		"SIP:27@Phone.Local:5061":                  "sip:27@phone.local:5061",
		"sip:192.0.2.20;transport=udp":             "sip:192.0.2.20:5060",
		"sip:27@192.0.2.20;transport=TLS":          "sip:27@192.0.2.20:5061;transport=tls",
		"sip:27@[2001:db8::1]":                     "sip:27@[2001:db8::1]:5060",
		"sip:27@[2001:db8::1]:5070;transport=tcp":  "sip:27@[2001:db8::1]:5070;transport=tcp",
		"sip:27@192.0.2.20;line=ab1;transport=tcp": "sip:27@192.0.2.20:5060;line=ab1;transport=tcp",
		"asterisk:27":                              "asterisk:27",
		"freeswitch:27@PBX.example":                "freeswitch:27@pbx.example",
	} {
		a, err := notify.ParseAddress(text)
		if err != nil || a.String() != expected {
			t.Errorf("%s: %s, %v, expected %s", text, a, err, expected)
		}
		if again, err := notify.ParseAddress(a.String()); err != nil || again != a {
			t.Errorf("%s: read back %+v, %v", a, again, err)
		}
	}
	for _, text := range []string{
		"sip:", "sip:27@", "sip:@192.0.2.20", "sip:27:geheim@192.0.2.20", "sip:27@192.0.2.20:0", "sip:27@192.0.2.20:66000", "sip:27@192.0.2.20;transport=sctp",
		"sip:27@192.0.2.20;foo=bar", "sip:27@192.0.2.20;line=", "sip:2 7@192.0.2.20", "sip:27@192.0.2.300", "sip:27@2001:db8::1", "sip:27@192.0.2.20?a=b", "sip:27@192.0.2.20;transport=",
		"sips:27@192.0.2.20", "asterisk:", "asterisk:2 7", "asterisk:27\r\nAction: x", "asterisk:27,28", "freeswitch:27", "freeswitch:@pbx", "freeswitch:27@p bx", "http://192.0.2.20",
		"sip:27@host\r\nVia: x",
	} {
		if a, err := notify.ParseAddress(text); err == nil {
			t.Errorf("%q: %+v, expected an error", text, a)
		} else if strings.Contains(err.Error(), "geheim") {
			t.Errorf("the error repeats the URL: %v", err)
		}
	}
}

func TestUserAgent(t *testing.T) {
	t.Parallel()
	for text, expected := range map[string][3]string{
		"snomD862/10.1.226.13 0004130DD7C9": {"D862", "10.1.226.13", "0004130dd7c9"},
		"snomD345/10.1.39.11":               {"D345", "10.1.39.11", ""},
		"snom370/8.7.5.48":                  {"370", "8.7.5.48", ""},
		"snomX999/1.0":                      {"X999", "1.0", ""},
		"Asterisk PBX 22.1":                 {},
		"snom":                              {},
		"":                                  {},
		"snomD862/<script> 00041":           {"D862", "", ""},
	} {
		model, firmware, mac := notify.UserAgent(text)
		if got := [3]string{model, firmware, mac}; got != expected {
			t.Errorf("%q: %q, expected %q", text, got, expected)
		}
	}
}

// FuzzParse: a notification that is read back is the one that was written, and an address has one canonical form.
func FuzzParse(f *testing.F) {
	f.Add("Event: xml\nContent-Type: application/snomxml\n\n<a/>", "sip:27@192.0.2.20:5060", "snomD862/10.1 000413000000")
	f.Fuzz(func(t *testing.T, request, address, agent string) {
		if n, err := notify.Parse(request); err == nil && n.String() != request {
			t.Errorf("%q: read back %q", request, n)
		}
		if a, err := notify.ParseAddress(address); err == nil {
			if again, err := notify.ParseAddress(a.String()); err != nil || again != a || strings.ContainsAny(a.String(), "\r\n ") {
				t.Errorf("%q: %q, %+v, %v", address, a, again, err)
			}
		}
		if model, firmware, mac := notify.UserAgent(agent); strings.ContainsAny(model+firmware+mac, "\r\n<>\"") {
			t.Errorf("%q: %q %q %q", agent, model, firmware, mac)
		}
	})
}
