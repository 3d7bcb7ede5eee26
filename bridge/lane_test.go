package bridge_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// No request of a command is sent after the command has expired, wherever the time was spent.
func TestNothingIsSentAfterItsExpiry(t *testing.T) {
	t.Parallel()
	for _, auth := range []snomtest.Auth{snomtest.AuthDigest, snomtest.AuthBasic} {
		for _, command := range [][2]string{{"key", `{"keys":"P1","expires_in":1}`}, {"dial", `{"number":"1","expires_in":3.9}`}, {"hangup", `{"expires_in":1}`}} {
			r := one()
			r[0].phone.Auth, r[0].phone.Latency = auth, 4*time.Second
			inHarness(t, bridge.Config{}, r, func(h *harness) {
				time.Sleep(30 * time.Second)
				h.say("snom/desk/"+command[0], command[1])
				time.Sleep(time.Minute)
				got := h.results()
				if len(got) != 1 || got[0].Code != bridge.Expired || got[0].Requests != 1 {
					t.Errorf("%s, %s: %+v, expected expired after the request that fetched the challenge", auth, command[0], got)
				}
				if did := h.pressed("desk"); len(did) != 0 {
					t.Errorf("%s, %s: the phone did %q", auth, command[0], did)
				}
			})
		}
	}
	// Later requests of a command that has begun: each may be as late as the first one might have been.
	r := one()
	made := 0
	r[0].phone.FaultOf = func(q snomtest.Request) snomtest.Fault {
		if strings.Contains(q.Target, "command.htm") {
			made++
		}
		return ""
	}
	inHarness(t, bridge.Config{}, r, func(h *harness) {
		if got := h.result("snom/desk/transfer", `{"number":"123456789","expires_in":0.6}`, 5*time.Second); got.Code != bridge.OK || made < 10 {
			t.Errorf("a transfer that takes longer than it may wait: %+v, expected ok", got)
		}
	})
}

// A ring with a count leaves the phone to other commands between two rings, and is ended by ring stop and by hangup.
func TestARingLeavesThePhoneToOthers(t *testing.T) {
	t.Parallel()
	const rings = `{"id":"r","ringer":1,"count":20,"pause_ms":2000}`
	for _, length := range []int{1, 32} {
		inHarness(t, bridge.Config{Gap: 100 * time.Millisecond, QueueLength: length}, one(), func(h *harness) {
			h.say("snom/desk/ring", rings)
			time.Sleep(time.Second)
			for _, c := range [][2]string{{"dtmf", "12#"}, {"key", "P1"}, {"dial", "123"}} {
				if r := h.result("snom/desk/"+c[0], c[1], 200*time.Millisecond); r.Code != bridge.OK || r.QueuedMS > 2100 {
					t.Errorf("%s between two rings: %+v, expected ok at once", c[0], r)
				}
			}
			time.Sleep(time.Minute)
			got := h.results()
			if len(got) != 1 || got[0].Code != bridge.OK || got[0].DurationMS < 38_000 || got[0].DurationMS > 42_000 {
				t.Errorf("the ring itself: %+v, expected ok after 20 rings", got)
			}
			if n := len(h.pressed("desk")); n != 23 {
				t.Errorf("the phone did %d requests, expected 23", n)
			}
		})
	}
	for _, tt := range []struct{ command, payload string }{{"ring", "stop"}, {"hangup", ""}, {"hangup", "current"}, {"command", `{"command":"ring","ringer":"stop"}`}} {
		for _, after := range []time.Duration{0, 500 * time.Millisecond, 7 * time.Second} {
			slow := one()
			slow[0].phone.Latency = 300 * time.Millisecond
			inHarness(t, bridge.Config{}, slow, func(h *harness) {
				h.say("snom/desk/ring", rings)
				h.say("snom/desk/ring", `{"id":"s","ringer":2,"count":10}`)
				time.Sleep(after)
				h.say("snom/desk/"+tt.command, tt.payload)
				time.Sleep(time.Minute)
				got := codes(h.results())
				if got["r"] != bridge.Cancelled || got["s"] != bridge.Cancelled || len(got) != 3 {
					t.Errorf("%s %s after %v: %v, expected both rings cancelled", tt.command, tt.payload, after, got)
				}
				last := h.pressed("desk")
				time.Sleep(time.Minute)
				if n := len(h.pressed("desk")); n != len(last) {
					t.Errorf("%s %s after %v: it rings on", tt.command, tt.payload, after)
				}
			})
		}
	}
	inHarness(t, bridge.Config{}, one(), func(h *harness) { // what is left is not rung late
		h.say("snom/desk/ring", rings)
		time.Sleep(time.Second)
		h.say("snom/desk/key", `{"id":"k","keys":"P1,60000"}`)
		time.Sleep(2 * time.Minute)
		got := codes(h.results())
		if got["r"] != bridge.Expired || got["k"] != bridge.OK {
			t.Errorf("a ring behind a key sequence of a minute: %v, expected the rest of it expired", got)
		}
	})
}

