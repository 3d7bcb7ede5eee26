package jsonval

import (
	"encoding/json"
	"testing"
	"time"
)

func TestJSON(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 11, 0, 0, 123456789, time.FixedZone("", 3600))
	for _, tt := range []struct {
		in       any
		expected string
	}{
		{Text(""), `null`},
		{Text(`a "b"`), `"a \"b\""`},
		{Switch(0), `null`},
		{Off, `false`},
		{On, `true`},
		{Switch(9), `null`},
		{Time{}, `null`},
		{Time{Time: at}, `"2026-11-22T10:00:00.123Z"`},
		{Moment(at), `"2026-11-22T10:00:00.123Z"`},
		{struct{ A string }{"<&>"}, `{"A":"<&>"}`},
	} {
		got, err := Marshal(tt.in)
		if err != nil || string(got) != tt.expected {
			t.Errorf("Marshal(%#v) = %s, %v, expected %s", tt.in, got, err, tt.expected)
		}
	}
	if Moment(at) != Moment(at.UTC().Truncate(time.Millisecond)) {
		t.Error("two moments with the same JSON are different")
	}
}

func TestSwitchUnmarshal(t *testing.T) {
	t.Parallel()
	for in, expected := range map[string]Switch{`null`: Unknown, `true`: On, `false`: Off} {
		got := Switch(9)
		if err := json.Unmarshal([]byte(in), &got); err != nil || got != expected {
			t.Errorf("%s is read as %v, %v, expected %v", in, got, err, expected)
		}
	}
	var s Switch
	if err := json.Unmarshal([]byte(`"on"`), &s); err == nil {
		t.Error(`"on" is read as a switch`)
	}
}
