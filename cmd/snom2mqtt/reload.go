package main

import (
	"context"
	"log/slog"
	"os"
)

// reload reads the phones again and puts them into effect. When they cannot be read, or have errors, nothing changes.
func (s *service) reload(ctx context.Context) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	r, warnings, err := s.settings.ReloadPhones(ctx)
	if err != nil {
		s.log.Error("phones not reloaded", slog.Any("err", err))
		s.faults.set(nil, err)
		return err
	}
	logWarnings(s.log, warnings)
	s.digests = newDigestMemory(s.state, s.bridge.Phones(), s.digests)
	phones, err := roster(s.settings, r, s.digests, s.drivers)
	if err == nil {
		err = s.drivers.open(r)
	}
	if err != nil {
		s.log.Error("phones not reloaded", slog.Any("err", err))
		s.faults.set(nil, err)
		return err
	}
	s.faults.set(warnings, nil)
	change, err := s.bridge.Apply(phones)
	if err != nil {
		return err
	}
	if s.actions != nil {
		s.actions.setPhones(r)
	}
	if s.sensors != nil {
		s.sensors.setPhones(r)
	}
	s.session.Resubscribe(ctx)
	change.Complete(ctx)
	s.discovery.Changed()
	s.reporter.changed()
	return nil
}

// reloadOn reloads at each signal until ctx ends.
func (s *service) reloadOn(ctx context.Context, hup <-chan os.Signal) error {
	for {
		select {
		case <-hup:
			_ = s.reload(ctx) // it has logged what is wrong, and nothing has changed
		case <-ctx.Done():
			return nil
		}
	}
}
