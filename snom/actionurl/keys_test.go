package actionurl_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// panelKeys are the keys of the tests.
func panelKeys() *actionurl.Keys {
	return actionurl.NewKeys([]actionurl.Key{
		{Key: "P1", Name: "garage", Label: `Garage <"&>`, Short: "Gar"}, {Key: "P2", Name: "door", Open: "front"}, {Key: "P12", Run: "good_night"},
	})
}

func model(t *testing.T, name string) snom.Model {
	t.Helper()
	m, ok := snom.FindModel(name)
	if !ok {
		t.Fatal(name)
	}
	return m
}

func TestKeySettings(t *testing.T) {
	t.Parallel()
	urls := oursFor("t0kent0kent0ken1")
	const press = "url " + oursBase + "/a/kitchen/t0kent0kent0ken1/key_press?active_key="
	for name, expected := range map[string][]string{
		"D735": {"fkey0=" + press + "P1", `fkey_label0=Garage <"&>`, "fkey_short_label0=Gar", "fkey1=" + press + "P2", "fkey_label1=door", "fkey_short_label1=door", "fkey11=" + press + "P12"},
		"D717": {"fkey0=" + press + "P1", `fkey_label0=Garage <"&>`, "fkey_short_label0=Gar", "fkey1=" + press + "P2", "fkey_label1=door", "fkey11=" + press + "P12"},
		"D862": {"fkey0=" + press + "P1", `fkey_label0=Garage <"&>`, "fkey_short_label0=Gar", "fkey1=" + press + "P2", "fkey_label1=door", "fkey11=" + press + "P12"},
	} {
		var got []string
		for _, k := range actionurl.KeySettings(urls, panelKeys(), model(t, name)) {
			got = append(got, k.Type.Setting+"="+k.Type.URL)
			for _, l := range k.Labels {
				got = append(got, l.Setting+"="+l.URL)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(expected) {
			t.Errorf("%s:\n%q, expected\n%q", name, got, expected)
		}
	}
	if all := actionurl.KeySettings(urls, nil, snom.Model{}); all != nil {
		t.Errorf("%v of no keys", all)
	}
	if all := actionurl.KeySettings(nil, panelKeys(), snom.Model{}); all != nil {
		t.Errorf("%v without action URLs", all)
	}
	e, err := actionurl.ParseEvent("key_press", "active_key=P12", time.Time{})
	if err != nil || e.Type != actionurl.EventKeyPress || e.Key != "P12" {
		t.Errorf("%+v, %v", e, err)
	}
}

// TestProvisionedKeys reads the document for provisioning back.
func TestProvisionedKeys(t *testing.T) {
	t.Parallel()
	urls := oursFor("t0kent0kent0ken1")
	var document struct {
		XMLName xml.Name `xml:"settings"`
		Keys    []struct {
			Index   int    `xml:"idx,attr"`
			Context string `xml:"context,attr"`
			Label   string `xml:"label,attr"`
			Short   string `xml:"short_label,attr"`
			Value   string `xml:",chardata"`
		} `xml:"functionKeys>fkey"`
	}
	text := actionurl.ProvisioningXML(urls, actionurl.KeySettings(urls, panelKeys(), model(t, "D735"))...)
	if err := xml.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	if len(document.Keys) != 3 {
		t.Fatalf("%+v", document.Keys)
	}
	if k := document.Keys[0]; k.Index != 0 || k.Context != "active" || k.Label != `Garage <"&>` || k.Short != "Gar" || k.Value != "url "+actionurl.KeyURL(urls, "P1") {
		t.Errorf("%+v", k)
	}
	if k := document.Keys[2]; k.Index != 11 || k.Label != "" || !strings.HasSuffix(k.Value, "?active_key=P12") {
		t.Errorf("%+v", k)
	}
	if strings.Contains(actionurl.ProvisioningXML(urls), "functionKeys") {
		t.Error("a phone without keys has function keys")
	}
}

func TestInstallKeys(t *testing.T) {
	all := []string{"fkey0", "fkey_label0", "fkey_short_label0", "fkey1", "fkey_label1", "fkey_short_label1", "fkey11"}
	second := []string{"fkey1", "fkey_label1", "fkey_short_label1", "fkey11"}
	other := map[string]string{"fkey0": "speed 4711", "fkey_label0": "Mary"}
	for name, tt := range map[string]struct {
		phone     snomtest.Config
		force     bool
		expected  actionurl.Installation
		err, left error
		says      string
		has       map[string]string
	}{
		"a new phone":           {expected: actionurl.Installation{Written: all, Checked: true}},
		"with a page of text":   {phone: snomtest.Config{Shows: snomtest.SettingsText}, expected: actionurl.Installation{Written: all, Checked: true}},
		"without flags":         {phone: snomtest.Config{Shows: snomtest.SettingsPlain}, expected: actionurl.Installation{Written: all, Checked: true}},
		"what has a value only": {phone: snomtest.Config{Shows: snomtest.SettingsSparse}, expected: actionurl.Installation{Written: all, Checked: true}},
		"free keys": {phone: snomtest.Config{Settings: map[string]string{"fkey0": "none", "fkey1": "line", "fkey11": ""}},
			expected: actionurl.Installation{Written: all, Checked: true}},
		"an earlier token and label": {phone: snomtest.Config{Settings: map[string]string{"fkey0": "url " + actionurl.KeyURL(oursFor("earlier-earlier-"), "P1"), "fkey_label0": "Old"}},
			expected: actionurl.Installation{Written: all, Checked: true}},
		"a speed dial": {phone: snomtest.Config{Settings: other},
			expected: actionurl.Installation{Written: second, Checked: true, Foreign: []actionurl.Foreign{{"fkey0", "speed"}}},
			left:     actionurl.ErrForeign, says: "with another use were kept: fkey0 (speed); force replaces them", has: other},
		"a line with an argument": {phone: snomtest.Config{Settings: map[string]string{"fkey0": "line 2"}},
			expected: actionurl.Installation{Written: second, Checked: true, Foreign: []actionurl.Foreign{{"fkey0", "line"}}},
			left:     actionurl.ErrForeign, has: map[string]string{"fkey0": "line 2", "fkey_label0": ""}},
		"another program's URL": {phone: snomtest.Config{Settings: map[string]string{"fkey0": "url http://u:secret@192.0.2.99/x"}},
			expected: actionurl.Installation{Written: second, Checked: true, Foreign: []actionurl.Foreign{{"fkey0", "192.0.2.99"}}},
			left:     actionurl.ErrForeign, says: "fkey0 (192.0.2.99)", has: map[string]string{"fkey0": "url http://u:secret@192.0.2.99/x"}},
		"by force": {phone: snomtest.Config{Settings: other}, force: true, expected: actionurl.Installation{Written: all, Checked: true}},
		"read-only": {phone: snomtest.Config{ReadOnly: []string{"fkey1"}},
			expected: actionurl.Installation{Written: []string{"fkey0", "fkey_label0", "fkey_short_label0", "fkey11"}, Kept: []string{"fkey1", "fkey_label1", "fkey_short_label1"}, Checked: true},
			left:     snom.ErrRefused, says: "it keeps what it has in fkey1, fkey_label1, fkey_short_label1", has: map[string]string{"fkey1": "", "fkey_label1": ""}},
		"user mode": {phone: snomtest.Config{UserMode: true}, err: snom.ErrRefused, says: "nothing was written", has: map[string]string{"fkey0": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tt.phone.Model = "D735"
				p, c := bubble(t, tt.phone)
				settings := actionurl.KeySettings(oursFor("t0kent0kent0ken1"), panelKeys(), model(t, "D735"))
				got, err := actionurl.InstallKeys(t.Context(), c, settings, tt.force)
				if !errors.Is(err, tt.err) || tt.err == nil && err != nil {
					t.Fatalf("%v, expected %v", err, tt.err)
				}
				if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", tt.expected); g != w {
					t.Errorf("\n%s, expected\n%s", g, w)
				}
				left := got.Err()
				if !errors.Is(left, tt.left) || tt.left == nil && left != nil {
					t.Errorf("%v, expected %v", left, tt.left)
				}
				if said := fmt.Sprint(err, left); !strings.Contains(said, tt.says) || strings.Contains(said, "secret") || strings.Contains(said, "4711") {
					t.Errorf("%q, expected %q in it", said, tt.says)
				}
				has := p.Settings()
				for name, value := range tt.has {
					if has[name] != value {
						t.Errorf("%s = %q, expected %q", name, has[name], value)
					}
				}
				if tt.err != nil || tt.left != nil {
					return
				}
				for _, s := range settings {
					if has[s.Type.Setting] != s.Type.URL {
						t.Errorf("%s = %q", s.Type.Setting, has[s.Type.Setting])
					}
				}
				writes := len(p.Executed())
				if got, err = actionurl.InstallKeys(t.Context(), c, settings, false); err != nil || len(got.Unchanged) != len(all) || len(p.Executed()) != writes {
					t.Errorf("again: %+v, %v, expected everything unchanged", got, err)
				}
			})
		})
	}
}

