package main

import (
	"bytes"
	"errors"
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

// A target of probe that may have been meant as a name of the settings: the error says which names they have.
func TestProbeNamesThePhones(t *testing.T) {
	t.Parallel()
	p := &program{stdout: io.Discard, stderr: io.Discard, environ: []string{
		"SNOM2MQTT_PHONE_0_NAME=kitchen", "SNOM2MQTT_PHONE_0_URL=http://192.0.2.1", "SNOM2MQTT_PHONE_1_NAME=hall", "SNOM2MQTT_PHONE_1_URL=http://192.0.2.2",
	}}
	away := errors.New("no such host")
	for target, expected := range map[string]string{
		"kitchenn": `no such host; no phone of the settings is called "kitchenn": they have hall, kitchen`,
		"kitchen":  "no such host", "kitchen.lan": "no such host", "http://kitchenn": "no such host",
	} {
		if got := p.orNamed(t.Context(), target, away); got.Error() != expected || !errors.Is(got, away) {
			t.Errorf("%s: %v, expected %s", target, got, expected)
		}
	}
	if got := (&program{}).orNamed(t.Context(), "kitchenn", away); !errors.Is(got, away) || got.Error() != away.Error() {
		t.Errorf("without settings: %v", got)
	}
}
