package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestTheLastResultsReachClientsOfTheEmbeddedBroker: a program that is asked to end while requests to phones are under way
// publishes their results, and its broker delivers them, and offline, before it closes.
func TestTheLastResultsReachClientsOfTheEmbeddedBroker(t *testing.T) {
	t.Parallel()
	const count = 6
	var underWay atomic.Int32
	at := freePort(t)
	env := []string{"SNOM2MQTT_CONSOLE_LISTEN=off", "SNOM2MQTT_REQUEST_TIMEOUT=20s", fmt.Sprintf("SNOM2MQTT_BROKER_LISTEN=127.0.0.1:%d", at)}
	for i := range count {
		phone := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Server", "snom embedded")
			if r.URL.Path == "/command.htm" {
				underWay.Add(1)
				<-r.Context().Done() // it hangs until the bridge gives up
			}
		}))
		t.Cleanup(phone.Close)
		env = append(env, phoneEnv(i, fmt.Sprintf("p%d", i), phone.URL, "MODEL=D735")...)
	}
	b := start(t, "snom2mqtt", env, program(t))
	address := fmt.Sprintf("127.0.0.1:%d", at)
	eventually(t, "the bridge is online", func() bool { return retained(t, address, "snom/bridge/state", login{}) == "online" })
	var watchers []*watcher
	for range 3 {
		w := &watcher{start(t, "mosquitto_sub", nil, tool(t, "mosquitto_sub"), "-p", fmt.Sprint(at), "-q", "1", "-t", "snom/#", "-F", "%j")}
		w.on("snom/bridge/state", 1) // it has subscribed
		watchers = append(watchers, w)
	}
	for i := range count {
		runTool(t, tool(t, "mosquitto_pub"), "-p", fmt.Sprint(at), "-q", "1", "-t", fmt.Sprintf("snom/p%d/key", i), "-m", "P1")
	}
	eventually(t, "all requests are under way", func() bool { return underWay.Load() == count })
	began := time.Now()
	if code := b.stop(); code != 0 {
		t.Errorf("exit code %d, expected 0", code)
	}
	t.Logf("the end took %v", time.Since(began).Round(time.Millisecond))
	for i, w := range watchers {
		w.until(fmt.Sprintf("client %d received the results and offline", i), func(out, _ []string) bool {
			results, state := map[string]bool{}, ""
			for _, m := range read(t, out) {
				if strings.HasSuffix(m.Topic, "/result") {
					results[m.Topic] = true
				}
				if m.Topic == "snom/bridge/state" {
					state = m.Payload
				}
			}
			return len(results) == count && state == "offline"
		})
		w.kill()
	}
}
