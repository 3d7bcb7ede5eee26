package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	paho "github.com/eclipse/paho.mqtt.golang"
	digestauth "github.com/icholy/digest"
)

// The floors once more, with the libraries that a bridge in Go uses for MQTT and for logins: what a command costs
// before a bridge has done anything of its own.

// newPaho connects to the broker with Paho, and subscribes. Without promptly, all that would be measured is the 40 ms
// that a broker with Nagle's algorithm waits for it.
func newPaho(broker, id, filter string, handle paho.MessageHandler) (paho.Client, error) {
	o := paho.NewClientOptions().AddBroker("tcp://" + broker).SetClientID(id).SetProtocolVersion(4).SetAutoReconnect(false)
	o.SetCustomOpenConnectionFn(func(u *url.URL, _ paho.ClientOptions) (net.Conn, error) {
		conn, err := net.Dial("tcp", u.Host)
		if err != nil {
			return nil, err
		}
		return promptly{conn}, nil
	})
	c := paho.NewClient(o)
	if t := c.Connect(); t.Wait() && t.Error() != nil {
		return nil, t.Error()
	}
	if t := c.Subscribe(filter, 1, handle); t.Wait() && t.Error() != nil {
		return nil, t.Error()
	}
	return c, nil
}

// echoPaho is a process that publishes what it gets, with Paho.
func echoPaho(ctx context.Context, broker string) error {
	c, err := newPaho(broker, "bench-pecho", "pecho/+/dial", func(c paho.Client, m paho.Message) {
		result := append(m.Payload()[:len(m.Payload())-1], `,"code":"ok"}`...)
		c.Publish(strings.TrimSuffix(m.Topic(), "dial")+"result", 1, false, result)
	})
	if err != nil {
		return err
	}
	serveUntil(ctx, c, "pecho")
	return nil
}

// serveUntil publishes that base is online, and disconnects c when ctx ends.
func serveUntil(ctx context.Context, c paho.Client, base string) {
	defer c.Disconnect(100)
	c.Publish(base+"/bridge/state", 1, false, "online")
	<-ctx.Done()
}

// leastPaho is a process that is the least bridge there can be with the libraries: like least, a queue and a goroutine for
// each phone and no check of anything, but with Paho, and with net/http and a digest transport.
func leastPaho(ctx context.Context, broker string, port int) error {
	queues := map[string]chan uint64{} // Paho's goroutine alone uses it: messages come in order
	c, err := newPaho(broker, "bench-pleast", "pleast/+/dial", func(c paho.Client, m paho.Message) {
		name := strings.Split(m.Topic(), "/")[1]
		q := queues[name]
		if q == nil {
			q = make(chan uint64, 64)
			queues[name] = q
			go leastPahoWorker(c, name, port, q) // ends with the process
		}
		_, rest, _ := bytes.Cut(m.Payload(), []byte(`"id":"`))
		q <- number(leadingDigits(rest))
	})
	if err != nil {
		return err
	}
	serveUntil(ctx, c, "pleast")
	return nil
}

func leastPahoWorker(c paho.Client, name string, port int, queue <-chan uint64) {
	i, _ := strconv.Atoi(strings.TrimLeft(name[1:], "0")) // a name of this program; nothing is left of 0
	p := newLibraryCaller()
	p.to(phoneAddr(i, port))
	for id := range queue {
		code := "ok"
		if err := p.dial(id); err != nil {
			code = "failed"
		}
		c.Publish("pleast/"+name+"/result", 1, false, fmt.Appendf(nil, `{"id":"%d","code":"%s"}`, id, code))
	}
}

// oneWayPaho measures the way through the broker to Paho, in this process.
func (g *generator) oneWayPaho(ctx context.Context, broker string, l load) (*run, error) {
	c, err := newPaho(broker, "bench-poneway", "poneway/+/dial", func(_ paho.Client, m paho.Message) {
		g.result(numberAfter(m.Payload(), `"id"`), now(), true)
		_ = g.client.flush() // an error shows when nothing comes
	})
	if err != nil {
		return nil, err
	}
	defer c.Disconnect(100)
	l.base = "poneway"
	return g.carry(ctx, l)
}

// A libraryCaller makes requests with net/http and a digest transport, on a fresh connection each.
type libraryCaller struct {
	addr   string
	client http.Client
}

func newLibraryCaller() *libraryCaller {
	return &libraryCaller{client: http.Client{Transport: &digestauth.Transport{
		Username: username, Password: password, Transport: &http.Transport{MaxIdleConnsPerHost: -1},
	}}}
}

// to is the address of the phone for the next requests.
func (p *libraryCaller) to(addr string) { p.addr = addr }

// dial has the phone dial a number.
func (p *libraryCaller) dial(n uint64) error {
	resp, err := p.client.Get("http://" + p.addr + "/command.htm?number=" + strconv.FormatUint(n, 10))
	if err != nil {
		return err
	}
	if err := resp.Body.Close(); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP %d", resp.StatusCode)
	}
	return nil
}

// leastShow is a process that is the least bridge there can be for show, with the libraries: for a message it makes a
// request to the phone on port, and serves a page of an ordinary size. It checks nothing and makes no page.
func leastShow(ctx context.Context, broker string, port int) error {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	page := []byte(strings.Repeat("x", pageLength))
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(page) // a phone that has gone is missed elsewhere
	})}
	go func() { _ = server.Serve(l) }() // ends with the process
	target := fmt.Sprintf("http://127.0.0.1:%d/minibrowser.htm?url=%s", port, url.QueryEscape("http://"+l.Addr().String()+"/page/panel/"+token+"/0123456789"))
	client := http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: -1}}
	c, err := newPaho(broker, "bench-pshow", "pleast/panel/show", func(c paho.Client, _ paho.Message) {
		code := "ok"
		if resp, err := client.Get(target); err != nil || resp.Body.Close() != nil {
			code = "failed"
		}
		c.Publish("pleast/panel/result", 1, false, fmt.Appendf(nil, `{"code":%q}`, code))
	})
	if err != nil {
		return err
	}
	serveUntil(ctx, c, "pleast")
	return nil
}

// pageLength is about the length of the page of a short text, in bytes.
const pageLength = 160
