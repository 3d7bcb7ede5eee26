package config

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/snom2mqtt/snom2mqtt/internal/loglevel"
	"github.com/snom2mqtt/snom2mqtt/internal/textfile"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// A place knows how to name the settings that stand in it.
type place interface {
	where(key string) string
}

// environment is the place of variables whose names begin with it.
type environment string

func (e environment) where(key string) string { return string(e) + key }

// A field is the text of one setting, and where it stands.
type field struct {
	in      place
	key     string
	text    string
	accepts string // a range, "1 to 10", or a list of words, "a, b or c"; empty: other rules hold
}

func (f field) where() string { return f.in.where(f.key) }

// A checker turns texts into values and collects what is wrong with them. Its faults never quote a
// text: any value may be a secret that was put in the wrong place.
type checker struct {
	faults
	warnings faults
	read     func(path string, limit int64) ([]byte, error) // reads a file, within the time of the call
	files    map[string]content                             // what was read already: a thousand phones may name one file
	stuck    bool                                           // a file did not answer in time: no other one is waited for
	again    bool                                           // the phones file is read while it may be written
	unseen   map[string]bool                                // places whose fault is a character that cannot be seen
}

// fault adds a fault about a field, and what in its text probably led to it.
func (c *checker) fault(f field, format string, args ...any) {
	where := f.where()
	if c.unseen[where] {
		return
	}
	what := fmt.Sprintf(format, args...)
	if odd := oddity(f.text); odd != "" {
		what += "; the value " + odd
	}
	c.add(where, "%s", what)
}

// look adds a fault where a text has a character that cannot be seen. No other fault of the place counts then: they would
// follow from it.
func (c *checker) look(f field) {
	err := textfile.Secret(f.text)
	if err == nil {
		return
	}
	c.add(f.where(), "%v", err)
	if c.unseen == nil {
		c.unseen = map[string]bool{}
	}
	c.unseen[f.where()] = true
}

// warn adds a warning where an accepted text is probably not what was meant.
func (c *checker) warn(f field, text string) {
	odd := oddity(text)
	if odd == "" {
		return
	}
	where := f.where()
	for _, fault := range c.faults.list {
		if fault.Where == where {
			return
		}
	}
	c.warnings.add(where, "the value %s", odd)
}

// oddity returns what in a text shows that it is not what was meant, without showing the text: quotes and comments that
// Docker's --env-file keeps, quotes of a text processor, variables and commands where nothing replaces them, blanks at the
// ends. Empty: nothing.
func oddity(text string) string {
	if text == "" {
		return ""
	}
	first, last := text[0], text[len(text)-1]
	variable := func(before, after string) bool {
		name, ok := strings.CutPrefix(text, before)
		if ok && after != "" {
			name, ok = strings.CutSuffix(name, after)
		}
		return ok && len(name) > 1 && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") == "" && (name[0] < '0' || name[0] > '9')
	}
	opening, _ := utf8.DecodeRuneInString(text)
	closing, _ := utf8.DecodeLastRuneInString(text)
	switch _, after, found := strings.Cut(text, "${"); {
	case len(text) > 1 && first == last && (first == '"' || first == '\'' || first == '`'):
		return "begins and ends with quotes, which are a part of it (docker run --env-file keeps them)"
	case opening >= utf8.RuneSelf && closing >= utf8.RuneSelf && unicode.Is(unicode.Quotation_Mark, opening) && unicode.Is(unicode.Quotation_Mark, closing):
		return "begins and ends with typographic quotes, which are a part of it"
	case variable("$", ""):
		return "is a $ and a name, which is not replaced here"
	case variable("%", "%"):
		return "is a name between two %, which is not replaced here"
	case strings.HasPrefix(text, "$(") && last == ')':
		return "is $(...), which is not carried out here"
	case first == ' ' || first == '\t':
		return "begins with a blank"
	case last == ' ' || last == '\t':
		return "ends with a blank"
	case found && strings.Contains(after, "}"):
		return "contains ${...}, which is not replaced here"
	case strings.HasPrefix(text, "{{") && strings.HasSuffix(text, "}}"):
		return "is a template, which is not replaced here"
	case strings.Contains(text, " #"), strings.Contains(text, "\t#"):
		return "contains a # after a blank: a comment there is a part of it"
	}
	return ""
}

// ip reads an IP address; none where it is not set.
func (c *checker) ip(f field) (a netip.Addr) {
	if f.text == "" {
		return a
	}
	a, err := netip.ParseAddr(f.text)
	if err != nil || a.Zone() != "" {
		c.fault(f, "expected an IP address such as 172.30.32.2")
	}
	return a.Unmap()
}

func (c *checker) boolean(f field) bool {
	if f.text == "" {
		return false
	}
	b, err := strconv.ParseBool(f.text)
	if err != nil {
		c.fault(f, "expected true or false")
	}
	return b
}

