package bridge

import (
	"context"
	"crypto/rand"
	"log/slog"
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// pressed does what the settings say of a key that was pressed: a door opens, a macro runs. Both are commands like those of a
// message, by the same rules, and answered with a result. The caller holds no lock.
func (p *phone) pressed(name string) {
	key, ok := p.profile.Load().Keys.Find(name)
	if !ok {
		return
	}
	r, now := p.b.roster.Load(), time.Now()
	switch {
	case p.b.standby.active():
	case key.Open != "":
		if d := r.doors[key.Open]; d != nil {
			p.b.limit.Log(slog.LevelInfo, "key of "+p.name, "key opens a door", slog.String("phone", p.name), slog.String("door", key.Open))
			d.take(openCommand, mqtt.Message{}, Origin{ID: keyID()}, now)
		}
	case key.Run != "":
		at := p
		if s := r.macros[key.Run]; s != nil && s.phone != "" {
			at = r.phones[s.phone]
		}
		if at == nil || p.b.claims.taken(at.name) {
			return
		}
		m := decode(string(snom.VerbRun), []byte(key.Run))
		m.findMacro(r)
		m.id = keyID()
		at.take(m, nil, at.profile.Load().secret(m), false, now)
	}
}

// keyID is the id of a command that a key has sent.
func keyID() string { return "key-" + rand.Text()[:10] }

// keySettings returns what the phone is given for its keys. urls are its other action URLs. A phone whose model is not known yet is
// asked, since labels depend on it: it may not have said it before a login.
func (p *phone) keySettings(ctx context.Context, urls []actionurl.URL) []actionurl.KeySetting {
	at := p.profile.Load()
	if len(at.Keys.All()) > 0 && at.model.IsZero() {
		_, _ = p.probe(ctx) // without an answer the model stays unknown
		at = p.profile.Load()
	}
	return actionurl.KeySettings(urls, at.Keys, at.model)
}

// installKeys writes keys into the phone, and adds the outcome to done. Where there is none, nothing is asked.
func (p *phone) installKeys(ctx context.Context, done actionurl.Installation, keys []actionurl.KeySetting, force bool) (actionurl.Installation, error) {
	if len(keys) == 0 {
		return done, nil
	}
	more, err := actionurl.InstallKeys(ctx, betweenCommands{p}, keys, force)
	return done.Join(more), err
}

// A KeyListing is a key of a phone that has a meaning, in the list of phones.
type KeyListing struct {
	Key   string `json:"key"`
	Name  string `json:"name,omitempty"`
	Label string `json:"label,omitempty"`
	Open  string `json:"open,omitempty"`
	Run   string `json:"run,omitempty"`
}

// keyListings are the keys of a phone that have a meaning.
func keyListings(keys *actionurl.Keys) (all []KeyListing) {
	for _, k := range keys.All() {
		all = append(all, KeyListing{k.Key, k.Name, k.Label, k.Open, k.Run})
	}
	return all
}

// CheckKeys says why the keys of a phone cannot do what they are for, or nothing.
func CheckKeys(keys *actionurl.Keys, events bool) string {
	if len(keys.All()) > 0 && !events {
		return "keys: a press of a key is reported to PHONE_LISTEN (SNOM2MQTT_PHONE_LISTEN): set it, and install the action URLs"
	}
	return ""
}
