package config

import (
	"net"

	"github.com/snom2mqtt/snom2mqtt/snom/notify"
)

// pbx checks how to reach a PBX.
func (c *checker) pbx(at, username field, password Secret, usual string) PBX {
	p := PBX{Username: c.line(username, 128), Password: password}
	if at.text == "" {
		return p
	}
	a, ok := c.address(at, map[string]string{"tcp": usual, "tls": usual}, "tcp://host[:port] or tls://host[:port]")
	if ok && a.path != "" {
		c.fault(at, "expected tcp://host[:port] or tls://host[:port], and nothing after it")
	}
	p.Address, p.TLS = net.JoinHostPort(a.host, a.port), a.scheme == "tls"
	return p
}

// pbxSet adds a fault where a phone of the roster is driven by a PBX whose address is not set.
func (c *checker) pbxSet(cfg *Config, phones []Phone) {
	for _, p := range phones {
		a, err := notify.ParseAddress(p.URL)
		for scheme, need := range map[string]struct{ name, address string }{
			"asterisk": {"ASTERISK_URL", cfg.Asterisk.Address}, "freeswitch": {"FREESWITCH_URL", cfg.FreeSWITCH.Address},
		} {
			if err == nil && a.Scheme == scheme && need.address == "" {
				c.fault(field{in: environment(prefix), key: need.name}, "not set, but the phone %s is driven by it", p.Name)
			}
		}
	}
}
