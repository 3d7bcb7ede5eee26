package bridge

import (
	"slices"
	"strings"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// A Listing is what others need to know of a phone to offer it to people.
type Listing struct {
	Name     string      `json:"name"`
	Model    Text        `json:"model"`
	Driven   string      `json:"driven"`             // the scheme of its URL: http, https, sip, …
	Commands []snom.Verb `json:"commands,omitempty"` // that it takes, as far as is known
	Keys     []string    `json:"keys,omitempty"`     // that its model has, as far as is known
	// SetUp are the keys that have a meaning, and Lights those that are on.
	SetUp   []KeyListing      `json:"keys_set_up,omitempty"`
	Lights  map[string]string `json:"lights,omitempty"`
	Problem Text              `json:"problem"`
}

// listedMost is how many phones are listed: more do not fit a message.
const listedMost = 2000

// Directory returns the retained list of the phones that this bridge serves, as it is published. Where it does not fit a
// message, keys are left out, then commands; where that is too much, too, it is null: the phones' own topics name them.
func (b *Bridge) Directory() mqtt.Message {
	m := mqtt.Message{Topic: b.cfg.Tree.Phones(), Payload: []byte("null"), Retained: true}
	if len(b.roster.Load().names) > listedMost {
		return m
	}
	all := []Listing{} // and not null
	for v := range b.Views() {
		driven, _, _ := strings.Cut(v.Config.URL, ":")
		all = append(all, Listing{
			Name: v.Phone, Model: v.Model, Driven: driven, Commands: b.commands(v), Keys: keysOf(v), SetUp: keyListings(v.Config.Keys), Problem: v.Problem,
		})
		if v.Panel != nil {
			all[len(all)-1].Lights = v.Panel.Lights
		}
	}
	for _, less := range []func(*Listing){func(*Listing) {}, func(l *Listing) { l.Keys = nil }, func(l *Listing) { l.Commands = nil }} {
		for i := range all {
			less(&all[i])
		}
		if payload := encode(all); len(payload) <= mqtt.MaxPublish {
			m.Payload = payload
			return m
		}
	}
	return m
}

// commands are those that a phone takes: that its model and its transport can carry out, and the settings allow.
func (b *Bridge) commands(v View) (all []snom.Verb) {
	if v.RemoteControl == snom.No {
		return nil
	}
	for _, verb := range snom.Verbs() {
		example, err := snom.ParseCommand(verb.Help().Example)
		if err != nil || verb.Gated() && !v.Config.Allow[verb] {
			continue
		}
		if slices.Collect(example.FreeSettings()) != nil && b.cfg.Rules.SettingsAllow == nil {
			continue
		}
		if _, _, err := v.Config.Phone.Plan(example, v.Is); err == nil {
			all = append(all, verb)
		}
	}
	return all
}

// keysOf are the keys of a phone that can be pressed from afar.
func keysOf(v View) []string {
	if v.RemoteControl == snom.No || v.Is.RemoteControl() == snom.No && strings.HasPrefix(v.Config.URL, "http") {
		return nil
	}
	return v.Is.Keys()
}
