package bridge_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// Settings have the values that were asked for, or the result says that they have not, and why.
func TestSettingsAreReadBack(t *testing.T) {
	t.Parallel()
	type settings = map[string]string
	before := settings{"fwd_all_target": "99", "vol_ringer": "3", "backlight": "7"}
	var (
		user     = func(c *snomtest.Config) { c.UserMode = true }
		readOnly = func(c *snomtest.Config) { c.ReadOnly = []string{"fwd_all_enabled", "keyboard_lock", "vol_ringer"} }
		textOnly = func(c *snomtest.Config) { c.Shows = snomtest.SettingsText }
		sparse   = func(c *snomtest.Config) { c.Shows = snomtest.SettingsSparse }
		half     = func(c *snomtest.Config) {
			delete(c.Settings, "fwd_all_target") // it is empty, or stands where it is not understood
			c.Settings["vol_ringer"], c.Settings["note"] = "", "vol_ringer is 9, fwd_all_target is 12"
		}
		empty   = func(c *snomtest.Config) { delete(c.Settings, "fwd_all_target") }
		service = func(c *snomtest.Config) {
			c.UserMode, c.Auth, c.Username, c.Password = true, snomtest.AuthDigest, "u", "p"
			c.ServiceUsername, c.ServicePassword = "maintenance", "m"
		}
	)
	for _, tt := range []struct {
		name     string
		phone    func(*snomtest.Config)
		command  string // and its payload
		code     bridge.Code
		message  string // in it
		after    settings
		requests int
	}{
		{"forward", nil, "forward +4930123", bridge.OK, "", settings{"fwd_all_enabled": "on", "fwd_all_target": "+4930123"}, 3},
		{"forward, at an identity", nil, `forward {"to":"12","identity":2}`, bridge.Refused, "does not show fwd_all_enabled2", nil, 3},
		{"forward to where it went before", nil, "forward on", bridge.OK, "", settings{"fwd_all_enabled": "on"}, 3},
		{"forward to nowhere", empty, "forward on", bridge.Refused, "nothing in its setting fwd_all_target", nil, 1},
		{"forward nothing, and nothing was", nil, "forward off", bridge.OK, "it was so already", nil, 1},
		{"forward without an answer", nil, `forward {"when":"no_answer","to":"12","after":20}`, bridge.OK, "",
			settings{"fwd_time_enabled": "on", "fwd_time_target": "12", "fwd_time_secs": "20"}, 3},
		{"forward, in user mode", user, "forward 12", bridge.Refused, "admin_mode", nil, 1},
		{"forward, read-only", readOnly, "forward 12", bridge.Refused, "read-only at the phone: fwd_all_enabled; nothing was written", nil, 1},
		{"forward, settings.xml missing", textOnly, "forward 12", bridge.OK, "", settings{"fwd_all_enabled": "on", "fwd_all_target": "12"}, 3},
		{"forward, half understood", half, "forward 12", bridge.PhoneError, "nothing was written", nil, 1},
		{"forward, what is empty is not shown", sparse, "forward 12", bridge.OK, "", settings{"fwd_all_enabled": "on", "fwd_all_target": "12"}, 3},
		{"lock", nil, "keyboard_lock on", bridge.OK, "", settings{"keyboard_lock": "on"}, 3},
		{"lock, and it is", nil, "keyboard_lock off", bridge.OK, "it was so already", nil, 1},
		{"lock, in user mode", user, "keyboard_lock on", bridge.Refused, "service_mode_login", nil, 1},
		{"lock, in user mode with the maintenance account", service, "keyboard_lock on", bridge.OK, "", settings{"keyboard_lock": "on"}, 3},
		{"lock, read-only", readOnly, "keyboard_lock on", bridge.Refused, "read-only at the phone: keyboard_lock", nil, 1},
		{"set", nil, "set vol_ringer=8", bridge.OK, "", settings{"vol_ringer": "8"}, 3},
		{"set what is so", nil, "set vol_ringer=3", bridge.OK, "it was so already", nil, 1},
		{"set one of two that is so", nil, `set {"settings":{"vol_ringer":3,"backlight":9}}`, bridge.OK, "", settings{"backlight": "9"}, 3},
		{"set, read-only", readOnly, `set {"settings":{"vol_ringer":8,"backlight":9}}`, bridge.Refused, "nothing was written", nil, 1},
		{"set, read-only and so", readOnly, `set {"settings":{"vol_ringer":3,"backlight":9}}`, bridge.OK, "", settings{"backlight": "9"}, 3},
		{"set, half understood", half, "set vol_ringer=8", bridge.PhoneError, "nothing was written", nil, 1},
		{"set, not allowed", nil, "set dim_timer=3", bridge.Forbidden, "SETTINGS_ALLOW does not match dim_timer", nil, 0},
		{"set, never allowed", nil, "set vol_http_passthrough=3", bridge.Forbidden, "whatever SETTINGS_ALLOW says", nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := one()
			r[0].phone.Settings = maps.Clone(before)
			if tt.phone != nil {
				tt.phone(&r[0].phone)
			}
			r[0].user, r[0].pass = r[0].phone.ServiceUsername, cmp.Or(r[0].phone.ServicePassword, r[0].phone.Password)
			rules := bridge.Rules{SettingsAllow: regexp.MustCompile("vol_.*|backlight")}
			inHarness(t, bridge.Config{Rules: rules}, r, func(h *harness) {
				time.Sleep(10 * time.Second)
				had := h.phones["desk"].Settings()
				command, payload, _ := strings.Cut(tt.command, " ")
				got := h.result("snom/desk/"+command, payload, 30*time.Second)
				if got.Code != tt.code || !strings.Contains(got.Message, tt.message) || got.Requests != tt.requests {
					t.Errorf("%+v, expected %s after %d requests, and %q", got, tt.code, tt.requests, tt.message)
				}
				maps.Copy(had, tt.after)
				if is := h.phones["desk"].Settings(); tt.code == bridge.OK && !maps.Equal(is, had) || tt.requests < 3 && !maps.Equal(is, had) {
					t.Errorf("settings %v, expected %v", is, had)
				}
			})
		})
	}
}

