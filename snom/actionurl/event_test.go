package actionurl

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/snom2mqtt/snom2mqtt/internal/jsonval"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

func TestActionURLTable(t *testing.T) {
	t.Parallel()
	rows := Rows()
	if got, want := len(rows), 25; got != want {
		t.Errorf("%d action URLs, expected %d", got, want)
	}
	setting := regexp.MustCompile(`^action_[a-z_]+$`)
	word := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	seen := map[string]bool{}
	for _, r := range rows {
		if !setting.MatchString(r.Setting) || seen[r.Setting] {
			t.Errorf("setting %q: malformed, or there twice", r.Setting)
		}
		if !word.MatchString(string(r.Type)) || seen[string(r.Type)] {
			t.Errorf("%s: event type %q: malformed, or there twice", r.Setting, r.Type)
		}
		seen[r.Setting], seen[string(r.Type)] = true, true
		if r.Caption == "" || r.Source == "" || !slices.Contains([]snom.Evidence{snom.EvidenceDocumented, snom.EvidenceSeen, snom.EvidenceReported}, r.Evidence) {
			t.Errorf("%s: caption %q, source %q, mark %q: want all three", r.Setting, r.Caption, r.Source, r.Evidence)
		}
		if got, want := r.Never, r.Setting == "action_blacklist_url"; got != want {
			t.Errorf("%s: never set: %v, expected %v", r.Setting, got, want)
		}
	}
	constants := []EventType{
		EventIncoming, EventOutgoing, EventConnected, EventDisconnected, EventMissed, EventOffhook, EventOnhook,
		EventHold, EventUnhold, EventTransferred, EventBlindTransferred, EventAttendedTransferred,
		EventTransferReceived, EventDNDOn, EventDNDOff, EventForwardingOn, EventForwardingOff, EventRegistered,
		EventUnregistered, EventRegistrationFailed, EventStarted, EventKeyLongPress, EventSubscriptionNotified,
		EventFirewallTest,
	}
	if got := EventTypes(); !slices.Equal(got, constants) {
		t.Errorf("EventTypes() = %q, expected %q", got, constants)
	}
}

