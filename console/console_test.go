package console_test

import (
	"context"
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
	tests := []struct {
		name, method, path string
		ready              func() (bool, string)
		status             int
		body               string
	}{
		{"alive", "GET", "/healthz", away, 200, `"ok"`},
		{"ready", "GET", "/readyz", ready, 200, `"ok"`},
		{"not ready", "GET", "/readyz", away, 503, "waiting for the broker"},
		{"only read", "POST", "/healthz", ready, 405, ""},
		{"nothing else", "GET", "/etc/passwd", ready, 404, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			console.Handler(console.Config{Ready: tt.ready, Log: slog.New(slog.DiscardHandler)}).
				ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, nil))
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.body) {
				t.Errorf("%s %s = %d %q, want %d with %q", tt.method, tt.path, w.Code, w.Body, tt.status, tt.body)
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
