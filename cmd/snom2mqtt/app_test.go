package main

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/snom2mqtt/snom2mqtt/config"
)

// supervisor is a stand-in for the one endpoint of Home Assistant's Supervisor that the app uses. It
// answers like it: only a client that sends the token, and with an error where there is no broker.
func supervisor(t *testing.T, broker string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer supervisor-secret":
			http.Error(w, "401: Unauthorized", http.StatusUnauthorized)
		case r.URL.Path != "/services/mqtt" || broker == "":
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"result":"error","message":"Service not enabled"}`) // or the test fails
		default:
			_, _ = io.WriteString(w, `{"result":"ok","data":`+broker+`}`)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// appIn makes an app with these options.
func appIn(t *testing.T, options, broker string) app {
	t.Helper()
	a := app{data: t.TempDir(), supervisor: supervisor(t, broker), listen: "0.0.0.0:8095"}
	if err := os.WriteFile(filepath.Join(a.data, "options.json"), []byte(options), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAppOptionsBecomeSettings(t *testing.T) {
	t.Parallel()
	const (
		mosquitto = `{"addon":"core_mosquitto","host":"core-mosquitto","port":"1883","ssl":false,"protocol":"3.1.1","username":"addons","password":"broker-secret"}`
		kitchen   = `{"name":"kitchen","url":"http://192.0.2.10","username":"admin","password":"phone-secret","model":"D735","allow":"reset firmware"}`
	)
	tests := []struct {
		name, options, broker string
		want                  map[string]string // without SNOM2MQTT_; "*" is anything
	}{
		{"the broker of the house", `{"phones":[` + kitchen + `],"settings":[]}`, mosquitto, map[string]string{
			"PHONE_0_NAME": "kitchen", "PHONE_0_URL": "http://192.0.2.10", "PHONE_0_USERNAME": "admin", "PHONE_0_PASSWORD": "phone-secret",
			"PHONE_0_MODEL": "D735", "PHONE_0_ALLOW": "reset,firmware",
			"MQTT_URL": "tcp://core-mosquitto:1883", "MQTT_USERNAME": "addons", "MQTT_PASSWORD": "broker-secret", "LOG_FORMAT": "text",
		}},
		{"with TLS, and a number for the port", `{"phones":[]}`, `{"host":"core-mosquitto","port":8883,"ssl":true}`, map[string]string{
			"MQTT_URL": "ssl://core-mosquitto:8883", "LOG_FORMAT": "text",
		}},
		{"another broker, and phones that call", `{"phones":[{"name":"a","url":"http://a"},{"name":"b","url":"http://b"}],
			"mqtt_url":"tcp://192.0.2.7:1883","mqtt_username":"u","mqtt_password":"p","phones_call":"http://192.0.2.5:8095","log_level":"debug",
			"settings":["COMMAND_TTL=10s","SNOM2MQTT_LOG_FORMAT=json","MASK=dtmf"]}`, "", map[string]string{
			"PHONE_0_NAME": "a", "PHONE_0_URL": "http://a", "PHONE_1_NAME": "b", "PHONE_1_URL": "http://b",
			"MQTT_URL": "tcp://192.0.2.7:1883", "MQTT_USERNAME": "u", "MQTT_PASSWORD": "p",
			"PHONE_LISTEN": "0.0.0.0:8095", "PHONE_BASE_URL": "http://192.0.2.5:8095", "PHONE_TOKEN_SECRET_FILE": "*",
			"LOG_LEVEL": "debug", "COMMAND_TTL": "10s", "LOG_FORMAT": "json", "MASK": "dtmf",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := appIn(t, tt.options, tt.broker)
			environ, err := a.environ(t.Context(), []string{"PATH=/bin", "SUPERVISOR_TOKEN=supervisor-secret", "SNOM2MQTT_LOG_FORMAT=text"})
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, e := range environ {
				name, value, _ := strings.Cut(e, "=")
				if name, ours := strings.CutPrefix(name, "SNOM2MQTT_"); ours {
					if _, twice := got[name]; twice {
						t.Errorf("%s is set twice", name)
					}
					got[name] = value
				}
			}
			tt.want["STATE_DIRECTORY"] = a.data
			if tt.want["PHONE_TOKEN_SECRET_FILE"] != "" {
				first := secretOf(t, got["PHONE_TOKEN_SECRET_FILE"])
				if _, err := a.environ(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
				if again := secretOf(t, got["PHONE_TOKEN_SECRET_FILE"]); again != first || len(first) < 16 {
					t.Errorf("the secret was %d bytes, and is another now: %v", len(first), again != first)
				}
				tt.want["PHONE_TOKEN_SECRET_FILE"] = got["PHONE_TOKEN_SECRET_FILE"]
			}
			if !maps.Equal(got, tt.want) {
				t.Errorf("settings %v, want %v", got, tt.want)
			}
			if _, err := config.Load(t.Context(), environ); err != nil && len(tt.want) > 4 {
				t.Errorf("the settings are wrong: %v", err)
			}
		})
	}
}

func secretOf(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAppSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, options, token, want string }{
		{"no broker", `{"phones":[]}`, "supervisor-secret", "install the app Mosquitto, or set the option mqtt_url: the Supervisor answers 400 Bad Request Service not enabled"},
		{"no token", `{"phones":[]}`, "", "the Supervisor answers 401"},
		{"not JSON", `{`, "", "options.json"},
		{"an option that is not known", `{"phnoes":[]}`, "", "phnoes"},
		{"a text that should be a list", `{"phones":"x"}`, "", "phones is a string, expected"},
		{"a number that should be a text", `{"phones":[{"password":1}]}`, "", "phones.password is a number, expected"},
		{"a setting without a value", `{"mqtt_url":"tcp://x","settings":["MASK=dtmf","MQTT_PASSWORD hunter2"]}`, "", "line 2 has no =, expected lines such as COMMAND_TTL=10s"},
	}
	for _, tt := range tests {
		a := appIn(t, tt.options, "")
		_, err := a.environ(t.Context(), []string{"SUPERVISOR_TOKEN=" + tt.token})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want no secret in it", tt.name, err)
		}
	}
	away := app{data: t.TempDir()}
	if _, err := away.environ(t.Context(), nil); err == nil {
		t.Error("without options.json: no error")
	}
	closed := appIn(t, `{"phones":[]}`, "")
	closed.supervisor = "http://127.0.0.1:1"
	if _, err := closed.environ(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "no broker") {
		t.Errorf("no Supervisor: %v", err)
	}
}

// TestAppNamesItsOptions: a user who typed options into a form does not know the variables that they stand for.
func TestAppNamesItsOptions(t *testing.T) {
	t.Parallel()
	a := appIn(t, `{"phones":[{"name":"kitchen","url":"ftp://x"}],"mqtt_url":"tcp://localhost"}`, "")
	p := &program{stdout: io.Discard, stderr: io.Discard}
	c := p.appCommand()
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetArgs([]string{"--data", a.data})
	err := c.ExecuteContext(t.Context())
	for _, want := range []string{"SNOM2MQTT_PHONE_0_URL: expected", "PHONE_0 is the first phone"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want it to say %q", err, want)
		}
	}
}

// TestAppFolder compares the options that the app reads with those that its config.yaml offers.
func TestAppFolder(t *testing.T) {
	t.Parallel()
	folder := filepath.Join("..", "..", "examples", "homeassistant-app")
	decode := func(name string, into any) {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(text, into); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	var c struct {
		Name, Version, Slug, Description string
		Arch, Services                   []string
		HostNetwork                      bool `yaml:"host_network"`
		Options                          map[string]any
		Schema                           map[string]any
	}
	decode("config.yaml", &c)
	if c.Name == "" || c.Version == "" || c.Slug == "" || c.Description == "" || !slices.Equal(c.Arch, []string{"aarch64", "amd64"}) {
		t.Errorf("config.yaml lacks what every app needs: %+v", c)
	}
	if !slices.Equal(c.Services, []string{"mqtt:want"}) || !c.HostNetwork {
		t.Errorf("services %q, network of the host %v: phones reach the app, and announcements reach phones", c.Services, c.HostNetwork)
	}
	if got, want := slices.Sorted(maps.Keys(c.Schema)), keysOf(reflect.TypeFor[appOptions]()); !slices.Equal(got, want) {
		t.Errorf("config.yaml offers %q, the app reads %q", got, want)
	}
	phones, _ := c.Schema["phones"].([]any)
	if len(phones) != 1 {
		t.Fatalf("schema of phones: %v", phones)
	}
	phone, _ := phones[0].(map[string]any)
	if got, want := slices.Sorted(maps.Keys(phone)), keysOf(reflect.TypeFor[appOptions]().Field(0).Type.Elem()); !slices.Equal(got, want) {
		t.Errorf("config.yaml offers %q for a phone, the app reads %q", got, want)
	}
	for key := range c.Options {
		if s, _ := c.Schema[key].(string); strings.HasSuffix(s, "?") {
			t.Errorf("%s has a default and is optional", key)
		}
	}
	var words struct{ Configuration map[string]any }
	decode(filepath.Join("translations", "en.yaml"), &words)
	if got, want := slices.Sorted(maps.Keys(words.Configuration)), slices.Sorted(maps.Keys(c.Schema)); !slices.Equal(got, want) {
		t.Errorf("the translation speaks of %q, the options are %q", got, want)
	}
}

// keysOf are the JSON names of a struct's fields, sorted.
func keysOf(s reflect.Type) (keys []string) {
	for i := range s.NumField() {
		keys = append(keys, s.Field(i).Tag.Get("json"))
	}
	slices.Sort(keys)
	return keys
}
