package console_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/console"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// A press is a message: it shows the topic, the payload and what does the same elsewhere, and has its result.
func TestPress(t *testing.T) {
	t.Parallel()
	d := newFixture(t, nil)
	p := d.press("/api/send/kitchen/key", "P1")
	if len(p.Results) != 1 || !p.Results[0].OK || p.Results[0].ID != p.ID || p.Topic != "snom/kitchen/key" || p.Payload != "P1" {
		t.Errorf("press = %+v", p)
	}
	if p.MosquittoPub != "mosquitto_pub -h broker.example -q 1 -t snom/kitchen/key -m P1" || !strings.Contains(p.HomeAssistant, "payload: 'P1'") {
		t.Errorf("%s\n%s", p.MosquittoPub, p.HomeAssistant)
	}
	p = d.press("/api/send/downstairs/key", `{"keys":"1"}`)
	if len(p.Results) != 2 {
		t.Errorf("a group's press has %d results", len(p.Results))
	}
	p = d.press("/api/send/kitchen/command", `{"command":"key","keys":"2","id":"mine"}`)
	if p.ID != "mine" || p.Results[0].ID != "mine" {
		t.Errorf("the id %q became %q", "mine", p.ID)
	}
	before := d.pressed()
	p = d.press("/api/send/kitchen/key?dry_run=true", "P2")
	if d.pressed() != before || !p.Results[0].OK || p.Results[0].Details == nil || len(p.Results[0].Would) == 0 {
		t.Errorf("a dry run pressed %d keys, and is %+v", d.pressed()-before, p.Results[0])
	}
	p = d.press("/api/send/kitchen/key", "offhook")
	if p.Results[0].Code != bridge.Invalid || d.pressed() != before {
		t.Errorf("a mistake has %s", p.Results[0].Code)
	}
	p = d.press("/api/send/kitchen/reset", "kitchen")
	if p.Results[0].Code != bridge.Forbidden {
		t.Errorf("reset has %s", p.Results[0].Code)
	}
	p = d.press("/api/bridge/ping", "")
	if len(p.Responses) != 1 || !p.Responses[0].OK || p.Topic != "snom/bridge/request/ping" {
		t.Errorf("ping = %+v", p)
	}
	resp, body := d.ask("POST", "/api/send/kitchen/key", "P1")
	if resp.StatusCode != 202 || !strings.Contains(body, `"results":[]`) {
		t.Errorf("without Prefer: %d %s", resp.StatusCode, body)
	}
	for path, status := range map[string]int{
		"/api/send/none/key": 404, "/api/send/kitchen/a%2Fb": 202, "/api/send/kitchen/status": 400, "/api/send/bridge/key": 404, "/api/bridge/a%2Fb": 404,
	} {
		if resp, body := d.ask("POST", path, "x"); resp.StatusCode != status {
			t.Errorf("POST %s = %d %s, expected %d", path, resp.StatusCode, body, status)
		}
	}
	if resp, _ := d.ask("POST", "/api/send/kitchen/key", "a=b", "Content-Type", "application/x-www-form-urlencoded"); resp.StatusCode != 415 {
		t.Errorf("a form = %d", resp.StatusCode)
	}
	if resp, _ := d.ask("POST", "/api/send/kitchen/key", strings.Repeat("x", 600<<10)); resp.StatusCode != 413 {
		t.Errorf("600 KiB = %d", resp.StatusCode)
	}
}

// A dry run, however it is spelled, presses nothing; and what is no request to the bridge is said at once.
func TestDryRunIsUnderstoodOrRefused(t *testing.T) {
	t.Parallel()
	d := newFixture(t, nil)
	before := d.pressed()
	for query, status := range map[string]int{"dry_run=1": 200, "dry_run=TRUE": 200, "dry_run": 200, "dry_run=maybe": 400, "dry_run=true&dry_run=false": 400} {
		if resp, body := d.ask("POST", "/api/send/kitchen/key?"+query, "P1", "Prefer", "wait=20"); resp.StatusCode != status || status == 200 && !strings.Contains(body, `"would":[`) {
			t.Errorf("%s = %d %s, expected %d", query, resp.StatusCode, body, status)
		}
	}
	if n := d.pressed() - before; n != 0 {
		t.Errorf("%d keys were pressed", n)
	}
	if d.press("/api/send/kitchen/key?dry_run=false", "P1"); d.pressed() == before {
		t.Error("dry_run=false pressed nothing")
	}
	if resp, body := d.ask("POST", "/api/bridge/ping?dry_run=true", ""); resp.StatusCode != 400 || !strings.Contains(body, "no dry run") {
		t.Errorf("a dry run of a request = %d %s", resp.StatusCode, body)
	}
	if resp, body := d.ask("POST", "/api/bridge/nosuch", "", "Prefer", "wait=20"); resp.StatusCode != 404 || !strings.Contains(body, "ping, reload") {
		t.Errorf("a request that there is not = %d %s", resp.StatusCode, body)
	}
}

