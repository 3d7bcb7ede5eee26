package bridge_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/callstate"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/mqtt/mqtttest"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// answers takes what was published, and returns the summaries and responses on topic.
func answers[T any](h *harness, topic string) (all []T) {
	h.t.Helper()
	synctest.Wait()
	for _, m := range h.out.On(topic) {
		var v T
		if err := json.Unmarshal(m.Payload, &v); err != nil {
			h.t.Fatalf("%s: %s: %v", topic, m.Payload, err)
		}
		all = append(all, v)
	}
	h.out.Take()
	return all
}

func TestAGroupAnswersOnceMore(t *testing.T) {
	t.Parallel()
	testPhones := []testPhone{
		{phone: snomtest.Config{Name: "kitchen", Model: "D735"}},
		{phone: snomtest.Config{Name: "hall", Model: "870"}},
		{phone: snomtest.Config{Name: "door", Model: "D735"}},
	}
	inHarness(t, bridge.Config{}, testPhones, func(h *harness) {
		h.phones["door"].SetFault(snomtest.FaultHang)
		h.say("snom/all/ring", `{"id":"g","ringer":3}`)
		time.Sleep(time.Second)
		if got := h.out.On("snom/all/result"); len(got) != 0 {
			t.Errorf("a summary before all have answered: %s", got[0].Payload)
		}
		time.Sleep(10 * time.Second)
		if got := h.out.On("snom/hall/result"); len(got) != 1 {
			t.Errorf("%d results of hall, expected 1", len(got))
		}
		got := answers[bridge.Summary](h, "snom/all/result")
		want := map[string]bridge.Code{"door": "timeout", "hall": "ok", "kitchen": "ok"}
		if len(got) != 1 || got[0].OK || got[0].Code != bridge.Timeout || got[0].ID != "g" || fmt.Sprint(got[0].Members) != fmt.Sprint(want) ||
			got[0].Message != "2 of 3 ok; door timeout" || got[0].DurationMS != 5000 {
			t.Errorf("summaries %+v", got)
		}
		h.say("snom/all/touch", "1 2")
		got = answers[bridge.Summary](h, "snom/all/result")
		if len(got) != 0 { // the door still hangs, but it cannot be touched and is answered
			t.Logf("%+v", got)
		}
		time.Sleep(10 * time.Second)
		h.out.Take()
		h.say("snom/all/reset", "all")
		if got := answers[bridge.Summary](h, "snom/all/result"); len(got) != 1 || got[0].Code != bridge.Forbidden {
			t.Errorf("reset of all: %+v, expected forbidden", got)
		}
	})
}

func TestAskingTheBridge(t *testing.T) {
	t.Parallel()
	level := &slog.LevelVar{}
	inHarness(t, bridge.Config{Level: level}, one(), func(h *harness) {
		for _, tt := range []struct {
			action, payload string
			code            bridge.Code
			id, says        string
		}{
			{"ping", "", bridge.OK, "", ""},
			{"ping", `{"id":"p1"}`, bridge.OK, "p1", ""},
			{"ping", `{"id":"p1","x":1}`, bridge.Invalid, "p1", "no such member"},
			{"ping", `{"id":"p1","expires_in":5}`, bridge.Invalid, "p1", `no such member "expires_in"`},
			{"ping", `{"id":1}`, bridge.OK, "1", ""},
			{"ping", `{"id":[1]}`, bridge.Invalid, "", "id"},
			{"ping", `{`, bridge.Invalid, "", "offset"},
			{"ping", strings.Repeat("x", 20000), bridge.Invalid, "", "16384 bytes"},
			{"log_level", "debug", bridge.OK, "", ""},
			{"log_level", `{"level":"warn","id":"l"}`, bridge.OK, "l", ""},
			{"log_level", "loud", bridge.Invalid, "", "debug, info, warn or error"},
			{"probe", "desk", bridge.OK, "", ""},
			{"probe", `{"phone":"desk"}`, bridge.OK, "", ""},
			{"probe", "attic", bridge.UnknownPhone, "", "attic"},
			{"probe", `{"phone":7}`, bridge.UnknownPhone, "", "7"},
			{"probe", `{"phone":true}`, bridge.Invalid, "", "phone"},
			{"reload", "", bridge.Invalid, "", "cannot be read again"},
		} {
			h.say("snom/bridge/request/"+tt.action, tt.payload)
			time.Sleep(time.Second)
			got := answers[bridge.Response](h, "snom/bridge/response/"+tt.action)
			if len(got) != 1 || got[0].Code != tt.code || got[0].OK != (tt.code == bridge.OK) || got[0].ID != tt.id || !strings.Contains(got[0].Message, tt.says) {
				t.Errorf("%s %.40q: %+v, expected %s %q with %q", tt.action, tt.payload, got, tt.code, tt.id, tt.says)
			}
		}
		if level.Level() != slog.LevelWarn {
			t.Errorf("the level is %v, expected WARN", level.Level())
		}
		handle(h.bridge, h.tree, mqtt.Message{Topic: "snom/bridge/request/reload", Retained: true})
		if got := answers[bridge.Response](h, "snom/bridge/response/reload"); len(got) != 1 || got[0].Code != bridge.Retained {
			t.Errorf("a retained request: %+v", got)
		}
		h.say("snom/bridge/request/fly", "")
		if got := answers[bridge.Result](h, "snom/bridge/result"); len(got) != 1 || got[0].Code != bridge.Invalid || !strings.Contains(got[0].Message, "ping") {
			t.Errorf("an unknown request: %+v", got)
		}
		h.phones["desk"].SetFault(snomtest.FaultRefuseConnects)
		h.say("snom/bridge/request/probe", "desk")
		if got := answers[bridge.Response](h, "snom/bridge/response/probe"); len(got) != 1 || got[0].Code != bridge.Unreachable {
			t.Errorf("probe of a phone that is off: %+v", got)
		}
	})
	inHarness(t, bridge.Config{}, one(), func(h *harness) {
		h.say("snom/bridge/request/log_level", "debug")
		if got := answers[bridge.Response](h, "snom/bridge/response/log_level"); len(got) != 1 || got[0].Code != bridge.Forbidden {
			t.Errorf("log_level without a level: %+v", got)
		}
	})
}

