// Package config turns the environment, and the optional phones file, into settings that were checked.
//
// [Load] reads everything once and reports every fault at once, each by the name of its variable or by
// its place in the phones file. What it returns is a plain value that nobody changes afterwards;
// [Config.ReloadPhones] reads the phones file again and returns a new [Roster]. Secrets are of type
// [Secret], which cannot be printed, and no fault quotes the value of a setting: it says what is wanted.
package config

import (
	"cmp"
	"log/slog"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"time"
)

// Config is every setting of the program. [Load] makes it; nothing changes it afterwards.
type Config struct {
	MQTT         MQTT
	BrokerListen string // host:port of the embedded broker, used instead of MQTT.URL; empty: none
	BaseTopic    string // first levels of every topic; "snom" unless set
	Instance     string // name of this bridge among several on one base topic; empty: the only one

	Roster     Roster // the phones and groups as they were when Load read them
	PhonesFile string // path of the phones file; empty: none

	Allow         []string       // gated commands open at every phone: "reset", "firmware"; sorted
	Mask          []string       // commands whose argument is shown as *** at every phone; sorted
	FirmwareHosts []string       // host or host:port that a firmware URL may name, in lower case
	DialAllow     *regexp.Regexp // what may be dialled, over the whole number; nil: everything
	DialDeny      *regexp.Regexp // what may not, over the whole number; nil: nothing

	CommandTTL           time.Duration // how long a command may wait, 100 ms to 1 h
	QueueLength          int           // commands waiting for one phone, 1 to 10,000
	RequestTimeout       time.Duration // one HTTP exchange with a phone, 100 ms to 1 min
	CommandGap           time.Duration // pause between two requests to one phone, 0 to 1 min
	AvailabilityInterval time.Duration // between two looks at a silent phone, 1 s to 24 h

	HomeAssistant       bool   // whether to publish discovery documents
	HomeAssistantPrefix string // first levels of their topics

	PhoneListen      string        // host:port where phones call us; empty: nowhere
	PhoneBaseURL     string        // the address phones use for it, no slash at its end; empty: not known
	PhoneCheckSource bool          // whether an event must come from the address of its phone
	RingTimeout      time.Duration // after which ringing nobody spoke of any more is over, 1 s to 1 h
	CallTimeout      time.Duration // after which such a call is over, 1 s to 168 h

	StateDirectory string // absolute path where the program keeps what phones told; empty: nowhere

	Console Console

	LogLevel  slog.Level // debug, info, warn or error
	LogFormat string     // "text" or "json"

	checks      Checks
	numbered    []Phone // the phones of the environment, which a reload keeps
	secrets     string  // directory where a secret that the program makes is kept; empty: nowhere
	tokenSecret Secret  // what tokens are made of
}

// Console says where people call the program.
type Console struct {
	Listen   string // host:port; empty: nowhere
	Password Secret
	Default  bool // Listen is the default, not what somebody asked for
}

// Checks are the rules of other packages that settings must pass. Each gets the text of a setting
// and returns what is wrong with it. A nil function accepts everything.
type Checks struct {
	Command   func(string) error // the name of a command
	Model     func(string) error // the name of a phone model
	BaseTopic func(string) error // the first levels of a topic
	Name      func(string) error // the name of a phone, a group or an instance
}

// Load reads and checks environ, a list of NAME=value as os.Environ returns it, and the files it names.
// Its error is an [*Error] with every fault.
func Load(environ []string, checks Checks) (Config, error) {
	k := &checker{checks: checks}
	v := readVariables(environ, &k.faults)
	at := func(key, text string) field { return field{environment(prefix), key, text} }

	c := Config{
		MQTT:         k.mqtt(v, at),
		BrokerListen: k.listen(at("BROKER_LISTEN", v.BrokerListen)),
		BaseTopic:    v.BaseTopic,
		Instance:     v.Instance,

		PhonesFile: v.PhonesFile,

		Allow:         k.gated(at("ALLOW", v.Allow)),
		FirmwareHosts: k.hosts(at("FIRMWARE_HOSTS", v.FirmwareHosts)),
		DialAllow:     k.numbers(at("DIAL_ALLOW", v.DialAllow)),
		DialDeny:      k.numbers(at("DIAL_DENY", v.DialDeny)),
		Mask:          k.commands(at("MASK", v.Mask)),

		CommandTTL:           k.duration(at("COMMAND_TTL", v.CommandTTL), 100*time.Millisecond, time.Hour),
		QueueLength:          k.whole(at("QUEUE_LENGTH", v.QueueLength), 1, 10_000),
		RequestTimeout:       k.duration(at("REQUEST_TIMEOUT", v.RequestTimeout), 100*time.Millisecond, time.Minute),
		CommandGap:           k.duration(at("COMMAND_GAP", v.CommandGap), 0, time.Minute),
		AvailabilityInterval: k.duration(at("AVAILABILITY_INTERVAL", v.AvailabilityInterval), time.Second, 24*time.Hour),

		HomeAssistant:       k.boolean(at("HOMEASSISTANT", v.HomeAssistant)),
		HomeAssistantPrefix: v.HomeAssistantPrefix,

		PhoneListen:      k.listen(at("PHONE_LISTEN", v.PhoneListen)),
		PhoneCheckSource: k.boolean(at("PHONE_CHECK_SOURCE", v.PhoneCheckSource)),
		RingTimeout:      k.duration(at("RING_TIMEOUT", v.RingTimeout), time.Second, time.Hour),
		CallTimeout:      k.duration(at("CALL_TIMEOUT", v.CallTimeout), time.Second, 7*24*time.Hour),

		StateDirectory: k.stateDirectory(at("STATE_DIRECTORY", v.StateDirectory), environ),

		Console: Console{
			Listen:   k.listen(at("CONSOLE_LISTEN", v.ConsoleListen)),
			Password: k.secret(at("CONSOLE_PASSWORD", v.ConsolePassword), at("CONSOLE_PASSWORD_FILE", v.ConsolePasswordFile)),
			Default:  !v.consoleSet,
		},

		LogLevel:  k.level(at("LOG_LEVEL", v.LogLevel)),
		LogFormat: k.word(at("LOG_FORMAT", v.LogFormat), "text", "json"),
		checks:    checks,

		tokenSecret: k.tokenSecret(at("PHONE_TOKEN_SECRET", v.TokenSecret), at("PHONE_TOKEN_SECRET_FILE", v.TokenSecretFile)),
	}
	c.secrets = cmp.Or(c.StateDirectory, userFolder(environ))
	k.topics(&c, at)
	k.listeners(&c, at, v)

	taken := newRegistry()
	c.numbered = k.numbered(v, taken, c.Allow, c.Mask)
	c.Roster = k.roster(c.numbered, taken, c.PhonesFile, c.Allow, c.Mask)
	k.tokens(&c, c.Roster.Phones)
	if err := k.err(); err != nil {
		return Config{}, err
	}
	return c, nil
}

