package fetch

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestGet(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the login was sent to another server")
		}
		_, _ = w.Write([]byte("other"))
	}))
	t.Cleanup(other.Close)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/login":
			if user, password, _ := r.BasicAuth(); user != "view" || password != "s3cret" {
				w.WriteHeader(http.StatusUnauthorized)
			}
		case "/long":
			_, _ = w.Write(make([]byte, 101))
		case "/fits":
			w.Header().Set("Content-Type", "image/png")
			_, _ = w.Write(make([]byte, 100))
		case "/slow":
			select {
			case <-r.Context().Done():
			case <-time.After(10 * time.Second):
			}
		case "/away":
			http.Redirect(w, r, other.URL+"/x", http.StatusFound)
		case "/file":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	away := strings.TrimPrefix(other.URL, "http://")
	deny := func(h, _ string) bool { return h == "127.0.0.1" }
	for name, c := range map[string]struct {
		rules   Rules
		path    string
		login   string
		trusted bool
		host    error  // expected
		says    string // expected in the error
		bytes   int    // expected
	}{
		"allowed by address":      {rules: Rules{Allow: []string{"127.0.0.1"}}, path: "/fits", bytes: 100},
		"allowed by port":         {rules: Rules{Allow: []string{host}}, path: "/fits", bytes: 100},
		"allowed by network":      {rules: Rules{Allow: []string{"127.0.0.0/8"}}, path: "/fits", bytes: 100},
		"all allowed":             {rules: Rules{Allow: []string{Any}}, path: "/fits", bytes: 100},
		"trusted":                 {trusted: true, path: "/fits", bytes: 100},
		"none allowed":            {path: "/fits", host: ErrHost},
		"another port":            {rules: Rules{Allow: []string{"127.0.0.1:1"}}, path: "/fits", host: ErrHost},
		"another network":         {rules: Rules{Allow: []string{"192.0.2.0/24"}}, path: "/fits", host: ErrHost},
		"denied":                  {rules: Rules{Allow: []string{Any}, Deny: deny}, path: "/fits", host: ErrHost},
		"denied and trusted":      {rules: Rules{Deny: deny}, trusted: true, path: "/fits", host: ErrHost},
		"too long":                {rules: Rules{Allow: []string{Any}}, path: "/long", host: ErrTooLong},
		"too slow":                {rules: Rules{Allow: []string{Any}}, path: "/slow", says: "no answer in time"},
		"missing":                 {rules: Rules{Allow: []string{Any}}, path: "/none?secret=1", says: "HTTP 404"},
		"redirect to another":     {rules: Rules{Allow: []string{host}}, path: "/away", host: ErrHost},
		"redirect that is fine":   {rules: Rules{Allow: []string{host, away}}, path: "/away", login: "view:s3cret@", bytes: 5},
		"redirect of a trusted":   {trusted: true, path: "/away", host: ErrHost},
		"redirect to a file":      {rules: Rules{Allow: []string{Any}}, path: "/file", host: ErrHost},
		"redirect without an end": {rules: Rules{Allow: []string{Any}}, path: "/loop", says: "redirects"},
		"login":                   {rules: Rules{Allow: []string{Any}}, path: "/login", login: "view:s3cret@"},
		"wrong login":             {rules: Rules{Allow: []string{Any}}, path: "/login", login: "view:wr0ng@", says: "HTTP 401"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wait := 5 * time.Second
			if c.path == "/slow" {
				wait = 50 * time.Millisecond
			}
			f, err := fetched(t, c.rules, Request{URL: "http://" + c.login + host + c.path, Trusted: c.trusted, Bytes: 100, Time: wait})
			switch {
			case (c.host != nil || c.says != "") && err == nil:
				t.Fatalf("got %d bytes, expected an error", len(f.Body))
			case c.host != nil && !errors.Is(err, c.host):
				t.Fatalf("%v, expected %v", err, c.host)
			case c.says != "" && !strings.Contains(err.Error(), c.says):
				t.Fatalf("%v, expected %q", err, c.says)
			case c.host == nil && c.says == "" && (err != nil || len(f.Body) != c.bytes):
				t.Fatalf("%d bytes, %v; expected %d bytes", len(f.Body), err, c.bytes)
			}
			if err != nil && (strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "wr0ng") || strings.Contains(err.Error(), "secret=1")) {
				t.Errorf("the error shows what is secret: %v", err)
			}
		})
	}
}

// TestANameInANetwork looks a name up only where a network may allow it, and decides by its address.
func TestANameInANetwork(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("x")) }))
	defer server.Close()
	address := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	request := Request{URL: address, Bytes: 10, Time: 5 * time.Second}
	if _, err := fetched(t, Rules{Allow: []string{"127.0.0.0/8", "::1/128"}}, request); err != nil {
		t.Error(err)
	}
	if _, err := fetched(t, Rules{Allow: []string{"192.0.2.0/24"}}, request); !errors.Is(err, ErrHost) {
		t.Errorf("%v, expected ErrHost", err)
	}
	if _, err := fetched(t, Rules{Allow: []string{"localhost"}, Deny: func(h, _ string) bool { return h == "127.0.0.1" || h == "::1" }}, request); !errors.Is(err, ErrHost) {
		t.Errorf("a name of a denied address: %v, expected ErrHost", err)
	}
}

func TestOtherURLs(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "x", "file:///etc/passwd", "ftp://h/", "http:", "http:///x", "http:h", "gopher://h", "://", "http://h\n/"} {
		if _, err := fetched(t, Rules{Allow: []string{Any}}, Request{URL: text, Bytes: 1, Time: time.Second}); err == nil {
			t.Errorf("%q: expected an error", text)
		}
	}
}

func TestCheckEntry(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"*", "camera", "camera.example:8080", "192.0.2.1", "192.0.2.0/24", "2001:db8::1", "[2001:db8::1]:80", "2001:db8::/32"} {
		if err := CheckEntry(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "http://camera", "camera/", "192.0.2.0/99", "a b", "user@camera", "*.example", "camera:port"} {
		if err := CheckEntry(bad); err == nil {
			t.Errorf("%q: expected an error", bad)
		}
	}
}

// fetched is a file as one that asks for it alone gets it.
func fetched(t *testing.T, rules Rules, r Request) (File, error) {
	t.Helper()
	s := Shared{Rules: rules}
	p := s.Get(t.Context(), r)
	defer p.Release()
	return p.File()
}
