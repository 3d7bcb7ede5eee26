package main

import (
	"bytes"
	"context"
	"net"
	"regexp"
	"slices"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

func TestEveryFaultIsExplained(t *testing.T) {
	t.Parallel()
	var explained []string
	for _, r := range faultRows() {
		explained = append(explained, r[0])
	}
	slices.Sort(explained)
	if want := snomtest.FaultNames(); !slices.Equal(explained, want) {
		t.Errorf("the help explains %q, want %q", explained, want)
	}
}

// lastWord ends a run when pattern was written to it.
type lastWord struct {
	bytes.Buffer
	pattern *regexp.Regexp
	end     context.CancelFunc
}

func (w *lastWord) Write(b []byte) (int, error) {
	n, err := w.Buffer.Write(b)
	if w.pattern.Match(w.Bytes()) {
		w.end()
	}
	return n, err
}

func TestSimulateSeveral(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	said := &lastWord{pattern: regexp.MustCompile(`(?m)^desk-1 http://127\.0\.0\.1:\d+\ndesk-2 http://127\.0\.0\.1:\d+\n$`), end: cancel}
	var out bytes.Buffer
	code := run(ctx, []string{"simulate", "--listen", "127.0.0.1:0", "--count", "2", "--name", "desk"}, nil, &out, said)
	if code != exitDone || out.Len() > 0 || !said.pattern.Match(said.Bytes()) {
		t.Errorf("exit code %d, %q, %q; want 0, nothing, and two addresses", code, &out, &said.Buffer)
	}
}

// TestASimulatedPhoneCallsFromItsAddress: the bridge takes events and measurements of a phone from its own address only.
func TestASimulatedPhoneCallsFromItsAddress(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	datagrams, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer datagrams.Close()
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	if dialFrom("127.0.0.1") != nil || dialFrom("::1") != nil || dialFrom("192.0.2.10") != nil || dialFrom("phone.example") != nil {
		t.Error("expected the system to choose the address")
	}
	dial := dialFrom("127.0.0.7")
	for network, address := range map[string]net.Addr{"tcp": l.Addr(), "udp": datagrams.LocalAddr()} {
		conn, err := dial(ctx, network, address.String())
		if err != nil {
			t.Skipf("this system has no second loopback address: %v", err)
		}
		if host, _, _ := net.SplitHostPort(conn.LocalAddr().String()); host != "127.0.0.7" {
			t.Errorf("%s from %s", network, conn.LocalAddr())
		}
		_ = conn.Close() // nothing was sent
	}
}
