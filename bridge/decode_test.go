package bridge

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

func TestDecode(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	tests := []struct {
		name, command, payload string
		id, argument           string
		expiry                 time.Duration
		fault                  string // part of it; empty: none is wanted
	}{
		{name: "plain", command: "key", payload: "P1", argument: "P1", expiry: time.Minute},
		{name: "json", command: "key", payload: ` {"keys":"P1","id":"a"}`, id: "a", argument: "P1", expiry: time.Minute},
		{name: "any command", command: "command", payload: `{"command":"dial","number":"1","id":"ä"}`, id: "ä", argument: "1", expiry: time.Minute},
		{name: "expires in", command: "answer", payload: `{"expires_in":0.25}`, expiry: 250 * time.Millisecond},
		{name: "expires at", command: "answer", payload: `{"expires_at":"2026-11-22T11:00:03+01:00"}`, expiry: 3 * time.Second},
		{name: "expires at, in small letters", command: "answer", payload: `{"expires_at":"2026-11-22t10:00:03z"}`, expiry: 3 * time.Second},
		{name: "longest id", command: "answer", payload: `{"id":"` + strings.Repeat("ü", 64) + `"}`, id: strings.Repeat("ü", 64), expiry: time.Minute},
		{name: "id too long", command: "answer", payload: `{"id":"` + strings.Repeat("x", 65) + `"}`, fault: "id: expected at most 64 characters"},
		{name: "id is a number", command: "answer", payload: `{"id":7}`, id: "7", expiry: time.Minute},
		{name: "id is a whole number with a fraction", command: "answer", payload: `{"id":7.0}`, id: "7", expiry: time.Minute},
		{name: "id is negative", command: "answer", payload: `{"id":-7}`, id: "-7", expiry: time.Minute},
		{name: "id is the time in milliseconds", command: "answer", payload: `{"id":1795795610123}`, id: "1795795610123", expiry: time.Minute},
		{name: "id is the time in seconds", command: "answer", payload: `{"id":1795795610.123}`, id: "1795795610.123", expiry: time.Minute},
		{name: "id is the largest whole number", command: "answer", payload: `{"id":9007199254740992}`, id: "9007199254740992", expiry: time.Minute},
		{name: "id may have been rounded", command: "answer", payload: `{"id":9007199254740993}`, fault: "id: expected text in double quotes, or a number of at most 15 digits"},
		{name: "id may have been rounded behind the point", command: "answer", payload: `{"id":1795795610.123456789}`, fault: "id: expected text in double quotes, or a number of at most 15 digits"},
		{name: "id has an exponent", command: "answer", payload: `{"id":1e3}`, fault: "without an exponent"},
		{name: "id is true", command: "answer", payload: `{"id":true}`, fault: "id: expected text in double quotes, or a number"},
		{name: "id is a list", command: "answer", payload: `{"id":["7"]}`, fault: "id: expected text in double quotes, or a number"},
		{name: "id has a line end", command: "answer", payload: `{"id":"7\n"}`, fault: "id: expected no control characters"},
		{name: "id is empty", command: "answer", payload: `{"id":""}`, fault: "id: expected text in double quotes"},
		{name: "id is null", command: "answer", payload: `{"id":null}`, fault: "id: expected text in double quotes"},
		{name: "id with NUL", command: "answer", payload: `{"id":"\u0000"}`, fault: "control characters"},
		{name: "expires never", command: "answer", payload: `{"id":"k","expires_in":1e300}`, id: "k", fault: "expires_in: expected a number of seconds"},
		{name: "expires before", command: "answer", payload: `{"expires_in":0}`, fault: "expires_in"},
		{name: "expires null", command: "answer", payload: `{"expires_in":null}`, fault: "expires_in"},
		{name: "expires as text", command: "answer", payload: `{"expires_in":"5"}`, fault: "expires_in"},
		{name: "no moment", command: "answer", payload: `{"expires_at":"tomorrow"}`, fault: "expires_at: expected a time such as"},
		{name: "both, one long ago", command: "answer", payload: `{"expires_in":5,"expires_at":"0001-01-01T00:00:00Z"}`, fault: "not both"},
		{name: "moment is a number", command: "answer", payload: `{"expires_at":1763805600}`, fault: "expires_at"},
		{name: "dry run is text", command: "answer", payload: `{"dry_run":"true"}`, fault: "dry_run: expected true or false"},
		{name: "both", command: "answer", payload: `{"expires_in":5,"expires_at":"2026-11-22T11:00:00Z"}`, fault: "not both"},
		{name: "id of a faulty command", command: "key", payload: `{"id":"k","keys":"P1","nope":1}`, id: "k", fault: `nope`},
		{name: "all faults", command: "key", payload: `{"id":[3],"keys":"x"}`, fault: "CANCEL"},
		{name: "no command", command: "command", payload: `{"keys":"P1","id":"k"}`, id: "k", fault: "command: expected one of key, dial"},
		{name: "command is a number", command: "command", payload: `{"command":1}`, fault: `no such command "1"`},
		{name: "command is true", command: "command", payload: `{"command":true}`, fault: "command: expected one of"},
		{name: "command in command", command: "command", payload: `{"command":"command"}`, fault: "no such command"},
		{name: "plain on command", command: "command", payload: `key P1`, fault: "expected a JSON object"},
		{name: "a byte order mark before JSON", command: "command", payload: "\ufeff" + `{"command":"answer"}`, fault: "it has a byte order mark"},
		{name: "a no-break space in JSON", command: "command", payload: "{\u00a0" + `"command":"answer"}`, fault: "it has a no-break space"},
		{name: "command elsewhere", command: "key", payload: `{"command":"key","keys":"P1"}`, fault: "command"},
		{name: "no such command", command: "fly", payload: "", fault: `no such command "fly"`},
		{name: "broken json", command: "key", payload: `{"keys":`, fault: "offset"},
		{name: "two documents", command: "key", payload: `{"keys":"P1"}{}`, fault: "offset"},
		{name: "too long", command: "key", payload: strings.Repeat("P1;", 6000), fault: "too long: expected at most 16384 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := decode(tt.command, []byte(tt.payload))
			switch {
			case tt.fault == "" && o.fault != nil:
				t.Fatalf("decode(%q, %q): %v, expected none", tt.command, tt.payload, o.fault)
			case tt.fault != "" && (o.fault == nil || !strings.Contains(o.fault.Error(), tt.fault)):
				t.Fatalf("decode(%q, %.80q): fault %v, expected one with %q", tt.command, tt.payload, o.fault, tt.fault)
			}
			if o.id != tt.id {
				t.Errorf("id %q, expected %q", o.id, tt.id)
			}
			if tt.fault != "" {
				return
			}
			if got := o.command.Argument(); got != tt.argument {
				t.Errorf("argument %q, expected %q", got, tt.argument)
			}
			if got := o.expiry(now, time.Minute).Sub(now); got != tt.expiry {
				t.Errorf("expires in %v, expected %v", got, tt.expiry)
			}
		})
	}
}

