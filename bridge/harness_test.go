package bridge_test

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/mqtt/mqtttest"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// A harness is a bridge with simulated phones, in virtual time: the real client talks the real
// HTTP to them, over pipes.
type harness struct {
	t      *testing.T
	tree   mqtt.Tree
	bridge *bridge.Bridge
	out    *mqtttest.Recorder
	phones map[string]*snomtest.Phone
	dials  map[string]func(context.Context, string, string) (net.Conn, error)
	log    *strings.Builder
	roster bridge.Roster // what a reload reads
	read   func() (bridge.Roster, error)
	stop   func() // ends the bridge and waits for that
}

// A testPhone is one phone of a harness: what it is, and how the bridge is configured for it.
type testPhone struct {
	phone snomtest.Config
	user  string // empty: the phone's own
	old   bool   // it is said to have the old dialect
	pass  string
	set   func(*bridge.PhoneConfig)

	macros []bridge.Macro // of the roster that it is in
	doors  []bridge.DoorConfig
	fault  snomtest.Fault // that it has from the beginning
}

// inHarness runs f with a harness in virtual time. read, if given, is what a reload reads.
func inHarness(t *testing.T, cfg bridge.Config, testPhones []testPhone, f func(h *harness), read ...func() (bridge.Roster, error)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, cfg, testPhones, nil, read...)
		f(h)
		h.stop()
		synctest.Wait()
	})
}

// withDefaults returns cfg with what must be positive.
func withDefaults(cfg bridge.Config) bridge.Config {
	cfg.QueueLength, cfg.PollEvery = cmp.Or(cfg.QueueLength, 32), cmp.Or(cfg.PollEvery, time.Minute)
	cfg.RingTimeout, cfg.CallTimeout = cmp.Or(cfg.RingTimeout, 2*time.Minute), cmp.Or(cfg.CallTimeout, 4*time.Hour)
	return cfg
}

func newHarness(t *testing.T, cfg bridge.Config, testPhones []testPhone, groups map[string][]string, read ...func() (bridge.Roster, error)) *harness {
	t.Helper()
	h := &harness{t: t, out: &mqtttest.Recorder{}, phones: map[string]*snomtest.Phone{}, dials: map[string]func(context.Context, string, string) (net.Conn, error){}, log: &strings.Builder{}}
	tree, err := mqtt.NewTree("snom", cfg.Tree.Instance)
	if err != nil {
		t.Fatal(err)
	}
	h.tree, cfg.Tree = tree, tree
	if cfg.Publish == nil {
		cfg.Publish = h.out
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if cfg.Rules.TTL == 0 {
		cfg.Rules.TTL = 30 * time.Second
	}
	cfg = withDefaults(cfg)
	var roster bridge.Roster
	for _, r := range testPhones {
		roster.Phones = append(roster.Phones, h.addPhone(r))
		roster.Macros = append(roster.Macros, r.macros...)
		roster.Doors = append(roster.Doors, r.doors...)
	}
	roster.Groups = groups
	h.read = func() (bridge.Roster, error) { return h.roster, nil }
	for _, r := range read {
		h.read = r
		cfg.Reload = h.reload
	}
	h.bridge = bridge.New(cfg, roster)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.bridge.Run(ctx) }()
	h.stop = func() {
		cancel()
		if done == nil {
			return
		}
		if err := <-done; err != nil {
			t.Errorf("Run = %v, expected nil", err)
		}
		done = nil
	}
	t.Cleanup(h.stop)
	synctest.Wait()
	h.out.Take() // what the first look found
	return h
}

// addPhone makes a phone and its entry in the roster.
func (h *harness) addPhone(r testPhone) bridge.PhoneConfig {
	h.t.Helper()
	phone, dial := snomtest.NewPipe(h.t, r.phone)
	if r.fault != "" {
		phone.SetFault(r.fault)
	}
	h.phones[r.phone.Name], h.dials[r.phone.Name] = phone, dial
	return h.entry(r, dial)
}

// entry is the roster's entry of a phone that dial reaches.
func (h *harness) entry(r testPhone, dial func(context.Context, string, string) (net.Conn, error)) bridge.PhoneConfig {
	h.t.Helper()
	user, pass := r.user, r.pass
	if user == "" {
		user, pass = r.phone.Username, r.phone.Password
	}
	dialect := snom.Dialect("")
	if r.old {
		dialect = snom.DialectOld
	}
	client, err := snom.NewClient(snom.ClientConfig{Dialect: dialect, URL: "http://" + r.phone.Name + ".invalid", Username: user, Password: pass, Dial: dial})
	if err != nil {
		h.t.Fatal(err)
	}
	model, _ := snom.FindModel(r.phone.Model)
	p := bridge.PhoneConfig{Model: model, Name: r.phone.Name, Phone: client, URL: client.URL(), Fingerprint: user + pass, Login: user + pass}
	if r.set != nil {
		r.set(&p)
	}
	return p
}

// reload does what the program does: it reads the phones again and puts them into effect.
func (h *harness) reload(ctx context.Context) error {
	r, err := h.read()
	if err != nil {
		return err
	}
	change, err := h.bridge.Apply(r)
	if err != nil {
		return err
	}
	change.Complete(ctx)
	return nil
}

// handle hands a message to a bridge, as a session does.
func handle(b *bridge.Bridge, tree mqtt.Tree, m mqtt.Message) { b.Handle(tree.Read(m.Topic), m) }

// say publishes a command to the bridge.
func (h *harness) say(topic, payload string) {
	handle(h.bridge, h.tree, mqtt.Message{Topic: topic, Payload: []byte(payload)})
}

// results takes what was published since the last call, and returns the results among it.
func (h *harness) results() []bridge.Result {
	h.t.Helper()
	synctest.Wait()
	return h.resultsOf(h.out.Take())
}

func (h *harness) resultsOf(messages []mqtt.Message) (all []bridge.Result) {
	h.t.Helper()
	for _, m := range messages {
		if !strings.HasSuffix(m.Topic, "/result") {
			continue
		}
		if m.Retained {
			h.t.Errorf("%s is retained", m.Topic)
		}
		var r bridge.Result
		if err := json.Unmarshal(m.Payload, &r); err != nil {
			h.t.Fatalf("%s: %s: %v", m.Topic, m.Payload, err)
		}
		all = append(all, r)
	}
	return all
}

// result says a command, lets d pass, and returns the one result there must be.
func (h *harness) result(topic, payload string, d time.Duration) bridge.Result {
	h.t.Helper()
	h.say(topic, payload)
	time.Sleep(d)
	all := h.results()
	if len(all) != 1 {
		h.t.Fatalf("%s %q: %d results, expected 1: %+v", topic, payload, len(all), all)
	}
	return all[0]
}

// codes are the codes of results, by id or, without one, by argument.
func codes(results []bridge.Result) map[string]bridge.Code {
	m := map[string]bridge.Code{}
	for _, r := range results {
		key := r.ID
		if key == "" {
			key = r.Argument
		}
		m[key] = r.Code
	}
	return m
}

// pressed are the targets of the command requests that a phone carried out.
func (h *harness) pressed(name string) (targets []string) {
	for _, r := range h.phones[name].Requests() {
		if r.Executed {
			targets = append(targets, r.Target)
		}
	}
	return targets
}

// one is a single phone that requires a digest login.
func one() []testPhone {
	return []testPhone{{phone: snomtest.Config{Name: "desk", Model: "D735", Auth: snomtest.AuthDigest, Username: "admin", Password: "right"}}}
}
