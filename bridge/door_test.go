package bridge_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// front is a door that the phones open.
func front(t *testing.T, phones ...string) bridge.DoorConfig {
	t.Helper()
	code, err := snom.DTMF(doorCode)
	if err != nil {
		t.Fatal(err)
	}
	return bridge.DoorConfig{Name: "front", Phones: phones, Number: "**61", Code: code, Hold: 5 * time.Second}
}

// phoneWithDoor is a single phone with a door, which set may change.
func phoneWithDoor(t *testing.T, set func(*bridge.DoorConfig)) []testPhone {
	d := front(t, "desk")
	if set != nil {
		set(&d)
	}
	phones := one()
	phones[0].doors = []bridge.DoorConfig{d}
	return phones
}

// sentCodes is how many requests with the code the phone called name has carried out.
func (h *harness) sentCodes(name string) (n int) {
	for _, r := range h.phones[name].Requests() {
		if r.Executed && strings.Contains(r.Target, doorCode) {
			n++
		}
	}
	return n
}

// states are the states of a door among messages, in order.
func states(t *testing.T, messages []mqtt.Message) (all []string) {
	t.Helper()
	for _, m := range messages {
		if m.Topic != "snom/front/state" {
			continue
		}
		var s bridge.DoorStatus
		if err := json.Unmarshal(m.Payload, &s); err != nil || !m.Retained {
			t.Errorf("%s: %v, retained %v", m.Payload, err, m.Retained)
		}
		if len(all) == 0 || all[len(all)-1] != string(s.State) {
			all = append(all, string(s.State))
		}
	}
	return all
}

// checkNoCode fails when the code is in a message or in the log.
func (h *harness) checkNoCode(messages []mqtt.Message) {
	h.t.Helper()
	for _, m := range messages {
		if strings.Contains(string(m.Payload), doorCode) {
			h.t.Errorf("%s: the code is in it", m.Topic)
		}
	}
	if strings.Contains(h.log.String(), doorCode) {
		h.t.Error("the code is in the log")
	}
}

func TestDoorOpensInItsCall(t *testing.T) {
	t.Parallel()
	inHarness(t, bridge.Config{Events: true}, phoneWithDoor(t, nil), func(h *harness) {
		if r := h.result("snom/front/open", `{"id":"idle"}`, time.Second); r.Code != bridge.Forbidden || r.Message != "no call with the front door" ||
			r.Command != "open" || r.Phone != "desk" || r.Details == nil || r.Door != "front" {
			t.Errorf("without a call: %+v", r)
		}
		h.event(actionurl.EventIncoming, "1")
		if r := h.result("snom/front/open", "", time.Second); r.Code != bridge.Forbidden {
			t.Errorf("while it rings: %+v", r)
		}
		h.event(actionurl.EventConnected, "1")
		synctest.Wait()
		h.out.Take()
		if r := h.result("snom/front/open", `{"dry_run":true}`, time.Second); r.Code != bridge.OK || fmt.Sprint(r.Would) != "[/command.htm?key_dtmf=***]" {
			t.Errorf("dry run: %+v %+v", r, r.Details)
		}
		if n := h.sentCodes("desk"); n != 0 {
			t.Fatalf("the code was sent %d times", n)
		}
		h.say("snom/front/open", `{"id":"now"}`)
		h.say("snom/front/open", `{"id":"now"}`)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		messages := h.out.Take()
		all := h.resultsOf(messages)
		if len(all) != 2 || all[0].Code != bridge.OK || all[0].Requests == 0 || all[1].Code != bridge.Duplicate || h.sentCodes("desk") != 1 {
			t.Errorf("%+v, the code was sent %d times", all, h.sentCodes("desk"))
		}
		for _, m := range messages {
			if strings.HasSuffix(m.Topic, "/result") && m.Topic != "snom/front/result" {
				t.Errorf("a result on %s", m.Topic)
			}
		}
		if got := states(t, messages); !slices.Equal(got, []string{"opening", "open", "locked"}) {
			t.Errorf("the door was %q", got)
		}
		h.checkNoCode(messages)
		if doors := h.bridge.Doors(); len(doors) != 1 || doors[0].State != bridge.DoorLocked || doors[0].Call == nil || doors[0].Call.Phone != "desk" ||
			doors[0].LastOpened.IsZero() || doors[0].LastRing.IsZero() {
			t.Errorf("%+v", doors)
		}
		h.event(actionurl.EventDisconnected, "1")
		if r := h.result("snom/front/open", "", time.Second); r.Code != bridge.Forbidden {
			t.Errorf("after the call: %+v", r)
		}
	})
}

