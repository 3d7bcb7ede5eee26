package config_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/config"
)

// TestImageHostsUnlessSet makes sure that pictures come from hosts that the settings name, and from no others.
func TestImageHostsUnlessSet(t *testing.T) {
	t.Parallel()
	for settings, expected := range map[string][]string{
		"":                          nil,
		"MQTT_URL=tcp://Home:1883":  {"home"},
		"BROKER_LISTEN=127.0.0.1:0": {"127.0.0.1"},
		"MQTT_URL=tcp://home PHONE_LISTEN=0.0.0.0:8088 PHONE_BASE_URL=http://192.0.2.5:8088": {"192.0.2.5", "home"},
		"PHONE_LISTEN=:8088 MQTT_URL=tcp://home IMAGE_HOSTS=Camera:81":                       {"camera:81"},
	} {
		environ := []string{"HOME=/nonexistent", "SNOM2MQTT_PHONE_0_NAME=kitchen", "SNOM2MQTT_PHONE_0_URL=http://192.0.2.10", "SNOM2MQTT_STATE_DIRECTORY=" + t.TempDir()}
		for _, one := range strings.Fields(settings) {
			environ = append(environ, "SNOM2MQTT_"+one)
		}
		c, err := config.Load(t.Context(), environ)
		if err != nil {
			t.Errorf("%s: %v", settings, err)
		}
		if !slices.Equal(c.ImageHosts, expected) {
			t.Errorf("%s: %q, expected %q", settings, c.ImageHosts, expected)
		}
	}
}
