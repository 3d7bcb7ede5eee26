package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// intercomCode is the code of the door in the tests with Node-RED.
const intercomCode = "7788"

// intercomDoor is the section of a phones file with a door that calls the phone kitchen.
func intercomDoor(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("doors:\n  front: {phone: kitchen, number: \"**64\", code: %q, hold: 1s, camera: {url: %q, username: view, password: %q}}\n",
		intercomCode, startCamera(t), gardenPassword)
}

// playIntercom: the flow says that the door rings, once, passes its picture on, and opens it in an answered call only.
func playIntercom(t *testing.T, m *mosquitto, p *phones, n *nodeRED) {
	t.Helper()
	type opened struct {
		Opened        bool
		Code, Message string
	}
	rings, answers := m.watch("home/intercom/ring"), m.watch("home/intercom/opened")
	p.play("phone-1/hangup")
	p.play("phone-1/ring?number=**64&name=Visitor")
	ring := decode[struct{ Door, Phone, Caller string }](t, rings.on("home/intercom/ring", 1)[0].Payload)
	if ring.Door != "front" || ring.Phone != "kitchen" || ring.Caller != "**64" {
		t.Errorf("the flow says %+v", ring)
	}
	eventually(t, "the picture", func() bool {
		return strings.HasPrefix(retained(t, m.addr(), "home/intercom/picture", login{}), "\xff\xd8")
	})
	before := p.targets("phone-1")
	answer := func(nth int) opened {
		t.Helper()
		n.press("Open the intercom's door")
		return decode[opened](t, answers.on("home/intercom/opened", nth)[nth-1].Payload)
	}
	if got, want := answer(1), (opened{false, "forbidden", "no call with the front door"}); got != want {
		t.Errorf("while it rings: %+v, expected %+v", got, want)
	}
	p.play("phone-1/answer")
	eventually(t, "the call is connected", func() bool {
		return strings.Contains(retained(t, m.addr(), "snom/front/state", login{}), `"state":"connected"`)
	})
	if got, want := answer(2), (opened{true, "ok", ""}); got != want {
		t.Errorf("in the call: %+v, expected %+v", got, want)
	}
	p.did("phone-1", append(slices.Clone(before), "/command.htm?key_dtmf="+intercomCode)...)
	p.play("phone-1/remote-hangup")
	if all := rings.messages(); len(all) != 1 {
		t.Errorf("%d rings, expected one", len(all))
	}
}
