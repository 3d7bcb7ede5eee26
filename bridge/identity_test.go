package bridge_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// statusOf is the last status of a phone that was published.
func (h *harness) statusOf(name string) (status map[string]any) {
	h.t.Helper()
	synctest.Wait()
	all := h.out.On(h.tree.Status(name))
	if len(all) == 0 {
		h.t.Fatalf("no status of %s was published", name)
	}
	if err := json.Unmarshal(all[len(all)-1].Payload, &status); err != nil {
		h.t.Fatal(err)
	}
	return status
}

// What a phone says of itself counts over the settings, and what is wrong is a problem in its status and one line in
// the log.
func TestWhatAPhoneSaysOfItselfCounts(t *testing.T) {
	t.Parallel()
	model := func(name string) snom.Model {
		m, ok := snom.FindModel(name)
		if !ok && name != "" {
			t.Fatalf("no model %s", name)
		}
		return m
	}
	for _, tt := range []struct {
		name, is, configured string
		command, payload     string
		code                 bridge.Code
		problem              string
	}{
		{"as configured", "D735", "D735", "key", "P1", bridge.OK, ""},
		{"not configured", "D735", "", "key", "P1", bridge.OK, ""},
		{"configured with touch, and it has none", "D735", "870", "touch", "1 1", bridge.Unsupported, "the settings say model 870, the phone says D735"},
		{"configured without remote control, and it has", "D735", "D865", "key", "P1", bridge.OK, "the settings say model D865, the phone says D735"},
		{"no remote control", "D865", "", "key", "P1", bridge.Unsupported, "no remote control"},
		{"no remote control, as configured", "D865", "D865", "key", "P1", bridge.Unsupported, "no remote control"},
		{"no remote control, and configured as one that has", "D865", "D735", "key", "P1", bridge.Unsupported, "the settings say model D735, the phone says that it has no"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := testPhone{phone: snomtest.Config{Name: "desk", Model: tt.is}, set: func(p *bridge.PhoneConfig) { p.Model = model(tt.configured) }}
			inHarness(t, bridge.Config{}, []testPhone{r}, func(h *harness) {
				time.Sleep(time.Minute)
				if got := h.result("snom/desk/"+tt.command, tt.payload, time.Second); got.Code != tt.code {
					t.Errorf("%s: %+v, expected %s", tt.command, got, tt.code)
				}
				h.bridge.Republish()
				s := h.statusOf("desk")
				if problem, _ := s["problem"].(string); !strings.Contains(problem, tt.problem) || (problem == "") != (tt.problem == "") {
					t.Errorf("problem %q, expected %q", problem, tt.problem)
				}
				if s["model"] != tt.is && tt.is != "D865" { // which does not say its model
					t.Errorf("model %v, expected %s", s["model"], tt.is)
				}
				if none := h.bridge.Snapshot()[0].RemoteControl == snom.No; none != (tt.is == "D865") {
					t.Errorf("it has no remote control: %v", none)
				}
				time.Sleep(24 * time.Hour)
				want := 0
				if tt.problem != "" {
					want = 1
				}
				if n := strings.Count(h.log.String(), "problem with a phone"); n != want {
					t.Errorf("%d lines about a problem in a day, expected %d", n, want)
				}
			})
		})
	}
}

// A device that never showed that it is a Snom phone is said to be so.
func TestAnotherDeviceIsNoted(t *testing.T) {
	t.Parallel()
	r := testPhone{phone: snomtest.Config{Name: "desk", Model: "D735", FaultOf: func(snomtest.Request) snomtest.Fault { return snomtest.FaultHTML }}}
	inHarness(t, bridge.Config{}, []testPhone{r}, func(h *harness) {
		time.Sleep(time.Minute)
		if got := h.result("snom/desk/key", "P1", time.Second); got.OK {
			t.Errorf("a key: %+v, expected an error", got)
		}
		h.bridge.Republish()
		if problem := fmt.Sprint(h.statusOf("desk")["problem"]); !strings.Contains(problem, "nothing has shown yet that this device is a Snom phone") {
			t.Errorf("problem %q", problem)
		}
		if n := strings.Count(h.log.String(), "nothing has shown yet"); n != 1 {
			t.Errorf("%d lines, expected 1", n)
		}
	})
}

