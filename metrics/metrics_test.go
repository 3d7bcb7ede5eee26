package metrics_test

import (
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/metrics"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// newMetrics returns metrics of a bridge with these phones, a session and callers.
func newMetrics(loads *[]bridge.Load) *metrics.Metrics {
	return metrics.New(metrics.Config{
		Version: "1.2.3", Revision: "abc", Log: slog.New(slog.DiscardHandler),
		Loads: func() iter.Seq[bridge.Load] { return slices.Values(*loads) },
		Session: func() metrics.Session {
			return metrics.Session{Connected: true, Online: true, Reconnects: 2, Waiting: 3, Dropped: 4}
		},
		Calls: func() metrics.Calls {
			return metrics.Calls{Accepted: 1, WrongToken: 2, WrongSource: 3, Limited: 4, Malformed: 5, Dropped: 6}
		},
		Refused:    func() map[string]uint64 { return map[string]uint64{"console": 7} },
		Broker:     func() metrics.Broker { return metrics.Broker{Sessions: 8, Retained: 9, Slow: 10} },
		LogDropped: func() uint64 { return 11 },
		SIP: func() (metrics.SIP, bool) {
			return metrics.SIP{Answers: 12, Unmatched: 13, Requests: 14, Malformed: 15}, true
		},
		Syslog: func() metrics.Syslog { return metrics.Syslog{Readings: 16, Others: 17, Foreign: 18} },
	})
}

// scrape asks as Prometheus does.
func scrape(tb testing.TB, m *metrics.Metrics) string {
	tb.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		tb.Fatalf("GET /metrics = %d %s, expected 200", w.Code, w.Body)
	}
	return w.Body.String()
}

// families reads what was scraped.
func families(tb testing.TB, text string) map[string]*dto.MetricFamily {
	tb.Helper()
	p := expfmt.NewTextParser(model.LegacyValidation)
	all, err := p.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		tb.Fatalf("%v in\n%s", err, text)
	}
	return all
}

// TestWhatIsCounted: what the bridge reports, and what is asked for, stands in the text with its labels.
func TestWhatIsCounted(t *testing.T) {
	t.Parallel()
	loads := []bridge.Load{
		{Phone: "desk", Reachable: bridge.SwitchOn, Waiting: 3},
		{Phone: "hall", Reachable: bridge.SwitchOff, LockedOut: true},
		{Phone: "new"},
	}
	m := newMetrics(&loads)
	m.Result(bridge.Result{Phone: "desk", Code: bridge.OK, Requests: 2})
	m.Result(bridge.Result{Phone: "desk", Code: bridge.OK, Requests: 1})
	m.Result(bridge.Result{Phone: "hall", Code: bridge.LockedOut})
	m.Result(bridge.Result{Code: bridge.UnknownPhone})
	m.Sent(snom.VerbDial, 30*time.Millisecond, 40*time.Millisecond)
	m.Sent(snom.VerbKey, 0, 2*time.Second)
	m.Event(actionurl.Event{Type: actionurl.EventIncoming})
	text := scrape(t, m)
	for _, want := range []string{
		`snom2mqtt_commands_total{code="ok",phone="desk"} 2`,
		`snom2mqtt_commands_total{code="locked_out",phone="hall"} 1`,
		`snom2mqtt_commands_total{code="ok",phone="hall"} 0`,
		`snom2mqtt_commands_total{code="ok",phone="new"} 0`,
		`snom2mqtt_commands_total{code="unknown_phone",phone=""} 1`,
		`snom2mqtt_phone_requests_total 3`,
		`snom2mqtt_command_queue_seconds_sum 0.03`,
		`snom2mqtt_command_queue_seconds_count 2`,
		`snom2mqtt_command_duration_seconds_bucket{command="dial",le="0.025"} 0`,
		`snom2mqtt_command_duration_seconds_bucket{command="dial",le="0.05"} 1`,
		`snom2mqtt_command_duration_seconds_sum{command="key"} 2`,
		`snom2mqtt_commands_waiting 3`,
		`snom2mqtt_queue_length{phone="desk"} 3`,
		`snom2mqtt_queue_length{phone="new"} 0`,
		`snom2mqtt_phones{state="up"} 1`,
		`snom2mqtt_phones{state="down"} 1`,
		`snom2mqtt_phones{state="unknown"} 1`,
		`snom2mqtt_phone_up{phone="desk"} 1`,
		`snom2mqtt_phone_up{phone="hall"} 0`,
		`snom2mqtt_phones_left_alone 1`,
		`snom2mqtt_breaker_open{phone="hall"} 1`,
		`snom2mqtt_breaker_open{phone="desk"} 0`,
		`snom2mqtt_events_total{event_type="incoming"} 1`,
		`snom2mqtt_syslog_datagrams_total{kind="reading"} 16`,
		`snom2mqtt_syslog_datagrams_total{kind="other"} 17`,
		`snom2mqtt_syslog_datagrams_total{kind="foreign"} 18`,
		`snom2mqtt_sip_datagrams_total{kind="answer"} 12`,
		`snom2mqtt_sip_datagrams_total{kind="unmatched"} 13`,
		`snom2mqtt_sip_datagrams_total{kind="request"} 14`,
		`snom2mqtt_sip_datagrams_total{kind="malformed"} 15`,
		`snom2mqtt_action_url_requests_total{outcome="accepted"} 1`,
		`snom2mqtt_action_url_requests_total{outcome="wrong_token"} 2`,
		`snom2mqtt_action_url_requests_total{outcome="wrong_address"} 3`,
		`snom2mqtt_action_url_requests_total{outcome="too_many"} 4`,
		`snom2mqtt_action_url_requests_total{outcome="not_understood"} 5`,
		`snom2mqtt_action_url_requests_total{outcome="dropped"} 6`,
		`snom2mqtt_mqtt_connected 1`,
		`snom2mqtt_mqtt_online 1`,
		`snom2mqtt_mqtt_taken_over 0`,
		`snom2mqtt_mqtt_reconnects_total 2`,
		`snom2mqtt_mqtt_publishes_waiting 3`,
		`snom2mqtt_mqtt_publishes_dropped_total 4`,
		`snom2mqtt_connections_refused_total{listener="console"} 7`,
		`snom2mqtt_broker_sessions 8`,
		`snom2mqtt_broker_retained_bytes 9`,
		`snom2mqtt_broker_clients_dropped_total 10`,
		`snom2mqtt_log_lines_dropped_total 11`,
		`snom2mqtt_build_info{goversion="` + runtime.Version() + `",revision="abc",version="1.2.3"} 1`,
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("no line %s", want)
		}
	}
	if strings.Contains(text, `snom2mqtt_phone_up{phone="new"}`) {
		t.Error("of a phone that was never polled it says whether it is up")
	}
	if t.Failed() {
		t.Log(text)
	}
}