// TestAPingDoesNotWaitForAPhone: a probe of a phone that hangs kept every other request waiting.
func TestAPingDoesNotWaitForAPhone(t *testing.T) {
	t.Parallel()
	inHarness(t, bridge.Config{}, one(), func(h *harness) {
		h.phones["desk"].SetFault(snomtest.FaultHang)
		h.say("snom/bridge/request/probe", "desk")
		h.say("snom/bridge/request/ping", "")
		synctest.Wait()
		if got := answers[bridge.Response](h, "snom/bridge/response/ping"); len(got) != 1 || !got[0].OK {
			t.Errorf("while a phone is probed: %+v, expected one answer", got)
		}
	})
}

// TestACommandExpiresBehindProbes: commands waited at the phone for the probes before them, and were sent
// when they had expired.
func TestACommandExpiresBehindProbes(t *testing.T) {
	t.Parallel()
	inHarness(t, bridge.Config{}, one(), func(h *harness) {
		time.Sleep(5 * time.Second)
		h.phones["desk"].SetFault(snomtest.FaultHang)
		for range 10 {
			h.say("snom/bridge/request/probe", "desk")
		}
		synctest.Wait()
		h.say("snom/desk/dial", `{"number":"1","expires_in":3}`)
		synctest.Wait()
		h.phones["desk"].SetFault("")
		time.Sleep(time.Minute)
		got := h.results()
		if len(got) != 1 || got[0].Code != bridge.Expired || got[0].Requests != 0 {
			t.Errorf("the command: %+v, expected expired", got)
		}
	})
}

func TestTooManyRequestsAreBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &heldPublisher{topic: "snom/bridge/response/log_level", release: make(chan struct{})}
		h := newHarness(t, bridge.Config{Publish: p}, one(), nil)
		p.Recorder.Take()
		h.out = &p.Recorder
		h.say("snom/bridge/request/log_level", "") // its answer is not taken for now
		synctest.Wait()
		for range 70 {
			h.say("snom/bridge/request/ping", "")
		}
		synctest.Wait()
		busy := 0
		for _, r := range answers[bridge.Response](h, "snom/bridge/response/ping") {
			if r.Code == bridge.Busy {
				busy++
			}
		}
		if busy != 6 {
			t.Errorf("%d requests were busy, expected 6", busy)
		}
		time.AfterFunc(time.Second, func() { close(p.release) })
		h.stop()
		rest := answers[bridge.Response](h, "snom/bridge/response/ping")
		if len(rest) != 64 || rest[0].Code != bridge.Cancelled {
			t.Errorf("%d requests were answered at the end, expected 64 cancelled", len(rest))
		}
		h.say("snom/bridge/request/ping", "")
		if rest := answers[bridge.Response](h, "snom/bridge/response/ping"); len(rest) != 1 || rest[0].Code != bridge.Cancelled {
			t.Errorf("after the end: %+v, expected one cancelled", rest)
		}
	})
}

// A heldPublisher remembers what is published, and does not come back from messages on one topic until it is released.
type heldPublisher struct {
	mqtttest.Recorder
	topic   string
	release chan struct{}
}

func (p *heldPublisher) Publish(m mqtt.Message) bool {
	if m.Topic == p.topic {
		<-p.release
	}
	return p.Recorder.Publish(m)
}

