package snom_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

const infoBody = "<html><head><title>Reception</title></head><pre>Mac:000413AABBCC\nHardware: D785\n</pre>Firmware-Version: snomD785-SIP 10.1.54.13</html>"

// A site is a phone's pages by path, and everything else.
type site map[string]http.HandlerFunc

func (s site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h, ok := s[r.URL.Path]
	if !ok {
		h = s["*"]
	}
	if h == nil {
		h = http.NotFound
	}
	h(w, r)
}

func says(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Add(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body)) // a client that left is seen elsewhere
	}
}

func TestProbe(t *testing.T) {
	t.Parallel()
	const digest = `Digest realm="snom", nonce="1"`
	tests := []struct {
		name   string
		pages  site
		want   snom.Info // without Advice
		err    error
		advice string // in the first sentence; empty: no advice
	}{
		{
			name:   "open phone",
			pages:  site{"/info.htm": says(200, infoBody)},
			want:   snom.Info{IdentifiedBy: "MAC address", Model: "D785", Firmware: "10.1.54.13", MAC: "000413aabbcc", Auth: snom.SchemeNone, RemoteControl: snom.Yes},
			advice: "use_hidden_tags",
		}, {
			name:  "model only in the title of the first page",
			pages: site{"/info.htm": says(200, "<TD>MAC Address</TD><TD>000413AABBCC</TD>"), "/": says(200, "<TITLE>snom 320</TITLE>")},
			want:  snom.Info{IdentifiedBy: "MAC address", Model: "320", MAC: "000413aabbcc", Auth: snom.SchemeNone, RemoteControl: snom.Yes}, advice: "use_hidden_tags",
		}, {
			name:  "no info.htm",
			pages: site{"/": says(200, "<TITLE>snom 320</TITLE>")},
			want:  snom.Info{IdentifiedBy: "page title", Model: "320", Auth: snom.SchemeNone, RemoteControl: snom.Yes}, advice: "use_hidden_tags",
		}, {
			name:  "an unknown model",
			pages: site{"/info.htm": says(200, "Hardware: D999")},
			want:  snom.Info{Model: "D999", Auth: snom.SchemeNone, RemoteControl: snom.Unknown}, advice: "use_hidden_tags",
		}, {
			name:  "no name anywhere",
			pages: site{"*": says(200, "hello")},
			want:  snom.Info{Auth: snom.SchemeNone, RemoteControl: snom.Unknown}, advice: "does not name",
		}, {
			name:  "every page is somewhere else",
			pages: site{"*": says(302, "", "Location", "/login.html")},
			want:  snom.Info{RemoteControl: snom.Unknown, Foreign: true}, err: snom.ErrPhone, advice: "another device",
		}, {
			name:  "no name, first page forbidden",
			pages: site{"/info.htm": says(200, "hello"), "*": says(403, "")},
			want:  snom.Info{Auth: snom.SchemeNone, RemoteControl: snom.Unknown}, advice: "does not name",
		}, {
			name:  "a model without remote control",
			pages: site{"/info.htm": says(200, "Hardware: D865")},
			want:  snom.Info{Model: "D865", Auth: snom.SchemeNone, RemoteControl: snom.No}, advice: "D865",
		}, {
			name:  "basic",
			pages: site{"*": says(401, "", "WWW-Authenticate", `Basic realm="snom"`)},
			want:  snom.Info{IdentifiedBy: "login realm", Auth: snom.SchemeBasic, Realm: "snom", RemoteControl: snom.Unknown}, advice: "password",
		}, {
			name:  "digest",
			pages: site{"*": says(401, "", "WWW-Authenticate", digest)},
			want:  snom.Info{IdentifiedBy: "login realm", Auth: snom.SchemeDigest, Realm: "snom", RemoteControl: snom.Unknown}, advice: "password",
		}, {
			name:  "unknown login",
			pages: site{"*": says(401, "", "WWW-Authenticate", "NTLM")},
			want:  snom.Info{RemoteControl: snom.Unknown}, advice: "password",
		}, {
			name:  "first page wants a login",
			pages: site{"/": says(401, "", "WWW-Authenticate", digest)},
			want:  snom.Info{IdentifiedBy: "login realm", Auth: snom.SchemeDigest, Realm: "snom", RemoteControl: snom.Unknown}, advice: "password",
		}, {
			name:  "D8xx",
			pages: site{"*": says(200, "<title>Phone Manager</title>")},
			want:  snom.Info{IdentifiedBy: "page title", RemoteControl: snom.No}, advice: "D8xx",
		}, {
			name:  "DECT base",
			pages: site{"/": says(303, "", "Location", "/main.html")},
			want:  snom.Info{RemoteControl: snom.No}, advice: "M series",
		}, {
			name:  "blocked",
			pages: site{"*": says(403, "<TITLE>snom VoIP phone: Error</TITLE>")},
			want:  snom.Info{IdentifiedBy: "page title", RemoteControl: snom.No}, advice: "use_hidden_tags",
		}, {
			name:  "wants https",
			pages: site{"*": says(307, "", "Location", "https://phone.example/")},
			want:  snom.Info{RemoteControl: snom.Unknown}, err: snom.ErrPhone, advice: "https://",
		}, {
			name:  "locked out",
			pages: site{"*": says(200, "<title>Login</title>3 unsuccessful login attempts")},
			want:  snom.Info{RemoteControl: snom.Unknown}, err: snom.ErrLockedOut, advice: "Wait",
		}, {
			name: "not a phone", pages: site{},
			want: snom.Info{RemoteControl: snom.Unknown}, err: snom.ErrUnsupported, advice: "another device",
		}, {
			name:  "broken",
			pages: site{"*": says(500, "")},
			want:  snom.Info{RemoteControl: snom.Unknown}, err: snom.ErrPhone, advice: "another device",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(tt.pages)
			t.Cleanup(server.Close)
			c := newClient(t, snom.ClientConfig{URL: server.URL, Username: "admin", Password: canary})
			got, err := c.Probe(t.Context())
			if !errors.Is(err, tt.err) || tt.err == nil && err != nil {
				t.Errorf("Probe: %v, expected %v", err, tt.err)
			}
			if at := got.Address.String(); at != strings.TrimPrefix(server.URL, "http://") {
				t.Errorf("Address = %s, expected that of %s", at, server.URL)
			}
			got.Address = netip.AddrPort{}
			advice := got.Advice
			got.Advice = nil
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("Probe = %+v, expected %+v", got, tt.want)
			}
			if (len(advice) > 0) != (tt.advice != "") || len(advice) > 0 && !strings.Contains(advice[0], tt.advice) {
				t.Errorf("advice %q, expected it to begin with %q", advice, tt.advice)
			}
			if strings.Contains(strings.Join(advice, " "), canary) {
				t.Errorf("advice %q holds the password", advice)
			}
		})
	}
}

