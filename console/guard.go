package console

import (
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/snom2mqtt/snom2mqtt/internal/netlimit"
)

// An access says who may make a request.
type access int

// The kinds of access.
const (
	open    access = iota // any client: it shows no names and no addresses
	reads                 // a client with the password, where there is one
	presses               // the same, unless the console is read-only
)

// guard returns a handler that passes on what has the right host, comes from an address that may ask, and from no page
// of another site.
func (h *handler) guard(next http.Handler) http.Handler {
	crossOrigin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header(), h.trusts(r))
		switch {
		case h.Ingress.IsValid() && !h.trusts(r) && !loopback(r):
			answer(w, http.StatusForbidden, "forbidden", "this address is for the ingress of Home Assistant only")
			return
		case h.trusts(r):
			if host := r.Header.Get("X-Forwarded-Host"); host != "" {
				r.Host = host // what the browser asked for
			}
		case h.Password == "" && !localName(r.Host):
			answer(w, http.StatusMisdirectedRequest, "misdirected",
				"without SNOM2MQTT_CONSOLE_PASSWORD the console answers to localhost and IP addresses only")
			return
		}
		if err := crossOrigin.Check(r); err != nil {
			h.limited.Log(slog.LevelWarn, "cross-origin", "request from a page of another site refused at the console", "from", r.RemoteAddr)
			answer(w, http.StatusForbidden, "forbidden", "a page of another site made this request")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// secure sets what every answer demands of browsers: nothing but the console's own files is loaded, no script and no
// style stands in a page, and no other site shows a page in a frame.
func secure(head http.Header, framed bool) {
	ancestors := "'none'"
	if framed { // Home Assistant shows the console in a frame, under its own address
		ancestors = "'self'"
	} else {
		head.Set("X-Frame-Options", "DENY")
	}
	head.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "+
		"form-action 'self'; base-uri 'none'; frame-ancestors "+ancestors)
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Referrer-Policy", "same-origin")
	head.Set("Cross-Origin-Opener-Policy", "same-origin")
	head.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// trusts reports whether a request comes from the address that has checked who asks: Home Assistant's ingress.
func (h *handler) trusts(r *http.Request) bool {
	return h.Ingress.IsValid() && netlimit.AddrOf(remote(r.RemoteAddr)) == h.Ingress
}

func loopback(r *http.Request) bool { return netlimit.AddrOf(remote(r.RemoteAddr)).IsLoopback() }

// A passwordCheck is the outcome of the check of a password.
type passwordCheck int

// The outcomes.
const (
	passwordRight passwordCheck = iota
	passwordWrong
	passwordUnchecked // too many wrong ones came from the address
)

// check checks a password. Wrong ones are slowed down, by address, and logged.
func (h *handler) check(r *http.Request, given string) passwordCheck {
	from := remote(r.RemoteAddr)
	if err := h.guesses.Wait(r.Context(), from); err != nil {
		h.limited.Log(slog.LevelWarn, "guesses", "too many wrong passwords at the console; they are slowed down", "from", r.RemoteAddr)
		return passwordUnchecked
	}
	if got := sha256.Sum256([]byte(given)); subtle.ConstantTimeCompare(got[:], h.password[:]) == 1 {
		return passwordRight
	}
	h.guesses.Wrong(from)
	h.limited.Log(slog.LevelWarn, "password", "wrong password at the console", "from", r.RemoteAddr)
	return passwordWrong
}

// allowed reports whether a request may read: it belongs to a session or has the password, where one is needed. It
// answers a request that may not, and one for which there is no connection left.
func (h *handler) allowed(w http.ResponseWriter, r *http.Request) bool {
	if h.Password != "" && !h.trusts(r) && !h.sessions.valid(r) && !h.basic(w, r) {
		return false
	}
	if c, ok := r.Context().Value(connKey{}).(*netlimit.Conn); ok {
		if !c.Admit() {
			w.Header().Set("Retry-After", retryAfter)
			answer(w, http.StatusServiceUnavailable, "busy", "too many connections")
			return false
		}
		if c.Crowded() {
			w.Header().Set("Connection", "close")
		}
	}
	return true
}

// basic reports whether a request has the password, as programs send it, and answers it where it has not: a page
// leads to the login, everything else is challenged.
func (h *handler) basic(w http.ResponseWriter, r *http.Request) bool {
	_, given, tried := r.BasicAuth()
	if tried {
		switch h.check(r, given) {
		case passwordRight:
			return true
		case passwordUnchecked:
			w.Header().Set("Retry-After", retryAfter)
			answer(w, http.StatusTooManyRequests, "too many requests", netlimit.ErrGuesses.Error())
			return false
		case passwordWrong:
		}
	}
	if !tried && isPage(r) {
		w.Header().Set("Cache-Control", "no-store")
		redirect(w, strings.Repeat("../", strings.Count(r.URL.Path, "/")-1)+"login?next="+url.QueryEscape(strings.TrimPrefix((&url.URL{Path: r.URL.Path, RawQuery: r.URL.RawQuery}).String(), "/")))
		return false
	}
	if r.Header.Get("Sec-Fetch-Dest") != "empty" && r.Header.Get("X-Requested-With") == "" { // scripts of the pages: no browser asks for a password then
		w.Header().Set("WWW-Authenticate", `Basic realm="snom2mqtt", charset="UTF-8"`)
	}
	answer(w, http.StatusUnauthorized, "unauthorized", "expected the console's password, with any user name")
	return false
}

// isPage reports whether a browser asks for a page, and not a program or a script.
func isPage(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// redirect sends the browser to a relative address: absolute ones would lose the path prefix of a proxy.
func redirect(w http.ResponseWriter, location string) {
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusSeeOther)
}

// localName reports whether a Host header names this machine in a way that no name server has a say in.
func localName(host string) bool {
	if host == "" {
		return true // HTTP/1.0, which browsers do not speak
	}
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	if strings.EqualFold(strings.TrimSuffix(name, "."), "localhost") {
		return true
	}
	_, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]"))
	return err == nil
}

// remote is the address that a request came from.
func remote(addr string) net.Addr {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil
	}
	return net.TCPAddrFromAddrPort(ap)
}
