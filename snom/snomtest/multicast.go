package snomtest

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pion/rtp"
	"github.com/zaf/g711"
	"golang.org/x/net/ipv4"
)

// An Announcement is what the phone plays, or played last, of what came to one of its multicast addresses.
type Announcement struct {
	Address  string `json:"address"`
	Playing  bool   `json:"playing"`
	Speaker  bool   `json:"speaker"` // by the loudspeaker whatever is in use, which it always is on an idle phone
	VolMax   bool   `json:"volmax"`
	Packets  int    `json:"packets"` // played
	Lost     int    `json:"lost"`    // that never came
	Doubled  int    `json:"doubled"` // came again, or too late
	LengthMS int64  `json:"length_ms"`
	WithCall string `json:"with_call"` // what became of a call under way: "interrupted", "mixed", "held"; empty: there was none
}

// multicastSlots is how many addresses a phone listens to (Snom KB, multicast announcements).
const multicastSlots = 10

// A slot is one of the addresses that the phone listens to (service.snom.com, mc_address).
type slot struct {
	address   string
	interrupt int // 0 only when idle, 1 interrupts a call, 2 is mixed into it, 3 holds it
	priority  int // 10 is the highest; the one received first is played when they are equal
	speaker   bool
	volmax    bool
}

// isSlot reports whether name is the setting of an address.
func isSlot(name string) bool {
	number, ok := strings.CutPrefix(name, "mc_address")
	return ok && within(number, multicastSlots)
}

// parseSlot reads the value of mc_address: the address, and options behind commas.
func parseSlot(value string) (slot, bool) {
	address, options, _ := strings.Cut(strings.ReplaceAll(value, " ", ""), ",")
	s := slot{address: address, priority: 5}
	at, err := netip.ParseAddrPort(address)
	if err != nil || !at.Addr().Is4() || !at.Addr().IsMulticast() {
		return slot{}, false
	}
	for _, o := range strings.Split(options, ",") {
		name, text, _ := strings.Cut(o, "=")
		n, err := strconv.Atoi(text)
		if err != nil {
			continue
		}
		switch name {
		case "interrupt":
			s.interrupt = n
		case "priority":
			s.priority = n
		case "speaker":
			s.speaker = n == 1
		case "volmax":
			s.volmax = n == 1
		}
	}
	return s, true
}

// streamEnds is how long after its last packet a stream has ended.
const streamEnds = 400 * time.Millisecond

// resumesIn is how long a gap in a stream may be that goes on with the same source, as on a busy network or machine: it is then
// one announcement, with silence in the gap if packets are missing.
const resumesIn = 10 * time.Second

// maxHeard bounds what is kept of an announcement: a little more than ten minutes, at 8 kHz.
const maxHeard = 640 * 8000

// A radio is what listens to the phone's multicast addresses. All of it is guarded by the phone's mu.
type radio struct {
	on     bool
	by     *net.Interface // nil: the system's choice
	joined map[string]*net.UDPConn

	slot  slot // that is played, or was last
	last  time.Time
	now   Announcement
	ssrc  uint32
	first uint32 // time stamp of the first sample
	heard []byte // u-law
	seen  map[uint16]bool
}

// ListenMulticast has the phone listen to the addresses in its settings mc_address1 to mc_address10 while multicast_listen is
// on, by the network interface of that name; empty: the one of the system's choice. A phone that was not asked to listens to
// none.
func (p *Phone) ListenMulticast(by string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if by != "" {
		i, err := net.InterfaceByName(by)
		if err != nil {
			return err
		}
		p.radio.by = i
	}
	p.radio.on = true
	p.tune()
	return nil
}

// Announced returns what the phone plays or played last; the zero Announcement: it has played none.
func (p *Phone) Announced() Announcement {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.announced(time.Now())
}

func (p *Phone) announced(now time.Time) Announcement {
	a := p.radio.now
	a.Playing = a.Packets > 0 && now.Sub(p.radio.last) < streamEnds
	a.LengthMS = int64(len(p.radio.heard)) / 8
	if a.Packets > 0 {
		a.Lost = len(p.radio.heard)/160 - a.Packets
	}
	return a
}

// HeardWAV returns what the phone played last, as a WAV file of 16 bits at 8 kHz; nil: nothing.
func (p *Phone) HeardWAV() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.radio.now.Packets == 0 {
		return nil
	}
	var b bytes.Buffer
	size := uint32(2 * len(p.radio.heard))
	b.WriteString("RIFF")
	_ = binary.Write(&b, binary.LittleEndian, 36+size) // a Buffer takes everything
	b.WriteString("WAVEfmt ")
	_ = binary.Write(&b, binary.LittleEndian, struct {
		Size          uint32
		Tag, Channels uint16
		Rate, Bytes   uint32
		Block, Bits   uint16
	}{16, 1, 1, 8000, 16000, 2, 16})
	b.WriteString("data")
	_ = binary.Write(&b, binary.LittleEndian, size)
	for _, u := range p.radio.heard {
		_ = binary.Write(&b, binary.LittleEndian, g711.DecodeUlawFrame(u))
	}
	return b.Bytes()
}

