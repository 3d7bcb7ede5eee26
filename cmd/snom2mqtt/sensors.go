package main

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/config"
	"github.com/snom2mqtt/snom2mqtt/syslog"
)

// Times of a sensorServer, chosen by this project.
const (
	namesLast  = time.Minute // how long the addresses of host names are used
	lookupTime = 5 * time.Second
)

// A sensorServer receives what phones with sensors send by syslog, on SYSLOG_LISTEN.
type sensorServer struct {
	server *syslog.Server
	bridge func() *bridge.Bridge
	log    *slog.Logger
	hosts  atomic.Pointer[sensorHosts]             // of the phones; replaced, never changed
	found  atomic.Pointer[map[netip.Addr][]string] // the addresses of host names, and the phones there; replaced, never changed
	wake   chan struct{}                           // capacity 1: there are other phones
}

// sensorHosts are where phones are.
type sensorHosts struct {
	addrs map[netip.Addr][]string // names of phones by address
	names map[string][]string     // and by host name
}

// listenForSensors binds SYSLOG_LISTEN; nil where that is off.
func listenForSensors(c config.Config, of func() *bridge.Bridge, log *slog.Logger) (*sensorServer, error) {
	if c.SyslogListen == "" {
		return nil, nil
	}
	s := &sensorServer{bridge: of, log: log, wake: make(chan struct{}, 1)}
	s.setPhones(c.Roster)
	s.found.Store(&map[netip.Addr][]string{})
	var err error
	s.server, err = syslog.Listen(c.SyslogListen, syslog.Config{Phone: s.phone, Reading: s.reading, Log: log})
	if err != nil {
		return nil, err
	}
	log.Info("listening for syslog", slog.String("from", s.server.Addr().String()))
	return s, nil
}

// setPhones makes the phones of r those that are listened to.
func (s *sensorServer) setPhones(r config.Roster) {
	h := &sensorHosts{addrs: map[netip.Addr][]string{}, names: map[string][]string{}}
	for _, p := range r.Phones {
		host := hostname(p.URL)
		if addr, err := netip.ParseAddr(host); err == nil {
			addr = addr.Unmap().WithZone("")
			h.addrs[addr] = append(h.addrs[addr], p.Name)
		} else if host != "" {
			h.names[host] = append(h.names[host], p.Name)
		}
	}
	s.hosts.Store(h)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// phone returns the phone with sensors that is at an address. Where several phones have one address, it is the only one of them
// that may have sensors.
func (s *sensorServer) phone(from netip.Addr) (name string, ok bool) {
	b := s.bridge()
	for _, list := range [][]string{s.hosts.Load().addrs[from], (*s.found.Load())[from]} {
		for _, one := range list {
			if !b.HasSensors(one) {
				continue
			}
			if name != "" && name != one {
				return "", false
			}
			name = one
		}
	}
	return name, name != ""
}

// reading hands a measurement to the bridge.
func (s *sensorServer) reading(phone string, r syslog.Reading) {
	var is bridge.Reading
	if r.HasLight {
		is.Light = &r.Light
	}
	if r.HasTemperature {
		is.Temperature = &r.Temperature
	}
	s.bridge().Sensors(phone, is)
}

// serve receives until ctx ends.
func (s *sensorServer) serve(ctx context.Context) error {
	looking := make(chan struct{})
	go func() {
		defer close(looking)
		s.lookUp(ctx)
	}()
	err := s.server.Serve(ctx)
	<-looking
	return err
}

// lookUp keeps the addresses of host names until ctx ends.
func (s *sensorServer) lookUp(ctx context.Context) {
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-again.C:
		}
		names := s.hosts.Load().names
		found := make(map[netip.Addr][]string, len(names))
		for host, phones := range names {
			within, cancel := context.WithTimeout(ctx, lookupTime)
			addrs, err := net.DefaultResolver.LookupNetIP(within, "ip", host)
			cancel()
			if err != nil {
				s.log.Debug("phone not looked up", slog.String("phone", phones[0]), slog.Any("err", err))
			}
			for _, a := range addrs {
				a = a.Unmap().WithZone("")
				found[a] = append(found[a], phones...)
			}
		}
		s.found.Store(&found)
		if len(names) > 0 {
			again.Reset(namesLast)
		}
	}
}
