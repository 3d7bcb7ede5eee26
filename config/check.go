package config

import (
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
	in   place
	key  string
	text string
}

func (f field) where() string { return f.in.where(f.key) }

// A checker turns texts into values and collects what is wrong with them. Its faults never quote a
// text: any value may be a secret that was put in the wrong place.
type checker struct {
	faults
	checks Checks
	files  map[string]content // what was read already: a thousand phones may name one file
	again  bool               // the phones file is read while it may be written
}

func (c *checker) fault(f field, format string, args ...any) {
	c.add(f.where(), format, args...)
}

// ask lets a rule of another package judge a text, and says whether it passed.
func (c *checker) ask(rule func(string) error, f field) bool {
	if rule == nil {
		return true
	}
	err := rule(f.text)
	if err != nil {
		c.fault(f, "%v", err)
	}
	return err == nil
}

func (c *checker) boolean(f field) bool {
	if f.text == "" {
		return false
	}
	b, err := strconv.ParseBool(f.text)
	if err != nil {
		c.fault(f, "want true or false")
	}
	return b
}

func (c *checker) whole(f field, low, high int) int {
	n, err := strconv.Atoi(f.text)
	if err != nil || n < low || n > high {
		c.fault(f, "want a whole number from %d to %d", low, high)
	}
	return n
}

func (c *checker) duration(f field, low, high time.Duration) time.Duration {
	d, err := time.ParseDuration(f.text)
	if err != nil || d < low || d > high {
		c.fault(f, "want a time with its unit from %s to %s, such as 90s or 1m30s", short(low), short(high))
	}
	return d
}

// short writes a duration without the zeros at its end: 1h for 1h0m0s.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// word accepts one of words, in small letters or capitals, and returns it in small letters.
func (c *checker) word(f field, words ...string) string {
	text := strings.ToLower(f.text)
	if !slices.Contains(words, text) {
		c.fault(f, "want %s", either(words))
	}
	return text
}

// either joins two words or more for a sentence: "a, b or c".
func either(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

func (c *checker) level(f field) slog.Level {
	var l slog.Level
	if word := c.word(f, "debug", "info", "warn", "error"); word != "" {
		_ = l.UnmarshalText([]byte(word)) // word has said what is wrong
	}
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
		item := field{f.in, f.key, strings.TrimSpace(part)}
		if item.text == "" {
			c.fault(f, "want names with a comma between two of them; one is empty")
		} else if check(item) {
			list = append(list, item.text)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// gated are the commands that the setting ALLOW opens.
func (c *checker) gated(f field) []string {
	gates := []string{"reset", "firmware"}
	return c.list(f, func(item field) bool {
		ok := slices.Contains(gates, item.text)
		if !ok {
			c.fault(item, "want %s, or both with a comma: other commands need no opening", either(gates))
		}
		return ok
	})
}

func (c *checker) commands(f field) []string {
	return c.list(f, func(item field) bool { return c.ask(c.checks.Command, item) })
}

// name checks the name of a phone, a group or an instance.
func (c *checker) name(f field) bool {
	if !validName(f.text) {
		c.fault(f, "want a name of 1 to 64 small letters, digits, _ and -, a letter or digit first")
		return false
	}
	if f.text == "all" {
		c.fault(f, "all is the built-in group of every phone: want another name")
		return false
	}
	if f.text == "bridge" {
		c.fault(f, "bridge is the bridge's own name in topics: want another name")
		return false
	}
	return c.ask(c.checks.Name, f)
}

func validName(name string) bool {
	if name == "" || len(name) > 64 || name[0] == '_' || name[0] == '-' {
		return false
	}
	for _, b := range []byte(name) {
		if (b < 'a' || b > 'z') && (b < '0' || b > '9') && b != '_' && b != '-' {
			return false
		}
	}
	return true
}

// line checks a text that goes into one line of a protocol.
func (c *checker) line(f field, longest int) string {
	if len(f.text) > longest || !utf8.ValidString(f.text) || strings.ContainsFunc(f.text, unicode.IsControl) {
		c.fault(f, "want at most %d bytes of UTF-8 without control characters", longest)
	}
	return f.text
}

// listen checks an address to listen on. "off" and nothing are no address.
func (c *checker) listen(f field) string {
	if f.text == "" || f.text == "off" {
		return ""
	}
	host, port, err := net.SplitHostPort(f.text)
	if err != nil || !validPort(port, 0) || host != "" && !validHost(host) {
		c.fault(f, "want host:port, such as 127.0.0.1:8080 or [::1]:8080, or :8080 for every address, or off")
	}
	return f.text
}

// loopback says whether only this machine can reach a listening address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// validHost says whether host is an IP address without a zone, or a DNS name.
func validHost(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Zone() == ""
	}
	if len(host) > 253 {
		return false
	}
	label := ""
	for label = range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, b := range []byte(label) {
			if (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && (b < '0' || b > '9') && b != '-' && b != '_' {
				return false
			}
		}
	}
	return strings.Trim(label, "0123456789") != "" // 192.0.2.300 is no name either
}

// validPort says whether port is a number from least to 65535 as people write it.
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
	return a.scheme + "://" + net.JoinHostPort(a.host, a.port) + a.path
}

// short returns the URL without its port where that is the usual one.
func (a address) short(usual string) string {
	if a.port == usual {
		return strings.TrimSuffix(a.scheme+"://"+net.JoinHostPort(a.host, ""), ":") + a.path
	}
	return a.String()
}

// address reads a URL whose scheme is a key of ports, which has the scheme's usual port. want is what
// a fault says.
func (c *checker) address(f field, ports map[string]string, want string) (a address, ok bool) {
	u, err := url.Parse(f.text)
	if err == nil && u.User != nil {
		c.fault(f, "want a URL without user name and password: they have settings of their own")
		return address{}, false
	}
	if err == nil {
		a = address{u.Scheme, strings.ToLower(u.Hostname()), u.Port(), strings.TrimSuffix(u.EscapedPath(), "/")}
		if a.port == "" && !strings.HasSuffix(u.Host, ":") {
			a.port = ports[a.scheme]
		}
		ok = ports[a.scheme] != "" && validHost(a.host) && validPort(a.port, 1) && !strings.ContainsAny(f.text, "?#")
	}
	if !ok {
		c.fault(f, "want %s", want)
		return address{}, false
	}
	return a, true
}

// numbers compiles an expression over a whole number.
func (c *checker) numbers(f field) *regexp.Regexp {
	if f.text == "" {
		return nil
	}
	// Alone first: a)|(b would fit into the frame and mean something else.
	if _, err := regexp.Compile(f.text); err != nil {
		c.fault(f, "want a regular expression of Go (RE2 syntax) over the whole number, such as \\+49.*|[1-9][0-9]")
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
	hosts := c.list(field{f.in, f.key, strings.ToLower(f.text)}, func(item field) bool {
		host, port, err := net.SplitHostPort(item.text)
		if err != nil {
			host, port = strings.TrimSuffix(strings.TrimPrefix(item.text, "["), "]"), "1"
		}
		ok := validHost(host) && validPort(port, 1)
		if !ok {
			c.fault(item, "want hosts with a comma between two of them, such as fw.example or 192.0.2.1:8000")
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