// Commands that have expired leave the queue at their time, also of a lane that waits or whose request hangs, and
// before a live command is refused.
func TestOverdueCommandsLeaveTheQueue(t *testing.T) {
	t.Parallel()
	for name, block := range map[string]func(*harness){
		"a key sequence": func(h *harness) { h.say("snom/desk/key", "P1,20000") },
		"a request that hangs": func(h *harness) {
			h.phones["desk"].SetFault(snomtest.FaultHang)
			h.say("snom/desk/key", "P1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inHarness(t, bridge.Config{}, one(), func(h *harness) {
				block(h)
				synctest.Wait()
				h.out.Take()
				h.say("snom/desk/key", `{"id":"first","keys":"P2"}`)
				for i := range 31 {
					h.say("snom/desk/key", fmt.Sprintf(`{"id":"short-%d","keys":"P3","expires_in":1}`, i))
				}
				time.Sleep(1100 * time.Millisecond)
				if got := h.results(); len(got) != 31 || got[0].Code != bridge.Expired || got[0].QueuedMS != 1000 {
					t.Errorf("%d answers after 1.1 s, expected 31 expired after 1 s", len(got))
				}
				h.say("snom/desk/key", `{"id":"live","keys":"P4"}`)
				time.Sleep(time.Minute)
				h.phones["desk"].SetFault("")
				got := codes(h.results())
				if c := got["live"]; c == bridge.Busy || c == "" {
					t.Errorf("a live command: %q of %v, expected that it waits", c, got)
				}
			})
		})
	}
}

// A wall clock that is set back while a command waits delays nothing, whatever expiry it has.
func TestAClockSetBackDelaysNothing(t *testing.T) {
	t.Parallel()
	inHarness(t, bridge.Config{}, one(), func(h *harness) {
		h.say("snom/desk/key", "P1,60000,60000;P1,60000,60000")
		synctest.Wait()
		h.out.Take()
		h.say("snom/desk/key", `{"id":"at","keys":"P2","expires_at":"`+time.Now().Add(time.Minute).UTC().Format(time.RFC3339)+`"}`)
		h.bridge.SetClock(-90 * time.Second)
		h.say("snom/desk/key", `{"id":"in","keys":"P3","expires_in":5}`)
		time.Sleep(5100 * time.Millisecond)
		if got := codes(h.results()); len(got) != 1 || got["in"] != bridge.Expired {
			t.Errorf("after 5 s: %v, expected in expired", got)
		}
		time.Sleep(55 * time.Second)
		if got := codes(h.results()); len(got) != 1 || got["at"] != bridge.Expired {
			t.Errorf("after a minute: %v, expected at expired", got)
		}
	})
}

