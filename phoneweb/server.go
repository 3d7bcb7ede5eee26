// Package phoneweb is the HTTP server that phones call: it serves their action URLs and passes the events on, and it
// serves the pages that the bridge shows on their displays.
//
// A phone requests a page, or a part of it, at
//
//	GET /page/<phone>/<token>/<id>[/<part>]
//
// of which the id cannot be guessed and exists for as long as the page is shown. It requests
//
//	GET /a/<phone>/<token>/<event>?<variables>
//
// and gets a 200 at once, since a phone should not wait. The answer is empty, unless [Config].Answer has a document for it,
// which opens on its display (docs.snom.io, Triggering the minibrowser). Phones are served whatever they do not escape. A request without the
// token of its phone, or from another address than the phone's, changes a counter and has no other effect. Nothing of a
// request is logged unquoted, and no header names another sender.
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

	"golang.org/x/time/rate"

	"github.com/snom2mqtt/snom2mqtt/internal/lograte"
	"github.com/snom2mqtt/snom2mqtt/internal/netlimit"
	"github.com/snom2mqtt/snom2mqtt/pages"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// A Phone is one that is served.
type Phone struct {
	Token string // in its URLs; a phone without one is not served
	Host  string // its address, or the name of it; empty: not known, so that it may call from anywhere
}

// Config is what a Server is made from.
type Config struct {
	// Phone finds a phone by its name. It is called for every request and must not block.
	Phone func(name string) (Phone, bool)

	// CheckSource takes events only from the phone's own address. It must be off where an address
	// translation or a proxy stands between.
	CheckSource bool

	// Event takes the events, in the order in which they arrived. It is called by one goroutine, after the phone
	// was answered or while it is. Should it block, up to QueueLength events wait; further ones are refused.
	Event func(phone string, e actionurl.Event)

	// Answer returns the document that a phone gets for an event, and the zero Reply for none; nil: there is none for any
	// event. It must not block.
	Answer func(ctx context.Context, phone string, e actionurl.Event) pages.Reply

	// Pages are the pages that are served; nil: none.
	Pages *pages.Store

	// Rate is how many events a second one phone may report for long, and how many pages it may request; zero is 100. Ten
	// times as many may come at once. Beyond that the answer waits for up to a second, then the request is refused.
	Rate int

	// QueueLength is how many events may wait for Event; zero is 1024.
	QueueLength int

	// Limits bound the connections. One is admitted when it has shown the token of a phone.
	Limits netlimit.Limits

	// Lookup finds the addresses of a host name; nil is the system's resolver.
	Lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)

	Log *slog.Logger
}

// Stats counts requests by their outcome.
type Stats struct {
	Accepted    uint64 // passed on
	WrongToken  uint64 // no such phone, or not its token
	WrongSource uint64 // right token, but not from the phone's address
	Limited     uint64 // too many at a time: events of one phone, or connections
	Malformed   uint64 // no event
	Dropped     uint64 // the events before it were not taken
	Pages       uint64 // pages and parts of them that were served
	WrongPage   uint64 // right token, but there is no such page any more
}

// Server serves action URLs. Make one with [New].
type Server struct {
	cfg     Config
	sources sources
	queue   chan queuedEvent
	log     *lograte.Limiter

	accepted, wrongToken, wrongSource, limited, malformed, dropped, pages, wrongPage atomic.Uint64

	listener atomic.Pointer[netlimit.Listener] // of Serve

	mu    sync.Mutex
	rates map[string]*rate.Limiter // of phones that reported an event; guarded by mu
}

// queuedEvent is an event on its way to Config.Event.
type queuedEvent struct {
	phone string
	event actionurl.Event
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
		queue:   make(chan queuedEvent, cfg.QueueLength),
		log:     lograte.New(cfg.Log),
		rates:   map[string]*rate.Limiter{},
	}
}

// Stats returns what came so far.
func (s *Server) Stats() Stats {
	limited := s.limited.Load()
	if l := s.listener.Load(); l != nil {
		limited += l.Refused()
	}
	return Stats{
		Accepted: s.accepted.Load(), WrongToken: s.wrongToken.Load(), WrongSource: s.wrongSource.Load(),
		Limited: limited, Malformed: s.malformed.Load(), Dropped: s.dropped.Load(),
		Pages: s.pages.Load(), WrongPage: s.wrongPage.Load(),
	}
}

// Bounds of one request, chosen by this project. No request of a phone is as large or as slow.
const (
	requestTime = 5 * time.Second // from the connection to the answer
	maxHeader   = 3*maxHead + 512 // bytes, with everything in the request line escaped
	stopTime    = time.Second     // for requests under way at the end
)

// Serve serves action URLs on l until ctx ends, then passes on the events that wait and returns nil. It closes l.
// There must be one Serve at a time.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	streaming, endStreams := context.WithCancel(context.WithoutCancel(ctx))
	defer endStreams()
	web := &http.Server{
		BaseContext: func(net.Listener) context.Context { return streaming },
		Handler:     s, ReadTimeout: requestTime, WriteTimeout: requestTime, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
	}
	web.SetKeepAlivesEnabled(false) // one request on a connection: guardedConn reads no other
	limited := netlimit.New(l, s.cfg.Limits)
	s.listener.Store(limited)
	served := make(chan error, 1)
	go func() { served <- web.Serve(&listener{limited, s.gate}) }()
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
	endStreams()
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

// deliver passes events on until stop is closed and none waits.
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

