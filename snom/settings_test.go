package snom_test

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

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
	if err != nil || step.Request != want || step.Pause != 0 {
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
	f.Add("action_hold", "http://192.0.2.5:8090/a/kitchen/t/incoming?mac=$mac&remote=$remote")
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
		path, query, _ := strings.Cut(step.Request, "?")
		got, err := url.ParseQuery(query)
		want := url.Values{"settings": {"save"}, "store_settings": {"save"}}
		want.Add(name, value)
		if err != nil || path != "/dummy.htm" || !maps.EqualFunc(got, want, slices.Equal[[]string]) {
			t.Fatalf("SaveSetting(%q, %q) = %q, read as %q, %v", name, value, step.Request, got, err)
		}
	})
}
