package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// announcementsAreHeard has Home Assistant speak: its Wyoming integration asks Piper, the bridge asks Home Assistant, and the
// phones play it. What they heard is what Home Assistant spoke.
func (x *home) announcementsAreHeard() {
	x.t.Helper()
	x.addPiper()
	answers := x.m.watch("snom/bridge/response/#")
	x.m.publish("snom/bridge/request/install", `{"phone":"kitchen"}`)
	x.m.publish("snom/bridge/request/install", `{"phone":"hall"}`)
	answers.until("the phones are set up", func(out, _ []string) bool { return len(read(x.t, out)) >= 2 })
	for phone, expected := range map[string]int{"kitchen": 2, "hall": 1} {
		if got := decode[heardState](x.t, x.phones[phone].ask(phone)).ListensTo; len(got) != expected {
			x.t.Fatalf("%s listens to %q, expected %d addresses", phone, got, expected)
		}
	}
	w := x.m.watch("snom/+/result")
	said := 0
	ok := func(what, topic string) {
		x.t.Helper()
		said++
		w.until(what, func(out, _ []string) bool { return len(announcements(x.t, out)) >= said })
		if r := announcements(x.t, w.stdout())[said-1]; r.Topic != topic || !strings.Contains(r.Payload, `"ok":true`) {
			x.t.Errorf("%s: %s %s", what, r.Topic, r.Payload)
		}
	}

	x.call("notify.send_message", "notify.kitchen_phone_announce", "message", "Dinner is ready")
	ok("the message is spoken", "snom/kitchen/result")
	x.heardIs("kitchen", "Dinner is ready")

	x.call("notify.send_message", "notify.snom2mqtt_announce_to_all", "message", "The washing machine has finished")
	ok("the message is spoken to all", "snom/all/result")
	for _, phone := range []string{"kitchen", "hall"} {
		x.heardIs(phone, "The washing machine has finished")
	}

	x.with("automation.announce", func() {
		for _, what := range []string{"It's 300 \"degrees\" & more: {true}", "0123"} {
			x.post("/api/events/announce_it", map[string]any{"what": what}, nil)
			ok("the blueprint announces "+what, "snom/all/result")
			if a := announcements(x.t, w.stdout())[said-1]; !strings.Contains(decode[result](x.t, a.Payload).Argument, `"chime":true`) ||
				!strings.Contains(a.Payload, `\"gain_db\":-3`) {
				x.t.Errorf("the blueprint announces %s", a.Payload)
			}
		}
		files := httptest.NewServer(http.FileServer(http.Dir("../paging/testdata"))) // of a host that another setting names
		defer files.Close()
		x.post("/api/events/announce_it", map[string]any{"what": files.URL + "/speech.mp3"}, nil)
		ok("the blueprint plays a file", "snom/all/result")
	})
	x.scriptSpeaks(ok)
}

// scriptSpeaks calls the script with the data of tts.speak.
func (x *home) scriptSpeaks(ok func(what, topic string)) {
	x.t.Helper()
	x.post("/api/services/script/speak", map[string]any{"message": "Good night"}, nil)
	ok("the script speaks to all", "snom/all/result")
	x.heardIs("hall", "Good night")
	x.post("/api/services/script/speak", map[string]any{
		"message": "The door", "media_player_entity_id": []string{"notify.kitchen_phone_announce", "media_player.loudspeaker"}, "cache": true,
		"options": map[string]any{"voice": piperVoice},
	}, nil)
	ok("the script speaks to one", "snom/kitchen/result")
	eventually(x.t, "the media player plays it, too", func() bool {
		return strings.Contains(x.states()["input_text.played"].State, "tts")
	})
	x.post("/api/services/script/speak", map[string]any{"message": "Hello", "media_player_entity_id": "notify.kitchen_phone_announce"}, nil)
	ok("the script takes one entity as text", "snom/kitchen/result")
	x.heardIs("kitchen", "Hello")
}

// announcements are the results of announcements in what mosquitto_sub printed.
func announcements(t *testing.T, lines []string) []message {
	return slices.DeleteFunc(read(t, lines), func(m message) bool { return !strings.Contains(m.Payload, `"command":"announce"`) })
}

// addPiper sets up the Wyoming integration, as a person would in the dialogue.
func (x *home) addPiper() {
	x.t.Helper()
	_, address := startPiper(x.t)
	_, port, _ := strings.Cut(address, ":")
	var flow struct {
		ID   string `json:"flow_id"`
		Type string
	}
	x.post("/api/config/config_entries/flow", map[string]any{"handler": "wyoming"}, &flow)
	x.post("/api/config/config_entries/flow/"+flow.ID, map[string]any{"host": "127.0.0.1", "port": json.Number(port)}, &flow)
	if flow.Type != "create_entry" {
		x.t.Fatalf("the Wyoming integration was not set up: %+v", flow)
	}
	x.shows("tts.piper", "unknown")
}

// heardIs compares what a phone heard last with what Home Assistant speaks, which keeps what it has spoken.
func (x *home) heardIs(phone, text string) {
	x.t.Helper()
	var answer struct{ Path string }
	x.post("/api/tts_get_url", map[string]any{"engine_id": "tts.piper", "message": text}, &answer)
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", x.port, answer.Path))
	if err != nil {
		x.t.Fatal(err)
	}
	defer resp.Body.Close()
	sound, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		x.t.Fatalf("%s: %s, %v", answer.Path, resp.Status, err)
	}
	file := filepath.Join(x.t.TempDir(), "spoken.mp3")
	if err := os.WriteFile(file, sound, 0o600); err != nil {
		x.t.Fatal(err)
	}
	x.phones[phone].hears(phone, decoded(x.t, file))
}
