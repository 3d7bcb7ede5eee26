package bridge

import (
	"maps"
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
	var all []Listing
	kinds := map[listingKind]Listing{}
	for v := range b.Views() {
		kind := b.listingKind(v)
		l, known := kinds[kind]
		if !known {
			l = Listing{Driven: kind.driven, Commands: b.commands(v), Keys: keysOf(v)}
			kinds[kind] = l
		}
		if address := b.roster.Load().paging[v.Phone].Address; address != "" {
			l.Commands = append(slices.Clip(l.Commands), snom.VerbAnnounce)
		}
		l.Name, l.Model, l.SetUp, l.Problem = v.Phone, v.Model, keyListings(v.Config.Keys), v.Problem
		if v.Panel != nil {
			l.Lights = v.Panel.Lights
		}
		all = append(all, l)
	}
	for _, less := range []func(*Listing){func(*Listing) {}, func(l *Listing) { l.Keys = nil }, func(l *Listing) { l.Keys, l.Commands = nil, nil }} {
		if payload, fits := encodeListings(all, less); fits {
			m.Payload = payload
			return m
		}
	}
	return m
}

// A listingKind is what the commands and keys of a phone in the list follow from. Most phones have it in common with others.
type listingKind struct {
	is      snom.Model
	driven  string
	control snom.Support
	allow   string
}

func (b *Bridge) listingKind(v View) listingKind {
	driven, _, _ := strings.Cut(v.Config.URL, ":")
	var allow strings.Builder
	for _, verb := range slices.Sorted(maps.Keys(v.Config.Allow)) {
		if v.Config.Allow[verb] {
			allow.WriteString(string(verb) + " ")
		}
	}
	return listingKind{v.Is, driven, v.RemoteControl, allow.String()}
}

// encodeListings returns the list as JSON, each Listing with what less leaves of it, and whether that fits a message.
func encodeListings(all []Listing, less func(*Listing)) (payload []byte, fits bool) {
	payload = append(payload, '[')
	for i, l := range all {
		if i > 0 {
			payload = append(payload, ',')
		}
		less(&l)
		if payload = append(payload, encode(l)...); len(payload) >= mqtt.MaxPublish {
			return nil, false
		}
	}
	return append(payload, ']'), true
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
		if verb.Nests() { // it takes what the others are
			all = append(all, verb)
		} else if _, _, err := v.Config.Phone.Plan(example, v.Is); err == nil {
			all = append(all, verb)
		}
	}
	return all
}

// keysOf are the keys of a phone that can be pressed from afar.
func keysOf(v View) []string {
	press, err := snom.ParseCommand(snom.VerbKey.Help().Example)
	if err != nil || v.RemoteControl == snom.No {
		return nil
	}
	if _, _, err := v.Config.Phone.Plan(press, v.Is); err != nil { // its transport, or its model, presses none
		return nil
	}
	return v.Is.Keys()
}
