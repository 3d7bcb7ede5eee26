package sip_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/sip"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/notify"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// phoneAt returns a phone of this package at an address, and its endpoint.
func phoneAt(t *testing.T, address string, set ...func(*sip.PhoneConfig)) (*sip.Phone, *sip.Endpoint) {
	t.Helper()
	e := sip.NewEndpoint(sip.EndpointConfig{Listen: "127.0.0.1:0"})
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	})
	a, err := notify.ParseAddress(address)
	if err != nil {
		t.Fatal(err)
	}
	c := sip.PhoneConfig{Address: a, Timeout: 3 * time.Second}
	for _, f := range set {
		f(&c)
	}
	p, err := sip.NewPhone(e, c)
	if err != nil {
		t.Fatal(err)
	}
	return p, e
}

// trusting is a simulated D862 that takes documents from this machine.
func trusting() snomtest.Config {
	return snomtest.Config{Model: "D862", Firmware: "10.1.226.13", Settings: map[string]string{"mb_trusted_hosts": "192.0.2.9 127.0.0.1", "mac_info_in_sip_register": "on"}}
}

// do sends the steps of a command, without their pauses but the last key's.
func do(t *testing.T, p *sip.Phone, command string) (snom.Reply, error) {
	t.Helper()
	c, err := snom.ParseCommand(command)
	if err != nil {
		t.Fatal(err)
	}
	steps, _, err := p.Plan(c, snom.Model{})
	if err != nil {
		t.Fatal(err)
	}
	var reply snom.Reply
	for _, s := range steps {
		if reply, err = p.Send(t.Context(), s); err != nil {
			return reply, err
		}
	}
	return reply, err
}

func TestDial(t *testing.T) {
	t.Parallel()
	simulated := snomtest.New(trusting())
	_, at := snomtest.ServeSIP(t, simulated, snomtest.SIPConfig{})
	p, e := phoneAt(t, "sip:27@"+at)
	reply, err := do(t, p, "dial +4930123")
	if err != nil || reply != (snom.Reply{Status: 200, Requests: 1}) {
		t.Fatalf("Send = %+v, %v, expected status 200 and one request", reply, err)
	}
	if calls := simulated.State().Calls; len(calls) != 1 || calls[0].Number != "+4930123" {
		t.Errorf("calls = %+v, expected one to +4930123", calls)
	}
	if s, open := e.Stats(); !open || s != (sip.Stats{Answers: 1}) {
		t.Errorf("Stats = %+v, expected one answer", s)
	}
}

func TestProbe(t *testing.T) {
	t.Parallel()
	simulated := snomtest.New(trusting())
	_, at := snomtest.ServeSIP(t, simulated, snomtest.SIPConfig{})
	p, _ := phoneAt(t, "sip:27@"+at)
	info, err := p.Probe(t.Context())
	if err != nil || info.Model != "D862" || info.Firmware != "10.1.226.13" || !strings.HasPrefix(info.MAC, "000413") || info.IdentifiedBy == "" || info.RemoteControl != snom.Yes {
		t.Errorf("Probe = %+v, %v", info, err)
	}
	if err := p.Ping(t.Context()); err != nil {
		t.Errorf("Ping = %v", err)
	}
}

// TestUntrusted: a phone that does not trust the sender says 200 all the same.
func TestUntrusted(t *testing.T) {
	t.Parallel()
	simulated := snomtest.New(snomtest.Config{Model: "D862"})
	_, at := snomtest.ServeSIP(t, simulated, snomtest.SIPConfig{})
	p, _ := phoneAt(t, "sip:"+at)
	if _, err := do(t, p, "answer"); err != nil {
		t.Errorf("Send = %v, expected nil", err)
	}
	if done := simulated.Executed(); len(done) != 0 {
		t.Errorf("carried out: %+v", done)
	}
}

func TestLogin(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		user, password string
		requests, bad  int
		err            error
	}{
		{"27", "right", 2, 0, nil},
		{"27", "wrong", 2, 1, snom.ErrUnauthorized},
		{"", "", 1, 0, snom.ErrUnauthorized},
	} {
		c := trusting()
		c.Settings["challenge_checksync"] = "on"
		simulated := snomtest.New(c)
		_, at := snomtest.ServeSIP(t, simulated, snomtest.SIPConfig{User: "27", Password: "right"})
		p, _ := phoneAt(t, "sip:27@"+at, func(c *sip.PhoneConfig) { c.Username, c.Password = test.user, test.password })
		reply, err := do(t, p, "reboot")
		if !errors.Is(err, test.err) || reply.Requests != test.requests || simulated.FailedLogins() != test.bad {
			t.Errorf("%s:%s: %+v, %v, %d failed logins, expected %+v", test.user, test.password, reply, err, simulated.FailedLogins(), test)
		}
		if err != nil && test.password != "" && strings.Contains(err.Error(), test.password) {
			t.Errorf("the error contains the password: %v", err)
		}
	}
}