// TestAPingDoesNotWaitForAReload: reading the phones may take its time, and nothing waits for it.
func TestAPingDoesNotWaitForAReload(t *testing.T) {
	t.Parallel()
	var release chan struct{} // made in the bubble
	read := func() (bridge.Roster, error) {
		<-release
		return bridge.Roster{}, errors.New("not today")
	}
	inHarness(t, bridge.Config{}, one(), func(h *harness) {
		release = make(chan struct{})
		h.say("snom/bridge/request/reload", "")
		h.say("snom/bridge/request/ping", "")
		h.say("snom/bridge/request/probe", "desk")
		time.Sleep(time.Second)
		for _, action := range []string{"ping", "probe"} {
			if got := h.out.On("snom/bridge/response/" + action); len(got) != 1 {
				t.Errorf("%s during a reload: %d answers, expected 1", action, len(got))
			}
		}
		close(release)
		if got := answers[bridge.Response](h, "snom/bridge/response/reload"); len(got) != 1 || got[0].Code != bridge.Invalid {
			t.Errorf("the reload: %+v, expected invalid", got)
		}
	}, read)
}

func TestRulesOfTheSettings(t *testing.T) {
	t.Parallel()
	testPhones := one()
	testPhones[0].set = func(p *bridge.PhoneConfig) {
		p.Allow = map[snom.Verb]bool{snom.VerbReset: true, snom.VerbFirmware: true}
	}
	inHarness(t, bridge.Config{Rules: bridge.Rules{DialDeny: regexp.MustCompile(`^(?:0900[0-9]*)$`)}}, one(), func(h *harness) {
		for number, want := range map[string]bridge.Code{
			"sip:09001@b.example": bridge.Forbidden, "sips:09001@b.example": bridge.Forbidden, "sip:27@09001.example": bridge.OK,
		} {
			if r := h.result("snom/desk/dial", number, time.Second); r.Code != want {
				t.Errorf("dial %s: %+v, expected %s", number, r, want)
			}
		}
	})
	rules := bridge.Rules{
		DialAllow: regexp.MustCompile(`^(?:[+0-9].*)$`), DialDeny: regexp.MustCompile(`^(?:0900.*)$`), FirmwareHosts: []string{"fw.example", "10.0.0.1:8080"},
	}
	inHarness(t, bridge.Config{Rules: rules}, testPhones, func(h *harness) {
		for _, tt := range []struct {
			topic, payload string
			code           bridge.Code
			says           string
		}{
			{"dial", "+4930123", bridge.OK, ""},
			{"dial", "09001", bridge.Forbidden, "DIAL_DENY"},
			{"transfer", "09001", bridge.Forbidden, "DIAL_DENY"},
			{"dial", "sip:a@b.example", bridge.Forbidden, "DIAL_ALLOW"},
			{"dial", "09001@b.example", bridge.Forbidden, "DIAL_DENY"},
			{"dial", "19001@b.example", bridge.OK, ""},
			{"reset", "kitchen", bridge.Invalid, `"desk"`},
			{"firmware", "http://fw.example/x.bin", bridge.Forbidden, "https"},
			{"reset", "desk", bridge.OK, ""},
		} {
			r := h.result("snom/desk/"+tt.topic, tt.payload, time.Second)
			if r.Code != tt.code || !strings.Contains(r.Message, tt.says) {
				t.Errorf("%s %q: %+v, expected %s with %q", tt.topic, tt.payload, r, tt.code, tt.says)
			}
		}
	})
	testPhones[0].set = func(p *bridge.PhoneConfig) {
		p.Allow, p.HTTPS = map[snom.Verb]bool{snom.VerbFirmware: true}, true
	}
	inHarness(t, bridge.Config{Rules: rules}, testPhones, func(h *harness) {
		for url, want := range map[string]bridge.Code{
			"http://fw.example/x.bin": bridge.OK, "http://FW.example/x.bin": bridge.OK, "http://10.0.0.1:8080/x.bin": bridge.OK,
			"http://10.0.0.1/x.bin": bridge.Forbidden, "http://evil.example/fw.example": bridge.Forbidden,
		} {
			if r := h.result("snom/desk/firmware", url, time.Minute); r.Code != want {
				t.Errorf("firmware %s: %+v, expected %s", url, r, want)
			}
		}
	})
}

func TestDuplicatesWaitForTheFirst(t *testing.T) {
	t.Parallel()
	inHarness(t, bridge.Config{}, one(), func(h *harness) {
		release := h.phones["desk"].Hold()
		for range 20 {
			h.say("snom/desk/dial", `{"id":"x","number":"1"}`)
		}
		synctest.Wait()
		if got := h.results(); len(got) != 3 || got[0].Code != bridge.Busy {
			t.Errorf("%d answers at once, expected 3 busy: more repetitions than may wait", len(got))
		}
		release()
		time.Sleep(time.Second)
		got := h.results()
		if len(got) != 17 || got[0].Code != bridge.OK {
			t.Fatalf("%d answers, expected 17, the first ok", len(got))
		}
		for _, r := range got[1:] {
			if r.Code != bridge.Duplicate || !r.OK || r.First == nil || r.First.Code != bridge.OK || r.First.HTTPStatus != 302 {
				t.Errorf("a repetition: %+v, expected duplicate with the first result", r)
			}
		}
		if n := len(h.pressed("desk")); n != 1 {
			t.Errorf("the phone dialled %d times, expected once", n)
		}
	})
}

