package actionurl

import (
	"strings"

	"github.com/snom2mqtt/snom2mqtt/internal/cleantext"
)

// readParty reads one side of a call: a SIP URI in any of the forms in which phones write it, and a display name
// that came apart from it.
func readParty(address, name string) Party {
	p := Party{Name: strings.TrimSpace(name)}
	uri := strings.TrimSpace(address)
	if i := strings.LastIndexByte(uri, '<'); i >= 0 { // "Front <door>" <sip:27@pbx.example>;tag=1
		if p.Name == "" {
			p.Name = unquote(strings.TrimSpace(uri[:i]))
		}
		uri = uri[i+1:]
	}
	uri, _, _ = strings.Cut(uri, ">")
	uri = strings.TrimSpace(uri)
	scheme, rest, ok := strings.Cut(uri, ":")
	switch scheme = strings.ToLower(scheme); {
	case ok && (scheme == "sip" || scheme == "sips" || scheme == "tel"):
	case strings.Contains(uri, "@"): // seen: $local as user@host
		scheme, rest = "sip", uri
	default:
		p.Number = uri
		return p
	}
	if rest == "" || rest[0] == '@' {
		return p // the phone filled in no user
	}
	p.URI = cleantext.Cut(scheme+":"+rest, maxEventValue)
	user, host, ok := splitAddress(rest)
	if !ok && scheme != "tel" {
		return p // a host only
	}
	if strings.EqualFold(host, "anonymous.invalid") {
		return p // RFC 3323: the caller withholds the number
	}
	if user = unescape(user); hasPlaceholder(user, false) {
		p.URI = ""
		return p
	}
	p.Number = cleantext.Clean(user, maxEventValue)
	return p
}

// unquote returns a display name without the quotes around it (RFC 3261, 25.1).
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	return unquoted.Replace(s[1 : len(s)-1])
}

// unquoted takes the escapes out of a quoted string.
var unquoted = strings.NewReplacer(`\\`, `\`, `\"`, `"`)

// splitAddress splits what follows the scheme of a URI into user and host, both without parameters;
// false: it has no user, or no host.
func splitAddress(rest string) (user, host string, ok bool) {
	rest, _, _ = strings.Cut(rest, "?")
	at := strings.LastIndexByte(rest, '@')
	user, _, _ = strings.Cut(rest[:max(at, 0)], ";")
	host, _, _ = strings.Cut(rest[at+1:], ";")
	if at < 0 {
		return host, "", false
	}
	return user, host, true
}

// withoutPassword returns an address without the password that a SIP URI may hold, user:password@host, which must
// not be published.
func withoutPassword(address string) string {
	start := strings.LastIndexByte(address, '<') + 1
	if scheme, _, ok := strings.Cut(strings.ToLower(address[start:]), ":"); ok {
		if scheme = strings.TrimSpace(scheme); scheme == "sip" || scheme == "sips" {
			start += strings.IndexByte(address[start:], ':') + 1
		}
	}
	end := len(address)
	if i := strings.IndexAny(address[start:], "?>"); i >= 0 {
		end = start + i
	}
	at := strings.LastIndexByte(address[start:end], '@')
	if at < 0 {
		return address
	}
	user, _, _ := strings.Cut(address[start:start+at], ":")
	return address[:start] + user + address[start+at:]
}

// lineOf returns an identity as a line: user@host.
func lineOf(p Party) string {
	_, rest, ok := strings.Cut(p.URI, ":")
	if !ok {
		return p.Number
	}
	user, host, ok := splitAddress(rest)
	if !ok {
		return user
	}
	return user + "@" + host
}