// aClient is a phone that plans commands. It is not connected to.
func aClient(tb testing.TB) Phone {
	tb.Helper()
	client, err := snom.NewClient(snom.ClientConfig{URL: "http://desk.invalid"})
	if err != nil {
		tb.Fatal(err)
	}
	return client
}

// FuzzDecode shows that no payload makes the bridge fall over, that a command comes with every
// answer, and that nothing it repeats is long or not UTF-8.
func FuzzDecode(f *testing.F) {
	for _, v := range snom.Verbs() {
		h := v.Help()
		_, plain, _ := strings.Cut(h.Example, " ")
		f.Add(string(v), []byte(plain))
		f.Add(string(v), []byte(h.ExampleJSON))
	}
	f.Add("command", []byte(`{"command":"dial","number":"1","id":"x","expires_in":3}`))
	f.Add("command", []byte(`{"command":{"command":"dial"}}`))
	f.Add("key", []byte(strings.Repeat("[", 10000)))
	f.Add("key", []byte("{\"keys\":\"\xff\",\"id\":\"\x00\"}"))
	p := newPhone(nil, PhoneConfig{Name: "desk", Phone: aClient(f), Allow: map[snom.Verb]bool{snom.VerbReset: true}}, nil)
	f.Fuzz(func(t *testing.T, name string, payload []byte) {
		o := decode(name, payload)
		if (o.fault == nil) != !o.command.IsZero() {
			t.Fatalf("fault %v with command %q", o.fault, o.command)
		}
		now := time.Now()
		c, refused := p.profile.Load().admit(o, Rules{TTL: time.Minute}, false, false, now)
		c.to = p
		var refusal *Result
		if refused.code != "" {
			refusal = c.answer(refused.code, refused.message, now)
		}
		switch {
		case refusal == nil && (len(c.steps) == 0 && !c.effects.StopsRings && !c.command.Displays() && !c.command.Verb().Paged() || !now.Before(c.expires)):
			t.Fatalf("a request with nothing to do, or that is over: %+v", c)
		case refusal != nil && (refusal.Code == OK || refusal.OK || refusal.Message == ""):
			t.Fatalf("a refusal that does not say why: %+v", *refusal)
		case refusal != nil && (len(refusal.Message) > 2000 || len(refusal.Argument) > maxShown+10 && refusal.Code == Invalid):
			t.Fatalf("a refusal that repeats too much: %+v", *refusal)
		case refusal != nil && !utf8.ValidString(refusal.Argument+refusal.Message+refusal.Command+refusal.ID):
			t.Fatalf("a refusal that is not UTF-8: %+v", *refusal)
		}
	})
}