// A misspelt parameter is no permission to press, and what is asked for in a wrong way is not answered with something else.
func TestUnknownParameters(t *testing.T) {
	t.Parallel()
	d := newFixture(t, nil)
	before := d.pressed()
	for _, path := range []string{
		"/api/send/kitchen/key?dryrun=true", "/api/send/kitchen/key?dry-run", "/api/send/kitchen/key?dry_run=true&hold=5", "/api/phones/kitchen/screen?dry_run=true",
		"/api/bridge/reload?dryrun=1",
	} {
		if resp, body := d.ask("POST", path, "P1", "Prefer", "wait=20"); resp.StatusCode != 400 || !strings.Contains(body, "unknown parameter") {
			t.Errorf("POST %s = %d %s", path, resp.StatusCode, body)
		}
	}
	if n := d.pressed() - before; n != 0 {
		t.Errorf("%d requests were carried out", n)
	}
	for path, expected := range map[string]string{
		"/api/phones?state=nosuch": "state: expected online, ", "/api/log?level=loud": "level: expected debug, ", "/log.txt?level=loud": "level: expected debug, ",
		"/api/live?types=event,results": "types: expected command, ",
	} {
		if resp, body := d.ask("GET", path, ""); resp.StatusCode != 400 || !strings.Contains(body, expected) {
			t.Errorf("GET %s = %d %s", path, resp.StatusCode, body)
		}
	}
}

