package snomtest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/icholy/digest"

	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

func basic(username, password string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(username, password) }
}

func authorization(value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", value) }
}

// challengeOf asks without credentials and returns the digest challenge.
func challengeOf(t *testing.T, b browser) *digest.Challenge {
	t.Helper()
	resp, _ := b.mustDo("/")
	c, err := digest.FindChallenge(resp.Header)
	if err != nil {
		t.Fatalf("status %d: %v", resp.StatusCode, err)
	}
	return c
}

// answerTo makes the Authorization header for a GET of target.
func answerTo(t *testing.T, c *digest.Challenge, target, password string, count int) string {
	t.Helper()
	cred, err := digest.Digest(c, digest.Options{Method: "GET", URI: target, Count: count, Username: "admin", Password: password})
	if err != nil {
		t.Fatal(err)
	}
	return cred.String()
}

func TestBasic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tests := []struct {
			name   string
			edit   []func(*http.Request)
			status int
			auth   string
			failed int
		}{
			{"none", nil, 401, "none", 0},
			{"right", []func(*http.Request){basic("admin", "1234")}, 200, "basic", 0},
			{"wrong password", []func(*http.Request){basic("admin", "1235")}, 401, "basic", 1},
			{"wrong name", []func(*http.Request){basic("admim", "1234")}, 401, "basic", 1},
			{"unreadable", []func(*http.Request){authorization("Basic ***")}, 401, "basic", 1},
			{"another scheme", []func(*http.Request){authorization("Bearer x")}, 401, "bearer", 1},
			{"digest", []func(*http.Request){authorization(`Digest username="admin"`)}, 401, "digest", 1},
		}
		for _, tt := range tests {
			p, b := newPiped(t, snomtest.Config{Auth: snomtest.AuthBasic, Username: "admin", Password: "1234"})
			resp, _ := b.mustDo("/command.htm?key=P1", tt.edit...)
			if got := resp.StatusCode; got != tt.status {
				t.Errorf("%s: status = %d, expected %d", tt.name, got, tt.status)
			}
			got := last(t, p)
			if got.Auth != tt.auth || got.Authorized != (tt.status == 200) || got.Executed != got.Authorized {
				t.Errorf("%s: request = %+v, expected auth %s", tt.name, got, tt.auth)
			}
			if got := p.FailedLogins(); got != tt.failed {
				t.Errorf("%s: %d failed logins, expected %d", tt.name, got, tt.failed)
			}
			if got, want := resp.Header.Get("WWW-Authenticate"), `Basic realm="snom"`; tt.status == 401 && got != want {
				t.Errorf("%s: WWW-Authenticate = %q, expected %q", tt.name, got, want)
			}
		}
	})
}

