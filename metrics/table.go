package metrics

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// A Doc says what one metric is.
type Doc struct {
	Name   string
	Type   string // counter, gauge or histogram
	Labels []string
	Help   string
}

// Docs lists every metric of this package, in the order of the documents. Those that tell of the
// process and of the Go runtime, process_* and go_*, are the client library's.
func Docs() []Doc {
	return []Doc{
		{"snom2mqtt_commands_total", "counter", []string{"phone", "code"}, "Commands answered, by phone and by the result's code. The phone is empty where the topic named no configured phone."},
		{"snom2mqtt_command_queue_seconds", "histogram", nil, "Time that commands waited in the queue of their phone before they were sent."},
		{"snom2mqtt_command_duration_seconds", "histogram", []string{"command"}, "Time that commands took from the first request to the phone to the end of the last one."},
		{"snom2mqtt_phone_requests_total", "counter", nil, "HTTP requests made to phones for commands."},
		{"snom2mqtt_commands_waiting", "gauge", nil, "Commands that wait in all queues together."},
		{"snom2mqtt_queue_length", "gauge", []string{"phone"}, "Commands that wait in the queue of a phone."},
		{"snom2mqtt_phones", "gauge", []string{"state"}, "Phones that are up, down, or unknown."},
		{"snom2mqtt_phone_up", "gauge", []string{"phone"}, "1 while a phone is reachable, 0 while it is not; absent until that is known."},
		{"snom2mqtt_phones_left_alone", "gauge", nil, "Phones whose breaker is open: they refused the login, and commands for them are answered locked_out."},
		{"snom2mqtt_breaker_open", "gauge", []string{"phone"}, "1 while a phone is not contacted because it refused the login, else 0."},
		{"snom2mqtt_events_total", "counter", []string{"event_type"}, "Events from phones."},
		{"snom2mqtt_action_url_requests_total", "counter", []string{"outcome"}, "Requests on PHONE_LISTEN, by outcome."},
		{"snom2mqtt_mqtt_connected", "gauge", nil, "1 while the bridge is connected to the broker."},
		{"snom2mqtt_mqtt_online", "gauge", nil, "1 while loopback messages arrive, and online is published."},
		{"snom2mqtt_mqtt_taken_over", "gauge", nil, "1 while another client seems to use the bridge's client id."},
		{"snom2mqtt_mqtt_reconnects_total", "counter", nil, "Connections to the broker after the first one."},
		{"snom2mqtt_mqtt_publishes_waiting", "gauge", nil, "Messages that wait for the broker or its acknowledgement."},
		{"snom2mqtt_mqtt_publishes_dropped_total", "counter", nil, "Messages that were dropped, because too many waited or the broker did not accept them."},
		{"snom2mqtt_connections_refused_total", "counter", []string{"listener"}, "Connections closed before a login, because there were too many or because their first request took too long. The listeners are console and broker; those of PHONE_LISTEN count as too_many."},
		{"snom2mqtt_broker_sessions", "gauge", nil, "Sessions of clients of the embedded broker, the bridge's own not counted. Absent where it does not run."},
		{"snom2mqtt_broker_retained_bytes", "gauge", nil, "Memory that messages take which clients of the embedded broker have retained. Absent where it does not run."},
		{"snom2mqtt_broker_clients_dropped_total", "counter", nil, "Clients that the embedded broker disconnected because they did not read or acknowledge messages. Absent where it does not run."},
		{"snom2mqtt_log_lines_dropped_total", "counter", nil, "Log lines that were dropped because standard error was not read."},
		{"snom2mqtt_build_info", "gauge", []string{"version", "revision", "goversion"}, "Always 1; the labels are the version of the program."},
	}
}

const prefix = "snom2mqtt_"

// doc returns the entry of a metric, which there must be.
func doc(name string) Doc {
	all := Docs()
	return all[slices.IndexFunc(all, func(d Doc) bool { return d.Name == prefix+name })]
}

// histogram describes a metric that the client library counts.
func histogram(name string) prometheus.HistogramOpts {
	d := doc(name)
	// A phone answers in a few to some hundred milliseconds; REQUEST_TIMEOUT is 5 s unless set.
	return prometheus.HistogramOpts{Name: d.Name, Help: d.Help, Buckets: prometheus.DefBuckets}
}

// figures are the metrics that are counted elsewhere, by their names without the prefix.
type figures map[string]*prometheus.Desc

func newFigures(names ...string) figures {
	f := figures{}
	for _, name := range names {
		d := doc(name)
		f[name] = prometheus.NewDesc(d.Name, d.Help, d.Labels, nil)
	}
	return f
}

// of returns the metric called name with this value. What counts is called total, as it should be.
func (f figures) of(name string, v float64, labels ...string) prometheus.Metric {
	kind := prometheus.GaugeValue
	if strings.HasSuffix(name, "_total") {
		kind = prometheus.CounterValue
	}
	return prometheus.MustNewConstMetric(f[name], kind, v, labels...)
}