// What is wrong with a phone is shown with what remedies it.
func TestRemedy(t *testing.T) {
	t.Parallel()
	d := newFixture(t, nil)
	v, _ := d.bridge.View("kitchen")
	wrong, err := snom.NewClient(snom.ClientConfig{URL: v.Config.URL, Username: "admin", Password: "wrong", Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	v.Config.Phone, v.Config.Fingerprint = wrong, "changed"
	if _, err := d.bridge.Apply(bridge.Roster{Phones: []bridge.PhoneConfig{v.Config}}); err != nil {
		t.Fatal(err)
	}
	if p := d.press("/api/send/kitchen/key", "P1"); p.Results[0].Code != bridge.Unauthorized {
		t.Fatalf("%+v", p.Results[0])
	}
	for _, path := range []string{"/setup", "/phones/kitchen"} {
		if _, body := d.ask("GET", path, ""); !strings.Contains(body, "the phone refuses the login") || !strings.Contains(body, "correct username and password of this phone and reload") {
			t.Errorf("%s does not say what to do: %s", path, body)
		}
		if _, body := d.ask("GET", path, "", "Accept-Language", "de"); !strings.Contains(body, ">das Telefon lehnt die Anmeldung ab<") || !strings.Contains(body, ">Benutzername und Passwort dieses Telefons berichtigen") {
			t.Errorf("%s does not say it in German: %s", path, body)
		}
	}
}

// A command for a phone that there is not, the most usual mistake, is seen by readers.
func TestRefusalsAreFollowed(t *testing.T) {
	t.Parallel()
	d := newFixture(t, nil)
	all := d.follow("")
	topic := "snom/nosuch/key"
	tree, err := mqtt.NewTree("snom", "")
	if err != nil {
		t.Fatal(err)
	}
	d.bridge.Handle(tree.Read(topic), mqtt.Message{Topic: topic, Payload: []byte("5")})
	all.until("result", `"code":"unknown_phone"`)
}

// Readers receive how the bridge stands with the broker, and that its phones are others.
func TestTheStateOfTheBridgeIsFollowed(t *testing.T) {
	t.Parallel()
	var ready atomic.Bool
	d := newFixture(t, func(c *console.Config) {
		c.Ready = func() (bool, string, string) {
			if ready.Load() {
				return true, "", ""
			}
			return false, "waiting for the broker", "no route"
		}
	})
	hall := d.follow("?phone=hall")
	hall.until("bridge", `"takes_commands":false,"connection":"waiting for the broker: no route","class":"bad"`)
	ready.Store(true)
	hall.until("bridge", `"takes_commands":true,"connection":"Takes commands","class":"good","reloaded":false`)
	if _, err := d.bridge.Apply(bridge.Roster{}); err != nil {
		t.Fatal(err)
	}
	hall.until("bridge", `"reloaded":true`)
}

// What changes while the first reader begins to follow reaches it, too.
func TestAChangeAtTheStartIsFollowed(t *testing.T) {
	t.Parallel()
	var asked atomic.Bool
	d := newFixture(t, func(c *console.Config) {
		c.Ready = func() (bool, string, string) { return asked.Swap(true), "waiting for the broker", "" } // true from the second time on
	})
	d.follow("").until("bridge", `"takes_commands":true`)
}

// German pages say in German why no commands are taken, and what keys do; what an error of the system says is marked as English.
func TestGermanPages(t *testing.T) {
	t.Parallel()
	d := newFixture(t, func(c *console.Config) {
		c.Ready = func() (bool, string, string) { return false, "waiting for the broker", "no <route>" }
	})
	broken := `class="bad">wartet auf den Broker: <span lang="en">no &lt;route&gt;</span></`
	for path, expected := range map[string][]string{
		"/": {`id="takes" ` + broken}, "/setup": {`id="takes" ` + broken, `id="brokerwords" ` + broken},
		"/phones/kitchen": {`data-key="OFFHOOK" title="hebt den Hörer ab"`, `data-key="P1" title="programmierbare Tasten"`, `data-key="F_OK" title="OK. F_OK ist eine Taste des Telefons, aber keine Quelle sagt, dass sie sich aus der Ferne drücken lässt"`},
	} {
		_, body := d.ask("GET", path, "", "Accept-Language", "de")
		for _, text := range expected {
			if !strings.Contains(body, text) {
				t.Errorf("%s has no %s: %s", path, text, body)
			}
		}
	}
}

// Logins of two consoles on one machine are kept apart: browsers send cookies to every port.
func TestCookiesOfTwoPorts(t *testing.T) {
	t.Parallel()
	d := newFixture(t, func(c *console.Config) { c.Password = canary })
	first, _ := d.ask("POST", "/login", "password="+canary, "Content-Type", "application/x-www-form-urlencoded", "Host", "127.0.0.1:8080")
	second, _ := d.ask("POST", "/login", "password="+canary, "Content-Type", "application/x-www-form-urlencoded", "Host", "127.0.0.1:8081")
	if len(first.Cookies()) != 1 || len(second.Cookies()) != 1 || first.Cookies()[0].Name == second.Cookies()[0].Name {
		t.Errorf("the cookies are %v and %v", first.Cookies(), second.Cookies())
	}
}

// The picture of a phone's screen is shown where the settings allow it, and otherwise the reason is.
func TestScreen(t *testing.T) {
	t.Parallel()
	d := newFixture(t, nil)
	resp, body := d.ask("POST", "/api/phones/kitchen/screen", "")
	if resp.StatusCode != 200 || !strings.HasPrefix(body, "\x89PNG") {
		t.Errorf("kitchen = %d %q", resp.StatusCode, body)
	}
	sent, err := url.PathUnescape(resp.Header.Get("X-Press"))
	if err != nil || !strings.Contains(sent, `"topic":"snom/kitchen/screen"`) || !strings.Contains(sent, "mosquitto_pub -h ") {
		t.Errorf("X-Press = %q, %v, expected what was sent", sent, err)
	}
	if resp, _ := d.ask("POST", "/api/phones/kitchen/screen?which="+strings.Repeat("x", 3000), ""); resp.StatusCode != 409 || resp.Header.Get("X-Press") != "" {
		t.Errorf("a long parameter = %d with a header of %d bytes", resp.StatusCode, len(resp.Header.Get("X-Press")))
	}
	if resp, body := d.ask("POST", "/api/phones/hall/screen", ""); resp.StatusCode != 409 || !strings.Contains(body, "ALLOW=screen") {
		t.Errorf("hall = %d %s", resp.StatusCode, body)
	}
	if resp, _ := d.ask("POST", "/api/phones/none/screen", ""); resp.StatusCode != 404 {
		t.Errorf("none = %d", resp.StatusCode)
	}
	for name, expected := range map[string]bool{"kitchen": true, "hall": false} {
		if _, body := d.ask("GET", "/phones/"+name, ""); strings.Contains(body, `id="screen"`) != expected {
			t.Errorf("the page of %s has a screen: %v", name, !expected)
		}
	}
}

// A door is shown with its state, its rings arrive, and opening it obeys its rules.
func TestDoors(t *testing.T) {
	t.Parallel()
	d := newFixture(t, nil)
	all := d.follow("?types=ring,door")
	p := d.press("/api/send/front/open", "")
	if p.Results[0].Code != bridge.Forbidden || p.Topic != "snom/front/open" {
		t.Errorf("without a call: %+v", p)
	}
	d.bridge.Event("kitchen", actionurl.Event{
		Type: actionurl.EventIncoming, CallID: "a", Direction: actionurl.DirectionIn, Remote: actionurl.Party{Number: "61"}, Time: time.Now(),
	})
	all.until("ring", `"door":"front"`)
	if _, body := d.ask("GET", "/doors", ""); !strings.Contains(body, `data-open="front"`) || !strings.Contains(body, "kitchen ringing") {
		t.Errorf("the page is %s", body)
	}
	if resp, _ := d.ask("GET", "/api/doors/front/image", ""); resp.StatusCode != 404 {
		t.Errorf("a picture that there is not = %d", resp.StatusCode)
	}
}

// What is to be copied means the same in a shell, in YAML and in Home Assistant's templates.
func TestQuoting(t *testing.T) {
	t.Parallel()
	d := newFixture(t, nil)
	for payload, expected := range map[string][2]string{
		"":               {"-n", "payload: ''"},
		"it's":           {`-m 'it'\''s'`, "payload: 'it''s'"},
		"{{ x }}":        {"-m '{{ x }}'", "payload: '{% raw %}{{ x }}{% endraw %}'"},
		"a\nb":           {"-m 'a\nb'", `payload: "a\nb"`},
		"a\n{{ x }}":     {"-m 'a\n{{ x }}'", `payload: "{% raw %}a\n{{ x }}{% endraw %}"`},
		`{"a":"{{{% x"}`: {`-m '{"a":"{{{% x"}'`, `payload: '{"a":"\u007b\u007b\u007b% x"}'`}, // Home Assistant would make an object of a template's
		`{"keys":"P1"}`:  {`-m '{"keys":"P1"}'`, `payload: '{"keys":"P1"}'`},
		"$(reboot); `x`": {"-m '$(reboot); `x`'", "payload: '$(reboot); `x`'"},
	} {
		_, body := d.ask("POST", "/api/send/kitchen/mute?dry_run=true", payload)
		var p console.Press
		if err := json.Unmarshal([]byte(body), &p); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(p.MosquittoPub, expected[0]) || !strings.Contains(p.HomeAssistant, expected[1]) {
			t.Errorf("%q: %s\n%s", payload, p.MosquittoPub, p.HomeAssistant)
		}
	}
}

// Readers receive commands, results, events, states and responses as they come, those that they asked for.
func TestFollow(t *testing.T) {
	t.Parallel()
	d := newFixture(t, nil)
	all, hall, log := d.follow(""), d.follow("?phone=hall&types=result"), d.follow("?types=log")
	d.press("/api/send/kitchen/key", "P1")
	all.until("command", `"argument":"P1"`)
	all.until("result", `"code":"ok"`)
	d.bridge.Event("kitchen", actionurl.Event{Type: actionurl.EventIncoming, CallID: "a", Remote: actionurl.Party{Number: "+4930123"}, Time: time.Now()})
	all.until("event", "+4930123")
	all.until("status", `"state":"ringing"`)
	d.press("/api/bridge/ping", "")
	all.until("response", `"action":"ping"`)
	d.press("/api/send/hall/key", "1")
	if got := hall.until("result", ""); !strings.Contains(got, `"phone":"hall"`) {
		t.Errorf("a reader of hall got %s", got)
	}
	_, _ = d.journal.Write([]byte("time=x level=WARN msg=\"something happened\"\n"))
	if got := log.until("log", "something happened"); !strings.Contains(got, `"level":"warn"`) {
		t.Errorf("log %s", got)
	}
}

// There is room for so many readers, and further ones are refused; a reader that has gone makes room.
func TestReadersAreBounded(t *testing.T) {
	t.Parallel()
	d := newFixture(t, nil)
	var readers []*reader
	for range 16 {
		readers = append(readers, d.follow(""))
	}
	if resp, body := d.ask("GET", "/api/live", ""); resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("one reader too many = %d %s", resp.StatusCode, body)
	}
	if p := d.press("/api/send/kitchen/key", "P1"); !p.Results[0].OK {
		t.Error("a press beside many readers failed")
	}
	readers[0].body.Close()
	for {
		resp, err := http.Get(d.url + "/api/live") //nolint:noctx // the test ends it
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode == 200 {
			break
		}
	}
}

// A reader that reads nothing delays nothing, and is disconnected.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	d := newFixture(t, nil)
	slow, quick := d.follow(""), d.follow("?types=event")
	for i := range 20000 {
		d.bridge.Event("kitchen", actionurl.Event{Type: actionurl.EventOffhook, Line: strings.Repeat("x", 400), Time: time.Now()})
		if i%500 == 0 {
			d.bridge.Event("hall", actionurl.Event{Type: actionurl.EventIncoming, CallID: "mark", Time: time.Now()})
			quick.until("event", `"mark"`)
		}
	}
	if p := d.press("/api/send/kitchen/key", "P1"); !p.Results[0].OK {
		t.Error("a press beside a slow reader failed")
	}
	if text, err := io.ReadAll(slow.body); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the slow reader's connection ended with %v after %d bytes", err, len(text))
	}
}

