// Package discover finds Snom phones in a network: those that announce themselves when they start, and those that answer at the
// addresses that are asked. It sends no login, changes nothing, and never answers an announcement.
package discover

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// A Phone is what is known of a phone that was found. What is not known is empty.
type Phone struct {
	Name          string       `json:"name"` // a proposal, of model and MAC address
	URL           string       `json:"url"`
	Address       netip.Addr   `json:"-"`
	Model         string       `json:"model"`
	Firmware      string       `json:"firmware"`
	MAC           string       `json:"mac"`
	Auth          snom.Scheme  `json:"auth"` // the login that it asks for
	RemoteControl snom.Support `json:"remote_control"`
	Certificate   string       `json:"certificate"` // its SHA-256, over https
	FoundBy       string       `json:"found_by"`    // "announcement", "http" or "https"
	Advice        []string     `json:"advice"`
}

// settle fills in what follows from the rest.
func (p *Phone) settle() {
	p.RemoteControl = snom.Unknown
	name := "phone"
	if model, known := snom.FindModel(p.Model); known {
		name = strings.ToLower(model.Name())
		if model.RemoteControl() == snom.No {
			p.RemoteControl = snom.No
		}
	}
	if name[0] >= '0' && name[0] <= '9' {
		name = "snom" + name
	}
	id := strings.NewReplacer(".", "-", ":", "-", "%", "-").Replace(p.Address.String())
	if len(p.MAC) == 12 {
		id = p.MAC[6:]
	}
	p.Name = strings.Trim(strings.ToLower(name+"-"+id), "-")
	if p.Advice == nil {
		p.Advice = []string{}
	}
}

const (
	// MaxAddresses is how many addresses one search may have: those of a /16; chosen by this project.
	MaxAddresses = 1 << 16
	// together is how many addresses are asked at the same time.
	together = 64
	// connecting and asking limit the time for one port: both are chosen by this project, for phones in a local network.
	connecting = time.Second
	asking     = 5 * time.Second
)

// Networks reads networks such as 192.0.2.0/24, and single addresses. Unless all is set, addresses that are not private are an error:
// a search in networks of others may be taken for an attack.
func Networks(texts []string, all bool) ([]netip.Prefix, error) {
	var list []netip.Prefix
	count := 0
	for _, text := range texts {
		network, err := netip.ParsePrefix(text)
		if address, aerr := netip.ParseAddr(text); err != nil && aerr == nil && address.Zone() == "" {
			network, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("%q: expected a network such as 192.168.1.0/24, or an address", text)
		}
		network = network.Masked()
		bits := network.Addr().BitLen() - network.Bits()
		if bits > 16 {
			return nil, fmt.Errorf("%s: expected at most %d addresses, a /%d", text, MaxAddresses, network.Addr().BitLen()-16)
		}
		if count += 1 << bits; count > MaxAddresses {
			return nil, fmt.Errorf("expected at most %d addresses in all", MaxAddresses)
		}
		if !all && !private(network) {
			return nil, fmt.Errorf("%s: not a private network; --any asks other networks too", text)
		}
		list = append(list, network)
	}
	return list, nil
}

// private reports whether all addresses of a network are private, loopback or link-local.
func private(network netip.Prefix) bool {
	for _, text := range []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "fc00::/7", "fe80::/10", "::1/128"} {
		if known := netip.MustParsePrefix(text); known.Bits() <= network.Bits() && known.Contains(network.Addr()) {
			return true
		}
	}
	return false
}

// Scan asks every address of networks whether it is a Snom phone, by one request or two on port 80, or else 443, and reports those
// that are. It returns early when ctx ends.
func Scan(ctx context.Context, networks []netip.Prefix, found func(Phone)) {
	var asked sync.WaitGroup
	addresses := make(chan netip.Addr)
	for range together {
		asked.Go(func() {
			for a := range addresses {
				if p, ok := ask(ctx, a); ok {
					found(p)
				}
			}
		})
	}
	defer asked.Wait()
	defer close(addresses)
	for _, network := range networks {
		for a := network.Addr(); network.Contains(a); a = a.Next() {
			if a.Is4() && network.Bits() < 31 && (a == network.Addr() || !network.Contains(a.Next())) {
				continue // the addresses of the network itself and of all its machines
			}
			select {
			case addresses <- a:
			case <-ctx.Done():
				return
			}
		}
	}
}

// ask asks one address.
func ask(ctx context.Context, address netip.Addr) (Phone, bool) {
	for _, scheme := range []string{"http", "https"} {
		if !open(ctx, address, map[string]uint16{"http": 80, "https": 443}[scheme]) {
			continue
		}
		p := Phone{URL: scheme + "://" + host(address), Address: address, FoundBy: scheme}
		// Nothing secret is sent, so the certificate is not checked.
		client, err := snom.NewClient(snom.ClientConfig{URL: p.URL, TLS: snom.TLSConfig{Insecure: true, Legacy: true}})
		if err != nil {
			continue
		}
		asking, cancel := context.WithTimeout(ctx, asking)
		info, err := client.Probe(asking)
		cancel()
		if info.IdentifiedBy == "" || errors.Is(err, context.Canceled) {
			continue
		}
		p.Model, p.Firmware, p.MAC, p.Auth, p.Certificate, p.Advice = info.Model, info.Firmware, info.MAC, info.Auth, info.Certificate, info.Advice
		p.settle()
		return p, true
	}
	return Phone{}, false
}

// open reports whether a port takes connections.
func open(ctx context.Context, address netip.Addr, port uint16) bool {
	d := net.Dialer{Timeout: connecting}
	c, err := d.DialContext(ctx, "tcp", netip.AddrPortFrom(address, port).String())
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// host returns an address as a URL has it.
func host(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}
