package snomtest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/internal/pipenet"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// newTold returns a phone whose action URLs are all set, and what they say: "event variable=value".
func newTold(t *testing.T, c snomtest.Config, variables string) (*snomtest.Phone, func() []string) {
	t.Helper()
	l := pipenet.Listen()
	told := make(chan string, 100)
	srv := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		values := r.URL.Query()
		text := strings.TrimPrefix(r.URL.Path, "/")
		for name := range strings.FieldsSeq(variables) {
			text += " " + name + "=" + values.Get(name)
		}
		told <- text
	})}
	served := make(chan error)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() {
		srv.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("the server ended with %v, expected %v", err, http.ErrServerClosed)
		}
	})
	c.Settings = map[string]string{}
	for _, setting := range snomtest.ActionSettings() {
		event := strings.TrimSuffix(strings.TrimPrefix(setting, "action_"), "_url")
		c.Settings[setting] = "http://bridge.example:8088/" + event
		for i, name := range strings.Fields(variables) {
			c.Settings[setting] += map[bool]string{true: "?", false: "&"}[i == 0] + name + "=$" + name
		}
	}
	c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr != "bridge.example:8088" {
			t.Errorf("dials %q", addr)
		}
		return l.DialContext(ctx, network, addr)
	}
	p, dial := snomtest.NewPipe(t, c)
	_ = dial // the phone is played at, not asked
	return p, func() []string {
		t.Helper()
		if err := p.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		all := []string{}
		for len(told) > 0 {
			all = append(all, <-told)
		}
		return all
	}
}

// ringing makes the phone ring.
func ringing(p *snomtest.Phone) bool {
	_, rings := p.Incoming(snomtest.Call{Number: "+4930123", Name: "Front door"})
	return rings
}

