package sip

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// A verdict says what an answer to a NOTIFY means.
type verdict struct {
	least, most int // the statuses
	kind        error
	advice      string // what to change; empty: nothing is known
}

const adviceTrust = "on the phone, add the address of this bridge to mb_trusted_hosts, set filter_registrar to off, and xml_notify to on where it has that setting"

// verdicts are tried in their order. Sources: Snom wiki Via+SIP+NOTIFY and challenge_checksync; nemerald-voip/fspbx (481); RFC 3261 and
// RFC 6665 for what they say of no phone. What a phone answers whose settings refuse a NOTIFY is not documented, and may be 200.
func verdicts() []verdict {
	return []verdict{
		{200, 299, nil, ""},
		{300, 399, snom.ErrRefused, "it redirects, which is not followed: set the URL of the phone to the address where it is"},
		{401, 401, snom.ErrUnauthorized, ""},
		{407, 407, snom.ErrUnauthorized, ""},
		{403, 403, snom.ErrRefused, adviceTrust},
		{404, 404, snom.ErrRefused, "it has no such user: check the user in the URL of the phone, and whether the phone is registered"},
		{408, 408, snom.ErrOutcomeUnknown, ""},
		{410, 410, snom.ErrRefused, "it has no such user: check the user in the URL of the phone, and whether the phone is registered"},
		{415, 415, snom.ErrRefused, "it takes no minibrowser document: check that it is a Snom phone"},
		{480, 480, snom.ErrRefused, "the user is not available: check whether the phone is registered"},
		{481, 481, snom.ErrRefused, "it expects a subscription, which Snom phones do without: " + adviceTrust},
		{489, 489, snom.ErrRefused, "it does not know the event: " + adviceTrust},
		{504, 504, snom.ErrOutcomeUnknown, ""},
		{400, 699, snom.ErrRefused, adviceTrust},
	}
}

// judge returns the error of a final answer; nil: the phone took it.
func judge(r response) error {
	for _, v := range verdicts() {
		if r.status < v.least || r.status > v.most {
			continue
		}
		switch {
		case v.kind == nil:
			return nil
		case v.advice == "":
			return fmt.Errorf("%w: SIP %s", v.kind, r.statusLine())
		}
		return fmt.Errorf("%w: SIP %s: %s", v.kind, r.statusLine(), v.advice)
	}
	return fmt.Errorf("%w: SIP %s", snom.ErrPhone, r.statusLine())
}

// absent reports whether a proxy says by status that it did not reach the phone.
func absent(status int) bool {
	switch status {
	case 404, 408, 410, 430, 480, 604:
		return true
	}
	return status >= 500 && status < 600
}

// statusLine returns status and reason, as an error may repeat it.
func (r response) statusLine() string {
	return strings.TrimSpace(strconv.Itoa(r.status) + " " + snom.Foreign(r.reason))
}