// When the machine was suspended, what waited is answered expired, the connection is dropped, and what it still delivers
// is not carried out.
func TestASuspendedMachineDoesNothingLate(t *testing.T) {
	t.Parallel()
	var dropped atomic.Int64
	inHarness(t, bridge.Config{OnSuspend: func() { dropped.Add(1) }}, one(), func(h *harness) {
		h.say("snom/desk/ring", `{"id":"ring","ringer":1,"count":5}`)
		time.Sleep(time.Second)
		h.say("snom/desk/key", `{"id":"busy","keys":"P1,10000"}`)
		synctest.Wait()
		h.out.Take()
		h.say("snom/desk/dtmf", `{"id":"door","digits":"1","expires_in":20}`)
		h.say("snom/desk/transfer", `{"id":"begun","number":"12"}`)
		synctest.Wait()
		h.bridge.SetClock(8 * time.Hour)
		time.Sleep(time.Second)
		if err := h.bridge.Alive(); err != nil { // the watchdog asks now and then
			t.Error(err)
		}
		got := codes(h.results())
		want := map[string]bridge.Code{"ring": bridge.Expired, "door": bridge.Expired, "begun": bridge.Expired}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("after eight hours: %v, expected %v", got, want)
		}
		if n := dropped.Load(); n != 1 {
			t.Errorf("the connection was dropped %d times, expected once", n)
		}
		if r := h.result("snom/desk/key", `{"id":"old","keys":"P2"}`, time.Second); r.Code != bridge.Expired {
			t.Errorf("a command from before: %+v, expected expired", r)
		}
		h.bridge.Republish()
		h.out.Take()
		if r := h.result("snom/desk/key", `{"id":"new","keys":"P3"}`, time.Minute); r.Code != bridge.OK {
			t.Errorf("a command over a new connection: %+v, expected ok", r)
		}
	})
	for _, set := range []time.Duration{5 * time.Second, -time.Hour} {
		inHarness(t, bridge.Config{}, one(), func(h *harness) {
			h.say("snom/desk/key", "P1,10000")
			h.say("snom/desk/key", `{"id":"waits","keys":"P2"}`)
			h.bridge.SetClock(set)
			time.Sleep(11 * time.Second)
			if got := codes(h.results()); got["waits"] != bridge.OK {
				t.Errorf("a clock that was set by %v: %v, expected ok", set, got)
			}
		})
	}
}

// What belongs to a phone and not to its name survives whatever a reload does to the name while a request is under way.
func TestAPhoneKeepsWhatIsItsOwn(t *testing.T) {
	t.Parallel()
	type reloads func(h *harness, phone bridge.PhoneConfig) (name string)
	apply := func(h *harness, phones ...bridge.PhoneConfig) {
		h.t.Helper()
		h.roster.Phones = phones
		if err := h.reload(h.t.Context()); err != nil {
			h.t.Fatal(err)
		}
	}
	for name, reload := range map[string]reloads{
		"renamed": func(h *harness, p bridge.PhoneConfig) string {
			p.Name, p.Fingerprint = "hall", "other"
			apply(h, p)
			return "hall"
		},
		"removed and added": func(h *harness, p bridge.PhoneConfig) string {
			apply(h)
			apply(h, p)
			return "desk"
		},
		"removed and added by another name": func(h *harness, p bridge.PhoneConfig) string {
			apply(h)
			p.Name, p.Fingerprint = "hall", "other"
			apply(h, p)
			return "hall"
		},
		"another spelling of the address": func(h *harness, p bridge.PhoneConfig) string {
			p.URL, p.Fingerprint = "http://desk.invalid:80", "other"
			apply(h, p)
			return "desk"
		},
		"renamed twice": func(h *harness, p bridge.PhoneConfig) string {
			for _, n := range []string{"hall", "attic"} {
				p.Name, p.Fingerprint = n, n
				apply(h, p)
			}
			return "attic"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := one()
			r[0].phone.Latency = time.Second
			inHarness(t, bridge.Config{}, r, func(h *harness) {
				time.Sleep(10 * time.Second)
				h.result("snom/desk/key", "P9", 5*time.Second) // it has a challenge
				entry := h.entry(r[0], h.dials["desk"])
				before := len(h.phones["desk"].Requests())
				h.say("snom/desk/key", `{"id":"1","keys":"P1,3000"}`)
				time.Sleep(500 * time.Millisecond)
				is := reload(h, entry)
				h.out.Take()
				h.say("snom/"+is+"/key", `{"id":"1","keys":"P1,3000"}`)
				h.say("snom/"+is+"/key", `{"id":"2","keys":"P2"}`)
				time.Sleep(time.Minute)
				var got []string
				for _, r := range h.results() {
					got = append(got, r.Phone+" "+r.ID+" "+string(r.Code))
				}
				slices.Sort(got)
				want := []string{"desk 1 ok", is + " 1 duplicate", is + " 2 ok"}
				slices.Sort(want)
				if !slices.Equal(got, want) {
					t.Errorf("results %q, expected %q", got, want)
				}
				var commands []snomtest.Request
				for _, q := range h.phones["desk"].Requests()[before:] {
					if strings.Contains(q.Target, "key=") && q.Executed {
						commands = append(commands, q)
					}
				}
				if len(commands) != 2 {
					t.Fatalf("the phone did %d commands, expected 2", len(commands))
				}
				if d := commands[1].Time.Sub(commands[0].Time); d < 3*time.Second {
					t.Errorf("the second command came after %v, expected the sequence of 3 s to be over", d)
				}
			})
		})
	}
	t.Run("at another address, known by its MAC address", func(t *testing.T) {
		t.Parallel()
		r := one()
		r[0].user, r[0].pass = "admin", "wrong"
		r[0].set = func(p *bridge.PhoneConfig) { p.Phone = openPhone{p.Phone.(*snom.Client)} }
		inHarness(t, bridge.Config{}, r, func(h *harness) {
			entry := h.entry(r[0], h.dials["desk"])
			time.Sleep(10 * time.Second)
			if h.bridge.Snapshot()[0].MAC == "" {
				t.Fatal("its MAC address is not known")
			}
			h.result("snom/desk/key", `{"id":"1","keys":"P1"}`, time.Second)
			for i := range 4 {
				entry.Name, entry.URL, entry.Fingerprint = fmt.Sprintf("name-%d", i), fmt.Sprintf("http://192.0.2.%d", i), fmt.Sprint(i)
				apply(h, entry)
				time.Sleep(5 * time.Second)
				h.out.Take()
				if got := h.result("snom/"+entry.Name+"/key", `{"id":"1","keys":"P1"}`, time.Second); got.Code != bridge.Duplicate {
					t.Errorf("the same id at address %d: %+v, expected duplicate", i, got)
				}
				if got := h.result("snom/"+entry.Name+"/key", "P1", time.Second); got.Code != bridge.LockedOut {
					t.Errorf("at address %d: %+v, expected locked_out", i, got)
				}
			}
			if n := h.phones["desk"].FailedLogins(); n != 1 {
				t.Errorf("%d failed logins, expected 1", n)
			}
		})
	})
	t.Run("a wrong password", func(t *testing.T) {
		t.Parallel()
		r := one()
		r[0].user, r[0].pass = "admin", "wrong"
		inHarness(t, bridge.Config{}, r, func(h *harness) {
			entry := h.entry(r[0], h.dials["desk"])
			h.result("snom/desk/key", "P1", time.Second)
			for i := range 6 {
				if i%2 == 1 {
					apply(h)
				}
				entry.Name = fmt.Sprintf("name-%d", i)
				apply(h, entry)
				h.out.Take()
				if got := h.result("snom/"+entry.Name+"/key", "P1", time.Second); got.Code != bridge.LockedOut {
					t.Errorf("after reload %d: %+v, expected locked_out", i, got)
				}
			}
			if n := h.phones["desk"].FailedLogins(); n != 1 {
				t.Errorf("%d failed logins, expected 1", n)
			}
		})
	})
}