func TestBreaker(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	var b breaker
	if b.open(now) {
		t.Error("the zero breaker is open")
	}
	for i, want := range []time.Duration{2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 16 * time.Hour, 24 * time.Hour, 24 * time.Hour} {
		b = b.after(now, Unauthorized)
		if got := b.until.Sub(now); got != want {
			t.Errorf("refusal %d: locked out for %v, expected %v", i+1, got, want)
		}
	}
	if !b.open(now.Add(24*time.Hour-1)) || b.open(now.Add(24*time.Hour)) {
		t.Error("the breaker does not close at its time")
	}
	if b.after(now, Timeout) != b || b.after(now, Unreachable) != b {
		t.Error("what says nothing of the login changes the breaker")
	}
	if b.after(now, OK) != (breaker{}) {
		t.Error("a login that is right leaves the breaker open")
	}
	if got := (breaker{}).after(now, LockedOut).until.Sub(now); got != 2*time.Minute {
		t.Errorf("a locked phone is locked out for %v, expected 2m", got)
	}
}

func TestShown(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "plain": "plain", "\xff": "\uFFFD",
		strings.Repeat("a", maxShown-1) + "ü": strings.Repeat("a", maxShown-1) + "…",
	} {
		if got := shown(in); got != want {
			t.Errorf("shown(%q) = %q, expected %q", in, got, want)
		}
	}
}

// TestExpiryIsNotOfTheClock: how long a command may wait does not change when the clock is set, whatever the expiry
// was given as.
func TestExpiryIsNotOfTheClock(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, payload := range []string{`{}`, `{"expires_in":10}`, `{"expires_at":"` + now.Add(time.Hour).Format(time.RFC3339) + `"}`} {
		expiry := decode("answer", []byte(payload)).expiry(now, time.Minute)
		if !strings.Contains(expiry.String(), " m=+") {
			t.Errorf("%s: expires at %v, expected a moment of the monotonic clock", payload, expiry)
		}
	}
}

// TestTheFirstMomentHasPassed: it is Go's zero time, and was taken for no moment at all.
func TestTheFirstMomentHasPassed(t *testing.T) {
	t.Parallel()
	o := decode("answer", []byte(`{"expires_at":"0001-01-01T00:00:00Z"}`))
	if _, refusal := (&profile{}).admit(o, Rules{TTL: time.Minute}, false, false, time.Now()); refusal.code != Expired {
		t.Errorf("a command that expired in the year 1: %+v, expected expired", refusal)
	}
}

