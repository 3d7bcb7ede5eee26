package main

import (
	"bytes"
	"strings"
	"testing"
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
	if code != exitUsage || out.Len() > 0 || !strings.HasPrefix(got, "snom2mqtt: configuration:\nSNOM2MQTT_PHONE_0_PASSWORD: want one line without control characters") || strings.Contains(got, "geheim") {
		t.Errorf("exit code %d, %q, %q; want 2, nothing, and a fault without the password", code, &out, got)
	}
}
