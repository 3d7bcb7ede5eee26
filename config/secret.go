package config

import (
	"fmt"
	"io"
	"log/slog"
)

// stars is what every secret prints as.
const stars = "***"

// A Secret prints as three stars wherever and however it is printed. The zero Secret is empty.
//
// Its text sits behind a pointer because fmt does not ask the methods of a value that it finds in an
// unexported field: there it prints the fields, and so an address. Compare secrets by
// reflect.DeepEqual or by what Reveal returns, not by ==.
type Secret struct{ text *string }

// NewSecret returns text as a Secret.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{&text}
}

// Reveal returns the secret itself. The calls of Reveal are the list to audit.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero says whether there is no secret.
func (s Secret) IsZero() bool { return s.text == nil }

// String returns three stars.
func (Secret) String() string { return stars }

// GoString returns three stars.
func (Secret) GoString() string { return stars }

// Format writes three stars, whatever the verb.
func (Secret) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, stars) // fmt keeps what its writer says to itself
}

// LogValue returns three stars.
func (Secret) LogValue() slog.Value { return slog.StringValue(stars) }

// MarshalText returns three stars.
func (Secret) MarshalText() ([]byte, error) { return []byte(stars), nil }

// MarshalJSON returns three stars in quotes.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + stars + `"`), nil }
