package console_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/console"
)

func TestPages(t *testing.T) {
	t.Parallel()
	ready := func() (bool, string) { return true, "" }
	away := func() (bool, string) { return false, "waiting for the broker" }
	moves := func() error { return nil }
	stuck := func() error { return errors.New("nothing moves at the phone desk") }
	counted := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "counted") })
	well := console.Config{Ready: ready, Alive: moves, Metrics: counted}
	locked := console.Config{Ready: ready, Alive: moves, Metrics: counted, Password: "secret"}
	tests := []struct {
		name, method, path string
		config             console.Config
		password           string
		status             int
		body               string
	}{
		{"alive", "GET", "/healthz", console.Config{Ready: away, Alive: moves}, "", 200, `"ok"`},
		{"stuck", "GET", "/healthz", console.Config{Ready: ready, Alive: stuck}, "", 503, "nothing moves"},
		{"ready", "GET", "/readyz", well, "", 200, `"ok"`},
		{"not ready", "GET", "/readyz", console.Config{Ready: away, Alive: moves}, "", 503, "waiting for the broker"},
		{"metrics", "GET", "/metrics", well, "", 200, "counted"},
		{"metrics with a password", "GET", "/metrics", locked, "secret", 200, "counted"},
		{"metrics without a password", "GET", "/metrics", locked, "", 401, "want the console's password"},
		{"metrics with a wrong password", "GET", "/metrics", locked, "Secret", 401, "want the console's password"},
		{"alive without a password", "GET", "/healthz", locked, "", 200, `"ok"`},
		{"ready without a password", "GET", "/readyz", locked, "", 200, `"ok"`},
		{"no metrics", "GET", "/metrics", console.Config{Ready: ready, Alive: moves}, "", 404, ""},
		{"only read", "POST", "/healthz", well, "", 405, ""},
		{"nothing else", "GET", "/etc/passwd", well, "", 404, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.config.Log = slog.New(slog.DiscardHandler)
			w, r := httptest.NewRecorder(), httptest.NewRequest(tt.method, tt.path, nil)
			if tt.password != "" {
				r.SetBasicAuth("prometheus", tt.password)
			}
			console.Handler(tt.config).ServeHTTP(w, r)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.body) {
				t.Errorf("%s %s = %d %q, want %d with %q", tt.method, tt.path, w.Code, w.Body, tt.status, tt.body)
			}
			if challenged := w.Header().Get("WWW-Authenticate") != ""; challenged != (tt.status == 401) {
				t.Errorf("%s %s = %d, challenged: %v", tt.method, tt.path, w.Code, challenged)
			}
		})
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- console.Serve(ctx, l, console.Config{
			Ready: func() (bool, string) { return true, "" }, Log: slog.New(slog.DiscardHandler),
		})
	}()
	resp, err := http.Get("http://" + l.Addr().String() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("GET /readyz = %d %q, %v; want 200", resp.StatusCode, body, err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
}

func TestServeTellsAFault(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := console.Serve(t.Context(), l, console.Config{Log: slog.New(slog.DiscardHandler)}); err == nil {
		t.Error("Serve on a closed listener = nil, want an error")
	}
}
