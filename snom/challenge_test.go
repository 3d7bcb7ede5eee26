package snom_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// TestChallengesInEverySpelling shows on the wire, against a phone that really checks what it is answered, that every
// spelling of a challenge either works or is refused, and what that costs: with the right password no failed
// login, with a wrong one exactly one, with a challenge that cannot be answered none at all.
func TestChallengesInEverySpelling(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		lines   []string // with NONCE, and STALE where the phone says so
		refused bool
	}{
		{name: "as in the RFC", lines: []string{`Digest realm="snom", nonce="NONCE", qop="auth", algorithm=MD5, stale=STALE`}},
		{name: "no qop", lines: []string{`Digest realm="snom", nonce="NONCE", stale=STALE`}},
		{name: "empty qop", lines: []string{`Digest realm="snom", nonce="NONCE", qop="", stale=STALE`}},
		{name: "qop in capitals", lines: []string{`Digest realm="snom", nonce="NONCE", qop="AUTH", stale=STALE`}},
		{name: "two qops and a space", lines: []string{`Digest realm="snom", nonce="NONCE", qop="auth-int, auth", stale=STALE`}},
		{name: "names in capitals", lines: []string{`DIGEST REALM="snom", NONCE="NONCE", QOP="auth", ALGORITHM="MD5", STALE="STALE"`}},
		{name: "MD5-sess", lines: []string{`Digest realm="snom", nonce="NONCE", qop="auth", algorithm=MD5-sess, stale=STALE`}},
		{name: "MD5-sess in small letters", lines: []string{`Digest realm="snom", nonce="NONCE", qop="auth", algorithm="md5-sess", stale=STALE`}},
		{name: "MD5-sess without qop", lines: []string{`Digest realm="snom", nonce="NONCE", algorithm=MD5-sess, stale=STALE`}},
		{name: "a hash of the body first", lines: []string{`Digest realm="snom", nonce="NONCE", qop="auth-int"`, `Digest realm="snom", nonce="NONCE", qop="auth", stale=STALE`}},
		{name: "no quotes", lines: []string{`Digest realm=snom, nonce=NONCE, qop=auth, algorithm=MD5, stale=STALE`}},
		{name: "trailing comma", lines: []string{`Digest realm="snom", nonce="NONCE", qop="auth", stale=STALE,`}},
		{name: "many commas", lines: []string{`,, Digest realm="snom",, nonce="NONCE" , ,qop="auth", stale=STALE, ,`}},
		{name: "no commas", lines: []string{`Digest realm="snom" nonce="NONCE" qop="auth" stale="STALE"`}},
		{name: "no commas and no quotes", lines: []string{`Digest realm=snom nonce=NONCE qop=auth stale=STALE`}},
		{name: "tabs and no spaces", lines: []string{"Digest\trealm=\"snom\",nonce=\"NONCE\",\tqop=\"auth\",stale=STALE"}},
		{name: "basic folded in before", lines: []string{`Basic realm="snom", Digest realm="snom", nonce="NONCE", qop="auth", stale=STALE`}},
		{name: "basic folded in behind", lines: []string{`Digest realm="snom", nonce="NONCE", qop="auth", stale=STALE, Basic realm="snom"`}},
		{name: "basic in a line of its own", lines: []string{`Basic realm="snom"`, `Digest realm="snom", nonce="NONCE", qop="auth", stale=STALE`}},
		{name: "a stronger one before", lines: []string{`Digest realm="snom", nonce="NONCE", qop="auth", algorithm=SHA-256`, `Digest realm="snom", nonce="NONCE", qop="auth", algorithm=MD5, stale=STALE`}},
		{name: "strangers before", lines: []string{`Negotiate, NTLM TlRMTVNTUAAB==`, `Digest realm="snom", nonce="NONCE", qop="auth", stale=STALE`}},
		{name: "opaque", lines: []string{`Digest realm="snom", nonce="NONCE", opaque="a\"b\\c", qop="auth", stale=STALE`}},
		{name: "never stale", lines: []string{`Digest realm="snom", nonce="NONCE", qop="auth"`}},

		{name: "unknown algorithm", lines: []string{`Digest realm="snom", nonce="NONCE", qop="auth", algorithm=MD4`}, refused: true},
		{name: "session of another algorithm", lines: []string{`Digest realm="snom", nonce="NONCE", qop="auth", algorithm=SHA-512-256-sess`}, refused: true},
		{name: "unknown qop", lines: []string{`Digest realm="snom", nonce="NONCE", qop="token"`}, refused: true},
		{name: "no nonce", lines: []string{`Digest realm="snom", qop="auth"`}, refused: true},
		{name: "half a challenge", lines: []string{`Digest realm="snom", nonce="NONCE`}, refused: true},
		{name: "nothing", lines: []string{``}, refused: true},
		{name: "strangers only", lines: []string{`Negotiate`, `Bearer realm="snom"`}, refused: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			config := snomtest.Config{
				Auth: snomtest.AuthDigest, Username: "admin", Password: canary, Realm: "snom", NonceUses: 2,
				Challenge: func(nonce string, stale bool) []string {
					var lines []string
					for _, l := range tt.lines {
						lines = append(lines, strings.NewReplacer("NONCE=", "NONCE=", "NONCE", nonce, "STALE=", "STALE=", "STALE", fmt.Sprint(stale)).Replace(l))
					}
					return lines
				},
			}
			phone, url := snomtest.NewServer(t, config)
			right := newClient(t, snom.ClientConfig{URL: url, Username: "admin", Password: canary})
			const commands = 5 // of which the nonce has to be renewed for two
			requests := 0
			for i := range commands {
				got, err := right.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1"})
				requests += got.Requests
				if tt.refused != errors.Is(err, snom.ErrUnauthorized) || !tt.refused && err != nil {
					t.Fatalf("command %d: %+v, %v, expected refused: %t", i+1, got, err, tt.refused)
				}
			}
			want := commands
			if !tt.refused {
				want += 3 // for the first nonce and two more
			}
			if requests != want {
				t.Errorf("%d requests for %d commands, expected %d", requests, commands, want)
			}
			if n := phone.FailedLogins(); n != 0 {
				t.Errorf("%d failed logins with the right password, expected none", n)
			}
			wrong := newClient(t, snom.ClientConfig{URL: url, Username: "admin", Password: "not " + canary})
			if got, err := wrong.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1"}); !errors.Is(err, snom.ErrUnauthorized) {
				t.Errorf("a wrong password: %+v, %v, expected ErrUnauthorized", got, err)
			}
			most := 1
			if tt.refused {
				most = 0
			}
			if n := phone.FailedLogins(); n != most {
				t.Errorf("%d failed logins with a wrong password, expected %d", n, most)
			}
		})
	}
}

