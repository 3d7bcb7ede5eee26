// Package console shows the bridge to people in a browser, and serves its API, health checks, readiness and metrics over HTTP.
package console

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/internal/lograte"
	"github.com/snom2mqtt/snom2mqtt/internal/netlimit"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
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
	// Password is required for everything but health checks, by a session of the login page, or as a program sends it,
	// with any user name; empty: none is. A console without one must listen on a loopback address only, unless Ingress is
	// set.
	Password string
	// Ingress is the address of a proxy that has checked who asks: Home Assistant's. Then no other address but this
	// machine's own is answered.
	Ingress netip.Addr
	// ReadOnly says that the console sends no command and no request.
	ReadOnly bool
	Log      *slog.Logger

	// Bridge is what the pages show, with the topics of Tree; nil: there are no pages.
	Bridge *bridge.Bridge
	Tree   mqtt.Tree
	About  About
	// BrokerFlags are the flags by which mosquitto_pub reaches the broker; no password.
	BrokerFlags string
	// Journal has the last lines of the log; nil: they are not shown.
	Journal *Journal
	// Faults returns what is wrong with the settings; nil: nothing is. It must not block.
	Faults func() []string
	// Report writes a report for a bug report, as a zip file; nil: there is none.
	Report func(ctx context.Context, w io.Writer) error
}

// About is what the program is.
type About struct {
	Version, Revision, Go string
	Started               time.Time
	Features              []string
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
func Limits() netlimit.Limits { return netlimit.Limits{Admitted: 48, FirstRequest: readTimeout} }

// A handler answers the requests of a console.
type handler struct {
	Config
	guesses  netlimit.Guesses
	sessions sessions
	readers  readers
	hubs     hubs
	limited  *lograte.Limiter
	password [sha256.Size]byte
	stopped  <-chan struct{} // closed when the console ends; nil: never
}

// Handler returns what the console answers. Beside the pages and the API, which api/openapi.json describes:
//
//	GET /healthz  200 while the bridge makes progress, else 503; for a watchdog that would restart it
//	GET /readyz   200 while commands are taken and answered, else 503 with the reason
//	GET /metrics  metrics for Prometheus
//
// The first two require no password: they contain no names and no addresses, and the programs that ask for them rarely
// have one. With the password, the reason is complete.
func Handler(c Config) http.Handler { return newHandler(c, nil) }

func newHandler(c Config, stopped <-chan struct{}) http.Handler {
	h := &handler{Config: c, limited: lograte.New(c.Log), password: sha256.Sum256([]byte(c.Password)), stopped: stopped}
	if h.Journal == nil {
		h.Journal = &Journal{}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", h.health)
	mux.HandleFunc("GET /readyz", h.ready)
	if c.Metrics != nil {
		mux.HandleFunc("GET /metrics", h.metrics)
	}
	if c.Bridge != nil {
		for _, one := range routes() {
			h.mount(mux, one)
		}
	}
	return h.guard(mux)
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
		if !h.basic(w, r) {
			return
		}
		reason += ": " + detail
	}
	answer(w, http.StatusServiceUnavailable, "not ready", reason)
}

func (h *handler) metrics(w http.ResponseWriter, r *http.Request) {
	if h.allowed(w, r) {
		h.Metrics.ServeHTTP(w, r)
	}
}

// answer writes a small JSON document and ends the connection: what asks for one asks seldom.
func answer(w http.ResponseWriter, status int, state, reason string) {
	w.Header().Set("Connection", "close")
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(Fault{state, reason}) // a client that has gone is no fault of the console
}

// A Fault is the answer to a request that failed, and the answer of a health check.
type Fault struct {
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"`
}

// connKey is the key of a request's *[netlimit.Conn] in its context.
type connKey struct{}

// Serve answers on l until ctx ends, and closes l. The connections of a *[netlimit.Listener] count as admitted once they
// have shown the password, or asked for metrics where none is required.
func Serve(ctx context.Context, l net.Listener, c Config) error {
	stopping := make(chan struct{})
	server := &http.Server{
		Handler: newHandler(c, stopping), ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(c.Log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, nc net.Conn) context.Context { return context.WithValue(ctx, connKey{}, nc) },
	}
	server.RegisterOnShutdown(func() { close(stopping) })
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
