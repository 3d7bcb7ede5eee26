package snom

import (
	"regexp"
	"testing"
)

func TestReadInfoPage(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		body string
		want infoPage
	}{
		{
			name: "block",
			body: "<html><head><title>Küche</title></head><body><h2>Production information</h2><pre>Mac:000413AABBCC\nHardware: D785\n</pre>" +
				"<table><tr><td>Firmware-Version:</td><td>snomD785-SIP 10.1.54.13</td></tr></table></body></html>",
			want: infoPage{model: "D785", firmware: "10.1.54.13", mac: "000413aabbcc"},
		}, {
			name: "table",
			body: "<HTML><HEAD><TITLE>snom D735</TITLE></HEAD><BODY><TABLE><TR><TD>MAC Address</TD><TD>0004137A2C1F</TD></TR>" +
				"<TR><TD>Firmware Version</TD><TD>10.1.184.14</TD></TR></TABLE></BODY></HTML>",
			want: infoPage{model: "D735", firmware: "10.1.184.14", mac: "0004137a2c1f"},
		}, {
			name: "phone type",
			body: "<td>Phone Type:</td><td>snom320</td><td>MAC-Address:</td><td>00:04:13:24:00:FF</td><td>Firmware-Version:</td><td>snom320-SIP 8.7.3.25</td>",
			want: infoPage{model: "320", firmware: "8.7.3.25", mac: "0004132400ff"},
		},
		{name: "entities", body: "Mac:&nbsp;000413AABBCC<br>Hardware:&nbsp;D385", want: infoPage{model: "D385", mac: "000413aabbcc"}},
		{name: "dashes", body: "mac = 00-04-13-AA-BB-CC", want: infoPage{mac: "000413aabbcc"}},
		{name: "host name as title", body: "<TITLE>snomD305-8325FE</TITLE>", want: infoPage{model: "D305"}},
		{name: "old title", body: "<TITLE>snom 300</TITLE>", want: infoPage{model: "300"}},
		{name: "title with a dash", body: "<title>Snom-D385</title>", want: infoPage{model: "D385"}},
		{name: "user agent", body: "Mozilla/4.0 (compatible; snom821-SIP 8.7.5.35 1.1.3-s)", want: infoPage{model: "821", firmware: "8.7.5.35"}},
		{name: "DECT", body: "Hardware: M900", want: infoPage{model: "M900"}},
		{name: "hardware before title", body: "<title>snom 300</title>Hardware: D335", want: infoPage{model: "D335"}},
		{name: "few digits", body: "Hardware: PA1", want: infoPage{model: "PA1"}},
		{name: "no digits", body: "<title>snom MP</title>", want: infoPage{model: "MP"}},
		{name: "a version is not a model", body: "Hardware: 1.0 Firmware: V5.60.1", want: infoPage{firmware: "5.60.1"}},
		{name: "nor is a revision", body: "Hardware: V2"},
		{name: "D8xx", body: phoneManagerPage},
		{name: "error", body: errorPage},
		{name: "other title", body: "<title>snom phone</title>"},
		{name: "mac of nothing", body: "Mac: unknown, Hardware: unknown, Firmware: unknown"},
		{name: "too short", body: "Mac:000413AABBC"},
		{name: "too long", body: "Mac:000413AABBCC00"},
		{name: "inside a word", body: "automac: 000413AABBCC"},
		{name: "a date is not a version", body: "Firmware: 2010.12"},
		{name: "empty"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := readInfoPage([]byte(tt.body)); got != tt.want {
				t.Errorf("readInfoPage = %+v, expected %+v", got, tt.want)
			}
		})
	}
}

// A model that the page names must be read as the table has it.
func TestEveryModelIsRead(t *testing.T) {
	t.Parallel()
	for _, m := range Models() {
		for _, body := range []string{"Hardware: " + m.Name(), "<td>Phone Type:</td><td>snom" + m.Name() + "</td>", "<title>snom " + m.Name() + "</title>"} {
			if got := readInfoPage([]byte(body)).model; got != m.Name() {
				t.Errorf("%s: model %q, expected %q", body, got, m.Name())
			}
		}
	}
}

func FuzzInfoPage(f *testing.F) {
	for _, body := range []string{
		indexPage, phoneManagerPage, errorPage, "Mac:000413AABBCC Hardware: D785 ", "<TD>MAC Address</TD><TD>000413AABBCC</TD>",
		"snomD785-SIP 10.1.33.33", "<title>snom D735</title>Firmware-Version: 10.1.1.1", "<<title><title>>&#x0;", "&nbsp;\xff\xfemac:",
	} {
		f.Add([]byte(body))
	}
	model := regexp.MustCompile(`^([A-Z]{0,2}[0-9]{3}[A-Z]{0,2}|PA1|MP)?$`)
	firmware := regexp.MustCompile(`^([0-9]{1,4}(\.[0-9]{1,6}){2,5})?$`)
	mac := regexp.MustCompile(`^([0-9a-f]{12})?$`)
	f.Fuzz(func(t *testing.T, body []byte) {
		got := readInfoPage(body)
		if !model.MatchString(got.model) || !firmware.MatchString(got.firmware) || !mac.MatchString(got.mac) {
			t.Fatalf("readInfoPage(%q) = %+v", body, got)
		}
	})
}
