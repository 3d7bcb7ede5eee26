package config

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/caarlos0/env/v11"
)

// prefix begins the name of every variable of the program.
const prefix = "SNOM2MQTT_"

// variables is the environment as it is written. Everything is text here and is checked afterwards,
// because the env library names the field and not the variable in its errors, quotes the value, and of
// a list reports the first bad element only.
type variables struct {
	MQTTURL          string `env:"MQTT_URL" envDefault:"tcp://localhost:1883"`
	MQTTUsername     string `env:"MQTT_USERNAME"`
	MQTTPassword     string `env:"MQTT_PASSWORD"`
	MQTTPasswordFile string `env:"MQTT_PASSWORD_FILE"`
	MQTTClientID     string `env:"MQTT_CLIENT_ID"`
	MQTTCAFile       string `env:"MQTT_CA_FILE"`
	MQTTCertFile     string `env:"MQTT_CERT_FILE"`
	MQTTKeyFile      string `env:"MQTT_KEY_FILE"`
	MQTTServerName   string `env:"MQTT_SERVER_NAME"`
	MQTTInsecure     string `env:"MQTT_INSECURE" envDefault:"false"`
	BrokerListen     string `env:"BROKER_LISTEN" envDefault:"off"`
	BaseTopic        string `env:"BASE_TOPIC" envDefault:"snom"`
	Instance         string `env:"INSTANCE"`

	Phones     []phoneText `envPrefix:"PHONE_"`
	PhonesFile string      `env:"PHONES_FILE"`

	Allow                string `env:"ALLOW"`
	FirmwareHosts        string `env:"FIRMWARE_HOSTS"`
	DialAllow            string `env:"DIAL_ALLOW"`
	DialDeny             string `env:"DIAL_DENY"`
	Mask                 string `env:"MASK"`
	CommandTTL           string `env:"COMMAND_TTL" envDefault:"30s"`
	QueueLength          string `env:"QUEUE_LENGTH" envDefault:"32"`
	RequestTimeout       string `env:"REQUEST_TIMEOUT" envDefault:"5s"`
	CommandGap           string `env:"COMMAND_GAP" envDefault:"100ms"`
	AvailabilityInterval string `env:"AVAILABILITY_INTERVAL" envDefault:"60s"`

	HomeAssistant       string `env:"HOMEASSISTANT" envDefault:"true"`
	HomeAssistantPrefix string `env:"HOMEASSISTANT_PREFIX" envDefault:"homeassistant"`

	PhoneListen      string `env:"PHONE_LISTEN" envDefault:"off"`
	PhoneBaseURL     string `env:"PHONE_BASE_URL"`
	PhoneCheckSource string `env:"PHONE_CHECK_SOURCE" envDefault:"true"`
	TokenSecret      string `env:"PHONE_TOKEN_SECRET"`
	TokenSecretFile  string `env:"PHONE_TOKEN_SECRET_FILE"`
	RingTimeout      string `env:"RING_TIMEOUT" envDefault:"120s"`
	CallTimeout      string `env:"CALL_TIMEOUT" envDefault:"4h"`

	StateDirectory string `env:"STATE_DIRECTORY"`

	ConsoleListen       string `env:"CONSOLE_LISTEN" envDefault:"127.0.0.1:8080"`
	ConsolePassword     string `env:"CONSOLE_PASSWORD"`
	ConsolePasswordFile string `env:"CONSOLE_PASSWORD_FILE"`

	LogLevel  string `env:"LOG_LEVEL" envDefault:"info"`
	LogFormat string `env:"LOG_FORMAT" envDefault:"text"`

	numbers    []int // the number of each of Phones
	consoleSet bool  // CONSOLE_LISTEN is not the default
}

// phoneText is a phone as it is written, in variables or, with the names in small letters and without
// NAME, in the phones file. Every field is text.
type phoneText struct {
	Name         string `env:"NAME"`
	URL          string `env:"URL"`
	Username     string `env:"USERNAME"`
	Password     string `env:"PASSWORD"`
	PasswordFile string `env:"PASSWORD_FILE"`
	Model        string `env:"MODEL"`
	Dialect      string `env:"DIALECT"`
	Allow        string `env:"ALLOW"`
	Mask         string `env:"MASK"`
	Insecure     string `env:"INSECURE"`
	CAFile       string `env:"CA_FILE"`
	CertSHA256   string `env:"CERT_SHA256"`
	LegacyTLS    string `env:"LEGACY_TLS"`
	Token        string `env:"TOKEN"`
	TokenFile    string `env:"TOKEN_FILE"`
}

// params lists the variables that v, a pointer to a struct, is read from.
func params(v any) []env.FieldParams {
	list, err := env.GetFieldParamsWithOptions(v, env.Options{Environment: map[string]string{}})
	if err != nil {
		panic(err) // a wrong tag in this file
	}
	return list
}

// names lists the variables that v, a pointer to a struct, is read from, without the prefix.
func names(v any) []string {
	var list []string
	for _, p := range params(v) {
		list = append(list, p.OwnKey)
	}
	return list
}

// readVariables reads environ and adds a fault for every name with our prefix that is not a setting.
// An empty variable counts as not set.
func readVariables(environ []string, f *faults) variables {
	var (
		all       = env.ToMap(environ)
		known     = names(&variables{})
		knownKeys = names(&phoneText{})
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
			n, _ := strconv.Atoi(number) // canonical has seen to it
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

	// The library ends a list of structs at the first gap without a word, so it gets the phones without
	// gaps, and the gaps are faults.
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
	v := env.Must(env.ParseAsWithOptions[variables](env.Options{Prefix: prefix, Environment: set})) // texts only: cannot fail
	v.numbers, v.consoleSet = numbers, set[prefix+"CONSOLE_LISTEN"] != ""
	return v
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

// canonical says whether digits are a number as we write it: no leading zero, at most six digits.
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
// Service whose name begins with ours (Kubernetes documentation, "Service", "Environment variables"),
// and adds one fault for each such Service, which says how to be rid of them.
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
