package discover_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/discover"
)

func TestReadAnnouncement(t *testing.T) {
	t.Parallel()
	from := netip.MustParseAddr("192.0.2.7")
	packet := func(lines ...string) []byte { return []byte(strings.Join(lines, "\r\n") + "\r\n\r\n") }
	for _, tt := range []struct {
		name   string
		packet []byte
		want   string // name, model, firmware, MAC; empty: no phone of Snom's
	}{
		{"MikoPBX's D120", packet("SUBSCRIBE sip:MAC%3a000413AABBCC@224.0.1.75 SIP/2.0", `Event: ua-profile;profile-type="device";vendor="snom";model="snomD120";version="10.1.39.11"`),
			"d120-aabbcc D120 10.1.39.11 000413aabbcc"},
		{"the OEM of Snom's sample", packet("SUBSCRIBE sip:MAC%3a000413aabbcc@224.0.1.75 SIP/2.0", `Event: ua-profile;profile-type="device";vendor="OEM";model="OEM";version="8.7.5"`),
			"phone-aabbcc  8.7.5 000413aabbcc"},
		{"by its user agent", packet("SUBSCRIBE sip:224.0.1.75 SIP/2.0", "From: <sip:MAC:1C7126001122@x>", "User-Agent: snom370/8.7.5.48"), "snom370-001122 370 8.7.5.48 1c7126001122"},
		{"compact headers", packet("SUBSCRIBE sip:MAC%3A000413aabbcc@224.0.1.75 SIP/2.0", `o: ua-profile;vendor="snom";model="snom720";version="8.9"`), "snom720-aabbcc 720 8.9 000413aabbcc"},
		{"no MAC address", packet("SUBSCRIBE sip:224.0.1.75 SIP/2.0", `Event: ua-profile;vendor="snom";model="snomD785"`), "d785-192-0-2-7 D785  "},
		{"another make", packet("SUBSCRIBE sip:MAC%3aaabbccddeeff@224.0.1.75 SIP/2.0", `Event: ua-profile;vendor="Other";model="T48"`), ""},
		{"another method", packet("REGISTER sip:MAC%3a000413aabbcc@224.0.1.75 SIP/2.0"), ""},
		{"a version that would be YAML", packet("SUBSCRIBE sip:MAC%3a000413aabbcc@224.0.1.75 SIP/2.0", "Event: ua-profile;vendor=\"snom\";version=\"1\nurl: http://evil\""), "phone-aabbcc   000413aabbcc"},
		{"nothing", nil, ""},
	} {
		got := ""
		if p, ok := discover.ReadAnnouncement(tt.packet, from); ok {
			got = fmt.Sprintf("%s %s %s %s", p.Name, p.Model, p.Firmware, p.MAC)
			if p.URL != "http://192.0.2.7" {
				t.Errorf("%s: URL %s", tt.name, p.URL)
			}
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func FuzzReadAnnouncement(f *testing.F) {
	f.Add([]byte("SUBSCRIBE sip:MAC%3a000413AABBCC@224.0.1.75 SIP/2.0\r\nEvent: ua-profile;vendor=\"snom\";model=\"snomD120\"\r\n\r\n"))
	f.Fuzz(func(t *testing.T, packet []byte) {
		p, _ := discover.ReadAnnouncement(packet, netip.MustParseAddr("fe80::1"))
		if all := p.Name + p.Firmware + p.MAC + p.Model; strings.ContainsAny(all, "\n\r#:\"") {
			t.Errorf("%+q", all)
		}
	})
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"10.0.0.0/16", "192.168.1.7", "192.168.1.7/24", "127.0.0.1", "169.254.0.0/24", "fd00::/120", "fe80::/112"} {
		if _, err := discover.Networks([]string{text}, false); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"8.8.8.0/24", "192.0.2.1", "10.0.0.0/15", "192.0.0.0/8", "0.0.0.0/0", "kitchen", "", "fe80::1%eth0", "2001:db8::/120", "10.0.0.0/33", "http://10.0.0.1"} {
		if n, err := discover.Networks([]string{text}, false); err == nil {
			t.Errorf("%s: %v", text, n)
		}
	}
	if _, err := discover.Networks([]string{"8.8.8.0/24"}, true); err != nil {
		t.Errorf("with all: %v", err)
	}
	if _, err := discover.Networks([]string{"10.0.0.0/16", "10.1.0.0/16"}, false); err == nil {
		t.Error("two networks of 65536 addresses each are accepted")
	}
}
