package snom_test

import (
	"testing"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

func BenchmarkParsePayload(b *testing.B) {
	for _, bb := range []struct {
		name    string
		verb    snom.Verb
		payload string
	}{
		{"plain", snom.VerbDial, "+4930123"},
		{"keys", snom.VerbKey, "OFFHOOK;1;2;3;P12,2000,100;ENTER"},
		{"json", snom.VerbDial, `{"number":"+4930123"}`},
		{"list", snom.VerbKey, `{"keys":[{"key":"P1","hold_ms":100},{"key":"ENTER"}]}`},
	} {
		b.Run(bb.name, func(b *testing.B) {
			payload := []byte(bb.payload)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := snom.ParsePayload(bb.verb, payload); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSteps(b *testing.B) {
	for _, text := range []string{"dial +4930123", "hangup", "key OFFHOOK;1;2;3;P12,2000,100;ENTER", "transfer 28"} {
		b.Run(text, func(b *testing.B) {
			c, err := snom.ParseCommand(text)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				c.Steps("")
			}
		})
	}
}

func BenchmarkCheck(b *testing.B) {
	model, _ := snom.FindModel("D735")
	c, err := snom.ParseCommand("key OFFHOOK;1;2;3;P12,2000,100;ENTER")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := model.Check(c); err != nil {
			b.Fatal(err)
		}
	}
}
