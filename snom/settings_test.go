package snom_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

const oursBase = "http://192.0.2.5:8090"

// oursFor are the action URLs of the tests.
func oursFor(token string) []snom.ActionURL { return snom.ActionURLs(oursBase, "kitchen", token) }

// names are the settings of urls.
func names(urls []snom.ActionURL) (list []string) {
	for _, u := range urls {
		list = append(list, u.Setting)
	}
	return list
}

// page is an answer of a phone.
func page(status, body string) string {
	return fmt.Sprintf("HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
}

func TestReadSettings(t *testing.T) {
	t.Parallel()
	const xmlHead = `<?xml version="1.0" encoding="utf-8"?><settings><phone-settings e="2">`
	tests := []struct {
		name      string
		xml, text string // the pages, with their status; empty: 404
		want      map[string]snom.Setting
		err       error
	}{
		{name: "xml", xml: page("200 OK", xmlHead+`<a_url perm="">http://a/?x=$y&amp;z=1</a_url><user_name idx="1" perm="RW">27</user_name><b perm="R"> on
			</b><empty perm=""/></phone-settings><functionKeys><fkey idx="0">line</fkey></functionKeys></settings>`),
			want: map[string]snom.Setting{"a_url": {Value: "http://a/?x=$y&z=1"}, "user_name[1]": {Value: "27"}, "b": {Value: "on", ReadOnly: true}, "empty": {}, "fkey[0]": {Value: "line"}}},
		{name: "xml in another encoding", xml: page("200 OK", `<?xml version="1.0" encoding="iso-8859-1"?><phone-settings><a>K`+"\xe4"+`the</a></phone-settings>`),
			want: map[string]snom.Setting{"a": {Value: "Käthe"}}},
		{name: "text", text: page("200 OK", "<html><pre>\r\nlanguage!: English\r\naction_a_url&: http://a/?x=$y&amp;z=1\nempty!:\n user_name1$:27<br>last!: <b>on</b>\nHardware: D735\nNot!one: x\n</pre>"),
			want: map[string]snom.Setting{"language": {Value: "English"}, "action_a_url": {Value: "http://a/?x=$y&z=1", ReadOnly: true}, "empty": {}, "user_name1": {Value: "27"}, "last": {Value: ""}}},
		{name: "half of the xml", xml: page("200 OK", xmlHead+`<a>1</a>`), text: page("200 OK", "b!: 2\n"), want: map[string]snom.Setting{"b": {Value: "2"}}},
		{name: "a page instead of xml", xml: page("200 OK", "<HTML><BODY>language!: English</BODY></HTML>"), err: snom.ErrUnsupported},
		{name: "neither", err: snom.ErrUnsupported},
		{name: "no settings", text: page("200 OK", "<html>Setup</html>"), err: snom.ErrPhone},
		{name: "too many", text: page("200 OK", strings.Repeat("a!: 1\n", 200_000)), err: snom.ErrPhone},
		{name: "refused", xml: page("403 Forbidden", ""), text: page("403 Forbidden", ""), err: snom.ErrRefused},
		{name: "a D8xx", xml: page("200 OK", "<title>Phone Manager</title>"), text: page("200 OK", "<title>Phone Manager</title>"), err: snom.ErrUnsupported},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := listen(t, func(_ int, request string) string {
				answer := tt.text
				if strings.HasPrefix(request, "GET /settings.xml ") {
					answer = tt.xml
				}
				if answer == "" {
					answer = page("404 Not Found", "")
				}
				return answer
			})
			got, err := newClient(t, snom.ClientConfig{URL: w.url}).ReadSettings(t.Context())
			if !errors.Is(err, tt.err) || tt.err == nil && err != nil {
				t.Fatalf("ReadSettings = %v, want %v", err, tt.err)
			}
			if !maps.Equal(got, tt.want) {
				t.Errorf("settings %+v, want %+v", got, tt.want)
			}
		})
	}
}

