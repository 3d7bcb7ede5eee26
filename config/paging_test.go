package config_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/config"
)

func TestFaultsOfPaging(t *testing.T) {
	t.Parallel()
	const (
		file    = "PHONES_FILE=$DIR/p.yaml\n"
		phones  = "phones:\n  a: {url: http://a}\n  b: {url: http://b}\ngroups:\n  g: [a]\n"
		at      = "$DIR/p.yaml:"
		address = "expected an IPv4 multicast address and a port, such as 239.255.10.1:5004"
	)
	var rows []faultRow
	for _, tt := range []struct{ paging, want string }{
		{"paging: [a]\n", at + "6:9: paging: expected the name of a phone or group, and below it address: 239.255.10.1:5004"},
		{"paging:\n  c: {address: 239.255.10.1:5004}\n", at + "7:3: c: no phone and no group has this name"},
		{"paging:\n  bridge: {address: 239.255.10.1:5004}\n", at + "7:3: bridge: no phone and no group has this name"},
		{"paging:\n  a: 239.255.10.1:5004\n", at + "7:6: a: expected its address, such as address: 239.255.10.1:5004"},
		{"paging:\n  a: {priority: 1}\n", at + "7:6: a: address: not set: " + address},
		{"paging:\n  a: {address: 192.0.2.1:5004}\n", at + "7:16: a: " + address},
		{"paging:\n  a: {address: 239.255.10.1}\n", at + "7:16: a: " + address},
		{"paging:\n  a: {address: 239.255.10.1:0}\n", at + "7:16: a: " + address},
		{"paging:\n  a: {address: \"[ff02::1]:5004\"}\n", at + "7:16: a: " + address},
		{"paging:\n  a: {address: [1]}\n", at + "7:16: a: expected one value"},
		{"paging:\n  a: {address: 239.255.10.1:5004, priority: 11}\n", at + "7:45: a: expected a whole number from 0 to 10"},
		{"paging:\n  a: {address: 239.255.10.1:5004, interrupt: -1}\n", at + "7:46: a: expected a whole number from 0 to 3"},
		{"paging:\n  a: {address: 239.255.10.1:5004, speaker: yes}\n", at + "7:44: a: expected true or false"},
		{"paging:\n  a: {address: 239.255.10.1:5004, loud: 3}\n", at + "7:35: loud: no such key; known are address, interrupt, priority, speaker, volmax"},
		{"paging:\n  a: {address: 239.255.10.1:5004}\n  a: {address: 239.255.10.2:5004}\n", at + "8:3: a: written twice"},
		{"paging:\n  a: {address: 239.255.10.1:5004}\n  g: {address: 239.255.10.1:5004}\n", at + "8:6: g: the address is that of a: expected one of its own, or another port"},
	} {
		want := []string{tt.want}
		if strings.Contains(tt.paging, "[1]") {
			want = append(want, at+"7:6: a: address: not set: "+address)
		}
		rows = append(rows, faultRow{name: tt.paging, settings: file, files: map[string]string{"p.yaml": phones + tt.paging}, want: want})
	}
	var many strings.Builder
	many.WriteString("phones:\n  a: {url: http://a}\ngroups:\n")
	for i := range 10 {
		fmt.Fprintf(&many, "  g%d: [a]\n", i)
	}
	many.WriteString("paging:\n  a: {address: 239.255.10.200:5004}\n")
	for i := range 10 {
		fmt.Fprintf(&many, "  g%d: {address: 239.255.10.%d:5004}\n", i, i)
	}
	for _, tt := range []struct{ settings, want string }{
		{"HOMEASSISTANT_URL=http://ha.example", "HOMEASSISTANT_TOKEN: not set, but HOMEASSISTANT_URL is: expected a long-lived access token of Home Assistant"},
		{"HOMEASSISTANT_TOKEN=hunter2", "HOMEASSISTANT_URL: not set, but HOMEASSISTANT_TOKEN is: expected the address of Home Assistant, such as http://192.0.2.5:8123"},
		{"HOMEASSISTANT_URL=http://u:hunter2@h\nHOMEASSISTANT_TOKEN=hunter2", "HOMEASSISTANT_URL: " + noUser},
		{"HOMEASSISTANT_URL=ha.example\nHOMEASSISTANT_TOKEN=hunter2", "HOMEASSISTANT_URL: expected http://host:port or https://host:port of Home Assistant"},
		{"TTS_URL=http://piper", "TTS_URL: expected tcp://host:port of a Wyoming server, such as tcp://piper:10200"},
		{"TTS_URL=tcp://piper:10200/x", "TTS_URL: expected tcp://host:port without a path"},
		{"PAGING_TTL=0", "PAGING_TTL: expected a whole number from 1 to 255"},
		{"PAGING_TTL=256", "PAGING_TTL: expected a whole number from 1 to 255"},
	} {
		rows = append(rows, faultRow{name: tt.settings, settings: kitchen + tt.settings, want: []string{tt.want}})
	}
	rows = append(rows, faultRow{name: "too many", settings: file, files: map[string]string{"p.yaml": many.String()},
		want: []string{at + "15:3: paging: 11 addresses reach the phone a: it listens to 10 at most"}})
	runFaults(t, rows)
}

// TestTheAppsToken: in an app of Home Assistant the Supervisor's token speaks for it, unless another one is set.
func TestTheAppsToken(t *testing.T) {
	t.Parallel()
	environ := append(environ(kitchen[:len(kitchen)-1]), "SUPERVISOR_TOKEN=hunter2")
	c, err := config.Load(t.Context(), environ)
	if err != nil || c.Paging.HomeAssistantURL != "http://supervisor/core" || c.Paging.HomeAssistantToken.Reveal() != canary {
		t.Errorf("%+v, error %v", c.Paging, err)
	}
	c, err = config.Load(t.Context(), append(environ, "SNOM2MQTT_HOMEASSISTANT_URL=http://ha.example", "SNOM2MQTT_HOMEASSISTANT_TOKEN=other"))
	if err != nil || c.Paging.HomeAssistantURL != "http://ha.example" || c.Paging.HomeAssistantToken.Reveal() != "other" {
		t.Errorf("%+v, error %v", c.Paging, err)
	}
}

func TestListensTo(t *testing.T) {
	t.Parallel()
	r := config.Roster{Groups: map[string][]string{"g": {"a"}}, Paging: []config.Listening{
		{Name: "a", Priority: 5}, {Name: "all", Priority: 1}, {Name: "b", Priority: 5}, {Name: "g", Priority: 9},
	}}
	var names []string
	for _, l := range r.ListensTo("a") {
		names = append(names, l.Name)
	}
	if !slices.Equal(names, []string{"g", "a", "all"}) {
		t.Errorf("%q", names)
	}
}