// TestDoorIsKnownByItsNumber: as people write it, and never by a name.
func TestDoorIsKnownByItsNumber(t *testing.T) {
	t.Parallel()
	party := func(number, name, uri string) actionurl.Party {
		return actionurl.Party{Number: number, Name: name, URI: uri}
	}
	for _, tt := range []struct {
		number, country string
		remote          actionurl.Party
		opens           bool
	}{
		{"**61", "", party("**61", "", ""), true},
		{"**61", "", party("**61", "Front door", "sip:**61@pbx.example"), true},
		{"**61", "", party("", "", "sip:**61@pbx.example"), true},
		{"**61", "", party("27", "**61", "sip:27@pbx.example"), false},
		{"**61", "", party("", "**61", ""), false},
		{"**61", "", party("**610", "", ""), false},
		{"**61", "", party("", "", ""), false},
		{"61", "", party("**61", "", ""), false},
		{"+49 30 123-456", "", party("+4930123456", "", ""), true},
		{"+4930123456", "", party("004930123456", "", ""), false},
		{"+4930123456", "49", party("004930123456", "", ""), true},
		{"004930123456", "49", party("+4930123456", "", ""), true},
		{"030123456", "49", party("+49 (30) 123456", "", ""), true},
		{"+4930123456", "49", party("030123456", "", ""), true},
		{"+4330123456", "49", party("030123456", "", ""), false},
		{"61", "49", party("61", "", ""), true},
		{"0", "49", party("+49", "", ""), false},
		{"+12125550100", "1", party("01112125550100", "", ""), true},
		{"sip:door@pbx.example", "", party("door", "", "sip:door@pbx.example;transport=tcp"), true},
		{"door@pbx.example", "", party("door", "", "sip:door@PBX.example"), true},
		{"door@pbx.example", "", party("door", "", "sip:door@evil.example"), false},
		{"door@pbx.example", "", party("door", "", ""), false},
	} {
		phones := phoneWithDoor(t, func(d *bridge.DoorConfig) { d.Number, d.Country = tt.number, tt.country })
		inHarness(t, bridge.Config{Events: true}, phones, func(h *harness) {
			h.bridge.Event("desk", actionurl.Event{Type: actionurl.EventConnected, CallID: "1", Remote: tt.remote, Time: time.Now()})
			r := h.result("snom/front/open", "", time.Second)
			if opens := r.Code == bridge.OK; opens != tt.opens || !opens && r.Code != bridge.Forbidden {
				t.Errorf("number %s, country %q, call with %+v: %s", tt.number, tt.country, tt.remote, r.Code)
			}
		})
	}
}

// A slowPhone takes a while before a request is on its way.
type slowPhone struct {
	bridge.Phone
	wait func() time.Duration
}

func (p slowPhone) Send(ctx context.Context, s snom.Step) (snom.Reply, error) {
	time.Sleep(p.wait())
	return p.Phone.Send(ctx, s)
}

