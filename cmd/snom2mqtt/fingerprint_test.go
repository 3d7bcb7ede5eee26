package main

import (
	"testing"

	"github.com/snom2mqtt/snom2mqtt/config"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// Whatever is set differently for a phone, a reload notices it.
func TestFingerprint(t *testing.T) {
	t.Parallel()
	model, ok := snom.FindModel("D785")
	if !ok {
		t.Fatal("D785 is not known")
	}
	seen := map[string]string{}
	for name, p := range map[string]config.Phone{
		"nothing":          {},
		"name":             {Name: "a"},
		"URL":              {URL: "a"},
		"user name":        {Username: "a"},
		"password":         {Password: config.NewSecret("a")},
		"token":            {Token: config.NewSecret("a")},
		"another password": {Password: config.NewSecret("b")},
		"auth":             {Auth: "a"},
		"model":            {Model: model},
		"dialect":          {Dialect: "a"},
		"screen":           {Screen: snom.Screen{Width: 1}},
		"light":            {LED: 1},
		"keys":             {Keys: &config.Keys{}},
		"area":             {Area: "a"},
		"another area":     {Area: "b"},
		"firmware":         {Firmware: config.Firmware{Version: "1"}},
		"allow":            {Allow: []snom.Verb{"a"}},
		"mask":             {Mask: []snom.Verb{"a"}},
		"insecure":         {Insecure: true},
		"legacy TLS":       {LegacyTLS: true},
		"CA":               {CA: []byte("a")},
		"certificate":      {CertSHA256: "a"},
	} {
		is := fingerprint(p)
		if other, ok := seen[is]; ok {
			t.Errorf("%s and %s have the same fingerprint", name, other)
		}
		seen[is] = name
		if fingerprint(p) != is {
			t.Errorf("%s has two fingerprints", name)
		}
	}
}
