package main

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/config"
	"github.com/snom2mqtt/snom2mqtt/report"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// reportReadme is in every report.
const reportReadme = `A report of snom2mqtt for a bug report. Passwords, tokens, payloads and codes are ***. Numbers, names and addresses are stand-ins such
as number-1 or phone-2; the same text has the same one in all files of a folder. Look through it before you publish it.
`

func (p *program) reportCommand() *cobra.Command {
	output := ""
	c := &cobra.Command{
		Use:   "report",
		Short: "Write a zip file for a bug report, without secrets",
		Long: `Write a zip file for a bug report: versions, settings, what each phone answers to a
probe without login, and, if the bridge of these settings runs and has its console,
what it knows of each phone, last results and events, health and log.

Passwords, tokens, payloads and codes are left out. Numbers, names and addresses are
replaced by stand-ins such as number-1, the same one for the same text. Look through
the files before you publish them.

Exit codes: 0 written, also where settings or phones have faults; 1 not written.`,
		Example: `  snom2mqtt report
  snom2mqtt report --output - > report.zip`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return p.report(c.Context(), output) },
	}
	c.Flags().StringVar(&output, "output", "", "the `file` to write; - is standard output (default snom2mqtt-report-<time>.zip)")
	return c
}

// report writes the report into a file.
func (p *program) report(ctx context.Context, output string) error {
	var b bytes.Buffer
	if err := p.collect(ctx, &b); err != nil {
		return err
	}
	if output == "-" {
		_, err := p.stdout.Write(b.Bytes())
		return err
	}
	if output == "" {
		output = "snom2mqtt-report-" + time.Now().UTC().Format("20060102-150405") + ".zip"
	}
	if err := os.WriteFile(output, b.Bytes(), 0o600); err != nil {
		return err
	}
	_, err := fmt.Fprintln(p.stdout, output)
	return err
}

// collect writes a report of what can be seen from outside, and of the running bridge.
func (p *program) collect(ctx context.Context, w io.Writer) error {
	c, r, err := p.load(ctx)
	s := standins(c, p.environ)
	files := []report.File{
		{Name: "README.txt", Content: reportReadme}, {Name: "version.json", Content: versionReport()},
		{Name: "settings.json", Content: settingsReport(p.environ)},
	}
	if err != nil {
		files = append(files, report.File{Name: "faults.txt", Content: err.Error() + "\n"})
		return report.Write(w, s, time.Now(), files...)
	}
	files = append(files, report.File{Name: "check.txt", Content: strings.Join(p.warnings(ctx, c), "\n") + "\n"},
		report.File{Name: "probes.json", Content: p.probes(ctx, c, r)})
	running, err := p.runningReport(ctx, c)
	if err != nil {
		files = append(files, report.File{Name: "bridge/missing.txt", Content: err.Error() + "\n"})
	}
	return report.Write(w, s, time.Now(), slices.Concat(files, running)...)
}

// versionReport says what program this is.
func versionReport() map[string]string {
	v, r := versionOf()
	return map[string]string{"version": v, "revision": r, "go": runtime.Version(), "system": runtime.GOOS + "/" + runtime.GOARCH}
}

// settingsReport lists the variables that are set. A secret is ***, and so is a variable that is no setting.
func settingsReport(environ []string) map[string]string {
	open := map[string]bool{}
	for _, s := range config.Settings() {
		open[s.Name] = !s.Secret
	}
	set := map[string]string{}
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, "SNOM2MQTT_") {
			continue
		}
		general := name
		if number, key, ok := strings.Cut(strings.TrimPrefix(name, "SNOM2MQTT_PHONE_"), "_"); ok && number != "" && strings.Trim(number, "0123456789") == "" {
			general = "SNOM2MQTT_PHONE_<n>_" + key
		}
		switch {
		case open[general] && !strings.HasSuffix(general, "USERNAME") && !strings.HasSuffix(general, "_NAME"):
			set[name] = value
		case strings.HasSuffix(name, "_FILE"):
			set[name] = "a file"
		default:
			set[name] = "***"
		}
	}
	return set
}

// standins knows the secrets and the names of the settings.
func standins(c config.Config, environ []string) *report.Standins {
	s := report.NewStandins()
	eachSecret(reflect.ValueOf(c), func(secret config.Secret) { s.Secret(secret.Reveal()) })
	for _, one := range config.Settings() {
		for _, e := range environ { // where the settings have faults there is no Config
			name, value, _ := strings.Cut(e, "=")
			if one.Secret && value != "" && (name == one.Name || strings.HasSuffix(name, strings.TrimPrefix(one.Name, "SNOM2MQTT_PHONE_<n>"))) && strings.HasPrefix(name, "SNOM2MQTT_") {
				s.Secret(value)
			}
		}
	}
	host := func(text string) {
		if u, err := url.Parse(text); err == nil && strings.Trim(u.Hostname(), "0123456789.") != "" {
			s.Learn("host", u.Hostname())
		}
		if u, err := url.Parse(text); err == nil && u.User != nil {
			password, _ := u.User.Password()
			s.Secret(password)
		}
	}
	for _, phone := range c.Roster.Phones {
		s.Learn("phone", phone.Name)
		host(phone.URL)
	}
	for group := range c.Roster.Groups {
		s.Learn("phone", group)
	}
	host(c.MQTT.URL)
	host(c.PhoneBaseURL)
	return s
}

