package fetch

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// anyFile is a request for a file of the tests.
func anyFile(url string) Request { return Request{URL: url, Bytes: 1 << 20, Time: time.Minute} }

// TestOneRequestForMany: a picture for a group of phones is fetched once.
func TestOneRequestForMany(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	answer := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		<-answer
		_, _ = w.Write(bytes.Repeat([]byte("x"), 3*smallFile))
	}))
	t.Cleanup(server.Close)
	s := &Shared{Rules: Rules{Allow: []string{Any}}}
	var all []Pending
	for range 50 {
		all = append(all, s.Get(t.Context(), anyFile(server.URL+"/a")))
	}
	all[0].Release() // the others need it
	close(answer)
	first, err := all[1].File()
	if err != nil || len(first.Body) != 3*smallFile {
		t.Fatalf("%d bytes, %v", len(first.Body), err)
	}
	for _, p := range all[1:] {
		if f, err := p.File(); err != nil || &f.Body[0] != &first.Body[0] {
			t.Errorf("%v, expected the same file", err)
		}
		p.Release()
	}
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests, expected one", n)
	}
	again := s.Get(t.Context(), anyFile(server.URL+"/a"))
	if _, err := again.File(); err != nil || requests.Load() != 2 {
		t.Errorf("%v, %d requests, expected the file to be fetched anew", err, requests.Load())
	}
	again.Release()
	if len(s.under) != 0 || len(s.large) != 0 {
		t.Errorf("%d requests and %d large files left", len(s.under), len(s.large))
	}
}

// TestLargeFilesAreBounded: pictures of one large file for each phone are not in memory all at once, and small ones do not wait.
func TestLargeFilesAreBounded(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		size := 2 * smallFile
		if r.URL.Path == "/small" {
			size = smallFile / 2
		}
		_, _ = w.Write(make([]byte, size))
	}))
	t.Cleanup(server.Close)
	s := &Shared{Rules: Rules{Allow: []string{Any}}}
	var held []Pending
	for i := range largeMost {
		p := s.Get(t.Context(), anyFile(server.URL+"/"+string(rune('a'+i))))
		if _, err := p.File(); err != nil {
			t.Fatal(err)
		}
		held = append(held, p)
	}
	next, small := s.Get(t.Context(), anyFile(server.URL+"/next")), s.Get(t.Context(), anyFile(server.URL+"/small"))
	if f, err := small.File(); err != nil || len(f.Body) != smallFile/2 {
		t.Errorf("%d bytes, %v, expected the small file", len(f.Body), err)
	}
	small.Release()
	select {
	case <-next.Done():
		t.Errorf("a large file came while %d are in memory", largeMost)
	default:
	}
	held[0].Release()
	if f, err := next.File(); err != nil || len(f.Body) != 2*smallFile {
		t.Errorf("%d bytes, %v, expected the file that waited", len(f.Body), err)
	}
	for _, p := range append(held[1:], next) {
		p.Release()
	}
	if len(s.large) != 0 {
		t.Errorf("%d large files left", len(s.large))
	}
	_, err := get(t.Context(), s.Rules, anyFile(server.URL+"/a"), func(context.Context) error { return ErrBusy })
	if !errors.Is(err, ErrBusy) {
		t.Errorf("%v, expected that too many are fetched", err)
	}
}

// TestTheLastReleaseEndsTheRequest: a server that does not answer is not waited for when no phone needs its picture.
func TestTheLastReleaseEndsTheRequest(t *testing.T) {
	t.Parallel()
	began, ended := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
		close(ended)
	}))
	t.Cleanup(server.Close)
	s := &Shared{Rules: Rules{Allow: []string{Any}}}
	a, b := s.Get(t.Context(), anyFile(server.URL)), s.Get(t.Context(), anyFile(server.URL))
	<-began
	a.Release()
	select {
	case <-b.Done():
		t.Error("the request ended while the file is needed")
	default:
	}
	b.Release()
	<-ended
	if _, err := b.File(); err == nil {
		t.Error("expected no file")
	}
}
