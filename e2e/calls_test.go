package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A switchboard is phones that call a bridge, both in processes of their own, and what comes of that
// at a real broker.
type switchboard struct {
	t      *testing.T
	broker *mosquitto
	phones *phones
	names  []string // of the phones, the same for both sides
	bridge *process
	env    []string // of the bridge
	listen string   // where phones call it
	feed   *feed
}

// newSwitchboard starts all of it and has the bridge write its action URLs into the phones.
func newSwitchboard(t *testing.T, count int, env ...string) *switchboard {
	t.Helper()
	s := &switchboard{t: t, broker: startMosquitto(t, "log_type subscribe"), listen: fmt.Sprintf("127.0.0.1:%d", freePort(t))}
	s.phones = startPhones(t, count, "--auth", "digest", "--username", "admin", "--password", "secret", "--name", "desk")
	s.env = append(env, "SNOM2MQTT_PHONE_LISTEN="+s.listen, "SNOM2MQTT_PHONE_TOKEN_SECRET=0123456789abcdef", "SNOM2MQTT_COMMAND_GAP=1ms")
	for i, url := range s.phones.urls {
		name := "desk"
		if count > 1 {
			name = fmt.Sprintf("desk-%d", i+1)
		}
		s.names = append(s.names, name)
		s.env = append(s.env, phoneEnv(i, name, url, "USERNAME=admin", "PASSWORD=secret")...)
	}
	s.bridge = s.broker.startBridge(t, s.env...)
	s.feed = newFeed(s.broker.watch("snom/#"))
	return s
}

// install has the running bridge write the action URLs.
func (s *switchboard) install() {
	s.t.Helper()
	for _, name := range s.names {
		s.broker.publish("snom/bridge/request/install", fmt.Sprintf(`{"phone":%q,"id":%q}`, name, name))
	}
	answers := s.feed.on("snom/bridge/response/install", len(s.names))
	for _, a := range answers {
		if r := decode[result](s.t, a); !r.OK {
			s.t.Fatalf("installing: %s", a)
		}
	}
}

// A phoneState is what the control address reports of a phone.
type phoneState struct {
	Calls []struct{ ID, State string }
	Error string
}

// do plays something at a phone, and returns what it is like after it.
func (s *switchboard) do(phone, action string, values ...string) phoneState {
	s.t.Helper()
	form := url.Values{}
	for i := 0; i < len(values); i += 2 {
		form.Set(values[i], values[i+1])
	}
	var state phoneState
	s.control(http.MethodPost, "/phones/"+phone+"/"+action, form, &state)
	return state
}

// control asks the control address of the phones.
func (s *switchboard) control(method, path string, form url.Values, answer any) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.phones.control+path, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Error(err)
		return
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		s.t.Errorf("%s %s: %v", method, path, err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || json.Unmarshal(body, answer) != nil {
		s.t.Errorf("%s %s %v: %s %s %v", method, path, form, resp.Status, body, err)
	}
}

// answered looks at what the phone says of its action URLs: so many were called, and every one was
// answered by 200.
func (s *switchboard) answered(phone string, want int) {
	s.t.Helper()
	var actions []struct {
		Target, Err string
		Status      int
	}
	eventually(s.t, fmt.Sprintf("%s has the answers to %d action URLs", phone, want), func() bool { // it had an event before its answer
		s.control(http.MethodGet, "/phones/"+phone+"/actions", nil, &actions)
		return len(actions) >= want || s.t.Failed()
	})
	for _, a := range actions {
		if a.Status != http.StatusOK {
			s.t.Errorf("%s was answered %d: %s %s", phone, a.Status, a.Target, a.Err)
		}
	}
	if len(actions) > want {
		s.t.Errorf("%s called %d action URLs, want %d", phone, len(actions), want)
	}
}

// A feed is what a watcher saw, by topic, in order. Each message is read once.
type feed struct {
	w *watcher

	mu      sync.Mutex
	read    int
	topics  map[string][]string // payloads
	changed chan struct{}
}

func newFeed(w *watcher) *feed {
	f := &feed{w: w, topics: map[string][]string{}, changed: make(chan struct{})}
	go func() { // until the watcher ends, which it does with the test
		for f.more() {
		}
	}()
	return f
}

