package config_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/snom2mqtt/snom2mqtt/config"
)

func TestSecretIsNeverPrinted(t *testing.T) {
	t.Parallel()
	c, faults := load(t, kitchen+"PHONE_0_USERNAME=a\nPHONE_0_PASSWORD=hunter2\nPHONE_0_TOKEN=hunter2hunter2hunter2\n"+
		"MQTT_USERNAME=a\nMQTT_PASSWORD=hunter2\nCONSOLE_PASSWORD=hunter2\nPHONES_FILE=$DIR/p.yaml",
		map[string]string{"p.yaml": "phones:\n  a: {url: http://a, username: a, password: hunter2}\n"})
	if faults != nil {
		t.Fatal(faults)
	}
	secret := c.MQTT.Password
	if got := secret.Reveal(); got != canary {
		t.Fatalf("Reveal = %q, want %q", got, canary)
	}
	hidden := struct{ inside config.Secret }{secret} // fmt asks no methods in there
	values := map[string]any{
		"secret": secret, "pointer": &secret, "list": []config.Secret{secret}, "map": map[string]config.Secret{"a": secret},
		"hidden": hidden, "hidden pointer": &hidden, "config": c, "config pointer": &c, "mqtt": c.MQTT, "console": c.Console,
		"roster": c.Roster, "phones": c.Roster.Phones, "error": fmt.Errorf("password %v: %w", secret, fmt.Errorf("%s", secret)),
	}
	for name, value := range values {
		for _, verb := range "vsqdxXtbcoOUeEfFgGpT" {
			for _, flag := range []string{"", "+", "#", " ", "0", "-20", "20.3", "# +"} {
				format := "%" + flag + string(verb)
				leaks(t, name+" "+format, fmt.Sprintf(format, value))
			}
		}
		for _, encode := range []func(any) ([]byte, error){json.Marshal, xml.Marshal, yaml.Marshal} {
			text, err := encode(value)
			if err != nil {
				text = []byte(err.Error()) // not every value is one for XML
			}
			leaks(t, name+" encoded", string(text))
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("text", "value", value)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("json", "value", value)
		leaks(t, name+" logged", log.String())
	}
}

// leaks fails the test when text holds the canary, plain or in hexadecimal.
func leaks(t *testing.T, what, text string) {
	t.Helper()
	if lower := strings.ToLower(text); strings.Contains(lower, canary) || strings.Contains(lower, fmt.Sprintf("%x", canary)) {
		t.Errorf("%s shows the secret: %s", what, text)
	}
}

func TestSecretPrintsAsStars(t *testing.T) {
	t.Parallel()
	for _, secret := range []config.Secret{config.NewSecret(canary), {}} {
		text, err := secret.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		object, err := json.Marshal(secret)
		if err != nil {
			t.Fatal(err)
		}
		for _, got := range []string{
			secret.String(), secret.GoString(), secret.LogValue().String(), string(text), strings.Trim(string(object), `"`),
			fmt.Sprint(secret), fmt.Sprintf("%d", secret), fmt.Sprintf("%#v", secret),
		} {
			if got != "***" {
				t.Errorf("the secret prints as %q, want ***", got)
			}
		}
	}
	if got := (config.Secret{}).Reveal(); got != "" || !(config.Secret{}).IsZero() || !config.NewSecret("").IsZero() || config.NewSecret("a").IsZero() {
		t.Errorf("the empty secret is %q", got)
	}
}