func TestDigest(t *testing.T) {
	const target = "/command.htm?key=1;2&x=%23"
	tests := []struct {
		name   string
		config snomtest.Config
		header func(t *testing.T, c *digest.Challenge) string
		status int
		failed int
		note   string
	}{
		{name: "right", header: func(t *testing.T, c *digest.Challenge) string { return answerTo(t, c, target, "1234", 1) }, status: 200},
		{name: "right without qop", config: snomtest.Config{Auth: snomtest.AuthDigestNoQOP},
			header: func(t *testing.T, c *digest.Challenge) string { return answerTo(t, c, target, "1234", 1) }, status: 200},
		{name: "offered both", config: snomtest.Config{Auth: snomtest.AuthAny},
			header: func(t *testing.T, c *digest.Challenge) string { return answerTo(t, c, target, "1234", 1) }, status: 200},
		{name: "wrong password", header: func(t *testing.T, c *digest.Challenge) string { return answerTo(t, c, target, "4321", 1) },
			status: 401, failed: 1, note: "wrong name or password"},
		{name: "another target", header: func(t *testing.T, c *digest.Challenge) string { return answerTo(t, c, "/command.htm", "1234", 1) },
			status: 401, failed: 1, note: "is not the request's"},
		{name: "another realm", header: func(t *testing.T, c *digest.Challenge) string {
			c.Realm = "elsewhere"
			return answerTo(t, c, target, "1234", 1)
		}, status: 401, failed: 1, note: "wrong realm"},
		{name: "another algorithm", header: func(t *testing.T, c *digest.Challenge) string {
			c.Algorithm = "SHA-256"
			return answerTo(t, c, target, "1234", 1)
		}, status: 401, failed: 1, note: "was not offered"},
		{name: "auth-int", header: func(t *testing.T, c *digest.Challenge) string {
			c.QOP = []string{"auth-int"}
			return answerTo(t, c, target, "1234", 1)
		}, status: 401, failed: 1, note: "was not offered"},
		{name: "qop where there is none", config: snomtest.Config{Auth: snomtest.AuthDigestNoQOP}, header: func(t *testing.T, c *digest.Challenge) string {
			c.QOP = []string{"auth"}
			return answerTo(t, c, target, "1234", 1)
		}, status: 401, failed: 1, note: "was not offered"},
		{name: "no nonce count", header: func(t *testing.T, c *digest.Challenge) string {
			return strings.Replace(answerTo(t, c, target, "1234", 1), "nc=00000001", "nc=00000000", 1)
		}, status: 401, failed: 1, note: "without nc"},
		{name: "unreadable", header: func(*testing.T, *digest.Challenge) string { return `Digest username` }, status: 401, failed: 1, note: "unreadable"},
		{name: "another user", header: func(t *testing.T, c *digest.Challenge) string {
			return strings.Replace(answerTo(t, c, target, "1234", 1), "admin", "user", 1)
		}, status: 401, failed: 1, note: "wrong name"},
		{name: "another's nonce", header: func(t *testing.T, c *digest.Challenge) string {
			c.Nonce = "made up"
			return answerTo(t, c, target, "1234", 1)
		}, status: 401, note: "unknown nonce"},
		{name: "basic", header: func(*testing.T, *digest.Challenge) string { return "Basic YWRtaW46MTIzNA==" }, status: 401, failed: 1, note: "Basic was not offered"},
		{name: "basic where both are offered", config: snomtest.Config{Auth: snomtest.AuthAny},
			header: func(*testing.T, *digest.Challenge) string { return "Basic YWRtaW46MTIzNA==" }, status: 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := tt.config
				if c.Auth == "" {
					c.Auth = snomtest.AuthDigest
				}
				c.Username, c.Password = "admin", "1234"
				p, b := newPiped(t, c)
				resp, _ := b.mustDo(target, authorization(tt.header(t, challengeOf(t, b))))
				if got := resp.StatusCode; got != tt.status {
					t.Errorf("status = %d, expected %d", got, tt.status)
				}
				if got := last(t, p); !strings.Contains(got.Note, tt.note) {
					t.Errorf("Note = %q, expected %q", got.Note, tt.note)
				}
				if got := p.FailedLogins(); got != tt.failed {
					t.Errorf("%d failed logins, expected %d", got, tt.failed)
				}
			})
		})
	}
}

func TestNonces(t *testing.T) {
	tests := []struct {
		name   string
		config snomtest.Config
		steps  string // each "200" or "401" with the same nonce and a growing count; "!" repeats the count, "." waits a minute
		stale  bool   // of the last challenge
	}{
		{"for ever", snomtest.Config{}, "200 . 200 200 200", false},
		{"a count twice", snomtest.Config{}, "200 !401", true},
		{"one use", snomtest.Config{NonceUses: 1}, "200 401", true},
		{"three uses", snomtest.Config{NonceUses: 3}, "200 200 200 401", true},
		{"a minute's life", snomtest.Config{NonceLife: time.Minute}, "200 . 200 . 401", true},
		{"stale is not said", snomtest.Config{NonceUses: 1, NoStale: true}, "200 401", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := tt.config
				c.Auth, c.Username, c.Password = snomtest.AuthDigest, "admin", "1234"
				p, b := newPiped(t, c)
				challenge := challengeOf(t, b)
				var header http.Header
				count := 0
				for i, step := range strings.Fields(tt.steps) {
					if step == "." {
						time.Sleep(time.Minute)
						continue
					}
					want, again := strings.CutPrefix(step, "!")
					if !again {
						count++
					}
					resp, _ := b.mustDo("/", authorization(answerTo(t, challenge, "/", "1234", count)))
					if got := fmt.Sprint(resp.StatusCode); got != want {
						t.Fatalf("step %d: status = %s, expected %s", i, got, want)
					}
					header = resp.Header
				}
				if got := strings.Contains(header.Get("WWW-Authenticate"), "stale=true"); got != tt.stale {
					t.Errorf("WWW-Authenticate = %q, expected stale=true: %t", header.Get("WWW-Authenticate"), tt.stale)
				}
				if got := p.FailedLogins(); got != 0 {
					t.Errorf("%d failed logins, expected 0", got)
				}
			})
		})
	}
}

