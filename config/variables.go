package config

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/caarlos0/env/v11"

	"github.com/snom2mqtt/snom2mqtt/internal/loglevel"
)

// prefix begins the name of every variable of the program.
const prefix = "SNOM2MQTT_"

// variables is the environment as it is written: one row for each setting. The comment of a row is its text in
// docs/settings.md; accepts is the range or the list of words that it may have, or names a list of [lists]. A row ending in File is the other way to
// give the secret above it.
//
// Everything is text here and is checked afterwards, because the env library names the field and not the variable in its
// errors, quotes the value, and of a list reports the first bad element only.
type variables struct {
	// The URL of the broker: `tcp://`, `ssl://`, `ws://` or `wss://`, host, port. `mqtt://` and `mqtts://` are other names
	// of the first two. Without a port it is 1883, 8883, 80 or 443.
	MQTTURL field `env:"MQTT_URL" envDefault:"tcp://localhost:1883"`
	// The user name at the broker. The embedded broker requires it of its clients.
	MQTTUsername field `env:"MQTT_USERNAME"`
	// The password at the broker.
	MQTTPassword     field `env:"MQTT_PASSWORD"`
	MQTTPasswordFile field `env:"MQTT_PASSWORD_FILE"`
	// `snom2mqtt-<host>-<random>` unless set. No two clients of a broker may have the same one.
	MQTTClientID field `env:"MQTT_CLIENT_ID"`
	// A file with the certificates in PEM form of the authorities that may sign the broker's certificate, instead of those of
	// the system.
	MQTTCAFile field `env:"MQTT_CA_FILE"`
	// A file with the client certificate in PEM form that the bridge presents to the broker.
	MQTTCertFile field `env:"MQTT_CERT_FILE"`
	// A file with the key of the client certificate in PEM form, not encrypted. Unless set, `MQTT_CERT_FILE` holds it as well.
	MQTTKeyFile field `env:"MQTT_KEY_FILE"`
	// The name that the broker's certificate must have, if that is not the host of the URL.
	MQTTServerName field `env:"MQTT_SERVER_NAME"`
	// `true`: accept any certificate of the broker.
	MQTTInsecure field `env:"MQTT_INSECURE" envDefault:"false"`
	// `host:port`: run the embedded broker at this address and use it instead of `MQTT_URL`. Without `MQTT_USERNAME` it must be
	// a loopback address.
	BrokerListen field `env:"BROKER_LISTEN" envDefault:"off"`
	// The first level of every topic, or several.
	BaseTopic field `env:"BASE_TOPIC" envDefault:"snom"`
	// The name of this bridge if several share a base topic, each with phones of its own. Bridge topics become
	// `<base>/bridge/<instance>/…`. Same form as the name of a phone.
	Instance field `env:"INSTANCE"`

	Phones []phoneVariables `envPrefix:"PHONE_"`
	// A file with phones and groups, below. It may be used together with the numbered phones.
	PhonesFile field `env:"PHONES_FILE"`

	// Enables commands that are disabled by default, separated by commas:
	Allow field `env:"ALLOW" accepts:"gated"`
	// The hosts, or `host:port`, that a firmware URL may name, separated by commas.
	FirmwareHosts field `env:"FIRMWARE_HOSTS"`
	// The newest firmware, which Home Assistant shows as an update for phones that have an older one: a version such as `10.1.198.19`, or the
	// `https` URL of its file, in which `{model}` stands for the model, such as `D735`. With a version alone the file is that of
	// `https://downloads.snom.com`. Unless set, no update is shown.
	FirmwareLatest field `env:"FIRMWARE_LATEST"`
	// The hosts that pictures and announcements may be fetched from, separated by commas: `host`, `host:port`, a network such as
	// `192.0.2.0/24`, or `*` for all. Unless set, the hosts that other settings name, such as that of the broker. Phones are never asked.
	ImageHosts field `env:"IMAGE_HOSTS"`
	// A regular expression (RE2 syntax) over the whole number: what may be dialled. Unless set, everything.
	DialAllow field `env:"DIAL_ALLOW"`
	// A regular expression over the whole number: what may not be dialled, even if `DIAL_ALLOW` matches. For a SIP URI it is
	// also applied to the user, the part before the `@`. Unless set, nothing.
	DialDeny field `env:"DIAL_DENY"`
	// A regular expression over the whole name of a setting, such as `vol_.*|call_waiting1`: what `set` may write. Unless set,
	// nothing. `http_…`, `admin_…`, `action_…`, `user_…` and names with `pass` never, whatever it says.
	SettingsAllow field `env:"SETTINGS_ALLOW"`
	// Commands whose argument is shown as `***` in results and in the log, separated by commas: `dtmf`, if a code opens a door.
	Mask field `env:"MASK"`
	// How long a command may wait before it expires.
	CommandTTL field `env:"COMMAND_TTL" envDefault:"30s" accepts:"100ms to 1h"`
	// How many commands may wait for one phone.
	QueueLength field `env:"QUEUE_LENGTH" envDefault:"32" accepts:"1 to 10000"`
	// The time limit of one HTTP exchange with a phone.
	RequestTimeout field `env:"REQUEST_TIMEOUT" envDefault:"5s" accepts:"100ms to 1m"`
	// The pause between two requests to one phone, including the two of a login.
	CommandGap field `env:"COMMAND_GAP" envDefault:"100ms" accepts:"0s to 1m"`
	// How often a phone that sends nothing is polled.
	AvailabilityInterval field `env:"AVAILABILITY_INTERVAL" envDefault:"60s" accepts:"1s to 24h"`
	// How often each phone is asked for do not disturb, forwarding and its calls, as by the command `ask`. A phone that has a call, as
	// far as its events or its last answer say, is not asked. `off`: never. It requires `PHONE_LISTEN`.
	AskEvery field `env:"ASK_EVERY" envDefault:"off" accepts:"1s to 24h"`

	// `false`: publish no discovery documents for Home Assistant.
	HomeAssistant field `env:"HOMEASSISTANT" envDefault:"true"`
	// The first level of their topics, or several.
	HomeAssistantPrefix field `env:"HOMEASSISTANT_PREFIX" envDefault:"homeassistant"`
	// The language of the names of entities. Identifiers and topics do not depend on it:
	HomeAssistantLanguage field `env:"HOMEASSISTANT_LANGUAGE" envDefault:"en" accepts:"en or de"`

	// `host:port` of the UDP socket that requests to phones driven by SIP come from. Unless set, the system chooses both.
	SIPListen field `env:"SIP_LISTEN"`
	// The manager interface (AMI) of Asterisk, for phones whose URL begins with `asterisk:`: `tcp://host[:port]` or `tls://host[:port]`.
	AsteriskURL field `env:"ASTERISK_URL"`
	// The user name there.
	AsteriskUsername field `env:"ASTERISK_USERNAME"`
	// The password there.
	AsteriskPassword     field `env:"ASTERISK_PASSWORD"`
	AsteriskPasswordFile field `env:"ASTERISK_PASSWORD_FILE"`
	// The event socket of FreeSWITCH, for phones whose URL begins with `freeswitch:`: `tcp://host[:port]` or `tls://host[:port]`.
	FreeSWITCHURL field `env:"FREESWITCH_URL"`
	// The password there.
	FreeSWITCHPassword     field `env:"FREESWITCH_PASSWORD"`
	FreeSWITCHPasswordFile field `env:"FREESWITCH_PASSWORD_FILE"`
	// The URL of Home Assistant, whose text-to-speech announcements are spoken with, such as `http://192.0.2.5:8123`. In the app it
	// needs no setting.
	HomeAssistantURL field `env:"HOMEASSISTANT_URL"`
	// A long-lived access token of a user of Home Assistant.
	HomeAssistantToken     field `env:"HOMEASSISTANT_TOKEN"`
	HomeAssistantTokenFile field `env:"HOMEASSISTANT_TOKEN_FILE"`
	// The Wyoming server that announcements are spoken with, such as `tcp://piper:10200`. It comes before Home Assistant where both are set.
	TTSURL field `env:"TTS_URL"`
	// The network interface that announcements are sent by, such as `eth0`, or an address that it has. Unless set, the one of the
	// default route.
	PagingInterface field `env:"PAGING_INTERFACE"`
	// The time to live of announcements: 1 keeps them in the network of that interface, each router on the way takes one more.
	PagingTTL field `env:"PAGING_TTL" envDefault:"1" accepts:"1 to 255"`

	// `host:port` where phones report events to the bridge (action URLs).
	PhoneListen field `env:"PHONE_LISTEN" envDefault:"off"`
	// The URL under which phones reach that address. Unless set, `PHONE_LISTEN` if that names one IP address, otherwise the
	// address of this machine on the way to the phone. Required in a container.
	PhoneBaseURL field `env:"PHONE_BASE_URL"`
	// `false`: accept events of a phone from any address, as behind NAT.
	PhoneCheckSource field `env:"PHONE_CHECK_SOURCE" envDefault:"true"`
	// What the tokens of phones without one of their own are derived from: 16 to 128 random characters, such as
	// `openssl rand -hex 16` prints. Unless set, the program makes one and keeps it in `phone-token-secret`, in
	// `STATE_DIRECTORY`, or else in `snom2mqtt` below `XDG_STATE_HOME` or `~/.local/state`. After a change the action URLs must be
	// installed again.
	TokenSecret     field `env:"PHONE_TOKEN_SECRET"`
	TokenSecretFile field `env:"PHONE_TOKEN_SECRET_FILE"`
	// `host:port` of the UDP socket where phones send syslog, such as `:5140`: light and temperature of a D735 (docs/panel.md).
	SyslogListen field `env:"SYSLOG_LISTEN" envDefault:"off"`
	// How long a call is shown as ringing when no further event arrives.
	RingTimeout field `env:"RING_TIMEOUT" envDefault:"120s" accepts:"1s to 1h"`
	// How long a call is shown when no further event arrives.
	CallTimeout field `env:"CALL_TIMEOUT" envDefault:"4h" accepts:"1s to 168h"`

	// The absolute path of a directory that outlives the process. The program keeps there, for each phone, Home Assistant's
	// identifier, model, firmware, MAC address and authentication scheme, none of them a secret; and `phone-token-secret`,
	// above. Unless set, the directory that systemd gives a service; without one they are lost with a restart.
	StateDirectory field `env:"STATE_DIRECTORY"`

	// `host:port` of the console, `/healthz`, `/readyz` and `/metrics`, or `off`. An address that is not loopback requires the
	// password, or `CONSOLE_INGRESS`.
	ConsoleListen field `env:"CONSOLE_LISTEN" envDefault:"127.0.0.1:8080"`
	// The password of the console.
	ConsolePassword     field `env:"CONSOLE_PASSWORD"`
	ConsolePasswordFile field `env:"CONSOLE_PASSWORD_FILE"`
	// `true`: the console shows everything and sends nothing.
	ConsoleReadOnly field `env:"CONSOLE_READ_ONLY" envDefault:"false"`
	// The IP address of a proxy that checks who asks, such as Home Assistant's ingress: the console answers it without a
	// password, and no other address but this machine's own.
	ConsoleIngress field `env:"CONSOLE_INGRESS"`

	// The least level that is logged:
	LogLevel field `env:"LOG_LEVEL" envDefault:"info" accepts:"levels"`
	// The format of the log:
	LogFormat field `env:"LOG_FORMAT" envDefault:"text" accepts:"text or json"`
}

