package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestFaultRightsAreTakenAway: an access list that changes while the bridge is connected. Commands vanish, and within a
// minute the bridge is offline; when the rights are back, it is online again.
func TestFaultRightsAreTakenAway(t *testing.T) {
	t.Parallel()
	const all = "topic readwrite elsewhere/#"
	tests := map[string][]string{
		"all rights to read":         {"topic write snom/#"},
		"the right to read commands": {"topic write snom/#", "topic read snom/bridge/#", "topic read snom/+/status", "topic read snom/+/result"},
	}
	for name, left := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			users := passwords(t, bridgeUser(), testUser())
			list := func(bridge ...string) []string {
				return slices.Concat([]string{"user bridge", all}, bridge, []string{"user test", "topic readwrite #"})
			}
			file := rules(t, list("topic readwrite snom/#")...)
			r := newRig(t, plan{login: testUser(), conf: []string{"allow_anonymous false", "password_file " + users, "acl_file " + file}})
			r.results(r.send(0, 1)...)
			writeRules(t, file, list(left...)...)
			r.broker.hangup()
			began := time.Now()
			within(t, time.Minute, "the bridge is offline", func() bool { return r.state() == "offline" })
			t.Logf("offline after %v", time.Since(began).Round(time.Second))
			if ok, reason := ready(t, r.bridge); ok || reason == "" {
				t.Errorf("ready %v: %q, expected not ready and why", ok, reason)
			}
			writeRules(t, file, list("topic readwrite snom/#")...)
			r.broker.hangup()
			within(t, 2*timeLimit, "the bridge is online", func() bool { return r.state() == "online" })
			r.check()
		})
	}
}

// TestFaultEventsWhileTheBrokerIsAway: ten phones report long events for as long as the broker is away. The bridge keeps
// its memory, drops events that are too old, and loses no result.
func TestFaultEventsWhileTheBrokerIsAway(t *testing.T) {
	t.Parallel()
	listen := freePort(t)
	r := newRig(t, plan{phones: 10, later: true, bare: true, env: []string{
		fmt.Sprintf("SNOM2MQTT_PHONE_LISTEN=127.0.0.1:%d", listen), fmt.Sprintf("SNOM2MQTT_PHONE_BASE_URL=http://127.0.0.1:%d", listen),
		"SNOM2MQTT_QUEUE_LENGTH=1000",
	}})
	for i := range 10 {
		r.env = append(r.env, fmt.Sprintf("SNOM2MQTT_PHONE_%d_TOKEN=token-of-the-phone-%02d", i, i))
	}
	r.start()
	r.files = handles(t, r.bridge)
	text := url.QueryEscape(strings.Repeat("a name that is long ", 70))
	lasts := time.Duration(rounds(20, 75)) * time.Second
	r.send(0, 100) // under way when the broker goes
	r.toBroker.unresponsive()
	r.broker.kill()
	r.toBroker.cut()
	most := 0
	var calling sync.WaitGroup
	end := time.Now().Add(lasts)
	for i := range 10 {
		calling.Go(func() {
			for n := 0; time.Now().Before(end); n++ {
				at := fmt.Sprintf("http://127.0.0.1:%d/a/desk%d/token-of-the-phone-%02d/incoming?call-id=%d&remote=%d&display_remote=%s", listen, i, i, n, n, text)
				resp, err := http.Get(at) //nolint:noctx // the bridge answers at once
				if err != nil {
					continue // it may have too many
				}
				resp.Body.Close()
			}
		})
	}
	for time.Now().Before(end) {
		most = max(most, memory(t, r.bridge))
		r.toBroker.pause(time.Second)
	}
	calling.Wait()
	if limit := 64 << 20; most > limit && !*faultsAtLength {
		t.Errorf("the bridge took %d MiB, expected at most %d", most>>20, limit>>20)
	}
	t.Logf("the bridge took %d MiB", most>>20)
	r.broker.start()
	r.toBroker.hear()
	r.online()
	dropped := len(linesWith(r.bridge.stderr(), "messages dropped: ")) > 0
	if !dropped {
		t.Error("the log does not say that messages were dropped")
	}
	r.check() // what was accepted is answered
}

// TestFaultCutsUnderLoad: connections that are cut again and again while commands are answered. No topic is blamed for that,
// no answer is dropped, and no command is carried out twice.
func TestFaultCutsUnderLoad(t *testing.T) {
	t.Parallel()
	r := newRig(t, plan{phones: 10, env: []string{"SNOM2MQTT_QUEUE_LENGTH=1000"}})
	stop := r.load(time.Millisecond)
	for i := range rounds(30, 120) {
		r.toBroker.pause(time.Duration(200+i*37%1500) * time.Millisecond) // before, at and after the moment when a connection is settled
		r.toBroker.cut()
	}
	stop()
	r.online()
	for _, text := range []string{"messages dropped", "broker closes the connection"} {
		if got := linesWith(r.bridge.stderr(), text); len(got) > 0 {
			t.Errorf("the log has %q: %s", text, got[0])
		}
	}
	r.check()
}

// TestTopicsThatMissAreAnswered: a command on a topic that is nearly right is answered with words, and carried out by none.
func TestTopicsThatMissAreAnswered(t *testing.T) {
	t.Parallel()
	m := startMosquitto(t)
	phones := startPhones(t, 1)
	m.startBridge(t, phoneEnv(0, "kitchen", phones.urls[0])...)
	refusals, results := m.watch("snom/bridge/result"), m.watch("snom/kitchen/result")
	expect := func(w *watcher, on string, topics map[string]string) {
		t.Helper()
		var hints []string
		for topic, hint := range topics {
			m.publish(topic, "110")
			hints = append(hints, hint)
		}
		for _, got := range w.results(on, len(topics)) {
			i := slices.IndexFunc(hints, func(hint string) bool { return strings.HasSuffix(got.Message, hint) })
			if got.OK || i < 0 {
				t.Fatalf("answered %+v, expected a refusal that ends in one of %q", got, hints)
			}
			hints = slices.Delete(hints, i, i+1)
		}
	}
	expect(refusals, "snom/bridge/result", map[string]string{
		"snom/Kitchen/dial":   "names are written in lower case",
		"snom/KITCHEN/dial/":  "names are written in lower case, the topic ends in a slash",
		"snom/kitchen":        "the command is missing",
		"snom/kitchn/dial":    `no phone and no group is called "kitchn"`,
		"snom/my phone/dial":  "names are made of a-z, 0-9, _ and -",
		"snom/phone/Kitchen/": `no phone and no group is called "phone"`,
	})
	expect(results, "snom/kitchen/result", map[string]string{
		"snom/kitchen/dial/":    "the topic ends in a slash",
		"snom/kitchen/dial/set": "the topic has too many levels: the command is the last one",
		"snom/kitchen//dial":    "the topic has too many levels: the command is the last one",
		"snom/kitchen/Dial":     "commands are written in lower case: dial",
	})
	if got := phones.targets("phone-1"); len(got) != 0 {
		t.Errorf("the phone was asked: %q", got)
	}
}