// TestTheTable: what is scraped is what the table lists, with its type and its labels, and is named as
// Prometheus wants it.
func TestTheTable(t *testing.T) {
	t.Parallel()
	loads := []bridge.Load{{Phone: "desk", Reachable: bridge.SwitchOn}}
	m := newMetrics(&loads)
	m.Sent(snom.VerbDial, 0, 0)
	m.Event(actionurl.Event{Type: actionurl.EventIncoming})
	text := scrape(t, m)
	all := families(t, text)
	for _, d := range metrics.Docs() {
		f := all[d.Name]
		if f == nil {
			t.Errorf("%s is in the table and not scraped", d.Name)
			continue
		}
		if got := strings.ToLower(f.GetType().String()); got != d.Type {
			t.Errorf("%s is a %s, expected %s", d.Name, got, d.Type)
		}
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		want := slices.Sorted(slices.Values(d.Labels))
		if !slices.Equal(labels, want) {
			t.Errorf("%s has the labels %q, expected %q", d.Name, labels, want)
		}
	}
	for name := range all {
		library := strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_")
		if !library && !slices.ContainsFunc(metrics.Docs(), func(d metrics.Doc) bool { return d.Name == name }) {
			t.Errorf("%s is scraped and not in the table", name)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "snom2mqtt_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// TestManyPhones: those that have nothing to tell are not there, and those that go take theirs along.
func TestManyPhones(t *testing.T) {
	t.Parallel()
	var loads []bridge.Load
	for i := range 5000 {
		loads = append(loads, bridge.Load{Phone: fmt.Sprintf("desk-%04d", i), Reachable: bridge.SwitchOn})
	}
	m := newMetrics(&loads)
	quiet := len(families(t, scrape(t, m)))
	if n := strings.Count(scrape(t, m), "\nsnom2mqtt_"); n > 60 {
		t.Errorf("%d metrics of 5000 quiet phones, expected a few", n)
	}
	m.Result(bridge.Result{Phone: "desk-0007", Code: bridge.Timeout})
	loads[8].Waiting, loads[9].LockedOut, loads[10].Reachable = 1, true, bridge.SwitchOff
	text := scrape(t, m)
	for metric, phone := range map[string]string{
		`snom2mqtt_commands_total{code="timeout",phone=%q} 1`: "desk-0007",
		`snom2mqtt_queue_length{phone=%q} 1`:                  "desk-0008",
		`snom2mqtt_breaker_open{phone=%q} 1`:                  "desk-0009",
		`snom2mqtt_phone_up{phone=%q} 0`:                      "desk-0010",
	} {
		if want := fmt.Sprintf(metric, phone); !strings.Contains(text, want) {
			t.Errorf("no line %s", want)
		}
	}
	if got := strings.Count(text, `phone="desk-`); got != 4 {
		t.Errorf("%d metrics of phones, expected 4", got)
	}
	if got := len(families(t, text)); got != quiet+4 {
		t.Errorf("%d families, expected %d", got, quiet+4)
	}
	loads = loads[:1]
	if text := scrape(t, m); strings.Contains(text, "desk-0007") {
		t.Error("a phone that went has metrics")
	}
}

// TestManyAtOnce counts while it is asked.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	loads := []bridge.Load{{Phone: "a"}, {Phone: "b"}}
	m := newMetrics(&loads)
	const each = 1000
	var all sync.WaitGroup
	for _, phone := range []string{"a", "b", "a", "b"} {
		all.Go(func() {
			for range each {
				m.Result(bridge.Result{Phone: phone, Code: bridge.OK})
				m.Sent(snom.VerbKey, 0, 0)
				m.Event(actionurl.Event{Type: actionurl.EventOffhook})
			}
		})
	}
	for range 20 {
		scrape(t, m)
	}
	all.Wait()
	text := scrape(t, m)
	for _, want := range []string{`snom2mqtt_commands_total{code="ok",phone="a"} 2000`, `snom2mqtt_commands_total{code="ok",phone="b"} 2000`,
		`snom2mqtt_command_queue_seconds_count 4000`, `snom2mqtt_events_total{event_type="offhook"} 4000`} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no line %s", want)
		}
	}
}

