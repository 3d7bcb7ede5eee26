package bridge_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/internal/pipenet"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// otherDevice is a device in place of the phone "desk", which answers every request with a page and a Server header.
func otherDevice(t *testing.T, server *atomic.Value, page string) testPhone {
	return testPhone{phone: snomtest.Config{Name: "desk", Model: "D735"}, set: func(p *bridge.PhoneConfig) {
		l := pipenet.Listen()
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if name := server.Load().(string); name != "" {
				w.Header().Set("Server", name)
			}
			_, _ = io.WriteString(w, page) // a client that has gone is of no interest
		})}
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = srv.Serve(l) // ends when the test does
		}()
		t.Cleanup(func() {
			_ = srv.Close()
			<-done
		})
		client, err := snom.NewClient(snom.ClientConfig{URL: "http://desk.invalid", Dial: l.DialContext})
		if err != nil {
			t.Fatal(err)
		}
		p.Phone = client
	}}
}

// That a device accepts a command says little where nothing has shown that it is a Snom phone: the result and the status
// say so. A page that shows another device is an error.
func TestADeviceThatNeverShowedThatItIsAPhone(t *testing.T) {
	t.Parallel()
	const doubt = "nothing has shown yet that this device is a Snom phone"
	tests := []struct {
		name, server, page string
		code               bridge.Code
		doubt              bool
	}{
		{"a page without a title", "", "<html>EPSON ready</html>", bridge.OK, true},
		{"a word", "", "OK", bridge.OK, true},
		{"nothing", "", "", bridge.OK, true},
		{"another title", "", "<html><title>Printer</title>ready</html>", bridge.PhoneError, true},
		{"a router that lists phones", "lighttpd/1.4", "<html><title>Router</title>snom-d735 00:04:13:aa:bb:cc</html>", bridge.PhoneError, true},
		{"a phone", "snom embedded", "", bridge.OK, false},
		{"a phone behind a proxy", "nginx", "<html><title>snom D735</title></html>", bridge.OK, false},
	}
	for _, tt := range tests {
		for _, polled := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				var server atomic.Value
				server.Store(tt.server)
				h := newHarness(t, bridge.Config{}, []testPhone{otherDevice(t, &server, tt.page)}, nil)
				if polled {
					time.Sleep(2 * time.Minute)
					h.results()
				}
				got := h.result("snom/desk/dial", "28", time.Second)
				if got.Code != tt.code || got.Code == bridge.OK && strings.Contains(got.Message, doubt) != tt.doubt {
					h.t.Errorf("%s: %+v, expected %s, and to say %v that the device may be another", tt.name, got, tt.code, tt.doubt)
				}
				problem := string(h.bridge.Snapshot()[0].Problem)
				if (problem == doubt) != tt.doubt {
					h.t.Errorf("%s: problem %q, expected it to say %v that the device may be another", tt.name, problem, tt.doubt)
				}
				if logged := strings.Contains(h.log.String(), doubt); logged != tt.doubt {
					h.t.Errorf("%s: logged: %v, expected %v", tt.name, logged, tt.doubt)
				}
			})
		}
	}
}

// A device of which nothing shows that it is a phone has no remote control, unless the settings name its model; it is asked
// again, for it may have been starting.
func TestADeviceThatShowsLateThatItIsAPhone(t *testing.T) {
	t.Parallel()
	for _, model := range []string{"", "D735"} {
		synctest.Test(t, func(t *testing.T) {
			var server atomic.Value
			server.Store("")
			device := otherDevice(t, &server, "<html>starting</html>")
			device.phone.Model = model
			h := newHarness(t, bridge.Config{}, []testPhone{device}, nil)
			if got := h.bridge.Snapshot()[0]; (got.RemoteControl == snom.No) != (model == "") {
				t.Errorf("model %q: remote control %q", model, got.RemoteControl)
			}
			server.Store("snom embedded")
			time.Sleep(3 * time.Minute)
			if got := h.bridge.Snapshot()[0]; got.RemoteControl == snom.No || got.Problem != "" {
				t.Errorf("model %q: remote control %q, problem %q after it showed that it is a Snom phone", model, got.RemoteControl, got.Problem)
			}
		})
	}
}

// A device whose page is that of another device has no remote control, whatever model the settings name, and has it again
// when the phone is back at its address.
func TestADeviceOfAnotherMakeWithAModel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var server atomic.Value
		server.Store("lighttpd/1.4")
		device := otherDevice(t, &server, "<html><title>Router</title>ready</html>")
		device.phone.Model = "D735"
		h := newHarness(t, bridge.Config{}, []testPhone{device}, nil)
		time.Sleep(3 * time.Minute)
		if got := h.bridge.Snapshot()[0]; got.RemoteControl != snom.No || got.Problem == "" {
			t.Errorf("remote control %q, problem %q, expected no and a problem", got.RemoteControl, got.Problem)
		}
		server.Store("snom embedded")
		time.Sleep(3 * time.Minute)
		if got := h.bridge.Snapshot()[0]; got.RemoteControl == snom.No || got.Problem != "" {
			t.Errorf("remote control %q, problem %q after it showed that it is a Snom phone", got.RemoteControl, got.Problem)
		}
	})
}

// A phone that asks for a login where none is configured has refused none: it is asked again.
func TestNoLoginIsNoFailedLogin(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		auth snomtest.Auth
		cfg  snom.ClientConfig
	}{
		{"no user name, digest", snomtest.AuthDigest, snom.ClientConfig{}},
		{"no user name, basic", snomtest.AuthBasic, snom.ClientConfig{}},
		{"a login that is not allowed", snomtest.AuthBasic, snom.ClientConfig{Username: "admin", Password: "right", Auth: snom.AuthDigest}},
	}
	for _, tt := range tests {
		r := testPhone{phone: snomtest.Config{Name: "desk", Model: "D735", Auth: tt.auth, Username: "admin", Password: "right"}}
		inHarness(t, bridge.Config{}, []testPhone{r}, func(h *harness) {
			tt.cfg.URL, tt.cfg.Dial = "http://desk.invalid", h.dials["desk"]
			client, err := snom.NewClient(tt.cfg)
			if err != nil {
				h.t.Fatal(err)
			}
			h.roster.Phones = []bridge.PhoneConfig{{Name: "desk", URL: client.URL(), Phone: client, Fingerprint: "without", Login: "without"}}
			if err := h.reload(h.t.Context()); err != nil {
				h.t.Fatal(err)
			}
			for range 5 {
				if got := h.result("snom/desk/key", "P1", time.Minute); got.Code != bridge.Unauthorized || got.Requests != 1 {
					h.t.Fatalf("%s: %+v, expected unauthorized after one request", tt.name, got)
				}
			}
			if n := h.phones["desk"].FailedLogins(); n != 0 {
				h.t.Errorf("%s: %d failed logins", tt.name, n)
			}
			h.phones["desk"].SetAuth(snomtest.AuthNone)
			if got := h.result("snom/desk/key", "P1", time.Second); got.Code != bridge.OK {
				h.t.Errorf("%s: when the phone asks for no login any more: %+v, expected ok", tt.name, got)
			}
		})
	}
}