func TestVariableTable(t *testing.T) {
	t.Parallel()
	want := []string{ // Snom wiki, Action_URLs/Runtime_Variables, and two settings
		"mac", "phone_ip", "nr_ongoing_calls", "active_key", "longpress_key", "expansion_module", "active_url",
		"active_user", "active_host", "context_url", "csta_id", "local", "display_local", "redirect_number",
		"call-id", "remote", "cancel_reason", "sip_header", "display_remote",
	}
	var got []string
	for _, r := range VariableRows() {
		got = append(got, r.Name)
		if r.Means == "" || r.Source == "" || r.Evidence != snom.EvidenceDocumented {
			t.Errorf("%s: means %q, source %q, mark %q: want all three", r.Name, r.Means, r.Source, r.Evidence)
		}
		if !slices.Contains([]string{"uri", "text", "number", "free", "setting"}, r.Kind) {
			t.Errorf("%s: kind %q", r.Name, r.Kind)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("variables %q, expected %q", got, want)
	}
}

func TestActionURLs(t *testing.T) {
	t.Parallel()
	urls := URLs("http://192.0.2.5:8090/", "kitchen", "s3cret/?")
	if got, want := len(urls), 24; got != want {
		t.Errorf("%d URLs, expected %d", got, want)
	}
	for _, u := range urls {
		if u.Setting == "action_blacklist_url" {
			t.Errorf("%s is set: a 200 in answer makes the phone reject the caller", u.Setting)
		}
		if len(u.URL) > 511 {
			t.Errorf("%s: URL of %d bytes", u.Setting, len(u.URL))
		}
	}
	want := URL{"action_hold", "http://192.0.2.5:8090/a/kitchen/s3cret%2F%3F/hold?mac=$mac&phone_ip=$phone_ip&" +
		"nr_ongoing_calls=$nr_ongoing_calls&active_key=$active_key&longpress_key=$longpress_key&" +
		"expansion_module=$expansion_module&active_url=$active_url&context_url=$context_url&csta_id=$csta_id&" +
		"local=$local&display_local=$display_local&redirect_number=$redirect_number&call-id=$call-id&" +
		"remote=$remote&cancel_reason=$cancel_reason&display_remote=$display_remote"}
	if i := slices.IndexFunc(urls, func(u URL) bool { return u.Setting == "action_hold" }); i < 0 || urls[i] != want {
		t.Errorf("URLs = %q, expected among them %q", urls, want)
	}
}

func TestProvisioningXML(t *testing.T) {
	t.Parallel()
	urls := URLs("http://192.0.2.5:8090", "kitchen", "t0ken")
	var got struct {
		XMLName xml.Name `xml:"settings"`
		Phone   struct {
			Settings []struct {
				XMLName xml.Name
				Perm    string `xml:"perm,attr"`
				URL     string `xml:",chardata"`
			} `xml:",any"`
		} `xml:"phone-settings"`
	}
	document := ProvisioningXML(urls)
	if err := xml.Unmarshal([]byte(document), &got); err != nil {
		t.Fatalf("%v in\n%s", err, document)
	}
	if got, want := len(got.Phone.Settings), len(urls); got != want {
		t.Fatalf("%d settings, expected %d in\n%s", got, want, document)
	}
	for i, s := range got.Phone.Settings {
		if s.XMLName.Local != urls[i].Setting || s.URL != urls[i].URL || s.Perm != "" {
			t.Errorf("setting %d = %v, expected %v", i, s, urls[i])
		}
	}
}

func TestParseEvent(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 10, 0, 0, 123e6, time.UTC)
	door := Party{Number: "+4930123", Name: "Front door", URI: "sip:+4930123@pbx.example"}
	own := Party{Number: "27", URI: "sip:27@pbx.example"}
	incoming := Event{Type: EventIncoming, Direction: DirectionIn, CallID: "3c26-ab", Line: "27@pbx.example",
		Remote: door, Local: own, Calls: 1, CallsKnown: true}
	aAndB := incoming
	aAndB.Remote.Name = "A+B"
	tests := []struct {
		name, event, query string
		want               Event
	}{
		{"nothing escaped", "incoming", "nr_ongoing_calls=1&call-id=3c26-ab&local=sip:27@pbx.example&display_local=" +
			"&remote=sip:+4930123@pbx.example&display_remote=Front door", incoming},
		{"all escaped", "incoming", "nr_ongoing_calls=1&call-id=3c26-ab&local=sip%3A27%40pbx.example&display_local=" +
			"&remote=sip%3a%2b4930123%40pbx.example&display_remote=Front%20door", incoming},
		{"as a form", "incoming", "nr_ongoing_calls=1&call-id=3c26-ab&local=sip%3A27%40pbx.example&display_local=" +
			"&remote=sip%3A%2B4930123%40pbx.example&display_remote=Front+door", incoming},
		{"angle brackets", "incoming", `nr_ongoing_calls=1&call-id=3c26-ab&local=<sip:27@pbx.example>;tag=77&display_local=` +
			`&remote="Front door" <sip:+4930123@pbx.example>;tag=1&display_remote=`, incoming},
		{"angle brackets in a form", "incoming", `nr_ongoing_calls=1&call-id=3c26-ab&local=%3Csip%3A27%40pbx.example%3E` +
			`&remote=%22Front+door%22+%3Csip%3A%2B4930123%40pbx.example%3E`, incoming},
		{"brackets not closed", "incoming", `nr_ongoing_calls=1&call-id=3c26-ab&local=<sip:27@pbx.example` +
			`&remote=Front+door <sip:+4930123@pbx.example&display_remote=Front door`, incoming},
		{"all escaped but the plus", "incoming", "nr_ongoing_calls=1&call-id=3c26-ab&local=sip%3A27%40pbx.example" +
			"&remote=sip%3A+4930123%40pbx.example&display_remote=A+B", aAndB},
		{"all escaped but the plus, in angle brackets", "incoming", "nr_ongoing_calls=1&call-id=3c26-ab&local=27%40pbx.example" +
			"&remote=%3csip%3a+4930123%40pbx.example%3e&display_remote=A+B", aAndB},
		{"no scheme", "incoming", "nr_ongoing_calls=1&call-id=3c26-ab&local=27@pbx.example&remote=+4930123@pbx.example" +
			"&display_remote=Front door", incoming},
		{"other order, other names", "action_incoming_url", "display_remote=Front door&remote=sip:+4930123@pbx.example" +
			"&local=sip:27@pbx.example&call_id=3c26-ab&nr_ongoing_calls=1", incoming},
		{"pasted from XML", "incoming", "nr_ongoing_calls=1&amp;call-id=3c26-ab&amp;local=sip:27@pbx.example" +
			"&amp;remote=sip:+4930123@pbx.example&amp;display_remote=Front door", incoming},
		{"not replaced", "incoming", "nr_ongoing_calls=$nr_ongoing_calls&call-id=$call-id&local=%24local&display_local=" +
			"$display_local&remote=$remote&cancel_reason=$cancel_reason&display_remote=$display_remote&sip_header=$sip_header(X-Foo)",
			Event{Type: EventIncoming, Direction: DirectionIn}},
		{"nothing said", "onhook", "", Event{Type: EventOnhook}},
		{"the name of the setting", "redirection_on", "redirect_number=+49170", Event{Type: EventForwardingOn,
			Extra: []Variable{{"redirect_number", "+49170"}}}},
		{"outgoing", "outgoing", "remote=sip:100@pbx", Event{Type: EventOutgoing, Direction: DirectionOut,
			Remote: Party{Number: "100", URI: "sip:100@pbx"}}},
		{"missed", "missed", "remote=100", Event{Type: EventMissed, Direction: DirectionIn, Remote: Party{Number: "100"}}},
		{"identity logs on", "registered", "active_url=sip:27@pbx&context_url=sip:28@pbx;line=2", Event{Type: EventRegistered,
			Line: "28@pbx", Local: Party{Number: "28", URI: "sip:28@pbx;line=2"},
			Extra: []Variable{{"active_url", "sip:27@pbx"}, {"context_url", "sip:28@pbx;line=2"}}}},
		{"another identity logs off", "unregistered", "context_url=sip:28@pbx&local=sip:27@pbx&display_local=Desk", Event{
			Type: EventUnregistered, Line: "28@pbx", Local: Party{Number: "28", Name: "Desk", URI: "sip:28@pbx"},
			Extra: []Variable{{"context_url", "sip:28@pbx"}}}},
		{"a call on another identity", "hold", "context_url=sip:28@pbx&local=sip:27@pbx", Event{Type: EventHold, Line: "27@pbx",
			Local: Party{Number: "27", URI: "sip:27@pbx"}, Extra: []Variable{{"context_url", "sip:28@pbx"}}}},
		{"identity by the active one", "reg_failed", "active_url=27@pbx&context_url=", Event{Type: EventRegistrationFailed,
			Line: "27@pbx", Local: Party{Number: "27", URI: "sip:27@pbx"}, Extra: []Variable{{"active_url", "27@pbx"}}}},
		{"key", "offhook", "active_key=P5&longpress_key=", Event{Type: EventOffhook, Key: "P5"}},
		{"long press", "longpress", "active_key=P5&longpress_key=P7", Event{Type: EventKeyLongPress, Key: "P7",
			Extra: []Variable{{"active_key", "P5"}}}},
		{"reason", "disconnected", `cancel_reason=SIP;cause=200;text="Call completed elsewhere"`,
			Event{Type: EventDisconnected, Reason: `SIP;cause=200;text="Call completed elsewhere"`}},
		{"what else", "started", "mac=000413AABBCC&phone_ip=192.0.2.10&user_name1=27&csta_id=", Event{Type: EventStarted,
			Extra: []Variable{{"mac", "000413AABBCC"}, {"phone_ip", "192.0.2.10"}, {"user_name1", "27"}}}},
		{"calls that are no number", "hold", "nr_ongoing_calls=many", Event{Type: EventHold,
			Extra: []Variable{{"nr_ongoing_calls", "many"}}}},
		{"anonymous", "incoming", `remote="Anonymous" <sip:anonymous@anonymous.invalid>`, Event{Type: EventIncoming,
			Direction: DirectionIn, Remote: Party{Name: "Anonymous", URI: "sip:anonymous@anonymous.invalid"}}},
		{"telephone URI", "incoming", `remote=tel:+49-30-123;phone-context=x`, Event{Type: EventIncoming,
			Direction: DirectionIn, Remote: Party{Number: "+49-30-123", URI: "tel:+49-30-123;phone-context=x"}}},
		{"password in a URI, escaped user", "incoming", `remote=SIPS:a%2523:pw@pbx:5061;transport=tls?x=y&local=sips:27@pbx?x=y`,
			Event{Type: EventIncoming, Direction: DirectionIn, Line: "27@pbx",
				Remote: Party{Number: "a#", URI: "sips:a%23@pbx:5061;transport=tls?x=y"},
				Local:  Party{Number: "27", URI: "sips:27@pbx?x=y"}}},
		{"passwords, wherever they stand", "incoming", `active_url=sip:27:pw@pbx&context_url=<SIPS:28:p%40w@pbx>&local=27:pw@pbx:5060&remote="a:b" <sip:5:p@w@[2001:db8::1]:5060?to=x@y>`,
			Event{Type: EventIncoming, Direction: DirectionIn, Line: "27@pbx:5060",
				Remote: Party{Number: "5", Name: "a:b", URI: "sip:5@[2001:db8::1]:5060?to=x@y"},
				Local:  Party{Number: "27", URI: "sip:27@pbx:5060"},
				Extra:  []Variable{{"active_url", "sip:27@pbx"}, {"context_url", "<SIPS:28@pbx>"}}}},
		{"no password", "incoming", `local=sip:[2001:db8::1]:5060&remote=sip:pbx:5060?to=a:b@c`, Event{Type: EventIncoming,
			Direction: DirectionIn, Line: "[2001:db8::1]:5060", Remote: Party{URI: "sip:pbx:5060?to=a:b@c"}, Local: Party{URI: "sip:[2001:db8::1]:5060"}}},
		{"parameters of the user", "hold", "local=sip:27;ext=3@pbx;line=2&remote=5;phone-context=x@pbx", Event{Type: EventHold, Line: "27@pbx",
			Remote: Party{Number: "5", URI: "sip:5;phone-context=x@pbx"}, Local: Party{Number: "27", URI: "sip:27;ext=3@pbx;line=2"}}},
		{"brackets and quotes in a name", "hold", `remote="Tom \"x\" \\ <t@x> \"y\"" <sip:5@pbx>;tag=1`, Event{Type: EventHold,
			Remote: Party{Number: "5", Name: `Tom "x" \ <t@x> "y"`, URI: "sip:5@pbx"}}},
		{"half a bracket", "hold", `remote=sip:5@pbx>;tag=1`, Event{Type: EventHold, Remote: Party{Number: "5", URI: "sip:5@pbx"}}},
		{"said twice", "hold", "call-id=a&call-id=b&remote=sip:5@pbx&x=1&x=2&remote=sip:6@pbx&mac=1&mac=2", Event{Type: EventHold, CallID: "a",
			Remote: Party{Number: "5", URI: "sip:5@pbx"}, Extra: []Variable{{"x", "1"}, {"mac", "1"}}}},
		{"only a host", "incoming", `remote=sip:192.0.2.1&local=sip:`, Event{Type: EventIncoming, Direction: DirectionIn,
			Remote: Party{URI: "sip:192.0.2.1"}}},
		{"pairs before the first name", "onhook", "&&x&=1&mac=1", Event{Type: EventOnhook, Extra: []Variable{{"mac", "1"}}}},
		{"call id of another world", "hold", "call-id=a%zz<b>%", Event{Type: EventHold, CallID: "a%zz<b>%"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseEvent(tt.event, tt.query, at)
			if err != nil {
				t.Fatal(err)
			}
			tt.want.Time = at
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("ParseEvent(%q, %q) =\n%+v, want\n%+v", tt.event, tt.query, got, tt.want)
			}
		})
	}
}