// TestWithoutPhonesThatCall: where phones cannot tell anything, nothing is said of that.
func TestWithoutPhonesThatCall(t *testing.T) {
	t.Parallel()
	m := metrics.New(metrics.Config{Log: slog.New(slog.DiscardHandler),
		Loads: func() iter.Seq[bridge.Load] { return slices.Values([]bridge.Load(nil)) }, Session: func() metrics.Session { return metrics.Session{} }})
	if text := scrape(t, m); strings.Contains(text, "events_total") || strings.Contains(text, "action_url") {
		t.Errorf("it says something of events:\n%s", text)
	}
}

// TestLabels: a value may contain anything.
func TestLabels(t *testing.T) {
	t.Parallel()
	const odd = "1.2 \"a\" \\ b\nc {d=\"e\"}"
	m := metrics.New(metrics.Config{Version: odd, Revision: odd, Log: slog.New(slog.DiscardHandler),
		Loads: func() iter.Seq[bridge.Load] { return slices.Values([]bridge.Load(nil)) }, Session: func() metrics.Session { return metrics.Session{} }})
	for _, l := range families(t, scrape(t, m))["snom2mqtt_build_info"].GetMetric()[0].GetLabel() {
		if l.GetName() != "goversion" && l.GetValue() != odd {
			t.Errorf("the label %s is %q, expected %q", l.GetName(), l.GetValue(), odd)
		}
	}
}

// TestScrapesAreBounded: of many scrapes at the same time, two are answered.
func TestScrapesAreBounded(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	m := metrics.New(metrics.Config{Log: slog.New(slog.DiscardHandler),
		Loads: func() iter.Seq[bridge.Load] {
			entered <- struct{}{}
			<-release
			return slices.Values([]bridge.Load(nil))
		},
		Session: func() metrics.Session { return metrics.Session{} }})
	var two sync.WaitGroup
	for range 2 {
		two.Go(func() { scrape(t, m) })
		<-entered
	}
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("the third one is answered %d, expected 503", w.Code)
	}
	close(release)
	two.Wait()
}

// BenchmarkScrape is what one look of Prometheus costs.
func BenchmarkScrape(b *testing.B) {
	for _, phones := range []int{1, 100, 1000, 10_000} {
		for _, busy := range []bool{false, true} {
			b.Run(fmt.Sprintf("phones=%d/busy=%v", phones, busy), func(b *testing.B) {
				var loads []bridge.Load
				for i := range phones {
					loads = append(loads, bridge.Load{Phone: fmt.Sprintf("desk-%05d", i), Reachable: bridge.SwitchOn})
				}
				m := newMetrics(&loads)
				if busy {
					for _, l := range loads {
						m.Result(bridge.Result{Phone: l.Phone, Code: bridge.OK})
					}
				}
				h := m.Handler()
				var size int64
				b.ReportAllocs()
				for b.Loop() {
					w := httptest.NewRecorder()
					h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
					size, _ = io.Copy(io.Discard, w.Body)
				}
				b.ReportMetric(float64(size), "bytes")
			})
		}
	}
}

// BenchmarkResult is what counting costs a command.
func BenchmarkResult(b *testing.B) {
	var loads []bridge.Load
	m := newMetrics(&loads)
	b.ReportAllocs()
	for b.Loop() {
		m.Result(bridge.Result{Phone: "desk", Code: bridge.OK})
		m.Sent(snom.VerbDial, time.Millisecond, 20*time.Millisecond)
	}
}
