package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// A phoneSet is simulated phones that are being served.
type phoneSet struct {
	failed  chan error // the first server that failed
	serving sync.WaitGroup
	servers []*http.Server
	phones  []*snomtest.Phone
	sockets []io.Closer // for SIP
}

func newPhoneSet() *phoneSet { return &phoneSet{failed: make(chan error, 1)} }

// serve serves phone at addr and returns its URL.
func (s *phoneSet) serve(phone *snomtest.Phone, addr string, secure *tls.Config) (url string, err error) {
	l, err := phone.Listen(addr)
	if err != nil {
		return "", err
	}
	url = "http://" + l.Addr().String()
	server := phone.Server()
	if secure != nil {
		url = "https://" + l.Addr().String()
		l = tls.NewListener(l, secure)
	}
	s.phones = append(s.phones, phone)
	s.start(server, l)
	return url, nil
}

// serveSIP has phone take part in SIP at addr, over UDP and TCP, and returns the address.
func (s *phoneSet) serveSIP(phone *snomtest.Phone, addr string, c snomtest.SIPConfig) (side *snomtest.SIP, address string, err error) {
	conn, err := net.ListenPacket("udp", addr)
	if err != nil {
		return nil, "", err
	}
	address = conn.LocalAddr().String()
	l, err := net.Listen("tcp", address)
	if err != nil {
		_ = conn.Close() // it never served
		return nil, "", err
	}
	s.sockets = append(s.sockets, conn, l)
	side = phone.SIP(conn, c)
	s.serving.Go(func() { s.fail(side.Serve()) })
	s.serving.Go(func() { s.fail(side.ServeStream(l)) })
	return side, address, nil
}

// fail notes the error of a server; nil: none.
func (s *phoneSet) fail(err error) {
	if err == nil {
		return
	}
	select {
	case s.failed <- err:
	default: // one is enough to end
	}
}

// control serves the handler that plays calls. It listens on loopback only.
func (s *phoneSet) control(addr string, phones []*snomtest.Phone) (url string, err error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", err
	}
	if a, ok := l.Addr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
		_ = l.Close() // it never served
		return "", usageError{fmt.Errorf("--control %q: expected a loopback address: every client that reaches it can play calls", addr)}
	}
	s.start(&http.Server{Handler: snomtest.ControlHandler(phones...), ReadHeaderTimeout: 5 * time.Second}, l)
	return "http://" + l.Addr().String(), nil
}

func (s *phoneSet) start(server *http.Server, l net.Listener) {
	s.servers = append(s.servers, server)
	s.serving.Go(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.fail(err)
		}
	})
}

// wait waits until the context ends or a server fails.
func (s *phoneSet) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.failed:
		return err
	}
}

// close ends the servers and the phones.
func (s *phoneSet) close() {
	for _, server := range s.servers {
		_ = server.Close() // what it was doing is meant to end
	}
	for _, socket := range s.sockets {
		_ = socket.Close() // likewise
	}
	for _, phone := range s.phones {
		_ = phone.Close() // likewise
	}
	s.serving.Wait()
}
