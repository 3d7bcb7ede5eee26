package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/config"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
	"github.com/snom2mqtt/snom2mqtt/snom/multicast"
)

// load reads the settings. Its error is a usageError with every fault.
func (p *program) load(ctx context.Context) (config.Config, bridge.Roster, error) {
	c, err := config.Load(ctx, p.environ)
	if err != nil {
		if !p.configured() {
			err = fmt.Errorf("%w\n\nThere are no settings yet. snom2mqtt --help shows the first ones; snom2mqtt demo needs none", err)
		}
		return c, bridge.Roster{}, usageError{err}
	}
	if p.drivers, err = newDrivers(c); err != nil {
		return c, bridge.Roster{}, usageError{err}
	}
	r, err := roster(c, c.Roster, digestMemory{}, p.drivers)
	if err != nil {
		return c, r, usageError{err}
	}
	return c, r, nil
}

// logStart logs what the program is and what it was set to do.
func logStart(log *slog.Logger, c config.Config) {
	v, _ := versionOf()
	broker := c.MQTT.URL
	if c.BrokerListen != "" {
		broker = "embedded"
	}
	log.Info("starting", slog.String("version", v), slog.Int("phones", len(c.Roster.Phones)), slog.String("broker", broker))
	logWarnings(log, c.Warnings)
}

// logWarnings logs what is accepted in the settings and probably not meant. No warning shows a value.
func logWarnings(log *slog.Logger, warnings []config.Fault) {
	for _, w := range warnings {
		log.Warn("setting probably not as meant", slog.String("setting", w.Where), slog.String("err", w.What))
	}
}

// configured reports whether the environment has any setting at all.
func (p *program) configured() bool {
	return slices.ContainsFunc(p.environ, func(e string) bool { return strings.HasPrefix(e, "SNOM2MQTT_") })
}

// roster makes the bridge's phones from the settings. digests is what was known of their logins. Its error is a *config.Error.
func roster(c config.Config, r config.Roster, digests digestMemory, d *drivers) (bridge.Roster, error) {
	out := bridge.Roster{Groups: r.Groups}
	for _, l := range r.Paging {
		if out.Paging == nil {
			out.Paging = make(map[string]multicast.Address, len(r.Paging))
		}
		out.Paging[l.Name] = multicast.Address{Address: l.Address, Interrupt: l.Interrupt, Priority: l.Priority, Speaker: l.Speaker, VolMax: l.VolMax}
	}
	var faults []config.Fault
	for _, p := range r.Phones {
		phone, err := phoneOf(p, c.RequestTimeout, c.CommandGap, digests, d)
		if err != nil {
			faults = append(faults, config.Fault{Where: "phone " + p.Name, What: inWords(err)})
			continue
		}
		if why := bridge.CheckKeys(phone.Keys, c.PhoneListen != ""); why != "" {
			faults = append(faults, config.Fault{Where: "phone " + p.Name, What: why})
		}
		out.Phones = append(out.Phones, phone)
	}
	for _, m := range r.Macros {
		macro := bridge.Macro{Name: m.Name, Phone: m.Phone, Steps: macroSteps(m.Steps), Otherwise: macroSteps(m.Otherwise)}
		if why := bridge.CheckMacro(macro, out, rules(c), c.PhoneListen != ""); why != "" {
			faults = append(faults, config.Fault{Where: m.Where, What: why})
		}
		out.Macros = append(out.Macros, macro)
	}
	for _, d := range r.Doors {
		door, err := doorOf(d)
		if err == nil {
			if why := bridge.CheckDoor(door, out, rules(c), c.PhoneListen != ""); why != "" {
				err = errors.New(why)
			}
		}
		if err != nil {
			faults = append(faults, config.Fault{Where: d.Where, What: err.Error()})
		}
		out.Doors = append(out.Doors, door)
	}
	if len(faults) > 0 {
		return out, &config.Error{Faults: faults}
	}
	return out, nil
}

// macroSteps returns the steps of a macro as the bridge takes them.
func macroSteps(steps []config.MacroStep) (all []bridge.MacroStep) {
	for _, s := range steps {
		all = append(all, bridge.MacroStep(s))
	}
	return all
}

