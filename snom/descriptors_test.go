//go:build unix

package snom_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// A process without a free descriptor reports no phone as unreachable: neither by its address nor by its name.
func TestOutOfDescriptors(t *testing.T) {
	const inside = "SNOM_TEST_OUT_OF_DESCRIPTORS"
	if os.Getenv(inside) == "" {
		t.Parallel()
		server := httptest.NewServer(http.NotFoundHandler())
		t.Cleanup(server.Close)
		child := exec.Command(os.Args[0], "-test.run=^TestOutOfDescriptors$", "-test.v")
		child.Env = append(os.Environ(), inside+"="+server.URL)
		out, err := child.CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	url := os.Getenv(inside)
	_, port, _ := strings.Cut(strings.TrimPrefix(url, "http://"), ":")
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = 64
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, snom.ClientConfig{URL: url})
	named := newClient(t, snom.ClientConfig{URL: "http://phone.invalid"})
	local := newClient(t, snom.ClientConfig{URL: "http://localhost:" + port})
	if err := c.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	var used []net.PacketConn
	for {
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			break
		}
		used = append(used, conn)
	}
	for what, c := range map[string]*snom.Client{"address": c, "name": named, "localhost": local} {
		_, err := c.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1"})
		for _, err := range []error{err, c.Ping(t.Context())} {
			if !errors.Is(err, snom.ErrLocal) || errors.Is(err, snom.ErrUnreachable) {
				t.Errorf("%s: %v, expected ErrLocal", what, err)
			}
		}
	}
	for _, conn := range used {
		_ = conn.Close()
	}
	if err := c.Ping(t.Context()); err != nil {
		t.Errorf("with descriptors again: %v", err)
	}
}
