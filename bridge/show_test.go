package bridge_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/fetch"
	"github.com/snom2mqtt/snom2mqtt/internal/pipenet"
	"github.com/snom2mqtt/snom2mqtt/pages"
	"github.com/snom2mqtt/snom2mqtt/phoneweb"
	"github.com/snom2mqtt/snom2mqtt/picture"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// pageToken is what a page's URL has as proof of the phone.
const pageToken = "t0kent0kent0kent0ken"

// inPanel runs f with a harness whose phone fetches pages from a real page server, in virtual time.
func inPanel(t *testing.T, phone snomtest.Config, set func(*bridge.PhoneConfig), f func(h *harness, device *snomtest.Phone)) {
	t.Helper()
	inPanelWith(t, bridge.Config{}, testPhone{phone: phone, set: set}, f)
}

// inPanelWith is inPanel with more of the bridge and of its phone.
func inPanelWith(t *testing.T, cfg bridge.Config, phone testPhone, f func(h *harness, device *snomtest.Phone)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		store := &pages.Store{}
		l := pipenet.ListenBuffered(1 << 20)
		var h *harness
		web := phoneweb.New(phoneweb.Config{
			Phone: func(name string) (phoneweb.Phone, bool) {
				return phoneweb.Phone{Token: pageToken, Host: "pipe"}, name == "desk"
			},
			Event: func(name string, e actionurl.Event) { h.bridge.Event(name, e) }, Pages: store, Log: slog.New(slog.DiscardHandler),
		})
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- web.Serve(ctx, l) }()
		phone.phone.Name, phone.phone.Dial = "desk", l.DialContext
		cfg.Events, cfg.Pages, cfg.Pictures, cfg.Scaler = true, store, &fetch.Shared{}, &picture.Scaler{}
		cfg.PageURL = func(_ context.Context, name string) (string, error) {
			return "http://bridge.invalid:8088" + phoneweb.PagePath(name, pageToken), nil
		}
		cfg.PIN = func(name string) (string, error) {
			if name != "alarm.pin" {
				return "", errors.New("no such file")
			}
			return "4711", nil
		}
		h = newHarness(t, cfg, []testPhone{phone}, nil)
		f(h, h.phones["desk"])
		h.stop()
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if c := h.phones["desk"].Complaints(); len(c) > 0 {
			t.Errorf("the phone objects: %q", c)
		}
		if log := h.log.String(); strings.Contains(log, pageToken) || strings.Contains(log, "4711") {
			t.Error("a secret is in the log")
		}
		store.EndAll("desk")
		synctest.Wait()
	})
}

// events takes what was published since the last call, and returns the events among it.
func (h *harness) events() (all []map[string]any) {
	synctest.Wait()
	for _, m := range h.out.Take() {
		if strings.HasSuffix(m.Topic, "/event") {
			var e map[string]any
			if err := json.Unmarshal(m.Payload, &e); err != nil {
				h.t.Fatal(err)
			}
			all = append(all, e)
		}
	}
	return all
}

// sees fails unless the phone's screen has each of the texts.
func sees(t *testing.T, device *snomtest.Phone, texts ...string) {
	t.Helper()
	synctest.Wait()
	screen := device.Screen()
	for _, text := range texts {
		if !strings.Contains(screen, text) {
			t.Errorf("%q is not on the screen:\n%s", text, screen)
		}
	}
}

