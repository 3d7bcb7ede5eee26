package actionurl_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

const oursBase = "http://192.0.2.5:8090"

// oursFor returns the action URLs of the tests.
func oursFor(token string) []actionurl.URL { return actionurl.URLs(oursBase, "kitchen", token) }

// names returns the settings of urls.
func names(urls []actionurl.URL) (list []string) {
	for _, u := range urls {
		list = append(list, u.Setting)
	}
	return list
}

// page is an answer of a phone.
func page(status, body string) string {
	return fmt.Sprintf("HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
}

// listen starts a server that answers each request with what answer returns for its number, from 0, and the
// request's first line. An empty answer closes the connection. It returns the server's URL.
func listen(t *testing.T, answer func(n int, request string) string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 0; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			r := bufio.NewReader(conn)
			first, _ := r.ReadString('\n')
			for line := first; line != "\r\n" && err == nil; {
				line, err = r.ReadString('\n')
			}
			_, _ = io.WriteString(conn, answer(n, first)) // the client may be gone: the test sees it
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return "http://" + l.Addr().String()
}

func newClient(t *testing.T, cfg snom.ClientConfig) *snom.Client {
	t.Helper()
	c, err := snom.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// bubble returns a simulated phone and its client, in virtual time.
func bubble(t *testing.T, cfg snomtest.Config) (*snomtest.Phone, *snom.Client) {
	t.Helper()
	cfg.Username, cfg.Password = "admin", "pa55word"
	phone, dial := snomtest.NewPipe(t, cfg)
	return phone, newClient(t, snom.ClientConfig{URL: "http://phone.example", Username: "admin", Password: "pa55word", Dial: dial})
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
		want  actionurl.Installation
		err   error // of Install
		left  error // of Installation.Err
		says  string
		kept  map[string]string // what the phone has after it, where that is not the bridge's
	}{
		{name: "a new phone", want: actionurl.Installation{Written: all, Checked: true}},
		{name: "with a login", phone: snomtest.Config{Auth: snomtest.AuthDigest}, want: actionurl.Installation{Written: all, Checked: true}},
		{name: "an earlier token", phone: snomtest.Config{Settings: settings("action_hold", oursFor("earlier-earlier-")[7].URL, "action_incoming_url", urls[0].URL)},
			want: actionurl.Installation{Written: all[1:], Unchanged: all[:1], Checked: true}},
		{name: "another host's", phone: snomtest.Config{Settings: settings("action_incoming_url", "https://user:secret@pbx.example/x?y", "action_hold", "http://127.0.0.1/dummy.htm?a", "action_missed_url", oursBase+"/a/kitchen2/t0kent0kent0ken1/missed")},
			want: actionurl.Installation{Written: without(all, "action_incoming_url", "action_missed_url", "action_hold"), Checked: true, Foreign: []actionurl.Foreign{
				{"action_incoming_url", "pbx.example"}, {"action_missed_url", "192.0.2.5:8090"}, {"action_hold", "127.0.0.1"}}},
			left: actionurl.ErrForeign, says: "action_incoming_url (pbx.example), action_missed_url (192.0.2.5:8090), action_hold (127.0.0.1); force replaces them",
			kept: settings("action_incoming_url", "https://user:secret@pbx.example/x?y", "action_hold", "http://127.0.0.1/dummy.htm?a", "action_missed_url", oursBase+"/a/kitchen2/t0kent0kent0ken1/missed")},
		{name: "another host's, by force", force: true, phone: snomtest.Config{Settings: settings("action_incoming_url", "%zz://", "action_blacklist_url", "http://pbx.example/b")},
			want: actionurl.Installation{Written: all, Checked: true}, kept: settings("action_blacklist_url", "http://pbx.example/b")},
		{name: "what is no URL", phone: snomtest.Config{Settings: settings("action_incoming_url", "%zz://")},
			want: actionurl.Installation{Written: all[1:], Checked: true, Foreign: []actionurl.Foreign{{"action_incoming_url", ""}}},
			left: actionurl.ErrForeign, says: "were kept: action_incoming_url; force", kept: settings("action_incoming_url", "%zz://")},
		{name: "a page without flags", phone: snomtest.Config{Shows: snomtest.SettingsPlain, Settings: settings("action_incoming_url", "http://192.0.2.99/x", "action_hold", urls[7].URL)},
			want: actionurl.Installation{Written: without(all, "action_incoming_url", "action_hold"), Unchanged: []string{"action_hold"}, Checked: true, Foreign: []actionurl.Foreign{{"action_incoming_url", "192.0.2.99"}}},
			left: actionurl.ErrForeign, says: "action_incoming_url (192.0.2.99); force replaces them", kept: settings("action_incoming_url", "http://192.0.2.99/x")},
		{name: "a page with flags only", phone: snomtest.Config{Shows: snomtest.SettingsText, Settings: settings("action_incoming_url", "http://192.0.2.99/x")},
			want: actionurl.Installation{Written: all[1:], Checked: true, Foreign: []actionurl.Foreign{{"action_incoming_url", "192.0.2.99"}}},
			left: actionurl.ErrForeign, says: "192.0.2.99", kept: settings("action_incoming_url", "http://192.0.2.99/x")},
		{name: "a page that is not understood", phone: snomtest.Config{Shows: snomtest.SettingsForm, Settings: settings("action_incoming_url", "http://192.0.2.99/x")},
			err: snom.ErrPhone, says: "nothing was written", kept: settings("action_incoming_url", "http://192.0.2.99/x")},
		{name: "a page that shows none of them", phone: snomtest.Config{Shows: snomtest.SettingsSparse}, err: snom.ErrPhone, says: "nothing was written"},
		{name: "a page that shows one of them", phone: snomtest.Config{Shows: snomtest.SettingsSparse, Settings: settings("action_incoming_url", "http://192.0.2.99/x")},
			want: actionurl.Installation{Written: all[1:], Checked: true, Foreign: []actionurl.Foreign{{"action_incoming_url", "192.0.2.99"}}},
			left: actionurl.ErrForeign, says: "192.0.2.99", kept: settings("action_incoming_url", "http://192.0.2.99/x")},
		{name: "read-only", phone: snomtest.Config{ReadOnly: []string{"action_incoming_url", "action_hold"}, Settings: settings("action_hold", oursFor("earlier-earlier-")[7].URL)},
			want: actionurl.Installation{Written: without(all, "action_incoming_url", "action_hold"), Kept: []string{"action_incoming_url", "action_hold"}, Checked: true},
			left: snom.ErrRefused, says: "action_incoming_url, action_hold: these settings are read-only", kept: settings("action_hold", oursFor("earlier-earlier-")[7].URL)},
		{name: "all read-only", phone: snomtest.Config{ReadOnly: all}, want: actionurl.Installation{Kept: all, Checked: true}, left: snom.ErrRefused, says: "and 19 more"},
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
				got, err := actionurl.Install(t.Context(), c, urls, tt.force)
				if !errors.Is(err, tt.err) || tt.err == nil && err != nil {
					t.Fatalf("Install = %v, expected %v", err, tt.err)
				}
				if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", tt.want); g != w {
					t.Errorf("Install =\n%s, want\n%s", g, w)
				}
				left := got.Err()
				if !errors.Is(left, tt.left) || tt.left == nil && left != nil {
					t.Errorf("Err = %v, expected %v", left, tt.left)
				}
				if said := fmt.Sprint(err, left); !strings.Contains(said, tt.says) || strings.Contains(said, "secret") {
					t.Errorf("says %q, expected %q in it", said, tt.says)
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
						t.Errorf("%s = %q, expected %q", u.Setting, has[u.Setting], want)
					}
				}
				if got, want := has["action_blacklist_url"], tt.kept["action_blacklist_url"]; got != want {
					t.Errorf("action_blacklist_url = %q, expected %q", got, want)
				}
				if tt.err != nil || tt.left != nil {
					return
				}
				writes := len(p.Executed())
				got, err = actionurl.Install(t.Context(), c, urls, false)
				if err != nil || len(got.Unchanged) != len(urls) || len(p.Executed()) != writes {
					t.Errorf("again: %+v, %v and %d writes, expected everything unchanged", got, err, len(p.Executed())-writes)
				}
			})
		})
	}
}