// A probe gives no credentials, unless the phone has taken them before.
func TestProbeAndLogin(t *testing.T) {
	t.Parallel()
	ok, page := reply(200, "", "ok"), reply(200, "", infoBody)
	const digest = `Digest realm="snom", nonce="1", qop="auth"`
	stale := wants(`Digest realm="snom", nonce="2", qop="auth", stale=true`)
	tests := []struct {
		name    string
		replies []string
		want    snom.Info // Auth, Realm, Model
		err     error
		auth    string
	}{
		{name: "before", replies: []string{wants(digest)}, want: snom.Info{Auth: snom.SchemeDigest, Realm: "snom"}, auth: ""},
		{name: "after", replies: []string{wants(digest), ok, page}, want: snom.Info{Auth: snom.SchemeDigest, Realm: "snom", Model: "D785"}, auth: " digest digest"},
		{name: "after, basic", replies: []string{wants(`Basic realm="b"`), ok, page}, want: snom.Info{Auth: snom.SchemeBasic, Realm: "b", Model: "D785"}, auth: " basic basic"},
		{name: "nonce stale", replies: []string{wants(digest), ok, stale, page}, want: snom.Info{Auth: snom.SchemeDigest, Realm: "snom", Model: "D785"}, auth: " digest digest digest"},
		{name: "password changed", replies: []string{wants(digest), ok, wants(digest)}, want: snom.Info{Auth: snom.SchemeDigest, Realm: "snom"}, err: snom.ErrUnauthorized, auth: " digest digest"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := listen(t, canned(tt.replies...))
			c := newClient(t, snom.ClientConfig{URL: w.url, Username: "admin", Password: canary})
			if len(tt.replies) > 1 {
				if _, err := c.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1"}); err != nil {
					t.Fatal(err)
				}
			}
			got, err := c.Probe(t.Context())
			if !errors.Is(err, tt.err) || tt.err == nil && err != nil {
				t.Errorf("Probe: %v, expected %v", err, tt.err)
			}
			if got := (snom.Info{Auth: got.Auth, Realm: got.Realm, Model: got.Model}); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("Probe = %+v, expected %+v", got, tt.want)
			}
			var auth []string
			for _, r := range w.seen() {
				auth = append(auth, authOf(r))
			}
			if got := strings.Join(auth, " "); got != tt.auth {
				t.Errorf("logins %q, expected %q", got, tt.auth)
			}
		})
	}
}

