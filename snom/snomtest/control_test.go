package snomtest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

func TestControl(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := snomtest.New(snomtest.Config{Name: "kitchen"})
		defer p.Close()
		other := snomtest.New(snomtest.Config{Name: "hall", Model: "870"})
		defer other.Close()
		h := snomtest.ControlHandler(p, other)
		steps := []struct {
			do     string
			status int
			want   string // part of the reply
		}{
			{"GET /", 200, "POST /phones/<name>/ring: a call comes in (number"},
			{"GET /phones", 200, `[{"name":"kitchen","model":"D735"`},
			{"GET /phones/hall", 200, `"model":"870"`},
			{"GET /phones/attic", 404, "no such phone"},
			{"GET /phones/kitchen/requests", 200, `[]`},
			{"GET /phones/kitchen/actions", 200, `[]`},
			{"POST /phones/kitchen/explode", 404, "no such phone or operation"},
			{"POST /phones/kitchen/answer", 409, "not in a state"},
			{"POST /phones/kitchen/ring?number=%2B4930123&name=%22Front%22+door&id=x", 200, `"calls":[{"id":"x","state":"ringing","incoming":true,"number":"+4930123","name":"\"Front\" door","line":1}]`},
			{"POST /phones/kitchen/ring?line=2", 400, "line: expected a number from 1 to 1"},
			{"POST /phones/kitchen/answer", 200, `"state":"connected"`},
			{"POST /phones/kitchen/hold", 200, `"state":"held"`},
			{"POST /phones/kitchen/unhold", 200, `"state":"connected"`},
			{"POST /phones/kitchen/hangup", 200, `"calls":[]`},
			{"POST /phones/kitchen/ring", 200, `"state":"ringing"`},
			{"POST /phones/kitchen/reject", 200, `"calls":[]`},
			{"POST /phones/kitchen/ring", 200, `"state":"ringing"`},
			{"POST /phones/kitchen/remote-hangup", 200, `"missed":1`},
			{"POST /phones/kitchen/dial", 400, "number: expected one"},
			{"POST /phones/kitchen/dial?number=12", 200, `"state":"dialing"`},
			{"POST /phones/kitchen/remote-answer", 200, `"state":"connected"`},
			{"POST /phones/kitchen/remote-hangup?id=none", 409, "not in a state"},
			{"POST /phones/kitchen/offhook", 200, `"lifted":true`},
			{"POST /phones/kitchen/onhook", 200, `"lifted":false`},
			{"POST /phones/kitchen/dnd", 200, `"dnd":true`},
			{"POST /phones/kitchen/dnd?on=true", 200, `"dnd":true`},
			{"POST /phones/kitchen/dnd?on=maybe", 400, "on: expected true or false"},
			{"POST /phones/kitchen/dnd?on=false", 200, `"dnd":false`},
			{"POST /phones/kitchen/forward?number=99", 200, `"forward":"99"`},
			{"POST /phones/kitchen/forward", 200, `"forward":""`},
			{"POST /phones/kitchen/register?ok=false", 200, `"registered":[false]`},
			{"POST /phones/kitchen/register", 200, `"registered":[true]`},
			{"POST /phones/kitchen/register?line=x", 400, "line: expected"},
			{"POST /phones/kitchen/register?ok=x", 400, "ok: expected"},
			{"POST /phones/kitchen/press?keys=OFFHOOK%3B1%3BENTER", 200, `"number":"1"`},
			{"POST /phones/kitchen/press?keys=nope", 400, "no key"},
			{"POST /phones/kitchen/long-press?key=P1", 200, ""},
			{"POST /phones/kitchen/long-press?key=nope", 409, ""},
			{"POST /phones/kitchen/fire?setting=action_transfer", 200, ""},
			{"POST /phones/kitchen/fire?setting=nope", 400, "setting: expected one of action_incoming_url"},
			{"POST /phones/kitchen/set?name=phone_name&value=x", 200, ""},
			{"POST /phones/kitchen/set", 400, "name: expected one"},
			{"POST /phones/kitchen/encoding?value=raw", 200, `"encoding":"raw"`},
			{"POST /phones/kitchen/encoding?value=morse", 400, "expected one of percent"},
			{"POST /phones/kitchen/fault?value=hang", 200, `"fault":"hang"`},
			{"POST /phones/kitchen/fault?value=flood", 400, "expected none"},
			{"POST /phones/kitchen/fault", 200, `"fault":""`},
			{"POST /phones/kitchen/reboot?down=x", 400, "down: expected"},
			{"POST /phones/kitchen/reboot?down=1h", 200, `"down":true`},
			{"POST /phones/kitchen/press?keys=1", 409, "not in a state"},
			{"POST /phones/kitchen/reboot", 200, `"down":true`},
		}
		for _, step := range steps {
			method, target, _ := strings.Cut(step.do, " ")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(method, target, nil))
			if w.Code != step.status || !strings.Contains(w.Body.String(), step.want) {
				t.Errorf("%s: %d %s, expected %d %s", step.do, w.Code, w.Body, step.status, step.want)
			}
			if typ := w.Header().Get("Content-Type"); typ == "application/json" && !json.Valid(w.Body.Bytes()) {
				t.Errorf("%s: %s is not JSON", step.do, w.Body)
			}
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if p.State().Down {
			t.Error("the phone is still down")
		}
	})
}

// What people type is what they mean, in the query and in a form.
func TestControlAsTyped(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, target, form, want string }{
		{"a plus", "/phones/kitchen/ring?number=+4930123", "", "+4930123"},
		{"a plus that is escaped", "/phones/kitchen/ring?number=%2B4930123", "", "+4930123"},
		{"a plus in a form", "/phones/kitchen/dial", "number=+4930123", "+4930123"},
		{"semicolons", "/phones/kitchen/press?keys=1;2;ENTER", "", "12"},
		{"semicolons in a form", "/phones/kitchen/press", "keys=1;2;ENTER", "12"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := snomtest.New(snomtest.Config{Name: "kitchen"})
			defer p.Close()
			r := httptest.NewRequest(http.MethodPost, tt.target, strings.NewReader(tt.form))
			w := httptest.NewRecorder()
			snomtest.ControlHandler(p).ServeHTTP(w, r)
			calls := p.State().Calls
			if w.Code != http.StatusOK || len(calls) != 1 || calls[0].Number != tt.want {
				t.Errorf("%d %s, expected one call with %s", w.Code, w.Body, tt.want)
			}
		})
	}
}

func TestControlRefusesOtherWebPages(t *testing.T) {
	t.Parallel()
	p := snomtest.New(snomtest.Config{Name: "kitchen"})
	defer p.Close()
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1/phones/kitchen/ring", nil)
	r.Header.Set("Origin", "http://evil.example")
	w := httptest.NewRecorder()
	snomtest.ControlHandler(p).ServeHTTP(w, r)
	if got := w.Code; got != http.StatusForbidden || len(p.State().Calls) != 0 {
		t.Errorf("status = %d, expected %d and no call", got, http.StatusForbidden)
	}
}