func TestForgetNonces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := newPiped(t, snomtest.Config{Auth: snomtest.AuthDigest, Username: "admin", Password: "1234"})
		challenge := challengeOf(t, b)
		p.ForgetNonces()
		resp, _ := b.mustDo("/", authorization(answerTo(t, challenge, "/", "1234", 1)))
		fresh, err := digest.FindChallenge(resp.Header)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 401 || !fresh.Stale || fresh.Nonce == challenge.Nonce {
			t.Errorf("status %d, challenge %v, expected 401 with a fresh nonce and stale", resp.StatusCode, fresh)
		}
	})
}

func TestOwnChallenge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, b := newPiped(t, snomtest.Config{Auth: snomtest.AuthDigest, Username: "admin", Password: "1234",
			Challenge: func(nonce string, _ bool) []string {
				return []string{`DIGEST Realm="snom", Nonce="` + nonce + `", Algorithm=MD5-sess`, `Basic realm="snom"`}
			}})
		resp, _ := b.mustDo("/")
		got := resp.Header["Www-Authenticate"]
		if len(got) != 2 || !strings.HasPrefix(got[0], "DIGEST Realm=") {
			t.Fatalf("WWW-Authenticate = %q, expected the phone's own two", got)
		}
		// An MD5-sess response from the example of RFC 2617's formula, computed by hand.
		_, nonce, _ := strings.Cut(got[0], `Nonce="`)
		nonce, _, _ = strings.Cut(nonce, `"`)
		a1 := md5hex(md5hex("admin:snom:1234") + ":" + nonce + ":c0")
		response := md5hex(a1 + ":" + nonce + ":00000001:c0:auth:" + md5hex("GET:/"))
		resp, _ = b.mustDo("/", authorization(fmt.Sprintf(`Digest username="admin", realm="snom", nonce=%q, uri="/", algorithm=MD5-sess, qop=auth, nc=00000001, cnonce="c0", response=%q`,
			nonce, response)))
		if resp.StatusCode != 200 {
			t.Errorf("status = %d, expected 200", resp.StatusCode)
		}
	})
}

func TestLockOutDoubles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := newPiped(t, snomtest.Config{Auth: snomtest.AuthBasic, Username: "admin", Password: "1234"})
		fail := func(times int) {
			t.Helper()
			for range times {
				b.mustDo("/", basic("admin", "wrong"))
			}
		}
		fail(3)
		if p.Locked() {
			t.Fatal("locked after three failed logins")
		}
		fail(1)
		for i, want := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute} {
			if !p.Locked() || !p.State().Locked {
				t.Fatalf("lock %d: not locked", i)
			}
			failed := p.FailedLogins()
			resp, body := b.mustDo("/command.htm?key=P1", basic("admin", "1234"))
			if resp.StatusCode != 200 || !strings.Contains(body, "unsuccessful login attempts") {
				t.Errorf("lock %d: %d %q, expected the page with status 200", i, resp.StatusCode, body)
			}
			if p.FailedLogins() != failed || last(t, p).Authorized {
				t.Errorf("lock %d: a request counted or came through", i)
			}
			time.Sleep(want - time.Second)
			if !p.Locked() {
				t.Errorf("lock %d: over before %v", i, want)
			}
			time.Sleep(time.Second)
			if p.Locked() {
				t.Errorf("lock %d: not over after %v", i, want)
			}
			fail(3)
		}
		time.Sleep(time.Hour)
		b.mustDo("/", basic("admin", "1234"))
		fail(3)
		if p.Locked() {
			t.Error("a good login did not end the count of bad ones")
		}
		if got, want := p.FailedLogins(), 4+3*3+3; got != want {
			t.Errorf("%d failed logins, expected %d", got, want)
		}
	})
}

func TestLoginPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := newPiped(t, snomtest.Config{Auth: snomtest.AuthBasic, Username: "admin", Password: "1234", LoginPage: true})
		resp, body := b.mustDo("/", basic("admin", "wrong"))
		if resp.StatusCode != 200 || !strings.Contains(body, "Login failed!") {
			t.Errorf("%d %q, expected the failed login page with status 200", resp.StatusCode, body)
		}
		p.SetPassword("wrong")
		resp, body = b.mustDo("/", basic("admin", "wrong"))
		if resp.StatusCode != 200 || strings.Contains(body, "Login failed!") {
			t.Errorf("%d %q, expected the first page", resp.StatusCode, body)
		}
	})
}