// phoneVariables is a phone as it is written, in variables or, with the names in small letters and without NAME, in the
// phones file. Its rows are like those of [variables].
type phoneVariables struct {
	// The phone's name in topics: 1 to 64 of `a` to `z`, `0` to `9`, `_`, `-`, a letter or digit first. `bridge` and `all` are
	// reserved.
	Name field `env:"NAME"`
	// `http://host[:port]` or `https://host[:port]`: the phone's web interface. A phone without remote control over HTTP is driven by
	// SIP: `sip:user@host[:port]`, with `;transport=tcp` or `;transport=tls`; or by its PBX: `asterisk:endpoint`,
	// `freeswitch:user@domain` (docs/sip.md).
	URL field `env:"URL"`
	// The user name of the phone's web interface, or of SIP. Without it the bridge never logs in.
	Username field `env:"USERNAME"`
	// The password of the phone's web interface, or of SIP.
	Password     field `env:"PASSWORD"`
	PasswordFile field `env:"PASSWORD_FILE"`
	// The login that the bridge may make. Unless set, the one that the phone asks for, digest before basic, but no basic login over
	// `http` once a phone has asked for digest: otherwise a program at the phone's address could ask for the password in
	// the clear. `any` permits that:
	Auth field `env:"AUTH" accepts:"digest, basic or any"`
	// Such as `D735` or `snom 320`. Keys that it does not have are refused. Unless set, the model that the phone reports.
	Model field `env:"MODEL"`
	// The firmware's dialect, for the requests that differ: the hold key, the ringer, clearing the call lists. Unless set, `new`
	// for the D series; for others keys are sent as written, and the rest as to new firmware:
	Dialect field `env:"DIALECT" accepts:"old or new"`
	// The size of the display in pixels, such as `480x272`, which pictures are made for. Unless set, that of the model; where that is not
	// known, pictures have at most 320 x 184 pixels.
	Display field `env:"DISPLAY"`
	// The number that the light of the key P1 has in the phone's minibrowser, where that of the model is not known.
	LEDOffset field `env:"LED_OFFSET" accepts:"1 to 500"`
	// The area that Home Assistant suggests for the phone when it sees it first, such as `Kitchen`.
	Area field `env:"AREA"`
	// As `FIRMWARE_LATEST`, for this phone.
	FirmwareLatest field `env:"FIRMWARE_LATEST"`
	// As `ALLOW`, for this phone.
	Allow field `env:"ALLOW" accepts:"gated"`
	// As `MASK`, for this phone.
	Mask field `env:"MASK"`
	// `true`: accept any certificate of an `https` phone.
	Insecure field `env:"INSECURE"`
	// A file with the certificates in PEM form of the authorities that may sign the phone's certificate, instead of those of the
	// system.
	CAFile field `env:"CA_FILE"`
	// The SHA-256 of the phone's own certificate, 64 hex digits, with or without colons. No other certificate is accepted then,
	// and its names and dates are ignored. `snom2mqtt probe` prints it.
	CertSHA256 field `env:"CERT_SHA256"`
	// `true`: accept TLS 1.0 and old ciphers, for old phones.
	LegacyTLS field `env:"LEGACY_TLS"`
	// What the phone's action URLs carry as proof that an event is the phone's: 16 to 128 letters, digits, `_`, `-`. Unless set, it
	// is derived from `PHONE_TOKEN_SECRET` and the phone's name.
	Token     field `env:"TOKEN"`
	TokenFile field `env:"TOKEN_FILE"`
}

