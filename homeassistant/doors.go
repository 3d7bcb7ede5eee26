package homeassistant

import "strings"

// A Door is what discovery has to know of one door intercom. Its entities belong to the device of the bridge, since several
// phones may have one door.
type Door struct {
	Name   string // in topics
	Camera bool   // it has one
}

// doors returns the doors.
func (b Bridge) doors() []Door {
	if b.Doors == nil {
		return nil
	}
	return b.Doors()
}

// opener returns the topic that opens the door.
func (d Door) opener(b Bridge) string { return b.Tree.Command(d.Name, "open") }

// components adds the entities of the door to those of a device, by key: a lock that locks itself again, a doorbell, and the
// picture of the camera.
func (d Door) components(b Bridge, all map[string]Component) {
	label := strings.Join(strings.FieldsFunc(d.Name, func(r rune) bool { return r == '_' || r == '-' }), " ")
	if !strings.Contains(label, "door") {
		label += " door"
	}
	label = strings.ToUpper(label[:1]) + label[1:]
	t := b.Tree
	add := func(kind string, c Component) {
		key := "door_" + plain(d.Name) + "_" + kind
		c.UniqueID = b.ID() + "_" + key
		c.Availability, c.AvailabilityMode = []Availability{{t.State()}, {t.Availability(d.Name)}}, "all"
		all[key] = c
	}
	lock := Component{
		Platform: "lock", Name: label, QoS: 1, CommandTopic: d.opener(b), StateTopic: t.DoorState(d.Name), ValueTemplate: "{{ value_json.state }}",
		PayloadUnlock: "{}", PayloadLock: `{"dry_run":true}`, // it locks itself: there is nothing to send
		StateLocked: "locked", StateUnlocking: "opening", StateUnlocked: "open", StateJammed: "failed",
		AttributesTopic: t.DoorState(d.Name),
	}
	add("lock", lock.guarded())
	add("ring", Component{
		Platform: "event", Name: label + " bell", DeviceClass: "doorbell", QoS: 1, StateTopic: t.Event(d.Name), EventTypes: []string{"ring"},
	})
	if d.Camera {
		add("camera", Component{Platform: "image", Name: label + " camera", QoS: 1, ImageTopic: t.Image(d.Name), ContentType: "image/jpeg"})
	}
}
