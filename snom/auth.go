package snom

import (
	"crypto/md5"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/icholy/digest"
)

// A Scheme is a way of logging in to a phone's web page. A phone has one of them, chosen by its setting
// http_scheme: on is digest, off is basic (Snom wiki, Can I control my snom phone remotely).
type Scheme string

// The schemes. The empty Scheme says that it is not known.
const (
	SchemeNone   Scheme = "none" // the phone asks for no login
	SchemeBasic  Scheme = "basic"
	SchemeDigest Scheme = "digest"
)

// An AuthPolicy says which logins a [Client] makes. The zero AuthPolicy makes the one that the phone asks for, digest
// before basic, but no basic login over plain HTTP to a phone that has asked for a digest login before: otherwise
// whatever answers at the phone's address could ask for basic and read the password.
type AuthPolicy string

// The policies.
const (
	AuthDigest AuthPolicy = "digest" // digest only
	AuthBasic  AuthPolicy = "basic"  // basic only
	AuthAny    AuthPolicy = "any"    // what the phone asks for, digest before basic, whatever it asked for before
)

func (p AuthPolicy) valid() bool {
	return p == "" || p == AuthDigest || p == AuthBasic || p == AuthAny
}

// AskedForDigest reports whether the phone has asked for a digest login, also before this Client was made
// ([ClientConfig.DigestSeen]).
func (c *Client) AskedForDigest() bool { return c.digestSeen.Load() }

// permitted returns those of the offered challenges that may be answered. The error wraps [ErrUnauthorized] and says
// why none may; there is none where nothing was offered that could be answered at all. It notes whether the phone
// at that address has asked for a digest login.
func (c *Client) permitted(offered []challenge, at netip.AddrPort) ([]challenge, error) {
	has := func(s Scheme) bool {
		return slices.ContainsFunc(offered, func(c challenge) bool { return Scheme(c.scheme) == s })
	}
	basic, digest := has(SchemeBasic), has(SchemeDigest)
	if digest {
		from := AddressHash(at)
		moved, first := c.digestFrom.Swap(from) != from, !c.digestSeen.Swap(true)
		if (moved || first) && c.onDigest != nil {
			c.onDigest(at)
		}
	}
	downgrade := c.auth == "" && c.tls == nil && basic && c.seenDigest(at)
	deny, why := Scheme(""), ""
	switch {
	case c.auth == AuthDigest:
		deny, why = SchemeBasic, "it asks for a basic login, and only digest is allowed for it (auth)"
	case c.auth == AuthBasic:
		deny, why = SchemeDigest, "it asks for a digest login, and only basic is allowed for it (auth)"
	case downgrade:
		deny, why = SchemeBasic, "it asks for a basic login over plain HTTP and has asked for digest before, so the password is "+
			"not sent: another device may answer at its address; if http_scheme was switched off on the phone, set auth to basic or any"
	}
	if deny == SchemeBasic && basic && !digest || deny == SchemeDigest && digest && !basic {
		return nil, fmt.Errorf("%w: HTTP 401: %s", ErrUnauthorized, why)
	}
	return slices.DeleteFunc(slices.Clone(offered), func(c challenge) bool { return Scheme(c.scheme) == deny }), nil
}

// seenDigest reports whether the phone has asked for a digest login, or another one at its address, which may be this one
// under another name.
func (c *Client) seenDigest(at netip.AddrPort) bool {
	if !c.digestSeen.Load() && c.digestAt != nil && at.IsValid() && c.digestAt(at) {
		c.digestSeen.Store(true)
	}
	return c.digestSeen.Load()
}

// DigestAddress returns the [AddressHash] of where the phone has asked for a digest login; 0: nowhere yet.
func (c *Client) DigestAddress() uint32 { return c.digestFrom.Load() }

// AddressHash returns a short hash of an address, as [Info.Address] has it. It is never 0.
func AddressHash(at netip.AddrPort) uint32 {
	bytes := at.Addr().As16()
	h := crc32.ChecksumIEEE(append(bytes[:], byte(at.Port()), byte(at.Port()>>8)))
	return max(h, 1)
}

