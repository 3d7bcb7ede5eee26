package homeassistant

import (
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// TestDoors: each door has a lock that sends an open command, and a doorbell; one with a camera has its picture, too.
func TestDoors(t *testing.T) {
	t.Parallel()
	b := testBridge()
	b.Doors = func() []Door {
		return []Door{{Name: "front", Camera: true}, {Name: "garage-door"}}
	}
	m := b.Message(b.ID(), b.Document())
	if err := b.Check([]mqtt.Message{m}); err != nil {
		t.Error(err)
	}
	components := b.Document().Components
	lock, bell, camera := components["door_front_lock"], components["door_front_ring"], components["door_front_camera"]
	if lock.CommandTopic != "snom/front/open" || lock.PayloadUnlock != "{}" || lock.StateTopic != "snom/front/state" || lock.Name != "Front door" {
		t.Errorf("%+v", lock)
	}
	if bell.DeviceClass != "doorbell" || bell.StateTopic != "snom/front/event" || bell.Name != "Front door bell" {
		t.Errorf("%+v", bell)
	}
	if camera.ImageTopic != "snom/front/image" || camera.ContentType != "image/jpeg" {
		t.Errorf("%+v", camera)
	}
	if _, has := components["door_garage_2ddoor_camera"]; has || components["door_garage_2ddoor_lock"].Name != "Garage door" {
		t.Error("the garage has a camera")
	}
	without := testBridge()
	if err := without.Check([]mqtt.Message{m}); err == nil || !strings.Contains(err.Error(), "snom/front/open") {
		t.Errorf("the document of doors that there are not: %v", err)
	}
}