// UnmarshalText takes the text of a variable, for the env library.
func (f *field) UnmarshalText(text []byte) error {
	f.text = string(text)
	return nil
}

// A row is what the tags of one field of [variables] or [phoneVariables] say.
type row struct{ field, name, def, accepts string }

// lists returns the words that settings may have which are listed in other packages, by the name that their rows have for
// them.
func lists() map[string][]string {
	return map[string][]string{"gated": gates(), "levels": loglevel.Names()}
}

// rows lists the settings of a struct, but for lists of phones.
func rows(of any) []row {
	t := reflect.TypeOf(of)
	list, listed := make([]row, 0, t.NumField()), lists()
	for i := range t.NumField() {
		f := t.Field(i)
		if name := f.Tag.Get("env"); name != "" {
			accepts := f.Tag.Get("accepts")
			if words, ok := listed[accepts]; ok {
				accepts = either(words)
			}
			list = append(list, row{f.Name, name, f.Tag.Get("envDefault"), accepts})
		}
	}
	return list
}

// names lists the variables of a struct, without the prefix.
func names(of any) []string {
	var list []string
	for _, r := range rows(of) {
		list = append(list, r.name)
	}
	return list
}

// placed returns the fields of a struct with their names, their place and what they accept.
func placed[T variables | phoneVariables](v T, in place) T {
	fields := reflect.ValueOf(&v).Elem()
	for _, r := range rows(v) {
		f := fields.FieldByName(r.field).Addr().Interface().(*field) //nolint:forcetypeassert // every row is one
		f.in, f.key, f.accepts = in, r.name, r.accepts
	}
	return v
}

