package homeassistant

import (
	"strings"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// groups returns the groups that have a multicast address.
func (b Bridge) groups() []string {
	if b.Groups == nil {
		return nil
	}
	return b.Groups()
}

// announceTopic is where an announcement to a phone or group is published.
func (b Bridge) announceTopic(name string) string {
	return b.Tree.Command(name, string(snom.VerbAnnounce))
}

// groupComponents adds an entity for each group that has a multicast address to those of the bridge, by key. A group is no
// device of its own: Home Assistant has groups itself.
func (b Bridge) groupComponents(all map[string]Component) {
	for _, group := range b.groups() {
		label := strings.Join(strings.FieldsFunc(group, func(r rune) bool { return r == '_' || r == '-' }), " ")
		name := "Announce to " + label
		if b.Language == German {
			if name = "Durchsage an " + label; group == "all" {
				name = "Durchsage an alle"
			}
		}
		key := "announce_" + plain(group)
		all[key] = Component{
			Platform: "notify", UniqueID: b.ID() + "_" + key, Name: name, Icon: "mdi:bullhorn", CommandTopic: b.announceTopic(group),
			Availability: []Availability{{b.Tree.State()}},
		}
	}
}