// answer answers a request for an action URL that was served.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, name string, e actionurl.Event) {
	var reply pages.Reply
	if s.cfg.Answer != nil {
		reply = s.cfg.Answer(r.Context(), name, e)
	}
	if reply.IsZero() {
		w.WriteHeader(http.StatusOK)
		return
	}
	writeBody(w, reply)
}

// ServeHTTP serves one action URL. The answer is 404 to a request that is not served.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at, from := time.Now(), netlimit.AddrOf(stringAddr(r.RemoteAddr))
	if s.isPage(r.URL.EscapedPath()) {
		s.servePage(w, r, from, at)
		return
	}
	name, event, phone, ok := s.admit(r.Method, r.URL.EscapedPath(), from)
	if !ok || !s.ownSource(r.Context(), name, phone, from) {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	e, err := actionurl.ParseEvent(event, r.URL.RawQuery, at)
	if err != nil {
		s.malformed.Add(1)
		s.log.Log(slog.LevelWarn, "event of "+name, "event not understood", "phone", name, "err", err)
		w.WriteHeader(http.StatusNotFound) // to a blacklist check 200 would say: reject the caller
		return
	}
	if !s.wait(r.Context(), name, at) {
		s.limited.Add(1)
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	e.Phone = name
	select {
	case s.queue <- queuedEvent{name, e}: // before the answer, so that the phone's next event comes after it
		s.accepted.Add(1)
		s.cfg.Log.Debug("event", "phone", name, "event", e.Type)
		s.answer(w, r, name, e)
	default:
		s.dropped.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// stringAddr is the address of a request as net.Addr.
type stringAddr string

func (stringAddr) Network() string  { return "tcp" }
func (a stringAddr) String() string { return string(a) }

// admit finds the phone of a request, and the event; false: the request is for another server, or has not that
// phone's token, and is counted.
func (s *Server) admit(method, path string, from netip.Addr) (name, event string, phone Phone, ok bool) {
	name, token, event, ok := readPath(path)
	if !ok || method != http.MethodGet {
		s.malformed.Add(1)
		return "", "", Phone{}, false
	}
	if phone, ok = s.known(name, token, from); !ok {
		return "", "", Phone{}, false
	}
	return name, event, phone, true
}

// known finds the phone with that name and token; false: there is none, which is counted.
func (s *Server) known(name, token string, from netip.Addr) (Phone, bool) {
	phone, ok := s.cfg.Phone(name)
	if !sameToken(phone.Token, token) || !ok {
		s.wrongToken.Add(1)
		s.log.Log(slog.LevelWarn, "token", "requests with a wrong token", "from", from)
		return Phone{}, false
	}
	return phone, true
}

// ownSource reports whether a request from there may be the phone's; one that is not is counted. A phone may not wait for
// the answer; its address is looked up all the same.
func (s *Server) ownSource(ctx context.Context, name string, phone Phone, from netip.Addr) bool {
	own, err := s.isOwn(context.WithoutCancel(ctx), phone, from)
	if own {
		return true
	}
	s.wrongSource.Add(1)
	facts := []any{"phone", name, "from", from}
	if err != nil {
		facts = append(facts, "err", err)
	}
	s.log.Log(slog.LevelWarn, "source of "+name, "event from an address that is not the phone's", facts...)
	return false
}

// isOwn reports whether a request from there may be the phone's.
func (s *Server) isOwn(ctx context.Context, phone Phone, from netip.Addr) (bool, error) {
	if !s.cfg.CheckSource || phone.Host == "" {
		return true, nil
	}
	return s.sources.has(ctx, phone.Host, from)
}

// gate is the gate of the listener: requests that ServeHTTP would admit pass.
func (s *Server) gate(r request, from netip.Addr) int {
	if r.method == "" {
		s.malformed.Add(1)
		return http.StatusBadRequest
	}
	path, _, _ := strings.Cut(r.target, "?")
	if s.isPage(path) {
		if _, _, _, _, ok := s.admitPage(r.method, path, from); !ok {
			return http.StatusNotFound
		}
		return 0
	}
	if _, _, _, ok := s.admit(r.method, path, from); !ok {
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

// sameToken compares in a time that depends on neither. The empty token is valid for no phone.
func sameToken(token, got string) bool {
	a, b := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(got))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && token != ""
}

// wait waits until the phone may report another event; false: it reports too many.
func (s *Server) wait(ctx context.Context, phone string, now time.Time) bool {
	const longest = time.Second
	s.mu.Lock()
	l := s.rates[phone]
	if l == nil {
		s.forgetRates(now)
		l = rate.NewLimiter(rate.Limit(s.cfg.Rate), 10*s.cfg.Rate)
		s.rates[phone] = l
	}
	s.mu.Unlock()
	turn := l.ReserveN(now, 1)
	wait := turn.DelayFrom(now)
	switch {
	case wait <= 0:
		return true
	case wait > longest:
		turn.CancelAt(now)
		return false
	}
	select {
	case <-time.After(wait):
		return true
	case <-ctx.Done():
		return false
	}
}

// forgetRates forgets phones that the configuration has no more, when many are remembered. The caller holds the lock.
func (s *Server) forgetRates(now time.Time) {
	const few = 64
	if len(s.rates) < few || len(s.rates)&(len(s.rates)-1) != 0 { // at powers of two, so that it costs nothing on average
		return
	}
	for name, l := range s.rates {
		if _, ok := s.cfg.Phone(name); !ok && l.TokensAt(now) >= float64(l.Burst()) {
			delete(s.rates, name)
		}
	}
}
