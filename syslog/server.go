// Package syslog receives what phones send by syslog (RFC 3164, UDP) and reads the measurements of their sensors. Everything else
// in it is dropped, and nothing of it is kept or logged.
package syslog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// maxLine is how much of a datagram is read, in bytes: RFC 3164 allows 1,024.
const maxLine = 4 << 10

// Config is what a Server is made from.
type Config struct {
	// Phone returns the name of the phone with an address; false: it is no phone, or none with sensors. It must not block.
	Phone func(from netip.Addr) (name string, ok bool)
	// Reading takes a measurement of a phone. It must not block.
	Reading func(phone string, r Reading)
	Log     *slog.Logger
}

// Stats counts datagrams by what they were.
type Stats struct {
	Readings uint64 // had a measurement
	Others   uint64 // of a phone, without one
	Foreign  uint64 // from elsewhere than a phone with sensors
}

// A Server receives syslog. Make one with [Listen].
type Server struct {
	cfg                       Config
	conn                      *net.UDPConn
	readings, others, foreign atomic.Uint64
}

// Listen binds an address. The server receives nothing until [Server.Serve].
func Listen(address string, cfg Config) (*Server, error) {
	at, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, fmt.Errorf("syslog: %w", err)
	}
	conn, err := net.ListenUDP("udp", at)
	if err != nil {
		return nil, fmt.Errorf("syslog: %w", err)
	}
	return &Server{cfg: cfg, conn: conn}, nil
}

// Addr returns the address that it is bound to.
func (s *Server) Addr() net.Addr { return s.conn.LocalAddr() }

// Close releases the address of a server that does not serve.
func (s *Server) Close() error { return s.conn.Close() }

// Stats returns what came so far.
func (s *Server) Stats() Stats {
	return Stats{Readings: s.readings.Load(), Others: s.others.Load(), Foreign: s.foreign.Load()}
}

// Serve receives until ctx ends, and closes the socket.
func (s *Server) Serve(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { _ = s.conn.Close() })() // it was open
	defer s.conn.Close()
	line := make([]byte, maxLine)
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(line)
		switch {
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return nil
		case err != nil: // of one datagram: the next one may be readable
			s.cfg.Log.Debug("syslog not read", slog.Any("err", err))
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		s.receive(line[:n], from.Addr().Unmap().WithZone(""))
	}
}

// receive takes one datagram.
func (s *Server) receive(line []byte, from netip.Addr) {
	phone, ok := s.cfg.Phone(from)
	if !ok {
		s.foreign.Add(1)
		return
	}
	r, ok := Parse(line)
	if !ok {
		s.others.Add(1)
		return
	}
	s.readings.Add(1)
	s.cfg.Reading(phone, r)
}
