package snom_test

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"runtime"
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
				t.Fatalf("ReadSettings = %v, expected %v", err, tt.err)
			}
			if !maps.Equal(got, tt.want) {
				t.Errorf("settings %+v, expected %+v", got, tt.want)
			}
		})
	}
}

// What a page does not show in a form that is understood does not pass for empty.
func TestReadNamedSettings(t *testing.T) {
	t.Parallel()
	const (
		hold, dnd = "action_hold", "dnd_mode[1]"
		head      = `<?xml version="1.0"?><settings><phone-settings>`
		tail      = `</phone-settings></settings>`
	)
	tests := []struct {
		name      string
		xml, text string // the pages; empty: 404
		ask       string
		expected  map[string]snom.Setting
		err       error // nil: what is not there is not set
		says      string
	}{
		{name: "a value", xml: head + `<action_hold perm="">http://a</action_hold>` + tail, ask: hold, expected: map[string]snom.Setting{hold: {Value: "http://a"}}},
		{name: "read-only", xml: head + `<action_hold perm="&amp;">http://a</action_hold>` + tail, ask: hold, expected: map[string]snom.Setting{hold: {Value: "http://a", ReadOnly: true}}},
		{name: "empty", xml: head + `<action_hold perm=""/>` + tail, ask: hold, expected: map[string]snom.Setting{hold: {}}},
		{name: "comments and sections", xml: head + `<action_hold perm=''><!-- <action_hold>no</action_hold> -->http<![CDATA[://a?b&c]]>&amp;d</action_hold>` + tail, ask: hold, expected: map[string]snom.Setting{hold: {Value: "http://a?b&c&d"}}},
		{name: "not there, but its neighbours", xml: head + `<action_unhold perm=""/>` + tail, ask: hold},
		{name: "neither it nor its neighbours", xml: head + `<language>English</language>` + tail, ask: hold, err: snom.ErrPhone, says: hold},
		{name: "a name with an escaped character", text: "action_unhold!: x\naction&#95;hold!: http://a/x\nlanguage!: English\n", ask: hold, err: snom.ErrPhone, says: hold},
		{name: "a value in an attribute", xml: `<settings><phone-settings><action_unhold perm="">x</action_unhold><action_hold perm="" value="http://a/x"></action_hold></phone-settings></settings>`, ask: hold, err: snom.ErrPhone, says: hold},
		{name: "a value on the next line", text: "action_unhold!: x\naction_hold!:\n http://a/x\nlanguage!: English\n", ask: hold, err: snom.ErrPhone, says: hold},
		{name: "a URL on the next line", text: "action_unhold!: x\naction_hold!: \n\nhttp://a/x\nlanguage!: English\n", ask: hold, err: snom.ErrPhone, says: hold},
		{name: "empty, and a setting on the next line", text: "action_unhold!: x\naction_hold!:\n language!: http://a\nadmin_mode!: on\n", ask: hold, expected: map[string]snom.Setting{hold: {}}},
		{name: "a page of nothing", xml: head + tail, ask: hold, err: snom.ErrUnsupported},
		{name: "half a page", xml: head + `<action_unhold perm=""/>`, ask: hold, err: snom.ErrUnsupported},
		{name: "half a tag", xml: head + `<action_unhold perm="/>` + tail, ask: hold, err: snom.ErrUnsupported},
		{name: "elements that do not fit", xml: head + `<action_unhold></action_hold></b>` + tail, ask: hold, err: snom.ErrUnsupported},
		{name: "an attribute", xml: head + `<action_unhold/><s name="action_hold" value="http://a"/>` + tail, ask: hold, err: snom.ErrPhone},
		{name: "an attribute beside an empty element", xml: head + `<action_hold/><s name="action_hold" value="http://a"/>` + tail, ask: hold, err: snom.ErrPhone},
		{name: "a child", xml: head + `<action_unhold/><action_hold><url>http://a</url></action_hold>` + tail, ask: hold, err: snom.ErrPhone},
		{name: "in capitals", xml: head + `<action_unhold/><ACTION_HOLD>http://a</ACTION_HOLD>` + tail, ask: hold, err: snom.ErrPhone},
		{name: "another with the same beginning", xml: head + `<action_hold_url>x</action_hold_url>` + tail, ask: hold},

		{name: "text", text: "action_hold!: http://a\n", ask: hold, expected: map[string]snom.Setting{hold: {Value: "http://a"}}},
		{name: "text, read-only, escaped", text: "action_hold&amp;: http://a?b&amp;c\n", ask: hold, expected: map[string]snom.Setting{hold: {Value: "http://a?b&c", ReadOnly: true}}},
		{name: "text without a flag", text: "action_hold: http://192.0.2.99/x\n", ask: hold, expected: map[string]snom.Setting{hold: {Value: "http://192.0.2.99/x"}}},
		{name: "text without its flag", text: "action_unhold!:\naction_hold: http://192.0.2.99/x\n", ask: hold, expected: map[string]snom.Setting{hold: {Value: "http://192.0.2.99/x"}}},
		{name: "text, not there", text: "action_unhold!:\n", ask: hold},
		{name: "text, no neighbours", text: "language!: English\n", ask: hold, err: snom.ErrPhone},
		{name: "text with an equals sign", text: "action_unhold!:\naction_hold=http://a\n", ask: hold, err: snom.ErrPhone},
		{name: "text, two flags", text: "action_unhold!:\naction_hold!&: http://a\n", ask: hold, err: snom.ErrPhone},
		{name: "text, two values", text: "action_hold!: http://a\naction_hold!:\n", ask: hold, err: snom.ErrPhone},
		{name: "text, the same value twice", text: "action_hold!: http://a\naction_hold!: http://a\n", ask: hold, expected: map[string]snom.Setting{hold: {Value: "http://a"}}},
		{name: "a table", text: "<table><tr><td>action_unhold</td><td></td></tr><tr><td>action_hold</td><td>http://a</td></tr></table>", ask: hold, err: snom.ErrPhone},
		{name: "a table beside text", text: "action_unhold!:\n<table><tr><td>action_hold</td><td>http://a</td></tr></table>", ask: hold, err: snom.ErrPhone},
		{name: "a form", text: "action_unhold!:\n<input name=action_hold value=http://a>", ask: hold, err: snom.ErrPhone},
		{name: "a form beside an empty line", text: "action_hold!:\n<input name=action_hold value=http://a>", ask: hold, err: snom.ErrPhone},
		{name: "text instead of xml", xml: "<html>Login</html>", text: "action_hold!: x\n", ask: hold, expected: map[string]snom.Setting{hold: {Value: "x"}}},
		{name: "text shows what xml does not", xml: head + `<language>English</language>` + tail, text: "action_hold!: x\n", ask: hold, expected: map[string]snom.Setting{hold: {Value: "x"}}},

		{name: "of an identity", xml: head + `<dnd_mode idx="2">on</dnd_mode><dnd_mode idx="1">off</dnd_mode>` + tail, ask: dnd, expected: map[string]snom.Setting{dnd: {Value: "off"}}},
		{name: "of an identity, asked for as in a request", xml: head + `<dnd_mode idx="2">on</dnd_mode><dnd_mode idx="1">off</dnd_mode>` + tail, ask: "dnd_mode2", expected: map[string]snom.Setting{"dnd_mode2": {Value: "on"}}},
		{name: "of an identity, in text", text: "dnd_mode1!: on\n", ask: dnd, expected: map[string]snom.Setting{dnd: {Value: "on"}}},
		{name: "of an identity, in text with brackets", text: "dnd_mode[1]!: on\n", ask: dnd, expected: map[string]snom.Setting{dnd: {Value: "on"}}},
		{name: "without an identity", xml: head + `<dnd_mode idx="1">on</dnd_mode>` + tail, ask: "dnd_mode", expected: map[string]snom.Setting{"dnd_mode": {Value: "on"}}},
		{name: "without an identity, and there are both", xml: head + `<dnd_mode idx="1">on</dnd_mode><dnd_mode>off</dnd_mode><dnd_mode idx="1">on</dnd_mode>` + tail, ask: "dnd_mode", expected: map[string]snom.Setting{"dnd_mode": {Value: "off"}}},
		{name: "of the first identity, and the phone has one", xml: head + `<dnd_mode>on</dnd_mode>` + tail, ask: dnd, expected: map[string]snom.Setting{dnd: {Value: "on"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := listen(t, func(_ int, request string) string {
				body := tt.text
				if strings.HasPrefix(request, "GET /settings.xml ") {
					body = tt.xml
				}
				if body == "" {
					return page("404 Not Found", "")
				}
				return page("200 OK", body)
			})
			got, err := newClient(t, snom.ClientConfig{URL: w.url}).ReadSettings(t.Context(), tt.ask)
			if !errors.Is(err, tt.err) || tt.err == nil && err != nil || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("ReadSettings = %v, %v, expected %v that says %q", got, err, tt.err, tt.says)
			}
			if !maps.Equal(got, tt.expected) {
				t.Errorf("settings %+v, expected %+v", got, tt.expected)
			}
		})
	}
}

