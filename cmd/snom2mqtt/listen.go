package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/snom2mqtt/snom2mqtt/config"
	"github.com/snom2mqtt/snom2mqtt/phoneweb"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// An ear is where phones call the bridge: their action URLs.
type ear struct {
	settings config.Config
	listener net.Listener
	web      *phoneweb.Server
	log      *slog.Logger
	phones   atomic.Pointer[map[string]config.Phone] // those of now, by name
}

// listenToPhones binds PHONE_LISTEN; nil where that is off.
func listenToPhones(c config.Config, event func(phone string, e actionurl.Event), log *slog.Logger) (*ear, error) {
	if c.PhoneListen == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", c.PhoneListen)
	if err != nil {
		return nil, fmt.Errorf("action URLs: %w", err)
	}
	e := &ear{settings: c, listener: l, log: log}
	e.know(c.Roster)
	e.settings.Roster = config.Roster{} // what is of use of it is in phones
	e.web = phoneweb.New(phoneweb.Config{Phone: e.caller, CheckSource: c.PhoneCheckSource, Event: event, Log: log})
	log.Info("phones may call", slog.String("from", l.Addr().String()))
	return e, nil
}

// know takes the phones of r for those that may call, from now on.
func (e *ear) know(r config.Roster) {
	phones := make(map[string]config.Phone, len(r.Phones))
	for _, p := range r.Phones {
		phones[p.Name] = p
	}
	e.phones.Store(&phones)
}

// caller is a phone as phoneweb needs it.
func (e *ear) caller(name string) (phoneweb.Phone, bool) {
	p, ok := (*e.phones.Load())[name]
	return phoneweb.Phone{Token: p.Token.Reveal(), Host: hostname(p.URL)}, ok
}

// actionURLs are what a phone is to call.
func (e *ear) actionURLs(ctx context.Context, phone string) ([]actionurl.URL, error) {
	p, ok := (*e.phones.Load())[phone]
	if !ok {
		return nil, fmt.Errorf("no phone is called %q", phone)
	}
	return actionURLs(ctx, e.settings, p, e.listener.Addr().String())
}

// serve takes what phones say until ctx ends, and tells then how much that was.
func (e *ear) serve(ctx context.Context) error {
	err := e.web.Serve(ctx, e.listener)
	s := e.web.Stats()
	e.log.Info("phones called", slog.Uint64("events", s.Accepted), slog.Uint64("wrong_token", s.WrongToken),
		slog.Uint64("wrong_address", s.WrongSource), slog.Uint64("too_many", s.Limited),
		slog.Uint64("not_understood", s.Malformed), slog.Uint64("dropped", s.Dropped))
	return err
}

// actionURLs are what a phone is to call. at is the address that is listened on, as far as it is known.
func actionURLs(ctx context.Context, c config.Config, p config.Phone, at string) ([]actionurl.URL, error) {
	if at == "" {
		return nil, errors.New("SNOM2MQTT_PHONE_LISTEN is off: nobody would answer the phone")
	}
	base, err := baseURL(ctx, c.PhoneBaseURL, at, p.URL)
	if err != nil {
		return nil, err
	}
	return actionurl.URLs(base, p.Name, p.Token.Reveal()), nil
}

// baseURL is where a phone reaches what listens at an address: as set, at that address where it is one
// of this machine's, or else at the address that this machine has on the way to the phone.
func baseURL(ctx context.Context, set, at, phone string) (string, error) {
	base := set
	if base == "" {
		host, port, err := net.SplitHostPort(at)
		if err != nil {
			return "", err
		}
		if port == "0" {
			return "", errors.New("SNOM2MQTT_PHONE_BASE_URL: not set, and PHONE_LISTEN leaves the port open: expected the URL by which phones reach the bridge")
		}
		if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
			if host, err = ownAddress(ctx, phone); err != nil {
				return "", fmt.Errorf("SNOM2MQTT_PHONE_BASE_URL: not set, and this machine knows no way to the phone: %w", err)
			}
		}
		base = "http://" + net.JoinHostPort(host, port)
	}
	if isLoopback(hostname(base)) && !isLoopback(hostname(phone)) {
		return "", fmt.Errorf("phones take %s for themselves: expected SNOM2MQTT_PHONE_BASE_URL, or PHONE_LISTEN on an address that phones reach", hostname(base))
	}
	return base, nil
}

// ownAddress is this machine's address on the way to the host of a URL. Nothing is sent.
func ownAddress(ctx context.Context, target string) (string, error) {
	u, err := url.Parse(target)
	if err != nil {
		return "", err
	}
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "udp", net.JoinHostPort(u.Hostname(), "80"))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	addr, err := netip.ParseAddrPort(conn.LocalAddr().String())
	if err != nil {
		return "", err
	}
	return addr.Addr().Unmap().WithZone("").String(), nil
}

// hostname is the host of a URL, without its port.
func hostname(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}
