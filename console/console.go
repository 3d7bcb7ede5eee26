// Package console serves what people and watchdogs ask the program for over HTTP: whether it is
// alive, whether it is ready, and what it counts.
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
	"time"
)

// Config is what a console is made of.
type Config struct {
	// Ready says whether commands are taken and answered just now, and if not, why. It must not
	// block.
	Ready func() (ok bool, reason string)
	// Alive says what does not move any more and wants a restart; nil: all is well. It must not block.
	Alive func() error
	// Metrics answers Prometheus; nil: nothing is counted.
	Metrics http.Handler
	// Password is wanted for the metrics, with any user name; empty: none is.
	Password string
	Log      *slog.Logger
}

// Limits of a request; there is nothing to upload.
const (
	readTimeout   = 5 * time.Second
	writeTimeout  = 10 * time.Second
	idleTimeout   = time.Minute
	maxHeader     = 8 << 10
	closePatience = 2 * time.Second
)

// Handler returns the pages of the console:
//
//	GET /healthz  200 while the program does its work, else 503; for a watchdog that would restart it
//	GET /readyz   200 while commands are taken and answered, else 503 with the reason
//	GET /metrics  what Prometheus wants to know
//
// The first two want no password: they tell nothing, and those who ask seldom have one.
func Handler(c Config) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if err := c.Alive(); err != nil {
			answer(w, http.StatusServiceUnavailable, "stuck", err.Error())
			return
		}
		answer(w, http.StatusOK, "ok", "")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if ok, reason := c.Ready(); !ok {
			answer(w, http.StatusServiceUnavailable, "not ready", reason)
			return
		}
		answer(w, http.StatusOK, "ok", "")
	})
	if c.Metrics != nil {
		mux.Handle("GET /metrics", withPassword(c.Password, c.Metrics))
	}
	return mux
}

// withPassword lets those pass who know the password; empty: everybody.
func withPassword(password string, h http.Handler) http.Handler {
	if password == "" {
		return h
	}
	want := sha256.Sum256([]byte(password))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, given, _ := r.BasicAuth()
		if got := sha256.Sum256([]byte(given)); subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="snom2mqtt", charset="UTF-8"`)
			answer(w, http.StatusUnauthorized, "unauthorized", "want the console's password, with any user name")
			return
		}
		h.ServeHTTP(w, r)
	})
}

// answer writes a small JSON document.
func answer(w http.ResponseWriter, status int, state, reason string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// A reader that went away is no fault of ours.
	_ = json.NewEncoder(w).Encode(struct {
		Status string `json:"status"`
		Reason string `json:"reason,omitempty"`
	}{state, reason})
}

// Serve answers on l until ctx ends, and closes l.
func Serve(ctx context.Context, l net.Listener, c Config) error {
	server := &http.Server{
		Handler: Handler(c), ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(c.Log.Handler(), slog.LevelDebug),
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), closePatience)
		defer cancel()
		if server.Shutdown(patience) != nil {
			_ = server.Close() // it was asked politely before
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
