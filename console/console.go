// Package console serves what people and watchdogs ask the program for over HTTP: whether it is
// alive, and whether it is ready.
package console

import (
	"context"
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
	Log   *slog.Logger
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
//	GET /healthz  200 while the program runs; for a watchdog that would restart it
//	GET /readyz   200 while commands are taken and answered, else 503 with the reason
func Handler(c Config) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, "ok", "")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if ok, reason := c.Ready(); !ok {
			answer(w, http.StatusServiceUnavailable, "not ready", reason)
			return
		}
		answer(w, http.StatusOK, "ok", "")
	})
	return mux
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
