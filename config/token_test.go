package config_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/config"
)

// Tokens that are made are the same after every start and every reload, differ by phone, and do not
// show the secret; one that is set stands.
func TestTokensAreMade(t *testing.T) {
	t.Parallel()
	settings := kitchen + "PHONE_LISTEN=:8081\nPHONE_1_NAME=hall\nPHONE_1_URL=http://b\nPHONE_1_TOKEN=abcdefghijklmnop\nPHONES_FILE=$DIR/p.yaml\n"
	file := map[string]string{"p.yaml": "phones:\n  door: {url: http://c}\n"}
	c, faults := load(t, settings+tokenSecret, file)
	if faults != nil {
		t.Fatal(faults)
	}
	made := map[string]string{}
	for _, p := range c.Roster.Phones {
		made[p.Name] = p.Token.Reveal()
	}
	shape := regexp.MustCompile(`^[0-9a-f]{32}$`)
	if made["hall"] != "abcdefghijklmnop" || made["kitchen"] == made["door"] || !shape.MatchString(made["kitchen"]) || !shape.MatchString(made["door"]) {
		t.Errorf("tokens %q", made)
	}
	// Of another release too: URLs that are in phones must go on working.
	if got, want := made["kitchen"], "0811e6bbac80adb6e124796c3f7cf222"; got != want {
		t.Errorf("token of kitchen = %q, want %q", got, want)
	}
	if err := os.WriteFile(c.PhonesFile, []byte("phones:\n  door: {url: http://d}\n  attic: {url: http://e}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, _, err := c.ReloadPhones(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range r.Phones {
		if got, want := p.Token.Reveal(), made[p.Name]; got != want && p.Name != "attic" || got == "" {
			t.Errorf("token of %s after a reload = %q, want %q", p.Name, got, want)
		}
	}
	again, _ := load(t, settings+"PHONE_TOKEN_SECRET_FILE=$DIR/s", map[string]string{"p.yaml": file["p.yaml"], "s": "0123456789abcdef\n"})
	other, _ := load(t, settings+"PHONE_TOKEN_SECRET=0123456789abcdeF", file)
	if got := again.Roster.Phones[0].Token.Reveal(); got != made["kitchen"] {
		t.Errorf("token by the secret in a file = %q, want %q", got, made["kitchen"])
	}
	if got := other.Roster.Phones[0].Token.Reveal(); got == made["kitchen"] {
		t.Errorf("token by another secret is the same: %q", got)
	}
}

// A phone that joins by a reload may lack a token as well.
func TestReloadWantsTokens(t *testing.T) {
	t.Parallel()
	c, faults := load(t, kitchen+"PHONE_LISTEN=:8081\nPHONE_0_TOKEN=abcdefghijklmnop\nPHONES_FILE=$DIR/p.yaml",
		map[string]string{"p.yaml": "phones:\n  a: {url: http://a, token: abcdefghijklmnop}\n"})
	if faults != nil {
		t.Fatal(faults)
	}
	if err := os.WriteFile(filepath.Clean(c.PhonesFile), []byte("phones:\n  a: {url: http://a}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, _, err := c.ReloadPhones(t.Context()); err == nil || len(faultsOf(t, err)) != 1 {
		t.Errorf("ReloadPhones = %v, %v, want the fault that a token is missing", r, err)
	}
}

// Without a secret in the settings one is made, once, and kept where the environment says.
func TestASecretIsMadeAndKept(t *testing.T) {
	t.Parallel()
	for name, folder := range map[string]string{
		"STATE_DIRECTORY=%s:/elsewhere": "", "XDG_STATE_HOME=%s": "snom2mqtt", "HOME=%s": ".local/state/snom2mqtt",
	} {
		t.Run(strings.TrimSuffix(name, "=%s"), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			settings := append(environ(kitchen+"PHONE_LISTEN=:8081"), strings.Replace(name, "%s", dir, 1))
			tokens := make([]string, 8)
			var loading sync.WaitGroup
			for i := range tokens { // processes that start at the same time agree
				loading.Go(func() {
					c, err := config.Load(t.Context(), settings)
					if err != nil {
						t.Error(err)
						return
					}
					tokens[i] = c.Roster.Phones[0].Token.Reveal()
				})
			}
			loading.Wait()
			for _, token := range tokens {
				if token != tokens[0] || len(token) != 32 {
					t.Fatalf("tokens %q, want one of 32 digits", tokens)
				}
			}
			path := filepath.Join(dir, folder, "phone-token-secret")
			info, err := os.Stat(path)
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Fatalf("%s: %v, %v, want a file for its owner only", path, info, err)
			}
			if all, err := os.ReadDir(filepath.Dir(path)); err != nil || len(all) != 1 {
				t.Errorf("%v, %v: want the secret and nothing else", all, err)
			}
			if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := config.Load(t.Context(), settings); err == nil || !strings.Contains(err.Error(), "no secret that was kept") {
				t.Errorf("a file that holds no secret: %v, want a fault", err)
			}
		})
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(t.Context(), append(environ(kitchen+"PHONE_LISTEN=:8081"), "HOME="+file)); err == nil {
		t.Error("a folder that cannot be made is no fault")
	}
}

// The setting comes before what systemd gives; without both nothing is kept.
func TestStateDirectory(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		environ []string
		want    string
	}{
		{nil, ""},
		{[]string{"HOME=/home/a", "XDG_STATE_HOME=/home/a/state"}, ""},
		{[]string{"STATE_DIRECTORY=/var/lib/a:/var/lib/b"}, "/var/lib/a"},
		{[]string{"STATE_DIRECTORY=relative"}, ""},
		{[]string{"STATE_DIRECTORY=/var/lib/a", "SNOM2MQTT_STATE_DIRECTORY=/data"}, "/data"},
		{[]string{"STATE_DIRECTORY=/var/lib/a", "SNOM2MQTT_STATE_DIRECTORY="}, "/var/lib/a"},
	} {
		c, err := config.Load(t.Context(), append(environ(kitchen), tt.environ...))
		if err != nil || c.StateDirectory != tt.want {
			t.Errorf("%q: %q, %v, expected %q", tt.environ, c.StateDirectory, err, tt.want)
		}
	}
	if _, err := config.Load(t.Context(), append(environ(kitchen), "SNOM2MQTT_STATE_DIRECTORY=state")); err == nil {
		t.Error("a relative path is no fault")
	}
}