// TestNoPageIsObjectedTo shows every form of page on phones of several displays: the minibrowser of none objects to any.
func TestNoPageIsObjectedTo(t *testing.T) {
	t.Parallel()
	var large bytes.Buffer
	if err := png.Encode(&large, image.NewNRGBA(image.Rect(0, 0, 1000, 500))); err != nil {
		t.Fatal(err)
	}
	file := base64.StdEncoding.EncodeToString(large.Bytes())
	long, items := strings.Repeat("\u00e4", 100), ""
	for i := range 100 {
		items += fmt.Sprintf(`,{"label":"%d \"quoted\" <&> $(lines) \u05d0 %s"}`, i, long[:150])
	}
	keys := `{"label":"Yes","choice":"yes"}`
	all := []string{
		"a text", "", "\u0085 \u2028 \u202e\u05d0\u05d1 \x01 $(set:mac) &lt;br/&gt; ]]>", strings.Repeat("x\n", 2000),
		`{"title":"` + long[:198] + `\n","text":"two\nlines","hold":true}`, `{"title":"only a title"}`, `{"text":"` + long + `","duration":3600}`,
		`{"menu":[` + items[1:] + `]}`, `{"title":"t","text":"x\ny","menu":[{"label":"one"}],"buttons":{"F1":` + keys + `}}`,
		`{"buttons":{"F1":` + keys + `,"F4":` + keys + `,"0":` + keys + `,"*":` + keys + `,"UP":` + keys + `,"ENTER":` + keys + `}}`,
		`{"image":"` + file + `"}`, `{"image":"` + file + `","text":"under it"}`, `{"image":"` + file + `","title":"over it","text":"` + long + `","buttons":{"F2":` + keys + `}}`,
		`{"input":{"kind":"pin","choice":"a","pin_file":"alarm.pin"}}`,
	}
	for _, kind := range []string{"text", "number", "phone"} {
		all = append(all, `{"title":"t","text":"a\nb","input":{"prompt":"`+long+`","kind":"`+kind+`","choice":"a"},"buttons":{"F4":`+keys+`}}`)
	}
	for _, model := range []string{"D735", "D785", "320", "870", "D765", "D345", "D815"} {
		inPanel(t, snomtest.Config{Model: model}, nil, func(h *harness, device *snomtest.Phone) {
			for _, payload := range all {
				r := h.result("snom/desk/show", payload, 300*time.Millisecond)
				if r.Code != bridge.OK {
					t.Errorf("%s: %.60q: %+v", model, payload, r)
				}
				synctest.Wait()
				if c := device.Complaints(); len(c) > 0 {
					t.Fatalf("%s: %.60q: %q", model, payload, c)
				}
			}
		})
	}
}

func TestShowAText(t *testing.T) {
	t.Parallel()
	for _, firmware := range []string{"8.7.5.35", "10.1.184.14"} {
		inPanel(t, snomtest.Config{Firmware: firmware}, nil, func(h *harness, device *snomtest.Phone) {
			r := h.result("snom/desk/show", "Washer <done> & $(set:http_pass)\nsecond line", 100*time.Millisecond)
			if r.Code != bridge.OK || r.Message != "" || r.Requests != 1 {
				t.Errorf("%+v", r)
			}
			sees(t, device, "[text]", "Washer <done> & $ (set:http_pass)\nsecond line")
			time.Sleep(10 * time.Second)
			sees(t, device, "(idle)")
			h.result("snom/desk/show", `{"text":"stays","hold":true,"title":"Door"}`, 100*time.Millisecond)
			time.Sleep(20 * time.Minute)
			sees(t, device, "[text] Door", "stays")
			if r := h.result("snom/desk/show", "", 200*time.Millisecond); r.Code != bridge.OK {
				t.Errorf("%+v", r)
			}
			sees(t, device, "(idle)")
		})
	}
}

func TestAChoiceComesBackOnce(t *testing.T) {
	t.Parallel()
	inPanel(t, snomtest.Config{}, nil, func(h *harness, device *snomtest.Phone) {
		menu := `{"id":"q1","title":"House","menu":[{"label":"Gate","choice":"gate"},{"label":"Light"}],"buttons":{"F1":{"label":"Help","choice":"help"}},"duration":60}`
		h.result("snom/desk/show", menu, 100*time.Millisecond)
		sees(t, device, "[menu] House", ">1 Gate", " 2 Light", "F1: Help")
		page := lastPage(device)
		if !device.Choose("Light") {
			t.Fatal("nothing to choose")
		}
		time.Sleep(100 * time.Millisecond)
		for _, again := range []string{"/m/1", "/m/0", "/b/F1"} {
			if status := get(h, device, page+again); status != 404 {
				t.Errorf("HTTP %d for %s after a choice", status, again)
			}
		}
		all := h.events()
		if len(all) != 1 || all[0]["event_type"] != "choice" || all[0]["choice"] != "Light" || all[0]["show"] != "q1" || all[0]["text"] != nil {
			t.Fatalf("%v, expected one choice", all)
		}
		if _, told := all[0]["pin_ok"]; told {
			t.Error("a choice without a PIN has pin_ok")
		}
	})
}

