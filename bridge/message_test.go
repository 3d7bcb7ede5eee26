package bridge_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/mqtt/mqtttest"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// A willing phone accepts every request.
type willing struct{}

func (willing) Plan(c snom.Command, m snom.Model) ([]snom.Step, string, error) {
	warning, err := m.Check(c)
	return c.Steps(m.Dialect()), warning, err
}

func (willing) Send(context.Context, snom.Step) (snom.Reply, error) {
	return snom.Reply{Status: 200, Requests: 1}, nil
}
func (willing) Probe(context.Context) (snom.Info, error) { return snom.Info{Model: "D735"}, nil }
func (willing) Ping(context.Context) error               { return nil }

// FuzzHandle: whatever comes on whatever topic, a command is answered exactly once by each phone it names, and
// nothing is published that a broker would refuse, that belongs to another program, or that is long.
func FuzzHandle(f *testing.F) {
	for _, topic := range []string{
		"snom/desk/key", "snom/desk/command", "snom/all/dial", "snom/both/ring", "snom/nobody/key", "snom/desk/owner", "snom/both/owner",
		"snom/bridge/info", "snom/bridge/west/info", "snom/bridge/request/ping", "snom/bridge/request/probe", "snom/bridge/west/request/fly",
		"snom/desk/result", "snom/Desk/key", "snom//", "snom", "$SYS/x", "snom/desk/\x00", "snom/desk/hangup", "snom/desk/transfer",
	} {
		for _, payload := range []string{
			"", "P1", "west", "east", `{"id":"1","keys":"P1"}`, `{"command":"dial","number":"1"}`, "{", "\xff", `{"process":"x","started":"2020-01-01T00:00:00Z"}`,
			`{"id":"1","expires_at":"2000-01-01T00:00:01Z"}`, "desk", `{"number":"1","mode":"attended"}`,
		} {
			f.Add(topic, []byte(payload), false, false)
			f.Add(topic, []byte(payload), true, true)
		}
	}
	f.Fuzz(func(t *testing.T, topic string, payload []byte, kept, shared bool) {
		synctest.Test(t, func(t *testing.T) {
			instance := ""
			if shared {
				instance = "west"
			}
			tree, err := mqtt.NewTree("snom", instance)
			if err != nil {
				t.Fatal(err)
			}
			out := &mqtttest.Recorder{}
			b := bridge.New(withDefaults(bridge.Config{
				Tree: tree, Publish: out, Log: slog.New(slog.DiscardHandler), Rules: bridge.Rules{TTL: time.Minute},
			}), bridge.Roster{
				Phones: []bridge.PhoneConfig{{Name: "desk", Phone: willing{}}, {Name: "hall", Phone: willing{}}},
				Groups: map[string][]string{"both": {"hall", "desk"}},
			})
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- b.Run(ctx) }()
			b.Republish()
			for range 2 {
				handle(b, tree, mqtt.Message{Topic: topic, Payload: payload, Retained: kept})
				time.Sleep(15 * time.Minute) // every command is over by then
			}
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			answers := map[string]int{}
			for _, m := range out.Messages() {
				if err := m.Check(); err != nil {
					t.Errorf("published: %v", err)
				}
				if len(m.Payload) > 8<<10 || !utf8.Valid(m.Payload) {
					t.Errorf("published on %s: %q", m.Topic, m.Payload)
				}
				answers[checkPlace(t, tree, m)]++
			}
			name := ""
			if a := tree.Read(topic); a.Kind == mqtt.KindCommand {
				name = a.Name
			}
			want := map[string]map[string]int{
				"desk": {"desk": 2}, "hall": {"hall": 2},
				"both": {"desk": 2, "hall": 2, "both": 2}, "all": {"desk": 2, "hall": 2, "all": 2},
			}[name]
			for who, n := range want {
				if answers[who] != n {
					t.Errorf("%s %q: %d answers of %s, expected %d", topic, payload, answers[who], who, n)
				}
			}
			if name != "" && want == nil && answers["bridge"] != 2 {
				t.Errorf("%s %q: %d refusals, expected 2", topic, payload, answers["bridge"])
			}
		})
	})
}

// checkPlace checks that a message is one of those that this bridge publishes, and returns whose answer it is.
func checkPlace(t *testing.T, tree mqtt.Tree, m mqtt.Message) (who string) {
	t.Helper()
	levels := strings.Split(m.Topic, "/")
	last := levels[len(levels)-1]
	if m.Topic == tree.BridgeResult() {
		return "bridge"
	}
	if m.Retained != slices.Contains([]string{"info", "status", "availability", "owner"}, last) {
		t.Errorf("%s is retained: %v", m.Topic, m.Retained)
	}
	if strings.HasPrefix(m.Topic, tree.Response("")) || m.Topic == tree.Info() {
		return ""
	}
	if len(levels) != 3 || !slices.Contains([]string{"desk", "hall", "both", "all"}, levels[1]) ||
		!slices.Contains([]string{"status", "availability", "owner", "result"}, last) {
		t.Errorf("published on %s", m.Topic)
	}
	if last != "result" {
		return ""
	}
	if !json.Valid(m.Payload) {
		t.Errorf("%s: %s is no JSON", m.Topic, m.Payload)
	}
	return levels[1]
}
