package bridge_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// summaries are the summaries of groups among messages.
func summaries(t *testing.T, messages []mqtt.Message) (all []bridge.Summary) {
	t.Helper()
	for _, m := range messages {
		var s bridge.Summary
		if strings.HasSuffix(m.Topic, "/result") && strings.Contains(string(m.Payload), `"group":`) {
			if err := json.Unmarshal(m.Payload, &s); err != nil {
				t.Fatal(err)
			}
			all = append(all, s)
		}
	}
	return all
}

// A narrow is a broker that takes messages slowly: what waits for it is bounded, and more is lost.
type narrow struct {
	mu      sync.Mutex
	most    int
	waiting int
	lost    int
	took    []mqtt.Message
}

func (n *narrow) Publish(m mqtt.Message) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.waiting >= n.most {
		n.lost++
		return false
	}
	n.waiting++
	n.took = append(n.took, m)
	return true
}

func (n *narrow) room() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.most - n.waiting
}

// drain lets the broker take so many messages.
func (n *narrow) drain(most int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.waiting -= min(most, n.waiting)
}

// TestACrowdedGroupIsBusyAsAWhole: a flood of commands for groups, while the broker takes little, costs no answer: what
// would not fit is refused as a whole, with one summary, and nothing of it is sent.
func TestACrowdedGroupIsBusyAsAWhole(t *testing.T) {
	t.Parallel()
	const phones, commands = 40, 100
	for name, flood := range map[string]func(i int) (topic, payload string){
		"all": func(i int) (string, string) { return "snom/all/key", fmt.Sprintf(`{"id":"%d","keys":"P1"}`, i) },
		"one group": func(i int) (string, string) {
			return "snom/up/command", fmt.Sprintf(`{"id":"%d","command":"answer"}`, i)
		},
		"at fault":   func(i int) (string, string) { return "snom/all/key", fmt.Sprintf(`{"id":"%d","keys":"NONE"}`, i) },
		"no command": func(i int) (string, string) { return "snom/all/fly", fmt.Sprintf(`{"id":"%d"}`, i) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var testPhones []testPhone
				var names []string
				for i := range phones {
					n := fmt.Sprintf("p%d", i)
					names = append(names, n)
					testPhones = append(testPhones, testPhone{phone: snomtest.Config{Name: n, Model: "D735"}})
				}
				broker := &narrow{most: 1000}
				h := newHarness(t, bridge.Config{Publish: broker, Room: broker.room}, testPhones, map[string][]string{"up": names})
				for i := range commands {
					topic, payload := flood(i)
					h.say(topic, payload)
					time.Sleep(time.Millisecond)
					broker.drain(2)
				}
				h.say("snom/p1/key", `{"id":"single","keys":"P1"}`)
				time.Sleep(time.Minute)
				synctest.Wait()
				broker.mu.Lock()
				if broker.lost > 0 {
					t.Errorf("%d messages were lost", broker.lost)
				}
				whole := map[string]int{}
				busy := 0
				for _, s := range summaries(t, broker.took) {
					whole[s.ID]++
					if s.Code == bridge.Busy && len(s.Members) == 0 {
						busy++
					}
				}
				single := slices.ContainsFunc(h.resultsOf(broker.took), func(r bridge.Result) bool { return r.ID == "single" })
				broker.mu.Unlock()
				for i := range commands {
					if whole[fmt.Sprint(i)] != 1 {
						t.Errorf("command %d has %d summaries, expected 1", i, whole[fmt.Sprint(i)])
					}
				}
				if busy == 0 || busy == commands {
					t.Errorf("%d of %d commands were refused as a whole", busy, commands)
				}
				if !single {
					t.Error("a command for one phone has no answer")
				}
				if n := strings.Count(h.log.String(), "commands for groups refused"); n != 1 {
					t.Errorf("%d lines in the log, expected 1", n)
				}
				// When the broker has taken everything, groups are served again.
				broker.drain(1000)
				h.say("snom/up/key", `{"id":"later","keys":"P1"}`)
				time.Sleep(time.Minute)
				synctest.Wait()
				broker.mu.Lock()
				defer broker.mu.Unlock()
				all := summaries(t, broker.took)
				if last := all[len(all)-1]; last.ID != "later" || last.Code != bridge.OK {
					t.Errorf("afterwards %+v, expected ok", last)
				}
				h.stop()
			})
		})
	}
}

