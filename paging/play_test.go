package paging

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"
)

// A receiver notes packets, each with the time at which it was sent.
type receiver struct {
	delay func(n int) time.Duration // that sending packet n takes
	fail  int                       // sending that packet fails; 0: none

	mu      sync.Mutex
	packets []rtp.Packet
	at      []time.Time
}

func (r *receiver) Write(b []byte) (int, error) {
	r.mu.Lock()
	n := len(r.packets)
	r.mu.Unlock()
	if r.fail > 0 && n == r.fail {
		return 0, errors.New("network is down")
	}
	if r.delay != nil {
		time.Sleep(r.delay(n))
	}
	var p rtp.Packet
	if err := p.Unmarshal(bytes.Clone(b)); err != nil {
		return 0, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.packets, r.at = append(r.packets, p), append(r.at, time.Now())
	return len(b), nil
}

// sound checks that the packets are one stream without a gap, and returns what is in them.
func sound(t *testing.T, packets []rtp.Packet) (ulaw []byte) {
	t.Helper()
	for i, p := range packets {
		first := packets[0]
		if p.Version != 2 || p.PayloadType != 0 || p.SSRC != first.SSRC || p.Marker != (i == 0) || len(p.Payload) != packetSize ||
			p.SequenceNumber != first.SequenceNumber+uint16(i) || p.Timestamp != first.Timestamp+uint32(i*packetSize) {
			t.Fatalf("packet %d: %v", i, p.String())
		}
		ulaw = append(ulaw, p.Payload...)
	}
	return ulaw
}

// toneFor is a source of d.
func toneFor(d time.Duration) Source {
	v := voice(Rate, d)
	s := make([]byte, len(v))
	r := newULaw(&floats{v}, 0)
	_, _ = io.ReadFull(r, s)
	return ULaw(s)
}

type floats struct{ left []float64 }

func (f *floats) Rate() int             { return Rate }
func (f *floats) Length() time.Duration { return 0 }
func (f *floats) Read(dst []float32) (int, error) {
	n := min(len(dst), len(f.left))
	for i := range n {
		dst[i] = float32(f.left[i])
	}
	if f.left = f.left[n:]; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// TestPacketsAreSentWhenTheyAreDue: of twenty streams beside one another every packet leaves at its moment of the clock, in
// virtual time, however long sending the one before took; nothing adds up over ten minutes.
func TestPacketsAreSentWhenTheyAreDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const streams = 20
		var running sync.WaitGroup
		for i := range streams {
			d := 5 * time.Second
			if i == 0 {
				d = MaxLength
			}
			out := &receiver{delay: func(n int) time.Duration { // up to three quarters of the time between two packets
				return time.Duration(rand.New(rand.NewPCG(uint64(i), uint64(n))).IntN(15)) * time.Millisecond
			}}
			running.Go(func() {
				time.Sleep(time.Duration(i) * 7 * time.Millisecond)
				begin := time.Now()
				done, err := play(t.Context(), out, &quietSource{left: samplesOf(d)}, Options{}, func() error { begin = time.Now(); return nil })
				if err != nil || done.Packets != int(d/packetTime) || done.Length != d || done.Late != 0 || done.Filled != 0 {
					t.Errorf("stream %d: %+v, error %v", i, done, err)
				}
				sound(t, out.packets)
				for n, at := range out.at {
					if off := at.Sub(begin) - time.Duration(n)*packetTime - out.delay(n); off != 0 {
						t.Fatalf("stream %d: packet %d was sent %v from its time", i, n, off)
					}
				}
				if took := time.Since(begin); took != d {
					t.Errorf("stream %d: took %v, expected %v", i, took, d)
				}
			})
		}
		running.Wait()
	})
}

// A quietSource is long and quick to make.
type quietSource struct{ left int64 }

