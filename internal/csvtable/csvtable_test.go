package csvtable

import (
	"reflect"
	"testing"
)

func TestRows(t *testing.T) {
	t.Parallel()
	got := Rows("name,value\na,\"1, 2\"\nb,\n")
	if expected := [][]string{{"a", "1, 2"}, {"b", ""}}; !reflect.DeepEqual(got, expected) {
		t.Errorf("Rows = %q, expected %q", got, expected)
	}
}

func TestRowsPanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("Rows of a table with a missing field did not panic")
		}
	}()
	Rows("name,value\na\n")
}
