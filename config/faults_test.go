package config_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/config"
)

// canary is the secret of these tests: it may stand in any setting and in no fault.
const canary = "hunter2"

// kitchen is a phone without a fault.
const kitchen = "PHONE_0_NAME=kitchen\nPHONE_0_URL=http://192.0.2.10\n"

// tokenSecret is what a bridge that phones call needs as well.
const tokenSecret = "PHONE_TOKEN_SECRET=0123456789abcdef\n"

// load reads settings written as lines of NAME=value without the prefix; $DIR is a directory with the
// given files, and so it is in the faults it returns.
func load(t *testing.T, settings string, files map[string]string) (config.Config, []string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := config.Load(t.Context(), environ(strings.ReplaceAll(settings, "$DIR", dir)))
	var got []string
	for _, f := range faultsOf(t, err) {
		got = append(got, strings.ReplaceAll(strings.ReplaceAll(f.Error(), dir, "$DIR"), "SNOM2MQTT_", ""))
	}
	return c, got
}

func environ(settings string) []string {
	list := []string{"PATH=/bin"}
	for line := range strings.Lines(settings) {
		list = append(list, "SNOM2MQTT_"+strings.TrimSuffix(line, "\n"))
	}
	return list
}

const (
	expectedMQTT  = "expected tcp://host:port or ssl://host:port, or ws:// or wss:// with a path; the usual port may be left out"
	expectedPhone = "expected http://host[:port] or https://host[:port], and nothing after it"
	expectedName  = "expected a name of 1 to 64 small letters, digits, _ and -, a letter or digit first"
	expectedAddr  = "expected host:port, such as 127.0.0.1:8080 or [::1]:8080, or :8080 for every address, or off"
	expectedHosts = "expected hosts with a comma between two of them, such as fw.example or 192.0.2.1:8000"
	expectedRE    = `expected a regular expression of Go (RE2 syntax) over the whole number, such as \+49.*|[1-9][0-9]`
	expectedTime  = "expected a time with its unit from 100ms to 1h, such as 90s or 1m30s"
	noUser        = "expected a URL without user name and password: they have settings of their own"
	phoneKeys     = "NAME, URL, USERNAME, PASSWORD, PASSWORD_FILE, AUTH, MODEL, DIALECT, DISPLAY, LED_OFFSET, AREA, FIRMWARE_LATEST, ALLOW, MASK, INSECURE, CA_FILE, " +
		"CERT_SHA256, LEGACY_TLS, TOKEN, TOKEN_FILE"
)