func (s *quietSource) Rate() int             { return Rate }
func (s *quietSource) Length() time.Duration { return 0 }
func (s *quietSource) Read(dst []float32) (int, error) {
	n := int(min(int64(len(dst)), s.left))
	clear(dst[:n])
	if s.left -= int64(n); n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// TestNoBurstAfterAStall: when the machine did not run for a while, what was not sent is sent later, at its usual pace.
func TestNoBurstAfterAStall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		out := &receiver{delay: func(n int) time.Duration {
			if n == 50 {
				return 3 * time.Second
			}
			return 0
		}}
		done, err := play(t.Context(), out, toneFor(2*time.Second), Options{}, nil)
		if err != nil || done.Packets != 100 || done.Late != 3*time.Second-packetTime {
			t.Fatalf("%+v, error %v", done, err)
		}
		sound(t, out.packets)
		for n := 52; n < 100; n++ {
			if gap := out.at[n].Sub(out.at[n-1]); gap != packetTime {
				t.Errorf("packet %d: %v after the one before", n, gap)
			}
		}
	})
}

// A slowSource delivers some of another source, and then the rest after a while.
type slowSource struct {
	Source
	before int // samples
	wait   time.Duration
	closed chan struct{}
}

// slow returns a slowSource. Virtual time knows the channels of its bubble only.
func slow(src Source, before int, wait time.Duration) *slowSource {
	return &slowSource{src, before, wait, make(chan struct{})}
}

func (s *slowSource) Close() error {
	select {
	case <-s.closed:
	default:
		close(s.closed)
	}
	return nil
}

func (s *slowSource) Read(dst []float32) (int, error) {
	if s.before <= 0 && s.wait > 0 {
		select {
		case <-time.After(s.wait):
			s.wait = 0
		case <-s.closed:
			return 0, errors.New("closed")
		}
	}
	n, err := s.Source.Read(dst[:min(len(dst), max(s.before, packetSize))])
	s.before -= n
	return n, err
}

// TestSlowSources: a source that is late is waited for, with silence where that has begun to play, for a bounded time.
func TestSlowSources(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before, wait time.Duration // the source delivers so much, and then nothing for a while
		filled       time.Duration
		packets      int
		err          error
	}{
		"before it began":          {0, 10 * time.Second, 0, 500, nil},
		"too long before it began": {0, 20 * time.Second, 0, 0, ErrStalled},
		"not enough to begin":      {time.Second, 20 * time.Second, 0, 0, ErrStalled},
		"within what is ahead":     {4 * time.Second, 1790 * time.Millisecond, 0, 500, nil},
		"with a gap":               {4 * time.Second, 5990 * time.Millisecond, 2 * time.Second, 600, nil},
		"too long":                 {4 * time.Second, time.Hour, stallMost + packetTime, 450, ErrStalled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				out := &receiver{}
				src := slow(toneFor(10*time.Second), int(samplesOf(c.before)), c.wait)
				done, err := play(t.Context(), out, src, Options{}, nil)
				if !errors.Is(err, c.err) || done.Packets != c.packets || (done.Filled-c.filled).Abs() > 2*packetTime {
					t.Errorf("%+v, error %v; expected %d packets, %v of silence, error %v", done, err, c.packets, c.filled, c.err)
				}
				sound(t, out.packets)
			})
		})
	}
}

// TestPlayEnds: the end of the context ends an announcement at once, whatever it waits for; a network that is gone does, too.
func TestPlayEnds(t *testing.T) {
	t.Parallel()
	stopped := errors.New("hangup")
	for name, c := range map[string]struct {
		after   time.Duration
		src     func() Source
		out     *receiver
		start   error
		packets int
		err     error
	}{
		"while it plays":       {time.Second + time.Millisecond, func() Source { return toneFor(10 * time.Second) }, &receiver{}, nil, 51, stopped},
		"before it began":      {time.Second, func() Source { return slow(toneFor(time.Second), 0, time.Hour) }, &receiver{}, nil, 0, stopped},
		"while it is late":     {5*time.Second + time.Millisecond, func() Source { return slow(toneFor(9*time.Second), 3*Rate, time.Hour) }, &receiver{}, nil, 251, stopped},
		"not to begin":         {time.Minute, func() Source { return toneFor(time.Second) }, &receiver{}, errors.ErrUnsupported, 0, errors.ErrUnsupported},
		"the network is gone":  {time.Minute, func() Source { return toneFor(time.Second) }, &receiver{fail: 10}, nil, 10, ErrNetwork},
		"the source is cut":    {time.Minute, func() Source { return &failingSource{toneFor(4 * time.Second), 1000, io.ErrUnexpectedEOF} }, &receiver{}, nil, 0, io.ErrUnexpectedEOF},
		"the source is broken": {time.Minute, func() Source { return &failingSource{toneFor(4 * time.Second), 3 * Rate, io.ErrClosedPipe} }, &receiver{}, nil, 150, io.ErrClosedPipe},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				timer := time.AfterFunc(c.after, func() { cancel(stopped) })
				defer timer.Stop()
				begin := time.Now()
				done, err := play(ctx, c.out, c.src(), Options{}, func() error { return c.start })
				if !errors.Is(err, c.err) {
					t.Errorf("error %v, expected %v", err, c.err)
				}
				if done.Packets != c.packets || time.Since(begin) > c.after {
					t.Errorf("%+v after %v, expected %d packets", done, time.Since(begin), c.packets)
				}
			})
		})
	}
}

