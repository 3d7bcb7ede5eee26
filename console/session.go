package console

import (
	"crypto/rand"
	"crypto/sha256"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Bounds of sessions.
const (
	sessionName  = "snom2mqtt_session" // and the port
	sessionIdle  = 24 * time.Hour      // without a request
	sessionMost  = 30 * 24 * time.Hour // in all
	sessionsKept = 100                 // the one that was not used for the longest time is forgotten
)

// sessions are the browsers that have shown the password. The zero value is ready to use.
type sessions struct {
	mu  sync.Mutex
	all map[[sha256.Size]byte]*session // by the digest of the cookie; guarded by mu
}

// A session is one browser.
type session struct{ began, used time.Time }

// cookieName is the name of the cookie at the address that the browser asked for. Browsers send cookies of one port to all others of the
// host, where there may be another console.
func cookieName(r *http.Request) string {
	if _, port, err := net.SplitHostPort(r.Host); err == nil {
		return sessionName + "_" + strings.Map(func(c rune) rune {
			if c < '0' || c > '9' {
				return -1
			}
			return c
		}, port)
	}
	return sessionName
}

// start makes a session and returns its cookie.
func (s *sessions) start(r *http.Request) *http.Cookie {
	now, value := time.Now(), rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now)
	if s.all == nil {
		s.all = map[[sha256.Size]byte]*session{}
	}
	s.all[sha256.Sum256([]byte(value))] = &session{now, now}
	return &http.Cookie{
		Name: cookieName(r), Value: value, Path: "/", MaxAge: int(sessionMost / time.Second), HttpOnly: true, SameSite: http.SameSiteStrictMode,
	}
}

// sweep forgets sessions that are over, and one where there are too many. The caller holds the lock.
func (s *sessions) sweep(now time.Time) {
	var oldest [sha256.Size]byte
	for key, one := range s.all {
		if one.over(now) {
			delete(s.all, key)
		} else if first := s.all[oldest]; first == nil || one.used.Before(first.used) {
			oldest = key
		}
	}
	if len(s.all) >= sessionsKept {
		delete(s.all, oldest)
	}
}

func (s *session) over(now time.Time) bool {
	return now.Sub(s.used) > sessionIdle || now.Sub(s.began) > sessionMost
}

// key returns the digest of a request's cookie; false where it has none.
func key(r *http.Request) (digest [sha256.Size]byte, ok bool) {
	cookie, err := r.Cookie(cookieName(r))
	if err != nil {
		return digest, false
	}
	return sha256.Sum256([]byte(cookie.Value)), true
}

// valid reports whether a request belongs to a session.
func (s *sessions) valid(r *http.Request) bool {
	digest, ok := key(r)
	if !ok {
		return false
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.all[digest]
	if one == nil || one.over(now) {
		return false
	}
	one.used = now
	return true
}

// end ends the session of a request, and returns the cookie that removes its cookie.
func (s *sessions) end(r *http.Request) *http.Cookie {
	if digest, ok := key(r); ok {
		s.mu.Lock()
		delete(s.all, digest)
		s.mu.Unlock()
	}
	return &http.Cookie{Name: cookieName(r), Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode}
}

// loginPage asks for the password.
func (h *handler) loginPage(w http.ResponseWriter, r *http.Request) {
	if h.Password == "" || h.trusts(r) || h.sessions.valid(r) {
		redirect(w, "./")
		return
	}
	h.askPassword(w, r, http.StatusOK, "")
}

func (h *handler) askPassword(w http.ResponseWriter, r *http.Request, status int, fault string) {
	p := h.begin(r, "login", translate(language(r), "Log in"), "login")
	if fault != "" {
		p.write(`<p class="fault" role="alert">{}</p>`, p.t(fault))
	}
	p.write(`<form method="post" action="login?next={}" class="login"><input type="text" name="username" value="console" autocomplete="username" hidden><label for="password">{}</label>
<input id="password" name="password" type="password" autocomplete="current-password" required autofocus><button class="main">{}</button></form>
<p class="hint">{}</p>`, url.QueryEscape(next(r)), p.t("Password of the console"), p.t("Log in"),
		p.t("It is the setting CONSOLE_PASSWORD of the bridge."))
	p.send(w, status)
}

// next is the page to show after the login: one of the console, whatever the address says.
func next(r *http.Request) string {
	path := strings.TrimLeft(r.URL.Query().Get("next"), "/")
	u, err := url.Parse(path)
	if err != nil || u.IsAbs() || u.Host != "" || strings.ContainsAny(path, "\\\r\n") || strings.HasPrefix(path, "login") {
		return ""
	}
	return path
}

// login checks the password of the login page and starts a session.
func (h *handler) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxLogin)
	if err := r.ParseForm(); err != nil {
		answer(w, http.StatusBadRequest, "bad request", "expected the form of the login page")
		return
	}
	switch h.check(r, r.PostForm.Get("password")) {
	case passwordRight:
		http.SetCookie(w, h.sessions.start(r))
		redirect(w, "./"+next(r))
	case passwordWrong:
		h.askPassword(w, r, http.StatusUnauthorized, "The password is wrong.")
	case passwordUnchecked:
		w.Header().Set("Retry-After", retryAfter)
		h.askPassword(w, r, http.StatusTooManyRequests, "Too many wrong passwords: try again in a few seconds.")
	}
}

// logout ends the session.
func (h *handler) logout(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, h.sessions.end(r))
	redirect(w, "./login")
}