// more reads what is new, or waits for that; false: it was the end.
func (f *feed) more() bool {
	lines, changed := f.w.More(f.read)
	if len(lines) == 0 {
		select {
		case <-changed:
			return true
		case <-f.w.done:
			return false
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, line := range lines {
		var m message
		if json.Unmarshal([]byte(line), &m) == nil && strings.HasPrefix(line, "{") {
			f.topics[m.Topic] = append(f.topics[m.Topic], m.Payload)
		}
	}
	f.read += len(lines)
	close(f.changed)
	f.changed = make(chan struct{})
	return true
}

// wait waits until enough is true of the payloads on a topic, from the nth, and returns those.
func (f *feed) wait(topic string, from int, what string, enough func(payloads []string) bool) []string {
	f.w.t.Helper()
	late := time.After(timeLimit)
	for {
		f.mu.Lock()
		all, changed := f.topics[topic], f.changed
		f.mu.Unlock()
		if from = min(from, len(all)); enough(all[from:]) {
			return all[from:]
		}
		select {
		case <-changed:
		case <-late:
			f.w.t.Errorf("%s: waited in vain for %s; %d messages, the last: %s", topic, what, len(all), strings.Join(tail(all, 3), "\n"))
			return all[from:]
		}
	}
}

// on waits for n messages on a topic and returns all of them.
func (f *feed) on(topic string, n int) []string {
	f.w.t.Helper()
	return f.wait(topic, 0, fmt.Sprintf("%d messages", n), func(p []string) bool { return len(p) >= n })
}

func (f *feed) count(topic string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.topics[topic])
}

// A party is one side of a call.
type party struct{ Number, Name, URI string }

// An event is one on <base>/<phone>/event, a phoneStatus one on <base>/<phone>/status.
type (
	event struct {
		Type   string `json:"event_type"`
		CallID string `json:"call_id"`
		Remote party
		Local  party
		Calls  int
		Time   time.Time
	}
	phoneStatus struct {
		Call struct {
			State, Reason string
			CallID        string `json:"call_id"`
		}
		Calls, Missed int
	}
)

// A player plays calls at one phone, and notes what must come of them.
type player struct {
	s        *switchboard
	phone    string
	rng      *rand.Rand
	events   []string // "incoming <call id>"
	statuses []string // "ringing <call id> "
	missed   int
	lifted   bool
}

func (p *player) topic(leaf string) string { return "snom/" + p.phone + "/" + leaf }

// happens plays a deed and notes the events that it must cause. Now and then it waits for them.
func (p *player) happens(action string, events ...string) {
	p.s.do(p.phone, action)
	p.events = append(p.events, events...)
	if p.rng.IntN(3) == 0 {
		p.s.feed.wait(p.topic("event"), len(p.events)-1, "the event of "+action, func(e []string) bool { return len(e) > 0 })
	}
}

func (p *player) is(state, id, reason string) {
	p.statuses = append(p.statuses, state+" "+id+" "+reason)
}

// call plays one call, from its beginning to its end, and waits until the status says that it ended.
func (p *player) call(n int) {
	seen := p.s.feed.count(p.topic("status"))
	incoming, id := p.rng.IntN(4) > 0, ""
	if incoming {
		id = fmt.Sprintf("%s-%d@pbx.example", p.phone, n)
		p.s.do(p.phone, "ring", "id", id, "number", fmt.Sprint(p.rng.IntN(5)), "name", "Tom & <Jerry>")
		p.events = append(p.events, "incoming "+id)
		p.is("ringing", id, "")
	} else {
		calls := p.s.do(p.phone, "dial", "number", "100").Calls
		if len(calls) == 0 {
			p.s.t.Errorf("%s: call %d was not dialled", p.phone, n)
			return
		}
		id = calls[len(calls)-1].ID
		p.events = append(p.events, "outgoing "+id)
		p.is("dialing", id, "")
	}
	over := "hung_up"
	switch end := p.rng.IntN(100); {
	case incoming && end < 3:
		p.happens("reject") // and says nothing
		over = "timeout"
	case incoming && end < 20:
		p.happens("remote-hangup", "missed "+id)
		p.missed++
		over = "missed"
	case !incoming && end < 10:
		p.happens("hangup", "disconnected "+id)
		over = "unanswered"
	case !incoming && end < 20:
		p.happens("remote-hangup", "disconnected "+id)
		over = "unanswered"
	default:
		p.talk(id, incoming)
	}
	p.is("ended", id, over)
	p.s.feed.wait(p.topic("status"), seen, fmt.Sprintf("the end of call %d, %s", n, over), func(all []string) bool {
		return slices.ContainsFunc(all, func(text string) bool {
			c := decode[phoneStatus](p.s.t, text).Call
			return c.State == "ended" && c.CallID == id
		})
	})
	if p.lifted {
		p.happens("onhook", "onhook")
		p.lifted = false
	}
}

// talk is what follows when the call is answered.
func (p *player) talk(id string, incoming bool) {
	switch {
	case !incoming:
		p.happens("remote-answer", "connected "+id)
	case p.rng.IntN(2) == 0:
		p.happens("offhook", "offhook", "connected "+id)
		p.lifted = true
	default:
		p.happens("answer", "connected "+id)
	}
	p.is("connected", id, "")
	if p.rng.IntN(4) == 0 {
		p.happens("hold", "hold "+id)
		p.is("held", id, "")
		p.happens("unhold", "unhold "+id)
		p.is("connected", id, "")
	}
	switch {
	case p.lifted && p.rng.IntN(2) == 0:
		p.happens("onhook", "disconnected "+id, "onhook")
		p.lifted = false
	case p.rng.IntN(2) == 0:
		p.happens("hangup", "disconnected "+id)
	default:
		p.happens("remote-hangup", "disconnected "+id)
	}
}

// check compares what was played with what came.
func (p *player) check() {
	t := p.s.t
	var got []string
	for _, text := range p.s.feed.on(p.topic("event"), len(p.events)) {
		e := decode[event](t, text)
		if strings.HasSuffix(e.Type, "hook") { // which call that was about, the phone need not say
			e.CallID = ""
		}
		got = append(got, strings.TrimSpace(e.Type+" "+e.CallID))
	}
	if !slices.Equal(got, p.events) {
		at := 0
		for at < min(len(got), len(p.events)) && got[at] == p.events[at] {
			at++
		}
		t.Errorf("%s: %d events, want %d; from number %d on:\n%q, want\n%q", p.phone, len(got), len(p.events), at,
			got[at:min(at+5, len(got))], p.events[at:min(at+5, len(p.events))])
	}
	// A status that waits at the bridge for the broker may be replaced by the next one, so some are
	// missing. None is out of order, and the end of every call was there: call waited for it.
	last, want := "", p.statuses
	for _, text := range p.s.feed.on(p.topic("status"), 1) {
		c := decode[phoneStatus](t, text).Call
		now := c.State + " " + c.CallID + " " + c.Reason
		if c.State == "idle" || now == last {
			continue
		}
		i := slices.Index(want, now)
		if i < 0 {
			t.Errorf("%s: status %q, want one of %q", p.phone, now, want[:min(3, len(want))])
			break
		}
		last, want = now, want[i+1:]
	}
	final := p.s.feed.wait(p.topic("status"), 0, "idle at the end", func(all []string) bool {
		return len(all) > 0 && decode[phoneStatus](t, all[len(all)-1]).Call.State == "idle"
	})
	if s := decode[phoneStatus](t, final[len(final)-1]); s.Calls != 0 || s.Missed != p.missed {
		t.Errorf("%s: %d calls and %d missed at the end, want none and %d", p.phone, s.Calls, s.Missed, p.missed)
	}
	p.s.answered(p.phone, len(p.events))
}

// TestCalls plays a thousand calls with random endings at ten phones: each event and each end is on
// MQTT, in order, none stuck, none lost, none twice.
func TestCalls(t *testing.T) {
	t.Parallel()
	const phones, calls = 10, 1000
	s := newSwitchboard(t, phones, "SNOM2MQTT_RING_TIMEOUT=4s")
	s.install()
	began := time.Now()
	var players []*player
	var playing sync.WaitGroup
	for i, name := range s.names {
		p := &player{s: s, phone: name, rng: rand.New(rand.NewPCG(3, uint64(i)))}
		players = append(players, p)
		playing.Go(func() {
			for n := range calls / phones {
				if !t.Failed() {
					p.call(n)
				}
			}
		})
	}
	playing.Wait()
	took := time.Since(began)
	events := 0
	for _, p := range players {
		p.check()
		events += len(p.events)
	}
	t.Logf("%d calls with %d events in %v", calls, events, took.Round(time.Millisecond))
}

// TestNames lets callers with names that are hard to escape call, escaped in every way that a phone
// may: the name arrives as it was meant, or with its unreadable bytes replaced.
func TestNames(t *testing.T) {
	t.Parallel()
	encodings := []string{"percent", "percent-latin1", "utf8", "latin1", "spaces", "plus", "form", "reserved", "angle", "raw", "raw-latin1"}
	names := []struct {
		name string
		but  map[string]string // what arrives instead, by encoding; "": by any
	}{
		{"Front door", nil},
		{"Käthe Müller", nil},
		{`Tom & "Jerry" #1 <x@y>`, nil},
		{"a&remote=sip:110@police&call-id=x&b", nil},
		{"100% C++ 5 = 2 + 3", nil},
		{"電話 Küche", map[string]string{"latin1": "?? Küche", "raw-latin1": "?? Küche", "percent-latin1": "電話 K\uFFFDche"}},
		{"a\x01b\r\nHost: x", map[string]string{"": "a\uFFFDb\uFFFD\uFFFDHost: x"}},
		{"not \xff UTF-8", map[string]string{"": "not ÿ UTF-8"}},
		{strings.Repeat("Ä", 400), map[string]string{"": strings.Repeat("Ä", 256)}},
		{"", nil},
	}
	s := newSwitchboard(t, len(encodings))
	s.install()
	var calling sync.WaitGroup
	for i, encoding := range encodings {
		phone := s.names[i]
		calling.Go(func() {
			s.do(phone, "encoding", "value", encoding)
			for n, row := range names {
				id := fmt.Sprintf("%d@pbx", n)
				s.do(phone, "ring", "id", id, "number", "+4930123", "name", row.name)
				s.do(phone, "remote-hangup")
				want := row.name
				for _, by := range []string{"", encoding} {
					if but, ok := row.but[by]; ok {
						want = but
					}
				}
				for _, kind := range []string{"incoming", "missed"} {
					got := s.feed.wait("snom/"+phone+"/event", n*2, "a call", func(p []string) bool { return len(p) >= 2 })
					if len(got) < 2 {
						return
					}
					e := decode[event](t, got[map[string]int{"incoming": 0, "missed": 1}[kind]])
					if e.Type != kind || e.CallID != id || e.Remote.Name != want || e.Remote.Number != "+4930123" || e.Remote.URI != "sip:+4930123@pbx.example" {
						t.Errorf("%s: %q arrived as %+v, want %q", encoding, row.name, e, want)
					}
				}
			}
		})
	}
	calling.Wait()
	for _, phone := range s.names {
		s.answered(phone, 2*len(names))
	}
}

// TestInstalledOnce installs the URLs by the command, in a process of its own: they work, and go on
// working when the bridge starts again.
func TestInstalledOnce(t *testing.T) {
	t.Parallel()
	s := newSwitchboard(t, 1)
	install := start(t, "action-urls", s.env, program(t), "action-urls", "desk", "--install")
	if code := install.wait(); code != 0 || !strings.HasPrefix(strings.Join(install.stdout(), "\n"), "24 written, 0 were there already\n") {
		t.Fatalf("action-urls: exit code %d: %q %q", code, install.stdout(), install.stderr())
	}
	for n := range 2 {
		s.do("desk", "dnd", "on", fmt.Sprint(n == 0))
		if e := decode[event](t, s.feed.on("snom/desk/event", n+1)[n]); e.Type != []string{"dnd_on", "dnd_off"}[n] {
			t.Errorf("event %+v", e)
		}
		if code := s.bridge.stop(); code != 0 {
			t.Errorf("the bridge ended with %d", code)
		}
		s.bridge = s.broker.startBridge(t, s.env...)
	}
}

// TestFlood offers ten thousand requests with wrong tokens a second, or as many as this machine can
// send beside the bridge: nothing comes of them but a count, and meanwhile commands are carried out
// and calls arrive.
func TestFlood(t *testing.T) {
	t.Parallel()
	const rate, senders, longest = 10_000, 8, 4 * time.Second // 16 connections of one address may be without a valid token
	s := newSwitchboard(t, 1)
	s.install()
	before := s.feed.count("snom/desk/status")
	listen := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s.listen))
	var offered, sent, odd atomic.Int64
	var flooding sync.WaitGroup
	began := time.Now()
	for range senders {
		flooding.Go(func() {
			for time.Since(began) < longest {
				n := offered.Add(1)
				due := time.NewTimer(time.Until(began.Add(time.Duration(n) * time.Second / rate)))
				<-due.C
				status, err := wrongToken(listen, fmt.Sprintf("%032x", n))
				sent.Add(1)
				if (err != nil || status != http.StatusNotFound) && odd.Add(1) < 5 {
					t.Errorf("a wrong token: status %d, %v, want 404", status, err)
				}
			}
		})
	}
	var took time.Duration // of the flood
	flooded := make(chan struct{})
	go func() { flooding.Wait(); took = time.Since(began); close(flooded) }()

	commands, calls := 0, 0
	var slowest time.Duration
	for over := false; !over; {
		asked := time.Now()
		s.broker.publish("snom/desk/key", "P1")
		commands++
		for _, r := range s.feed.on("snom/desk/result", commands)[commands-1:] {
			if r := decode[result](t, r); !r.OK {
				t.Errorf("a command in the flood: %+v, want ok", r)
			}
		}
		slowest = max(slowest, time.Since(asked))
		s.do("desk", "ring", "number", "1")
		s.do("desk", "remote-hangup")
		calls++
		s.feed.on("snom/desk/event", 2*calls)
		select {
		case <-flooded:
			over = true
		default:
			over = t.Failed()
		}
	}
	<-flooded
	if n := s.feed.count("snom/desk/event"); n != 2*calls {
		t.Errorf("%d events, want the %d of real calls", n, 2*calls)
	}
	for _, text := range s.feed.on("snom/desk/status", before) {
		if strings.Contains(text, "flood") {
			t.Errorf("the flood is in a status: %s", text)
		}
	}
	s.answered("desk", 2*calls)
	if code := s.bridge.stop(); code != 0 {
		t.Errorf("the bridge ended with %d", code)
	}
	log := s.bridge.stderr()
	counted, warned := 0, 0
	for _, line := range log {
		if strings.Contains(line, "flood") {
			t.Errorf("the flood is in the log: %s", line)
		}
		if strings.Contains(line, "wrong token") {
			warned++
		}
		if _, rest, ok := strings.Cut(line, `msg="action URLs served"`); ok {
			if _, err := fmt.Sscanf(rest, " events=%d wrong_token=%d", new(int), &counted); err != nil {
				t.Errorf("%s: %v", line, err)
			}
		}
	}
	if int64(counted) != sent.Load() || warned < 1 || warned > 2 {
		t.Errorf("%d counted of %d sent, %d warnings; want all counted, and one warning a minute", counted, sent.Load(), warned)
	}
	t.Logf("%d wrong tokens in %v, %.0f a second of %d that were offered; meanwhile %d commands, the slowest in %v with mosquitto_pub, and %d calls",
		sent.Load(), took.Round(time.Millisecond), float64(sent.Load())/took.Seconds(), rate, commands, slowest.Round(time.Millisecond), calls)
}

// wrongToken calls an action URL of a phone with a token that is not its own, from another address of
// this machine than the phone's.
func wrongToken(addr *net.TCPAddr, token string) (status int, err error) {
	conn, err := net.DialTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}, addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(timeLimit)); err != nil {
		return 0, err
	}
	if _, err := io.WriteString(conn, "GET /a/desk/"+token+"/incoming?remote=flood HTTP/1.1\r\nHost: flood\r\n\r\n"); err != nil {
		return 0, err
	}
	answer := make([]byte, 256)
	n, err := io.ReadAtLeast(conn, answer, len("HTTP/1.1 404"))
	if err != nil {
		return 0, err
	}
	_, err = fmt.Sscanf(string(answer[:n]), "HTTP/1.1 %d", &status)
	return status, err
}