// each calls f with every field of a struct that is set.
func each[T variables | phoneVariables](v T, f func(field)) {
	for _, value := range reflect.ValueOf(v).Fields() {
		if one, ok := value.Interface().(field); ok && one.text != "" {
			f(one)
		}
	}
}

// readVariables reads environ and adds a fault for every name with the prefix that is not a setting.
// An empty variable counts as not set.
func readVariables(environ []string, f *faults) variables {
	var (
		all       = env.ToMap(environ)
		known     = names(variables{})
		knownKeys = names(phoneVariables{})
		set       = map[string]string{} // what the library gets: settings that are set, and nothing else
		phones    = map[int]map[string]string{}
		unknown   []string
	)
	for _, full := range slices.Sorted(maps.Keys(all)) {
		name, ours := strings.CutPrefix(full, prefix)
		if !ours {
			continue
		}
		number, key, isPhone := cutPhone(name)
		switch {
		case slices.Contains(known, name):
			if all[full] != "" {
				set[full] = all[full]
			}
		case isPhone && slices.Contains(knownKeys, key) && canonical(number):
			if all[full] == "" {
				break
			}
			n, _ := strconv.Atoi(number) // canonical has checked it
			if phones[n] == nil {
				phones[n] = map[string]string{}
			}
			phones[n][key] = all[full]
		default:
			unknown = append(unknown, name)
		}
	}
	for _, name := range withoutServiceLinks(unknown, f) {
		f.add(prefix+name, "%s", whyUnknown(name, known, knownKeys))
	}
	numbers := withoutGaps(phones, set, f)
	v := env.Must(env.ParseAsWithOptions[variables](env.Options{Prefix: prefix, Environment: set})) // texts only: cannot fail
	for i, n := range numbers {
		v.Phones[i] = placed(v.Phones[i], numberedPlace(n))
	}
	return placed(v, environment(prefix))
}

