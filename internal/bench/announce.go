package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// The part announce: commands without announcements and beside so many of them.
const (
	streams        = 20
	announcedPart  = "announce, 20 streams"
	unannouncePart = "announce, none"
	soundTime      = 12 * time.Second // of the file
	packetEvery    = 20 * time.Millisecond
)

// announce measures commands beside announcements, and how far from its time each packet arrives.
func (b *bench) announce() error {
	const phones = 1000
	s, err := b.sipScene("announce")
	if err != nil {
		return err
	}
	defer s.close()
	listeners, err := listenForAnnouncements()
	if err != nil {
		return err
	}
	defer listeners.close()
	sound, err := serveSound()
	if err != nil {
		return err
	}
	defer sound.Close()
	file := listeners.phonesFile(phones, s.phones.conn.LocalAddr())
	if err := s.start(b, file, "SNOM2MQTT_PAGING_INTERFACE=127.0.0.1", "SNOM2MQTT_IMAGE_HOSTS=127.0.0.1"); err != nil {
		return err
	}
	for round := range b.count {
		if err := b.announceRound(s, listeners, "http://"+sound.Addr().String()+"/sound.wav", phones, round); err != nil {
			return err
		}
	}
	return nil
}

// announceRound measures commands without streams, and then beside them.
func (b *bench) announceRound(s *sipScene, listeners *announceListeners, url string, phones, round int) error {
	for _, part := range []string{unannouncePart, announcedPart} {
		if err := b.sleep(5 * time.Second); err != nil { // at first it asks every phone what it is; a phone takes a command every two seconds
			return err
		}
		if part == announcedPart {
			listeners.begin()
			for i := range streams {
				s.client.publish(fmt.Appendf(nil, "ours/p%04d/announce", i), fmt.Appendf(nil, `{"url":%q}`, url))
			}
			if err := errors.Join(s.client.flush(), listeners.received(50)); err != nil {
				return err
			}
		}
		samples, failed, err := s.results.load(fmt.Sprintf("a%d-%d", round, len(part)), phones, streams, s.dial, nil)
		if err != nil {
			return err
		}
		f := figure{Part: part, Broker: nodelay, System: systemOurs, Round: round, Phones: phones, Outstanding: streams,
			PhoneMS: float64(sipPhoneTime.Milliseconds()), Commands: phones, NotOK: failed}
		f.ToResult50, f.ToResult99 = percentiles(samples)
		if part == announcedPart {
			_, f.Jitter99 = percentiles(listeners.jitter())
			for i := range streams {
				s.client.publish(fmt.Appendf(nil, "ours/p%04d/announce", i), nil) // ends it
			}
			if err := s.client.flush(); err != nil {
				return err
			}
		}
		b.add(f)
	}
	return nil
}

// serveSound serves a WAV file on loopback.
func serveSound() (net.Listener, error) {
	samples := int(soundTime.Seconds()) * 8000
	file := []byte("RIFF")
	file = binary.LittleEndian.AppendUint32(file, uint32(36+2*samples))
	file = append(file, "WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00"...)
	file = binary.LittleEndian.AppendUint32(file, 8000)
	file = binary.LittleEndian.AppendUint32(file, 16000)
	file = append(file, "\x02\x00\x10\x00data"...)
	file = binary.LittleEndian.AppendUint32(file, uint32(2*samples))
	for i := range samples {
		file = binary.LittleEndian.AppendUint16(file, uint16(i%80*100))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.Copy(w, bytes.NewReader(file)) // a reader that left needs no sound
	})}
	go func() { _ = server.Serve(l) }() // ends when l is closed
	return l, nil
}

// announceListeners receive what comes to multicast addresses on loopback, each at a port of its own.
type announceListeners struct {
	conns   []*net.UDPConn
	reading sync.WaitGroup

	mu    sync.Mutex
	times [streams][]int64 // when the system received packet n, which on loopback is when it was sent, less n times the time between two; guarded by mu
	first [streams]uint16  // its sequence number; guarded by mu
}

func listenForAnnouncements() (*announceListeners, error) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		return nil, err
	}
	l := &announceListeners{}
	for i := range streams {
		free, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			l.close()
			return nil, err
		}
		port := free.LocalAddr().(*net.UDPAddr).Port //nolint:forcetypeassert // of a UDP socket
		_ = free.Close()
		conn, err := net.ListenMulticastUDP("udp4", lo, &net.UDPAddr{IP: net.IPv4(239, 255, 20, byte(i+1)), Port: port})
		if err != nil {
			l.close()
			return nil, err
		}
		l.conns = append(l.conns, conn)
		if err := stampArrivals(conn); err != nil {
			l.close()
			return nil, err
		}
		l.reading.Go(func() { l.read(i, conn) })
	}
	return l, nil
}