// clientConfig returns how to talk to a phone of the settings.
func clientConfig(p config.Phone, timeout, gap time.Duration) snom.ClientConfig {
	return snom.ClientConfig{
		Dialect: p.Dialect, URL: p.URL, Username: p.Username, Password: p.Password.Reveal(), Timeout: timeout, Gap: gap, Auth: p.Auth,
		TLS: snom.TLSConfig{CA: p.CA, PinSHA256: p.CertSHA256, Insecure: p.Insecure, Legacy: p.LegacyTLS},
	}
}

// phoneOf makes one phone of the bridge.
func phoneOf(p config.Phone, timeout, gap time.Duration, digests digestMemory, d *drivers) (bridge.PhoneConfig, error) {
	phone, url, err := d.phone(p, timeout)
	if phone == nil && err == nil {
		phone, url, err = httpPhone(p, timeout, gap, digests)
	}
	if err != nil {
		return bridge.PhoneConfig{}, err
	}
	return bridge.PhoneConfig{
		Name: p.Name, URL: url, Phone: phone, Model: p.Model, Screen: p.Screen, LED: p.LED, Keys: phoneKeys(p), Home: homeOf(p),
		NoLogin: p.Username == "",
		HTTPS:   strings.HasPrefix(strings.ToLower(p.URL), "https:"),
		Allow:   verbs(p.Allow), Mask: verbs(p.Mask),
		Fingerprint: fingerprint(p),
		Login:       digest(p.Username, p.Password.Reveal(), string(p.Auth)),
	}, nil
}

// phoneKeys returns the keys of a phone as the bridge has them.
func phoneKeys(p config.Phone) *actionurl.Keys {
	var list []actionurl.Key
	for _, k := range p.Keys.All() {
		list = append(list, actionurl.Key{
			Key: "P" + strconv.Itoa(k.Number), Name: k.Name, Label: k.Label, Short: k.Short, Open: k.Open, Run: k.Run,
		})
	}
	return actionurl.NewKeys(list)
}

// homeOf is what is shown of a phone elsewhere; nil: nothing is set.
func homeOf(p config.Phone) *bridge.Home {
	if p.Area == "" && p.Firmware == (config.Firmware{}) {
		return nil
	}
	return &bridge.Home{Area: p.Area, Firmware: p.Firmware.Version, FirmwareURL: p.Firmware.URL}
}

// httpPhone makes a phone that is driven over HTTP, and returns its URL.
func httpPhone(p config.Phone, timeout, gap time.Duration, digests digestMemory) (bridge.Phone, string, error) {
	cfg := clientConfig(p, timeout, gap)
	digests.of(&cfg, p.Name, p.URL)
	client, err := snom.NewClient(cfg)
	if err != nil {
		return nil, "", err
	}
	return client, client.URL(), nil
}

func verbs(list []snom.Verb) map[snom.Verb]bool {
	if len(list) == 0 {
		return nil // as of most phones
	}
	set := make(map[snom.Verb]bool, len(list))
	for _, v := range list {
		set[v] = true
	}
	return set
}

// fingerprint tells the settings of phones apart. What most phones have is not encoded as JSON, which took an eighth of the
// start with ten thousand phones.
func fingerprint(p config.Phone) string {
	rest := p
	rest.Name, rest.URL, rest.Username, rest.Auth = "", "", "", ""
	rest.Password, rest.Token = config.Secret{}, config.Secret{}
	var others []byte
	if !reflect.ValueOf(rest).IsZero() {
		var err error
		if others, err = json.Marshal(rest); err != nil {
			panic(err) // texts, numbers and structs of these: there is nothing to fail
		}
	}
	return digest(p.Name, p.URL, p.Username, string(p.Auth), p.Password.Reveal(), p.Token.Reveal(), p.Model.Name(), string(others))
}

// digest tells texts apart without keeping secrets in clear.
func digest(texts ...string) string {
	var memory [512]byte // most fit
	b := memory[:0]
	for _, text := range texts {
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	sum := sha256.Sum256(b)
	return string(sum[:16]) // as good against chance; there may be ten thousand phones
}

// rules are the bridge's rules from the settings.
func rules(c config.Config) bridge.Rules {
	return bridge.Rules{
		TTL: c.CommandTTL, DialAllow: c.DialAllow, DialDeny: c.DialDeny, SettingsAllow: c.SettingsAllow, FirmwareHosts: slices.Clone(c.FirmwareHosts),
	}
}