func TestTransferIsAStateOfItsOwn(t *testing.T) {
	t.Parallel()
	inHarness(t, bridge.Config{CallTimeout: time.Hour}, one(), func(h *harness) {
		for i, tt := range []struct {
			topic, payload string
			wait           time.Duration
			code           bridge.Code
		}{
			{"transfer", "complete", 0, bridge.Invalid},
			{"transfer", "cancel", 0, bridge.Invalid},
			{"transfer", "12", 0, bridge.OK},
			{"transfer", "13", 0, bridge.Invalid},
			{"transfer", "cancel", 0, bridge.OK},
			{"transfer", "12", 0, bridge.OK},
			{"transfer", "complete", 0, bridge.OK},
			{"transfer", "complete", 0, bridge.Invalid},
			{"transfer", "12", 0, bridge.OK},
			{"hangup", "", 0, bridge.OK},
			{"transfer", "complete", 0, bridge.Invalid},
			{"transfer", "12", 0, bridge.OK},
			{"key", "P1;TRANSFER", 0, bridge.OK}, // which completes it
			{"transfer", "complete", 0, bridge.Invalid},
			{"transfer", "cancel", 0, bridge.Invalid},
			{"transfer", "12", 0, bridge.OK},
			{"key", "P1", 0, bridge.OK},
			{"transfer", "complete", 0, bridge.OK},
			{"transfer", "12", 2 * time.Hour, bridge.OK},
			{"transfer", "complete", 0, bridge.Invalid},
			{"transfer", `{"number":"5","mode":"blind"}`, 0, bridge.OK},
		} {
			r := h.result("snom/desk/"+tt.topic, tt.payload, 3*time.Second+tt.wait)
			if r.Code != tt.code {
				t.Errorf("step %d, %s %q: %+v, expected %s", i, tt.topic, tt.payload, r, tt.code)
			}
		}
	})
	inHarness(t, bridge.Config{AnyTransfer: true}, one(), func(h *harness) {
		if r := h.result("snom/desk/transfer", "complete", time.Second); r.Code != bridge.OK {
			t.Errorf("with AnyTransfer: %+v, expected ok", r)
		}
	})
}

func TestAFailedStepEndsACommand(t *testing.T) {
	t.Parallel()
	n := 0
	c := snomtest.Config{Name: "desk", FaultOf: func(r snomtest.Request) snomtest.Fault {
		if strings.Contains(r.Target, "command.htm") {
			n++
		}
		if n == 3 {
			return snomtest.FaultResetAfter
		}
		return ""
	}}
	inHarness(t, bridge.Config{}, []testPhone{{phone: c}}, func(h *harness) {
		r := h.result("snom/desk/transfer", "1234", time.Minute)
		if r.Code != bridge.Timeout || r.Requests != 3 || !strings.Contains(r.Message, "request 3 of 6") {
			t.Errorf("%+v, expected timeout at the third of six requests", r)
		}
		if r := h.result("snom/desk/transfer", "complete", time.Second); r.Code != bridge.Invalid {
			t.Errorf("complete after that: %+v, expected invalid", r)
		}
	})
}

func TestAvailability(t *testing.T) {
	t.Parallel()
	inHarness(t, bridge.Config{PollEvery: time.Minute}, one(), func(h *harness) {
		phone := h.phones["desk"]
		last := func() string {
			all := h.out.On("snom/desk/availability")
			if len(all) == 0 {
				return ""
			}
			return string(all[len(all)-1].Payload)
		}
		phone.SetFault(snomtest.FaultRefuseConnects)
		time.Sleep(70 * time.Second)
		if got := last(); got != "offline" {
			t.Errorf("a phone that is off is %q, expected offline", got)
		}
		phone.SetFault("")
		time.Sleep(30 * time.Second)
		if got := last(); got != "online" {
			t.Errorf("a phone that came back is %q, expected online", got)
		}
		phone.SetFault(snomtest.FaultRefuseConnects)
		if r := h.result("snom/desk/key", "P1", time.Second); r.Code != bridge.Unreachable {
			t.Errorf("a command for a phone that is off: %+v, expected unreachable", r)
		}
		phone.SetFault("")
		h.result("snom/desk/key", "P1", time.Second)
		h.out.Take()
		time.Sleep(time.Hour)
		for _, m := range h.out.Take() {
			t.Errorf("a quiet hour: %s %s", m.Topic, m.Payload)
		}
		if n := phone.FailedLogins(); n != 0 {
			t.Errorf("%d failed logins, expected none", n)
		}
	})
}

