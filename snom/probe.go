package snom

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/snom2mqtt/snom2mqtt/internal/cleantext"
)

// Info is what a phone says about itself. What it did not say is empty.
type Info struct {
	Model    string `json:"model"`    // "D735", "320"; where it is one of [Models], in the spelling of [Model.Name]
	Firmware string `json:"firmware"` // "10.1.184.14"
	MAC      string `json:"mac"`      // twelve hexadecimal digits in lower case
	Auth     Scheme `json:"auth"`     // the login that the phone asks for; SchemeNone: it asks for none
	Realm    string `json:"realm"`    // the realm of the login
	// RemoteControl says whether commands can work: No when the phone or its model certainly takes none.
	// Yes is said of the model; settings that block commands cannot be seen without sending one.
	RemoteControl Support `json:"remote_control"`
	// Advice says what to change, in whole sentences, the most important first. It is not nil after a
	// probe, so that in JSON it is a list.
	Advice []string `json:"advice"`
	// IdentifiedBy says what showed that the device is a Snom phone: its "server header", "page title", "page text",
	// "login realm", "settings" or "MAC address". It is empty when nothing has since the Client was made: then the
	// device may be another.
	IdentifiedBy string `json:"identified_by"`
	// Certificate is the SHA-256 of the phone's certificate, as [TLSConfig] takes it; over https only. It
	// is set even when the certificate is not trusted.
	Certificate string `json:"certificate"`
	// Foreign says that nothing has shown that the device is a Snom phone, and that its page is one of another device.
	Foreign bool `json:"-"`
	// Address is where the phone answered: its IP address and port, of which 443 counts as 80, so that https and http of one phone are
	// one address. It is not valid where the connection has none.
	Address netip.AddrPort `json:"-"`
}

// Probe asks the phone what it is. It costs no failed login: it sends no user name and no password unless
// the phone has accepted them from c before, so a phone that requires a login says little more than that. [Client.Send]
// a request first.
//
// It asks for info.htm and, when that does not name the model, for the first page. The error is nil when
// the phone said what it is, that it requires a login, or that it cannot be controlled. Otherwise it is one of
// [Client.Send], and Info contains what was learnt all the same.
func (c *Client) Probe(ctx context.Context) (Info, error) {
	if err := c.begin(ctx, time.Time{}); err != nil {
		return Info{RemoteControl: Unknown, Advice: []string{}}, err
	}
	defer c.end()
	taken := c.login != nil
	p, _, err := c.fetch(ctx, pageRequest{target: infoTarget, keep: true})
	address := p.address
	found := readInfoPage(p.body)
	if p.status == http.StatusNotFound || err == nil && found.model == "" {
		index, _, ierr := c.fetch(ctx, pageRequest{target: "/", keep: true})
		if err != nil && index.status != 0 {
			p, err = index, ierr
		}
		title := readInfoPage(index.body)
		found.model = cmp.Or(found.model, title.model)
		found.firmware = cmp.Or(found.firmware, title.firmware)
	}
	model, known := FindModel(found.model)
	if known {
		found.model = model.Name()
	}
	if found.model != "" {
		c.noControl = known && model.RemoteControl() == No
	}
	info := Info{
		IdentifiedBy:  c.identified.String(),
		Model:         found.model,
		Firmware:      found.firmware,
		MAC:           found.mac,
		RemoteControl: cmp.Or(p.meaning().remote, model.RemoteControl()),
		Address:       address,
		Foreign:       c.identified == unproven && p.meaning().advice == foreignAdvice,
	}
	info.Auth, info.Realm = c.wantedLogin(p)
	leaf := untrusted(err)
	if p.tls != nil {
		leaf = p.tls.PeerCertificates[0]
	}
	if leaf != nil {
		info.Certificate = fingerprint(leaf)
	}
	info.Advice = c.advice(info, p, err)
	if p.meaning().remote == No || !taken && errors.Is(err, ErrUnauthorized) {
		err = nil
	}
	return info, err
}

// wantedLogin returns the login that the phone that answered p asks for, and its realm.
func (c *Client) wantedLogin(p page) (Scheme, string) {
	var l login
	if c.login != nil {
		l = *c.login
	}
	if p.status == http.StatusUnauthorized {
		l, _ = choose(challenges(p.authenticate)) // without a challenge that can be answered it is not known
	}
	if l.scheme == "" && p.status == http.StatusOK && p.meaning().err == nil {
		return SchemeNone, ""
	}
	return l.scheme, cleantext.Clean(l.realm, maxErrorText)
}

// advice returns what to change on the phone or in its settings here, the most important first.
func (c *Client) advice(info Info, p page, err error) []string {
	answered := p.status != 0 && p.meaning().err == nil
	rows := []struct {
		when bool
		say  string
	}{
		{p.meaning().advice != "", p.meaning().advice},
		{c.tls == nil && errors.Is(err, syscall.ECONNREFUSED), "Check the address, and whether the phone serves https only (webserver_type): then its URL begins with https://."},
		{untrusted(err) != nil, "Pin the phone's certificate by its SHA-256, give the CA that signed it, or switch the check off."},
		{p.tls != nil && p.tls.Version < tls.VersionTLS12, "It speaks old TLS only: legacy TLS must be allowed for it in the settings here."},
		{answered && info.RemoteControl == No, info.Model + " phones cannot be controlled over HTTP."},
		{info.IdentifiedBy == "" && p.status != 0 && !answered && p.meaning().advice == "", foreignAdvice},
		{answered && info.Model == "", "The page does not name a Snom model: check that this is a Snom desk phone, and name its model in the settings."},
		{answered && info.RemoteControl != No, "On the phone, use_hidden_tags and restrict_uri_queries must be off. That cannot be seen from here: send a harmless key and look at the phone."},
		{info.Auth == SchemeNone, "Set http_user and http_pass on the phone: without them every device in its network can control it."},
		{info.Auth == SchemeBasic && c.tls == nil, "Set http_scheme to on (digest) on the phone, or use https: with basic over http every device in between can read the password."},
	}
	say := []string{}
	for _, r := range rows {
		if r.when {
			say = append(say, r.say)
		}
	}
	return say
}