func TestCalls(t *testing.T) {
	press := func(keys string) func(*snomtest.Phone) bool {
		return func(p *snomtest.Phone) bool { return p.Press(keys) == nil }
	}
	remoteAnswer := func(p *snomtest.Phone) bool { return p.RemoteAnswer("") }
	remoteHangUp := func(p *snomtest.Phone) bool { return p.RemoteHangUp("") }
	tests := []struct {
		name string
		do   []func(*snomtest.Phone) bool
		told string // events, and how many calls each says there are
		left string // states of the calls left
	}{
		{"rings", []func(*snomtest.Phone) bool{ringing}, "incoming 1", "ringing"},
		{"is answered", []func(*snomtest.Phone) bool{ringing, (*snomtest.Phone).Answer}, "incoming 1, connected 1", "connected"},
		{"is rejected", []func(*snomtest.Phone) bool{ringing, (*snomtest.Phone).Reject}, "incoming 1", ""},
		{"is missed", []func(*snomtest.Phone) bool{ringing, remoteHangUp}, "incoming 1, missed 0", ""},
		{"ends here", []func(*snomtest.Phone) bool{ringing, (*snomtest.Phone).Answer, (*snomtest.Phone).HangUp}, "incoming 1, connected 1, disconnected 0", ""},
		{"ends there", []func(*snomtest.Phone) bool{ringing, (*snomtest.Phone).Answer, remoteHangUp}, "incoming 1, connected 1, disconnected 0", ""},
		{"by the handset", []func(*snomtest.Phone) bool{ringing, (*snomtest.Phone).OffHook, (*snomtest.Phone).OnHook},
			"incoming 1, offhook 1, connected 1, disconnected 0, onhook 0", ""},
		{"is held", []func(*snomtest.Phone) bool{ringing, (*snomtest.Phone).Answer, (*snomtest.Phone).HoldCall, (*snomtest.Phone).Unhold, (*snomtest.Phone).HoldCall},
			"incoming 1, connected 1, hold 1, unhold 1, hold 1", "held"},
		{"a held call ends", []func(*snomtest.Phone) bool{ringing, (*snomtest.Phone).Answer, (*snomtest.Phone).HoldCall, (*snomtest.Phone).HangUp},
			"incoming 1, connected 1, hold 1, disconnected 0", ""},
		{"dials", []func(*snomtest.Phone) bool{func(p *snomtest.Phone) bool { return p.Dial("12") }, remoteAnswer, remoteHangUp},
			"outgoing 1, connected 1, disconnected 0", ""},
		{"no answer", []func(*snomtest.Phone) bool{func(p *snomtest.Phone) bool { return p.Dial("12") }, (*snomtest.Phone).HangUp},
			"outgoing 1, disconnected 0", ""},
		{"a second call", []func(*snomtest.Phone) bool{ringing, (*snomtest.Phone).Answer, ringing, (*snomtest.Phone).Answer},
			"incoming 1, connected 1, incoming 2, hold 2, connected 2", "held connected"},
		{"do not disturb", []func(*snomtest.Phone) bool{(*snomtest.Phone).ToggleDND, not(ringing), (*snomtest.Phone).ToggleDND},
			"dnd_on 0, dnd_off 0", ""},
		{"forwarding", []func(*snomtest.Phone) bool{func(p *snomtest.Phone) bool { return p.Forward("99") }, not(ringing),
			func(p *snomtest.Phone) bool { return p.Forward("") }, not(func(p *snomtest.Phone) bool { return p.Forward("") })},
			"redirection_on 0, redirection_off 0", ""},
		{"registration", []func(*snomtest.Phone) bool{func(p *snomtest.Phone) bool { return p.Register(1, false) },
			func(p *snomtest.Phone) bool { return p.Register(1, true) }, not(func(p *snomtest.Phone) bool { return p.Register(2, true) })},
			"reg_failed 0, log_on 0", ""},
		{"a long press", []func(*snomtest.Phone) bool{func(p *snomtest.Phone) bool { return p.LongPress("P5") },
			not(func(p *snomtest.Phone) bool { return p.LongPress("P99") })}, "longpress 0", ""},
		{"another event", []func(*snomtest.Phone) bool{func(p *snomtest.Phone) bool { return p.Fire("action_received_attended_transfer") }},
			"received_attended_transfer 0", ""},
		{"nothing to do", []func(*snomtest.Phone) bool{not((*snomtest.Phone).Answer), not((*snomtest.Phone).Reject), not((*snomtest.Phone).HangUp),
			not((*snomtest.Phone).HoldCall), not((*snomtest.Phone).Unhold), not(remoteAnswer), not(remoteHangUp), not((*snomtest.Phone).OnHook)}, "", ""},

		{"ENTER answers", []func(*snomtest.Phone) bool{ringing, press("ENTER")}, "incoming 1, connected 1", "connected"},
		{"CANCEL rejects", []func(*snomtest.Phone) bool{ringing, press("CANCEL")}, "incoming 1", ""},
		{"CANCEL hangs up", []func(*snomtest.Phone) bool{ringing, press("ENTER"), press("CANCEL")}, "incoming 1, connected 1, disconnected 0", ""},
		{"DISCONNECT hangs up", []func(*snomtest.Phone) bool{ringing, press("ENTER"), press("DISCONNECT")}, "incoming 1, connected 1, disconnected 0", ""},
		{"OFFHOOK and digits dial", []func(*snomtest.Phone) bool{press("OFFHOOK;1;2;#;ENTER"), press("ONHOOK")}, "offhook 0, outgoing 1, disconnected 0, onhook 0", ""},
		{"CANCEL forgets digits", []func(*snomtest.Phone) bool{press("1;2;CANCEL;ENTER")}, "", ""},
		{"digits in a call are tones", []func(*snomtest.Phone) bool{ringing, press("ENTER;1;2;ENTER")}, "incoming 1, connected 1", "connected"},
		{"DND toggles", []func(*snomtest.Phone) bool{press("DND"), press("DND")}, "dnd_on 0, dnd_off 0", ""},
		{"REDIAL", []func(*snomtest.Phone) bool{press("REDIAL"), press("1;ENTER"), press("CANCEL"), press("REDIAL")},
			"outgoing 1, disconnected 0, outgoing 1", "dialing"},
		{"F_HOLD holds and takes back", []func(*snomtest.Phone) bool{ringing, press("ENTER;F_HOLD;F_HOLD")}, "incoming 1, connected 1, hold 1, unhold 1", "connected"},
		{"attended transfer", []func(*snomtest.Phone) bool{ringing, press("ENTER"), press("F_HOLD"), press("3"), press("ENTER"), remoteAnswer, press("TRANSFER")},
			"incoming 1, connected 1, hold 1, outgoing 2, connected 2, attended_transfer 2, disconnected 1, disconnected 0", ""},
		{"attended transfer, given up", []func(*snomtest.Phone) bool{ringing, press("ENTER"), press("F_HOLD"), press("3"), press("ENTER"), press("CANCEL")},
			"incoming 1, connected 1, hold 1, outgoing 2, disconnected 1", "held"},
		{"blind transfer", []func(*snomtest.Phone) bool{ringing, press("ENTER"), press("TRANSFER"), press("3"), press("ENTER")},
			"incoming 1, connected 1, hold 1, blind_transfer 1, disconnected 0", ""},
		{"blind transfer, given up", []func(*snomtest.Phone) bool{ringing, press("ENTER"), press("TRANSFER"), press("3"), press("CANCEL")},
			"incoming 1, connected 1, hold 1, unhold 1", "connected"},
		{"TRANSFER without a call", []func(*snomtest.Phone) bool{press("TRANSFER")}, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, told := newTold(t, snomtest.Config{}, "nr_ongoing_calls")
				for i, do := range tt.do {
					if !do(p) {
						t.Errorf("step %d did nothing", i)
					}
				}
				got := strings.ReplaceAll(strings.Join(told(), ", "), "nr_ongoing_calls=", "")
				if got != tt.told {
					t.Errorf("told  %q\nwant %q", got, tt.told)
				}
				var left []string
				for _, c := range p.State().Calls {
					left = append(left, string(c.State))
				}
				if got := strings.Join(left, " "); got != tt.left {
					t.Errorf("calls left = %q, expected %q", got, tt.left)
				}
			})
		})
	}
}