func TestParseEventName(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, sent, want string }{
		{"ampersand", "Tom & Jerry", "Tom & Jerry"},
		{"ampersands", "a&b&&c=d&e", "a&b&&c=d&e"},
		{"quotes", `The "Boss"`, `The "Boss"`},
		{"hash and brackets", "Room #5 <west>", "Room #5 <west>"},
		{"percent", "100% sure", "100% sure"},
		{"percent at the end", "5%", "5%"},
		{"percent and one digit", "5%2", "5%2"},
		{"UTF-8", "Käthe Müller 電話", "Käthe Müller 電話"},
		{"UTF-8 escaped", "K%C3%A4the%20M%c3%bcller", "Käthe Müller"},
		{"Latin-1", "K\xe4the M\xfcller", "Käthe Müller"},
		{"Latin-1 escaped", "K%E4the+M%FCller", "Käthe Müller"},
		{"UTF-8 cut off", "Käthe M\xc3", "Käthe M\uFFFD"},
		{"UTF-8 that says so itself", "a\uFFFDb\xff", "a\uFFFDb\uFFFD"},
		{"control characters", "a\x00b%0d%0ac%7F\u0085", "a\uFFFDb\uFFFD\uFFFDc\uFFFD\uFFFD"},
		{"C1 in Latin-1", "a\x80", "a\uFFFD"},
		{"number", "+4930123", "+4930123"},
		{"number in a form", "%2B49+30+123", "+49 30 123"},
		{"number with pluses", "+49+30", "+49+30"},
		{"plus among spaces", "A + B", "A + B"},
		{"plus among escaped spaces", "A%20+%20B", "A + B"},
		{"plus escaped", "A+%2B+B", "A + B"},
		{"plus alone", "+", ""},
		{"dollar", "$money$", "$money$"},
		{"another call's variables", "Bob&remote=sip:110@police&nr_ongoing_calls=9&call-id=x",
			"Bob&remote=sip:110@police&nr_ongoing_calls=9&call-id=x"},
		{"a setting's name", "Bob&user_name1=x", "Bob&user_name1=x"},
		{"itself", "Bob&display_remote=x", "Bob&display_remote=x"},
		{"long", strings.Repeat("ä", 400), strings.Repeat("ä", 256)},
		{"long and odd", "x" + strings.Repeat("ä", 400), "x" + strings.Repeat("ä", 255)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			query := "nr_ongoing_calls=1&call-id=7&remote=sip:5@pbx&display_remote=" + tt.sent
			got, err := ParseEvent("incoming", query, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			want := Event{Type: EventIncoming, Direction: DirectionIn, CallID: "7", Calls: 1, CallsKnown: true,
				Remote: Party{Number: "5", Name: tt.want, URI: "sip:5@pbx"}}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%q =\n%+v, want\n%+v", query, got, want)
			}
		})
	}
}