// TestDoorLaws: whatever happens to calls while the door is being opened, it gets at most one code for each command, none
// outside a connected call with it, and none after the command has expired.
func TestDoorLaws(t *testing.T) {
	t.Parallel()
	opened, refused := 0, 0
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 12))
			var mu sync.Mutex // guards what follows, which the phone's goroutines read
			inCall, changed, codes, expires := false, time.Time{}, 0, time.Time{}
			delays := rand.New(rand.NewPCG(seed, 13)) // of the lane alone
			phones := phoneWithDoor(t, func(d *bridge.DoorConfig) { d.Call = seed%4 == 0 })
			phones[0].phone.FaultOf = func(r snomtest.Request) snomtest.Fault {
				if !strings.Contains(r.Target, doorCode) {
					return ""
				}
				mu.Lock()
				defer mu.Unlock()
				now := time.Now()
				if codes++; !inCall && now != changed {
					t.Errorf("seed %d: the code was sent outside a call with the door", seed)
				}
				if now.After(expires) {
					t.Errorf("seed %d: the code was sent %v after the command expired", seed, now.Sub(expires))
				}
				return ""
			}
			phones[0].phone.Auth = snomtest.AuthDigest
			phones[0].set = func(c *bridge.PhoneConfig) {
				c.Phone = slowPhone{c.Phone, func() time.Duration { return time.Duration(delays.IntN(400)) * time.Millisecond }}
			}
			h := newHarness(t, bridge.Config{Events: true, Gap: 50 * time.Millisecond}, phones, nil)
			commands := 0
			for i := range 40 {
				id := fmt.Sprint(i / 3) // events of a call come twice and out of order
				remote := "**61"
				kind := []actionurl.EventType{actionurl.EventIncoming, actionurl.EventConnected, actionurl.EventDisconnected, actionurl.EventHold, actionurl.EventUnhold, actionurl.EventOutgoing}[random.IntN(6)]
				if random.IntN(8) == 0 {
					remote = "27"
				}
				mu.Lock()
				h.bridge.Event("desk", actionurl.Event{Type: kind, CallID: id, Remote: actionurl.Party{Number: remote}, Time: time.Now()})
				inCall, changed = false, time.Now()
				if doors := h.bridge.Doors(); doors[0].Call != nil && doors[0].Call.State == "connected" {
					inCall = true
				}
				mu.Unlock()
				if random.IntN(3) == 0 {
					within := time.Duration(100+random.IntN(900)) * time.Millisecond
					mu.Lock()
					if e := time.Now().Add(within); e.After(expires) {
						expires = e
					}
					mu.Unlock()
					commands++
					h.say("snom/front/open", fmt.Sprintf(`{"id":"%d","expires_in":%g}`, commands, within.Seconds()))
				}
				time.Sleep(time.Duration(random.IntN(300))*time.Millisecond + time.Microsecond*time.Duration(1+random.IntN(900)))
			}
			time.Sleep(5 * time.Minute)
			synctest.Wait()
			messages := h.out.Take()
			answers := map[string]int{}
			ok := 0
			for _, r := range h.resultsOf(messages) {
				answers[r.ID]++
				if r.Command == "open" && r.Code == bridge.OK {
					ok++
				}
			}
			for i := range commands {
				if n := answers[fmt.Sprint(i+1)]; n != 1 {
					t.Errorf("seed %d: command %d was answered %d times", seed, i+1, n)
				}
			}
			if n := h.sentCodes("desk"); n > commands || n < ok {
				t.Errorf("seed %d: %d codes for %d commands, of which %d were ok", seed, n, commands, ok)
			}
			h.checkNoCode(messages)
			opened, refused = opened+ok, refused+commands-ok
			h.stop()
			synctest.Wait()
		})
	}
	if opened < 20 || refused < 100 {
		t.Errorf("%d opened, %d refused: the test does not try enough", opened, refused)
	}
}

