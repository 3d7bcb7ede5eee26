// Package metrics counts what the bridge does, and shows that to Prometheus.
//
// Series with a phone label are bounded by the configured phones, and disappear with them. Up to [fewPhones]
// phones, all series exist from the start; with more, only those exist whose value differs from that of an idle
// phone, so that ten thousand idle phones cost nothing.
package metrics

import (
	"bufio"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	counting "github.com/VictoriaMetrics/metrics"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// fewPhones is the number of phones up to which each has all its series. A counter that begins at zero shows its
// first increase; one that appears with its first increase does not.
const fewPhones = 100

// Config says where the figures come from that are not counted here. The functions must not block.
type Config struct {
	Version, Revision string

	Loads      func() iter.Seq[bridge.Load] // the phones
	Session    func() Session               // the connection to the broker
	Calls      func() Calls                 // requests of phones; nil: none can be made
	Refused    func() map[string]uint64     // connections that were closed before a login, by listener; nil: none listens
	Broker     func() Broker                // the embedded broker; nil: it does not run
	SIP        func() (SIP, bool)           // the SIP socket; nil, or false: it is not open
	Syslog     func() Syslog                // the syslog socket; nil: there is none
	LogDropped func() uint64                // log lines that were dropped; nil: none can be

	Log *slog.Logger
}

// A Session is the state of the connection to the broker.
type Session struct {
	Connected  bool // the broker accepted the connection
	Online     bool // and it is proven that it delivers
	TakenOver  bool // another client seems to use the same client id
	Reconnects int
	Waiting    int // messages that wait to be sent or acknowledged
	Dropped    int // messages that were dropped
}

// SIP are the datagrams on the SIP socket, by what they were.
type SIP struct{ Answers, Unmatched, Requests, Malformed uint64 }

// Syslog are the datagrams on SYSLOG_LISTEN, by what they were.
type Syslog struct{ Readings, Others, Foreign uint64 }

// A Broker is the state of the embedded broker.
type Broker struct {
	Sessions int
	Retained int64 // bytes
	Slow     uint64
}

// Calls are the requests of phones, by outcome.
type Calls struct {
	Accepted, WrongToken, WrongSource, Limited, Malformed, Dropped, Pages, WrongPage uint64
}

// Metrics counts. Make one with [New]; it is the bridge's Observer.
type Metrics struct {
	cfg      Config
	codes    []bridge.CodeDoc
	scrapes  chan struct{} // one place for each scrape at the same time
	waits    family
	times    family
	events   family
	requests atomic.Uint64

	mu     sync.Mutex
	phones map[string]counts // guarded by mu
}

// maxScrapes is how many scrapes there may be at the same time: one is not cheap with many phones.
const maxScrapes = 2

// counts are the answers to the commands for one phone. Most phones only ever answer with one code or two.
type counts []count

// A count is how many of them had the code at one place of the list of codes.
type count struct {
	code int
	n    uint64
}

// add returns c with one more answer of a code.
func (c counts) add(code int) counts {
	for i := range c {
		if c[i].code == code {
			c[i].n++
			return c
		}
	}
	return append(slices.Clip(c), count{code, 1})
}

// of is the number of answers with a code.
func (c counts) of(code int) uint64 {
	for _, one := range c {
		if one.code == code {
			return one.n
		}
	}
	return 0
}

var _ bridge.Observer = (*Metrics)(nil)

// New returns metrics with all counters at zero.
func New(cfg Config) *Metrics {
	m := &Metrics{
		cfg: cfg, codes: bridge.Codes(), scrapes: make(chan struct{}, maxScrapes),
		waits: newFamily("command_queue_seconds"), times: newFamily("command_duration_seconds"), events: newFamily("events_total"),
		phones: map[string]counts{},
	}
	m.waits.histogram("")
	return m
}

// Result counts a result.
func (m *Metrics) Result(r bridge.Result) {
	m.requests.Add(uint64(r.Requests))
	code := slices.IndexFunc(m.codes, func(d bridge.CodeDoc) bool { return d.Code == r.Code })
	m.mu.Lock()
	defer m.mu.Unlock()
	m.phones[r.Phone] = m.phones[r.Phone].add(code) // the list of codes is closed
}

// Sent notes the times of a command.
func (m *Metrics) Sent(v snom.Verb, waited, took time.Duration) {
	m.waits.histogram("").Update(waited.Seconds())
	m.times.histogram(string(v)).Update(took.Seconds())
}

// Event counts an event.
func (m *Metrics) Event(e actionurl.Event) { m.events.counter(string(e.Type)).Inc() }

// Handler answers requests of Prometheus in its text format. A third one at the same time is answered 503.
func (m *Metrics) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		select {
		case m.scrapes <- struct{}{}:
			defer func() { <-m.scrapes }()
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, "too many requests at the same time\n") // there is nothing to do for a client that left
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		if err := m.write(w); err != nil {
			m.cfg.Log.Debug("metrics not sent", slog.Any("err", err))
		}
	})
}

