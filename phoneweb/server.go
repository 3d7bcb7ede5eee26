// Package phoneweb is what phones call: it takes their action URLs and hands on the events.
//
// A phone calls
//
//	GET /a/<phone>/<token>/<event>?<variables>
//
// and gets an empty 200 at once: a document in the answer would open on its display (docs.snom.io,
// Triggering the minibrowser), and a phone should not wait. Phones are taken as they are, whatever they
// do not escape; everybody else is not: without the token of that phone, from an address that is
// not that phone's, a request changes a counter and nothing else. Nothing of a request is logged
// unquoted, and there is no way to say on whose behalf one comes.
package phoneweb

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// A Phone is one that may call.
type Phone struct {
	Token string // in its URLs; a phone without one cannot call
	Host  string // its address, or the name of it
}

// Config is what a Server is made from.
type Config struct {
	// Phone finds a phone by its name. It is called for every request and must not block.
	Phone func(name string) (Phone, bool)

	// CheckSource takes events only from the phone's own address. It must be off where an address
	// translation or a proxy stands between.
	CheckSource bool

	// Event takes what happened, in the order in which it was told. It is called by one goroutine,
	// after the phone was answered or while it is. Should it block, up to QueueLength events wait;
	// further ones are refused.
	Event func(phone string, e actionurl.Event)

	// Rate is how many events a second one phone may tell for long; zero is 100. Ten times as many
	// may come at once. Beyond that the answer waits for up to a second, then the event is refused.
	Rate int

	// QueueLength is how many events may wait for Event; zero is 1024.
	QueueLength int

	// Lookup finds the addresses of a host name; nil is the system's resolver.
	Lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)

	Log *slog.Logger
}

// Stats counts requests by what became of them.
type Stats struct {
	Accepted    uint64 // handed on
	WrongToken  uint64 // no such phone, or not its token
	WrongSource uint64 // right token, but not from the phone's address
	Limited     uint64 // too many at a time: events of one phone, or connections of one address
	Malformed   uint64 // no event
	Dropped     uint64 // nobody took the events that came before
}

// Server takes action URLs. Make one with [New].
type Server struct {
	cfg     Config
	sources sources
	queue   chan told
	tokens  warning // of wrong ones

	accepted, wrongToken, wrongSource, limited, malformed, dropped atomic.Uint64

	mu     sync.Mutex
	phones map[string]*caller // that had the right token once
}

// told is an event on its way.
type told struct {
	phone string
	event actionurl.Event
}

// caller is what is kept of a phone that called.
type caller struct {
	paid    time.Time // until when its events are paid for
	sources warning   // of wrong ones
	faults  warning
}

// New returns a server that listens nowhere yet.
func New(cfg Config) *Server {
	if cfg.Rate <= 0 {
		cfg.Rate = 100
	}
	if cfg.QueueLength <= 0 {
		cfg.QueueLength = 1024
	}
	if cfg.Lookup == nil {
		cfg.Lookup = net.DefaultResolver.LookupNetIP
	}
	return &Server{
		cfg:     cfg,
		sources: sources{lookup: cfg.Lookup, hosts: map[string]*source{}},
		queue:   make(chan told, cfg.QueueLength),
		phones:  map[string]*caller{},
	}
}

// Stats returns what came so far.
func (s *Server) Stats() Stats {
	return Stats{
		Accepted: s.accepted.Load(), WrongToken: s.wrongToken.Load(), WrongSource: s.wrongSource.Load(),
		Limited: s.limited.Load(), Malformed: s.malformed.Load(), Dropped: s.dropped.Load(),
	}
}

// Bounds of one request; ours. What does not fit is nothing a phone sends.
const (
	requestTime = 5 * time.Second // from the connection to the answer
	maxHeader   = 3*maxHead + 512 // bytes, with everything in the request line escaped
	stopTime    = 2 * time.Second // for requests under way at the end
)

// Serve takes action URLs on l until ctx ends, then hands on what waits and returns nil. It closes l.
// There must be one Serve at a time.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	web := &http.Server{
		Handler: s, ReadTimeout: requestTime, WriteTimeout: requestTime, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
	}
	web.SetKeepAlivesEnabled(false) // one request on a connection: guardedConn reads no other
	served := make(chan error, 1)
	go func() { served <- web.Serve(newListener(l, s.keepOut, func() { s.limited.Add(1) })) }()
	stop, delivered := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(delivered)
		s.deliver(stop)
	}()

	var err error
	select {
	case err = <-served:
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	if web.Shutdown(end) != nil {
		_ = web.Close() // those that take too long are cut off
	}
	if err == nil {
		err = <-served
	}
	close(stop)
	<-delivered
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("phoneweb: %w", err)
}

// deliver hands events on until stop is closed and none waits.
func (s *Server) deliver(stop <-chan struct{}) {
	for {
		select {
		case t := <-s.queue:
			s.cfg.Event(t.phone, t.event)
		case <-stop:
			for {
				select {
				case t := <-s.queue:
					s.cfg.Event(t.phone, t.event)
				default:
					return
				}
			}
		}
	}
}

