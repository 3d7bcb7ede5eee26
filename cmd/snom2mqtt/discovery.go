package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/config"
	"github.com/snom2mqtt/snom2mqtt/homeassistant"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/notify"
	"github.com/snom2mqtt/snom2mqtt/statefile"
)

func (p *program) discoveryCommand() *cobra.Command {
	ask := false
	c := &cobra.Command{
		Use:   "discovery",
		Short: "Print what is sent to Home Assistant, and check it",
		Long: `Print the discovery documents that the bridge publishes for Home Assistant, by
topic, as one JSON object, and check them: an unknown key, a value of the wrong
form or a topic the bridge does not serve is an error.

No broker is needed. Without --probe no connection is made: what only a phone
reports, such as its MAC address, is missing then, and identifiers are derived from
the phones' names.

Exit codes: 0 the documents are valid, 1 they are not, 2 wrong settings.`,
		Example: `  SNOM2MQTT_PHONES_FILE=phones.yml snom2mqtt discovery
  SNOM2MQTT_PHONES_FILE=phones.yml snom2mqtt discovery --probe`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return p.discovery(c.Context(), ask) },
	}
	c.Flags().BoolVar(&ask, "probe", false, "ask each phone what it is first, without logging in")
	return c
}

// discovery prints and checks the documents.
func (p *program) discovery(ctx context.Context, ask bool) error {
	settings, phones, err := p.load(ctx)
	if err != nil {
		return err
	}
	defer p.drivers.close()
	tree, err := mqtt.NewTree(settings.BaseTopic, settings.Instance)
	if err != nil {
		return usageError{err}
	}
	infos := make(map[string]snom.Info, len(phones.Phones))
	for _, phone := range phones.Phones {
		if !ask {
			break
		}
		prober, ok := phone.Phone.(bridge.Prober)
		if !ok {
			continue
		}
		info, err := prober.Probe(ctx)
		if err != nil {
			fmt.Fprintf(p.stderr, "%s: %s\n", phone.Name, inWords(err))
		}
		infos[phone.Name] = info
	}
	home := homeBridge(settings, tree)
	home.Doors = func() (all []homeassistant.Door) {
		for _, d := range phones.Doors {
			all = append(all, homeassistant.Door{Name: d.Name, Camera: d.Camera != nil})
		}
		return all
	}
	home.Groups = func() []string { return bridge.PagedGroups(phones.Paging, phones.Groups) }
	documents := []mqtt.Message{home.Message(home.ID(), home.Document())}
	for _, phone := range phones.Phones {
		info := infos[phone.Name]
		one := homePhone(settings, phone, bridge.Status{
			Model: bridge.Text(info.Model), Firmware: bridge.Text(info.Firmware), MAC: bridge.Text(info.MAC),
			RemoteControl: remoteControl(phone, info, ask),
		})
		one.Announce = phones.Paging[phone.Name].Address != ""
		documents = append(documents, home.Message(home.NewID(one), home.Phone(one)))
	}
	if err := p.printDocuments(documents); err != nil {
		return err
	}
	if err := home.Check(documents); err != nil {
		fmt.Fprintln(p.stderr, err)
		return errors.New("the documents are not as Home Assistant expects them")
	}
	fmt.Fprintf(p.stderr, "%s, as Home Assistant expects them\n", count(len(documents), "document"))
	return nil
}

// printDocuments prints an object of documents by topic, in their order.
func (p *program) printDocuments(documents []mqtt.Message) error {
	var out, pretty bytes.Buffer
	for i, m := range documents {
		topic, err := json.Marshal(m.Topic)
		if err != nil {
			return err
		}
		if i == 0 {
			out.WriteByte('{')
		} else {
			out.WriteByte(',')
		}
		out.Write(topic)
		out.WriteByte(':')
		out.Write(m.Payload)
	}
	out.WriteByte('}')
	if err := json.Indent(&pretty, out.Bytes(), "", "  "); err != nil {
		return err
	}
	_, err := fmt.Fprintln(p.stdout, pretty.String())
	return err
}

// homeBridge describes the bridge for Home Assistant.
func homeBridge(c config.Config, tree mqtt.Tree) homeassistant.Bridge {
	v, _ := versionOf()
	return homeassistant.Bridge{Tree: tree, Prefix: c.HomeAssistantPrefix, Version: v, Language: c.HomeAssistantLanguage}
}

