package snom_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// Whatever answers at the phone's address later, the password is not sent in a form that it can read.
func TestNoBasicAfterDigest(t *testing.T) {
	t.Parallel()
	const digest = `Digest realm="snom", nonce="1", qop="auth"`
	ok := reply(200, "", "ok")
	tests := []struct {
		name    string
		policy  snom.AuthPolicy
		seen    bool // that the phone asked for digest is known from before
		replies []string
		auth    string // of all requests
		noted   int    // calls of OnDigest
	}{
		{name: "basic", replies: []string{wants("Basic"), ok}, auth: " basic"},
		{name: "digest", replies: []string{wants(digest), ok}, auth: " digest", noted: 1},
		{name: "both", replies: []string{wants("Basic, " + digest), ok}, auth: " digest", noted: 1},
		{name: "basic where digest was", seen: true, replies: []string{wants("Basic"), ok}, auth: ""},
		{name: "both where digest was", seen: true, replies: []string{wants("Basic, " + digest), ok}, auth: " digest", noted: 1}, // at this address
		{name: "basic for the renewal", replies: []string{wants(digest), ok, wants("Basic")}, auth: " digest digest", noted: 1},
		{name: "basic after a refused digest", replies: []string{wants(digest), wants("Basic"), wants("Basic")}, auth: " digest ", noted: 1},
		{name: "basic after a digest that cannot be answered", replies: []string{wants(digest + ", algorithm=MD4"), wants("Basic")}, auth: " ", noted: 1},
		{name: "digest only", policy: snom.AuthDigest, replies: []string{wants("Basic"), ok}, auth: ""},
		{name: "digest only, both", policy: snom.AuthDigest, replies: []string{wants("Basic, " + digest), ok}, auth: " digest", noted: 1},
		{name: "basic only", policy: snom.AuthBasic, replies: []string{wants(digest), ok}, auth: "", noted: 1},
		{name: "basic only, both", policy: snom.AuthBasic, replies: []string{wants(digest + ", Basic"), ok}, auth: " basic", noted: 1},
		{name: "basic only, where digest was", policy: snom.AuthBasic, seen: true, replies: []string{wants("Basic"), ok}, auth: " basic"},
		{name: "any, where digest was", policy: snom.AuthAny, seen: true, replies: []string{wants("Basic"), ok}, auth: " basic"},
		{name: "any, both", policy: snom.AuthAny, replies: []string{wants("Basic, " + digest), ok}, auth: " digest", noted: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := listen(t, canned(tt.replies...))
			noted := 0
			c := newClient(t, snom.ClientConfig{
				URL: w.url, Username: "admin", Password: canary, Auth: tt.policy, DigestSeen: tt.seen, OnDigest: func(netip.AddrPort) { noted++ },
			})
			var err error
			for len(w.seen()) < len(tt.replies) {
				before := len(w.seen())
				_, err = c.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1"})
				if len(w.seen()) == before || len(w.seen()) == 1 && tt.auth == "" {
					break
				}
			}
			var auth []string
			for _, r := range w.seen() {
				auth = append(auth, authOf(r))
			}
			if got := strings.Join(auth, " "); got != tt.auth {
				t.Errorf("logins %q, expected %q", got, tt.auth)
			}
			if tt.auth == "" && (!errors.Is(err, snom.ErrUnauthorized) || !strings.Contains(err.Error(), "auth")) {
				t.Errorf("Send: %v, expected ErrUnauthorized that names the setting", err)
			}
			if noted != tt.noted {
				t.Errorf("OnDigest was called %d times, expected %d", noted, tt.noted)
			}
		})
	}
	t.Run("https", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, _, ok := r.BasicAuth(); !ok {
				w.Header().Set("WWW-Authenticate", "Basic")
				w.WriteHeader(http.StatusUnauthorized)
			}
		}))
		t.Cleanup(server.Close)
		sum := sha256.Sum256(server.Certificate().Raw)
		c := newClient(t, snom.ClientConfig{
			URL: server.URL, Username: "admin", Password: canary, DigestSeen: true, TLS: snom.TLSConfig{PinSHA256: hex.EncodeToString(sum[:])},
		})
		if got, err := c.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1"}); err != nil || got.Requests != 2 {
			t.Errorf("Send = %+v, %v, expected a login", got, err)
		}
	})
	t.Run("no such policy", func(t *testing.T) {
		t.Parallel()
		if _, err := snom.NewClient(snom.ClientConfig{URL: "http://phone.example", Auth: "ntlm"}); err == nil {
			t.Error("NewClient took it")
		}
	})
}

