// Package console serves health checks, readiness and metrics over HTTP.
package console

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/snom2mqtt/snom2mqtt/internal/lograte"
	"github.com/snom2mqtt/snom2mqtt/internal/netlimit"
)

// Config is what a console is made of.
type Config struct {
	// Ready reports whether commands are taken and answered now. Where they are not, reason says why in words that any
	// client may read, and detail adds what only the owner of the password may: addresses, names. It must not block.
	Ready func() (ok bool, reason, detail string)
	// Alive returns what makes no progress any more and needs a restart; nil: all is well. It must not block.
	Alive func() error
	// Metrics answers Prometheus; nil: there are none.
	Metrics http.Handler
	// Password is required for the metrics, with any user name; empty: none is. A console without one must listen on a
	// loopback address only.
	Password string
	Log      *slog.Logger
}

// Limits of a request; there is nothing to upload.
const (
	headerTimeout = 3 * time.Second
	readTimeout   = 5 * time.Second
	writeTimeout  = 10 * time.Second
	idleTimeout   = time.Minute
	maxHeader     = 8 << 10
	closeTimeout  = time.Second
	retryAfter    = "5" // seconds, after too many wrong passwords
)

// Limits returns the limits of a console's connections.
func Limits() netlimit.Limits { return netlimit.Limits{Admitted: 32, FirstRequest: readTimeout} }

// A handler answers the requests of a console.
type handler struct {
	Config
	guesses  netlimit.Guesses
	limited  *lograte.Limiter
	password [sha256.Size]byte
}

// Handler returns the pages of the console:
//
//	GET /healthz  200 while the bridge makes progress, else 503; for a watchdog that would restart it
//	GET /readyz   200 while commands are taken and answered, else 503 with the reason
//	GET /metrics  metrics for Prometheus
//
// The first two require no password: they contain no names and no addresses, and the programs that ask for them rarely
// have one. With the password, the reason is complete.
func Handler(c Config) http.Handler {
	h := &handler{Config: c, limited: lograte.New(c.Log), password: sha256.Sum256([]byte(c.Password))}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", h.health)
	mux.HandleFunc("GET /readyz", h.ready)
	if c.Metrics != nil {
		mux.HandleFunc("GET /metrics", h.metrics)
	}
	if c.Password == "" {
		return h.onlyLocalNames(mux)
	}
	return mux
}

func (h *handler) health(w http.ResponseWriter, _ *http.Request) {
	if err := h.Alive(); err != nil {
		answer(w, http.StatusServiceUnavailable, "stalled", err.Error())
		return
	}
	answer(w, http.StatusOK, "ok", "")
}

func (h *handler) ready(w http.ResponseWriter, r *http.Request) {
	ok, reason, detail := h.Ready()
	if ok {
		answer(w, http.StatusOK, "ok", "")
		return
	}
	if _, _, given := r.BasicAuth(); given && h.Password != "" && detail != "" {
		if !h.allowed(w, r) {
			return
		}
		reason += ": " + detail
	}
	answer(w, http.StatusServiceUnavailable, "not ready", reason)
}

func (h *handler) metrics(w http.ResponseWriter, r *http.Request) {
	if h.Password != "" && !h.allowed(w, r) {
		return
	}
	if c, ok := r.Context().Value(connKey{}).(*netlimit.Conn); ok && !c.Admit() {
		answer(w, http.StatusServiceUnavailable, "busy", "too many connections")
		return
	}
	h.Metrics.ServeHTTP(w, r)
}

// allowed reports whether a request has the password, and answers it where it has not. Wrong passwords are slowed down.
func (h *handler) allowed(w http.ResponseWriter, r *http.Request) bool {
	from := remote(r.RemoteAddr)
	_, given, tried := r.BasicAuth()
	if tried {
		if err := h.guesses.Wait(r.Context(), from); err != nil {
			h.limited.Log(slog.LevelWarn, "guesses", "too many wrong passwords at the console; they are slowed down", "from", r.RemoteAddr)
			w.Header().Set("Retry-After", retryAfter)
			answer(w, http.StatusTooManyRequests, "too many requests", err.Error())
			return false
		}
	}
	if got := sha256.Sum256([]byte(given)); subtle.ConstantTimeCompare(got[:], h.password[:]) == 1 {
		return true
	}
	if tried {
		h.guesses.Wrong(from)
		h.limited.Log(slog.LevelWarn, "password", "wrong password at the console", "from", r.RemoteAddr)
	}
	w.Header().Set("WWW-Authenticate", `Basic realm="snom2mqtt", charset="UTF-8"`)
	answer(w, http.StatusUnauthorized, "unauthorized", "expected the console's password, with any user name")
	return false
}

// onlyLocalNames refuses requests for a host name other than localhost. A web page that a browser on this machine shows
// could otherwise read the console, by a name of its own that it has resolve to this machine (DNS rebinding).
func (h *handler) onlyLocalNames(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !localName(r.Host) {
			answer(w, http.StatusMisdirectedRequest, "misdirected",
				"without SNOM2MQTT_CONSOLE_PASSWORD the console answers to localhost and IP addresses only")
			return
		}
		next.ServeHTTP(w, r)
	})
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

// answer writes a small JSON document and ends the connection: what asks for one asks seldom.
func answer(w http.ResponseWriter, status int, state, reason string) {
	w.Header().Set("Connection", "close")
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// A client that has gone is no fault of ours.
	_ = json.NewEncoder(w).Encode(struct {
		Status string `json:"status"`
		Reason string `json:"reason,omitempty"`
	}{state, reason})
}

// connKey is the key of a request's *[netlimit.Conn] in its context.
type connKey struct{}

// Serve answers on l until ctx ends, and closes l. The connections of a *[netlimit.Listener] count as admitted once they
// have shown the password, or asked for metrics where none is required.
func Serve(ctx context.Context, l net.Listener, c Config) error {
	server := &http.Server{
		Handler: Handler(c), ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(c.Log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, nc net.Conn) context.Context { return context.WithValue(ctx, connKey{}, nc) },
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		if server.Shutdown(closing) != nil {
			_ = server.Close() // requests under way are cut off
		}
	})
	err := server.Serve(l)
	if stop() {
		return err // it failed by itself
	}
	<-stopped
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
