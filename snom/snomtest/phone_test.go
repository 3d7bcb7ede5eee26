package snomtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/icholy/digest"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// A browser asks a phone for pages and remembers nothing.
type browser struct {
	tb   testing.TB
	base string
	http *http.Client
}

// newBrowser connects by dial, or by the network when dial is nil.
func newBrowser(tb testing.TB, base string, dial func(context.Context, string, string) (net.Conn, error)) browser {
	tb.Helper()
	return browser{tb: tb, base: base, http: &http.Client{
		Transport:     &http.Transport{DialContext: dial, MaxIdleConnsPerHost: -1},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// do asks for a target exactly as it is written.
func (b browser) do(target string, edit ...func(*http.Request)) (*http.Response, string, error) {
	b.tb.Helper()
	req, err := http.NewRequestWithContext(b.tb.Context(), http.MethodGet, b.base, nil)
	if err != nil {
		b.tb.Fatal(err)
	}
	req.URL.Opaque = target
	for _, f := range edit {
		f(req)
	}
	resp, err := b.http.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

func (b browser) mustDo(target string, edit ...func(*http.Request)) (*http.Response, string) {
	b.tb.Helper()
	resp, body, err := b.do(target, edit...)
	if err != nil {
		b.tb.Fatalf("GET %s: %v", target, err)
	}
	return resp, body
}

// newPiped returns a phone and a browser inside a bubble.
func newPiped(t *testing.T, c snomtest.Config) (*snomtest.Phone, browser) {
	t.Helper()
	p, dial := snomtest.NewPipe(t, c)
	return p, newBrowser(t, "http://phone", dial)
}

// last returns the newest request the phone saw.
func last(t *testing.T, p *snomtest.Phone) snomtest.Request {
	t.Helper()
	all := p.Requests()
	if len(all) == 0 {
		t.Fatal("the phone saw no request")
	}
	return all[len(all)-1]
}

func TestCommands(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		model    string
		dialect  string
		target   string
		status   int
		executed bool
		keys     string
		note     string // part of it
	}{
		{name: "key", target: "/command.htm?key=P1", status: 200, executed: true, keys: "P1"},
		{name: "sequence", target: "/command.htm?key=OFFHOOK;1;%23;%2A;ENTER", status: 200, executed: true, keys: "OFFHOOK 1 # * ENTER"},
		{name: "separators encoded", target: "/command.htm?key=1%2C0%2C0%3B2", status: 200, executed: true, keys: "1,0,0 2"},
		{name: "unknown key", target: "/command.htm?key=KEYBOOT", status: 200, note: `no key "KEYBOOT" on a D735`},
		{name: "unknown key among others", target: "/command.htm?key=1;nope;2", status: 200, executed: true, keys: "1 2", note: `no key "nope"`},
		{name: "lower case", target: "/command.htm?key=cancel", status: 200, note: "no key"},
		{name: "key beyond the model", target: "/command.htm?key=P33", status: 200, note: "no key"},
		{name: "leading zero", target: "/command.htm?key=P01", status: 200, note: "no key"},
		{name: "bad time", target: "/command.htm?key=P1,1x", status: 200, note: `no time "1x"`},
		{name: "too many times", target: "/command.htm?key=P1,1,1,1", status: 200, note: "no key event"},
		{name: "F4 of a 190", model: "190", target: "/command.htm?key=F4", status: 200, note: "no key"},
		{name: "F1 of an 870", model: "870", target: "/command.htm?key=F1", status: 200, note: "no key"},
		{name: "CLEAR of a 220", model: "220", target: "/command.htm?key=CLEAR", status: 200, executed: true, keys: "CLEAR"},
		{name: "CLEAR of a D735", target: "/command.htm?key=CLEAR", status: 200, note: "no key"},
		{name: "EK of a 360", model: "360", target: "/command.htm?key=EK0", status: 200, executed: true, keys: "EK0"},
		{name: "EK of a D735", target: "/command.htm?key=EK0", status: 200, note: "no key"},
		{name: "F_HOLD in old firmware", model: "320", dialect: "old", target: "/command.htm?key=F_HOLD", status: 200, note: "no key"},
		{name: "F_R in old firmware", model: "320", dialect: "old", target: "/command.htm?key=F_R", status: 200, executed: true, keys: "F_R"},
		{name: "F_R in new firmware", dialect: "new", target: "/command.htm?key=F_R", status: 200, note: "no key"},
		{name: "dial", target: "/command.htm?number=%2B4930123", status: 302, executed: true},
		{name: "dial from an identity", target: "/command.htm?number=12&outgoing_uri=27@pbx.example", status: 302, executed: true},
		{name: "plus not encoded", target: "/command.htm?number=+4930123", status: 302, note: `no number " 4930123"`},
		{name: "no number", target: "/command.htm?number=", status: 302, note: "no number"},
		{name: "smuggled key", target: "/command.htm?number=1&key=P1", status: 302, executed: true, keys: "P1"},
		{name: "tones", target: "/command.htm?key_dtmf=12%23A", status: 200, executed: true},
		{name: "not tones", target: "/command.htm?key_dtmf=12E", status: 200, note: "no tones"},
		{name: "release all", target: "/command.htm?RELEASE_ALL_CALLS", status: 200, executed: true},
		{name: "release all, not bare", target: "/command.htm?RELEASE_ALL_CALLS=", status: 200, note: "no command"},
		{name: "log off all", target: "/command.htm?LOGOFFALL", status: 200, executed: true},
		{name: "log off one", target: "/command.htm?LOGOFFLINE=12", status: 200, executed: true},
		{name: "log off none", target: "/command.htm?LOGOFFLINE=13", status: 200, note: "no identity"},
		{name: "register", target: "/command.htm?REREGISTER=1", status: 200, executed: true},
		{name: "register 01", target: "/command.htm?REREGISTER=01", status: 200, note: "no identity"},
		{name: "touch", model: "870", target: "/command.htm?touch=479%20271%20pr%201%202", status: 200, executed: true},
		{name: "touch beside", model: "870", target: "/command.htm?touch=480%200", status: 200, note: "no touch"},
		{name: "touch half", model: "870", target: "/command.htm?touch=1%202%203", status: 200, note: "no touch"},
		{name: "touch elsewhere", target: "/command.htm?touch=1%201", status: 200, note: "no touch screen"},
		{name: "fix", target: "/command.htm?FIX_LIL=true", status: 200, executed: true},
		{name: "nothing", target: "/command.htm", status: 200, note: "no command"},
		{name: "unknown command", target: "/command.htm?explode=now", status: 200, note: "no command"},
		{name: "unknown flag", target: "/command.htm?EXPLODE", status: 200, note: "no command"},
		{name: "ring", target: "/line_login.htm?PLAY_RINGER:3=+Ringer", status: 200, executed: true},
		{name: "ring, old caption", target: "/line_login.htm?PLAY_RINGER:3=Play+Ringer", status: 200, executed: true},
		{name: "ring, caption of other firmware", dialect: "new", target: "/line_login.htm?PLAY_RINGER:3=Play+Ringer", status: 200, note: "no button"},
		{name: "ring, caption of newer firmware", dialect: "old", target: "/line_login.htm?PLAY_RINGER:3=+Ringer", status: 200, note: "no button"},
		{name: "ring 0", target: "/line_login.htm?PLAY_RINGER:0=+Ringer", status: 200, note: "no ringer"},
		{name: "ring, colon encoded", target: "/line_login.htm?PLAY_RINGER%3A3=+Ringer", status: 200, note: "no ringer"},
		{name: "clear", target: "/index.htm?misseddel=clear", status: 200, executed: true},
		{name: "clear, old", target: "/index.htm?dialeddel=0", status: 200, executed: true},
		{name: "clear, other firmware", dialect: "new", target: "/index.htm?receiveddel=0", status: 200, note: "no list"},
		{name: "clear another list", target: "/index.htm?alldel=clear", status: 200, note: "no list"},
		{name: "firmware", target: "/dummy.htm?swload=load&firmware=http://fw.example/a.bin", status: 200, executed: true},
		{name: "firmware, none", target: "/dummy.htm?swload=load", status: 200, note: "no firmware"},
		{name: "reboot", target: "/advanced_update.htm?reboot=Reboot", status: 200, executed: true},
		{name: "reboot, another way", target: "/dummy.htm?REBOOT=true", status: 200, executed: true},
		{name: "reset", target: "/advanced_update.htm?reset=Reset", status: 200, executed: true},
		{name: "update, nothing", target: "/advanced_update.htm", status: 200, note: "nothing to do"},
		{name: "dummy, nothing", target: "/dummy.htm", status: 200, note: "nothing to do"},
		{name: "minibrowser", target: "/minibrowser.htm?url=http%3A%2F%2F127.0.0.1:1%2Fb.xml", status: 200, executed: true},
		{name: "minibrowser, nothing", target: "/minibrowser.htm", status: 200, note: "no url"},
		{name: "no such page", target: "/nothing.htm", status: 404, note: "no such page"},
		{name: "D8xx", model: "D862", target: "/command.htm?key=P1", status: 200, note: "D8xx"},
		{name: "base", model: "M900", target: "/", status: 303, note: "base"},
		{name: "base, settings", model: "M900", target: "/settings.xml", status: 404, note: "base"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, url := snomtest.NewServer(t, snomtest.Config{Model: tt.model, Dialect: tt.dialect})
			resp, _ := newBrowser(t, url, nil).mustDo(tt.target)
			if got, want := resp.StatusCode, tt.status; got != want {
				t.Errorf("status = %d, expected %d", got, want)
			}
			got := last(t, p)
			if got.Target != tt.target {
				t.Errorf("Target = %q, expected %q", got.Target, tt.target)
			}
			if got.Status != tt.status {
				t.Errorf("Status = %d, expected %d", got.Status, tt.status)
			}
			if got.Executed != tt.executed {
				t.Errorf("Executed = %t, expected %t (note %q)", got.Executed, tt.executed, got.Note)
			}
			if keys := strings.Join(got.Keys, " "); keys != tt.keys {
				t.Errorf("Keys = %q, expected %q", keys, tt.keys)
			}
			if !strings.Contains(got.Note, tt.note) || tt.note == "" && got.Note != "" {
				t.Errorf("Note = %q, expected %q", got.Note, tt.note)
			}
			if want := map[bool]int{true: 1, false: 0}[tt.executed]; len(p.Executed()) != want {
				t.Errorf("%d requests executed, expected %d", len(p.Executed()), want)
			}
		})
	}
}

func TestDialAnswersARedirect(t *testing.T) {
	t.Parallel()
	_, url := snomtest.NewServer(t, snomtest.Config{})
	resp, _ := newBrowser(t, url, nil).mustDo("/command.htm?number=12")
	if got, want := resp.Header.Get("Location"), "index.htm"; got != want {
		t.Errorf("Location = %q, expected %q", got, want)
	}
	if got, want := resp.Header.Get("Server"), "snom embedded"; got != want {
		t.Errorf("Server = %q, expected %q", got, want)
	}
}

// The library's requests, which this package reads independently, are understood without a remark.
func TestUnderstandsEveryCommand(t *testing.T) {
	t.Parallel()
	commands := []string{
		"key OFFHOOK;1;*;#;ENTER", "key P1,2000,100;MENU", "dial +4930123", "dial sip:a.b@pbx.example:5060",
		`dial {"number":"12","outgoing_uri":"27@pbx.example"}`, "dtmf 12#*A", `dtmf {"digits":"1#","method":"keys"}`, "answer",
		"hangup all", "hangup current", "transfer 12#", "transfer complete", "transfer cancel",
		`transfer {"number":"12","mode":"blind"}`, "ring 3", `ring {"ringer":9,"count":3}`, "touch 479 271 pr 0 0",
		"logoff all", "logoff 12", "reregister 1", "clear dialed", "clear missed", "clear received", "dnd on", "dnd toggle", "dnd off",
		`dnd {"dnd":"on","identity":2}`, "fix_lil", "reboot", "reset kitchen", "firmware http://fw.example/snom/a-1.0_r.bin",
	}
	for _, dialect := range []snom.Dialect{snom.DialectOld, snom.DialectNew} {
		if dialect == snom.DialectNew { // phones with older firmware do not have all of the keys
			for _, v := range snom.Verbs() {
				commands = append(commands, v.Help().Example)
			}
		}
		p, url := snomtest.NewServer(t, snomtest.Config{Model: "870", Dialect: string(dialect)})
		b := newBrowser(t, url, nil)
		for _, text := range commands {
			c, err := snom.ParseCommand(text)
			if err != nil {
				t.Errorf("%s: %v", text, err)
				continue
			}
			for _, step := range c.Steps(dialect) {
				b.mustDo(step.Request)
				if got := last(t, p); !got.Executed || noteOf(got) != "" || got.Target != step.Request {
					t.Errorf("%s, dialect %s: %+v, expected it executed without a note", text, dialect, got)
				}
			}
			if c.Effects().Restarts {
				p, url = snomtest.NewServer(t, snomtest.Config{Model: "870", Dialect: string(dialect)})
				b = newBrowser(t, url, nil)
			}
		}
	}
}

// noteOf is a request's note, less that of sequences that mix, whose pauses this test does not wait for.
func noteOf(r snomtest.Request) string {
	if strings.HasPrefix(r.Note, "mixed into") {
		return ""
	}
	return r.Note
}

func TestPost(t *testing.T) {
	t.Parallel()
	p, url := snomtest.NewServer(t, snomtest.Config{})
	resp, err := http.Post(url+"/command.htm?key=P1", "application/x-www-form-urlencoded", strings.NewReader("key_dtmf=1"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	got := last(t, p)
	if got.Method != "POST" || !got.Executed || got.Note != "" || len(got.Keys) != 1 {
		t.Errorf("request = %+v, expected a POST that pressed P1", got)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		config snomtest.Config
		target string
		want   []string
	}{
		{"title", snomtest.Config{}, "/", []string{"<TITLE>snom D735</TITLE>"}},
		{"title is the name", snomtest.Config{Settings: map[string]string{"phone_name": "Küche & Co"}}, "/", []string{"<TITLE>Küche &amp; Co</TITLE>"}},
		{"info", snomtest.Config{MAC: "000413AABBCC"}, "/info.htm", []string{"Mac:000413AABBCC", "Hardware: D735", "10.1.184.14"}},
		{"info of old", snomtest.Config{Model: "snom320", Firmware: "8.4.18", MAC: "000413AABBCC", OldPages: true}, "/info.htm",
			[]string{"<TITLE>snom 320</TITLE>", "MAC Address</TD><TD>000413AABBCC", "snom320-SIP 8.4.18"}},
		{"settings.xml", snomtest.Config{Username: "admin", Password: "secret", Settings: map[string]string{"a_pass": "secret", "x": "<&>"}, ReadOnly: []string{"x"}},
			"/settings.xml", []string{"<phone-settings>", `<phone_type perm="R">snomD735</phone_type>`, `<http_user perm="">admin</http_user>`,
				`<a_pass perm=""></a_pass>`, `<x perm="R">&lt;&amp;&gt;</x>`}},
		{"settings.htm", snomtest.Config{Settings: map[string]string{"x": "1", "y": "2"}, ReadOnly: []string{"x"}}, "/settings.htm", []string{"x&: 1", "y!: 2"}},
		{"D8xx", snomtest.Config{Model: "D865"}, "/info.htm", []string{"<TITLE>Phone Manager</TITLE>"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, url := snomtest.NewServer(t, tt.config)
			_, body := newBrowser(t, url, nil).mustDo(tt.target)
			for _, want := range tt.want {
				if !strings.Contains(body, want) {
					t.Errorf("GET %s = %s\nwant %s", tt.target, body, want)
				}
			}
			if strings.Contains(body, "secret") {
				t.Errorf("GET %s gives a password away: %s", tt.target, body)
			}
		})
	}
}

func TestBlocked(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		config snomtest.Config
		target string
		status int
	}{
		{"hidden tags, command", snomtest.Config{HiddenTags: true}, "/command.htm?key=P1", 403},
		{"hidden tags, page", snomtest.Config{HiddenTags: true}, "/info.htm", 200},
		{"restricted", snomtest.Config{RestrictURIQueries: true}, "/command.htm?key=P1", 403},
		{"user mode, setting", snomtest.Config{UserMode: true}, "/dummy.htm?settings=save&a=b", 403},
		{"user mode, settings", snomtest.Config{UserMode: true}, "/settings.xml", 403},
		{"user mode, command", snomtest.Config{UserMode: true}, "/command.htm?key=P1", 200},
		{"https wanted", snomtest.Config{HTTPSOnly: true}, "/command.htm?key=P1", 307},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, url := snomtest.NewServer(t, tt.config)
			resp, _ := newBrowser(t, url, nil).mustDo(tt.target)
			if got := resp.StatusCode; got != tt.status {
				t.Errorf("status = %d, expected %d", got, tt.status)
			}
			if got := last(t, p); got.Executed && tt.status != 200 {
				t.Errorf("executed: %+v", got)
			}
			if len(p.Settings()) != 0 {
				t.Errorf("settings = %v, expected none", p.Settings())
			}
		})
	}
}

func TestSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := newPiped(t, snomtest.Config{
			Settings: map[string]string{"fixed": "1"}, ReadOnly: []string{"fixed"}, RebootTime: time.Minute,
		})
		b.mustDo("/dummy.htm?settings=save&action_incoming_url=http%3A%2F%2Fa%2Fb%3Fx%3D%24remote%26y&fixed=2&Bad-Name=1&flag")
		got := last(t, p)
		if !got.Executed || !strings.Contains(got.Note, `"fixed" is read-only`) || !strings.Contains(got.Note, `no setting "flag"`) ||
			!strings.Contains(got.Note, `no setting "Bad-Name"`) {
			t.Errorf("request = %+v, expected it executed with notes", got)
		}
		b.mustDo("/dummy.htm?settings=save&store_settings=save&kept=yes")
		b.mustDo("/dummy.htm?settings=save&fixed=3")
		if last(t, p).Executed {
			t.Error("a read-only setting was written")
		}
		want := map[string]string{"action_incoming_url": "http://a/b?x=$remote&y", "fixed": "1", "kept": "yes"}
		if got := fmt.Sprint(p.Settings()); got != fmt.Sprint(want) {
			t.Errorf("Settings = %v, expected %v", got, want)
		}
		p.Reboot(time.Minute)
		delete(want, "action_incoming_url")
		if got := fmt.Sprint(p.Settings()); got != fmt.Sprint(want) {
			t.Errorf("Settings after a reboot = %v, expected %v", got, want)
		}
		p.Set("kept", "no")
		time.Sleep(time.Hour)
		b.mustDo("/advanced_update.htm?reset=Reset")
		if got := p.Settings(); len(got) != 0 {
			t.Errorf("Settings after a reset = %v, expected none", got)
		}
	})
}