// A phone may take a request and keep its settings: the result names them.
func TestSettingsThatAreNotKept(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		keeps    []string // of the settings, what is put back when it is read
		code     bridge.Code
		expected []string // in the message
	}{
		{[]string{"vol_ringer"}, bridge.Refused, []string{"another value in vol_ringer", "1 of 2 settings were written"}},
		{[]string{"backlight", "vol_ringer"}, bridge.Refused, []string{"another value in backlight, vol_ringer"}},
	} {
		r := one()
		r[0].phone.Settings = map[string]string{"vol_ringer": "3", "backlight": "7"}
		rules := bridge.Rules{SettingsAllow: regexp.MustCompile(".*")}
		var phone *snomtest.Phone
		r[0].phone.FaultOf = func(q snomtest.Request) snomtest.Fault {
			if q.Target == "/settings.xml" {
				for _, name := range tt.keeps {
					phone.Set(name, r[0].phone.Settings[name])
				}
			}
			return ""
		}
		inHarness(t, bridge.Config{Rules: rules}, r, func(h *harness) {
			phone = h.phones["desk"]
			got := h.result("snom/desk/set", `{"settings":{"vol_ringer":8,"backlight":9}}`, 30*time.Second)
			for _, text := range tt.expected {
				if got.Code != tt.code || !strings.Contains(got.Message, text) {
					t.Errorf("%+v, expected %s and %q", got, tt.code, text)
				}
			}
		})
	}
}

// What was read is in the status, across a restart, until the phone reports something else. Nothing of a secret argument is.
func TestSettingsInTheStatus(t *testing.T) {
	t.Parallel()
	type status struct {
		KeyboardLock *bool             `json:"keyboard_lock"`
		Forwarding   *bool             `json:"forwarding"`
		Forward      json.RawMessage   `json:"forward"`
		Settings     map[string]string `json:"settings"`
		AsOf         *time.Time        `json:"settings_as_of"`
	}
	last := func(h *harness) (s status, payload []byte) {
		synctest.Wait()
		for _, m := range h.out.Take() {
			if m.Topic == "snom/desk/status" {
				payload = m.Payload
			}
		}
		if err := json.Unmarshal(payload, &s); err != nil {
			h.t.Fatal(err)
		}
		return s, payload
	}
	rules := bridge.Rules{SettingsAllow: regexp.MustCompile(".*")}
	inHarness(t, bridge.Config{Rules: rules, Events: true}, one(), func(h *harness) {
		h.bridge.Republish()
		if s, payload := last(h); s.Settings != nil || strings.Contains(string(payload), "keyboard_lock") || strings.Contains(string(payload), `"forward"`) {
			t.Errorf("before anything was read: %s", payload)
		}
		for _, command := range []string{"keyboard_lock on", `forward {"when":"no_answer","to":"+49","after":9}`, "set vol_ringer=8"} {
			name, payload, _ := strings.Cut(command, " ")
			if r := h.result("snom/desk/"+name, payload, 10*time.Second); !r.OK {
				t.Fatalf("%+v", r)
			}
		}
		time.Sleep(10 * time.Second)
		h.bridge.Republish()
		s, payload := last(h)
		if s.KeyboardLock == nil || !*s.KeyboardLock || s.Forwarding == nil || !*s.Forwarding || s.AsOf == nil || s.Settings["vol_ringer"] != "8" ||
			string(s.Forward) != `{"no_answer":{"on":true,"to":"+49","after":"9"}}` {
			t.Errorf("status %s", payload)
		}
		again := newHarness(h.t, bridge.Config{Rules: rules}, one(), nil)
		handle(again.bridge, again.tree, mqtt.Message{Topic: "snom/desk/status", Payload: payload, Retained: true})
		again.bridge.Republish()
		if s, now := last(again); s.KeyboardLock == nil || !*s.KeyboardLock || s.Settings["vol_ringer"] != "8" || string(s.Forward) == "" {
			t.Errorf("after a restart: %s", now)
		}
		again.stop()
		if r := h.result("snom/desk/forward", "off", 10*time.Second); !r.OK {
			t.Fatalf("%+v", r)
		}
		time.Sleep(10 * time.Second)
		h.bridge.Republish()
		if s, payload := last(h); s.Forwarding == nil || *s.Forwarding || !strings.Contains(string(s.Forward), `"always":{"on":false,"to":null}`) {
			t.Errorf("after off: status %s", payload)
		}
	})
	r := one()
	r[0].set = func(p *bridge.PhoneConfig) { p.Mask = map[snom.Verb]bool{"set": true} }
	inHarness(t, bridge.Config{Rules: rules}, r, func(h *harness) {
		got := h.result("snom/desk/set", "vol_ringer=8", 10*time.Second)
		time.Sleep(10 * time.Second)
		h.bridge.Republish()
		if s, payload := last(h); !got.OK || got.Argument != "***" || s.Settings != nil {
			t.Errorf("%+v, status %s", got, payload)
		}
	})
}

