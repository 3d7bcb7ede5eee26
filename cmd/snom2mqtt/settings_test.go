package main

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// A password that cannot be sent was noticed by the client only, which knows no name of a variable.
func TestAPasswordThatCannotBeSent(t *testing.T) {
	t.Parallel()
	var out, log bytes.Buffer
	code := run(t.Context(), []string{"check"}, []string{
		"SNOM2MQTT_PHONE_0_NAME=kitchen", "SNOM2MQTT_PHONE_0_URL=http://192.0.2.10",
		"SNOM2MQTT_PHONE_0_USERNAME=admin", "SNOM2MQTT_PHONE_0_PASSWORD=geheim\nfalsch",
	}, &out, &log)
	got := log.String()
	if code != exitUsage || out.Len() > 0 || !strings.HasPrefix(got, "snom2mqtt: configuration:\nSNOM2MQTT_PHONE_0_PASSWORD: contains an invisible character, U+000A LINE FEED") || strings.Contains(got, "geheim") {
		t.Errorf("exit code %d, %q, %q; want 2, nothing, and a fault without the password", code, &out, got)
	}
}

// An instance that the topics cannot have was refused when the bridge started, and not by check.
func TestInstancesThatTheTopicsCannotHave(t *testing.T) {
	t.Parallel()
	for _, instance := range []string{"state", "info", "result", "loopback", "request", "response", "bridge", "east"} {
		_, err := mqtt.NewTree("snom", instance)
		want := 0
		if err != nil {
			want = exitUsage
		}
		if code := run(t.Context(), []string{"check"}, []string{
			"SNOM2MQTT_PHONE_0_NAME=kitchen", "SNOM2MQTT_PHONE_0_URL=http://192.0.2.10", "SNOM2MQTT_INSTANCE=" + instance,
		}, io.Discard, io.Discard); code != want {
			t.Errorf("check of the instance %s ends with %d, want %d: the topics say %v", instance, code, want, err)
		}
	}
}
