package bridge_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// TestDryRunSendsNothing: every command may be tried; the phone receives no request, and the result says which it would
// have received.
func TestDryRunSendsNothing(t *testing.T) {
	t.Parallel()
	phones := one()
	phones[0].set = func(p *bridge.PhoneConfig) { p.Allow = map[snom.Verb]bool{snom.VerbReset: true} }
	inHarness(t, bridge.Config{}, phones, func(h *harness) {
		before := len(h.phones["desk"].Requests())
		for _, v := range snom.Verbs() {
			example := snom.Verb.Help(v).ExampleJSON
			payload := `{"dry_run":true,"id":"same",` + strings.TrimPrefix(example, "{")
			payload = strings.Replace(strings.Replace(payload, ",}", "}", 1), `"kitchen"`, `"desk"`, 1)
			r := h.result("snom/desk/"+string(v), payload, time.Second)
			switch r.Code {
			case bridge.OK:
				if r.Details == nil || r.Would == nil || r.Requests != 0 || r.HTTPStatus != 0 {
					t.Errorf("%s %s: %+v, expected would and no request", v, payload, r)
				}
			case bridge.Forbidden, bridge.Unsupported, bridge.Invalid: // as the command itself
				if v == snom.VerbKey || v == snom.VerbDial {
					t.Errorf("%s: %+v", v, r)
				}
			default:
				t.Errorf("%s: %+v", v, r)
			}
		}
		if after := len(h.phones["desk"].Requests()); after != before {
			t.Errorf("the phone received %d requests", after-before)
		}
		// The id is free, and the status is that of a phone to which nothing was sent.
		if s := h.bridge.Snapshot()[0]; s.LastResult != nil {
			t.Errorf("last result %+v", s.LastResult)
		}
		if r := h.result("snom/desk/key", `{"id":"same","keys":"P1"}`, time.Second); r.Code != bridge.OK {
			t.Errorf("the command itself: %+v", r)
		}
		if r := h.result("snom/desk/key", `{"id":"same","keys":"P1","dry_run":true}`, time.Second); r.Code != bridge.Duplicate {
			t.Errorf("with an id that is taken: %+v", r)
		}
	})
}

func TestDryRunSaysWhatWouldBeSent(t *testing.T) {
	t.Parallel()
	phones := one()
	phones[0].set = func(p *bridge.PhoneConfig) {
		p.Mask = map[snom.Verb]bool{snom.VerbDTMF: true, snom.VerbTransfer: true}
	}
	inHarness(t, bridge.Config{}, phones, func(h *harness) {
		for _, test := range []struct{ verb, payload, would string }{
			{"dial", `{"dry_run":true,"number":"**61"}`, "/command.htm?number=%2A%2A61"},
			{"hangup", `{"dry_run":true}`, "/command.htm?RELEASE_ALL_CALLS"},
			{"ring", `{"dry_run":true,"ringer":"stop"}`, ""},
			{"ring", `{"dry_run":true,"ringer":2,"count":2}`, "/line_login.htm?PLAY_RINGER:2=+Ringer /line_login.htm?PLAY_RINGER:2=+Ringer"},
			{"dtmf", `{"dry_run":true,"digits":"4711"}`, "/command.htm?key_dtmf=***"},
			{"transfer", `{"dry_run":true,"number":"4711"}`, "/command.htm?key=***"},
			{"dnd", `{"dry_run":true,"dnd":"on"}`, "/dummy.htm?settings=save&store_settings=save&dnd_mode=on"},
		} {
			r := h.result("snom/desk/"+test.verb, test.payload, time.Second)
			if r.Code != bridge.OK || r.Details == nil || strings.Join(r.Would, " ") != test.would {
				t.Errorf("%s %s: %+v, expected %s", test.verb, test.payload, r, test.would)
			}
			if strings.Contains(fmt.Sprintf("%+v %+v", r, r.Details), "4711") {
				t.Errorf("%s: the result shows the secret: %+v", test.verb, r)
			}
		}
		if strings.Contains(h.log.String(), "4711") {
			t.Error("the log shows the secret")
		}
	})
}

// TestDryRunIsChecked: what refuses a command refuses to try it, and one that is tried ends no other.
func TestDryRunIsChecked(t *testing.T) {
	t.Parallel()
	inHarness(t, bridge.Config{}, one(), func(h *harness) {
		for _, test := range []struct {
			verb, payload string
			code          bridge.Code
		}{
			{"key", `{"dry_run":true,"keys":"NOKEY"}`, bridge.Invalid},
			{"key", `{"dry_run":1,"keys":"P1"}`, bridge.Invalid},
			{"reset", `{"dry_run":true,"confirm":"desk"}`, bridge.Forbidden},
			{"transfer", `{"dry_run":true,"step":"complete"}`, bridge.Invalid},
			{"key", `{"dry_run":true,"keys":"P1","expires_at":"2000-01-01T00:00:00Z"}`, bridge.Expired},
		} {
			if r := h.result("snom/desk/"+test.verb, test.payload, time.Second); r.Code != test.code || r.Details != nil {
				t.Errorf("%s %s: %+v, expected %s", test.verb, test.payload, r, test.code)
			}
		}
		handle(h.bridge, h.tree, mqtt.Message{Topic: "snom/desk/key", Payload: []byte(`{"dry_run":true,"keys":"P1"}`), Retained: true})
		if all := h.results(); len(all) != 1 || all[0].Code != bridge.Retained {
			t.Errorf("retained: %+v", all)
		}
		h.say("snom/desk/key", "P1,2000")
		h.say("snom/desk/key", "P2")
		h.say("snom/desk/hangup", `{"dry_run":true,"id":"h"}`)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		var order []string
		for _, r := range h.results() {
			order = append(order, r.ID+r.Argument+" "+string(r.Code))
		}
		if expected := []string{"P1,2000 ok", "P2 ok", "hall ok"}; !slices.Equal(order, expected) {
			t.Errorf("answers %q, expected %q", order, expected)
		}
		if sent := h.pressed("desk"); !slices.Equal(sent, []string{"/command.htm?key=P1,2000", "/command.htm?key=P2"}) {
			t.Errorf("the phone did %q", sent)
		}
	})
}
