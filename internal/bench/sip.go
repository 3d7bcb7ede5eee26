package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// sipPhoneTime is how long a phone that is driven by SIP takes for its answer.
const sipPhoneTime = 20 * time.Millisecond

// sip measures phones that are driven by SIP: a command through the broker and the bridge, beside a bare NOTIFY to the same phones.
func (b *bench) sip() error {
	const phones = 1000
	s, err := b.sipScene("sip")
	if err != nil {
		return err
	}
	defer s.close()
	var file bytes.Buffer
	file.WriteString("phones:\n")
	for i := range phones {
		fmt.Fprintf(&file, "  p%04d: {url: \"sip:p%04d@%s\"}\n", i, i, s.phones.conn.LocalAddr())
	}
	if err := s.start(b, file.Bytes()); err != nil {
		return err
	}
	if err := b.sleep(5 * time.Second); err != nil { // it asks every phone what it is
		return err
	}
	bare, err := newBareSIP(s.phones.conn.LocalAddr())
	if err != nil {
		return err
	}
	defer bare.close()
	for turn := range 2 * b.count {
		if err := b.sipTurn(s, bare, phones, turn); err != nil {
			return err
		}
		if err := b.sleep(2500 * time.Millisecond); err != nil { // a phone takes a command every two seconds
			return err
		}
	}
	return nil
}

// sipTurn measures a bare NOTIFY and a command to each phone. A round has two turns, with 20 and 100 at a time.
func (b *bench) sipTurn(s *sipScene, bare *bareSIP, phones, turn int) error {
	round, outstanding := turn/2, []int{20, 100}[turn%2]
	for _, one := range []struct {
		system string
		to     *arrivals
		send   func(id string, phone int) error
		again  func(id string, phone int) error // datagrams are lost where a buffer is full
	}{{systemNotify, bare.answers, bare.send, bare.send}, {systemOurs, s.results, s.dial, nil}} {
		samples, failed, err := one.to.load(fmt.Sprintf("%s-%d", one.system[:4], turn), phones, outstanding, one.send, one.again)
		if err != nil {
			return fmt.Errorf("%s: %w", one.system, err)
		}
		f := figure{Part: "sip", Broker: nodelay, System: one.system, Round: round, Phones: phones, Outstanding: outstanding,
			PhoneMS: float64(sipPhoneTime.Milliseconds()), Commands: phones, NotOK: failed}
		f.ToResult50, f.ToResult99 = percentiles(samples)
		b.add(f)
	}
	return nil
}

// arrivals are the moments at which answers came.
type arrivals struct {
	mu   sync.Mutex
	sent map[string]int64 // guarded by mu
	got  chan arrival     // of the load under way
}

type arrival struct {
	us float64
	ok bool
}

func newArrivals() *arrivals {
	return &arrivals{sent: map[string]int64{}, got: make(chan arrival, 1<<12)}
}

// arrived notes the answer to a request.
func (a *arrivals) arrived(id string, ok bool) {
	at := now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if began, waited := a.sent[id]; waited {
		delete(a.sent, id)
		a.got <- arrival{float64(at-began) / 1e3, ok} // there is room for all
	}
}

// repeat sends the requests again that are not answered; again is nil where something else does that.
func (a *arrivals) repeat(again func(id string, phone int) error) error {
	if again == nil {
		return nil
	}
	a.mu.Lock()
	ids := slices.Collect(maps.Keys(a.sent))
	a.mu.Unlock()
	for _, id := range ids {
		phone, _ := strconv.Atoi(id[strings.LastIndex(id, "-")+1:]) // an id of this program
		if err := again(id, phone); err != nil {
			return err
		}
	}
	return nil
}

// load sends one request to each phone, so many at a time, and returns how long each took in microseconds.
func (a *arrivals) load(name string, phones, outstanding int, send, again func(id string, phone int) error) (samples []float64, failed int, err error) {
	take := func() error {
		for range 60 {
			select {
			case one := <-a.got:
				samples = append(samples, one.us)
				if !one.ok {
					failed++
				}
				return nil
			case <-time.After(500 * time.Millisecond): // RFC 3261, T1
				if err := a.repeat(again); err != nil {
					return err
				}
			}
		}
		return errors.New("an answer is missing")
	}
	for i := range phones {
		if i >= outstanding {
			if err := take(); err != nil {
				return nil, 0, err
			}
		}
		id := fmt.Sprintf("%s-%d", name, i)
		a.mu.Lock()
		a.sent[id] = now()
		a.mu.Unlock()
		if err := send(id, i); err != nil {
			return nil, 0, err
		}
	}
	for len(samples) < phones {
		if err := take(); err != nil {
			return nil, 0, err
		}
	}
	return samples, failed, nil
}