// A phone whose certificate is not trusted is offline, said once with the fingerprint, whatever it sends by itself.
func TestAnUntrustedCertificateIsSaidOnce(t *testing.T) {
	t.Parallel()
	config, _, err := snomtest.SelfSigned(false)
	if err != nil {
		t.Fatal(err)
	}
	dial := func(context.Context, string, string) (net.Conn, error) {
		ours, its := net.Pipe()
		go func() {
			defer its.Close()
			_ = tls.Server(its, config).Handshake() // the client refuses it
		}()
		return ours, nil
	}
	synctest.Test(t, func(t *testing.T) {
		client, err := snom.NewClient(snom.ClientConfig{URL: "https://desk.invalid", Dial: dial})
		if err != nil {
			t.Fatal(err)
		}
		r := one()
		r[0].set = func(p *bridge.PhoneConfig) { p.Phone, p.URL = client, "https://desk.invalid" }
		h := newHarness(t, bridge.Config{Events: true, PollEvery: 5 * time.Second}, r, nil)
		for range 60 {
			time.Sleep(time.Minute)
			h.bridge.Event("desk", actionurl.Event{Type: actionurl.EventOffhook, Time: time.Now()})
		}
		if got := h.result("snom/desk/key", "P1", 10*time.Second); got.Code != bridge.Unreachable || !strings.Contains(got.Message, "SHA-256") {
			t.Errorf("a key: %+v, expected unreachable, and why", got)
		}
		h.bridge.Republish()
		if s := h.statusOf("desk"); s["reachable"] != false || !strings.Contains(fmt.Sprint(s["problem"]), "certificate is not trusted: set cert_sha256 ") {
			t.Errorf("status %v", s)
		}
		for _, line := range []string{"phone unreachable", "problem with a phone"} {
			if n := strings.Count(h.log.String(), line); n != 1 {
				t.Errorf("%q was logged %d times in an hour, expected once:\n%s", line, n, h.log)
			}
		}
		h.stop()
	})
}

// An error of this machine says nothing of the phone: it stays reachable, and the command is answered internal.
func TestLocalErrorsAreNotThePhones(t *testing.T) {
	t.Parallel()
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL} {
		t.Run(errno.Error(), func(t *testing.T) {
			t.Parallel()
			var broken atomic.Bool
			synctest.Test(t, func(t *testing.T) {
				phone, dial := snomtest.NewPipe(t, snomtest.Config{Name: "desk", Model: "D735"})
				client, err := snom.NewClient(snom.ClientConfig{URL: "http://desk.invalid", Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
					if broken.Load() {
						return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errno}
					}
					return dial(ctx, network, addr)
				}})
				if err != nil {
					t.Fatal(err)
				}
				h := newHarness(t, bridge.Config{}, []testPhone{{phone: snomtest.Config{Name: "desk", Model: "D735"}, set: func(p *bridge.PhoneConfig) { p.Phone = client }}}, nil)
				h.phones["desk"] = phone
				h.result("snom/desk/key", "P1", time.Minute)
				broken.Store(true)
				h.out.Take()
				if got := h.result("snom/desk/key", "P1", time.Second); got.Code != bridge.Internal || got.Requests != 0 {
					t.Errorf("a key: %+v, expected internal", got)
				}
				h.say("snom/bridge/request/probe", "desk")
				time.Sleep(time.Hour)
				if got := h.out.On("snom/desk/availability"); len(got) != 0 {
					t.Errorf("availability %s, expected nothing said of it", got[0].Payload)
				}
				broken.Store(false)
				h.out.Take()
				if got := h.result("snom/desk/key", "P1", time.Second); got.Code != bridge.OK {
					t.Errorf("a key afterwards: %+v, expected ok", got)
				}
				h.stop()
			})
		})
	}
}