// TestFaultsOfASecretAreExplained: what is not the secret is explained as usual.
func TestFaultsOfASecretAreExplained(t *testing.T) {
	t.Parallel()
	p := &profile{PhoneConfig: PhoneConfig{Name: "desk", Mask: map[snom.Verb]bool{snom.VerbDTMF: true}}}
	for _, tt := range []struct{ command, payload, want string }{
		{"dtmf", `{"id":[4711],"digits":"4711x","expires_in":0}`,
			`id: expected text in double quotes, or a number; expires_in: expected a number of seconds, 0.001 to 86400, without quotes; dtmf: field "digits": offset 4: expected digits 0 to 9, A to D, * and #`},
		{"dtmf", `{"4711":1,"digits":"1"}`, "dtmf: expected no members but digits, method, hold_ms, pause_ms"},
		{"dtfm", "4711", "no such command: expected one of " + verbList()},
		{"4711", "", "no such command: expected one of " + verbList()},
		{"command", `{"command":"4711","digits":"1"}`, "no such command: expected one of " + verbList()},
		{"command", `{"command":"DTMF","digits":"4711"}`, "no such command: expected one of " + verbList()},
		{"dtmf", "4711#\n", "dtmf: offset 5: expected digits 0 to 9, A to D, * and #; it has a line end (LF) at its end"},
		{"command", "4711", `expected a JSON object that names its command: {"command":"key","keys":"P1"}`},
		{"dtmf", strings.Repeat("4711", 5000), "the payload is too long: expected at most 16384 bytes"},
	} {
		m := decode(tt.command, []byte(tt.payload))
		_, refusal := p.admit(m, Rules{TTL: time.Minute}, p.secret(m), false, time.Now())
		if refusal.code != Invalid || refusal.message != tt.want {
			t.Errorf("%s %.60q: %+v, expected invalid, %q", tt.command, tt.payload, refusal, tt.want)
		}
	}
}

// TestTimestampIsNoNumber: what an inject node of Node-RED sends unless it is given something else is not dialled.
func TestTimestampIsNoNumber(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
	ms := strconv.FormatInt(now.UnixMilli(), 10)
	p := &profile{PhoneConfig: PhoneConfig{Name: "desk", Phone: aClient(t)}}
	for _, tt := range []struct {
		command, payload string
		code             Code
	}{
		{"dial", ms, Invalid}, {"dial", `{"number":` + ms + `}`, Invalid}, {"dial", "tel:" + ms, Invalid}, {"transfer", ms, Invalid}, {"dtmf", ms, Invalid},
		{"command", `{"command":"dial","number":` + ms + `}`, Invalid},
		{"run", `{"steps":[{"key":"OFFHOOK"},{"dial":"` + ms + `"}]}`, Invalid}, {"run", `{"steps":[{"wait":"2s"},{"dtmf":"` + ms + `"}]}`, Invalid},
		{"dial", "+" + ms, ""}, {"dial", ms[:10], ""}, {"dial", strconv.FormatInt(now.AddDate(0, 0, -3).UnixMilli(), 10), ""},
	} {
		_, refusal := p.admit(decode(tt.command, []byte(tt.payload)), Rules{TTL: time.Minute}, false, false, now)
		if refusal.code != tt.code || tt.code == Invalid && !strings.Contains(refusal.message, "Node-RED") {
			t.Errorf("%s %s: %+v, expected the code %q", tt.command, tt.payload, refusal, tt.code)
		}
	}
}

