package multicast_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/multicast"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// addresses are two, of which the second one is the more important.
var addresses = []multicast.Address{
	{Address: "239.255.10.1:5004", Priority: 8, Interrupt: 1, Speaker: true, VolMax: true}, {Address: "239.255.10.2:5004", Priority: 5},
}

func TestValues(t *testing.T) {
	t.Parallel()
	for value, a := range map[string]multicast.Address{
		"239.255.10.1:5004,speaker=1,interrupt=1,volmax=1,priority=8": addresses[0], "239.255.10.2:5004": addresses[1],
		"239.255.10.3:5,priority=0": {Address: "239.255.10.3:5"},
	} {
		if got := a.Value(); got != value {
			t.Errorf("%+v: %q, expected %q", a, got, value)
		}
		if got, ok := multicast.Parse(value); !ok || got != a {
			t.Errorf("%q: %+v, expected %+v", value, got, a)
		}
	}
	if got, ok := multicast.Parse(" 239.255.10.2:5004 , Priority=5, speaker=0,x=1,volmax=y"); !ok || got != addresses[1] {
		t.Errorf("%+v", got)
	}
	if _, ok := multicast.Parse("none"); ok {
		t.Error("no address is accepted")
	}
}

// TestInstall: what is written, kept and reported, on a phone that has something already.
func TestInstall(t *testing.T) {
	t.Parallel()
	full := map[string]string{"multicast_listen": "on"}
	for i := range 10 {
		full[fmt.Sprint("mc_address", i+1)] = fmt.Sprintf("239.1.1.%d:5555", i)
	}
	for name, c := range map[string]struct {
		phone     snomtest.Config
		force     bool
		written   []string
		unchanged []string
		foreign   int
		kept      int
		err       error
		settings  map[string]string
	}{
		"new": {written: []string{"multicast_listen", "mc_address1", "mc_address2"},
			settings: map[string]string{"multicast_listen": "on", "mc_address1": "239.255.10.2:5004", "mc_address2": addresses[0].Value()}},
		"the same": {phone: snomtest.Config{Settings: map[string]string{"multicast_listen": "on", "mc_address4": "239.255.10.1:5004,priority=8,volmax=1,speaker=1,interrupt=1", "mc_address2": "239.255.10.2:5004"}},
			unchanged: []string{"multicast_listen", "mc_address2", "mc_address4"}},
		"other options, another's address": {phone: snomtest.Config{Settings: map[string]string{"multicast_listen": "off", "mc_address1": "239.1.1.1:5555", "mc_address3": "239.255.10.1:5004"}},
			written: []string{"multicast_listen", "mc_address2", "mc_address3"}, settings: map[string]string{"mc_address1": "239.1.1.1:5555"}},
		"full":           {phone: snomtest.Config{Settings: full}, unchanged: []string{"multicast_listen"}, foreign: 10, err: multicast.ErrFull},
		"full, by force": {phone: snomtest.Config{Settings: full}, force: true, written: []string{"mc_address1", "mc_address2"}, unchanged: []string{"multicast_listen"}, settings: map[string]string{"mc_address3": "239.1.1.2:5555"}},
		"read-only":      {phone: snomtest.Config{ReadOnly: []string{"mc_address1"}}, written: []string{"multicast_listen", "mc_address2"}, kept: 1},
		"user mode":      {phone: snomtest.Config{UserMode: true}, err: snom.ErrRefused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			phone, url := snomtest.NewServer(t, c.phone)
			client, err := snom.NewClient(snom.ClientConfig{URL: url})
			if err != nil {
				t.Fatal(err)
			}
			done, err := multicast.Install(t.Context(), client, addresses, c.force)
			if !errors.Is(err, c.err) || !slices.Equal(done.Written, c.written) && len(done.Written)+len(c.written) > 0 ||
				!slices.Equal(done.Unchanged, c.unchanged) && len(done.Unchanged)+len(c.unchanged) > 0 || len(done.Foreign) != c.foreign || len(done.Kept) != c.kept {
				t.Errorf("%+v, error %v", done, err)
			}
			for name, value := range c.settings {
				if got := phone.Settings()[name]; got != value {
					t.Errorf("%s is %q, expected %q", name, got, value)
				}
			}
			if c.err != nil || c.kept > 0 {
				return
			}
			have, err := client.ReadSettings(t.Context(), multicast.Settings()...)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range addresses {
				if got := multicast.ListensTo(have); !slices.Contains(got, a.Address) {
					t.Errorf("listens to %q", got)
				}
			}
			again, err := multicast.Install(t.Context(), client, addresses, c.force)
			if err != nil || len(again.Written) != 0 {
				t.Errorf("a second time: %+v, error %v", again, err)
			}
		})
	}
}
