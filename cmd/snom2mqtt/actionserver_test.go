package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ set, at, phone, container, want, fault string }{
		{set: "http://bridge.example/phones", at: ":8090", phone: "http://192.0.2.10", want: "http://bridge.example/phones"},
		{at: "192.0.2.5:8090", phone: "http://192.0.2.10", want: "http://192.0.2.5:8090"},
		{at: "[2001:db8::5]:8090", phone: "https://[2001:db8::10]", want: "http://[2001:db8::5]:8090"},
		{at: "bridge.example:8090", phone: "http://192.0.2.10", want: "http://bridge.example:8090"},
		{at: ":8090", phone: "http://127.0.0.1:8100", want: "http://127.0.0.1:8090"},
		{at: "0.0.0.0:8090", phone: "http://127.0.0.1", want: "http://127.0.0.1:8090"},
		{at: "[::]:8090", phone: "http://127.0.0.1", want: "http://127.0.0.1:8090"},
		{at: "127.0.0.1:8090", phone: "http://localhost:1", want: "http://127.0.0.1:8090"},
		{at: "127.0.0.1:8090", phone: "http://192.0.2.10", fault: "for a phone, 127.0.0.1 is the phone itself"},
		{set: "http://localhost:8090", at: ":8090", phone: "http://192.0.2.10", fault: "for a phone, localhost is the phone itself"},
		{at: "192.0.2.5:0", phone: "http://192.0.2.10", fault: "leaves the port open"},
		{at: ":8090", phone: "http://phone.invalid", fault: "has no route to the phone"},
		{at: ":8090", phone: "http://192.0.2.10", container: "/.dockerenv", fault: "SNOM2MQTT_PHONE_BASE_URL: not set, and this is a container (/.dockerenv)"},
		{at: "0.0.0.0:8090", phone: "http://phone.example", container: "/run/.containerenv", fault: "such as http://192.0.2.5:8090"},
		{at: "[::]:8090", phone: "http://[2001:db8::10]", container: "x", fault: "SNOM2MQTT_PHONE_BASE_URL"},
		{set: "http://192.0.2.5:8090", at: ":8090", phone: "http://192.0.2.10", container: "/.dockerenv", want: "http://192.0.2.5:8090"},
		{at: "192.0.2.5:8090", phone: "http://192.0.2.10", container: "/.dockerenv", want: "http://192.0.2.5:8090"},
		{at: ":8090", phone: "http://127.0.0.1:8100", container: "/.dockerenv", want: "http://127.0.0.1:8090"},
	} {
		got, err := baseURL(t.Context(), tt.set, tt.at, tt.phone, tt.container)
		if got != tt.want || (err != nil) != (tt.fault != "") || !strings.Contains(fmt.Sprint(err), tt.fault) {
			t.Errorf("baseURL(%q, %q, %q, %q) = %q, %v, expected %q %s", tt.set, tt.at, tt.phone, tt.container, got, err, tt.want, tt.fault)
		}
	}
}

// A phone that joins by a reload may call from then on, with a token of its own; one that went may not.
func TestReloadChangesWhoMayCall(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "phones.yml")
	write := func(name string) {
		t.Helper()
		if err := os.WriteFile(file, []byte("phones:\n  "+name+": {url: http://127.0.0.1:1}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("kitchen")
	p := &program{environ: []string{
		"SNOM2MQTT_BROKER_LISTEN=127.0.0.1:0", "SNOM2MQTT_CONSOLE_LISTEN=off", "SNOM2MQTT_PHONE_LISTEN=127.0.0.1:0",
		"SNOM2MQTT_PHONE_TOKEN_SECRET=0123456789abcdef", "SNOM2MQTT_PHONES_FILE=" + file,
	}}
	settings, phones, err := p.load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s, err := newService(settings, phones, p.drivers, &slog.LevelVar{}, newSpooler(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx, nil) }()

	call := func(url string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	urls, err := s.actions.actionURLs(t.Context(), "kitchen")
	if err != nil {
		t.Fatal(err)
	}
	kitchen := strings.ReplaceAll(urls[0].URL, "$", "")
	if got := call(kitchen); got != http.StatusOK {
		t.Errorf("the kitchen calls: %d, want 200", got)
	}
	write("hall")
	if err := s.reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	urls, err = s.actions.actionURLs(t.Context(), "hall")
	if err != nil {
		t.Fatal(err)
	}
	hall := strings.ReplaceAll(urls[0].URL, "$", "")
	for url, want := range map[string]int{
		hall: http.StatusOK, kitchen: http.StatusNotFound, strings.Replace(kitchen, "/kitchen/", "/hall/", 1): http.StatusNotFound,
	} {
		if got := call(url); got != want {
			t.Errorf("%s: %d, want %d", url, got, want)
		}
	}
	if _, err := s.actions.actionURLs(t.Context(), "kitchen"); err == nil {
		t.Error("action URLs of a phone that went: no error")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("the bridge ended with %v", err)
	}
}