// write writes all metrics: those of the bridge in the order of [Docs], then those of the process and of the Go runtime.
func (m *Metrics) write(w io.Writer) error {
	out := &figures{}
	m.collect(out)
	buf := bufio.NewWriterSize(w, 16<<10)
	for _, d := range Docs() {
		out.write(buf, d)
		for _, f := range []family{m.waits, m.times, m.events} {
			if f.doc.Name == d.Name && (m.cfg.Calls != nil || f.doc.Name != m.events.doc.Name) {
				f.write(buf)
			}
		}
	}
	counting.WriteProcessMetrics(buf)
	return buf.Flush()
}

// collect reports all that is not counted by a family.
func (m *Metrics) collect(out *figures) {
	m.collectPhones(out)
	out.add("phone_requests_total", float64(m.requests.Load()))
	s := m.cfg.Session()
	out.add("mqtt_connected", one(s.Connected))
	out.add("mqtt_online", one(s.Online))
	out.add("mqtt_taken_over", one(s.TakenOver))
	out.add("mqtt_reconnects_total", float64(s.Reconnects))
	out.add("mqtt_publishes_waiting", float64(s.Waiting))
	out.add("mqtt_publishes_dropped_total", float64(s.Dropped))
	if m.cfg.Calls != nil {
		c := m.cfg.Calls()
		out.add("action_url_requests_total", float64(c.Accepted), "accepted")
		out.add("action_url_requests_total", float64(c.WrongToken), "wrong_token")
		out.add("action_url_requests_total", float64(c.WrongSource), "wrong_address")
		out.add("action_url_requests_total", float64(c.Limited), "too_many")
		out.add("action_url_requests_total", float64(c.Malformed), "not_understood")
		out.add("action_url_requests_total", float64(c.Dropped), "dropped")
		out.add("action_url_requests_total", float64(c.Pages), "page")
		out.add("action_url_requests_total", float64(c.WrongPage), "wrong_page")
	}
	if m.cfg.SIP != nil {
		if c, open := m.cfg.SIP(); open {
			out.add("sip_datagrams_total", float64(c.Answers), "answer")
			out.add("sip_datagrams_total", float64(c.Unmatched), "unmatched")
			out.add("sip_datagrams_total", float64(c.Requests), "request")
			out.add("sip_datagrams_total", float64(c.Malformed), "malformed")
		}
	}
	if m.cfg.Syslog != nil {
		c := m.cfg.Syslog()
		out.add("syslog_datagrams_total", float64(c.Readings), "reading")
		out.add("syslog_datagrams_total", float64(c.Others), "other")
		out.add("syslog_datagrams_total", float64(c.Foreign), "foreign")
	}
	m.collectServers(out)
	out.add("build_info", 1, m.cfg.Version, m.cfg.Revision, runtime.Version())
}

// collectServers reports what was refused or dropped to keep within the bounds.
func (m *Metrics) collectServers(out *figures) {
	if m.cfg.Refused != nil {
		for listener, n := range m.cfg.Refused() {
			out.add("connections_refused_total", float64(n), listener)
		}
	}
	if m.cfg.Broker != nil {
		b := m.cfg.Broker()
		out.add("broker_sessions", float64(b.Sessions))
		out.add("broker_retained_bytes", float64(b.Retained))
		out.add("broker_clients_dropped_total", float64(b.Slow))
	}
	if m.cfg.LogDropped != nil {
		out.add("log_lines_dropped_total", float64(m.cfg.LogDropped()))
	}
}

// collectPhones collects the series of the phones, and forgets phones that were removed.
func (m *Metrics) collectPhones(out *figures) {
	var loads []bridge.Load
	for l := range m.cfg.Loads() {
		loads = append(loads, l)
	}
	all := len(loads) <= fewPhones
	var waiting, lockedOut, up, down, unknown float64
	for _, l := range loads {
		m.collectCommands(out, l.Phone, all)
		waiting += float64(l.Waiting)
		if all || l.Waiting > 0 {
			out.add("queue_length", float64(l.Waiting), l.Phone)
		}
		lockedOut += one(l.LockedOut)
		if all || l.LockedOut {
			out.add("breaker_open", one(l.LockedOut), l.Phone)
		}
		switch l.Reachable {
		case bridge.SwitchOn:
			up++
			if all {
				out.add("phone_up", 1, l.Phone)
			}
		case bridge.SwitchOff:
			down++
			out.add("phone_up", 0, l.Phone)
		default:
			unknown++
		}
	}
	m.collectCommands(out, "", false) // commands that named no configured phone
	out.add("commands_waiting", waiting)
	out.add("phones_left_alone", lockedOut)
	out.add("phones", up, "up")
	out.add("phones", down, "down")
	out.add("phones", unknown, "unknown")
	m.forget(loads)
}

// collectCommands collects the counts of results of a phone.
func (m *Metrics) collectCommands(out *figures, phone string, all bool) {
	m.mu.Lock()
	c := slices.Clone(m.phones[phone])
	m.mu.Unlock()
	for i, d := range m.codes {
		if n := c.of(i); all || n > 0 {
			out.add("commands_total", float64(n), phone, string(d.Code))
		}
	}
}

// forget drops the counts of phones that are not there any more.
func (m *Metrics) forget(loads []bridge.Load) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.phones) <= len(loads) {
		return // a few of phones that went may stay for a while
	}
	there := make(map[string]bool, len(loads))
	for _, l := range loads {
		there[l.Phone] = true
	}
	for phone := range m.phones {
		if phone != "" && !there[phone] {
			delete(m.phones, phone)
		}
	}
}

func one(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