func TestFaultsOfTheEnvironment(t *testing.T) {
	t.Parallel()
	many := func(settings string, what string) (rows []faultRow) {
		for setting := range strings.Lines(settings) {
			setting = strings.TrimSuffix(setting, "\n")
			name, _, _ := strings.Cut(setting, "=")
			rows = append(rows, faultRow{name: setting, settings: kitchen + tokenSecret + setting, want: []string{name + ": " + what}})
		}
		return rows
	}
	runFaults(t, slices.Concat(
		[]faultRow{
			{name: "nothing at all", want: []string{
				"PHONE_0_URL: not set, and no phones file has a phone: expected at least one phone"}},
			{name: "empty variables count as not set", settings: "PHONE_0_NAME=\nMQTT_URL=\nPHONES_FILE=", want: []string{
				"PHONE_0_URL: not set, and no phones file has a phone: expected at least one phone"}},

			{name: "misspelt", settings: kitchen + "MQTT_PASWORD=hunter2\nCOMAND_TTL=1s\nLOG=x\nmqtt_url=tcp://x", want: []string{
				"COMAND_TTL: no such setting; did you mean COMMAND_TTL?",
				"LOG: no such setting; docs/settings.md lists them all", // LOG_LEVEL or LOG_FORMAT
				"MQTT_PASWORD: no such setting; did you mean MQTT_PASSWORD?",
				"mqtt_url: no such setting; did you mean MQTT_URL?"}},
			{name: "unheard of, even when empty", settings: kitchen + "COLOUR=\nQ=1", want: []string{
				"COLOUR: no such setting; docs/settings.md lists them all",
				"Q: no such setting; docs/settings.md lists them all"}},
			{name: "misspelt in a phone", settings: kitchen + "PHONE_0_PASWORD=hunter2\nPHONE_0_USER=a\nPHONE_0_HOST=b\nPHONE_00_URL=c\nPHONE_0_=d", want: []string{
				"PHONE_00_URL: no such setting; did you mean PHONE_0_URL?",
				"PHONE_0_: no such setting; a phone has " + phoneKeys,
				"PHONE_0_HOST: no such setting; a phone has " + phoneKeys,
				"PHONE_0_PASWORD: no such setting; did you mean PHONE_0_PASSWORD?",
				"PHONE_0_USER: no such setting; did you mean PHONE_0_USERNAME?"}},
			{name: "not quite a phone", settings: kitchen + "PHONE_x_URL=a\nPHONE__URL=b\nPHONES_0_URL=c\nPHONE_1000000_URL=d", want: []string{
				"PHONES_0_URL: no such setting; docs/settings.md lists them all",
				"PHONE_1000000_URL: no such setting; the highest number of a phone is 999999",
				"PHONE__URL: no such setting; docs/settings.md lists them all",
				"PHONE_x_URL: no such setting; docs/settings.md lists them all"}},
			{name: "service links of Kubernetes", settings: kitchen + "SERVICE_HOST=10.0.0.1\nSERVICE_PORT=80\nSERVICE_PORT_HTTP=80\nPORT=tcp://10.0.0.1:80\n" +
				"PORT_80_TCP=tcp://10.0.0.1:80\nPORT_80_TCP_PROTO=tcp\nPORT_80_TCP_PORT=80\nPORT_80_TCP_ADDR=10.0.0.1\n" +
				"WEB_UI_SERVICE_HOST=10.0.0.2\nWEB_UI_SERVICE_PORT=80\nWEB_UI_PORT=tcp://10.0.0.2:80\nOTHER_SERVICE_HOST=x", want: []string{
				"SERVICE_HOST: not a setting: Kubernetes adds it, with others, for a Service named snom2mqtt; " +
					"put enableServiceLinks: false into the pod's spec, or rename the Service",
				"WEB_UI_SERVICE_HOST: not a setting: Kubernetes adds it, with others, for a Service named snom2mqtt-web-ui; " +
					"put enableServiceLinks: false into the pod's spec, or rename the Service",
				"OTHER_SERVICE_HOST: no such setting; docs/settings.md lists them all"}},

			{name: "gaps, and the phones behind them are checked too", settings: "PHONE_1_NAME=a\nPHONE_1_URL=http://a\nPHONE_4_NAME=b\nPHONE_4_URL=ftp://b", want: []string{
				"PHONE_0: no such phone, but there is number 1: phones are numbered from 0 without a gap",
				"PHONE_2: no such phone, but there is number 4: phones are numbered from 0 without a gap",
				"PHONE_4_URL: " + expectedPhone}},
			{name: "all faults of all phones", settings: "PHONE_0_MODEL=D735\nPHONE_1_URL=http://a\nPHONE_1_INSECURE=perhaps\nPHONE_2_NAME=c", want: []string{
				"PHONE_0_NAME: not set",
				"PHONE_0_URL: not set",
				"PHONE_1_NAME: not set",
				"PHONE_1_INSECURE: expected true or false",
				"PHONE_2_URL: not set"}},
			{name: "the same name and the same address", settings: kitchen + "PHONE_1_NAME=kitchen\nPHONE_1_URL=http://b\nPHONE_2_NAME=c\nPHONE_2_URL=http://192.0.2.10:80/", want: []string{
				"PHONE_1_NAME: the name is taken by PHONE_0_NAME",
				"PHONE_2_URL: the address is taken by kitchen: one phone has one name, and one command at a time"}},
			{name: "two phones without a name or an address take nothing", settings: "PHONE_0_NAME=a\nPHONE_1_NAME=b", want: []string{
				"PHONE_0_URL: not set", "PHONE_1_URL: not set"}},

			{name: "login by halves", settings: kitchen + "PHONE_0_USERNAME=admin\nPHONE_1_NAME=b\nPHONE_1_URL=http://b\nPHONE_1_PASSWORD=hunter2\nMQTT_PASSWORD=hunter2", want: []string{
				"MQTT_USERNAME: not set, but a password is: MQTT has no password without a user name",
				"PHONE_0_PASSWORD: not set, but a user name is: a login that fails counts towards the phone's lock",
				"PHONE_1_USERNAME: not set, but a password is"}},
			{name: "a name that is no name", settings: kitchen + "PHONE_0_USERNAME=ad:min\nPHONE_0_PASSWORD=hunter2\nMQTT_USERNAME=a\x00b\nMQTT_CLIENT_ID=" + strings.Repeat("x", 257), want: []string{
				"MQTT_USERNAME: contains an invisible character, U+0000 NUL: remove it",
				"MQTT_CLIENT_ID: expected at most 256 bytes of UTF-8 without control characters",
				"PHONE_0_USERNAME: expected a name without a colon: HTTP ends the name there"}},
			{name: "certificates that contradict", settings: kitchen + "PHONE_1_NAME=b\nPHONE_1_URL=https://b\nPHONE_1_INSECURE=true\nPHONE_1_CERT_SHA256=" + strings.Repeat("0a:", 31) + "0A", want: []string{
				"PHONE_1_INSECURE: expected one of insecure, ca_file and cert_sha256: they contradict one another"}},
			{name: "no fingerprints", settings: "PHONE_0_NAME=a\nPHONE_0_URL=https://a\nPHONE_0_CERT_SHA256=hunter2\nPHONE_1_NAME=b\nPHONE_1_URL=https://b\nPHONE_1_CERT_SHA256=0a0b", want: []string{
				"PHONE_0_CERT_SHA256: expected the SHA-256 of the certificate: 64 hex digits, with or without colons",
				"PHONE_1_CERT_SHA256: expected the SHA-256 of the certificate: 64 hex digits, with or without colons"}},
			{name: "a certificate without https", settings: kitchen + "PHONE_0_CERT_SHA256=" + strings.Repeat("0a", 32), want: []string{
				"PHONE_0_URL: a certificate is set, but http has none: expected https"}},

			{name: "open to other machines", settings: kitchen + "BROKER_LISTEN=:1883\nCONSOLE_LISTEN=0.0.0.0:8080", want: []string{
				"BROKER_LISTEN: expected a loopback address such as 127.0.0.1:1883, or a user name and a password in " +
					"MQTT_USERNAME and MQTT_PASSWORD: other machines reach this one",
				"CONSOLE_PASSWORD: not set, but CONSOLE_LISTEN is not a loopback address: other machines reach it"}},
			{name: "a broker of one machine with a name and no password", settings: kitchen + "BROKER_LISTEN=127.0.0.1:1883\nMQTT_USERNAME=a", want: []string{
				"MQTT_PASSWORD: not set, but a user name is: the embedded broker requires both or neither"}},
			{name: "a broker with a name and no password", settings: kitchen + "BROKER_LISTEN=:1883\nMQTT_USERNAME=a", want: []string{
				"BROKER_LISTEN: expected a loopback address such as 127.0.0.1:1883, or a user name and a password in " +
					"MQTT_USERNAME and MQTT_PASSWORD: other machines reach this one"}},
			{name: "PHONE_BASE_URL without PHONE_LISTEN", settings: kitchen + "PHONE_BASE_URL=http://a", want: []string{
				"PHONE_BASE_URL: set, but PHONE_LISTEN is off: phones would get no answer there"}},
			{name: "ASK_EVERY without PHONE_LISTEN", settings: kitchen + "ASK_EVERY=1m", want: []string{
				"ASK_EVERY: set, but PHONE_LISTEN is off: phones that are asked call back there"}},
			{name: "phones would be asked too often", settings: kitchen + tokenSecret + "PHONE_LISTEN=:8081\nASK_EVERY=1ms", want: []string{
				"ASK_EVERY: expected a time with its unit from 1s to 24h, such as 90s or 1m30s"}},
			{name: "firmware without a version", settings: kitchen + "FIRMWARE_LATEST=https://fw.example/new.bin", want: []string{
				"FIRMWARE_LATEST: expected a version such as 10.1.198.19, or an https URL that names one, with {model} for the model"}},
			{name: "PHONE_BASE_URL with no address of a machine", settings: kitchen + tokenSecret + "PHONE_LISTEN=:8081\nPHONE_BASE_URL=http://0.0.0.0:8090", want: []string{
				"PHONE_BASE_URL: expected the address at which phones reach this machine: none can connect to this one"}},
			{name: "PHONE_BASE_URL with a query", settings: kitchen + tokenSecret + "PHONE_LISTEN=:8081\nPHONE_BASE_URL=http://a?b", want: []string{
				"PHONE_BASE_URL: expected http://host:port or https://host:port, optionally with a path"}},
			{name: "no tokens", settings: kitchen + "PHONE_LISTEN=:8081\nPHONE_1_NAME=b\nPHONE_1_URL=http://b", want: []string{
				"PHONE_TOKEN_SECRET: not set, but PHONE_LISTEN is, not every phone has a token of its own, and a secret cannot be " +
					"made and kept (the environment names no folder to keep it in): expected 16 to 128 random characters, such as openssl rand -hex 16 prints"}},
			{name: "a secret that is too short", settings: kitchen + "PHONE_TOKEN_SECRET=hunter2hunter2x\nPHONE_TOKEN_SECRET_FILE=", want: []string{
				"PHONE_TOKEN_SECRET: expected 16 to 128 random characters, such as openssl rand -hex 16 prints"}},
			{name: "instance", settings: kitchen + "INSTANCE=request", want: []string{
				"INSTANCE: the bridge has a topic of this name: expected another name"}},
			{name: "rules of others", settings: kitchen + "PHONE_0_MODEL=hunter2\nBASE_TOPIC=a/+\nHOMEASSISTANT_PREFIX=#\nMASK=dtmf, hunter2\nPHONE_0_MASK=hunter2\nINSTANCE=request", want: []string{
				"MASK: expected the name of a command, such as dtmf",
				"BASE_TOPIC: expected 1 to 100 bytes without space, $, + and #, no slash at an end, no empty level",
				"HOMEASSISTANT_PREFIX: expected 1 to 100 bytes without space, $, + and #, no slash at an end, no empty level",
				"INSTANCE: the bridge has a topic of this name: expected another name",
				"PHONE_0_MODEL: expected a Snom model such as D735, 320 or D862; leave it out if docs/keys.md does not list the model",
				"PHONE_0_MASK: expected the name of a command, such as dtmf"}},
		},
		many("MQTT_URL=hunter2\nMQTT_URL=http://a\nMQTT_URL=tcp://\nMQTT_URL=tcp://:1883\nMQTT_URL=tcp://a:\nMQTT_URL=tcp://a:0\nMQTT_URL=tcp://a:65536\n"+
			"MQTT_URL=tcp://a:01\nMQTT_URL=tcp://a/path\nMQTT_URL=ssl://a/path\nMQTT_URL=ws://a?x=hunter2\nMQTT_URL=ws://a?\nMQTT_URL=ws://a#\n"+
			"MQTT_URL=tcp:a\nMQTT_URL=tcp://a b\nMQTT_URL=tcp://[::1\nMQTT_URL=tcp://192.0.2.300\n"+
			"MQTT_URL=tcp://a..b\nMQTT_URL=tcp://-a\nMQTT_URL=tcp://a,tcp://b\nMQTT_URL=://hunter2@a\nMQTT_URL=mqtt://user:hunter2@bad host:1883\n"+
			"MQTT_URL=tcp://"+strings.Repeat("a.", 127)+"a", expectedMQTT),
		many("MQTT_URL=mqtt://user:hunter2@broker.example:1883\nMQTT_URL=tcp://hunter2@broker.example\nPHONE_BASE_URL=http://a:hunter2@b", noUser)[:2],
		many("PHONE_LISTEN=hunter2\nPHONE_LISTEN=8080\nPHONE_LISTEN=a:b\nPHONE_LISTEN=a:99999\nPHONE_LISTEN=a b:80\nPHONE_LISTEN=:+1\nBROKER_LISTEN=::1:80\nCONSOLE_LISTEN=x", expectedAddr)[:6],
		many("COMMAND_TTL=hunter2\nCOMMAND_TTL=30\nCOMMAND_TTL=-1s\nCOMMAND_TTL=99ms\nCOMMAND_TTL=61m\nCOMMAND_TTL=1 s", expectedTime),
		many("REQUEST_TIMEOUT=0", "expected a time with its unit from 100ms to 1m, such as 90s or 1m30s"),
		many("COMMAND_GAP=61s", "expected a time with its unit from 0s to 1m, such as 90s or 1m30s"),
		many("AVAILABILITY_INTERVAL=1ms", "expected a time with its unit from 1s to 24h, such as 90s or 1m30s"),
		many("RING_TIMEOUT=2h", "expected a time with its unit from 1s to 1h, such as 90s or 1m30s"),
		many("CALL_TIMEOUT=169h", "expected a time with its unit from 1s to 168h, such as 90s or 1m30s"),
		many("QUEUE_LENGTH=hunter2\nQUEUE_LENGTH=0\nQUEUE_LENGTH=10001\nQUEUE_LENGTH=1.5\nQUEUE_LENGTH=99999999999999999999", "expected a whole number from 1 to 10000"),
		many("HOMEASSISTANT=hunter2\nMQTT_INSECURE=yes\nPHONE_CHECK_SOURCE=2\nPHONE_0_LEGACY_TLS=x", "expected true or false"),
		many("LOG_LEVEL=hunter2\nLOG_LEVEL=info+1", "expected debug, info, warn or error"),
		many("HOMEASSISTANT_LANGUAGE=hunter2", "expected en or de"),
		many("LOG_FORMAT=hunter2", "expected text or json"),
		many("PHONE_0_DIALECT=hunter2", "expected old or new"),
		many("ALLOW=hunter2\nPHONE_0_ALLOW=dial", "expected screen, reset or firmware, or several separated by commas: other commands are enabled already"),
		many("MASK=dtmf,,dial", "expected names separated by commas; one is empty"),
		many("PHONE_0_ALLOW= ", "expected names separated by commas; one is empty; the value begins with a blank"),
		many("FIRMWARE_HOSTS=http://a\nFIRMWARE_HOSTS=a:0\nFIRMWARE_HOSTS=hunter2/", expectedHosts),
		many("SETTINGS_ALLOW=(hunter2\nSETTINGS_ALLOW=a)|(b", strings.Replace(expectedRE, `number, such as \+49.*|[1-9][0-9]`, `name, such as vol_.*|call_waiting1`, 1)),
		many("DIAL_ALLOW=(hunter2\nDIAL_DENY=a)|(b\nDIAL_DENY=(?=x)", expectedRE),
		many("DIAL_ALLOW="+strings.Repeat("(", 999)+"a"+strings.Repeat(")", 999), "this regular expression is too large"),
		many("PHONE_0_TOKEN=hunter2\nPHONE_0_TOKEN="+strings.Repeat("a", 129)+"\nPHONE_0_TOKEN=aaaaaaaaaaaaaaaa/", "expected 16 to 128 letters, digits, _ and -: it becomes a part of a URL"),
		many("INSTANCE=Hunter2\nINSTANCE=_a\nINSTANCE="+strings.Repeat("a", 65), expectedName),
		many("MQTT_SERVER_NAME=hunter2/", "expected the name of a host"),
	))
	for _, url := range []string{"hunter2", "http://", "ftp://a", "http://a/x", "http://a?", "http://a//", "http://a:b", "http:a"} {
		runFaults(t, []faultRow{{name: "phone at " + url, settings: "PHONE_0_NAME=a\nPHONE_0_URL=" + url, want: []string{"PHONE_0_URL: " + expectedPhone}}})
	}
	for _, name := range []string{"Kitchen", "-a", "a b", "küche", "a/b", "+", strings.Repeat("a", 65)} {
		runFaults(t, []faultRow{{name: "phone " + name, settings: "PHONE_0_URL=http://a\nPHONE_0_NAME=" + name, want: []string{"PHONE_0_NAME: " + expectedName}}})
	}
	runFaults(t, []faultRow{
		{name: "bridge", settings: "PHONE_0_URL=http://a\nPHONE_0_NAME=bridge", want: []string{"PHONE_0_NAME: bridge is the bridge's own name in topics: expected another name"}},
		{name: "all", settings: "PHONE_0_URL=http://a\nPHONE_0_NAME=all", want: []string{"PHONE_0_NAME: all is the built-in group of every phone: expected another name"}},
		{name: "login in the URL", settings: "PHONE_0_NAME=a\nPHONE_0_URL=http://admin:hunter2@a", want: []string{"PHONE_0_URL: expected no user name and no password in it"}},
	})
}

