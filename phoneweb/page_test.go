package phoneweb

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/pages"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// pageServer serves pages of the phone kitchen, and returns the address.
func pageServer(t *testing.T, cfg Config) (*Server, *pages.Store, string) {
	t.Helper()
	store := &pages.Store{}
	cfg.Phone, cfg.Pages, cfg.Event, cfg.Log = kitchen, store, newEvents().take, slog.New(slog.DiscardHandler)
	s := New(cfg)
	l := listen(t)
	serve(t, s, l)
	t.Cleanup(func() { store.EndAll("kitchen"); store.EndAll("hall") })
	return s, store, l.Addr().String()
}

// put puts a page for the phone kitchen, whose parts say their names.
func put(t *testing.T, store *pages.Store, phone string) (id string) {
	t.Helper()
	id = pages.NewID()
	err := store.Put(id, pages.Page{Phone: phone, Answer: func(r pages.Request) pages.Reply {
		if r.Part == "none" {
			return pages.Reply{}
		}
		return pages.Reply{Type: "text/xml", Body: []byte("<x>" + r.Part + "|" + r.Query + "</x>")}
	}})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func fetch(t *testing.T, address, target string) (int, string, http.Header) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: bridge\r\nUser-Agent: snomD735-SIP\r\n\r\n", target); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(body), r.Header
}

func TestAPhoneFetchesItsPage(t *testing.T) {
	t.Parallel()
	s, store, address := pageServer(t, Config{CheckSource: true})
	id := put(t, store, "kitchen")
	base := PagePath("kitchen", "t0ken") + id
	for target, expected := range map[string]string{
		base: "<x>|</x>", base + "/c/1": "<x>c/1|</x>", base + "/in?v=a;b&c": "<x>in|v=a;b&c</x>", base + "/in?v=a b": "<x>in|v=a%20b</x>",
	} {
		status, body, header := fetch(t, address, target)
		if status != http.StatusOK || body != expected || header.Get("Content-Type") != "text/xml" || header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: HTTP %d, %q, %v", target, status, body, header)
		}
	}
	if got := s.Stats(); got.Pages != 4 || got != (Stats{Pages: 4}) {
		t.Errorf("%+v, expected 4 pages and nothing else", got)
	}
}

// TestStrangersChangeCountersOnly asks for pages without what a phone has.
func TestStrangersChangeCountersOnly(t *testing.T) {
	t.Parallel()
	s, store, address := pageServer(t, Config{})
	id := put(t, store, "kitchen")
	asked := 0
	answered := store.Len()
	for _, target := range []string{
		"/page/kitchen/wrong/" + id, "/page/kitchen//" + id, "/page/hall/t0ken/" + id, "/page/hall//" + id,
		"/page/kitchen/t0ken/", "/page/kitchen/t0ken/" + pages.NewID(), "/page/kitchen/t0ken/" + id[:10], "/page/kitchen/t0ken/" + strings.ToLower(id),
		"/page/kitchen/t0ken/" + id + "/none", "/page/kitchen/t0ken", "/page/", "/page/%zz/t0ken/" + id, "/page/kitchen/t0ken/" + id + "%00",
		"//page/kitchen/t0ken/" + id, "/page/kitchen/../kitchen/t0ken/" + id,
	} {
		asked++
		if status, body, _ := fetch(t, address, target); status != http.StatusNotFound || body != "" {
			t.Errorf("%s: HTTP %d %q, expected an empty 404", target, status, body)
		}
	}
	for _, method := range []string{"POST", "PUT", "HEAD", "DELETE"} {
		asked++
		if r := call(t, address, method+" "+PagePath("kitchen", "t0ken")+id+" HTTP/1.1\r\n\r\n"); r.StatusCode != http.StatusNotFound {
			t.Errorf("%s: HTTP %d", method, r.StatusCode)
		}
	}
	got := s.Stats()
	if sum := got.WrongToken + got.WrongPage + got.Malformed; got.Pages != 0 || got.Accepted != 0 || sum != uint64(asked) || store.Len() != answered {
		t.Errorf("%+v of %d requests, expected each to be counted as wrong", got, asked)
	}
}

