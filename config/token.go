package config

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/snom2mqtt/snom2mqtt/internal/textfile"
)

// tokenSecret reads what tokens are derived from.
func (c *checker) tokenSecret(text, path field) Secret {
	s := c.secret(text, path)
	if n := len(s.Reveal()); n > 0 && (n < 16 || n > 128) {
		c.fault(text, "expected 16 to 128 random characters, such as openssl rand -hex 16 prints")
	}
	return s
}

// tokens gives every phone that has no token of its own one that is made of the secret and its name.
// It is the same after every start, so action URLs that were installed once go on working. Where no
// secret is set, one is made and kept; where it cannot be kept it has to be set, for a secret that is
// another one after every start would shut out every phone.
func (c *checker) tokens(settings *Config, phones []Phone) {
	for i, p := range phones {
		if !p.Token.IsZero() || settings.PhoneListen == "" && settings.tokenSecret.IsZero() {
			continue
		}
		if settings.tokenSecret.IsZero() {
			kept, err := keptSecret(settings.secrets, c.read)
			if err != nil {
				c.fault(field{in: environment(prefix), key: "PHONE_TOKEN_SECRET"}, "not set, but PHONE_LISTEN is, not every phone has a "+
					"token of its own, and a secret cannot be made and kept (%v): expected 16 to 128 random characters, "+
					"such as openssl rand -hex 16 prints", err)
				return
			}
			settings.tokenSecret = kept
		}
		phones[i].Token = makeToken(settings.tokenSecret, p.Name)
	}
}

// stateDirectory returns the directory that the setting names, or else the one that systemd gives a service.
func (c *checker) stateDirectory(f field, environ []string) string {
	switch {
	case f.text == "":
		first, _, _ := strings.Cut(absolute(environ, "STATE_DIRECTORY"), ":")
		return first
	case !filepath.IsAbs(f.text):
		c.fault(f, "expected an absolute path, such as /var/lib/snom2mqtt")
	}
	return f.text
}

// userFolder returns where the XDG Base Directory Specification has the state of a user's programs. Empty: nowhere.
func userFolder(environ []string) string {
	if dir := absolute(environ, "XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "snom2mqtt")
	}
	if home := absolute(environ, "HOME"); home != "" {
		return filepath.Join(home, ".local", "state", "snom2mqtt")
	}
	return ""
}

// absolute returns the value of a variable that is an absolute path.
func absolute(environ []string, name string) string {
	for _, e := range environ {
		if v, ok := strings.CutPrefix(e, name+"="); ok && filepath.IsAbs(v) {
			return v
		}
	}
	return ""
}

// keptSecret returns the secret that is kept in folder, and makes it when there is none yet. Of two
// processes that make one at the same time, one wins and both return it.
func keptSecret(folder string, read func(path string, limit int64) ([]byte, error)) (Secret, error) {
	if folder == "" {
		return Secret{}, errors.New("the environment names no folder to keep it in")
	}
	path := filepath.Join(folder, "phone-token-secret")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := makeSecret(folder, path); err != nil {
			return Secret{}, err
		}
	}
	b, err := read(path, maxSmallFile)
	if err != nil {
		return Secret{}, fmt.Errorf("%s: %w", path, err)
	}
	secret, err := textfile.Line(b)
	if err != nil || len(secret) < 16 {
		return Secret{}, fmt.Errorf("%s is no secret that was kept: remove it", path)
	}
	return NewSecret(secret), nil
}

// makeSecret writes a new secret that only this user may read, unless path exists by then.
func makeSecret(folder, path string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(folder, "secret-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // left behind, it holds no secret that is used
	_, err = f.WriteString(rand.Text() + "\n")
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	// A link, because it fails where another process was first.
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// makeToken returns 32 hexadecimal digits, 128 bits, from which the secret cannot be derived.
func makeToken(secret Secret, phone string) Secret {
	h := hmac.New(sha256.New, []byte(secret.Reveal()))
	_, _ = h.Write([]byte("action URLs of " + phone)) // a hash never fails
	return NewSecret(hex.EncodeToString(h.Sum(nil)[:16]))
}
