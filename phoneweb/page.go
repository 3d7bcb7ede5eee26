package phoneweb

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/snom2mqtt/snom2mqtt/pages"
)

// PagePath returns the path below which the pages of a phone are served: an id and the name of a part follow.
func PagePath(phone, token string) string { return "/page/" + phone + "/" + token + "/" }

// readPagePath reads /page/<phone>/<token>/<id>[/<part>].
func readPagePath(path string) (phone, token, id, part string, ok bool) {
	rest, found := strings.CutPrefix(path, "/page/")
	if !found {
		return "", "", "", "", false
	}
	parts := strings.SplitN(rest, "/", 4)
	if len(parts) < 3 {
		return "", "", "", "", false
	}
	for i, p := range parts {
		var err error
		if parts[i], err = url.PathUnescape(p); err != nil {
			return "", "", "", "", false
		}
	}
	if len(parts) == 4 {
		part = parts[3]
	}
	return parts[0], parts[1], parts[2], part, true
}

// isPage reports whether a path is that of a page, where pages are served.
func (s *Server) isPage(path string) bool {
	return s.cfg.Pages != nil && strings.HasPrefix(path, "/page/")
}

// admitPage finds the page of a request; false: there is none, or the request has not the phone's token, and is counted.
func (s *Server) admitPage(method, path string, from netip.Addr) (name, id, part string, phone Phone, ok bool) {
	name, token, id, part, ok := readPagePath(path)
	if !ok || method != http.MethodGet {
		s.malformed.Add(1)
		return "", "", "", Phone{}, false
	}
	if phone, ok = s.known(name, token, from); !ok {
		return "", "", "", Phone{}, false
	}
	if !s.cfg.Pages.Has(name, id) {
		s.wrongPage.Add(1)
		return "", "", "", Phone{}, false
	}
	return name, id, part, phone, true
}

// servePage serves a page that the bridge shows on a phone.
func (s *Server) servePage(w http.ResponseWriter, r *http.Request, from netip.Addr, at time.Time) {
	name, id, part, phone, ok := s.admitPage(r.Method, r.URL.EscapedPath(), from)
	if !ok || !s.ownSource(r.Context(), name, phone, from) {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if !s.wait(r.Context(), name, at) {
		s.limited.Add(1)
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	reply, ended, ok := s.cfg.Pages.Answer(name, id, pages.Request{Part: part, Query: r.URL.RawQuery})
	if !ok {
		s.wrongPage.Add(1)
		w.WriteHeader(http.StatusNotFound)
		return
	}
	s.pages.Add(1)
	if reply.Stream == nil {
		writeBody(w, reply)
		return
	}
	writeHeader(w, reply)
	ctx, cancel := context.WithCancel(r.Context())
	var waiting sync.WaitGroup
	defer waiting.Wait()
	defer cancel()
	waiting.Go(func() {
		defer cancel()
		select {
		case <-ended:
		case <-ctx.Done():
		}
	})
	_ = reply.Stream(ctx, deadlineWriter{w, http.NewResponseController(w)}) // it ends with the phone, the page or the server
}

// writeHeader writes what stands before the content of a reply.
func writeHeader(w http.ResponseWriter, reply pages.Reply) {
	w.Header().Set("Content-Type", reply.Type)
	w.Header().Set("Cache-Control", "no-store")
}

// writeBody answers with a document or a picture.
func writeBody(w http.ResponseWriter, reply pages.Reply) {
	writeHeader(w, reply)
	w.Header().Set("Content-Length", strconv.Itoa(len(reply.Body)))
	_, _ = w.Write(reply.Body) // a phone that has gone misses nothing
}

// deadlineWriter gives every write of a stream the time of a whole request.
type deadlineWriter struct {
	io.Writer
	control *http.ResponseController
}

func (d deadlineWriter) Write(p []byte) (int, error) {
	if err := d.control.SetWriteDeadline(time.Now().Add(requestTime)); err != nil {
		return 0, err
	}
	n, err := d.Writer.Write(p)
	if err == nil {
		err = d.control.Flush()
	}
	return n, err
}