func (c *checker) whole(f field) int {
	low, high, _ := strings.Cut(f.accepts, " to ")
	least, most := mustInt(low), mustInt(high)
	n, err := strconv.Atoi(f.text)
	if err != nil || n < least || n > most {
		c.fault(f, "expected a whole number from %d to %d", least, most)
	}
	return n
}

func (c *checker) duration(f field) time.Duration {
	low, high, _ := strings.Cut(f.accepts, " to ")
	d, err := time.ParseDuration(f.text)
	if err != nil || d < mustDuration(low) || d > mustDuration(high) {
		c.fault(f, "expected a time with its unit from %s, such as 90s or 1m30s", f.accepts)
	}
	return d
}

// interval accepts a duration, or off, which is zero.
func (c *checker) interval(f field) time.Duration {
	if strings.EqualFold(f.text, "off") {
		return 0
	}
	return c.duration(f)
}

// mustInt and mustDuration read the limits of a row.
func mustInt(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		panic(err) // a wrong tag in this package
	}
	return n
}

func mustDuration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		panic(err) // a wrong tag in this package
	}
	return d
}

// word accepts one of the words of the row, in small letters or capitals, and returns it in small letters.
func (c *checker) word(f field) string {
	text := strings.ToLower(f.text)
	if !slices.Contains(words(f.accepts), text) {
		c.fault(f, "expected %s", f.accepts)
	}
	return text
}

// words returns the words of "a, b or c".
func words(accepts string) []string {
	return strings.Split(strings.ReplaceAll(accepts, " or ", ", "), ", ")
}

