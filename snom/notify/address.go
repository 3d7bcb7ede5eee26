package notify

import (
	"errors"
	"net"
	"strconv"
	"strings"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// An Address says how NOTIFYs reach a phone. Addresses are comparable.
type Address struct {
	Scheme    string // sip, asterisk or freeswitch
	User      string // of the SIP URI, the endpoint of Asterisk, the user of FreeSWITCH; of sip it may be empty
	Host      string // of sip, in small letters; of freeswitch, the domain
	Port      uint16 // of sip
	Transport string // of sip: udp, tcp or tls
	Line      string // of sip: the parameter line, by which a phone names its contacts; empty: none
}

// schemes are the schemes of an [Address].
func schemes() []string { return []string{"sip", "asterisk", "freeswitch"} }

var errAddress = errors.New("snom: phone URL: expected sip:USER@HOST[:PORT][;transport=udp|tcp|tls], asterisk:ENDPOINT or freeswitch:USER@DOMAIN")

// IsAddress reports whether text has the scheme of an [Address], valid or not.
func IsAddress(text string) bool {
	scheme, _, _ := strings.Cut(text, ":")
	for _, known := range schemes() {
		if strings.EqualFold(scheme, known) {
			return true
		}
	}
	return false
}

// ParseAddress reads the URL of a phone that is driven by NOTIFY. The error repeats nothing of it, because it may contain a password.
func ParseAddress(text string) (Address, error) {
	scheme, rest, _ := strings.Cut(text, ":")
	a := Address{Scheme: strings.ToLower(scheme)}
	switch a.Scheme {
	case "asterisk":
		a.User = rest
		if !validUser(a.User) {
			return Address{}, errAddress
		}
		return a, nil
	case "freeswitch":
		var ok bool
		a.User, a.Host, ok = strings.Cut(rest, "@")
		if a.Host = strings.ToLower(a.Host); !ok || !validUser(a.User) || !snom.ValidHost(a.Host) {
			return Address{}, errAddress
		}
		return a, nil
	case "sip":
		if !a.readSIP(rest) {
			return Address{}, errAddress
		}
		return a, nil
	}
	return Address{}, errAddress
}

// readSIP reads what follows "sip:", and reports whether it is valid.
func (a *Address) readSIP(rest string) bool {
	rest, params, parameters := strings.Cut(rest, ";")
	if user, host, ok := strings.Cut(rest, "@"); ok {
		if a.User, rest = user, host; !validUser(user) {
			return false
		}
	}
	a.Transport = "udp"
	if parameters {
		for p := range strings.SplitSeq(params, ";") {
			name, value, _ := strings.Cut(p, "=")
			switch strings.ToLower(name) {
			case "transport":
				a.Transport = strings.ToLower(value)
			case "line":
				a.Line = value
			default:
				return false
			}
		}
	}
	usual, known := map[string]uint16{"udp": 5060, "tcp": 5060, "tls": 5061}[a.Transport]
	if !known || parameters && a.Line == "" && strings.Contains(strings.ToLower(params), "line=") || a.Line != "" && !validUser(a.Line) {
		return false
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		bracketed := strings.HasPrefix(rest, "[") && strings.HasSuffix(rest, "]")
		if host = strings.TrimSuffix(strings.TrimPrefix(rest, "["), "]"); !bracketed && strings.Contains(rest, ":") {
			return false
		}
		port = strconv.Itoa(int(usual))
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || !snom.ValidHost(host) || strings.Contains(host, "%") {
		return false
	}
	a.Host, a.Port = strings.ToLower(host), uint16(n)
	return true
}

// validUser reports whether text is a user of a SIP URI that needs no escapes, or the name of an endpoint.
func validUser(text string) bool {
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.!~*+$", r)
	}
	return text != "" && len(text) <= 128 && !strings.ContainsFunc(text, odd)
}

// HostPort returns host and port of a sip address, as they are dialled.
func (a Address) HostPort() string { return net.JoinHostPort(a.Host, strconv.Itoa(int(a.Port))) }

// String returns the address in canonical form: equal addresses are equal texts.
func (a Address) String() string {
	switch a.Scheme {
	case "asterisk":
		return "asterisk:" + a.User
	case "freeswitch":
		return "freeswitch:" + a.User + "@" + a.Host
	}
	var b strings.Builder
	b.WriteString("sip:")
	if a.User != "" {
		b.WriteString(a.User + "@")
	}
	b.WriteString(a.HostPort())
	if a.Line != "" {
		b.WriteString(";line=" + a.Line)
	}
	if a.Transport != "udp" {
		b.WriteString(";transport=" + a.Transport)
	}
	return b.String()
}

// UserAgent reads what a Snom phone calls itself in SIP, such as "snomD862/10.1.226.13 0004130DD7C9". model is empty where it is no
// Snom phone. Sources: Snom wiki challenge_checksync (D345); wazo-platform/wazo-provd-plugins #279 (the MAC, with
// mac_info_in_sip_register=on).
func UserAgent(text string) (model, firmware, mac string) {
	name, rest, _ := strings.Cut(text, "/")
	if len(name) < 5 || !strings.EqualFold(name[:4], "snom") {
		return "", "", ""
	}
	fields := strings.Fields(rest)
	if len(fields) > 0 && firmwareLike(fields[0]) {
		firmware = fields[0]
	}
	if len(fields) > 1 && len(fields[1]) == 12 {
		if _, err := strconv.ParseUint(fields[1], 16, 64); err == nil {
			mac = strings.ToLower(fields[1])
		}
	}
	if m, ok := snom.FindModel(name); ok {
		return m.Name(), firmware, mac
	}
	if odd := func(r rune) bool { return !firmwareRune(r) }; strings.ContainsFunc(name, odd) || len(name) > 24 {
		return "", "", ""
	}
	return strings.TrimPrefix(name, name[:4]), firmware, mac
}

func firmwareLike(text string) bool {
	return len(text) <= 32 && !strings.ContainsFunc(text, func(r rune) bool { return !firmwareRune(r) })
}

func firmwareRune(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '.' || r == '-' || r == '_'
}

// Identity returns what a phone is that calls itself userAgent in SIP.
func Identity(userAgent string) snom.Info {
	i := snom.Info{RemoteControl: snom.Yes, Advice: []string{}}
	if i.Model, i.Firmware, i.MAC = UserAgent(userAgent); i.Model != "" {
		i.IdentifiedBy = "SIP user agent"
	}
	return i
}
