package config

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
)

// A Setting is one variable of the environment.
type Setting struct {
	Name    string // with the prefix; the number of a phone is written <n>
	Default string // empty: none
	What    string // a few short sentences in Markdown
	Secret  bool   // may also be given as Name_FILE, the path of a file
}

// Settings lists every variable in the order of docs/settings.md, but for those that end in _FILE beside
// a secret.
func Settings() []Setting {
	phone := func(name string) string { return "PHONE_<n>_" + name }
	list := []Setting{
		{Name: "MQTT_URL", What: "The broker: `tcp://`, `ssl://`, `ws://` or `wss://`, host, port. `mqtt://` and `mqtts://` are other names of the first two. Without a port it is 1883, 8883, 80 or 443."},
		{Name: "MQTT_USERNAME", What: "The name at the broker. The embedded broker asks its clients for it."},
		{Name: "MQTT_PASSWORD", What: "The password that belongs to it."},
		{Name: "MQTT_CLIENT_ID", What: "`snom2mqtt-<host>-<random>` unless set. No two clients of a broker may have the same."},
		{Name: "MQTT_CA_FILE", What: "Certificates in PEM form that the broker's must come from, instead of those of the system."},
		{Name: "MQTT_CERT_FILE", What: "A certificate in PEM form that the bridge shows to the broker."},
		{Name: "MQTT_KEY_FILE", What: "The key to it, unless it stands in the same file."},
		{Name: "MQTT_SERVER_NAME", What: "The name that the broker's certificate must bear, where that is not the host of the URL."},
		{Name: "MQTT_INSECURE", What: "`true`: do not check the broker's certificate at all."},
		{Name: "BROKER_LISTEN", What: "`host:port`: run the embedded broker there and use it instead of `MQTT_URL`. Without `MQTT_USERNAME` it must be a loopback address."},
		{Name: "BASE_TOPIC", What: "The beginning of every topic."},
		{Name: "INSTANCE", What: "The name of this bridge where several share a base topic, each with phones of its own. Bridge topics become `<base>/bridge/<instance>/…`. A name like that of a phone."},

		{Name: phone("NAME"), What: "The phone's name in topics: 1 to 64 of `a` to `z`, `0` to `9`, `_`, `-`, a letter or digit first. `bridge` and `all` are taken."},
		{Name: phone("URL"), What: "`http://host[:port]` or `https://host[:port]`: the phone's web interface."},
		{Name: phone("USERNAME"), What: "The name for the phone's web interface. Without it the bridge never logs in."},
		{Name: phone("PASSWORD"), What: "The password that belongs to it."},
		{Name: phone("MODEL"), What: "Such as `D735` or `snom 320`. Keys that it has not are refused. Learnt from the phone where it is not set."},
		{Name: phone("DIALECT"), What: "`new` or `old` firmware, for the requests that differ: the hold key, the ringer, clearing the call lists. Unless set, new for the D series; elsewhere keys go as they are written, and the rest as to new firmware."},
		{Name: phone("ALLOW"), What: "As `ALLOW`, for this phone."},
		{Name: phone("MASK"), What: "As `MASK`, for this phone."},
		{Name: phone("INSECURE"), What: "`true`: do not check the certificate of an `https` phone at all."},
		{Name: phone("CA_FILE"), What: "Certificates in PEM form that the phone's must come from, instead of those of the system."},
		{Name: phone("CERT_SHA256"), What: "The SHA-256 of the phone's own certificate, 64 hex digits, colons allowed. Then no other one is accepted, and its names and dates do not matter. `snom2mqtt probe` prints it."},
		{Name: phone("LEGACY_TLS"), What: "`true`: accept TLS 1.0 and old ciphers, as old phones need them."},
		{Name: phone("TOKEN"), What: "What the phone's action URLs carry to prove that they are the phone's: 16 to 128 letters, digits, `_`, `-`. Made from `PHONE_TOKEN_SECRET` and the phone's name where it is not set."},
		{Name: "PHONES_FILE", What: "A file with phones and groups, below. It may be used beside the numbered phones."},

		{Name: "ALLOW", What: "Opens the commands that are shut: `reset`, `firmware`, or both with a comma."},
		{Name: "FIRMWARE_HOSTS", What: "The hosts, or `host:port`, that a firmware URL may name, with commas."},
		{Name: "DIAL_ALLOW", What: "A regular expression (RE2 syntax) over the whole number: what may be dialled. Everything unless set."},
		{Name: "DIAL_DENY", What: "The same for what may not, also where `DIAL_ALLOW` would let it. Of a SIP URI it rules over the user, too: what stands before the `@`. Nothing unless set."},
		{Name: "MASK", What: "Commands whose argument is shown as `***` in results and in the log, with commas: `dtmf`, where a door opens by a code."},
		{Name: "COMMAND_TTL", What: "How long a command may wait before it is not carried out any more, `100ms` to `1h`."},
		{Name: "QUEUE_LENGTH", What: "Commands that may wait for one phone, 1 to 10000."},
		{Name: "REQUEST_TIMEOUT", What: "How long one HTTP exchange with a phone may take, `100ms` to `1m`."},
		{Name: "COMMAND_GAP", What: "The pause between two requests to one phone, the two of a login among them, `0s` to `1m`."},
		{Name: "AVAILABILITY_INTERVAL", What: "How often to look whether a phone that says nothing is still there, `1s` to `24h`."},

		{Name: "HOMEASSISTANT", What: "`false`: publish no discovery documents for Home Assistant."},
		{Name: "HOMEASSISTANT_PREFIX", What: "The beginning of their topics."},

		{Name: "PHONE_LISTEN", What: "`host:port` where phones call the bridge (action URLs)."},
		{Name: "PHONE_BASE_URL", What: "The URL by which phones reach it. Unless set, `PHONE_LISTEN` where that names one IP address, otherwise the address of this machine that a phone sees; in a container that is the wrong one."},
		{Name: "PHONE_CHECK_SOURCE", What: "`false`: let events of a phone come from an address other than the phone's, as they do behind NAT."},
		{Name: "PHONE_TOKEN_SECRET", What: "What the tokens of phones without one of their own are made from: 16 to 128 characters that nobody guesses, such as `openssl rand -hex 16` prints. Where it is not set, the program makes one and keeps it in `phone-token-secret`, in `STATE_DIRECTORY`, or else in `snom2mqtt` below `XDG_STATE_HOME` or `~/.local/state`; in a container that keeps nothing, set it. Whoever changes it has to install the action URLs again."},
		{Name: "RING_TIMEOUT", What: "After this time ringing that nobody spoke of any more is over, `1s` to `1h`."},
		{Name: "CALL_TIMEOUT", What: "After this time a call that nobody spoke of any more is over, `1s` to `168h`."},

		{Name: "STATE_DIRECTORY", What: "The absolute path of a directory that outlives the program, where it keeps what it has learned: by phone, Home Assistant's identifier, model, firmware, MAC address and authentication scheme, nothing secret; and `phone-token-secret`, below. Unless set, the one that systemd gives a service; without one, identities of phones are lost with a restart."},

		{Name: "CONSOLE_LISTEN", What: "`host:port` of the console, `/healthz`, `/readyz` and `/metrics`, or `off`. Other than a loopback address it wants the password."},
		{Name: "CONSOLE_PASSWORD", What: "The password of the console."},

		{Name: "LOG_LEVEL", What: "`debug`, `info`, `warn` or `error`."},
		{Name: "LOG_FORMAT", What: "`text` or `json`."},
	}
	defaults, known := map[string]string{}, names(&variables{})
	for _, p := range params(&variables{}) {
		defaults[p.OwnKey] = p.DefaultValue
	}
	for _, name := range names(&phoneText{}) {
		known = append(known, phone(name))
	}
	for i, s := range list {
		list[i].Name = prefix + s.Name
		list[i].Default = defaults[s.Name]
		list[i].Secret = slices.Contains(known, s.Name+"_FILE")
	}
	return list
}

