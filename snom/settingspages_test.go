package snom

import "testing"

// Whatever a page holds, reading it ends, and every setting has a name.
func FuzzReadSettings(f *testing.F) {
	f.Add([]byte(`<settings><phone-settings><a idx="1" perm="R">1</a></phone-settings></settings>`))
	f.Add([]byte("<pre>a!: 1\nb&: &lt;2\n</pre>"))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, read := range []func([]byte) map[string]Setting{readSettingsXML, readSettingsPage} {
			for name := range read(body) {
				if name == "" {
					t.Fatalf("a setting without a name in %q", body)
				}
			}
		}
	})
}
