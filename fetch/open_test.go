package fetch

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestOpen: a stream is read while it comes, by the rules of [Shared.Get]; an end that is too early is an error, and the end of the
// context ends what is read.
func TestOpen(t *testing.T) {
	t.Parallel()
	more := make(chan struct{})
	phone := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a denied host was asked") }))
	t.Cleanup(phone.Close)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/whole":
			w.Header().Set("Content-Type", "audio/wav")
			w.Header().Set("Content-Length", "6")
			_, _ = w.Write([]byte("abcdef"))
		case "/login":
			if user, password, _ := r.BasicAuth(); user != "view" || password != "s3cret" {
				w.WriteHeader(http.StatusUnauthorized)
			}
		case "/pieces":
			_, _ = w.Write([]byte("abc"))
			w.(http.Flusher).Flush()
			<-more
			_, _ = w.Write([]byte("def"))
		case "/cut":
			w.Header().Set("Content-Length", "600")
			_, _ = w.Write([]byte("abc"))
		case "/endless":
			for {
				if _, err := w.Write(make([]byte, 32<<10)); err != nil {
					return
				}
			}
		case "/silent":
			<-r.Context().Done()
		case "/phone":
			http.Redirect(w, r, phone.URL, http.StatusFound)
		case "/file":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		default:
			w.WriteHeader(http.StatusGone)
		}
	}))
	t.Cleanup(server.Close)
	_, port, _ := strings.Cut(strings.TrimPrefix(phone.URL, "http://"), ":")
	rules := Rules{Allow: []string{"127.0.0.1"}, Deny: func(_, p string) bool { return p == port }}
	open := func(path string) (Stream, error) {
		return Open(t.Context(), rules, Request{URL: server.URL + path, Username: "view", Password: "s3cret"})
	}

	whole, err := open("/whole")
	if err != nil || whole.Size != 6 || whole.Type != "audio/wav" {
		t.Fatalf("%+v, %v", whole, err)
	}
	if b, err := io.ReadAll(whole); string(b) != "abcdef" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	_ = whole.Close()

	pieces, err := open("/pieces")
	if err != nil || pieces.Size != -1 {
		t.Fatalf("%+v, %v", pieces, err)
	}
	first := make([]byte, 3)
	if _, err := io.ReadFull(pieces, first); string(first) != "abc" || err != nil {
		t.Errorf("before the rest is there: %q, %v", first, err)
	}
	close(more)
	if b, err := io.ReadAll(pieces); string(b) != "def" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	_ = pieces.Close()

	cut, err := open("/cut")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(cut); string(b) != "abc" || err == nil {
		t.Errorf("a file that is cut: %q, %v", b, err)
	}
	_ = cut.Close()

	login, err := open("/login")
	if err != nil {
		t.Fatal(err)
	}
	_ = login.Close()

	var status StatusError
	if _, err := open("/none?token=s3cret"); !errors.As(err, &status) || status.Status != http.StatusGone || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("a file that is gone: %v", err)
	}
	for path, expected := range map[string]error{"/phone": ErrHost, "/file": ErrHost, "/loop": nil} {
		if s, err := open(path); err == nil || expected != nil && !errors.Is(err, expected) {
			t.Errorf("%s: %+v, %v, expected %v", path, s, err, expected)
		}
	}
	for _, url := range []string{"", "ftp://127.0.0.1/a", "http:a", "http://192.0.2.1/a", phone.URL} {
		if s, err := Open(t.Context(), rules, Request{URL: url}); err == nil {
			t.Errorf("%q: %+v", url, s)
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	endless, err := Open(ctx, rules, Request{URL: server.URL + "/endless"})
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := io.Copy(io.Discard, endless); !errors.Is(err, context.Canceled) {
		t.Errorf("an endless file ends with %v", err)
	}
	_ = endless.Close()
	short, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if s, err := Open(short, rules, Request{URL: server.URL + "/silent"}); err == nil {
		t.Errorf("a silent server: %+v", s)
	}
}