// Nothing is pressed for a page of another site, for another host, in a read-only console, or without the password.
func TestForgedRequests(t *testing.T) {
	t.Parallel()
	d := newFixture(t, nil)
	for name, headers := range map[string][]string{
		"cross-site":          {"Sec-Fetch-Site", "cross-site"},
		"same-site":           {"Sec-Fetch-Site", "same-site"},
		"origin":              {"Origin", "https://attacker.example"},
		"origin null":         {"Origin", "null"},
		"rebinding":           {"Host", "attacker.example"},
		"rebinding, own":      {"Host", "attacker.example:8080", "Origin", "http://attacker.example:8080"},
		"cross-site and text": {"Sec-Fetch-Site", "cross-site", "Content-Type", "text/plain"},
	} {
		if resp, _ := d.ask("POST", "/api/send/kitchen/key", "P1", headers...); resp.StatusCode != 403 && resp.StatusCode != 421 {
			t.Errorf("%s = %d", name, resp.StatusCode)
		}
	}
	if resp, _ := d.ask("GET", "/api/send/kitchen/key", ""); resp.StatusCode != 405 && resp.StatusCode != 404 {
		t.Errorf("GET = %d", resp.StatusCode)
	}
	only := newFixture(t, func(c *console.Config) { c.ReadOnly = true })
	if resp, _ := only.ask("POST", "/api/send/kitchen/key", "P1"); resp.StatusCode != 403 {
		t.Errorf("read-only = %d", resp.StatusCode)
	}
	if resp, _ := only.ask("POST", "/api/bridge/ping", ""); resp.StatusCode != 403 {
		t.Errorf("read-only = %d", resp.StatusCode)
	}
	if _, body := only.ask("GET", "/phones/kitchen", ""); !strings.Contains(body, `data-key="P1" title=`) ||
		regexp.MustCompile(`<button(?:"[^"]*"|[^>"])*>`).FindString(regexp.MustCompile(`<button(?:"[^"]*"|[^>"])* disabled>`).ReplaceAllString(body, "")) != "" {
		t.Error("a read-only page offers buttons")
	}
	locked := newFixture(t, func(c *console.Config) { c.Password = canary })
	for _, password := range []string{"", "guess"} {
		header := []string{}
		if password != "" {
			header = []string{"Authorization", "Basic dTpndWVzcw=="}
		}
		if resp, _ := locked.ask("POST", "/api/send/kitchen/key", "P1", header...); resp.StatusCode != 401 {
			t.Errorf("password %q = %d", password, resp.StatusCode)
		}
	}
	if n := d.pressed() + only.pressed() + locked.pressed(); n != 0 {
		t.Errorf("%d keys were pressed", n)
	}
}

