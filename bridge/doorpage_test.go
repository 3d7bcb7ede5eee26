package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/internal/pipenet"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/pages"
	"github.com/snom2mqtt/snom2mqtt/phoneweb"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// atTheDoor runs f with phones whose action URLs are installed, and a door that calls them, in virtual time.
func atTheDoor(t *testing.T, phones []testPhone, f func(h *harness, store *pages.Store)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		store := &pages.Store{}
		l := pipenet.ListenBuffered(1 << 20)
		var h *harness
		web := phoneweb.New(phoneweb.Config{
			Phone: func(name string) (phoneweb.Phone, bool) { return phoneweb.Phone{Token: pageToken, Host: "pipe"}, true },
			Event: func(name string, e actionurl.Event) { h.bridge.Event(name, e) },
			Answer: func(ctx context.Context, name string, e actionurl.Event) pages.Reply {
				return h.bridge.Answer(ctx, name, e)
			},
			Pages: store, Log: slog.New(slog.DiscardHandler),
		})
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- web.Serve(ctx, l) }()
		for i := range phones {
			phones[i].phone.Dial = l.DialContext
		}
		const origin = "http://bridge.invalid:8088"
		h = newHarness(t, bridge.Config{
			Events: true, Pages: store,
			PageURL: func(_ context.Context, name string) (string, error) {
				return origin + phoneweb.PagePath(name, pageToken), nil
			},
		}, phones, nil)
		for name, device := range h.phones {
			for _, u := range actionurl.URLs(origin, name, pageToken) {
				device.Set(u.Setting, u.URL)
			}
		}
		f(h, store)
		h.stop()
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if log := h.log.String(); strings.Contains(log, pageToken) || strings.Contains(log, doorCode) {
			t.Error("a secret is in the log")
		}
		for name, device := range h.phones {
			store.EndAll(name)
			if strings.Contains(device.Screen(), doorCode) {
				t.Errorf("the code is on the screen of %s", name)
			}
		}
		synctest.Wait()
	})
}

// intercom is a phone with a door that has a camera.
func intercom(t *testing.T, phone snomtest.Config, camera bridge.Camera) []testPhone {
	t.Helper()
	d := front(t, phone.Name)
	d.Camera = camera
	return []testPhone{{phone: phone, doors: []bridge.DoorConfig{d}}}
}

// rings has the door call a phone.
func (h *harness) rings(name string) {
	h.phones[name].Incoming(snomtest.Call{Number: "**61", Name: "Visitor"})
	time.Sleep(100 * time.Millisecond)
	synctest.Wait()
}