type faultRow struct {
	name     string
	settings string
	files    map[string]string
	want     []string
}

func runFaults(t *testing.T, rows []faultRow) {
	t.Helper()
	for _, tt := range rows {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, got := load(t, tt.settings, tt.files)
			if !slices.Equal(got, tt.want) {
				t.Errorf("faults of\n%s\n  got  %s\n  want %s", tt.settings, strings.Join(got, "\n       "), strings.Join(tt.want, "\n       "))
			}
			if !reflect.DeepEqual(c, config.Config{}) {
				t.Errorf("a config came with the faults: %+v", c)
			}
			if text := strings.Join(got, "\n"); strings.Contains(strings.ToLower(text), canary) {
				t.Errorf("the secret stands in\n%s", text)
			}
		})
	}
}

func TestFaultsOfFilesOfTheEnvironment(t *testing.T) {
	t.Parallel()
	own, other := certificate(t), certificate(t)
	runFaults(t, []faultRow{
		{name: "secret given twice", settings: kitchen + "MQTT_USERNAME=a\nMQTT_PASSWORD=hunter2\nMQTT_PASSWORD_FILE=$DIR/s", files: map[string]string{"s": canary}, want: []string{
			"MQTT_PASSWORD_FILE: given as well as the setting without file in its name: expected one of the two"}},
		{name: "the secret where the path belongs", settings: kitchen + "CONSOLE_PASSWORD_FILE=hunter2\nPHONE_0_TOKEN_FILE=hunter2\nPHONE_0_CA_FILE=hunter2\nPHONES_FILE=hunter2", want: []string{
			"CONSOLE_PASSWORD_FILE: the file cannot be read: no such file or directory",
			"PHONE_0_CA_FILE: the file cannot be read: no such file or directory",
			"PHONE_0_TOKEN_FILE: the file cannot be read: no such file or directory",
			"PHONE_0_URL: a certificate is set, but http has none: expected https",
			"PHONES_FILE: the file cannot be read: no such file or directory"}},
		{name: "path of a NUL", settings: kitchen + "CONSOLE_PASSWORD_FILE=a\x00", want: []string{
			"CONSOLE_PASSWORD_FILE: ends with an invisible character, U+0000 NUL: remove it"}},
		{name: "empty secrets", settings: kitchen + "CONSOLE_PASSWORD_FILE=$DIR/none\nPHONE_0_TOKEN_FILE=$DIR/line", files: map[string]string{"none": "", "line": "\r\n"}, want: []string{
			"CONSOLE_PASSWORD_FILE: the file is empty",
			"PHONE_0_TOKEN_FILE: the file holds an empty line only"}},
		{name: "short token in a file", settings: kitchen + "PHONE_0_TOKEN_FILE=$DIR/t", files: map[string]string{"t": canary}, want: []string{
			"PHONE_0_TOKEN_FILE: expected 16 to 128 letters, digits, _ and -: it becomes a part of a URL"}},
		{name: "passwords of two lines", settings: kitchen + "PHONE_0_USERNAME=a\nPHONE_0_PASSWORD_FILE=$DIR/p\nPHONE_1_NAME=b\nPHONE_1_URL=http://b\nPHONE_1_USERNAME=a\nPHONE_1_PASSWORD=hunter2\t", files: map[string]string{"p": canary + "\n\n"}, want: []string{
			"PHONE_0_PASSWORD_FILE: the file ends with an empty line: expected one line with at most one line end",
			"PHONE_1_PASSWORD: ends with an invisible character, U+0009 TAB: remove it"}},
		{name: "too large", settings: kitchen + "CONSOLE_PASSWORD_FILE=$DIR/s", files: map[string]string{"s": strings.Repeat("x", 1<<20+1)}, want: []string{
			"CONSOLE_PASSWORD_FILE: the file is too large: expected at most 1024 KiB"}},
		{name: "directories", settings: kitchen + "CONSOLE_PASSWORD_FILE=$DIR\nPHONES_FILE=$DIR", want: []string{
			"CONSOLE_PASSWORD_FILE: the file cannot be read: it is a directory, expected a regular file",
			"PHONES_FILE: the file cannot be read: it is a directory, expected a regular file"}},

		{name: "certificates that are none", settings: kitchen + "MQTT_URL=ssl://a\nMQTT_CA_FILE=$DIR/s\nMQTT_CERT_FILE=$DIR/s", files: map[string]string{"s": canary}, want: []string{
			"MQTT_CA_FILE: the file contains no certificate in PEM form",
			"MQTT_CERT_FILE: expected a PEM file with the key that belongs to the certificate: tls: failed to find any PEM data in certificate input"}},
		{name: "a key without a certificate", settings: kitchen + "MQTT_URL=ssl://a\nMQTT_KEY_FILE=$DIR/k", files: map[string]string{"k": own.key}, want: []string{
			"MQTT_CERT_FILE: not set, but MQTT_KEY_FILE is"}},
		{name: "the key of another", settings: kitchen + "MQTT_URL=ssl://a\nMQTT_CERT_FILE=$DIR/c\nMQTT_KEY_FILE=$DIR/k", files: map[string]string{"c": own.cert, "k": other.key}, want: []string{
			"MQTT_KEY_FILE: expected a PEM file with the key that belongs to the certificate: tls: private key does not match public key"}},
		{name: "neither is there", settings: kitchen + "MQTT_URL=ssl://a\nMQTT_CERT_FILE=$DIR/c\nMQTT_KEY_FILE=$DIR/k", want: []string{
			"MQTT_CERT_FILE: the file cannot be read: no such file or directory",
			"MQTT_KEY_FILE: the file cannot be read: no such file or directory"}},
		{name: "certificates for nothing", settings: kitchen + "MQTT_CA_FILE=$DIR/c\n", files: map[string]string{"c": own.cert}, want: []string{
			"MQTT_URL: a certificate is set, but tcp and ws have none: expected ssl or wss"}},
	})
}