// TestClearMissed: clearing the list of missed calls clears their number too, when the phone did.
func TestClearMissed(t *testing.T) {
	t.Parallel()
	inHarness(t, bridge.Config{Events: true}, one(), func(h *harness) {
		for n, id := range []string{"a", "b"} {
			h.bridge.Event("desk", actionurl.Event{Type: actionurl.EventMissed, CallID: id, Time: time.Now()})
			if got := h.bridge.Snapshot()[0].Missed; got != n+1 {
				t.Fatalf("%d missed, expected %d", got, n+1)
			}
		}
		for _, tt := range []struct {
			payload string
			fault   snomtest.Fault
			want    int
		}{
			{"received", "", 2},
			{"missed", snomtest.FaultRefuseConnects, 2},
			{"missed", "", 0},
		} {
			h.phones["desk"].SetFault(tt.fault)
			h.out.Take()
			h.say("snom/desk/clear", tt.payload)
			time.Sleep(5 * time.Second)
			if got := h.bridge.Snapshot()[0].Missed; got != tt.want {
				t.Errorf("after clear %s: %d missed, expected %d", tt.payload, got, tt.want)
			}
			if said := h.out.On("snom/desk/status"); len(said) == 0 || !strings.Contains(string(said[len(said)-1].Payload), fmt.Sprintf(`"missed":%d,`, tt.want)) {
				t.Errorf("after clear %s: status %v, expected %d missed", tt.payload, said, tt.want)
			}
		}
	})
}

func TestAPhoneIsLearnt(t *testing.T) {
	t.Parallel()
	c := snomtest.Config{Name: "desk", Model: "870", Firmware: "8.7.5.35", MAC: "000413112233"}
	r := testPhone{phone: c, set: func(p *bridge.PhoneConfig) { p.Model = snom.Model{} }}
	inHarness(t, bridge.Config{}, []testPhone{r}, func(h *harness) {
		s := h.bridge.Snapshot()[0]
		if s.Model != "870" || s.Firmware != "8.7.5.35" || s.MAC != "000413112233" || s.Reachable != bridge.SwitchOn {
			t.Errorf("learnt: %+v", s)
		}
		if r := h.result("snom/desk/key", "F1", time.Second); r.Code != bridge.Unsupported {
			t.Errorf("F1 on an 870: %+v, expected unsupported", r)
		}
		if r := h.result("snom/desk/reboot", "", time.Second); r.Code != bridge.OK {
			t.Errorf("reboot: %+v", r)
		}
		before := len(h.phones["desk"].Requests())
		time.Sleep(5 * time.Minute)
		if n := len(h.phones["desk"].Requests()) - before; n < 1 || n > 3 {
			t.Errorf("%d requests after a reboot, expected it asked once what it is", n)
		}
	})
	d8 := testPhone{phone: snomtest.Config{Name: "desk", Model: "D865"}, set: func(p *bridge.PhoneConfig) { p.Model = snom.Model{} }}
	inHarness(t, bridge.Config{}, []testPhone{d8}, func(h *harness) {
		if r := h.result("snom/desk/key", "P1", time.Second); r.Code != bridge.Unsupported || !strings.Contains(r.Message, "D8") {
			t.Errorf("a key on a D865: %+v, expected unsupported", r)
		}
	})
}