func TestTimePassesWhileKeysPlay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := newPiped(t, snomtest.Config{})
		b.mustDo("/command.htm?key=OFFHOOK,0,1000;5,500,500;ENTER,1000")
		if got, want := p.Playing(), 3*time.Second; got != want {
			t.Errorf("Playing = %v, expected %v", got, want)
		}
		if got := len(p.State().Calls); got != 0 {
			t.Errorf("%d calls at the start, expected 0", got)
		}
		b.mustDo("/command.htm?key=P1")
		if got := last(t, p).Note; !strings.Contains(got, "mixed into a key sequence") {
			t.Errorf("Note = %q, expected it to say that sequences mix", got)
		}
		time.Sleep(2*time.Second + time.Millisecond)
		if got := p.State().Calls; len(got) != 1 || got[0].Number != "5" || got[0].State != snomtest.CallDialing {
			t.Errorf("calls = %+v, expected one to 5", got)
		}
		time.Sleep(time.Second)
		if got := p.Playing(); got != 0 {
			t.Errorf("Playing = %v, expected 0", got)
		}
	})
}

func TestRebootEndsAKeySequence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := newPiped(t, snomtest.Config{})
		b.mustDo("/command.htm?key=5,0,1000;ENTER")
		p.Reboot(time.Millisecond)
		time.Sleep(time.Minute)
		if got := p.State().Calls; len(got) != 0 {
			t.Errorf("calls = %+v, expected none", got)
		}
	})
}