// topics checks what becomes a part of topics.
func (c *checker) topics(to *Config, at func(key, text string) field) {
	c.ask(c.checks.BaseTopic, at("BASE_TOPIC", to.BaseTopic))
	c.ask(c.checks.BaseTopic, at("HOMEASSISTANT_PREFIX", to.HomeAssistantPrefix))
	instance := at("INSTANCE", to.Instance)
	if to.Instance != "" && c.name(instance) &&
		slices.Contains([]string{"state", "info", "request", "response", "result", "loopback"}, to.Instance) {
		c.fault(instance, "the bridge has a topic of this name: want another name")
	}
}

// listeners checks who may reach what listens, and where phones find it.
func (c *checker) listeners(to *Config, at func(key, text string) field, v variables) {
	guarded := v.MQTTUsername != "" && (v.MQTTPassword != "" || v.MQTTPasswordFile != "")
	switch {
	case to.BrokerListen == "" || guarded:
	case loopback(to.BrokerListen) && v.MQTTUsername != "":
		c.fault(at("MQTT_PASSWORD", ""), "not set, but a user name is: the embedded broker wants both or neither")
	case !loopback(to.BrokerListen):
		c.fault(at("BROKER_LISTEN", ""), "want a loopback address such as 127.0.0.1:1883, or a user name and a "+
			"password in MQTT_USERNAME and MQTT_PASSWORD: other machines reach this one")
	}
	if to.Console.Listen != "" && !loopback(to.Console.Listen) && v.ConsolePassword == "" && v.ConsolePasswordFile == "" {
		c.fault(at("CONSOLE_PASSWORD", ""), "not set, but CONSOLE_LISTEN is no loopback address: other machines reach it")
	}

	base := at("PHONE_BASE_URL", v.PhoneBaseURL)
	host, port, _ := net.SplitHostPort(to.PhoneListen) // listen has said what is wrong
	ip, err := netip.ParseAddr(host)
	switch {
	case v.PhoneBaseURL != "" && to.PhoneListen == "":
		c.fault(base, "set, but PHONE_LISTEN is off: nobody would answer there")
	case v.PhoneBaseURL != "":
		if a, ok := c.address(base, phonePorts(), "http://host:port or https://host:port, with a path if need be"); ok {
			to.PhoneBaseURL = a.short(phonePorts()[a.scheme])
		}
	case to.PhoneListen != "" && err == nil && !ip.IsUnspecified() && port != "0":
		to.PhoneBaseURL = "http://" + to.PhoneListen
	}
}

// ReloadPhones reads the phones file again and returns the roster as Load would now. Where there are
// faults it returns them all as an [*Error], and the roster in use stays right. A file whose last line has no
// end is at fault here: it may be half written, and half a password is a failed login.
func (c Config) ReloadPhones() (Roster, error) {
	taken := newRegistry()
	for i, p := range c.numbered {
		taken.names[p.Name] = field{numberedPlace(i), "NAME", p.Name}
		taken.urls[p.URL] = p.Name
	}
	k := &checker{checks: c.checks, again: true}
	r := k.roster(c.numbered, taken, c.PhonesFile, c.Allow, c.Mask)
	k.tokens(&c, r.Phones)
	if err := k.err(); err != nil {
		return Roster{}, err
	}
	return r, nil
}