func TestASoftKeyIsAChoice(t *testing.T) {
	t.Parallel()
	inPanel(t, snomtest.Config{}, nil, func(h *harness, device *snomtest.Phone) {
		h.result("snom/desk/show", `{"id":"x","text":"Rain","buttons":{"F1":{"label":"Close","choice":"close"},"*":{"label":"Star","choice":"s"}}}`, 100*time.Millisecond)
		if err := device.Press("F1"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		if all := h.events(); len(all) != 1 || all[0]["choice"] != "close" {
			t.Errorf("%v", all)
		}
		sees(t, device, "(idle)")
	})
}

// TestALinkEndsWithItsPage follows links of a page after another one was shown, and after its time.
func TestALinkEndsWithItsPage(t *testing.T) {
	t.Parallel()
	inPanel(t, snomtest.Config{}, nil, func(h *harness, device *snomtest.Phone) {
		h.result("snom/desk/show", `{"id":"old","menu":[{"label":"A"}]}`, 100*time.Millisecond)
		old := lastPage(device)
		h.result("snom/desk/show", `{"id":"new","menu":[{"label":"B"}]}`, 100*time.Millisecond)
		if status := get(h, device, old+"/m/0"); status != 404 {
			t.Errorf("HTTP %d for a link of a page that is not shown any more", status)
		}
		current := lastPage(device)
		for _, link := range []string{"/m/1", "/m/-1", "/m/00", "/m/", "/b/F1", "/in?v=x", "/picture", "/x"} {
			if status := get(h, device, current+link); status != 404 {
				t.Errorf("HTTP %d for %s, which the page does not have", status, link)
			}
		}
		time.Sleep(time.Minute)
		if status := get(h, device, current+"/m/0"); status != 404 {
			t.Errorf("HTTP %d for a link after its time", status)
		}
		if all := h.events(); len(all) > 0 {
			t.Errorf("%v, expected no event", all)
		}
		// A page that the phone never got ends nothing.
		h.result("snom/desk/show", `{"id":"kept","hold":true,"menu":[{"label":"C"}]}`, 100*time.Millisecond)
		device.SetFault(snomtest.FaultRefuseConnects)
		if r := h.result("snom/desk/show", "lost", 100*time.Millisecond); r.Code != bridge.Unreachable {
			t.Errorf("%+v", r)
		}
		device.SetFault("")
		device.Choose("C")
		time.Sleep(100 * time.Millisecond)
		if all := h.events(); len(all) != 1 || all[0]["show"] != "kept" {
			t.Errorf("%v, expected the choice of the page that is shown", all)
		}
	})
}

// TestALinkCountsWhileThePageIsShown: the phone closes a page after its duration, and a moment later its links are over. Where it
// fetches the page late, it shows it late.
func TestALinkCountsWhileThePageIsShown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		after  time.Duration // that the phone fetches the page, behind its request
		press  time.Duration // behind that
		counts bool
	}{{0, time.Second, true}, {0, 5 * time.Second, true}, {0, 6500 * time.Millisecond, true}, {0, 8 * time.Second, false}, {9 * time.Second, 4 * time.Second, true}, {9 * time.Second, 8 * time.Second, false}} {
		slow := snomtest.Config{}
		inPanel(t, slow, nil, func(h *harness, device *snomtest.Phone) {
			device.HoldFetches(c.after)
			h.say("snom/desk/show", `{"menu":[{"label":"A"}],"duration":5}`)
			time.Sleep(c.after + c.press)
			status := get(h, device, lastPage(device)+"/m/0")
			if all := h.events(); (status == 200) != c.counts || (len(all) == 1) != c.counts {
				t.Errorf("%+v: HTTP %d, %v", c, status, all)
			}
		})
	}
}