// A login answers one challenge of a phone, for as many requests as the phone takes it for. The zero
// login says nothing: its requests carry no credentials.
type login struct {
	scheme    Scheme
	realm     string
	challenge digest.Challenge // of digest
	session   bool             // of digest: the algorithm is MD5-sess
	stale     string           // of digest: what the challenge said of the nonce before, in lower case
	cnonce    string           // of digest
	a1        string           // of digest with MD5, once it was used: what proves the password
	used      int              // of digest: requests it was used for
}

// appendCredentials appends the value of the Authorization header of the next request, which must be a GET for target;
// nothing when there is none.
//
// The nonce count grows with each call, so that a phone that checks its order sees it rise. The client's
// nonce stays the same as long as the phone's does: for MD5-sess that makes RFC 2617 (the first one
// counts) and servers that look at the current one agree.
func (l *login) appendCredentials(b []byte, username, password, target string) []byte {
	switch l.scheme {
	case SchemeBasic:
		return base64.StdEncoding.AppendEncode(append(b, "Basic "...), []byte(username+":"+password))
	case SchemeDigest:
		l.used++
	default:
		return b
	}
	if l.a1 == "" && l.isMD5() {
		l.a1 = hexMD5(username + ":" + l.realm + ":" + password)
		if l.session {
			l.a1 = hexMD5(l.a1 + ":" + l.challenge.Nonce + ":" + l.cnonce)
		}
	}
	if l.isPlain() {
		return l.appendPlain(b, username, target)
	}
	cred, err := digest.Digest(&l.challenge, digest.Options{
		Method: http.MethodGet, URI: target, Count: l.used,
		Username: username, Password: password, A1: l.a1, Cnonce: l.cnonce,
	})
	if err != nil {
		return b // cannot be: challenge.login refuses what Digest does not know
	}
	switch {
	case l.session: // the phone needs the client's nonce for it, with a qop or without
		cred.Algorithm = "MD5-sess"
	case cred.QOP == "":
		cred.Cnonce = ""
	}
	return appendDigest(b, cred)
}

// isPlain reports whether l is a login with MD5 and the quality of protection auth, of those that rank puts first.
func (l *login) isPlain() bool {
	return l.a1 != "" && !l.session && !l.challenge.Userhash && l.challenge.SupportsQOP("auth")
}

// appendPlain appends what [digest.Digest] makes of a plain login. That one allocates 14 times, which took 4 % of the
// processor time of a command.
func (l *login) appendPlain(b []byte, username, target string) []byte {
	c := &l.challenge
	var memory [512]byte
	hashed := append(append(memory[:0], "GET:"...), target...)
	a2 := md5.Sum(hashed)
	hashed = append(append(append(hashed[:0], l.a1...), ':'), c.Nonce...)
	hashed = append(appendCount(append(hashed, ':'), l.used), ':')
	hashed = append(append(hashed, l.cnonce...), ":auth:"...)
	response := md5.Sum(hex.AppendEncode(hashed, a2[:]))
	return appendDigest(b, &digest.Credentials{
		Username: username, Realm: c.Realm, Nonce: c.Nonce, URI: target, Response: hex.EncodeToString(response[:]),
		Algorithm: c.Algorithm, Cnonce: l.cnonce, Opaque: c.Opaque, QOP: "auth", Nc: l.used,
	})
}

// isMD5 reports whether the hash of a digest login is MD5, which is also the one where none is named.
func (l *login) isMD5() bool {
	return l.challenge.Algorithm == "" || strings.EqualFold(l.challenge.Algorithm, "MD5")
}

func hexMD5(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// appendDigest appends credentials in the order and with the quotes of clients that work with phones
// (Python requests and urllib, curl). Credentials.String quotes as Go does, which changes bytes that are
// not UTF-8, and a phone compares bytes.
func appendDigest(b []byte, c *digest.Credentials) []byte {
	b = appendQuoted(append(b, "Digest username="...), c.Username)
	b = appendQuoted(append(b, ", realm="...), c.Realm)
	b = appendQuoted(append(b, ", nonce="...), c.Nonce)
	b = appendQuoted(append(b, ", uri="...), c.URI)
	b = appendQuoted(append(b, ", response="...), c.Response)
	if c.Opaque != "" {
		b = appendQuoted(append(b, ", opaque="...), c.Opaque)
	}
	if c.Algorithm != "" {
		b = append(append(b, ", algorithm="...), c.Algorithm...)
	}
	if c.QOP != "" {
		b = append(append(b, ", qop="...), c.QOP...)
		b = appendCount(append(b, ", nc="...), c.Nc)
	}
	if c.Cnonce != "" {
		b = appendQuoted(append(b, ", cnonce="...), c.Cnonce)
	}
	if c.Userhash {
		b = append(b, ", userhash=true"...)
	}
	return b
}

// appendCount appends a nonce count: eight hexadecimal digits (RFC 7616, section 3.4).
func appendCount(b []byte, n int) []byte {
	for shift := 28; shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[n>>shift&0xF])
	}
	return b
}

