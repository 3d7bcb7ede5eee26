package bridge_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/multicast"
)

// A loudspeaker plays announcements in virtual time: a second for each word. Of those that have a number for a word, that
// is how many seconds it takes to prepare them.
type loudspeaker struct {
	mu     sync.Mutex
	played []string // address and text, as they begin
}

func (l *loudspeaker) length(a snom.Announcement) time.Duration {
	return time.Duration(len(strings.Fields(a.Text))) * time.Second
}

func (l *loudspeaker) prepare(ctx context.Context, a snom.Announcement) error {
	switch a.URL {
	case "":
	case "http://other.example/a.wav":
		return bridge.SpeakerError{Code: bridge.Forbidden, Message: "IMAGE_HOSTS does not list other.example"}
	default:
		return fmt.Errorf("no code for %s", a.URL)
	}
	var seconds int
	_, _ = fmt.Sscanf(a.Text, "%d", &seconds)
	select {
	case <-time.After(time.Duration(seconds) * time.Second):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *loudspeaker) Play(ctx context.Context, address string, a snom.Announcement, begin func() error) (time.Duration, error) {
	if err := l.prepare(ctx, a); err != nil {
		return 0, err
	}
	if err := begin(); err != nil {
		return 0, err
	}
	l.mu.Lock()
	l.played = append(l.played, address+" "+a.Text)
	l.mu.Unlock()
	begun := time.Now()
	select {
	case <-time.After(l.length(a)):
		return l.length(a), nil
	case <-ctx.Done():
		return time.Since(begun), context.Cause(ctx)
	}
}

func (l *loudspeaker) Measure(ctx context.Context, a snom.Announcement) (time.Duration, error) {
	return l.length(a), l.prepare(ctx, a)
}

func (l *loudspeaker) take() (played []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	played, l.played = l.played, nil
	return played
}

// announcing runs f with two phones, of which desk and the group all have an address.
func announcing(t *testing.T, cfg bridge.Config, f func(h *harness, l *loudspeaker), set ...func(*bridge.PhoneConfig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &loudspeaker{}
		cfg.Speaker = l
		phones := one()
		hall := one()[0]
		hall.phone.Name = "hall"
		phones = append(phones, hall)
		for _, s := range set {
			phones[0].set, phones[1].set = s, s
		}
		h := newHarness(t, cfg, phones, map[string][]string{"upstairs": {"hall", "desk"}}, func() (bridge.Roster, error) { return bridge.Roster{}, nil })
		h.roster = bridge.Roster{Groups: map[string][]string{"upstairs": {"hall", "desk"}}, Paging: map[string]multicast.Address{"desk": {Address: "239.255.10.1:5004", Priority: 5}, "all": {Address: "239.255.10.9:5004", Priority: 8}}}
		for _, p := range phones {
			h.roster.Phones = append(h.roster.Phones, h.entry(p, h.dials[p.phone.Name]))
		}
		h.read = func() (bridge.Roster, error) { return h.roster, nil }
		if err := h.reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		h.results()
		f(h, l)
		h.stop()
		synctest.Wait()
	})
}

// summaries takes what was published since the last call, and returns the summaries and the results among it.
func (h *harness) summaries() (groups []bridge.Summary, results []bridge.Result) {
	h.t.Helper()
	synctest.Wait()
	for _, m := range h.out.Take() {
		var is struct{ Group *string }
		if !strings.HasSuffix(m.Topic, "/result") || json.Unmarshal(m.Payload, &is) != nil {
			continue
		}
		if is.Group == nil {
			results = append(results, h.resultsOf([]mqtt.Message{m})...)
			continue
		}
		var s bridge.Summary
		if err := json.Unmarshal(m.Payload, &s); err != nil {
			h.t.Fatal(err)
		}
		groups = append(groups, s)
	}
	return groups, results
}

func TestAnnouncementIsPlayedAndAnsweredOnce(t *testing.T) {
	t.Parallel()
	announcing(t, bridge.Config{}, func(h *harness, l *loudspeaker) {
		r := h.result("snom/desk/announce", `{"text":"Dinner is ready","id":"7"}`, 10*time.Second)
		if r.ID != "7" || r.Phone != "desk" || r.Command != "announce" || !r.OK || r.Code != bridge.OK || r.Argument != "Dinner is ready" ||
			r.DurationMS != 3000 || r.QueuedMS != 0 || r.Requests != 0 || r.Message != "3.0 s sent to 239.255.10.1:5004" {
			t.Errorf("%+v", r)
		}
		if again := h.result("snom/desk/announce", `{"text":"Dinner is ready","id":"7"}`, 10*time.Second); again.Code != bridge.Duplicate || again.First == nil || !again.OK {
			t.Errorf("%+v", again)
		}
		if got := l.take(); !slices.Equal(got, []string{"239.255.10.1:5004 Dinner is ready"}) {
			t.Errorf("played %q", got)
		}
		if n := len(h.pressed("desk")); n != 0 {
			t.Errorf("the phone got %d commands", n)
		}
	})
}

