package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// The code of the door in the tests with Home Assistant, and the password of its camera, which nothing may show.
const (
	gardenCode     = "4711*90#"
	gardenPassword = "camera-canary"
)

// startCamera serves the picture of a camera that wants a login, and returns its URL.
func startCamera(t *testing.T) string {
	t.Helper()
	var picture bytes.Buffer
	if err := jpeg.Encode(&picture, image.NewGray(image.Rect(0, 0, 640, 368)), nil); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, ok := r.BasicAuth(); !ok || password != gardenPassword {
			w.Header().Set("WWW-Authenticate", `Basic realm="camera"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "image/jpeg")
		_, _ = w.Write(picture.Bytes()) // the bridge reports when it has none
	}))
	t.Cleanup(s.Close)
	return s.URL + "/garden.jpg"
}

// gardenDoor is the section of a phones file with a door that calls a phone.
func gardenDoor(phone, camera string) string {
	return fmt.Sprintf("doors:\n  garden: {phone: %s, number: \"**63\", code: %q, hold: 10s, camera: {url: %q, username: view, password: %q}}\n",
		phone, gardenCode, camera, gardenPassword)
}

// intercomAutomation is the blueprint Door intercom with a script in place of a mobile phone: it publishes the notification.
const intercomAutomation = `  - alias: intercom
    initial_state: false
    use_blueprint:
      path: snom2mqtt/door_intercom.yaml
      input:
        doorbell: event.snom2mqtt_garden_door_bell
        door: lock.snom2mqtt_garden_door
        camera: [image.snom2mqtt_garden_door_camera]
        notify: [script.mobile_phone]
`

const mobilePhone = `  mobile_phone:
    mode: queued
    sequence:
      - action: mqtt.publish
        data:
          topic: front_door/mobile
          payload: "{{ {'title': title | default, 'message': message, 'data': data} | to_json }}"
`

// A notification is one of a mobile phone.
type notification struct {
	Title, Message string
	Data           struct {
		Tag, Image string
		Actions    []struct{ Action, Title string }
	}
}

// aDoorRings plays a visitor of the door of a phones file: the doorbell, the picture, the notification, and the lock.
func (x *home) aDoorRings() {
	x.t.Helper()
	mobile, rings := x.m.watch("front_door/mobile"), x.m.watch("snom/garden/event")
	notified := func(n int) (last notification) {
		x.t.Helper()
		eventually(x.t, fmt.Sprintf("notification %d", n), func() bool { return len(mobile.messages()) >= n })
		all := mobile.messages()
		if len(all) != n {
			x.t.Errorf("%d notifications, expected %d", len(all), n)
		}
		return decode[notification](x.t, all[n-1].Payload)
	}
	codes := func() (n int) {
		for _, target := range x.phones["kitchen"].targets("kitchen") {
			if strings.Contains(target, url.QueryEscape(gardenCode)) {
				n++
			}
		}
		return n
	}
	press := func(action string) {
		x.t.Helper()
		x.post("/api/events/mobile_app_notification_action", map[string]any{"action": action}, nil)
	}
	x.shows("lock.snom2mqtt_garden_door", "locked")
	x.call("automation.turn_on", "automation.intercom")
	defer x.call("automation.turn_off", "automation.intercom")
	x.control("hall", "dnd?on=false") // its keys were pressed
	x.control("hall", "forward?number=")
	begin := time.Now()
	x.control("kitchen", "ring?number=**63&name=Front+door")
	x.control("hall", "ring?number=**63&name=Front+door")
	first := notified(1)
	late := time.Since(begin) > 2*time.Second // on a busy machine: the blueprint waits no longer for a camera
	if first.Title != "The door rings" || first.Message != "snom2mqtt Garden door" || len(first.Data.Actions) != 2 || first.Data.Actions[0].Title != "Open" {
		x.t.Fatalf("the notification is %+v", first)
	}
	if first.Data.Image != "" || !late {
		x.isPicture(first.Data.Image)
	}
	eventually(x.t, "the picture is there", func() bool {
		taken := x.states()["image.snom2mqtt_garden_door_camera"].State
		return taken != "unknown" && taken != "unavailable"
	})
	x.isPicture("/api/image_proxy/image.snom2mqtt_garden_door_camera")
	if s := x.states()["event.snom2mqtt_garden_door_bell"]; s.Attributes["event_type"] != "ring" {
		x.t.Errorf("the doorbell is %+v", s)
	}
	eventually(x.t, "the page of the door", func() bool {
		return strings.Contains(x.phones["kitchen"].ask("kitchen/screen"), "[imagefile] garden: Front door (**63)\n(picture 320 x 184)\nF1: Open")
	})
	x.control("kitchen", "answer")
	x.shows("sensor.kitchen_phone_call_state", "connected")
	if codes() != 0 {
		x.t.Error("the code was sent before anything opened the door")
	}
	press(first.Data.Actions[0].Action)
	x.shows("lock.snom2mqtt_garden_door", "unlocked")
	x.shows("lock.snom2mqtt_garden_door", "locked") // by itself
	if cleared := notified(2); cleared.Message != "clear_notification" || cleared.Data.Tag != first.Data.Tag {
		x.t.Errorf("after it: %+v", cleared)
	}
	press(first.Data.Actions[0].Action) // the notification of a ring that is over
	x.call("lock.unlock", "lock.snom2mqtt_garden_door")
	x.shows("lock.snom2mqtt_garden_door", "unlocked")
	x.call("lock.lock", "lock.snom2mqtt_garden_door")
	x.shows("lock.snom2mqtt_garden_door", "locked")
	x.control("kitchen", "hangup")
	x.control("hall", "remote-hangup")
	x.shows("sensor.kitchen_phone_call_state", "ended|idle")
	if n := codes(); n != 2 {
		x.t.Errorf("the code was sent %d times, expected twice", n)
	}
	if n := len(rings.messages()); n != 1 {
		x.t.Errorf("%d rings of two phones, expected one", n)
	}
	states, err := json.Marshal(x.states())
	if err != nil {
		x.t.Fatal(err)
	}
	everything := string(states) + strings.Join(append(x.bridge.stderr(), x.bridge.stdout()...), "\n")
	for _, m := range slices.Concat(mobile.messages(), rings.messages()) {
		everything += m.Payload
	}
	for _, secret := range []string{gardenCode, url.QueryEscape(gardenCode), gardenPassword} {
		if strings.Contains(everything, secret) {
			x.t.Errorf("%q is in Home Assistant, or in the log", secret)
		}
	}
}

// isPicture gets a path of Home Assistant, which must be a JPEG file.
func (x *home) isPicture(path string) {
	x.t.Helper()
	q, err := http.NewRequestWithContext(x.t.Context(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", x.port, path), nil)
	if err != nil {
		x.t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+x.token)
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		x.t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		x.t.Fatal(err)
	}
	if size, format, err := image.DecodeConfig(bytes.NewReader(body)); err != nil || format != "jpeg" || size.Width != 640 {
		x.t.Errorf("%s: %s, %d bytes, %v", strings.Split(path, "?")[0], r.Status, len(body), err)
	}
}