func TestProbeCertificate(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(site{"/info.htm": says(200, infoBody)})
	server.Config.ErrorLog = quiet()
	server.StartTLS()
	t.Cleanup(server.Close)
	sum := sha256.Sum256(server.Certificate().Raw)
	pin := hex.EncodeToString(sum[:])

	got, err := newClient(t, snom.ClientConfig{URL: server.URL}).Probe(t.Context())
	if !errors.Is(err, snom.ErrUnreachable) || got.Certificate != pin || !slices.ContainsFunc(got.Advice, func(s string) bool { return strings.HasPrefix(s, "Pin ") }) {
		t.Errorf("Probe = %+v, %v, expected ErrUnreachable, certificate %s and advice to pin it", got, err, pin)
	}
	got, err = newClient(t, snom.ClientConfig{URL: server.URL, TLS: snom.TLSConfig{PinSHA256: got.Certificate}}).Probe(t.Context())
	if err != nil || got.Certificate != pin || got.Model != "D785" {
		t.Errorf("Probe = %+v, %v, expected certificate %s and a model", got, err, pin)
	}
}

// A phone that serves https only refuses connections over http, unlike a phone that is off.
func TestProbeRefusedConnection(t *testing.T) {
	t.Parallel()
	phone, url := snomtest.NewServer(t, snomtest.Config{})
	phone.SetFault(snomtest.FaultRefuseConnects)
	for _, tt := range []struct {
		url   string
		https bool
	}{{url, true}, {strings.Replace(url, "http", "https", 1), false}} {
		got, err := newClient(t, snom.ClientConfig{URL: tt.url}).Probe(t.Context())
		if !errors.Is(err, snom.ErrUnreachable) || strings.Contains(strings.Join(got.Advice, " "), "https://") != tt.https {
			t.Errorf("%s: Probe = %+v, %v, expected ErrUnreachable, and advice about https: %t", tt.url, got, err, tt.https)
		}
	}
}

// What a probe with old TLS finds does not work with the settings of a phone as they are.
func TestProbeOldTLS(t *testing.T) {
	t.Parallel()
	_, url, certificate := snomtest.NewTLSServer(t, snomtest.Config{LegacyTLS: true})
	got, err := newClient(t, snom.ClientConfig{URL: url, TLS: snom.TLSConfig{CA: certificate, Legacy: true}}).Probe(t.Context())
	if err != nil || len(got.Advice) == 0 || !strings.Contains(got.Advice[0], "legacy TLS") {
		t.Errorf("Probe = %+v, %v, expected advice about legacy TLS first", got, err)
	}
}

func TestProbeUnreachable(t *testing.T) {
	t.Parallel()
	w := listen(t, canned(""))
	got, err := newClient(t, snom.ClientConfig{URL: w.url}).Probe(t.Context())
	if want := (snom.Info{RemoteControl: snom.Unknown, Advice: []string{}}); !errors.Is(err, snom.ErrOutcomeUnknown) || !reflect.DeepEqual(got, want) {
		t.Errorf("Probe = %+v, %v, expected %+v, ErrOutcomeUnknown", got, err, want)
	}
}