// A large settings page is read to its end; of other pages no more than the bound.
func TestSettingsMayBeLong(t *testing.T) {
	t.Parallel()
	w := listen(t, func(int, string) string {
		return page("200 OK", strings.Repeat("<!-- -->\n", 20_000)+"last!: 1\n")
	})
	got, err := newClient(t, snom.ClientConfig{URL: w.url}).ReadSettings(t.Context())
	if err != nil || got["last"].Value != "1" {
		t.Errorf("ReadSettings = %v, %v, want the last setting", got, err)
	}
}

// A wrong password is tried once, whatever page it is for.
func TestReadSettingsLogsInOnce(t *testing.T) {
	t.Parallel()
	p, url := snomtest.NewServer(t, snomtest.Config{Auth: snomtest.AuthDigest, Username: "admin", Password: "other"})
	_, err := newClient(t, snom.ClientConfig{URL: url, Username: "admin", Password: canary}).ReadSettings(t.Context())
	if !errors.Is(err, snom.ErrUnauthorized) || p.FailedLogins() != 1 {
		t.Errorf("ReadSettings = %v with %d failed logins, want unauthorized and one", err, p.FailedLogins())
	}
}

func TestSaveSetting(t *testing.T) {
	t.Parallel()
	step, err := snom.SaveSetting("action_hold", `http://a:1/b?c=$d&e="f g" #%ü`)
	want := "/dummy.htm?settings=save&store_settings=save&action_hold=http%3A%2F%2Fa%3A1%2Fb%3Fc%3D%24d%26e%3D%22f%20g%22%20%23%25%C3%BC"
	if err != nil || step.Target != want || step.Pause != 0 {
		t.Errorf("SaveSetting = %+v, %v, want %q", step, err, want)
	}
	for _, tt := range []struct{ name, value string }{
		{"", "x"}, {"A", "x"}, {"a-b", "x"}, {"a&b", "x"}, {"a=b", "x"}, {strings.Repeat("a", 65), "x"},
		{"a", "x\ny"}, {"a", "\x7f"}, {"a", "\xff"}, {"a", strings.Repeat("x", 1025)}, {"action_blacklist_url", "http://a"},
	} {
		if step, err := snom.SaveSetting(tt.name, tt.value); err == nil {
			t.Errorf("SaveSetting(%q, %q) = %+v, want an error", tt.name, tt.value, step)
		}
	}
}

// Whatever is saved arrives as it was, and nothing else is set by it.
func FuzzSaveSetting(f *testing.F) {
	f.Add("action_hold", oursFor("t")[0].URL)
	f.Add("a", "1&http_pass=x;y#z%00")
	f.Add("action_blacklist_url", "")
	f.Fuzz(func(t *testing.T, name, value string) {
		step, err := snom.SaveSetting(name, value)
		if err != nil {
			if len(value) < 1000 && utf8.ValidString(value) && !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) && name == "a" {
				t.Fatalf("SaveSetting(%q, %q) = %v", name, value, err)
			}
			return
		}
		path, query, _ := strings.Cut(step.Target, "?")
		got, err := url.ParseQuery(query)
		want := url.Values{"settings": {"save"}, "store_settings": {"save"}}
		want.Add(name, value)
		if err != nil || path != "/dummy.htm" || !maps.EqualFunc(got, want, slices.Equal[[]string]) {
			t.Fatalf("SaveSetting(%q, %q) = %q, read as %q, %v", name, value, step.Target, got, err)
		}
	})
}