// Success is the word of a Snom phone only.
func TestOnlyAPhoneSucceeds(t *testing.T) {
	t.Parallel()
	const snomServer = "snom embedded"
	answer := func(status int, headers, body string) func(int, string) string {
		return func(int, string) string { return reply(status, headers, body) }
	}
	tests := []struct {
		name     string
		answer   func(n int, request string) string
		expected error
		by       string // how it is identified after a probe
	}{
		{name: "phone", answer: answer(200, "Server: "+snomServer+"\r\n", "<html>"), by: "server header"},
		{name: "phone with a title", answer: answer(200, "", "<html><title>snom D735</title>"), by: "page title"},
		{name: "phone with a page", answer: answer(200, "", "<html><title>Kitchen</title>snom"), by: "page text"},
		{name: "phone of which nothing is known", answer: answer(200, "", "")},
		{name: "phone that redirects", answer: answer(302, "Location: /index.htm\r\n", "")},
		{name: "phone behind a proxy", answer: answer(200, "Server: nginx\r\n", "<title>snom D735</title>"), by: "page title"},
		{name: "printer", answer: answer(200, "", "<html><title>Printer</title><form>Password <input type=password></form></html>"), expected: snom.ErrPhone},
		{name: "printer without a form", answer: answer(200, "Server: HP HTTP Server\r\n", "<html>Ready</html>"), expected: snom.ErrPhone},
		{name: "router", answer: answer(302, "Location: /login.htm\r\n", ""), expected: snom.ErrPhone},
		{name: "captive portal", answer: answer(302, "Location: http://portal.example/index.htm\r\n", ""), expected: snom.ErrPhone},
		{name: "web server", answer: answer(200, "", "<!DOCTYPE html><title>It works!</title>"), expected: snom.ErrPhone},
		{name: "web server that repeats the request", answer: func(_ int, request string) string { return reply(200, "", "<title>Echo</title>"+request) }, expected: snom.ErrPhone},
		{name: "web server with its name", answer: answer(200, "Server: nginx/1.24.0\r\n", ""), expected: snom.ErrPhone},
		{name: "router where the phone was", answer: func(n int, _ string) string {
			if n == 0 {
				return reply(200, "Server: "+snomServer+"\r\n", "")
			}
			return reply(200, "Server: lighttpd\r\n", "<html>Router")
		}, expected: snom.ErrPhone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := listen(t, tt.answer)
			c := newClient(t, snom.ClientConfig{URL: w.url})
			var err error
			for range 2 {
				_, err = c.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1"})
			}
			if !errors.Is(err, tt.expected) || tt.expected == nil && err != nil {
				t.Errorf("Send: %v, expected %v", err, tt.expected)
			}
			info, _ := c.Probe(t.Context())
			if info.IdentifiedBy != tt.by {
				t.Errorf("identified by %q, expected %q", info.IdentifiedBy, tt.by)
			}
			if tt.by == "" && !slices.ContainsFunc(info.Advice, func(s string) bool { return strings.Contains(s, "Snom desk phone") }) {
				t.Errorf("advice %q does not say that this may be another device", info.Advice)
			}
		})
	}
}

// A phone that says that it is of a model without remote control does not succeed by a bare 200, whatever model is
// configured.
func TestModelsWithoutRemoteControl(t *testing.T) {
	t.Parallel()
	for name, info := range map[string]string{"D865": "Hardware: D865", "M700": "Hardware: M700", "D735": "Hardware: D735"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(site{"/info.htm": says(200, "<title>snom "+name+"</title>"+info), "*": says(200, "<title>snom "+name+"</title>")})
			t.Cleanup(server.Close)
			c := newClient(t, snom.ClientConfig{URL: server.URL})
			if _, err := c.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1"}); err != nil {
				t.Errorf("Send before it was asked: %v", err)
			}
			got, err := c.Probe(t.Context())
			if err != nil || got.Model != name || got.Auth != snom.SchemeNone {
				t.Errorf("Probe = %+v, %v", got, err)
			}
			if again, err := c.Probe(t.Context()); err != nil || again.Auth != got.Auth || again.RemoteControl != got.RemoteControl {
				t.Errorf("Probe again = %+v, %v, expected %+v", again, err, got)
			}
			_, err = c.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1"})
			if refused := errors.Is(err, snom.ErrUnsupported); refused != (got.RemoteControl == snom.No) || !refused && err != nil {
				t.Errorf("Send: %v, and remote control is %s", err, got.RemoteControl)
			}
			model, _ := snom.FindModel(name)
			if _, _, err := c.Plan(snom.Hangup(), model); errors.Is(err, snom.ErrUnsupported) != (got.RemoteControl == snom.No) {
				t.Errorf("Plan: %v", err)
			}
		})
	}
}