// TestDoorCallEndsBetweenCheckAndSend: the call is checked again immediately before the code is sent.
func TestDoorCallEndsBetweenCheckAndSend(t *testing.T) {
	t.Parallel()
	for _, ends := range []actionurl.EventType{actionurl.EventDisconnected, actionurl.EventHold} {
		phones := phoneWithDoor(t, nil)
		phones[0].set = func(c *bridge.PhoneConfig) { c.Phone = farPhone{c.Phone} }
		inHarness(t, bridge.Config{Events: true}, phones, func(h *harness) {
			h.event(actionurl.EventConnected, "1")
			h.say("snom/front/open", `{"id":"o"}`)
			time.Sleep(200 * time.Millisecond)
			h.event(ends, "1")
			time.Sleep(10 * time.Second)
			synctest.Wait()
			messages := h.out.Take()
			all := h.resultsOf(messages)
			if len(all) != 1 || all[0].Code != bridge.Forbidden || !strings.Contains(all[0].Message, "ended before the code was sent") || h.sentCodes("desk") != 0 {
				t.Errorf("%s: %+v, %d codes", ends, all, h.sentCodes("desk"))
			}
			if got := states(t, messages); !slices.Equal(got, []string{"locked", "opening", "failed", "locked"}) {
				t.Errorf("%s: the door was %q", ends, got)
			}
		})
	}
}

// TestDoorOpensByACall: with call, the phone calls the door, sends the code and hangs up.
func TestDoorOpensByACall(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		events  []actionurl.EventType // a second apart
		payload string
		code    bridge.Code
		sent    []string
	}{
		{"it answers", []actionurl.EventType{actionurl.EventOutgoing, actionurl.EventConnected}, "", bridge.OK,
			[]string{"/command.htm?number=%2A%2A61", "/command.htm?key_dtmf=" + doorCode, "/command.htm?RELEASE_ALL_CALLS"}},
		{"it does not answer", []actionurl.EventType{actionurl.EventOutgoing}, `{"expires_in":120}`, bridge.Unmet,
			[]string{"/command.htm?number=%2A%2A61", "/command.htm?RELEASE_ALL_CALLS"}},
		{"too late", []actionurl.EventType{actionurl.EventOutgoing, actionurl.EventOutgoing, actionurl.EventConnected}, `{"expires_in":2.5}`, bridge.Expired,
			[]string{"/command.htm?number=%2A%2A61", "/command.htm?RELEASE_ALL_CALLS"}},
		{"it is busy", []actionurl.EventType{actionurl.EventOutgoing, actionurl.EventDisconnected}, `{"expires_in":120}`, bridge.Unmet,
			[]string{"/command.htm?number=%2A%2A61", "/command.htm?RELEASE_ALL_CALLS"}},
	} {
		inHarness(t, bridge.Config{Events: true}, phoneWithDoor(t, func(d *bridge.DoorConfig) { d.Call = true }), func(h *harness) {
			h.say("snom/front/open", tt.payload)
			for _, kind := range tt.events {
				time.Sleep(time.Second)
				h.event(kind, "1")
			}
			time.Sleep(3 * time.Minute)
			all := h.results()
			if len(all) != 1 || all[0].Code != tt.code || !slices.Equal(h.pressed("desk"), tt.sent) {
				t.Errorf("%s: %+v, the phone did %q", tt.name, all, h.pressed("desk"))
			}
		})
	}
	inHarness(t, bridge.Config{Events: true}, phoneWithDoor(t, func(d *bridge.DoorConfig) { d.Call = true }), func(h *harness) {
		h.bridge.Event("desk", actionurl.Event{Type: actionurl.EventConnected, CallID: "9", Remote: actionurl.Party{Number: "27"}, Time: time.Now()})
		if r := h.result("snom/front/open", "", time.Minute); r.Code != bridge.Forbidden || len(h.pressed("desk")) != 0 {
			t.Errorf("in another call: %+v", r)
		}
	})
}

