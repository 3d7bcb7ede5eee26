package config

import (
	"cmp"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/snom2mqtt/snom2mqtt/fetch"
)

// imageHosts returns the hosts that files may be fetched from: those of f, or those that other settings name.
func (c *checker) imageHosts(f field, named []string) []string {
	if f.text == "" {
		return named
	}
	f.text = strings.ToLower(f.text)
	return c.list(f, func(item field) bool {
		err := fetch.CheckEntry(item.text)
		if err != nil {
			c.fault(item, "%v", err)
		}
		return err == nil
	})
}

// namedHosts returns the hosts that the settings name, sorted: of URLs, and of addresses that are listened on.
func namedHosts(v variables, environ []string) []string {
	var hosts []string
	for _, f := range []field{v.MQTTURL, v.HomeAssistantURL, v.TTSURL, v.BrokerListen, v.PhoneListen, v.PhoneBaseURL} {
		if !isSet(environ, prefix+f.key) {
			continue
		}
		host, _, _ := net.SplitHostPort(f.text) // of a URL there is none
		if u, err := url.Parse(f.text); err == nil {
			host = cmp.Or(u.Hostname(), host)
		}
		if ip, err := netip.ParseAddr(host); host != "" && (err != nil || !ip.IsUnspecified()) {
			hosts = append(hosts, strings.ToLower(host))
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}
