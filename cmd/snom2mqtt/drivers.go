package main

import (
	"crypto/tls"
	"errors"
	"net"
	"time"

	"github.com/snom2mqtt/snom2mqtt/asterisk"
	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/config"
	"github.com/snom2mqtt/snom2mqtt/freeswitch"
	"github.com/snom2mqtt/snom2mqtt/sip"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/notify"
)

// drivers are what phones without remote control over HTTP share. What no phone needs opens nothing.
type drivers struct {
	sip        *sip.Endpoint
	asterisk   *asterisk.Server   // nil: its address is not set
	freeswitch *freeswitch.Server // likewise
}

func newDrivers(c config.Config) (*drivers, error) {
	d := &drivers{sip: sip.NewEndpoint(sip.EndpointConfig{Listen: c.SIPListen})}
	var errs []error
	if a := c.Asterisk; a.Address != "" {
		server, err := asterisk.New(asterisk.Config{
			Address: a.Address, TLS: pbxTLS(a), Username: a.Username, Password: a.Password.Reveal(), Timeout: c.RequestTimeout,
		})
		d.asterisk, errs = server, append(errs, err)
	}
	if f := c.FreeSWITCH; f.Address != "" {
		server, err := freeswitch.New(freeswitch.Config{Address: f.Address, TLS: pbxTLS(f), Password: f.Password.Reveal(), Timeout: c.RequestTimeout})
		d.freeswitch, errs = server, append(errs, err)
	}
	return d, errors.Join(errs...)
}

// pbxTLS returns how the certificate of a PBX is verified: by the authorities of the system.
func pbxTLS(p config.PBX) *tls.Config {
	if !p.TLS {
		return nil
	}
	host, _, _ := net.SplitHostPort(p.Address) // config has made it
	return &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
}

var errNoPBX = errors.New("snom: the address of its PBX is not set")

// phone makes a phone whose URL is that of a phone driven by SIP, and returns its URL in canonical form; nil for others.
func (d *drivers) phone(p config.Phone, timeout time.Duration) (bridge.Phone, string, error) {
	if !notify.IsAddress(p.URL) {
		return nil, "", nil
	}
	a, err := notify.ParseAddress(p.URL)
	if err != nil {
		return nil, "", err
	}
	switch {
	case a.Scheme == "asterisk" && d.asterisk != nil:
		return d.asterisk.Phone(a.User), a.String(), nil
	case a.Scheme == "freeswitch" && d.freeswitch != nil:
		return d.freeswitch.Phone(a.User, a.Host), a.String(), nil
	case a.Scheme != "sip":
		return nil, "", errNoPBX
	}
	phone, err := sip.NewPhone(d.sip, sip.PhoneConfig{
		Address: a, Username: p.Username, Password: p.Password.Reveal(), Timeout: timeout,
		TLS: snom.TLSConfig{CA: p.CA, PinSHA256: p.CertSHA256, Insecure: p.Insecure, Legacy: p.LegacyTLS},
	})
	if err != nil {
		return nil, "", err
	}
	return phone, a.String(), nil
}

// open opens what a phone of the roster needs, so that a port that is taken is known at once.
func (d *drivers) open(r config.Roster) error {
	for _, p := range r.Phones {
		if a, err := notify.ParseAddress(p.URL); err == nil && a.Scheme == "sip" {
			return d.sip.Open()
		}
	}
	return nil
}

// close closes what was opened.
func (d *drivers) close() {
	if d == nil {
		return
	}
	_ = d.sip.Close() // what it was doing is meant to end
	if d.asterisk != nil {
		_ = d.asterisk.Close() // likewise
	}
	if d.freeswitch != nil {
		_ = d.freeswitch.Close() // likewise
	}
}
