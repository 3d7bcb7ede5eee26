package config

import "testing"

func TestFirmware(t *testing.T) {
	t.Parallel()
	for text, expected := range map[string]Firmware{
		"":            {},
		"10.1.198.19": {Version: "10.1.198.19"},
		"8.7.5":       {Version: "8.7.5"},
		"https://fw.example/snom{model}-10.1.198.19-SIP-r.bin":          {"10.1.198.19", "https://fw.example/snom{model}-10.1.198.19-SIP-r.bin"},
		"https://fw.example/fw/10.1.1.1/snomD735-10.1.198.19-SIP-r.bin": {"10.1.198.19", "https://fw.example/fw/10.1.1.1/snomD735-10.1.198.19-SIP-r.bin"},
		"10.1": {}, "10.1.198.19.2": {}, "10.1.x": {}, "http://fw.example/10.1.198.19.bin": {}, "https://fw.example/new.bin": {}, "https://fw.example/10.1.198.19.bin?x=1": {},
		"https://10.1.198.19/new.bin": {}, "10.1.198.19 ": {}, "latest": {}, "https://fw.example/{Model}-10.1.198.19.bin": {},
	} {
		c := &checker{}
		got := c.firmware(field{in: environment(prefix), key: "FIRMWARE_LATEST", text: text})
		if got != expected || (c.err() == nil) != (text == "" || expected != Firmware{}) {
			t.Errorf("%q: %+v, %v, expected %+v", text, got, c.err(), expected)
		}
	}
}

func TestArea(t *testing.T) {
	t.Parallel()
	c := &checker{}
	if got := c.area(field{in: environment(prefix), key: "AREA", text: " Küche "}); got != "Küche" || c.err() != nil {
		t.Errorf("%q, %v", got, c.err())
	}
	if c.area(field{in: environment(prefix), key: "AREA", text: "a\nb"}); c.err() == nil {
		t.Error("two lines: expected a fault")
	}
}
