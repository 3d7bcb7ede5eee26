package syslog_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/syslog"
)

func TestLines(t *testing.T) {
	t.Parallel()
	for line, expected := range map[string]syslog.Reading{
		"<135>Nov 27 12:00:00 snomD735-000413AABBCC [5] ALS_VALUE:123":     {Light: 8, HasLight: true},
		"<135>Nov  7 12:00:00 192.0.2.10 sensor: ALS_VALUE:0 x":            {HasLight: true},
		"<14>Nov 27 12:00:00 kitchen phone: sensor temperature: now 23.46": {Temperature: 23.5, HasTemperature: true},
		"<14>Nov 27 12:00:00 kitchen Temperature: -7\r\n":                  {Temperature: -7, HasTemperature: true},
		"<0>ALS_VALUE:1000\x00":                                {Light: 65, HasLight: true},
		"<191>snom: ALS_VALUE:1000 temperature: 24":            {Light: 65, HasLight: true, Temperature: 24, HasTemperature: true},
		"<135>Nov 27 12:00:00 ALS_VALUE:100":                   {Light: 6.5, HasLight: true},
		"ALS_VALUE:77":                                         {Light: 5, HasLight: true},
		"<135>2026-11-27T12:00:00Z kitchen app: ALS_VALUE:100": {Light: 6.5, HasLight: true},
		"<999>ALS_VALUE:100 ALS_VALUE:200":                     {Light: 13, HasLight: true},
	} {
		if got, ok := syslog.Parse([]byte(line)); !ok || got != expected {
			t.Errorf("%q: %+v, %v, expected %+v", line, got, ok, expected)
		}
	}
	for _, line := range []string{
		"", "<135>", "<135>Nov 27 12:00:00 kitchen", "<135>Nov 27 12:00:00 kitchen ALS_VALUE:", "<135>ALS_VALUE:-5", "<135>ALS_VALUE:1e3",
		"<135>ALS_VALUE:99999999999999999999", "<135>ALS_VALUE:4294967295", "<135>xALS_VALUE:5", "<135>ALS_VALUE: 5", "<135>temperature:", "<135>temperature: warm", "<135>temperature: 126",
		"<135>temperature: NaN", "<135>temperature: Inf", "<135>mytemperature: 5", "<135>temperature 5",
	} {
		if got, ok := syslog.Parse([]byte(line)); ok {
			t.Errorf("%q: %+v, expected nothing", line, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("<135>Nov 27 12:00:00 kitchen ALS_VALUE:123 temperature: 5"))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, ok := syslog.Parse(line)
		if ok != (r.HasLight || r.HasTemperature) || r.Light < 0 || r.Light > 200_000 || r.Temperature < -40 || r.Temperature > 125 {
			t.Errorf("%q: %+v, %v", line, r, ok)
		}
	})
}

// TestFromItsPhonesOnly sends lines from the address of a phone, and from another one.
func TestFromItsPhonesOnly(t *testing.T) {
	t.Parallel()
	type got struct {
		phone string
		r     syslog.Reading
	}
	readings := make(chan got, 10)
	own := netip.MustParseAddr("127.0.0.2")
	s, err := syslog.Listen("127.0.0.1:0", syslog.Config{
		Phone:   func(from netip.Addr) (string, bool) { return "kitchen", from == own },
		Reading: func(phone string, r syslog.Reading) { readings <- got{phone, r} },
		Log:     slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := syslog.Listen(s.Addr().String(), syslog.Config{}); err == nil {
		t.Error("an address that is taken is bound")
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	send := func(from, line string) {
		t.Helper()
		d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(from)}}
		conn, err := d.Dial("udp", s.Addr().String())
		if err != nil {
			t.Skip("this machine has no such address:", err) // macOS
		}
		defer conn.Close()
		if _, err := conn.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	send("127.0.0.3", "<135>ALS_VALUE:1")
	send("127.0.0.2", "<135>something else")
	send("127.0.0.2", "<135>ALS_VALUE:200 "+strings.Repeat("x", 8000))
	select {
	case g := <-readings:
		if g.phone != "kitchen" || g.r != (syslog.Reading{Light: 13, HasLight: true}) {
			t.Errorf("%+v", g)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("no measurement")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if st := s.Stats(); st != (syslog.Stats{Readings: 1, Others: 1, Foreign: 1}) {
		t.Errorf("%+v", st)
	}
	if _, err := syslog.Listen("nowhere", syslog.Config{}); err == nil {
		t.Error("no address is bound")
	}
}