// A phone that becomes reachable or unreachable is one line at info, and so is a refused command for each phone and
// code a minute.
func TestTheLogTellsWhatHappened(t *testing.T) {
	t.Parallel()
	inHarness(t, bridge.Config{}, one(), func(h *harness) {
		count := func(text string) int {
			synctest.Wait()
			return strings.Count(h.log.String(), text)
		}
		if n := count(`level=INFO msg="phone reachable" phone=desk`); n != 1 {
			t.Errorf("%d lines that the phone is reachable, expected 1", n)
		}
		h.phones["desk"].SetFault(snomtest.FaultRefuseConnects)
		time.Sleep(10 * time.Minute)
		if n := count(`level=INFO msg="phone unreachable" phone=desk`); n != 1 || !strings.Contains(h.log.String(), "refused") {
			t.Errorf("%d lines that the phone is unreachable, expected 1, and why", n)
		}
		h.phones["desk"].SetFault("")
		time.Sleep(2 * time.Minute)
		if n := count("phone reachable"); n != 2 {
			t.Errorf("%d lines that the phone is reachable, expected 2", n)
		}
		for range 100 {
			h.say("snom/desk/dial", "030 x")
			h.say("snom/desk/touch", "1 1")
			h.say("snom/desk/reset", "desk")
		}
		for _, code := range []string{"invalid", "unsupported", "forbidden"} {
			if n := count(`level=INFO msg="command not carried out" phone=desk`); n != 3 {
				t.Errorf("%d lines about 300 refused commands, expected one for each code", n)
			}
			if n := count("code=" + code); n != 1 {
				t.Errorf("%d lines with %s, expected 1", n, code)
			}
		}
		time.Sleep(61 * time.Second)
		h.say("snom/desk/dial", "030 x")
		if n := count("suppressed=99"); n != 1 {
			t.Errorf("%d lines that say how many were left out, expected 1:\n%s", n, h.log)
		}
	})
}

// A phone that answers before the broker has delivered its retained status was published as idle for a moment, and then as
// ringing once more, which starts automations again.
func TestNoStatusBeforeTheRetainedOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first := newHarness(t, bridge.Config{Events: true}, one(), nil)
		first.bridge.Event("desk", actionurl.Event{Type: actionurl.EventDNDOn, Time: time.Now()})
		first.bridge.Event("desk", actionurl.Event{Type: actionurl.EventIncoming, CallID: "c", Direction: actionurl.DirectionIn, Time: time.Now()})
		synctest.Wait()
		all := first.out.On("snom/desk/status")
		first.stop()

		second := newHarness(t, bridge.Config{Events: true, HoldStatus: true}, one(), nil)
		sub, err := second.bridge.Subscribe(64)
		if err != nil {
			t.Fatal(err)
		}
		second.bridge.Event("desk", actionurl.Event{Type: actionurl.EventOffhook, Time: time.Now()})
		synctest.Wait()
		if early := second.out.On("snom/desk/status"); len(early) > 0 {
			t.Errorf("before the broker delivered what it had kept: %s", early[0].Payload)
		}
		if len(sub.C) == 0 {
			t.Error("a reader received nothing")
		}
		sub.Close()
		handle(second.bridge, second.tree, all[len(all)-1])
		second.bridge.Republish()
		synctest.Wait()
		published := second.out.On("snom/desk/status")
		if len(published) == 0 {
			t.Fatal("nothing was published")
		}
		for _, m := range published {
			if text := string(m.Payload); !strings.Contains(text, `"state":"ringing"`) || !strings.Contains(text, `"dnd":true`) || !strings.Contains(text, `"hook":"off"`) {
				t.Errorf("published: %s", text)
			}
		}
		second.bridge.Event("desk", actionurl.Event{Type: actionurl.EventOnhook, Time: time.Now()})
		synctest.Wait()
		if now := second.out.On("snom/desk/status"); len(now) != len(published)+1 {
			t.Errorf("%d statuses after one more event, expected %d", len(now), len(published)+1)
		}
		second.stop()
	})
}