// Short labels that the model does not have are not written, and labels that a phone does not show are not verified.
func TestInstallKeysWithoutLabels(t *testing.T) {
	t.Parallel()
	types := "<settings><phone-settings><a/></phone-settings><functionKeys><fkey idx=\"0\">line</fkey></functionKeys></settings>"
	written := strings.Replace(types, "line", "url "+actionurl.KeyURL(oursFor("t0kent0kent0ken1"), "P1"), 1)
	wrote := 0
	url := listen(t, func(_ int, request string) string {
		switch {
		case strings.HasPrefix(request, "GET /settings.xml") && wrote == 0:
			return page("200 OK", types)
		case strings.HasPrefix(request, "GET /settings.xml"):
			return page("200 OK", written)
		case strings.HasPrefix(request, "GET /settings.htm"):
			return page("404 Not Found", "")
		}
		wrote++
		return page("200 OK", "")
	})
	keys := actionurl.NewKeys([]actionurl.Key{{Key: "P1", Label: "Garage"}})
	got, err := actionurl.InstallKeys(t.Context(), newClient(t, snom.ClientConfig{URL: url}), actionurl.KeySettings(oursFor("t0kent0kent0ken1"), keys, model(t, "D717")), false)
	if err != nil || got.Checked || got.Err() != nil || fmt.Sprint(got.Written) != "[fkey0 fkey_label0]" {
		t.Errorf("%+v, %v", got, err)
	}
}