// not is for steps that must do nothing.
func not(do func(*snomtest.Phone) bool) func(*snomtest.Phone) bool {
	return func(p *snomtest.Phone) bool { return !do(p) }
}

// Commands that arrive over HTTP act on the calls.
func TestCommandsActOnCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := newPiped(t, snomtest.Config{Lines: []string{"27@pbx.example", "28@pbx.example"}})
		states := func() string {
			var all []string
			for _, c := range p.State().Calls {
				all = append(all, fmt.Sprintf("%s %s %d", c.State, c.Number, c.Line))
			}
			return strings.Join(all, ", ")
		}
		steps := []struct{ target, want string }{
			{"/command.htm?number=%2B4930123&outgoing_uri=28@pbx.example", "dialing +4930123 2"},
			{"/command.htm?key=CANCEL", ""},
			{"/command.htm?key=REDIAL", "dialing +4930123 1"},
			{"/command.htm?number=sip:a@b.example&outgoing_uri=99@pbx.example", "dialing +4930123 1, dialing sip:a@b.example 1"},
			{"/command.htm?RELEASE_ALL_CALLS", ""},
		}
		for _, step := range steps {
			b.mustDo(step.target)
			if got := states(); got != step.want {
				t.Errorf("after %s: calls = %q, expected %q", step.target, got, step.want)
			}
		}
		b.mustDo("/dummy.htm?settings=save&dnd_mode=on")
		if !p.State().DND {
			t.Error("dnd_mode=on did not switch do-not-disturb on")
		}
		for _, s := range []struct{ target, setting, shown string }{
			{"/command.htm?key=DND", "dnd_mode", "off"}, // the key is seen in the setting
			{"/dummy.htm?settings=save&dnd_mode2=on", "dnd_mode2", "on"},
			{"/command.htm?key=DND", "dnd_mode2", "off"},
			{"/dummy.htm?settings=save&dnd_mode=on", "dnd_mode2", "on"},
			{"/dummy.htm?settings=save&dnd_mode13=off", "dnd_mode", "on"}, // there is no such identity
		} {
			b.mustDo(s.target)
			if got := p.Settings()[s.setting]; got != s.shown || p.State().DND != (s.shown == "on") {
				t.Errorf("after %s: %s = %q, do not disturb %v, expected %q", s.target, s.setting, got, p.State().DND, s.shown)
			}
		}
		b.mustDo("/command.htm?LOGOFFLINE=2")
		if got, want := p.State().Registered, []bool{true, false}; !slices.Equal(got, want) {
			t.Errorf("registered = %v, expected %v", got, want)
		}
		b.mustDo("/command.htm?LOGOFFALL")
		b.mustDo("/command.htm?REREGISTER=2")
		if got, want := p.State().Registered, []bool{false, true}; !slices.Equal(got, want) {
			t.Errorf("registered = %v, expected %v", got, want)
		}
		p.SetDND(false)
		ringing(p)
		p.RemoteHangUp("")
		if got := p.State().Missed; got != 1 {
			t.Errorf("missed = %d, expected 1", got)
		}
		b.mustDo("/index.htm?misseddel=clear")
		if got := p.State().Missed; got != 0 {
			t.Errorf("missed = %d, expected 0", got)
		}
	})
}