// What phones reported survives a restart of the bridge, from its own retained status, and never wins over what they
// report to this process.
func TestWhatPhonesReportedSurvivesARestart(t *testing.T) {
	t.Parallel()
	event := func(h *harness, kind actionurl.EventType, id string) {
		h.bridge.Event("desk", actionurl.Event{Type: kind, CallID: id, Direction: actionurl.DirectionIn,
			Remote: actionurl.Party{Number: "+4930123", Name: "Front door"}, Time: time.Now()})
	}
	synctest.Test(t, func(t *testing.T) {
		first := newHarness(t, bridge.Config{Events: true}, one(), nil)
		for _, kind := range []actionurl.EventType{actionurl.EventDNDOn, actionurl.EventForwardingOn, actionurl.EventRegistered} {
			event(first, kind, "")
		}
		event(first, actionurl.EventMissed, "m")
		event(first, actionurl.EventConnected, "c")
		synctest.Wait()
		all := first.out.On("snom/desk/status")
		kept := all[len(all)-1]
		first.stop()
		time.Sleep(time.Minute)

		second := newHarness(t, bridge.Config{Events: true}, one(), nil)
		handle(second.bridge, second.tree, kept)
		second.bridge.Republish()
		s := second.statusOf("desk")
		call, _ := s["call"].(map[string]any)
		caller, _ := s["last_caller"].(map[string]any)
		if s["dnd"] != true || s["forwarding"] != true || s["registered"] != true || s["missed"] != 1.0 || caller["number"] != "+4930123" ||
			call["state"] != "connected" || s["as_of"] == nil {
			t.Errorf("after a restart: %v", s)
		}
		// It is not known well enough to decide by: the setting is.
		if r := second.result("snom/desk/dnd", "on", 5*time.Second); r.Code != bridge.OK || r.Requests == 0 {
			t.Errorf("dnd after a restart: %+v, expected that the phone was asked", r)
		}
		handle(second.bridge, second.tree, kept) // the broker delivers it again on the next connection
		second.bridge.Republish()
		if s := second.statusOf("desk"); s["missed"] != 1.0 {
			t.Errorf("after another connection: %v missed, expected 1", s["missed"])
		}
		event(second, actionurl.EventDisconnected, "c")
		time.Sleep(10 * time.Second)
		if got := second.bridge.Snapshot()[0].Call.State; got != "idle" {
			t.Errorf("after the call ended: %s, expected idle", got)
		}
		second.stop()

		third := newHarness(t, bridge.Config{Events: true}, one(), nil)
		event(third, actionurl.EventDNDOff, "")
		for _, payload := range []string{string(kept.Payload), "", "null", "{", `{"dnd":1}`, "\xff"} {
			handle(third.bridge, third.tree, mqtt.Message{Topic: "snom/desk/status", Payload: []byte(payload), Retained: true})
		}
		handle(third.bridge, third.tree, mqtt.Message{Topic: "snom/attic/status", Payload: kept.Payload, Retained: true})
		third.bridge.Republish()
		if s := third.statusOf("desk"); s["dnd"] != false {
			t.Errorf("what it reported to this process is overruled: %v", s)
		}
		third.stop()
	})
}

// What a phone had reported to an earlier process stands in the status until it reports something else, and commands are
// not checked against it.
func TestWhatAPhoneHadReportedIsShown(t *testing.T) {
	t.Parallel()
	remembered := func(name, url string) (string, string, string) {
		if name != "desk" || url != "http://desk.invalid" {
			return "", "", ""
		}
		return "320", "8.7.5.44", "000413000001"
	}
	locked := testPhone{phone: snomtest.Config{Name: "desk", Model: "D735", MAC: "000413000002", Auth: snomtest.AuthDigest, Username: "admin", Password: "right"}, set: func(p *bridge.PhoneConfig) {
		p.Model = snom.Model{}
	}}
	inHarness(t, bridge.Config{Remembered: remembered}, []testPhone{locked}, func(h *harness) {
		expect := func(model, firmware, mac string) {
			h.t.Helper()
			if s := h.bridge.Snapshot()[0]; string(s.Model) != model || string(s.MAC) != mac || firmware != "" && string(s.Firmware) != firmware {
				h.t.Errorf("status %q %q %q, expected %q %q %q", s.Model, s.Firmware, s.MAC, model, firmware, mac)
			}
		}
		expect("320", "8.7.5.44", "000413000001")
		if got := h.result("snom/desk/touch", "1 1", 10*time.Second); got.Code != bridge.OK {
			h.t.Errorf("touch: %+v, expected ok: the phone is another one now", got)
		}
		time.Sleep(time.Minute) // it accepted the login, and is asked what it is
		expect("D735", "", "000413000002")
	})
	inHarness(t, bridge.Config{}, []testPhone{locked}, func(h *harness) {
		if log := h.log.String(); !strings.Contains(log, `msg="phone reachable" phone=desk`+"\n") {
			h.t.Errorf("the log does not say that the phone is reachable, and nothing else of it:\n%s", log)
		}
	})
}