// WriteSettings writes docs/settings.md.
func WriteSettings(w io.Writer) error {
	b := bufio.NewWriter(w)
	_, _ = b.WriteString(settingsHead) // Flush returns the first error
	for _, s := range Settings() {
		def, what := "-", s.What
		if s.Default != "" {
			def = "`" + s.Default + "`"
		}
		if s.Secret {
			what = "**Secret.** " + what
		}
		_, _ = fmt.Fprintf(b, "| `%s` | %s | %s |\n", strings.TrimPrefix(s.Name, prefix), def, what) // as above
	}
	_, _ = b.WriteString(settingsFoot) // as above
	return b.Flush()
}

const settingsHead = "<!-- Made from the code by `make docs`. Do not edit. -->\n" + `
# Settings

Everything is set by environment variables. Their names begin with ` + "`SNOM2MQTT_`" + `, which the table leaves
out. A name with that beginning that is not in the table stops the program, so that a misspelt one is not
passed over in silence. An empty variable counts as not set. All faults are reported at once;
` + "`snom2mqtt check`" + ` does only that. No fault shows the value of a setting, since it may be a secret.

The smallest configuration is a phone and a broker:

` + "```sh" + `
SNOM2MQTT_MQTT_URL=tcp://broker.example:1883
SNOM2MQTT_PHONE_0_NAME=kitchen
SNOM2MQTT_PHONE_0_URL=http://192.0.2.10
` + "```" + `

Phones are numbered from 0 without a gap. Times have a unit, such as ` + "`90s`, `1m30s` or `250ms`" + `. Lists have
commas between their parts.

| variable | default | what |
|---|---|---|
`