// TestDoorPage: the page comes with the call, opens the door in it, and ends with it.
func TestDoorPage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		phone   snomtest.Config
		picture string
		stream  bool
	}{
		{snomtest.Config{Name: "desk", Model: "D735"}, "(picture 320 x 184)", true},
		{snomtest.Config{Name: "desk", Model: "D785", Firmware: "10.1.184.14"}, "(picture 480 x 192)", true},
		{snomtest.Config{Name: "desk", Model: "D725"}, "(picture 320 x 184)", false},
		{snomtest.Config{Name: "desk", Model: "D785", Firmware: "8.9.3.80"}, "(picture 480 x 192)", false},
	} {
		atTheDoor(t, intercom(t, tt.phone, testCamera{wait: 50 * time.Millisecond}), func(h *harness, store *pages.Store) {
			what := fmt.Sprint(tt.phone.Model, " ", tt.phone.Firmware)
			device := h.phones["desk"]
			h.poll(t)
			device.Incoming(snomtest.Call{Number: "27"})
			time.Sleep(time.Second)
			sees(t, device, "(idle)")
			device.RemoteHangUp("")
			h.rings("desk")
			time.Sleep(time.Second)
			sees(t, device, "[imagefile] front: Visitor (**61)", tt.picture, "F1: Open", "F4: Close")
			time.Sleep(5 * time.Second)
			synctest.Wait()
			if _, frames := device.Picture(); tt.stream != (frames > 20) {
				t.Errorf("%s: %d pictures on one page", what, frames)
			}
			h.out.Take()
			device.Press("F1") // it rings still
			time.Sleep(100 * time.Millisecond)
			sees(t, device, "front: not opened: answer the call first")
			all := h.results()
			if len(all) != 1 || all[0].Code != bridge.Forbidden || all[0].Door != "front" || !strings.HasPrefix(all[0].ID, "page-") {
				t.Errorf("%s: %+v", what, all)
			}
			device.Answer()
			time.Sleep(time.Second)
			sees(t, device, "[imagefile]", "F1: Open")
			device.Press("F1")
			device.Press("F1") // at once: one press counts
			time.Sleep(2 * time.Second)
			sees(t, device, "front: open", tt.picture)
			if all := h.results(); len(all) != 1 || all[0].Code != bridge.OK || h.sentCodes("desk") != 1 {
				t.Errorf("%s: %+v, %d codes", what, all, h.sentCodes("desk"))
			}
			time.Sleep(10 * time.Second)
			sees(t, device, "front: Visitor (**61)")
			device.Press("F1") // again, in the same call
			time.Sleep(2 * time.Second)
			if all := h.results(); len(all) != 1 || all[0].Code != bridge.OK || h.sentCodes("desk") != 2 {
				t.Errorf("%s: %+v, %d codes", what, all, h.sentCodes("desk"))
			}
			device.RemoteHangUp("")
			time.Sleep(time.Second)
			sees(t, device, "(idle)")
			if n := store.Len(); n != 0 {
				t.Errorf("%s: %d pages are left", what, n)
			}
			if c := device.Complaints(); len(c) > 0 {
				t.Errorf("%s: the phone objects: %q", what, c)
			}
		})
	}
}

// TestDoorPageCloses: the key closes the page, and the call goes on without it.
func TestDoorPageCloses(t *testing.T) {
	t.Parallel()
	atTheDoor(t, intercom(t, snomtest.Config{Name: "desk", Model: "D735"}, nil), func(h *harness, store *pages.Store) {
		device := h.phones["desk"]
		h.rings("desk")
		sees(t, device, "[text] front: Visitor (**61)", "F1: Open")
		device.Press("F4")
		time.Sleep(time.Second)
		sees(t, device, "(idle)")
		device.Answer()
		time.Sleep(time.Second)
		sees(t, device, "(idle)")
		if r := h.result("snom/front/open", "", time.Second); r.Code != bridge.OK || store.Len() != 0 {
			t.Errorf("%+v, %d pages", r, store.Len())
		}
	})
}

// TestDoorPageWithoutAPicture: a camera that is slow or off delays neither the page nor the opening, and the page says so.
func TestDoorPageWithoutAPicture(t *testing.T) {
	t.Parallel()
	for _, camera := range []testCamera{{wait: time.Hour}, {err: errors.New("off")}} {
		for _, model := range []string{"D735", "D725"} {
			atTheDoor(t, intercom(t, snomtest.Config{Name: "desk", Model: model}, camera), func(h *harness, store *pages.Store) {
				device := h.phones["desk"]
				h.poll(t)
				h.rings("desk")
				sees(t, device, "front: Visitor (**61)", "F1: Open")
				if model == "D725" {
					sees(t, device, "no picture of the camera yet")
				}
				device.Answer()
				time.Sleep(200 * time.Millisecond)
				device.Press("F1")
				time.Sleep(time.Second)
				sees(t, device, "front: open")
				if all := h.results(); len(all) != 1 || all[0].Code != bridge.OK {
					t.Errorf("%+v", all)
				}
				device.RemoteHangUp("")
				time.Sleep(time.Minute)
				sees(t, device, "(idle)")
				for _, c := range device.Complaints() {
					t.Errorf("the phone objects: %s", c)
				}
			})
		}
	}
}

