package session_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

func TestOptionalSubscriptions(t *testing.T) {
	for _, refused := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newFixture(t, func(w *fixture) {
				w.handler.subscriptions = func() []mqtt.Subscription {
					return append(w.cfg.Tree.Subscriptions(nil), mqtt.Subscription{Filter: "homeassistant/status", Optional: true})
				}
			})
			w.gate.set(func(g *gate) {
				g.acl = func(topic string, write bool) bool { return write || !refused || topic != "homeassistant/status" }
			})
			stop := w.run()
			w.wait(time.Minute)
			w.expectOnline(true)
			w.publish("homeassistant/status=online")
			w.wait(time.Second)
			w.mu.Lock()
			handled := strings.Join(w.handled, " ")
			w.mu.Unlock()
			if got := strings.Contains(handled, "homeassistant/status=online"); got == refused {
				t.Errorf("refused %v: handled %q", refused, handled)
			}
			if got := strings.Count(w.log.String(), "optional subscription refused"); got > 1 || (got == 1) != refused {
				t.Errorf("refused %v: logged %d times", refused, got)
			}
			stop()
		})
	}
}
