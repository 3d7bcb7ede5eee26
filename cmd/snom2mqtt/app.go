package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/snom2mqtt/snom2mqtt/internal/textfile"
)

// An app describes where the bridge runs as an app of Home Assistant's Supervisor.
type app struct {
	data       string // folder with options.json; it lasts
	supervisor string // address of the Supervisor
	listen     string // where phones call; the port that config.yaml publishes
	user       string // uid:gid that the bridge runs as; empty: as it was started
}

func (p *program) appCommand() *cobra.Command {
	a := app{}
	c := &cobra.Command{
		Use:   "app",
		Short: "Run the bridge as an app (add-on) of Home Assistant",
		Long: `Run the bridge as an app of Home Assistant's Supervisor, formerly called an add-on.
The settings come from the app's configuration, options.json; the broker is that of
the Supervisor, unless the configuration names another one. examples/homeassistant-app
is the app. Environment variables apply too; the configuration overrides them.`,
		Hidden: true, // the Supervisor starts it, not a person
		Args:   noArgs,
		RunE: func(c *cobra.Command, args []string) error {
			environ, err := a.environ(c.Context(), p.environ)
			if err != nil {
				return usageError{err}
			}
			if err := a.dropRoot(); err != nil {
				return fmt.Errorf("app: %w", err)
			}
			inner := &program{environ: environ, stdout: p.stdout, stderr: p.stderr, log: p.log}
			err = inner.bridge(c, args)
			if errors.As(err, &usageError{}) {
				err = usageError{fmt.Errorf("%w\n\nThese are options of the app: PHONE_0 is the first phone, MQTT_URL is mqtt_url, and so on", err)}
			}
			return err
		},
	}
	c.Flags().StringVar(&a.data, "data", "/data", "folder with options.json")
	c.Flags().StringVar(&a.supervisor, "supervisor", "http://supervisor", "address of the Supervisor")
	c.Flags().StringVar(&a.listen, "listen", "0.0.0.0:8095", "where phones call")
	c.Flags().StringVar(&a.user, "user", "", "uid:gid to run as, once the configuration is read")
	return c
}

// dropRoot makes the process that of the app's user, permanently: the folder of the app belongs to root, and
// only the configuration is to stay so. The folder and what the bridge has written into it become that user's.
func (a app) dropRoot() error {
	if a.user == "" || os.Geteuid() != 0 {
		return nil
	}
	user, group, _ := strings.Cut(a.user, ":")
	uid, err := strconv.Atoi(user)
	gid, errGroup := strconv.Atoi(group)
	if err := cmp.Or(err, errGroup); err != nil {
		return fmt.Errorf("--user %q: expected numbers such as 65532:65532", a.user)
	}
	files, err := os.ReadDir(a.data)
	if err != nil {
		return err
	}
	own := []string{a.data}
	for _, f := range files {
		if f.Type().IsRegular() && f.Name() != "options.json" {
			own = append(own, filepath.Join(a.data, f.Name()))
		}
	}
	for _, name := range own {
		if err := os.Lchown(name, uid, gid); err != nil {
			return err
		}
	}
	return become(uid, gid)
}

// appOptions are the options of the app, as its config.yaml describes them.
type appOptions struct {
	Phones []struct {
		Name     string `json:"name"`
		URL      string `json:"url"`
		Username string `json:"username"`
		Password string `json:"password"`
		Model    string `json:"model"`
		Allow    string `json:"allow"`
	} `json:"phones"`
	PhonesCall   string   `json:"phones_call"`
	MQTTURL      string   `json:"mqtt_url"`
	MQTTUsername string   `json:"mqtt_username"`
	MQTTPassword string   `json:"mqtt_password"`
	LogLevel     string   `json:"log_level"`
	Settings     []string `json:"settings"`
}