// A login makes a session by a cookie that scripts cannot read and other sites do not send; it ends with the logout.
func TestLogin(t *testing.T) {
	t.Parallel()
	d := newFixture(t, func(c *console.Config) { c.Password = "right" })
	for path, expected := range map[string]string{"/phones": "./", "/phones/": "../"} {
		if resp, _ := d.ask("GET", path, ""); resp.StatusCode != 303 || resp.Header.Get("Location") != expected {
			t.Errorf("%s = %d, %s", path, resp.StatusCode, resp.Header.Get("Location"))
		}
	}
	resp, _ := d.ask("GET", "/phones/kitchen", "", "Accept", "text/html")
	if resp.StatusCode != 303 || resp.Header.Get("Location") != "../login?next=phones%2Fkitchen" {
		t.Errorf("a page = %d, %s", resp.StatusCode, resp.Header.Get("Location"))
	}
	if resp, _ := d.ask("GET", "/?state=ringing&q=a%26b", "", "Accept", "text/html"); resp.Header.Get("Location") != "login?next=%3Fstate%3Dringing%26q%3Da%2526b" {
		t.Errorf("a page with a filter leads to %s", resp.Header.Get("Location"))
	}
	if resp, body := d.ask("GET", "/login", ""); resp.StatusCode != 200 || !strings.Contains(body, `type="password"`) {
		t.Errorf("GET /login = %d", resp.StatusCode)
	}
	const form = "application/x-www-form-urlencoded"
	if resp, body := d.ask("POST", "/login", "password=wrong", "Content-Type", form); resp.StatusCode != 401 || !strings.Contains(body, "wrong") {
		t.Errorf("a wrong password = %d", resp.StatusCode)
	}
	if resp, _ := d.ask("POST", "/login", "password=right", "Content-Type", form, "Origin", "https://attacker.example"); resp.StatusCode != 403 {
		t.Errorf("a login from another site = %d", resp.StatusCode)
	}
	for next, expected := range map[string]string{
		"phones/kitchen": "./phones/kitchen", "?state=ringing&q=a%26b": "./?state=ringing&q=a%26b", "//attacker.example/": "./attacker.example/", "https://attacker.example": "./", `\\attacker.example`: "./", "login": "./",
	} {
		resp, _ := d.ask("POST", "/login?next="+url.QueryEscape(next), "password=right", "Content-Type", form)
		if resp.StatusCode != 303 || resp.Header.Get("Location") != expected {
			t.Errorf("next %s leads to %s", next, resp.Header.Get("Location"))
		}
		d.cookie = resp.Header.Get("Set-Cookie")
	}
	for _, attribute := range []string{"HttpOnly", "SameSite=Strict", "Path=/"} {
		if !strings.Contains(d.cookie, attribute) {
			t.Errorf("the cookie %s is not %s", d.cookie, attribute)
		}
	}
	d.cookie, _, _ = strings.Cut(d.cookie, ";")
	if resp, _ := d.ask("GET", "/phones/kitchen", ""); resp.StatusCode != 200 {
		t.Errorf("with the session = %d", resp.StatusCode)
	}
	if p := d.press("/api/send/kitchen/key", "P1"); !p.Results[0].OK {
		t.Error("a press with the session failed")
	}
	if resp, _ := d.ask("GET", "/metrics", "", "Authorization", "Basic dTpyaWdodA=="); resp.StatusCode != 404 {
		t.Errorf("metrics with the password = %d, expected 404: there are none", resp.StatusCode)
	}
	if resp, _ := d.ask("POST", "/logout", ""); resp.StatusCode != 303 {
		t.Errorf("logout = %d", resp.StatusCode)
	}
	if resp, _ := d.ask("GET", "/api/phones", ""); resp.StatusCode != 401 || resp.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("after the logout = %d", resp.StatusCode)
	}
	if resp, _ := d.ask("GET", "/api/phones", "", "X-Requested-With", "console"); resp.StatusCode != 401 || resp.Header.Get("WWW-Authenticate") != "" {
		t.Errorf("a script of a page is challenged, so that the browser asks for a password: %d", resp.StatusCode)
	}
}

