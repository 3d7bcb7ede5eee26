package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/snom2mqtt/snom2mqtt/config"
	"github.com/snom2mqtt/snom2mqtt/console"
	"github.com/snom2mqtt/snom2mqtt/internal/netlimit"
)

// listenConsole binds the console. If its default address is in use, the bridge runs without a console.
func listenConsole(c config.Console, log *slog.Logger) (*netlimit.Listener, error) {
	if c.Listen == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil && c.Default {
		log.Warn("no console: its default address is taken; set SNOM2MQTT_CONSOLE_LISTEN", slog.String("from", c.Listen), slog.Any("err", err))
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	log.Info("console", slog.String("from", l.Addr().String()))
	return netlimit.New(l, console.Limits().Within(listenerShare())), nil
}

// serveConsole serves the console until ctx ends.
func (s *service) serveConsole(ctx context.Context) error {
	v, revision := versionOf()
	return console.Serve(ctx, s.console, console.Config{
		Ready: s.ready, Alive: s.watchdog.check, Metrics: s.metrics.Handler(),
		Password: s.settings.Console.Password.Reveal(), Ingress: s.settings.Console.Ingress, ReadOnly: s.settings.Console.ReadOnly, Log: s.log,
		Bridge: s.bridge, Tree: s.session.Tree(), BrokerFlags: s.brokerFlags(), Journal: s.journal, Faults: s.faults.list, Report: s.report,
		About: console.About{Version: v, Revision: revision, Go: runtime.Version(), Started: s.started, Features: s.features()},
	})
}

// brokerFlags are the flags by which mosquitto_pub reaches the broker, without a password.
func (s *service) brokerFlags() string {
	m := s.settings.MQTT
	u, err := url.Parse(m.URL)
	if s.broker != nil {
		u, err = &url.URL{Scheme: "tcp", Host: s.broker.Addr().String()}, nil
	}
	if err != nil {
		return ""
	}
	flags := "-h " + u.Hostname()
	if u.Port() != "" {
		flags += " -p " + u.Port()
	}
	if u.Scheme == "ssl" {
		flags += " --tls-use-os-certs"
	}
	if m.Username != "" && !strings.ContainsAny(m.Username, "'\\") {
		flags += " -u '" + m.Username + `' -P "$MQTT_PASSWORD"`
	}
	return flags
}

// settingFaults are what is wrong with the settings as they are: warnings, and why the phones file was not read again.
type settingFaults struct {
	mu  sync.Mutex
	all []string // guarded by mu
}

// set replaces them. With an error, the warnings stay.
func (f *settingFaults) set(warnings []config.Fault, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.all = []string{"the phones file was not read again, and the phones are those of before: " + err.Error()}
		return
	}
	f.all = nil
	for _, w := range warnings {
		f.all = append(f.all, w.Error())
	}
}

func (f *settingFaults) list() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.all)
}
