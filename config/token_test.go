package config_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
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
	r, err := c.ReloadPhones()
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
	if r, err := c.ReloadPhones(); err == nil || len(faultsOf(t, err)) != 1 {
		t.Errorf("ReloadPhones = %v, %v, want the fault that a token is missing", r, err)
	}
}
