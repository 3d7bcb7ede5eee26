package homeassistant

import (
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// TestAnnounce: each phone and group with a multicast address has an entity that announces; others have none. It exists and is
// available also where the phone cannot be controlled.
func TestAnnounce(t *testing.T) {
	t.Parallel()
	b := testBridge()
	b.Groups = func() []string { return []string{"all", "first_floor"} }
	p := kitchen()
	p.Announce = true
	mute := Phone{Name: "hall", Model: "D865", Announce: true}
	var all []mqtt.Message
	for _, document := range []Document{b.Document(), b.Phone(p), b.Phone(mute)} {
		all = append(all, b.Message(document.Device.Identifiers[0], document))
	}
	if err := b.Check(all); err != nil {
		t.Error(err)
	}
	bridge := b.Document().Components
	for _, tt := range []struct {
		c           Component
		topic, name string
	}{
		{b.Phone(p).Components["announce"], "snom/kitchen/announce", "Announce"},
		{b.Phone(mute).Components["announce"], "snom/hall/announce", "Announce"},
		{bridge["announce_all"], "snom/all/announce", "Announce to all"},
		{bridge["announce_first_5ffloor"], "snom/first_floor/announce", "Announce to first floor"},
	} {
		if tt.c.Platform != "notify" || tt.c.CommandTopic != tt.topic || tt.c.Name != tt.name || tt.c.Enabled != nil ||
			len(tt.c.Availability) != 1 || tt.c.Availability[0].Topic != "snom/bridge/state" {
			t.Errorf("%+v, expected %s with the topic %s", tt.c, tt.name, tt.topic)
		}
	}
	for key := range testBridge().Document().Components {
		if strings.HasPrefix(key, "announce") {
			t.Errorf("%s, and no group has an address", key)
		}
	}
	if _, has := b.Phone(kitchen()).Components["announce"]; has {
		t.Error("a phone without an address announces")
	}
	b.Language = German
	if c := b.Document().Components["announce_all"]; c.Name != "Durchsage an alle" || c.CommandTopic != "snom/all/announce" {
		t.Errorf("in German: %+v", c)
	}
	without := testBridge()
	if err := without.Check(all[:1]); err == nil || !strings.Contains(err.Error(), "snom/all/announce") {
		t.Errorf("the document of groups that there are not: %v", err)
	}
}