// TestAFloodOfGuessesLeavesThePageFast guesses ids while the phone fetches its page.
func TestAFloodOfGuessesLeavesThePageFast(t *testing.T) {
	t.Parallel()
	s, store, address := pageServer(t, Config{})
	id := put(t, store, "kitchen")
	var flood sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		flood.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				conn, err := net.Dial("tcp", address)
				if err != nil {
					continue
				}
				fmt.Fprintf(conn, "GET /page/kitchen/t0ken/%s HTTP/1.1\r\n\r\n", pages.NewID())
				_, _ = io.Copy(io.Discard, conn)
				_ = conn.Close()
			}
		})
	}
	for range 50 {
		if status, _, _ := fetch(t, address, PagePath("kitchen", "t0ken")+id); status != http.StatusOK {
			t.Fatalf("HTTP %d", status)
		}
	}
	close(stop)
	flood.Wait()
	if got := s.Stats(); got.Pages != 50 || got.WrongPage == 0 {
		t.Errorf("%+v", got)
	}
}

// TestStreamsEndWithTheirPage fetches a stream of pictures until the page ends.
func TestStreamsEndWithTheirPage(t *testing.T) {
	t.Parallel()
	_, store, address := pageServer(t, Config{})
	id := pages.NewID()
	ended := make(chan error, 1)
	err := store.Put(id, pages.Page{Phone: "kitchen", Answer: func(pages.Request) pages.Reply {
		return pages.Reply{Type: "multipart/x-mixed-replace; boundary=x", Stream: func(ctx context.Context, w io.Writer) error {
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for {
				if _, err := w.Write([]byte("frame")); err != nil {
					ended <- err
					return err
				}
				select {
				case <-tick.C:
				case <-ctx.Done():
					ended <- nil
					return nil
				}
			}
		}}
	}})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\n\r\n", PagePath("kitchen", "t0ken")+id)
	buf := make([]byte, 64)
	var got strings.Builder
	for strings.Count(got.String(), "frame") < 3 {
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got.Write(buf[:n])
	}
	if !store.End("kitchen", id) {
		t.Fatal("the page has gone before")
	}
	if err := <-ended; err != nil {
		t.Errorf("the stream ended by %v, expected the end of its page", err)
	}
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Errorf("the rest of the stream: %v", err)
	}
}

// TestAnEventIsAnsweredWithADocument: what Config.Answer returns is the answer to the phone, and the event is passed on.
func TestAnEventIsAnsweredWithADocument(t *testing.T) {
	t.Parallel()
	events := newEvents()
	s := New(Config{
		Phone: kitchen, Event: events.take, Pages: &pages.Store{}, Log: slog.New(slog.DiscardHandler),
		Answer: func(_ context.Context, phone string, e actionurl.Event) pages.Reply {
			if e.Type != actionurl.EventIncoming {
				return pages.Reply{}
			}
			return pages.Reply{Type: "text/xml", Body: []byte("<x>" + phone + " " + e.Remote.Number + "</x>")}
		},
	})
	l := listen(t)
	serve(t, s, l)
	status, body, header := fetch(t, l.Addr().String(), "/a/kitchen/t0ken/incoming?remote=sip:61@pbx.example")
	if status != http.StatusOK || body != "<x>kitchen 61</x>" || header.Get("Content-Type") != "text/xml" || header.Get("Content-Length") != fmt.Sprint(len(body)) {
		t.Errorf("HTTP %d, %q, %v", status, body, header)
	}
	for _, target := range []string{"/a/kitchen/t0ken/connected", "/a/kitchen/wrong/incoming"} {
		if _, body, _ := fetch(t, l.Addr().String(), target); body != "" {
			t.Errorf("%s: %q, expected an empty answer", target, body)
		}
	}
	if got := s.Stats(); got.Accepted != 2 || got.WrongToken != 1 {
		t.Errorf("%+v", got)
	}
}