// TestNotThere: a port that refuses is unreachable at once, and one that is silent after the timeout is not known.
func TestNotThere(t *testing.T) {
	t.Parallel()
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	gone, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := gone.LocalAddr().String()
	gone.Close()
	p, _ := phoneAt(t, "sip:27@"+at)
	if reply, err := do(t, p, "answer"); !errors.Is(err, snom.ErrUnreachable) || reply.Requests != 0 {
		t.Errorf("a port that refuses: %+v, %v, expected ErrUnreachable", reply, err)
	}
	if err := p.Ping(t.Context()); !errors.Is(err, snom.ErrUnreachable) {
		t.Errorf("Ping = %v, expected ErrUnreachable", err)
	}
	short := func(c *sip.PhoneConfig) { c.Timeout = 100 * time.Millisecond }
	q, _ := phoneAt(t, "sip:27@"+silent.LocalAddr().String(), short)
	if reply, err := do(t, q, "answer"); !errors.Is(err, snom.ErrOutcomeUnknown) || reply.Requests != 1 {
		t.Errorf("silence: %+v, %v, expected ErrOutcomeUnknown", reply, err)
	}
	if err := q.Ping(t.Context()); !errors.Is(err, snom.ErrUnreachable) {
		t.Errorf("Ping of silence = %v, expected ErrUnreachable", err)
	}
	step := snom.Step{Request: page(t).Request, NotAfter: time.Now().Add(-time.Second)}
	if _, err := q.Send(t.Context(), step); !errors.Is(err, snom.ErrExpired) {
		t.Errorf("Send after NotAfter = %v, expected ErrExpired", err)
	}
}

// TestARevokedStepIsNotSent: neither at all, nor again where the first copy may have been lost, over UDP and over TCP.
func TestARevokedStepIsNotSent(t *testing.T) {
	t.Parallel()
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var revoked atomic.Bool
	step := page(t)
	step.Revoked = &revoked
	p, _ := phoneAt(t, "sip:27@"+silent.LocalAddr().String(), func(c *sip.PhoneConfig) { c.Timeout = 1200 * time.Millisecond }) // two copies later
	copies := make(chan int, 1)
	go func() {
		n := 0
		for {
			if _, _, err := silent.ReadFrom(make([]byte, 4096)); err != nil {
				copies <- n
				return
			}
			n++
			revoked.Store(true)
		}
	}()
	if reply, err := p.Send(t.Context(), step); !errors.Is(err, snom.ErrOutcomeUnknown) || reply.Requests != 1 {
		t.Errorf("revoked after the first copy: %+v, %v, expected ErrOutcomeUnknown", reply, err)
	}
	stream, _ := phoneAt(t, "sip:27@"+l.Addr().String()+";transport=tcp")
	for _, q := range []*sip.Phone{p, stream} {
		if reply, err := q.Send(t.Context(), step); !errors.Is(err, snom.ErrRevoked) || reply.Requests != 0 {
			t.Errorf("revoked before: %+v, %v, expected ErrRevoked", reply, err)
		}
	}
	silent.Close()
	if n := <-copies; n != 1 {
		t.Errorf("%d copies, expected 1", n)
	}
}

// TestStreams: over TCP and over TLS, with the certificate checked.
func TestStreams(t *testing.T) {
	t.Parallel()
	simulated := snomtest.New(trusting())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	side := simulated.SIP(nil, snomtest.SIPConfig{})
	done := make(chan error, 1)
	go func() { done <- side.ServeStream(l) }()
	defer func() {
		l.Close()
		simulated.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	p, _ := phoneAt(t, "sip:27@"+l.Addr().String()+";transport=tcp")
	if reply, err := do(t, p, "dial 28"); err != nil || reply.Status != 200 {
		t.Errorf("over TCP: %+v, %v", reply, err)
	}
	secure, _ := phoneAt(t, "sip:27@"+l.Addr().String()+";transport=tls", func(c *sip.PhoneConfig) { c.Timeout = 300 * time.Millisecond })
	if _, err := do(t, secure, "dial 28"); !errors.Is(err, snom.ErrUnreachable) {
		t.Errorf("TLS to a port without: %v, expected ErrUnreachable", err)
	}
	if n := len(simulated.Executed()); n != 1 {
		t.Errorf("%d calls, expected 1", n)
	}
}

func TestContextEnds(t *testing.T) {
	t.Parallel()
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	p, _ := phoneAt(t, "sip:27@"+silent.LocalAddr().String())
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		_, _, _ = silent.ReadFrom(make([]byte, 4096))
		cancel(errors.New("it stops"))
	}()
	_, err = p.Send(ctx, page(t))
	if !errors.Is(err, snom.ErrOutcomeUnknown) || !strings.Contains(err.Error(), "it stops") {
		t.Errorf("Send = %v, expected ErrOutcomeUnknown and the cause", err)
	}
}

// page is a step that has the phone fetch a page.
func page(t *testing.T) snom.Step {
	t.Helper()
	step, fetches, err := notify.Show(snom.Display{URL: "http://127.0.0.1/", Document: make([]byte, notify.MaxDocument+1)})
	if err != nil || !fetches {
		t.Fatal(fetches, err)
	}
	return step
}