// A phonesFileFault is a faulty phones file and what Load says of it.
type phonesFileFault struct {
	name, file string
	want       []string
}

// phonesFileFaults are what the schema must refuse, too.
func phonesFileFaults() []phonesFileFault {
	const at = "$DIR/p.yaml:"
	return []phonesFileFault{
		{"empty", " \n", []string{at + "1:1: expected phones: and below it a name for each phone"}},
		{"only a comment", "# hunter2\n", []string{at + "1:1: expected phones: and below it a name for each phone"}},
		{"a word", "hunter2\n", []string{at + "1:1: expected phones: and below it a name for each phone"}},
		{"a list", "- hunter2\n", []string{at + "1:1: expected phones: and below it a name for each phone"}},
		{"sections without anything", "phones:\ngroups:\n", []string{"PHONE_0_URL: not set, and no phones file has a phone: expected at least one phone"}},
		{"sections that are none", "phones: hunter2\ngroups: [hunter2]\n", []string{
			at + "1:9: phones: expected a name for each phone, and its settings below the name",
			at + "2:9: groups: expected a name for each group, and its list of phones"}},
		{"unknown section", "phone:\n  a: {url: http://a}\nhunter 2: x\n", []string{
			at + "1:1: phone: no such key; did you mean phones?",
			at + "3:1: a key: no such key; known are phones, groups, macros, paging, doors"}},
		{"unknown keys", "phones:\n  a:\n    url: http://a\n    pasword: hunter2\n    host: hunter2\n    Url: x\n    name: b\n", []string{
			at + "4:5: pasword: no such key; did you mean password?",
			at + "5:5: host: no such key; known are url, username, password, password_file, auth, model, dialect, display, led_offset, area, firmware_latest, allow, mask, " +
				"insecure, ca_file, cert_sha256, legacy_tls, token, token_file, keys",
			at + "6:5: Url: no such key; did you mean url?",
			at + "7:5: name: no such key; known are url, username, password, password_file, auth, model, dialect, display, led_offset, area, firmware_latest, allow, mask, " +
				"insecure, ca_file, cert_sha256, legacy_tls, token, token_file, keys"}},
		{"written twice", "phones:\n  a: {url: http://a, url: http://b}\n  a: {url: http://c}\nphones:\n", []string{
			at + "4:1: phones: written twice",
			at + "2:22: url: written twice",
			at + "3:3: a: the name is taken by " + at + "2:3: a"}},
		{"not even a phone", "phones:\n  a: http://a\n  b: [http://b]\n  c:\n  d: {}\n", []string{
			at + "2:6: a: expected the settings of a phone, such as url: http://192.0.2.10",
			at + "3:6: b: expected the settings of a phone, such as url: http://192.0.2.10",
			at + "4:3: c: url: not set",
			at + "5:3: d: url: not set"}},
		{"names", "phones:\n  Kitchen: {url: http://a}\n  all: {url: http://b}\n  ? [a]\n  : {url: http://c}\n", []string{
			at + "4:5: expected a word as a key"}},
		{"more names", "phones:\n  Kitchen: {url: http://a}\n  all: {url: http://b}\n  hunter 2: {url: http://c}\n  null: {url: http://d}\n", []string{
			at + "2:3: Kitchen: " + expectedName,
			at + "3:3: all: all is the built-in group of every phone: expected another name",
			at + "4:3: a key: " + expectedName}},
		{"values", "phones:\n  a:\n    url: http://a/hunter2\n    username: admin\n    insecure: yes\n    model: [D735]\n    allow: {reset: true}\n    mask: [dtmf, [dial], hunter2]\n    dialect:\n", []string{
			at + "6:12: a: model: expected one value",
			at + "7:12: a: allow: expected one value",
			at + "8:18: expected a word",
			at + "9:13: a: dialect: no value; leave the key out, or put the text in quotes",
			at + "8:11: a: mask: expected the name of a command, such as dtmf",
			at + "5:15: a: insecure: expected true or false",
			at + "3:10: a: url: " + expectedPhone,
			at + "2:3: a: password: not set, but a user name is: a login that fails counts towards the phone's lock"}},
		{"clash with the environment", "phones:\n  kitchen: {url: http://a}\n  b: {url: http://192.0.2.10}\n", []string{
			at + "2:3: kitchen: the name is taken by PHONE_0_NAME",
			at + "3:12: b: url: the address is taken by kitchen: one phone has one name, and one command at a time"}},
		{"files", "phones:\n  a: {url: https://a, username: b, password_file: hunter2, token_file: t, ca_file: t}\n", []string{
			at + "2:51: a: password_file: the file cannot be read: no such file or directory",
			at + "2:84: a: ca_file: the file contains no certificate in PEM form",
			at + "2:72: a: token_file: expected 16 to 128 letters, digits, _ and -: it becomes a part of a URL"}},
		{"groups", "phones: {a: {url: http://a}}\ngroups:\n  all: [a]\n  a: [a]\n  B: [a]\n  c: []\n  d: a\n  e:\n  f: [a, hall, ktchen, a, [a], hunter 2]\n  g: [a]\n  g: [a]\n", []string{
			at + "3:3: all: all is the built-in group of every phone: expected another name",
			at + "4:3: a: a phone has this name: expected another one for the group",
			at + "5:3: B: " + expectedName,
			at + "6:6: c: expected a list of phones, such as [kitchen, hall]",
			at + "7:6: d: expected a list of phones, such as [kitchen, hall]",
			at + "8:5: e: expected a list of phones, such as [kitchen, hall]",
			at + "9:10: f: no phone has the name hall",
			at + "9:16: f: no phone has the name ktchen; did you mean kitchen?",
			at + "9:24: f: a is in the group twice",
			at + "9:27: f: expected the name of a phone",
			at + "9:32: f: no phone has the name a key",
			at + "11:3: g: written twice"}},
		{"not YAML", "phones:\n\ta: hunter2\n", []string{at + "2:1: this is not YAML: U+0009 TAB, expected spaces"}},
		{"not YAML either", "phones:\n  a: {url: http://a\n", []string{at + "2:6: this is not YAML: while parsing a flow mapping, did not find expected ',' or '}'"}},
		{"a secret that does not close", "phones:\n  a: {password: \"hunter2}\n", []string{at + "2:17: this is not YAML: while scanning a quoted scalar, found unexpected end of stream"}},
		{"a version", "%YAML hunter2\n---\nphones:\n", []string{at + "1:7: this is not YAML: while scanning a %YAML directive, did not find expected version number"}},
		{"two documents", "phones: {}\n---\nphones: {}\n", []string{at + "3:1: expected one document, here begins a second one"}},
		{"anchors", "phones:\n  a: &a {url: http://a}\n  b: *a\n", []string{at + "2:6: expected plain values: no tags, anchors, aliases or compound keys; put a text that begins with !, & or * in quotes"}},
		{"tags", "phones:\n  a: {url: !!str http://a}\n", []string{at + "2:12: expected plain values: no tags, anchors, aliases or compound keys; put a text that begins with !, & or * in quotes"}},
		{"merge", "phones:\n  <<: {a: {url: http://a}}\n", []string{at + "2:3: expected plain values: no tags, anchors, aliases or compound keys; put a text that begins with !, & or * in quotes"}},
		{"not UTF-8", "phones:\n  ä: {password: h\xe4nter2}\n", []string{at + "2:18: byte 0xE4 is not UTF-8: save the file as UTF-8"}},
		{"UTF-16", "\xff\xfep\x00h\x00", []string{at + "1:1: expected phones: and below it a name for each phone"}},
		{"half of UTF-16", "\xff\xfep\x00h", []string{at + "1:2: half a character of UTF-16: save the file as UTF-8"}},
		{"UTF-16 without a mark", "p\x00h\x00:\x00", []string{at + "1:2: not a text in UTF-8; if it is UTF-16, it has no byte order mark: save the file as UTF-8"}},
		{"a mistake behind a byte order mark", "\uFEFFphone:\n  a: {url: http://a}\n", []string{at + "1:1: phone: no such key; did you mean phones?"}},
		{"a password of two lines", "phones:\n  a: {url: http://a, username: b, password: \"hunter2\\n\"}\n", []string{
			at + "2:45: a: password: ends with an invisible character, U+000A LINE FEED: remove it"}},
		{"too deep", "a: " + strings.Repeat("[", 1000) + "\n", []string{at + "1:20: values are nested too deeply"}},
		{"too deep by dashes", strings.Repeat("- ", 1000) + "\n", []string{at + "1:33: values are nested too deeply"}},
	}
}

