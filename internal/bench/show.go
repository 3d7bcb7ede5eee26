package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// show measures the way of a page: from the publish of show until the phone has the page. Its floor is the least bridge with
// the libraries that a bridge in Go has. Beside it stands what it consists of, on bare sockets and within this process: a
// message through the broker, the request to the phone, and the phone's for the page.
func (b *bench) show() error {
	dir, err := b.folder("show-")
	if err != nil {
		return err
	}
	phone, err := newPanelPhone()
	if err != nil {
		return err
	}
	defer phone.close()
	broker, address, err := startMosquitto(dir, nodelay)
	if err != nil {
		return err
	}
	defer broker.stop()
	w, err := newShowWatch(address)
	if err != nil {
		return err
	}
	defer w.close()
	ours, err := startProcess(dir, "ours", []string{
		"SNOM2MQTT_MQTT_URL=tcp://" + address, "SNOM2MQTT_BASE_TOPIC=ours", "SNOM2MQTT_PHONE_0_NAME=panel", "SNOM2MQTT_PHONE_0_URL=http://" + phone.addr(),
		"SNOM2MQTT_PHONE_0_TOKEN=" + token, "SNOM2MQTT_PHONE_LISTEN=" + freeAddr(), "SNOM2MQTT_CONSOLE_LISTEN=off", "SNOM2MQTT_HOMEASSISTANT=false",
		"SNOM2MQTT_AVAILABILITY_INTERVAL=24h", "SNOM2MQTT_COMMAND_GAP=0s",
	}, b.program, "run")
	if err != nil {
		return err
	}
	defer ours.stop()
	if _, err := wait(w.online); err != nil {
		return errors.Join(errors.New("snom2mqtt is not online"), ours.died())
	}
	least, err := startProcess(dir, "pshow", nil, b.self, "-be", "pshow", "-broker", address, "-port", phone.port())
	if err != nil {
		return err
	}
	defer least.stop()
	if _, err := wait(w.online); err != nil {
		return errors.Join(errors.New("the least bridge is not online"), least.died())
	}
	count := b.full(500, 50)
	for round := range b.count {
		f := figure{Part: "show", Broker: nodelay, System: systemOurs, Round: round, Phones: 1, Outstanding: 1, Commands: count}
		times := map[string][]float64{}
		for i := range count + 5 { // the first ones are not counted
			one, err := w.showOnce(phone, fmt.Sprintf("%d-%d", round, i))
			if err != nil {
				return errors.Join(err, ours.died(), least.died())
			}
			for system, us := range one {
				if i >= 5 {
					times[system] = append(times[system], us)
				}
			}
		}
		for _, f.System = range []string{systemOurs, systemPLeast, systemTwoHTTP} {
			f.ToPhone50, f.ToPhone99 = percentiles(times[f.System])
			b.add(f)
		}
	}
	return nil
}

// showOnce shows a page by both bridges, and measures what that consists of, in microseconds.
func (w *showWatch) showOnce(phone *panelPhone, text string) (map[string]float64, error) {
	least, _, err := w.show(phone, "pleast", text)
	if err != nil {
		return nil, err
	}
	shown, page, err := w.show(phone, "ours", text)
	if err != nil {
		return nil, err
	}
	message, err := w.message()
	if err != nil {
		return nil, err
	}
	two, err := phone.twoExchanges(page)
	if err != nil {
		return nil, err
	}
	return map[string]float64{systemOurs: shown, systemPLeast: least, systemTwoHTTP: message + two}, nil
}

// A showWatch publishes commands, and waits for their results.
type showWatch struct {
	client               *client
	online, back, result chan int64 // the moments
	reading              sync.WaitGroup
}

func newShowWatch(broker string) (*showWatch, error) {
	c, err := newClient(broker, "bench-show", "ours/panel/result", "ours/bridge/state", "pleast/panel/result", "pleast/bridge/state", "oneway/show")
	if err != nil {
		return nil, err
	}
	w := &showWatch{client: c, online: make(chan int64, 16), back: make(chan int64, 16), result: make(chan int64, 16)}
	w.reading.Go(func() { // ends when the client is closed
		_ = c.serve(func(topic, payload []byte) {
			at := now()
			switch {
			case bytes.HasSuffix(topic, []byte("/state")):
				if string(payload) == "online" {
					w.online <- at
				}
			case bytes.HasSuffix(topic, []byte("/result")):
				w.result <- at
			default:
				w.back <- at
			}
		})
	})
	return w, nil
}

func (w *showWatch) close() {
	w.client.close()
	w.reading.Wait()
}

// wait waits for a moment.
func wait(c <-chan int64) (int64, error) {
	select {
	case at := <-c:
		return at, nil
	case <-time.After(time.Minute):
		return 0, errors.New("nothing came for a minute")
	}
}

// show shows a page, and returns how long it took in microseconds until the phone had it, and the page. It waits for the result.
func (w *showWatch) show(p *panelPhone, base, text string) (us float64, page []byte, err error) {
	begin := now()
	w.client.publish([]byte(base+"/panel/show"), fmt.Appendf(nil, `{"text":"The washer is done: %s","hold":true}`, text))
	if err := w.client.flush(); err != nil {
		return 0, nil, err
	}
	at, err := wait(p.had)
	if err == nil {
		_, err = wait(w.result)
	}
	return float64(at-begin) / 1e3, p.page, err
}