func (l *announceListeners) close() {
	for _, c := range l.conns {
		_ = c.Close() // nothing is lost
	}
	l.reading.Wait()
}

func (l *announceListeners) read(stream int, conn *net.UDPConn) {
	b, control := make([]byte, 2048), make([]byte, 128)
	for {
		n, more, _, _, err := conn.ReadMsgUDP(b, control)
		if err != nil {
			return
		}
		at, stamped := arrivalStamp(control[:more])
		if n < 12 || !stamped {
			continue
		}
		seq := binary.BigEndian.Uint16(b[2:])
		l.mu.Lock()
		if len(l.times[stream]) == 0 {
			l.first[stream] = seq
		}
		l.times[stream] = append(l.times[stream], at-int64(seq-l.first[stream])*int64(packetEvery))
		l.mu.Unlock()
	}
}

// begin forgets what was received.
func (l *announceListeners) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.times = [streams][]int64{}
}

// received waits until so many packets of each stream have arrived.
func (l *announceListeners) received(packets int) error {
	for range 600 {
		l.mu.Lock()
		all := !slices.ContainsFunc(l.times[:], func(times []int64) bool { return len(times) < packets })
		l.mu.Unlock()
		if all {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return errors.New("an announcement is missing")
}

// jitter returns how much later than the earliest of its stream each packet came, in microseconds, measured from when it was due.
func (l *announceListeners) jitter() (all []float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, times := range l.times {
		earliest := slices.Min(times)
		for _, t := range times {
			all = append(all, float64(t-earliest)/1e3)
		}
	}
	return all
}

// phonesFile names phones that are driven by SIP at an address, of which the first ones have a multicast address.
func (l *announceListeners) phonesFile(phones int, sip net.Addr) []byte {
	var file strings.Builder
	file.WriteString("phones:\n")
	for i := range phones {
		fmt.Fprintf(&file, "  p%04d: {url: \"sip:p%04d@%s\"}\n", i, i, sip)
	}
	file.WriteString("paging:\n")
	for i, c := range l.conns {
		fmt.Fprintf(&file, "  p%04d: {address: \"239.255.20.%d:%d\"}\n", i, i+1, c.LocalAddr().(*net.UDPAddr).Port) //nolint:forcetypeassert // of a UDP socket
	}
	return []byte(file.String())
}

func jitter99(f figure) float64 { return f.Jitter99 / 1e3 }

// announce is the table of commands beside announcements.
func (r report) announce() table {
	t := table{
		title: "20 announcements at once beside commands to 1,000 phones driven by SIP, 20 commands at a time",
		note:  "Milliseconds from the publish to the result, in brackets the multiple of that without announcements in the same run; and how much later than due a packet arrives.",
		head:  []string{"", "p50", "p99", "packets, p99", "not ok"},
	}
	none := r.of(unannouncePart, nodelay, systemOurs, 1000, float64(sipPhoneTime.Milliseconds()))
	for _, part := range []string{unannouncePart, announcedPart} {
		own := r.of(part, nodelay, systemOurs, 1000, float64(sipPhoneTime.Milliseconds()))
		if len(own) == 0 {
			continue
		}
		packets := ""
		if part == announcedPart {
			packets = fmt.Sprintf("%.2f", middle(own, jitter99))
		}
		t.rows = append(t.rows, []string{
			part, fmt.Sprintf("%.1f (%.2f)", middle(own, toResult50)/1e3, ratio(own, none, toResult50)),
			fmt.Sprintf("%.1f (%.2f)", middle(own, toResult99)/1e3, ratio(own, none, toResult99)), packets,
			fmt.Sprint(total(own, func(f figure) int { return f.NotOK })),
		})
	}
	return t
}

// announceTargets are the promises of announcements.
func (r report) announceTargets(most func(rounds int, name, unit string, value, limit float64)) {
	took := float64(sipPhoneTime.Milliseconds())
	none, beside := r.of(unannouncePart, nodelay, systemOurs, 1000, took), r.of(announcedPart, nodelay, systemOurs, 1000, took)
	most(len(beside), "20 announcements at once: 99th percentile of commands", " x without", ratio(beside, none, toResult99), 1.2)
	most(len(beside), "the same: how late a packet arrives, 99th percentile", " ms", middle(beside, jitter99), 2)
}
