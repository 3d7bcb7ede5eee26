package strictjson_test

import (
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/internal/strictjson"
)

func TestWhole(t *testing.T) {
	t.Parallel()
	for in, expected := range map[string]string{
		"0": "0", "7": "7", "-7": "-7", "3.0": "3", "3.000": "3", "-0": "0", "-0.0": "0", "4930123": "4930123",
		"9007199254740992": "9007199254740992", "-9007199254740992.0": "-9007199254740992",
	} {
		if got, err := strictjson.Whole([]byte(in)); err != nil || got != expected {
			t.Errorf("Whole(%s) = %q, %v, expected %q", in, got, err, expected)
		}
	}
	for in, expected := range map[string]string{
		"": "offset 0: expected a whole number", `"1"`: "offset 0: expected a whole number", "true": "offset 0: expected a whole number",
		"[1]": "offset 0:", "1.5": "offset 1: expected a whole number without a fraction", "1.0000001": "offset 1:", "-0.5": "offset 2:",
		"1e3": "offset 1: expected a whole number without an exponent", "1E0": "offset 1:", "1.0e0": "offset 3:",
		"9007199254740993": "offset 0: expected " + strictjson.TooLarge, "99999999999999999999": "offset 0:", "-9007199254740993": "offset 0:",
		"01": "offset 1: expected no digit after a leading zero", "1.": "offset 2: expected a digit", "-": "offset 1: expected a digit", "1 ": "", "1x": "offset 1: expected nothing more",
	} {
		got, err := strictjson.Whole([]byte(in))
		if expected == "" {
			if err != nil && !strings.Contains(err.Error(), "offset") {
				t.Errorf("Whole(%q): %v", in, err)
			}
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), expected) {
			t.Errorf("Whole(%q) = %q, %v, expected the error %q", in, got, err, expected)
		}
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	if got, err := strictjson.Text([]byte(`"a\u00e4\n"`)); err != nil || got != "aä\n" {
		t.Errorf("Text = %q, %v", got, err)
	}
	for in, expected := range map[string]string{
		"": "offset 0: expected text in double quotes", "1": "offset 0:", `"a`: "offset 2: expected a closing double quote",
		`"a"b`: "offset 3: expected nothing more", "\"\xff\"": "offset 1: expected valid UTF-8",
	} {
		if got, err := strictjson.Text([]byte(in)); err == nil || !strings.HasPrefix(err.Error(), expected) {
			t.Errorf("Text(%q) = %q, %v, expected the error %q", in, got, err, expected)
		}
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	if got, err := strictjson.List([]byte(`[1, "a", {"b":[]}]`)); err != nil || len(got) != 3 || string(got[2]) != `{"b":[]}` {
		t.Errorf("List = %s, %v", got, err)
	}
	for in, expected := range map[string]string{
		"": "offset 0: expected a list in [ and ]", "{}": "offset 0:", "[": "offset 1: expected a value", "[1": "offset 2:", "[]]": "offset 2: expected nothing more",
	} {
		if got, err := strictjson.List([]byte(in)); err == nil || !strings.HasPrefix(err.Error(), expected) {
			t.Errorf("List(%q) = %s, %v, expected the error %q", in, got, err, expected)
		}
	}
}

func TestTake(t *testing.T) {
	t.Parallel()
	o, err := strictjson.Parse([]byte(`{"id":"7"}`))
	if err != nil {
		t.Fatal(err)
	}
	if id, ok := o.Take("id"); string(id) != `"7"` || !ok || len(o) != 0 {
		t.Errorf(`Take = %s, %v`, id, ok)
	}
	if _, ok := o.Take("id"); ok {
		t.Error("the member is still there")
	}
}

// TestHints: where a number was written that JSON does not have, the error says how to write it.
func TestHints(t *testing.T) {
	t.Parallel()
	for in, hint := range map[string]string{
		`{"number":+4930}`: "double quotes", `{"number":*21#}`: "double quotes", `{"number":030}`: "its zero is kept", `{"a":1,"a":2}`: `"a" is already there`,
		`{"number":x}`: "",
	} {
		_, err := strictjson.Parse([]byte(in))
		if e := checkError(t, err); !strings.Contains(e.Hint, hint) || (hint == "") != (e.Hint == "") {
			t.Errorf("Parse(%s): %v, expected a hint with %q", in, err, hint)
		}
	}
}