func TestInstall(t *testing.T) {
	urls := oursFor("t0kent0kent0ken1")
	all := names(urls)
	settings := func(more ...string) map[string]string { // name, value, ...
		m := map[string]string{}
		for i := 0; i < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return m
	}
	tests := []struct {
		name  string
		phone snomtest.Config
		force bool
		want  snom.Installation
		err   error // of Install
		left  error // of Installation.Err
		says  string
		kept  map[string]string // what the phone has after it, where that is not ours
	}{
		{name: "a new phone", want: snom.Installation{Written: all, Checked: true}},
		{name: "with a login", phone: snomtest.Config{Auth: snomtest.AuthDigest}, want: snom.Installation{Written: all, Checked: true}},
		{name: "an earlier token", phone: snomtest.Config{Settings: settings("action_hold", oursFor("earlier-earlier-")[7].URL, "action_incoming_url", urls[0].URL)},
			want: snom.Installation{Written: all[1:], Unchanged: all[:1], Checked: true}},
		{name: "somebody else's", phone: snomtest.Config{Settings: settings("action_incoming_url", "https://user:secret@pbx.example/x?y", "action_hold", "http://127.0.0.1/dummy.htm?a", "action_missed_url", oursBase+"/a/kitchen2/t0kent0kent0ken1/missed")},
			want: snom.Installation{Written: without(all, "action_incoming_url", "action_missed_url", "action_hold"), Checked: true, Foreign: []snom.Foreign{
				{"action_incoming_url", "pbx.example"}, {"action_missed_url", "192.0.2.5:8090"}, {"action_hold", "127.0.0.1"}}},
			left: snom.ErrForeign, says: "action_incoming_url (pbx.example), action_missed_url (192.0.2.5:8090), action_hold (127.0.0.1); force replaces them",
			kept: settings("action_incoming_url", "https://user:secret@pbx.example/x?y", "action_hold", "http://127.0.0.1/dummy.htm?a", "action_missed_url", oursBase+"/a/kitchen2/t0kent0kent0ken1/missed")},
		{name: "somebody else's, by force", force: true, phone: snomtest.Config{Settings: settings("action_incoming_url", "%zz://", "action_blacklist_url", "http://pbx.example/b")},
			want: snom.Installation{Written: all, Checked: true}, kept: settings("action_blacklist_url", "http://pbx.example/b")},
		{name: "what is no URL", phone: snomtest.Config{Settings: settings("action_incoming_url", "%zz://")},
			want: snom.Installation{Written: all[1:], Checked: true, Foreign: []snom.Foreign{{"action_incoming_url", ""}}},
			left: snom.ErrForeign, says: "left alone: action_incoming_url; force", kept: settings("action_incoming_url", "%zz://")},
		{name: "read-only", phone: snomtest.Config{ReadOnly: []string{"action_incoming_url", "action_hold"}, Settings: settings("action_hold", oursFor("earlier-earlier-")[7].URL)},
			want: snom.Installation{Written: without(all, "action_incoming_url", "action_hold"), Kept: []string{"action_incoming_url", "action_hold"}, Checked: true},
			left: snom.ErrRefused, says: "action_incoming_url, action_hold: these settings are read-only", kept: settings("action_hold", oursFor("earlier-earlier-")[7].URL)},
		{name: "all read-only", phone: snomtest.Config{ReadOnly: all}, want: snom.Installation{Kept: all, Checked: true}, left: snom.ErrRefused, says: "and 19 more"},
		{name: "user mode", phone: snomtest.Config{UserMode: true}, err: snom.ErrRefused, says: "admin_mode"},
		{name: "user mode, by force", force: true, phone: snomtest.Config{UserMode: true}, err: snom.ErrRefused, says: "must not be in user mode"},
		{name: "hidden tags", phone: snomtest.Config{HiddenTags: true}, err: snom.ErrRefused, says: "use_hidden_tags"},
		{name: "a D8xx", phone: snomtest.Config{Model: "D865"}, err: snom.ErrUnsupported, says: "provisioning"},
		{name: "a D8xx, by force", force: true, phone: snomtest.Config{Model: "D865"}, err: snom.ErrUnsupported},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tt.phone.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED } // to where they point
				p, c := bubble(t, tt.phone)
				got, err := snom.Install(t.Context(), c, urls, tt.force)
				if !errors.Is(err, tt.err) || tt.err == nil && err != nil {
					t.Fatalf("Install = %v, want %v", err, tt.err)
				}
				if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", tt.want); g != w {
					t.Errorf("Install =\n%s, want\n%s", g, w)
				}
				left := got.Err()
				if !errors.Is(left, tt.left) || tt.left == nil && left != nil {
					t.Errorf("Err = %v, want %v", left, tt.left)
				}
				if said := fmt.Sprint(err, left); !strings.Contains(said, tt.says) || strings.Contains(said, "secret") {
					t.Errorf("says %q, want %q in it", said, tt.says)
				}
				p.Reboot(time.Second) // they are there after a restart
				time.Sleep(2 * time.Second)
				has := p.Settings()
				for _, u := range urls {
					want, isKept := tt.kept[u.Setting]
					if !isKept && slices.Contains(slices.Concat(tt.want.Written, tt.want.Unchanged), u.Setting) {
						want = u.URL
					}
					if has[u.Setting] != want {
						t.Errorf("%s = %q, want %q", u.Setting, has[u.Setting], want)
					}
				}
				if got, want := has["action_blacklist_url"], tt.kept["action_blacklist_url"]; got != want {
					t.Errorf("action_blacklist_url = %q, want %q", got, want)
				}
				if tt.err != nil || tt.left != nil {
					return
				}
				writes := len(p.Executed())
				got, err = snom.Install(t.Context(), c, urls, false)
				if err != nil || len(got.Unchanged) != len(urls) || len(p.Executed()) != writes {
					t.Errorf("again: %+v, %v and %d writes, want everything unchanged", got, err, len(p.Executed())-writes)
				}
			})
		})
	}
}