// eachSecret calls f with every secret in a value of the settings.
func eachSecret(v reflect.Value, f func(config.Secret)) {
	switch v.Kind() {
	case reflect.Struct:
		if secret, ok := v.Interface().(config.Secret); ok {
			if !secret.IsZero() {
				f(secret)
			}
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				eachSecret(v.Field(i), f)
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			eachSecret(v.Index(i), f)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			eachSecret(v.MapIndex(k), f)
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() && v.Elem().Kind() == reflect.Struct && strings.HasPrefix(v.Elem().Type().PkgPath(), "github.com/snom2mqtt/") {
			eachSecret(v.Elem(), f)
		}
	default: // has no secret in it
	}
}

// A phoneReport is what one phone of the settings says of itself.
type phoneReport struct {
	Phone string    `json:"phone"`
	URL   string    `json:"url"`
	Set   string    `json:"model_set"`
	Login bool      `json:"login_set"`
	Info  snom.Info `json:"probe"`
	Error string    `json:"error"`
}

// maxProbes limits how many phones of the settings are asked, probesTogether how many at once.
const (
	maxProbes      = 1000
	probesTogether = 16
)

// probes asks the phones of the settings what they are, without a login.
func (p *program) probes(ctx context.Context, c config.Config, r bridge.Roster) []phoneReport {
	all := make([]phoneReport, min(len(c.Roster.Phones), maxProbes))
	turn := make(chan struct{}, probesTogether)
	var asking sync.WaitGroup
	for i := range all {
		phone := c.Roster.Phones[i]
		all[i] = phoneReport{Phone: phone.Name, URL: phone.URL, Set: phone.Model.Name(), Login: phone.Username != ""}
		asking.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			info, err := p.probeOnce(ctx, phone, c.RequestTimeout, r)
			all[i].Info = info
			if err != nil {
				all[i].Error = err.Error()
			}
		})
	}
	asking.Wait()
	return all
}

// probeOnce asks one phone without a login.
func (p *program) probeOnce(ctx context.Context, phone config.Phone, timeout time.Duration, r bridge.Roster) (snom.Info, error) {
	if !strings.HasPrefix(phone.URL, "http") {
		for _, of := range r.Phones {
			if prober, ok := of.Phone.(bridge.Prober); ok && of.Name == phone.Name {
				return prober.Probe(ctx)
			}
		}
		return snom.Info{}, errors.New("it cannot be asked")
	}
	client, err := snom.NewClient(snom.ClientConfig{URL: phone.URL, Timeout: timeout, TLS: snom.TLSConfig{Insecure: true, Legacy: true}})
	if err != nil {
		return snom.Info{}, err
	}
	return client.Probe(ctx)
}

// maxRunning bounds the report of the running bridge, and what each file in it unpacks to.
const maxRunning = 16 << 20

// runningReport asks the running bridge for its report and returns its files.
func (p *program) runningReport(ctx context.Context, c config.Config) (files []report.File, err error) {
	base, err := consoleURL(p.environ)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/api/report", nil)
	if err != nil {
		return nil, err
	}
	if password := c.Console.Password.Reveal(); password != "" {
		request.SetBasicAuth("report", password)
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		return nil, fmt.Errorf("the bridge does not answer: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the console answers %s", response.Status)
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, maxRunning))
	if err != nil {
		return nil, err
	}
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(io.LimitReader(r, maxRunning))
		r.Close()
		if err != nil {
			return nil, err
		}
		files = append(files, report.File{Name: "bridge/" + strings.ReplaceAll(f.Name, "/", "-"), Content: report.Finished(text)})
	}
	return files, nil
}

// report writes what the running bridge knows.
func (s *service) report(_ context.Context, w io.Writer) error {
	names := standins(s.settings, s.environ)
	var log strings.Builder
	if s.journal != nil {
		for _, l := range s.journal.Lines() {
			log.WriteString(l.Text + "\n")
		}
	}
	ready, reason, detail := s.ready()
	health := map[string]any{"ready": ready, "reason": reason, "detail": detail, "started": s.started.UTC(), "features": s.features()}
	if err := s.watchdog.check(); err != nil {
		health["stalled"] = err.Error()
	}
	phones := []map[string]any{}
	for v := range s.bridge.Views() {
		phones = append(phones, map[string]any{"status": v.Status, "waiting": v.Load.Waiting, "locked_out": v.Load.LockedOut, "last_event": v.LastEvent,
			"last_seen": v.LastSeen, "why": v.Why, "model_used": v.Is.Name(), "driver": driverOf(v.Config.Phone)})
	}
	return report.Write(w, names, time.Now(),
		report.File{Name: "version.json", Content: versionReport()}, report.File{Name: "settings.json", Content: settingsReport(s.environ)},
		report.File{Name: "health.json", Content: health}, report.File{Name: "phones.json", Content: phones}, report.File{Name: "log.txt", Content: log.String()})
}

// driverOf says how a phone is driven.
func driverOf(phone bridge.Phone) string { return strings.TrimPrefix(fmt.Sprintf("%T", phone), "*") }
