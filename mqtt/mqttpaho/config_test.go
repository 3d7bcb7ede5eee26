package mqttpaho

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

const canary = "canary-09be"

func TestParseURL(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want, err string }{
		{in: "tcp://broker", want: "tcp://broker:1883"},
		{in: "mqtt://broker/", want: "tcp://broker:1883"},
		{in: "tcp://192.0.2.1:1884", want: "tcp://192.0.2.1:1884"},
		{in: "tcp://[2001:db8::1]", want: "tcp://[2001:db8::1]:1883"},
		{in: "ssl://broker", want: "ssl://broker:8883"},
		{in: "mqtts://broker:1", want: "ssl://broker:1"},
		{in: "ws://broker", want: "ws://broker:80"},
		{in: "wss://broker/mqtt?x=1", want: "wss://broker:443/mqtt?x=1"},
		{in: "TCP://broker", want: "tcp://broker:1883"},
		{in: "", err: "scheme"},
		{in: "broker", err: "scheme"},
		{in: "broker:1883", err: "scheme"},
		{in: "http://broker", err: "scheme"},
		{in: "unix:///tmp/x", err: "scheme"},
		{in: "tcp:broker", err: "without a host"},
		{in: "tcp://", err: "without a host"},
		{in: "tcp://:1883", err: "without a host"},
		{in: "tcp://broker:0", err: "port"},
		{in: "tcp://broker:65536", err: "port"},
		{in: "tcp://broker:x", err: "cannot be read"},
		{in: "tcp://bad host:1883", err: "cannot be read"},
		{in: "tcp://broker/path", err: "path"},
		{in: "ssl://broker?x=1", err: "query"},
		{in: "ws://broker/#x", err: "fragment"},
		{in: "tcp://user:" + canary + "@broker", err: "credentials"},
		{in: "tcp://user:" + canary + "@bad host", err: "cannot be read"},
		{in: "tcp://user:" + canary + "@broker:x", err: "cannot be read"},
		{in: "wss://broker:" + canary + "@", err: "credentials"},
	}
	for _, tt := range tests {
		u, err := parseURL(tt.in)
		switch {
		case err != nil:
			if tt.err == "" || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), canary) {
				t.Errorf("parseURL(%q) = %v, want an error with %q and no password", tt.in, err, tt.err)
			}
		case tt.err != "" || u.String() != tt.want:
			t.Errorf("parseURL(%q) = %q, want %q, error %q", tt.in, u, tt.want, tt.err)
		}
	}
}

func TestConnectErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		code    byte
		want    string
		refused bool
	}{
		{packets.ErrRefusedBadProtocolVersion, "refuses us", true},
		{packets.ErrRefusedIDRejected, "refuses us", true},
		{packets.ErrRefusedServerUnavailable, "not available", false},
		{packets.ErrRefusedBadUsernameOrPassword, "check user name and password", true},
		{packets.ErrRefusedNotAuthorised, "check user name and password", true},
		{packets.ErrNetworkError, "no answer to CONNECT", false},
		{99, "no answer to CONNECT", false},
	}
	for _, tt := range tests {
		cause := errors.New("the cause")
		err := connectError(tt.code, cause)
		if !strings.Contains(err.Error(), tt.want) || !errors.Is(err, cause) || errors.Is(err, errRefused) != tt.refused {
			t.Errorf("connectError(%d) = %v, want one with %q, refused %t", tt.code, err, tt.want, tt.refused)
		}
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	tree, err := mqtt.NewTree("snom", "")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(*Config)
		want   string // part of the error; empty: none
	}{
		{"as it should be", func(*Config) {}, ""},
		{"no password", func(c *Config) { c.Password = "" }, ""},
		{"nobody", func(c *Config) { c.Username, c.Password = "", "" }, ""},
		{"URL", func(c *Config) { c.URL = "x" }, "URL"},
		{"no client id", func(c *Config) { c.ClientID = "" }, "client id"},
		{"long client id", func(c *Config) { c.ClientID = strings.Repeat("x", 257) }, "client id"},
		{"client id with a control character", func(c *Config) { c.ClientID = "a\nb" }, "client id"},
		{"client id that is not UTF-8", func(c *Config) { c.ClientID = "\xff" }, "client id"},
		{"password without user name", func(c *Config) { c.Username = "" }, "without a user name"},
		{"long password", func(c *Config) { c.Password = strings.Repeat(canary, 6000) }, "65535"},
		{"no tree", func(c *Config) { c.Tree = mqtt.Tree{} }, "must be set"},
		{"no log", func(c *Config) { c.Log = nil }, "must be set"},
		{"half a second", func(c *Config) { c.KeepAlive = time.Second / 2 }, "keep-alive"},
		{"queue", func(c *Config) { c.Queue = -1 }, "queue"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := Config{
				URL:      "tcp://broker",
				Username: "bridge",
				Password: canary,
				ClientID: "snom2mqtt-test",
				Tree:     tree,
				Filters:  func() []string { return nil },
				Handle:   func(mqtt.Message) {},
				Log:      slog.New(slog.DiscardHandler),
			}
			tt.change(&cfg)
			_, err := New(cfg)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New() = %v, want an error with %q", err, tt.want)
			}
			if s := fmt.Sprintf("%v %s %+v %#v %v", cfg, cfg, cfg, cfg, err); strings.Contains(s, canary) {
				t.Errorf("the password is in %q", s)
			}
		})
	}
}