// TestANumberIsChecked: what comes back for a number or a phone number is one, or is asked for once more.
func TestANumberIsChecked(t *testing.T) {
	t.Parallel()
	for kind, inputs := range map[string][2][]string{
		"number": {{"0", "42", "-7", "+3", "21.5", "21,5"}, {"", "12a", "a", "1 2", "1.2.3", "-", ".", "5.", "٤٢", "*", "1e3", "0x1", "1\n"}},
		"phone":  {{"+49 30 123", "*21#", "030/123-4 (5)"}, {"", "abc", "+", "sip:27@pbx", "12;ENTER", "1\x00"}},
		"text":   {{"", "12a", "two\twords"}, nil},
	} {
		inPanel(t, snomtest.Config{}, nil, func(h *harness, device *snomtest.Phone) {
			for _, good := range inputs[0] {
				h.result("snom/desk/show", `{"input":{"prompt":"How many","kind":"`+kind+`","choice":"n"}}`, 100*time.Millisecond)
				for _, bad := range inputs[1] {
					if !device.TypeText(bad) {
						t.Errorf("%s: no input is shown for %q", kind, bad)
						return
					}
					time.Sleep(100 * time.Millisecond)
					sees(t, device, "[input]", "How many: expected a ")
					if all := h.events(); len(all) > 0 {
						t.Errorf("%s: %q is %v", kind, bad, all)
						return
					}
				}
				time.Sleep(9 * time.Second) // it is shown for ten seconds once more
				device.TypeText(good)
				time.Sleep(100 * time.Millisecond)
				sees(t, device, "(idle)")
				clean := strings.ReplaceAll(good, "\t", "\uFFFD")
				if all := h.events(); len(all) != 1 || all[0]["text"] != clean || all[0]["choice"] != "n" {
					t.Errorf("%s: %q is %v", kind, good, all)
				}
			}
		})
	}
}

// TestAPageStaysWhereTheOutcomeIsUnknown: a phone that carries a request out, and does not answer it, can fetch the page all the same.
func TestAPageStaysWhereTheOutcomeIsUnknown(t *testing.T) {
	t.Parallel()
	inPanel(t, snomtest.Config{Model: "D735"}, nil, func(h *harness, device *snomtest.Phone) {
		device.HoldFetches(3 * time.Second)
		device.SetFault(snomtest.FaultResetAfter)
		for command, payload := range map[string]string{"show": `{"text":"here","hold":true}`, "led": "P1 red"} {
			if r := h.result("snom/desk/"+command, payload, time.Second); r.Code != bridge.Timeout {
				t.Errorf("%+v", r)
			}
		}
		time.Sleep(5 * time.Second)
		sees(t, device, "[text]", "here", "LED 5: red")
		if got := h.bridge.Snapshot()[0].Panel; got == nil || fmt.Sprint(got.Lights) != "map[P1:red]" {
			t.Errorf("status %+v", got)
		}
		device.SetFault("")
	})
}

// lastPage is the address of the page that the phone was asked to show last.
func lastPage(device *snomtest.Phone) string {
	all := device.Requests()
	for i := len(all) - 1; i >= 0; i-- {
		if target, ok := strings.CutPrefix(all[i].Target, "/minibrowser.htm?url="); ok {
			return strings.NewReplacer("%3A", ":", "%2F", "/").Replace(target)
		}
	}
	return ""
}

// get requests an address as the phone would.
func get(h *harness, device *snomtest.Phone, address string) int {
	h.t.Helper()
	device.Set("fkey0", "url "+address)
	before := len(device.Actions())
	if err := device.Press("CANCEL;P1"); err != nil {
		h.t.Fatal(err)
	}
	time.Sleep(10 * time.Millisecond)
	all := device.Actions()
	if len(all) != before+1 {
		h.t.Fatalf("%d requests", len(all)-before)
	}
	return all[before].Status
}