// appendQuoted appends s as a quoted string of RFC 9110.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

// next returns the login to try after a request with l was answered by 401 with the offered challenges, of which
// those that are permitted may be answered. The error wraps
// [ErrUnauthorized] and says why no login is worth a try: the phone asks for nothing that can be
// answered, or it has just refused this very login.
//
// A refused digest login is worth one more try when the phone says that only its nonce was stale, or when
// it has a new nonce and says nothing. When it says that the nonce was not stale, the password is wrong.
// A refused basic login is when the phone takes digest alone: then its http_scheme was switched on, and
// the password not looked at. It is not the other way round, since basic shows the password.
func (l login) next(offered, permitted []challenge) (login, error) {
	best, err := choose(permitted)
	basic := slices.ContainsFunc(offered, func(c challenge) bool { return Scheme(c.scheme) == SchemeBasic })
	switch {
	case l.scheme == "":
		return best, err
	case best.scheme != SchemeDigest:
	case l.scheme == SchemeDigest && best.renews(l), l.scheme == SchemeBasic && !basic:
		return best, nil
	}
	return login{}, l.refusal(best)
}

// renews reports whether l, the answer to a request with old, leaves open that the password was right.
func (l login) renews(old login) bool {
	if l.stale == "" {
		return l.challenge.Nonce != old.challenge.Nonce
	}
	return l.stale == "true"
}

// refusal is the error of a login that the phone did not take, and answered by asking for instead.
func (l login) refusal(instead login) error {
	why := fmt.Sprintf("user name or password is not right (%s)", l.scheme)
	switch {
	case instead.scheme != "" && instead.scheme != l.scheme:
		why = fmt.Sprintf("it took no %s login, but asks for %s", l.scheme, instead.scheme)
	case instead.stale == "true":
		why = "it calls stale a nonce that it has just given, so user name and password may be right (digest)"
	}
	return fmt.Errorf("%w: HTTP 401: %s", ErrUnauthorized, why)
}

// rank orders logins by how sure it is that a phone can do them: digest before basic, and what alone was
// seen on a phone, plain MD5 without a hash of the body, before the others.
func (l login) rank() int {
	switch {
	case l.scheme == "":
		return 0
	case l.scheme == SchemeBasic:
		return 1
	case l.session || !l.isMD5(),
		len(l.challenge.QOP) > 0 && !l.challenge.SupportsQOP("auth"):
		return 2
	default:
		return 3
	}
}

// choose returns the login that answers the best of the challenges. It is one or none: a phone that takes
// both basic and digest is never tried with both.
func choose(offered []challenge) (login, error) {
	var best login
	err := fmt.Errorf("%w: HTTP 401 without a challenge: expected basic or digest", ErrUnauthorized)
	for i, c := range offered {
		l, lerr := c.login()
		switch {
		case l.rank() > best.rank():
			best = l
		case lerr != nil:
			err = fmt.Errorf("%w: HTTP 401 with a digest challenge that cannot be answered: %w", ErrUnauthorized, lerr)
		case i == 0:
			err = fmt.Errorf("%w: HTTP 401 asks for %q: expected basic or digest", ErrUnauthorized, quotable(c.scheme))
		}
	}
	if best.scheme == "" {
		return login{}, err
	}
	return best, nil
}

// A challenge is one challenge of a WWW-Authenticate header, as far as it could be read.
type challenge struct {
	scheme string            // in lower case
	params map[string]string // names in lower case; of equal names the first
	broken bool              // a quoted value has no end
}