// message measures a message through the broker.
func (w *showWatch) message() (us float64, err error) {
	begin := now()
	w.client.publish([]byte("oneway/show"), []byte(`{"text":"The washer is done","hold":true}`))
	if err := w.client.flush(); err != nil {
		return 0, err
	}
	at, err := wait(w.back)
	return float64(at-begin) / 1e3, err
}

// A panelPhone fetches the pages that it is asked to show, as soon as it has answered. It also serves a page itself, for the floor.
type panelPhone struct {
	listener net.Listener
	pages    net.Listener // serves page
	page     []byte       // that it had last, with its head; set before had is sent, and read after
	had      chan int64   // the moments at which it had a page
	serving  sync.WaitGroup
}

func newPanelPhone() (*panelPhone, error) {
	p := &panelPhone{had: make(chan int64, 16)}
	var err error
	if p.listener, err = net.Listen("tcp4", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	if p.pages, err = net.Listen("tcp4", "127.0.0.1:0"); err != nil {
		return nil, errors.Join(err, p.listener.Close())
	}
	p.serving.Go(func() { p.serve(p.listener, p.answer) })
	p.serving.Go(func() { p.serve(p.pages, p.give) })
	return p, nil
}

func (p *panelPhone) addr() string { return p.listener.Addr().String() }

func (p *panelPhone) port() string { return strconv.Itoa(p.listener.Addr().(*net.TCPAddr).Port) }

func (p *panelPhone) close() {
	_ = p.listener.Close() // it was open
	_ = p.pages.Close()
	p.serving.Wait()
}

// serve has each connection answered, one after the other.
func (p *panelPhone) serve(l net.Listener, answer func(net.Conn, string)) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		if target, err := requestTarget(conn); err == nil {
			answer(conn, target)
		}
		_ = conn.Close() // the other side may have closed it
	}
}

// requestTarget reads a request and returns its target.
func requestTarget(conn net.Conn) (string, error) {
	r := bufio.NewReader(conn)
	first, err := r.ReadString('\n')
	for line := first; err == nil && line != "\r\n"; {
		line, err = r.ReadString('\n')
	}
	parts := strings.Fields(first)
	if err != nil || len(parts) < 2 {
		return "", errors.New("no request")
	}
	return parts[1], nil
}

// answer answers the request of a bridge, and fetches the page that it names.
func (p *panelPhone) answer(conn net.Conn, target string) {
	escaped, ok := strings.CutPrefix(target, "/minibrowser.htm?url=")
	if !ok {
		_, _ = io.WriteString(conn, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		return
	}
	_, _ = io.WriteString(conn, done) // a client that has gone is missed elsewhere
	_ = conn.Close()
	address, err := url.QueryUnescape(escaped)
	if err != nil {
		return
	}
	host, path, _ := strings.Cut(strings.TrimPrefix(address, "http://"), "/")
	page, err := fetchPage(host, "/"+path)
	if err != nil {
		return // it is missed
	}
	p.page = page
	p.had <- now()
}

// fetchPage requests a page on a connection of its own.
func fetchPage(host, path string) ([]byte, error) {
	conn, err := (&net.Dialer{KeepAlive: -1}).Dial("tcp4", host)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, host); err != nil {
		return nil, err
	}
	return io.ReadAll(conn)
}

// give serves the page.
func (p *panelPhone) give(conn net.Conn, _ string) { _, _ = conn.Write(p.page) }

// twoExchanges measures a request to the phone, and the phone's for a page, without a bridge.
func (p *panelPhone) twoExchanges(page []byte) (us float64, err error) {
	p.page = page
	begin := now()
	conn, err := (&net.Dialer{KeepAlive: -1}).Dial("tcp4", p.addr())
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	at := "http://" + p.pages.Addr().String() + "/page/panel/" + token + "/0123456789"
	if _, err := fmt.Fprintf(conn, "GET /minibrowser.htm?url=%s HTTP/1.1\r\nHost: %s\r\nConnection: keep-alive\r\n\r\n", url.QueryEscape(at), p.addr()); err != nil {
		return 0, err
	}
	if _, err := io.ReadAll(conn); err != nil {
		return 0, err
	}
	had, err := wait(p.had)
	return float64(had-begin) / 1e3, err
}

// showing is the table of what show costs.
func (r report) showing() table {
	t := table{
		title: "A page on the display of a phone",
		note:  "Microseconds from the publish of show until the phone has the page; in brackets the multiple of the least bridge with the same libraries.",
		head:  []string{"", "p50", "p99"},
	}
	floor := r.of("show", nodelay, systemPLeast, 1, 0)
	for _, s := range r.systems("show") {
		own := r.of("show", nodelay, s, 1, 0)
		t.rows = append(t.rows, []string{
			s, fmt.Sprintf("%.0f (%.2f)", middle(own, toPhone50), ratio(own, floor, toPhone50)),
			fmt.Sprintf("%.0f (%.2f)", middle(own, toPhone99), ratio(own, floor, toPhone99)),
		})
	}
	return t
}
