package config

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

// tokenSecret reads what tokens are made from.
func (c *checker) tokenSecret(text, path field) Secret {
	s := c.secret(text, path)
	if n := len(s.Reveal()); n > 0 && (n < 16 || n > 128) {
		c.fault(text, "want 16 to 128 characters that nobody guesses, such as openssl rand -hex 16 prints")
	}
	return s
}

// tokens gives every phone that has no token of its own one that is made of the secret and its name.
// Nothing is written anywhere, and it is the same after every start, so action URLs that were installed
// once go on working. A secret, and not a file with tokens that the program keeps itself, because the
// same settings then mean the same tokens to the bridge, to a second process that installs the URLs, and
// in a container that cannot write.
func (c *checker) tokens(settings Config, phones []Phone) {
	for i, p := range phones {
		switch {
		case !p.Token.IsZero():
		case !settings.tokenSecret.IsZero():
			phones[i].Token = makeToken(settings.tokenSecret, p.Name)
		case settings.PhoneListen != "":
			c.fault(field{environment(prefix), "PHONE_TOKEN_SECRET", ""}, "not set, but PHONE_LISTEN is, and not every phone "+
				"has a token of its own: want 16 to 128 characters that nobody guesses, such as openssl rand -hex 16 prints")
			return
		}
	}
}

// makeToken returns 32 hexadecimal digits, 128 bits, that tell nothing of the secret.
func makeToken(secret Secret, phone string) Secret {
	h := hmac.New(sha256.New, []byte(secret.Reveal()))
	_, _ = h.Write([]byte("action URLs of " + phone)) // a hash never fails
	return NewSecret(hex.EncodeToString(h.Sum(nil)[:16]))
}