// Home Assistant's ingress is answered without a password and under any name, in a frame; other addresses are not.
func TestIngress(t *testing.T) {
	t.Parallel()
	d := newFixture(t, func(c *console.Config) { c.Ingress = netip.MustParseAddr("127.0.0.1") })
	resp, body := d.ask("GET", "/phones/kitchen", "", "Host", "homeassistant.local:8123", "X-Ingress-Path", "/api/hassio_ingress/abc")
	if resp.StatusCode != 200 || !strings.Contains(resp.Header.Get("Content-Security-Policy"), "frame-ancestors 'self'") || resp.Header.Get("X-Frame-Options") != "" {
		t.Errorf("ingress = %d %v", resp.StatusCode, resp.Header)
	}
	for _, attribute := range []string{`href="/`, `src="/`, `action="/`} {
		if strings.Contains(body, attribute) {
			t.Errorf("the page has %s: it does not work below a path prefix", attribute)
		}
	}
	from := []string{"Host", "a0d7b954-x:8099", "X-Forwarded-Host", "homeassistant.local:8123"}
	if p := d.press("/api/send/kitchen/key", "P1", append(from, "Origin", "http://homeassistant.local:8123")...); !p.Results[0].OK {
		t.Error("a press through the ingress failed")
	}
	if resp, _ := d.ask("POST", "/api/send/kitchen/key", "P1", append(from, "Origin", "http://attacker.example")...); resp.StatusCode != 403 {
		t.Errorf("another site through the ingress = %d", resp.StatusCode)
	}
	other := newFixture(t, func(c *console.Config) { c.Ingress = netip.MustParseAddr("172.30.32.2") })
	if resp, _ := other.ask("GET", "/", "", "Host", "homeassistant.local"); resp.StatusCode != 421 {
		t.Errorf("this machine under a foreign name = %d", resp.StatusCode)
	}
	if resp, _ := other.ask("GET", "/healthz", ""); resp.StatusCode != 200 {
		t.Errorf("the health check of this machine = %d", resp.StatusCode)
	}
}

// Answers forbid scripts and styles in pages, frames, and guesses at types.
func TestHeaders(t *testing.T) {
	t.Parallel()
	d := newFixture(t, nil)
	for _, path := range []string{"/", "/phones/kitchen", "/messages", "/setup", "/log", "/about", "/api/phones", "/static/console.css", "/none", "/healthz"} {
		resp, body := d.ask("GET", path, "")
		policy := resp.Header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self';", "style-src 'self';", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
			if !strings.Contains(policy, part) {
				t.Errorf("GET %s: policy %q has no %s", path, policy, part)
			}
		}
		if resp.Header.Get("X-Content-Type-Options") != "nosniff" || strings.Contains(policy, "unsafe") {
			t.Errorf("GET %s: %v", path, resp.Header)
		}
		for _, inline := range []string{"<style", " style=", " onclick=", "javascript:"} {
			if strings.HasPrefix(path, "/static") == false && strings.Contains(body, inline) {
				t.Errorf("GET %s has %s", path, inline)
			}
		}
	}
	resp, _ := d.ask("GET", "/static/phones.js", "")
	if again, body := d.ask("GET", "/static/phones.js", "", "If-None-Match", resp.Header.Get("ETag")); again.StatusCode != 304 || body != "" {
		t.Errorf("a file that has not changed = %d", again.StatusCode)
	}
	for _, path := range []string{"/static/german.txt", "/static/..%2fconsole.go", "/static/none.js", "/static/"} {
		if resp, _ := d.ask("GET", path, ""); resp.StatusCode != 404 {
			t.Errorf("GET %s = %d", path, resp.StatusCode)
		}
	}
}