// withoutGaps adds the phones to what the env library gets, numbered without the gaps at which it would end the list, adds a
// fault for each gap, and returns their numbers.
func withoutGaps(phones map[int]map[string]string, set map[string]string, f *faults) []int {
	numbers := slices.Sorted(maps.Keys(phones))
	next := 0
	for i, n := range numbers {
		if n > next {
			f.add(prefix+"PHONE_"+strconv.Itoa(next), "no such phone, but there is number %d: "+
				"phones are numbered from 0 without a gap", n)
		}
		next = n + 1
		for key, text := range phones[n] {
			set[prefix+"PHONE_"+strconv.Itoa(i)+"_"+key] = text
		}
	}
	return numbers
}

// cutPhone takes PHONE_<n>_<key> apart.
func cutPhone(name string) (number, key string, ok bool) {
	rest, ok := strings.CutPrefix(name, "PHONE_")
	if !ok {
		return "", "", false
	}
	number, key, ok = strings.Cut(rest, "_")
	return number, key, ok && number != "" && strings.Trim(number, "0123456789") == ""
}

// canonical says whether digits are a number in its canonical form: no leading zero, at most six digits.
func canonical(digits string) bool {
	return len(digits) <= 6 && (digits == "0" || digits[0] != '0')
}

// whyUnknown says of a name that is no setting what may have been meant.
func whyUnknown(name string, known, knownKeys []string) string {
	number, key, isPhone := cutPhone(name)
	if !isPhone {
		if near := nearest(strings.ToUpper(name), known); near != "" {
			return "no such setting; did you mean " + prefix + near + "?"
		}
		return "no such setting; docs/settings.md lists them all"
	}
	if short := strings.TrimLeft(number[:len(number)-1], "0") + number[len(number)-1:]; short != number {
		return "no such setting; did you mean " + prefix + "PHONE_" + short + "_" + key + "?"
	}
	if near := nearest(strings.ToUpper(key), knownKeys); near != key && near != "" {
		return "no such setting; did you mean " + prefix + "PHONE_" + number + "_" + near + "?"
	}
	if slices.Contains(knownKeys, key) {
		return "no such setting; the highest number of a phone is 999999"
	}
	return "no such setting; a phone has " + strings.Join(knownKeys, ", ")
}

// withoutServiceLinks returns names without those that Kubernetes puts into every container for a
// Service whose name begins with the program's (Kubernetes documentation, "Service", "Environment variables"),
// and adds one fault for each such Service, which says how to prevent them.
func withoutServiceLinks(names []string, f *faults) []string {
	for _, name := range names {
		service, ok := strings.CutSuffix(prefix+name, "_SERVICE_HOST")
		if !ok || !slices.Contains(names, strings.TrimPrefix(service+"_SERVICE_PORT", prefix)) {
			continue
		}
		f.add(prefix+name, "not a setting: Kubernetes adds it, with others, for a Service named %s; "+
			"put enableServiceLinks: false into the pod's spec, or rename the Service",
			strings.ReplaceAll(strings.ToLower(service), "_", "-"))
		names = slices.DeleteFunc(slices.Clone(names), func(n string) bool {
			return strings.HasPrefix(prefix+n, service+"_SERVICE_") || strings.HasPrefix(prefix+n+"_", service+"_PORT_")
		})
	}
	return names
}
