// Package metrics counts what the bridge does, and shows that to Prometheus.
//
// Series with a phone label are bounded by the configured phones, and disappear with them. Up to [fewPhones]
// phones, all series exist from the start; with more, only those exist whose value differs from that of an idle
// phone, so that ten thousand idle phones cost nothing.
package metrics

import (
	"iter"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

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
	Calls      func() Calls                 // what phones ask of us; nil: they cannot
	Refused    func() map[string]uint64     // connections that were closed before a login, by listener; nil: none listens
	Broker     func() Broker                // the embedded broker; nil: it does not run
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
	registry *prometheus.Registry
	figures  figures
	codes    []bridge.CodeDoc

	waits    prometheus.Histogram
	times    *prometheus.HistogramVec
	events   *prometheus.CounterVec
	requests atomic.Uint64

	mu     sync.Mutex
	phones map[string]counts
}

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

var (
	_ bridge.Observer      = (*Metrics)(nil)
	_ prometheus.Collector = (*Metrics)(nil)
)

// New returns metrics with all counters at zero.
func New(cfg Config) *Metrics {
	events := doc("events_total")
	m := &Metrics{
		cfg:      cfg,
		registry: prometheus.NewRegistry(),
		figures: newFigures("commands_total", "phone_requests_total", "commands_waiting", "queue_length", "phones", "phone_up",
			"phones_left_alone", "breaker_open", "action_url_requests_total", "mqtt_connected", "mqtt_online", "mqtt_taken_over",
			"mqtt_reconnects_total", "mqtt_publishes_waiting", "mqtt_publishes_dropped_total", "build_info", "connections_refused_total",
			"broker_sessions", "broker_retained_bytes", "broker_clients_dropped_total", "log_lines_dropped_total"),
		codes:  bridge.Codes(),
		waits:  prometheus.NewHistogram(histogram("command_queue_seconds")),
		times:  prometheus.NewHistogramVec(histogram("command_duration_seconds"), doc("command_duration_seconds").Labels),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{Name: events.Name, Help: events.Help}, events.Labels),
		phones: map[string]counts{},
	}
	m.registry.MustRegister(m, m.waits, m.times, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if cfg.Calls != nil {
		m.registry.MustRegister(m.events)
	}
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
	m.waits.Observe(waited.Seconds())
	m.times.WithLabelValues(string(v)).Observe(took.Seconds())
}

// Event counts an event.
func (m *Metrics) Event(e actionurl.Event) { m.events.WithLabelValues(string(e.Type)).Inc() }

// Handler answers requests of Prometheus.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(m.cfg.Log.Handler(), slog.LevelError),
		MaxRequestsInFlight: 2, // it is not cheap with many phones
	})
}

// Describe is for the registry.
func (m *Metrics) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range m.figures {
		descs <- d
	}
}

// Collect is for the registry.
func (m *Metrics) Collect(out chan<- prometheus.Metric) {
	m.collectPhones(out)
	out <- m.figures.of("phone_requests_total", float64(m.requests.Load()))
	s := m.cfg.Session()
	out <- m.figures.of("mqtt_connected", one(s.Connected))
	out <- m.figures.of("mqtt_online", one(s.Online))
	out <- m.figures.of("mqtt_taken_over", one(s.TakenOver))
	out <- m.figures.of("mqtt_reconnects_total", float64(s.Reconnects))
	out <- m.figures.of("mqtt_publishes_waiting", float64(s.Waiting))
	out <- m.figures.of("mqtt_publishes_dropped_total", float64(s.Dropped))
	if m.cfg.Calls != nil {
		c := m.cfg.Calls()
		out <- m.figures.of("action_url_requests_total", float64(c.Accepted), "accepted")
		out <- m.figures.of("action_url_requests_total", float64(c.WrongToken), "wrong_token")
		out <- m.figures.of("action_url_requests_total", float64(c.WrongSource), "wrong_address")
		out <- m.figures.of("action_url_requests_total", float64(c.Limited), "too_many")
		out <- m.figures.of("action_url_requests_total", float64(c.Malformed), "not_understood")
		out <- m.figures.of("action_url_requests_total", float64(c.Dropped), "dropped")
		out <- m.figures.of("action_url_requests_total", float64(c.Pages), "page")
		out <- m.figures.of("action_url_requests_total", float64(c.WrongPage), "wrong_page")
	}
	m.collectServers(out)
	out <- m.figures.of("build_info", 1, m.cfg.Version, m.cfg.Revision, runtime.Version())
}

// collectServers reports what was refused or dropped so that the program goes on.
func (m *Metrics) collectServers(out chan<- prometheus.Metric) {
	if m.cfg.Refused != nil {
		for listener, n := range m.cfg.Refused() {
			out <- m.figures.of("connections_refused_total", float64(n), listener)
		}
	}
	if m.cfg.Broker != nil {
		b := m.cfg.Broker()
		out <- m.figures.of("broker_sessions", float64(b.Sessions))
		out <- m.figures.of("broker_retained_bytes", float64(b.Retained))
		out <- m.figures.of("broker_clients_dropped_total", float64(b.Slow))
	}
	if m.cfg.LogDropped != nil {
		out <- m.figures.of("log_lines_dropped_total", float64(m.cfg.LogDropped()))
	}
}

// collectPhones collects the series of the phones, and forgets phones that were removed.
func (m *Metrics) collectPhones(out chan<- prometheus.Metric) {
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
			out <- m.figures.of("queue_length", float64(l.Waiting), l.Phone)
		}
		lockedOut += one(l.LockedOut)
		if all || l.LockedOut {
			out <- m.figures.of("breaker_open", one(l.LockedOut), l.Phone)
		}
		switch l.Reachable {
		case bridge.SwitchOn:
			up++
			if all {
				out <- m.figures.of("phone_up", 1, l.Phone)
			}
		case bridge.SwitchOff:
			down++
			out <- m.figures.of("phone_up", 0, l.Phone)
		default:
			unknown++
		}
	}
	m.collectCommands(out, "", false) // commands that named no configured phone
	out <- m.figures.of("commands_waiting", waiting)
	out <- m.figures.of("phones_left_alone", lockedOut)
	out <- m.figures.of("phones", up, "up")
	out <- m.figures.of("phones", down, "down")
	out <- m.figures.of("phones", unknown, "unknown")
	m.forget(loads)
}

// collectCommands collects the counts of results of a phone.
func (m *Metrics) collectCommands(out chan<- prometheus.Metric, phone string, all bool) {
	m.mu.Lock()
	c := slices.Clone(m.phones[phone])
	m.mu.Unlock()
	for i, d := range m.codes {
		if n := c.of(i); all || n > 0 {
			out <- m.figures.of("commands_total", float64(n), phone, string(d.Code))
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
