package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/bridge"
)

// TestDisplayOverSIP shows pages and sets lights of a D862 by NOTIFY: a short page is in the NOTIFY itself, a long one is fetched
// from the bridge, and what is chosen, and what the phone is asked, comes back.
func TestDisplayOverSIP(t *testing.T) {
	t.Parallel()
	m := startMosquitto(t)
	phone := startSIPPhone(t, "--trust", "127.0.0.1", "--control", "127.0.0.1:0")
	control := ""
	phone.until("the address of the control", func(_, log []string) bool {
		for _, line := range log {
			if url, ok := strings.CutPrefix(line, "control "); ok {
				control = url
			}
		}
		return control != ""
	})
	listen := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	m.startBridge(t, append(phoneEnv(0, "kitchen", "sip:27@"+phone.at, "MODEL=D862"), "SNOM2MQTT_PHONE_LISTEN="+listen)...)
	results, events := m.watch("snom/kitchen/result"), m.watch("snom/kitchen/event")
	n := 0
	send := func(command, payload string) (r bridge.Result) {
		t.Helper()
		m.publish("snom/kitchen/"+command, payload)
		n++
		r = decode[bridge.Result](t, results.on("snom/kitchen/result", n)[n-1].Payload)
		if r.Code != bridge.OK || r.HTTPStatus != 200 || r.Requests != 1 {
			t.Errorf("%s: %+v", command, r)
		}
		return r
	}
	screen := func() string { _, text := get(t, control+"/phones/phone/screen", ""); return text }
	shows := func(text string) {
		t.Helper()
		eventually(t, text+" is on the screen", func() bool { return strings.Contains(screen(), text) })
	}
	inNotify := func(text string) bool {
		return slices.ContainsFunc(phone.stdout(), func(line string) bool { return strings.Contains(line, text) })
	}
	notified := func(text string) { // the phone prints it in another process
		t.Helper()
		eventually(t, text+" is in a NOTIFY", func() bool { return inNotify(text) })
	}

	send("show", `{"text":"Washer <done> & dry","hold":true}`)
	shows("Washer <done> & dry")
	notified("Washer ")
	long := "begin " + strings.Repeat("0123456789 ", 80) + "end"
	send("show", fmt.Sprintf(`{"text":%q,"hold":true}`, long))
	shows(long)
	notified("http://" + listen + "/page/kitchen/")
	if inNotify("begin 0123") {
		t.Error("a long page is in the NOTIFY, expected its address")
	}
	send("show", `{"id":"house","menu":[{"label":"Gate","choice":"gate"},{"label":"Light"}]}`)
	shows("1 Gate")
	reply, err := http.Post(control+"/phones/phone/choose?item=Gate", "", nil)
	if err != nil || reply.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", reply, err)
	}
	reply.Body.Close()
	if e := events.on("snom/kitchen/event", 1)[0].Payload; !strings.Contains(e, `"choice":"gate"`) || !strings.Contains(e, `"show":"house"`) {
		t.Errorf("event %s", e)
	}
	m.publish("snom/kitchen/dnd", "on")
	n++
	if r := decode[bridge.Result](t, results.on("snom/kitchen/result", n)[n-1].Payload); r.Code != bridge.Refused || strings.Contains(r.Message, "admin_mode") || !strings.Contains(r.Message, "toggle") {
		t.Errorf("dnd on, whose state is not known: %+v", r)
	}
	send("led", "P1 red blink")
	shows("LED 5: red blink")
	if r := send("ask", ""); r.Details == nil || r.Asked == nil || r.Asked.DND != bridge.SwitchOff || r.Asked.Calls["all"] != 0 {
		t.Errorf("%+v", r)
	}
	send("show", "")
	shows("(idle)")
	if text := screen(); strings.Contains(text, "! ") {
		t.Errorf("the phone objects:\n%s", text)
	}
}