func TestFaultsOfThePhonesFile(t *testing.T) {
	t.Parallel()
	for _, tt := range phonesFileFaults() {
		settings := "PHONES_FILE=$DIR/p.yaml"
		if strings.Contains(strings.Join(tt.want, ""), "kitchen?") || strings.Contains(tt.file, "kitchen") {
			settings += "\n" + kitchen
		}
		runFaults(t, []faultRow{{tt.name, settings, map[string]string{"p.yaml": tt.file, "t": canary}, tt.want}})
	}
}

func TestErrorListsEveryFault(t *testing.T) {
	t.Parallel()
	_, err := config.Load(t.Context(), []string{"SNOM2MQTT_QUEUE_LENGTH=0", "SNOM2MQTT_PHONE_0_URL=http://a"})
	const want = "configuration:\n" +
		"SNOM2MQTT_QUEUE_LENGTH: expected a whole number from 1 to 10000\n" +
		"SNOM2MQTT_PHONE_0_NAME: not set"
	if got := fmt.Sprint(err); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	fault := config.Fault{Where: "SNOM2MQTT_PHONE_0_NAME", What: "not set"}
	if !errors.Is(err, fault) {
		t.Errorf("errors.Is(%v, %v) = false, want true", err, fault)
	}
	if _, err := json.Marshal(err); err != nil {
		t.Errorf("json.Marshal of the error: %v", err)
	}
}