// No secret is in a page, an answer of the API, or the log; hostile texts of a caller are text.
func TestNothingSecretAndNothingForeign(t *testing.T) {
	t.Parallel()
	d := newFixture(t, func(c *console.Config) {
		c.Report = func(_ context.Context, w io.Writer) error { _, err := w.Write([]byte("zip")); return err }
		c.Faults = func() []string { return []string{"a <b>fault</b>"} }
	})
	all := d.follow("")
	p := d.press("/api/send/kitchen/dtmf", `{"digits":"4711"}`)
	if p.Results[0].Argument != "***" {
		t.Errorf("the tones are shown: %+v", p.Results[0])
	}
	for _, kind := range []string{"command", "result"} {
		if got := all.until(kind, `"dtmf"`); strings.Contains(got, "4711") {
			t.Errorf("%s shows the tones: %s", kind, got)
		}
	}
	hostile := `"><script>alert(1)</script>`
	d.bridge.Event("kitchen", actionurl.Event{Type: actionurl.EventIncoming, CallID: "a", Remote: actionurl.Party{Number: "1", Name: hostile}, Time: time.Now()})
	for _, path := range []string{
		"/", "/?q=%3Cscript%3E", "/phones/kitchen", "/doors", "/messages", "/setup", "/log", "/log?q=%22%3E%3Cscript%3E", "/about", "/login", "/phones/none", "/log.txt",
		"/api/bridge", "/api/phones", "/api/phones/kitchen", "/api/codes", "/api/log", "/api/openapi.json", "/api/report",
	} {
		resp, body := d.ask("GET", path, "")
		if strings.Contains(body, canary) || strings.Contains(body, "4711") {
			t.Errorf("GET %s shows a secret", path)
		}
		if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") && (strings.Contains(body, "<script>") || strings.Contains(body, "<b>")) {
			t.Errorf("GET %s lets a foreign text be markup", path)
		}
	}
}

// The API answers as it is described.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	d := newFixture(t, nil)
	d.press("/api/send/kitchen/key", "P1")
	d.bridge.Event("kitchen", actionurl.Event{Type: actionurl.EventIncoming, CallID: "a", Remote: actionurl.Party{Number: "1"}, Time: time.Now()})
	_, text := d.ask("GET", "/api/openapi.json", "")
	var document map[string]any
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	requests := map[string]string{
		"get /api/bridge": "", "get /api/phones": "", "get /api/phones/{name}": "", "get /api/codes": "", "get /api/doors": "", "get /api/log": "",
		"post /api/send/{name}/{command}": "P1", "post /api/bridge/{action}": "",
	}
	paths := at[map[string]any](t, document, "paths")
	for path, methods := range paths {
		for method := range methods.(map[string]any) {
			operation := at[map[string]any](t, document, "paths", path, method)
			content := at[map[string]any](t, operation, "responses", "200", "content")
			payload, asked := requests[method+" "+path]
			if !asked {
				if content["application/json"] != nil && path != "/api/openapi.json" {
					t.Errorf("%s %s is not tested", method, path)
				}
				continue
			}
			to := strings.NewReplacer("{name}", "kitchen", "{command}", "key", "{action}", "ping").Replace(path)
			resp, body := d.ask(strings.ToUpper(method), to, payload, "Prefer", "wait=20")
			var answer any
			if err := json.Unmarshal([]byte(body), &answer); err != nil || resp.StatusCode != 200 {
				t.Errorf("%s %s = %d, %v", method, to, resp.StatusCode, err)
			}
			if fault := conforms(document, at[map[string]any](t, content, "application/json", "schema"), answer, ""); fault != "" {
				t.Errorf("%s %s: %s", method, to, fault)
			}
			if fault := conforms(document, at[map[string]any](t, content, "application/json", "schema"), map[string]any{"x": 1}, ""); fault == "" {
				t.Errorf("%s %s: anything conforms", method, to)
			}
		}
	}
	if len(paths) < 9 {
		t.Errorf("%d paths", len(paths))
	}
}

// at returns what is at a place in a document.
func at[T any](t *testing.T, document any, place ...string) T {
	t.Helper()
	for _, name := range place {
		object, ok := document.(map[string]any)
		if !ok {
			t.Fatalf("%q is in no object", name)
		}
		document = object[name]
	}
	value, ok := document.(T)
	if !ok {
		t.Fatalf("%q is %T", place, document)
	}
	return value
}

