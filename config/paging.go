package config

import (
	"cmp"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/snom2mqtt/snom2mqtt/snom/multicast"
)

// Paging says how announcements are spoken and sent.
type Paging struct {
	HomeAssistantURL   string // whose text-to-speech is used; empty: none
	HomeAssistantToken Secret
	TTSURL             string // host:port of a Wyoming server; empty: none
	Interface          string // name or address of the network interface; empty: that of the default route
	TTL                int    // the time to live of packets, 1 to 255
}

// Listening is the multicast address of one phone or group, and how the phones play what comes there.
type Listening struct {
	Name      string // of a phone or group
	Address   string // 239.255.10.1:5004
	Interrupt int    // as that of [multicast.Address]
	Priority  int    // likewise
	Speaker   bool   // by the loudspeaker, whatever is in use
	VolMax    bool   // at full volume
}

// The Supervisor's address of Home Assistant, for apps (add-ons), which the Supervisor gives a token.
const (
	supervisorURL   = "http://supervisor/core"
	supervisorToken = "SUPERVISOR_TOKEN"
)

// paging checks how announcements are spoken and sent.
func (c *checker) paging(v variables, environ []string) Paging {
	p := Paging{HomeAssistantToken: c.secret(v.HomeAssistantToken, v.HomeAssistantTokenFile), TTL: c.whole(v.PagingTTL), Interface: c.line(v.PagingInterface, 64)}
	ports := phonePorts()
	if v.HomeAssistantURL.text != "" {
		if a, ok := c.address(v.HomeAssistantURL, ports, "http://host:port or https://host:port of Home Assistant"); ok {
			p.HomeAssistantURL = a.short(ports[a.scheme])
		}
	}
	hasToken := v.HomeAssistantToken.text != "" || v.HomeAssistantTokenFile.text != ""
	switch {
	case v.HomeAssistantURL.text != "" && !hasToken:
		c.fault(v.HomeAssistantToken, "not set, but HOMEASSISTANT_URL is: expected a long-lived access token of Home Assistant")
	case v.HomeAssistantURL.text == "" && hasToken:
		c.fault(v.HomeAssistantURL, "not set, but HOMEASSISTANT_TOKEN is: expected the address of Home Assistant, such as http://192.0.2.5:8123")
	case v.HomeAssistantURL.text == "":
		for _, e := range environ {
			if token, ok := strings.CutPrefix(e, supervisorToken+"="); ok && token != "" {
				p.HomeAssistantURL, p.HomeAssistantToken = supervisorURL, NewSecret(token)
			}
		}
	}
	if v.TTSURL.text != "" {
		wyoming := map[string]string{"tcp": "10200"}
		if a, ok := c.address(v.TTSURL, wyoming, "tcp://host:port of a Wyoming server, such as tcp://piper:10200"); ok && a.path != "" {
			c.fault(v.TTSURL, "expected tcp://host:port without a path")
		} else if ok {
			p.TTSURL = net.JoinHostPort(a.host, a.port)
		}
	}
	return p
}

// paging checks the section of the multicast addresses. They belong to phones and groups, also to the group of all.
func (f phonesFile) paging(section *node, taken registry, groups map[string][]string) []Listening {
	if section.kind == nothing {
		return nil
	}
	if section.kind != mapping {
		f.wrong(section, "paging: expected the name of a phone or group, and below it address: 239.255.10.1:5004")
		return nil
	}
	known := slices.Concat(slices.Collect(maps.Keys(taken.names)), slices.Collect(maps.Keys(groups)), []string{"all"})
	written, addresses := map[string]bool{}, map[string]string{}
	var all []Listening
	for name, options := range section.pairs() {
		called := nameField(f.path, name)
		f.look(called)
		_, isGroup := groups[name.text]
		_, isPhone := taken.names[name.text]
		switch {
		case written[name.text]:
			f.fault(called, "written twice")
			continue
		case !isGroup && !isPhone && name.text != "all":
			what := "no phone and no group has this name"
			if near := nearest(name.text, known); near != "" && len(known) <= 1000 {
				what += "; did you mean " + near + "?"
			}
			f.fault(called, "%s", what)
			continue
		case options.kind != mapping:
			f.wrong(options, "%s: expected its address, such as address: 239.255.10.1:5004", shown(name.text))
			continue
		}
		written[name.text] = true
		l, ok := f.listening(name, options)
		if first := addresses[l.Address]; ok && first != "" {
			f.wrong(options, "%s: the address is that of %s: expected one of its own, or another port", shown(name.text), first)
			continue
		}
		addresses[l.Address] = name.text
		all = append(all, l)
	}
	f.tooMany(section, all, groups)
	slices.SortFunc(all, func(a, b Listening) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// listening checks one address and its options.
func (f phonesFile) listening(name, options *node) (l Listening, ok bool) {
	l = Listening{Name: name.text, Priority: multicast.DefaultPriority}
	f.members(options, []string{"address", "interrupt", "priority", "speaker", "volmax"}, func(i int, value *node) {
		if value.kind != scalar {
			f.wrong(value, "%s: expected one value", shown(name.text))
			return
		}
		number := func(to *int, most int) {
			n, err := strconv.Atoi(value.text)
			if err != nil || n < 0 || n > most {
				f.wrong(value, "%s: expected a whole number from 0 to %d", shown(name.text), most)
			}
			*to = n
		}
		flag := func(to *bool) {
			if *to = value.text == "true"; !*to && value.text != "false" {
				f.wrong(value, "%s: expected true or false", shown(name.text))
			}
		}
		switch i {
		case 0:
			a, err := netip.ParseAddrPort(value.text)
			if ok = err == nil && a.Addr().Is4() && a.Addr().IsMulticast() && a.Port() != 0; !ok {
				f.wrong(value, "%s: expected an IPv4 multicast address and a port, such as 239.255.10.1:5004", shown(name.text))
			}
			l.Address = a.String()
		case 1:
			number(&l.Interrupt, multicast.MaxInterrupt)
		case 2:
			number(&l.Priority, multicast.MaxPriority)
		case 3:
			flag(&l.Speaker)
		case 4:
			flag(&l.VolMax)
		}
	})
	if l.Address == "" {
		f.wrong(options, "%s: address: not set: expected an IPv4 multicast address and a port, such as 239.255.10.1:5004", shown(name.text))
	}
	return l, ok
}

// tooMany adds a fault for the first phone that more addresses reach than a phone listens to.
func (f phonesFile) tooMany(section *node, all []Listening, groups map[string][]string) {
	if len(all) <= multicast.Slots {
		return
	}
	r := Roster{Groups: groups, Paging: all}
	members := map[string]bool{}
	for _, l := range all {
		members[l.Name] = groups[l.Name] == nil && l.Name != "all"
		for _, m := range groups[l.Name] {
			members[m] = true
		}
	}
	for _, phone := range slices.Sorted(maps.Keys(members)) {
		if n := len(r.ListensTo(phone)); members[phone] && n > multicast.Slots {
			f.wrong(section, "paging: %d addresses reach the phone %s: it listens to %d at most", n, shown(phone), multicast.Slots)
			return
		}
	}
}

// ListensTo returns the addresses that a phone listens to: its own, and those of its groups. The more important ones come first.
func (r Roster) ListensTo(phone string) []Listening {
	var own []Listening
	for _, l := range r.Paging {
		if l.Name == phone || l.Name == "all" || slices.Contains(r.Groups[l.Name], phone) {
			own = append(own, l)
		}
	}
	slices.SortStableFunc(own, func(a, b Listening) int { return cmp.Compare(b.Priority, a.Priority) })
	return own
}
