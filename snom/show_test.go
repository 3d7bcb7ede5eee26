package snom_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// TestShowRefuses makes sure that what a page cannot hold is refused with its place.
func TestShowRefuses(t *testing.T) {
	t.Parallel()
	for payload, field := range map[string]string{
		`{"image":"snom://mb_exit"}`: "image", `{"image":"ftp://h/a.png"}`: "image", `{"image":"http://"}`: "image", `{"image":"http://h/a b"}`: "image",
		`{"image":"aGVsbG8="}`: "image", `{"duration":0}`: "duration", `{"duration":3601}`: "duration", `{"duration":5,"hold":true}`: "duration",
		`{"hold":"yes"}`: "hold", `{"menu":[{"choice":"x"}]}`: "menu[0].label", `{"menu":[{"label":""}]}`: "menu[0].label", `{"menu":{}}`: "menu",
		`{"menu":[{"label":"a","url":"x"}]}`: "menu[0]", `{"input":{}}`: "input.choice", `{"input":{"choice":"x","kind":"secret"}}`: "input.kind",
		`{"input":{"choice":"x","kind":"pin"}}`: "input.pin_file", `{"input":{"choice":"x","pin_file":"a"}}`: "input.pin_file",
		`{"input":{"choice":"x","kind":"pin","pin_file":"../a"}}`: "input.pin_file", `{"input":{"choice":"x","kind":"pin","pin_file":".env"}}`: "input.pin_file",
		`{"buttons":{"F5":{"label":"x"}}}`: "buttons", `{"buttons":{"F1":{}}}`: "buttons.F1.label", `{"buttons":[]}`: "buttons",
		`{"menu":[{"label":"a"}],"input":{"choice":"x"}}`: "input", `{"image":"http://h/a","menu":[{"label":"a"}]}`: "image",
		`{"title":"` + strings.Repeat("x", 201) + `"}`: "title", `{"txt":"a"}`: "",
	} {
		_, err := snom.ParsePayload(snom.VerbShow, []byte(payload))
		if err == nil {
			t.Errorf("%s: expected an error", payload)
			continue
		}
		if got := syntaxError(t, err); got.Field != field {
			t.Errorf("%s: field %q, expected %q: %v", payload, got.Field, field, err)
		}
	}
}

func TestShowIsDecoded(t *testing.T) {
	t.Parallel()
	c := commandOf(t, `show {"title":"T","text":"x","duration":60,"buttons":{"F2":{"label":"No"},"F1":{"label":"Yes","choice":"y"}}}`)
	s, ok := c.Show()
	if !ok || s.Title != "T" || s.Text != "x" || s.Duration != time.Minute || len(s.Buttons) != 2 || s.Buttons[0] != (snom.Button{Key: "F1", Choice: snom.Choice{Label: "Yes", Choice: "y"}}) {
		t.Errorf("%+v, %v", s, ok)
	}
	if s, ok := commandOf(t, "show hi").Show(); !ok || s.Text != "hi" || s.Duration != 10*time.Second || s.Closes() {
		t.Errorf("%+v, %v", s, ok)
	}
	if s, ok := snom.CloseDisplay().Show(); !ok || !s.Closes() {
		t.Errorf("%+v, %v", s, ok)
	}
	if _, ok := snom.Hangup().Show(); ok {
		t.Error("a hangup shows something")
	}
	if c, err := snom.ShowText("{x}"); err != nil || c.Argument() != `{"text":"{x}"}` {
		t.Errorf("%v, %v", c, err)
	}
}

// TestAPictureMayBeLong gives a show command as much as it may have, and other commands as much.
func TestAPictureMayBeLong(t *testing.T) {
	t.Parallel()
	picture := append([]byte("\x89PNG"), bytes.Repeat([]byte{7}, 190_000)...)
	payload := []byte(`{"text":"Bell","image":"` + base64.StdEncoding.EncodeToString(picture) + `"}`)
	c, err := snom.ParsePayload(snom.VerbShow, payload)
	if err != nil {
		t.Fatal(err)
	}
	if s, _ := c.Show(); !bytes.Equal(s.Image, picture) {
		t.Errorf("a picture of %d bytes, expected %d", len(s.Image), len(picture))
	}
	if got := c.Shown(); got != `{"text":"Bell","image":"(a picture of 190004 bytes)"}` {
		t.Errorf("shown as %.100q", got)
	}
	if again := commandOf(t, c.String()); again != c {
		t.Error("its text form is another command")
	}
	if _, err := snom.ParsePayload(snom.VerbDial, payload); err == nil || !strings.Contains(err.Error(), "16384 bytes") {
		t.Errorf("a long dial: %v", err)
	}
	if _, err := snom.ParsePayload(snom.VerbShow, make([]byte, snom.MaxShowPayload+1)); err == nil || !strings.Contains(err.Error(), "262144 bytes") {
		t.Errorf("a show beyond its bound: %v", err)
	}
}