// No payload of set changes a setting that it does not name.
func TestSetChangesWhatItNames(t *testing.T) {
	t.Parallel()
	pieces := []string{"vol_ringer", "backlight", "http_pass", "a", "=", "&", "%26", "%3D", ";", "\"", "\\", "{", "}", "[1]", "[", "settings", "store_settings",
		":", ",", " ", "\n", "\r\n", "\x00", "+", "#", "?", "<", ">", "ü", "\xff", "8", "on", "&http_pass=x", "&settings=save&http_user=x", "HTTP/1.1", "é\u2028"}
	random := rand.New(rand.NewPCG(1, uint64(time.Now().Unix())))
	text := func(most int) (s string) {
		for range 1 + random.IntN(most) {
			s += pieces[random.IntN(len(pieces))]
		}
		return s
	}
	r := one()
	inHarness(t, bridge.Config{Rules: bridge.Rules{SettingsAllow: regexp.MustCompile(".*")}}, r, func(h *harness) {
		phone := h.phones["desk"]
		for range 300 {
			name, value := text(2), text(6)
			if random.IntN(2) == 0 {
				name = "vol_ringer"
			}
			payload := name + "=" + value
			if random.IntN(2) == 0 {
				b, err := json.Marshal(map[string]any{"settings": map[string]string{name: value}})
				if err != nil {
					t.Fatal(err)
				}
				var sent struct{ Settings map[string]string } // each byte that is not UTF-8 is replaced
				if err := json.Unmarshal(b, &sent); err != nil {
					t.Fatal(err)
				}
				payload = string(b)
				for _, value = range sent.Settings {
				}
			}
			had := phone.Settings()
			h.out.Take()
			got := h.result("snom/desk/set", payload, 30*time.Second)
			synctest.Wait()
			is := phone.Settings()
			plain := strings.NewReplacer("[", "", "]", "").Replace(strings.SplitN(name, "=", 2)[0])
			delete(is, plain)
			delete(had, plain)
			if got.Code == bridge.OK && phone.Settings()[plain] != value && !strings.Contains(name, "=") && got.Requests > 1 {
				t.Errorf("%q: %+v, and the setting is %q", payload, got, phone.Settings()[plain])
			}
			if fmt.Sprint(had) != fmt.Sprint(is) {
				t.Fatalf("%q: %+v: the settings were\n%v\nand are\n%v", payload, got, had, is)
			}
		}
	})
}

// What is kept of a phone's settings is bounded, and a status from elsewhere makes no difference to that.
func TestSettingsAreBounded(t *testing.T) {
	t.Parallel()
	many := map[string]string{}
	for i := range 1000 {
		many[fmt.Sprint("a", i)] = strings.Repeat("x", 200)
	}
	for _, settings := range []map[string]string{many, {"a": strings.Repeat("x", 5000)}, {"settings": "save", "A": "x", "a b": "c", "": ""}} {
		payload, err := json.Marshal(map[string]any{"settings": settings, "settings_as_of": time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		inHarness(t, bridge.Config{}, one(), func(h *harness) {
			handle(h.bridge, h.tree, mqtt.Message{Topic: "snom/desk/status", Payload: payload, Retained: true})
			h.bridge.Republish()
			synctest.Wait()
			for _, m := range h.out.Take() {
				if m.Topic == "snom/desk/status" && (len(m.Payload) > 4<<10 || strings.Contains(string(m.Payload), "save")) {
					t.Errorf("a status of %d bytes: %.200s", len(m.Payload), m.Payload)
				}
			}
		})
	}
}
