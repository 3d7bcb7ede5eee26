package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/homeassistant"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

func TestDiscoveryPrintsWhatHomeAssistantIsTold(t *testing.T) {
	t.Parallel()
	_, url := snomtest.NewServer(t, snomtest.Config{Name: "hall", Model: "870", MAC: "000413112233", Firmware: "8.7.5.35"})
	environ := []string{
		"SNOM2MQTT_PHONE_0_NAME=hall", "SNOM2MQTT_PHONE_0_URL=" + url, "SNOM2MQTT_PHONE_0_ALLOW=firmware,reset",
		"SNOM2MQTT_PHONE_1_NAME=attic", "SNOM2MQTT_PHONE_1_URL=https://127.0.0.1:1", "SNOM2MQTT_PHONE_1_MODEL=D735",
		"SNOM2MQTT_PHONE_1_ALLOW=firmware", "SNOM2MQTT_PHONE_1_MASK=dtmf", "SNOM2MQTT_FIRMWARE_HOSTS=firmware.example",
	}
	tests := []struct {
		args []string
		want []string // ids
		says string
	}{
		{[]string{"discovery"}, []string{"snom2mqtt_snom", "snom_snom_attic", "snom_snom_hall"}, "3 documents, as Home Assistant expects them"},
		{[]string{"discovery", "--probe"}, []string{"snom2mqtt_snom", "snom_000413112233", "snom_snom_attic"}, "attic: "},
	}
	for _, tt := range tests {
		var out, log bytes.Buffer
		if code := run(t.Context(), tt.args, environ, &out, &log); code != exitDone || !strings.Contains(log.String(), tt.says) {
			t.Fatalf("%q: exit code %d, %s", tt.args, code, log.String())
		}
		var documents map[string]homeassistant.Document
		if err := json.Unmarshal(out.Bytes(), &documents); err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, topic := range slices.Sorted(maps.Keys(documents)) {
			ids = append(ids, strings.TrimSuffix(strings.TrimPrefix(topic, "homeassistant/device/"), "/config"))
			parts := documents[topic].Components
			_, firmware := parts["firmware_url"]
			shown := parts["dtmf"].Mode != "password"
			switch documents[topic].Device.Name {
			case "Attic phone":
				if !firmware || shown {
					t.Errorf("attic: firmware %v, DTMF shown %v, want the first alone", firmware, shown)
				}
			case "Hall phone":
				if _, reset := parts["reset"]; !reset || firmware { // not by http
					t.Errorf("hall: reset %v, firmware %v, want the first alone", reset, firmware)
				}
			}
		}
		if !slices.Equal(ids, tt.want) {
			t.Errorf("%q: ids %q, want %q", tt.args, ids, tt.want)
		}
	}
	var out, log bytes.Buffer
	if code := run(t.Context(), []string{"discovery"}, nil, &out, &log); code != exitUsage {
		t.Errorf("without phones: exit code %d, want %d", code, exitUsage)
	}
}
