package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"iter"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/broker"
	"github.com/snom2mqtt/snom2mqtt/config"
	"github.com/snom2mqtt/snom2mqtt/console"
	"github.com/snom2mqtt/snom2mqtt/fetch"
	"github.com/snom2mqtt/snom2mqtt/homeassistant"
	"github.com/snom2mqtt/snom2mqtt/internal/netlimit"
	"github.com/snom2mqtt/snom2mqtt/metrics"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/mqtt/paho3"
	"github.com/snom2mqtt/snom2mqtt/mqtt/session"
	"github.com/snom2mqtt/snom2mqtt/pages"
	"github.com/snom2mqtt/snom2mqtt/picture"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
	"github.com/snom2mqtt/snom2mqtt/statefile"
)

func (p *program) runCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Run the bridge (the default without a subcommand)",
		Long: `Run the bridge until SIGINT or SIGTERM. Then it finishes the requests under way,
answers waiting commands and publishes offline. SIGHUP reads the phones file again.

Settings are environment variables; docs/settings.md lists them, and
snom2mqtt check reports every error in them. The log goes to standard error.

Exit codes: 0 stopped by a signal, 1 failed while running, 2 wrong settings.`,
		Example: `  SNOM2MQTT_PHONES_FILE=phones.yml snom2mqtt run
  SNOM2MQTT_PHONES_FILE=phones.yml SNOM2MQTT_BROKER_LISTEN=127.0.0.1:1883 snom2mqtt run`,
		Args: noArgs,
		RunE: p.bridge,
	}
}

// bridge is the main job: settings in, phones driven until the context ends.
func (p *program) bridge(c *cobra.Command, _ []string) error {
	settings, phones, err := p.load(c.Context())
	if err != nil {
		return err
	}
	p.tuneRuntime(len(phones.Phones))
	level := &slog.LevelVar{}
	level.Set(settings.LogLevel)
	s, err := newService(settings, phones, p.drivers, level, p.log)
	if err != nil {
		return err
	}
	s.environ = p.environ
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	return s.run(c.Context(), hup)
}

// A service is the bridge with everything around it, bound and ready to run.
type service struct {
	settings  config.Config
	log       *slog.Logger
	lines     *spooler // what log writes to
	process   string   // names this process and no other
	bridge    *bridge.Bridge
	session   *session.Session
	broker    *broker.Broker           // nil: another one is used
	console   *netlimit.Listener       // nil: none
	actions   *actionServer            // where phones report their events; nil: nowhere
	sensors   *sensorServer            // receives syslog of phones; nil: none
	discovery *homeassistant.Publisher // for Home Assistant; nil: off
	state     *statefile.Store         // what phones reported, across restarts
	metrics   *metrics.Metrics
	reporter  *reporter // of bridge/health and bridge/phones
	watchdog  *watchdog
	drivers   *drivers // what phones driven by SIP share

	journal *console.Journal // the last lines of the log; nil: there is no console
	started time.Time
	environ []string // what the settings were read from

	reloading sync.Mutex    // held for one reload at a time
	digests   digestMemory  // of the last reload; guarded by reloading
	faults    settingFaults // has a mutex of its own
}

// newService binds what has to be bound, so that a port that is taken is known at once.
func newService(settings config.Config, phones bridge.Roster, d *drivers, level *slog.LevelVar, lines *spooler) (s *service, err error) {
	var journal *console.Journal
	if settings.Console.Listen != "" {
		journal = &console.Journal{}
		lines.keep(journal)
	}
	log := lines.logger(settings.LogFormat, level)
	logStart(log, settings)
	s = &service{
		settings: settings, log: log, lines: lines, process: processName(), state: openState(settings, log), drivers: d,
		journal: journal, started: time.Now(),
	}
	s.faults.set(settings.Warnings, nil)
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if settings.StateDirectory != "" { // then something may be known of the phones' logins
		if phones, err = roster(settings, settings.Roster, newDigestMemory(s.state, nil, digestMemory{}), d); err != nil {
			return s, usageError{err}
		}
	}
	tree, err := mqtt.NewTree(settings.BaseTopic, settings.Instance)
	if err != nil {
		return s, usageError{err}
	}
	if err = s.listen(); err != nil {
		return s, err
	}
	s.settings.Roster = config.Roster{} // all parts have what they need of it
	s.session, err = s.newSession(tree)
	if err != nil {
		return s, usageError{err}
	}
	v, revision := versionOf()
	s.metrics = s.newMetrics(v, revision)
	s.reporter = newReporter(s)
	s.bridge = bridge.New(s.bridgeConfig(tree, level, v), phones)
	s.discovery = s.newDiscovery(tree)
	s.watchdog = newWatchdog(s.bridge.Alive, s.status, log)
	return s, nil
}