// TestDoorPageOnSeveralPhones: each shows its page; the phone that has the call opens, from whichever page. Black and white
// displays show no picture.
func TestDoorPageOnSeveralPhones(t *testing.T) {
	t.Parallel()
	phones := intercom(t, snomtest.Config{Name: "desk", Model: "D735"}, testCamera{})
	phones = append(phones, testPhone{phone: snomtest.Config{Name: "hall", Model: "370"}})
	atTheDoor(t, phones, func(h *harness, store *pages.Store) {
		kitchen, hall := h.phones["desk"], h.phones["hall"]
		h.poll(t)
		h.rings("desk")
		h.rings("hall")
		sees(t, kitchen, "[imagefile] front: Visitor")
		sees(t, hall, "[text] front: Visitor", "F1: Open")
		kitchen.Answer()
		time.Sleep(time.Second)
		hall.Press("F1")
		time.Sleep(time.Second)
		sees(t, hall, "front: open")
		if h.sentCodes("desk") != 1 || h.sentCodes("hall") != 0 {
			t.Errorf("codes: %d of desk, %d of hall", h.sentCodes("desk"), h.sentCodes("hall"))
		}
		hall.RemoteHangUp("")
		time.Sleep(time.Second)
		sees(t, hall, "(idle)")
		sees(t, kitchen, "[imagefile] front")
		kitchen.RemoteHangUp("")
	})
}

