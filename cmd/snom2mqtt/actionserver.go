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
	"github.com/snom2mqtt/snom2mqtt/internal/netlimit"
	"github.com/snom2mqtt/snom2mqtt/pages"
	"github.com/snom2mqtt/snom2mqtt/phoneweb"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
	"github.com/snom2mqtt/snom2mqtt/snom/notify"
)

// An actionServer is where phones report their events: the server for action URLs on PHONE_LISTEN.
type actionServer struct {
	settings  config.Config
	container string // the sign of a container that this program runs in, "" for none
	listener  net.Listener
	web       *phoneweb.Server
	pages     pages.Store
	log       *slog.Logger
	phones    atomic.Pointer[map[string]config.Phone] // the current ones, by name
}

// An eventTaker gets what phones report, and answers it. It is called after the service was made.
type eventTaker struct {
	event  func(phone string, e actionurl.Event)
	answer func(ctx context.Context, phone string, e actionurl.Event) pages.Reply
}

// listenForActions binds PHONE_LISTEN; nil where that is off.
func listenForActions(c config.Config, container string, events eventTaker, log *slog.Logger) (*actionServer, error) {
	if c.PhoneListen == "" {
		return nil, nil
	}
	// A phone's connection serves one request within seconds: it is not worth four system calls to look after.
	lc := net.ListenConfig{KeepAlive: -1}
	l, err := lc.Listen(context.Background(), "tcp", c.PhoneListen)
	if err != nil {
		return nil, fmt.Errorf("action URLs: %w", err)
	}
	a := &actionServer{settings: c, container: container, listener: l, log: log}
	a.setPhones(c.Roster)
	a.settings.Roster = config.Roster{} // phones has what is needed of it
	a.web = phoneweb.New(phoneweb.Config{
		Phone: a.phone, CheckSource: c.PhoneCheckSource, Event: events.event, Answer: events.answer, Pages: &a.pages, Limits: netlimit.Default().Within(listenerShare()), Log: log,
	})
	log.Info("listening for action URLs", slog.String("from", l.Addr().String()))
	if _, err := baseURL(context.Background(), c.PhoneBaseURL, l.Addr().String(), "http://192.0.2.1", container); errors.Is(err, errContainer) {
		log.Warn("action URLs cannot be installed", slog.Any("err", err))
	}
	return a, nil
}

// setPhones makes the phones of r those that are served from now on.
func (a *actionServer) setPhones(r config.Roster) {
	phones := make(map[string]config.Phone, len(r.Phones))
	for _, p := range r.Phones {
		phones[p.Name] = p
	}
	a.phones.Store(&phones)
}

// phone returns a phone as phoneweb needs it.
func (a *actionServer) phone(name string) (phoneweb.Phone, bool) {
	p, ok := (*a.phones.Load())[name]
	return phoneweb.Phone{Token: p.Token.Reveal(), Host: hostname(p.URL)}, ok
}

// actionURLs returns the action URLs of a phone.
func (a *actionServer) actionURLs(ctx context.Context, phone string) ([]actionurl.URL, error) {
	p, ok := (*a.phones.Load())[phone]
	if !ok {
		return nil, fmt.Errorf("no phone is called %q", phone)
	}
	return actionURLs(ctx, a.settings, p, a.listener.Addr().String(), a.container)
}

// pageURL returns the URL of the pages of a phone, to which their id is appended.
func (a *actionServer) pageURL(ctx context.Context, phone string) (string, error) {
	p, ok := (*a.phones.Load())[phone]
	if !ok {
		return "", fmt.Errorf("no phone is called %q", phone)
	}
	base, err := baseURL(ctx, a.settings.PhoneBaseURL, a.listener.Addr().String(), p.URL, a.container)
	return base + phoneweb.PagePath(p.Name, p.Token.Reveal()), err
}

// serve serves action URLs until ctx ends, and logs then how many there were.
func (a *actionServer) serve(ctx context.Context) error {
	err := a.web.Serve(ctx, a.listener)
	s := a.web.Stats()
	a.log.Info("action URLs served", slog.Uint64("events", s.Accepted), slog.Uint64("wrong_token", s.WrongToken),
		slog.Uint64("wrong_address", s.WrongSource), slog.Uint64("too_many", s.Limited),
		slog.Uint64("not_understood", s.Malformed), slog.Uint64("dropped", s.Dropped),
		slog.Uint64("pages", s.Pages), slog.Uint64("wrong_page", s.WrongPage))
	return err
}

// actionURLs returns the action URLs of a phone. at is the address that is listened on, as far as it is known; container
// is the sign of a container that this program runs in.
func actionURLs(ctx context.Context, c config.Config, p config.Phone, at, container string) ([]actionurl.URL, error) {
	if at == "" {
		return nil, errors.New("SNOM2MQTT_PHONE_LISTEN is off: nothing would receive the events")
	}
	base, err := baseURL(ctx, c.PhoneBaseURL, at, p.URL, container)
	if err != nil {
		return nil, err
	}
	return actionurl.URLs(base, p.Name, p.Token.Reveal()), nil
}

var errContainer = errors.New("SNOM2MQTT_PHONE_BASE_URL: not set")

// baseURL returns where a phone reaches what listens at an address: as set, at that address where it names a host, or
// else at the address that this machine has on the way to the phone. In a container that is one which only the
// container's own network knows, so it is not used there, unless the phone is in the container too.
func baseURL(ctx context.Context, set, at, phone, container string) (string, error) {
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
			if container != "" && !isLoopback(hostname(phone)) {
				return "", fmt.Errorf("%w, and this is a container (%s), whose address phones do not reach: "+
					"expected the URL by which phones reach the bridge, such as http://192.0.2.5:%s", errContainer, container, port)
			}
			if host, err = ownAddress(ctx, phone); err != nil {
				return "", fmt.Errorf("SNOM2MQTT_PHONE_BASE_URL: not set, and this machine has no route to the phone: %w", err)
			}
		}
		base = "http://" + net.JoinHostPort(host, port)
	}
	if isLoopback(hostname(base)) && !isLoopback(hostname(phone)) {
		return "", fmt.Errorf("for a phone, %s is the phone itself: expected SNOM2MQTT_PHONE_BASE_URL, or PHONE_LISTEN on an address that phones reach", hostname(base))
	}
	return base, nil
}

// ownAddress returns this machine's address on the way to the host of a URL. Nothing is sent.
func ownAddress(ctx context.Context, target string) (string, error) {
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "udp", net.JoinHostPort(hostname(target), "80"))
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

// hostname returns the host of a URL, without its port.
func hostname(text string) string {
	if a, err := notify.ParseAddress(text); err == nil {
		if a.Scheme != "sip" { // where the phone is, its PBX knows
			return ""
		}
		return a.Host
	}
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
