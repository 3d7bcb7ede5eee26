package snom_test

import (
	"slices"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

func TestMJPEGTable(t *testing.T) {
	t.Parallel()
	rows := table(t, "mjpeg.csv")
	if len(rows) == 0 {
		t.Fatal("no rows")
	}
	for _, r := range rows {
		m := modelOf(t, r["model"])
		if m.Name() != r["model"] || !slices.Contains(marks, snom.Evidence(r["mark"])) || r["source"] == "" {
			t.Errorf("%v", r)
		}
		if !m.PlaysMJPEG("10.1.184.14") || m.PlaysMJPEG("8.9.3.80") || m.PlaysMJPEG("") || m.PlaysMJPEG("x") {
			t.Errorf("%s: plays MJPEG with firmware 10 only", m)
		}
	}
	if modelOf(t, "D865").PlaysMJPEG("10.1.184.14") || (snom.Model{}).PlaysMJPEG("10.1.184.14") {
		t.Error("a model of which it is not known plays MJPEG")
	}
}