// TestWhatIsSecretForOneMemberIsShownByNone: the results of a group's members show no more than its summary; neither do
// warnings, refusals, names of commands that do not exist, and the log.
func TestWhatIsSecretForOneMemberIsShownByNone(t *testing.T) {
	t.Parallel()
	for name, say := range map[string]struct{ topic, payload string }{
		"dtmf for a group":              {"snom/all/dtmf", "4711"},
		"dtmf as an object":             {"snom/all/dtmf", `{"digits":"4711"}`},
		"dtmf by keys, wrong":           {"snom/all/dtmf", `{"digits":"4711x","method":"keys"}`},
		"a key that does not exist":     {"snom/all/key", "F_4711"},
		"a key with a time":             {"snom/door/key", "1,4711"},
		"in the place of a command":     {"snom/door/4711", ""},
		"there, for a group":            {"snom/all/4711", "x"},
		"there, for an unknown phone":   {"snom/cellar/4711", ""},
		"there, in an object":           {"snom/door/command", `{"command":"4711"}`},
		"there, in an object, unknown":  {"snom/cellar/command", `{"command":"4711"}`},
		"as a member":                   {"snom/door/dtmf", `{"4711":"digits"}`},
		"at the end of a topic":         {"snom/door/dtmf/4711", ""},
		"a touch that is not supported": {"snom/all/touch", "47 11"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				masked := func(p *bridge.PhoneConfig) {
					p.Mask = map[snom.Verb]bool{snom.VerbDTMF: true, snom.VerbKey: true, snom.VerbTouch: true}
				}
				h := newHarness(t, bridge.Config{}, []testPhone{
					{phone: snomtest.Config{Name: "door", Model: "D735"}, set: masked},
					{phone: snomtest.Config{Name: "hall", Model: "D735"}},
				}, nil)
				h.say(say.topic, say.payload)
				time.Sleep(time.Minute)
				synctest.Wait()
				answers := 0
				for _, m := range h.out.Take() {
					if strings.HasSuffix(m.Topic, "/result") {
						answers++
					}
					for _, leak := range []string{"4711", "47 11"} {
						if strings.Contains(string(m.Payload), leak) {
							t.Errorf("%s: %s", m.Topic, m.Payload)
						}
					}
				}
				if answers == 0 {
					t.Error("no answer")
				}
				if strings.Contains(h.log.String(), "4711") {
					t.Errorf("the log:\n%s", h.log)
				}
				h.stop()
			})
		})
	}
}

// TestARefusedCommandIsTheLastResult: the status shows why a command was refused, shortened.
func TestARefusedCommandIsTheLastResult(t *testing.T) {
	t.Parallel()
	for say, want := range map[string]bridge.Code{
		"030 12x": bridge.Invalid, strings.Repeat("9", 100): bridge.Invalid, strings.Repeat("é", 300): bridge.Invalid, "+4930": bridge.Forbidden,
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHarness(t, bridge.Config{Rules: bridge.Rules{TTL: time.Minute, DialDeny: denyAll()}}, one(), nil)
			h.say("snom/desk/dial", say)
			time.Sleep(time.Minute)
			synctest.Wait()
			var status struct {
				LastResult bridge.LastResult `json:"last_result"`
			}
			for _, m := range h.out.Take() {
				if m.Topic == "snom/desk/status" {
					if err := json.Unmarshal(m.Payload, &status); err != nil {
						t.Fatal(err)
					}
				}
			}
			if got := status.LastResult; got.Code != want || got.Command != "dial" || got.Message == "" || len(got.Message) > 203 {
				t.Errorf("dial %.20q: the last result is %+v, expected %s", say, got, want)
			}
			h.stop()
		})
	}
}

func denyAll() *regexp.Regexp { return regexp.MustCompile(".") }
