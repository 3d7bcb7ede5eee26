package e2e

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/bridge"
)

// TestPanel has a phone with an expansion module fetch pictures that cannot be had, and uses a key and a light of the module.
func TestPanel(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	if err := png.Encode(&file, image.NewGray(image.Rect(0, 0, 700, 400))); err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/good.png":
			_, _ = w.Write(file.Bytes())
		case "/page.html":
			_, _ = w.Write([]byte("<html>"))
		case "/cut.png":
			w.Header().Set("Content-Length", "100000")
			_, _ = w.Write(file.Bytes()[:50])
		case "/large.png":
			_, _ = w.Write(make([]byte, 5<<20))
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/away":
			http.Redirect(w, r, "http://192.0.2.99/a.png?secret=1", http.StatusFound)
		case "/broken":
			w.WriteHeader(http.StatusBadGateway)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(web.Close)

	m := startMosquitto(t)
	phone := startPhones(t, 1, "--model", "D735", "--module", "D7C")
	phones := filepath.Join(t.TempDir(), "phones.yaml")
	if err := os.WriteFile(phones, fmt.Appendf(nil, "phones:\n  kitchen:\n    url: %s\n    keys:\n      P40: {name: \"the \\\"blue\\\" one\", label: \"a <b> & 'c'\"}\n", phone.urls[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	listen := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	m.startBridge(t, "SNOM2MQTT_PHONES_FILE="+phones, "SNOM2MQTT_PHONE_LISTEN="+listen, "SNOM2MQTT_IMAGE_HOSTS=127.0.0.1,localhost.invalid")
	results, events, install := m.watch("snom/kitchen/result"), m.watch("snom/kitchen/event"), m.watch("snom/bridge/response/install")
	n := 0
	send := func(command, payload string) bridge.Result {
		t.Helper()
		m.publish("snom/kitchen/"+command, payload)
		n++
		return decode[bridge.Result](t, results.on("snom/kitchen/result", n)[n-1].Payload)
	}
	for _, c := range []struct {
		url  string
		code bridge.Code
		says string
	}{
		{web.URL + "/good.png", bridge.OK, ""},
		{web.URL + "/none.png?secret=1", bridge.Unreachable, "HTTP 404"}, {web.URL + "/broken", bridge.Unreachable, "HTTP 502"}, {web.URL + "/loop", bridge.Unreachable, "redirects"},
		{web.URL + "/cut.png", bridge.Unreachable, "EOF"}, {fmt.Sprintf("http://127.0.0.1:%d/a.png", freePort(t)), bridge.Unreachable, "refused"},
		{"http://localhost.invalid/a.png", bridge.Unreachable, "image: localhost.invalid"},
		{web.URL + "/page.html", bridge.Invalid, "expected a PNG, JPEG or BMP file"}, {web.URL + "/large.png", bridge.Invalid, "expected at most"},
		{web.URL + "/away", bridge.Forbidden, "IMAGE_HOSTS"}, {phone.urls[0] + "/a.png", bridge.Forbidden, "or it is a phone's"}, {"http://192.0.2.99/a.png", bridge.Forbidden, "IMAGE_HOSTS"},
	} {
		r := send("show", fmt.Sprintf(`{"image":%q}`, c.url))
		if r.Code != c.code || !strings.Contains(r.Message, c.says) || strings.Contains(r.Message, "secret") || (r.Requests > 0) != (c.code == bridge.OK) {
			t.Errorf("%s: %+v, expected %s, %q", c.url, r, c.code, c.says)
		}
	}

	m.publish("snom/bridge/request/install", `{"phone":"kitchen"}`)
	if answer := install.on("snom/bridge/response/install", 1)[0].Payload; !strings.Contains(answer, `"fkey39"`) || !strings.Contains(answer, `"ok":true`) {
		t.Errorf("install: %s", answer)
	}
	if r := send("led", "P40 red blink"); r.Code != bridge.OK || !strings.Contains(r.Message, "expansion module") {
		t.Errorf("%+v", r)
	}
	phone.play("phone/press?keys=P40")
	if e := events.on("snom/kitchen/event", 1)[0].Payload; !strings.Contains(e, `"event_type":"key_press"`) || !strings.Contains(e, `"key":"P40"`) || !strings.Contains(e, `"name":"the \"blue\" one"`) {
		t.Errorf("event %s", e)
	}
	var screen string
	eventually(t, "the light is red", func() bool {
		_, screen = get(t, phone.control+"/phones/phone/screen", "")
		return strings.Contains(screen, "LED 44: red blink")
	})
	if objects(screen) {
		t.Errorf("the screen:\n%s", screen)
	}
}
