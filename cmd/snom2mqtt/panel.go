package main

import (
	"context"
	"errors"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/snom2mqtt/snom2mqtt/fetch"
	"github.com/snom2mqtt/snom2mqtt/internal/textfile"
)

// pictures says where pictures may be fetched from: not from phones, where a request may be a command.
func (a *actionServer) pictures() fetch.Rules {
	return fetch.Rules{Allow: a.settings.ImageHosts, Deny: func(host, port string) bool {
		for _, p := range *a.phones.Load() {
			if isPhone(p.URL, host, port) {
				return true
			}
		}
		return false
	}}
}

// isPhone reports whether a host and port are those of the phone with a URL. On this machine, where other programs have the same address, that
// is the port of its URL; anywhere else any port of its host.
func isPhone(phone, host, port string) bool {
	u, err := url.Parse(phone)
	if err == nil && u.Opaque != "" { // sip:27@192.0.2.20:5060;transport=tcp
		_, at, _ := strings.Cut(u.Opaque, "@")
		at, _, _ = strings.Cut(at, ";")
		u, err = url.Parse("sip://" + at)
	}
	if err != nil || !strings.EqualFold(strings.TrimSuffix(u.Hostname(), "."), host) && !sameAddr(u.Hostname(), host) {
		return false
	}
	own := u.Port()
	if own == "" {
		own = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return !isLoopback(host) || port == own || port == "" && own == "80"
}

// sameAddr reports whether two texts are the same IP address. What localhost is depends on the machine: it is any loopback address.
func sameAddr(a, b string) bool {
	if strings.EqualFold(a, "localhost") || strings.EqualFold(b, "localhost") {
		return isLoopback(strings.ToLower(a)) && isLoopback(strings.ToLower(b))
	}
	x, err := netip.ParseAddr(a)
	y, wrong := netip.ParseAddr(b)
	return err == nil && wrong == nil && x.Unmap() == y.Unmap()
}

// maxPINFile bounds the file with a PIN, in bytes.
const maxPINFile = 1 << 10

// pins returns what reads the file with a PIN: one beside the phones file, by its name. A file with anything but the digits
// of a PIN is refused, so that no other secret can be guessed at a phone.
func pins(phonesFile string) func(name string) (string, error) {
	reader := &textfile.Reader{}
	return func(name string) (string, error) {
		if phonesFile == "" {
			return "", errors.New("it is looked for beside the phones file, and PHONES_FILE is not set")
		}
		data, err := reader.Read(context.Background(), filepath.Join(filepath.Dir(phonesFile), filepath.Base(name)), maxPINFile)
		if err != nil {
			return "", err
		}
		pin, err := textfile.Line(data)
		if err == nil && (len(pin) < 1 || len(pin) > 32 || strings.Trim(pin, "0123456789") != "") {
			err = errors.New("expected a file with 1 to 32 digits")
		}
		return pin, err
	}
}