// An openPhone tells what it is without a login.
type openPhone struct{ *snom.Client }

func (openPhone) Probe(context.Context) (snom.Info, error) {
	return snom.Info{Model: "D735", MAC: "000413aabbcc", IdentifiedBy: "MAC address"}, nil
}

// Requests to the bridge about a phone are served although its queue is never empty, and no command waits for more
// than one of their requests.
func TestRequestsAreServedBetweenCommands(t *testing.T) {
	t.Parallel()
	slow := one()
	slow[0].phone.Latency = 100 * time.Millisecond
	inHarness(t, bridge.Config{ActionURLs: urlsOf}, slow, func(h *harness) {
		h.result("snom/desk/key", "P1", 5*time.Second)
		var stop atomic.Bool
		flood := func() {
			for i := 0; !stop.Load(); i++ {
				h.say("snom/desk/key", fmt.Sprintf("P%d", i%10+1))
				time.Sleep(90 * time.Millisecond)
			}
		}
		go flood()
		time.Sleep(10 * time.Second)
		h.say("snom/bridge/request/probe", "desk")
		h.say("snom/bridge/request/install", "desk")
		time.Sleep(2 * time.Second)
		if got := h.out.On("snom/bridge/response/probe"); len(got) != 1 {
			t.Errorf("%d answers to probe within 2 s, expected 1", len(got))
		}
		time.Sleep(30 * time.Second)
		if got := h.out.On("snom/bridge/response/install"); len(got) != 1 || !strings.Contains(string(got[0].Payload), `"code":"ok"`) {
			t.Errorf("%d answers to install within 32 s: %v", len(got), got)
		}
		stop.Store(true)
		time.Sleep(time.Second)
		ok := 0
		for _, r := range h.results() {
			if r.Code == bridge.OK {
				ok++
			}
		}
		if ok < 300 {
			t.Errorf("%d commands were carried out meanwhile, expected most of what the phone can do", ok)
		}
	})
}
