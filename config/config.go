// Package config turns the environment and the optional phones file into checked settings.
//
// [Load] reads everything once and reports every fault at once, each by the name of its variable or by
// its place in the phones file. What it returns is a plain value that does not change afterwards;
// [Config.ReloadPhones] reads the phones file again and returns a new [Roster]. Secrets are of type
// [Secret], which cannot be printed, and no fault quotes the value of a setting: it says what is expected.
package config

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/snom2mqtt/snom2mqtt/internal/textfile"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// Config is every setting of the program. [Load] makes it; nothing changes it afterwards. A number, a time or
// a word is one of those that [Settings] says its variable accepts.
type Config struct {
	MQTT         MQTT
	BrokerListen string // host:port of the embedded broker, used instead of MQTT.URL; empty: none
	BaseTopic    string // first levels of every topic
	Instance     string // name of this bridge among several on one base topic; empty: the only one

	Roster     Roster // the phones and groups as they were when Load read them
	PhonesFile string // path of the phones file; empty: none

	Allow         []snom.Verb    // gated commands enabled for every phone; sorted
	Mask          []snom.Verb    // commands whose argument is shown as *** at every phone; sorted
	FirmwareHosts []string       // host or host:port that a firmware URL may name, in lower case
	Firmware      Firmware       // the newest one that the settings name
	ImageHosts    []string       // hosts that files may be fetched from, as package fetch takes them
	DialAllow     *regexp.Regexp // what may be dialled, over the whole number; nil: everything
	DialDeny      *regexp.Regexp // what may not, over the whole number; nil: nothing
	SettingsAllow *regexp.Regexp // settings that the command set may write, over the whole name; nil: none

	CommandTTL           time.Duration // how long a command may wait
	QueueLength          int           // commands waiting for one phone
	RequestTimeout       time.Duration // one HTTP exchange with a phone
	CommandGap           time.Duration // pause between two requests to one phone
	AvailabilityInterval time.Duration // between two polls of a phone that sends nothing
	AskEvery             time.Duration // between two questions to a phone for its state; 0: it is not asked

	HomeAssistant         bool   // whether to publish discovery documents
	HomeAssistantPrefix   string // first levels of their topics
	HomeAssistantLanguage string // that of the names of entities

	SIPListen  string // host:port that requests by SIP come from; empty: the system's choice
	Asterisk   PBX    // for phones whose URL begins with asterisk:
	FreeSWITCH PBX    // for phones whose URL begins with freeswitch:; it has no user name
	Paging     Paging // how announcements are spoken and sent

	SyslogListen     string        // host:port where phones send syslog; empty: nowhere
	PhoneListen      string        // host:port where phones report events; empty: nowhere
	PhoneBaseURL     string        // the address phones use for it, no slash at its end; empty: not known
	PhoneCheckSource bool          // whether an event must come from the address of its phone
	RingTimeout      time.Duration // how long a call is ringing without a further event
	CallTimeout      time.Duration // how long a call lasts without a further event

	StateDirectory string // absolute path where the program keeps what phones reported; empty: nowhere

	Console Console

	LogLevel  slog.Level // one of loglevel.All
	LogFormat string

	Warnings []Fault // what is accepted and probably not meant; no text of a setting is shown

	reader      *textfile.Reader // of the phones file and the files it names
	phonesFile  field
	defaults    defaults
	numbered    []Phone  // the phones of the environment, which a reload keeps
	taken       registry // their names and addresses; read only
	secrets     string   // directory where a secret that the program makes is kept; empty: nowhere
	tokenSecret Secret   // what tokens are made of
}

// PBX says how to reach a PBX that sends NOTIFYs.
type PBX struct {
	Address  string // host:port; empty: none
	TLS      bool
	Username string
	Password Secret
}

// Console says where the console listens.
type Console struct {
	Listen   string // host:port; empty: nowhere
	Password Secret
	Default  bool       // Listen is the default
	ReadOnly bool       // it sends nothing
	Ingress  netip.Addr // of a proxy that checks who asks; not valid: none
}

