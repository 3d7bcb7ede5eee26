package snom_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// checkText fails the test where a text that contains what a phone or another program wrote is not fit to be passed on:
// longer than 1 KiB, not UTF-8, or with control characters.
func checkText(t *testing.T, what, text string) {
	t.Helper()
	if len(text) > 1<<10 || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		t.Errorf("%s: %d bytes, %.300q", what, len(text), text)
	}
}

// Whatever a phone says in a reply, in its certificate, or however connecting fails, what is said about it is short and
// can be printed.
func TestTextsFromOutsideAreBounded(t *testing.T) {
	t.Parallel()
	hostile := map[string]string{
		"bytes":    strings.Repeat("\x80", 30_000),
		"controls": strings.Repeat("\x01\x1b[2J\x7f\x9b", 5_000),
		"c1":       strings.Repeat("\u0085\u009b", 10_000),
		"long":     strings.Repeat("ü", 15_000),
		"quotes":   strings.Repeat(`\"`, 10_000),
		"percent":  strings.Repeat("%s%n%!d", 5_000),
	}
	check := func(t *testing.T, c *snom.Client) {
		t.Helper()
		_, err := c.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1"})
		info, perr := c.Probe(t.Context())
		_, serr := c.ReadSettings(t.Context(), "action_hold")
		for what, err := range map[string]error{"Send": err, "Probe": perr, "ReadSettings": serr, "Ping": c.Ping(t.Context())} {
			if err != nil {
				checkText(t, what, err.Error())
			}
		}
		for what, text := range map[string]string{"Model": info.Model, "Firmware": info.Firmware, "MAC": info.MAC, "Realm": info.Realm, "IdentifiedBy": info.IdentifiedBy} {
			checkText(t, what, text)
		}
		for _, advice := range info.Advice {
			checkText(t, "Advice", advice)
		}
	}
	for name, text := range hostile {
		line := strings.NewReplacer("\r", "", "\n", "").Replace(text)
		replies := map[string]string{
			"realm of basic":  "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"" + line + "\"\r\n\r\n",
			"realm of digest": "HTTP/1.1 401 No\r\nWWW-Authenticate: Digest nonce=\"1\", realm=\"" + line + "\"\r\n\r\n",
			"nonce":           "HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm=\"snom\", nonce=\"" + line + "\"\r\n\r\n",
			"algorithm":       "HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm=\"snom\", nonce=\"1\", qop=\"" + line + "\", algorithm=\"" + line + "\"\r\n\r\n",
			"scheme":          "HTTP/1.1 401 No\r\nWWW-Authenticate: " + line + "\r\n\r\n",
			"reason":          "HTTP/1.1 500 " + line + "\r\n\r\n",
			"location":        "HTTP/1.1 302 Found\r\nLocation: http://" + line + "/\r\n\r\n",
			"server":          "HTTP/1.1 200 OK\r\nServer: " + line + "\r\n\r\n",
			"header":          "HTTP/1.1 200 OK\r\n" + line + "\r\n\r\n",
			"title":           "HTTP/1.1 200 OK\r\n\r\n<title>snom 735" + text + "</title>",
			"body":            "HTTP/1.1 200 OK\r\n\r\nHardware: D735" + text + "Firmware: 10.1.1.1" + text + "Mac: 000413aabbcc" + text,
			"status":          "HTTP/1.1 " + line + "\r\n\r\n",
			"no HTTP":         text,
			"chunk":           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;" + line + "\r\nok\r\n",
		}
		for where, reply := range replies {
			t.Run(where+" of "+name, func(t *testing.T) {
				t.Parallel()
				w := listen(t, canned(reply))
				check(t, newClient(t, snom.ClientConfig{URL: w.url, Username: "admin", Password: canary}))
			})
		}
		t.Run("error of a dialer with "+name, func(t *testing.T) {
			t.Parallel()
			cause := errors.New(text)
			c := newClient(t, snom.ClientConfig{URL: "http://phone.example", Dial: func(context.Context, string, string) (net.Conn, error) {
				return nil, cause
			}})
			check(t, c)
			if err := c.Ping(t.Context()); !errors.Is(err, cause) {
				t.Errorf("Ping: %v does not wrap its cause", err)
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(cause)
			_, err := c.Send(ctx, snom.Step{Request: "/"})
			checkText(t, "Send", err.Error())
		})
		t.Run("certificate with "+name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewUnstartedServer(http.NotFoundHandler())
			server.Config.ErrorLog = quiet()
			server.TLS = &tls.Config{Certificates: []tls.Certificate{certificateOf(t, strings.ToValidUTF8(text, "?"))}}
			server.StartTLS()
			t.Cleanup(server.Close)
			for _, cfg := range []snom.TLSConfig{{}, {PinSHA256: strings.Repeat("ab", 32)}} {
				c := newClient(t, snom.ClientConfig{URL: server.URL, TLS: cfg})
				check(t, c)
				var untrusted *snom.CertificateError
				if err := c.Ping(t.Context()); !errors.As(err, &untrusted) || len(untrusted.SHA256) != 64 {
					t.Errorf("Ping: %v, expected a CertificateError with a fingerprint", err)
				}
			}
		})
	}
}

// certificateOf returns a certificate that has text in every name.
func certificateOf(t *testing.T, text string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	name := pkix.Name{CommonName: text, Organization: []string{text}, SerialNumber: text}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: name, Issuer: name,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: make([]string, 0, 300),
	}
	for i := range 300 {
		template.DNSNames = append(template.DNSNames, fmt.Sprintf("name-%d.example", i))
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
