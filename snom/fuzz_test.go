package snom_test

import (
	"testing"

	"github.com/snom2mqtt/snom2mqtt/internal/strictjson"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// FuzzParseCommand: parse and print are inverses.
func FuzzParseCommand(f *testing.F) {
	for _, v := range snom.Verbs() {
		h := v.Help()
		f.Add(h.Example)
		f.Add(string(v) + " " + h.ExampleJSON)
		f.Add(string(v))
	}
	for _, seed := range []string{
		"", " ", "dial ", "dial 12a", `dial {"number":"1","outgoing_uri":"27@pbx.example"}`, "dial sip:a@[::1]:5060;lr",
		`dtmf {"digits":"1","method":"keys","hold_ms":1,"pause_ms":2}`, `ring {"ringer":3,"count":2,"pause_ms":0}`,
		`transfer {"number":"28","mode":"blind"}`, "hangup all", "hangup {}", "key P1,100,200;F_HOLD", "touch 1 2 3 4 pr",
		`key {"keys":[{"key":"P1","hold_ms":1,"pause_ms":2}]}`, "logoff all", "dail 1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := snom.ParseCommand(text)
		if err != nil {
			checkError(t, err)
			if !c.IsZero() {
				t.Fatalf("ParseCommand(%q) = %q and %v", text, c, err)
			}
			return
		}
		again, err := snom.ParseCommand(c.String())
		if err != nil || again != c || again.String() != c.String() {
			t.Fatalf("ParseCommand(%q) = %q, and of that %q, %v", text, c, again, err)
		}
		same, err := snom.ParsePayload(c.Verb(), []byte(c.Argument()))
		if err != nil || same != c {
			t.Fatalf("ParsePayload(%q, %q) = %q, %v, want %q", c.Verb(), c.Argument(), same, err, c)
		}
	})
}

// FuzzPayload: whatever parses makes requests with the path and the query parameters of its command, and
// nothing else.
func FuzzPayload(f *testing.F) {
	verbs := snom.Verbs()
	for i, v := range verbs {
		h := v.Help()
		f.Add(uint8(i), []byte(commandOf(f, h.Example).Argument()))
		f.Add(uint8(i), []byte(h.ExampleJSON))
	}
	for _, seed := range []string{
		"1&settings=save", "P1#", "a@b;c=d", "1 1 pr", "http://h:1/p/q", "{\"number\":\"1\\u0026x=1\"}", "\x00", "%26", "+1", "*#",
		`{"digits":"*1","method":"keys"}`, `{"ringer":"9","count":20}`, `{"number":"sips:a!b@h:1","outgoing_uri":"a'(b)@[::1]"}`,
		`{"number":"1","mode":"blind"}`, `{"touches":[{"x":1,"y":2,"action":"pr"}]}`, `{"keys":[{"key":"#","hold_ms":1}]}`,
	} {
		for i := range verbs {
			f.Add(uint8(i), []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, verb uint8, payload []byte) {
		v := verbs[int(verb)%len(verbs)]
		c, err := snom.ParsePayload(v, payload)
		if err != nil {
			checkError(t, err)
			return
		}
		if c.Verb() != v {
			t.Fatalf("ParsePayload(%q, %q) = %q", v, payload, c)
		}
		for _, d := range []snom.Dialect{"", snom.DialectOld, snom.DialectNew} {
			checkSteps(t, c, d)
		}
		for _, m := range []string{"D735", "870", "190", "D862"} {
			model := modelOf(t, m)
			if warning, err := model.Check(c); warning != "" && err != nil {
				t.Errorf("%s: %s: both %q and %v", model, c, warning, err)
			}
		}
		if !strictjson.IsObject(payload) {
			return
		}
		object, err := strictjson.Parse(payload)
		if err != nil {
			t.Fatalf("ParsePayload takes %q, Parse does not: %v", payload, err)
		}
		if same, err := v.Command(object); err != nil || same != c {
			t.Errorf("%s.Command(%q) = %q, %v, want %q", v, payload, same, err, c)
		}
	})
}