func without(list []string, names ...string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(names, s) })
}

// A phone that shows no settings and accepts them is written to by force, and the installation is not checked.
func TestInstallWithoutLooking(t *testing.T) {
	t.Parallel()
	url := listen(t, func(_ int, request string) string {
		if strings.HasPrefix(request, "GET /settings.") {
			return page("403 Forbidden", "")
		}
		return page("200 OK", "")
	})
	urls := oursFor("t0kent0kent0ken1")
	got, err := actionurl.Install(t.Context(), newClient(t, snom.ClientConfig{URL: url}), urls, true)
	if err != nil || got.Checked || len(got.Written) != len(urls) || got.Err() != nil {
		t.Errorf("Install = %+v, %v, expected everything written and not checked", got, err)
	}
}

// What fails on the way ends it, and tells how far it came.
func TestInstallEnds(t *testing.T) {
	t.Parallel()
	urls := oursFor("t0kent0kent0ken1")
	xml := page("200 OK", "<phone-settings><action_blacklist_url/></phone-settings>")
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
			url := listen(t, func(n int, _ string) string { return tt.answer(n) })
			got, err := actionurl.Install(t.Context(), newClient(t, snom.ClientConfig{URL: url}), urls, true)
			if !errors.Is(err, tt.err) || len(got.Written) != tt.wrote || got.Checked {
				t.Errorf("Install = %+v, %v, expected %d written and %v", got, err, tt.wrote, tt.err)
			}
		})
	}
}

