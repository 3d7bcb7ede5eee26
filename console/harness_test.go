package console_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/console"
	"github.com/snom2mqtt/snom2mqtt/internal/netlimit"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/mqtt/mqtttest"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/multicast"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// canary is every secret of a fixture: it may appear nowhere.
const canary = "c4n4ry"

// A fixture is a console on a socket, with a bridge and two simulated phones, kitchen and hall.
type fixture struct {
	t       *testing.T
	url     string
	bridge  *bridge.Bridge
	kitchen *snomtest.Phone
	out     *mqtttest.Recorder
	journal *console.Journal
	cookie  string
}

// newFixture serves a console. change changes its configuration.
func newFixture(t *testing.T, change func(*console.Config)) *fixture {
	t.Helper()
	tree, err := mqtt.NewTree("snom", "")
	if err != nil {
		t.Fatal(err)
	}
	d := &fixture{t: t, out: &mqtttest.Recorder{}, journal: &console.Journal{}}
	log := slog.New(slog.NewTextHandler(d.journal, nil))
	var phones []bridge.PhoneConfig
	for _, one := range []struct{ name, model string }{{"kitchen", "D735"}, {"hall", "870"}} {
		phone := snomtest.New(snomtest.Config{Name: one.name, Model: one.model, Auth: snomtest.AuthDigest, Username: "admin", Password: canary})
		l, err := phone.Listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := phone.Server()
		go func() { _ = server.Serve(l) }()
		t.Cleanup(func() { _ = server.Close(); phone.Close() })
		url := "http://" + l.Addr().String()
		client, err := snom.NewClient(snom.ClientConfig{URL: url, Username: "admin", Password: canary, Timeout: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		phones = append(phones, bridge.PhoneConfig{Name: one.name, URL: url, Phone: client, Mask: map[snom.Verb]bool{snom.VerbDTMF: true}})
		if one.name == "kitchen" {
			phones[0].Allow = map[snom.Verb]bool{snom.VerbScreen: true}
			d.kitchen = phone
		}
	}
	code, err := snom.ParseCommand("dtmf 4711")
	if err != nil {
		t.Fatal(err)
	}
	d.bridge = bridge.New(bridge.Config{
		Tree: tree, Publish: d.out, Log: log, Events: true, Rules: bridge.Rules{TTL: 30 * time.Second},
		QueueLength: 32, PollEvery: time.Minute, RingTimeout: 2 * time.Minute, CallTimeout: 4 * time.Hour,
	}, bridge.Roster{
		Phones: phones, Groups: map[string][]string{"downstairs": {"kitchen", "hall"}},
		Paging: map[string]multicast.Address{"kitchen": {Address: "239.255.10.3:5004", Priority: multicast.DefaultPriority}},
		Doors:  []bridge.DoorConfig{{Name: "front", Phones: []string{"kitchen"}, Number: "61", Code: code, Hold: time.Second}},
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := console.Config{
		Ready: func() (bool, string, string) { return true, "", "" }, Alive: func() error { return nil }, Log: log,
		Bridge: d.bridge, Tree: tree, BrokerFlags: "-h broker.example", Journal: d.journal,
		About: console.About{Version: "1.2.3", Revision: "abc", Go: "go", Started: time.Now(), Features: []string{"commands"}},
	}
	if change != nil {
		change(&c)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- d.bridge.Run(ctx) }()
	go func() { done <- console.Serve(ctx, netlimit.New(l, console.Limits()), c) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
	d.url = "http://" + l.Addr().String()
	return d
}

// ask makes a request with headers, given in pairs, and returns the answer and its body.
func (d *fixture) ask(method, path, body string, headers ...string) (*http.Response, string) {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), method, d.url+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	if d.cookie != "" {
		r.Header.Set("Cookie", d.cookie)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return resp, string(text)
}

// pressed returns how many requests the phone in the kitchen carried out.
func (d *fixture) pressed() (n int) {
	for _, r := range d.kitchen.Requests() {
		if r.Executed {
			n++
		}
	}
	return n
}

// press sends a command and waits for the results.
func (d *fixture) press(path, payload string, headers ...string) console.Press {
	d.t.Helper()
	resp, body := d.ask("POST", path, payload, append([]string{"Prefer", "wait=20"}, headers...)...)
	if resp.StatusCode != 200 {
		d.t.Fatalf("POST %s %s = %d %s", path, payload, resp.StatusCode, body)
	}
	var p console.Press
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		d.t.Fatal(err)
	}
	return p
}

// A reader follows what happens.
type reader struct {
	t     *testing.T
	body  io.ReadCloser
	lines *bufio.Scanner
}

func (d *fixture) follow(query string) *reader {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 2*time.Minute) // then what until waits for is missing
	d.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "GET", d.url+"/api/live"+query, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{}}).Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		d.t.Fatalf("GET /api/live = %d %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	d.t.Cleanup(func() { resp.Body.Close() })
	one := &reader{d.t, resp.Body, bufio.NewScanner(resp.Body)}
	one.lines.Buffer(nil, 1<<20)
	one.until("hello", "")
	return one
}

// until reads on to an event of a kind that contains a text, and returns its data.
func (r *reader) until(kind, text string) string {
	r.t.Helper()
	for r.lines.Scan() {
		if r.lines.Text() == "event: "+kind && r.lines.Scan() {
			if data := strings.TrimPrefix(r.lines.Text(), "data: "); strings.Contains(data, text) {
				return data
			}
		}
	}
	r.t.Fatalf("the stream ended before an event %s with %q: %v", kind, text, r.lines.Err())
	return ""
}