// Load reads and checks environ, a list of NAME=value as os.Environ returns it, and the files it names. It returns when ctx
// ends, or when a file does not answer for 5 s. Its error is an [*Error] with every fault.
func Load(ctx context.Context, environ []string) (Config, error) {
	reader := &textfile.Reader{}
	k := newChecker(ctx, reader)
	v := readVariables(environ, &k.faults)
	each(v, k.look)
	d := defaults{allow: k.gated(v.Allow), mask: k.masked(v.Mask)}

	c := k.config(v, d, environ)
	c.reader = reader
	c.MQTT.reader = reader
	c.secrets = cmp.Or(c.StateDirectory, userFolder(environ))
	k.topics(v.BaseTopic, v.HomeAssistantPrefix, v.Instance)
	k.listeners(&c, v)

	taken := newRegistry()
	c.numbered = k.numbered(v.Phones, taken, d)
	c.taken = taken.clone()
	c.Roster = k.roster(c.numbered, taken, v.PhonesFile, d)
	k.tokens(&c, c.Roster.Phones)
	k.pbxSet(&c, c.Roster.Phones)
	if err := k.err(); err != nil {
		return Config{}, err
	}
	k.warnAll(v)
	c.Warnings = k.warnings.list
	return c, nil
}

// config returns the settings that are read one by one.
func (c *checker) config(v variables, d defaults, environ []string) Config {
	return Config{
		MQTT:         c.mqtt(v),
		BrokerListen: c.listen(v.BrokerListen),
		BaseTopic:    v.BaseTopic.text,
		Instance:     v.Instance.text,

		PhonesFile: v.PhonesFile.text,

		Allow:         d.allow,
		FirmwareHosts: c.hosts(v.FirmwareHosts),
		Firmware:      c.firmware(v.FirmwareLatest),
		ImageHosts:    c.imageHosts(v.ImageHosts, namedHosts(v, environ)),
		DialAllow:     c.pattern(v.DialAllow, overNumber),
		DialDeny:      c.pattern(v.DialDeny, overNumber),
		SettingsAllow: c.pattern(v.SettingsAllow, overName),
		Mask:          d.mask,

		CommandTTL:           c.duration(v.CommandTTL),
		QueueLength:          c.whole(v.QueueLength),
		RequestTimeout:       c.duration(v.RequestTimeout),
		CommandGap:           c.duration(v.CommandGap),
		AvailabilityInterval: c.duration(v.AvailabilityInterval),
		AskEvery:             c.interval(v.AskEvery),

		HomeAssistant:       c.boolean(v.HomeAssistant),
		HomeAssistantPrefix: v.HomeAssistantPrefix.text,

		SIPListen:             c.listen(v.SIPListen),
		Asterisk:              c.pbx(v.AsteriskURL, v.AsteriskUsername, c.secret(v.AsteriskPassword, v.AsteriskPasswordFile), "5038"),
		FreeSWITCH:            c.pbx(v.FreeSWITCHURL, field{}, c.secret(v.FreeSWITCHPassword, v.FreeSWITCHPasswordFile), "8021"),
		HomeAssistantLanguage: c.word(v.HomeAssistantLanguage),
		Paging:                c.paging(v, environ),

		SyslogListen:     c.listen(v.SyslogListen),
		PhoneListen:      c.listen(v.PhoneListen),
		PhoneCheckSource: c.boolean(v.PhoneCheckSource),
		RingTimeout:      c.duration(v.RingTimeout),
		CallTimeout:      c.duration(v.CallTimeout),

		StateDirectory: c.stateDirectory(v.StateDirectory, environ),

		Console: Console{
			Listen:   c.listen(v.ConsoleListen),
			Password: c.secret(v.ConsolePassword, v.ConsolePasswordFile),
			Default:  !isSet(environ, prefix+v.ConsoleListen.key),
			ReadOnly: c.boolean(v.ConsoleReadOnly),
			Ingress:  c.ip(v.ConsoleIngress),
		},

		LogLevel:  c.level(v.LogLevel),
		LogFormat: c.word(v.LogFormat),

		defaults:    d,
		phonesFile:  v.PhonesFile,
		tokenSecret: c.tokenSecret(v.TokenSecret, v.TokenSecretFile),
	}
}

