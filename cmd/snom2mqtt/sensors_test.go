package main

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/config"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/mqtt/mqtttest"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// TestSensorsOfPhones: lines are those of the phone at the address that they come from, whether the settings have its address or
// its name, and of no phone where that is not certain.
func TestSensorsOfPhones(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	tree, err := mqtt.NewTree("snom", "")
	if err != nil {
		t.Fatal(err)
	}
	var phones bridge.Roster
	var roster config.Roster
	add := func(name, url, model string) {
		t.Helper()
		m, ok := snom.FindModel(model)
		if !ok {
			t.Fatal(model)
		}
		client, err := snom.NewClient(snom.ClientConfig{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		phones.Phones = append(phones.Phones, bridge.PhoneConfig{Name: name, URL: url, Phone: client, Model: m})
		roster.Phones = append(roster.Phones, config.Phone{Name: name, URL: url})
	}
	add("kitchen", "http://192.0.2.1", "D735")
	add("hall", "http://192.0.2.1:8080", "D785")
	add("one", "http://192.0.2.2:81", "D735")
	add("two", "http://192.0.2.2:82", "D735")
	add("office", "http://192.0.2.3", "870")
	add("named", "http://localhost:8000", "D735")
	out := &mqtttest.Recorder{}
	b := bridge.New(bridge.Config{Tree: tree, Publish: out, Log: log, QueueLength: 32, PollEvery: time.Minute, RingTimeout: 2 * time.Minute, CallTimeout: 4 * time.Hour}, phones)
	s, err := listenForSensors(config.Config{SyslogListen: "127.0.0.1:0", Roster: roster}, func() *bridge.Bridge { return b }, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.serve(ctx) }()
	for from, expected := range map[string]string{"192.0.2.1": "kitchen", "192.0.2.2": "", "192.0.2.3": "", "192.0.2.9": "", "2001:db8::1": ""} {
		if name, ok := s.phone(netip.MustParseAddr(from)); name != expected || ok != (expected != "") {
			t.Errorf("%s: %q, %v, expected %q", from, name, ok, expected)
		}
	}
	// Its name is looked up soon.
	device, _ := snomtest.NewPipe(t, snomtest.Config{Model: "D735"})
	if device.Measure(ctx, 1, 2) {
		t.Error("a phone without a server has reported")
	}
	sender := snomtest.New(snomtest.Config{Model: "D735"})
	sender.Set("syslog_server", s.server.Addr().String())
	for late := time.Now().Add(time.Minute); b.Snapshot()[2].Panel == nil; {
		if time.Now().After(late) {
			t.Fatal("no measurement of the phone whose host is a name")
		}
		if !sender.Measure(ctx, 13, 23.5) {
			t.Fatal("the phone has not reported")
		}
		<-time.After(10 * time.Millisecond)
	}
	if p := b.Snapshot()[2]; p.Phone != "named" || *p.Light != 13 || p.Temperature != nil && *p.Temperature != 23.5 {
		t.Errorf("%+v", p)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := listenForSensors(config.Config{SyslogListen: "192.0.2.1:1"}, nil, log); err == nil {
		t.Error("an address of another machine is bound")
	}
	if s, err := listenForSensors(config.Config{}, nil, log); s != nil || err != nil {
		t.Errorf("%v, %v without SYSLOG_LISTEN", s, err)
	}
}
