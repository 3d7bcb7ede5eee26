// Package config turns the environment, and the optional phones file, into settings that were checked.
//
// [Load] reads everything once and reports every fault at once, each by the name of its variable or by
// its place in the phones file. What it returns is a plain value that nobody changes afterwards;
// [Config.ReloadPhones] reads the phones file again and returns a new [Roster]. Secrets are of type
// [Secret], which cannot be printed, and no fault quotes the value of a setting: it says what is wanted.
package config

import (
	"crypto/tls"
	"log/slog"
	"regexp"
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

	PhoneListen      string // host:port where phones call us; empty: nowhere
	PhoneBaseURL     string // the address phones use for it, without a slash at its end; may be empty
	PhoneCheckSource bool   // whether an event must come from the address of its phone
	RingTimeout      time.Duration
	CallTimeout      time.Duration

	Console Console

	LogLevel  slog.Level // debug, info, warn or error
	LogFormat string     // "text" or "json"

	checks   Checks
	numbered []Phone // the phones of the environment, which a reload keeps
}

// MQTT says how to reach the broker.
type MQTT struct {
	URL      string // scheme tcp, ssl, ws, wss, mqtt or mqtts, a host and a port; nothing secret in it
	Username string
	Password Secret
	ClientID string // empty: the program makes one

	CAFile     string // PEM; replaces the roots of the system
	CertFile   string // PEM; the client's certificate
	KeyFile    string // PEM; its key, where CertFile does not hold it
	ServerName string // the name the broker's certificate must bear; empty: the URL's host
	Insecure   bool   // the broker's certificate is not checked at all
}

// TLS reads the files of the settings and returns what they say. It is meant to be called for every
// connection, so that renewed certificates count from the next one on.
func (m MQTT) TLS() (*tls.Config, error) {
	panic("not yet")
}

// Console says where people call the program.
type Console struct {
	Listen   string // host:port; empty: nowhere
	Password Secret
	Default  bool // Listen is the default, not what somebody asked for
}

// A Roster is the phones and their groups.
type Roster struct {
	Phones []Phone             // those of the environment by number, then those of the file by name
	Groups map[string][]string // the members by the group's name; the built-in group "all" is not here
}

// A Phone is one phone as the settings describe it.
type Phone struct {
	Name     string // [a-z0-9][a-z0-9_-]{0,63}
	URL      string // http://host[:port] or https://host[:port]
	Username string // empty: never log in
	Password Secret
	Model    string   // as written; empty: not said
	Dialect  string   // "old", "new", or empty: not said
	Allow    []string // gated commands open at this phone, those of Config.Allow included; sorted
	Mask     []string // commands whose argument is not shown, those of Config.Mask included; sorted

	Insecure   bool   // https: the certificate is not checked at all
	LegacyTLS  bool   // https: TLS 1.0 and old ciphers are accepted
	CA         []byte // https: PEM, replaces the roots of the system; nil: not said
	CertSHA256 string // https: 64 lower-case hex digits, the only certificate accepted; empty: not said

	Token Secret // what its action URLs carry; empty: the program makes one
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
	panic("not yet")
}

// ReloadPhones reads the phones file again and returns the roster as Load would now. Where there are
// faults it returns them all as an [*Error], and the roster in use stays right.
func (c Config) ReloadPhones() (Roster, error) {
	panic("not yet")
}

// A Setting is one variable of the environment.
type Setting struct {
	Name    string // with the prefix; the number of a phone is written <n>
	Default string // empty: none
	What    string // one or two sentences in Markdown
	Secret  bool   // may also be given as Name_FILE
}

// Settings lists every variable in the order of docs/settings.md.
func Settings() []Setting {
	panic("not yet")
}

// A Fault is one thing wrong with the settings.
type Fault struct {
	Where string // the variable's name, or file:line:column and the key
	What  string // what is wrong, and what is wanted; never the value itself
}

// Error returns where and what.
func (f Fault) Error() string { return f.Where + ": " + f.What }

// An Error is every fault that was found.
type Error struct{ Faults []Fault }

// Error returns one line for each fault below a first line.
func (e *Error) Error() string {
	text := "configuration:"
	for _, f := range e.Faults {
		text += "\n" + f.Error()
	}
	return text
}

// Unwrap returns the faults.
func (e *Error) Unwrap() []error {
	errs := make([]error, len(e.Faults))
	for i, f := range e.Faults {
		errs[i] = f
	}
	return errs
}
