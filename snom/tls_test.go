package snom_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// secureServer answers everything over TLS as cfg says; resumed counts the connections that resumed an
// earlier one.
func secureServer(t *testing.T, cfg *tls.Config) (s *httptest.Server, resumed *atomic.Int32) {
	t.Helper()
	resumed = new(atomic.Int32)
	s = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS.DidResume {
			resumed.Add(1)
		}
	}))
	s.TLS = cfg
	s.Config.ErrorLog = quiet()
	s.StartTLS()
	t.Cleanup(s.Close)
	return s, resumed
}

// hangingUp is a phone that reads something, hangs up on it, in order or by a reset, and says nothing.
func hangingUp(t *testing.T, reset bool) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // the test is over
			}
			_, _ = conn.Read(make([]byte, 4096)) // all of it, so that closing resets nothing by itself
			if reset {
				_ = conn.(*net.TCPConn).SetLinger(0)
			}
			_ = conn.Close()
		}
	})
	t.Cleanup(func() { _ = l.Close(); serving.Wait() })
	return "https://" + l.Addr().String()
}

// quiet keeps what a server says of failed handshakes, which are wanted, out of the tests' output.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

func TestTLS(t *testing.T) {
	t.Parallel()
	server, _ := secureServer(t, nil)
	old, _ := secureServer(t, &tls.Config{
		MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10, CipherSuites: []uint16{tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA},
	})
	silent, resets := hangingUp(t, false), hangingUp(t, true)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)

	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	sum := sha256.Sum256(server.Certificate().Raw)
	pin := hex.EncodeToString(sum[:])
	colons := strings.ToUpper(pin[:2])
	for i := 2; i < len(pin); i += 2 {
		colons += ":" + strings.ToUpper(pin[i:i+2])
	}
	otherName := strings.Replace(server.URL, "127.0.0.1", "localhost", 1) // not in the server's certificate

	tests := []struct {
		name string
		url  string
		tls  snom.TLSConfig
		want string // in the error; empty: no error
	}{
		{name: "system authorities", url: server.URL, want: pin},
		{name: "CA", url: server.URL, tls: snom.TLSConfig{CA: ca}},
		{name: "CA, other name", url: otherName, tls: snom.TLSConfig{CA: ca}, want: "localhost"},
		{name: "pin", url: server.URL, tls: snom.TLSConfig{PinSHA256: pin}},
		{name: "pin, with colons", url: server.URL, tls: snom.TLSConfig{PinSHA256: colons}},
		{name: "pin, other name", url: otherName, tls: snom.TLSConfig{PinSHA256: pin}},
		{name: "other pin", url: server.URL, tls: snom.TLSConfig{PinSHA256: strings.Repeat("ab", 32)}, want: "not the pinned one"},
		{name: "insecure", url: otherName, tls: snom.TLSConfig{Insecure: true}},
		{name: "old phone", url: old.URL, tls: snom.TLSConfig{Insecure: true}, want: "legacy TLS must be allowed"},
		{name: "old phone that says no more", url: silent, tls: snom.TLSConfig{Insecure: true}, want: "legacy TLS must be allowed"},
		{name: "legacy, and it says no more", url: silent, tls: snom.TLSConfig{Insecure: true, Legacy: true}, want: "EOF"},
		{name: "reset", url: resets, tls: snom.TLSConfig{Insecure: true}, want: "reset"},
		{name: "old phone, legacy", url: old.URL, tls: snom.TLSConfig{Insecure: true, Legacy: true}},
		{name: "old phone, legacy, pin", url: old.URL, tls: snom.TLSConfig{PinSHA256: pin, Legacy: true}},
		{name: "plain HTTP there", url: strings.Replace(plain.URL, "http", "https", 1), want: "expected http://"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, snom.ClientConfig{URL: tt.url, TLS: tt.tls})
			for range 2 { // the second time TLS may resume
				got, err := c.Send(t.Context(), snom.Step{Request: "/"})
				if tt.want == "" {
					if err != nil || got.Status != 200 {
						t.Fatalf("Send = %+v, %v, expected no error", got, err)
					}
					continue
				}
				if !errors.Is(err, snom.ErrUnreachable) || !strings.Contains(err.Error(), tt.want) || got.Requests != 0 {
					t.Fatalf("Send = %+v, %v, expected ErrUnreachable that says %q", got, err, tt.want)
				}
				if strings.Contains(err.Error(), "legacy") != strings.Contains(tt.want, "legacy") {
					t.Errorf("Send: %v, expected it to speak of legacy TLS only where that may help", err)
				}
			}
		})
	}

	t.Run("TLS there, plain HTTP asked", func(t *testing.T) {
		t.Parallel()
		c := newClient(t, snom.ClientConfig{URL: strings.Replace(server.URL, "https", "http", 1)})
		// Go's server answers in plain text; one that answers in TLS is a row of TestReplies.
		if _, err := c.Send(t.Context(), snom.Step{Request: "/"}); !errors.Is(err, snom.ErrPhone) {
			t.Errorf("Send: %v, expected ErrPhone", err)
		}
	})
}

func TestTLSResumes(t *testing.T) {
	t.Parallel()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			t.Parallel()
			server, resumed := secureServer(t, &tls.Config{MaxVersion: version})
			c := newClient(t, snom.ClientConfig{URL: server.URL, TLS: snom.TLSConfig{Insecure: true}})
			for range 3 {
				if _, err := c.Send(t.Context(), snom.Step{Request: "/"}); err != nil {
					t.Fatal(err)
				}
			}
			if got := resumed.Load(); got != 2 {
				t.Errorf("%d of 3 connections resumed, expected 2", got)
			}
		})
	}
}

// pinOf is the SHA-256 of a certificate in PEM.
func pinOf(t *testing.T, certificate []byte) string {
	t.Helper()
	block, _ := pem.Decode(certificate)
	if block == nil {
		t.Fatal("no PEM")
	}
	sum := sha256.Sum256(block.Bytes)
	return hex.EncodeToString(sum[:])
}

// dialCurrent connects to the server of now.
func dialCurrent(current *atomic.Pointer[httptest.Server]) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, current.Load().Listener.Addr().String())
	}
}

// TestSlowReplyOverTLS: a reply that comes in parts, each later than the context is first looked at, is read as a whole.
func TestSlowReplyOverTLS(t *testing.T) {
	t.Parallel()
	server, _ := secureServer(t, nil)
	certificates := server.TLS.Certificates
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, snom.ClientConfig{URL: "https://phone.example", TLS: snom.TLSConfig{Insecure: true}, Dial: pipes(func(conn net.Conn) {
			phone := tls.Server(conn, &tls.Config{Certificates: certificates})
			readRequest(phone)
			for part := range strings.SplitAfterSeq(reply(200, "", "<html><title>snom</title></html>"), "\n") {
				time.Sleep(4 * snom.Promptly)
				_, _ = io.WriteString(phone, part)
			}
		})})
		began := time.Now()
		got, err := c.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1"})
		if took := time.Since(began); err != nil || got.Status != 200 || took < 8*snom.Promptly {
			t.Errorf("Send = %+v, %v after %v, expected a reply in several parts", got, err, took)
		}
	})
}