func without(list []string, names ...string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(names, s) })
}

// A phone that shows nothing but takes settings is written to by force, and it is said that nobody looked.
func TestInstallWithoutLooking(t *testing.T) {
	t.Parallel()
	w := listen(t, func(_ int, request string) string {
		if strings.HasPrefix(request, "GET /settings.") {
			return page("403 Forbidden", "")
		}
		return page("200 OK", "")
	})
	urls := oursFor("t0kent0kent0ken1")
	got, err := snom.Install(t.Context(), newClient(t, snom.ClientConfig{URL: w.url}), urls, true)
	if err != nil || got.Checked || len(got.Written) != len(urls) || got.Err() != nil {
		t.Errorf("Install = %+v, %v, want everything written and not checked", got, err)
	}
}

// What fails on the way ends it, and tells how far it came.
func TestInstallEnds(t *testing.T) {
	t.Parallel()
	urls := oursFor("t0kent0kent0ken1")
	xml := page("200 OK", "<phone-settings></phone-settings>")
	for name, tt := range map[string]struct {
		answer func(n int) string
		err    error
		wrote  int
	}{
		"a write": {func(n int) string {
			if n == 0 {
				return xml
			}
			return map[bool]string{true: page("200 OK", ""), false: ""}[n < 3]
		}, snom.ErrOutcomeUnknown, 2},
		"the second look": {func(n int) string {
			if n == 0 {
				return xml
			}
			return map[bool]string{true: page("200 OK", ""), false: ""}[n <= len(urls)]
		}, snom.ErrOutcomeUnknown, len(urls)},
		"the first look": {func(int) string { return "" }, snom.ErrOutcomeUnknown, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := listen(t, func(n int, _ string) string { return tt.answer(n) })
			got, err := snom.Install(t.Context(), newClient(t, snom.ClientConfig{URL: w.url}), urls, true)
			if !errors.Is(err, tt.err) || len(got.Written) != tt.wrote || got.Checked {
				t.Errorf("Install = %+v, %v, want %d written and %v", got, err, tt.wrote, tt.err)
			}
		})
	}
}