// TestAnnouncementToAGroup: a group with an address plays it once, and there is one answer; a group without one is its members.
func TestAnnouncementToAGroup(t *testing.T) {
	t.Parallel()
	announcing(t, bridge.Config{}, func(h *harness, l *loudspeaker) {
		for range 2 { // the second one has the same id
			h.say("snom/all/announce", `{"text":"one two","id":"g"}`)
		}
		time.Sleep(10 * time.Second)
		groups, results := h.summaries()
		if len(groups) != 2 || len(results) != 0 {
			t.Fatalf("%d summaries, %d results, expected two and none", len(groups), len(results))
		}
		dup, s := groups[0], groups[1]
		if s.Code == bridge.Duplicate {
			dup, s = s, dup
		}
		if s.ID != "g" || s.Group != "all" || !s.OK || s.Code != bridge.OK || len(s.Members) != 2 || s.Members["hall"] != bridge.OK || s.DurationMS != 2000 {
			t.Errorf("%+v", s)
		}
		if dup.Code != bridge.Duplicate {
			t.Errorf("%+v", dup)
		}
		h.say("snom/upstairs/announce", "one two")
		time.Sleep(10 * time.Second)
		groups, results = h.summaries()
		if len(groups) != 1 || len(results) != 2 || groups[0].Members["desk"] != bridge.OK || groups[0].Members["hall"] != bridge.Unsupported {
			t.Errorf("%+v, %+v", groups, results)
		}
		for _, r := range results {
			if r.Phone == "hall" && !strings.Contains(r.Message, "paging in the phones file") {
				t.Errorf("%+v", r)
			}
		}
		if got := l.take(); !slices.Equal(got, []string{"239.255.10.9:5004 one two", "239.255.10.1:5004 one two"}) {
			t.Errorf("played %q", got)
		}
	})
}

// TestAnnouncementsWaitForOneAnother: one at a time at an address, in order, each no later than it expires; other addresses
// and the phone's commands do not wait.
func TestAnnouncementsWaitForOneAnother(t *testing.T) {
	t.Parallel()
	announcing(t, bridge.Config{QueueLength: 3}, func(h *harness, l *loudspeaker) {
		begin := time.Now()
		h.say("snom/desk/announce", `{"text":"a a a a a a a a a a","id":"1"}`)
		synctest.Wait()
		h.say("snom/desk/announce", `{"text":"b b","id":"2"}`)
		h.say("snom/desk/announce", `{"text":"c","id":"3","expires_in":5}`)
		h.say("snom/desk/announce", `{"text":"d","id":"4"}`)
		h.say("snom/desk/announce", `{"text":"e","id":"5"}`)
		h.say("snom/all/announce", `{"text":"f","id":"6"}`)
		h.say("snom/desk/key", `{"keys":"P1","id":"7"}`)
		time.Sleep(time.Second)
		groups, results := h.summaries()
		if got := codes(results); got["5"] != bridge.Busy || got["7"] != bridge.OK || len(got) != 2 || len(groups) != 1 {
			t.Errorf("after a second: %v, %d summaries", got, len(groups))
		}
		time.Sleep(4001 * time.Millisecond)
		if got := codes(h.results()); got["3"] != bridge.Expired || len(got) != 1 {
			t.Errorf("after five seconds: %v", got)
		}
		time.Sleep(time.Minute)
		if got := codes(h.results()); got["1"] != bridge.OK || got["2"] != bridge.OK || got["4"] != bridge.OK || len(got) != 3 {
			t.Errorf("at the end: %v", got)
		}
		if got := l.take(); !slices.Equal(got, []string{"239.255.10.1:5004 a a a a a a a a a a", "239.255.10.9:5004 f", "239.255.10.1:5004 b b", "239.255.10.1:5004 d"}) {
			t.Errorf("played %q after %v", got, time.Since(begin))
		}
	})
}