// either joins two words or more for a sentence: "a, b or c".
func either(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

func (c *checker) level(f field) slog.Level {
	l, _ := loglevel.Parse(c.word(f)) // word has added the fault
	return l
}

// list cuts a text at its commas, without the spaces around them, and returns the parts in order and
// each once. Each part must pass check, which gets it as a field.
func (c *checker) list(f field, check func(field) bool) []string {
	if f.text == "" {
		return nil
	}
	var list []string
	for part := range strings.SplitSeq(f.text, ",") {
		item := f
		item.text = strings.TrimSpace(part)
		if item.text == "" {
			c.fault(f, "expected names separated by commas; one is empty")
		} else if check(item) {
			list = append(list, item.text)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// verbs returns the commands that a list names, each of which must pass check.
func (c *checker) verbs(f field, check func(snom.Verb) bool, expected string) []snom.Verb {
	list := c.list(f, func(item field) bool {
		ok := check(snom.Verb(item.text))
		if !ok {
			c.fault(item, "expected %s", expected)
		}
		return ok
	})
	if list == nil {
		return nil
	}
	verbs := make([]snom.Verb, len(list))
	for i, name := range list {
		verbs[i] = snom.Verb(name)
	}
	return verbs
}

// gated returns the commands that the setting ALLOW enables.
func (c *checker) gated(f field) []snom.Verb {
	if f.text == "" { // as of most phones
		return nil
	}
	return c.verbs(f, snom.Verb.Gated, either(gates())+", or several separated by commas: other commands are enabled already")
}

// gates names the commands that are disabled by default.
func gates() (names []string) {
	for _, v := range snom.GatedVerbs() {
		names = append(names, string(v))
	}
	return names
}

// masked returns the commands that the setting MASK names.
func (c *checker) masked(f field) []snom.Verb {
	return c.verbs(f, snom.Verb.Valid, "the name of a command, such as dtmf")
}

// model returns the model that a setting names; empty: none.
func (c *checker) model(f field) snom.Model {
	if f.text == "" {
		return snom.Model{}
	}
	m, ok := snom.FindModel(f.text)
	if !ok {
		c.fault(f, "expected a Snom model such as D735, 320 or D862; leave it out if docs/keys.md does not list the model")
	}
	return m
}

// name checks the name of a phone, a group or an instance.
func (c *checker) name(f field) bool {
	switch {
	case f.text == "all":
		c.fault(f, "all is the built-in group of every phone: expected another name")
	case f.text == "bridge":
		c.fault(f, "bridge is the bridge's own name in topics: expected another name")
	case mqtt.ValidName(f.text) != nil:
		c.fault(f, "expected a name of 1 to 64 small letters, digits, _ and -, a letter or digit first")
	default:
		return true
	}
	return false
}

// topics checks what becomes a part of topics.
func (c *checker) topics(base, prefix, instance field) {
	c.topic(base)
	c.topic(prefix)
	if instance.text == "" || !c.name(instance) {
		return
	}
	if _, err := mqtt.NewTree("snom", instance.text); err != nil {
		c.fault(instance, "the bridge has a topic of this name: expected another name")
	}
}

// topic checks the first levels of topics. The errors of mqtt quote the topic, and no fault may.
func (c *checker) topic(f field) {
	if _, err := mqtt.NewTree(f.text, ""); err != nil {
		c.fault(f, "expected 1 to %d bytes without space, $, + and #, no slash at an end, no empty level", mqtt.MaxBase)
	}
}

// line checks a text that goes into one line of a protocol.
func (c *checker) line(f field, longest int) string {
	if len(f.text) > longest || !utf8.ValidString(f.text) || strings.ContainsFunc(f.text, unicode.IsControl) {
		c.fault(f, "expected at most %d bytes of UTF-8 without control characters", longest)
	}
	return f.text
}

// listen checks an address to listen on. "off" and nothing are no address.
func (c *checker) listen(f field) string {
	if f.text == "" || f.text == "off" {
		return ""
	}
	host, port, err := net.SplitHostPort(f.text)
	if err != nil || !validPort(port, 0) || host != "" && !snom.ValidHost(host) {
		c.fault(f, "expected host:port, such as 127.0.0.1:8080 or [::1]:8080, or :8080 for every address, or off")
	}
	return f.text
}

// loopback reports whether only this machine can reach a listening address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// validPort reports whether port is a number from least to 65535 as people write it.
func validPort(port string, least int) bool {
	n, err := strconv.Atoi(port)
	return err == nil && n >= least && n <= 65535 && strconv.Itoa(n) == port
}

// An address is the part of a URL that settings need.
type address struct {
	scheme, host string // in small letters; an IPv6 address without brackets
	port         string // never empty
	path         string // without a slash at its end
}

// String returns the URL with its port.
func (a address) String() string {
	return a.scheme + "://" + net.JoinHostPort(strings.ReplaceAll(a.host, "%", "%25"), a.port) + a.path
}

// short returns the URL without its port where that is the usual one.
func (a address) short(usual string) string {
	if a.port == usual {
		return strings.TrimSuffix(a.scheme+"://"+net.JoinHostPort(strings.ReplaceAll(a.host, "%", "%25"), ""), ":") + a.path
	}
	return a.String()
}

// address reads a URL whose scheme is a key of ports, which has the scheme's usual port. expected is
// what a fault says.
func (c *checker) address(f field, ports map[string]string, expected string) (a address, ok bool) {
	u, err := url.Parse(escapeZone(f.text))
	if err == nil && u.User != nil {
		c.fault(f, "expected a URL without user name and password: they have settings of their own")
		return address{}, false
	}
	if err == nil {
		a = address{u.Scheme, lowerHost(u.Hostname()), u.Port(), strings.TrimSuffix(u.EscapedPath(), "/")}
		if a.port == "" && !strings.HasSuffix(u.Host, ":") {
			a.port = ports[a.scheme]
		}
		ok = ports[a.scheme] != "" && snom.ValidHost(a.host) && validPort(a.port, 1) && !strings.ContainsAny(f.text, "?#")
	}
	if !ok {
		c.fault(f, "expected %s", expected)
		return address{}, false
	}
	return a, true
}

// lowerHost returns a host in small letters, but for the zone of an address.
func lowerHost(host string) string {
	name, zone, _ := strings.Cut(host, "%")
	return strings.ToLower(name) + host[len(name):len(host)-len(zone)] + zone
}

// escapeZone escapes the percent sign before the zone of an address, which url.Parse expects and people do not write.
func escapeZone(text string) string {
	before, zone, ok := strings.Cut(text, "%")
	if !ok || !strings.Contains(before, "[") || strings.Contains(before, "]") || strings.HasPrefix(zone, "25") {
		return text
	}
	return before + "%25" + zone
}

// What the expressions of settings are about, with an example.
const (
	overNumber = `number, such as \+49.*|[1-9][0-9]`
	overName   = `name, such as vol_.*|call_waiting1`
)

// pattern compiles an expression over a whole text.
func (c *checker) pattern(f field, over string) *regexp.Regexp {
	if f.text == "" {
		return nil
	}
	// Alone first: a)|(b would fit into the frame and mean something else.
	if _, err := regexp.Compile(f.text); err != nil {
		c.fault(f, "expected a regular expression of Go (RE2 syntax) over the whole %s", over)
		return nil
	}
	r, err := regexp.Compile(`\A(?:` + f.text + `)\z`)
	if err != nil {
		c.fault(f, "this regular expression is too large")
		return nil
	}
	return r
}

// hosts reads a list of host or host:port. An IPv6 address has brackets in the second case only.
func (c *checker) hosts(f field) []string {
	f.text = strings.ToLower(f.text)
	hosts := c.list(f, func(item field) bool {
		host, port, err := net.SplitHostPort(item.text)
		if err != nil {
			host, port = strings.TrimSuffix(strings.TrimPrefix(item.text, "["), "]"), "1"
		}
		ok := snom.ValidHost(host) && validPort(port, 1)
		if !ok {
			c.fault(item, "expected hosts with a comma between two of them, such as fw.example or 192.0.2.1:8000")
		}
		return ok
	})
	for i, host := range hosts {
		if bare, ok := strings.CutSuffix(host, "]"); ok {
			hosts[i] = strings.TrimPrefix(bare, "[")
		}
	}
	return hosts
}