// ServeHTTP takes one action URL. The answer is empty; 404 for everybody who may not call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at, from := time.Now(), addrOf(r.RemoteAddr)
	name, event, phone, ok := s.admit(r.Method, r.URL.EscapedPath(), from, at)
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	c := s.caller(name)
	// A phone may not wait for the answer; its address is looked up all the same.
	if own, err := s.isOwn(context.WithoutCancel(r.Context()), phone, from); !own {
		s.wrongSource.Add(1)
		if c.sources.due(at) {
			facts := []any{"phone", name, "from", from}
			if err != nil {
				facts = append(facts, "err", err)
			}
			s.cfg.Log.Warn("event from an address that is not the phone's", facts...)
		}
		w.WriteHeader(http.StatusNotFound)
		return
	}
	e, err := actionurl.ParseEvent(event, r.URL.RawQuery, at)
	if err != nil {
		s.malformed.Add(1)
		if c.faults.due(at) {
			s.cfg.Log.Warn("event not understood", "phone", name, "err", err)
		}
		w.WriteHeader(http.StatusNotFound) // to a blacklist check 200 would say: reject the caller
		return
	}
	if !s.wait(r.Context(), c, at) {
		s.limited.Add(1)
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	e.Phone = name
	select {
	case s.queue <- told{name, e}: // before the answer, so that the phone's next event comes after it
		s.accepted.Add(1)
		s.cfg.Log.Debug("event", "phone", name, "event", e.Type)
		w.WriteHeader(http.StatusOK)
	default:
		s.dropped.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// admit finds the phone of whoever asks for path, and the event; false: it is not for us, or has not
// that phone's token, and is counted.
func (s *Server) admit(method, path string, from netip.Addr, at time.Time) (name, event string, phone Phone, ok bool) {
	name, token, event, ok := readPath(path)
	if !ok || method != http.MethodGet {
		s.malformed.Add(1)
		return "", "", Phone{}, false
	}
	phone, ok = s.cfg.Phone(name)
	if !sameToken(phone.Token, token) || !ok {
		s.wrongToken.Add(1)
		if s.tokens.due(at) {
			s.cfg.Log.Warn("requests with a wrong token", "from", from)
		}
		return "", "", Phone{}, false
	}
	return name, event, phone, true
}

// isOwn says whether a request from there may be the phone's.
func (s *Server) isOwn(ctx context.Context, phone Phone, from netip.Addr) (bool, error) {
	if !s.cfg.CheckSource {
		return true, nil
	}
	return s.sources.has(ctx, phone.Host, from)
}

// keepOut is the gate of the listener: it is passed by who would be admitted.
func (s *Server) keepOut(r request, from netip.Addr) int {
	if r.method == "" {
		s.malformed.Add(1)
		return http.StatusBadRequest
	}
	path, _, _ := strings.Cut(r.target, "?")
	if _, _, _, ok := s.admit(r.method, path, from, time.Now()); !ok {
		return http.StatusNotFound
	}
	return 0
}

// readPath reads /a/<phone>/<token>/<event>.
func readPath(path string) (phone, token, event string, ok bool) {
	parts := strings.Split(path, "/")
	if len(parts) != 5 || parts[0] != "" || parts[1] != "a" {
		return "", "", "", false
	}
	for i, p := range parts {
		var err error
		if parts[i], err = url.PathUnescape(p); err != nil {
			return "", "", "", false
		}
	}
	return parts[2], parts[3], parts[4], true
}

// sameToken compares in a time that depends on neither. The empty token is nobody's.
func sameToken(want, got string) bool {
	a, b := sha256.Sum256([]byte(want)), sha256.Sum256([]byte(got))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && want != ""
}

// caller returns what is kept of a phone.
func (s *Server) caller(phone string) *caller {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.phones[phone]
	if c == nil {
		c = &caller{}
		s.phones[phone] = c
	}
	return c
}

// wait waits until the phone may tell another event; false: it tells too many.
func (s *Server) wait(ctx context.Context, c *caller, now time.Time) bool {
	const longest = time.Second
	price := time.Second / time.Duration(s.cfg.Rate)
	credit := 10 * time.Second
	s.mu.Lock()
	if c.paid.Before(now) {
		c.paid = now
	}
	wait := c.paid.Add(price).Sub(now) - credit
	if wait > longest {
		s.mu.Unlock()
		return false
	}
	c.paid = c.paid.Add(price)
	s.mu.Unlock()
	if wait <= 0 {
		return true
	}
	select {
	case <-time.After(wait):
		return true
	case <-ctx.Done():
		return false
	}
}

// warning is one that is given at most once a minute.
type warning struct {
	next atomic.Int64 // in milliseconds since 1970
}

func (w *warning) due(now time.Time) bool {
	next := w.next.Load()
	return now.UnixMilli() >= next && w.next.CompareAndSwap(next, now.Add(time.Minute).UnixMilli())
}