// challenges reads the challenges in the WWW-Authenticate headers of a reply, in order. It is tolerant, because what phones send is not
// documented: several challenges may stand in one header, names may be in any case, values may lack
// their quotes, commas may be missing between parameters or stand where nothing follows.
func challenges(lines []string) []challenge {
	var list []challenge
	for _, line := range lines {
		var c *challenge
		for line = strings.TrimLeft(line, " \t,"); line != ""; line = strings.TrimLeft(line, " \t,") {
			end := strings.IndexAny(line, " \t,=\"")
			if end < 0 {
				end = len(line)
			}
			name, rest := strings.ToLower(line[:end]), strings.TrimLeft(line[end:], " \t")
			value, after, closed := "", rest, true
			isParam := strings.HasPrefix(rest, "=")
			switch {
			case isParam:
				value, after, closed = cutValue(strings.TrimLeft(rest[1:], " \t"))
			case name == "": // a quoted string that is the value of nothing
				_, after, closed = cutValue(line)
			default:
				list = append(list, challenge{scheme: name, params: map[string]string{}})
				c = &list[len(list)-1]
			}
			line = after
			if c == nil {
				continue
			}
			c.broken = c.broken || !closed
			if _, twice := c.params[name]; isParam && !twice {
				c.params[name] = value
			}
		}
	}
	return list
}

// nextParam finds a parameter that follows without a comma.
var nextParam = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[ \t]+[0-9A-Za-z_-]+=`) })

// cutValue returns the value that s begins with, quoted or up to a comma or the next parameter, and what
// follows it. It is not closed when the value's second quote is missing.
func cutValue(s string) (value, after string, closed bool) {
	if !strings.HasPrefix(s, `"`) {
		value, _, _ = strings.Cut(s, ",")
		if next := nextParam().FindStringIndex(value); next != nil {
			value = value[:next[0]]
		}
		return strings.TrimRight(value, " \t"), s[len(value):], true
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] == '"' {
			return b.String(), s[i+1:], true
		}
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), "", false
}

// login makes the login that answers c; the zero login when c is neither basic nor digest. The error says
// why a digest challenge cannot be answered, so that no credentials are spent on it.
func (c challenge) login() (login, error) {
	switch Scheme(c.scheme) {
	case SchemeBasic:
		return login{scheme: SchemeBasic, realm: c.params["realm"]}, nil
	case SchemeDigest:
	default:
		return login{}, nil
	}
	l := login{
		scheme: SchemeDigest,
		realm:  c.params["realm"],
		stale:  strings.ToLower(c.params["stale"]),
		cnonce: rand.Text(),
		challenge: digest.Challenge{
			Realm:     c.params["realm"],
			Nonce:     c.params["nonce"],
			Opaque:    c.params["opaque"],
			Algorithm: c.params["algorithm"],
			Userhash:  strings.EqualFold(c.params["userhash"], "true"),
		},
	}
	for qop := range strings.SplitSeq(c.params["qop"], ",") {
		if qop = strings.ToLower(strings.Trim(qop, " \t")); qop != "" {
			l.challenge.QOP = append(l.challenge.QOP, qop)
		}
	}
	if l.session = strings.EqualFold(l.challenge.Algorithm, "MD5-sess"); l.session {
		l.challenge.Algorithm = "MD5"
	}
	switch {
	case c.broken:
		return login{}, errors.New("a quote is missing")
	case l.challenge.Nonce == "":
		return login{}, errors.New("it has no nonce")
	case strings.ContainsFunc(l.realm+l.challenge.Nonce+l.challenge.Opaque, isControl):
		return login{}, errors.New("it has control characters")
	case len(l.realm)+len(l.challenge.Nonce)+len(l.challenge.Opaque) > maxChallenge:
		return login{}, fmt.Errorf("it is longer than %d bytes", maxChallenge)
	case !digest.CanDigest(&l.challenge):
		return login{}, fmt.Errorf("algorithm %q with qop %q: expected MD5 with auth",
			quotable(c.params["algorithm"]), quotable(c.params["qop"]))
	}
	return l, nil
}

// maxChallenge bounds what a digest login repeats of a challenge, in bytes.
const maxChallenge = 4 << 10

func isControl(r rune) bool { return r < ' ' || r == 0x7F }
