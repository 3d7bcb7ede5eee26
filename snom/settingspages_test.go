package snom

import "testing"

// Whatever a page holds, reading it ends, and every setting has a name.
func FuzzReadSettings(f *testing.F) {
	f.Add([]byte(`<settings><phone-settings><a idx="1" perm="R">1</a></phone-settings></settings>`))
	f.Add([]byte("<pre>a!: 1\nb&: &lt;2\n</pre>"))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, scan := range []func([]byte, *settingsReader) bool{scanSettingsXML, scanSettingsText} {
			all, err := readSettings(body, nil, scan)
			n := 0
			for name, s := range all {
				if name == "" || len(s.Value) > 2*maxShown {
					t.Fatalf("a setting %q of %d bytes in %q", name, len(s.Value), body)
				}
				if n++; n > 50 || checkSettingName(name) != nil {
					continue
				}
				one, err := readSettings(body, []string{name}, scan)
				if err == nil && one[name].Value != s.Value && s.Value != "" && one[name].Value != all[plainName(name)].Value {
					t.Fatalf("%q alone is %q, with all it is %q, in %q", name, one[name].Value, s.Value, body)
				}
			}
			if err != nil && len(err.Error()) > 500 {
				t.Fatalf("error %q", err)
			}
		}
	})
}