func TestCallById(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, told := newTold(t, snomtest.Config{}, "call-id remote")
		p.Incoming(snomtest.Call{ID: "a", Number: "1"})
		p.Answer()
		p.Incoming(snomtest.Call{ID: "b", Number: "sip:2@elsewhere.example"})
		p.Answer()
		if p.RemoteHangUp("c") || p.RemoteAnswer("a") {
			t.Error("did something to a call that there is not")
		}
		if !p.RemoteHangUp("a") {
			t.Error("a is not there")
		}
		want := []string{
			"incoming call-id=a remote=sip:1@pbx.example", "connected call-id=a remote=sip:1@pbx.example",
			"incoming call-id=b remote=sip:2@elsewhere.example", "hold call-id=a remote=sip:1@pbx.example",
			"connected call-id=b remote=sip:2@elsewhere.example", "disconnected call-id=a remote=sip:1@pbx.example",
		}
		if got := told(); !slices.Equal(got, want) {
			t.Errorf("told  %q\nwant %q", got, want)
		}
	})
}

func TestRebootTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, told := newTold(t, snomtest.Config{Lines: []string{"27@pbx.example", "28@pbx.example"}}, "context_url")
		ringing(p)
		told()
		p.Reboot(time.Minute)
		if ringing(p) || p.Dial("1") || p.Press("1") == nil {
			t.Error("a phone that is down did something")
		}
		p.Reboot(time.Minute) // the power fails again
		time.Sleep(2 * time.Minute)
		want := []string{"setup context_url=", "log_on context_url=sip:27@pbx.example", "log_on context_url=sip:28@pbx.example"}
		if got := told(); !slices.Equal(got, want) {
			t.Errorf("told  %q\nwant %q", got, want)
		}
		if got := p.State(); got.Down || len(got.Calls) != 0 {
			t.Errorf("state = %+v, expected it up without calls", got)
		}
	})
}

func TestLongPressInASequence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, told := newTold(t, snomtest.Config{}, "longpress_key")
		for _, keys := range []string{"P3,2000", "P4,2500,100;P5"} {
			if err := p.Press(keys); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Minute)
		}
		if got, want := told(), []string{"longpress longpress_key=P4"}; !slices.Equal(got, want) {
			t.Errorf("told %q, expected %q", got, want)
		}
		if err := p.Press("P3,2500"); err != nil {
			t.Error(err)
		}
		p.Reboot(0)
		time.Sleep(time.Minute)
		if got, want := told(), []string{"setup longpress_key=", "log_on longpress_key="}; !slices.Equal(got, want) {
			t.Errorf("told %q, expected %q", got, want)
		}
	})
}

func TestLikeD765(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, told := newTold(t, snomtest.Config{LikeD765: true}, "local nr_ongoing_calls")
		ringing(p)
		p.Reject()
		time.Sleep(time.Minute)
		ringing(p)
		p.RemoteHangUp("")
		const said = " local=27@pbx.example nr_ongoing_calls=$nr_ongoing_calls"
		want := []string{"incoming" + said, "disconnected" + said, "disconnected" + said, "incoming" + said, "disconnected" + said, "missed" + said}
		if got := told(); !slices.Equal(got, want) {
			t.Errorf("told  %q\nwant %q", got, want)
		}
	})
}

// TestMuteOnAnIdlePhone: the key MUTE toggles do not disturb only where there is no call and the setting says so.
func TestMuteOnAnIdlePhone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		setting  string
		call     bool
		expected bool
	}{
		{"", false, false}, {"off", false, false}, {"on", false, true}, {"on", true, false}, {"off", true, false},
	} {
		p, url := snomtest.NewServer(t, snomtest.Config{Settings: map[string]string{"mute_is_dnd_in_idle": tt.setting}})
		if tt.call {
			ringing(p)
		}
		newBrowser(t, url, nil).mustDo("/command.htm?key=MUTE")
		if got := p.State().DND; got != tt.expected {
			t.Errorf("setting %q, call %v: do not disturb is %v, expected %v", tt.setting, tt.call, got, tt.expected)
		}
	}
}