func TestInputs(t *testing.T) {
	t.Parallel()
	for _, encoding := range []snomtest.Encoding{snomtest.EncodingPercent, snomtest.EncodingForm} {
		inPanel(t, snomtest.Config{Encoding: encoding}, nil, func(h *harness, device *snomtest.Phone) {
			h.result("snom/desk/show", `{"id":"n","title":"Name","input":{"prompt":"Yours","choice":"name"}}`, 100*time.Millisecond)
			sees(t, device, "[input]", "Name: Yours: ____ (a)")
			device.TypeText("Zoë & Co")
			time.Sleep(100 * time.Millisecond)
			if all := h.events(); len(all) != 1 || all[0]["choice"] != "name" || all[0]["text"] != "Zoë & Co" {
				t.Errorf("encoding %s: %v", encoding, all)
			}
		})
	}
}

// TestAPINIsNeverTold types a right and a wrong PIN, and looks for both in everything that leaves the bridge.
func TestAPINIsNeverTold(t *testing.T) {
	t.Parallel()
	inPanel(t, snomtest.Config{}, nil, func(h *harness, device *snomtest.Phone) {
		for i, typed := range []string{"4711", "08150815", ""} {
			h.say("snom/desk/show", `{"id":"p`+strconv.Itoa(i)+`","input":{"kind":"pin","choice":"alarm","pin_file":"alarm.pin"}}`)
			time.Sleep(100 * time.Millisecond)
			sees(t, device, "(pn)")
			device.TypeText(typed)
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			var event string
			for _, m := range h.out.Take() {
				if typed != "" && strings.Contains(string(m.Payload), typed) || strings.Contains(string(m.Payload), "4711") {
					t.Errorf("a PIN is on %s: %s", m.Topic, m.Payload)
				}
				if strings.HasSuffix(m.Topic, "/event") {
					event = string(m.Payload)
				}
			}
			if !strings.Contains(event, fmt.Sprintf(`"text":null,"show":"p%d","pin_ok":%v`, i, i == 0)) {
				t.Errorf("%q: %s", typed, event)
			}
		}
		if r := h.result("snom/desk/show", `{"input":{"kind":"pin","choice":"x","pin_file":"none.pin"}}`, time.Second); r.Code != bridge.Invalid || r.Message != "pin_file: no such file" {
			t.Errorf("%+v", r)
		}
	})
}

func TestAPictureIsMadeToFit(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	if err := png.Encode(&file, image.NewNRGBA(image.Rect(0, 0, 1000, 500))); err != nil {
		t.Fatal(err)
	}
	payload := base64.StdEncoding.EncodeToString(file.Bytes())
	inPanel(t, snomtest.Config{Model: "D785"}, nil, func(h *harness, device *snomtest.Phone) {
		if r := h.result("snom/desk/show", `{"image":"`+payload+`"}`, 100*time.Millisecond); r.Code != bridge.OK || r.Argument != `{"image":"`+payload+`"}` && !strings.Contains(r.Argument, "picture of") {
			t.Errorf("%+v", r)
		}
		sees(t, device, "[imagefile]")
		h.result("snom/desk/show", `{"title":"Door","text":"Bell","image":"`+payload+`"}`, 100*time.Millisecond)
		sees(t, device, "[text] Door", "Bell", "(picture 256 x 128)")
		for fault, message := range map[string]string{
			`{"image":"iVBORw0KGgo="}`:                     "image: the PNG file cannot be read",
			`{"image":"http://192.0.2.99/secret?key=abc"}`: "image: IMAGE_HOSTS does not allow this host, or it is a phone's",
		} {
			if r := h.result("snom/desk/show", fault, 100*time.Millisecond); r.OK || r.Message != message || r.Requests != 0 {
				t.Errorf("%s: %+v", fault, r)
			}
		}
		for fault, code := range map[string]bridge.Code{
			`{"image":"http://192.0.2.99/a.png","dry_run":true}`:                          bridge.Forbidden,
			`{"input":{"kind":"pin","choice":"a","pin_file":"no.pin"},"dry_run":true}`:    bridge.Invalid,
			`{"image":"http://user:password@192.0.2.99/a.png"}`:                           bridge.Invalid,
			`{"input":{"kind":"pin","choice":"a","pin_file":"alarm.pin"},"dry_run":true}`: bridge.OK,
		} {
			if r := h.result("snom/desk/show", fault, 100*time.Millisecond); r.Code != code || strings.Contains(r.Argument+r.Message, "password@") {
				t.Errorf("%s: %+v, expected %s", fault, r, code)
			}
		}
	})
}

