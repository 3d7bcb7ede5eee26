package snom

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// A verdict says what one kind of reply means. All conditions that are set must hold.
type verdict struct {
	fact   string // what the reply means, in words that can follow "HTTP 403: "
	source string // who says so

	status   int    // 0: any
	words    string // somewhere in the page, in lower case
	title    string // in the page's title, in lower case
	upgrades bool   // the phone sends a request over plain HTTP to an https address

	err    error   // nil: the phone did as told
	remote Support // whether a phone that answers so can be controlled remotely; empty: it does not say
	advice string  // what to change; empty: nothing, or nothing that is known
}

// verdicts are the facts that are known of replies. The first one that fits counts, so what a page says
// stands before its status: a login page and the web application of a D8xx come with status 200.
var verdicts = sync.OnceValue(func() []verdict {
	return []verdict{{
		fact:   "too many logins have failed",
		source: "symcon/Snom, git history of SnomDeskphone/module.php; Snom blog 2009-08-14 for the times",
		words:  "unsuccessful login attempts",
		err:    ErrLockedOut,
		advice: "Wait until the phone unlocks itself: a minute after more than three failed logins, and twice as long after each further three.",
	}, {
		fact:   "its page says that the login failed",
		source: "symcon/Snom, SnomDeskphone/module.php",
		words:  "login failed!",
		err:    ErrUnauthorized,
		advice: "Check the user name and the password.",
	}, {
		fact:   "it wants a login",
		source: "symcon/Snom, SnomDeskphone/module.php; Greenbone, gb_snom_http_detect.nasl",
		status: http.StatusUnauthorized,
		err:    ErrUnauthorized,
		advice: "Give the user name and the password of the phone's web page (http_user, http_pass).",
	}, {
		fact:   "it is of the D8xx generation, which has no command.htm",
		source: "Snom wiki, Remote phone control; symcon/Snom, SnomDeskphone/module.php, for the title",
		title:  "phone manager",
		err:    ErrUnsupported,
		remote: No,
		advice: "Phones of the D8xx generation cannot be controlled over HTTP.",
	}, {
		fact:   "use_hidden_tags or restrict_uri_queries is on, or this login may not control the phone",
		source: "Greenbone, gb_snom_http_detect.nasl; amooma Gemeinschaft; Snom blog 2009-08-14 for hidden tags; that they answer 403 is inferred",
		status: http.StatusForbidden,
		err:    ErrRefused,
		remote: No,
		advice: "On the phone, set use_hidden_tags and restrict_uri_queries to off (Advanced, QoS/Security).",
	}, {
		fact:   "it has no such page",
		source: "symcon/Snom, SnomDeskphone/module.php",
		status: http.StatusNotFound,
		err:    ErrUnsupported,
	}, {
		fact:   "it is a base of the M series, which cannot be controlled remotely",
		source: "symcon/Snom, git history of SnomDeskphone/module.php; Snom wiki, Can I control my snom phone remotely (desktop phones only)",
		status: http.StatusSeeOther,
		err:    ErrUnsupported,
		remote: No,
		advice: "DECT bases of the M series cannot be controlled over HTTP.",
	}, {
		fact:     "it wants https",
		source:   "symcon/Snom, SnomDeskphone/module.php",
		upgrades: true,
		err:      ErrPhone,
		advice:   "Use https:// instead of http:// in the phone's URL.",
	}, {
		fact:   "its page is an error page",
		source: "Greenbone, gb_snom_http_detect.nasl, where it came with 403",
		status: http.StatusOK,
		title:  "snom voip phone: error",
		err:    ErrRefused,
		advice: "On the phone, set use_hidden_tags and restrict_uri_queries to off (Advanced, QoS/Security).",
	}, {
		fact:   "done",
		source: "p4irin/remote_phone_control; FreeSWITCH mod_snom; amooma Gemeinschaft",
		status: http.StatusOK,
	}, {
		fact:   "done: dialling is answered by a redirect to index.htm",
		source: "p4irin/remote_phone_control, on firmware 8.7",
		status: http.StatusFound,
	}, {
		fact:   "that status is neither 200 nor 302",
		source: "no source mentions another status",
		err:    ErrPhone,
	}}
})

// judge says whether a reply means that the phone did as told; nil says that it did. It is a function of
// the reply and of whether that came over https.
func judge(status int, header http.Header, body []byte, https bool) error {
	return verdictOn(status, header, body, https).on(status)
}

func verdictOn(status int, header http.Header, body []byte, https bool) *verdict {
	lower := bytes.ToLower(body)
	title := pageTitle(lower)
	upgrades := !https && status/100 == 3 && wantsHTTPS(header.Get("Location"))
	rows := verdicts()
	return &rows[slices.IndexFunc(rows, func(v verdict) bool { // one does: the last one fits everything
		return (v.status == 0 || v.status == status) &&
			(v.words == "" || bytes.Contains(lower, []byte(v.words))) &&
			(v.title == "" || bytes.Contains(title, []byte(v.title))) &&
			(!v.upgrades || upgrades)
	})]
}

// on is the verdict as an error about a reply with that status.
func (v *verdict) on(status int) error {
	if v.err == nil {
		return nil
	}
	return fmt.Errorf("%w: HTTP %d: %s", v.err, status, v.fact)
}

// pageTitle returns what stands between the title tags of a page in lower case.
func pageTitle(lower []byte) []byte {
	_, rest, _ := bytes.Cut(lower, []byte("<title"))
	_, rest, _ = bytes.Cut(rest, []byte(">"))
	title, _, _ := bytes.Cut(rest, []byte("<"))
	return bytes.TrimSpace(title)
}

func wantsHTTPS(location string) bool {
	u, err := url.Parse(location)
	return err == nil && strings.EqualFold(u.Scheme, "https")
}
