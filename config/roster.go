package config

import (
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A Roster is the phones and their groups.
type Roster struct {
	Phones []Phone             // those of the environment by number, then those of the file by name
	Groups map[string][]string // the members by the group's name; the built-in group "all" is not here
}

// A Phone is one phone as the settings describe it.
type Phone struct {
	Name     string // [a-z0-9][a-z0-9_-]{0,63}, not "bridge" or "all"
	URL      string // http://host[:port] or https://host[:port]; no two phones have the same
	Username string // empty: never log in
	Password Secret
	Model    string   // as written; empty: not said
	Dialect  string   // "old", "new", or empty: not said
	Allow    []string // gated commands open at this phone, those of Config.Allow included; sorted
	Mask     []string // commands whose argument is not shown, those of Config.Mask included; sorted

	Insecure   bool   // https: the certificate is not checked at all
	LegacyTLS  bool   // https: TLS 1.0 and old ciphers are accepted
	CA         []byte // https: PEM, replaces the roots of the system; nil: not said
	CertSHA256 string // https: 64 small hex digits, the only certificate accepted; empty: not said

	Token Secret // what its action URLs carry; empty: it cannot call us
}

// phone checks one phone but for its name. allow and mask are what the bridge's settings say for all.
func (c *checker) phone(name string, t phoneText, in place, allow, mask []string) Phone {
	at := func(key, text string) field { return field{in, key, text} }
	p := Phone{
		Name:      name,
		Username:  c.line(at("USERNAME", t.Username), 128),
		Password:  c.secret(at("PASSWORD", t.Password), at("PASSWORD_FILE", t.PasswordFile)),
		Model:     t.Model,
		Allow:     join(allow, c.gated(at("ALLOW", t.Allow))),
		Mask:      join(mask, c.commands(at("MASK", t.Mask))),
		Insecure:  c.boolean(at("INSECURE", t.Insecure)),
		LegacyTLS: c.boolean(at("LEGACY_TLS", t.LegacyTLS)),
		CA:        c.roots(at("CA_FILE", t.CAFile)),
		Token:     c.secret(at("TOKEN", t.Token), at("TOKEN_FILE", t.TokenFile)),
	}
	if t.Model != "" {
		c.ask(c.checks.Model, at("MODEL", t.Model))
	}
	if t.Dialect != "" {
		p.Dialect = c.word(at("DIALECT", t.Dialect), "old", "new")
	}

	url := at("URL", t.URL)
	if t.URL == "" {
		c.fault(url, "not set")
	} else if a, ok := c.address(url, phonePorts(), wantPhoneURL); ok && a.path != "" {
		c.fault(url, "want %s", wantPhoneURL)
	} else if ok {
		p.URL = a.short(phonePorts()[a.scheme])
		if a.scheme == "http" && (t.CAFile != "" || t.CertSHA256 != "") {
			c.fault(url, "a certificate is set, but http has none: want https")
		}
	}

	if t.Username != "" && strings.Contains(t.Username, ":") {
		c.fault(at("USERNAME", t.Username), "want a name without a colon: HTTP ends the name there")
	}
	hasPassword := t.Password != "" || t.PasswordFile != ""
	if t.Username != "" && !hasPassword {
		c.fault(at("PASSWORD", ""), "not set, but a user name is: a login that fails counts towards the phone's lock")
	}
	if t.Username == "" && hasPassword {
		c.fault(at("USERNAME", ""), "not set, but a password is")
	}

	pin := strings.ToLower(strings.ReplaceAll(t.CertSHA256, ":", ""))
	if raw, err := hex.DecodeString(pin); pin != "" && (err != nil || len(raw) != 32) {
		c.fault(at("CERT_SHA256", t.CertSHA256), "want the SHA-256 of the certificate: 64 hex digits, with or without colons")
	} else {
		p.CertSHA256 = pin
	}
	if said := count(p.Insecure, t.CAFile != "", pin != ""); said > 1 {
		c.fault(at("INSECURE", ""), "want one of insecure, ca_file and cert_sha256: they contradict one another")
	}
	given := func(key, file string) field {
		if file != "" {
			key += "_FILE"
		}
		return at(key, "")
	}
	if strings.ContainsFunc(p.Password.Reveal(), func(r rune) bool { return r < ' ' || r == 0x7F }) {
		c.fault(given("PASSWORD", t.PasswordFile), "want one line without control characters: HTTP has no way to send them")
	}
	if token := p.Token.Reveal(); token != "" && !validToken(token) {
		c.fault(given("TOKEN", t.TokenFile), "want 16 to 128 letters, digits, _ and -: it becomes a part of a URL")
	}
	return p
}

const wantPhoneURL = "http://host, http://host:port, https://host or https://host:port and nothing behind it"

func phonePorts() map[string]string { return map[string]string{"http": "80", "https": "443"} }

func validToken(token string) bool {
	for _, b := range []byte(token) {
		if (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && (b < '0' || b > '9') && b != '_' && b != '-' {
			return false
		}
	}
	return len(token) >= 16 && len(token) <= 128
}

func count(said ...bool) int {
	n := 0
	for _, s := range said {
		if s {
			n++
		}
	}
	return n
}

// join returns what is in a or b, in order and each once; nil when there is nothing.
func join(a, b []string) []string {
	if len(a)+len(b) == 0 {
		return nil
	}
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// A registry knows which names and addresses are taken, and by whom.
type registry struct {
	names map[string]field  // name of a phone -> where that stands
	urls  map[string]string // URL -> name of its phone
}

func newRegistry() registry { return registry{map[string]field{}, map[string]string{}} }

// take notes a phone, or adds a fault when its name or its address is taken.
func (r registry) take(c *checker, name, url field, p Phone) {
	if first, taken := r.names[p.Name]; taken {
		c.fault(name, "the name is taken by %s", first.where())
		return
	}
	r.names[p.Name] = name
	if first, taken := r.urls[p.URL]; taken && p.URL != "" {
		c.fault(url, "the address is taken by %s: one phone has one name, and one command at a time", first)
		return
	}
	r.urls[p.URL] = p.Name
}

// roster reads the phones file, if there is one, and adds its phones to those of the environment, which
// taken knows already.
func (c *checker) roster(numbered []Phone, taken registry, path string, allow, mask []string) Roster {
	r := Roster{Phones: slices.Clone(numbered), Groups: map[string][]string{}}
	if path != "" {
		phones, groups := c.readPhonesFile(path, taken, allow, mask)
		r.Phones = append(r.Phones, phones...)
		maps.Copy(r.Groups, groups)
	}
	if len(r.Phones) == 0 && len(c.faults.list) == 0 {
		c.fault(field{numberedPlace(0), "URL", ""}, "not set, and no phones file has a phone: want at least one phone")
	}
	return r
}

// numbered checks the phones of the environment.
func (c *checker) numbered(v variables, taken registry, allow, mask []string) []Phone {
	var phones []Phone
	for i, t := range v.Phones {
		in := numberedPlace(v.numbers[i])
		name := field{in, "NAME", t.Name}
		if t.Name == "" {
			c.fault(name, "not set")
		}
		named := t.Name != "" && c.name(name)
		p := c.phone(t.Name, t, in, allow, mask)
		if named {
			taken.take(c, name, field{in, "URL", t.URL}, p)
		}
		phones = append(phones, p)
	}
	return phones
}

func numberedPlace(n int) environment {
	return environment(prefix + "PHONE_" + strconv.Itoa(n) + "_")
}
