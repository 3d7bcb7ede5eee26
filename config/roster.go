package config

import (
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/notify"
)

// A Roster is the phones and their groups.
type Roster struct {
	Phones []Phone             // those of the environment by number, then those of the file by name
	Groups map[string][]string // the members by the group's name; the built-in group "all" is not here
	Macros []Macro             // by name
	Paging []Listening         // the multicast addresses of phones and groups, by name
	Doors  []Door              // by name
}

// A Phone is one phone as the settings describe it.
type Phone struct {
	Name     string // as mqtt.ValidName accepts it, and not "all"
	URL      string // http://host[:port], https://host[:port], or a notify.Address; no two phones have the same
	Username string // empty: never log in
	Password Secret
	Auth     snom.AuthPolicy // which login is allowed; empty: not said
	Model    snom.Model      // zero: not said
	Dialect  snom.Dialect    // empty: not said
	Screen   snom.Screen     // the size of its display; zero: not said
	LED      int             // the number of the light of P1; 0: not said
	Keys     *Keys           // that have a meaning; nil: none
	Area     string          // that Home Assistant suggests; empty: not said
	Firmware Firmware        // the newest one for this phone; zero: that of Config
	Allow    []snom.Verb     // gated commands enabled for this phone, those of Config.Allow included; sorted
	Mask     []snom.Verb     // commands whose argument is not shown, those of Config.Mask included; sorted

	Insecure   bool   // https: the certificate is not checked at all
	LegacyTLS  bool   // https: TLS 1.0 and old ciphers are accepted
	CA         []byte // https: PEM, replaces the roots of the system; nil: not said
	CertSHA256 string // https: 64 small hex digits, the only certificate accepted; empty: not said

	Token Secret // what its action URLs carry; empty: it cannot report events
}

// defaults are what the bridge's settings say for all phones.
type defaults struct{ allow, mask []snom.Verb }

// phone checks one phone but for its name.
func (c *checker) phone(v *phoneVariables, d defaults) Phone {
	p := Phone{
		Name:      v.Name.text,
		Username:  c.line(v.Username, 128),
		Password:  c.secret(v.Password, v.PasswordFile),
		Model:     c.model(v.Model),
		Area:      c.area(v.Area),
		Firmware:  c.firmware(v.FirmwareLatest),
		Allow:     join(d.allow, c.gated(v.Allow)),
		Mask:      join(d.mask, c.masked(v.Mask)),
		Insecure:  c.boolean(v.Insecure),
		LegacyTLS: c.boolean(v.LegacyTLS),
		CA:        c.roots(v.CAFile),
		Token:     c.secret(v.Token, v.TokenFile),
	}
	if v.Display.text != "" {
		screen, err := snom.ParseScreen(strings.ToLower(v.Display.text))
		if err != nil {
			c.fault(v.Display, "%v", err)
		}
		p.Screen = screen
	}
	if v.LEDOffset.text != "" {
		p.LED = c.whole(v.LEDOffset)
	}
	if v.Dialect.text != "" {
		p.Dialect = snom.Dialect(c.word(v.Dialect))
	}
	if v.Auth.text != "" {
		p.Auth = snom.AuthPolicy(c.word(v.Auth))
	}
	p.URL = c.phoneURL(v)
	c.login(v)
	c.certificate(v, &p)
	if token := p.Token.Reveal(); token != "" && !validToken(token) {
		c.fault(given(v.Token, v.TokenFile), "expected 16 to 128 letters, digits, _ and -: it becomes a part of a URL")
	}
	c.warn(v.Username, v.Username.text)
	return p
}

// phoneURL checks the address of a phone.
func (c *checker) phoneURL(v *phoneVariables) string {
	if v.URL.text == "" {
		c.fault(v.URL, "not set")
		return ""
	}
	if notify.IsAddress(v.URL.text) {
		return c.notifyAddress(v)
	}
	base, err := snom.BaseURL(v.URL.text)
	if err != nil {
		c.fault(v.URL, "%s", strings.TrimPrefix(err.Error(), "snom: phone URL: "))
		return ""
	}
	if strings.HasPrefix(base, "http:") && (v.CAFile.text != "" || v.CertSHA256.text != "") {
		c.fault(v.URL, "a certificate is set, but http has none: expected https")
	}
	return base
}