func TestReboot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := newPiped(t, snomtest.Config{Auth: snomtest.AuthDigest, Username: "admin", Password: "1234", RebootTime: time.Minute})
		b.http.Transport = &digest.Transport{Username: "admin", Password: "1234", Transport: b.http.Transport}
		ask := func(wantErr error, wantRequests int) {
			t.Helper()
			before := len(p.Requests())
			_, _, err := b.do("/command.htm?key=P1")
			if !errors.Is(err, wantErr) {
				t.Errorf("error = %v, expected %v", err, wantErr)
			}
			if got := len(p.Requests()) - before; got != wantRequests {
				t.Errorf("%d requests, expected %d", got, wantRequests)
			}
		}
		ask(nil, 2)
		ask(nil, 1)
		if _, _, err := b.do("/advanced_update.htm?reboot=Reboot"); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if !p.State().Down {
			t.Error("the phone is not down")
		}
		ask(syscall.ECONNREFUSED, 0)
		time.Sleep(time.Minute)
		ask(nil, 2) // the nonce is forgotten
		if got := p.FailedLogins(); got != 0 {
			t.Errorf("%d failed logins, expected 0", got)
		}
	})
}

func TestRebootOnSockets(t *testing.T) {
	t.Parallel()
	p, url := snomtest.NewServer(t, snomtest.Config{})
	b := newBrowser(t, url, nil)
	p.SetFault(snomtest.FaultRefuseConnects)
	if _, _, err := b.do("/"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("error = %v, expected %v", err, syscall.ECONNREFUSED)
	}
	p.SetFault("")
	b.mustDo("/") // on the same address
	p.Reboot(time.Hour)
	if _, _, err := b.do("/"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("error = %v, expected %v", err, syscall.ECONNREFUSED)
	}
	p.Reboot(0)
	for { // it is up again a moment later
		_, _, err := b.do("/")
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatal(err)
		}
	}
}

func TestHandlerAlone(t *testing.T) {
	t.Parallel()
	p := snomtest.New(snomtest.Config{})
	defer p.Close()
	srv := &http.Server{Handler: p}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	b := newBrowser(t, "http://"+l.Addr().String(), nil)
	b.mustDo("/command.htm?key=P1")
	p.Reboot(time.Hour) // it cannot refuse, so it hangs up
	if _, _, err := b.do("/"); !errors.Is(err, io.EOF) {
		t.Errorf("error = %v, expected %v", err, io.EOF)
	}
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("the server ended with %v, expected %v", err, http.ErrServerClosed)
	}
}