// newChecker returns a checker that reads files by reader until ctx ends.
func newChecker(ctx context.Context, reader *textfile.Reader) *checker {
	return &checker{read: func(path string, limit int64) ([]byte, error) { return reader.Read(ctx, path, limit) }}
}

// warnAll adds a warning for each text of the environment that is probably not what was meant.
func (c *checker) warnAll(v variables) {
	warn := func(f field) { c.warn(f, f.text) }
	each(v, warn)
	for _, p := range v.Phones {
		each(p, warn)
	}
}

// isSet reports whether a variable is in the environment and not empty.
func isSet(environ []string, name string) bool {
	return slices.ContainsFunc(environ, func(e string) bool {
		value, ok := strings.CutPrefix(e, name+"=")
		return ok && value != ""
	})
}

// listeners checks who may reach what listens, and where phones find it.
func (c *checker) listeners(to *Config, v variables) {
	guarded := v.MQTTUsername.text != "" && (v.MQTTPassword.text != "" || v.MQTTPasswordFile.text != "")
	switch {
	case to.BrokerListen == "" || guarded:
	case loopback(to.BrokerListen) && v.MQTTUsername.text != "":
		c.fault(v.MQTTPassword, "not set, but a user name is: the embedded broker requires both or neither")
	case !loopback(to.BrokerListen):
		c.fault(v.BrokerListen, "expected a loopback address such as 127.0.0.1:1883, or a user name and a "+
			"password in MQTT_USERNAME and MQTT_PASSWORD: other machines reach this one")
	}
	if to.Console.Listen != "" && !loopback(to.Console.Listen) && v.ConsolePassword.text == "" && v.ConsolePasswordFile.text == "" && v.ConsoleIngress.text == "" {
		c.fault(v.ConsolePassword, "not set, but CONSOLE_LISTEN is not a loopback address: other machines reach it")
	}

	if to.AskEvery > 0 && to.PhoneListen == "" {
		c.fault(v.AskEvery, "set, but PHONE_LISTEN is off: phones that are asked call back there")
	}
	host, port, _ := net.SplitHostPort(to.PhoneListen) // listen has added the fault
	ip, err := netip.ParseAddr(host)
	switch {
	case v.PhoneBaseURL.text != "" && to.PhoneListen == "":
		c.fault(v.PhoneBaseURL, "set, but PHONE_LISTEN is off: phones would get no answer there")
	case v.PhoneBaseURL.text != "":
		if a, ok := c.address(v.PhoneBaseURL, phonePorts(), "http://host:port or https://host:port, optionally with a path"); ok {
			to.PhoneBaseURL = a.short(phonePorts()[a.scheme])
			if ip, err := netip.ParseAddr(a.host); err == nil && ip.IsUnspecified() {
				c.fault(v.PhoneBaseURL, "expected the address at which phones reach this machine: none can connect to this one")
			}
		}
	case to.PhoneListen != "" && err == nil && !ip.IsUnspecified() && port != "0":
		to.PhoneBaseURL = "http://" + to.PhoneListen
	}
}

// ReloadPhones reads the phones file again and returns the roster as Load would now, and its warnings. If there are faults
// it returns them all as an [*Error], and the roster in use stays valid. It returns when ctx ends, or when a file does not
// answer for 5 s. A file whose last line has no end is a fault here: it may be half written, and half a password is a
// failed login.
func (c Config) ReloadPhones(ctx context.Context) (Roster, []Fault, error) {
	k := newChecker(ctx, c.reader)
	k.again = true
	r := k.roster(c.numbered, c.taken.clone(), c.phonesFile, c.defaults)
	k.tokens(&c, r.Phones)
	k.pbxSet(&c, r.Phones)
	if err := k.err(); err != nil {
		return Roster{}, nil, err
	}
	return r, k.warnings.list, nil
}
