package snom

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
)

// TLSConfig says how a [Client] verifies the certificate of its phone when the URL says https. The zero
// TLSConfig trusts the system's authorities, which have not signed the certificate that a phone is delivered
// with: give CA, PinSHA256 or Insecure for it.
type TLSConfig struct {
	// CA holds certificates in PEM. The phone's must be signed by one of them; the system's authorities
	// are not trusted then.
	CA []byte
	// PinSHA256 is the SHA-256 of the phone's own certificate (DER) in hexadecimal, in either case, with
	// or without colons. It must be that very certificate then; its signer, names and dates are not
	// checked.
	PinSHA256 string
	// Insecure accepts any certificate.
	Insecure bool
	// Legacy also offers TLS 1.0 and 1.1, and ciphers that are no longer safe. What old phones require is not
	// documented; set it where nothing else works. It does not include signatures by SHA-1 in TLS 1.2, which
	// Go allows for a whole program only, by GODEBUG=tlssha1=1.
	Legacy bool
}

func (t TLSConfig) config(serverName string) (*tls.Config, error) {
	c := &tls.Config{
		ServerName: serverName,
		MinVersion: tls.VersionTLS12,
		// Key shares of post-quantum groups make the first message too long for one packet, and small
		// servers are known to read only one.
		CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521},
		// Each request has a connection of its own. Resuming spares the phone the costly part.
		ClientSessionCache: tls.NewLRUClientSessionCache(1),
	}
	if t.Legacy {
		c.MinVersion = tls.VersionTLS10
		for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
			c.CipherSuites = append(c.CipherSuites, s.ID)
		}
	}
	if t.Insecure && (len(t.CA) > 0 || t.PinSHA256 != "") || len(t.CA) > 0 && t.PinSHA256 != "" {
		return nil, errors.New("snom: TLS: expected at most one of CA, PinSHA256 and Insecure")
	}
	switch {
	case t.Insecure:
		c.InsecureSkipVerify = true
	case t.PinSHA256 != "":
		pin, err := hex.DecodeString(strings.ReplaceAll(t.PinSHA256, ":", ""))
		if err != nil || len(pin) != sha256.Size {
			return nil, errors.New("snom: TLS: pinned certificate: expected its SHA-256 in 64 hexadecimal digits")
		}
		c.InsecureSkipVerify = true // VerifyConnection does it, on resumed connections as well
		c.VerifyConnection = func(s tls.ConnectionState) error {
			if sum := sha256.Sum256(s.PeerCertificates[0].Raw); !bytes.Equal(sum[:], pin) {
				return &tls.CertificateVerificationError{
					UnverifiedCertificates: s.PeerCertificates,
					Err:                    errors.New("it is not the pinned one"),
				}
			}
			return nil
		}
	case len(t.CA) > 0:
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(t.CA) {
			return nil, errors.New("snom: TLS: CA: expected at least one certificate in PEM")
		}
	}
	return c, nil
}

// handshakeError is the error of a TLS handshake with what would help. It is short, whatever names the phone's
// certificate contains.
func (c *Client) handshakeError(err error) error {
	if leaf := untrusted(err); leaf != nil {
		return newCertificateError(leaf, err)
	}
	var record tls.RecordHeaderError
	if errors.As(err, &record) {
		return notTLS(record.RecordHeader[:])
	}
	why := fmt.Errorf("TLS: %w", bounded(err))
	var op *net.OpError
	if lost := errors.As(err, &op) && op.Op != "remote error"; c.tls.MinVersion < tls.VersionTLS12 || lost {
		return why
	}
	return fmt.Errorf("%w (if it speaks old TLS only, legacy TLS must be allowed for it)", why)
}

// notTLS is the error of a server whose first bytes are not TLS.
func notTLS(first []byte) error {
	if bytes.HasPrefix(bytes.ToUpper(first), []byte("HTTP")) {
		return errors.New("TLS: it gave an HTTP response to an HTTPS request: expected http:// in its URL, or another port")
	}
	return errors.New("TLS: what it speaks on this port is not TLS: expected http:// in its URL, or another port")
}

// untrusted returns the phone's certificate if err says that it is not trusted, else nil.
func untrusted(err error) *x509.Certificate {
	var v *tls.CertificateVerificationError
	if errors.As(err, &v) && len(v.UnverifiedCertificates) > 0 {
		return v.UnverifiedCertificates[0]
	}
	return nil
}

// fingerprint returns what [TLSConfig] calls PinSHA256.
func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}
