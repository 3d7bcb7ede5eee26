package snomtest

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtp"
)

// packet is one packet of a stream.
func packet(ssrc uint32, n int, sample byte) *rtp.Packet {
	return &rtp.Packet{Header: rtp.Header{Version: 2, SSRC: ssrc, SequenceNumber: uint16(65530 + n), Timestamp: uint32(n * 160)}, Payload: bytes.Repeat([]byte{sample}, 160)}
}

// TestWhatAPhonePlays: which of several streams is played, and what a call has to do with it, is as Snom documents it.
func TestWhatAPhonePlays(t *testing.T) {
	t.Parallel()
	p := New(Config{Settings: map[string]string{
		"multicast_listen": "on", "mc_address1": "239.255.10.1:5004", "mc_address2": "239.255.10.2:5004, priority=8, speaker=1,volmax=1",
		"mc_address3": "239.255.10.3:5004,interrupt=1", "mc_address4": "239.255.10.4:5004,interrupt=3,priority=9", "mc_address5": "192.0.2.1:5004",
	}})
	defer p.Close()
	now := time.Now()
	say := func(address string, ssrc uint32, packets ...int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, n := range packets {
			now = now.Add(20 * time.Millisecond)
			p.hear(address, packet(ssrc, n, byte(ssrc)), now)
		}
	}
	later := func() { now = now.Add(time.Second) }
	expect := func(what, address string, packets, lost, doubled int, with string) {
		t.Helper()
		if a := p.Announced(); a.Address != address || a.Packets != packets || a.Lost != lost || a.Doubled != doubled || a.WithCall != with {
			t.Errorf("%s: %+v", what, a)
		}
	}
	say("239.255.10.9:5004", 1, 0, 1)
	expect("an address that is not set", "", 0, 0, 0, "")
	say("239.255.10.1:5004", 1, 0, 1, 2, 2, 5, 4, 9)
	expect("with losses", "239.255.10.1:5004", 6, 4, 1, "")
	say("239.255.10.3:5004", 2, 0)
	expect("another of the same priority", "239.255.10.1:5004", 6, 4, 1, "")
	say("239.255.10.2:5004", 3, 0, 1)
	expect("a higher priority", "239.255.10.2:5004", 2, 0, 0, "")
	if a := p.Announced(); !a.Speaker || !a.VolMax {
		t.Errorf("%+v", a)
	}
	later()
	say("239.255.10.2:5004", 3, 2)
	expect("the same stream after a gap", "239.255.10.2:5004", 3, 0, 0, "")
	later()
	say("239.255.10.1:5004", 4, 0)
	expect("after the end", "239.255.10.1:5004", 1, 0, 0, "")
	p.mu.Lock()
	first := packet(9, 0, 9)
	first.Marker = true
	p.hear("239.255.10.1:5004", first, now.Add(20*time.Millisecond))
	p.mu.Unlock()
	say("239.255.10.1:5004", 9, 1)
	expect("the next announcement at once", "239.255.10.1:5004", 2, 0, 0, "")
	later()
	p.Incoming(Call{Number: "1"})
	p.Answer()
	say("239.255.10.1:5004", 5, 0)
	expect("in a call", "239.255.10.1:5004", 2, 0, 0, "")
	say("239.255.10.3:5004", 6, 0)
	expect("interrupting", "239.255.10.3:5004", 1, 0, 0, "interrupted")
	if p.State().Calls[0].State != CallConnected {
		t.Error("the call is not there any more")
	}
	later()
	say("239.255.10.4:5004", 7, 0)
	expect("holding", "239.255.10.4:5004", 1, 0, 0, "held")
	if p.State().Calls[0].State != CallHeld {
		t.Error("the call is not held")
	}
	later()
	p.Set("multicast_listen", "off")
	say("239.255.10.2:5004", 8, 0)
	expect("off", "239.255.10.4:5004", 1, 0, 0, "held")
	if w := p.HeardWAV(); len(w) != 44+320 {
		t.Errorf("%d bytes", len(w))
	}
}

// TestJoinsItsAddresses: it listens to what its settings say, from when they say it.
func TestJoinsItsAddresses(t *testing.T) {
	t.Parallel()
	p := New(Config{})
	defer p.Close()
	if err := p.ListenMulticast(""); err != nil {
		t.Fatal(err)
	}
	if err := p.ListenMulticast("nosuch0"); err == nil {
		t.Error("an interface that does not exist is accepted")
	}
	p.Set("mc_address1", "239.255.10.77:45004")
	p.Set("mc_address2", "not an address")
	if got := p.ListensTo(); len(got) != 0 {
		t.Errorf("listens to %q, and multicast_listen is off", got)
	}
	p.Set("multicast_listen", "on")
	if got := p.ListensTo(); !slices.Equal(got, []string{"239.255.10.77:45004"}) {
		t.Skipf("this machine cannot join a multicast group: %q", got)
	}
	p.Reboot(time.Hour)
	if got := p.ListensTo(); len(got) != 0 {
		t.Errorf("listens to %q while it is down", got)
	}
}