// Whatever a phone's settings page looks like, a setting that holds a URL of another program is not overwritten.
func TestInstallOverwritesNothing(t *testing.T) {
	t.Parallel()
	urls := oursFor("t0kent0kent0ken1")
	const foreign = "http://192.0.2.99/x"
	pages := map[string]string{
		"a line without a flag":        "<pre>language: English\naction_incoming_url: " + foreign + "\n</pre>",
		"a line with a flag":           "<pre>language!: English\naction_incoming_url!: " + foreign + "\naction_hold!:\n</pre>",
		"other flags than those known": "<pre>language*: English\naction_incoming_url*: " + foreign + "\naction_hold*:\n</pre>",
		"equals signs":                 "<pre>language!: English\naction_incoming_url=" + foreign + "\naction_hold=\n</pre>",
		"a table":                      "<table><tr><td>action_incoming_url</td><td>" + foreign + "</td></tr></table>",
		"a form":                       `<form><input name="action_incoming_url" value="` + foreign + `"></form><pre>language!: English</pre>`,
		"some flags":                   "<pre>action_hold!:\naction_incoming_url " + foreign + "\n</pre>",
		"capitals":                     "<pre>action_hold!:\nACTION_INCOMING_URL!: " + foreign + "\n</pre>",
		"other settings only":          "<pre>language!: English\nuser_name1!: 27\n</pre>",
		"no settings":                  "<html><h1>Welcome</h1></html>",
		"nothing":                      "",
		"a script that fills it":       `<script>var s = {"action_incoming_url": "` + foreign + `"}</script>`,
		"the end is missing":           "<pre>action_hold!:\n" + strings.Repeat("x", 1<<20),
	}
	for name, body := range pages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var wrote atomic.Value
			wrote.Store("")
			base := listen(t, func(_ int, request string) string {
				switch {
				case strings.HasPrefix(request, "GET /settings.xml"):
					return page("404 Not Found", "")
				case strings.HasPrefix(request, "GET /settings.htm"):
					return page("200 OK", body)
				}
				if strings.Contains(request, "action_incoming_url") {
					wrote.Store(request)
				}
				return page("200 OK", "")
			})
			got, err := actionurl.Install(t.Context(), newClient(t, snom.ClientConfig{URL: base}), urls, false)
			if w := wrote.Load(); w != "" {
				t.Errorf("it was overwritten by %q", w)
			}
			if err == nil && got.Err() == nil {
				t.Errorf("Install = %+v, expected an error, or that the setting is another program's", got)
			}
		})
	}
}
