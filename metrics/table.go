package metrics

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	counting "github.com/VictoriaMetrics/metrics"
)

// A Doc says what one metric is.
type Doc struct {
	Name   string
	Type   string // counter, gauge or histogram
	Labels []string
	Help   string
}

// Docs lists every metric of this package, in the order of the documents. Those of the process and of the Go runtime,
// process_* and go_*, are the library's. The caller must not change it.
func Docs() []Doc { return table }

var table = []Doc{
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
	{"snom2mqtt_syslog_datagrams_total", "counter", []string{"kind"}, "Datagrams on SYSLOG_LISTEN: reading, with a measurement; other, of a phone; foreign, from elsewhere than a phone with sensors, which is dropped. Absent without SYSLOG_LISTEN."},
	{"snom2mqtt_sip_datagrams_total", "counter", []string{"kind"}, "Datagrams on SIP_LISTEN: answer; unmatched, an answer to no request that is under way; request and malformed, which are dropped. Absent where no phone is driven by SIP."},
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

const prefix = "snom2mqtt_"

// doc returns the entry of a metric, which there must be.
func doc(name string) Doc {
	return table[slices.IndexFunc(table, func(d Doc) bool { return d.Name[len(prefix):] == name })]
}

// buckets are the upper bounds of histograms in seconds. A phone answers in a few to some hundred milliseconds;
// REQUEST_TIMEOUT is 5 s unless set. They are the default ones of Prometheus' client libraries.
var buckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// A family is a metric that is counted here, with one label or none.
type family struct {
	doc Doc
	set *counting.Set

	mu     *sync.RWMutex
	series map[string]any // by the value of the label; guarded by mu
}

func newFamily(name string) family {
	return family{doc: doc(name), set: counting.NewSet(), mu: &sync.RWMutex{}, series: map[string]any{}}
}

// histogram returns the histogram with this value of the label.
func (f family) histogram(label string) *counting.PrometheusHistogram {
	return f.one(label, func(name string) any { return f.set.NewPrometheusHistogramExt(name, buckets) }).(*counting.PrometheusHistogram)
}

// counter returns the counter with this value of the label.
func (f family) counter(label string) *counting.Counter {
	return f.one(label, func(name string) any { return f.set.NewCounter(name) }).(*counting.Counter)
}

// one returns the series with this value of the label. create is called when there is none.
func (f family) one(label string, create func(name string) any) any {
	f.mu.RLock()
	have := f.series[label]
	f.mu.RUnlock()
	if have != nil {
		return have
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if have = f.series[label]; have == nil {
		name := f.doc.Name
		if len(f.doc.Labels) > 0 {
			name += string(appendLabels(nil, f.doc.Labels, []string{label}))
		}
		have = create(name)
		f.series[label] = have
	}
	return have
}

// write writes the family in the text format of Prometheus, unless it has no series.
func (f family) write(w io.Writer) {
	f.mu.RLock()
	n := len(f.series)
	f.mu.RUnlock()
	if n > 0 {
		writeHead(w, f.doc)
		f.set.WritePrometheus(w)
	}
}

// figures are the series of metrics that are counted elsewhere, as lines of text by the name of the metric.
type figures struct{ lines map[string]*bytes.Buffer }

// add adds a series of the metric called name, which has these labels.
func (f *figures) add(name string, v float64, labels ...string) {
	if f.lines == nil {
		f.lines = map[string]*bytes.Buffer{}
	}
	name = prefix + name
	b := f.lines[name]
	if b == nil {
		b = &bytes.Buffer{}
		f.lines[name] = b
	}
	b.WriteString(name)
	if len(labels) > 0 {
		b.Write(appendLabels(b.AvailableBuffer(), doc(strings.TrimPrefix(name, prefix)).Labels, labels))
	}
	b.WriteByte(' ')
	b.Write(strconv.AppendFloat(b.AvailableBuffer(), v, 'g', -1, 64))
	b.WriteByte('\n')
}

// write writes one of the metrics in the text format of Prometheus, unless it has no series.
func (f *figures) write(w io.Writer, d Doc) {
	if b := f.lines[d.Name]; b != nil {
		writeHead(w, d)
		_, _ = b.WriteTo(w) // a bufio.Writer reports it at the end
	}
}

// writeHead writes the lines that describe a metric.
func writeHead(w io.Writer, d Doc) {
	fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", d.Name, d.Help, d.Name, d.Type)
}

// escape makes a text the value of a label.
var escape = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// appendLabels appends labels with their values, ordered by name.
func appendLabels(b []byte, names, values []string) []byte {
	order := make([]int, len(names))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return strings.Compare(names[i], names[j]) })
	between := byte('{')
	for _, i := range order {
		b = append(b, between)
		b = append(append(append(b, names[i]...), `="`...), escape.Replace(values[i])...)
		b = append(b, '"')
		between = ','
	}
	return append(b, '}')
}