// environ returns the given environment with the options as settings on top.
func (a app) environ(ctx context.Context, environ []string) ([]string, error) {
	text, err := new(textfile.Reader).Read(ctx, filepath.Join(a.data, "options.json"), 1<<20)
	if err != nil {
		return nil, fmt.Errorf("app: options.json: %w", err)
	}
	var o appOptions
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var odd *json.UnmarshalTypeError
	switch err := d.Decode(&o); {
	case errors.As(err, &odd):
		return nil, fmt.Errorf("app: options.json: %s is a %s, expected the type that the app's configuration describes", strings.TrimPrefix(odd.Field, "."), odd.Value)
	case err != nil:
		return nil, fmt.Errorf("app: options.json: %w", err)
	}
	set := func(name, value string) {
		if value != "" {
			environ = append(environ, "SNOM2MQTT_"+name+"="+value) // of two, the last one counts
		}
	}
	set("STATE_DIRECTORY", a.data)
	for i, phone := range o.Phones {
		at := "PHONE_" + strconv.Itoa(i) + "_"
		set(at+"NAME", phone.Name)
		set(at+"URL", phone.URL)
		set(at+"USERNAME", phone.Username)
		set(at+"PASSWORD", phone.Password)
		set(at+"MODEL", phone.Model)
		set(at+"ALLOW", strings.Join(strings.Fields(phone.Allow), ","))
	}
	if o.PhonesCall != "" {
		secret, err := a.secret()
		if err != nil {
			return nil, fmt.Errorf("app: %w", err)
		}
		set("PHONE_LISTEN", a.listen)
		set("PHONE_BASE_URL", o.PhonesCall)
		set("PHONE_TOKEN_SECRET_FILE", secret)
	}
	if o.MQTTURL == "" {
		if o.MQTTURL, o.MQTTUsername, o.MQTTPassword, err = a.broker(ctx, environ); err != nil {
			return nil, err
		}
	}
	set("MQTT_URL", o.MQTTURL)
	set("MQTT_USERNAME", o.MQTTUsername)
	set("MQTT_PASSWORD", o.MQTTPassword)
	set("LOG_LEVEL", o.LogLevel)
	for i, s := range o.Settings {
		name, value, ok := strings.Cut(s, "=")
		if !ok { // it may be a secret, so it is not repeated
			return nil, fmt.Errorf("app: option settings: line %d has no =, expected lines such as COMMAND_TTL=10s", i+1)
		}
		set(strings.TrimPrefix(name, "SNOM2MQTT_"), value)
	}
	return lastOfEach(environ), nil
}

// lastOfEach returns the last setting of each variable.
func lastOfEach(environ []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, e := range slices.Backward(environ) {
		if name, _, _ := strings.Cut(e, "="); !seen[name] {
			seen[name] = true
			out = append(out, e)
		}
	}
	slices.Reverse(out)
	return out
}

// secret returns the path of the file that the tokens of phones are derived from. It is made once.
func (a app) secret() (string, error) {
	name := filepath.Join(a.data, "token-secret")
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return name, nil
	}
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(rand.Text())
	return name, cmp.Or(err, f.Close())
}

// broker asks the Supervisor for its broker.
func (a app) broker(ctx context.Context, environ []string) (address, username, password string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	fail := func(err error) (string, string, string, error) {
		return "", "", "", fmt.Errorf("app: no broker: install the app Mosquitto, or set the option mqtt_url: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.supervisor+"/services/mqtt", nil)
	if err != nil {
		return fail(err)
	}
	for _, e := range environ {
		if token, ok := strings.CutPrefix(e, "SUPERVISOR_TOKEN="); ok {
			request.Header.Set("Authorization", "Bearer "+token)
		}
	}
	response, err := (&http.Client{}).Do(request) // ctx limits it
	if err != nil {
		return fail(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return fail(err)
	}
	var answer struct {
		Result  string `json:"result"`
		Message string `json:"message"`
		Data    struct {
			Host     string      `json:"host"`
			Port     json.Number `json:"port"` // text in the Supervisor's own example
			SSL      bool        `json:"ssl"`
			Username string      `json:"username"`
			Password string      `json:"password"`
		} `json:"data"`
	}
	if err := json.Unmarshal(text, &answer); err != nil || answer.Result != "ok" || answer.Data.Host == "" {
		return fail(fmt.Errorf("the Supervisor answers %s %s", response.Status, answer.Message))
	}
	u := url.URL{Scheme: "tcp", Host: net.JoinHostPort(answer.Data.Host, cmp.Or(answer.Data.Port.String(), "1883"))}
	if answer.Data.SSL {
		u.Scheme = "ssl"
	}
	return u.String(), answer.Data.Username, answer.Data.Password, nil
}
