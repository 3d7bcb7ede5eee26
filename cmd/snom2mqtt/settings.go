package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/config"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// load reads the settings. Its error is one of usage, and tells every fault.
func (p *program) load() (config.Config, bridge.Roster, error) {
	c, err := config.Load(p.environ, checks())
	if err != nil {
		if !p.configured() {
			err = fmt.Errorf("%w\n\nThere are no settings yet. snom2mqtt --help shows the first ones; snom2mqtt demo needs none", err)
		}
		return c, bridge.Roster{}, usageError{err}
	}
	r, err := roster(c, c.Roster)
	if err != nil {
		return c, r, usageError{fmt.Errorf("configuration:\n%w", err)}
	}
	return c, r, nil
}

// configured reports whether the environment has any setting at all.
func (p *program) configured() bool {
	return slices.ContainsFunc(p.environ, func(e string) bool { return strings.HasPrefix(e, "SNOM2MQTT_") })
}

// checks are the rules of other packages that settings must pass.
func checks() config.Checks {
	return config.Checks{
		Command: func(s string) error {
			if !snom.Verb(s).Valid() {
				return errors.New("want the name of a command, such as dtmf")
			}
			return nil
		},
		Model: func(s string) error {
			if _, ok := snom.FindModel(s); !ok {
				return errors.New("want a model of Snom such as D735, 320 or D862; leave it out where the model is not listed in docs/keys.md")
			}
			return nil
		},
		BaseTopic: func(s string) error {
			if _, err := mqtt.NewTree(s, ""); err != nil {
				// Without the setting's value: no fault shows one.
				return errors.New(strings.TrimPrefix(inWords(err), fmt.Sprintf("base topic %q: ", s)))
			}
			return nil
		},
		Name: mqtt.ValidName,
	}
}

// roster makes the bridge's phones from the settings.
func roster(c config.Config, r config.Roster) (bridge.Roster, error) {
	out := bridge.Roster{Groups: r.Groups}
	var errs []error
	for _, p := range r.Phones {
		phone, err := phoneOf(p, c.RequestTimeout, c.CommandGap)
		if err != nil {
			errs = append(errs, fmt.Errorf("phone %s: %s", p.Name, inWords(err)))
			continue
		}
		out.Phones = append(out.Phones, phone)
	}
	return out, errors.Join(errs...)
}

// phoneOf makes one phone of the bridge.
func phoneOf(p config.Phone, timeout, gap time.Duration) (bridge.PhoneConfig, error) {
	client, err := snom.NewClient(snom.ClientConfig{
		URL: p.URL, Username: p.Username, Password: p.Password.Reveal(), Timeout: timeout, Gap: gap,
		TLS: snom.TLSConfig{CA: p.CA, PinSHA256: p.CertSHA256, Insecure: p.Insecure, Legacy: p.LegacyTLS},
	})
	if err != nil {
		return bridge.PhoneConfig{}, err
	}
	model, _ := snom.FindModel(p.Model)
	return bridge.PhoneConfig{
		Name: p.Name, URL: client.URL(), Phone: client, Model: model, Dialect: snom.Dialect(p.Dialect),
		HTTPS: strings.HasPrefix(strings.ToLower(p.URL), "https:"),
		Allow: verbs(p.Allow), Mask: verbs(p.Mask),
		Fingerprint: digest(p, p.Password.Reveal(), p.Token.Reveal()),
		Login:       digest(p.Username, p.Password.Reveal()),
	}, nil
}

func verbs(names []string) map[snom.Verb]bool {
	if len(names) == 0 {
		return nil // as of most phones
	}
	set := make(map[snom.Verb]bool, len(names))
	for _, n := range names {
		set[snom.Verb(n)] = true
	}
	return set
}

// digest tells settings apart without keeping their secrets in clear.
func digest(parts ...any) string {
	b, err := json.Marshal(parts)
	if err != nil {
		panic(err) // texts and structs of texts: there is nothing to fail
	}
	sum := sha256.Sum256(b)
	return string(sum[:])
}

// rules are the bridge's rules from the settings.
func rules(c config.Config) bridge.Rules {
	return bridge.Rules{
		TTL: c.CommandTTL, DialAllow: c.DialAllow, DialDeny: c.DialDeny, FirmwareHosts: slices.Clone(c.FirmwareHosts),
	}
}
