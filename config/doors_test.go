package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDoorsOfThePhonesFile(t *testing.T) {
	t.Parallel()
	c, err := loadFile(t, kitchenFile+`  hall: {url: "http://192.0.2.11"}
doors:
  front:
    phone: kitchen
    number: "**61"
    code_file: door.code
    method: keys
    hold: 8s
    call: true
    country_code: 49
    chime: {phones: [hall], ringer: 3, count: 2}
    camera: {url: "http://192.0.2.60/snapshot.jpg", username: view, password_file: door.code}
  back: {phone: [kitchen, hall], number: door@pbx.example, code: "12#"}
`)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Roster.Doors) != 2 || c.Roster.Doors[0].Name != "back" {
		t.Fatalf("%+v", c.Roster.Doors)
	}
	back, front := c.Roster.Doors[0], c.Roster.Doors[1]
	if back.Code.Reveal() != "12#" || back.Hold != 5*time.Second || back.ByKeys || back.Call || !slices.Equal(back.Phones, []string{"kitchen", "hall"}) {
		t.Errorf("%+v", back)
	}
	if front.Code.Reveal() != "471108150" || !front.ByKeys || !front.Call || front.Hold != 8*time.Second || front.Country != "49" ||
		!slices.Equal(front.Chime.Phones, []string{"hall"}) || front.Chime.Ringer != 3 || front.Chime.Count != 2 ||
		front.Camera.URL != "http://192.0.2.60/snapshot.jpg" || front.Camera.Username != "view" || front.Camera.Password.Reveal() != "471108150" {
		t.Errorf("%+v", front)
	}
	if text := fmt.Sprintf("%+v %v", front, c); strings.Contains(text, "4711") {
		t.Error("a secret is printed")
	}
}

func TestFaultsOfDoors(t *testing.T) {
	t.Parallel()
	const right = `phone: kitchen, number: "61", code: "1"`
	for text, expected := range map[string]string{
		"doors: 7":                                                    "doors: expected a name",
		"doors: {A: {}}":                                              "expected a name of 1 to 64",
		"doors: {kitchen: {}}":                                        "a phone or group has this name",
		"doors: {all: {}}":                                            "all is the built-in group",
		"doors: {front: 7}":                                           "front: expected the settings of a door",
		"doors: {front: {}}":                                          "front: phone: not set",
		"doors: {front: {phone: hall}}":                               "no phone has the name hall",
		"doors: {front: {phone: [kitchen, kitchen]}}":                 "kitchen is there twice",
		"doors: {front: {phone: []}}":                                 "expected 1 to 32 phones",
		"doors: {front: {phone: kitchen}}":                            "number: not set",
		"doors: {front: {phone: kitchen, number: door}}":              "number: expected a number",
		"doors: {front: {phone: kitchen, number: 61}}":                "code_file: not set",
		"doors: {front: {phone: kitchen, number: 61, code: hunter2}}": "code: expected 1 to 64 of 0-9",
		"doors: {front: {phone: kitchen, number: 61, code: 1A, method: keys}}":        "no keys for A to D",
		"doors: {front: {phone: kitchen, number: 61, code: 1, code_file: door.code}}": "code or code_file, not both",
		"doors: {front: {phone: kitchen, number: 61, code_file: none}}":               "the file cannot be read",
		"doors: {front: {" + right + ", method: fax}}":                                "expected dtmf or keys",
		"doors: {front: {" + right + ", hold: 5}}":                                    "hold: expected a time",
		"doors: {front: {" + right + ", call: yes}}":                                  "call: expected true or false",
		"doors: {front: {" + right + ", country_code: 049}}":                          "country_code: expected 1 to 3 digits",
		"doors: {front: {" + right + ", chime: [kitchen]}}":                           "chime: expected phones",
		"doors: {front: {" + right + ", chime: {ringer: 3}}}":                         "chime: phones: not set",
		"doors: {front: {" + right + ", chime: {phones: [kitchen], ringer: 10}}}":     "ringer: expected a number from 1 to 9",
		"doors: {front: {" + right + ", camera: x}}":                                  "camera: expected url",
		"doors: {front: {" + right + `, camera: {url: "ftp://a/b"}}}`:                 "camera: url: expected an address",
		"doors: {front: {" + right + `, camera: {url: "http://u:hunter2@a/b"}}}`:      "no user name and password in it",
		"doors: {front: {" + right + `, camera: {url: "http://a/b", password: "x"}}}`: "username: not set",
		"doors: {front: {" + right + ", open: 1}}":                                    "open: no such key",
		"doors:\n  a: {" + right + "}\n  a: {" + right + "}":                          "twice",
	} {
		_, err := loadFile(t, kitchenFile+text+"\n")
		switch {
		case err == nil || !strings.Contains(err.Error(), expected):
			t.Errorf("%s:\n%v\nexpected %s", text, err, expected)
		case strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "4711"):
			t.Errorf("%s: a secret is shown: %v", text, err)
		}
	}
}
