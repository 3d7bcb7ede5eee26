package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// The part console: commands without readers of the console, and with them. Phones report events all the time.
const (
	consolePhones    = 10 // of which the first one has the commands
	eventsPerSecond  = 60
	readersOffered   = 64 // the console takes some of them
	strangersOffered = 5000

	consoleAlone     = "console, no reader"
	consoleStalled   = "console, readers that do not read"
	consoleReading   = "console, readers that read"
	consoleStrangers = "console, 5,000 connections held"
)

// consoleParts are the situations, each measured in every round.
func consoleParts() []string {
	return []string{consoleAlone, consoleStalled, consoleReading, consoleStrangers}
}

// console measures what readers of the console do to commands: those that read, those that do not, and thousands of connections that
// are only held. Everything else is the same.
func (b *bench) console() error {
	at, actions := freeAddr(), freeAddr()
	st := staging{
		broker: nodelay, phones: consolePhones, systems: []string{systemOurs},
		env: []string{"SNOM2MQTT_CONSOLE_LISTEN=" + at, "SNOM2MQTT_PHONE_LISTEN=" + actions},
	}
	return b.on(st, func(s *scene) error {
		return b.rounds(s, func(round int) error {
			for _, part := range rotate(consoleParts(), round) {
				if err := b.consoleRound(s, part, at, actions, round); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// consoleRound measures one situation.
func (b *bench) consoleRound(s *scene, part, console, actions string, round int) (err error) {
	var crowd readerCrowd
	defer func() { err = errors.Join(err, crowd.leave()) }()
	switch part {
	case consoleStalled:
		err = crowd.follow(console, false)
	case consoleReading:
		err = crowd.follow(console, true)
	case consoleStrangers:
		err = crowd.hold(console, b.full(strangersOffered, 500))
	}
	if err != nil {
		return err
	}
	reported := s.reportEvents(actions)
	defer func() { err = errors.Join(err, reported()) }()
	if err := b.sleep(b.fullTime(time.Second, 100*time.Millisecond)); err != nil {
		return err
	}
	return b.record(s, part, nodelay, systemOurs, round, load{phones: 1, burst: 1, count: b.full(1000, 50), every: 2 * time.Millisecond})
}

// reportEvents has phones report events until the function that it returns is called.
func (s *scene) reportEvents(actions string) (stop func() error) {
	var telling sync.WaitGroup
	var failed error // set before telling has ended
	end := make(chan struct{})
	telling.Go(func() {
		tick := time.NewTicker(time.Second / eventsPerSecond)
		defer tick.Stop()
		for i := uint64(1); ; i++ {
			if failed = s.gen.call(1+int(i%(consolePhones-1)), actions, i); failed != nil {
				return
			}
			select {
			case <-tick.C:
			case <-end:
				return
			}
		}
	})
	return func() error {
		close(end)
		telling.Wait()
		return failed
	}
}

// A readerCrowd are connections to the console.
type readerCrowd struct {
	conns   []net.Conn
	reading sync.WaitGroup
}

// follow has as many readers follow what happens as the console takes of those that are offered.
func (c *readerCrowd) follow(console string, reading bool) error {
	followed := 0
	for range readersOffered {
		conn, err := net.Dial("tcp", console)
		if err != nil {
			return err
		}
		c.conns = append(c.conns, conn)
		if !reading { // the kernel keeps little for one that does not read
			if tcp, ok := conn.(*net.TCPConn); ok {
				err = tcp.SetReadBuffer(4 << 10)
			}
		}
		if _, werr := fmt.Fprintf(conn, "GET /api/live HTTP/1.1\r\nHost: %s\r\n\r\n", console); err != nil || werr != nil {
			return errors.Join(err, werr)
		}
		in := bufio.NewReader(conn)
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			continue // it takes no more
		}
		followed++
		if reading {
			c.reading.Go(func() { _, _ = io.Copy(io.Discard, in) }) // until it is closed
		}
	}
	if followed == 0 {
		return errors.New("the console takes no reader")
	}
	return nil
}

// hold opens connections that say nothing. The console closes most of them.
func (c *readerCrowd) hold(console string, n int) error {
	for range n {
		conn, err := net.Dial("tcp", console)
		if err != nil {
			return err
		}
		c.conns = append(c.conns, conn)
	}
	return nil
}

// leave closes all of them.
func (c *readerCrowd) leave() error {
	for _, conn := range c.conns {
		_ = conn.Close() // the console may have closed it
	}
	c.reading.Wait()
	return nil
}

// consoleTable is the table of commands with readers of the console.
func (r report) consoleTable() table {
	t := table{
		title: "Readers of the console",
		note: fmt.Sprintf("One phone, one command every 2 ms and its answer, while the others report %d events a second. Of %d readers the console takes 16; "+
			"%d connections are opened and say nothing. Microseconds from the publish to the result; in brackets the multiple of what it takes without readers in the same round.",
			eventsPerSecond, readersOffered, strangersOffered),
		head: []string{"", "p50", "p99", "not ok"},
	}
	alone := r.of(consoleAlone, nodelay, systemOurs, 1, 0)
	for _, part := range consoleParts() {
		own := r.of(part, nodelay, systemOurs, 1, 0)
		if len(own) == 0 {
			continue
		}
		t.rows = append(t.rows, []string{
			part, fmt.Sprintf("%.0f (%.2f)", middle(own, toResult50), ratio(own, alone, toResult50)),
			fmt.Sprintf("%.0f (%.2f)", middle(own, toResult99), ratio(own, alone, toResult99)),
			fmt.Sprint(total(own, func(f figure) int { return f.NotOK })),
		})
	}
	return t
}

// consoleTargets are the promises of the console.
func (r report) consoleTargets(most func(rounds int, name, unit string, value, limit float64)) {
	alone := r.of(consoleAlone, nodelay, systemOurs, 1, 0)
	for _, part := range consoleParts()[1:] {
		own := r.of(part, nodelay, systemOurs, 1, 0)
		most(len(own), part+": 99th percentile of commands", " x without", ratio(own, alone, toResult99), 1.2)
	}
}