func TestLEDs(t *testing.T) {
	t.Parallel()
	for _, state := range snom.LEDs() {
		c := commandOf(t, "led P5 "+state)
		l, ok := c.LED()
		if !ok || l.State() != state || l.Key != "P5" {
			t.Errorf("led P5 %s is %+v, %v", state, l, ok)
		}
		if again, err := snom.SetLED(l); err != nil || again != c {
			t.Errorf("SetLED(%+v) = %v, %v", l, again, err)
		}
	}
	for _, wrong := range []string{"", "P5", "P0 on", "P301 on", "F1 on", "P5 blue", "P5 red slow", "P5 off blink", "P5 redgreen", "P5 red blink now", "message", "0 on"} {
		if c, err := snom.ParsePayload(snom.VerbLED, []byte(wrong)); err == nil {
			t.Errorf("%q is %v, expected an error", wrong, c)
		} else {
			checkError(t, err)
		}
	}
	for model, first := range map[string]int{"D713": 1, "D335": 2, "D385": 2, "D717": 5, "D735": 5, "D785": 5, "D862": 5, "D865": 5, "D765": 0, "320": 0} {
		m, _ := snom.FindModel(model)
		if m.LED() != first {
			t.Errorf("%s: the light of P1 is %d, expected %d", model, m.LED(), first)
		}
	}
	for l, number := range map[snom.LED]int{{Key: "P1"}: 5, {Key: "P8"}: 12, {Key: "P33"}: 37, {Key: "message"}: 0} {
		if got := l.Number(5); got != number {
			t.Errorf("light %s of a D735 is %d, expected %d", l.Key, got, number)
		}
	}
}

// TestModules: the lights of expansion modules go on with the numbers of their keys, and what is doubtful about a key or a light
// there is said.
func TestModules(t *testing.T) {
	t.Parallel()
	rows := 0
	for _, m := range snom.Models() {
		_, own := m.KeyCount()
		for _, e := range m.Modules() {
			rows++
			if e.First <= own || e.Keys < 1 || e.Most < 1 || e.Last() > 300 || e.Source == "" || e.Evidence == "" || (e.LED == 0) != (e.LEDSource == "") || (e.LED == 0) != (e.LEDEvidence == "") {
				t.Errorf("%s: %+v", m, e)
			}
			if e.LED != 0 && (m.LED() == 0 || e.LED != m.LED()+e.First-1) {
				t.Errorf("%s: %+v: the lights do not go on with the numbers of the keys", m, e)
			}
		}
	}
	if expected := len(table(t, "modules.csv")); rows != expected {
		t.Errorf("%d modules have a model, expected %d", rows, expected)
	}
	const none = -1
	for _, c := range []struct {
		model, key string
		offset     int
		number     int
		warning    string
	}{
		{"D735", "P32", 0, 36, ""},
		{"D735", "P33", 0, 37, "P33 is beyond the 32 keys of D735, so it can only be on an expansion module"},
		{"D735", "P80", 0, 84, "P80 is beyond the 32 keys of D735, so it can only be on an expansion module"},
		{"D735", "P177", 0, 181, "P177 is beyond the 32 keys of D735, and those of as many expansion modules as are known end with P176"},
		{"D735", "P33", 2, 34, "P33 is beyond the 32 keys of D735, so it can only be on an expansion module"},
		{"D735", "message", 0, 0, ""},
		{"D385", "P175", 0, 176, "P175 is beyond the 48 keys of D385, so it can only be on an expansion module"},
		{"D385", "P49", 0, 50, "P49 is beyond the 48 keys of D385, and those of its expansion modules begin with P175"},
		{"D335", "P132", 0, 133, "P132 is beyond the 32 keys of D335, and those of its expansion modules begin with P133"},
		{"D335", "P133", 0, 134, "P133 is beyond the 32 keys of D335, so it can only be on an expansion module"},
		{"D713", "P9", 0, 9, "P9 is beyond the 4 keys of D713, so it can only be on an expansion module"},
		{"D765", "P17", 0, none, "P17 is beyond the 16 keys of D765, so it can only be on an expansion module, and no source says which numbers the lights there have: it is counted on from P1"},
		{"D765", "P17", 1, 17, "P17 is beyond the 16 keys of D765, so it can only be on an expansion module, and no source says which numbers the lights there have: it is counted on from P1"},
		{"", "P40", 0, none, ""},
	} {
		m, _ := snom.FindModel(c.model)
		led, err := snom.SetLED(snom.LED{Key: c.key, Color: "red"})
		if err != nil {
			t.Fatal(err)
		}
		l, _ := led.LED()
		number, ok := m.LEDNumber(l, c.offset)
		if !ok {
			number = none
		}
		warning, err := m.Check(led)
		if number != c.number || warning != c.warning || err != nil {
			t.Errorf("%s %s: light %d, %q, %v; expected %d, %q", c.model, c.key, number, warning, err, c.number, c.warning)
		}
	}
}