func TestReload(t *testing.T) {
	t.Parallel()
	testPhones := []testPhone{{phone: snomtest.Config{Name: "desk"}}, {phone: snomtest.Config{Name: "hall"}}}
	var next bridge.Roster
	fault := errors.New("phones.yaml:3:5: no")
	read := func() (bridge.Roster, error) { return next, fault }
	inHarness(t, bridge.Config{}, testPhones, func(h *harness) {
		h.say("snom/bridge/request/reload", "")
		if got := answers[bridge.Response](h, "snom/bridge/response/reload"); len(got) != 1 || got[0].Code != bridge.Invalid || got[0].Message != fault.Error() {
			t.Errorf("a faulty file: %+v", got)
		}
		if r := h.result("snom/hall/key", "P1", time.Second); r.Code != bridge.OK {
			t.Errorf("after a faulty file: %+v, expected ok", r)
		}
		release := h.phones["hall"].Hold()
		h.say("snom/hall/key", `{"id":"runs","keys":"P1"}`)
		synctest.Wait()
		h.say("snom/hall/key", `{"id":"waits","keys":"P1"}`)
		fault = nil
		next = bridge.Roster{Phones: []bridge.PhoneConfig{
			h.entry(testPhones[0], h.dials["desk"]), h.addPhone(testPhone{phone: snomtest.Config{Name: "attic"}}),
		}, Groups: map[string][]string{"up": {"attic", "attic", "nobody"}, "none": {"nobody"}}}
		h.out.Take()
		if err := h.reload(h.t.Context()); err != nil {
			t.Fatal(err)
		}
		release()
		time.Sleep(time.Second)
		all := h.out.Take()
		if got := codes(h.resultsOf(all)); got["runs"] != bridge.OK || got["waits"] != bridge.Cancelled || len(got) != 2 {
			t.Errorf("commands of a phone that went: %v", got)
		}
		cleared := map[string]string{}
		for _, m := range all {
			if m.Retained {
				cleared[m.Topic] = string(m.Payload)
			}
		}
		for _, topic := range []string{"snom/hall/availability", "snom/hall/status"} {
			if p, ok := cleared[topic]; !ok || p != "" {
				t.Errorf("%s is %q, expected it cleared", topic, p)
			}
		}
		if cleared["snom/attic/availability"] != "online" || !strings.Contains(cleared["snom/bridge/info"], `"up":["attic"]`) {
			t.Errorf("what came: %v", cleared)
		}
		if got := h.bridge.Names(); !slices.Equal(got, []string{"all", "attic", "desk", "up"}) {
			t.Errorf("names %q", got)
		}
		h.say("snom/hall/key", "P1")
		if got := h.results(); len(got) != 1 || got[0].Code != bridge.UnknownPhone {
			t.Errorf("a phone that went: %+v, expected unknown_phone", got)
		}
		h.stop()
		if err := h.reload(context.Background()); err == nil {
			t.Error("reload after the end = nil, expected an error")
		}
	}, read)
}

