package session

import (
	"errors"
	"io"
	"strings"
	"testing"
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
		{in: "tcp://broker:x", err: "cannot be parsed"},
		{in: "tcp://bad host:1883", err: "cannot be parsed"},
		{in: "tcp://broker/path", err: "path"},
		{in: "ssl://broker?x=1", err: "query"},
		{in: "ws://broker/#x", err: "fragment"},
		{in: "tcp://user:" + canary + "@broker", err: "credentials"},
		{in: "tcp://user:" + canary + "@bad host", err: "cannot be parsed"},
		{in: "tcp://user:" + canary + "@broker:x", err: "cannot be parsed"},
		{in: "wss://broker:" + canary + "@", err: "credentials"},
	}
	for _, tt := range tests {
		u, err := parseURL(tt.in)
		switch {
		case err != nil:
			if tt.err == "" || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), canary) {
				t.Errorf("parseURL(%q) = %v, expected an error with %q and no password", tt.in, err, tt.err)
			}
		case tt.err != "" || u.String() != tt.want:
			t.Errorf("parseURL(%q) = %q, expected %q, error %q", tt.in, u, tt.want, tt.err)
		}
	}
}

func TestConnectErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		err     error
		want    string
		refused bool
	}{
		{ErrProtocolVersion, "refuses the connection", true},
		{ErrClientID, "refuses the connection", true},
		{ErrServerUnavailable, "not available", false},
		{ErrCredentials, "check user name and password", true},
		{ErrNotAuthorized, "check user name and password", true},
		{io.EOF, "no answer to CONNECT", false},
		{NotMQTT([]byte{0x15, 3, 3, 0, 2}), "speaks TLS", false},
		{NotMQTT([]byte("HTTP/1.1 400 Bad Request")), "speaks HTTP", false},
	}
	for _, tt := range tests {
		err := connectError(tt.err)
		if !strings.Contains(err.Error(), tt.want) || !errors.Is(err, tt.err) || isRefusal(err) != tt.refused {
			t.Errorf("connectError(%v) = %v, expected one with %q, refused %t", tt.err, err, tt.want, tt.refused)
		}
	}
	for _, first := range []string{"", " ", "\x20\x02\x00\x00", "\x20\x02\x00\x05", "\x15", "HTT"} {
		if err := NotMQTT([]byte(first)); err != nil {
			t.Errorf("NotMQTT(%q) = %v, expected nil", first, err)
		}
	}
}