// TestAnnouncementsEnd: an empty announce, a hangup of the phone or group that has the address, a reload without the address
// and the end of the bridge end what is played and what waits. A hangup elsewhere, and one that is only tried, do not.
func TestAnnouncementsEnd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do    func(h *harness)
		ended bool
	}{
		"empty announce":           {func(h *harness) { h.say("snom/desk/announce", "") }, true},
		"hangup":                   {func(h *harness) { h.say("snom/desk/hangup", "") }, true},
		"hangup of a group":        {func(h *harness) { h.say("snom/all/hangup", "current") }, true},
		"reload":                   {func(h *harness) { h.roster.Paging = nil; _ = h.reload(h.t.Context()) }, true},
		"the end":                  {func(h *harness) { h.stop() }, true},
		"hangup of another phone":  {func(h *harness) { h.say("snom/hall/hangup", "") }, false},
		"hangup that is tried":     {func(h *harness) { h.say("snom/desk/hangup", `{"dry_run":true}`) }, false},
		"hangup that has expired":  {func(h *harness) { h.say("snom/desk/hangup", `{"expires_at":"2000-01-01T00:00:00Z"}`) }, false},
		"end that is tried":        {func(h *harness) { h.say("snom/desk/announce", `{"dry_run":true}`) }, false},
		"end elsewhere":            {func(h *harness) { h.say("snom/all/announce", "") }, false},
		"a key":                    {func(h *harness) { h.say("snom/desk/key", "P1") }, false},
		"retained hangup":          {func(h *harness) { handle(h.bridge, h.tree, mqtt.Message{Topic: "snom/all/hangup", Retained: true}) }, false},
		"reload that changes else": {func(h *harness) { h.roster.Groups = nil; _ = h.reload(h.t.Context()) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			announcing(t, bridge.Config{}, func(h *harness, l *loudspeaker) {
				h.say("snom/desk/announce", `{"text":"a a a a a","id":"1"}`)
				h.say("snom/desk/announce", `{"text":"b b","id":"2"}`)
				time.Sleep(2 * time.Second)
				c.do(h)
				time.Sleep(100 * time.Millisecond)
				synctest.Wait()
				_, results := h.summaries()
				got := map[string]bridge.Result{}
				for _, r := range results {
					got[r.ID] = r
				}
				if c.ended != (got["1"].Code == bridge.Cancelled && got["2"].Code == bridge.Cancelled) || !c.ended && (got["1"].Code != "" || got["2"].Code != "") {
					t.Errorf("%+v", got)
				}
				if c.ended && (!strings.Contains(got["1"].Message, "after 2.0 s were sent") || strings.Contains(got["2"].Message, "sent")) {
					t.Errorf("%+v", got)
				}
				if n := len(l.take()); n != 1 {
					t.Errorf("%d were played", n)
				}
			})
		})
	}
}

// TestAnnouncementExpiresBeforeItsFirstPacket: expiry holds for its start. What has begun is played to its end.
func TestAnnouncementExpiresBeforeItsFirstPacket(t *testing.T) {
	t.Parallel()
	announcing(t, bridge.Config{}, func(h *harness, l *loudspeaker) {
		if r := h.result("snom/desk/announce", `{"text":"5 seconds","expires_in":4}`, time.Minute); r.Code != bridge.Expired || r.QueuedMS != 4000 {
			t.Errorf("%+v", r)
		}
		if got := l.take(); len(got) != 0 {
			t.Errorf("played %q", got)
		}
		if r := h.result("snom/desk/announce", `{"text":"3 a a a a a a a a","expires_in":4}`, time.Minute); r.Code != bridge.OK || r.QueuedMS != 3000 || r.DurationMS != 9000 {
			t.Errorf("%+v", r)
		}
	})
}

// TestAnnouncementIsTried: a dry run makes all checks, tells where and how long, and plays nothing.
func TestAnnouncementIsTried(t *testing.T) {
	t.Parallel()
	announcing(t, bridge.Config{}, func(h *harness, l *loudspeaker) {
		r := h.result("snom/desk/announce", `{"text":"2 words","dry_run":true}`, time.Minute)
		if r.Code != bridge.OK || r.Details == nil || !slices.Equal(r.Would, []string{"RTP PCMU to 239.255.10.1:5004 for 2.0 s"}) {
			t.Errorf("%+v", r)
		}
		h.say("snom/all/announce", `{"text":"2 words","dry_run":true}`)
		time.Sleep(time.Minute)
		groups, results := h.summaries()
		if len(groups) != 1 || len(results) != 0 || groups[0].Details == nil || !slices.Equal(groups[0].Would, []string{"RTP PCMU to 239.255.10.9:5004 for 2.0 s"}) {
			t.Errorf("%+v, %+v", groups, results)
		}
		for payload, code := range map[string]bridge.Code{
			`{"url":"http://other.example/a.wav","dry_run":true}`: bridge.Forbidden, `{"text":9,"dry_run":true,"expires_in":1}`: bridge.Expired,
			`{"url":"http://h/unknown.wav","dry_run":true}`: bridge.Internal, `{"url":"ftp://h/a.wav","dry_run":true}`: bridge.Invalid,
		} {
			if r := h.result("snom/desk/announce", payload, time.Minute); r.Code != code {
				t.Errorf("%s: %+v, expected %s", payload, r, code)
			}
		}
		if got := l.take(); len(got) != 0 {
			t.Errorf("played %q", got)
		}
		h.say("snom/desk/announce", "a b c d e f g h i j k l m n o p q r s t") // of 20 s
		time.Sleep(time.Second)
		h.say("snom/desk/announce", `{"id":"try","text":"2 words","dry_run":true,"expires_in":3}`)
		time.Sleep(3 * time.Second)
		if got := h.results(); len(got) != 1 || got[0].ID != "try" || got[0].Code != bridge.OK {
			t.Errorf("behind another one: %+v, expected the answer at once", got)
		}
		h.say("snom/desk/announce", "")
		time.Sleep(time.Minute)
		h.results()
	})
}