// A refusal says what has to be changed, and blames the password only when it can be wrong.
func TestRefusalSaysWhy(t *testing.T) {
	t.Parallel()
	const basic, digest = `Basic realm="r"`, `Digest realm="r", nonce="1"`
	tests := []struct{ name, asked, asks, want string }{
		{"basic", basic, basic, "user name or password is not right (basic)"},
		{"digest", digest, digest, "user name or password is not right (digest)"},
		{"asks for nothing", digest, "", "user name or password is not right (digest)"},
		{"http_scheme switched on", basic, digest, "it took no basic login, but asks for digest"},
		{"http_scheme switched off", digest, basic, "it took no digest login, but asks for basic"},
		{"nonce good for nothing", digest, `Digest realm="r", nonce="2", stale=true`, "it calls stale a nonce that it has just given"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			phone := listen(t, canned(wants(tt.asked), wants(tt.asks)))
			c := newClient(t, snom.ClientConfig{URL: phone.url, Username: "admin", Password: canary})
			_, err := c.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1"})
			if !errors.Is(err, snom.ErrUnauthorized) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Send: %v, expected ErrUnauthorized that says %q", err, tt.want)
			}
			if n := len(phone.seen()); n != 2 {
				t.Errorf("%d requests, expected 2: the challenge and one login", n)
			}
		})
	}
}