type failingSource struct {
	Source
	after int
	err   error
}

func (f *failingSource) Read(dst []float32) (int, error) {
	if f.after <= 0 {
		return 0, f.err
	}
	n, err := f.Source.Read(dst[:min(len(dst), f.after)])
	f.after -= n
	return n, err
}

// loopback returns the interface that this machine talks to itself by.
func loopback(t *testing.T) *net.Interface {
	t.Helper()
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		if i.Flags&(net.FlagLoopback|net.FlagUp) == net.FlagLoopback|net.FlagUp {
			return &i
		}
	}
	t.Skip("this machine has no loopback interface that is up")
	return nil
}

// TestPlayToANetwork: a listener of the multicast address receives every packet once and in order, and what it plays is what
// was sent.
func TestPlayToANetwork(t *testing.T) {
	t.Parallel()
	lo := loopback(t)
	at, address := listen(t, lo)
	var received []rtp.Packet
	ended := make(chan struct{})
	const packets = 60
	go func() {
		defer close(ended)
		b := make([]byte, 2048)
		for len(received) < packets {
			n, err := at.Read(b)
			if err != nil {
				t.Error(err)
				return
			}
			var p rtp.Packet
			if err := p.Unmarshal(bytes.Clone(b[:n])); err != nil {
				t.Error(err)
				return
			}
			received = append(received, p)
		}
	}()
	src, err := Decode(bytes.NewReader(wav(voice(44100, packets*packetTime), 44100, 2, wavPCM, 16)))
	if err != nil {
		t.Fatal(err)
	}
	done, err := Sender{Interface: lo.Name}.Play(t.Context(), address, src, Options{}, nil)
	if err != nil || done.Packets != packets {
		t.Fatalf("%+v, error %v", done, err)
	}
	<-ended
	if c := correlation(voice(Rate, packets*packetTime), heard(sound(t, received)), 0); c < 0.99 {
		t.Errorf("correlation %.4f, expected more than 0.99", c)
	}
}

// listen joins a multicast address that no other test uses.
func listen(t *testing.T, on *net.Interface) (conn *net.UDPConn, address string) {
	t.Helper()
	free, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	at := &net.UDPAddr{IP: net.IPv4(239, 255, 10, 1), Port: free.LocalAddr().(*net.UDPAddr).Port}
	_ = free.Close()
	conn, err = net.ListenMulticastUDP("udp4", on, at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	return conn, at.String()
}

// TestNetworksThatCannotBeUsed says what is wrong, and nothing is sent.
func TestNetworksThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		s  Sender
		to string
	}{
		{Sender{Interface: "nosuch0"}, "239.255.10.1:5004"}, {Sender{Interface: "203.0.113.77"}, "239.255.10.1:5004"},
		{Sender{}, "192.0.2.1:5004"}, {Sender{}, "239.255.10.1"}, {Sender{}, "239.255.10.1:0"}, {Sender{}, "[ff02::1]:5004"},
		{Sender{}, "239.255.10.1:05004"},
	} {
		done, err := c.s.Play(t.Context(), c.to, toneFor(time.Second), Options{}, func() error { t.Error("started"); return nil })
		if err == nil || done.Packets > 0 {
			t.Errorf("%+v to %s: %+v, error %v", c.s, c.to, done, err)
		}
	}
}

func BenchmarkDecode44100(b *testing.B) {
	file := wav(voice(44100, time.Second), 44100, 2, wavPCM, 16)
	b.ReportAllocs()
	for b.Loop() {
		src, err := Decode(bytes.NewReader(file))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := Measure(src, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