// conforms says what is wrong with a value by a schema; of JSON schema it knows what the description uses.
func conforms(document map[string]any, schema map[string]any, value any, place string) string {
	if ref, ok := schema["$ref"].(string); ok {
		named := document["components"].(map[string]any)["schemas"].(map[string]any)[strings.TrimPrefix(ref, "#/components/schemas/")]
		schema, ok = named.(map[string]any)
		if !ok {
			return place + ": no schema " + ref
		}
	}
	if several, ok := schema["anyOf"].([]any); ok {
		for _, one := range several {
			if conforms(document, one.(map[string]any), value, place) == "" {
				return ""
			}
		}
		return place + ": none of several"
	}
	if values, ok := schema["enum"].([]any); ok && !slices.Contains(values, value) {
		return place + ": not in the list"
	}
	kinds, _ := schema["type"].([]any)
	if kind, ok := schema["type"].(string); ok {
		kinds = []any{kind}
	}
	kind := ""
	switch v := value.(type) {
	case nil:
		kind = "null"
	case string:
		kind = "string"
	case bool:
		kind = "boolean"
	case float64:
		kind = "integer"
	case []any:
		kind = "array"
		items, _ := schema["items"].(map[string]any)
		for _, one := range v {
			if fault := conforms(document, items, one, place+"[]"); fault != "" {
				return fault
			}
		}
	case map[string]any:
		kind = "object"
		members, closed := schema["properties"].(map[string]any)
		for name, one := range v {
			member, known := members[name].(map[string]any)
			if other, ok := schema["additionalProperties"].(map[string]any); ok {
				member, known = other, true
			}
			if closed && !known {
				return place + "." + name + ": not described"
			}
			if fault := conforms(document, member, one, place+"."+name); known && fault != "" {
				return fault
			}
		}
		required, _ := schema["required"].([]any)
		for _, name := range required {
			if _, ok := v[name.(string)]; !ok {
				return place + "." + name.(string) + ": missing"
			}
		}
	}
	if kinds != nil && !slices.Contains(kinds, any(kind)) {
		return place + ": is " + kind
	}
	return ""
}

// The log is found by level and text, and downloaded; old lines go first.
func TestLog(t *testing.T) {
	t.Parallel()
	d := newFixture(t, nil)
	_, _ = d.journal.Write([]byte("time=x level=DEBUG msg=first\n"))
	_, _ = d.journal.Write([]byte(`{"time":"x","level":"ERROR","msg":"second"}` + "\n"))
	for query, expected := range map[string]bool{"": true, "?level=debug": true, "?level=error": false, "?q=FIRST": true, "?q=none": false} {
		for _, path := range []string{"/api/log", "/log", "/log.txt"} {
			_, body := d.ask("GET", path+query, "")
			if strings.Contains(body, "msg=first") != expected {
				t.Errorf("GET %s%s: %s", path, query, body)
			}
		}
	}
	for range 100 {
		_, _ = d.journal.Write([]byte("level=INFO " + strings.Repeat("x", 4000) + "\n"))
	}
	_, body := d.ask("GET", "/api/log", "")
	if len(body) > 140<<10 || strings.Contains(body, "second") || !strings.Contains(body, "xxxx") {
		t.Errorf("%d bytes are kept", len(body))
	}
}

// The page of a phone and the set-up check say to which multicast addresses the phone listens.
func TestWhichPhonesListen(t *testing.T) {
	t.Parallel()
	d := newFixture(t, nil)
	shows := func(when, page, listens string, missing bool) {
		t.Helper()
		if _, body := d.ask("GET", "/phones/kitchen", ""); !strings.Contains(body, "239.255.10.3:5004 (kitchen): "+page+"<") {
			t.Errorf("%s: the page of the phone does not say %q", when, page)
		}
		if _, body := d.ask("GET", "/api/phones/kitchen", ""); !strings.Contains(strings.Join(strings.Fields(body), ""), `"announcements":[{"name":"kitchen","address":"239.255.10.3:5004","listens":`+listens+`}]`) {
			t.Errorf("%s: %s", when, body)
		}
		if _, body := d.ask("GET", "/setup", ""); strings.Contains(body, "does not listen") != missing {
			t.Errorf("%s: on the page of the set-up %v, expected %v", when, !missing, missing)
		}
	}
	shows("before", "not known: probe the phone", "null", false)
	d.press("/api/bridge/install", "kitchen")
	shows("after install", "listens", "true", false)
	d.kitchen.Set("multicast_listen", "off")
	d.press("/api/bridge/probe", "kitchen")
	shows("after it was turned off", "does not listen", "false", true)
	if _, body := d.ask("GET", "/phones/hall", ""); strings.Contains(body, "Announcements") {
		t.Error("a phone that no announcement is for shows them")
	}
}
