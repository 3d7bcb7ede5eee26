package session_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// OnSubscribe closes the connection on filters that closes names.
func (g *gate) OnSubscribe(cl *mochi.Client, p packets.Packet) packets.Packet {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closes != nil && !cl.Net.Inline && slices.ContainsFunc(p.Filters, func(s packets.Subscription) bool { return g.closes(s.Filter) }) {
		cl.Stop(packets.ErrNotAuthorized)
	}
	return p
}

// TestBrokerClosesConnectionOnSubscribe: RabbitMQ with topic permissions closes the connection on a filter that the user
// may not read, instead of refusing it. An optional filter must not keep the session offline, and each that is refused
// is named.
func TestBrokerClosesConnectionOnSubscribe(t *testing.T) {
	optional := []string{"homeassistant/status", "homeassistant/device/+/config"}
	tests := []struct {
		name    string
		closes  []string
		refused []string // in the status
		offline string   // part of the error; empty: online
	}{
		{"none", nil, nil, ""},
		{"one optional filter", optional[:1], optional[:1], ""},
		{"the other optional filter", optional[1:], optional[1:], ""},
		{"both optional filters", optional, []string{optional[1], optional[0]}, ""},
		{"the filter that covers all topics", []string{"snom/#"}, []string{"snom/#"}, ""},
		{"that and the optional ones", append([]string{"snom/#"}, optional...), []string{optional[1], optional[0], "snom/#"}, ""},
		{"a required filter", []string{"snom/#", "snom/+/+"}, []string{"snom/#"}, `"snom/+/+"; the user must be allowed to read it`},
		{"another required filter", []string{"snom/#", "snom/bridge/request/+"}, []string{"snom/#"}, `"snom/bridge/request/+"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newFixture(t, func(w *fixture) {
					w.handler.subscriptions = func() []mqtt.Subscription {
						all := w.cfg.Tree.Subscriptions(nil)
						for _, f := range optional {
							all = append(all, mqtt.Subscription{Filter: f, Optional: true})
						}
						return all
					}
				})
				w.gate.set(func(g *gate) { g.closes = func(filter string) bool { return slices.Contains(tt.closes, filter) } })
				stop := w.run()
				w.wait(time.Minute)
				st := w.session.Status()
				if st.Proven != (tt.offline == "") || !strings.Contains(st.LastError, tt.offline) {
					t.Errorf("status after a minute is %+v, expected online unless %q", st, tt.offline)
				}
				if !slices.Equal(st.Refused, tt.refused) {
					t.Errorf("refused: %q, expected %q", st.Refused, tt.refused)
				}
				for _, f := range tt.refused {
					if !strings.Contains(w.log.String(), "topic="+f) {
						t.Errorf("the log does not name %q:\n%s", f, w.log)
					}
				}
				before := st.Reconnects
				w.wait(time.Hour)
				switch st := w.session.Status(); {
				case tt.offline == "" && (st.Reconnects != before || !st.Proven):
					t.Errorf("status after an hour is %+v, expected no reconnect since", st)
				case tt.offline != "" && (st.Reconnects-before < 40 || st.Reconnects-before > 130 || st.TakenOver):
					t.Errorf("status after an hour is %+v, expected a connection every 30 to 60 s", st)
				}
				w.send("snom/kitchen/dial", "110", false)
				w.wait(time.Second)
				if got := slices.Contains(w.allHandled(), "snom/kitchen/dial=110"); got != (tt.offline == "") {
					t.Errorf("a command was handled: %t", got)
				}
				w.gate.set(func(g *gate) { g.closes = nil }) // the rights are granted
				w.wait(2 * time.Hour)
				w.expectOnline(true)
				w.wire().cut()
				w.wait(time.Minute)
				if st := w.session.Status(); !st.Proven || len(st.Refused) > 0 {
					t.Errorf("status after the rights were granted is %+v, expected nothing refused", st)
				}
				stop()
				w.cutAll()
			})
		})
	}
}

// A connection that is cut while a subscription is not answered is no refusal.
func TestCutDuringSubscribeIsNoRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFixture(t, func(w *fixture) {
			w.handler.subscriptions = func() []mqtt.Subscription {
				return append(w.cfg.Tree.Subscriptions(nil), mqtt.Subscription{Filter: "homeassistant/status", Optional: true})
			}
		})
		cuts := 0
		w.gate.set(func(g *gate) {
			g.closes = func(filter string) bool {
				cuts++
				return cuts <= 2
			}
		})
		stop := w.run()
		w.wait(time.Minute)
		w.expectOnline(true)
		if st := w.session.Status(); len(st.Refused) != 0 {
			t.Errorf("refused: %q, expected none", st.Refused)
		}
		stop()
		w.cutAll()
	})
}

// A broker that refuses the filter for all topics by SUBACK is asked for narrower ones, in both forms of the tree.
func TestNarrowSubscriptions(t *testing.T) {
	for _, instance := range []string{"", "attic"} {
		synctest.Test(t, func(t *testing.T) {
			tree, err := mqtt.NewTree("snom", instance)
			if err != nil {
				t.Fatal(err)
			}
			phones := []string{"kitchen", "all"}
			for i := range 300 {
				phones = append(phones, fmt.Sprintf("phone%d", i))
			}
			w := newFixture(t, func(w *fixture) {
				w.cfg.Tree, w.handler.tree = tree, tree
				w.handler.subscriptions = func() []mqtt.Subscription { return tree.Subscriptions(phones) }
			})
			w.gate.set(func(g *gate) {
				g.acl = func(topic string, write bool) bool { return write || !strings.HasSuffix(topic, "#") }
			})
			stop := w.run()
			w.wait(time.Second)
			if st := w.session.Status(); !st.Proven || st.LastError != "" || len(st.Refused) > 0 {
				t.Errorf("status is %+v, expected online", st)
			}
			w.send("snom/kitchen/dial", "110", false)
			w.send(tree.Request("ping"), "", false)
			w.send("snom/kitchen/dial/set", "not covered", false)
			w.session.Resubscribe(t.Context())
			w.wait(time.Second)
			if got, want := w.allHandled(), []string{"snom/kitchen/dial=110", tree.Request("ping") + "="}; !slices.Equal(got, want) {
				t.Errorf("handled %q, expected %q", got, want)
			}
			stop()
			w.cutAll()
		})
	}
}

// A command on a topic that is too short, too long or ends in a slash reaches the handler, once.
func TestTopicsOfEveryLengthAreCovered(t *testing.T) {
	for _, instance := range []string{"", "attic"} {
		withFixture(t, func(w *fixture) {
			tree, err := mqtt.NewTree("snom", instance)
			if err != nil {
				t.Fatal(err)
			}
			w.cfg.Tree, w.handler.tree = tree, tree
			w.handler.subscriptions = func() []mqtt.Subscription { return tree.Subscriptions([]string{"kitchen"}) }
		}, func(w *fixture) {
			w.wait(time.Second)
			var want []string
			for _, topic := range []string{
				"snom/kitchen", "snom/kitchen/", "snom/kitchen/dial", "snom/kitchen/dial/", "snom/kitchen/dial/set",
				"snom/kitchen//dial", "snom/kitchen/dial/set/now/please", w.cfg.Tree.Request("ping"), w.cfg.Tree.Request("ping") + "/",
			} {
				w.send(topic, "x", false)
				want = append(want, topic+"=x")
			}
			if w.cfg.Tree.Instance == "" {
				w.send("snom/Kitchen/dial", "x", false)
				want = append(want, "snom/Kitchen/dial=x")
			}
			w.wait(time.Second)
			if got := w.allHandled(); !slices.Equal(got, want) {
				t.Errorf("handled %q, expected %q", got, want)
			}
		})
	}
}