// However many pieces a page of settings is made of, reading it takes little memory.
func TestSettingsInManyPieces(t *testing.T) {
	const pieces = 170_000
	for name, body := range map[string]string{
		"sections":   "<phone-settings><action_hold>" + strings.Repeat("<![CDATA[x]]>", 60_000) + "</action_hold></phone-settings>",
		"comments":   "<phone-settings><action_hold>" + strings.Repeat("x<!---->", 120_000) + "</action_hold></phone-settings>",
		"references": "<phone-settings><action_hold>" + strings.Repeat("&lt;&", pieces) + "</action_hold></phone-settings>",
		"elements":   "<phone-settings>" + strings.Repeat("<a/>", pieces) + "<action_hold/></phone-settings>",
		"names":      "<phone-settings>" + strings.Repeat("<action_hold/>", 70_000) + "</phone-settings>",
		"depth":      "<phone-settings>" + strings.Repeat("<a>", pieces) + "</phone-settings>",
		"brackets":   "<phone-settings>" + strings.Repeat("<", pieces) + "</phone-settings>",
		"attributes": "<phone-settings><action_hold " + strings.Repeat("a='' ", pieces) + "/></phone-settings>",
		"lines":      strings.Repeat("a!:\n", pieces),
		"tags":       strings.Repeat("<b>", pieces) + "action_hold!: x\n",
		"open tags":  strings.Repeat("<b ", pieces) + "action_hold!: x\n",
		"mentions":   "<phone-settings><action_hold/></phone-settings>" + strings.Repeat("action_hold ", 80_000),
	} {
		w := listen(t, canned(page("200 OK", body)))
		settingsCost(t, name, newClient(t, snom.ClientConfig{URL: w.url}))
	}
	var chunks strings.Builder
	chunks.WriteString("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
	for _, c := range "<phone-settings><action_hold>" + strings.Repeat("x", pieces) + "</action_hold></phone-settings>" {
		chunks.WriteString("1\r\n" + string(c) + "\r\n")
	}
	w := listen(t, canned(chunks.String()+"0\r\n\r\n"))
	settingsCost(t, "chunks", newClient(t, snom.ClientConfig{URL: w.url}))
}

// settingsCost fails the test where reading settings allocates more than a small multiple of the page.
func settingsCost(t *testing.T, name string, c *snom.Client) {
	t.Helper()
	for _, names := range [][]string{{"action_hold"}, nil} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got, err := c.ReadSettings(t.Context(), names...)
		runtime.ReadMemStats(&after)
		if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 32 {
			t.Errorf("%s, names %q: %d MiB for %d settings, %v; expected at most 32 MiB in all", name, names, used, len(got), err)
		}
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
		t.Errorf("ReadSettings = %v, %v, expected the last setting", got, err)
	}
}

