package strictjson_test

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/snom2mqtt/snom2mqtt/internal/strictjson"
)

// checkError checks what every error has, whatever was received.
func checkError(tb testing.TB, failed error) *strictjson.Error {
	tb.Helper()
	var err *strictjson.Error
	if !errors.As(failed, &err) {
		tb.Fatalf("got error %v, expected a *strictjson.Error", failed)
	}
	if err.Offset < 0 || err.Expected == "" {
		tb.Errorf("got %#v", err)
	}
	for _, message := range []string{err.Error(), err.Redacted()} {
		if len(message) > 500 || !utf8.ValidString(message) || strings.ContainsFunc(message, func(r rune) bool { return r < ' ' }) {
			tb.Errorf("got the message %q", message)
		}
	}
	return err
}

func TestParse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		in     string
		want   map[string]string // nil: an error is wanted
		offset int               // of the error
		wanted string            // in the error
	}{
		{name: "empty", in: `{}`, want: map[string]string{}},
		{name: "white space", in: " \t\r\n{ } \n", want: map[string]string{}},
		{
			name: "every kind of value",
			in:   `{"a": -0.5e+10 ,"b":[1,"x",[ ], [true]],"c":{"d":{"e":{}}},"f":null,"g":false,"h":0,"i":1E-2}`,
			want: map[string]string{
				"a": "-0.5e+10", "b": `[1,"x",[ ], [true]]`, "c": `{"d":{"e":{}}}`, "f": "null", "g": "false", "h": "0", "i": "1E-2",
			},
		},
		{
			name: "escapes in a name",
			in:   `{"\"\\\/\b\f\n\r\t\u00e4\uD83D\ude00ß":""}`,
			want: map[string]string{"\"\\/\b\f\n\r\tä😀ß": `""`},
		},
		{name: "escapes in a value", in: `{"a":"\"\\\u0000 😀\n"}`, want: map[string]string{"a": `"\"\\\u0000 😀\n"`}},
		{name: "as deep as may be", in: `{"a":[[[[[]]]]]}`, want: map[string]string{"a": `[[[[[]]]]]`}},
		{name: "long", in: "{}" + strings.Repeat(" ", 1<<14), want: map[string]string{}},

		{name: "nothing", in: "", offset: 0, wanted: "a JSON object"},
		{name: "only white space", in: "  ", offset: 2, wanted: "a JSON object"},
		{name: "a list", in: "[]", offset: 0, wanted: "a JSON object"},
		{name: "a byte order mark", in: "\ufeff{}", offset: 0, wanted: "a JSON object"},
		{name: "more after it", in: "{} {}", offset: 3, wanted: "nothing more"},
		{name: "cut off", in: "{", offset: 1, wanted: "the name of a member in double quotes"},
		{name: "cut off in a name", in: `{"a`, offset: 3, wanted: "a closing double quote"},
		{name: "cut off after a name", in: `{"a"`, offset: 4, wanted: "a colon"},
		{name: "cut off before a value", in: `{"a": `, offset: 6, wanted: "a value"},
		{name: "cut off in a list", in: `{"a":[1`, offset: 7, wanted: "a comma or ]"},
		{name: "cut off after a comma", in: `{"a":[1,`, offset: 8, wanted: "a value"},
		{name: "no comma", in: `{"a":1 "b":2}`, offset: 7, wanted: "a comma or }"},
		{name: "a comma at the end", in: `{"a":1,}`, offset: 7, wanted: "the name of a member"},
		{name: "a comma at the end of a list", in: `{"a":[1,]}`, offset: 8, wanted: "a value"},
		{name: "single quotes", in: `{'a':1}`, offset: 1, wanted: "in double quotes"},
		{name: "a name without quotes", in: `{a:1}`, offset: 1, wanted: "in double quotes"},
		{name: "a comment", in: `{/**/}`, offset: 1, wanted: "in double quotes"},
		{name: "a word", in: `{"a":True}`, offset: 5, wanted: "true, false"},
		{name: "half a word", in: `{"a":tru}`, offset: 5, wanted: "true, false"},
		{name: "NaN", in: `{"a":NaN}`, offset: 5, wanted: "a value: text in double quotes"},
		{name: "a plus", in: `{"a":+1}`, offset: 5, wanted: "a value"},
		{name: "a minus alone", in: `{"a":-}`, offset: 6, wanted: "a digit"},
		{name: "a leading zero", in: `{"a":01}`, offset: 6, wanted: "no digit after a leading zero"},
		{name: "hexadecimal", in: `{"a":0x1}`, offset: 6, wanted: "a comma or }"},
		{name: "a dot at the end", in: `{"a":1.}`, offset: 7, wanted: "a digit"},
		{name: "a dot at the beginning", in: `{"a":.1}`, offset: 5, wanted: "a value"},
		{name: "an empty exponent", in: `{"a":1e+}`, offset: 8, wanted: "a digit"},
		{name: "a line end in text", in: "{\"a\":\"\n\"}", offset: 6, wanted: `a line end is written \n`},
		{name: "NUL in text", in: "{\"a\":\"x\x00\"}", offset: 7, wanted: "control characters"},
		{name: "NUL between", in: "{\x00}", offset: 1, wanted: "in double quotes"},
		{name: "an unknown escape", in: `{"a":"\x41"}`, offset: 6, wanted: "one of the escapes"},
		{name: "a backslash at the end", in: `{"a":"\`, offset: 6, wanted: "one of the escapes"},
		{name: "a short escape", in: `{"a":"\u12"}`, offset: 6, wanted: "four hexadecimal digits"},
		{name: "a signed escape", in: `{"a":"\u+123"}`, offset: 6, wanted: "four hexadecimal digits"},
		{name: "half a pair", in: `{"a":"\ud800"}`, offset: 6, wanted: "in pairs"},
		{name: "the other half", in: `{"a":"\udc00\ud800"}`, offset: 6, wanted: "in pairs"},
		{name: "half a pair and a letter", in: `{"a":"\ud800\u0041"}`, offset: 6, wanted: "in pairs"},
		{name: "half a pair and half an escape", in: `{"a":"\ud800\u00"}`, offset: 6, wanted: "in pairs"},
		{name: "invalid UTF-8", in: "{\"a\":\"x\xff\"}", offset: 7, wanted: "valid UTF-8"},
		{name: "invalid UTF-8 after an escape", in: "{\"a\":\"\\n\xff\"}", offset: 8, wanted: "valid UTF-8"},
		{name: "invalid UTF-8 in a name", in: "{\"\xc3\":1}", offset: 2, wanted: "valid UTF-8"},
		{name: "an encoded surrogate", in: "{\"a\":\"\xed\xa0\x80\"}", offset: 6, wanted: "valid UTF-8"},
		{name: "invalid UTF-8 between", in: "{\xff}", offset: 1, wanted: "in double quotes"},
		{name: "a name twice", in: `{"a":1,"b":2,"a":1}`, offset: 13, wanted: `every member once; "a" is already there`},
		{name: "a name twice in two spellings", in: `{"a":1,"\u0061":2}`, offset: 7, wanted: "every member once"},
		{name: "a name twice inside", in: `{"b":[{"a":1,"a":1}]}`, offset: 13, wanted: "every member once"},
		{name: "too deep", in: `{"a":[[[[[[]]]]]]}`, offset: 10, wanted: "at most 6 lists and objects"},
		{name: "too deep in objects", in: `{"a":{"a":{"a":{"a":{"a":{"a":{}}}}}}}`, offset: 30, wanted: "at most 6 lists and objects"},
		{name: "too deep for any stack", in: `{"a":` + strings.Repeat("[", 16000), offset: 10, wanted: "at most 6 lists and objects"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			object, err := strictjson.Parse([]byte(tt.in))
			if tt.want == nil {
				if e := checkError(t, err); e.Offset != tt.offset || !strings.Contains(err.Error(), tt.wanted) || object != nil {
					t.Errorf("got %v, want offset %d and something with %q", err, tt.offset, tt.wanted)
				}
				return
			}
			got := map[string]string{}
			for name, raw := range object {
				got[name] = string(raw)
			}
			if err != nil || !maps.Equal(got, tt.want) {
				t.Errorf("Parse = %q, %v, want %q", got, err, tt.want)
			}
			if isObject := strictjson.IsObject([]byte(tt.in)); !isObject {
				t.Error("IsObject = false")
			}
		})
	}
}

func TestObjectMembersAreBounded(t *testing.T) {
	t.Parallel()
	object := func(n int) string {
		var names []string
		for i := range n {
			names = append(names, `"`+string(rune('A'+i/20))+string(rune('a'+i%20))+`":1`)
		}
		return "{" + strings.Join(names, ",") + "}"
	}
	if o, err := strictjson.Parse([]byte(object(200))); err != nil || len(o) != 200 {
		t.Errorf("200 members: %d, %v", len(o), err)
	}
	for _, in := range []string{object(201), `{"a":` + object(201) + "}"} {
		_, err := strictjson.Parse([]byte(in))
		if checkError(t, err).Expected != "at most 200 members" {
			t.Errorf("got %v", err)
		}
	}
}

// TestObjectValuesDoNotGrowIntoOneAnother: appending to a value must not overwrite what follows it.
func TestObjectValuesDoNotGrowIntoOneAnother(t *testing.T) {
	t.Parallel()
	object, err := strictjson.Parse([]byte(`{"a":1,"b":2}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = append(object["a"], "9999"...) // only what it would overwrite matters
	if got := string(object["b"]); got != "2" {
		t.Errorf("b = %q, want 2", got)
	}
}

func TestIsObject(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]bool{
		"": false, " ": false, "{": true, " \n\t\r{": true, "[": false, "P1": false, "\v{": false, "\u00a0{": false,
	} {
		if got := strictjson.IsObject([]byte(in)); got != want {
			t.Errorf("IsObject(%q) = %v, want %v", in, got, want)
		}
	}
}

// depth is how deep lists and objects are nested in what encoding/json decoded.
func depth(v any) int {
	d := 0
	switch v := v.(type) {
	case map[string]any:
		for _, item := range v {
			d = max(d, depth(item))
		}
	case []any:
		for _, item := range v {
			d = max(d, depth(item))
		}
	default:
		return 0
	}
	return d + 1
}

// FuzzParse compares Parse with encoding/json: what it takes, that takes and reads to the same
// members; what it refuses, that refuses as well, or one of the stricter rules says why.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":1,"b":[{"c":"\u00e4\ud83d\ude00"}],"d":{"e":null}}`, `{"a":-0.5e+10}`, `{"a":1,"a":2}`, ` { "a" : [ ] } `,
		`{"a":"\ud800"}`, "{\"a\":\"\xff\"}", `{"a":[[[[1]]]]}`, `{"a":"\"\\\/\b\f\n\r\t"}`, `{"a":01}`, "{\"a\":\"\x00\"}",
	} {
		f.Add([]byte(seed))
	}
	stricter := []string{
		"valid UTF-8", "every member once", "at most", `\u and four hexadecimal digits`, "a JSON object",
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		object, err := strictjson.Parse(data)
		var want map[string]any
		wantErr := json.Unmarshal(data, &want)
		if err != nil {
			checkError(t, err)
			if wantErr == nil && !slices.ContainsFunc(stricter, func(why string) bool {
				return strings.HasPrefix(checkError(t, err).Expected, why)
			}) {
				t.Fatalf("Parse(%q): %v, but encoding/json takes it", data, err)
			}
			return
		}
		if wantErr != nil || len(object) != len(want) || depth(want) > 6 {
			t.Fatalf("Parse(%q) = %q, encoding/json: %v, %v", data, object, want, wantErr)
		}
		for name, raw := range object {
			if _, ok := want[name]; !ok || !json.Valid(raw) {
				t.Errorf("Parse(%q) has %q = %q", data, name, raw)
			}
		}
	})
}
