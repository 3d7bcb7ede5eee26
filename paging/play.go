package paging

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"time"

	"github.com/pion/rtp"
)

// What is sent (RFC 3551: PCMU is payload type 0, 8 kHz).
const (
	payloadType = 0
	packetTime  = 20 * time.Millisecond
	packetSize  = Rate / 50
)

// The limits of a source that does not deliver.
const (
	ahead     = 250              // packets that are decoded before they are due, at most
	startAt   = 100              // packets that are there before the first one is sent, unless there are fewer
	startIn   = 15 * time.Second // the first packet is sent within this time
	stallMost = 5 * time.Second  // of silence, in which a source that is late may go on
)

// maxLag is how much later than due a packet may be sent. What is later, as after the machine was suspended, moves all that
// follow: it is not caught up with a burst.
const maxLag = 100 * time.Millisecond

// ErrStalled means that a source did not deliver in time.
var ErrStalled = errors.New("paging: the audio came too slowly")

// Played is how far an announcement came.
type Played struct {
	Packets int           // that were sent
	Length  time.Duration // of the audio in them
	Filled  time.Duration // sent in between, while the source did not deliver
	Late    time.Duration // how much later than due the latest packet was sent
}

// A packetWriter takes one packet.
type packetWriter interface {
	Write(packet []byte) (int, error)
}

// Play sends src to an address: a packet every 20 ms until the end, an error, or the end of ctx. Before the first packet it
// calls start, unless that is nil; an error of start is returned, and nothing is sent. Where [Played] has no packets, the
// error says why nothing was sent. Play closes src if that is an io.Closer, which ends a read that waits.
func (s Sender) Play(ctx context.Context, to string, src Source, o Options, start func() error) (Played, error) {
	conn, err := s.dial(to)
	if err != nil {
		closeSource(src)
		return Played{}, err
	}
	defer conn.Close()
	return play(ctx, conn, src, o, start)
}

func closeSource(src Source) {
	if c, ok := src.(io.Closer); ok {
		_ = c.Close() // what it has delivered counts
	}
}

// play is Play to a connection.
func play(ctx context.Context, to packetWriter, src Source, o Options, start func() error) (Played, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer context.AfterFunc(ctx, func() { closeSource(src) })()
	packets := make(chan []byte, ahead)
	ready := make(chan struct{}) // enough packets are there, or all
	ended := make(chan struct{}) // result is there, and no packet comes any more
	var result error
	go func() {
		defer close(ended)
		defer close(packets)
		result = packetize(ctx, played(src, o), packets, ready)
	}()
	defer func() {
		cancel()
		closeSource(src)
		<-ended
	}()

	t := time.NewTimer(startIn)
	defer t.Stop()
	select {
	case <-ready:
	case <-ended: // at once, or before there was enough
		if result != nil {
			return Played{}, result
		}
		select {
		case <-ready:
		default:
			return Played{}, invalid("it has no samples")
		}
	case <-t.C:
		return Played{}, ErrStalled
	case <-ctx.Done():
		return Played{}, context.Cause(ctx)
	}
	if start != nil {
		if err := start(); err != nil {
			return Played{}, err
		}
	}
	p := pacer{to: to, packets: packets}
	if err := p.run(ctx); err != nil {
		return p.played, err
	}
	<-ended
	return p.played, result
}

// packetize cuts r into packets. It closes ready when there are enough to start, or at the end of r if that comes first.
func packetize(ctx context.Context, r io.Reader, packets chan<- []byte, ready chan<- struct{}) error {
	made, isReady := 0, false
	for {
		packet := make([]byte, packetSize)
		n, err := fill(r, packet)
		last := errors.Is(err, io.EOF)
		if err != nil && !last {
			return err // where too few came before, nothing is sent
		}
		if n > 0 {
			for i := n; i < packetSize; i++ {
				packet[i] = zero
			}
			select {
			case packets <- packet:
				made++
			case <-ctx.Done():
				return nil
			}
		}
		if !isReady && (made == startAt || last && made > 0) {
			isReady = true
			close(ready)
		}
		if last {
			return nil
		}
		runtime.Gosched() // packets of other announcements may be due, and five seconds of sound take their time
	}
}

// fill reads until p is full. At the end of r it returns io.EOF, and other errors as they are: a connection that ends too
// early is no end of the sound.
func fill(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = r.Read(p[n:])
		n += m
	}
	return n, err
}

// A pacer sends packets when they are due.
type pacer struct {
	to      packetWriter
	packets <-chan []byte
	played  Played
	header  rtp.Header
	buf     [12 + packetSize]byte
}

// run sends all packets. It returns nil when the last one was sent; not before the time at which one more would be due, so
// that the next announcement at the same address begins after this one has been heard.
func (p *pacer) run(ctx context.Context) error {
	p.header = newHeader()
	t := time.NewTimer(0)
	defer t.Stop()
	due := time.Now()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		lag := time.Since(due)
		if lag > maxLag {
			due = due.Add(lag)
		}
		done, err := p.next()
		if done || err != nil {
			return err
		}
		p.played.Late = max(p.played.Late, lag)
		due = due.Add(packetTime)
		t.Reset(time.Until(due))
	}
}

// next sends the packet that is due: silence, where the source has not delivered it.
func (p *pacer) next() (done bool, err error) {
	var payload []byte
	select {
	case packet, ok := <-p.packets:
		if !ok {
			return true, nil
		}
		payload = packet
		p.played.Length += packetTime
	default:
		if p.played.Filled += packetTime; p.played.Filled > stallMost {
			return false, ErrStalled
		}
		var filled [packetSize]byte
		for i := range filled {
			filled[i] = zero
		}
		payload = filled[:]
	}
	n, err := p.header.MarshalTo(p.buf[:])
	if err != nil {
		return false, err
	}
	n += copy(p.buf[n:], payload)
	if _, err := p.to.Write(p.buf[:n]); err != nil {
		return false, fmt.Errorf("%w: %w", ErrNetwork, err)
	}
	p.played.Packets++
	p.header.Marker = false
	p.header.SequenceNumber++
	p.header.Timestamp += packetSize
	return false, nil
}

// newHeader returns the header of the first packet (RFC 3550: source, sequence number and time begin at random).
func newHeader() rtp.Header {
	var b [10]byte
	_, _ = rand.Read(b[:]) // never fails
	return rtp.Header{
		Version: 2, PayloadType: payloadType, Marker: true,
		SSRC: binary.BigEndian.Uint32(b[:]), Timestamp: binary.BigEndian.Uint32(b[4:]), SequenceNumber: binary.BigEndian.Uint16(b[8:]),
	}
}

var _ packetWriter = (net.Conn)(nil)