// TestDoorOpensWhileItRings: with call, the phone answers the call of the door, sends the code and hangs up.
func TestDoorOpensWhileItRings(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		remote string
		then   []actionurl.EventType // a second after the command
		code   bridge.Code
		sent   []string
	}{
		{"it is answered", "**61", nil, bridge.OK, []string{"/command.htm?key=ENTER", "/command.htm?key_dtmf=" + doorCode, "/command.htm?RELEASE_ALL_CALLS"}},
		{"it has ended", "**61", []actionurl.EventType{actionurl.EventMissed}, bridge.Unmet, []string{"/command.htm?key=ENTER"}},
		{"another call rings", "27", nil, bridge.Forbidden, nil},
	} {
		phones := phoneWithDoor(t, func(d *bridge.DoorConfig) { d.Call = true })
		phones = append(phones, testPhone{phone: snomtest.Config{Name: "hall"}})
		phones[0].doors[0].Phones = []string{"hall", "desk"} // it rings at the second one
		if len(tt.then) > 0 {
			phones[0].set = func(c *bridge.PhoneConfig) {
				c.Phone = slowPhone{c.Phone, func() time.Duration { return 2 * time.Second }}
			}
		}
		inHarness(t, bridge.Config{Events: true}, phones, func(h *harness) {
			if tt.remote == "27" {
				h.bridge.Event("hall", actionurl.Event{Type: actionurl.EventIncoming, CallID: "0", Remote: actionurl.Party{Number: "27"}, Time: time.Now()})
			}
			h.bridge.Event("desk", actionurl.Event{Type: actionurl.EventIncoming, CallID: "1", Direction: actionurl.DirectionIn, Remote: actionurl.Party{Number: tt.remote}, Time: time.Now()})
			h.say("snom/front/open", `{"expires_in":60}`)
			time.Sleep(time.Second)
			for _, kind := range tt.then {
				h.event(kind, "1")
			}
			time.Sleep(2 * time.Minute)
			all := h.results()
			if len(all) != 1 || all[0].Code != tt.code || !slices.Equal(h.pressed("desk"), tt.sent) || len(h.pressed("hall")) != 0 {
				t.Errorf("%s: %+v, the phones did %q, %q", tt.name, all, h.pressed("desk"), h.pressed("hall"))
			}
		})
	}
}

// TestDoorRingsOnce: a call of several phones, and an event that comes late or twice, is one ring.
func TestDoorRingsOnce(t *testing.T) {
	t.Parallel()
	phones := []testPhone{{phone: snomtest.Config{Name: "desk"}}, {phone: snomtest.Config{Name: "hall"}}, {phone: snomtest.Config{Name: "attic"}}}
	d := front(t, "desk")
	d.ChimeAt = []string{"hall", "no_such"}
	var err error
	if d.Chime, err = snom.ParseCommand(`ring {"ringer":3,"count":2}`); err != nil {
		t.Fatal(err)
	}
	phones[0].doors = []bridge.DoorConfig{d}
	inHarness(t, bridge.Config{Events: true}, phones, func(h *harness) {
		call := func(phone, number, id string) {
			h.bridge.Event(phone, actionurl.Event{Type: actionurl.EventIncoming, CallID: id, Remote: actionurl.Party{Number: number}, Time: time.Now()})
		}
		rings := func(expected int, what string) {
			t.Helper()
			time.Sleep(10 * time.Second)
			synctest.Wait()
			n := 0
			for _, m := range h.out.Take() {
				if m.Topic == "snom/front/event" {
					var r bridge.DoorRing
					if err := json.Unmarshal(m.Payload, &r); err != nil || r.EventType != "ring" || r.Door != "front" || m.Retained {
						t.Errorf("%s: %v", m.Payload, err)
					}
					n++
				}
			}
			if n != expected {
				t.Errorf("%s: %d rings, expected %d", what, n, expected)
			}
		}
		call("desk", "27", "0")
		rings(0, "another caller")
		call("desk", "**61", "1")
		call("hall", "**61", "2")
		time.Sleep(5 * time.Second)
		call("attic", "**61", "3")
		call("desk", "**61", "1")
		rings(1, "three phones, late and twice")
		if got := h.pressed("hall"); !slices.Equal(got, []string{"/line_login.htm?PLAY_RINGER:3=+Ringer", "/line_login.htm?PLAY_RINGER:3=+Ringer"}) {
			t.Errorf("the chime: %q", got)
		}
		call("attic", "**61", "4")
		rings(1, "again, at a phone that is none of the door's")
	})
}