func TestScreens(t *testing.T) {
	t.Parallel()
	for model, expected := range map[string]string{"D785": "480x272", "820": "320x240", "870": "480x272", "320": "128x64", "D735": "320x240", "M700": ""} {
		m, _ := snom.FindModel(model)
		if got := m.Screen().String(); got != expected {
			t.Errorf("%s has %q, expected %q", model, got, expected)
		}
	}
	for _, m := range snom.Models() {
		if (m.Screen().IsZero()) != (m.ScreenSource() == "") || (m.Screen().IsZero()) != (m.ScreenEvidence() == "") {
			t.Errorf("%s: a size without a source, or the reverse", m)
		}
		if (m.LED() == 0) != (m.LEDSource() == "") || (m.LED() == 0) != (m.LEDEvidence() == "") {
			t.Errorf("%s: a light without a source, or the reverse", m)
		}
	}
	for size, between := range map[string]snom.Screen{
		"480x272": {Width: 480, Height: 192}, "800x480": {Width: 800, Height: 372}, "320x240": {Width: 320, Height: 184}, "128x64": {Width: 128, Height: 64}, "": {Width: 320, Height: 184},
	} {
		s, err := snom.ParseScreen(size)
		if got := s.Between(); got != between || (err == nil) != (size != "") {
			t.Errorf("%q has %+v between its bars, expected %+v; %v", size, got, between, err)
		}
	}
	for _, wrong := range []string{"480", "480x", "x272", "480 x 272", "0x1", "9999x1", "480x272x1"} {
		if s, err := snom.ParseScreen(wrong); err == nil {
			t.Errorf("%q is %+v, expected an error", wrong, s)
		}
	}
}

// TestShowStep gives old firmware the URL without its scheme.
func TestShowStep(t *testing.T) {
	t.Parallel()
	c, err := snom.NewClient(snom.ClientConfig{URL: "http://192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	for firmware, expected := range map[string]string{
		"":            "/minibrowser.htm?url=http%3A%2F%2F192.0.2.5%3A8088%2Fpage%2Fk%2Ft%2FX",
		"10.1.184.14": "/minibrowser.htm?url=http%3A%2F%2F192.0.2.5%3A8088%2Fpage%2Fk%2Ft%2FX",
		"8.4.32":      "/minibrowser.htm?url=http%3A%2F%2F192.0.2.5%3A8088%2Fpage%2Fk%2Ft%2FX",
		"8.4.31":      "/minibrowser.htm?url=192.0.2.5%3A8088%2Fpage%2Fk%2Ft%2FX",
		"7.3.14":      "/minibrowser.htm?url=192.0.2.5%3A8088%2Fpage%2Fk%2Ft%2FX",
	} {
		step, fetches, err := c.ShowStep(snom.Display{URL: "http://192.0.2.5:8088/page/k/t/X", Firmware: firmware})
		if err != nil || !fetches || step != (snom.Step{Request: expected}) {
			t.Errorf("%s: %+v, %v, %v; expected %s", firmware, step, fetches, err, expected)
		}
	}
}