// A wrong password is tried once, whatever page it is for.
func TestReadSettingsLogsInOnce(t *testing.T) {
	t.Parallel()
	p, url := snomtest.NewServer(t, snomtest.Config{Auth: snomtest.AuthDigest, Username: "admin", Password: "other"})
	_, err := newClient(t, snom.ClientConfig{URL: url, Username: "admin", Password: canary}).ReadSettings(t.Context())
	if !errors.Is(err, snom.ErrUnauthorized) || p.FailedLogins() != 1 {
		t.Errorf("ReadSettings = %v with %d failed logins, expected unauthorized and one", err, p.FailedLogins())
	}
}

func TestSettingsStep(t *testing.T) {
	t.Parallel()
	c := newClient(t, snom.ClientConfig{URL: "http://phone.example"})
	step, err := c.SettingsStep(map[string]string{"action_hold": `http://a:1/b?c=$d&e="f g" #%ü`, "dnd_mode[2]": "on", "dnd_mode1": ""})
	expected := "/dummy.htm?settings=save&store_settings=save&action_hold=http%3A%2F%2Fa%3A1%2Fb%3Fc%3D%24d%26e%3D%22f%20g%22%20%23%25%C3%BC&dnd_mode1=&dnd_mode2=on"
	if err != nil || step != (snom.Step{Request: expected}) {
		t.Errorf("SettingsStep = %+v, %v, expected %q", step, err, expected)
	}
	many := map[string]string{}
	for i := range 30 {
		many[fmt.Sprintf("a%d", i)] = strings.Repeat("x", 1000)
	}
	for _, settings := range []map[string]string{
		nil, {"": "x"}, {"A": "x"}, {"a-b": "x"}, {"a&b": "x"}, {"a=b": "x"}, {strings.Repeat("a", 65): "x"}, {"a[": "x"}, {"a[1": "x", "b[&]": "x"},
		{"a": "x\ny"}, {"a": "\x7f"}, {"a": "\xff"}, {"a": strings.Repeat("x", 1025)}, {"a": "b", "action_blacklist_url": "http://a"}, many,
	} {
		if step, err := c.SettingsStep(settings); err == nil && settings["a["] == "" {
			t.Errorf("SettingsStep(%q) = %+v, expected an error", settings, step)
		}
	}
}

