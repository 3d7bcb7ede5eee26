package snom_test

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// TestParsingIsCheap: a plain payload costs its copy and the argument taken apart, whatever its length.
func TestParsingIsCheap(t *testing.T) {
	for _, tt := range []struct {
		verb    snom.Verb
		payload string
		want    float64 // allocations
	}{
		{snom.VerbDial, "+4930123456789012345678901234567890", 2},
		{snom.VerbKey, "OFFHOOK;1;2;3;P12,2000,100;ENTER", 2},
		{snom.VerbTouch, "1 2 pr 3 4 pr", 2},
		{snom.VerbHangup, "", 1},
		{snom.VerbDial, `{"number":"+4930123"}`, 10},
	} {
		payload := []byte(tt.payload)
		got := testing.AllocsPerRun(100, func() {
			if _, err := snom.ParsePayload(tt.verb, payload); err != nil {
				t.Fatal(err)
			}
		})
		if got > tt.want {
			t.Errorf("%s %s: %v allocations, want at most %v", tt.verb, tt.payload, got, tt.want)
		}
	}
}

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

// BenchmarkAccessors is what a program asks of a command between reading it and sending it.
func BenchmarkAccessors(b *testing.B) {
	for _, text := range []string{"dial +4930123", "hangup", "key OFFHOOK;1;2;3;P12,2000,100;ENTER", `ring {"ringer":3,"count":20}`} {
		b.Run(text, func(b *testing.B) {
			c, err := snom.ParseCommand(text)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				c.Argument()
				c.Number()
				c.Confirmation()
				c.FirmwareURL()
				c.Transfer()
				for range c.KeyEvents() {
				}
				c.Steps("")
			}
		})
	}
}

// A recording is a connection to a phone that has replied already.
type recording struct {
	net.Conn
	reply []byte
}

func (r *recording) Read(b []byte) (int, error) {
	if len(r.reply) == 0 {
		return 0, io.EOF
	}
	n := copy(b, r.reply)
	r.reply = r.reply[n:]
	return n, nil
}

func (r *recording) Write(b []byte) (int, error)      { return len(b), nil }
func (r *recording) Close() error                     { return nil }
func (r *recording) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (r *recording) SetDeadline(time.Time) error      { return nil }
func (r *recording) SetReadDeadline(time.Time) error  { return nil }
func (r *recording) SetWriteDeadline(time.Time) error { return nil }

func BenchmarkSend(b *testing.B) {
	const head = "HTTP/1.1 200 OK\r\nServer: snom embedded\r\nContent-Type: text/html\r\nDate: Mon, 01 Jan 2026 00:00:00 GMT\r\n"
	for _, bb := range []struct{ name, reply string }{
		{"empty", head + "Content-Length: 0\r\n\r\n"},
		{"redirect", "HTTP/1.1 302 Found\r\nServer: snom embedded\r\nLocation: index.htm\r\nContent-Length: 0\r\n\r\n"},
		{"page", head + "Content-Length: 8000\r\n\r\n<html><title>snom D735</title>" + strings.Repeat("x", 8000)},
		{"until closed", head + "\r\n<html><title>snom D735</title>" + strings.Repeat("x", 8000)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			c, err := snom.NewClient(snom.ClientConfig{URL: "http://phone.example", Dial: func(context.Context, string, string) (net.Conn, error) {
				return &recording{reply: []byte(bb.reply)}, nil
			}})
			if err != nil {
				b.Fatal(err)
			}
			cmd, err := snom.ParseCommand("key P1")
			if err != nil {
				b.Fatal(err)
			}
			step := cmd.Steps("")[0]
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Send(b.Context(), step); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