// TestNothingSecretIsRepeated: where everything is masked, neither the name, the message nor the warning of a command
// repeats what was received, whatever is wrong with it.
func TestNothingSecretIsRepeated(t *testing.T) {
	t.Parallel()
	masked := map[snom.Verb]bool{}
	for _, v := range snom.Verbs() {
		masked[v] = true
	}
	rules := Rules{TTL: time.Minute, DialDeny: regexp.MustCompile(".*4711.*")}
	payloads := []string{
		"4711", "4711x", "P277", "EK277", "P277;CLEAR", "F_STATUS;P277", "F_MUTE", "4711\n", "(4711)", "tel:4711;ext=4711", "+49 (0)4711", "4711\uff11", "canary",
		"https://canary.example/4711", "http://canary.example/4711", `{"4711":1}`, `{"4711":1,"4711":2}`, `{4711`, `{"keys":["P277"]}`, `{"keys":["P277","4711"]}`,
		`{"keys":[{"key":"P277"}]}`, `{"keys":[{"key":"4711"}]}`, `{"number":4711.5}`, `{"number":04711}`, `{"digits":4711.5}`, `{"identity":4711}`, `{"ringer":4711}`,
		`{"number":"4711","mode":"4711"}`, `{"confirm":"canary"}`, `{"url":"https://canary.example/4711"}`, `{"dnd":"4711"}`, `{"touches":[{"x":4711,"y":4711}]}`,
		`{"id":"x","expires_in":"4711"}`, `{"expires_at":"4711"}`, `{"command":"4711"}`, `{"command":"F_STATUS"}`,
	}
	client := aClient(t)
	secrets := []string{"4711", "277", "canary", "F_STATUS", "F_MUTE", "CLEAR", "\uff11", "FF11"}
	for _, name := range []string{"", "D735", "870", "300", "D865", "D120"} {
		model, _ := snom.FindModel(name)
		p := &profile{PhoneConfig: PhoneConfig{Name: "desk", Phone: client, HTTPS: true, Mask: masked, Allow: map[snom.Verb]bool{snom.VerbReset: true, snom.VerbFirmware: true}}, model: model}
		for _, v := range append(snom.Verbs(), "command", "4711", "canary") {
			for _, payload := range payloads {
				m := decode(string(v), []byte(payload))
				c, refusal := p.admit(m, rules, p.secret(m), false, time.Now())
				for _, secret := range secrets {
					if strings.Contains(refusal.message, secret) || strings.Contains(c.warning, secret) || strings.Contains(c.name, secret) || strings.Contains(c.argument, secret) {
						t.Errorf("%s %s, model %q: name %q, argument %q, warning %q, %+v", v, payload, name, c.name, c.argument, c.warning, refusal)
					}
				}
			}
		}
	}
}

// TestLoginsInURLsAreHidden: what is refused is repeated without the logins in its URLs.
func TestLoginsInURLsAreHidden(t *testing.T) {
	t.Parallel()
	for in, expected := range map[string]string{
		"":                     "",
		"dial 1@pbx":           "dial 1@pbx",
		"http://user:pw@h/a@b": "http://***@h/a@b",
		`{"image":"http://u:p@h/","x":"a://b:c@d"}`: `{"image":"http://***@h/","x":"a://***@d"}`,
		"https://h/?u=a@b":                          "https://h/?u=a@b",
		"://@":                                      "://***@",
		"ftp://a@b@c":                               "ftp://***@c",
	} {
		if got := hideLogins(in); got != expected {
			t.Errorf("%s: %s, expected %s", in, got, expected)
		}
	}
}

// TestLoginsOfRefusedURLs: neither the argument nor the explanation of a refused command repeats a login, whole or cut off; and
// passwords that set was to write are hidden where the command is refused by its name.
func TestLoginsOfRefusedURLs(t *testing.T) {
	t.Parallel()
	const canary = "c4n4ry"
	for _, in := range []struct{ command, payload string }{
		{"firmware", "http://user:" + canary + "@192.0.2.1:x/f.bin"},
		{"announce", "http://user:" + canary + "@192.0.2.1/a.wav"},
		{"announce", `{"url":"http:\/\/user:` + canary + `@192.0.2.1\/a.wav"}`},
		{"announce", "http://a-very-long-user-name-that-fills-what-is-repeated:" + canary + "@192.0.2.1/a.wav"},
		{"show", `{"image":"http://user:` + canary + `@192.0.2.1/a.png"}`},
		{"command", `{"command":"announce","url":"http://user:` + canary + `@192.0.2.1/a.wav"}`},
	} {
		m := decode(in.command, []byte(in.payload))
		if m.fault == nil {
			t.Errorf("%s %s is taken", in.command, in.payload)
			continue
		}
		c, r := (&profile{}).admit(m, Rules{}, false, false, time.Now())
		if text := c.argument + r.message; r.code != Invalid || strings.Contains(text, canary) || !strings.Contains(text, mask) {
			t.Errorf("%s %s: %s %s %s", in.command, in.payload, r.code, c.argument, r.message)
		}
	}
	for _, payload := range []string{"http_pass=" + canary, `{"settings":{"user_pass1":"` + canary + `","vol_ringer":"8"}}`} {
		m := decode("set", []byte(payload))
		if m.fault != nil {
			t.Fatal(m.fault)
		}
		if text := m.shownArgument(); strings.Contains(text, canary) || !strings.Contains(text, mask) {
			t.Errorf("set %s is shown as %s", payload, text)
		}
	}
}
