package bridge_test

import (
	"bytes"
	"image/png"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// A picture of the screen is published as PNG, not retained, where the settings allow it; whatever else the phone sends is
// no picture.
func TestScreen(t *testing.T) {
	t.Parallel()
	allowed := func(p *bridge.PhoneConfig) { p.Allow = map[snom.Verb]bool{snom.VerbScreen: true} }
	huge := append([]byte("BM\x00\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00\xa0\x86\x01\x00\xa0\x86\x01\x00\x01\x00\x20\x00"), make([]byte, 100)...)
	for _, tt := range []struct {
		name, payload string
		set           func(*bridge.PhoneConfig)
		screen        []byte
		code          bridge.Code
		message       string
	}{
		{"main", "", allowed, nil, bridge.OK, ""},
		{"expansion", "expansion", allowed, nil, bridge.OK, ""},
		{"not allowed", "", nil, nil, bridge.Forbidden, "ALLOW=screen"},
		{"a page", "", allowed, []byte("<html>not found</html>"), bridge.PhoneError, "no BMP file"},
		{"100,000 by 100,000", "", allowed, huge, bridge.PhoneError, "no BMP file that can be read"},
		{"cut off", "", allowed, []byte("BM"), bridge.PhoneError, "no BMP file that can be read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := one()
			r[0].set, r[0].phone.Screen = tt.set, tt.screen
			inHarness(t, bridge.Config{}, r, func(h *harness) {
				live, err := h.bridge.Subscribe(16)
				if err != nil {
					t.Fatal(err)
				}
				defer live.Close()
				h.say("snom/desk/screen", tt.payload)
				time.Sleep(10 * time.Second)
				synctest.Wait()
				messages := h.out.Take()
				got := h.resultsOf(messages)
				if len(got) != 1 || got[0].Code != tt.code || !strings.Contains(got[0].Message, tt.message) {
					t.Fatalf("%+v, expected %s and %q", got, tt.code, tt.message)
				}
				pictures := 0
				for _, m := range messages {
					if m.Topic != "snom/desk/image" {
						continue
					}
					pictures++
					img, err := png.Decode(bytes.NewReader(m.Payload))
					if err != nil || m.Retained || img.Bounds().Dx() != 320 || img.Bounds().Dy() != 240 {
						t.Errorf("%v, retained: %v, expected a picture of 320 x 240", err, m.Retained)
					}
				}
				shown := 0
				for len(live.C) > 0 {
					if u := <-live.C; u.Image != nil && u.Image.Phone == "desk" {
						shown++
					}
				}
				if expected := map[bool]int{true: 1}[tt.code == bridge.OK]; pictures != expected || shown != expected {
					t.Errorf("%d pictures published, %d to subscriptions, expected %d", pictures, shown, expected)
				}
			})
		})
	}
	inHarness(t, bridge.Config{}, []testPhone{{phone: snomtest.Config{Name: "desk", Model: "D735"}, set: allowed}}, func(h *harness) {
		h.phones["desk"].SetFault(snomtest.FaultForbidden)
		if r := h.result("snom/desk/screen", "", 10*time.Second); r.Code != bridge.Refused {
			t.Errorf("%+v, expected refused", r)
		}
	})
}
