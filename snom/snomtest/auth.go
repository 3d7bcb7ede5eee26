package snomtest

import (
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/icholy/digest"
)

// Auth is how the phone requires requests to authenticate: the settings http_user and http_scheme.
type Auth string

// The kinds of authentication. A phone that requires one kind counts the other as a failed login.
const (
	AuthNone        Auth = "none" // also the empty Auth: no user is set, no login is required
	AuthBasic       Auth = "basic"
	AuthDigest      Auth = "digest"       // RFC 2617 with MD5 and qop=auth
	AuthDigestNoQOP Auth = "digest-noqop" // RFC 2069
	AuthAny         Auth = "any"          // offers Digest and Basic
)

// A login is what the phone remembers of nonces and of failed logins.
type login struct {
	nonces  map[string]*nonce
	service bool      // the request is made with the maintenance account
	failed  int       // bad logins since New
	strikes int       // bad logins since the last good one
	until   time.Time // the web interface is blocked until then
}

type nonce struct {
	made  time.Time
	uses  int
	count int // highest nonce count seen
}

func (l *login) locked(now time.Time) bool { return now.Before(l.until) }

// fail counts one bad login. More than three in a row block the web interface for a minute, each further
// three for twice as long (Snom blog, 2009-08-14).
func (l *login) fail(now time.Time) {
	const allowed, group = 3, 3
	l.failed++
	l.strikes++
	if over := l.strikes - allowed - 1; over >= 0 && over%group == 0 {
		l.until = now.Add(time.Minute << min(over/group, 20))
	}
}

// maxNonces bounds the nonces a phone remembers.
const maxNonces = 256

// issue makes a nonce.
func (l *login) issue(now time.Time) string {
	if l.nonces == nil || len(l.nonces) >= maxNonces {
		l.nonces = map[string]*nonce{}
	}
	text := rand.Text()
	l.nonces[text] = &nonce{made: now}
	return text
}

// admit checks the credentials of a request. When they do not do, it says what the phone replies.
func (p *Phone) admit(r *http.Request, line *Request) (reply, bool) {
	p.login.service = false
	if p.config.Auth == "" || p.config.Auth == AuthNone {
		return reply{}, true
	}
	now := time.Now()
	if p.login.locked(now) {
		line.Note = "locked"
		return lockedOut(), false
	}
	var stale bool
	switch line.Auth {
	case "none":
		return p.challenge(now, false), false
	case "basic":
		line.Note = p.checkBasic(r)
	case "digest":
		line.Note, stale = p.checkDigest(r, now)
	default:
		line.Note = "unknown scheme"
	}
	switch {
	case stale:
		return p.challenge(now, !p.config.NoStale), false
	case line.Note == "":
		p.login.strikes = 0
		return reply{}, true
	}
	line.Note = "failed login: " + line.Note
	p.login.fail(now)
	switch {
	case p.login.locked(now):
		return lockedOut(), false
	case p.config.LoginPage:
		return loginFailed(), false
	}
	return p.challenge(now, false), false
}

// schemeOf names the scheme of a request's credentials.
func schemeOf(r *http.Request) string {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return or(strings.ToLower(scheme), "none")
}

// checkBasic returns what is wrong with the request's Basic credentials, or nothing.
func (p *Phone) checkBasic(r *http.Request) string {
	if p.config.Auth != AuthBasic && p.config.Auth != AuthAny {
		return "Basic was not offered"
	}
	username, password, ok := r.BasicAuth()
	switch {
	case !ok:
		return "unreadable Basic credentials"
	case p.config.ServiceUsername != "" && username == p.config.ServiceUsername && password == p.config.ServicePassword:
		p.login.service = true
	case username != p.config.Username || password != p.config.Password:
		return "wrong name or password"
	}
	return ""
}