// TestAnnouncementWithoutSpeaker: where nothing plays announcements, or the phone has no address, that is said.
func TestAnnouncementWithoutSpeaker(t *testing.T) {
	t.Parallel()
	inHarness(t, bridge.Config{}, one(), func(h *harness) {
		for _, payload := range []string{"Dinner is ready", "", `{"dry_run":true}`} {
			if r := h.result("snom/desk/announce", payload, time.Second); r.Code != bridge.Unsupported || !strings.Contains(r.Message, "paging in the phones file") {
				t.Errorf("%q: %+v", payload, r)
			}
		}
	})
}

// TestSecretAnnouncement: a masked argument is in no result and no log, whatever went wrong.
func TestSecretAnnouncement(t *testing.T) {
	t.Parallel()
	masked := func(p *bridge.PhoneConfig) { p.Mask = map[snom.Verb]bool{snom.VerbAnnounce: true} }
	announcing(t, bridge.Config{}, func(h *harness, _ *loudspeaker) {
		for _, to := range []string{"desk", "all"} {
			for _, payload := range []string{"canary", `{"url":"http://h/canary"}`, `{"url":"http://other.example/a.wav"}`, `{"url":"ftp://canary"}`, `{"text":"canary","dry_run":true}`, `{"text":"canary \u0000"}`} {
				h.say("snom/"+to+"/announce", payload)
				time.Sleep(time.Minute)
				synctest.Wait()
				for _, m := range h.out.Take() {
					if text := string(m.Payload); strings.Contains(text, "canary") || strings.Contains(text, "other.example") {
						t.Errorf("%s: %s", payload, text)
					}
				}
			}
		}
		if strings.Contains(h.log.String(), "canary") {
			t.Error("the log has it")
		}
	}, masked)
}

// TestPhonesAreSetToListen: install writes the addresses that reach a phone, and probe says what it listens to.
func TestPhonesAreSetToListen(t *testing.T) {
	t.Parallel()
	announcing(t, bridge.Config{}, func(h *harness, _ *loudspeaker) {
		listening := func(what string, does bridge.Switch) {
			t.Helper()
			expected := []bridge.Listening{{Name: "all", Address: "239.255.10.9:5004", Listens: does}, {Name: "desk", Address: "239.255.10.1:5004", Listens: does}}
			if got := h.bridge.Listening("desk"); !slices.Equal(got, expected) {
				t.Errorf("%s: %+v", what, got)
			}
			if got := h.bridge.Listening("nosuch"); got != nil {
				t.Errorf("a phone that there is not: %+v", got)
			}
		}
		listening("before its settings were read", bridge.SwitchUnknown)
		h.say("snom/bridge/request/install", "all")
		time.Sleep(time.Minute)
		got := answers[bridge.Response](h, "snom/bridge/response/install")
		if len(got) != 2 || got[0].Code != bridge.OK || got[1].Code != bridge.OK {
			t.Fatalf("%+v", got)
		}
		if s := h.phones["desk"].Settings(); s["multicast_listen"] != "on" || s["mc_address1"] != "239.255.10.1:5004" || s["mc_address2"] != "239.255.10.9:5004,priority=8" {
			t.Errorf("%v", s)
		}
		if s := h.phones["hall"].Settings(); s["mc_address1"] != "239.255.10.9:5004,priority=8" || s["mc_address2"] != "" {
			t.Errorf("%v", s)
		}
		h.say("snom/bridge/request/probe", "desk")
		time.Sleep(time.Minute)
		probed := answers[bridge.Response](h, "snom/bridge/response/probe")
		if len(probed) != 1 || fmt.Sprint(probed[0].Data.(map[string]any)["listens_to"]) != "[239.255.10.1:5004 239.255.10.9:5004]" {
			t.Errorf("%+v", probed)
		}
		listening("after install", bridge.SwitchOn)
		h.phones["desk"].Set("multicast_listen", "off")
		h.say("snom/bridge/request/probe", "desk")
		time.Sleep(time.Minute)
		listening("after it was turned off at the phone", bridge.SwitchOff)
	})
}
