//go:build unix

package snom_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// The address of a phone may be of either family, and an IPv4 address written as an IPv6 one.
func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ hears, host string }{
		{"127.0.0.1:0", "127.0.0.1"},
		{"127.0.0.1:0", "[::ffff:127.0.0.1]"},
		{"[::1]:0", "[::1]"},
	} {
		l, err := net.Listen("tcp", tt.hears)
		if errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) {
			t.Logf("%s: left out, since this machine has no IPv6", tt.host)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		phone := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("ok")) }))
		_ = phone.Listener.Close()
		phone.Listener = l
		phone.Start()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		c := newClient(t, snom.ClientConfig{URL: "http://" + tt.host + ":" + port})
		if got, err := c.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1"}); err != nil || got.Status != http.StatusOK {
			t.Errorf("%s: Send = %+v, %v, expected 200", tt.host, got, err)
		}
		phone.Close()
	}
}

// crowded returns the URL of a phone that takes no connection any more.
func crowded(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: name.(*syscall.SockaddrInet4).Port}).String()
	for range 100 {
		conn, err := net.DialTimeout("tcp", addr, 200*time.Millisecond)
		if err != nil {
			return "http://" + addr
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	t.Skip("the kernel takes any number of connections")
	return ""
}

// A connection that the phone does not accept is given up in time, and when the context ends.
func TestNotAccepted(t *testing.T) {
	t.Parallel()
	url := crowded(t)
	for _, timeout := range []time.Duration{snom.Promptly / 2, 2 * snom.Promptly} {
		c := newClient(t, snom.ClientConfig{URL: url, Timeout: timeout})
		began := time.Now()
		got, err := c.Send(t.Context(), snom.Step{Request: "/"})
		if took := time.Since(began); !errors.Is(err, snom.ErrUnreachable) || got != (snom.Reply{}) || took < timeout {
			t.Errorf("Send = %+v, %v after %v, expected ErrUnreachable after %v", got, err, took, timeout)
		}
	}
	c := newClient(t, snom.ClientConfig{URL: url, Timeout: time.Hour})
	if got, err := c.Send(t.Context(), snom.Step{Request: "/", NotAfter: time.Now().Add(2 * snom.Promptly)}); !errors.Is(err, snom.ErrExpired) || got != (snom.Reply{}) {
		t.Errorf("Send = %+v, %v, expected ErrExpired", got, err)
	}
	stop := errors.New("stop")
	for _, after := range []time.Duration{0, snom.Promptly / 2, 2 * snom.Promptly} {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(after, func() { cancel(stop) })
		if got, err := c.Send(ctx, snom.Step{Request: "/"}); !errors.Is(err, snom.ErrUnreachable) || !errors.Is(err, stop) || got != (snom.Reply{}) {
			t.Errorf("Send = %+v, %v, expected ErrUnreachable and the cause, %v after the start", got, err, after)
		}
	}
}

// The kernel may choose the port of a phone that is switched off for this end of the connection. Such a connection is one
// with itself.
func TestNotWithItself(t *testing.T) {
	t.Parallel()
	var err error
	for range 3 { // another program may listen on one of them by then
		l, lerr := net.Listen("tcp", "127.0.0.1:0")
		if lerr != nil {
			t.Fatal(lerr)
		}
		_ = l.Close()
		// Linux connects from even ports, if one is free, and listens on odd ones (net/ipv4/inet_hashtables.c).
		if err = connectAll(t, fmt.Sprintf("127.0.0.1:%d", l.Addr().(*net.TCPAddr).Port&^1)); err == nil {
			return
		}
	}
	t.Errorf("Ping: %v, at three ports that were free; expected ErrUnreachable and connection refused", err)
}

// connectAll pings a phone that is switched off from every port, and returns an error when anything but that shows.
func connectAll(t *testing.T, addr string) error {
	t.Helper()
	c := newClient(t, snom.ClientConfig{URL: "http://" + addr})
	for range 1 << 16 { // there are as many ports
		if err := c.Ping(t.Context()); !errors.Is(err, snom.ErrUnreachable) || !errors.Is(err, syscall.ECONNREFUSED) {
			return fmt.Errorf("connected: %t, error: %v", err == nil, err)
		}
	}
	return nil
}