// checkDigest returns what is wrong with the request's Digest credentials, or nothing. Stale says that
// the password is right but the nonce is not good any more: no failed login.
func (p *Phone) checkDigest(r *http.Request, now time.Time) (wrong string, stale bool) {
	if p.config.Auth == AuthBasic {
		return "Digest was not offered", false
	}
	cred, err := digest.ParseCredentials(r.Header.Get("Authorization"))
	if err != nil {
		return "unreadable Digest credentials", false
	}
	service := p.config.ServiceUsername != "" && cred.Username == p.config.ServiceUsername
	switch {
	case cred.Username != p.config.Username && !service:
		return "wrong name or password", false
	case cred.Realm != p.config.Realm:
		return "wrong realm", false
	case cred.URI != r.RequestURI:
		return fmt.Sprintf("uri %q is not the request's", cred.URI), false
	case cred.QOP != "" && (cred.QOP != "auth" || p.config.Auth == AuthDigestNoQOP):
		return fmt.Sprintf("qop %q was not offered", cred.QOP), false
	case cred.QOP != "" && (cred.Nc < 1 || cred.Cnonce == ""):
		return "qop without nc or cnonce", false
	}
	password := p.config.Password
	if service {
		password = p.config.ServicePassword
	}
	want, err := p.expected(cred, r.Method, password)
	switch {
	case err != nil:
		return err.Error(), false
	case cred.Response != want:
		return "wrong name or password", false
	}
	n := p.login.nonces[cred.Nonce]
	switch {
	case n == nil:
		return "unknown nonce", true
	case p.config.NonceUses > 0 && n.uses >= p.config.NonceUses:
		return "nonce used up", true
	case p.config.NonceLife > 0 && now.Sub(n.made) > p.config.NonceLife:
		return "nonce too old", true
	case cred.QOP != "" && cred.Nc <= n.count:
		return "nonce count used before", true
	}
	p.login.service = service
	n.uses++
	n.count = cred.Nc
	return "", false
}

// expected computes the response that credentials like these should have.
func (p *Phone) expected(cred *digest.Credentials, method, password string) (string, error) {
	challenge := digest.Challenge{Realm: p.config.Realm, Nonce: cred.Nonce}
	if cred.QOP != "" {
		challenge.QOP = []string{cred.QOP}
	}
	options := digest.Options{
		Method: method, URI: cred.URI, Count: cred.Nc, Cnonce: cred.Cnonce,
		Username: cred.Username, Password: password,
	}
	switch strings.ToUpper(cred.Algorithm) {
	case "", "MD5":
	case "MD5-SESS":
		a1 := md5.Sum([]byte(options.Username + ":" + p.config.Realm + ":" + options.Password))
		session := md5.Sum([]byte(hex.EncodeToString(a1[:]) + ":" + cred.Nonce + ":" + cred.Cnonce))
		options.A1 = hex.EncodeToString(session[:])
	default:
		return "", fmt.Errorf("algorithm %q was not offered", cred.Algorithm)
	}
	want, err := digest.Digest(&challenge, options)
	if err != nil {
		return "", err
	}
	return want.Response, nil
}

// challenge is a 401 with a fresh nonce.
func (p *Phone) challenge(now time.Time, stale bool) reply {
	rep := errorPage(http.StatusUnauthorized, "Unauthorized")
	offer := digest.Challenge{Realm: p.config.Realm, Nonce: p.login.issue(now), Algorithm: "MD5", Stale: stale}
	if p.config.Auth != AuthDigestNoQOP {
		offer.QOP = []string{"auth"}
	}
	basic := fmt.Sprintf("Basic realm=%q", p.config.Realm)
	switch {
	case p.config.Challenge != nil:
		rep.authenticate = p.config.Challenge(offer.Nonce, stale)
	case p.config.Auth == AuthBasic:
		rep.authenticate = []string{basic}
	case p.config.Auth == AuthAny:
		rep.authenticate = []string{offer.String(), basic}
	default:
		rep.authenticate = []string{offer.String()}
	}
	return rep
}

// loginFailed and lockedOut are pages with status 200; the words are those that symcon/Snom looks for.
func loginFailed() reply {
	return pageOf(http.StatusOK, "Login", "<p>Login failed!</p>")
}

func lockedOut() reply {
	return pageOf(http.StatusOK, "Login",
		"<p>Login failed!</p><p>Too many unsuccessful login attempts, please wait.</p>")
}