// homePhone describes a phone for Home Assistant, from the settings and from what the phone has reported.
func homePhone(c config.Config, p bridge.PhoneConfig, s bridge.Status) homeassistant.Phone {
	one := homeassistant.Phone{
		Name: p.Name, MAC: string(s.MAC), Model: string(s.Model), Firmware: string(s.Firmware),
		Mask: words(p.Mask), Events: c.PhoneListen != "", Keys: p.Keys, Sensors: c.SyslogListen != "", Seen: s.Reachable == bridge.SwitchOn,
		NoControl: s.RemoteControl == snom.No, Asked: s.RemoteControl != "", ByNotify: notify.IsAddress(p.URL),
	}
	if one.Model == "" {
		one.Model = p.Model.Name()
	}
	if client, ok := p.Phone.(*snom.Client); ok {
		one.URL = client.URL()
	}
	allow := words(p.Allow)
	if !p.HTTPS || len(c.FirmwareHosts) == 0 { // the bridge would refuse every URL
		allow = strings.TrimSpace(strings.ReplaceAll(allow, string(snom.VerbFirmware), ""))
	}
	one.Allow = allow
	one.Settings = homeSettings(c, p, one.Model).Handle()
	return one
}

// homeSettings is what few settings say of a phone for Home Assistant.
func homeSettings(c config.Config, p bridge.PhoneConfig, model string) homeassistant.Settings {
	s := homeassistant.Settings{Latest: c.Firmware.Version}
	template := c.Firmware.URL
	if p.Home != nil {
		s.Area = p.Home.Area
		if p.Home.Firmware != "" {
			s.Latest, template = p.Home.Firmware, p.Home.FirmwareURL
		}
	}
	if s.Latest == "" || !p.Allow[snom.VerbFirmware] || !p.HTTPS {
		return s
	}
	m, _ := snom.FindModel(model)
	file := snom.FirmwareURL(template, s.Latest, m)
	if u, err := url.Parse(file); err == nil && file != "" && (slices.Contains(c.FirmwareHosts, u.Hostname()) || slices.Contains(c.FirmwareHosts, u.Host)) {
		s.Install = file
	}
	return s
}

// words are the members of a set, sorted.
func words(set map[snom.Verb]bool) string {
	var all []string
	for v, in := range set {
		if in {
			all = append(all, string(v))
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// newDiscovery makes the publisher of the documents; nil where Home Assistant is switched off.
func (s *service) newDiscovery(tree mqtt.Tree) *homeassistant.Publisher {
	if !s.settings.HomeAssistant {
		return nil
	}
	home := homeBridge(s.settings, tree)
	home.Doors = func() (all []homeassistant.Door) {
		for _, d := range s.bridge.Doors() {
			all = append(all, homeassistant.Door{Name: d.Door, Camera: d.Camera})
		}
		return all
	}
	home.Groups = s.bridge.AnnounceGroups
	cfg := homeassistant.PublisherConfig{
		Bridge: home, Publish: s.session, Log: s.log, Phones: s.homePhones, Renew: s.bridge.Republish,
	}
	if s.state.Lasting() {
		cfg.Memory = identities{s.state}
	}
	return homeassistant.NewPublisher(cfg)
}

// identities keeps in the state directory which phone has which identifier of Home Assistant.
type identities struct{ store *statefile.Store }

func (i identities) Identities() (all []homeassistant.Identity) {
	for name, r := range i.store.All() {
		all = append(all, homeassistant.Identity{Name: name, ID: r.ID, MAC: r.MAC, Model: r.Model, Firmware: r.Firmware, URL: r.URL})
	}
	return all
}

func (i identities) Remember(id homeassistant.Identity) {
	i.store.Update(id.Name, func(r *statefile.Record) {
		r.ID, r.MAC, r.Model, r.Firmware, r.URL = id.ID, id.MAC, id.Model, id.Firmware, id.URL
	})
}

// Forget forgets a phone, but for what keeps its password from being sent as Basic when it comes back under another name.
func (i identities) Forget(name string) {
	i.store.Update(name, func(r *statefile.Record) {
		is := statefile.Record{}
		if r.Auth != "" {
			is = statefile.Record{URL: r.URL, Auth: r.Auth, Address: r.Address}
		}
		*r = is
	})
}

// remoteControl is whether a phone that was probed can be controlled, as [bridge.Status] says it.
func remoteControl(phone bridge.PhoneConfig, info snom.Info, probed bool) snom.Support {
	if probed && info.Model == "" && info.IdentifiedBy == "" && info.RemoteControl != "" && phone.Model == (snom.Model{}) {
		return snom.No
	}
	return info.RemoteControl
}

// homePhones is what is known of every phone now.
func (s *service) homePhones() []homeassistant.Phone {
	all := make([]homeassistant.Phone, 0, s.bridge.Len())
	for v := range s.bridge.Views() {
		one := homePhone(s.settings, v.Config, v.Status)
		one.Announce = s.bridge.AnnounceAddress(v.Config.Name) != ""
		all = append(all, one)
	}
	return all
}