// listen opens every port that the settings name.
func (s *service) listen() (err error) {
	settings := &s.settings
	if settings.BrokerListen != "" {
		s.broker, err = broker.Listen(broker.Config{
			Addr: settings.BrokerListen, Username: settings.MQTT.Username, Password: settings.MQTT.Password.Reveal(),
			Descriptors: listenerShare(), Log: s.log,
		})
		if err != nil {
			return err
		}
	}
	if err = s.drivers.open(settings.Roster); err != nil {
		return err
	}
	if s.console, err = listenConsole(settings.Console, s.log); err != nil {
		return err
	}
	s.actions, err = listenForActions(*settings, container(os.DirFS("/"), os.Environ()), s.events(), s.log)
	if err != nil {
		return err
	}
	s.sensors, err = listenForSensors(*settings, func() *bridge.Bridge { return s.bridge }, s.log)
	return err
}

// bridgeConfig is what the bridge is made of. The parts that it uses exist.
func (s *service) bridgeConfig(tree mqtt.Tree, level *slog.LevelVar, version string) bridge.Config {
	settings := &s.settings
	cfg := bridge.Config{
		Tree: tree, Publish: s.session, Log: s.log, Level: level, Version: version, Process: s.process, Features: s.features(),
		Rules: rules(*settings), QueueLength: settings.QueueLength, Gap: settings.CommandGap,
		PollEvery: settings.AvailabilityInterval, AskEvery: settings.AskEvery, CallTimeout: settings.CallTimeout,
		Reload: s.reload, OnChange: func() { s.discovery.Changed(); s.reporter.changed() },
		OnStandby: func(standby bool) { s.session.Announce(!standby); s.reporter.replaced() }, OnSuspend: s.session.Suspended, Room: s.session.Room,
		RingTimeout: settings.RingTimeout, Events: s.actions != nil, HoldStatus: true, Observe: s.metrics,
	}
	if s.state.Lasting() {
		cfg.Remembered = s.remembered
	}
	if s.actions != nil {
		cfg.ActionURLs, cfg.CheckURLs = s.actions.actionURLs, true
		cfg.Pages, cfg.PageURL = &s.actions.pages, s.actions.pageURL
		cfg.Pictures, cfg.Scaler, cfg.PIN = &fetch.Shared{Rules: s.actions.pictures()}, &picture.Scaler{}, pins(settings.PhonesFile)
	}
	cfg.Speaker = newAnnouncer(s.settings, func() []bridge.PhoneConfig { return s.bridge.Phones() })
	return cfg
}

// events passes what phones report to the bridge, which exists before they are served.
func (s *service) events() eventTaker {
	return eventTaker{
		event: func(phone string, e actionurl.Event) { s.bridge.Event(phone, e) },
		answer: func(ctx context.Context, phone string, e actionurl.Event) pages.Reply {
			return s.bridge.Answer(ctx, phone, e)
		},
	}
}

// newMetrics counts for Prometheus. It asks the bridge, which exists before metrics are requested.
func (s *service) newMetrics(version, revision string) *metrics.Metrics {
	c := metrics.Config{
		Version: version, Revision: revision, Log: s.log,
		Loads: func() iter.Seq[bridge.Load] { return s.bridge.Loads() },
		Session: func() metrics.Session {
			st := s.session.Status()
			return metrics.Session{
				Connected: st.Connected, Online: st.Proven, TakenOver: st.TakenOver,
				Reconnects: st.Reconnects, Waiting: st.Waiting, Dropped: st.Dropped,
			}
		},
	}
	c.LogDropped = s.lines.droppedWrites
	c.Refused = s.refused
	c.SIP = func() (metrics.SIP, bool) {
		st, open := s.drivers.sip.Stats()
		return metrics.SIP(st), open
	}
	if s.broker != nil {
		c.Broker = func() metrics.Broker {
			st := s.broker.Stats()
			return metrics.Broker{Sessions: st.Sessions, Retained: st.Retained, Slow: st.Slow}
		}
	}
	if s.sensors != nil {
		c.Syslog = func() metrics.Syslog { return metrics.Syslog(s.sensors.server.Stats()) }
	}
	if s.actions != nil {
		c.Calls = func() metrics.Calls { return metrics.Calls(s.actions.web.Stats()) }
	}
	return metrics.New(c)
}

// refused counts the connections that were closed before a login, by listener.
func (s *service) refused() map[string]uint64 {
	n := map[string]uint64{}
	if s.console != nil {
		n["console"] = s.console.Refused()
	}
	if s.broker != nil {
		n["broker"] = s.broker.Stats().Refused
	}
	return n
}