// TestDoorPageWithoutAnEnd: a page ends with the call, also where the phone does not report its end; with the door, and with
// its phone.
func TestDoorPageWithoutAnEnd(t *testing.T) {
	t.Parallel()
	atTheDoor(t, intercom(t, snomtest.Config{Name: "desk", Model: "D735"}, nil), func(h *harness, store *pages.Store) {
		device := h.phones["desk"]
		device.Set("action_disconnected_url", "")
		device.Set("action_missed_url", "")
		device.Set("action_onhook_url", "")
		h.rings("desk")
		sees(t, device, "F1: Open")
		device.RemoteHangUp("")
		time.Sleep(3 * time.Minute) // RING_TIMEOUT
		sees(t, device, "(idle)")
		h.rings("desk")
		sees(t, device, "F1: Open")
		h.roster = bridge.Roster{Phones: h.bridge.Phones()}
		if err := h.reload(h.t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := store.Len(); n != 0 {
			t.Errorf("%d pages of a door that was removed", n)
		}
	})
	atTheDoor(t, intercom(t, snomtest.Config{Name: "desk", Model: "D735"}, nil), func(h *harness, store *pages.Store) {
		h.rings("desk")
		h.roster = bridge.Roster{Doors: []bridge.DoorConfig{front(t, "desk")}}
		if err := h.reload(h.t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := store.Len(); n != 0 {
			t.Errorf("%d pages of a phone that was removed", n)
		}
	})
}

// TestDoorPageEventsComeTwice: an event that comes twice makes one page and one ring.
func TestDoorPageEventsComeTwice(t *testing.T) {
	t.Parallel()
	atTheDoor(t, intercom(t, snomtest.Config{Name: "desk", Model: "D735"}, nil), func(h *harness, store *pages.Store) {
		e := actionurl.Event{Type: actionurl.EventIncoming, CallID: "1", Remote: actionurl.Party{Number: "**61"}, Time: time.Now()}
		first := h.bridge.Answer(h.t.Context(), "desk", e)
		h.bridge.Event("desk", e)
		again := h.bridge.Answer(h.t.Context(), "desk", e)
		h.bridge.Event("desk", e)
		if first.IsZero() || string(first.Body) != string(again.Body) || store.Len() != 1 {
			t.Errorf("%s\n%s\n%d pages", first.Body, again.Body, store.Len())
		}
		if other := h.bridge.Answer(h.t.Context(), "desk", actionurl.Event{Type: actionurl.EventDisconnected, CallID: "2", Time: time.Now()}); !other.IsZero() {
			t.Error("the end of another call ended the page")
		}
		if over := h.bridge.Answer(h.t.Context(), "desk", actionurl.Event{Type: actionurl.EventDisconnected, CallID: "1", Time: time.Now()}); over.IsZero() || store.Len() != 0 {
			t.Errorf("%d pages after the end", store.Len())
		}
		for _, name := range []string{"no_such", ""} {
			if !h.bridge.Answer(h.t.Context(), name, e).IsZero() {
				t.Errorf("a page for %q", name)
			}
		}
	})
}

// A countingCamera counts what it is asked, and for which sizes.
type countingCamera struct {
	testCamera
	mu         *sync.Mutex
	now, most  *int // asked at once
	asked      *int
	sizesAsked map[string]int
}

func (c countingCamera) Scaled(ctx context.Context, width, height int) ([]byte, error) {
	c.mu.Lock()
	*c.now++
	*c.asked++
	*c.most = max(*c.most, *c.now)
	c.sizesAsked[fmt.Sprint(width, "x", height)]++
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		*c.now--
	}()
	return c.testCamera.Scaled(ctx, width, height)
}

// TestDoorPageIsBounded: however many phones show the page, the camera is asked once at a time for each of at most 8 sizes,
// and not at all when no page is shown.
func TestDoorPageIsBounded(t *testing.T) {
	t.Parallel()
	camera := countingCamera{testCamera{wait: 100 * time.Millisecond}, &sync.Mutex{}, new(int), new(int), new(int), map[string]int{}}
	phones := intercom(t, snomtest.Config{Name: "desk", Model: "D725"}, camera)
	for i := range 20 {
		phones = append(phones, testPhone{
			phone: snomtest.Config{Name: fmt.Sprint("p", i), Model: "D725"},
			set:   func(c *bridge.PhoneConfig) { c.Screen = snom.Screen{Width: 200 + i%12, Height: 100} },
		})
	}
	atTheDoor(t, phones, func(h *harness, store *pages.Store) {
		for name := range h.phones {
			h.phones[name].Incoming(snomtest.Call{Number: "**61"})
		}
		time.Sleep(3 * time.Second)
		camera.mu.Lock()
		if sizes := len(camera.sizesAsked); sizes != 8 || *camera.most > 8 || *camera.asked > 8*5*3 || *camera.asked < 8*3 || store.Len() != 21 {
			t.Errorf("asked %d times, %d at once, for %d sizes, for %d pages", *camera.asked, *camera.most, sizes, store.Len())
		}
		camera.mu.Unlock()
		for name := range h.phones {
			h.phones[name].Press("F4")
		}
		time.Sleep(time.Second)
		camera.mu.Lock()
		before := *camera.asked
		camera.mu.Unlock()
		time.Sleep(time.Minute)
		camera.mu.Lock()
		defer camera.mu.Unlock()
		if *camera.asked != before || store.Len() != 0 {
			t.Errorf("asked %d times while no page is shown; %d pages", *camera.asked-before, store.Len())
		}
	})
}

// poll has the bridge look at its phones, so that it knows their firmware.
func (h *harness) poll(t *testing.T) {
	t.Helper()
	h.bridge.Handle(h.tree.Read("snom/bridge/request/probe"), mqtt.Message{Topic: "snom/bridge/request/probe", Payload: []byte("desk")})
	time.Sleep(5 * time.Second)
	synctest.Wait()
	h.out.Take()
}

// TestDoorIsKnownInEveryEncoding: however the phone writes the caller into its action URL, the page comes and the door opens.
func TestDoorIsKnownInEveryEncoding(t *testing.T) {
	t.Parallel()
	for _, encoding := range snomtest.Encodings() {
		for _, number := range []string{"**61", "+4930123456", "#21#", "door@pbx.example"} {
			phones := intercom(t, snomtest.Config{Name: "desk", Model: "D735", Encoding: encoding, LikeD765: number == "**61"}, nil)
			phones[0].doors[0].Number, phones[0].doors[0].Country = number, "49"
			atTheDoor(t, phones, func(h *harness, store *pages.Store) {
				device := h.phones["desk"]
				device.Incoming(snomtest.Call{Number: number, Name: "A & B + \"C\" <d>"})
				time.Sleep(time.Second)
				sees(t, device, "F1: Open")
				device.Answer()
				time.Sleep(time.Second)
				if r := h.result("snom/front/open", "", time.Second); r.Code != bridge.OK {
					t.Errorf("%s %s: %s %s", encoding, number, r.Code, r.Message)
				}
				device.RemoteHangUp("")
				time.Sleep(time.Second)
				sees(t, device, "(idle)")
			})
		}
	}
}