func TestParseEventFaults(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, event, query, want string }{
		{"unknown", "exploded", "", `snom: event "exploded": expected one of incoming, outgoing,`},
		{"empty", "", "", `snom: event "": expected one of incoming,`},
		{"long", strings.Repeat("x", 1000), "", `snom: event "` + strings.Repeat("x", 64) + `": expected one of`},
		{"no text", "\xff\n", "", `snom: event "\xff\n": expected one of`},
		{"the one that must not be set", "blacklist", "", `snom: event "blacklist_check": action_blacklist_url must not be set: a 200`},
		{"query too long", "hold", strings.Repeat("x", 16<<10+1), `snom: event "hold": query of 16385 bytes, expected at most 16384`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseEvent(tt.event, tt.query, time.Time{})
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("ParseEvent(%q) = %+v, %v, expected error %s…", tt.event, got, err, tt.want)
			}
		})
	}
}

func TestParseEventIsBounded(t *testing.T) {
	t.Parallel()
	var query strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&query, "&x%d=1", i)
	}
	e, err := ParseEvent("hold", query.String(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(e.Extra), 32; got != want {
		t.Errorf("%d variables, expected %d", got, want)
	}
	if got, want := e.Get("x31")+e.Get("x32"), "1"; got != want {
		t.Errorf("variables 31 and 32 are %q, expected %q", got, want)
	}
}

func TestEventJSON(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 11, 0, 0, 123456789, time.FixedZone("", 3600))
	tests := []struct {
		name string
		in   Event
		want string
	}{
		{"nothing known", Event{Type: EventStarted, Time: at}, `{"event_type":"started","phone":null,"direction":null,` +
			`"call_id":null,"line":null,"remote":{"number":null,"name":null,"uri":null},"local":{"number":null,"name":null,` +
			`"uri":null},"key":null,"calls":null,"reason":null,"extra":{},"time":"2026-11-22T10:00:00.123Z"}`},
		{"all known", Event{Type: EventIncoming, Phone: "kitchen", Direction: DirectionIn, CallID: "3c26-ab", Line: "27@pbx",
			Remote: Party{Number: "5", Name: "Tom & <Jerry>", URI: "sip:5@pbx"}, Local: Party{Number: "27", Name: "Käthe", URI: "sip:27@pbx"},
			Key: "P1", CallsKnown: true, Reason: "SIP", Extra: []Variable{{"mac", "00"}}, Time: at},
			`{"event_type":"incoming","phone":"kitchen","direction":"in","call_id":"3c26-ab","line":"27@pbx","remote":` +
				`{"number":"5","name":"Tom & <Jerry>","uri":"sip:5@pbx"},"local":{"number":"27","name":"Käthe","uri":"sip:27@pbx"},` +
				`"key":"P1","calls":0,"reason":"SIP","extra":{"mac":"00"},"time":"2026-11-22T10:00:00.123Z"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := jsonval.Marshal(tt.in)
			if err != nil || string(got) != tt.want {
				t.Errorf("got  %s, %v\nexpected %s", got, err, tt.want)
			}
		})
	}
}

// FuzzParseEvent: whatever comes is read or refused; what is read is bounded, printable, and known
// by JSON; and what a far end chose does not reach what the phone said before it.
func FuzzParseEvent(f *testing.F) {
	f.Add("incoming", "call-id=1&remote=<sip:+49@x>", "Tom & Jerry&remote=x")
	f.Add("hold", "amp;x=%zz", "\xff\x00+%20")
	f.Add("blacklist", "$", "&&==")
	f.Add("hold", "remote=sip:5:pw@x&local=<sips:5:p@w@[::1]:5061?a=b:c@d>;x", "Tom")
	f.Fuzz(func(t *testing.T, event, query, name string) {
		e, err := ParseEvent(event, query, time.Time{})
		if err != nil {
			if !utf8.ValidString(err.Error()) || len(err.Error()) > 1024 {
				t.Errorf("error %q", err)
			}
			return
		}
		texts := []string{e.CallID, e.Line, e.Key, e.Reason, e.Remote.Number, e.Remote.Name, e.Remote.URI,
			e.Local.Number, e.Local.Name, e.Local.URI}
		for _, v := range e.Extra {
			texts = append(texts, v.Name, v.Value)
		}
		for _, text := range texts {
			if !utf8.ValidString(text) || len(text) > maxEventValue || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Errorf("%q, %q: text %q", event, query, text)
			}
		}
		for _, p := range []Party{e.Remote, e.Local} {
			_, rest, _ := strings.Cut(p.URI, ":")
			rest, _, _ = strings.Cut(rest, "?")
			if user := rest[:max(0, strings.LastIndexByte(rest, '@'))]; strings.Contains(user, ":") {
				t.Errorf("%q: URI %q with a password", query, p.URI)
			}
		}
		document, err := json.Marshal(e)
		if err != nil || !json.Valid(document) || len(document) > 64<<10 {
			t.Errorf("%q, %q: JSON %q, %v", event, query, document, err)
		}

		// The URL as URLs asks for it, and a phone that escapes only what the caller did not choose.
		start := "nr_ongoing_calls=2&active_key=P1&call-id=" + url.QueryEscape(event) + "&local=sip:27@pbx&display_local=&remote=sip:5@pbx" +
			"&mac=&phone_ip=&longpress_key=&expansion_module=&active_url=&context_url=&csta_id=&redirect_number=&cancel_reason=&display_remote="
		if len(start)+len(name) > maxEventQuery {
			return
		}
		with, err1 := ParseEvent("incoming", start+name, time.Time{})
		without, err2 := ParseEvent("incoming", start, time.Time{})
		with.Remote.Name = ""
		// sip_header, active_user, active_host are Snom's too, but not asked for.
		with.Extra = slices.DeleteFunc(with.Extra, func(v Variable) bool {
			return slices.Contains([]string{"sip_header", "active_user", "active_host"}, v.Name)
		})
		if len(with.Extra) == 0 {
			with.Extra = nil
		}
		if err1 != nil || err2 != nil || !reflect.DeepEqual(with, without) {
			t.Errorf("name %q:\n%+v, %v, want\n%+v, %v", name, with, err1, without, err2)
		}
	})
}

// TestPanelEvents: a key press is read from a URL, a choice is not: it comes from a page.
func TestPanelEvents(t *testing.T) {
	t.Parallel()
	e, err := ParseEvent("key_press", "active_key=P1", time.Time{})
	if err != nil || e.Type != EventKeyPress || e.Key != "P1" {
		t.Errorf("%+v, %v, expected a press of P1", e, err)
	}
	if e, err := ParseEvent("choice", "choice=gate", time.Time{}); err == nil {
		t.Errorf("%+v, expected an error", e)
	}
	right := true
	e = Event{Type: EventChoice, Phone: "kitchen", Choice: &Choice{Choice: "alarm", Show: "7f3a", PINOK: &right}}
	document, err := json.Marshal(e)
	if expected := `"time":"0001-01-01T00:00:00.000Z","choice":"alarm","text":null,"show":"7f3a","pin_ok":true}`; err != nil || !strings.HasSuffix(string(document), expected) {
		t.Errorf("%s, %v, expected %s at the end", document, err, expected)
	}
}
