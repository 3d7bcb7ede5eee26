package snom2mqtt_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/config"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// TestFlows: the Node-RED flows can be read, their documents know them, and what they say on topics of
// the bridge is something it listens to or says. e2e plays them.
func TestFlows(t *testing.T) {
	t.Parallel()
	tree, err := mqtt.NewTree("snom", "")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("examples/node-red/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no flows: %v", err)
	}
	guide := read(t, "docs/node-red.md")
	for _, file := range files {
		if !strings.Contains(guide, "../"+file) {
			t.Errorf("docs/node-red.md does not name %s", file)
		}
		var nodes []struct{ ID, Type, Name, Topic, Retain string }
		if err := json.Unmarshal([]byte(read(t, file)), &nodes); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		for _, n := range nodes {
			topic := strings.ReplaceAll(n.Topic, "+", "kitchen")
			if !strings.HasPrefix(topic, "snom/") {
				continue
			}
			a := tree.Read(topic)
			published := slices.Contains([]mqtt.Kind{mqtt.KindOwn, mqtt.KindDocument, mqtt.KindStatus, mqtt.KindAvailability}, a.Kind)
			if published != (n.Type == "mqtt in") {
				t.Errorf("%s: %s has the topic %s, which is of kind %v", file, n.Name, n.Topic, a.Kind)
			}
		}
	}
	for _, file := range []string{"docs/pictures/node-red.png"} {
		if got, most := len(read(t, file)), 100<<10; got > most {
			t.Errorf("%s has %d bytes, want at most %d", file, got, most)
		}
	}
}

// TestPhonesFileWithADoor: the example of a door and of macros is right, with files for what is secret beside it, and its macros
// and its door can be carried out by its phones.
func TestPhonesFileWithADoor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"phones.yml": read(t, "examples/phones/door.yml"), "door.code": "12#\n",
		"kitchen.password": "a", "hall.password": "b", "camera.password": "c",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := config.Load(t.Context(), []string{"SNOM2MQTT_PHONE_LISTEN=127.0.0.1:0", "SNOM2MQTT_PHONE_TOKEN_SECRET=0123456789abcdef", "SNOM2MQTT_PHONES_FILE=" + filepath.Join(dir, "phones.yml")})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Roster.Doors) != 1 || len(c.Roster.Macros) != 3 || len(c.Warnings) > 0 {
		t.Errorf("%d doors, %d macros, warnings %v", len(c.Roster.Doors), len(c.Roster.Macros), c.Warnings)
	}
	for _, document := range []string{"docs/doors.md", "docs/macros.md"} {
		if !strings.Contains(read(t, document), "../examples/phones/door.yml") {
			t.Errorf("%s does not name the example", document)
		}
	}
}