// newSession returns the session with the broker.
func (s *service) newSession(tree mqtt.Tree) (*session.Session, error) {
	m := s.settings.MQTT
	url, tls := m.URL, m.TLS
	var open func(context.Context) (net.Conn, error)
	if s.broker != nil { // reached in memory: its other clients cannot keep the bridge out
		url, tls, open = "tcp://"+s.broker.Addr().String(), nil, s.broker.Dial
	}
	return session.New(session.Config{
		URL: url, Username: m.Username, Password: m.Password.Reveal(), ClientID: m.ClientID, TLS: tls, Open: open,
		Tree: tree, Driver: paho3.Driver{}, Minimal: bridge.Minimal, Log: s.log,
	})
}

// features names what is switched on, for bridge/info.
func (s *service) features() []string {
	f := []string{"commands", "availability"}
	if s.actions != nil {
		f = append(f, "events")
	}
	if s.broker != nil {
		f = append(f, "broker")
	}
	if s.console != nil {
		f = append(f, "console")
	}
	if s.settings.HomeAssistant {
		f = append(f, "homeassistant")
	}
	return f
}

// stopTimeout is how long the end of the service may take. Of it the action server has 1 s for requests under way, the
// bridge 3.5 s for requests to phones, and the session 2.5 s for what it has to publish. Docker, systemd and Kubernetes
// are set to wait longer (compose: stop_grace_period, systemd: TimeoutStopSec, Kubernetes: terminationGracePeriodSeconds).
const stopTimeout = 7500 * time.Millisecond

// run serves until ctx ends, or until a task fails.
func (s *service) run(ctx context.Context, hup <-chan os.Signal) error {
	defer s.close()
	err := runTasks(ctx, s.tasks(hup), stopTimeout)
	s.log.Info("stopped")
	return err
}

// tasks lists the parts of the service. Their order lets the last answers out: first no event comes any more, then the
// bridge ends, then the session, then the broker.
func (s *service) tasks(hup <-chan os.Signal) []task {
	var all []task
	if s.broker != nil {
		all = append(all, task{name: "broker", run: s.broker.Run})
	}
	all = append(all,
		task{name: "state", run: s.state.Run},
		task{name: "mqtt", run: func(ctx context.Context) error { return s.session.Run(ctx, router{s}) }},
		task{name: "bridge", run: s.bridge.Run},
		task{name: "discovery", with: true, run: s.discovery.Run},
		task{name: "health", with: true, run: infallible(s.reporter.run)},
		task{name: "watchdog", with: true, run: infallible(s.watchdog.run)},
		task{name: "memory", with: true, run: infallible(releaseMemory)},
		task{name: "reload", with: true, run: func(ctx context.Context) error { return s.reloadOn(ctx, hup) }},
	)
	if s.console != nil {
		all = append(all, task{name: "console", with: true, run: s.serveConsole})
	}
	if s.actions != nil {
		all = append(all, task{name: "action URLs", run: s.actions.serve})
	}
	if s.sensors != nil {
		all = append(all, task{name: "syslog", with: s.actions != nil, run: s.sensors.serve})
	}
	return append(all, task{name: "log of the stop", run: infallible(s.logStop)}) // the last task stops first
}

// logStop logs that ctx has ended.
func (s *service) logStop(ctx context.Context) {
	<-ctx.Done()
	s.log.Info("stopping")
}

// ready reports whether commands are taken and answered, and if not, why: for any client, and in detail.
func (s *service) ready() (ok bool, reason, detail string) {
	other := s.bridge.Standby()
	switch st := s.session.Status(); {
	case st.Proven && other != "":
		return false, "standby: another bridge uses the same topics and was first", other
	case st.Proven && len(st.Refused) > 0:
		return true, "", "without subscriptions that the broker refuses: " + strings.Join(st.Refused, ", ")
	case st.Proven:
		return true, "", ""
	case st.Connected:
		return false, "connected, but the broker does not deliver the bridge's own messages: see its access rules", st.LastError
	default:
		return false, "waiting for the broker", st.LastError
	}
}

// status is what systemctl status shows.
func (s *service) status() string {
	switch ok, reason, detail := s.ready(); {
	case ok && detail != "":
		return "taking commands, " + detail
	case ok:
		return "taking commands"
	case detail != "":
		return reason + ": " + detail
	default:
		return reason
	}
}

// close closes the listeners and sockets that were opened, also those that have not been served.
func (s *service) close() {
	if s.console != nil {
		_ = s.console.Close() // closed already where it was served
	}
	if s.actions != nil {
		_ = s.actions.listener.Close() // likewise
	}
	if s.sensors != nil {
		_ = s.sensors.server.Close() // likewise
	}
	if s.broker != nil {
		s.broker.Close()
	}
	s.drivers.close()
}

// processName makes a name that no other process has.
func processName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	b := make([]byte, 4)
	_, _ = rand.Read(b) // never fails
	return host + "-" + hex.EncodeToString(b)
}
