package config_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/config"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

func TestDefaults(t *testing.T) {
	t.Parallel()
	got, faults := load(t, kitchen, nil)
	if faults != nil {
		t.Fatal(faults)
	}
	phone := config.Phone{Name: "kitchen", URL: "http://192.0.2.10"}
	want := config.Config{
		MQTT:                 config.MQTT{URL: "tcp://localhost:1883"},
		BaseTopic:            "snom",
		Roster:               config.Roster{Phones: []config.Phone{phone}, Groups: map[string][]string{}},
		CommandTTL:           30 * time.Second,
		QueueLength:          32,
		RequestTimeout:       snom.DefaultTimeout, // which package snom has, too
		CommandGap:           100 * time.Millisecond,
		AvailabilityInterval: time.Minute,
		HomeAssistant:        true,
		HomeAssistantPrefix:  "homeassistant", HomeAssistantLanguage: "en",
		Paging:           config.Paging{TTL: 1},
		PhoneCheckSource: true,
		RingTimeout:      2 * time.Minute,
		CallTimeout:      4 * time.Hour,
		Console:          config.Console{Listen: "127.0.0.1:8080", Default: true},
		LogLevel:         slog.LevelInfo,
		LogFormat:        "text",
	}
	equal(t, got, want)
}

func TestEverythingSet(t *testing.T) {
	t.Parallel()
	own := certificate(t)
	got, faults := load(t, `MQTT_URL=mqtts://Broker.example
MQTT_USERNAME=bridge
MQTT_PASSWORD_FILE=$DIR/mqtt
MQTT_CLIENT_ID=me
MQTT_CA_FILE=$DIR/ca
MQTT_CERT_FILE=$DIR/ca
MQTT_KEY_FILE=$DIR/key
MQTT_SERVER_NAME=mqtt.example
MQTT_INSECURE=true
BROKER_LISTEN=0.0.0.0:1883
BASE_TOPIC=snom
INSTANCE=east
PHONE_0_NAME=door
PHONE_0_URL=https://[2001:DB8::1]:443/
PHONE_0_USERNAME=admin
PHONE_0_PASSWORD= hunter2,=
PHONE_0_MODEL=D735
PHONE_0_DIALECT=OLD
PHONE_0_ALLOW=firmware
PHONE_0_MASK=dtmf,dial
PHONE_0_CA_FILE=$DIR/ca
PHONE_0_LEGACY_TLS=true
PHONE_0_TOKEN_FILE=$DIR/token
PHONE_1_NAME=pin
PHONE_1_URL=https://pin.example:8443
PHONE_1_CERT_SHA256=`+strings.Repeat("AB:", 31)+`AB
PHONE_2_NAME=open
PHONE_2_URL=https://[2001:db8::1]:8443
PHONE_2_INSECURE=1
PHONES_FILE=$DIR/phones.yaml
ALLOW=reset
IMAGE_HOSTS=camera.example, 192.0.2.0/24
FIRMWARE_HOSTS=FW.example, 192.0.2.1:8000,2001:db8::2,fw.example,[2001:db8::3],[2001:db8::4]:81
DIAL_ALLOW=a|\+49.*
DIAL_DENY=0900.*
SETTINGS_ALLOW=vol_.*|a
MASK=dtmf
COMMAND_TTL=1h
QUEUE_LENGTH=1
REQUEST_TIMEOUT=1m
COMMAND_GAP=0s
AVAILABILITY_INTERVAL=24h
HOMEASSISTANT=false
HOMEASSISTANT_PREFIX=homeassistant
HOMEASSISTANT_LANGUAGE=DE
PHONE_LISTEN=:8081
PHONE_BASE_URL=http://Bridge.example:80/phones/
PHONE_CHECK_SOURCE=false
PHONE_TOKEN_SECRET_FILE=$DIR/secret
RING_TIMEOUT=1s
CALL_TIMEOUT=168h
CONSOLE_LISTEN=:8080
CONSOLE_PASSWORD=hunter2
LOG_LEVEL=DEBUG
HOMEASSISTANT_URL=https://HA.example:443/x/
HOMEASSISTANT_TOKEN_FILE=$DIR/a
TTS_URL=tcp://Piper
PAGING_INTERFACE=eth0
PAGING_TTL=8
LOG_FORMAT=json`, map[string]string{
		"ca": own.cert, "key": own.key, "mqtt": "hunter2\r\n", "token": "0123456789abcdef\r\n", "secret": "fedcba9876543210\n", "a": "hunter2\n",
		"phones.yaml": "phones:\n  b: {url: http://b}\n  a: {url: http://a, username: x, password_file: a}\ngroups:\n  g: [door, b]\n" +
			"paging:\n  g: {address: \"239.255.10.2:5004\", interrupt: 1, priority: 8, speaker: true}\n  all: {address: 224.0.0.9:1}\n  b: {address: 239.1.1.1:65535, volmax: true, priority: 0}\n",
	})
	if faults != nil {
		t.Fatal(faults)
	}
	dir := filepath.Dir(got.PhonesFile)
	want := config.Config{
		MQTT: config.MQTT{
			URL: "ssl://broker.example:8883", Username: "bridge", Password: config.NewSecret("hunter2"), ClientID: "me",
			CAFile: dir + "/ca", CertFile: dir + "/ca", KeyFile: dir + "/key", ServerName: "mqtt.example", Insecure: true,
		},
		BrokerListen: "0.0.0.0:1883",
		BaseTopic:    "snom",
		Instance:     "east",
		Roster: config.Roster{
			Phones: []config.Phone{
				{
					Name: "door", URL: "https://[2001:db8::1]", Username: "admin", Password: config.NewSecret(" hunter2,="),
					Model: model(t, "D735"), Dialect: "old", Allow: []snom.Verb{"firmware", "reset"}, Mask: []snom.Verb{"dial", "dtmf"},
					LegacyTLS: true, CA: []byte(own.cert), Token: config.NewSecret("0123456789abcdef"),
				},
				{Name: "pin", URL: "https://pin.example:8443", Allow: []snom.Verb{"reset"}, Mask: []snom.Verb{"dtmf"}, CertSHA256: strings.Repeat("ab", 32)},
				{Name: "open", URL: "https://[2001:db8::1]:8443", Allow: []snom.Verb{"reset"}, Mask: []snom.Verb{"dtmf"}, Insecure: true},
				{Name: "a", URL: "http://a", Username: "x", Password: config.NewSecret("hunter2"), Allow: []snom.Verb{"reset"}, Mask: []snom.Verb{"dtmf"}},
				{Name: "b", URL: "http://b", Allow: []snom.Verb{"reset"}, Mask: []snom.Verb{"dtmf"}},
			},
			Groups: map[string][]string{"g": {"door", "b"}},
			Paging: []config.Listening{
				{Name: "all", Address: "224.0.0.9:1", Priority: 5}, {Name: "b", Address: "239.1.1.1:65535", VolMax: true},
				{Name: "g", Address: "239.255.10.2:5004", Interrupt: 1, Priority: 8, Speaker: true},
			},
		},
		PhonesFile:           dir + "/phones.yaml",
		Allow:                []snom.Verb{"reset"},
		FirmwareHosts:        []string{"192.0.2.1:8000", "2001:db8::2", "2001:db8::3", "[2001:db8::4]:81", "fw.example"},
		ImageHosts:           []string{"192.0.2.0/24", "camera.example"},
		DialAllow:            regexp.MustCompile(`\A(?:a|\+49.*)\z`),
		DialDeny:             regexp.MustCompile(`\A(?:0900.*)\z`),
		SettingsAllow:        regexp.MustCompile(`\A(?:vol_.*|a)\z`),
		Mask:                 []snom.Verb{"dtmf"},
		CommandTTL:           time.Hour,
		QueueLength:          1,
		RequestTimeout:       time.Minute,
		AvailabilityInterval: 24 * time.Hour,
		HomeAssistantPrefix:  "homeassistant", HomeAssistantLanguage: "de",
		Paging: config.Paging{
			HomeAssistantURL: "https://ha.example/x", HomeAssistantToken: config.NewSecret("hunter2"), TTSURL: "piper:10200", Interface: "eth0", TTL: 8,
		},
		PhoneListen:  ":8081",
		PhoneBaseURL: "http://bridge.example/phones",
		RingTimeout:  time.Second,
		CallTimeout:  168 * time.Hour,
		Console:      config.Console{Listen: ":8080", Password: config.NewSecret("hunter2")},
		Warnings:     []config.Fault{{Where: "SNOM2MQTT_PHONE_0_PASSWORD", What: "the value begins with a blank"}},
		LogLevel:     slog.LevelDebug,
		LogFormat:    "json",
	}
	for i, p := range got.Roster.Phones[1:] { // TestTokensAreMade knows what they are
		if p.Token.IsZero() {
			t.Errorf("%s has no token", p.Name)
		}
		got.Roster.Phones[1+i].Token = config.Secret{}
	}
	equal(t, got, want)

	for number, want := range map[string]bool{"a": true, "+49301": true, "ab": false, "x+49": false} {
		if got := got.DialAllow.MatchString(number); got != want {
			t.Errorf("DialAllow of %q = %t, want %t", number, got, want)
		}
	}
}