// TestManyMembersStillHaveASummary: what would be too long to publish leaves out what each member says
// itself.
func TestManyMembersStillHaveASummary(t *testing.T) {
	t.Parallel()
	tree, err := mqtt.NewTree("snom", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		broken int // of 3000
		want   string
	}{
		{1, `"members":{"a-phone-with-a-rather-long-name-0":"unreachable"}`},
		{3000, `"members":null`},
	} {
		synctest.Test(t, func(t *testing.T) {
			roster := bridge.Roster{}
			for i := range 3000 {
				name := fmt.Sprintf("a-phone-with-a-rather-long-name-%d", i)
				roster.Phones = append(roster.Phones, bridge.PhoneConfig{Name: name, Phone: readyPhone(i >= tt.broken)})
			}
			out := &mqtttest.Recorder{}
			b := bridge.New(withDefaults(bridge.Config{Tree: tree, Publish: out, Log: slog.New(slog.DiscardHandler), Rules: bridge.Rules{TTL: time.Minute}}), roster)
			handle(b, tree, mqtt.Message{Topic: "snom/all/key", Payload: []byte("P1")})
			synctest.Wait()
			got := out.On("snom/all/result")
			if len(got) != 1 {
				t.Fatalf("%d broken: %d summaries, expected one", tt.broken, len(got))
			}
			if len(got[0].Payload) > mqtt.MaxPublish || !strings.Contains(string(got[0].Payload), tt.want) {
				t.Errorf("%d broken: %.400s, expected %s", tt.broken, got[0].Payload, tt.want)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := b.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

// A readyPhone does at once what it is asked, or is not there.
type readyPhone bool

func (readyPhone) Plan(c snom.Command, m snom.Model) ([]snom.Step, string, error) {
	warning, err := m.Check(c)
	return c.Steps(m.Dialect()), warning, err
}

func (p readyPhone) Send(context.Context, snom.Step) (snom.Reply, error) {
	return snom.Reply{Status: 200, Requests: 1}, p.there()
}
func (p readyPhone) Ping(context.Context) error { return p.there() }

func (p readyPhone) there() error {
	if !p {
		return snom.ErrUnreachable
	}
	return nil
}
func (p readyPhone) Probe(context.Context) (snom.Info, error) { return snom.Info{}, p.there() }

func TestManyPhonesStillHaveAnInfo(t *testing.T) {
	t.Parallel()
	inHarness(t, bridge.Config{}, nil, func(h *harness) {
		roster := bridge.Roster{}
		for i := range 3000 {
			roster.Phones = append(roster.Phones, bridge.PhoneConfig{Name: fmt.Sprintf("a-phone-with-a-rather-long-name-%d", i)})
		}
		b := bridge.New(bridge.Config{Tree: h.tree, Publish: h.out, Log: slog.New(slog.DiscardHandler)}, roster)
		b.Republish()
		got := h.out.On("snom/bridge/info")
		if len(got) != 1 || !strings.Contains(string(got[0].Payload), `"phones":null`) {
			t.Errorf("%d infos: %.200s", len(got), got[0].Payload)
		}
	})
}

func TestEventsMoveTheStatus(t *testing.T) {
	t.Parallel()
	inHarness(t, bridge.Config{Events: true, RingTimeout: 2 * time.Minute}, one(), func(h *harness) {
		h.bridge.Event("nobody", actionurl.Event{Type: actionurl.EventIncoming, Time: time.Now()})
		if got := h.out.Take(); len(got) != 0 {
			t.Errorf("an event of nobody: %v", got)
		}
		party := actionurl.Party{Number: "+4930123", Name: "Front <door> & co"}
		call := actionurl.Event{Type: actionurl.EventIncoming, CallID: "a", Direction: actionurl.DirectionIn, Remote: party, Time: time.Now()}
		h.bridge.Event("desk", call)
		events := h.out.On("snom/desk/event")
		if len(events) != 1 || events[0].Retained || !strings.Contains(string(events[0].Payload), `"name":"Front <door> & co"`) ||
			!strings.Contains(string(events[0].Payload), `"phone":"desk"`) {
			t.Errorf("events: %+v", events)
		}
		if s := h.bridge.Snapshot()[0]; s.Call.State != callstate.Ringing || s.Call.Remote.Number != "+4930123" {
			t.Errorf("ringing: %+v", s)
		}
		time.Sleep(5 * time.Second)
		call.Type, call.Time = actionurl.EventConnected, time.Now()
		h.bridge.Event("desk", call)
		if s := h.bridge.Snapshot()[0]; s.Call.State != callstate.Connected {
			t.Errorf("connected: %+v", s)
		}
		call.Type, call.Time = actionurl.EventDisconnected, time.Now()
		h.bridge.Event("desk", call)
		time.Sleep(10 * time.Second)
		call = actionurl.Event{Type: actionurl.EventIncoming, CallID: "b", Time: time.Now()}
		h.bridge.Event("desk", call)
		h.out.Take()
		time.Sleep(3 * time.Minute) // it was rejected, and nothing told of that
		if s := h.bridge.Snapshot()[0]; s.Call.State != callstate.Idle {
			t.Errorf("after the time-out: %+v, expected idle", s)
		}
		if n := len(h.out.On("snom/desk/status")); n != 2 {
			t.Errorf("%d statuses, expected ended and idle", n)
		}
		h.bridge.Event("desk", actionurl.Event{Type: actionurl.EventStarted, Time: time.Now()})
		h.stop()
		h.out.Take()
		h.bridge.Event("desk", call)
		if got := h.out.Take(); len(got) != 0 {
			t.Errorf("an event after the end: %v", got)
		}
	})
}

// TestAnswerConnectsTheCall: an answer that the phone accepted counts as if the phone had reported it.
func TestAnswerConnectsTheCall(t *testing.T) {
	t.Parallel()
	inHarness(t, bridge.Config{Events: true, RingTimeout: 2 * time.Minute}, one(), func(h *harness) {
		say := func(command string) bridge.Result {
			h.say("snom/desk/"+command, "")
			time.Sleep(time.Second)
			got := answers[bridge.Result](h, "snom/desk/result")
			if len(got) != 1 {
				t.Fatalf("%s: %d results, expected one: %+v", command, len(got), got)
			}
			return got[0]
		}
		if r := say("answer"); !r.OK { // nothing is known of the calls of a phone that reported none
			t.Errorf("answer at the start: %+v", r)
		}
		h.bridge.Event("desk", actionurl.Event{Type: actionurl.EventIncoming, CallID: "a", Direction: actionurl.DirectionIn, Time: time.Now()})
		time.Sleep(time.Second)
		if r, s := say("answer"), h.bridge.Snapshot()[0]; !r.OK || s.Call.State != callstate.Connected {
			t.Errorf("answer: %+v, the call is %+v", r, s.Call)
		}
		if r := say("mute"); !r.OK || r.Message != "" {
			t.Errorf("mute in a call: %+v", r)
		}
		if r, s := say("hangup"), h.bridge.Snapshot()[0]; !r.OK || s.Call.State != callstate.Ended {
			t.Errorf("hangup: %+v, the call is %+v", r, s.Call)
		}
		time.Sleep(5 * time.Second)
		if r := say("answer"); r.Code != bridge.Invalid || !strings.Contains(r.Message, "idle") {
			t.Errorf("answer on an idle phone: %+v", r)
		}
		if r := say("mute"); !r.OK || !strings.Contains(r.Message, "idle") {
			t.Errorf("mute on an idle phone: %+v", r)
		}
	})
}

// TestHostilePayloads throws everything at every command: nothing falls over, everything is
// answered, and the phone sees none of it.
func TestHostilePayloads(t *testing.T) {
	t.Parallel()
	families := map[string]string{
		"binary": "\x80\x00\xff\xfe", "one MiB": strings.Repeat("9", 1<<20), "deep": strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000),
		"deep lists": `{"keys":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "}", "twice": `{"number":"1","number":"2","keys":"P1","keys":"P1","digits":"1","digits":"1"}`,
		"NUL": "P1\x00", "newline": "1\n", "carriage return": "1\r\nHost: x", "ampersand": "1&settings=save&http_pass=x", "question": "1?key=P1", "hash": "all#x",
		"path": "/../../dummy.htm", "encoded": "%2e%2e%2f", "unicode digits": "１２３", "floats": `{"ringer":1.5,"identity":1.0}`, "exponent": `{"ringer":1e0,"identity":1e0}`,
		"null": `{"number":null,"keys":null,"digits":null,"ringer":null}`, "list": `["P1"]`, "text": `"P1"`, "space": " P1 ", "semicolons": ";;;;", "commas": ",,,",
		"host": "http://evil@x/", "header": "P1 HTTP/1.1\r\nX: y\r\n\r\n", "negative": "-1", "template": "{{ states('x') }}",
		"bom": "\ufeffP1", "right to left": "\u202e1", "object": `{"keys":{"key":"P1"}}`, "script": "<script>", "sql": "1' OR '1'='1",
	}
	for name, payload := range families {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inHarness(t, bridge.Config{QueueLength: 1000}, one(), func(h *harness) {
				n := 0
				for _, v := range append(snom.Verbs(), "command", "nothing") {
					h.say("snom/desk/"+string(v), payload)
					n++
				}
				time.Sleep(time.Minute)
				got := h.results()
				if len(got) != n {
					t.Errorf("%d answers, expected %d", len(got), n)
				}
				for _, r := range got {
					if (r.Command == "show" || snom.Verb(r.Command).Paged()) && r.Code == bridge.Unsupported {
						continue // any text can be shown or spoken, where that is set up
					}
					if r.Code != bridge.Invalid && r.Code != bridge.Forbidden {
						t.Errorf("%s: %+v", r.Command, r)
					}
				}
				if did := h.pressed("desk"); len(did) > 0 {
					t.Errorf("the phone did %q", did)
				}
			})
		})
	}
}

// TestSoak sends thousands of commands to phones that fail in every way, and counts: one answer
// for each, at most one execution, and nothing left running.
//
// It is not parallel: it counts the goroutines of the whole process.
func TestSoak(t *testing.T) {
	const commands, phones = 10_000, 20
	before := runtime.NumGoroutine()
	random := rand.New(rand.NewPCG(1, 2))
	faults := []snomtest.Fault{"", "", "", "", "", ""}
	for _, f := range snomtest.FaultNames() {
		if f != string(snomtest.FaultLoginPage) { // it would close the phone for hours
			faults = append(faults, snomtest.Fault(f))
		}
	}
	var testPhones []testPhone
	for i := range phones {
		testPhones = append(testPhones, testPhone{phone: snomtest.Config{
			Name: fmt.Sprintf("phone-%d", i), Model: "D735", Auth: snomtest.AuthDigest, Username: "admin", Password: "right", NonceUses: 7,
		}})
	}
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, bridge.Config{Gap: 10 * time.Millisecond}, testPhones, nil)
		sent := map[string]int{}
		for i := range commands {
			name := fmt.Sprintf("phone-%d", random.IntN(phones))
			if random.IntN(20) == 0 {
				h.phones[name].SetFault(faults[random.IntN(len(faults))])
			}
			id := fmt.Sprintf("%d", i)
			if random.IntN(50) == 0 {
				id = fmt.Sprintf("%d", max(0, i-random.IntN(20)))
			}
			if random.IntN(100) == 0 {
				h.say("snom/"+name+"/hangup", `{"id":"h`+id+`"}`)
				sent[name+" h"+id]++
			}
			h.say("snom/"+name+"/dial", fmt.Sprintf(`{"id":%q,"number":"%d"}`, id, i))
			sent[name+" "+id]++
			time.Sleep(time.Duration(random.IntN(50)) * time.Millisecond)
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		answered := map[string]int{}
		for _, r := range h.resultsOf(h.out.Take()) {
			answered[r.Phone+" "+r.ID]++
			if r.Code == bridge.Internal {
				t.Errorf("internal: %+v", r)
			}
		}
		for id, n := range sent {
			if answered[id] != n {
				t.Errorf("%s: %d answers for %d commands", id, answered[id], n)
			}
		}
		if len(answered) != len(sent) {
			t.Errorf("%d ids were answered, %d were sent", len(answered), len(sent))
		}
		for name := range h.phones {
			did := map[string]int{}
			for _, target := range h.pressed(name) {
				if strings.Contains(target, "number=") {
					did[target]++
				}
			}
			for target, n := range did {
				if n > 1 {
					t.Errorf("%s did %s %d times", name, target, n)
				}
			}
		}
		h.stop()
	})
	for range 100 {
		if runtime.NumGoroutine() <= before+2 {
			return
		}
		runtime.Gosched()
	}
	if n := runtime.NumGoroutine(); n > before+2 {
		t.Errorf("%d goroutines, %d before", n, before)
	}
}
