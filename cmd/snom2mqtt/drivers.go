package main

import (
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/config"
	"github.com/snom2mqtt/snom2mqtt/sip"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/notify"
)

// drivers are what phones without remote control over HTTP share. What no phone needs opens nothing.
type drivers struct {
	sip *sip.Endpoint
}

func newDrivers(c config.Config) *drivers {
	return &drivers{sip: sip.NewEndpoint(sip.EndpointConfig{Listen: c.SIPListen})}
}

// phone makes a phone whose URL is that of a phone driven by SIP, and returns its URL in canonical form; nil for others.
func (d *drivers) phone(p config.Phone, timeout time.Duration) (bridge.Phone, string, error) {
	if !notify.IsAddress(p.URL) {
		return nil, "", nil
	}
	a, err := notify.ParseAddress(p.URL)
	if err != nil {
		return nil, "", err
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
		if notify.IsAddress(p.URL) {
			return d.sip.Open()
		}
	}
	return nil
}

// close closes what was opened.
func (d *drivers) close() {
	if d != nil {
		_ = d.sip.Close() // what it was doing is meant to end
	}
}