// A testCamera gives a picture after a while.
type testCamera struct {
	wait time.Duration
	err  error
}

func (c testCamera) Picture(ctx context.Context) ([]byte, error) {
	select {
	case <-time.After(c.wait):
		return []byte("\xff\xd8picture"), c.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c testCamera) Scaled(ctx context.Context, width, height int) ([]byte, error) {
	if _, err := c.Picture(ctx); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, width, height)), nil)
	return b.Bytes(), err
}

func (c testCamera) Stream(ctx context.Context, w io.Writer, width, height int) error {
	for {
		picture, err := c.Scaled(ctx, width, height)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "--x\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n", len(picture), picture); err != nil {
			return err
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (testCamera) StreamType() string { return "multipart/x-mixed-replace; boundary=x" }

// TestDoorPicture: the picture comes after the ring, and a camera that is slow or off delays nothing.
func TestDoorPicture(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		camera   testCamera
		pictures int
	}{
		{testCamera{wait: time.Second}, 1}, {testCamera{wait: time.Hour}, 0}, {testCamera{err: context.DeadlineExceeded}, 0},
	} {
		inHarness(t, bridge.Config{Events: true}, phoneWithDoor(t, func(d *bridge.DoorConfig) { d.Camera = tt.camera }), func(h *harness) {
			h.event(actionurl.EventIncoming, "1")
			h.event(actionurl.EventConnected, "1")
			if r := h.result("snom/front/open", "", 500*time.Millisecond); r.Code != bridge.OK {
				t.Errorf("%+v: %+v", tt.camera, r)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			n := 0
			for _, m := range h.out.Take() {
				if m.Topic == "snom/front/image" {
					n++
					if !m.Retained || string(m.Payload) != "\xff\xd8picture" {
						t.Errorf("%q, retained %v", m.Payload, m.Retained)
					}
				}
			}
			if n != tt.pictures || (h.bridge.DoorPicture("front") != nil) != (n == 1) {
				t.Errorf("%+v: %d pictures", tt.camera, n)
			}
		})
	}
}

// TestDoorAfterARestart: a call that was under way before the bridge started opens no door, since it may be over.
func TestDoorAfterARestart(t *testing.T) {
	t.Parallel()
	inHarness(t, bridge.Config{Events: true}, phoneWithDoor(t, nil), func(h *harness) {
		h.event(actionurl.EventConnected, "1")
		synctest.Wait()
		var status []byte
		for _, m := range h.out.Take() {
			if m.Topic == "snom/desk/status" {
				status = m.Payload
			}
		}
		second := newHarness(h.t, bridge.Config{Events: true, Process: "second"}, phoneWithDoor(t, nil), nil)
		defer second.stop()
		second.bridge.Handle(second.tree.Read("snom/desk/status"), mqtt.Message{Topic: "snom/desk/status", Payload: status, Retained: true})
		if s := second.bridge.Snapshot()[0]; s.Call.State != "connected" {
			t.Fatalf("restored %+v", s.Call)
		}
		if r := second.result("snom/front/open", "", time.Second); r.Code != bridge.Forbidden || second.sentCodes("desk") != 0 {
			t.Errorf("%+v", r)
		}
		second.event(actionurl.EventConnected, "2") // another call with the door: the first one ended while no bridge ran
		if r := second.result("snom/front/open", "", time.Second); r.Code != bridge.OK || second.sentCodes("desk") != 1 {
			t.Errorf("in the next call: %+v", r)
		}
		second.event(actionurl.EventDisconnected, "2")
		second.event(actionurl.EventUnhold, "1") // the phone says that it is still there
		if r := second.result("snom/front/open", "", time.Second); r.Code != bridge.OK {
			t.Errorf("%+v", r)
		}
	})
}

// TestDoorCommandsThatAreRefused, each with one result on the topic of the door.
func TestDoorCommandsThatAreRefused(t *testing.T) {
	t.Parallel()
	inHarness(t, bridge.Config{Events: true}, phoneWithDoor(t, nil), func(h *harness) {
		h.event(actionurl.EventConnected, "1")
		synctest.Wait()
		for _, tt := range []struct {
			command, payload string
			retained         bool
			code             bridge.Code
		}{
			{"open", "now", false, bridge.Invalid}, {"open", `{"code":"1"}`, false, bridge.Invalid}, {"open", `{"id":`, false, bridge.Invalid},
			{"open", `{"expires_at":"2000-01-01T00:00:00Z"}`, false, bridge.Expired}, {"open", "", true, bridge.Retained},
			{"close", "", false, bridge.Invalid}, {"dtmf", "1", false, bridge.Invalid}, {"open", strings.Repeat(" ", 20000), false, bridge.Invalid},
		} {
			h.out.Take()
			h.bridge.Handle(h.tree.Read("snom/front/"+tt.command), mqtt.Message{Topic: "snom/front/" + tt.command, Payload: []byte(tt.payload), Retained: tt.retained})
			time.Sleep(time.Second)
			all := h.results()
			if len(all) != 1 || all[0].Code != tt.code || h.sentCodes("desk") != 0 {
				t.Errorf("%s %.40q: %+v", tt.command, tt.payload, all)
			}
		}
	})
	inHarness(t, bridge.Config{}, phoneWithDoor(t, nil), func(h *harness) {
		h.say("snom/front/state", `{"door":"front"}`) // its own state, as the broker delivers it
		if all := h.results(); len(all) != 0 {
			t.Errorf("its own state was answered: %+v", all)
		}
		if r := h.result("snom/front/open", "", time.Second); r.Code != bridge.Unsupported || !strings.Contains(r.Message, "PHONE_LISTEN") {
			t.Errorf("without events: %+v", r)
		}
	})
}

// TestDoorReload: a door keeps what is known of it, and leaves nothing behind when it is removed.
func TestDoorReload(t *testing.T) {
	t.Parallel()
	inHarness(t, bridge.Config{Events: true}, phoneWithDoor(t, nil), func(h *harness) {
		h.event(actionurl.EventConnected, "1")
		if r := h.result("snom/front/open", `{"id":"a"}`, time.Second); r.Code != bridge.OK {
			t.Fatalf("%+v", r)
		}
		phone := bridge.PhoneConfig{Name: "desk", URL: h.bridge.Phones()[0].URL, Phone: h.bridge.Phones()[0].Phone, Fingerprint: "x"}
		h.roster = bridge.Roster{Phones: []bridge.PhoneConfig{phone}, Doors: []bridge.DoorConfig{front(t, "desk")}}
		if err := h.reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !slices.ContainsFunc(h.out.Take(), func(m mqtt.Message) bool { return m.Topic == "snom/front/image" && m.Retained && len(m.Payload) == 0 }) {
			t.Error("the picture of an earlier camera was not cleared")
		}
		if r := h.result("snom/front/open", `{"id":"a"}`, time.Second); r.Code != bridge.Duplicate || h.sentCodes("desk") != 1 {
			t.Errorf("the same id after a reload: %+v", r)
		}
		h.roster.Doors = nil
		synctest.Wait()
		h.out.Take()
		if err := h.reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		cleared := map[string]bool{}
		for _, m := range h.out.Take() {
			if strings.HasPrefix(m.Topic, "snom/front/") && m.Retained && len(m.Payload) == 0 {
				cleared[m.Topic] = true
			}
		}
		if len(cleared) != 3 {
			t.Errorf("cleared %v, expected state, availability and image", cleared)
		}
		h.say("snom/front/state", "") // as the broker delivers what the bridge published
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, m := range h.out.Take() {
			if strings.HasPrefix(m.Topic, "snom/front/") || strings.HasSuffix(m.Topic, "/bridge/result") {
				t.Errorf("%s %s after the door was removed", m.Topic, m.Payload)
			}
		}
	})
}
