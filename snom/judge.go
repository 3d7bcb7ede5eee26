package snom

import (
	"bytes"
	"cmp"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// A verdict says what one kind of reply means.
type verdict struct {
	fact   string // what the reply means, in words that can follow "HTTP 403: "
	source string // who documents it

	when func(*answer) bool // whether a reply is of that kind

	err    error   // nil: the phone accepted the request
	remote Support // whether a phone that answers so can be controlled remotely; empty: it does not say
	login  bool    // it asks for a login in the page itself, so a login that was sent is not proven
	advice string  // what to change; empty: nothing, or nothing that is known
}

// verdicts are the facts that are known of replies. The first row that fits counts, so what a page says
// stands before its status: a login page and the web application of a D8xx come with status 200.
var verdicts = []*verdict{{
	fact:   "its reply has two different statuses",
	source: "RFC 9112, section 4: a reply has one",
	when:   func(a *answer) bool { return a.head.other != 0 },
	err:    ErrPhone,
}, {
	fact:   "too many logins have failed",
	source: "symcon/Snom, git history of SnomDeskphone/module.php; Snom blog 2009-08-14 for the times",
	when:   func(a *answer) bool { return a.saysOfLogin(lockedWords) },
	err:    ErrLockedOut,
	advice: "Wait until the phone unlocks itself: a minute after more than three failed logins, and twice as long after each further three.",
}, {
	fact:   "its page says that the login failed",
	source: "symcon/Snom, SnomDeskphone/module.php",
	when:   func(a *answer) bool { return a.saysOfLogin(failedWords) },
	err:    ErrUnauthorized,
	advice: "Check the user name and the password.",
}, {
	fact:   "it requires a login",
	source: "symcon/Snom, SnomDeskphone/module.php; Greenbone, gb_snom_http_detect.nasl",
	when:   status(http.StatusUnauthorized),
	err:    ErrUnauthorized,
	advice: "Give the user name and the password of the phone's web page (http_user, http_pass).",
}, {
	fact:   "it is of the D8xx generation, which has no command.htm: a sip: URL drives it (docs/sip.md)",
	source: "Snom wiki, Remote phone control; symcon/Snom, SnomDeskphone/module.php, for the title",
	when:   func(a *answer) bool { return bytes.Contains(a.title, []byte("phone manager")) },
	err:    ErrUnsupported,
	remote: No,
	advice: "Phones of the D8xx generation cannot be controlled over HTTP: give it a sip: URL (docs/sip.md).",
}, {
	fact:   "use_hidden_tags or restrict_uri_queries is on, or this login may not control the phone",
	source: "Greenbone, gb_snom_http_detect.nasl; amooma Gemeinschaft; Snom blog 2009-08-14 for hidden tags; that they answer 403 is inferred",
	when:   status(http.StatusForbidden),
	err:    ErrRefused,
	remote: No,
	advice: "On the phone, set use_hidden_tags and restrict_uri_queries to off (Advanced, QoS/Security).",
}, {
	fact:   "it has no such page",
	source: "symcon/Snom, SnomDeskphone/module.php",
	when:   status(http.StatusNotFound),
	err:    ErrUnsupported,
}, {
	fact:   "it is a base of the M series, which cannot be controlled remotely",
	source: "symcon/Snom, git history of SnomDeskphone/module.php; Snom wiki, Can I control my snom phone remotely (desktop phones only)",
	when:   status(http.StatusSeeOther),
	err:    ErrUnsupported,
	remote: No,
	advice: "DECT bases of the M series cannot be controlled over HTTP.",
}, {
	fact:   "it requires https",
	source: "symcon/Snom, SnomDeskphone/module.php",
	when:   (*answer).upgrades,
	err:    ErrPhone,
	advice: "Use https:// instead of http:// in the phone's URL.",
}, {
	fact:   "its page is an error page",
	source: "Greenbone, gb_snom_http_detect.nasl, where it came with 403",
	when:   func(a *answer) bool { return a.ok() && bytes.Contains(a.title, []byte("snom voip phone: error")) },
	err:    ErrRefused,
	advice: "On the phone, set use_hidden_tags and restrict_uri_queries to off (Advanced, QoS/Security).",
}, {
	fact:   "its page is a login page",
	source: "inferred: phones of the D3xx and D7xx series authenticate by status 401, and a page with a login form has carried out nothing",
	when:   func(a *answer) bool { return a.ok() && (a.isLoginForm() || a.mentionsLogin()) },
	err:    ErrPhone,
	login:  true,
	advice: foreignAdvice,
}, {
	fact:   "its page is not one of a Snom phone",
	source: "Shodan, Greenbone gb_snom_http_detect.nasl, BitStackers Phonio: the server of desk phones calls itself snom embedded",
	when:   (*answer).isForeign,
	err:    ErrPhone,
	advice: foreignAdvice,
}, {
	fact:   "it is of a model that has no remote control over HTTP",
	source: "symcon/Snom, SnomDeskphone/module.php: a D8xx answers 200 to a page that it does not have",
	when:   func(a *answer) bool { return a.noControl && (a.ok() || a.head.status == http.StatusFound) },
	err:    ErrUnsupported,
	remote: No,
}, {
	fact:   "done",
	source: "p4irin/remote_phone_control; FreeSWITCH mod_snom; amooma Gemeinschaft",
	when:   (*answer).ok,
}, {
	fact:   "done: dialling is answered by a redirect to index.htm",
	source: "p4irin/remote_phone_control, on firmware 8.7",
	when:   func(a *answer) bool { return a.head.status == http.StatusFound && a.toIndex() },
}, {
	fact:   "it does not redirect to its index.htm, but to another page, to another device, or nowhere",
	source: "p4irin/remote_phone_control: phones redirect to index.htm",
	when:   status(http.StatusFound),
	err:    ErrPhone,
	advice: foreignAdvice,
}, {
	fact:   "that status is neither 200 nor 302",
	source: "no source mentions another status",
	when:   func(*answer) bool { return true },
	err:    ErrPhone,
}}

const foreignAdvice = "Check the address: this may be another device than a Snom desk phone."

func status(n int) func(*answer) bool { return func(a *answer) bool { return a.head.status == n } }

// on is the verdict as an error about a reply with that status.
func (v *verdict) on(status int) error {
	if v.err == nil {
		return nil
	}
	return fmt.Errorf("%w: HTTP %d: %s", v.err, status, v.fact)
}

// An answer is a reply and what must be known to judge it.
type answer struct {
	head   *replyHead
	lower  []byte // the page in small letters
	title  []byte // of the page
	target string // what was asked for

	https      bool
	host       string     // the name or address in the phone's URL
	remote     netip.Addr // of the connection
	carried    bool       // the request carried a login
	configured bool       // there is a login to give
	identified proof      // that the device is a Snom phone, from before
	shown      proof      // the same, by this reply; set by verdict
	noControl  bool       // it was asked to do something, and has said that it is of a model without remote control
}

// judge returns the verdict on the reply in m to a request for target with login l, and notes what the reply shows of the
// device. It writes small letters over the body, except over that of a settings page and over a picture.
func (c *Client) judge(m *scratch, target string, l *login, conn net.Conn) *verdict {
	a := &m.answer
	*a = answer{
		head: &m.head, lower: m.body, target: target,
		https: c.tls != nil, host: c.host, remote: remoteAddr(conn),
		carried: l != nil && l.scheme != "", configured: c.username != "",
		identified: c.identified, noControl: c.noControl && strings.Contains(target, "?"),
	}
	switch {
	case isPicture(target) && bytes.HasPrefix(m.body, beginsBitmap):
		a.lower = nil // there is no text in it
	case !isSettings(target):
		lowerASCII(m.body)
	default:
		a.lower = bytes.ToLower(m.body[:min(len(m.body), maxBody)])
	}
	a.title = pageTitle(a.lower)
	v := a.verdict()
	switch {
	case a.isForeign():
		c.identified = unproven
	case c.identified == unproven:
		c.identified = a.shown
	}
	c.proven.Store(c.identified != unproven)
	return v
}

// verdict is the first one that fits.
func (a *answer) verdict() *verdict {
	a.shown = a.identifies()
	return verdicts[slices.IndexFunc(verdicts, func(v *verdict) bool { return v.when(a) })] // the last one fits everything
}

func remoteAddr(conn net.Conn) netip.Addr {
	if addr, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		return addr.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

func lowerASCII(b []byte) {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
}

// ok reports whether the status is the one that pages have.
func (a *answer) ok() bool { return a.head.status == http.StatusOK }

// How a page says that a login failed.
const (
	failedWords = "login failed!"
	lockedWords = "unsuccessful login attempts"
)

// maxLoginPage bounds the length of a login page, in bytes; that no real one is longer is inferred.
const maxLoginPage = 8 << 10

// saysOfLogin reports whether a page says words of the login that it was sent, and not of something else: a list of
// calls or a directory holds names that others choose. So the words count only on the login page, and only where a login
// was sent; at the addresses of lists and settings only where the title can be of nothing else. That the phone is
// locked it also says to a request without a login, which counts where one is configured.
func (a *answer) saysOfLogin(words string) bool {
	sent := a.carried || a.configured && words == lockedWords
	if !sent || len(a.lower) > maxLoginPage || !bytes.Contains(a.lower, []byte(words)) {
		return false
	}
	switch {
	case a.head.status == http.StatusUnauthorized: // in place of the page that was asked for
		return true
	case a.head.status == http.StatusForbidden:
		return !isList(a.target)
	case !a.ok():
		return false
	case isList(a.target):
		return startsWithAny(a.title, loginTitles) && !a.hasDialForm()
	case a.carried:
		return a.isLoginPage()
	}
	return a.hasLoginTitle()
}

// mentionsLogin reports whether the page is a login page that says that a login failed, whether one was sent or not.
func (a *answer) mentionsLogin() bool {
	return len(a.lower) <= maxLoginPage && a.isLoginPage() &&
		(bytes.Contains(a.lower, []byte(failedWords)) || bytes.Contains(a.lower, []byte(lockedWords)))
}

// isLoginPage reports whether the page has the title or the form of a login page, or no title and little else than
// the words. What the page looks like on a phone is not documented.
func (a *answer) isLoginPage() bool {
	const few = 200
	return a.hasLoginTitle() || a.isLoginForm() ||
		len(a.title) == 0 && !isList(a.target) && len(visible(a.lower)) <= few
}

// hasLoginTitle reports whether the title says that it is a login page, and the page does not have the form for
// dialling, which only the first page has.
func (a *answer) hasLoginTitle() bool {
	return containsAny(a.title, loginTitles) && !a.hasDialForm()
}

// loginTitles are what the titles of login pages have.
var loginTitles = []string{"login", "log in", "log-in", "logon", "log on", "sign in", "anmeld"}

func containsAny(text []byte, words []string) bool {
	return slices.ContainsFunc(words, func(word string) bool { return bytes.Contains(text, []byte(word)) })
}

func startsWithAny(text []byte, words []string) bool {
	return slices.ContainsFunc(words, func(word string) bool { return bytes.HasPrefix(text, []byte(word)) })
}

// hasDialForm reports whether the page has the form for dialling, which only the first page of a phone has.
func (a *answer) hasDialForm() bool {
	return bytes.Contains(a.lower, []byte("name=number")) || bytes.Contains(a.lower, []byte(`name="number"`))
}

// isList reports whether the page of target shows texts that others choose: the lists of calls, the directory.
func isList(target string) bool {
	page, _, _ := strings.Cut(target, "?")
	return page == "/" || page == "/index.htm" || isSettings(target)
}

// isSettings reports whether target is one of the pages that show all settings.
func isSettings(target string) bool {
	page, _, _ := strings.Cut(target, "?")
	return page == settingsXML || page == settingsPage
}

// visible returns the text of a page without its title and tags.
func visible(lower []byte) []byte {
	if i := bytes.Index(lower, []byte("</title>")); i >= 0 {
		lower = lower[i:]
	}
	var text []byte
	for len(lower) > 0 {
		before, rest, _ := bytes.Cut(lower, []byte("<"))
		text = append(text, before...)
		_, lower, _ = bytes.Cut(rest, []byte(">"))
	}
	return bytes.TrimSpace(text)
}

// isLoginForm reports whether the page has the form of a login: a field for a password, and at most a few others.
// Pages with many fields are settings of a phone, some of which are passwords; they count only where nothing shows
// that the device is a Snom phone. On a list of calls a field counts only in a form, and where the page is not the first
// page of a phone: the name of a caller may look like a field.
func (a *answer) isLoginForm() bool {
	if !bytes.Contains(a.lower, []byte("passw")) {
		return false
	}
	if isList(a.target) && (!bytes.Contains(a.lower, []byte("<form")) || a.hasDialForm()) && (a.identified != unproven || a.shown != unproven) {
		return false
	}
	const few = 3
	passwords, others := 0, 0
	for rest := a.lower; ; {
		_, after, found := bytes.Cut(rest, []byte("<input"))
		if !found {
			break
		}
		var tag []byte
		if tag, rest, found = bytes.Cut(after, []byte(">")); !found {
			rest = nil
		}
		switch kind := attributeOf(tag, "type"); {
		case kind == "password", kind == "" && bytes.Contains(tag, []byte("passw")):
			passwords++
		case kind == "" || kind == "text" || kind == "email":
			others++
		}
	}
	if passwords == 0 {
		return a.identified == unproven && a.shown == unproven && others > 0 && others <= few && bytes.Contains(visible(a.lower), []byte("passw"))
	}
	return passwords <= few && others <= few && !isSettings(a.target) || a.identified == unproven && a.shown == unproven
}

// attributeOf returns the value of an attribute of a tag in small letters.
func attributeOf(tag []byte, name string) string {
	for rest := tag; ; {
		before, after, found := bytes.Cut(rest, []byte(name))
		if !found {
			return ""
		}
		rest = after
		after = bytes.TrimLeft(after, " \t\r\n")
		if len(after) == 0 || after[0] != '=' || len(before) > 0 && !bytes.ContainsAny(before[len(before)-1:], " \t\r\n\"'/") {
			continue
		}
		after = bytes.TrimLeft(after[1:], " \t\r\n")
		if len(after) > 0 && (after[0] == '"' || after[0] == '\'') {
			value, _, _ := bytes.Cut(after[1:], after[:1])
			return string(bytes.TrimSpace(value))
		}
		if end := bytes.IndexAny(after, " \t\r\n/"); end >= 0 {
			after = after[:end]
		}
		return string(after)
	}
}

// A proof is a way in which a device shows that it is a Snom phone.
type proof uint8

const (
	unproven proof = iota
	byServer
	byTitle
	byPage
	byRealm
	bySettings
	byMAC // 00:04:13 and 1C:71:26 are Snom's (Snom, Mass Deployment FAQ; ns8-nethvoice)
)

// String is the proof as [Info] has it.
func (p proof) String() string {
	return [...]string{"", "server header", "page title", "page text", "login realm", "settings", "MAC address"}[p]
}

// ownUserAgent is the name of the Client, which a page that repeats it does not say of the device.
const ownUserAgent = "snom2mqtt"

// identifies says how the reply shows that the device is a Snom phone: Server: snom embedded, a title that begins
// with snom (Greenbone, gb_snom_http_detect.nasl; symcon/Snom), a realm that names it, or its name or its MAC address in
// the page. It is unproven where nothing does. The text of a page of another server proves nothing: routers and PBXs list
// phones. Nor does that of a page with another title that shows MAC addresses, but for the page that a phone has for that.
func (a *answer) identifies() proof {
	switch {
	case namesSnom(a.head.server):
		return byServer
	case startsWithAny(a.title, brands) || bytes.Contains(a.title, []byte("phone manager")):
		return byTitle
	case slices.ContainsFunc(a.head.authenticate, namesSnom):
		return byRealm
	case bytes.Contains(a.lower, []byte("<phone-settings")):
		return bySettings
	case a.head.server != "":
		return unproven
	case len(a.title) > 0 && a.target != infoTarget && showsMAC(a.lower):
		return unproven
	case containsAny(a.lower, []string{"000413", "00:04:13", "1c7126", "1c:71:26"}):
		return byMAC
	case strings.Contains(strings.ToLower(a.host), "snom"): // a page that repeats its own address says nothing
		return unproven
	case bytes.Count(a.lower, []byte("snom")) > bytes.Count(a.lower, []byte(ownUserAgent)):
		return byPage
	}
	return unproven
}

// infoTarget is the page on which a phone says what it is.
const infoTarget = "/info.htm"

// showsMAC reports whether a page in small letters shows a MAC address, in pairs of digits.
func showsMAC(lower []byte) bool {
	const length = len("00:04:13:aa:bb:cc")
	for i := 0; i+length <= len(lower); i++ {
		mac := lower[i : i+length]
		separator := mac[2]
		if separator != ':' && separator != '-' {
			continue
		}
		digits := 0
		for j, c := range mac {
			if j%3 == 2 && c == separator || j%3 != 2 && ('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
				digits++
			}
		}
		if digits == length {
			return true
		}
	}
	return false
}

// namesSnom reports whether a text names Snom, or one who sells phones with Snom's firmware.
func namesSnom(text string) bool {
	lower := strings.ToLower(text)
	return containsAny([]byte(lower), brands)
}

// brands are the names under which phones with Snom's firmware are sold: VTech ET605, ET635, ET685; Doro IP8xxc; Gigaset P8xx
// (a catalogue of vendor adapters; manualshelf, Doro IP830c; teamwork.gigaset.com). Whether their web servers call
// themselves so is not documented.
var brands = []string{"snom", "vtech", "doro", "gigaset"}

// isForeign reports whether the reply shows that the device is no Snom phone: another server, or a page with another
// title, from a device that has never said that it is one. An empty reply, or a page without a title, shows nothing:
// what a phone answers to a command is not documented; see [Client.Identified]. Nor does a page of settings, which is
// read for what it contains.
func (a *answer) isForeign() bool {
	if !a.ok() && a.head.status != http.StatusFound || isSettings(a.target) || a.shown != unproven {
		return false
	}
	if a.head.server != "" {
		return a.identified == unproven || a.identified == byServer
	}
	return a.identified == unproven && a.ok() && len(a.title) > 0
}

// upgrades reports whether the phone sends a request over plain HTTP to an https address, or its port serves https: web
// servers answer such a request with status 400 and say so (nginx, Apache, Go's net/http).
func (a *answer) upgrades() bool {
	if a.https || a.head.status == http.StatusBadRequest && containsAny(a.lower, []string{"https", "ssl"}) {
		return !a.https
	}
	if a.head.status/100 != 3 {
		return false
	}
	u, err := url.Parse(a.head.location)
	return err == nil && strings.EqualFold(u.Scheme, "https")
}

// toIndex reports whether a redirect leads to index.htm of the same device.
func (a *answer) toIndex() bool {
	if a.head.location == "" {
		return false
	}
	u, err := url.Parse(a.head.location)
	if err != nil || u.Opaque != "" || u.Scheme != "" && u.Scheme != "http" && u.Scheme != "https" {
		return false
	}
	if u.Host != "" && !a.isSelf(u) {
		return false
	}
	switch strings.ToLower(strings.TrimPrefix(u.Path, ".")) {
	case "/index.htm", "index.htm":
		return true
	}
	return false
}

// isSelf reports whether the host of u is the phone that was asked, by the name in its URL or by its address. Another port
// is another device; without one it may be the phone's, since servers omit it behind a forwarded port.
func (a *answer) isSelf(u *url.URL) bool {
	own, err := url.Parse("//" + a.host)
	if err == nil && u.Port() != "" && u.Port() != cmp.Or(own.Port(), map[bool]string{true: "443", false: "80"}[a.https]) {
		return false
	}
	if err == nil && strings.EqualFold(own.Hostname(), strings.TrimSuffix(u.Hostname(), ".")) {
		return true
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return err == nil && addr.Unmap() == a.remote.WithZone("")
}

// pageTitle returns what stands between the title tags of a page in small letters.
func pageTitle(lower []byte) []byte {
	_, rest, _ := bytes.Cut(lower, []byte("<title"))
	_, rest, _ = bytes.Cut(rest, []byte(">"))
	title, _, _ := bytes.Cut(rest, []byte("<"))
	return bytes.TrimSpace(title)
}