// TestAPhoneThatFetchesNothing gets a result all the same, which says so.
func TestAPhoneThatFetchesNothing(t *testing.T) {
	t.Parallel()
	inHarness(t, bridge.Config{Pages: &pages.Store{}, PageURL: func(context.Context, string) (string, error) {
		return "http://192.0.2.5:8088/page/desk/secret/", nil
	}}, []testPhone{{phone: snomtest.Config{Name: "desk", Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no route") }}}}, func(h *harness) {
		r := h.result("snom/desk/show", "hello", 5*time.Second)
		if r.Code != bridge.OK || r.Message != "the phone accepted it, and has not fetched the page yet: it must reach http://192.0.2.5:8088" || r.DurationMS != 2000 {
			t.Errorf("%+v", r)
		}
		r = h.result("snom/desk/show", `{"dry_run":true,"text":"x"}`, time.Second)
		for _, payload := range []string{"P1 red", "P2 off"} {
			if led := h.result("snom/desk/led", payload, 5*time.Second); led.Code != bridge.OK || !strings.HasPrefix(led.Message, "the phone accepted it, and has not fetched the page yet") {
				t.Errorf("%+v", led)
			}
		}
		if got := h.bridge.Snapshot()[0].Panel; got != nil && len(got.Lights) > 0 {
			t.Errorf("status %v of a phone that was told no lights", got.Lights)
		}
		if r.Details == nil || len(r.Would) != 1 || r.Would[0] != "/minibrowser.htm?url=http%3A%2F%2F192.0.2.5%3A8088%2Fpage%2Fdesk%2FTOKEN%2FPAGE" {
			t.Errorf("%+v", r.Details)
		}
		time.Sleep(time.Hour) // until the page ends
	})
}

func TestWithoutPagesNothingIsShown(t *testing.T) {
	t.Parallel()
	inHarness(t, bridge.Config{}, one(), func(h *harness) {
		for _, c := range []string{"show", "led"} {
			payload := map[string]string{"show": "x", "led": "P1 on"}[c]
			if r := h.result("snom/desk/"+c, payload, time.Second); r.Code != bridge.Unsupported || !strings.Contains(r.Message, "PHONE_LISTEN") {
				t.Errorf("%+v", r)
			}
		}
	})
}

// TestLightsAreSetAgain switches lights, and restarts the phone.
func TestLightsAreSetAgain(t *testing.T) {
	t.Parallel()
	inPanel(t, snomtest.Config{Model: "D735", RebootTime: time.Second}, nil, func(h *harness, device *snomtest.Phone) {
		device.Set("action_setup_url", "http://bridge.invalid:8088/a/desk/"+pageToken+"/started")
		if err := device.Plug("D7C"); err != nil {
			t.Fatal(err)
		}
		for _, payload := range []string{"P1 green", "P33 red blinkfast", "message on", "P2 orange", `{"key":"P2","color":"off"}`} {
			if r := h.result("snom/desk/led", payload, 200*time.Millisecond); r.Code != bridge.OK || (r.Message != "") != strings.Contains(payload, "P33") { // a warning: beyond its keys
				t.Errorf("%s: %+v", payload, r)
			}
		}
		expected := map[int]string{5: "green", 37: "red blinkfast", 0: "red"}
		if got := device.Lights(); fmt.Sprint(got) != fmt.Sprint(expected) {
			t.Errorf("lights %v, expected %v", got, expected)
		}
		if got := h.bridge.Snapshot()[0].Panel; got == nil || fmt.Sprint(got.Lights) != "map[P1:green P33:red blinkfast message:red]" {
			t.Errorf("status %+v", got)
		}
		device.Reboot(time.Second)
		synctest.Wait()
		if got := device.Lights(); len(got) > 0 {
			t.Errorf("lights %v of a phone that has restarted", got)
		}
		time.Sleep(5 * time.Second)
		if got := device.Lights(); fmt.Sprint(got) != fmt.Sprint(expected) {
			t.Errorf("lights %v after the restart, expected %v", got, expected)
		}
		if all := h.results(); len(all) > 0 {
			t.Errorf("results %+v, expected none: no command was sent", all)
		}
		// A phone that cannot be reached is a result.
		device.SetFault(snomtest.FaultRefuseConnects)
		h.bridge.Event("desk", actionurl.Event{Type: actionurl.EventStarted})
		time.Sleep(2 * time.Minute)
		all := h.results()
		if len(all) != 1 || all[0].Command != "led" || all[0].Code != bridge.Unreachable || all[0].Argument != "P1 green, P33 red blinkfast, message red" {
			t.Errorf("results %+v, expected one that says what was not set", all)
		}
		if got := h.bridge.Snapshot()[0].Panel; len(got.Lights) > 0 {
			t.Errorf("status %v of a phone that was told no lights since it started", got.Lights)
		}
		// What is switched meanwhile counts, and the others are tried again at the next start.
		device.SetFault("")
		h.result("snom/desk/led", "P1 orange", 200*time.Millisecond)
		if got := h.bridge.Snapshot()[0].Panel; fmt.Sprint(got.Lights) != "map[P1:orange]" {
			t.Errorf("status %v", got.Lights)
		}
		h.bridge.Event("desk", actionurl.Event{Type: actionurl.EventStarted})
		time.Sleep(5 * time.Second)
		if got := h.bridge.Snapshot()[0].Panel; fmt.Sprint(got.Lights) != "map[P1:orange P33:red blinkfast message:red]" {
			t.Errorf("status %v", got.Lights)
		}
	})
	inPanel(t, snomtest.Config{Model: "D765"}, nil, func(h *harness, device *snomtest.Phone) {
		for _, payload := range []string{"P1 on", `{"key":"P1","color":"on","dry_run":true}`} {
			if r := h.result("snom/desk/led", payload, time.Second); r.Code != bridge.Unsupported || !strings.HasPrefix(r.Message, "no source says") || !strings.Contains(r.Message, "led_offset") {
				t.Errorf("%s: %+v", payload, r)
			}
		}
	})
	inPanel(t, snomtest.Config{Model: "D865"}, func(p *bridge.PhoneConfig) { p.Model = snom.Model{} }, func(h *harness, device *snomtest.Phone) {
		if r := h.result("snom/desk/led", "P1 on", 10*time.Second); r.Code != bridge.Unsupported || strings.Contains(r.Message, "unknown model") {
			t.Errorf("%+v", r)
		}
	})
	inPanel(t, snomtest.Config{Model: "D765"}, func(p *bridge.PhoneConfig) { p.LED = 1 }, func(h *harness, device *snomtest.Phone) {
		h.result("snom/desk/led", "P3 red", time.Second)
		if got := device.Lights(); fmt.Sprint(got) != "map[3:red]" {
			t.Errorf("%v", got)
		}
	})
}

// TestAMacroShows runs a macro with a page and a light.
func TestAMacroShows(t *testing.T) {
	t.Parallel()
	inPanel(t, snomtest.Config{Model: "D735"}, nil, func(h *harness, device *snomtest.Phone) {
		r := h.result("snom/desk/run", `{"id":"m","steps":[{"show":{"menu":[{"label":"A"}]}},{"led":"P1 red"}]}`, time.Second)
		if r.Code != bridge.OK {
			t.Fatalf("%+v", r)
		}
		sees(t, device, "[menu]", "LED 5: red")
		device.Choose("A")
		time.Sleep(100 * time.Millisecond)
		if all := h.events(); len(all) != 1 || all[0]["show"] != "m" {
			t.Errorf("%v", all)
		}
	})
}
