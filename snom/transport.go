package snom

import (
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/snom2mqtt/snom2mqtt/internal/cleantext"
)

// What follows is for other ways to a phone than a [Client], so that they fail in the same words.

// NotSent returns the error of a request of which certainly nothing was sent, because of err: it wraps [ErrLocal] or
// [ErrUnreachable], and is a [*CertificateError] where the certificate of the other side is not trusted.
func NotSent(err error) error {
	if leaf := untrusted(err); leaf != nil {
		return newCertificateError(leaf, err)
	}
	for _, known := range []error{ErrUntrusted, ErrUnreachable, ErrLocal, ErrExpired} {
		if errors.Is(err, known) {
			return err
		}
	}
	if isLocal(err) {
		return fmt.Errorf("%w: %w", ErrLocal, bounded(err))
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, bounded(err))
}

// ClientConfig returns the configuration of a TLS client that verifies the server called serverName as t says.
func (t TLSConfig) ClientConfig(serverName string) (*tls.Config, error) { return t.config(serverName) }

// Foreign returns a text from the network as an error may repeat it: short and printable.
func Foreign(text string) string { return cleantext.Clean(text, maxErrorText) }