// ListensTo returns the multicast addresses that the phone has joined, in order.
func (p *Phone) ListensTo() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.listensTo()
}

func (p *Phone) listensTo() []string {
	all := make([]string, 0, len(p.radio.joined))
	for address := range p.radio.joined {
		all = append(all, address)
	}
	slices.Sort(all)
	return all
}

// slots returns the addresses in the settings. An index in a setting's name is a suffix here, as of other settings.
func (p *Phone) slots() []slot {
	if p.settings["multicast_listen"] != "on" {
		return nil
	}
	var all []slot
	for i := 1; i <= multicastSlots; i++ {
		if s, ok := parseSlot(p.settings[fmt.Sprint("mc_address", i)]); ok {
			all = append(all, s)
		}
	}
	return all
}

// tune joins and leaves addresses as the settings say. The caller holds the lock.
func (p *Phone) tune() {
	if !p.radio.on {
		return
	}
	expected := map[string]bool{}
	if !p.down {
		for _, s := range p.slots() {
			expected[s.address] = true
		}
	}
	for address, conn := range p.radio.joined {
		if !expected[address] {
			_ = conn.Close() // its reader ends
			delete(p.radio.joined, address)
		}
	}
	for address := range expected {
		if p.radio.joined[address] != nil {
			continue
		}
		at := netip.MustParseAddrPort(address)
		conn, err := net.ListenMulticastUDP("udp4", p.radio.by, net.UDPAddrFromAddrPort(at))
		if err != nil {
			continue // as a phone whose network is not there
		}
		if p.radio.joined == nil {
			p.radio.joined = map[string]*net.UDPConn{}
		}
		p.radio.joined[address] = conn
		p.spawn(func(ctx context.Context) {
			defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
			p.receive(conn, address)
		})
	}
}

// receive takes what comes to an address until conn is closed.
func (p *Phone) receive(conn *net.UDPConn, address string) {
	in := ipv4.NewPacketConn(conn)
	_ = in.SetControlMessage(ipv4.FlagDst, true) // where it cannot be known, all that comes to the port counts
	to := netip.MustParseAddrPort(address).Addr()
	b := make([]byte, 2048)
	for {
		n, control, _, err := in.ReadFrom(b)
		if err != nil {
			return
		}
		if control != nil && control.Dst != nil && !control.Dst.Equal(to.AsSlice()) {
			continue // another group at the same port
		}
		var packet rtp.Packet
		if packet.Unmarshal(b[:n]) != nil || packet.PayloadType != 0 || len(packet.Payload) == 0 {
			continue
		}
		p.mu.Lock()
		p.hear(address, &packet, time.Now())
		p.mu.Unlock()
	}
}

// hear plays a packet, if the phone plays what comes to that address now. The caller holds the lock.
func (p *Phone) hear(address string, packet *rtp.Packet, now time.Time) {
	r := &p.radio
	all := p.slots()
	i := slices.IndexFunc(all, func(s slot) bool { return s.address == address })
	if i < 0 || p.down {
		return
	}
	s := all[i]
	playing := r.now.Packets > 0 && now.Sub(r.last) < streamEnds
	same := r.now.Packets > 0 && now.Sub(r.last) < resumesIn && r.slot.address == address && r.ssrc == packet.SSRC
	if !same {
		next := r.slot.address == address && packet.Marker // the next announcement at the address begins: the one before has ended
		if playing && !next && (r.slot.address == address || s.priority <= r.slot.priority) {
			return // one is played already that is at least as important
		}
		with := ""
		if p.panel.newest(CallDialing, CallConnected, CallRinging) != nil {
			if with = [...]string{"", "interrupted", "mixed", "held"}[max(0, min(s.interrupt, 3))]; with == "" {
				return
			}
			if with == "held" {
				p.hold()
			}
		}
		*r = radio{on: r.on, by: r.by, joined: r.joined, slot: s, ssrc: packet.SSRC, first: packet.Timestamp, seen: map[uint16]bool{}}
		r.now = Announcement{Address: address, Speaker: s.speaker || with == "", VolMax: s.volmax, WithCall: with}
	}
	at := int(int32(packet.Timestamp - r.first))
	if r.seen[packet.SequenceNumber] || at < 0 || at+len(packet.Payload) > maxHeard {
		r.now.Doubled++
		return
	}
	r.seen[packet.SequenceNumber] = true
	for len(r.heard) < at+len(packet.Payload) {
		r.heard = append(r.heard, 0xff)
	}
	copy(r.heard[at:], packet.Payload)
	r.now.Packets++
	r.last = now
}