// sipPhones are a thousand phones behind one socket, distinguished by the user of the request URI. They answer 200 to everything.
type sipPhones struct {
	conn    *net.UDPConn
	serving sync.WaitGroup
}

func newSIPPhones() (*sipPhones, error) {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	_ = conn.SetReadBuffer(4 << 20) // as large as the system allows
	p := &sipPhones{conn: conn}
	p.serving.Go(func() {
		buffer := make([]byte, 8<<10)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buffer)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue
			}
			answer := sipAnswer(buffer[:n])
			time.AfterFunc(sipPhoneTime, func() { _, _ = conn.WriteToUDPAddrPort(answer, from) })
		}
	})
	return p, nil
}

func (p *sipPhones) close() {
	_ = p.conn.Close() // nothing is lost
	p.serving.Wait()
}

// sipAnswer is the 200 to a request.
func sipAnswer(request []byte) []byte {
	answer := []byte("SIP/2.0 200 Ok\r\n")
	head, _, _ := bytes.Cut(request, []byte("\r\n\r\n"))
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		for _, name := range []string{"Via:", "From:", "To:", "Call-ID:", "CSeq:"} {
			if bytes.HasPrefix(line, []byte(name)) {
				answer = append(append(answer, line...), "\r\n"...)
			}
		}
	}
	return append(answer, "User-Agent: snomD862/10.1.226.13\r\nContent-Length: 0\r\n\r\n"...)
}

// A bareSIP sends NOTIFYs and nothing else: what a command costs at least.
type bareSIP struct {
	conn    *net.UDPConn
	answers *arrivals
	reading sync.WaitGroup
}

func newBareSIP(to net.Addr) (*bareSIP, error) {
	conn, err := net.DialUDP("udp", nil, to.(*net.UDPAddr)) //nolint:forcetypeassert // of a UDP socket
	if err != nil {
		return nil, err
	}
	b := &bareSIP{conn: conn, answers: newArrivals()}
	b.reading.Go(func() {
		buffer := make([]byte, 8<<10)
		for {
			n, err := conn.Read(buffer)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			_, rest, _ := bytes.Cut(buffer[:n], []byte("Call-ID: "))
			id, _, _ := bytes.Cut(rest, []byte("\r\n"))
			b.answers.arrived(string(id), err == nil)
		}
	})
	return b, nil
}

func (b *bareSIP) send(id string, phone int) error {
	const body = `<?xml version="1.0" encoding="UTF-8"?><SnomIPPhoneSilent document_id="x" state="relevant"><fetch mil="10">phone://mb_exit#numberdial=1000</fetch></SnomIPPhoneSilent>`
	_, err := fmt.Fprintf(b.conn, "NOTIFY sip:p%04d@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s;rport\r\nMax-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\n"+
		"Call-ID: %s\r\nCSeq: 1 NOTIFY\r\nEvent: xml\r\nContent-Type: application/snomxml\r\nContent-Length: %d\r\n\r\n%s",
		phone, b.conn.RemoteAddr(), b.conn.LocalAddr(), id, id, len(body), body)
	return err
}

func (b *bareSIP) close() {
	_ = b.conn.Close() // nothing is lost
	b.reading.Wait()
}

// sip is the table of phones that are driven by SIP.
func (r report) sip() table {
	t := table{
		title: "1,000 phones driven by SIP that answer in 20 ms, 20 and 100 commands at a time",
		note:  "Milliseconds from the publish to the result, and from a bare NOTIFY to its answer; in brackets the multiple of that in the same run.",
		head:  []string{"", "p50", "p99", "not ok"},
	}
	for _, outstanding := range []int{20, 100} {
		at := func(system string) (found []figure) {
			for _, f := range r.of("sip", nodelay, system, 1000, float64(sipPhoneTime.Milliseconds())) {
				if f.Outstanding == outstanding {
					found = append(found, f)
				}
			}
			return found
		}
		floor := at(systemNotify)
		for _, s := range r.systems("sip") {
			own := at(s)
			t.rows = append(t.rows, []string{
				fmt.Sprintf("%s, %d", s, outstanding), fmt.Sprintf("%.1f (%.2f)", middle(own, toResult50)/1e3, ratio(own, floor, toResult50)),
				fmt.Sprintf("%.1f (%.2f)", middle(own, toResult99)/1e3, ratio(own, floor, toResult99)),
				fmt.Sprint(total(own, func(f figure) int { return f.NotOK })),
			})
		}
	}
	return t
}