// notifyAddress checks the address of a phone that is driven by SIP.
func (c *checker) notifyAddress(v *phoneVariables) string {
	a, err := notify.ParseAddress(v.URL.text)
	if err != nil {
		c.fault(v.URL, "%s", strings.TrimPrefix(err.Error(), "snom: phone URL: "))
		return ""
	}
	if a.Transport != "tls" && (v.CAFile.text != "" || v.CertSHA256.text != "") {
		c.fault(v.URL, "a certificate is set, but only ;transport=tls has one")
	}
	if odd := strings.ContainsAny(v.Username.text, `"\`); odd {
		c.fault(v.Username, `expected a name without " and \: SIP quotes it`)
	}
	return a.String()
}

// login checks that a user name and a password go together.
func (c *checker) login(v *phoneVariables) {
	if strings.Contains(v.Username.text, ":") {
		c.fault(v.Username, "expected a name without a colon: HTTP ends the name there")
	}
	hasPassword := v.Password.text != "" || v.PasswordFile.text != ""
	if v.Username.text != "" && !hasPassword {
		c.fault(v.Password, "not set, but a user name is: a login that fails counts towards the phone's lock")
	}
	if v.Username.text == "" && hasPassword {
		c.fault(v.Username, "not set, but a password is")
	}
}

// certificate checks what is said of the phone's certificate.
func (c *checker) certificate(v *phoneVariables, p *Phone) {
	pin := strings.ToLower(strings.ReplaceAll(v.CertSHA256.text, ":", ""))
	if raw, err := hex.DecodeString(pin); pin != "" && (err != nil || len(raw) != 32) {
		c.fault(v.CertSHA256, "expected the SHA-256 of the certificate: 64 hex digits, with or without colons")
	} else {
		p.CertSHA256 = pin
	}
	if said := count(p.Insecure, v.CAFile.text != "", pin != ""); said > 1 {
		c.fault(v.Insecure, "expected one of insecure, ca_file and cert_sha256: they contradict one another")
	}
}

// given returns the one of two fields by which a secret was given.
func given(text, file field) field {
	if file.text != "" {
		return file
	}
	return text
}

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
func join(a, b []snom.Verb) []snom.Verb {
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

func (r registry) clone() registry { return registry{maps.Clone(r.names), maps.Clone(r.urls)} }

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
func (c *checker) roster(numbered []Phone, taken registry, path field, d defaults) Roster {
	r := Roster{Phones: slices.Clone(numbered), Groups: map[string][]string{}}
	if path.text != "" {
		file := c.readPhonesFile(path, taken, d)
		r.Phones = append(r.Phones, file.Phones...)
		maps.Copy(r.Groups, file.Groups)
		r.Macros, r.Doors = file.Macros, file.Doors
		r.Paging = file.Paging
	}
	if len(r.Phones) == 0 && len(c.faults.list) == 0 {
		c.fault(field{in: numberedPlace(0), key: "URL"}, "not set, and no phones file has a phone: expected at least one phone")
	}
	return r
}

// numbered checks the phones of the environment.
func (c *checker) numbered(all []phoneVariables, taken registry, d defaults) []Phone {
	var phones []Phone
	for _, v := range all {
		each(v, c.look)
		named := v.Name.text != "" && c.name(v.Name)
		if v.Name.text == "" {
			c.fault(v.Name, "not set")
		}
		p := c.phone(&v, d)
		if named {
			taken.take(c, v.Name, v.URL, p)
		}
		phones = append(phones, p)
	}
	return phones
}

func numberedPlace(n int) environment {
	return environment(prefix + "PHONE_" + strconv.Itoa(n) + "_")
}