const settingsFoot = `
## Secrets from files

Each setting that is marked as secret may also be given as a file, as containers do it: add ` + "`_FILE`" + ` to its
name and set that to the path. One line end at the end of the file is not a part of the secret. An empty
file is an error, and so is giving both. The files are read once when the program starts; those of the
phones file are read again with it.

` + "```sh" + `
SNOM2MQTT_MQTT_USERNAME=snom2mqtt
SNOM2MQTT_MQTT_PASSWORD_FILE=/run/secrets/mqtt_password
` + "```" + `

## The phones file

` + "`PHONES_FILE`" + ` names a YAML file. It is the better place for more than a handful of phones, and the only one for
groups. The keys of a phone are those of the table in small letters, without ` + "`PHONE_<n>_`" + `. Paths in it are
relative to the directory it stands in.

` + "```yaml" + `
` + phonesFileExample + "```" + `

The group ` + "`all`" + `, every phone, is always there. Names and addresses may not be given twice, also not
here and among the numbered phones. A key that is not known is an error, with its line and column. Tags,
anchors and aliases are not understood. A file of 10,000 phones loads in a moment as long as it is written
simply, as above; unusual YAML takes longer.

## Reload

On ` + "`SIGHUP`" + `, and on a message to ` + "`<base>/bridge/request/reload`" + `, the phones file is read again with the files it
names. A file with a fault changes nothing: the faults are logged, and everything goes on as before. The
variables are those of the start until the program is started again.

## Kubernetes

For every Service, Kubernetes adds variables to the containers of the namespace. Those of a Service whose name
begins with ` + "`snom2mqtt`" + ` look like settings that do not exist. Put ` + "`enableServiceLinks: false`" + ` into the pod's spec,
or give the Service another name.
`

// phonesFileExample is shown in docs/settings.md. A test reads it.
const phonesFileExample = `phones:
  kitchen:
    url: http://192.0.2.10
    username: admin
    password_file: kitchen.password
    model: D735
  hall: {url: http://192.0.2.11, model: 320, dialect: old}
  door:
    url: https://door.example
    cert_sha256: 5f78c33274e43fa9de5659265c1d917e25c03722dcb0b8d27db8d5feaa813953
    allow: [reset]      # commands that are shut elsewhere
    mask: [dtmf]        # the code that opens the door
groups:
  downstairs: [kitchen, hall]
`