// A phone whose certificate is not trusted is never reachable, and each error says its fingerprint.
func TestPingAndCertificates(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = quiet()
	server.StartTLS()
	t.Cleanup(server.Close)
	sum := sha256.Sum256(server.Certificate().Raw)
	pin := hex.EncodeToString(sum[:])

	c := newClient(t, snom.ClientConfig{URL: server.URL})
	for range 3 {
		_, serr := c.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1"})
		_, perr := c.Probe(t.Context())
		for what, err := range map[string]error{"Ping": c.Ping(t.Context()), "Send": serr, "Probe": perr} {
			var untrusted *snom.CertificateError
			if !errors.As(err, &untrusted) || untrusted.SHA256 != pin || !errors.Is(err, snom.ErrUntrusted) || !errors.Is(err, snom.ErrUnreachable) || !strings.Contains(err.Error(), pin) {
				t.Errorf("%s: %v, expected a CertificateError with %s", what, err, pin)
			}
		}
	}

	trusting := newClient(t, snom.ClientConfig{URL: server.URL, TLS: snom.TLSConfig{PinSHA256: pin}})
	for range 3 {
		if err := trusting.Ping(t.Context()); err != nil {
			t.Errorf("Ping: %v", err)
		}
	}
	server.Close()
	if err := trusting.Ping(t.Context()); !errors.Is(err, snom.ErrUnreachable) || errors.Is(err, snom.ErrUntrusted) {
		t.Errorf("Ping of a phone that is gone: %v", err)
	}
}

// The phone behind an address may be another one tomorrow.
func TestPingAfterACertificateChanged(t *testing.T) {
	t.Parallel()
	first, firstPEM, err := snomtest.SelfSigned(false)
	if err != nil {
		t.Fatal(err)
	}
	second, _, err := snomtest.SelfSigned(false)
	if err != nil {
		t.Fatal(err)
	}
	current := atomic.Pointer[httptest.Server]{}
	start := func(i int) {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		s.Config.ErrorLog = quiet()
		s.TLS = first
		if i > 0 {
			s.TLS = second
		}
		s.StartTLS()
		t.Cleanup(s.Close)
		current.Store(s)
	}
	start(0)
	c := newClient(t, snom.ClientConfig{URL: "https://phone.example", TLS: snom.TLSConfig{PinSHA256: pinOf(t, firstPEM)}, Dial: dialCurrent(&current)})
	if err := c.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	start(1)
	if _, err := c.Send(t.Context(), snom.Step{Request: "/"}); !errors.Is(err, snom.ErrUntrusted) {
		t.Errorf("Send: %v, expected ErrUntrusted", err)
	}
	if err := c.Ping(t.Context()); !errors.Is(err, snom.ErrUntrusted) {
		t.Errorf("Ping: %v, expected ErrUntrusted", err)
	}
}

// A caller or an entry of the directory with the words of a failed login costs neither the login nor the command.
func TestNamesThatOthersChoose(t *testing.T) {
	t.Parallel()
	for _, words := range []string{"Login failed!", "3 unsuccessful login attempts", "Too many unsuccessful login attempts. Login failed!"} {
		for _, auth := range []snomtest.Auth{snomtest.AuthNone, snomtest.AuthDigest} {
			synctest.Test(t, func(t *testing.T) {
				phone, c := bubble(t, snomtest.Config{Auth: auth, Directory: []string{words}, Settings: map[string]string{"user_idle_text1": words, "phone_name": "Hall"}})
				if _, rings := phone.Incoming(snomtest.Call{Name: words, Number: "+4930123"}); !rings {
					t.Fatal("the phone does not ring")
				}
				for _, text := range []string{"key P1", "dial 28", "clear received", "clear missed", "hangup"} {
					phone.Incoming(snomtest.Call{Name: words})
					cmd, err := snom.ParseCommand(text)
					if err != nil {
						t.Fatal(err)
					}
					if got, err := c.Do(t.Context(), cmd); err != nil {
						t.Errorf("%s with %s: Do(%s) = %+v, %v", words, auth, text, got, err)
					}
				}
				if _, err := c.ReadSettings(t.Context(), "action_hold", "user_idle_text1"); err != nil {
					t.Errorf("%s with %s: ReadSettings: %v", words, auth, err)
				}
				if _, err := c.Probe(t.Context()); err != nil {
					t.Errorf("%s with %s: Probe: %v", words, auth, err)
				}
				if n := phone.FailedLogins(); n != 0 {
					t.Errorf("%d failed logins", n)
				}
				time.Sleep(time.Minute) // until the phone is done
			})
		}
	}
}

// A page that says that the login failed ends it after one.
func TestLoginPages(t *testing.T) {
	t.Parallel()
	for _, request := range []string{"/command.htm?key=P1", "/index.htm?receiveddel=clear", "/settings.xml"} {
		synctest.Test(t, func(t *testing.T) {
			phone, c := bubble(t, snomtest.Config{Auth: snomtest.AuthDigest, LoginPage: true})
			phone.SetPassword("another")
			if got, err := c.Send(t.Context(), snom.Step{Request: request}); !errors.Is(err, snom.ErrUnauthorized) || got.Requests != 2 || phone.FailedLogins() != 1 {
				t.Errorf("%s: Send = %+v, %v after %d failed logins, expected ErrUnauthorized after one", request, got, err, phone.FailedLogins())
			}
		})
	}
}
