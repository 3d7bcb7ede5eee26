package bridge_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// doorCode is what must be seen by the phone only.
const doorCode = "471108150"

// steps reads the steps of a macro. A step that sends doorCode is secret.
func steps(t *testing.T, texts ...string) (all []bridge.MacroStep) {
	t.Helper()
	for _, text := range texts {
		s, err := snom.ParseMacroStep([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, bridge.MacroStep{MacroStep: s, Secret: strings.Contains(text, doorCode)})
	}
	return all
}

// A farPhone takes 400 ms before a request is on its way.
type farPhone struct{ bridge.Phone }

func (p farPhone) Send(ctx context.Context, s snom.Step) (snom.Reply, error) {
	time.Sleep(400 * time.Millisecond)
	return p.Phone.Send(ctx, s)
}

// openByCall is the macro of the documents: it calls the door, sends the code and hangs up.
func openByCall(t *testing.T) bridge.Macro {
	return bridge.Macro{
		Name: "open_by_call", Phone: "desk",
		Steps:     steps(t, `{"dial":"**61"}`, `{"wait":"connected","within":"30s"}`, `{"dtmf":"`+doorCode+`"}`, `{"wait":"2s"}`, `{"hangup":"all"}`),
		Otherwise: steps(t, `{"hangup":"all"}`),
	}
}

// event reports an event of a call of the phone called desk.
func (h *harness) event(kind actionurl.EventType, id string) {
	e := actionurl.Event{Type: kind, CallID: id, Remote: actionurl.Party{Number: "**61"}, Time: time.Now()}
	switch kind {
	case actionurl.EventIncoming:
		e.Direction = actionurl.DirectionIn
	case actionurl.EventOutgoing:
		e.Direction = actionurl.DirectionOut
	}
	h.bridge.Event("desk", e)
}

// stepsOf is how the steps of a macro ended, in one line.
func stepsOf(r bridge.Result) string {
	var all []string
	if r.Details != nil {
		for _, s := range r.Steps {
			text := s.Command + " " + string(s.Code)
			if s.Otherwise {
				text = "otherwise " + text
			}
			all = append(all, text)
		}
	}
	return strings.Join(all, ", ")
}

func TestMacroRunsItsSteps(t *testing.T) {
	t.Parallel()
	phones := one()
	phones[0].macros = []bridge.Macro{openByCall(t)}
	inHarness(t, bridge.Config{Events: true, Gap: 100 * time.Millisecond}, phones, func(h *harness) {
		h.say("snom/desk/run", `{"id":"m","macro":"open_by_call"}`)
		h.say("snom/desk/key", `{"id":"after","keys":"P1"}`)
		time.Sleep(time.Second)
		h.event(actionurl.EventOutgoing, "1")
		time.Sleep(time.Second)
		h.event(actionurl.EventConnected, "1")
		time.Sleep(time.Second)
		if all := h.results(); len(all) != 0 {
			t.Errorf("answered while it runs: %+v", all)
		}
		time.Sleep(10 * time.Second)
		all := h.results()
		if len(all) != 2 || all[0].ID != "m" || all[0].Code != bridge.OK || all[0].Argument != "open_by_call" || all[1].Code != bridge.OK {
			t.Fatalf("results %+v", all)
		}
		if got := stepsOf(all[0]); got != "dial ok, wait ok, dtmf ok, wait ok, hangup ok" {
			t.Error(got)
		}
		expected := []string{"/command.htm?number=%2A%2A61", "/command.htm?key_dtmf=" + doorCode, "/command.htm?RELEASE_ALL_CALLS", "/command.htm?key=P1"}
		if got := h.pressed("desk"); !slices.Equal(got, expected) {
			t.Errorf("the phone did %q, expected %q", got, expected)
		}
		if s := h.bridge.Snapshot()[0]; s.LastResult == nil || s.LastResult.Command != "key" {
			t.Errorf("last result %+v", s.LastResult)
		}
		if r := h.result("snom/desk/run", `{"id":"m","macro":"open_by_call"}`, time.Second); r.Code != bridge.Duplicate || stepsOf(*r.First) == "" {
			t.Errorf("the same id again: %+v", r)
		}
	})
}

// TestMacroFaults: whatever happens while a macro runs, it is answered once, sends the code once at most and only into a
// connected call, shows it nowhere, and leaves the phone to the next command.
func TestMacroFaults(t *testing.T) {
	t.Parallel()
	type harnessed = *harness
	say := func(kind actionurl.EventType, id string) func(harnessed) {
		return func(h harnessed) { h.event(kind, id) }
	}
	wait := func(d time.Duration) func(harnessed) { return func(harnessed) { time.Sleep(d); synctest.Wait() } }
	failing := func(f snomtest.Fault) func(*testPhone) {
		return func(p *testPhone) { p.fault = f }
	}
	far := func(p *testPhone) {
		p.set = func(c *bridge.PhoneConfig) { c.Phone = farPhone{c.Phone} }
	}
	hangup := func(h harnessed) { h.say("snom/desk/hangup", `{"id":"h"}`) }
	stop := func(h harnessed) { h.stop() }
	remove := func(h harnessed) {
		h.roster = bridge.Roster{}
		if err := h.reload(h.t.Context()); err != nil {
			t.Error(err)
		}
	}
	// reload reads the phones again, with other macros and perhaps other settings of the phone.
	reload := func(macros []bridge.Macro, change func(*bridge.PhoneConfig)) func(harnessed) {
		return func(h harnessed) {
			h.roster = bridge.Roster{Phones: h.bridge.Phones(), Macros: macros}
			if change != nil {
				change(&h.roster.Phones[0])
			}
			if err := h.reload(h.t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
	same := []bridge.Macro{openByCall(t)}
	other := []bridge.Macro{{Name: "open_by_call", Phone: "desk", Steps: steps(t, `{"dial":"**99"}`, `{"dtmf":"`+doorCode+`"}`)}}
	s := time.Second
	out, in, up, down, held, unheld := actionurl.EventOutgoing, actionurl.EventIncoming, actionurl.EventConnected,
		actionurl.EventDisconnected, actionurl.EventHold, actionurl.EventUnhold
	ring := []func(harnessed){wait(s), say(out, "1"), wait(s), say(up, "1")}
	for _, tt := range []struct {
		name  string
		phone func(*testPhone)
		do    []func(harnessed)
		code  bridge.Code
		steps string
		codes int // times that the code was sent
	}{
		{"all well", nil, append(ring[:4:4], wait(9*s)), bridge.OK, "dial ok, wait ok, dtmf ok, wait ok, hangup ok", 1},
		{"the phone is off", failing("refuse-connections"), []func(harnessed){wait(90 * s)}, bridge.Unreachable, "dial unreachable, otherwise hangup unreachable", 0},
		{"the phone does not answer", failing("hang"), []func(harnessed){wait(90 * s)}, bridge.Timeout, "dial timeout, otherwise hangup timeout", 0},
		{"a wrong password", func(p *testPhone) { p.user, p.pass = "admin", "wrong" }, []func(harnessed){wait(90 * s)}, bridge.Unauthorized,
			"dial unauthorized, otherwise hangup locked_out", 0},
		{"the call is not answered", nil, []func(harnessed){wait(s), say(out, "1"), wait(60 * s)}, bridge.Unmet, "dial ok, wait unmet, otherwise hangup ok", 0},
		{"no event comes", nil, []func(harnessed){wait(60 * s)}, bridge.Unmet, "dial ok, wait unmet, otherwise hangup ok", 0},
		{"busy", nil, []func(harnessed){wait(s), say(out, "1"), wait(s), say(down, "1"), wait(60 * s)}, bridge.Unmet, "dial ok, wait unmet, otherwise hangup ok", 0},
		{"the event of the call is late", nil, []func(harnessed){wait(25 * s), say(up, "1"), wait(9 * s)}, bridge.OK, "dial ok, wait ok, dtmf ok, wait ok, hangup ok", 1},
		{"too late", nil, []func(harnessed){wait(31 * s), say(up, "1"), wait(60 * s)}, bridge.Unmet, "dial ok, wait unmet, otherwise hangup ok", 0},
		{"connected twice", nil, append(ring[:4:4], say(up, "1"), wait(9*s), say(up, "1"), wait(s)), bridge.OK, "dial ok, wait ok, dtmf ok, wait ok, hangup ok", 1},
		{"connected before outgoing", nil, []func(harnessed){wait(s), say(up, "1"), say(out, "1"), wait(9 * s)}, bridge.OK, "dial ok, wait ok, dtmf ok, wait ok, hangup ok", 1},
		{"disconnected before connected", nil, []func(harnessed){wait(s), say(out, "1"), say(down, "1"), say(up, "1"), wait(60 * s)}, bridge.Unmet,
			"dial ok, wait unmet, otherwise hangup ok", 0},
		{"another call comes in and is answered", nil, []func(harnessed){wait(s), say(in, "2"), wait(s), say(up, "2"), wait(60 * s)}, bridge.Unmet,
			"dial ok, wait unmet, otherwise hangup ok", 0},
		{"connected and ended at once", nil, []func(harnessed){wait(s), say(out, "1"), func(h harnessed) { h.event(up, "1"); h.event(down, "1") }, wait(60 * s)},
			bridge.Unmet, "dial ok, wait unmet, otherwise hangup ok", 0},
		{"the call ends while the code is on its way", func(p *testPhone) { p.phone.Latency = 400 * time.Millisecond },
			append(ring[:4:4], wait(200*time.Millisecond), say(down, "1"), wait(60*s)), bridge.OK, "dial ok, wait ok, dtmf ok, wait ok, hangup ok", 1},
		{"the call ends before the code is on its way", far,
			append(ring[:4:4], wait(200*time.Millisecond), say(down, "1"), wait(60*s)), bridge.Unmet, "dial ok, wait ok, dtmf unmet, otherwise hangup ok", 0},
		{"on hold before the code is on its way", far,
			append(ring[:4:4], wait(200*time.Millisecond), say(held, "1"), wait(60*s)), bridge.Unmet, "dial ok, wait ok, dtmf unmet, otherwise hangup ok", 0},
		{"on hold and resumed before the code is on its way", far,
			append(ring[:4:4], wait(200*time.Millisecond), say(held, "1"), say(unheld, "1"), wait(60*s)), bridge.Unmet, "dial ok, wait ok, dtmf unmet, otherwise hangup ok", 0},
		{"on hold when the code is due", nil, []func(harnessed){wait(s), say(out, "1"), func(h harnessed) { h.event(up, "1"); h.event(held, "1") }, wait(60 * s)},
			bridge.Unmet, "dial ok, wait unmet, otherwise hangup ok", 0},
		{"held, and resumed", nil, append(ring[:3:3], say(held, "1"), wait(s), say(unheld, "1"), wait(9*s)), bridge.OK, "dial ok, wait ok, dtmf ok, wait ok, hangup ok", 1},
		{"hangup before it begins", func(p *testPhone) { p.phone.Latency = s }, []func(harnessed){hangup, wait(60 * s)}, bridge.Cancelled, "dial ok, wait cancelled", 0},
		{"hangup while it waits", nil, []func(harnessed){wait(5 * s), hangup, wait(60 * s)}, bridge.Cancelled, "dial ok, wait cancelled", 0},
		{"hangup in the pause", nil, append(ring[:4:4], wait(s), hangup, wait(60*s)), bridge.Cancelled, "dial ok, wait ok, dtmf ok, wait cancelled", 1},
		{"hangup while the code is on its way", func(p *testPhone) { p.phone.Latency = 400 * time.Millisecond },
			append(ring[:4:4], wait(200*time.Millisecond), hangup, wait(60*s)), bridge.Cancelled, "dial ok, wait ok, dtmf ok, wait cancelled", 1},
		{"the bridge stops while it waits", nil, []func(harnessed){wait(5 * s), stop}, bridge.Cancelled, "dial ok, wait cancelled", 0},
		{"the bridge stops in the pause", nil, append(ring[:4:4], wait(s), stop), bridge.Cancelled, "dial ok, wait ok, dtmf ok, wait cancelled", 1},
		{"the phone is removed", nil, []func(harnessed){wait(5 * s), remove, wait(s)}, bridge.Cancelled, "dial ok, wait cancelled", 0},
		{"the machine was suspended", nil, []func(harnessed){wait(5 * s), func(h harnessed) { h.bridge.SetClock(time.Hour) }, say(out, "1"), wait(60 * s)},
			bridge.Expired, "dial ok, wait expired", 0},
		{"the phone restarts", nil, append(ring[:3:3], say(actionurl.EventStarted, ""), wait(60*s)), bridge.Unmet, "dial ok, wait unmet, otherwise hangup ok", 0},
		{"hangup while it hangs up", func(p *testPhone) { p.phone.Latency = 400 * time.Millisecond },
			append(ring[:4:4], wait(3200*time.Millisecond), hangup, wait(60*s)), bridge.OK, "dial ok, wait ok, dtmf ok, wait ok, hangup ok", 1},
		{"hangup in otherwise", func(p *testPhone) { p.phone.Latency = s }, []func(harnessed){wait(32500 * time.Millisecond), hangup, wait(60 * s)},
			bridge.Unmet, "dial ok, wait unmet, otherwise hangup ok", 0},
		{"hangup twice", nil, []func(harnessed){wait(5 * s), hangup, hangup, wait(60 * s)}, bridge.Cancelled, "dial ok, wait cancelled", 0},
		{"each event twice", nil, []func(harnessed){wait(s), say(out, "1"), say(out, "1"), wait(s), say(up, "1"), say(up, "1"), wait(9 * s), say(down, "1"), say(down, "1")},
			bridge.OK, "dial ok, wait ok, dtmf ok, wait ok, hangup ok", 1},
		{"the bridge stops while it dials", func(p *testPhone) { p.phone.Latency = s }, []func(harnessed){stop}, bridge.Cancelled, "dial ok, wait cancelled", 0},
		{"the bridge stops while the code is on its way", func(p *testPhone) { p.phone.Latency = 400 * time.Millisecond },
			append(ring[:4:4], wait(200*time.Millisecond), stop), bridge.Cancelled, "dial ok, wait ok, dtmf ok, wait cancelled", 1},
		{"the bridge stops in otherwise", func(p *testPhone) { p.phone.Latency = s }, []func(harnessed){wait(32500 * time.Millisecond), stop},
			bridge.Unmet, "dial ok, wait unmet, otherwise hangup ok", 0},
		{"the phone is removed while the code is on its way", func(p *testPhone) { p.phone.Latency = 400 * time.Millisecond },
			append(ring[:4:4], wait(200*time.Millisecond), remove, wait(60*s)), bridge.Cancelled, "dial ok, wait ok, dtmf ok, wait cancelled", 1},
		{"the phone is removed in the pause", nil, append(ring[:4:4], wait(s), remove, wait(60*s)), bridge.Cancelled, "dial ok, wait ok, dtmf ok, wait cancelled", 1},
		{"a reload", nil, append(ring[:3:3], reload(same, nil), say(up, "1"), wait(9*s)), bridge.OK, "dial ok, wait ok, dtmf ok, wait ok, hangup ok", 1},
		{"a reload in the pause", nil, append(ring[:4:4], wait(s), reload(same, nil), wait(9*s)), bridge.OK, "dial ok, wait ok, dtmf ok, wait ok, hangup ok", 1},
		{"a reload with another macro of that name", nil, append(ring[:3:3], reload(other, nil), say(up, "1"), wait(9*s)), bridge.OK,
			"dial ok, wait ok, dtmf ok, wait ok, hangup ok", 1},
		{"a reload without the macro", nil, append(ring[:3:3], reload(nil, nil), say(up, "1"), wait(9*s)), bridge.OK,
			"dial ok, wait ok, dtmf ok, wait ok, hangup ok", 1},
		{"a reload with other settings of the phone", nil, append(ring[:3:3], reload(same, func(c *bridge.PhoneConfig) { c.Fingerprint += "x" }), say(up, "1"), wait(9*s)),
			bridge.OK, "dial ok, wait ok, dtmf ok, wait ok, hangup ok", 1},
		{"the code is refused", nil, append(ring[:3:3], func(h harnessed) { h.phones["desk"].SetFault("500"); h.event(up, "1") }, wait(60*s)), bridge.PhoneError,
			"dial ok, wait ok, dtmf phone_error, otherwise hangup phone_error", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			phones := one()
			phones[0].macros = []bridge.Macro{openByCall(t)}
			if tt.phone != nil {
				tt.phone(&phones[0])
			}
			synctest.Test(t, func(t *testing.T) {
				h := newHarness(t, bridge.Config{Events: true, Gap: 100 * time.Millisecond}, phones, nil)
				time.Sleep(5 * time.Second)
				h.out.Take()
				h.say("snom/desk/run", `{"id":"m","macro":"open_by_call","expires_in":20}`)
				synctest.Wait()
				for _, do := range tt.do {
					do(h)
					synctest.Wait()
				}
				messages := h.out.Take()
				var results []bridge.Result
				for _, r := range h.resultsOf(messages) {
					if r.ID == "m" {
						results = append(results, r)
					}
				}
				if len(results) != 1 {
					t.Fatalf("%d results: %+v", len(results), results)
				}
				r := results[0]
				if r.Code != tt.code || stepsOf(r) != tt.steps {
					t.Errorf("%s, %s (%s)\nexpected %s, %s", r.Code, stepsOf(r), r.Message, tt.code, tt.steps)
				}
				if !r.OK && !strings.HasPrefix(r.Message, fmt.Sprintf("step %d of 5: ", strings.Count(strings.Split(tt.steps, ", otherwise")[0], ",")+1)) {
					t.Errorf("message %q", r.Message)
				}
				sent := 0
				for _, q := range h.phones["desk"].Requests() {
					if q.Executed && strings.Contains(q.Target, doorCode) {
						sent++
					}
				}
				if sent != tt.codes {
					t.Errorf("the code was sent %d times, expected %d", sent, tt.codes)
				}
				for _, m := range messages {
					if strings.Contains(string(m.Payload), doorCode) {
						t.Errorf("%s: the code is in it", m.Topic)
					}
				}
				if strings.Contains(h.log.String(), doorCode) {
					t.Error("the code is in the log")
				}
				h.stop()
				synctest.Wait()
			})
		})
	}
}

// TestMacroExpires: the expiry of a macro holds for its start.
func TestMacroExpires(t *testing.T) {
	t.Parallel()
	phones := one()
	phones[0].macros = []bridge.Macro{openByCall(t)}
	inHarness(t, bridge.Config{Events: true}, phones, func(h *harness) {
		h.say("snom/desk/key", "P1,9000")
		h.say("snom/desk/run", `{"id":"m","macro":"open_by_call","expires_in":5}`)
		h.say("snom/desk/run", `{"id":"g","expires_in":12,"steps":[{"key":"P2,3000"},{"key":"P3,20000"},{"key":"P4"}]}`)
		time.Sleep(time.Minute)
		got := codes(h.results())
		if got["m"] != bridge.Expired || got["g"] != bridge.OK {
			t.Errorf("%v, expected that m expired, and that g, which had begun in time, was carried out", got)
		}
	})
}

// TestMacroIsNotBegunLate: a macro whose expiry passes while the phone asks for a login, or keeps its pause, presses nothing,
// also not what stands under otherwise.
func TestMacroIsNotBegunLate(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]struct {
		gap   time.Duration
		phone snomtest.Config
	}{
		"slow login": {0, snomtest.Config{Name: "desk", Model: "D735", Auth: snomtest.AuthDigest, Username: "admin", Password: "secret", Latency: 3 * time.Second}},
		"pause":      {5 * time.Second, snomtest.Config{Name: "desk", Model: "D735"}},
	} {
		inHarness(t, bridge.Config{Events: true, Gap: late.gap}, []testPhone{{phone: late.phone}}, func(h *harness) {
			if late.gap > 0 {
				h.say("snom/desk/key", "P9")
			}
			h.say("snom/desk/run", `{"id":"m","expires_in":1,"steps":[{"key":"P1"},{"key":"P2"}],"otherwise":[{"key":"P3"}]}`)
			h.say("snom/desk/run", `{"id":"w","expires_in":2,"steps":[{"wait":"30s"},{"key":"P4"}]}`)
			time.Sleep(2 * time.Minute)
			if got := codes(h.results()); got["m"] != bridge.Expired {
				t.Errorf("%s: %v, expected that m expired", name, got)
			}
			for _, target := range h.pressed("desk") {
				if !strings.Contains(target, "P9") && !strings.Contains(target, "P4") {
					t.Errorf("%s: %s was sent late", name, target)
				}
			}
		})
	}
}

// TestMacroIsCheckedWhole: a step that is not allowed, or impossible, refuses the macro before its first step.
func TestMacroIsCheckedWhole(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		payload string
		events  bool
		code    bridge.Code
		message string
	}{
		{`{"steps":["answer",{"key":"NOKEY"}]}`, true, bridge.Invalid, `field "steps[1].key"`},
		{`{"steps":["answer",{"touch":"1 2"}]}`, true, bridge.Unsupported, "step 2 of 2: not supported"},
		{`{"steps":["answer"],"otherwise":[{"touch":"1 2"}]}`, true, bridge.Unsupported, "step 1 of otherwise: not supported"},
		{`{"steps":["answer",{"reset":"desk"}]}`, true, bridge.Forbidden, "step 2 of 2: reset is disabled"},
		{`{"steps":["answer",{"wait":"idle"}]}`, false, bridge.Unsupported, "step 2 of 2: a wait for a call state needs the phone's events: set PHONE_LISTEN"},
		{`{"macro":"no_such"}`, true, bridge.Invalid, `no macro is called "no_such"`},
		{`{"steps":["answer",{"run":"a"}]}`, true, bridge.Invalid, "no macro in a macro"},
	} {
		inHarness(t, bridge.Config{Events: tt.events}, one(), func(h *harness) {
			before := len(h.phones["desk"].Requests())
			r := h.result("snom/desk/run", tt.payload, time.Minute)
			if r.Code != tt.code || !strings.Contains(r.Message, tt.message) || r.Requests != 0 || len(h.phones["desk"].Requests()) != before {
				t.Errorf("%s: %+v, expected %s: %s", tt.payload, r, tt.code, tt.message)
			}
		})
	}
}

// TestMacroForAGroup: every member runs it.
func TestMacroForAGroup(t *testing.T) {
	t.Parallel()
	phones := []testPhone{{phone: snomtest.Config{Name: "hall"}}, {phone: snomtest.Config{Name: "desk"}}}
	inHarness(t, bridge.Config{}, phones, func(h *harness) {
		h.say("snom/all/run", `{"id":"g","steps":[{"key":"P1"},{"wait":"1s"},{"key":"P2"}]}`)
		time.Sleep(5 * time.Second)
		if all := h.results(); len(all) != 3 || slices.ContainsFunc(all, func(r bridge.Result) bool { return r.Code != bridge.OK }) {
			t.Errorf("%+v, expected two results and a summary", all)
		}
		for name := range h.phones {
			if got := h.pressed(name); !slices.Equal(got, []string{"/command.htm?key=P1", "/command.htm?key=P2"}) {
				t.Errorf("%s did %q", name, got)
			}
		}
	})
}

// TestMacroHidesWhatIsMasked: an argument that MASK hides is hidden in steps, too, and in what a dry run says.
func TestMacroHidesWhatIsMasked(t *testing.T) {
	t.Parallel()
	phones := one()
	phones[0].set = func(p *bridge.PhoneConfig) { p.Mask = map[snom.Verb]bool{snom.VerbDTMF: true} }
	phones[0].macros = []bridge.Macro{openByCall(t)}
	inHarness(t, bridge.Config{Events: true}, phones, func(h *harness) {
		for _, tt := range []struct{ payload, argument, would string }{
			{`{"dry_run":true,"steps":[{"dtmf":"` + doorCode + `"},{"wait":"2s"},"hangup"]}`, "***",
				"/command.htm?key_dtmf=***; wait 2s; /command.htm?RELEASE_ALL_CALLS"},
			{`{"dry_run":true,"macro":"open_by_call"}`, "open_by_call",
				"/command.htm?number=%2A%2A61; wait connected within 30s; /command.htm?key_dtmf=***; wait 2s; /command.htm?RELEASE_ALL_CALLS"},
			{`{"steps":[{"dtmf":"` + doorCode + `"}]}`, "***", ""},
			{`{"steps":[{"dtmf":"` + doorCode + `x"}]}`, "***", ""},
			{`{"steps":[{"dtmf":"1"},{"fly":"` + doorCode + `"}]}`, "***", ""},
		} {
			h.say("snom/desk/run", tt.payload)
			time.Sleep(5 * time.Second)
			synctest.Wait()
			messages := h.out.Take()
			for _, m := range messages {
				if strings.Contains(string(m.Payload), doorCode) {
					t.Errorf("%s: %s", m.Topic, m.Payload)
				}
			}
			all := h.resultsOf(messages)
			if len(all) != 1 || all[0].Argument != tt.argument {
				t.Fatalf("%s: %+v", tt.payload, all)
			}
			if tt.would != "" && (all[0].Details == nil || strings.Join(all[0].Would, "; ") != tt.would) {
				t.Errorf("%s: %+v, expected %s", tt.payload, all[0].Details, tt.would)
			}
		}
		if strings.Contains(h.log.String(), doorCode) {
			t.Error("the code is in the log")
		}
	})
}

// TestMacrosAreListed, and a retained command that runs one is refused as all are.
func TestMacrosAreListed(t *testing.T) {
	t.Parallel()
	phones := one()
	phones[0].macros = []bridge.Macro{openByCall(t), {Name: "a", Steps: steps(t, `"answer"`)}}
	inHarness(t, bridge.Config{Events: true}, phones, func(h *harness) {
		if got := h.bridge.Macros(); !slices.Equal(got, []bridge.MacroInfo{{Name: "a"}, {Name: "open_by_call", Phone: "desk"}}) {
			t.Errorf("%+v", got)
		}
		handle(h.bridge, h.tree, mqtt.Message{Topic: "snom/desk/run", Payload: []byte("a"), Retained: true})
		if all := h.results(); len(all) != 1 || all[0].Code != bridge.Retained {
			t.Errorf("%+v", all)
		}
		if r := h.result("snom/desk/run", `{"steps":[{"answer":""}]}`, time.Second); r.Code != bridge.OK || r.Argument != `{"steps":[{"answer":""}]}` {
			t.Errorf("%+v", r)
		}
	})
}

// TestASecretInPlaceOfAMacro: a code that was put into the place of a macro's name is not repeated where arguments are masked.
func TestASecretInPlaceOfAMacro(t *testing.T) {
	t.Parallel()
	phones := one()
	phones[0].set = func(p *bridge.PhoneConfig) { p.Mask = map[snom.Verb]bool{snom.VerbDTMF: true} }
	inHarness(t, bridge.Config{}, phones, func(h *harness) {
		for _, payload := range []string{"739182", `{"macro":"739182"}`, `{"macro":"739182","dry_run":true}`, `{"steps":[{"739182":1}]}`, `{"macro":739182}`} {
			h.say("snom/desk/run", payload)
			time.Sleep(time.Second)
			synctest.Wait()
			answered := false
			for _, m := range h.out.Take() {
				answered = answered || m.Topic == "snom/desk/result"
				if strings.Contains(string(m.Payload), "739182") {
					h.t.Errorf("%s: %s on %s", payload, m.Payload, m.Topic)
				}
			}
			if !answered {
				h.t.Errorf("%s: no result", payload)
			}
		}
		if strings.Contains(h.log.String(), "739182") {
			h.t.Errorf("logged: %s", h.log)
		}
	})
}