func TestSaveSettings(t *testing.T) {
	t.Parallel()
	phone, url := snomtest.NewServer(t, snomtest.Config{Auth: snomtest.AuthDigest, Username: "admin", Password: canary})
	c := newClient(t, snom.ClientConfig{URL: url, Username: "admin", Password: canary})
	if err := c.SaveSettings(t.Context(), map[string]string{"dnd_mode[1]": "on", "keyboard_lock": "off"}); err != nil {
		t.Fatal(err)
	}
	got, err := c.ReadSettings(t.Context(), "dnd_mode", "keyboard_lock")
	if err != nil || got["dnd_mode"].Value != "on" || got["keyboard_lock"].Value != "off" || len(phone.Executed()) != 1 {
		t.Errorf("ReadSettings = %+v, %v after %d writes, expected both after one", got, err, len(phone.Executed()))
	}
	for _, name := range []string{"", "A", "a b", "[1]", "a\x00", strings.Repeat("a", 65), "ü"} {
		if _, err := c.ReadSettings(t.Context(), name); err == nil {
			t.Errorf("ReadSettings took the name %q", name)
		}
		if err := c.SaveSettings(t.Context(), map[string]string{name: ""}); err == nil {
			t.Errorf("SaveSettings took the name %q", name)
		}
	}
}

// Whatever is saved arrives as it was, and nothing else is set by it.
func FuzzSaveSetting(f *testing.F) {
	f.Add("action_hold", "http://192.0.2.5:8090/a/kitchen/t/incoming?mac=$mac&remote=$remote")
	f.Add("a", "1&http_pass=x;y#z%00")
	f.Add("action_blacklist_url", "")
	client, err := snom.NewClient(snom.ClientConfig{URL: "http://phone.example"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		step, err := client.SettingsStep(map[string]string{name: value})
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