func model(t *testing.T, name string) snom.Model {
	t.Helper()
	m, ok := snom.FindModel(name)
	if !ok {
		t.Fatalf("no model %s", name)
	}
	return m
}

// equal compares the exported fields of two configurations, secrets and all.
func equal(t *testing.T, got, want config.Config) {
	t.Helper()
	got.MQTT = got.MQTT.WithoutReader()
	g, w := reflect.ValueOf(got), reflect.ValueOf(want)
	for i := range g.NumField() {
		if f := g.Type().Field(i); f.IsExported() && !reflect.DeepEqual(g.Field(i).Interface(), w.Field(i).Interface()) {
			t.Errorf("%s = %+v, want %+v", f.Name, g.Field(i).Interface(), w.Field(i).Interface())
		}
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	tests := []struct{ setting, want string }{
		{"MQTT_URL=tcp://a", "tcp://a:1883"},
		{"MQTT_URL=mqtt://a:1", "tcp://a:1"},
		{"MQTT_URL=ssl://[::1]", "ssl://[::1]:8883"},
		{"MQTT_URL=ws://a/mqtt/", "ws://a:80/mqtt"},
		{"MQTT_URL=wss://a", "wss://a:443"},
		{"MQTT_URL=tcp://broker.local", "tcp://broker.local:1883"},
		{"MQTT_URL=tcp://broker.example.:1884", "tcp://broker.example.:1884"},
		{"MQTT_URL=tcp://[fe80::1%eth0]", "tcp://[fe80::1%25eth0]:1883"},
		{"BROKER_LISTEN=[::1%lo]:1883", "[::1%lo]:1883"},
		{"BROKER_LISTEN=[::1]:1883", "[::1]:1883"},
		{"BROKER_LISTEN=localhost:0", "localhost:0"},
		{"BROKER_LISTEN=off", ""},
		{"CONSOLE_LISTEN=off", ""},
		{"CONSOLE_LISTEN=127.0.0.1:8080", "127.0.0.1:8080"},
		{"PHONE_LISTEN=192.0.2.1:8081", "http://192.0.2.1:8081"},
		{"PHONE_LISTEN=[2001:db8::1]:8081", "http://[2001:db8::1]:8081"},
		{"PHONE_LISTEN=:8081", ""},
		{"PHONE_LISTEN=0.0.0.0:8081", ""},
		{"PHONE_LISTEN=127.0.0.1:0", ""},
		{"PHONE_LISTEN=bridge.example:8081", ""},
	}
	for _, tt := range tests {
		t.Run(tt.setting, func(t *testing.T) {
			t.Parallel()
			c, faults := load(t, kitchen+tokenSecret+tt.setting, nil)
			if faults != nil {
				t.Fatal(faults)
			}
			name, _, _ := strings.Cut(tt.setting, "=")
			got := map[string]string{
				"MQTT_URL": c.MQTT.URL, "BROKER_LISTEN": c.BrokerListen, "CONSOLE_LISTEN": c.Console.Listen, "PHONE_LISTEN": c.PhoneBaseURL,
			}[name]
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if c.Console.Default != (name != "CONSOLE_LISTEN") {
				t.Errorf("Console.Default = %t", c.Console.Default)
			}
		})
	}
}

// Addresses of phones are read as snom reads them, and equal ones are equal texts: by mDNS names, zones of link-local
// addresses and names with a dot at the end too.
func TestAddressesOfPhones(t *testing.T) {
	t.Parallel()
	for text, url := range map[string]string{
		"http://snom-000413aabbcc.local": "http://snom-000413aabbcc.local", "http://Kitchen.LOCAL:80/": "http://kitchen.local", "https://kitchen.example.:443": "https://kitchen.example.",
		"http://[fe80::204:13ff:feaa:bbcc%eth0]": "http://[fe80::204:13ff:feaa:bbcc%25eth0]", "http://[FE80::1%25eth0.7]:8080": "http://[fe80::1%25eth0.7]:8080",
		"http://phone_1": "http://phone_1", "http://192.0.2.10:080": "http://192.0.2.10", "https://[2001:DB8::1]": "https://[2001:db8::1]",
	} {
		c, faults := load(t, "PHONE_0_NAME=a\nPHONE_0_URL="+text, nil)
		if faults != nil || c.Roster.Phones[0].URL != url {
			t.Errorf("%s: %v, %q, expected %s", text, c.Roster.Phones, faults, url)
			continue
		}
		client, err := snom.NewClient(snom.ClientConfig{URL: url})
		if err != nil || client.URL() != url {
			t.Errorf("%s: the client has %v, %v", url, client, err)
		}
		if _, faults := load(t, "PHONE_0_NAME=a\nPHONE_0_URL="+text+"\nPHONE_1_NAME=b\nPHONE_1_URL="+url, nil); len(faults) != 1 || !strings.Contains(faults[0], "taken") {
			t.Errorf("%s and %s are not the same: %q", text, url, faults)
		}
	}
	for _, text := range []string{"http://192.0.2.300", "http://-a", "http://a..b", "http://.", "http://a%eth0", "http://[fe80::1%]", "http://" + strings.Repeat("a", 64)} {
		if _, faults := load(t, "PHONE_0_NAME=a\nPHONE_0_URL="+text, nil); len(faults) != 1 {
			t.Errorf("%s: %q, expected a fault", text, faults)
		}
	}
}

// The order of the phones is that of their numbers, also beyond nine.
func TestNumberedPhonesKeepTheirOrder(t *testing.T) {
	t.Parallel()
	var settings strings.Builder
	var want []string
	for i := range 25 {
		n, name := string(rune('0'+i/10))+string(rune('0'+i%10)), string(rune('z'-i))
		n = strings.TrimPrefix(n, "0")
		settings.WriteString("PHONE_" + n + "_NAME=" + name + "\nPHONE_" + n + "_URL=http://" + name + "\n")
		want = append(want, name)
	}
	c, faults := load(t, settings.String(), nil)
	var got []string
	for _, p := range c.Roster.Phones {
		got = append(got, p.Name)
	}
	if faults != nil || !slices.Equal(got, want) {
		t.Errorf("phones %v and faults %v, want %v", got, faults, want)
	}
}

func TestReloadPhones(t *testing.T) {
	t.Parallel()
	c, faults := load(t, kitchen+"PHONES_FILE=$DIR/p.yaml", map[string]string{"p.yaml": "phones:\n  a: {url: http://a}\n"})
	if faults != nil {
		t.Fatal(faults)
	}
	before := c.Roster
	names := func(r config.Roster) (list []string) {
		for _, p := range r.Phones {
			list = append(list, p.Name)
		}
		return list
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(c.PhonesFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	write("phones:\n  c: {url: http://c}\n  b: {url: http://b}\ngroups:\n  g: [kitchen, c]\n")
	r, _, err := c.ReloadPhones(t.Context())
	if want := []string{"kitchen", "b", "c"}; err != nil || !slices.Equal(names(r), want) {
		t.Errorf("phones after the reload: %v, %v, want %v", names(r), err, want)
	}
	if want := []string{"kitchen", "c"}; !slices.Equal(r.Groups["g"], want) {
		t.Errorf("group after the reload: %v, want %v", r.Groups["g"], want)
	}

	write("phones:\n  kitchen: {url: http://c}\n  d: {url: http://192.0.2.10}\n  e:\n")
	r, _, err = c.ReloadPhones(t.Context())
	if len(r.Phones) != 0 || r.Groups != nil {
		t.Errorf("a roster came with the faults: %v", r)
	}
	want := []string{
		c.PhonesFile + ":2:3: kitchen: the name is taken by SNOM2MQTT_PHONE_0_NAME",
		c.PhonesFile + ":3:12: d: url: the address is taken by kitchen: one phone has one name, and one command at a time",
		c.PhonesFile + ":4:3: e: url: not set",
	}
	var got []string
	for _, f := range faultsOf(t, err) {
		got = append(got, f.Error())
	}
	if !slices.Equal(got, want) {
		t.Errorf("faults of the reload:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !reflect.DeepEqual(c.Roster, before) {
		t.Errorf("the roster in use has changed: %v, want %v", c.Roster, before)
	}

	write("phones:\n  d: {url: http://d, username: u, password: half a pass}")
	_, _, err = c.ReloadPhones(t.Context())
	if got, want := faultsOf(t, err)[0].Error(), c.PhonesFile+":2:1: this line has no end: is the file being written?"; got != want {
		t.Errorf("a half written file: %q, want %q", got, want)
	}
}

func TestReloadWithoutAPhonesFileChangesNothing(t *testing.T) {
	t.Parallel()
	c, faults := load(t, kitchen, nil)
	if faults != nil {
		t.Fatal(faults)
	}
	r, _, err := c.ReloadPhones(t.Context())
	if err != nil || !reflect.DeepEqual(r, c.Roster) {
		t.Errorf("ReloadPhones = %v, %v, want %v", r, err, c.Roster)
	}
}

func TestTLSOfTheBroker(t *testing.T) {
	t.Parallel()
	own := certificate(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "both.pem")
	if err := os.WriteFile(path, []byte(own.key+own.cert), 0o600); err != nil {
		t.Fatal(err)
	}
	m := config.MQTT{CAFile: path, CertFile: path, ServerName: "broker.example", Insecure: true}
	got, err := m.TLS()
	if err != nil {
		t.Fatal(err)
	}
	if got.ServerName != "broker.example" || !got.InsecureSkipVerify || got.RootCAs == nil || len(got.Certificates) != 1 {
		t.Errorf("TLS = %+v, want all of it", got)
	}

	got, err = config.MQTT{}.TLS()
	if err != nil || got.ServerName != "" || got.InsecureSkipVerify || got.RootCAs != nil || len(got.Certificates) != 0 {
		t.Errorf("TLS of nothing = %+v, %v, want the usual checks", got, err)
	}

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, err = m.TLS() // files that vanish while the program runs
	faults := faultsOf(t, err)
	if len(faults) != 2 {
		t.Errorf("faults %v, want one for the CA and one for the certificate", faults)
	}
}
